//! Assets: the devices that alerts name and actions touch, as their agents know them, and the users
//! (`account`).
//!
//! A device comes into being when an agent enrols for it and stays when the agent is shut out: what
//! happened on it is asked about later. Its name is its host name; two machines of one customer may
//! share it, and then its id has to be named. Invariant: one device for each name and machine.
//! Not here: how an agent enrols and what it is told (see `agent`), who may act (see `coverage`).

pub mod account;
pub mod inventory;
pub mod mention;
pub mod timeline;

use std::fmt::Write as _;

use sea_orm::{QueryResult, Value as Sql};
use serde_json::{Value, json};

use crate::app::App;
use crate::clock::Timestamp;
use crate::db::{Scope, Transaction, column, contains};
use crate::error::{Error, Result};
use crate::event::{Change, Fact};
use crate::id::{DeviceNo, TenantNo};
use crate::permission::Permission;
use crate::tenant::caller::Caller;
use crate::tx::Tx;

/// After how many seconds without a word from its agent a device counts as offline: two polls.
pub const OFFLINE_S: i64 = 60;
/// Groups a device may be in.
const GROUPS: usize = 50;

/// A device.
#[derive(Clone, Debug)]
pub struct Device {
    /// Its number inside the store.
    pub no: DeviceNo,
    /// Whose it is.
    pub tenant: TenantNo,
    /// Its public id, a UUID.
    pub id: String,
    /// Its host name.
    pub name: String,
    /// The operating system as people call it.
    pub os: String,
    /// The kernel's release.
    pub kernel: String,
    /// `x86_64` …
    pub architecture: String,
    /// Its addresses.
    pub addresses: Vec<String>,
    /// The groups it is in: what exclusions and scopes go by.
    pub groups: Vec<String>,
    /// Since when it is of high value.
    pub high_value: Option<Timestamp>,
    /// When it was first seen.
    pub created: Timestamp,
    /// The agent that speaks for it.
    pub agent: Option<String>,
    /// The agent's version.
    pub agent_version: Option<String>,
    /// What the agent can do there: words of `wire::Action`.
    pub can: Vec<String>,
    /// What it cannot do, and why.
    pub lacks: Vec<(String, String)>,
    /// What the agent last read of its state.
    pub states: riposte_wire::States,
    /// What the agent takes.
    pub own: riposte_wire::Own,
    /// The newest run of the agent.
    pub run: Option<String>,
    /// When the agent was last heard of.
    pub seen: Option<Timestamp>,
}

/// The columns [`Device::from_row`] expects, in order.
pub const COLUMNS: &str = "device.no, device.tenant_no, device.id, device.name, device.os, \
    device.kernel, device.architecture, device.addresses, device.device_groups, \
    device.high_value_at, device.created_at, device.agent_id, device.agent_version, device.can, \
    device.lacks, device.states, device.own, device.run, device.seen_at";
/// How many columns [`COLUMNS`] names.
pub const WIDTH: usize = 19;

impl Device {
    /// A device from a row of [`COLUMNS`].
    pub fn from_row(row: &QueryResult) -> Result<Self> {
        let no: i64 = column(row, 0)?;
        let bad = |what: &str| Error::Internal(format!("device {no}: {what} is damaged"));
        let text = |index: usize| column::<String>(row, index);
        let at =
            |index| Ok::<_, Error>(column::<Option<i64>>(row, index)?.map(Timestamp::from_micros));
        Ok(Self {
            no: DeviceNo(no),
            tenant: TenantNo(column(row, 1)?),
            id: text(2)?,
            name: text(3)?,
            os: text(4)?,
            kernel: text(5)?,
            architecture: text(6)?,
            addresses: serde_json::from_str(&text(7)?).map_err(|_| bad("addresses"))?,
            groups: serde_json::from_str(&text(8)?).map_err(|_| bad("groups"))?,
            high_value: at(9)?,
            created: Timestamp::from_micros(column(row, 10)?),
            agent: column(row, 11)?,
            agent_version: column(row, 12)?,
            can: serde_json::from_str(&text(13)?).map_err(|_| bad("can"))?,
            lacks: serde_json::from_str(&text(14)?).map_err(|_| bad("lacks"))?,
            states: serde_json::from_str(&text(15)?).map_err(|_| bad("states"))?,
            own: serde_json::from_str(&text(16)?).map_err(|_| bad("own"))?,
            run: column(row, 17)?,
            seen: at(18)?,
        })
    }

