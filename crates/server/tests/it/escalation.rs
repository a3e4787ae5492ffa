//! Escalation (NOT-8): contacts are reached one after the other until somebody reacts, in their working
//! hours, through restarts and moved clocks, against a carrier that keeps what it takes and can fail.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Request, StatusCode};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use riposte::config::{Config, Mail, Phone};
use riposte::escalation;
use riposte::notification::engine::{self, Ways};
use riposte::permission::Role;
use riposte::service_clock::follow;
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::face::{Face, send};
use crate::notification::MailServer;
use crate::response::{Case, case_in};

const TOKEN: &str = "a token of the account's";
/// An installation that serves itself: it may call loopback, where the carrier is.
const WEB: &str = "http://localhost:8470";

/// A request that the carrier took: `Messages` or `Calls`, and its form.
type Taken = (String, HashMap<String, String>);

/// A carrier with an account of ours.
#[derive(Clone, Default)]
struct Carrier {
    taken: Arc<Mutex<Vec<Taken>>>,
    says: Arc<Mutex<VecDeque<(u16, Value)>>>,
}

impl Carrier {
    async fn start() -> (Self, String) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let it = Self::default();
        let path = "/2010-04-01/Accounts/{account}/{what}";
        let router =
            axum::Router::new().route(path, axum::routing::post(take)).with_state(it.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (it, url)
    }

    fn take(&self, account: &str, what: &str, headers: &HeaderMap, body: &[u8]) -> Response {
        let key = format!("Basic {}", STANDARD.encode(format!("AC0123:{TOKEN}")));
        let shown = headers.get("authorization").and_then(|it| it.to_str().ok());
        if account != "AC0123" || shown != Some(key.as_str()) {
            return (StatusCode::UNAUTHORIZED, json!({ "code": 20_003 }).to_string())
                .into_response();
        }
        if let Some((status, body)) = self.says.lock().expect("says").pop_front() {
            let status = StatusCode::from_u16(status).expect("a status");
            return (status, body.to_string()).into_response();
        }
        let form: HashMap<String, String> =
            openidconnect::url::form_urlencoded::parse(body).into_owned().collect();
        let wants = if what == "Calls.json" { ["To", "Twiml"] } else { ["To", "Body"] };
        if !wants.iter().all(|name| form.contains_key(*name)) {
            return (StatusCode::BAD_REQUEST, json!({ "code": 21_201 }).to_string())
                .into_response();
        }
        let mut taken = self.taken.lock().expect("taken");
        taken.push((what.trim_end_matches(".json").to_owned(), form));
        let sid = format!("CA{}", taken.len());
        (StatusCode::CREATED, json!({ "sid": sid, "status": "queued" }).to_string()).into_response()
    }

    /// Everything it took, as what and to whom.
    fn calls(&self) -> Vec<(String, String)> {
        let taken = self.taken.lock().expect("taken");
        taken.iter().map(|(what, form)| (what.clone(), form["To"].clone())).collect()
    }

    fn last(&self) -> HashMap<String, String> {
        self.taken.lock().expect("taken").last().expect("a call").1.clone()
    }
}

async fn take(
    State(it): State<Carrier>,
    Path((account, what)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    std::future::ready(it.take(&account, &what, &headers, &body)).await
}

/// What the carrier sends us, signed with a token.
async fn tells(face: &Face, url: &str, form: &[(&str, &str)], token: &str) -> u16 {
    let mut pairs: Vec<_> = form.to_vec();
    pairs.sort_unstable();
    let text = pairs.iter().fold(url.to_owned(), |text, (name, value)| text + name + value);
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, token.as_bytes());
    let signature = STANDARD.encode(hmac::sign(&key, text.as_bytes()));
    let body = openidconnect::url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form)
        .finish();
    let path = url.strip_prefix(WEB).expect("an address of ours");
    let request = Request::post(path)
        .header("content-type", "application/x-www-form-urlencoded")
        .header("x-twilio-signature", signature)
        .body(Body::from(body))
        .expect("a request");
    send(&face.router, request).await.status.as_u16()
}

struct Night {
    case: Case,
    mail: MailServer,
    carrier: Carrier,
    ways: Ways,
    contacts: HashMap<&'static str, String>,
}

