//! The large store that reading is measured on: a million alerts in a hundred thousand incidents
//! of fifty tenants, put in through the real intake and kept between runs.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Plan, drained};
use crate::alerts::Alerts;
use crate::args::Store;
use crate::http::{Client, Reply, Request, escape};
use crate::server::{App, Server};
use crate::{clock, out};

/// Tenants of the large store.
const TENANTS: u64 = 50;
/// Alerts of the large store at scale 1.
const ALERTS: u64 = 1_000_000;
/// Expert-side applications, one for each reading connection.
const READERS: usize = 8;
/// Alerts in the one large incident, and lines of its activity log at scale 1.
const LARGE_ALERTS: u64 = 1_000;
const LARGE_ROWS: u64 = 10_000;
/// Alerts a request.
const BATCH: u64 = 500;
/// A group number no ordinary alert has.
const LARGE_GROUP: u64 = 1 << 40;

/// What is in a seeded store.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Seeded {
    /// An application of each tenant.
    pub(super) apps: Vec<App>,
    /// Applications that see every tenant.
    pub(super) readers: Vec<App>,
    /// Alerts stored.
    pub(super) alerts: u64,
    /// The incident of a thousand alerts, in the first tenant.
    pub(super) large_incident: String,
    /// When seeding began and ended, in seconds since 1970.
    pub(super) began: i64,
    /// See `began`.
    pub(super) ended: i64,
    /// How long it took to store and correlate everything, in seconds.
    pub(super) took: f64,
}

/// Where the seeded store of this size is kept.
pub(super) fn place(plan: &Plan, store: Store) -> PathBuf {
    plan.seed_dir.join(format!("{}-{}", store.name(), plan.scaled(ALERTS)))
}

/// What is in the seeded store at `dir`; none when there is no complete one.
pub(super) fn read(dir: &Path) -> Option<Seeded> {
    let text = std::fs::read(dir.join("seed.json")).ok()?;
    serde_json::from_slice(&text).ok()
}

/// Copies a seeded store that nothing runs on.
pub(super) fn copy(from: &Path, to: &Path) -> Result<(), String> {
    let source = from.join(".");
    let done = Command::new("cp")
        .args(["-a", "--reflink=auto"])
        .arg(&source)
        .arg(to)
        .status()
        .map_err(|error| format!("cp: {error}"))?;
    if done.success() { Ok(()) } else { Err(format!("copying {} failed", from.display())) }
}

