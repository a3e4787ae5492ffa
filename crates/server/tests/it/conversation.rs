//! Conversations (COM-1..6, COM-9, ASK-1): who says what, who sees it, whose turn it is.

use riposte::permission::{Permission, Role};
use riposte::tenant::Side;
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::response::{Case, case};

fn path(case: &Case) -> String {
    format!("/api/v1/conversations/incident-{}", case.incident)
}

/// A case whose response is published.
async fn published() -> (Case, String) {
    let case = case("reader").await;
    case.draft(json!({ "actionType": "text", "displayName": "Call kari" })).await;
    case.publish().await;
    let path = path(&case);
    (case, path)
}

fn words(conversation: &Value) -> Vec<(String, String)> {
    let text = |it: &Value| it.as_str().expect("a text").to_owned();
    let all = conversation["messages"].as_array().expect("messages");
    all.iter().map(|it| (text(&it["side"]), text(&it["text"]))).collect()
}

async fn operator(case: &Case) -> Browser {
    let tenant = &case.face.world.tenant.id;
    case.face.person(tenant, "ola@alder.example", Role::SecurityOperator).await
}

#[tokio::test]
async fn a_chat_is_there_exactly_when_a_response_was_published() {
    let case = case("reader").await;
    let chat = path(&case);
    case.draft(json!({ "actionType": "text", "displayName": "Call kari" })).await;
    case.expert.get(&chat).await.expect(404);
    let say = json!({ "text": "Hello?" });
    case.ida.post(&format!("{chat}/messages"), &say).await.expect(404);
    assert_eq!(case.response().await["conversationId"], Value::Null);
    case.publish().await;
    let it = case.ida.get(&chat).await.expect(200).json();
    assert_eq!((&it["status"], &it["messages"]), (&json!("quiet"), &json!([])), "{it}");
    assert_eq!(case.response().await["conversationId"], it["id"]);
    // The next revision of the response goes on in the same chat.
    let because = json!({ "because": "She is on leave." });
    case.ida.post(&case.path("/response/reject"), &because).await.expect(200);
    case.ida.post(&format!("{chat}/messages"), &say).await.expect(201);
    case.draft(json!({ "actionType": "text", "displayName": "Mail kari" })).await;
    case.publish().await;
    assert_eq!(words(&case.ida.get(&chat).await.expect(200).json()).len(), 2);
}

#[tokio::test]
async fn both_sides_speak_and_the_turn_goes_with_them() {
    let (case, chat) = published().await;
    let messages = format!("{chat}/messages");
    let it = case.ida.post(&messages, &json!({ "text": " Which device first? " })).await;
    let it = it.expect(201).json();
    assert_eq!(it["status"], "waitingForExperts");
    let said = words(&it);
    assert_eq!(said.len(), 2, "{it}");
    assert_eq!(said[0], ("customer".to_owned(), "Which device first?".to_owned()));
    assert_eq!(said[1].0, "assistant", "acknowledged at once (COM-2)");
    assert_eq!(it["messages"][1]["author"], "Defender Experts virtual assistant");
    assert_eq!(
        (&it["messages"][0]["own"], &it["messages"][1]["own"]),
        (&json!(true), &json!(false))
    );
    case.ida.post(&messages, &json!({ "text": "And is h2 safe?" })).await.expect(201);

    let seen = case.expert.get(&chat).await.expect(200).json();
    assert_eq!(words(&seen).len(), 3, "one acknowledgement a wait");
    assert_eq!(seen["unread"], 3);
    let it = case.expert.post(&messages, &json!({ "text": "h1, now." })).await.expect(201).json();
    assert_eq!((&it["status"], &it["unread"]), (&json!("answered"), &json!(0)));
    let seen = case.ida.get(&chat).await.expect(200).json();
    let first = seen["firstUnreadId"].as_str().expect("an id");
    assert_eq!(seen["messages"].as_array().expect("four").last().expect("one")["id"], first);
    let log = case.ida.get(&case.path("/timeline?top=500")).await.expect(200).json();
    let sent: Vec<&Value> = log["value"]
        .as_array()
        .expect("a log")
        .iter()
        .filter(|it| it["kind"] == "message.sent")
        .collect();
    assert_eq!(sent.len(), 4, "{log}");
    assert!(!log.to_string().contains("h1, now."), "the log has that it was said, not what");
}

