//! Intake: records in, an answer only when every accepted alert is on disk.
//!
//! Requests wait in a bounded queue; one task per process gathers what is waiting, writes it in
//! one transaction, and answers all of them after its one fsync. While a commit is under way the
//! next group gathers by itself, so no request waits longer than it must. When the queue is full
//! the request is refused with 503 and a time to come back; nothing is accepted and then dropped.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sea_orm::Value as Sql;
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};
use tracing::Instrument as _;

use crate::actor::Actor;
use crate::alert::Prepared;
use crate::alert::format::{self, Format, Reading, split};
use crate::app::App;
use crate::clock::Timestamp;
use crate::db::{Transaction, column};
use crate::error::{Error, Result};
use crate::event::{Event, Fact};
use crate::failpoint;
use crate::id::{AlertId, IncidentId, TenantNo};
use crate::ledger::Ledger;

/// How long a group waits for more requests; the timer's grain makes it up to twice as long.
const GATHER: Duration = Duration::from_millis(1);
/// Requests in one group commit.
const GROUP_REQUESTS: usize = 256;
/// Alerts in one group commit, so that one large batch does not make the others wait for long.
const GROUP_ALERTS: usize = 1_024;
/// Alert ids reserved at a time.
const ID_BLOCK: i64 = 16_384;
/// Reasons listed in one answer; the counts are always complete.
const LISTED_ERRORS: usize = 1_000;

/// What became of a request's records.
#[derive(Clone, Debug, Default, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Outcome {
    /// Records read from the request; a record that holds several alerts counts each.
    pub received: u64,
    /// Alerts on disk that were not there before, or with content that was not.
    pub accepted: u64,
    /// Alerts whose very content was there already.
    pub duplicates: u64,
    /// Well-formed records that are no alerts.
    pub ignored: u64,
    /// Records that cannot be read.
    pub rejected: u64,
    /// The reason of each ignored and rejected record; at most 1,000 are listed.
    pub errors: Vec<RecordError>,
}

/// Why a record did not become an alert.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct RecordError {
    /// The record's place in the request, from 0.
    pub index: u64,
    /// The reason.
    pub message: String,
}

/// The way to the committing task.
#[derive(Clone)]
pub struct Intake {
    queue: mpsc::Sender<Waiting>,
    bytes: Arc<AtomicUsize>,
    most_bytes: usize,
}

struct Waiting {
    tenant: TenantNo,
    actor: Actor,
    alerts: Vec<Prepared>,
    weight: usize,
    answer: oneshot::Sender<Result<Stored>>,
}

/// What one request's alerts became.
#[derive(Clone, Copy, Debug, Default)]
struct Stored {
    accepted: u64,
    duplicates: u64,
}

/// Reads the records of a request body. Pure; bounded by the body's length.
#[must_use]
pub fn read(format: Format, body: &[u8], now: Timestamp) -> (Outcome, Vec<Prepared>) {
    let mut outcome = Outcome::default();
    let mut alerts = Vec::new();
    let note = |outcome: &mut Outcome, index: usize, message: String| {
        if outcome.errors.len() < LISTED_ERRORS {
            outcome.errors.push(RecordError { index: index as u64, message });
        }
    };
    let records = match split::split(format, body) {
        Ok(records) => records,
        Err(reason) => {
            outcome.received = 1;
            outcome.rejected = 1;
            note(&mut outcome, 0, reason);
            return (outcome, alerts);
        }
    };
    for record in records {
        match format::read(format, &record) {
            Ok(Reading::Alerts(read)) => {
                for alert in read {
                    outcome.received += 1;
                    match Prepared::new(alert, &record.raw, now) {
                        Ok(prepared) => alerts.push(prepared),
                        Err(error) => {
                            outcome.rejected += 1;
                            note(&mut outcome, record.index, error.to_string());
                        }
                    }
                }
            }
            Ok(Reading::Ignored(reason)) => {
                outcome.received += 1;
                outcome.ignored += 1;
                note(&mut outcome, record.index, reason);
            }
            Err(reason) => {
                outcome.received += 1;
                outcome.rejected += 1;
                note(&mut outcome, record.index, reason);
            }
        }
    }
    (outcome, alerts)
}

