//! Just-in-time access: an expert asks to enter a customer's tenant, with a reason and the incident,
//! and is inside for some hours (PER-3).
//!
//!   requested -approve-> running -revoke, or its hours are over-> ended
//!             -deny-> denied     -withdraw-> withdrawn
//!
//! Who approves is what the customer's grant says: its own administrators, a lead of the provider
//! other than the one who asks, or nobody, in which case the request is approved at once and on
//! record like any other. Invariants: nobody approves a request of their own; access lasts eight
//! hours at most, ends with the grant, and never goes further than the grant goes; every step is a
//! leaf of the customer's log. Not here: what is measured against it (see `person::session`).

use std::collections::HashMap;

use sea_orm::QueryResult;
use serde_json::{Value, json};

use crate::actor::Actor;
use crate::app::App;
use crate::clock::Timestamp;
use crate::db::{Scope, Transaction, column};
use crate::error::{Error, Result};
use crate::event::Fact;
use crate::id::{IncidentId, TenantNo};
use crate::permission::{Permission, Role};
use crate::tenant::ExpertAccess;
use crate::tenant::caller::{Caller, Reach};
use crate::tenant::grant::{self, Approval, Grant};
use crate::tx::Tx;

/// The longest access, in hours.
pub const MOST_HOURS: i64 = 8;
/// How long a request waits for a decision, in seconds.
const WAITS_S: i64 = 24 * 3_600;
/// The longest reason, in characters.
const REASON: usize = 1_000;

/// Where a request stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum State {
    /// Waits for a decision.
    Requested,
    /// The expert is inside until then.
    Running {
        /// When it ends by itself.
        until: Timestamp,
    },
    /// Somebody said no.
    Denied,
    /// The expert took it back.
    Withdrawn,
    /// Its hours are over, or nobody decided in a day.
    Expired,
    /// Somebody ended it before its time.
    Revoked,
}

impl State {
    /// The word shown.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Running { .. } => "approved",
            Self::Denied => "denied",
            Self::Withdrawn => "withdrawn",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

/// One request and what became of it.
#[derive(Clone, Debug)]
pub struct Access {
    /// Its id.
    pub id: String,
    /// The customer.
    pub tenant: TenantNo,
    /// The customer's name.
    pub tenant_name: String,
    /// Who asked.
    pub person: String,
    /// The asker's mail address.
    pub email: String,
    /// The asker's name.
    pub name: Option<String>,
    /// For which incident.
    pub incident: Option<IncidentId>,
    /// How far.
    pub level: ExpertAccess,
    /// For how many hours.
    pub hours: i64,
    /// Why.
    pub reason: String,
    /// When it was asked for.
    pub requested: Timestamp,
    /// `approved` or `denied`, when, by whom and why.
    pub decision: Option<Decision>,
    /// Until when, once approved.
    pub until: Option<Timestamp>,
    /// When, by whom and why it was ended before its time.
    pub ended: Option<(Timestamp, String, Option<String>)>,
}

/// What was decided on a request.
#[derive(Clone, Debug)]
pub struct Decision {
    /// Whether it was approved.
    pub approved: bool,
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: String,
    /// Why, when it was denied.
    pub because: Option<String>,
}

const COLUMNS: &str = "access.id, access.tenant_no, tenant.name, access.person_id, \
    coalesce(person.email, ''), person.name, access.incident_id, access.level, access.hours, \
    access.reason, access.requested_at, access.decision, access.decided_at, access.decided_by, \
    access.decided_because, access.until, access.ended_at, access.ended_by, access.ended_because";
const FROM: &str = "access join tenant on tenant.no = access.tenant_no \
    left join person on person.id = access.person_id";

impl Access {
    fn from_row(row: &QueryResult) -> Result<Self> {
        let bad = |what: &str| Error::Internal(format!("table access: {what} cannot be read"));
        let level: String = column(row, 7)?;
        let at =
            |index| Ok::<_, Error>(column::<Option<i64>>(row, index)?.map(Timestamp::from_micros));
        let decision: Option<String> = column(row, 11)?;
        let decision = match (decision.as_deref(), at(12)?) {
            (Some(word), Some(at)) => Some(Decision {
                approved: word == "approved",
                at,
                by: column::<Option<String>>(row, 13)?.unwrap_or_default(),
                because: column(row, 14)?,
            }),
            _ => None,
        };
        let ended = match at(16)? {
            Some(at) => {
                Some((at, column::<Option<String>>(row, 17)?.unwrap_or_default(), column(row, 18)?))
            }
            None => None,
        };
        Ok(Self {
            id: column(row, 0)?,
            tenant: TenantNo(column(row, 1)?),
            tenant_name: column(row, 2)?,
            person: column(row, 3)?,
            email: column(row, 4)?,
            name: column(row, 5)?,
            incident: column::<Option<i64>>(row, 6)?.map(IncidentId),
            level: ExpertAccess::read(&level).ok_or_else(|| bad("level"))?,
            hours: column(row, 8)?,
            reason: column(row, 9)?,
            requested: Timestamp::from_micros(column(row, 10)?),
            decision,
            until: at(15)?,
            ended,
        })
    }

