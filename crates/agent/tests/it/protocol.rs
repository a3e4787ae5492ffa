//! Orders once and only once, whatever server and network do.

use std::time::Duration;

use nix::sys::signal::Signal;
use riposte_wire::{Action, Outcome, Signed};
use serde_json::json;

use crate::agent::Agent;
use crate::net::{Net, SERVER};
use crate::server::{AGENT, Server, now};

fn start() -> Option<(Net, Server, Agent)> {
    let net = Net::new()?;
    let server = Server::start(Some(&net.server()), SERVER);
    let mut agent = Agent::enrol(Some(&net), &server);
    agent.start();
    Some((net, server, agent))
}

fn body(id: &str) -> serde_json::Value {
    json!({"id": id, "agent": AGENT, "issued": now(), "expires": now() + 60_000_000,
        "generation": 1, "action": {"do": "release"}})
}

#[test]
fn an_order_offered_again_and_again_is_carried_out_once() {
    let Some((_net, server, _agent)) = start() else { return };
    // The reply to the outcome is lost twice, and the server forgets what the agent knows.
    server.change(|state| {
        state.drop_reports = 2;
        state.forgetful = true;
    });
    let first = server.carry_out("o-1", 1, Action::Release);
    let results = server.wait("the outcome again", |state| {
        let all: Vec<_> = state.results.iter().filter(|r| r.order == "o-1").cloned().collect();
        (all.len() >= 4).then_some(all)
    });
    assert!(results.iter().all(|result| *result == first), "{results:?}");
    let seen = server.state().reports.iter().flat_map(|r| r.observed.clone()).collect::<Vec<_>>();
    assert!(seen.iter().filter(|observed| observed.kind == "released").count() <= 1);
}

#[test]
fn an_order_that_has_ended_ends_the_poll_that_is_held() {
    let Some((_net, server, _agent)) = start() else { return };
    let polls = |server: &Server| server.state().polls.len();
    // The package is refused at first, so that its order lasts beyond the poll that follows it.
    server.change(|state| {
        state.hold = Some(Duration::from_mins(10));
        state.fail_uploads = 1;
    });
    let before = polls(&server);
    server.wait("a poll that is held", |state| (state.polls.len() > before).then_some(()));
    let held = polls(&server);
    let result = server.carry_out("o-1", 1, Action::CollectPackage);
    assert_eq!(result.outcome, Outcome::Succeeded, "{result:?}");
    // One poll took the order; the next was held while it lasted, and another tells how things are.
    server.wait("a poll after the order", |state| (state.polls.len() >= held + 2).then_some(()));
    let state = server.state();
    assert_eq!(state.polls[held].known, ["o-1"], "the poll that was held began before its end");
}

#[test]
fn what_is_not_acknowledged_is_said_again() {
    let Some((_net, server, mut agent)) = start() else { return };
    server.change(|state| state.silent = true);
    let first = server.carry_out("o-1", 1, Action::Release);
    assert_eq!(server.next_poll().known, ["o-1"]);
    assert_eq!(agent.end(Signal::SIGTERM), Some(0));
    server.change(|state| {
        state.results.clear();
        state.silent = false;
    });
    agent.start();
    assert_eq!(server.result("o-1"), first);
    server.wait("that the agent has forgotten it", |state| {
        state.polls.last().is_some_and(|poll| poll.known.is_empty()).then_some(())
    });
}

#[test]
fn what_is_badly_signed_expired_overtaken_or_unknown_is_refused() {
    let Some((_net, server, _agent)) = start() else { return };
    let refused = |id: &str, signed: Signed, why: &str| {
        server.offer(signed);
        match server.result(id).outcome {
            Outcome::Refused { reason } => assert!(reason.contains(why), "{id}: {reason}"),
            other => panic!("{id}: {other:?}"),
        }
    };
    let mut forged = server.order("bad-1", 1, Action::Release);
    forged.body = forged.body.replace("\"generation\":1", "\"generation\":9");
    refused("bad-1", forged, "signature");
    let mut late = body("bad-2");
    late["expires"] = json!(now() - 1);
    refused("bad-2", server.sign(&late.to_string()), "expired");
    let mut early = body("bad-3");
    early["issued"] = json!(now() + 400_000_000);
    early["expires"] = json!(now() + 500_000_000);
    refused("bad-3", server.sign(&early.to_string()), "future");
    let mut other = body("bad-4");
    other["agent"] = json!("someone");
    refused("bad-4", server.sign(&other.to_string()), "another agent");
    let mut unknown = body("bad-5");
    unknown["action"] = json!({"do": "levitate"});
    refused("bad-5", server.sign(&unknown.to_string()), "does not know");
    assert_eq!(server.carry_out("good-1", 5, Action::Release).outcome, Outcome::Succeeded);
    refused("bad-6", server.order("bad-6", 5, Action::Release), "overtaken");
    refused("bad-7", server.order("bad-7", 4, Action::Release), "overtaken");
    // What was badly signed did not use the id up.
    server.change(|state| {
        state.orders.clear();
        state.results.clear();
    });
    assert_eq!(server.carry_out("bad-1", 6, Action::Release).outcome, Outcome::Succeeded);
}

