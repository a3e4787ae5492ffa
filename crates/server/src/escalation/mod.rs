//! Escalation: whoever has to react is reached, one after the other, until somebody does (NOT-8).
//!
//! A **climb** is a ladder for one wait: it begins when the Acknowledge clock of an incident does
//! (`service_clock`), and ends when that stops, whoever reacted and by which way. Invariants: a wait has
//! one climb at most, however often the process dies; a rung is tried in the change that puts it on
//! record, and is told from there (`notification`); what follows when nobody answered follows once.
//! Each contact is tried in its working hours unless the ladder says otherwise. Not here: how a contact
//! is reached, what a reaction is.

pub mod model;

use std::collections::HashMap;
use std::time::Duration;

use sea_orm::QueryResult;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::actor::Actor;
use crate::app::App;
use crate::clock::Timestamp;
use crate::contact::{self, Contact};
use crate::db::{Transaction, column};
use crate::error::{Error, Result};
use crate::escalation::model::{By, Ladder, Nobody, Place, Reach};
use crate::event::{Change, Fact};
use crate::id::{IncidentId, TenantNo};
use crate::lease::Lease;
use crate::permission::Permission;
use crate::service_clock;
use crate::tenant::caller::Caller;
use crate::tx::Tx;
use crate::word::{Severity, choices};

/// In whose name ladders are climbed.
pub const ESCALATION: &str = "Escalation";
/// How often to look.
const LOOK: Duration = Duration::from_secs(1);
/// Climbs looked at in one go.
const MOST: i64 = 200;

choices! {
    /// Where a climb stands.
    Standing {
        /// The next rung is due.
        Climbing = "climbing",
        /// Somebody reacted.
        Acknowledged = "acknowledged",
        /// Nobody did.
        Nobody = "nobody",
        /// The incident is over, or the ladder was taken away.
        Ended = "ended",
    }
}

/// The ladder of the caller's own organisation.
pub async fn ladder(app: &App, caller: &Caller) -> Result<Ladder> {
    caller.require(&[Permission::ContactRead])?;
    let tenant = caller.own_tenant()?;
    ladder_in(&app.db.of(tenant).snapshot().await?, tenant).await
}

/// A customer's ladder, in an open change.
pub(crate) async fn ladder_in(tx: &Transaction, tenant: TenantNo) -> Result<Ladder> {
    let sql = "select body from ladder where tenant_no = $1";
    match tx.query_one(sql, vec![tenant.0.into()]).await? {
        None => Ok(Ladder::default()),
        Some(row) => serde_json::from_str(&column::<String>(&row, 0)?)
            .map_err(|e| Error::Internal(format!("a ladder is damaged: {e}"))),
    }
}

/// Chooses the ladder of the caller's own organisation. What is being climbed goes on by the new one.
pub async fn choose(app: &App, caller: &Caller, wanted: Ladder) -> Result<Ladder> {
    caller.require(&[Permission::ContactReadWrite])?;
    let tenant = caller.own_tenant()?;
    let mut tx = Tx::begin(app, tenant, caller.actor()).await?;
    let contacts = contacts(&tx, tenant).await?;
    let wanted = wanted.checked(|id| contacts.get(id).map(|it| it.phone.is_some()))?;
    let before = ladder_in(&tx, tenant).await?;
    if before == wanted {
        return Ok(wanted);
    }
    tx.execute(
        "insert into ladder (tenant_no, body) values ($1, $2) \
         on conflict (tenant_no) do update set body = excluded.body",
        vec![tenant.0.into(), json!(wanted).to_string().into()],
    )
    .await?;
    let changes: Vec<Change> = [
        ("isOn", json!(before.is_on), json!(wanted.is_on)),
        ("severities", json!(before.severities), json!(wanted.severities)),
        ("rungs", json!(before.rungs), json!(wanted.rungs)),
        ("rounds", json!(before.rounds), json!(wanted.rounds)),
        ("nobody", json!(before.nobody), json!(wanted.nobody)),
    ]
    .into_iter()
    .filter(|(_, before, after)| before != after)
    .map(|(field, before, after)| Change { field, before, after })
    .collect();
    tx.record(Fact::LadderChanged { changes });
    tx.commit().await?;
    Ok(wanted)
}

