//! Carries out what `correlation` decides: waiting alerts with the incidents they open, grow,
//! merge and take apart, with scope and priority of each, and with one event for everything that
//! happened (T1, T2, T8).
//!
//! A [`round`] is planned while others write: it reads from a snapshot, decides, and only then
//! takes its turn to write, the rows of all its tenants in one transaction. There it makes sure
//! that nothing it read has changed since; where something has, and where incidents merge or are
//! taken apart, the tenant has a transaction of its own in which everything is read again.

mod assess;
mod plan;
mod read;
mod rework;
mod rows;
mod work;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

pub(super) use assess::{assess, scope};
pub(super) use rework::{join, rebuild};
pub(super) use work::Work;

use tracing::Instrument as _;
use tracing::field::Empty;

use crate::actor::Actor;
use crate::app::App;
use crate::clock::Timestamp;
use crate::db::{Transaction, column};
use crate::error::{Error, Result};
use crate::event::Event;
use crate::failpoint;
use crate::id::{IncidentId, TenantNo};
use crate::incident::correlation::needs;
use crate::lease::Lease;
use crate::ledger::Ledger;
use crate::tx::Tx;

use plan::{Plan, pending};
use rows::Rows;

/// Alerts of one tenant placed in a transaction of its own.
const BATCH: i64 = 128;
/// Alerts of all tenants placed in one transaction, at least and at most.
const ROUND: RangeInclusive<i64> = 32..=512;
/// Alerts of one tenant when many tenants wait.
const LEAST_BATCH: i64 = 16;
/// Incident ids reserved at a time.
const ID_BLOCK: i64 = 2_048;

/// A tenant in which alerts wait, or incidents whose alerts changed.
#[derive(Clone, Copy, Debug)]
pub struct Waiting {
    /// The tenant.
    pub tenant: TenantNo,
    /// Whether the source changed alerts of incidents.
    refresh: bool,
}

/// Tenants with work, those whose alerts have waited longest first.
pub async fn waiting(app: &App) -> Result<Vec<Waiting>> {
    let rows = app
        .db
        .whole("who waits for correlation")
        .query(
            "select no, first, refresh from (select no, \
             (select min(alert.id) from alert where alert.tenant_no = tenant.no \
             and alert.incident_id is null) as first, \
             exists (select 1 from follow_up where follow_up.tenant_no = tenant.no) as refresh \
             from tenant) as found where first is not null or refresh order by first, no",
            vec![],
        )
        .await?;
    rows.iter()
        .map(|row| Ok(Waiting { tenant: TenantNo(column(row, 0)?), refresh: column(row, 2)? }))
        .collect()
}

/// What a round came to.
#[derive(Debug, Default)]
pub struct Round {
    /// Alerts placed and incidents refreshed.
    pub done: u64,
    /// Whether more waits than was taken up.
    pub more: bool,
    /// Since when the oldest alert of the round had been waiting.
    pub oldest: Option<Timestamp>,
    /// Tenants whose plan was overtaken by another change and made anew.
    pub overtaken: usize,
    /// Tenants whose lease has passed to another replica.
    pub lost: Vec<TenantNo>,
    /// Tenants that could not be correlated, and why; their alerts wait on.
    pub failed: Vec<(TenantNo, Error)>,
}

/// How many alerts a round takes up, learnt from how long the rounds before held up others.
#[derive(Debug)]
pub struct Size {
    per_alert: Duration,
}

impl Default for Size {
    fn default() -> Self {
        Self { per_alert: Duration::from_micros(100) }
    }
}

impl Size {
    fn alerts(&self, turn: Duration) -> i64 {
        let fit = turn.as_micros() / self.per_alert.as_micros().max(1);
        i64::try_from(fit).unwrap_or(i64::MAX).clamp(*ROUND.start(), *ROUND.end())
    }

    fn learn(&mut self, held: Duration, alerts: u32) {
        if alerts > 0 {
            self.per_alert = (self.per_alert * 3 + held / alerts) / 4;
        }
    }
}

