//! `/api/v1/users`: the users that alerts, devices and actions name, what is known of each, and what
//! is done to its accounts on devices.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::access::queue_tenant;
use crate::api::{May, Params, idempotency, read};
use crate::asset::account::{self, Account, Filter, Happened, OnDevice};
use crate::clock::Timestamp;
use crate::coverage;
use crate::error::Error;
use crate::http::{Answer, Failure, Site, json_response};
use crate::id::{IncidentId, TenantNo};
use crate::incident::Incident;
use crate::permission::Permission;
use crate::response::catalog::{CATALOG, Kind, TargetKind};
use crate::response::{self, order};
use crate::tenant::caller::Caller;

/// The largest page.
const LARGEST: u64 = 200;
/// Devices one request acts on.
const DEVICES: usize = 100;

type Tried<T> = std::result::Result<T, Failure>;

fn no_cursor() -> Failure {
    Failure::bad("the cursor is not one of ours")
}

/// Which users.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct Users {
    /// Part of the name.
    search: Option<String>,
    /// Only this tenant's.
    tenant_id: Option<String>,
    /// Rows of a page, 50 when absent, at most 200.
    top: Option<u64>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
}

/// Users of the tenants that the caller is inside of, by name.
#[utoipa::path(
    get, path = "/api/v1/users", tag = "user", params(Users),
    responses((status = 200, description = "value, nextCursor, count", body = Object)),
)]
pub(super) async fn list(
    State(site): State<Site>,
    caller: Caller,
    Params(which): Params<Users>,
) -> Answer {
    caller.require(&[Permission::IncidentRead])?;
    let tenants = match which.tenant_id.as_deref() {
        None => caller.reach.tenants().to_vec(),
        Some(id) => vec![inside(&site, &caller, id).await?],
    };
    let behind = match &which.cursor {
        None => None,
        Some(cursor) => {
            let parts =
                cursor.split_once('.').and_then(|(no, name)| Some((name, no.parse().ok()?)));
            let (name, no) = parts.ok_or_else(no_cursor)?;
            Some((name.to_owned(), no))
        }
    };
    let top = which.top.unwrap_or(50).clamp(1, LARGEST);
    let mut filter = Filter { search: which.search, behind };
    let app = &site.app;
    let mut users = account::list(app, &caller, &tenants, &filter, top + 1).await?;
    filter.behind = None;
    let count = account::count(app, &caller, &tenants, &filter).await?;
    let more = users.len() as u64 > top;
    users.truncate(usize::try_from(top).unwrap_or(usize::MAX));
    let next = users.last().filter(|_| more);
    let next = next.map(|last| format!("{}.{}", last.tenant.0, last.name));
    let lines = account::lines(app, &caller, &users).await?;
    let mut value = Vec::with_capacity(users.len());
    for (user, line) in users.iter().zip(lines) {
        value.push(json!({
            "name": user.name,
            "tenantId": app.tenant_id(user.tenant).await?,
            "tenantName": crate::tenant::name(app, user.tenant).await?,
            "incidentCount": line.incidents,
            "deviceCount": line.devices,
            "signedInDateTime": line.signed_in,
            "administrator": line.administrator,
        }));
    }
    let body = json!({ "value": value, "nextCursor": next, "count": count });
    Ok(json_response(StatusCode::OK, &body))
}

/// The tenant of a public id, when the caller is inside of it.
async fn inside(site: &Site, caller: &Caller, id: &str) -> Tried<TenantNo> {
    let tenant = queue_tenant(site, caller, id).await?;
    let unknown = Error::NotFound("the tenant does not exist".to_owned());
    caller.require_inside(&site.app, tenant, unknown).await?;
    Ok(tenant)
}

async fn user(site: &Site, caller: &Caller, (tenant, name): &(String, String)) -> Tried<Account> {
    caller.require(&[Permission::IncidentRead])?;
    let tenant = inside(site, caller, tenant).await?;
    Ok(account::find(&site.app, tenant, name).await?)
}

/// What can be done to a user, each with whether the caller may.
async fn actions(site: &Site, caller: &Caller, it: &Account) -> Tried<Vec<Value>> {
    let acts = caller.may(&[Permission::TaskTakeAction, Permission::Experts]);
    let because = if acts {
        response::why_not_user(&site.app, caller, it).await?
    } else {
        Some("your role reads users and does not act on them".to_owned())
    };
    let of_users = CATALOG
        .iter()
        .filter(|entry| entry.target == TargetKind::User)
        .filter(|entry| order::word(entry.kind).is_some() || order::verb(entry.kind).is_some());
    let shown = of_users.map(|entry| {
        json!({
            "actionType": entry.word, "title": entry.title, "explains": entry.explains,
            "may": May::unless(because.clone()),
        })
    });
    Ok(shown.collect())
}

