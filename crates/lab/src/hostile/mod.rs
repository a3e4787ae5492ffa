//! Bad input against a live server: every case has the answer it must get, a time and a memory
//! limit, and the server must serve as before at the end.
//!
//! Covered here: intake, compression, JSON, OData, changes, sign-in and HTTP itself. Not here:
//! files, mail, webhooks, rules, and what needs a browser.

mod corpus;
mod raw;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::alerts::Alerts;
use crate::args::{self, Args, Store};
use crate::crash::Observer;
use crate::http::{Client, Failure, Reply, Request};
use crate::out;
use crate::postgres::Cluster;
use crate::server::{App, Install, Scratch, Server};
use corpus::{Case, Expect, Send};

/// How far memory may rise above idle, in KiB.
const RISE_KIB: u64 = 256 * 1_024;
/// A smaller rise of the peak is not blamed on a case, in KiB.
const STEP_KIB: u64 = 8 * 1_024;
/// How long any answer is waited for, beyond a case's own limit.
const PATIENCE: Duration = Duration::from_mins(1);

/// How the corpus went.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Cases tried.
    pub(crate) cases: usize,
    /// What was not as it must be.
    pub(crate) failures: Vec<String>,
    /// Resident memory before the first case, in KiB.
    pub(crate) idle_kib: u64,
    /// The peak of resident memory over all cases, in KiB.
    pub(crate) peak_kib: u64,
}

/// Runs the corpus as the command line says; `false` when anything was not as it must be.
pub(crate) async fn run(mut args: Args) -> Result<bool, String> {
    let riposte: PathBuf = args.text("--riposte")?.ok_or("hostile needs --riposte PATH")?.into();
    let stores = args::stores(&args.value("--store", "sqlite".to_owned())?)?;
    let scratch: PathBuf = args.value("--scratch", std::env::temp_dir())?;
    args.finish()?;
    let mut clean = true;
    for store in stores {
        let scratch = Scratch::new(&scratch, &format!("hostile-{}", store.name()), false)?;
        let cluster = match store {
            Store::Sqlite => None,
            Store::Postgres => Some(Cluster::start(&scratch.path.join("pg"), false).await?),
        };
        let url = cluster.as_ref().map(Cluster::url);
        let install = Install::new(&riposte, &scratch.path.join("data"), url);
        install.init(None).await?;
        let tenant = install.tenant_add("Alder Freight").await?;
        let app = install.app_add(Some(&tenant), "lab").await?;
        let mut server = install.serve_ready(&scratch.path.join("server.log")).await?;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let report = Box::pin(against(&server, &app)).await?;
        server.stop().await?;
        for failure in &report.failures {
            out::note(&format!("FAILED {failure}"));
        }
        clean &= report.failures.is_empty();
        out::result(&json!({
            "id": "hostile",
            "store": store.name(),
            "value": report.failures.len(),
            "unit": "failures",
            "floor": 0,
            "target": 0,
            "ok": report.failures.is_empty(),
            "cases": report.cases,
            "idleMb": report.idle_kib / 1_024,
            "peakMb": report.peak_kib / 1_024,
        }));
    }
    Ok(clean)
}

