//! Who carries an action out: what a task names, resolved at the moment of doing.
//!
//! A user of a directory is with the product that a connector of the customer's leads to, where there
//! is one that can do it; so is a mail, in each mailbox by itself. Everything else is on devices: a device is named by itself. A file, an account, an indicator or a process is on one device that
//! the options name, or on those of the incident (files), or of the customer (indicators). What
//! resolves to nothing is a card for somebody to carry out by hand, and says why.

use crate::app::App;
use crate::asset::{self, Device};
use crate::connector::{self, Connector};
use crate::db::{Transaction, column};
use crate::error::{Error, Result};
use crate::id::{IncidentId, TenantNo};
use crate::incident::entity::EntityKind;
use crate::response::catalog::{Entry, Kind, TargetKind};
use crate::response::errand::Errand;
use crate::response::store::{Action, Target};
use crate::response::{mail, order};

/// Devices one action reaches at most (MR-18).
const MOST: usize = 1_000;

/// Who carries an action out.
#[derive(Clone, Debug)]
pub enum Channel {
    /// The agent of a device.
    Agent(Box<Device>),
    /// The product a connector leads to.
    Connector(Box<Connector>),
    /// The same, in the mailbox of this address.
    Mailbox(Box<Connector>, String),
}

impl Channel {
    /// The device, where it is one.
    #[must_use]
    pub fn device(&self) -> Option<&Device> {
        match self {
            Self::Agent(device) => Some(device),
            Self::Connector(_) | Self::Mailbox(..) => None,
        }
    }

    /// A target as it is there.
    #[must_use]
    pub fn aimed(&self, target: &Target) -> Target {
        match self {
            Self::Mailbox(_, mailbox) => Target {
                name: format!("{} in {mailbox}", target.key),
                mailbox: Some(mailbox.clone()),
                ..target.clone()
            },
            Self::Agent(_) | Self::Connector(_) => target.clone(),
        }
    }

    /// What people call it.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Agent(device) => &device.name,
            Self::Connector(connector) => &connector.name,
            Self::Mailbox(_, mailbox) => mailbox,
        }
    }

    /// Tells it that something waits.
    pub(super) fn ring(&self, app: &App) {
        match self {
            Self::Agent(device) => app.agents.ring(device.no),
            Self::Connector(_) | Self::Mailbox(..) => app.respond.notify_one(),
        }
    }
}

/// Who was to carry an action out; `None` when that is not there any more.
pub(super) async fn channel_of(tx: &Transaction, action: &Action) -> Result<Option<Channel>> {
    if let Some(id) = &action.connector {
        let found = connector::find_in(tx, action.tenant, id).await?;
        let mailbox = action.target.mailbox.clone();
        return Ok(found.map(|it| match mailbox {
            Some(mailbox) => Channel::Mailbox(Box::new(it), mailbox),
            None => Channel::Connector(Box::new(it)),
        }));
    }
    let Some(no) = action.device else { return Ok(None) };
    Ok(asset::load_in(tx, no).await?.map(|device| Channel::Agent(Box::new(device))))
}

/// Those who carry an action out, or why it cannot be done by itself.
pub(super) async fn channels(
    tx: &Transaction,
    (tenant, incident): (TenantNo, Option<IncidentId>),
    entry: &Entry,
    target: Option<&Target>,
    options: &serde_json::Value,
) -> Result<std::result::Result<Vec<Channel>, String>> {
    if let Some(target) = target
        && target.kind == TargetKind::User
        && target.key.contains('@')
        && options.get("deviceId").is_none()
        && let Some(verb) = order::verb(entry.kind)
        && let Some(found) = connector::able(tx, tenant, verb).await?
    {
        return Ok(
            connector::user_name(&target.key).map(|_| vec![Channel::Connector(Box::new(found))])
        );
    }
    if let (Some(target), Some(errand @ Errand::Mail(_))) = (target, Errand::of(entry.kind))
        && let Some(found) = errand.connector(tx, tenant).await?
    {
        let all = connector::message_id(&target.key).and_then(|_| mail::mailboxes(options));
        return Ok(all.and_then(|all| {
            if all.is_empty() {
                return Err("nobody said in whose mailboxes the mail is".to_owned());
            }
            let found = Box::new(found);
            Ok(all.into_iter().map(|one| Channel::Mailbox(found.clone(), one)).collect())
        }));
    }
    let found = devices(tx, (tenant, incident), entry, target, options).await?;
    Ok(found.map(|all| all.into_iter().map(|it| Channel::Agent(Box::new(it))).collect()))
}

