//! `/api/v1/audit`: the event log as auditors search it and take it away (AUD-1), and the tenant's
//! signed tree.

mod walk;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::Params;
use crate::audit::Checkpoint;
use crate::error::Error;
use crate::http::{Answer, Failure, Site, csv, json_response};
use crate::permission::Permission;
use crate::tenant::caller::{Caller, log_within_reach};
use walk::{Filter, Place, Walk};
pub(super) use walk::{moment, record_type};

/// The largest page.
const LARGEST: u64 = 1_000;
/// Rows looked at for one page when a filter lets few through.
const LOOKED_AT: usize = 20_000;

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
    /// The order of a log's records.
    #[serde(default)]
    #[param(inline)]
    order: Order,
    /// Records of a page, 100 when absent, at most 1,000.
    top: Option<u64>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
}

/// The order of records.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
enum Order {
    /// As they happened.
    #[default]
    Asc,
    /// The newest first.
    Desc,
}

/// Which records, and in which form.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct Export {
    /// From this moment on, UTC.
    from: Option<String>,
    /// Before this moment, UTC.
    to: Option<String>,
    /// As in a search.
    workload: Option<String>,
    /// As in a search.
    record_type: Option<String>,
    /// Who did it, by name.
    actor: Option<String>,
    /// Only this tenant, or the provider itself.
    tenant_id: Option<String>,
    /// `ndjson` (when absent) or `csv`.
    #[serde(default)]
    #[param(inline)]
    format: Format,
}

/// The form of a file.
#[derive(Clone, Copy, Default, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
enum Format {
    /// One JSON object a line.
    #[default]
    Ndjson,
    /// Comma-separated values (RFC 4180); the details of a record are JSON in its last column.
    Csv,
}

impl From<Search> for Filter {
    fn from(it: Search) -> Self {
        let Search { from, to, workload, record_type, actor, tenant_id, order, .. } = it;
        let newest_first = order == Order::Desc;
        Self { from, to, workload, record_type, actor, tenant_id, newest_first }
    }
}

impl From<Export> for Filter {
    fn from(it: Export) -> Self {
        let Export { from, to, workload, record_type, actor, tenant_id, .. } = it;
        Self { from, to, workload, record_type, actor, tenant_id, newest_first: false }
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
    let top = usize::try_from(search.top.unwrap_or(100).clamp(1, LARGEST)).unwrap_or(100);
    let cursor = search.cursor.clone();
    let mut walk = Walk::begin(&site.app, &caller, search.into()).await?;
    if let Some(cursor) = &cursor {
        walk.go_on_behind(cursor)?;
    }
    let mut records = Vec::new();
    let mut next = None;
    while let Some(found) = walk.step(&site.app).await? {
        for (place, record) in found {
            records.push(record);
            if records.len() == top {
                next = Some(place.cursor());
                break;
            }
        }
        if next.is_some() {
            break;
        }
        if walk.looked_at() >= LOOKED_AT {
            next = walk.place().map(Place::cursor);
            break;
        }
    }
    Ok(json_response(StatusCode::OK, &json!({"value": records, "nextCursor": next})))
}

/// All records within reach as a file: one JSON object a line, or comma-separated values.
#[utoipa::path(
    get, path = "/api/v1/audit/export", tag = "audit", params(Export),
    responses((status = 200, description = "application/x-ndjson or text/csv", body = String)),
)]
pub(super) async fn export(
    State(site): State<Site>,
    caller: Caller,
    Params(export): Params<Export>,
) -> Answer {
    let format = export.format;
    let walk = Walk::begin(&site.app, &caller, export.into()).await?;
    let (kind, extension) = match format {
        Format::Ndjson => ("application/x-ndjson", "ndjson"),
        Format::Csv => ("text/csv; charset=utf-8; header=present", "csv"),
    };
    let day: String = site.app.clock.now().to_string().chars().take(10).collect();
    let first = match format {
        Format::Ndjson => String::new(),
        Format::Csv => csv::row(&FILE_COLUMNS),
    };
    let pieces = futures_util::stream::try_unfold((Some(first), walk), move |(first, mut walk)| {
        let site = site.clone();
        async move {
            if let Some(first) = first {
                return Ok(Some((first, (None, walk))));
            }
            if site.stop.is_cancelled() {
                return Err(Error::Internal("the server stops".to_owned()));
            }
            let found = walk.step(&site.app).await.inspect_err(|error| {
                tracing::error!("an export of the audit log broke off: {error}");
            })?;
            let Some(found) = found else { return Ok(None) };
            let lines = found.iter().map(|(_, record)| match format {
                Format::Ndjson => format!("{record}\n"),
                Format::Csv => csv_row(record),
            });
            Ok(Some((lines.collect::<String>(), (None, walk))))
        }
    });
    let mut response = Response::new(Body::from_stream(pieces));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    let name = format!("attachment; filename=\"riposte-audit-{day}.{extension}\"");
    if let Ok(name) = HeaderValue::from_str(&name) {
        headers.insert(CONTENT_DISPOSITION, name);
    }
    Ok(response)
}

/// The columns of a file of comma-separated values: members of a record.
const FILE_COLUMNS: [&str; 10] = [
    "id",
    "creationTime",
    "organizationId",
    "workload",
    "recordType",
    "operation",
    "userType",
    "userId",
    "objectId",
    "auditData",
];

fn csv_row(record: &Value) -> String {
    let cells = FILE_COLUMNS.map(|name| match record.get(name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    });
    csv::row(&cells.each_ref().map(String::as_str))
}

/// Of which tenant.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct Whose {
    /// The tenant or the provider; an expert-side application must name one. `*` is the one over the
    /// trees of all, which says nothing of any.
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
    let found = match whose.tenant_id.as_deref() {
        Some("*") => crate::audit::newest_over_all(&site.app).await?,
        Some(id) => {
            let tenant = log_within_reach(&site.app, &caller, id).await?;
            crate::audit::newest(&site.app, tenant).await?
        }
        None => crate::audit::newest(&site.app, caller.own_tenant()?).await?,
    };
    match found {
        Some(checkpoint) => Ok(json_response(StatusCode::OK, &checkpoint)),
        None => Err(Failure::new(StatusCode::NOT_FOUND, "there is no checkpoint yet")),
    }
}
