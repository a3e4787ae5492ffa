//! What a running process has at hand, handed to everything that needs it.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, broadcast};

use crate::clock::Clock;
use crate::config::Config;
use crate::db::{Db, Transaction, column};
use crate::error::{Error, Result};
use crate::id::{Random, TenantNo};
use crate::metrics::Metrics;
use crate::presence::Presence;
use crate::smtp::Mailbox;
use crate::vault::{Key, Means, Vault};

/// Everybody with a ledger, as a table `owner (no, id)`: the tenants, and the provider under its
/// reserved number once it has a name.
pub const OWNERS: &str = "(select no, id from tenant union all select 0, value from setting \
    where name = 'provider.id') owner";

/// The process: store, clock, random bytes, configuration and signals. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Inner>);

/// See [`App`].
pub struct Inner {
    /// The store.
    pub db: Db,
    /// The time.
    pub clock: Clock,
    /// Random bytes.
    pub random: Random,
    /// How this process is set up.
    pub config: Config,
    /// Counters and histograms.
    pub metrics: Metrics,
    /// Rung when alerts wait for correlation.
    pub correlate: Notify,
    /// Rung when an action waits for a product to carry it out.
    pub respond: Notify,
    /// Rung when somebody may have to be told of something.
    pub tell: Notify,
    /// Tenants in which something changed, as this process commits it.
    pub changed: broadcast::Sender<TenantNo>,
    /// How long intake's turns to write are.
    pub pace: Pace,
    /// Incident ids reserved for correlation.
    pub incident_ids: Ids,
    /// The keys that secrets in the store are sealed with.
    pub vault: Vault,
    /// Agents, as this process knows them.
    pub agents: Presence,
    /// The mails of the demo.
    pub mailbox: Mailbox,
    /// The name of this process among the replicas.
    pub holder: String,
    /// The id of every tenant by its number; tenants are never renumbered.
    tenant_ids: Mutex<HashMap<TenantNo, Arc<str>>>,
}

impl std::ops::Deref for App {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl App {
    /// Puts a process together.
    pub fn new(db: Db, clock: Clock, random: Random, config: Config) -> Result<Self> {
        let holder = random.uuid()?;
        Ok(Self(Arc::new(Inner {
            db,
            clock,
            random,
            config,
            metrics: Metrics::default(),
            correlate: Notify::new(),
            respond: Notify::new(),
            tell: Notify::new(),
            changed: broadcast::channel(1024).0,
            pace: Pace::default(),
            incident_ids: Ids::default(),
            vault: Vault::default(),
            agents: Presence::default(),
            mailbox: Mailbox::default(),
            holder,
            tenant_ids: Mutex::default(),
        })))
    }

    /// The public id of a tenant, or of the provider.
    pub async fn tenant_id(&self, tenant: TenantNo) -> Result<Arc<str>> {
        if let Some(id) = self.known_tenant(tenant) {
            return Ok(id);
        }
        let row = self
            .db
            .shared()
            .query_one(
                &format!("select owner.id from {OWNERS} where owner.no = $1"),
                vec![tenant.0.into()],
            )
            .await?
            .ok_or_else(|| Error::NotFound(format!("no tenant {}", tenant.0)))?;
        let id: Arc<str> = column::<String>(&row, 0)?.into();
        if let Ok(mut known) = self.tenant_ids.lock() {
            known.insert(tenant, id.clone());
        }
        Ok(id)
    }

    /// The address people use, for links in what is sent to them; without a final `/`.
    #[must_use]
    pub fn web(&self) -> String {
        let public = self.config.public_url.clone();
        public.unwrap_or_else(|| format!("http://{}", self.config.listen))
    }

    /// The key that a tenant's secrets are sealed with. Not to be asked for inside a change.
    pub async fn vault_key(&self, tenant: TenantNo) -> Result<Arc<Key>> {
        let Inner { db, clock, random, config, .. } = &*self.0;
        self.vault.key(Means { db, clock, random, config }, tenant).await
    }

    fn known_tenant(&self, tenant: TenantNo) -> Option<Arc<str>> {
        self.tenant_ids.lock().ok()?.get(&tenant).cloned()
    }

