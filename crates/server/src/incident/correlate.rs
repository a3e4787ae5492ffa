//! Carries out what `correlation` decides: one batch of waiting alerts of one tenant, in one
//! transaction with the incidents they open, grow, merge and take apart, with scope and priority
//! of each, and with one event for everything that happened (T1, T2, T8).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sea_orm::Value as Sql;
use serde_json::{Map, Value, json};

use crate::actor::Actor;
use crate::alert::{self, Alert};
use crate::app::App;
use crate::clock::Timestamp;
use crate::db::{Transaction, column};
use crate::error::{Error, Result};
use crate::event::Fact;
use crate::failpoint;
use crate::id::{AlertId, IncidentId, TenantNo};
use crate::incident::correlation::regroup::{regroup, runs_of};
use crate::incident::correlation::{
    self, IncidentHead, Mention, Outcome, PendingAlert, Run, Stat, State, Stats, window_of,
};
use crate::incident::entity::{self, Entity, EntityKind, Side};
use crate::incident::facts::Facts;
use crate::incident::model::{self, OWNER_EXPERTS, Refusal, Step};
use crate::incident::{Incident, name, store};
use crate::lease::Lease;
use crate::triage;
use crate::tx::Tx;
use crate::word::Stage;

/// Alerts placed in one transaction: few enough that an intake of the same tenant waits for some
/// milliseconds only.
pub const BATCH: i64 = 128;
/// Incident ids reserved at a time.
const ID_BLOCK: i64 = 2_048;
/// Links shown with an alert; the strongest come first.
const SHOWN_LINKS: usize = 16;

/// Tenants in which alerts wait, or incidents whose alerts changed.
pub async fn waiting(app: &App) -> Result<Vec<TenantNo>> {
    let rows = app
        .db
        .query(
            "select no from tenant where \
             exists (select 1 from alert where alert.tenant_no = tenant.no \
                     and alert.incident_id is null) \
             or exists (select 1 from follow_up where follow_up.tenant_no = tenant.no) order by no",
            vec![],
        )
        .await?;
    rows.iter().map(|row| Ok(TenantNo(column(row, 0)?))).collect()
}

/// An alert of the batch with what correlation and triage read from it.
struct Read {
    alert: Alert,
    facts: Facts,
    entities: Vec<Entity>,
    pending: PendingAlert,
}

/// Correlates the next waiting alerts of a tenant; gives how many alerts and refreshed incidents
/// that were. With a lease, nothing is written once the lease has passed to another replica.
pub async fn batch(app: &App, tenant: TenantNo, lease: Option<&Lease>) -> Result<u64> {
    let outcome = attempt(app, tenant, lease).await;
    if outcome.is_err() {
        app.known_entities.forget();
    }
    outcome
}

async fn attempt(app: &App, tenant: TenantNo, lease: Option<&Lease>) -> Result<u64> {
    let started = std::time::Instant::now();
    let ids = app.incident_ids.take(app, "incident", BATCH + 64, ID_BLOCK).await?;
    let mut ids = IdPool { ids, dry: false };
    // Read and understood before the transaction: an intake of this tenant then waits for the
    // writing only. The lease keeps other replicas from the same alerts.
    let read = read_waiting(app, tenant).await?;
    let mut tx = Tx::begin(app, tenant, Actor::system("Correlation")).await?;
    if let Some(lease) = lease {
        lease.fence(app, &tx).await?;
    }
    let refreshed = refresh(&mut tx).await?;
    let read = still_waiting(&tx, read).await?;
    let count = read.len() as u64;
    if !read.is_empty() {
        let mut work = Work::default();
        place(&mut tx, read, &mut work, &mut ids).await?;
        work.save(&mut tx).await?;
    }
    if ids.dry {
        // Rolled back; the next attempt finds more ids.
        app.incident_ids.want(ID_BLOCK * 16);
        return Err(Error::Internal("incident ids ran out within one batch".to_owned()));
    }
    failpoint::hit("correlate.before_commit");
    tx.commit().await?;
    failpoint::hit("correlate.after_commit");
    app.incident_ids.give_back(ids.ids);
    app.metrics.correlate_seconds.observe(started.elapsed().as_secs_f64());
    Ok(count + refreshed)
}

