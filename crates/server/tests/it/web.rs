//! What holds for every answer, and what of one's own cannot be turned against one (quality 4.1).

use axum::body::Body;
use axum::http::Request;
use riposte::permission::{Permission, Role};
use riposte::tenant::Side;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::browser::Browser;
use crate::face::{Face, Reply};
use crate::world::alert;

/// Headers that every answer has, whoever asked and whatever for (ASVS 3.4).
fn safe(reply: &Reply, what: &str) {
    let header = |name: &str| {
        let value = reply.headers.get(name).unwrap_or_else(|| panic!("{what}: no {name}"));
        value.to_str().expect("text").to_owned()
    };
    assert_eq!(header("x-content-type-options"), "nosniff", "{what}");
    assert_eq!(header("x-frame-options"), "DENY", "{what}");
    assert_eq!(header("cross-origin-opener-policy"), "same-origin", "{what}");
    assert_eq!(header("cross-origin-resource-policy"), "same-origin", "{what}");
    assert!(["no-referrer", "same-origin"].contains(&header("referrer-policy").as_str()), "{what}");
    let policy = header("content-security-policy");
    assert!(policy.contains("default-src 'none'"), "{what}: {policy}");
    assert!(policy.contains("frame-ancestors 'none'"), "{what}: {policy}");
    assert!(!policy.contains("unsafe"), "{what}: {policy}");
    assert!(reply.headers.contains_key("cache-control"), "{what}");
}

#[tokio::test]
async fn every_answer_has_the_headers_errors_too() {
    let face = Face::new().await;
    let nobody = Browser::new(&face.router);
    let ida =
        face.person(&face.world.tenant.id, "ida@alder.example", Role::SecurityAdministrator).await;
    let document = serde_json::to_value(riposte::router::document()).expect("a document");
    let mut seen = 0;
    for (path, methods) in document["paths"].as_object().expect("paths") {
        if path == "/api/v1/events" {
            continue; // It does not end; its head is looked at elsewhere.
        }
        for method in methods.as_object().expect("methods").keys() {
            let path = path.replace("{id}", "1").replace("{tenant}", &face.world.tenant.id);
            let (method, own) = (method.to_uppercase(), [("x-riposte", "1")]);
            for who in [&nobody, &ida] {
                // The own session goes on for the others.
                if method == "DELETE" && path == "/api/v1/session" {
                    continue;
                }
                safe(&who.send(&method, &path, None, &own).await, &format!("{method} {path}"));
                seen += 1;
            }
        }
    }
    assert!(seen > 150, "{seen} answers");
    for path in ["/nowhere", "/healthz", "/readyz", "/metrics", "/openapi.json", "/%2e%2e/x"] {
        safe(&nobody.get(path).await, path);
    }
    let html = [("accept", "text/html")];
    for path in ["/", "/incidents", "/sign-in"] {
        let page = nobody.send("GET", path, None, &html).await;
        safe(&page, path);
    }
    safe(&nobody.send("PUT", "/api/v1/incidents", None, &[]).await, "405");
}

#[tokio::test]
async fn a_page_s_policy_names_a_nonce_of_its_own() {
    let face = Face::new().await;
    let nobody = Browser::new(&face.router);
    let policy = async || {
        let page = nobody.send("GET", "/", None, &[("accept", "text/html")]).await.expect(200);
        page.headers["content-security-policy"].to_str().expect("text").to_owned()
    };
    let (one, other) = (policy().await, policy().await);
    assert!(one.contains("'nonce-") && one != other, "{one}");
    assert!(one.contains("require-trusted-types-for 'script'"), "{one}");
}

#[tokio::test]
async fn no_cell_of_a_file_is_a_formula() {
    let face = Face::new().await;
    let world = &face.world;
    let mut bad = alert("f", "=cmd|' /C calc'!A0", "@SUM(1)", 0);
    bad["title"] = json!("=HYPERLINK(\"https://evil.example\",\"x\")");
    world.alerts(&[bad]).await;
    world.settle().await;
    let ida = face.person(&world.tenant.id, "ida@alder.example", Role::SecurityAdministrator).await;
    let queue = ida.get("/api/v1/incidents").await.expect(200).json();
    let path = format!("/api/v1/incidents/{}", queue["value"][0]["id"].as_str().expect("an id"));
    for (name, value) in [("assignedTo", "+1+1"), ("displayName", "-2+3\tx"), ("summary", "@x")] {
        ida.patch(&path, &json!({ name: value })).await.expect(200);
    }
    for path in ["/api/v1/incidents/export", "/api/v1/audit/export?format=csv"] {
        let file = ida.get(path).await.expect(200).text;
        let mut reader = csv_cells(&file);
        assert!(reader.len() > 10, "{path}: {file}");
        reader.retain(|cell| cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\0']));
        assert!(reader.is_empty(), "{path}: {reader:?}");
    }
}

/// The cells of a file as RFC 4180 has them.
fn csv_cells(text: &str) -> Vec<String> {
    let (mut cells, mut cell, mut quoted) = (Vec::new(), String::new(), false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                cell.push('"');
            }
            '"' => quoted = !quoted,
            ',' | '\n' if !quoted => cells.push(std::mem::take(&mut cell)),
            '\r' if !quoted => {}
            c => cell.push(c),
        }
    }
    cells
}

#[tokio::test]
async fn a_panic_is_one_generic_error_and_the_server_goes_on() {
    use axum::routing::get;
    let app = axum::Router::new()
        .route("/boom", get(async || -> &'static str { panic!("secret: {}", 42) }))
        .layer(riposte::router::catching_panics());
    let ask = Request::get("/boom").body(Body::empty()).expect("a request");
    let answer = app.oneshot(ask).await.expect("an answer");
    assert_eq!(answer.status(), 500);
    let body = axum::body::to_bytes(answer.into_body(), 10_000).await.expect("a body");
    let body: Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(body["error"]["code"], "InternalServerError");
    assert!(!body.to_string().contains("secret") && !body.to_string().contains("42"), "{body}");
}

#[tokio::test]
async fn a_token_in_an_address_or_a_cookie_of_another_name_opens_nothing() {
    let face = Face::new().await;
    let may = [Permission::IncidentRead];
    let client = face.sign_in(&face.app(Side::Tenant(&face.world.tenant.id), &may).await).await;
    let nobody = Browser::new(&face.router);
    let path = format!("/api/v1/incidents?access_token={}", client.token);
    let status = nobody.get(&path).await.status.as_u16();
    assert!(status == 401 || status == 400, "{status}");
    for cookie in ["riposte", "__Secure-riposte", "session"] {
        let cookie = format!("{cookie}={}", client.token);
        let headers = [("cookie", cookie.as_str())];
        nobody.send("GET", "/api/v1/incidents", None, &headers).await.expect(401);
    }
}