/// Sends the corpus to a running server.
pub(crate) async fn against(server: &Server, app: &App) -> Result<Report, String> {
    let token = server.token(app).await?;
    let mut report = Report { idle_kib: server.usage().rss_kib, ..Report::default() };
    let incident = an_incident(server, &token).await?;
    for case in corpus::cases(&incident).into_iter().chain(raw::cases(&token)) {
        server.reset_peak();
        let started = Instant::now();
        let verdict = Box::pin(try_case(server, &token, app, &case)).await;
        let (took, usage) = (started.elapsed(), server.usage());
        report.cases += 1;
        // Memory once taken may stay with the process, so only the case that raised it is named.
        let raised = usage.peak_kib > report.peak_kib + STEP_KIB;
        report.peak_kib = report.peak_kib.max(usage.peak_kib);
        let mut say = |what: String| report.failures.push(format!("{}: {what}", case.name));
        if let Err(reason) = verdict {
            say(reason);
        }
        if took > case.limit {
            say(format!("took {} ms, limit {} ms", took.as_millis(), case.limit.as_millis()));
        }
        if raised && usage.peak_kib > report.idle_kib + RISE_KIB {
            let rise = (usage.peak_kib - report.idle_kib) / 1_024;
            say(format!("memory rose by {rise} MB"));
        }
        if usage.rss_kib == 0 {
            return Err(format!("{}: the server is gone", case.name));
        }
    }
    if let Err(reason) = no_world_incident(server, &token).await {
        report.failures.push(format!("correlation bomb: {reason}"));
    }
    if let Err(reason) = still_serves(server, &token).await {
        report.failures.push(format!("afterwards: {reason}"));
    }
    report.cases += 2;
    report.peak_kib = report.peak_kib.max(server.usage().peak_kib);
    Ok(report)
}

async fn try_case(server: &Server, token: &str, app: &App, case: &Case) -> Result<(), String> {
    match &case.send {
        Send::Http { method, path, content_type, headers, token: own, body } => {
            let body = body();
            let path = path.replace("{tenant}", &app.tenant_id);
            let token = own.as_deref().unwrap_or(token);
            let request =
                Request { method, path: &path, token, content_type, headers, body: &body };
            let mut client = Client::new(server.address).patient(case.limit + PATIENCE);
            judge(case.expect, &client.send(&request).await)
        }
        Send::Raw(talk) => {
            for _ in 0..talk.times {
                let answer = raw::talk(server.address, talk).await;
                raw::judge(case.expect, &answer)?;
            }
            // Whatever was left hanging must be in nobody's way.
            let ready = Client::new(server.address)
                .patient(Duration::from_secs(5))
                .get("/readyz", "")
                .await
                .map_err(|error| format!("readyz afterwards: {error}"))?;
            if ready.ok() { Ok(()) } else { Err(format!("readyz afterwards: {}", ready.status)) }
        }
    }
}

/// Whether a reply is the one a case must get.
fn judge(expect: Expect, reply: &Result<Reply, Failure>) -> Result<(), String> {
    let reply = match reply {
        Ok(reply) => reply,
        // Too large a request may be answered by closing while it is still being sent.
        Err(Failure::Unknown(_)) if expect == Expect::RefusedOrClosed => return Ok(()),
        Err(error) => return Err(error.to_string()),
    };
    let body = reply.json();
    if reply.status >= 500 {
        return Err(format!("answered {}", reply.excerpt()));
    }
    // The HTTP layer itself refuses a head that is too large, before any JSON can be made.
    let too_large_head = reply.status == 414 || reply.status == 431;
    if reply.status >= 400 && body["error"].is_null() && !too_large_head {
        return Err(format!("answered without a JSON error: {}", reply.excerpt()));
    }
    let client_error = (400..500).contains(&reply.status);
    let nothing_stored =
        reply.ok() && body["accepted"] == 0 && body["duplicates"] == 0 && !body["errors"].is_null();
    let held = match expect {
        Expect::ClientError => client_error,
        Expect::Unauthorised => reply.status == 401,
        Expect::Refused | Expect::RefusedOrClosed => client_error || nothing_stored,
        Expect::Tolerated => reply.ok() || client_error,
        Expect::Done => reply.ok(),
        Expect::Stored { accepted, rejected } => {
            reply.ok() && body["accepted"] == accepted && body["rejected"] == rejected
        }
        Expect::Cut | Expect::Answered => false,
    };
    if held { Ok(()) } else { Err(format!("expected {expect:?}, answered {}", reply.excerpt())) }
}

