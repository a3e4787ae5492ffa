//! Rows of responses, tasks, actions and attempts.

use sea_orm::{QueryResult, Value as Sql};
use serde_json::Value;

use crate::actor::ActorKind;
use crate::asset::{self, Device};
use crate::clock::Timestamp;
use crate::coverage::{Authority, Thing};
use crate::db::{Scope, Transaction, column};
use crate::error::{Error, Result};
use crate::id::{ActionId, DeviceNo, IncidentId, TaskId, TenantNo};
use crate::response::catalog::{Kind, TargetKind};
use crate::response::model::{ActionState, TaskState};
use crate::tx::Tx;
use crate::word::{Classification, Determination};

/// What an action is done to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Target {
    /// What it is.
    pub kind: TargetKind,
    /// What it goes by: a device's id or name, a hash or path, an account, an indicator.
    pub key: String,
    /// What people read.
    pub name: String,
    /// The device it is, or is on, when that is known.
    pub device: Option<String>,
    /// Of a mail, in whose mailbox: an action is done in one, a task in several.
    pub mailbox: Option<String>,
}

impl Target {
    /// What coverage is asked about: the user where it is one, on this device; of a mail the owner
    /// of the mailbox.
    #[must_use]
    pub fn thing<'a>(&'a self, device: Option<&'a Device>) -> Thing<'a> {
        let named = |kind| (self.kind == kind).then_some(self.key.as_str());
        let device_name = if device.is_none() { named(TargetKind::Device) } else { None };
        let user = named(TargetKind::User).or(self.mailbox.as_deref());
        Thing { device, device_name, user }
    }
}

/// Whose task it is (MR-6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// The customer's.
    Guided,
    /// The experts'.
    Managed,
}

impl Source {
    /// The word stored.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Guided => "guided",
            Self::Managed => "managed",
        }
    }

    /// The contract's `incidentTaskSource`.
    #[must_use]
    pub fn contract(self) -> &'static str {
        match self {
            Self::Guided => "defenderExpertsGuidedResponse",
            Self::Managed => "defenderExpertsManagedResponse",
        }
    }

    fn read(word: &str) -> Option<Self> {
        [Self::Guided, Self::Managed].into_iter().find(|source| source.word() == word)
    }
}

/// A task of a managed response.
#[derive(Clone, Debug)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// Whose it is.
    pub tenant: TenantNo,
    /// The incident.
    pub incident: IncidentId,
    /// The revision of the response it came with.
    pub revision: i64,
    /// What is to be done.
    pub kind: Kind,
    /// To what; nothing for guidance in words.
    pub target: Option<Target>,
    /// How.
    pub options: Value,
    /// Its title.
    pub display_name: String,
    /// Why and how, in Markdown.
    pub description: String,
    /// Whose task it is; nobody's as long as it is a draft.
    pub source: Option<Source>,
    /// Why the customer does it.
    pub guided_because: Option<String>,
    /// Where it stands.
    pub state: TaskState,
    /// How often its action was run.
    pub run: i64,
    /// When, by whom and why it was closed.
    pub closed: Option<(Timestamp, String, Option<String>)>,
    /// When an action read that it is done.
    pub verified: Option<Timestamp>,
    /// The task it takes back.
    pub undo_of: Option<TaskId>,
    /// When the customer first saw it.
    pub published: Option<Timestamp>,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created: Timestamp,
    /// Who changed it last.
    pub updated_by: String,
    /// When.
    pub updated: Timestamp,
}

/// The columns [`Task::from_row`] expects, in order.
pub const TASK: &str = "task.id, task.tenant_no, task.incident_id, task.revision, task.kind, \
    task.target_kind, task.target_key, task.target_name, task.device_id, task.options, \
    task.display_name, task.description, task.source, task.guided_because, task.state, task.run, \
    task.closed_at, task.closed_by, task.closed_because, task.verified_at, task.undo_of, \
    task.published_at, task.created_by, task.created_at, task.updated_by, task.updated_at";