impl Intake {
    /// Starts the committing task.
    #[must_use]
    pub fn start(app: &App) -> Self {
        let limits = &app.config.intake;
        let (queue, waiting) = mpsc::channel(limits.waiting_requests.max(1));
        let intake = Self { queue, bytes: Arc::default(), most_bytes: limits.waiting_bytes.max(1) };
        tokio::spawn(commit_groups(app.clone(), waiting, intake.bytes.clone()));
        intake
    }

    /// Takes a request body in: reads it, and returns once every accepted alert is on disk.
    pub async fn accept(
        &self,
        app: &App,
        tenant: TenantNo,
        actor: Actor,
        format: Format,
        body: bytes::Bytes,
    ) -> Result<Outcome> {
        let now = app.clock.now();
        // A long body would hold up the other requests of this thread.
        let (mut outcome, alerts) = if body.len() > 128 * 1024 {
            tokio::task::spawn_blocking(move || read(format, &body, now))
                .await
                .map_err(Error::internal)?
        } else {
            read(format, &body, now)
        };
        if !alerts.is_empty() {
            let stored = self.store(tenant, actor, alerts, app).await?;
            outcome.accepted = stored.accepted;
            outcome.duplicates = stored.duplicates;
        }
        for (word, count) in [
            ("accepted", outcome.accepted),
            ("duplicate", outcome.duplicates),
            ("ignored", outcome.ignored),
            ("rejected", outcome.rejected),
        ] {
            app.metrics.count_alerts(word, count);
        }
        Ok(outcome)
    }

    async fn store(
        &self,
        tenant: TenantNo,
        actor: Actor,
        alerts: Vec<Prepared>,
        app: &App,
    ) -> Result<Stored> {
        let busy = || {
            app.metrics.overloaded.inc();
            Error::Busy {
                what: "intake is overloaded".to_owned(),
                retry_after_s: 1,
                own_limit: false,
            }
        };
        let weight = alerts.iter().map(|alert| alert.weight).sum();
        // A single request larger than the whole allowance is let through when nothing else waits.
        let before = self.bytes.fetch_add(weight, Ordering::SeqCst);
        if before > 0 && before + weight > self.most_bytes {
            self.bytes.fetch_sub(weight, Ordering::SeqCst);
            return Err(busy());
        }
        let (answer, stored) = oneshot::channel();
        if self.queue.try_send(Waiting { tenant, actor, alerts, weight, answer }).is_err() {
            self.bytes.fetch_sub(weight, Ordering::SeqCst);
            return Err(busy());
        }
        stored.await.unwrap_or_else(|_| {
            Err(Error::Busy {
                what: "the server is stopping".to_owned(),
                retry_after_s: 5,
                own_limit: false,
            })
        })
    }
}

async fn commit_groups(app: App, mut queue: mpsc::Receiver<Waiting>, bytes: Arc<AtomicUsize>) {
    let mut ids = 0..0;
    let mut expected = 0;
    while let Some(first) = queue.recv().await {
        let mut alerts = first.alerts.len();
        let mut group = vec![first];
        // Those just answered are about to ask again: waiting for them for a moment makes one group
        // of what would be two, each with its own fsync. A lone client never waits.
        let until = tokio::time::Instant::now() + GATHER;
        while group.len() < GROUP_REQUESTS && alerts < GROUP_ALERTS {
            let next = match queue.try_recv() {
                Ok(next) => next,
                Err(mpsc::error::TryRecvError::Empty) if group.len() < expected => {
                    match tokio::time::timeout_at(until, queue.recv()).await {
                        Ok(Some(next)) => next,
                        _ => break,
                    }
                }
                Err(_) => break,
            };
            alerts += next.alerts.len();
            group.push(next);
        }
        let started = std::time::Instant::now();
        let span = tracing::info_span!("commit group", requests = group.len(), alerts);
        let results = match commit_group(&app, &group, &mut ids).instrument(span).await {
            Ok(stored) => stored.into_iter().map(Ok).collect(),
            Err(error) => {
                tracing::error!(requests = group.len(), "group commit failed: {error}");
                let refused = || {
                    Err(Error::Busy {
                        what: "the store cannot write now".to_owned(),
                        retry_after_s: 2,
                        own_limit: false,
                    })
                };
                group.iter().map(|_| refused()).collect::<Vec<_>>()
            }
        };
        app.metrics.commit_seconds.observe(started.elapsed().as_secs_f64());
        app.metrics.commit_requests.observe(group.len() as f64);
        app.correlate.notify_one();
        // Who asked meanwhile, and who will ask again.
        expected = queue.len() + group.len();
        for (waiting, result) in group.into_iter().zip(results) {
            bytes.fetch_sub(waiting.weight, Ordering::SeqCst);
            // Whoever asked may be gone; the alerts are on disk all the same.
            let _ = waiting.answer.send(result);
        }
    }
}

