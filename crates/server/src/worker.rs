//! Work besides requests: correlation, checkpoints, tidying up.
//!
//! Each kind of work of each tenant is leased (see `lease`), so that replicas share the work and a
//! killed one's work is taken over.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::error::Result;
use crate::id::TenantNo;
use crate::incident::correlate::{self, Round, Size};
use crate::lease::Lease;
use crate::notification;
use crate::onboarding::readiness;

/// How often to look for work that another process left behind.
const LOOK: Duration = Duration::from_millis(500);
/// Tenants whose alerts are placed together.
const ROUND_TENANTS: usize = 16;
/// How far correlation may fall behind in a burst: so long who waits for an answer goes first. A
/// sender gives up after some seconds; an expert needs minutes.
const LATE_S: i64 = 30;
/// Over how long what comes in is counted, at least.
const COUNTED: Duration = Duration::from_millis(100);
/// How long to let alerts gather after the first: a batch costs little more than a single alert,
/// and each one keeps intake waiting for its turn to write.
const GATHER: Duration = Duration::from_millis(25);

/// Works until `stop`: what is under way is finished first.
pub async fn run(app: App, ways: notification::engine::Ways, stop: CancellationToken) {
    let checkpoints = tokio::spawn(tick(app.clone(), stop.clone()));
    let agents = tokio::spawn(crate::agent::poll::watch(app.clone(), stop.clone()));
    let products = tokio::spawn(crate::response::remote::run(app.clone(), stop.clone()));
    let directories = tokio::spawn(crate::directory::run(app.clone(), stop.clone()));
    let clocks = tokio::spawn(crate::service_clock::follow::run(app.clone(), stop.clone()));
    let ladders = tokio::spawn(crate::escalation::run(app.clone(), stop.clone()));
    let notices = tokio::spawn(notification::engine::run(app.clone(), ways, stop.clone()));
    let (mut leases, mut size) = (HashMap::new(), Size::default());
    let mut flow = Flow::new(Instant::now());
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            () = app.correlate.notified() => tokio::time::sleep(GATHER).await,
            () = tokio::time::sleep(LOOK) => {}
        }
        loop {
            let started = Instant::now();
            match correlate_waiting(&app, &mut leases, &mut size).await {
                Ok(round) if !round.failed.is_empty() => {
                    for (tenant, error) in round.failed {
                        let no = tenant.0;
                        tracing::error!(
                            tenant.no = no,
                            "correlation of tenant {no} failed, will be tried again: {error}"
                        );
                    }
                    tokio::time::sleep(LOOK).await;
                    break;
                }
                // The next ring of the bell brings the rest.
                Ok(round) if !round.more || stop.is_cancelled() => break,
                Ok(round) => {
                    flow.count(app.pace.taken_in(), Instant::now());
                    flow.learn(round.done, started.elapsed());
                    let late = app.clock.now().plus_seconds(-LATE_S);
                    if flow.is_burst() && round.oldest.is_some_and(|oldest| oldest > late) {
                        tokio::time::sleep(GATHER).await;
                    }
                }
                Err(error) => {
                    tracing::error!("correlation failed, will be tried again: {error}");
                    leases.clear();
                    tokio::time::sleep(LOOK).await;
                    break;
                }
            }
        }
    }
    let _ = checkpoints.await;
    let _ = agents.await;
    let _ = products.await;
    let _ = directories.await;
    let _ = clocks.await;
    let _ = ladders.await;
    let _ = notices.await;
    for (_, lease) in leases {
        if let Err(error) = lease.release(&app).await {
            tracing::warn!("a lease was not given back and ends by itself: {error}");
        }
    }
}

/// How fast alerts come in, and how fast correlation places them when it does not pause.
struct Flow {
    counted: Instant,
    taken_in: u64,
    /// Alerts a second.
    coming: f64,
    /// Alerts a second.
    placing: f64,
}

impl Flow {
    fn new(now: Instant) -> Self {
        Self { counted: now, taken_in: 0, coming: 0.0, placing: 0.0 }
    }

    /// Notes how many alerts came in since the start.
    fn count(&mut self, taken_in: u64, now: Instant) {
        let over = now.saturating_duration_since(self.counted);
        if over < COUNTED {
            return;
        }
        let rate = taken_in.saturating_sub(self.taken_in) as f64 / over.as_secs_f64();
        self.coming = f64::midpoint(self.coming, rate);
        (self.counted, self.taken_in) = (now, taken_in);
    }

