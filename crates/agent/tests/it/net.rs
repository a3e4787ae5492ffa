//! Network namespaces: the agent's, the server's and a third party's.
//!
//! ```text
//! agent 10.99.1.2 ---- 10.99.1.1 server        fd99:1::2 ---- fd99:1::1
//!       10.99.2.2 ---- 10.99.2.1 third         fd99:2::2 ---- fd99:2::1
//! ```

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use nix::sched::{CloneFlags, setns};

pub(crate) const SERVER: &str = "10.99.1.1";
pub(crate) const SERVER6: &str = "fd99:1::1";
pub(crate) const THIRD: &str = "10.99.2.1";
pub(crate) const THIRD6: &str = "fd99:2::1";

static COUNT: AtomicU32 = AtomicU32::new(0);

/// Three namespaces; gone when dropped.
pub(crate) struct Net {
    tag: String,
}

fn ip(arguments: &str) {
    let said = Command::new("ip").args(arguments.split(' ')).output().unwrap();
    assert!(said.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&said.stderr));
}

/// Whether namespaces can be made here; says why not.
pub(crate) fn possible() -> bool {
    let root = rustix::process::geteuid().is_root();
    let tools = ["/usr/sbin/nft", "/usr/sbin/ip"].iter().all(|tool| File::open(tool).is_ok());
    if !root || !tools {
        println!("passed by: this needs root, nft and ip netns");
    }
    root && tools
}

impl Net {
    pub(crate) fn new() -> Option<Self> {
        if !possible() {
            return None;
        }
        sweep();
        let tag = format!("rpt-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let net = Self { tag };
        let agent = net.agent();
        // `ip netns exec` mounts this over /etc/hosts, so that the machine's stays as it is.
        let own = net.etc();
        // Another test may take the folder above away in between.
        while std::fs::create_dir_all(&own).is_err() {}
        std::fs::write(own.join("hosts"), "127.0.0.1 localhost\n10.99.2.1 third.example\n")
            .unwrap();
        for name in [&agent, &net.server(), &net.third()] {
            ip(&format!("netns add {name}"));
            ip(&format!("-n {name} link set lo up"));
        }
        for (number, other) in [(1, net.server()), (2, net.third())] {
            ip(&format!("-n {agent} link add v{number} type veth peer name v0 netns {other}"));
            for (name, link, end) in [(&agent, format!("v{number}"), 2), (&other, "v0".into(), 1)] {
                ip(&format!("-n {name} addr add 10.99.{number}.{end}/24 dev {link}"));
                ip(&format!("-n {name} addr add fd99:{number}::{end}/64 dev {link} nodad"));
                ip(&format!("-n {name} link set {link} up"));
            }
        }
        Some(net)
    }

    pub(crate) fn agent(&self) -> String {
        format!("{}-a", self.tag)
    }

    /// Files that stand for those of /etc in the agent's namespace.
    pub(crate) fn etc(&self) -> std::path::PathBuf {
        std::path::Path::new("/etc/netns").join(self.agent())
    }

    pub(crate) fn server(&self) -> String {
        format!("{}-s", self.tag)
    }

    pub(crate) fn third(&self) -> String {
        format!("{}-t", self.tag)
    }

    /// What the agent's packet filter has of a table.
    pub(crate) fn rules(&self, table: &str) -> String {
        let said = Command::new("ip")
            .args(["netns", "exec", &self.agent(), "nft", "list", "table", "inet", table])
            .output()
            .unwrap();
        String::from_utf8_lossy(&said.stdout).into_owned()
    }

    pub(crate) fn nft(&self, arguments: &[&str]) {
        let said = Command::new("ip")
            .args(["netns", "exec", &self.agent(), "nft"])
            .args(arguments)
            .output()
            .unwrap();
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    }

    /// A third party that says back what it is told, at this port.
    pub(crate) fn echo(&self, address: &str, port: u16) {
        let listener = within(&self.third(), || TcpListener::bind((address, port)).unwrap());
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                thread::spawn(move || {
                    let mut byte = [0];
                    while stream.read_exact(&mut byte).is_ok() && stream.write_all(&byte).is_ok() {}
                });
            }
        });
    }

    /// A connection from the agent's device.
    pub(crate) fn connect(&self, address: &str, port: u16) -> std::io::Result<TcpStream> {
        let to = format!(
            "{}:{port}",
            if address.contains(':') { format!("[{address}]") } else { address.into() }
        );
        let to = to.parse().unwrap();
        let stream =
            within(&self.agent(), || TcpStream::connect_timeout(&to, Duration::from_millis(800)))?;
        stream.set_read_timeout(Some(Duration::from_millis(800)))?;
        Ok(stream)
    }
}

/// Says a byte and hears it back.
pub(crate) fn echoes(stream: &mut TcpStream) -> bool {
    let mut byte = [0];
    stream.write_all(b"x").is_ok() && stream.read_exact(&mut byte).is_ok()
}

/// Does something in a namespace, in a thread of its own.
pub(crate) fn within<T: Send>(name: &str, f: impl FnOnce() -> T + Send) -> T {
    let namespace = File::open(format!("/run/netns/{name}")).unwrap();
    thread::scope(|scope| {
        scope
            .spawn(move || {
                setns(namespace, CloneFlags::CLONE_NEWNET).unwrap();
                f()
            })
            .join()
            .unwrap()
    })
}

impl Drop for Net {
    fn drop(&mut self) {
        for name in [self.agent(), self.server(), self.third()] {
            let _ = Command::new("ip").args(["netns", "del", &name]).output();
        }
        let _ = std::fs::remove_dir_all(self.etc());
        // Fails while another test has something there.
        let _ = std::fs::remove_dir("/etc/netns");
    }
}

/// Namespaces of test processes that were killed.
fn sweep() {
    let Ok(entries) = std::fs::read_dir("/run/netns") else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid = name.strip_prefix("rpt-").and_then(|rest| rest.split('-').next());
        if pid.is_some_and(|pid| !std::path::Path::new("/proc").join(pid).exists()) {
            let _ = std::fs::remove_dir_all(std::path::Path::new("/etc/netns").join(&name));
            let _ = Command::new("ip").args(["netns", "del", &name]).output();
        }
    }
}
