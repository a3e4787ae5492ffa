//! The Graph-compatible face, rule by rule (graph-api), against the machine-readable contract.

use std::collections::{BTreeMap, BTreeSet};

use axum::body::Body;
use axum::http::Request;
use riposte::permission::Permission;
use riposte::tenant::Side;
use serde_json::{Value, json};

use crate::contract::check;
use crate::face::{Client, Face, send};
use crate::world::alert;

const HOST: &str = "http://graph.riposte.example";

/// A face with that many incidents of one alert each.
async fn with_incidents(count: usize) -> (Face, Client) {
    let face = Face::new().await;
    let alerts: Vec<Value> = (0..count)
        .map(|n| alert(&format!("a{n}"), &format!("host{n}"), &format!("user{n}"), n as i64 * 10))
        .collect();
    face.world.alerts(&alerts).await;
    let client = face.customer().await;
    (face, client)
}

fn ids(page: &Value) -> Vec<String> {
    let rows = page["value"].as_array().expect("rows");
    rows.iter().map(|row| row["id"].as_str().expect("an id").to_owned()).collect()
}

#[tokio::test]
async fn an_incident_reads_as_the_contract_has_it() {
    let (_face, client) = with_incidents(3).await;
    let page = client.get("/v1.0/security/incidents?$count=true").await.expect(200).json();
    check("GET", "/security/incidents", 200, &page);
    assert_eq!(page["@odata.count"], 3);
    assert_eq!(page["@odata.context"], format!("{HOST}/v1.0/$metadata#security/incidents"));
    assert!(page.get("@odata.nextLink").is_none());
    let id = ids(&page)[0].clone();
    for path in [
        format!("/v1.0/security/incidents/{id}"),
        format!("/v1.0/security/incidents('{id}')"),
        format!("/v1.0/security/incidents({id})"),
        format!("/v1.0/security/incidents/{id}/"),
        format!("/beta/security/incidents/{id}"),
    ] {
        let incident = client.get(&path).await.expect(200).json();
        check("GET", &format!("/security/incidents/{id}"), 200, &incident);
        assert_eq!(incident["id"], id.as_str());
        assert_eq!(incident["tenantId"].as_str().map(str::len), Some(36));
        for member in ["description", "summary", "resolvingComment", "redirectIncidentId"] {
            assert!(incident.get(member).is_some(), "{member}");
        }
        assert_eq!(incident.get("recommendedHuntingQueries").is_some(), path.starts_with("/beta"));
    }
    let alerts =
        client.get(&format!("/v1.0/security/incidents/{id}/alerts")).await.expect(200).json();
    check("GET", &format!("/security/incidents/{id}/alerts"), 200, &alerts);
    let alert = &alerts["value"][0];
    assert_eq!(alert["incidentId"], id.as_str());
    let one = alert["id"].as_str().expect("an id");
    for path in [
        format!("/v1.0/security/alerts_v2/{one}"),
        format!("/v1.0/security/incidents/{id}/alerts/{one}"),
    ] {
        let body = client.get(&path).await.expect(200).json();
        check("GET", "/security/alerts_v2/x", 200, &body);
        assert_eq!(body["evidence"].as_array().map(Vec::len), Some(2));
    }
    for (path, want) in [
        ("/v1.0/security/incidents/$count", "3"),
        ("/v1.0/security/incidents/%24count", "3"),
        ("/v1.0/security/alerts_v2/$count", "3"),
        ("/v1.0/security/incidents/$count?$filter=status+eq+'resolved'", "0"),
    ] {
        let reply = client.get(path).await.expect(200);
        assert_eq!(reply.text, want, "{path}");
        assert_eq!(reply.headers["content-type"], "text/plain");
    }
    let expanded =
        client.get("/v1.0/security/incidents?$expand=alerts($select=title)").await.expect(200);
    let expanded = expanded.json();
    check("GET", "/security/incidents", 200, &expanded);
    for row in expanded["value"].as_array().expect("rows") {
        assert_eq!(row["alerts"].as_array().map(Vec::len), Some(1));
        assert!(row["alerts"][0].get("severity").is_none());
        assert!(row["alerts"][0].get("id").is_some());
    }
    let one = client.get(&format!("/v1.0/security/incidents/{id}?$expand=alerts")).await;
    let one = one.expect(200).json();
    check("GET", "/security/incidents/1", 200, &one);
    assert_eq!(one["alerts"][0]["incidentId"], id.as_str());
}

