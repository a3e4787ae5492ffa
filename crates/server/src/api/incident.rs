//! `/api/v1/incidents`: the queue, one incident with everything known about it, and the experts'
//! steps.
//!
//! What an incident may have done to it, by this caller and now, is told with it (`may`), each with
//! the reason where it may not: no client needs to know the states.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::actor::ActorKind;
use crate::alert::view::{self, Comment, Full, Spelling};
use crate::api::access::queue_tenant;
use crate::api::alert::Target;
use crate::api::{May, Params, idempotency, nothing, read};
use crate::clock::Timestamp;
use crate::db::column;
use crate::graph::odata::query::Options;
use crate::graph::page::{Plan, Resource};
use crate::graph::patch;
use crate::http::{Answer, Base, Failure, Site, json_response};
use crate::id::IncidentId;
use crate::incident::entity::EntityKind;
use crate::incident::model::{Finding, Patch, State as Standing};
use crate::incident::{self, Incident};
use crate::permission::Permission;
use crate::service_clock;
use crate::tenant::caller::{Caller, Reach};
use crate::word::{Classification, Determination, Stage};

/// The largest page.
const LARGEST: u64 = 500;
/// Incidents that are changed with one request.
const BULK: usize = 100;
/// Entities shown with an incident, those of most alerts first.
const ENTITIES: i64 = 1_000;

pub(super) fn id_of(text: &str) -> Result<IncidentId, Failure> {
    text.parse().map_err(|()| Failure::new(StatusCode::NOT_FOUND, "the incident does not exist"))
}

/// Which incidents, in which order.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
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
    /// Only this tenant's.
    tenant_id: Option<String>,
}

impl Queue {
    /// Only which, not how many at a time.
    pub(super) fn of(
        filter: Option<String>,
        orderby: Option<String>,
        search: Option<String>,
        tenant_id: Option<String>,
    ) -> Self {
        Self { filter, orderby, search, tenant_id, top: None, cursor: None }
    }

    /// The rows that are asked for: in the tenants whose queue the caller sees, or the one named.
    pub(super) async fn plan(&self, site: &Site, caller: &Caller) -> Result<Plan, Failure> {
        let mut query = Vec::new();
        for (name, value) in
            [("$filter", &self.filter), ("$orderby", &self.orderby), ("$search", &self.search)]
        {
            query.extend(value.as_deref().map(|value| (name, Some(value))));
        }
        let options = Options::parse(&Options::default().rebuilt(&query))?;
        let reach = match &self.tenant_id {
            None => caller.queue.clone(),
            Some(id) => match (&caller.queue, queue_tenant(site, caller, id).await?) {
                (Reach::Tenant(_), no) => Reach::Tenant(no),
                (Reach::Granted(_), no) => Reach::Granted([no].into()),
            },
        };
        let cursor = self.cursor.as_deref();
        Plan::new(&site.app, Resource::Incident, &options, &reach, None, cursor).await
    }
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
    let top = queue.top.unwrap_or(50).clamp(1, LARGEST);
    let plan = queue.plan(&site, &caller).await?;
    let mut rows = plan.rows(&site.app, &plan.start(), top + 1).await?;
    let more = rows.len() as u64 > top;
    rows.truncate(usize::try_from(top).unwrap_or(usize::MAX));
    let next = match rows.last() {
        Some(last) if more => Some(plan.behind(last)?.token()?),
        _ => None,
    };
    let found = rows.iter().map(|row| Incident::from_row(&row.row));
    let found = found.collect::<crate::error::Result<Vec<_>>>()?;
    let ids: Vec<IncidentId> = found.iter().map(|incident| incident.id).collect();
    let due = service_clock::due(&site.app.db.reach(caller.queue.tenants()), &ids).await?;
    let mut value = Vec::with_capacity(rows.len());
    for incident in &found {
        let mut out = shown(&site, incident, &[], &base).await?;
        let next = due.get(&incident.id).map(
            |(clock, at)| json!({ "clock": clock, "whose": clock.row().whose, "dueDateTime": at }),
        );
        out.insert("nextDue".to_owned(), json!(next));
        if !caller.reach.includes(incident.tenant) {
            outside(&mut out);
        }
        value.push(Value::Object(out));
    }
    Ok(json_response(StatusCode::OK, &json!({"value": value, "nextCursor": next})))
}

