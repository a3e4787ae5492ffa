//! Addresses and names out of reach.

use nix::sys::signal::Signal;
use riposte_wire::{Action, Indicator, IndicatorKind, Outcome};
use serde_json::json;

use crate::agent::Agent;
use crate::net::{Net, SERVER, THIRD, THIRD6, echoes};
use crate::server::{Server, now};

fn start() -> Option<(Net, Server, Agent)> {
    let net = Net::new()?;
    let server = Server::start(Some(&net.server()), SERVER);
    let mut agent = Agent::enrol(Some(&net), &server);
    agent.start();
    Some((net, server, agent))
}

fn indicator(kind: IndicatorKind, value: &str) -> Indicator {
    Indicator { kind, value: value.into(), until: None }
}

#[test]
fn a_blocked_address_is_cut_and_comes_back() {
    let Some((net, server, mut agent)) = start() else { return };
    net.echo(THIRD, 7);
    net.echo(THIRD6, 7);
    let mut running = net.connect(THIRD, 7).unwrap();
    assert!(echoes(&mut running));
    let four = indicator(IndicatorKind::Ip, "10.99.2.0/24");
    let inner = indicator(IndicatorKind::Ip, THIRD);
    // Further away than the packet filter can count.
    let until = Some(i64::MAX);
    let six = Indicator { until, ..indicator(IndicatorKind::Ip, THIRD6) };
    let indicators = vec![four, inner, six];
    let result = server.carry_out("o-1", 1, Action::Block { indicators: indicators.clone() });
    assert_eq!(result.outcome, Outcome::Succeeded, "{result:?}");
    assert_eq!(result.read_back.unwrap(), json!({"inForce": indicators, "missing": 0}));
    assert!(!echoes(&mut running));
    assert!(net.connect(THIRD, 7).is_err() && net.connect(THIRD6, 7).is_err());
    // A restart with the rules gone brings them back.
    agent.end(Signal::SIGTERM);
    net.nft(&["flush", "ruleset"]);
    agent.start();
    assert_eq!(server.next_poll().states.blocked, indicators);
    assert!(net.connect(THIRD, 7).is_err());
    let result = server.carry_out("o-2", 1, Action::Unblock { indicators });
    assert_eq!(result.read_back.unwrap(), json!({"inForce": [], "missing": 0}));
    assert!(echoes(&mut net.connect(THIRD, 7).unwrap()));
    assert!(echoes(&mut net.connect(THIRD6, 7).unwrap()));
    assert_eq!(net.rules("riposte_block"), "");
}

#[test]
fn an_address_is_reached_again_when_its_time_is_over() {
    let Some((net, server, _agent)) = start() else { return };
    net.echo(THIRD, 7);
    let until = Some(now() + 4_000_000);
    let indicators = vec![Indicator { until, ..indicator(IndicatorKind::Ip, THIRD) }];
    assert_eq!(
        server.carry_out("o-1", 1, Action::Block { indicators }).outcome,
        Outcome::Succeeded
    );
    assert!(net.connect(THIRD, 7).is_err());
    assert_eq!(server.next_poll().states.blocked.len(), 1);
    server.wait("the end of it", |state| {
        state.polls.last().is_some_and(|poll| poll.states.blocked.is_empty()).then_some(())
    });
    assert!(echoes(&mut net.connect(THIRD, 7).unwrap()));
}

#[test]
fn a_blocked_name_leads_nowhere_and_what_others_wrote_stays() {
    let Some((net, server, agent)) = start() else { return };
    let before = std::fs::read_to_string(net.etc().join("hosts")).unwrap();
    let resolves = |name: &str| {
        let said = agent.beside("/usr/bin/getent", &["ahostsv4", name]);
        String::from_utf8_lossy(&said.stdout).split_whitespace().next().map(str::to_owned)
    };
    assert_eq!(resolves("third.example").as_deref(), Some(THIRD));
    assert_eq!(resolves("worse.example"), None);
    // A name that somebody else's line leads elsewhere is not in force, and that is said.
    let indicators = vec![indicator(IndicatorKind::Domain, "third.example")];
    let result = server.carry_out("o-0", 1, Action::Block { indicators });
    assert!(matches!(result.outcome, Outcome::Failed { .. }), "{result:?}");
    assert_eq!(std::fs::read_to_string(net.etc().join("hosts")).unwrap(), before);
    let name = indicator(IndicatorKind::Domain, "worse.example");
    let url = indicator(IndicatorKind::Url, "https://Bad.example:444/x?y#z");
    let indicators = vec![name.clone(), url.clone()];
    let result = server.carry_out("o-1", 1, Action::Block { indicators: indicators.clone() });
    assert_eq!(result.outcome, Outcome::Succeeded, "{result:?}");
    assert_eq!(result.read_back.unwrap(), json!({"inForce": indicators, "missing": 0}));
    assert_eq!(resolves("worse.example").as_deref(), Some("0.0.0.0"));
    assert_eq!(resolves("bad.example").as_deref(), Some("0.0.0.0"));
    let hosts = std::fs::read_to_string(net.etc().join("hosts")).unwrap();
    assert!(hosts.ends_with(&before));
    server.carry_out("o-2", 1, Action::Unblock { indicators });
    assert_eq!(std::fs::read_to_string(net.etc().join("hosts")).unwrap(), before);
    assert_eq!(resolves("worse.example"), None);
}

#[test]
fn what_would_cut_the_agent_off_or_is_no_indicator_is_not_blocked() {
    let Some((_net, server, _agent)) = start() else { return };
    for (number, (kind, value)) in [
        (IndicatorKind::Ip, "0.0.0.0/0"),
        (IndicatorKind::Ip, "10.99.1.0/24"),
        (IndicatorKind::Ip, "127.0.0.0/8"),
        (IndicatorKind::Ip, "10.0.0.1 }; flush ruleset; {"),
        (IndicatorKind::Domain, "localhost"),
        (IndicatorKind::Domain, "a.example\n10.0.0.1 b.example"),
        (IndicatorKind::Url, "file:///etc/passwd"),
        (IndicatorKind::Hash, "abc"),
    ]
    .into_iter()
    .enumerate()
    {
        let good = indicator(IndicatorKind::Ip, THIRD);
        let indicators = vec![good, indicator(kind, value)];
        let result = server.carry_out(&format!("o-{number}"), 1, Action::Block { indicators });
        assert!(matches!(result.outcome, Outcome::Failed { .. }), "{value}: {result:?}");
        assert_eq!(result.read_back.unwrap(), json!({"inForce": [], "missing": 2}));
    }
}
