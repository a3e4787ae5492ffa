//! Bad input against a live server: every case has the answer it must get, a time and a memory
//! limit, and the server must serve as before at the end.
//!
//! Covered here: intake, compression, JSON, OData, changes, sign-in and HTTP itself. Not here:
//! files, mail, webhooks, rules, and what needs a browser.

#[cfg(test)]
mod checker_tests;
mod corpus;
mod raw;
mod timing;

pub(crate) use timing::set_up;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::alerts::Alerts;
use crate::args::{self, Args, Store};
use crate::crash::Observer;
use crate::http::{Client, Failure, Reply, Request};
use crate::out;
use crate::postgres::Cluster;
use crate::server::{App, Install, Scratch, Server};
pub(crate) use corpus::STORM;
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
    /// The peak and the time of each case, for people.
    pub(crate) costs: Vec<Cost>,
}

/// What one case cost.
#[derive(Debug)]
pub(crate) struct Cost {
    name: String,
    peak_kib: u64,
    took: Duration,
}

impl Report {
    /// The eight cases that raised memory most above idle, and the eight that took longest.
    fn worst(&self) -> Value {
        let first = |mut costs: Vec<&Cost>, key: fn(&Cost) -> u64| {
            costs.sort_by_key(|cost| std::cmp::Reverse(key(cost)));
            let shown = costs.into_iter().take(8);
            shown.map(|cost| json!([cost.name, key(cost)])).collect::<Vec<_>>()
        };
        let idle = self.idle_kib;
        let mut memory = first(self.costs.iter().collect(), |cost| cost.peak_kib / 1_024);
        for row in &mut memory {
            row[1] = json!(row[1].as_u64().unwrap_or(0).saturating_sub(idle / 1_024));
        }
        let time = first(self.costs.iter().collect(), |cost| cost.took.as_millis() as u64);
        json!({ "riseMb": memory, "ms": time })
    }
}

/// The server under test, as far as a case sees it.
pub(crate) struct Subject<'a> {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// A token that may do everything a customer's may.
    pub(crate) token: String,
    /// The tenant of the token.
    pub(crate) tenant_id: String,
    /// Resident memory now and its peak since it was asked for last, in KiB.
    pub(crate) memory: Box<dyn Fn() -> (u64, u64) + 'a>,
}

/// Runs the corpus as the command line says; `false` when anything was not as it must be.
pub(crate) async fn run(mut args: Args) -> Result<bool, String> {
    let riposte: PathBuf = args.text("--riposte")?.ok_or("hostile needs --riposte PATH")?.into();
    let stores = args::stores(&args.value("--store", "sqlite".to_owned())?)?;
    let scratch: PathBuf = args.value("--scratch", std::env::temp_dir())?;
    let storm = args.value("--storm", STORM)?;
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
        let report = Box::pin(against(&server, &app, storm)).await?;
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
            "worst": report.worst(),
        }));
        let timing = Install::new(&riposte, &scratch.path.join("timing"), None)
            .with("RIPOSTE_TRUSTED_PROXIES", "127.0.0.1");
        drop(cluster);
        // A store that the corpus did not fill.
        let cluster = match store {
            Store::Sqlite => None,
            Store::Postgres => Some(Cluster::start(&scratch.path.join("pg2"), false).await?),
        };
        let timing = match &cluster {
            None => timing,
            Some(cluster) => timing.on(cluster.url()),
        };
        let pairs = Box::pin(timing::measure(&timing, &scratch.path.join("timing.log"))).await?;
        for pair in pairs {
            let ok = pair.gap() < timing::APART_MS && pair.betrayed.is_none();
            clean &= ok;
            if let Some(said) = &pair.betrayed {
                out::note(&format!("FAILED {} is told by its answer: {said}", pair.what));
            }
            out::result(&json!({
                "id": "timing",
                "what": pair.what,
                "store": store.name(),
                "value": pair.gap(),
                "unit": "ms between medians",
                "floor": timing::APART_MS,
                "there": pair.medians.0,
                "notThere": pair.medians.1,
                "ok": ok,
            }));
        }
    }
    Ok(clean)
}

