//! Leases: which replica does a piece of work, and proof of it at the moment of writing.
//!
//! A replica takes a lease for some seconds, with an epoch that grows by one each time it is taken,
//! and every transaction of the work begins by renewing exactly that epoch. A replica that was
//! paused and comes back finds its epoch gone and writes nothing. A killed replica's leases end by
//! themselves, so its work is taken over within [`LEASE_S`].

use std::collections::HashMap;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::db::{Transaction, column};
use crate::error::{Error, Result};
use crate::id::TenantNo;

/// Seconds a lease lasts without being renewed.
pub const LEASE_S: i64 = 5;

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
        let tx = app.db.shared().begin().await?;
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

    /// Gives this very lease back, so that others need not wait for its end.
    pub async fn release(self, app: &App) -> Result<()> {
        let tx = app.db.shared().begin().await?;
        tx.execute(
            "update lease set until = 0 where name = $1 and epoch = $2",
            vec![self.name.into(), self.epoch.into()],
        )
        .await?;
        tx.commit().await
    }

    /// Gives the lease back after a piece of work. What that would have written after the lease had
    /// passed to another replica, the other one decides.
    pub async fn end(self, app: &App, done: Result<()>) -> Result<()> {
        let name = self.name.clone();
        self.release(app).await?;
        match done {
            Err(Error::Conflict(why)) => {
                tracing::warn!(lease = name, "a turn was given up: {why}");
                Ok(())
            }
            done => done,
        }
    }

    /// Renews leases inside a transaction that depends on them, and says of each whether it is
    /// still held. Nothing that depends on one that is not may be written.
    pub async fn fence_all(app: &App, tx: &Transaction, leases: &[Self]) -> Result<Vec<bool>> {
        let until = app.clock.now().plus_seconds(LEASE_S).micros();
        let names = leases.iter().map(|lease| lease.name.clone().into()).collect();
        let (list, names) = tx.engine().among(3, names);
        let mut values = vec![until.into(), app.holder.clone().into()];
        values.extend(names);
        let sql = format!(
            "update lease set until = $1 where holder = $2 and name {list} returning name, epoch"
        );
        let mut held = HashMap::new();
        for row in tx.query(&sql, values).await? {
            held.insert(column::<String>(&row, 0)?, column::<i64>(&row, 1)?);
        }
        Ok(leases.iter().map(|lease| held.get(&lease.name) == Some(&lease.epoch)).collect())
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

/// Does tenants' turns until `stop`, looking for them so often and when the bell rings. Each tenant's is
/// a task of its own, so that a slow one keeps nobody else waiting; what is under way is finished first.
pub async fn turns<W, T>(
    app: &App,
    (look, bell, most): (Duration, Option<&Notify>, usize),
    stop: CancellationToken,
    waiting: impl Fn(App) -> W,
    turn: impl Fn(App, TenantNo) -> T,
) where
    W: Future<Output = Result<Vec<TenantNo>>> + Send,
    T: Future<Output = Result<()>> + Send + 'static,
{
    let mut at_work: HashMap<TenantNo, JoinHandle<()>> = HashMap::new();
    let rung = async || match bell {
        Some(bell) => bell.notified().await,
        None => std::future::pending().await,
    };
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            () = rung() => {}
            () = tokio::time::sleep(look) => {}
        }
        at_work.retain(|_, work| !work.is_finished());
        let tenants = waiting(app.clone()).await.unwrap_or_else(|error| {
            tracing::error!("what waits was not read, will be again: {error}");
            Vec::new()
        });
        for tenant in tenants {
            if at_work.len() >= most {
                break;
            }
            at_work.entry(tenant).or_insert_with(|| {
                let turn = turn(app.clone(), tenant);
                tokio::spawn(async move {
                    if let Err(error) = turn.await {
                        tracing::error!(tenant.no = tenant.0, "a turn failed: {error}");
                    }
                })
            });
        }
    }
    for (_, work) in at_work {
        let _ = work.await;
    }
}
