//! The process that answers what may start: fanotify asks, two threads find out, one answers.
//!
//! It is a process of its own, and starts none. A program being started holds copies of everything
//! its starter has open until it has started; were the group of marks among them, the group would
//! outlive a killed agent in a program that waits for an answer nobody gives, and so would every
//! other program of the device.
//!
//! Policies come in as lines of JSON, refusals go out as lines; the end of the input is the end of
//! the process, and of the marks.
//!
//! Always: the thread that answers reads no file, so it always answers in time, and if it does not
//! the process ends itself; what takes longer than [`PATIENCE`] is let through, unless it is known
//! already to be of no package while only packages may start; every error of ours lets through.

use std::collections::HashMap;
use std::fs::File;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{BufRead, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::guard::{Answer, Facts, Policy, Said};
use crate::clock;
use crate::fault::{During, Fault, Result};
use crate::host::dpkg::{Packages, Standing};
use crate::host::fanotify::{Group, Marks, Start};
use crate::host::{place, proc};
use crate::lock::lock;

/// How long a program waits for leave.
const PATIENCE: Duration = Duration::from_secs(3);
/// After so long without a turn of the thread that answers the process ends.
const STUCK: Duration = Duration::from_secs(10);
/// What is known of so many files is kept.
const KNOWN: usize = 20_000;

/// What is shared with the threads.
#[derive(Debug, Default)]
struct Shared {
    policy: Mutex<Arc<Policy>>,
    known: Mutex<HashMap<Key, Facts>>,
    packages: Mutex<Option<Arc<Packages>>>,
    stop: AtomicBool,
    /// Turns of the thread that answers.
    turns: AtomicU64,
}

/// A file as it is now; another time, size or place is another key.
type Key = (u64, u64, u64, (i64, i64), (i64, i64), u64);

/// Answers until the input ends.
pub(crate) fn run(marks: Marks) -> Result<()> {
    // A program that waits takes two open files.
    let most = getrlimit(Resource::Nofile).maximum;
    let _ = setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most });
    let mut input = std::io::stdin().lock().lines();
    let shared = Arc::new(Shared::default());
    let first = input.next().ok_or_else(|| Fault::new("no policy is given"))?;
    set(&shared, &first.during("cannot read the policy")?)?;
    *lock(&shared.packages) = Some(Arc::new(Packages::load()));
    start(&shared, marks)?;
    say(&Said::Set)?;
    for line in input {
        let Ok(line) = line else { break };
        set(&shared, &line)?;
        say(&Said::Set)?;
    }
    // The marks go with the process, and what waits is let through.
    Ok(())
}

fn set(shared: &Shared, line: &str) -> Result<()> {
    let policy: Policy = serde_json::from_str(line).during("cannot read the policy")?;
    *lock(&shared.policy) = Arc::new(policy);
    Ok(())
}

fn say(said: &Said) -> Result<()> {
    let mut line = serde_json::to_vec(said).during("cannot spell an answer")?;
    line.push(b'\n');
    std::io::stdout().lock().write_all(&line).during("cannot answer")
}

fn start(shared: &Arc<Shared>, marks: Marks) -> Result<()> {
    let (questions, asked) = mpsc::channel::<Question>();
    let asked = Arc::new(Mutex::new(asked));
    let (answers, found) = mpsc::channel::<u64>();
    let (bell, ring) = std::io::pipe().during("cannot start the guard")?;
    let thread = |name: &str, work: Box<dyn FnOnce() + Send>| {
        let builder = thread::Builder::new().name(name.to_owned()).stack_size(512 << 10);
        builder.spawn(work).during("cannot start the guard")
    };
    for _ in 0..2 {
        let (shared, asked, answers) = (Arc::clone(shared), Arc::clone(&asked), answers.clone());
        let ring = ring.try_clone().during("cannot start the guard")?;
        thread("finder", Box::new(move || find_out(&shared, &asked, &answers, ring)))?;
    }
    // Last of what can fail, so that nothing is marked and not answered.
    let group = Group::asked(marks)?;
    let inner = Arc::clone(shared);
    thread(
        "guard",
        Box::new(move || {
            let ended = answer_all(&inner, &group, &questions, &found, bell);
            end(&ended.map_or_else(|e| e.to_string(), |()| "it has no work".to_owned()));
        }),
    )?;
    let inner = Arc::clone(shared);
    thread(
        "watch",
        Box::new(move || {
            let mut last = u64::MAX;
            loop {
                let turns = inner.turns.load(Ordering::Relaxed);
                if turns == last {
                    end("it is stuck");
                }
                last = turns;
                clock::pause(STUCK);
            }
        }),
    )?;
    Ok(())
}