/// How many columns [`TASK`] names.
pub const TASK_WIDTH: usize = 26;

fn moment(row: &QueryResult, index: usize) -> Result<Option<Timestamp>> {
    Ok(column::<Option<i64>>(row, index)?.map(Timestamp::from_micros))
}

fn json(row: &QueryResult, index: usize, what: &str) -> Result<Value> {
    serde_json::from_str(&column::<String>(row, index)?)
        .map_err(|_| Error::Internal(format!("{what} is damaged")))
}

fn json_or_none(row: &QueryResult, index: usize, what: &str) -> Result<Option<Value>> {
    column::<Option<String>>(row, index)?
        .map(|text| {
            serde_json::from_str(&text).map_err(|_| Error::Internal(format!("{what} is damaged")))
        })
        .transpose()
}

impl Task {
    /// A task from a row of [`TASK`].
    pub fn from_row(row: &QueryResult) -> Result<Self> {
        let id: i64 = column(row, 0)?;
        let bad = |what: &str| Error::Internal(format!("task {id}: {what} is damaged"));
        let text = |index: usize| column::<String>(row, index);
        let maybe = |index: usize| column::<Option<String>>(row, index);
        let target = match (maybe(5)?, maybe(6)?, maybe(7)?) {
            (Some(kind), Some(key), Some(name)) => Some(Target {
                kind: TargetKind::read(&kind).ok_or_else(|| bad("target"))?,
                key,
                name,
                device: maybe(8)?,
                mailbox: None,
            }),
            _ => None,
        };
        let source = maybe(12)?;
        Ok(Self {
            id: TaskId(id),
            tenant: TenantNo(column(row, 1)?),
            incident: IncidentId(column(row, 2)?),
            revision: column(row, 3)?,
            kind: Kind::read(&text(4)?).ok_or_else(|| bad("kind"))?,
            target,
            options: json(row, 9, &format!("task {id}: options"))?,
            display_name: text(10)?,
            description: text(11)?,
            source: match source {
                Some(word) => Some(Source::read(&word).ok_or_else(|| bad("source"))?),
                None => None,
            },
            guided_because: maybe(13)?,
            state: TaskState::read(&text(14)?).ok_or_else(|| bad("state"))?,
            run: column(row, 15)?,
            closed: match moment(row, 16)? {
                Some(at) => Some((at, maybe(17)?.unwrap_or_default(), maybe(18)?)),
                None => None,
            },
            verified: moment(row, 19)?,
            undo_of: column::<Option<i64>>(row, 20)?.map(TaskId),
            published: moment(row, 21)?,
            created_by: text(22)?,
            created: Timestamp::from_micros(column(row, 23)?),
            updated_by: text(24)?,
            updated: Timestamp::from_micros(column(row, 25)?),
        })
    }

    /// What people call it in a log: what is done to what.
    #[must_use]
    pub fn object(&self) -> String {
        self.target.as_ref().map_or_else(String::new, |target| target.name.clone())
    }
}

/// Writes a task, new or known, as changed by the transaction's actor.
pub async fn save_task(tx: &mut Tx, task: &mut Task) -> Result<()> {
    task.updated = tx.next_update();
    task.updated_by.clone_from(&tx.actor().name);
    let target = task.target.as_ref();
    let values: Vec<Sql> = vec![
        task.id.0.into(),
        task.tenant.0.into(),
        task.incident.0.into(),
        task.revision.into(),
        task.kind.word().into(),
        target.map(|target| target.kind.word()).into(),
        target.map(|target| target.key.clone()).into(),
        target.map(|target| target.name.clone()).into(),
        target.and_then(|target| target.device.clone()).into(),
        task.options.to_string().into(),
        task.display_name.clone().into(),
        task.description.clone().into(),
        task.source.map(Source::word).into(),
        task.guided_because.clone().into(),
        task.state.word().into(),
        task.run.into(),
        task.closed.as_ref().map(|(at, ..)| at.micros()).into(),
        task.closed.as_ref().map(|(_, by, _)| by.clone()).into(),
        task.closed.as_ref().and_then(|(.., because)| because.clone()).into(),
        task.verified.map(Timestamp::micros).into(),
        task.undo_of.map(|id| id.0).into(),
        task.published.map(Timestamp::micros).into(),
        task.created_by.clone().into(),
        task.created.micros().into(),
        task.updated_by.clone().into(),
        task.updated.micros().into(),
    ];
    upsert(tx, "task", TASK, values).await
}

