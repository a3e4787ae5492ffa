//! Mail rules (NOT-9, NOT-10) and the whole response in a mail (NOT-4): which mails go out, how often,
//! to whom, and that nothing is lost or told twice.

use riposte::asset;
use riposte::notification::engine::{self, Ways};
use riposte::permission::Role;
use serde_json::{Value, json};

use crate::notification::{Post, header, post};
use crate::response::Robot;
use crate::world::alert;

const RULES: &str = "/api/v1/mail-rules";

fn to(addresses: &[&str]) -> Value {
    addresses.iter().map(|it| json!({ "email": it })).collect()
}

fn rule(when: &Value, addresses: &[&str]) -> Value {
    json!({ "name": "Night watch", "when": when, "recipients": to(addresses) })
}

impl Post {
    async fn rule(&self, body: &Value) -> String {
        let it = self.ida().await.post(RULES, body).await.expect(201).json();
        it["id"].as_str().expect("an id").to_owned()
    }

    /// Mails that came since the last look, as address and text.
    async fn news(&self) -> Vec<(String, String)> {
        self.tick().await;
        let mut kept = self.server.kept.lock().expect("kept");
        let all = std::mem::take(&mut *kept);
        drop(kept);
        let text = |data: Vec<u8>| String::from_utf8(data).expect("text").replace("=\r\n", "");
        all.into_iter().map(|it| (it.to.join(","), text(it.data))).collect()
    }

    async fn alerts(&self, alerts: &[Value]) {
        self.case.face.world.alerts(alerts).await;
    }

    fn later(&self, seconds: i64) {
        self.case.face.world.app.clock.advance_seconds(seconds);
    }
}

fn subjects(mails: &[(String, String)]) -> Vec<String> {
    mails.iter().map(|(_, mail)| header(mail, "Subject").expect("a subject")).collect()
}

#[tokio::test]
async fn a_rule_tells_of_incidents_of_its_severities_sources_and_groups_and_of_no_others() {
    let it = post().await;
    it.rule(&rule(&json!({ "about": "incidents", "severities": ["high"] }), &["high@x.example"]))
        .await;
    let experts = json!({
        "about": "incidents",
        "sources": [{ "detection": "microsoftThreatExperts", "severities": ["low"] }],
    });
    it.rule(&rule(&experts, &["experts@x.example"])).await;
    let servers = json!({ "about": "incidents", "deviceGroups": ["Servers"] });
    it.rule(&rule(&servers, &["servers@x.example"])).await;
    let own = json!({ "about": "incidents", "deviceGroups": ["kiosks"] });
    it.rule(&rule(&own, &["kiosks@x.example"])).await;
    let off = json!({
        "name": "Off", "when": { "about": "incidents" }, "recipients": to(&["off@x.example"]),
        "on": false,
    });
    it.rule(&off).await;
    assert_eq!(it.news().await, [], "what was there before is no news");

    // Of medium severity and of an endpoint: of none of them.
    it.alerts(&[alert("b", "plain", "ben", 10)]).await;
    assert_eq!(it.news().await, []);
    let mut high = alert("c", "c1", "cara", 20);
    high["severity"] = json!("high");
    let mut found = alert("d", "d1", "dan", 30);
    (found["severity"], found["detectionSource"]) = (json!("low"), json!("microsoftThreatExperts"));
    let mut grouped = alert("e", "e1", "eva", 40);
    grouped["evidence"][0]["rbacGroupName"] = json!("servers");
    // A device of ours knows its own groups, whatever the alert says.
    let face = &it.case.face;
    Robot::enrol(face, "f1").await;
    let ida = it.ida().await;
    let devices = ida.get("/api/v1/devices").await.expect(200).json();
    let f1 = devices["value"].as_array().expect("devices").iter().find(|it| it["name"] == "f1");
    let path = format!("/api/v1/devices/{}", f1.expect("f1")["id"].as_str().expect("an id"));
    ida.patch(&path, &json!({ "groups": ["Kiosks"] })).await.expect(200);
    it.alerts(&[high, found, grouped, alert("f", "f1", "finn", 50)]).await;
    let news = it.news().await;
    let mut who: Vec<&str> = news.iter().map(|(to, _)| to.as_str()).collect();
    who.sort_unstable();
    assert_eq!(
        who,
        ["experts@x.example", "high@x.example", "kiosks@x.example", "servers@x.example"]
    );
    let (_, mail) = news.iter().find(|(to, _)| to.starts_with("high")).expect("one");
    assert!(header(mail, "Subject").expect("one").starts_with("Incident "), "{mail}");
    assert!(mail.contains("Night watch") && mail.contains("severity: high"), "{mail}");
    assert!(mail.contains("/incidents/") && !mail.contains("tid=3D"), "{mail}");
    assert!(header(mail, "Reply-To").is_none(), "a rule's mail takes no answer");
    assert_eq!(it.news().await, [], "once each");
}

