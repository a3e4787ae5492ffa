//! `/api/v1/setup` and `/api/v1/sign-in`: for who has no session yet.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::api::session::view;
use crate::api::{May, Params, read};
use crate::clock::Timestamp;
use crate::error::Error;
use crate::http::{Answer, Base, Failure, Site, Stranger, cookie, json_response};
use crate::id::TenantNo;
use crate::permission::Party;
use crate::person::session::{self, Opened, Origin};
use crate::person::totp::Enrolment;
use crate::person::{self, DemoPerson, identity_provider, passkey, setup, sign_in};
use crate::tenant::caller::Factor;

/// The same answer for everything that is not right, with the status of a missing proof.
fn refused(error: Error) -> Failure {
    if sign_in::is_wrong(&error) {
        return Failure {
            code: "InvalidCredentials",
            ..Failure::new(StatusCode::UNAUTHORIZED, error.to_string())
        };
    }
    error.into()
}

/// The session as the portal sees it, and its cookie.
async fn signed_in(site: &Site, opened: &Opened, origin: &Origin, more: Value) -> Answer {
    let caller = session::identify(&site.app, &opened.token, origin.address, true).await?;
    let caller = caller.ok_or_else(Failure::internal)?;
    let mut session = serde_json::to_value(view(site, &caller).await?).unwrap_or_default();
    if let (Some(session), Value::Object(more)) = (session.as_object_mut(), more) {
        session.extend(more);
    }
    let mut response = json_response(StatusCode::OK, &session);
    cookie::set(&mut response, &opened.token);
    Ok(response)
}

/// The secret part of a set-up link.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Token {
    /// What stands behind `#` in the link.
    token: String,
}

/// What a link is for.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Invited {
    email: String,
    name: Option<String>,
    organisation: String,
    role: String,
    /// `customer` or `provider`.
    side: &'static str,
    #[schema(value_type = String)]
    expires_date_time: Timestamp,
    passkeys: May,
}

/// What a set-up link is for, while it is valid.
#[utoipa::path(
    post, path = "/api/v1/setup/look", tag = "sign-in", request_body = Token,
    responses((status = 200, body = Invited), (status = 404, description = "used, expired or unknown")),
)]
pub(super) async fn look(
    _: Stranger,
    State(site): State<Site>,
    base: Base,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let (asked, _) = read::<Token>(&site, &headers, body).await?;
    let invited = setup::look(&site.app, &asked.token).await?;
    let party = match invited.organisation {
        TenantNo::PROVIDER => Party::Provider,
        _ => Party::Customer,
    };
    let shown = Invited {
        email: invited.email,
        name: invited.name,
        organisation: invited.organisation_name,
        role: invited.role,
        side: party.word(),
        expires_date_time: invited.until,
        passkeys: May::unless(passkey::unavailable(&site.app, &base.0)),
    };
    Ok(json_response(StatusCode::OK, &shown))
}

/// A name and a password.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPassword {
    /// What stands behind `#` in the link.
    token: String,
    /// What the person is called.
    name: String,
    /// At least 15 characters.
    password: String,
}

/// What the authenticator app must be told.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Chosen {
    /// To be shown with the first code.
    flow: String,
    totp: Enrolment,
}

/// Chooses a password; the answer is for the authenticator app.
#[utoipa::path(
    post, path = "/api/v1/setup/password", tag = "sign-in", request_body = NewPassword,
    responses((status = 200, body = Chosen), (status = 400, description = "the password is too weak")),
)]
pub(super) async fn choose_password(
    _: Stranger,
    State(site): State<Site>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let (asked, _) = read::<NewPassword>(&site, &headers, body).await?;
    let (flow, totp) =
        setup::choose_password(&site.app, &asked.token, &asked.name, &asked.password).await?;
    Ok(json_response(StatusCode::OK, &Chosen { flow, totp }))
}

/// A code of the authenticator app.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Code {
    /// As the step before gave it.
    flow: String,
    /// Six digits; to sign in also a recovery code.
    code: String,
}

/// Shows the first code: the link is used, the person has a session and recovery codes.
#[utoipa::path(
    post, path = "/api/v1/setup/totp", tag = "sign-in", request_body = Code,
    responses((status = 200, description = "the session and recoveryCodes, shown once", body = Object)),
)]
pub(super) async fn confirm_code(
    _: Stranger,
    State(site): State<Site>,
    origin: Origin,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let (asked, _) = read::<Code>(&site, &headers, body).await?;
    let (opened, codes) = setup::confirm_code(&site.app, &asked.flow, &asked.code, &origin).await?;
    signed_in(&site, &opened, &origin, json!({ "recoveryCodes": codes })).await
}