/// Inserts a row, or sets all but the first column of the one that is there. The row goes by its
/// first column; `columns` are written with the table's name before them.
async fn upsert(tx: &Transaction, table: &str, columns: &str, values: Vec<Sql>) -> Result<()> {
    let prefix = format!("{table}.");
    let names: Vec<&str> =
        columns.split(", ").map(|name| name.trim().trim_start_matches(&prefix)).collect();
    let marks: Vec<String> = (1..=names.len()).map(|place| format!("${place}")).collect();
    let set: Vec<String> =
        names.iter().skip(1).map(|name| format!("{name} = excluded.{name}")).collect();
    let sql = format!(
        "insert into {table} ({}) values ({}) on conflict ({}) do update set {}",
        names.join(", "),
        marks.join(", "),
        names.first().copied().unwrap_or_default(),
        set.join(", ")
    );
    tx.execute(&sql, values).await?;
    Ok(())
}

/// A task of the transaction's tenant.
pub async fn task(tx: &Tx, id: TaskId) -> Result<Task> {
    let sql = format!("select {TASK} from task where id = $1 and tenant_no = $2");
    let row = tx.query_one(&sql, vec![id.0.into(), tx.tenant().0.into()]).await?;
    row.as_ref().map(Task::from_row).transpose()?.ok_or_else(|| unknown_task(id))
}

/// The refusal for an unknown and for a foreign task.
#[must_use]
pub fn unknown_task(id: TaskId) -> Error {
    Error::NotFound(format!("task {id} does not exist"))
}

/// The tasks of an incident, in the order they were made.
pub async fn tasks_in(tx: &Transaction, incident: IncidentId) -> Result<Vec<Task>> {
    let sql = format!("select {TASK} from task where incident_id = $1 order by id");
    tx.query(&sql, vec![incident.0.into()]).await?.iter().map(Task::from_row).collect()
}

/// The same outside a change.
pub async fn tasks_of(scope: &Scope<'_>, incident: IncidentId) -> Result<Vec<Task>> {
    let sql = format!("select {TASK} from task where incident_id = $1 order by id");
    scope.query(&sql, vec![incident.0.into()]).await?.iter().map(Task::from_row).collect()
}

/// Who wants an action.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Requester {
    /// The name shown.
    pub name: String,
    /// In which part.
    pub kind: ActorKind,
    /// The person, when it is one with a session; its own access counts for an expert, and it never
    /// approves what it wanted.
    pub person: Option<String>,
}

impl Requester {
    /// From which part of the product a managed response's action comes then (MR-21).
    #[must_use]
    pub fn source(&self) -> &'static str {
        match self.kind {
            ActorKind::Expert => super::BY_EXPERTS,
            _ => super::BY_CUSTOMER,
        }
    }

    /// On whose word the action is done.
    #[must_use]
    pub fn authority(&self) -> Authority {
        match self.kind {
            ActorKind::Expert => Authority::Expert { person: self.person.clone() },
            ActorKind::Customer | ActorKind::Integration => Authority::Customer,
            ActorKind::System => Authority::System,
        }
    }
}

