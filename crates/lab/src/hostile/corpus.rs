//! The cases that are whole HTTP requests.

mod entity;
mod memory;
mod query;
mod record;

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::raw::Talk;
use crate::alerts::Alerts;

/// The answer a case must get; a status of 500 or more is always wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expect {
    /// 4xx with a JSON error.
    ClientError,
    /// 401 with a JSON error.
    Unauthorised,
    /// 4xx, or 2xx with no record stored and each one's reason.
    Refused,
    /// The same, or closed before the whole request was taken.
    RefusedOrClosed,
    /// 2xx or 4xx: either reading of the input is defensible.
    Tolerated,
    /// 2xx.
    Done,
    /// 2xx with these counts.
    Stored { accepted: u64, rejected: u64 },
    /// On a socket: no 2xx, and 4xx or closed.
    Cut,
    /// On a socket: answered below 500.
    Answered,
    /// On a socket: 400 and closed, and nothing else.
    Bad,
    /// On a socket: 200, then 400 and closed.
    GoodThenBad,
}

/// How a case is sent.
pub(super) enum Send {
    /// A well-formed request.
    Http {
        /// `GET`, `POST`, `PATCH`.
        method: &'static str,
        /// Path and query; `{tenant}` stands for the tenant's id.
        path: String,
        /// The body's kind, empty for no body.
        content_type: &'static str,
        /// More header lines.
        headers: String,
        /// A token other than the good one.
        token: Option<String>,
        /// Makes the body of the request of this number, only when it is needed.
        body: Box<dyn Fn(u64) -> Vec<u8> + std::marker::Send + Sync>,
    },
    /// Bytes on a socket.
    Raw(Talk),
}

/// One bad input.
pub(super) struct Case {
    /// Its name in failures.
    pub(super) name: String,
    /// How it is sent.
    pub(super) send: Send,
    /// The answer it must get.
    pub(super) expect: Expect,
    /// How long the answer may take.
    pub(super) limit: Duration,
    /// How many such requests are sent at once.
    pub(super) at_once: u64,
}

impl Case {
    /// The same case with any refusal accepted.
    fn tolerant(mut self) -> Self {
        self.expect = Expect::ClientError;
        self
    }

    /// The same case with another time limit.
    fn within(mut self, seconds: u64) -> Self {
        self.limit = Duration::from_secs(seconds);
        self
    }

    /// So many of them at once; the body is made for each by its number.
    fn at_once(
        mut self,
        count: u64,
        made: impl Fn(u64) -> Vec<u8> + std::marker::Send + Sync + 'static,
    ) -> Self {
        self.at_once = count;
        if let Send::Http { body, .. } = &mut self.send {
            *body = Box::new(made);
        }
        self
    }

    fn encoded(mut self, name: &str) -> Self {
        if let Send::Http { headers, .. } = &mut self.send {
            let _ = write!(headers, "Content-Encoding: {name}\r\n");
        }
        self
    }

    fn lines(mut self) -> Self {
        if let Send::Http { content_type, .. } = &mut self.send {
            *content_type = "application/x-ndjson";
        }
        self
    }

    fn token(mut self, text: &str) -> Self {
        if let Send::Http { token, .. } = &mut self.send {
            *token = Some(text.to_owned());
        }
        self
    }

    fn path(mut self, text: &str) -> Self {
        if let Send::Http { path, .. } = &mut self.send {
            text.clone_into(path);
        }
        self
    }

    fn header(mut self, line: &str) -> Self {
        if let Send::Http { headers, .. } = &mut self.send {
            headers.push_str(line);
            headers.push_str("\r\n");
        }
        self
    }
}

fn request(
    name: &str,
    method: &'static str,
    path: &str,
    expect: Expect,
    body: impl Fn() -> Vec<u8> + std::marker::Send + Sync + 'static,
) -> Case {
    let content_type = if method == "GET" { "" } else { "application/json" };
    let send = Send::Http {
        method,
        path: path.to_owned(),
        content_type,
        headers: String::new(),
        token: None,
        body: Box::new(move |_| body()),
    };
    Case { name: name.to_owned(), send, expect, limit: Duration::from_secs(2), at_once: 1 }
}

fn intake(
    name: &str,
    expect: Expect,
    body: impl Fn() -> Vec<u8> + std::marker::Send + Sync + 'static,
) -> Case {
    request(name, "POST", "/api/v1/alerts", expect, body)
}

fn text(name: &str, expect: Expect, body: &'static str) -> Case {
    intake(name, expect, move || body.as_bytes().to_vec())
}

/// A small good alert with some members replaced.
fn alert(id: &str, members: &Value) -> Value {
    let mut alert = json!({
        "id": id,
        "providerAlertId": id,
        "title": "Bad input",
        "severity": "low",
        "status": "new",
        "serviceSource": "microsoftDefenderForEndpoint",
        "category": "Execution",
        "createdDateTime": "2026-11-01T10:00:00Z",
        "evidence": [{
            "@odata.type": "#microsoft.graph.security.deviceEvidence",
            "deviceDnsName": format!("{id}.alder.example"),
        }],
    });
    if let (Some(alert), Some(members)) = (alert.as_object_mut(), members.as_object()) {
        alert.extend(members.clone());
    }
    alert
}

fn with(name: &str, expect: Expect, members: Value) -> Case {
    let id = name.replace(' ', "-");
    intake(name, expect, move || alert(&id, &members).to_string().into_bytes())
}

fn good(number: u64) -> String {
    Alerts::new(610, 0).body(number)
}

fn repeated(unit: &[u8], count: usize) -> Vec<u8> {
    unit.repeat(count)
}

/// Alerts of the storm on one device, unless told otherwise.
pub(crate) const STORM: u64 = 5_000;

/// All cases; `incident` exists, and `storm` alerts come of one device.
pub(super) fn cases(incident: &str, storm: u64) -> Vec<Case> {
    let mut all = record::cases();
    all.extend(entity::cases(storm));
    all.extend(memory::cases());
    all.extend(query::cases());
    all.extend(query::changes(incident));
    all.extend(query::sign_in());
    all
}

/// Alerts of `count` devices that share the loopback address and the system account.
pub(super) fn correlation_bomb(count: u64) -> String {
    let mut lines = String::new();
    for number in 0..count {
        let id = format!("bomb-{number}");
        let evidence = json!({ "createdDateTime": crate::clock::graph_time(crate::clock::now_seconds()),
            "evidence": [
            { "@odata.type": "#microsoft.graph.security.deviceEvidence",
              "mdeDeviceId": format!("{number:040x}"), "deviceDnsName": format!("bomb{number}.alder.example") },
            { "@odata.type": "#microsoft.graph.security.ipEvidence", "ipAddress": "127.0.0.1" },
            { "@odata.type": "#microsoft.graph.security.userEvidence", "userAccount": {
              "accountName": "SYSTEM", "domainName": "NT AUTHORITY", "userSid": "S-1-5-18" } },
        ]});
        let _ = writeln!(lines, "{}", alert(&id, &evidence));
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_case_has_a_name_of_its_own_and_a_body() {
        let mut names = HashSet::new();
        for case in cases("1", 10) {
            assert!(names.insert(case.name.clone()), "{}", case.name);
            let Send::Http { body, path, .. } = &case.send else { panic!("{}", case.name) };
            assert!(!path.contains([' ', '\u{0}']), "{path}");
            if !case.name.contains("bomb") && !case.name.starts_with("memory") {
                body(0);
            }
        }
        assert!(names.len() > 180, "{}", names.len());
        assert_eq!(correlation_bomb(3).lines().count(), 3);
    }
}
