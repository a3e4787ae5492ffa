//! `/api/v1/grant` and `/api/v1/access`: how far the provider may go in a tenant, and who of it is
//! inside.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::access::{self, Access, Filter, Standing, Wanted};
use crate::api::sign_in::Nothing;
use crate::api::{May, Params, idempotency, read};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::http::{Answer, Failure, Site, json_response};
use crate::network::Network;
use crate::permission::Permission;
use crate::tenant::ExpertAccess;
use crate::tenant::caller::Caller;
use crate::tenant::grant::{self, Approval, Grant};

/// The largest page.
const LARGEST: u64 = 200;

/// How far the provider may go.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct GrantView {
    tenant_id: String,
    /// `none`, `reader` or `operator`.
    level: &'static str,
    /// `customer`, `lead` or `automatic`.
    approval: &'static str,
    #[schema(value_type = Option<String>)]
    end_date_time: Option<Timestamp>,
    /// The networks experts may come from; anywhere when empty.
    networks: Vec<String>,
    /// The level as it is at this moment: none after the end.
    effective_level: &'static str,
    changed_by: Option<String>,
    #[schema(value_type = Option<String>)]
    changed_date_time: Option<Timestamp>,
    /// `change`.
    #[schema(value_type = Object)]
    may: Value,
}

async fn view(site: &Site, caller: &Caller, grant: &Grant) -> Result<GrantView> {
    let change = May::unless(
        (!caller.may(&[Permission::GrantReadWrite]))
            .then(|| "only a Security Administrator changes what the provider may do".to_owned()),
    );
    Ok(GrantView {
        tenant_id: site.app.tenant_id(caller.own_tenant()?).await?.to_string(),
        level: grant.level.word(),
        approval: grant.approval.word(),
        end_date_time: grant.until,
        networks: grant.networks.iter().map(ToString::to_string).collect(),
        effective_level: grant.effective(site.app.clock.now()).word(),
        changed_by: grant.changed.as_ref().map(|(by, _)| by.clone()),
        changed_date_time: grant.changed.as_ref().map(|(_, at)| *at),
        may: json!({ "change": change }),
    })
}

/// The grant of the caller's own tenant.
#[utoipa::path(get, path = "/api/v1/grant", tag = "access", responses((status = 200, body = GrantView)))]
pub(super) async fn grant(State(site): State<Site>, caller: Caller) -> Answer {
    caller.require(&[Permission::GrantRead])?;
    let grant = grant::find(&site.app, caller.own_tenant()?).await?;
    Ok(json_response(StatusCode::OK, &view(&site, &caller, &grant).await?))
}

/// What the grant is to be.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct WantedGrant {
    /// `none`, `reader` or `operator`.
    level: String,
    /// `customer`, `lead` or `automatic`.
    approval: String,
    /// From when there is no grant.
    end_date_time: Option<String>,
    /// The networks experts may come from, as `192.0.2.0/24`.
    #[serde(default)]
    networks: Vec<String>,
}

/// Changes the grant. To give more needs a fresh factor, to give less does not.
#[utoipa::path(
    put, path = "/api/v1/grant", tag = "access", request_body = WantedGrant,
    responses((status = 200, body = GrantView), (status = 403, description = "StepUpRequired")),
)]
pub(super) async fn change_grant(
    State(site): State<Site>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::GrantReadWrite])?;
    let (wanted, _) = read::<WantedGrant>(&site, &headers, body).await?;
    let level = ExpertAccess::read(&wanted.level)
        .ok_or_else(|| Failure::bad("level is none, reader or operator"))?;
    let approval = Approval::read(&wanted.approval)
        .ok_or_else(|| Failure::bad("approval is customer, lead or automatic"))?;
    let until = match &wanted.end_date_time {
        None => None,
        Some(text) => Some(super::audit::moment("endDateTime", text)?),
    };
    let mut networks = Vec::with_capacity(wanted.networks.len());
    for text in &wanted.networks {
        let network = Network::read(text.trim())
            .ok_or_else(|| Failure::bad(format!("{text:?} is not a network")))?;
        networks.push(network);
    }
    let wanted = grant::Wanted { level, approval, until, networks };
    let grant = access::change_grant(&site.app, &caller, wanted).await?;
    Ok(json_response(StatusCode::OK, &view(&site, &caller, &grant).await?))
}

