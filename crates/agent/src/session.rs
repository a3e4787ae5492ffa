//! Talks with the server: one task asks what to do, another says what became of it, a third looks
//! at the clock.
//!
//! Always: what must be in force is in force before the first word goes out; outcomes are said until
//! the server has acknowledged them; a server that cannot be reached is asked less and less often,
//! one that says no once a minute.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use riposte_wire::{
    Inventory, OrderResult, Orders, Own, Poll, Renew, Renewed, Report, Reported, VERSION,
};
use serde::{Deserialize, Serialize};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{sleep, timeout};

use crate::agent::{Agent, random};
use crate::carry::Hands;
use crate::collect;
use crate::data::Data;
use crate::enrol::endpoint;
use crate::fault::{During, Result};
use crate::host::fanotify::Marks;
use crate::http::{Lost, post};
use crate::lock::lock;
use crate::watch::{COMPACT_EVERY, TICK, back_off};
use crate::{act, carry, clock, files, fit, identity, states};

/// How long an answer may take beyond what the server holds a poll open.
const POLL_LIMIT: Duration = Duration::from_secs(riposte_wire::HOLD_S + 15);
const REPORT_LIMIT: Duration = Duration::from_mins(1);
/// After a no.
const NO_WAIT: Duration = Duration::from_mins(1);
/// A server that answers at once with nothing is not asked faster than this.
const PACE: Duration = Duration::from_secs(1);
/// Observations are gathered for so long.
const GATHER: Duration = Duration::from_secs(3);
/// After so many ticks it is looked whether somebody took away what is in force.
const LOOK_EVERY: u64 = 10;
/// How often it is looked whether the certificate is to be renewed.
const RENEW_EVERY: Duration = Duration::from_hours(1);
/// How often the inventory is looked at.
const INVENTORY_EVERY: Duration = Duration::from_mins(15);

/// What `status` reads of a running agent.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Running {
    /// Its process.
    pub(crate) pid: u32,
    /// When it started.
    pub(crate) started: i64,
    /// When the server last answered.
    pub(crate) contact: Option<i64>,
    /// Why it did not, since.
    pub(crate) trouble: Option<String>,
    /// Whether a probe found execution restricted, when it was last looked at.
    pub(crate) restricted: bool,
}

