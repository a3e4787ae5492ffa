//! The engine: carries actions out, each once, and says what is true.
//!
//! ```text
//! request      the wish is on disk, with the events that say so           in the caller's change
//! orders       what may begin is written as Started, then given out       when an agent asks
//! settle       what came back, and what was read of the thing             when an agent tells
//! remote       what products carry out instead of agents                  at once (see `remote`)
//! watch        what nobody has heard of, and what has waited too long     every few seconds
//! ```
//!
//! Invariants (quality 2). Nothing is given out that is not on disk as `Started`, and in the change
//! that writes so, clearance, incident and deadline are looked at again. At most one action of a
//! target and family is under way; the store refuses a second. An order keeps its id: an agent that
//! does not know it never began it, because its journal is written first, and is given the very same
//! again. What was lost is looked at before it is tried again; what happens once is never tried
//! again. A later wish for the same thing overtakes what was not sent. Nothing stays open past its
//! deadline without a person being asked. Not here: what follows for the incident (see `follow`).

use riposte_wire::{Order, OrderResult, Outcome};
use serde_json::{Value, json};

use crate::actor::Actor;
use crate::app::App;
use crate::asset::{self, Device};
use crate::clock::Timestamp;
use crate::connector::{self, Connector};
use crate::coverage::{self, Deed, Refusal};
use crate::db::column;
use crate::error::{Error, Result};
use crate::event::Fact;
use crate::id::{ActionId, IncidentId, TenantNo};
use crate::incident::account::Names;
use crate::response::catalog::{Effect, Kind, TargetKind};
use crate::response::errand::Errand;
use crate::response::model::{ActionState, ActionStep, proves};
use crate::response::store::{
    self, Action, Attempt, Requester, Target, engine_key, mail_key, user_key,
};
use crate::response::target::Channel;
use crate::response::{approval, follow, mail, order};
use crate::tx::Tx;
use crate::word::Stage;

/// How often an action that sets something is sent before a person is asked.
pub(super) const MOST_ATTEMPTS: i64 = 5;
/// How long a product is worth trying, in seconds: it is no device that comes back some day.
const REMOTE_PATIENCE_S: i64 = 3_600;
/// Actions looked at in one turn of the watch.
const WATCHED: i64 = 200;

/// Whom events of the engine name.
#[must_use]
pub fn engine() -> Actor {
    Actor::system("Response")
}

/// Something somebody wants done.
pub struct Wish<'a> {
    /// What.
    pub kind: Kind,
    /// To what.
    pub target: &'a Target,
    /// By whom.
    pub channel: &'a Channel,
    /// How.
    pub options: &'a Value,
    /// For which incident.
    pub incident: Option<IncidentId>,
    /// From which part of the product (MR-21).
    pub source: &'static str,
    /// What who wants it says.
    pub comment: Option<String>,
    /// The action it takes back.
    pub undo_of: Option<ActionId>,
    /// Who wants it.
    pub requester: Requester,
    /// Whether an expert classifies the incident as a threat in this very change.
    pub confirmed: bool,
}

/// What a family is called for a target: indicators, files, accounts and processes of one device are
/// things of their own, its isolation is one.
fn family(kind: Kind) -> String {
    kind.entry().family.to_owned()
}

