//! Several servers on one PostgreSQL store: one is killed right after it accepted an alert, and
//! the time is taken until another one has put that alert into an incident.

use std::time::{Duration, Instant};

use serde_json::json;

use super::checker::Violation;
use super::observe::Observer;
use super::{Figures, Plan, READY_PATIENCE, World};
use crate::alerts::Alerts;
use crate::histogram::Histogram;
use crate::http::Client;
use crate::out;
use crate::random::Random;
use crate::server::{Server, free_address, token};

/// How long the others may take.
const TAKEOVER: Duration = Duration::from_secs(30);

/// Kills replicas in turn under load, and leaves one running to be judged.
pub(crate) async fn run(plan: &Plan, world: &mut World) -> Result<Figures, String> {
    let mut random = Random::new(plan.seed);
    // The probe's tenant holds nothing else, so that one page shows whether its alert has arrived.
    let tenant = world.install.tenant_add("Alder Probe").await?;
    let probe = world.install.app_add(Some(&tenant), "probe").await?;
    let alerts = Alerts::new(plan.seed.wrapping_add(77), 0).marked("probe");
    let mut servers: Vec<Server> = Vec::new();
    for number in 0..plan.replicas {
        let log = world.log.with_extension(format!("{number}.log"));
        let mut server = world.install.serve(free_address()?, &log, None)?;
        server.ready(READY_PATIENCE).await?;
        servers.push(server);
    }
    let mut takeover = Histogram::default();
    let mut violations = Vec::new();
    for kill in 0..plan.kills {
        let addresses: Vec<_> = servers.iter().map(|server| server.address).collect();
        let first = servers.first().ok_or("no replicas")?;
        world.aim(addresses.clone(), world.tokens(first).await?);
        tokio::time::sleep(Duration::from_millis(random.between(200, 2_000))).await;
        let victim = random.below(servers.len() as u64) as usize;
        let server = servers.get_mut(victim).ok_or("no victim")?;
        let pass = token(server.address, &probe).await?;
        let (id, body) = (alerts.id(kill), alerts.body(kill));
        let reply =
            Client::new(server.address).post("/api/v1/alerts", &pass, body.as_bytes()).await;
        let accepted = Instant::now();
        server.kill().await?;
        let dead = server.address;
        world.target.send_modify(|target| target.addresses.retain(|one| *one != dead));
        world.journal.note(&format!("SIGKILL of replica {victim}"))?;
        if !reply.as_ref().is_ok_and(crate::http::Reply::ok) {
            return Err(format!("probe: {reply:?}"));
        }
        let other = *addresses.iter().find(|one| **one != dead).ok_or("one replica only")?;
        let pass = token(other, &probe).await?;
        loop {
            let seen = Observer::new(other, &pass, &[]).alerts().await?;
            if seen.iter().any(|alert| alert.source_id == id && alert.incident.is_some()) {
                takeover.add(accepted.elapsed());
                break;
            }
            if accepted.elapsed() > TAKEOVER {
                let message = format!("{id} has no incident {TAKEOVER:?} after its server died");
                violations.push(Violation { invariant: "takeover", message });
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let took = accepted.elapsed().as_secs_f64();
        out::note(&format!("kill {} of {}: taken over after {took:.2} s", kill + 1, plan.kills));
        let log = world.log.with_extension(format!("{victim}.log"));
        let mut server = world.install.serve(dead, &log, None)?;
        server.ready(READY_PATIENCE).await?;
        if let Some(place) = servers.get_mut(victim) {
            *place = server;
        }
    }
    world.stop_clients().await?;
    let last = servers.pop().ok_or("no replicas")?;
    for mut server in servers {
        server.stop().await?;
    }
    let address = last.address;
    let tokens = world.tokens(&last).await?;
    let settled = world.settle(address, &tokens).await?;
    world.last = Some(last);
    let shown = json!({
        "kills": plan.kills,
        "replicas": plan.replicas,
        "takeoverSeconds": {
            "p50": takeover.percentile(50.0) / 1_000.0,
            "max": takeover.max() / 1_000.0,
            "limit": TAKEOVER.as_secs(),
        },
        "settleSeconds": settled.as_secs_f64(),
    });
    Ok(Figures { shown, violations, address: Some(address) })
}
