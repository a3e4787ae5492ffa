//! Around the queue: how many, as a file, saved filter sets, the words there are to choose from, and
//! what Home shows (UI-1..6).

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::access::{self, Filter, Standing};
use crate::api::incident::Queue;
use crate::api::{Params, done, read};
use crate::clock::Timestamp;
use crate::db::column;
use crate::http::{Answer, Failure, Site, csv, json_response};
use crate::incident::Incident;
use crate::permission::Permission;
use crate::service_clock;
use crate::tenant::caller::Caller;
use crate::word::{Classification, Determination, IncidentStatus, Severity};

/// Rows of a file (UI-4).
const EXPORTED: u64 = 10_000;
/// Rows read at a time for it.
const PIECE: u64 = 500;
/// What is due within so many seconds is due soon.
const SOON_S: i64 = 1_800;
/// Saved filter sets of a person.
const FILTERS: i64 = 50;

/// Which incidents.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// A condition in the syntax of OData's `$filter`.
    filter: Option<String>,
    /// Sort keys in the syntax of OData's `$orderby`.
    orderby: Option<String>,
    /// Words that must occur in the name, the id or an entity.
    search: Option<String>,
    /// Only this tenant's.
    tenant_id: Option<String>,
}

impl From<Which> for Queue {
    fn from(it: Which) -> Self {
        Self::of(it.filter, it.orderby, it.search, it.tenant_id)
    }
}

/// How many incidents a filter lets through.
#[utoipa::path(
    get, path = "/api/v1/incidents/count", tag = "incident", params(Which),
    responses((status = 200, description = "count", body = Object)),
)]
pub(super) async fn count(
    State(site): State<Site>,
    caller: Caller,
    Params(which): Params<Which>,
) -> Answer {
    caller.require(&[Permission::IncidentRead])?;
    let plan = Queue::from(which).plan(&site, &caller).await?;
    let count = plan.count(&site.app).await?;
    Ok(json_response(StatusCode::OK, &json!({ "count": count })))
}

const COLUMNS: [&str; 16] = [
    "id",
    "tenant",
    "displayName",
    "status",
    "severity",
    "priorityScore",
    "assignedTo",
    "classification",
    "determination",
    "alerts",
    "customTags",
    "systemTags",
    "createdDateTime",
    "lastUpdateDateTime",
    "firstActivityDateTime",
    "lastActivityDateTime",
];

/// The filtered list as comma-separated values, at most 10,000 rows.
#[utoipa::path(
    get, path = "/api/v1/incidents/export", tag = "incident", params(Which),
    responses((status = 200, description = "text/csv", body = String)),
)]
pub(super) async fn export(
    State(site): State<Site>,
    caller: Caller,
    Params(which): Params<Which>,
) -> Answer {
    caller.require(&[Permission::IncidentRead])?;
    let plan = Queue::from(which).plan(&site, &caller).await?;
    let start = plan.start();
    let day: String = site.app.clock.now().to_string().chars().take(10).collect();
    let step = move |(plan, place, written, head): (_, Option<_>, u64, bool)| {
        let site = site.clone();
        async move {
            let plan: crate::graph::page::Plan = plan;
            let Some(place) = place else { return Ok(None) };
            let take = PIECE.min(EXPORTED - written);
            let rows = plan.rows(&site.app, &place, take).await?;
            let mut text = if head { csv::row(&COLUMNS) } else { String::new() };
            for row in &rows {
                let incident = Incident::from_row(&row.row)?;
                let tenant = crate::tenant::name(&site.app, incident.tenant).await?;
                text.push_str(&line(&incident, &tenant));
            }
            let written = written + rows.len() as u64;
            let full = rows.len() as u64 == take && written < EXPORTED;
            let next = match rows.last() {
                Some(last) if full => Some(plan.behind(last)?),
                _ => None,
            };
            Ok::<_, crate::error::Error>(Some((text, (plan, next, written, false))))
        }
    };
    let pieces = futures_util::stream::try_unfold((plan, Some(start), 0, true), step);
    let mut response = Response::new(Body::from_stream(pieces));
    let headers = response.headers_mut();
    let kind = HeaderValue::from_static("text/csv; charset=utf-8; header=present");
    headers.insert(CONTENT_TYPE, kind);
    let name = format!("attachment; filename=\"riposte-incidents-{day}.csv\"");
    if let Ok(name) = HeaderValue::from_str(&name) {
        headers.insert(CONTENT_DISPOSITION, name);
    }
    Ok(response)
}

fn line(incident: &Incident, tenant: &str) -> String {
    let it = &incident.model;
    let cells = [
        incident.id.to_string(),
        tenant.to_owned(),
        it.display_name.clone(),
        it.state.stage().status().word().to_owned(),
        it.severity.word().to_owned(),
        it.priority_score.map_or_else(String::new, |score| score.to_string()),
        it.owner.clone().unwrap_or_default(),
        it.verdict.classification().word().to_owned(),
        it.verdict.determination().word().to_owned(),
        incident.alert_count.to_string(),
        it.custom_tags.join("; "),
        it.system_tags.join("; "),
        it.created.to_string(),
        it.updated.to_string(),
        incident.first_activity.to_string(),
        incident.last_activity.to_string(),
    ];
    csv::row(&cells.each_ref().map(String::as_str))
}

