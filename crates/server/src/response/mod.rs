//! Managed response: the tasks experts publish on an incident, and what became of each.
//!
//! ```text
//! draft -publish-> the customer's (guided)   -run, complete, skip->   closed
//!               -> the experts' (managed)    -their actions run->     closed
//! ```
//!
//! Whose a task is, is decided for each task and target when it is published (MR-15): the experts'
//! where something connected can do it and coverage clears them, else the customer's, with the
//! reason. An expert who is cleared may run a draft before it is published. Invariants: a published
//! true positive has a summary (INV-4); an incident that waits for the customer has an open task
//! (INV-2); nothing is carried out but by an action of the engine. Not here: how an action is carried
//! out (`engine`), which states follow which (`model`), which actions there are (`catalog`).

pub mod approval;
mod each;
pub mod engine;
pub mod errand;
mod follow;
pub mod instances;
mod mail;
pub mod model;
pub mod order;
pub mod remote;
pub mod store;
mod target;
mod timed;
mod user;
pub mod what_if;

pub use crate::catalog;
pub use each::Asked;
pub use store::{Action, Attempt, Requester, Response, Source, Target, Task};
pub use target::Channel;
pub use user::{Accounts, act_on_user, in_directory, of_user, why_not_user};

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::actor::ActorKind;
use crate::app::App;
use crate::asset::{self, Device};
use crate::authority::policy::Need;
use crate::clock::Timestamp;
use crate::connector;
use crate::conversation;
use crate::coverage::{self, Deed, Thing};
use crate::db::{Transaction, column};
use crate::error::{Error, Result};
use crate::event::{Change, Fact};
use crate::id::{ActionId, IncidentId, TaskId};
use crate::incident::model::{Finding, LONGEST_NAME, LONGEST_TEXT, OwnerAfter};
use crate::incident::{self, Incident};
use crate::permission::Permission;
use crate::response::catalog::{Entry, Kind, TargetKind};
use crate::response::engine::Wish;
use crate::response::errand::Errand;
use crate::response::model::{ActionState, ActionStep, TaskState, TaskStep};
use crate::tenant::caller::Caller;
use crate::tenant::stage::{self, Work};
use crate::tx::Tx;
use crate::word::{Classification, Determination, Stage};

/// Tasks an incident has at most.
const MOST_TASKS: usize = 500;
/// From which part of the product, as the action centre names it (MR-21).
pub const BY_EXPERTS: &str = "Managed response (experts)";
/// The same, of the customer's.
pub const BY_CUSTOMER: &str = "Managed response (customer)";
/// The same, from a device's own page.
pub const BY_HAND: &str = "Manual device action";

/// A task as an expert wants it.
#[derive(Clone, Debug)]
pub struct NewTask {
    /// What is to be done.
    pub kind: Kind,
    /// To what: kind and name.
    pub target: Option<(TargetKind, String)>,
    /// Its title; the catalogue's and the target's when absent.
    pub display_name: Option<String>,
    /// Why and how, in Markdown; the catalogue's when absent.
    pub description: Option<String>,
    /// How.
    pub options: Value,
}

fn expert(caller: &Caller) -> Result<()> {
    caller.require(&[Permission::Experts])?;
    if caller.actor().kind == ActorKind::Expert {
        return Ok(());
    }
    Err(Error::Denied("only the provider's experts do this".to_owned()))
}

fn requester(caller: &Caller) -> Requester {
    let actor = caller.actor();
    let person = caller.person.is_some().then(|| caller.client_id.clone());
    Requester { name: actor.name, kind: actor.kind, person }
}

/// Text without outer blanks, within bounds.
fn text(field: &str, text: &str, most: usize) -> Result<String> {
    let text = text.trim();
    if text.contains('\0') {
        return Err(Error::Invalid(format!("{field} contains a null character")));
    }
    if text.chars().count() > most {
        return Err(Error::Invalid(format!("{field} is longer than {most} characters")));
    }
    Ok(text.to_owned())
}

fn title(field: &str, given: &str) -> Result<String> {
    let given = text(field, given, LONGEST_NAME)?;
    if given.is_empty() {
        return Err(Error::Invalid(format!("{field} must not be empty")));
    }
    Ok(given)
}

/// A target of the kind an action takes.
async fn target_of(
    tx: &Tx,
    entry: &Entry,
    given: Option<(TargetKind, String)>,
    options: &Value,
) -> Result<Option<Target>> {
    let wanted = entry.target;
    let Some((kind, key)) = given else {
        if wanted == TargetKind::None {
            return Ok(None);
        }
        return Err(Error::Invalid(format!("{} needs a target: a {}", entry.word, wanted.word())));
    };
    if kind != wanted && wanted != TargetKind::None {
        return Err(Error::Invalid(format!(
            "{} is done to a {}, not to a {}",
            entry.word,
            wanted.word(),
            kind.word()
        )));
    }
    let key = text("target", &key, 2_048)?;
    if key.is_empty() || key.chars().any(char::is_control) {
        return Err(Error::Invalid("target.id is a text of 1 to 2,048 characters".to_owned()));
    }
    let named = match kind {
        TargetKind::Device => Some(key.clone()),
        _ => options.get("deviceId").and_then(Value::as_str).map(str::to_owned),
    };
    let device = match named {
        Some(name) => asset::find_in(tx, tx.tenant(), &name).await?,
        None => None,
    };
    let name = match (&device, kind) {
        (Some(device), TargetKind::Device) => device.name.clone(),
        (Some(device), _) => format!("{key} on {}", device.name),
        (None, _) => key.clone(),
    };
    // A device goes by its id from here on: a name may come to mean another. A mail goes by its
    // Internet message id where it is one.
    let key = match (&device, kind) {
        (Some(device), TargetKind::Device) => device.id.clone(),
        (_, TargetKind::Mail) => connector::message_id(&key).unwrap_or(key),
        _ => key,
    };
    let device = device.map(|device| device.id);
    Ok(Some(Target { kind, key, name, device, mailbox: None }))
}

