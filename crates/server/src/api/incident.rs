//! `/api/v1/incidents`: the queue, one incident with everything known about it, and the experts'
//! steps.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::actor::ActorKind;
use crate::alert::view::{self, Comment, Full, Spelling};
use crate::api::alert::Target;
use crate::api::{Params, idempotency, read};
use crate::clock::Timestamp;
use crate::db::column;
use crate::graph::odata::query::Options;
use crate::graph::page::{Plan, Resource};
use crate::http::{Answer, Base, Failure, Site, json_response};
use crate::id::IncidentId;
use crate::incident::entity::EntityKind;
use crate::incident::model::State as Standing;
use crate::incident::{self, Incident};
use crate::permission::Permission;
use crate::tenant::caller::Caller;
use crate::word::{Classification, Determination, Stage};

/// The largest page.
const LARGEST: u64 = 500;
/// Entities shown with an incident, those of most alerts first.
const ENTITIES: i64 = 1_000;

pub(super) fn id_of(text: &str) -> Result<IncidentId, Failure> {
    text.parse().map_err(|()| Failure::new(StatusCode::NOT_FOUND, "the incident does not exist"))
}

/// Which incidents, in which order.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Queue {
    /// A condition in the syntax of OData's `$filter`.
    filter: Option<String>,
    /// Sort keys in the syntax of OData's `$orderby`.
    orderby: Option<String>,
    /// Words that must occur in the name, the id or an entity.
    search: Option<String>,
    /// Rows of a page, 50 when absent, at most 500.
    top: Option<u64>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
}

/// Incidents within reach, page by page.
#[utoipa::path(
    get, path = "/api/v1/incidents", tag = "incident", params(Queue),
    responses((status = 200, description = "value, count of the page before paging, nextCursor", body = Object)),
)]
pub(super) async fn list(
    State(site): State<Site>,
    caller: Caller,
    Params(queue): Params<Queue>,
    base: Base,
) -> Answer {
    caller.require(&[Permission::IncidentRead])?;
    let mut query = Vec::new();
    for (name, value) in
        [("$filter", &queue.filter), ("$orderby", &queue.orderby), ("$search", &queue.search)]
    {
        query.extend(value.as_deref().map(|value| (name, Some(value))));
    }
    let options = Options::parse(&Options::default().rebuilt(&query))?;
    let top = queue.top.unwrap_or(50).clamp(1, LARGEST);
    let cursor = queue.cursor.as_deref();
    let plan =
        Plan::new(&site.app, Resource::Incident, &options, &caller.reach, None, cursor).await?;
    let mut rows = plan.rows(&site.app, &plan.start(), top + 1).await?;
    let more = rows.len() as u64 > top;
    rows.truncate(usize::try_from(top).unwrap_or(usize::MAX));
    let next = match rows.last() {
        Some(last) if more => Some(plan.behind(last)?.token()?),
        _ => None,
    };
    let mut value = Vec::with_capacity(rows.len());
    for row in &rows {
        let incident = Incident::from_row(&row.row)?;
        value.push(Value::Object(shown(&site, &incident, &[], &base).await?));
    }
    Ok(json_response(StatusCode::OK, &json!({"value": value, "nextCursor": next})))
}

/// An incident with what the Graph face has no member for.
async fn shown(
    site: &Site,
    incident: &Incident,
    comments: &[Comment],
    base: &Base,
) -> Result<Map<String, Value>, Failure> {
    let tenant_id = site.app.tenant_id(incident.tenant).await?;
    let spelling = Spelling {
        named: true,
        web: base.web(&site.app),
        tenant_id: &tenant_id,
        beta: true,
        not_after: None,
    };
    let mut out = incident::view::json(incident, comments, None, spelling);
    let it = &incident.model;
    let factors: Value = serde_json::from_str(&incident.priority_factors).unwrap_or_default();
    let reason = match &it.state {
        Standing::LeftOut { reason, .. } => Some(reason.as_str()),
        _ => None,
    };
    for (name, value) in [
        ("stage", json!(it.state.stage().word())),
        ("leftOutBecause", json!(reason)),
        ("priorityFactors", factors),
        ("alertCount", json!(incident.alert_count)),
        ("startedDateTime", json!(it.started)),
        ("firstActivityDateTime", json!(incident.first_activity)),
        ("lastActivityDateTime", json!(incident.last_activity)),
        ("products", json!(incident.facts.products.to_vec())),
        ("categories", json!(incident.facts.categories.to_vec())),
        ("mitreTechniques", json!(incident.facts.techniques.to_vec())),
    ] {
        out.insert(name.to_owned(), value);
    }
    Ok(out)
}

