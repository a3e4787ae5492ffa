//! What an incident's alerts mention and how that hangs together, and which incidents are like it.

use std::collections::{BTreeMap, HashMap};

use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use crate::alert::view::{COLUMNS, Full};
use crate::api::incident::{id_of, shown};
use crate::db::{column, in_list};
use crate::http::{Answer, Base, Failure, Site, json_response};
use crate::id::IncidentId;
use crate::incident::drawing::Drawing;
use crate::incident::entity::{EntityKind, entities};
use crate::incident::{self, Incident};
use crate::permission::Permission;
use crate::tenant::caller::Caller;

/// Alerts whose evidence is drawn.
const ALERTS: i64 = 300;
/// Things that are drawn.
const NODES: usize = 300;
/// Entities of the incident that are looked for elsewhere.
const LOOKED_FOR: i64 = 100;
/// Sightings elsewhere that are looked at.
const SIGHTINGS: i64 = 4_000;
/// Similar incidents shown.
const SIMILAR: usize = 20;

/// Incidents of the same tenant that mention the same things, those that share most first.
#[utoipa::path(
    get, path = "/api/v1/incidents/{id}/similar", tag = "incident",
    params(("id" = String, Path, description = "the incident's id")),
    responses((status = 200, description = "value: incident, shared", body = Object)),
)]
pub(super) async fn similar(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
    base: Base,
) -> Answer {
    caller.require(&[Permission::IncidentRead])?;
    let incident = incident::find(&site.app, &caller, id_of(&id)?).await?;
    let db = site.app.db.of(incident.tenant);
    let rows = db
        .query(
            "select entity_id, min(kind), min(name) from run where incident_id = $1 \
             group by entity_id order by sum(alerts) desc, entity_id limit $2",
            vec![incident.id.0.into(), LOOKED_FOR.into()],
        )
        .await?;
    let mut own: HashMap<i64, Value> = HashMap::new();
    for row in rows {
        let kind: i64 = column(&row, 1)?;
        own.insert(column(&row, 0)?, thing(kind, &column::<String>(&row, 2)?));
    }
    if own.is_empty() {
        return Ok(json_response(StatusCode::OK, &json!({ "value": [] })));
    }
    let (list, mut values) = in_list(3, own.keys().map(|id| (*id).into()).collect());
    values.splice(0..0, [incident.tenant.0.into(), incident.id.0.into()]);
    let sql = format!(
        "select distinct incident_id, entity_id from run where tenant_no = $1 \
         and incident_id <> $2 and entity_id in {list} limit {SIGHTINGS}"
    );
    let mut shared: BTreeMap<IncidentId, Vec<i64>> = BTreeMap::new();
    for row in db.query(&sql, values).await? {
        shared.entry(IncidentId(column(&row, 0)?)).or_default().push(column(&row, 1)?);
    }
    let mut most: Vec<(IncidentId, Vec<i64>)> = shared.into_iter().collect();
    most.sort_by_key(|(id, shared)| (std::cmp::Reverse(shared.len()), std::cmp::Reverse(*id)));
    most.truncate(SIMILAR);
    let mut value = Vec::with_capacity(most.len());
    for (id, shared) in most {
        // Its alerts may have moved on since.
        let Ok(other) = incident::find(&site.app, &caller, id).await else { continue };
        let row: Map<String, Value> = self::shown(&site, &other, &[], &base).await?;
        let shared: Vec<&Value> = shared.iter().filter_map(|id| own.get(id)).collect();
        value.push(json!({ "incident": row, "shared": shared }));
    }
    Ok(json_response(StatusCode::OK, &json!({ "value": value })))
}

fn thing(code: i64, name: &str) -> Value {
    let kind = i16::try_from(code).ok().and_then(EntityKind::from_code);
    json!({ "kind": kind.map_or("entity", EntityKind::word), "name": name })
}

/// The things an incident's alerts mention, and which alert links them: to be drawn, and played in
/// the order of time. In each alert all hangs on the device, else on the account, else on what is
/// most telling.
#[utoipa::path(
    get, path = "/api/v1/incidents/{id}/graph", tag = "incident",
    params(("id" = String, Path, description = "the incident's id")),
    responses((status = 200, description = "nodes, edges, truncated", body = Object)),
)]
pub(super) async fn graph(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
) -> Answer {
    caller.require(&[Permission::IncidentRead, Permission::AlertRead])?;
    let incident = incident::find(&site.app, &caller, id_of(&id)?).await?;
    Ok(json_response(StatusCode::OK, &drawn(&site, &incident).await?))
}

async fn drawn(site: &Site, incident: &Incident) -> Result<Value, Failure> {
    let sql = format!(
        "select {COLUMNS} from alert join alert_body on alert_body.alert_id = alert.id \
         where alert.incident_id = $1 order by alert.first_activity_at, alert.id limit {}",
        ALERTS + 1
    );
    let rows = site.app.db.of(incident.tenant).query(&sql, vec![incident.id.0.into()]).await?;
    let mut drawing = Drawing::new(NODES);
    for row in rows.iter().take(usize::try_from(ALERTS).unwrap_or_default()) {
        let full = Full::from_row(row)?;
        drawing.add(full.alert.id, full.alert.head.first_activity, &entities(&full.body).list);
    }
    let nodes: Vec<Value> = drawing
        .nodes()
        .iter()
        .map(|node| {
            let mut shown = thing(i64::from(node.code), &node.name);
            shown["id"] = json!(format!("{:x}", node.id));
            shown["alertCount"] = json!(node.alerts);
            shown["firstActivityDateTime"] = json!(node.first);
            shown
        })
        .collect();
    let edges: Vec<Value> = drawing
        .edges()
        .map(|(source, target, at, alerts)| {
            json!({
                "source": format!("{:x}", source.id),
                "target": format!("{:x}", target.id),
                "alertIds": alerts,
                "at": at,
            })
        })
        .collect();
    let truncated = drawing.is_full() || rows.len() as i64 > ALERTS;
    Ok(json!({ "nodes": nodes, "edges": edges, "truncated": truncated }))
}
