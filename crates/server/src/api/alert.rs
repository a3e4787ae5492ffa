//! `/api/v1/alerts`: intake, one alert with why it is where it is, and moving alerts.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::alert::format::Format;
use crate::alert::intake::Outcome;
use crate::alert::view::{self, Comment, Full, Spelling};
use crate::api::{Params, idempotency, read};
use crate::db::column;
use crate::graph::patch;
use crate::http::{Answer, Base, Failure, Site, Unmetered, body, json_response};
use crate::id::{AlertId, IncidentId};
use crate::incident;
use crate::permission::Permission;
use crate::tenant::caller::Caller;
use crate::tenant::caller::tenant_within_reach;

/// Where alerts go and how they are spelt.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct Ingest {
    /// `graph` (default), `defender`, `sentinel`, `ocsf`, `wazuh`, `suricata`, `elastic`, `splunk`,
    /// `cef`, `leef` or `auto`.
    format: Option<String>,
    /// The tenant; an expert-side application must name it.
    tenant_id: Option<String>,
}

/// Takes alerts in. A 2xx means: every accepted alert is on disk.
#[utoipa::path(
    post, path = "/api/v1/alerts", tag = "alert", params(Ingest),
    request_body(content = String, description = "one JSON object, an array, {\"value\":[…]}, \
        NDJSON, or text lines of the format; gzip or zstd by Content-Encoding"),
    responses(
        (status = 200, body = Outcome),
        (status = 413, description = "longer than the limit, before or after decompression"),
        (status = 503, description = "too much is waiting; Retry-After says when to try again"),
    ),
)]
pub(super) async fn ingest(
    State(site): State<Site>,
    Unmetered(caller): Unmetered,
    Params(params): Params<Ingest>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::AlertIngest])?;
    let format: Format = match params.format.as_deref() {
        None => Format::Graph,
        Some(name) => name.to_ascii_lowercase().parse().map_err(Failure::bad)?,
    };
    let tenant = match &params.tenant_id {
        Some(id) => tenant_within_reach(&site.app, &caller, id).await?,
        None => caller.own_tenant()?,
    };
    let limit = site.app.config.intake.body_bytes;
    let held = body::read(&headers, body, limit, &site.bodies).await?;
    let bytes = held.bytes.clone();
    let query = uri.query().unwrap_or_default();
    let (app, actor) = (site.app.clone(), caller.actor());
    let work = async move {
        let body = held.bytes.clone();
        let _share = site.reading.share(&body).await;
        let outcome = site.intake.accept(&site.app, tenant, actor, format, body).await?;
        Ok(json_response(StatusCode::OK, &outcome))
    };
    let request = [b"POST /api/v1/alerts".as_slice(), query.as_bytes(), &bytes];
    idempotency::once(&app, &caller, &headers, &request, work).await
}

/// One alert, with the links that put it into its incident.
#[utoipa::path(
    get, path = "/api/v1/alerts/{id}", tag = "alert",
    params(("id" = String, Path, description = "the alert's id")),
    responses((status = 200, description = "the Graph alert, with links and versions", body = Object)),
)]
pub(super) async fn get(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
    base: Base,
) -> Answer {
    caller.require(&[Permission::AlertRead])?;
    let id = id_of(&id)?;
    let sql = format!(
        "select {}, (select count(*) from alert_version where alert_id = alert.id) from alert \
         join alert_body on alert_body.alert_id = alert.id where alert.id = $1",
        view::COLUMNS
    );
    let row = caller.view(&site.app).query_one(&sql, vec![id.0.into()]).await?;
    let found = row
        .as_ref()
        .map(|row| Ok::<_, Failure>((Full::from_row(row)?, column::<i64>(row, view::WIDTH)?)));
    let (full, versions) = found
        .transpose()?
        .filter(|(full, _)| caller.reach.includes(full.alert.tenant))
        .ok_or_else(|| Failure::new(StatusCode::NOT_FOUND, format!("alert {id} does not exist")))?;
    let links = view::links(&full.alert);
    let tenant_id = site.app.tenant_id(full.alert.tenant).await?;
    let comments = view::comments(&caller.view(&site.app), "alert_id", &[id.0], i64::MAX).await?;
    let comments: Vec<Comment> = comments.into_values().flatten().collect();
    let spelling = Spelling {
        named: true,
        web: base.web(&site.app),
        tenant_id: &tenant_id,
        beta: false,
        not_after: None,
    };
    let mut body = view::json(full, &comments, spelling);
    body.insert("links".to_owned(), links);
    body.insert("versions".to_owned(), json!(versions + 1));
    Ok(json_response(StatusCode::OK, &Value::Object(body)))
}

