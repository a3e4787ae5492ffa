//! All routes, and what every request passes through on its way to them.

use std::sync::Arc;
use std::sync::OnceLock;

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use tower::Layer;
use tower::util::MapRequestLayer;
use tower_http::catch_panic::CatchPanicLayer;
use tracing::Instrument as _;
use tracing::field::Empty;
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::endpoint;
use crate::graph::{self, Version};
use crate::http::{Answer, EXCHANGE, Exchange, Failure, Site, Tls, client_request_id};
use crate::log;
use crate::portal;

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Riposte",
        description = "Our own API. The Graph-compatible face follows Microsoft Graph's contract \
                       for security incidents and alerts.",
    ),
    tags(
        (name = "alert", description = "Intake and alerts"),
        (name = "incident", description = "Incidents and the experts' steps"),
        (name = "audit", description = "The audit log"),
        (name = "event", description = "The live stream"),
        (name = "graph", description = "The Graph-compatible face"),
    ),
)]
struct Document;

/// Everything this process answers.
pub fn router(site: Site) -> Router {
    let (api, _) = documented();
    let document = Arc::new(document());
    let inner = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/openapi.json", get(async move || Json((*document).clone())))
        .merge(graph::routes(Version::One))
        .merge(graph::routes(Version::Beta))
        .merge(graph::old_routes())
        .merge(graph::token::routes())
        .merge(api)
        .merge(endpoint::routes())
        .merge(portal::routes())
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(catching_panics())
        .layer(middleware::from_fn_with_state(site.clone(), attend))
        .with_state(site);
    // Rewriting comes before routing, so the routed part is a service behind it.
    Router::new().fallback_service(MapRequestLayer::new(graph::key::rewrite).layer(inner))
}

/// What is answered where only agents come in.
pub fn agents(site: Site) -> Router {
    endpoint::routes()
        .fallback(nothing_there)
        .method_not_allowed_fallback(wrong_method)
        .layer(catching_panics())
        .layer(middleware::from_fn_with_state(site.clone(), attend))
        .with_state(site)
}

fn documented() -> (Router<Site>, OpenApi) {
    OpenApiRouter::with_openapi(Document::openapi()).merge(crate::api::routes()).split_for_parts()
}

/// Operations are named by method and path: handlers of different modules share names, and a client
/// made of the document would mix them up.
fn name_operations(document: &mut OpenApi) {
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in [
            ("get", &mut item.get),
            ("put", &mut item.put),
            ("post", &mut item.post),
            ("patch", &mut item.patch),
            ("delete", &mut item.delete),
        ] {
            if let Some(operation) = operation {
                let words = path.split(|c: char| !c.is_ascii_alphanumeric());
                let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
                operation.operation_id = Some(format!("{method}_{}", words.join("_")));
            }
        }
    }
}

/// The OpenAPI document: our own API in full, the Graph face by its paths.
#[must_use]
pub fn document() -> OpenApi {
    use utoipa::openapi::path::{HttpMethod, OperationBuilder};
    use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
    use utoipa::openapi::{Components, ResponseBuilder};
    let (_, mut document) = documented();
    env!("CARGO_PKG_VERSION").clone_into(&mut document.info.version);
    let scheme = SecurityScheme::Http(
        HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build(),
    );
    let components = document.components.get_or_insert_with(Components::new);
    components.add_security_scheme("token", scheme);
    for (path, methods) in graph::PATHS {
        for method in *methods {
            let kind = match *method {
                "get" => HttpMethod::Get,
                "post" => HttpMethod::Post,
                "patch" => HttpMethod::Patch,
                _ => HttpMethod::Delete,
            };
            let response = ResponseBuilder::new().description("as Microsoft Graph answers").build();
            let operation = OperationBuilder::new().tag("graph").response("200", response).build();
            let versions: &[&str] =
                if path.starts_with("/security") { &["/v1.0", "/beta"] } else { &[""] };
            for version in versions {
                let path = format!("{version}{path}");
                document.paths.add_path_operation(path, vec![kind.clone()], operation.clone());
            }
        }
    }
    name_operations(&mut document);
    document
}

async fn ready(State(site): State<Site>) -> Response {
    match site.app.db.shared().query_one("select 1 from tenant limit 1", vec![]).await {
        Ok(_) if !site.stop.is_cancelled() => "ready\n".into_response(),
        Ok(_) => (StatusCode::SERVICE_UNAVAILABLE, "stopping\n").into_response(),
        Err(error) => {
            tracing::warn!("not ready: {error}");
            (StatusCode::SERVICE_UNAVAILABLE, "the store does not answer\n").into_response()
        }
    }
}

