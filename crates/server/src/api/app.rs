//! `/api/v1/apps`: the applications of the caller's organisation.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::sign_in::Nothing;
use crate::api::{May, done, read};
use crate::http::{Answer, Failure, Site, json_response};
use crate::permission::Permission;
use crate::tenant::apps;
use crate::tenant::caller::Caller;

/// The applications, and the permissions that can be given.
#[utoipa::path(
    get, path = "/api/v1/apps", tag = "app",
    responses((status = 200, description = "value, permissions, may", body = Object)),
)]
pub(super) async fn list(State(site): State<Site>, caller: Caller) -> Answer {
    let listed = apps::list(&site.app, &caller).await?;
    let change = May::unless(
        (!caller.may(&[Permission::AppReadWrite]))
            .then(|| "only an administrator changes applications".to_owned()),
    );
    let value: Vec<Value> = listed
        .into_iter()
        .map(|it| {
            json!({
                "clientId": it.client_id,
                "name": it.name,
                "permissions": it.permissions,
                "createdDateTime": it.created,
                "lastUsedDateTime": it.used,
                "may": { "remove": change, "rotate": change },
            })
        })
        .collect();
    let choices: Vec<String> =
        apps::choices(caller.seat()?.organisation).map(|it| it.to_string()).collect();
    let body = json!({ "value": value, "permissions": choices, "may": { "add": change } });
    Ok(json_response(StatusCode::OK, &body))
}

/// An application to be.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WantedApp {
    name: String,
    /// As `SecurityIncident.Read.All`.
    permissions: Vec<String>,
}

/// Lets an application sign in; the secret is shown this once. Needs a fresh factor.
#[utoipa::path(
    post, path = "/api/v1/apps", tag = "app", request_body = WantedApp,
    responses((status = 201, description = "clientId, clientSecret, tenantId", body = Object)),
)]
pub(super) async fn add(
    State(site): State<Site>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::AppReadWrite])?;
    let (wanted, _) = read::<WantedApp>(&site, &headers, body).await?;
    let permissions: Result<Vec<Permission>, String> =
        wanted.permissions.iter().map(|word| word.parse()).collect();
    let permissions = permissions.map_err(Failure::bad)?;
    let added = apps::add(&site.app, &caller, &wanted.name, &permissions).await?;
    Ok(json_response(StatusCode::CREATED, &added))
}

/// Gives an application a new secret, shown this once. Needs a fresh factor.
#[utoipa::path(
    post, path = "/api/v1/apps/{id}/secret", tag = "app", request_body = Nothing,
    params(("id" = String, Path, description = "the application's client id")),
    responses((status = 200, description = "clientId, clientSecret, tenantId", body = Object)),
)]
pub(super) async fn renew(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::AppReadWrite])?;
    read::<Nothing>(&site, &headers, body).await?;
    let renewed = apps::renew(&site.app, &caller, &id.to_ascii_lowercase()).await?;
    Ok(json_response(StatusCode::OK, &renewed))
}

/// Ends an application. Needs a fresh factor.
#[utoipa::path(
    delete, path = "/api/v1/apps/{id}", tag = "app",
    params(("id" = String, Path, description = "the application's client id")),
    responses((status = 204)),
)]
pub(super) async fn remove(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
) -> Answer {
    apps::remove(&site.app, &caller, &id.to_ascii_lowercase()).await?;
    Ok(done())
}
