//! Our own API, `/api/v1`: what the Graph face has no place for.
//!
//! JSON in camelCase; times and refusals as on the Graph face; lists by cursor. Unknown members and
//! parameters are refused. Every POST may carry an `Idempotency-Key` (see `idempotency`).

mod access;
mod action;
mod activity;
mod agent_token;
mod alert;
mod app;
mod audit;
mod authority;
mod chat_channel;
mod connector;
mod contact;
mod conversation;
mod credit;
mod device;
mod event;
mod exclusion;
pub mod idempotency;
mod identity_provider;
mod incident;
mod ladder;
mod mail_rule;
mod notification;
mod oidc;
mod onboarding;
mod package;
mod people;
mod queue;
mod response;
mod service_clock;
mod session;
mod sign_in;
mod story;
mod tenant;
mod timeline;
mod user;
mod webhook;

use axum::body::Body;
use axum::extract::{FromRequestParts, Query};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::{Failure, Site, body};

/// The routes with their documentation.
pub fn routes() -> OpenApiRouter<Site> {
    OpenApiRouter::new()
        .routes(routes!(alert::ingest))
        .routes(routes!(alert::get, alert::change))
        .routes(routes!(alert::comment))
        .routes(routes!(alert::move_alerts))
        .routes(routes!(incident::list))
        .routes(routes!(incident::get, incident::change))
        .routes(routes!(incident::comment))
        .routes(routes!(incident::change_many))
        .routes(routes!(story::similar))
        .routes(routes!(story::graph))
        .routes(routes!(queue::count))
        .routes(routes!(queue::export))
        .routes(routes!(queue::words))
        .routes(routes!(queue::home))
        .routes(routes!(queue::filters, queue::save))
        .routes(routes!(queue::forget))
        .routes(routes!(incident::alerts))
        .routes(routes!(incident::start))
        .routes(routes!(incident::conclude))
        .routes(routes!(incident::merge))
        .routes(routes!(timeline::timeline))
        .routes(routes!(audit::search))
        .routes(routes!(audit::export))
        .routes(routes!(audit::checkpoint))
        .routes(routes!(activity::list))
        .routes(routes!(activity::start))
        .routes(routes!(activity::stop))
        .routes(routes!(activity::content))
        .routes(routes!(activity::fetch))
        .routes(routes!(event::stream))
        .routes(routes!(sign_in::look))
        .routes(routes!(sign_in::choose_password))
        .routes(routes!(sign_in::confirm_code))
        .routes(routes!(sign_in::begin_first_passkey))
        .routes(routes!(sign_in::finish_first_passkey))
        .routes(routes!(sign_in::options))
        .routes(routes!(sign_in::with_password))
        .routes(routes!(sign_in::with_code))
        .routes(routes!(sign_in::begin_app))
        .routes(routes!(sign_in::finish_app))
        .routes(routes!(sign_in::begin_passkey))
        .routes(routes!(sign_in::with_passkey))
        .routes(routes!(sign_in::demo_people, sign_in::as_demo_person))
        .routes(routes!(oidc::begin))
        .routes(routes!(oidc::finish))
        .routes(routes!(identity_provider::list, identity_provider::add))
        .routes(routes!(identity_provider::remove))
        .routes(routes!(connector::list, connector::add))
        .routes(routes!(connector::change, connector::remove))
        .routes(routes!(connector::test))
        .routes(routes!(contact::list, contact::add))
        .routes(routes!(contact::change, contact::remove))
        .routes(routes!(contact::test))
        .routes(routes!(mail_rule::list, mail_rule::add))
        .routes(routes!(mail_rule::change, mail_rule::remove))
        .routes(routes!(mail_rule::restore))
        .routes(routes!(mail_rule::test))
        .routes(routes!(webhook::list, webhook::add))
        .routes(routes!(webhook::change, webhook::remove))
        .routes(routes!(webhook::rotate))
        .routes(routes!(webhook::test))
        .routes(routes!(chat_channel::list, chat_channel::add))
        .routes(routes!(chat_channel::change, chat_channel::remove))
        .routes(routes!(chat_channel::test))
        .routes(routes!(chat_channel::make_team))
        .routes(routes!(chat_channel::receive))
        .routes(routes!(notification::list))
        .routes(routes!(notification::get))
        .routes(routes!(notification::again))
        .routes(routes!(notification::of_incident))
        .routes(routes!(notification::settings, notification::choose))
        .routes(routes!(notification::preview))
        .routes(routes!(notification::mails))
        .routes(routes!(credit::get, credit::choose))
        .routes(routes!(ladder::get, ladder::choose))
        .routes(routes!(ladder::of_incident))
        .routes(routes!(ladder::ended))
        .routes(routes!(ladder::heard))
        .routes(routes!(service_clock::of_incident))
        .routes(routes!(service_clock::agreed, service_clock::agree, service_clock::end))
        .routes(routes!(notification::answer))
        .routes(routes!(session::get, session::end))
        .routes(routes!(session::switch))
        .routes(routes!(session::step_up_with_code))
        .routes(routes!(session::begin_step_up))
        .routes(routes!(session::step_up_with_passkey))
        .routes(routes!(session::list))
        .routes(routes!(session::end_other))
        .routes(routes!(session::passkeys))
        .routes(routes!(session::begin_passkey))
        .routes(routes!(session::finish_passkey))
        .routes(routes!(session::remove_passkey))
        .routes(routes!(people::list, people::invite))
        .routes(routes!(people::change, people::remove))
        .routes(routes!(people::invite_again))
        .routes(routes!(people::sign_out))
        .routes(routes!(app::list, app::add))
        .routes(routes!(app::remove))
        .routes(routes!(app::renew))
        .routes(routes!(tenant::list, tenant::add))
        .routes(routes!(tenant::welcome))
        .routes(routes!(tenant::onboarding))
        .routes(routes!(tenant::end_monitoring))
        .routes(routes!(onboarding::get))
        .routes(routes!(onboarding::set_step))
        .routes(routes!(onboarding::submit))
        .routes(routes!(onboarding::check))
        .routes(routes!(onboarding::targets))
        .routes(routes!(agent_token::list, agent_token::add))
        .routes(routes!(agent_token::remove))
        .routes(routes!(device::list))
        .routes(routes!(device::get, device::change, device::remove))
        .routes(routes!(device::timeline))
        .routes(routes!(device::release_code))
        .routes(routes!(user::list))
        .routes(routes!(user::get, user::change))
        .routes(routes!(user::incidents))
        .routes(routes!(user::alerts))
        .routes(routes!(user::timeline))
        .routes(routes!(user::act))
        .routes(routes!(package::get))
        .routes(routes!(access::grant, access::change_grant))
        .routes(routes!(access::list, access::request))
        .routes(routes!(access::approve))
        .routes(routes!(access::deny))
        .routes(routes!(access::revoke))
        .routes(routes!(access::withdraw))
        .routes(routes!(response::types))
        .routes(routes!(response::get))
        .routes(routes!(response::save_summary))
        .routes(routes!(response::publish))
        .routes(routes!(response::reject))
        .routes(routes!(response::draft))
        .routes(routes!(response::get_task, response::edit, response::remove))
        .routes(routes!(response::run))
        .routes(routes!(response::begin))
        .routes(routes!(response::complete))
        .routes(routes!(response::skip))
        .routes(routes!(response::reopen))
        .routes(routes!(response::undo))
        .routes(routes!(response::preview))
        .routes(routes!(action::list))
        .routes(routes!(action::export))
        .routes(routes!(action::change_many))
        .routes(routes!(action::get))
        .routes(routes!(action::approve))
        .routes(routes!(action::reject))
        .routes(routes!(action::cancel))
        .routes(routes!(action::undo))
        .routes(routes!(action::decide))
        .routes(routes!(action::seen_instances, action::apply_to_instances))
        .routes(routes!(action::on_device))
        .routes(routes!(conversation::list, conversation::ask))
        .routes(routes!(conversation::export))
        .routes(routes!(conversation::get))
        .routes(routes!(conversation::messages, conversation::say))
        .routes(routes!(conversation::mark))
        .routes(routes!(conversation::rate))
        .routes(routes!(conversation::close))
        .routes(routes!(conversation::translate))
        .routes(routes!(exclusion::list, exclusion::add))
        .routes(routes!(exclusion::remove))
        .routes(routes!(exclusion::high_value))
        .routes(routes!(exclusion::groups))
        .routes(routes!(authority::get, authority::change))
        .routes(routes!(authority::save))
        .routes(routes!(authority::check))
        .routes(routes!(authority::what_if))
        .routes(routes!(authority::versions))
        .routes(routes!(authority::version))
}