struct IdPool {
    ids: std::ops::Range<i64>,
    dry: bool,
}

impl IdPool {
    fn next(&mut self) -> i64 {
        self.ids.next().unwrap_or_else(|| {
            self.dry = true;
            -1
        })
    }
}

async fn read_waiting(app: &App, tenant: TenantNo) -> Result<Vec<Read>> {
    let sql = format!(
        "select {}, alert_body.body from alert join alert_body on alert_body.alert_id = alert.id \
         where alert.tenant_no = $1 and alert.incident_id is null order by alert.id limit $2",
        alert::COLUMNS
    );
    read_rows(app.db.query(&sql, vec![tenant.0.into(), BATCH.into()]).await?)
}

/// Those of the alerts that wait and are still as they were read.
async fn still_waiting(tx: &Tx, mut read: Vec<Read>) -> Result<Vec<Read>> {
    let Some(last) = read.last().map(|read| read.alert.id) else { return Ok(read) };
    let rows = tx
        .query(
            "select id, updated_at from alert \
             where tenant_no = $1 and incident_id is null and id <= $2",
            vec![tx.tenant().0.into(), last.0.into()],
        )
        .await?;
    let mut waiting = HashMap::with_capacity(rows.len());
    for row in rows {
        waiting.insert(column::<i64>(&row, 0)?, column::<i64>(&row, 1)?);
    }
    read.retain(|read| waiting.get(&read.alert.id.0) == Some(&read.alert.updated.micros()));
    Ok(read)
}

/// Alerts of one incident with their bodies, in pages so that the bodies are not all held at once.
async fn read_incident(tx: &Tx, incident: IncidentId) -> Result<Vec<Read>> {
    let sql = format!(
        "select {}, alert_body.body from alert join alert_body on alert_body.alert_id = alert.id \
         where alert.incident_id = $1 and alert.id > $2 order by alert.id limit 1000",
        alert::COLUMNS
    );
    let mut all: Vec<Read> = Vec::new();
    loop {
        let after = all.last().map_or(0, |read| read.alert.id.0);
        let page = read_rows(tx.query(&sql, vec![incident.0.into(), after.into()]).await?)?;
        let done = page.len() < 1_000;
        all.extend(page);
        if done {
            return Ok(all);
        }
    }
}

fn read_rows(rows: Vec<sea_orm::QueryResult>) -> Result<Vec<Read>> {
    let mut read = Vec::with_capacity(rows.len());
    for row in rows {
        let alert = Alert::from_row(&row)?;
        let body: Vec<u8> = column(&row, alert::WIDTH)?;
        read.push(understand(alert, &alert::body(&body)?));
    }
    Ok(read)
}

fn understand(alert: Alert, body: &Map<String, Value>) -> Read {
    let entities = entity::entities(body).list;
    let mentions: Vec<Mention> = correlation::mentions(&entities);
    let pending = PendingAlert {
        alert_id: alert.id.0,
        first: alert.head.first_activity,
        last: alert.head.last_activity,
        mentions,
    };
    Read { facts: Facts::of(&alert.head, body), alert, entities, pending }
}

/// Incidents on their way through a batch: as loaded, and as they will be saved.
#[derive(Default)]
pub(super) struct Work {
    before: BTreeMap<IncidentId, model::Incident>,
    now: BTreeMap<IncidentId, Incident>,
    touched: BTreeSet<IncidentId>,
    facts: Vec<(Actor, Fact)>,
}

impl Work {
    /// Takes up a loaded incident.
    pub(super) fn hold(&mut self, incident: Incident) {
        self.before.insert(incident.id, incident.model.clone());
        self.now.insert(incident.id, incident);
    }

    /// The incident of an id taken up before.
    pub(super) fn get(&mut self, id: IncidentId) -> Result<&mut Incident> {
        self.touched.insert(id);
        self.now
            .get_mut(&id)
            .ok_or_else(|| Error::Internal(format!("incident {id} was not loaded")))
    }

    /// Puts a new incident in.
    pub(super) fn open(&mut self, incident: Incident) {
        self.touched.insert(incident.id);
        self.now.insert(incident.id, incident);
    }