/// A case whose customer has three contacts: Ida at her desk by day, Knut with a phone, Duty at any hour.
async fn night() -> Night {
    let mail = MailServer::start().await;
    let (carrier, url) = Carrier::start().await;
    let folder = tempfile::tempdir().expect("a folder").keep();
    let file = folder.join("token");
    std::fs::write(&file, TOKEN).expect("a file");
    let config = Config {
        public_url: Some(WEB.to_owned()),
        mail: Mail {
            smtp: Some(mail.url.clone()),
            from: Some("soc@fjordwatch.example".to_owned()),
            ..Mail::default()
        },
        phone: Phone {
            account: Some("AC0123".to_owned()),
            token_file: Some(file),
            from: Some("+15005550006".to_owned()),
            url,
        },
        ..Config::default()
    };
    let case = case_in(Face::with(config).await, "reader").await;
    let ways = Ways::open(&case.face.world.app).expect("ways");
    let mut it = Night { case, mail, carrier, ways, contacts: HashMap::new() };
    let office = json!({ "from": "08:00", "until": "16:00" });
    let hours = json!({ "timeZone": "Europe/Oslo",
        "days": [office, office, office, office, office, null, null] });
    for (name, phone, hours) in [
        ("ida", Value::Null, hours),
        ("knut", json!("+47 900 00 001"), Value::Null),
        ("duty", json!("+47 900 00 002"), Value::Null),
    ] {
        let body = json!({
            "name": name, "kind": "person", "role": "incidentNotification", "phone": phone,
            "email": format!("{name}@alder.example"), "hours": hours,
        });
        let made = it.ida().await.post("/api/v1/contacts", &body).await.expect(201).json();
        it.contacts.insert(name, made["id"].as_str().expect("an id").to_owned());
    }
    it
}

impl Night {
    async fn ida(&self) -> Browser {
        let (face, email) = (&self.case.face, format!("i{}@alder.example", uuid::Uuid::new_v4()));
        face.person(&face.world.tenant.id, &email, Role::SecurityAdministrator).await
    }

    fn rung(&self, name: &str, by: &str, minutes: i64) -> Value {
        json!({ "contactId": self.contacts[name], "by": by, "waitMinutes": minutes })
    }

    async fn choose(&self, rungs: Value, more: Value) {
        let mut ladder = json!({
            "isOn": true, "severities": ["high", "medium"], "rungs": rungs, "rounds": 1,
            "nobody": "lead",
        });
        for (name, value) in more.as_object().into_iter().flatten() {
            ladder[name] = value.clone();
        }
        self.ida().await.put("/api/v1/ladder", &ladder).await.expect(200);
    }

    /// Lets minutes pass; each of them the clocks, ladders and messages are looked after, by two
    /// processes.
    async fn minutes(&self, minutes: i64) {
        let app = &self.case.face.world.app;
        let other = self.case.face.world.replica();
        for _ in 0..minutes {
            app.clock.advance_seconds(60);
            Box::pin(follow::tick(app)).await.expect("clocks");
            let (one, two) =
                tokio::join!(Box::pin(escalation::tick(app)), Box::pin(escalation::tick(&other)));
            one.and(two).expect("ladders");
            Box::pin(engine::tick(app, &self.ways)).await.expect("a round");
        }
    }

    async fn publish(&self) {
        self.case.draft(json!({ "actionType": "text", "displayName": "Call kari" })).await;
        self.case.publish().await;
    }

    async fn log(&self) -> Vec<(String, String, Value, Value)> {
        let path = self.case.path("/escalation");
        let all = self.ida().await.get(&path).await.expect(200).json();
        let text = |it: &Value| it.as_str().expect("text").to_owned();
        all["value"][0]["steps"]
            .as_array()
            .expect("steps")
            .iter()
            .map(|it| {
                (text(&it["name"]), text(&it["by"]), it["because"].clone(), it["outcome"].clone())
            })
            .collect()
    }

    async fn standing(&self) -> String {
        let path = self.case.path("/escalation");
        let all = self.ida().await.get(&path).await.expect(200).json();
        all["value"][0]["standing"].as_str().expect("a standing").to_owned()
    }
}

