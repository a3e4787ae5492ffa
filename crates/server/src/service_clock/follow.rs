//! From facts to marks, and from the hour to notice.
//!
//! ```text
//! fact that times ─(untimed, in its own transaction)─▶ follow ─▶ marks, runs, when to look again
//!                                                                              │
//!                                    clock.nearing, clock.missed ◀─ watch ◀────┘
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use sea_orm::{QueryResult, Value as Sql};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::agreement::{self, Terms};
use super::model::{self, Clock, Mark, Notice, State};
use super::{CLOCKS, Kept, Subject, judge};
use crate::actor::{Actor, ActorKind};
use crate::app::App;
use crate::catalog;
use crate::clock::Timestamp;
use crate::db::{Transaction, column};
use crate::error::Result;
use crate::event::Fact;
use crate::id::{ActionId, IncidentId, TenantNo};
use crate::lease::Lease;
use crate::tx::Tx;
use crate::word::{Severity, Stage};

/// How often to look.
const LOOK: Duration = Duration::from_secs(1);
/// Facts of one tenant in one transaction; incidents of which notice is given in one.
const MOST: i64 = 500;
/// Tenants in one go.
const TENANTS: i64 = 100;

/// Follows and watches until `stop`.
pub async fn run(app: App, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(LOOK) => {}
        }
        if let Err(error) = tick(&app).await {
            tracing::error!("service clocks were not followed, will be: {error}");
        }
    }
}

/// Follows all there is to follow and gives notice of all that is due; for one process at a time.
pub async fn tick(app: &App) -> Result<()> {
    let scope = app.db.whole("service clocks of every tenant");
    let any = scope
        .query_one(
            "select 1 where exists (select 1 from untimed) \
             or exists (select 1 from service_clock where next_at <= $1)",
            vec![app.clock.now().micros().into()],
        )
        .await?;
    if any.is_none() {
        return Ok(());
    }
    let Some(lease) = Lease::take(app, "service clocks").await? else { return Ok(()) };
    let done = async {
        while follow(app, &lease).await? {}
        while watch(app, &lease).await? {}
        Ok(())
    }
    .await;
    lease.end(app, done).await
}

/// Whether there may be more.
async fn follow(app: &App, lease: &Lease) -> Result<bool> {
    let rows = app
        .db
        .whole("facts that service clocks go by, in every tenant")
        .query("select distinct tenant_no from untimed limit $1", vec![TENANTS.into()])
        .await?;
    let mut more = false;
    for row in &rows {
        let tenant = TenantNo(column(row, 0)?);
        let tx = app.db.of(tenant).begin().await?;
        lease.fence(app, &tx).await?;
        more |= follow_in(&tx, tenant, app.clock.now()).await?;
        tx.commit().await?;
    }
    Ok(more || rows.len() as i64 == TENANTS)
}

/// A fact that a clock may go by.
struct Timed {
    position: i64,
    at: Timestamp,
    incident: Option<IncidentId>,
    marks: Vec<Mark>,
    /// An action that was verified: whether it contains is asked of the catalogue.
    action: Option<i64>,
}

/// What waits of a tenant, or of one incident of it.
async fn waiting(
    tx: &Transaction,
    tenant: TenantNo,
    incident: Option<IncidentId>,
) -> Result<Vec<Timed>> {
    let (only, mut values): (&str, Vec<Sql>) = match incident {
        // What was merged into another is told in that one's log.
        Some(id) => ("and event.incident_id = $3", vec![id.0.into()]),
        None => ("", Vec::new()),
    };
    values.splice(0..0, [tenant.0.into(), MOST.into()]);
    let sql = format!(
        "select untimed.position, event.at, event.kind, event.actor_kind, event.incident_id, \
         event.body from untimed join event on event.tenant_no = untimed.tenant_no \
         and event.position = untimed.position where untimed.tenant_no = $1 {only} \
         order by untimed.position limit $2"
    );
    let rows = tx.query(&sql, values).await?;
    let mut all = rows.iter().map(timed).collect::<Result<Vec<_>>>()?;
    let ended: Vec<Sql> = all.iter().filter_map(|it| it.action).map(Sql::from).collect();
    if !ended.is_empty() {
        let (list, values) = tx.engine().among(1, ended);
        let sql = format!("select id, kind from action where id {list}");
        let mut contains = Vec::new();
        for row in tx.query(&sql, values).await? {
            let kind = catalog::Kind::read(&column::<String>(&row, 1)?);
            if kind.is_some_and(catalog::Kind::contains) {
                contains.push(column::<i64>(&row, 0)?);
            }
        }
        for it in &mut all {
            if it.action.is_some_and(|id| contains.contains(&id)) {
                it.marks.push(Mark::Contained);
            }
        }
    }
    Ok(all)
}