    /// Where it stands at this moment.
    #[must_use]
    pub fn state(&self, now: Timestamp) -> State {
        match (&self.decision, &self.ended, self.until) {
            (None, Some(_), _) => State::Withdrawn,
            (None, None, _) if now >= self.requested.plus_seconds(WAITS_S) => State::Expired,
            (None, None, _) => State::Requested,
            (Some(decision), _, _) if !decision.approved => State::Denied,
            (Some(_), Some(_), _) => State::Revoked,
            (Some(_), None, Some(until)) if now < until => State::Running { until },
            (Some(_), None, _) => State::Expired,
        }
    }

    /// What this caller may do with it now; the reason where it may not.
    #[must_use]
    pub fn may(&self, caller: &Caller, grant: &Grant, now: Timestamp) -> Value {
        let state = self.state(now);
        let own = caller.client_id == self.person;
        let waiting = match state {
            State::Requested => Ok(()),
            _ => Err("it no longer waits for a decision".to_owned()),
        };
        let decide = waiting.clone().and_then(|()| self.who_decides(caller, grant));
        let running = match state {
            State::Running { .. } => Ok(()),
            _ => Err("it is not running".to_owned()),
        };
        let revoke = running.and_then(|()| {
            if own || caller.may(&[Permission::AccessApprove]) {
                Ok(())
            } else {
                Err("only an administrator, a lead or the expert can end it".to_owned())
            }
        });
        let withdraw = waiting.and_then(|()| {
            if own { Ok(()) } else { Err("only who asked can take it back".to_owned()) }
        });
        json!({
            "approve": shown(decide.clone()),
            "deny": shown(decide),
            "revoke": shown(revoke),
            "withdraw": shown(withdraw),
        })
    }

