//! What can be done on a device: a file an action, each with what it does, how it is read back and
//! how it is taken back.
//!
//! Always: what is reported as read back was read from the system after the deed, and an action
//! whose read-back is not what was asked for is taken back and has failed.
//!
//! Not here: whether an order may be carried out (`order`), that it is carried out once (`carry`).

pub(crate) mod guard;
pub(crate) mod isolate;

use std::sync::atomic::AtomicBool;
use std::time::Instant;

use riposte_wire::{Action, Outcome};
use serde_json::{Value, json};

use crate::agent::Agent;
use crate::clock;
use crate::fault::{Fault, Result};
use crate::lock::lock;
use crate::watch;

/// What became of an action.
#[derive(Debug)]
pub(crate) struct Done {
    /// What became of it.
    pub(crate) outcome: Outcome,
    /// What was read from the system afterwards.
    pub(crate) read_back: Option<Value>,
    /// What it found.
    pub(crate) found: Option<Value>,
}

impl Done {
    /// Done and read back.
    pub(crate) fn well(read_back: Value) -> Self {
        Self { outcome: Outcome::Succeeded, read_back: Some(read_back), found: None }
    }

    /// Not done.
    pub(crate) fn failed(reason: impl Into<String>) -> Self {
        let outcome = Outcome::Failed { reason: reason.into() };
        Self { outcome, read_back: None, found: None }
    }

    /// With what it found.
    pub(crate) fn with(self, found: Value) -> Self {
        Self { found: Some(found), ..self }
    }

    /// With what was read from the system.
    pub(crate) fn reading(self, read_back: Option<Value>) -> Self {
        Self { read_back, ..self }
    }
}

/// The order that an action is part of.
#[derive(Debug)]
pub(crate) struct Work<'a> {
    /// Its id.
    pub(crate) order: &'a str,
    /// When it began.
    pub(crate) began: i64,
    /// Set when it is to stop.
    pub(crate) cancel: &'a AtomicBool,
}

/// Carries an action out.
pub(crate) fn perform(agent: &Agent, action: &Action, work: &Work<'_>) -> Done {
    let done = match action {
        Action::Isolate { mode, allow, release_when_cut_off_s, until } => {
            let plan = isolate::Plan {
                mode: *mode,
                allow: allow.clone(),
                since: work.began,
                order: work.order.to_owned(),
                until: *until,
                release_when_cut_off_s: *release_when_cut_off_s,
                server: agent.addresses.known(),
            };
            isolate::apply(&agent.data, &plan).and_then(|()| isolate::read_back()).map(Done::well)
        }
        Action::Release => {
            isolate::release(&agent.data).and_then(|()| isolate::read_back()).map(Done::well)
        }
        _ => Err(Fault::new("not yet")),
    };
    done.unwrap_or_else(|e| {
        let read_back = read_back(agent, action);
        Done::failed(e.to_string()).reading(read_back)
    })
}

/// How the device is now in respect of an action, in the shape of its read-back.
pub(crate) fn read_back(agent: &Agent, action: &Action) -> Option<Value> {
    let _ = (agent, json!(null));
    let read: Result<Value> = match action {
        Action::Isolate { .. } | Action::Release => isolate::read_back(),
        _ => return None,
    };
    match read {
        Ok(read) => Some(read),
        Err(e) => {
            tracing::warn!("cannot read back {}: {e}", action.word());
            None
        }
    }
}

/// Brings into force, at a start, what must be.
pub(crate) fn put_in_force(agent: &Agent) {
    // What ended while the agent was away must not come back for a moment.
    end_what_is_over(agent);
    match isolate::enforce(&agent.data) {
        Ok(true) => tracing::info!("the isolation is in force again"),
        Ok(false) => {}
        Err(e) => tracing::error!("the isolation cannot be put in force: {e}"),
    }
}

/// Whether something must be looked after now. Cheap: it is asked every second.
pub(crate) fn needs_tending(agent: &Agent) -> bool {
    agent.data.isolation().exists()
}

/// Ends what is over and puts back what somebody took away.
pub(crate) fn tend(agent: &Agent) {
    end_what_is_over(agent);
    match isolate::enforce(&agent.data) {
        Ok(true) => {
            tracing::warn!("somebody took the isolation away; it is in force again");
            agent.observe("isolationRestored", "somebody took the isolation away", json!({}));
        }
        Ok(false) => {}
        Err(e) => tracing::error!("the isolation cannot be put in force: {e}"),
    }
}

fn end_what_is_over(agent: &Agent) {
    let contact = *lock(&agent.contact);
    let now = (clock::now(), Instant::now());
    let plan = match isolate::wanted(&agent.data) {
        Ok(plan) => plan,
        Err(e) => return tracing::error!("{e}"),
    };
    let Some(plan) = plan else { return };
    let Some(why) = watch::isolation_over(plan.until, plan.release_when_cut_off_s, &contact, now)
    else {
        return;
    };
    match isolate::release(&agent.data) {
        Ok(()) => {
            tracing::warn!("the isolation was released: {why}");
            agent.observe("released", format!("the isolation was released: {why}"), json!({}));
        }
        Err(e) => tracing::error!("the isolation cannot be released: {e}"),
    }
}
