//! `/api/v1/identity-providers`: who signs people of the caller's organisation in.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::api::{May, done, read};
use crate::clock::Timestamp;
use crate::http::{Answer, Site, json_response};
use crate::permission::Permission;
use crate::person::identity_provider::{self, IdentityProvider, SecondFactor, Wanted};
use crate::tenant::caller::Caller;

/// An identity provider; the secret is never shown.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProviderView {
    id: String,
    name: String,
    issuer: String,
    client_id: String,
    /// The mail domains whose people it signs in.
    domains: Vec<String>,
    groups_claim: String,
    /// The name of a role for each group.
    #[schema(value_type = Object)]
    roles: Value,
    factor: SecondFactor,
    #[schema(value_type = String)]
    created_date_time: Timestamp,
}

impl From<IdentityProvider> for ProviderView {
    fn from(provider: IdentityProvider) -> Self {
        Self {
            roles: identity_provider::names(&provider.roles),
            id: provider.id,
            name: provider.name,
            issuer: provider.issuer,
            client_id: provider.client_id,
            domains: provider.domains,
            groups_claim: provider.groups_claim,
            factor: provider.factor,
            created_date_time: provider.created,
        }
    }
}

/// The identity providers of the organisation.
#[utoipa::path(
    get, path = "/api/v1/identity-providers", tag = "people",
    responses((status = 200, description = "value, may", body = Object)),
)]
pub(super) async fn list(State(site): State<Site>, caller: Caller) -> Answer {
    let found = identity_provider::list(&site.app, &caller).await?;
    let full = found.len() >= identity_provider::MOST;
    let full = full.then(|| format!("there are {} already", identity_provider::MOST));
    let locked = identity_provider::locked_out(&site.app, &caller).await?;
    let may = json!({
        "add": May::unless(full),
        "remove": May::unless(locked.map(str::to_owned)),
    });
    let value: Vec<ProviderView> = found.into_iter().map(ProviderView::from).collect();
    Ok(json_response(StatusCode::OK, &json!({ "value": value, "may": may })))
}

/// A new identity provider.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct NewProvider {
    /// What people are told they sign in with.
    name: String,
    /// The issuer, exactly as its tokens spell it.
    issuer: String,
    client_id: String,
    client_secret: String,
    /// Mail domains; each must be that of the caller's own mail address.
    domains: Vec<String>,
    /// The claim with a person's groups; `groups` when absent.
    groups_claim: Option<String>,
    /// The name of a role for each group.
    #[serde(default)]
    roles: BTreeMap<String, String>,
    /// Whose second factor counts.
    factor: SecondFactor,
}

/// Lets an identity provider sign people in; needs a fresh factor.
#[utoipa::path(
    post, path = "/api/v1/identity-providers", tag = "people", request_body = NewProvider,
    responses(
        (status = 201, body = ProviderView),
        (status = 400, description = "the issuer cannot be asked, or a domain is not the caller's"),
        (status = 409, description = "a mail domain has an identity provider already"),
    ),
)]
pub(super) async fn add(
    State(site): State<Site>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::SignInReadWrite])?;
    let (asked, _) = read::<NewProvider>(&site, &headers, body).await?;
    let wanted = Wanted {
        name: asked.name,
        issuer: asked.issuer,
        client_id: asked.client_id,
        client_secret: asked.client_secret,
        domains: asked.domains,
        groups_claim: asked.groups_claim,
        roles: asked.roles,
        factor: asked.factor,
    };
    let added = identity_provider::add(&site.app, &site.providers, &caller, &wanted).await?;
    Ok(json_response(StatusCode::CREATED, &ProviderView::from(added)))
}

/// Takes an identity provider away and ends the sessions it opened; needs a fresh factor.
#[utoipa::path(
    delete, path = "/api/v1/identity-providers/{id}", tag = "people",
    params(("id" = String, Path, description = "the identity provider's id")),
    responses(
        (status = 204),
        (status = 409, description = "it is all the caller can sign in with"),
    ),
)]
pub(super) async fn remove(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
) -> Answer {
    identity_provider::remove(&site.app, &caller, &id).await?;
    Ok(done())
}