/// Correlates the next waiting alerts of tenants whose leases this process holds.
pub async fn round(app: &App, held: &[(Waiting, Lease)], size: &mut Size) -> Round {
    let started = Instant::now();
    let span = tracing::info_span!("correlate", tenants = held.len(), alerts = Empty);
    let work = async {
        let planned = plan(app, held, size).instrument(tracing::info_span!("plan")).await;
        carry_out(app, planned, size).instrument(tracing::info_span!("carry out")).await
    };
    let round = work.instrument(span.clone()).await;
    span.record("alerts", round.done);
    app.metrics.correlate_seconds.observe(started.elapsed().as_secs_f64());
    round
}

/// What a round will do, as of when it was planned.
#[derive(Default)]
pub struct Planned<'a> {
    /// Tenants in which incidents only open and grow.
    plans: Vec<(Plan, &'a Lease)>,
    /// Tenants that have a transaction of their own.
    alone: Vec<(TenantNo, &'a Lease)>,
    /// Whether more waits than was taken up.
    more: bool,
}

/// Reads what waits and decides what becomes of it, without keeping anybody from writing.
pub async fn plan<'a>(app: &App, held: &'a [(Waiting, Lease)], size: &Size) -> Planned<'a> {
    let mut planned = Planned::default();
    if let Err(error) = draw_plans(app, held, size, &mut planned).await {
        // One of them may be to blame: each by itself, the others go on.
        tracing::debug!("a round was not planned: {error}");
        planned.plans.clear();
        planned.alone = held.iter().map(|(waiting, lease)| (waiting.tenant, lease)).collect();
    }
    planned
}

async fn draw_plans<'a>(
    app: &App,
    held: &'a [(Waiting, Lease)],
    size: &Size,
    planned: &mut Planned<'a>,
) -> Result<()> {
    let actor = Actor::system("Correlation");
    let now = app.clock.now();
    let mut room = size.alerts(app.pace.turn());
    let mut ids = IdPool::take(app, room).await?;
    let whose: Vec<TenantNo> = held.iter().map(|(waiting, _)| waiting.tenant).collect();
    let reader = app.db.reach(&whose).snapshot().await?;
    let mut tenants = i64::try_from(held.len()).unwrap_or(i64::MAX);
    let (mut all, mut entities) = (Vec::new(), read::ENTITIES);
    for (waiting, lease) in held {
        let tenant = waiting.tenant;
        if room <= 0 {
            planned.more = true;
            break;
        }
        // What a tenant leaves of its share is there for the next.
        let limit = (room / tenants.max(1)).max(LEAST_BATCH);
        tenants -= 1;
        if waiting.refresh {
            planned.alone.push((tenant, lease));
            continue;
        }
        let read = read::waiting_alerts(&reader, tenant, limit, &mut entities).await?;
        if read.is_empty() {
            continue;
        }
        room -= read.len() as i64;
        planned.more |= read.len() as i64 == limit || entities == 0;
        all.push((tenant, lease, read));
    }
    let needs = all.iter().map(|(tenant, _, read)| (*tenant, needs(&pending(read)))).collect();
    let mut found = read::load(&reader, &needs).await?;
    drop(reader);
    for (tenant, lease, read) in all {
        let found = found.remove(&tenant).unwrap_or_default();
        let id = app.tenant_id(tenant).await?;
        let mut plan = Plan::draw(tenant, &id, read, found, &mut ids, (&actor, now));
        if ids.dry || !plan.is_plain() {
            planned.alone.push((tenant, lease));
            continue;
        }
        plan.grow(&actor)?;
        plan.assess(BTreeSet::new(), &actor, now)?;
        planned.plans.push((plan, lease));
    }
    if !ids.dry {
        app.incident_ids.give_back(ids.ids);
    }
    Ok(())
}

/// Writes what was planned. Where something has changed since, it is decided anew.
pub async fn carry_out(app: &App, planned: Planned<'_>, size: &mut Size) -> Round {
    let read = planned.plans.iter().flat_map(|(plan, _)| &plan.read);
    let oldest = read.map(|read| read.alert.updated).min();
    let mut round = Round { more: planned.more, oldest, ..Round::default() };
    let mut alone = planned.alone;
    let tenants: Vec<(TenantNo, &Lease)> =
        planned.plans.iter().map(|(plan, lease)| (plan.tenant, *lease)).collect();
    match write(app, planned.plans, &mut round, size).await {
        Ok(overtaken) => {
            round.overtaken = overtaken.len();
            alone.extend(overtaken);
        }
        Err(error) => {
            tracing::debug!("a round was not written: {error}");
            alone.extend(tenants);
        }
    }
    for (tenant, lease) in alone {
        match by_itself(app, tenant, lease).await {
            Ok(done) => {
                round.done += done;
                // It may have stopped early for alerts that name very much.
                round.more |= done > 0;
            }
            Err(Error::Conflict(reason)) => {
                tracing::info!(tenant.no = tenant.0, "{reason}");
                round.lost.push(tenant);
            }
            Err(error) => round.failed.push((tenant, error)),
        }
    }
    round
}