#[tokio::test]
async fn filters_are_read_as_clients_write_them() {
    let (_face, client) = with_incidents(4).await;
    let all = client.get("/v1.0/security/incidents").await.expect(200).json();
    let id = ids(&all)[1].clone();
    let at = all["value"][1]["lastUpdateDateTime"].as_str().expect("a time").to_owned();
    let tenant = all["value"][1]["tenantId"].as_str().expect("a tenant").to_owned();
    let cases: Vec<(String, usize)> = vec![
        (format!("id eq '{id}'"), 1),
        (format!("id in ('{id}','999')"), 1),
        ("status eq 'active'".to_owned(), 4),
        ("status eq 'Active'".to_owned(), 4),
        ("status eq microsoft.graph.security.incidentStatus'active'".to_owned(), 4),
        ("status eq 'awaitingAction'".to_owned(), 0),
        ("status ne 'active' or severity eq 'medium'".to_owned(), 4),
        ("assignedTo eq null".to_owned(), 0),
        ("assignedTo eq 'Defender Experts'".to_owned(), 4),
        ("assigned_to eq 'Defender Experts'".to_owned(), 4),
        ("systemTags/any(t:t eq 'Defender Experts')".to_owned(), 4),
        ("alerts/any(a:a/serviceSource eq 'microsoftDefenderForEndpoint')".to_owned(), 4),
        ("alerts/any(a:a/id eq 'al1')".to_owned(), 1),
        ("createdDateTime ge 2020-01-01".to_owned(), 4),
        ("createdDateTime ge 2020-01-01T00:00:00+00:00".to_owned(), 4),
        (format!("lastUpdateDateTime ge {at}"), 3),
        (format!("lastUpdateDateTime gt {at}"), 2),
        (format!("tenantId eq '{tenant}'"), 4),
        ("contains(displayName,'INCIDENT') or contains(displayName,'INTERPRETER')".to_owned(), 4),
    ];
    for (filter, want) in cases {
        let plus = filter.replace('+', "%2B").replace(' ', "+");
        let percent = filter.replace('+', "%2B").replace(' ', "%20").replace('\'', "%27");
        for coded in [format!("$filter={plus}"), format!("%24filter={percent}&$format=json&&")] {
            let path = format!("/v1.0/security/incidents?{coded}");
            let page = client.get(&path).await.expect(200).json();
            assert_eq!(ids(&page).len(), want, "{path}");
        }
    }
    for (path, want) in [
        ("/v1.0/security/alerts_v2?$filter=id+eq+'al2'", 1),
        ("/v1.0/security/alerts_v2?$filter=status+eq+'new'+and+severity+eq+'Medium'", 4),
        ("/v1.0/security/alerts_v2?$search=interpreter", 4),
        ("/v1.0/security/incidents?$search=%22host2%22", 1),
        ("/v1.0/security/incidents?", 4),
        ("/v1.0/security/incidents?&", 4),
        ("/v1.0/security/incidents?$top=1&$top=3", 3),
        ("/v1.0/security/incidents?$skip=999999999999", 0),
        ("/v1.0/security/incidents?$orderby=severity+desc,lastUpdateDateTime+asc", 4),
        ("/v1.0/security/incidents?$orderby=assignedTo", 4),
    ] {
        let page = client.get(path).await.expect(200).json();
        assert_eq!(ids(&page).len(), want, "{path}");
    }
    for path in [
        "/v1.0/security/incidents?$filter=nonsense+eq+1",
        "/v1.0/security/incidents?$filter=(",
        "/v1.0/security/incidents?$skiptoken=abc",
        "/v1.0/security/incidents?$expand=alerts($filter=no+eq+1)",
    ] {
        let error = client.get(path).await.expect(400).json();
        assert_eq!(error["error"]["code"], "BadRequest", "{path}");
        let message = error["error"]["message"].as_str().expect("a message");
        assert!(message.starts_with("Invalid ODATA query filter"), "{message}");
        assert!(error["error"]["innerError"]["request-id"].is_string());
        check("GET", "/security/incidents", 400, &error);
    }
}