#[tokio::test]
async fn updates_are_told_together_after_ten_minutes_and_once_is_once() {
    let it = post().await;
    let every = json!({ "about": "incidents" });
    it.rule(&rule(&every, &["every@x.example"])).await;
    let once = json!({ "about": "incidents", "oncePerIncident": true });
    it.rule(&rule(&once, &["once@x.example"])).await;
    it.alerts(&[alert("b", "b1", "ben", 10)]).await;
    assert_eq!(it.news().await.len(), 2);
    // Three updates within ten minutes: new alerts, another severity, another status.
    it.alerts(&[alert("c", "b1", "ben", 11)]).await;
    let mut grave = alert("d", "b1", "ben", 12);
    grave["severity"] = json!("high");
    it.alerts(&[grave]).await;
    assert_eq!(it.news().await, [], "not yet");
    it.later(300);
    let ida = it.ida().await;
    let queue = ida.get("/api/v1/incidents?top=50").await.expect(200).json();
    let all = queue["value"].as_array().expect("incidents");
    let id = all.iter().filter_map(|it| it["id"].as_str()).find(|id| *id != it.case.incident);
    let path = format!("/api/v1/incidents/{}", id.expect("the other one"));
    ida.patch(&path, &json!({ "status": "inProgress" })).await.expect(200);
    assert_eq!(it.news().await, [], "five minutes");
    it.later(299);
    assert_eq!(it.news().await, [], "one second too early");
    it.later(1);
    let news = it.news().await;
    assert_eq!(news.len(), 1, "{:?}", subjects(&news));
    let (to, mail) = &news[0];
    assert_eq!(to, "every@x.example");
    assert!(header(mail, "Subject").expect("one").starts_with("Update of incident "), "{mail}");
    for said in ["New alerts: 2.", "was medium and is now high", "was new and is now in progress"] {
        assert!(mail.contains(said), "{said}: {mail}");
    }
    // What came and went is no update.
    it.later(3_600);
    let ida = it.ida().await;
    ida.patch(&path, &json!({ "status": "resolved" })).await.expect(200);
    let resolved = it.news().await;
    assert_eq!(subjects(&resolved).len(), 1, "the status, at once: ten minutes are over");
    it.later(60);
    let ida = it.ida().await;
    ida.patch(&path, &json!({ "status": "inProgress" })).await.expect(200);
    it.tick().await;
    ida.patch(&path, &json!({ "status": "resolved" })).await.expect(200);
    it.tick().await;
    it.later(7_200);
    assert_eq!(it.news().await, [], "it is as it was told");
}

#[tokio::test]
async fn the_subject_and_the_link_say_whose_it_is_where_the_rule_wants_it() {
    let it = post().await;
    let body = json!({
        "name": "Ours", "when": { "about": "incidents" }, "organisationName": true,
        "tenantLink": true,
        "recipients": [{ "email": "Soc@X.example", "language": "es" }],
    });
    let id = it.rule(&body).await;
    it.alerts(&[alert("b", "b1", "ben", 10)]).await;
    let news = it.news().await;
    let (to, mail) = &news[0];
    assert_eq!(to, "soc@x.example");
    assert_eq!(header(mail, "To").as_deref(), Some("soc@x.example"), "nobody's name is made up");
    let subject = header(mail, "Subject").expect("one");
    assert!(subject.starts_with("Alder Freight: Incidente "), "{subject}");
    let tenant = &it.case.face.world.tenant.id;
    assert!(mail.contains(&format!("?tid=3D{tenant}")), "{mail}");
    // The test says of which rule it is, in the receiver's language.
    let ida = it.ida().await;
    let sent = ida.post(&format!("{RULES}/{id}/test"), &json!({})).await.expect(202).json();
    let news = it.news().await;
    assert_eq!((news.len(), news[0].0.as_str()), (1, "soc@x.example"));
    assert!(
        news[0].1.contains("Esto es una prueba") && news[0].1.contains("Ours"),
        "{}",
        news[0].1
    );
    let delivery = sent["deliveryIds"][0].as_str().expect("an id");
    let path = format!("/api/v1/deliveries/{delivery}");
    assert_eq!(ida.get(&path).await.expect(200).json()["state"], "delivered");
}

