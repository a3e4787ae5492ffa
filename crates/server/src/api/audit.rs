//! `/api/v1/audit`: the event log as auditors search it (AUD-1), and the tenant's signed tree.

use std::fmt::Write as _;

use axum::extract::State;
use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use sea_orm::Value as Sql;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::Params;
use crate::api::timeline::{COLUMNS, shown};
use crate::app::App;
use crate::audit::Checkpoint;
use crate::clock::Timestamp;
use crate::db::column;
use crate::error::Result;
use crate::graph::odata::literal::{Literal, whole_moment};
use crate::http::{Answer, Failure, Site, json_response};
use crate::id::TenantNo;
use crate::permission::Permission;
use crate::tenant::caller::Caller;
use crate::tenant::caller::log_within_reach;

/// The largest page.
const LARGEST: u64 = 1_000;
/// Rows looked at for one page when a filter lets few through.
const LOOKED_AT: i64 = 20_000;
/// Clocks may step back, so events are in order of time only up to this.
const SLACK_MICROS: i64 = 10 * 60 * 1_000_000;

/// Which records.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct Search {
    /// From this moment on, UTC.
    from: Option<String>,
    /// Before this moment, UTC.
    to: Option<String>,
    /// `Microsoft365Defender`, `MicrosoftDefenderExperts` …
    workload: Option<String>,
    /// `MS365DIncident`, `DefenderExpertsforXDRAdmin` …
    record_type: Option<String>,
    /// Who did it, by name.
    actor: Option<String>,
    /// Only this tenant, or the provider itself.
    tenant_id: Option<String>,
    /// Records of a page, 100 when absent, at most 1,000.
    top: Option<u64>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
}

/// Workload and record type of a kind of event (AUD-1).
fn record_type(kind: &str) -> (&'static str, &'static str) {
    if kind == "app.signedIn" {
        return ("AzureActiveDirectory", "AzureActiveDirectoryStsLogon");
    }
    match kind.split('.').next() {
        Some("provider" | "tenant" | "app" | "person") => {
            ("MicrosoftDefenderExperts", "DefenderExpertsforXDRAdmin")
        }
        _ => ("Microsoft365Defender", "MS365DIncident"),
    }
}

/// Records within reach, tenant by tenant, each in the order of its log.
#[utoipa::path(
    get, path = "/api/v1/audit", tag = "audit", params(Search),
    responses((status = 200, description = "value, nextCursor", body = Object)),
)]
pub(super) async fn search(
    State(site): State<Site>,
    caller: Caller,
    Params(search): Params<Search>,
) -> Answer {
    caller.require(&[Permission::AuditRead])?;
    let from = search.from.as_deref().map(|text| moment("from", text)).transpose()?;
    let to = search.to.as_deref().map(|text| moment("to", text)).transpose()?;
    let top = usize::try_from(search.top.unwrap_or(100).clamp(1, LARGEST)).unwrap_or(100);
    let tenants: Vec<TenantNo> = match &search.tenant_id {
        Some(id) => vec![log_within_reach(&site.app, &caller, id).await?],
        None => caller.logs(),
    };
    let cursor = match &search.cursor {
        None => None,
        Some(text) => {
            Some(read_cursor(text).ok_or_else(|| Failure::bad("the cursor is not one of ours"))?)
        }
    };
    let mut records = Vec::new();
    let mut next = None;
    let mut looked_at = 0;
    'tenants: for tenant in tenants {
        let mut position = match cursor {
            Some((at, _)) if tenant < at => continue,
            Some((at, position)) if tenant == at => position,
            _ => first_since(&site.app, tenant, from).await? - 1,
        };
        let tenant_id = site.app.tenant_id(tenant).await?;
        loop {
            let (sql, values) = query(tenant, position, from, to, search.actor.as_deref());
            let rows = site.app.db.query(&sql, values).await?;
            let last = rows.len() < 256;
            for row in &rows {
                position = column(row, 1)?;
                let entry = shown(row, &tenant_id)?;
                let kind = entry.get("kind").and_then(Value::as_str).unwrap_or_default();
                let (workload, kind_of_record) = record_type(kind);
                let is = |wanted: &Option<String>, word: &str| {
                    wanted.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(word))
                };
                if is(&search.workload, workload) && is(&search.record_type, kind_of_record) {
                    records.push(json!({
                        "id": format!("{tenant_id}:{position}"),
                        "organizationId": &*tenant_id,
                        "creationTime": entry.get("at"),
                        "workload": workload,
                        "recordType": kind_of_record,
                        "operation": kind,
                        "userId": entry.get("actor").and_then(|actor| actor.get("name")),
                        "userType": entry.get("actor").and_then(|actor| actor.get("kind")),
                        "objectId": entry.get("incidentId").filter(|id| !id.is_null())
                            .or(entry.get("alertId")),
                        "leaf": hex::encode(column::<Vec<u8>>(row, 9)?),
                        "auditData": entry,
                    }));
                }
                if records.len() == top {
                    next = Some(write_cursor(tenant, position));
                    break 'tenants;
                }
            }
            looked_at += 256;
            if last {
                break;
            }
            if looked_at >= LOOKED_AT {
                next = Some(write_cursor(tenant, position));
                break 'tenants;
            }
        }
    }
    Ok(json_response(StatusCode::OK, &json!({"value": records, "nextCursor": next})))
}