fn end(why: &str) -> ! {
    let _ = writeln!(std::io::stderr(), "the guard ends, everything may start: {why}");
    std::process::exit(1)
}

/// A file of which more must be known.
struct Question {
    number: u64,
    file: OwnedFd,
    path: PathBuf,
    key: Key,
}

fn find_out(
    shared: &Shared,
    asked: &Mutex<mpsc::Receiver<Question>>,
    answers: &mpsc::Sender<u64>,
    mut ring: PipeWriter,
) {
    loop {
        // The lock is held while waiting: the other thread waits for its turn, not for us.
        let Ok(question) = lock(asked).recv() else { return };
        let policy = Arc::clone(&lock(&shared.policy));
        let facts = lock(&shared.known).get(&question.key).cloned().unwrap_or_default();
        match learn(shared, &policy, &question, facts) {
            Ok(facts) => {
                let mut known = lock(&shared.known);
                if known.len() >= KNOWN {
                    known.clear();
                }
                known.insert(question.key, facts);
            }
            Err(e) => tracing::warn!("cannot look at {}: {e}", question.path.display()),
        }
        if answers.send(question.number).is_err() || ring.write_all(&[1]).is_err() {
            return;
        }
    }
}

fn learn(shared: &Shared, policy: &Policy, asked: &Question, mut facts: Facts) -> Result<Facts> {
    let read = || -> std::io::Result<File> {
        let file = File::from(asked.file.try_clone()?);
        rustix::fs::seek(&file, rustix::fs::SeekFrom::Start(0))?;
        Ok(file)
    };
    if facts.packaged.is_none() {
        let packages = packages(shared);
        let whole = match packages.standing(&asked.path) {
            Standing::Foreign => false,
            Standing::Recorded(sum) => place::md5(read().during("read")?).during("read")? == sum,
            // Nothing says what it should hold, so nobody but root may have written it.
            Standing::Listed => {
                let about = read().and_then(|file| file.metadata()).during("look")?;
                about.uid() == 0 && about.mode() & 0o022 == 0
            }
        };
        facts.packaged = Some(whole);
    }
    if matches!(policy.decide(&facts, clock::now()), Answer::Unsure { .. }) {
        facts.sha256 =
            Some(place::sha256(read().during("read")?, Some(&shared.stop)).during("read")?);
    }
    Ok(facts)
}

/// The package database as it is now.
fn packages(shared: &Shared) -> Arc<Packages> {
    let kept = lock(&shared.packages).clone();
    match kept {
        Some(packages) if !packages.is_stale() => packages,
        _ => {
            let fresh = Arc::new(Packages::load());
            *lock(&shared.packages) = Some(Arc::clone(&fresh));
            // What was foreign may be of a package now.
            lock(&shared.known).clear();
            fresh
        }
    }
}

