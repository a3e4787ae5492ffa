//! Packages and files on their way to the server.

use std::io::Read as _;

use nix::sys::signal::Signal;
use riposte_wire::{Action, Outcome};
use serde_json::{Value, json};

use crate::agent::{Agent, sha256};
use crate::net::{Net, SERVER};
use crate::server::Server;

fn start() -> Option<(Net, Server, Agent)> {
    let net = Net::new()?;
    let server = Server::start(Some(&net.server()), SERVER);
    let mut agent = Agent::enrol(Some(&net), &server);
    agent.start();
    Some((net, server, agent))
}

/// The members of a zip, after each was held against the manifest.
fn members(zip: Vec<u8>) -> (Value, Vec<(String, Vec<u8>)>) {
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(zip)).unwrap();
    let mut members = Vec::new();
    for number in 0..zip.len() {
        let mut member = zip.by_index(number).unwrap();
        let mut content = Vec::new();
        member.read_to_end(&mut content).unwrap();
        members.push((member.name().to_owned(), content));
    }
    let (name, manifest) = members.pop().unwrap();
    assert_eq!(name, "manifest.json");
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let listed = manifest["members"].as_array().unwrap();
    assert_eq!(listed.len(), members.len());
    for (listed, (name, content)) in listed.iter().zip(&members) {
        assert_eq!(listed["name"], *name);
        assert_eq!(listed["size"], content.len());
        let hash = hex::encode(ring::digest::digest(&ring::digest::SHA256, content));
        assert_eq!(listed["sha256"], hash);
    }
    (manifest, members)
}

#[test]
fn a_file_arrives_as_it_was_and_secrets_do_not() {
    let Some((_net, server, agent)) = start() else { return };
    // The first attempt is cut off in the middle, the second meets a server that has no time.
    server.change(|state| state.fail_uploads = 2);
    let path = agent.keep("evidence.bin", &(0..=255).cycle().take(1 << 20).collect::<Vec<u8>>());
    let text = path.display().to_string();
    let result = server.carry_out("o-1", 1, Action::CollectFile { path: text.clone() });
    assert_eq!(result.outcome, Outcome::Succeeded, "{result:?}");
    let (order, zip) = server.state().uploads.pop().unwrap();
    assert_eq!(order, "o-1");
    let hash = hex::encode(ring::digest::digest(&ring::digest::SHA256, &zip));
    assert_eq!(result.read_back.unwrap(), json!({"sent": true, "sha256": hash, "size": zip.len()}));
    assert_eq!(result.found.unwrap()["sha256"], sha256(&path));
    let (manifest, members) = members(zip);
    assert_eq!(manifest["about"]["path"], text);
    assert_eq!(members[0].1, std::fs::read(&path).unwrap());
    let secret = agent.data().join("identity/key.pem").display().to_string();
    let result = server.carry_out("o-2", 1, Action::CollectFile { path: secret });
    assert!(matches!(result.outcome, Outcome::Failed { .. }));
    assert_eq!(server.state().uploads.len(), 0);
    assert_eq!(std::fs::read_dir(agent.data().join("packages")).unwrap().count(), 0);
}

#[test]
fn a_package_holds_what_an_investigation_asks_for() {
    let Some((_net, server, agent)) = start() else { return };
    let result = server.carry_out("o-1", 1, Action::CollectPackage);
    assert_eq!(result.outcome, Outcome::Succeeded, "{result:?}");
    let (_, zip) = server.state().uploads.pop().unwrap();
    let (_, members) = members(zip);
    let member = |name: &str| members.iter().find(|(of, _)| of == name).map(|(_, c)| c.as_slice());
    let processes: Value = serde_json::from_slice(member("processes.json").unwrap()).unwrap();
    assert!(processes.as_array().unwrap().iter().any(|p| p["pid"] == agent.pid()));
    for name in ["host.json", "sockets.json", "logins/now.json"] {
        assert!(serde_json::from_slice::<Value>(member(name).unwrap()).is_ok(), "{name}");
    }
    assert!(member("recent-files.jsonl").is_some());
    assert!(member("files/etc/passwd").is_some() && member("files/etc/shadow").is_none());
    assert!(member("network/addresses.json").is_some());
}

#[test]
fn a_cancelled_package_is_not_sent() {
    let Some((_net, server, agent)) = start() else { return };
    server.change(|state| state.hold_uploads = true);
    server.offer(server.order("o-1", 1, Action::CollectPackage));
    server.wait("the sending", |state| (state.uploading > 0).then_some(()));
    server.wait("a word on the way", |state| {
        state.results.iter().any(|result| !result.outcome.is_final()).then_some(())
    });
    let result = server.carry_out("o-2", 1, Action::Cancel { order: "o-1".into() });
    assert_eq!(result.outcome, Outcome::Succeeded);
    match server.result("o-1").outcome {
        Outcome::Failed { reason } => assert!(reason.contains("cancelled"), "{reason}"),
        other => panic!("{other:?}"),
    }
    let result = server.carry_out("o-3", 1, Action::Cancel { order: "o-1".into() });
    assert!(matches!(result.outcome, Outcome::Failed { .. }));
    assert_eq!(std::fs::read_dir(agent.data().join("packages")).unwrap().count(), 0);
}

#[test]
fn the_inventory_and_what_starts_are_told() {
    let Some((_net, server, mut agent)) = start() else { return };
    let inventory = server.wait("the inventory", |state| {
        state.reports.iter().find_map(|report| report.inventory.clone())
    });
    assert_eq!(inventory.host.name, "device-1");
    assert_eq!(
        inventory.host.addresses,
        ["10.99.1.2", "10.99.2.2", "fd99:1::2", "fd99:2::2"]
            .iter()
            .map(|a| (*a).to_owned())
            .chain(inventory.host.addresses.iter().filter(|a| a.starts_with("fe80")).cloned())
            .collect::<Vec<_>>()
    );
    assert!(inventory.host.can.contains(&"isolate".to_owned()));
    assert!(inventory.packages.iter().any(|package| package.name == "coreutils"));
    let marker = format!("marker-{}", std::process::id());
    agent.beside("/bin/echo", &[&marker]);
    server.wait("the start of a program", |state| {
        let mut seen = state.reports.iter().flat_map(|report| &report.observed);
        seen.any(|o| o.kind == "processStarted" && o.detail["program"] == "/usr/bin/echo")
            .then_some(())
    });
    assert_eq!(agent.end(Signal::SIGTERM), Some(0));
}
