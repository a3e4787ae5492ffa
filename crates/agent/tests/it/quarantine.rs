//! Files are taken away with what runs from them, and come back as they were.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use riposte_wire::{Action, Outcome};
use rustix::fs::XattrFlags;
use serde_json::json;

use crate::agent::{Agent, exists, program, sha256, stranger};
use crate::net::{Net, SERVER};
use crate::server::Server;

fn start() -> Option<(Net, Server, Agent)> {
    let net = Net::new()?;
    let server = Server::start(Some(&net.server()), SERVER);
    let mut agent = Agent::enrol(Some(&net), &server);
    agent.start();
    Some((net, server, agent))
}

fn by_path(path: &Path) -> Action {
    Action::Quarantine { path: Some(path.to_str().unwrap().into()), sha256: None, under: vec![] }
}

fn reason(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Failed { reason } => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_running_program_is_killed_and_taken_away_and_comes_back_bit_for_bit() {
    let Some((_net, server, agent)) = start() else { return };
    let path = stranger(agent.folder.path(), "malware", "/usr/bin/sleep");
    rustix::fs::setxattr(&path, "user.note", b"\x00\xff", XattrFlags::empty()).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o4751)).unwrap();
    std::os::unix::fs::chown(&path, Some(65_534), Some(65_534)).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o4751)).unwrap();
    let (content, before, hash) =
        (std::fs::read(&path).unwrap(), path.metadata().unwrap(), sha256(&path));
    let mut children: Vec<_> =
        (0..3).map(|_| Command::new(&path).arg("600").spawn().unwrap()).collect();

    let result = server.carry_out("o-1", 1, by_path(&path));
    assert_eq!(result.outcome, Outcome::Succeeded);
    assert_eq!(
        result.read_back.unwrap(),
        json!({"gone": true, "alive": 0, "kept": true, "sha256": hash,
            "size": content.len(), "path": path})
    );
    for child in &mut children {
        assert_eq!(child.wait().unwrap().code(), None, "not killed");
    }
    assert!(!exists(&path));
    assert_eq!(server.next_poll().states.quarantined, std::slice::from_ref(&hash));
    let kept = agent.data().join("quarantine");
    assert_eq!(kept.metadata().unwrap().permissions().mode() & 0o777, 0o700);

    // Somebody has put something in its place: that is not overwritten.
    std::fs::write(&path, "mine").unwrap();
    let restore = || Action::Restore { sha256: hash.clone() };
    let result = server.carry_out("o-2", 1, restore());
    assert!(reason(&result.outcome).contains("something at its place"));
    assert_eq!(std::fs::read(&path).unwrap(), b"mine");
    std::fs::remove_file(&path).unwrap();

    let result = server.carry_out("o-3", 1, restore());
    assert_eq!(result.outcome, Outcome::Succeeded);
    assert_eq!(result.read_back.unwrap(), json!({"present": true, "sha256": hash, "path": path}));
    let after = path.metadata().unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), content);
    assert_eq!((after.mode(), after.uid(), after.gid()), (before.mode(), 65_534, 65_534));
    assert_eq!((after.mtime(), after.mtime_nsec()), (before.mtime(), before.mtime_nsec()));
    let mut value = [0; 8];
    assert_eq!(rustix::fs::getxattr(&path, "user.note", &mut value[..]).unwrap(), 2);
    assert_eq!(value[..2], [0, 0xff]);
    assert_eq!(std::fs::read_dir(&kept).unwrap().count(), 0);
    let result = server.carry_out("o-4", 1, restore());
    assert!(reason(&result.outcome).contains("no file with this hash"));
}

