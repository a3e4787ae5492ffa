//! P4 and what a fleet costs: how soon an order is with its agent, how soon a device is cut off and
//! read back, what two hundred agents at once and an idle agent take.
//!
//! Latencies to the agent are taken with agents that are played, over mutual TLS as real ones, so
//! that nothing of an agent is in them; isolation and idling are those of the release binary. Not
//! here: many real agents, which the lab's machine could not carry.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::intake::{self, Sources};
use super::{Goal, Plan, World, rounded};
use crate::args::Store;
use crate::crash::Observer;
use crate::device::Device;
use crate::histogram::Histogram;
use crate::http::{Client, Request};
use crate::net::{self, Net};
use crate::robot::Robot;

/// Clicks that are measured.
const CLICKS: usize = 240;
/// How long clicking goes on under load.
const LONGEST: Duration = Duration::from_secs(90);
/// Played agents that are clicked on in turn.
const ROBOTS: usize = 4;
/// Played agents of the fleet.
const FLEET: usize = 200;
/// Who clicks for the fleet: a script over as many connections.
const HANDS: usize = 8;
/// Isolations that are measured.
const ISOLATIONS: usize = 15;
/// How long anything may take before the run is given up.
const PATIENCE: Duration = Duration::from_mins(1);

/// An installation that agents can come into.
#[derive(Debug)]
pub(super) struct Ground {
    pub(super) world: World,
    /// Where agents connect.
    agents: SocketAddr,
    /// What they enrol with.
    enrolment: String,
    /// Who acts and looks: an application of the customer, and one of the experts.
    responder: String,
    experts: String,
    net: Option<Net>,
    why: String,
}

impl Ground {
    /// A new installation; with a network namespace where `devices` is not 0 and it can be had.
    pub(super) async fn new(plan: &Plan, store: Store, devices: usize) -> Result<Self, String> {
        let why = net::impossible();
        let net = (devices > 0 && why.is_none()).then(|| Net::new(devices)).transpose()?;
        let ip = net.as_ref().map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |net| net.address);
        let (world, agents, tokens) = World::for_agents(plan, store, ip).await?;
        let [enrolment, responder, experts] = tokens;
        let why = why.unwrap_or_default();
        Ok(Self { world, agents, enrolment, responder, experts, net, why })
    }

    async fn device(&self, name: &str) -> Result<String, String> {
        let mut observer = Observer::new(self.world.server.address, &self.experts, &[]);
        let rows = observer.rows("/api/v1/devices?top=200").await?;
        let row = rows.iter().find(|row| row["name"] == name);
        let row = row.ok_or_else(|| format!("{name} is not among the devices"))?;
        Ok(row["id"].as_str().unwrap_or_default().to_owned())
    }

    async fn robot(&self, name: &str) -> Result<Robot, String> {
        Robot::enrol(self.agents, &self.world.install.authority(), &self.enrolment, name).await
    }

    /// A real agent, started; in a namespace where there is one.
    async fn agent(&self, binary: &Path) -> Result<Device, String> {
        let dir = self.world.log.parent().ok_or("no folder")?;
        let namespace = self.net.as_ref().and_then(|net| net.name(0));
        let mut device = Device::new(binary, dir, "real-0", namespace);
        device.enrol(self.agents, &self.enrolment, &self.world.install.authority()).await?;
        device.start()?;
        Ok(device)
    }
}

async fn click(
    client: &mut Client,
    token: &str,
    device: &str,
    kind: &str,
) -> Result<String, String> {
    let body = json!({ "actionType": kind, "options": {}, "comment": "Measured." }).to_string();
    let path = format!("/api/v1/devices/{device}/actions");
    let reply = client.send(&Request::json("POST", &path, token, body.as_bytes())).await;
    let reply = reply.map_err(|error| format!("click: {error}"))?;
    if reply.status != 201 {
        return Err(format!("click: {}", reply.excerpt()));
    }
    Ok(reply.json()["id"].as_str().unwrap_or_default().to_owned())
}

