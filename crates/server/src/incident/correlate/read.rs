//! What a batch reads: waiting alerts, an incident's alerts, runs and counts of entities.
//!
//! Every reading takes a transaction: one that only reads while a batch is planned, the writing
//! one when the outcome must not be overtaken.

use std::collections::{BTreeMap, HashMap};

use sea_orm::Value as Sql;
use serde_json::{Map, Value};

use crate::alert::{self, Alert};
use crate::clock::Timestamp;
use crate::db::{Transaction, column};
use crate::error::Result;
use crate::id::{IncidentId, TenantNo};
use crate::incident::correlate::assess::scopes;
use crate::incident::correlation::{
    self, Mention, Needs, PendingAlert, Run, Stat, Stats, window_of,
};
use crate::incident::entity::{self, Entity, EntityKind, Side, WINDOW};
use crate::incident::facts::Facts;
use crate::incident::{Incident, store};
use crate::triage;
use crate::tx::Tx;

/// An alert of the batch with what correlation and triage read from it.
pub(super) struct Read {
    pub(super) alert: Alert,
    pub(super) facts: Facts,
    pub(super) entities: Vec<Entity>,
    pub(super) pending: PendingAlert,
}

/// Entities that a round holds, at most; the alert with which it reaches them is its last. Alerts
/// that name thousands would otherwise fill the memory together.
pub(super) const ENTITIES: usize = 20_000;

/// The oldest waiting alerts of a tenant, at most `limit`, and those only that `entities` are left
/// for; it is reduced by what they name.
pub(super) async fn waiting_alerts(
    reader: &Transaction,
    tenant: TenantNo,
    limit: i64,
    entities: &mut usize,
) -> Result<Vec<Read>> {
    let sql = format!(
        "select {}, alert_body.body from alert join alert_body on alert_body.alert_id = alert.id \
         where alert.tenant_no = $1 and alert.incident_id is null order by alert.id limit $2",
        alert::COLUMNS
    );
    let mut read = Vec::new();
    for row in reader.query(&sql, vec![tenant.0.into(), limit.into()]).await? {
        if *entities == 0 {
            break;
        }
        let one = read_row(&row)?;
        *entities = entities.saturating_sub(one.entities.len());
        read.push(one);
    }
    Ok(read)
}

/// Those of the alerts that wait and are still as they were read.
pub(super) async fn still_waiting(tx: &Tx, mut read: Vec<Read>) -> Result<Vec<Read>> {
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
pub(super) async fn alerts_of(tx: &Tx, incident: IncidentId) -> Result<Vec<Read>> {
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
        read.push(read_row(&row)?);
    }
    Ok(read)
}