/// The words an analyst chooses from, with what people read, and which go together.
#[utoipa::path(
    get, path = "/api/v1/words", tag = "incident",
    responses((status = 200, description = "status, severity, classification", body = Object)),
)]
pub(super) async fn words(_: Caller) -> Answer {
    let one = |word: &str| json!({ "value": word, "label": label(word) });
    let determinations = |of: Classification| -> Vec<Value> {
        Determination::offered(of).iter().map(|it| one(it.word())).collect()
    };
    let classification: Vec<Value> = Classification::ALL
        .iter()
        .map(|it| {
            let mut shown = one(it.word());
            if *it == Classification::Unknown {
                shown["label"] = json!("Not set");
            }
            shown["determinations"] = json!(determinations(*it));
            shown["concludes"] = json!(matches!(
                it,
                Classification::FalsePositive | Classification::InformationalExpectedActivity
            ));
            shown
        })
        .collect();
    let status: Vec<Value> = IncidentStatus::ALL
        .iter()
        .map(|it| match it {
            IncidentStatus::AwaitingAction => {
                json!({ "value": it.word(), "label": "Awaiting customer action", "settable": false })
            }
            IncidentStatus::Redirected => {
                json!({ "value": it.word(), "label": "Redirected", "settable": false })
            }
            _ => json!({ "value": it.word(), "label": label(it.word()), "settable": true }),
        })
        .collect();
    let severity: Vec<Value> = Severity::ALL.iter().rev().map(|it| one(it.word())).collect();
    let body = json!({ "status": status, "severity": severity, "classification": classification });
    Ok(json_response(StatusCode::OK, &body))
}

/// `maliciousUserActivity` as people read it: *Malicious user activity*.
fn label(word: &str) -> String {
    let mut label = String::new();
    for (at, c) in word.chars().enumerate() {
        if at == 0 {
            label.extend(c.to_uppercase());
        } else if c.is_uppercase() {
            label.push(' ');
            label.extend(c.to_lowercase());
        } else {
            label.push(c);
        }
    }
    label
}

/// What Home shows: what waits for whom, and the last day hour by hour.
#[utoipa::path(
    get, path = "/api/v1/home", tag = "incident",
    responses((status = 200, description = "counts and alertsByHour", body = Object)),
)]
pub(super) async fn home(State(site): State<Site>, caller: Caller) -> Answer {
    caller.require(&[Permission::IncidentRead, Permission::TenantRead])?;
    let (app, now) = (&site.app, site.app.clock.now());
    let sees = caller.may(&[Permission::IncidentRead]);
    // What the caller cannot see is absent, and not nought.
    let mut home = json!({});
    if sees {
        home = json!({
            "awaitingAction": 0, "active": 0, "inProgress": 0, "queued": 0,
            "resolvedLastMonth": 0, "alertsByHour": [],
        });
    }
    if sees && !caller.queue.tenants().is_empty() {
        for (name, filter) in [
            ("awaitingAction", "status eq 'awaitingAction'".to_owned()),
            ("active", "status eq 'active'".to_owned()),
            ("inProgress", "status eq 'inProgress'".to_owned()),
            ("queued", "status eq 'active' and assignedTo eq 'Defender Experts'".to_owned()),
            (
                "resolvedLastMonth",
                format!(
                    "status eq 'resolved' and lastUpdateDateTime ge {}",
                    now.plus_seconds(-30 * 86_400)
                ),
            ),
        ] {
            let plan = Queue::of(Some(filter), None, None, None).plan(&site, &caller).await?;
            home[name] = json!(plan.count(app).await?);
        }
        home["alertsByHour"] = by_hour(&site, &caller, now).await?;
        let (missed, near) = service_clock::late(app, caller.queue.tenants(), SOON_S).await?;
        home["clocks"] = json!({ "missed": missed, "near": near });
    }
    if caller.may(&[Permission::GrantRead, Permission::AccessRequest]) {
        let filter = Filter { state: Some(Standing::Open), ..Filter::default() };
        let open = access::list(app, &caller, &filter, 1_000).await?;
        let waiting = open.iter().filter(|it| it.state(now) == access::State::Requested).count();
        home["accessRequests"] = json!(waiting);
        home["runningAccess"] = json!(open.len() - waiting);
    }
    Ok(json_response(StatusCode::OK, &home))
}

