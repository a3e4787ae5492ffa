//! What can be done on this device, and why not: found by trying, not by guessing.

use crate::host::fanotify::Group;
use crate::host::{command, dpkg};

/// The words of what can be done, and the reason for each that cannot.
pub(crate) fn probe() -> (Vec<String>, Vec<(String, String)>) {
    let root = rustix::process::geteuid().is_root();
    let mut can = Vec::new();
    let mut lacks = Vec::new();
    let mut say = |words: &[&str], missing: Option<String>| {
        for word in words {
            match &missing {
                None => can.push((*word).to_owned()),
                Some(why) => lacks.push(((*word).to_owned(), why.clone())),
            }
        }
    };
    let as_root = (!root).then(|| "the agent does not run as root".to_owned());
    let tool = |name: &str| {
        as_root
            .clone()
            .or_else(|| command::find(name).is_none().then(|| format!("{name} is not installed")))
    };
    say(&["isolate", "release"], tool("nft"));
    say(&["quarantine", "restore", "stopProcess", "signOut"], as_root.clone());
    say(&["disableUser", "enableUser"], tool("usermod"));
    let guard = as_root.clone().or_else(|| Group::try_asked().err().map(|e| e.to_string()));
    let packages =
        (!dpkg::present()).then(|| "there is no package database of dpkg's kind".to_owned());
    say(&["restrict", "liftRestriction"], guard.clone().or(packages));
    say(&["block", "unblock"], guard.or_else(|| tool("nft")));
    say(&["collectPackage", "collectFile"], as_root.clone());
    say(&["listProcesses", "cancel"], None);
    let engine = ["clamdscan", "clamscan", "yara"].iter().any(|name| command::find(name).is_some());
    let none = "neither ClamAV (clamscan, clamdscan) nor YARA (yara) is installed".to_owned();
    say(&["scan"], as_root.or_else(|| (!engine).then_some(none)));
    let yara = command::find("yara").is_none().then(|| "YARA (yara) is not installed".to_owned());
    say(&["scanRules"], (!root).then(|| "the agent does not run as root".to_owned()).or(yara));
    (can, lacks)
}
