//! P5 and P6: the queue with filters, and one large incident, on the large store.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::seed::Seeded;
use super::{Goal, Plan};
use crate::args::Store;
use crate::clock::graph_time;
use crate::crash::next_path;
use crate::histogram::Histogram;
use crate::http::{Client, escape};
use crate::random::Random;
use crate::server::Server;

/// The orders a queue is read in.
const ORDERS: [&str; 4] =
    ["", "lastUpdateDateTime desc", "createdDateTime desc", "createdDateTime asc"];

/// A query of three different filters, and which order it asks for.
fn query(random: &mut Random, seeded: &Seeded) -> (usize, String) {
    let moment = |random: &mut Random| {
        let span = u64::try_from(seeded.ended - seeded.began).unwrap_or(0);
        graph_time(seeded.began + random.below(span + 1).cast_signed())
    };
    let tenant = random.pick(&seeded.apps).map_or("", |app| app.tenant_id.as_str());
    let severity = random.pick(&["high", "medium", "low", "informational"]).copied().unwrap_or("");
    let mut filters = vec![
        random
            .pick(&[
                "status eq 'active'",
                "status eq 'resolved'",
                "(status eq 'active' or status eq 'inProgress')",
            ])
            .copied()
            .unwrap_or("")
            .to_owned(),
        format!("severity eq '{severity}'"),
        random
            .pick(&["assignedTo eq 'Defender Experts'", "assignedTo eq null"])
            .copied()
            .unwrap_or("")
            .to_owned(),
        random
            .pick(&["classification eq 'unknown'", "classification eq 'truePositive'"])
            .copied()
            .unwrap_or("")
            .to_owned(),
        "determination eq 'malware'".to_owned(),
        format!("createdDateTime ge {}", moment(random)),
        format!("lastUpdateDateTime ge {}", moment(random)),
        "customTags/any(t:t eq 'reviewed')".to_owned(),
        format!("tenantId eq '{tenant}'"),
    ];
    let mut chosen = Vec::new();
    for _ in 0..3 {
        let at = random.below(filters.len() as u64) as usize;
        chosen.push(filters.swap_remove(at));
    }
    let order = random.below(ORDERS.len() as u64) as usize;
    let mut path =
        format!("/v1.0/security/incidents?$top=50&$filter={}", escape(&chosen.join(" and ")));
    if let Some(words) = ORDERS.get(order).filter(|words| !words.is_empty()) {
        path.push_str("&$orderby=");
        path.push_str(&escape(words));
    }
    (order, path)
}

#[derive(Debug)]
struct Answers {
    latency: Vec<Histogram>,
    rows: u64,
    failures: u64,
    first_failure: Option<String>,
    slowest: (Duration, String),
}