#[tokio::test]
async fn what_experts_say_among_themselves_stays_there() {
    let (case, chat) = published().await;
    let messages = format!("{chat}/messages");
    let note = json!({ "text": "I think kari clicked it.", "visibility": "experts" });
    case.ida.post(&messages, &note).await.expect(403);
    let it = case.expert.post(&messages, &note).await.expect(201).json();
    assert_eq!(
        (&it["status"], &it["messages"][0]["visibility"]),
        (&json!("quiet"), &json!("experts"))
    );
    let id = it["messages"][0]["id"].as_str().expect("an id").to_owned();
    let seen = case.ida.get(&chat).await.expect(200).json();
    assert_eq!((&seen["messages"], &seen["unread"]), (&json!([]), &json!(0)), "{seen}");
    let list = case.ida.get("/api/v1/conversations").await.expect(200).json();
    assert_eq!(list["value"], json!([]), "nothing was said to the customer yet");
    case.ida.get(&format!("{messages}?before={id}")).await.expect(404);
    case.ida.put(&format!("{chat}/read"), &json!({ "messageId": id })).await.expect(404);
    let log = case.ida.get(&case.path("/timeline?top=500")).await.expect(200).json();
    assert!(!log.to_string().contains("message.noted"), "{log}");
    // Nor does it answer: the customer still waits, and for as long.
    case.ida.post(&messages, &json!({ "text": "Anybody?" })).await.expect(201);
    let before = case.ida.get(&chat).await.expect(200).json();
    case.face.world.app.clock.advance_seconds(60);
    case.expert.post(&messages, &note).await.expect(201);
    let after = case.ida.get(&chat).await.expect(200).json();
    assert_eq!(after, before, "byte for byte what it was");
}

#[tokio::test]
async fn a_long_wait_is_told_once_and_shown_as_overdue() {
    let (case, chat) = published().await;
    let app = &case.face.world.app;
    case.ida.post(&format!("{chat}/messages"), &json!({ "text": "Anybody?" })).await.expect(201);
    app.clock.advance_seconds(3_599);
    riposte::conversation::watch(app).await.expect("a look");
    assert_eq!(case.face.world.rows("select count(*) from message").await, [2]);
    app.clock.advance_seconds(1);
    for _ in 0..2 {
        // Another process looks at the same hour.
        let replica = case.face.world.replica();
        let (one, two) =
            tokio::join!(riposte::conversation::watch(app), riposte::conversation::watch(&replica));
        one.and(two).expect("a look");
    }
    // The sessions of before have ended by now.
    let (ola, expert) = (operator(&case).await, case.face.expert().await);
    let it = ola.get(&chat).await.expect(200).json();
    assert_eq!((words(&it).len(), &it["overdue"]), (3, &json!(true)), "{it}");
    expert.post(&format!("{chat}/messages"), &json!({ "text": "Here." })).await.expect(201);
    let it = ola.get(&chat).await.expect(200).json();
    assert_eq!((&it["overdue"], &it["waitingSinceDateTime"]), (&json!(false), &Value::Null));
}

#[tokio::test]
async fn who_reads_only_reads_and_nobody_sends_files() {
    let (case, chat) = published().await;
    let messages = format!("{chat}/messages");
    let tenant = case.face.world.tenant.id.clone();
    let reader = case.face.person(&tenant, "rut@alder.example", Role::SecurityReader).await;
    let it = reader.get(&chat).await.expect(200).json();
    assert_eq!(it["may"]["write"]["allowed"], false, "{it}");
    reader.post(&messages, &json!({ "text": "Me too." })).await.expect(403);
    reader.put(&format!("{chat}/read"), &json!({ "messageId": null })).await.expect(204);
    let with = json!({ "text": "Look.", "attachments": [{ "name": "a.exe" }] });
    let refused = case.ida.post(&messages, &with).await.expect(400).json();
    let because = refused["error"]["message"].as_str().expect("a reason");
    assert!(because.contains("Collect file"), "{because}");
    for (text, reason) in [
        (String::new(), "must not be empty"),
        (" \n ".to_owned(), "must not be empty"),
        ("a\u{0}b".to_owned(), "control character"),
        ("\u{1b}[2J".to_owned(), "control character"),
        ("x".repeat(10_001), "longer than 10000 characters"),
    ] {
        let reply = case.ida.post(&messages, &json!({ "text": text })).await.expect(400).json();
        let because = reply["error"]["message"].as_str().expect("a reason");
        assert!(because.contains(reason), "{because}");
    }
    let other = json!({ "text": "x", "visibility": "nobody" });
    case.expert.post(&messages, &other).await.expect(400);
    assert_eq!(case.ida.get(&chat).await.expect(200).json()["messages"], json!([]));
}