fn on_device(site: &Site, it: &Account, found: &OnDevice) -> Value {
    let device = &found.device;
    let can: Vec<&str> = CATALOG
        .iter()
        .filter(|entry| entry.target == TargetKind::User)
        .filter_map(|entry| Some((entry, order::word(entry.kind)?)))
        .filter(|(_, word)| found.uid.is_some() && device.can(word).is_ok())
        .map(|(entry, _)| entry.word)
        .collect();
    json!({
        "deviceId": device.id,
        "deviceName": device.name,
        "online": device.is_online(site.app.clock.now()),
        "login": found.login,
        // Whether it bears the whole name, or only the part before the @.
        "sameName": found.login.to_lowercase() == it.name,
        "uid": found.uid,
        "canSignIn": found.can_sign_in,
        "administrator": found.administrator,
        "signedInDateTime": found.signed_in,
        "signedInFrom": found.from,
        "can": can,
    })
}

/// A user with all that is known of it.
async fn one(site: &Site, caller: &Caller, it: &Account) -> Answer {
    let app = &site.app;
    // Devices and cases are read by different permissions.
    let (devices, count) = if caller.may(&[Permission::DeviceRead]) {
        account::on_devices(app, it).await?
    } else {
        (Vec::new(), 0)
    };
    let directory = response::in_directory(app, it).await?.map(|(name, can)| {
        json!({ "name": name, "can": can.iter().map(|kind| kind.word()).collect::<Vec<_>>() })
    });
    let excluded = coverage::why_user_excluded(app, it.tenant, &it.name).await?;
    let (marked, role) = coverage::high_value_of(app, it).await?;
    let edit = (!caller.may(&[Permission::ExclusionReadWrite])).then(|| {
        "only the customer's Security Administrator says which users are of high value".to_owned()
    });
    let body = json!({
        "name": it.name,
        "tenantId": app.tenant_id(it.tenant).await?,
        "tenantName": crate::tenant::name(app, it.tenant).await?,
        "incidentCount": account::incident_count(app, caller, it).await?,
        "devices": devices.iter().map(|one| on_device(site, it, one)).collect::<Vec<_>>(),
        "deviceCount": count,
        "directory": directory,
        "highValue": marked.is_some() || role,
        "mark": marked,
        "directoryRole": role,
        "excluded": excluded.map(|because| json!({ "because": because })),
        "actions": actions(site, caller, it).await?,
        "may": { "edit": May::unless(edit) },
    });
    Ok(json_response(StatusCode::OK, &body))
}

/// One user: its accounts on devices, whether experts may act on it, and what can be done.
#[utoipa::path(
    get, path = "/api/v1/users/{tenant}/{name}", tag = "user",
    params(
        ("tenant" = String, Path, description = "the customer's id"),
        ("name" = String, Path, description = "the user's name"),
    ),
    responses((status = 200, description = "the user", body = Object)),
)]
pub(super) async fn get(
    State(site): State<Site>,
    caller: Caller,
    Path(path): Path<(String, String)>,
) -> Answer {
    let it = user(&site, &caller, &path).await?;
    one(&site, &caller, &it).await
}

/// What changes of a user.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct UserChange {
    /// Whether the customer marks it as of high value.
    high_value: bool,
    /// Why, 1 to 1,000 characters; only where it is marked.
    because: Option<String>,
}

/// Marks a user as of high value, or no longer (EXC-3).
#[utoipa::path(
    patch, path = "/api/v1/users/{tenant}/{name}", tag = "user", request_body = UserChange,
    params(
        ("tenant" = String, Path, description = "the customer's id"),
        ("name" = String, Path, description = "the user's name"),
    ),
    responses((status = 200, description = "the user", body = Object)),
)]
pub(super) async fn change(
    State(site): State<Site>,
    caller: Caller,
    Path(path): Path<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::ExclusionReadWrite])?;
    let (wanted, _) = read::<UserChange>(&site, &headers, body).await?;
    let because = match (wanted.high_value, wanted.because) {
        (true, because) => Some(because.unwrap_or_default()),
        (false, None) => None,
        (false, Some(_)) => return Err(Failure::bad("a reason goes with a mark only")),
    };
    let it = user(&site, &caller, &path).await?;
    account::change_mark(&site.app, &caller, &it, because.as_deref()).await?;
    one(&site, &caller, &it).await
}

