//! Incidents: alerts that belong together, and the work on them from *Active* to *Resolved*.
//!
//! The states and what may follow what are in `model`; why alerts belong together is decided by
//! `correlation` and carried out by `correlate`. Every verb here takes the tenant's ledger, reads
//! the incident, lets the model decide, writes, and records what changed, in one transaction.
//!
//! Invariants: every alert is in exactly one incident once correlated (INC-17); a resolved
//! incident never reopens by itself (INC-15); a redirected one keeps answering with where it went.
//! Not here: which incidents are in scope and how urgent they are (see `triage`).

pub mod account;
pub mod advice;
pub mod correlate;
pub mod correlation;
pub mod drawing;
pub mod entity;
pub mod facts;
pub mod model;
pub mod name;
mod regroup;
mod store;
pub mod view;

pub use regroup::{Because, create, merge, move_alerts};
pub use store::{COLUMNS, FROM, WIDTH};

use sea_orm::Value as Sql;

use crate::app::App;
use crate::clock::Timestamp;
use crate::db::column;
use crate::error::{Error, Result};
use crate::event::{Change, Fact};
use crate::id::{IncidentId, TaskId, TenantNo};
use crate::incident::facts::Facts;
use crate::incident::model::{AlertCascade, Finding, OwnerCascade, Patch, Refusal, Step};
use crate::tenant::caller::Caller;
use crate::tx::Tx;
use crate::word::{AlertStatus, Classification, Determination};

/// A stored incident.
#[derive(Clone, Debug)]
pub struct Incident {
    /// Its id.
    pub id: IncidentId,
    /// Whose it is.
    pub tenant: TenantNo,
    /// Its state and members.
    pub model: model::Incident,
    /// What its priority is made of: a JSON array.
    pub priority_factors: String,
    /// What its alerts say, added up.
    pub facts: Facts,
    /// How many alerts it has.
    pub alert_count: i64,
    /// The earliest activity of its alerts.
    pub first_activity: Timestamp,
    /// The latest activity of its alerts.
    pub last_activity: Timestamp,
    /// How many runs it has: a bound on its entities.
    pub run_count: i64,
    /// Since when a human decides which alerts it has; it then never merges or splits by itself.
    pub pinned: Option<Timestamp>,
}

/// The incident of an id, when it is within reach.
///
/// # Errors
/// `NotFound`, in the same words for an unknown and for a foreign id; `NoAccess` when the caller
/// sees the tenant's queue and is not inside.
pub async fn find(app: &App, caller: &Caller, id: IncidentId) -> Result<Incident> {
    let incident = find_in_queue(app, caller, id).await?;
    caller.require_inside(app, incident.tenant, unknown(id)).await?;
    Ok(incident)
}

/// The incident of an id, when the caller may at least see that it waits in the queue.
pub async fn find_in_queue(app: &App, caller: &Caller, id: IncidentId) -> Result<Incident> {
    let row = app
        .db
        .reach(caller.queue.tenants())
        .query_one(
            &format!("select {COLUMNS} from {FROM} where incident.id = $1"),
            vec![id.0.into()],
        )
        .await?;
    let incident = row.as_ref().map(Incident::from_row).transpose()?;
    incident.filter(|incident| caller.queue.includes(incident.tenant)).ok_or_else(|| unknown(id))
}

/// Changes members of an incident: all that the patch names, or none (INC-4, INC-8, INC-10).
pub async fn change(app: &App, caller: &Caller, id: IncidentId, patch: Patch) -> Result<()> {
    step(
        app,
        caller,
        id,
        |incident, actor, at| incident.update(&patch, actor, at),
        |id, changes| Fact::IncidentChanged { incident: id, changes },
    )
    .await
}