#[test]
fn a_certificate_is_renewed_in_time_and_the_new_one_is_shown() {
    let Some(net) = Net::new() else { return };
    let server = Server::start(Some(&net.server()), SERVER);
    let mut agent = Agent::enrol(Some(&net), &server);
    // It was enrolled long ago.
    let path = agent.data().join("identity/facts.json");
    let mut facts: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let long_ago = now() - riposte_wire::RENEW_AFTER_DAYS * 86_400_000_000;
    facts["since"] = json!(long_ago);
    std::fs::write(&path, facts.to_string()).unwrap();
    agent.start();
    let new = server.wait("a renewal", |state| state.renewed.first().cloned());
    let shows = |state: &mut crate::server::State| (state.shown.last() == Some(&new)).then_some(());
    server.wait("a poll with the new certificate", shows);
    // It is kept, and not asked for again.
    assert_eq!(agent.end(Signal::SIGTERM), Some(0));
    agent.start();
    server.next_poll();
    server.wait("a poll with the kept certificate", shows);
    assert_eq!(server.state().renewed.len(), 1);
    // An exchange that stopped between its two steps is mended.
    assert_eq!(agent.end(Signal::SIGTERM), Some(0));
    let place = agent.data().join("identity");
    std::fs::rename(&place, place.with_extension("old")).unwrap();
    agent.start();
    server.next_poll();
    assert_eq!(server.state().shown.last(), Some(&new));
}

#[test]
fn garbage_from_the_server_does_no_harm() {
    let Some((_net, server, agent)) = start() else { return };
    let huge = [vec![b'['; 1], vec![b' '; 9 << 20]].concat();
    for garbage in [b"{".to_vec(), b"[[[[".repeat(10_000), vec![0xff; 100], Vec::new(), huge] {
        server.change(|state| state.poll_body = Some(garbage));
        let before = server.state().polls.len();
        server.wait("a poll", |state| (state.polls.len() > before).then_some(()));
    }
    let odd = json!({"orders": [{"body": "x".repeat(1 << 20), "signature": ""}], "extra": 1});
    server.change(|state| state.poll_body = Some(odd.to_string().into_bytes()));
    server.next_poll();
    server.change(|state| state.poll_body = None);
    assert_eq!(server.carry_out("o-1", 1, Action::Release).outcome, Outcome::Succeeded);
    assert!(agent.log().contains("larger than 8 MB"));
}

#[test]
fn an_enrolment_is_not_overwritten_and_a_wrong_token_says_so() {
    let server = Server::start(None, "127.0.0.1");
    let agent = Agent::enrol(None, &server);
    let authority = agent.folder.path().join("authority.pem");
    let enrol = |token: &str, again: bool| {
        let mut arguments = vec!["enrol", "--server", &server.url, "--token", token];
        arguments.extend(["--ca", authority.to_str().unwrap()]);
        if again {
            arguments.push("--again");
        }
        let said = agent.call(&arguments);
        (said.status.code(), String::from_utf8(said.stderr).unwrap())
    };
    let (status, said) = enrol(crate::server::TOKEN, false);
    assert_eq!((status, said.lines().count()), (Some(1), 1));
    assert!(said.contains("enrolled already"));
    let (status, said) = enrol("wrong", true);
    assert_eq!((status, said.lines().count()), (Some(1), 1));
    assert!(said.contains("the token is not valid"), "{said}");
    assert_eq!(enrol(crate::server::TOKEN, true).0, Some(0));
    assert_eq!(agent.call(&["enrol"]).status.code(), Some(2));
    let mode = |path: &str| {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::metadata(agent.data().join(path)).unwrap().permissions().mode() & 0o777
    };
    assert_eq!((mode("."), mode("identity"), mode("identity/key.pem")), (0o700, 0o700, 0o600));
}
