//! Processes, as `/proc` has them.
//!
//! Always: a process is a number and the moment it started; a signal goes through a descriptor that
//! was opened before both were compared, so it never reaches a process that took the number over.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::clock;
use crate::fault::{During, Fault, Result};
use crate::files;

/// A process, with what `/proc/PID/stat` says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    /// Its number.
    pub(crate) pid: i32,
    /// Who started it.
    pub(crate) parent: i32,
    /// Its short name.
    pub(crate) name: String,
    /// `R`, `S`, `Z` …
    pub(crate) state: char,
    /// Its terminal's number; 0 for none.
    pub(crate) terminal: i64,
    /// When it started, in ticks since boot.
    pub(crate) started: u64,
    /// Resident memory in bytes.
    pub(crate) memory: u64,
}

/// Every process there is.
pub(crate) fn all() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(one)
        .collect()
}

/// One process, when it is there.
pub(crate) fn one(pid: i32) -> Option<Process> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    read_stat(pid, &String::from_utf8_lossy(&stat))
}

fn read_stat(pid: i32, stat: &str) -> Option<Process> {
    // The name may hold anything, brackets and blanks included, so the last bracket ends it.
    let (front, rest) = stat.rsplit_once(')')?;
    let name = front.split_once('(')?.1.to_owned();
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3).copied();
    Some(Process {
        pid,
        parent: field(4)?.parse().ok()?,
        name,
        state: field(3)?.chars().next()?,
        terminal: field(7)?.parse().ok()?,
        started: field(22)?.parse().ok()?,
        memory: field(24)?.parse::<u64>().ok()? * rustix::param::page_size() as u64,
    })
}

impl Process {
    /// Whether it still runs: the same process, and not one that merely has not been collected.
    pub(crate) fn alive(&self) -> bool {
        one(self.pid)
            .is_some_and(|now| now.started == self.started && !matches!(now.state, 'Z' | 'X' | 'x'))
    }

    /// Whose it is.
    pub(crate) fn owner(&self) -> Option<u32> {
        let status = files::text(format!("/proc/{}/status", self.pid), 16 << 10);
        let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
        line.split_whitespace().nth(1)?.parse().ok()
    }

    /// Its command line, up to 1,000 characters.
    pub(crate) fn command(&self) -> String {
        command(self.pid)
    }

    /// The program it runs, as far as that can be seen.
    pub(crate) fn program(&self) -> Option<PathBuf> {
        fs::read_link(format!("/proc/{}/exe", self.pid)).ok()
    }

    /// The device and inode of the program it runs.
    pub(crate) fn program_file(&self) -> Option<(u64, u64)> {
        let file = fs::metadata(format!("/proc/{}/exe", self.pid)).ok()?;
        Some((file.dev(), file.ino()))
    }

    /// Whether it runs from a file or has it mapped.
    pub(crate) fn uses(&self, file: (u64, u64), path: &Path) -> bool {
        self.program_file() == Some(file) || self.maps(file, path)
    }

    fn maps(&self, (device, inode): (u64, u64), path: &Path) -> bool {
        let Ok(maps) = fs::read(format!("/proc/{}/maps", self.pid)) else { return false };
        let maps = String::from_utf8_lossy(&maps);
        let device = format!("{:02x}:{:02x}", rustix::fs::major(device), rustix::fs::minor(device));
        let inode = inode.to_string();
        maps.lines().any(|line| {
            let mut fields = line.split_whitespace().skip(3);
            let (of, number) = (fields.next(), fields.next());
            let name = fields.next().unwrap_or_default();
            // Some file systems say another device here than `stat` does.
            number == Some(inode.as_str())
                && (of == Some(device.as_str()) || Path::new(name) == path)
        })
    }

    /// Sends it a signal, if it is still the same process.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(self.pid).ok_or_else(|| Fault::new("there is no process 0"))?;
        let handle = match pidfd_open(pid, PidfdFlags::empty()) {
            Err(rustix::io::Errno::SRCH) => return Ok(()),
            other => other.during(format_args!("cannot reach process {}", self.pid))?,
        };
        if !self.alive() {
            return Ok(());
        }
        match pidfd_send_signal(handle, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(e) => Err(e).during(format_args!("cannot signal process {}", self.pid)),
        }
    }
}

/// A command line, up to 1,000 characters.
pub(crate) fn command(pid: i32) -> String {
    let line = files::text(format!("/proc/{pid}/cmdline"), 8 << 10);
    line.trim_end_matches('\0')
        .chars()
        .map(|c| if c == '\0' { ' ' } else { c })
        .take(1_000)
        .collect()
}

/// Kills what `which` finds until nothing is found, for at most five seconds; says what is left.
///
/// Never the first process and never this one: those are the caller's to refuse before.
pub(crate) fn kill(which: impl Fn() -> Vec<Process>) -> Vec<Process> {
    let until = Instant::now() + Duration::from_secs(5);
    loop {
        let left: Vec<Process> = which()
            .into_iter()
            .filter(|process| process.pid != 1 && process.pid != own() && process.alive())
            .collect();
        if left.is_empty() || Instant::now() >= until {
            return left;
        }
        for process in &left {
            if let Err(e) = process.signal(Signal::KILL) {
                tracing::warn!("{e}");
            }
        }
        clock::pause(Duration::from_millis(20));
    }
}

/// This process's number.
pub(crate) fn own() -> i32 {
    i32::try_from(std::process::id()).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_confuse() {
        let stat = "7 (a) R (b) S 1 7 7 34816 7 4194304 1 0 0 0 1 2 0 0 20 0 1 0 4242 9 3 1";
        let process = read_stat(7, stat).unwrap();
        assert_eq!((process.name.as_str(), process.state), ("a) R (b", 'S'));
        assert_eq!((process.parent, process.started, process.terminal), (1, 4242, 34816));
    }

    #[test]
    fn a_signal_reaches_only_the_process_that_was_meant() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let process = one(i32::try_from(child.id()).unwrap()).unwrap();
        let other = Process { started: process.started + 1, ..process.clone() };
        other.signal(Signal::KILL).unwrap();
        assert!(process.alive());
        assert!(kill(|| vec![process.clone()]).is_empty());
        assert!(!process.alive());
        child.wait().unwrap();
    }
}
