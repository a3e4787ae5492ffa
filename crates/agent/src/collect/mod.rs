//! What is on the device: a file a source. Read only, bounded, and never a reason to stop.

pub(crate) mod host;
pub(crate) mod packages;
pub(crate) mod services;
pub(crate) mod users;

use std::collections::HashSet;

use riposte_wire::{Inventory, Port};

use crate::clock::{self, DAY, SECOND};
use crate::files;
use crate::host::{sockets, utmp};

/// Everything.
pub(crate) fn inventory(name: Option<&str>) -> Inventory {
    Inventory {
        host: host::host(name),
        users: users::users(clock::now().div_euclid(DAY)),
        signed_in: utmp::signed_in().into_iter().map(|entry| entry.who).take(1_000).collect(),
        ports: ports(),
        packages: packages::installed(),
        services: services::active(),
        memory: field_kb(&files::text("/proc/meminfo", 64 << 10), "MemTotal:"),
        processors: processors(),
        booted: booted(),
    }
}

/// A hash of what would be news to the server. Sockets that clients open for an answer come and go
/// and are none, nor is who is signed in, which is observed.
pub(crate) fn fingerprint(inventory: &Inventory) -> String {
    let mut steady = inventory.clone();
    let passing = passing_ports();
    steady.ports.retain(|port| port.protocol != "udp" || port.port < passing);
    steady.signed_in.clear();
    let json = serde_json::to_vec(&steady).unwrap_or_default();
    hex::encode(ring::digest::digest(&ring::digest::SHA256, &json))
}

/// What listens.
fn ports() -> Vec<Port> {
    let owners = sockets::owners();
    let mut seen = HashSet::new();
    let mut ports: Vec<Port> = sockets::all()
        .into_iter()
        .filter(|socket| socket.listens)
        .filter(|socket| seen.insert((socket.protocol, socket.local)))
        .map(|socket| Port {
            protocol: socket.protocol.to_owned(),
            address: socket.local.ip().to_string(),
            port: socket.local.port(),
            process: owners.get(&socket.inode).map(|(_, name)| name.clone()),
        })
        .take(2_000)
        .collect();
    ports.sort_by(|a, b| (a.port, &a.protocol, &a.address).cmp(&(b.port, &b.protocol, &b.address)));
    ports
}

/// The first port that the kernel gives to clients.
pub(crate) fn passing_ports() -> u16 {
    let range = files::text("/proc/sys/net/ipv4/ip_local_port_range", 64);
    range.split_whitespace().next().and_then(|first| first.parse().ok()).unwrap_or(32_768)
}

fn processors() -> u32 {
    let info = files::text("/proc/stat", 4 << 20);
    let count = info
        .lines()
        .filter(|line| {
            line.strip_prefix("cpu")
                .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        })
        .count();
    count as u32
}

fn booted() -> i64 {
    let stat = files::text("/proc/stat", 4 << 20);
    stat.lines()
        .find_map(|line| line.strip_prefix("btime "))
        .and_then(|seconds| seconds.trim().parse::<i64>().ok())
        .map_or(0, |seconds| seconds * SECOND)
}

/// Resident memory in bytes and CPU time in microseconds of this process.
pub(crate) fn own() -> (u64, u64) {
    let status = files::text("/proc/self/status", 64 << 10);
    (field_kb(&status, "VmRSS:"), cpu_time())
}

/// A field of `/proc` in kilobytes, as bytes.
pub(crate) fn field_kb(text: &str, name: &str) -> u64 {
    text.lines()
        .find_map(|line| line.strip_prefix(name))
        .and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok())
        .map_or(0, |kb| kb * 1024)
}

fn cpu_time() -> u64 {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let (seconds, nanos) = (used.tv_sec.unsigned_abs(), used.tv_nsec.unsigned_abs());
    seconds * 1_000_000 + nanos / 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inventory_of_this_machine_is_filled() {
        let inventory = inventory(Some("device-1"));
        assert_eq!(inventory.host.name, "device-1");
        assert!(inventory.users.iter().any(|user| user.name == "root" && user.administrator));
        assert!(inventory.memory > 0 && inventory.processors > 0 && inventory.booted > 0);
        assert_eq!(fingerprint(&inventory), fingerprint(&inventory.clone()));
    }
}
