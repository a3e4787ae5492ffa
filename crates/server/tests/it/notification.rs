//! Notifications (NOT, quality 2): who hears of what, that nothing is lost, doubled under another id or
//! held up by somebody else's receiver; against a mail server and a receiver of webhooks that keep what
//! they get and fail in every way we know of.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use riposte::config::{Config, Mail};
use riposte::notification::engine::{self, Ways};
use riposte::permission::Role;
use riposte::smtp::{self, Envelope, Flavor};
use serde_json::{Value, json};

use crate::face::Face;
use crate::response::{Case, case_in};

/// What the mail server says to the next mails, in order; what is taken when there is nothing left.
/// An empty answer breaks the connection: before the mail is kept, or after it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fault {
    Says(&'static str),
    BreaksBefore,
    BreaksAfter,
}

/// A mail server that keeps what it takes.
#[derive(Clone)]
pub struct MailServer {
    pub url: String,
    pub kept: Arc<Mutex<Vec<Envelope>>>,
    faults: Arc<Mutex<VecDeque<Fault>>>,
    away: Arc<AtomicBool>,
}

impl MailServer {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("smtp://{}", listener.local_addr().expect("an address"));
        let it = Self { url, kept: Arc::default(), faults: Arc::default(), away: Arc::default() };
        let shared = it.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let it = shared.clone();
                tokio::spawn(async move {
                    let deliver = |mail: Envelope| std::future::ready(it.take(&mail));
                    let _ = smtp::converse(stream, Flavor::Smtp, "mx.alder.example", deliver).await;
                });
            }
        });
        it
    }

    /// Takes nothing while it is away.
    pub fn go(&self, away: bool) {
        self.away.store(away, Ordering::Relaxed);
    }

    fn take(&self, mail: &Envelope) -> Vec<String> {
        if self.away.load(Ordering::Relaxed) {
            return vec!["451 4.3.2 not now".to_owned(); mail.to.len()];
        }
        let fault = self.faults.lock().expect("faults").pop_front();
        match fault {
            Some(Fault::Says(answer)) => return vec![answer.to_owned(); mail.to.len()],
            Some(Fault::BreaksBefore) => return Vec::new(),
            Some(Fault::BreaksAfter) | None => {}
        }
        self.kept.lock().expect("kept").push(mail.clone());
        if fault.is_some() { Vec::new() } else { vec!["250 2.0.0 kept".to_owned(); mail.to.len()] }
    }

    fn will(&self, faults: &[Fault]) {
        self.faults.lock().expect("faults").extend(faults);
    }

    /// What was kept, as receiver, Message-ID and the whole mail.
    pub fn mails(&self) -> Vec<(String, String, String)> {
        let kept = self.kept.lock().expect("kept");
        let mails = kept.iter().map(|mail| {
            // As it reads once its lines are whole again.
            let text = String::from_utf8(mail.data.clone()).expect("text").replace("=\r\n", "");
            let id = header(&text, "Message-ID").expect("an id");
            (mail.to.join(","), id, text)
        });
        mails.collect()
    }
}

pub fn header(mail: &str, name: &str) -> Option<String> {
    let (head, _) = mail.split_once("\r\n\r\n")?;
    let unfolded = head.replace("\r\n ", " ").replace("\r\n\t", " ");
    let mut found = unfolded.lines().filter_map(|line| {
        let (named, value) = line.split_once(": ")?;
        named.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    });
    let value = found.next();
    assert!(found.next().is_none(), "one {name}: {head}");
    value
}

/// A receiver of webhooks: what it got, and what it says to the next ones.
#[derive(Clone)]
struct Hook {
    url: String,
    got: Arc<Mutex<Vec<(HeaderMap, Bytes)>>>,
    says: Arc<Mutex<VecDeque<u16>>>,
}

impl Hook {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
        let it = Self { url, got: Arc::default(), says: Arc::default() };
        let router = axum::Router::new().fallback(Self::take).with_state(it.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        it
    }