/// An alert of the group on its way into one tenant's rows.
struct Placed<'a> {
    request: usize,
    alert: &'a Prepared,
    actor: &'a Actor,
}

async fn commit_group(
    app: &App,
    group: &[Waiting],
    ids: &mut std::ops::Range<i64>,
) -> Result<Vec<Stored>> {
    let mut stored = vec![Stored::default(); group.len()];
    // Ascending by tenant, so that two replicas never wait for each other in a circle.
    let mut tenants: BTreeMap<TenantNo, Vec<Placed<'_>>> = BTreeMap::new();
    for (request, waiting) in group.iter().enumerate() {
        let place = tenants.entry(waiting.tenant).or_default();
        place.extend(waiting.alerts.iter().map(|alert| Placed {
            request,
            alert,
            actor: &waiting.actor,
        }));
    }
    let needed: i64 = group.iter().map(|waiting| waiting.alerts.len() as i64).sum();
    if ids.end - ids.start < needed {
        *ids = app.reserve_ids("alert", ID_BLOCK.max(needed)).await?;
    }
    let now = app.clock.now();
    let whose: Vec<TenantNo> = tenants.keys().copied().collect();
    let tx = app.db.reach(&whose).begin().await?;
    let begun = std::time::Instant::now();
    let mut ledgers = Ledger::lock_all(&tx, tenants.keys().copied()).await?;
    let mut events: BTreeMap<TenantNo, Vec<Event>> = BTreeMap::new();
    let again = insert_new(&tx, &tenants, ids, &mut ledgers, now, &mut events, &mut stored).await?;
    for (tenant, place) in again {
        let ledger = of_tenant(&mut ledgers, tenant)?;
        let events = events.entry(tenant).or_default();
        update_known(&tx, tenant, place, ledger, now, events, &mut stored).await?;
    }
    let ledgers = ledgers
        .into_iter()
        .map(|(tenant, ledger)| (ledger, events.get(&tenant).map_or(&[][..], Vec::as_slice)));
    Ledger::append_all(&tx, ledgers.collect()).await?;
    failpoint::hit("ingest.before_commit");
    tx.commit().await?;
    let alerts = group.iter().map(|waiting| waiting.alerts.len()).sum();
    app.pace.note(begun.elapsed(), alerts);
    failpoint::hit("ingest.after_commit");
    for tenant in tenants.keys() {
        let _ = app.changed.send(*tenant);
    }
    Ok(stored)
}

fn of_tenant(ledgers: &mut BTreeMap<TenantNo, Ledger>, tenant: TenantNo) -> Result<&mut Ledger> {
    ledgers
        .get_mut(&tenant)
        .ok_or_else(|| Error::Internal(format!("the ledger of tenant {} is not held", tenant.0)))
}