/// Changes some incidents, as people do while a client crawls.
async fn disturb(face: &Face, round: usize) {
    let customer = face.world.customer();
    let rows = face.world.rows("select id from incident order by id").await;
    for id in rows.iter().skip(round % 5).step_by(3) {
        let patch = riposte::incident::model::Patch {
            summary: Some(format!("round {round} of {id}")),
            severity: Some(if (round + *id as usize).is_multiple_of(2) {
                riposte::word::Severity::High
            } else {
                riposte::word::Severity::Low
            }),
            ..Default::default()
        };
        let id = riposte::id::IncidentId(*id);
        riposte::incident::change(&face.world.app, &customer, id, patch).await.expect("a change");
    }
}

/// Follows `@odata.nextLink` and gives every row seen.
async fn follow(face: &Face, client: &Client, first: &str) -> Vec<(String, String)> {
    let mut seen = Vec::new();
    let mut path = first.to_owned();
    for round in 0.. {
        assert!(round < 60, "the crawl does not end");
        let page = client.get(&path).await.expect(200).json();
        seen.extend(rows(&page));
        let Some(next) = page["@odata.nextLink"].as_str() else { break };
        let (_, query) = next.split_once('?').expect("a query");
        assert!(!query.contains('/'), "{next}");
        path = next.strip_prefix(HOST).expect("the same host").to_owned();
        if round < 6 {
            disturb(face, round).await;
        }
    }
    seen
}

fn rows(page: &Value) -> Vec<(String, String)> {
    let text = |row: &Value, name: &str| row[name].as_str().expect("text").to_owned();
    let rows = page["value"].as_array().expect("rows");
    rows.iter().map(|row| (text(row, "id"), text(row, "lastUpdateDateTime"))).collect()
}

#[tokio::test]
async fn following_next_links_sees_every_incident_once() {
    let (face, client) = with_incidents(40).await;
    let seen = follow(&face, &client, "/v1.0/security/incidents?$top=7&$expand=alerts").await;
    let once: BTreeSet<&String> = seen.iter().map(|(id, _)| id).collect();
    assert_eq!((seen.len(), once.len()), (40, 40));
    // In an order that changes, nobody is missed and no version comes twice.
    for order in ["lastUpdateDateTime%20desc", "lastUpdateDateTime", "severity%20desc", "summary"] {
        let path = format!("/v1.0/security/incidents?$top=7&$orderby={order}");
        let seen = follow(&face, &client, &path).await;
        let once: BTreeSet<&String> = seen.iter().map(|(id, _)| id).collect();
        let versions: BTreeSet<_> = seen.iter().collect();
        assert_eq!(once.len(), 40, "{order}");
        assert_eq!(versions.len(), seen.len(), "{order}");
    }
}

#[tokio::test]
async fn raising_skip_sees_every_incident() {
    let (face, client) = with_incidents(40).await;
    for (query, strict) in [
        ("", true),
        ("&$orderby=lastUpdateDateTime+asc&$filter=lastUpdateDateTime+ge+2020-01-01", false),
    ] {
        let mut seen = Vec::new();
        for round in 0..40 {
            let path = format!("/v1.0/security/incidents?$top=7&$skip={}{query}", round * 7);
            let page = client.get(&path).await.expect(200).json();
            let got = rows(&page);
            let short = got.len() < 7;
            seen.extend(got);
            if short {
                break;
            }
            if round < 5 {
                disturb(&face, round).await;
            }
        }
        let once: BTreeSet<&String> = seen.iter().map(|(id, _)| id).collect();
        assert_eq!(once.len(), 40, "{query}");
        assert!(!strict || seen.len() == 40, "{query}");
    }
}

#[tokio::test]
async fn asking_for_later_than_the_last_row_sees_every_change() {
    let (face, client) = with_incidents(40).await;
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    let mut last = "2020-01-01T00:00:00Z".to_owned();
    for round in 0..60 {
        let path = format!(
            "/v1.0/security/incidents?$top=7&$skip=0&$filter=lastUpdateDateTime+gt+{last}\
             &$orderby=lastUpdateDateTime+asc"
        );
        let page = client.get(&path).await.expect(200).json();
        let got = rows(&page);
        for (id, at) in &got {
            let before = seen.insert(id.clone(), at.clone());
            assert!(before.is_none_or(|before| before < *at), "a version came twice");
            last.clone_from(at);
        }
        if got.len() < 7 {
            break;
        }
        if round < 4 {
            disturb(&face, round).await;
        }
    }
    assert_eq!(seen, current(&client).await);
}

