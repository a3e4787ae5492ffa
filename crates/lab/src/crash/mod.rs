//! The crash lab: a random mix of work, the server killed again and again, then everything that
//! was promised is looked up.
//!
//! The server is the release binary; it is killed by SIGKILL after 50 to 3,000 ms, at named places
//! inside a commit, and sometimes before it is ready. The checker is pure and has its own tests.
//! Not here: faults of the disk, and power loss.

pub(crate) mod checker;
pub(crate) mod journal;
mod leaves;
pub(crate) mod load;
mod observe;
mod replicas;

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::args::{self, Args, Store};
use crate::histogram::Histogram;
use crate::out;
use crate::postgres::Cluster;
use crate::random::Random;
use crate::server::{App, Install, Scratch, Server, free_address};
use checker::{Seen, Violation};
use journal::{Journal, Op, Outcome};
use load::{Target, Who};
pub(crate) use observe::{Observer, next_path};

/// Tenants that work at the same time.
const TENANTS: usize = 3;
/// Clients of each tenant.
const CLIENTS: usize = 2;
/// How long a start may take before the run is given up.
const READY_PATIENCE: Duration = Duration::from_mins(1);
/// How long correlation may take to catch up at the end.
const SETTLE_PATIENCE: Duration = Duration::from_mins(2);
/// Violations listed one by one.
const LISTED: usize = 50;
/// Where the binary can be asked to stop dead.
const FAILPOINTS: [&str; 4] = [
    "ingest.before_commit",
    "ingest.after_commit",
    "correlate.before_commit",
    "correlate.after_commit",
];

/// What to do.
#[derive(Clone, Debug)]
struct Plan {
    riposte: PathBuf,
    scratch: PathBuf,
    kills: u64,
    seed: u64,
    replicas: usize,
    keep: bool,
}

/// Runs the crash lab as the command line says; `false` when something was found.
pub(crate) async fn run(mut args: Args) -> Result<bool, String> {
    let riposte = args.text("--riposte")?.ok_or("crash needs --riposte PATH")?;
    let stores = args::stores(&args.value("--store", "sqlite".to_owned())?)?;
    let plan = Plan {
        riposte: riposte.into(),
        scratch: args.value("--scratch", std::env::temp_dir())?,
        kills: args.value("--kills", 20)?,
        seed: args.value("--seed", 1)?,
        replicas: args.value("--replicas", 1)?,
        keep: args.flag("--keep"),
    };
    args.finish()?;
    let mut found = Vec::new();
    for store in stores {
        if plan.replicas > 1 && store == Store::Sqlite {
            return Err("--replicas needs --store postgres".to_owned());
        }
        found.push((store, on_store(&plan, store).await?));
    }
    Ok(last_words(&found))
}

/// Lists what is wrong.
pub(crate) fn tell(store: Store, violations: &[Violation]) {
    for Violation { invariant, message } in violations.iter().take(LISTED) {
        out::note(&format!("VIOLATION on {} of {invariant}: {message}", store.name()));
    }
    if violations.len() > LISTED {
        out::note(&format!("and {} more", violations.len() - LISTED));
    }
}

/// Says whether all is well; lists once more what is not, since what a long run printed before its end
/// is often cut away.
pub(crate) fn last_words(found: &[(Store, Vec<Violation>)]) -> bool {
    for (store, violations) in found {
        tell(*store, violations);
    }
    found.iter().all(|(_, violations)| violations.is_empty())
}

async fn on_store(plan: &Plan, store: Store) -> Result<Vec<Violation>, String> {
    // Kept after a violation, so that the data can be looked at.
    let name = format!("crash-{}", store.name());
    let scratch = Scratch::new(&plan.scratch, &name, true)?;
    out::note(&format!("crash lab on {} in {}", store.name(), scratch.path.display()));
    let cluster = match store {
        Store::Sqlite => None,
        Store::Postgres => Some(Cluster::start(&scratch.path.join("pg"), plan.keep).await?),
    };
    let install =
        Install::new(&plan.riposte, &scratch.path.join("data"), cluster.as_ref().map(Cluster::url));
    let mut world = World::new(install, &scratch.path, plan.seed).await?;
    let figures = if plan.replicas > 1 {
        replicas::run(plan, &mut world).await?
    } else {
        one_server(plan, &mut world).await?
    };
    let violations = world.judge(&figures).await?;
    tell(store, &violations);
    let mut summary = world.summary(violations.len())?;
    if let (Some(summary), Value::Object(figures)) = (summary.as_object_mut(), figures.shown) {
        summary.insert("store".to_owned(), Value::from(store.name()));
        summary.insert("seed".to_owned(), Value::from(plan.seed));
        summary.extend(figures);
    }
    out::result(&summary);
    drop(cluster);
    if violations.is_empty() && !plan.keep {
        // Nothing to look at; a leftover would only fill the disk.
        let _ = std::fs::remove_dir_all(&scratch.path);
    } else {
        out::note(&format!("journal, log and data are kept in {}", scratch.path.display()));
    }
    Ok(violations)
}

