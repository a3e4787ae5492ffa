//! Signing in, sessions, people and their roles (PER-6, quality: ASVS 6, 7).

use riposte::permission::Role;
use riposte::tenant::{self, Side};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::browser::{Browser, PASSWORD};
use crate::face::Face;

const IDA: &str = "ida@alder.example";

async fn administrator(face: &Face) -> Browser {
    face.person(&face.world.tenant.id, IDA, Role::SecurityAdministrator).await
}

#[tokio::test]
async fn a_set_up_link_works_once_and_for_an_hour() {
    let face = Face::new().await;
    let world = &face.world;
    let invited = tenant::add_person(
        &world.app,
        Side::Tenant(&world.tenant.id),
        " Ida@Alder.example",
        "security administrator",
    )
    .await
    .expect("an invitation");
    let token = invited.setup_url.split_once("/setup#").expect("a link").1.to_owned();
    let browser = Browser::new(&face.router);
    let look = json!({ "token": token });
    let shown = browser.post("/api/v1/setup/look", &look).await.expect(200).json();
    assert_eq!(
        (&shown["email"], &shown["organisation"], &shown["role"], &shown["side"]),
        (
            &json!(IDA),
            &json!("Alder Freight"),
            &json!("Security Administrator"),
            &json!("customer")
        )
    );
    let weak = json!({ "token": token, "name": "Ida", "password": "alderfreight2026" });
    browser.post("/api/v1/setup/password", &weak).await.expect(400);
    let done = browser.set_up(world, &invited.setup_url, "Ida Berg").await;
    assert_eq!(done["recoveryCodes"].as_array().map(Vec::len), Some(10));
    assert_eq!((&done["person"]["name"], &done["role"]), (&json!("Ida Berg"), &shown["role"]));
    browser.get("/api/v1/session").await.expect(200);
    let stranger = Browser::new(&face.router);
    stranger.post("/api/v1/setup/look", &look).await.expect(404);
    let again = json!({ "token": token, "name": "Eve", "password": PASSWORD });
    stranger.post("/api/v1/setup/password", &again).await.expect(404);

    let late = tenant::add_person(&world.app, Side::Provider, "late@fjordwatch.example", "Lead");
    let late = late.await.expect("an invitation").setup_url;
    world.app.clock.advance_seconds(3_600);
    let look = json!({ "token": late.split_once('#').expect("a link").1 });
    stranger.post("/api/v1/setup/look", &look).await.expect(404);
}

#[tokio::test]
async fn the_first_link_of_an_installation_makes_its_administrator() {
    let bare = crate::world::bare().await;
    let (_, url) = tenant::init(&bare.app, "Fjordwatch", "lead@fjordwatch.example").await.unwrap();
    let token = url.split_once("/setup#").expect("a link").1;
    let invited = riposte::person::setup::look(&bare.app, token).await.expect("valid");
    assert_eq!(invited.organisation_name, "Fjordwatch");
    assert_eq!(invited.role, "Provider administrator");
}

#[tokio::test]
async fn two_factors_open_a_session_and_a_code_counts_once() {
    let face = Face::new().await;
    let world = &face.world;
    let first = administrator(&face).await;
    let session = first.get("/api/v1/session").await.expect(200).json();
    assert_eq!(session["organisation"]["name"], "Alder Freight");
    assert!(session["permissions"].as_array().unwrap().contains(&json!("Grant.ReadWrite")));
    // The code that confirmed the app is used; the next one is not.
    let again = Browser::new(&face.router);
    again.secret.lock().unwrap().clone_from(&first.secret.lock().unwrap());
    again.sign_in(world, IDA).await.expect(401);
    world.app.clock.advance_seconds(30);
    again.sign_in(world, &IDA.to_uppercase()).await.expect(200);
    assert_ne!(*first.cookie.lock().unwrap(), *again.cookie.lock().unwrap());
    // A password alone opens nothing.
    let half = Browser::new(&face.router);
    let body = json!({ "email": IDA, "password": PASSWORD });
    let reply = half.post("/api/v1/sign-in/password", &body).await.expect(200);
    assert!(reply.headers.get("set-cookie").is_none());
    half.get("/api/v1/session").await.expect(401);
}

