//! Service clocks: how long each part of an incident takes, whose time that is, what the provider has
//! promised, and notice before a promise is broken.
//!
//! Clocks are worked out from facts of the ledger (`follow`): what [`crate::event::Fact::times`] says
//! comes with a row in `untimed`, in its own transaction, so that no crash comes between a fact and the
//! clocks. `model` is the table of clocks and all arithmetic, pure; `agreement` what is promised; `watch`
//! gives notice. Invariants: what a clock shows depends on facts and the hour alone, not on when somebody
//! looked; each run of a clock is given notice of at most twice, once before and once after it is due.
//! Not here: who is told (`notification`), what a report makes of the runs.

pub mod agreement;
pub mod follow;
pub mod model;

use std::collections::HashMap;

use sea_orm::QueryResult;
use serde_json::json;

use crate::app::App;
use crate::clock::Timestamp;
use crate::db::{Scope, Transaction, column};
use crate::error::{Error, Result};
use crate::event::{Change, Fact};
use crate::hours::{Hours, Week};
use crate::id::{IncidentId, TenantNo};
use crate::incident;
use crate::permission::Permission;
use crate::service_clock::agreement::{Agreement, Lead, Terms};
use crate::service_clock::model::{Clock, Forecast, Mark, Marked, Notice, Run, State};
use crate::tenant::caller::{self, Caller};
use crate::tx::Tx;
use crate::word::Severity;

/// In whose name notice is given.
pub const CLOCKS: &str = "Service clocks";
/// Runs that a forecast is learned from.
const LEARNED: i64 = 200;
/// Over how many days performance is told.
const DAYS: i64 = 30;
/// Runs that performance is worked out from, the newest first.
const MEASURED: i64 = 20_000;

/// What the clocks of an incident need to know of it, besides its marks.
#[derive(Clone, Debug)]
struct Subject {
    id: IncidentId,
    severity: Severity,
    first_activity: Timestamp,
    received: Timestamp,
}

/// What the clocks of one incident are worked out from.
#[derive(Clone, Debug, Default)]
struct Kept {
    marks: Vec<Marked>,
    said: Vec<(Clock, i64, Notice)>,
}

impl Kept {
    /// From the columns `marks` and `said`.
    fn from_row(row: &QueryResult, first: usize) -> Result<Self> {
        let damaged = |e| Error::Internal(format!("table service_clock is damaged: {e}"));
        let marks: Vec<(i64, model::Mark)> =
            serde_json::from_str(&column::<String>(row, first)?).map_err(damaged)?;
        let said = serde_json::from_str(&column::<String>(row, first + 1)?).map_err(damaged)?;
        let marks = marks.into_iter().map(|(at, mark)| (Timestamp::from_micros(at), mark));
        Ok(Self { marks: marks.collect(), said })
    }

    fn spelt(&self) -> (String, String) {
        let marks: Vec<_> = self.marks.iter().map(|(at, mark)| (at.micros(), mark)).collect();
        (json!(marks).to_string(), json!(self.said).to_string())
    }

    /// What was said of a run.
    fn said_of(&self, run: &Run) -> Vec<Notice> {
        let of = |(clock, number, _): &&(Clock, i64, Notice)| {
            *clock == run.clock && *number == run.number
        };
        self.said.iter().filter(of).map(|(_, _, notice)| *notice).collect()
    }
}

/// What follows from the marks of an incident at one hour.
#[derive(Clone, Debug, Default)]
struct Judged {
    /// Of what notice is to be given.
    notices: Vec<(Run, model::Target, Notice)>,
    /// When to look again.
    next: Option<Timestamp>,
    /// Which running clock is due first.
    due: Option<(Timestamp, Clock)>,
}

fn judge(kept: &Kept, terms: &Terms, severity: Severity, now: Timestamp) -> Judged {
    let mut it = Judged::default();
    for run in model::runs(&kept.marks) {
        let Some(target) = terms.target(run.clock, severity) else { continue };
        let said = kept.said_of(&run);
        let (notice, next) = model::judge(&run, &target, &said, now);
        it.next = it.next.into_iter().chain(next).min();
        if let Some((_, due)) = model::due(&run, &target) {
            it.due = it.due.into_iter().chain([(due, run.clock)]).min();
        }
        if let Some(notice) = notice {
            it.notices.push((run, target, notice));
        }
    }
    it
}