/// What a run measured, and what it found wrong by itself.
#[derive(Debug, Default)]
struct Figures {
    shown: Value,
    violations: Vec<Violation>,
    address: Option<SocketAddr>,
}

/// An installation with its tenants, clients and journal.
#[derive(Debug)]
struct World {
    install: Install,
    log: PathBuf,
    journal_path: PathBuf,
    journal: Arc<Journal>,
    apps: Vec<App>,
    canaries: Vec<String>,
    target: watch::Sender<Target>,
    clients: Vec<JoinHandle<Result<(), String>>>,
    last: Option<Server>,
}

impl World {
    async fn new(install: Install, scratch: &Path, seed: u64) -> Result<Self, String> {
        // A kill in the middle of the first migration must leave something `init` can finish.
        match install.init(Some("migrate.middle:1")).await {
            Ok(()) => out::note("init was not stopped at migrate.middle"),
            Err(_) => install.init(None).await?,
        }
        let mut apps = Vec::new();
        for number in 0..TENANTS {
            let tenant = install.tenant_add(&format!("Alder Freight {number}")).await?;
            apps.push(install.app_add(Some(&tenant), "lab").await?);
        }
        let canaries: Vec<String> = (0..TENANTS).map(|number| format!("canary{number}q")).collect();
        let journal_path = scratch.join("journal.ndjson");
        let journal = Arc::new(Journal::create(&journal_path)?);
        let (target, _) = watch::channel(Target::default());
        let mut clients = Vec::new();
        for client in 0..TENANTS * CLIENTS {
            let (tenant, place) = (client % TENANTS, client / TENANTS);
            let canary = canaries.get(tenant).cloned().unwrap_or_default();
            let share = (place as u64, CLIENTS as u64);
            let who = Who { client, tenant, share, canary, seed };
            clients.push(load::start(who, Arc::clone(&journal), target.subscribe()));
        }
        let log = scratch.join("server.log");
        Ok(Self {
            install,
            log,
            journal_path,
            journal,
            apps,
            canaries,
            target,
            clients,
            last: None,
        })
    }

    async fn tokens(&self, server: &Server) -> Result<Vec<String>, String> {
        let mut tokens = Vec::new();
        for app in &self.apps {
            tokens.push(server.token(app).await?);
        }
        Ok(tokens)
    }

    /// Sends the clients to these servers from now on.
    fn aim(&self, addresses: Vec<SocketAddr>, tokens: Vec<String>) {
        self.target.send_replace(Target { addresses, tokens, stop: false });
    }

    fn hold(&self) {
        self.target.send_modify(|target| target.addresses.clear());
    }

    async fn stop_clients(&mut self) -> Result<(), String> {
        self.target.send_modify(|target| target.stop = true);
        for client in self.clients.drain(..) {
            client.await.map_err(|error| format!("client: {error}"))??;
        }
        Ok(())
    }

