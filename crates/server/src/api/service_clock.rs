//! `/api/v1/incidents/{id}/clocks`, `/api/v1/service-agreement`: how long things take, and what was
//! promised.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::Serialize;
use serde_json::{Value, json};

use crate::api::incident::id_of;
use crate::api::{May, Params, Whom, read};
use crate::clock::Timestamp;
use crate::http::{Answer, Site, json_response};
use crate::permission::Permission;
use crate::service_clock::agreement::Agreement;
use crate::service_clock::model::{self, Clock, TABLE, Whose};
use crate::service_clock::{self, Performance, Reading};
use crate::tenant::caller::Caller;

/// Microseconds as whole seconds.
fn seconds(micros: i64) -> i64 {
    micros / 1_000_000
}

/// What one service clock of an incident shows.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ClockView {
    clock: Clock,
    whose: Whose,
    /// From when until when it counts, in words.
    about: &'static str,
    /// `notStarted`, `running`, `paused`, `stopped` or `void`.
    state: &'static str,
    /// Which run it is of those that begin anew; the first is 1.
    run: Option<i64>,
    #[schema(value_type = Option<String>)]
    started_date_time: Option<Timestamp>,
    /// When it stopped, or paused.
    #[schema(value_type = Option<String>)]
    stopped_date_time: Option<Timestamp>,
    /// What has counted.
    counted_seconds: i64,
    target_seconds: Option<i64>,
    /// Whether only working hours count towards the target.
    working_hours: bool,
    /// When it reaches its target, while it runs.
    #[schema(value_type = Option<String>)]
    due_date_time: Option<Timestamp>,
    is_missed: bool,
    forecast: Option<ForecastView>,
}

/// What may be expected of a running clock.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ForecastView {
    /// When half of those like it had their time.
    #[schema(value_type = String)]
    expected_date_time: Timestamp,
    /// How many of a hundred like it missed the target.
    percent_missed: Option<i64>,
    /// From how many that was learned.
    learned_from: usize,
}

impl From<Reading> for ClockView {
    fn from(it: Reading) -> Self {
        let row = it.clock.row();
        let run = it.run.as_ref();
        let stands = run.filter(|run| run.state != model::State::Running);
        Self {
            clock: it.clock,
            whose: row.whose,
            about: row.about,
            state: run.map_or("notStarted", |run| run.state.word()),
            run: run.map(|run| run.number),
            started_date_time: run.map(|run| run.began),
            stopped_date_time: stands.map(|run| run.since),
            counted_seconds: seconds(it.counted),
            target_seconds: it.target.as_ref().map(|target| seconds(target.within)),
            working_hours: it.target.as_ref().is_some_and(|target| target.hours.is_some()),
            due_date_time: it.due,
            is_missed: it.missed,
            forecast: it.forecast.map(|it| ForecastView {
                expected_date_time: it.ends,
                percent_missed: it.percent_missed,
                learned_from: it.learned_from,
            }),
        }
    }
}

/// What the service clocks of an incident show now.
#[utoipa::path(
    get, path = "/api/v1/incidents/{id}/clocks", tag = "incident",
    params(("id" = String, Path, description = "the incident's id")),
    responses((status = 200, description = "value: Array<ClockView>", body = Object)),
)]
pub(super) async fn of_incident(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
) -> Answer {
    let readings = service_clock::of_incident(&site.app, &caller, id_of(&id)?).await?;
    let value: Vec<ClockView> = readings.into_iter().map(ClockView::from).collect();
    Ok(json_response(StatusCode::OK, &json!({ "value": value })))
}

fn performance(it: &Performance) -> Value {
    let (kept, of) = it.kept;
    json!({
        "clock": it.clock,
        "severity": it.severity.word(),
        "runs": it.runs,
        "medianSeconds": seconds(it.median),
        "p90Seconds": seconds(it.p90),
        "withTarget": of,
        "keptTarget": kept,
    })
}

async fn show(site: &Site, caller: &Caller, tenant: Option<&str>) -> Answer {
    let (whose, agreement, own) = service_clock::agreed(&site.app, caller, tenant).await?;
    let measured = match whose {
        Some(tenant) if caller.reach.includes(tenant) || caller.queue.includes(tenant) => {
            service_clock::performance(&site.app, tenant).await?
        }
        _ => Vec::new(),
    };
    let clocks: Vec<Value> = TABLE
        .iter()
        .map(|row| json!({ "clock": row.clock, "whose": row.whose, "about": row.about }))
        .collect();
    let change = (!caller.may(&[Permission::TenantReadWrite]))
        .then(|| "only a Provider administrator says what is promised".to_owned());
    let body = json!({
        "agreement": agreement,
        "isOwn": own,
        "clocks": clocks,
        "last30Days": measured.iter().map(performance).collect::<Vec<_>>(),
        "may": { "change": May::unless(change) },
    });
    Ok(json_response(StatusCode::OK, &body))
}

/// What the provider promises, and how the last 30 days were.
#[utoipa::path(
    get, path = "/api/v1/service-agreement", tag = "tenant", params(Whom),
    responses((status = 200, description = "agreement, isOwn, clocks, last30Days, may", body = Object)),
)]
pub(super) async fn agreed(
    State(site): State<Site>,
    caller: Caller,
    Params(whom): Params<Whom>,
) -> Answer {
    show(&site, &caller, whom.tenant_id.as_deref()).await
}

/// Promises something to a customer, or to all that have no agreement of their own.
#[utoipa::path(
    put, path = "/api/v1/service-agreement", tag = "tenant", params(Whom), request_body = Agreement,
    responses((status = 200, description = "the agreement", body = Object)),
)]
pub(super) async fn agree(
    State(site): State<Site>,
    caller: Caller,
    Params(whom): Params<Whom>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::TenantReadWrite])?;
    let (wanted, _) = read::<Agreement>(&site, &headers, body).await?;
    let tenant = whom.tenant_id.as_deref();
    service_clock::agree(&site.app, &caller, tenant, Some(wanted)).await?;
    show(&site, &caller, tenant).await
}

/// Takes a customer's own agreement away: that for all customers holds. Without a customer, that for
/// all is as it was at first.
#[utoipa::path(
    delete, path = "/api/v1/service-agreement", tag = "tenant", params(Whom),
    responses((status = 200, description = "the agreement that holds now", body = Object)),
)]
pub(super) async fn end(
    State(site): State<Site>,
    caller: Caller,
    Params(whom): Params<Whom>,
) -> Answer {
    caller.require(&[Permission::TenantReadWrite])?;
    let tenant = whom.tenant_id.as_deref();
    service_clock::agree(&site.app, &caller, tenant, None).await?;
    show(&site, &caller, tenant).await
}
