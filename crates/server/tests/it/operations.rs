//! Every operation of the machine-readable contract, on both versions of the face.

use riposte::alert::format::Format;
use serde_json::{Value, json};

use crate::contract::{check, check_beta_incident, operations, options_of};
use crate::face::{Client, Face};
use crate::world::alert;

/// Incidents and alerts that an operation may be tried on.
struct Ids {
    incidents: Vec<String>,
    alerts: Vec<String>,
}

async fn ids(client: &Client, path: &str) -> Vec<String> {
    let page = client.get(path).await.expect(200).json();
    let rows = page["value"].as_array().expect("rows").iter();
    rows.map(|row| row["id"].as_str().expect("an id").to_owned()).collect()
}

async fn some(face: &Face, client: &Client) -> Ids {
    let alerts: Vec<Value> = (0..6)
        .map(|n| alert(&format!("a{n}"), &format!("host{n}"), &format!("user{n}"), n * 10))
        .collect();
    face.world.alerts(&alerts).await;
    let incidents = ids(client, "/v1.0/security/incidents").await;
    let path = format!("/v1.0/security/incidents/{}/alerts", incidents[0]);
    let alerts = ids(client, &path).await;
    Ids { incidents, alerts }
}

/// What a client sends, and the status it gets.
fn request(method: &str, path: &str, ids: &Ids, version: &str) -> (Option<Value>, u16) {
    let beta = version == "beta";
    let name = path.rsplit(['/', '.']).next().unwrap_or_default();
    match (method, name) {
        ("GET", _) => (None, 200),
        // Nothing is ever deleted.
        ("DELETE", _) => (None, 405),
        ("POST", "comments") => (Some(json!({"comment": "seen"})), 200),
        ("POST", "incidents") => (Some(json!({"displayName": "Lost laptop"})), 201),
        ("POST", "alerts_v2") => (Some(alert(version, "gate", "ida", 0)), 201),
        ("POST", "mergeIncidents") => {
            let pair = if beta { &ids.incidents[2..4] } else { &ids.incidents[4..6] };
            let reasons = "sameActor, sameAsset";
            (Some(json!({"incidentIds": pair, "mergeReasons": reasons})), 200)
        }
        ("POST", "moveAlerts") => {
            let to = (!beta).then_some(&ids.incidents[1]);
            let body = json!({
                "alertIds": ids.alerts, "incidentId": to, "alertComment": "the same person",
                "newCorrelationReasons": "sameActor",
            });
            (Some(body), 200)
        }
        ("PATCH", "{incident-id}") => (Some(json!({"customTags": [version]})), 200),
        ("PATCH", "{alert-id}") => (Some(json!({"assignedTo": version})), 200),
        _ => panic!("the contract has an operation that nobody thought of: {method} {path}"),
    }
}

#[tokio::test]
async fn every_operation_of_the_contract_is_answered_as_it_says() {
    let face = Face::new().await;
    let client = face.customer().await;
    let ids = some(&face, &client).await;
    let mut all = operations();
    // What moves the alerts away comes last.
    all.sort_by_key(|(_, path)| (path.ends_with("moveAlerts"), path.ends_with("mergeIncidents")));
    for version in ["v1.0", "beta"] {
        for (method, template) in &all {
            let path = template
                // The first round moves the alerts to the second incident.
                .replace("{incident-id}", &ids.incidents[usize::from(version == "beta")])
                .replace("{alert-id}", &ids.alerts[0]);
            let (body, status) = request(method, template, &ids, version);
            let full = format!("/{version}{path}");
            let text = body.map(|body| body.to_string());
            let reply = client.send(method, &full, text, &[]).await.expect(status);
            if template.ends_with("$count") {
                assert_eq!(reply.headers["content-type"], "text/plain", "{full}");
                reply.text.parse::<u32>().expect("a number");
            } else {
                check(method, &path, status, &reply.json());
            }
        }
    }
}