    async fn take(State(it): State<Self>, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, 1 << 20).await.expect("a body");
        it.got.lock().expect("got").push((parts.headers, body));
        let says = it.says.lock().expect("says").pop_front().unwrap_or(204);
        (StatusCode::from_u16(says).expect("a status"), Body::empty()).into_response()
    }

    fn will(&self, says: &[u16]) {
        self.says.lock().expect("says").extend(says);
    }

    fn got(&self) -> Vec<(HashMap<String, String>, Bytes)> {
        let got = self.got.lock().expect("got");
        let plain = |headers: &HeaderMap| {
            let each = headers.iter().map(|(name, value)| {
                (name.as_str().to_owned(), value.to_str().expect("text").to_owned())
            });
            each.collect()
        };
        got.iter().map(|(headers, body)| (plain(headers), body.clone())).collect()
    }
}

/// A case whose customer's mail goes to a server of ours.
pub struct Post {
    pub case: Case,
    pub server: MailServer,
    ways: Ways,
}

pub async fn post() -> Post {
    post_with(Mail::default()).await
}

pub async fn post_with(more: Mail) -> Post {
    let server = MailServer::start().await;
    let mail = Mail {
        smtp: Some(server.url.clone()),
        from: Some("soc@fjordwatch.example".to_owned()),
        ..more
    };
    let case = case_in(Face::with(Config { mail, ..Config::default() }).await, "reader").await;
    let ways = Ways::open(&case.face.world.app).expect("ways");
    Post { case, server, ways }
}

impl Post {
    pub async fn contact(&self, name: &str, more: Value) -> String {
        let mut body = json!({
            "name": name, "kind": "person", "role": "incidentNotification",
            "email": format!("{}@alder.example", name.to_lowercase().replace(' ', ".")),
        });
        for (name, value) in more.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        let it = self.case.ida.post("/api/v1/contacts", &body).await.expect(201).json();
        it["id"].as_str().expect("an id").to_owned()
    }

    /// Sends what is due, at this hour.
    pub async fn tick(&self) -> usize {
        engine::tick(&self.case.face.world.app, &self.ways).await.expect("a round")
    }

    /// Lets hours pass and sends what is due in each minute of them.
    async fn minutes(&self, minutes: i64) {
        for _ in 0..minutes {
            self.case.face.world.app.clock.advance_seconds(60);
            self.tick().await;
        }
    }

    /// Has the mail server refuse the next mail.
    pub fn refuse(&self, answer: &'static str) {
        self.server.will(&[Fault::Says(answer)]);
    }

    pub async fn publish(&self) {
        self.case.draft(json!({ "actionType": "text", "displayName": "Call kari" })).await;
        self.case.publish().await;
    }

    /// Somebody of the customer, signed in at this hour.
    pub async fn ida(&self) -> crate::browser::Browser {
        let (face, email) = (&self.case.face, format!("i{}@alder.example", uuid::Uuid::new_v4()));
        face.person(&face.world.tenant.id, &email, Role::SecurityAdministrator).await
    }

    pub async fn deliveries(&self, query: &str) -> Vec<Value> {
        let path = format!("/api/v1/deliveries?{query}");
        let all = self.ida().await.get(&path).await.expect(200).json();
        all["value"].as_array().expect("deliveries").clone()
    }
}

#[tokio::test]
async fn a_published_response_is_told_to_each_primary_contact_at_once() {
    let it = post().await;
    it.contact("Ida Berg", json!({})).await;
    it.contact("Knut", json!({ "language": "es" })).await;
    it.contact("Duty", json!({ "priority": "backup" })).await;
    it.contact("Board", json!({ "role": "serviceReview" })).await;
    it.tick().await;
    let welcomed = it.server.mails();
    assert_eq!(welcomed.len(), 4, "each contact is told that it is one (NOT-1)");
    it.publish().await;
    assert_eq!(it.tick().await, 2);
    let mails = it.server.mails().split_off(4);
    let to: Vec<&str> = mails.iter().map(|(to, ..)| to.as_str()).collect();
    assert_eq!(to, ["ida.berg@alder.example", "knut@alder.example"]);
    let (_, id, english) = &mails[0];
    assert!(english.contains("Call kari") && english.contains("Action needed"), "{english}");
    assert!(english.contains(&format!("/incidents/{}?response=3Dactions", it.case.incident)));
    assert_eq!(header(english, "To").as_deref(), Some("\"Ida Berg\" <ida.berg@alder.example>"));
    assert_eq!(header(english, "From").as_deref(), Some("Fjordwatch <soc@fjordwatch.example>"));
    assert_eq!(header(english, "Auto-Submitted").as_deref(), Some("auto-generated"));
    assert!(id.ends_with("@fjordwatch.example>"), "{id}");
    assert!(mails[1].2.contains("Se requiere su"), "{}", mails[1].2);
    let threads: Vec<_> = mails.iter().map(|(_, _, mail)| header(mail, "References")).collect();
    assert!(threads[0].is_some() && threads[0] == threads[1], "one thread: {threads:?}");
    let log = it.case.ida.get(&it.case.path("/timeline?top=500")).await.expect(200).json();
    let made =
        log["value"].as_array().expect("a log").iter().find(|it| it["kind"] == "notification.made");
    assert_eq!(made.expect("on record")["receivers"], json!(["Ida Berg", "Knut"]), "{log}");
    let seen = it.case.expert.get(&it.case.path("/notifications")).await.expect(200).json();
    assert_eq!(seen["value"].as_array().expect("two").len(), 2, "{seen}");
    assert_eq!(
        (&seen["value"][0]["state"], &seen["undelivered"]),
        (&json!("delivered"), &json!(0))
    );
    assert_eq!(it.tick().await, 0, "once");
}

