//! Locks and unlocks local accounts, and ends what runs under them.
//!
//! A disabled account has a locked password and has ended long ago, so neither a password nor a key
//! opens it. How it was before is kept, and is how it is again when it is enabled.
//!
//! Always: never uid 0, never the last administrator, never an account that is not in
//! `/etc/passwd`.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Done;
use crate::clock::{self, DAY};
use crate::collect::users::{self, Account, Shadow};
use crate::data::Data;
use crate::fault::{Fault, Result};
use crate::files;
use crate::host::proc::Process;
use crate::host::{command, proc, utmp};

const LIMIT: Duration = Duration::from_secs(30);

/// How an account was before it was disabled.
#[derive(Debug, Serialize, Deserialize)]
struct Before {
    locked: bool,
    ends: Option<i64>,
}

/// Locks an account and kills what runs under it.
pub(crate) fn disable(data: &Data, name: &str) -> Result<Done> {
    let account = account(name)?;
    if account.uid == 0 {
        return Err(Fault::new("root is not disabled"));
    }
    let administrators: Vec<String> = users::users(today())
        .into_iter()
        .filter(|user| user.administrator && user.can_sign_in && user.uid != 0)
        .map(|user| user.name)
        .collect();
    if administrators == [name] {
        return Err(Fault::new(format!("{name} is the last administrator of the device")));
    }
    let shadow = shadow(name)?;
    let before = Before { locked: shadow.locked, ends: shadow.ends };
    if !is_disabled(&shadow) {
        files::private_dir(&data.accounts())?;
        files::store(&kept(data, name), &before)?;
    }
    let changed =
        usermod(&["--lock", "--expiredate", "1", "--", name]).and_then(|()| now_is(name, true));
    if let Err(e) = changed {
        let _ = put_back(name, &before);
        return Err(e);
    }
    proc::kill(|| of(account.uid));
    let back = read_back(name);
    if back["alive"] == 0 {
        Ok(Done::well(back))
    } else {
        Ok(Done::failed("the account is locked, but not all that runs under it ends")
            .reading(Some(back)))
    }
}

/// Unlocks an account: it is as it was before.
pub(crate) fn enable(data: &Data, name: &str) -> Result<Done> {
    account(name)?;
    let shadow = shadow(name)?;
    let before: Option<Before> = files::load(&kept(data, name))?;
    if is_disabled(&shadow) || before.is_some() {
        put_back(name, &before.unwrap_or(Before { locked: false, ends: None }))?;
    }
    now_is(name, false)?;
    files::remove(&kept(data, name))?;
    Ok(Done::well(read_back(name)))
}

/// Ends the sessions of an account.
pub(crate) fn sign_out(name: &str) -> Result<Done> {
    let account = account(name)?;
    if PathBuf::from("/run/systemd/seats").exists()
        && command::find("loginctl").is_some()
        && !sessions(name).is_empty()
    {
        let said = command::run("loginctl", &["terminate-user", "--", name], b"", LIMIT)?;
        if let Err(e) = said.ok("loginctl") {
            // What it leaves is killed below.
            tracing::warn!("{e}");
        }
    }
    proc::kill(|| of_sessions(&account));
    let back = read_sessions(name);
    if back["sessions"] == 0 && back["alive"] == 0 {
        Ok(Done::well(back))
    } else {
        Ok(Done::failed("not all sessions end").reading(Some(back)))
    }
}

/// Whether an account is disabled, and how much runs under it.
pub(crate) fn read_back(name: &str) -> Value {
    let disabled = users::shadow(name).is_some_and(|shadow| is_disabled(&shadow));
    let uid = users::passwd().into_iter().find(|account| account.name == name).map(|a| a.uid);
    let alive = uid.map_or(0, |uid| of(uid).iter().filter(|process| process.alive()).count());
    json!({"disabled": disabled, "alive": alive})
}

/// How many sessions an account has, and how much runs in them.
pub(crate) fn read_sessions(name: &str) -> Value {
    let account = users::passwd().into_iter().find(|account| account.name == name);
    let alive = account.map_or(0, |account| {
        of_sessions(&account).iter().filter(|process| process.alive()).count()
    });
    json!({"sessions": sessions(name).len(), "alive": alive})
}

fn account(name: &str) -> Result<Account> {
    if !is_name(name) {
        let short: String = name.chars().take(64).collect();
        return Err(Fault::new(format!("{short:?} is not the name of an account")));
    }
    users::passwd()
        .into_iter()
        .find(|account| account.name == name)
        .ok_or_else(|| Fault::new(format!("there is no local account {name}")))
}

/// `^[a-z_][a-z0-9_-]{0,31}\$?$`
fn is_name(name: &str) -> bool {
    let plain = name.strip_suffix('$').unwrap_or(name);
    let mut bytes = plain.bytes();
    plain.len() <= 32
        && bytes.next().is_some_and(|b| b.is_ascii_lowercase() || b == b'_')
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-'))
}

fn shadow(name: &str) -> Result<Shadow> {
    users::shadow(name).ok_or_else(|| Fault::new(format!("/etc/shadow has no line for {name}")))
}

fn is_disabled(shadow: &Shadow) -> bool {
    shadow.locked && shadow.has_ended(today())
}

fn now_is(name: &str, disabled: bool) -> Result<()> {
    if is_disabled(&shadow(name)?) == disabled {
        Ok(())
    } else {
        Err(Fault::new("/etc/shadow does not say what was asked for"))
    }
}

fn put_back(name: &str, before: &Before) -> Result<()> {
    let ends = before.ends.map_or_else(String::new, |day| day.to_string());
    let mut arguments = vec!["--expiredate", ends.as_str()];
    if !before.locked {
        arguments.push("--unlock");
    }
    arguments.extend(["--", name]);
    usermod(&arguments)
}

fn usermod(arguments: &[&str]) -> Result<()> {
    command::run("usermod", arguments, b"", LIMIT)?.ok("usermod").map(|_| ())
}

fn kept(data: &Data, name: &str) -> PathBuf {
    data.accounts().join(format!("{name}.json"))
}

fn of(uid: u32) -> Vec<Process> {
    proc::all().into_iter().filter(|process| process.owner() == Some(uid)).collect()
}

/// What runs in sessions: with a terminal, or what a remote session hangs on.
fn of_sessions(account: &Account) -> Vec<Process> {
    if account.uid == 0 {
        // Root's services are not its sessions.
        let held: Vec<i32> = sessions(&account.name).iter().map(|entry| entry.pid).collect();
        return proc::all().into_iter().filter(|process| held.contains(&process.pid)).collect();
    }
    let mut all = of(account.uid);
    all.retain(|process| process.terminal != 0 || process.name.starts_with("sshd"));
    all
}

fn sessions(name: &str) -> Vec<utmp::Entry> {
    let mut entries = utmp::signed_in();
    entries.retain(|entry| entry.who.user == name);
    entries
}

fn today() -> i64 {
    clock::now().div_euclid(DAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_accounts_name_cannot_be_an_option_or_a_path() {
        for good in ["kari", "_apt", "www-data", "host$", "a1"] {
            assert!(is_name(good), "{good}");
        }
        let long = "a".repeat(33);
        for bad in ["", "$", "-rf", "../x", "Kari", "a b", "a;b", "1a", "a$b", "ä", long.as_str()]
        {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
