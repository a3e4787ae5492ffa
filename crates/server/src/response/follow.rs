//! What follows for tasks and the incident when an action or a task changes.
//!
//!   action ended -> its tasks settle -> the incident: handed back (T7), or resolved (T6)
//!
//! All of it in the change that caused it: no moment exists in which a task says *Completed* and the
//! incident still waits for it. Invariant: an incident waits for the customer only while a task is
//! open (INV-2). Not here: whether an action has ended (see `engine`).

use serde_json::Value;

use crate::actor::{Actor, ActorKind};
use crate::db::column;
use crate::error::{Error, Result};
use crate::event::Fact;
use crate::id::{ActionId, IncidentId};
use crate::incident::model::{Finding, OwnerAfter};
use crate::incident::{self, Incident};
use crate::response::model::{self, ActionState, TaskState, TaskStep};
use crate::response::store::{self, Action, Response, Source, Task};
use crate::response::target;
use crate::tx::Tx;
use crate::word::Stage;

/// Where an incident stands; `None` when it is not of this tenant.
pub(super) async fn stage(tx: &Tx, id: IncidentId) -> Result<Option<Stage>> {
    let sql = "select stage from incident where id = $1 and tenant_no = $2";
    let row = tx.query_one(sql, vec![id.0.into(), tx.tenant().0.into()]).await?;
    let Some(row) = row else { return Ok(None) };
    let code: i64 = column(&row, 0)?;
    Stage::from_code(code as i16)
        .map(Some)
        .ok_or_else(|| Error::Internal(format!("incident {id}: stage is damaged")))
}

/// An action has changed: its tasks may have come to their end.
pub(super) async fn action_changed(tx: &mut Tx, id: ActionId) -> Result<()> {
    for task in store::tasks_of_action(tx, id).await? {
        if task.state != TaskState::Running {
            continue;
        }
        let actions = store::actions_of_task(tx, task.id, task.run).await?;
        let states: Vec<ActionState> = actions.iter().map(|action| action.state).collect();
        let mut task = task;
        let Some(step) = model::settled(&states) else {
            // Its action status may be another now: whoever asks for what changed is told.
            store::save_task(tx, &mut task).await?;
            continue;
        };
        task.state = task
            .state
            .after(step, false)
            .map_err(|because| Error::Internal(format!("task {}: {because}", task.id)))?;
        let failed = actions.iter().find(|action| action.state != ActionState::Succeeded);
        let because = failed.map(|action| {
            let why = action.reason.clone().unwrap_or_else(|| action.state.word().to_owned());
            if actions.len() > 1 { format!("{}: {why}", action.target.name) } else { why }
        });
        // A person's word is not a reading.
        let read = actions.iter().all(|action| {
            action
                .read_back
                .as_ref()
                .is_some_and(|read| model::proves(action.kind, &action.options, read) == Some(true))
        });
        let done = task.state == TaskState::Completed;
        task.verified = (done && read).then(|| tx.now());
        let by = actions.first().map_or_else(String::new, |action| action.requester.name.clone());
        task.closed = Some((tx.now(), by, because.clone()));
        store::save_task(tx, &mut task).await?;
        tx.record(Fact::TaskClosed {
            incident: task.incident,
            task: task.id,
            state: task.state.word(),
            because,
            verified: task.verified.is_some(),
        });
        tasks_changed(tx, task.incident).await?;
    }
    Ok(())
}

/// A task of an incident was closed: the incident goes back to the experts when the customer has
/// nothing left to do, and is resolved when nothing was the customer's.
pub(super) async fn tasks_changed(tx: &mut Tx, id: IncidentId) -> Result<()> {
    let (tasks, unseen): (Vec<Task>, Vec<Task>) =
        store::tasks_in(tx, id).await?.into_iter().partition(|task| task.published.is_some());
    if tasks.iter().any(|task| task.state.is_open()) {
        return Ok(());
    }
    let Some(stage) = stage(tx, id).await? else { return Ok(()) };
    match stage {
        Stage::AwaitingCustomer => {
            let incident = incident::one(tx, id).await?;
            take_back(tx, &incident).await
        }
        Stage::InProgress => {
            let guided = tasks.iter().any(|task| task.source == Some(Source::Guided));
            let responses = store::responses_in(tx, id).await?;
            let Some(last) = responses.last() else { return Ok(()) };
            // Experts look at what a customer did before they close; what they did themselves, and
            // what was read back, closes by itself; not while somebody writes more of it.
            let writing = unseen.iter().any(|task| task.state == TaskState::Draft);
            if guided || writing || last.published.is_none() || last.rejected.is_some() {
                return Ok(());
            }
            let incident = incident::one(tx, id).await?;
            finish(tx, &incident, last).await
        }
        _ => Ok(()),
    }
}

