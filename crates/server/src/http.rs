//! What every HTTP answer has in common: who asks, what a refusal looks like, what a body may be.
//!
//! Every failure is the Graph error body `{"error":{"code","message","innerError"}}` with the ids of
//! the request; an error of ours is logged in full and answered with a generic sentence. Invariant:
//! nothing is read from a caller before it has shown a token, and no body grows beyond its limit.
//! Not here: which requests there are (see `graph`, `api`, `router`).

pub mod body;
pub mod cookie;
pub mod crawl;
pub mod csv;
pub mod form;
pub mod limit;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, OnceLock};

use axum::extract::{FromRequestParts, Request};
use axum::http::header::{
    AUTHORIZATION, CONTENT_TYPE, HOST, RETRY_AFTER, USER_AGENT, WWW_AUTHENTICATE,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use rustls::pki_types::CertificateDer;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::agent::authority::Authority;
use crate::agent::enrol::Door;
use crate::alert::intake::Intake;
use crate::app::App;
use crate::clock::Timestamp;
use crate::error::Error;
use crate::http::body::{Budget, Reading};
use crate::http::crawl::Crawls;
use crate::http::limit::{Class, Limiter};
use crate::id::TenantNo;
use crate::notification::chat::teams;
use crate::notification::phone::Phone;
use crate::person::oidc;
use crate::person::session::{self, Origin};
use crate::tenant::caller::{Caller, Callers, Reach};

/// Long alerts opened at once.
const LONG_ALERTS: usize = 1;

/// Everything a handler needs. Cheap to clone.
#[derive(Clone)]
pub struct Site {
    /// The process.
    pub app: App,
    /// Tokens and applications.
    pub callers: Arc<Callers>,
    /// The way to the committing task.
    pub intake: Intake,
    /// Requests made lately by each application.
    pub limiter: Arc<Limiter>,
    /// Bytes of request bodies held in memory.
    pub bodies: Budget,
    /// What reading intake bodies may take.
    pub reading: Reading,
    /// Long alerts that are opened at once, to be shown; each takes many times its length.
    pub long_alerts: Arc<tokio::sync::Semaphore>,
    /// Where crawls with `$skip` are.
    pub crawls: Arc<Crawls>,
    /// What identity providers said of themselves lately.
    pub providers: Arc<oidc::Known>,
    /// Keys that the connector of Teams signs with, as published lately.
    pub teams_keys: Arc<teams::Keys>,
    /// The account by which people are called, to know its carrier by.
    pub phone: Option<Arc<Phone>>,
    /// Ends what would otherwise go on for ever: live streams.
    pub stop: tokio_util::sync::CancellationToken,
    /// Where agents come in, once the process listens.
    pub door: Arc<OnceLock<Door>>,
    /// The agents' authority, once somebody needed it.
    authority: Arc<OnceCell<Arc<Authority>>>,
    /// Tenants that always want every enumeration member by name, as last seen.
    spelling: Arc<Mutex<HashMap<TenantNo, (Timestamp, bool)>>>,
}

impl Site {
    /// Puts the parts together.
    #[must_use]
    pub fn new(app: App, callers: Arc<Callers>, intake: Intake) -> Self {
        let bodies = Budget::new(app.config.intake.body_bytes.saturating_mul(4));
        // What is wrong with it is said where it is opened to call by.
        let phone = Phone::open(&app.config.phone).ok().flatten().map(Arc::new);
        Self {
            app,
            callers,
            intake,
            limiter: Arc::default(),
            bodies,
            reading: Reading::default(),
            long_alerts: Arc::new(tokio::sync::Semaphore::new(LONG_ALERTS)),
            crawls: Arc::default(),
            providers: Arc::default(),
            teams_keys: Arc::default(),
            phone,
            stop: tokio_util::sync::CancellationToken::new(),
            door: Arc::default(),
            authority: Arc::default(),
            spelling: Arc::default(),
        }
    }

    /// What signs agents' certificates and orders.
    pub async fn authority(&self) -> crate::error::Result<Arc<Authority>> {
        let load = async || Authority::load(&self.app).await.map(Arc::new);
        self.authority.get_or_try_init(load).await.cloned()
    }

    /// Whether a tenant asked (`alwaysSpellStatus`) that members after the sentinel are always
    /// named (graph-api rule 1). A change takes effect within five seconds.
    pub async fn always_spells(&self, tenant: TenantNo) -> crate::error::Result<bool> {
        let now = self.app.clock.now();
        let known = self.spelling.lock().ok().and_then(|known| known.get(&tenant).copied());
        if let Some((at, spells)) = known
            && (0..5_000_000).contains(&(now.micros() - at.micros()))
        {
            return Ok(spells);
        }
        let row = self
            .app
            .db
            .shared()
            .query_one("select settings from tenant where no = $1", vec![tenant.0.into()])
            .await?;
        let settings: String = match row {
            Some(row) => crate::db::column(&row, 0)?,
            None => String::new(),
        };
        let settings: Value = serde_json::from_str(&settings).unwrap_or_default();
        let spells = settings.get("alwaysSpellStatus").and_then(Value::as_bool).unwrap_or(false);
        if let Ok(mut known) = self.spelling.lock() {
            known.insert(tenant, (now, spells));
        }
        Ok(spells)
    }
}

/// One request on its way through; reachable from everything that answers it.
pub struct Exchange {
    /// The id we gave it.
    pub id: String,
    /// The id the client gave it.
    pub client_id: Option<String>,
    /// When it came.
    pub at: Timestamp,
    /// The application that asked, once known.
    pub asked_by: OnceLock<String>,
}

tokio::task_local! {
    /// The request this task answers.
    pub static EXCHANGE: Arc<Exchange>;
}

/// What handlers return when they cannot do what was asked.
pub type Answer = Result<Response, Failure>;

/// A refusal as it goes over the wire.
#[derive(Debug)]
pub struct Failure {
    /// The status.
    pub status: StatusCode,
    /// The word clients match on.
    pub code: &'static str,
    /// What is wrong, for people.
    pub message: String,
    /// Whole seconds after which to try again.
    pub retry_after_s: Option<u32>,
}

impl Failure {
    /// A refusal with the usual code of its status.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        let code = match status {
            StatusCode::BAD_REQUEST => "BadRequest",
            StatusCode::UNAUTHORIZED => "InvalidAuthenticationToken",
            StatusCode::FORBIDDEN => "Authorization_RequestDenied",
            StatusCode::NOT_FOUND => "NotFound",
            StatusCode::METHOD_NOT_ALLOWED => "MethodNotAllowed",
            StatusCode::REQUEST_TIMEOUT => "RequestTimeout",
            StatusCode::CONFLICT => "Conflict",
            StatusCode::PAYLOAD_TOO_LARGE => "RequestEntityTooLarge",
            StatusCode::UNSUPPORTED_MEDIA_TYPE => "UnsupportedMediaType",
            StatusCode::TOO_MANY_REQUESTS => "TooManyRequests",
            StatusCode::SERVICE_UNAVAILABLE => "ServiceUnavailable",
            _ => "InternalServerError",
        };
        Self { status, code, message: message.into(), retry_after_s: None }
    }

    /// The request is wrong: 400.
    pub fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// No valid token: 401.
    pub fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, message)
    }

    /// The generic answer for an error of ours.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "An internal error occurred; the log has it under this request id.",
        )
    }

    /// The error body.
    #[must_use]
    pub fn body(&self) -> Value {
        let inner = EXCHANGE.try_with(|exchange| {
            json!({
                "date": exchange.at,
                "request-id": exchange.id,
                "client-request-id": exchange.client_id.as_ref().unwrap_or(&exchange.id),
            })
        });
        json!({
            "error": {
                "code": self.code,
                "message": self.message,
                "innerError": inner.unwrap_or_default(),
            }
        })
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Invalid(text) => Self::bad(text),
            Error::NotFound(text) => Self::new(StatusCode::NOT_FOUND, text),
            Error::Denied(text) => Self::new(StatusCode::FORBIDDEN, text),
            Error::NoAccess(_) => Self {
                code: "AccessRequired",
                ..Self::new(StatusCode::FORBIDDEN, error.to_string())
            },
            Error::StepUp => Self {
                code: "StepUpRequired",
                ..Self::new(StatusCode::FORBIDDEN, error.to_string())
            },
            Error::Conflict(text) => Self::new(StatusCode::CONFLICT, text),
            Error::Busy { retry_after_s, own_limit, .. } => {
                let status = if own_limit {
                    StatusCode::TOO_MANY_REQUESTS
                } else {
                    StatusCode::SERVICE_UNAVAILABLE
                };
                Self { retry_after_s: Some(retry_after_s), ..Self::new(status, error.to_string()) }
            }
            Error::Internal(text) => {
                tracing::error!("request failed: {text}");
                Self::internal()
            }
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = json_response(self.status, &self.body());
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after_s {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// An answer of this JSON.
pub fn json_response(status: StatusCode, body: &impl serde::Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(bytes) => json_bytes(status, bytes),
        Err(error) => {
            tracing::error!("an answer cannot be written as JSON: {error}");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// An answer of JSON that is written already.
pub fn json_bytes(status: StatusCode, bytes: impl Into<axum::body::Body>) -> Response {
    let mut response = Response::new(bytes.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// What a request shows to say who asks.
#[derive(Clone)]
pub enum Proof {
    /// An `Authorization` header.
    Token(String),
    /// The session cookie of a browser.
    Session(String),
}

impl Proof {
    /// What a request shows; a token wins over a cookie. A browser's request that changes something
    /// must come from our own pages.
    fn of(parts: &Parts) -> Result<Self, Failure> {
        if let Some(header) = parts.headers.get(AUTHORIZATION) {
            return Ok(Self::Token(header.to_str().unwrap_or_default().to_owned()));
        }
        let Some(token) = cookie::session(&parts.headers) else {
            return Err(Failure::unauthorized(
                "Access token is empty: send it as 'Authorization: Bearer …', or sign in.",
            ));
        };
        cookie::refuse_foreign(&parts.method, &parts.uri, &parts.headers)?;
        Ok(Self::Session(token))
    }

    /// The caller behind it, with the reach of this moment; `None` when it proves nothing (any
    /// more).
    pub async fn caller(
        &self,
        site: &Site,
        address: Option<IpAddr>,
        attended: bool,
    ) -> crate::error::Result<Option<Caller>> {
        match self {
            Self::Token(header) => site.callers.identify(&site.app, header, address).await,
            Self::Session(token) => session::identify(&site.app, token, address, attended).await,
        }
    }
}

/// Put into a request's extensions by the listener: the other end of the connection.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub IpAddr);

/// Behind proxies that the operator trusts, the address that they say a request came from: in
/// `X-Forwarded-For` each adds whom it was asked by, so the last that is not a proxy itself is the
/// client. What stands before it anybody can write.
pub fn look_behind_proxies(site: &Site, request: &mut axum::extract::Request) {
    let trusted = &site.app.config.trusted_proxies;
    let is_proxy = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    let Some(Peer(mut client)) = request.extensions().get::<Peer>().copied() else { return };
    let headers = request.headers().get_all("x-forwarded-for");
    let said = headers.iter().filter_map(|value| value.to_str().ok());
    let said: Vec<&str> = said.flat_map(|value| value.split(',')).map(str::trim).collect();
    for address in said.into_iter().rev() {
        if !is_proxy(client) {
            break;
        }
        let Ok(address) = address.parse::<IpAddr>() else { break };
        client = address.to_canonical();
    }
    request.extensions_mut().insert(Peer(client));
}

/// The address a request came from: of the connection, or what a trusted proxy says of it.
#[must_use]
pub fn address_of(parts: &Parts) -> Option<IpAddr> {
    parts.extensions.get::<Peer>().map(|peer| peer.0.to_canonical())
}

impl<S: Sync> FromRequestParts<S> for Origin {
    type Rejection = std::convert::Infallible;
    async fn from_request_parts(
        parts: &mut Parts,
        _: &S,
    ) -> Result<Self, std::convert::Infallible> {
        let agent = parts.headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok());
        Ok(Self {
            address: address_of(parts),
            user_agent: agent.unwrap_or_default().chars().take(300).collect(),
        })
    }
}

impl FromRequestParts<Site> for Proof {
    type Rejection = Failure;
    async fn from_request_parts(parts: &mut Parts, _: &Site) -> Result<Self, Failure> {
        Self::of(parts)
    }
}

/// A caller whose request does not count towards the general limit.
pub struct Unmetered(pub Caller);

impl FromRequestParts<Site> for Unmetered {
    type Rejection = Failure;
    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, Failure> {
        let proof = Proof::of(parts)?;
        // A page that looks by itself says so: nobody's session goes on because a page was left open.
        let attended = !parts.headers.contains_key("x-riposte-unattended");
        let caller = proof.caller(site, address_of(parts), attended).await?.ok_or_else(|| {
            Failure::unauthorized(match proof {
                Proof::Token(_) => "Access token is invalid or has expired.",
                Proof::Session(_) => "The session has ended; sign in again.",
            })
        })?;
        let _ = EXCHANGE.try_with(|exchange| exchange.asked_by.set(caller.name.clone()));
        Ok(Self(caller))
    }
}

/// Counts a request of somebody who has shown nothing towards the limit of its address.
///
/// # Errors
/// `Busy` when the address has used its minute up.
pub fn count_address(
    site: &Site,
    address: Option<IpAddr>,
    class: Class,
) -> crate::error::Result<()> {
    let from = address.map_or_else(String::new, |address| address.to_string());
    site.limiter.count(&format!("address {from}"), class, &site.app)
}

/// Somebody who has shown nothing yet and may try to: counted by address, and from our own pages.
pub struct Stranger;

impl FromRequestParts<Site> for Stranger {
    type Rejection = Failure;
    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, Failure> {
        cookie::refuse_foreign(&parts.method, &parts.uri, &parts.headers)?;
        Sent::from_request_parts(parts, site).await?;
        Ok(Self)
    }
}

/// Somebody whom another site sent, as an identity provider does: counted by address, and to be
/// trusted with nothing before what the request carries is looked at.
pub struct Sent;

impl FromRequestParts<Site> for Sent {
    type Rejection = Failure;
    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, Failure> {
        count_address(site, address_of(parts), Class::SignIn)?;
        Ok(Self)
    }
}

impl FromRequestParts<Site> for Caller {
    type Rejection = Failure;
    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, Failure> {
        let Unmetered(caller) = Unmetered::from_request_parts(parts, site).await?;
        site.limiter.count(&caller.client_id, Class::General, &site.app)?;
        if let Reach::Tenant(tenant) = caller.reach {
            site.limiter.count(&format!("tenant {}", tenant.0), Class::Tenant, &site.app)?;
        }
        Ok(caller)
    }
}

/// Put into a request's extensions by a listener that speaks TLS.
#[derive(Clone, Copy, Debug)]
pub struct Tls;

/// Put into a request's extensions by a listener that verified it: the certificate of the agent at
/// the other end.
#[derive(Clone, Debug)]
pub struct Certificate(pub CertificateDer<'static>);

/// The address this very client reached us by, without a final `/`.
pub struct Base(pub String);

impl FromRequestParts<Site> for Base {
    type Rejection = std::convert::Infallible;
    async fn from_request_parts(
        parts: &mut Parts,
        site: &Site,
    ) -> Result<Self, std::convert::Infallible> {
        let public = site.app.config.public_url.as_deref().map(|url| url.trim_end_matches('/'));
        let tls = parts.extensions.get::<Tls>().is_some()
            || public.is_some_and(|url| url.starts_with("https://"));
        let scheme = if tls { "https" } else { "http" };
        Ok(Self(match (authority(&parts.headers, &parts.uri), public) {
            (Some(host), _) => format!("{scheme}://{host}"),
            (None, Some(url)) => url.to_owned(),
            (None, None) => format!("{scheme}://{}", site.app.config.listen),
        }))
    }
}

impl Base {
    /// The address people use for links to pages: the configured one, else this.
    #[must_use]
    pub fn web<'a>(&'a self, app: &'a App) -> &'a str {
        app.config.public_url.as_deref().map_or(&self.0, |url| url.trim_end_matches('/'))
    }
}

/// The host a request names, when it is spelt like one.
fn authority(headers: &HeaderMap, uri: &Uri) -> Option<String> {
    let named = headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = named.or_else(|| uri.authority().map(axum::http::uri::Authority::as_str))?;
    let sound =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']' | '_');
    (!host.is_empty() && host.len() <= 255 && host.chars().all(sound)).then(|| host.to_owned())
}

/// What a client prefers (RFC 7240).
#[derive(Clone, Copy, Debug, Default)]
pub struct Prefer {
    /// Members after the sentinel by name (INC-3).
    pub unknown_members: bool,
    /// The page size, when `$top` is absent.
    pub page: Option<u64>,
}

impl Prefer {
    /// Reads the `Prefer` headers.
    #[must_use]
    pub fn read(headers: &HeaderMap) -> Self {
        let mut prefer = Self::default();
        let all = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
        for item in all.flat_map(|value| value.split(',')) {
            let (name, value) = item.split_once('=').unwrap_or((item, ""));
            match name.trim().to_ascii_lowercase().as_str() {
                "include-unknown-enum-members" => prefer.unknown_members = true,
                "odata.maxpagesize" | "maxpagesize" => {
                    prefer.page = value.trim().trim_matches('"').parse().ok();
                }
                _ => {}
            }
        }
        prefer
    }

    /// Says in an answer which preferences were followed.
    #[must_use]
    pub fn applied(self, mut response: Response) -> Response {
        if self.unknown_members {
            response.headers_mut().insert(
                "preference-applied",
                HeaderValue::from_static("include-unknown-enum-members"),
            );
        }
        response
    }
}

impl<S: Sync> FromRequestParts<S> for Prefer {
    type Rejection = std::convert::Infallible;
    async fn from_request_parts(
        parts: &mut Parts,
        _: &S,
    ) -> Result<Self, std::convert::Infallible> {
        Ok(Self::read(&parts.headers))
    }
}

/// A client's own id for its request, when it is one we can give back.
#[must_use]
pub fn client_request_id(request: &Request) -> Option<String> {
    let id = request.headers().get("client-request-id")?.to_str().ok()?;
    let sound = id.len() <= 128 && id.bytes().all(|b| b.is_ascii_graphic());
    (sound && !id.is_empty()).then(|| id.to_owned())
}
