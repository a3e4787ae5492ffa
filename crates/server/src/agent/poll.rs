//! Polls: an agent says that it is there, and is told what to do the moment it is known.
//!
//! A poll is answered at once when there is something, else held for [`HOLD_S`] seconds. It is woken
//! by whoever approves something at this process, and by one look every [`LOOK`] for all that wait
//! here, which finds what other replicas approved. Each time the agent, its device and its run are
//! looked at anew: who was shut out, or taken over by a newer run, is given nothing. When an agent
//! was last heard of is gathered here and written every [`FLUSH`] for all at once: a poll that has
//! nothing new to say costs no change of the store.

use std::collections::HashMap;
use std::time::Duration;

use riposte_wire::{HOLD_S, Orders, Poll, States, VERSION};
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::agent::authority::Authority;
use crate::agent::{Agent, identify};
use crate::app::App;
use crate::asset::{self, Device, inventory};
use crate::db::column;
use crate::error::{Error, Result};
use crate::event::{Change, Fact};
use crate::id::DeviceNo;
use crate::presence::Heard;
use crate::response::engine::{self, Asked};
use crate::tx::Tx;

/// How often to look for what other replicas approved.
const LOOK: Duration = Duration::from_millis(250);
/// How often what was heard is written.
const FLUSH: Duration = Duration::from_secs(5);
/// The longest name of a run.
const RUN: usize = 128;
/// Orders that an agent may know at once.
const KNOWN: usize = 1_000;
/// The longest order's id.
const ORDER: usize = 64;

/// What a poll is answered with; `None` when the agent was shut out meanwhile.
pub async fn poll(
    app: &App,
    authority: &Authority,
    agent: &Agent,
    certificate: &[u8],
    wanted: Poll,
    stop: &CancellationToken,
) -> Result<Option<Orders>> {
    sound(&wanted)?;
    let asked = app.clock.now();
    // From here on: what is approved between the look and the wait is not missed.
    let mut bell = app.agents.listen(agent.device);
    let device = agent.device(app).await?;
    note(app, &device, &wanted).await?;
    let mut answer =
        Orders { inventory: wants_inventory(app, &device).await?, ..Orders::default() };
    let deadline = Instant::now() + Duration::from_secs(HOLD_S);
    let mut first = true;
    loop {
        let device = agent.device(app).await?;
        if device.agent.as_deref() != Some(&agent.id) {
            return Ok(None);
        }
        if device.run.as_deref() != Some(&wanted.run) {
            // A newer run took over; this one is nobody's any more.
            return Ok(Some(Orders::default()));
        }
        if first || engine::is_waiting(app, &device, &wanted.known).await? {
            let asked = Asked { run: &wanted.run, known: &wanted.known, asked };
            for order in engine::orders(app, &device, asked).await? {
                answer.orders.push(authority.sign(&order)?);
            }
        }
        first = false;
        answer.acknowledged = acknowledged(app, &device, &wanted.known).await?;
        let something =
            !answer.orders.is_empty() || !answer.acknowledged.is_empty() || answer.inventory;
        if something || stop.is_cancelled() || Instant::now() >= deadline {
            return Ok(Some(answer));
        }
        tokio::select! {
            () = bell.rung() => {}
            () = tokio::time::sleep_until(deadline) => return Ok(Some(answer)),
            () = stop.cancelled() => return Ok(Some(answer)),
        }
        if identify(app, certificate).await?.is_none() {
            return Ok(None);
        }
    }
}

fn sound(wanted: &Poll) -> Result<()> {
    if wanted.version != VERSION {
        return Err(Error::Invalid(format!(
            "this server speaks version {VERSION} of the agents' protocol, not {}",
            wanted.version
        )));
    }
    let named = |text: &str, most: usize| {
        !text.is_empty() && text.len() <= most && text.bytes().all(|byte| byte.is_ascii_graphic())
    };
    if !named(&wanted.run, RUN) {
        return Err(Error::Invalid(format!("a run has a name of 1 to {RUN} ASCII characters")));
    }
    if wanted.known.len() > KNOWN || !wanted.known.iter().all(|order| named(order, ORDER)) {
        return Err(Error::Invalid(format!("an agent knows at most {KNOWN} orders, by their ids")));
    }
    Ok(())
}

/// Notes what a poll says: at once in the store when it changes something, else with the next flush.
async fn note(app: &App, device: &Device, wanted: &Poll) -> Result<()> {
    let now = app.clock.now();
    let own = json!(wanted.own).to_string();
    let same_run = device.run.as_deref() == Some(&wanted.run);
    if same_run && device.states == wanted.states {
        app.agents.hear(device.no, Heard { tenant: device.tenant, at: now, own });
        return Ok(());
    }
    if is_late(device, wanted) {
        return Ok(());
    }
    if !same_run {
        let former = device.run.as_deref().unwrap_or_default();
        if app.agents.take_over(device.no, former, &wanted.run, now) {
            tracing::warn!(
                device.id = device.id,
                "two runs of the agent of {} take turns: two machines share one identity; enrol \
                 one of them anew",
                device.name
            );
        }
    }
    let values = vec![
        device.no.0.into(),
        json!(wanted.states).to_string().into(),
        own.into(),
        wanted.run.clone().into(),
        now.micros().into(),
    ];
    let sql = "update device set states = $2, own = $3, run = $4, seen_at = $5 where no = $1";
    let changes = changes(&device.states, &wanted.states);
    if changes.is_empty() {
        let tx = app.db.of(device.tenant).begin().await?;
        tx.execute(sql, values).await?;
        tx.commit().await?;
    } else {
        // What is in force on a device is of the customer's concern, whoever brought it about.
        let mut tx = Tx::begin(app, device.tenant, super::actor(&device.name)).await?;
        // The newer poll may have been read meanwhile.
        let known = asset::load_in(&tx, device.no).await?;
        if known.is_none_or(|known| is_late(&known, wanted)) {
            return Ok(());
        }
        tx.execute(sql, values).await?;
        let (id, name) = (device.id.clone(), device.name.clone());
        tx.record(Fact::DeviceChanged { device: id, name, changes });
        tx.commit().await?;
    }
    if !same_run {
        // The poll of the run that was taken over ends.
        app.agents.ring(device.no);
    }
    Ok(())
}

