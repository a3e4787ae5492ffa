//! Users of Microsoft Entra ID, through Microsoft Graph v1.0.
//!
//! A token by client credentials, kept in memory until shortly before it ends; then one request and
//! one answer at a time. What an answer means is decided here and nowhere else: taken, not now,
//! refused, or lost. An answer counts as *not begun* only where the product says so; whatever else
//! is no clear answer is lost, and the user is read. Reasons are ours: nothing of an answer's body
//! is told to anybody, since it may hold whatever the product likes.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Mutex;
use std::time::Duration;

use axum::http::{HeaderValue, Request as Asked, Response, StatusCode, header};
use serde_json::{Map, Value, json};

use crate::alert::format::when;
use crate::app::App;
use crate::clock::Timestamp;
use crate::connector::{Connector, Verb, secret};
use crate::outbound::{self, Unanswered};

/// How long one request may take: less than half of a lease.
const LASTS: Duration = Duration::from_millis(2_400);
/// A token is not used in the last seconds of its life.
const SPARE_S: i64 = 60;

/// Asks for ids that stay when a mail is moved; says nothing where there are none.
pub(super) const IMMUTABLE: &str = "IdType=\"ImmutableId\"";

/// What is sent for an action, as a dry run shows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// The method.
    pub method: &'static str,
    /// The path behind the product's address.
    pub path: String,
    /// The body.
    pub body: Option<Value>,
}

impl Request {
    /// What is sent to do this to a user.
    #[must_use]
    pub fn new(verb: Verb, user: &str) -> Self {
        let path = format!("/v1.0/users/{}", encoded(user));
        let (method, path, body) = match verb {
            Verb::DisableUser => ("PATCH", path, Some(json!({ "accountEnabled": false }))),
            Verb::EnableUser => ("PATCH", path, Some(json!({ "accountEnabled": true }))),
            Verb::EndSessions => ("POST", format!("{path}/revokeSignInSessions"), None),
            Verb::ResetPassword => {
                let profile = json!({ "forceChangePasswordNextSignIn": true });
                ("PATCH", path, Some(json!({ "passwordProfile": profile })))
            }
        };
        Self { method, path, body }
    }
}

/// What a product answered to a request that does something.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Told {
    /// It took the request. Whether it is so is another question.
    Accepted,
    /// Not now; it may be asked again so many seconds later.
    Later {
        /// Seconds from now.
        seconds: i64,
        /// Why.
        reason: String,
        /// Whether it is certain that nothing happened, and not only what the product says.
        certain: bool,
    },
    /// It will not do it.
    Refused(String),
    /// Nobody knows whether it happened.
    Lost(String),
}

/// Why nothing was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// For people.
    pub reason: String,
    /// Whether asking again will not help.
    pub lasting: bool,
}

impl Fault {
    pub(super) fn passing(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), lasting: false }
    }

    pub(super) fn lasting(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), lasting: true }
    }
}

/// The ways into products that this process has: tokens, by connector and its version.
pub struct Lines {
    tokens: Mutex<HashMap<(String, i64), (String, Timestamp)>>,
    lasts: Duration,
}

impl Default for Lines {
    fn default() -> Self {
        Self::within(LASTS)
    }
}

/// A product that may be asked now.
pub struct Open<'a> {
    lines: &'a Lines,
    connector: Connector,
    token: String,
    /// Whether the token was made for this very occasion.
    fresh: bool,
}

fn key(connector: &Connector) -> (String, i64) {
    (connector.id.clone(), connector.version)
}

/// What is read of a user to see whether it is done: no more than what it takes, since each member
/// may need a permission of its own.
fn select(verb: Verb) -> &'static str {
    match verb {
        Verb::DisableUser | Verb::EnableUser => "id,userPrincipalName,accountEnabled",
        Verb::EndSessions => "id,userPrincipalName,signInSessionsValidFromDateTime",
        Verb::ResetPassword => "id,userPrincipalName,passwordProfile",
    }
}

pub(super) fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// A text inside a filter.
pub(super) fn literal(text: &str) -> String {
    encoded(&text.replace('\'', "''"))
}