/// Writes the alerts whose key is new, those of all tenants together, and returns the others in
/// their order.
async fn insert_new<'a>(
    tx: &Transaction,
    tenants: &'a BTreeMap<TenantNo, Vec<Placed<'a>>>,
    ids: &mut std::ops::Range<i64>,
    ledgers: &mut BTreeMap<TenantNo, Ledger>,
    now: Timestamp,
    events: &mut BTreeMap<TenantNo, Vec<Event>>,
    stored: &mut [Stored],
) -> Result<Vec<(TenantNo, &'a Placed<'a>)>> {
    const WIDTH: usize = 24;
    let mut seen = known_keys(tx, tenants).await?;
    let mut again = Vec::new();
    let count: usize = tenants.values().map(Vec::len).sum();
    let mut rows: Vec<Sql> = Vec::with_capacity(count * WIDTH);
    let mut bodies: Vec<Sql> = Vec::with_capacity(count * 3);
    for (tenant, placed) in tenants {
        let ledger = of_tenant(ledgers, *tenant)?;
        let events = events.entry(*tenant).or_default();
        for place in placed {
            let alert = place.alert;
            if !seen.insert((*tenant, alert.dedupe)) {
                again.push((*tenant, place));
                continue;
            }
            let id = ids.next().ok_or_else(|| Error::Internal("alert ids ran out".to_owned()))?;
            rows.extend([
                id.into(),
                tenant.0.into(),
                alert.dedupe.to_vec().into(),
                alert.content.to_vec().into(),
                alert.source.clone().into(),
            ]);
            rows.extend(alert.head.values());
            rows.extend([
                alert.source_updated.map(Timestamp::micros).into(),
                ledger.next_update(now).micros().into(),
                now.micros().into(),
            ]);
            bodies.extend([id.into(), alert.body.clone().into(), alert.raw.clone().into()]);
            events.push(Event {
                at: now,
                actor: place.actor.clone(),
                fact: Fact::AlertReceived {
                    alert: AlertId(id),
                    source: alert.source.clone(),
                    provider_alert_id: alert.head.provider_alert_id.clone(),
                },
            });
            stored[place.request].accepted += 1;
        }
    }
    tx.insert_rows(
        "insert into alert (id, tenant_no, dedupe, content, source, title, severity, status, \
         classification, determination, assigned_to, category, service_source, \
         detection_source, product_name, provider_alert_id, detector_id, created_at, \
         first_activity_at, last_activity_at, resolved_at, source_updated_at, updated_at, \
         received_at)",
        WIDTH,
        "",
        rows,
    )
    .await?;
    tx.insert_rows("insert into alert_body (alert_id, body, raw)", 3, "", bodies).await?;
    Ok(again)
}

/// The keys of the group that are on disk. The ledgers of the tenants are held, so nobody adds
/// one between this look and our insert.
async fn known_keys(
    tx: &Transaction,
    tenants: &BTreeMap<TenantNo, Vec<Placed<'_>>>,
) -> Result<HashSet<(TenantNo, [u8; 16])>> {
    let mut known = HashSet::new();
    let all: Vec<[u8; 16]> = tenants.values().flatten().map(|place| place.alert.dedupe).collect();
    for chunk in all.chunks(1_024) {
        let keys = chunk.iter().map(|key| key.to_vec().into()).collect();
        let (list, keys) = tx.engine().among(1, keys);
        let sql = format!("select tenant_no, dedupe from alert where dedupe {list}");
        for row in tx.query(&sql, keys).await? {
            let key: Vec<u8> = column(&row, 1)?;
            if let Ok(key) = <[u8; 16]>::try_from(key.as_slice()) {
                known.insert((TenantNo(column(&row, 0)?), key));
            }
        }
    }
    Ok(known)
}

