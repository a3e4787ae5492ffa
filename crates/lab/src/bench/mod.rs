//! The performance table: one JSON object a line, each with its floor and target.
//!
//! Every figure comes from the release binary over loopback with its fsync on, and the machine's
//! own figures (M1, M2) are taken in the same run, because they bound everything else. Load
//! generator and server share the cores.
//! Not here: figures that need a receiver (P9), rules (P12) or a browser (P15).

mod intake;
mod memory;
mod notify;
mod read;
mod respond;
mod seed;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::args::{self, Args, Store};
use crate::http::Client;
use crate::postgres::Cluster;
use crate::server::{
    App, EXPERT_PERMISSIONS, Install, RESPONDER_PERMISSIONS, Scratch, Server, free_address_at,
};
use crate::{machine, out};

/// Tenants that the intake workloads spread over.
const TENANTS: usize = 4;

/// What to measure.
#[derive(Clone, Debug)]
struct Plan {
    riposte: PathBuf,
    agent: Option<PathBuf>,
    scratch: PathBuf,
    seed_dir: PathBuf,
    only: Vec<String>,
    seconds: u64,
    scale: f64,
}

impl Plan {
    fn wants(&self, id: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|one| one == id)
    }

    fn duration(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    fn scaled(&self, count: u64) -> u64 {
        ((count as f64 * self.scale) as u64).max(1)
    }
}

/// A goal of the table.
#[derive(Clone, Copy, Debug)]
struct Goal {
    id: &'static str,
    unit: &'static str,
    floor: f64,
    target: f64,
    more_is_better: bool,
}

impl Goal {
    /// The line for this goal; `also` is a further condition of the floor.
    fn row(&self, store: Store, value: f64, also: bool, details: Value) -> Value {
        let reached =
            |bound: f64| if self.more_is_better { value >= bound } else { value <= bound };
        let mut row = Map::new();
        row.insert("id".to_owned(), Value::from(self.id));
        row.insert("store".to_owned(), Value::from(store.name()));
        row.insert("value".to_owned(), json!(rounded(value)));
        row.insert("unit".to_owned(), Value::from(self.unit));
        row.insert("floor".to_owned(), json!(self.floor));
        row.insert("target".to_owned(), json!(self.target));
        row.insert("ok".to_owned(), Value::from(reached(self.floor) && also));
        row.insert("targetReached".to_owned(), Value::from(reached(self.target)));
        if let Value::Object(details) = details {
            row.extend(details);
        }
        Value::Object(row)
    }
}

/// Three digits after the point, which is more than any run repeats.
fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

/// Runs the table as the command line says; `false` when a floor was missed.
pub(crate) async fn run(mut args: Args) -> Result<bool, String> {
    let riposte = args.text("--riposte")?.ok_or("bench needs --riposte PATH")?;
    let stores = args::stores(&args.value("--store", "sqlite".to_owned())?)?;
    let scratch: PathBuf = args.value("--scratch", std::env::temp_dir())?;
    let only = args.value("--only", String::new())?;
    let plan = Plan {
        riposte: riposte.into(),
        agent: args
            .text("--agent")?
            .map(std::path::absolute)
            .transpose()
            .map_err(|error| format!("--agent: {error}"))?,
        seed_dir: args.value("--seed-dir", scratch.join("riposte-lab-seed"))?,
        scratch,
        only: only.split(',').map(str::to_owned).filter(|word| !word.is_empty()).collect(),
        seconds: args.value("--seconds", 20)?,
        scale: args.value("--scale", 1.0)?,
    };
    args.finish()?;
    if !(plan.scale > 0.0 && plan.scale <= 10.0) {
        return Err("--scale must lie between 0 and 10".to_owned());
    }
    out::result(&machine::fdatasync(&plan.scratch)?);
    out::result(&machine::loopback(32).await?);
    let mut good = true;
    let mut say = |row: Value| {
        good &= row["ok"].as_bool().unwrap_or(true);
        out::result(&row);
    };
    for store in stores {
        for (id, part) in [
            ("P1", Part::Singles),
            ("P2", Part::Batches),
            ("P3", Part::Visible),
            ("P8", Part::Idle),
            ("P8", Part::Hostile),
        ] {
            if plan.wants(id) {
                out::note(&format!("{id} on {}", store.name()));
                say(fresh_part(&plan, store, part).await?);
            }
        }
        if ["P4", "P4b", "P16"].iter().any(|id| plan.wants(id)) {
            out::note(&format!("P4 and P16 on {}", store.name()));
            for row in respond::with_robots(&plan, store).await? {
                say(row);
            }
        }
        if ["P17", "A1", "A2"].iter().any(|id| plan.wants(id)) {
            match &plan.agent {
                Some(agent) => {
                    out::note(&format!("P17, A1 and A2 on {}", store.name()));
                    for row in respond::with_agent(&plan, store, agent).await? {
                        say(row);
                    }
                }
                None => out::note("P17, A1 and A2 need --agent PATH"),
            }
        }
        if plan.wants("P9") {
            out::note(&format!("P9 on {}", store.name()));
            for row in notify::rows(&plan, store).await? {
                say(row);
            }
        }
        if ["P5", "P6", "P8", "R7"].iter().any(|id| plan.wants(id)) {
            for row in on_seeded(&plan, store).await? {
                say(row);
            }
        }
    }
    Ok(good)
}