/// Makes the seeded store.
pub(super) async fn make(plan: &Plan, store: Store, dir: &Path) -> Result<Seeded, String> {
    // What is there without its last file was interrupted.
    let _ = std::fs::remove_dir_all(dir);
    std::fs::create_dir_all(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    let (install, _cluster) = super::place(plan, store, dir).await?;
    install.init(None).await?;
    let (mut apps, mut readers) = (Vec::new(), Vec::new());
    for number in 0..TENANTS {
        let tenant = install.tenant_add(&format!("Alder Freight {number}")).await?;
        apps.push(install.app_add(Some(&tenant), "lab").await?);
    }
    for number in 0..READERS {
        readers.push(install.app_add(None, &format!("reader {number}")).await?);
    }
    let mut server = install.serve_ready(&dir.join("seed.log")).await?;
    let mut tokens = Vec::new();
    for app in &apps {
        tokens.push(server.token(app).await?);
    }
    let all = [server.token(readers.first().ok_or("no readers")?).await?];
    let (began, started) = (clock::now_seconds(), Instant::now());
    let alerts = fill(plan, &server, &tokens).await?;
    drained(&server, &all, Duration::from_hours(1)).await.ok_or("correlation does not catch up")?;
    let took = started.elapsed().as_secs_f64();
    out::note(&format!("seeded {alerts} alerts in {took:.0} s"));
    let first = tokens.first().ok_or("no tenants")?;
    let large_incident = large(plan, &server, first, &all).await?;
    vary(&server, &tokens, &large_incident).await?;
    drained(&server, &all, Duration::from_mins(1)).await;
    let ended = clock::now_seconds();
    server.stop().await?;
    let seeded = Seeded { apps, readers, alerts, large_incident, began, ended, took };
    let text = serde_json::to_vec(&seeded).map_err(|error| error.to_string())?;
    let path = dir.join("seed.json");
    std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(seeded)
}

async fn fill(plan: &Plan, server: &Server, tokens: &[String]) -> Result<u64, String> {
    let each = (plan.scaled(ALERTS) / TENANTS).max(1);
    let batches = each.div_ceil(BATCH);
    let next = Arc::new(AtomicU64::new(0));
    let tokens: Arc<[String]> = tokens.into();
    let mut tasks = Vec::new();
    for _ in 0..4 {
        let (next, tokens, address) = (Arc::clone(&next), Arc::clone(&tokens), server.address);
        tasks.push(tokio::spawn(async move {
            let mut client = Client::new(address);
            loop {
                let turn = next.fetch_add(1, Ordering::Relaxed);
                let (tenant, batch) = (turn % TENANTS, turn / TENANTS);
                if batch >= batches {
                    return Ok::<_, String>(());
                }
                let token = tokens.get(tenant as usize).ok_or("no such tenant")?;
                let first = batch * BATCH;
                let last = (first + BATCH).min(each);
                let lines = Alerts::new(9_000 + tenant, 30).lines(first..last);
                patiently(&mut client, &Request::lines("/api/v1/alerts", token, lines.as_bytes()))
                    .await?;
                if turn % 200 == 199 {
                    out::note(&format!("seeding: {} alerts", (turn + 1) * BATCH));
                }
            }
        }));
    }
    for task in tasks {
        task.await.map_err(|error| error.to_string())??;
    }
    Ok(each * TENANTS)
}

/// Sends until it is done, waiting as long as a refusal asks for.
async fn patiently(client: &mut Client, request: &Request<'_>) -> Result<Reply, String> {
    for _ in 0..600 {
        let reply = client.send(request).await.map_err(|error| format!("seeding: {error}"))?;
        if reply.status != 429 && reply.status != 503 {
            if reply.ok() {
                return Ok(reply);
            }
            return Err(format!("seeding: {}", reply.excerpt()));
        }
        let wait = reply.header("retry-after").and_then(|text| text.parse().ok()).unwrap_or(1);
        tokio::time::sleep(Duration::from_secs(wait)).await;
    }
    Err("seeding: refused for overload again and again".to_owned())
}

/// Makes the incident with a thousand alerts and a long activity log, and gives its id.
async fn large(
    plan: &Plan,
    server: &Server,
    token: &str,
    all: &[String],
) -> Result<String, String> {
    let alerts = Alerts::new(8_000, 0);
    let mut client = Client::new(server.address);
    for batch in 0..LARGE_ALERTS / BATCH {
        let mut lines = String::new();
        for number in batch * BATCH..(batch + 1) * BATCH {
            lines.push_str(&alerts.grouped(number, LARGE_GROUP));
            lines.push('\n');
        }
        let request = Request::lines("/api/v1/alerts", token, lines.as_bytes());
        patiently(&mut client, &request).await?;
        drained(server, all, Duration::from_mins(1)).await;
    }
    let path = "/v1.0/security/incidents?$top=1&$orderby=lastUpdateDateTime%20desc";
    let page = patiently(&mut client, &Request::get(path, token)).await?;
    let id = page.json()["value"][0]["id"].as_str().map(str::to_owned);
    let id = id.ok_or("no incident after seeding")?;
    let path = format!("/v1.0/security/incidents/{}/alerts/$count", escape(&id));
    let count = patiently(&mut client, &Request::get(&path, token)).await?;
    out::note(&format!("{} alerts in the large incident", String::from_utf8_lossy(&count.body)));
    let next = Arc::new(AtomicU64::new(0));
    let rows = plan.scaled(LARGE_ROWS);
    let mut tasks = Vec::new();
    for _ in 0..4 {
        let (next, token, address) = (Arc::clone(&next), token.to_owned(), server.address);
        let path = format!("/v1.0/security/incidents/{}", escape(&id));
        tasks.push(tokio::spawn(async move {
            let mut client = Client::new(address);
            loop {
                let turn = next.fetch_add(1, Ordering::Relaxed);
                if turn >= rows {
                    return Ok::<_, String>(());
                }
                let body = json!({ "customTags": [format!("step {turn}")] }).to_string();
                let request = Request::json("PATCH", &path, &token, body.as_bytes());
                patiently(&mut client, &request).await?;
            }
        }));
    }
    for task in tasks {
        task.await.map_err(|error| error.to_string())??;
    }
    Ok(id)
}

/// Classifies, resolves and tags some incidents of every tenant, so that filters select.
async fn vary(server: &Server, tokens: &[String], except: &str) -> Result<(), String> {
    let changes = [
        json!({ "status": "resolved", "classification": "truePositive", "determination": "malware" }),
        json!({ "classification": "falsePositive", "determination": "notMalicious" }),
        json!({ "status": "inProgress", "assignedTo": "ada@alder.example" }),
        json!({ "customTags": ["reviewed"] }),
    ];
    let mut client = Client::new(server.address);
    for token in tokens {
        let path = "/v1.0/security/incidents?$top=40";
        let page = patiently(&mut client, &Request::get(path, token)).await?.json();
        let rows = page["value"].as_array().map(Vec::as_slice).unwrap_or_default();
        let ids = rows.iter().filter_map(|row| row["id"].as_str()).filter(|id| *id != except);
        for (change, id) in changes.iter().cycle().zip(ids) {
            let path = format!("/v1.0/security/incidents/{}", escape(id));
            let body = Value::to_string(change);
            let request = Request::json("PATCH", &path, token, body.as_bytes());
            patiently(&mut client, &request).await?;
        }
    }
    Ok(())
}