    fn who_decides(&self, caller: &Caller, grant: &Grant) -> std::result::Result<(), String> {
        if caller.client_id == self.person {
            return Err("nobody approves a request of their own".to_owned());
        }
        if !caller.may(&[Permission::AccessApprove]) {
            return Err("an administrator of the customer or a lead decides".to_owned());
        }
        match (&caller.reach, grant.approval) {
            // The customer may always decide who enters its tenant.
            (Reach::Tenant(own), _) if *own == self.tenant => Ok(()),
            (Reach::Granted(_), Approval::Customer) => {
                Err("the customer approves each access itself".to_owned())
            }
            (Reach::Granted(_), _) => Ok(()),
            (Reach::Tenant(_), _) => Err("it is not about this tenant".to_owned()),
        }
    }
}

/// What the caller may do now, and why not.
#[must_use]
pub fn shown(may: std::result::Result<(), String>) -> Value {
    match may {
        Ok(()) => json!({ "allowed": true, "because": null }),
        Err(because) => json!({ "allowed": false, "because": because }),
    }
}

/// Which of these tenants a person is inside of now, and until when.
pub async fn running(
    app: &App,
    tenants: &[TenantNo],
    person: &str,
) -> Result<HashMap<TenantNo, Timestamp>> {
    let rows = app
        .db
        .reach(tenants)
        .query(
            "select tenant_no, until from access where person_id = $1 and decision = 'approved' \
             and ended_at is null and until > $2",
            vec![person.into(), app.clock.now().micros().into()],
        )
        .await?;
    let mut running = HashMap::new();
    for row in rows {
        let (tenant, until) = (TenantNo(column(&row, 0)?), column::<i64>(&row, 1)?);
        let until = Timestamp::from_micros(until);
        let longest = running.entry(tenant).or_insert(until);
        *longest = (*longest).max(until);
    }
    Ok(running)
}

/// How far a person may go in a tenant now, by the accesses that run; the grant still bounds it.
pub async fn level_in(
    tx: &Transaction,
    tenant: TenantNo,
    person: &str,
    now: Timestamp,
) -> Result<ExpertAccess> {
    let rows = tx
        .query(
            "select level from access where tenant_no = $1 and person_id = $2 and \
             decision = 'approved' and ended_at is null and until > $3",
            vec![tenant.0.into(), person.into(), now.micros().into()],
        )
        .await?;
    let mut furthest = ExpertAccess::None;
    for row in rows {
        let level: String = column(&row, 0)?;
        let level = ExpertAccess::read(&level)
            .ok_or_else(|| Error::Internal("table access: level cannot be read".to_owned()))?;
        if level.rank() > furthest.rank() {
            furthest = level;
        }
    }
    Ok(furthest)
}

/// What an expert asks for.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Where.
    pub tenant: TenantNo,
    /// For which incident.
    pub incident: Option<IncidentId>,
    /// How far.
    pub level: ExpertAccess,
    /// Why.
    pub reason: String,
    /// For how many hours.
    pub hours: i64,
}

/// Asks to enter a tenant.
pub async fn request(app: &App, caller: &Caller, wanted: Wanted) -> Result<String> {
    caller.require(&[Permission::AccessRequest])?;
    caller.seat()?;
    if !caller.queue.includes(wanted.tenant) {
        return Err(Error::NotFound("the tenant does not exist".to_owned()));
    }
    let reason = wanted.reason.trim().to_owned();
    if reason.chars().count() < 5 || reason.chars().count() > REASON {
        return Err(Error::Invalid("say why, in 5 to 1,000 characters".to_owned()));
    }
    if !(1..=MOST_HOURS).contains(&wanted.hours) {
        return Err(Error::Invalid(format!("access lasts 1 to {MOST_HOURS} hours")));
    }
    let id = app.random.uuid()?;
    let mut tx = Tx::begin(app, wanted.tenant, caller.actor()).await?;
    let now = tx.now();
    let grant = grant::find_in(&tx, wanted.tenant).await?;
    if grant.effective(now).rank() < wanted.level.rank() || wanted.level == ExpertAccess::None {
        return Err(Error::Denied(format!(
            "the customer grants {} and no more",
            grant.effective(now).word()
        )));
    }
    if let Some(incident) = wanted.incident {
        let row = tx
            .query_one(
                "select 1 from incident where id = $1 and tenant_no = $2",
                vec![incident.0.into(), wanted.tenant.0.into()],
            )
            .await?;
        if row.is_none() {
            return Err(Error::NotFound("the incident does not exist".to_owned()));
        }
    }
    let open = open_of(&tx, wanted.tenant, &caller.client_id, now).await?;
    if open {
        return Err(Error::Conflict("a request of yours is open there already".to_owned()));
    }
    tx.execute(
        "insert into access (id, tenant_no, person_id, incident_id, level, hours, reason, \
         requested_at) values ($1, $2, $3, $4, $5, $6, $7, $8)",
        vec![
            id.clone().into(),
            wanted.tenant.0.into(),
            caller.client_id.clone().into(),
            wanted.incident.map(|id| id.0).into(),
            wanted.level.word().into(),
            wanted.hours.into(),
            reason.clone().into(),
            now.micros().into(),
        ],
    )
    .await?;
    tx.record(Fact::AccessRequested {
        access: id.clone(),
        person: caller.name.clone(),
        incident: wanted.incident,
        level: wanted.level.word().to_owned(),
        hours: wanted.hours,
        reason,
    });
    if grant.approval == Approval::Automatic {
        let access = one(&tx, &id).await?;
        let by = "the customer's grant".to_owned();
        approve_in(&mut tx, &access, &grant, by).await?;
    }
    tx.made(&id).await?;
    tx.commit().await?;
    Ok(id)
}

