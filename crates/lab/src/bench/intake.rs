//! P1 to P3: alerts in, one by one and in batches, and how soon their incidents are seen.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{Goal, Plan, World, backlog, drained, rounded};
use crate::alerts::Alerts;
use crate::args::Store;
use crate::histogram::Histogram;
use crate::http::Client;
use crate::server::Server;
use crate::stream::{self, Stream};

/// Time before anything is counted.
const WARM_UP: Duration = Duration::from_secs(3);
/// How long correlation may take to catch up.
const DRAIN_PATIENCE: Duration = Duration::from_mins(5);

/// What a load came to.
#[derive(Debug, Default)]
pub(super) struct Load {
    /// Alerts acknowledged in the counted time.
    pub(super) alerts: u64,
    /// Requests that were not answered with 2xx and all alerts stored.
    pub(super) failures: u64,
    /// The first of them.
    pub(super) first_failure: Option<String>,
    /// Time to answer.
    pub(super) latency: Histogram,
    /// The counted time.
    pub(super) seconds: f64,
    /// The server's processor time in the counted time, in milliseconds.
    pub(super) cpu_ms: u64,
}

/// A stream of alerts for each tenant, shared by its connections.
#[derive(Debug)]
pub(super) struct Sources {
    streams: Vec<(Alerts, AtomicU64)>,
}

impl Sources {
    /// Streams of this seed.
    pub(super) fn new(seed: u64, tenants: usize) -> Arc<Self> {
        let streams = (0..tenants as u64)
            .map(|tenant| (Alerts::new(seed * 1_000 + tenant, 0), AtomicU64::new(0)))
            .collect();
        Arc::new(Self { streams })
    }

    fn take(&self, tenant: usize, count: u64) -> String {
        let Some((alerts, next)) = self.streams.get(tenant % self.streams.len().max(1)) else {
            return String::new();
        };
        let first = next.fetch_add(count, Ordering::Relaxed);
        if count == 1 {
            return alerts.body(first);
        }
        alerts.lines(first..first + count)
    }
}