/// What one clock of an incident shows.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The clock.
    pub clock: Clock,
    /// Its last run; none when it never began.
    pub run: Option<Run>,
    /// What has counted, in microseconds.
    pub counted: i64,
    /// What is promised.
    pub target: Option<model::Target>,
    /// When it is due, while it runs.
    pub due: Option<Timestamp>,
    /// Whether it has missed its target.
    pub missed: bool,
    /// What may be expected, while it runs.
    pub forecast: Option<Forecast>,
}

/// What every clock of an incident shows now: for who is inside the tenant.
pub async fn of_incident(app: &App, caller: &Caller, id: IncidentId) -> Result<Vec<Reading>> {
    caller.require(&[Permission::IncidentRead])?;
    let incident = incident::find(app, caller, id).await?;
    let (tenant, severity) = (incident.tenant, incident.model.severity);
    let subject = Subject {
        id,
        severity,
        first_activity: incident.first_activity,
        received: incident.model.created,
    };
    let tx = app.db.of(tenant).snapshot().await?;
    let row = tx
        .query_one(
            "select marks, said from service_clock where incident_id = $1",
            vec![id.0.into()],
        )
        .await?;
    let mut kept = row.map(|row| Kept::from_row(&row, 0)).transpose()?.unwrap_or_default();
    // What happened a moment ago is shown as well.
    follow::catch_up(&tx, tenant, &subject, &mut kept).await?;
    let terms = agreement::of(&tx, Some(tenant.0)).await?.0.read()?;
    let now = app.clock.now();
    let mut runs: HashMap<Clock, Run> = HashMap::new();
    for run in model::runs(&kept.marks) {
        runs.insert(run.clock, run);
    }
    let mut readings = Vec::new();
    for clock in Clock::ALL {
        let run = runs.remove(clock);
        let target = terms.target(*clock, severity);
        let hours = target.as_ref().and_then(|target| target.hours.as_ref());
        let counted = run.as_ref().map_or(0, |run| run.counted(hours, now));
        let due = run.as_ref().zip(target.as_ref()).and_then(|(run, target)| {
            let (_, due) = model::due(run, target)?;
            Some(due)
        });
        let missed = run.as_ref().zip(target.as_ref());
        let missed = missed.is_some_and(|(run, target)| model::is_missed(run, target, now));
        let forecast = match &run {
            Some(run) if run.state == State::Running => {
                let taken = taken(&tx, tenant, *clock, severity).await?;
                model::forecast(run, target.as_ref(), &taken, now)
            }
            _ => None,
        };
        readings.push(Reading { clock: *clock, run, counted, target, due, missed, forecast });
    }
    Ok(readings)
}

/// Whether the Acknowledge clock of an incident was last stopped by somebody of the customer's who
/// reacted, and not because the incident was taken back or resolved.
pub(crate) async fn was_acknowledged(tx: &Transaction, id: IncidentId) -> Result<bool> {
    let row = tx
        .query_one(
            "select marks, said from service_clock where incident_id = $1",
            vec![id.0.into()],
        )
        .await?;
    let kept = row.map(|row| Kept::from_row(&row, 0)).transpose()?.unwrap_or_default();
    let stops = [Mark::Acknowledged, Mark::TakenBack, Mark::Resolved];
    let last = kept.marks.iter().rev().map(|(_, mark)| *mark).find(|mark| stops.contains(mark));
    Ok(last == Some(Mark::Acknowledged))
}

/// What the newest runs like it took.
async fn taken(
    tx: &Transaction,
    tenant: TenantNo,
    clock: Clock,
    severity: Severity,
) -> Result<Vec<i64>> {
    let rows = tx
        .query(
            "select took from clock_run where tenant_no = $1 and clock = $2 and severity = $3 \
             order by stopped_at desc limit $4",
            vec![
                tenant.0.into(),
                clock.word().into(),
                i64::from(severity.code()).into(),
                LEARNED.into(),
            ],
        )
        .await?;
    rows.iter().map(|row| column(row, 0)).collect()
}

/// Of some incidents, which running clock is due first, and when.
pub async fn due(
    scope: &Scope<'_>,
    ids: &[IncidentId],
) -> Result<HashMap<IncidentId, (Clock, Timestamp)>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let (among, values) = scope.engine().among(1, ids.iter().map(|id| id.0.into()).collect());
    let sql = format!(
        "select incident_id, due_clock, due_at from service_clock \
         where due_at is not null and incident_id {among}"
    );
    let mut due = HashMap::new();
    for row in scope.query(&sql, values).await? {
        let at = Timestamp::from_micros(column(&row, 2)?);
        if let Some(clock) = Clock::read(&column::<String>(&row, 1)?) {
            due.insert(IncidentId(column(&row, 0)?), (clock, at));
        }
    }
    Ok(due)
}

