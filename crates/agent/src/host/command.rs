//! Starts programs of the system: by absolute path, with an argument vector, a clean environment
//! and a time limit. Never a shell.
//!
//! Not here: which values may become arguments; whoever calls has typed them.

use std::collections::VecDeque;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::fault::{During, Fault, Result};
use crate::lock::lock;

/// Where programs of the system are; what `PATH` says does not matter.
const FOLDERS: [&str; 6] =
    ["/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/sbin", "/usr/local/bin"];

/// How long it is remembered that a process was started here: until who looks at what starts has
/// looked.
const REMEMBERED: Duration = Duration::from_secs(2);

/// Processes that were started here a moment ago; most are gone before anybody can ask whose they are.
static STARTED: Mutex<VecDeque<(u32, Instant)>> = Mutex::new(VecDeque::new());

/// Whether a process was started here a moment ago.
pub(crate) fn is_ours(pid: i32) -> bool {
    let ours = |known: u32| i32::try_from(known) == Ok(pid);
    lock(&STARTED).iter().any(|(known, at)| ours(*known) && at.elapsed() < REMEMBERED)
}

fn remember(pid: u32) {
    let mut started = lock(&STARTED);
    started.retain(|(_, at)| at.elapsed() < REMEMBERED);
    started.push_back((pid, Instant::now()));
}

/// What a program said.
#[derive(Debug)]
pub(crate) struct Said {
    /// Its exit status; `None` when a signal ended it.
    pub(crate) status: Option<i32>,
    /// What it wrote.
    pub(crate) output: Vec<u8>,
    /// What it complained about, in one line.
    pub(crate) complaint: String,
}

/// Where a program is, when it is installed.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    FOLDERS.iter().map(|folder| Path::new(folder).join(name)).find(|path| path.is_file())
}

/// A program with a clean environment.
pub(crate) fn program(path: &Path) -> Command {
    let mut command = Command::new(path);
    command
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C.UTF-8")
        .env("TZ", "UTC")
        .current_dir("/")
        .stdin(Stdio::null());
    command
}

/// Runs an installed program to its end.
pub(crate) fn run(name: &str, arguments: &[&str], input: &[u8], limit: Duration) -> Result<Said> {
    let path = find(name).ok_or_else(|| Fault::new(format!("{name} is not installed")))?;
    let mut command = program(&path);
    command.args(arguments);
    finish(command, name, input, limit)
}

/// Runs a prepared program to its end; it is killed when it takes longer than `limit`.
pub(crate) fn finish(
    mut command: Command,
    name: &str,
    input: &[u8],
    limit: Duration,
) -> Result<Said> {
    let what = format!("cannot run {name}");
    let stdin = if input.is_empty() { Stdio::null() } else { Stdio::piped() };
    let mut child =
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().during(&what)?;
    remember(child.id());
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let pidfd = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
    let (done, waiting) = mpsc::channel::<()>();
    let killer = thread::Builder::new().stack_size(64 << 10).spawn(move || {
        let late = waiting.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout);
        if let (true, Some(pidfd)) = (late, pidfd) {
            let _ = pidfd_send_signal(pidfd, Signal::KILL);
        }
        late
    });
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ends without reading says why on stderr.
        let _ = stdin.write_all(input);
    }
    let output = child.wait_with_output();
    drop(done);
    let late = killer.is_ok_and(|killer| killer.join().unwrap_or(false));
    let output = output.during(&what)?;
    if late {
        return Err(Fault::new(format!("{name} took longer than {} s", limit.as_secs())));
    }
    let complaint = String::from_utf8_lossy(&output.stderr)
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .unwrap_or("")
        .chars()
        .take(300)
        .collect();
    Ok(Said { status: output.status.code(), output: output.stdout, complaint })
}

impl Said {
    /// What it wrote, when it ended well.
    pub(crate) fn ok(self, name: &str) -> Result<Vec<u8>> {
        match self.status {
            Some(0) => Ok(self.output),
            Some(status) => {
                Err(Fault::new(format!("{name} ended with {status}: {}", self.complaint)))
            }
            None => Err(Fault::new(format!("{name} was killed"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_hangs_is_ended() {
        let e = run("sleep", &["60"], b"", Duration::from_millis(50)).unwrap_err();
        assert_eq!(e.to_string(), "sleep took longer than 0 s");
    }

    #[test]
    fn a_program_gets_its_input_and_says_how_it_ended() {
        assert_eq!(run("cat", &[], b"x", Duration::from_secs(9)).unwrap().output, b"x");
        let e = run("false", &[], b"", Duration::from_secs(9)).unwrap().ok("false").unwrap_err();
        assert!(e.to_string().starts_with("false ended with 1"));
    }
}
