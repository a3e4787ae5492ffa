//! Lists what runs, and kills a process.

use std::cmp::Reverse;
use std::collections::HashMap;

use serde_json::{Value, json};

use super::Done;
use crate::collect::users;
use crate::fault::{Fault, Result};
use crate::host::proc::{self, Process};

/// No list is longer.
const MOST: usize = 5_000;

/// Lists what runs.
pub(crate) fn list() -> Done {
    let list = processes();
    Done::well(json!({"count": list.len()})).with(json!({"processes": list}))
}

/// What runs, with names instead of numbers for owners.
pub(crate) fn processes() -> Vec<Value> {
    let names: HashMap<u32, String> =
        users::passwd().into_iter().map(|user| (user.uid, user.name)).collect();
    let mut all = proc::all();
    // The newest first and the kernel's own last: when the list is cut, at its end.
    all.sort_unstable_by_key(|process| {
        (process.pid == 2 || process.parent == 2, Reverse(process.started))
    });
    all.truncate(MOST);
    all.iter()
        .map(|process| {
            let uid = process.owner();
            json!({
                "pid": process.pid,
                "parent": process.parent,
                "name": process.name,
                "state": process.state.to_string(),
                "started": process.started,
                "user": uid.map(|uid| names.get(&uid).cloned().unwrap_or_else(|| uid.to_string())),
                "program": process.program(),
                "command": process.command().chars().take(400).collect::<String>(),
                "memory": process.memory,
            })
        })
        .collect()
}

/// Kills a process that started at a moment.
pub(crate) fn stop(pid: i32, started: u64) -> Result<Done> {
    let process = meant(pid, started)?;
    let Some(process) = process else {
        return Ok(Done::well(json!({"alive": false})).with(json!({"wasGone": true})));
    };
    let what = json!({"name": process.name, "command": process.command()});
    let left = proc::kill(|| vec![process.clone()]);
    let done = if left.is_empty() {
        Done::well(json!({"alive": false}))
    } else {
        Done::failed("the process does not end").reading(Some(json!({"alive": true})))
    };
    Ok(done.with(what))
}

/// Whether that process is alive.
pub(crate) fn read_back(pid: i32, started: u64) -> Value {
    let alive = proc::one(pid).is_some_and(|now| now.started == started && now.alive());
    json!({"alive": alive})
}

fn meant(pid: i32, started: u64) -> Result<Option<Process>> {
    if pid <= 1 {
        return Err(Fault::new("the first process of the device is not stopped"));
    }
    if pid == proc::own() {
        return Err(Fault::new("this is the agent itself"));
    }
    let Some(process) = proc::one(pid).filter(|process| process.started == started) else {
        return Ok(None);
    };
    if process.pid == 2 || process.parent == 2 {
        return Err(Fault::new("this is part of the kernel"));
    }
    Ok(process.alive().then_some(process))
}
