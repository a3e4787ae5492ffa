//! Lets only programs start that packages brought or that are allowed by their hash, and lifts that
//! again.
//!
//! Read back by a probe: a copied program must be refused, a program of a package must start. Not
//! here: deciding (`guard`).

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Done, block};
use crate::agent::{Agent, random};
use crate::data::Data;
use crate::fault::{During, Fault, Result};
use crate::host::{command, dpkg, place};
use crate::{clock, files, watch};

/// A restriction as it must be.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// SHA-256 of further programs that may start.
    pub(crate) allow: Vec<String>,
    /// When it ends by itself.
    pub(crate) until: Option<i64>,
    /// The order.
    pub(crate) order: String,
}

/// The restriction that must be in force.
pub(crate) fn wanted(data: &Data) -> Result<Option<Plan>> {
    files::load(&data.execution())
}

/// Brings a restriction into force and tries it; takes it back when the trial fails.
pub(crate) fn restrict(agent: &Agent, plan: &Plan) -> Result<Done> {
    if !dpkg::present() {
        return Err(Fault::new("there is no package database that says what may start"));
    }
    let plan = Plan {
        allow: plan.allow.iter().map(|hash| place::hash(hash)).collect::<Result<_>>()?,
        ..plan.clone()
    };
    let before = {
        let _held = agent.data.hold_state()?;
        let before = wanted(&agent.data).unwrap_or_default();
        files::store(&agent.data.execution(), &plan)?;
        before
    };
    let back = enforce(agent).map(|()| read_back(agent));
    match back {
        Ok(back) if back["refusedProbe"] == true && back["allowedProbe"] == true => {
            Ok(Done::well(back))
        }
        other => {
            match before {
                Some(before) => files::store(&agent.data.execution(), &before)?,
                None => files::remove(&agent.data.execution())?,
            }
            enforce(agent)?;
            other?;
            Err(Fault::new("the probe did not find what was asked for"))
        }
    }
}

/// Lifts every restriction.
pub(crate) fn lift(agent: &Agent) -> Result<Done> {
    {
        let _held = agent.data.hold_state()?;
        files::remove(&agent.data.execution())?;
    }
    enforce(agent)?;
    let back = read_back(agent);
    if back["restricted"] == false {
        Ok(Done::well(back))
    } else {
        Ok(Done::failed("the probe is still refused").reading(Some(back)))
    }
}

/// Makes the guard hold to what is wanted, of restrictions and of blocked hashes.
pub(crate) fn enforce(agent: &Agent) -> Result<()> {
    let now = clock::now();
    let plan = wanted(&agent.data)?.filter(|plan| !watch::over(plan.until, now));
    agent.guard.set(super::guard::Policy {
        allowed: plan.map(|plan| plan.allow.into_iter().collect()),
        denied: block::wanted_hashes(&agent.data, now)?,
    })
}

/// Whether the guard holds to a restriction.
pub(crate) fn guard_restricts(agent: &Agent) -> bool {
    agent.guard.policy().is_some_and(|policy| policy.allowed.is_some())
}

/// What a probe finds, in the shape that the server checks.
pub(crate) fn read_back(agent: &Agent) -> Value {
    let refused = probe(&agent.data).unwrap_or_else(|e| {
        tracing::warn!("cannot probe: {e}");
        false
    });
    let allowed = command::run("true", &[], b"", std::time::Duration::from_secs(10))
        .is_ok_and(|said| said.status == Some(0));
    json!({"restricted": refused, "refusedProbe": refused, "allowedProbe": allowed})
}

/// Whether a program that nobody knows is refused.
pub(crate) fn probe(data: &Data) -> Result<bool> {
    let program = probe_program(data)?;
    let started = Command::new(&program).stdin(Stdio::null()).stdout(Stdio::null()).status();
    let _ = fs::remove_file(&program);
    match started {
        Ok(_) => Ok(false),
        Err(e) if e.raw_os_error() == Some(rustix::io::Errno::PERM.raw_os_error()) => Ok(true),
        Err(e) => Err(e).during("the probe can neither start nor be refused"),
    }
}

/// A program that no package and no list knows, where programs can start.
pub(crate) fn probe_program(data: &Data) -> Result<PathBuf> {
    let model = command::find("true").ok_or_else(|| Fault::new("there is no program to copy"))?;
    let mut content = files::read(&model, 16 << 20)?.unwrap_or_default();
    content.extend(random::<16>());
    let own = data.quarantine().parent().map(Path::to_path_buf).unwrap_or_default();
    let name = format!("riposte-probe-{}", hex::encode(random::<8>()));
    for folder in [own.as_path(), Path::new("/tmp"), Path::new("/var/tmp"), Path::new("/dev/shm")] {
        let no_programs = rustix::fs::statvfs(folder)
            .is_ok_and(|about| about.f_flag.contains(rustix::fs::StatVfsMountFlags::NOEXEC));
        let path = folder.join(&name);
        if no_programs || files::replace(&path, &content).is_err() {
            continue;
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).during("cannot probe")?;
        return Ok(path);
    }
    Err(Fault::new("there is no folder that a program can start from"))
}