#[tokio::test]
async fn a_rule_tells_of_actions_by_origin_kind_group_and_outcome() {
    let it = post().await;
    let (face, case) = (&it.case.face, &it.case);
    let world = &face.world;
    let mut h1 = Robot::enrol(face, "h1").await;
    let ida = it.ida().await;
    let h1_id = h1.device(world).await.id;
    let group = json!({ "groups": ["Servers"] });
    ida.patch(&format!("/api/v1/devices/{h1_id}"), &group).await.expect(200);
    for (name, more) in [
        ("any", json!({})),
        ("done", json!({ "outcomes": ["completed"], "actions": ["isolateDevice"] })),
        ("failed", json!({ "outcomes": ["failed"] })),
        ("automated", json!({ "origins": ["automated"] })),
        ("manual", json!({ "origins": ["manual"], "deviceGroups": ["servers"] })),
        ("others", json!({ "deviceGroups": ["laptops"] })),
        ("users", json!({ "actions": ["disableUser"] })),
    ] {
        let mut when = json!({ "about": "actions" });
        for (member, value) in more.as_object().into_iter().flatten() {
            when[member] = value.clone();
        }
        it.rule(&rule(&when, &[&format!("{name}@x.example")])).await;
    }
    let task = case.isolate("h1").await;
    case.publish().await;
    it.ida().await.post(&format!("/api/v1/tasks/{task}/run"), &json!({})).await.expect(200);
    assert_eq!(h1.turn(world).await, 1);
    let news = it.news().await;
    let mut who: Vec<&str> = news.iter().map(|(to, _)| to.as_str()).collect();
    who.sort_unstable();
    assert_eq!(who, ["any@x.example", "done@x.example", "manual@x.example"]);
    let (_, mail) = &news[0];
    let subject = header(mail, "Subject").expect("one");
    assert_eq!(subject, "Isolate device on h1: completed");
    assert!(mail.contains(&format!("incident {}", case.incident)), "{mail}");
    assert_eq!(it.news().await, [], "an action ends once");

    // What never reached its device failed; what somebody took back did not.
    let body = json!({ "actionType": "unIsolateDevice", "comment": "Back to work." });
    let path = format!("/api/v1/devices/{h1_id}/actions");
    it.ida().await.post(&path, &body).await.expect(201);
    it.later(40 * 86_400);
    riposte::response::engine::watch(&world.app).await.expect("a look");
    let news = it.news().await;
    let mut who: Vec<&str> = news.iter().map(|(to, _)| to.as_str()).collect();
    who.sort_unstable();
    assert_eq!(who, ["any@x.example", "failed@x.example", "manual@x.example"], "{news:?}");
    assert!(
        subjects(&news).iter().all(|it| it.ends_with("on h1: failed")),
        "{:?}",
        subjects(&news)
    );
    let known = asset::find_named(&world.app, world.tenant.no, "h1").await.expect("a look");
    assert!(known.is_some(), "the device is still there");
}

#[tokio::test]
async fn actions_that_end_together_are_one_mail() {
    let it = post().await;
    let world = &it.case.face.world;
    let mut h1 = Robot::enrol(&it.case.face, "h1").await;
    let mut h2 = Robot::enrol(&it.case.face, "h2").await;
    it.rule(&rule(&json!({ "about": "actions" }), &["soc@x.example"])).await;
    let tasks = [it.case.isolate("h1").await, it.case.isolate("h2").await];
    it.case.publish().await;
    for task in &tasks {
        it.ida().await.post(&format!("/api/v1/tasks/{task}/run"), &json!({})).await.expect(200);
    }
    h1.turn(world).await;
    h2.turn(world).await;
    let news = it.news().await;
    assert_eq!(subjects(&news), ["2 response actions have ended"]);
    for said in ["Isolate device on h1: completed", "Isolate device on h2: completed"] {
        assert!(news[0].1.contains(said), "{}", news[0].1);
    }
}

#[tokio::test]
async fn two_processes_and_a_crash_before_the_mail_tell_once() {
    let it = post().await;
    it.rule(&rule(&json!({ "about": "incidents" }), &["soc@x.example"])).await;
    // What was noted with the fact is there for whoever comes next.
    it.alerts(&[alert("b", "b1", "ben", 10), alert("c", "c1", "cara", 400)]).await;
    let world = &it.case.face.world;
    let waiting = "select count(*) from unruled";
    assert_eq!(world.rows(waiting).await, [2]);
    let replica = world.replica();
    let ways = Ways::open(&replica).expect("ways");
    let own = Ways::open(&world.app).expect("ways");
    for _ in 0..3 {
        let (one, two) =
            tokio::join!(engine::tick(&world.app, &own), engine::tick(&replica, &ways));
        one.and(two).expect("a round");
    }
    assert_eq!(it.news().await.len(), 2, "two incidents, one mail each");
    assert_eq!(world.rows(waiting).await, [0]);
    // Where no rule is on, nothing is noted.
    let ida = it.ida().await;
    let rules = ida.get(RULES).await.expect(200).json();
    let path = format!("{RULES}/{}", rules["value"][0]["id"].as_str().expect("an id"));
    ida.patch(&path, &json!({ "on": false })).await.expect(200);
    it.alerts(&[alert("d", "d1", "dan", 800)]).await;
    assert_eq!(world.rows(waiting).await, [0]);
    assert_eq!(it.news().await, []);
}