/// The parameters of a query; an unknown or unreadable one is refused.
pub struct Params<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequestParts<Site> for Params<T> {
    type Rejection = Failure;
    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, Failure> {
        Query::from_request_parts(parts, site)
            .await
            .map(|Query(params)| Self(params))
            .map_err(|rejection| Failure::bad(rejection.body_text()))
    }
}

/// Of which customer something is asked that is agreed with each.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct Whom {
    /// The customer's id; absent: the caller's own organisation, and for the provider all customers
    /// where something is agreed with all.
    tenant_id: Option<String>,
}

/// Refuses a body that says anything: it may be absent, or an object without members.
async fn nothing(site: &Site, headers: &HeaderMap, body: Body) -> Result<(), Failure> {
    let held = body::read(headers, body, body::SMALL, &site.bodies).await?;
    if held.bytes.trim_ascii().is_empty() {
        return Ok(());
    }
    serde_json::from_slice::<sign_in::Nothing>(&held.bytes)
        .map(|_| ())
        .map_err(|error| Failure::bad(format!("request body cannot be read: {error}")))
}

/// Whether the caller may do something now, and if not, why.
#[derive(Clone, Debug, serde::Serialize, utoipa::ToSchema)]
pub struct May {
    /// Whether it may.
    pub allowed: bool,
    /// Why not.
    pub because: Option<String>,
}

impl May {
    /// Yes, unless there is a reason.
    #[must_use]
    pub fn unless(because: Option<String>) -> Self {
        Self { allowed: because.is_none(), because }
    }
}

/// An answer without content.
fn done() -> axum::response::Response {
    axum::response::IntoResponse::into_response(axum::http::StatusCode::NO_CONTENT)
}

/// A request body of this type.
async fn read<T: DeserializeOwned>(
    site: &Site,
    headers: &HeaderMap,
    body: Body,
) -> Result<(T, bytes::Bytes), Failure> {
    let held = body::read(headers, body, body::SMALL, &site.bodies).await?;
    let value = serde_json::from_slice(&held.bytes)
        .map_err(|error| Failure::bad(format!("request body cannot be read: {error}")))?;
    Ok((value, held.bytes.clone()))
}
