//! The checker against servers that are bad on purpose: each wrong must be found.

use std::cell::Cell;

use super::*;
use crate::trivial::{self, Responder, Seen};

const ERROR: &str = r#"{"error":{"code":"BadRequest"}}"#;

fn reply(status: u16, body: &str) -> Reply {
    Reply { status, head: String::new(), body: body.as_bytes().to_vec() }
}

/// One case, by the beginning of its name.
fn one(name: &str) -> Case {
    let all = corpus::cases("1", 10).into_iter().chain(raw::cases("t"));
    let mut found: Vec<Case> = all.filter(|case| case.name.starts_with(name)).collect();
    assert!(!found.is_empty(), "{name}");
    found.remove(0)
}

/// What is found wrong when a server answers these cases so and its memory goes so.
async fn wrongs(
    answer: impl Fn(&Seen) -> Vec<u8> + std::marker::Send + Sync + 'static,
    memory: impl Fn() -> (u64, u64),
    names: &[&str],
) -> Result<Vec<String>, String> {
    let server = Responder::start(answer).await.unwrap();
    let subject = Subject {
        address: server.address,
        token: "t".to_owned(),
        tenant_id: "a".to_owned(),
        memory: Box::new(memory),
    };
    let report = all(&subject, 40_000, names.iter().map(|name| one(name))).await?;
    assert_eq!(report.cases, names.len());
    Ok(report.failures)
}

fn steady() -> (u64, u64) {
    (40_000, 50_000)
}

#[tokio::test]
async fn a_good_server_has_no_failures() {
    let names = ["trailing comma", "the rest of a batch", "SQL", "filter status eq", "no token"];
    let answer = |seen: &Seen| {
        let body = String::from_utf8_lossy(&seen.body);
        let some = r#"{"received":3,"accepted":2,"duplicates":0,"rejected":1,
            "errors":[{"index":1,"message":"cut short"}]}"#;
        match (seen.method.as_str(), body.lines().count()) {
            ("POST", 3) => trivial::json(200, some),
            ("POST", _) if body.contains("drop table") => trivial::json(200, "{}"),
            ("POST", _) => trivial::json(400, ERROR),
            _ if seen.path.contains("filter") => trivial::json(400, ERROR),
            _ => trivial::json(401, ERROR),
        }
    };
    assert_eq!(wrongs(answer, steady, &names).await, Ok(Vec::new()));
}