/// Sends the corpus to a running server.
pub(crate) async fn against(server: &Server, app: &App, storm: u64) -> Result<Report, String> {
    let token = server.token(app).await?;
    let memory = || {
        let usage = server.usage();
        server.reset_peak();
        (usage.rss_kib, usage.peak_kib)
    };
    let subject = Subject {
        address: server.address,
        token: token.clone(),
        tenant_id: app.tenant_id.clone(),
        memory: Box::new(memory),
    };
    let idle_kib = (subject.memory)().0;
    let incident = an_incident(server.address, &token).await?;
    // Looks at all alerts, so it comes while there are few.
    let bomb = no_world_incident(server.address, &token).await;
    let cases = corpus::cases(&incident, storm).into_iter().chain(raw::cases(&token));
    let mut report = Box::pin(all(&subject, idle_kib, cases)).await?;
    if let Err(reason) = bomb {
        report.failures.push(format!("correlation bomb: {reason}"));
    }
    if let Err(reason) = still_serves(server.address, &token).await {
        report.failures.push(format!("afterwards: {reason}"));
    }
    report.cases += 2;
    report.peak_kib = report.peak_kib.max((subject.memory)().1);
    Ok(report)
}

/// Tries all cases, one after the other, on a server whose memory was so much when idle.
async fn all(
    subject: &Subject<'_>,
    idle_kib: u64,
    cases: impl Iterator<Item = Case>,
) -> Result<Report, String> {
    let mut report = Report { idle_kib, ..Report::default() };
    for case in cases {
        (subject.memory)();
        let started = Instant::now();
        let verdict = Box::pin(try_case(subject, &case)).await;
        let took = started.elapsed();
        let (now_kib, peak_kib) = (subject.memory)();
        report.cases += 1;
        // Memory once taken may stay with the process, so only the case that raised it is named.
        let raised = peak_kib > report.peak_kib + STEP_KIB;
        report.peak_kib = report.peak_kib.max(peak_kib);
        let mut say = |what: String| report.failures.push(format!("{}: {what}", case.name));
        if let Err(reason) = verdict {
            say(reason);
        }
        if took > case.limit {
            say(format!("took {} ms, limit {} ms", took.as_millis(), case.limit.as_millis()));
        }
        if raised && peak_kib > report.idle_kib + RISE_KIB {
            let rise = (peak_kib - report.idle_kib) / 1_024;
            say(format!("memory rose by {rise} MB"));
        }
        if now_kib == 0 {
            return Err(format!("{}: the server is gone", case.name));
        }
        report.costs.push(Cost { name: case.name, peak_kib, took });
    }
    Ok(report)
}

async fn try_case(subject: &Subject<'_>, case: &Case) -> Result<(), String> {
    match &case.send {
        Send::Http { method, path, content_type, headers, token: own, body } => {
            let path = path.replace("{tenant}", &subject.tenant_id);
            let token = own.as_deref().unwrap_or(&subject.token);
            let mut replies = JoinSet::new();
            for number in 0..case.at_once.max(1) {
                let (body, path, token) = (body(number), path.clone(), token.to_owned());
                let (method, content_type, headers) = (*method, *content_type, headers.clone());
                let mut client = Client::new(subject.address).patient(case.limit + PATIENCE);
                replies.spawn(async move {
                    let (path, token, headers, body) = (&path, &token, &headers, &body);
                    let request = Request { method, path, token, content_type, headers, body };
                    client.send(&request).await
                });
            }
            while let Some(reply) = replies.join_next().await {
                let reply = reply.map_err(|error| error.to_string())?;
                judge(case.expect, case.at_once > 1, &reply)?;
            }
            Ok(())
        }
        Send::Raw(talk) => {
            for _ in 0..talk.times {
                let answer = raw::talk(subject.address, talk).await;
                raw::judge(case.expect, &answer)?;
            }
            // Whatever was left hanging must be in nobody's way.
            let ready = Client::new(subject.address)
                .patient(Duration::from_secs(5))
                .get("/readyz", "")
                .await
                .map_err(|error| format!("readyz afterwards: {error}"))?;
            if ready.ok() { Ok(()) } else { Err(format!("readyz afterwards: {}", ready.status)) }
        }
    }
}