/// The seconds after which to ask again; a date is no number, and half a minute then.
pub(super) fn retry_after(answer: &Response<Vec<u8>>) -> Option<i64> {
    let text = answer.headers().get(header::RETRY_AFTER)?.to_str().ok()?;
    Some(text.trim().parse().unwrap_or(30).clamp(1, 3_600))
}

pub(super) fn members(answer: &Response<Vec<u8>>) -> Option<Map<String, Value>> {
    serde_json::from_slice(answer.body()).ok()
}

impl Lines {
    /// Ways on which a request may take so long.
    #[must_use]
    pub fn within(lasts: Duration) -> Self {
        Self { tokens: Mutex::default(), lasts: lasts.min(LASTS) }
    }

    /// Gets a token, or takes the one that is still good. Not to be called inside a change.
    pub async fn open<'a>(&'a self, app: &App, connector: &Connector) -> Result<Open<'a>, Fault> {
        let now = app.clock.now();
        let held = self.tokens.lock().ok().and_then(|it| it.get(&key(connector)).cloned());
        if let Some((token, until)) = held
            && now < until
        {
            let connector = connector.clone();
            return Ok(Open { lines: self, connector, token, fresh: false });
        }
        let title = connector.kind.title();
        let secret =
            secret(app, &app.db.of(connector.tenant), connector).await.map_err(|error| {
                tracing::error!(connector.id, "a connector's secret cannot be read: {error}");
                Fault::passing("the connector's secret cannot be read")
            })?;
        let form = format!(
            "grant_type=client_credentials&client_id={}&client_secret={}&scope={}",
            encoded(&connector.client_id),
            encoded(&secret),
            encoded(&format!("{}/.default", connector.base_url)),
        );
        let request = Asked::post(&connector.token_url)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::ACCEPT, "application/json")
            .body(form.into_bytes())
            .map_err(|_| Fault::lasting("the address for tokens cannot be used"))?;
        let answer = outbound::ask(&app.config, request, self.lasts).await.map_err(|why| {
            tracing::warn!(connector.id, "no token: {}", crate::error::Error::from(why));
            Fault::passing(format!("{title} gives no token: it does not answer"))
        })?;
        let status = answer.status();
        if !status.is_success() {
            // A secret that has run out is renewed by a person, and what waits is tried till then.
            let reason = format!("{title} gives no token: it answered {}", status.as_u16());
            return Err(Fault::passing(reason));
        }
        let members = members(&answer).unwrap_or_default();
        let token = members.get("access_token").and_then(Value::as_str).unwrap_or_default();
        let lasts = members.get("expires_in").and_then(Value::as_i64).unwrap_or(0);
        if token.is_empty() || HeaderValue::from_str(token).is_err() {
            return Err(Fault::passing(format!("{title} gives no token that can be read")));
        }
        let until = now.plus_seconds(lasts.clamp(0, 86_400) - SPARE_S);
        if let Ok(mut tokens) = self.tokens.lock() {
            tokens.retain(|(id, _), _| *id != connector.id);
            tokens.insert(key(connector), (token.to_owned(), until));
        }
        let connector = connector.clone();
        Ok(Open { lines: self, connector, token: token.to_owned(), fresh: true })
    }

    fn forget(&self, connector: &Connector) {
        if let Ok(mut tokens) = self.tokens.lock() {
            tokens.remove(&key(connector));
        }
    }
}

