//! Users, as alerts, devices and actions name them.
//!
//! A user is a name at a customer. Nobody tells us whose a local account is: accounts of devices are
//! put beside a user where the names are the same, or the part before the `@` is, and are shown as
//! that. Invariants: a device's own accounts are what its last inventory says; a sign-in that was
//! seen stays known. Every list is read by key, a page at a time. Not here: what is done to a user
//! (see `response`), who of a directory is in which group (see `directory`).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use sea_orm::{QueryResult, Value as Sql};
use serde_json::{Value, json};

use crate::alert::view::{self, Full};
use crate::app::App;
use crate::asset::timeline::Seen;
use crate::asset::{self, Device};
use crate::clock::Timestamp;
use crate::db::{Scope, Transaction, column, contains};
use crate::error::{Error, Result};
use crate::event::{Change, Fact};
use crate::id::{DeviceNo, IncidentId, TenantNo};
use crate::incident::account::{self, Names};
use crate::incident::entity::entities;
use crate::incident::{self, Incident};
use crate::permission::Permission;
use crate::tenant::caller::Caller;
use crate::tx::Tx;

/// Accounts of devices shown with a user.
pub const DEVICES: u64 = 100;
/// Alerts looked through for one page of those that name a user.
const LOOKED_THROUGH: u64 = 400;
/// Incidents looked through for it.
const INCIDENTS: u64 = 100;

/// A user of a customer.
#[derive(Clone, Debug)]
pub struct Account {
    /// Whose it is.
    pub tenant: TenantNo,
    /// The name, in lower case.
    pub name: String,
    /// The entities that stand for it.
    pub entities: Vec<i64>,
}

impl Account {
    /// The names that its accounts on devices may have: its own, and what is before the `@`.
    #[must_use]
    pub fn logins(&self) -> Vec<Sql> {
        let short = self.name.split_once('@').map(|(short, _)| short);
        let names = [Some(self.name.as_str()), short];
        names.into_iter().flatten().filter(|name| !name.is_empty()).map(Into::into).collect()
    }

    /// Whether an account on a device bears its name, or the part before the `@`.
    fn bears(&self, login: &str) -> bool {
        login == self.name || self.name.split_once('@').is_some_and(|(short, _)| short == login)
    }

    fn entities(&self) -> Vec<Sql> {
        // Nothing goes by 0, and a list is never empty.
        let none = self.entities.is_empty().then_some(0_i64);
        self.entities.iter().copied().chain(none).map(Into::into).collect()
    }
}

/// What a device says of an account.
#[derive(Clone, Debug)]
pub struct OnDevice {
    /// The device.
    pub device: Device,
    /// The account, as the device spells it.
    pub login: String,
    /// Its number; none when it is no account of the device itself.
    pub uid: Option<i64>,
    /// Whether it can sign in.
    pub can_sign_in: bool,
    /// Whether it may become root.
    pub administrator: bool,
    /// When it was last seen to sign in.
    pub signed_in: Option<Timestamp>,
    /// Where from, when from elsewhere.
    pub from: Option<String>,
}

/// One line of a list of users.
#[derive(Clone, Debug, Default)]
pub struct Line {
    /// Incidents that name it.
    pub incidents: usize,
    /// Devices that have such an account, or where it signed in.
    pub devices: i64,
    /// When it was last seen to sign in.
    pub signed_in: Option<Timestamp>,
    /// Whether it may become root somewhere.
    pub administrator: bool,
}