/// Whether a fact shows that somebody of the customer is on its incident.
#[must_use]
pub fn is_reaction(kind: &str, actor: Option<ActorKind>) -> bool {
    // A program of the customer's acts for it.
    let customer = matches!(actor, Some(ActorKind::Customer | ActorKind::Integration));
    let answers =
        ["response.rejected", "task.begun", "task.started", "task.closed", "message.sent"];
    customer && answers.contains(&kind)
}

/// Whether a fact says that an incident awaits its customer no more.
#[must_use]
pub fn left_customer(kind: &str, body: &Value) -> bool {
    if !matches!(kind, "incident.changed" | "incident.concluded") {
        return false;
    }
    let changes = body["changes"].as_array().into_iter().flatten();
    let mut stages = changes.filter(|it| it["field"] == "state");
    stages.any(|it| {
        let stage = |name: &str| Stage::read(it[name].as_str().unwrap_or_default());
        let (before, after) = (stage("before"), stage("after"));
        before == Some(Stage::AwaitingCustomer) && after.is_some() && after != before
    })
}

fn timed(row: &QueryResult) -> Result<Timed> {
    let kind: String = column(row, 2)?;
    let body: Value = serde_json::from_str(&column::<String>(row, 5)?).unwrap_or_default();
    let actor = ActorKind::read(&column::<String>(row, 3)?);
    let mut incident = column::<Option<i64>>(row, 4)?.map(IncidentId);
    let mut action = None;
    let marks = match kind.as_str() {
        "incident.queued" => vec![Mark::Queued],
        "incident.leftOut" => vec![Mark::LeftOut],
        "incident.merged" => {
            // It is told in the log of the one that goes on.
            incident = body["sourceIncidentId"].as_str().and_then(|id| id.parse().ok());
            vec![Mark::Merged]
        }
        "incident.concluded" => [Mark::Decided].into_iter().chain(stage(&body)).collect(),
        "incident.started" | "incident.changed" => stage(&body).into_iter().collect(),
        "response.published" => vec![Mark::Decided],
        kind if is_reaction(kind, actor) => vec![Mark::Acknowledged],
        "action.ended" if body["verified"] == true => {
            let id = body["actionId"].as_str().and_then(|id| id.parse::<ActionId>().ok());
            action = id.map(|id| id.0);
            Vec::new()
        }
        _ => Vec::new(),
    };
    let position = column(row, 0)?;
    Ok(Timed { position, at: Timestamp::from_micros(column(row, 1)?), incident, marks, action })
}

/// The mark of a change of where an incident stands.
fn stage(body: &Value) -> Option<Mark> {
    let change = body["changes"].as_array()?.iter().find(|it| it["field"] == "state")?;
    let read = |name: &str| Stage::read(change[name].as_str().unwrap_or_default());
    let before = read("before");
    Some(match read("after")? {
        Stage::New => Mark::Released,
        Stage::LeftOut => Mark::LeftOut,
        Stage::Queued => Mark::Queued,
        Stage::InProgress if before == Some(Stage::AwaitingCustomer) => Mark::TakenBack,
        Stage::InProgress => Mark::TakenUp,
        Stage::AwaitingCustomer => Mark::HandedOver,
        Stage::Resolved => Mark::Resolved,
        Stage::Redirected => Mark::Merged,
    })
}

/// Adds the marks of a fact; the first of an incident come with when it began.
fn add(kept: &mut Kept, it: &Subject, fact: &Timed) {
    if kept.marks.is_empty() && !fact.marks.is_empty() {
        // A source whose clock is ahead tells of what has not happened yet.
        model::note(&mut kept.marks, it.first_activity.min(it.received), Mark::Activity);
        model::note(&mut kept.marks, it.received, Mark::Received);
    }
    for mark in &fact.marks {
        model::note(&mut kept.marks, fact.at, *mark);
    }
}

/// Adds to what is kept of an incident what was not followed yet; nothing is written.
pub(super) async fn catch_up(
    tx: &Transaction,
    tenant: TenantNo,
    incident: &Subject,
    kept: &mut Kept,
) -> Result<()> {
    for fact in waiting(tx, tenant, Some(incident.id)).await? {
        if fact.incident == Some(incident.id) {
            add(kept, incident, &fact);
        }
    }
    Ok(())
}