#[tokio::test]
async fn the_same_message_sent_again_is_one_message() {
    let (case, chat) = published().await;
    let body = json!({ "text": "Once." }).to_string();
    let headers = [("content-type", "application/json"), ("idempotency-key", "k-1")];
    let to = format!("{chat}/messages");
    let first = case.siem.send("POST", &to, Some(body.clone()), &headers).await.expect(201);
    let again = case.siem.send("POST", &to, Some(body), &headers).await.expect(201);
    assert_eq!(first.json(), again.json());
    let count = case.face.world.rows("select count(*) from message where side = 'customer'").await;
    assert_eq!(count, [1]);
    // A process that died before it answered: whoever takes the request over makes nothing.
    let tx = case.face.world.app.db.shared().begin().await.expect("a change");
    let gone = "update idempotency set status = null, reply = null, at = 0 where made is not null";
    tx.execute(gone, vec![]).await.expect("an update");
    tx.commit().await.expect("a commit");
    let body = json!({ "text": "Once." }).to_string();
    case.siem.send("POST", &to, Some(body), &headers).await.expect(201);
    let count = case.face.world.rows("select count(*) from message where side = 'customer'").await;
    assert_eq!(count, [1]);
}

#[tokio::test]
async fn a_question_is_asked_answered_rated_closed_and_opened_again() {
    let (case, _) = published().await;
    let tenant = case.face.world.tenant.id.clone();
    let reader = case.face.person(&tenant, "rut@alder.example", Role::SecurityReader).await;
    let question = json!({
        "subject": "Is this driver known?", "text": "It came with the printer.",
        "about": { "kind": "file", "id": "00ff", "name": "prn.sys" },
    });
    let it = reader.post("/api/v1/conversations", &question).await.expect(201).json();
    assert_eq!((&it["kind"], &it["id"]), (&json!("question"), &json!("question-1")));
    assert_eq!(it["about"]["name"], "prn.sys");
    let path = "/api/v1/conversations/question-1";
    case.expert.post("/api/v1/conversations", &question).await.expect(403);
    let wrong =
        json!({ "subject": "x", "text": "y", "about": { "kind": "moon", "id": "1", "name": "m" } });
    reader.post("/api/v1/conversations", &wrong).await.expect(400);

    case.expert.post(&format!("{path}/messages"), &json!({ "text": "It is." })).await.expect(201);
    let rating = json!({ "helpful": true, "remark": "Quick." });
    reader.put(&format!("{path}/rating"), &rating).await.expect(200);
    let json = [("content-type", "application/json")];
    let to = format!("{path}/rating");
    case.expert.send("PUT", &to, Some(rating.to_string()), &json).await.expect(403);
    let seen = case.expert.get(path).await.expect(200).json();
    assert_eq!(seen["ratings"], json!({ "helpful": 1, "notHelpful": 0 }));
    let other = reader.put(&format!("{path}/rating"), &json!({ "helpful": false })).await;
    assert_eq!(other.expect(200).json()["helpful"], false);
    assert_eq!(
        case.expert.get(path).await.expect(200).json()["ratings"],
        json!({ "helpful": 0, "notHelpful": 1 }),
        "one voice a person"
    );
    let closed = reader.post(&format!("{path}/close"), &json!({})).await.expect(200).json();
    assert_eq!(closed["status"], "closed");
    reader.post(&format!("{path}/messages"), &json!({ "text": "Or not?" })).await.expect(201);
    assert_eq!(reader.get(path).await.expect(200).json()["status"], "waitingForExperts");
}