    /// Waits until every alert has an incident, or as long as that may take.
    async fn settle(&self, address: SocketAddr, tokens: &[String]) -> Result<Duration, String> {
        let started = Instant::now();
        for token in tokens {
            while started.elapsed() < SETTLE_PATIENCE
                && Observer::new(address, token, &[]).waiting().await? > 0
            {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
        Ok(started.elapsed())
    }

    /// Reads everything back and lets the checker judge.
    async fn judge(&mut self, figures: &Figures) -> Result<Vec<Violation>, String> {
        let address = figures.address.ok_or("no server is left to look at")?;
        let calls = journal::read(&self.journal_path)?;
        let touched: HashSet<String> = calls
            .iter()
            .filter_map(|call| match &call.op {
                Op::Patch { incident, .. } | Op::Comment { incident, .. } => Some(incident.clone()),
                Op::Alerts { .. } | Op::Read { .. } => None,
            })
            .collect();
        let mut seen = Seen::default();
        for (app, canary) in self.apps.iter().zip(&self.canaries) {
            let token = crate::server::token(address, app).await?;
            let observer = Observer::new(address, &token, &self.canaries);
            seen.tenants.push(observer.tenant(&app.tenant_id, canary, &touched).await?);
        }
        seen.audit = match self.install.verify().await {
            Ok(verified) => Some(verified),
            Err(error) => {
                out::note(&format!("audit not checked: {error}"));
                None
            }
        };
        let mut violations = checker::check(&calls, &seen);
        violations.extend(figures.violations.iter().cloned());
        if let Some(mut server) = self.last.take() {
            server.stop().await?;
        }
        Ok(violations)
    }

    fn summary(&self, violations: usize) -> Result<Value, String> {
        let calls = journal::read(&self.journal_path)?;
        let ended =
            |pick: fn(&Outcome) -> bool| calls.iter().filter(|call| pick(&call.outcome)).count();
        let acknowledged: HashSet<&String> = calls
            .iter()
            .filter(|call| matches!(call.outcome, Outcome::Ok { .. }))
            .flat_map(|call| match &call.op {
                Op::Alerts { ids } => ids.as_slice(),
                _ => &[],
            })
            .collect();
        Ok(json!({
            "id": "R1",
            "value": violations,
            "unit": "violations",
            "floor": 0,
            "target": 0,
            "ok": violations == 0,
            "requests": calls.len(),
            "acknowledged": ended(|outcome| matches!(outcome, Outcome::Ok { .. })),
            "refused": ended(|outcome| matches!(outcome, Outcome::Fail { .. })),
            "unknown": ended(|outcome| matches!(outcome, Outcome::Info { .. })),
            "alerts": acknowledged.len(),
        }))
    }
}

/// How long a failpoint is waited for: correlation may first have to wait for the lease of the
/// process killed before.
fn failpoint_patience(name: &str) -> Duration {
    Duration::from_secs(if name.starts_with("correlate") { 20 } else { 5 })
}

async fn one_server(plan: &Plan, world: &mut World) -> Result<Figures, String> {
    let mut random = Random::new(plan.seed);
    let mut ready = Histogram::default();
    let address = free_address()?;
    let (mut at_failpoint, mut unready) = (0, 0);
    for kill in 0..plan.kills {
        let failpoint = (kill % 3 == 2).then(|| {
            let name = FAILPOINTS.get(kill as usize / 3 % FAILPOINTS.len()).unwrap_or(&"");
            format!("{name}:{}", random.between(1, 150))
        });
        let mut server = world.install.serve(address, &world.log, failpoint.as_deref())?;
        if failpoint.is_none() && random.below(5) == 0 {
            tokio::time::sleep(Duration::from_millis(random.between(5, 300))).await;
            world.journal.note("SIGKILL before ready")?;
            server.kill().await?;
            unready += 1;
            continue;
        }
        ready.add(server.ready(READY_PATIENCE).await?);
        let tokens = match world.tokens(&server).await {
            Ok(tokens) => tokens,
            // The backlog of the last run may bring it to its failpoint before anyone signs in.
            Err(_) if failpoint.is_some() && server.ends(Duration::from_secs(1)).await => {
                at_failpoint += 1;
                continue;
            }
            Err(error) => return Err(error),
        };
        world.aim(vec![address], tokens);
        let what = match &failpoint {
            Some(name) if server.ends(failpoint_patience(name)).await => {
                at_failpoint += 1;
                format!("stopped at {name}")
            }
            _ => {
                tokio::time::sleep(Duration::from_millis(random.between(50, 3_000))).await;
                match (server.exited(), &failpoint) {
                    (None, _) => "SIGKILL".to_owned(),
                    (Some(_), Some(name)) => {
                        at_failpoint += 1;
                        format!("stopped late at {name}")
                    }
                    (Some(status), None) => {
                        return Err(format!("riposte serve ended by itself: {status}"));
                    }
                }
            }
        };
        server.kill().await?;
        world.journal.note(&what)?;
        world.hold();
        out::note(&format!("kill {} of {}: {what}", kill + 1, plan.kills));
    }
    // One orderly end under load, then the start that must find everything.
    let mut server = world.install.serve(address, &world.log, None)?;
    ready.add(server.ready(READY_PATIENCE).await?);
    world.aim(vec![address], world.tokens(&server).await?);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut violations = Vec::new();
    let drain = match server.stop().await {
        Ok(drain) => drain.as_secs_f64(),
        Err(message) => {
            violations.push(Violation { invariant: "SIGTERM", message });
            15.0
        }
    };
    if drain > 10.0 {
        let message = format!("draining took {drain:.1} s");
        violations.push(Violation { invariant: "SIGTERM", message });
    }
    world.stop_clients().await?;
    let mut server = world.install.serve(address, &world.log, None)?;
    ready.add(server.ready(READY_PATIENCE).await?);
    let tokens = world.tokens(&server).await?;
    let settled = world.settle(address, &tokens).await?;
    world.last = Some(server);
    let shown = json!({
        "kills": plan.kills,
        "atFailpoints": at_failpoint,
        "beforeReady": unready,
        "readyMs": { "p50": ready.percentile(50.0), "max": ready.max() },
        "drainSeconds": drain,
        "settleSeconds": settled.as_secs_f64(),
    });
    Ok(Figures { shown, violations, address: Some(address) })
}
