//! What can be done on this device, and why not: found by trying, not by guessing.

use crate::host::command;

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
    (can, lacks)
}