#[tokio::test]
async fn a_removed_rule_is_silent_and_one_taken_back_knows_what_it_has_told() {
    let it = post().await;
    let once = json!({ "about": "incidents", "oncePerIncident": true });
    let id = it.rule(&rule(&once, &["soc@x.example"])).await;
    it.alerts(&[alert("b", "b1", "ben", 10)]).await;
    assert_eq!(it.news().await.len(), 1);
    let ida = it.ida().await;
    let path = format!("{RULES}/{id}");
    ida.delete(&path).await.expect(204);
    ida.delete(&path).await.expect(404);
    ida.post(&format!("{path}/test"), &json!({})).await.expect(404);
    it.alerts(&[alert("c", "c1", "cara", 400)]).await;
    assert_eq!(it.news().await, []);
    ida.post(&format!("{path}/restore"), &json!({})).await.expect(200);
    ida.post(&format!("{path}/restore"), &json!({})).await.expect(200);
    it.later(3_600);
    it.alerts(&[alert("d", "b1", "ben", 12)]).await;
    assert_eq!(it.news().await, [], "it has told of this one");
    it.alerts(&[alert("e", "e1", "eva", 800)]).await;
    assert_eq!(it.news().await.len(), 1);
    let mut facts = Vec::new();
    let sql = "select kind from event where tenant_no = $1 and kind like 'mailRule.%' \
               order by position";
    let tenant = it.case.face.world.tenant.no;
    let scope = it.case.face.world.app.db.of(tenant);
    for row in scope.query(sql, vec![tenant.0.into()]).await.expect("events") {
        facts.push(riposte::db::column::<String>(&row, 0).expect("a kind"));
    }
    assert_eq!(facts, ["mailRule.added", "mailRule.removed", "mailRule.restored"]);
}

#[tokio::test]
async fn rules_are_the_administrators_business_and_what_cannot_be_meant_is_refused() {
    let it = post().await;
    let id = it.rule(&rule(&json!({ "about": "incidents" }), &["soc@x.example"])).await;
    let path = format!("{RULES}/{id}");
    let face = &it.case.face;
    let reader = face.person(&face.world.tenant.id, "r@alder.example", Role::SecurityReader).await;
    let list = reader.get(RULES).await.expect(200).json();
    assert_eq!(list["value"][0]["name"], "Night watch");
    assert_eq!(list["may"]["change"]["allowed"], false);
    let sources = list["choices"]["detectionSources"].as_array().expect("sources");
    assert!(sources.contains(&json!("microsoftThreatExperts")), "{sources:?}");
    reader.patch(&path, &json!({ "on": false })).await.expect(403);
    reader.post(&format!("{path}/test"), &json!({})).await.expect(403);
    let other =
        face.person(&face.world.other.id, "o@norrland.example", Role::SecurityAdministrator).await;
    assert_eq!(other.get(RULES).await.expect(200).json()["value"], json!([]));
    other.patch(&path, &json!({ "on": false })).await.expect(404);
    other.delete(&path).await.expect(404);
    other.post(&format!("{path}/restore"), &json!({})).await.expect(404);
    let ida = it.ida().await;
    let actions = json!({ "when": { "about": "actions" } });
    ida.patch(&path, &actions).await.expect(409);
    for bad in [
        rule(&json!({ "about": "incidents", "severities": ["grave"] }), &["a@x.example"]),
        rule(&json!({ "about": "incidents", "actions": [] }), &["a@x.example"]),
        rule(&json!({ "about": "actions", "actions": ["text"] }), &["a@x.example"]),
        rule(&json!({ "about": "incidents" }), &[]),
        rule(&json!({ "about": "incidents" }), &["a@x.example", "A@x.example"]),
        rule(&json!({ "about": "incidents" }), &["a@x.example\r\nBcc: odd@evil.example"]),
    ] {
        ida.post(RULES, &bad).await.expect(400);
    }
    let renamed = json!({ "name": "x", "organisationName": true });
    let changed = ida.patch(&path, &renamed).await.expect(200).json();
    assert_eq!((&changed["name"], &changed["organisationName"]), (&json!("x"), &json!(true)));
    assert_eq!(changed["recipients"][0]["email"], "soc@x.example", "what is absent stays");
}

