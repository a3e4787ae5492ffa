//! Looks for malware with the engines that are installed: `ClamAV`, and YARA when rules are given.
//!
//! Always: engines are started directly, with file names in a list and never as arguments, and with
//! the lowest priority; a scan can be stopped at any time and changes nothing on the device.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, BufWriter, Write as _};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde_json::{Value, json};

use super::{Done, Work};
use crate::agent::Agent;
use crate::fault::{During, Fault, Result};
use crate::host::{command, place, proc};
use crate::{clock, files};

/// Files in one run of YARA, between which progress is said.
const BATCH: usize = 500;
/// Larger files are not looked into.
const LARGEST: u64 = 256 << 20;
/// Files in one scan, and hits told.
const FILES: usize = 2_000_000;
const HITS: usize = 10_000;
/// Hits whose file is hashed.
const HASHED: usize = 500;

const USUAL: [&str; 9] =
    ["/tmp", "/var/tmp", "/dev/shm", "/home", "/root", "/opt", "/srv", "/usr/local", "/var/www"];

/// Scans.
pub(crate) fn scan(
    agent: &Agent,
    full: bool,
    rules: &[(String, String)],
    work: &Work<'_>,
) -> Result<Done> {
    let clam = clam();
    let yara = command::find("yara").filter(|_| !rules.is_empty());
    if !rules.is_empty() && yara.is_none() {
        // A scan without them would pass for one with them.
        return Err(Fault::new("the order brings rules, and YARA (yara) is not installed"));
    }
    if clam.is_none() && yara.is_none() {
        let why = if rules.is_empty() { "without rules that needs ClamAV" } else { "no engine" };
        return Err(Fault::new(format!("nothing can scan here: {why}, which is not installed")));
    }
    let folder = agent.data.packages().join(format!("scan-{}", work.order));
    files::private_dir(&folder)?;
    let done = run(agent, (full, rules), work, &folder, clam.as_ref(), yara.as_deref());
    if let Err(e) = std::fs::remove_dir_all(&folder) {
        tracing::warn!("cannot remove {}: {e}", folder.display());
    }
    done
}

fn run(
    agent: &Agent,
    (full, rules): (bool, &[(String, String)]),
    work: &Work<'_>,
    folder: &Path,
    clam: Option<&Clam>,
    yara: Option<&Path>,
) -> Result<Done> {
    let mut rule_files = Vec::new();
    for (number, (_, text)) in rules.iter().enumerate() {
        let path = folder.join(format!("{number}.yar"));
        files::replace(&path, text.as_bytes())?;
        rule_files.push(path);
    }
    agent.progress(work.order, work.began, 0, "looking for files");
    let list = folder.join("list");
    let count = list_targets(agent, full, work, &list)?;
    let engines = usize::from(clam.is_some()) + usize::from(yara.is_some());
    let total = (count * engines).max(1);
    let mut state = Progress { agent, work, total, done: 0, hits: Vec::new(), said: 0 };
    let mut used = Vec::new();
    if let Some(yara) = yara {
        used.push("yara");
        let mut lines = BufReader::new(File::open(&list).during("cannot read the list")?)
            .split(b'\n')
            .map_while(std::result::Result::ok);
        loop {
            let batch: Vec<Vec<u8>> = lines.by_ref().take(BATCH).collect();
            if batch.is_empty() || work.cancel.load(Ordering::Relaxed) {
                break;
            }
            with_yara(yara, &rule_files, rules, &batch, folder, &mut state)?;
        }
    }
    if let Some(clam) = clam
        && !work.cancel.load(Ordering::Relaxed)
    {
        used.push(clam.name());
        with_clam(clam, &list, &mut state)?;
    }
    let finished = !work.cancel.load(Ordering::Relaxed);
    let looked = if finished { count } else { state.done / engines.max(1) };
    let back = json!({"finished": finished, "files": looked, "hits": state.hits.len()});
    let found = json!({"engines": used, "hits": state.hits});
    if finished {
        Ok(Done::well(back).with(found))
    } else {
        Ok(Done::failed("it was cancelled").reading(Some(back)).with(found))
    }
}

