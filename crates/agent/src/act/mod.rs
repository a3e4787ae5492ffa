//! What can be done on a device: a file an action, each with what it does, how it is read back and
//! how it is taken back.
//!
//! Always: what is reported as read back was read from the system after the deed, and an action
//! whose read-back is not what was asked for is taken back and has failed.
//!
//! Not here: whether an order may be carried out (`order`), that it is carried out once (`carry`).

pub(crate) mod account;
pub(crate) mod attributes;
pub(crate) mod block;
pub(crate) mod gatekeeper;
mod gather;
pub(crate) mod guard;
pub(crate) mod isolate;
pub(crate) mod package;
pub(crate) mod process;
pub(crate) mod quarantine;
pub(crate) mod restore;
pub(crate) mod restrict;
pub(crate) mod scan;
pub(crate) mod upload;

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
    let data = &agent.data;
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
        Action::Quarantine { path, sha256, under } => {
            quarantine::quarantine(data, path.as_deref(), sha256.as_deref(), under, work)
        }
        Action::Restore { sha256 } => restore::restore(data, sha256, work),
        Action::Restrict { allow, until } => {
            let (allow, order) = (allow.clone(), work.order.to_owned());
            restrict::restrict(agent, &restrict::Plan { allow, until: *until, order })
        }
        Action::LiftRestriction => restrict::lift(agent),
        Action::Block { indicators } => block::block(agent, indicators),
        Action::Unblock { indicators } => block::unblock(agent, indicators),
        Action::ListProcesses => Ok(process::list()),
        Action::StopProcess { pid, started } => process::stop(*pid, *started),
        Action::DisableUser { name } => account::disable(data, name),
        Action::EnableUser { name } => account::enable(data, name),
        Action::SignOut { name } => account::sign_out(name),
        Action::Cancel { order } if agent.cancel(order) => Ok(Done::well(json!({}))),
        Action::Cancel { .. } => Err(Fault::new("that order is not under way")),
        Action::Scan { full, rules } => scan::scan(agent, *full, rules, work),
        Action::CollectPackage => package::collect_package(agent, work),
        Action::CollectFile { path } => package::collect_file(agent, path, work),
    };
    done.unwrap_or_else(|e| {
        let read_back = read_back(agent, action);
        Done::failed(e.to_string()).reading(read_back)
    })
}

/// How the device is now in respect of an action, in the shape of its read-back.
pub(crate) fn read_back(agent: &Agent, action: &Action) -> Option<Value> {
    let data = &agent.data;
    let read: Result<Value> = match action {
        Action::Isolate { .. } | Action::Release => isolate::read_back(),
        Action::Quarantine { path, sha256, .. } => {
            Ok(quarantine::read_back(data, path.as_deref(), sha256.as_deref()))
        }
        Action::Restore { sha256 } => Ok(restore::read_back(data, sha256)),
        Action::Restrict { .. } | Action::LiftRestriction => Ok(restrict::read_back(agent)),
        Action::Block { indicators } => Ok(block::read_back(agent, indicators)),
        Action::Unblock { indicators } => Ok(block::read_back_without(agent, indicators)),
        Action::StopProcess { pid, started } => Ok(process::read_back(*pid, *started)),
        Action::DisableUser { name } | Action::EnableUser { name } => Ok(account::read_back(name)),
        Action::SignOut { name } => Ok(account::read_sessions(name)),
        Action::ListProcesses => Ok(json!({"count": process::processes().len()})),
        // What was under way is not on the device; how far it came is not known.
        Action::Scan { .. } => Ok(json!({"finished": false, "files": 0, "hits": 0})),
        Action::CollectPackage | Action::CollectFile { .. } => {
            Ok(json!({"sent": false, "sha256": null, "size": 0}))
        }
        Action::Cancel { .. } => return None,
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
    if let Err(e) = block::enforce(agent) {
        tracing::error!("what must be blocked or restricted cannot be put in force: {e}");
    }
}

/// Whether something is over or was released by another process of ours. Cheap: it is asked every
/// second.
pub(crate) fn is_due(agent: &Agent) -> bool {
    let now = (clock::now(), Instant::now());
    let contact = *lock(&agent.contact);
    let isolation = isolate::wanted(&agent.data).unwrap_or_default().is_some_and(|plan| {
        watch::isolation_over(plan.until, plan.release_when_cut_off_s, &contact, now).is_some()
    });
    let restriction = restrict::wanted(&agent.data).unwrap_or_default();
    isolation
        || restriction.is_some() != restrict::guard_restricts(agent)
        || restriction.is_some_and(|plan| watch::over(plan.until, now.0))
}

/// Whether anything is in force that somebody could take away.
pub(crate) fn is_anything_wanted(agent: &Agent) -> bool {
    let data = &agent.data;
    data.isolation().exists() || data.blocked().exists() || data.execution().exists()
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
    let restricted = restrict::guard_restricts(agent);
    if restrict::wanted(&agent.data).is_ok_and(|plan| plan.is_some() != restricted)
        && let Err(e) = restrict::enforce(agent)
    {
        tracing::error!("the restriction of execution cannot be put in force: {e}");
    }
    match block::tend(agent) {
        Ok(true) => tracing::info!("what is blocked was put in force anew"),
        Ok(false) => {}
        Err(e) => tracing::error!("what must be blocked cannot be put in force: {e}"),
    }
}

fn end_what_is_over(agent: &Agent) {
    let contact = *lock(&agent.contact);
    let now = (clock::now(), Instant::now());
    let isolation = isolate::wanted(&agent.data).unwrap_or_else(|e| {
        tracing::error!("{e}");
        None
    });
    let over = isolation.and_then(|plan| {
        watch::isolation_over(plan.until, plan.release_when_cut_off_s, &contact, now)
    });
    if let Some(why) = over {
        match isolate::release(&agent.data) {
            Ok(()) => {
                tracing::warn!("the isolation was released: {why}");
                agent.observe("released", format!("the isolation was released: {why}"), json!({}));
            }
            Err(e) => tracing::error!("the isolation cannot be released: {e}"),
        }
    }
    let restriction = restrict::wanted(&agent.data).unwrap_or_default();
    if restriction.is_some_and(|plan| watch::over(plan.until, now.0)) {
        match restrict::lift(agent) {
            Ok(_) => agent.observe("restrictionLifted", "its time is over", json!({})),
            Err(e) => tracing::error!("the restriction cannot be lifted: {e}"),
        }
    }
}