/// An action: something to be done once to one target.
#[derive(Clone, Debug)]
pub struct Action {
    /// Its id.
    pub id: ActionId,
    /// Whose it is.
    pub tenant: TenantNo,
    /// For which incident.
    pub incident: Option<IncidentId>,
    /// What is done.
    pub kind: Kind,
    /// What it sets, together with what: one after the other.
    pub family: String,
    /// To what.
    pub target: Target,
    /// What the engine goes by for the target.
    pub target_key: String,
    /// The device whose agent does it.
    pub device: Option<DeviceNo>,
    /// The connector whose product does it, where no agent does.
    pub connector: Option<String>,
    /// When that product is asked next; at once when absent.
    pub next: Option<Timestamp>,
    /// How.
    pub options: Value,
    /// Which wish of the target it is.
    pub generation: i64,
    /// Where it stands.
    pub state: ActionState,
    /// Why it stands there.
    pub reason: Option<String>,
    /// From which part of the product (MR-21).
    pub source: String,
    /// What who wanted it said.
    pub comment: Option<String>,
    /// Who wanted it.
    pub requester: Requester,
    /// When.
    pub requested: Timestamp,
    /// Who agreed, and when.
    pub approved: Option<(String, Timestamp)>,
    /// How long it is worth trying.
    pub deadline: Timestamp,
    /// Grows with each step.
    pub epoch: i64,
    /// How many attempts there were.
    pub attempts: i64,
    /// When it was first sent.
    pub started: Option<Timestamp>,
    /// When it came to its end.
    pub ended: Option<Timestamp>,
    /// What it is at.
    pub progress: Option<Value>,
    /// What it found.
    pub found: Option<Value>,
    /// What was read of the thing in the end.
    pub read_back: Option<Value>,
    /// The action it takes back.
    pub undo_of: Option<ActionId>,
    /// When it last changed.
    pub updated: Timestamp,
}

/// The columns [`Action::from_row`] expects, in order.
pub const ACTION: &str = "action.id, action.tenant_no, action.incident_id, action.kind, \
    action.family, action.target_kind, action.target_key, action.target_name, action.device_no, \
    action.options, action.generation, action.state, action.reason, action.source, \
    action.comment, action.requested_by, action.requested_kind, action.requested_person, \
    action.requested_at, action.approved_by, action.approved_at, action.deadline_at, \
    action.epoch, action.attempts, action.started_at, action.ended_at, action.progress, \
    action.found, action.read_back, action.undo_of, action.updated_at, action.connector_id, \
    action.next_at";

/// The user that an action on one is done to, in lower case: what is behind `device:<UUID> ` or
/// `user:`.
pub const USER: &str = "lower(case when action.target_key like 'device:%' \
    then substr(action.target_key, 45) else substr(action.target_key, 6) end)";

/// `device:<id> <what>`: what the engine goes by says the device and, for things on it, which; of a
/// mail `mailbox:<address> <mail>`. Gives the device, the mailbox and the thing.
fn split_key(key: &str) -> (Option<String>, Option<String>, String) {
    if let Some((mailbox, mail)) = key.strip_prefix("mailbox:").and_then(|it| it.split_once(' ')) {
        return (None, Some(mailbox.to_owned()), mail.to_owned());
    }
    match key.strip_prefix("device:") {
        Some(rest) => match rest.split_once(' ') {
            Some((device, thing)) => (Some(device.to_owned()), None, thing.to_owned()),
            None => (Some(rest.to_owned()), None, rest.to_owned()),
        },
        None => (None, None, key.strip_prefix("user:").unwrap_or(key).to_owned()),
    }
}

/// What the engine goes by for a mail in a mailbox: neither of the two has a blank in it.
#[must_use]
pub fn mail_key(mailbox: &str, mail: &str) -> String {
    format!("mailbox:{mailbox} {mail}")
}

/// What the engine goes by for a user of a directory: one account, whoever carries it out.
#[must_use]
pub fn user_key(user: &str) -> String {
    format!("user:{}", user.trim().to_lowercase())
}

/// What the engine goes by for a target on a device.
#[must_use]
pub fn engine_key(device: &str, target: &Target) -> String {
    match target.kind {
        TargetKind::Device => format!("device:{device}"),
        _ => format!("device:{device} {}", target.key.trim()),
    }
}