/// Writes that somebody wants something done. The same wish twice is one action; a wish for the
/// opposite overtakes what was not sent yet.
///
/// # Errors
/// `Invalid` when the device could not be told; `Denied` when who wants it is not cleared; `Conflict`
/// when nobody knows yet what became of the same thing before.
pub async fn request(tx: &mut Tx, wish: Wish<'_>) -> Result<Action> {
    let entry = wish.kind.entry();
    // What could not be said to the agent or the product is found now.
    let (target_key, target, device, connector) = match wish.channel {
        Channel::Agent(device) => {
            order::action(wish.kind, &wish.target.key, wish.options, tx.now())
                .map_err(Error::Invalid)?;
            let target = Target { device: Some(device.id.clone()), ..wish.target.clone() };
            (engine_key(&device.id, wish.target), target, Some(device.no), None)
        }
        Channel::Connector(connector) => {
            let key = connector::user_name(&wish.target.key).map_err(Error::Invalid)?;
            must_do(connector, wish.kind)?;
            let target_key = user_key(&key);
            let target = Target { key, device: None, ..wish.target.clone() };
            (target_key, target, None, Some(connector.id.clone()))
        }
        Channel::Mailbox(connector, mailbox) => {
            let key = connector::message_id(&wish.target.key).map_err(Error::Invalid)?;
            must_do(connector, wish.kind)?;
            let target = Target { key, device: None, ..wish.channel.aimed(wish.target) };
            (mail_key(mailbox, &target.key), target, None, Some(connector.id.clone()))
        }
    };
    // In whose mailbox it is done its target says: tasks that share one share its action.
    let options = match wish.channel {
        Channel::Mailbox(..) => mail::within_one(wish.options),
        Channel::Agent(_) | Channel::Connector(_) => wish.options.clone(),
    };
    let family = family(wish.kind);
    let open = store::open_actions(tx, &target_key, &family).await?;
    for same in open.iter().rev() {
        if same.kind != wish.kind || same.options != options {
            // A wish for something else came after it.
            if entry.effect == Effect::Sets {
                break;
            }
            continue;
        }
        if same.state == ActionState::NeedsHuman {
            if entry.effect == Effect::Sets {
                continue;
            }
            return Err(Error::Conflict(format!(
                "nobody knows yet what became of {}, which did the same: somebody has to look first",
                same.id
            )));
        }
        return Ok(same.clone());
    }
    if wish.target.kind == TargetKind::User {
        let mut names = Names::default();
        names.add(tx.tenant(), &wish.target.key);
        names.write(tx).await?;
    }
    let id = ActionId(tx.next_id("action").await?);
    let mut generation = 0;
    if entry.effect == Effect::Sets {
        generation = next_generation(tx, &target_key, &family).await?;
        for mut older in open {
            if matches!(older.state, ActionState::Proposed | ActionState::Approved) {
                let reason = format!("overtaken by {id}, which came after it");
                end(tx, &mut older, ActionStep::Cancel, Some(reason)).await?;
            }
        }
    }
    let now = tx.now();
    let thing = target.thing(wish.channel.device());
    let authority = wish.requester.authority();
    let deed = Deed { confirmed: wish.confirmed, ..Deed::new(wish.kind, wish.incident) };
    let needs = coverage::may_ask(tx, tx.tenant(), &authority, (deed, thing), now).await?;
    let needs = needs.map_err(Error::Denied)?;
    let waits = !needs.is_empty();
    let state = if waits { ActionState::Proposed } else { ActionState::Approved };
    let patience_s = patience_s(wish.kind, connector.is_some());
    let mut action = Action {
        id,
        tenant: tx.tenant(),
        incident: wish.incident,
        kind: wish.kind,
        family,
        target,
        target_key,
        device,
        connector,
        next: None,
        options,
        generation,
        state,
        reason: None,
        source: wish.source.to_owned(),
        comment: wish.comment,
        approved: (!waits).then(|| (wish.requester.name.clone(), now)),
        requester: wish.requester,
        requested: now,
        deadline: now.plus_seconds(patience_s),
        epoch: 0,
        attempts: 0,
        started: None,
        ended: None,
        progress: None,
        found: None,
        read_back: None,
        undo_of: wish.undo_of,
        updated: now,
    };
    if waits {
        approval::propose(tx, &mut action, &needs).await?;
        action.reason = Some(approval::told(&needs));
    }
    store::save_action(tx, &mut action).await?;
    tx.record(Fact::ActionRequested {
        incident: action.incident,
        action: id,
        kind: entry.word,
        target: action.target.name.clone(),
        source: wish.source,
        generation,
    });
    if let Some(because) = action.reason.clone() {
        tx.record(Fact::ActionWaits { incident: action.incident, action: id, because });
    }
    Ok(action)
}