    /// Whether its agent was heard of lately.
    #[must_use]
    pub fn is_online(&self, now: Timestamp) -> bool {
        self.agent.is_some() && self.seen.is_some_and(|seen| now < seen.plus_seconds(OFFLINE_S))
    }

    /// Whether its agent can carry out an action of this word, or why not.
    pub fn can(&self, word: &str) -> std::result::Result<(), String> {
        if self.agent.is_none() {
            return Err(format!("no agent speaks for {}", self.name));
        }
        if self.can.iter().any(|known| known == word) {
            return Ok(());
        }
        let why = self.lacks.iter().find(|(lacking, _)| lacking == word);
        Err(why.map_or_else(
            || format!("the agent of {} does not know how", self.name),
            |(_, why)| format!("{} lacks something: {why}", self.name),
        ))
    }
}

/// The device of a number.
pub async fn load_in(tx: &Transaction, no: DeviceNo) -> Result<Option<Device>> {
    let sql = format!("select {COLUMNS} from device where no = $1");
    tx.query_one(&sql, vec![no.0.into()]).await?.as_ref().map(Device::from_row).transpose()
}

/// How people and products name a device: by its id, its name, or its full name.
fn named(tenant: TenantNo, name: &str) -> (String, Vec<Sql>) {
    let key = name.trim().to_lowercase();
    let short = key.split('.').next().unwrap_or_default().to_owned();
    let sql = format!(
        "select {COLUMNS} from device where tenant_no = $1 and (id = $2 or name_key = $2 or \
         name_key = $3) order by case when id = $2 then 0 when name_key = $2 then 1 else 2 end, \
         agent_id is null, seen_at desc limit 20"
    );
    (sql, vec![tenant.0.into(), key.into(), short.into()])
}

/// The device that a name means, when there is one.
///
/// # Errors
/// `Invalid` when several machines share the name: one is named by its id then.
pub async fn find_in(tx: &Transaction, tenant: TenantNo, name: &str) -> Result<Option<Device>> {
    let (sql, values) = named(tenant, name);
    choose(name, &tx.query(&sql, values).await?)
}

/// The same outside a change.
pub async fn find_named(app: &App, tenant: TenantNo, name: &str) -> Result<Option<Device>> {
    let (sql, values) = named(tenant, name);
    choose(name, &app.db.of(tenant).query(&sql, values).await?)
}

fn choose(name: &str, rows: &[QueryResult]) -> Result<Option<Device>> {
    let devices: Result<Vec<Device>> = rows.iter().map(Device::from_row).collect();
    let mut devices = devices?;
    let same = |device: &Device| device.id == name || device.name.eq_ignore_ascii_case(name.trim());
    let exact = devices.iter().filter(|device| same(device)).count();
    if exact > 0 {
        devices.retain(same);
    }
    let speaking = devices.iter().filter(|device| device.agent.is_some()).count();
    if speaking > 1 {
        return Err(Error::Invalid(format!(
            "{speaking} devices are called {name}: name one by its id"
        )));
    }
    Ok(devices.into_iter().next())
}

/// A device within the caller's reach.
///
/// # Errors
/// `NotFound` for unknown and foreign ones alike.
pub async fn find(app: &App, caller: &Caller, id: &str) -> Result<Device> {
    let sql = format!("select {COLUMNS} from device where id = $1");
    let row = caller.view(app).query_one(&sql, vec![id.into()]).await?;
    let device = row.as_ref().map(Device::from_row).transpose()?;
    let Some(device) = device.filter(|device| caller.queue.includes(device.tenant)) else {
        return Err(unknown());
    };
    caller.require_inside(app, device.tenant, unknown()).await?;
    Ok(device)
}

fn unknown() -> Error {
    Error::NotFound("the device does not exist".to_owned())
}

