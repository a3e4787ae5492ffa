//! `/api/v1/ladder`, `/api/v1/incidents/{id}/escalation`, `/api/v1/calls/…`: who is reached when nobody
//! reacts, and what became of it (NOT-8).

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use crate::api::contact::why_not;
use crate::api::incident::id_of;
use crate::api::{May, read};
use crate::escalation::model::{By, Ladder, Nobody};
use crate::escalation::{self, Climb};
use crate::http::limit::Class;
use crate::http::{Answer, Failure, Site, body, count_address, json_response};
use crate::notification::phone;
use crate::permission::Permission;
use crate::person::session::Origin;
use crate::tenant::caller::Caller;

/// The longest request of a carrier's, in bytes.
const LONGEST: usize = 64 << 10;

fn shown(site: &Site, caller: &Caller, ladder: &Ladder) -> Value {
    json!({
        "ladder": ladder,
        "ways": By::ALL,
        "consequences": Nobody::ALL,
        "phone": {
            "isSetUp": site.app.config.phone.account.is_some(),
            "from": site.app.config.phone.from,
        },
        "may": { "change": May::unless(why_not(caller)) },
    })
}

/// Whom the organisation wants to be reached, one after the other.
#[utoipa::path(
    get, path = "/api/v1/ladder", tag = "contact",
    responses((status = 200, description = "ladder, ways, consequences, phone, may", body = Object)),
)]
pub(super) async fn get(State(site): State<Site>, caller: Caller) -> Answer {
    let ladder = escalation::ladder(&site.app, &caller).await?;
    Ok(json_response(StatusCode::OK, &shown(&site, &caller, &ladder)))
}

/// Chooses whom the organisation wants to be reached.
#[utoipa::path(
    put, path = "/api/v1/ladder", tag = "contact", request_body = Ladder,
    responses((status = 200, description = "as when it is asked for", body = Object)),
)]
pub(super) async fn choose(
    State(site): State<Site>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::ContactReadWrite])?;
    let (wanted, _) = read::<Ladder>(&site, &headers, body).await?;
    let ladder = escalation::choose(&site.app, &caller, wanted).await?;
    Ok(json_response(StatusCode::OK, &shown(&site, &caller, &ladder)))
}

fn climb(it: &Climb) -> Value {
    let steps: Vec<Value> = it
        .steps
        .iter()
        .map(|step| {
            json!({
                "dateTime": step.at, "name": step.name, "by": step.by, "because": step.because,
                "outcome": step.outcome,
            })
        })
        .collect();
    json!({
        "standing": it.standing,
        "startedDateTime": it.began,
        "nextDateTime": it.next,
        "endedDateTime": it.ended,
        "steps": steps,
    })
}

/// Who was reached about an incident that waited, and what became of it: the call log, the newest first.
#[utoipa::path(
    get, path = "/api/v1/incidents/{id}/escalation", tag = "incident",
    params(("id" = String, Path, description = "the incident's id")),
    responses((status = 200, description = "value", body = Object)),
)]
pub(super) async fn of_incident(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
) -> Answer {
    let climbs = escalation::of_incident(&site.app, &caller, id_of(&id)?).await?;
    let value: Vec<Value> = climbs.iter().map(climb).collect();
    Ok(json_response(StatusCode::OK, &json!({ "value": value })))
}

/// Where the carrier says how a call or a text message ended.
#[utoipa::path(
    post, path = "/api/v1/calls/{id}", tag = "contact",
    params(("id" = String, Path, description = "the delivery's id")),
    request_body(content = Object, description = "as the carrier writes it"),
    responses((status = 204), (status = 401, description = "it is not the carrier's")),
)]
pub(super) async fn ended(
    State(site): State<Site>,
    origin: Origin,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    hear(&site, &origin, (&id, false), &headers, body).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Where the carrier says that whoever was called pressed a key; it answers what is said then.
#[utoipa::path(
    post, path = "/api/v1/calls/{id}/heard", tag = "contact",
    params(("id" = String, Path, description = "the delivery's id")),
    request_body(content = Object, description = "as the carrier writes it"),
    responses((status = 200, description = "TwiML"), (status = 401)),
)]
pub(super) async fn heard(
    State(site): State<Site>,
    origin: Origin,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    hear(&site, &origin, (&id, true), &headers, body).await?;
    let mut response = Response::new(Body::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response><Hangup/></Response>",
    ));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/xml"));
    Ok(response)
}

async fn hear(
    site: &Site,
    origin: &Origin,
    what: (&str, bool),
    headers: &HeaderMap,
    body: Body,
) -> Result<(), Failure> {
    count_address(site, origin.address, Class::Chat)?;
    let held = body::read(headers, body, LONGEST, &site.bodies).await?;
    if phone::hear(&site.app, site.phone.as_deref(), what, headers, &held.bytes).await? {
        return Ok(());
    }
    Err(Failure::unauthorized("This is not what the carrier would send."))
}