/// The devices an action is done on, or why it cannot be done by itself.
async fn devices(
    tx: &Transaction,
    (tenant, incident): (TenantNo, Option<IncidentId>),
    entry: &Entry,
    target: Option<&Target>,
    options: &serde_json::Value,
) -> Result<std::result::Result<Vec<Device>, String>> {
    if order::word(entry.kind).is_none() {
        return Ok(Err(match entry.kind {
            Kind::Text => "it is guidance in words".to_owned(),
            _ => "nothing is connected that could do it".to_owned(),
        }));
    }
    let Some(target) = target else { return Ok(Err("it names nothing".to_owned())) };
    let named = match target.kind {
        TargetKind::Device => Some(target.key.as_str()),
        _ => options.get("deviceId").and_then(serde_json::Value::as_str),
    };
    let found = if let Some(name) = named {
        match asset::find_in(tx, tenant, name).await {
            Ok(Some(device)) => vec![device],
            Ok(None) => return Ok(Err(format!("no agent speaks for {name}"))),
            Err(Error::Invalid(reason)) => return Ok(Err(reason)),
            Err(error) => return Err(error),
        }
    } else {
        match target.kind {
            TargetKind::File | TargetKind::User => match incident {
                Some(incident) => of_incident(tx, tenant, incident).await?,
                None => Vec::new(),
            },
            TargetKind::Indicator => of_tenant(tx, tenant).await?,
            _ => Vec::new(),
        }
    };
    let mut able = Vec::new();
    let mut lacking = None;
    for device in found {
        let missing = order::words(entry.kind, options).find_map(|word| device.can(word).err());
        match missing {
            None => able.push(device),
            Some(reason) => lacking = Some(reason),
        }
    }
    // An account of a directory is no local account of a device.
    if target.kind == TargetKind::User && named.is_none() && able.len() > 1 {
        return Ok(Err("the options do not say on which device the account is".to_owned()));
    }
    if let Err(reason) =
        order::action(entry.kind, &target.key, options, crate::clock::Timestamp::default())
    {
        return Ok(Err(reason));
    }
    if able.len() > MOST {
        return Ok(Err(format!("it would reach more than {MOST} devices at once")));
    }
    if able.is_empty() {
        return Ok(Err(
            lacking.unwrap_or_else(|| "no agent speaks for a device it is on".to_owned())
        ));
    }
    Ok(Ok(able))
}

/// The devices with an agent that an incident names.
async fn of_incident(
    tx: &Transaction,
    tenant: TenantNo,
    incident: IncidentId,
) -> Result<Vec<Device>> {
    let rows = tx
        .query(
            "select distinct kind, name from run where incident_id = $1 order by name",
            vec![incident.0.into()],
        )
        .await?;
    let mut devices: Vec<Device> = Vec::new();
    for row in rows {
        let kind: i64 = column(&row, 0)?;
        let kind = i16::try_from(kind).ok().and_then(EntityKind::from_code);
        if !matches!(kind, Some(EntityKind::Device | EntityKind::DeviceName)) {
            continue;
        }
        let name: String = column(&row, 1)?;
        if let Ok(Some(device)) = asset::find_in(tx, tenant, &name).await
            && device.agent.is_some()
            && !devices.iter().any(|known| known.no == device.no)
        {
            devices.push(device);
        }
    }
    Ok(devices)
}

async fn of_tenant(tx: &Transaction, tenant: TenantNo) -> Result<Vec<Device>> {
    let sql = format!(
        "select {} from device where tenant_no = $1 and agent_id is not null order by no limit {}",
        asset::COLUMNS,
        MOST + 1
    );
    tx.query(&sql, vec![tenant.0.into()]).await?.iter().map(Device::from_row).collect()
}
