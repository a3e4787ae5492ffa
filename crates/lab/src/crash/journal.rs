//! What the clients did, on disk before it is sent and again when the answer is there.
//!
//! Each line is one JSON object: `invoke` before a request leaves, then exactly one of `ok`,
//! `fail` (surely not done) or `info` (nobody knows), as in a Jepsen history. Kills and starts are
//! noted between them. The checker reads the file back, never the memory of the clients.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::http::{Failure, Reply};

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "camelCase")]
pub(crate) enum Op {
    /// Alerts with these source ids, in this order.
    Alerts { ids: Vec<String> },
    /// A PATCH that writes this mark into two tags and the description.
    Patch { incident: String, mark: String },
    /// A comment with this mark.
    Comment { incident: String, mark: String },
    /// Something that changes nothing.
    Read { path: String },
}

/// The counts of an intake reply.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    /// Records read.
    pub(crate) received: u64,
    /// Alerts that were new.
    pub(crate) accepted: u64,
    /// Alerts that were there.
    pub(crate) duplicates: u64,
    /// Records that are no alerts.
    pub(crate) ignored: u64,
    /// Records that cannot be read.
    pub(crate) rejected: u64,
    /// The places of records that did not become alerts.
    pub(crate) errors: Vec<u64>,
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "camelCase")]
pub(crate) enum Outcome {
    /// A 2xx; `echoed` says whether a PATCH reply carried the description back.
    Ok { counts: Option<Counts>, echoed: bool },
    /// Surely not done: never sent, or refused with a 4xx.
    Fail { why: String },
    /// A 5xx, a broken connection or silence: done or not.
    Info { why: String },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
enum Line<O, E> {
    Invoke {
        number: u64,
        tenant: usize,
        #[serde(flatten)]
        op: O,
    },
    Ended {
        number: u64,
        #[serde(flatten)]
        outcome: E,
    },
    Note {
        what: String,
    },
}

/// One request with its end, in the order in which requests were made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call<O = Op, E = Outcome> {
    /// The line at which it was about to be sent.
    pub(crate) invoked: u64,
    /// The line at which its end was known; none when the journal stops before.
    pub(crate) ended: Option<u64>,
    /// Whose token was used.
    pub(crate) tenant: usize,
    /// What was asked.
    pub(crate) op: O,
    /// How it ended.
    pub(crate) outcome: E,
}

/// The journal being written.
#[derive(Debug)]
pub(crate) struct Journal {
    state: Mutex<(File, u64)>,
}

impl Journal {
    /// A new journal at `path`.
    pub(crate) fn create(path: &Path) -> Result<Self, String> {
        let file = File::create(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self { state: Mutex::new((file, 0)) })
    }

    fn write<O: Serialize, E: Serialize>(
        &self,
        line: impl FnOnce(u64) -> Line<O, E>,
    ) -> Result<u64, String> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (file, next) = &mut *state;
        *next += 1;
        let mut bytes =
            serde_json::to_vec(&line(*next)).map_err(|error| format!("journal: {error}"))?;
        bytes.push(b'\n');
        file.write_all(&bytes)
            .and_then(|()| file.sync_data())
            .map_err(|error| format!("journal: {error}"))?;
        Ok(*next)
    }

    /// Writes down that a request is about to leave, and gives its number.
    pub(crate) fn invoke<O: Serialize>(&self, tenant: usize, op: &O) -> Result<u64, String> {
        self.write::<_, ()>(|number| Line::Invoke { number, tenant, op })
    }

    /// Writes down how request `number` ended.
    pub(crate) fn ended<E: Serialize>(&self, number: u64, outcome: E) -> Result<(), String> {
        self.write::<(), _>(|_| Line::Ended { number, outcome }).map(|_| ())
    }

    /// Writes down anything else, for whoever reads the journal.
    pub(crate) fn note(&self, what: &str) -> Result<(), String> {
        self.write::<(), ()>(|_| Line::Note { what: what.to_owned() }).map(|_| ())
    }
}

/// Reads a journal back; a request without an end has an unknown one.
pub(crate) fn read(path: &Path) -> Result<Vec<Call>, String> {
    read_as(path, &Outcome::Info { why: "the journal ends here".to_owned() })
}