/// What a played agent in a task tells.
#[derive(Debug)]
enum Said {
    /// It is about to ask what to do.
    Asks,
    /// An order was there at that moment.
    Told(Instant),
}

/// Lets an agent live until nobody listens any more.
async fn live(mut robot: Robot, say: mpsc::UnboundedSender<Said>) -> Result<(), String> {
    loop {
        if say.send(Said::Asks).is_err() {
            return Ok(());
        }
        let told = robot.poll().await?;
        if !told.orders.is_empty() {
            let _ = say.send(Said::Told(told.first_byte));
            robot.obey(&told.orders).await?;
        }
    }
}

/// P4: from the moment a click leaves until the first byte of its order is with the agent, which
/// holds a poll; alone and under the load of P1.
pub(super) async fn approve(store: Store, ground: &Ground, loaded: bool) -> Result<Value, String> {
    let (id, floor, target) = if loaded { ("P4b", 2e3, 2e3) } else { ("P4", 500.0, 100.0) };
    let goal = Goal { id, unit: "ms p99", floor, target, more_is_better: false };
    let mut lives = JoinSet::new();
    let mut robots = Vec::new();
    for number in 0..ROBOTS {
        let name = format!("{}-{number}", id.to_lowercase());
        let robot = ground.robot(&name).await?;
        let (say, said) = mpsc::unbounded_channel();
        lives.spawn(live(robot, say));
        robots.push((ground.device(&name).await?, said));
    }
    let world = &ground.world;
    let clicks = async {
        if loaded {
            // The load warms up as long before it counts.
            tokio::time::sleep(Duration::from_secs(4)).await;
        }
        let mut client = Client::new(world.server.address);
        let (mut latency, mut answers) = (Histogram::default(), Histogram::default());
        let until = Instant::now() + LONGEST;
        for number in 0..CLICKS {
            if loaded && Instant::now() > until {
                break;
            }
            let (device, said) = robots.get_mut(number % ROBOTS).ok_or("no robots")?;
            settle(said).await?;
            let kind = if (number / ROBOTS).is_multiple_of(2) {
                "isolateDevice"
            } else {
                "unIsolateDevice"
            };
            let clicked = Instant::now();
            click(&mut client, &ground.responder, device, kind).await?;
            answers.add(clicked.elapsed());
            let told = tokio::time::timeout(PATIENCE, told(said)).await;
            let at = told.map_err(|_| "an order did not come".to_owned())??;
            latency.add(at.saturating_duration_since(clicked));
        }
        Ok::<_, String>((latency, answers))
    };
    let (latency, answers) = if loaded {
        let sources = Sources::new(40, world.tokens.len());
        // It ends with the last click.
        let load = intake::load(&world.server, &world.tokens, &sources, 32, 1, LONGEST * 2);
        tokio::pin!(load);
        tokio::select! {
            measured = clicks => measured?,
            load = &mut load => return Err(format!("the load ended first: {load:?}")),
        }
    } else {
        clicks.await?
    };
    let details = json!({
        "what": "click to the first byte at the agent",
        "clicks": latency.count(),
        "p50": latency.percentile(50.0),
        "max": latency.max(),
        "clickAnsweredP50": answers.percentile(50.0),
        "clickAnsweredP99": answers.percentile(99.0),
        "underP1": loaded,
    });
    // Few samples say little of the hundredth.
    Ok(goal.row(store, latency.percentile(99.0), latency.count() >= 100, details))
}

/// Waits until an agent holds its poll again.
async fn settle(said: &mut mpsc::UnboundedReceiver<Said>) -> Result<(), String> {
    let mut asks = false;
    loop {
        // The poll is held once it has been answered by nothing for a while.
        match tokio::time::timeout(Duration::from_millis(60), said.recv()).await {
            Err(_) if asks => return Ok(()),
            Err(_) => {}
            Ok(Some(said)) => asks = matches!(said, Said::Asks),
            Ok(None) => return Err("an agent that was played ended".to_owned()),
        }
    }
}

