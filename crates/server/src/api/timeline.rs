//! `/api/v1/incidents/{id}/timeline`: the activity log (INC-19).

use std::collections::HashMap;
use std::fmt::Write as _;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use sea_orm::{QueryResult, Value as Sql};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::actor::ActorKind;
use crate::api::Params;
use crate::api::incident::id_of;
use crate::clock::Timestamp;
use crate::db::{column, in_list};
use crate::error::Result;
use crate::event::OF_EXPERTS;
use crate::http::{Answer, Site, json_response};
use crate::id::{AlertId, IncidentId, TenantNo};
use crate::incident;
use crate::permission::Permission;
use crate::tenant::caller::Caller;

/// The largest page.
const LARGEST: u64 = 1_000;

/// The columns [`shown`] expects, in order.
pub(super) const COLUMNS: &str = "event.tenant_no, event.position, event.at, event.kind, \
    event.actor_kind, event.actor, event.incident_id, event.alert_id, event.body";

/// Which part of the log.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct Part {
    /// Only this kind, such as `incident.changed`, or all that begin with `incident.`.
    kind: Option<String>,
    /// Only what this actor did, by name.
    actor: Option<String>,
    /// Only what actors of this kind did: `system`, `expert`, `customer` or `integration`.
    actor_kind: Option<String>,
    /// Entries of a page, 100 when absent, at most 1,000.
    top: Option<u64>,
    /// `nextCursor` of the page before.
    cursor: Option<i64>,
}

/// What happened to an incident and to those merged into it, oldest first.
#[utoipa::path(
    get, path = "/api/v1/incidents/{id}/timeline", tag = "incident",
    params(("id" = String, Path, description = "the incident's id"), Part),
    responses((status = 200, description = "value, nextCursor", body = Object)),
)]
pub(super) async fn timeline(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
    Params(part): Params<Part>,
) -> Answer {
    caller.require(&[Permission::IncidentRead])?;
    let incident = incident::find(&site.app, &caller, id_of(&id)?).await?;
    let top = part.top.unwrap_or(100).clamp(1, LARGEST);
    let mut values: Vec<Sql> =
        vec![incident.id.0.into(), incident.tenant.0.into(), part.cursor.unwrap_or(-1).into()];
    let mut more = String::new();
    for (column, wanted) in [("actor", &part.actor), ("actor_kind", &part.actor_kind)] {
        if let Some(wanted) = wanted {
            values.push(wanted.clone().into());
            let _ = write!(more, " and event.{column} = ${}", values.len());
        }
    }
    if let Some(kind) = &part.kind {
        let (test, wanted) = match kind.strip_suffix(".*").or(kind.strip_suffix('.')) {
            Some(subject) => ("substr(event.kind, 1, length($n)) = $n", format!("{subject}.")),
            None => ("event.kind = $n", kind.clone()),
        };
        values.push(wanted.into());
        let place = format!("cast(${} as text)", values.len());
        let _ = write!(more, " and {}", test.replace("$n", &place));
    }
    if caller.actor().kind != ActorKind::Expert {
        let _ = write!(more, " and event.kind not in ('{}')", OF_EXPERTS.join("', '"));
    }
    let sql = format!(
        "with recursive merged (id) as (select cast($1 as bigint) union select incident.id \
         from incident join merged on incident.redirect_id = merged.id) \
         select {COLUMNS} from event where event.incident_id in (select id from merged) \
         and event.tenant_no = $2 and event.position > $3{more} \
         order by event.position limit {}",
        top + 1
    );
    let mut rows = site.app.db.of(incident.tenant).query(&sql, values).await?;
    let full = rows.len() as u64 > top;
    rows.truncate(usize::try_from(top).unwrap_or(usize::MAX));
    let next = match rows.last() {
        Some(row) if full => Some(column::<i64>(row, 1)?.to_string()),
        _ => None,
    };
    let tenant_id = site.app.tenant_id(incident.tenant).await?;
    let mut entries = Vec::with_capacity(rows.len());
    for row in &rows {
        let mut entry = shown(row, &tenant_id)?;
        let from: i64 = column::<Option<i64>>(row, 6)?.unwrap_or(incident.id.0);
        if from != incident.id.0 {
            // What happened before the merge is marked with where it happened.
            entry.insert("originIncidentId".to_owned(), json!(IncidentId(from)));
        }
        entries.push(entry);
    }
    fill_in_comments(&site, incident.tenant, &mut entries).await?;
    Ok(json_response(StatusCode::OK, &json!({"value": entries, "nextCursor": next})))
}

/// An event as streams and logs show it.
pub(super) fn shown(row: &QueryResult, tenant_id: &str) -> Result<Map<String, Value>> {
    let body: String = column(row, 8)?;
    let mut out: Map<String, Value> = serde_json::from_str(&body).unwrap_or_default();
    for (name, value) in [
        ("tenantId", json!(tenant_id)),
        ("position", json!(column::<i64>(row, 1)?)),
        ("at", json!(Timestamp::from_micros(column(row, 2)?))),
        ("kind", json!(column::<String>(row, 3)?)),
        ("actor", json!({"kind": column::<String>(row, 4)?, "name": column::<String>(row, 5)?})),
        ("incidentId", json!(column::<Option<i64>>(row, 6)?.map(IncidentId))),
        ("alertId", json!(column::<Option<i64>>(row, 7)?.map(AlertId))),
    ] {
        out.insert(name.to_owned(), value);
    }
    Ok(out)
}

/// Comments on alerts are in the log by number only.
async fn fill_in_comments(
    site: &Site,
    tenant: TenantNo,
    entries: &mut [Map<String, Value>],
) -> Result<()> {
    let number = |entry: &Map<String, Value>| {
        let bare = !entry.contains_key("comment");
        entry.get("commentId").and_then(Value::as_i64).filter(|_| bare)
    };
    let wanted: Vec<Sql> = entries.iter().filter_map(number).map(Sql::from).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let (list, keys) = in_list(1, wanted);
    let sql = format!("select id, text from comment where id in {list}");
    let mut texts: HashMap<i64, String> = HashMap::new();
    for row in site.app.db.of(tenant).query(&sql, keys).await? {
        texts.insert(column(&row, 0)?, column(&row, 1)?);
    }
    for entry in entries {
        if let Some(text) = number(entry).and_then(|id| texts.get(&id)) {
            entry.insert("comment".to_owned(), json!(text));
        }
    }
    Ok(())
}