/// How far a scan is.
struct Progress<'a> {
    agent: &'a Agent,
    work: &'a Work<'a>,
    total: usize,
    done: usize,
    hits: Vec<Value>,
    said: usize,
}

impl Progress<'_> {
    fn looked(&mut self, count: usize) {
        self.done += count;
        let percent = (self.done * 100 / self.total).min(99);
        if percent > self.said {
            self.said = percent;
            let text = format!("{} of {} files, {} hits", self.done, self.total, self.hits.len());
            self.agent.progress(self.work.order, self.work.began, percent as u8, &text);
        }
    }

    fn hit(&mut self, engine: &str, name: &str, path: &str) {
        if self.hits.len() >= HITS {
            return;
        }
        // By its hash the server knows where else a file is.
        let hash = if self.hits.len() < HASHED {
            place::open(Path::new(path)).and_then(|place| place.sha256()).ok()
        } else {
            None
        };
        self.hits.push(json!({"engine": engine, "name": name, "path": path, "sha256": hash}));
    }
}

/// Writes down which files to look at, a name a line; says how many. On disk, because there may be
/// millions.
fn list_targets(agent: &Agent, full: bool, work: &Work<'_>, list: &Path) -> Result<usize> {
    let what = "cannot write the list";
    let own = agent.data.quarantine();
    let own = own.parent().unwrap_or(&own);
    files::replace(list, b"")?;
    let mut out = BufWriter::new(OpenOptions::new().append(true).open(list).during(what)?);
    let mut count = 0;
    let mut put = |path: &Path| -> std::io::Result<()> {
        count += 1;
        out.write_all(path.as_os_str().as_bytes())?;
        out.write_all(b"\n")
    };
    // A list has a name a line.
    let plain = |path: &Path| !path.as_os_str().as_bytes().contains(&b'\n');
    let mut written = Ok(());
    let mut taken = 0;
    let roots: &[&str] = if full { &["/"] } else { &USUAL };
    for root in roots {
        place::walk(Path::new(root), &mut |path, about| {
            let fits = about.len() > 0 && about.len() <= LARGEST;
            if fits && plain(path) && !path.starts_with(own) {
                taken += 1;
                written = put(path);
            }
            written.is_ok() && taken < FILES && !work.cancel.load(Ordering::Relaxed)
        });
    }
    written.during(what)?;
    if !full {
        // What runs now is looked at wherever it is.
        let running: BTreeSet<PathBuf> =
            proc::all().iter().filter_map(proc::Process::program).collect();
        for path in running.iter().filter(|path| path.is_file() && plain(path)) {
            if !USUAL.iter().any(|root| path.starts_with(root)) {
                put(path).during(what)?;
            }
        }
    }
    out.flush().during(what)?;
    Ok(count)
}

fn with_yara(
    yara: &Path,
    rule_files: &[PathBuf],
    rules: &[(String, String)],
    batch: &[Vec<u8>],
    folder: &Path,
    state: &mut Progress<'_>,
) -> Result<()> {
    let list = folder.join("batch");
    files::replace(&list, &batch.join(&b'\n'))?;
    let mut command = nice(yara);
    command.args(["--no-warnings", "--print-namespace", "--threads=1", "--scan-list"]);
    for (number, path) in rule_files.iter().enumerate() {
        let mut argument = format!("r{number}:");
        let _ = write!(argument, "{}", path.display());
        command.arg(argument);
    }
    command.arg(list);
    let cancel = state.work.cancel;
    let (status, complaint) = stream(command, cancel, &mut |line| {
        // r0:RuleName /path
        let Some((rule, path)) = line.split_once(' ') else { return };
        let Some((space, rule)) = rule.split_once(':') else { return };
        let number: Option<usize> = space.strip_prefix('r').and_then(|n| n.parse().ok());
        let of = number.and_then(|number| rules.get(number)).map_or("", |(name, _)| name.as_str());
        state.hit("yara", &format!("{of}: {rule}"), path);
    })?;
    // Files that vanish or cannot be read make a bad status too; rules that cannot be read say so.
    let bad_rules = complaint.contains("error") && complaint.contains(".yar(");
    if status != Some(0) && bad_rules && !cancel.load(Ordering::Relaxed) {
        let short = complaint.replace(&folder.display().to_string(), "rules");
        return Err(Fault::new(format!("the rules cannot be used: {short}")));
    }
    state.looked(batch.len());
    Ok(())
}

