//! What a batch reads: waiting alerts, an incident's alerts, runs and counts of entities.
//!
//! Every reading takes a transaction: one that only reads while a batch is planned, the writing
//! one when the outcome must not be overtaken.

use std::collections::HashMap;

use sea_orm::Value as Sql;
use serde_json::{Map, Value};

use crate::alert::{self, Alert};
use crate::clock::Timestamp;
use crate::db::{Transaction, column};
use crate::error::Result;
use crate::id::{IncidentId, TenantNo};
use crate::incident::correlation::{
    self, Mention, Needs, PendingAlert, Run, Stat, Stats, window_of,
};
use crate::incident::entity::{self, Entity, EntityKind, Side, WINDOW};
use crate::incident::facts::Facts;
use crate::tx::Tx;

/// An alert of the batch with what correlation and triage read from it.
pub(super) struct Read {
    pub(super) alert: Alert,
    pub(super) facts: Facts,
    pub(super) entities: Vec<Entity>,
    pub(super) pending: PendingAlert,
}

/// The oldest waiting alerts of a tenant, at most `limit`.
pub(super) async fn waiting_alerts(
    reader: &Transaction,
    tenant: TenantNo,
    limit: i64,
) -> Result<Vec<Read>> {
    let sql = format!(
        "select {}, alert_body.body from alert join alert_body on alert_body.alert_id = alert.id \
         where alert.tenant_no = $1 and alert.incident_id is null order by alert.id limit $2",
        alert::COLUMNS
    );
    read_rows(reader.query(&sql, vec![tenant.0.into(), limit.into()]).await?)
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

pub(super) async fn load_runs(
    tx: &Transaction,
    tenant: TenantNo,
    needs: &Needs,
) -> Result<Vec<Run>> {
    let mut runs = Vec::new();
    for chunk in needs.entities.chunks(1_024) {
        let (list, keys) = tx.engine().among(4, chunk.iter().map(|id| (*id).into()).collect());
        let mut values: Vec<Sql> =
            vec![tenant.0.into(), needs.from.micros().into(), needs.to.micros().into()];
        values.extend(keys);
        let sql = format!(
            "select entity_id, opened_by, incident_id, side, first_at, last_at, alerts, span, \
             anchor from run \
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
                window: column::<i64>(&row, 7)? as i32,
                anchor: column(&row, 8)?,
            });
        }
    }
    // One order, whatever the store's: the same rows must give the same outcome.
    runs.sort_unstable_by_key(|run| (run.entity_id, run.opened_by));
    Ok(runs)
}

pub(super) async fn load_stats(
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
    let mut stats = load_stats(tx, tenant, &entities, from.into(), to.into()).await?;
    // A run is at least where the alert that opened it was.
    let begin = |window: i32| Timestamp::from_micros(i64::from(window).saturating_mul(WINDOW));
    let needs = Needs {
        entities,
        from: begin(from),
        to: begin(to.saturating_add(1)),
        window_from: from,
        window_to: to,
    };
    correlation::count_runs(&mut stats, &load_runs(tx, tenant, &needs).await?);
    Ok((read, stats))
}