/// What changes. Only what is named changes; null clears.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[expect(
    dead_code,
    reason = "for the document; the members are read with the Graph face's own words"
)]
pub(super) struct AlertChange {
    status: Option<String>,
    assigned_to: Option<String>,
    classification: Option<String>,
    determination: Option<String>,
}

fn id_of(text: &str) -> Result<AlertId, Failure> {
    text.parse().map_err(|()| Failure::new(StatusCode::NOT_FOUND, "the alert does not exist"))
}

/// Changes members of an alert: all that are named, or none.
#[utoipa::path(
    patch, path = "/api/v1/alerts/{id}", tag = "alert", request_body = AlertChange,
    params(("id" = String, Path, description = "the alert's id")),
    responses((status = 200, description = "the alert", body = Object)),
)]
pub(super) async fn change(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
    base: Base,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::AlertReadWrite])?;
    let number = id_of(&id)?;
    let (members, _) = read::<Map<String, Value>>(&site, &headers, body).await?;
    super::incident::known(&members, patch::ALERT_MEMBERS)?;
    let patch = patch::alert(&site.app, &members)?;
    crate::alert::change::change(&site.app, &caller, number, patch).await?;
    get(State(site), caller, Path(id), base).await
}

/// Words for the alert's history.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AlertComment {
    /// At most 30,000 characters.
    comment: String,
}

/// Adds a comment.
#[utoipa::path(
    post, path = "/api/v1/alerts/{id}/comments", tag = "alert", request_body = AlertComment,
    params(("id" = String, Path, description = "the alert's id")),
    responses((status = 200, description = "the alert", body = Object)),
)]
pub(super) async fn comment(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
    base: Base,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::AlertReadWrite])?;
    let number = id_of(&id)?;
    let (said, bytes) = read::<AlertComment>(&site, &headers, body).await?;
    let request = [b"POST comment on alert".as_slice(), &number.0.to_be_bytes(), &bytes];
    let (app, author) = (site.app.clone(), caller.clone());
    let work = move |made: Option<String>| async move {
        if made.is_none() {
            crate::alert::change::comment(&site.app, &author, number, vec![said.comment]).await?;
        }
        get(State(site), author, Path(id), base).await
    };
    idempotency::once_made(&app, &caller, &headers, &request, work).await
}

/// Which alerts go where.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Move {
    /// The alerts.
    alert_ids: Vec<String>,
    /// The incident; without it a new one.
    incident_id: Option<String>,
    /// Why, for the activity log.
    comment: Option<String>,
}

/// Where they are now.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Target {
    /// The incident.
    target_incident_id: String,
}

impl Target {
    pub(super) fn answer(id: IncidentId) -> axum::response::Response {
        axum::Json(Self { target_incident_id: id.to_string() }).into_response()
    }
}

/// Moves alerts to another incident or to a new one.
#[utoipa::path(
    post, path = "/api/v1/alerts/move", tag = "alert", request_body = Move,
    responses((status = 200, body = Target)),
)]
pub(super) async fn move_alerts(
    State(site): State<Site>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::AlertReadWrite])?;
    let (wanted, bytes) = read::<Move>(&site, &headers, body).await?;
    let unknown = |()| Failure::new(StatusCode::NOT_FOUND, "one of the alerts does not exist");
    let alerts: Result<Vec<AlertId>, Failure> =
        wanted.alert_ids.iter().map(|id| id.parse().map_err(unknown)).collect();
    let alerts = alerts?;
    let to = wanted.incident_id.map(|id| super::incident::id_of(&id)).transpose()?;
    let (app, mover) = (site.app.clone(), caller.clone());
    let work = move |made: Option<String>| async move {
        let id = match made.and_then(|id| id.parse().ok()) {
            Some(known) => known,
            None => incident::move_alerts(&app, &mover, alerts, to, wanted.comment).await?,
        };
        Ok(Target::answer(id))
    };
    let request = [b"POST /api/v1/alerts/move".as_slice(), &bytes];
    idempotency::once_made(&site.app, &caller, &headers, &request, work).await
}