/// An incident with what the Graph face has no member for.
pub(super) async fn shown(
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
    let tenant_name = crate::tenant::name(&site.app, incident.tenant).await?;
    for (name, value) in [
        ("tenantName", json!(tenant_name)),
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
        ("osPlatforms", json!(incident.facts.platforms.to_vec())),
        ("deviceGroups", json!(incident.facts.groups.to_vec())),
        ("sensitivityLabels", json!(incident.facts.labels.to_vec())),
        ("threats", json!(incident.facts.threats.to_vec())),
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

pub(super) async fn show(site: &Site, caller: &Caller, id: IncidentId, base: &Base) -> Answer {
    let incident = incident::find_in_queue(&site.app, caller, id).await?;
    let inside = caller.reach.includes(incident.tenant);
    let may = may(caller, &incident, inside);
    if !inside {
        // What the queue shows of it, and how to get further.
        let mut out = shown(site, &incident, &[], base).await?;
        outside(&mut out);
        out.insert("may".to_owned(), may);
        return Ok(json_response(StatusCode::OK, &out));
    }
    let comments =
        view::comments(&site.app.db.of(incident.tenant), "incident_id", &[id.0], i64::MAX).await?;
    let comments: Vec<Comment> = comments.into_values().flatten().collect();
    let mut out = shown(site, &incident, &comments, base).await?;
    out.insert("entities".to_owned(), entities(site, &incident).await?);
    out.insert("may".to_owned(), may);
    Ok(json_response(StatusCode::OK, &out))
}

/// Takes away what is only for those who are inside the tenant.
fn outside(out: &mut Map<String, Value>) {
    const INSIDE: [&str; 8] = [
        "description",
        "summary",
        "recommendedActions",
        "comments",
        "resolvingComment",
        "deviceGroups",
        "sensitivityLabels",
        "threats",
    ];
    out.retain(|name, _| !INSIDE.contains(&name.as_str()));
}

/// What the caller may do with an incident now, and why not.
fn may(caller: &Caller, incident: &Incident, inside: bool) -> Value {
    let because = |refused: bool, reason: &str| refused.then(|| reason.to_owned());
    let outside = because(!inside, "this needs access to the customer, which is not running");
    let writes = outside.clone().or(because(
        !caller.may(&[Permission::IncidentReadWrite]),
        "your role reads incidents and does not change them",
    ));
    let expert = caller.may(&[Permission::Experts]) && caller.actor().kind == ActorKind::Expert;
    let expert = outside.clone().or(because(!expert, "only the provider's experts do this"));
    let stage = incident.model.state.stage();
    let redirected = because(stage == Stage::Redirected, "it was merged into another incident");
    let start = match stage {
        Stage::New | Stage::LeftOut | Stage::Queued => None,
        Stage::InProgress => Some("somebody works on it already"),
        Stage::AwaitingCustomer => Some("it waits for the customer"),
        Stage::Resolved => Some("it is resolved"),
        Stage::Redirected => Some("it was merged into another incident"),
    };
    let conclude = match stage {
        Stage::InProgress => None,
        Stage::New | Stage::LeftOut | Stage::Queued => Some("nobody has taken it up yet"),
        Stage::AwaitingCustomer => Some("it waits for the customer"),
        Stage::Resolved => Some("it is resolved"),
        Stage::Redirected => Some("it was merged into another incident"),
    };
    let closed = because(!incident.model.is_open(), "it is closed");
    json!({
        "open": May::unless(outside),
        "change": May::unless(writes.clone().or(redirected)),
        "comment": May::unless(writes.clone()),
        "merge": May::unless(writes.or(closed)),
        "start": May::unless(expert.clone().or(start.map(str::to_owned))),
        "conclude": May::unless(expert.or(conclude.map(str::to_owned))),
    })
}

async fn entities(site: &Site, incident: &Incident) -> Result<Value, Failure> {
    let sql = "select min(kind), min(name), min(first_at), max(last_at), \
               cast(sum(alerts) as bigint), entity_id from run where incident_id = $1 \
               group by entity_id order by 5 desc, entity_id limit $2";
    let rows = site
        .app
        .db
        .of(incident.tenant)
        .query(sql, vec![incident.id.0.into(), ENTITIES.into()])
        .await?;
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
    let comments = view::comments(&caller.view(&site.app), "alert_id", &ids, 50).await?;
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
    body: Body,
) -> Answer {
    caller.require(&[Permission::Experts])?;
    let id = id_of(&id)?;
    nothing(&site, &headers, body).await?;
    let request = [b"POST start".as_slice(), &id.0.to_be_bytes()];
    let (app, expert) = (site.app.clone(), caller.clone());
    let work = move |made: Option<String>| async move {
        if made.is_none() {
            incident::start(&site.app, &expert, id).await?;
        }
        show(&site, &expert, id, &base).await
    };
    idempotency::once_made(&app, &caller, &headers, &request, work).await
}

/// What changes. Only what is named changes; null clears.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[expect(
    dead_code,
    reason = "for the document; the members are read with the Graph face's own words"
)]
pub(super) struct IncidentChange {
    display_name: Option<String>,
    description: Option<String>,
    summary: Option<String>,
    severity: Option<String>,
    status: Option<String>,
    assigned_to: Option<String>,
    classification: Option<String>,
    determination: Option<String>,
    custom_tags: Option<Vec<String>>,
    resolving_comment: Option<String>,
}