#[tokio::test]
async fn a_recovery_code_counts_once() {
    let face = Face::new().await;
    let world = &face.world;
    let invited = tenant::add_person(&world.app, Side::Provider, "a@b.example", "Expert").await;
    let browser = Browser::new(&face.router);
    let done = browser.set_up(world, &invited.unwrap().setup_url, "A").await;
    let code = done["recoveryCodes"][3].as_str().expect("a code").to_uppercase();
    let sign_in = async || {
        let other = Browser::new(&face.router);
        let body = json!({ "email": "a@b.example", "password": PASSWORD });
        let flow = other.post("/api/v1/sign-in/password", &body).await.expect(200).json();
        let body = json!({ "flow": flow["flow"], "code": code });
        other.post("/api/v1/sign-in/totp", &body).await
    };
    let session = sign_in().await.expect(200).json();
    assert_eq!(session["factors"]["recoveryCodes"], 9);
    sign_in().await.expect(401);
}

#[tokio::test]
async fn known_and_unknown_addresses_are_told_the_same() {
    let face = Face::new().await;
    administrator(&face).await;
    let browser = Browser::new(&face.router);
    let mut bodies = Vec::new();
    for email in [IDA, "nobody@alder.example"] {
        let body = json!({ "email": email, "password": "not the password at all" });
        let reply = browser.post("/api/v1/sign-in/password", &body).await.expect(401);
        let mut body = reply.json();
        body["error"]["innerError"] = Value::Null;
        bodies.push((body, reply.headers.len()));
    }
    assert_eq!(bodies[0], bodies[1]);
}

#[tokio::test]
async fn five_wrong_answers_lock_the_pair_and_nobody_else() {
    let face = Face::new().await;
    let world = &face.world;
    let ida = administrator(&face).await;
    world.app.clock.advance_seconds(60);
    let wrong = json!({ "email": IDA, "password": "not the password at all" });
    let attacker = Browser::new(&face.router).from("198.51.100.9");
    for _ in 0..5 {
        attacker.post("/api/v1/sign-in/password", &wrong).await.expect(401);
    }
    let right = json!({ "email": IDA, "password": PASSWORD });
    let refused = attacker.post("/api/v1/sign-in/password", &right).await.expect(429);
    assert!(refused.headers.contains_key("retry-after"));
    // An address that nobody has is locked alike.
    let nobody = json!({ "email": "nobody@alder.example", "password": "x" });
    for _ in 0..5 {
        attacker.post("/api/v1/sign-in/password", &nobody).await.expect(401);
    }
    attacker.post("/api/v1/sign-in/password", &nobody).await.expect(429);
    // The person itself, elsewhere, is not.
    ida.sign_in(world, IDA).await.expect(200);
    world.app.clock.advance_seconds(900);
    attacker.post("/api/v1/sign-in/password", &right).await.expect(200);
}

#[tokio::test]
async fn one_address_may_try_only_so_often() {
    let mut config = riposte::config::Config::default();
    config.limits.sign_in_per_minute = 3;
    let face = Face::with(config).await;
    let browser = Browser::new(&face.router);
    for number in 0..3 {
        let body = json!({ "email": format!("p{number}@alder.example"), "password": "x" });
        // Headers that claim another address change nothing.
        let headers =
            [("x-riposte", "1"), ("x-forwarded-for", "203.0.113.7"), ("x-real-ip", "::1")];
        browser.send("POST", "/api/v1/sign-in/password", Some(&body), &headers).await.expect(401);
    }
    let body = json!({ "email": "p9@alder.example", "password": "x" });
    let headers = [("x-riposte", "1"), ("x-forwarded-for", "203.0.113.8")];
    browser.send("POST", "/api/v1/sign-in/password", Some(&body), &headers).await.expect(429);
}

#[tokio::test]
async fn a_session_ends_idle_after_half_an_hour_and_in_any_case_after_twelve() {
    let face = Face::new().await;
    let clock = &face.world.app.clock;
    let ida = administrator(&face).await;
    for _ in 0..24 {
        clock.advance_seconds(29 * 60);
        ida.get("/api/v1/session").await.expect(200);
    }
    clock.advance_seconds(24 * 60);
    ida.get("/api/v1/session").await.expect(401);

    clock.advance_seconds(60);
    ida.sign_in(&face.world, IDA).await.expect(200);
    clock.advance_seconds(30 * 60);
    ida.get("/api/v1/session").await.expect(401);
}