/// One incident: its members, entities, why it is or is not in scope, its priority's factors, and
/// what the caller may do with it.
#[utoipa::path(
    get, path = "/api/v1/incidents/{id}", tag = "incident",
    params(("id" = String, Path, description = "the incident's id")),
    responses((status = 200, description = "the incident", body = Object)),
)]
pub(super) async fn get(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
    base: Base,
) -> Answer {
    caller.require(&[Permission::IncidentRead])?;
    show(&site, &caller, id_of(&id)?, &base).await
}

async fn show(site: &Site, caller: &Caller, id: IncidentId, base: &Base) -> Answer {
    let incident = incident::find(&site.app, &caller, id).await?;
    let comments = view::comments(&site.app, "incident_id", &[id.0], i64::MAX).await?;
    let comments: Vec<Comment> = comments.into_values().flatten().collect();
    let mut out = shown(site, &incident, &comments, base).await?;
    out.insert("entities".to_owned(), entities(site, id).await?);
    let stage = incident.model.state.stage();
    let writes = caller.may(&[Permission::IncidentReadWrite]);
    let expert = caller.may(&[Permission::Experts]) && caller.actor().kind == ActorKind::Expert;
    let open = incident.model.is_open();
    let may = json!({
        "change": writes && stage != Stage::Redirected,
        "comment": writes,
        "merge": writes && open,
        "start": expert && matches!(stage, Stage::New | Stage::LeftOut | Stage::Queued),
        "conclude": expert && stage == Stage::InProgress,
    });
    out.insert("may".to_owned(), may);
    Ok(json_response(StatusCode::OK, &out))
}

async fn entities(site: &Site, id: IncidentId) -> Result<Value, Failure> {
    let sql = "select min(kind), min(name), min(first_at), max(last_at), \
               cast(sum(alerts) as bigint), entity_id from run where incident_id = $1 \
               group by entity_id order by 5 desc, entity_id limit $2";
    let rows = site.app.db.query(sql, vec![id.0.into(), ENTITIES.into()]).await?;
    let mut all = Vec::with_capacity(rows.len());
    for row in rows {
        let code: i64 = column(&row, 0)?;
        let kind = i16::try_from(code).ok().and_then(EntityKind::from_code);
        all.push(json!({
            "kind": kind.map_or("entity", EntityKind::word),
            "name": column::<String>(&row, 1)?,
            "firstActivityDateTime": Timestamp::from_micros(column(&row, 2)?),
            "lastActivityDateTime": Timestamp::from_micros(column(&row, 3)?),
            "alertCount": column::<i64>(&row, 4)?,
        }));
    }
    Ok(Value::Array(all))
}

/// A page.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Page {
    /// Rows of a page, 50 when absent, at most 500.
    top: Option<u64>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
}

/// The alerts of an incident, each with the links that put it there.
#[utoipa::path(
    get, path = "/api/v1/incidents/{id}/alerts", tag = "incident",
    params(("id" = String, Path, description = "the incident's id"), Page),
    responses((status = 200, description = "value, nextCursor", body = Object)),
)]
pub(super) async fn alerts(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
    Params(page): Params<Page>,
    base: Base,
) -> Answer {
    caller.require(&[Permission::IncidentRead, Permission::AlertRead])?;
    let incident = incident::find(&site.app, &caller, id_of(&id)?).await?;
    let top = page.top.unwrap_or(50).clamp(1, LARGEST);
    let (options, cursor) = (Options::default(), page.cursor.as_deref());
    let plan =
        Plan::new(&site.app, Resource::Alert, &options, &caller.reach, Some(incident.id), cursor)
            .await?;
    let mut rows = plan.rows(&site.app, &plan.start(), top + 1).await?;
    let more = rows.len() as u64 > top;
    rows.truncate(usize::try_from(top).unwrap_or(usize::MAX));
    let next = match rows.last() {
        Some(last) if more => Some(plan.behind(last)?.token()?),
        _ => None,
    };
    let alerts: crate::error::Result<Vec<Full>> =
        rows.iter().map(|row| Full::from_row(&row.row)).collect();
    let alerts = alerts?;
    let ids: Vec<i64> = alerts.iter().map(|full| full.alert.id.0).collect();
    let comments = view::comments(&site.app, "alert_id", &ids, 50).await?;
    let tenant_id = site.app.tenant_id(incident.tenant).await?;
    let spelling = Spelling {
        named: true,
        web: base.web(&site.app),
        tenant_id: &tenant_id,
        beta: false,
        not_after: None,
    };
    let mut value = Vec::with_capacity(alerts.len());
    for full in alerts {
        let links = view::links(&full.alert);
        let said = comments.get(&full.alert.id.0).map_or(&[][..], Vec::as_slice);
        let mut alert = view::json(full, said, spelling);
        alert.insert("links".to_owned(), links);
        value.push(alert);
    }
    Ok(json_response(StatusCode::OK, &json!({"value": value, "nextCursor": next})))
}

