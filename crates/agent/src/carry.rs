//! Carries orders out: one after the other in the thread for what is quick, and in another for what
//! takes long, so that a scan does not hold up an isolation.
//!
//! An order: taken on, begun (in the journal), ended (in the journal), let go. Always: the last look
//! at expiry and generation and the `began` of the journal are one step in the thread that carries
//! out, so orders for one thing cannot pass each other.
//!
//! Not here: what is done (`act`).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::thread;

use riposte_wire::{Action, Order, OrderResult, Outcome, Signed};
use serde_json::json;

use crate::act::{self, Done};
use crate::agent::Agent;
use crate::clock;
use crate::fault::{During, Result};
use crate::fit::{VALUE, fit};
use crate::lock::lock;
use crate::order::{self, Read};

/// Something for the quick thread.
#[derive(Debug)]
enum Job {
    Order(Box<Order>),
    /// Ends what is over, or puts back what somebody took away.
    Tend,
}

/// The threads that carry out.
#[derive(Clone, Debug)]
pub(crate) struct Hands {
    quick: mpsc::Sender<Job>,
    slow: mpsc::Sender<Job>,
}

/// Starts the threads.
pub(crate) fn start(agent: &Arc<Agent>) -> Result<Hands> {
    let thread = |name: &str| -> Result<mpsc::Sender<Job>> {
        let (sender, jobs) = mpsc::channel();
        let agent = Arc::clone(agent);
        thread::Builder::new()
            .name(name.to_owned())
            .stack_size(1 << 20)
            .spawn(move || {
                for job in jobs {
                    match job {
                        Job::Order(order) => {
                            carry_out(&agent, &order);
                            agent.moved.send_replace(());
                        }
                        Job::Tend => act::tend(&agent),
                    }
                }
            })
            .during("cannot start a thread")?;
        Ok(sender)
    };
    Ok(Hands { quick: thread("quick")?, slow: thread("slow")? })
}

impl Hands {
    /// Has the quick thread look after what is in force.
    pub(crate) fn tend(&self) {
        let _ = self.quick.send(Job::Tend);
    }

    /// Takes an order on, or answers it.
    pub(crate) fn take(&self, agent: &Agent, signed: &Signed) {
        let identity = &agent.identity;
        match order::read(signed, &identity.order_key(), &identity.facts.agent) {
            Read::Foreign { order, reason } => {
                let order = order.unwrap_or_default();
                tracing::warn!("order {order} is not carried out: {reason}");
                // Whoever signs badly could send thousands: each id is answered once a run.
                let first = {
                    let mut taken = lock(&agent.taken);
                    taken.len() < 10_000 && taken.insert(format!("!{order}"))
                };
                if first {
                    agent.observe("orderRefused", &reason, json!({"order": order}));
                    if !order.is_empty() {
                        agent.answer(refusal(&order, reason));
                    }
                }
            }
            Read::Refused { order, reason } => {
                if !lock(&agent.journal).knows(&order) {
                    refuse(agent, &order, reason);
                }
            }
            Read::Order(order) => self.take_known(agent, order),
        }
    }

    fn take_known(&self, agent: &Agent, order: Box<Order>) {
        if lock(&agent.journal).knows(&order.id) {
            again(agent, &order);
            return;
        }
        if !lock(&agent.taken).insert(order.id.clone()) {
            return;
        }
        let slow = matches!(
            order.action,
            Action::Scan { .. }
                | Action::CollectPackage
                | Action::CollectFile { .. }
                | Action::Quarantine { path: None, .. }
        );
        let (id, thread) = (order.id.clone(), if slow { &self.slow } else { &self.quick });
        if thread.send(Job::Order(order)).is_err() {
            agent.let_go(&id);
        }
    }
}

/// An order that was carried out is offered again: its outcome is said again, and nothing is done.
fn again(agent: &Agent, order: &Order) {
    let kept = lock(&agent.journal).entry(&order.id);
    let Some(entry) = kept else { return };
    match entry.result {
        // Under way, or about to be sent anyway.
        None if entry.began.is_some() => {}
        Some(_) if entry.acknowledged.is_none() => agent.news.notify_one(),
        Some(result) => agent.answer(result),
        None => {
            let now = clock::now();
            agent.answer(OrderResult {
                order: order.id.clone(),
                began: now,
                at: now,
                outcome: Outcome::Unknown {
                    reason: "it was carried out before, and its outcome is no longer kept".into(),
                },
                read_back: None,
                found: None,
            });
        }
    }
}

fn refusal(order: &str, reason: String) -> OrderResult {
    let now = clock::now();
    OrderResult {
        order: order.to_owned(),
        began: now,
        at: now,
        outcome: Outcome::Refused { reason },
        read_back: None,
        found: None,
    }
}

fn refuse(agent: &Agent, order: &str, reason: String) {
    tracing::warn!("order {order} is refused: {reason}");
    let result = refusal(order, reason);
    if let Err(e) = lock(&agent.journal).end(result.clone()) {
        tracing::error!("{e}");
        agent.answer(result);
    }
    agent.news.notify_one();
}

fn carry_out(agent: &Agent, order: &Order) {
    agent.busy.fetch_add(1, Ordering::Relaxed);
    begin_and_end(agent, order);
    agent.busy.fetch_sub(1, Ordering::Relaxed);
    agent.let_go(&order.id);
}

