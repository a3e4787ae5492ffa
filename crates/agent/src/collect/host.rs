//! The device as the agent sees it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use riposte_wire::Host;

use crate::can;
use crate::fault::{Fault, Result};
use crate::files;

/// The device; `name` stands for the host name when given.
pub(crate) fn host(name: Option<&str>) -> Host {
    let system = rustix::system::uname();
    let word = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
    let (can, lacks) = can::probe();
    Host {
        name: name.map_or_else(|| word(system.nodename()), str::to_owned),
        machine: machine(),
        os: os(&files::text("/etc/os-release", 16 << 10)),
        kernel: word(system.release()),
        architecture: word(system.machine()),
        agent: env!("CARGO_PKG_VERSION").to_owned(),
        addresses: addresses(),
        can,
        lacks,
    }
}

/// A host name that somebody typed.
pub(crate) fn plain_name(typed: &str) -> Result<String> {
    let good = (1..=253).contains(&typed.len())
        && typed.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
    if good {
        Ok(typed.to_owned())
    } else {
        Err(Fault::new(format!("{typed:?} is not a host name")))
    }
}

fn machine() -> String {
    [
        "/etc/machine-id",
        "/var/lib/dbus/machine-id",
        "/sys/class/dmi/id/product_uuid",
        "/proc/sys/kernel/random/boot_id",
    ]
    .iter()
    .map(|path| files::text(path, 128).trim().to_owned())
    .find(|text| !text.is_empty())
    .unwrap_or_default()
}

fn os(release: &str) -> String {
    let value = |name: &str| {
        release
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
            .map(|value| value.trim_matches(['"', '\'']).to_owned())
    };
    value("PRETTY_NAME").or_else(|| value("NAME")).unwrap_or_else(|| "Linux".to_owned())
}

/// Addresses other than loopback, as the kernel's tables of local routes have them.
fn addresses() -> Vec<String> {
    let mut found: Vec<IpAddr> = Vec::new();
    let trie = files::text("/proc/net/fib_trie", 4 << 20);
    let mut last = None;
    for line in trie.lines() {
        let line = line.trim();
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse::<Ipv4Addr>().ok();
        } else if line.starts_with("/32 host LOCAL") {
            found.extend(last.map(IpAddr::from));
        }
    }
    let six = files::text("/proc/net/if_inet6", 1 << 20);
    for address in six.lines().filter_map(|line| line.split_whitespace().next()) {
        if let Ok(bits) = u128::from_str_radix(address, 16) {
            found.push(Ipv6Addr::from(bits).into());
        }
    }
    found.retain(|ip| !ip.is_loopback());
    found.sort_unstable();
    found.dedup();
    found.truncate(256);
    found.iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_is_called_as_people_call_it() {
        let release = "NAME=\"Debian\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n";
        assert_eq!(os(release), "Debian GNU/Linux 12 (bookworm)");
        assert_eq!(os(""), "Linux");
    }

    #[test]
    fn a_typed_name_is_a_host_name() {
        assert!(plain_name("web-01.example").is_ok());
        for bad in ["", "a b", "a;b", "ä"] {
            assert!(plain_name(bad).is_err());
        }
    }
}
