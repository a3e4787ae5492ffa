//! Decides what may start, and keeps the process that answers (`gatekeeper`).
//!
//! States: off (no such process, nothing is asked), on. It is on while execution is restricted or
//! hashes are blocked. What may start is decided by [`Policy`], which is pure.
//!
//! Always: what is said to be in force was confirmed by the process that answers, and it is alive.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::clock;
use crate::fault::{During, Fault, Result};
use crate::host::command;
use crate::host::fanotify::Marks;
use crate::lock::lock;

/// So many refusals wait to be told.
const TOLD: usize = 200;
/// How long the process may take to take a policy on.
const READY: Duration = Duration::from_secs(30);

/// What may start.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
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
    pub(crate) packaged: Option<bool>,
    /// Its SHA-256 in hex.
    pub(crate) sha256: Option<String>,
}

/// What a policy says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It may.
    Allow,
    /// It may not.
    Refuse,
    /// More must be known; until then this holds.
    Unsure { allow: bool },
}

impl Policy {
    fn is_off(&self) -> bool {
        self.allowed.is_none() && self.denied.is_empty()
    }

    /// Whether a file may start, by what is known of it.
    pub(crate) fn decide(&self, facts: &Facts, now: i64) -> Answer {
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

/// A program that was not let through, or that a policy was taken on.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Said {
    /// The policy is in force.
    Set,
    /// A program was not let through.
    Refused {
        /// When.
        at: i64,
        /// Where the program is.
        path: PathBuf,
        /// Who wanted to start it.
        pid: i32,
    },
}

/// The process that answers.
#[derive(Debug)]
struct Keeper {
    child: Child,
    input: ChildStdin,
    set: mpsc::Receiver<()>,
    policy: Arc<Policy>,
}

/// The guard.
#[derive(Debug, Default)]
pub(crate) struct Guard {
    marks: Marks,
    keeper: Mutex<Option<Keeper>>,
    refused: Arc<Mutex<Vec<Said>>>,
}

impl Guard {
    /// A guard that is off.
    pub(crate) fn new(marks: Marks) -> Self {
        Self { marks, ..Self::default() }
    }

    /// Brings a policy into force; turns the guard on or off when that is needed.
    pub(crate) fn set(&self, policy: Policy) -> Result<()> {
        let mut keeper = lock(&self.keeper);
        if policy.is_off() {
            if let Some(keeper) = keeper.take() {
                keeper.end();
            }
            return Ok(());
        }
        let mut alive = match keeper.take().and_then(Keeper::if_alive) {
            Some(keeper) => keeper,
            None => Keeper::start(self.marks, &self.refused)?,
        };
        // One that does not take the policy on is ended: it would hold to another.
        match alive.take_on(policy) {
            Ok(()) => {
                *keeper = Some(alive);
                Ok(())
            }
            Err(e) => {
                alive.end();
                Err(e)
            }
        }
    }

    /// What is in force, while the process that answers is alive.
    pub(crate) fn policy(&self) -> Option<Arc<Policy>> {
        let mut keeper = lock(&self.keeper);
        let keeper = keeper.as_mut()?;
        keeper.alive().then(|| Arc::clone(&keeper.policy))
    }

    /// Takes the refusals that nobody has been told of.
    pub(crate) fn take_refused(&self) -> Vec<Said> {
        std::mem::take(&mut *lock(&self.refused))
    }
}

impl Keeper {
    fn start(marks: Marks, refused: &Arc<Mutex<Vec<Said>>>) -> Result<Self> {
        // By the link and not by the path: after an update there may be another program.
        let mut child = command::program(Path::new("/proc/self/exe"))
            .arg0("riposte-agent")
            .args(["guard", "--marks", marks.word()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .during("cannot start the guard")?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let (Some(input), Some(output)) = (input, output) else {
            return Err(Fault::new("cannot start the guard"));
        };
        let (said, set) = mpsc::channel();
        let refused = Arc::clone(refused);
        thread::Builder::new()
            .name("guard".to_owned())
            .stack_size(256 << 10)
            .spawn(move || {
                for line in BufReader::new(output).lines().map_while(std::result::Result::ok) {
                    match serde_json::from_str(&line) {
                        Ok(Said::Set) => drop(said.send(())),
                        Ok(told) => {
                            let mut refused = lock(&refused);
                            if refused.len() < TOLD {
                                refused.push(told);
                            }
                        }
                        Err(e) => tracing::warn!("cannot understand the guard: {e}"),
                    }
                }
            })
            .during("cannot start the guard")?;
        Ok(Self { child, input, set, policy: Arc::default() })
    }

    fn take_on(&mut self, policy: Policy) -> Result<()> {
        let mut line = serde_json::to_vec(&policy).during("cannot spell the policy")?;
        line.push(b'\n');
        self.input.write_all(&line).during("the guard does not listen")?;
        self.set.recv_timeout(READY).map_err(|_| Fault::new("the guard does not answer"))?;
        self.policy = Arc::new(policy);
        Ok(())
    }

    fn alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    fn if_alive(mut self) -> Option<Self> {
        self.alive().then_some(self)
    }

    /// Ends it, and with it everything it held to.
    fn end(mut self) {
        drop(self.input);
        let until = Instant::now() + Duration::from_secs(2);
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > until {
                let _ = self.child.kill();
                let _ = self.child.wait();
                return;
            }
            clock::pause(Duration::from_millis(5));
        }
    }
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
