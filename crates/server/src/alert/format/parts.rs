//! Evidence of third-party records, built from loose text members.
//!
//! A checking layer over [`Evidence`]: every builder answers `None` when the text is not what it
//! claims to be (an address that is a network, a hash of the wrong length, a placeholder such as
//! `N/A`), so that a reader can leave the member where it was. Roles are the contract's
//! `evidenceRole` words.

use std::net::IpAddr;

use serde_json::Value;

use super::draft::something;
use super::evidence::{Account, Evidence, file_details};

fn built(piece: Evidence, roles: &[&str]) -> Value {
    roles.iter().fold(piece, |piece, role| piece.role(role)).build()
}

/// The address a text spells, without brackets and zone; `None` for networks and the unspecified
/// address.
pub(super) fn address(text: &str) -> Option<String> {
    let text = text.trim().trim_start_matches('[').trim_end_matches(']');
    let text = text.split_once('%').map_or(text, |(address, _)| address);
    let address = text.parse::<IpAddr>().ok()?.to_canonical();
    if address.is_unspecified() { None } else { Some(address.to_string()) }
}

/// An address.
pub(super) fn ip(text: &str, roles: &[&str]) -> Option<Value> {
    Some(built(Evidence::ip(&address(text)?), roles))
}

/// A port number.
pub(super) fn port(text: &str) -> Option<i64> {
    let port: u16 = text.trim().parse().ok()?;
    Some(i64::from(port))
}

/// A machine by name; a name that is an address becomes an address.
pub(super) fn device(name: &str, platform: Option<String>, roles: &[&str]) -> Option<Value> {
    let name = something(name)?;
    if address(name).is_some() {
        return ip(name, roles);
    }
    // Every machine is `localhost` to itself, so the name says nothing elsewhere.
    let local = name.split('.').next().is_some_and(|host| host.eq_ignore_ascii_case("localhost"));
    if local {
        return None;
    }
    Some(built(Evidence::device(name).with("osPlatform", platform), roles))
}

/// The account in `DOMAIN\name`, `name@domain` or a plain name, with what else is known of it.
pub(super) fn account(name: &str, domain: Option<&str>, id: Option<&str>) -> Option<Account> {
    let mut account = Account::named(something(name.trim().trim_matches('"'))?);
    something(&account.name)?;
    if let Some(domain) = domain.and_then(something)
        && account.domain.is_empty()
    {
        domain.clone_into(&mut account.domain);
    }
    match id.and_then(something) {
        Some(sid) if sid.starts_with("S-1-") => Some(account.with_sid(sid)),
        _ => Some(account),
    }
}

/// A user.
pub(super) fn user(
    name: &str,
    domain: Option<&str>,
    id: Option<&str>,
    roles: &[&str],
) -> Option<Value> {
    Some(built(Evidence::user(&account(name, domain, id)?), roles))
}

/// A link; text without a scheme is a link when it has a host and a path.
pub(super) fn url(text: &str, roles: &[&str]) -> Option<Value> {
    let text = something(text)?;
    let scheme = text.contains("://");
    let host = text.split_once("://").map_or(text, |(_, rest)| rest);
    let host = host.split(['/', '?', '#']).next().unwrap_or_default();
    let named = scheme || (host.contains('.') && text.contains('/'));
    if !named || host.is_empty() || host.contains('\\') || text.contains(char::is_whitespace) {
        return None;
    }
    Some(built(Evidence::url(text), roles))
}

/// A domain name that was asked for or talked to.
pub(super) fn dns(name: &str, roles: &[&str]) -> Option<Value> {
    let name = something(name)?;
    if address(name).is_some() || name.contains(char::is_whitespace) {
        return None;
    }
    Some(built(Evidence::dns(name), roles))
}

/// The algorithm of a hash by its length; zeros alone are a placeholder.
pub(super) fn hash_algorithm(text: &str) -> Option<&'static str> {
    let text = text.trim();
    let hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !hex || text.bytes().all(|byte| byte == b'0') {
        return None;
    }
    match text.len() {
        32 => Some("md5"),
        40 => Some("sha1"),
        64 => Some("sha256"),
        _ => None,
    }
}

/// What a record knows of a file.
#[derive(Default)]
pub(super) struct File {
    /// The full path, or the folder when `name` is known.
    pub(super) path: Option<String>,
    /// The name without its folder.
    pub(super) name: Option<String>,
    /// Hashes of any kind; those of unknown length are left out.
    pub(super) hashes: Vec<String>,
    /// Bytes.
    pub(super) size: Option<i64>,
}

impl File {
    /// A file by its full path.
    pub(super) fn at(path: Option<String>) -> Self {
        Self { path, ..Self::default() }
    }

    /// A file by its full path, and by its name only where the path is not known.
    pub(super) fn at_or_named(path: Option<String>, name: Option<String>) -> Self {
        let name = if path.is_some() { None } else { name };
        Self { path, name, ..Self::default() }
    }