/// An expert drafts a task: only the experts see it.
pub async fn draft(app: &App, caller: &Caller, id: IncidentId, new: NewTask) -> Result<TaskId> {
    expert(caller)?;
    let mut tx = incident::begin(app, caller, id).await?;
    let incident = incident::one(&tx, id).await?;
    match incident.model.state.stage() {
        Stage::InProgress | Stage::AwaitingCustomer => {}
        Stage::New | Stage::LeftOut | Stage::Queued => {
            return Err(Error::Conflict(format!("incident {id}: nobody has taken it up yet")));
        }
        Stage::Resolved | Stage::Redirected => {
            return Err(Error::Conflict(format!("incident {id} is closed")));
        }
    }
    let tasks = store::tasks_in(&tx, id).await?;
    if tasks.len() >= MOST_TASKS {
        return Err(Error::Invalid(format!("an incident has {MOST_TASKS} tasks at most")));
    }
    let entry = new.kind.entry();
    let options = entry.options(&new.options).map_err(Error::Invalid)?;
    let target = target_of(&tx, entry, new.target, &options).await?;
    let options = mail::completed(&tx, id, entry, target.as_ref(), options).await?;
    if let Some(target) = &target
        && order::word(entry.kind).is_some()
        && target.device.is_some()
    {
        // What the agent of a known device could not use is said now.
        order::action(entry.kind, &target.key, &options, tx.now()).map_err(Error::Invalid)?;
    }
    let display_name = match new.display_name {
        Some(given) => title("displayName", &given)?,
        None => match &target {
            Some(target) => format!("{}: {}", entry.title, target.name),
            None => entry.title.to_owned(),
        },
    };
    let description = match new.description {
        Some(given) => text("description", &given, LONGEST_TEXT)?,
        None => entry.explains.to_owned(),
    };
    let revision = current(&store::responses_in(&tx, id).await?);
    let actor = tx.actor().name.clone();
    let now = tx.now();
    let mut task = Task {
        id: TaskId(tx.next_id("task").await?),
        tenant: tx.tenant(),
        incident: id,
        revision,
        kind: new.kind,
        target,
        options,
        display_name,
        description,
        source: None,
        guided_because: None,
        state: TaskState::Draft,
        run: 0,
        closed: None,
        verified: None,
        undo_of: None,
        published: None,
        created_by: actor.clone(),
        created: now,
        updated_by: actor,
        updated: now,
    };
    store::save_task(&mut tx, &mut task).await?;
    tx.record(Fact::TaskDrafted {
        incident: id,
        task: task.id,
        action: entry.word,
        target: task.object(),
    });
    tx.made(task.id).await?;
    tx.commit().await?;
    Ok(task.id)
}

/// The revision that is being written.
fn current(responses: &[Response]) -> i64 {
    match responses.last() {
        None => 1,
        Some(last) if last.published.is_some() => last.revision + 1,
        Some(last) => last.revision,
    }
}

/// The task of an id within the caller's reach: drafts are for experts.
pub async fn find(app: &App, caller: &Caller, id: TaskId) -> Result<Task> {
    let sql = format!("select {} from task where id = $1", store::TASK);
    let row = caller.view(app).query_one(&sql, vec![id.0.into()]).await?;
    let task = row.as_ref().map(Task::from_row).transpose()?;
    let Some(task) = task.filter(|task| caller.queue.includes(task.tenant)) else {
        return Err(store::unknown_task(id));
    };
    caller.require_inside(app, task.tenant, store::unknown_task(id)).await?;
    if task.published.is_none() && caller.actor().kind != ActorKind::Expert {
        return Err(store::unknown_task(id));
    }
    Ok(task)
}

/// Begins a change of a task within the caller's reach.
async fn begin(app: &App, caller: &Caller, id: TaskId) -> Result<(Tx, Task)> {
    let seen = find(app, caller, id).await?;
    let tx = Tx::begin(app, seen.tenant, caller.actor()).await?;
    let task = store::task(&tx, id).await?;
    Ok((tx, task))
}

fn stepped(task: &Task, step: TaskStep) -> Result<TaskState> {
    task.state
        .after(step, task.verified.is_some())
        .map_err(|because| Error::Conflict(format!("task {}: {because}", task.id)))
}

/// Refuses to touch a draft's words once somebody has seen or run it.
fn must_be_draft(task: &Task) -> Result<()> {
    if task.state == TaskState::Draft {
        return Ok(());
    }
    Err(Error::Conflict(format!("task {} is no draft any more", task.id)))
}

/// What an expert changes of a draft.
#[derive(Clone, Debug, Default)]
pub struct TaskPatch {
    /// Its title.
    pub display_name: Option<String>,
    /// Why and how.
    pub description: Option<String>,
    /// How it is done.
    pub options: Option<Value>,
}

/// Changes a draft.
pub async fn edit(app: &App, caller: &Caller, id: TaskId, patch: TaskPatch) -> Result<()> {
    expert(caller)?;
    let (mut tx, mut task) = begin(app, caller, id).await?;
    must_be_draft(&task)?;
    let mut changes = Vec::new();
    let mut note = |field, before: Value, after: Value| {
        if before != after {
            changes.push(Change { field, before, after });
        }
    };
    if let Some(given) = patch.display_name {
        let given = title("displayName", &given)?;
        note("displayName", json!(task.display_name), json!(given));
        task.display_name = given;
    }
    if let Some(given) = patch.description {
        let given = text("description", &given, LONGEST_TEXT)?;
        note("description", json!(task.description), json!(given));
        task.description = given;
    }
    if let Some(given) = patch.options {
        let entry = task.kind.entry();
        let given = entry.options(&given).map_err(Error::Invalid)?;
        let target = task.target.as_ref();
        let given = mail::completed(&tx, task.incident, entry, target, given).await?;
        note("options", task.options.clone(), given.clone());
        task.options = given;
    }
    if changes.is_empty() {
        return Ok(());
    }
    store::save_task(&mut tx, &mut task).await?;
    tx.record(Fact::TaskChanged { incident: task.incident, task: id, changes });
    tx.commit().await
}

