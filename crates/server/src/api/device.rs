//! `/api/v1/devices`: the devices that agents speak for, what is known of them, and the code that
//! releases one without us.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::agent;
use crate::api::access::queue_tenant;
use crate::api::action;
use crate::api::{May, Params, done, nothing, read};
use crate::asset::{self, Device, Filter, Patch, inventory, mention, timeline};
use crate::clock::Timestamp;
use crate::coverage;
use crate::error::{Error, Result};
use crate::http::{Answer, Failure, Site, json_response};
use crate::id::TenantNo;
use crate::permission::Permission;
use crate::tenant::caller::Caller;

/// The largest page of devices.
const LARGEST: u64 = 200;
/// The largest page of a timeline.
const LARGEST_TIMELINE: u64 = 500;
/// Incidents shown with a device, the newest.
const INCIDENTS: u64 = 50;

/// Which devices.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct Devices {
    /// Part of the name, an address or a group.
    search: Option<String>,
    /// Only this tenant's.
    tenant_id: Option<String>,
    /// Rows of a page, 50 when absent, at most 200.
    top: Option<u64>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
}

/// Devices of the tenants that the caller is inside of, by name.
#[utoipa::path(
    get, path = "/api/v1/devices", tag = "device", params(Devices),
    responses((status = 200, description = "value, nextCursor, count", body = Object)),
)]
pub(super) async fn list(
    State(site): State<Site>,
    caller: Caller,
    Params(which): Params<Devices>,
) -> Answer {
    caller.require(&[Permission::DeviceRead])?;
    let tenants = tenants(&site, &caller, which.tenant_id.as_deref()).await?;
    let behind = match &which.cursor {
        None => None,
        Some(cursor) => {
            let parts =
                cursor.split_once('.').and_then(|(no, name)| Some((name, no.parse().ok()?)));
            let (name, no) = parts.ok_or_else(|| Failure::bad("the cursor is not one of ours"))?;
            Some((name.to_owned(), no))
        }
    };
    let top = which.top.unwrap_or(50).clamp(1, LARGEST);
    let mut filter = Filter { search: which.search, behind };
    let app = &site.app;
    let mut devices = asset::list(app, &caller, &tenants, &filter, top + 1).await?;
    filter.behind = None;
    let count = asset::count(app, &caller, &tenants, &filter).await?;
    let more = devices.len() as u64 > top;
    devices.truncate(usize::try_from(top).unwrap_or(usize::MAX));
    let next = devices.last().filter(|_| more);
    let next = next.map(|last| format!("{}.{}", last.no.0, last.name.to_lowercase()));
    let value = shown(&site, &caller, &devices).await?;
    let body = json!({ "value": value, "nextCursor": next, "count": count });
    Ok(json_response(StatusCode::OK, &body))
}

/// The tenants meant: those the caller is inside of, or the one named.
async fn tenants(
    site: &Site,
    caller: &Caller,
    named: Option<&str>,
) -> std::result::Result<Vec<TenantNo>, Failure> {
    let Some(id) = named else { return Ok(caller.reach.tenants().to_vec()) };
    let tenant = queue_tenant(site, caller, id).await?;
    let unknown = Error::NotFound("the tenant does not exist".to_owned());
    caller.require_inside(&site.app, tenant, unknown).await?;
    Ok(vec![tenant])
}

/// Devices as they are shown in a list.
async fn shown(
    site: &Site,
    caller: &Caller,
    devices: &[Device],
) -> Result<Vec<Map<String, Value>>> {
    let app = &site.app;
    let now = app.clock.now();
    let counts = mention::counts(app, caller, devices).await?;
    let enrolled = agent::enrolments(app, caller, devices).await?;
    let mut value = Vec::with_capacity(devices.len());
    for device in devices {
        let agent = device.agent.as_ref().map(|id| {
            json!({
                "id": id,
                "version": device.agent_version,
                "online": device.is_online(now),
                "seenDateTime": device.seen,
                "can": device.can,
                "lacks": device.lacks,
                "memory": device.own.memory,
                "enrolledDateTime": enrolled.get(id),
            })
        });
        let states = &device.states;
        let isolated = states.isolated.as_ref().map(
            |it| json!({ "mode": it.mode, "sinceDateTime": Timestamp::from_micros(it.since) }),
        );
        let one = json!({
            "id": device.id,
            "tenantId": app.tenant_id(device.tenant).await?,
            "tenantName": crate::tenant::name(app, device.tenant).await?,
            "name": device.name,
            "os": device.os,
            "kernel": device.kernel,
            "architecture": device.architecture,
            "addresses": device.addresses,
            "groups": device.groups,
            "highValue": device.high_value.is_some(),
            "agent": agent,
            "state": {
                "isolated": isolated,
                "restricted": states.restricted,
                "blocked": states.blocked,
                "quarantined": states.quarantined,
            },
            "createdDateTime": device.created,
            "incidentCount": counts.get(&device.no).copied().unwrap_or_default(),
            "may": may(caller, device),
        });
        if let Value::Object(one) = one {
            value.push(one);
        }
    }
    Ok(value)
}

/// What the caller may do with a device, and why not.
fn may(caller: &Caller, device: &Device) -> Value {
    let because = |refused: bool, why: &str| refused.then(|| why.to_owned());
    let silent = because(device.agent.is_none(), "no agent speaks for the device");
    let acts = caller.may(&[Permission::TaskTakeAction, Permission::Experts]);
    let acts = because(!acts, "your role runs no actions");
    let looks_after = because(
        !caller.may(&[Permission::DeviceReadWrite]),
        "only the customer's Security Administrator looks after devices",
    );
    json!({
        "act": May::unless(acts.or_else(|| silent.clone())),
        "code": May::unless(looks_after.clone().or_else(|| silent.clone())),
        "remove": May::unless(looks_after.clone().or(silent)),
        "edit": May::unless(looks_after),
    })
}