/// Refuses what a product does not do.
fn must_do(connector: &Connector, kind: Kind) -> Result<()> {
    if Errand::of(kind).is_some_and(|errand| errand.is_for(connector.kind)) {
        return Ok(());
    }
    Err(Error::Invalid(format!("{} cannot do it", connector.name)))
}

/// How long an action is worth trying once it may be sent.
pub(super) fn patience_s(kind: Kind, remote: bool) -> i64 {
    let patience_s = kind.entry().patience_s;
    if remote { patience_s.min(REMOTE_PATIENCE_S) } else { patience_s }
}

async fn next_generation(tx: &Tx, target_key: &str, family: &str) -> Result<i64> {
    let row = tx
        .query_one(
            "insert into desired (tenant_no, target_key, family, generation) \
             values ($1, $2, $3, 1) on conflict (tenant_no, target_key, family) \
             do update set generation = desired.generation + 1 returning generation",
            vec![tx.tenant().0.into(), target_key.into(), family.into()],
        )
        .await?;
    row.map_or(Ok(1), |row| column(&row, 0))
}

/// Whether there may be something to give to the agent of a device.
pub async fn is_waiting(app: &App, device: &Device, known: &[String]) -> Result<bool> {
    let rows = app
        .db
        .of(device.tenant)
        .query(
            "select action.state, attempt.order_id, attempt.agent_id from action \
             left join attempt on attempt.action_id = action.id \
             and attempt.number = action.attempts where action.device_no = $1 \
             and action.state in ('approved', 'started', 'unknown')",
            vec![device.no.0.into()],
        )
        .await?;
    for row in rows {
        let (state, order): (String, Option<String>) = (column(&row, 0)?, column(&row, 1)?);
        let agent: Option<String> = column(&row, 2)?;
        let with_agent = agent == device.agent && order.is_some_and(|order| known.contains(&order));
        if state != ActionState::Started.word() || !with_agent {
            return Ok(true);
        }
    }
    Ok(false)
}

/// An agent asks what to do.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Which run of it.
    pub run: &'a str,
    /// The orders it has begun and has no receipt for.
    pub known: &'a [String],
    /// When it asked; what it knows was so then.
    pub asked: Timestamp,
}

/// Orders for a device's agent: begins what may begin, and gives again what the agent does not know.
pub async fn orders(app: &App, device: &Device, poll: Asked<'_>) -> Result<Vec<Order>> {
    if !is_waiting(app, device, poll.known).await? {
        return Ok(Vec::new());
    }
    let mut tx = Tx::begin(app, device.tenant, engine()).await?;
    let Some(device) = asset::load_in(&tx, device.no).await? else { return Ok(Vec::new()) };
    let Some(agent) = device.agent.clone() else { return Ok(Vec::new()) };
    let sql = format!(
        "select {} from action where device_no = $1 \
         and state in ('approved', 'started', 'unknown') order by id",
        store::ACTION
    );
    let rows = tx.query(&sql, vec![device.no.0.into()]).await?;
    let mut waiting = Vec::new();
    let mut orders = Vec::new();
    for row in &rows {
        let mut action = Action::from_row(row)?;
        if action.state.is_under_way() {
            let attempt = store::last_attempt(&tx, action.id).await?;
            if let Some(again) = look_at(&mut tx, &mut action, attempt, &device, &poll).await? {
                orders.push(again);
            }
        }
        if action.state == ActionState::Approved {
            waiting.push(action);
        }
    }
    for mut action in waiting {
        if !is_next(&tx, &action).await? {
            continue;
        }
        if let Some(order) = begin(&mut tx, &mut action, &device, &agent, poll.run).await? {
            orders.push(order);
        }
    }
    crate::failpoint::hit("response.before_started");
    tx.commit().await?;
    crate::failpoint::hit("response.after_started");
    Ok(orders)
}

