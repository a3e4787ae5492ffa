//! `/security/incidentTasks`: the tasks of managed responses, once they are published.
//!
//! A draft does not exist here, not even for the expert who wrote it. Not here: which status follows
//! which, and who may bring it about (see `response`).

use std::sync::LazyLock;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use sea_orm::QueryResult;
use serde_json::{Map, Value, json};

use crate::alert::view::Spelling;
use crate::app::App;
use crate::db::column;
use crate::error::{self, Error};
use crate::graph::fields::{TASK_ACTION_STATUS, TASK_RANKS};
use crate::graph::page::Resource;
use crate::graph::write::Shape;
use crate::graph::{Ask, incident, patch};
use crate::http::{Answer, Failure, Site, body, json_response};
use crate::id::TaskId;
use crate::permission::Permission;
use crate::response::catalog::Kind;
use crate::response::store::{self, TASK, TASK_WIDTH, Task};
use crate::response::{self, Source};

const READ: &[Permission] = &[Permission::IncidentRead, Permission::TaskReadWrite];
const WRITE: &[Permission] = &[Permission::IncidentReadWrite, Permission::TaskReadWrite];
const RUN: &[Permission] =
    &[Permission::IncidentReadWrite, Permission::TaskReadWrite, Permission::TaskTakeAction];
/// A task says which incident it is of; what that says is told to who may read incidents.
const READ_INCIDENT: &[Permission] = &[Permission::IncidentRead];

/// Rows of a page, when nobody asks for fewer, and at most.
const PAGE: u64 = 500;

/// The columns [`Shown::from_row`] expects, in order: of tasks with their ranks.
pub static COLUMNS: LazyLock<String> = LazyLock::new(|| format!("{TASK}, task.action_rank"));
/// How many columns [`COLUMNS`] names.
pub const WIDTH: usize = TASK_WIDTH + 1;

/// A task and how far its actions are, as they were at one moment.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The task.
    pub task: Task,
    /// `incidentTaskActionStatus`.
    pub action_status: &'static str,
}

impl Shown {
    /// From a row of [`COLUMNS`].
    pub fn from_row(row: &QueryResult) -> error::Result<Self> {
        let rank: i64 = column(row, TASK_WIDTH)?;
        let word = TASK_ACTION_STATUS.words.iter().find(|(_, known)| i64::from(*known) == rank);
        Ok(Self {
            task: Task::from_row(row)?,
            action_status: word.map_or("unknownFutureValue", |(word, _)| *word),
        })
    }

    /// The task as the contract shows it (MR-4). `incident` is what is said of its incident.
    #[must_use]
    pub fn json(&self, incident: Value, spelling: Spelling<'_>) -> Map<String, Value> {
        let it = &self.task;
        let entry = it.kind.entry();
        // Words of ours come after the sentinel (INC-3).
        let named = entry.listed || spelling.named;
        let action_type = if named { entry.word } else { "unknownFutureValue" };
        let mut out = Map::new();
        for (name, value) in [
            ("@odata.type", json!("#microsoft.graph.security.incidentTask")),
            ("id", json!(it.id)),
            ("displayName", json!(it.display_name)),
            ("description", json!(it.description)),
            ("source", json!(it.source.map_or("unknownFutureValue", Source::contract))),
            ("status", json!(it.state.status())),
            ("actionType", json!(action_type)),
            ("actionStatus", json!(self.action_status)),
            ("responseAction", response_action(it)),
            ("createdByDisplayName", json!(it.created_by)),
            ("createdDateTime", json!(it.created)),
            ("lastModifiedByDisplayName", json!(it.updated_by)),
            ("lastModifiedDateTime", json!(spelling.updated(it.updated))),
            ("incident", incident),
        ] {
            out.insert(name.to_owned(), value);
        }
        out
    }
}

/// `responseAction`: null for guidance and for types that the contract has no such type for (MR-7).
fn response_action(task: &Task) -> Value {
    let (Some(contract), Some(target)) = (task.kind.entry().contract, &task.target) else {
        return Value::Null;
    };
    let mut out = Map::new();
    let kind = format!("#microsoft.graph.security.{contract}");
    out.insert("@odata.type".to_owned(), Value::from(kind));
    out.insert("identifierValue".to_owned(), json!(target.key));
    let option = |name: &str| task.options.get(name).and_then(Value::as_str);
    match task.kind {
        Kind::IsolateDevice => {
            let far = option("isolationType").unwrap_or("full");
            out.insert("isolationType".to_owned(), json!(far));
        }
        Kind::StopAndQuarantineFile => {
            let device = target.device.as_deref().or_else(|| option("deviceId"));
            out.insert("deviceId".to_owned(), json!(device));
        }
        _ => {}
    }
    Value::Object(out)
}

fn id_of(text: &str) -> Result<TaskId, Failure> {
    text.parse().map_err(|()| {
        let shown: String = text.chars().take(64).flat_map(char::escape_debug).collect();
        Failure::new(StatusCode::NOT_FOUND, format!("task {shown} does not exist"))
    })
}