async fn told(said: &mut mpsc::UnboundedReceiver<Said>) -> Result<Instant, String> {
    while let Some(said) = said.recv().await {
        if let Said::Told(at) = said {
            return Ok(at);
        }
    }
    Err("an agent that was played ended".to_owned())
}

/// Two hundred agents take an order each: from the first click to the last outcome on disk.
pub(super) async fn fleet(store: Store, ground: &Ground) -> Result<Value, String> {
    let goal = Goal { id: "P16", unit: "s", floor: 30.0, target: 10.0, more_is_better: false };
    let (say, mut said) = mpsc::unbounded_channel();
    let mut lives: JoinSet<Result<(), String>> = JoinSet::new();
    let enrolled = Instant::now();
    for number in 0..FLEET {
        let mut robot = ground.robot(&format!("fleet-{number}")).await?;
        let say = say.clone();
        lives.spawn(async move {
            loop {
                let told = robot.poll().await?;
                if !told.orders.is_empty() {
                    let settled = robot.obey(&told.orders).await?;
                    let _ = say.send((told.first_byte, settled));
                }
            }
        });
    }
    let enrolled = enrolled.elapsed();
    let world = &ground.world;
    let mut observer = Observer::new(world.server.address, &ground.experts, &[]);
    let devices: Vec<String> = observer
        .rows("/api/v1/devices?search=fleet-&top=200")
        .await?
        .iter()
        .filter_map(|row| row["id"].as_str().map(str::to_owned))
        .collect();
    // Inventories go first; then all hold a poll.
    tokio::time::sleep(Duration::from_secs(4)).await;
    let idle = world.server.usage();
    let began = Instant::now();
    let mut hands: JoinSet<Result<(), String>> = JoinSet::new();
    let devices = Arc::new(devices);
    for hand in 0..HANDS {
        let (devices, token) = (Arc::clone(&devices), ground.responder.clone());
        let mut client = Client::new(world.server.address);
        hands.spawn(async move {
            for device in devices.iter().skip(hand).step_by(HANDS) {
                click(&mut client, &token, device, "isolateDevice").await?;
            }
            Ok(())
        });
    }
    let (mut last, mut count, mut first) = (began, 0, None);
    while count < devices.len() {
        let next = tokio::time::timeout(PATIENCE, said.recv()).await;
        let (told, settled) = next
            .map_err(|_| format!("{count} of {} answered within a minute", devices.len()))?
            .ok_or("the fleet ended")?;
        first.get_or_insert(told);
        last = last.max(settled);
        count += 1;
    }
    while let Some(hand) = hands.join_next().await {
        hand.map_err(|error| error.to_string())??;
    }
    let usage = world.server.usage();
    let details = json!({
        "what": "200 agents take an order each",
        "agents": devices.len(),
        "firstOrderMs": first.map(|at| rounded((at - began).as_secs_f64() * 1e3)),
        "serverRssMb": usage.rss_kib / 1_024,
        "serverRssIdleMb": idle.rss_kib / 1_024,
        "serverCpuMs": usage.cpu_ms.saturating_sub(idle.cpu_ms),
        "enrolledPerSecond": rounded(devices.len() as f64 / enrolled.as_secs_f64()),
    });
    let all = devices.len() == FLEET;
    Ok(goal.row(store, (last - began).as_secs_f64(), all, details))
}

async fn state(client: &mut Client, token: &str, action: &str) -> Result<String, String> {
    let path = format!("/api/v1/actions/{action}");
    let reply = client.get(&path, token).await.map_err(|error| format!("action: {error}"))?;
    Ok(reply.json()["state"].as_str().unwrap_or_default().to_owned())
}

