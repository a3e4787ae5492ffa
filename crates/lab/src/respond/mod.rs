//! The crash lab of managed response: clients ask for actions, real agents carry them out, and
//! server, agents and lines are killed and cut all the while.
//!
//! As in the crash lab proper the server is the release binary, killed by SIGKILL after 50 to 3,000
//! ms, sometimes after 9,000, and at named places inside the engine. Agents are the release binary of
//! `riposte-agent`, each in a network namespace of its own where that can be had; only those cut
//! themselves off. Users are with a stand-in for a product that misbehaves. When all is quiet the
//! checker compares promises, the agents' own journals, what the kernel saw and what the product
//! wrote down.
//! Not here: agents that lose their disk, and two servers on one store.

mod checker;
mod connect;
mod diary;
mod files;
mod journal;
mod load;
mod observe;
mod vendor;
mod vendor_checker;

pub(crate) use connect::session;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::args::{self, Args, Store};
use crate::crash::checker::Violation;
use crate::crash::journal::Journal;
use crate::crash::load::Target;
use crate::crash::{self, Observer};
use crate::device::Device;
use crate::net::{self, Net};
use crate::out;
use crate::postgres::Cluster;
use crate::random::{Random, mix};
use crate::server::{
    App, EXPERT_PERMISSIONS, Install, RESPONDER_PERMISSIONS, Scratch, Server, free_address,
    free_address_at,
};
use crate::way::Way;
use checker::Seen;
use files::Folder;
use journal::{Call, Op, Outcome};
use load::{Aim, Duty, Fleet, Who};
use observe::Lookers;
use vendor::{ALLOWED_S, Vendor};
use vendor_checker::Product;

/// How far the experts may go with each customer: to act, and to look only.
const CUSTOMERS: [&str; 2] = ["operator", "reader"];
/// Whose application each client uses; none is the experts'.
const CLIENTS: [Option<usize>; 6] = [Some(0), Some(1), None, Some(0), Some(1), None];
/// What further clients do for users of a directory.
const FOR_USERS: [(Option<usize>, Duty); 4] =
    [(None, Duty::Act(0)), (None, Duty::Act(0)), (None, Duty::Tell(1)), (Some(1), Duty::Run(1))];
/// Files of each device that are quarantined and restored again and again.
const POOL: usize = 3;
/// How long a start may take before the run is given up.
const READY_PATIENCE: Duration = Duration::from_mins(1);
/// How long it may take until nothing is under way.
const QUIET_PATIENCE: Duration = Duration::from_mins(3);
/// How long a failpoint is waited for: agents come back to a server that was away within seconds.
const FAILPOINT_PATIENCE: Duration = Duration::from_secs(12);
/// Starts more than planned, until each failpoint was hit.
const MORE_STARTS: u64 = 6;
/// Where the server can be asked to stop dead.
const FAILPOINTS: [&str; 8] = [
    "response.before_started",
    "response.after_started",
    "response.before_settled",
    "idempotency.before_kept",
    "respond.before_started",
    "respond.after_started",
    "respond.after_sent",
    "respond.before_answered",
];

/// What to do.
#[derive(Clone, Debug)]
struct Plan {
    riposte: PathBuf,
    agent: PathBuf,
    scratch: PathBuf,
    kills: u64,
    agents: usize,
    seed: u64,
    keep: bool,
}

/// Runs as the command line says; `false` when something was found.
pub(crate) async fn run(mut args: Args) -> Result<bool, String> {
    let riposte = args.text("--riposte")?.ok_or("respond needs --riposte PATH")?;
    let agent = args.text("--agent")?.ok_or("respond needs --agent PATH")?;
    let stores = args::stores(&args.value("--store", "sqlite".to_owned())?)?;
    let plan = Plan {
        riposte: riposte.into(),
        // Agents are started from elsewhere.
        agent: std::path::absolute(agent).map_err(|error| format!("--agent: {error}"))?,
        scratch: args.value("--scratch", std::env::temp_dir())?,
        kills: args.value("--kills", 24)?,
        agents: args.value("--agents", 6)?,
        seed: args.value("--seed", 1)?,
        keep: args.flag("--keep"),
    };
    args.finish()?;
    if !(1..=50).contains(&plan.agents) {
        return Err("--agents must lie between 1 and 50".to_owned());
    }
    let mut found = Vec::new();
    for store in stores {
        found.push((store, on_store(&plan, store).await?));
    }
    Ok(crash::last_words(&found))
}

