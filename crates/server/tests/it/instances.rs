//! A quarantine applied to more instances of its file (MR-20), what is said before (MR-18), and small
//! things about actions that go with it.

use riposte::alert::change;
use riposte::api::idempotency::once_made;
use riposte::http::json_response;
use riposte::incident;
use riposte::permission::Role;
use riposte_wire::Action;
use serde_json::{Value, json};

use crate::response::{Case, Robot, case};
use crate::world::alert;

fn sha() -> String {
    "ab".repeat(32)
}

/// An alert that names a file on a device.
fn with_file(id: &str, host: &str, minutes: i64) -> Value {
    let mut one = alert(id, host, "kari", minutes);
    let file = json!({
        "@odata.type": "#microsoft.graph.security.fileEvidence", "verdict": "malicious",
        "fileDetails": { "sha256": sha(), "filePath": "/data/tool/", "fileName": "grebe" },
    });
    one["evidence"].as_array_mut().expect("evidence").push(file);
    one
}

/// Asks for something on a device as the customer, has its agent do it, and gives the action's id.
async fn act(case: &Case, robot: &mut Robot, body: &Value) -> String {
    let device = robot.device(&case.face.world).await.id;
    let path = format!("/api/v1/devices/{device}/actions");
    let action = case.ida.post(&path, body).await.expect(201).json();
    robot.turn(&case.face.world).await;
    action["id"].as_str().expect("an id").to_owned()
}

#[tokio::test]
async fn a_quarantine_is_applied_where_else_its_file_was_seen() {
    let case = case("operator").await;
    let world = &case.face.world;
    let mut robots = Vec::new();
    for host in ["h1", "h2", "h3"] {
        robots.push(Robot::enrol(&case.face, host).await);
    }
    // h4 has no agent; h2 is named twice.
    let alerts: Vec<Value> = ["h1", "h2", "h2", "h3", "h4"]
        .iter()
        .enumerate()
        .map(|(n, host)| with_file(&format!("f{n}"), host, n as i64))
        .collect();
    world.alerts(&alerts).await;
    let body = json!({ "actionType": "stopAndQuarantineFile", "target": sha(), "comment": "x" });
    let first = act(&case, &mut robots[0], &body).await;
    let path = format!("/api/v1/actions/{first}/instances");
    let seen = case.ida.get(&path).await.expect(200).json();
    let names: Vec<&Value> =
        seen["value"].as_array().expect("a list").iter().map(|it| &it["name"]).collect();
    assert_eq!(names, ["h4", "h3", "h2"], "{seen}");
    assert_eq!(seen["value"][0]["may"]["because"], "no agent speaks for h4");
    assert_eq!(seen["value"][2]["path"], "/data/tool/grebe");
    assert_eq!((&seen["warnings"], &seen["cut"]), (&json!([]), &json!(false)));
    let one = case.ida.get(&format!("/api/v1/actions/{first}")).await.expect(200).json();
    assert_eq!(one["may"]["apply"]["allowed"], true);

    let on = |at: usize| seen["value"][at]["deviceId"].clone();
    let excluded = json!({ "kind": "device", "name": "h3" });
    case.ida.post("/api/v1/exclusions", &excluded).await.expect(201);
    let both = json!({ "deviceIds": [on(1), on(2)], "comment": "There too." });
    let told = case.expert.post(&path, &both).await.expect(201).json();
    assert_eq!(told["value"][0]["because"], "the device h3 is excluded", "{told}");
    let second = told["value"][1]["actionId"].as_str().expect("an action").to_owned();
    let only = json!({ "deviceIds": [on(1)], "comment": "There too." });
    case.expert.post(&path, &only).await.expect(403);
    let made = case.ida.get(&format!("/api/v1/actions/{second}")).await.expect(200).json();
    assert_eq!(made["instanceOf"], json!(first));
    let orders = robots[1].ask(world).await;
    let Action::Quarantine { path: None, sha256, under } = &orders[0].action else {
        panic!("{orders:?}");
    };
    assert_eq!(
        (sha256.as_deref(), under.last().expect("folders")),
        (Some(&*sha()), &"/data/tool".into())
    );
    let one = case.ida.get(&format!("/api/v1/actions/{first}")).await.expect(200).json();
    assert_eq!(one["instanceCount"], 1);

    for (bad, status) in [
        (json!({ "deviceIds": [], "comment": "x" }), 400),
        (json!({ "deviceIds": [on(2)], "comment": " " }), 400),
        (json!({ "deviceIds": ["nothing"], "comment": "x" }), 404),
    ] {
        case.ida.post(&path, &bad).await.expect(status);
    }
    let isolate = json!({ "actionType": "isolateDevice", "comment": "x" });
    let other = act(&case, &mut robots[2], &isolate).await;
    case.ida.get(&format!("/api/v1/actions/{other}/instances")).await.expect(409);
    // After a month nobody remembers.
    world.app.clock.advance_seconds(31 * 86_400);
    let later = case.ida.get(&path).await;
    assert!(later.status.as_u16() == 401 || later.json()["value"] == json!([]), "{}", later.text);
}