/// Follows what waits of a tenant; whether there may be more.
async fn follow_in(tx: &Transaction, tenant: TenantNo, now: Timestamp) -> Result<bool> {
    let facts = waiting(tx, tenant, None).await?;
    let mut ids: Vec<IncidentId> = facts.iter().filter_map(|fact| fact.incident).collect();
    ids.sort_unstable();
    ids.dedup();
    let terms = agreement::of(tx, Some(tenant.0)).await?.0.read()?;
    let incidents = subjects(tx, tenant, &ids).await?;
    let mut all = kept(tx, &ids).await?;
    for fact in &facts {
        let Some(incident) = fact.incident.and_then(|id| incidents.get(&id)) else { continue };
        add(all.entry(incident.id).or_default(), incident, fact);
    }
    let (mut clocks, mut stopped, mut measured) = (Vec::new(), Vec::new(), Vec::<Sql>::new());
    for (id, kept) in &all {
        let Some(incident) = incidents.get(id).filter(|_| !kept.marks.is_empty()) else { continue };
        clocks.extend(row(tenant, *id, kept, &terms, incident.severity, now));
        measured.push(id.0.into());
        stopped.extend(runs(tenant, incident, kept, &terms));
    }
    write(tx, "marks", clocks).await?;
    if !measured.is_empty() {
        let (list, values) = tx.engine().among(1, measured);
        tx.execute(&format!("delete from clock_run where incident_id {list}"), values).await?;
    }
    tx.insert_rows(
        "insert into clock_run (incident_id, clock, number, tenant_no, severity, began_at, \
         stopped_at, took, target)",
        9,
        "",
        stopped,
    )
    .await?;
    if let Some(last) = facts.last() {
        tx.execute(
            "delete from untimed where tenant_no = $1 and position <= $2",
            vec![tenant.0.into(), last.position.into()],
        )
        .await?;
    }
    Ok(facts.len() as i64 == MOST)
}

/// What the clocks of these incidents need to know of them.
async fn subjects(
    tx: &Transaction,
    tenant: TenantNo,
    ids: &[IncidentId],
) -> Result<BTreeMap<IncidentId, Subject>> {
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let (list, mut values) = tx.engine().among(2, ids.iter().map(|id| id.0.into()).collect());
    values.insert(0, tenant.0.into());
    let sql = format!(
        "select id, severity, first_activity_at, created_at from incident \
         where +tenant_no = $1 and id {list}"
    );
    let mut found = BTreeMap::new();
    for row in tx.query(&sql, values).await? {
        let id = IncidentId(column(&row, 0)?);
        let severity = i16::try_from(column::<i64>(&row, 1)?).ok();
        let it = Subject {
            id,
            severity: severity.and_then(Severity::from_code).unwrap_or_default(),
            first_activity: Timestamp::from_micros(column(&row, 2)?),
            received: Timestamp::from_micros(column(&row, 3)?),
        };
        found.insert(id, it);
    }
    Ok(found)
}

/// What is kept of these incidents, held until this change is over.
async fn kept(tx: &Transaction, ids: &[IncidentId]) -> Result<BTreeMap<IncidentId, Kept>> {
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let (list, values) = tx.engine().among(1, ids.iter().map(|id| id.0.into()).collect());
    let sql = format!(
        "select incident_id, marks, said from service_clock where incident_id {list} \
         order by incident_id{}",
        tx.engine().for_update()
    );
    let rows = tx.query(&sql, values).await?;
    rows.iter().map(|row| Ok((IncidentId(column(row, 0)?), Kept::from_row(row, 1)?))).collect()
}

/// A row of `service_clock`.
fn row(
    tenant: TenantNo,
    id: IncidentId,
    kept: &Kept,
    terms: &Terms,
    severity: Severity,
    now: Timestamp,
) -> [Sql; 9] {
    let judged = judge(kept, terms, severity, now);
    // What is to be said at once is said by whoever watches, a moment later.
    let next = if judged.notices.is_empty() { judged.next } else { Some(now) };
    let (marks, said) = kept.spelt();
    let awaits = model::runs(&kept.marks)
        .into_iter()
        .rfind(|run| run.clock == Clock::Acknowledge)
        .filter(|run| run.state == State::Running);
    [
        id.0.into(),
        tenant.0.into(),
        marks.into(),
        said.into(),
        next.map(Timestamp::micros).into(),
        judged.due.map(|(_, clock)| clock.word().to_owned()).into(),
        judged.due.map(|(at, _)| at.micros()).into(),
        awaits.as_ref().map(|run| run.number).into(),
        awaits.as_ref().map(|run| run.began.micros()).into(),
    ]
}

