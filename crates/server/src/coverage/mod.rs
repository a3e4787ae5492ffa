//! Coverage: on what experts may act, and the one maker of a [`Clearance`].
//!
//! Experts act on a thing when the customer is active (`tenant::stage`), its grant goes as far as
//! *operator*, the expert's own access does and is running, the thing is not excluded (EXC-1..3) and, where the customer has named
//! groups of covered devices, it is in them (TRI-5). The customer's own people are not held back by
//! any of that. What is left the customer's policy may narrow, for everybody: done at once, not before
//! people have approved, or never. Invariant: nothing is sent to a device or a product without a
//! clearance, and none is kept: it is asked for again in the transaction that writes that something
//! is about to be sent (quality 2). Not here: what is sent, and to whom a task goes that is not
//! cleared (see `response`); what a policy is (see `authority`); how a directory is read (see
//! `directory`).

mod user;

pub use user::{
    HIGH_VALUE_USERS, USER_GROUP, doubts, exclude_group, high_value_of, readings, why_no_groups,
};

use sea_orm::Value as Sql;
use serde_json::{Map, Value, json};

use crate::access;
use crate::app::App;
use crate::asset::Device;
use crate::authority::policy::{Approvals, Need, Question, Ruling};
use crate::authority::rule::{Confidence, Who};
use crate::authority::{self, Standing};
use crate::catalog::Kind;
use crate::clock::Timestamp;
use crate::connector;
use crate::db::{Transaction, column, contains};
use crate::directory;
use crate::error::{Error, Result};
use crate::event::{Change, Fact};
use crate::id::{IncidentId, TenantNo};
use crate::incident::account;
use crate::permission::Permission;
use crate::tenant::ExpertAccess;
use crate::tenant::caller::Caller;
use crate::tenant::grant;
use crate::tenant::stage::{self, Work};
use crate::tx::Tx;

/// The group of devices that experts cover, where a customer has one (TRI-5).
pub const SCOPED_DEVICES: &str = "Defender_Experts_Scoped_Coverage_Devices";
/// Exclusions a customer may have of one kind.
const MOST: usize = 10_000;

/// Leave to act on one thing now. Only [`clear`] makes one.
#[derive(Debug)]
pub struct Clearance(());

/// On whose word something is done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Authority {
    /// An expert's; the person when it is one, whose own access counts then.
    Expert {
        /// The person's id.
        person: Option<String>,
    },
    /// The customer's.
    Customer,
    /// Riposte's own: what somebody decided before ends by itself.
    System,
}

/// What is to be acted on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Thing<'a> {
    /// The device, when it is known.
    pub device: Option<&'a Device>,
    /// The name of a device that is not.
    pub device_name: Option<&'a str>,
    /// The user.
    pub user: Option<&'a str>,
}

/// What is to be done, as far as a policy asks.
#[derive(Clone, Copy, Debug)]
pub struct Deed {
    /// The type of action.
    pub kind: Kind,
    /// For which incident.
    pub incident: Option<IncidentId>,
    /// Whether an expert classifies that incident as a threat in this very change.
    pub confirmed: bool,
    /// Who has approved, of people other than the one who asks.
    pub approvals: Approvals,
    /// Since when it waits for approvals.
    pub waiting: Option<Timestamp>,
}

impl Deed {
    /// Something that nobody has approved yet.
    #[must_use]
    pub fn new(kind: Kind, incident: Option<IncidentId>) -> Self {
        Self { kind, incident, confirmed: false, approvals: Approvals::default(), waiting: None }
    }
}

/// Why there is no clearance.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// It is not to be done; the reason.
    No(String),
    /// People have to approve it first.
    Waits(Vec<Need>),
}

