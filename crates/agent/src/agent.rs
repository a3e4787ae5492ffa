//! What a running agent has at hand, shared by its tasks and threads.
//!
//! Always: a lock is held for one step and never while something is waited for. Outcomes live in
//! the journal, observations in the spool; here is only what may be lost with the process.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use reqwest::{Client, Url};
use ring::rand::{SecureRandom as _, SystemRandom};
use riposte_wire::{Observed, OrderResult, Outcome};
use serde_json::Value;
use tokio::sync::{Notify, watch};

use crate::act::guard::Guard;
use crate::clock;
use crate::data::Data;
use crate::fault::{Fault, Result};
use crate::host::fanotify::Marks;
use crate::http::{self, Addresses, Resolver};
use crate::identity::Identity;
use crate::journal::Journal;
use crate::lock::lock;
use crate::spool::Spool;
use crate::watch::Contact;

/// A running agent.
#[derive(Debug)]
pub(crate) struct Agent {
    /// Its directory.
    pub(crate) data: Data,
    /// Who it is.
    pub(crate) identity: Identity,
    /// Where its server is.
    pub(crate) server: Url,
    /// The server's addresses.
    pub(crate) addresses: Arc<Addresses>,
    /// The way to it, with the certificate that holds.
    client: Mutex<Client>,
    /// For threads that must wait for something of the runtime's.
    pub(crate) runtime: tokio::runtime::Handle,
    /// The orders.
    pub(crate) journal: Mutex<Journal>,
    /// The observations.
    pub(crate) spool: Mutex<Spool>,
    /// Decides what may start.
    pub(crate) guard: Arc<Guard>,
    /// When the server was last reached.
    pub(crate) contact: Mutex<Contact>,
    /// Whether an inventory is to be sent.
    pub(crate) inventory_wanted: AtomicBool,
    /// Something is to be reported.
    pub(crate) news: Notify,
    /// Rung when an order has ended: what is in force may be something else now.
    pub(crate) moved: watch::Sender<()>,
    /// A random text of this run.
    pub(crate) run: String,
    /// When it started.
    pub(crate) started: Instant,
    /// Orders taken on and not yet in the journal, or under way.
    pub(crate) taken: Mutex<HashSet<String>>,
    /// How many of them are under way.
    pub(crate) busy: AtomicUsize,
    /// Set when an order under way is to stop.
    cancels: Mutex<HashMap<String, Arc<AtomicBool>>>,
    /// How far orders under way are.
    progress: Mutex<BTreeMap<String, OrderResult>>,
    /// Answers that the journal does not keep.
    answers: Mutex<Vec<OrderResult>>,
}

/// A client that shows the agent's certificate.
fn client(identity: &Identity, addresses: &Arc<Addresses>) -> Result<Client> {
    let own = reqwest::Identity::from_pem(&identity.pem)
        .map_err(|e| Fault::new(format!("cannot use the certificate: {e}")))?;
    http::builder(&identity.authorities)?
        .identity(own)
        .dns_resolver(Arc::new(Resolver(Arc::clone(addresses))))
        .build()
        .map_err(|e| Fault::new(format!("cannot prepare the connection: {}", http::explain(&e))))
}

impl Agent {
    /// The way to the server.
    pub(crate) fn client(&self) -> Client {
        lock(&self.client).clone()
    }

    /// Shows another certificate from now on.
    pub(crate) fn show(&self, identity: &Identity) -> Result<()> {
        *lock(&self.client) = client(identity, &self.addresses)?;
        Ok(())
    }

    /// An agent from its directory.
    pub(crate) fn new(data: &Data, identity: Identity, marks: Marks) -> Result<Self> {
        let server = http::server_url(&identity.facts.server)?;
        let addresses = Arc::new(Addresses::new(data, &server));
        let client = Mutex::new(client(&identity, &addresses)?);
        Ok(Self {
            data: data.clone(),
            journal: Mutex::new(Journal::open(&data.journal(), clock::now())?),
            spool: Mutex::new(Spool::open(&data.spool())?),
            guard: Arc::new(Guard::new(marks)),
            identity,
            server,
            addresses,
            client,
            runtime: tokio::runtime::Handle::current(),
            contact: Mutex::new(Contact { last: Instant::now(), failing: false }),
            inventory_wanted: AtomicBool::new(false),
            news: Notify::new(),
            moved: watch::Sender::new(()),
            run: hex::encode(random::<16>()),
            started: Instant::now(),
            taken: Mutex::default(),
            busy: AtomicUsize::new(0),
            cancels: Mutex::default(),
            progress: Mutex::default(),
            answers: Mutex::default(),
        })
    }

