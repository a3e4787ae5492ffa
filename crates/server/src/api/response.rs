//! `/api/v1/incidents/{id}/response` and `/api/v1/tasks`: managed responses, drafted, published and
//! worked off.

use std::collections::HashMap;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::actor::ActorKind;
use crate::api::action;
use crate::api::incident::{Conclusion, id_of};
use crate::api::sign_in::Nothing;
use crate::api::{May, done, idempotency, nothing, read};
use crate::asset::{Device, inventory};
use crate::error::Result;
use crate::http::{Answer, Failure, Site, json_response};
use crate::id::{ActionId, IncidentId, TaskId};
use crate::incident::{self, Incident};
use crate::permission::Permission;
use crate::response::catalog::{CATALOG, Entry, Kind, Takes, TargetKind};
use crate::response::model::{self, ActionState, TaskState, TaskStep};
use crate::response::{
    self, Action, NewTask, Response, Running, Sends, Source, Task, TaskPatch, instances, order,
    store,
};
use crate::tenant::caller::Caller;
use crate::tenant::stage::{self, Work};
use crate::word::Stage;

fn task_id(text: &str) -> std::result::Result<TaskId, Failure> {
    text.parse().map_err(|()| Failure::new(StatusCode::NOT_FOUND, "the task does not exist"))
}

/// The catalogue of actions (MR-8).
#[utoipa::path(
    get, path = "/api/v1/action-types", tag = "response",
    responses((status = 200, description = "value", body = Object)),
)]
pub(super) async fn types(caller: Caller) -> Answer {
    caller.require(&[Permission::IncidentRead])?;
    let value: Vec<Value> = CATALOG.iter().map(action_type).collect();
    Ok(json_response(StatusCode::OK, &json!({ "value": value })))
}

fn action_type(entry: &Entry) -> Value {
    let options: Vec<Value> = entry
        .options
        .iter()
        .map(|option| {
            let mut shown = json!({
                "name": option.name, "title": option.title, "required": option.required,
                "explains": option.explains,
            });
            let (kind, more) = match option.takes {
                Takes::Choice(words) => {
                    let choices: Vec<Value> = words
                        .iter()
                        .map(|(value, title)| json!({ "value": value, "title": title }))
                        .collect();
                    ("choice", Some(("choices", json!(choices))))
                }
                Takes::Text => ("text", None),
                Takes::Rules => ("rules", None),
                Takes::List => ("list", None),
                Takes::Number(least, most) => ("number", Some(("range", json!([least, most])))),
                Takes::Boolean => ("boolean", None),
            };
            shown["kind"] = json!(kind);
            if let Some((name, value)) = more {
                shown[name] = value;
            }
            shown
        })
        .collect();
    json!({
        "actionType": entry.word,
        "title": entry.title,
        "explains": entry.explains,
        "target": entry.target.word(),
        "oneClick": order::is_one_click(entry.kind),
        "reverse": entry.reverse.map(Kind::word),
        "dangerous": entry.dangerous,
        "options": options,
    })
}

/// Everything about the tasks of one incident, read as it is at one moment.
struct Sheet<'a> {
    site: &'a Site,
    caller: &'a Caller,
    incident: &'a Incident,
    /// Whether each task could be run by the caller.
    running: HashMap<TaskId, Running>,
    /// The actions of each task's newest run.
    actions: HashMap<TaskId, Vec<Action>>,
    /// What else was done lately to the same things.
    overlap: Vec<Action>,
    /// Each task's own actions, of every run.
    own: HashMap<TaskId, Vec<ActionId>>,
    undone: HashMap<TaskId, TaskId>,
    /// Why no response is published at this customer yet.
    held: Option<String>,
}

