//! Team chat (COM-5, COM-7, NOT-4): one post for an incident, answers below it both ways, and nothing
//! that is forged, foreign, automatic or elsewhere; and PagerDuty (NOT-8, NOT-11). Against stand-ins for
//! Slack, Mattermost, the Bot Framework, a homeserver of Matrix and PagerDuty that keep state, refuse what the real ones refuse, and fail as they do.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use riposte::config::{Chat, Config};
use riposte::notification::engine::{self, Ways};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::face::Face;
use crate::response::{Case, case_in};

const SLACK_TOKEN: &str = "xoxb-1-alder";
const SLACK_SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
const SLACK_PLACE: &str = "C012AB3CD";

/// Where something stands that is neither the program's post nor below one.
const NOWHERE: &str = "nowhere";

/// How a stand-in fails, once each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fault {
    /// 429 with `Retry-After`.
    Wait(u32),
    /// 500, and nothing happened.
    Breaks,
    /// It happens, and the answer is lost.
    Loses,
    /// It happens, and the answer never comes.
    Hangs,
    /// The vendor's own word of refusal.
    Says(&'static str),
}

/// What a stand-in holds.
#[derive(Default)]
struct Held {
    /// What was posted and said, in order.
    posts: Vec<Value>,
    /// People: id, and what is said of them.
    people: BTreeMap<String, Value>,
    members: BTreeSet<String>,
    /// For the next posts, in order.
    faults: VecDeque<Fault>,
    archived: bool,
    /// States of a room, by their type and key.
    states: BTreeMap<String, Value>,
    /// What was made of a transaction: a homeserver does not forget it at once.
    made: BTreeMap<String, String>,
    /// How often a homeserver has forgotten what its moments mean.
    forgot: u64,
    /// Whether tokens are not taken any more.
    revoked: bool,
    /// Requests by what they ask for.
    asked: Vec<String>,
    next: u64,
}

/// A stand-in for a vendor.
#[derive(Clone)]
struct Vendor {
    url: String,
    held: Arc<Mutex<Held>>,
}

impl Vendor {
    async fn start<F>(answer: F) -> Self
    where
        F: Fn(&Vendor, &str, &str, &HeaderMap, &Bytes) -> (u16, Value)
            + Clone
            + Send
            + Sync
            + 'static,
    {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let it = Self { url, held: Arc::default() };
        let shared = it.clone();
        let take = move |State(it): State<Vendor>, request: Request| {
            let answer = answer.clone();
            async move {
                let (parts, body) = request.into_parts();
                let body = axum::body::to_bytes(body, 1 << 20).await.expect("a body");
                let path = parts.uri.path_and_query().map_or("", |it| it.as_str()).to_owned();
                let method = parts.method.as_str().to_owned();
                it.held.lock().expect("held").asked.push(format!("{method} {path}"));
                let posts = Self::posts(&method, &path);
                let fault =
                    if posts { it.held.lock().expect("held").faults.pop_front() } else { None };
                match fault {
                    Some(Fault::Wait(seconds)) => {
                        let head = [("retry-after", seconds.to_string())];
                        let body = json!({
                            "errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": seconds * 1_000,
                        });
                        let body = body.to_string();
                        return (StatusCode::TOO_MANY_REQUESTS, head, body).into_response();
                    }
                    Some(Fault::Breaks) => {
                        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
                    }
                    Some(Fault::Says(error)) => {
                        return json_of(200, &json!({ "ok": false, "error": error }));
                    }
                    _ => {}
                }
                let (status, said) = answer(&it, &method, &path, &parts.headers, &body);
                match fault {
                    Some(Fault::Loses) => StatusCode::BAD_GATEWAY.into_response(),
                    Some(Fault::Hangs) => std::future::pending().await,
                    _ => json_of(status, &said),
                }
            }
        };
        let router = axum::Router::new().fallback(take).with_state(shared);
        tokio::spawn(async move { axum::serve(listener, router).await });
        it
    }

    /// Whether a request makes a message.
    fn posts(method: &str, path: &str) -> bool {
        let sends = path.contains("/send/m.room.message/");
        (method == "PUT" && sends)
            || path == "/v2/enqueue"
            || method == "POST"
                && (path == "/chat.postMessage"
                    || path == "/api/v4/posts"
                    || path.ends_with("/v3/conversations")
                    || path.ends_with("/activities"))
    }

    fn will(&self, faults: &[Fault]) {
        self.held.lock().expect("held").faults.extend(faults);
    }

    fn with<T>(&self, what: impl FnOnce(&mut Held) -> T) -> T {
        what(&mut self.held.lock().expect("held"))
    }

    fn all(&self) -> Vec<Value> {
        self.with(|held| held.posts.clone())
    }

    /// The posts that stand below nothing, and those that stand below one.
    fn sorted(&self) -> (Vec<Value>, Vec<Value>) {
        let all = self.all().into_iter().filter(|it| it["below"] != NOWHERE);
        all.partition(|it| it["below"].is_null())
    }

    fn person(&self, id: &str, what: Value) {
        self.with(|held| {
            held.people.insert(id.to_owned(), what);
            held.members.insert(id.to_owned());
        });
    }
}

fn json_of(status: u16, body: &Value) -> Response {
    let head = [("content-type", "application/json")];
    (StatusCode::from_u16(status).expect("a status"), head, Body::from(body.to_string()))
        .into_response()
}

fn bearer(headers: &HeaderMap) -> &str {
    let shown = headers.get("authorization").and_then(|it| it.to_str().ok()).unwrap_or_default();
    shown.strip_prefix("Bearer ").unwrap_or_default()
}

/// Every text that stands somewhere in a message, joined.
fn texts(it: &Value) -> String {
    match it {
        Value::String(text) => format!("{text}\n"),
        Value::Array(all) => all.iter().map(texts).collect(),
        Value::Object(all) => all.values().map(texts).collect(),
        _ => String::new(),
    }
}

// Slack.

fn slack_error(error: &str) -> (u16, Value) {
    (200, json!({ "ok": false, "error": error }))
}

fn text_of(it: &Value, most: usize) -> bool {
    it["text"].as_str().is_some_and(|text| !text.is_empty() && text.chars().count() <= most)
}

fn rich(it: &Value) -> bool {
    let inner = |it: &Value| {
        it["elements"].as_array().is_some_and(|all| !all.is_empty() && all.iter().all(rich))
    };
    match it["type"].as_str() {
        Some("rich_text_section" | "rich_text_quote") => inner(it),
        Some("rich_text_list") => inner(it) && it["style"] == "bullet",
        Some("text") => text_of(it, 12_000),
        _ => false,
    }
}

/// What Slack finds wrong with blocks.
fn blocks_are_sound(blocks: &Value) -> bool {
    let Some(blocks) = blocks.as_array().filter(|it| !it.is_empty() && it.len() <= 50) else {
        return false;
    };
    blocks.iter().all(|block| match block["type"].as_str() {
        Some("header") => block["text"]["type"] == "plain_text" && text_of(&block["text"], 150),
        Some("rich_text") => block["elements"].as_array().is_some_and(|all| all.iter().all(rich)),
        Some("context") => {
            block["elements"].as_array().is_some_and(|all| all.iter().all(|it| text_of(it, 3_000)))
        }
        Some("actions") => block["elements"].as_array().is_some_and(|all| {
            all.iter().all(|it| {
                let url = it["url"].as_str().unwrap_or_default();
                it["type"] == "button" && text_of(&it["text"], 75) && url.starts_with("http")
            })
        }),
        _ => false,
    })
}

fn slack(it: &Vendor, _: &str, path: &str, headers: &HeaderMap, body: &Bytes) -> (u16, Value) {
    let kind = headers.get("content-type").and_then(|it| it.to_str().ok()).unwrap_or_default();
    let method = path.trim_start_matches('/');
    // Methods that read take no JSON.
    let given: Value = if method == "chat.postMessage" {
        assert!(kind.starts_with("application/json"), "{method}: {kind}");
        serde_json::from_slice(body).expect("json")
    } else {
        assert!(kind.starts_with("application/x-www-form-urlencoded"), "{method}: {kind}");
        let pairs = openidconnect::url::form_urlencoded::parse(body);
        Value::Object(pairs.map(|(name, value)| (name.into_owned(), json!(value))).collect())
    };
    it.with(|held| {
        if bearer(headers) != SLACK_TOKEN {
            return slack_error("invalid_auth");
        }
        if held.revoked {
            return slack_error("token_revoked");
        }
        if method == "auth.test" {
            return (
                200,
                json!({
                    "ok": true, "team_id": "T0ALDER", "team": "Alder Freight", "user_id": "U0BOT",
                    "bot_id": "B0BOT",
                }),
            );
        }
        if method == "users.info" {
            return match held.people.get(given["user"].as_str().unwrap_or_default()) {
                Some(who) => (200, json!({ "ok": true, "user": who })),
                None => slack_error("user_not_found"),
            };
        }
        if given["channel"] != SLACK_PLACE {
            return slack_error("channel_not_found");
        }
        let below = |ts: &str| held.posts.iter().any(|it| it["ts"] == ts && it["below"].is_null());
        match method {
            "conversations.info" => {
                let channel = json!({
                    "id": SLACK_PLACE, "name": "managed-response", "is_archived": held.archived,
                    "is_member": true,
                });
                (200, json!({ "ok": true, "channel": channel }))
            }
            "conversations.members" => (200, json!({ "ok": true, "members": held.members })),
            "conversations.history" | "conversations.replies" => {
                let thread = given["ts"].as_str();
                if thread.is_some_and(|ts| !below(ts)) {
                    return slack_error("thread_not_found");
                }
                let found: Vec<&Value> = held
                    .posts
                    .iter()
                    .filter(|it| match thread {
                        Some(ts) => it["ts"] == ts || it["below"] == ts,
                        None => it["below"].is_null(),
                    })
                    .collect();
                (200, json!({ "ok": true, "messages": found }))
            }
            "chat.postMessage" => {
                if held.archived {
                    return slack_error("is_archived");
                }
                if !blocks_are_sound(&given["blocks"]) {
                    return slack_error("invalid_blocks");
                }
                if given["thread_ts"].as_str().is_some_and(|ts| !below(ts)) {
                    return slack_error("thread_not_found");
                }
                held.next += 1;
                let ts = format!("17000{:05}.000100", held.next);
                let mut post = given.clone();
                (post["ts"], post["below"]) = (json!(ts), given["thread_ts"].clone());
                held.posts.push(post);
                (200, json!({ "ok": true, "ts": ts, "channel": SLACK_PLACE }))
            }
            _ => slack_error("unknown_method"),
        }
    })
}

fn slack_person(name: &str) -> Value {
    json!({
        "id": "U0KARI", "team_id": "T0ALDER", "deleted": false, "is_bot": false,
        "profile": { "real_name": name },
    })
}

/// A customer whose team chat is connected.
struct Chatting {
    case: Case,
    ways: Ways,
    channel: String,
    vendor: Vendor,
}

async fn with(chat: Chat, vendor: Vendor, body: Value) -> Chatting {
    let case = case_in(Face::with(Config { chat, ..Config::default() }).await, "reader").await;
    let made = case.ida.post("/api/v1/chat-channels", &body).await.expect(201).json();
    let channel = made["id"].as_str().expect("an id").to_owned();
    Chatting { case, ways: Ways::default(), channel, vendor }
}

async fn on_slack() -> Chatting {
    let vendor = Vendor::start(slack).await;
    vendor.person("U0KARI", slack_person("Kari Nordmann"));
    let chat = Chat { slack_url: vendor.url.clone(), ..Chat::default() };
    let body = json!({
        "vendor": "slack", "name": "#managed-response", "settings": { "channelId": SLACK_PLACE },
        "secrets": { "botToken": SLACK_TOKEN, "signingSecret": SLACK_SECRET },
    });
    with(chat, vendor, body).await
}

impl Chatting {
    async fn tick(&self) -> usize {
        engine::tick(&self.case.face.world.app, &self.ways).await.expect("a round")
    }

    fn advance(&self, seconds: i64) {
        self.case.face.world.app.clock.advance_seconds(seconds);
    }