/// Posts as fast as answers come: `batch` alerts a request over `connections` connections.
pub(super) async fn load(
    server: &Server,
    tokens: &[String],
    sources: &Arc<Sources>,
    connections: usize,
    batch: u64,
    duration: Duration,
) -> Result<Load, String> {
    let begin = Instant::now() + WARM_UP;
    let end = begin + duration;
    // Dropping the set ends the connections, should the caller give up early.
    let mut tasks = JoinSet::new();
    for connection in 0..connections {
        let tenant = connection % tokens.len().max(1);
        let token = tokens.get(tenant).cloned().ok_or("no tenants")?;
        let (sources, address) = (Arc::clone(sources), server.address);
        tasks.spawn(async move {
            let mut client = Client::new(address);
            let mut load = Load::default();
            loop {
                let body = sources.take(tenant, batch);
                let sent = Instant::now();
                if sent >= end {
                    return load;
                }
                let reply = if batch == 1 {
                    client.post("/api/v1/alerts", &token, body.as_bytes()).await
                } else {
                    client.post_lines("/api/v1/alerts", &token, body.as_bytes()).await
                };
                let done = Instant::now();
                // Only what is answered within the counted time is counted.
                if done < begin || done > end {
                    continue;
                }
                match reply {
                    Ok(reply) if reply.ok() => {
                        load.latency.add(done - sent);
                        load.alerts += if batch == 1 { 1 } else { accepted(&reply.body) };
                    }
                    other => {
                        load.failures += 1;
                        load.first_failure.get_or_insert_with(|| match other {
                            Ok(reply) => reply.excerpt(),
                            Err(error) => error.to_string(),
                        });
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                }
            }
        });
    }
    tokio::time::sleep_until(begin.into()).await;
    let before = server.usage().cpu_ms;
    tokio::time::sleep_until(end.into()).await;
    let mut total = Load {
        seconds: duration.as_secs_f64(),
        cpu_ms: server.usage().cpu_ms.saturating_sub(before),
        ..Load::default()
    };
    while let Some(load) = tasks.join_next().await {
        let load = load.map_err(|error| error.to_string())?;
        total.alerts += load.alerts;
        total.failures += load.failures;
        total.first_failure = total.first_failure.or(load.first_failure);
        total.latency.merge(&load.latency);
    }
    Ok(total)
}

fn accepted(body: &[u8]) -> u64 {
    serde_json::from_slice::<Value>(body)
        .ok()
        .and_then(|reply| reply["accepted"].as_u64())
        .unwrap_or(0)
}

async fn described(world: &World, load: &Load) -> Value {
    let server = &world.server;
    let left = backlog(server, &world.tokens).await;
    let drain = drained(server, &world.tokens, DRAIN_PATIENCE).await;
    let usage = server.usage();
    json!({
        "p50": load.latency.percentile(50.0),
        "p99": load.latency.percentile(99.0),
        "max": load.latency.max(),
        "failures": load.failures,
        "firstFailure": load.first_failure,
        "backlogAtEnd": left,
        "drainSeconds": drain.map(|time| rounded(time.as_secs_f64())),
        "serverCpuMsPerAlert": rounded(load.cpu_ms as f64 / load.alerts.max(1) as f64),
        "peakRssMb": usage.peak_kib / 1_024,
    })
}

/// P1: one alert a request over 32 connections.
pub(super) async fn singles(plan: &Plan, store: Store, world: &World) -> Result<Value, String> {
    let goal = Goal { id: "P1", unit: "alerts/s", floor: 4e3, target: 12e3, more_is_better: true };
    let sources = Sources::new(1, world.tokens.len());
    let load = load(&world.server, &world.tokens, &sources, 32, 1, plan.duration()).await?;
    let quick = load.latency.percentile(99.0) <= 25.0 && load.failures == 0;
    let rate = load.alerts as f64 / load.seconds;
    Ok(goal.row(store, rate, quick, described(world, &load).await))
}

/// P2: batches of 500 as NDJSON over four connections.
pub(super) async fn batches(plan: &Plan, store: Store, world: &World) -> Result<Value, String> {
    let goal = Goal { id: "P2", unit: "alerts/s", floor: 12e3, target: 40e3, more_is_better: true };
    let sources = Sources::new(2, world.tokens.len());
    let load = load(&world.server, &world.tokens, &sources, 4, 500, plan.duration()).await?;
    let rate = load.alerts as f64 / load.seconds;
    Ok(goal.row(store, rate, load.failures == 0, described(world, &load).await))
}

/// P3: at 1,000 alerts a second, from the moment an alert should leave until an event says that
/// it is part of an incident.
pub(super) async fn visible(plan: &Plan, store: Store, world: &World) -> Result<Value, String> {
    let goal =
        Goal { id: "P3", unit: "ms p99", floor: 250.0, target: 100.0, more_is_better: false };
    let token = world.tokens.first().ok_or("no tenants")?;
    let address = world.server.address;
    let mut stream = Stream::open(address, "/api/v1/events", token).await?;
    let reader = tokio::spawn(async move {
        let mut seen: HashMap<String, Instant> = HashMap::new();
        while let Ok(event) = stream.next().await {
            if event.kind == "incident.opened" || event.kind == "incident.grew" {
                let now = Instant::now();
                for id in stream::alert_ids(&event.data) {
                    seen.entry(id).or_insert(now);
                }
            }
        }
        seen
    });
    let sent = paced(address, token, 1_000, 16, plan.duration()).await?;
    drained(&world.server, &world.tokens, Duration::from_mins(1)).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    // The reader ends with its connection, and that with the server.
    let mut observed = crate::crash::Observer::new(address, token, &[]);
    let alerts = observed.alerts().await?;
    let mut latency = Histogram::default();
    let failed = sent.iter().filter(|(_, _, ok)| !ok).count();
    let by_source: HashMap<&str, Instant> =
        sent.iter().map(|(id, at, _)| (id.as_str(), *at)).collect();
    let usage = world.server.usage();
    world.server.interrupt().await?;
    let seen = tokio::time::timeout(Duration::from_secs(20), reader)
        .await
        .map_err(|_| "the event stream outlives the server")?
        .map_err(|error| error.to_string())?;
    let mut missing = 0;
    for alert in &alerts {
        let Some(sent) = by_source.get(alert.source_id.as_str()) else { continue };
        match seen.get(&alert.id) {
            Some(at) => latency.add(at.saturating_duration_since(*sent)),
            None => missing += 1,
        }
    }
    let whole = failed == 0 && missing == 0 && latency.count() > 0;
    let details = json!({
        "p50": latency.percentile(50.0),
        "max": latency.max(),
        "rate": 1_000,
        "measured": latency.count(),
        "neverSeen": missing,
        "failures": failed,
        "peakRssMb": usage.peak_kib / 1_024,
    });
    Ok(goal.row(store, latency.percentile(99.0), whole, details))
}

type Sent = (String, Instant, bool);

/// Posts single alerts at a fixed rate, whether or not answers keep up; times are those at which
/// an alert was due, so that a stall counts for every alert it held up.
async fn paced(
    address: SocketAddr,
    token: &str,
    rate: u32,
    connections: u32,
    duration: Duration,
) -> Result<Vec<Sent>, String> {
    let step = Duration::from_secs(1) / rate;
    let start = Instant::now() + Duration::from_millis(100);
    let total = u64::from(rate) * duration.as_secs();
    let mut tasks = Vec::new();
    for connection in 0..connections {
        let token = token.to_owned();
        tasks.push(tokio::spawn(async move {
            let alerts = Alerts::new(3, 0);
            let mut client = Client::new(address);
            let mut sent: Vec<Sent> = Vec::new();
            for number in (u64::from(connection)..total).step_by(connections as usize) {
                let body = alerts.body(number);
                let due = start + step * u32::try_from(number).unwrap_or(u32::MAX);
                tokio::time::sleep_until(due.into()).await;
                let reply = client.post("/api/v1/alerts", &token, body.as_bytes()).await;
                sent.push((alerts.id(number), due, reply.is_ok_and(|reply| reply.ok())));
            }
            sent
        }));
    }
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await.map_err(|error| error.to_string())?);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trivial::{self, Responder};

    #[tokio::test]
    async fn a_paced_load_keeps_its_rate() {
        let server = Responder::start(|_| trivial::json(200, "{}")).await.unwrap();
        let started = Instant::now();
        let sent = paced(server.address, "t", 200, 4, Duration::from_secs(1)).await.unwrap();
        assert_eq!(sent.len(), 200);
        assert!(sent.iter().all(|(_, _, ok)| *ok));
        assert!(started.elapsed() >= Duration::from_millis(900));
    }
}