impl Action {
    /// What an approval is bound to: a hash over everything that decides what would be done.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        use sha2::{Digest, Sha256};
        let exact = serde_json::json!([
            self.id,
            self.kind.word(),
            self.target_key,
            self.target.kind.word(),
            self.options,
            self.generation,
            self.requester.name,
            self.undo_of,
        ]);
        hex::encode(Sha256::digest(exact.to_string()))
    }

    /// An action from a row of [`ACTION`].
    pub fn from_row(row: &QueryResult) -> Result<Self> {
        let id: i64 = column(row, 0)?;
        let bad = |what: &str| Error::Internal(format!("action {id}: {what} is damaged"));
        let text = |index: usize| column::<String>(row, index);
        let maybe = |index: usize| column::<Option<String>>(row, index);
        let damaged = format!("action {id}");
        let target_key = text(6)?;
        let (device, mailbox, key) = split_key(&target_key);
        Ok(Self {
            id: ActionId(id),
            tenant: TenantNo(column(row, 1)?),
            incident: column::<Option<i64>>(row, 2)?.map(IncidentId),
            kind: Kind::read(&text(3)?).ok_or_else(|| bad("kind"))?,
            family: text(4)?,
            target: Target {
                kind: TargetKind::read(&text(5)?).ok_or_else(|| bad("target"))?,
                key,
                name: text(7)?,
                device,
                mailbox,
            },
            target_key,
            device: column::<Option<i64>>(row, 8)?.map(DeviceNo),
            options: json(row, 9, &damaged)?,
            generation: column(row, 10)?,
            state: ActionState::read(&text(11)?).ok_or_else(|| bad("state"))?,
            reason: maybe(12)?,
            source: text(13)?,
            comment: maybe(14)?,
            requester: Requester {
                name: text(15)?,
                kind: ActorKind::read(&text(16)?).ok_or_else(|| bad("requested_kind"))?,
                person: maybe(17)?,
            },
            requested: Timestamp::from_micros(column(row, 18)?),
            approved: maybe(19)?.zip(moment(row, 20)?),
            deadline: Timestamp::from_micros(column(row, 21)?),
            epoch: column(row, 22)?,
            attempts: column(row, 23)?,
            started: moment(row, 24)?,
            ended: moment(row, 25)?,
            progress: json_or_none(row, 26, &damaged)?,
            found: json_or_none(row, 27, &damaged)?,
            read_back: json_or_none(row, 28, &damaged)?,
            undo_of: column::<Option<i64>>(row, 29)?.map(ActionId),
            updated: Timestamp::from_micros(column(row, 30)?),
            connector: maybe(31)?,
            next: moment(row, 32)?,
        })
    }
}

/// Writes an action, new or known. Each writing has an epoch of its own.
pub async fn save_action(tx: &mut Tx, action: &mut Action) -> Result<()> {
    action.updated = tx.now();
    action.epoch += 1;
    let some = |value: &Option<Value>| value.as_ref().map(ToString::to_string);
    let values: Vec<Sql> = vec![
        action.id.0.into(),
        action.tenant.0.into(),
        action.incident.map(|id| id.0).into(),
        action.kind.word().into(),
        action.family.clone().into(),
        action.target.kind.word().into(),
        action.target_key.clone().into(),
        action.target.name.clone().into(),
        action.device.map(|no| no.0).into(),
        action.options.to_string().into(),
        action.generation.into(),
        action.state.word().into(),
        action.reason.clone().into(),
        action.source.clone().into(),
        action.comment.clone().into(),
        action.requester.name.clone().into(),
        action.requester.kind.word().into(),
        action.requester.person.clone().into(),
        action.requested.micros().into(),
        action.approved.as_ref().map(|(by, _)| by.clone()).into(),
        action.approved.as_ref().map(|(_, at)| at.micros()).into(),
        action.deadline.micros().into(),
        action.epoch.into(),
        action.attempts.into(),
        action.started.map(Timestamp::micros).into(),
        action.ended.map(Timestamp::micros).into(),
        some(&action.progress).into(),
        some(&action.found).into(),
        some(&action.read_back).into(),
        action.undo_of.map(|id| id.0).into(),
        action.updated.micros().into(),
        action.connector.clone().into(),
        action.next.map(Timestamp::micros).into(),
    ];
    upsert(tx, "action", ACTION, values).await
}