/// Keeps the accounts of a device as its inventory has them, and who is signed in. What `names` gets
/// is for the caller to write, once for its change.
pub async fn keep_inventory(
    tx: &Transaction,
    device: &Device,
    inventory: &riposte_wire::Inventory,
    (now, names): (Timestamp, &mut Names),
) -> Result<()> {
    let sql = "select name, login, uid, can_sign_in, administrator from device_account \
               where device_no = $1 and uid is not null";
    let mut known = BTreeMap::new();
    for row in tx.query(sql, vec![device.no.0.into()]).await? {
        let said: (String, i64, i64, i64) =
            (column(&row, 1)?, column(&row, 2)?, column(&row, 3)?, column(&row, 4)?);
        known.insert(column::<String>(&row, 0)?, said);
    }
    let (mut said, mut values) = (BTreeSet::new(), Vec::new());
    for user in &inventory.users {
        let name = account::name(&user.name);
        if name.is_empty() || !said.insert(name.clone()) {
            continue;
        }
        if user.can_sign_in {
            names.add(device.tenant, &name);
        }
        let login: String = user.name.chars().filter(|c| !c.is_control()).take(256).collect();
        let it =
            (login, i64::from(user.uid), i64::from(user.can_sign_in), user.administrator.into());
        if known.get(&name) == Some(&it) {
            continue;
        }
        let (login, uid, can_sign_in, administrator) = it;
        values.extend([
            device.tenant.0.into(),
            name.into(),
            device.no.0.into(),
            login.into(),
            uid.into(),
            can_sign_in.into(),
            Sql::from(administrator),
        ]);
    }
    tx.insert_rows(
        "insert into device_account (tenant_no, name, device_no, login, uid, can_sign_in, \
         administrator)",
        7,
        "on conflict (tenant_no, name, device_no) do update set login = excluded.login, \
         uid = excluded.uid, can_sign_in = excluded.can_sign_in, \
         administrator = excluded.administrator",
        values,
    )
    .await?;
    let gone: Vec<Sql> =
        known.into_keys().filter(|name| !said.contains(name)).map(Into::into).collect();
    for gone in gone.chunks(1_000) {
        let (among, mut values) = tx.engine().among(3, gone.to_vec());
        values.splice(0..0, [device.tenant.0.into(), device.no.0.into()]);
        let sql = format!(
            "update device_account set uid = null, can_sign_in = 0, administrator = 0 \
             where tenant_no = $1 and device_no = $2 and name {among}"
        );
        tx.execute(&sql, values).await?;
    }
    let sql = "delete from device_account where device_no = $1 and uid is null \
               and signed_in_at is null";
    tx.execute(sql, vec![device.no.0.into()]).await?;
    let signed_in = inventory.signed_in.iter().map(|it| (it.user.as_str(), it.since, &it.from));
    let signed_in = signed_in.map(|(user, since, from)| (user, since, from.as_deref()));
    note_sign_ins(tx, device, signed_in, (now, names)).await
}

/// Keeps who was seen to sign in.
pub async fn keep_seen(
    tx: &Transaction,
    device: &Device,
    seen: &[Seen],
    (now, names): (Timestamp, &mut Names),
) -> Result<()> {
    let told: Vec<(String, i64, Option<String>)> = seen
        .iter()
        .filter(|it| it.kind == "signedIn")
        .filter_map(|it| Some((it.account()?, it.at.micros(), it.from())))
        .collect();
    let told = told.iter().map(|(user, at, from)| (user.as_str(), *at, from.as_deref()));
    note_sign_ins(tx, device, told, (now, names)).await
}

async fn note_sign_ins<'a>(
    tx: &Transaction,
    device: &Device,
    told: impl Iterator<Item = (&'a str, i64, Option<&'a str>)>,
    (now, names): (Timestamp, &mut Names),
) -> Result<()> {
    let mut newest: BTreeMap<String, (i64, &str, Option<&str>)> = BTreeMap::new();
    for (user, at, from) in told {
        let name = account::name(user);
        // A device's clock may be wrong, and nobody signs in tomorrow.
        let at = at.clamp(0, now.micros());
        if !name.is_empty() && newest.get(&name).is_none_or(|(known, ..)| *known < at) {
            newest.insert(name, (at, user, from));
        }
    }
    let mut values = Vec::new();
    for (name, (at, user, from)) in newest {
        names.add(device.tenant, &name);
        let plain =
            |text: &str| -> String { text.chars().filter(|c| !c.is_control()).take(256).collect() };
        values.extend([
            device.tenant.0.into(),
            name.into(),
            device.no.0.into(),
            plain(user).into(),
            at.into(),
            from.map(plain).into(),
            0_i64.into(),
            Sql::from(0_i64),
        ]);
    }
    tx.insert_rows(
        "insert into device_account (tenant_no, name, device_no, login, signed_in_at, \
         signed_in_from, can_sign_in, administrator)",
        8,
        "on conflict (tenant_no, name, device_no) do update set \
         signed_in_at = excluded.signed_in_at, signed_in_from = excluded.signed_in_from \
         where coalesce(device_account.signed_in_at, 0) < excluded.signed_in_at",
        values,
    )
    .await?;
    Ok(())
}

