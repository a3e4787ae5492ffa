//! A real `riposte-agent` as a process of the lab: enrolled, started, killed and started again.
//!
//! Where namespaces can be made it lives in one of its own: the network that it cuts off is that one.
//! Not here: agents that are played (see `robot`).

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};

use crate::server::{self, Usage};

/// How long enrolling may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// A device.
#[derive(Debug)]
pub(crate) struct Device {
    /// Its name, which the server knows it by.
    pub(crate) name: String,
    /// Where its agent keeps what it must know.
    pub(crate) data_dir: PathBuf,
    /// The network namespace that it lives in.
    pub(crate) namespace: Option<String>,
    binary: PathBuf,
    log: PathBuf,
    child: Option<Child>,
}

impl Device {
    /// A device with its files below `dir`.
    pub(crate) fn new(binary: &Path, dir: &Path, name: &str, namespace: Option<&str>) -> Self {
        Self {
            name: name.to_owned(),
            data_dir: dir.join(name),
            namespace: namespace.map(str::to_owned),
            binary: binary.to_owned(),
            log: dir.join(format!("{name}.log")),
            child: None,
        }
    }

    fn command(&self, words: &[&str]) -> Result<Command, String> {
        let mut command = if let Some(namespace) = &self.namespace {
            // It becomes the agent: who kills the one kills the other.
            let mut command = Command::new("ip");
            command.args(["netns", "exec", namespace]).arg(&self.binary);
            command
        } else {
            Command::new(&self.binary)
        };
        let failed = |error: std::io::Error| format!("{}: {error}", self.log.display());
        let log = File::options().create(true).append(true).open(&self.log).map_err(failed)?;
        command
            .args(words)
            .arg("--data-dir")
            .arg(&self.data_dir)
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(failed)?)
            .stderr(log)
            .kill_on_drop(true);
        Ok(command)
    }

    /// Takes the device into a customer's fleet, at the server that `at` leads to.
    pub(crate) async fn enrol(&self, at: SocketAddr, token: &str, ca: &Path) -> Result<(), String> {
        let (url, ca) = (format!("https://{at}"), ca.to_string_lossy().into_owned());
        let words =
            ["enrol", "--server", &url, "--token", token, "--ca", &ca, "--name", &self.name];
        let status = tokio::time::timeout(PATIENCE, self.command(&words)?.status()).await;
        match status {
            Ok(Ok(status)) if status.success() => Ok(()),
            other => Err(format!(
                "{} did not enrol ({other:?}): {}",
                self.name,
                fs::read_to_string(&self.log).unwrap_or_default().trim()
            )),
        }
    }

    /// Starts the agent.
    pub(crate) fn start(&mut self) -> Result<(), String> {
        let child = self.command(&["run"])?.spawn();
        self.child = Some(child.map_err(|error| format!("{}: {error}", self.binary.display()))?);
        Ok(())
    }

    /// How the agent ended by itself, when it has.
    pub(crate) fn exited(&mut self) -> Option<String> {
        let ended = self.child.as_mut()?.try_wait().ok().flatten()?;
        Some(ended.to_string())
    }

    /// SIGKILL, and waits until it is gone.
    pub(crate) async fn kill(&mut self) -> Result<(), String> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        child.kill().await.map_err(|error| format!("kill {}: {error}", self.name))
    }

    /// What the agent uses, as the kernel counts it.
    pub(crate) fn usage(&self) -> Usage {
        self.child.as_ref().and_then(Child::id).map_or_else(Usage::default, server::usage)
    }
}
