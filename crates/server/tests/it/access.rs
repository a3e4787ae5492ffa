//! The customer's grant and just-in-time access (PER-2..4): what an expert sees, may enter, and how
//! fast it ends.

use std::time::Duration;

use http_body_util::BodyExt;
use riposte::permission::Role;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::browser::Browser;
use crate::face::Face;
use crate::world::alert;

struct Stage {
    face: Face,
    ida: Browser,
    signe: Browser,
    mikkel: Browser,
    incident: String,
}

fn grant(level: &str, approval: &str) -> Value {
    json!({ "level": level, "approval": approval, "endDateTime": null })
}

/// A customer with one incident, its administrator, an expert and a lead.
async fn stage(approval: &str) -> Stage {
    let face = Face::new().await;
    face.world.alerts(&[alert("a", "h1", "u1", 0)]).await;
    let tenant = face.world.tenant.id.clone();
    let ida = face.person(&tenant, "ida@alder.example", Role::SecurityAdministrator).await;
    let signe = face.provider_person("signe@fjordwatch.example", Role::Expert).await;
    let mikkel = face.provider_person("mikkel@fjordwatch.example", Role::Lead).await;
    ida.put("/api/v1/grant", &grant("reader", approval)).await.expect(200);
    let queue = signe.get("/api/v1/incidents").await.expect(200).json();
    let incident = queue["value"][0]["id"].as_str().expect("an incident").to_owned();
    Stage { face, ida, signe, mikkel, incident }
}

impl Stage {
    fn wanted(&self, level: &str) -> Value {
        json!({
            "tenantId": self.face.world.tenant.id,
            "incidentId": self.incident,
            "level": level,
            "reason": "Credential theft on h1; need the device timeline.",
            "hours": 4,
        })
    }

    async fn ask(&self) -> String {
        let asked = self.signe.post("/api/v1/access", &self.wanted("reader")).await.expect(201);
        asked.json()["id"].as_str().expect("an id").to_owned()
    }

    fn path(&self, more: &str) -> String {
        format!("/api/v1/incidents/{}{more}", self.incident)
    }

    async fn decide(&self, who: &Browser, id: &str, what: &str) -> crate::face::Reply {
        who.post(&format!("/api/v1/access/{id}/{what}"), &json!({})).await
    }
}

#[tokio::test]
async fn a_grant_shows_the_queue_and_access_opens_the_incident() {
    let stage = stage("lead").await;
    let Stage { signe, mikkel, ida, .. } = &stage;
    let row = signe.get(&stage.path("")).await.expect(200).json();
    assert_eq!(row["may"]["open"]["allowed"], false);
    assert!(row.get("entities").is_none() && row.get("comments").is_none(), "{row}");
    for path in ["/alerts", "/timeline", "/similar", "/graph"] {
        let refused = signe.get(&stage.path(path)).await.expect(403).json();
        assert_eq!(refused["error"]["code"], "AccessRequired", "{path}");
    }
    signe.post(&stage.path("/start"), &json!({})).await.expect(403);
    signe.get(&format!("/v1.0/security/incidents/{}", stage.incident)).await.expect(403);
    let graph = signe.get("/v1.0/security/incidents").await.expect(200).json();
    assert_eq!(graph["value"].as_array().map(Vec::len), Some(0), "not inside");

    let id = stage.ask().await;
    signe.post("/api/v1/access", &stage.wanted("reader")).await.expect(409);
    stage.decide(signe, &id, "approve").await.expect(403);
    let running = stage.decide(mikkel, &id, "approve").await.expect(200).json();
    assert_eq!(running["state"], "approved");
    stage.decide(mikkel, &id, "approve").await.expect(409);
    let seen = signe.get(&stage.path("")).await.expect(200).json();
    assert_eq!(seen["may"]["start"]["allowed"], true);
    assert!(!seen["entities"].as_array().unwrap().is_empty());
    signe.post(&stage.path("/start"), &json!({})).await.expect(200);
    let found = json!({
        "classification": "falsePositive", "determination": "notMalicious",
        "summary": "The deployment tool; signed by its maker.",
    });
    let done = signe.post(&stage.path("/conclude"), &found).await.expect(200).json();
    assert_eq!(done["status"], "resolved");
    // The lead approves, and is not inside for it.
    mikkel.get(&stage.path("/alerts")).await.expect(403);

    // The customer sees every step, in the incident's log and in its list.
    let log = ida.get(&stage.path("/timeline")).await.expect(200).json();
    let kinds: Vec<&str> =
        log["value"].as_array().unwrap().iter().map(|it| it["kind"].as_str().unwrap()).collect();
    for kind in ["access.requested", "access.approved", "incident.started", "incident.concluded"] {
        assert!(kinds.contains(&kind), "{kind}: {kinds:?}");
    }
    let list = ida.get("/api/v1/access?state=open").await.expect(200).json();
    assert_eq!(list["value"][0]["person"]["email"], "signe@fjordwatch.example");
    assert_eq!(list["value"][0]["decidedBy"], "mikkel@fjordwatch.example");
}