async fn contacts(tx: &Transaction, tenant: TenantNo) -> Result<HashMap<String, Contact>> {
    let role = contact::ContactRole::IncidentNotification;
    let all = contact::of_role(tx, tenant, role).await?;
    Ok(all.into_iter().map(|it| (it.id.clone(), it)).collect())
}

/// Something that was tried.
#[derive(Clone, Debug)]
pub struct Step {
    /// When.
    pub at: Timestamp,
    /// Whom, as people call it.
    pub name: String,
    /// How.
    pub by: By,
    /// Why it was passed over; none when it was told.
    pub because: Option<String>,
    /// How a call or a message ended, as the carrier told it: `answered`, `heard`, `noAnswer` …
    pub outcome: Option<String>,
}

/// A ladder as it was climbed for an incident: the call log.
#[derive(Clone, Debug)]
pub struct Climb {
    /// Where it stands.
    pub standing: Standing,
    /// When it began.
    pub began: Timestamp,
    /// When the next rung is due.
    pub next: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// What was tried, in order.
    pub steps: Vec<Step>,
}

/// Every climb for an incident that the caller is inside of, the newest first.
pub async fn of_incident(app: &App, caller: &Caller, id: IncidentId) -> Result<Vec<Climb>> {
    caller.require(&[Permission::IncidentRead])?;
    let incident = crate::incident::find(app, caller, id).await?;
    let tx = app.db.of(incident.tenant).snapshot().await?;
    let rows = tx
        .query(
            "select run, state, began_at, next_at, ended_at from climb where incident_id = $1 \
             order by run desc",
            vec![id.0.into()],
        )
        .await?;
    let mut climbs = Vec::with_capacity(rows.len());
    for row in &rows {
        let damaged = || Error::Internal("table climb is damaged".to_owned());
        let standing = Standing::read(&column::<String>(row, 1)?).ok_or_else(damaged)?;
        let at = |index| Ok::<_, Error>(Timestamp::from_micros(column(row, index)?));
        let climbing = standing == Standing::Climbing;
        climbs.push(Climb {
            standing,
            began: at(2)?,
            next: climbing.then(|| at(3)).transpose()?,
            ended: column::<Option<i64>>(row, 4)?.map(Timestamp::from_micros),
            steps: steps(&tx, id, column(row, 0)?).await?,
        });
    }
    Ok(climbs)
}

async fn steps(tx: &Transaction, id: IncidentId, run: i64) -> Result<Vec<Step>> {
    let rows = tx
        .query(
            "select climb_step.at, climb_step.name, climb_step.way, climb_step.because, \
             delivery.call_outcome from climb_step left join delivery \
             on delivery.id = climb_step.delivery_id where climb_step.incident_id = $1 \
             and climb_step.run = $2 order by climb_step.number",
            vec![id.0.into(), run.into()],
        )
        .await?;
    let one = |row: &QueryResult| {
        let by: String = column(row, 2)?;
        Ok(Step {
            at: Timestamp::from_micros(column(row, 0)?),
            name: column(row, 1)?,
            by: By::read(&by)
                .ok_or_else(|| Error::Internal("table climb_step is damaged".to_owned()))?,
            because: column(row, 3)?,
            outcome: column(row, 4)?,
        })
    };
    rows.iter().map(one).collect()
}

/// Climbs what there is to climb until `stop`.
pub async fn run(app: App, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(LOOK) => {}
        }
        if let Err(error) = tick(&app).await {
            tracing::error!("ladders were not climbed, will be: {error}");
        }
    }
}

/// What is to be looked at: waits that nobody climbs for yet, climbs whose wait is over, and rungs that
/// are due. `$1` is now.
const DUE: &str = "select service_clock.tenant_no, service_clock.incident_id from service_clock \
    join ladder on ladder.tenant_no = service_clock.tenant_no \
    where service_clock.awaits_run is not null and not exists (select 1 from climb \
    where climb.incident_id = service_clock.incident_id and climb.run = service_clock.awaits_run) \
    union select climb.tenant_no, climb.incident_id from climb where climb.state = 'climbing' \
    and (climb.next_at <= $1 or not exists (select 1 from service_clock \
    where service_clock.incident_id = climb.incident_id \
    and service_clock.awaits_run = climb.run))";