#[tokio::test]
async fn a_server_that_takes_everything_is_found() {
    let names = [
        "trailing comma",
        "the rest of a batch",
        "filter status eq",
        "no token",
        "change: unknown status",
        "gzip cut short",
    ];
    let answer =
        |_: &Seen| trivial::json(200, r#"{"received":1,"accepted":1,"duplicates":0,"errors":[]}"#);
    let failures = wrongs(answer, steady, &names).await.unwrap();
    assert_eq!(failures.len(), names.len(), "{failures:?}");
}

#[tokio::test]
async fn a_server_that_breaks_is_found_whatever_was_expected() {
    let names =
        ["trailing comma", "SQL", "two objects glued", "gzip bomb of objects", "query $top"];
    let answer = |_: &Seen| trivial::json(500, ERROR);
    let failures = wrongs(answer, steady, &names).await.unwrap();
    assert_eq!(failures.len(), names.len(), "{failures:?}");
}

#[tokio::test]
async fn a_server_that_follows_the_length_is_found() {
    // The stand-in looks at the length alone and answers whatever comes.
    let names = ["socket: length and chunks", "socket: folded header", "socket: two hosts"];
    let failures = wrongs(|_| trivial::json(200, "{}"), steady, &names).await.unwrap();
    assert_eq!(failures.len(), names.len(), "{failures:?}");
}

#[tokio::test]
async fn memory_that_rises_is_blamed_on_the_case_that_raised_it() {
    // Looked at before and after each.
    let looks = Cell::new(0);
    let memory = || {
        looks.set(looks.get() + 1);
        (40_000, if looks.get() >= 4 { 40_000 + RISE_KIB + 1 } else { 50_000 })
    };
    let names = ["trailing comma", "single quotes", "comments"];
    let failures = wrongs(|_| trivial::json(400, ERROR), memory, &names).await.unwrap();
    assert_eq!(failures, ["single quotes: memory rose by 256 MB"]);
}

#[tokio::test]
async fn a_server_that_dies_ends_the_run() {
    let gone = wrongs(|_| trivial::json(400, ERROR), || (0, 0), &["trailing comma"]).await;
    assert_eq!(gone, Err("trailing comma: the server is gone".to_owned()));
}

#[tokio::test]
async fn a_server_that_serves_no_longer_is_found() {
    for (status, body) in [(503, ERROR), (200, r#"{"accepted":0}"#), (200, r#"{"accepted":1}"#)] {
        let server = Responder::start(move |_| trivial::json(status, body)).await.unwrap();
        assert!(still_serves(server.address, "t").await.is_err(), "{status} {body}");
    }
    let both = r#"{"accepted":1,"value":[]}"#;
    let server = Responder::start(move |_| trivial::json(200, both)).await.unwrap();
    assert_eq!(still_serves(server.address, "t").await, Ok(()));
}

#[test]
fn answers_are_judged() {
    let judge_all = judge;
    let judge = |expect, reply: Reply| judge_all(expect, false, &Ok(reply));
    assert!(judge(Expect::ClientError, reply(400, ERROR)).is_ok());
    assert!(judge(Expect::ClientError, reply(400, "bad")).is_err());
    assert!(judge(Expect::Tolerated, reply(500, ERROR)).is_err());
    assert!(judge(Expect::Unauthorised, reply(403, ERROR)).is_err());
    let none = r#"{"received":1,"accepted":0,"duplicates":0,"rejected":1,
        "errors":[{"index":0,"message":"x"}]}"#;
    assert!(judge(Expect::Refused, reply(200, none)).is_ok());
    assert!(judge(Expect::ClientError, reply(200, none)).is_err());
    let some = r#"{"received":3,"accepted":2,"duplicates":0,"rejected":1,
        "errors":[{"index":1,"message":"x"}]}"#;
    assert!(judge(Expect::Refused, reply(200, some)).is_err());
    let stored = Expect::Stored { accepted: 2, rejected: 1 };
    assert!(judge(stored, reply(200, some)).is_ok());
    let closed = Err(Failure::Unknown("reset".to_owned()));
    assert!(judge_all(Expect::RefusedOrClosed, false, &closed).is_ok());
    assert!(judge_all(Expect::Refused, false, &closed).is_err());
}

#[test]
fn every_record_has_to_be_accounted_for() {
    for (wrong, body) in [
        ("lost", r#"{"received":3,"accepted":2,"rejected":0,"errors":[]}"#),
        ("without a reason", r#"{"received":1,"rejected":1,"errors":[{"index":0,"message":""}]}"#),
        ("without a place", r#"{"received":1,"rejected":1,"errors":[{"message":"x"}]}"#),
        ("unnamed", r#"{"received":1,"rejected":1,"errors":[]}"#),
    ] {
        assert!(judge(Expect::Tolerated, false, &Ok(reply(200, body))).is_err(), "{wrong}");
    }
}

#[test]
fn only_a_crowd_may_be_put_off_and_is_told_until_when() {
    let busy = |head: &str| {
        Ok(Reply { status: 503, head: head.to_owned(), body: ERROR.as_bytes().to_vec() })
    };
    let told = busy("HTTP/1.1 503 X\r\nRetry-After: 1\r\n");
    assert!(judge(Expect::Tolerated, true, &told).is_ok());
    assert!(judge(Expect::Tolerated, false, &told).is_err());
    assert!(judge(Expect::Tolerated, true, &busy("HTTP/1.1 503 X\r\n")).is_err());
}
