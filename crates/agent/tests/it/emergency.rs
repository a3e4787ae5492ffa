//! The way out without the server, and what the agent says of itself.

use nix::sys::signal::Signal;
use ring::hmac;
use riposte_wire::{Action, Isolation, release};
use serde_json::Value;

use crate::agent::Agent;
use crate::net::{Net, SERVER};
use crate::server::{AGENT, SECRET, Server, now};

fn code() -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &SECRET);
    let text = release::text(AGENT, release::day(now()));
    release::spell(hmac::sign(&key, text.as_bytes()).as_ref())
}

fn isolate() -> Action {
    Action::Isolate {
        mode: Isolation::Full,
        allow: vec![],
        release_when_cut_off_s: None,
        until: None,
    }
}

#[test]
fn a_code_ends_isolation_and_restriction_and_the_server_is_told() {
    let Some(net) = Net::new() else { return };
    let server = Server::start(Some(&net.server()), SERVER);
    let mut agent = Agent::enrol(Some(&net), &server);
    agent.start();
    server.carry_out("o-1", 1, isolate());
    server.carry_out("o-2", 1, Action::Restrict { allow: vec![], until: None });
    // Without a code there is no release.
    assert_eq!(agent.call(&["release"]).status.code(), Some(2));
    let said = agent.call(&["release", "--code", &code().to_lowercase().replace('-', " ")]);
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    assert_eq!(net.rules("riposte"), "");
    server.wait("the release to be told and seen", |state| {
        let told = state
            .reports
            .iter()
            .flat_map(|report| &report.observed)
            .any(|observed| observed.kind == "emergencyReleased");
        let free = state
            .polls
            .last()
            .is_some_and(|poll| poll.states.isolated.is_none() && !poll.states.restricted);
        (told && free).then_some(())
    });
    // It does not come back with the next start.
    agent.end(Signal::SIGTERM);
    agent.start();
    assert!(server.next_poll().states.isolated.is_none());
}

#[test]
fn five_wrong_codes_an_hour_are_enough() {
    let Some(net) = Net::new() else { return };
    let server = Server::start(Some(&net.server()), SERVER);
    let mut agent = Agent::enrol(Some(&net), &server);
    agent.start();
    server.carry_out("o-1", 1, isolate());
    for attempt in 0..5 {
        let said = agent.call(&["release", "--code", &format!("0000-0000-0000-000{attempt}")]);
        assert_eq!(said.status.code(), Some(1));
    }
    let said = agent.call(&["release", "--code", &code()]);
    assert_eq!(said.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&said.stderr).contains("too many wrong codes"));
    assert!(net.rules("riposte").contains("policy drop"));
}

#[test]
fn status_says_what_is_in_force() {
    let Some(net) = Net::new() else { return };
    let server = Server::start(Some(&net.server()), SERVER);
    let mut agent = Agent::enrol(Some(&net), &server);
    agent.start();
    server.carry_out("o-1", 1, isolate());
    server.next_poll();
    let said = agent.call(&["status", "--json"]);
    let status: Value = serde_json::from_slice(&said.stdout).unwrap();
    assert_eq!(status["enrolled"]["agent"], AGENT);
    assert_eq!(status["running"], true);
    assert_eq!(status["pid"], agent.pid());
    assert_eq!(status["inForce"]["isolated"]["mode"], "full");
    assert_eq!(status["journal"]["orders"], 1);
    assert!(status["contact"].is_i64() && status["memory"].as_u64().unwrap() > 0);
    let words = String::from_utf8(agent.call(&["status"]).stdout).unwrap();
    assert!(words.contains("isolated       full, order o-1"), "{words}");
    agent.end(Signal::SIGTERM);
    let status: Value = serde_json::from_slice(&agent.call(&["status", "--json"]).stdout).unwrap();
    assert_eq!((&status["running"], &status["pid"]), (&Value::Bool(false), &Value::Null));
    // The device is as it was: that the agent ended has released nothing.
    assert_eq!(status["inForce"]["isolated"]["mode"], "full");
    let unit = agent.folder.path().join("unit");
    let said = agent.call(&["install", "--unit", unit.to_str().unwrap()]);
    assert!(said.status.success());
    assert!(std::fs::read_to_string(unit).unwrap().contains("Before=network-pre.target"));
}