/// Which devices.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Part of the name, an address or a group, in any case.
    pub search: Option<String>,
    /// Behind this name and number, in the order of names.
    pub behind: Option<(String, i64)>,
}

fn condition(scope: &Scope<'_>, tenants: &[TenantNo], filter: &Filter) -> (String, Vec<Sql>) {
    let tenants = tenants.iter().map(|tenant| tenant.0.into()).collect();
    let (among, mut values) = scope.engine().among(1, tenants);
    let mut test = format!("device.tenant_no {among}");
    if let Some(search) = filter.search.as_deref().filter(|search| !search.trim().is_empty()) {
        values.push(contains(search).into());
        let at = values.len();
        let _ = write!(
            test,
            " and (device.name_key like ${at} escape '\\' or lower(device.addresses) like ${at} \
             escape '\\' or lower(device.device_groups) like ${at} escape '\\')"
        );
    }
    (test, values)
}

/// Devices the caller is inside of the tenant of, by name.
pub async fn list(
    app: &App,
    caller: &Caller,
    tenants: &[TenantNo],
    filter: &Filter,
    most: u64,
) -> Result<Vec<Device>> {
    let scope = caller.view(app);
    let (mut test, mut values) = condition(&scope, tenants, filter);
    if let Some((name, no)) = &filter.behind {
        values.extend([name.clone().into(), (*no).into()]);
        let (name, no) = (values.len() - 1, values.len());
        let _ = write!(
            test,
            " and (device.name_key > ${name} or (device.name_key = ${name} and device.no > ${no}))"
        );
    }
    let sql = format!(
        "select {COLUMNS} from device where {test} order by device.name_key, device.no limit {most}"
    );
    scope.query(&sql, values).await?.iter().map(Device::from_row).collect()
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
    let sql = format!("select count(*) from device where {test}");
    scope.query_one(&sql, values).await?.map_or(Ok(0), |row| column(&row, 0))
}

/// What somebody changes of a device.
#[derive(Clone, Debug, Default)]
pub struct Patch {
    /// The groups it is in.
    pub groups: Option<Vec<String>>,
    /// Whether it is of high value.
    pub high_value: Option<bool>,
}

/// Changes what is known of a device.
pub async fn change(app: &App, caller: &Caller, id: &str, patch: Patch) -> Result<()> {
    caller.require(&[Permission::DeviceReadWrite])?;
    let seen = find(app, caller, id).await?;
    let mut tx = Tx::begin(app, seen.tenant, caller.actor()).await?;
    let before = load_in(&tx, seen.no).await?.ok_or_else(unknown)?;
    let mut changes = Vec::new();
    if let Some(groups) = patch.groups {
        let groups = groups_of(groups)?;
        if groups != before.groups {
            changes.push(Change {
                field: "groups",
                before: json!(before.groups),
                after: json!(groups),
            });
            tx.execute(
                "update device set device_groups = $2 where no = $1",
                vec![before.no.0.into(), Value::from(groups).to_string().into()],
            )
            .await?;
        }
    }
    if let Some(high) = patch.high_value
        && high != before.high_value.is_some()
    {
        changes.push(Change {
            field: "highValue",
            before: json!(before.high_value.is_some()),
            after: json!(high),
        });
        tx.execute(
            "update device set high_value_at = $2 where no = $1",
            vec![before.no.0.into(), high.then(|| tx.now().micros()).into()],
        )
        .await?;
    }
    if !changes.is_empty() {
        tx.record(Fact::DeviceChanged { device: before.id, name: before.name, changes });
    }
    tx.commit().await
}

fn groups_of(groups: Vec<String>) -> Result<Vec<String>> {
    if groups.len() > GROUPS {
        return Err(Error::Invalid(format!("a device is in {GROUPS} groups at most")));
    }
    let mut known: Vec<String> = Vec::new();
    for group in groups {
        let group = group.trim().to_owned();
        if group.is_empty() || group.chars().count() > 256 || group.contains('\0') {
            return Err(Error::Invalid("a group's name has 1 to 256 characters".to_owned()));
        }
        if !known.iter().any(|other| other.eq_ignore_ascii_case(&group)) {
            known.push(group);
        }
    }
    Ok(known)
}