#[tokio::test]
async fn sessions_are_listed_and_ended() {
    let face = Face::new().await;
    let world = &face.world;
    let ida = administrator(&face).await;
    world.app.clock.advance_seconds(30);
    let other = Browser::new(&face.router).from("198.51.100.9");
    other.secret.lock().unwrap().clone_from(&ida.secret.lock().unwrap());
    other.sign_in(world, IDA).await.expect(200);
    let list = ida.get("/api/v1/session/list").await.expect(200).json();
    let list = list["value"].as_array().unwrap().clone();
    assert_eq!(list.len(), 2);
    let foreign = list.iter().find(|it| it["current"] == false).expect("the other");
    assert_eq!(foreign["address"], "198.51.100.9");
    let id = foreign["id"].as_str().unwrap();
    ida.delete(&format!("/api/v1/session/list/{id}")).await.expect(204);
    other.get("/api/v1/session").await.expect(401);
    ida.delete("/api/v1/session").await.expect(204);
    assert!(ida.cookie.lock().unwrap().is_none());
    ida.get("/api/v1/session").await.expect(401);
}

#[tokio::test]
async fn administrators_look_after_their_people() {
    let face = Face::new().await;
    let world = &face.world;
    let ida = administrator(&face).await;
    let wanted = json!({ "email": "tomas@alder.example", "role": "Security Reader" });
    let invited = ida.post("/api/v1/people", &wanted).await.expect(201).json();
    ida.post("/api/v1/people", &wanted).await.expect(409);
    let expert = json!({ "email": "eve@alder.example", "role": "Expert" });
    ida.post("/api/v1/people", &expert).await.expect(400);
    let tomas = Browser::new(&face.router);
    tomas.set_up(world, invited["setupUrl"].as_str().unwrap(), "Tomas Wren").await;
    let id = invited["person"]["id"].as_str().unwrap();
    let path = format!("/api/v1/people/{id}");

    // A reader reads.
    let people = tomas.get("/api/v1/people").await.expect(200).json();
    assert_eq!(people["may"]["invite"]["allowed"], false);
    tomas.post("/api/v1/people", &wanted).await.expect(403);
    tomas.patch(&path, &json!({ "role": "Security Administrator" })).await.expect(403);
    tomas.put("/api/v1/grant", &grant("none", "lead")).await.expect(403);

    // A role holds from the next request on.
    let changed = ida.patch(&path, &json!({ "role": "Security Operator" })).await.expect(200);
    assert_eq!(changed.json()["role"], "Security Operator");
    let session = tomas.get("/api/v1/session").await.expect(200).json();
    assert_eq!(session["role"], "Security Operator");

    // Whoever is disabled is out at once, and in again when enabled and signed in.
    ida.patch(&path, &json!({ "disabled": true })).await.expect(200);
    tomas.get("/api/v1/session").await.expect(401);
    world.app.clock.advance_seconds(30);
    tomas.sign_in(world, "tomas@alder.example").await.expect(403);
    ida.patch(&path, &json!({ "disabled": false })).await.expect(200);
    world.app.clock.advance_seconds(30);
    tomas.sign_in(world, "tomas@alder.example").await.expect(200);

    // Nobody changes themselves, and somebody always administers.
    let people = ida.get("/api/v1/people").await.expect(200).json();
    let own = people["value"].as_array().unwrap().iter().find(|it| it["email"] == IDA).unwrap();
    assert_eq!(own["may"]["remove"]["allowed"], false);
    let own = format!("/api/v1/people/{}", own["id"].as_str().unwrap());
    ida.patch(&own, &json!({ "role": "Security Reader" })).await.expect(403);
    ida.delete(&own).await.expect(403);
    ida.patch(&path, &json!({ "role": "Security Administrator" })).await.expect(200);
    let taken = tomas.patch(&own, &json!({ "role": "Security Reader" })).await.expect(200).json();
    assert_eq!(taken["role"], "Security Reader");
    ida.delete(&path).await.expect(403);
    tomas.delete(&own).await.expect(204);
    ida.get("/api/v1/session").await.expect(401);
    ida.patch(&path, &json!({ "unknown": 1 })).await.expect(401);
    tomas.patch(&path, &json!({ "unknown": 1 })).await.expect(400);
}