impl<'a> Sheet<'a> {
    async fn read(
        site: &'a Site,
        caller: &'a Caller,
        incident: &'a Incident,
        tasks: &[Task],
    ) -> Result<Self> {
        let tx = site.app.db.of(incident.tenant).snapshot().await?;
        let mut actions = HashMap::new();
        let mut undone = HashMap::new();
        let mut running = HashMap::new();
        let mut own = HashMap::new();
        for task in tasks {
            own.insert(task.id, store::actions_ever(&tx, task.id).await?);
            running.insert(task.id, response::may_run(&tx, &site.app, caller, task).await?);
            if task.run > 0 {
                let of_task = store::actions_of_task(&tx, task.id, task.run).await?;
                actions.insert(task.id, of_task);
            }
            if task.state == TaskState::Completed
                && let Some(by) = response::undone_by(&tx, task.id).await?
            {
                undone.insert(task.id, by);
            }
        }
        let held = stage::holds_back(&tx, incident.tenant, Work::Guide).await?;
        let since = site.app.clock.now().plus_seconds(-86_400);
        let overlap = action::lately(&tx, incident.tenant, since).await?;
        // The connection goes back before anybody who holds one asks for another.
        drop(tx);
        Ok(Self { site, caller, incident, running, actions, overlap, own, undone, held })
    }

    async fn task(&self, task: &Task) -> Result<Value> {
        let app = &self.site.app;
        let none = Vec::new();
        let actions = self.actions.get(&task.id).unwrap_or(&none);
        let states: Vec<ActionState> = actions.iter().map(|action| action.state).collect();
        let unknown = Running::ByHand(String::new());
        let running = self.running.get(&task.id).unwrap_or(&unknown);
        let mut shown_actions = Vec::with_capacity(actions.len());
        for action in actions {
            shown_actions.push(action::shown(self.site, self.caller, action).await?);
        }
        let own = self.own.get(&task.id).map_or(&[][..], Vec::as_slice);
        let overlap: Vec<Value> = self
            .overlap
            .iter()
            .filter(|other| {
                let same = task.target.as_ref().is_some_and(|target| {
                    other.target.key == target.key
                        || (target.device.is_some() && other.target.device == target.device)
                });
                same && other.kind.entry().family == task.kind.entry().family
                    && !own.contains(&other.id)
            })
            .map(|other| {
                json!({
                    "actionId": other.id, "title": other.kind.entry().title,
                    "state": other.state.word(), "at": other.requested, "source": other.source,
                })
            })
            .collect();
        let draft = task.published.is_none() && task.state == TaskState::Draft;
        let closed = task.closed.as_ref().map(|(at, by, because)| {
            json!({
                "by": by, "at": at, "because": because, "verified": task.verified.is_some(),
            })
        });
        let target = task.target.as_ref().map(|target| {
            json!({
                "kind": target.kind.word(), "id": target.key, "name": target.name,
                "deviceId": target.device,
            })
        });
        Ok(json!({
            "id": task.id,
            "incidentId": task.incident,
            "tenantId": app.tenant_id(task.tenant).await?,
            "state": task.state.word(),
            "status": (!draft).then(|| task.state.status()),
            "actionStatus": model::action_status(task.state, &states),
            "actionType": task.kind.word(),
            "title": task.kind.entry().title,
            "oneClick": !matches!(running, Running::ByHand(_)),
            "displayName": task.display_name,
            "description": task.description,
            "source": task.source.map(Source::contract),
            "target": target,
            "options": task.options,
            "guidedBecause": task.guided_because,
            "closed": closed,
            "undoOf": task.undo_of,
            "undoneBy": self.undone.get(&task.id),
            "createdByDisplayName": task.created_by,
            "createdDateTime": task.created,
            "lastModifiedByDisplayName": task.updated_by,
            "lastModifiedDateTime": task.updated,
            "actions": shown_actions,
            "overlap": overlap,
            "may": self.may(task, running),
        }))
    }