/// A device with all that is known of it.
async fn one(site: &Site, caller: &Caller, id: &str) -> Answer {
    let device = asset::find(&site.app, caller, id).await?;
    let mut out = shown(site, caller, std::slice::from_ref(&device)).await?.pop();
    let Some(out) = out.as_mut() else { return Err(Failure::internal()) };
    let kept = inventory::read(&site.app, &device).await?;
    let (inventory, at) = kept.unzip();
    out.insert("inventory".to_owned(), json!(inventory));
    out.insert("inventoryDateTime".to_owned(), json!(at));
    // Devices and cases are read by different permissions.
    let incidents = if caller.may(&[Permission::IncidentRead]) {
        mention::newest(&site.app, &device, INCIDENTS).await?
    } else {
        Vec::new()
    };
    let incidents: Vec<Value> = incidents
        .iter()
        .map(|incident| {
            json!({
                "id": incident.id,
                "displayName": incident.model.display_name,
                "status": incident.model.status().word(),
                "severity": incident.model.severity.word(),
            })
        })
        .collect();
    out.insert("incidents".to_owned(), json!(incidents));
    let excluded = coverage::why_excluded(&site.app, &device).await?;
    let excluded = excluded.map(|because| json!({ "because": because }));
    out.insert("excluded".to_owned(), json!(excluded));
    out.insert("actions".to_owned(), action::on_device_types(caller, &device));
    Ok(json_response(StatusCode::OK, &out))
}

/// One device: what it is, how it is, its inventory, and the incidents that name it.
#[utoipa::path(
    get, path = "/api/v1/devices/{id}", tag = "device",
    params(("id" = String, Path, description = "the device's id")),
    responses((status = 200, description = "the device", body = Object)),
)]
pub(super) async fn get(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
) -> Answer {
    caller.require(&[Permission::DeviceRead])?;
    one(&site, &caller, &id).await
}

/// Which part of a device's timeline.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Span {
    /// Entries of a page, 100 when absent, at most 500.
    top: Option<u64>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
}

/// What was seen on a device, the newest first.
#[utoipa::path(
    get, path = "/api/v1/devices/{id}/timeline", tag = "device",
    params(("id" = String, Path, description = "the device's id"), Span),
    responses((status = 200, description = "value, nextCursor", body = Object)),
)]
pub(super) async fn timeline(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
    Params(span): Params<Span>,
) -> Answer {
    caller.require(&[Permission::DeviceRead])?;
    let device = asset::find(&site.app, &caller, &id).await?;
    let behind = match &span.cursor {
        None => None,
        Some(cursor) => {
            let parts = cursor.split_once('.');
            let parts = parts.and_then(|(at, no)| Some((at.parse().ok()?, no.parse().ok()?)));
            Some(parts.ok_or_else(|| Failure::bad("the cursor is not one of ours"))?)
        }
    };
    let top = span.top.unwrap_or(100).clamp(1, LARGEST_TIMELINE);
    let mut seen = timeline::read(&site.app, &device, behind, top + 1).await?;
    let more = seen.len() as u64 > top;
    seen.truncate(usize::try_from(top).unwrap_or(usize::MAX));
    let next = seen.last().filter(|_| more).map(|(no, it)| format!("{}.{no}", it.at.micros()));
    let value: Vec<Value> = seen.iter().map(|(_, it)| it.json()).collect();
    Ok(json_response(StatusCode::OK, &json!({ "value": value, "nextCursor": next })))
}

/// What changes of a device.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct DeviceChange {
    /// The groups it is in.
    groups: Option<Vec<String>>,
    /// Whether it is of high value.
    high_value: Option<bool>,
}

/// Changes a device's groups, or whether it is of high value.
#[utoipa::path(
    patch, path = "/api/v1/devices/{id}", tag = "device", request_body = DeviceChange,
    params(("id" = String, Path, description = "the device's id")),
    responses((status = 200, description = "the device", body = Object)),
)]
pub(super) async fn change(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::DeviceReadWrite])?;
    let (wanted, _) = read::<DeviceChange>(&site, &headers, body).await?;
    let patch = Patch { groups: wanted.groups, high_value: wanted.high_value };
    asset::change(&site.app, &caller, &id, patch).await?;
    one(&site, &caller, &id).await
}

/// Shuts a device's agent out; the device stays. Needs a fresh factor.
#[utoipa::path(
    delete, path = "/api/v1/devices/{id}", tag = "device",
    params(("id" = String, Path, description = "the device's id")),
    responses((status = 204), (status = 409, description = "no agent speaks for it")),
)]
pub(super) async fn remove(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
) -> Answer {
    agent::shut_out(&site.app, &caller, &id).await?;
    Ok(done())
}

/// Shows the code that releases an isolated device without the server. Needs a fresh factor.
#[utoipa::path(
    post, path = "/api/v1/devices/{id}/release-code", tag = "device",
    params(("id" = String, Path, description = "the device's id")),
    responses(
        (status = 200, description = "code, validUntilDateTime", body = Object),
        (status = 409, description = "no agent speaks for it"),
    ),
)]
pub(super) async fn release_code(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::DeviceReadWrite])?;
    nothing(&site, &headers, body).await?;
    let (code, until) = agent::release_code(&site.app, &caller, &id).await?;
    let body = json!({ "code": code, "validUntilDateTime": until });
    Ok(json_response(StatusCode::OK, &body))
}