#[tokio::test]
async fn primary_then_backup_until_somebody_reacts() {
    let it = night().await;
    it.choose(json!([it.rung("knut", "call", 10), it.rung("duty", "sms", 10)]), json!({})).await;
    it.publish().await;
    it.minutes(1).await;
    assert_eq!(it.carrier.calls(), [("Calls".to_owned(), "+4790000001".to_owned())]);
    let script = &it.carrier.last()["Twiml"];
    assert!(script.contains("needs somebody of Alder Freight now"), "{script}");
    it.minutes(9).await;
    assert_eq!(it.carrier.calls().len(), 1, "he has ten minutes");
    it.minutes(1).await;
    assert_eq!(it.carrier.calls()[1], ("Messages".to_owned(), "+4790000002".to_owned()));
    let body = &it.carrier.last()["Body"];
    assert!(body.contains("/incidents/") && body.chars().count() < 600, "{body}");
    // Somebody else of the customer reacts; nobody is called any more.
    let chat = format!("/api/v1/conversations/incident-{}/messages", it.case.incident);
    it.ida().await.post(&chat, &json!({ "text": "On it." })).await.expect(201);
    it.minutes(30).await;
    assert_eq!(it.carrier.calls().len(), 2);
    assert_eq!(it.standing().await, "acknowledged");
}

#[tokio::test]
async fn a_call_that_reaches_nobody_brings_the_next_one_forward_and_is_on_record() {
    let it = night().await;
    it.choose(json!([it.rung("knut", "call", 60), it.rung("duty", "call", 60)]), json!({})).await;
    it.publish().await;
    it.minutes(1).await;
    let back = it.carrier.last()["StatusCallback"].clone();
    let face = &it.case.face;
    let form = [("CallSid", "CA1"), ("CallStatus", "no-answer")];
    // Nobody else may say so.
    assert_eq!(tells(face, &back, &form, "another token").await, 401);
    it.minutes(2).await;
    assert_eq!(it.carrier.calls().len(), 1);
    assert_eq!(tells(face, &back, &[("CallStatus", "ringing")], TOKEN).await, 204);
    for _ in 0..2 {
        assert_eq!(tells(face, &back, &form, TOKEN).await, 204);
    }
    it.minutes(1).await;
    assert_eq!(it.carrier.calls().len(), 2, "the next one at once");
    // The second one hears it and presses a key: that carries nothing out and is no reaction.
    let back = it.carrier.last()["StatusCallback"].clone();
    let heard = format!("{back}/heard");
    assert_eq!(tells(face, &heard, &[("Digits", "1")], TOKEN).await, 200);
    let log = it.log().await;
    assert_eq!(log[0], ("knut".into(), "call".into(), Value::Null, json!("noAnswer")));
    assert_eq!(log[1], ("duty".into(), "call".into(), Value::Null, json!("heard")));
    assert_eq!(it.standing().await, "climbing");
}

#[tokio::test]
async fn who_is_not_at_work_is_passed_over_and_nobody_has_its_consequence() {
    let it = night().await;
    let lead = json!({ "targets": [], "hours": null, "noticePercent": 75,
        "lead": { "name": "Lead", "email": "lead@fjordwatch.example" } });
    let odd = it.case.face.provider_person("odd@fjordwatch.example", Role::ProviderAdministrator);
    odd.await.put("/api/v1/service-agreement", &lead).await.expect(200);
    it.choose(json!([it.rung("ida", "mail", 5), it.rung("knut", "call", 5)]), json!({})).await;
    // It is Wednesday noon in Oslo; eight hours later nobody is at a desk.
    it.case.face.world.app.clock.advance_seconds(8 * 3_600);
    let expert = it.case.face.expert().await;
    let task = json!({ "actionType": "text", "displayName": "Call kari" });
    expert.post(&it.case.path("/tasks"), &task).await.expect(201);
    let found = json!({ "classification": "truePositive", "determination": "malware",
                        "summary": "A loader." });
    expert.post(&it.case.path("/publish"), &found).await.expect(200);
    it.minutes(1).await;
    let log = it.log().await;
    assert_eq!(log[0].2, json!("it is outside of its working hours"), "{log:?}");
    assert_eq!((log[1].0.as_str(), &log[1].2), ("knut", &Value::Null), "{log:?}");
    it.minutes(10).await;
    assert_eq!(it.standing().await, "nobody");
    let subjects: Vec<(String, String)> = it
        .mail
        .mails()
        .iter()
        .map(|(to, _, mail)| {
            (to.clone(), crate::notification::header(mail, "Subject").expect("a subject"))
        })
        .filter(|(to, _)| to == "lead@fjordwatch.example")
        .collect();
    assert_eq!(subjects.len(), 1, "{subjects:?}");
    assert!(subjects[0].1.starts_with("Nobody of Alder Freight answers"), "{subjects:?}");
}