/// An action of the transaction's tenant.
pub async fn action(tx: &Tx, id: ActionId) -> Result<Action> {
    let sql = format!("select {ACTION} from action where id = $1 and tenant_no = $2");
    let row = tx.query_one(&sql, vec![id.0.into(), tx.tenant().0.into()]).await?;
    row.as_ref().map(Action::from_row).transpose()?.ok_or_else(|| unknown_action(id))
}

/// The refusal for an unknown and for a foreign action.
#[must_use]
pub fn unknown_action(id: ActionId) -> Error {
    Error::NotFound(format!("action {id} does not exist"))
}

/// The condition that an action has not come to its end: `ActionState::is_open` in SQL.
pub const OPEN: &str =
    "action.state in ('proposed', 'approved', 'started', 'unknown', 'needsHuman')";

/// The device of an action, when it has one that is known.
pub async fn device_of(tx: &Transaction, action: &Action) -> Result<Option<Device>> {
    match action.device {
        Some(no) => asset::load_in(tx, no).await,
        None => Ok(None),
    }
}

/// The open actions on a target of a family, the oldest first.
pub async fn open_actions(tx: &Tx, target_key: &str, family: &str) -> Result<Vec<Action>> {
    let sql = format!(
        "select {ACTION} from action where tenant_no = $1 and target_key = $2 and family = $3 \
         and {OPEN} order by id"
    );
    let values = vec![tx.tenant().0.into(), target_key.into(), family.into()];
    tx.query(&sql, values).await?.iter().map(Action::from_row).collect()
}

/// The actions of a task's newest run, in the order they were asked for.
pub async fn actions_of_task(tx: &Transaction, task: TaskId, run: i64) -> Result<Vec<Action>> {
    let sql = format!(
        "select {ACTION} from action join task_action on task_action.action_id = action.id \
         where task_action.task_id = $1 and task_action.run = $2 order by action.id"
    );
    tx.query(&sql, vec![task.0.into(), run.into()]).await?.iter().map(Action::from_row).collect()
}

/// The actions of all runs of a task.
pub async fn actions_ever(tx: &Transaction, task: TaskId) -> Result<Vec<ActionId>> {
    let sql = "select action_id from task_action where task_id = $1 order by action_id";
    let rows = tx.query(sql, vec![task.0.into()]).await?;
    rows.iter().map(|row| Ok(ActionId(column(row, 0)?))).collect()
}

/// The tasks whose newest run an action belongs to.
pub async fn tasks_of_action(tx: &Transaction, action: ActionId) -> Result<Vec<Task>> {
    let sql = format!(
        "select {TASK} from task join task_action on task_action.task_id = task.id and \
         task_action.run = task.run where task_action.action_id = $1 order by task.id"
    );
    tx.query(&sql, vec![action.0.into()]).await?.iter().map(Task::from_row).collect()
}

/// One try at an action.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Which try.
    pub number: i64,
    /// The order's id.
    pub order: String,
    /// The agent it was for.
    pub agent: Option<String>,
    /// What was sent.
    pub sent: String,
    /// When it was written that it is about to be sent.
    pub started: Timestamp,
    /// From when it is no longer to be begun.
    pub expires: Timestamp,
    /// When an answer came.
    pub answered: Option<Timestamp>,
    /// What came back.
    pub answer: Option<Value>,
    /// What was read of the thing.
    pub read_back: Option<Value>,
    /// What became of it.
    pub outcome: Option<String>,
}

const ATTEMPT: &str = "attempt.number, attempt.order_id, attempt.agent_id, attempt.sent, \
    attempt.started_at, attempt.expires_at, attempt.answered_at, attempt.answer, \
    attempt.read_back, attempt.outcome";