    /// Notes what happened, by this transaction's actor or another.
    pub(super) fn note(&mut self, actor: Actor, fact: Fact) {
        self.facts.push((actor, fact));
    }

    /// Lets the model decide on one incident and keeps the outcome.
    pub(super) fn step(
        &mut self,
        id: IncidentId,
        decide: impl FnOnce(model::Incident) -> std::result::Result<Step, Refusal>,
    ) -> Result<Option<Step>> {
        let incident = self.get(id)?;
        let step = decide(incident.model.clone()).map_err(super::refused)?;
        incident.model = step.incident.clone();
        Ok(step.changed().then_some(step))
    }

    /// Writes every incident that was touched and records what happened.
    pub(super) async fn save(self, tx: &mut Tx) -> Result<()> {
        let mut incidents = self.now;
        for id in &self.touched {
            if let Some(incident) = incidents.get_mut(id) {
                incident.model.updated = tx.next_update();
            }
        }
        let touched: Vec<&Incident> =
            self.touched.iter().filter_map(|id| incidents.get(id)).collect();
        store::save(tx, &touched).await?;
        let mut opened: Vec<&Incident> = Vec::new();
        for incident in touched {
            let Some(before) = self.before.get(&incident.id) else {
                opened.push(incident);
                continue;
            };
            let same = before.custom_tags == incident.model.custom_tags
                && before.system_tags == incident.model.system_tags;
            if !same {
                store::save_tags(tx, incident.id, Some(before), &incident.model).await?;
            }
        }
        store::save_first_tags(tx, &opened).await?;
        for (actor, fact) in self.facts {
            tx.record_as(actor, fact);
        }
        Ok(())
    }
}

async fn place(tx: &mut Tx, read: Vec<Read>, work: &mut Work, ids: &mut IdPool) -> Result<()> {
    let tenant = tx.tenant();
    let pending: Vec<PendingAlert> = read.iter().map(|read| read.pending.clone()).collect();
    let needs = correlation::needs(&pending);
    let runs = load_runs(tx, tenant, &needs).await?;
    let stats = load_stats(
        tx,
        tenant,
        &needs.entities,
        i64::from(needs.window_from),
        i64::from(needs.window_to),
    )
    .await?;
    let mut incident_ids: Vec<IncidentId> =
        runs.iter().map(|run| IncidentId(run.incident_id)).collect();
    incident_ids.sort_unstable();
    incident_ids.dedup();
    for (_, incident) in store::load(tx, tenant, &incident_ids).await? {
        work.hold(incident);
    }
    let heads = work.now.values().map(head).collect();
    let now = tx.now();
    let outcome =
        correlation::correlate(State { runs, stats, heads }, pending, now, &mut || ids.next());

    let by_alert: HashMap<i64, &Read> = read.iter().map(|read| (read.alert.id.0, read)).collect();
    let tenant_id = tx.app().tenant_id(tenant).await?;
    for id in &outcome.opened {
        let actor = tx.actor().clone();
        let opened = model::Incident::open(
            *id,
            &tenant_id,
            "Incident",
            crate::word::Severity::Unknown,
            &actor,
            now,
        );
        work.open(store::fresh(tenant, opened, Facts::default()));
    }
    carry_out_merges(tx, work, &outcome).await?;
    grow(tx, work, &outcome, &by_alert)?;
    write_alerts(tx, &outcome, &by_alert).await?;
    write_entities(tx, tenant, &read).await?;
    write_runs(tx, tenant, &outcome.runs).await?;
    write_stats(tx, tenant, &outcome.stats).await?;
    let scope = scope(tx).await?;
    let mut changed: BTreeSet<IncidentId> =
        outcome.grown.keys().map(|id| IncidentId(*id)).collect();
    for id in &outcome.regroup {
        changed.extend(take_apart(tx, work, IncidentId(*id), ids).await?);
    }
    for id in changed {
        assess(tx, work, id, &scope)?;
    }
    Ok(())
}

