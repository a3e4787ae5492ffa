//! `/security/incidents`.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};

use crate::alert::view::{self, Comment};
use crate::graph::page::Resource;
use crate::graph::patch;
use crate::graph::write::Shape;
use crate::graph::{Ask, comment, plain};
use crate::http::{Answer, Failure, Site, body, json_response};
use crate::id::{IncidentId, TenantNo};
use crate::incident;
use crate::permission::Permission;

const READ: &[Permission] = &[Permission::IncidentRead];
const WRITE: &[Permission] = &[Permission::IncidentReadWrite];

/// The id of a path; what is no id of ours answers like an unknown one.
pub(super) fn id_of(text: &str) -> Result<IncidentId, Failure> {
    text.parse().map_err(|()| {
        let shown: String = text.chars().take(64).flat_map(char::escape_debug).collect();
        Failure::new(StatusCode::NOT_FOUND, format!("incident {shown} does not exist"))
    })
}

fn shape(ask: &Ask) -> Result<Shape, Failure> {
    let mut nested = None;
    for expand in &ask.options.expand {
        if expand.name.eq_ignore_ascii_case("alerts") || expand.name == "*" {
            nested = Some(Box::new(expand.options()?));
        }
    }
    Ok(Shape::Incident(nested))
}

pub(super) async fn list(State(site): State<Site>, ask: Ask) -> Answer {
    ask.caller.require(READ)?;
    let shape = shape(&ask)?;
    let graph = &site.app.config.graph;
    let (usual, largest) = (graph.default_page, graph.largest_page);
    ask.list(&site, shape, None, "security/incidents", usual, largest).await
}

pub(super) async fn count(State(site): State<Site>, ask: Ask) -> Answer {
    ask.caller.require(READ)?;
    ask.count(&site, Resource::Incident, None).await
}

pub(super) async fn get(State(site): State<Site>, Path(id): Path<String>, ask: Ask) -> Answer {
    ask.caller.require(READ)?;
    show(&site, &ask, id_of(&id)?).await
}

pub(super) async fn show(site: &Site, ask: &Ask, id: IncidentId) -> Answer {
    let incident = incident::find(&site.app, &ask.caller, id).await?;
    let mut writer = ask.writer(site, shape(ask)?);
    writer.context = Some(ask.context("security/incidents") + "/$entity");
    writer.incident(site, incident, ask.prefer).await
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
    let patch = patch::incident(&site.app, &members)?;
    incident::change(&site.app, &ask.caller, id, patch).await?;
    show(&site, &ask, id).await
}

pub(super) async fn create(
    State(site): State<Site>,
    ask: Ask,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    ask.caller.require(WRITE)?;
    let members = patch::object(body::json(&headers, body, &site.bodies).await?)?;
    let tenant = tenant_of(&site, &ask, members.get("tenantId")).await?;
    let name = match members.get("displayName") {
        Some(value) => patch::text("displayName", value)?,
        None => String::new(),
    };
    if name.trim().is_empty() {
        return Err(Failure::bad("a new incident needs a displayName"));
    }
    let mut changes = patch::incident(&site.app, &members)?;
    changes.display_name = None;
    let id = incident::create(&site.app, &ask.caller, tenant, &name, changes).await?;
    let mut response = show(&site, &ask, id).await?;
    *response.status_mut() = StatusCode::CREATED;
    Ok(response)
}

/// The tenant a request to create something is about: the caller's own, or the one it names.
pub(super) async fn tenant_of(
    site: &Site,
    ask: &Ask,
    named: Option<&Value>,
) -> Result<TenantNo, Failure> {
    match named {
        None | Some(Value::Null) => Ok(ask.caller.own_tenant()?),
        Some(named) => {
            let named = patch::text("tenantId", named)?;
            Ok(crate::tenant::caller::tenant_within_reach(&site.app, &ask.caller, &named).await?)
        }
    }
}

/// Incidents are never deleted: what happened to them is what an audit asks about.
pub(super) async fn delete(ask: Ask) -> Answer {
    ask.caller.require(WRITE)?;
    Err(Failure::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "incidents are never deleted; resolve the incident instead",
    ))
}

pub(super) async fn comments(State(site): State<Site>, Path(id): Path<String>, ask: Ask) -> Answer {
    ask.caller.require(READ)?;
    said(&site, &ask, id_of(&id)?).await
}

pub(super) async fn count_comments(
    State(site): State<Site>,
    Path(id): Path<String>,
    ask: Ask,
) -> Answer {
    ask.caller.require(READ)?;
    let incident = incident::find(&site.app, &ask.caller, id_of(&id)?).await?;
    let said =
        view::comments(&site.app.db.of(incident.tenant), "incident_id", &[incident.id.0], i64::MAX)
            .await?;
    let said: Vec<Value> = said.values().flatten().map(Comment::json).collect();
    Ok(plain(comment::count(&site.app, &ask.options, &said).await?))
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
    incident::comment(&site.app, &ask.caller, id, texts).await?;
    said(&site, &ask, id).await
}

async fn said(site: &Site, ask: &Ask, id: IncidentId) -> Answer {
    let incident = incident::find(&site.app, &ask.caller, id).await?;
    let said =
        view::comments(&site.app.db.of(incident.tenant), "incident_id", &[incident.id.0], i64::MAX)
            .await?;
    let said: Vec<Value> = said.values().flatten().map(Comment::json).collect();
    let context = ask.context(&format!("security/incidents('{id}')/comments"));
    Ok(json_response(StatusCode::OK, &json!({"@odata.context": context, "value": said})))
}

pub(super) async fn merge(
    State(site): State<Site>,
    ask: Ask,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    ask.caller.require(WRITE)?;
    let members = patch::object(body::json(&headers, body, &site.bodies).await?)?;
    let ids = match members.get("incidentIds") {
        Some(ids) => patch::texts("incidentIds", ids)?,
        None => return Err(Failure::bad("incidentIds is missing")),
    };
    let ids: Result<Vec<IncidentId>, Failure> = ids.iter().map(|id| id_of(id)).collect();
    let why = patch::because(&members, "incidentComment", "mergeReasons")?;
    let target = incident::merge(&site.app, &ask.caller, ids?, why).await?;
    Ok(merged(&ask, target))
}

/// The answer to a merge or a move.
pub(super) fn merged(ask: &Ask, target: IncidentId) -> Response {
    let body = json!({
        "@odata.context": ask.context("microsoft.graph.security.mergeResponse"),
        "@odata.type": "#microsoft.graph.security.mergeResponse",
        "targetIncidentId": target,
    });
    json_response(StatusCode::OK, &body)
}
