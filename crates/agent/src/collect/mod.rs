//! What is on the device: a file a source. Read only, bounded, and never a reason to stop.

pub(crate) mod host;

use crate::files;
use riposte_wire::Inventory;

/// Everything.
pub(crate) fn inventory(name: Option<&str>) -> Inventory {
    Inventory { host: host::host(name), ..Inventory::default() }
}

/// A hash of what would be news to the server.
pub(crate) fn fingerprint(inventory: &Inventory) -> String {
    let json = serde_json::to_vec(inventory).unwrap_or_default();
    hex::encode(ring::digest::digest(&ring::digest::SHA256, &json))
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