impl Attempt {
    fn from_row(row: &QueryResult) -> Result<Self> {
        Ok(Self {
            number: column(row, 0)?,
            order: column(row, 1)?,
            agent: column(row, 2)?,
            sent: column(row, 3)?,
            started: Timestamp::from_micros(column(row, 4)?),
            expires: Timestamp::from_micros(column(row, 5)?),
            answered: moment(row, 6)?,
            answer: json_or_none(row, 7, "an attempt's answer")?,
            read_back: json_or_none(row, 8, "an attempt's reading")?,
            outcome: column(row, 9)?,
        })
    }
}

/// The newest attempt at an action.
pub async fn last_attempt(tx: &Transaction, action: ActionId) -> Result<Option<Attempt>> {
    let sql =
        format!("select {ATTEMPT} from attempt where action_id = $1 order by number desc limit 1");
    tx.query_one(&sql, vec![action.0.into()]).await?.as_ref().map(Attempt::from_row).transpose()
}

/// Every attempt at an action.
pub async fn attempts_of(scope: &Scope<'_>, action: ActionId) -> Result<Vec<Attempt>> {
    let sql = format!("select {ATTEMPT} from attempt where action_id = $1 order by number");
    scope.query(&sql, vec![action.0.into()]).await?.iter().map(Attempt::from_row).collect()
}

/// The action and the attempt an order is of.
pub async fn of_order(tx: &Tx, order: &str) -> Result<Option<(ActionId, Attempt)>> {
    let sql = format!("select {ATTEMPT}, attempt.action_id from attempt where order_id = $1");
    let Some(row) = tx.query_one(&sql, vec![order.into()]).await? else { return Ok(None) };
    Ok(Some((ActionId(column(&row, 10)?), Attempt::from_row(&row)?)))
}

/// Writes a new attempt.
pub async fn add_attempt(
    tx: &Transaction,
    action: ActionId,
    attempt: &Attempt,
    run: &str,
) -> Result<()> {
    tx.execute(
        "insert into attempt (action_id, number, order_id, agent_id, run, sent, started_at, \
         expires_at) values ($1, $2, $3, $4, $5, $6, $7, $8)",
        vec![
            action.0.into(),
            attempt.number.into(),
            attempt.order.clone().into(),
            attempt.agent.clone().into(),
            run.into(),
            attempt.sent.clone().into(),
            attempt.started.micros().into(),
            attempt.expires.micros().into(),
        ],
    )
    .await?;
    Ok(())
}

/// Writes what became of an attempt.
pub async fn close_attempt(
    tx: &Tx,
    action: ActionId,
    number: i64,
    outcome: &str,
    answer: Option<&Value>,
    read_back: Option<&Value>,
) -> Result<()> {
    tx.execute(
        "update attempt set answered_at = $3, outcome = $4, answer = $5, read_back = $6 \
         where action_id = $1 and number = $2",
        vec![
            action.0.into(),
            number.into(),
            tx.now().micros().into(),
            outcome.into(),
            answer.map(ToString::to_string).into(),
            read_back.map(ToString::to_string).into(),
        ],
    )
    .await?;
    Ok(())
}

/// Writes what was read of the thing in the end, beside what was answered.
pub async fn read_attempt(
    tx: &Tx,
    action: ActionId,
    number: i64,
    outcome: &str,
    read_back: Option<&Value>,
) -> Result<()> {
    tx.execute(
        "update attempt set outcome = $3, read_back = $4 where action_id = $1 and number = $2",
        vec![
            action.0.into(),
            number.into(),
            outcome.into(),
            read_back.map(ToString::to_string).into(),
        ],
    )
    .await?;
    Ok(())
}

/// How often an action was sent and may have happened: what a product said it did not begin is
/// none.
pub async fn times_sent(tx: &Tx, action: ActionId) -> Result<i64> {
    let sql = "select count(*) from attempt where action_id = $1 \
               and (outcome is null or outcome <> 'refused')";
    let row = tx.query_one(sql, vec![action.0.into()]).await?;
    row.map_or(Ok(0), |row| column(&row, 0))
}