#[tokio::test]
async fn access_ends_by_itself_with_the_grant_and_by_hand() {
    let stage = stage("lead").await;
    let Stage { signe, mikkel, ida, face, .. } = &stage;
    let inside = async || signe.get(&stage.path("/alerts")).await.status.as_u16();
    let id = stage.ask().await;
    stage.decide(mikkel, &id, "approve").await.expect(200);
    assert_eq!(inside().await, 200);
    // Its hours are over.
    for _ in 0..16 {
        face.world.app.clock.advance_seconds(15 * 60);
        let _ = inside().await;
    }
    assert_eq!(inside().await, 403);
    let list = ida.get("/api/v1/access").await;
    assert_eq!(list.status, 401, "the administrator was idle for long");
    face.world.app.clock.advance_seconds(30);
    ida.sign_in(&face.world, "ida@alder.example").await.expect(200);
    mikkel.sign_in(&face.world, "mikkel@fjordwatch.example").await.expect(200);
    let list = ida.get("/api/v1/access").await.expect(200).json();
    assert_eq!(list["value"][0]["state"], "expired");
    // The customer ends it.
    let id = stage.ask().await;
    stage.decide(mikkel, &id, "approve").await.expect(200);
    assert_eq!(inside().await, 200);
    let because = json!({ "because": "We take it from here." });
    ida.post(&format!("/api/v1/access/{id}/revoke"), &because).await.expect(200);
    assert_eq!(inside().await, 403);
    // The grant ends, and so does what runs under it.
    let id = stage.ask().await;
    stage.decide(mikkel, &id, "approve").await.expect(200);
    ida.put("/api/v1/grant", &grant("none", "lead")).await.expect(200);
    assert_eq!(inside().await, 404);
    let queue = signe.get("/api/v1/incidents").await.expect(200).json();
    assert!(queue["value"].as_array().unwrap().is_empty());
    signe.get(&stage.path("")).await.expect(404);
    signe.post("/api/v1/access", &stage.wanted("reader")).await.expect(404);
    // Given anew, it revives nothing.
    ida.put("/api/v1/grant", &grant("reader", "lead")).await.expect(200);
    assert_eq!(inside().await, 403);
    let list = ida.get("/api/v1/access").await.expect(200).json();
    assert_eq!(list["value"][0]["state"], "revoked");
}

#[tokio::test]
async fn who_approves_is_what_the_grant_says() {
    let stage = stage("customer").await;
    let Stage { signe, mikkel, ida, .. } = &stage;
    let id = stage.ask().await;
    stage.decide(mikkel, &id, "approve").await.expect(403);
    let no = json!({ "because": "Not now." });
    let denied = ida.post(&format!("/api/v1/access/{id}/deny"), &no).await.expect(200).json();
    assert_eq!((&denied["state"], &denied["decidedBecause"]), (&json!("denied"), &no["because"]));
    let id = stage.ask().await;
    stage.decide(ida, &id, "approve").await.expect(200);
    signe.get(&stage.path("/alerts")).await.expect(200);
    stage.decide(signe, &id, "revoke").await.expect(200);

    ida.put("/api/v1/grant", &grant("reader", "automatic")).await.expect(200);
    let asked = signe.post("/api/v1/access", &stage.wanted("reader")).await.expect(201).json();
    assert_eq!(asked["state"], "approved");
    signe.get(&stage.path("/alerts")).await.expect(200);
}