    async fn publish(&self) {
        self.case.draft(json!({ "actionType": "text", "displayName": "Call kari" })).await;
        self.case.publish().await;
    }

    async fn ida(&self) -> crate::browser::Browser {
        let (face, email) = (&self.case.face, format!("i{}@alder.example", uuid::Uuid::new_v4()));
        let role = riposte::permission::Role::SecurityAdministrator;
        face.person(&face.world.tenant.id, &email, role).await
    }

    async fn say(&self, by: &str, text: &str) {
        let path = format!("/api/v1/conversations/incident-{}/messages", self.case.incident);
        let body = json!({ "text": text });
        if by == "expert" {
            self.case.face.expert().await.post(&path, &body).await.expect(201);
        } else {
            self.ida().await.post(&path, &body).await.expect(201);
        }
    }

    /// What the customer sees of the chat, and what only experts do.
    async fn said(&self) -> (Vec<Value>, Vec<Value>) {
        let path = format!("/api/v1/conversations/incident-{}", self.case.incident);
        let all = self.case.face.expert().await.get(&path).await.expect(200).json();
        let all = all["messages"].as_array().expect("messages").clone();
        all.into_iter().partition(|it| it["visibility"] != "experts")
    }

    /// Those that came in by a team chat, as author and text.
    async fn heard(&self) -> Vec<(String, String)> {
        let (shared, _) = self.said().await;
        let text = |it: &Value| it.as_str().unwrap_or_default().to_owned();
        let came = shared.iter().filter(|it| !it["via"].is_null());
        came.map(|it| (text(&it["author"]), text(&it["text"]))).collect()
    }

    async fn facts(&self, kind: &str) -> Vec<Value> {
        let log = self.ida().await.get("/api/v1/audit?top=500").await.expect(200).json();
        let all = log["value"].as_array().expect("a log").clone();
        all.into_iter().filter(|it| it["operation"] == kind).collect()
    }

    /// The channel as its settings show it.
    async fn shown(&self) -> Value {
        let all = self.ida().await.get("/api/v1/chat-channels").await.expect(200).json();
        let all = all["value"].as_array().expect("channels").clone();
        all.into_iter().find(|it| it["id"] == self.channel.as_str()).expect("the channel")
    }

    async fn states(&self) -> Vec<(String, String, i64)> {
        let all = self.ida().await.get("/api/v1/deliveries?top=200").await.expect(200).json();
        let text = |it: &Value| it.as_str().unwrap_or_default().to_owned();
        let all = all["value"].as_array().expect("deliveries").iter();
        all.map(|it| (text(&it["kind"]), text(&it["state"]), it["attempts"].as_i64().unwrap_or(0)))
            .collect()
    }

    /// A request to the channel's address, as anybody could send it.
    async fn send(&self, headers: &[(&str, String)], body: String) -> (u16, String) {
        let path = format!("/api/v1/chat-channels/{}/events", self.channel);
        let mut request = axum::http::Request::post(path);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let request = request.body(Body::from(body)).expect("a request");
        let answer = self.case.face.router.clone().oneshot(request).await.expect("an answer");
        let status = answer.status().as_u16();
        let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await.expect("a body");
        (status, String::from_utf8(body.to_vec()).expect("text"))
    }

    /// Signs as Slack does, at a moment so many seconds ago.
    fn signed(&self, body: &str, ago: i64, secret: &str) -> Vec<(&'static str, String)> {
        let now = self.case.face.world.app.clock.now().micros() / 1_000_000 - ago;
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let mark = hmac::sign(&key, format!("v0:{now}:{body}").as_bytes());
        vec![
            ("content-type", "application/json".to_owned()),
            ("x-slack-request-timestamp", now.to_string()),
            ("x-slack-signature", format!("v0={}", hex::encode(mark.as_ref()))),
        ]
    }

    /// An event of Slack's; gives the status.
    async fn event(&self, event: &Value) -> u16 {
        let body = json!({
            "type": "event_callback", "team_id": "T0ALDER", "api_app_id": "A0",
            "event_id": format!("Ev{}", uuid::Uuid::new_v4().simple()), "event": event,
        });
        let body = body.to_string();
        self.send(&self.signed(&body, 0, SLACK_SECRET), body).await.0
    }

    /// The incident's post.
    fn root(&self) -> Value {
        let (tops, _) = self.vendor.sorted();
        assert_eq!(tops.len(), 1, "one post for an incident: {tops:?}");
        tops[0].clone()
    }

    fn reply(&self, text: &str) -> Value {
        let n = self.vendor.with(|held| {
            held.next += 1;
            held.next
        });
        json!({
            "type": "message", "channel": SLACK_PLACE, "user": "U0KARI", "text": text,
            "ts": format!("17000{n:05}.000200"), "thread_ts": self.root()["ts"], "team": "T0ALDER",
        })
    }
}

#[tokio::test]
async fn an_incident_has_one_post_in_slack_and_is_talked_about_below_it() {
    let it = on_slack().await;
    it.publish().await;
    assert_eq!(it.tick().await, 1);
    let post = it.root();
    let all = texts(&post);
    assert!(all.contains("needs you on an incident") && all.contains("Call kari"), "{post}");
    assert!(all.contains(&format!("/incidents/{}?response=actions", it.case.incident)), "{post}");
    assert!(all.contains("Answer below this post"), "{post}");
    // Somebody answers below it: it stands in the chat with the name, and is acknowledged there.
    let said = it.reply("Dock-3 &lt;first&gt;, <@U0BOT> please &amp; <https://a.example|see>.");
    assert_eq!(it.event(&said).await, 200);
    it.tick().await;
    let (chat, notes) = it.said().await;
    assert_eq!(chat.len(), 2, "{chat:?}");
    assert_eq!(
        (&chat[0]["author"], &chat[0]["side"], &chat[0]["via"]),
        (&json!("Kari Nordmann"), &json!("customer"), &json!("slack")),
    );
    assert_eq!(chat[0]["text"], "Dock-3 <first>,  please & https://a.example.");
    assert_eq!(chat[1]["side"], "assistant", "it is acknowledged like any other word");
    assert!(notes.is_empty(), "{notes:?}");
    let (tops, below) = it.vendor.sorted();
    assert_eq!(tops.len(), 1);
    assert_eq!(below.len(), 1, "the acknowledgement, and not its own word: {below:?}");
    assert!(below.iter().all(|it| it["below"] == post["ts"]));
    // The same event again, and the same message as a mention.
    assert_eq!(it.event(&said).await, 200);
    let mut mention = said.clone();
    mention["type"] = json!("app_mention");
    assert_eq!(it.event(&mention).await, 200);
    it.tick().await;
    assert_eq!(it.said().await.0.len(), 2, "a message counts once");
    // Words from elsewhere come below it too, with their author's name.
    it.say("expert", "Then h2 <!channel> @here.").await;
    it.say("customer", "I watch from the portal.").await;
    it.tick().await;
    let (tops, below) = it.vendor.sorted();
    assert_eq!(tops.len(), 1, "still one post");
    let later: String = below[1..].iter().map(texts).collect();
    assert!(later.contains("Then h2 <!channel> @here."), "{later}");
    assert!(later.contains("I watch from the portal."), "{later}");
    assert!(below[1..].iter().any(|it| it["text"].as_str().is_some_and(|it| it.contains("wrote"))));
    for reply in &below {
        let fallback = reply["text"].as_str().expect("text");
        assert!(!fallback.contains('<'), "no markup outside of blocks: {fallback}");
    }
    // A reminder is a reply as well.
    it.advance(5 * 3_600);
    riposte::notification::reminder::watch(&it.case.face.world.app).await.expect("reminders");
    it.tick().await;
    let (tops, below) = it.vendor.sorted();
    assert_eq!(tops.len(), 1);
    assert!(texts(below.last().expect("a reply")).contains("still waits"), "{below:?}");
    assert!(it.states().await.iter().all(|(_, state, _)| state == "delivered"));
}

#[tokio::test]
async fn nothing_forged_foreign_automatic_or_elsewhere_enters_from_slack() {
    let it = on_slack().await;
    it.publish().await;
    it.tick().await;
    let good = it.reply("kanarie");
    let whole = |team: &str, event: &Value| {
        json!({ "type": "event_callback", "team_id": team, "event_id": "Ev1", "event": event })
            .to_string()
    };
    let body = whole("T0ALDER", &good);
    let forged = it.signed(&body, 0, "another secret, of nobody");
    assert_eq!(it.send(&forged, body.clone()).await.0, 401, "another secret");
    assert_eq!(it.send(&it.signed(&body, 301, SLACK_SECRET), body.clone()).await.0, 401, "old");
    assert_eq!(it.send(&it.signed(&body, -301, SLACK_SECRET), body.clone()).await.0, 401, "future");
    let altered = body.replace("kanarie", "kanarie2");
    assert_eq!(it.send(&it.signed(&body, 0, SLACK_SECRET), altered).await.0, 401, "altered");
    assert_eq!(it.send(&[], body.clone()).await.0, 401, "nothing shown");
    let other = whole("T0OTHER", &good);
    assert_eq!(it.send(&it.signed(&other, 0, SLACK_SECRET), other.clone()).await.0, 401);
    let refused = it.facts("chatChannel.refused").await;
    assert!((2..=5).contains(&refused.len()), "each reason, once an hour: {refused:?}");
    assert_eq!(it.shown().await["refused"], "it is of another workspace");
    // What is Slack's own word and nothing to us.
    for (member, value) in [
        ("channel", json!("C0ELSEWHERE")),
        ("thread_ts", Value::Null),
        ("thread_ts", json!("1600000000.000001")),
        ("bot_id", json!("B0OTHER")),
        ("user", json!("U0BOT")),
        ("user", json!("USLACKBOT")),
        ("subtype", json!("message_changed")),
        ("subtype", json!("bot_message")),
        ("subtype", json!("channel_join")),
    ] {
        let mut event = it.reply("kanarie");
        if value.is_null() {
            event.as_object_mut().expect("an object").remove(member);
        } else {
            event[member] = value.clone();
        }
        assert_eq!(it.event(&event).await, 200, "{member} {value}");
    }
    it.vendor.person("USLACKBOT", slack_person("slackbot"));
    let asked = it.vendor.with(|held| held.asked.len());
    it.tick().await;
    assert!(it.heard().await.is_empty(), "{:?}", it.heard().await);
    assert!(it.said().await.1.is_empty(), "nobody answered, so nobody is told of it");
    assert_eq!(it.vendor.with(|held| held.asked.len()), asked, "and Slack is asked nothing");
    // Who answers and is not of the workspace or channel is not heard, and the experts know.
    let strangers = [
        ("U0GONE", json!({ "team_id": "T0ALDER", "deleted": true })),
        ("U0FAR", json!({ "team_id": "T0PARTNER", "is_stranger": true })),
        ("U0FAR2", json!({ "team_id": "T0PARTNER" })),
        ("U0OUT", json!({ "team_id": "T0ALDER", "profile": { "real_name": "Out" } })),
    ];
    for (id, who) in strangers {
        it.vendor.person(id, who);
    }
    it.vendor.with(|held| held.members.remove("U0OUT"));
    for user in ["U0GONE", "U0FAR", "U0FAR2", "U0OUT", "U0NOBODY"] {
        let mut event = it.reply("kanarie");
        event["user"] = json!(user);
        assert_eq!(it.event(&event).await, 200);
    }
    it.vendor.person("U0ROBOT", json!({ "team_id": "T0ALDER", "is_bot": true }));
    let mut event = it.reply("kanarie");
    event["user"] = json!("U0ROBOT");
    it.event(&event).await;
    it.tick().await;
    assert!(it.heard().await.is_empty(), "{:?}", it.heard().await);
    let (_, notes) = it.said().await;
    assert_eq!(notes.len(), 5, "{notes:?}");
    assert!(notes.iter().all(|it| !it["text"].as_str().expect("text").contains("kanarie")));
    assert_eq!(it.facts("reply.refused").await.len(), 5);
    // The very same person is heard.
    assert_eq!(it.event(&it.reply("now")).await, 200);
    it.tick().await;
    assert_eq!(it.heard().await, [("Kari Nordmann".to_owned(), "now".to_owned())]);
}