#[tokio::test]
async fn the_list_is_ordered_filtered_paged_and_exported() {
    let (case, chat) = published().await;
    let app = &case.face.world.app;
    let ola = operator(&case).await;
    for n in 0..5 {
        app.clock.advance_seconds(60);
        let it = json!({ "subject": format!("Question {n}, =1+1"), "text": "?" });
        ola.post("/api/v1/conversations", &it).await.expect(201);
    }
    app.clock.advance_seconds(60);
    case.ida.post(&format!("{chat}/messages"), &json!({ "text": "!" })).await.expect(201);
    app.clock.advance_seconds(60);
    let to = "/api/v1/conversations/question-2/messages";
    case.expert.post(to, &json!({ "text": "Yes." })).await.expect(201);
    let ids = |list: &Value| -> Vec<String> {
        let all = list["value"].as_array().expect("rows").iter();
        all.map(|it| it["id"].as_str().expect("an id").to_owned()).collect()
    };
    let all = ola.get("/api/v1/conversations").await.expect(200).json();
    let chat_id = format!("incident-{}", case.incident);
    let expected = ["question-2", &chat_id, "question-5", "question-4", "question-3", "question-1"];
    assert_eq!(ids(&all), expected);
    assert_eq!(all["value"][0]["lastMessage"]["text"], "Yes.");
    assert_eq!(
        all["value"][0]["unread"], 1,
        "of two, as it asked after the one and was told the other"
    );

    let (mut paged, mut cursor) = (Vec::new(), String::new());
    loop {
        let page =
            ola.get(&format!("/api/v1/conversations?top=2{cursor}")).await.expect(200).json();
        paged.extend(ids(&page));
        let Some(next) = page["nextCursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(paged, expected);
    for (filter, found) in [
        ("status=answered", vec!["question-2"]),
        ("kind=managedResponse", vec![chat_id.as_str()]),
        ("search=question%203", vec!["question-4"]),
        ("unread=true&status=answered", vec!["question-2"]),
        ("status=closed", vec![]),
    ] {
        let it = ola.get(&format!("/api/v1/conversations?{filter}")).await.expect(200).json();
        assert_eq!(ids(&it), found, "{filter}");
    }
    for wrong in ["status=lost", "kind=x", "cursor=x", "from=never", "colour=red"] {
        ola.get(&format!("/api/v1/conversations?{wrong}")).await.expect(400);
    }
    let csv = ola.get("/api/v1/conversations/export?kind=question").await.expect(200);
    assert_eq!(csv.text.lines().count(), 6, "{}", csv.text);
    ola.put("/api/v1/conversations/question-2/read", &json!({ "messageId": null }))
        .await
        .expect(204);
    let it = ola.get("/api/v1/conversations?search=question-2").await.expect(200).json();
    assert_eq!(it["value"][0]["unread"], 2, "its own words are not new to it");
}

#[tokio::test]
async fn who_is_not_inside_sees_that_somebody_waits_and_not_what_was_said() {
    let (case, chat) = published().await;
    case.ida.post(&format!("{chat}/messages"), &json!({ "text": "Secret." })).await.expect(201);
    let question = json!({ "subject": "Secret too", "text": "Secret." });
    case.ida.post("/api/v1/conversations", &question).await.expect(201);
    let outside = case.face.provider_person("lone@fjordwatch.example", Role::Expert).await;
    let list = outside.get("/api/v1/conversations").await.expect(200).json();
    assert_eq!(list["value"].as_array().map(Vec::len), Some(2), "{list}");
    assert!(!list.to_string().contains("Secret"), "{list}");
    assert_eq!(list["value"][0]["inside"], false);
    let refused = outside.get(&chat).await.expect(403).json();
    assert_eq!(refused["error"]["code"], "AccessRequired", "{refused}");
    // Another customer's application.
    let other = &case.face.world.other.id;
    let theirs = case.face.app(Side::Tenant(other), &[Permission::IncidentReadWrite]).await;
    let theirs = case.face.sign_in(&theirs).await;
    theirs.get(&chat).await.expect(404);
    theirs.post(&format!("{chat}/messages"), &json!({ "text": "x" })).await.expect(404);
    let list = theirs.get("/api/v1/conversations").await.expect(200).json();
    assert_eq!(list["value"], json!([]));
}

#[tokio::test]
async fn questions_cost_credits_where_the_provider_counts_them() {
    let case = case("reader").await;
    let (face, tenant) = (&case.face, case.face.world.tenant.id.clone());
    let credits = "/api/v1/credits";
    let it = case.ida.get(credits).await.expect(200).json();
    assert_eq!((&it["rule"], &it["balance"]), (&json!("unlimited"), &Value::Null), "{it}");
    let odd = face.provider_person("odd@fjordwatch.example", Role::ProviderAdministrator).await;
    let path = format!("{credits}?tenantId={tenant}");
    let counted = json!({ "rule": "quarterly", "untilDateTime": null });
    case.ida.put(credits, &counted).await.expect(403);
    odd.put(&path, &counted).await.expect(200);
    let ask = async |number: i64| {
        let question = json!({ "subject": format!("Question {number}"), "text": "Is it ours?" });
        case.ida.post("/api/v1/conversations", &question).await
    };
    // Ten from November, when they begin to be counted.
    for number in 0..10 {
        ask(number).await.expect(201);
    }
    let refused = ask(10).await.expect(409).json();
    assert!(refused.to_string().contains("come on 2027-01-01"), "{refused}");
    let it = case.ida.get(credits).await.expect(200).json();
    assert_eq!((&it["balance"], &it["usable"]), (&json!(0), &json!(0)), "{it}");
    let ledger = it["ledger"].as_array().expect("a ledger");
    assert_eq!(ledger.len(), 11, "{it}");
    assert_eq!(
        (&ledger[0]["what"], &ledger[0]["by"]),
        (&json!("spent"), &json!("ida@alder.example"))
    );
    assert!(ledger[0]["conversationId"].as_str().is_some_and(|id| id.starts_with("question-")));
    // The chat of an incident costs nothing, and another customer is counted for itself.
    case.draft(json!({ "actionType": "text", "displayName": "Call kari" })).await;
    case.publish().await;
    let say = json!({ "text": "On it." });
    case.ida.post(&format!("{}/messages", self::path(&case)), &say).await.expect(201);
    let other = face.person(&face.world.other.id, "o@n.example", Role::SecurityAdministrator).await;
    other.get(&path).await.expect(404);
    let question = json!({ "subject": "Ours", "text": "Is it?" });
    other.post("/api/v1/conversations", &question).await.expect(201);
    odd.put(&path, &json!({ "rule": "unlimited" })).await.expect(200);
    ask(11).await.expect(201);
}

#[tokio::test]
async fn whom_a_question_names_hears_of_the_answer() {
    let it = crate::notification::post_with(riposte::config::Mail::default()).await;
    it.contact("Ida Berg", json!({})).await;
    it.tick().await;
    let question = json!({
        "subject": "A letter", "text": "Is this from you?",
        "notify": ["board@alder.example", "ida.berg@alder.example"],
    });
    let ida = it.ida().await;
    let made = ida.post("/api/v1/conversations", &question).await.expect(201).json();
    for bad in [
        json!(["board"]),
        json!(["a@b.example\r\nBcc: x@y.example"]),
        json!(vec!["a@b.example"; 6]),
    ] {
        let mut worse = question.clone();
        worse["notify"] = bad;
        ida.post("/api/v1/conversations", &worse).await.expect(400);
    }
    let id = made["id"].as_str().expect("an id");
    let say = json!({ "text": "It is." });
    let path = format!("/api/v1/conversations/{id}/messages");
    it.case.expert.post(&path, &say).await.expect(201);
    it.tick().await;
    let mails = it.server.mails().split_off(1);
    let mut to: Vec<String> = mails.into_iter().map(|mail| mail.0).collect();
    to.sort();
    assert_eq!(to, ["board@alder.example", "ida.berg@alder.example"], "each once");
}
