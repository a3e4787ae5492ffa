//! Only what packages brought may start. The agent is in a mount namespace of its own, so that its
//! marks are on no mount of this machine.

use std::os::unix::fs::PermissionsExt;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use riposte_wire::{Action, Indicator, IndicatorKind, Outcome};
use serde_json::json;

use crate::agent::{Agent, sha256, stranger};
use crate::net::{Net, SERVER};
use crate::server::{Server, now};

fn start() -> Option<(Net, Server, Agent)> {
    let net = Net::new()?;
    let server = Server::start(Some(&net.server()), SERVER);
    let mut agent = Agent::enrol(Some(&net), &server);
    agent.start();
    Some((net, server, agent))
}

/// Whether a program starts beside the agent.
fn starts(agent: &Agent, program: &std::path::Path) -> bool {
    let said = agent.beside(program.to_str().unwrap(), &[]);
    let complaint = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.status.success() || complaint.contains("Operation not permitted"), "{complaint}");
    said.status.success()
}

#[test]
fn a_restricted_device_starts_its_packages_and_what_is_allowed() {
    let Some((_net, server, mut agent)) = start() else { return };
    let copied = stranger(agent.folder.path(), "copied", "/usr/bin/true");
    let allowed = stranger(agent.folder.path(), "allowed", "/usr/bin/true");
    let script = agent.keep("script", b"#!/bin/sh\nexit 0\n");
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    server.next_poll();
    assert!(starts(&agent, &copied) && starts(&agent, &script));

    let action = Action::Restrict { allow: vec![sha256(&allowed)], until: None };
    let result = server.carry_out("o-1", 1, action);
    assert_eq!(result.outcome, Outcome::Succeeded, "{result:?}");
    assert_eq!(
        result.read_back.unwrap(),
        json!({"restricted": true, "refusedProbe": true, "allowedProbe": true})
    );
    assert!(!starts(&agent, &copied) && !starts(&agent, &script));
    assert!(starts(&agent, &allowed));
    let ls = agent.beside("/bin/ls", &["/"]);
    assert!(ls.status.success(), "{}", String::from_utf8_lossy(&ls.stderr));
    // What was allowed is changed, and is another program now.
    let mut content = std::fs::read(&allowed).unwrap();
    content.push(b'!');
    std::fs::write(&allowed, content).unwrap();
    assert!(!starts(&agent, &allowed));
    assert!(server.next_poll().states.restricted);
    server.wait("the refusal to be told", |state| {
        let mut seen = state.reports.iter().flat_map(|report| &report.observed);
        seen.any(|o| o.kind == "programRefused" && o.text.contains("copied")).then_some(())
    });
    // The machine of the test is not restricted.
    assert!(std::process::Command::new(&copied).status().unwrap().success());

    // Whoever kills the process that answers does not gain much by it.
    let threads = format!("/proc/{}/task", agent.pid());
    let keeper = || {
        let threads = std::fs::read_dir(&threads).unwrap().flatten();
        let lists = threads.map(|thread| {
            std::fs::read_to_string(thread.path().join("children")).unwrap_or_default()
        });
        let pids: Vec<String> = lists
            .flat_map(|list| list.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
            .collect();
        pids.into_iter().find(|pid| {
            std::fs::read_to_string(format!("/proc/{pid}/cmdline"))
                .is_ok_and(|c| c.contains("guard"))
        })
    };
    let first = keeper().unwrap();
    kill(Pid::from_raw(first.parse().unwrap()), Signal::SIGKILL).unwrap();
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while keeper().is_none_or(|pid| pid == first) || starts(&agent, &copied) {
        assert!(std::time::Instant::now() < until, "not restricted again");
    }

    // It is in force again after the agent was killed, and not in between.
    agent.end(Signal::SIGKILL);
    agent.start();
    assert!(server.next_poll().states.restricted);
    assert!(!starts(&agent, &copied));

    let result = server.carry_out("o-2", 2, Action::LiftRestriction);
    assert_eq!(
        result.read_back.unwrap(),
        json!({"restricted": false, "refusedProbe": false, "allowedProbe": true})
    );
    assert!(starts(&agent, &copied));
    assert!(!server.next_poll().states.restricted);
}

#[test]
fn a_restriction_ends_at_its_time() {
    let Some((_net, server, agent)) = start() else { return };
    let copied = stranger(agent.folder.path(), "copied", "/usr/bin/true");
    let action = Action::Restrict { allow: vec![], until: Some(now() + 3_000_000) };
    assert_eq!(server.carry_out("o-1", 1, action).outcome, Outcome::Succeeded);
    assert!(!starts(&agent, &copied));
    server.wait("the end", |state| {
        let mut seen = state.reports.iter().flat_map(|report| &report.observed);
        seen.any(|observed| observed.kind == "restrictionLifted").then_some(())
    });
    assert!(starts(&agent, &copied));
}

#[test]
fn a_blocked_hash_does_not_start_and_everything_else_does() {
    let Some((_net, server, agent)) = start() else { return };
    let bad = stranger(agent.folder.path(), "bad", "/usr/bin/true");
    let good = stranger(agent.folder.path(), "good", "/usr/bin/true");
    let indicator = Indicator { kind: IndicatorKind::Hash, value: sha256(&bad), until: None };
    let system = Indicator {
        kind: IndicatorKind::Hash,
        value: sha256(std::path::Path::new("/usr/bin/true")),
        until: None,
    };
    let indicators = vec![indicator.clone(), system];
    let result = server.carry_out("o-1", 1, Action::Block { indicators: indicators.clone() });
    assert_eq!(result.outcome, Outcome::Succeeded);
    assert_eq!(result.read_back.unwrap(), json!({"inForce": indicators, "missing": 0}));
    assert!(!starts(&agent, &bad));
    assert!(starts(&agent, &good));
    assert!(starts(&agent, std::path::Path::new("/usr/bin/true")), "the system's own is refused");
    assert_eq!(server.next_poll().states.blocked, indicators);
    let result = server.carry_out("o-2", 1, Action::Unblock { indicators });
    assert_eq!(result.read_back.unwrap(), json!({"inForce": [], "missing": 0}));
    assert!(starts(&agent, &bad));
}