fn write_cursor(tenant: TenantNo, position: i64) -> String {
    BASE64.encode(format!("{}.{position}", tenant.0))
}

fn read_cursor(text: &str) -> Option<(TenantNo, i64)> {
    let text = String::from_utf8(BASE64.decode(text).ok()?).ok()?;
    let (tenant, position) = text.split_once('.')?;
    Some((TenantNo(tenant.parse().ok()?), position.parse().ok()?))
}

fn query(
    tenant: TenantNo,
    position: i64,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    actor: Option<&str>,
) -> (String, Vec<Sql>) {
    let mut values: Vec<Sql> = vec![tenant.0.into(), position.into()];
    let mut more = String::new();
    for (test, at) in [("event.at >=", from), ("event.at <", to)] {
        if let Some(at) = at {
            values.push(at.micros().into());
            let _ = write!(more, " and {test} ${}", values.len());
        }
    }
    if let Some(actor) = actor {
        values.push(actor.into());
        let _ = write!(more, " and event.actor = ${}", values.len());
    }
    let sql = format!(
        "select {COLUMNS}, event.leaf from event where event.tenant_no = $1 \
         and event.position > $2{more} order by event.position limit 256"
    );
    (sql, values)
}

/// The position at which a tenant's log may begin to be as late as `from`: a log has one order,
/// and time follows it, so halving finds the place without an index.
async fn first_since(app: &App, tenant: TenantNo, from: Option<Timestamp>) -> Result<i64> {
    let Some(from) = from else { return Ok(0) };
    let wanted = from.micros().saturating_sub(SLACK_MICROS);
    let size = "select size from ledger where tenant_no = $1";
    let row = app.db.query_one(size, vec![tenant.0.into()]).await?;
    let (mut low, mut high) = (0, row.map_or(Ok(0), |row| column::<i64>(&row, 0))?);
    while low < high {
        let middle = low + (high - low) / 2;
        let sql = "select at from event where tenant_no = $1 and position = $2";
        let row = app.db.query_one(sql, vec![tenant.0.into(), middle.into()]).await?;
        match row {
            Some(row) if column::<i64>(&row, 0)? < wanted => low = middle + 1,
            _ => high = middle,
        }
    }
    Ok(low)
}

fn moment(name: &str, text: &str) -> std::result::Result<Timestamp, Failure> {
    let found = match whole_moment(text.trim()) {
        Some(Literal::Date(at)) => Some(at),
        Some(Literal::Instant(instant)) => {
            let bound = instant.bound();
            i64::try_from(bound.floor).ok().map(Timestamp::from_micros)
        }
        _ => None,
    };
    found.ok_or_else(|| Failure::bad(format!("{name} is not a date or a date and time")))
}

/// Of which tenant.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct Whose {
    /// The tenant or the provider; an expert-side application must name one.
    tenant_id: Option<String>,
}

/// The newest signed root over a tenant's log, for its owner to keep.
#[utoipa::path(
    get, path = "/api/v1/audit/checkpoint", tag = "audit", params(Whose),
    responses(
        (status = 200, body = Checkpoint),
        (status = 404, description = "there is none yet"),
    ),
)]
pub(super) async fn checkpoint(
    State(site): State<Site>,
    caller: Caller,
    Params(whose): Params<Whose>,
) -> Answer {
    caller.require(&[Permission::AuditRead])?;
    let tenant = match &whose.tenant_id {
        Some(id) => log_within_reach(&site.app, &caller, id).await?,
        None => caller.own_tenant()?,
    };
    match crate::audit::newest(&site.app, tenant).await? {
        Some(checkpoint) => Ok(json_response(StatusCode::OK, &checkpoint)),
        None => Err(Failure::new(StatusCode::NOT_FOUND, "there is no checkpoint yet")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_date_or_a_time() {
        let at = |text: &str| moment("from", text).map(|at| at.to_string()).ok();
        assert_eq!(at("2026-01-02").as_deref(), Some("2026-01-02T00:00:00.0000000Z"));
        assert_eq!(
            at("2026-01-02T03:04:05.123456Z").as_deref(),
            Some("2026-01-02T03:04:05.1234560Z")
        );
        assert_eq!(at("yesterday"), None);
    }
}