/// How many incidents of some tenants have a running clock that has missed its target, and how many one
/// that will within so many seconds.
pub async fn late(app: &App, tenants: &[TenantNo], within_s: i64) -> Result<(i64, i64)> {
    if tenants.is_empty() {
        return Ok((0, 0));
    }
    let now = app.clock.now();
    let scope = app.db.reach(tenants);
    let (among, values) = scope.engine().among(3, tenants.iter().map(|no| no.0.into()).collect());
    let mut given = vec![now.micros().into(), now.plus_seconds(within_s).micros().into()];
    given.extend(values);
    let sql = format!(
        "select count(case when due_at < $1 then 1 end), count(case when due_at >= $1 then 1 end) \
         from service_clock where due_at is not null and due_at <= $2 and tenant_no {among}"
    );
    let row = scope.query_one(&sql, given).await?;
    let row = row.ok_or_else(|| Error::Internal("nothing was counted".to_owned()))?;
    Ok((column(&row, 0)?, column(&row, 1)?))
}

/// When the experts answer a customer's words; at any hour where absent.
pub(crate) async fn chat_hours(tx: &Transaction, tenant: TenantNo) -> Result<Option<Hours>> {
    let (agreement, _) = agreement::of(tx, Some(tenant.0)).await?;
    agreement.chat_hours.as_ref().map(Week::read).transpose()
}

/// Who of the provider hears of targets that are near or missed.
pub(crate) async fn lead(tx: &Transaction, tenant: TenantNo) -> Result<Option<Lead>> {
    Ok(agreement::of(tx, Some(tenant.0)).await?.0.lead)
}

/// Whose agreement somebody means.
async fn whose(app: &App, caller: &Caller, tenant: Option<&str>) -> Result<Option<TenantNo>> {
    // A customer has one agreement, its own.
    if let Ok(own) = caller.own_tenant() {
        return match tenant {
            None => Ok(Some(own)),
            Some(id) => caller::tenant_within_reach(app, caller, id).await.map(Some),
        };
    }
    match tenant {
        None => Ok(None),
        Some(id) => caller::tenant_served(app, caller, id).await.map(Some),
    }
}

/// What is promised: to the caller's own organisation, to a customer, or to all of them; and whether
/// that customer has an agreement of its own.
pub async fn agreed(
    app: &App,
    caller: &Caller,
    tenant: Option<&str>,
) -> Result<(Option<TenantNo>, Agreement, bool)> {
    caller.require(&[Permission::IncidentRead, Permission::TenantRead])?;
    let tenant = whose(app, caller, tenant).await?;
    let tx = app.db.of(tenant.unwrap_or(TenantNo::PROVIDER)).snapshot().await?;
    let (agreement, own) = agreement::of(&tx, tenant.map(|no| no.0)).await?;
    Ok((tenant, agreement, own))
}

