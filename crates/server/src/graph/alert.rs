//! `/security/alerts_v2`, and the alerts below an incident.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use crate::alert::format::Format;
use crate::alert::view::{self, Comment, Full};
use crate::alert::{self, change};
use crate::app::App;
use crate::db::column;
use crate::graph::incident::{id_of as incident_id, merged, tenant_of};
use crate::graph::page::Resource;
use crate::graph::patch;
use crate::graph::write::Shape;
use crate::graph::{Ask, comment, plain};
use crate::http::{Answer, Failure, Site, body, json_response};
use crate::id::{AlertId, IncidentId};
use crate::incident;
use crate::permission::Permission;
use crate::tenant::caller::Reach;

pub(super) const READ: &[Permission] = &[Permission::AlertRead];
pub(super) const WRITE: &[Permission] = &[Permission::AlertReadWrite];
/// The alerts of an incident belong to it, so who may read incidents may read them there.
const READ_WITHIN: &[Permission] = &[Permission::IncidentRead, Permission::AlertRead];

pub(super) fn id_of(text: &str) -> Result<AlertId, Failure> {
    text.parse().map_err(|()| {
        let shown: String = text.chars().take(64).flat_map(char::escape_debug).collect();
        Failure::new(StatusCode::NOT_FOUND, format!("alert {shown} does not exist"))
    })
}

/// An alert with its body, when it is within reach and, if named, in that incident.
pub(super) async fn full(
    app: &App,
    reach: &Reach,
    id: AlertId,
    within: Option<IncidentId>,
) -> Result<Full, Failure> {
    let sql = format!(
        "select {} from alert join alert_body on alert_body.alert_id = alert.id \
         where alert.id = $1",
        view::COLUMNS
    );
    let row = app.db.reach(reach.tenants()).query_one(&sql, vec![id.0.into()]).await?;
    let found = row.as_ref().map(Full::from_row).transpose()?;
    found
        .filter(|full| reach.includes(full.alert.tenant))
        .filter(|full| within.is_none() || full.alert.incident == within)
        .ok_or_else(|| Failure::new(StatusCode::NOT_FOUND, format!("alert {id} does not exist")))
}

async fn show(site: &Site, ask: &Ask, id: AlertId, within: Option<IncidentId>) -> Answer {
    let full = full(&site.app, &ask.caller.reach, id, within).await?;
    let mut row = ask.writer(site, Shape::Alert).alert(site, full).await?;
    let context = ask.context("security/alerts_v2") + "/$entity";
    row.insert("@odata.context".to_owned(), Value::from(context));
    Ok(ask.prefer.applied(json_response(StatusCode::OK, &row)))
}

pub(super) async fn list(State(site): State<Site>, ask: Ask) -> Answer {
    ask.caller.require(READ)?;
    let graph = &site.app.config.graph;
    let (usual, largest) = (graph.default_page, graph.largest_page);
    ask.list(&site, Shape::Alert, None, "security/alerts_v2", usual, largest).await
}

pub(super) async fn list_within(
    State(site): State<Site>,
    Path(id): Path<String>,
    ask: Ask,
) -> Answer {
    ask.caller.require(READ_WITHIN)?;
    let incident = incident::find(&site.app, &ask.caller, incident_id(&id)?).await?.id;
    let graph = &site.app.config.graph;
    let (usual, largest) = (graph.default_page, graph.largest_page);
    let context = format!("security/incidents('{incident}')/alerts");
    ask.list(&site, Shape::Alert, Some(incident), &context, usual, largest).await
}

pub(super) async fn count(State(site): State<Site>, ask: Ask) -> Answer {
    ask.caller.require(READ)?;
    ask.count(&site, Resource::Alert, None).await
}

pub(super) async fn count_within(
    State(site): State<Site>,
    Path(id): Path<String>,
    ask: Ask,
) -> Answer {
    ask.caller.require(READ_WITHIN)?;
    let incident = incident::find(&site.app, &ask.caller, incident_id(&id)?).await?.id;
    ask.count(&site, Resource::Alert, Some(incident)).await
}

pub(super) async fn get(State(site): State<Site>, Path(id): Path<String>, ask: Ask) -> Answer {
    ask.caller.require(READ)?;
    show(&site, &ask, id_of(&id)?, None).await
}

pub(super) async fn get_within(
    State(site): State<Site>,
    Path((id, alert)): Path<(String, String)>,
    ask: Ask,
) -> Answer {
    ask.caller.require(READ_WITHIN)?;
    show(&site, &ask, id_of(&alert)?, Some(incident_id(&id)?)).await
}

pub(super) async fn update(
    State(site): State<Site>,
    Path(id): Path<String>,
    ask: Ask,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    ask.caller.require(WRITE)?;
    let id = id_of(&id)?;
    let members = patch::object(body::json(&headers, body, &site.bodies).await?)?;
    let patch = patch::alert(&site.app, &members)?;
    change::change(&site.app, &ask.caller, id, patch).await?;
    show(&site, &ask, id, None).await
}