#[tokio::test]
async fn a_widely_used_file_is_told_before_the_click() {
    let case = case("operator").await;
    let mut alerts: Vec<Value> =
        (0..11).map(|n| with_file(&format!("f{n}"), &format!("w{n}"), 0)).collect();
    alerts.push(with_file("g", "h1", 0));
    case.face.world.alerts(&alerts).await;
    Robot::enrol(&case.face, "h1").await;
    let file = |key: String, options: Value| {
        json!({ "actionType": "stopAndQuarantineFile",
        "target": { "kind": "file", "id": key }, "options": options })
    };
    for (body, told) in [
        (file(sha(), json!({ "deviceId": "h1" })), "it was seen on 12 devices in 30 days"),
        (
            file("/usr/bin/ssh".to_owned(), json!({ "deviceId": "h1" })),
            "/usr/bin/ssh is where packages install to",
        ),
        (file("/tmp/x".to_owned(), json!({ "deviceId": "h1" })), ""),
    ] {
        let task = case.draft(body).await;
        let path = format!("/api/v1/tasks/{task}/preview");
        let shown = case.expert.post(&path, &json!({})).await.expect(200).json();
        let text = shown["warnings"].to_string();
        assert!(if told.is_empty() { text == "[]" } else { text.contains(told) }, "{text}");
    }
}