/// Which users.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Part of the name, in any case.
    pub search: Option<String>,
    /// Behind this name and tenant, in the order of names.
    pub behind: Option<(String, i64)>,
}

fn condition(scope: &Scope<'_>, tenants: &[TenantNo], filter: &Filter) -> (String, Vec<Sql>) {
    let tenants = tenants.iter().map(|tenant| tenant.0.into()).collect();
    let (among, mut values) = scope.engine().among(1, tenants);
    let mut test = format!("tenant_no {among}");
    if let Some(search) = filter.search.as_deref().filter(|search| !search.trim().is_empty()) {
        values.push(contains(search).into());
        let _ = write!(test, " and name like ${} escape '\\'", values.len());
    }
    (test, values)
}

/// Users of these tenants, by name.
pub async fn list(
    app: &App,
    caller: &Caller,
    tenants: &[TenantNo],
    filter: &Filter,
    most: u64,
) -> Result<Vec<Account>> {
    let scope = caller.view(app);
    let (mut test, mut values) = condition(&scope, tenants, filter);
    if let Some((name, tenant)) = &filter.behind {
        values.extend([name.clone().into(), (*tenant).into()]);
        let (name, tenant) = (values.len() - 1, values.len());
        let _ = write!(test, " and name >= ${name} and (name > ${name} or tenant_no > ${tenant})");
    }
    let sql = format!(
        "select name, tenant_no from account where {test} \
         group by name, tenant_no order by name, tenant_no limit {most}"
    );
    let rows = scope.query(&sql, values).await?;
    let mut found: Vec<Account> = Vec::with_capacity(rows.len());
    for row in rows {
        let tenant = TenantNo(column(&row, 1)?);
        found.push(Account { tenant, name: column(&row, 0)?, entities: Vec::new() });
    }
    if found.is_empty() {
        return Ok(found);
    }
    let names = found.iter().map(|it| it.name.clone().into()).collect();
    let (among, mut values) = scope.engine().among(1, names);
    let (of, more) = scope
        .engine()
        .among(values.len() + 1, tenants.iter().map(|tenant| tenant.0.into()).collect());
    values.extend(more);
    let sql = format!(
        "select name, tenant_no, entity_id from account where name {among} and tenant_no {of} \
         and entity_id <> 0"
    );
    for row in scope.query(&sql, values).await? {
        let (name, tenant): (String, i64) = (column(&row, 0)?, column(&row, 1)?);
        let it = found.iter_mut().find(|it| it.name == name && it.tenant.0 == tenant);
        if let Some(it) = it {
            it.entities.push(column(&row, 2)?);
        }
    }
    Ok(found)
}

/// How many there are.
pub async fn count(
    app: &App,
    caller: &Caller,
    tenants: &[TenantNo],
    filter: &Filter,
) -> Result<i64> {
    let scope = caller.view(app);
    let (test, values) = condition(&scope, tenants, filter);
    let sql = format!(
        "select count(*) from (select 1 from account where {test} group by name, tenant_no) named"
    );
    scope.query_one(&sql, values).await?.map_or(Ok(0), |row| column(&row, 0))
}