#[tokio::test]
async fn slack_is_told_its_challenge_and_files_are_left_out() {
    let it = on_slack().await;
    let body = json!({ "type": "url_verification", "challenge": "3eZbrw1aB" }).to_string();
    let answer = it.send(&it.signed(&body, 0, SLACK_SECRET), body.clone()).await;
    assert_eq!(answer, (200, "3eZbrw1aB".to_owned()));
    assert_eq!(it.send(&it.signed(&body, 0, "no"), body).await.0, 401);
    it.publish().await;
    it.tick().await;
    let mut event = it.reply("");
    (event["subtype"], event["files"]) = (json!("file_share"), json!([{ "id": "F1" }]));
    it.event(&event).await;
    it.tick().await;
    let (chat, _) = it.said().await;
    assert_eq!(chat.len(), 3, "{chat:?}");
    assert!(chat[2]["text"].as_str().expect("text").contains("file"), "COM-6: {chat:?}");
}

#[tokio::test]
async fn whatever_slack_does_there_is_one_post_and_each_reply_once() {
    use Fault::{Breaks, Loses, Says, Wait};
    let it = on_slack().await;
    it.vendor.will(&[Wait(90), Breaks, Loses, Says("ratelimited")]);
    it.publish().await;
    assert_eq!(it.tick().await, 1);
    it.advance(60);
    assert_eq!(it.tick().await, 0, "it asked us to wait for 90 s");
    for _ in 0..120 {
        it.advance(60);
        it.tick().await;
    }
    it.root();
    it.vendor.will(&[Loses, Breaks, Loses]);
    it.say("expert", "one").await;
    it.say("expert", "two").await;
    for _ in 0..120 {
        it.advance(60);
        it.tick().await;
    }
    let (_, below) = it.vendor.sorted();
    let said: Vec<&str> = ["one", "two"]
        .into_iter()
        .filter(|word| {
            below.iter().filter(|it| texts(it).contains(&format!("\n{word}\n"))).count() == 1
        })
        .collect();
    assert_eq!(said, ["one", "two"], "in order, once each: {below:?}");
    assert!(it.states().await.iter().all(|(_, state, _)| state == "delivered"));
}

#[tokio::test]
async fn a_process_that_dies_between_the_post_and_its_note_leaves_one_post() {
    let it = on_slack().await;
    it.vendor.will(&[Fault::Hangs]);
    it.publish().await;
    // What a kill leaves: the post is there, and nobody has written that it is.
    let died = tokio::time::timeout(Duration::from_secs(2), it.tick()).await;
    assert!(died.is_err(), "it hangs");
    assert_eq!(it.vendor.all().len(), 1);
    assert_eq!(it.event(&it.reply("before it is known")).await, 200);
    assert_eq!(it.event(&it.reply("right behind")).await, 200);
    it.advance(60);
    it.tick().await;
    it.root();
    it.advance(60);
    it.tick().await;
    let heard: Vec<String> = it.heard().await.into_iter().map(|(_, text)| text).collect();
    assert_eq!(heard, ["before it is known", "right behind"], "and its thread is known");
}

#[tokio::test]
async fn a_post_that_somebody_deleted_is_made_anew() {
    let it = on_slack().await;
    it.publish().await;
    it.tick().await;
    it.vendor.with(|held| held.posts.clear());
    it.say("expert", "still there?").await;
    for _ in 0..3 {
        it.tick().await;
        it.advance(60);
    }
    let post = it.root();
    assert!(texts(&post).contains("still there?"), "{post}");
    it.event(&it.reply("yes")).await;
    it.tick().await;
    assert_eq!(it.heard().await.len(), 1);
}

#[tokio::test]
async fn what_keeps_us_from_a_channel_is_shown_and_told_to_others() {
    let it = on_slack().await;
    it.vendor.with(|held| held.archived = true);
    it.publish().await;
    it.tick().await;
    let shown = it.shown().await;
    assert_eq!(shown["trouble"]["kind"], "archived", "{shown}");
    assert!(shown["trouble"]["remedy"].as_str().expect("text").contains("test"));
    assert_eq!(it.facts("delivery.failed").await.len(), 1, "others are told");
    // It is restored there, and a test shows that.
    it.vendor.with(|held| held.archived = false);
    let path = format!("/api/v1/chat-channels/{}", it.channel);
    it.ida().await.post(&format!("{path}/test"), &json!({})).await.expect(202);
    it.tick().await;
    assert!(it.shown().await["trouble"].is_null());
    // Slack says so itself, at once.
    let event = json!({ "type": "channel_archive", "channel": SLACK_PLACE, "user": "U0KARI" });
    it.event(&event).await;
    it.tick().await;
    assert_eq!(it.shown().await["trouble"]["kind"], "archived");
    // The token is taken back; a new one is entered.
    it.vendor.with(|held| held.revoked = true);
    it.ida().await.post(&format!("{path}/test"), &json!({})).await.expect(202);
    it.tick().await;
    assert_eq!(it.shown().await["trouble"]["kind"], "unauthorized");
    it.vendor.with(|held| held.revoked = false);
    let secrets = json!({ "secrets": { "botToken": SLACK_TOKEN } });
    let changed = it.ida().await.patch(&path, &secrets).await.expect(200).json();
    assert!(changed["trouble"].is_null() && !changed.to_string().contains("xoxb"), "{changed}");
    it.ida().await.post(&format!("{path}/test"), &json!({})).await.expect(202);
    it.tick().await;
    assert!(it.shown().await["trouble"].is_null());
    // Removing the app is final.
    it.event(&json!({ "type": "app_uninstalled" })).await;
    it.tick().await;
    assert_eq!(it.shown().await["trouble"]["kind"], "uninstalled");
    it.ida().await.patch(&path, &secrets).await.expect(409);
    it.ida().await.post(&format!("{path}/test"), &json!({})).await.expect(409);
    let before = it.vendor.all().len();
    it.say("expert", "into the void").await;
    it.tick().await;
    assert_eq!(it.vendor.all().len(), before);
    it.ida().await.delete(&path).await.expect(204);
    it.ida().await.delete(&path).await.expect(404);
}

#[tokio::test]
async fn a_channel_is_connected_by_an_administrator_and_its_secrets_are_never_shown() {
    let it = on_slack().await;
    let ida = it.ida().await;
    let all = ida.get("/api/v1/chat-channels").await.expect(200).text;
    assert!(!all.contains(SLACK_TOKEN) && !all.contains(SLACK_SECRET), "{all}");
    assert!(it.shown().await["eventsUrl"].as_str().expect("text").ends_with("/events"));
    let log = ida.get("/api/v1/audit?top=500").await.expect(200).text;
    assert!(!log.contains(SLACK_TOKEN) && !log.contains(SLACK_SECRET));
    let good = json!({
        "vendor": "slack", "settings": { "channelId": "C0OTHER1" },
        "secrets": { "botToken": SLACK_TOKEN, "signingSecret": SLACK_SECRET },
    });
    for (path, value) in [
        ("/settings/channelId", json!("general")),
        ("/settings/channelId", json!("C0<!channel>")),
        ("/settings/channelId", json!(7)),
        ("/settings/extra", json!("x")),
        ("/secrets/botToken", json!("xoxp-a-person")),
        ("/secrets/signingSecret", json!("")),
        ("/vendor", json!("irc")),
        ("/vendor", json!("teams")),
    ] {
        let mut body = good.clone();
        let (part, name) = path[1..].split_once('/').unwrap_or((&path[1..], ""));
        if name.is_empty() {
            body[part] = value.clone();
        } else {
            body[part][name] = value.clone();
        }
        ida.post("/api/v1/chat-channels", &body).await.expect(400);
    }
    ida.post("/api/v1/chat-channels", &good).await.expect(201);
    ida.post("/api/v1/chat-channels", &good).await.expect(409);
    // No server of the inside is asked for anything.
    let inside = json!({
        "vendor": "mattermost",
        "settings": { "baseUrl": "https://169.254.169.254/", "channelId": "a".repeat(26) },
        "secrets": { "botToken": "0123456789", "webhookToken": "0123456789" },
    });
    ida.post("/api/v1/chat-channels", &inside).await.expect(400);
}

// Mattermost.

const MATTERMOST_TOKEN: &str = "pbg5n3xtkjf3uppzkm6prfhx4w";
const HOOK_TOKEN: &str = "9jrxak1ykxrmnaed9cps9i4cim";
const MATTERMOST_PLACE: &str = "qmd5oqtwoibz8cuzxzg5ekshgr";
const KARI: &str = "kari5oqtwoibz8cuzxzg5ekshg";

fn named(n: u64, letter: char) -> String {
    format!("{n:0>25}{letter}")
}

fn refusal(status: u16, id: &str) -> (u16, Value) {
    (status, json!({ "id": id, "message": "no", "status_code": status }))
}

fn mattermost(
    it: &Vendor,
    method: &str,
    path: &str,
    headers: &HeaderMap,
    body: &Bytes,
) -> (u16, Value) {
    it.with(|held| {
        if bearer(headers) != MATTERMOST_TOKEN || held.revoked {
            return refusal(401, "api.context.session_expired.app_error");
        }
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let parts: Vec<&str> = path.trim_start_matches("/api/v4/").split('/').collect();
        let gone = |it: &Value| it["delete_at"].as_i64().unwrap_or(0) > 0;
        let find = |id: &str| held.posts.iter().find(|it| it["id"] == id && !gone(it)).cloned();
        let several = |all: Vec<Value>| {
            let posts: serde_json::Map<String, Value> = all
                .into_iter()
                .map(|it| (it["id"].as_str().expect("an id").to_owned(), it))
                .collect();
            (200, json!({ "posts": posts }))
        };
        match (method, parts.as_slice()) {
            ("GET", ["users", "me"]) => (200, json!({ "id": named(0, 'b'), "is_bot": true })),
            ("GET", ["users", id]) => match held.people.get(*id) {
                Some(who) => (200, who.clone()),
                None => refusal(404, "app.user.missing_account.const"),
            },
            ("GET", ["channels", id, "members", user]) if *id == MATTERMOST_PLACE => {
                if held.members.contains(*user) {
                    (200, json!({ "user_id": user }))
                } else {
                    refusal(404, "app.channel.get_member.missing.app_error")
                }
            }
            ("GET", ["channels", id, "posts"]) if *id == MATTERMOST_PLACE => {
                if query.starts_with("page=0") {
                    several(held.posts.clone())
                } else {
                    several(vec![])
                }
            }
            ("GET", ["channels", id]) if *id == MATTERMOST_PLACE => {
                let deleted = i64::from(held.archived);
                (
                    200,
                    json!({ "id": id, "team_id": named(9, 't'), "display_name": "Managed response",
                              "delete_at": deleted }),
                )
            }
            ("GET", ["posts", id]) => match find(id) {
                Some(post) => (200, post),
                None => refusal(404, "app.post.get.app_error"),
            },
            ("GET", ["posts", id, "thread"]) => match find(id) {
                Some(_) => several(
                    held.posts
                        .iter()
                        .filter(|it| it["id"] == *id || it["root_id"] == *id)
                        .cloned()
                        .collect(),
                ),
                None => refusal(404, "app.post.get.app_error"),
            },
            ("POST", ["posts"]) => {
                let given: Value = serde_json::from_slice(body).expect("json");
                if given["channel_id"] != MATTERMOST_PLACE {
                    return refusal(403, "api.context.permissions.app_error");
                }
                if held.archived {
                    return refusal(400, "api.post.create_post.can_not_post_to_deleted.error");
                }
                let root = given["root_id"].as_str().unwrap_or_default();
                if !root.is_empty() && find(root).is_none() {
                    return refusal(400, "api.post.create_post.root_id.app_error");
                }
                let message = given["message"].as_str().unwrap_or_default();
                if message.is_empty() || message.len() > 16_383 {
                    return refusal(400, "model.post.is_valid.message_length.app_error");
                }
                held.next += 1;
                let mut post = given.clone();
                post["id"] = json!(named(held.next, 'p'));
                post["user_id"] = json!(named(0, 'b'));
                post["props"]["from_bot"] = json!("true");
                post["create_at"] = json!(i64::MAX / 2);
                post["below"] = if root.is_empty() { Value::Null } else { json!(root) };
                held.posts.push(post.clone());
                (201, post)
            }
            _ => refusal(404, "api.context.404.app_error"),
        }
    })
}

