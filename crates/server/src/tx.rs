//! One change: a write transaction that knows its tenant, its actor and the hour.
//!
//! Every change of state is the same beat: a verb takes a `Tx`, decides, writes, and records what
//! happened; [`Tx::commit`] writes the events as leaves of the tenant's ledger in the same
//! transaction and tells the live stream afterwards.

use crate::actor::Actor;
use crate::app::{App, next_ids};
use crate::clock::Timestamp;
use crate::db::Transaction;
use crate::error::Result;
use crate::event::{Event, Fact};
use crate::id::{AlertId, IncidentId, TenantNo};
use crate::ledger::Ledger;
use crate::receipt;

/// See the module.
pub struct Tx {
    app: App,
    inner: Transaction,
    tenant: TenantNo,
    actor: Actor,
    now: Timestamp,
    ledger: Ledger,
    events: Vec<Event>,
}

impl std::ops::Deref for Tx {
    type Target = Transaction;
    fn deref(&self) -> &Transaction {
        &self.inner
    }
}

impl Tx {
    /// Begins a change in `tenant` by `actor`.
    pub async fn begin(app: &App, tenant: TenantNo, actor: Actor) -> Result<Self> {
        let inner = app.db.of(tenant).begin().await?;
        // First, before anything is read: whoever changes this tenant does so one after the other,
        // on every replica, and no two of them can wait for each other in a circle.
        let ledger = Ledger::lock(&inner, tenant).await?;
        let now = app.clock.now();
        Ok(Self { app: app.clone(), inner, tenant, actor, now, ledger, events: Vec::new() })
    }

    /// The process this runs in.
    #[must_use]
    pub fn app(&self) -> &App {
        &self.app
    }

    /// The tenant this change is in.
    #[must_use]
    pub fn tenant(&self) -> TenantNo {
        self.tenant
    }

    /// Who makes this change.
    #[must_use]
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// The hour of this change.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The next `lastUpdateDateTime` of the tenant: unique, and increasing in commit order.
    pub fn next_update(&mut self) -> Timestamp {
        self.ledger.next_update(self.now)
    }

    /// The next id of a kind.
    pub async fn next_id(&self, kind: &str) -> Result<i64> {
        Ok(next_ids(&self.inner, kind, 1).await?.start)
    }

    /// Writes a comment of this transaction's actor on an incident or an alert; gives its id.
    pub async fn comment(
        &self,
        incident: Option<IncidentId>,
        alert: Option<AlertId>,
        text: &str,
    ) -> Result<i64> {
        let id = self.next_id("comment").await?;
        self.execute(
            "insert into comment (id, tenant_no, incident_id, alert_id, text, created_by, \
             created_at) values ($1, $2, $3, $4, $5, $6, $7)",
            vec![
                id.into(),
                self.tenant.0.into(),
                incident.map(|id| id.0).into(),
                alert.map(|id| id.0).into(),
                text.into(),
                self.actor.name.clone().into(),
                self.now.micros().into(),
            ],
        )
        .await?;
        Ok(id)
    }

    /// Notes what this change makes for the request under way, so that the same request sent again
    /// finds it (see `receipt`).
    ///
    /// # Errors
    /// `Conflict` when another process has taken the request over.
    pub async fn made(&self, id: impl std::fmt::Display) -> Result<()> {
        receipt::write(&self.inner, id).await
    }

    /// Notes what happened, by this transaction's actor.
    pub fn record(&mut self, fact: Fact) {
        let actor = self.actor.clone();
        self.record_as(actor, fact);
    }

    /// Notes what happened, by somebody else: for example triage, right behind correlation.
    pub fn record_as(&mut self, actor: Actor, fact: Fact) {
        self.events.push(Event { at: self.now, actor, fact });
    }

    /// Makes the change and its events durable, then tells who listens.
    pub async fn commit(self) -> Result<()> {
        let changed = !self.events.is_empty();
        let tells = self.events.iter().any(|event| event.fact.tells());
        self.ledger.append(&self.inner, &self.events).await?;
        self.inner.commit().await?;
        if changed {
            let _ = self.app.changed.send(self.tenant);
        }
        if tells {
            self.app.tell.notify_one();
        }
        Ok(())
    }
}
