//! What an action is for the agent that carries it out: the catalogue's words in the agent's.
//!
//! Pure. A value that the agent could not use is found here, when the action is asked for, and not
//! on the device.

use std::net::IpAddr;

use riposte_wire::{Action, Allowed, Indicator, IndicatorKind, Isolation};
use serde_json::Value;

use crate::clock::Timestamp;
use crate::connector::{ConnectorKind, Move, Verb};
use crate::network::Network;
use crate::response::catalog::{CATALOG, Kind};
use crate::response::errand::Errand;
use crate::yara;

/// The agent's word for a type of action; `None` where no agent can do it.
#[must_use]
pub fn word(kind: Kind) -> Option<&'static str> {
    Some(match kind {
        Kind::IsolateDevice => "isolate",
        Kind::UnIsolateDevice => "release",
        Kind::StopAndQuarantineFile => "quarantine",
        Kind::RestoreFile => "restore",
        Kind::RestrictAppExecution => "restrict",
        Kind::UnRestrictAppExecution => "liftRestriction",
        Kind::RunAntiVirusScan => "scan",
        Kind::CollectInvestigationPackage => "collectPackage",
        Kind::CollectFile => "collectFile",
        Kind::SubmitIocRule => "block",
        Kind::RemoveIocRule => "unblock",
        Kind::ListProcesses => "listProcesses",
        Kind::StopProcess => "stopProcess",
        Kind::DisableUser => "disableUser",
        Kind::EnableUser => "enableUser",
        Kind::RequireSignIn => "signOut",
        _ => return None,
    })
}

/// What a product is asked for; `None` where no product does it to a user.
#[must_use]
pub fn verb(kind: Kind) -> Option<Verb> {
    Some(match kind {
        Kind::DisableUser => Verb::DisableUser,
        Kind::EnableUser => Verb::EnableUser,
        Kind::RequireSignIn => Verb::EndSessions,
        Kind::ForceUserPasswordReset => Verb::ResetPassword,
        _ => return None,
    })
}

/// What is done to a mail in a mailbox; `None` where no product does it.
#[must_use]
pub fn mail(kind: Kind) -> Option<Move> {
    Some(match kind {
        Kind::HardDeleteEmail => Move::HardDelete,
        Kind::SoftDeleteEmail => Move::SoftDelete,
        Kind::MoveEmailToJunk => Move::Junk,
        Kind::MoveEmailToInbox => Move::Inbox,
        Kind::MoveEmailToDeletedItems => Move::DeletedItems,
        _ => return None,
    })
}

/// Whether something that can be connected carries it out, so that one click is enough.
#[must_use]
pub fn is_one_click(kind: Kind) -> bool {
    word(kind).is_some() || Errand::of(kind).is_some()
}

/// The types of actions that a product of this kind carries out.
pub fn kinds(product: ConnectorKind) -> impl Iterator<Item = Kind> {
    let able = move |kind: &Kind| Errand::of(*kind).is_some_and(|it| it.is_for(product));
    CATALOG.iter().map(|entry| entry.kind).filter(able)
}

/// What an agent must know how to do for an action with these options.
pub fn words(kind: Kind, options: &Value) -> impl Iterator<Item = &'static str> {
    let with_rules = kind == Kind::RunAntiVirusScan && options.get("rules").is_some();
    word(kind).into_iter().chain(with_rules.then_some("scanRules"))
}

/// The folders in which a file is looked for by its hash where nobody says otherwise.
const USUAL: [&str; 6] = ["/home", "/root", "/tmp", "/var/tmp", "/opt", "/srv"];

/// The folders where files like it usually are, and one where it was seen.
#[must_use]
pub fn usual_and(folder: &str) -> Vec<&str> {
    let within =
        |usual: &&str| folder.strip_prefix(*usual).is_some_and(|rest| rest.starts_with('/'));
    if USUAL.contains(&folder) || USUAL.iter().any(within) {
        return USUAL.to_vec();
    }
    USUAL.into_iter().chain([folder]).collect()
}