/// Promises something: to a customer, or to all that have no agreement of their own. `None` takes a
/// customer's own agreement away. Clocks that run are held against it from now on.
pub async fn agree(
    app: &App,
    caller: &Caller,
    tenant: Option<&str>,
    wanted: Option<Agreement>,
) -> Result<()> {
    caller.require(&[Permission::TenantReadWrite])?;
    let tenant = whose(app, caller, tenant).await?;
    let wanted = wanted.map(Agreement::checked).transpose()?;
    let mut tx = Tx::begin(app, tenant.unwrap_or(TenantNo::PROVIDER), caller.actor()).await?;
    let (before, own) = agreement::of(&tx, tenant.map(|no| no.0)).await?;
    match (tenant, &wanted) {
        (Some(no), Some(wanted)) => {
            tx.execute(
                "insert into service_agreement (tenant_no, body) values ($1, $2) \
                 on conflict (tenant_no) do update set body = excluded.body",
                vec![no.0.into(), agreement::spelt(wanted).into()],
            )
            .await?;
        }
        (Some(no), None) if own => {
            let sql = "delete from service_agreement where tenant_no = $1";
            tx.execute(sql, vec![no.0.into()]).await?;
        }
        (Some(_), None) => return Ok(()),
        (None, wanted) => {
            let wanted = wanted.clone().unwrap_or_default();
            tx.execute(
                "insert into setting (name, value) values ($1, $2) \
                 on conflict (name) do update set value = excluded.value",
                vec![agreement::FOR_ALL.into(), agreement::spelt(&wanted).into()],
            )
            .await?;
        }
    }
    let (after, _) = agreement::of(&tx, tenant.map(|no| no.0)).await?;
    let changes: Vec<Change> = [
        ("targets", json!(before.targets), json!(after.targets)),
        ("hours", json!(before.hours), json!(after.hours)),
        ("chatHours", json!(before.chat_hours), json!(after.chat_hours)),
        ("noticePercent", json!(before.notice_percent), json!(after.notice_percent)),
        ("lead", json!(before.lead), json!(after.lead)),
    ]
    .into_iter()
    .filter(|(_, before, after)| before != after)
    .map(|(field, before, after)| Change { field, before, after })
    .collect();
    if changes.is_empty() {
        return tx.commit().await;
    }
    if let Some(no) = tenant {
        look_again(&tx, Some(no), tx.now()).await?;
    }
    tx.record(Fact::ServiceAgreementChanged { changes });
    tx.commit().await?;
    if tenant.is_none() {
        // Each in a change of its own tenant: what is not looked at now is at its next mark.
        let all = app.db.whole("a new agreement for all customers").begin().await?;
        look_again(&all, None, app.clock.now()).await?;
        all.commit().await?;
    }
    Ok(())
}

/// Has the clocks of what is open held against the agreement again.
async fn look_again(tx: &Transaction, tenant: Option<TenantNo>, now: Timestamp) -> Result<()> {
    let open = "update service_clock set next_at = $1 where incident_id in (select id from incident \
                where status in (1, 3, 5)";
    match tenant {
        Some(no) => {
            let sql = format!("{open} and tenant_no = $2) and tenant_no = $2");
            tx.execute(&sql, vec![now.micros().into(), no.0.into()]).await?;
        }
        None => {
            tx.execute(&format!("{open})"), vec![now.micros().into()]).await?;
        }
    }
    Ok(())
}

/// How one clock did for one severity, over 30 days.
#[derive(Clone, Debug)]
pub struct Performance {
    /// The clock.
    pub clock: Clock,
    /// Of incidents of this severity.
    pub severity: Severity,
    /// How many runs came to their end.
    pub runs: i64,
    /// What half of them took at most, in microseconds.
    pub median: i64,
    /// What nine of ten took at most, in microseconds.
    pub p90: i64,
    /// How many had a target, and how many kept it.
    pub kept: (i64, i64),
}

/// What each run took, and what was promised of it.
type Runs = Vec<(i64, Option<i64>)>;

/// How the clocks of a customer did over the last 30 days.
pub async fn performance(app: &App, tenant: TenantNo) -> Result<Vec<Performance>> {
    let since = app.clock.now().plus_seconds(-DAYS * 86_400);
    let rows = app
        .db
        .of(tenant)
        .query(
            "select clock, severity, took, target from clock_run where tenant_no = $1 \
             and stopped_at >= $2 order by stopped_at desc limit $3",
            vec![tenant.0.into(), since.micros().into(), MEASURED.into()],
        )
        .await?;
    let mut all: HashMap<(String, i64), Runs> = HashMap::new();
    for row in &rows {
        let key = (column(row, 0)?, column(row, 1)?);
        all.entry(key).or_default().push((column(row, 2)?, column(row, 3)?));
    }
    let mut found = Vec::new();
    for clock in Clock::ALL {
        for severity in Severity::ALL.iter().rev() {
            let key = (clock.word().to_owned(), i64::from(severity.code()));
            let Some(mut runs) = all.remove(&key) else { continue };
            runs.sort_unstable();
            let at = |percent: usize| {
                let place = (runs.len() * percent).div_ceil(100).max(1) - 1;
                runs.get(place).map_or(0, |(took, _)| *took)
            };
            let promised = runs.iter().filter_map(|(took, target)| target.map(|it| (*took, it)));
            let (mut of, mut kept) = (0, 0);
            for (took, target) in promised {
                of += 1;
                kept += i64::from(took <= target);
            }
            found.push(Performance {
                clock: *clock,
                severity: *severity,
                runs: runs.len() as i64,
                median: at(50),
                p90: at(90),
                kept: (kept, of),
            });
        }
    }
    Ok(found)
}