/// What is measured on an empty store.
#[derive(Clone, Copy, Debug)]
enum Part {
    Singles,
    Batches,
    Visible,
    Idle,
    Hostile,
}

async fn fresh_part(plan: &Plan, store: Store, part: Part) -> Result<Value, String> {
    let mut world = World::fresh(plan, store).await?;
    let row = match part {
        Part::Singles => intake::singles(plan, store, &world).await,
        Part::Batches => intake::batches(plan, store, &world).await,
        Part::Visible => intake::visible(plan, store, &world).await,
        Part::Idle => memory::idle(store, &world).await,
        Part::Hostile => memory::hostile(store, &world).await,
    };
    world.stop().await?;
    row
}

async fn on_seeded(plan: &Plan, store: Store) -> Result<Vec<Value>, String> {
    let mut rows = Vec::new();
    let (mut world, seeded) = World::seeded(plan, store, None).await?;
    if plan.wants("P5") {
        out::note(&format!("P5 on {}", store.name()));
        rows.push(read::queue(plan, store, &world.server, &seeded).await?);
    }
    if plan.wants("P6") {
        out::note(&format!("P6 on {}", store.name()));
        rows.push(read::incident(plan, store, &world.server, &seeded).await?);
    }
    world.stop().await?;
    drop(world);
    if plan.wants("R7") || plan.wants("P8") {
        // These write, so they get a copy and the seed stays as it is.
        let copy = Scratch::new(&plan.scratch, "copy", false)?;
        seed::copy(&seed::place(plan, store), &copy.path)?;
        let (mut world, _) = World::seeded(plan, store, Some(copy)).await?;
        if plan.wants("P8") {
            out::note(&format!("P8 under load on {}", store.name()));
            rows.push(memory::loaded(plan, store, &world).await?);
        }
        if plan.wants("R7") {
            out::note(&format!("R7 on {}", store.name()));
            rows.push(memory::restart(store, &mut world).await?);
        }
        world.stop().await?;
    }
    Ok(rows)
}

/// A running server with some tenants. The order of the members is the order of their end.
#[derive(Debug)]
struct World {
    server: Server,
    install: Install,
    log: PathBuf,
    apps: Vec<App>,
    tokens: Vec<String>,
    _cluster: Option<Cluster>,
    _scratch: Option<Scratch>,
}

impl World {
    /// A new installation with a few tenants.
    async fn fresh(plan: &Plan, store: Store) -> Result<Self, String> {
        let scratch = Scratch::new(&plan.scratch, &format!("bench-{}", store.name()), false)?;
        let (install, cluster) = place(plan, store, &scratch.path).await?;
        install.init(None).await?;
        let mut apps = Vec::new();
        for number in 0..TENANTS {
            let tenant = install.tenant_add(&format!("Alder Freight {number}")).await?;
            apps.push(install.app_add(Some(&tenant), "lab").await?);
        }
        Self::start(install, scratch.path.join("server.log"), apps, cluster, Some(scratch)).await
    }

    /// A new installation that agents come into at an address of `ip`. Gives that address, a token
    /// that they enrol with, and the tokens of an application of the first customer and of one of
    /// the experts, who act.
    async fn for_agents(
        plan: &Plan,
        store: Store,
        ip: IpAddr,
    ) -> Result<(Self, SocketAddr, [String; 3]), String> {
        let scratch = Scratch::new(&plan.scratch, &format!("bench-{}", store.name()), false)?;
        let (install, cluster) = place(plan, store, &scratch.path).await?;
        let agents = free_address_at(ip)?;
        let install = install.with("RIPOSTE_AGENTS", &agents.to_string());
        install.init(None).await?;
        let (mut apps, mut first) = (Vec::new(), None);
        for number in 0..TENANTS {
            let tenant = install.tenant_add(&format!("Alder Freight {number}")).await?;
            apps.push(install.app_add(Some(&tenant), "lab").await?);
            first.get_or_insert(tenant);
        }
        let first = first.ok_or("no tenants")?;
        let enrolment = install.agent_token(&first).await?;
        let responder = install.app_with(Some(&first), "responder", &RESPONDER_PERMISSIONS).await?;
        let experts = install.app_with(None, "experts", &EXPERT_PERMISSIONS).await?;
        let log = scratch.path.join("server.log");
        let world = Self::start(install, log, apps, cluster, Some(scratch)).await?;
        let tokens =
            [enrolment, world.server.token(&responder).await?, world.server.token(&experts).await?];
        Ok((world, agents, tokens))
    }

