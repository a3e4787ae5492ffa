//! `/api/v1/exclusions`: what the experts never act on (EXC-1..3).

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::json;

use crate::api::{May, done, idempotency, read};
use crate::coverage::{self, Exclusion};
use crate::http::{Answer, Failure, Site, json_response};
use crate::permission::Permission;
use crate::tenant::caller::Caller;

/// Everything the caller's own organisation excludes.
#[utoipa::path(
    get, path = "/api/v1/exclusions", tag = "exclusion",
    responses((status = 200, description = "devices, users, deviceGroups …", body = Object)),
)]
pub(super) async fn list(State(site): State<Site>, caller: Caller) -> Answer {
    caller.require(&[Permission::ExclusionRead])?;
    show(&site, &caller, StatusCode::OK).await
}

async fn show(site: &Site, caller: &Caller, status: StatusCode) -> Answer {
    let all = coverage::exclusions(&site.app, caller.own_tenant()?).await?;
    let of = |kind: &str| -> Vec<&Exclusion> { all.iter().filter(|it| it.kind == kind).collect() };
    let change = (!caller.may(&[Permission::ExclusionReadWrite]))
        .then(|| "only a Security Administrator changes what is excluded".to_owned());
    let body = json!({
        "devices": of("device"),
        "users": of("user"),
        "deviceGroups": of("deviceGroup"),
        "userGroups": of("userGroup"),
        "highValueDevices": !of(coverage::HIGH_VALUE_DEVICES).is_empty(),
        "highValueUsers": false,
        "may": {
            "change": May::unless(change),
            "userGroups": May::unless(Some(
                "no directory is connected that says who is in a group".to_owned()
            )),
            "highValueUsers": May::unless(Some(
                "no directory is connected that says which users are of high value".to_owned()
            )),
        },
    });
    Ok(json_response(status, &body))
}

/// What is to be excluded.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Excluded {
    /// `device`, `user` or `deviceGroup`.
    kind: String,
    /// Its name.
    name: String,
    /// Why, at most 1,000 characters.
    because: Option<String>,
}

/// Excludes a device, a user or a device group.
#[utoipa::path(
    post, path = "/api/v1/exclusions", tag = "exclusion", request_body = Excluded,
    responses((status = 201, description = "the exclusion", body = Object)),
)]
pub(super) async fn add(
    State(site): State<Site>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::ExclusionReadWrite])?;
    let (wanted, bytes) = read::<Excluded>(&site, &headers, body).await?;
    let (app, who) = (site.app.clone(), caller.clone());
    let work = async move {
        let Excluded { kind, name, because } = wanted;
        let id = coverage::exclude(&site.app, &who, &kind, &name, because).await?;
        let all = coverage::exclusions(&site.app, who.own_tenant()?).await?;
        let one = all.into_iter().find(|it| it.id == id);
        let one = one.ok_or_else(|| Failure::new(StatusCode::CONFLICT, "it was taken back"))?;
        Ok(json_response(StatusCode::CREATED, &json!(one)))
    };
    idempotency::once(&app, &caller, &headers, &[b"POST exclusion", &bytes], work).await
}

/// Takes an exclusion back.
#[utoipa::path(
    delete, path = "/api/v1/exclusions/{id}", tag = "exclusion",
    params(("id" = String, Path, description = "the exclusion's id")),
    responses((status = 204), (status = 404)),
)]
pub(super) async fn remove(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
) -> Answer {
    caller.require(&[Permission::ExclusionReadWrite])?;
    coverage::include(&site.app, &caller, &id).await?;
    Ok(done())
}

/// The switches.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct HighValue {
    /// Whether experts act on no device of high value.
    devices: bool,
    /// The same for users; no directory says which they are, so that it can only be off.
    users: bool,
}

/// Excludes all assets of high value, or no longer (EXC-3).
#[utoipa::path(
    put, path = "/api/v1/exclusions/high-value", tag = "exclusion", request_body = HighValue,
    responses((status = 200, description = "all exclusions", body = Object)),
)]
pub(super) async fn high_value(
    State(site): State<Site>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::ExclusionReadWrite])?;
    let (wanted, _) = read::<HighValue>(&site, &headers, body).await?;
    if wanted.users {
        return Err(Failure::bad(
            "no directory is connected that says which users are of high value",
        ));
    }
    coverage::exclude_high_value(&site.app, &caller, wanted.devices).await?;
    show(&site, &caller, StatusCode::OK).await
}