#[tokio::test]
async fn a_request_goes_no_further_than_the_grant() {
    let stage = stage("lead").await;
    let Stage { signe, .. } = &stage;
    signe.post("/api/v1/access", &stage.wanted("operator")).await.expect(403);
    for (member, value) in [
        ("hours", json!(9)),
        ("hours", json!(0)),
        ("reason", json!("why")),
        ("level", json!("none")),
        ("more", json!(1)),
    ] {
        let mut wanted = stage.wanted("reader");
        wanted[member] = value;
        signe.post("/api/v1/access", &wanted).await.expect(400);
    }
    let mut wanted = stage.wanted("reader");
    wanted["incidentId"] = json!("999999");
    signe.post("/api/v1/access", &wanted).await.expect(404);
    wanted["tenantId"] = json!(stage.face.world.other.id);
    signe.post("/api/v1/access", &wanted).await.expect(404);
    let id = stage.ask().await;
    stage.decide(signe, &id, "withdraw").await.expect(200);
    stage.decide(signe, &id, "withdraw").await.expect(409);
}

#[tokio::test]
async fn experts_come_from_the_networks_the_customer_names() {
    let stage = stage("automatic").await;
    let Stage { signe, ida, face, .. } = &stage;
    stage.ask().await;
    signe.get(&stage.path("/alerts")).await.expect(200);
    let mut wanted = grant("reader", "automatic");
    wanted["networks"] = json!(["198.51.100.0/24"]);
    ida.put("/api/v1/grant", &wanted).await.expect(200);
    signe.get(&stage.path("/alerts")).await.expect(404);
    let elsewhere = Browser::new(&face.router).from("198.51.100.7");
    elsewhere.cookie.lock().unwrap().clone_from(&signe.cookie.lock().unwrap());
    elsewhere.get(&stage.path("/alerts")).await.expect(200);
    wanted["networks"] = json!(["everywhere"]);
    ida.put("/api/v1/grant", &wanted).await.expect(400);
}

#[tokio::test]
async fn who_leaves_the_provider_leaves_every_tenant() {
    let stage = stage("automatic").await;
    let Stage { face, ida, signe, .. } = &stage;
    stage.ask().await;
    let odd = face.provider_person("odd@fjordwatch.example", Role::ProviderAdministrator).await;
    // Who looks after the installation sees no case.
    let queue = odd.get("/api/v1/incidents").await;
    queue.expect(403);
    odd.get(&stage.path("")).await.expect(403);
    odd.get("/api/v1/tenants").await.expect(200);
    let people = odd.get("/api/v1/people").await.expect(200).json();
    let signe_id = people["value"]
        .as_array()
        .unwrap()
        .iter()
        .find(|it| it["email"] == "signe@fjordwatch.example")
        .expect("there")["id"]
        .as_str()
        .unwrap()
        .to_owned();
    odd.delete(&format!("/api/v1/people/{signe_id}")).await.expect(204);
    signe.get(&stage.path("")).await.expect(401);
    let list = ida.get("/api/v1/access").await.expect(200).json();
    assert_eq!(list["value"][0]["state"], "revoked");
}

/// Reads a stream until it ends or says `wanted`; gives what came.
async fn until(body: &mut axum::body::Body, wanted: &str, limit: Duration) -> (String, bool) {
    let mut text = String::new();
    let read = async {
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else { return };
            if let Some(data) = frame.data_ref() {
                text.push_str(&String::from_utf8_lossy(data));
            }
            if text.contains(wanted) {
                return;
            }
        }
    };
    let in_time = tokio::time::timeout(limit, read).await.is_ok();
    (text, in_time)
}