/// What correlation must know of an incident. One that only waits for an expert is not claimed
/// yet, so that storms and hubs can still be sorted out.
fn head(incident: &Incident) -> IncidentHead {
    let it = &incident.model;
    let by_person = it.owner.as_deref().is_some_and(|owner| owner != OWNER_EXPERTS);
    let stage = it.state.stage();
    let waits_for_triage_only = it.owner.as_deref() == Some(OWNER_EXPERTS);
    IncidentHead {
        id: incident.id.0,
        open: it.is_open(),
        claimed: by_person || matches!(stage, Stage::InProgress | Stage::AwaitingCustomer),
        pinned: incident.pinned.is_some(),
        owner: if waits_for_triage_only && stage == Stage::Queued {
            None
        } else {
            it.owner.clone()
        },
        classification: it.verdict.classification().code(),
        determination: it.verdict.determination().code(),
        created: it.created,
        alerts: u32::try_from(incident.alert_count).unwrap_or(u32::MAX),
        entities: u32::try_from(incident.run_count).unwrap_or(u32::MAX),
    }
}

async fn carry_out_merges(tx: &mut Tx, work: &mut Work, outcome: &Outcome) -> Result<()> {
    for merge in &outcome.merged {
        let (source, target) = (IncidentId(merge.source), IncidentId(merge.target));
        let because = match entity_names(tx, &[merge.because]).await?.remove(&merge.because) {
            Some((kind, name)) => {
                format!("alert {} shares {} {name}", AlertId(merge.alert_id), kind.word())
            }
            None => format!("alert {} links both", AlertId(merge.alert_id)),
        };
        join(tx, work, source, target, &because).await?;
    }
    Ok(())
}

/// `source` becomes part of `target` (INC-16): alerts, runs, comments and tags go over, the source
/// keeps answering with where it went.
pub(super) async fn join(
    tx: &mut Tx,
    work: &mut Work,
    source: IncidentId,
    target: IncidentId,
    because: &str,
) -> Result<()> {
    let (actor, now) = (tx.actor().clone(), tx.now());
    let gone = work.get(source)?.clone();
    work.step(source, |it| it.redirect(target.0, &actor, now))?;
    {
        let source = work.get(source)?;
        source.alert_count = 0;
        source.run_count = 0;
    }
    let mut facts = work.get(target)?.facts.clone();
    facts.join(&gone.facts);
    work.step(target, |it| it.absorb(&gone.model, facts.highest(), &actor, now))?;
    let kept = work.get(target)?;
    kept.facts = facts;
    if kept.alert_count == 0 {
        kept.first_activity = gone.first_activity;
        kept.last_activity = gone.last_activity;
    }
    kept.alert_count += gone.alert_count;
    kept.run_count += gone.run_count;
    kept.first_activity = kept.first_activity.min(gone.first_activity);
    kept.last_activity = kept.last_activity.max(gone.last_activity);
    let alerts = tx
        .query("select id from alert where incident_id = $1 order by id", vec![source.0.into()])
        .await?;
    let mut rows: Vec<Sql> = Vec::with_capacity(alerts.len() * 3);
    for row in alerts {
        let id: i64 = column(&row, 0)?;
        rows.extend([id.into(), target.0.into(), tx.next_update().micros().into()]);
    }
    tx.update_rows("alert", &["incident_id", "updated_at"], rows).await?;
    for sql in [
        "update run set incident_id = $2 where incident_id = $1",
        "update comment set incident_id = $2, origin_id = coalesce(origin_id, $1) \
         where incident_id = $1",
        // Whoever was pointed at the source is pointed on, so that no client walks a chain.
        "update incident set redirect_id = $2 where redirect_id = $1",
    ] {
        tx.execute(sql, vec![source.0.into(), target.0.into()]).await?;
    }
    work.note(actor, Fact::IncidentMerged { source, target, because: because.to_owned() });
    Ok(())
}

fn grow(tx: &Tx, work: &mut Work, outcome: &Outcome, by_alert: &HashMap<i64, &Read>) -> Result<()> {
    let mut alerts: BTreeMap<i64, Vec<AlertId>> = BTreeMap::new();
    for placement in &outcome.placements {
        let Some(read) = by_alert.get(&placement.alert_id) else { continue };
        alerts.entry(placement.incident_id).or_default().push(read.alert.id);
        let incident = work.get(IncidentId(placement.incident_id))?;
        incident.add(&read.alert, &read.facts);
    }
    for (id, growth) in &outcome.grown {
        work.get(IncidentId(*id))?.run_count += i64::from(growth.entities);
    }
    for (id, alerts) in alerts {
        let incident = IncidentId(id);
        let fact = if outcome.opened.binary_search(&id).is_ok() {
            Fact::IncidentOpened { incident, alerts }
        } else {
            Fact::IncidentGrew { incident, alerts }
        };
        work.note(tx.actor().clone(), fact);
    }
    Ok(())
}

