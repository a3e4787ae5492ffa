//! Values that name nothing in particular: an alert that carries one is no nearer to another that
//! carries it too.
//!
//! Judged by what the value *is* (a reserved address, a built-in account, a program in the
//! operating system's own folder), never by how often it was seen; that is `correlation`'s part.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why an address says nothing, or `None` when it may.
#[must_use]
pub fn idle_address(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(v4) => idle_v4(v4),
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or_else(|| idle_v6(v6), idle_v4),
    }
}

fn idle_v4(address: Ipv4Addr) -> Option<&'static str> {
    if address.is_loopback() {
        Some("loopback address")
    } else if address.octets().starts_with(&[0]) {
        Some("unspecified address")
    } else if address.is_link_local() {
        Some("link-local address")
    } else if address.is_multicast() || address.is_broadcast() {
        Some("multicast or broadcast address")
    } else {
        None
    }
}

fn idle_v6(address: Ipv6Addr) -> Option<&'static str> {
    if address.is_loopback() {
        Some("loopback address")
    } else if address.is_unspecified() {
        Some("unspecified address")
    } else if address.is_unicast_link_local() {
        Some("link-local address")
    } else if address.is_multicast() {
        Some("multicast address")
    } else {
        None
    }
}

/// Why a host name says nothing: it is what every host calls itself, or no name at all.
#[must_use]
pub fn idle_host(name: &str) -> Option<&'static str> {
    let short = name.split('.').next().unwrap_or_default();
    let nothing = matches!(short, "localhost" | "unknown" | "none" | "null" | "n/a" | "-" | "?");
    if nothing || name == "ip6-localhost" {
        return Some("name of no particular host");
    }
    name.parse().ok().and_then(idle_address)
}

/// Why a security identifier says nothing: only identifiers issued by a domain or a machine
/// (`S-1-5-21-…`), by the cloud directory (`S-1-12-1-…`) or unknown to Windows name one account.
#[must_use]
pub fn idle_sid(sid: &str) -> Option<&'static str> {
    let well_known = [
        "s-1-0-",
        "s-1-1-",
        "s-1-2-",
        "s-1-3-",
        "s-1-5-32-",
        "s-1-5-80-",
        "s-1-5-82-",
        "s-1-5-83-",
        "s-1-5-90-",
        "s-1-5-96-",
        "s-1-15-",
        "s-1-16-",
    ];
    // S-1-5-<one number> is a principal every Windows machine has: 18 is SYSTEM.
    let built_in = sid.strip_prefix("s-1-5-").is_some_and(|rest| !rest.contains('-'));
    (built_in || well_known.iter().any(|start| sid.starts_with(start)))
        .then_some("account every Windows machine has")
}

/// Why an account name says nothing. `qualified` tells whether a domain of people's accounts
/// came with it: `admin` alone is anybody's, `alder.example\admin` is somebody's.
#[must_use]
pub fn idle_account(name: &str, domain: &str, qualified: bool) -> Option<&'static str> {
    if matches!(
        domain,
        "nt authority"
            | "nt-autorität"
            | "autorite nt"
            | "nt service"
            | "window manager"
            | "font driver host"
            | "iis apppool"
            | "builtin"
    ) {
        return Some("account every Windows machine has");
    }
    let name = name.strip_prefix("nt authority\\").unwrap_or(name);
    if name.len() > 1 && name.ends_with('$') {
        return Some("machine account");
    }
    if matches!(
        name,
        "system"
            | "localsystem"
            | "local system"
            | "localservice"
            | "local service"
            | "networkservice"
            | "network service"
            | "anonymous"
            | "anonymous logon"
            | "everyone"
            | "root"
            | "nobody"
            | "daemon"
            | "www-data"
            | "_system"
            | "kernel"
    ) || name.starts_with("dwm-")
        || name.starts_with("umfd-")
    {
        return Some("account every machine has");
    }
    if matches!(name, "" | "-" | "?" | "n/a" | "null" | "none" | "unknown" | "(unknown)") {
        return Some("no account name");
    }
    let anybody = matches!(
        name,
        "admin"
            | "administrator"
            | "guest"
            | "user"
            | "test"
            | "ubuntu"
            | "ec2-user"
            | "pi"
            | "oracle"
            | "postgres"
            | "mysql"
            | "git"
            | "backup"
            | "support"
            | "ftp"
            | "service"
    );
    (anybody && !qualified).then_some("account name found anywhere")
}

/// Why a file hash says nothing: it is the hash of no content, or zeros.
#[must_use]
pub fn idle_hash(hash: &str) -> Option<&'static str> {
    let empty = matches!(
        hash,
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
            | "da39a3ee5e6b4b0d3255bfef95601890afd80709"
            | "d41d8cd98f00b204e9800998ecf8427e"
    );
    (empty || hash.bytes().all(|byte| byte == b'0')).then_some("hash of an empty file")
}