/// The patch that members ask for; an unknown one is refused.
fn patch(site: &Site, members: &Map<String, Value>) -> Result<Patch, Failure> {
    known(members, patch::INCIDENT_MEMBERS)?;
    patch::incident(&site.app, members)
}

/// Refuses members that are not among these.
pub(super) fn known(members: &Map<String, Value>, known: &[&str]) -> Result<(), Failure> {
    match members.keys().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => {
            let shown: String = name.chars().take(64).flat_map(char::escape_debug).collect();
            Err(Failure::bad(format!("unknown member '{shown}'; known are {}", known.join(", "))))
        }
    }
}

/// Changes members of an incident: all that are named, or none.
#[utoipa::path(
    patch, path = "/api/v1/incidents/{id}", tag = "incident", request_body = IncidentChange,
    params(("id" = String, Path, description = "the incident's id")),
    responses((status = 200, description = "the incident", body = Object)),
)]
pub(super) async fn change(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
    base: Base,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::IncidentReadWrite])?;
    let id = id_of(&id)?;
    let (members, _) = read::<Map<String, Value>>(&site, &headers, body).await?;
    let patch = patch(&site, &members)?;
    incident::change(&site.app, &caller, id, patch).await?;
    show(&site, &caller, id, &base).await
}

/// Which incidents, and what changes in each.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Bulk {
    /// At most 100.
    ids: Vec<String>,
    /// As for one incident.
    #[schema(value_type = IncidentChange)]
    change: Map<String, Value>,
}

