//! Sees what happens on the device: what starts, who signs in, what is opened towards the network,
//! what the guard refused.
//!
//! Always: bounded. More than [`MOST`] starts a second are counted and not told; a connection is told
//! once an hour for each program and place; what was there when the agent started is not news.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use riposte_wire::Observed;
use serde_json::json;

use crate::act::guard::Said;
use crate::agent::Agent;
use crate::collect::{passing_ports, users};
use crate::fault::{During, Result};
use crate::host::command;
use crate::host::fanotify::Group;
use crate::host::sockets::{self, Socket};
use crate::host::utmp;
use crate::host::{proc, proc::Process};
use crate::lock::lock;
use crate::{clock, files};

/// Starts told a second.
const MOST: u32 = 200;
/// How often files that tell nobody of changes are read.
const LOOK: Duration = Duration::from_secs(10);
/// For how long a connection is not told again.
const ONCE: Duration = Duration::from_hours(1);
/// A program has its command line a moment after the kernel told of it.
const MOMENT: Duration = Duration::from_millis(40);

/// Starts looking.
pub(crate) fn start(agent: &Arc<Agent>) -> Result<()> {
    let group = Group::told();
    if let Err(e) = &group {
        tracing::warn!("what starts is not seen: {e}");
    }
    let agent = Arc::clone(agent);
    thread::Builder::new()
        .name("observer".to_owned())
        .stack_size(512 << 10)
        .spawn(move || look(&agent, group.as_ref().ok()))
        .during("cannot start a thread")?;
    Ok(())
}

fn look(agent: &Agent, group: Option<&Group>) {
    let mut seen = Seen::new();
    let mut starts = Starts::default();
    let mut looked = Instant::now();
    loop {
        match group {
            Some(group) => {
                let woken = {
                    let mut fds = [PollFd::new(std::os::fd::AsFd::as_fd(group), PollFlags::POLLIN)];
                    poll(&mut fds, PollTimeout::from(1_000_u16)).is_ok_and(|count| count > 0)
                };
                if woken {
                    clock::pause(MOMENT);
                    starts.tell(agent, group);
                }
            }
            None => clock::pause(Duration::from_secs(1)),
        }
        if looked.elapsed() >= LOOK {
            looked = Instant::now();
            starts.forget();
            if let Some(group) = group {
                // New mounts.
                group.mark();
            }
            seen.look(agent);
        }
        tell_refused(agent);
        take_notes(agent);
    }
}

/// What starts.
#[derive(Default)]
struct Starts {
    second: i64,
    told: u32,
    suppressed: u64,
    names: HashMap<u32, String>,
}

impl Starts {
    fn tell(&mut self, agent: &Agent, group: &Group) {
        let Ok(starts) = group.starts() else { return };
        let own = proc::own();
        for start in &starts {
            if start.is_overflow() {
                self.suppressed += 1;
                continue;
            }
            let path = start.path().unwrap_or_default();
            // Every program brings the loader that starts it.
            if start.pid() == own || command::is_ours(start.pid()) || is_loader(&path) {
                continue;
            }
            let process = proc::one(start.pid());
            if process.as_ref().is_some_and(|process| process.parent == own) {
                continue;
            }
            if !self.may_tell(agent) {
                continue;
            }
            let line = proc::command(start.pid());
            let user = process.as_ref().and_then(Process::owner).map(|uid| self.name(uid));
            let text = if line.is_empty() { path.display().to_string() } else { line.clone() };
            agent.observe(
                "processStarted",
                text,
                json!({
                    "pid": start.pid(),
                    "parent": process.as_ref().map(|process| process.parent),
                    "started": process.as_ref().map(|process| process.started),
                    "program": path,
                    "command": line,
                    "user": user,
                }),
            );
        }
    }

    fn may_tell(&mut self, agent: &Agent) -> bool {
        let second = clock::now().div_euclid(clock::SECOND);
        if second != self.second {
            self.second = second;
            self.told = 0;
            if self.suppressed > 0 {
                let count = std::mem::take(&mut self.suppressed);
                let text = format!("{count} starts of programs were not told one by one");
                agent.observe("eventsSuppressed", text, json!({"count": count}));
            }
        }
        self.told += 1;
        if self.told > MOST {
            self.suppressed += 1;
        }
        self.told <= MOST
    }

    fn name(&mut self, uid: u32) -> String {
        if self.names.is_empty() {
            self.names = users::passwd().into_iter().map(|user| (user.uid, user.name)).collect();
        }
        self.names.get(&uid).cloned().unwrap_or_else(|| uid.to_string())
    }

    fn forget(&mut self) {
        self.names = HashMap::new();
    }
}