/// Takes an incident up as an expert (T3).
#[utoipa::path(
    post, path = "/api/v1/incidents/{id}/start", tag = "incident",
    params(("id" = String, Path, description = "the incident's id")),
    responses(
        (status = 200, description = "the incident", body = Object),
        (status = 409, description = "it is not in a state that allows this"),
    ),
)]
pub(super) async fn start(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
    base: Base,
    headers: HeaderMap,
) -> Answer {
    caller.require(&[Permission::Experts])?;
    let id = id_of(&id)?;
    let request = [b"POST start".as_slice(), &id.0.to_be_bytes()];
    let (app, expert) = (site.app.clone(), caller.clone());
    let work = async move {
        incident::start(&site.app, &expert, id).await?;
        show(&site, &expert, id, &base).await
    };
    idempotency::once(&app, &caller, &headers, &request, work).await
}

/// What an expert found.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Conclusion {
    /// `falsePositive` or `informationalExpectedActivity`.
    classification: String,
    /// One that goes with the classification.
    determination: String,
    /// The investigation summary.
    summary: String,
}

/// Concludes that an incident is no threat (T4).
#[utoipa::path(
    post, path = "/api/v1/incidents/{id}/conclude", tag = "incident", request_body = Conclusion,
    params(("id" = String, Path, description = "the incident's id")),
    responses(
        (status = 200, description = "the incident", body = Object),
        (status = 409, description = "it is not in a state that allows this"),
    ),
)]
pub(super) async fn conclude(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
    base: Base,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::Experts])?;
    let id = id_of(&id)?;
    let (found, bytes) = read::<Conclusion>(&site, &headers, body).await?;
    let bad = |name: &str| Failure::bad(format!("{name} is not a word of its enumeration"));
    let classification =
        Classification::read(&found.classification).ok_or_else(|| bad("classification"))?;
    let determination =
        Determination::read(&found.determination).ok_or_else(|| bad("determination"))?;
    let request = [b"POST conclude".as_slice(), &id.0.to_be_bytes(), &bytes];
    let (app, expert) = (site.app.clone(), caller.clone());
    let work = async move {
        let summary = found.summary;
        incident::conclude(&site.app, &expert, id, classification, determination, summary).await?;
        show(&site, &expert, id, &base).await
    };
    idempotency::once(&app, &caller, &headers, &request, work).await
}

/// Which incidents become one.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Merge {
    /// Two to five incidents of one tenant.
    incident_ids: Vec<String>,
    /// Why, for the activity log.
    comment: Option<String>,
}

/// Merges incidents; the one somebody works on stays, else the oldest.
#[utoipa::path(
    post, path = "/api/v1/incidents/merge", tag = "incident", request_body = Merge,
    responses((status = 200, body = Target)),
)]
pub(super) async fn merge(
    State(site): State<Site>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::IncidentReadWrite])?;
    let (wanted, bytes) = read::<Merge>(&site, &headers, body).await?;
    let ids: Result<Vec<IncidentId>, Failure> =
        wanted.incident_ids.iter().map(|id| id_of(id)).collect();
    let ids = ids?;
    let (app, merger) = (site.app.clone(), caller.clone());
    let work = async move {
        Ok(Target::answer(incident::merge(&app, &merger, ids, wanted.comment).await?))
    };
    let request = [b"POST /api/v1/incidents/merge".as_slice(), &bytes];
    idempotency::once(&site.app, &caller, &headers, &request, work).await
}