async fn on_mattermost() -> Chatting {
    let vendor = Vendor::start(mattermost).await;
    vendor.person(
        KARI,
        json!({ "id": KARI, "username": "kari", "first_name": "Kari",
                                "last_name": "Nordmann", "delete_at": 0 }),
    );
    let body = json!({
        "vendor": "mattermost", "name": "Town square",
        "settings": { "baseUrl": vendor.url, "channelId": MATTERMOST_PLACE },
        "secrets": { "botToken": MATTERMOST_TOKEN, "webhookToken": HOOK_TOKEN },
    });
    with(Chat::default(), vendor, body).await
}

impl Chatting {
    /// Somebody writes in Mattermost, and its outgoing webhook says so; gives the status.
    async fn written(&self, token: &str, change: impl FnOnce(&mut Value)) -> (u16, String) {
        let root = self.root()["id"].clone();
        let id = self.vendor.with(|held| {
            held.next += 1;
            named(held.next, 'q')
        });
        let mut post = json!({
            "id": id, "channel_id": MATTERMOST_PLACE, "root_id": root, "user_id": KARI,
            "message": "kanarie", "type": "", "props": {}, "create_at": 1,
        });
        change(&mut post);
        post["below"] = post["root_id"].clone();
        let text = |name: &str| post[name].as_str().unwrap_or_default().to_owned();
        let form = openidconnect::url::form_urlencoded::Serializer::new(String::new())
            .append_pair("token", token)
            .append_pair("channel_id", &text("channel_id"))
            .append_pair("post_id", &text("id"))
            .append_pair("user_name", "kari")
            .append_pair("text", "what the webhook says does not count")
            .finish();
        self.vendor.with(|held| held.posts.push(post));
        let kind = [("content-type", "application/x-www-form-urlencoded".to_owned())];
        (self.send(&kind, form).await.0, id)
    }
}

#[tokio::test]
async fn an_incident_has_one_post_in_mattermost_and_is_talked_about_below_it() {
    let it = on_mattermost().await;
    it.vendor.will(&[Fault::Wait(20), Fault::Breaks, Fault::Loses]);
    it.publish().await;
    for _ in 0..30 {
        it.tick().await;
        it.advance(60);
    }
    let post = it.root();
    let message = post["message"].as_str().expect("text");
    assert!(message.contains("needs you on an incident") && message.contains("Call kari"));
    assert!(message.contains(&format!("/incidents/{}?response=actions>)", it.case.incident)));
    assert_eq!(it.written(HOOK_TOKEN, |_| {}).await.0, 200);
    it.tick().await;
    assert_eq!(it.heard().await, [("Kari Nordmann".to_owned(), "kanarie".to_owned())]);
    assert_eq!(it.said().await.0[0]["via"], "mattermost");
    it.say("expert", "Look at @channel and @all.").await;
    it.tick().await;
    let (tops, below) = it.vendor.sorted();
    assert_eq!(
        (tops.len(), below.len()),
        (1, 3),
        "the answer, its acknowledgement, a word: {below:?}"
    );
    let last = below[2]["message"].as_str().expect("text");
    assert!(last.contains("> Look at @\u{200b}channel and @\u{200b}all"), "{last}");
    // A post that is deleted there is made anew.
    it.vendor.with(|held| held.posts.clear());
    it.say("expert", "again").await;
    for _ in 0..3 {
        it.tick().await;
        it.advance(60);
    }
    assert!(texts(&it.root()).contains("again"));
}

#[tokio::test]
async fn nothing_forged_foreign_automatic_or_elsewhere_enters_from_mattermost() {
    let it = on_mattermost().await;
    it.publish().await;
    it.tick().await;
    assert_eq!(it.written("another token", |_| {}).await.0, 401);
    assert_eq!(it.shown().await["refused"], "its token is not the outgoing webhook's");
    for change in [
        (|it: &mut Value| it["channel_id"] = json!(named(8, 'c'))) as fn(&mut Value),
        |it| it["root_id"] = json!(""),
        |it| it["root_id"] = json!(named(8, 'r')),
        |it| it["props"] = json!({ "from_bot": "true" }),
        |it| it["props"] = json!({ "from_webhook": "true" }),
        |it| it["type"] = json!("system_join_channel"),
        |it| it["user_id"] = json!(named(0, 'b')),
        |it| it["delete_at"] = json!(7),
    ] {
        assert_eq!(it.written(HOOK_TOKEN, change).await.0, 200);
    }
    it.tick().await;
    assert!(it.heard().await.is_empty() && it.said().await.1.is_empty(), "{:?}", it.said().await);
    it.vendor.person(&named(5, 'u'), json!({ "username": "gone", "delete_at": 5 }));
    it.vendor.person(&named(6, 'u'), json!({ "username": "out" }));
    it.vendor.with(|held| held.members.remove(&named(6, 'u')));
    for user in [named(5, 'u'), named(6, 'u'), named(7, 'u')] {
        it.written(HOOK_TOKEN, |it| it["user_id"] = json!(user)).await;
    }
    it.tick().await;
    assert!(it.heard().await.is_empty());
    assert_eq!(it.said().await.1.len(), 3, "the experts are told: {:?}", it.said().await.1);
    // What is archived is said, and a token that was taken back.
    it.vendor.with(|held| held.archived = true);
    it.say("expert", "x").await;
    it.tick().await;
    assert_eq!(it.shown().await["trouble"]["kind"], "archived");
    it.vendor.with(|held| held.revoked = true);
    it.say("expert", "y").await;
    it.tick().await;
    assert_eq!(it.shown().await["trouble"]["kind"], "unauthorized");
}

// Microsoft Teams.

const BOT: &str = "11111111-2222-4333-8444-555555555555";
const ORGANISATION: &str = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee";
const BOT_SECRET: &str = "a-client-secret-of-the-bot";
const TEAMS_PLACE: &str = "19:managed@thread.tacv2";
const MEMBER: &str = "29:kari";
/// Made for these tests; nobody else believes it.
const KEY: &str = "\
     MIIEogIBAAKCAQEAnT2OI34I62jx/OC0S+uucHo2YPSbXB7hos5IfqTZDNitY3GXaZF8KyvSsZlJh0+gNqYG8NtfP9\
     wMcHzZC3uW+TqP9XGXpc/2KqL5LQHXVwAKmscWRhY99bR/SWQ5JqkZK5s8eS7QDU2Omi4kcLJ4TxajjG5uw1YYXizm\
     Mwl3DBDkEK8IqVz1SI5qwrQwudVCM2Tjcy692asvHbkUS3rtgsBhigsYkxCo5TazH00MXWypsp4CQZnJ+IYIXGoSUi\
     c8IGbp5E70pxMTMdob7TRvPCMoci5cEAZSRMaruaxORKnA70HBK/z3f1YDwAwdNROEj53Zeaahdkkj9b2CLK/YmQID\
     AQABAoIBABNG4R6bzHcj0gro92GZXrTeXr1LL6K/DHV7qaqRBiULiVI4MlJYaisWv8lTHA8RJXidqRstIcO/8+x0ed\
     1tBOjAE7cI+ojy8mBuw3KPl7lMQYCRKLtl7amqO7KhLVp+f533dZX7tbjzyahAQOpqDtLPWTSVs1GSRAGDqqMWJXie\
     hk0T8yjxOxlLfbmUC2jo/+ym5da3TFcixMo3XN0gOg25gzcwMLkVf+PsjNhqZxoJAaWGPLt9kjwLGWHICD2Sexqrzs\
     M20lAXfAurl+YgCK0g2XMxqjaTQqvZqlXE77/jF52aXRI2aVezHpCt9YCPaF2MpPGWBxk3EUxtoqvjfSkCgYEAyn6X\
     wPfKKIUm07swKMMfKq3n2FL+Y44pPFw6EFSVridr9YI/Yl6JsT03cruKRnWHzvy3n6c9gLCBWIeMGOHvJTpQVhiiVr\
     6IidCNGLsaT1WzGJUpXAiQvTYirLG6W3IlJ14dQTTLZSDek4GfIcruUouzt4qX0UAfDzLOEL+TUKUCgYEAxsnTmKjx\
     MQSj8/hnf6AIMO1RgOb1lJLgV/Ow2JV5BT2t9TFIqenVjqvi3opvIhorcKu9TlzrdCIC8+TRKjd2+we0vs81Vp5bBm\
     +SItwz4DvH55ZwstmscRjDHryEiCLVKhLS8SewZif3gG+7eESApLTAbLU+fWSZTAsO87Yq0eUCgYB3WHlUkDaj/yZN\
     MExIGghqfSjiRLgOMSF4o9rM+S1nAXENuABnl9SLk8r0YjgzIt4yTpxjCoyjJmR1qx4VJERwqpfixo4XliCfKT2fz9\
     bH33i5CmDgD2RPQHLbWby+XN4s/7k6T0V5iw/j3EfQAOzJ1fDMQnEMMUCdEpKFKIRIyQKBgDrTixyIEigRWXtfLTGl\
     aAcik5XzwwTemiks4k6VnSSh5hLDLN+rZRk9YHu+t7h9yhEjoXfJI5xQXFNUiVlW5IzQ8PnuU7h4UDONXM+YHnni9v\
     tfl6Y1qEQnscYsv4OR20cCHw5iUl9IwINvjSjADNmw66i/0ehFlt/b/ea9J9rJAoGAdNgPx1+I9FnxF4XcqeLViz8p\
     +/RjjqcotTyIhQgl7vRSOGgqCDCX7820muwLm4pBDiRyulCRg5trFEGHSjMSZd7qlHifsjyRhLQKnFJT425k7jOhZT\
     IoEhbvZ6pqpfkwFQe/n4KzRDlaiIVwHGQnAVYaADdMrVarxNIxDUkMHD4=\
";

fn key_pair() -> ring::rsa::KeyPair {
    let text: String = KEY.chars().filter(|c| !c.is_whitespace()).collect();
    let der = base64::engine::general_purpose::STANDARD.decode(text).expect("a key");
    ring::rsa::KeyPair::from_der(&der).expect("a key")
}