fn shape(ask: &Ask) -> Result<Shape, Failure> {
    let mut nested = None;
    for expand in &ask.options.expand {
        if expand.name.eq_ignore_ascii_case("incident") || expand.name == "*" {
            ask.caller.require(READ_INCIDENT)?;
            let options = expand.options()?;
            if let Some(within) = options.expand.first() {
                let name = &within.name;
                let text = format!("$expand has {name} within incident: ask for the incident");
                return Err(Failure::bad(text));
            }
            nested = Some(Box::new(options));
        }
    }
    Ok(Shape::Task(nested))
}

/// The published task of a path, within reach.
async fn find(site: &Site, ask: &Ask, id: TaskId) -> Result<Task, Failure> {
    let task = response::find(&site.app, &ask.caller, id).await?;
    if task.published.is_none() {
        return Err(store::unknown_task(id).into());
    }
    Ok(task)
}

/// A task that was found, with its actions.
async fn shown(app: &App, task: &Task) -> error::Result<Shown> {
    let ranks: Vec<String> =
        TASK_RANKS.iter().map(|(name, rank)| format!("{rank} as {name}")).collect();
    let sql = format!(
        "select {} from (select task.*, {} from task) as task where task.id = $1",
        *COLUMNS,
        ranks.join(", ")
    );
    let row = app.db.of(task.tenant).query_one(&sql, vec![task.id.0.into()]).await?;
    let row = row.ok_or_else(|| Error::Internal(format!("task {} is gone", task.id)))?;
    Shown::from_row(&row)
}

pub(super) async fn list(State(site): State<Site>, ask: Ask) -> Answer {
    ask.caller.require(READ)?;
    let shape = shape(&ask)?;
    ask.list(&site, shape, None, "security/incidentTasks", PAGE, PAGE).await
}

pub(super) async fn count(State(site): State<Site>, ask: Ask) -> Answer {
    ask.caller.require(READ)?;
    ask.count(&site, Resource::Task, None).await
}

pub(super) async fn get(State(site): State<Site>, Path(id): Path<String>, ask: Ask) -> Answer {
    ask.caller.require(READ)?;
    let shape = shape(&ask)?;
    let task = find(&site, &ask, id_of(&id)?).await?;
    show(&site, &ask, shape, &task).await
}

async fn show(site: &Site, ask: &Ask, shape: Shape, task: &Task) -> Answer {
    let shown = shown(&site.app, task).await?;
    let mut row = ask.writer(site, shape).task(site, &shown).await?;
    let context = ask.context("security/incidentTasks") + "/$entity";
    row.insert("@odata.context".to_owned(), Value::from(context));
    Ok(ask.prefer.applied(json_response(StatusCode::OK, &row)))
}

/// The incident of a task.
pub(super) async fn of(State(site): State<Site>, Path(id): Path<String>, ask: Ask) -> Answer {
    ask.caller.require(READ_INCIDENT)?;
    let task = find(&site, &ask, id_of(&id)?).await?;
    incident::show(&site, &ask, task.incident).await
}

/// Completes, skips, reopens a task or takes it up by hand (MR-5, MR-12).
pub(super) async fn update(
    State(site): State<Site>,
    Path(id): Path<String>,
    ask: Ask,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    ask.caller.require(WRITE)?;
    let (id, shape) = (id_of(&id)?, shape(&ask)?);
    let members = patch::object(body::json(&headers, body, &site.bodies).await?)?;
    let wanted = patch::task(&site.app, &members)?;
    let task = find(&site, &ask, id).await?;
    let Some(wanted) = wanted.filter(|wanted| *wanted != task.state.status()) else {
        return show(&site, &ask, shape, &task).await;
    };
    let (app, caller) = (&site.app, &ask.caller);
    let changed = match wanted {
        "completed" => response::complete(app, caller, id).await,
        "notRelevant" => response::skip(app, caller, id, "").await,
        "open" => response::reopen(app, caller, id).await,
        "inProgress" => response::begin_by_hand(app, caller, id).await,
        _ => {
            let text = "status cannot be set to 'failed': only an action fails";
            return Err(Failure::bad(text));
        }
    };
    let task = find(&site, &ask, id).await?;
    match changed {
        // Somebody else was quicker with the same.
        Err(Error::Conflict(_)) if task.state.status() == wanted => {}
        other => other?,
    }
    show(&site, &ask, shape, &task).await
}

/// Runs a task's action (MR-9, OPP-8). The request says nothing but which task.
pub(super) async fn execute(
    State(site): State<Site>,
    Path(id): Path<String>,
    ask: Ask,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    ask.caller.require(RUN)?;
    let id = id_of(&id)?;
    match body::json(&headers, body, &site.bodies).await? {
        Value::Null => {}
        Value::Object(members) if members.is_empty() => {}
        _ => return Err(Failure::bad("executeResponseAction takes no request body")),
    }
    find(&site, &ask, id).await?;
    response::run(&site.app, &ask.caller, id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
