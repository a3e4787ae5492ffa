//! What goes into an investigation package: what runs, what is connected, who was here, what starts
//! by itself, what is installed, what is new, and the logs that say the most.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use super::package::Bundle;
use super::process;
use crate::clock::{self, DAY};
use crate::collect;
use crate::fault::Result;
use crate::host::{command, place, sockets, utmp};

/// Of one log.
const LOG: u64 = 64 << 20;
/// Of a file of configuration.
const SMALL: u64 = 1 << 20;
/// Files listed as recent.
const RECENT: usize = 20_000;

const LOGS: [&str; 12] = [
    "/var/log/auth.log",
    "/var/log/auth.log.1",
    "/var/log/secure",
    "/var/log/syslog",
    "/var/log/messages",
    "/var/log/kern.log",
    "/var/log/audit/audit.log",
    "/var/log/dpkg.log",
    "/var/log/apt/history.log",
    "/var/log/wtmp",
    "/var/log/btmp",
    "/var/log/lastlog",
];

/// What starts by itself, and what changes how programs are found.
const STARTERS: [&str; 14] = [
    "/etc/crontab",
    "/etc/cron.d",
    "/etc/cron.hourly",
    "/etc/cron.daily",
    "/etc/cron.weekly",
    "/etc/cron.monthly",
    "/var/spool/cron",
    "/etc/systemd/system",
    "/etc/systemd/user",
    "/etc/init.d",
    "/etc/rc.local",
    "/etc/profile.d",
    "/etc/ld.so.preload",
    "/etc/sudoers.d",
];

const NETWORK: [&str; 11] = [
    "/etc/hosts",
    "/etc/resolv.conf",
    "/etc/nsswitch.conf",
    "/etc/ssh/sshd_config",
    "/proc/net/tcp",
    "/proc/net/tcp6",
    "/proc/net/udp",
    "/proc/net/udp6",
    "/proc/net/route",
    "/proc/net/arp",
    "/proc/net/dev",
];

const SYSTEM: [&str; 8] = [
    "/etc/passwd",
    "/etc/group",
    "/etc/sudoers",
    "/etc/os-release",
    "/proc/modules",
    "/proc/mounts",
    "/proc/cmdline",
    "/proc/meminfo",
];

/// Programs of the system that say more than files do.
const SAID: [(&str, &str, &[&str]); 6] = [
    ("network/nft.txt", "nft", &["list", "ruleset"]),
    ("network/addresses.json", "ip", &["-j", "address"]),
    ("network/routes.json", "ip", &["-j", "route", "show", "table", "all"]),
    (
        "system/units.txt",
        "systemctl",
        &["list-units", "--all", "--plain", "--no-legend", "--no-pager"],
    ),
    (
        "logs/journal.txt",
        "journalctl",
        &["--no-pager", "--output=short-iso", "--lines=20000", "--quiet"],
    ),
    ("logins/last.txt", "last", &["-F", "-i", "-w", "-n", "5000"]),
];

/// Puts everything into a bundle.
pub(crate) fn everything(
    bundle: &mut Bundle<'_>,
    name: Option<&str>,
    progress: &dyn Fn(u8, &str),
) -> Result<()> {
    progress(1, "what runs");
    bundle.put_json("host.json", &json!(collect::inventory(name)))?;
    bundle.put_json("processes.json", &json!(process::processes()))?;
    bundle.put_json("sockets.json", &sockets_with_owners())?;
    bundle.put_json("logins/now.json", &logins("/run/utmp"))?;
    bundle.put_json("logins/before.json", &logins("/var/log/wtmp"))?;
    bundle.put_json("logins/failed.json", &logins("/var/log/btmp"))?;
    progress(15, "configuration");
    for path in SYSTEM.iter().chain(&NETWORK) {
        file(bundle, "files", Path::new(path), SMALL)?;
    }
    for path in STARTERS {
        folder(bundle, Path::new(path))?;
    }
    for path in keys_of_homes() {
        file(bundle, "files", &path, SMALL)?;
    }
    progress(30, "what the system says");
    for (member, program, arguments) in SAID {
        said(bundle, member, program, arguments)?;
    }
    progress(50, "what is new");
    bundle.put("recent-files.jsonl", recent().as_slice(), LOG)?;
    progress(65, "logs");
    for path in LOGS {
        file(bundle, "files", Path::new(path), LOG)?;
    }
    Ok(())
}

