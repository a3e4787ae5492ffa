//! Local accounts, with one that is made and removed for the test.

use std::process::{Child, Command};

use riposte_wire::{Action, Outcome};
use serde_json::json;

use crate::agent::Agent;
use crate::net::{Net, SERVER};
use crate::server::Server;

/// An account of this machine that is gone when dropped.
struct User {
    name: String,
    running: Vec<Child>,
}

impl User {
    fn make(tag: &str) -> Option<Self> {
        let name = format!("rpt{tag}{}", std::process::id());
        let made = Command::new("useradd")
            .args(["--no-create-home", "--shell", "/bin/sh", "--password", "$6$x$abc", &name])
            .status();
        if !made.is_ok_and(|status| status.success()) {
            println!("passed by: no account can be made here");
            return None;
        }
        Some(Self { name, running: Vec::new() })
    }

    fn run(&mut self) {
        let child = Command::new("setpriv")
            .args(["--reuid", &self.name, "--clear-groups", "--", "sleep", "602"])
            .spawn()
            .unwrap();
        self.running.push(child);
    }

    fn shadow(&self) -> Vec<String> {
        let text = std::fs::read_to_string("/etc/shadow").unwrap();
        let line = text.lines().find(|line| line.split(':').next() == Some(&self.name)).unwrap();
        line.split(':').map(str::to_owned).collect()
    }
}

impl Drop for User {
    fn drop(&mut self) {
        for child in &mut self.running {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = Command::new("userdel").arg(&self.name).output();
    }
}

#[test]
fn a_disabled_account_is_locked_and_ended_and_comes_back_as_it_was() {
    let Some(net) = Net::new() else { return };
    let Some(mut user) = User::make("a") else { return };
    let server = Server::start(Some(&net.server()), SERVER);
    let mut agent = Agent::enrol(Some(&net), &server);
    agent.start();
    let before = user.shadow();
    user.run();
    user.run();
    let name = user.name.clone();
    let result = server.carry_out("o-1", 1, Action::DisableUser { name: name.clone() });
    assert_eq!(result.outcome, Outcome::Succeeded, "{result:?}");
    assert_eq!(result.read_back.unwrap(), json!({"disabled": true, "alive": 0}));
    for child in &mut user.running {
        assert_eq!(child.wait().unwrap().code(), None);
    }
    let shadow = user.shadow();
    assert!(shadow[1].starts_with('!') && shadow[7] == "1", "{shadow:?}");
    let result = server.carry_out("o-2", 2, Action::EnableUser { name: name.clone() });
    assert_eq!(result.read_back.unwrap(), json!({"disabled": false, "alive": 0}));
    assert_eq!(user.shadow(), before);
    let result = server.carry_out("o-3", 3, Action::SignOut { name });
    assert_eq!(result.outcome, Outcome::Succeeded, "{result:?}");
    assert_eq!(result.read_back.unwrap(), json!({"sessions": 0, "alive": 0}));
}

#[test]
fn root_and_what_is_no_account_are_not_disabled() {
    let Some(net) = Net::new() else { return };
    let server = Server::start(Some(&net.server()), SERVER);
    let mut agent = Agent::enrol(Some(&net), &server);
    agent.start();
    for (number, name) in
        ["root", "nobody-of-this-name", "-L", "root;id", "../root", ""].iter().enumerate()
    {
        let action = Action::DisableUser { name: (*name).to_owned() };
        let result = server.carry_out(&format!("o-{number}"), 1, action);
        assert!(matches!(result.outcome, Outcome::Failed { .. }), "{name}: {result:?}");
    }
}