/// Whether a reply is the one a case must get. Too much at once may be put off with 503 and a time
/// to come back; a single input never.
fn judge(expect: Expect, at_once: bool, reply: &Result<Reply, Failure>) -> Result<(), String> {
    let reply = match reply {
        Ok(reply) => reply,
        // Too large a request may be answered by closing while it is still being sent.
        Err(Failure::Unknown(_)) if expect == Expect::RefusedOrClosed => return Ok(()),
        Err(error) => return Err(error.to_string()),
    };
    let body = reply.json();
    if at_once && reply.status == 503 && reply.header("retry-after").is_some() {
        return Ok(());
    }
    if reply.status >= 500 {
        return Err(format!("answered {}", reply.excerpt()));
    }
    // The HTTP layer itself refuses a head that is too large, before any JSON can be made.
    let too_large_head = reply.status == 414 || reply.status == 431;
    if reply.status >= 400 && body["error"].is_null() && !too_large_head {
        return Err(format!("answered without a JSON error: {}", reply.excerpt()));
    }
    if reply.ok() && !body["received"].is_null() {
        accounted(&body)?;
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
        Expect::Bad | Expect::GoodThenBad | Expect::Cut | Expect::Answered => false,
    };
    if held { Ok(()) } else { Err(format!("expected {expect:?}, answered {}", reply.excerpt())) }
}

/// Whether an answer of intake accounts for every record: the counts add up, and each record that
/// was not stored is named with its reason, up to the thousand that are listed.
fn accounted(body: &Value) -> Result<(), String> {
    let count = |name: &str| body[name].as_u64().unwrap_or(0);
    let kept = count("accepted") + count("duplicates");
    let left = count("rejected") + count("ignored");
    let errors = body["errors"].as_array().map_or(&[][..], Vec::as_slice);
    let named = |error: &Value| {
        error["index"].is_u64() && error["message"].as_str().is_some_and(|text| !text.is_empty())
    };
    if count("received") != kept + left {
        return Err(format!("received {} but {kept} kept and {left} not", count("received")));
    }
    if errors.len() as u64 != left.min(1_000) || !errors.iter().all(named) {
        return Err(format!("{left} records not kept, {} named with a reason", errors.len()));
    }
    Ok(())
}

/// Stores one good alert and waits for its incident.
async fn an_incident(address: SocketAddr, token: &str) -> Result<String, String> {
    let alerts = Alerts::new(600, 0);
    let mut client = Client::new(address);
    let reply = client
        .post("/api/v1/alerts", token, alerts.body(0).as_bytes())
        .await
        .map_err(|error| error.to_string())?;
    if !reply.ok() {
        return Err(format!("a good alert is refused: {}", reply.excerpt()));
    }
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(30) {
        let seen = Observer::new(address, token, &[]).alerts().await?;
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
async fn no_world_incident(address: SocketAddr, token: &str) -> Result<(), String> {
    let lines = corpus::correlation_bomb(100);
    let reply = Client::new(address)
        .post_lines("/api/v1/alerts", token, lines.as_bytes())
        .await
        .map_err(|error| error.to_string())?;
    if !reply.ok() || reply.json()["accepted"] != 100 {
        return Err(format!("answered {}", reply.excerpt()));
    }
    let started = Instant::now();
    loop {
        let seen = Observer::new(address, token, &[]).alerts().await?;
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

async fn still_serves(address: SocketAddr, token: &str) -> Result<(), String> {
    let mut client = Client::new(address).patient(Duration::from_secs(10));
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