/// Adds comments to an incident's history.
pub async fn comment(app: &App, caller: &Caller, id: IncidentId, texts: Vec<String>) -> Result<()> {
    let mut tx = begin(app, caller, id).await?;
    for text in texts {
        let incident = one(&tx, id).await?;
        let step = incident.model.clone().comment(&text, tx.actor(), tx.now()).map_err(refused)?;
        apply(&mut tx, &incident, step, |id, changes| Fact::IncidentChanged {
            incident: id,
            changes,
        })
        .await?;
    }
    tx.made(id).await?;
    tx.commit().await
}

/// An expert takes an incident up (T3).
pub async fn start(app: &App, caller: &Caller, id: IncidentId) -> Result<()> {
    step(app, caller, id, model::Incident::start, |id, changes| Fact::IncidentStarted {
        incident: id,
        changes,
    })
    .await
}

/// An expert concludes that an incident is no threat (T4).
pub async fn conclude(
    app: &App,
    caller: &Caller,
    id: IncidentId,
    classification: Classification,
    determination: Determination,
    summary: String,
) -> Result<()> {
    let finding = Finding { classification, determination, summary };
    let mut tx = begin(app, caller, id).await?;
    let incident = one(&tx, id).await?;
    let row = tx
        .query_one(
            "select count(*) from task where incident_id = $1 \
             and state in ('open', 'doing', 'running', 'failed')",
            vec![id.0.into()],
        )
        .await?;
    let open: i64 = row.map_or(Ok(0), |row| column(&row, 0))?;
    let (actor, at) = (tx.actor().clone(), tx.now());
    let step = incident.model.clone().conclude(&finding, open as u32, &actor, at);
    let step = step.map_err(refused)?;
    let fact = |id, changes| Fact::IncidentConcluded { incident: id, changes };
    apply(&mut tx, &incident, step, fact).await?;
    tx.made(id).await?;
    tx.commit().await
}

async fn step(
    app: &App,
    caller: &Caller,
    id: IncidentId,
    decide: impl FnOnce(
        model::Incident,
        &crate::actor::Actor,
        Timestamp,
    ) -> std::result::Result<Step, Refusal>,
    fact: impl FnOnce(IncidentId, Vec<Change>) -> Fact,
) -> Result<()> {
    let mut tx = begin(app, caller, id).await?;
    let incident = one(&tx, id).await?;
    let step = decide(incident.model.clone(), tx.actor(), tx.now()).map_err(refused)?;
    apply(&mut tx, &incident, step, fact).await?;
    tx.made(id).await?;
    tx.commit().await
}

/// Begins a change in the tenant of an incident within the caller's reach.
pub(crate) async fn begin(app: &App, caller: &Caller, id: IncidentId) -> Result<Tx> {
    let row = caller
        .view(app)
        .query_one("select tenant_no from incident where id = $1", vec![id.0.into()])
        .await?;
    let tenant = row.map(|row| column(&row, 0)).transpose()?.map(TenantNo);
    let tenant = tenant.ok_or_else(|| unknown(id))?;
    caller.require_inside(app, tenant, unknown(id)).await?;
    Tx::begin(app, tenant, caller.actor()).await
}

/// The incident of an id inside a change.
pub(crate) async fn one(tx: &Tx, id: IncidentId) -> Result<Incident> {
    store::load(tx, tx.tenant(), &[id]).await?.remove(&id).ok_or_else(|| unknown(id))
}

/// Writes what a transition gave back, and records it.
pub(crate) async fn apply(
    tx: &mut Tx,
    before: &Incident,
    step: Step,
    fact: impl FnOnce(IncidentId, Vec<Change>) -> Fact,
) -> Result<()> {
    if !step.changed() {
        return Ok(());
    }
    let mut after = before.clone();
    after.model = step.incident;
    after.model.updated = tx.next_update();
    store::save(tx, &[&after]).await?;
    store::save_tags(tx, after.id, Some(&before.model), &after.model).await?;
    if let Some(cascade) = &step.cascade {
        cascade_to_alerts(tx, after.id, cascade).await?;
    }
    if before.model.is_open() && !after.model.is_open() {
        close_tasks(tx, after.id).await?;
    }
    if !step.changes.is_empty() {
        tx.record(fact(after.id, step.changes));
    }
    for comment in step.comments {
        let id = tx.comment(Some(after.id), None, &comment.text).await?;
        tx.record(Fact::IncidentCommented { incident: after.id, comment: id, text: comment.text });
    }
    Ok(())
}