fn answer_all(
    shared: &Shared,
    group: &Group,
    questions: &mpsc::Sender<Question>,
    found: &mpsc::Receiver<u64>,
    mut bell: PipeReader,
) -> Result<()> {
    let mut waiting: HashMap<u64, (Start, Option<Key>, PathBuf, Instant)> = HashMap::new();
    let mut number = 0_u64;
    let mut mounts = File::open("/proc/self/mountinfo").during("cannot see mounts")?;
    let own = own_program();
    let own_pid = proc::own();
    loop {
        shared.turns.fetch_add(1, Ordering::Relaxed);
        let (changed, rung) = {
            let mut fds = [
                PollFd::new(group.as_fd(), PollFlags::POLLIN),
                PollFd::new(bell.as_fd(), PollFlags::POLLIN),
                PollFd::new(mounts.as_fd(), PollFlags::POLLPRI),
            ];
            let _ = poll(&mut fds, PollTimeout::from(250_u16));
            let is = |n: usize| fds.get(n).and_then(PollFd::any).unwrap_or(false);
            (is(2), is(1))
        };
        if changed {
            // The table must be read for the next change to be told.
            let mut table = Vec::new();
            let _ = rustix::fs::seek(&mounts, rustix::fs::SeekFrom::Start(0));
            let _ = mounts.read_to_end(&mut table);
            group.mark();
        }
        if rung {
            let mut bytes = [0; 64];
            let _ = bell.read(&mut bytes);
        }
        let policy = Arc::clone(&lock(&shared.policy));
        for start in group.starts()? {
            let path = start.path().unwrap_or_default();
            let key = start.file().and_then(|file| key(&File::from(file), &path));
            let file = (start.pid() != own_pid && key != own_key(own, key)).then(|| start.file());
            let (Some(key), Some(Some(file))) = (key, file) else {
                group.answer(&start, true);
                continue;
            };
            match verdict(shared, &policy, &key) {
                Answer::Unsure { .. } => {
                    number += 1;
                    let question = Question { number, file, path: path.clone(), key };
                    if questions.send(question).is_err() {
                        group.answer(&start, true);
                        continue;
                    }
                    waiting.insert(number, (start, Some(key), path, Instant::now()));
                }
                sure => settle(group, &start, &path, sure == Answer::Allow),
            }
        }
        for number in found.try_iter() {
            let Some((start, key, path, _)) = waiting.remove(&number) else { continue };
            let allow = match key.map(|key| verdict(shared, &policy, &key)) {
                Some(Answer::Refuse) => false,
                Some(Answer::Unsure { allow }) => allow,
                Some(Answer::Allow) | None => true,
            };
            settle(group, &start, &path, allow);
        }
        let late = waiting.extract_if(|_, (.., since)| since.elapsed() > PATIENCE);
        for (_, (start, key, path, _)) in late.collect::<Vec<_>>() {
            let answer = key.map(|key| verdict(shared, &policy, &key));
            let allow = !matches!(answer, Some(Answer::Refuse | Answer::Unsure { allow: false }));
            tracing::warn!("no time to look at {}: allowed {allow}", path.display());
            settle(group, &start, &path, allow);
        }
    }
}

fn verdict(shared: &Shared, policy: &Policy, key: &Key) -> Answer {
    let facts = lock(&shared.known).get(key).cloned().unwrap_or_default();
    policy.decide(&facts, clock::now())
}

fn settle(group: &Group, start: &Start, path: &Path, allow: bool) {
    group.answer(start, allow);
    if !allow {
        let refused = Said::Refused { at: clock::now(), path: path.to_owned(), pid: start.pid() };
        // Nobody may be reading; the input ends then, and this process with it.
        let _ = say(&refused);
    }
}

fn own_program() -> Option<(u64, u64)> {
    let file = std::fs::metadata("/proc/self/exe").ok()?;
    Some((file.dev(), file.ino()))
}

/// The key, when it is that of our own program: the agent starts itself for `status` and `release`.
fn own_key(own: Option<(u64, u64)>, key: Option<Key>) -> Option<Key> {
    key.filter(|key| own == Some((key.0, key.1)))
}

fn key(file: &File, path: &Path) -> Option<Key> {
    let about = file.metadata().ok()?;
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    let modified = (about.mtime(), about.mtime_nsec());
    let changed = (about.ctime(), about.ctime_nsec());
    Some((about.dev(), about.ino(), about.size(), modified, changed, hasher.finish()))
}