#[tokio::test]
async fn an_open_stream_ends_within_a_second_of_the_session_and_follows_the_grant() {
    let stage = stage("automatic").await;
    let Stage { face, ida, signe, .. } = &stage;
    stage.ask().await;
    let request = signe.request("GET", "/api/v1/events", None, &[]);
    let mut body = face.router.clone().oneshot(request).await.expect("an answer").into_body();
    let second = Duration::from_secs(1);
    assert!(until(&mut body, "connected", second).await.1);
    let note = json!({ "comment": "Looking at it." });
    ida.post(&stage.path("/comments"), &note).await.expect(200);
    let (text, _) = until(&mut body, "incident.commented", second).await;
    assert!(text.contains("Looking at it."), "inside, all is told: {text}");

    // Access ends: of the queue only what happened to which incident is told.
    let list = ida.get("/api/v1/access?state=open").await.expect(200).json();
    let id = list["value"][0]["id"].as_str().unwrap();
    stage.decide(ida, id, "revoke").await.expect(200);
    let (text, _) = until(&mut body, "reach.changed", second).await;
    assert!(text.contains("event: reach.changed"), "an open page learns of it: {text}");
    let note = json!({ "comment": "Between us." });
    ida.post(&stage.path("/comments"), &note).await.expect(200);
    let (text, _) = until(&mut body, "incident.commented", second).await;
    assert!(text.contains("incident.commented") && !text.contains("Between us."), "{text}");

    // The grant ends: nothing is told any more.
    ida.put("/api/v1/grant", &grant("none", "lead")).await.expect(200);
    let (text, _) = until(&mut body, "reach.changed", second).await;
    assert!(text.contains("event: reach.changed"), "{text}");
    ida.post(&stage.path("/comments"), &note).await.expect(200);
    let (text, _) = until(&mut body, "incident.commented", second).await;
    assert!(!text.contains("incident.commented"), "{text}");

    // The session ends: so does the stream.
    signe.delete("/api/v1/session").await.expect(204);
    let (_, ended) = until(&mut body, "nothing", second).await;
    assert!(ended, "the stream goes on");
}

#[tokio::test]
async fn an_open_stream_follows_the_role_within_a_second() {
    let stage = stage("automatic").await;
    let Stage { face, ida, mikkel, .. } = &stage;
    let odd = face.provider_person("odd@fjordwatch.example", Role::ProviderAdministrator).await;
    let people = odd.get("/api/v1/people").await.expect(200).json();
    let mut people = people["value"].as_array().expect("people").iter();
    let his = people.find(|it| it["email"] == "mikkel@fjordwatch.example").expect("him");
    let path = format!("/api/v1/people/{}", his["id"].as_str().expect("an id"));
    let request = mikkel.request("GET", "/api/v1/events", None, &[]);
    let mut body = face.router.clone().oneshot(request).await.expect("an answer").into_body();
    let second = Duration::from_secs(1);
    assert!(until(&mut body, "connected", second).await.1);
    let note = json!({ "comment": "Hello." });
    ida.post(&stage.path("/comments"), &note).await.expect(200);
    let (text, _) = until(&mut body, "incident.commented", second).await;
    assert!(text.contains("incident.commented"), "a lead hears of the queue: {text}");

    odd.patch(&path, &json!({ "role": "Provider administrator" })).await.expect(200);
    let (text, _) = until(&mut body, "reach.changed", second).await;
    assert!(text.contains("reach.changed"), "{text}");
    ida.post(&stage.path("/comments"), &note).await.expect(200);
    let (text, _) = until(&mut body, "incident.commented", second).await;
    assert!(!text.contains("incident."), "who sees no case hears of none: {text}");

    odd.patch(&path, &json!({ "disabled": true })).await.expect(200);
    let (_, ended) = until(&mut body, "nothing", second).await;
    assert!(ended, "the stream of who is disabled goes on");
}