impl Incident {
    fn add(&mut self, alert: &Alert, facts: &Facts) {
        if self.alert_count == 0 {
            self.first_activity = alert.head.first_activity;
            self.last_activity = alert.head.last_activity;
        }
        self.alert_count += 1;
        self.first_activity = self.first_activity.min(alert.head.first_activity);
        self.last_activity = self.last_activity.max(alert.head.last_activity);
        self.facts.join(facts);
    }

    fn clear(&mut self) {
        self.alert_count = 0;
        self.run_count = 0;
        self.facts = Facts::default();
    }
}

/// Names an incident, and decides anew whether the experts take it and how urgent it is.
pub(super) fn assess(
    tx: &Tx,
    work: &mut Work,
    id: IncidentId,
    scope: &triage::model::Scope,
) -> Result<()> {
    let now = tx.now();
    let incident = work.get(id)?;
    if incident.model.redirect_id().is_some() {
        return Ok(());
    }
    let alerts = incident.alert_count;
    let facts = incident.facts.clone();
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let title = name::name(&name::Facts {
        titles: facts.titles.to_vec().into_iter().collect(),
        categories: facts.categories.to_vec().into_iter().collect(),
        sources: facts.products.to_vec().into_iter().collect(),
        devices: count(facts.devices.distinct('.')),
        users: count(facts.accounts.distinct('@')),
    });
    let correlation = tx.actor().clone();
    work.step(id, |it| it.follow_severity(facts.highest(), &correlation, now))?;
    work.step(id, |it| it.rename(&title, &correlation, now))?;

    let triage = Actor::system("Triage");
    let severity = work.get(id)?.model.severity;
    let facts = facts.for_triage(severity, alerts);
    let priority = triage::model::priority(&facts);
    work.step(id, |it| it.prioritise(priority.score, &triage, now))?;
    let incident = work.get(id)?;
    incident.priority_factors = priority.factors_json().to_string();
    let stage = incident.model.state.stage();
    // Who took it, or set it back by hand, has decided; triage speaks while nobody has.
    let owned = incident.model.owner.is_some();
    if !matches!(stage, Stage::New | Stage::LeftOut)
        || owned
        || incident.pinned.is_some() && alerts == 0
    {
        return Ok(());
    }
    match triage::model::decide(&facts, scope) {
        triage::model::Decision::Queued => {
            if work.step(id, |it| it.queue(&triage, now))?.is_some() {
                let fact = Fact::IncidentQueued { incident: id, score: i64::from(priority.score) };
                work.note(triage, fact);
            }
        }
        triage::model::Decision::LeftOut(reason) => {
            let sentence = reason.to_string();
            if work.step(id, |it| it.leave_out(&sentence, &triage, now))?.is_some() {
                let reason = reason.word().to_owned();
                work.note(triage, Fact::IncidentLeftOut { incident: id, reason, sentence });
            }
        }
    }
    Ok(())
}

/// The scope this tenant agreed on.
pub(super) async fn scope(tx: &Tx) -> Result<triage::model::Scope> {
    let row = tx
        .query_one("select settings from tenant where no = $1", vec![tx.tenant().0.into()])
        .await?;
    let settings: String = row.map(|row| column(&row, 0)).transpose()?.unwrap_or_default();
    Ok(triage::scope(&settings))
}