/// Looks at what is under way: gives the very order again that the agent never began, or learns from
/// what the device says of itself.
async fn look_at(
    tx: &mut Tx,
    action: &mut Action,
    attempt: Option<Attempt>,
    device: &Device,
    poll: &Asked<'_>,
) -> Result<Option<Order>> {
    let Some(attempt) = attempt else {
        return Err(Error::Internal(format!("{} was started without an attempt", action.id)));
    };
    if attempt.agent == device.agent {
        if poll.known.contains(&attempt.order) {
            return Ok(None);
        }
        if tx.now() < attempt.expires {
            return Ok(serde_json::from_str(&attempt.sent).ok());
        }
        // What it knew when it asked it knew before it asked: only an agent that asked after the
        // order had run out shows that it was never begun, and never will be.
        if poll.asked >= attempt.expires {
            store::close_attempt(tx, action.id, attempt.number, "neverBegun", None, None).await?;
            step(action, ActionStep::NeverBegun)?;
            store::save_action(tx, action).await?;
        }
        return Ok(None);
    }
    // Another agent speaks for the device: what it says of the device now tells.
    let read = state_of(action, device);
    let number = attempt.number;
    store::close_attempt(tx, action.id, number, "unknown", None, read.as_ref()).await?;
    let reason = "the agent that was told is gone; the device was looked at";
    reconcile(tx, action, read.as_ref(), reason).await?;
    Ok(None)
}

/// What the device says of itself, in the words of the action's own reading.
fn state_of(action: &Action, device: &Device) -> Option<Value> {
    let states = &device.states;
    Some(match action.kind {
        Kind::IsolateDevice | Kind::UnIsolateDevice => json!({
            "isolated": states.isolated.is_some(),
            "mode": states.isolated.as_ref().map(|it| it.mode),
        }),
        Kind::RestrictAppExecution | Kind::UnRestrictAppExecution => {
            json!({ "restricted": states.restricted, "refusedProbe": states.restricted })
        }
        _ => return None,
    })
}

/// After nobody knew: done, once more, or a person.
async fn reconcile(
    tx: &mut Tx,
    action: &mut Action,
    read: Option<&Value>,
    reason: &str,
) -> Result<()> {
    let so = read.and_then(|read| proves(action.kind, &action.options, read));
    let effect = action.kind.entry().effect;
    action.read_back = read.cloned();
    match so {
        Some(true) => end(tx, action, ActionStep::Succeed, None).await,
        Some(false) if effect == Effect::Sets && action.attempts < MOST_ATTEMPTS => {
            action.reason = Some(format!("{reason}: it is not so, and is tried again"));
            step(action, ActionStep::NotSo)?;
            store::save_action(tx, action).await
        }
        // Nothing was read, but what sets something may be set again without harm once the agent
        // that was told is gone for good.
        None if effect == Effect::Sets && action.attempts < MOST_ATTEMPTS => {
            action.reason = Some(format!("{reason}: nothing could be read, and it is tried again"));
            step(action, ActionStep::NotSo)?;
            store::save_action(tx, action).await
        }
        _ => {
            let reason = format!("{reason}, and nobody can tell what became of it");
            ask(tx, action, reason).await
        }
    }
}

/// Whether it is an action's turn: one after the other, in the order of the wishes.
pub(super) async fn is_next(tx: &Tx, action: &Action) -> Result<bool> {
    let open = store::open_actions(tx, &action.target_key, &action.family).await?;
    let behind = open.iter().any(|other| {
        other.id != action.id
            && (other.state.is_under_way()
                || (other.state == ActionState::Approved && other.id < action.id))
    });
    Ok(!behind && open.iter().any(|other| other.id == action.id))
}

/// Asks a person.
pub(super) async fn ask(tx: &mut Tx, action: &mut Action, reason: String) -> Result<()> {
    step(action, ActionStep::Ask)?;
    action.reason = Some(reason.clone());
    store::save_action(tx, action).await?;
    tx.record(Fact::ActionLost {
        incident: action.incident,
        action: action.id,
        attempt: action.attempts,
        reason,
    });
    follow::action_changed(tx, action.id).await
}