    /// What the caller may do with a task now, and why not.
    fn may(&self, task: &Task, running: &Running) -> Value {
        let caller = self.caller;
        let kind = caller.actor().kind;
        let expert = kind == ActorKind::Expert && caller.may(&[Permission::Experts]);
        let ours = matches!(kind, ActorKind::Customer | ActorKind::Integration);
        let writes =
            ours && caller.may(&[Permission::TaskReadWrite, Permission::IncidentReadWrite]);
        let acts = ours
            && caller.may(&[
                Permission::TaskTakeAction,
                Permission::TaskReadWrite,
                Permission::IncidentReadWrite,
            ]);
        let closed = (!self.incident.model.is_open()).then(|| "the incident is closed".to_owned());
        let step = |step: TaskStep| {
            task.state.after(step, task.verified.is_some()).err().map(str::to_owned)
        };
        let operator = "your role reads tasks and does not work on them";
        let customer = |step_of: TaskStep| {
            let who = if ours && !writes { Some(operator.to_owned()) } else { None };
            let whose = (!ours).then(|| "this is for the customer to say".to_owned());
            May::unless(who.or(whose).or(step(step_of)).or(closed.clone()))
        };
        let run = if !expert && !acts {
            Some(operator.to_owned())
        } else {
            step(TaskStep::Run).or(closed.clone()).or(match running {
                Running::Can => None,
                Running::ByHand(reason) | Running::NotCleared(reason) => Some(reason.clone()),
            })
        };
        let undo = if task.kind.entry().reverse.is_none() {
            Some("nothing takes this back".to_owned())
        } else if task.state != TaskState::Completed || task.verified.is_none() {
            Some("only what was done can be undone".to_owned())
        } else if self.undone.contains_key(&task.id) {
            Some("it is being undone or was undone already".to_owned())
        } else if !expert && !acts {
            Some(operator.to_owned())
        } else {
            match running {
                Running::Can => None,
                Running::ByHand(reason) | Running::NotCleared(reason) => Some(reason.clone()),
            }
        };
        let draft = if !expert {
            Some("only the provider's experts do this".to_owned())
        } else if task.state != TaskState::Draft {
            Some("it is no draft any more".to_owned())
        } else {
            None
        };
        let waiting = self.actions.get(&task.id).is_some_and(|actions| {
            actions
                .iter()
                .any(|it| matches!(it.state, ActionState::Proposed | ActionState::Approved))
        });
        let cancel = if !expert && !acts {
            Some(operator.to_owned())
        } else {
            (!waiting).then(|| "nothing of it waits to be sent".to_owned())
        };
        json!({
            "run": May::unless(run),
            "begin": customer(TaskStep::Begin),
            "complete": customer(TaskStep::Complete),
            "skip": customer(TaskStep::Skip),
            "reopen": customer(TaskStep::Reopen),
            "undo": May::unless(undo),
            "edit": May::unless(draft.clone()),
            "remove": May::unless(draft),
            "cancel": May::unless(cancel),
        })
    }
}

/// The managed response to an incident: what is drafted, pending and completed.
#[utoipa::path(
    get, path = "/api/v1/incidents/{id}/response", tag = "response",
    params(("id" = String, Path, description = "the incident's id")),
    responses((status = 200, description = "the response", body = Object)),
)]
pub(super) async fn get(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
) -> Answer {
    caller.require(&[Permission::IncidentRead])?;
    show(&site, &caller, id_of(&id)?).await
}

async fn show(site: &Site, caller: &Caller, id: IncidentId) -> Answer {
    let incident = incident::find(&site.app, caller, id).await?;
    let scope = site.app.db.of(incident.tenant);
    let tasks = store::tasks_of(&scope, id).await?;
    let responses = store::responses_of(&scope, id).await?;
    let expert = caller.actor().kind == ActorKind::Expert;
    let sheet = Sheet::read(site, caller, &incident, &tasks).await?;
    let (mut drafts, mut pending, mut completed) = (Vec::new(), Vec::new(), Vec::new());
    for task in &tasks {
        if task.published.is_none() {
            if expert {
                drafts.push(sheet.task(task).await?);
            }
        } else if task.state.is_open() {
            pending.push(sheet.task(task).await?);
        } else {
            completed.push(sheet.task(task).await?);
        }
    }
    let published: Option<&Response> = responses.iter().rfind(|it| it.published.is_some());
    let writing = responses.iter().rfind(|it| it.published.is_none());
    let stage = incident.model.state.stage();
    let ready = stage == Stage::InProgress
        && published.is_some_and(|it| it.rejected.is_none())
        && pending.is_empty()
        && drafts.is_empty();
    let rejected = published.and_then(|it| it.rejected.as_ref());
    let body = json!({
        "incidentId": id,
        "revision": published.map_or(0, |it| it.revision),
        "summary": published.and_then(|it| it.summary.clone()),
        "draftSummary": writing.filter(|_| expert).and_then(|it| it.summary.clone()),
        "classification": published.map(|it| it.classification.word()),
        "determination": published.map(|it| it.determination.word()),
        "publishedDateTime": published.and_then(|it| it.published.as_ref()).map(|(at, _)| *at),
        "publishedBy": published.and_then(|it| it.published.as_ref()).map(|(_, by)| by.clone()),
        "rejected": rejected.map(|(at, by, because)| {
            json!({ "by": by, "at": at, "because": because })
        }),
        "conversationId": published.map(|_| crate::conversation::of_incident(id)),
        "readyToClose": ready,
        "drafts": drafts,
        "pending": pending,
        "completed": completed,
        "may": may(caller, stage, published, sheet.held.clone()),
    });
    Ok(json_response(StatusCode::OK, &body))
}

