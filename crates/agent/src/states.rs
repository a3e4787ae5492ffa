//! What is in force, read from the device and not from memory.

use riposte_wire::States;

use crate::act::isolate;
use crate::agent::Agent;

/// What is in force now.
pub(crate) fn read(_agent: &Agent) -> States {
    let isolated = isolate::in_force().unwrap_or_else(|e| {
        tracing::debug!("cannot read the isolation: {e}");
        None
    });
    States { isolated, ..States::default() }
}