async fn open_of(tx: &Transaction, tenant: TenantNo, person: &str, now: Timestamp) -> Result<bool> {
    let row = tx
        .query_one(
            "select 1 from access where tenant_no = $1 and person_id = $2 and ended_at is null \
             and ((decision is null and requested_at > $3) or (decision = 'approved' and until > $4))",
            vec![
                tenant.0.into(),
                person.into(),
                now.plus_seconds(-WAITS_S).micros().into(),
                now.micros().into(),
            ],
        )
        .await?;
    Ok(row.is_some())
}

async fn one(tx: &Transaction, id: &str) -> Result<Access> {
    let sql = format!("select {COLUMNS} from {FROM} where access.id = $1");
    let row = tx.query_one(&sql, vec![id.into()]).await?.ok_or_else(unknown)?;
    Access::from_row(&row)
}

fn unknown() -> Error {
    Error::NotFound("the request for access does not exist".to_owned())
}

/// A request the caller may see: the customer's own, or one to a tenant in the caller's queue.
pub async fn find(app: &App, caller: &Caller, id: &str) -> Result<Access> {
    caller.require(&[
        Permission::GrantRead,
        Permission::AccessRequest,
        Permission::AccessApprove,
    ])?;
    let sql = format!("select {COLUMNS} from {FROM} where access.id = $1");
    let row = view(app, caller).query_one(&sql, vec![id.into()]).await?.ok_or_else(unknown)?;
    let access = Access::from_row(&row)?;
    if sees(caller, &access) { Ok(access) } else { Err(unknown()) }
}

/// Requests are looked for in all of the caller's own tenant, or wherever its provider works: who
/// asked sees what it asked for after the grant has ended too.
fn view<'a>(app: &'a App, caller: &Caller) -> Scope<'a> {
    match &caller.reach {
        Reach::Tenant(tenant) => app.db.of(*tenant),
        Reach::Granted(_) => app.db.whole("one's own requests outlive the grant"),
    }
}

/// The customer sees every request to its tenant; the provider's people see their own, leads all of
/// the provider, as long as the tenant lets them see its queue.
fn sees(caller: &Caller, access: &Access) -> bool {
    let own = caller.client_id == access.person;
    match &caller.reach {
        Reach::Tenant(tenant) => *tenant == access.tenant,
        Reach::Granted(_) => {
            own || caller.may(&[Permission::AccessApprove]) && caller.queue.includes(access.tenant)
        }
    }
}

async fn begin(app: &App, caller: &Caller, id: &str) -> Result<(Tx, Access, Grant)> {
    caller.seat()?;
    let seen = find(app, caller, id).await?;
    let tx = Tx::begin(app, seen.tenant, caller.actor()).await?;
    let access = one(&tx, id).await?;
    let grant = grant::find_in(&tx, access.tenant).await?;
    Ok((tx, access, grant))
}

/// Approves a request: the expert is inside from now on.
pub async fn approve(app: &App, caller: &Caller, id: &str) -> Result<()> {
    let (mut tx, access, grant) = begin(app, caller, id).await?;
    waiting(&access, tx.now())?;
    access.who_decides(caller, &grant).map_err(Error::Denied)?;
    let by = tx.actor().name.clone();
    approve_in(&mut tx, &access, &grant, by).await?;
    tx.commit().await
}

fn waiting(access: &Access, now: Timestamp) -> Result<()> {
    match access.state(now) {
        State::Requested => Ok(()),
        state => Err(Error::Conflict(format!("the request is {} already", state.word()))),
    }
}