impl Open<'_> {
    pub(super) fn title(&self) -> &'static str {
        self.connector.kind.title()
    }

    pub(super) fn unreadable(&self) -> Fault {
        Fault::passing(format!("{} answers what cannot be read", self.title()))
    }

    pub(super) fn base_url(&self) -> &str {
        &self.connector.base_url
    }

    fn request(&self, method: &str, path: &str, id: &str) -> axum::http::request::Builder {
        Asked::builder()
            .method(method)
            .uri(format!("{}{path}", self.connector.base_url))
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token))
            .header(header::ACCEPT, "application/json")
            .header("client-request-id", id)
            // A mail keeps its id when it is moved between reading and sending.
            .header("Prefer", IMMUTABLE)
    }

    /// Sends a request that does something to a user, once.
    pub async fn send(&self, app: &App, request: &Request, order: &str) -> Told {
        match self.exchange(app, request, order).await {
            Ok(answer) => self.told(&answer),
            Err(told) => told,
        }
    }

    /// Sends a request that does something, once, and gives what was answered.
    pub(super) async fn exchange(
        &self,
        app: &App,
        request: &Request,
        order: &str,
    ) -> Result<Response<Vec<u8>>, Told> {
        let body = request.body.as_ref().map(ToString::to_string).unwrap_or_default();
        let asked = self
            .request(request.method, &request.path, order)
            .header(header::CONTENT_TYPE, "application/json")
            .body(body.into_bytes());
        let Ok(asked) = asked else {
            return Err(Told::Refused("the product's address cannot be used".to_owned()));
        };
        let title = self.title();
        outbound::ask(&app.config, asked, self.lines.lasts).await.map_err(|why| match why {
            Unanswered::NotSent(error) => {
                tracing::warn!(connector.id = self.connector.id, "not sent: {error}");
                let reason = format!("{title} cannot be reached");
                Told::Later { seconds: 5, reason, certain: true }
            }
            Unanswered::Lost(error) => {
                tracing::warn!(connector.id = self.connector.id, "the answer was lost: {error}");
                Told::Lost(format!("{title} was told, and its answer was lost"))
            }
        })
    }

    pub(super) fn told(&self, answer: &Response<Vec<u8>>) -> Told {
        let (status, title) = (answer.status(), self.title());
        let code = status.as_u16();
        match status {
            _ if status.is_success() => Told::Accepted,
            StatusCode::TOO_MANY_REQUESTS => Told::Later {
                seconds: retry_after(answer).unwrap_or(30),
                reason: format!("{title} has too much to do"),
                certain: true,
            },
            StatusCode::SERVICE_UNAVAILABLE if retry_after(answer).is_some() => Told::Later {
                seconds: retry_after(answer).unwrap_or(30),
                reason: format!("{title} is not available"),
                certain: false,
            },
            StatusCode::UNAUTHORIZED if !self.fresh => {
                // The token was taken back before its time; a fresh one tells.
                self.lines.forget(&self.connector);
                let reason = format!("{title} does not take the token any more");
                Told::Later { seconds: 1, reason, certain: true }
            }
            StatusCode::REQUEST_TIMEOUT => Told::Lost(format!("{title} answered {code}")),
            _ if status.is_client_error() || status.is_redirection() => {
                self.lines.forget(&self.connector);
                Told::Refused(format!("{title} refused it: {}", meaning(status, "user")))
            }
            _ => Told::Lost(format!("{title} answered {code}")),
        }
    }

    async fn get(&self, app: &App, path: &str, id: &str) -> Result<Map<String, Value>, Fault> {
        self.get_of(app, path, id, "user").await
    }

    /// Reads something of a thing that is called so where there is none.
    pub(super) async fn get_of(
        &self,
        app: &App,
        path: &str,
        id: &str,
        what: &str,
    ) -> Result<Map<String, Value>, Fault> {
        let title = self.title();
        let asked = self
            .request("GET", path, id)
            .body(Vec::new())
            .map_err(|_| Fault::lasting("the product's address cannot be used"))?;
        let answer = outbound::ask(&app.config, asked, self.lines.lasts).await.map_err(|why| {
            let error = crate::error::Error::from(why);
            tracing::warn!(connector.id = self.connector.id, "nothing was read: {error}");
            Fault::passing(format!("{title} does not answer"))
        })?;
        let status = answer.status();
        match status {
            StatusCode::OK => members(&answer).ok_or_else(|| self.unreadable()),
            StatusCode::UNAUTHORIZED if !self.fresh => {
                self.lines.forget(&self.connector);
                Err(Fault::passing(format!("{title} does not take the token any more")))
            }
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => {
                Err(Fault::passing(format!("{title} has too much to do")))
            }
            _ if status.is_client_error() => {
                Err(Fault::lasting(format!("{title} does not tell: {}", meaning(status, what))))
            }
            _ => Err(Fault::passing(format!("{title} answered {}", status.as_u16()))),
        }
    }

    /// Reads of a user what shows whether this is done.
    pub async fn read(
        &self,
        app: &App,
        (verb, user): (Verb, &str),
        id: &str,
    ) -> Result<Value, Fault> {
        let path = format!("/v1.0/users/{}?$select={}", encoded(user), select(verb));
        let read = self.get(app, &path, id).await?;
        let named = read.get("userPrincipalName").and_then(Value::as_str).unwrap_or_default();
        if !named.eq_ignore_ascii_case(user) {
            return Err(Fault::passing(format!("{} speaks of another user", self.title())));
        }
        let profile = read.get("passwordProfile");
        Ok(json!({
            "accountEnabled": read.get("accountEnabled").and_then(Value::as_bool),
            "sessionsValidFrom": read
                .get("signInSessionsValidFromDateTime")
                .and_then(Value::as_str)
                .and_then(when::parse),
            "mustChangePassword": profile
                .and_then(|it| it.get("forceChangePasswordNextSignIn"))
                .and_then(Value::as_bool),
        }))
    }

    /// Reads anything, to see whether that is allowed.
    pub async fn look_around(&self, app: &App) -> Result<(), Fault> {
        let id = app.random.uuid().map_err(|error| Fault::passing(error.to_string()))?;
        self.get(app, "/v1.0/users?$top=1&$select=id", &id).await.map(|_| ())
    }
}