async fn on_store(plan: &Plan, store: Store) -> Result<Vec<Violation>, String> {
    // Kept after a violation, so that the data can be looked at.
    let scratch = Scratch::new(&plan.scratch, &format!("respond-{}", store.name()), true)?;
    out::note(&format!("response lab on {} in {}", store.name(), scratch.path.display()));
    let cluster = match store {
        Store::Sqlite => None,
        Store::Postgres => Some(Cluster::start(&scratch.path.join("pg"), plan.keep).await?),
    };
    let url = cluster.as_ref().map(Cluster::url);
    let mut world = World::new(plan, &scratch.path, url).await?;
    let figures = world.storm(plan).await?;
    let (violations, counts) = world.judge(figures.violations).await?;
    crash::tell(store, &violations);
    let mut summary = json!({
        "id": "R2", "store": store.name(), "value": violations.len(), "unit": "violations",
        "floor": 0, "target": 0, "ok": violations.is_empty(), "seed": plan.seed,
        "agents": plan.agents, "namespaces": world.net.is_some(),
    });
    if let (Some(summary), Value::Object(shown), Value::Object(counts)) =
        (summary.as_object_mut(), figures.shown, counts)
    {
        summary.extend(shown);
        summary.extend(counts);
    }
    out::result(&summary);
    drop(world);
    drop(cluster);
    if violations.is_empty() && !plan.keep {
        let _ = std::fs::remove_dir_all(&scratch.path);
    } else {
        out::note(&format!("journals, logs and data are kept in {}", scratch.path.display()));
    }
    Ok(violations)
}

/// What a run came to.
#[derive(Debug, Default)]
struct Figures {
    shown: Value,
    violations: Vec<Violation>,
}

/// An installation with its customers, devices, clients and journal.
#[derive(Debug)]
struct World {
    install: Install,
    log: PathBuf,
    address: SocketAddr,
    server: Option<Server>,
    customers: Vec<App>,
    experts: App,
    fleet: Arc<Fleet>,
    journal_path: PathBuf,
    journal: Arc<Journal>,
    target: watch::Sender<Target>,
    clients: Vec<JoinHandle<Result<(), String>>>,
    weather: Option<JoinHandle<Weather>>,
    vendor: Vendor,
    // After those who use them.
    devices: Vec<Device>,
    net: Option<Net>,
}

/// The bad weather that agents live in, and what it did.
#[derive(Debug)]
struct Weather {
    devices: Vec<Device>,
    ways: Vec<Way>,
    random: Random,
    kills: u64,
    cuts: u64,
    /// Agents that ended by themselves.
    ended: Vec<String>,
}