/// Which part of a list of a user.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Part {
    /// Entries of a page, 50 when absent, at most 200.
    top: Option<u64>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
}

impl Part {
    fn top(&self) -> u64 {
        self.top.unwrap_or(50).clamp(1, LARGEST)
    }

    /// Two numbers with a point between them.
    fn pair(&self) -> Tried<Option<(i64, i64)>> {
        let Some(cursor) = &self.cursor else { return Ok(None) };
        let parts = cursor.split_once('.');
        let parts = parts.and_then(|(one, two)| Some((one.parse().ok()?, two.parse().ok()?)));
        parts.map(Some).ok_or_else(no_cursor)
    }
}

/// The incidents that name a user, the newest first.
#[utoipa::path(
    get, path = "/api/v1/users/{tenant}/{name}/incidents", tag = "user",
    params(
        ("tenant" = String, Path, description = "the customer's id"),
        ("name" = String, Path, description = "the user's name"), Part,
    ),
    responses((status = 200, description = "value, nextCursor", body = Object)),
)]
pub(super) async fn incidents(
    State(site): State<Site>,
    caller: Caller,
    Path(path): Path<(String, String)>,
    Params(part): Params<Part>,
) -> Answer {
    let it = user(&site, &caller, &path).await?;
    let top = part.top();
    let behind = match &part.cursor {
        None => None,
        Some(cursor) => Some(cursor.parse::<IncidentId>().map_err(|()| no_cursor())?),
    };
    let mut found = account::incidents(&site.app, &it, behind, top + 1).await?;
    let more = found.len() as u64 > top;
    found.truncate(usize::try_from(top).unwrap_or(usize::MAX));
    let next = found.last().filter(|_| more).map(|last| last.id.to_string());
    let shown = |incident: &Incident| {
        json!({
            "id": incident.id,
            "displayName": incident.model.display_name,
            "status": incident.model.status().word(),
            "severity": incident.model.severity.word(),
            "lastActivityDateTime": incident.last_activity,
        })
    };
    let value: Vec<Value> = found.iter().map(shown).collect();
    Ok(json_response(StatusCode::OK, &json!({ "value": value, "nextCursor": next })))
}

/// The alerts that name a user, those of the newest incidents first. A page may be short, or empty,
/// where much has to be looked through: `nextCursor` goes on.
#[utoipa::path(
    get, path = "/api/v1/users/{tenant}/{name}/alerts", tag = "user",
    params(
        ("tenant" = String, Path, description = "the customer's id"),
        ("name" = String, Path, description = "the user's name"), Part,
    ),
    responses((status = 200, description = "value, nextCursor", body = Object)),
)]
pub(super) async fn alerts(
    State(site): State<Site>,
    caller: Caller,
    Path(path): Path<(String, String)>,
    Params(part): Params<Part>,
) -> Answer {
    caller.require(&[Permission::AlertRead])?;
    let it = user(&site, &caller, &path).await?;
    let top = usize::try_from(part.top()).unwrap_or(usize::MAX);
    let (found, next) = account::alerts(&site.app, &it, part.pair()?, top).await?;
    let value: Vec<Value> = found
        .iter()
        .map(|full| {
            let alert = &full.alert;
            json!({
                "id": alert.id,
                "incidentId": alert.incident,
                "title": alert.head.title,
                "severity": alert.head.severity.word(),
                "status": alert.head.status.word(),
                "productName": alert.head.product_name,
                "lastActivityDateTime": alert.head.last_activity,
            })
        })
        .collect();
    let next = next.map(|(incident, alert)| format!("{incident}.{alert}"));
    Ok(json_response(StatusCode::OK, &json!({ "value": value, "nextCursor": next })))
}