/// What the caller may do with a response; `held` says why none is published there yet.
fn may(caller: &Caller, stage: Stage, published: Option<&Response>, held: Option<String>) -> Value {
    let kind = caller.actor().kind;
    let expert = kind == ActorKind::Expert && caller.may(&[Permission::Experts]);
    let expert = (!expert).then(|| "only the provider's experts do this".to_owned());
    let stages = |allowed: &[Stage]| {
        let because = match stage {
            Stage::New | Stage::LeftOut | Stage::Queued => "nobody has taken it up yet",
            Stage::InProgress => "it is with the experts",
            Stage::AwaitingCustomer => "it waits for the customer",
            Stage::Resolved => "it is resolved",
            Stage::Redirected => "it was merged into another incident",
        };
        (!allowed.contains(&stage)).then(|| because.to_owned())
    };
    let writes = caller.may(&[Permission::TaskReadWrite, Permission::IncidentReadWrite]);
    let reject = match kind {
        ActorKind::Customer | ActorKind::Integration if !writes => {
            Some("your role reads tasks and does not work on them".to_owned())
        }
        ActorKind::Customer | ActorKind::Integration => {
            let nothing = published.is_none().then(|| "there is no response".to_owned());
            nothing.or(stages(&[Stage::AwaitingCustomer]))
        }
        _ => Some("this is for the customer to say".to_owned()),
    };
    let working = stages(&[Stage::InProgress, Stage::AwaitingCustomer]);
    json!({
        "draft": May::unless(expert.clone().or(working.clone())),
        "saveSummary": May::unless(expert.clone().or(working.clone())),
        "publish": May::unless(expert.or(held).or(working)),
        "reject": May::unless(reject),
    })
}

/// A summary as far as it is written.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Summary {
    /// Markdown, at most 30,000 characters.
    summary: String,
}

/// Keeps the investigation summary as far as it is written; only the experts see it.
#[utoipa::path(
    put, path = "/api/v1/incidents/{id}/response/summary", tag = "response",
    request_body = Summary, params(("id" = String, Path, description = "the incident's id")),
    responses((status = 200, description = "the response", body = Object)),
)]
pub(super) async fn save_summary(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::Experts])?;
    let id = id_of(&id)?;
    let (said, _) = read::<Summary>(&site, &headers, body).await?;
    response::save_summary(&site.app, &caller, id, &said.summary).await?;
    show(&site, &caller, id).await
}

/// What is acted on.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TargetGiven {
    /// `device`, `file`, `user`, `mail`, `indicator`, `app` or `process`.
    kind: String,
    /// A device's id or name, a file's SHA-256 or path, a user's name, an indicator …
    id: String,
}

/// A task as an expert drafts it.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct TaskGiven {
    action_type: String,
    target: Option<TargetGiven>,
    display_name: Option<String>,
    description: Option<String>,
    #[serde(default)]
    #[schema(value_type = Object)]
    options: Value,
}

/// Drafts a task: only the experts see it until it is published.
#[utoipa::path(
    post, path = "/api/v1/incidents/{id}/tasks", tag = "response", request_body = TaskGiven,
    params(("id" = String, Path, description = "the incident's id")),
    responses((status = 201, description = "the task", body = Object), (status = 409)),
)]
pub(super) async fn draft(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::Experts])?;
    let id = id_of(&id)?;
    let (given, bytes) = read::<TaskGiven>(&site, &headers, body).await?;
    let kind = Kind::read(&given.action_type)
        .ok_or_else(|| Failure::bad("actionType is none of the action types"))?;
    let target = match given.target {
        None => None,
        Some(target) => {
            let kind = TargetKind::read(&target.kind)
                .ok_or_else(|| Failure::bad("target.kind is none of the kinds of targets"))?;
            Some((kind, target.id))
        }
    };
    let new = NewTask {
        kind,
        target,
        display_name: given.display_name,
        description: given.description,
        options: given.options,
    };
    let request = [b"POST tasks".as_slice(), &id.0.to_be_bytes(), &bytes];
    let (app, expert) = (site.app.clone(), caller.clone());
    let work = move |made: Option<String>| async move {
        let task = match made.and_then(|id| id.parse().ok()) {
            Some(known) => known,
            None => response::draft(&site.app, &expert, id, new).await?,
        };
        one(&site, &expert, task, StatusCode::CREATED).await
    };
    Box::pin(idempotency::once_made(&app, &caller, &headers, &request, work)).await
}