    /// The contract's `fileDetails`; null when nothing is known.
    pub(super) fn details(&self) -> Value {
        let path = self.path.as_deref().and_then(something);
        let name = self.name.as_deref().and_then(something);
        // A name that is itself a path says more than the folder next to it.
        let (path, name) = match name {
            Some(name) if name.contains(['/', '\\']) => (Some(name), None),
            name => (path, name),
        };
        // One spelling, because equal files are recognised by equal text.
        let hashes: Vec<String> =
            self.hashes.iter().map(|hash| hash.trim().to_ascii_lowercase()).collect();
        let hashes: Vec<(&str, &str)> =
            hashes.iter().filter_map(|hash| Some((hash_algorithm(hash)?, hash.as_str()))).collect();
        let mut details = file_details(name.unwrap_or(""), path.unwrap_or(""), &hashes);
        if let (Value::Object(members), Some(size)) = (&mut details, self.size)
            && size >= 0
        {
            members.insert("fileSize".to_owned(), Value::from(size));
        }
        details
    }

    /// The file as evidence.
    pub(super) fn evidence(&self, roles: &[&str]) -> Option<Value> {
        let details = self.details();
        if details.is_null() {
            return None;
        }
        Some(built(Evidence::new("file").with("fileDetails", details), roles))
    }
}

/// What a record knows of a process.
#[derive(Default)]
pub(super) struct Process {
    /// Its number on the machine.
    pub(super) id: Option<i64>,
    /// Its command line.
    pub(super) command_line: Option<String>,
    /// Its executable.
    pub(super) image: File,
    /// When it started, in the wire spelling.
    pub(super) created: Option<String>,
    /// The number of its parent.
    pub(super) parent_id: Option<i64>,
    /// The executable of its parent.
    pub(super) parent: File,
    /// When its parent started, in the wire spelling.
    pub(super) parent_created: Option<String>,
    /// The account it runs as, from [`account`].
    pub(super) account: Option<Account>,
}

impl Process {
    /// The process as evidence; `None` when neither command line nor executable is known.
    pub(super) fn evidence(self, roles: &[&str]) -> Option<Value> {
        let image = self.image.details();
        let command_line = self.command_line.as_deref().and_then(something).unwrap_or("");
        if image.is_null() && command_line.is_empty() {
            return None;
        }
        let account = self.account.map_or(Value::Null, |account| account.to_value());
        let piece = Evidence::process(self.id, command_line, image)
            .with("processCreationDateTime", self.created)
            .with("parentProcessId", self.parent_id)
            .with("parentProcessImageFile", self.parent.details())
            .with("parentProcessCreationDateTime", self.parent_created)
            .with("userAccount", account);
        Some(built(piece, roles))
    }
}

/// A connection between two addresses; `None` when an end is not an address.
pub(super) fn connection(
    (from, from_port): (&str, Option<i64>),
    (to, to_port): (&str, Option<i64>),
    protocol: Option<&str>,
) -> Option<Value> {
    // Some firewalls put the service behind the protocol: `tcp/https`.
    let protocol = protocol.and_then(|text| text.split('/').next()).unwrap_or("");
    let (from, to) = (address(from)?, address(to)?);
    Some(Evidence::network_connection((&from, from_port), (&to, to_port), protocol).build())
}

/// A malware by its name.
pub(super) fn malware(name: &str, category: &str) -> Option<Value> {
    Some(Evidence::malware(something(name)?, category).build())
}

/// A registry key, or a value of it when the value's name is known; `None` without a known hive.
pub(super) fn registry(path: &str, value: Option<(&str, &str)>) -> Option<Value> {
    let path = something(path)?;
    let key = Evidence::registry_key(path).build();
    key.get("registryHive")?;
    match value {
        Some((name, data)) => Some(Evidence::registry_value(path, name, data, "").build()),
        None => Some(key),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_that_are_not_what_they_claim_give_no_evidence() {
        for text in ["", "192.0.2.0/24", "0.0.0.0", "::", "till-3", "192.0.2.1:80"] {
            assert_eq!(ip(text, &[]), None, "{text}");
        }
        assert_eq!(address("[2001:DB8::1%eth0]").as_deref(), Some("2001:db8::1"));
        assert_eq!(address("::ffff:192.0.2.1").as_deref(), Some("192.0.2.1"));
        for name in ["", "-", "N/A", "localhost", "localhost.localdomain"] {
            assert_eq!(device(name, None, &[]), None, "{name}");
        }
        for name in ["", "(no user)", "unknown", "ALDER\\\\"] {
            assert_eq!(user(name, None, None, &[]), None, "{name}");
        }
        for text in ["", "a b", "till-3", "http://", "C:/x", "\\\\host/x"] {
            assert_eq!(url(text, &[]), None, "{text}");
        }
        assert!(url("www.a.example/x", &[]).is_some());
        assert_eq!(hash_algorithm("00000000000000000000000000000000"), None);
        assert_eq!(hash_algorithm("ABCDc728d069ba6239c1da751a2f31fba9b1aa"), None);
        assert_eq!(registry("/etc/x", None), None);
        assert_eq!(connection(("192.0.2.1", None), ("x", None), None), None);
        assert_eq!(Process::default().evidence(&[]), None);
        assert_eq!(File::default().evidence(&[]), None);
    }

    #[test]
    fn a_name_that_is_an_address_is_an_address() {
        let piece = device("192.0.2.1", None, &["source"]).unwrap();
        assert_eq!(piece["@odata.type"], "#microsoft.graph.security.ipEvidence");
        assert_eq!(piece["roles"], json!(["source"]));
    }
}