/// Stores one good alert and waits for its incident.
async fn an_incident(server: &Server, token: &str) -> Result<String, String> {
    let alerts = Alerts::new(600, 0);
    let mut client = Client::new(server.address);
    let reply = client
        .post("/api/v1/alerts", token, alerts.body(0).as_bytes())
        .await
        .map_err(|error| error.to_string())?;
    if !reply.ok() {
        return Err(format!("a good alert is refused: {}", reply.excerpt()));
    }
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(30) {
        let seen = Observer::new(server.address, token, &[]).alerts().await?;
        let incident = seen
            .into_iter()
            .find(|alert| alert.source_id == alerts.id(0))
            .and_then(|alert| alert.incident);
        if let Some(incident) = incident {
            return Ok(incident);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err("a good alert gets no incident within 30 s".to_owned())
}

/// A hundred alerts on as many devices share `127.0.0.1` and `SYSTEM`; they must not become one
/// incident.
async fn no_world_incident(server: &Server, token: &str) -> Result<(), String> {
    let lines = corpus::correlation_bomb(100);
    let reply = Client::new(server.address)
        .post_lines("/api/v1/alerts", token, lines.as_bytes())
        .await
        .map_err(|error| error.to_string())?;
    if !reply.ok() || reply.json()["accepted"] != 100 {
        return Err(format!("answered {}", reply.excerpt()));
    }
    let started = Instant::now();
    loop {
        let seen = Observer::new(server.address, token, &[]).alerts().await?;
        let bomb: Vec<_> =
            seen.iter().filter(|alert| alert.source_id.starts_with("bomb-")).collect();
        if bomb.len() == 100 && bomb.iter().all(|alert| alert.incident.is_some()) {
            let incidents: std::collections::HashSet<_> =
                bomb.iter().map(|alert| &alert.incident).collect();
            return if incidents.len() >= 50 {
                Ok(())
            } else {
                Err(format!("a hundred devices became {} incidents", incidents.len()))
            };
        }
        if started.elapsed() > Duration::from_mins(1) {
            return Err("not correlated within 60 s".to_owned());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn still_serves(server: &Server, token: &str) -> Result<(), String> {
    let mut client = Client::new(server.address).patient(Duration::from_secs(10));
    let good = Alerts::new(601, 0).body(0);
    let reply = client
        .post("/api/v1/alerts", token, good.as_bytes())
        .await
        .map_err(|error| error.to_string())?;
    if reply.json()["accepted"] != 1 {
        return Err(format!("a good alert: {}", reply.excerpt()));
    }
    let page = client
        .get("/v1.0/security/incidents?$top=1", token)
        .await
        .map_err(|error| error.to_string())?;
    if page.json()["value"] == Value::Null {
        return Err(format!("the queue: {}", page.excerpt()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, body: &str) -> Reply {
        Reply { status, head: String::new(), body: body.as_bytes().to_vec() }
    }

    #[test]
    fn answers_are_judged() {
        let error = r#"{"error":{"code":"BadRequest"}}"#;
        assert!(judge(Expect::ClientError, &Ok(reply(400, error))).is_ok());
        assert!(judge(Expect::ClientError, &Ok(reply(400, "bad"))).is_err());
        assert!(judge(Expect::Tolerated, &Ok(reply(500, error))).is_err());
        assert!(judge(Expect::Unauthorised, &Ok(reply(403, error))).is_err());
        let none = r#"{"accepted":0,"duplicates":0,"rejected":1,"errors":[{}]}"#;
        assert!(judge(Expect::Refused, &Ok(reply(200, none))).is_ok());
        assert!(judge(Expect::ClientError, &Ok(reply(200, none))).is_err());
        let some = r#"{"accepted":2,"duplicates":0,"rejected":1,"errors":[{}]}"#;
        assert!(judge(Expect::Refused, &Ok(reply(200, some))).is_err());
        let stored = Expect::Stored { accepted: 2, rejected: 1 };
        assert!(judge(stored, &Ok(reply(200, some))).is_ok());
        let closed = Err(Failure::Unknown("reset".to_owned()));
        assert!(judge(Expect::RefusedOrClosed, &closed).is_ok());
        assert!(judge(Expect::Refused, &closed).is_err());
    }
}
