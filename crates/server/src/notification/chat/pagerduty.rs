//! PagerDuty: who is on call is called when an incident awaits its customer, and let go again
//! (NOT-8, NOT-11), by the Events API v2.
//!
//! An incident has one alert there, by its `dedup_key`: it is triggered by a response that leaves the
//! customer something to do and by each reminder, acknowledged when somebody of the customer is on it,
//! resolved when the incident awaits the customer no more. The same event twice changes nothing there,
//! so one whose answer was lost is sent again. Nothing is heard from PagerDuty. Not here: which fact is
//! which event (`notification::make`), and their order (`notification::engine`).

use serde_json::{Value, json};

use super::post::told;
use super::{Fault, Field, Line, Said, Told, Trouble, ask, cut, request, stands};
use crate::app::App;
use crate::error::Result;
use crate::id::IncidentId;
use crate::notification::letter::{Kind, Letter};
use crate::notification::model::Answer;

/// What PagerDuty takes of a summary at most, in characters.
const LONGEST_SUMMARY: usize = 1_024;
/// How long to wait where PagerDuty asks us to and does not say how long, in seconds.
const WAIT_S: i64 = 60;

pub(super) const FIELDS: &[Field] = &[
    Field {
        name: "region",
        secret: false,
        sound: |text| matches!(text, "us" | "eu"),
        is: "the service region of the account: us or eu",
    },
    Field {
        name: "routingKey",
        secret: true,
        sound: |text| text.len() == 32 && text.bytes().all(|b| b.is_ascii_alphanumeric()),
        is: "the integration key of an Events API v2 integration, 32 letters and digits",
    },
];

/// What there is to tell PagerDuty.
pub(crate) struct Call<'a> {
    /// The delivery's id.
    pub id: &'a str,
    /// What happened.
    pub kind: Kind,
    /// The incident it is about.
    pub incident: Option<IncidentId>,
    /// What the words are made of.
    pub data: &'a Value,
    /// The words.
    pub letter: &'a Letter,
    /// The customer's id.
    pub tenant: &'a str,
}

/// Tells PagerDuty what happened.
pub(crate) async fn send(app: &App, line: &Line, it: &Call<'_>) -> Result<Answer> {
    let actions: &[&str] = match it.kind {
        Kind::ResponsePublished | Kind::Reminder => &["trigger"],
        Kind::CustomerReacted => &["acknowledge"],
        Kind::NoLongerWaits => &["resolve"],
        // It rings, and is over.
        Kind::Test => &["trigger", "resolve"],
        _ => return Ok(Answer::Refused("PagerDuty is told nothing of this".to_owned())),
    };
    for action in actions {
        let body = event(line, it, action);
        if let Err(fault) = enqueue(app, line, &body).await {
            return told(app, line, fault).await;
        }
    }
    stands(app, &line.it, None).await?;
    Ok(Answer::Delivered(actions.join(", ")))
}

/// One alert for an incident, and one for each test.
fn dedup_key(it: &Call<'_>) -> String {
    match it.incident {
        Some(incident) => format!("riposte-{}-{incident}", it.tenant),
        None => format!("riposte-{}-test-{}", it.tenant, it.id),
    }
}

/// How bad an incident is, in PagerDuty's words.
fn severity(ours: &str) -> &'static str {
    match ours {
        "high" => "critical",
        "low" => "warning",
        "informational" => "info",
        // Medium; and what nobody has rated may be anything.
        _ => "error",
    }
}

/// An event as PagerDuty takes it.
fn event(line: &Line, it: &Call<'_>, action: &str) -> Value {
    let mut event = json!({
        "routing_key": line.secret("routingKey"),
        "event_action": action,
        "dedup_key": dedup_key(it),
    });
    // An alert is acknowledged and resolved by its key alone.
    if action == "trigger" {
        let (label, url) = &it.letter.link;
        let text = |pointer: &str| {
            it.data.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let ours = text("/incident/severity");
        event["payload"] = json!({
            "summary": cut(&it.letter.subject, LONGEST_SUMMARY),
            "source": text("/tenant"),
            "severity": if it.kind == Kind::Test { "info" } else { severity(&ours) },
            "class": it.kind.word(),
            "custom_details": {
                "incident": it.incident.map(|id| id.to_string()),
                "said": it.letter.paragraphs,
                "waiting": it.letter.items,
                "delivery": it.id,
            },
        });
        event["client"] = json!(text("/provider"));
        event["client_url"] = json!(url);
        event["links"] = json!([{ "href": url, "text": label }]);
    }
    event
}

async fn enqueue(app: &App, line: &Line, event: &Value) -> Told<()> {
    let chat = &app.config.chat;
    let base = match line.it.setting("region") {
        "eu" => &chat.pagerduty_eu_url,
        _ => &chat.pagerduty_us_url,
    };
    let url = format!("{}/v2/enqueue", base.trim_end_matches('/'));
    judge(&ask(app, request("POST", &url, None, event)?).await?)
}

fn judge(said: &Said) -> Told<()> {
    let why = format!("PagerDuty answered {}", said.status);
    match said.status {
        200..=299 => Ok(()),
        429 => Err(Fault::Later(why, Some(said.retry_after.unwrap_or(WAIT_S)))),
        // It says which of two things is wrong: the event, or whose it is.
        400 | 401 | 403 => {
            let text = said.body.to_string().to_lowercase();
            let key =
                said.status != 400 || text.contains("routing") || text.contains("invalid key");
            let why = format!("{why}: {}", if key { "invalid key" } else { "invalid event" });
            Err(if key { Fault::Trouble(Trouble::Unauthorized, why) } else { Fault::Refused(why) })
        }
        400..=499 => Err(Fault::Refused(why)),
        _ => Err(Fault::Later(why, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severities_are_pagerdutys() {
        let all = ["high", "medium", "low", "informational", "unknown", ""].map(severity);
        assert_eq!(all, ["critical", "error", "warning", "info", "error", "error"]);
    }
}