/// Climbs all there is to climb at this hour, for one process at a time.
pub async fn tick(app: &App) -> Result<()> {
    let scope = app.db.whole("ladders of every tenant");
    let sql = format!("{DUE} limit $2");
    let rows = scope.query(&sql, vec![app.clock.now().micros().into(), MOST.into()]).await?;
    if rows.is_empty() {
        return Ok(());
    }
    let Some(lease) = Lease::take(app, "escalation").await? else { return Ok(()) };
    let done = async {
        for row in &rows {
            let tenant = TenantNo(column(row, 0)?);
            let mut tx = Tx::begin(app, tenant, Actor::system(ESCALATION)).await?;
            lease.fence(app, &tx).await?;
            climb(&mut tx, IncidentId(column(row, 1)?)).await?;
            tx.commit().await?;
        }
        Ok(())
    }
    .await;
    lease.end(app, done).await
}

/// What the Acknowledge clock says of an incident: which run waits, and the severity.
async fn waits(tx: &Tx, id: IncidentId) -> Result<Option<(Option<i64>, Severity)>> {
    let row = tx
        .query_one(
            "select service_clock.awaits_run, incident.severity from service_clock \
             join incident on incident.id = service_clock.incident_id \
             where service_clock.incident_id = $1 and service_clock.tenant_no = $2",
            vec![id.0.into(), tx.tenant().0.into()],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    let severity = i16::try_from(column::<i64>(&row, 1)?).ok().and_then(Severity::from_code);
    Ok(Some((column(&row, 0)?, severity.unwrap_or_default())))
}

/// Looks at one incident: begins a climb, ends it, or goes one rung on.
async fn climb(tx: &mut Tx, id: IncidentId) -> Result<()> {
    let (tenant, now) = (tx.tenant(), tx.now());
    let ladder = ladder_in(tx, tenant).await?;
    let Some((awaited, severity)) = waits(tx, id).await? else { return Ok(()) };
    let row = tx
        .query_one(
            "select run, rung, round, next_at from climb where incident_id = $1 \
             and state = 'climbing'",
            vec![id.0.into()],
        )
        .await?;
    if let Some(row) = row {
        let run: i64 = column(&row, 0)?;
        if awaited != Some(run) {
            let reacted = service_clock::was_acknowledged(tx, id).await?;
            let standing = if reacted { Standing::Acknowledged } else { Standing::Ended };
            end(tx, id, run, standing).await?;
        } else if !ladder.is_on {
            end(tx, id, run, Standing::Ended).await?;
        } else if column::<i64>(&row, 3)? <= now.micros() {
            let rung = usize::try_from(column::<i64>(&row, 1)?).unwrap_or(usize::MAX);
            step(tx, &ladder, (id, run), Place { round: column(&row, 2)?, rung }).await?;
        }
        return Ok(());
    }
    let Some(run) = awaited else { return Ok(()) };
    // A wait that the ladder is not for is on record as ended, so that it is not looked at again.
    let standing = if ladder.is_for(severity) { Standing::Climbing } else { Standing::Ended };
    let begun = tx
        .execute(
            "insert into climb (incident_id, run, tenant_no, state, rung, round, next_at, \
             began_at, ended_at) values ($1, $2, $3, $4, 0, 0, $5, $5, $6) on conflict do nothing",
            vec![
                id.0.into(),
                run.into(),
                tenant.0.into(),
                standing.word().into(),
                now.micros().into(),
                (standing == Standing::Ended).then(|| now.micros()).into(),
            ],
        )
        .await?;
    if begun == 1 && standing == Standing::Climbing {
        step(tx, &ladder, (id, run), Place::default()).await?;
    }
    Ok(())
}

/// Tries the next rung.
async fn step(
    tx: &mut Tx,
    ladder: &Ladder,
    (id, run): (IncidentId, i64),
    place: Place,
) -> Result<()> {
    let (tenant, now) = (tx.tenant(), tx.now());
    let contacts = contacts(tx, tenant).await?;
    let mut reach = HashMap::new();
    for (id, it) in &contacts {
        let at_work = match &it.hours {
            Some(week) => week.read()?.is_open(now),
            None => true,
        };
        reach.insert(id.clone(), Reach { phone: it.phone.is_some(), at_work });
    }
    let found = model::next(ladder, place, |id| reach.get(id).copied());
    let sql = "select count(*) from climb_step where incident_id = $1 and run = $2";
    let row = tx.query_one(sql, vec![id.0.into(), run.into()]).await?;
    let mut number: i64 = row.map(|row| column(&row, 0)).transpose()?.unwrap_or(0);
    let told = found.told.map(|(rung, _)| (rung, None));
    let tried = found.passed.iter().map(|(rung, why)| (*rung, Some(*why))).chain(told);
    for (rung, because) in tried {
        number += 1;
        let name =
            contacts.get(&rung.contact_id).map_or("a removed contact", |it| it.name.as_str());
        let outcome = if because.is_some() { "passedOver" } else { "told" };
        tx.execute(
            "insert into climb_step (incident_id, run, number, tenant_no, at, contact_id, name, \
             way, outcome, because) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            vec![
                id.0.into(),
                run.into(),
                number.into(),
                tenant.0.into(),
                now.micros().into(),
                rung.contact_id.clone().into(),
                name.into(),
                rung.by.word().into(),
                outcome.into(),
                because.map(str::to_owned).into(),
            ],
        )
        .await?;
        tx.record(Fact::EscalationStepped {
            incident: id,
            run,
            contact: rung.contact_id.clone(),
            name: name.to_owned(),
            by: rung.by.word(),
            step: number,
            because,
        });
    }
    let Some((rung, on)) = found.told else {
        return nobody(tx, ladder, id, run).await;
    };
    tx.execute(
        "update climb set rung = $3, round = $4, next_at = $5 where incident_id = $1 and run = $2",
        vec![
            id.0.into(),
            run.into(),
            i64::try_from(on.rung).unwrap_or(i64::MAX).into(),
            on.round.into(),
            now.plus_seconds(rung.wait_minutes.saturating_mul(60)).micros().into(),
        ],
    )
    .await?;
    Ok(())
}