#[tokio::test]
async fn what_experts_say_is_brought_and_what_the_assistant_or_notes_say_is_not() {
    let it = post().await;
    it.contact("Ida Berg", json!({})).await;
    it.publish().await;
    it.tick().await;
    let before = it.server.mails().len();
    let messages = format!("/api/v1/conversations/incident-{}/messages", it.case.incident);
    it.case.ida.post(&messages, &json!({ "text": "Which first?" })).await.expect(201);
    let note = json!({ "text": "kanarie of experts", "visibility": "experts" });
    it.case.expert.post(&messages, &note).await.expect(201);
    assert_eq!(it.tick().await, 0, "the customer's own words and notes are no news to it");
    let say = json!({ "text": "h1.\nThen <b>h2</b>." });
    it.case.expert.post(&messages, &say).await.expect(201);
    assert_eq!(it.tick().await, 1);
    let (_, _, mail) = it.server.mails().pop().expect("a mail");
    assert_eq!(it.server.mails().len(), before + 1);
    assert!(mail.contains("> h1.\r\n> Then <b>h2</b>.") && mail.contains("&lt;b&gt;h2"), "{mail}");
    assert!(!mail.contains("kanarie"), "{mail}");
    assert!(mail.contains("response=3Dchat"), "{mail}");
}

#[tokio::test]
async fn whatever_the_mail_server_does_a_mail_arrives_and_has_one_id() {
    let it = post().await;
    it.contact("Ida Berg", json!({})).await;
    it.tick().await;
    it.server.kept.lock().expect("kept").clear();
    it.server.will(&[
        Fault::Says("451 4.3.0 not now"),
        Fault::Says("421 4.3.2 closing"),
        Fault::BreaksBefore,
        Fault::BreaksAfter,
        Fault::Says("535 5.7.8 who are you"),
    ]);
    it.publish().await;
    it.tick().await;
    assert!(it.server.mails().is_empty());
    it.minutes(120).await;
    let mails = it.server.mails();
    assert_eq!(mails.len(), 2, "once more after the answer that was lost");
    assert_eq!(mails[0], mails[1], "byte for byte the same mail");
    let all = it.deliveries("state=delivered&top=1").await;
    assert_eq!((&all[0]["attempts"], &all[0]["kind"]), (&json!(6), &json!("responsePublished")));
    let path = format!("/api/v1/deliveries/{}", all[0]["id"].as_str().expect("an id"));
    let one = it.ida().await.get(&path).await.expect(200).json();
    let outcomes: Vec<&Value> =
        one["attemptsMade"].as_array().expect("six").iter().map(|it| &it["outcome"]).collect();
    assert_eq!(outcomes, ["later", "later", "later", "later", "later", "delivered"], "{one}");
    assert!(mails[0].1.contains(all[0]["id"].as_str().expect("an id")), "the id is in the mail");
}

