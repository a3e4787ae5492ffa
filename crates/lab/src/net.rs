//! Network namespaces for agents that cut themselves off: the lab's machine stays on its network.
//!
//! ```text
//! lab and server 10.213.N.1 ---- 10.213.N.10   the first device
//!                           ---- 10.213.N.11   the second, and so on
//! ```
//!
//! The one address of the lab is on every link, so a server that listens there has one name for all
//! of them. Everything is gone when it is dropped; what a killed lab left behind goes at the next
//! start.

use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// Every namespace of the lab begins so.
const PREFIX: &str = "rlab-";

/// How many nets this process has made.
static NETS: AtomicU32 = AtomicU32::new(0);

/// Devices of their own, each with a link to the lab.
#[derive(Debug)]
pub(crate) struct Net {
    /// Where the lab and the server are on these links.
    pub(crate) address: IpAddr,
    names: Vec<String>,
}

/// Why namespaces cannot be made here.
pub(crate) fn impossible() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("namespaces need root".to_owned());
    }
    let missing = ["ip", "nft"].into_iter().find(|tool| {
        let at = |dir: &str| std::path::Path::new(dir).join(tool).exists();
        !["/usr/sbin", "/sbin", "/usr/bin", "/bin"].into_iter().any(at)
    });
    if let Some(tool) = missing {
        return Some(format!("{tool} is not installed"));
    }
    // Root in a container may still not be let.
    let name = format!("{PREFIX}{}-probe", std::process::id());
    let made = ip(&format!("netns add {name}"));
    let _ = ip(&format!("netns del {name}"));
    made.err()
}

fn ip(words: &str) -> Result<(), String> {
    let said = Command::new("ip").args(words.split(' ')).output();
    let said = said.map_err(|error| format!("ip: {error}"))?;
    if said.status.success() {
        return Ok(());
    }
    Err(format!("ip {words}: {}", String::from_utf8_lossy(&said.stderr).trim()))
}

impl Net {
    /// As many devices.
    pub(crate) fn new(devices: usize) -> Result<Self, String> {
        sweep();
        // A kernel may take its time over a namespace that was deleted: each net has names of its own.
        let (id, made) = (std::process::id(), NETS.fetch_add(1, Ordering::Relaxed));
        let third = (id.wrapping_add(made) % 250) as u8;
        let address = Ipv4Addr::new(10, 213, third, 1);
        let mut net = Self { address: IpAddr::V4(address), names: Vec::new() };
        for device in 0..devices {
            let name = format!("{PREFIX}{id}-{made}-{device}");
            let other = Ipv4Addr::new(10, 213, third, 10 + device as u8);
            // In the fifteen letters there are.
            let link = format!("rl{id:x}n{made:x}x{device:x}");
            ip(&format!("netns add {name}"))?;
            net.names.push(name.clone());
            ip(&format!("-n {name} link set lo up"))?;
            ip(&format!("link add {link} type veth peer name v0 netns {name}"))?;
            ip(&format!("addr add {address}/32 peer {other}/32 dev {link}"))?;
            ip(&format!("-n {name} addr add {other}/32 peer {address}/32 dev v0"))?;
            ip(&format!("link set {link} up"))?;
            ip(&format!("-n {name} link set v0 up"))?;
        }
        Ok(net)
    }

    /// The namespace of a device.
    pub(crate) fn name(&self, device: usize) -> Option<&str> {
        self.names.get(device).map(String::as_str)
    }
}

/// Whether the kernel's rules in a namespace cut it off, as a listing of the agent's table shows;
/// none where it cannot be listed.
pub(crate) fn is_cut_off(namespace: &str) -> Option<bool> {
    let said = Command::new("ip")
        .args(["netns", "exec", namespace, "nft", "list", "table", "inet", "riposte"])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&said.stdout);
    if said.status.success() {
        return Some(text.contains("hook input") && text.contains("policy drop"));
    }
    String::from_utf8_lossy(&said.stderr).contains("No such file").then_some(false)
}

impl Drop for Net {
    fn drop(&mut self) {
        for name in &self.names {
            // Its end of the link takes the lab's end along.
            let _ = ip(&format!("netns del {name}"));
        }
    }
}

/// Removes namespaces of labs that are gone.
fn sweep() {
    let Ok(entries) = std::fs::read_dir("/run/netns") else { return };
    for name in entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()) {
        let Some(rest) = name.strip_prefix(PREFIX) else { continue };
        let owner = rest.split('-').next().unwrap_or_default();
        if !std::path::Path::new("/proc").join(owner).exists() {
            let _ = ip(&format!("netns del {name}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_made_and_leave_nothing_behind() {
        if impossible().is_some() {
            return;
        }
        let net = Net::new(2).unwrap();
        let name = net.name(1).unwrap().to_owned();
        assert_eq!(is_cut_off(&name), Some(false));
        let reached = Command::new("ip")
            .args(["netns", "exec", &name, "ip", "route", "get", &net.address.to_string()])
            .output()
            .unwrap();
        assert!(reached.status.success());
        drop(net);
        assert!(!std::path::Path::new("/run/netns").join(name).exists());
    }
}