async fn write_alerts(
    tx: &mut Tx,
    outcome: &Outcome,
    by_alert: &HashMap<i64, &Read>,
) -> Result<()> {
    let now = tx.now();
    // Names of entities that this batch's alerts brought along need no look-up.
    let named: HashMap<i64, (EntityKind, &str)> = by_alert
        .values()
        .flat_map(|read| &read.entities)
        .map(|entity| (entity.id, (entity.kind, entity.name.as_str())))
        .collect();
    let mut rows: Vec<Sql> = Vec::with_capacity(outcome.placements.len() * 4);
    for placement in &outcome.placements {
        let links: Vec<Value> = placement
            .links
            .iter()
            .take(SHOWN_LINKS)
            .map(|link| {
                let (kind, name) = named
                    .get(&link.entity_id)
                    .map_or(("entity", ""), |(kind, name)| (kind.word(), name));
                json!({
                    "entityKind": kind,
                    "entityName": name,
                    "weight": f64::from(link.weight) / 1000.0,
                    "withAlertId": AlertId(link.with_alert),
                    "linkedDateTime": now,
                })
            })
            .collect();
        rows.extend([
            placement.alert_id.into(),
            placement.incident_id.into(),
            Sql::from(Value::from(links).to_string()),
            tx.next_update().micros().into(),
        ]);
    }
    tx.update_rows("alert", &["incident_id", "links", "updated_at"], rows).await?;
    Ok(())
}

async fn write_entities(tx: &Tx, tenant: TenantNo, read: &[Read]) -> Result<()> {
    let mut fresh: BTreeMap<i64, &Entity> = BTreeMap::new();
    for entity in read.iter().flat_map(|read| &read.entities) {
        // Mentions alone link; the rest is found again in the alert itself.
        if entity.weight > 0 && !tx.app().known_entities.contains(tenant, entity.id) {
            fresh.insert(entity.id, entity);
        }
    }
    let rows: Vec<Sql> = fresh
        .values()
        .flat_map(|entity| {
            [
                tenant.0.into(),
                entity.id.into(),
                i64::from(entity.code()).into(),
                Sql::from(entity.name.chars().filter(|c| *c != '\0').collect::<String>()),
            ]
        })
        .collect();
    tx.insert_rows(
        "insert into entity (tenant_no, id, kind, name)",
        4,
        "on conflict do nothing",
        rows,
    )
    .await?;
    // Before the commit: should that fail, the whole memory is forgotten (see `batch`).
    tx.app().known_entities.remember(tenant, fresh.keys().copied());
    Ok(())
}

async fn write_runs(tx: &Tx, tenant: TenantNo, runs: &[Run]) -> Result<()> {
    let rows: Vec<Sql> = runs
        .iter()
        .flat_map(|run| {
            [
                tenant.0.into(),
                run.entity_id.into(),
                run.opened_by.into(),
                run.incident_id.into(),
                i64::from(run.side.code()).into(),
                run.first.micros().into(),
                run.last.micros().into(),
                i64::from(run.alerts).into(),
            ]
        })
        .collect();
    tx.insert_rows(
        "insert into run (tenant_no, entity_id, opened_by, incident_id, side, first_at, last_at, \
         alerts)",
        8,
        "on conflict (tenant_no, entity_id, opened_by) do update set \
         incident_id = excluded.incident_id, side = excluded.side, first_at = excluded.first_at, \
         last_at = excluded.last_at, alerts = excluded.alerts",
        rows,
    )
    .await?;
    Ok(())
}

async fn write_stats(tx: &Tx, tenant: TenantNo, stats: &[((i64, i32), Stat)]) -> Result<()> {
    let rows: Vec<Sql> = stats
        .iter()
        .flat_map(|((entity, span), stat)| {
            let anchors: Vec<u8> =
                stat.anchors.iter().flat_map(|anchor| anchor.to_be_bytes()).collect();
            [
                tenant.0.into(),
                (*entity).into(),
                i64::from(*span).into(),
                anchors.into(),
                stat.common_since.map(Timestamp::micros).into(),
            ]
        })
        .collect();
    tx.insert_rows(
        "insert into entity_span (tenant_no, entity_id, span, anchors, common_since)",
        5,
        "on conflict (tenant_no, entity_id, span) do update set anchors = excluded.anchors, \
         common_since = excluded.common_since",
        rows,
    )
    .await?;
    Ok(())
}

