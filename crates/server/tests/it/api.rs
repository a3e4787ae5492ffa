//! Our own API: intake over HTTP, repeated requests, the experts' steps, audit and the live stream.

use std::io::Write;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt;
use riposte::config::Config;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::face::{Client, Face};
use crate::world::alert;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("written");
    encoder.finish().expect("finished")
}

async fn push(
    face: &Face,
    client: &Client,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> (u16, Value) {
    let mut request = Request::post("/api/v1/alerts?format=graph")
        .header("authorization", format!("Bearer {}", client.token));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::from(body)).expect("a request");
    let reply = crate::face::send(&face.router, request).await;
    (reply.status.as_u16(), reply.json())
}

#[tokio::test]
async fn intake_takes_compressed_bodies_and_refuses_bombs() {
    let mut config = Config::default();
    config.intake.body_bytes = 1024 * 1024;
    let face = Face::with(config).await;
    let client = face.customer().await;
    let body = json!([alert("a", "h1", "u1", 0), alert("b", "h2", "u2", 0)]).to_string();
    let (status, outcome) =
        push(&face, &client, &[("content-encoding", "gzip")], gzip(body.as_bytes())).await;
    assert_eq!((status, &outcome["accepted"]), (200, &json!(2)), "{outcome}");
    let zstd = zstd::bulk::compress(body.as_bytes(), 1).expect("compressed");
    let (status, outcome) = push(&face, &client, &[("content-encoding", "zstd")], zstd).await;
    assert_eq!((status, &outcome["duplicates"]), (200, &json!(2)), "{outcome}");
    let bomb = gzip(&vec![b' '; 50 * 1024 * 1024]);
    assert_eq!(push(&face, &client, &[("content-encoding", "gzip")], bomb).await.0, 413);
    assert_eq!(push(&face, &client, &[("content-encoding", "br")], vec![]).await.0, 415);
    client.post("/api/v1/alerts?format=nonsense", &json!([])).await.expect(400);
    client.post("/api/v1/alerts?nonsense=1", &json!([])).await.expect(400);
}

#[tokio::test]
async fn a_repeated_key_gets_the_first_answer() {
    let face = Face::new().await;
    let client = face.customer().await;
    let key = [("idempotency-key", "k1")];
    let one = json!(alert("a", "h1", "u1", 0)).to_string().into_bytes();
    let first = push(&face, &client, &key, one.clone()).await;
    let again = push(&face, &client, &key, one).await;
    assert_eq!(first.1["accepted"], 1);
    assert_eq!(first, again);
    let other = json!(alert("b", "h1", "u1", 0)).to_string().into_bytes();
    assert_eq!(push(&face, &client, &key, other).await.0, 409);
}

#[tokio::test]
async fn experts_start_and_conclude() {
    let face = Face::new().await;
    face.world.alerts(&[alert("a", "h1", "u1", 0)]).await;
    let (client, expert) = (face.customer().await, face.expert().await);
    let queue = expert.get("/api/v1/incidents?filter=status+eq+'active'").await.expect(200).json();
    let id = queue["value"][0]["id"].as_str().expect("an id").to_owned();
    let path = format!("/api/v1/incidents/{id}");
    client.post(&format!("{path}/start"), &json!({})).await.expect(403);
    let seen = expert.get(&path).await.expect(200).json();
    let may = &seen["may"];
    assert_eq!(may["start"], json!({ "allowed": true, "because": null }));
    assert_eq!(may["conclude"]["because"], "nobody has taken it up yet");
    assert!(!seen["entities"].as_array().expect("entities").is_empty());
    let started = expert.post(&format!("{path}/start"), &json!({})).await.expect(200).json();
    assert_eq!(started["status"], "inProgress");
    let found = json!({
        "classification": "falsePositive", "determination": "notMalicious", "summary": "A test.",
    });
    let mut unknown = found.clone();
    unknown["more"] = json!(1);
    expert.post(&format!("{path}/conclude"), &unknown).await.expect(400);
    let done = expert.post(&format!("{path}/conclude"), &found).await.expect(200).json();
    assert_eq!((&done["status"], &done["assignedTo"]), (&json!("resolved"), &Value::Null));
    expert.post(&format!("{path}/conclude"), &found).await.expect(409);
    let log = client.get(&format!("{path}/timeline?kind=incident.*")).await.expect(200).json();
    let kinds: Vec<&str> =
        log["value"].as_array().unwrap().iter().map(|it| it["kind"].as_str().unwrap()).collect();
    assert!(
        kinds.contains(&"incident.started") && kinds.contains(&"incident.concluded"),
        "{kinds:?}"
    );
    let log = client.get(&format!("{path}/timeline?top=1")).await.expect(200).json();
    let cursor = log["nextCursor"].as_str().expect("a cursor").to_owned();
    let rest = client.get(&format!("{path}/timeline?cursor={cursor}")).await.expect(200).json();
    assert!(!rest["value"].as_array().unwrap().is_empty());
    let audit = client.get("/api/v1/audit?from=2020-01-01&recordType=MS365DIncident").await;
    let audit = audit.expect(200).json();
    let operations: Vec<&str> = audit["value"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["operation"].as_str().unwrap())
        .collect();
    assert!(operations.contains(&"incident.concluded"), "{operations:?}");
    let page = client.get("/api/v1/audit?top=2").await.expect(200).json();
    let cursor = page["nextCursor"].as_str().expect("a cursor").to_owned();
    let next = client.get(&format!("/api/v1/audit?top=2&cursor={cursor}")).await.expect(200).json();
    assert_ne!(next["value"][0]["id"], page["value"][0]["id"]);
    expert.get("/api/v1/audit").await.expect(403);
    let alerts = client.get(&format!("{path}/alerts")).await.expect(200).json();
    let alert = alerts["value"][0]["id"].as_str().expect("an id");
    let one = client.get(&format!("/api/v1/alerts/{alert}")).await.expect(200).json();
    assert!(one["links"].is_array());
}

