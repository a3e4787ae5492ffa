//! `/api/v1/session`: the session that asks, the person's others, and its passkeys.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::api::sign_in::{Answered, Ceremony, Nothing};
use crate::api::{done, read};
use crate::clock::Timestamp;
use crate::db::column;
use crate::error::{Error, Result};
use crate::http::{Answer, Failure, Site, cookie, json_response};
use crate::id::TenantNo;
use crate::person::session::Origin;
use crate::person::{self, Factors, OwnPasskey, session, sign_in};
use crate::tenant::caller::{Caller, STEP_UP_S};
use crate::tenant::stage::{self, Stage};

/// A session as the portal sees it.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SessionView {
    person: SessionPerson,
    /// `customer` or `provider`.
    side: &'static str,
    organisation: Organisation,
    role: &'static str,
    memberships: Vec<MembershipView>,
    permissions: Vec<String>,
    /// `passkey`, `totp`, `oidc` or `demo`.
    authenticated_by: &'static str,
    #[schema(value_type = String)]
    signed_in_date_time: Timestamp,
    /// When it ends unless it is used.
    #[schema(value_type = String)]
    idle_date_time: Timestamp,
    /// When it ends in any case.
    #[schema(value_type = String)]
    expires_date_time: Timestamp,
    /// Until when what is dangerous needs no factor again.
    #[schema(value_type = Option<String>)]
    step_up_until_date_time: Option<Timestamp>,
    factors: Factors,
}

#[derive(Serialize, utoipa::ToSchema)]
struct SessionPerson {
    id: String,
    name: Option<String>,
    email: String,
}

#[derive(Serialize, utoipa::ToSchema)]
struct Organisation {
    id: String,
    name: String,
    /// How far a customer has come on its way into the service: `invited`, `setUp`,
    /// `readinessPending`, `monitoring` or `active`.
    #[schema(value_type = Option<String>)]
    stage: Option<Stage>,
}

#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct MembershipView {
    organisation_id: String,
    name: String,
    role: &'static str,
    side: &'static str,
}

/// The session of a caller.
pub(super) async fn view(site: &Site, caller: &Caller) -> Result<SessionView> {
    let app = &site.app;
    let seat = caller.seat()?;
    let memberships = person::memberships(app, &caller.client_id).await?;
    let here = memberships.iter().find(|it| it.organisation == seat.organisation);
    let here = here.ok_or_else(|| Error::Denied("the session has ended".to_owned()))?;
    let (name, factors) = person::itself(app, &caller.client_id).await?;
    let row = app
        .db
        .shared()
        .query_one(
            "select created_at, seen_at, expires_at from session where id = $1",
            vec![seat.session.clone().into()],
        )
        .await?
        .ok_or_else(|| Error::Denied("the session has ended".to_owned()))?;
    let at = |index| Ok::<_, Error>(Timestamp::from_micros(column(&row, index)?));
    let expires = at(2)?;
    Ok(SessionView {
        person: SessionPerson { id: caller.client_id.clone(), name, email: caller.name.clone() },
        side: seat.role.party().word(),
        organisation: Organisation {
            id: here.id.clone(),
            name: here.name.clone(),
            stage: match seat.organisation {
                TenantNo::PROVIDER => None,
                own => Some(stage::find_in(&app.db.of(own).snapshot().await?, own).await?),
            },
        },
        role: seat.role.name(),
        memberships: memberships
            .iter()
            .map(|it| MembershipView {
                organisation_id: it.id.clone(),
                name: it.name.clone(),
                role: it.role.name(),
                side: it.role.party().word(),
            })
            .collect(),
        permissions: caller.permissions().iter().map(ToString::to_string).collect(),
        authenticated_by: seat.factor.word(),
        signed_in_date_time: at(0)?,
        idle_date_time: at(1)?.plus_seconds(session::IDLE_S).min(expires),
        expires_date_time: expires,
        step_up_until_date_time: seat
            .proven
            .map(|proven| proven.plus_seconds(STEP_UP_S))
            .filter(|until| app.clock.now() < *until),
        factors,
    })
}

async fn shown(site: &Site, caller: &Caller) -> Answer {
    Ok(json_response(StatusCode::OK, &view(site, caller).await?))
}

/// Who is signed in, in which organisation and role, and until when.
#[utoipa::path(get, path = "/api/v1/session", tag = "session", responses((status = 200, body = SessionView)))]
pub(super) async fn get(State(site): State<Site>, caller: Caller) -> Answer {
    shown(&site, &caller).await
}

/// Signs out.
#[utoipa::path(delete, path = "/api/v1/session", tag = "session", responses((status = 204)))]
pub(super) async fn end(State(site): State<Site>, caller: Caller) -> Answer {
    session::end(&site.app, &caller, &caller.seat()?.session).await?;
    let mut response = done();
    cookie::clear(&mut response);
    Ok(response)
}

/// Another organisation of the same person.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Switch {
    organisation_id: String,
}