impl World {
    async fn new(plan: &Plan, scratch: &Path, store: Option<String>) -> Result<Self, String> {
        let net = match net::impossible() {
            None => Some(Net::new(plan.agents)?),
            Some(why) => {
                out::note(&format!("no device cuts itself off here: {why}"));
                None
            }
        };
        let ip = net.as_ref().map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |net| net.address);
        let agents = free_address_at(ip)?;
        let install = Install::new(&plan.riposte, &scratch.join("data"), store)
            .with("RIPOSTE_AGENTS", &agents.to_string())
            .with("RIPOSTE_CONNECTORS_LAG_S", &ALLOWED_S.to_string());
        install.init(None).await?;
        let (mut customers, mut tokens) = (Vec::new(), Vec::new());
        for (number, level) in CUSTOMERS.into_iter().enumerate() {
            let tenant = install.tenant_for(&format!("Alder Freight {number}"), level).await?;
            customers.push(install.app_with(Some(&tenant), "lab", &RESPONDER_PERMISSIONS).await?);
            tokens.push(install.agent_token(&tenant).await?);
        }
        let experts = install.app_with(None, "experts", &EXPERT_PERMISSIONS).await?;
        let (log, address) = (scratch.join("server.log"), free_address()?);
        let mut server = install.serve(address, &log, None)?;
        server.ready(READY_PATIENCE).await?;
        let vendor = connect::connect(&install, address, &customers, plan.seed, scratch).await?;
        let (mut devices, mut ways) = (Vec::new(), Vec::new());
        for number in 0..plan.agents {
            let way = Way::open(ip, agents).await?;
            // Some stay outside, as they do where namespaces cannot be had: those cut nothing off.
            let namespace = net.as_ref().and_then(|net| net.name(number));
            let namespace = namespace.filter(|_| number % 3 != 2);
            let mut device = Device::new(&plan.agent, scratch, &format!("lab-{number}"), namespace);
            let token = tokens.get(number % CUSTOMERS.len()).ok_or("no token")?;
            device.enrol(way.address, token, &install.authority()).await?;
            device.start()?;
            devices.push(device);
            ways.push(way);
        }
        let (poke, poked) = mpsc::channel(64);
        let aims = aims(&server, &experts, &devices, plan.seed, scratch).await?;
        let fleet = Arc::new(Fleet {
            aims,
            tenants: customers.iter().map(|app| app.tenant_id.clone()).collect(),
            tasks: Mutex::default(),
            processes: Mutex::default(),
            user_tasks: Mutex::default(),
            poke,
            seed: plan.seed,
        });
        let journal_path = scratch.join("journal.ndjson");
        let journal = Arc::new(Journal::create(&journal_path)?);
        let (target, _) = watch::channel(Target::default());
        let clients = CLIENTS
            .into_iter()
            .map(|customer| (customer, None))
            .chain(FOR_USERS.into_iter().map(|(customer, duty)| (customer, Some(duty))))
            .enumerate()
            .map(|(client, (customer, duty))| {
                let who = Who { client, customer, duty };
                load::start(who, Arc::clone(&fleet), Arc::clone(&journal), target.subscribe())
            })
            .collect();
        let weather = Weather {
            devices,
            ways,
            random: Random::new(mix(plan.seed ^ 0xbad)),
            kills: 0,
            cuts: 0,
            ended: Vec::new(),
        };
        let weather = tokio::spawn(weather.rage(poked, target.subscribe(), Arc::clone(&journal)));
        Ok(Self {
            install,
            log,
            address,
            server: Some(server),
            customers,
            experts,
            fleet,
            journal_path,
            journal,
            target,
            clients,
            weather: Some(weather),
            vendor,
            devices: Vec::new(),
            net,
        })
    }

    /// The customers' tokens, and last the experts'.
    async fn tokens(&self, server: &Server) -> Result<Vec<String>, String> {
        let mut tokens = Vec::new();
        for app in self.customers.iter().chain([&self.experts]) {
            tokens.push(server.token(app).await?);
        }
        Ok(tokens)
    }

    async fn aim(&self, server: &Server) -> Result<(), String> {
        let tokens = self.tokens(server).await?;
        let addresses = vec![self.address];
        self.target.send_replace(Target { addresses, tokens, stop: false });
        Ok(())
    }

    /// Kills the server again and again, then lets everything come to rest.
    async fn storm(&mut self, plan: &Plan) -> Result<Figures, String> {
        let mut random = Random::new(plan.seed);
        let mut hit: BTreeSet<&str> = BTreeSet::new();
        let (mut kills, mut at_failpoints) = (0, 0);
        let mut server = self.server.take().ok_or("no server")?;
        self.aim(&server).await?;
        // The first one dies of its own: it was started for the enrolment.
        let mut armed: Option<&'static str> = None;
        while kills < plan.kills
            || (hit.len() < FAILPOINTS.len() && kills < plan.kills + MORE_STARTS)
        {
            if armed.is_none() || !server.ends(FAILPOINT_PATIENCE).await {
                // Some live until the work of who was killed before them is taken over.
                let (least, most) = if kills % 4 == 2 { (5_000, 9_000) } else { (50, 3_000) };
                tokio::time::sleep(Duration::from_millis(random.between(least, most))).await;
            }
            let what = match (armed, server.exited()) {
                (Some(name), Some(_)) => {
                    hit.insert(name);
                    at_failpoints += 1;
                    format!("stopped at {name}")
                }
                (None, Some(status)) => {
                    return Err(format!("riposte serve ended by itself: {status}"));
                }
                (_, None) => "SIGKILL".to_owned(),
            };
            server.kill().await?;
            kills += 1;
            self.journal.note(&what)?;
            self.target.send_modify(|target| target.addresses.clear());
            out::note(&format!("kill {kills} of {}: {what}", plan.kills));
            // Those that were not hit yet come first once the plan is done.
            let next = FAILPOINTS.iter().find(|name| !hit.contains(**name)).copied();
            let next = next.or_else(|| random.pick(&FAILPOINTS).copied());
            armed = next.filter(|_| kills % 2 == 1);
            // What products do comes by less often.
            let often = |name: &str| if name.starts_with("respond.") { 3 } else { 6 };
            let armed_with = armed.map(|name| format!("{name}:{}", random.between(1, often(name))));
            server = self.install.serve(self.address, &self.log, armed_with.as_deref())?;
            if let Err(error) = self.come_up(&mut server).await {
                // Agents that waited may bring it to its failpoint before anyone signs in.
                if armed.is_none() || !server.ends(Duration::from_secs(1)).await {
                    return Err(error);
                }
            }
        }
        server.kill().await?;
        self.journal.note("SIGKILL, the last")?;
        let mut server = self.install.serve(self.address, &self.log, None)?;
        self.come_up(&mut server).await?;
        self.target.send_modify(|target| target.stop = true);
        for client in self.clients.drain(..) {
            client.await.map_err(|error| format!("client: {error}"))??;
        }
        self.vendor.calm();
        let weather = self.weather.take().ok_or("no weather")?;
        let weather = weather.await.map_err(|error| format!("weather: {error}"))?;
        let mut violations: Vec<Violation> = FAILPOINTS
            .iter()
            .filter(|name| !hit.contains(*name))
            .map(|name| format!("{name} was never hit"))
            .chain(weather.ended.iter().map(|ended| format!("an agent ended by itself: {ended}")))
            .map(|message| Violation { invariant: "lab", message })
            .collect();
        self.devices = weather.devices;
        let quiet = Instant::now();
        let left = self.come_to_rest(&server).await?;
        violations.extend(left.map(|left| Violation {
            invariant: "A2",
            message: format!("not at rest after {QUIET_PATIENCE:?}: {left}"),
        }));
        self.server = Some(server);
        // The lines had to stay until here.
        drop(weather.ways);
        let shown = json!({
            "serverKills": kills, "atFailpoints": at_failpoints, "failpoints": hit,
            "agentKills": weather.kills, "cuts": weather.cuts,
            "quietSeconds": (quiet.elapsed().as_secs_f64() * 10.0).round() / 10.0,
        });
        Ok(Figures { shown, violations })
    }

    async fn come_up(&self, server: &mut Server) -> Result<(), String> {
        server.ready(READY_PATIENCE).await?;
        self.aim(server).await
    }

    /// Waits until nothing is under way; what is left when that takes too long.
    async fn come_to_rest(&mut self, server: &Server) -> Result<Option<String>, String> {
        let started = Instant::now();
        let tokens = self.tokens(server).await?;
        let (experts, customers) = tokens.split_last().ok_or("no tokens")?;
        let who = Lookers { address: self.address, customers, experts };
        loop {
            let left = observe::restless(&who).await?;
            if left.is_empty() {
                return Ok(None);
            }
            if started.elapsed() > QUIET_PATIENCE {
                return Ok(Some(left.join(", ")));
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }

    /// Reads everything back and lets the checker judge.
    async fn judge(
        &mut self,
        mut violations: Vec<Violation>,
    ) -> Result<(Vec<Violation>, Value), String> {
        let mut server = self.server.take().ok_or("no server is left to look at")?;
        let calls = journal::read(&self.journal_path)?;
        let tokens = self.tokens(&server).await?;
        let (experts, customers) = tokens.split_last().ok_or("no tokens")?;
        let who = Lookers { address: self.address, customers, experts };
        let tasks: BTreeSet<String> = {
            let heard = self.fleet.tasks.lock().unwrap_or_else(PoisonError::into_inner);
            heard.iter().map(|(_, id)| id.clone()).chain(calls.iter().filter_map(task_of)).collect()
        };
        let tasks: Vec<String> = tasks.into_iter().collect();
        let mut seen = observe::everything(&who, &self.fleet, &self.devices, &tasks).await?;
        seen.audit = self.install.verify().await?;
        seen.product = Product {
            events: self.vendor.events(),
            users: self.vendor.users(),
            allowed: ALLOWED_S * 1_000_000,
        };
        violations.extend(checker::check(&calls, &seen));
        server.stop().await?;
        for device in &mut self.devices {
            device.kill().await?;
        }
        let mut counts = counts(&calls, &seen);
        if let (Some(counts), Value::Object(more)) =
            (counts.as_object_mut(), self.vendor.tally().shown())
        {
            counts.extend(more);
        }
        Ok((violations, counts))
    }
}

fn task_of(call: &Call) -> Option<String> {
    match (&call.op, &call.outcome) {
        (Op::Draft { .. } | Op::UndoTask { .. }, Outcome::Ok { id }) => id.clone(),
        _ => None,
    }
}

fn counts(calls: &[Call], seen: &Seen) -> Value {
    let ended = |pick: fn(&Outcome) -> bool| calls.iter().filter(|it| pick(&it.outcome)).count();
    let states = |state: &str| seen.actions.iter().filter(|it| it.state == state).count();
    let attempts = || seen.actions.iter().flat_map(|action| &action.attempts);
    let outcome = |word: &str| attempts().filter(|it| it.outcome.as_deref() == Some(word)).count();
    let begun = seen.diaries.iter().flat_map(|diary| &diary.entries).filter(|it| it.begun > 0);
    json!({
        "requests": calls.len(),
        "acknowledged": ended(|outcome| matches!(outcome, Outcome::Ok { .. })),
        "refused": ended(|outcome| matches!(outcome, Outcome::Fail { .. })),
        "answersLost": ended(|outcome| matches!(outcome, Outcome::Info { .. })),
        "actions": seen.actions.len(),
        "userActions": seen.actions.iter().filter(|action| action.user).count(),
        "succeeded": states("succeeded"),
        "failed": states("failed"),
        "cancelled": states("cancelled"),
        "needsHuman": states("needsHuman"),
        "attempts": attempts().count(),
        "begun": begun.count(),
        "repeated": seen.actions.iter().filter(|action| action.attempts.len() > 1).count(),
        "unknown": outcome("unknown"),
        "neverBegun": outcome("neverBegun"),
        "tasks": seen.tasks.len(),
        "tasksCompleted": seen.tasks.iter().filter(|task| task.state == "completed").count(),
        "leaves": seen.audit.leaves,
    })
}

/// The devices as the server knows them, each with files of its own.
async fn aims(
    server: &Server,
    experts: &App,
    devices: &[Device],
    seed: u64,
    scratch: &Path,
) -> Result<Vec<Aim>, String> {
    let token = server.token(experts).await?;
    let rows = Observer::new(server.address, &token, &[]).rows("/api/v1/devices?top=200").await?;
    let mut aims = Vec::new();
    for (number, device) in devices.iter().enumerate() {
        let row = rows.iter().find(|row| row["name"] == device.name.as_str());
        let row = row.ok_or_else(|| format!("{} is not among {rows:?}", device.name))?;
        let folder = Folder::new(&scratch.join(format!("files-{number}")))?;
        let content = seed.wrapping_mul(1_000).wrapping_add(number as u64);
        let pool = (0..POOL).map(|_| folder.make(content));
        aims.push(Aim {
            id: row["id"].as_str().unwrap_or_default().to_owned(),
            name: device.name.clone(),
            tenant: number % CUSTOMERS.len(),
            isolates: device.namespace.is_some(),
            pool: pool.collect::<Result<_, _>>()?,
            folder,
        });
    }
    Ok(aims)
}

/// Waits until the load is to end.
async fn stopped(target: &mut watch::Receiver<Target>) {
    // Nobody who could say so is an end as well.
    let _ = target.wait_for(|target| target.stop).await;
}

impl Weather {
    /// Kills agents and cuts lines until the load ends; then all agents run and all lines are good.
    async fn rage(
        mut self,
        mut poked: mpsc::Receiver<usize>,
        mut target: watch::Receiver<Target>,
        journal: Arc<Journal>,
    ) -> Self {
        let mut next = Instant::now();
        loop {
            let said = tokio::select! {
                biased;
                () = stopped(&mut target) => break,
                () = tokio::time::sleep_until(next.into()) => {
                    next = Instant::now() + Duration::from_millis(self.random.between(300, 1_500));
                    let device = self.random.below(self.devices.len() as u64) as usize;
                    self.strike(device).await
                }
                told = poked.recv() => match told {
                    // Most orders are left in peace.
                    Some(device) if self.random.below(8) == 0 => self.in_the_middle(device).await,
                    _ => continue,
                },
            };
            if let Err(error) = said.and_then(|what| journal.note(&what)) {
                self.ended.push(error);
            }
        }
        for way in &self.ways {
            way.cut();
        }
        self
    }

    /// Kills an agent that was just told something once it has written that it begins.
    async fn in_the_middle(&mut self, number: usize) -> Result<String, String> {
        let Some(device) = self.devices.get_mut(number) else {
            return Err(format!("no device {number}"));
        };
        let path = device.data_dir.join("journal");
        let length = || std::fs::metadata(&path).map_or(0, |file| file.len());
        let (before, asked) = (length(), Instant::now());
        while length() == before && asked.elapsed() < Duration::from_millis(1_200) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let moment = Duration::from_millis(self.random.below(25));
        tokio::time::sleep(moment).await;
        device.kill().await?;
        self.kills += 1;
        device.start()?;
        Ok(format!("SIGKILL of {} {moment:?} after it wrote something", device.name))
    }

    async fn strike(&mut self, number: usize) -> Result<String, String> {
        let random = &mut self.random;
        let (Some(device), Some(way)) = (self.devices.get_mut(number), self.ways.get(number))
        else {
            return Err(format!("no device {number}"));
        };
        if let Some(status) = device.exited() {
            self.ended.push(format!("{}: {status}", device.name));
            device.start()?;
        }
        match random.below(10) {
            0..4 => {
                device.kill().await?;
                self.kills += 1;
                tokio::time::sleep(Duration::from_millis(random.below(400))).await;
                device.start()?;
                Ok(format!("SIGKILL of {}", device.name))
            }
            4..7 => {
                way.cut();
                self.cuts += 1;
                Ok(format!("the line of {} was cut", device.name))
            }
            _ => {
                way.swallow();
                tokio::time::sleep(Duration::from_millis(random.between(50, 900))).await;
                way.cut();
                self.cuts += 1;
                Ok(format!("answers to {} were lost, then its line was cut", device.name))
            }
        }
    }
}