#[tokio::test]
async fn a_carrier_that_fails_is_tried_again_and_one_that_refuses_is_told_to_others() {
    let it = night().await;
    it.choose(json!([it.rung("knut", "call", 10)]), json!({})).await;
    {
        let mut says = it.carrier.says.lock().expect("says");
        says.push_back((503, json!({})));
        says.push_back((429, json!({})));
    }
    it.publish().await;
    it.minutes(3).await;
    assert_eq!(it.carrier.calls().len(), 1, "it was busy twice");
    // A number that takes nothing is given up at once, and the others hear of it.
    it.carrier.says.lock().expect("says").push_back((400, json!({ "code": 21_211 })));
    let knut = format!("/api/v1/contacts/{}/test", it.contacts["knut"]);
    it.ida().await.post(&knut, &json!({ "by": "call" })).await.expect(202);
    let ida = format!("/api/v1/contacts/{}/test", it.contacts["ida"]);
    it.ida().await.post(&ida, &json!({ "by": "sms" })).await.expect(409);
    it.minutes(1).await;
    let all = it.ida().await.get("/api/v1/deliveries?channel=call").await.expect(200).json();
    assert_eq!(all["value"][0]["state"], "dead", "{all}");
}

#[tokio::test]
async fn a_number_that_takes_nothing_brings_the_next_one_forward() {
    let it = night().await;
    it.choose(json!([it.rung("knut", "sms", 60), it.rung("duty", "call", 60)]), json!({})).await;
    it.carrier.says.lock().expect("says").push_back((400, json!({ "code": 21_610 })));
    it.publish().await;
    it.minutes(2).await;
    assert_eq!(it.carrier.calls(), [("Calls".to_owned(), "+4790000002".to_owned())]);
}

#[tokio::test]
async fn nobody_is_woken_for_what_somebody_is_at_already() {
    let it = night().await;
    it.choose(json!([it.rung("knut", "call", 60)]), json!({})).await;
    for _ in 0..40 {
        it.carrier.says.lock().expect("says").push_back((503, json!({})));
    }
    it.publish().await;
    it.minutes(5).await;
    assert!(it.carrier.calls().is_empty(), "the carrier is away");
    it.carrier.says.lock().expect("says").clear();
    let chat = format!("/api/v1/conversations/incident-{}/messages", it.case.incident);
    it.ida().await.post(&chat, &json!({ "text": "On it." })).await.expect(201);
    it.minutes(240).await;
    assert!(it.carrier.calls().is_empty(), "he sleeps on");
    let all = it.ida().await.get("/api/v1/deliveries?channel=call").await.expect(200).json();
    assert_eq!(all["value"][0]["state"], "cancelled", "{all}");
}

#[tokio::test]
async fn what_the_experts_take_back_is_not_acknowledged() {
    let it = night().await;
    it.choose(json!([it.rung("knut", "call", 60)]), json!({})).await;
    it.publish().await;
    it.minutes(1).await;
    let done = json!({ "status": "resolved", "classification": "truePositive",
                       "determination": "malware", "resolvingComment": "Gone." });
    it.case.expert.patch(&it.case.path(""), &done).await.expect(200);
    it.minutes(1).await;
    assert_eq!(it.standing().await, "ended");
}

#[tokio::test]
async fn a_ladder_is_the_customers_own() {
    let it = night().await;
    let wanted = json!({ "isOn": true, "severities": ["high"], "rounds": 1, "nobody": "nothing",
        "rungs": [it.rung("ida", "call", 10)] });
    let said = it.ida().await.put("/api/v1/ladder", &wanted).await.expect(400).json();
    assert!(said.to_string().contains("rungs, 1: the contact has no phone number"), "{said}");
    let face = &it.case.face;
    let other = face.person(&face.world.other.id, "o@n.example", Role::SecurityAdministrator).await;
    let mut theirs = wanted.clone();
    theirs["rungs"] = json!([it.rung("knut", "call", 10)]);
    let said = other.put("/api/v1/ladder", &theirs).await.expect(400).json();
    assert!(said.to_string().contains("there is no such contact"), "{said}");
    other.get(&it.case.path("/escalation")).await.expect(404);
    let reader = face.person(&face.world.tenant.id, "r@a.example", Role::SecurityReader).await;
    reader.get("/api/v1/ladder").await.expect(200);
    reader.put("/api/v1/ladder", &theirs).await.expect(403);
}
