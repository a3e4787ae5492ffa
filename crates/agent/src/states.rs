//! What is in force, read from the device and not from memory.

use riposte_wire::States;

use crate::act::{block, isolate, quarantine, restrict};
use crate::agent::Agent;

/// Of each list as much as a poll may hold, in bytes.
const ROOM: usize = 700 << 10;

fn some<T>(list: Vec<T>, size: impl Fn(&T) -> usize) -> Vec<T> {
    let mut room = ROOM;
    list.into_iter()
        .take_while(|item| {
            let size = size(item);
            let fits = size <= room;
            room = room.saturating_sub(size);
            fits
        })
        .collect()
}

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
        blocked: some(block::in_force(&agent.data, agent.guard.policy().as_deref()), |i| {
            i.value.len() + 80
        }),
        quarantined: some(quarantine::list(&agent.data), |hash| hash.len() + 3),
    }
}
