//! `/api/v1/exclusions`: what the experts never act on (EXC-1..3).

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::{May, Params, done, idempotency, read};
use crate::coverage::{self, Exclusion};
use crate::directory::{self, ROLES, Set};
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

/// What is known of a set of users; `because`: why experts act on no user as long as it counts.
fn reading(all: &[(Set, Option<String>)], id: &str) -> Value {
    let Some((set, doubt)) = all.iter().find(|(set, _)| set.id == id) else {
        return json!({
            "lastReadDateTime": null, "members": null, "because": "it was never read", "error": null,
        });
    };
    json!({
        "lastReadDateTime": set.read,
        "members": set.read.map(|_| set.members),
        "because": doubt,
        "error": set.error,
    })
}

/// A line, a group of users with what it is called now and what is known of its members.
fn line(it: &Exclusion, known: &[(Set, Option<String>)]) -> Value {
    let mut line = json!(it);
    if let Some(group) = &it.group_id {
        let name = known.iter().find(|(set, _)| set.id == *group).map(|(set, _)| &set.name);
        line["name"] = json!(name.unwrap_or(&it.name));
        line["reading"] = reading(known, group);
    }
    line
}

async fn show(site: &Site, caller: &Caller, status: StatusCode) -> Answer {
    let tenant = caller.own_tenant()?;
    let all = coverage::exclusions(&site.app, tenant).await?;
    let known = coverage::readings(&site.app, tenant).await?;
    let of = |kind: &str| -> Vec<Value> {
        all.iter().filter(|it| it.kind == kind).map(|it| line(it, &known)).collect()
    };
    let change = (!caller.may(&[Permission::ExclusionReadWrite]))
        .then(|| "only a Security Administrator changes what is excluded".to_owned());
    let groups = match &change {
        None => coverage::why_no_groups(&site.app, tenant).await?,
        because => because.clone(),
    };
    let users = !of(coverage::HIGH_VALUE_USERS).is_empty();
    // What is on can always be turned off.
    let may_users = if users { change.clone() } else { groups.clone() };
    let body = json!({
        "devices": of("device"),
        "users": of("user"),
        "deviceGroups": of("deviceGroup"),
        "userGroups": of(coverage::USER_GROUP),
        "highValueDevices": !of(coverage::HIGH_VALUE_DEVICES).is_empty(),
        "highValueUsers": users,
        "directoryRoles": reading(&known, ROLES),
        "may": {
            "change": May::unless(change),
            "userGroups": May::unless(groups),
            "highValueUsers": May::unless(may_users),
        },
    });
    Ok(json_response(status, &body))
}

/// Which groups.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Groups {
    /// How the group's name begins; some of all groups when absent.
    search: Option<String>,
}

/// Security groups of the customer's directory, to choose one that is to be excluded (EXC-1).
#[utoipa::path(
    get, path = "/api/v1/exclusions/user-groups", tag = "exclusion", params(Groups),
    responses(
        (status = 200, description = "value: id, displayName, synced, excluded", body = Object),
        (status = 409, description = "no directory is connected, or it does not tell"),
    ),
)]
pub(super) async fn groups(
    State(site): State<Site>,
    caller: Caller,
    Params(which): Params<Groups>,
) -> Answer {
    caller.require(&[Permission::ExclusionReadWrite])?;
    let begins = which.search.unwrap_or_default();
    let found = directory::search(&site.app, &caller, &begins).await?;
    let all = coverage::exclusions(&site.app, caller.own_tenant()?).await?;
    let excluded = |id: &str| all.iter().any(|it| it.group_id.as_deref() == Some(id));
    let value: Vec<Value> = found
        .iter()
        .map(|group| {
            json!({
                "id": group.id, "displayName": group.name, "synced": group.synced,
                "excluded": excluded(&group.id),
            })
        })
        .collect();
    Ok(json_response(StatusCode::OK, &json!({ "value": value })))
}

/// What is to be excluded.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Excluded {
    /// `device`, `user`, `deviceGroup` or `userGroup`.
    kind: String,
    /// Its name; a group of users is named by its id.
    name: Option<String>,
    /// The id of a group of users in the customer's directory.
    group_id: Option<String>,
    /// Why, at most 1,000 characters.
    because: Option<String>,
}

/// Excludes a device, a user, a device group or a group of users.
#[utoipa::path(
    post, path = "/api/v1/exclusions", tag = "exclusion", request_body = Excluded,
    responses(
        (status = 201, description = "the exclusion", body = Object),
        (status = 409, description = "no directory is connected, or it does not tell"),
    ),
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
        let Excluded { kind, name, group_id, because } = wanted;
        let id = match (kind.as_str(), name, group_id) {
            (coverage::USER_GROUP, None, Some(group)) => {
                coverage::exclude_group(&site.app, &who, &group, because).await?
            }
            (coverage::USER_GROUP, ..) => {
                return Err(Failure::bad("a userGroup is named by its groupId"));
            }
            (kind, Some(name), None) => {
                coverage::exclude(&site.app, &who, kind, &name, because).await?
            }
            _ => return Err(Failure::bad("what is excluded has a name, and no groupId")),
        };
        let tenant = who.own_tenant()?;
        let all = coverage::exclusions(&site.app, tenant).await?;
        let known = coverage::readings(&site.app, tenant).await?;
        let one = all.iter().find(|it| it.id == id);
        let one = one.ok_or_else(|| Failure::new(StatusCode::CONFLICT, "it was taken back"))?;
        Ok(json_response(StatusCode::CREATED, &line(one, &known)))
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
    /// The same for users: those marked so, and those who hold a directory role.
    users: bool,
}

/// Excludes all assets of high value, or no longer (EXC-3).
#[utoipa::path(
    put, path = "/api/v1/exclusions/high-value", tag = "exclusion", request_body = HighValue,
    responses(
        (status = 200, description = "all exclusions", body = Object),
        (status = 409, description = "no directory is connected"),
    ),
)]
pub(super) async fn high_value(
    State(site): State<Site>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::ExclusionReadWrite])?;
    let (wanted, _) = read::<HighValue>(&site, &headers, body).await?;
    coverage::exclude_high_value(&site.app, &caller, wanted.devices, wanted.users).await?;
    show(&site, &caller, StatusCode::OK).await
}
