//! Work besides requests: correlation, checkpoints, tidying up.
//!
//! Each kind of work of each tenant is leased (see `lease`), so that replicas share the work and a
//! killed one's work is taken over.

use std::collections::HashMap;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::error::Result;
use crate::id::TenantNo;
use crate::incident::correlate::{self, Round, Size};
use crate::lease::Lease;

/// How often to look for work that another process left behind.
const LOOK: Duration = Duration::from_millis(500);
/// Tenants whose alerts are placed together.
const ROUND_TENANTS: usize = 16;
/// How far correlation may fall behind in a burst: so long who waits for an answer goes first.
const LATE_S: i64 = 5;
/// How long to let alerts gather after the first: a batch costs little more than a single alert,
/// and each one keeps intake waiting for its turn to write.
const GATHER: Duration = Duration::from_millis(25);

/// Works until `stop`: what is under way is finished first.
pub async fn run(app: App, stop: CancellationToken) {
    let checkpoints = tokio::spawn(tick(app.clone(), stop.clone()));
    let (mut leases, mut size) = (HashMap::new(), Size::default());
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            () = app.correlate.notified() => tokio::time::sleep(GATHER).await,
            () = tokio::time::sleep(LOOK) => {}
        }
        loop {
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
                    let late = app.clock.now().plus_seconds(-LATE_S);
                    if app.pace.is_busy() && round.oldest.is_some_and(|oldest| oldest > late) {
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
    for (_, lease) in leases {
        if let Err(error) = lease.release(&app).await {
            tracing::warn!("a lease was not given back and ends by itself: {error}");
        }
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
        if let Err(error) = count_backlog(&app).await {
            tracing::error!("the backlog was not counted: {error}");
        }
        if let Err(error) = forget_replies(&app).await {
            tracing::error!("tidying up failed, will be tried again: {error}");
        }
    }
}

async fn count_backlog(app: &App) -> Result<()> {
    let row =
        app.db.query_one("select count(*) from alert where incident_id is null", vec![]).await?;
    if let Some(row) = row {
        app.metrics.backlog.set(crate::db::column(&row, 0)?);
    }
    Ok(())
}

/// Replies kept for `Idempotency-Key` are forgotten after seven days.
async fn forget_replies(app: &App) -> Result<()> {
    let old = app.clock.now().plus_seconds(-7 * 86_400).micros();
    let tx = app.db.begin().await?;
    tx.execute("delete from idempotency where at < $1", vec![old.into()]).await?;
    tx.commit().await
}