/// Why a file says nothing by where it lies: folders only an administrator or an installer writes
/// to hold the same files on every machine. A file without a folder is judged by its name.
#[must_use]
pub fn idle_file(folder: &str, name: &str) -> Option<&'static str> {
    let path = folder.replace('/', "\\").to_lowercase();
    let mut path = path.trim().trim_start_matches("\\??\\").trim_start_matches("\\\\?\\");
    if let Some(rest) = path.strip_prefix("\\device\\harddiskvolume") {
        path = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    } else if let Some((drive, rest)) = path.split_at_checked(2)
        && drive.ends_with(':')
    {
        path = rest;
    }
    let windows = ["\\windows", "%systemroot%", "%windir%", "\\systemroot"]
        .iter()
        .find_map(|root| path.strip_prefix(root))
        .filter(|rest| rest.is_empty() || rest.starts_with('\\'));
    if let Some(rest) = windows {
        // These folders of Windows are open to every user.
        let open = ["\\temp", "\\tasks", "\\tracing", "\\system32\\spool\\drivers\\color"];
        let open = open.iter().any(|folder| rest.starts_with(folder));
        return (!open).then_some("program of the operating system");
    }
    let under = |roots: &[&str]| {
        roots.iter().any(|root| {
            path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('\\'))
        })
    };
    if under(&["\\program files", "\\program files (x86)", "%programfiles%", "\\applications"]) {
        return Some("installed program");
    }
    if under(&[
        "\\bin",
        "\\sbin",
        "\\lib",
        "\\lib64",
        "\\usr\\bin",
        "\\usr\\sbin",
        "\\usr\\lib",
        "\\usr\\lib64",
        "\\usr\\libexec",
        "\\system",
        "\\snap",
    ]) {
        return Some("program of the operating system");
    }
    let common = matches!(
        name.to_lowercase().as_str(),
        "cmd.exe"
            | "powershell.exe"
            | "pwsh.exe"
            | "svchost.exe"
            | "services.exe"
            | "lsass.exe"
            | "wininit.exe"
            | "winlogon.exe"
            | "explorer.exe"
            | "rundll32.exe"
            | "regsvr32.exe"
            | "mshta.exe"
            | "wscript.exe"
            | "cscript.exe"
            | "conhost.exe"
            | "schtasks.exe"
            | "reg.exe"
            | "net.exe"
            | "net1.exe"
            | "whoami.exe"
            | "wmiprvse.exe"
            | "taskhostw.exe"
            | "ntoskrnl.exe"
            | "msedge.exe"
            | "chrome.exe"
            | "firefox.exe"
            | "outlook.exe"
            | "winword.exe"
            | "excel.exe"
            | "bash"
            | "sh"
            | "sudo"
            | "sshd"
            | "systemd"
            | "curl"
    );
    (path.is_empty() && common).then_some("program found on every machine")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserved_address_says_nothing() {
        for text in ["127.0.0.1", "0.0.0.0", "169.254.9.9", "224.0.0.251", "255.255.255.255"] {
            assert!(idle_host(text).is_some(), "{text}");
        }
        for text in ["::1", "::", "fe80::1", "ff02::fb", "::ffff:127.0.0.1"] {
            assert!(idle_host(text).is_some(), "{text}");
        }
        for text in ["10.1.2.3", "203.0.113.9", "2001:db8::1"] {
            assert!(idle_host(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_built_in_account_says_nothing() {
        for sid in ["s-1-5-18", "s-1-5-19", "s-1-5-20", "s-1-5-7", "s-1-1-0", "s-1-5-90-0-1"] {
            assert!(idle_sid(sid).is_some(), "{sid}");
        }
        assert!(idle_sid("s-1-5-21-1-2-3-1104").is_none());
        assert!(idle_account("lap7$", "alder", true).is_some());
        assert!(idle_account("admin", "", false).is_some());
        assert!(idle_account("admin", "alder.example", true).is_none());
        assert!(idle_account("m.lind", "", false).is_none());
    }

    #[test]
    fn a_file_is_judged_by_its_folder() {
        for (folder, name) in [
            ("C:\\Windows\\System32", "tool.exe"),
            ("\\Device\\HarddiskVolume3\\Windows", "tool.exe"),
            ("%SystemRoot%\\system32", "tool.exe"),
            ("C:\\Program Files\\Alder", "tool.exe"),
            ("/usr/bin", "tool"),
            ("", "CMD.EXE"),
        ] {
            assert!(idle_file(folder, name).is_some(), "{folder} {name}");
        }
        for (folder, name) in [
            ("C:\\Windows\\Temp", "cmd.exe"),
            ("C:\\WindowsOld", "tool.exe"),
            ("C:\\Users\\m.lind\\Downloads", "cmd.exe"),
            ("/tmp", "sh"),
            ("", "invoice.exe"),
        ] {
            assert!(idle_file(folder, name).is_none(), "{folder} {name}");
        }
    }
}