/// One request for access as it is shown.
pub(super) async fn shown(site: &Site, caller: &Caller, it: &Access) -> Result<Value> {
    let now = site.app.clock.now();
    let grant = grant::find(&site.app, it.tenant).await?;
    let state = it.state(now);
    Ok(json!({
        "id": it.id,
        "tenantId": site.app.tenant_id(it.tenant).await?,
        "tenantName": it.tenant_name,
        "person": { "name": it.name, "email": it.email },
        "incidentId": it.incident,
        "reason": it.reason,
        "level": it.level.word(),
        "hours": it.hours,
        "state": state.word(),
        "requestedDateTime": it.requested,
        "decidedDateTime": it.decision.as_ref().map(|decision| decision.at),
        "decidedBy": it.decision.as_ref().map(|decision| decision.by.clone()),
        "decidedBecause": it.decision.as_ref().and_then(|decision| decision.because.clone()),
        "untilDateTime": it.until,
        "endedDateTime": it.ended.as_ref().map(|(at, ..)| *at),
        "endedBy": it.ended.as_ref().map(|(_, by, _)| by.clone()),
        "endedBecause": it.ended.as_ref().and_then(|(.., because)| because.clone()),
        "may": it.may(caller, &grant, now),
    }))
}

async fn one(site: &Site, caller: &Caller, id: &str, status: StatusCode) -> Answer {
    let found = access::find(&site.app, caller, id).await?;
    Ok(json_response(status, &shown(site, caller, &found).await?))
}

/// Which requests.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// `requested`: only those that wait for a decision; `approved`: only those that run; `open`:
    /// either.
    state: Option<String>,
    /// Only to this tenant.
    tenant_id: Option<String>,
    /// Rows of a page, 50 when absent, at most 200.
    top: Option<u64>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
}

/// Requests for access the caller may see, the newest first.
#[utoipa::path(
    get, path = "/api/v1/access", tag = "access", params(Which),
    responses((status = 200, description = "value, nextCursor", body = Object)),
)]
pub(super) async fn list(
    State(site): State<Site>,
    caller: Caller,
    Params(which): Params<Which>,
) -> Answer {
    caller.require(&[Permission::GrantRead, Permission::AccessRequest])?;
    let state = match which.state.as_deref() {
        None => None,
        Some("open") => Some(Standing::Open),
        Some("requested") => Some(Standing::Waiting),
        Some("approved") => Some(Standing::Running),
        Some(_) => return Err(Failure::bad("state is open, requested or approved, or absent")),
    };
    let tenant = match &which.tenant_id {
        None => None,
        Some(id) => Some(queue_tenant(&site, &caller, id).await?),
    };
    let behind = match &which.cursor {
        None => None,
        Some(cursor) => {
            let parts = cursor.split_once('.').and_then(|(at, id)| Some((at.parse().ok()?, id)));
            let (at, id) = parts.ok_or_else(|| Failure::bad("the cursor is not one of ours"))?;
            Some((at, id.to_owned()))
        }
    };
    let top = which.top.unwrap_or(50).clamp(1, LARGEST);
    let filter = Filter { state, tenant, behind };
    let mut found = access::list(&site.app, &caller, &filter, top + 1).await?;
    let more = found.len() as u64 > top;
    found.truncate(usize::try_from(top).unwrap_or(usize::MAX));
    let next = found.last().filter(|_| more);
    let next = next.map(|last| format!("{}.{}", last.requested.micros(), last.id));
    let mut value = Vec::with_capacity(found.len());
    for it in &found {
        value.push(shown(&site, &caller, it).await?);
    }
    Ok(json_response(StatusCode::OK, &json!({ "value": value, "nextCursor": next })))
}