/// Whose passkey is made.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FirstPasskey {
    /// What stands behind `#` in the link.
    token: String,
    /// What the person is called.
    name: String,
}

/// What the browser needs to make or to ask for a passkey.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Ceremony {
    /// To be shown with the browser's answer.
    pub(super) flow: String,
    /// The options of `WebAuthn`, bytes in URL-safe base64.
    #[schema(value_type = Object)]
    pub(super) public_key: Value,
}

impl Ceremony {
    pub(super) fn answer((flow, public_key): (String, Value)) -> Response {
        json_response(StatusCode::OK, &Self { flow, public_key })
    }
}

/// The browser's answer.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Answered {
    /// As the step before gave it.
    pub(super) flow: String,
    /// The credential, bytes in URL-safe base64.
    #[schema(value_type = Object)]
    pub(super) credential: Value,
}

/// Begins to make the first passkey.
#[utoipa::path(
    post, path = "/api/v1/setup/passkey/begin", tag = "sign-in", request_body = FirstPasskey,
    responses((status = 200, body = Ceremony)),
)]
pub(super) async fn begin_first_passkey(
    _: Stranger,
    State(site): State<Site>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let (asked, _) = read::<FirstPasskey>(&site, &headers, body).await?;
    Ok(Ceremony::answer(setup::begin_passkey(&site.app, &asked.token, &asked.name).await?))
}

/// Takes the first passkey: the link is used and the person has a session.
#[utoipa::path(
    post, path = "/api/v1/setup/passkey/finish", tag = "sign-in", request_body = Answered,
    responses((status = 200, description = "the session", body = Object)),
)]
pub(super) async fn finish_first_passkey(
    _: Stranger,
    State(site): State<Site>,
    origin: Origin,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let (asked, _) = read::<Answered>(&site, &headers, body).await?;
    let opened = setup::finish_passkey(&site.app, &asked.flow, asked.credential, &origin).await?;
    signed_in(&site, &opened, &origin, Value::Null).await
}

/// Whose address.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Whose {
    /// The mail address, when it is typed already.
    email: Option<String>,
}

/// How one may sign in here.
#[utoipa::path(
    get, path = "/api/v1/sign-in/options", tag = "sign-in", params(Whose),
    responses((status = 200, description = "passkeys, provider", body = Object)),
)]
pub(super) async fn options(
    _: Stranger,
    State(site): State<Site>,
    Params(whose): Params<Whose>,
    base: Base,
) -> Answer {
    let passkeys = May::unless(passkey::unavailable(&site.app, &base.0));
    let provider = match &whose.email {
        Some(email) => identity_provider::of_address(&site.app, email).await?,
        None => None,
    };
    let provider = provider.map(|(id, name)| json!({ "id": id, "name": name }));
    Ok(json_response(StatusCode::OK, &json!({ "passkeys": passkeys, "provider": provider })))
}

/// A mail address and a password.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Credentials {
    email: String,
    password: String,
}

/// The first half of signing in; `next` says what the second is.
#[utoipa::path(
    post, path = "/api/v1/sign-in/password", tag = "sign-in", request_body = Credentials,
    responses(
        (status = 200, description = "flow, next", body = Object),
        (status = 401, description = "not right; the same for addresses that nobody has"),
        (status = 429, description = "too many wrong answers"),
    ),
)]
pub(super) async fn with_password(
    _: Stranger,
    State(site): State<Site>,
    origin: Origin,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let (asked, _) = read::<Credentials>(&site, &headers, body).await?;
    let flow = sign_in::with_password(&site.app, &asked.email, &asked.password, &origin)
        .await
        .map_err(refused)?;
    Ok(json_response(StatusCode::OK, &json!({ "flow": flow, "next": "totp" })))
}