/// Writes such rows. Of one that is there `kept` is written, `marks` or `said`, and what follows from
/// both: who follows says nothing, and who gives notice marks nothing.
async fn write(tx: &Transaction, kept: &str, rows: Vec<Sql>) -> Result<()> {
    tx.insert_rows(
        "insert into service_clock (incident_id, tenant_no, marks, said, next_at, due_clock, due_at, \
         awaits_run, awaits_since)",
        9,
        &format!(
            "on conflict (incident_id) do update set {kept} = excluded.{kept}, \
             next_at = excluded.next_at, due_clock = excluded.due_clock, \
             due_at = excluded.due_at, awaits_run = excluded.awaits_run, \
             awaits_since = excluded.awaits_since"
        ),
        rows,
    )
    .await?;
    Ok(())
}

/// Rows of `clock_run`: the runs of an incident that have their time.
fn runs(tenant: TenantNo, incident: &Subject, kept: &Kept, terms: &Terms) -> Vec<Sql> {
    let severity = incident.severity;
    let mut rows = Vec::new();
    for run in model::runs(&kept.marks).iter().filter(|run| run.state == State::Stopped) {
        let target = terms.target(run.clock, severity);
        let hours = target.as_ref().and_then(|target| target.hours.as_ref());
        let values: [Sql; 9] = [
            incident.id.0.into(),
            run.clock.word().into(),
            run.number.into(),
            tenant.0.into(),
            i64::from(severity.code()).into(),
            run.began.micros().into(),
            run.since.micros().into(),
            run.counted(hours, run.since).into(),
            target.as_ref().map(|target| target.within).into(),
        ];
        rows.extend(values);
    }
    rows
}

/// Gives notice of what is due, in every tenant; whether there may be more.
async fn watch(app: &App, lease: &Lease) -> Result<bool> {
    let now = app.clock.now();
    let rows = app
        .db
        .whole("service clocks that are due, in every tenant")
        .query(
            "select tenant_no, incident_id from service_clock where next_at <= $1 \
             order by next_at limit $2",
            vec![now.micros().into(), MOST.into()],
        )
        .await?;
    let mut by_tenant: BTreeMap<i64, Vec<IncidentId>> = BTreeMap::new();
    for row in &rows {
        by_tenant.entry(column(row, 0)?).or_default().push(IncidentId(column(row, 1)?));
    }
    for (tenant, ids) in by_tenant {
        let tenant = TenantNo(tenant);
        let mut tx = Tx::begin(app, tenant, Actor::system(CLOCKS)).await?;
        lease.fence(app, &tx).await?;
        watch_in(&mut tx, ids).await?;
        tx.commit().await?;
    }
    Ok(rows.len() as i64 == MOST)
}

async fn watch_in(tx: &mut Tx, mut ids: Vec<IncidentId>) -> Result<()> {
    ids.sort_unstable();
    let (tenant, now) = (tx.tenant(), tx.now());
    let terms = agreement::of(tx, Some(tenant.0)).await?.0.read()?;
    let incidents = subjects(tx, tenant, &ids).await?;
    let mut rows = Vec::new();
    for (id, mut kept) in kept(tx, &ids).await? {
        let Some(incident) = incidents.get(&id) else { continue };
        let severity = incident.severity;
        for (run, target, notice) in judge(&kept, &terms, severity, now).notices {
            kept.said.push((run.clock, run.number, notice));
            let Some((_, due)) = model::due(&run, &target) else { continue };
            let (clock, whose) = (run.clock.word(), run.clock.row().whose.word());
            let minutes = target.within / 60_000_000;
            tx.record(match notice {
                Notice::Nearing => {
                    Fact::ClockNearing { incident: id, clock, whose, due, target: minutes }
                }
                Notice::Missed => {
                    Fact::ClockMissed { incident: id, clock, whose, due, target: minutes }
                }
            });
        }
        rows.extend(row(tenant, id, &kept, &terms, severity, now));
    }
    write(tx, "said", rows).await
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_change_of_where_it_stands_is_a_mark() {
        let body = |before: &str, after: &str| {
            let state = json!({ "field": "state", "before": before, "after": after });
            json!({ "changes": [{ "field": "owner", "before": null, "after": "x" }, state] })
        };
        assert_eq!(stage(&body("queued", "inProgress")), Some(Mark::TakenUp));
        assert_eq!(stage(&body("awaitingCustomer", "inProgress")), Some(Mark::TakenBack));
        assert_eq!(stage(&body("inProgress", "awaitingCustomer")), Some(Mark::HandedOver));
        assert_eq!(stage(&body("inProgress", "resolved")), Some(Mark::Resolved));
        assert_eq!(stage(&body("resolved", "new")), Some(Mark::Released));
        assert_eq!(stage(&json!({ "changes": [{ "field": "severity" }] })), None);
        assert_eq!(stage(&json!({})), None);
    }
}