#[tokio::test]
async fn what_is_refused_is_dead_at_once_and_others_hear_of_it() {
    let it = post().await;
    it.contact("Ida Berg", json!({})).await;
    it.contact("Duty", json!({ "priority": "backup", "language": "pt-PT" })).await;
    it.tick().await;
    it.server.kept.lock().expect("kept").clear();
    it.server.will(&[Fault::Says("550 5.1.1 no such <b>user</b>")]);
    it.publish().await;
    it.tick().await;
    it.tick().await;
    let mails = it.server.mails();
    assert_eq!(mails.len(), 1, "{mails:?}");
    assert_eq!(mails[0].0, "duty@alder.example");
    assert!(mails[0].2.contains("Ida Berg"), "{}", mails[0].2);
    let seen = it.case.expert.get(&it.case.path("/notifications")).await.expect(200).json();
    assert_eq!(seen["undelivered"], 1, "{seen}");
    let dead = it.deliveries("state=dead").await;
    assert_eq!(dead.len(), 1);
    assert!(dead[0]["because"].as_str().expect("why").starts_with("550"), "{dead:?}");
    let log = it.ida().await.get(&it.case.path("/timeline?top=500")).await.expect(200).json();
    let failed =
        log["value"].as_array().expect("a log").iter().filter(|it| it["kind"] == "delivery.failed");
    assert_eq!(failed.count(), 1, "{log}");
    // Somebody mends the address's server and has it sent again: the very same mail.
    let path = format!("/api/v1/deliveries/{}/again", dead[0]["id"].as_str().expect("an id"));
    let ida = it.ida().await;
    ida.post(&path, &json!({})).await.expect(202);
    ida.post(&path, &json!({})).await.expect(409);
    it.tick().await;
    let again = it.server.mails().pop().expect("a mail");
    assert!(
        again.0 == "ida.berg@alder.example"
            && again.1.contains(dead[0]["id"].as_str().expect("an id"))
    );
    let seen =
        it.case.face.expert().await.get(&it.case.path("/notifications")).await.expect(200).json();
    assert_eq!(seen["undelivered"], 0, "{seen}");
}

#[tokio::test]
async fn after_72_hours_it_is_given_up_and_not_before() {
    let it = post().await;
    it.contact("Ida Berg", json!({})).await;
    it.tick().await;
    it.server.will(&vec![Fault::Says("451 4.3.0 not now"); 100]);
    it.publish().await;
    it.tick().await;
    let app = &it.case.face.world.app;
    for hour in 1..=76 {
        app.clock.advance_seconds(3_600);
        it.tick().await;
        let dead =
            it.case.face.world.rows("select count(*) from delivery where state = 'dead'").await;
        let told = if hour < 72 { 0 } else { dead[0] };
        assert_eq!(dead, [told], "hour {hour}");
    }
    let sql = "select count(*) from delivery where state = 'dead' and attempts between 20 and 40";
    assert_eq!(it.case.face.world.rows(sql).await, [1]);
    assert_eq!(it.case.face.world.rows("select count(*) from untold").await, [0]);
}

#[tokio::test]
async fn one_incident_is_told_in_order_and_holds_up_no_other() {
    let it = post().await;
    let hook = Hook::start().await;
    let add = json!({ "name": "SIEM", "url": hook.url });
    it.case.ida.post("/api/v1/webhooks", &add).await.expect(201);
    it.publish().await;
    let messages = format!("/api/v1/conversations/incident-{}/messages", it.case.incident);
    hook.will(&[500]);
    it.tick().await;
    it.case.expert.post(&messages, &json!({ "text": "first" })).await.expect(201);
    it.case.expert.post(&messages, &json!({ "text": "second" })).await.expect(201);
    assert_eq!(it.tick().await, 0, "they wait behind what comes first");
    // Something of no incident does not.
    it.contact("Ida Berg", json!({})).await;
    assert_eq!(it.tick().await, 1);
    it.minutes(3).await;
    let said: Vec<String> = hook
        .got()
        .iter()
        .map(|(_, body)| serde_json::from_slice::<Value>(body).expect("JSON"))
        .map(|it| format!("{} {}", it["type"].as_str().expect("a type"), it["data"]["text"]))
        .collect();
    let published = "riposte.notification.responsePublished null";
    let message = |text: &str| format!("riposte.notification.messageFromExperts \"{text}\"");
    assert_eq!(said, [published, published, &message("first"), &message("second")]);
}

