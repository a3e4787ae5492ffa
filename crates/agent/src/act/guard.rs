//! Decides what may start: fanotify asks, two threads find out, one answers.
//!
//! States: off (no marks, nothing is asked), on. It is on while execution is restricted or hashes
//! are blocked. What may start is decided by [`Policy`], which is pure.
//!
//! Always: the thread that answers reads no file, so it always answers in time; what takes longer
//! than [`PATIENCE`] is let through, unless it is known already to be of no package while only
//! packages may start; every error of ours lets through. When this process ends, the kernel lets
//! everything through. Nothing is held while something is waited for, because starting a program of
//! our own is asked about too.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::clock;
use crate::fault::{During, Fault, Result};
use crate::host::dpkg::{Packages, Standing};
use crate::host::fanotify::{Group, Start};
use crate::host::{place, proc};
use crate::lock::lock;

/// How long a program waits for leave.
const PATIENCE: Duration = Duration::from_secs(3);
/// What is known of so many files is kept.
const KNOWN: usize = 20_000;
/// So many refusals wait to be told.
const TOLD: usize = 200;

/// What may start.
#[derive(Clone, Debug, Default)]
pub(crate) struct Policy {
    /// When only packages may start: what else may.
    pub(crate) allowed: Option<HashSet<String>>,
    /// What may not, and until when.
    pub(crate) denied: HashMap<String, Option<i64>>,
}

/// What is known of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Whether a package brought it and it is unchanged, or it is the agent's own program.
    packaged: Option<bool>,
    sha256: Option<String>,
}

/// What a policy says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Allow,
    Refuse,
    /// More must be known; until then this holds.
    Unsure {
        allow: bool,
    },
}

impl Policy {
    fn is_off(&self) -> bool {
        self.allowed.is_none() && self.denied.is_empty()
    }

    fn decide(&self, facts: &Facts, now: i64) -> Answer {
        match facts.packaged {
            None => return Answer::Unsure { allow: true },
            // An unchanged program of the system is never refused: without a shell nobody could
            // take a mistake back.
            Some(true) => return Answer::Allow,
            Some(false) => {}
        }
        let restricted = self.allowed.is_some();
        let needed =
            !self.denied.is_empty() || self.allowed.as_ref().is_some_and(|a| !a.is_empty());
        let Some(hash) = &facts.sha256 else {
            return match (needed, restricted) {
                (true, _) => Answer::Unsure { allow: !restricted },
                (false, true) => Answer::Refuse,
                (false, false) => Answer::Allow,
            };
        };
        if self.denied.get(hash).is_some_and(|until| until.is_none_or(|until| now < until)) {
            return Answer::Refuse;
        }
        match &self.allowed {
            Some(allowed) if !allowed.contains(hash) => Answer::Refuse,
            _ => Answer::Allow,
        }
    }
}

/// A program that was not let through.
#[derive(Clone, Debug)]
pub(crate) struct Refused {
    /// When.
    pub(crate) at: i64,
    /// Where the program is.
    pub(crate) path: PathBuf,
    /// Who wanted to start it.
    pub(crate) pid: i32,
}

/// What is shared with the threads.
#[derive(Debug, Default)]
struct Shared {
    policy: Mutex<Arc<Policy>>,
    known: Mutex<HashMap<Key, Facts>>,
    packages: Mutex<Option<Arc<Packages>>>,
    refused: Mutex<Vec<Refused>>,
    alive: AtomicBool,
    stop: AtomicBool,
}

/// The guard.
#[derive(Debug)]
pub(crate) struct Guard {
    running: Mutex<Option<(Arc<Shared>, thread::JoinHandle<()>)>>,
}

/// A file as it is now; another time, size or place is another key.
type Key = (u64, u64, u64, (i64, i64), (i64, i64), u64);

impl Guard {
    /// A guard that is off.
    pub(crate) fn new() -> Self {
        Self { running: Mutex::new(None) }
    }

    /// Brings a policy into force; turns the guard on or off when that is needed.
    pub(crate) fn set(&self, policy: Policy) -> Result<()> {
        let mut running = lock(&self.running);
        if policy.is_off() {
            let Some((shared, thread)) = running.take() else { return Ok(()) };
            shared.stop.store(true, Ordering::Relaxed);
            return thread.join().map_err(|_| Fault::new("the guard ended badly"));
        }
        if let Some((shared, _)) = running.as_ref()
            && shared.alive.load(Ordering::Relaxed)
        {
            *lock(&shared.policy) = Arc::new(policy);
            return Ok(());
        }
        *running = Some(start(policy)?);
        Ok(())
    }

    /// Whether the guard answers, and what is in force.
    pub(crate) fn policy(&self) -> Option<Arc<Policy>> {
        let running = lock(&self.running);
        let (shared, _) = running.as_ref()?;
        shared.alive.load(Ordering::Relaxed).then(|| Arc::clone(&lock(&shared.policy)))
    }

    /// Takes the refusals that nobody has been told of.
    pub(crate) fn take_refused(&self) -> Vec<Refused> {
        let running = lock(&self.running);
        running
            .as_ref()
            .map_or_else(Vec::new, |(shared, _)| std::mem::take(&mut lock(&shared.refused)))
    }
}