/// Writes plans in one transaction and gives the tenants whose plan was overtaken.
async fn write<'a>(
    app: &App,
    mut plans: Vec<(Plan, &'a Lease)>,
    round: &mut Round,
    size: &mut Size,
) -> Result<Vec<(TenantNo, &'a Lease)>> {
    if plans.is_empty() {
        return Ok(Vec::new());
    }
    let tenants: Vec<TenantNo> = plans.iter().map(|(plan, _)| plan.tenant).collect();
    let tx = app.db.reach(&tenants).begin().await?;
    let begun = Instant::now();
    let mut ledgers = Ledger::lock_all(&tx, tenants).await?;
    let leases: Vec<Lease> = plans.iter().map(|(_, lease)| (*lease).clone()).collect();
    let held = Lease::fence_all(app, &tx, &leases).await?;
    let current = Current::read(&tx, &plans).await?;
    let now = app.clock.now();
    let (mut rows, mut events, mut stale) = (Rows::default(), BTreeMap::new(), Vec::new());
    let mut index = 0;
    plans.retain_mut(|(plan, lease)| {
        let held = held.get(index).copied().unwrap_or_default();
        index += 1;
        let Some(ledger) = ledgers.get_mut(&plan.tenant) else { return false };
        if !held {
            round.lost.push(plan.tenant);
            return false;
        }
        if !current.holds(plan) {
            stale.push((plan.tenant, *lease));
            return false;
        }
        plan.rows(&mut rows, || ledger.next_update(now));
        plan.work.stamp(|| ledger.next_update(now));
        let facts = plan.work.take_facts().into_iter();
        let told = facts.map(|(actor, fact)| Event { at: now, actor, fact });
        events.insert(plan.tenant, told.collect::<Vec<_>>());
        true
    });
    rows.write(&tx).await?;
    let works: Vec<&Work> = plans.iter().map(|(plan, _)| &plan.work).collect();
    Work::save_all(&tx, &works).await?;
    let ledgers = ledgers
        .into_iter()
        .filter_map(|(tenant, ledger)| Some((ledger, events.get(&tenant)?.as_slice())));
    Ledger::append_all(&tx, ledgers.collect()).await?;
    failpoint::hit("correlate.before_commit");
    tx.commit().await?;
    failpoint::hit("correlate.after_commit");
    let mut placed = 0;
    for (plan, _) in &plans {
        placed += plan.read.len();
        let _ = app.changed.send(plan.tenant);
    }
    size.learn(begun.elapsed(), u32::try_from(placed).unwrap_or(u32::MAX));
    round.done += placed as u64;
    Ok(stale)
}

/// What the plans of a round rest on, as it is now.
///
/// Runs and counts need no look: whoever else changes them changes an incident that the plan
/// loaded, because only leased work makes new ones.
struct Current {
    alerts: HashMap<i64, i64>,
    incidents: HashMap<i64, i64>,
}

impl Current {
    async fn read(tx: &Transaction, plans: &[(Plan, &Lease)]) -> Result<Self> {
        let read = plans.iter().flat_map(|(plan, _)| &plan.read);
        let alerts = read.map(|read| read.alert.id.0).collect();
        let loaded = plans.iter().flat_map(|(plan, _)| plan.work.loaded());
        let incidents = loaded.map(|(id, _)| id.0).collect();
        Ok(Self {
            // The plus keeps the planner from walking all that waits.
            alerts: Self::updated(tx, "alert", "and +incident_id is null", alerts).await?,
            incidents: Self::updated(tx, "incident", "", incidents).await?,
        })
    }

