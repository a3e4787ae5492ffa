//! Isolation with real packets.

use nix::sys::signal::Signal;
use riposte_wire::{Action, Allowed, Isolation, Outcome};
use serde_json::json;

use crate::agent::{Agent, exists};
use crate::net::{Net, SERVER, SERVER6, THIRD, THIRD6, echoes};
use crate::server::Server;

fn isolate(mode: Isolation, allow: &[(&str, Option<u16>)]) -> Action {
    Action::Isolate {
        mode,
        allow: allow
            .iter()
            .map(|(network, port)| Allowed { network: (*network).into(), port: *port })
            .collect(),
        release_when_cut_off_s: None,
        until: None,
    }
}

#[test]
fn full_isolation_cuts_a_running_connection_and_the_server_stays() {
    let Some(net) = Net::new() else { return };
    let server = Server::start(Some(&net.server()), SERVER);
    let mut agent = Agent::enrol(Some(&net), &server);
    agent.start();
    net.echo(THIRD, 7);
    net.echo(THIRD6, 7);
    let mut running = net.connect(THIRD, 7).unwrap();
    let mut running6 = net.connect(THIRD6, 7).unwrap();
    assert!(echoes(&mut running) && echoes(&mut running6));

    let result = server.carry_out("o-1", 1, isolate(Isolation::Full, &[(THIRD, None)]));
    assert_eq!(result.outcome, Outcome::Succeeded);
    let read_back = result.read_back.unwrap();
    assert_eq!((&read_back["isolated"], &read_back["mode"]), (&json!(true), &json!("full")));
    assert!(read_back["rules"].as_u64().unwrap() > 5);
    assert!(!echoes(&mut running) && !echoes(&mut running6), "what was open is still open");
    assert!(net.connect(THIRD, 7).is_err() && net.connect(THIRD6, 7).is_err());
    let poll = server.next_poll();
    let isolated = poll.states.isolated.unwrap();
    assert_eq!(isolated.mode, Isolation::Full);
    assert_eq!(isolated.order.as_deref(), Some("o-1"));
    assert!(isolated.since > 0);

    let result = server.carry_out("o-2", 2, Action::Release);
    assert_eq!(result.outcome, Outcome::Succeeded);
    assert_eq!(result.read_back.unwrap(), json!({"isolated": false, "mode": null, "rules": 0}));
    assert!(echoes(&mut net.connect(THIRD, 7).unwrap()));
    assert!(echoes(&mut net.connect(THIRD6, 7).unwrap()));
    assert_eq!(server.next_poll().states.isolated, None);
    // Release of what is not isolated is release.
    assert_eq!(server.carry_out("o-3", 3, Action::Release).outcome, Outcome::Succeeded);
    assert_eq!(agent.end(Signal::SIGTERM), Some(0));
}

#[test]
fn a_server_that_is_reached_over_ipv6_stays_as_well() {
    let Some(net) = Net::new() else { return };
    let server = Server::start(Some(&net.server()), SERVER6);
    let mut agent = Agent::enrol(Some(&net), &server);
    agent.start();
    let result = server.carry_out("o-1", 1, isolate(Isolation::Full, &[]));
    assert_eq!(result.outcome, Outcome::Succeeded);
    // Nothing that was known of the neighbour helps now.
    let flush = ["-n", &net.agent(), "neigh", "flush", "all"];
    assert!(std::process::Command::new("ip").args(flush).status().unwrap().success());
    server.next_poll();
    server.next_poll();
}

#[test]
fn selective_isolation_lets_through_what_it_names() {
    let Some(net) = Net::new() else { return };
    let server = Server::start(Some(&net.server()), SERVER);
    let mut agent = Agent::enrol(Some(&net), &server);
    agent.start();
    for port in [7, 8] {
        net.echo(THIRD, port);
    }
    net.echo(THIRD6, 7);
    let mut other = net.connect(THIRD, 8).unwrap();
    let allow = [("10.99.2.0/24", Some(7))];
    let result = server.carry_out("o-1", 1, isolate(Isolation::Selective, &allow));
    assert_eq!(result.outcome, Outcome::Succeeded);
    assert_eq!(result.read_back.unwrap()["mode"], "selective");
    assert!(echoes(&mut net.connect(THIRD, 7).unwrap()));
    assert!(!echoes(&mut other) && net.connect(THIRD, 8).is_err());
    assert!(net.connect(THIRD6, 7).is_err());
    assert_eq!(server.next_poll().states.isolated.unwrap().mode, Isolation::Selective);
    // Without a port everything of that address; the new plan takes the place of the old one.
    let allow = [("10.99.2.1", None)];
    server.carry_out("o-2", 2, isolate(Isolation::Selective, &allow));
    assert!(echoes(&mut net.connect(THIRD, 8).unwrap()));
}