pub(super) fn meaning(status: StatusCode, what: &str) -> String {
    let code = status.as_u16();
    match status {
        StatusCode::UNAUTHORIZED => format!("our client is not known there ({code})"),
        StatusCode::FORBIDDEN => format!("our client may not do that there ({code})"),
        StatusCode::NOT_FOUND => format!("there is no such {what} ({code})"),
        _ => format!("it answered {code}"),
    }
}

/// See [`super::reading`].
pub(super) fn reading(verb: Verb, before: &Value, user: &Value) -> Value {
    let flag = |name: &str| user.get(name).and_then(Value::as_bool);
    match verb {
        Verb::DisableUser | Verb::EnableUser => {
            json!({ "disabled": flag("accountEnabled").map(|enabled| !enabled) })
        }
        Verb::EndSessions => {
            let moment = |of: &Value| {
                of.get("sessionsValidFrom").and_then(Value::as_str).and_then(when::parse)
            };
            // Who never had sessions ended has no such moment.
            let left = moment(user).map(|at| i64::from(moment(before).is_some_and(|it| at <= it)));
            json!({ "sessions": left, "validFrom": user.get("sessionsValidFrom") })
        }
        Verb::ResetPassword => json!({ "mustChangePassword": flag("mustChangePassword") }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_segment_of_a_path() {
        let request = Request::new(Verb::EndSessions, "a#ext#+b'@alder.example");
        assert_eq!(
            request.path,
            "/v1.0/users/a%23ext%23%2Bb%27%40alder.example/revokeSignInSessions"
        );
    }

    #[test]
    fn sessions_have_ended_when_the_product_says_a_later_moment() {
        let at = |text: &str| json!({ "sessionsValidFrom": text });
        let (early, late) = (at("2026-11-21T03:04:05Z"), at("2026-11-21T03:04:06Z"));
        let left = |before: &Value, now: &Value| {
            reading(Verb::EndSessions, before, now)["sessions"].clone()
        };
        assert_eq!(left(&early, &late), 0);
        assert_eq!(left(&early, &early), 1);
        assert_eq!(left(&late, &early), 1, "a copy that lags behind");
        assert_eq!(left(&json!({ "sessionsValidFrom": null }), &late), 0);
        assert_eq!(left(&early, &json!({ "sessionsValidFrom": null })), Value::Null);
    }
}
