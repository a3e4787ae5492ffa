//! The token endpoints and what identity libraries read about them first (graph-api rule 7).

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, PRAGMA};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use serde_json::{Value, json};

use crate::http::limit::Class;
use crate::http::{
    Answer, Base, EXCHANGE, Failure, Site, body, count_address, form, json_response,
};
use crate::person::session::Origin;
use crate::tenant::token::{self, Claims, LIFETIME_S, TokenRefusal};

/// Whom a token is for when the request names nobody in particular.
const AUDIENCE: &str = "https://graph.microsoft.com";

/// The routes, from the root.
pub fn routes() -> Router<Site> {
    Router::new()
        .route("/{tenant}/oauth2/v2.0/token", post(issue_v2))
        .route("/{tenant}/oauth2/token", post(issue_v1))
        .route("/{tenant}/v2.0/.well-known/openid-configuration", get(discovery_v2))
        .route("/{tenant}/.well-known/openid-configuration", get(discovery_v1))
        .route("/{tenant}/discovery/v2.0/keys", get(keys))
        .route("/{tenant}/discovery/keys", get(keys))
        .route("/common/discovery/instance", get(instance))
}

async fn discovery_v2(Path(tenant): Path<String>, base: Base) -> Answer {
    Ok(Json(discovery(&base, &tenant, "/v2.0")?).into_response())
}

async fn discovery_v1(Path(tenant): Path<String>, base: Base) -> Answer {
    Ok(Json(discovery(&base, &tenant, "")?).into_response())
}

fn discovery(base: &Base, tenant: &str, version: &str) -> Result<Value, Failure> {
    if uuid::Uuid::parse_str(tenant).is_err() {
        return Err(Failure::new(StatusCode::NOT_FOUND, "there is no such tenant"));
    }
    let base = &base.0;
    Ok(json!({
        "issuer": format!("{base}/{tenant}{version}"),
        "token_endpoint": format!("{base}/{tenant}/oauth2{version}/token"),
        "authorization_endpoint": format!("{base}/{tenant}/oauth2{version}/authorize"),
        "device_authorization_endpoint": format!("{base}/{tenant}/oauth2{version}/devicecode"),
        "jwks_uri": format!("{base}/{tenant}/discovery{version}/keys"),
        "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
        "grant_types_supported": ["client_credentials"],
        "response_types_supported": ["token"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "scopes_supported": ["openid"],
        "claims_supported": ["iss", "aud", "iat", "nbf", "exp", "appid", "tid", "roles"],
        "tenant_region_scope": null,
        "cloud_instance_name": base.split_once("://").map_or("", |(_, host)| host),
    }))
}

async fn keys(State(site): State<Site>) -> Response {
    Json(site.callers.keys().public()).into_response()
}

/// Libraries ask whether they may trust an authority they do not know; this one vouches for itself.
async fn instance(base: Base, uri: axum::http::Uri) -> Answer {
    let host = base.0.split_once("://").map_or("", |(_, host)| host).to_owned();
    let asked = form::pairs(uri.query().unwrap_or_default().as_bytes())
        .into_iter()
        .find(|(name, _)| name == "authorization_endpoint")
        .map(|(_, value)| value)
        .unwrap_or_default();
    let tenant = asked.split('/').nth(3).unwrap_or("common").to_owned();
    let sound = tenant.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let tenant = if sound { tenant } else { "common".to_owned() };
    Ok(Json(json!({
        "tenant_discovery_endpoint":
            format!("{}/{tenant}/v2.0/.well-known/openid-configuration", base.0),
        "api-version": "1.1",
        "metadata": [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}],
    }))
    .into_response())
}

async fn issue_v2(
    State(site): State<Site>,
    Path(tenant): Path<String>,
    base: Base,
    origin: Origin,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    count_address(&site, origin.address, Class::Token)?;
    issue(&site, &tenant, &base, &headers, body, true).await
}

async fn issue_v1(
    State(site): State<Site>,
    Path(tenant): Path<String>,
    base: Base,
    origin: Origin,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    count_address(&site, origin.address, Class::Token)?;
    issue(&site, &tenant, &base, &headers, body, false).await
}

async fn issue(
    site: &Site,
    tenant: &str,
    base: &Base,
    headers: &HeaderMap,
    body: Body,
    v2: bool,
) -> Answer {
    let held = body::read(headers, body, 64 * 1024, &site.bodies).await?;
    let pairs = form::pairs(&held.bytes);
    let field = |wanted: &str| {
        pairs.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
    };
    match grant(site, tenant, base, headers, &field, v2).await? {
        Ok(body) => Ok(unstored(json_response(StatusCode::OK, &body))),
        Err(refusal) => Ok(unstored(refused(site, &refusal))),
    }
}