#[test]
fn an_isolation_that_cannot_be_is_taken_back() {
    let Some(net) = Net::new() else { return };
    let server = Server::start(Some(&net.server()), SERVER);
    let mut agent = Agent::enrol(Some(&net), &server);
    agent.start();
    for (n, network) in ["0.0.0.0/0", "no network", "10.0.0.0/8; flush ruleset"].iter().enumerate()
    {
        let n = i64::try_from(n).unwrap() + 1;
        let action = isolate(Isolation::Selective, &[(network, None)]);
        let result = server.carry_out(&format!("o-{n}"), n, action);
        assert!(matches!(result.outcome, Outcome::Failed { .. }), "{result:?}");
        assert_eq!(result.read_back.unwrap()["isolated"], false);
    }
    assert_eq!(net.rules("riposte"), "");
    assert!(!exists(&agent.data().join("isolation.json")));
}

#[test]
fn isolation_is_in_force_again_before_the_agent_says_a_word() {
    let Some(net) = Net::new() else { return };
    let server = Server::start(Some(&net.server()), SERVER);
    let mut agent = Agent::enrol(Some(&net), &server);
    agent.start();
    server.carry_out("o-1", 1, isolate(Isolation::Full, &[]));
    agent.end(Signal::SIGTERM);
    // The device boots: no rules are left, and the server does not answer.
    net.nft(&["flush", "ruleset"]);
    server.change(|state| state.refuse = Some(503));
    agent.start();
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while net.rules("riposte").is_empty() {
        assert!(std::time::Instant::now() < until, "not in force again");
    }
    server.change(|state| state.refuse = None);
    let poll = server.next_poll();
    assert_eq!(poll.states.isolated.unwrap().order.as_deref(), Some("o-1"));
    // Somebody with root takes the rules away while the agent runs.
    net.nft(&["delete", "table", "inet", "riposte"]);
    server.wait("the observation", |state| {
        let mut seen = state.reports.iter().flat_map(|report| &report.observed);
        seen.any(|observed| observed.kind == "isolationRestored").then_some(())
    });
    assert!(net.rules("riposte").contains("policy drop"));
}

#[test]
fn isolation_ends_at_its_time_and_when_the_server_stays_away() {
    let Some(net) = Net::new() else { return };
    let server = Server::start(Some(&net.server()), SERVER);
    let mut agent = Agent::enrol(Some(&net), &server);
    agent.start();
    let released = |count: usize| {
        server.wait("the release", |state| {
            let seen = state.reports.iter().flat_map(|report| &report.observed);
            (seen.filter(|observed| observed.kind == "released").count() == count).then_some(())
        });
    };
    let Action::Isolate { mode, allow, .. } = isolate(Isolation::Full, &[]) else { return };
    let (until, release_when_cut_off_s) = (Some(crate::server::now() + 3_000_000), None);
    let action = Action::Isolate { mode, allow: allow.clone(), release_when_cut_off_s, until };
    assert_eq!(server.carry_out("o-1", 1, action).outcome, Outcome::Succeeded);
    released(1);
    assert_eq!(net.rules("riposte"), "");
    let (until, release_when_cut_off_s) = (None, Some(3));
    let action = Action::Isolate { mode, allow, release_when_cut_off_s, until };
    assert_eq!(server.carry_out("o-2", 2, action).outcome, Outcome::Succeeded);
    assert!(server.next_poll().states.isolated.is_some());
    server.change(|state| state.refuse = Some(503));
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !net.rules("riposte").is_empty() {
        assert!(std::time::Instant::now() < until, "still isolated");
    }
    server.change(|state| state.refuse = None);
    released(2);
}

#[test]
fn a_server_known_by_name_is_found_when_no_name_can_be_asked_for() {
    let Some(net) = Net::new() else { return };
    let mut server = Server::start(Some(&net.server()), SERVER);
    let hosts = net.etc().join("hosts");
    std::fs::write(&hosts, format!("{SERVER} server.example\n")).unwrap();
    server.url = server.url.replace(SERVER, "server.example");
    let mut agent = Agent::enrol(Some(&net), &server);
    agent.start();
    let result = server.carry_out("o-1", 1, isolate(Isolation::Full, &[]));
    assert_eq!(result.outcome, Outcome::Succeeded, "{result:?}");
    agent.end(Signal::SIGTERM);
    std::fs::write(&hosts, "").unwrap();
    agent.start();
    assert!(server.next_poll().states.isolated.is_some());
    assert_eq!(server.carry_out("o-2", 2, Action::Release).outcome, Outcome::Succeeded);
}