/// The second half: a code. Opens the session.
#[utoipa::path(
    post, path = "/api/v1/sign-in/totp", tag = "sign-in", request_body = Code,
    responses(
        (status = 200, description = "the session", body = Object),
        (status = 401, description = "not right"),
    ),
)]
pub(super) async fn with_code(
    _: Stranger,
    State(site): State<Site>,
    origin: Origin,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let (asked, _) = read::<Code>(&site, &headers, body).await?;
    let opened =
        sign_in::with_code(&site.app, &asked.flow, &asked.code, &origin).await.map_err(refused)?;
    signed_in(&site, &opened, &origin, Value::Null).await
}

/// A step that was begun.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Flow {
    /// As the step before gave it.
    flow: String,
}

/// Draws the secret of an authenticator app for whom an identity provider vouches and who has no
/// second factor yet.
#[utoipa::path(
    post, path = "/api/v1/sign-in/enrol", tag = "sign-in", request_body = Flow,
    responses((status = 200, body = Chosen), (status = 404, description = "too late; sign in again")),
)]
pub(super) async fn begin_app(
    _: Stranger,
    State(site): State<Site>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let (asked, _) = read::<Flow>(&site, &headers, body).await?;
    let (flow, totp) = setup::begin_app(&site.app, &asked.flow).await?;
    Ok(json_response(StatusCode::OK, &Chosen { flow, totp }))
}

/// Shows the app's first code: the person has a session and recovery codes.
#[utoipa::path(
    post, path = "/api/v1/sign-in/enrol/totp", tag = "sign-in", request_body = Code,
    responses(
        (status = 200, description = "the session and recoveryCodes, shown once", body = Object),
        (status = 400, description = "the code is not right"),
        (status = 409, description = "there is a second factor already"),
    ),
)]
pub(super) async fn finish_app(
    _: Stranger,
    State(site): State<Site>,
    origin: Origin,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let (asked, _) = read::<Code>(&site, &headers, body).await?;
    let (opened, codes) = setup::finish_app(&site.app, &asked.flow, &asked.code, &origin).await?;
    signed_in(&site, &opened, &origin, json!({ "recoveryCodes": codes })).await
}

/// Nothing to say.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

/// Asks for a passkey, of whomever.
#[utoipa::path(
    post, path = "/api/v1/sign-in/passkey/begin", tag = "sign-in", request_body = Nothing,
    responses((status = 200, body = Ceremony)),
)]
pub(super) async fn begin_passkey(
    _: Stranger,
    State(site): State<Site>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    read::<Nothing>(&site, &headers, body).await?;
    Ok(Ceremony::answer(sign_in::begin_passkey(&site.app).await?))
}

/// Opens a session for whose passkey answered.
#[utoipa::path(
    post, path = "/api/v1/sign-in/passkey/finish", tag = "sign-in", request_body = Answered,
    responses((status = 200, description = "the session", body = Object)),
)]
pub(super) async fn with_passkey(
    _: Stranger,
    State(site): State<Site>,
    origin: Origin,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let (asked, _) = read::<Answered>(&site, &headers, body).await?;
    let opened = sign_in::with_passkey(&site.app, &asked.flow, asked.credential, &origin)
        .await
        .map_err(refused)?;
    signed_in(&site, &opened, &origin, Value::Null).await
}

/// The demo's people, to be chosen from; in the demo only.
#[utoipa::path(
    get, path = "/api/v1/sign-in/demo", tag = "sign-in",
    responses((status = 200, description = "people", body = Object), (status = 404)),
)]
pub(super) async fn demo_people(_: Stranger, State(site): State<Site>) -> Answer {
    let people: Vec<DemoPerson> = person::demo_people(&site.app).await?;
    Ok(json_response(StatusCode::OK, &json!({ "people": people })))
}

/// Who of them.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DemoChoice {
    id: String,
}

/// Signs one of the demo's people in.
#[utoipa::path(
    post, path = "/api/v1/sign-in/demo", tag = "sign-in", request_body = DemoChoice,
    responses((status = 200, description = "the session", body = Object), (status = 404)),
)]
pub(super) async fn as_demo_person(
    _: Stranger,
    State(site): State<Site>,
    origin: Origin,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let (chosen, _) = read::<DemoChoice>(&site, &headers, body).await?;
    let known = person::demo_people(&site.app).await?;
    if !known.iter().any(|person| person.id == chosen.id) {
        return Err(Failure::new(StatusCode::NOT_FOUND, "the person does not exist"));
    }
    let opened = session::open(&site.app, &chosen.id, Factor::Demo, &origin).await?;
    signed_in(&site, &opened, &origin, Value::Null).await
}