fn start(policy: Policy) -> Result<(Arc<Shared>, thread::JoinHandle<()>)> {
    let shared = Arc::new(Shared::default());
    *lock(&shared.policy) = Arc::new(policy);
    *lock(&shared.packages) = Some(Arc::new(Packages::load()));
    shared.alive.store(true, Ordering::Relaxed);
    let (questions, asked) = mpsc::channel::<Question>();
    let asked = Arc::new(Mutex::new(asked));
    let (answers, found) = mpsc::channel::<u64>();
    let (bell, ring) = std::io::pipe().during("cannot start the guard")?;
    for number in 0..2 {
        let (shared, asked, answers) = (Arc::clone(&shared), Arc::clone(&asked), answers.clone());
        let ring = ring.try_clone().during("cannot start the guard")?;
        thread::Builder::new()
            .name(format!("finder-{number}"))
            .stack_size(512 << 10)
            .spawn(move || find_out(&shared, &asked, &answers, ring))
            .during("cannot start the guard")?;
    }
    let group = Group::asked()?;
    let inner = Arc::clone(&shared);
    let thread = thread::Builder::new()
        .name("guard".to_owned())
        .stack_size(512 << 10)
        .spawn(move || {
            let ended = answer_all(&inner, &group, &questions, &found, bell);
            inner.alive.store(false, Ordering::Relaxed);
            if let Err(e) = ended {
                tracing::error!("the guard ends, everything may start: {e}");
            }
        })
        .during("cannot start the guard")?;
    Ok((shared, thread))
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
        let packaged = match packages.standing(&asked.path) {
            Standing::Foreign => false,
            Standing::Recorded(sum) => place::md5(read().during("read")?).during("read")? == sum,
            // Nothing says what it should hold, so nobody but root may have written it.
            Standing::Listed => {
                let about = read().and_then(|file| file.metadata()).during("look")?;
                about.uid() == 0 && about.mode() & 0o022 == 0
            }
        };
        facts.packaged = Some(packaged);
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
    while !shared.stop.load(Ordering::Relaxed) {
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
                sure => settle(shared, group, &start, &path, sure == Answer::Allow),
            }
        }
        for number in found.try_iter() {
            let Some((start, key, path, _)) = waiting.remove(&number) else { continue };
            let allow = match key.map(|key| verdict(shared, &policy, &key)) {
                Some(Answer::Refuse) => false,
                Some(Answer::Unsure { allow }) => allow,
                Some(Answer::Allow) | None => true,
            };
            settle(shared, group, &start, &path, allow);
        }
        let late = waiting.extract_if(|_, (.., since)| since.elapsed() > PATIENCE);
        for (_, (start, key, path, _)) in late.collect::<Vec<_>>() {
            let answer = key.map(|key| verdict(shared, &policy, &key));
            let allow = !matches!(answer, Some(Answer::Refuse | Answer::Unsure { allow: false }));
            tracing::warn!("no time to look at {}: allowed {allow}", path.display());
            settle(shared, group, &start, &path, allow);
        }
    }
    for (start, ..) in waiting.values() {
        group.answer(start, true);
    }
    Ok(())
}

fn verdict(shared: &Shared, policy: &Policy, key: &Key) -> Answer {
    let facts = lock(&shared.known).get(key).cloned().unwrap_or_default();
    policy.decide(&facts, clock::now())
}

fn settle(shared: &Shared, group: &Group, start: &Start, path: &Path, allow: bool) {
    group.answer(start, allow);
    if !allow {
        let mut refused = lock(&shared.refused);
        if refused.len() < TOLD {
            refused.push(Refused { at: clock::now(), path: path.to_owned(), pid: start.pid() });
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(packaged: Option<bool>, sha256: Option<&str>) -> Facts {
        Facts { packaged, sha256: sha256.map(str::to_owned) }
    }

    #[test]
    fn under_restriction_only_packages_and_what_is_allowed_may_start() {
        let none = Policy { allowed: Some(HashSet::new()), ..Policy::default() };
        assert_eq!(none.decide(&facts(None, None), 0), Answer::Unsure { allow: true });
        assert_eq!(none.decide(&facts(Some(true), None), 0), Answer::Allow);
        assert_eq!(none.decide(&facts(Some(false), None), 0), Answer::Refuse);
        let some = Policy { allowed: Some(["a".to_owned()].into()), ..Policy::default() };
        assert_eq!(some.decide(&facts(Some(false), None), 0), Answer::Unsure { allow: false });
        assert_eq!(some.decide(&facts(Some(false), Some("a")), 0), Answer::Allow);
        assert_eq!(some.decide(&facts(Some(false), Some("b")), 0), Answer::Refuse);
    }

    #[test]
    fn a_blocked_hash_does_not_start_until_its_time_is_over() {
        let denied = [("a".to_owned(), Some(10)), ("b".to_owned(), None)].into();
        let policy = Policy { allowed: None, denied };
        assert_eq!(policy.decide(&facts(Some(false), None), 0), Answer::Unsure { allow: true });
        assert_eq!(policy.decide(&facts(Some(false), Some("a")), 9), Answer::Refuse);
        assert_eq!(policy.decide(&facts(Some(false), Some("a")), 10), Answer::Allow);
        assert_eq!(policy.decide(&facts(Some(false), Some("b")), 99), Answer::Refuse);
        assert_eq!(policy.decide(&facts(Some(false), Some("c")), 9), Answer::Allow);
        assert_eq!(policy.decide(&facts(Some(true), None), 9), Answer::Allow);
    }
}