async fn by_hour(site: &Site, caller: &Caller, now: Timestamp) -> Result<Value, Failure> {
    const HOUR: i64 = 3_600_000_000;
    let db = site.app.db.reach(caller.queue.tenants());
    let first = now.micros() / HOUR - 23;
    let mut hours = vec![[0_i64; 2]; 24];
    for (place, table) in [(0, "alert"), (1, "incident")] {
        let numbers = caller.queue.tenants().iter().map(|no| no.0.into()).collect();
        let (among, mut values) = db.engine().among(3, numbers);
        values.splice(0..0, [(first * HOUR).into(), HOUR.into()]);
        let sql = format!(
            "select created_at / $2, count(*) from {table} where created_at >= $1 \
             and tenant_no {among} group by created_at / $2"
        );
        for row in db.query(&sql, values).await? {
            let hour = usize::try_from(column::<i64>(&row, 0)? - first).ok();
            if let Some(of) = hour.and_then(|hour| hours.get_mut(hour)) {
                of[place] = column(&row, 1)?;
            }
        }
    }
    let shown = (first..).zip(hours).map(|(hour, [alerts, incidents])| {
        let at = Timestamp::from_micros(hour * HOUR);
        json!({ "at": at, "alerts": alerts, "incidents": incidents })
    });
    Ok(Value::Array(shown.collect()))
}

/// The caller's saved filter sets in this organisation.
#[utoipa::path(
    get, path = "/api/v1/filters", tag = "incident",
    responses((status = 200, description = "value: id, name, query", body = Object)),
)]
pub(super) async fn filters(State(site): State<Site>, caller: Caller) -> Answer {
    let seat = caller.seat()?;
    let rows = site
        .app
        .db
        .of(seat.organisation)
        .query(
            "select id, name, query from saved_filter where person_id = $1 and tenant_no = $2 \
             order by name, id",
            vec![caller.client_id.clone().into(), seat.organisation.0.into()],
        )
        .await?;
    let mut value = Vec::with_capacity(rows.len());
    for row in &rows {
        value.push(json!({
            "id": column::<String>(row, 0)?,
            "name": column::<String>(row, 1)?,
            "query": column::<String>(row, 2)?,
        }));
    }
    Ok(json_response(StatusCode::OK, &json!({ "value": value })))
}

/// A filter set to be kept.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Kept {
    name: String,
    /// The query of the queue's address.
    query: String,
}

/// Keeps a filter set under a name; one of the same name is replaced.
#[utoipa::path(
    post, path = "/api/v1/filters", tag = "incident", request_body = Kept,
    responses((status = 201, description = "id, name, query", body = Object)),
)]
pub(super) async fn save(
    State(site): State<Site>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let organisation = caller.seat()?.organisation;
    let (kept, _) = read::<Kept>(&site, &headers, body).await?;
    let name = crate::tenant::named("filter set", &kept.name)?.to_owned();
    if kept.query.len() > 4_000 {
        return Err(Failure::bad("a filter set has at most 4,000 characters"));
    }
    let app = &site.app;
    let id = app.random.uuid()?;
    let person = caller.client_id.clone();
    let tx = app.db.of(organisation).begin().await?;
    tx.execute(
        "delete from saved_filter where person_id = $1 and tenant_no = $2 and name = $3",
        vec![person.clone().into(), organisation.0.into(), name.clone().into()],
    )
    .await?;
    let row = tx
        .query_one(
            "select count(*) from saved_filter where person_id = $1 and tenant_no = $2",
            vec![person.clone().into(), organisation.0.into()],
        )
        .await?;
    if row.map_or(Ok(0), |row| column::<i64>(&row, 0))? >= FILTERS {
        return Err(Failure::new(
            StatusCode::CONFLICT,
            format!("a person keeps {FILTERS} filter sets at most"),
        ));
    }
    tx.execute(
        "insert into saved_filter (id, person_id, tenant_no, name, query, created_at) \
         values ($1, $2, $3, $4, $5, $6)",
        vec![
            id.clone().into(),
            person.into(),
            organisation.0.into(),
            name.clone().into(),
            kept.query.clone().into(),
            app.clock.now().micros().into(),
        ],
    )
    .await?;
    tx.commit().await?;
    let body = json!({ "id": id, "name": name, "query": kept.query });
    Ok(json_response(StatusCode::CREATED, &body))
}

/// Forgets a filter set.
#[utoipa::path(
    delete, path = "/api/v1/filters/{id}", tag = "incident",
    params(("id" = String, Path, description = "the filter set's id")),
    responses((status = 204), (status = 404, description = "there is none")),
)]
pub(super) async fn forget(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
) -> Answer {
    let organisation = caller.seat()?.organisation;
    let tx = site.app.db.of(organisation).begin().await?;
    let gone = tx
        .execute(
            "delete from saved_filter where id = $1 and person_id = $2",
            vec![id.into(), caller.client_id.clone().into()],
        )
        .await?;
    tx.commit().await?;
    if gone == 0 {
        return Err(Failure::new(StatusCode::NOT_FOUND, "the filter set does not exist"));
    }
    Ok(done())
}