    /// Notes how many alerts a round placed.
    fn learn(&mut self, placed: u64, took: Duration) {
        let rate = placed as f64 / took.as_secs_f64().max(0.001);
        self.placing =
            if self.placing > 0.0 { self.placing.mul_add(0.75, rate / 4.0) } else { rate };
    }

    /// Whether more comes in than can be placed. What can be placed is placed at once: a pause would
    /// only make it late.
    fn is_burst(&self) -> bool {
        self.coming > self.placing
    }
}

/// Correlates the next alerts of the tenants that have waited longest.
async fn correlate_waiting(
    app: &App,
    leases: &mut HashMap<TenantNo, Lease>,
    size: &mut Size,
) -> Result<Round> {
    let mut held = Vec::new();
    for waiting in correlate::waiting(app).await? {
        let tenant = waiting.tenant;
        let lease = match leases.get(&tenant) {
            Some(lease) => lease.clone(),
            None => match Lease::take(app, &format!("correlate {}", tenant.0)).await? {
                Some(lease) => leases.entry(tenant).or_insert(lease).clone(),
                // Another replica is at it.
                None => continue,
            },
        };
        held.push((waiting, lease));
        if held.len() >= ROUND_TENANTS {
            break;
        }
    }
    let mut round = correlate::round(app, &held, size).await;
    round.more |= held.len() >= ROUND_TENANTS;
    for tenant in &round.lost {
        leases.remove(tenant);
    }
    Ok(round)
}

/// Correlates until nothing waits, for commands that run beside or without a server.
pub async fn settle(app: &App) -> Result<()> {
    let (mut leases, mut size) = (HashMap::new(), Size::default());
    loop {
        let mut round = correlate_waiting(app, &mut leases, &mut size).await?;
        if let Some((_, error)) = round.failed.pop() {
            return Err(error);
        }
        if round.done == 0 {
            break;
        }
    }
    for (_, lease) in leases {
        lease.release(app).await?;
    }
    Ok(())
}

async fn tick(app: App, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(Duration::from_secs(5)) => {}
        }
        if let Err(error) = crate::audit::checkpoint(&app).await {
            tracing::error!("checkpoint failed, will be tried again: {error}");
        }
        if let Err(error) = crate::response::engine::watch(&app).await {
            tracing::error!("actions were not looked after, will be again: {error}");
        }
        if let Err(error) = crate::conversation::watch(&app).await {
            tracing::error!("conversations were not looked after, will be again: {error}");
        }
        if let Err(error) = notification::reminder::watch(&app).await {
            tracing::error!("reminders were not made, will be: {error}");
        }
        if let Err(error) = readiness::watch(&app).await {
            tracing::error!("readiness was not evaluated, will be: {error}");
        }
        if let Err(error) = count_backlog(&app).await {
            tracing::error!("the backlog was not counted: {error}");
        }
        for tidied in [
            forget_replies(&app).await,
            crate::person::session::tidy(&app).await,
            crate::agent::package::tidy(&app).await,
            notification::engine::tidy(&app).await,
            notification::chat::hear::tidy(&app).await,
        ] {
            if let Err(error) = tidied {
                tracing::error!("tidying up failed, will be tried again: {error}");
            }
        }
    }
}

async fn count_backlog(app: &App) -> Result<()> {
    let row = app
        .db
        .whole("how much waits for correlation")
        .query_one("select count(*) from alert where incident_id is null", vec![])
        .await?;
    if let Some(row) = row {
        app.metrics.backlog.set(crate::db::column(&row, 0)?);
    }
    Ok(())
}

/// Replies kept for `Idempotency-Key` are forgotten after seven days.
async fn forget_replies(app: &App) -> Result<()> {
    let old = app.clock.now().plus_seconds(-7 * 86_400).micros();
    let tx = app.db.shared().begin().await?;
    tx.execute("delete from idempotency where at < $1", vec![old.into()]).await?;
    tx.commit().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_more_than_can_be_placed_is_a_burst() {
        let start = Instant::now();
        let mut flow = Flow::new(start);
        let mut run = |from: u64, coming: u64, placed: u64| {
            let mut burst = false;
            for step in from..from + 20 {
                let now = start + Duration::from_millis((step + 1) * 200);
                flow.count(flow.taken_in + coming / 5, now);
                flow.learn(placed / 50, Duration::from_millis(20));
                burst = flow.is_burst();
            }
            burst
        };
        assert!(!run(0, 1_000, 2_000));
        assert!(run(20, 5_000, 2_000));
        assert!(!run(40, 0, 2_000));
    }
}
