//! A scan with the engine that is installed. What the machine has in the usual places is hidden in
//! the agent's mount namespace, so that only the test's own files are looked at.

use std::path::Path;

use riposte_wire::{Action, Outcome};
use serde_json::json;

use crate::agent::{Agent, sha256};
use crate::net::{Net, SERVER};
use crate::server::Server;

#[test]
fn a_scan_finds_what_the_rules_describe_and_says_when_they_are_wrong() {
    let Some(net) = Net::new() else { return };
    if !Path::new("/usr/bin/yara").exists() || Path::new("/usr/bin/clamscan").exists() {
        println!("passed by: this needs yara, and no ClamAV");
        return;
    }
    let server = Server::start(Some(&net.server()), SERVER);
    let mut agent = Agent::enrol_in(Path::new("/var/tmp"), Some(&net), &server);
    agent.start();
    server.next_poll();
    for folder in ["/tmp", "/root", "/home", "/opt", "/usr/local", "/dev/shm", "/srv"] {
        let said = agent.beside("/bin/mount", &["-t", "tmpfs", "none", folder]);
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    }
    // What runs is scanned too, and this test runs: its program must not hold the mark itself.
    let mark: String = "tsaeb-eht-fo-kram-eht".chars().rev().collect();
    let bad = agent.keep("bad file", format!("before {mark} after").as_bytes());
    agent.keep("good", b"nothing");
    let rules = |text: &str| vec![("mine".to_owned(), text.to_owned())];
    let rule = "rule Mark { strings: $a = /the-mark-of-the-[b]east/ condition: $a }";
    let scan = |rules| Action::Scan { full: false, rules };
    let result = server.carry_out("o-1", 1, scan(rules(rule)));
    assert_eq!(result.outcome, Outcome::Succeeded, "{result:?}");
    let hits = result.found.unwrap()["hits"].clone();
    let hash = sha256(&bad);
    let hit = json!({"engine": "yara", "name": "mine: Mark", "path": bad, "sha256": hash});
    assert_eq!(hits, json!([hit]));
    let back = result.read_back.unwrap();
    assert_eq!((&back["finished"], &back["hits"]), (&json!(true), &json!(1)));
    assert!(back["files"].as_u64().unwrap() >= 2);
    for (id, rules, why) in [
        ("o-2", rules("rule Broken { condition: }"), "the rules cannot be used"),
        ("o-3", vec![], "nothing can scan here"),
    ] {
        match server.carry_out(id, 1, scan(rules)).outcome {
            Outcome::Failed { reason } => assert!(reason.contains(why), "{reason}"),
            other => panic!("{other:?}"),
        }
    }
}