/// A known alert: the very same content is a duplicate; other content is kept, the newest current.
async fn update_known(
    tx: &Transaction,
    tenant: TenantNo,
    place: &Placed<'_>,
    ledger: &mut Ledger,
    now: Timestamp,
    events: &mut Vec<Event>,
    stored: &mut [Stored],
) -> Result<()> {
    let alert = place.alert;
    let row = tx
        .query_one(
            "select id, content, incident_id, source_updated_at, \
             (select count(*) from alert_version where alert_id = alert.id), \
             (select count(*) from alert_version where alert_id = alert.id and content = $3) \
             from alert where +tenant_no = $1 and dedupe = $2",
            vec![tenant.0.into(), alert.dedupe.to_vec().into(), alert.content.to_vec().into()],
        )
        .await?
        .ok_or_else(|| Error::Internal("a known alert is gone".to_owned()))?;
    let id = AlertId(column(&row, 0)?);
    let content: Vec<u8> = column(&row, 1)?;
    let incident: Option<i64> = column(&row, 2)?;
    let source_updated: Option<i64> = column(&row, 3)?;
    let version: i64 = column::<i64>(&row, 4)? + 1;
    let kept: i64 = column(&row, 5)?;
    if content == alert.content || kept > 0 {
        stored[place.request].duplicates += 1;
        return Ok(());
    }
    let older = match (alert.source_updated, source_updated) {
        (Some(new), Some(current)) => new.micros() < current,
        _ => false,
    };
    if older {
        keep_version(tx, id, version, &alert.content, now, &alert.body, &alert.raw).await?;
    } else {
        tx.execute(
            "insert into alert_version (alert_id, version, content, received_at, body, raw) \
             select alert.id, $2, alert.content, alert.received_at, alert_body.body, \
             alert_body.raw from alert join alert_body on alert_body.alert_id = alert.id \
             where alert.id = $1",
            vec![id.0.into(), version.into()],
        )
        .await?;
        replace(tx, id, alert, ledger.next_update(now), now).await?;
    }
    if let Some(incident) = incident {
        tx.execute(
            "insert into follow_up (tenant_no, kind, subject) values ($1, 'refresh', $2) \
             on conflict do nothing",
            vec![tenant.0.into(), incident.into()],
        )
        .await?;
    }
    events.push(Event {
        at: now,
        actor: place.actor.clone(),
        fact: Fact::AlertUpdated { alert: id, incident: incident.map(IncidentId), version },
    });
    stored[place.request].accepted += 1;
    Ok(())
}

async fn keep_version(
    tx: &Transaction,
    id: AlertId,
    version: i64,
    content: &[u8],
    now: Timestamp,
    body: &[u8],
    raw: &[u8],
) -> Result<()> {
    tx.execute(
        "insert into alert_version (alert_id, version, content, received_at, body, raw) \
         values ($1, $2, $3, $4, $5, $6)",
        vec![
            id.0.into(),
            version.into(),
            content.to_vec().into(),
            now.micros().into(),
            body.to_vec().into(),
            raw.to_vec().into(),
        ],
    )
    .await?;
    Ok(())
}

/// Newer content becomes current. What people decided here (status, owner, verdict) stays unless
/// nobody decided anything yet.
async fn replace(
    tx: &Transaction,
    id: AlertId,
    alert: &Prepared,
    updated: Timestamp,
    now: Timestamp,
) -> Result<()> {
    let mut values: Vec<Sql> = vec![id.0.into(), alert.content.to_vec().into()];
    values.extend(alert.head.values());
    values.extend([
        alert.source_updated.map(Timestamp::micros).into(),
        updated.micros().into(),
        now.micros().into(),
        i64::from(crate::word::AlertStatus::New.code()).into(),
        i64::from(crate::word::Classification::Unknown.code()).into(),
    ]);
    tx.execute(
        "update alert set content = $2, title = $3, severity = $4, \
         status = case when status = $22 then $5 else status end, \
         determination = case when classification = $23 then $7 else determination end, \
         classification = case when classification = $23 then $6 else classification end, \
         assigned_to = coalesce(assigned_to, $8), category = $9, service_source = $10, \
         detection_source = $11, product_name = $12, provider_alert_id = $13, \
         detector_id = $14, created_at = $15, first_activity_at = $16, last_activity_at = $17, \
         resolved_at = coalesce(resolved_at, $18), source_updated_at = $19, updated_at = $20, \
         received_at = $21 where id = $1",
        values,
    )
    .await?;
    tx.execute(
        "update alert_body set body = $2, raw = $3 where alert_id = $1",
        vec![id.0.into(), alert.body.clone().into(), alert.raw.clone().into()],
    )
    .await?;
    Ok(())
}
