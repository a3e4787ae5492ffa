//! The Graph face: queries, changes and sign-in.

use serde_json::{Value, json};

use super::{Case, Expect, Send, good, intake, repeated, request, text};
use crate::http::escape;

/// Queries.
pub(super) fn cases() -> Vec<Case> {
    use Expect::{ClientError, Done, Tolerated};
    let list = "/v1.0/security/incidents";
    let get = |name: &str, path: &str, expect| request(name, "GET", path, expect, Vec::new);
    let filter = |text: &str, expect| {
        let shown: String = text.chars().take(60).collect();
        get(&format!("filter {shown}"), &format!("{list}?$filter={}", escape(text)), expect)
    };
    let mut cases = Vec::new();
    for text in [
        "status eq",
        "eq 'active'",
        "(status eq 'active'",
        "status eq 'active')",
        "status eq 'active",
        "status eq 'nonsense'",
        "status xx 'active'",
        "nonsense eq 'x'",
        "nonsense(status) eq 'x'",
        "status eq 'active' and",
        "not",
        "createdDateTime ge 2026-13-45T99:99:99Z",
        "createdDateTime ge 'x'",
        "customTags/any(",
        "customTags/any(t:u eq 'x')",
        "status eq 'active'; drop table incident",
        "1 eq 1 or sleep(5)",
        "\u{0}",
    ] {
        cases.push(filter(text, ClientError));
    }
    for text in [
        "assignedTo eq '''; drop table incident; --'",
        "assignedTo eq '%'",
        "assignedTo eq '\\'",
        "displayName eq '\u{1f9ea}'",
    ] {
        cases.push(filter(text, Done));
    }
    for text in [
        "assignedTo eq 'a\u{0}b'",
        "severity in ()",
        "id eq '99999999999999999999999999'",
        "id eq '-1'",
        "createdDateTime ge 0000-01-01T00:00:00Z and createdDateTime le 9999-12-31T23:59:59Z",
        "contains(displayName,'(a+)+$')",
        "startswith(displayName,'____%%%%')",
    ] {
        cases.push(filter(text, Tolerated));
    }
    let nested = [repeated(b"(", 10_000), b"status eq 'active'".to_vec(), repeated(b")", 10_000)];
    let nested = String::from_utf8_lossy(&nested.concat()).into_owned();
    let many = vec!["status eq 'active'"; 2_000].join(" or ");
    let nots = format!("{} status eq 'active'", "not ".repeat(10_000));
    let listed = format!("assignedTo in ({})", vec!["'x'"; 5_000].join(","));
    cases.push(filter(&nested, ClientError));
    cases.push(filter(&nots, ClientError));
    cases.push(filter(&many, Tolerated));
    cases.push(filter(&listed, Tolerated));
    for (query, expect) in [
        ("$top=abc", ClientError),
        ("$top=99999999999999999999999", Tolerated),
        ("$top=-1", Tolerated),
        ("$top=0", Tolerated),
        ("$skip=-1", Tolerated),
        ("$skip=9223372036854775807", Tolerated),
        ("$orderby=nonsense", ClientError),
        ("$orderby=status%20sideways", ClientError),
        ("$orderby=lastUpdateDateTime%20desc,", Tolerated),
        ("$expand=nonsense", Tolerated),
        ("$select=%00", Tolerated),
        ("$skiptoken=nonsense", ClientError),
        ("$skiptoken=%ff%fe", Tolerated),
        ("$filter=%ff%fe", ClientError),
        ("$filter=%zz", ClientError),
        ("$count=perhaps", Tolerated),
        ("?&&&===&$top=1&$top=2", Tolerated),
    ] {
        // The largest page is five thousand rows.
        cases.push(get(&format!("query {query}"), &format!("{list}?{query}"), expect).within(10));
    }
    for id in ["0", "-1", "999999999", "nonsense", "..%2f..%2fetc%2fpasswd", "%00", "1e999"] {
        cases.push(get(&format!("incident {id}"), &format!("{list}/{id}"), ClientError));
    }
    let alert = "/v1.0/security/alerts_v2/..%2f..%2f";
    cases.push(get("alert by a path", alert, ClientError));
    cases.push(get("no such route", "/v1.0/security/nonsense", ClientError));
    cases.push(get("audit with bad dates", "/api/v1/audit?from=x&to=y", ClientError));
    cases
}

