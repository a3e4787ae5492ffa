//! Answers by mail (COM-8): what a contact writes back enters its conversation, over a real LMTP
//! conversation, and nothing else does: forged senders, right threads with wrong senders, right senders
//! without the address, programs that answer by themselves, reports.

use std::net::SocketAddr;
use std::time::Duration;

use riposte::config::Mail;
use riposte::notification::{imap, inbox};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::dovecot::Dovecot;
use crate::notification::{Post, header, post_with};

const PROVEN: &str =
    "Authentication-Results: mx.fjordwatch.example; dmarc=pass header.from=alder.example\r\n";

/// A customer that got a mail about a response, and where its mail server hands answers over.
struct Inbox {
    post: Post,
    lmtp: SocketAddr,
    /// The address that Ida's mail asks to be answered to.
    back: String,
    contact: String,
    _running: DropGuard,
}

async fn inbox() -> Inbox {
    let post = post_with(Mail {
        replies: Some("reply@mdr.example".to_owned()),
        authority: Some("mx.fjordwatch.example".to_owned()),
        lmtp: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
        ..Mail::default()
    })
    .await;
    let app = post.case.face.world.app.clone();
    let listening = inbox::listen(&app).await.expect("a port").expect("mail comes in");
    let lmtp = listening.address().expect("an address");
    let stop = CancellationToken::new();
    tokio::spawn(listening.run(app, stop.clone()));
    let contact = post.contact("Ida Berg", json!({})).await;
    post.tick().await;
    post.publish().await;
    post.tick().await;
    let mails = post.server.mails();
    let (_, _, welcome) = &mails[0];
    assert_eq!(header(welcome, "Reply-To"), None, "there is nothing to answer yet");
    let (_, _, mail) = mails.last().expect("a mail");
    let back = header(mail, "Reply-To").expect("it can be answered");
    let back = back.rsplit_once('<').map_or(back.as_str(), |(_, it)| it).trim_end_matches('>');
    assert!(mail.contains("Write above this line"), "{mail}");
    let back = back.to_owned();
    let sent = post.server.kept.lock().expect("kept").last().expect("a mail").from.clone();
    assert_eq!(sent, back, "reports come back to it too");
    Inbox { post, lmtp, back, contact, _running: stop.drop_guard() }
}

/// Hands a mail over by LMTP; gives the answer for each receiver.
async fn hand_over(at: SocketAddr, from: &str, to: &[&str], data: &str) -> Vec<String> {
    let stream = TcpStream::connect(at).await.expect("a connection");
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).await.expect("a greeting");
    let mut say = vec!["LHLO mx.fjordwatch.example".to_owned(), format!("MAIL FROM:<{from}>")];
    say.extend(to.iter().map(|to| format!("RCPT TO:<{to}>")));
    say.push("DATA".to_owned());
    for command in say {
        stream.write_all(format!("{command}\r\n").as_bytes()).await.expect("said");
        loop {
            line.clear();
            stream.read_line(&mut line).await.expect("an answer");
            assert!(line.starts_with(['2', '3']), "{command}: {line}");
            if line.as_bytes().get(3) == Some(&b' ') {
                break;
            }
        }
    }
    let data = data.replace("\r\n.", "\r\n..");
    stream.write_all(format!("{data}\r\n.\r\n").as_bytes()).await.expect("said");
    let mut answers = Vec::new();
    for _ in to {
        line.clear();
        stream.read_line(&mut line).await.expect("an answer");
        answers.push(line.trim().to_owned());
    }
    answers
}

fn mail(head: &str, text: &str) -> String {
    format!(
        "From: Ida Berg <Ida.Berg@alder.example>\r\nSubject: Re: Action needed\r\nMessage-ID: \
         <{}@alder.example>\r\n{head}\r\n{text}\r\n",
        uuid::Uuid::new_v4()
    )
}

impl Inbox {
    async fn hand(&self, data: &str) -> String {
        let from = "ida.berg@alder.example";
        hand_over(self.lmtp, from, &[&self.back], data).await.remove(0)
    }

    /// What both sides see of the chat; with what only experts see.
    async fn said(&self) -> (Vec<Value>, Vec<Value>) {
        let path = format!("/api/v1/conversations/incident-{}", self.post.case.incident);
        let chat = self.post.ida().await.get(&path).await.expect(200).json();
        let all = self.post.case.face.expert().await.get(&path).await.expect(200).json();
        let of = |it: &Value| it["messages"].as_array().expect("messages").clone();
        (of(&chat), of(&all))
    }