#[tokio::test]
async fn the_tail_of_a_next_link_with_top_goes_on() {
    let (face, client) = with_incidents(23).await;
    let mut path = "/v1.0/security/incidents?$top=5".to_owned();
    let mut seen = BTreeSet::new();
    let mut count = 0;
    for round in 0..20 {
        let page = client.get(&path).await.expect(200).json();
        count += ids(&page).len();
        seen.extend(ids(&page));
        let Some(next) = page["@odata.nextLink"].as_str() else { break };
        let (_, tail) = next.rsplit_once('/').expect("a slash");
        path = format!("/v1.0/security/{tail}&$top=5");
        disturb(&face, round).await;
    }
    assert_eq!((count, seen.len()), (23, 23));
}

#[tokio::test]
async fn remembering_the_greatest_time_sees_every_change() {
    let (face, client) = with_incidents(40).await;
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    let mut greatest = String::new();
    for minute in 0..6 {
        let mut path = "/v1.0/security/incidents?$top=6".to_owned();
        if !greatest.is_empty() {
            path = format!("{path}&$filter=lastUpdateDateTime+gt+{greatest}");
        }
        let seen = if minute < 4 {
            follow(&face, &client, &path).await
        } else {
            // Nothing changes any more; what is left must come.
            let mut all = Vec::new();
            let mut next = Some(path);
            while let Some(path) = next {
                let page = client.get(&path).await.expect(200).json();
                all.extend(rows(&page));
                let link = page["@odata.nextLink"].as_str();
                next = link.map(|link| link.strip_prefix(HOST).expect("our host").to_owned());
            }
            all
        };
        for (id, at) in seen {
            greatest = greatest.max(at.clone());
            known.insert(id, at);
        }
    }
    assert_eq!(known, current(&client).await);
}

async fn current(client: &Client) -> BTreeMap<String, String> {
    let page = client.get("/v1.0/security/incidents?$top=1000").await.expect(200).json();
    rows(&page).into_iter().collect()
}

#[tokio::test]
async fn a_patch_changes_what_it_names_and_shows_the_whole() {
    let (_face, client) = with_incidents(1).await;
    let page = client.get("/v1.0/security/incidents").await.expect(200).json();
    let path = format!("/v1.0/security/incidents/{}", ids(&page)[0]);
    let patch = json!({
        "status": "Resolved", "classification": "falsePositive", "determination": "clean",
        "assignedTo": "ida@alder.example", "customTags": ["branch"], "unknownMember": 1,
        "resolvingComment": "a test of ours",
    });
    let after = client.patch(&path, &patch).await.expect(200).json();
    check("PATCH", "/security/incidents/1", 200, &after);
    assert_eq!(after["status"], "resolved");
    assert_eq!(after["determination"], "notMalicious");
    assert_eq!(after["customTags"], json!(["branch"]));
    let alerts = client.get(&format!("{path}/alerts")).await.expect(200).json();
    assert_eq!(alerts["value"][0]["status"], "resolved");
    let after = client.patch(&path, &json!({"assignedTo": ""})).await.expect(200).json();
    assert_eq!(after["assignedTo"], Value::Null);
    for (body, status) in [
        (json!({"status": "awaitingAction"}), 403),
        (json!({"status": "nonsense"}), 400),
        (json!({"classification": "truePositive", "determination": "notMalicious"}), 400),
        (json!([1]), 400),
    ] {
        let error = client.patch(&path, &body).await.expect(status).json();
        check("PATCH", "/security/incidents/1", status, &error);
    }
    client.send("DELETE", &path, None, &[]).await.expect(405);
    client.patch("/v1.0/security/incidents/999", &json!({"summary": "x"})).await.expect(404);
    client.patch("/v1.0/security/incidents/no", &json!({"summary": "x"})).await.expect(404);

    let comments = format!("{path}/comments");
    let one = json!({"comment": "first"});
    let list = client.post(&comments, &one).await.expect(200).json();
    check("POST", "/security/incidents/1/comments", 200, &list);
    let list = client.post(&comments, &json!([{"comment": "second"}, {"comment": "third"}])).await;
    let list = list.expect(200).json();
    let texts: Vec<&str> = list["value"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["comment"].as_str().unwrap())
        .collect();
    assert_eq!(texts, ["first", "second", "third"]);
    client.post(&comments, &json!({"text": "x"})).await.expect(400);
}