fn teams(it: &Vendor, method: &str, path: &str, headers: &HeaderMap, body: &Bytes) -> (u16, Value) {
    if path == "/metadata" {
        return (200, json!({ "jwks_uri": format!("{}/keys", it.url) }));
    }
    if path == "/keys" {
        let public = ring::rsa::PublicKeyComponents::<Vec<u8>>::from(key_pair().public());
        let (n, e) = (URL_SAFE_NO_PAD.encode(public.n), URL_SAFE_NO_PAD.encode(public.e));
        let key = |id: &str, endorsed: &[&str]| json!({ "kty": "RSA", "use": "sig", "kid": id, "n": n, "e": e, "endorsements": endorsed });
        return (
            200,
            json!({ "keys": [key("k1", &["msteams", "webchat"]), key("k2", &["webchat"])] }),
        );
    }
    it.with(|held| {
        if path == format!("/{ORGANISATION}/oauth2/v2.0/token") {
            let form: BTreeMap<String, String> =
                openidconnect::url::form_urlencoded::parse(body).into_owned().collect();
            let right = form["client_id"] == BOT
                && form["client_secret"] == BOT_SECRET
                && form["scope"] == "https://api.botframework.com/.default";
            return if right && !held.revoked {
                (200, json!({ "access_token": "bot-token", "expires_in": 3_599 }))
            } else {
                (401, json!({ "error": "invalid_client" }))
            };
        }
        let failed = |status, code: &str| (status, json!({ "error": { "code": code } }));
        if bearer(headers) != "bot-token" {
            return failed(401, "Unauthorized");
        }
        let path = path.strip_prefix("/connector").unwrap_or(path);
        let path =
            path.replace("%3A", ":").replace("%40", "@").replace("%3B", ";").replace("%3D", "=");
        let parts: Vec<&str> = path.trim_start_matches("/v3/conversations").split('/').collect();
        if !held.members.contains(&format!("28:{BOT}")) {
            return failed(403, "BotNotInConversationRoster");
        }
        match (method, parts.as_slice()) {
            ("GET", ["", place, "members", user]) if *place == TEAMS_PLACE => {
                match held.people.get(*user).filter(|_| held.members.contains(*user)) {
                    Some(who) => (200, who.clone()),
                    None => failed(404, "MemberNotFoundInConversation"),
                }
            }
            ("POST", [""]) => {
                let given: Value = serde_json::from_slice(body).expect("json");
                let place = given["channelData"]["channel"]["id"].as_str();
                if place != Some(TEAMS_PLACE) || given["isGroup"] != true {
                    return failed(404, "ConversationNotFound");
                }
                if !card_is_sound(&given["activity"]) {
                    return failed(400, "BadSyntax");
                }
                held.next += 1;
                let id = format!("16000000{:05}", held.next);
                let mut post = given["activity"].clone();
                (post["id"], post["below"]) = (json!(id), Value::Null);
                held.posts.push(post);
                (201, json!({ "id": format!("{TEAMS_PLACE};messageid={id}"), "activityId": id }))
            }
            ("POST", ["", conversation, "activities"]) => {
                let thread = conversation.split_once(";messageid=").map(|(_, id)| id);
                let known = held.posts.iter().any(|it| it["id"].as_str() == thread);
                if !known {
                    return failed(404, "ActivityNotFoundInConversation");
                }
                let mut post: Value = serde_json::from_slice(body).expect("json");
                if !card_is_sound(&post) {
                    return failed(400, "BadSyntax");
                }
                held.next += 1;
                (post["id"], post["below"]) =
                    (json!(format!("1700{:05}", held.next)), json!(thread));
                held.posts.push(post.clone());
                (201, json!({ "id": post["id"] }))
            }
            _ => failed(404, "NotFound"),
        }
    })
}

/// What Teams takes of an adaptive card.
fn card_is_sound(activity: &Value) -> bool {
    fn block(it: &Value) -> bool {
        match it["type"].as_str() {
            Some("RichTextBlock") => it["inlines"].as_array().is_some_and(|all| {
                all.iter().all(|it| {
                    it["type"] == "TextRun" && it["text"].as_str().is_some_and(|it| !it.is_empty())
                })
            }),
            Some("Container") => it["items"].as_array().is_some_and(|all| all.iter().all(block)),
            _ => false,
        }
    }
    let card = &activity["attachments"][0]["content"];
    activity["type"] == "message"
        && activity.to_string().len() < 28_000
        && card["type"] == "AdaptiveCard"
        && card["body"].as_array().is_some_and(|all| all.iter().all(block))
        && card["actions"].as_array().is_some_and(|all| {
            all.iter().all(|it| {
                it["type"] == "Action.OpenUrl"
                    && it["url"].as_str().is_some_and(|it| it.starts_with("http"))
            })
        })
}

async fn on_teams() -> Chatting {
    let vendor = Vendor::start(teams).await;
    vendor.person(
        MEMBER,
        json!({ "id": MEMBER, "name": "Kari Nordmann", "tenantId": ORGANISATION,
                                  "userRole": "user" }),
    );
    vendor.person(&format!("28:{BOT}"), json!({ "id": BOT }));
    let chat = Chat {
        teams_login: vendor.url.clone(),
        teams_metadata: format!("{}/metadata", vendor.url),
        teams_service: format!("{}/connector", vendor.url),
        ..Chat::default()
    };
    let body = json!({
        "vendor": "teams", "name": "Managed response",
        "settings": { "tenantId": ORGANISATION, "appId": BOT, "channelId": TEAMS_PLACE },
        "secrets": { "clientSecret": BOT_SECRET },
    });
    with(chat, vendor, body).await
}

impl Chatting {
    /// A token as the connector shows it.
    fn token(&self, change: impl FnOnce(&mut Value, &mut Value)) -> String {
        let now = self.case.face.world.app.clock.now().micros() / 1_000_000;
        let mut head = json!({ "alg": "RS256", "typ": "JWT", "kid": "k1" });
        let mut claims = json!({
            "iss": "https://api.botframework.com", "aud": BOT, "nbf": now - 10, "exp": now + 3_600,
            "serviceurl": format!("{}/connector/", self.vendor.url),
        });
        change(&mut head, &mut claims);
        let part = |it: &Value| URL_SAFE_NO_PAD.encode(it.to_string());
        let signed = format!("{}.{}", part(&head), part(&claims));
        let key = key_pair();
        let mut signature = vec![0; key.public().modulus_len()];
        key.sign(
            &ring::signature::RSA_PKCS1_SHA256,
            &ring::rand::SystemRandom::new(),
            signed.as_bytes(),
            &mut signature,
        )
        .expect("signed");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn activity(&self) -> Value {
        let (tops, _) = self.vendor.sorted();
        let root = tops.first().and_then(|it| it["id"].as_str()).unwrap_or_default().to_owned();
        json!({
            "type": "message", "id": uuid::Uuid::new_v4().to_string(), "channelId": "msteams",
            "serviceUrl": format!("{}/connector/", self.vendor.url),
            "from": { "id": MEMBER, "name": "Kari Nordmann" },
            "recipient": { "id": format!("28:{BOT}"), "name": "Riposte" },
            "conversation": {
                "id": format!("{TEAMS_PLACE};messageid={root}"), "tenantId": ORGANISATION,
                "conversationType": "channel", "isGroup": true,
            },
            "channelData": {
                "tenant": { "id": ORGANISATION }, "channel": { "id": TEAMS_PLACE },
                "team": { "id": "19:team@thread.tacv2" },
            },
            "text": "<at>Riposte</at> Dock-3 &amp; dock-7 <b>first</b>",
            "textFormat": "plain",
            "attachments": [{ "contentType": "text/html", "content": "<p>x</p>" }],
            "entities": [{ "type": "mention", "text": "<at>Riposte</at>",
                           "mentioned": { "id": format!("28:{BOT}"), "name": "Riposte" } }],
        })
    }

    async fn act(&self, token: &str, activity: &Value) -> u16 {
        let head = [
            ("authorization", format!("Bearer {token}")),
            ("content-type", "application/json".to_owned()),
        ];
        self.send(&head, activity.to_string()).await.0
    }
}

#[tokio::test]
async fn an_incident_has_one_post_in_teams_and_is_talked_about_below_it() {
    let it = on_teams().await;
    it.vendor.will(&[Fault::Wait(30), Fault::Breaks]);
    it.publish().await;
    for _ in 0..10 {
        it.tick().await;
        it.advance(60);
    }
    let post = it.root();
    assert!(texts(&post).contains("Call kari") && texts(&post).contains("?response=actions"));
    let good = it.token(|_, _| {});
    let said = it.activity();
    assert_eq!(it.act(&good, &said).await, 200);
    assert_eq!(it.act(&good, &said).await, 200, "repeated");
    it.tick().await;
    let heard = it.heard().await;
    assert_eq!(heard, [("Kari Nordmann".to_owned(), "Dock-3 & dock-7 first".to_owned())]);
    assert_eq!(it.said().await.0[0]["via"], "teams");
    it.say("expert", "<at>everyone</at> look").await;
    it.tick().await;
    let (tops, below) = it.vendor.sorted();
    assert_eq!((tops.len(), below.len()), (1, 2), "{below:?}");
    assert!(texts(&below[1]).contains("<at>everyone</at> look"), "as text: {below:?}");
    assert!(below[1].get("entities").is_none(), "nobody is mentioned");
    let asked = it.vendor.with(|held| held.asked.clone());
    let tokens = asked.iter().filter(|it| it.ends_with("/token")).count();
    assert_eq!(tokens, 1, "a token is used as long as it lasts");
    // A post that is deleted there is made anew.
    it.vendor.with(|held| held.posts.clear());
    it.say("expert", "again").await;
    for _ in 0..3 {
        it.tick().await;
        it.advance(60);
    }
    assert!(texts(&it.root()).contains("again"));
}

#[tokio::test]
async fn nothing_forged_foreign_automatic_or_elsewhere_enters_from_teams() {
    let it = on_teams().await;
    it.publish().await;
    it.tick().await;
    let said = it.activity();
    let far = |at: i64| {
        move |_: &mut Value, claims: &mut Value| {
            let now = claims["exp"].as_i64().expect("a time") - 3_600;
            claims[if at < 0 { "exp" } else { "nbf" }] = json!(now + at);
        }
    };
    let mut forged = vec![
        ("unsigned", it.token(|head, _| head["alg"] = json!("none"))),
        ("a shared secret", it.token(|head, _| head["alg"] = json!("HS256"))),
        ("unknown key", it.token(|head, _| head["kid"] = json!("k9"))),
        ("not for Teams", it.token(|head, _| head["kid"] = json!("k2"))),
        ("issuer", it.token(|_, it| it["iss"] = json!("https://evil.example"))),
        ("audience", it.token(|_, it| it["aud"] = json!(ORGANISATION))),
        ("ended", it.token(far(-301))),
        ("future", it.token(far(301))),
        ("elsewhere", it.token(|_, it| it["serviceurl"] = json!("https://evil.example/"))),
        ("nowhere", it.token(|_, it| it["serviceurl"] = Value::Null)),
        ("none", String::new()),
        ("no token", "a.b".to_owned()),
    ];
    let good = it.token(|_, _| {});
    let mut flipped = good.clone();
    flipped
        .replace_range(good.len() - 6..good.len() - 5, if good.ends_with('A') { "B" } else { "A" });
    let (head, rest) = good.split_once('.').expect("parts");
    let (_, signature) = rest.split_once('.').expect("parts");
    let body = URL_SAFE_NO_PAD.encode(json!({ "iss": "https://api.botframework.com" }).to_string());
    forged.push(("flipped", flipped));
    forged.push(("another body", format!("{head}.{body}.{signature}")));
    for (what, token) in forged {
        assert_eq!(it.act(&token, &said).await, 401, "{what}");
    }
    for (member, value) in [
        ("/serviceUrl", json!("https://evil.example/")),
        ("/channelId", json!("webchat")),
        ("/channelData/tenant/id", json!("bbbbbbbb-bbbb-4ccc-8ddd-eeeeeeeeeeee")),
    ] {
        let mut other = it.activity();
        *other.pointer_mut(member).expect("a member") = value;
        assert_eq!(it.act(&good, &other).await, 401, "{member}");
    }
    // A token that names an address of the inside leads nowhere.
    let inside = it.token(|_, it| it["serviceurl"] = json!("https://169.254.169.254/"));
    let mut other = it.activity();
    other["serviceUrl"] = json!("https://169.254.169.254/");
    assert_eq!(it.act(&inside, &other).await, 401);
    for (member, value) in [
        ("/channelData/channel/id", json!("19:other@thread.tacv2")),
        ("/conversation/id", json!(TEAMS_PLACE)),
        ("/conversation/id", json!(format!("{TEAMS_PLACE};messageid=1"))),
        ("/from/id", json!(format!("28:{BOT}"))),
        ("/from/id", json!("28:another-bot")),
    ] {
        let mut other = it.activity();
        *other.pointer_mut(member).expect("a member") = value;
        assert_eq!(it.act(&good, &other).await, 200, "{member}");
    }
    it.tick().await;
    assert!(it.heard().await.is_empty() && it.said().await.1.is_empty(), "{:?}", it.said().await);
    it.vendor.person("29:far", json!({ "name": "Far", "tenantId": BOT, "userRole": "user" }));
    for user in ["29:far", "29:nobody"] {
        let mut other = it.activity();
        other["from"]["id"] = json!(user);
        assert_eq!(it.act(&good, &other).await, 200);
    }
    it.tick().await;
    assert!(it.heard().await.is_empty());
    assert_eq!(it.said().await.1.len(), 2, "{:?}", it.said().await.1);
    // A guest that the team has is heard.
    it.vendor.person("29:guest", json!({ "name": "Guest", "tenantId": BOT, "userRole": "guest" }));
    let mut other = it.activity();
    other["from"]["id"] = json!("29:guest");
    it.act(&good, &other).await;
    it.tick().await;
    assert_eq!(it.heard().await.len(), 1);
}

#[tokio::test]
async fn what_happens_to_the_bot_and_its_channel_is_shown() {
    let it = on_teams().await;
    it.publish().await;
    it.tick().await;
    let good = it.token(|_, _| {});
    assert_eq!(it.act(&good, &it.activity()).await, 200, "it learns the team");
    it.tick().await;
    let mut happens = it.activity();
    happens["type"] = json!("conversationUpdate");
    happens["channelData"]["eventType"] = json!("channelDeleted");
    for (member, value, kind) in [
        ("/channelData/channel/id", json!("19:other@thread.tacv2"), Value::Null),
        ("/channelData/channel/id", json!(TEAMS_PLACE), json!("deleted")),
        ("/channelData/eventType", json!("channelRestored"), Value::Null),
        ("/channelData/eventType", json!("teamArchived"), json!("archived")),
        ("/channelData/eventType", json!("teamUnarchived"), Value::Null),
    ] {
        happens["id"] = json!(uuid::Uuid::new_v4().to_string());
        *happens.pointer_mut(member).expect("a member") = value.clone();
        assert_eq!(it.act(&good, &happens).await, 200);
        it.tick().await;
        assert_eq!(it.shown().await["trouble"]["kind"], kind, "{member} {value}");
    }
    it.vendor.with(|held| held.members.remove(&format!("28:{BOT}")));
    it.say("expert", "x").await;
    it.tick().await;
    assert_eq!(it.shown().await["trouble"]["kind"], "notMember");
    it.vendor.with(|held| held.members.insert(format!("28:{BOT}")));
    it.say("expert", "y").await;
    it.tick().await;
    assert!(it.shown().await["trouble"].is_null());
    // The app is removed from another team, then from this one.
    let mut removed = it.activity();
    removed["type"] = json!("conversationUpdate");
    removed["membersRemoved"] = json!([{ "id": format!("28:{BOT}") }]);
    removed["channelData"] = json!({ "tenant": { "id": ORGANISATION }, "team": { "id": "19:x" } });
    removed["conversation"]["id"] = json!("19:x");
    it.act(&good, &removed).await;
    it.tick().await;
    assert!(it.shown().await["trouble"].is_null());
    removed["id"] = json!("another");
    removed["channelData"]["team"]["id"] = json!("19:team@thread.tacv2");
    it.act(&good, &removed).await;
    it.tick().await;
    assert_eq!(it.shown().await["trouble"]["kind"], "uninstalled");
}

// Matrix.

const MATRIX_TOKEN: &str = "syt_cmlwb3N0ZQ_AbCdEfGhIjKlMnOpQrSt_0aBcDe";
const ROOM: &str = "!AbCdEfGh:alder.example";
const BOT_USER: &str = "@riposte:alder.example";
const KARI_USER: &str = "@kari:alder.example";

/// Without the escapes of an address.
fn plain(path: &str) -> String {
    let mut out = Vec::new();
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        let code = (byte == b'%').then(|| [bytes.next(), bytes.next()]);
        let code = code.and_then(|[a, b]| String::from_utf8(vec![a?, b?]).ok());
        out.push(code.and_then(|code| u8::from_str_radix(&code, 16).ok()).unwrap_or(byte));
    }
    String::from_utf8(out).expect("text")
}