/// Goes over to another organisation the person belongs to: a new session.
#[utoipa::path(
    post, path = "/api/v1/session/organisation", tag = "session", request_body = Switch,
    responses((status = 200, body = SessionView), (status = 404, description = "not one of the person's")),
)]
pub(super) async fn switch(
    State(site): State<Site>,
    caller: Caller,
    origin: Origin,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.seat()?;
    let (wanted, _) = read::<Switch>(&site, &headers, body).await?;
    let memberships = person::memberships(&site.app, &caller.client_id).await?;
    let there = memberships.iter().find(|it| it.id == wanted.organisation_id);
    let there = there.ok_or_else(|| {
        Failure::new(StatusCode::NOT_FOUND, "the organisation does not exist".to_owned())
    })?;
    let opened = session::switch(&site.app, &caller, there.organisation, &origin).await?;
    let caller = session::identify(&site.app, &opened.token, origin.address, true).await?;
    let caller = caller.ok_or_else(Failure::internal)?;
    let mut response = shown(&site, &caller).await?;
    cookie::set(&mut response, &opened.token);
    Ok(response)
}

/// A code of the authenticator app, or a recovery code.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Again {
    code: String,
}

async fn proven(site: &Site, mut caller: Caller) -> Answer {
    if let Some(seat) = &mut caller.person {
        seat.proven = Some(site.app.clock.now());
    }
    shown(site, &caller).await
}

/// Shows a factor again with a code: what is dangerous is open for five minutes.
#[utoipa::path(
    post, path = "/api/v1/session/step-up/totp", tag = "session", request_body = Again,
    responses((status = 200, body = SessionView), (status = 403, description = "not right")),
)]
pub(super) async fn step_up_with_code(
    State(site): State<Site>,
    caller: Caller,
    origin: Origin,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.seat()?;
    let (again, _) = read::<Again>(&site, &headers, body).await?;
    sign_in::step_up_with_code(&site.app, &caller, &again.code, &origin).await?;
    proven(&site, caller).await
}

/// Asks for a passkey of the caller's.
#[utoipa::path(
    post, path = "/api/v1/session/step-up/passkey/begin", tag = "session", request_body = Nothing,
    responses((status = 200, body = Ceremony)),
)]
pub(super) async fn begin_step_up(
    State(site): State<Site>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.seat()?;
    read::<Nothing>(&site, &headers, body).await?;
    Ok(Ceremony::answer(sign_in::begin_step_up(&site.app, &caller).await?))
}

/// Shows a factor again with a passkey.
#[utoipa::path(
    post, path = "/api/v1/session/step-up/passkey/finish", tag = "session", request_body = Answered,
    responses((status = 200, body = SessionView)),
)]
pub(super) async fn step_up_with_passkey(
    State(site): State<Site>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.seat()?;
    let (asked, _) = read::<Answered>(&site, &headers, body).await?;
    sign_in::step_up_with_passkey(&site.app, &caller, &asked.flow, asked.credential).await?;
    proven(&site, caller).await
}

/// The person's open sessions.
#[utoipa::path(
    get, path = "/api/v1/session/list", tag = "session",
    responses((status = 200, description = "value", body = Object)),
)]
pub(super) async fn list(State(site): State<Site>, caller: Caller) -> Answer {
    let value: Vec<session::Listed> = session::list(&site.app, &caller).await?;
    Ok(json_response(StatusCode::OK, &json!({ "value": value })))
}

/// Ends one of the person's sessions.
#[utoipa::path(
    delete, path = "/api/v1/session/list/{id}", tag = "session",
    params(("id" = String, Path, description = "the session's id")),
    responses((status = 204), (status = 404, description = "there is none")),
)]
pub(super) async fn end_other(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
) -> Answer {
    session::end(&site.app, &caller, &id).await?;
    Ok(done())
}

async fn own_passkeys(site: &Site, caller: &Caller) -> Answer {
    let value: Vec<OwnPasskey> = person::own_passkeys(&site.app, caller).await?;
    Ok(json_response(StatusCode::OK, &json!({ "value": value })))
}

/// The person's passkeys.
#[utoipa::path(
    get, path = "/api/v1/session/passkey", tag = "session",
    responses((status = 200, description = "value", body = Object)),
)]
pub(super) async fn passkeys(State(site): State<Site>, caller: Caller) -> Answer {
    own_passkeys(&site, &caller).await
}

/// What a new passkey is called.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Named {
    name: String,
}

/// Begins to make one more passkey; needs a fresh factor.
#[utoipa::path(
    post, path = "/api/v1/session/passkey/begin", tag = "session", request_body = Named,
    responses((status = 200, body = Ceremony)),
)]
pub(super) async fn begin_passkey(
    State(site): State<Site>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.seat()?;
    let (named, _) = read::<Named>(&site, &headers, body).await?;
    Ok(Ceremony::answer(person::begin_passkey(&site.app, &caller, &named.name).await?))
}

/// Takes one more passkey.
#[utoipa::path(
    post, path = "/api/v1/session/passkey/finish", tag = "session", request_body = Answered,
    responses((status = 200, description = "value: the passkeys", body = Object)),
)]
pub(super) async fn finish_passkey(
    State(site): State<Site>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.seat()?;
    let (asked, _) = read::<Answered>(&site, &headers, body).await?;
    person::finish_passkey(&site.app, &caller, &asked.flow, asked.credential).await?;
    own_passkeys(&site, &caller).await
}

/// Removes one of the person's passkeys; needs a fresh factor.
#[utoipa::path(
    delete, path = "/api/v1/session/passkey/{id}", tag = "session",
    params(("id" = String, Path, description = "the passkey's id")),
    responses((status = 204), (status = 409, description = "it is all there is to sign in with")),
)]
pub(super) async fn remove_passkey(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
) -> Answer {
    person::remove_passkey(&site.app, &caller, &id).await?;
    Ok(done())
}