fn grant(level: &str, approval: &str) -> Value {
    json!({ "level": level, "approval": approval, "endDateTime": null })
}

#[tokio::test]
async fn what_is_dangerous_asks_for_a_fresh_factor() {
    let face = Face::new().await;
    let world = &face.world;
    let ida = administrator(&face).await;
    world.app.clock.advance_seconds(301);
    let wanted = json!({ "email": "tomas@alder.example", "role": "Security Reader" });
    let refused = ida.post("/api/v1/people", &wanted).await.expect(403).json();
    assert_eq!(refused["error"]["code"], "StepUpRequired");
    let app = json!({ "name": "SIEM", "permissions": ["SecurityIncident.Read.All"] });
    ida.post("/api/v1/apps", &app).await.expect(403);
    ida.put("/api/v1/grant", &grant("operator", "automatic")).await.expect(403);
    // To give less needs nothing.
    ida.put("/api/v1/grant", &grant("none", "lead")).await.expect(200);
    ida.post("/api/v1/session/step-up/totp", &json!({ "code": "000000" })).await.expect(403);
    let code = json!({ "code": ida.code(world) });
    ida.post("/api/v1/session/step-up/totp", &code).await.expect(200);
    ida.post("/api/v1/session/step-up/totp", &code).await.expect(403);
    ida.post("/api/v1/people", &wanted).await.expect(201);
    ida.put("/api/v1/grant", &grant("operator", "automatic")).await.expect(200);
    let app = ida.post("/api/v1/apps", &app).await.expect(201).json();
    assert!(app["clientSecret"].as_str().is_some_and(|secret| secret.len() > 40));
}

#[tokio::test]
async fn another_site_cannot_use_a_session() {
    let face = Face::new().await;
    let ida = administrator(&face).await;
    let body = grant("none", "lead");
    let path = "/api/v1/grant";
    for headers in [
        &[][..],
        &[("x-riposte", "1"), ("origin", "https://evil.example")][..],
        &[("x-riposte", "1"), ("sec-fetch-site", "cross-site")][..],
        &[("content-type", "text/plain")][..],
    ] {
        ida.send("PUT", path, Some(&body), headers).await.expect(403);
    }
    let level = ida.get(path).await.expect(200).json()["level"].clone();
    assert_eq!(level, "operator");
    let same = [("x-riposte", "1"), ("origin", "https://mdr.example")];
    ida.send("PUT", path, Some(&body), &same).await.expect(200);
    // A GET that changes something does not exist.
    ida.get("/api/v1/session/step-up/totp").await.expect(405);
    let foreign = [("sec-fetch-site", "cross-site")];
    ida.send("GET", "/api/v1/events", None, &foreign).await.expect(403);
}

#[tokio::test]
async fn one_person_in_two_organisations_has_a_role_in_each() {
    let face = Face::new().await;
    let world = &face.world;
    let ida = administrator(&face).await;
    let second =
        tenant::add_person(&world.app, Side::Tenant(&world.other.id), IDA, "Security Reader").await;
    assert!(second.unwrap().setup_url.ends_with("/sign-in"), "nothing is replaced");
    let session = ida.get("/api/v1/session").await.expect(200).json();
    assert_eq!(session["memberships"].as_array().map(Vec::len), Some(2));
    let before = ida.cookie.lock().unwrap().clone();
    let there = json!({ "organisationId": world.other.id });
    let session = ida.post("/api/v1/session/organisation", &there).await.expect(200).json();
    assert_eq!(session["organisation"]["name"], "Norrland Dental");
    assert_ne!(before, *ida.cookie.lock().unwrap(), "a new session");
    ida.put("/api/v1/grant", &grant("none", "lead")).await.expect(403);
    let nowhere = json!({ "organisationId": world.app.random.uuid().unwrap() });
    ida.post("/api/v1/session/organisation", &nowhere).await.expect(404);
    // An administrator there cannot draw a link that would replace what is used elsewhere.
    let boss =
        face.person(&world.other.id, "boss@norrland.example", Role::SecurityAdministrator).await;
    let people = boss.get("/api/v1/people").await.expect(200).json();
    let seen = people["value"].as_array().unwrap().iter().find(|it| it["email"] == IDA).unwrap();
    assert_eq!(seen["may"]["invite"]["allowed"], false);
    let id = seen["id"].as_str().unwrap();
    boss.post(&format!("/api/v1/people/{id}/invite"), &json!({})).await.expect(409);
    boss.delete(&format!("/api/v1/people/{id}")).await.expect(204);
    ida.get("/api/v1/session").await.expect(401);
    world.app.clock.advance_seconds(30);
    let session = ida.sign_in(world, IDA).await.expect(200).json();
    assert_eq!(session["organisation"]["name"], "Alder Freight");
}