/// Changes of an incident that exists.
pub(super) fn changes(incident: &str) -> Vec<Case> {
    use Expect::{ClientError, Tolerated};
    let place = format!("/v1.0/security/incidents/{incident}");
    let change = |name: &str, expect, body: Value| {
        let body = body.to_string().into_bytes();
        request(&format!("change: {name}"), "PATCH", &place, expect, move || body.clone())
    };
    let comments = format!("{place}/comments");
    let comment = |name: &str, expect, body: Value| {
        let body = body.to_string().into_bytes();
        request(&format!("comment: {name}"), "POST", &comments, expect, move || body.clone())
    };
    vec![
        change("a list", ClientError, json!([])),
        change("a scalar", ClientError, json!(7)),
        change("unknown status", ClientError, json!({ "status": "apocalyptic" })),
        change("status of the experts", ClientError, json!({ "status": "awaitingAction" })),
        change("status of a merge", ClientError, json!({ "status": "redirected" })),
        change(
            "a pair that is not allowed",
            ClientError,
            json!({
                "classification": "falsePositive", "determination": "malware",
            }),
        ),
        change("status of the wrong kind", ClientError, json!({ "status": { "a": 1 } })),
        change("owner of a megabyte", ClientError, json!({ "assignedTo": "x".repeat(1 << 20) })),
        change(
            "10,000 tags",
            ClientError,
            json!({
                "customTags": (0..10_000).map(|number| format!("tag {number}")).collect::<Vec<_>>(),
            }),
        ),
        change("tags of scalars", ClientError, json!({ "customTags": [1, null] })),
        change(
            "members nobody may set",
            Tolerated,
            json!({
                "tenantId": "other", "id": "1", "systemTags": ["x"], "priorityScore": 100,
            }),
        ),
        change("NUL in a tag", Tolerated, json!({ "customTags": ["a\u{0}b"] })),
        request("change: cut short", "PATCH", &place, ClientError, || b"{\"status\":".to_vec()),
        request("change: deep", "PATCH", &place, ClientError, || repeated(b"{\"a\":", 10_000)),
        comment(
            "longer than 30,000 characters",
            ClientError,
            json!({
                "comment": "x".repeat(30_001),
            }),
        ),
        comment("of the wrong kind", ClientError, json!({ "comment": 7 })),
        comment("without text", ClientError, json!({})),
        comment("NUL", Tolerated, json!({ "comment": "a\u{0}b" })),
        comment("markup", Expect::Done, json!({ "comment": "<img src=x onerror=alert(1)>" })),
    ]
}

/// Tokens and asking for them.
pub(super) fn sign_in() -> Vec<Case> {
    use Expect::{ClientError, Tolerated, Unauthorised};
    let queue = "/v1.0/security/incidents";
    let get =
        |name: &str, token: &str| request(name, "GET", queue, Unauthorised, Vec::new).token(token);
    let form = |name: &str, body: &'static str| {
        let path = "/{tenant}/oauth2/v2.0/token";
        let mut case = request(name, "POST", path, ClientError, move || body.as_bytes().to_vec());
        if let Send::Http { content_type, .. } = &mut case.send {
            *content_type = "application/x-www-form-urlencoded";
        }
        case.token("")
    };
    vec![
        get("no token", ""),
        get("a token of nonsense", "nonsense"),
        get(
            "a token with no signature",
            concat!(
                "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.",
                "eyJzdWIiOiJhZG1pbiIsImV4cCI6OTk5OTk5OTk5OX0."
            ),
        ),
        get("a token of three dots", "..."),
        get("a token of 100 KB", &"x".repeat(100_000)).tolerant(),
        text("alerts without a token", Unauthorised, "{}").token(""),
        form("token: empty form", ""),
        form("token: wrong grant", "grant_type=password&client_id=x&client_secret=y"),
        form(
            "token: wrong secret",
            "grant_type=client_credentials&client_id=x&client_secret=y&scope=z%2F.default",
        ),
        form("token: broken escapes", "grant_type=%zz&client_id=%ff"),
        form("token: members twice", "grant_type=client_credentials&grant_type=x&client_id=a"),
        intake("idempotency key of 10 KB", Tolerated, || good(40).into_bytes())
            .header(&format!("Idempotency-Key: {}", "k".repeat(10_000))),
    ]
}