    /// Writes down what was seen; a full disk costs the observation, not the agent.
    pub(crate) fn observe(&self, kind: &str, text: impl Into<String>, detail: Value) {
        let observed =
            Observed { at: clock::now(), kind: kind.to_owned(), text: text.into(), detail };
        if let Err(e) = lock(&self.spool).push(&observed) {
            tracing::warn!("an observation is lost: {e}");
        }
        self.news.notify_one();
    }

    /// Says how far an order is; only the newest word is sent.
    pub(crate) fn progress(&self, order: &str, began: i64, percent: u8, text: &str) {
        let result = OrderResult {
            order: order.to_owned(),
            began,
            at: clock::now(),
            outcome: Outcome::Progress { percent: percent.min(100), text: text.to_owned() },
            read_back: None,
            found: None,
        };
        lock(&self.progress).insert(order.to_owned(), result);
        self.news.notify_one();
    }

    /// Takes what is to be said of orders under way.
    pub(crate) fn take_progress(&self) -> Vec<OrderResult> {
        std::mem::take(&mut *lock(&self.progress)).into_values().collect()
    }

    /// An answer that the journal does not keep. Bounded: they are made of what anybody may send.
    pub(crate) fn answer(&self, result: OrderResult) {
        let mut answers = lock(&self.answers);
        if answers.len() < 100 {
            answers.push(result);
        }
        drop(answers);
        self.news.notify_one();
    }

    /// Whether there is something of orders to say at once.
    pub(crate) fn has_word(&self) -> bool {
        !lock(&self.answers).is_empty()
            || !lock(&self.progress).is_empty()
            || lock(&self.journal).has_unacknowledged()
    }

    /// Answers that the journal does not keep.
    pub(crate) fn answers(&self) -> Vec<OrderResult> {
        lock(&self.answers).clone()
    }

    /// The first answers have been sent.
    pub(crate) fn answered(&self, count: usize) {
        let mut answers = lock(&self.answers);
        let count = count.min(answers.len());
        answers.drain(..count);
    }

    /// The flag that stops an order.
    pub(crate) fn cancel_flag(&self, order: &str) -> Arc<AtomicBool> {
        Arc::clone(lock(&self.cancels).entry(order.to_owned()).or_default())
    }

    /// Stops an order; says whether it is under way. One of which the outcome is written down is
    /// over, though its thread may not have let go of it yet.
    pub(crate) fn cancel(&self, order: &str) -> bool {
        let over = lock(&self.journal).entry(order).is_some_and(|entry| entry.result.is_some());
        let is_under_way = !over && lock(&self.taken).contains(order);
        if is_under_way {
            self.cancel_flag(order).store(true, Ordering::Relaxed);
        }
        is_under_way
    }

    /// Stops everything that can be stopped.
    pub(crate) fn cancel_all(&self) {
        for order in lock(&self.taken).iter() {
            self.cancel_flag(order).store(true, Ordering::Relaxed);
        }
    }

    /// An order is over.
    pub(crate) fn let_go(&self, order: &str) {
        lock(&self.taken).remove(order);
        lock(&self.cancels).remove(order);
        lock(&self.progress).remove(order);
        self.news.notify_one();
    }

    /// Notes whether the server could be reached.
    pub(crate) fn reached(&self, well: bool) {
        let mut contact = lock(&self.contact);
        contact.failing = !well;
        if well {
            contact.last = Instant::now();
        }
    }
}

/// Random bytes.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // It fails only on a system without random bytes, where TLS has failed before.
    let _ = SystemRandom::new().fill(&mut bytes);
    bytes
}
