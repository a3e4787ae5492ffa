//! What the agent takes: run by hand, with a release build.
//!
//! `RIPOSTE_AGENT_PROGRAM=…/release/riposte-agent cargo test -p riposte-agent -- --ignored figures
//! --nocapture`

use std::time::{Duration, Instant};

use riposte_wire::{Action, HOLD_S, Isolation};

use crate::agent::Agent;
use crate::net::{Net, SERVER};
use crate::server::Server;

fn measure(what: &str, server: &Server, seconds: u64) {
    let own = |server: &Server| server.state().polls.last().map(|poll| poll.own.clone()).unwrap();
    server.next_poll();
    let (before, began) = (own(server), Instant::now());
    let polls = server.state().polls.len();
    while began.elapsed() < Duration::from_secs(seconds) {
        server.next_poll();
    }
    let after = own(server);
    let share = (after.cpu - before.cpu) as f64 * 100.0 / (after.up - before.up) as f64;
    let count = server.state().polls.len() - polls;
    println!("{what}: {:.1} MB, {share:.3} % CPU, {count} polls", after.memory as f64 / 1e6);
}

#[test]
#[ignore = "takes minutes and wants a release build"]
fn figures() {
    let Some(net) = Net::new() else { return };
    let mut server = Server::start(Some(&net.server()), SERVER);
    server.patience = Duration::from_mins(2);
    // As the product does it: held open, so the numbers of a minute are of two or three polls.
    server.change(|state| state.hold = Some(Duration::from_secs(HOLD_S)));
    let mut agent = Agent::enrol(Some(&net), &server);
    agent.start();
    measure("idle", &server, 60);
    let action = Action::Isolate {
        mode: Isolation::Full,
        allow: vec![],
        release_when_cut_off_s: None,
        until: None,
    };
    server.carry_out("o-1", 1, action);
    server.carry_out("o-2", 1, Action::Restrict { allow: vec![], until: None });
    measure("isolated and restricted", &server, 60);
    server.carry_out("o-3", 2, Action::Release);
    server.carry_out("o-4", 2, Action::LiftRestriction);
    server.carry_out("o-5", 1, Action::CollectPackage);
    server.carry_out("o-6", 1, Action::ListProcesses);
    measure("after a package", &server, 60);
}