#[tokio::test]
async fn late_words_are_named_to_who_asks() {
    let (face, client) = with_incidents(1).await;
    let tx = face.world.app.db.whole("a test").begin().await.expect("a transaction");
    tx.execute(
        "update incident set status = 5, stage = 5, owner = 'Customer', \
         state = '{\"at\":1,\"by\":[\"expert\",\"Signe Holm\"]}'",
        vec![],
    )
    .await
    .expect("an update");
    tx.execute("update alert set service_source = 'microsoftSentinel'", vec![]).await.expect("x");
    tx.commit().await.expect("a commit");
    let path = "/v1.0/security/incidents?$expand=alerts&$filter=status eq 'awaitingAction'";
    let path = path.replace(' ', "%20");
    let plain = client.get(&path).await.expect(200);
    assert!(plain.headers.get("preference-applied").is_none());
    assert_eq!(plain.json()["value"][0]["status"], "unknownFutureValue");
    assert_eq!(plain.json()["value"][0]["alerts"][0]["serviceSource"], "unknownFutureValue");
    check("GET", "/security/incidents", 200, &plain.json());
    let prefer = [("prefer", "include-unknown-enum-members, odata.maxpagesize=5")];
    let named = client.send("GET", &path, None, &prefer).await.expect(200);
    assert_eq!(named.headers["preference-applied"], "include-unknown-enum-members");
    assert_eq!(named.json()["value"][0]["status"], "awaitingAction");
    assert_eq!(named.json()["value"][0]["alerts"][0]["serviceSource"], "microsoftSentinel");
    let tx = face.world.app.db.whole("a test").begin().await.expect("a transaction");
    tx.execute("update tenant set settings = '{\"alwaysSpellStatus\":true}'", vec![])
        .await
        .expect("an update");
    tx.commit().await.expect("a commit");
    face.world.app.clock.advance_seconds(10);
    let plain = client.get(&path).await.expect(200);
    assert_eq!(plain.json()["value"][0]["status"], "awaitingAction");
}

#[tokio::test]
async fn who_may_not_is_told_so_as_clients_expect() {
    let (face, client) = with_incidents(1).await;
    let request = |token: Option<&str>| {
        let request = Request::get("/v1.0/security/incidents");
        let request = match token {
            Some(token) => request.header("authorization", token),
            None => request,
        };
        request.body(Body::empty()).expect("a request")
    };
    for token in [None, Some("Bearer nonsense"), Some("Basic abc")] {
        let reply = send(&face.router, request(token)).await.expect(401);
        assert_eq!(reply.json()["error"]["code"], "InvalidAuthenticationToken");
        assert!(reply.headers.contains_key("www-authenticate"));
    }
    send(&face.router, request(Some(&client.token))).await.expect(200);
    let reader = face.app(Side::Tenant(&face.world.tenant.id), &[Permission::IncidentRead]).await;
    let reader = face.sign_in(&reader).await;
    let id = ids(&reader.get("/v1.0/security/incidents").await.expect(200).json())[0].clone();
    let path = format!("/v1.0/security/incidents/{id}");
    let refused = reader.patch(&path, &json!({"summary": "x"})).await.expect(403).json();
    assert_eq!(refused["error"]["code"], "Authorization_RequestDenied");
    reader.get("/v1.0/security/alerts_v2").await.expect(403);
    // Another customer's incident is not there at all.
    let other = face.app(Side::Tenant(&face.world.other.id), &[Permission::IncidentRead]).await;
    let other = face.sign_in(&other).await;
    let foreign = other.get(&path).await.expect(404);
    let unknown = other.get("/v1.0/security/incidents/424242").await.expect(404);
    let message = |reply: &crate::face::Reply| {
        reply.json()["error"]["message"].as_str().unwrap().replace(&id, "N").replace("424242", "N")
    };
    assert_eq!(message(&foreign), message(&unknown));
    assert_eq!(ids(&other.get("/v1.0/security/incidents").await.expect(200).json()).len(), 0);
    let missing = client.get("/v1.0/security/nothing").await.expect(404);
    assert_eq!(missing.json()["error"]["code"], "NotFound");
    assert_eq!(missing.headers["x-content-type-options"], "nosniff");
    client.send("PUT", &path, None, &[]).await.expect(405);
}