/// What happened to a user and by it, the newest first: sign-ins that agents saw, incidents that
/// began to name it, actions on it.
#[utoipa::path(
    get, path = "/api/v1/users/{tenant}/{name}/timeline", tag = "user",
    params(
        ("tenant" = String, Path, description = "the customer's id"),
        ("name" = String, Path, description = "the user's name"), Part,
    ),
    responses((status = 200, description = "value, nextCursor", body = Object)),
)]
pub(super) async fn timeline(
    State(site): State<Site>,
    caller: Caller,
    Path(path): Path<(String, String)>,
    Params(part): Params<Part>,
) -> Answer {
    let it = user(&site, &caller, &path).await?;
    let app = &site.app;
    let top = part.top();
    // A moment, and how many of that very moment were shown already.
    let (until, shown) = part.pair()?.unwrap_or((i64::MAX, 0));
    let shown = u64::try_from(shown).map_err(|_| no_cursor())?.min(LARGEST * 10);
    let most = top + shown + 1;
    let line = |it: Happened| {
        let (device, name) = it.device.unzip();
        let said = json!({
            "at": it.at, "kind": it.kind, "text": it.text, "deviceId": device,
            "deviceName": name, "incidentId": it.incident, "actionId": null,
        });
        (it.at, said)
    };
    let mut all: Vec<(Timestamp, Value)> =
        account::timeline(app, &it, until, most).await?.into_iter().map(line).collect();
    for action in response::of_user(app, &it, until, most).await? {
        let entry = action.kind.entry();
        let said = json!({
            "at": action.requested, "kind": "action",
            "text": format!("{}: {}", entry.title, action.target.name),
            "state": action.state.word(), "by": action.requester.name,
            "deviceId": action.target.device, "deviceName": null,
            "incidentId": action.incident, "actionId": action.id,
        });
        all.push((action.requested, said));
    }
    if !caller.may(&[Permission::DeviceRead]) {
        all.retain(|(_, said)| !matches!(said["kind"].as_str(), Some("signedIn" | "signedOut")));
    }
    all.sort_by(|(one, _), (two, _)| two.cmp(one));
    let skip = usize::try_from(shown).unwrap_or(usize::MAX);
    let there = all.iter().take(skip).take_while(|(at, _)| at.micros() == until).count();
    let mut page: Vec<(Timestamp, Value)> = all.into_iter().skip(there).collect();
    let more = page.len() as u64 > top;
    page.truncate(usize::try_from(top).unwrap_or(usize::MAX));
    let next = page.last().filter(|_| more).map(|(last, _)| {
        let same = page.iter().filter(|(at, _)| at == last).count();
        let before = if last.micros() == until { there } else { 0 };
        format!("{}.{}", last.micros(), same + before)
    });
    let value: Vec<Value> = page.into_iter().map(|(_, said)| said).collect();
    Ok(json_response(StatusCode::OK, &json!({ "value": value, "nextCursor": next })))
}

/// Something to be done to a user's accounts.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct OnUser {
    action_type: String,
    /// The accounts on these devices, at most 100.
    #[serde(default)]
    device_ids: Vec<String>,
    /// The account in the directory that a connector leads to.
    #[serde(default)]
    directory: bool,
    #[serde(default)]
    #[schema(value_type = Object)]
    options: Value,
    /// Why: mandatory (MR-18).
    comment: String,
}

/// Does something to a user's accounts, to each by itself: what cannot be done says why.
#[utoipa::path(
    post, path = "/api/v1/users/{tenant}/{name}/actions", tag = "user", request_body = OnUser,
    params(
        ("tenant" = String, Path, description = "the customer's id"),
        ("name" = String, Path, description = "the user's name"),
    ),
    responses(
        (status = 201, description = "value: deviceId, actionId, because", body = Object),
        (status = 409, description = "it can be done to none of them"),
    ),
)]
pub(super) async fn act(
    State(site): State<Site>,
    caller: Caller,
    Path(path): Path<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::TaskTakeAction, Permission::Experts])?;
    let (wanted, bytes) = read::<OnUser>(&site, &headers, body).await?;
    let it = user(&site, &caller, &path).await?;
    let kind = Kind::read(&wanted.action_type)
        .filter(|kind| kind.entry().target == TargetKind::User)
        .ok_or_else(|| Failure::bad("actionType is no type of action on a user"))?;
    if wanted.device_ids.is_empty() && !wanted.directory {
        return Err(Failure::bad("say on which devices, or in the directory"));
    }
    if wanted.device_ids.len() > DEVICES {
        return Err(Failure::bad(format!("a request acts on at most {DEVICES} devices")));
    }
    let request = [b"POST user action".as_slice(), path.0.as_bytes(), path.1.as_bytes(), &bytes];
    let (app, who) = (site.app.clone(), caller.clone());
    let OnUser { device_ids, directory, options, comment, .. } = wanted;
    let on = response::Accounts { devices: device_ids, directory };
    let work = move |made: Option<String>| async move {
        let told: Vec<response::Asked> = if let Some(known) = made {
            serde_json::from_str(&known).map_err(Error::internal)?
        } else {
            response::act_on_user(&site.app, &who, &it, (kind, &on), &options, &comment).await?
        };
        Ok(json_response(StatusCode::CREATED, &json!({ "value": told })))
    };
    Box::pin(idempotency::once_made(&app, &caller, &headers, &request, work)).await
}