/// Reads a journal of other requests back; one without an end has the end `open`.
pub(crate) fn read_as<O: DeserializeOwned, E: DeserializeOwned + Clone>(
    path: &Path,
    open: &E,
) -> Result<Vec<Call<O, E>>, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    let file = BufReader::new(File::open(path).map_err(failed)?);
    let mut calls: Vec<Call<O, E>> = Vec::new();
    let mut places: HashMap<u64, usize> = HashMap::new();
    for (index, text) in file.lines().enumerate() {
        let place = index as u64 + 1;
        let text = text.map_err(failed)?;
        match serde_json::from_str(&text)
            .map_err(|error| format!("journal line {place}: {error}"))?
        {
            Line::Invoke { number, tenant, op } => {
                places.insert(number, calls.len());
                let outcome = open.clone();
                calls.push(Call { invoked: place, ended: None, tenant, op, outcome });
            }
            Line::Ended { number, outcome } => {
                let call = places.get(&number).and_then(|place| calls.get_mut(*place));
                let call = call.ok_or_else(|| format!("journal line {place}: end of nothing"))?;
                call.outcome = outcome;
                call.ended = Some(place);
            }
            Line::Note { .. } => {}
        }
    }
    Ok(calls)
}

/// What a reply or its absence says about whether the request was done.
pub(crate) fn outcome(op: &Op, reply: &Result<Reply, Failure>) -> Outcome {
    let reply = match reply {
        Ok(reply) => reply,
        Err(Failure::NotSent(why)) => return Outcome::Fail { why: why.clone() },
        Err(Failure::Unknown(why)) => return Outcome::Info { why: why.clone() },
    };
    if !reply.ok() {
        let why = reply.excerpt();
        return if reply.status < 500 { Outcome::Fail { why } } else { Outcome::Info { why } };
    }
    let body = reply.json();
    match op {
        Op::Alerts { .. } => {
            let count = |name: &str| body[name].as_u64().unwrap_or(u64::MAX);
            let errors = body["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
            let counts = Counts {
                received: count("received"),
                accepted: count("accepted"),
                duplicates: count("duplicates"),
                ignored: count("ignored"),
                rejected: count("rejected"),
                errors: errors.iter().filter_map(|error| error["index"].as_u64()).collect(),
            };
            Outcome::Ok { counts: Some(counts), echoed: false }
        }
        Op::Patch { mark, .. } => {
            Outcome::Ok { counts: None, echoed: body["description"] == mark.as_str() }
        }
        Op::Comment { .. } | Op::Read { .. } => Outcome::Ok { counts: None, echoed: false },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::Scratch;

    #[test]
    fn what_is_written_is_read_back() {
        let scratch = Scratch::new(&std::env::temp_dir(), "journal", false).unwrap();
        let file = scratch.path.join("journal");
        let journal = Journal::create(&file).unwrap();
        let alerts = Op::Alerts { ids: vec!["a".to_owned()] };
        let change = Op::Patch { incident: "7".to_owned(), mark: "m".to_owned() };
        let first = journal.invoke(1, &alerts).unwrap();
        let second = journal.invoke(2, &change).unwrap();
        journal.note("kill").unwrap();
        journal.ended(first, Outcome::Fail { why: "429".to_owned() }).unwrap();
        journal.invoke(0, &alerts).unwrap();
        journal.ended(second, Outcome::Ok { counts: None, echoed: true }).unwrap();
        let calls = read(&file).unwrap();
        assert_eq!(calls.len(), 3);
        assert_eq!((calls[0].invoked, calls[0].ended, calls[0].tenant), (1, Some(4), 1));
        assert_eq!(calls[1].outcome, Outcome::Ok { counts: None, echoed: true });
        assert!(matches!(calls[2].outcome, Outcome::Info { .. }));
    }

    #[test]
    fn replies_are_judged() {
        let op = Op::Alerts { ids: vec!["a".to_owned(), "b".to_owned()] };
        let reply = |status: u16, body: &str| {
            Ok(Reply { status, head: String::new(), body: body.as_bytes().to_vec() })
        };
        let body = r#"{"received":2,"accepted":1,"duplicates":0,"ignored":0,"rejected":1,
            "errors":[{"index":1,"message":"x"}]}"#;
        let Outcome::Ok { counts: Some(counts), .. } = outcome(&op, &reply(200, body)) else {
            panic!("not ok");
        };
        assert_eq!((counts.accepted, counts.rejected, counts.errors), (1, 1, vec![1]));
        assert!(matches!(outcome(&op, &reply(429, "")), Outcome::Fail { .. }));
        assert!(matches!(outcome(&op, &reply(503, "")), Outcome::Info { .. }));
        let unknown = Err(Failure::Unknown("reset".to_owned()));
        assert!(matches!(outcome(&op, &unknown), Outcome::Info { .. }));
    }
}
