//! Paths as clients spell them, brought into the one form that is routed.
//!
//! `incidents('42')` and `incidents(42)` become `incidents/42`, `%24count` becomes `$count`, and a
//! final or doubled `/` goes. The query stays as it is.

use axum::extract::Request;
use axum::http::Uri;
use axum::http::uri::PathAndQuery;

/// Rewrites a request's path; what cannot be rewritten stays as it came.
#[must_use]
pub fn rewrite(mut request: Request) -> Request {
    if let Some(path) = routed(request.uri().path()) {
        let query = request.uri().query();
        let text = match query {
            Some(query) => format!("{path}?{query}"),
            None => path,
        };
        if let Ok(path_and_query) = text.parse::<PathAndQuery>() {
            let mut parts = request.uri().clone().into_parts();
            parts.path_and_query = Some(path_and_query);
            if let Ok(uri) = Uri::from_parts(parts) {
                *request.uri_mut() = uri;
            }
        }
    }
    request
}

/// The form that is routed; `None` when the path has it already.
fn routed(path: &str) -> Option<String> {
    let plain =
        !path.contains(['(', '%']) && !path.contains("//") && (path == "/" || !path.ends_with('/'));
    if plain || !path.starts_with('/') || path.len() > 4_096 {
        return None;
    }
    let mut out = String::with_capacity(path.len());
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        let segment =
            segment.replace("%24", "$").replace("%27", "'").replace("%28", "(").replace("%29", ")");
        out.push('/');
        match segment.split_once('(').and_then(|(name, rest)| Some((name, rest.strip_suffix(')')?)))
        {
            Some((name, key)) if !name.is_empty() => {
                let key =
                    key.strip_prefix('\'').and_then(|key| key.strip_suffix('\'')).unwrap_or(key);
                out.push_str(name);
                if !key.is_empty() {
                    out.push('/');
                    out.push_str(&key.replace("''", "'"));
                }
            }
            _ => out.push_str(&segment),
        }
    }
    if out.is_empty() {
        out.push('/');
    }
    (out != path).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_in_brackets_become_segments() {
        for (path, want) in [
            ("/v1.0/security/incidents('42')", Some("/v1.0/security/incidents/42")),
            ("/v1.0/security/incidents(42)/comments", Some("/v1.0/security/incidents/42/comments")),
            ("/beta/security/alerts_v2(%27al7%27)", Some("/beta/security/alerts_v2/al7")),
            ("/v1.0/security/incidents/%24count", Some("/v1.0/security/incidents/$count")),
            ("//v1.0//security/incidents/", Some("/v1.0/security/incidents")),
            ("/v1.0/security/incidents", None),
            (
                "/v1.0/security/incidents/mergeIncidents()",
                Some("/v1.0/security/incidents/mergeIncidents"),
            ),
            ("/", None),
            ("/x(", None),
            ("/(a)", None),
        ] {
            assert_eq!(routed(path).as_deref(), want, "{path}");
        }
    }
}