async fn metrics(State(site): State<Site>) -> Response {
    let kind =
        HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    ([(CONTENT_TYPE, kind)], site.app.metrics.text()).into_response()
}

/// A page of the portal for a browser; for anybody else there is nothing here.
async fn unknown(State(site): State<Site>, request: Request) -> Answer {
    if portal::is_wanted(request.method(), request.uri(), request.headers()) {
        return portal::page(&site);
    }
    Err(Failure::new(StatusCode::NOT_FOUND, "there is nothing at this address"))
}

async fn nothing_there() -> Failure {
    Failure::new(StatusCode::NOT_FOUND, "there is nothing at this address")
}

async fn wrong_method() -> Failure {
    Failure::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "this address does not take requests of this method",
    )
}

/// Answers for a handler that panicked: one error that says nothing of why.
#[must_use]
pub fn catching_panics() -> CatchPanicLayer<fn(Box<dyn std::any::Any + Send + 'static>) -> Response>
{
    CatchPanicLayer::custom(panicked)
}

#[expect(clippy::needless_pass_by_value, reason = "the signature that the layer wants")]
fn panicked(panic: Box<dyn std::any::Any + Send + 'static>) -> Response {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    tracing::error!("a handler panicked: {text}");
    Failure::internal().into_response()
}

/// Gives a request its ids, its answer the headers that every answer has, and the log a line.
async fn attend(State(site): State<Site>, mut request: Request, next: Next) -> Response {
    crate::http::look_behind_proxies(&site, &mut request);
    let started = std::time::Instant::now();
    let tls = request.extensions().get::<Tls>().is_some();
    let exchange = Arc::new(Exchange {
        id: site.app.random.uuid().unwrap_or_default(),
        client_id: client_request_id(&request),
        at: site.app.clock.now(),
        asked_by: OnceLock::new(),
    });
    let method = request.method().clone();
    let path = request.extensions().get::<MatchedPath>().cloned();
    let path = path.as_ref().map_or("(none)", MatchedPath::as_str);
    // Names and values as OpenTelemetry's conventions for HTTP have them.
    let span = tracing::info_span!(
        "request",
        otel.name = format!("{method} {path}"),
        otel.kind = "server",
        otel.status_code = Empty,
        request.id = exchange.id,
        http.request.method = method.as_str(),
        http.route = path,
        http.response.status_code = Empty,
        app = Empty,
    );
    log::join_trace(&span, request.headers());
    let answer = EXCHANGE.scope(exchange.clone(), next.run(request));
    let mut response = answer.instrument(span.clone()).await;
    let status = response.status();
    span.record("http.response.status_code", status.as_u16());
    if let Some(app) = exchange.asked_by.get() {
        span.record("app", app.as_str());
    }
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    let headers = response.headers_mut();
    for (name, value) in [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (CACHE_CONTROL, "no-store"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if tls {
        let value = HeaderValue::from_static("max-age=31536000");
        headers.insert(STRICT_TRANSPORT_SECURITY, value);
    }
    if let Ok(id) = HeaderValue::from_str(&exchange.id) {
        headers.insert("request-id", id);
    }
    let client = exchange.client_id.as_ref().unwrap_or(&exchange.id);
    if let Ok(id) = HeaderValue::from_str(client) {
        headers.insert("client-request-id", id);
    }
    let elapsed = started.elapsed();
    let part = match path.split('/').nth(1) {
        Some("v1.0" | "beta") => "graph",
        Some("api") => "api",
        Some("agent") => "agent",
        Some("{tenant}" | "common") => "token",
        _ => "other",
    };
    let class = format!("{}xx", status.as_u16() / 100);
    let labels = vec![("part".to_owned(), part.to_owned()), ("status".to_owned(), class)];
    site.app.metrics.requests.get_or_create(&labels).inc();
    // A poll is held until there is something to say: how long that took says nothing of us.
    if path != "/agent/v1/poll" {
        site.app.metrics.request_seconds.observe(elapsed.as_secs_f64());
    }
    let ms = elapsed.as_secs_f64() * 1_000.0;
    span.in_scope(|| {
        if status.is_server_error() {
            tracing::warn!(ms, "{method} {path} {}", status.as_u16());
        } else {
            tracing::debug!(ms, "{method} {path} {}", status.as_u16());
        }
    });
    response
}