/// Looks once more whether an action may be sent, and ends it where it may not: for agents and
/// products alike, in the change that writes that it is about to be sent.
pub(super) async fn may_begin(
    tx: &mut Tx,
    action: &mut Action,
    device: Option<&Device>,
) -> Result<bool> {
    if tx.now() >= action.deadline {
        let reason = "it could not be sent in the time it was worth trying".to_owned();
        end(tx, action, ActionStep::Expire, Some(reason)).await?;
        return Ok(false);
    }
    match refused(tx, action, device).await? {
        None => return Ok(true),
        Some(Refusal::No(reason)) => end(tx, action, ActionStep::Refuse, Some(reason)).await?,
        Some(Refusal::Waits(needs)) => approval::withhold(tx, action, &needs).await?,
    }
    Ok(false)
}

/// Begins an action: looks once more whether it may be, and writes that it is about to be sent.
async fn begin(
    tx: &mut Tx,
    action: &mut Action,
    device: &Device,
    agent: &str,
    run: &str,
) -> Result<Option<Order>> {
    let now = tx.now();
    if !may_begin(tx, action, Some(device)).await? {
        return Ok(None);
    }
    let told = match order::action(action.kind, &action.target.key, &action.options, now) {
        Ok(told) => told,
        Err(reason) => {
            end(tx, action, ActionStep::Refuse, Some(reason)).await?;
            return Ok(None);
        }
    };
    let answer_s = action.kind.entry().answer_s;
    let order = Order {
        id: tx.app().random.uuid()?,
        agent: agent.to_owned(),
        issued: now.micros(),
        expires: now.plus_seconds(answer_s).micros(),
        generation: action.generation,
        action: told,
    };
    action.attempts += 1;
    action.started.get_or_insert(now);
    action.reason = None;
    // What was sent has as long as its answer may take, and a little.
    action.deadline = action.deadline.max(now.plus_seconds(answer_s + 60));
    step(action, ActionStep::Start)?;
    let attempt = Attempt {
        number: action.attempts,
        order: order.id.clone(),
        agent: Some(agent.to_owned()),
        sent: serde_json::to_string(&order).map_err(Error::internal)?,
        started: now,
        expires: Timestamp::from_micros(order.expires),
        answered: None,
        answer: None,
        read_back: None,
        outcome: None,
    };
    store::add_attempt(tx, action.id, &attempt, run).await?;
    store::save_action(tx, action).await?;
    tx.record(Fact::ActionStarted {
        incident: action.incident,
        action: action.id,
        attempt: attempt.number,
        order: order.id.clone(),
    });
    Ok(Some(order))
}

/// Why an action may not be sent now; `None` when it may.
async fn refused(tx: &Tx, action: &Action, device: Option<&Device>) -> Result<Option<Refusal>> {
    if let Err(refusal) = approval::standing(tx, action, device, tx.now()).await? {
        return Ok(Some(refusal));
    }
    for word in order::words(action.kind, &action.options) {
        if let Some(Err(reason)) = device.map(|device| device.can(word)) {
            return Ok(Some(Refusal::No(reason)));
        }
    }
    // What takes something back is as welcome after the incident was closed.
    if let (Some(incident), None) = (action.incident, action.undo_of)
        && let Some(stage) = follow::stage(tx, incident).await?
        && matches!(stage, Stage::Resolved | Stage::Redirected)
    {
        let reason = "the incident was closed before it could be sent".to_owned();
        return Ok(Some(Refusal::No(reason)));
    }
    Ok(None)
}

/// Stores outcomes; gives the orders whose final outcome is on disk.
pub async fn settle(app: &App, device: &Device, results: &[OrderResult]) -> Result<Vec<String>> {
    let mut settled = Vec::new();
    if results.is_empty() {
        return Ok(settled);
    }
    let mut tx = Tx::begin(app, device.tenant, engine()).await?;
    for result in results {
        if settle_one(&mut tx, device, result).await? && result.outcome.is_final() {
            settled.push(result.order.clone());
        }
    }
    crate::failpoint::hit("response.before_settled");
    tx.commit().await?;
    Ok(settled)
}

