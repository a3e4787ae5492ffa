//! Work besides requests: correlation, checkpoints, tidying up.
//!
//! Each kind of work of each tenant is leased: a replica takes the lease for some seconds, with an
//! epoch that grows by one each time it changes hands, and every transaction of the work begins by
//! renewing exactly that epoch. A replica that was paused and comes back finds its epoch gone and
//! writes nothing. A killed replica's leases end by themselves, so its work is taken over within
//! [`LEASE_S`].

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::db::{Transaction, column};
use crate::error::{Error, Result};
use crate::id::TenantNo;
use crate::incident::correlate;

/// Seconds a lease lasts without being renewed.
pub const LEASE_S: i64 = 10;
/// How often to look for work that another process left behind.
const LOOK: Duration = Duration::from_millis(500);
/// How long to let alerts gather after the first: a batch costs little more than a single alert,
/// and each one keeps intake waiting for its turn to write.
const GATHER: Duration = Duration::from_millis(25);

/// A lease held by this process.
#[derive(Clone, Debug)]
pub struct Lease {
    name: String,
    epoch: i64,
}

impl Lease {
    /// Takes a lease that nobody holds, or that this process holds already.
    pub async fn take(app: &App, name: &str) -> Result<Option<Self>> {
        let now = app.clock.now();
        let tx = app.db.begin().await?;
        let row = tx
            .query_one(
                "insert into lease (name, holder, epoch, until) values ($1, $2, 1, $4) \
                 on conflict (name) do update set holder = excluded.holder, \
                 epoch = lease.epoch + 1, until = excluded.until \
                 where lease.until < $3 or lease.holder = excluded.holder returning epoch",
                vec![
                    name.into(),
                    app.holder.clone().into(),
                    now.micros().into(),
                    now.plus_seconds(LEASE_S).micros().into(),
                ],
            )
            .await?;
        tx.commit().await?;
        row.map(|row| Ok(Self { name: name.to_owned(), epoch: column(&row, 0)? })).transpose()
    }

    /// Renews this very lease inside a transaction that depends on it.
    ///
    /// # Errors
    /// `Conflict` when it has passed to another holder: the transaction must not commit.
    pub async fn fence(&self, app: &App, tx: &Transaction) -> Result<()> {
        let until = app.clock.now().plus_seconds(LEASE_S).micros();
        let renewed = tx
            .execute(
                "update lease set until = $3 where name = $1 and epoch = $2",
                vec![self.name.clone().into(), self.epoch.into(), until.into()],
            )
            .await?;
        if renewed == 1 {
            return Ok(());
        }
        Err(Error::Conflict(format!("the lease {} has passed to another replica", self.name)))
    }
}

/// Works until `stop`: what is under way is finished first.
pub async fn run(app: App, stop: CancellationToken) {
    let checkpoints = tokio::spawn(tick(app.clone(), stop.clone()));
    let mut leases = std::collections::HashMap::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            () = app.correlate.notified() => tokio::time::sleep(GATHER).await,
            () = tokio::time::sleep(LOOK) => {}
        }
        loop {
            match correlate_waiting(&app, &mut leases).await {
                // Fewer than a batch: the next ring of the bell brings the rest.
                Ok(count) if count < correlate::BATCH as u64 || stop.is_cancelled() => break,
                Ok(_) => {}
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
}

/// Correlates one batch of every tenant where alerts wait; gives how many alerts that were.
async fn correlate_waiting(
    app: &App,
    leases: &mut std::collections::HashMap<TenantNo, Lease>,
) -> Result<u64> {
    let mut done = 0;
    for tenant in correlate::waiting(app).await? {
        let lease = match leases.get(&tenant) {
            Some(lease) => lease.clone(),
            None => match Lease::take(app, &format!("correlate {}", tenant.0)).await? {
                Some(lease) => leases.entry(tenant).or_insert(lease).clone(),
                // Another replica is at it.
                None => continue,
            },
        };
        match correlate::batch(app, tenant, Some(&lease)).await {
            Ok(count) => done += count,
            Err(Error::Conflict(reason)) => {
                tracing::info!(tenant.no = tenant.0, "{reason}");
                leases.remove(&tenant);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// Correlates until nothing waits, for commands that run beside or without a server.
pub async fn settle(app: &App) -> Result<()> {
    let mut leases = std::collections::HashMap::new();
    while correlate_waiting(app, &mut leases).await? > 0 {}
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
        if let Err(error) = forget_replies(&app).await {
            tracing::error!("tidying up failed, will be tried again: {error}");
        }
    }
}

/// Replies kept for `Idempotency-Key` are forgotten after seven days.
async fn forget_replies(app: &App) -> Result<()> {
    let old = app.clock.now().plus_seconds(-7 * 86_400).micros();
    let tx = app.db.begin().await?;
    tx.execute("delete from idempotency where at < $1", vec![old.into()]).await?;
    tx.commit().await
}