fn begin_and_end(agent: &Agent, order: &Order) {
    let cancel = agent.cancel_flag(&order.id);
    if cancel.load(Ordering::Relaxed) {
        refuse(agent, &order.id, "it was cancelled before it began".to_owned());
        return;
    }
    let began = clock::now();
    let leave = {
        let mut journal = lock(&agent.journal);
        let family = order.action.family();
        let last = family.as_deref().and_then(|family| journal.last(family));
        match order::overdue(order, began, last) {
            Some(reason) => Err(reason),
            None => Ok(journal.begin(order, began)),
        }
    };
    match leave {
        Err(reason) => return refuse(agent, &order.id, reason),
        Ok(Err(e)) => {
            tracing::error!("order {} cannot begin: {e}", order.id);
            let mut result = refusal(&order.id, String::new());
            result.outcome = Outcome::Failed { reason: format!("it could not begin: {e}") };
            return agent.answer(result);
        }
        Ok(Ok(())) => {}
    }
    tracing::info!("order {} begins: {}", order.id, order.action.word());
    let work = act::Work { order: &order.id, began, cancel: &cancel };
    let done = catch_unwind(AssertUnwindSafe(|| act::perform(agent, &order.action, &work)))
        .unwrap_or_else(|_| Done::failed("the agent made a mistake; see its log"));
    let result = OrderResult {
        order: order.id.clone(),
        began,
        at: clock::now(),
        outcome: done.outcome,
        read_back: done.read_back.map(|value| fit(value, VALUE)),
        found: done.found.map(|value| fit(value, VALUE)),
    };
    tracing::info!("order {} ended: {:?}", order.id, result.outcome);
    let kind = order.action.word();
    let (seen, text) = match &result.outcome {
        Outcome::Failed { reason } => {
            ("actionFailed", format!("not done: {}: {reason}", deed(&order.action)))
        }
        _ => (happened(&order.action), format!("done by order: {}", deed(&order.action))),
    };
    let detail = json!({"action": kind, "order": order.id, "readBack": result.read_back});
    agent.observe(seen, text, detail);
    if let Err(e) = lock(&agent.journal).end(result.clone()) {
        // It is said now, and as unknown again after a restart.
        tracing::error!("{e}");
        agent.answer(result);
    }
}

/// What an action is called in the device's timeline once it is done.
fn happened(action: &Action) -> &'static str {
    match action {
        Action::Isolate { .. } => "isolated",
        Action::Release => "released",
        Action::Quarantine { .. } => "fileQuarantined",
        Action::Restore { .. } => "fileRestored",
        Action::Restrict { .. } => "restricted",
        Action::LiftRestriction => "restrictionLifted",
        Action::Scan { .. } => "scanned",
        Action::CollectPackage => "packageCollected",
        Action::CollectFile { .. } => "fileCollected",
        Action::Block { .. } => "blocked",
        Action::Unblock { .. } => "unblocked",
        Action::ListProcesses => "processesListed",
        Action::StopProcess { .. } => "processStopped",
        Action::DisableUser { .. } => "userDisabled",
        Action::EnableUser { .. } => "userEnabled",
        Action::SignOut { .. } => "userSignedOut",
        Action::Cancel { .. } => "orderCancelled",
    }
}

/// An action in words of people, without what it was done to: that stands in the details.
fn deed(action: &Action) -> String {
    let list = |indicators: &[riposte_wire::Indicator]| {
        let names: Vec<&str> = indicators.iter().take(3).map(|it| it.value.as_str()).collect();
        let more = indicators.len().saturating_sub(names.len());
        let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("{}{rest}", names.join(", "))
    };
    match action {
        Action::Isolate { .. } => "the device isolated".to_owned(),
        Action::Release => "the device released".to_owned(),
        Action::Quarantine { path, sha256, .. } => {
            let name = path.as_ref().or(sha256.as_ref()).map_or("a file", String::as_str);
            format!("{name} quarantined")
        }
        Action::Restore { sha256 } => format!("{sha256} restored"),
        Action::Restrict { .. } => "the start of programs restricted".to_owned(),
        Action::LiftRestriction => "the restriction of programs lifted".to_owned(),
        Action::Scan { full: true, .. } => "the whole device scanned".to_owned(),
        Action::Scan { .. } => "the device scanned where malware usually is".to_owned(),
        Action::CollectPackage => "an investigation package collected".to_owned(),
        Action::CollectFile { path } => format!("{path} collected"),
        Action::Block { indicators } => format!("{} blocked", list(indicators)),
        Action::Unblock { indicators } => format!("{} no longer blocked", list(indicators)),
        Action::ListProcesses => "the processes listed".to_owned(),
        Action::StopProcess { pid, .. } => format!("process {pid} stopped"),
        Action::DisableUser { name } => format!("{name} disabled"),
        Action::EnableUser { name } => format!("{name} enabled"),
        Action::SignOut { name } => format!("{name} signed out"),
        Action::Cancel { order } => format!("order {order} cancelled"),
    }
}

/// Says of the orders that were under way when the agent last ended how the device is now.
pub(crate) fn settle(agent: &Agent) {
    let interrupted = lock(&agent.journal).interrupted();
    for (order, action, began) in interrupted {
        let result = OrderResult {
            order: order.clone(),
            began,
            at: clock::now(),
            outcome: Outcome::Unknown {
                reason: "the agent ended while the order was under way".to_owned(),
            },
            read_back: act::read_back(agent, &action).map(|value| fit(value, VALUE)),
            found: None,
        };
        tracing::warn!("order {order} was interrupted");
        if let Err(e) = lock(&agent.journal).end(result) {
            tracing::error!("{e}");
        }
    }
}