/// From the click until the action says *succeeded*, which it does only when the kernel's rules were
/// read back; with a real agent.
pub(super) async fn isolate(
    store: Store,
    ground: &Ground,
    device: &Device,
) -> Result<Value, String> {
    let goal =
        Goal { id: "P17", unit: "ms median", floor: 1e3, target: 250.0, more_is_better: false };
    if ground.net.is_none() {
        return Ok(json!({
            "id": "P17", "store": store.name(), "what": "isolate: click to verified",
            "skipped": ground.why,
        }));
    }
    let id = ground.device(&device.name).await?;
    let mut client = Client::new(ground.world.server.address);
    let (mut cut, mut released) = (Histogram::default(), Histogram::default());
    for number in 0..ISOLATIONS * 2 {
        // An agent asks once a second at most; then it holds its poll.
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        let isolates = number % 2 == 0;
        let kind = if isolates { "isolateDevice" } else { "unIsolateDevice" };
        let clicked = Instant::now();
        let action = click(&mut client, &ground.responder, &id, kind).await?;
        loop {
            let state = state(&mut client, &ground.responder, &action).await?;
            match state.as_str() {
                "succeeded" => break,
                "approved" | "started" if clicked.elapsed() < PATIENCE => {}
                other => return Err(format!("{action} ({kind}) is {other}")),
            }
            tokio::time::sleep(Duration::from_millis(4)).await;
        }
        let latency = if isolates { &mut cut } else { &mut released };
        latency.add(clicked.elapsed());
    }
    let details = json!({
        "what": "isolate: click to verified, real agent",
        "clicks": cut.count(), "p90": cut.percentile(90.0), "max": cut.max(),
        "releaseMedian": released.percentile(50.0),
    });
    Ok(goal.row(store, cut.percentile(50.0), true, details))
}

/// What an agent takes that has nothing to do.
pub(super) async fn idle(store: Store, device: &Device) -> [Value; 2] {
    // Its inventory has gone by then.
    tokio::time::sleep(Duration::from_secs(20)).await;
    let before = device.usage();
    let span = Duration::from_secs(30);
    tokio::time::sleep(span).await;
    let after = device.usage();
    let memory =
        Goal { id: "A1", unit: "MB idle", floor: 40.0, target: 20.0, more_is_better: false };
    let cpu = Goal { id: "A2", unit: "% idle", floor: 0.5, target: 0.2, more_is_better: false };
    let spent = after.cpu_ms.saturating_sub(before.cpu_ms) as f64;
    let lives = after.rss_kib > 0;
    [
        memory.row(
            store,
            after.rss_kib as f64 / 1_024.0,
            lives,
            json!({
                "what": "agent, resident memory",
                "anonymousMb": rounded(after.anonymous_kib as f64 / 1_024.0),
                "peakMb": rounded(after.peak_kib as f64 / 1_024.0),
            }),
        ),
        cpu.row(
            store,
            spent / span.as_secs_f64() / 10.0,
            lives,
            json!({ "what": "agent, processor time over 30 s", "ms": spent }),
        ),
    ]
}

/// The rows that want a real agent.
pub(super) async fn with_agent(
    plan: &Plan,
    store: Store,
    binary: &Path,
) -> Result<Vec<Value>, String> {
    let mut ground = Ground::new(plan, store, 1).await?;
    let mut device = ground.agent(binary).await?;
    let mut rows = Vec::new();
    if plan.wants("A1") || plan.wants("A2") {
        rows.extend(idle(store, &device).await);
    }
    if plan.wants("P17") {
        tokio::time::sleep(Duration::from_secs(2)).await;
        rows.push(isolate(store, &ground, &device).await?);
    }
    if let Some(status) = device.exited() {
        return Err(format!("the agent ended by itself: {status}"));
    }
    device.kill().await?;
    ground.world.stop().await?;
    Ok(rows)
}

/// The rows that want played agents.
pub(super) async fn with_robots(plan: &Plan, store: Store) -> Result<Vec<Value>, String> {
    let mut rows = Vec::new();
    for (id, loaded) in [("P4", false), ("P4b", true)] {
        if plan.wants(id) {
            let mut ground = Ground::new(plan, store, 0).await?;
            rows.push(approve(store, &ground, loaded).await?);
            ground.world.stop().await?;
        }
    }
    if plan.wants("P16") {
        let mut ground = Ground::new(plan, store, 0).await?;
        rows.push(fleet(store, &ground).await?);
        ground.world.stop().await?;
    }
    Ok(rows)
}