async fn grant<'a>(
    site: &Site,
    tenant: &str,
    base: &Base,
    headers: &HeaderMap,
    field: &impl Fn(&str) -> Option<&'a str>,
    v2: bool,
) -> Result<Result<Value, TokenRefusal>, Failure> {
    let missing = |name: &str| TokenRefusal {
        error: "invalid_request",
        code: 900_144,
        text: format!("The request body must contain the following parameter: '{name}'."),
    };
    let Some(kind) = field("grant_type") else { return Ok(Err(missing("grant_type"))) };
    if kind != "client_credentials" {
        return Ok(Err(TokenRefusal {
            error: "unsupported_grant_type",
            code: 70_003,
            text: "The app requested an unsupported grant type; only client_credentials is \
                   offered."
                .to_owned(),
        }));
    }
    let basic = basic(headers);
    let (id, secret) = match (&basic, field("client_id"), field("client_secret")) {
        (_, Some(id), Some(secret)) => (id, secret),
        (Some((id, secret)), _, _) => (id.as_str(), secret.as_str()),
        (None, None, _) => return Ok(Err(missing("client_id"))),
        (None, Some(_), None) => {
            return Ok(Err(TokenRefusal {
                error: "invalid_client",
                code: 7_000_216,
                text: "'client_assertion', 'client_secret' or 'request' is required for the \
                       'client_credentials' grant type."
                    .to_owned(),
            }));
        }
    };
    let wanted = if v2 {
        field("scope").or(field("resource"))
    } else {
        field("resource").or(field("scope"))
    };
    let Some(wanted) = wanted else {
        return Ok(Err(missing(if v2 { "scope" } else { "resource" })));
    };
    if uuid::Uuid::parse_str(tenant).is_err() {
        return Ok(Err(TokenRefusal {
            error: "invalid_request",
            code: 90_002,
            text: "Tenant not found. Check to make sure you have the correct tenant ID.".to_owned(),
        }));
    }
    let tenant = tenant.to_ascii_lowercase();
    let roles = match token::authenticate(&site.app, &tenant, id, secret).await? {
        Ok(roles) => roles,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let audience = wanted.split(' ').next().unwrap_or_default();
    let audience = audience.trim_end_matches("/.default").trim_end_matches('/');
    let audience = if audience.is_empty() { AUDIENCE } else { audience };
    let now = site.app.clock.now();
    let claims = Claims {
        client_id: id.to_ascii_lowercase(),
        tenant_id: tenant.clone(),
        expires: now.plus_seconds(LIFETIME_S),
    };
    let issuer = format!("{}/{tenant}{}", base.0, if v2 { "/v2.0" } else { "/" });
    let roles: Vec<&str> = roles.iter().map(String::as_str).collect();
    let token = site.callers.keys().sign(&site.app, &issuer, audience, &claims, &roles)?;
    let seconds = |micros: i64| micros / 1_000_000;
    let mut body = json!({
        "token_type": "Bearer",
        "expires_in": LIFETIME_S,
        "ext_expires_in": LIFETIME_S,
        "access_token": token,
    });
    if !v2 {
        body["expires_on"] = json!(seconds(claims.expires.micros()));
        body["not_before"] = json!(seconds(now.micros()));
        body["resource"] = json!(wanted);
    }
    Ok(Ok(body))
}

/// Id and secret of an `Authorization: Basic` header; both are form-encoded in it (RFC 6749, 2.3.1).
fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, packed) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = base64::engine::general_purpose::STANDARD.decode(packed.trim()).ok()?;
    let text = String::from_utf8(text).ok()?;
    let (id, secret) = text.split_once(':')?;
    Some((form::plain(id.as_bytes()), form::plain(secret.as_bytes())))
}

fn refused(site: &Site, refusal: &TokenRefusal) -> Response {
    let status = match refusal.error {
        "invalid_client" => StatusCode::UNAUTHORIZED,
        _ => StatusCode::BAD_REQUEST,
    };
    let (trace, correlation) = EXCHANGE
        .try_with(|exchange| {
            let client = exchange.client_id.clone().unwrap_or_else(|| exchange.id.clone());
            (exchange.id.clone(), client)
        })
        .unwrap_or_default();
    let now = site.app.clock.now().to_string();
    let stamp =
        format!("{} {}Z", now.get(..10).unwrap_or_default(), now.get(11..19).unwrap_or_default());
    let description = format!(
        "AADSTS{}: {} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {stamp}",
        refusal.code, refusal.text
    );
    json_response(
        status,
        &json!({
            "error": refusal.error,
            "error_description": description,
            "error_codes": [refusal.code],
            "timestamp": stamp,
            "trace_id": trace,
            "correlation_id": correlation,
        }),
    )
}

fn unstored(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store, no-cache"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    response
}