/// Takes a draft away.
pub async fn remove(app: &App, caller: &Caller, id: TaskId) -> Result<()> {
    expert(caller)?;
    let (mut tx, task) = begin(app, caller, id).await?;
    must_be_draft(&task)?;
    tx.execute("delete from task where id = $1", vec![id.0.into()]).await?;
    tx.record(Fact::TaskRemoved { incident: task.incident, task: id });
    tx.commit().await
}

/// Keeps the summary as far as it is written. What stands published in the same words is no draft: a
/// page that saves while it publishes would else keep the incident from being resolved.
pub async fn save_summary(app: &App, caller: &Caller, id: IncidentId, summary: &str) -> Result<()> {
    expert(caller)?;
    let tx = incident::begin(app, caller, id).await?;
    let incident = incident::one(&tx, id).await?;
    let summary = text("summary", summary, LONGEST_TEXT)?;
    let responses = store::responses_in(&tx, id).await?;
    let published = responses.last().filter(|last| last.published.is_some());
    if published.is_some_and(|last| last.summary.as_ref() == Some(&summary)) {
        return Ok(());
    }
    if !incident.model.is_open() {
        return Err(Error::Conflict(format!("incident {id} is closed")));
    }
    let mut response = unpublished(&responses);
    response.summary = Some(summary);
    store::save_response(&tx, id, &response).await?;
    tx.commit().await
}

fn unpublished(responses: &[Response]) -> Response {
    match responses.last() {
        Some(last) if last.published.is_none() => last.clone(),
        _ => Response {
            revision: current(responses),
            published: None,
            publisher: None,
            summary: None,
            classification: Classification::Unknown,
            determination: Determination::Unknown,
            rejected: None,
        },
    }
}

/// Whose a task is, and who carries it out.
enum Decision {
    /// The experts'.
    Managed(Vec<Channel>),
    /// The customer's, and why.
    Guided(String),
}

/// Decides for one task that is published with a finding (MR-15): the experts' for what they are
/// cleared for, the customer's for the rest. Gives both where some devices are cleared and others are
/// not.
async fn decide(
    tx: &Tx,
    caller: &Requester,
    task: &Task,
) -> Result<(Decision, Option<(Vec<Channel>, String)>)> {
    let entry = task.kind.entry();
    let whose = (task.tenant, Some(task.incident));
    let target = task.target.as_ref();
    let channels = match target::channels(tx, whose, entry, target, &task.options).await? {
        Ok(channels) => channels,
        Err(reason) => {
            // What nothing can do by itself may be excluded all the same: that is the reason then.
            let asked = not_cleared((tx, tx.now()), caller, (task, true), None).await?;
            let reason = asked.unwrap_or(reason);
            return Ok((Decision::Guided(reason), None));
        }
    };
    let (mut cleared, mut left, mut why) = (Vec::new(), Vec::new(), String::new());
    for channel in channels {
        match not_cleared((tx, tx.now()), caller, (task, true), Some(&channel)).await? {
            None => cleared.push(channel),
            Some(reason) => {
                why = reason;
                left.push(channel);
            }
        }
    }
    Ok(match (cleared.is_empty(), left.is_empty()) {
        (true, _) => (Decision::Guided(why), None),
        (false, true) => (Decision::Managed(cleared), None),
        (false, false) => (Decision::Managed(cleared), Some((left, why))),
    })
}

async fn not_cleared(
    at: (&Transaction, Timestamp),
    requester: &Requester,
    task: (&Task, bool),
    channel: Option<&Channel>,
) -> Result<Option<String>> {
    Ok(asked(at, requester, task, channel).await?.err())
}

/// For whom a task's action waits by one that carries it out, or why it is not to be done there;
/// `confirmed` where it is published with a finding in this very change.
async fn asked(
    (tx, now): (&Transaction, Timestamp),
    requester: &Requester,
    (task, confirmed): (&Task, bool),
    channel: Option<&Channel>,
) -> Result<std::result::Result<Vec<Need>, String>> {
    let device = channel.and_then(Channel::device);
    let target = match (&task.target, channel) {
        (Some(target), Some(channel)) => Some(channel.aimed(target)),
        (target, _) => target.clone(),
    };
    let bare = Thing { device, ..Thing::default() };
    let thing = target.as_ref().map_or(bare, |target| target.thing(device));
    let authority = requester.authority();
    let deed = Deed { confirmed, ..Deed::new(task.kind, Some(task.incident)) };
    coverage::may_ask(tx, task.tenant, &authority, (deed, thing), now).await
}

/// Why a task may not be run by one of these; `None` when it may by all.
async fn first_refusal(
    at: (&Transaction, Timestamp),
    requester: &Requester,
    task: &Task,
    channels: &[Channel],
) -> Result<Option<String>> {
    for channel in channels {
        if let Some(reason) = not_cleared(at, requester, (task, false), Some(channel)).await? {
            return Ok(Some(reason));
        }
    }
    Ok(None)
}