#[tokio::test]
async fn every_option_of_every_operation_is_understood() {
    let face = Face::new().await;
    let client = face.customer().await;
    let ids = some(&face, &client).await;
    for (method, template) in operations() {
        let path = template
            .replace("{incident-id}", &ids.incidents[0])
            .replace("{alert-id}", &ids.alerts[0]);
        for option in options_of(&method, &template) {
            let value = match option.as_str() {
                "$filter" if template.contains("/comments/") => "comment+ne+null",
                "$top" | "$skip" => "1",
                "$search" => "%22interpreter%22",
                "$filter" => "severity+eq+'medium'",
                "$count" => "true",
                "$orderby" => "createdDateTime+desc",
                "$select" => "id,severity",
                "$expand" => "alerts",
                other => panic!("the contract has an option that nobody thought of: {other}"),
            };
            let full = format!("/v1.0{path}?{option}={value}");
            if option == "$expand" && !template.starts_with("/security/incidents") {
                continue;
            }
            let reply = client.get(&full).await.expect(200);
            if template.ends_with("comments/$count") {
                continue;
            }
            if template.ends_with("$count") {
                assert_ne!(reply.text, "0", "{full}");
                continue;
            }
            let page = reply.json();
            check(&method, &path, 200, &page);
            let rows = page["value"].as_array();
            match (option.as_str(), rows) {
                ("$top", Some(rows)) => assert_eq!(rows.len(), 1, "{full}"),
                ("$count", Some(rows)) => assert_eq!(page["@odata.count"], rows.len(), "{full}"),
                ("$search" | "$filter", Some(rows)) => assert!(!rows.is_empty(), "{full}"),
                ("$select", Some(rows)) => {
                    assert!(rows.iter().all(|row| row.get("title").is_none()), "{full}");
                    assert!(rows.iter().all(|row| row["severity"] == "medium"), "{full}");
                }
                ("$select", None) => assert!(page.get("createdDateTime").is_none(), "{full}"),
                _ => {}
            }
        }
    }
}

#[tokio::test]
async fn a_page_is_as_long_as_asked_for_and_says_when_there_is_more() {
    let face = Face::new().await;
    let alerts: Vec<Value> = (0..2_020)
        .map(|n| {
            let pair = n / 2;
            alert(&format!("a{n}"), &format!("host{pair}"), &format!("user{pair}"), n)
        })
        .collect();
    face.world.alerts(&alerts).await;
    let client = face.customer().await;
    for (path, top, rest) in [
        ("/v1.0/security/incidents", 1_000, 10),
        ("/v1.0/security/alerts_v2", 2_000, 20),
        ("/v1.0/security/alerts", 2_000, 20),
    ] {
        let page = client.get(&format!("{path}?$top={top}")).await.expect(200).json();
        assert_eq!(page["value"].as_array().map(Vec::len), Some(top), "{path}");
        let next = page["@odata.nextLink"].as_str().expect("there is more");
        let next = next.strip_prefix("http://graph.riposte.example").expect("the same host");
        let page = client.get(next).await.expect(200).json();
        assert_eq!(page["value"].as_array().map(Vec::len), Some(rest), "{next}");
        assert!(page.get("@odata.nextLink").is_none(), "{next}");
    }
    let page = client.get("/api/incidents?$top=100").await.expect(200).json();
    assert_eq!(page["value"].as_array().map(Vec::len), Some(100));
    assert!(page["@odata.nextLink"].is_string());
}

#[tokio::test]
async fn members_that_cannot_be_changed_are_refused_where_the_setting_says_so() {
    let mut config = riposte::config::Config::default();
    config.graph.refuse_unknown_members = true;
    let face = Face::with(config).await;
    let client = face.customer().await;
    let ids = some(&face, &client).await;
    for path in [
        format!("/v1.0/security/incidents/{}", ids.incidents[0]),
        format!("/v1.0/security/alerts_v2/{}", ids.alerts[0]),
        format!("/v1.0/security/alerts/{}", ids.alerts[0]),
    ] {
        let known = json!({"@odata.type": "x", "assignedTo": "ida"});
        client.patch(&path, &known).await.expect(200);
        let unknown = json!({"assignedTo": "tore", "riskScore": 7});
        let error = client.patch(&path, &unknown).await.expect(400).json();
        assert_eq!(error["error"]["code"], "BadRequest");
        assert_eq!(client.get(&path).await.expect(200).json()["assignedTo"], "ida");
    }
}

#[tokio::test]
async fn the_reasons_of_a_merge_and_a_move_are_on_record() {
    let face = Face::new().await;
    let client = face.customer().await;
    let ids = some(&face, &client).await;
    let merge = "/v1.0/security/incidents/microsoft.graph.security.mergeIncidents";
    let pair = json!(ids.incidents[..2]);
    for reasons in [json!("sameActor,nonsense"), json!(7), json!([1])] {
        let body = json!({"incidentIds": pair, "mergeReasons": reasons});
        client.post(merge, &body).await.expect(400);
    }
    let body = json!({
        "incidentIds": pair, "incidentComment": "one intruder",
        "mergeReasons": "SameActor, lateralMovementPath,sameActor",
    });
    let target = client.post(merge, &body).await.expect(200).json();
    let target = target["targetIncidentId"].as_str().expect("an id").to_owned();
    let moving = "/v1.0/security/alerts_v2/microsoft.graph.security.moveAlerts";
    let body = json!({
        "alertIds": ids.alerts, "incidentId": ids.incidents[2],
        "newCorrelationReasons": ["timeFrame"],
    });
    client.post(moving, &body).await.expect(200);
    for (incident, kind, because) in [
        (&target, "incident.merged", "one intruder (sameActor, lateralMovementPath)"),
        (&ids.incidents[2], "alert.moved", "moved by hand (timeFrame)"),
    ] {
        let path = format!("/api/v1/incidents/{incident}/timeline?kind={kind}");
        let log = client.get(&path).await.expect(200).json();
        assert_eq!(log["value"][0]["because"], because);
    }
    let incident = client.get(&format!("/v1.0/security/incidents/{target}")).await.expect(200);
    assert_eq!(incident.json()["comments"][0]["comment"], "one intruder");
}

