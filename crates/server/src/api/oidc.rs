//! `/sign-in/oidc/…`: a browser's way to an identity provider and back. These are pages, not calls:
//! whatever goes wrong ends at the sign-in page, and the reason is for the log alone.

use std::fmt::Write as _;

use axum::extract::{Path, State};
use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;

use crate::api::Params;
use crate::error::Error;
use crate::http::{Answer, Base, Failure, Sent, Site, Stranger, cookie};
use crate::person::oidc::{self, Ended, Returned};
use crate::person::session::Origin;

/// Where to go afterwards.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Way {
    /// A path of this installation, beginning with a single `/`.
    #[serde(rename = "return")]
    #[param(rename = "return")]
    back: Option<String>,
    /// Whether the provider shall make the person prove itself anew.
    #[serde(default)]
    fresh: bool,
}

fn redirect(path: &str) -> Result<Response, Failure> {
    let path = HeaderValue::from_str(path).map_err(|_| Failure::internal())?;
    Ok((StatusCode::FOUND, [(LOCATION, path)]).into_response())
}

/// The sign-in page, which says that it did not work and not why.
fn failed(id: &str, error: Error) -> Answer {
    match error {
        // Too many attempts are told as everywhere.
        busy @ Error::Busy { .. } => return Err(busy.into()),
        Error::Internal(text) => tracing::error!("sign-in by an identity provider failed: {text}"),
        other => {
            // Parts of it are the provider's own words.
            let why: String = other.to_string().escape_debug().take(500).collect();
            tracing::warn!("sign-in by identity provider {id} was refused: {why}");
        }
    }
    redirect("/sign-in?failed=oidc")
}

/// Sends the browser to an identity provider.
#[utoipa::path(
    get, path = "/sign-in/oidc/{id}", tag = "sign-in",
    params(("id" = String, Path, description = "as the options of sign-in have it"), Way),
    responses((status = 302, description = "to the identity provider, or back to /sign-in")),
)]
pub(super) async fn begin(
    _: Stranger,
    State(site): State<Site>,
    Path(id): Path<String>,
    Params(way): Params<Way>,
    base: Base,
) -> Answer {
    let base = base.web(&site.app);
    let back = way.back.as_deref();
    let sent = oidc::begin(&site.app, &site.providers, &id, base, back, way.fresh).await;
    let known: String = id.chars().filter(char::is_ascii_alphanumeric).take(40).collect();
    match sent {
        Ok(sent) => {
            let mut response = redirect(&sent.url)?;
            cookie::set_visit(&mut response, &sent.browser);
            Ok(response)
        }
        Err(error) => failed(&known, error),
    }
}

/// Takes the browser back from an identity provider.
#[utoipa::path(
    get, path = "/sign-in/oidc/callback", tag = "sign-in",
    responses(
        (status = 200, description = "a page that goes on to where the person wanted", content_type = "text/html"),
        (status = 302, description = "to /sign-in: for a code (next=totp), to set an app up \
                                      (next=enrol), for a passkey (next=passkey), or failed=oidc"),
    ),
)]
pub(super) async fn finish(
    _: Sent,
    State(site): State<Site>,
    origin: Origin,
    headers: HeaderMap,
    Params(returned): Params<Returned>,
) -> Answer {
    let browser = cookie::visit(&headers);
    let ended =
        oidc::finish(&site.app, &site.providers, returned, browser.as_deref(), &origin).await;
    let mut response = match ended {
        Ok(Ended::Session(opened, back)) => {
            let mut response = onward(&back);
            cookie::set(&mut response, &opened.token);
            response
        }
        Ok(Ended::Code(flow, back)) => redirect(&next("totp", &back, Some(&flow)))?,
        Ok(Ended::Enrol(flow, back)) => redirect(&next("enrol", &back, Some(&flow)))?,
        Ok(Ended::Passkey(back)) => redirect(&next("passkey", &back, None))?,
        Err(error) => failed("(by its state)", error)?,
    };
    cookie::clear_visit(&mut response);
    Ok(response)
}

/// The sign-in page at its next step; the ceremony's name is a fragment, which no server sees.
fn next(step: &str, back: &str, flow: Option<&str>) -> String {
    let mut path = format!("/sign-in?next={step}&return=");
    for byte in back.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            path.push(char::from(byte));
        } else {
            let _ = write!(path, "%{byte:02X}");
        }
    }
    if let Some(flow) = flow {
        path.push('#');
        path.push_str(flow);
    }
    path
}

/// A page that goes on by itself. Not a redirect: that one would still count as the provider's doing,
/// and the browser would keep the new session's cookie back.
fn onward(back: &str) -> Response {
    let mut path = String::new();
    for c in back.chars() {
        match c {
            '&' => path.push_str("&amp;"),
            '<' => path.push_str("&lt;"),
            '>' => path.push_str("&gt;"),
            '"' => path.push_str("&quot;"),
            '\'' => path.push_str("&#39;"),
            c => path.push(c),
        }
    }
    let page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta http-equiv=\"refresh\" content=\"0;url={path}\"><title>Signed in</title>\
         <p><a href=\"{path}\">Go on</a></p></html>\n"
    );
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    ([(CONTENT_TYPE, kind)], page).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_step_keeps_path_and_flow_apart() {
        assert_eq!(
            next("totp", "/incidents?a=1#b", Some("xyz")),
            "/sign-in?next=totp&return=/incidents%3Fa%3D1%23b#xyz"
        );
        assert_eq!(next("passkey", "/", None), "/sign-in?next=passkey&return=/");
    }
}
