//! What is in force, read from the device and not from memory.

use riposte_wire::States;

use crate::act::{block, isolate, quarantine, restrict};
use crate::agent::Agent;

/// What is in force now.
pub(crate) fn read(agent: &Agent) -> States {
    let isolated = isolate::in_force().unwrap_or_else(|e| {
        tracing::debug!("cannot read the isolation: {e}");
        None
    });
    States {
        isolated,
        // Nothing but this process can restrict, so without a guard there is nothing to try.
        restricted: restrict::guard_restricts(agent)
            && restrict::probe(&agent.data).unwrap_or(false),
        blocked: block::in_force(&agent.data, agent.guard.policy().as_deref()),
        quarantined: quarantine::list(&agent.data),
    }
}
