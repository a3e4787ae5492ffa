//! Users as alerts, devices and actions name them, and what is done to their accounts.

use riposte::permission::Role;
use riposte::response::engine;
use serde_json::{Value, json};

use crate::agent::Machine;
use crate::browser::Browser;
use crate::face::Face;
use crate::world::{START, alert};

/// A device with these accounts, whose agent can act on accounts.
async fn device(face: &Face, name: &str, users: &[&str]) -> Machine {
    let tenant = face.world.tenant.id.clone();
    let machine = Machine::enrol(face, &tenant, name, name).await;
    told(&machine, name, users, &[]).await;
    machine
}

async fn told(machine: &Machine, name: &str, users: &[&str], observed: &[Value]) {
    let host = json!({
        "name": name, "machine": name, "os": "Debian", "kernel": "6.1", "architecture": "x86_64",
        "agent": "0.1.0", "can": ["disableUser", "enableUser"], "lacks": [["signOut", "no loginctl"]],
    });
    let users: Vec<Value> = users
        .iter()
        .enumerate()
        .map(|(no, name)| {
            json!({ "name": name, "uid": 1_000 + no, "can_sign_in": *name != "backup",
                    "administrator": *name == "root" })
        })
        .collect();
    let inventory = json!({ "host": host, "users": users });
    machine.report(&json!({ "inventory": inventory, "observed": observed })).await;
}

fn signed_in(user: &str, minutes: i64) -> Value {
    json!({ "at": START + minutes * 60_000_000, "kind": "signedIn", "text": format!("{user} at pts/0"),
            "detail": { "session": { "user": user, "line": "pts/0", "from": "192.0.2.9", "since": 1 },
                        "pid": 7 } })
}

async fn admin(face: &Face) -> Browser {
    face.person(&face.world.tenant.id, "ida@alder.example", Role::SecurityAdministrator).await
}

fn path(face: &Face, name: &str) -> String {
    format!("/api/v1/users/{}/{name}", face.world.tenant.id)
}

fn names(list: &Value) -> Vec<String> {
    let all = list["value"].as_array().expect("a list").iter();
    all.map(|one| one["name"].as_str().expect("a name").to_owned()).collect()
}

#[tokio::test]
async fn a_user_is_what_alerts_devices_and_sign_ins_say() {
    let face = Face::new().await;
    face.world.app.clock.advance_seconds(3_600);
    let ida = admin(&face).await;
    face.world.alerts(&[alert("a", "h1", "kari", 0), alert("b", "h9", "other", 1)]).await;
    let h1 = device(&face, "h1", &["root", "kari", "backup"]).await;
    device(&face, "h2", &["root"]).await;
    told(&h1, "h1", &["root", "kari", "backup"], &[signed_in("kari", 5)]).await;

    let list = ida.get("/api/v1/users").await.expect(200).json();
    let all = ["kari", "kari@alder.example", "other@alder.example", "root"];
    assert_eq!(names(&list), all, "who cannot sign in is no user: {list}");
    assert_eq!(list["count"], 4);
    assert_eq!(list["value"][1]["incidentCount"], 1);
    assert_eq!(list["value"][3]["deviceCount"], 2);
    assert_eq!(list["value"][3]["administrator"], true);
    assert!(list["value"][0]["signedInDateTime"].is_string());
    let found = ida.get("/api/v1/users?search=KARI%40").await.expect(200).json();
    assert_eq!(names(&found), ["kari@alder.example"]);

    let kari = path(&face, "Kari@alder.example");
    let one = ida.get(&kari).await.expect(200).json();
    assert_eq!(one["name"], "kari@alder.example");
    assert_eq!(one["incidentCount"], 1);
    let on = &one["devices"][0];
    assert_eq!((&on["deviceName"], &on["login"]), (&json!("h1"), &json!("kari")));
    assert_eq!(on["sameName"], false, "nobody says that they are one person");
    assert_eq!(on["signedInFrom"], "192.0.2.9");
    assert_eq!(on["can"], json!(["disableUser", "enableUser"]));
    let incidents = ida.get(&format!("{kari}/incidents")).await.expect(200).json();
    assert_eq!(incidents["value"].as_array().map(Vec::len), Some(1));
    let alerts = ida.get(&format!("{kari}/alerts")).await.expect(200).json();
    assert_eq!(alerts["value"].as_array().map(Vec::len), Some(1), "{alerts}");
    assert_eq!(alerts["value"][0]["title"], "Script interpreter fetched a payload");
    let seen = ida.get(&format!("{kari}/timeline")).await.expect(200).json();
    let kinds: Vec<&Value> =
        seen["value"].as_array().expect("a list").iter().map(|it| &it["kind"]).collect();
    assert_eq!(kinds, ["signedIn", "incident"], "{seen}");

    // An account that is gone is no account; that it signed in stays known.
    told(&h1, "h1", &["root"], &[]).await;
    let one = ida.get(&kari).await.expect(200).json();
    assert_eq!(one["devices"][0]["uid"], Value::Null);
    assert_eq!(one["devices"][0]["can"], json!([]));
    assert!(one["devices"][0]["signedInDateTime"].is_string());
    ida.get(&path(&face, "nobody")).await.expect(404);
    ida.get(&path(&face, "backup")).await.expect(404);
}