/// Takes one alert in, by the same way as all others.
pub(super) async fn create(
    State(site): State<Site>,
    ask: Ask,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    ask.caller.require(&[Permission::AlertReadWrite, Permission::AlertIngest])?;
    let mut members = patch::object(body::json(&headers, body, &site.bodies).await?)?;
    let named = members.remove("tenantId");
    let tenant = tenant_of(&site, &ask, named.as_ref()).await?;
    if !members.get("title").is_some_and(Value::is_string) {
        return Err(Failure::bad("a new alert needs a title"));
    }
    let text = Value::Object(members).to_string();
    let prepared = alert::intake::read(Format::Graph, text.as_bytes(), site.app.clock.now()).1;
    let [prepared] = prepared.as_slice() else {
        return Err(Failure::bad("the body is not one alert"));
    };
    let dedupe = prepared.dedupe.to_vec();
    let actor = ask.caller.actor();
    let outcome = site.intake.accept(&site.app, tenant, actor, Format::Graph, text.into()).await?;
    if let Some(error) = outcome.errors.first() {
        return Err(Failure::bad(error.message.clone()));
    }
    let row = site
        .app
        .db
        .of(tenant)
        .query_one(
            "select id from alert where tenant_no = $1 and dedupe = $2",
            vec![tenant.0.into(), dedupe.into()],
        )
        .await?
        .ok_or_else(Failure::internal)?;
    let mut response = show(&site, &ask, AlertId(column(&row, 0)?), None).await?;
    *response.status_mut() = StatusCode::CREATED;
    Ok(response)
}

/// Alerts are never deleted: what happened to them is what an audit asks about.
pub(super) async fn delete(ask: Ask) -> Answer {
    ask.caller.require(WRITE)?;
    Err(Failure::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "alerts are never deleted; resolve the alert instead",
    ))
}

pub(super) async fn comments(State(site): State<Site>, Path(id): Path<String>, ask: Ask) -> Answer {
    ask.caller.require(READ)?;
    said(&site, &ask, id_of(&id)?, None).await
}

pub(super) async fn count_comments(
    State(site): State<Site>,
    Path(id): Path<String>,
    ask: Ask,
) -> Answer {
    ask.caller.require(READ)?;
    let all = all_comments(&site, &ask, id_of(&id)?, None).await?;
    Ok(plain(comment::count(&site.app, &ask.options, &all).await?))
}

pub(super) async fn add_comment(
    State(site): State<Site>,
    Path(id): Path<String>,
    ask: Ask,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    ask.caller.require(WRITE)?;
    let id = id_of(&id)?;
    let texts = patch::comments(body::json(&headers, body, &site.bodies).await?)?;
    change::comment(&site.app, &ask.caller, id, texts).await?;
    said(&site, &ask, id, None).await
}

pub(super) async fn add_comment_within(
    State(site): State<Site>,
    Path((id, alert)): Path<(String, String)>,
    ask: Ask,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    ask.caller.require(&[Permission::IncidentReadWrite, Permission::AlertReadWrite])?;
    let (incident, id) = (incident_id(&id)?, id_of(&alert)?);
    full(&site.app, &ask.caller.reach, id, Some(incident)).await?;
    let texts = patch::comments(body::json(&headers, body, &site.bodies).await?)?;
    change::comment(&site.app, &ask.caller, id, texts).await?;
    said(&site, &ask, id, Some(incident)).await
}

/// Comments that came with the alert, then those made here.
async fn all_comments(
    site: &Site,
    ask: &Ask,
    id: AlertId,
    within: Option<IncidentId>,
) -> Result<Vec<Value>, Failure> {
    let full = full(&site.app, &ask.caller.reach, id, within).await?;
    let told = full.body.get("comments").and_then(Value::as_array).cloned().unwrap_or_default();
    let said = view::comments(&ask.caller.view(&site.app), "alert_id", &[id.0], i64::MAX).await?;
    Ok(told.into_iter().chain(said.values().flatten().map(Comment::json)).collect())
}

async fn said(site: &Site, ask: &Ask, id: AlertId, within: Option<IncidentId>) -> Answer {
    let said = all_comments(site, ask, id, within).await?;
    let context = ask.context(&format!("security/alerts_v2('{id}')/comments"));
    Ok(json_response(StatusCode::OK, &json!({"@odata.context": context, "value": said})))
}

pub(super) async fn move_alerts(
    State(site): State<Site>,
    ask: Ask,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    ask.caller.require(WRITE)?;
    let members = patch::object(body::json(&headers, body, &site.bodies).await?)?;
    let ids = match members.get("alertIds") {
        Some(ids) => patch::texts("alertIds", ids)?,
        None => return Err(Failure::bad("alertIds is missing")),
    };
    let ids: Result<Vec<AlertId>, Failure> = ids.iter().map(|id| id_of(id)).collect();
    let to = match members.get("incidentId") {
        None | Some(Value::Null) => None,
        Some(id) => Some(patch::text("incidentId", id)?),
    };
    let to = to.filter(|to| !to.is_empty()).map(|to| incident_id(&to)).transpose()?;
    let why = patch::because(&members, "alertComment", "newCorrelationReasons")?;
    let target = incident::move_alerts(&site.app, &ask.caller, ids?, to, why).await?;
    Ok(merged(&ask, target))
}
