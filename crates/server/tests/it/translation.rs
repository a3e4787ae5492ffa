//! Conversations in the reader's language (COM-3), by a service that answers, refuses, cuts short and
//! obeys what it should not.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use riposte::config::{Config, Translation};
use serde_json::{Value, json};

use crate::face::Face;
use crate::response::{Case, case, case_in};

/// A service with the chat interface; says each text in capitals.
#[derive(Clone, Default)]
struct Translator {
    asked: Arc<Mutex<Vec<Value>>>,
    says: Arc<Mutex<VecDeque<(u16, Value)>>>,
}

impl Translator {
    async fn start() -> (Self, String) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/v1", listener.local_addr().expect("an address"));
        let it = Self::default();
        let router = axum::Router::new()
            .route("/v1/chat/completions", axum::routing::post(complete))
            .with_state(it.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (it, url)
    }

    fn complete(&self, headers: &HeaderMap, body: &[u8]) -> Response {
        let shown = headers.get("authorization").and_then(|it| it.to_str().ok());
        if shown != Some("Bearer sk-test") {
            return StatusCode::UNAUTHORIZED.into_response();
        }
        let body: Value = serde_json::from_slice(body).expect("JSON");
        let text = body["messages"][1]["content"].as_str().expect("a text").to_uppercase();
        self.asked.lock().expect("asked").push(body);
        if let Some((status, said)) = self.says.lock().expect("says").pop_front() {
            let status = StatusCode::from_u16(status).expect("a status");
            return (status, said.to_string()).into_response();
        }
        let choice = json!({ "message": { "content": text }, "finish_reason": "stop" });
        json!({ "choices": [choice] }).to_string().into_response()
    }

    fn asked(&self) -> usize {
        self.asked.lock().expect("asked").len()
    }
}

async fn complete(State(it): State<Translator>, headers: HeaderMap, body: Bytes) -> Response {
    std::future::ready(it.complete(&headers, &body)).await
}

/// A published case whose installation has a translation service.
async fn translated() -> (Case, Translator, String) {
    let (service, url) = Translator::start().await;
    let folder = tempfile::tempdir().expect("a folder").keep();
    std::fs::write(folder.join("token"), "sk-test\n").expect("a file");
    let config = Config {
        translation: Translation {
            url: Some(url),
            token_file: Some(folder.join("token")),
            ..Translation::default()
        },
        ..Config::default()
    };
    let case = case_in(Face::with(config).await, "reader").await;
    case.draft(json!({ "actionType": "text", "displayName": "Call kari" })).await;
    case.publish().await;
    let path = format!("/api/v1/conversations/incident-{}", case.incident);
    (case, service, path)
}

async fn say(case: &Case, path: &str, text: &str, visibility: &str) -> String {
    let body = json!({ "text": text, "visibility": visibility });
    let after = case.expert.post(&format!("{path}/messages"), &body).await.expect(201).json();
    let all = after["messages"].as_array().expect("messages");
    all.last().expect("a message")["id"].as_str().expect("an id").to_owned()
}

#[tokio::test]
async fn a_message_is_translated_once_for_all_who_may_read_it() {
    let (case, service, path) = translated().await;
    let both = say(&case, &path, "Isolate **desk-14**.", "both").await;
    let inner = say(&case, &path, "We think it is kari.", "experts").await;
    let shown = case.ida.get(&path).await.expect(200).json();
    assert_eq!(shown["translation"]["isSetUp"], true);
    let wanted = json!({ "language": "ja", "messageIds": [both, inner] });
    let at = format!("{path}/translations");
    let found = case.ida.post(&at, &wanted).await.expect(200).json();
    let one = json!({ "id": both, "text": "ISOLATE **DESK-14**.", "because": null });
    assert_eq!(found["value"], json!([one]), "what only experts see stays theirs: {found}");
    assert_eq!(service.asked(), 1);
    let asked = service.asked.lock().expect("asked")[0].clone();
    assert!(asked["messages"][0]["content"].as_str().expect("a task").contains("into Japanese"));
    let found = case.expert.post(&at, &wanted).await.expect(200).json();
    assert_eq!(found["value"].as_array().map(Vec::len), Some(2), "{found}");
    assert_eq!(service.asked(), 2, "the first is known by now");
    let spanish = json!({ "language": "es", "messageIds": [both] });
    case.expert.post(&at, &spanish).await.expect(200);
    assert_eq!(service.asked(), 3, "another language is another translation");
    // The conversation itself is as it was.
    let after = case.ida.get(&path).await.expect(200).json();
    assert_eq!(after["messages"], shown["messages"]);
}

#[tokio::test]
async fn what_cannot_be_translated_says_why_and_holds_nothing_up() {
    let (case, service, path) = translated().await;
    let texts = ["One.", "Two.", "Three."];
    let mut ids = Vec::new();
    for text in texts {
        ids.push(say(&case, &path, text, "both").await);
    }
    {
        let mut says = service.says.lock().expect("says");
        let cut =
            json!({ "choices": [{ "message": { "content": "TW" }, "finish_reason": "length" }] });
        says.push_back((500, json!({})));
        says.push_back((200, cut));
    }
    let at = format!("{path}/translations");
    let wanted = json!({ "language": "pt-BR", "messageIds": ids });
    let found = case.ida.post(&at, &wanted).await.expect(200).json();
    let all = found["value"].as_array().expect("a list");
    let done = all.iter().filter(|it| it["text"].is_string()).count();
    let lost = all.iter().filter(|it| it["because"].is_string()).count();
    assert_eq!((done, lost), (1, 2), "{found}");
    let found = case.ida.post(&at, &wanted).await.expect(200).json();
    let done: Vec<&str> = found["value"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|it| it["text"].as_str())
        .collect();
    assert_eq!(done, ["ONE.", "TWO.", "THREE."], "each is asked for again until it is there");
    let many: Vec<String> = (0..21).map(|n| n.to_string()).collect();
    let many = json!({ "language": "es", "messageIds": many });
    case.ida.post(&at, &many).await.expect(400);
    case.ida.post(&at, &json!({ "language": "xx", "messageIds": [] })).await.expect(400);
    // Another customer has no such conversation.
    let face = &case.face;
    let role = riposte::permission::Role::SecurityAdministrator;
    let other = face.person(&face.world.other.id, "o@n.example", role).await;
    other.post(&at, &wanted).await.expect(404);
}

#[tokio::test]
async fn nothing_leaves_where_nobody_has_named_a_service() {
    let case = case("reader").await;
    case.draft(json!({ "actionType": "text", "displayName": "Call kari" })).await;
    case.publish().await;
    let path = format!("/api/v1/conversations/incident-{}", case.incident);
    let shown = case.ida.get(&path).await.expect(200).json();
    assert_eq!(shown["translation"]["isSetUp"], false);
    let wanted = json!({ "language": "es", "messageIds": [] });
    let said = case.ida.post(&format!("{path}/translations"), &wanted).await.expect(409).json();
    assert!(said.to_string().contains("no translation service is set up here"), "{said}");
}