/// Whether a newer poll of the same run was read before this one: an agent gives up a poll that says
/// what was, and the next one may overtake it on its way.
fn is_late(device: &Device, wanted: &Poll) -> bool {
    device.run.as_deref() == Some(&wanted.run) && wanted.own.up < device.own.up
}

/// What differs between two readings of a device's state, as people are told.
fn changes(before: &States, after: &States) -> Vec<Change> {
    let mode = |states: &States| states.isolated.as_ref().map_or(Value::Null, |it| json!(it.mode));
    let pairs = [
        ("isolated", mode(before), mode(after)),
        ("restricted", json!(before.restricted), json!(after.restricted)),
    ];
    let differ = pairs.into_iter().filter(|(_, before, after)| before != after);
    differ.map(|(field, before, after)| Change { field, before, after }).collect()
}

async fn wants_inventory(app: &App, device: &Device) -> Result<bool> {
    Ok(inventory::is_wanted(app, device).await? && app.agents.may_ask(device.no, app.clock.now()))
}

/// Those of the known orders whose outcome is stored, as the agent told it: what was found out
/// without it, it may yet tell.
async fn acknowledged(app: &App, device: &Device, known: &[String]) -> Result<Vec<String>> {
    if known.is_empty() {
        return Ok(Vec::new());
    }
    let scope = app.db.of(device.tenant);
    let ids = known.iter().map(|id| id.clone().into()).collect();
    let (among, mut values) = scope.engine().among(2, ids);
    values.insert(0, device.no.0.into());
    let sql = format!(
        "select attempt.order_id from attempt join action on action.id = attempt.action_id \
         where action.device_no = $1 and attempt.answer is not null \
         and attempt.order_id {among}"
    );
    scope.query(&sql, values).await?.iter().map(|row| column(row, 0)).collect()
}

/// Looks for orders of other replicas, and writes what was heard, until `stop`.
pub async fn watch(app: App, stop: CancellationToken) {
    let mut flushed = Instant::now();
    loop {
        let stopped = tokio::select! {
            () = stop.cancelled() => true,
            () = tokio::time::sleep(LOOK) => false,
        };
        if let Err(error) = look(&app).await {
            tracing::warn!("waiting agents were not looked after: {error}");
        }
        if stopped || flushed.elapsed() >= FLUSH {
            flushed = Instant::now();
            if let Err(error) = flush(&app).await {
                tracing::error!("when agents were heard of was not written: {error}");
            }
        }
        if stopped {
            return;
        }
    }
}

/// Rings for every agent that waits here and that something is approved for.
async fn look(app: &App) -> Result<()> {
    let waiting = app.agents.waiting();
    if waiting.is_empty() {
        return Ok(());
    }
    let scope = app.db.whole("what agents that wait here are to do");
    let numbers = waiting.iter().map(|device| device.0.into()).collect();
    let (among, values) = scope.engine().among(1, numbers);
    // As the index `action_of_device` has it.
    let sql = format!(
        "select distinct device_no from action \
         where state in ('approved', 'started', 'unknown') and device_no {among} \
         and state = 'approved'"
    );
    for row in scope.query(&sql, values).await? {
        app.agents.ring(DeviceNo(column(&row, 0)?));
    }
    Ok(())
}

/// Writes what was heard of agents since the last time.
pub async fn flush(app: &App) -> Result<()> {
    let heard = app.agents.take_heard();
    if heard.is_empty() {
        return Ok(());
    }
    let written = write(app, &heard).await;
    if written.is_err() {
        app.agents.give_back(heard);
    }
    written
}

async fn write(app: &App, heard: &HashMap<DeviceNo, Heard>) -> Result<()> {
    let mut rows: Vec<(&DeviceNo, &Heard)> = heard.iter().collect();
    rows.sort_by_key(|(device, _)| **device);
    let tx = app.db.whole("when agents were heard of").begin().await?;
    for piece in rows.chunks(1_000) {
        let values = piece
            .iter()
            .flat_map(|(no, it)| [no.0.into(), it.at.micros().into(), it.own.clone().into()])
            .collect();
        let (given, values) = tx.given(values, 3);
        let sql = format!(
            "update device set seen_at = given.column2, own = given.column3 from {given} \
             where device.no = given.column1 \
             and coalesce(device.seen_at, 0) < given.column2"
        );
        tx.execute(&sql, values).await?;
    }
    tx.commit().await
}