    async fn facts(&self, kind: &str) -> Vec<Value> {
        let path = self.post.case.path("/timeline?top=500");
        let log = self.post.ida().await.get(&path).await.expect(200).json();
        let all = log["value"].as_array().expect("a log").clone();
        all.into_iter().filter(|it| it["kind"] == kind).collect()
    }
}

#[tokio::test]
async fn an_answer_enters_the_chat_and_the_experts_word_comes_back_into_the_thread() {
    let it = inbox().await;
    let quoted = "On 22 Nov 2026 at 08:01, Fjordwatch <soc@fjordwatch.example> wrote:\r\n\
                  > ―――― Write above this line to answer the experts. ――――\r\n> Call kari";
    let data = mail(PROVEN, &format!("Dock-3 first, *please*.\r\n\r\n{quoted}"));
    assert_eq!(it.hand(&data).await, "250 2.0.0 taken");
    let (chat, _) = it.said().await;
    let words: Vec<_> = chat.iter().map(|it| (&it["side"], &it["author"], &it["via"])).collect();
    assert_eq!(words[0], (&json!("customer"), &json!("Ida Berg"), &json!("mail")), "{chat:?}");
    assert_eq!(chat[0]["text"], "Dock-3 first, *please*.");
    assert_eq!(words[1].0, "assistant", "it is acknowledged like any other word");
    assert_eq!(chat.len(), 2);
    let path = format!("/api/v1/conversations/incident-{}", it.post.case.incident);
    let seen = it.post.case.face.expert().await.get(&path).await.expect(200).json();
    assert_eq!(seen["status"], "waitingForExperts", "{seen}");
    let said = it.facts("message.sent").await;
    assert!(
        said.iter().any(|it| it["actor"]["name"] == "Ida Berg"),
        "who said it is on record {said:?}"
    );
    // The very same mail, handed over again after a lost answer.
    assert_eq!(it.hand(&data).await, "250 2.0.0 taken");
    assert_eq!(it.said().await.0.len(), 2, "once");
    // The experts answer; it comes into the same thread of mails and can be answered again.
    let before = it.post.server.mails();
    it.post
        .case
        .face
        .expert()
        .await
        .post(&format!("{path}/messages"), &json!({ "text": "Isolated." }))
        .await
        .expect(201);
    it.post.tick().await;
    let mails = it.post.server.mails();
    assert_eq!(mails.len(), before.len() + 1);
    let (_, _, last) = mails.last().expect("a mail");
    let thread = |mail: &str| header(mail, "References").expect("a thread");
    assert_eq!(thread(last), thread(&before.last().expect("one").2));
    assert_ne!(header(last, "Reply-To").expect("it can be answered"), it.back);
}

#[tokio::test]
async fn nothing_forged_enters_a_chat() {
    let it = inbox().await;
    let ida = "From: Ida Berg <Ida.Berg@alder.example>";
    let forged = [
        ("nobody proves it", mail("", "kanarie")),
        (
            "the sender proves it itself",
            mail(
                "Authentication-Results: mx.alder.example; dmarc=pass header.from=alder.example\r\n",
                "kanarie",
            ),
        ),
        (
            "another domain",
            mail(
                "Authentication-Results: mx.fjordwatch.example; dmarc=pass header.from=evil.example\r\n",
                "kanarie",
            ),
        ),
        (
            "right thread, wrong sender",
            mail(PROVEN, "kanarie").replace(ida, "From: Odd <odd@alder.example>"),
        ),
        (
            "a name that looks right",
            mail(PROVEN, "kanarie")
                .replace(ida, "From: \"Ida.Berg@alder.example\" <odd@evil.example>"),
        ),
        ("two senders", mail(PROVEN, "kanarie").replace(ida, &format!("{ida}, x@y.example"))),
        ("two headers", format!("From: x@alder.example\r\n{}", mail(PROVEN, "kanarie"))),
    ];
    for (why, data) in &forged {
        assert_eq!(it.hand(data).await, "250 2.0.0 taken", "{why}: no report to who forges");
    }
    let (chat, all) = it.said().await;
    assert!(chat.is_empty(), "{chat:?}");
    assert_eq!(all.len(), forged.len(), "the experts are told that somebody may wait: {all:?}");
    assert!(all.iter().all(|it| it["visibility"] == "experts" && it["side"] == "assistant"));
    assert!(!json!(all).to_string().contains("kanarie"), "nothing of a forged mail is shown");
    assert_eq!(it.facts("reply.refused").await.len(), forged.len());
    // Right sender, no address of ours.
    let strange = it.back.replace(&it.back[6..8], if &it.back[6..8] == "00" { "11" } else { "00" });
    let mut short = it.back.clone();
    short.remove(40);
    for to in [strange.as_str(), short.as_str(), "reply@mdr.example", "soc@mdr.example"] {
        let said = hand_over(it.lmtp, "ida.berg@alder.example", &[to], &mail(PROVEN, "x")).await;
        assert!(said[0].starts_with("550 "), "{to}: {said:?}");
    }
    let both = [strange.as_str(), it.back.as_str()];
    let said = hand_over(it.lmtp, "ida.berg@alder.example", &both, &mail(PROVEN, "Both")).await;
    assert!(said[0].starts_with("550 ") && said[1].starts_with("250 "), "{said:?}");
    assert_eq!(it.said().await.0[0]["text"], "Both");
}