/// Nobody has answered: what the customer wants then.
async fn nobody(tx: &mut Tx, ladder: &Ladder, id: IncidentId, run: i64) -> Result<()> {
    end(tx, id, run, Standing::Nobody).await?;
    if ladder.nobody == Nobody::Fallback {
        crate::response::nobody_answered(tx, id).await?;
    }
    Ok(())
}

/// Notes by which delivery a rung was told.
pub(crate) async fn told(
    tx: &Tx,
    id: IncidentId,
    (run, step): (i64, i64),
    delivery: &str,
) -> Result<()> {
    tx.execute(
        "update climb_step set delivery_id = $4 where incident_id = $1 and run = $2 \
         and number = $3",
        vec![id.0.into(), run.into(), step.into(), delivery.into()],
    )
    .await?;
    Ok(())
}

/// Whether the wait that a delivery was made for goes on; also of one that no ladder made.
pub(crate) async fn still_asks(app: &App, tenant: TenantNo, delivery: &str) -> Result<bool> {
    let row = app
        .db
        .of(tenant)
        .query_one(
            "select 1 from climb_step where delivery_id = $1 and tenant_no = $2 and not exists \
             (select 1 from service_clock where service_clock.incident_id = climb_step.incident_id \
             and service_clock.awaits_run = climb_step.run)",
            vec![delivery.into(), tenant.0.into()],
        )
        .await?;
    Ok(row.is_none())
}

/// A delivery reached nobody: the next rung is due, if it was the last that was tried.
pub(crate) async fn missed(tx: &Tx, delivery: &str) -> Result<()> {
    tx.execute(
        "update climb set next_at = $2 where state = 'climbing' and next_at > $2 \
         and exists (select 1 from climb_step where climb_step.delivery_id = $1 \
         and climb_step.incident_id = climb.incident_id and climb_step.run = climb.run \
         and climb_step.number = (select max(number) from climb_step last \
         where last.incident_id = climb.incident_id and last.run = climb.run)) \
         and tenant_no = $3",
        vec![delivery.into(), tx.now().micros().into(), tx.tenant().0.into()],
    )
    .await?;
    Ok(())
}

async fn end(tx: &mut Tx, id: IncidentId, run: i64, standing: Standing) -> Result<()> {
    tx.execute(
        "update climb set state = $3, ended_at = $4 where incident_id = $1 and run = $2 \
         and state = 'climbing'",
        vec![id.0.into(), run.into(), standing.word().into(), tx.now().micros().into()],
    )
    .await?;
    tx.record(Fact::EscalationEnded { incident: id, standing: standing.word() });
    Ok(())
}