#[tokio::test]
async fn the_older_interface_speaks_its_own_words_within_its_limits() {
    let (face, client) = with_incidents(2).await;
    let page = client.get("/api/incidents?$top=100").await.expect(200).json();
    let row = &page["value"][0];
    assert!(row["incidentId"].is_i64());
    assert_eq!(row["status"], "Active");
    assert_eq!(row["determination"], "NotAvailable");
    assert_eq!(row["alerts"][0]["severity"], "Medium");
    assert_eq!(row["alerts"][0]["devices"][0]["osPlatform"], "Windows11");
    let path = format!("/api/incidents/{}", row["incidentId"]);
    let patch = json!({
        "status": "Resolved", "classification": "TruePositive", "determination": "CompromisedUser",
        "tags": ["Defender Experts", "branch"], "comment": "seen",
    });
    let after = client.patch(&path, &patch).await.expect(200).json();
    assert_eq!(after["determination"], "CompromisedAccount");
    assert_eq!(after["comments"][0]["comment"], "seen");
    let mut status = 200;
    for _ in 0..60 {
        let reply = client.get("/api/incidents?$top=1").await;
        status = reply.status.as_u16();
        if status == 429 {
            let seconds: u32 = reply.headers["retry-after"].to_str().unwrap().parse().unwrap();
            let message = reply.json()["error"]["message"].as_str().unwrap().to_owned();
            assert!(message.ends_with(&format!("again in {seconds} seconds.")), "{message}");
            break;
        }
    }
    assert_eq!(status, 429);
    face.world.app.clock.advance_seconds(61);
    client.get("/api/incidents?$top=1").await.expect(200);
    let first = client.get("/v1.0/security/alerts?$filter=status+eq+'newAlert'").await;
    let first = first.expect(200).json();
    assert_eq!(first["value"][0]["status"], "newAlert");
    assert_eq!(first["value"][0]["hostStates"][0]["os"], "Windows11");
}

#[tokio::test]
async fn an_unexpanded_page_stays_below_a_mebibyte() {
    let (face, client) = with_incidents(50).await;
    let long = "\u{1}".repeat(29_000);
    let tx = face.world.app.db.whole("a test").begin().await.expect("a transaction");
    tx.execute("update incident set summary = $1, description = $1", vec![long.into()])
        .await
        .expect("an update");
    tx.commit().await.expect("a commit");
    let page = client.get("/v1.0/security/incidents?$top=50").await.expect(200);
    assert!(page.text.len() < 1024 * 1024, "{}", page.text.len());
    assert_eq!(ids(&page.json()).len(), 50);
    let id = ids(&page.json())[0].clone();
    let one = client.get(&format!("/v1.0/security/incidents/{id}")).await.expect(200);
    assert!(one.text.len() > 300_000);
}

#[tokio::test]
async fn merging_redirects_and_moving_alerts_makes_an_incident() {
    let (_face, client) = with_incidents(3).await;
    let all = ids(&client.get("/v1.0/security/incidents").await.expect(200).json());
    let body = json!({"incidentIds": [all[0], all[1]], "incidentComment": "the same person"});
    let path = "/v1.0/security/incidents/microsoft.graph.security.mergeIncidents";
    let merged = client.post(path, &body).await.expect(200).json();
    check("POST", "/security/incidents/microsoft.graph.security.mergeIncidents", 200, &merged);
    assert_eq!(merged["targetIncidentId"], all[0].as_str());
    let source = client.get(&format!("/v1.0/security/incidents/{}", all[1])).await.expect(200);
    assert_eq!(source.json()["status"], "redirected");
    assert_eq!(source.json()["redirectIncidentId"], all[0].as_str());
    let alerts = client.get(&format!("/v1.0/security/incidents/{}/alerts", all[0])).await;
    let alerts = ids(&alerts.expect(200).json());
    assert_eq!(alerts.len(), 2);
    let path = "/v1.0/security/alerts_v2/microsoft.graph.security.moveAlerts";
    let moved = client.post(path, &json!({"alertIds": [alerts[1]]})).await.expect(200).json();
    let id = moved["targetIncidentId"].as_str().expect("an id").to_owned();
    assert!(!all.contains(&id));
    let log = client.get(&format!("/api/v1/incidents/{}/timeline", all[0])).await.expect(200);
    let log = log.json();
    let kinds: BTreeSet<&str> =
        log["value"].as_array().unwrap().iter().map(|it| it["kind"].as_str().unwrap()).collect();
    assert!(kinds.contains("incident.opened") && kinds.contains("incident.merged"), "{kinds:?}");
}