    async fn updated(
        tx: &Transaction,
        table: &str,
        and: &str,
        ids: Vec<i64>,
    ) -> Result<HashMap<i64, i64>> {
        let mut found = HashMap::with_capacity(ids.len());
        for chunk in ids.chunks(1_024) {
            let (list, keys) = tx.engine().among(1, chunk.iter().map(|id| (*id).into()).collect());
            let sql = format!("select id, updated_at from {table} where id {list} {and}");
            for row in tx.query(&sql, keys).await? {
                found.insert(column(&row, 0)?, column(&row, 1)?);
            }
        }
        Ok(found)
    }

    fn holds(&self, plan: &Plan) -> bool {
        let alerts = plan
            .read
            .iter()
            .all(|it| self.alerts.get(&it.alert.id.0) == Some(&it.alert.updated.micros()));
        let incidents = plan
            .work
            .loaded()
            .all(|(id, updated)| self.incidents.get(&id.0) == Some(&updated.micros()));
        alerts && incidents
    }
}

/// Incident ids reserved for a batch.
pub(super) struct IdPool {
    ids: std::ops::Range<i64>,
    /// Whether they ran out; nothing may be written then.
    dry: bool,
}

impl IdPool {
    async fn take(app: &App, alerts: i64) -> Result<Self> {
        let ids = app.incident_ids.take(app, "incident", alerts + 64, ID_BLOCK).await?;
        Ok(Self { ids, dry: false })
    }

    fn next(&mut self) -> i64 {
        self.ids.next().unwrap_or_else(|| {
            self.dry = true;
            -1
        })
    }
}

/// Correlates the next waiting alerts of one tenant in a transaction of its own; gives how many
/// alerts and refreshed incidents that were.
///
/// # Errors
/// `Conflict` when the lease has passed to another replica.
async fn by_itself(app: &App, tenant: TenantNo, lease: &Lease) -> Result<u64> {
    let mut ids = IdPool::take(app, BATCH).await?;
    // Read and understood before the transaction: an intake of this tenant then waits for the
    // writing only. The lease keeps other replicas from the same alerts.
    let reader = app.db.of(tenant).snapshot().await?;
    let mut entities = read::ENTITIES;
    let read = read::waiting_alerts(&reader, tenant, BATCH, &mut entities).await?;
    drop(reader);
    let actor = Actor::system("Correlation");
    let mut tx = Tx::begin(app, tenant, actor.clone()).await?;
    lease.fence(app, &tx).await?;
    let refreshed = rework::refresh(&mut tx).await?;
    let read = read::still_waiting(&tx, read).await?;
    let count = read.len() as u64;
    if !read.is_empty() {
        place(&mut tx, read, &mut ids).await?;
    }
    if ids.dry {
        // Rolled back; the next attempt finds more ids.
        app.incident_ids.want(ID_BLOCK * 16);
        return Err(Error::Internal("incident ids ran out within one batch".to_owned()));
    }
    failpoint::hit("correlate.before_commit");
    tx.commit().await?;
    failpoint::hit("correlate.after_commit");
    app.incident_ids.give_back(ids.ids);
    Ok(count + refreshed)
}

/// Places alerts, with all that follows for the grouping.
async fn place(tx: &mut Tx, read: Vec<read::Read>, ids: &mut IdPool) -> Result<()> {
    let (actor, now) = (tx.actor().clone(), tx.now());
    let (app, tenant) = (tx.app().clone(), tx.tenant());
    let needs = BTreeMap::from([(tenant, needs(&pending(&read)))]);
    let found = read::load(tx, &needs).await?.remove(&tenant).unwrap_or_default();
    let id = app.tenant_id(tenant).await?;
    let mut plan = Plan::draw(tenant, &id, read, found, ids, (&actor, now));
    rework::carry_out_merges(tx, &mut plan.work, &plan.outcome).await?;
    plan.grow(&actor)?;
    let mut rows = Rows::default();
    plan.rows(&mut rows, || tx.next_update());
    rows.write(tx).await?;
    let mut others: BTreeSet<IncidentId> = BTreeSet::new();
    for id in plan.outcome.regroup.clone() {
        others.extend(rework::take_apart(tx, &mut plan.work, IncidentId(id), ids).await?);
    }
    plan.assess(others, &actor, now)?;
    plan.work.save(tx).await
}
