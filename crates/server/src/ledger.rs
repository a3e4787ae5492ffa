//! The ledger of a tenant: the order in which its changes became durable.
//!
//! Each tenant has one ledger row. Whoever changes something of the tenant takes that row
//! before it reads anything, and holds it until the commit is on disk. So event positions have no
//! gaps, `lastUpdateDateTime` values are unique and increase in commit order even when several
//! replicas write (graph-api rule 3), and every event becomes one leaf of the tenant's RFC 6962
//! tree in the transaction of the change itself.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::Value;
use sha2::{Digest, Sha256};

use crate::clock::Timestamp;
use crate::db::{Transaction, column};
use crate::error::{Error, Result};
use crate::event::Event;
use crate::id::TenantNo;
use crate::merkle;

/// A tenant's ledger, held until the transaction ends.
pub struct Ledger {
    tenant: TenantNo,
    size: i64,
    tree: merkle::Tree,
    last_update: Timestamp,
}

/// What an event's leaf is made of, as stored.
pub struct Leaf<'a> {
    /// The tenant's number.
    pub tenant: TenantNo,
    /// Place in the tenant's order, from 0.
    pub position: i64,
    /// Microseconds since the epoch.
    pub at: i64,
    /// The event's word.
    pub kind: &'a str,
    /// The actor's part.
    pub actor_kind: &'a str,
    /// The actor's name.
    pub actor: &'a str,
    /// The incident, when there is one.
    pub incident: Option<i64>,
    /// The alert, when there is one.
    pub alert: Option<i64>,
    /// The stored body, to the byte.
    pub body: &'a str,
}

impl Leaf<'_> {
    /// The RFC 6962 leaf hash. Every part is preceded by its length, so that no two different
    /// events have the same bytes.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update([0]);
        hash.update(b"riposte event 1");
        for number in [
            self.tenant.0,
            self.position,
            self.at,
            self.incident.unwrap_or(-1),
            self.alert.unwrap_or(-1),
        ] {
            hash.update(number.to_be_bytes());
        }
        for text in [self.kind, self.actor_kind, self.actor, self.body] {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        }
        hash.finalize().into()
    }
}

impl Ledger {
    /// Takes the tenant's ledger; others wait until this transaction ends.
    pub async fn lock(tx: &Transaction, tenant: TenantNo) -> Result<Self> {
        let mut ledgers = Self::lock_all(tx, [tenant]).await?;
        ledgers.remove(&tenant).ok_or_else(|| unknown(tenant))
    }

    /// Takes the ledgers of several tenants, in ascending order, so that no two transactions wait
    /// for each other in a circle.
    pub async fn lock_all(
        tx: &Transaction,
        tenants: impl IntoIterator<Item = TenantNo>,
    ) -> Result<BTreeMap<TenantNo, Self>> {
        let tenants: BTreeSet<TenantNo> = tenants.into_iter().collect();
        let mut ledgers = BTreeMap::new();
        let (list, keys) =
            tx.engine().among(1, tenants.iter().map(|tenant| tenant.0.into()).collect());
        let sql = format!(
            "select tenant_no, size, peaks, last_update from ledger where tenant_no {list} \
             order by tenant_no{}",
            tx.engine().for_update()
        );
        for row in tx.query(&sql, keys).await? {
            let tenant = TenantNo(column(&row, 0)?);
            let peaks: Vec<u8> = column(&row, 2)?;
            let tree = merkle::Tree::from_bytes(&peaks).map_err(|_| {
                Error::Internal(format!("ledger of tenant {} is damaged", tenant.0))
            })?;
            let size = column(&row, 1)?;
            let last_update = Timestamp::from_micros(column(&row, 3)?);
            ledgers.insert(tenant, Self { tenant, size, tree, last_update });
        }
        match tenants.iter().find(|tenant| !ledgers.contains_key(tenant)) {
            Some(tenant) => Err(unknown(*tenant)),
            None => Ok(ledgers),
        }
    }

    /// The next `lastUpdateDateTime` of this tenant: now, or a microsecond after the last one.
    pub fn next_update(&mut self, now: Timestamp) -> Timestamp {
        self.last_update = now.max(self.last_update.plus_micros(1));
        self.last_update
    }

    /// Writes the events in their order and the ledger itself. Call it once, last before commit.
    pub async fn append(self, tx: &Transaction, events: &[Event]) -> Result<()> {
        Self::append_all(tx, vec![(self, events)]).await
    }