/// Changes many incidents alike, each by itself: one that cannot be changed holds back no other.
/// When one of them is not within reach nothing is done, as if it did not exist.
#[utoipa::path(
    post, path = "/api/v1/incidents/change", tag = "incident", request_body = Bulk,
    responses(
        (status = 200, description = "value: id, changed, error", body = Object),
        (status = 404, description = "one of the incidents does not exist"),
    ),
)]
pub(super) async fn change_many(
    State(site): State<Site>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::IncidentReadWrite])?;
    let (bulk, bytes) = read::<Bulk>(&site, &headers, body).await?;
    if bulk.ids.is_empty() || bulk.ids.len() > BULK {
        return Err(Failure::bad(format!("1 to {BULK} incidents at a time")));
    }
    let patch = patch(&site, &bulk.change)?;
    let ids: Result<Vec<IncidentId>, Failure> = bulk.ids.iter().map(|id| id_of(id)).collect();
    let ids = ids?;
    for id in &ids {
        incident::find(&site.app, &caller, *id).await?;
    }
    let (app, changer) = (site.app.clone(), caller.clone());
    let work = async move {
        let mut value = Vec::with_capacity(ids.len());
        for id in ids {
            let error = match incident::change(&site.app, &changer, id, patch.clone()).await {
                Ok(()) => None,
                Err(error) => Some(Failure::from(error).message),
            };
            value.push(json!({ "id": id, "changed": error.is_none(), "error": error }));
        }
        Ok(json_response(StatusCode::OK, &json!({ "value": value })))
    };
    idempotency::once(&app, &caller, &headers, &[b"POST change", &bytes], work).await
}

/// Words for the incident's history.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct IncidentComment {
    /// At most 30,000 characters.
    comment: String,
}

/// Adds a comment.
#[utoipa::path(
    post, path = "/api/v1/incidents/{id}/comments", tag = "incident", request_body = IncidentComment,
    params(("id" = String, Path, description = "the incident's id")),
    responses((status = 200, description = "the incident", body = Object)),
)]
pub(super) async fn comment(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
    base: Base,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::IncidentReadWrite])?;
    let id = id_of(&id)?;
    let (said, bytes) = read::<IncidentComment>(&site, &headers, body).await?;
    let request = [b"POST comment".as_slice(), &id.0.to_be_bytes(), &bytes];
    let (app, author) = (site.app.clone(), caller.clone());
    let work = move |made: Option<String>| async move {
        if made.is_none() {
            incident::comment(&site.app, &author, id, vec![said.comment]).await?;
        }
        show(&site, &author, id, &base).await
    };
    idempotency::once_made(&app, &caller, &headers, &request, work).await
}

/// What an expert found.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Conclusion {
    /// To conclude `falsePositive` or `informationalExpectedActivity`, to publish `truePositive`.
    classification: String,
    /// One that goes with the classification.
    determination: String,
    /// The investigation summary.
    summary: String,
}

impl Conclusion {
    /// What was found, in the words of the model.
    pub(super) fn finding(self) -> Result<Finding, Failure> {
        let bad = |name: &str| Failure::bad(format!("{name} is not a word of its enumeration"));
        let classification =
            Classification::read(&self.classification).ok_or_else(|| bad("classification"))?;
        let determination =
            Determination::read(&self.determination).ok_or_else(|| bad("determination"))?;
        Ok(Finding { classification, determination, summary: self.summary })
    }
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
    let finding = found.finding()?;
    let request = [b"POST conclude".as_slice(), &id.0.to_be_bytes(), &bytes];
    let (app, expert) = (site.app.clone(), caller.clone());
    let work = move |made: Option<String>| async move {
        if made.is_none() {
            let Finding { classification, determination, summary } = finding;
            incident::conclude(&site.app, &expert, id, classification, determination, summary)
                .await?;
        }
        show(&site, &expert, id, &base).await
    };
    idempotency::once_made(&app, &caller, &headers, &request, work).await
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
    let work = move |made: Option<String>| async move {
        let target = match made.and_then(|id| id.parse().ok()) {
            Some(known) => known,
            None => incident::merge(&app, &merger, ids, wanted.comment).await?,
        };
        Ok(Target::answer(target))
    };
    let request = [b"POST /api/v1/incidents/merge".as_slice(), &bytes];
    idempotency::once_made(&site.app, &caller, &headers, &request, work).await
}