fn errcode(status: u16, code: &str) -> (u16, Value) {
    (status, json!({ "errcode": code, "error": "no" }))
}

/// What a homeserver answers, as the client-server API has it.
fn homeserver(
    it: &Vendor,
    method: &str,
    path: &str,
    headers: &HeaderMap,
    body: &Bytes,
) -> (u16, Value) {
    it.with(|held| {
        if bearer(headers) != MATRIX_TOKEN || held.revoked {
            return errcode(401, "M_UNKNOWN_TOKEN");
        }
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let asked: BTreeMap<String, String> =
            openidconnect::url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let parts: Vec<String> =
            path.trim_start_matches("/_matrix/client/").split('/').map(plain).collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let membership = |held: &Held, user: &str| {
            let state = held.states.get(&format!("m.room.member|{user}"));
            state.map(|it| it["membership"].as_str().unwrap_or_default().to_owned())
        };
        let inside = membership(held, BOT_USER).as_deref() == Some("join");
        let forbidden = || errcode(403, "M_FORBIDDEN");
        match (method, parts.as_slice()) {
            ("GET", ["v3", "account", "whoami"]) => {
                (200, json!({ "user_id": BOT_USER, "device_id": "D" }))
            }
            ("GET", ["v3", "directory", "room", "#soc:alder.example"]) => {
                (200, json!({ "room_id": ROOM, "servers": ["alder.example"] }))
            }
            ("GET", ["v3", "directory", "room", _]) => errcode(404, "M_NOT_FOUND"),
            ("GET", ["v3", "sync"]) => sync(held, &asked, inside),
            ("POST", ["v3", "rooms", room, "join"]) => {
                if *room != ROOM
                    || !(inside || membership(held, BOT_USER).as_deref() == Some("invite"))
                {
                    return forbidden();
                }
                if !inside {
                    happen(held, "m.room.member", Some(BOT_USER), json!({ "membership": "join" }));
                }
                (200, json!({ "room_id": ROOM }))
            }
            (_, ["v3" | "v1", "rooms", room, ..]) if *room != ROOM || !inside => forbidden(),
            ("GET", ["v3", "rooms", _, "state", kind, key]) => {
                match held.states.get(&format!("{kind}|{key}")) {
                    Some(found) => (200, found.clone()),
                    None => errcode(404, "M_NOT_FOUND"),
                }
            }
            ("GET", ["v3", "rooms", _, "event", id]) => {
                match held.posts.iter().find(|it| it["event_id"] == *id) {
                    Some(found) => (200, found.clone()),
                    None => errcode(404, "M_NOT_FOUND"),
                }
            }
            ("GET", ["v1", "rooms", _, "relations", root, "m.thread"]) => {
                let found: Vec<&Value> =
                    held.posts.iter().rev().filter(|it| it["below"] == *root).collect();
                (200, json!({ "chunk": found }))
            }
            ("GET", ["v3", "rooms", _, "messages"]) => messages(held, &asked),
            ("PUT", ["v3", "rooms", _, "send", "m.room.message", transaction]) => {
                if let Some(id) = held.made.get(*transaction) {
                    return (200, json!({ "event_id": id }));
                }
                if held.archived {
                    return forbidden();
                }
                let content: Value = serde_json::from_slice(body).expect("json");
                assert!(content["msgtype"].is_string() && content["body"].is_string());
                assert_eq!(content["m.mentions"], json!({}), "nobody is called");
                let id = says(held, BOT_USER, content);
                held.made.insert((*transaction).to_owned(), id.clone());
                (200, json!({ "event_id": id }))
            }
            _ => errcode(404, "M_UNRECOGNIZED"),
        }
    })
}

/// Something happens in the room; gives its id.
fn happen(held: &mut Held, kind: &str, key: Option<&str>, content: Value) -> String {
    held.next += 1;
    let id = format!("$event{}", held.next);
    let mut event = json!({
        "event_id": id, "id": id, "type": kind, "sender": KARI_USER,
        "origin_server_ts": i64::MAX / 2, "unsigned": {}, "below": NOWHERE,
    });
    event["content"] = content;
    if let Some(key) = key {
        event["state_key"] = json!(key);
        held.states.insert(format!("{kind}|{key}"), event["content"].clone());
    }
    held.posts.push(event);
    id
}

/// Somebody says something in the room; gives its id.
fn says(held: &mut Held, who: &str, content: Value) -> String {
    let below = &content["m.relates_to"];
    let below = match below["rel_type"].as_str() {
        Some("m.thread") => below["event_id"].clone(),
        None if who == BOT_USER => Value::Null,
        _ => json!(NOWHERE),
    };
    let id = happen(held, "m.room.message", None, content);
    let event = held.posts.last_mut().expect("an event");
    (event["sender"], event["below"]) = (json!(who), below);
    id
}

/// A moment as the homeserver writes it: how often it forgot, and how much had happened.
fn moment(held: &Held, at: usize) -> String {
    format!("s{}_{at}", held.forgot)
}

fn at_moment(held: &Held, text: &str) -> Option<usize> {
    text.strip_prefix(&format!("s{}_", held.forgot))?.parse().ok()
}

fn listed(filter: &Value, event: &Value) -> bool {
    filter["types"].as_array().is_none_or(|all| all.contains(&event["type"]))
        && filter["senders"].as_array().is_none_or(|all| all.contains(&event["sender"]))
}

fn messages(held: &Held, asked: &BTreeMap<String, String>) -> (u16, Value) {
    assert_eq!(asked["dir"], "b");
    let filter: Value = serde_json::from_str(&asked["filter"]).expect("a filter");
    let bound = |name: &str, otherwise| match asked.get(name) {
        Some(text) => at_moment(held, text),
        None => Some(otherwise),
    };
    let (Some(from), Some(to)) = (bound("from", held.posts.len()), bound("to", 0)) else {
        return errcode(400, "M_INVALID_PARAM");
    };
    let limit: usize = asked["limit"].parse().expect("a limit");
    let (mut chunk, mut at) = (Vec::new(), from);
    while at > to && chunk.len() < limit {
        at -= 1;
        chunk.extend(held.posts.get(at).filter(|it| listed(&filter, it)));
    }
    let mut said = json!({ "chunk": chunk, "start": moment(held, from) });
    if at > to {
        said["end"] = json!(moment(held, at));
    }
    (200, said)
}

fn sync(held: &Held, asked: &BTreeMap<String, String>, inside: bool) -> (u16, Value) {
    let filter: Value = serde_json::from_str(&asked["filter"]).expect("a filter");
    let filter = &filter["room"];
    let next = json!(moment(held, held.posts.len()));
    let since = match asked.get("since") {
        Some(text) => match at_moment(held, text) {
            Some(at) => Some(at),
            None => return errcode(400, "M_UNKNOWN"),
        },
        None => None,
    };
    if filter["rooms"] != json!([ROOM]) {
        return (200, json!({ "next_batch": next }));
    }
    let limit = filter["timeline"]["limit"].as_u64().expect("a limit") as usize;
    let new: Vec<(usize, &Value)> =
        held.posts.iter().enumerate().skip(since.unwrap_or(0)).collect();
    if !inside {
        let own = |it: &&Value| it["state_key"] == BOT_USER && listed(&filter["timeline"], it);
        let left: Vec<&Value> = new.iter().map(|(_, it)| *it).filter(own).collect();
        let rooms = json!({ "leave": { ROOM: { "timeline": { "events": left } } } });
        let rooms = if left.is_empty() { json!({}) } else { rooms };
        return (200, json!({ "next_batch": next, "rooms": rooms }));
    }
    let told: Vec<&(usize, &Value)> =
        new.iter().filter(|(_, it)| listed(&filter["timeline"], it)).collect();
    let cut = told.len().saturating_sub(limit);
    let first = told.get(cut).map_or(held.posts.len(), |(at, _)| *at);
    let events: Vec<&Value> = told[cut..].iter().map(|(_, it)| *it).collect();
    // States that changed before the part that is told.
    let states: Vec<&Value> = new
        .iter()
        .filter(|(at, it)| *at < first && it.get("state_key").is_some())
        .map(|(_, it)| *it)
        .filter(|it| listed(&filter["state"], it))
        .collect();
    let timeline = json!({
        "events": events, "limited": cut > 0, "prev_batch": moment(held, first),
    });
    if told.is_empty() && states.is_empty() {
        return (200, json!({ "next_batch": next }));
    }
    let room = json!({ "timeline": timeline, "state": { "events": states } });
    (200, json!({ "next_batch": next, "rooms": { "join": { ROOM: room } } }))
}