async fn settle_one(tx: &mut Tx, device: &Device, result: &OrderResult) -> Result<bool> {
    // Of a store that was brought back from before the order: there is nothing to settle.
    let Some((id, attempt)) = store::of_order(tx, &result.order).await? else { return Ok(true) };
    let mut action = store::action(tx, id).await?;
    if action.device != Some(device.no) || attempt.agent != device.agent {
        // Said by somebody whom it was not given to; the one it was given to may still answer.
        tracing::warn!(
            device.id = device.id,
            order = result.order,
            "an agent reports on an order of another"
        );
        return Ok(true);
    }
    if let Outcome::Progress { percent, text } = &result.outcome {
        if action.state.is_under_way() && attempt.answered.is_none() {
            let text: String = text.chars().filter(|c| !c.is_control()).take(200).collect();
            action.progress = Some(json!({ "percent": percent.min(&100), "text": text }));
            store::save_action(tx, &mut action).await?;
        }
        return Ok(true);
    }
    if attempt.answered.is_some() || !action.state.is_open() {
        return Ok(true);
    }
    let answer = json!({ "outcome": result.outcome, "began": result.began, "at": result.at });
    let read = result.read_back.as_ref().map(bounded);
    action.found = result.found.as_ref().map(bounded);
    let word = match &result.outcome {
        Outcome::Succeeded => "succeeded",
        Outcome::Failed { .. } => "failed",
        Outcome::Refused { .. } => "refused",
        Outcome::Unknown { .. } | Outcome::Progress { .. } => "unknown",
    };
    let number = attempt.number;
    store::close_attempt(tx, id, number, word, Some(&answer), read.as_ref()).await?;
    let so = read.as_ref().and_then(|read| proves(action.kind, &action.options, read));
    action.read_back.clone_from(&read);
    if action.state == ActionState::NeedsHuman {
        // A person was asked meanwhile, and here is what they would look for.
        if so == Some(true) && matches!(result.outcome, Outcome::Succeeded) {
            let reason = Some("the device answered after all".to_owned());
            end(tx, &mut action, ActionStep::DecideDone, reason).await?;
        } else {
            store::save_action(tx, &mut action).await?;
        }
        return Ok(true);
    }
    if !action.state.is_under_way() {
        store::save_action(tx, &mut action).await?;
        return Ok(true);
    }
    match &result.outcome {
        Outcome::Succeeded if so == Some(true) => {
            end(tx, &mut action, ActionStep::Succeed, None).await?;
        }
        Outcome::Succeeded => {
            let reason = match so {
                Some(_) => {
                    "the agent says it is done, and what it read of the device says it is not"
                }
                None => "the agent says it is done, and read nothing of the device that shows it",
            };
            end(tx, &mut action, ActionStep::Fail, Some(reason.to_owned())).await?;
        }
        Outcome::Failed { reason } => {
            end(tx, &mut action, ActionStep::Fail, Some(clean(reason))).await?;
        }
        Outcome::Refused { reason } => {
            let reason = format!("the agent did not begin it: {}", clean(reason));
            end(tx, &mut action, ActionStep::Fail, Some(reason)).await?;
        }
        Outcome::Unknown { reason } => {
            let reason = format!("the agent was stopped while it was at it ({})", clean(reason));
            tx.record(Fact::ActionLost {
                incident: action.incident,
                action: id,
                attempt: number,
                reason: reason.clone(),
            });
            reconcile(tx, &mut action, read.as_ref(), &reason).await?;
        }
        Outcome::Progress { .. } => {}
    }
    Ok(true)
}

/// What a device says is kept up to a size.
fn bounded(value: &Value) -> Value {
    const MOST: usize = 256 * 1024;
    if value.to_string().len() <= MOST {
        return value.clone();
    }
    json!({ "tooLong": true })
}

fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(1_000).collect()
}

/// One step of an action, or the reason against it as a conflict.
pub(super) fn step(action: &mut Action, step: ActionStep) -> Result<()> {
    let effect = action.kind.entry().effect;
    action.state = action
        .state
        .after(step, effect)
        .map_err(|because| Error::Conflict(format!("{}: {because}", action.id)))?;
    Ok(())
}