/// A managed response to an incident, one revision of it.
#[derive(Clone, Debug)]
pub struct Response {
    /// Which revision, from 1.
    pub revision: i64,
    /// When and by whom it was published; the experts still write it when absent.
    pub published: Option<(Timestamp, String)>,
    /// Who published it, in JSON as the incident's state keeps it.
    pub publisher: Option<Value>,
    /// The investigation summary.
    pub summary: Option<String>,
    /// Threat or not.
    pub classification: Classification,
    /// Of which kind.
    pub determination: Determination,
    /// When, by whom and why the customer sent it back.
    pub rejected: Option<(Timestamp, String, String)>,
}

const RESPONSE: &str = "revision, published_at, published_by, publisher, summary, \
    classification, determination, rejected_at, rejected_by, rejected_because";

impl Response {
    fn from_row(row: &QueryResult) -> Result<Self> {
        let bad = |what: &str| Error::Internal(format!("table response: {what} is damaged"));
        let code = |index| column::<i64>(row, index).map(|code| code as i16);
        let rejected = match moment(row, 7)? {
            Some(at) => Some((
                at,
                column::<Option<String>>(row, 8)?.unwrap_or_default(),
                column::<Option<String>>(row, 9)?.unwrap_or_default(),
            )),
            None => None,
        };
        Ok(Self {
            revision: column(row, 0)?,
            published: moment(row, 1)?.zip(column::<Option<String>>(row, 2)?),
            publisher: json_or_none(row, 3, "table response: publisher")?,
            summary: column(row, 4)?,
            classification: Classification::from_code(code(5)?)
                .ok_or_else(|| bad("classification"))?,
            determination: Determination::from_code(code(6)?)
                .ok_or_else(|| bad("determination"))?,
            rejected,
        })
    }
}

/// Every revision of the response to an incident, the oldest first.
pub async fn responses_in(tx: &Transaction, incident: IncidentId) -> Result<Vec<Response>> {
    let sql = format!("select {RESPONSE} from response where incident_id = $1 order by revision");
    tx.query(&sql, vec![incident.0.into()]).await?.iter().map(Response::from_row).collect()
}

/// The same outside a change.
pub async fn responses_of(scope: &Scope<'_>, incident: IncidentId) -> Result<Vec<Response>> {
    let sql = format!("select {RESPONSE} from response where incident_id = $1 order by revision");
    scope.query(&sql, vec![incident.0.into()]).await?.iter().map(Response::from_row).collect()
}

/// Writes a revision, new or known.
pub async fn save_response(tx: &Tx, incident: IncidentId, it: &Response) -> Result<()> {
    tx.execute(
        "insert into response (incident_id, tenant_no, revision, published_at, published_by, \
         publisher, summary, classification, determination, rejected_at, rejected_by, \
         rejected_because) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) \
         on conflict (incident_id, revision) do update set published_at = excluded.published_at, \
         published_by = excluded.published_by, publisher = excluded.publisher, \
         summary = excluded.summary, classification = excluded.classification, \
         determination = excluded.determination, rejected_at = excluded.rejected_at, \
         rejected_by = excluded.rejected_by, rejected_because = excluded.rejected_because",
        vec![
            incident.0.into(),
            tx.tenant().0.into(),
            it.revision.into(),
            it.published.as_ref().map(|(at, _)| at.micros()).into(),
            it.published.as_ref().map(|(_, by)| by.clone()).into(),
            it.publisher.as_ref().map(ToString::to_string).into(),
            it.summary.clone().into(),
            i64::from(it.classification.code()).into(),
            i64::from(it.determination.code()).into(),
            it.rejected.as_ref().map(|(at, ..)| at.micros()).into(),
            it.rejected.as_ref().map(|(_, by, _)| by.clone()).into(),
            it.rejected.as_ref().map(|(.., because)| because.clone()).into(),
        ],
    )
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_condition_for_open_actions_names_the_open_states_and_no_others() {
        for state in ActionState::all() {
            assert_eq!(OPEN.contains(&format!("'{}'", state.word())), state.is_open(), "{state:?}");
        }
    }
}