#[tokio::test]
async fn a_webhook_is_signed_with_each_secret_that_holds_and_pauses_when_it_is_gone() {
    let it = post().await;
    let hook = Hook::start().await;
    let add = json!({ "name": "SIEM", "url": hook.url });
    let added = it.case.ida.post("/api/v1/webhooks", &add).await.expect(201).json();
    let id = added["id"].as_str().expect("an id").to_owned();
    let first = added["secret"].as_str().expect("a secret").to_owned();
    let list = it.case.ida.get("/api/v1/webhooks").await.expect(200).json();
    assert!(!list.to_string().contains("whsec_"), "shown once: {list}");
    let rotated = it.case.ida.post(&format!("/api/v1/webhooks/{id}/rotate"), &json!({})).await;
    let second = rotated.expect(200).json()["secret"].as_str().expect("a secret").to_owned();
    assert_ne!(first, second);
    let test = format!("/api/v1/webhooks/{id}/test");
    let delivery = it.case.ida.post(&test, &json!({})).await.expect(202).json();
    it.tick().await;
    let (headers, body) = hook.got().pop().expect("a request");
    assert_eq!(headers["webhook-id"], delivery["deliveryId"].as_str().expect("an id"));
    let sign = |secret: &str| {
        let bytes =
            STANDARD.decode(secret.strip_prefix("whsec_").expect("its mark")).expect("bytes");
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &bytes);
        let head = format!("{}.{}.", headers["webhook-id"], headers["webhook-timestamp"]);
        let signed = [head.as_bytes(), &body].concat();
        format!("v1,{}", STANDARD.encode(ring::hmac::sign(&key, &signed)))
    };
    assert_eq!(headers["webhook-signature"], format!("{} {}", sign(&second), sign(&first)));
    let event: Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(
        (&event["specversion"], &event["type"]),
        (&json!("1.0"), &json!("riposte.notification.test"))
    );
    // A day later the former one holds no more.
    it.case.face.world.app.clock.advance_seconds(86_401);
    let ida = it.ida().await;
    ida.post(&test, &json!({})).await.expect(202);
    it.tick().await;
    let (headers, _) = hook.got().pop().expect("a request");
    assert_eq!(headers["webhook-signature"].split(' ').count(), 1, "{headers:?}");
    hook.will(&[410]);
    ida.post(&test, &json!({})).await.expect(202);
    it.tick().await;
    let list = ida.get("/api/v1/webhooks").await.expect(200).json();
    assert!(list["value"][0]["pausedDateTime"].is_string(), "{list}");
    ida.post(&test, &json!({})).await.expect(409);
    let before = hook.got().len();
    it.publish_now().await;
    it.tick().await;
    assert_eq!(hook.got().len(), before, "nothing goes there any more");
}

impl Post {
    /// Publishes with sessions of this hour.
    async fn publish_now(&self) {
        let expert = self.case.face.expert().await;
        let body = json!({ "actionType": "text", "displayName": "Call kari" });
        expert.post(&self.case.path("/tasks"), &body).await.expect(201);
    }
}

#[tokio::test]
async fn an_address_of_our_own_network_is_no_webhook() {
    let config = Config { public_url: Some("https://mdr.example".to_owned()), ..Config::default() };
    let case = case_in(Face::with(config).await, "reader").await;
    for url in [
        "http://hooks.alder.example/x",
        "https://127.0.0.1/x",
        "https://169.254.169.254/latest",
        "https://[::1]/",
        "https://user:secret@hooks.alder.example/",
        "https://hooks.alder.example/#x",
        "https://hooks.alder.example/\r\nHost: evil.example",
        "javascript:alert(1)",
        "",
    ] {
        let add = json!({ "name": "SIEM", "url": url });
        case.ida.post("/api/v1/webhooks", &add).await.expect(400);
    }
}

#[tokio::test]
async fn a_customer_is_reminded_as_often_as_it_wants_and_only_while_it_is_awaited() {
    let it = post().await;
    it.contact("Ida Berg", json!({})).await;
    it.publish().await;
    it.tick().await;
    it.server.kept.lock().expect("kept").clear();
    let app = &it.case.face.world.app;
    let look = async |hours: i64| {
        for _ in 0..hours {
            app.clock.advance_seconds(3_600);
            riposte::notification::reminder::watch(app).await.expect("a look");
            it.tick().await;
        }
        it.server.mails().len()
    };
    assert_eq!(look(3).await, 0);
    assert_eq!(look(6).await, 2, "after four and after eight hours");
    assert!(
        it.server.mails()[1].2.contains("has waited for 8 hours"),
        "{:?}",
        it.server.mails()[1]
    );
    let settings = "/api/v1/notifications/settings";
    let ida = it.ida().await;
    ida.put(settings, &json!({ "reminderHours": 169 })).await.expect(400);
    ida.put(settings, &json!({ "reminderHours": 0 })).await.expect(200);
    assert_eq!(look(30).await, 2, "never");
    it.ida().await.put(settings, &json!({ "reminderHours": 1 })).await.expect(200);
    assert_eq!(look(1).await, 3);
    // The customer skips what it was asked for: nothing awaits it any more.
    let ida = it.ida().await;
    let response = ida.get(&it.case.path("/response")).await.expect(200).json();
    let task = response["pending"][0]["id"].as_str().expect("a task").to_owned();
    let skip = json!({ "because": "She is on leave." });
    ida.post(&format!("/api/v1/tasks/{task}/skip"), &skip).await.expect(200);
    assert_eq!(look(30).await, 3);
}