fn read_row(row: &sea_orm::QueryResult) -> Result<Read> {
    let alert = Alert::from_row(row)?;
    let body: Vec<u8> = column(row, alert::WIDTH)?;
    Ok(understand(alert, &alert::body(&body)?))
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

/// What tenants' alerts need, and what was found of it.
#[derive(Default)]
pub(super) struct Found {
    pub(super) runs: Vec<Run>,
    pub(super) stats: Stats,
    pub(super) incidents: Vec<Incident>,
    pub(super) scope: triage::model::Scope,
}

/// Loads what plans need, for all tenants at once: each reading costs a hand-over.
pub(super) async fn load(
    reader: &Transaction,
    needs: &BTreeMap<TenantNo, Needs>,
) -> Result<BTreeMap<TenantNo, Found>> {
    let mut found: BTreeMap<TenantNo, Found> =
        needs.keys().map(|tenant| (*tenant, Found::default())).collect();
    let mut incidents = Vec::new();
    for (tenant, runs) in load_runs(reader, needs).await? {
        incidents.extend(runs.iter().map(|run| IncidentId(run.incident_id)));
        found.entry(tenant).or_default().runs = runs;
    }
    for (tenant, stats) in load_stats(reader, needs).await? {
        found.entry(tenant).or_default().stats = stats;
    }
    incidents.sort_unstable();
    incidents.dedup();
    for incident in store::load_of(reader, needs.keys().copied(), &incidents).await? {
        found.entry(incident.tenant).or_default().incidents.push(incident);
    }
    for (tenant, scope) in scopes(reader, needs.keys().copied()).await? {
        found.entry(tenant).or_default().scope = scope;
    }
    Ok(found)
}

/// The entities that tenants need as rows of entity and tenant, in pieces of few sizes, so that few
/// prepared statements serve them.
fn asked(needs: &BTreeMap<TenantNo, Needs>) -> Vec<Vec<Sql>> {
    let all = needs.iter().flat_map(|(tenant, needs)| {
        needs.entities.iter().map(|entity| (Sql::from(*entity), Sql::from(tenant.0)))
    });
    let all: Vec<(Sql, Sql)> = all.collect();
    let piece = |piece: &[(Sql, Sql)]| {
        let mut rows: Vec<(Sql, Sql)> = piece.to_vec();
        let size = rows.len().next_power_of_two();
        // No tenant has this number.
        rows.resize(size, (0_i64.into(), (-1_i64).into()));
        rows.into_iter().flat_map(|(entity, tenant)| [entity, tenant]).collect()
    };
    all.chunks(1_024).map(piece).collect()
}

/// The runs that tenants need.
pub(super) async fn load_runs(
    reader: &Transaction,
    needs: &BTreeMap<TenantNo, Needs>,
) -> Result<BTreeMap<TenantNo, Vec<Run>>> {
    let from = needs.values().map(|it| it.from.micros()).min().unwrap_or_default();
    let to = needs.values().map(|it| it.to.micros()).max().unwrap_or_default();
    let mut all: BTreeMap<TenantNo, Vec<Run>> = BTreeMap::new();
    for piece in asked(needs) {
        let (given, mut values) = reader.given(piece, 2);
        let next = values.len() + 1;
        values.extend([from.into(), to.into()]);
        let sql = format!(
            "select entity_id, opened_by, incident_id, side, first_at, last_at, alerts, span, \
             anchor, tenant_no from {given} cross join run \
             where run.entity_id = given.column1 and run.tenant_no = given.column2 \
             and run.last_at >= ${next} and run.first_at <= ${}",
            next + 1
        );
        for row in reader.query(&sql, values).await? {
            let run = Run {
                entity_id: column(&row, 0)?,
                opened_by: column(&row, 1)?,
                incident_id: column(&row, 2)?,
                side: Side::from_code(column::<i64>(&row, 3)? as i16),
                first: Timestamp::from_micros(column(&row, 4)?),
                last: Timestamp::from_micros(column(&row, 5)?),
                alerts: column::<i64>(&row, 6)? as u32,
                window: column::<i64>(&row, 7)? as i32,
                anchor: column(&row, 8)?,
            };
            let tenant = TenantNo(column(&row, 9)?);
            // The times were those of all the tenants together.
            let own = needs.get(&tenant);
            if own.is_some_and(|it| run.last >= it.from && run.first <= it.to) {
                all.entry(tenant).or_default().push(run);
            }
        }
    }
    for runs in all.values_mut() {
        // One order, whatever the store's: the same rows must give the same outcome.
        runs.sort_unstable_by_key(|run| (run.entity_id, run.opened_by));
    }
    Ok(all)
}

/// The stored counts that tenants need.
pub(super) async fn load_stats(
    reader: &Transaction,
    needs: &BTreeMap<TenantNo, Needs>,
) -> Result<BTreeMap<TenantNo, Stats>> {
    let from = needs.values().map(|it| it.window_from).min().unwrap_or_default();
    let to = needs.values().map(|it| it.window_to).max().unwrap_or_default();
    let mut all: BTreeMap<TenantNo, Stats> = BTreeMap::new();
    for piece in asked(needs) {
        let (given, mut values) = reader.given(piece, 2);
        let next = values.len() + 1;
        values.extend([i64::from(from).into(), i64::from(to).into()]);
        let sql = format!(
            "select entity_id, span, anchors, common_since, tenant_no \
             from {given} cross join entity_span \
             where entity_span.entity_id = given.column1 \
             and entity_span.tenant_no = given.column2 \
             and entity_span.span between ${next} and ${}",
            next + 1
        );
        for row in reader.query(&sql, values).await? {
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
            let stats = all.entry(TenantNo(column(&row, 4)?)).or_default();
            stats.insert((column(&row, 0)?, span), stat);
        }
    }
    Ok(all)
}

/// Kind and name of entities, for sentences.
pub(super) async fn entity_names(
    tx: &Tx,
    ids: &[i64],
) -> Result<HashMap<i64, (EntityKind, String)>> {
    let (list, keys) = tx.engine().among(2, ids.iter().map(|id| (*id).into()).collect());
    let mut values: Vec<Sql> = vec![tx.tenant().0.into()];
    values.extend(keys);
    let sql =
        format!("select entity_id, kind, name from run where tenant_no = $1 and entity_id {list}");
    let mut names = HashMap::new();
    for row in tx.query(&sql, values).await? {
        if let Some(kind) = EntityKind::from_code(column::<i64>(&row, 1)? as i16) {
            names.insert(column(&row, 0)?, (kind, column(&row, 2)?));
        }
    }
    Ok(names)
}

/// All alerts of an incident and the counts of their entities, with those that runs hold.
pub(super) async fn members(tx: &Tx, id: IncidentId) -> Result<(Vec<Read>, Stats)> {
    let read = alerts_of(tx, id).await?;
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
    let from = from.saturating_sub(1);
    let tenant = tx.tenant();
    // A run is at least where the alert that opened it was.
    let begin = |window: i32| Timestamp::from_micros(i64::from(window).saturating_mul(WINDOW));
    let needs = Needs {
        entities,
        from: begin(from),
        to: begin(to.saturating_add(1)),
        window_from: from,
        window_to: to,
    };
    let needs = BTreeMap::from([(tenant, needs)]);
    let mut stats = load_stats(tx, &needs).await?.remove(&tenant).unwrap_or_default();
    let runs = load_runs(tx, &needs).await?.remove(&tenant).unwrap_or_default();
    correlation::count_runs(&mut stats, &runs);
    Ok((read, stats))
}