/// What nobody approved in time becomes a task of the customer's: the action's own task, or one
/// beside it where that has other devices. Whether there was anything to hand over.
pub(super) async fn hand_over(tx: &mut Tx, action: &Action, because: &str) -> Result<bool> {
    let mut incident = None;
    for mut task in store::tasks_of_action(tx, action.id).await? {
        // What the customer has not seen stays with the experts.
        if task.state != TaskState::Running || task.published.is_none() {
            continue;
        }
        incident = Some(task.incident);
        if store::actions_of_task(tx, task.id, task.run).await?.len() == 1 {
            task.state = task
                .state
                .after(TaskStep::HandOver, false)
                .map_err(|because| Error::Internal(format!("task {}: {because}", task.id)))?;
            task.source = Some(Source::Guided);
            task.guided_because = Some(because.to_owned());
            store::save_task(tx, &mut task).await?;
            tx.record(Fact::TaskReopened { incident: task.incident, task: task.id });
        } else if let Some(channel) = target::channel_of(tx, action).await? {
            super::leave(tx, &task, &[channel], because.to_owned()).await?;
        }
    }
    let Some(id) = incident else { return Ok(false) };
    if stage(tx, id).await? == Some(Stage::InProgress) {
        let responses = store::responses_in(tx, id).await?;
        let last = responses.last().filter(|last| last.rejected.is_none());
        let Some(last) = last.filter(|last| last.published.is_some()) else { return Ok(true) };
        let incident = incident::one(tx, id).await?;
        let finding = finding(last);
        let publisher = last.publisher.as_ref().map_or_else(|| Actor::expert(""), publisher);
        let step = incident.model.clone().hand_over(&finding, 1, &publisher, tx.now());
        let mut step = step.map_err(incident::refused)?;
        step.comments.clear();
        let fact = |id, changes| Fact::IncidentChanged { incident: id, changes };
        incident::apply(tx, &incident, step, fact).await?;
    }
    Ok(true)
}

/// Back to the experts (T7).
pub(super) async fn take_back(tx: &mut Tx, incident: &Incident) -> Result<()> {
    let (actor, at) = (tx.actor().clone(), tx.now());
    let step = incident.model.clone().take_back(&actor, at).map_err(incident::refused)?;
    let fact = |id, changes| Fact::IncidentChanged { incident: id, changes };
    incident::apply(tx, incident, step, fact).await
}

/// Everything the experts took upon themselves is done (T6): as the expert who published it said.
async fn finish(tx: &mut Tx, incident: &Incident, response: &Response) -> Result<()> {
    let finding = finding(response);
    let publisher = response.publisher.as_ref().map_or_else(|| Actor::expert(""), publisher);
    let at = tx.now();
    let step = incident.model.clone().finish_response(&finding, OwnerAfter::Nobody, &publisher, at);
    let mut step = step.map_err(incident::refused)?;
    // It was said when it was published.
    step.comments.clear();
    let fact = |id, changes| Fact::IncidentConcluded { incident: id, changes };
    incident::apply(tx, incident, step, fact).await
}

/// What an expert said of the incident with a response.
fn finding(response: &Response) -> Finding {
    Finding {
        classification: response.classification,
        determination: response.determination,
        summary: response.summary.clone().unwrap_or_default(),
    }
}

/// An expert as a response keeps it.
pub(super) fn kept(actor: &Actor) -> Value {
    serde_json::json!({ "kind": actor.kind.word(), "name": actor.name })
}

fn publisher(kept: &Value) -> Actor {
    let word = |name: &str| kept.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    Actor {
        kind: ActorKind::read(&word("kind")).unwrap_or(ActorKind::Expert),
        name: word("name"),
        address: None,
    }
}