/// Reads from a stream until `count` events have come.
async fn events(
    face: &Face,
    client: &Client,
    last: Option<&str>,
    count: usize,
) -> Vec<(String, Value)> {
    let mut request =
        Request::get("/api/v1/events").header("authorization", format!("Bearer {}", client.token));
    if let Some(last) = last {
        request = request.header("last-event-id", last);
    }
    let request = request.body(Body::empty()).expect("a request");
    let response = face.router.clone().oneshot(request).await.expect("an answer");
    assert_eq!(response.status(), 200);
    let mut body = response.into_body();
    let mut text = String::new();
    let mut pushed = last.is_some();
    loop {
        let frame = tokio::time::timeout(Duration::from_secs(5), body.frame()).await;
        let data = frame.expect("in time").expect("a frame").expect("a frame").into_data();
        text.push_str(std::str::from_utf8(&data.expect("data")).expect("text"));
        if !pushed {
            pushed = true;
            face.world.alerts(&[alert("a", "h1", "u1", 0), alert("b", "h2", "u2", 0)]).await;
        }
        let found: Vec<(String, Value)> = text
            .split("\n\n")
            .filter_map(|event| {
                let id = event.lines().find_map(|line| line.strip_prefix("id: "))?;
                let data = event.lines().find_map(|line| line.strip_prefix("data: "))?;
                Some((id.to_owned(), serde_json::from_str(data).ok()?))
            })
            .collect();
        if found.len() >= count {
            return found;
        }
    }
}

#[tokio::test]
async fn the_stream_goes_on_where_it_was_left() {
    let face = Face::new().await;
    let client = face.customer().await;
    let all = events(&face, &client, None, 4).await;
    let kinds: Vec<&str> = all.iter().map(|(_, it)| it["kind"].as_str().unwrap()).collect();
    assert!(kinds.contains(&"alert.received"), "{kinds:?}");
    let rest = events(&face, &client, Some(&all[0].0), 3).await;
    let position = |it: &(String, Value)| it.1["position"].as_i64().unwrap();
    assert_eq!(position(&rest[0]), position(&all[0]) + 1);
    let bad = client.send("GET", "/api/v1/events", None, &[("last-event-id", "x!")]).await;
    bad.expect(400);
}

#[tokio::test]
async fn the_document_names_every_path() {
    let document = serde_json::to_value(riposte::router::document()).expect("a document");
    let paths = document["paths"].as_object().expect("paths");
    for path in [
        "/api/v1/alerts",
        "/api/v1/incidents/{id}/timeline",
        "/api/v1/events",
        "/v1.0/security/incidents",
        "/beta/security/alerts_v2/{id}",
        "/{tenant}/oauth2/v2.0/token",
    ] {
        assert!(paths.contains_key(path), "{path}");
    }
    let face = Face::new().await;
    let client = face.customer().await;
    client.get("/openapi.json").await.expect(200);
    client.get("/healthz").await.expect(200);
    client.get("/readyz").await.expect(200);
    client.get("/metrics").await.expect(200);
}

#[tokio::test]
async fn the_audit_log_is_taken_away_whole_and_by_filter() {
    let face = Face::new().await;
    let alerts: Vec<Value> =
        (0..300).map(|n| alert(&format!("a{n}"), &format!("h{}", n % 7), "u", n)).collect();
    face.world.alerts(&alerts).await;
    let (client, expert) = (face.customer().await, face.expert().await);
    let mut ids = Vec::new();
    let mut path = "/api/v1/audit?top=100".to_owned();
    loop {
        let page = client.get(&path).await.expect(200).json();
        let records = page["value"].as_array().expect("records").clone();
        ids.extend(records.into_iter().map(|it| it["id"].as_str().expect("an id").to_owned()));
        let Some(cursor) = page["nextCursor"].as_str() else { break };
        path = format!("/api/v1/audit?top=100&cursor={cursor}");
    }
    assert!(ids.len() > 300, "{}", ids.len());
    let file = client.get("/api/v1/audit/export").await.expect(200);
    assert_eq!(file.headers["content-type"], "application/x-ndjson");
    let name = file.headers["content-disposition"].to_str().expect("a name").to_owned();
    assert!(name.starts_with("attachment; filename=\"riposte-audit-"), "{name}");
    let lines: Vec<Value> =
        file.text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let told: Vec<&str> = lines.iter().filter_map(|it| it["id"].as_str()).collect();
    assert_eq!(told, ids);
    let table = client.get("/api/v1/audit/export?format=csv").await.expect(200).text;
    let rows: Vec<&str> = table.split_terminator("\r\n").collect();
    assert!(rows[0].starts_with("id,creationTime,organizationId,workload,recordType,operation,"));
    let first: Vec<&str> =
        rows[1..].iter().map(|row| row.split(',').next().expect("a cell")).collect();
    assert_eq!(first, ids);
    let some = client.get("/api/v1/audit/export?format=csv&from=2099-01-01").await.expect(200);
    assert_eq!(some.text.lines().count(), 1);
    client.get("/api/v1/audit/export?format=xlsx").await.expect(400);
    client.get("/api/v1/audit/export?top=1").await.expect(400);
    client.get("/api/v1/audit/export?from=yesterday").await.expect(400);
    expert.get("/api/v1/audit/export").await.expect(403);
}
