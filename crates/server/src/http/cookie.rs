//! The session cookie, and what keeps other sites from using it.
//!
//! A second one, `__Host-riposte-oidc`, holds a visit to an identity provider for ten minutes; a
//! browser sends it along when the provider sends it back.
//!
//! `__Host-riposte` goes to this host only, over TLS or to the machine itself, is never readable by
//! a script and never sent along by another site. What changes something must besides carry a header
//! that another site cannot send without asking first, and come from the same origin by what the
//! browser says of it.

use axum::http::header::{COOKIE, HOST, ORIGIN, SET_COOKIE};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::Response;

use crate::http::Failure;

const NAME: &str = "__Host-riposte";
/// Which browser a visit to an identity provider was begun in.
const VISIT: &str = "__Host-riposte-oidc";

/// The secret name of the session a request shows.
#[must_use]
pub fn session(headers: &HeaderMap) -> Option<String> {
    read(headers, NAME)
}

/// A cookie's value, when it is spelt like one of ours.
#[must_use]
pub fn read(headers: &HeaderMap, wanted: &str) -> Option<String> {
    let all = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut found = all.flat_map(|value| value.split(';')).filter_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        (name == wanted).then(|| value.trim())
    });
    let value = found.next()?;
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    // Two of one name: somebody put one of them there.
    let one = found.next().is_none();
    (one && !value.is_empty() && value.len() <= 200 && value.bytes().all(sound))
        .then(|| value.to_owned())
}

/// Gives the browser a session.
pub fn set(response: &mut Response, token: &str) {
    append(response, &format!("{NAME}={token}; Path=/; Secure; HttpOnly; SameSite=Strict"));
}

/// Takes it away.
pub fn clear(response: &mut Response) {
    append(response, &format!("{NAME}=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0"));
}

/// What a browser holds of its visit to an identity provider.
#[must_use]
pub fn visit(headers: &HeaderMap) -> Option<String> {
    read(headers, VISIT)
}

/// Gives the browser a visit. Strict would keep it back just when the provider sends the browser
/// home.
pub fn set_visit(response: &mut Response, token: &str) {
    append(
        response,
        &format!("{VISIT}={token}; Path=/; Max-Age=600; Secure; HttpOnly; SameSite=Lax"),
    );
}

/// Ends the visit.
pub fn clear_visit(response: &mut Response) {
    append(response, &format!("{VISIT}=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax"));
}

/// Adds a cookie to an answer.
pub fn append(response: &mut Response, cookie: &str) {
    if let Ok(value) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(SET_COOKIE, value);
    }
}

/// Refuses what another site makes a browser do.
pub fn refuse_foreign(method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), Failure> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let foreign = || {
        Failure::new(
            StatusCode::FORBIDDEN,
            "this request comes from another site, or looks like it",
        )
    };
    if let Some(site) = text("sec-fetch-site")
        && !matches!(site, "same-origin" | "none")
    {
        return Err(foreign());
    }
    if let Some(origin) = text(ORIGIN.as_str()) {
        // HTTP/2 names the host in the address.
        let host =
            text(HOST.as_str()).or(uri.authority().map(Authority::as_str)).unwrap_or_default();
        let named = origin.split_once("://").map_or("", |(_, host)| host);
        if !named.eq_ignore_ascii_case(host) {
            return Err(foreign());
        }
    }
    let changes = !matches!(*method, Method::GET | Method::HEAD);
    if changes && text("x-riposte") != Some("1") {
        return Err(foreign());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn the_session_is_read_from_its_own_cookie_only() {
        let session = |value: &'static str| session(&headers(&[("cookie", value)]));
        assert_eq!(session("a=b; __Host-riposte=abc_-9; c=d").as_deref(), Some("abc_-9"));
        for not in [
            "riposte=abc",
            "__Host-riposte=",
            "__Host-riposte=a b",
            "x__Host-riposte=abc",
            "__host-riposte=abc",
            "__Host-riposte=abc; __Host-riposte=def",
        ] {
            assert_eq!(session(not), None, "{not}");
        }
    }

    #[test]
    fn another_site_changes_nothing() {
        let ours = [("host", "mdr.example"), ("x-riposte", "1")];
        let with = |more: &[(&'static str, &'static str)]| headers(&[&ours[..], more].concat());
        let ok = |method: Method, headers: &HeaderMap| {
            refuse_foreign(&method, &Uri::from_static("/"), headers).is_ok()
        };
        assert!(ok(Method::POST, &with(&[])));
        assert!(ok(Method::POST, &with(&[("origin", "https://mdr.example")])));
        assert!(ok(Method::GET, &headers(&[("sec-fetch-site", "none")])));
        for bad in [
            with(&[("origin", "https://evil.example")]),
            with(&[("origin", "null")]),
            with(&[("origin", "https://mdr.example.evil.example")]),
            with(&[("sec-fetch-site", "cross-site")]),
            with(&[("sec-fetch-site", "same-site")]),
            headers(&[("host", "mdr.example")]),
        ] {
            assert!(!ok(Method::POST, &bad), "{bad:?}");
        }
        assert!(!ok(Method::GET, &headers(&[("sec-fetch-site", "cross-site")])));
    }
}