/// What the agent is told.
///
/// # Errors
/// Why a target or an option makes no sense there.
pub fn action(kind: Kind, target: &str, options: &Value, now: Timestamp) -> Result<Action, String> {
    let text = |name: &str| options.get(name).and_then(Value::as_str);
    let number = |name: &str| options.get(name).and_then(Value::as_i64);
    let until = number("forMinutes").map(|minutes| now.plus_seconds(minutes * 60).micros());
    let list = |name: &str| -> Vec<String> {
        let all = options.get(name).and_then(Value::as_array).into_iter().flatten();
        all.filter_map(Value::as_str).map(|text| text.trim().to_owned()).collect()
    };
    Ok(match kind {
        Kind::IsolateDevice => {
            let selective = text("isolationType") == Some("selective");
            let allow = list("allow");
            if !selective && !allow.is_empty() {
                return Err("allow goes with isolationType selective".to_owned());
            }
            Action::Isolate {
                mode: if selective { Isolation::Selective } else { Isolation::Full },
                allow: allow.iter().map(|text| allowed(text)).collect::<Result<_, _>>()?,
                release_when_cut_off_s: number("releaseWhenCutOffMinutes")
                    .and_then(|minutes| u64::try_from(minutes * 60).ok()),
                until,
            }
        }
        Kind::UnIsolateDevice => Action::Release,
        Kind::StopAndQuarantineFile => {
            let sha256 = hash(target);
            let path = text("path")
                .map(str::to_owned)
                .or_else(|| sha256.is_none().then(|| target.trim().to_owned()));
            if let Some(path) = &path {
                absolute(path)?;
            }
            let mut under = list("under");
            for folder in &under {
                absolute(folder)?;
            }
            if path.is_none() && under.is_empty() {
                under = USUAL.iter().map(|folder| (*folder).to_owned()).collect();
            }
            Action::Quarantine { path, sha256, under }
        }
        Kind::RestoreFile => {
            Action::Restore { sha256: hash(target).ok_or("a file is restored by its SHA-256")? }
        }
        Kind::RestrictAppExecution => {
            let allow: Option<Vec<String>> =
                list("allowHashes").iter().map(|text| hash(text)).collect();
            Action::Restrict { allow: allow.ok_or("allowHashes are SHA-256 in hex")?, until }
        }
        Kind::UnRestrictAppExecution => Action::LiftRestriction,
        Kind::RunAntiVirusScan => {
            let rules = text("rules").map(|rules| {
                yara::check(rules)?;
                Ok::<_, String>(vec![("rules".to_owned(), rules.to_owned())])
            });
            Action::Scan {
                full: text("scanType") == Some("full"),
                rules: rules.transpose()?.unwrap_or_default(),
            }
        }
        Kind::CollectInvestigationPackage => Action::CollectPackage,
        Kind::CollectFile => {
            absolute(target.trim())?;
            Action::CollectFile { path: target.trim().to_owned() }
        }
        Kind::SubmitIocRule => Action::Block { indicators: vec![indicator(target, until)?] },
        Kind::RemoveIocRule => Action::Unblock { indicators: vec![indicator(target, None)?] },
        Kind::ListProcesses => Action::ListProcesses,
        Kind::StopProcess => Action::StopProcess {
            pid: target
                .trim()
                .parse()
                .ok()
                .filter(|pid| *pid > 1)
                .ok_or("a process is named by its number, above 1")?,
            started: number("started")
                .and_then(|ticks| u64::try_from(ticks).ok())
                .ok_or("stopProcess needs started")?,
        },
        Kind::DisableUser => Action::DisableUser { name: account(target)? },
        Kind::EnableUser => Action::EnableUser { name: account(target)? },
        Kind::RequireSignIn => Action::SignOut { name: account(target)? },
        _ => return Err("no agent can do this".to_owned()),
    })
}

/// Whether a text is a SHA-256 in hex; gives it in lower case.
#[must_use]
pub fn hash(text: &str) -> Option<String> {
    let text = text.trim();
    let fits = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    fits.then(|| text.to_ascii_lowercase())
}

fn absolute(path: &str) -> Result<(), String> {
    let fits = path.starts_with('/')
        && path.len() <= 4_096
        && !path.chars().any(char::is_control)
        && !path.split('/').any(|part| part == "..");
    if fits { Ok(()) } else { Err("a path is absolute and has no ..".to_owned()) }
}

/// A local account's name, as useradd takes it.
fn account(name: &str) -> Result<String, String> {
    let name = name.trim();
    let mut letters = name.bytes();
    let first = letters.next().is_some_and(|c| c.is_ascii_lowercase() || c == b'_');
    let rest = letters.all(|c| {
        c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_' || c == b'-' || c == b'$'
    });
    if first && rest && name.len() <= 32 {
        return Ok(name.to_owned());
    }
    Err("an agent knows local accounts only, such as kari".to_owned())
}

/// `192.0.2.7`, `192.0.2.0/24`, `192.0.2.7:443` or `[2001:db8::7]:443`.
fn allowed(text: &str) -> Result<Allowed, String> {
    let bad = || "allow takes addresses, networks and address:port".to_owned();
    if let Some(network) = Network::read(text) {
        return Ok(Allowed { network: network.to_string(), port: None });
    }
    let address: std::net::SocketAddr = text.parse().map_err(|_| bad())?;
    if address.port() == 0 {
        return Err(bad());
    }
    Ok(Allowed { network: address.ip().to_string(), port: Some(address.port()) })
}

/// An indicator of a text: what it is is seen from its shape.
pub fn indicator(text: &str, until: Option<i64>) -> Result<Indicator, String> {
    let text = text.trim();
    if let Some(value) = hash(text) {
        return Ok(Indicator { kind: IndicatorKind::Hash, value, until });
    }
    if let Some(network) = Network::read(text) {
        let value = network.to_string();
        return match harmless(&value) {
            None => Ok(Indicator { kind: IndicatorKind::Ip, value, until }),
            Some(why) => Err(why),
        };
    }
    if let Some((scheme, rest)) = text.split_once("://") {
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
        let host = host.split(':').next().unwrap_or_default();
        let known = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
        if known && is_domain(host) && text.len() <= 2_048 && !text.chars().any(char::is_control) {
            return Ok(Indicator { kind: IndicatorKind::Url, value: text.to_owned(), until });
        }
    }
    if is_domain(text) {
        let value = text.to_ascii_lowercase();
        return Ok(Indicator { kind: IndicatorKind::Domain, value, until });
    }
    Err("an indicator is a SHA-256, an address or network, a domain or an http(s) URL".to_owned())
}

