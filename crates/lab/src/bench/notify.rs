//! P9: fan-out of notifications, and how soon they are there.

use serde_json::{Value, json};

use super::{Goal, Plan, place};
use crate::args::Store;
use crate::notify::fanout;
use crate::server::Scratch;

/// The rows: deliveries a second, what a tarpit costs the others, and a word at the mail server.
pub(super) async fn rows(plan: &Plan, store: Store) -> Result<Vec<Value>, String> {
    let scratch = Scratch::new(&plan.scratch, &format!("bench-notify-{}", store.name()), false)?;
    let (install, cluster) = place(plan, store, &scratch.path).await?;
    install.init(None).await?;
    let it = fanout::measure(install, &scratch.path.join("server.log")).await?;
    drop(cluster);
    let rate = it.deliveries as f64 / it.took.as_secs_f64();
    let fan =
        Goal { id: "P9", unit: "deliveries/s", floor: 500.0, target: 2e3, more_is_better: true };
    let (alone, beside) = (it.alone.percentile(99.0), it.beside.percentile(99.0));
    let more = if alone > 0.0 { (beside / alone - 1.0) * 100.0 } else { 0.0 };
    let tarpit =
        Goal { id: "P9b", unit: "% more p99", floor: 25.0, target: 5.0, more_is_better: false };
    let soon = Goal { id: "P9c", unit: "ms p99", floor: 2e3, target: 500.0, more_is_better: false };
    Ok(vec![
        fan.row(
            store,
            rate,
            true,
            json!({
                "what": "webhooks: the first word until the last arrived",
                "deliveries": it.deliveries,
                "seconds": it.took.as_secs_f64(),
            }),
        ),
        tarpit.row(
            store,
            more.max(0.0),
            it.alone.count() >= 1_000,
            json!({
                "what": "one receiver that never answers, of another customer",
                "aloneP50": it.alone.percentile(50.0), "aloneP99": alone,
                "besideP50": it.beside.percentile(50.0), "besideP99": beside,
            }),
        ),
        soon.row(
            store,
            it.mail.percentile(99.0),
            it.mail.count() >= 100,
            json!({
                "what": "a word until it is with the mail server",
                "p50": it.mail.percentile(50.0), "max": it.mail.max(),
            }),
        ),
    ])
}