/// Runs until it is told to end.
pub(crate) async fn run(data: &Data, marks: Marks) -> Result<()> {
    let _held = data.hold_run().await?;
    identity::mend(data)?;
    let identity = identity::load(data)?;
    let mut terminate = signal(SignalKind::terminate()).during("cannot listen for signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).during("cannot listen for signals")?;
    let agent = Arc::new(Agent::new(data, identity, marks)?);
    let damaged = lock(&agent.journal).damaged();
    if damaged > 0 {
        tracing::error!("{damaged} lines of the journal cannot be read");
        let text = format!("{damaged} lines of the journal cannot be read");
        agent.observe("journalDamaged", text, serde_json::json!({"lines": damaged}));
    }
    let first = Arc::clone(&agent);
    // Before a word goes out, and before it is said how interrupted orders left the device.
    let ready = tokio::task::spawn_blocking(move || {
        act::put_in_force(&first);
        carry::settle(&first);
    });
    ready.await.during("cannot put in force what must be")?;
    let hands = carry::start(&agent)?;
    crate::observe::start(&agent)?;
    tracing::info!("agent {} runs, server {}", agent.identity.facts.agent, agent.server);
    tokio::select! {
        () = polling(&agent, &hands) => {}
        () = reporting(&agent) => {}
        () = ticking(&agent, &hands) => {}
        () = looking(&agent) => {}
        () = renewing(&agent) => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("the agent ends");
    agent.cancel_all();
    let until = Instant::now() + Duration::from_secs(10);
    while agent.busy.load(Ordering::Relaxed) > 0 && Instant::now() < until {
        sleep(Duration::from_millis(20)).await;
    }
    // What became of them is said now if it can be; else the journal says it next time.
    let _ = timeout(Duration::from_secs(2), report_once(&agent, &mut HashMap::new())).await;
    files::remove(&data.running())
}

async fn polling(agent: &Arc<Agent>, hands: &Hands) {
    let mut failures = 0_u32;
    let mut last = String::new();
    let mut moved = agent.moved.subscribe();
    loop {
        let began = Instant::now();
        moved.mark_unchanged();
        let look = Arc::clone(agent);
        let states = tokio::task::spawn_blocking(move || states::read(&look)).await;
        let states = states.unwrap_or_default();
        let restricted = states.restricted;
        let poll = Poll {
            version: VERSION,
            run: agent.run.clone(),
            known: lock(&agent.journal).open_orders(),
            states,
            own: own(agent),
        };
        let client = agent.client();
        let asked = match endpoint(&agent.server, "poll") {
            Ok(url) => tokio::select! {
                asked = post::<Orders>(&client, url, &poll, POLL_LIMIT) => asked,
                // What this poll says is in force is so no more, and the server may hold it for
                // long. An order that was on its way is given again.
                Ok(()) = moved.changed() => {
                    sleep(PACE.saturating_sub(began.elapsed())).await;
                    continue;
                }
            },
            Err(e) => Err(Lost::Else(e)),
        };
        let trouble = match asked {
            Ok(orders) => {
                if failures > 0 {
                    tracing::info!("the server can be reached again");
                }
                failures = 0;
                last.clear();
                agent.reached(true);
                say_running(agent, restricted, None);
                take(agent, hands, &orders);
                sleep(PACE.saturating_sub(began.elapsed())).await;
                continue;
            }
            Err(trouble) => trouble,
        };
        failures = failures.saturating_add(1);
        agent.reached(false);
        let said = trouble.to_string();
        // What is new and every tenth: a night without network is not a full disk.
        if said != last || failures.is_multiple_of(10) {
            tracing::warn!("cannot ask the server ({failures} times): {said}");
            last.clone_from(&said);
        }
        say_running(agent, restricted, Some(said));
        sleep(pause_after(&trouble, failures)).await;
    }
}

fn take(agent: &Agent, hands: &Hands, orders: &Orders) {
    if let Err(e) = lock(&agent.journal).acknowledge(&orders.acknowledged, clock::now()) {
        tracing::error!("{e}");
    }
    if orders.inventory {
        agent.inventory_wanted.store(true, Ordering::Relaxed);
        agent.news.notify_one();
    }
    for signed in orders.orders.iter().take(1_000) {
        hands.take(agent, signed);
    }
}

fn pause_after(trouble: &Lost, failures: u32) -> Duration {
    let random = u64::from_le_bytes(random());
    match trouble {
        Lost::Refused(status, _) if matches!(status.as_u16(), 401 | 403) => {
            NO_WAIT + Duration::from_millis(random % 5_000)
        }
        _ => back_off(failures, random),
    }
}

async fn reporting(agent: &Arc<Agent>) {
    let mut failures = 0_u32;
    let mut said = HashMap::new();
    loop {
        match report_once(agent, &mut said).await {
            Ok(true) => failures = 0,
            Ok(false) => {
                failures = 0;
                // Outcomes are sent at once, observations a little later and together. What was
                // sent and not acknowledged is looked at again without any news.
                let _ = timeout(Duration::from_secs(15), agent.news.notified()).await;
                if !agent.has_word() {
                    let _ = timeout(GATHER, wait_for_outcome(agent)).await;
                }
            }
            Err(trouble) => {
                failures = failures.saturating_add(1);
                if failures == 1 || failures.is_multiple_of(10) {
                    tracing::warn!("cannot report to the server ({failures} times): {trouble}");
                }
                sleep(pause_after(&trouble, failures)).await;
            }
        }
    }
}

async fn wait_for_outcome(agent: &Agent) {
    loop {
        agent.news.notified().await;
        if agent.has_word() {
            return;
        }
    }
}

/// When an outcome was last sent, and how often.
type Said = HashMap<String, (Instant, u32)>;

/// Sends one report; says whether there was anything to say.
async fn report_once(agent: &Arc<Agent>, said: &mut Said) -> std::result::Result<bool, Lost> {
    let now = Instant::now();
    let unacknowledged = lock(&agent.journal).unacknowledged();
    said.retain(|order, _| unacknowledged.iter().any(|result| result.order == *order));
    let mut results: Vec<OrderResult> = unacknowledged
        .into_iter()
        .filter(|result| {
            said.get(&result.order).is_none_or(|(at, times)| {
                now.duration_since(*at).as_secs() >= 15_u64 << times.saturating_sub(1).min(6)
            })
        })
        .take(50)
        .collect();
    shorten(&mut results);
    for result in &results {
        let entry = said.entry(result.order.clone()).or_insert((now, 0));
        *entry = (now, entry.1 + 1);
    }
    let answers = agent.answers();
    results.extend(answers.iter().cloned());
    results.extend(agent.take_progress());
    if !results.is_empty() {
        match say(agent, results).await {
            Ok(()) => {}
            Err(Lost::Refused(status, text)) if is_for_good(status) => {
                // It is said again later; observations do not wait for it.
                tracing::error!("the server does not take an outcome: {status} {text}");
            }
            Err(lost) => {
                // It did not arrive, so the next attempt is not a repetition.
                said.clear();
                return Err(lost);
            }
        }
        agent.answered(answers.len());
        return Ok(true);
    }
    if agent.inventory_wanted.load(Ordering::Relaxed) {
        send_inventory(agent).await?;
        return Ok(true);
    }
    let oldest = lock(&agent.spool).oldest();
    let (batch, observed) = match oldest {
        Ok(Some(oldest)) => oldest,
        Ok(None) => return Ok(false),
        Err(e) => {
            tracing::error!("{e}");
            return Ok(false);
        }
    };
    let sent = if observed.is_empty() {
        Ok(())
    } else {
        report(agent, Report { observed, ..Report::default() }).await
    };
    match sent {
        Err(Lost::Refused(status, text)) if is_for_good(status) => {
            // It would be refused for ever, and everything behind it would wait.
            tracing::error!("the server does not take observations: {status} {text}");
        }
        other => other?,
    }
    if let Err(e) = lock(&agent.spool).sent(batch) {
        tracing::error!("{e}");
    }
    Ok(true)
}

/// Leaves for the next report what does not fit into this one.
fn shorten(results: &mut Vec<OrderResult>) {
    let mut room = fit::REPORT;
    let size = |value: &Option<serde_json::Value>| value.as_ref().map_or(0, fit::length);
    let fits = results.iter().take_while(|result| {
        let taken = size(&result.read_back) + size(&result.found) + 1_000;
        let fits = taken <= room;
        room = room.saturating_sub(taken);
        fits
    });
    // At least one, or nothing would ever be said.
    let count = fits.count().max(1);
    results.truncate(count);
}

/// Whether the same words would be refused again.
fn is_for_good(status: reqwest::StatusCode) -> bool {
    matches!(status.as_u16(), 400 | 413 | 422)
}

/// Sends what became of orders; one by one when the server does not take them together.
async fn say(agent: &Agent, results: Vec<OrderResult>) -> std::result::Result<(), Lost> {
    let all = Report { results: results.clone(), ..Report::default() };
    match report(agent, all).await {
        Err(Lost::Refused(status, _)) if is_for_good(status) && results.len() > 1 => {}
        other => return other,
    }
    let mut refused = Ok(());
    for result in results {
        match report(agent, Report { results: vec![result], ..Report::default() }).await {
            Ok(()) => {}
            Err(Lost::Refused(status, text)) if is_for_good(status) => {
                refused = Err(Lost::Refused(status, text));
            }
            Err(lost) => return Err(lost),
        }
    }
    refused
}

async fn report(agent: &Agent, report: Report) -> std::result::Result<(), Lost> {
    let url = endpoint(&agent.server, "report").map_err(Lost::Else)?;
    let reported: Reported = post(&agent.client(), url, &report, REPORT_LIMIT).await?;
    if let Err(e) = lock(&agent.journal).acknowledge(&reported.acknowledged, clock::now()) {
        tracing::error!("{e}");
    }
    Ok(())
}

async fn send_inventory(agent: &Arc<Agent>) -> std::result::Result<(), Lost> {
    agent.inventory_wanted.store(false, Ordering::Relaxed);
    let Some((inventory, hash)) = gather(agent).await else { return Ok(()) };
    let inventory = Some(Box::new(inventory));
    let sent = report(agent, Report { inventory, ..Report::default() }).await;
    match &sent {
        Ok(()) => {
            if let Err(e) = files::replace(&agent.data.inventory(), hash.as_bytes()) {
                tracing::warn!("{e}");
            }
        }
        Err(_) => agent.inventory_wanted.store(true, Ordering::Relaxed),
    }
    sent
}

async fn gather(agent: &Arc<Agent>) -> Option<(Inventory, String)> {
    let name = agent.identity.facts.name.clone();
    let gathered = tokio::task::spawn_blocking(move || {
        let inventory = collect::inventory(name.as_deref());
        let hash = collect::fingerprint(&inventory);
        (inventory, hash)
    });
    gathered.await.ok()
}

/// Sends the inventory when it is another than the server has.
async fn looking(agent: &Arc<Agent>) {
    loop {
        if let Some((_, hash)) = gather(agent).await {
            let sent = files::read(&agent.data.inventory(), 1 << 10).ok().flatten();
            if sent.as_deref() != Some(hash.as_bytes()) {
                agent.inventory_wanted.store(true, Ordering::Relaxed);
                agent.news.notify_one();
            }
        }
        sleep(INVENTORY_EVERY).await;
    }
}

async fn ticking(agent: &Arc<Agent>, hands: &Hands) {
    let mut compacted = clock::now();
    let mut ticks = 0_u64;
    loop {
        sleep(TICK).await;
        ticks += 1;
        // Looking at the kernel costs a process, so it is done less often than looking at the clock.
        let thoroughly = ticks.is_multiple_of(LOOK_EVERY) && act::is_anything_wanted(agent);
        if thoroughly || act::is_due(agent) {
            hands.tend();
        }
        let now = clock::now();
        if now.saturating_sub(compacted) > COMPACT_EVERY {
            compacted = now;
            if let Err(e) = lock(&agent.journal).compact(now) {
                tracing::error!("{e}");
            }
        }
    }
}

/// Asks for a new certificate when it is time, and once an hour while that fails.
async fn renewing(agent: &Arc<Agent>) {
    loop {
        let facts = identity::facts(&agent.data).ok().flatten();
        if facts.is_some_and(|facts| identity::is_due(facts.since, clock::now())) {
            match renew(agent).await {
                Ok(()) => tracing::info!("the certificate is a new one"),
                Err(e) => tracing::warn!("the certificate cannot be renewed: {e}"),
            }
        }
        sleep(RENEW_EVERY).await;
    }
}

async fn renew(agent: &Arc<Agent>) -> std::result::Result<(), Lost> {
    let request = identity::request().map_err(Lost::Else)?;
    let ask = Renew { version: VERSION, request: request.pem.clone() };
    let url = endpoint(&agent.server, "renew").map_err(Lost::Else)?;
    let renewed: Renewed = post(&agent.client(), url, &ask, REPORT_LIMIT).await?;
    let keep = Arc::clone(agent);
    let kept = tokio::task::spawn_blocking(move || {
        identity::renew(&keep.data, &request, &renewed.certificate, clock::now())?;
        keep.show(&identity::load(&keep.data)?)
    });
    let kept = kept.await.during("cannot keep the certificate").map_err(Lost::Else)?;
    kept.map_err(Lost::Else)
}

fn say_running(agent: &Agent, restricted: bool, trouble: Option<String>) {
    let now = clock::now();
    let micros = |since: Duration| i64::try_from(since.as_micros()).unwrap_or(i64::MAX);
    let contact = trouble.is_none().then_some(now).or_else(|| {
        let lost = lock(&agent.contact).last;
        // Until the first answer the last contact is the start, and that is none.
        (lost > agent.started).then(|| now - micros(lost.elapsed()))
    });
    let running = Running {
        pid: std::process::id(),
        started: now - micros(agent.started.elapsed()),
        contact,
        trouble,
        restricted,
    };
    if let Err(e) = files::store(&agent.data.running(), &running) {
        tracing::warn!("{e}");
    }
}

fn own(agent: &Agent) -> Own {
    let (memory, cpu) = collect::own();
    Own {
        memory,
        cpu,
        up: u64::try_from(agent.started.elapsed().as_micros()).unwrap_or(u64::MAX),
        spooled: lock(&agent.spool).waiting(),
    }
}

#[cfg(test)]
mod tests {
    use reqwest::StatusCode;
    use riposte_wire::Outcome;
    use serde_json::json;

    use super::*;
    use crate::fault::Fault;

    #[test]
    fn after_a_no_a_minute_passes() {
        for status in [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN] {
            let wait = pause_after(&Lost::Refused(status, String::new()), 1);
            assert!((60..=65).contains(&wait.as_secs()), "{wait:?}");
        }
        let busy = Lost::Refused(StatusCode::SERVICE_UNAVAILABLE, String::new());
        assert!(pause_after(&busy, 1) <= Duration::from_millis(500));
        assert!(pause_after(&Lost::Else(Fault::new("away")), 99) <= Duration::from_secs(30));
    }

    #[test]
    fn a_report_holds_what_the_server_takes_and_at_least_one_outcome() {
        let result = |size: usize| OrderResult {
            order: "o".into(),
            began: 0,
            at: 0,
            outcome: Outcome::Succeeded,
            read_back: None,
            found: Some(json!("x".repeat(size))),
        };
        let mut many = vec![result(1 << 20); 9];
        shorten(&mut many);
        assert_eq!(many.len(), 3);
        let mut huge = vec![result(9 << 20), result(1)];
        shorten(&mut huge);
        assert_eq!(huge.len(), 1);
    }
}
