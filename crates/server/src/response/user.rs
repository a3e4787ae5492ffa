//! What is done to a user from its own page (MR-11, MR-18): to its accounts on devices, and to the one
//! in a directory that a connector leads to.

use serde_json::Value;

use crate::app::App;
use crate::asset::account::{self, Account};
use crate::asset::{self, Device};
use crate::connector::{self, Connector};
use crate::coverage::{self, Thing};
use crate::db::Transaction;
use crate::error::{Error, Result};
use crate::response::catalog::{CATALOG, Kind, TargetKind};
use crate::response::each::{Asked, Item, each};
use crate::response::engine::Wish;
use crate::response::store::{self, Action, Target};
use crate::response::{Channel, acts, order, requester, text};
use crate::tenant::caller::Caller;
use crate::tx::Tx;

/// What a request acts on.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    /// Those on these devices.
    pub devices: Vec<String>,
    /// The one in the directory.
    pub directory: bool,
}

/// Does something to a user's accounts, to each by itself; a comment is mandatory.
///
/// # Errors
/// `NotFound` when a device is not within reach; what stands against the first one when it can be
/// done to none.
pub async fn act_on_user(
    app: &App,
    caller: &Caller,
    it: &Account,
    (kind, on): (Kind, &Accounts),
    options: &Value,
    comment: &str,
) -> Result<Vec<Asked>> {
    acts(caller)?;
    let comment = text("comment", comment, 4_000)?;
    if comment.is_empty() {
        return Err(Error::Invalid("a comment is mandatory: say why".to_owned()));
    }
    let options = kind.entry().options(options).map_err(Error::Invalid)?;
    let mut devices: Vec<Device> = Vec::new();
    for id in &on.devices {
        let device = asset::find(app, caller, id).await?;
        if device.tenant != it.tenant {
            return Err(Error::NotFound("the device does not exist".to_owned()));
        }
        if !devices.iter().any(|known| known.no == device.no) {
            devices.push(device);
        }
    }
    let requester = requester(caller);
    let mut tx = Tx::begin(app, it.tenant, caller.actor()).await?;
    let mut items: Vec<Item> = Vec::with_capacity(devices.len());
    for device in devices {
        let login = account::on_device(&tx, it, device.no).await?;
        let target = login.map(|login| Target {
            kind: TargetKind::User,
            name: format!("{login} on {}", device.name),
            key: login,
            device: Some(device.id.clone()),
            mailbox: None,
        });
        let what = target.map(|target| (target, options.clone()));
        let what = what.ok_or_else(|| format!("{} has no account of that name", device.name));
        items.push((Channel::Agent(Box::new(device)), what));
    }
    if on.directory {
        let found = directory(&tx, it, kind).await?.ok_or_else(|| {
            Error::Conflict("no directory is connected that could do it".to_owned())
        })?;
        let target = Target {
            kind: TargetKind::User,
            key: it.name.clone(),
            name: it.name.clone(),
            device: None,
            mailbox: None,
        };
        items.push((Channel::Connector(Box::new(found)), Ok((target, options.clone()))));
    }
    let said = |wish| Wish { comment: Some(comment.clone()), ..wish };
    let all = each(&mut tx, kind, &items, &requester, said).await?;
    tx.made(serde_json::to_string(&all.told).map_err(Error::internal)?).await?;
    tx.commit().await?;
    for (channel, _) in &items {
        channel.ring(app);
    }
    Ok(all.told)
}

/// The connector whose product can do something to a user of a directory.
async fn directory(tx: &Transaction, it: &Account, kind: Kind) -> Result<Option<Connector>> {
    if connector::user_name(&it.name).is_err() {
        return Ok(None);
    }
    match order::verb(kind) {
        Some(verb) => connector::able(tx, it.tenant, verb).await,
        None => Ok(None),
    }
}

/// What a directory that is connected can do to a user: its name, and the types of action.
pub async fn in_directory(app: &App, it: &Account) -> Result<Option<(String, Vec<Kind>)>> {
    let tx = app.db.of(it.tenant).snapshot().await?;
    let (mut name, mut able) = (None, Vec::new());
    for entry in CATALOG.iter().filter(|entry| entry.target == TargetKind::User) {
        if let Some(found) = directory(&tx, it, entry.kind).await? {
            name.get_or_insert(found.name);
            able.push(entry.kind);
        }
    }
    Ok(name.map(|name| (name, able)))
}

/// Why the caller may not act on a user now, whatever the device.
pub async fn why_not_user(app: &App, caller: &Caller, it: &Account) -> Result<Option<String>> {
    let tx = app.db.of(it.tenant).snapshot().await?;
    let thing = Thing { user: Some(&it.name), ..Thing::default() };
    let authority = requester(caller).authority();
    let clearance = coverage::covers(&tx, it.tenant, &authority, thing, app.clock.now()).await?;
    Ok(clearance.err())
}

/// Actions on a user's accounts, asked for at or before a moment, the newest first.
pub async fn of_user(app: &App, it: &Account, until: i64, most: u64) -> Result<Vec<Action>> {
    let scope = app.db.of(it.tenant);
    let (among, mut values) = scope.engine().among(3, it.logins());
    values.splice(0..0, [it.tenant.0.into(), until.into()]);
    let sql = format!(
        "select {} from action where tenant_no = $1 and target_kind = 'user' \
         and requested_at <= $2 and {} {among} order by requested_at desc, id desc limit {most}",
        store::ACTION,
        store::USER
    );
    scope.query(&sql, values).await?.iter().map(Action::from_row).collect()
}