#[tokio::test]
async fn comments_are_counted_as_the_query_asks() {
    let face = Face::new().await;
    let client = face.customer().await;
    let mut told = alert("a", "gate", "ida", 0);
    told["comments"] = json!([{
        "comment": "Seen by the source", "createdByDisplayName": "sensor",
        "createdDateTime": "2026-01-02T03:04:05.0000000Z",
    }]);
    face.world.alerts(&[told]).await;
    let of_alert = format!(
        "/v1.0/security/alerts_v2/{}/comments",
        ids(&client, "/v1.0/security/alerts_v2").await[0]
    );
    let of_incident = format!(
        "/v1.0/security/incidents/{}/comments",
        ids(&client, "/v1.0/security/incidents").await[0]
    );
    for path in [&of_alert, &of_incident] {
        let two = json!([{"comment": "Harmless test"}, {"comment": "it's 100 % ours"}]);
        client.post(path, &two).await.expect(200);
    }
    for (query, of_the_alert, of_the_incident) in [
        ("", 3, 2),
        ("?$filter=contains(comment,'TEST')", 1, 1),
        ("?$filter=comment+eq+'it''s+100+%25+ours'", 1, 1),
        ("?$filter=createdByDisplayName+eq+'sensor'", 1, 0),
        ("?$filter=createdByDisplayName+ne+'sensor'+and+comment+ne+null", 2, 2),
        ("?$filter=createdDateTime+lt+2026-02-01", 1, 0),
        ("?$filter=createdDateTime+ge+2026-02-01T00:00:00Z", 2, 2),
        ("?$search=harmless", 1, 1),
        ("?$search=%22100+%25%22&$filter=contains(comment,'ours')", 1, 1),
        ("?$search=nothing", 0, 0),
    ] {
        for (path, want) in [(&of_alert, of_the_alert), (&of_incident, of_the_incident)] {
            let reply = client.get(&format!("{path}/$count{query}")).await.expect(200);
            assert_eq!(reply.text, want.to_string(), "{path}{query}");
        }
    }
    for query in ["?$filter=(", "?$filter=severity+eq+'high'"] {
        for path in [&of_alert, &of_incident] {
            let error = client.get(&format!("{path}/$count{query}")).await.expect(400).json();
            assert_eq!(error["error"]["code"], "BadRequest");
        }
    }
}

#[tokio::test]
async fn an_incident_of_the_beta_version_has_the_advice_of_its_alerts() {
    let face = Face::new().await;
    let client = face.customer().await;
    let mut alerts: Vec<Value> =
        (0..3).map(|n| alert(&format!("a{n}"), "gate", "ida", n * 10)).collect();
    alerts[0]["recommendedActions"] = json!("Reset the password of the account.");
    alerts[1]["recommendedActions"] = json!("Isolate the device.");
    alerts[2]["recommendedActions"] = json!("Reset the password of the account.");
    face.world.alerts(&alerts).await;
    face.world.alerts(&[alert("b", "attic", "tore", 0)]).await;
    let advice = json!("Reset the password of the account.\n\nIsolate the device.");
    for path in ["/beta/security/incidents", "/beta/security/incidents?$expand=alerts"] {
        let page = client.get(path).await.expect(200).json();
        check("GET", "/security/incidents", 200, &page);
        let rows = page["value"].as_array().expect("rows");
        assert_eq!(rows.len(), 2);
        for row in rows {
            check_beta_incident(row);
            let told = row["alerts"].as_array().is_none_or(|alerts| alerts.len() == 3);
            let several = row["id"] == rows[0]["id"];
            assert_eq!(
                row["recommendedActions"],
                if several { advice.clone() } else { Value::Null }
            );
            assert!(told || !several);
            assert_eq!(row["recommendedHuntingQueries"], json!([]));
        }
        let one = format!("/beta/security/incidents/{}", rows[0]["id"].as_str().expect("an id"));
        let one = client.get(&one).await.expect(200).json();
        check_beta_incident(&one);
        assert_eq!(one["recommendedActions"], advice);
    }
    let chosen = "/beta/security/incidents?$select=recommendedActions";
    let page = client.get(chosen).await.expect(200).json();
    assert_eq!(page["value"][0]["recommendedActions"], advice);
    let page = client.get("/beta/security/incidents?$select=severity").await.expect(200).json();
    assert!(page["value"][0].get("recommendedActions").is_none());
    let page = client.get("/v1.0/security/incidents").await.expect(200).json();
    assert!(page["value"][0].get("recommendedActions").is_none());
}