async fn load_runs(
    tx: &Transaction,
    tenant: TenantNo,
    needs: &correlation::Needs,
) -> Result<Vec<Run>> {
    let mut runs = Vec::new();
    for chunk in needs.entities.chunks(1_024) {
        let (list, keys) = tx.engine().among(4, chunk.iter().map(|id| (*id).into()).collect());
        let mut values: Vec<Sql> =
            vec![tenant.0.into(), needs.from.micros().into(), needs.to.micros().into()];
        values.extend(keys);
        let sql = format!(
            "select entity_id, opened_by, incident_id, side, first_at, last_at, alerts from run \
             where tenant_no = $1 and last_at >= $2 and first_at <= $3 and entity_id {list}"
        );
        for row in tx.query(&sql, values).await? {
            runs.push(Run {
                entity_id: column(&row, 0)?,
                opened_by: column(&row, 1)?,
                incident_id: column(&row, 2)?,
                side: Side::from_code(column::<i64>(&row, 3)? as i16),
                first: Timestamp::from_micros(column(&row, 4)?),
                last: Timestamp::from_micros(column(&row, 5)?),
                alerts: column::<i64>(&row, 6)? as u32,
            });
        }
    }
    // One order, whatever the store's: the same rows must give the same outcome.
    runs.sort_unstable_by_key(|run| (run.entity_id, run.opened_by));
    Ok(runs)
}

async fn load_stats(
    tx: &Transaction,
    tenant: TenantNo,
    entities: &[i64],
    from: i64,
    to: i64,
) -> Result<Stats> {
    let mut stats = Stats::default();
    for chunk in entities.chunks(1_024) {
        let (list, keys) = tx.engine().among(4, chunk.iter().map(|id| (*id).into()).collect());
        let mut values: Vec<Sql> = vec![tenant.0.into(), from.into(), to.into()];
        values.extend(keys);
        let sql = format!(
            "select entity_id, span, anchors, common_since from entity_span \
             where tenant_no = $1 and span between $2 and $3 and entity_id {list}"
        );
        for row in tx.query(&sql, values).await? {
            let anchors: Vec<u8> = column(&row, 2)?;
            let anchors = anchors.chunks_exact(8).map(|bytes| {
                let mut number = [0; 8];
                number.copy_from_slice(bytes);
                i64::from_be_bytes(number)
            });
            let stat = Stat {
                anchors: anchors.collect(),
                common_since: column::<Option<i64>>(&row, 3)?.map(Timestamp::from_micros),
            };
            let span = i32::try_from(column::<i64>(&row, 1)?).unwrap_or(i32::MAX);
            stats.insert((column(&row, 0)?, span), stat);
        }
    }
    Ok(stats)
}

/// Kind and name of entities, for sentences.
pub(super) async fn entity_names(
    tx: &Tx,
    ids: &[i64],
) -> Result<HashMap<i64, (EntityKind, String)>> {
    let (list, keys) = tx.engine().among(2, ids.iter().map(|id| (*id).into()).collect());
    let mut values: Vec<Sql> = vec![tx.tenant().0.into()];
    values.extend(keys);
    let sql = format!("select id, kind, name from entity where tenant_no = $1 and id {list}");
    let mut names = HashMap::new();
    for row in tx.query(&sql, values).await? {
        if let Some(kind) = EntityKind::from_code(column::<i64>(&row, 1)? as i16) {
            names.insert(column(&row, 0)?, (kind, column(&row, 2)?));
        }
    }
    Ok(names)
}

/// All alerts of an incident and the counts of their entities.
async fn members(tx: &Tx, id: IncidentId) -> Result<(Vec<Read>, Stats)> {
    let read = read_incident(tx, id).await?;
    let mut entities: Vec<i64> = read
        .iter()
        .flat_map(|read| &read.pending.mentions)
        .map(|mention| mention.entity_id)
        .collect();
    entities.sort_unstable();
    entities.dedup();
    let windows = read.iter().map(|read| window_of(read.pending.first));
    let (from, to) =
        windows.fold((i32::MAX, i32::MIN), |(from, to), window| (from.min(window), to.max(window)));
    let from = i64::from(from).saturating_sub(1);
    let stats = load_stats(tx, tx.tenant(), &entities, from, i64::from(to)).await?;
    Ok((read, stats))
}