#[tokio::test]
async fn a_recipient_that_refuses_every_mail_makes_no_mails_to_others() {
    let it = post().await;
    it.contact("Ida Berg", json!({})).await;
    it.contact("Duty", json!({ "priority": "backup" })).await;
    it.news().await;
    it.rule(&rule(&json!({ "about": "incidents" }), &["gone@x.example"])).await;
    it.alerts(&[alert("b", "b1", "ben", 10)]).await;
    it.refuse("550 5.1.1 no such user");
    assert_eq!(it.news().await, []);
    assert_eq!(it.news().await, [], "contacts are told of what concerns them anyway");
    assert_eq!(it.deliveries("state=dead").await.len(), 1);
}

#[tokio::test]
async fn hostile_words_stay_inside_the_mails_of_a_rule() {
    let it = post().await;
    let named = |name: &str| {
        json!({ "name": name, "when": { "about": "incidents" }, "organisationName": true,
                "recipients": to(&["soc@x.example"]) })
    };
    it.ida().await.post(RULES, &named("x\r\nBcc: odd@evil.example")).await.expect(400);
    it.rule(&named("</td><script>alert(1)</script> https://evil.example")).await;
    let mut evil = alert("b", "b1", "ben", 10);
    evil["title"] = json!("x\r\nBcc: odd@evil.example\r\n\r\n<script>alert(2)</script>");
    it.alerts(&[evil]).await;
    let news = it.news().await;
    assert_eq!(news.len(), 1);
    let (_, mail) = &news[0];
    assert!(header(mail, "Bcc").is_none() && !mail.contains("https://evil"), "{mail}");
    let (_, html) = mail.split_once("Content-Type: text/html").expect("a part of HTML");
    assert!(!html.contains("<script") && html.contains("&lt;script"), "{mail}");
}

#[tokio::test]
async fn the_whole_response_is_in_the_mail_where_the_customer_wants_it() {
    let it = post().await;
    it.contact("Ida Berg", json!({})).await;
    it.news().await;
    let settings = "/api/v1/notifications/settings";
    let ida = it.ida().await;
    assert_eq!(ida.get(settings).await.expect(200).json()["wholeResponse"], false);
    let now = ida.put(settings, &json!({ "wholeResponse": true })).await.expect(200).json();
    assert_eq!((&now["wholeResponse"], &now["reminderHours"]), (&json!(true), &json!(4)), "{now}");
    let long = "Wipe it. ".repeat(400);
    for (title, text) in [
        ("Call kari", "Ask what <b>she</b> opened.\nThen https://evil.example/x"),
        ("Rebuild it", long.as_str()),
    ] {
        let task = json!({ "actionType": "text", "displayName": title, "description": text });
        it.case.draft(task).await;
    }
    it.case.isolate("h1").await;
    it.case.publish().await;
    let news = it.news().await;
    assert_eq!(news.len(), 1);
    let (_, mail) = &news[0];
    let (text, html) = mail.split_once("Content-Type: text/html").expect("both parts");
    for part in [text, html] {
        for said in
            ["A loader of the **Grebe** family", "Call kari (for you, waits)", "Isolate device"]
        {
            assert!(part.contains(said), "{said}: {part}");
        }
        assert!(part.contains("Cut here"), "{part}");
        assert!(!part.contains("https://evil") && !part.contains(&long), "{part}");
    }
    assert!(
        text.contains("> Ask what <b>she</b> opened.") && html.contains("&lt;b&gt;she"),
        "{mail}"
    );
    assert!(!html.contains("<b>she"), "{html}");
    let links = html.matches("href=").count();
    assert_eq!(links, 1, "one link, to the incident");
    // Programs are not sent it, and without the setting nobody is.
    let ida = it.ida().await;
    ida.put(settings, &json!({ "reminderHours": 2 })).await.expect(200);
    let now = ida.get(settings).await.expect(200).json();
    assert_eq!((&now["wholeResponse"], &now["reminderHours"]), (&json!(true), &json!(2)), "{now}");
    ida.put(settings, &json!({ "wholeResponse": false })).await.expect(200);
    it.case.draft(json!({ "actionType": "text", "displayName": "One more" })).await;
    it.case.publish().await;
    let news = it.news().await;
    assert!(news[0].1.contains("One more") && !news[0].1.contains("Grebe"), "{}", news[0].1);
}