    /// Reserves `count` ids in a transaction of their own; those not used are never used again.
    pub async fn reserve_ids(&self, kind: &str, count: i64) -> Result<Range<i64>> {
        let tx = self.db.shared().begin().await?;
        let range = next_ids(&tx, kind, count).await?;
        tx.commit().await?;
        Ok(range)
    }
}

/// Takes `count` ids inside an open transaction.
pub async fn next_ids(tx: &Transaction, kind: &str, count: i64) -> Result<Range<i64>> {
    let row = tx
        .query_one(
            "insert into sequence (name, next) values ($1, $2 + 1) \
             on conflict (name) do update set next = sequence.next + $2 returning next",
            vec![kind.into(), count.into()],
        )
        .await?
        .ok_or_else(|| Error::Internal(format!("sequence {kind} gave nothing")))?;
    let end: i64 = column(&row, 0)?;
    Ok(end - count..end)
}

/// Ids reserved in blocks, so that a batch does not begin with a transaction for its ids.
#[derive(Default)]
pub struct Ids(Mutex<(Range<i64>, i64)>);

impl Ids {
    /// Takes what is reserved, at least `least` ids; reserves `block` more when there are fewer.
    pub async fn take(&self, app: &App, kind: &str, least: i64, block: i64) -> Result<Range<i64>> {
        let (ids, wanted) = match self.0.lock() {
            Ok(mut reserved) => {
                let wanted = std::mem::take(&mut reserved.1);
                (std::mem::take(&mut reserved.0), wanted)
            }
            Err(_) => (0..0, 0),
        };
        let least = least.max(wanted);
        if ids.end - ids.start >= least {
            return Ok(ids);
        }
        app.reserve_ids(kind, block.max(least)).await
    }

    /// Returns what was not used.
    pub fn give_back(&self, ids: Range<i64>) {
        if let Ok(mut reserved) = self.0.lock()
            && reserved.0.end - reserved.0.start < ids.end - ids.start
        {
            reserved.0 = ids;
        }
    }

    /// Asks that the next take finds at least this many.
    pub fn want(&self, least: i64) {
        if let Ok(mut reserved) = self.0.lock() {
            reserved.1 = least;
        }
    }
}

/// How long intake's turns to write are, so that work which competes with it takes turns that are
/// not much longer: who waits for an answer waits for those as well.
pub struct Pace {
    begun: Instant,
    /// Alerts taken in since then.
    taken_in: AtomicU64,
    /// Microseconds from `begun` to the end of the last turn; 0 before the first.
    last: AtomicU64,
    /// Microseconds it took.
    took: AtomicU64,
}

/// The least turn that competing work gets.
const LEAST_TURN: Duration = Duration::from_millis(8);
/// The turn it gets while nobody waits.
const LONG_TURN: Duration = Duration::from_millis(40);
/// How long after intake's last turn nobody is thought to wait.
const QUIET: Duration = Duration::from_millis(100);

impl Default for Pace {
    fn default() -> Self {
        Self {
            begun: Instant::now(),
            taken_in: AtomicU64::new(0),
            last: AtomicU64::new(0),
            took: AtomicU64::new(0),
        }
    }
}

impl Pace {
    /// Notes that a turn of intake, with so many alerts, ended now.
    pub fn note(&self, took: Duration, alerts: usize) {
        self.taken_in.fetch_add(alerts as u64, Ordering::Relaxed);
        self.took.store(took.as_micros() as u64, Ordering::Relaxed);
        self.last.store(self.begun.elapsed().as_micros() as u64, Ordering::Relaxed);
    }

    /// Alerts that intake wrote since the start.
    #[must_use]
    pub fn taken_in(&self) -> u64 {
        self.taken_in.load(Ordering::Relaxed)
    }

    /// Whether intake has been writing until now.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        let last = Duration::from_micros(self.last.load(Ordering::Relaxed));
        !last.is_zero() && self.begun.elapsed().saturating_sub(last) <= QUIET
    }

    /// How long a turn of competing work may be now.
    #[must_use]
    pub fn turn(&self) -> Duration {
        if !self.is_busy() {
            return LONG_TURN;
        }
        let took = Duration::from_micros(self.took.load(Ordering::Relaxed));
        took.clamp(LEAST_TURN, LONG_TURN)
    }
}