/// Brings an action to its end, and its tasks and incident along.
pub(super) async fn end(
    tx: &mut Tx,
    action: &mut Action,
    how: ActionStep,
    reason: Option<String>,
) -> Result<()> {
    step(action, how)?;
    action.ended = Some(tx.now());
    action.reason.clone_from(&reason);
    action.progress = None;
    store::save_action(tx, action).await?;
    if action.state == ActionState::Succeeded
        && let Some(minutes) = action.options.get("forMinutes").and_then(Value::as_i64)
    {
        let over = tx.now().plus_seconds(minutes.saturating_mul(60)).micros();
        let sql = "update action set ends_at = $2 where id = $1";
        tx.execute(sql, vec![action.id.0.into(), over.into()]).await?;
    }
    let verified = how == ActionStep::Succeed;
    tx.record(Fact::ActionEnded {
        incident: action.incident,
        action: action.id,
        state: action.state.word(),
        reason,
        verified,
    });
    follow::action_changed(tx, action.id).await
}

/// Looks after what nobody has heard of, what has waited too long, and what is to end by itself.
/// Safe on every replica at once: each change is made under the tenant's ledger, by what is there
/// then.
pub async fn watch(app: &App) -> Result<()> {
    let now = app.clock.now();
    let rows = app
        .db
        .whole("actions of every customer have a deadline")
        .query(
            "select distinct action.tenant_no from action join attempt \
             on attempt.action_id = action.id and attempt.number = action.attempts \
             where action.state = 'started' and action.connector_id is null \
             and attempt.expires_at <= $1 \
             union select distinct tenant_no from action where deadline_at <= $1 \
             and state in ('proposed', 'approved', 'started', 'unknown')",
            vec![now.micros().into()],
        )
        .await?;
    for row in rows {
        watch_tenant(app, TenantNo(column(&row, 0)?)).await?;
    }
    super::timed::end_what_is_over(app).await
}

async fn watch_tenant(app: &App, tenant: TenantNo) -> Result<()> {
    let mut tx = Tx::begin(app, tenant, engine()).await?;
    let now = tx.now();
    let sql = format!(
        "select {} from action where tenant_no = $1 \
         and state in ('proposed', 'approved', 'started', 'unknown') \
         and (deadline_at <= $2 or state = 'started') order by id limit $3",
        store::ACTION
    );
    let values = vec![tenant.0.into(), now.micros().into(), WATCHED.into()];
    let rows = tx.query(&sql, values).await?;
    let mut rung = Vec::new();
    for row in &rows {
        let mut action = Action::from_row(row)?;
        let over = now >= action.deadline;
        match action.state {
            ActionState::Proposed if over => {
                approval::over(&mut tx, &mut action, false).await?;
                rung.extend((action.state == ActionState::Approved).then_some(action.device));
            }
            ActionState::Approved if over => {
                let reason = Some(match (&action.connector, &action.reason) {
                    (None, _) => format!("{} was not online in time", action.target.name),
                    (Some(_), None) => "it could not be sent in time".to_owned(),
                    (Some(_), Some(why)) => format!("it could not be sent in time: {why}"),
                });
                end(&mut tx, &mut action, ActionStep::Expire, reason).await?;
            }
            ActionState::Started | ActionState::Unknown if over => {
                let reason = "no word of it until its deadline".to_owned();
                ask(&mut tx, &mut action, reason).await?;
            }
            // What products carry out is looked after where they are asked.
            ActionState::Started if action.connector.is_none() => {
                let Some(attempt) = store::last_attempt(&tx, action.id).await? else { continue };
                if now < attempt.expires {
                    continue;
                }
                let reason = "no answer in the time it takes".to_owned();
                step(&mut action, ActionStep::Lose)?;
                action.reason = Some(reason.clone());
                store::save_action(&mut tx, &mut action).await?;
                let number = attempt.number;
                let (incident, action) = (action.incident, action.id);
                tx.record(Fact::ActionLost { incident, action, attempt: number, reason });
                follow::action_changed(&mut tx, action).await?;
            }
            _ => {}
        }
    }
    tx.commit().await?;
    for device in rung {
        match device {
            Some(device) => app.agents.ring(device),
            None => app.respond.notify_one(),
        }
    }
    Ok(())
}