async fn approve_in(tx: &mut Tx, access: &Access, grant: &Grant, by: String) -> Result<()> {
    let now = tx.now();
    if grant.effective(now).rank() < access.level.rank() {
        return Err(Error::Conflict("the customer no longer grants as much".to_owned()));
    }
    let until = now.plus_seconds(access.hours * 3_600);
    let until = grant.until.map_or(until, |end| end.min(until));
    tx.execute(
        "update access set decision = 'approved', decided_at = $2, decided_by = $3, until = $4 \
         where id = $1",
        vec![access.id.clone().into(), now.micros().into(), by.into(), until.micros().into()],
    )
    .await?;
    tx.record(Fact::AccessApproved {
        access: access.id.clone(),
        person: access.email.clone(),
        incident: access.incident,
        until,
    });
    Ok(())
}

/// Denies a request.
pub async fn deny(app: &App, caller: &Caller, id: &str, because: &str) -> Result<()> {
    let because = sound(because)?;
    let (mut tx, access, grant) = begin(app, caller, id).await?;
    waiting(&access, tx.now())?;
    access.who_decides(caller, &grant).map_err(Error::Denied)?;
    tx.execute(
        "update access set decision = 'denied', decided_at = $2, decided_by = $3, \
         decided_because = $4 where id = $1",
        vec![
            access.id.clone().into(),
            tx.now().micros().into(),
            tx.actor().name.clone().into(),
            because.clone().into(),
        ],
    )
    .await?;
    tx.record(Fact::AccessDenied {
        access: access.id,
        person: access.email,
        incident: access.incident,
        because,
    });
    tx.commit().await
}

/// Ends running access before its time; it holds no more from this commit on.
pub async fn revoke(app: &App, caller: &Caller, id: &str, because: &str) -> Result<()> {
    let (tx, access, _) = begin(app, caller, id).await?;
    if !matches!(access.state(tx.now()), State::Running { .. }) {
        return Err(Error::Conflict("this access is not running".to_owned()));
    }
    if caller.client_id != access.person {
        caller.require(&[Permission::AccessApprove])?;
    }
    end(tx, access, because).await
}

/// Takes a request back.
pub async fn withdraw(app: &App, caller: &Caller, id: &str) -> Result<()> {
    let (tx, access, _) = begin(app, caller, id).await?;
    waiting(&access, tx.now())?;
    if caller.client_id != access.person {
        return Err(Error::Denied("only who asked can take the request back".to_owned()));
    }
    end(tx, access, "").await
}

/// Changes the caller's grant, and ends what runs or waits under it and goes further than it goes
/// now, so that a grant given anew later revives nothing (PER-1).
pub async fn change_grant(app: &App, caller: &Caller, wanted: grant::Wanted) -> Result<Grant> {
    caller.require(&[Permission::GrantReadWrite])?;
    let mut tx = Tx::begin(app, caller.own_tenant()?, caller.actor()).await?;
    let (before, after) = grant::change_in(&mut tx, caller, wanted).await?;
    let had = before.effective(tx.now());
    let level = if after.level.rank() < had.rank() { after.level } else { had };
    let sql = format!(
        "select {COLUMNS} from {FROM} where access.tenant_no = $1 and access.ended_at is null and \
         (access.decision is null or (access.decision = 'approved' and access.until > $2))"
    );
    let rows = tx.query(&sql, vec![tx.tenant().0.into(), tx.now().micros().into()]).await?;
    for row in rows {
        let access = Access::from_row(&row)?;
        if access.level.rank() > level.rank() {
            note_end(&mut tx, access, "the permission it rested on has ended".to_owned()).await?;
        }
    }
    tx.commit().await?;
    Ok(after)
}

async fn end(mut tx: Tx, access: Access, because: &str) -> Result<()> {
    let because = sound(because)?;
    note_end(&mut tx, access, because).await?;
    tx.commit().await
}

async fn note_end(tx: &mut Tx, access: Access, because: String) -> Result<()> {
    tx.execute(
        "update access set ended_at = $2, ended_by = $3, ended_because = $4 where id = $1",
        vec![
            access.id.clone().into(),
            tx.now().micros().into(),
            tx.actor().name.clone().into(),
            because.clone().into(),
        ],
    )
    .await?;
    tx.record(Fact::AccessEnded {
        access: access.id,
        person: access.email,
        incident: access.incident,
        because,
    });
    Ok(())
}

fn sound(because: &str) -> Result<String> {
    let because = because.trim();
    if because.chars().count() > REASON {
        return Err(Error::Invalid("a reason has at most 1,000 characters".to_owned()));
    }
    Ok(because.to_owned())
}

