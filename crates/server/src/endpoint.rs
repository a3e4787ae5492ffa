//! `/agent/v1`: what endpoint agents ask (see `riposte-wire`).
//!
//! All but enrolment want a client certificate that the listener verified; what headers say of one
//! counts for nothing. Refusals are in the same words whether a certificate is missing, unknown or
//! shut out. Not here: what is answered (see `agent`).

use axum::Router;
use axum::body::Body;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse as _;
use axum::routing::{post, put};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::time::{Instant, timeout_at};

use crate::agent::{self, Agent, package};
use crate::alert::format::split;
use crate::http::body::{self, Held};
use crate::http::limit::Class;
use crate::http::{
    Answer, Certificate, EXCHANGE, Failure, Site, Tls, address_of, count_address, json_response,
};

/// The longest report, in bytes.
const REPORT: usize = 8 * 1024 * 1024;
/// The longest poll, in bytes: an agent may have many indicators in force.
const POLL: usize = 2 * 1024 * 1024;
/// The most values a report may hold.
const VALUES: usize = 500_000;
/// How long a package may stop coming, and how long it may take altogether, in seconds.
const PATIENCE: (u64, u64) = (30, 3_600);

/// The routes.
pub fn routes() -> Router<Site> {
    Router::new()
        .route("/agent/v1/enrol", post(enrol))
        .route("/agent/v1/poll", post(poll))
        .route("/agent/v1/report", post(report))
        .route("/agent/v1/renew", post(renew))
        .route("/agent/v1/package/{order}", put(take_package))
}

/// An agent that showed its certificate.
struct Known {
    agent: Agent,
    certificate: Certificate,
}

fn refused() -> Failure {
    Failure::unauthorized("this needs the certificate of an agent that is enrolled")
}

impl FromRequestParts<Site> for Known {
    type Rejection = Failure;
    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, Failure> {
        let certificate = parts.extensions.get::<Certificate>().cloned().ok_or_else(refused)?;
        let found = agent::identify(&site.app, &certificate.0).await?;
        let agent = found.ok_or_else(refused)?;
        let _ = EXCHANGE.try_with(|exchange| exchange.asked_by.set(format!("agent {}", agent.id)));
        site.limiter.count(&format!("agent {}", agent.id), Class::Agent, &site.app)?;
        Ok(Self { agent, certificate })
    }
}

async fn read<T: DeserializeOwned>(
    site: &Site,
    headers: &HeaderMap,
    body: Body,
    limit: usize,
) -> Result<(T, Held), Failure> {
    let held = body::read(headers, body, limit, &site.bodies).await?;
    if split::values(&held.bytes) > VALUES {
        return Err(Failure::bad(format!("request body has more than {VALUES} values")));
    }
    let _share = site.reading.share(&held.bytes).await;
    let value = serde_json::from_slice(&held.bytes)
        .map_err(|error| Failure::bad(format!("request body cannot be read: {error}")))?;
    Ok((value, held))
}

async fn enrol(State(site): State<Site>, request: axum::extract::Request) -> Answer {
    let (parts, body) = request.into_parts();
    let from = address_of(&parts);
    count_address(&site, from, Class::Token)?;
    let (wanted, _held) = read(&site, &parts.headers, body, body::SMALL).await?;
    let mut door = site.door.get().cloned().unwrap_or_default();
    if parts.extensions.get::<Tls>().is_some() {
        // It goes on where it came in.
        door.server = None;
        door.open = true;
    } else if from.is_some_and(|from| !from.is_loopback()) {
        // Through a proxy, which passes no client certificate on.
        door.open &= door.remote;
    }
    let authority = site.authority().await?;
    let enrolled = agent::enrol::enrol(&site.app, &authority, &door, from, wanted).await?;
    let enrolled = enrolled
        .ok_or_else(|| Failure::unauthorized("the token is not valid: ask for a new one"))?;
    Ok(json_response(StatusCode::OK, &enrolled))
}

async fn poll(State(site): State<Site>, known: Known, headers: HeaderMap, body: Body) -> Answer {
    let (wanted, held) = read(&site, &headers, body, POLL).await?;
    // While it is held open its body is not.
    drop(held);
    let authority = site.authority().await?;
    let Known { agent, certificate } = &known;
    let orders =
        agent::poll::poll(&site.app, &authority, agent, &certificate.0, wanted, &site.stop).await?;
    Ok(json_response(StatusCode::OK, &orders.ok_or_else(refused)?))
}

async fn report(State(site): State<Site>, known: Known, headers: HeaderMap, body: Body) -> Answer {
    let (said, _held) = read(&site, &headers, body, REPORT).await?;
    let reported = agent::report::report(&site.app, &known.agent, said).await?;
    Ok(json_response(StatusCode::OK, &reported))
}

async fn renew(State(site): State<Site>, known: Known, headers: HeaderMap, body: Body) -> Answer {
    let (wanted, _held) = read(&site, &headers, body, body::SMALL).await?;
    let authority = site.authority().await?;
    let renewed = agent::renew::renew(&site.app, &authority, &known.agent, wanted).await?;
    Ok(json_response(StatusCode::OK, &renewed))
}

async fn take_package(
    State(site): State<Site>,
    known: Known,
    Path(order): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let length = headers.get("content-length").and_then(|it| it.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > package::LARGEST) {
        return Err(too_long());
    }
    let mut incoming = package::begin(&site.app, &known.agent, &order).await?;
    match fill(&mut incoming, body).await {
        Ok(()) => {
            let (length, sha256) = incoming.finish().await?;
            Ok(json_response(StatusCode::OK, &json!({ "size": length, "sha256": sha256 })))
        }
        Err(failure) => {
            incoming.give_up().await?;
            Ok(failure.into_response())
        }
    }
}

fn too_long() -> Failure {
    Failure::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        format!("a package has at most {} bytes", package::LARGEST),
    )
}

async fn fill(incoming: &mut package::Incoming, mut body: Body) -> Result<(), Failure> {
    let (piece, whole) = PATIENCE;
    let end = Instant::now() + std::time::Duration::from_secs(whole);
    loop {
        let until = end.min(Instant::now() + std::time::Duration::from_secs(piece));
        let frame = timeout_at(until, body.frame()).await.map_err(|_| {
            Failure::new(StatusCode::REQUEST_TIMEOUT, "request body came too slowly")
        })?;
        let Some(frame) = frame else { return Ok(()) };
        let frame = frame.map_err(|_| Failure::bad("request body ended too early"))?;
        let Ok(data): Result<Bytes, _> = frame.into_data() else { continue };
        incoming.take(&data).await?;
    }
}