/// A homeserver with a room that the bot is invited to.
async fn a_homeserver() -> Vendor {
    let vendor = Vendor::start(homeserver).await;
    vendor.with(|held| {
        let member =
            |membership: &str, name: &str| json!({ "membership": membership, "displayname": name });
        happen(held, "m.room.name", Some(""), json!({ "name": "Managed response" }));
        happen(held, "m.room.member", Some(KARI_USER), member("join", "Kari Nordmann"));
        happen(held, "m.room.member", Some(BOT_USER), member("invite", ""));
    });
    vendor
}

fn room_at(url: &str, room: &str) -> Value {
    json!({
        "vendor": "matrix", "name": "SOC", "settings": { "baseUrl": url, "roomId": room },
        "secrets": { "accessToken": MATRIX_TOKEN },
    })
}

async fn on_matrix() -> Chatting {
    let vendor = a_homeserver().await;
    let body = room_at(&vendor.url, "#soc:alder.example");
    with(Chat::default(), vendor, body).await
}

impl Chatting {
    /// Somebody says something below the incident's post.
    fn below(&self, text: &str, change: impl FnOnce(&mut Value)) {
        let (tops, _) = self.vendor.sorted();
        let root = tops.first().expect("a post")["event_id"].clone();
        let mut content = json!({
            "msgtype": "m.text", "body": text,
            "m.relates_to": { "rel_type": "m.thread", "event_id": root, "is_falling_back": true,
                              "m.in_reply_to": { "event_id": root } },
        });
        change(&mut content);
        let who = content["who"].as_str().unwrap_or(KARI_USER).to_owned();
        content.as_object_mut().expect("an object").remove("who");
        self.vendor.with(|held| says(held, &who, content));
    }

    /// The texts that were heard, in order.
    async fn texts(&self) -> Vec<String> {
        self.heard().await.into_iter().map(|(_, text)| text).collect()
    }
}

#[tokio::test]
async fn an_incident_has_one_post_in_matrix_and_is_talked_about_below_it() {
    let it = on_matrix().await;
    let shown = it.shown().await;
    assert_eq!(shown["settings"]["roomId"], ROOM, "the address stands for it: {shown}");
    assert_eq!(shown["known"]["channel"], "Managed response");
    assert!(shown["eventsUrl"].is_null() && !shown.to_string().contains(MATRIX_TOKEN), "{shown}");
    it.vendor.will(&[Fault::Wait(90), Fault::Breaks, Fault::Loses]);
    it.publish().await;
    assert_eq!(it.tick().await, 1);
    it.advance(60);
    assert_eq!(it.tick().await, 0, "it asked us to wait for 90 s");
    for _ in 0..10 {
        it.advance(60);
        it.tick().await;
    }
    let post = it.root();
    let body = post["content"]["body"].as_str().expect("text");
    assert!(body.contains("needs you on an incident") && body.contains("• Call kari"), "{body}");
    let html = post["content"]["formatted_body"].as_str().expect("text");
    let link = format!("/incidents/{}?response=actions\">", it.case.incident);
    assert!(html.contains("<li>Call kari</li>") && html.contains(&link), "{html}");
    it.below("Dock-3 <first>", |_| {});
    it.tick().await;
    it.tick().await;
    assert_eq!(it.heard().await, [("Kari Nordmann".to_owned(), "Dock-3 <first>".to_owned())]);
    assert_eq!(it.said().await.0[0]["via"], "matrix");
    // An answer that is lost, and a homeserver that has forgotten the transaction when it is repeated.
    it.vendor.will(&[Fault::Loses]);
    it.say("expert", "Look at @room <b>now</b>.").await;
    it.tick().await;
    it.vendor.with(|held| held.made.clear());
    it.advance(60);
    it.tick().await;
    let (tops, below) = it.vendor.sorted();
    assert_eq!(
        (tops.len(), below.len()),
        (1, 3),
        "the answer, its acknowledgement, a word: {below:?}"
    );
    let last = &below[2]["content"];
    let html = last["formatted_body"].as_str().expect("text");
    assert!(html.contains("Look at @\u{200b}room &lt;b&gt;now&lt;/b&gt;."), "{html}");
    assert_eq!(last["m.relates_to"]["event_id"], post["event_id"]);
    it.advance(5 * 3_600);
    riposte::notification::reminder::watch(&it.case.face.world.app).await.expect("reminders");
    it.tick().await;
    assert_eq!(it.vendor.sorted().0.len(), 1, "a reminder stands below it as well");
    assert!(it.states().await.iter().all(|(_, state, _)| state == "delivered"));
    // A post that is redacted there is made anew.
    it.vendor.with(|held| {
        let root = held.posts.iter_mut().find(|it| it["event_id"] == post["event_id"]);
        let root = root.expect("the post");
        (root["content"], root["below"]) = (json!({}), json!(NOWHERE));
        root["unsigned"]["redacted_because"] = json!({ "type": "m.room.redaction" });
    });
    it.say("expert", "again").await;
    for _ in 0..3 {
        it.tick().await;
        it.advance(60);
    }
    assert!(texts(&it.root()).contains("again"));
    it.below("heard below the new one", |_| {});
    it.tick().await;
    assert_eq!(it.texts().await, ["Dock-3 <first>", "heard below the new one"]);
}

#[tokio::test]
async fn a_process_that_dies_while_it_posts_in_matrix_leaves_one_post() {
    let it = on_matrix().await;
    it.vendor.will(&[Fault::Hangs]);
    it.publish().await;
    let died = tokio::time::timeout(Duration::from_secs(2), it.tick()).await;
    assert!(died.is_err(), "it hangs");
    it.below("before it is known", |_| {});
    // So late that the homeserver knows the transaction no more.
    it.vendor.with(|held| held.made.clear());
    it.advance(3_600);
    it.tick().await;
    it.root();
    it.advance(60);
    it.tick().await;
    assert_eq!(it.texts().await, ["before it is known"]);
}

#[tokio::test]
async fn nothing_foreign_automatic_or_elsewhere_enters_from_matrix() {
    let it = on_matrix().await;
    it.publish().await;
    it.tick().await;
    let other =
        it.vendor.with(|held| says(held, KARI_USER, json!({ "msgtype": "m.text", "body": "top" })));
    let relation =
        |kind: &'static str| move |it: &mut Value| it["m.relates_to"]["rel_type"] = json!(kind);
    for change in [
        Box::new(|it: &mut Value| it["m.relates_to"] = Value::Null) as Box<dyn Fn(&mut Value)>,
        Box::new(move |it| it["m.relates_to"]["event_id"] = json!(other)),
        Box::new(|it| it["m.relates_to"]["event_id"] = json!("$nowhere")),
        Box::new(relation("m.replace")),
        Box::new(relation("m.reference")),
        Box::new(relation("m.annotation")),
        Box::new(|it| it["msgtype"] = json!("m.notice")),
        Box::new(|it| it["who"] = json!(BOT_USER)),
        Box::new(|it| *it = json!({})),
    ] {
        it.below("kanarie", |content| change(content));
    }
    let asked = it.vendor.with(|held| held.asked.len());
    it.tick().await;
    assert!(it.heard().await.is_empty(), "{:?}", it.heard().await);
    assert!(it.said().await.1.is_empty(), "nobody answered, so nobody is told of it");
    let asked = it.vendor.with(|held| held.asked.split_off(asked));
    assert!(
        asked.iter().all(|it| !it.contains("/state/m.room.member/")),
        "nobody is asked for: {asked:?}"
    );
    // Who answers and is not in the room any more is not heard, and the experts know.
    for (user, membership) in [("@gone:b.example", "leave"), ("@bad:b.example", "ban")] {
        it.vendor.with(|held| {
            happen(held, "m.room.member", Some(user), json!({ "membership": membership }))
        });
    }
    for user in ["@gone:b.example", "@bad:b.example", "@nobody:b.example"] {
        it.below("kanarie", |it| it["who"] = json!(user));
    }
    it.tick().await;
    assert!(it.heard().await.is_empty());
    let (_, notes) = it.said().await;
    assert_eq!(notes.len(), 3, "{notes:?}");
    assert!(notes.iter().all(|it| !it["text"].as_str().expect("text").contains("kanarie")));
    // A file is left out, its words are not.
    it.below("plan.pdf", |it| it["msgtype"] = json!("m.file"));
    it.below("see the plan", |it| {
        (it["msgtype"], it["filename"]) = (json!("m.image"), json!("plan.png"));
    });
    it.tick().await;
    assert_eq!(it.texts().await, ["[A file, without a word.]", "see the plan"]);
    // Nobody reaches us in the homeserver's name, and nobody's word is put on record for it.
    assert_eq!(it.send(&[], "{}".to_owned()).await.0, 401);
    assert!(it.facts("chatChannel.refused").await.is_empty());
}

#[tokio::test]
async fn what_is_said_while_nobody_listens_is_heard_once_and_in_order() {
    let it = on_matrix().await;
    it.publish().await;
    it.tick().await;
    let words = |from: i64, to: i64| (from..to).map(|n| format!("word {n}")).collect::<Vec<_>>();
    for word in words(0, 20) {
        it.below(&word, |_| {});
        it.vendor
            .with(|held| says(held, KARI_USER, json!({ "msgtype": "m.text", "body": "else" })));
    }
    // Several ask at once.
    let (app, ways) = (&it.case.face.world.app, &it.ways);
    tokio::join!(async { engine::tick(app, ways).await.expect("a round") }, async {
        engine::tick(app, ways).await.expect("a round")
    },);
    it.tick().await;
    assert_eq!(it.texts().await, words(0, 20), "each once, in order");
    // A homeserver that was put back to an older copy of itself: what it tells again is known.
    it.vendor.with(|held| held.forgot += 1);
    it.advance(61);
    for word in words(20, 23) {
        it.below(&word, |_| {});
    }
    it.tick().await;
    it.tick().await;
    let heard = it.texts().await;
    assert_eq!(heard.len(), 23, "{heard:?}");
    assert_eq!(heard[20..], words(20, 23));
}

#[tokio::test]
async fn a_running_server_hears_rooms_by_itself() {
    let it = on_matrix().await;
    it.publish().await;
    it.tick().await;
    let stop = tokio_util::sync::CancellationToken::new();
    let app = it.case.face.world.app.clone();
    let running = tokio::spawn(engine::run(app, Ways::default(), stop.clone()));
    it.below("by itself", |_| {});
    for _ in 0..100 {
        if !it.texts().await.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(it.texts().await, ["by itself"]);
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(10), running).await.expect("it ends").expect("well");
}

#[tokio::test]
async fn a_room_that_cannot_be_used_is_not_connected_and_says_why() {
    let vendor = a_homeserver().await;
    let face = Face::new().await;
    let role = riposte::permission::Role::SecurityAdministrator;
    let ida = face.person(&face.world.tenant.id, "ida@alder.example", role).await;
    let good = room_at(&vendor.url, ROOM);
    let why = async |body: &Value| {
        let said = ida.post("/api/v1/chat-channels", body).await.expect(400).json();
        said["detail"].as_str().or(said["error"]["message"].as_str()).unwrap_or_default().to_owned()
            + &said.to_string()
    };
    for (part, name, value, word) in [
        ("settings", "roomId", "#nobody:alder.example", "leads to no room"),
        ("settings", "roomId", "!Other:alder.example", "neither in nor invited"),
        ("settings", "roomId", "general", "roomId is"),
        ("settings", "baseUrl", "http://127.0.0.1:9", "cannot be asked"),
        ("settings", "baseUrl", "https://169.254.169.254", "not public"),
        ("secrets", "accessToken", "syt_of_nobody", "not taken"),
    ] {
        let mut body = good.clone();
        body[part][name] = json!(value);
        let said = why(&body).await;
        assert!(said.contains(word), "{name} {value}: {said}");
    }
    let kinds = [
        ("m.room.encryption|", json!({ "algorithm": "m.megolm.v1.aes-sha2" }), "encrypted"),
        ("m.room.tombstone|", json!({ "replacement_room": "!New:alder.example" }), "replaced"),
    ];
    for (state, content, word) in kinds {
        vendor.with(|held| held.states.insert(state.to_owned(), content));
        let said = why(&good).await;
        assert!(said.contains(word), "{said}");
        vendor.with(|held| held.states.remove(state));
    }
    ida.post("/api/v1/chat-channels", &good).await.expect(201);
    // The same room by its address.
    let again = room_at(&vendor.url, "#soc:alder.example");
    ida.post("/api/v1/chat-channels", &again).await.expect(409);
}