#[tokio::test]
async fn who_is_no_contact_any_more_is_not_heard() {
    let it = inbox().await;
    let ida = it.post.ida().await;
    let path = format!("/api/v1/contacts/{}", it.contact);
    ida.patch(&path, &json!({ "role": "serviceReview" })).await.expect(200);
    it.hand(&mail(PROVEN, "one")).await;
    ida.patch(&path, &json!({ "role": "incidentNotification", "email": "ida@birch.example" }))
        .await
        .expect(200);
    it.hand(&mail(PROVEN, "two")).await;
    ida.patch(&path, &json!({ "email": "ida.berg@alder.example" })).await.expect(200);
    it.hand(&mail(PROVEN, "three")).await;
    ida.delete(&path).await.expect(204);
    it.hand(&mail(PROVEN, "four")).await;
    let (chat, _) = it.said().await;
    let texts: Vec<_> =
        chat.iter().filter(|it| it["side"] == "customer").map(|it| &it["text"]).collect();
    assert_eq!(texts, ["three"], "{chat:?}");
}

#[tokio::test]
async fn programs_that_answer_by_themselves_are_not_heard_and_end_in_no_circle() {
    let it = inbox().await;
    let before = it.post.server.mails().len();
    for round in 0..60 {
        let head = ["Auto-Submitted: auto-replied\r\n", "Precedence: bulk\r\n"][round % 2];
        it.hand(&mail(&format!("{PROVEN}{head}"), "I am away")).await;
    }
    it.post.tick().await;
    assert_eq!(it.post.server.mails().len(), before, "nobody is written to because of it");
    let (chat, all) = it.said().await;
    assert!(chat.is_empty() && all.is_empty(), "{all:?}");
    assert_eq!(it.facts("reply.refused").await.len(), 50, "and they do not fill the log either");
}

#[tokio::test]
async fn a_report_that_a_mail_went_no_further_gives_it_up_and_others_hear_of_it() {
    let it = inbox().await;
    it.post.contact("Duty", json!({ "priority": "backup" })).await;
    it.post.tick().await;
    let before = it.post.server.mails().len();
    let report = |action: &str| {
        format!(
            "From: MAILER-DAEMON@alder.example\r\nMIME-Version: 1.0\r\nContent-Type: \
             multipart/report; report-type=delivery-status; boundary=b\r\n\r\n--b\r\n\r\nSorry\r\n\
             --b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx\r\n\r\n\
             Final-Recipient: rfc822; ida.berg@alder.example\r\nAction: {action}\r\nStatus: \
             5.1.1\r\nDiagnostic-Code: smtp; 550 gone\r\n\r\n--b--\r\n"
        )
    };
    hand_over(it.lmtp, "", &[&it.back], &report("delayed")).await;
    assert!(it.post.deliveries("state=dead").await.is_empty(), "it may still arrive");
    hand_over(it.lmtp, "", &[&it.back], &report("failed")).await;
    let dead = it.post.deliveries("state=dead").await;
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0]["because"], "5.1.1 550 gone");
    it.post.tick().await;
    let mails = it.post.server.mails();
    assert_eq!(mails.len(), before + 1, "the backup contact hears of it");
    assert_eq!(mails.last().expect("a mail").0, "duty@alder.example");
    assert!(it.said().await.1.is_empty(), "a report is nobody's word");
}