#[test]
fn every_file_with_a_hash_is_found_below_the_folders_that_are_named() {
    let Some((_net, server, agent)) = start() else { return };
    let root = agent.folder.path();
    std::fs::create_dir_all(root.join("a/b")).unwrap();
    std::fs::create_dir_all(root.join("elsewhere")).unwrap();
    for name in ["a/x", "a/b/y", "elsewhere/z"] {
        std::fs::write(root.join(name), "the same").unwrap();
    }
    std::fs::write(root.join("a/other"), "another").unwrap();
    std::os::unix::fs::symlink(root.join("elsewhere"), root.join("a/link")).unwrap();
    let hash = sha256(&root.join("a/x"));
    let action = Action::Quarantine {
        path: None,
        sha256: Some(hash.to_uppercase()),
        under: vec![root.join("a").to_str().unwrap().into()],
    };
    let result = server.carry_out("o-1", 1, action);
    assert_eq!(result.outcome, Outcome::Succeeded, "{result:?}");
    assert_eq!(result.found.unwrap()["files"].as_array().unwrap().len(), 2);
    assert!(!exists(&root.join("a/x")) && !exists(&root.join("a/b/y")));
    assert!(exists(&root.join("a/other")) && exists(&root.join("elsewhere/z")));
    let result = server.carry_out("o-2", 1, Action::Restore { sha256: hash });
    assert_eq!(result.outcome, Outcome::Succeeded);
    assert!(exists(&root.join("a/x")) && exists(&root.join("a/b/y")));
}

#[test]
fn what_the_device_needs_and_what_is_not_meant_stays() {
    let Some((_net, server, agent)) = start() else { return };
    let root = agent.folder.path();
    let file = agent.keep("file", b"content");
    std::os::unix::fs::symlink(&file, root.join("link")).unwrap();
    std::os::unix::fs::symlink(root, root.join("way")).unwrap();
    let identity = agent.data().join("identity/key.pem");
    for (number, (path, why)) in [
        ("/usr/bin/ls".into(), "an installed package brought this file"),
        (program(), "the agent itself"),
        (root.join("link").display().to_string(), "symbolic link"),
        (root.join("way/file").display().to_string(), "symbolic link"),
        (root.display().to_string(), "is not a file"),
        (identity.display().to_string(), "the agent's own"),
        ("/etc/../etc/passwd".into(), "goes upwards"),
        ("etc/passwd".into(), "not an absolute path"),
        (root.join("nothing").display().to_string(), "No such file"),
    ]
    .into_iter()
    .enumerate()
    {
        let action = Action::Quarantine { path: Some(path.clone()), sha256: None, under: vec![] };
        let result = server.carry_out(&format!("o-{number}"), 1, action);
        assert!(reason(&result.outcome).contains(why), "{path}: {result:?}");
    }
    let action = Action::Quarantine {
        path: Some(file.display().to_string()),
        sha256: Some("0".repeat(64)),
        under: vec![],
    };
    let result = server.carry_out("o-hash", 1, action);
    assert!(reason(&result.outcome).contains("another SHA-256"));
    assert_eq!(result.read_back.unwrap()["gone"], false);
    assert_eq!(std::fs::read(&file).unwrap(), b"content");
    assert!(exists(Path::new("/usr/bin/ls")) && exists(&identity));
}

#[test]
fn processes_are_listed_and_only_the_one_that_was_meant_is_stopped() {
    let Some((_net, server, agent)) = start() else { return };
    let mut child = Command::new("sleep").arg("601").spawn().unwrap();
    let list = server.carry_out("o-1", 1, Action::ListProcesses);
    let found = list.found.unwrap();
    let found = found["processes"].as_array().unwrap();
    assert_eq!(list.read_back.unwrap()["count"], found.len());
    let mine = found.iter().find(|process| process["pid"] == child.id()).unwrap();
    assert_eq!((&mine["command"], &mine["user"]), (&json!("sleep 601"), &json!("root")));
    let (pid, started) = (i32::try_from(child.id()).unwrap(), mine["started"].as_u64().unwrap());
    let stop = |started| Action::StopProcess { pid, started };
    let result = server.carry_out("o-2", 1, stop(started + 1));
    assert_eq!(result.found.unwrap(), json!({"wasGone": true}));
    assert!(child.try_wait().unwrap().is_none(), "another process was stopped");
    let result = server.carry_out("o-3", 1, stop(started));
    assert_eq!(result.outcome, Outcome::Succeeded);
    assert_eq!(result.read_back.unwrap(), json!({"alive": false}));
    assert_eq!(child.wait().unwrap().code(), None);
    for (id, pid) in [("o-4", 1), ("o-5", 0), ("o-6", -1), ("o-7", agent.pid())] {
        let result = server.carry_out(id, 1, Action::StopProcess { pid, started: 0 });
        assert!(matches!(result.outcome, Outcome::Failed { .. }), "{pid}: {result:?}");
    }
}