/// Which of the requests that are not over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// Those that wait for a decision.
    Waiting,
    /// Those that run.
    Running,
    /// Either.
    Open,
}

/// Which requests to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only these; all when absent.
    pub state: Option<Standing>,
    /// Only to this tenant.
    pub tenant: Option<TenantNo>,
    /// Behind this one, by moment and id.
    pub behind: Option<(i64, String)>,
}

/// Requests the caller may see, the newest first.
pub async fn list(app: &App, caller: &Caller, filter: &Filter, most: u64) -> Result<Vec<Access>> {
    use std::fmt::Write as _;
    caller.require(&[
        Permission::GrantRead,
        Permission::AccessRequest,
        Permission::AccessApprove,
    ])?;
    let now = app.clock.now();
    let mut values: Vec<sea_orm::Value> = Vec::new();
    let mut test = match &caller.reach {
        Reach::Tenant(tenant) => {
            values.push(tenant.0.into());
            "access.tenant_no = $1".to_owned()
        }
        Reach::Granted(_) => {
            values.push(caller.client_id.clone().into());
            let mut test = "(access.person_id = $1".to_owned();
            if caller.may(&[Permission::AccessApprove]) && !caller.queue.tenants().is_empty() {
                let numbers = caller.queue.tenants().iter().map(|no| no.0.into()).collect();
                let (among, more) = app.db.engine().among(2, numbers);
                values.extend(more);
                let _ = write!(test, " or access.tenant_no {among}");
            }
            test.push(')');
            test
        }
    };
    if let Some(tenant) = filter.tenant {
        values.push(tenant.0.into());
        let _ = write!(test, " and access.tenant_no = ${}", values.len());
    }
    if let Some(standing) = filter.state {
        let mut tests = Vec::new();
        if standing != Standing::Running {
            values.push(now.plus_seconds(-WAITS_S).micros().into());
            let place = values.len();
            tests.push(format!("(access.decision is null and access.requested_at > ${place})"));
        }
        if standing != Standing::Waiting {
            values.push(now.micros().into());
            let place = values.len();
            tests.push(format!("(access.decision = 'approved' and access.until > ${place})"));
        }
        let _ = write!(test, " and access.ended_at is null and ({})", tests.join(" or "));
    }
    if let Some((at, id)) = &filter.behind {
        values.extend([(*at).into(), id.clone().into()]);
        let (at, id) = (values.len() - 1, values.len());
        let _ = write!(
            test,
            " and (access.requested_at < ${at} or (access.requested_at = ${at} and access.id < ${id}))"
        );
    }
    let sql = format!(
        "select {COLUMNS} from {FROM} where {test} \
         order by access.requested_at desc, access.id desc limit {most}"
    );
    view(app, caller).query(&sql, values).await?.iter().map(Access::from_row).collect()
}

/// Ends everything a person has open anywhere: it left the provider, or may no longer ask.
pub async fn end_of_person(app: &App, by: &Actor, person: &str, role: Option<Role>) -> Result<()> {
    if role.is_some_and(|role| role.permissions().contains(&Permission::AccessRequest)) {
        return Ok(());
    }
    let now = app.clock.now();
    let rows = app
        .db
        .whole("a person is put out of every tenant")
        .query(
            "select id from access where person_id = $1 and ended_at is null and \
             (decision is null or (decision = 'approved' and until > $2))",
            vec![person.into(), now.micros().into()],
        )
        .await?;
    for row in rows {
        let id: String = column(&row, 0)?;
        let sql = format!("select {COLUMNS} from {FROM} where access.id = $1");
        let Some(row) = app
            .db
            .whole("a person is put out of every tenant")
            .query_one(&sql, vec![id.clone().into()])
            .await?
        else {
            continue;
        };
        let tenant = Access::from_row(&row)?.tenant;
        let tx = Tx::begin(app, tenant, by.clone()).await?;
        let access = one(&tx, &id).await?;
        if access.ended.is_none() {
            end(tx, access, "the expert no longer belongs to the provider").await?;
        }
    }
    Ok(())
}