#[tokio::test]
async fn an_alert_in_its_first_version_is_changed_like_any_other() {
    let face = Face::new().await;
    let client = face.customer().await;
    let told = json!([alert("a", "gate", "ida", 0)]).to_string();
    face.world.push(Format::Graph, told).await;
    face.world.settle().await;
    let list = client.get("/v1.0/security/alerts").await.expect(200).json();
    let before = list["value"][0].clone();
    let path = format!("/v1.0/security/alerts/{}", before["id"].as_str().expect("an id"));
    assert_eq!(client.get("/v1.0/security/alerts/$count").await.expect(200).text, "1");
    let vendor = &before["vendorInformation"];
    let body = json!({
        "assignedTo": "ida@alder.example", "status": "resolved", "feedback": "benignPositive",
        "comments": ["a test of ours"], "closedDateTime": "2026-01-02T03:04:05Z",
        "vendorInformation": vendor,
    });
    let after = client.patch(&path, &body).await.expect(200).json();
    assert_eq!(after["assignedTo"], "ida@alder.example");
    assert_eq!(
        (&after["status"], &after["feedback"]),
        (&"resolved".into(), &"benignPositive".into())
    );
    assert_eq!(after["comments"], json!(["a test of ours"]));
    assert!(
        after["closedDateTime"].is_string() && after["closedDateTime"] != body["closedDateTime"]
    );
    assert!(after["@odata.context"].as_str().is_some_and(|text| text.ends_with("$entity")));
    let newer = path.replace("/alerts/", "/alerts_v2/");
    let same = client.get(&newer).await.expect(200).json();
    check("GET", "/security/alerts_v2/1", 200, &same);
    assert_eq!(same["classification"], "informationalExpectedActivity");
    assert_eq!(same["status"], "resolved");
    // The whole list comes back with one more; what was said stays as it was.
    let more = json!({"comments": ["a test of ours", "closed"], "vendorInformation": vendor});
    let after = client.patch(&path, &more).await.expect(200).json();
    assert_eq!(after["comments"], json!(["a test of ours", "closed"]));
    let after = client.patch(&path, &json!({"comments": [], "feedback": null})).await;
    let after = after.expect(200).json();
    assert_eq!(after["comments"], json!(["a test of ours", "closed"]));
    assert_eq!(after["feedback"], Value::Null);
    let dismissed = client.patch(&path, &json!({"status": "newAlert"})).await.expect(200).json();
    assert_eq!(
        (&dismissed["status"], &dismissed["closedDateTime"]),
        (&"newAlert".into(), &Value::Null)
    );
    client.patch(&path, &json!({"status": "Dismissed"})).await.expect(200);
    let log = "select count(*) from event where kind in ('alert.changed', 'alert.commented')";
    let leaves = face.world.rows(log).await;
    for (body, status) in [
        (json!({"status": "unknown"}), 400),
        (json!({"feedback": "maybe"}), 400),
        (json!({"comments": "text"}), 400),
        (json!({"status": "inProgress", "comments": ["\u{0}"]}), 400),
        (json!(["x"]), 400),
    ] {
        let error = client.patch(&path, &body).await.expect(status).json();
        assert_eq!(error["error"]["code"], "BadRequest");
    }
    assert_eq!(face.world.rows(log).await, leaves, "what was refused changed nothing");
    let now = client.get(&path).await.expect(200).json();
    assert_eq!(now["status"], "resolved", "not half of a request either");
    client.patch("/v1.0/security/alerts/al999", &body).await.expect(404);
    let side = riposte::tenant::Side::Tenant(&face.world.tenant.id);
    let reader = face.app(side, &[riposte::permission::Permission::AlertRead]).await;
    face.sign_in(&reader).await.patch(&path, &body).await.expect(403);
    let side = riposte::tenant::Side::Tenant(&face.world.other.id);
    let other = face.app(side, &[riposte::permission::Permission::AlertReadWrite]).await;
    face.sign_in(&other).await.patch(&path, &body).await.expect(404);
}