/// Why blocking an address would only do harm.
fn harmless(network: &str) -> Option<String> {
    let (address, width) = network.split_once('/').unwrap_or((network, "128"));
    let address: IpAddr = address.parse().ok()?;
    let width: u8 = width.parse().ok()?;
    let least = if address.is_ipv4() { 8 } else { 16 };
    if width < least {
        return Some(format!("a network of fewer than {least} bits is not blocked"));
    }
    if address.is_loopback() || address.is_unspecified() || address.is_multicast() {
        return Some("a device needs this address to work".to_owned());
    }
    None
}

fn is_domain(text: &str) -> bool {
    text.len() <= 253
        && text.contains('.')
        && text.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= 63
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_')
        })
        && !text.split('.').all(|label| label.bytes().all(|c| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::response::catalog::CATALOG;

    fn at() -> Timestamp {
        Timestamp::from_micros(1_795_000_000_000_000)
    }

    #[test]
    fn isolation_says_what_stays_reachable() {
        let options = json!({
            "isolationType": "selective", "allow": ["192.0.2.7:443", "2001:db8::/32"],
            "forMinutes": 2, "releaseWhenCutOffMinutes": 10,
        });
        let found = action(Kind::IsolateDevice, "h1", &options, at()).unwrap();
        let Action::Isolate { mode, allow, release_when_cut_off_s, until } = found else {
            panic!("{found:?}");
        };
        assert_eq!((mode, release_when_cut_off_s), (Isolation::Selective, Some(600)));
        assert_eq!(until, Some(at().plus_seconds(120).micros()));
        assert_eq!(allow[0], Allowed { network: "192.0.2.7".to_owned(), port: Some(443) });
        assert_eq!(allow[1].port, None);
        for bad in [
            json!({ "allow": ["192.0.2.7"] }),
            json!({ "isolationType": "selective", "allow": ["h2; reboot"] }),
            json!({ "isolationType": "selective", "allow": ["192.0.2.7:0"] }),
        ] {
            assert!(action(Kind::IsolateDevice, "h1", &bad, at()).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_could_be_taken_for_something_else_is_refused() {
        let none = json!({});
        for (kind, target) in [
            (Kind::DisableUser, "kari; reboot"),
            (Kind::DisableUser, "-f"),
            (Kind::DisableUser, "kari@alder.example"),
            (Kind::CollectFile, "../etc/shadow"),
            (Kind::CollectFile, "/var/../etc"),
            (Kind::StopAndQuarantineFile, "relative"),
            (Kind::RestoreFile, "/tmp/x"),
            (Kind::SubmitIocRule, "0.0.0.0/0"),
            (Kind::SubmitIocRule, "127.0.0.1"),
            (Kind::SubmitIocRule, "javascript:alert(1)"),
            (Kind::SubmitIocRule, "evil"),
            (Kind::SubmitIocRule, "evil..example"),
            (Kind::StopProcess, "1"),
            (Kind::ForceUserPasswordReset, "kari"),
        ] {
            assert!(action(kind, target, &none, at()).is_err(), "{kind:?} {target}");
        }
    }

    #[test]
    fn an_indicator_is_known_by_its_shape() {
        let kind = |text: &str| indicator(text, None).map(|found| found.kind);
        assert_eq!(kind(&"aB".repeat(32)), Ok(IndicatorKind::Hash));
        assert_eq!(kind("203.0.113.9"), Ok(IndicatorKind::Ip));
        assert_eq!(kind("2001:db8::/48"), Ok(IndicatorKind::Ip));
        assert_eq!(kind("evil.example"), Ok(IndicatorKind::Domain));
        assert_eq!(kind("https://evil.example/a?b#c"), Ok(IndicatorKind::Url));
    }

    #[test]
    fn each_word_is_one_the_agent_has() {
        let known = [
            "isolate",
            "release",
            "quarantine",
            "restore",
            "restrict",
            "liftRestriction",
            "scan",
            "collectPackage",
            "collectFile",
            "block",
            "unblock",
            "listProcesses",
            "stopProcess",
            "disableUser",
            "enableUser",
            "signOut",
        ];
        let found: Vec<&str> = CATALOG.iter().filter_map(|entry| word(entry.kind)).collect();
        assert_eq!(found.len(), known.len());
        assert!(found.iter().all(|word| known.contains(word)));
        let sample = action(Kind::CollectFile, "/etc/hosts", &json!({}), at()).unwrap();
        assert_eq!(Some(sample.word()), word(Kind::CollectFile));
    }
}