/// What a list says of these users, in their order.
pub async fn lines(app: &App, caller: &Caller, accounts: &[Account]) -> Result<Vec<Line>> {
    let mut lines = vec![Line::default(); accounts.len()];
    if accounts.is_empty() {
        return Ok(lines);
    }
    let mut whose: BTreeMap<(TenantNo, i64), Vec<usize>> = BTreeMap::new();
    for (place, it) in accounts.iter().enumerate() {
        for entity in &it.entities {
            whose.entry((it.tenant, *entity)).or_default().push(place);
        }
    }
    for (place, incidents) in super::mention::counts_of(app, caller, &whose).await? {
        if let Some(line) = lines.get_mut(place) {
            line.incidents = incidents;
        }
    }
    let scope = caller.view(app);
    let names = accounts.iter().flat_map(Account::logins).collect();
    let (among, mut values) = scope.engine().among(1, names);
    let tenants: BTreeSet<i64> = accounts.iter().map(|it| it.tenant.0).collect();
    let tenants = tenants.into_iter().map(Into::into).collect();
    let (of, more) = scope.engine().among(values.len() + 1, tenants);
    values.extend(more);
    let sql = format!(
        "select name, tenant_no, count(*), max(signed_in_at), max(administrator) \
         from device_account where name {among} and tenant_no {of} group by name, tenant_no"
    );
    for row in scope.query(&sql, values).await? {
        let (name, tenant): (String, i64) = (column(&row, 0)?, column(&row, 1)?);
        let seen = column::<Option<i64>>(&row, 3)?.map(Timestamp::from_micros);
        let (devices, root): (i64, Option<i64>) = (column(&row, 2)?, column(&row, 4)?);
        for (it, line) in accounts.iter().zip(&mut lines) {
            if it.tenant.0 == tenant && it.bears(&name) {
                line.devices += devices;
                line.signed_in = line.signed_in.max(seen);
                line.administrator |= root.unwrap_or_default() != 0;
            }
        }
    }
    Ok(lines)
}

/// A user of a tenant that the caller is inside of.
///
/// # Errors
/// `NotFound` for a name that nothing gave.
pub async fn find(app: &App, tenant: TenantNo, given: &str) -> Result<Account> {
    let name = account::name(given);
    let sql = "select entity_id from account where tenant_no = $1 and name = $2 limit 100";
    let values = vec![tenant.0.into(), name.clone().into()];
    let rows = app.db.of(tenant).query(sql, values).await?;
    if rows.is_empty() {
        return Err(Error::NotFound("the user does not exist".to_owned()));
    }
    let entities: Result<Vec<i64>> = rows.iter().map(|row| column(row, 0)).collect();
    let entities = entities?.into_iter().filter(|id| *id != 0).collect();
    Ok(Account { tenant, name, entities })
}