/// Which program of `ClamAV`.
enum Clam {
    Daemon(PathBuf),
    Alone(PathBuf),
}

impl Clam {
    fn name(&self) -> &'static str {
        match self {
            Self::Daemon(_) => "clamdscan",
            Self::Alone(_) => "clamscan",
        }
    }
}

fn clam() -> Option<Clam> {
    if let Some(path) = command::find("clamdscan") {
        let limit = Duration::from_secs(10);
        let up = command::run("clamdscan", &["--ping", "1"], b"", limit);
        if up.is_ok_and(|said| said.status == Some(0)) {
            return Some(Clam::Daemon(path));
        }
    }
    command::find("clamscan").map(Clam::Alone)
}

fn with_clam(clam: &Clam, list: &Path, state: &mut Progress<'_>) -> Result<()> {
    let mut command = match clam {
        Clam::Daemon(path) => {
            let mut command = nice(path);
            command.arg("--fdpass");
            command
        }
        Clam::Alone(path) => nice(path),
    };
    command.args(["--no-summary", "--stdout"]).arg(format!("--file-list={}", list.display()));
    let cancel = state.work.cancel;
    let name = clam.name();
    let (status, complaint) = stream(command, cancel, &mut |line| {
        // /path: Name FOUND, /path: OK
        if let Some((path, said)) = line.rsplit_once(": ") {
            if let Some(what) = said.strip_suffix(" FOUND") {
                state.hit(name, what, path);
            }
            state.looked(1);
        }
    })?;
    match status {
        Some(0 | 1) => Ok(()),
        // Files that could not be read; the others were looked at.
        Some(2) if state.done > 0 => Ok(()),
        _ if cancel.load(Ordering::Relaxed) => Ok(()),
        _ => Err(Fault::new(format!("{name} failed: {complaint}"))),
    }
}

/// A program at the lowest priority.
fn nice(path: &Path) -> Command {
    match command::find("nice") {
        Some(nice) => {
            let mut command = command::program(&nice);
            command.args(["-n", "19", "--"]).arg(path);
            command
        }
        None => command::program(path),
    }
}

/// Runs a program and takes its lines as they come; kills it when it is told to stop.
fn stream(
    mut command: Command,
    cancel: &AtomicBool,
    take: &mut dyn FnMut(&str),
) -> Result<(Option<i32>, String)> {
    let what = "cannot run the engine";
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().during(what)?;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let handle = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
    let (output, errors) = (child.stdout.take(), child.stderr.take());
    let over = AtomicBool::new(false);
    let complaint = thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                if let (true, Some(handle)) = (cancel.load(Ordering::Relaxed), &handle) {
                    let _ = pidfd_send_signal(handle, Signal::KILL);
                    return;
                }
                clock::pause(Duration::from_millis(100));
            }
        });
        let complaints = scope.spawn(move || {
            let lines = BufReader::new(errors?).lines();
            // All is read, so that the program is not held up, and the first line is kept.
            lines
                .map_while(std::result::Result::ok)
                .fold(None, |first: Option<String>, line| first.or(Some(line)))
        });
        if let Some(output) = output {
            for line in BufReader::new(output).split(b'\n').map_while(std::result::Result::ok) {
                take(String::from_utf8_lossy(&line).trim_end());
            }
        }
        over.store(true, Ordering::Relaxed);
        complaints.join().ok().flatten().unwrap_or_default()
    });
    let status = child.wait().during(what)?;
    Ok((status.code(), complaint.chars().take(300).collect()))
}