#[tokio::test]
async fn what_keeps_us_from_a_room_is_shown() {
    let it = on_matrix().await;
    it.publish().await;
    it.tick().await;
    let kind = async || it.shown().await["trouble"]["kind"].clone();
    let path = format!("/api/v1/chat-channels/{}", it.channel);
    let test = async || {
        it.ida().await.post(&format!("{path}/test"), &json!({})).await.expect(202);
        it.tick().await;
    };
    let become_ = |membership: &str| {
        let content = json!({ "membership": membership });
        it.vendor.with(|held| happen(held, "m.room.member", Some(BOT_USER), content));
    };
    // It is told that we are out, and we are asked back.
    become_("leave");
    it.tick().await;
    assert_eq!(kind().await, "notMember");
    test().await;
    assert_eq!(kind().await, "notMember", "nobody asked us back");
    become_("invite");
    test().await;
    it.advance(60);
    it.tick().await;
    assert_eq!(kind().await, Value::Null, "we went in, and it was sent");
    become_("ban");
    it.tick().await;
    assert_eq!(kind().await, "blocked");
    become_("join");
    // In the room without the power to write.
    it.vendor.with(|held| held.archived = true);
    test().await;
    assert_eq!(kind().await, "blocked");
    it.vendor.with(|held| held.archived = false);
    test().await;
    assert_eq!(kind().await, Value::Null);
    // A token that ended, and a new one.
    it.vendor.with(|held| held.revoked = true);
    it.below("while the token was not taken", |_| {});
    it.tick().await;
    assert_eq!(kind().await, "unauthorized");
    let secrets = json!({ "secrets": { "accessToken": MATRIX_TOKEN } });
    it.ida().await.patch(&path, &secrets).await.expect(400);
    it.vendor.with(|held| held.revoked = false);
    it.ida().await.patch(&path, &secrets).await.expect(200);
    it.tick().await;
    assert_eq!(kind().await, Value::Null);
    assert_eq!(it.texts().await, ["while the token was not taken"], "nothing is passed over");
    // Who turns encryption on, or replaces the room, is seen at once, and nothing is sent in clear.
    let algorithm = json!({ "algorithm": "m.megolm.v1.aes-sha2" });
    it.vendor.with(|held| happen(held, "m.room.encryption", Some(""), algorithm));
    it.tick().await;
    assert_eq!(kind().await, "encrypted");
    let before = it.vendor.all().len();
    it.say("expert", "a word").await;
    it.tick().await;
    assert_eq!(it.vendor.all().len(), before);
    assert!(!it.facts("delivery.failed").await.is_empty(), "others are told");
    it.vendor.with(|held| held.states.remove("m.room.encryption|"));
    let replaced = json!({ "replacement_room": "!New:alder.example", "body": "moved" });
    it.vendor.with(|held| happen(held, "m.room.tombstone", Some(""), replaced));
    it.tick().await;
    assert_eq!(kind().await, "archived");
}

// PagerDuty.

const ROUTING_KEY: &str = "R0aLderF7e1ghtR0utingKey00000001";

/// What PagerDuty answers, as the Events API v2 has it; `people` are its alerts.
fn pagerduty(it: &Vendor, method: &str, path: &str, _: &HeaderMap, body: &Bytes) -> (u16, Value) {
    assert_eq!((method, path), ("POST", "/v2/enqueue"));
    let event: Value = serde_json::from_slice(body).expect("json");
    let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
    let invalid = |error: &str| {
        (
            400,
            json!({ "status": "invalid event", "message": "Event object is invalid",
                      "errors": [error] }),
        )
    };
    it.with(|held| {
        held.posts.push(event.clone());
        if text("routing_key") != ROUTING_KEY || held.revoked {
            return invalid("Invalid routing key");
        }
        let (key, action) = (text("dedup_key"), text("event_action"));
        if key.is_empty() || key.len() > 255 || held.archived {
            return invalid("'dedup_key' is missing or too long");
        }
        let open = held.people.get(&key).is_some_and(|it| it != "resolved");
        match action.as_str() {
            "trigger" => {
                let payload = &event["payload"];
                let summary = payload["summary"].as_str().unwrap_or_default();
                let severities = ["critical", "error", "warning", "info"];
                let severity = payload["severity"].as_str().unwrap_or_default();
                let source = payload["source"].as_str().unwrap_or_default();
                if summary.is_empty() || summary.chars().count() > 1_024 || source.is_empty() {
                    return invalid("'payload.summary' is missing or too long");
                }
                if !severities.contains(&severity) {
                    return invalid("'payload.severity' is invalid");
                }
                if !open {
                    held.people.insert(key.clone(), json!("triggered"));
                }
            }
            "acknowledge" if open => drop(held.people.insert(key.clone(), json!("acknowledged"))),
            "resolve" if open => drop(held.people.insert(key.clone(), json!("resolved"))),
            // Of what is not open PagerDuty takes these and does nothing.
            "acknowledge" | "resolve" => {}
            _ => return invalid("'event_action' is invalid"),
        }
        (202, json!({ "status": "success", "message": "Event processed", "dedup_key": key }))
    })
}

async fn on_pagerduty() -> Chatting {
    let vendor = Vendor::start(pagerduty).await;
    let chat = Chat {
        pagerduty_us_url: "http://127.0.0.1:9".to_owned(),
        pagerduty_eu_url: vendor.url.clone(),
        ..Chat::default()
    };
    let body = json!({
        "vendor": "pagerduty", "name": "On call", "settings": { "region": "eu" },
        "secrets": { "routingKey": ROUTING_KEY },
    });
    with(chat, vendor, body).await
}

impl Chatting {
    /// What was sent, as action and what the key ends in.
    fn events(&self) -> Vec<String> {
        let text = |it: &Value| it.as_str().unwrap_or_default().to_owned();
        self.vendor.all().iter().map(|it| text(&it["event_action"])).collect()
    }

    fn alerts(&self) -> Vec<Value> {
        self.vendor.with(|held| held.people.values().cloned().collect())
    }

    async fn tasks(&self) -> Vec<String> {
        let path = self.case.path("/response");
        let response = self.ida().await.get(&path).await.expect(200).json();
        let all = response["pending"].as_array().expect("tasks").clone();
        all.iter().map(|it| it["id"].as_str().expect("an id").to_owned()).collect()
    }
}

#[tokio::test]
async fn who_is_on_call_is_called_when_an_incident_awaits_them_and_let_go_again() {
    let it = on_pagerduty().await;
    it.publish().await;
    it.tick().await;
    assert_eq!(it.events(), ["trigger"]);
    let event = it.vendor.all()[0].clone();
    let tenant = &it.case.face.world.tenant.id;
    assert_eq!(event["dedup_key"], format!("riposte-{tenant}-{}", it.case.incident));
    assert_eq!(event["payload"]["source"], "Alder Freight");
    assert_eq!(
        event["payload"]["severity"], "error",
        "the incident is of medium severity: {event}"
    );
    let summary = event["payload"]["summary"].as_str().expect("text");
    assert!(summary.starts_with("Action needed: incident"), "{summary}");
    assert_eq!(event["payload"]["custom_details"]["waiting"], json!(["Call kari"]));
    let link = event["links"][0]["href"].as_str().expect("a link");
    assert!(link.ends_with(&format!("/incidents/{}?response=actions", it.case.incident)));
    // Words of the experts call nobody.
    it.say("expert", "Take your time.").await;
    it.tick().await;
    assert_eq!(it.events().len(), 1);
    it.advance(5 * 3_600);
    let app = &it.case.face.world.app;
    riposte::notification::reminder::watch(app).await.expect("reminders");
    it.tick().await;
    assert_eq!(it.events(), ["trigger", "trigger"]);
    // Somebody is on it, whatever else is said.
    it.say("customer", "We are on it.").await;
    it.say("customer", "Really.").await;
    it.tick().await;
    assert_eq!(it.events()[2..], ["acknowledge"]);
    assert_eq!(it.alerts(), [json!("acknowledged")]);
    // Everything is done: the incident goes back to the experts.
    for task in it.tasks().await {
        let path = format!("/api/v1/tasks/{task}/complete");
        it.ida().await.post(&path, &json!({})).await.expect(200);
    }
    it.tick().await;
    assert_eq!(it.events()[3..], ["resolve"]);
    it.say("customer", "That was all.").await;
    let resolve = json!({ "status": "resolved", "resolvingComment": "Contained." });
    let expert = it.case.face.expert().await;
    expert.patch(&it.case.path(""), &resolve).await.expect(200);
    it.tick().await;
    assert_eq!(it.events().len(), 4, "{:?}", it.events());
    assert_eq!(it.alerts(), [json!("resolved")], "one alert for an incident");
    let keys: BTreeSet<String> =
        it.vendor.all().iter().map(|it| it["dedup_key"].to_string()).collect();
    assert_eq!(keys.len(), 1);
    assert!(it.states().await.iter().all(|(_, state, _)| state == "delivered"));
}

#[tokio::test]
async fn a_response_that_leaves_nothing_to_do_calls_nobody() {
    let it = on_pagerduty().await;
    let found = json!({
        "classification": "truePositive", "determination": "malware", "summary": "It is over.",
    });
    it.case.expert.post(&it.case.path("/publish"), &found).await.expect(200);
    it.tick().await;
    assert!(it.events().is_empty(), "{:?}", it.events());
}

#[tokio::test]
async fn whatever_pagerduty_does_events_come_in_order_and_what_it_refuses_is_given_up() {
    use Fault::{Breaks, Loses, Wait};
    let it = on_pagerduty().await;
    it.vendor.will(&[Wait(90), Breaks, Loses]);
    it.publish().await;
    it.tick().await;
    it.say("customer", "We are on it.").await;
    it.advance(60);
    assert_eq!(it.tick().await, 0, "it asked us to wait for 90 s");
    for _ in 0..30 {
        it.advance(60);
        it.tick().await;
    }
    assert_eq!(it.events(), ["trigger", "trigger", "acknowledge"], "the first answer was lost");
    assert_eq!(it.alerts(), [json!("acknowledged")]);
    // A test rings and is over, under a key of its own.
    let path = format!("/api/v1/chat-channels/{}", it.channel);
    it.ida().await.post(&format!("{path}/test"), &json!({})).await.expect(202);
    it.tick().await;
    assert_eq!(it.events()[3..], ["trigger", "resolve"]);
    assert_eq!(it.alerts().len(), 2);
    assert!(it.vendor.all()[3]["dedup_key"].as_str().expect("a key").contains("-test-"));
    // An event that it does not take is dead at once; a key that it does not take is to be entered anew.
    it.vendor.with(|held| held.archived = true);
    it.advance(5 * 3_600);
    riposte::notification::reminder::watch(&it.case.face.world.app).await.expect("reminders");
    it.tick().await;
    let dead = async || it.states().await.iter().filter(|it| it.1 == "dead").count();
    assert_eq!(dead().await, 1);
    assert!(it.shown().await["trouble"].is_null());
    it.vendor.with(|held| (held.archived, held.revoked) = (false, true));
    it.ida().await.post(&format!("{path}/test"), &json!({})).await.expect(202);
    it.tick().await;
    assert_eq!(it.shown().await["trouble"]["kind"], "unauthorized");
    assert_eq!(dead().await, 2);
    it.vendor.with(|held| held.revoked = false);
    it.ida().await.post(&format!("{path}/test"), &json!({})).await.expect(202);
    it.tick().await;
    let shown = it.shown().await;
    assert!(shown["trouble"].is_null() && shown["eventsUrl"].is_null(), "{shown}");
    assert!(!shown.to_string().contains(ROUTING_KEY), "{shown}");
    for (part, name, value) in [
        ("settings", "region", json!("apac")),
        ("settings", "region", json!("https://evil.example")),
        ("secrets", "routingKey", json!("short")),
    ] {
        let changed = json!({ part: { name: value } });
        it.ida().await.patch(&path, &changed).await.expect(400);
    }
}