/// Asks the engine for a task's action by each that carries it out.
async fn start(
    tx: &mut Tx,
    task: &mut Task,
    channels: &[Channel],
    requester: &Requester,
    (source, undo_of, confirmed): (&'static str, Option<ActionId>, bool),
) -> Result<()> {
    let Some(target) = task.target.clone() else {
        return Err(Error::Conflict(format!("task {} has nothing to run", task.id)));
    };
    task.state = stepped(task, TaskStep::Run)?;
    task.run += 1;
    task.closed = None;
    task.verified = None;
    let mut ids = Vec::new();
    for channel in channels {
        let action = engine::request(
            tx,
            Wish {
                kind: task.kind,
                target: &target,
                channel,
                options: &task.options,
                incident: Some(task.incident),
                source,
                comment: Some(task.display_name.clone()),
                undo_of,
                requester: requester.clone(),
                confirmed,
            },
        )
        .await?;
        tx.execute(
            "insert into task_action (task_id, run, action_id) values ($1, $2, $3) \
             on conflict do nothing",
            vec![task.id.0.into(), task.run.into(), action.id.0.into()],
        )
        .await?;
        ids.push(action.id);
    }
    store::save_task(tx, task).await?;
    tx.record(Fact::TaskStarted { incident: task.incident, task: task.id, actions: ids });
    Ok(())
}

/// Tells those who carry actions out that something waits for them.
fn ring(app: &App, channels: &[Channel]) {
    for channel in channels {
        channel.ring(app);
    }
}

/// Experts publish a managed response (T5, T6): a true positive with its summary. Each draft becomes
/// the experts' or the customer's.
pub async fn publish(app: &App, caller: &Caller, id: IncidentId, finding: Finding) -> Result<()> {
    expert(caller)?;
    let requester = requester(caller);
    let mut tx = incident::begin(app, caller, id).await?;
    if let Some(reason) = stage::holds_back(&tx, tx.tenant(), Work::Guide).await? {
        return Err(Error::Denied(reason));
    }
    let before = incident::one(&tx, id).await?;
    let responses = store::responses_in(&tx, id).await?;
    let mut response = unpublished(&responses);
    let (mut guided, mut managed, mut rung) = (Vec::new(), Vec::new(), Vec::new());
    for planned in store::tasks_in(&tx, id).await? {
        // Read anew: what another of the plan asks for may just have overtaken and ended it.
        let mut task = store::task(&tx, planned.id).await?;
        if task.published.is_some() {
            continue;
        }
        task.published = Some(tx.now());
        task.revision = response.revision;
        if task.state != TaskState::Draft {
            // The experts have run it already.
            store::save_task(&mut tx, &mut task).await?;
            managed.push(task.id);
            continue;
        }
        match decide(&tx, &requester, &task).await? {
            (Decision::Managed(channels), rest) => {
                task.source = Some(Source::Managed);
                if let Some((left, reason)) = rest {
                    let sibling = leave(&mut tx, &task, &left, reason).await?;
                    guided.push(sibling);
                    aim(&mut task, &channels);
                }
                let how = (BY_EXPERTS, None, true);
                start(&mut tx, &mut task, &channels, &requester, how).await?;
                managed.push(task.id);
                rung.extend(channels);
            }
            (Decision::Guided(reason), _) => {
                task.source = Some(Source::Guided);
                task.guided_because = Some(reason);
                task.state = TaskState::Open;
                store::save_task(&mut tx, &mut task).await?;
                guided.push(task.id);
            }
        }
    }
    let tasks = store::tasks_in(&tx, id).await?;
    let of = |source| move |task: &&Task| task.source == Some(source) && task.state.is_open();
    let pending = tasks.iter().filter(of(Source::Guided)).count() as u32;
    let running = tasks.iter().filter(of(Source::Managed)).count();
    let (actor, at) = (tx.actor().clone(), tx.now());
    let model = before.model.clone();
    let step = if pending > 0 {
        model.hand_over(&finding, pending, &actor, at)
    } else if running > 0 {
        model.respond(&finding, &actor, at)
    } else {
        model.finish_response(&finding, OwnerAfter::Nobody, &actor, at)
    };
    let step = step.map_err(incident::refused)?;
    response.published = Some((at, actor.name.clone()));
    response.publisher = Some(follow::kept(&actor));
    response.summary.clone_from(&step.incident.summary);
    response.classification = finding.classification;
    response.determination = finding.determination;
    store::save_response(&tx, id, &response).await?;
    conversation::open(&tx, id).await?;
    tx.record(Fact::ResponsePublished {
        incident: id,
        revision: response.revision,
        guided,
        managed,
    });
    let fact = |id, changes| Fact::IncidentChanged { incident: id, changes };
    incident::apply(&mut tx, &before, step, fact).await?;
    tx.made(id).await?;
    tx.commit().await?;
    ring(app, &rung);
    Ok(())
}

/// The mailboxes among those who carry something out.
fn in_mailboxes(channels: &[Channel]) -> Vec<String> {
    let all = channels.iter().filter_map(|channel| match channel {
        Channel::Mailbox(_, mailbox) => Some(mailbox.clone()),
        Channel::Agent(_) | Channel::Connector(_) => None,
    });
    all.collect()
}

/// Leaves a task for a mail with the mailboxes it is done in, and no others.
fn aim(task: &mut Task, channels: &[Channel]) {
    let mailboxes = in_mailboxes(channels);
    if !mailboxes.is_empty() {
        task.options = mail::naming(&task.options, &mailboxes);
    }
}

/// A task for the customer on the devices that experts are not cleared for.
async fn leave(tx: &mut Tx, task: &Task, left: &[Channel], reason: String) -> Result<TaskId> {
    let names: Vec<&str> = left.iter().map(Channel::name).collect();
    let place = if in_mailboxes(left).is_empty() { "on" } else { "in" };
    let mut sibling = task.clone();
    sibling.id = TaskId(tx.next_id("task").await?);
    sibling.source = Some(Source::Guided);
    sibling.guided_because = Some(reason);
    sibling.state = TaskState::Open;
    sibling.display_name = format!("{} ({place} {})", task.display_name, names.join(", "));
    sibling.display_name = sibling.display_name.chars().take(LONGEST_NAME).collect();
    if let ([Channel::Agent(device)], Value::Object(options)) = (left, &mut sibling.options) {
        options.insert("deviceId".to_owned(), json!(device.id));
    }
    aim(&mut sibling, left);
    store::save_task(tx, &mut sibling).await?;
    Ok(sibling.id)
}

/// The customer sends the plan back with a reason: its open tasks are withdrawn, and the experts have
/// the incident again.
pub async fn reject(app: &App, caller: &Caller, id: IncidentId, because: &str) -> Result<()> {
    let because = text("because", because, 4_000)?;
    if because.is_empty() {
        return Err(Error::Invalid("say why, so that the experts can answer".to_owned()));
    }
    let mut tx = incident::begin(app, caller, id).await?;
    customer(caller)?;
    let before = incident::one(&tx, id).await?;
    if before.model.state.stage() != Stage::AwaitingCustomer {
        return Err(Error::Conflict(format!("incident {id} does not wait for the customer")));
    }
    let responses = store::responses_in(&tx, id).await?;
    let Some(mut last) = responses.into_iter().rfind(|it| it.published.is_some()) else {
        return Err(Error::Conflict(format!("incident {id} has no response")));
    };
    let said = format!("the customer sent the plan back: {because}");
    for mut task in store::tasks_in(&tx, id).await? {
        if task.published.is_some() && task.state.after(TaskStep::Withdraw, false).is_ok() {
            close(&mut tx, &mut task, TaskStep::Withdraw, Some(said.clone())).await?;
        }
    }
    last.rejected = Some((tx.now(), tx.actor().name.clone(), because.clone()));
    store::save_response(&tx, id, &last).await?;
    tx.record(Fact::ResponseRejected { incident: id, revision: last.revision, because });
    follow::take_back(&mut tx, &before).await?;
    tx.commit().await
}

/// Refuses who is not of the customer. Asked once the thing is within reach: what is not there is not
/// there for anybody.
fn customer(caller: &Caller) -> Result<()> {
    caller.require(&[Permission::TaskReadWrite, Permission::IncidentReadWrite])?;
    match caller.actor().kind {
        ActorKind::Customer | ActorKind::Integration => Ok(()),
        _ => Err(Error::Denied("this is for the customer to say".to_owned())),
    }
}

/// Writes that a task is closed or waits again by a step.
async fn close(
    tx: &mut Tx,
    task: &mut Task,
    step: TaskStep,
    because: Option<String>,
) -> Result<()> {
    task.state = stepped(task, step)?;
    task.closed = Some((tx.now(), tx.actor().name.clone(), because.clone()));
    store::save_task(tx, task).await?;
    tx.record(Fact::TaskClosed {
        incident: task.incident,
        task: task.id,
        state: task.state.word(),
        because,
        verified: false,
    });
    Ok(())
}

/// Refuses what is done to a task of a closed incident: what is closed asks nothing of anybody.
async fn must_be_open(tx: &Tx, task: &Task) -> Result<Incident> {
    let incident = incident::one(tx, task.incident).await?;
    if incident.model.is_open() {
        return Ok(incident);
    }
    Err(Error::Conflict(format!("task {}: incident {} is closed", task.id, task.incident)))
}

/// Runs a task's action: the customer clicked, or an expert acts where it is cleared.
pub async fn run(app: &App, caller: &Caller, id: TaskId) -> Result<()> {
    let by_expert = caller.actor().kind == ActorKind::Expert;
    if by_expert {
        expert(caller)?;
    } else {
        caller.require(&[
            Permission::TaskTakeAction,
            Permission::TaskReadWrite,
            Permission::IncidentReadWrite,
        ])?;
    }
    let requester = requester(caller);
    let (mut tx, mut task) = begin(app, caller, id).await?;
    must_be_open(&tx, &task).await?;
    stepped(&task, TaskStep::Run)?;
    let entry = task.kind.entry();
    let whose = (task.tenant, Some(task.incident));
    let channels = target::channels(&tx, whose, entry, task.target.as_ref(), &task.options).await?;
    let channels = channels.map_err(|because| Error::Conflict(format!("task {id}: {because}")))?;
    if let Some(reason) = first_refusal((&tx, tx.now()), &requester, &task, &channels).await? {
        return Err(Error::Denied(format!("task {id}: {reason}")));
    }
    if by_expert {
        task.source = Some(Source::Managed);
    }
    // Taking something back again is taking it back.
    let undo_of = match task.undo_of {
        Some(undone) => store::task(&tx, undone).await.ok().map(|task| (task.id, task.run)),
        None => None,
    };
    let undo_of = match undo_of {
        Some((task, run)) => store::actions_of_task(&tx, task, run).await?.first().map(|it| it.id),
        None => None,
    };
    let how = (requester.source(), undo_of, false);
    start(&mut tx, &mut task, &channels, &requester, how).await?;
    tx.made(id).await?;
    tx.commit().await?;
    ring(app, &channels);
    Ok(())
}

/// The customer takes a task up by hand.
pub async fn begin_by_hand(app: &App, caller: &Caller, id: TaskId) -> Result<()> {
    let (mut tx, mut task) = begin(app, caller, id).await?;
    customer(caller)?;
    must_be_open(&tx, &task).await?;
    task.state = stepped(&task, TaskStep::Begin)?;
    store::save_task(&mut tx, &mut task).await?;
    tx.record(Fact::TaskBegun { incident: task.incident, task: id });
    tx.commit().await
}

/// The customer says that a task is done (MR-12). Nothing was read that would show it, and the task
/// says so.
pub async fn complete(app: &App, caller: &Caller, id: TaskId) -> Result<()> {
    let (mut tx, mut task) = begin(app, caller, id).await?;
    customer(caller)?;
    must_be_open(&tx, &task).await?;
    close(&mut tx, &mut task, TaskStep::Complete, None).await?;
    follow::tasks_changed(&mut tx, task.incident).await?;
    tx.commit().await
}

/// The customer will not do a task (MR-12).
pub async fn skip(app: &App, caller: &Caller, id: TaskId, because: &str) -> Result<()> {
    let because = Some(text("because", because, 4_000)?).filter(|because| !because.is_empty());
    let (mut tx, mut task) = begin(app, caller, id).await?;
    customer(caller)?;
    must_be_open(&tx, &task).await?;
    close(&mut tx, &mut task, TaskStep::Skip, because).await?;
    follow::tasks_changed(&mut tx, task.incident).await?;
    tx.commit().await
}

/// The customer wants a task after all. The experts have the incident by then: only they hand it over
/// (INC-4).
pub async fn reopen(app: &App, caller: &Caller, id: TaskId) -> Result<()> {
    let (mut tx, mut task) = begin(app, caller, id).await?;
    customer(caller)?;
    must_be_open(&tx, &task).await?;
    task.state = stepped(&task, TaskStep::Reopen)?;
    task.closed = None;
    store::save_task(&mut tx, &mut task).await?;
    tx.record(Fact::TaskReopened { incident: task.incident, task: id });
    tx.commit().await
}

/// Takes a completed task back: a new task, linked to it, whose action is the reverse (MR-17).
pub async fn undo(app: &App, caller: &Caller, id: TaskId, comment: &str) -> Result<TaskId> {
    let comment = text("comment", comment, 4_000)?;
    let requester = requester(caller);
    let by_expert = requester.kind == ActorKind::Expert;
    if by_expert {
        expert(caller)?;
    } else {
        caller.require(&[Permission::TaskTakeAction, Permission::IncidentReadWrite])?;
    }
    let (mut tx, done) = begin(app, caller, id).await?;
    let Some(reverse) = done.kind.entry().reverse else {
        return Err(Error::Conflict(format!("task {id}: nothing takes this back")));
    };
    if done.state != TaskState::Completed || done.verified.is_none() {
        return Err(Error::Conflict(format!("task {id}: only what was done can be undone")));
    }
    if undone_by(&tx, id).await?.is_some() {
        return Err(Error::Conflict(format!("task {id} is being undone or was undone already")));
    }
    let actions = store::actions_of_task(&tx, id, done.run).await?;
    let mut channels = Vec::new();
    for action in &actions {
        channels.extend(target::channel_of(&tx, action).await?);
    }
    if channels.is_empty() {
        return Err(Error::Conflict(format!("task {id}: who did it is not connected any more")));
    }
    let entry = reverse.entry();
    let now = tx.now();
    let mut task = Task {
        id: TaskId(tx.next_id("task").await?),
        kind: reverse,
        options: reverse_options(&actions),
        display_name: format!("{}: {}", entry.title, done.object()),
        description: if comment.is_empty() { entry.explains.to_owned() } else { comment },
        source: Some(if by_expert { Source::Managed } else { Source::Guided }),
        guided_because: None,
        state: TaskState::Open,
        run: 0,
        closed: None,
        verified: None,
        undo_of: Some(id),
        // What the customer has not seen yet, it does not see undone either.
        published: done.published,
        created_by: requester.name.clone(),
        created: now,
        ..done.clone()
    };
    aim(&mut task, &channels);
    if let Some(reason) = first_refusal((&tx, tx.now()), &requester, &task, &channels).await? {
        return Err(Error::Denied(format!("task {id}: {reason}")));
    }
    let undo_of = actions.first().map(|action| action.id);
    let how = (requester.source(), undo_of, false);
    start(&mut tx, &mut task, &channels, &requester, how).await?;
    tx.made(task.id).await?;
    tx.commit().await?;
    ring(app, &channels);
    Ok(task.id)
}

/// How actions are taken back: a restored file is looked for where it was brought back to.
fn reverse_options(done: &[Action]) -> Value {
    let restored = done.iter().filter(|action| action.kind == Kind::RestoreFile);
    let paths: BTreeSet<&str> = restored
        .flat_map(|action| {
            let found = action.found.as_ref().and_then(|found| found.get("files")?.as_array());
            let read = action.read_back.as_ref().and_then(|read| read.get("path"));
            found.into_iter().flatten().chain(read).filter_map(Value::as_str)
        })
        .filter(|path| path.starts_with('/'))
        .collect();
    match (paths.first(), paths.len()) {
        (None, _) => json!({}),
        (Some(path), 1) => json!({ "path": path }),
        _ => {
            let folders: BTreeSet<&str> = paths
                .iter()
                .filter_map(|path| Some(path.rsplit_once('/')?.0))
                .filter(|folder| !folder.is_empty())
                .collect();
            json!({ "under": folders.into_iter().take(100).collect::<Vec<_>>() })
        }
    }
}

/// The task that takes another back, unless that failed.
pub async fn undone_by(tx: &Transaction, id: TaskId) -> Result<Option<TaskId>> {
    let row = tx
        .query_one(
            "select id from task where undo_of = $1 and state in ('running', 'completed') \
             order by id desc limit 1",
            vec![id.0.into()],
        )
        .await?;
    row.map(|row| Ok(TaskId(column(&row, 0)?))).transpose()
}

/// Begins a change of an action within the caller's reach.
async fn begin_action(app: &App, caller: &Caller, id: ActionId) -> Result<(Tx, Action)> {
    let seen = find_action(app, caller, id).await?;
    let tx = Tx::begin(app, seen.tenant, caller.actor()).await?;
    let action = store::action(&tx, id).await?;
    Ok((tx, action))
}

/// The action of an id within the caller's reach.
pub async fn find_action(app: &App, caller: &Caller, id: ActionId) -> Result<Action> {
    let sql = format!("select {} from action where id = $1", store::ACTION);
    let row = caller.view(app).query_one(&sql, vec![id.0.into()]).await?;
    let action = row.as_ref().map(Action::from_row).transpose()?;
    let Some(action) = action.filter(|action| caller.queue.includes(action.tenant)) else {
        return Err(store::unknown_action(id));
    };
    caller.require_inside(app, action.tenant, store::unknown_action(id)).await?;
    Ok(action)
}

/// Who may act on actions: the customer's operators, and experts.
fn acts(caller: &Caller) -> Result<()> {
    caller.require(&[Permission::TaskTakeAction, Permission::Experts])
}

/// Takes an action back that has not been sent.
pub async fn cancel(app: &App, caller: &Caller, id: ActionId) -> Result<()> {
    acts(caller)?;
    let (mut tx, mut action) = begin_action(app, caller, id).await?;
    let reason = format!("{} took it back before it was sent", tx.actor().name);
    engine::end(&mut tx, &mut action, ActionStep::Cancel, Some(reason)).await?;
    tx.commit().await
}

/// How another person answers a proposed action.
async fn second(app: &App, caller: &Caller, id: ActionId) -> Result<(Tx, Action)> {
    acts(caller)?;
    let (tx, action) = begin_action(app, caller, id).await?;
    // Another session, an application or another role of the same person is still the same person.
    caller.seat()?;
    let requester = requester(caller);
    let needs = approval::proposal(&tx, id).await?.map(|it| it.needs).unwrap_or_default();
    let person = (caller.client_id.as_str(), requester.kind);
    approval::may_answer(&action, &needs, person)
        .map_err(|because| Error::Denied(format!("{id}: {because}")))?;
    let device = store::device_of(&tx, &action).await?;
    let thing = action.target.thing(device.as_ref());
    let covered =
        coverage::covers(&tx, action.tenant, &requester.authority(), thing, tx.now()).await?;
    covered.map_err(Error::Denied)?;
    Ok((tx, action))
}

/// Why the caller is not cleared to answer a proposed action now, for its buttons.
pub async fn why_no_second(
    (tx, now): (&Transaction, Timestamp),
    caller: &Caller,
    action: &Action,
) -> Result<Option<String>> {
    let device = store::device_of(tx, action).await?;
    let thing = action.target.thing(device.as_ref());
    let authority = requester(caller).authority();
    Ok(coverage::covers(tx, action.tenant, &authority, thing, now).await?.err())
}

/// Another person agrees to exactly what was shown (quality 4): `fingerprint` is that of the action as
/// it was looked at. It is approved once as many have as the customer wants.
pub async fn approve(app: &App, caller: &Caller, id: ActionId, fingerprint: &str) -> Result<()> {
    let (mut tx, mut action) = second(app, caller, id).await?;
    caller.require_step_up(tx.now())?;
    if action.fingerprint() != fingerprint {
        return Err(Error::Conflict(format!("{id} is not what was shown: look again")));
    }
    // What does not wait says why.
    engine::step(&mut action.clone(), ActionStep::Approve)?;
    let given = approval::approvals(&tx, id).await?;
    if approval::has_approved(&action, &given, &caller.client_id) {
        return Err(Error::Conflict(format!("{id}: you have approved it; it waits for others")));
    }
    let actor = tx.actor().clone();
    approval::add(&mut tx, &mut action, &caller.client_id, &actor).await?;
    tx.commit().await?;
    if let Some(no) = action.device {
        app.agents.ring(no);
    } else {
        app.respond.notify_one();
    }
    Ok(())
}

/// A second person says no.
pub async fn reject_action(app: &App, caller: &Caller, id: ActionId, because: &str) -> Result<()> {
    let because = text("because", because, 4_000)?;
    if because.is_empty() {
        return Err(Error::Invalid("say why".to_owned()));
    }
    let (mut tx, mut action) = second(app, caller, id).await?;
    let reason = format!("{} said no: {because}", tx.actor().name);
    engine::end(&mut tx, &mut action, ActionStep::Reject, Some(reason)).await?;
    tx.commit().await
}

/// A person looked and says what became of an action that nobody knew of.
pub async fn decide_outcome(
    app: &App,
    caller: &Caller,
    id: ActionId,
    succeeded: bool,
    because: &str,
) -> Result<()> {
    acts(caller)?;
    let because = text("because", because, 4_000)?;
    if because.is_empty() {
        return Err(Error::Invalid("say what you saw".to_owned()));
    }
    let (mut tx, mut action) = begin_action(app, caller, id).await?;
    let step = if succeeded { ActionStep::DecideDone } else { ActionStep::DecideNotDone };
    let reason = format!("{} looked: {because}", tx.actor().name);
    engine::end(&mut tx, &mut action, step, Some(reason)).await?;
    tx.commit().await
}

/// Takes a finished action back from the action centre: an action of its own (MR-17, MR-20).
pub async fn undo_action(
    app: &App,
    caller: &Caller,
    id: ActionId,
    comment: &str,
) -> Result<ActionId> {
    acts(caller)?;
    let comment = text("comment", comment, 4_000)?;
    let (mut tx, done) = begin_action(app, caller, id).await?;
    let Some(reverse) = done.kind.entry().reverse else {
        return Err(Error::Conflict(format!("{id}: nothing takes this back")));
    };
    if done.state != ActionState::Succeeded {
        return Err(Error::Conflict(format!("{id}: only what was done can be undone")));
    }
    let row = tx
        .query_one(
            &format!(
                "select id from action where undo_of = $1 and tenant_no = $2 \
                 and ({} or state = 'succeeded') limit 1",
                store::OPEN
            ),
            vec![id.0.into(), done.tenant.0.into()],
        )
        .await?;
    if row.is_some() {
        return Err(Error::Conflict(format!("{id} is being undone or was undone already")));
    }
    let channel = target::channel_of(&tx, &done).await?.ok_or_else(|| {
        Error::Conflict(format!("{id}: who carried it out is not known any more"))
    })?;
    let requester = requester(caller);
    let options = reverse_options(std::slice::from_ref(&done));
    let action =
        ask(&mut tx, (reverse, &done.target), &channel, &options, &requester, |wish| Wish {
            incident: done.incident,
            comment: Some(comment).filter(|comment| !comment.is_empty()),
            undo_of: Some(id),
            source: requester.source(),
            ..wish
        })
        .await?;
    tx.made(action).await?;
    tx.commit().await?;
    channel.ring(app);
    Ok(action)
}

/// Asks for one action by one that carries it out, as far as the one who asks is cleared.
async fn ask<'a>(
    tx: &mut Tx,
    (kind, target): (Kind, &'a Target),
    channel: &'a Channel,
    options: &'a Value,
    requester: &Requester,
    more: impl FnOnce(Wish<'a>) -> Wish<'a>,
) -> Result<ActionId> {
    let (aimed, now) = (channel.aimed(target), tx.now());
    let thing = aimed.thing(channel.device());
    let covered = coverage::covers(tx, tx.tenant(), &requester.authority(), thing, now).await?;
    covered.map_err(Error::Denied)?;
    if let Channel::Agent(device) = channel {
        if order::word(kind).is_none() {
            return Err(Error::Conflict("nothing is connected that could do it".to_owned()));
        }
        for word in order::words(kind, options) {
            device.can(word).map_err(Error::Conflict)?;
        }
    }
    let wish = more(Wish {
        kind,
        target,
        channel,
        options,
        incident: None,
        source: BY_HAND,
        comment: None,
        undo_of: None,
        requester: requester.clone(),
        confirmed: false,
    });
    Ok(engine::request(tx, wish).await?.id)
}

/// Does something to a device from its own page (MR-11, MR-18): a comment is mandatory.
pub async fn act_on_device(
    app: &App,
    caller: &Caller,
    device: &str,
    (kind, target): (Kind, Option<String>),
    options: &Value,
    comment: &str,
) -> Result<ActionId> {
    acts(caller)?;
    let comment = text("comment", comment, 4_000)?;
    if comment.is_empty() {
        return Err(Error::Invalid("a comment is mandatory: say why".to_owned()));
    }
    let seen = asset::find(app, caller, device).await?;
    let entry = kind.entry();
    let options = entry.options(options).map_err(Error::Invalid)?;
    let mut tx = Tx::begin(app, seen.tenant, caller.actor()).await?;
    let device = asset::load_in(&tx, seen.no)
        .await?
        .ok_or_else(|| Error::NotFound("the device does not exist".to_owned()))?;
    let key = match (entry.target, target) {
        (TargetKind::Device, _) => device.id.clone(),
        (TargetKind::None, _) | (_, None) => {
            return Err(Error::Invalid(format!("{} needs a target", entry.word)));
        }
        (_, Some(target)) => text("target", &target, 2_048)?,
    };
    let name = match entry.target {
        TargetKind::Device => device.name.clone(),
        _ => format!("{key} on {}", device.name),
    };
    let device_id = Some(device.id.clone());
    let target = Target { kind: entry.target, key, name, device: device_id, mailbox: None };
    let requester = requester(caller);
    let channel = Channel::Agent(Box::new(device));
    let id = ask(&mut tx, (kind, &target), &channel, &options, &requester, |wish| Wish {
        comment: Some(comment),
        ..wish
    })
    .await?;
    tx.made(id).await?;
    tx.commit().await?;
    channel.ring(app);
    Ok(id)
}

/// What would be sent to whom.
#[derive(Debug)]
pub enum Sends {
    /// To the agent of a device.
    Agent(Box<Device>, riposte_wire::Action),
    /// To a product, and in whose mailbox.
    Connector(Box<connector::Connector>, connector::Request, Option<String>),
}

/// What a dry run of a task shows (MR-14): what would be sent to whom, and why not.
#[derive(Debug)]
pub struct Preview {
    /// What each would be told.
    pub sends: Vec<Sends>,
    /// Why it would not be done by itself, or not by this caller.
    pub blocked: Option<String>,
    /// For whom it would wait first.
    pub waits: Option<String>,
}

/// Shows what running a task would do, and does nothing.
pub async fn preview(app: &App, caller: &Caller, id: TaskId) -> Result<Preview> {
    let task = find(app, caller, id).await?;
    let requester = requester(caller);
    let tx = app.db.of(task.tenant).snapshot().await?;
    let now = app.clock.now();
    let entry = task.kind.entry();
    let whose = (task.tenant, Some(task.incident));
    let channels = target::channels(&tx, whose, entry, task.target.as_ref(), &task.options).await?;
    let channels = match channels {
        Ok(channels) => channels,
        Err(reason) => {
            return Ok(Preview { sends: Vec::new(), blocked: Some(reason), waits: None });
        }
    };
    let mut shown = Preview { sends: Vec::new(), blocked: None, waits: None };
    let key = task.target.as_ref().map_or("", |target| target.key.as_str());
    for channel in channels {
        match asked((&tx, now), &requester, (&task, false), Some(&channel)).await? {
            Err(reason) => shown.blocked = Some(reason),
            Ok(needs) if needs.is_empty() => {}
            Ok(needs) => shown.waits = Some(approval::told(&needs)),
        }
        let aimed = task.target.as_ref().map(|target| channel.aimed(target));
        shown.sends.push(match channel {
            Channel::Agent(device) => {
                let told = order::action(task.kind, key, &task.options, now);
                Sends::Agent(device, told.map_err(Error::Conflict)?)
            }
            Channel::Connector(connector) => {
                let user = connector::user_name(key).map_err(Error::Conflict)?;
                let verb = order::verb(task.kind)
                    .ok_or_else(|| Error::Conflict(format!("{} cannot do it", connector.name)))?;
                Sends::Connector(connector, connector::Request::new(verb, &user), None)
            }
            Channel::Mailbox(connector, mailbox) => {
                let aimed = aimed.ok_or_else(|| Error::Conflict("it names nothing".to_owned()))?;
                let errand = Errand::of(task.kind)
                    .ok_or_else(|| Error::Conflict(format!("{} cannot do it", connector.name)))?;
                Sends::Connector(connector, errand.shown(&aimed), Some(mailbox))
            }
        });
    }
    Ok(shown)
}

/// Whether something connected could carry a task out, and if so whether this caller is cleared for
/// it: for its buttons.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Running {
    /// It can be run.
    Can,
    /// It is for somebody to carry out by hand.
    ByHand(String),
    /// Not by this caller, now.
    NotCleared(String),
}

/// See [`Running`].
pub async fn may_run(tx: &Transaction, app: &App, caller: &Caller, task: &Task) -> Result<Running> {
    let entry = task.kind.entry();
    let whose = (task.tenant, Some(task.incident));
    let now = app.clock.now();
    match target::channels(tx, whose, entry, task.target.as_ref(), &task.options).await? {
        Err(reason) => Ok(Running::ByHand(reason)),
        Ok(channels) => {
            let refused = first_refusal((tx, now), &requester(caller), task, &channels).await?;
            Ok(refused.map_or(Running::Can, Running::NotCleared))
        }
    }
}

/// Everybody of the customer was asked in vain about an incident: what waits for approval there becomes
/// what the policy says of an approval that nobody gave.
pub(crate) async fn nobody_answered(tx: &mut Tx, incident: IncidentId) -> Result<()> {
    let sql = format!(
        "select {} from action where incident_id = $1 and tenant_no = $2 and state = 'proposed' \
         order by id",
        store::ACTION
    );
    let values = vec![incident.0.into(), tx.tenant().0.into()];
    for row in tx.query(&sql, values).await? {
        let mut action = Action::from_row(&row)?;
        approval::over(tx, &mut action, true).await?;
    }
    Ok(())
}