fn is_loader(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.starts_with("ld-") || name.starts_with("ld.so")
}

/// What was there when it was last looked.
struct Seen {
    sessions: Vec<utmp::Entry>,
    listening: HashSet<(&'static str, SocketAddr)>,
    opened: HashMap<(String, SocketAddr), Instant>,
    known: HashSet<u64>,
}

impl Seen {
    fn new() -> Self {
        let sockets = sockets::all();
        Self {
            sessions: utmp::signed_in(),
            listening: sockets
                .iter()
                .filter(|s| s.listens)
                .map(|s| (s.protocol, s.local))
                .collect(),
            opened: HashMap::new(),
            known: sockets.iter().map(|socket| socket.inode).collect(),
        }
    }

    fn look(&mut self, agent: &Agent) {
        self.sessions(agent);
        let sockets = sockets::all();
        let passing = passing_ports();
        let news: Vec<&Socket> = sockets
            .iter()
            .filter(|socket| socket.inode != 0 && !self.known.contains(&socket.inode))
            .filter(|socket| socket.listens || socket.established)
            .collect();
        // Whose they are is looked up only when there is something to say: it costs the most.
        let owners = if news.is_empty() { HashMap::new() } else { sockets::owners() };
        for socket in news.into_iter().take(500) {
            let owner = owners.get(&socket.inode);
            if owner.is_some_and(|(pid, _)| *pid == proc::own()) {
                continue;
            }
            self.tell(agent, socket, owner, passing);
        }
        self.known = sockets.iter().map(|socket| socket.inode).collect();
        self.listening =
            sockets.iter().filter(|s| s.listens).map(|s| (s.protocol, s.local)).collect();
        self.opened.retain(|_, told| told.elapsed() < ONCE);
    }

    fn tell(
        &mut self,
        agent: &Agent,
        socket: &Socket,
        owner: Option<&(i32, String)>,
        passing: u16,
    ) {
        let (pid, name) = match owner {
            Some((pid, name)) => (Some(*pid), name.as_str()),
            None => (None, "unknown"),
        };
        let detail = json!({
            "protocol": socket.protocol,
            "local": socket.local,
            "remote": socket.remote,
            "pid": pid,
            "process": name,
        });
        if socket.listens {
            let of_a_client = socket.protocol == "udp" && socket.local.port() >= passing;
            if !of_a_client && self.listening.insert((socket.protocol, socket.local)) {
                let text = format!("{name} listens at {} {}", socket.protocol, socket.local);
                agent.observe("portOpened", text, detail);
            }
            return;
        }
        let inward = self.listening.iter().any(|(protocol, local)| {
            *protocol == socket.protocol && local.port() == socket.local.port()
        });
        if inward || socket.remote.ip().is_loopback() || self.opened.len() >= 10_000 {
            return;
        }
        if self.opened.insert((name.to_owned(), socket.remote), Instant::now()).is_none() {
            let text = format!("{name} connected to {}", socket.remote);
            agent.observe("connectionOpened", text, detail);
        }
    }

    fn sessions(&mut self, agent: &Agent) {
        let now = utmp::signed_in();
        for (kind, these, those) in
            [("signedIn", &now, &self.sessions), ("signedOut", &self.sessions, &now)]
        {
            for entry in these.iter().filter(|entry| !those.contains(entry)).take(100) {
                let who = &entry.who;
                let from =
                    who.from.as_deref().map_or_else(String::new, |from| format!(" from {from}"));
                let text = format!("{} at {}{from}", who.user, who.line);
                agent.observe(kind, text, json!({"session": who, "pid": entry.pid}));
            }
        }
        self.sessions = now;
    }
}

fn tell_refused(agent: &Agent) {
    for said in agent.guard.take_refused() {
        let Said::Refused { at, path, pid } = said else { continue };
        let observed = Observed {
            at,
            kind: "programRefused".to_owned(),
            text: format!("{} was not let start", path.display()),
            detail: json!({"program": path, "pid": pid}),
        };
        if let Err(e) = lock(&agent.spool).push(&observed) {
            tracing::warn!("an observation is lost: {e}");
        }
        agent.news.notify_one();
    }
}

/// Takes what other processes of ours left.
fn take_notes(agent: &Agent) {
    let Ok(entries) = std::fs::read_dir(agent.data.notes()) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        if let Ok(Some(observed)) = files::load::<Observed>(&path) {
            if lock(&agent.spool).push(&observed).is_err() {
                continue;
            }
            agent.news.notify_one();
        }
        if let Err(e) = files::remove(&path) {
            tracing::warn!("{e}");
        }
    }
}