async fn one(site: &Site, caller: &Caller, id: TaskId, status: StatusCode) -> Answer {
    let task = response::find(&site.app, caller, id).await?;
    let incident = incident::find(&site.app, caller, task.incident).await?;
    let tasks = [task];
    let sheet = Sheet::read(site, caller, &incident, &tasks).await?;
    let [task] = &tasks;
    Ok(json_response(status, &sheet.task(task).await?))
}

/// One task.
#[utoipa::path(
    get, path = "/api/v1/tasks/{id}", tag = "response",
    params(("id" = String, Path, description = "the task's id")),
    responses((status = 200, description = "the task", body = Object)),
)]
pub(super) async fn get_task(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
) -> Answer {
    caller.require(&[Permission::IncidentRead])?;
    one(&site, &caller, task_id(&id)?, StatusCode::OK).await
}

/// What changes of a draft.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct TaskChange {
    display_name: Option<String>,
    description: Option<String>,
    #[schema(value_type = Option<Object>)]
    options: Option<Value>,
}

/// Changes a draft.
#[utoipa::path(
    patch, path = "/api/v1/tasks/{id}", tag = "response", request_body = TaskChange,
    params(("id" = String, Path, description = "the task's id")),
    responses((status = 200, description = "the task", body = Object), (status = 409)),
)]
pub(super) async fn edit(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::Experts])?;
    let id = task_id(&id)?;
    let (given, _) = read::<TaskChange>(&site, &headers, body).await?;
    let TaskChange { display_name, description, options } = given;
    let patch = TaskPatch { display_name, description, options };
    response::edit(&site.app, &caller, id, patch).await?;
    one(&site, &caller, id, StatusCode::OK).await
}

/// Takes a draft away.
#[utoipa::path(
    delete, path = "/api/v1/tasks/{id}", tag = "response",
    params(("id" = String, Path, description = "the task's id")),
    responses((status = 204), (status = 409)),
)]
pub(super) async fn remove(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
) -> Answer {
    caller.require(&[Permission::Experts])?;
    response::remove(&site.app, &caller, task_id(&id)?).await?;
    Ok(done())
}

/// Publishes the response: each draft becomes the experts' task or the customer's (T5, T6).
#[utoipa::path(
    post, path = "/api/v1/incidents/{id}/publish", tag = "response", request_body = Conclusion,
    params(("id" = String, Path, description = "the incident's id")),
    responses(
        (status = 200, description = "the response", body = Object),
        (status = 409, description = "the incident is not in a state that allows this"),
    ),
)]
pub(super) async fn publish(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::Experts])?;
    let id = id_of(&id)?;
    let (found, bytes) = read::<Conclusion>(&site, &headers, body).await?;
    let finding = found.finding()?;
    let request = [b"POST publish".as_slice(), &id.0.to_be_bytes(), &bytes];
    let (app, expert) = (site.app.clone(), caller.clone());
    let work = move |made: Option<String>| async move {
        if made.is_none() {
            response::publish(&site.app, &expert, id, finding).await?;
        }
        show(&site, &expert, id).await
    };
    Box::pin(idempotency::once_made(&app, &caller, &headers, &request, work)).await
}

/// Why.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Why {
    /// At most 4,000 characters.
    #[serde(default)]
    because: String,
}