/// What nobody has begun of a closed incident's tasks is no longer wanted: a closed incident asks
/// nothing of anybody (INV-3). Actions that are under way come to their end.
async fn close_tasks(tx: &mut Tx, id: IncidentId) -> Result<()> {
    let because = "the incident was closed";
    let rows = tx
        .query(
            "select id from task where incident_id = $1 and state in ('open', 'doing', 'failed') \
             order by id",
            vec![id.0.into()],
        )
        .await?;
    for row in rows {
        let task = TaskId(column(&row, 0)?);
        let (updated, by) = (tx.next_update(), tx.actor().name.clone());
        tx.execute(
            "update task set state = 'withdrawn', closed_at = $2, closed_by = $3, \
             closed_because = $4, updated_at = $5, updated_by = $3 where id = $1",
            vec![
                task.0.into(),
                tx.now().micros().into(),
                by.into(),
                because.into(),
                updated.micros().into(),
            ],
        )
        .await?;
        tx.record(Fact::TaskClosed {
            incident: id,
            task,
            state: "withdrawn",
            because: Some(because.to_owned()),
            verified: false,
        });
    }
    tx.execute("delete from task where incident_id = $1 and state = 'draft'", vec![id.0.into()])
        .await?;
    Ok(())
}

/// Owner and resolution reach the incident's alerts (INC-10).
async fn cascade_to_alerts(tx: &mut Tx, id: IncidentId, cascade: &AlertCascade) -> Result<()> {
    let resolved = i64::from(AlertStatus::Resolved.code());
    let rows = tx
        .query("select id, status from alert where incident_id = $1 order by id", vec![id.0.into()])
        .await?;
    let mut updated: Vec<Sql> = Vec::with_capacity(rows.len() * 2);
    for row in &rows {
        let alert: i64 = column(row, 0)?;
        let open = column::<i64>(row, 1)? != resolved;
        if open || cascade.owner != OwnerCascade::Keep {
            updated.extend([alert.into(), tx.next_update().micros().into()]);
        }
    }
    if let OwnerCascade::Set(owner) = &cascade.owner {
        tx.execute(
            "update alert set assigned_to = $2 where incident_id = $1",
            vec![id.0.into(), owner.clone().into()],
        )
        .await?;
    }
    if let Some(verdict) = cascade.verdict {
        tx.execute(
            "update alert set classification = $2, determination = $3 \
             where incident_id = $1 and status <> $4",
            vec![
                id.0.into(),
                i64::from(verdict.classification().code()).into(),
                i64::from(verdict.determination().code()).into(),
                resolved.into(),
            ],
        )
        .await?;
    }
    if let Some(status) = cascade.status {
        tx.execute(
            "update alert set status = $2, resolved_at = $3 \
             where incident_id = $1 and status <> $4",
            vec![
                id.0.into(),
                i64::from(status.code()).into(),
                tx.now().micros().into(),
                resolved.into(),
            ],
        )
        .await?;
    }
    tx.update_rows("alert", &["id"], &["updated_at"], updated).await?;
    Ok(())
}

fn unknown(id: IncidentId) -> Error {
    Error::NotFound(format!("incident {id} does not exist"))
}

/// What a refusal of the model means to who asked.
#[expect(clippy::needless_pass_by_value, reason = "it is what map_err hands over")]
pub(crate) fn refused(refusal: Refusal) -> Error {
    match &refusal {
        Refusal::WrongState { .. } => Error::Conflict(refusal.to_string()),
        Refusal::NotAllowed { .. } => Error::Denied(refusal.to_string()),
        Refusal::Invalid { .. } => Error::Invalid(refusal.to_string()),
    }
}