#[tokio::test]
async fn two_processes_tell_everybody_once() {
    let it = post().await;
    let names: Vec<String> = (0..12).map(|n| format!("Contact {n}")).collect();
    for name in &names {
        it.contact(name, json!({})).await;
    }
    let app = &it.case.face.world.app;
    let replica = it.case.face.world.replica();
    let ways = Ways::open(&replica).expect("ways");
    it.publish().await;
    for _ in 0..4 {
        let (one, two) = tokio::join!(engine::tick(app, &it.ways), engine::tick(&replica, &ways));
        one.and(two).expect("a round");
    }
    let mails = it.server.mails();
    let ids: std::collections::BTreeSet<&String> = mails.iter().map(|(_, id, _)| id).collect();
    assert_eq!((mails.len(), ids.len()), (24, 24), "twelve welcomes, twelve responses");
}

/// A mail server that asks for TLS and a password before it takes anything; gives what it was shown.
async fn strict_server(
    listener: tokio::net::TcpListener,
    tls: tokio_rustls::TlsAcceptor,
) -> std::io::Result<(String, Envelope)> {
    use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
    let (mut stream, _) = listener.accept().await?;
    {
        let mut plain = BufReader::new(&mut stream);
        plain.write_all(b"220 mx\r\n").await?;
        for (command, answer) in
            [("EHLO", "250-mx\r\n250 STARTTLS\r\n"), ("STARTTLS", "220 go on\r\n")]
        {
            let mut line = String::new();
            plain.read_line(&mut line).await?;
            assert!(line.starts_with(command), "nothing else in the clear: {line}");
            plain.write_all(answer.as_bytes()).await?;
        }
    }
    let mut stream = BufReader::new(tls.accept(stream).await?);
    let (mut shown, mut mail) = (String::new(), Envelope::default());
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok((shown, mail));
        }
        let answer = match line.split(' ').next().unwrap_or_default().trim() {
            "EHLO" => "250-mx\r\n250 AUTH PLAIN\r\n",
            "AUTH" => {
                line.trim().clone_into(&mut shown);
                "235 welcome\r\n"
            }
            "DATA" => {
                assert!(!shown.is_empty(), "the password comes first");
                stream.write_all(b"354 go on\r\n").await?;
                while !mail.data.ends_with(b"\r\n.\r\n") {
                    stream.read_until(b'\n', &mut mail.data).await?;
                }
                mail.data.truncate(mail.data.len() - 3);
                stream.write_all(b"250 kept\r\n").await?;
                return Ok((shown, mail));
            }
            _ => "250 fine\r\n",
        };
        stream.write_all(answer.as_bytes()).await?;
    }
}