#[tokio::test]
async fn files_are_left_out_and_that_is_said() {
    let it = inbox().await;
    let data = mail(
        &format!("{PROVEN}MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n"),
        "--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nThe log.\r\n--b\r\nContent-Type: \
         application/zip\r\nContent-Disposition: attachment; filename=a.zip\r\n\
         Content-Transfer-Encoding: base64\r\n\r\nUEsDBA==\r\n--b--",
    );
    it.hand(&data).await;
    let (chat, _) = it.said().await;
    assert_eq!(chat[0]["text"], "The log.");
    let told = chat.iter().any(|it| {
        it["side"] == "assistant" && it["text"].as_str().is_some_and(|it| it.contains("left out"))
    });
    assert!(told, "{chat:?}");
}

#[tokio::test]
async fn a_question_is_answered_by_mail_too_and_only_by_its_own_customer() {
    let it = inbox().await;
    let asked = json!({ "subject": "Was it us?", "text": "The scan of 8:00." });
    let made = it.post.case.ida.post("/api/v1/conversations", &asked).await.expect(201).json();
    let id = made["id"].as_str().expect("an id").to_owned();
    let path = format!("/api/v1/conversations/{id}");
    let expert = it.post.case.face.expert().await;
    expert.post(&format!("{path}/messages"), &json!({ "text": "Yes." })).await.expect(201);
    it.post.tick().await;
    let mails = it.post.server.mails();
    let back = header(&mails.last().expect("a mail").2, "Reply-To").expect("it can be answered");
    let back = back.rsplit_once('<').map_or(back.as_str(), |(_, it)| it).trim_end_matches('>');
    hand_over(it.lmtp, "ida.berg@alder.example", &[back], &mail(PROVEN, "Thanks.")).await;
    let seen = it.post.ida().await.get(&path).await.expect(200).json();
    let last = seen["messages"].as_array().expect("messages");
    assert!(last.iter().any(|it| it["text"] == "Thanks." && it["via"] == "mail"), "{seen}");
    assert!(it.said().await.0.is_empty(), "not in the incident's chat");
}

/// Waits until something is so, for as long as a busy machine may take.
async fn until(what: &str, mut so: impl AsyncFnMut() -> bool) {
    for _ in 0..600 {
        if so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{what}");
}

#[tokio::test]
async fn a_mailbox_is_read_over_imap_and_a_server_that_fails_is_tried_again() {
    let Some(mut server) = Dovecot::start().await else { return };
    let it = inbox().await;
    let mailbox = |name: &str| {
        imap::Mailbox::open(&Mail {
            imap: Some(server.url()),
            imap_password_file: Some(server.path(name)),
            ca: Some(server.path("cert.pem")),
            ..Mail::default()
        })
    };
    assert!(mailbox("nowhere").is_err(), "a setting that cannot be used is said");
    let app = it.post.case.face.world.app.clone();
    let mailbox = mailbox("password").expect("a mailbox").expect("it is set up");
    let stop = CancellationToken::new();
    let _stopped = stop.clone().drop_guard();
    let sent = |text: &str| {
        let back = &it.back;
        let head =
            format!("Return-Path: <ida.berg@alder.example>\r\nDelivered-To: {back}\r\n{PROVEN}");
        mail(&head, text)
    };
    let heard = async || {
        let (chat, _) = it.said().await;
        let own = chat.into_iter().filter(|it| it["side"] == "customer");
        own.map(|it| it["text"].as_str().expect("text").to_owned()).collect::<Vec<_>>()
    };
    server.deliver(&sent("Before anybody looked."));
    server.deliver("From: x@y.example\r\nTo: z@y.example\r\n\r\nNot for us.\r\n");
    tokio::spawn(mailbox.run(app, stop));
    until("what was there is taken", async || server.read() == (2, 2)).await;
    assert_eq!(heard().await, ["Before anybody looked."], "{}", server.log());
    // The server tells that something came in.
    server.deliver(&sent("While it waited."));
    until("news are taken", async || heard().await.len() == 2).await;
    server.restart().await;
    server.deliver(&sent("After it was gone."));
    until("it is tried again", async || heard().await.len() == 3).await;
    until("each is marked", async || server.read() == (4, 4)).await;
}
