//! Our own API, `/api/v1`: what the Graph face has no place for.
//!
//! JSON in camelCase; times and refusals as on the Graph face; lists by cursor. Unknown members and
//! parameters are refused. Every POST may carry an `Idempotency-Key` (see `idempotency`).

mod alert;
mod audit;
mod event;
pub mod idempotency;
mod incident;
mod timeline;

use axum::body::Body;
use axum::extract::{FromRequestParts, Query};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::{Failure, Site, body};

/// The routes with their documentation.
pub fn routes() -> OpenApiRouter<Site> {
    OpenApiRouter::new()
        .routes(routes!(alert::ingest))
        .routes(routes!(alert::get))
        .routes(routes!(alert::move_alerts))
        .routes(routes!(incident::list))
        .routes(routes!(incident::get))
        .routes(routes!(incident::alerts))
        .routes(routes!(incident::start))
        .routes(routes!(incident::conclude))
        .routes(routes!(incident::merge))
        .routes(routes!(timeline::timeline))
        .routes(routes!(audit::search))
        .routes(routes!(audit::export))
        .routes(routes!(audit::checkpoint))
        .routes(routes!(event::stream))
}

/// The parameters of a query; an unknown or unreadable one is refused.
pub struct Params<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequestParts<Site> for Params<T> {
    type Rejection = Failure;
    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, Failure> {
        Query::from_request_parts(parts, site)
            .await
            .map(|Query(params)| Self(params))
            .map_err(|rejection| Failure::bad(rejection.body_text()))
    }
}

/// A request body of this type.
async fn read<T: DeserializeOwned>(
    site: &Site,
    headers: &HeaderMap,
    body: Body,
) -> Result<(T, bytes::Bytes), Failure> {
    let held = body::read(headers, body, body::SMALL, &site.bodies).await?;
    let value = serde_json::from_slice(&held.bytes)
        .map_err(|error| Failure::bad(format!("request body cannot be read: {error}")))?;
    Ok((value, held.bytes.clone()))
}