    /// Writes the events of several tenants and their ledgers.
    pub async fn append_all(tx: &Transaction, ledgers: Vec<(Self, &[Event])>) -> Result<()> {
        let count: usize = ledgers.iter().map(|(_, events)| events.len()).sum();
        let mut rows: Vec<Value> = Vec::with_capacity(count * 10);
        let mut sizes: Vec<Value> = Vec::with_capacity(ledgers.len() * 4);
        let (mut untold, mut untimed): (Vec<Value>, Vec<Value>) = (Vec::new(), Vec::new());
        let mut touched: Vec<Value> = Vec::new();
        let mut ruled: BTreeSet<(i64, i64)> = BTreeSet::new();
        for (mut ledger, events) in ledgers {
            if events.iter().any(|event| event.fact.touches_readiness()) {
                touched.push(ledger.tenant.0.into());
            }
            for event in events {
                if event.fact.tells() {
                    untold.extend([ledger.tenant.0.into(), ledger.size.into()]);
                }
                ruled.extend(event.fact.rules().map(|id| (ledger.tenant.0, id.0)));
                if event.fact.times() {
                    untimed.extend([ledger.tenant.0.into(), ledger.size.into()]);
                }
                ledger.leaf(event, &mut rows);
            }
            sizes.extend([
                ledger.tenant.0.into(),
                ledger.size.into(),
                ledger.tree.to_bytes().into(),
                ledger.last_update.micros().into(),
            ]);
        }
        tx.insert_rows(
            "insert into event (tenant_no, position, at, kind, actor_kind, actor, incident_id, \
             alert_id, body, leaf)",
            10,
            "",
            rows,
        )
        .await?;
        // With the fact itself, so that no crash comes between it and who must hear of it.
        if !untold.is_empty() {
            tx.insert_rows("insert into untold (tenant_no, position)", 2, "", untold).await?;
        }
        if !untimed.is_empty() {
            tx.insert_rows("insert into untimed (tenant_no, position)", 2, "", untimed).await?;
        }
        rule(tx, ruled).await?;
        if !touched.is_empty() {
            let (among, values) = tx.engine().among(1, touched);
            let sql = format!("update onboarding set due_at = 0 where tenant_no {among}");
            tx.execute(&sql, values).await?;
        }
        tx.update_rows("ledger", &["tenant_no"], &["size", "peaks", "last_update"], sizes).await?;
        Ok(())
    }

    fn leaf(&mut self, event: &Event, rows: &mut Vec<Value>) {
        let mut body = event.fact.body();
        if let (Some(address), Some(body)) = (event.actor.address, body.as_object_mut()) {
            body.insert("clientAddress".to_owned(), address.to_string().into());
        }
        let body = body.to_string();
        let leaf = Leaf {
            tenant: self.tenant,
            position: self.size,
            at: event.at.micros(),
            kind: event.fact.kind(),
            actor_kind: event.actor.kind.word(),
            actor: &event.actor.name,
            incident: event.fact.incident().map(|id| id.0),
            alert: event.fact.alert().map(|id| id.0),
            body: &body,
        };
        let hash = leaf.hash();
        self.tree.append(hash);
        rows.extend([
            self.tenant.0.into(),
            self.size.into(),
            leaf.at.into(),
            leaf.kind.into(),
            leaf.actor_kind.into(),
            leaf.actor.into(),
            leaf.incident.into(),
            leaf.alert.into(),
            Value::from(body),
            hash.to_vec().into(),
        ]);
        self.size += 1;
    }
}

/// Notes which incidents mail rules are to look at, in tenants where one is on: a rule is turned on
/// under the tenant's ledger, so that none is missed.
async fn rule(tx: &Transaction, changed: BTreeSet<(i64, i64)>) -> Result<()> {
    if changed.is_empty() {
        return Ok(());
    }
    let tenants: BTreeSet<i64> = changed.iter().map(|(tenant, _)| *tenant).collect();
    let (among, values) = tx.engine().among(1, tenants.into_iter().map(Value::from).collect());
    let sql = format!(
        "select distinct tenant_no from mail_rule where tenant_no {among} \
         and about = 'incidents' and removed_at is null and off_at is null"
    );
    let mut with = BTreeSet::new();
    for row in tx.query(&sql, values).await? {
        with.insert(column::<i64>(&row, 0)?);
    }
    let rows: Vec<Value> = changed
        .into_iter()
        .filter(|(tenant, _)| with.contains(tenant))
        .flat_map(|(tenant, incident)| [tenant.into(), incident.into()])
        .collect();
    if !rows.is_empty() {
        let head = "insert into unruled (tenant_no, incident_id)";
        tx.insert_rows(head, 2, "on conflict do nothing", rows).await?;
    }
    Ok(())
}

fn unknown(tenant: TenantNo) -> Error {
    Error::NotFound(format!("tenant {} has no ledger", tenant.0))
}
