//! In whose mailboxes a mail is looked for.
//!
//! A task names a mail, and the mailboxes among its options. Where nobody names any, the receivers
//! are taken that the incident's own evidence names with this very mail, and written into the task
//! when it is drafted: what is shown is what is done, and evidence that comes later widens nothing.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::alert::view::{self, Full};
use crate::connector;
use crate::db::Transaction;
use crate::error::{Error, Result};
use crate::id::IncidentId;
use crate::response::catalog::{Entry, TargetKind};
use crate::response::store::Target;

/// The option that names them.
pub(super) const MAILBOXES: &str = "mailboxes";
/// Mailboxes one task reaches.
const MOST: usize = 100;
/// Alerts of an incident that are looked through, the newest first.
const LOOKED_THROUGH: u64 = 1_000;

/// The mailboxes that options name, each once; none where they do not say.
///
/// # Errors
/// Which is none.
pub(super) fn mailboxes(options: &Value) -> std::result::Result<Vec<String>, String> {
    let all = options.get(MAILBOXES).and_then(Value::as_array).into_iter().flatten();
    let mut found = BTreeSet::new();
    for one in all.filter_map(Value::as_str) {
        let name = connector::user_name(one).map_err(|_| {
            let shown: String = one.chars().take(64).flat_map(char::escape_debug).collect();
            format!("mailboxes: {shown} is no address such as kari@alder.example")
        })?;
        found.insert(name);
    }
    Ok(found.into_iter().collect())
}

/// Options that name these mailboxes.
pub(super) fn naming(options: &Value, mailboxes: &[String]) -> Value {
    let mut options = options.as_object().cloned().unwrap_or_default();
    options.insert(MAILBOXES.to_owned(), json!(mailboxes));
    Value::Object(options)
}

/// Options without mailboxes: an action is done in one, and goes by it.
pub(super) fn within_one(options: &Value) -> Value {
    let mut options = options.as_object().cloned().unwrap_or_default();
    options.remove(MAILBOXES);
    Value::Object(options)
}

/// The options of a task, and of one for a mail the mailboxes among them as far as they are known.
///
/// # Errors
/// `Invalid` when one of those named is no mailbox.
pub(super) async fn completed(
    tx: &Transaction,
    incident: IncidentId,
    entry: &Entry,
    target: Option<&Target>,
    options: Value,
) -> Result<Value> {
    let Some(target) = target.filter(|_| entry.target == TargetKind::Mail) else {
        return Ok(options);
    };
    let mut named = mailboxes(&options).map_err(Error::Invalid)?;
    if named.is_empty() {
        named = receivers(tx, incident, &target.key).await?;
    }
    // Some of them and not the others would look like all.
    if named.is_empty() || named.len() > MOST {
        return Ok(within_one(&options));
    }
    Ok(naming(&options, &named))
}

/// Who received a mail, as the evidence of an incident says.
async fn receivers(tx: &Transaction, incident: IncidentId, mail: &str) -> Result<Vec<String>> {
    let sql = format!(
        "select {} from alert join alert_body on alert_body.alert_id = alert.id \
         where alert.incident_id = $1 order by alert.id desc limit {LOOKED_THROUGH}",
        view::COLUMNS
    );
    let mut pieces = Vec::new();
    for row in tx.query(&sql, vec![incident.0.into()]).await? {
        pieces.extend(mails(&Full::from_row(&row)?.body));
    }
    Ok(of_mail(mail, &pieces))
}

/// A mail as a piece of evidence names it.
struct Piece {
    internet: String,
    network: String,
    receiver: String,
}

fn mails(body: &Map<String, Value>) -> Vec<Piece> {
    let text = |piece: &Value, member: &str| -> String {
        piece.get(member).and_then(Value::as_str).map(str::trim).unwrap_or_default().to_owned()
    };
    let evidence = body.get("evidence").and_then(Value::as_array).into_iter().flatten();
    evidence
        .filter(|piece| text(piece, "@odata.type").ends_with(".analyzedMessageEvidence"))
        .map(|piece| Piece {
            internet: connector::message_id(&text(piece, "internetMessageId")).unwrap_or_default(),
            network: text(piece, "networkMessageId").to_lowercase(),
            receiver: text(piece, "recipientEmailAddress"),
        })
        .collect()
}

/// The receivers of a mail, and of what the product that saw it knows by the same number.
fn of_mail(mail: &str, pieces: &[Piece]) -> Vec<String> {
    let same = |piece: &&Piece| piece.internet.eq_ignore_ascii_case(mail);
    let numbers: BTreeSet<&str> = pieces
        .iter()
        .filter(same)
        .map(|piece| piece.network.as_str())
        .filter(|number| !number.is_empty())
        .collect();
    let found: BTreeSet<String> = pieces
        .iter()
        .filter(|piece| same(piece) || numbers.contains(piece.network.as_str()))
        .filter_map(|piece| connector::user_name(&piece.receiver).ok())
        .collect();
    found.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receivers_are_those_of_this_very_mail() {
        let piece = |internet: &str, network: &str, receiver: &str| {
            json!({ "@odata.type": "#microsoft.graph.security.analyzedMessageEvidence",
                    "internetMessageId": internet, "networkMessageId": network,
                    "recipientEmailAddress": receiver })
        };
        let body = json!({ "evidence": [
            piece("<1@mail.example>", "N1", "Kari@alder.example"),
            piece("1@mail.example", "", "per@alder.example"),
            piece("", "n1", "ola@alder.example"),
            piece("<1@mail.example>", "N1", "somebody"),
            piece("<2@mail.example>", "N2", "liv@alder.example"),
            piece("", "", "ida@alder.example"),
            { "@odata.type": "#microsoft.graph.security.mailboxEvidence",
              "internetMessageId": "<1@mail.example>", "recipientEmailAddress": "a@b.example" },
        ]});
        let pieces = mails(body.as_object().expect("an object"));
        let found = of_mail("<1@mail.example>", &pieces);
        assert_eq!(found, ["kari@alder.example", "ola@alder.example", "per@alder.example"]);
        assert_eq!(of_mail("<3@mail.example>", &pieces), Vec::<String>::new());
    }

    #[test]
    fn mailboxes_are_addresses_each_once() {
        let of = |list: Value| mailboxes(&json!({ "mailboxes": list }));
        let found = of(json!(["Kari@alder.example", "kari@alder.example", "a@b.example"]));
        assert_eq!(found, Ok(vec!["a@b.example".to_owned(), "kari@alder.example".to_owned()]));
        assert_eq!(mailboxes(&json!({})), Ok(Vec::new()));
        assert!(of(json!(["../me@alder.example"])).is_err());
        assert!(of(json!(["kari"])).is_err());
    }
}