#[tokio::test]
async fn yara_rules_go_with_a_scan_where_the_device_can_use_them() {
    let case = case("operator").await;
    let world = &case.face.world;
    let h1 = Robot::enrol(&case.face, "h1").await;
    let device = h1.device(world).await.id;
    let path = format!("/api/v1/devices/{device}/actions");
    let rules = "rule grebe { strings: $a = \"grebe\" condition: $a }";
    let scan = |rules: &str| {
        json!({ "actionType": "runAntiVirusScan",
        "options": { "rules": rules }, "comment": "x" })
    };
    let refused = case.ida.post(&path, &scan("rule grebe {")).await.expect(400);
    assert!(refused.text.contains("rules: the rule grebe does not end"), "{}", refused.text);
    let refused = case.ida.post(&path, &scan(rules)).await.expect(409);
    assert!(refused.text.contains("the agent of h1 does not know how"), "{}", refused.text);
    let tx = world.app.db.of(world.tenant.no).begin().await.expect("a change");
    let lacks = r#"[["scanRules","YARA (yara) is not installed"]]"#;
    tx.execute(&format!("update device set lacks = '{lacks}'"), vec![]).await.expect("an update");
    tx.commit().await.expect("a commit");
    let refused = case.ida.post(&path, &scan(rules)).await.expect(409);
    assert!(refused.text.contains("YARA (yara) is not installed"), "{}", refused.text);
    let tx = world.app.db.of(world.tenant.no).begin().await.expect("a change");
    tx.execute(r#"update device set can = '["scan","scanRules"]'"#, vec![]).await.expect("done");
    tx.commit().await.expect("a commit");
    case.ida.post(&path, &scan(rules)).await.expect(201);
    let orders = h1.ask(world).await;
    let Action::Scan { rules: sent, .. } = &orders[0].action else { panic!("{orders:?}") };
    assert_eq!(sent, &[("rules".to_owned(), rules.to_owned())]);
}

#[tokio::test]
async fn a_restored_file_is_taken_away_again_where_it_is() {
    let case = case("operator").await;
    let world = &case.face.world;
    let mut h1 = Robot::enrol(&case.face, "h1").await;
    let device = h1.device(world).await.id;
    let body = json!({ "actionType": "restoreFile", "target": sha(), "comment": "A mistake." });
    let path = format!("/api/v1/devices/{device}/actions");
    let id = case.ida.post(&path, &body).await.expect(201).json()["id"].clone();
    let order = h1.ask(world).await.remove(0);
    let read = json!({ "present": true, "sha256": sha(), "path": "/srv/x/grebe" });
    h1.answer(&order, read);
    h1.tell(world).await;
    let undo = format!("/api/v1/actions/{}/undo", id.as_str().expect("an id"));
    case.ida.post(&undo, &json!({})).await.expect(201);
    let orders = h1.ask(world).await;
    let Action::Quarantine { path, sha256, .. } = &orders[0].action else { panic!("{orders:?}") };
    assert_eq!((path.as_deref(), sha256.as_deref()), (Some("/srv/x/grebe"), Some(&*sha())));
}

#[tokio::test]
async fn who_is_not_cleared_is_told_before_approving() {
    let case = case("operator").await;
    Robot::enrol(&case.face, "h1").await;
    case.ida.put("/api/v1/authority", &json!({ "fourEyes": true })).await.expect(200);
    let task = case.isolate("h1").await;
    let run = format!("/api/v1/tasks/{task}/run");
    let run = case.expert.post(&run, &json!({})).await.expect(200).json();
    let path = format!("/api/v1/actions/{}", run["actions"][0]["id"].as_str().expect("an id"));
    let other = case.face.provider_person("mikkel@fjordwatch.example", Role::Expert).await;
    let wanted = json!({ "tenantId": case.face.world.tenant.id, "level": "operator",
                         "reason": "to approve", "hours": 1 });
    other.post("/api/v1/access", &wanted).await.expect(201);
    let may = other.get(&path).await.expect(200).json()["may"]["approve"].clone();
    assert_eq!(may["allowed"], true, "{may}");
    case.ida
        .post("/api/v1/exclusions", &json!({ "kind": "device", "name": "h1" }))
        .await
        .expect(201);
    let may = other.get(&path).await.expect(200).json()["may"]["approve"].clone();
    assert_eq!(may["because"], "the device h1 is excluded");
    let own = case.ida.get(&path).await.expect(200).json()["may"]["approve"].clone();
    assert_eq!(own["allowed"], true, "the customer is not held back");
}

#[tokio::test]
async fn actions_are_listed_in_either_direction() {
    let case = case("operator").await;
    let mut h1 = Robot::enrol(&case.face, "h1").await;
    for kind in ["collectInvestigationPackage", "isolateDevice", "unIsolateDevice"] {
        act(&case, &mut h1, &json!({ "actionType": kind, "comment": "x" })).await;
    }
    let kinds = async |query: &str| -> Vec<String> {
        let list = case.ida.get(&format!("/api/v1/actions{query}")).await.expect(200).json();
        let all = list["value"].as_array().expect("a list").iter();
        all.map(|it| it["kind"].as_str().expect("a kind").to_owned()).collect()
    };
    let newest = ["unIsolateDevice", "isolateDevice", "collectInvestigationPackage"];
    let oldest: Vec<&str> = newest.into_iter().rev().collect();
    assert_eq!(kinds("").await, newest);
    assert_eq!(kinds("?order=requested&direction=desc").await, newest);
    assert_eq!(kinds("?order=requested&direction=asc").await, oldest);
    assert_eq!(kinds("?order=title").await, oldest);
    assert_eq!(kinds("?order=title&direction=desc").await, newest);
    case.ida.get("/api/v1/actions?direction=up").await.expect(400);
}

#[tokio::test]
async fn a_comment_whose_answer_was_lost_is_made_once() {
    let case = case("operator").await;
    let world = &case.face.world;
    let caller = world.customer();
    let id = case.incident.parse().expect("an id");
    let said = world.rows("select id from alert order by id limit 1").await[0];
    for (key, dies) in [("i", true), ("i", false), ("a", true), ("a", false)] {
        let mut headers = axum::http::HeaderMap::new();
        headers.insert("idempotency-key", key.parse().expect("a value"));
        let (app, who) = (world.app.clone(), caller.clone());
        let work = move |made: Option<String>| async move {
            if made.is_none() {
                let text = vec!["We look.".to_owned()];
                if key == "i" {
                    incident::comment(&app, &who, id, text).await?;
                } else {
                    let alert = format!("al{said}").parse().expect("an id");
                    change::comment(&app, &who, alert, text).await?;
                }
            }
            assert!(!dies, "the process ends here");
            Ok(json_response(axum::http::StatusCode::OK, &json!(made)))
        };
        // Who died is taken over once nobody has heard of it.
        world.app.clock.advance_seconds(11);
        let answer = once_made(&world.app, &caller, &headers, &[b"POST"], work).await;
        assert_eq!(answer.is_err() || answer.is_ok_and(|it| it.status() == 500), dies, "{key}");
    }
    assert_eq!(world.rows("select count(*) from comment").await, [2]);
}
