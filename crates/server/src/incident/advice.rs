//! What is recommended to resolve an incident: what the sources recommend for its alerts.
//!
//! Nobody writes such a text for an incident here, so it is put together when it is read. Not here:
//! hunting queries. No source tells one, and none is made up.

use crate::alert;
use crate::app::App;
use crate::db::column;
use crate::error::Result;
use crate::incident::Incident;

/// Alerts whose advice is looked at: those of one incident mostly say the same.
const ALERTS: u64 = 20;
/// Where the text ends, in characters.
const LONGEST: usize = 30_000;

/// The different `recommendedActions` of an incident's first alerts, in their order, with an empty
/// line between; none when no source recommends anything.
pub async fn actions(app: &App, incident: &Incident) -> Result<Option<String>> {
    let sql = format!(
        "select alert_body.body from alert join alert_body on alert_body.alert_id = alert.id \
         where alert.incident_id = $1 order by alert.id limit {ALERTS}"
    );
    let mut texts = Vec::new();
    for row in app.db.of(incident.tenant).query(&sql, vec![incident.id.0.into()]).await? {
        let body = alert::body(&column::<Vec<u8>>(&row, 0)?)?;
        texts.extend(
            body.get("recommendedActions").and_then(|text| text.as_str()).map(str::to_owned),
        );
    }
    Ok(joined(texts.iter().map(String::as_str)))
}

fn joined<'a>(texts: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut different: Vec<&str> = Vec::new();
    let mut length = 0;
    for text in texts.map(str::trim).filter(|text| !text.is_empty()) {
        length += text.chars().count() + 2;
        if !different.contains(&text) && (different.is_empty() || length <= LONGEST) {
            different.push(text);
        }
    }
    let all = different.join("\n\n");
    (!all.is_empty()).then(|| all.chars().take(LONGEST).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_is_there_once_and_the_whole_has_an_end() {
        let texts = ["Reset the password.", " ", " Reset the password.", "Isolate the device."];
        let all = joined(texts.into_iter());
        assert_eq!(all.as_deref(), Some("Reset the password.\n\nIsolate the device."));
        assert_eq!(joined(["", "\n"].into_iter()), None);
        let long = "\u{e5}".repeat(LONGEST + 1);
        let all = joined([long.as_str(), "more"].into_iter()).unwrap_or_default();
        assert_eq!(all.chars().count(), LONGEST);
    }
}