/// The customer sends the plan back, with a reason.
#[utoipa::path(
    post, path = "/api/v1/incidents/{id}/response/reject", tag = "response", request_body = Why,
    params(("id" = String, Path, description = "the incident's id")),
    responses((status = 200, description = "the response", body = Object), (status = 409)),
)]
pub(super) async fn reject(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::TaskReadWrite, Permission::IncidentReadWrite])?;
    let id = id_of(&id)?;
    let (said, _) = read::<Why>(&site, &headers, body).await?;
    response::reject(&site.app, &caller, id, &said.because).await?;
    show(&site, &caller, id).await
}

/// Runs a task's action: as the customer, or as an expert who is cleared for it.
#[utoipa::path(
    post, path = "/api/v1/tasks/{id}/run", tag = "response", request_body = Nothing,
    params(("id" = String, Path, description = "the task's id")),
    responses((status = 200, description = "the task", body = Object), (status = 409)),
)]
pub(super) async fn run(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let id = task_id(&id)?;
    caller.require(&[
        Permission::TaskTakeAction,
        Permission::TaskReadWrite,
        Permission::IncidentReadWrite,
        Permission::Experts,
    ])?;
    nothing(&site, &headers, body).await?;
    let request = [b"POST run".as_slice(), &id.0.to_be_bytes()];
    let (app, who) = (site.app.clone(), caller.clone());
    let work = move |made: Option<String>| async move {
        if made.is_none() {
            response::run(&site.app, &who, id).await?;
        }
        one(&site, &who, id, StatusCode::OK).await
    };
    Box::pin(idempotency::once_made(&app, &caller, &headers, &request, work)).await
}

/// The customer takes a task up by hand.
#[utoipa::path(
    post, path = "/api/v1/tasks/{id}/begin", tag = "response", request_body = Nothing,
    params(("id" = String, Path, description = "the task's id")),
    responses((status = 200, description = "the task", body = Object), (status = 409)),
)]
pub(super) async fn begin(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::TaskReadWrite, Permission::IncidentReadWrite])?;
    let id = task_id(&id)?;
    nothing(&site, &headers, body).await?;
    response::begin_by_hand(&site.app, &caller, id).await?;
    one(&site, &caller, id, StatusCode::OK).await
}

/// The customer says that a task is done.
#[utoipa::path(
    post, path = "/api/v1/tasks/{id}/complete", tag = "response", request_body = Nothing,
    params(("id" = String, Path, description = "the task's id")),
    responses((status = 200, description = "the task", body = Object), (status = 409)),
)]
pub(super) async fn complete(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::TaskReadWrite, Permission::IncidentReadWrite])?;
    let id = task_id(&id)?;
    nothing(&site, &headers, body).await?;
    response::complete(&site.app, &caller, id).await?;
    one(&site, &caller, id, StatusCode::OK).await
}

/// The customer will not do a task.
#[utoipa::path(
    post, path = "/api/v1/tasks/{id}/skip", tag = "response", request_body = Why,
    params(("id" = String, Path, description = "the task's id")),
    responses((status = 200, description = "the task", body = Object), (status = 409)),
)]
pub(super) async fn skip(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::TaskReadWrite, Permission::IncidentReadWrite])?;
    let id = task_id(&id)?;
    let (said, _) = read::<Why>(&site, &headers, body).await?;
    response::skip(&site.app, &caller, id, &said.because).await?;
    one(&site, &caller, id, StatusCode::OK).await
}

/// The customer wants a task after all.
#[utoipa::path(
    post, path = "/api/v1/tasks/{id}/reopen", tag = "response", request_body = Nothing,
    params(("id" = String, Path, description = "the task's id")),
    responses((status = 200, description = "the task", body = Object), (status = 409)),
)]
pub(super) async fn reopen(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::TaskReadWrite, Permission::IncidentReadWrite])?;
    let id = task_id(&id)?;
    nothing(&site, &headers, body).await?;
    response::reopen(&site.app, &caller, id).await?;
    one(&site, &caller, id, StatusCode::OK).await
}

/// A remark.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Remark {
    /// At most 4,000 characters.
    #[serde(default)]
    pub(super) comment: String,
}