#[tokio::test]
async fn a_mail_goes_out_under_tls_with_a_password_and_a_signature() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).expect("a file");
        Some(path)
    };
    let made =
        rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).expect("a certificate");
    let key = made.signing_key.serialize_der().try_into().expect("a key");
    let tls = tokio_rustls::rustls::ServerConfig::builder_with_provider(
        tokio_rustls::rustls::crypto::ring::default_provider().into(),
    );
    let tls = tls.with_safe_default_protocol_versions().expect("versions").with_no_client_auth();
    let tls = tls.with_single_cert(vec![made.cert.der().clone()], key).expect("a server");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let server = tokio::spawn(strict_server(listener, std::sync::Arc::new(tls).into()));
    let mut mail = Mail {
        smtp: Some(format!("smtp://soc%40fjordwatch.example@{address}")),
        password_file: file("password", "p@ss word\n"),
        from: Some("Fjordwatch <soc@fjordwatch.example>".to_owned()),
        ca: file("ca.pem", &made.cert.pem()),
        dkim_selector: Some("riposte".to_owned()),
        dkim_key: file("dkim", &STANDARD.encode([7; 32])),
        ..Mail::default()
    };
    let config = Config { mail: mail.clone(), ..Config::default() };
    let case = case_in(Face::with(config).await, "reader").await;
    let ways = Ways::open(&case.face.world.app).expect("ways");
    let duty = json!({
        "name": "Duty", "kind": "group", "email": "duty@alder.example",
        "role": "incidentNotification",
    });
    case.ida.post("/api/v1/contacts", &duty).await.expect(201);
    engine::tick(&case.face.world.app, &ways).await.expect("a round");
    let (shown, envelope) = server.await.expect("a server").expect("a conversation");
    let plain = STANDARD.encode("\0soc@fjordwatch.example\0p@ss word");
    assert_eq!(shown, format!("AUTH PLAIN {plain}"));
    // A line that begins with a dot has another one on its way.
    let text = String::from_utf8(envelope.data).expect("text").replace("\r\n..", "\r\n.");
    require_signed(&text, &[7; 32]);
    require_not_signed(&text.replace("contact", "kontact"), &[7; 32]);

    // What cannot be used is said before anybody is let in.
    for (change, named) in [
        (Mail { from: None, ..mail.clone() }, "mail.from"),
        (Mail { password_file: None, ..mail.clone() }, "mail.password_file"),
        (Mail { dkim_key: None, ..mail.clone() }, "mail.dkim_key"),
        (Mail { smtp: Some("http://127.0.0.1".to_owned()), ..mail.clone() }, "mail.smtp"),
        (Mail { ca: Some("/nowhere".into()), ..mail.clone() }, "mail.ca"),
    ] {
        let error = riposte::notification::mail::Post::open(&change).err().expect("refused");
        assert!(error.to_string().starts_with(named), "{error}");
    }
    mail.smtp = Some("smtp://soc:secret@127.0.0.1".to_owned());
    let error = riposte::notification::mail::Post::open(&mail).err().expect("refused");
    assert!(!error.to_string().contains("secret"), "{error}");
}

/// The parts of a DKIM signature (RFC 6376, RFC 8463), checked by hand: the hash of the body, and the
/// signature over the headers it names.
fn signed_as_it_says(mail: &str, seed: &[u8; 32]) -> bool {
    use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
    let (head, body) = mail.split_once("\r\n\r\n").expect("a mail");
    let mut headers: Vec<String> = Vec::new();
    for line in head.split("\r\n") {
        match headers.last_mut() {
            Some(last) if line.starts_with([' ', '\t']) => {
                last.push_str("\r\n");
                last.push_str(line);
            }
            _ => headers.push(line.to_owned()),
        }
    }
    let named = |name: &str| {
        headers.iter().find(|it| it.to_ascii_lowercase().starts_with(&format!("{name}:"))).cloned()
    };
    let signature = named("dkim-signature").expect("a signature");
    let tags: HashMap<String, String> = signature
        .split_once(':')
        .expect("a value")
        .1
        .split(';')
        .filter_map(|tag| tag.split_once('='))
        .map(|(name, value)| (name.trim().to_owned(), value.split_whitespace().collect::<String>()))
        .collect();
    assert_eq!((tags["d"].as_str(), tags["s"].as_str()), ("fjordwatch.example", "riposte"));
    assert_eq!(tags["c"], "relaxed/relaxed");
    let spaced = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let relaxed = |header: &str| {
        let (name, value) = header.split_once(':').expect("a header");
        format!("{}:{}", name.to_ascii_lowercase(), spaced(value))
    };
    let lines = body.split("\r\n").map(|line| {
        let words = line.split([' ', '\t']).collect::<Vec<_>>();
        let mut line =
            words.iter().filter(|it| !it.is_empty()).copied().collect::<Vec<_>>().join(" ");
        if words.first() == Some(&"") && words.iter().any(|it| !it.is_empty()) {
            line.insert(0, ' ');
        }
        line
    });
    let lines = lines.collect::<Vec<_>>().join("\r\n");
    let body = format!("{}\r\n", lines.trim_end_matches("\r\n"));
    let hash = ring::digest::digest(&ring::digest::SHA256, body.as_bytes());
    if STANDARD.encode(hash) != tags["bh"] {
        return false;
    }
    let mut data = String::new();
    for name in tags["h"].split(':') {
        data.push_str(&relaxed(&named(name).expect("a header that it names")));
        data.push_str("\r\n");
    }
    let own = relaxed(&signature);
    data.push_str(&own[..own.rfind(" b=").expect("its own value") + 3]);
    let key = Ed25519KeyPair::from_seed_unchecked(seed).expect("a key");
    let key = UnparsedPublicKey::new(&ED25519, key.public_key().as_ref().to_vec());
    // What is signed is the hash of it (RFC 8463).
    let digest = ring::digest::digest(&ring::digest::SHA256, data.as_bytes());
    key.verify(digest.as_ref(), &STANDARD.decode(&tags["b"]).expect("base64")).is_ok()
}

