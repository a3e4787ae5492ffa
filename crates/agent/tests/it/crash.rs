//! The agent is killed in the middle of an order.

use nix::sys::signal::Signal;
use riposte_wire::{Action, Outcome};
use serde_json::json;

use crate::agent::Agent;
use crate::net::{Net, SERVER};
use crate::server::Server;

#[test]
fn an_order_under_way_when_the_agent_is_killed_is_unknown_and_not_repeated() {
    let Some(net) = Net::new() else { return };
    let server = Server::start(Some(&net.server()), SERVER);
    let mut agent = Agent::enrol(Some(&net), &server);
    let path = agent.keep("evidence", b"content").display().to_string();
    agent.start();
    server.change(|state| {
        state.hold_uploads = true;
        state.forgetful = true;
    });
    server.offer(server.order("o-1", 1, Action::CollectFile { path }));
    server.wait("the sending", |state| (state.uploading > 0).then_some(()));
    agent.end(Signal::SIGKILL);
    server.change(|state| state.hold_uploads = false);
    let uploads = server.state().uploading;
    agent.start();
    let result = server.result("o-1");
    assert!(matches!(result.outcome, Outcome::Unknown { .. }), "{result:?}");
    assert_eq!(result.read_back, Some(json!({"sent": false, "sha256": null, "size": 0})));
    // It is offered all the time and answered with the same.
    let results = server.wait("the answer again", |state| {
        let all: Vec<_> = state.results.iter().filter(|r| r.order == "o-1").cloned().collect();
        (all.iter().filter(|r| r.outcome.is_final()).count() >= 3).then_some(all)
    });
    assert!(results.iter().filter(|r| r.outcome.is_final()).all(|again| *again == result));
    assert_eq!(server.state().uploading, uploads);
    // Killed at any other moment, an isolation is either not begun or in force after the start.
    let action = Action::Isolate {
        mode: riposte_wire::Isolation::Full,
        allow: vec![],
        release_when_cut_off_s: None,
        until: None,
    };
    server.change(|state| {
        state.orders.clear();
        state.forgetful = false;
    });
    for n in 2..8 {
        server.offer(server.order(&format!("i-{n}"), n, action.clone()));
        let pause = std::time::Instant::now();
        while pause.elapsed().as_micros() < 3_000 * u128::try_from(n).unwrap() {}
        agent.end(Signal::SIGKILL);
        agent.start();
        let result = server.result(&format!("i-{n}"));
        let good = matches!(result.outcome, Outcome::Succeeded | Outcome::Unknown { .. });
        assert!(good, "{result:?}");
        let isolated = result.read_back.as_ref().unwrap()["isolated"] == true;
        assert_eq!(isolated, net.rules("riposte").contains("policy drop"), "{result:?}");
    }
}

#[test]
fn an_agent_waits_for_the_one_before_it_and_never_runs_beside_it() {
    let server = Server::start(None, "127.0.0.1");
    let mut agent = Agent::enrol(None, &server);
    let before = std::fs::File::create(agent.data().join("run.lock")).unwrap();
    before.lock().unwrap();
    let said = agent.call(&["run"]);
    let text = String::from_utf8_lossy(&said.stderr);
    assert!(!said.status.success() && text.contains("another agent runs with"), "{text}");
    assert!(server.state().polls.is_empty());
    agent.start();
    std::thread::park_timeout(std::time::Duration::from_millis(300));
    assert!(server.state().polls.is_empty());
    drop(before);
    server.wait("a poll", |state| (!state.polls.is_empty()).then_some(()));
}
