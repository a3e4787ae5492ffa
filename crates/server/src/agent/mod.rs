//! Endpoint agents: how they come to belong to a customer, what they are told and what they say.
//!
//! `token`: who may enrol; `authority`: the keys that certificates and orders are signed with;
//! `enrol`: a token for a certificate; `renew`: another before it ends; `poll`: what an agent is to do, told the moment it is known;
//! `report`: what became of it and what was seen; `package`: the files it sends. Invariants: one
//! agent speaks for a device, and only its newest run is given orders; whoever was shut out is
//! refused within a second, a poll under way included; nothing is answered with success before it
//! is on disk. Not here: which orders there are (see `response`), how a request comes in (see
//! `endpoint`).

pub mod authority;
pub mod enrol;
pub mod package;
pub mod poll;
pub mod renew;
pub mod report;
pub mod token;

use std::collections::HashMap;

use ring::hmac;
use riposte_wire::release;

use crate::actor::Actor;
use crate::app::App;
use crate::asset::{self, Device};
use crate::clock::Timestamp;
use crate::db::column;
use crate::error::{Error, Result};
use crate::event::Fact;
use crate::id::{DeviceNo, TenantNo};
use crate::permission::Permission;
use crate::tenant;
use crate::tenant::caller::Caller;
use crate::tx::Tx;

/// An agent that showed a certificate of ours and was not shut out.
#[derive(Clone, Debug)]
pub struct Agent {
    /// Its id, a UUID.
    pub id: String,
    /// Whose it is.
    pub tenant: TenantNo,
    /// The device it speaks for.
    pub device: DeviceNo,
}

/// The agent behind a certificate that the listener has verified; `None` for one that is not known
/// or was shut out.
pub async fn identify(app: &App, certificate: &[u8]) -> Result<Option<Agent>> {
    let Some(named) = authority::named(certificate) else { return Ok(None) };
    let tenant = match tenant::find(app, &named.tenant).await {
        Ok(tenant) => tenant.no,
        Err(Error::NotFound(_)) => return Ok(None),
        Err(error) => return Err(error),
    };
    let row = app
        .db
        .of(tenant)
        .query_one(
            "select agent.device_no, agent.serial, agent.next_serial from agent \
             join device on device.no = agent.device_no and device.agent_id = agent.id \
             where agent.id = $1 and agent.tenant_no = $2 and agent.revoked_at is null",
            vec![named.agent.clone().into(), tenant.0.into()],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    if column::<String>(&row, 1)? != named.serial {
        if column::<Option<String>>(&row, 2)?.as_ref() != Some(&named.serial) {
            return Ok(None);
        }
        renew::take_over(app, tenant, &named).await?;
    }
    Ok(Some(Agent { id: named.agent, tenant, device: DeviceNo(column(&row, 0)?) }))
}

impl Agent {
    /// The device as it is known now.
    pub async fn device(&self, app: &App) -> Result<Device> {
        let sql = format!("select {} from device where no = $1", asset::COLUMNS);
        let row = app.db.of(self.tenant).query_one(&sql, vec![self.device.0.into()]).await?;
        let row = row.ok_or_else(|| Error::Internal(format!("no device {}", self.device.0)))?;
        Device::from_row(&row)
    }
}

/// How an agent appears in events.
#[must_use]
pub fn actor(device: &str) -> Actor {
    Actor::integration(&format!("riposte-agent {device}"))
}

/// Shuts the agent of a device out; the device stays, with all that happened on it.
///
/// # Errors
/// `Conflict` when no agent speaks for it.
pub async fn shut_out(app: &App, caller: &Caller, device: &str) -> Result<()> {
    caller.require(&[Permission::DeviceReadWrite])?;
    caller.require_step_up(app.clock.now())?;
    let seen = asset::find(app, caller, device).await?;
    let mut tx = Tx::begin(app, seen.tenant, caller.actor()).await?;
    let before = asset::load_in(&tx, seen.no).await?.filter(|it| it.agent.is_some());
    let before = before
        .ok_or_else(|| Error::Conflict(format!("no agent speaks for {} any more", seen.name)))?;
    revoke(&tx, seen.no).await?;
    tx.execute(
        "update device set agent_id = null, run = null where no = $1",
        vec![seen.no.0.into()],
    )
    .await?;
    tx.record(Fact::DeviceRemoved { device: before.id, name: before.name });
    tx.commit().await?;
    app.agents.ring(seen.no);
    Ok(())
}

/// The code that releases a device without the server, and until when it holds (MR-18). Who asked
/// for it is on record before it is told.
///
/// # Errors
/// `Conflict` when no agent speaks for the device.
pub async fn release_code(app: &App, caller: &Caller, id: &str) -> Result<(String, Timestamp)> {
    caller.require(&[Permission::DeviceReadWrite])?;
    caller.require_step_up(app.clock.now())?;
    let device = asset::find(app, caller, id).await?;
    let key = app.vault_key(device.tenant).await?;
    let mut tx = Tx::begin(app, device.tenant, caller.actor()).await?;
    let row = tx
        .query_one(
            "select agent.id, agent.release_secret from device \
             join agent on agent.id = device.agent_id where device.no = $1",
            vec![device.no.0.into()],
        )
        .await?;
    let row = row
        .ok_or_else(|| Error::Conflict(format!("no agent speaks for {} any more", device.name)))?;
    let (agent, sealed): (String, Vec<u8>) = (column(&row, 0)?, column(&row, 1)?);
    let secret = key.open(enrol::secret_of(&agent), &sealed)?;
    let day = release::day(tx.now().micros());
    let secret = hmac::Key::new(hmac::HMAC_SHA256, &secret);
    let code = release::spell(hmac::sign(&secret, release::text(&agent, day).as_bytes()).as_ref());
    tx.record(Fact::ReleaseCodeShown { device: device.id, name: device.name });
    tx.commit().await?;
    Ok((code, Timestamp::from_micros(0).plus_seconds((day + release::DAYS) * 86_400)))
}

/// When each of these agents enrolled.
pub async fn enrolments(
    app: &App,
    caller: &Caller,
    devices: &[Device],
) -> Result<HashMap<String, Timestamp>> {
    let ids: Vec<_> = devices.iter().filter_map(|it| it.agent.clone()).map(Into::into).collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let scope = caller.view(app);
    let (among, values) = scope.engine().among(1, ids);
    let sql = format!("select id, enrolled_at from agent where id {among}");
    let rows = scope.query(&sql, values).await?;
    let one = |row| Ok((column(row, 0)?, Timestamp::from_micros(column(row, 1)?)));
    rows.iter().map(one).collect()
}

async fn revoke(tx: &Tx, device: DeviceNo) -> Result<u64> {
    tx.execute(
        "update agent set revoked_at = $2 where device_no = $1 and revoked_at is null",
        vec![device.0.into(), tx.now().micros().into()],
    )
    .await
}

/// A text from a device as it may be kept: without control characters, which the stores and
/// terminals of others trip over, and of at most `most` characters.
#[must_use]
pub fn plain(text: &str, most: usize) -> String {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(clean).take(most).collect()
}
