//! Rows of a batch on their way into the store, those of all its tenants together: each statement
//! costs a hand-over, each commit an fsync.

use std::collections::HashMap;

use sea_orm::Value as Sql;
use serde_json::{Value, json};

use crate::clock::Timestamp;
use crate::db::Transaction;
use crate::error::Result;
use crate::id::{AlertId, TenantNo};
use crate::incident::account::Names;
use crate::incident::correlate::read::Read;
use crate::incident::correlation::{Placement, Run, Stat};
use crate::incident::entity::{Entity, EntityKind};

/// Links shown with an alert; the strongest come first.
const SHOWN_LINKS: usize = 16;

/// See the module.
#[derive(Default)]
pub(super) struct Rows {
    alerts: Vec<Sql>,
    opened_runs: Vec<Sql>,
    accounts: Names,
    grown_runs: Vec<Sql>,
    stats: Vec<Sql>,
}

impl Rows {
    /// Where alerts were put; `links` are the texts of [`shown_links`].
    pub(super) fn placements(
        &mut self,
        placements: &[Placement],
        links: &[String],
        mut next_update: impl FnMut() -> Timestamp,
    ) {
        for (placement, links) in placements.iter().zip(links) {
            self.alerts.extend([
                placement.alert_id.into(),
                placement.incident_id.into(),
                links.clone().into(),
                next_update().micros().into(),
            ]);
        }
    }

    /// New runs, with the names that these alerts give their entities.
    pub(super) fn opened_runs(&mut self, tenant: TenantNo, runs: &[Run], read: &[Read]) {
        let named: HashMap<i64, &Entity> =
            read.iter().flat_map(|read| &read.entities).map(|entity| (entity.id, entity)).collect();
        self.opened_runs.extend(runs.iter().flat_map(|run| {
            let entity = named.get(&run.entity_id);
            if let Some(entity) = entity {
                self.accounts.add_entity(tenant, entity);
            }
            let name = entity.map_or("", |entity| entity.name.as_str());
            [
                run.incident_id.into(),
                run.entity_id.into(),
                run.opened_by.into(),
                tenant.0.into(),
                entity.map_or(0, |entity| i64::from(entity.code())).into(),
                Sql::from(name.chars().filter(|c| *c != '\0').collect::<String>()),
                i64::from(run.side.code()).into(),
                run.first.micros().into(),
                run.last.micros().into(),
                i64::from(run.alerts).into(),
                i64::from(run.window).into(),
                run.anchor.into(),
            ]
        }));
    }

    /// Stored runs that grew.
    pub(super) fn grown_runs(&mut self, runs: &[Run]) {
        self.grown_runs.extend(runs.iter().flat_map(|run| {
            [
                run.incident_id.into(),
                run.entity_id.into(),
                run.opened_by.into(),
                run.first.micros().into(),
                run.last.micros().into(),
                Sql::from(i64::from(run.alerts)),
            ]
        }));
    }

    /// How common entities are, new or changed.
    pub(super) fn stats<'a>(
        &mut self,
        tenant: TenantNo,
        stats: impl IntoIterator<Item = (&'a (i64, i32), &'a Stat)>,
    ) {
        self.stats.extend(stats.into_iter().flat_map(|((entity, span), stat)| {
            let anchors: Vec<u8> =
                stat.anchors.iter().flat_map(|anchor| anchor.to_be_bytes()).collect();
            [
                tenant.0.into(),
                (*entity).into(),
                i64::from(*span).into(),
                anchors.into(),
                stat.common_since.map(Timestamp::micros).into(),
            ]
        }));
    }

    /// Writes them all.
    pub(super) async fn write(self, tx: &Transaction) -> Result<()> {
        let columns = ["incident_id", "links", "updated_at"];
        tx.update_rows("alert", &["id"], &columns, self.alerts).await?;
        let key = ["incident_id", "entity_id", "opened_by"];
        let columns = ["first_at", "last_at", "alerts"];
        tx.update_rows("run", &key, &columns, self.grown_runs).await?;
        tx.insert_rows(
            "insert into run (incident_id, entity_id, opened_by, tenant_no, kind, name, side, \
             first_at, last_at, alerts, span, anchor)",
            12,
            "",
            self.opened_runs,
        )
        .await?;
        self.accounts.write(tx).await?;
        tx.insert_rows(
            "insert into entity_span (tenant_no, entity_id, span, anchors, common_since)",
            5,
            "on conflict (tenant_no, entity_id, span) do update set anchors = excluded.anchors, \
             common_since = excluded.common_since",
            self.stats,
        )
        .await?;
        Ok(())
    }
}

/// The links of each placement as stored and shown: JSON arrays (INC-16).
pub(super) fn shown_links(placements: &[Placement], read: &[Read], now: Timestamp) -> Vec<String> {
    // Entities that link an alert are its own, so their names need no look-up.
    let named: HashMap<i64, (EntityKind, &str)> = read
        .iter()
        .flat_map(|read| &read.entities)
        .map(|entity| (entity.id, (entity.kind, entity.name.as_str())))
        .collect();
    let link = |link: &crate::incident::correlation::Link| {
        let (kind, name) =
            named.get(&link.entity_id).map_or(("entity", ""), |(kind, name)| (kind.word(), name));
        json!({
            "entityKind": kind,
            "entityName": name,
            "weight": f64::from(link.weight) / 1000.0,
            "withAlertId": AlertId(link.with_alert),
            "linkedDateTime": now,
        })
    };
    placements
        .iter()
        .map(|it| it.links.iter().take(SHOWN_LINKS).map(link).collect::<Value>().to_string())
        .collect()
}