#[tokio::test]
async fn accounts_on_devices_are_acted_on_each_by_itself_and_once() {
    let face = Face::new().await;
    let ida = admin(&face).await;
    device(&face, "h1", &["root", "kari"]).await;
    device(&face, "h2", &["root"]).await;
    let ids: Vec<Value> = ida.get("/api/v1/devices").await.expect(200).json()["value"]
        .as_array()
        .expect("devices")
        .iter()
        .map(|device| device["id"].clone())
        .collect();
    let acts = format!("{}/actions", path(&face, "kari"));
    let body = json!({ "actionType": "disableUser", "deviceIds": ids, "comment": "It beacons." });
    let key = [("x-riposte", "1"), ("idempotency-key", "one")];
    let told = ida.send("POST", &acts, Some(&body), &key).await.expect(201).json();
    let on = |at: usize| told["value"][at].clone();
    assert!(on(0)["actionId"].is_string(), "{told}");
    assert_eq!(on(1)["actionId"], Value::Null);
    assert_eq!(on(1)["because"], "h2 has no account of that name");
    let again = ida.send("POST", &acts, Some(&body), &key).await.expect(201).json();
    assert_eq!(again, told);
    assert_eq!(face.world.rows("select count(*) from action").await, [1]);

    let actions = format!("/api/v1/actions?user=KARI&tenantId={}", face.world.tenant.id);
    let list = ida.get(&actions).await.expect(200).json();
    assert_eq!(list["count"], 1, "{list}");
    assert_eq!(list["value"][0]["target"]["id"], "kari");
    let none = ida.get("/api/v1/actions?user=root").await.expect(200).json();
    assert_eq!(none["count"], 0);
    let seen = ida.get(&format!("{}/timeline", path(&face, "kari"))).await.expect(200).json();
    assert_eq!(seen["value"][0]["kind"], "action");
    assert_eq!(seen["value"][0]["text"], "Disable user: kari on h1");

    let silent = json!({ "actionType": "disableUser", "deviceIds": [ids[0]], "comment": " " });
    ida.post(&acts, &silent).await.expect(400);
    let only_h2 = json!({ "actionType": "disableUser", "deviceIds": [ids[1]], "comment": "x" });
    ida.post(&acts, &only_h2).await.expect(409);
    let device = json!({ "actionType": "isolateDevice", "deviceIds": ids, "comment": "x" });
    ida.post(&acts, &device).await.expect(400);
    let foreign = json!({ "actionType": "disableUser", "deviceIds": ["nothing"], "comment": "x" });
    ida.post(&acts, &foreign).await.expect(404);
    let nowhere = json!({ "actionType": "disableUser", "comment": "x" });
    ida.post(&acts, &nowhere).await.expect(400);
    let directory = json!({ "actionType": "disableUser", "directory": true, "comment": "x" });
    let refused = ida.post(&acts, &directory).await.expect(409);
    assert!(refused.text.contains("no directory is connected"), "{}", refused.text);
}