fn said(bundle: &mut Bundle<'_>, member: &str, program: &str, arguments: &[&str]) -> Result<()> {
    if command::find(program).is_none() {
        return Ok(());
    }
    match command::run(program, arguments, b"", Duration::from_mins(1)) {
        Ok(said) => bundle.put(member, said.output.as_slice(), LOG),
        Err(e) => bundle.put(member, e.to_string().as_bytes(), SMALL),
    }
}

fn file(bundle: &mut Bundle<'_>, under: &str, path: &Path, limit: u64) -> Result<()> {
    // Never through a link: /etc/rc.local could be one to /etc/shadow.
    let name = format!("{under}{}", path.display());
    if path.starts_with("/proc") {
        return match File::open(path) {
            Ok(file) => bundle.put(&name, file, limit),
            Err(_) => Ok(()),
        };
    }
    match place::open(path) {
        Ok(place) => bundle.put(&name, place.file, limit),
        Err(_) => Ok(()),
    }
}

fn folder(bundle: &mut Bundle<'_>, path: &Path) -> Result<()> {
    if path.is_file() {
        return file(bundle, "files", path, SMALL);
    }
    let mut found = Vec::new();
    place::walk(path, &mut |path, _| {
        found.push(path.to_owned());
        found.len() < 2_000
    });
    found.iter().try_for_each(|path| file(bundle, "files", path, SMALL))
}

fn keys_of_homes() -> Vec<PathBuf> {
    let homes = fs::read_dir("/home").into_iter().flatten().flatten().map(|entry| entry.path());
    homes
        .chain([PathBuf::from("/root")])
        .flat_map(|home| {
            [".ssh/authorized_keys", ".bash_history", ".bashrc", ".profile"]
                .map(|name| home.join(name))
        })
        .take(4_000)
        .collect()
}

fn logins(path: &str) -> Value {
    let mut entries = utmp::entries(path, 5_000);
    entries.reverse();
    let all: Vec<Value> =
        entries.into_iter().map(|entry| json!({"pid": entry.pid, "session": entry.who})).collect();
    json!(all)
}

fn sockets_with_owners() -> Value {
    let owners = sockets::owners();
    let all: Vec<Value> = sockets::all()
        .into_iter()
        .take(20_000)
        .map(|socket| {
            json!({
                "protocol": socket.protocol,
                "local": socket.local,
                "remote": socket.remote,
                "listens": socket.listens,
                "established": socket.established,
                "process": owners.get(&socket.inode),
            })
        })
        .collect();
    json!(all)
}

/// Files that changed within a week where malware usually is, a line of JSON each.
fn recent() -> Vec<u8> {
    let since = (clock::now() - 7 * DAY).div_euclid(clock::SECOND);
    // Spelled at once: as values they would take ten times the memory.
    let (mut found, mut count) = (Vec::new(), 0);
    for root in ["/tmp", "/var/tmp", "/dev/shm", "/home", "/root", "/etc", "/usr/local"] {
        let mut looked = 0_u64;
        place::walk(Path::new(root), &mut |path, about| {
            looked += 1;
            if about.mtime().max(about.ctime()) >= since {
                let line = json!({
                    "path": path,
                    "size": about.len(),
                    "mode": format!("{:o}", about.mode() & 0o7777),
                    "uid": about.uid(),
                    "modified": about.mtime().saturating_mul(clock::SECOND),
                    "changed": about.ctime().saturating_mul(clock::SECOND),
                });
                found.extend_from_slice(line.to_string().as_bytes());
                found.push(b'\n');
                count += 1;
            }
            count < RECENT && looked < 1_000_000
        });
    }
    found
}
