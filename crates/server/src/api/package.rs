//! `/api/v1/actions/{id}/package`: what an agent sent for an action, as a file.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;

use crate::agent::package::{self, Package};
use crate::error::Error;
use crate::http::{Answer, Failure, Site};
use crate::permission::Permission;
use crate::tenant::caller::Caller;

/// The zip that an agent sent for an action.
#[utoipa::path(
    get, path = "/api/v1/actions/{id}/package", tag = "device",
    params(("id" = String, Path, description = "the action's id")),
    responses((status = 200, description = "a zip", content_type = "application/zip", body = String)),
)]
pub(super) async fn get(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
) -> Answer {
    caller.require(&[Permission::DeviceRead])?;
    let package = package::find(&site.app, &caller, id.parse().ok()).await?;
    package::note_taken(&site.app, &caller, &package).await?;
    let name = format!("investigation-{}-{id}.zip", package.device);
    let length = package.size;
    let body = Body::from_stream(stream::try_unfold((0, 0), move |(number, sent)| {
        let (app, package) = (site.app.clone(), package.clone());
        async move { next(&app, &package, number, sent).await }
    }));
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::OK;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/zip"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    let disposition = HeaderValue::from_str(&attachment(&name)).map_err(|_| Failure::internal())?;
    headers.insert(CONTENT_DISPOSITION, disposition);
    Ok(response)
}

type Next = Option<(Bytes, (i64, u64))>;

async fn next(
    app: &crate::app::App,
    package: &Package,
    number: i64,
    sent: u64,
) -> Result<Next, Error> {
    match package::piece(app, package, number).await? {
        Some(piece) => {
            let sent = sent + piece.len() as u64;
            Ok(Some((Bytes::from(piece), (number + 1, sent))))
        }
        None if sent == package.size => Ok(None),
        // Replaced while it was read: what was sent is a part of something that is gone.
        None => Err(Error::Conflict(format!("the package {} was replaced", package.id))),
    }
}

/// The header that makes a file of an answer (RFC 6266): a plain name for everybody, and the real
/// one where it has other letters.
fn attachment(name: &str) -> String {
    use std::fmt::Write as _;
    let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let plain: String = name.chars().map(|c| if safe(c) { c } else { '_' }).collect();
    let mut text = format!("attachment; filename=\"{plain}\"");
    if plain != name {
        text.push_str("; filename*=UTF-8''");
        for byte in name.bytes() {
            if safe(char::from(byte)) && byte.is_ascii() {
                text.push(char::from(byte));
            } else {
                let _ = write!(text, "%{byte:02X}");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_without_a_way_out_of_the_header() {
        let plain = attachment("investigation-web-1-ac9.zip");
        assert_eq!(plain, "attachment; filename=\"investigation-web-1-ac9.zip\"");
        let odd = attachment("größe\"\r\n.zip");
        assert_eq!(
            odd,
            "attachment; filename=\"gr__e___.zip\"; filename*=UTF-8''gr%C3%B6%C3%9Fe%22%0D%0A.zip"
        );
    }
}