#[tokio::test]
async fn identity_libraries_find_what_they_look_for() {
    let face = Face::new().await;
    let app = face.app(Side::Tenant(&face.world.tenant.id), &[Permission::IncidentRead]).await;
    let tenant = &app.tenant_id;
    let get = |path: String| {
        let request = Request::get(path).header("host", "login.riposte.example");
        request.body(Body::empty()).expect("a request")
    };
    let found = send(&face.router, get(format!("/{tenant}/v2.0/.well-known/openid-configuration")))
        .await
        .expect(200)
        .json();
    let endpoint = format!("http://login.riposte.example/{tenant}/oauth2/v2.0/token");
    assert_eq!(found["token_endpoint"], endpoint);
    let keys = send(&face.router, get(format!("/{tenant}/discovery/v2.0/keys"))).await.expect(200);
    assert_eq!(keys.json()["keys"][0]["kty"], "EC");
    let ask = |path: &str, form: String| {
        Request::post(format!("/{tenant}/{path}")).body(Body::from(form)).expect("a request")
    };
    let (id, secret) = (&app.client_id, &app.client_secret);
    let good = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}");
    let v1 = send(&face.router, ask("oauth2/token", format!("{good}&resource=https%3A%2F%2Fx")))
        .await
        .expect(200)
        .json();
    assert!(v1["expires_in"].is_i64() && v1["access_token"].is_string());
    for (form, status, code) in [
        (format!("{good}x&scope=a"), 401, 7_000_215),
        (good.clone(), 400, 900_144),
        ("grant_type=password".to_owned(), 400, 70_003),
        (
            "grant_type=client_credentials&client_id=nobody&client_secret=x&scope=a".to_owned(),
            400,
            700_016,
        ),
    ] {
        let refused = send(&face.router, ask("oauth2/v2.0/token", form)).await.expect(status);
        let refused = refused.json();
        assert_eq!(refused["error_codes"], json!([code]));
        let text = refused["error_description"].as_str().unwrap();
        assert!(text.starts_with(&format!("AADSTS{code}:")), "{text}");
    }
}

#[tokio::test]
async fn an_alert_made_by_hand_is_there_when_the_answer_comes() {
    let face = Face::new().await;
    let client = face.customer().await;
    let made = client.post("/v1.0/security/alerts_v2", &alert("x1", "gate", "ida", 0)).await;
    let made = made.expect(201).json();
    check("POST", "/security/alerts_v2", 201, &made);
    let path = format!("/v1.0/security/alerts_v2/{}", made["id"].as_str().unwrap());
    let patch = json!({"status": "inProgress", "assignedTo": "ida"});
    let after = client.patch(&path, &patch).await.expect(200).json();
    assert_eq!((&after["status"], &after["assignedTo"]), (&json!("inProgress"), &json!("ida")));
    let list = client.post(&format!("{path}/comments"), &json!({"comment": "mine"})).await;
    assert_eq!(list.expect(200).json()["value"][0]["comment"], "mine");
    assert_eq!(client.get(&format!("{path}/comments/$count")).await.expect(200).text, "1");
    client.send("DELETE", &path, None, &[]).await.expect(405);
    let by_hand = json!({"displayName": "Lost laptop", "severity": "high"});
    let made = client.post("/v1.0/security/incidents", &by_hand).await.expect(201).json();
    assert_eq!((&made["displayName"], &made["severity"]), (&json!("Lost laptop"), &json!("high")));
}