fn require_signed(mail: &str, seed: &[u8; 32]) {
    assert!(signed_as_it_says(mail, seed), "{mail}");
}

fn require_not_signed(mail: &str, seed: &[u8; 32]) {
    assert!(!signed_as_it_says(mail, seed), "altered, and still signed");
}

#[tokio::test]
async fn hostile_names_stay_inside_their_mail() {
    let it = post().await;
    it.contact(
        "Ida \"Bcc: odd@evil.example\" <b>Berg</b>, odd@evil.example",
        json!({ "email": "ida@alder.example" }),
    )
    .await;
    let title = "x\r\nBcc: odd@evil.example\r\n\r\n<script>alert(1)</script> https://evil.example";
    let task = json!({ "actionType": "text", "displayName": title.replace(['\r', '\n'], " ") });
    it.case.expert.post(&it.case.path("/tasks"), &task).await.expect(201);
    it.case.publish().await;
    it.tick().await;
    for (to, _, mail) in it.server.mails() {
        assert_eq!(to, "ida@alder.example");
        assert!(header(&mail, "Bcc").is_none() && header(&mail, "Subject").is_some(), "{mail}");
        let to = header(&mail, "To").expect("one");
        assert!(to.ends_with(" <ida@alder.example>"), "{to}");
        let (_, html) = mail.split_once("Content-Type: text/html").expect("a part of HTML");
        assert!(!html.contains("<script") && !mail.contains("https://evil"), "{mail}");
        assert_eq!(
            mail.matches("&lt;script&gt;").count(),
            mail.matches("<script>").count(),
            "{mail}"
        );
    }
    assert_eq!(it.server.mails().len(), 2);
}

#[tokio::test]
async fn contacts_are_the_administrators_business_and_stay_in_their_tenant() {
    let it = post().await;
    let id = it.contact("Ida Berg", json!({ "phone": "+46 8 765 43 21" })).await;
    let face = &it.case.face;
    let reader = face.person(&face.world.tenant.id, "r@alder.example", Role::SecurityReader).await;
    let list = reader.get("/api/v1/contacts").await.expect(200).json();
    assert_eq!(list["value"][0]["phone"], "+4687654321");
    assert_eq!(list["may"]["change"]["allowed"], false);
    let path = format!("/api/v1/contacts/{id}");
    reader.patch(&path, &json!({ "name": "x" })).await.expect(403);
    let other =
        face.person(&face.world.other.id, "o@norrland.example", Role::SecurityAdministrator).await;
    other.patch(&path, &json!({ "name": "x" })).await.expect(404);
    other.delete(&path).await.expect(404);
    other.post(&format!("{path}/test"), &json!({})).await.expect(404);
    let twice = json!({
        "name": "x", "kind": "group", "email": "IDA.berg@alder.example", "role": "incidentNotification",
    });
    it.case.ida.post("/api/v1/contacts", &twice).await.expect(409);
    let same =
        it.case.ida.patch(&path, &json!({ "phone": null, "name": "Ida B" })).await.expect(200);
    assert_eq!((&same.json()["phone"], &same.json()["name"]), (&Value::Null, &json!("Ida B")));
    it.case.ida.delete(&path).await.expect(204);
    it.case.ida.delete(&path).await.expect(404);
    it.publish().await;
    it.tick().await;
    assert!(
        it.server.mails().is_empty(),
        "who was removed before anything was sent hears of nothing"
    );
}