/// A tenant whose queue the caller sees; unknown and foreign answer alike.
pub(super) async fn queue_tenant(
    site: &Site,
    caller: &Caller,
    id: &str,
) -> std::result::Result<crate::id::TenantNo, Failure> {
    let unknown = || Failure::new(StatusCode::NOT_FOUND, "the tenant does not exist");
    match crate::tenant::find(&site.app, &id.to_ascii_lowercase()).await {
        Ok(tenant) if caller.queue.includes(tenant.no) => Ok(tenant.no),
        Ok(_) | Err(crate::error::Error::NotFound(_)) => Err(unknown()),
        Err(error) => Err(error.into()),
    }
}

/// What an expert asks for.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct WantedAccess {
    tenant_id: String,
    incident_id: Option<String>,
    /// `reader` or `operator`.
    level: String,
    /// 5 to 1,000 characters.
    reason: String,
    /// 1 to 8.
    hours: i64,
}

/// Asks to enter a tenant.
#[utoipa::path(
    post, path = "/api/v1/access", tag = "access", request_body = WantedAccess,
    responses((status = 201, description = "the request", body = Object)),
)]
pub(super) async fn request(
    State(site): State<Site>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::AccessRequest])?;
    let (asked, bytes) = read::<WantedAccess>(&site, &headers, body).await?;
    let tenant = queue_tenant(&site, &caller, &asked.tenant_id).await?;
    let incident = asked.incident_id.as_deref().map(super::incident::id_of).transpose()?;
    let level = ExpertAccess::read(&asked.level)
        .filter(|level| *level != ExpertAccess::None)
        .ok_or_else(|| Failure::bad("level is reader or operator"))?;
    let wanted = Wanted { tenant, incident, level, reason: asked.reason, hours: asked.hours };
    let (app, asking) = (site.app.clone(), caller.clone());
    let work = move |made: Option<String>| async move {
        let id = match made {
            Some(known) => known,
            None => access::request(&site.app, &asking, wanted).await?,
        };
        one(&site, &asking, &id, StatusCode::CREATED).await
    };
    idempotency::once_made(&app, &caller, &headers, &[b"POST access", &bytes], work).await
}

/// Approves a request: the expert is inside.
#[utoipa::path(
    post, path = "/api/v1/access/{id}/approve", tag = "access", request_body = Nothing,
    params(("id" = String, Path, description = "the request's id")),
    responses((status = 200, description = "the request", body = Object), (status = 409)),
)]
pub(super) async fn approve(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::AccessApprove])?;
    read::<Nothing>(&site, &headers, body).await?;
    access::approve(&site.app, &caller, &id).await?;
    one(&site, &caller, &id, StatusCode::OK).await
}

/// Why.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Because {
    /// At most 1,000 characters.
    #[serde(default)]
    because: String,
}

/// Denies a request.
#[utoipa::path(
    post, path = "/api/v1/access/{id}/deny", tag = "access", request_body = Because,
    params(("id" = String, Path, description = "the request's id")),
    responses((status = 200, description = "the request", body = Object), (status = 409)),
)]
pub(super) async fn deny(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::AccessApprove])?;
    let (said, _) = read::<Because>(&site, &headers, body).await?;
    access::deny(&site.app, &caller, &id, &said.because).await?;
    one(&site, &caller, &id, StatusCode::OK).await
}

/// Ends running access before its time.
#[utoipa::path(
    post, path = "/api/v1/access/{id}/revoke", tag = "access", request_body = Because,
    params(("id" = String, Path, description = "the request's id")),
    responses((status = 200, description = "the request", body = Object), (status = 409)),
)]
pub(super) async fn revoke(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::AccessApprove, Permission::AccessRequest])?;
    let (said, _) = read::<Because>(&site, &headers, body).await?;
    access::revoke(&site.app, &caller, &id, &said.because).await?;
    one(&site, &caller, &id, StatusCode::OK).await
}

/// Takes a request back.
#[utoipa::path(
    post, path = "/api/v1/access/{id}/withdraw", tag = "access", request_body = Nothing,
    params(("id" = String, Path, description = "the request's id")),
    responses((status = 200, description = "the request", body = Object), (status = 409)),
)]
pub(super) async fn withdraw(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::AccessRequest])?;
    read::<Nothing>(&site, &headers, body).await?;
    access::withdraw(&site.app, &caller, &id).await?;
    one(&site, &caller, &id, StatusCode::OK).await
}
