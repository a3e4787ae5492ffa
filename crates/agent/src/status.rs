//! What `riposte-agent status` says: who the agent is, when the server was last reached, what is in
//! force as read from the system, and what the agent takes.

use std::fmt::Write as _;
use std::fs;

use serde_json::{Value, json};

use crate::act::{block, isolate, quarantine, restrict};
use crate::data::Data;
use crate::fault::Result;
use crate::host::proc;
use crate::journal::Journal;
use crate::session::Running;
use crate::{clock, collect, files, identity};

/// Everything, as JSON.
pub(crate) fn read(data: &Data) -> Result<Value> {
    let facts = identity::facts(data)?;
    let running: Option<Running> = files::load(&data.running()).unwrap_or_default();
    let alive = running.as_ref().is_some_and(|running| is_ours(running.pid));
    let pid = running.as_ref().filter(|_| alive).map(|running| running.pid);
    let memory = pid.map(|pid| {
        collect::field_kb(&files::text(format!("/proc/{pid}/status"), 64 << 10), "VmRSS:")
    });
    let journal = Journal::look(&data.journal())?;
    let open = journal.values().filter(|e| e.began.is_some() && e.result.is_none()).count();
    let unacknowledged =
        journal.values().filter(|e| e.result.is_some() && e.acknowledged.is_none()).count();
    let spooled = fs::read_dir(data.spool()).map_or(0, |entries| entries.flatten().count());
    // A blocked hash is known to the running agent only; what it must hold to is said instead.
    let hashes = block::wanted_hashes(data, clock::now())?.len();
    let isolated = match isolate::in_force() {
        Ok(isolated) => json!(isolated),
        Err(e) => json!({"unknown": e.to_string()}),
    };
    Ok(json!({
        "enrolled": facts.as_ref().map(|facts| json!({
            "agent": facts.agent,
            "tenant": facts.tenant,
            "server": facts.server,
            "since": facts.since,
        })),
        "running": alive,
        "pid": pid,
        "memory": memory,
        "contact": running.as_ref().and_then(|running| running.contact),
        "trouble": running.as_ref().and_then(|running| running.trouble.clone()),
        "inForce": {
            "isolated": isolated,
            "restricted": alive && restrict::probe(data).unwrap_or(false),
            "blocked": block::in_force(data, None),
            "blockedHashes": if alive { hashes } else { 0 },
            "quarantined": quarantine::list(data),
        },
        "journal": {
            "orders": journal.len(),
            "underWay": open,
            "unacknowledged": unacknowledged,
        },
        "spooled": spooled,
    }))
}

fn is_ours(pid: u32) -> bool {
    i32::try_from(pid)
        .ok()
        .and_then(proc::one)
        .is_some_and(|process| process.name.starts_with("riposte-agent"))
}

/// The same in words.
pub(crate) fn spell(status: &Value, now: i64) -> String {
    let mut out = String::new();
    let mut line = |name: &str, value: String| {
        let _ = writeln!(out, "{name:<14} {value}");
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let enrolled = &status["enrolled"];
    if enrolled.is_null() {
        line("enrolled", "no".to_owned());
    } else {
        line("agent", text(&enrolled["agent"]));
        line("customer", text(&enrolled["tenant"]));
        line("server", text(&enrolled["server"]));
    }
    line(
        "running",
        match status["pid"].as_u64() {
            Some(pid) => {
                let memory = status["memory"].as_u64().unwrap_or(0) >> 20;
                format!("yes, process {pid}, {memory} MB")
            }
            None => "no".to_owned(),
        },
    );
    let ago = |at: &Value| match at.as_i64() {
        Some(at) => format!("{} s ago", (now - at) / clock::SECOND),
        None => "never".to_owned(),
    };
    line("last contact", ago(&status["contact"]));
    if status["trouble"].is_string() {
        line("trouble", text(&status["trouble"]));
    }
    let force = &status["inForce"];
    line(
        "isolated",
        match &force["isolated"] {
            Value::Null => "no".to_owned(),
            isolated if isolated["unknown"].is_string() => {
                format!("not known: {}", text(&isolated["unknown"]))
            }
            isolated => format!("{}, order {}", text(&isolated["mode"]), text(&isolated["order"])),
        },
    );
    let yes = |value: &Value| if value == true { "yes" } else { "no" }.to_owned();
    line("restricted", yes(&force["restricted"]));
    let count = |value: &Value| value.as_array().map_or(0, Vec::len);
    line(
        "blocked",
        format!(
            "{} addresses and names, {} hashes",
            count(&force["blocked"]),
            force["blockedHashes"].as_u64().unwrap_or(0)
        ),
    );
    line("quarantined", format!("{} files", count(&force["quarantined"])));
    let journal = &status["journal"];
    line(
        "journal",
        format!(
            "{} orders, {} under way, {} not acknowledged",
            journal["orders"], journal["underWay"], journal["unacknowledged"]
        ),
    );
    line("spooled", format!("{} batches", status["spooled"]));
    out
}
