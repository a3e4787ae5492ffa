//! P8 and R7: memory idle, under load and under bad input; and how soon a killed server is ready.

use std::time::Duration;

use serde_json::{Value, json};

use super::intake::{self, Sources};
use super::{Goal, Plan, World};
use crate::args::Store;
use crate::{hostile, out};

fn megabytes(kib: u64) -> f64 {
    (kib as f64 / 1_024.0).round()
}

/// P8, first part: an empty server five seconds after its start.
pub(super) async fn idle(store: Store, world: &World) -> Result<Value, String> {
    let goal =
        Goal { id: "P8", unit: "MB idle", floor: 100.0, target: 50.0, more_is_better: false };
    tokio::time::sleep(Duration::from_secs(5)).await;
    let usage = world.server.usage();
    let details = json!({
        "part": "idle",
        "anonymousMb": megabytes(usage.anonymous_kib),
        "peakMb": megabytes(usage.peak_kib),
    });
    Ok(goal.row(store, megabytes(usage.rss_kib), true, details))
}

/// P8, second part: the peak under P1 with the large store present.
pub(super) async fn loaded(plan: &Plan, store: Store, world: &World) -> Result<Value, String> {
    let goal =
        Goal { id: "P8", unit: "MB peak", floor: 512.0, target: 256.0, more_is_better: false };
    let sources = Sources::new(4, world.tokens.len());
    world.server.reset_peak();
    let load = intake::load(&world.server, &world.tokens, &sources, 32, 1, plan.duration()).await?;
    let usage = world.server.usage();
    let details = json!({
        "part": "load",
        "anonymousMb": megabytes(usage.anonymous_kib),
        "alertsPerSecond": (load.alerts as f64 / load.seconds).round(),
        "p99": load.latency.percentile(99.0),
        "failures": load.failures,
        "firstFailure": load.first_failure,
    });
    Ok(goal.row(store, megabytes(usage.peak_kib), true, details))
}

/// P8, third part: the peak while the bad-input corpus goes in.
pub(super) async fn hostile(store: Store, world: &World) -> Result<Value, String> {
    let goal =
        Goal { id: "P8", unit: "MB peak", floor: 1_024.0, target: 512.0, more_is_better: false };
    let app = world.apps.first().ok_or("no tenants")?;
    let report = Box::pin(hostile::against(&world.server, app, hostile::STORM)).await?;
    for failure in &report.failures {
        out::note(&format!("hostile: {failure}"));
    }
    let details = json!({
        "part": "hostile",
        "cases": report.cases,
        "failedCases": report.failures.len(),
        "idleMb": megabytes(report.idle_kib),
    });
    Ok(goal.row(store, megabytes(report.peak_kib), report.failures.is_empty(), details))
}

/// R7: SIGKILL under load on the large store, then the time until the next start is ready; the
/// worst of three.
pub(super) async fn restart(store: Store, world: &mut World) -> Result<Value, String> {
    let goal = Goal { id: "R7", unit: "s", floor: 5.0, target: 5.0, more_is_better: false };
    let mut times = Vec::new();
    for turn in 0..3 {
        let sources = Sources::new(50 + turn, world.tokens.len());
        let tokens = world.tokens.clone();
        let load = intake::load(&world.server, &tokens, &sources, 8, 100, Duration::from_secs(5));
        // The load's futures go on while the server dies under them.
        let soon = tokio::time::timeout(Duration::from_secs(4), load).await;
        if let Ok(Err(error)) = soon {
            return Err(error);
        }
        world.server.kill().await?;
        let address = world.server.address;
        world.server = world.install.serve(address, &world.log, None)?;
        times.push(world.server.ready(Duration::from_mins(2)).await?.as_secs_f64());
    }
    let worst = times.iter().copied().fold(0.0, f64::max);
    Ok(goal.row(store, worst, true, json!({ "times": times })))
}