    /// The seeded installation itself, or the copy of it in `copy`.
    async fn seeded(
        plan: &Plan,
        store: Store,
        copy: Option<Scratch>,
    ) -> Result<(Self, seed::Seeded), String> {
        let dir = match &copy {
            Some(copy) => copy.path.clone(),
            None => seed::place(plan, store),
        };
        let seeded = match seed::read(&dir) {
            Some(seeded) => seeded,
            None => seed::make(plan, store, &dir).await?,
        };
        let (install, cluster) = place(plan, store, &dir).await?;
        let apps = seeded.apps.iter().take(TENANTS).cloned().collect();
        let world = Self::start(install, dir.join("server.log"), apps, cluster, copy).await?;
        Ok((world, seeded))
    }

    async fn start(
        install: Install,
        log: PathBuf,
        apps: Vec<App>,
        cluster: Option<Cluster>,
        scratch: Option<Scratch>,
    ) -> Result<Self, String> {
        let server = install.serve_ready(&log).await?;
        let mut tokens = Vec::new();
        for app in &apps {
            tokens.push(server.token(app).await?);
        }
        Ok(Self { server, install, log, apps, tokens, _cluster: cluster, _scratch: scratch })
    }

    async fn stop(&mut self) -> Result<(), String> {
        match self.server.stop().await {
            Ok(_) => Ok(()),
            Err(error) => Err(format!("{error}, see {}", self.log.display())),
        }
    }
}

async fn place(
    plan: &Plan,
    store: Store,
    dir: &Path,
) -> Result<(Install, Option<Cluster>), String> {
    let cluster = match store {
        Store::Sqlite => None,
        Store::Postgres => Some(Cluster::start(&dir.join("pg"), true).await?),
    };
    let url = cluster.as_ref().map(Cluster::url);
    Ok((Install::new(&plan.riposte, &dir.join("data"), url), cluster))
}

/// Alerts without an incident within the reach of these tokens, as the Graph face counts them; the
/// server's own gauge where it cannot; none when neither says.
async fn backlog(server: &Server, tokens: &[String]) -> Option<u64> {
    let mut client = Client::new(server.address);
    let mut sum = Some(0);
    for token in tokens {
        let path = "/v1.0/security/alerts_v2/$count?$filter=incidentId%20eq%20null";
        let reply = client.get(path, token).await.ok()?;
        let count = String::from_utf8_lossy(&reply.body).trim().parse::<u64>().ok();
        sum = sum.zip(count.filter(|_| reply.ok())).map(|(sum, count)| sum + count);
    }
    if sum.is_some() {
        return sum;
    }
    let reply = client.get("/metrics", "").await.ok()?;
    gauge(&String::from_utf8_lossy(&reply.body), "riposte_backlog_alerts")
}

fn gauge(text: &str, name: &str) -> Option<u64> {
    let mut sum = None;
    for line in text.lines() {
        let Some(rest) = line.strip_prefix(name) else { continue };
        if !rest.starts_with([' ', '{']) {
            continue;
        }
        let value = rest.rsplit(' ').next().and_then(|word| word.parse::<f64>().ok())?;
        sum = Some(sum.unwrap_or(0) + value as u64);
    }
    sum
}

/// Waits until nothing is left to correlate; none when it takes longer than `patience`.
async fn drained(server: &Server, tokens: &[String], patience: Duration) -> Option<Duration> {
    let started = std::time::Instant::now();
    while started.elapsed() < patience {
        let left = backlog(server, tokens).await?;
        if left == 0 {
            return Some(started.elapsed());
        }
        // Counting what waits costs the server time that it should have for the work itself.
        tokio::time::sleep(Duration::from_millis(100 + left.min(2_000))).await;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gauge_is_read() {
        let text = "# HELP riposte_backlog_alerts x\nriposte_backlog_alerts_total 9\n\
                    riposte_backlog_alerts{tenant=\"a\"} 3\nriposte_backlog_alerts 4.0\n";
        assert_eq!(gauge(text, "riposte_backlog_alerts"), Some(7));
        assert_eq!(gauge(text, "riposte_other"), None);
    }

    #[test]
    fn a_row_says_whether_its_floor_holds() {
        let goal =
            Goal { id: "P1", unit: "alerts/s", floor: 10.0, target: 20.0, more_is_better: true };
        let row = goal.row(Store::Sqlite, 12.0, true, json!({"p99": 3}));
        assert_eq!(
            (&row["ok"], &row["targetReached"], &row["p99"]),
            (&json!(true), &json!(false), &json!(3))
        );
        assert_eq!(goal.row(Store::Sqlite, 12.0, false, json!({}))["ok"], json!(false));
        let goal = Goal { more_is_better: false, ..goal };
        assert_eq!(goal.row(Store::Sqlite, 12.0, true, json!({}))["ok"], json!(false));
    }
}