/// P5: pages of fifty rows with three random filters, over eight connections.
pub(super) async fn queue(
    plan: &Plan,
    store: Store,
    server: &Server,
    seeded: &Seeded,
) -> Result<Value, String> {
    let goal = Goal { id: "P5", unit: "ms p99", floor: 100.0, target: 30.0, more_is_better: false };
    let begin = Instant::now() + Duration::from_secs(2);
    let end = begin + plan.duration();
    let mut tasks = Vec::new();
    for (number, reader) in seeded.readers.iter().enumerate() {
        let token = server.token(reader).await?;
        let (address, seeded) = (server.address, seeded.clone());
        tasks.push(tokio::spawn(async move {
            let mut random = Random::new(500 + number as u64);
            let mut client = Client::new(address);
            let mut answers = Answers {
                latency: vec![Histogram::default(); ORDERS.len()],
                rows: 0,
                failures: 0,
                first_failure: None,
                slowest: (Duration::ZERO, String::new()),
            };
            while Instant::now() < end {
                let (order, path) = query(&mut random, &seeded);
                let sent = Instant::now();
                let reply = client.get(&path, &token).await;
                let took = sent.elapsed();
                if sent < begin {
                    continue;
                }
                match reply {
                    Ok(reply) if reply.ok() => {
                        if let Some(latency) = answers.latency.get_mut(order) {
                            latency.add(took);
                        }
                        // Counting the rows of every reply would cost what the server needs.
                        if random.below(16) == 0 {
                            let page = reply.json();
                            answers.rows += page["value"].as_array().map_or(0, Vec::len) as u64;
                        }
                        if took > answers.slowest.0 {
                            answers.slowest = (took, path);
                        }
                    }
                    other => {
                        answers.failures += 1;
                        answers.first_failure.get_or_insert_with(|| match other {
                            Ok(reply) => format!("{path}: {}", reply.excerpt()),
                            Err(error) => format!("{path}: {error}"),
                        });
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                }
            }
            answers
        }));
    }
    let mut all = Histogram::default();
    let mut by_order = vec![Histogram::default(); ORDERS.len()];
    let (mut failures, mut first_failure, mut rows) = (0, None, 0);
    let mut slowest = (Duration::ZERO, String::new());
    for task in tasks {
        let answers = task.await.map_err(|error| error.to_string())?;
        for (sum, one) in by_order.iter_mut().zip(&answers.latency) {
            sum.merge(one);
            all.merge(one);
        }
        failures += answers.failures;
        rows += answers.rows * 16;
        first_failure = first_failure.or(answers.first_failure);
        if answers.slowest.0 > slowest.0 {
            slowest = answers.slowest;
        }
    }
    let orders: serde_json::Map<String, Value> = ORDERS
        .iter()
        .zip(&by_order)
        .map(|(name, latency)| {
            let name = if name.is_empty() { "unordered" } else { name };
            (name.to_owned(), json!(latency.percentile(99.0)))
        })
        .collect();
    let details = json!({
        "p50": all.percentile(50.0),
        "max": all.max(),
        "queriesPerSecond": all.count() / plan.seconds.max(1),
        "rowsPerPage": rows / all.count().max(1),
        "p99ByOrder": orders,
        "slowest": slowest.1,
        "failures": failures,
        "firstFailure": first_failure,
        "alerts": seeded.alerts,
        "seedSeconds": seeded.took,
        "rssMb": server.usage().rss_kib / 1_024,
    });
    Ok(goal.row(store, all.percentile(99.0), failures == 0 && all.count() > 0, details))
}

/// P6: one incident with a thousand alerts, expanded and by pages, and its activity log by pages.
pub(super) async fn incident(
    plan: &Plan,
    store: Store,
    server: &Server,
    seeded: &Seeded,
) -> Result<Value, String> {
    let goal = Goal { id: "P6", unit: "ms p99", floor: 150.0, target: 50.0, more_is_better: false };
    let app = seeded.apps.first().ok_or("no tenants")?;
    let token = server.token(app).await?;
    let id = escape(&seeded.large_incident);
    let incident = format!("/v1.0/security/incidents/{id}");
    let each = plan.duration() / 4;
    let mut details = serde_json::Map::new();
    let (mut worst, mut whole) = (0.0_f64, true);
    for (name, path, rows_wanted) in [
        ("incident", incident.clone(), None),
        ("expanded", format!("{incident}?$expand=alerts"), Some(1_000)),
        ("alerts", format!("{incident}/alerts?$top=100"), Some(1_000)),
        ("timeline", format!("/api/v1/incidents/{id}/timeline?top=100"), Some(plan.scaled(10_000))),
    ] {
        let mut client = Client::new(server.address);
        let (mut latency, mut rows, mut pages) = (Histogram::default(), 0, 0_u64);
        let end = Instant::now() + each;
        while Instant::now() < end || pages == 0 {
            (rows, pages) = (0, 0);
            let mut next = Some(path.clone());
            while let Some(path) = next {
                let sent = Instant::now();
                let reply = client.get(&path, &token).await.map_err(|error| error.to_string())?;
                latency.add(sent.elapsed());
                if !reply.ok() {
                    return Err(format!("{path}: {}", reply.excerpt()));
                }
                let page = reply.json();
                let values = if name == "expanded" { &page["alerts"] } else { &page["value"] };
                rows += values.as_array().map_or(0, Vec::len) as u64;
                pages += 1;
                next = if rows_wanted.is_some() { next_path(&path, &page) } else { None };
            }
        }
        let p99 = latency.percentile(99.0);
        worst = worst.max(p99);
        whole &= rows_wanted.is_none_or(|wanted| rows >= wanted);
        details.insert(
            name.to_owned(),
            json!({
                "p50": latency.percentile(50.0),
                "p99": p99,
                "requests": latency.count(),
                "rows": rows,
                "pages": pages,
            }),
        );
    }
    Ok(goal.row(store, worst, whole, Value::Object(details)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_have_three_different_filters() {
        let app = crate::server::App {
            tenant_id: "t-1".to_owned(),
            client_id: String::new(),
            client_secret: String::new(),
        };
        let seeded = Seeded {
            apps: vec![app],
            readers: Vec::new(),
            alerts: 0,
            large_incident: String::new(),
            began: 1_790_000_000,
            ended: 1_790_000_600,
            took: 0.0,
        };
        let mut random = Random::new(1);
        let mut orders = [0; ORDERS.len()];
        for _ in 0..200 {
            let (order, path) = query(&mut random, &seeded);
            orders[order] += 1;
            assert_eq!(path.matches("%20and%20").count(), 2, "{path}");
            assert!(!path.contains(' ') && !path.contains('\''), "{path}");
        }
        assert!(orders.iter().all(|count| *count > 20));
    }
}
