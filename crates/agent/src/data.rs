//! Where the agent keeps what: one directory that only root may enter.
//!
//! The files that say what must be in force (`isolation.json`, `execution.json`, `blocked.json`)
//! are the intent; what is in force is read from the system. An emergency release takes the intent
//! away, and a running agent follows.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::FlockOperation;
use rustix::io::Errno;
use tokio::time::Instant;

use crate::fault::{During, Fault, Result};
use crate::files;

/// How long an agent that has ended may seem to run.
const LINGERS: Duration = Duration::from_secs(3);

/// The data directory.
#[derive(Clone, Debug)]
pub(crate) struct Data {
    root: PathBuf,
}

/// Held while it lives; let go when it is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    _file: File,
}

macro_rules! places {
    ($($(#[$doc:meta])* $verb:ident = $name:literal;)*) => {
        $($(#[$doc])* pub(crate) fn $verb(&self) -> PathBuf { self.root.join($name) })*
    };
}

impl Data {
    /// The directory, made when it is missing.
    pub(crate) fn open(root: &Path) -> Result<Self> {
        let root = std::path::absolute(root).during("cannot tell where the data directory is")?;
        files::private_dir(&root)?;
        Ok(Self { root })
    }

    places! {
        /// Who the agent is: a folder of its own, see `identity`.
        identity = "identity";
        /// The orders and what became of them.
        journal = "journal";
        /// Observations that wait to be sent.
        spool = "spool";
        /// Observations that another process of ours leaves for the running agent.
        notes = "notes";
        /// Files taken away, and where they were.
        quarantine = "quarantine";
        /// The isolation that must be in force.
        isolation = "isolation.json";
        /// The restriction of execution that must be in force.
        execution = "execution.json";
        /// The indicators that must be in force.
        blocked = "blocked.json";
        /// Where the server was last reached.
        addresses = "addresses.json";
        /// What `status` says of the running agent.
        running = "running.json";
        /// Wrong emergency codes.
        tries = "tries.json";
        /// The hash of the inventory that the server has.
        inventory = "inventory.sha256";
        /// How accounts were before they were disabled.
        accounts = "accounts";
        /// Packages on their way.
        packages = "packages";
    }

    /// Waits until no other process of ours changes what is in force.
    pub(crate) fn hold_state(&self) -> Result<Held> {
        self.hold("state.lock", FlockOperation::LockExclusive)
    }

    /// Makes sure that no other agent runs on this directory. One that was killed may hold it a moment
    /// longer: a program that it was about to start has all its files until it has started.
    pub(crate) async fn hold_run(&self) -> Result<Held> {
        let file = self.lock_file("run.lock")?;
        let until = Instant::now() + LINGERS;
        loop {
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Held { _file: file }),
                Err(Errno::WOULDBLOCK) if Instant::now() < until => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err(Errno::WOULDBLOCK) => {
                    let root = self.root.display();
                    return Err(Fault::new(format!("another agent runs with {root} already")));
                }
                Err(e) => return Err(e).during("cannot hold run.lock"),
            }
        }
    }

    fn hold(&self, name: &str, how: FlockOperation) -> Result<Held> {
        let file = self.lock_file(name)?;
        rustix::fs::flock(&file, how).during(format_args!("cannot hold {name}"))?;
        Ok(Held { _file: file })
    }

    fn lock_file(&self, name: &str) -> Result<File> {
        OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(self.root.join(name))
            .during(format_args!("cannot open {name}"))
    }
}
