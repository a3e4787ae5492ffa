//! `/api/v1/people`: who belongs to the caller's organisation.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::api::sign_in::Nothing;
use crate::api::{May, done, read};
use crate::clock::Timestamp;
use crate::contact::Language;
use crate::http::{Answer, Failure, Site, json_response};
use crate::onboarding::welcome;
use crate::permission::{Permission, Role};
use crate::person::{self, Factors, Member, Sent};
use crate::tenant::caller::Caller;

/// A person of the organisation.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct PersonView {
    id: String,
    name: Option<String>,
    email: String,
    role: &'static str,
    /// `invited`, `active` or `disabled`.
    state: &'static str,
    #[schema(value_type = String)]
    invited_date_time: Timestamp,
    #[schema(value_type = Option<String>)]
    last_sign_in_date_time: Option<Timestamp>,
    factors: Factors,
    /// `changeRole`, `disable`, `enable`, `remove`, `invite`, `signOut`.
    #[schema(value_type = Object)]
    may: Value,
}

fn shown(member: &Member, caller: &Caller, last: bool) -> PersonView {
    PersonView {
        id: member.id.clone(),
        name: member.name.clone(),
        email: member.email.clone(),
        role: member.role.name(),
        state: member.state(),
        invited_date_time: member.invited,
        last_sign_in_date_time: member.signed_in,
        factors: member.factors,
        may: member.may(caller, last),
    }
}

/// The people of the organisation, and the roles there are.
#[utoipa::path(
    get, path = "/api/v1/people", tag = "people",
    responses((status = 200, description = "value, roles, may", body = Object)),
)]
pub(super) async fn list(State(site): State<Site>, caller: Caller) -> Answer {
    let members = person::list(&site.app, &caller).await?;
    let last = person::has_one_administrator(&members);
    let value: Vec<PersonView> =
        members.iter().map(|member| shown(member, &caller, last)).collect();
    let roles: Vec<&str> = Role::of(caller.seat()?.role.party()).map(Role::name).collect();
    let invite = May::unless(
        (!caller.may(&[Permission::PeopleReadWrite]))
            .then(|| "only an administrator invites people".to_owned()),
    );
    let body = json!({ "value": value, "roles": roles, "may": { "invite": invite } });
    Ok(json_response(StatusCode::OK, &body))
}

/// Who is invited.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Invite {
    email: String,
    /// A role of the organisation; of a customer's first person it is Security Administrator.
    role: Option<String>,
    /// The customer whose first administrator is invited and written to, by the provider.
    tenant_id: Option<String>,
    /// In which language that one is written to; English when absent.
    language: Option<Language>,
}

pub(super) fn sent(sent: &Sent) -> Value {
    json!({ "setupUrl": sent.setup_url, "expiresDateTime": sent.until })
}

/// Invites a person; the link is shown this once.
#[utoipa::path(
    post, path = "/api/v1/people", tag = "people", request_body = Invite,
    responses(
        (status = 201, description = "person, setupUrl, expiresDateTime", body = Object),
        (status = 409, description = "the person belongs here already"),
    ),
)]
pub(super) async fn invite(
    State(site): State<Site>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::PeopleReadWrite, Permission::TenantReadWrite])?;
    let (wanted, _) = read::<Invite>(&site, &headers, body).await?;
    if let Some(tenant) = &wanted.tenant_id {
        caller.require(&[Permission::TenantReadWrite])?;
        let found = crate::tenant::find(&site.app, &tenant.to_ascii_lowercase()).await?;
        let to = (wanted.email.as_str(), wanted.language.unwrap_or_default());
        let link = welcome::invite(&site.app, &caller, found.no, to).await?;
        let mut body = sent(&link);
        body["person"] = json!({ "id": link.person, "email": wanted.email });
        return Ok(json_response(StatusCode::CREATED, &body));
    }
    let role = wanted.role.ok_or_else(|| Failure::bad("role is missing"))?;
    let link = person::invite(&site.app, &caller, &wanted.email, &role).await?;
    let member = person::find(&site.app, &caller, &link.person).await?;
    let mut body = sent(&link);
    body["person"] = json!(shown(&member, &caller, false));
    Ok(json_response(StatusCode::CREATED, &body))
}

/// What changes.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PersonChange {
    role: Option<String>,
    disabled: Option<bool>,
}

/// Changes a person's role, or whether it may sign in; needs a fresh factor.
#[utoipa::path(
    patch, path = "/api/v1/people/{id}", tag = "people", request_body = PersonChange,
    params(("id" = String, Path, description = "the person's id")),
    responses((status = 200, body = PersonView), (status = 409, description = "nobody else administers")),
)]
pub(super) async fn change(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::PeopleReadWrite])?;
    let (wanted, _) = read::<PersonChange>(&site, &headers, body).await?;
    person::change(&site.app, &caller, &id, wanted.role.as_deref(), wanted.disabled).await?;
    let members = person::list(&site.app, &caller).await?;
    let last = person::has_one_administrator(&members);
    let member = person::find(&site.app, &caller, &id).await?;
    Ok(json_response(StatusCode::OK, &shown(&member, &caller, last)))
}

/// Takes a person out of the organisation; needs a fresh factor.
#[utoipa::path(
    delete, path = "/api/v1/people/{id}", tag = "people",
    params(("id" = String, Path, description = "the person's id")),
    responses((status = 204), (status = 409, description = "nobody else administers")),
)]
pub(super) async fn remove(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
) -> Answer {
    person::remove(&site.app, &caller, &id).await?;
    Ok(done())
}

/// Draws a new link; what the person signs in with is replaced when it is used.
#[utoipa::path(
    post, path = "/api/v1/people/{id}/invite", tag = "people", request_body = Nothing,
    params(("id" = String, Path, description = "the person's id")),
    responses((status = 200, description = "setupUrl, expiresDateTime", body = Object)),
)]
pub(super) async fn invite_again(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::PeopleReadWrite])?;
    read::<Nothing>(&site, &headers, body).await?;
    let link = person::invite_again(&site.app, &caller, &id).await?;
    Ok(json_response(StatusCode::OK, &sent(&link)))
}

/// Ends every session of a person in the organisation.
#[utoipa::path(
    post, path = "/api/v1/people/{id}/sign-out", tag = "people", request_body = Nothing,
    params(("id" = String, Path, description = "the person's id")),
    responses((status = 204)),
)]
pub(super) async fn sign_out(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::PeopleReadWrite])?;
    read::<Nothing>(&site, &headers, body).await?;
    person::sign_out(&site.app, &caller, &id).await?;
    Ok(done())
}