/// That a user is of high value, as the customer said it (EXC-3).
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Mark {
    /// Why.
    pub because: String,
    /// Who said so.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// What the customer said of a user of this very name.
pub async fn mark_in(tx: &Transaction, tenant: TenantNo, name: &str) -> Result<Option<Mark>> {
    let sql = "select because, marked_by, marked_at from high_value_user \
               where tenant_no = $1 and name = $2";
    let row = tx.query_one(sql, vec![tenant.0.into(), name.into()]).await?;
    row.map(|row| {
        let at = Timestamp::from_micros(column(&row, 2)?);
        Ok(Mark { because: column(&row, 0)?, by: column(&row, 1)?, at })
    })
    .transpose()
}

/// Whether the customer marked who may be meant by a name as of high value.
pub async fn is_marked(tx: &Transaction, tenant: TenantNo, given: &str) -> Result<bool> {
    let given = account::name(given);
    let sql = "select name from high_value_user where tenant_no = $1 and bare = $2";
    for row in tx.query(sql, vec![tenant.0.into(), account::bare(&given).into()]).await? {
        if account::may_be_same(&given, &column::<String>(&row, 0)?) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Marks a user as of high value with the reason, or no longer.
///
/// # Errors
/// `Invalid` when no reason is given.
pub async fn change_mark(
    app: &App,
    caller: &Caller,
    it: &Account,
    because: Option<&str>,
) -> Result<()> {
    caller.require(&[Permission::ExclusionReadWrite])?;
    let because = because.map(str::trim);
    if because.is_some_and(|it| !(1..=1_000).contains(&it.chars().count()) || it.contains('\0')) {
        return Err(Error::Invalid("say why: a reason has 1 to 1,000 characters".to_owned()));
    }
    let mut tx = Tx::begin(app, it.tenant, caller.actor()).await?;
    let before = mark_in(&tx, it.tenant, &it.name).await?.map(|mark| mark.because);
    if before.as_deref() == because {
        return Ok(());
    }
    let key: Vec<Sql> = vec![it.tenant.0.into(), it.name.clone().into()];
    let sql = "delete from high_value_user where tenant_no = $1 and name = $2";
    tx.execute(sql, key.clone()).await?;
    if let Some(because) = because {
        let mut values = key;
        values.extend([
            account::bare(&it.name).into(),
            because.into(),
            tx.actor().name.clone().into(),
            tx.now().micros().into(),
        ]);
        let sql = "insert into high_value_user (tenant_no, name, bare, because, marked_by, \
                   marked_at) values ($1, $2, $3, $4, $5, $6)";
        tx.execute(sql, values).await?;
    }
    let told = |why: Option<&str>| why.map_or(Value::Null, |why| json!(why));
    let (before, after) = (told(before.as_deref()), told(because));
    let changes = vec![Change { field: "highValue", before, after }];
    tx.record(Fact::UserChanged { name: it.name.clone(), changes });
    tx.commit().await
}

/// The accounts that devices have under a user's name, those that signed in last first; and how many
/// there are.
pub async fn on_devices(app: &App, it: &Account) -> Result<(Vec<OnDevice>, i64)> {
    let scope = app.db.of(it.tenant);
    let (among, mut values) = scope.engine().among(2, it.logins());
    values.insert(0, it.tenant.0.into());
    let sql = format!("select count(*) from device_account where tenant_no = $1 and name {among}");
    let row = scope.query_one(&sql, values.clone()).await?;
    let count = row.map_or(Ok(0), |row| column(&row, 0))?;
    let sql = format!(
        "select {}, device_account.login, device_account.uid, device_account.can_sign_in, \
         device_account.administrator, device_account.signed_in_at, \
         device_account.signed_in_from from device_account \
         join device on device.no = device_account.device_no \
         where device_account.tenant_no = $1 and device_account.name {among} \
         order by coalesce(device_account.signed_in_at, 0) desc, device.name_key, device.no \
         limit {DEVICES}",
        asset::COLUMNS
    );
    let rows = scope.query(&sql, values).await?;
    let found: Result<Vec<OnDevice>> = rows.iter().map(OnDevice::from_row).collect();
    Ok((found?, count))
}

impl OnDevice {
    fn from_row(row: &QueryResult) -> Result<Self> {
        let at = asset::WIDTH;
        Ok(Self {
            device: Device::from_row(row)?,
            login: column(row, at)?,
            uid: column(row, at + 1)?,
            can_sign_in: column::<i64>(row, at + 2)? != 0,
            administrator: column::<i64>(row, at + 3)? != 0,
            signed_in: column::<Option<i64>>(row, at + 4)?.map(Timestamp::from_micros),
            from: column(row, at + 5)?,
        })
    }
}

/// The account that a device has under a user's name.
pub async fn on_device(tx: &Transaction, it: &Account, device: DeviceNo) -> Result<Option<String>> {
    let (among, mut values) = tx.engine().among(3, it.logins());
    values.splice(0..0, [it.tenant.0.into(), device.0.into()]);
    let sql = format!(
        "select login from device_account where tenant_no = $1 and device_no = $2 \
         and name {among} and uid is not null order by length(name) desc limit 1"
    );
    tx.query_one(&sql, values).await?.map(|row| column(&row, 0)).transpose()
}

/// How many incidents name a user.
pub async fn incident_count(app: &App, caller: &Caller, it: &Account) -> Result<usize> {
    let whose = it.entities.iter().map(|entity| ((it.tenant, *entity), vec![()])).collect();
    Ok(super::mention::counts_of(app, caller, &whose).await?.remove(&()).unwrap_or_default())
}

/// Incidents that name a user, the newest first, behind this one.
pub async fn incidents(
    app: &App,
    it: &Account,
    behind: Option<IncidentId>,
    most: u64,
) -> Result<Vec<Incident>> {
    let scope = app.db.of(it.tenant);
    let (among, mut values) = scope.engine().among(3, it.entities());
    let behind = behind.map_or(i64::MAX, |id| id.0);
    values.splice(0..0, [it.tenant.0.into(), behind.into()]);
    let sql = format!(
        "select {} from {} where incident.tenant_no = $1 and incident.id in \
         (select run.incident_id from run where run.tenant_no = $1 and run.incident_id < $2 \
         and run.entity_id {among}) order by incident.id desc limit {most}",
        incident::COLUMNS,
        incident::FROM
    );
    scope.query(&sql, values).await?.iter().map(Incident::from_row).collect()
}

/// A page of the alerts that name a user: those of the newest incidents first. It may have fewer
/// than `most`, or none, where few of many alerts do; what is behind it is said as long as there may
/// be more.
pub async fn alerts(
    app: &App,
    it: &Account,
    behind: Option<(i64, i64)>,
    most: usize,
) -> Result<(Vec<Full>, Option<(i64, i64)>)> {
    let scope = app.db.of(it.tenant);
    let (from, mut below) = behind.unwrap_or((i64::MAX, i64::MAX));
    let (among, mut values) = scope.engine().among(3, it.entities());
    values.splice(0..0, [it.tenant.0.into(), from.into()]);
    let sql = format!(
        "select distinct incident_id from run where tenant_no = $1 and incident_id <= $2 \
         and entity_id {among} order by incident_id desc limit {INCIDENTS}"
    );
    let rows = scope.query(&sql, values).await?;
    let (mut found, mut budget) = (Vec::new(), LOOKED_THROUGH);
    let mut last = None;
    for row in &rows {
        let incident: i64 = column(row, 0)?;
        if incident != from {
            below = i64::MAX;
        }
        let sql = format!(
            "select {} from alert join alert_body on alert_body.alert_id = alert.id \
             where alert.incident_id = $1 and alert.id < $2 order by alert.id desc limit {budget}",
            view::COLUMNS
        );
        for row in scope.query(&sql, vec![incident.into(), below.into()]).await? {
            let full = Full::from_row(&row)?;
            let at = (incident, full.alert.id.0);
            if found.len() == most {
                return Ok((found, last));
            }
            budget = budget.saturating_sub(1);
            last = Some(at);
            let named = entities(&full.body).list;
            if named.iter().any(|entity| it.entities.contains(&entity.id)) {
                found.push(full);
            }
        }
        if budget == 0 {
            return Ok((found, last));
        }
        last = Some((incident, 0));
    }
    let all = (rows.len() as u64) < INCIDENTS;
    Ok((found, last.filter(|_| !all)))
}

/// Something that happened to or by a user.
#[derive(Clone, Debug)]
pub struct Happened {
    /// When.
    pub at: Timestamp,
    /// `signedIn`, `signedOut` or `incident`.
    pub kind: String,
    /// One line for people.
    pub text: String,
    /// On which device: its id and name.
    pub device: Option<(String, String)>,
    /// In which incident.
    pub incident: Option<IncidentId>,
}

/// What devices saw of a user and which incidents began to name it, each the newest first and at or
/// before a moment.
pub async fn timeline(app: &App, it: &Account, until: i64, most: u64) -> Result<Vec<Happened>> {
    let scope = app.db.of(it.tenant);
    let (among, mut values) = scope.engine().among(3, it.logins());
    values.splice(0..0, [it.tenant.0.into(), until.into()]);
    let sql = format!(
        "select device_event.at, device_event.kind, device_event.text, device.id, device.name \
         from device_event join device on device.no = device_event.device_no \
         where device_event.tenant_no = $1 and device_event.account is not null \
         and device_event.account {among} and device_event.at <= $2 \
         order by device_event.at desc, device_event.device_no, device_event.position desc \
         limit {most}"
    );
    let mut found = Vec::new();
    for row in scope.query(&sql, values).await? {
        found.push(Happened {
            at: Timestamp::from_micros(column(&row, 0)?),
            kind: column(&row, 1)?,
            text: column(&row, 2)?,
            device: Some((column(&row, 3)?, column(&row, 4)?)),
            incident: None,
        });
    }
    let (among, mut values) = scope.engine().among(3, it.entities());
    values.splice(0..0, [it.tenant.0.into(), until.into()]);
    let sql = format!(
        "select named.at, incident.id, incident.display_name from (select incident_id, \
         min(first_at) as at from run where tenant_no = $1 and entity_id {among} \
         group by incident_id) named join incident on incident.id = named.incident_id \
         where named.at <= $2 order by named.at desc, incident.id desc limit {most}"
    );
    for row in scope.query(&sql, values).await? {
        found.push(Happened {
            at: Timestamp::from_micros(column(&row, 0)?),
            kind: "incident".to_owned(),
            text: column(&row, 2)?,
            device: None,
            incident: Some(IncidentId(column(&row, 1)?)),
        });
    }
    Ok(found)
}
