//! The web portal, served from the binary.
//!
//! The portal is one page and its files. The page goes to every browser that asks for an address
//! which is no other route; what it shows there is its own affair. Every page has a nonce of its
//! own, and its policy lets in only script and style with that nonce, so nothing that was ingested
//! can become either. Files carry a hash of their content in their names and never change; they
//! were compressed when they were built. A program built without the portal says so instead.
//! Not here: anything about sessions.

use std::borrow::Cow;
use std::fmt::Write as _;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Path;
use axum::http::header::{
    ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY,
    CONTENT_TYPE, VARY,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::Response;
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use rust_embed::RustEmbed;

use crate::error::Error;
use crate::http::{Answer, Failure, Site};

/// What `npm run build` made.
#[derive(RustEmbed)]
#[folder = "../../portal/dist"]
#[allow_missing = true]
struct Files;

/// The word that the build leaves where the nonce goes.
const PLACE: &str = "__NONCE__";

/// What stands at every address while there is no portal.
const NOT_BUILT: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
    <title>Riposte</title><h1>Riposte is running</h1>\
    <p>The portal is not built: run <code>make build</code>. The API is there without it.</p>";

/// Addresses of programs: an unknown one there is answered as programs expect it.
const OF_PROGRAMS: [&str; 3] = ["/api/", "/v1.0/", "/beta/"];

/// The portal's files.
pub fn routes() -> Router<Site> {
    Router::new()
        .route("/assets/{*name}", get(asset))
        .route("/icon.svg", get(async |headers: HeaderMap| file("icon.svg", DAY, &headers)))
}

const FOR_EVER: &str = "public, max-age=31536000, immutable";
const DAY: &str = "public, max-age=86400";

async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Answer {
    file(&format!("assets/{name}"), FOR_EVER, &headers)
}

/// Whether a request is a browser's for a page.
#[must_use]
pub fn is_wanted(method: &Method, uri: &Uri, headers: &HeaderMap) -> bool {
    let asks = |header: &HeaderValue| header.to_str().is_ok_and(|text| text.contains("text/html"));
    matches!(*method, Method::GET | Method::HEAD)
        && headers.get_all(ACCEPT).iter().any(asks)
        && !OF_PROGRAMS.iter().any(|start| uri.path().starts_with(start))
}

/// The page, with a nonce that was never used before.
pub fn page(site: &Site) -> Answer {
    let nonce = STANDARD_NO_PAD.encode(site.app.random.bytes::<18>()?);
    let index = Files::get("index.html").map(|file| file.data);
    html(index.as_deref(), &nonce)
}

fn html(index: Option<&[u8]>, nonce: &str) -> Answer {
    let text = match index {
        Some(bytes) => std::str::from_utf8(bytes).map_err(Error::internal)?.replace(PLACE, nonce),
        None => NOT_BUILT.to_owned(),
    };
    let mut response = Response::new(Body::from(text));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CONTENT_SECURITY_POLICY, policy(nonce)?);
    Ok(response)
}

/// What the page may do: its own scripts and styles, our own API, and nothing else.
fn policy(nonce: &str) -> Result<HeaderValue, Failure> {
    let mut policy = String::from("default-src 'none'");
    let mut add = |rule: &str| {
        let _ = write!(policy, "; {rule}");
    };
    add(&format!("script-src 'nonce-{nonce}' 'strict-dynamic'"));
    add(&format!("style-src 'nonce-{nonce}'"));
    for rule in [
        "connect-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    ] {
        add(rule);
    }
    Ok(HeaderValue::from_str(&policy).map_err(Error::internal)?)
}

/// A file as it was compressed when it was built, in the smallest form that the client takes.
fn file(name: &str, keep: &'static str, headers: &HeaderMap) -> Answer {
    let missing = || Failure::new(StatusCode::NOT_FOUND, "there is nothing at this address");
    let kind = kind(name).ok_or_else(missing)?;
    let compressed = [("br", "br"), ("gzip", "gz")]
        .into_iter()
        .filter(|(coding, _)| takes(headers, coding))
        .find_map(|(coding, end)| Some((coding, Files::get(&format!("{name}.{end}"))?)));
    let (coding, found) = match compressed {
        Some((coding, found)) => (Some(coding), found),
        None => (None, Files::get(name).ok_or_else(missing)?),
    };
    let bytes = match found.data {
        Cow::Borrowed(bytes) => Bytes::from_static(bytes),
        Cow::Owned(bytes) => Bytes::from(bytes),
    };
    let mut response = Response::new(Body::from(bytes));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(keep));
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    if let Some(coding) = coding {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding));
    }
    Ok(response)
}

