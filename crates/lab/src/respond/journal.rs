//! What clients ask for when they respond, and how it ended; the journal itself is the crash lab's.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::crash::journal;
use crate::http::{Failure, Reply};

/// What a client asks for. A mark is a word of that request alone: it is its `Idempotency-Key`, and
/// it is in the comment of what comes of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "camelCase")]
pub(crate) enum Op {
    /// An action on a device.
    Act { device: String, kind: String, mark: String },
    /// The reverse of an action.
    Undo { action: String, mark: String },
    /// Takes an action back that was not sent.
    Cancel { action: String },
    /// A task of a managed response, as a draft.
    Draft { incident: String, mark: String },
    /// The drafts of an incident are told to the customer.
    Publish { incident: String, mark: String },
    /// Runs the action of a task.
    Run { task: String },
    /// The reverse of a task.
    UndoTask { task: String, mark: String },
    /// Something that no rule is about: reading, alerts, taking an incident.
    Else { path: String },
}

impl Op {
    /// The mark, where the request has one.
    pub(crate) fn mark(&self) -> Option<&str> {
        match self {
            Self::Act { mark, .. }
            | Self::Undo { mark, .. }
            | Self::Draft { mark, .. }
            | Self::Publish { mark, .. }
            | Self::UndoTask { mark, .. } => Some(mark),
            Self::Cancel { .. } | Self::Run { .. } | Self::Else { .. } => None,
        }
    }
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "camelCase")]
pub(crate) enum Outcome {
    /// A 2xx, with the id of what came of it.
    Ok { id: Option<String> },
    /// Surely not done by this request: never sent, or refused with a 4xx.
    Fail { why: String },
    /// The first request with the same mark is under way, as far as the server knows.
    Busy,
    /// A 5xx, a broken connection or silence: done or not.
    Info { why: String },
}

/// A request and its end.
pub(crate) type Call = journal::Call<Op, Outcome>;

/// Reads a journal back.
pub(crate) fn read(path: &Path) -> Result<Vec<Call>, String> {
    journal::read_as(path, &Outcome::Info { why: "the journal ends here".to_owned() })
}

/// What a reply or its absence says about whether the request was done.
pub(crate) fn outcome(reply: &Result<Reply, Failure>) -> Outcome {
    match reply {
        Ok(reply) if reply.ok() => {
            let body = reply.json();
            Outcome::Ok { id: body["id"].as_str().map(str::to_owned) }
        }
        Ok(reply) if reply.status == 409 && reply.header("retry-after").is_some() => Outcome::Busy,
        Ok(reply) if reply.status < 500 => Outcome::Fail { why: reply.excerpt() },
        Ok(reply) => Outcome::Info { why: reply.excerpt() },
        Err(Failure::NotSent(why)) => Outcome::Fail { why: why.clone() },
        Err(Failure::Unknown(why)) => Outcome::Info { why: why.clone() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_judged() {
        let reply = |status: u16, head: &str| {
            let body = br#"{"id":"ac7"}"#.to_vec();
            Ok(Reply { status, head: format!("HTTP/1.1 {status} x\r\n{head}\r\n"), body })
        };
        let done = Outcome::Ok { id: Some("ac7".to_owned()) };
        assert_eq!(outcome(&reply(201, "")), done);
        assert_eq!(outcome(&reply(409, "Retry-After: 1\r\n")), Outcome::Busy);
        assert!(matches!(outcome(&reply(409, "")), Outcome::Fail { .. }));
        assert!(matches!(outcome(&reply(503, "")), Outcome::Info { .. }));
        let lost = Err(Failure::Unknown("reset".to_owned()));
        assert!(matches!(outcome(&lost), Outcome::Info { .. }));
    }
}