/// Takes a completed task back with a new one.
#[utoipa::path(
    post, path = "/api/v1/tasks/{id}/undo", tag = "response", request_body = Remark,
    params(("id" = String, Path, description = "the task's id")),
    responses((status = 201, description = "the new task", body = Object), (status = 409)),
)]
pub(super) async fn undo(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[
        Permission::TaskTakeAction,
        Permission::IncidentReadWrite,
        Permission::Experts,
    ])?;
    let id = task_id(&id)?;
    let (said, bytes) = read::<Remark>(&site, &headers, body).await?;
    let request = [b"POST undo".as_slice(), &id.0.to_be_bytes(), &bytes];
    let (app, who) = (site.app.clone(), caller.clone());
    let work = move |made: Option<String>| async move {
        let new = match made.and_then(|id| id.parse().ok()) {
            Some(known) => known,
            None => response::undo(&site.app, &who, id, &said.comment).await?,
        };
        one(&site, &who, new, StatusCode::CREATED).await
    };
    Box::pin(idempotency::once_made(&app, &caller, &headers, &request, work)).await
}

/// Shows what running a task would do: exactly what would be sent to whom, who is signed in there,
/// and what takes it back. Nothing is sent.
#[utoipa::path(
    post, path = "/api/v1/tasks/{id}/preview", tag = "response", request_body = Nothing,
    params(("id" = String, Path, description = "the task's id")),
    responses((status = 200, description = "the preview", body = Object)),
)]
pub(super) async fn preview(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::IncidentRead])?;
    let id = task_id(&id)?;
    nothing(&site, &headers, body).await?;
    let task = response::find(&site.app, &caller, id).await?;
    let shown = response::preview(&site.app, &caller, id).await?;
    let (mut sends, mut signed_in, mut services) = (Vec::new(), Vec::new(), Vec::new());
    for told in &shown.sends {
        let (device, told) = match told {
            Sends::Agent(device, told) => (device, told),
            Sends::Connector(connector, request, mailbox) => {
                sends.push(json!({
                    "connectorId": connector.id, "name": connector.name,
                    "channel": connector.kind.word(), "method": request.method,
                    "path": request.path, "body": request.body, "mailbox": mailbox,
                }));
                continue;
            }
        };
        sends.push(json!({ "deviceId": device.id, "name": device.name, "channel": "agent",
            "online": device.is_online(site.app.clock.now()), "body": told }));
        if let Some((found, _)) = inventory::read(&site.app, device).await? {
            signed_in.extend(of_device(&found, "signed_in", device));
            services.extend(of_device(&found, "ports", device));
        }
    }
    let incident = incident::find(&site.app, &caller, task.incident).await?;
    let tasks = [task];
    let sheet = Sheet::read(&site, &caller, &incident, &tasks).await?;
    let [task] = &tasks;
    let overlap = sheet.task(task).await?.get("overlap").cloned().unwrap_or_default();
    let undo = task.kind.entry().reverse.map(|reverse| reverse.entry().title);
    let warnings = warnings(&site, task).await?;
    let body = json!({
        "sends": sends, "undo": undo, "warnings": warnings, "signedIn": signed_in, "services": services,
        "overlap": overlap, "blockedBecause": shown.blocked, "waitsFor": shown.waits,
    });
    Ok(json_response(StatusCode::OK, &body))
}

/// Why to think twice: of a file, whether it is widely used or of a package (MR-18).
async fn warnings(site: &Site, task: &Task) -> Result<Vec<String>> {
    let Some(target) = &task.target else { return Ok(Vec::new()) };
    if task.kind != Kind::StopAndQuarantineFile {
        return Ok(Vec::new());
    }
    let path = task.options.get("path").and_then(Value::as_str).unwrap_or(&target.key);
    if let Some(sha256) = response::order::hash(&target.key) {
        let mut seen = instances::sightings(&site.app, task.tenant, &sha256).await?;
        if let Some(first) = seen.found.first_mut()
            && path.starts_with('/')
        {
            first.path = Some(path.to_owned());
        }
        return Ok(seen.warnings());
    }
    Ok(instances::of_packages(path).into_iter().collect())
}

/// The first entries of a list of an inventory, each with the device it is of.
fn of_device(inventory: &Value, list: &str, device: &Device) -> Vec<Value> {
    let all = inventory.get(list).and_then(Value::as_array).into_iter().flatten().take(50);
    all.filter_map(|entry| {
        let mut entry = entry.as_object()?.clone();
        entry.insert("deviceId".to_owned(), json!(device.id));
        entry.insert("name".to_owned(), json!(device.name));
        Some(Value::Object(entry))
    })
    .collect()
}