/// The kinds of files that the portal has; nothing else is given out.
fn kind(name: &str) -> Option<&'static str> {
    let (_, end) = name.rsplit_once('.')?;
    match end {
        "js" => Some("text/javascript; charset=utf-8"),
        "css" => Some("text/css; charset=utf-8"),
        "svg" => Some("image/svg+xml"),
        "woff2" => Some("font/woff2"),
        _ => None,
    }
}

/// Whether a client takes a coding: it names it, and not with the weight of nothing.
fn takes(headers: &HeaderMap, coding: &str) -> bool {
    headers
        .get_all(ACCEPT_ENCODING)
        .iter()
        .filter_map(|header| header.to_str().ok())
        .flat_map(|header| header.split(','))
        .any(|one| {
            let mut parts = one.split(';').map(str::trim);
            let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(coding));
            let refused = parts.any(|part| {
                part.strip_prefix("q=")
                    .is_some_and(|weight| weight.parse::<f32>().is_ok_and(|weight| weight <= 0.0))
            });
            named && !refused
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(response: &Response, name: &str) -> String {
        response.headers().get(name).unwrap().to_str().unwrap().to_owned()
    }

    fn accepting(name: axum::http::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    async fn text(response: Response) -> String {
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn a_page_and_its_policy_carry_the_same_nonce() {
        let index = br#"<script nonce="__NONCE__"></script><style nonce="__NONCE__"></style>"#;
        let response = html(Some(index), "abc").unwrap();
        let policy = header(&response, "content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'nonce-abc' 'strict-dynamic';"));
        assert!(policy.contains("style-src 'nonce-abc';") && !policy.contains("unsafe"));
        assert!(policy.contains("frame-ancestors 'none'") && policy.contains("base-uri 'none'"));
        assert_eq!(header(&response, "content-type"), "text/html; charset=utf-8");
        let text = text(response).await;
        assert_eq!(text.matches(r#"nonce="abc""#).count(), 2);
        assert!(!text.contains(PLACE));
    }

    #[tokio::test]
    async fn a_program_without_the_portal_says_so() {
        let response = html(None, "abc").unwrap();
        assert!(response.status().is_success());
        assert!(text(response).await.contains("make build"));
    }

    #[test]
    fn a_page_is_for_browsers_that_ask_for_one() {
        let browser = accepting(ACCEPT, "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8");
        let wanted = |method: Method, path: &'static str, headers: &HeaderMap| {
            is_wanted(&method, &Uri::from_static(path), headers)
        };
        for path in ["/", "/incidents/42?tab=alerts", "/sign-in", "/apiary"] {
            assert!(wanted(Method::GET, path, &browser), "{path}");
            assert!(wanted(Method::HEAD, path, &browser), "{path}");
            assert!(!wanted(Method::POST, path, &browser), "{path}");
            assert!(!wanted(Method::GET, path, &accepting(ACCEPT, "*/*")), "{path}");
            assert!(!wanted(Method::GET, path, &HeaderMap::new()), "{path}");
        }
        for path in ["/api/v1/nothing", "/v1.0/nothing", "/beta/nothing"] {
            assert!(!wanted(Method::GET, path, &browser), "{path}");
        }
    }

    #[test]
    fn only_files_of_the_portal_s_kinds_are_given_out() {
        for name in ["assets/../index.html", ".gitkeep", "assets/x.js.br", "index.html", "x"] {
            assert!(kind(name).is_none(), "{name}");
        }
        for name in ["assets/../../Cargo.js", "assets/none.js", "/etc/passwd.svg"] {
            let failure = file(name, FOR_EVER, &HeaderMap::new()).err().unwrap();
            assert_eq!(failure.status, StatusCode::NOT_FOUND, "{name}");
        }
    }

    #[test]
    fn a_coding_with_no_weight_is_not_taken() {
        let headers = |text| accepting(ACCEPT_ENCODING, text);
        assert!(takes(&headers("gzip, deflate, br, zstd"), "br"));
        assert!(takes(&headers("gzip;q=0.5,BR"), "br"));
        assert!(!takes(&headers("br;q=0, gzip"), "br"));
        assert!(!takes(&headers("br;q=0.000"), "br"));
        assert!(!takes(&headers("brx"), "br"));
        assert!(!takes(&HeaderMap::new(), "br"));
    }
}
