//! `/api/v1/agent-tokens`: what endpoint agents of the caller's tenant enrol with.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::agent::token;
use crate::api::{done, read};
use crate::http::{Answer, Base, Site, json_response};
use crate::permission::Permission;
use crate::tenant::caller::Caller;

/// The tokens that are valid now.
#[utoipa::path(
    get, path = "/api/v1/agent-tokens", tag = "device",
    responses((status = 200, description = "value", body = Object)),
)]
pub(super) async fn list(State(site): State<Site>, caller: Caller) -> Answer {
    let listed = token::list(&site.app, &caller).await?;
    let value: Vec<Value> = listed
        .into_iter()
        .map(|it| {
            json!({
                "id": it.id,
                "createdBy": it.by,
                "createdDateTime": it.at,
                "expiresDateTime": it.until,
                "uses": it.uses,
            })
        })
        .collect();
    Ok(json_response(StatusCode::OK, &json!({ "value": value })))
}

/// A token to be.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WantedToken {
    /// For how many hours it is valid: 1 to 720, 24 when absent.
    hours: Option<i64>,
}

/// Makes a token; it is shown this once, with the command that uses it. Needs a fresh factor.
#[utoipa::path(
    post, path = "/api/v1/agent-tokens", tag = "device", request_body = WantedToken,
    responses((status = 201, description = "id, token, expiresDateTime, command", body = Object)),
)]
pub(super) async fn add(
    State(site): State<Site>,
    caller: Caller,
    base: Base,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::DeviceReadWrite])?;
    let (wanted, _) = read::<WantedToken>(&site, &headers, body).await?;
    let made = token::add(&site.app, &caller, wanted.hours).await?;
    let body = json!({
        "id": made.id,
        "token": made.token,
        "expiresDateTime": made.until,
        "command": command(&site, &base, &made.token),
    });
    Ok(json_response(StatusCode::CREATED, &body))
}

/// The line to paste at a device. Where people come in over plain HTTP nobody comes from elsewhere:
/// an agent of another machine enrols where agents connect.
fn command(site: &Site, base: &Base, token: &str) -> String {
    let web = base.web(&site.app);
    let door = site.door.get().cloned().unwrap_or_default();
    let public = site.app.config.public_url.is_some();
    let apart = door.server.filter(|_| door.remote && !public && web.starts_with("http://"));
    // A proxy in front of us has a certificate of its own.
    let secured = web.starts_with("https://");
    let ours = door.authority.is_some() && (apart.is_some() || (secured && !public));
    let server = apart.as_deref().unwrap_or(web);
    let ca = if ours { " --ca ca.pem" } else { "" };
    format!("riposte-agent enrol --server {server} --token {token}{ca}")
}

/// Ends a token; what it enrolled stays.
#[utoipa::path(
    delete, path = "/api/v1/agent-tokens/{id}", tag = "device",
    params(("id" = String, Path, description = "the token's id")),
    responses((status = 204)),
)]
pub(super) async fn remove(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
) -> Answer {
    token::remove(&site.app, &caller, &id).await?;
    Ok(done())
}
