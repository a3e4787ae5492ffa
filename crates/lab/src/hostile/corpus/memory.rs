//! Bodies that are small on the wire and large when read, stored or shown again.
//!
//! The worst that the bounds let through: as many values as a record may have, as many records as a
//! request, bodies that do not compress; alone, and four at once.

use std::fmt::Write as _;

use super::{Case, Expect, intake, repeated, request};
use crate::random::Random;

/// The largest body that is taken, with some room for the rest.
const BODY: usize = 7 << 20;
/// Requests at once.
const CROWD: u64 = 4;

/// `count` times `unit` as a list.
fn list(unit: &str, count: usize) -> String {
    let mut list = format!("[{}", format!("{unit},").repeat(count));
    list.pop();
    list.push(']');
    list
}

/// A line of an alert that is `id` and more.
fn line(id: &str, more: &str) -> String {
    format!("{{\"title\":\"m\",\"severity\":\"low\",\"id\":\"{id}\",{more}}}\n")
}

/// As many lines as a body holds, up to `most`.
fn lines(most: usize, mut one: impl FnMut(usize) -> String) -> Vec<u8> {
    let mut body = String::new();
    for number in 0..most {
        let line = one(number);
        if body.len() + line.len() > BODY {
            break;
        }
        body.push_str(&line);
    }
    body.into_bytes()
}

/// Hexadecimal digits that compress to half and no further.
fn noise(random: &mut Random, digits: usize) -> String {
    let mut text = String::with_capacity(digits + 16);
    while text.len() < digits {
        let _ = write!(text, "{:016x}", random.next());
    }
    text.truncate(digits);
    text
}

/// Alerts of random text of this length, as many as a request holds.
fn noisy(seed: u64, digits: usize) -> Vec<u8> {
    let mut random = Random::new(seed);
    lines(20_000, |number| {
        let text = noise(&mut random, digits);
        line(&format!("noise-{seed}-{number}"), &format!("\"description\":\"{text}\""))
    })
}

/// Alerts that each hold as many objects as a record may.
fn objects(seed: u64) -> Vec<u8> {
    let unit = list("{\"a\":0}", 49_900);
    lines(100, |number| line(&format!("objects-{seed}-{number}"), &format!("\"x\":{unit}")))
}

/// All cases.
pub(super) fn cases() -> Vec<Case> {
    use Expect::{Done, Refused, Tolerated};
    let record = |unit: &str, count| format!("\"x\":{}", list(unit, count));
    let several = |name: &str, unit: &'static str, count| {
        let more = record(unit, count);
        intake(&format!("memory: {name}"), Refused, move || {
            lines(100, |number| line(&format!("{unit}-{number}"), &more))
        })
        .lines()
    };
    let tiny =
        |seed: u64| lines(20_000, |number| line(&format!("tiny-{seed}-{number}"), "\"a\":0"));
    let shown = "/v1.0/security/alerts_v2?$top=500&$orderby=id%20desc";
    let read = |name: &str, path: &str| request(name, "GET", path, Done, Vec::new).within(30);
    vec![
        several("records of very many objects", "{\"a\":0}", 500_000).within(5),
        several("records of very many lists", "[0]", 1_000_000).within(5),
        several("records of very many numbers", "0", 2_000_000).within(5),
        intake("memory: an incident of a million alerts", Refused, || {
            format!("{{\"incidentWebUrl\":\"x\",\"alerts\":{}}}", list("{}", 1_000_000)).into()
        })
        .within(5),
        intake("memory: incidents of very many alerts", Refused, || {
            let one = format!("{{\"incidentWebUrl\":\"x\",\"alerts\":{}}}\n", list("{}", 90_000));
            lines(100, |_| one.clone())
        })
        .lines()
        .within(10),
        intake("memory: an incident of alerts and a long name", Tolerated, || {
            let (name, alerts) = ("x".repeat(3 << 20), list("{\"title\":\"a\"}", 15_000));
            format!("{{\"incidentWebUrl\":\"x\",\"displayName\":\"{name}\",\"alerts\":{alerts}}}")
                .into()
        })
        .within(20),
        intake("memory: objects up to the bound", Done, || objects(0)).lines().within(10),
        intake("memory: very many small alerts", Done, move || tiny(0)).lines().within(10),
        intake("memory: alerts that do not compress", Done, || noisy(1, 700)).lines().within(15),
        intake("memory: long alerts that do not compress", Done, || noisy(2, 1_000_000))
            .lines()
            .within(10),
        intake("memory: evidence up to the bound", Done, || {
            let evidence = list("{\"url\":\"//a\"}", 10_000);
            lines(40, |number| {
                line(&format!("evidence-{number}"), &format!("\"evidence\":{evidence}"))
            })
        })
        .lines()
        .within(20),
        intake("memory: lines of nothing", Refused, || lines(20_000, |_| "x".repeat(700) + "\n"))
            .lines()
            .within(10),
        intake("memory: objects, four at once", Tolerated, Vec::new)
            .lines()
            .at_once(CROWD, |number| objects(number + 1))
            .within(30),
        intake("memory: noise, four at once", Tolerated, Vec::new)
            .lines()
            .at_once(CROWD, |number| noisy(number + 10, 700))
            .within(30),
        intake("memory: long noise, four at once", Tolerated, Vec::new)
            .lines()
            .at_once(CROWD, |number| noisy(number + 20, 1_000_000))
            .within(30),
        intake("memory: gzip bombs, four at once", Tolerated, Vec::new)
            .encoded("gzip")
            .at_once(CROWD, |_| super::record::gzip((0..7).map(|_| repeated(b" ", 1 << 20))))
            .within(30),
        request(
            "memory: changes, sixty-four at once",
            "PATCH",
            "/v1.0/security/incidents/1",
            Expect::ClientError,
            Vec::new,
        )
        .at_once(64, |_| list("{\"a\":0}", 130_000).into())
        .within(10),
        read("memory: the newest alerts", shown),
        read("memory: the newest alerts, four at once", shown).at_once(CROWD, |_| Vec::new()),
        read(
            "memory: incidents with their alerts",
            "/v1.0/security/incidents?$top=50&$orderby=createdDateTime%20desc&$expand=alerts",
        ),
    ]
}