/// Asks for leave to act on a thing at this moment.
pub async fn clear(
    tx: &Transaction,
    tenant: TenantNo,
    authority: &Authority,
    (deed, thing): (Deed, Thing<'_>),
    now: Timestamp,
) -> Result<std::result::Result<Clearance, Refusal>> {
    Ok(match may_ask(tx, tenant, authority, (deed, thing), now).await? {
        Err(reason) => Err(Refusal::No(reason)),
        Ok(needs) if !needs.is_empty() => Err(Refusal::Waits(needs)),
        Ok(_) => Ok(Clearance(())),
    })
}

/// Asks whether somebody may want something done at this moment, and for whom it waits then; the
/// reason where not.
pub async fn may_ask(
    tx: &Transaction,
    tenant: TenantNo,
    authority: &Authority,
    (deed, thing): (Deed, Thing<'_>),
    now: Timestamp,
) -> Result<std::result::Result<Vec<Need>, String>> {
    if let Err(reason) = covers(tx, tenant, authority, thing, now).await? {
        return Ok(Err(reason));
    }
    let policy = authority::current_in(tx, tenant).await?;
    let two_people = wants_four_eyes(tx, tenant).await?;
    if policy.is_none() && !two_people {
        return Ok(Ok(Vec::new()));
    }
    let question = question(tx, tenant, authority, (deed, thing), now).await?;
    let text = policy.as_ref().map(|policy| policy.text.as_str());
    Ok(match authority::rule_on(text, two_people, &question) {
        Ruling::AtOnce(_) => Ok(Vec::new()),
        Ruling::Waits(needs) => Ok(needs),
        Ruling::Never(why) => {
            Err(format!("the customer's authority policy says no: {}", why.title))
        }
    })
}

/// What a policy is asked about a deed.
pub async fn question(
    tx: &Transaction,
    tenant: TenantNo,
    authority: &Authority,
    (deed, thing): (Deed, Thing<'_>),
    now: Timestamp,
) -> Result<Question> {
    let mut standing = match deed.incident {
        Some(incident) => authority::standing(tx, tenant, incident).await?,
        None => Standing::default(),
    };
    if deed.confirmed {
        standing.confidence = Confidence::Confirmed.number();
    }
    let waited = deed.waiting.map_or(0, |since| (now.micros() - since.micros()).max(0));
    let names = |kind| -> Vec<String> {
        let named = names(thing).into_iter();
        named.filter(|(of, _)| *of == kind).map(|(_, name)| name).collect()
    };
    Ok(Question {
        who: match authority {
            Authority::Expert { .. } => Who::Expert,
            Authority::Customer => Who::Customer,
            Authority::System => Who::Automatic,
        },
        entry: deed.kind.entry(),
        devices: names("device"),
        groups: names("deviceGroup"),
        users: names("user"),
        high_value: thing.device.is_some_and(|device| device.high_value.is_some())
            || match thing.user {
                Some(user) => user::is_high_value(tx, tenant, user).await?,
                None => false,
            },
        severity: standing.severity,
        confidence: standing.confidence,
        approvals: deed.approvals,
        waited: waited / 60_000_000,
        now,
    })
}

/// Asks whether somebody acts on a thing at all, whatever is to be done; the reason where not.
pub async fn covers(
    tx: &Transaction,
    tenant: TenantNo,
    authority: &Authority,
    thing: Thing<'_>,
    now: Timestamp,
) -> Result<std::result::Result<(), String>> {
    let Authority::Expert { person } = authority else { return Ok(Ok(())) };
    if let Some(reason) = stage::holds_back(tx, tenant, Work::Act).await? {
        return Ok(Err(reason));
    }
    let granted = grant::find_in(tx, tenant).await?.effective(now);
    if granted != ExpertAccess::Operator {
        return Ok(Err(match granted {
            ExpertAccess::None => "the customer grants the experts no access".to_owned(),
            _ => "the customer grants the experts access to investigate, not to act".to_owned(),
        }));
    }
    if let Some(person) = person
        && access::level_in(tx, tenant, person, now).await? != ExpertAccess::Operator
    {
        return Ok(Err("the expert has no running access to act for this customer".to_owned()));
    }
    if let Some(reason) = excluded(tx, tenant, thing, now).await? {
        return Ok(Err(reason));
    }
    if let Some(reason) = out_of_scope(tx, tenant, thing).await? {
        return Ok(Err(reason));
    }
    Ok(Ok(()))
}

/// Every name that a thing goes by, in lower case, each with what it is a name of.
fn names(thing: Thing<'_>) -> Vec<(&'static str, String)> {
    let mut names: Vec<(&str, String)> = Vec::new();
    if let Some(device) = thing.device {
        names.push(("device", device.name.to_lowercase()));
        names.push(("device", device.id.clone()));
        for group in &device.groups {
            names.push(("deviceGroup", group.to_lowercase()));
        }
    }
    if let Some(name) = thing.device_name {
        let name = name.trim().to_lowercase();
        if let Some((short, _)) = name.split_once('.') {
            names.push(("device", short.to_owned()));
        }
        names.push(("device", name));
    }
    if let Some(user) = thing.user {
        let user = user.trim().to_lowercase();
        let short = account::bare(&user);
        if short != user {
            names.push(("user", short.to_owned()));
        }
        names.push(("user", user));
    }
    names
}

/// Why a thing is excluded; `None` when it is not.
async fn excluded(
    tx: &Transaction,
    tenant: TenantNo,
    thing: Thing<'_>,
    now: Timestamp,
) -> Result<Option<String>> {
    let mut wanted = names(thing);
    if thing.device.is_some_and(|device| device.high_value.is_some()) {
        wanted.push((HIGH_VALUE_DEVICES, String::new()));
    }
    for (kind, key) in wanted {
        let row = tx
            .query_one(
                "select name from exclusion where tenant_no = $1 and kind = $2 and name_key = $3",
                vec![tenant.0.into(), kind.into(), key.into()],
            )
            .await?;
        let Some(row) = row else { continue };
        let name: String = column(&row, 0)?;
        return Ok(Some(match kind {
            "deviceGroup" => format!("the device group {name} is excluded"),
            "highValueDevices" => "devices of high value are excluded".to_owned(),
            "user" => format!("the user {name} is excluded"),
            _ => format!("the device {name} is excluded"),
        }));
    }
    let Some(user) = thing.user else { return Ok(None) };
    if let Some(name) = excluded_by_name(tx, tenant, user).await? {
        return Ok(Some(format!("the user {name} is excluded")));
    }
    user::excluded(tx, tenant, user, now).await
}

/// The excluded user who may be meant by a name that says no domain: what is before the `@` is the
/// same.
async fn excluded_by_name(
    tx: &Transaction,
    tenant: TenantNo,
    user: &str,
) -> Result<Option<String>> {
    let user = account::name(user);
    let sql = "select name, name_key from exclusion where tenant_no = $1 and kind = 'user' \
               and name_key like $2 escape '\\' order by name_key";
    let values = vec![tenant.0.into(), contains(account::bare(&user)).into()];
    for row in tx.query(sql, values).await? {
        if account::may_be_same(&user, &column::<String>(&row, 1)?) {
            return column(&row, 0).map(Some);
        }
    }
    Ok(None)
}

/// Why a thing is not covered where the customer has chosen what is.
async fn out_of_scope(
    tx: &Transaction,
    tenant: TenantNo,
    thing: Thing<'_>,
) -> Result<Option<String>> {
    if thing.device.is_none() && thing.device_name.is_none() {
        return Ok(None);
    }
    if let Some(device) = thing.device
        && device.groups.iter().any(|group| group == SCOPED_DEVICES)
    {
        return Ok(None);
    }
    let row = tx
        .query_one(
            "select 1 from device where tenant_no = $1 and device_groups like $2 escape '\\' limit 1",
            vec![tenant.0.into(), format!("%\"{}\"%", SCOPED_DEVICES.replace('_', "\\_")).into()],
        )
        .await?;
    Ok(row.map(|_| format!("it is not in the group {SCOPED_DEVICES}, which the experts cover")))
}

/// Why experts never act on a device, for its page.
pub async fn why_excluded(app: &App, device: &Device) -> Result<Option<String>> {
    let tx = app.db.of(device.tenant).snapshot().await?;
    let thing = Thing { device: Some(device), ..Thing::default() };
    excluded(&tx, device.tenant, thing, app.clock.now()).await
}

/// Why experts never act on a user, for its page.
pub async fn why_user_excluded(app: &App, tenant: TenantNo, user: &str) -> Result<Option<String>> {
    let tx = app.db.of(tenant).snapshot().await?;
    excluded(&tx, tenant, Thing { user: Some(user), ..Thing::default() }, app.clock.now()).await
}

/// Whether the customer wants two people for what is dangerous (quality 4).
pub async fn wants_four_eyes(tx: &Transaction, tenant: TenantNo) -> Result<bool> {
    Ok(has_four_eyes(&settings(tx, tenant).await?))
}

/// The same outside a change.
pub async fn four_eyes(app: &App, tenant: TenantNo) -> Result<bool> {
    wants_four_eyes(&app.db.of(tenant).snapshot().await?, tenant).await
}

/// The member of a tenant's settings.
const FOUR_EYES: &str = "fourEyes";

fn has_four_eyes(settings: &Map<String, Value>) -> bool {
    settings.get(FOUR_EYES).and_then(Value::as_bool).unwrap_or(false)
}

async fn settings(tx: &Transaction, tenant: TenantNo) -> Result<Map<String, Value>> {
    let sql = "select settings from tenant where no = $1";
    let row = tx.query_one(sql, vec![tenant.0.into()]).await?;
    let text: String = row.map_or(Ok(String::new()), |row| column(&row, 0))?;
    Ok(serde_json::from_str(&text).unwrap_or_default())
}

/// The customer decides whether two people are needed for what is dangerous. To need fewer asks for a
/// fresh factor.
pub async fn want_four_eyes(app: &App, caller: &Caller, wanted: bool) -> Result<()> {
    caller.require(&[Permission::GrantReadWrite])?;
    let tenant = caller.own_tenant()?;
    let mut tx = Tx::begin(app, tenant, caller.actor()).await?;
    let mut all = settings(&tx, tenant).await?;
    let before = has_four_eyes(&all);
    if before == wanted {
        return Ok(());
    }
    if !wanted {
        caller.require_step_up(tx.now())?;
    }
    all.insert(FOUR_EYES.to_owned(), json!(wanted));
    let text = Value::Object(all).to_string();
    tx.execute("update tenant set settings = $2 where no = $1", vec![tenant.0.into(), text.into()])
        .await?;
    let (before, after) = (json!(before), json!(wanted));
    tx.record(Fact::GrantChanged { changes: vec![Change { field: FOUR_EYES, before, after }] });
    tx.commit().await
}

/// What experts never act on: one line.
#[derive(Clone, Debug, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Exclusion {
    /// Its id.
    pub id: String,
    /// `device`, `user`, `deviceGroup` or `userGroup`; a switch under its own name.
    #[serde(skip)]
    pub kind: String,
    /// A group of users: its id in the directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_id: Option<String>,
    /// Which.
    pub name: String,
    /// Who excluded it.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub because: Option<String>,
}

/// The kinds somebody can name.
const NAMED: [&str; 4] = ["device", "user", "deviceGroup", USER_GROUP];
/// The switch that excludes all devices of high value.
pub const HIGH_VALUE_DEVICES: &str = "highValueDevices";

/// Everything that a customer excludes.
pub async fn exclusions(app: &App, tenant: TenantNo) -> Result<Vec<Exclusion>> {
    let rows = app
        .db
        .of(tenant)
        .query(
            "select id, kind, name, created_by, created_at, because, name_key from exclusion \
             where tenant_no = $1 order by name_key, id",
            vec![tenant.0.into()],
        )
        .await?;
    rows.iter()
        .map(|row| {
            let kind: String = column(row, 1)?;
            let group = kind == USER_GROUP;
            Ok(Exclusion {
                id: column(row, 0)?,
                kind,
                group_id: if group { Some(column(row, 6)?) } else { None },
                name: column(row, 2)?,
                by: column(row, 3)?,
                at: Timestamp::from_micros(column(row, 4)?),
                because: column(row, 5)?,
            })
        })
        .collect()
}

/// Excludes a device, a user or a device group; what is excluded already stays as it is.
pub async fn exclude(
    app: &App,
    caller: &Caller,
    kind: &str,
    name: &str,
    because: Option<String>,
) -> Result<String> {
    caller.require(&[Permission::ExclusionReadWrite])?;
    let known = NAMED.into_iter().find(|known| *known == kind && kind != USER_GROUP);
    let kind = known.ok_or_else(|| {
        Error::Invalid(format!("kind is one of {}; a userGroup has a groupId", NAMED.join(", ")))
    })?;
    let name = name.trim();
    if name.is_empty() || name.chars().count() > 256 || name.chars().any(char::is_control) {
        return Err(Error::Invalid("a name has 1 to 256 characters".to_owned()));
    }
    write(app, caller, (kind, name, &name.to_lowercase()), because).await
}

/// Writes an exclusion of this kind, name and key.
async fn write(
    app: &App,
    caller: &Caller,
    (kind, name, key): (&'static str, &str, &str),
    because: Option<String>,
) -> Result<String> {
    let tenant = caller.own_tenant()?;
    let because = because.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    if because.as_ref().is_some_and(|text| text.chars().count() > 1_000 || text.contains('\0')) {
        return Err(Error::Invalid("a reason has at most 1,000 characters".to_owned()));
    }
    let id = app.random.uuid()?;
    let mut tx = Tx::begin(app, tenant, caller.actor()).await?;
    let sql = "select count(*), count(case when kind = $2 then 1 end) from exclusion \
               where tenant_no = $1";
    let row = tx.query_one(sql, vec![tenant.0.into(), USER_GROUP.into()]).await?;
    let (there, groups): (i64, i64) =
        row.map_or(Ok((0, 0)), |row| Ok::<_, Error>((column(&row, 0)?, column(&row, 1)?)))?;
    if there >= MOST as i64 {
        return Err(Error::Invalid(format!("a customer excludes {MOST} things at most")));
    }
    if kind == USER_GROUP {
        // It is certain only now that there still is one.
        if connector::directory_in(&tx, tenant).await?.is_none() {
            return Err(directory::not_connected());
        }
        if groups >= directory::MOST_GROUPS {
            let most = directory::MOST_GROUPS;
            return Err(Error::Invalid(format!("a customer excludes {most} user groups at most")));
        }
        directory::want(&tx, tenant, (key, name), tx.now()).await?;
    }
    add(&mut tx, (&id, kind, name, key), because.as_deref()).await?;
    let sql = "select id from exclusion where tenant_no = $1 and kind = $2 and name_key = $3";
    let row = tx.query_one(sql, vec![tenant.0.into(), kind.into(), key.into()]).await?;
    let id = row.map_or(Ok(id), |row| column(&row, 0))?;
    tx.commit().await?;
    Ok(id)
}

async fn add(
    tx: &mut Tx,
    (id, kind, name, key): (&str, &'static str, &str, &str),
    because: Option<&str>,
) -> Result<()> {
    let added = tx
        .execute(
            "insert into exclusion (id, tenant_no, kind, name, name_key, because, created_by, \
             created_at) values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict do nothing",
            vec![
                id.into(),
                tx.tenant().0.into(),
                kind.into(),
                name.into(),
                key.into(),
                because.into(),
                tx.actor().name.clone().into(),
                tx.now().micros().into(),
            ],
        )
        .await?;
    if added > 0 {
        let after = if name.is_empty() { json!(true) } else { json!(name) };
        let before = if name.is_empty() { json!(false) } else { Value::Null };
        tx.record(Fact::ExclusionChanged { changes: vec![Change { field: kind, before, after }] });
    }
    Ok(())
}

/// Takes an exclusion back.
pub async fn include(app: &App, caller: &Caller, id: &str) -> Result<()> {
    caller.require(&[Permission::ExclusionReadWrite])?;
    let tenant = caller.own_tenant()?;
    let mut tx = Tx::begin(app, tenant, caller.actor()).await?;
    let values: Vec<Sql> = vec![tenant.0.into(), id.into()];
    let sql = "select kind, name, name_key from exclusion where tenant_no = $1 and id = $2";
    let Some(row) = tx.query_one(sql, values.clone()).await? else {
        return Err(Error::NotFound("the exclusion does not exist".to_owned()));
    };
    let (kind, name): (String, String) = (column(&row, 0)?, column(&row, 1)?);
    let Some(field) = NAMED.into_iter().find(|known| *known == kind) else {
        return Err(Error::NotFound("the exclusion does not exist".to_owned()));
    };
    tx.execute("delete from exclusion where tenant_no = $1 and id = $2", values).await?;
    if kind == USER_GROUP {
        directory::forget(&tx, tenant, &column::<String>(&row, 2)?).await?;
    }
    let change = Change { field, before: json!(name), after: Value::Null };
    tx.record(Fact::ExclusionChanged { changes: vec![change] });
    tx.commit().await
}

/// Excludes all devices of high value, all such users, or no longer (EXC-3).
///
/// # Errors
/// `Conflict` when users are to be excluded and no directory is connected.
pub async fn exclude_high_value(
    app: &App,
    caller: &Caller,
    devices: bool,
    users: bool,
) -> Result<()> {
    caller.require(&[Permission::ExclusionReadWrite])?;
    let tenant = caller.own_tenant()?;
    let mut tx = Tx::begin(app, tenant, caller.actor()).await?;
    for (kind, wanted) in [(HIGH_VALUE_DEVICES, devices), (HIGH_VALUE_USERS, users)] {
        let values: Vec<Sql> = vec![tenant.0.into(), kind.into()];
        let sql = "select 1 from exclusion where tenant_no = $1 and kind = $2";
        let is = tx.query_one(sql, values.clone()).await?.is_some();
        if is == wanted {
            continue;
        }
        if wanted {
            if kind == HIGH_VALUE_USERS {
                if connector::directory_in(&tx, tenant).await?.is_none() {
                    return Err(directory::not_connected());
                }
                directory::want(&tx, tenant, (directory::ROLES, ""), tx.now()).await?;
            }
            add(&mut tx, (&app.random.uuid()?, kind, "", ""), None).await?;
        } else {
            tx.execute("delete from exclusion where tenant_no = $1 and kind = $2", values).await?;
            let (before, after) = (json!(true), json!(false));
            let change = Change { field: kind, before, after };
            tx.record(Fact::ExclusionChanged { changes: vec![change] });
        }
    }
    tx.commit().await
}