#[tokio::test]
async fn an_expert_does_not_act_on_a_user_that_is_excluded() {
    let face = Face::new().await;
    let ida = admin(&face).await;
    device(&face, "h1", &["kari"]).await;
    let grant = json!({ "level": "operator", "approval": "automatic", "endDateTime": null });
    ida.put("/api/v1/grant", &grant).await.expect(200);
    let expert = face.expert().await;
    let kari = path(&face, "kari");
    let device = ida.get(&kari).await.expect(200).json()["devices"][0]["deviceId"].clone();
    let one = expert.get(&kari).await.expect(200).json();
    assert_eq!(one["actions"][0]["may"]["allowed"], true, "{one}");
    let excluded = json!({ "kind": "user", "name": "Kari", "because": "the director" });
    ida.post("/api/v1/exclusions", &excluded).await.expect(201);
    let one = expert.get(&kari).await.expect(200).json();
    assert_eq!(one["excluded"]["because"], "the user Kari is excluded");
    assert_eq!(one["actions"][0]["may"]["because"], "the user Kari is excluded");
    let wanted = json!({ "actionType": "disableUser", "deviceIds": [device], "comment": "x" });
    let refused = expert.post(&format!("{kari}/actions"), &wanted).await.expect(403);
    assert!(refused.text.contains("the user Kari is excluded"), "{}", refused.text);
    let own = ida.get(&kari).await.expect(200).json();
    assert_eq!(own["actions"][0]["may"]["allowed"], true, "the customer is not held back");
    engine::watch(&face.world.app).await.expect("a look");
}

#[tokio::test]
async fn each_way_of_paging_sees_every_entry_of_a_user_once() {
    let face = Face::new().await;
    face.world.app.clock.advance_seconds(86_400);
    let ida = admin(&face).await;
    // One incident of many alerts of which every third names kari.
    let alerts: Vec<Value> = (0..90)
        .map(|n| alert(&n.to_string(), "h1", if n % 3 == 0 { "kari" } else { "ola" }, 0))
        .collect();
    face.world.alerts(&alerts).await;
    let h1 = device(&face, "h1", &["kari"]).await;
    // Several at the very same moment.
    let seen: Vec<Value> = (0..25)
        .map(|n| {
            let mut one = signed_in("kari", n / 10);
            one["text"] = json!(format!("{n}"));
            one
        })
        .collect();
    told(&h1, "h1", &["kari"], &seen).await;
    let kari = path(&face, "kari@alder.example");
    for (list, wanted) in [("alerts", 30), ("timeline", 26), ("incidents", 1)] {
        let mut found = Vec::new();
        let mut cursor = String::new();
        for turn in 0.. {
            assert!(turn < 60, "{list} does not end");
            let page = format!("{kari}/{list}?top=7{cursor}");
            let page = ida.get(&page).await.expect(200).json();
            let value = page["value"].as_array().expect("a list");
            assert!(value.len() <= 7);
            found.extend(value.iter().map(ToString::to_string));
            let Some(next) = page["nextCursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        let all = found.len();
        found.sort();
        found.dedup();
        assert_eq!((all, found.len()), (wanted, wanted), "{list}");
    }
    for bad in ["x", "1.y", "1"] {
        ida.get(&format!("{kari}/timeline?cursor={bad}")).await.expect(400);
    }
    let first = ida.get("/api/v1/users?top=1").await.expect(200).json();
    let next = first["nextCursor"].as_str().expect("more");
    let rest = ida.get(&format!("/api/v1/users?cursor={next}")).await.expect(200).json();
    assert_eq!(names(&first), ["kari"]);
    assert_eq!(names(&rest), ["kari@alder.example", "ola@alder.example"]);
}