#[tokio::test]
async fn a_new_link_replaces_what_was_lost() {
    let face = Face::new().await;
    let world = &face.world;
    let ida = administrator(&face).await;
    let tomas = face.person(&world.tenant.id, "tomas@alder.example", Role::SecurityOperator).await;
    let people = ida.get("/api/v1/people").await.expect(200).json();
    let people = people["value"].as_array().unwrap().clone();
    let id = people.iter().find(|it| it["email"] != IDA).unwrap()["id"].as_str().unwrap();
    let link = ida.post(&format!("/api/v1/people/{id}/invite"), &json!({})).await.expect(200);
    tomas.get("/api/v1/session").await.expect(200);
    let fresh = Browser::new(&face.router);
    fresh.set_up(world, link.json()["setupUrl"].as_str().unwrap(), "Tomas Wren").await;
    tomas.get("/api/v1/session").await.expect(401);
    world.app.clock.advance_seconds(30);
    tomas.sign_in(world, "tomas@alder.example").await.expect(401);
    fresh.sign_in(world, "tomas@alder.example").await.expect(200);
}

#[tokio::test]
async fn every_step_of_a_person_is_on_record() {
    let face = Face::new().await;
    let world = &face.world;
    let ida = administrator(&face).await;
    let wanted = json!({ "email": "tomas@alder.example", "role": "Security Reader" });
    ida.post("/api/v1/people", &wanted).await.expect(201);
    ida.put("/api/v1/grant", &grant("none", "lead")).await.expect(200);
    let log = ida.get("/api/v1/audit").await.expect(200).json();
    let records = log["value"].as_array().unwrap();
    let of = |operation: &str| {
        let found: Vec<&Value> = records.iter().filter(|it| it["operation"] == operation).collect();
        assert_eq!(found.len(), 1, "{operation}");
        found[0].clone()
    };
    let signed_in = of("person.signedIn");
    assert_eq!(signed_in["workload"], "AzureActiveDirectory");
    assert_eq!(signed_in["recordType"], "AzureActiveDirectoryStsLogon");
    assert_eq!(signed_in["userId"], IDA);
    let changed = of("grant.changed");
    assert_eq!(changed["recordType"], "DefenderExpertsforXDRAdmin");
    assert_eq!(changed["auditData"]["clientAddress"], "192.0.2.10");
    assert_eq!(changed["auditData"]["changes"][0]["before"], "operator");
    assert_eq!(changed["auditData"]["changes"][0]["after"], "none");
    of("person.setUp");
    // Nothing secret is in it.
    let text = log.to_string();
    for secret in [PASSWORD, ida.secret.lock().unwrap().as_ref().unwrap()] {
        assert!(!text.contains(secret));
    }
    let _ = world;
}

#[tokio::test]
async fn a_page_that_looks_by_itself_keeps_no_session_alive() {
    let face = Face::new().await;
    let clock = &face.world.app.clock;
    let ida = administrator(&face).await;
    let request = ida.request("GET", "/api/v1/events", None, &[]);
    let stream = face.router.clone().oneshot(request).await.expect("an answer");
    let by_itself = [("x-riposte-unattended", "1")];
    for _ in 0..29 {
        clock.advance_seconds(60);
        ida.send("GET", "/api/v1/session", None, &by_itself).await.expect(200);
    }
    // Long enough for the stream to look who asks.
    tokio::time::sleep(std::time::Duration::from_millis(900)).await;
    clock.advance_seconds(61);
    ida.send("GET", "/api/v1/session", None, &by_itself).await.expect(401);
    let ended = tokio::time::timeout(
        std::time::Duration::from_secs(2),
        axum::body::to_bytes(stream.into_body(), 1 << 20),
    );
    assert!(ended.await.is_ok(), "the stream of a session that has ended goes on");
}