/// Takes an incident apart where only entities that became common held it together; gives the
/// incidents that changed.
async fn take_apart(
    tx: &mut Tx,
    work: &mut Work,
    id: IncidentId,
    ids: &mut IdPool,
) -> Result<Vec<IncidentId>> {
    let (read, stats) = members(tx, id).await?;
    let pending: Vec<PendingAlert> = read.iter().map(|read| read.pending.clone()).collect();
    let parts = regroup(id.0, &pending, &stats, &mut || ids.next());
    let by_alert: HashMap<i64, &Read> = read.iter().map(|read| (read.alert.id.0, read)).collect();
    replace_runs(tx, id, &parts.runs).await?;
    if parts.pieces.len() < 2 {
        work.get(id)?.run_count = parts.runs.len() as i64;
        return Ok(vec![id]);
    }
    let (actor, now) = (tx.actor().clone(), tx.now());
    let tenant_id = tx.app().tenant_id(tx.tenant()).await?;
    let mut changed = Vec::new();
    let mut rows: Vec<Sql> = Vec::new();
    for (place, piece) in parts.pieces.iter().enumerate() {
        let target = IncidentId(piece.incident_id);
        if place > 0 {
            let severity = crate::word::Severity::Unknown;
            let opened =
                model::Incident::open(target.0, &tenant_id, "Incident", severity, &actor, now);
            work.open(store::fresh(tx.tenant(), opened, Facts::default()));
        } else {
            work.get(target)?.clear();
        }
        let incident = work.get(target)?;
        for alert in &piece.alerts {
            if let Some(read) = by_alert.get(alert) {
                incident.add(&read.alert, &read.facts);
            }
        }
        let runs = parts.runs.iter().filter(|run| run.incident_id == target.0).count();
        incident.run_count = runs as i64;
        if place > 0 {
            for alert in &piece.alerts {
                rows.extend([(*alert).into(), target.0.into(), tx.next_update().micros().into()]);
            }
            let alerts: Vec<AlertId> = piece.alerts.iter().map(|alert| AlertId(*alert)).collect();
            let because = "what held them together became too common to mean anything".to_owned();
            work.note(
                actor.clone(),
                Fact::IncidentOpened { incident: target, alerts: alerts.clone() },
            );
            work.note(actor.clone(), Fact::AlertsMoved { source: id, target, alerts, because });
        }
        changed.push(target);
    }
    tx.update_rows("alert", &["incident_id", "updated_at"], rows).await?;
    Ok(changed)
}

async fn replace_runs(tx: &Tx, id: IncidentId, runs: &[Run]) -> Result<()> {
    tx.execute("delete from run where incident_id = $1", vec![id.0.into()]).await?;
    write_runs(tx, tx.tenant(), runs).await
}

/// Works an incident's facts and runs out anew from its alerts: after alerts were moved by hand,
/// or the source changed one.
pub(super) async fn rebuild(tx: &mut Tx, work: &mut Work, id: IncidentId) -> Result<()> {
    let (read, stats) = members(tx, id).await?;
    let pending: Vec<&PendingAlert> = read.iter().map(|read| &read.pending).collect();
    let runs = runs_of(id.0, &pending, &stats);
    replace_runs(tx, id, &runs).await?;
    write_entities(tx, tx.tenant(), &read).await?;
    let incident = work.get(id)?;
    incident.clear();
    for read in &read {
        incident.add(&read.alert, &read.facts);
    }
    incident.run_count = runs.len() as i64;
    let scope = scope(tx).await?;
    assess(tx, work, id, &scope)
}

/// Incidents of which the source changed an alert.
async fn refresh(tx: &mut Tx) -> Result<u64> {
    let rows = tx
        .query(
            "select subject from follow_up where tenant_no = $1 and kind = 'refresh' \
             order by subject limit 16",
            vec![tx.tenant().0.into()],
        )
        .await?;
    let mut count = 0;
    for row in rows {
        let id = IncidentId(column(&row, 0)?);
        let mut work = Work::default();
        if let Some(incident) = store::load(tx, tx.tenant(), &[id]).await?.remove(&id)
            && incident.model.redirect_id().is_none()
        {
            work.hold(incident);
            rebuild(tx, &mut work, id).await?;
            work.save(tx).await?;
        }
        tx.execute(
            "delete from follow_up where tenant_no = $1 and kind = 'refresh' and subject = $2",
            vec![tx.tenant().0.into(), id.0.into()],
        )
        .await?;
        count += 1;
    }
    Ok(count)
}
