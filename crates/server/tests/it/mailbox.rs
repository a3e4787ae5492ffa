//! Mails in mailboxes, through a product (quality 2, MR-8, MR-9, OPP-8), against a stand-in for
//! Microsoft Graph that keeps copies in folders, takes only what its interface documents and fails
//! in every way we know of.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use riposte::clock::{Clock, Timestamp};
use riposte::connector::Lines;
use riposte::db::column;
use riposte::response::catalog::{Kind, TargetKind};
use riposte::response::{self, NewTask, engine, remote};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::connector::{Dice, Fault, broken, never, slow, status};
use crate::face::Face;
use crate::response::{Case, case, case_in};
use crate::world::alert;

const KARI: &str = "kari@alder.example";
const OLA: &str = "ola@alder.example";
const MAIL: &str = "<o'b.1$2@mail.example>";
const DUMPSTER: &str = "recoverableitemsdeletions";

/// A copy of a mail: its id, and the folder it is in. What was deleted for good is in none.
type Copies = Vec<(String, String)>;

#[derive(Clone, PartialEq, Eq, Debug)]
enum Entry {
    /// A request that does something came in: what, and to how many copies of which mailbox.
    Asked { order: String, verb: String, mailbox: String },
    /// It was done to one copy.
    Effect { order: String, verb: String, mailbox: String },
    /// It was refused for now, or its copy is not there.
    Refused { order: String },
    /// A mailbox was read.
    Read { mailbox: String, shown: Copies },
}

struct Mailbox {
    is: Copies,
    was: Copies,
    /// Until when what was is shown.
    seen: Timestamp,
}

struct Inside {
    clock: Clock,
    boxes: BTreeMap<String, Mailbox>,
    log: Vec<Entry>,
    writes: VecDeque<Fault>,
    reads: VecDeque<Fault>,
    /// What single parts of batches are answered.
    parts: VecDeque<u16>,
    /// What a mailbox's owner does once something was read and before the next request that does
    /// something.
    meanwhile: Option<(String, Copies)>,
    lag_s: i64,
    /// Whether the client may into mailboxes.
    allowed: bool,
    /// What no client of the interface would ask.
    odd: Vec<String>,
}

type Shared = (Arc<Mutex<Inside>>, Arc<Notify>);

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        if let (b'%', [a, b, after @ ..]) = (*first, tail) {
            let hex = String::from_utf8_lossy(&[*a, *b]).into_owned();
            bytes.push(u8::from_str_radix(&hex, 16).expect("a percent code"));
            rest = after;
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).expect("text")
}

impl Inside {
    /// Does one thing to one copy; gives the status.
    fn do_one(&mut self, order: &str, url: &str, body: &Value) -> u16 {
        let parts: Vec<String> = url.split('/').map(decoded).collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let ["", "users", mailbox, "messages", copy, verb] = parts.as_slice() else {
            self.odd.push(url.to_owned());
            return 400;
        };
        let to = match (*verb, body["destinationId"].as_str()) {
            ("permanentDelete", None) => String::new(),
            ("move", Some(folder @ ("inbox" | "junkemail" | "deleteditems" | DUMPSTER))) => {
                folder.to_owned()
            }
            _ => {
                self.odd.push(format!("{url} {body}"));
                return 400;
            }
        };
        let until = self.clock.now().plus_seconds(self.lag_s);
        let now = self.clock.now();
        let Some(it) = self.boxes.get_mut(*mailbox) else { return 404 };
        let Some(place) = it.is.iter().position(|(id, _)| id == copy) else {
            self.log.push(Entry::Refused { order: order.to_owned() });
            return 404;
        };
        if now >= it.seen {
            it.was = it.is.clone();
        }
        it.seen = until;
        if to.is_empty() {
            it.is.remove(place);
        } else {
            it.is[place].1 = to;
        }
        let verb = body["destinationId"].as_str().unwrap_or("permanentDelete").to_owned();
        let (order, mailbox) = (order.to_owned(), (*mailbox).to_owned());
        self.log.push(Entry::Effect { order, verb, mailbox });
        if *parts.last().expect("a verb") == "move" { 201 } else { 204 }
    }

    /// The parts of a batch, one after the other as each asks for the one before.
    fn batch(&mut self, order: &str, body: &Value) -> Value {
        let mut answers: Vec<Value> = Vec::new();
        for part in body["requests"].as_array().expect("requests") {
            if part["headers"]["Prefer"] != "IdType=\"ImmutableId\"" {
                self.odd.push(part.to_string());
            }
            let failed = part["dependsOn"].as_array().into_iter().flatten().any(|on| {
                !answers.iter().any(|it| it["id"] == *on && it["status"].as_u64() < Some(300))
            });
            let forced = if failed { Some(424) } else { self.parts.pop_front() };
            if answers.is_empty() && matches!(forced, Some(404 | 429)) {
                self.log.push(Entry::Refused { order: order.to_owned() });
            }
            let code = match forced {
                Some(200) | None => {
                    self.do_one(order, part["url"].as_str().expect("a url"), &part["body"])
                }
                Some(code) => code,
            };
            answers.push(json!({
                "id": part["id"], "status": code, "headers": { "Retry-After": "17" },
                "body": { "error": { "message": "kanarie of the product" } },
            }));
        }
        // In no order, as the product answers.
        answers.reverse();
        json!({ "responses": answers })
    }

    fn list(&mut self, mailbox: &str, dumpster: bool, query: &str) -> Value {
        let mut mail = None;
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').expect("a pair");
            match (name, decoded(value).as_str()) {
                ("$filter", filter) => {
                    let quoted = filter
                        .strip_prefix("internetMessageId eq '")
                        .and_then(|it| it.strip_suffix('\''))
                        .filter(|it| !it.replace("''", "").contains('\''));
                    mail = quoted.map(|it| it.replace("''", "'"));
                }
                ("$select", "id,parentFolderId,internetMessageId") | ("$top", "21") => {}
                odd => self.odd.push(format!("{odd:?}")),
            }
        }
        if mail.is_none() {
            self.odd.push(query.to_owned());
        }
        let now = self.clock.now();
        let it = &self.boxes[mailbox];
        let shown = if now >= it.seen { it.is.clone() } else { it.was.clone() };
        if !dumpster {
            self.log.push(Entry::Read { mailbox: mailbox.to_owned(), shown: shown.clone() });
        }
        // Any other mail is not there.
        let wanted = mail.as_deref() == Some(MAIL);
        let copies: Vec<Value> = shown
            .iter()
            .filter(|(_, folder)| wanted && (folder == DUMPSTER) == dumpster)
            .map(|(id, folder)| {
                let folder = format!("F-{folder}");
                json!({ "id": id, "parentFolderId": folder, "internetMessageId": MAIL })
            })
            .take(21)
            .collect();
        json!({ "value": copies })
    }

    fn read(&mut self, path: &str, query: &str) -> Response {
        let parts: Vec<String> = path.split('/').map(decoded).collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let ["", "users", mailbox, rest @ ..] = parts.as_slice() else {
            return axum::Json(json!({ "value": [] })).into_response();
        };
        if !self.boxes.contains_key(*mailbox) {
            return status(404, None);
        }
        axum::Json(match rest {
            ["messages"] => self.list(mailbox, false, query),
            ["mailFolders", DUMPSTER, "messages"] => self.list(mailbox, true, query),
            ["mailFolders", folder @ ("junkemail" | "deleteditems")] if query == "$select=id" => {
                json!({ "id": format!("F-{folder}") })
            }
            _ => {
                self.odd.push(path.to_owned());
                return status(400, None);
            }
        })
        .into_response()
    }
}

async fn answer(State((inside, hangs)): State<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.expect("a body");
    let header = |name: &str| {
        parts.headers.get(name).and_then(|it| it.to_str().ok()).unwrap_or_default().to_owned()
    };
    let order = header("client-request-id");
    let mut it = inside.lock().expect("a lock");
    let path = parts.uri.path();
    if path == "/token" {
        let token = json!({ "access_token": "token", "expires_in": 3_599 });
        return axum::Json(token).into_response();
    }
    if header("prefer") != "IdType=\"ImmutableId\"" {
        it.odd.push(format!("{path} without Prefer"));
    }
    let Some(path) = path.strip_prefix("/v1.0") else {
        it.odd.push(path.to_owned());
        return status(400, None);
    };
    if !it.allowed {
        return status(403, None);
    }
    let reads = parts.method == "GET";
    let fault = if reads { it.reads.pop_front() } else { it.writes.pop_front() };
    let said: Value = serde_json::from_slice(&body).unwrap_or_default();
    if !reads {
        if let Some((mailbox, copies)) = it.meanwhile.take() {
            let found = it.boxes.get_mut(&mailbox).expect("a mailbox");
            (found.is, found.was) = (copies.clone(), copies);
        }
        let of_first = said["requests"][0].clone();
        let first = if of_first.is_null() { said.clone() } else { of_first["body"].clone() };
        let verb = first["destinationId"].as_str().unwrap_or("permanentDelete").to_owned();
        let url = of_first["url"].as_str().unwrap_or(path);
        let mailbox = decoded(url.split('/').nth(2).unwrap_or_default());
        it.log.push(Entry::Asked { order: order.clone(), verb, mailbox });
    }
    let does = |it: &mut Inside| -> Response {
        if path == "/$batch" {
            return axum::Json(it.batch(&order, &said)).into_response();
        }
        match it.do_one(&order, path, &said) {
            code @ (201 | 204) => StatusCode::from_u16(code).expect("ok").into_response(),
            code => status(code, None),
        }
    };
    let done = matches!(
        fault,
        Some(
            Fault::Done(..)
                | Fault::HangAfter
                | Fault::BreakAfter
                | Fault::Huge
                | Fault::Slow
                | Fault::Page
        )
    );
    if !reads && done {
        let _ = does(&mut it);
    }
    match fault {
        None if reads => it.read(path, parts.uri.query().unwrap_or_default()),
        None => does(&mut it),
        Some(Fault::Status(code, after)) => {
            if matches!(code, 404 | 429 | 503) {
                it.log.push(Entry::Refused { order });
            }
            status(code, after)
        }
        Some(Fault::Done(code, after)) => status(code, after),
        Some(Fault::HangBefore | Fault::HangAfter | Fault::Late) => {
            drop(it);
            hangs.notify_one();
            (StatusCode::OK, never()).into_response()
        }
        Some(Fault::BreakBefore | Fault::BreakAfter) => broken(),
        Some(Fault::Huge) => vec![b' '; 10 << 20].into_response(),
        Some(Fault::Slow) => slow(),
        Some(Fault::Page) => "<html>Welcome</html>".into_response(),
        Some(Fault::Lie) => StatusCode::NO_CONTENT.into_response(),
    }
}

/// The stand-in.
struct Vendor {
    url: String,
    inside: Arc<Mutex<Inside>>,
    hangs: Arc<Notify>,
}

impl Vendor {
    async fn start(clock: &Clock) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let inside = Arc::new(Mutex::new(Inside {
            clock: clock.clone(),
            boxes: BTreeMap::new(),
            log: Vec::new(),
            writes: VecDeque::new(),
            reads: VecDeque::new(),
            parts: VecDeque::new(),
            meanwhile: None,
            lag_s: 0,
            allowed: true,
            odd: Vec::new(),
        }));
        let hangs = Arc::new(Notify::new());
        let routes =
            axum::Router::new().fallback(answer).with_state((inside.clone(), hangs.clone()));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { url, inside, hangs }
    }

    fn with<T>(&self, look: impl FnOnce(&mut Inside) -> T) -> T {
        look(&mut self.inside.lock().expect("a lock"))
    }

    /// A mailbox with a copy of the mail in each of these folders.
    fn holds(&self, mailbox: &str, folders: &[&str]) {
        let is: Copies = folders
            .iter()
            .enumerate()
            .map(|(no, folder)| (format!("AA{no}-_="), (*folder).to_owned()))
            .collect();
        let it = Mailbox { was: is.clone(), is, seen: Timestamp::default() };
        self.with(|inside| inside.boxes.insert(mailbox.to_owned(), it));
    }

    /// In which folders the copies in a mailbox are.
    fn folders(&self, mailbox: &str) -> Vec<String> {
        let copies = self.with(|it| it.boxes[mailbox].is.clone());
        copies.into_iter().map(|(_, folder)| folder).collect()
    }

    fn writes(&self, faults: &[Fault]) {
        self.with(|it| it.writes.extend(faults));
    }

    fn log(&self) -> Vec<Entry> {
        self.with(|it| it.log.clone())
    }

    /// What was done in a mailbox, in order.
    fn effects(&self, of: &str) -> Vec<String> {
        let all = self.log().into_iter().filter_map(|entry| match entry {
            Entry::Effect { verb, mailbox, .. } if mailbox == of => Some(verb),
            _ => None,
        });
        all.collect()
    }

    /// How many requests that do something came in for a mailbox.
    fn asked(&self, of: &str) -> usize {
        let asked = |entry: &&Entry| matches!(entry, Entry::Asked { mailbox, .. } if mailbox == of);
        self.log().iter().filter(asked).count()
    }
}

/// A customer with the stand-in connected, and an incident whose evidence names the mail.
struct Scene {
    case: Case,
    vendor: Vendor,
    lines: Lines,
}

/// An alert on a mail that these received.
fn phish(receivers: &[&str]) -> Value {
    let mut it = alert("mail", "h1", "kari", 0);
    let evidence = it["evidence"].as_array_mut().expect("evidence");
    for receiver in receivers {
        evidence.push(json!({
            "@odata.type": "#microsoft.graph.security.analyzedMessageEvidence",
            "internetMessageId": MAIL, "networkMessageId": "n1", "subject": "Your parcel",
            "recipientEmailAddress": receiver,
        }));
    }
    it
}

async fn scene(level: &str) -> Scene {
    scene_of(level, &[KARI]).await
}

async fn scene_of(level: &str, receivers: &[&str]) -> Scene {
    let face = Face::new().await;
    face.world.alerts(&[phish(receivers)]).await;
    let case = case_in(face, level).await;
    connected(case, receivers).await
}

async fn connected(case: Case, receivers: &[&str]) -> Scene {
    let vendor = Vendor::start(&case.face.world.app.clock).await;
    for receiver in receivers {
        vendor.holds(receiver, &["inbox"]);
    }
    let wanted = json!({
        "kind": "microsoftGraph", "name": "Alder mail", "baseUrl": vendor.url,
        "tokenUrl": format!("{}/token", vendor.url), "clientId": "riposte", "clientSecret": "s",
    });
    case.ida.post("/api/v1/connectors", &wanted).await.expect(201);
    Scene { case, vendor, lines: Lines::within(Duration::from_secs(1)) }
}

impl Scene {
    fn body(kind: &str, mailboxes: &[&str]) -> Value {
        let target = json!({ "kind": "mail", "id": MAIL });
        let mut body = json!({ "actionType": kind, "target": target });
        if !mailboxes.is_empty() {
            body["options"] = json!({ "mailboxes": mailboxes });
        }
        body
    }

    /// An expert drafts an action on the mail; gives the task. Without a session, which would end
    /// while the time is turned.
    async fn draft(&self, kind: &str, mailboxes: &[&str]) -> String {
        self.draft_of(kind, MAIL, mailboxes).await
    }

    async fn draft_of(&self, kind: &str, mail: &str, mailboxes: &[&str]) -> String {
        let (app, expert) = (&self.case.face.world.app, self.case.face.world.expert());
        let options =
            if mailboxes.is_empty() { json!({}) } else { json!({ "mailboxes": mailboxes }) };
        let new = NewTask {
            kind: Kind::read(kind).expect("a kind"),
            target: Some((TargetKind::Mail, mail.to_owned())),
            display_name: None,
            description: None,
            options,
        };
        let incident = self.case.incident.parse().expect("an id");
        let task = response::draft(app, &expert, incident, new).await.expect("a draft");
        task.to_string()
    }

    async fn start(&self, task: &str) {
        self.try_start(task).await.expect("it runs");
    }

    async fn try_start(&self, task: &str) -> riposte::error::Result<()> {
        let (app, expert) = (&self.case.face.world.app, self.case.face.world.expert());
        response::run(app, &expert, task.parse().expect("an id")).await
    }

    /// Drafts and runs an action in one mailbox.
    async fn act(&self, kind: &str, mailbox: &str) -> String {
        let task = self.draft(kind, &[mailbox]).await;
        self.start(&task).await;
        task
    }

    async fn tick(&self) {
        remote::tick(&self.case.face.world.app, &self.lines).await.expect("a turn");
    }

    fn later(&self, seconds: i64) {
        self.case.face.world.app.clock.advance_seconds(seconds);
    }

    async fn task(&self, task: &str) -> Value {
        let expert = self.case.face.expert().await;
        expert.get(&format!("/api/v1/tasks/{task}")).await.expect(200).json()
    }

    /// Where the newest action in a mailbox stands, and why.
    async fn state(&self, mailbox: &str) -> (String, String) {
        let sql = format!(
            "select state, coalesce(reason, '') from action where target_key like \
             'mailbox:{mailbox} %' order by id desc limit 1"
        );
        let scope = self.case.face.world.app.db.whole("a test");
        let row = scope.query_one(&sql, vec![]).await.expect("a query").expect("an action");
        (column(&row, 0).expect("a state"), column(&row, 1).expect("a reason"))
    }

    /// Turns the time until the newest action in a mailbox is not on its way any more.
    async fn settle(&self, mailbox: &str) -> (String, String) {
        for _ in 0..150 {
            self.tick().await;
            let (state, reason) = self.state(mailbox).await;
            if !matches!(state.as_str(), "approved" | "started" | "unknown") {
                assert!(!reason.contains("kanarie"), "{reason}");
                assert_eq!(self.vendor.with(|it| it.odd.clone()), Vec::<String>::new());
                return (state, reason);
            }
            self.later(5);
        }
        panic!("{mailbox}: {:?}\n{:#?}", self.state(mailbox).await, self.vendor.log())
    }

    async fn settled(&self, mailbox: &str, wanted: &str) {
        let (state, reason) = self.settle(mailbox).await;
        assert_eq!(state, wanted, "{reason}");
    }

    /// Drops a turn while the stand-in has a request and does not answer, as a crash does.
    async fn crash(&self) {
        let app = &self.case.face.world.app;
        tokio::select! {
            done = remote::tick(app, &self.lines) => panic!("it came to its end: {done:?}"),
            () = self.vendor.hangs.notified() => {}
        }
    }
}

#[tokio::test]
async fn each_verb_moves_the_mail_and_is_done_once_the_mailbox_was_read() {
    let scene = scene("operator").await;
    for (kind, folder) in [
        ("moveEmailToJunk", "junkemail"),
        ("moveEmailToInbox", "inbox"),
        ("moveEmailToDeletedItems", "deleteditems"),
        ("softDeleteEmail", DUMPSTER),
        ("moveEmailToInbox", "inbox"),
    ] {
        let task = scene.draft(kind, &[]).await;
        let shown = scene.task(&task).await;
        assert_eq!(shown["options"]["mailboxes"], json!([KARI]), "of the evidence: {shown}");
        let preview = format!("/api/v1/tasks/{task}/preview");
        let preview = scene.case.expert.post(&preview, &json!({})).await.expect(200).json();
        let sends = &preview["sends"][0];
        assert_eq!((&sends["mailbox"], &sends["name"]), (&json!(KARI), &json!("Alder mail")));
        let path = "/v1.0/users/kari%40alder.example/messages/{copy}/move";
        assert_eq!(
            (&sends["path"], &sends["body"]),
            (&json!(path), &json!({ "destinationId": folder }))
        );
        scene.start(&task).await;
        scene.settled(KARI, "succeeded").await;
        assert_eq!(scene.vendor.folders(KARI), [folder], "{kind}");
        let task = scene.task(&task).await;
        assert_eq!(
            (&task["state"], &task["closed"]["verified"]),
            (&json!("completed"), &json!(true))
        );
        let action = &task["actions"][0];
        assert_eq!(action["target"]["mailbox"], KARI, "{action}");
        assert_eq!(action["target"]["name"], format!("{MAIL} in {KARI}"));
        assert_eq!(action["source"], "Managed response (experts)");
        assert_eq!(action["readBack"]["notAsWanted"], 0, "{action}");
    }
    let task = scene.act("hardDeleteEmail", KARI).await;
    scene.settled(KARI, "succeeded").await;
    assert_eq!(scene.vendor.folders(KARI), Vec::<String>::new());
    let undo = scene.task(&task).await["may"]["undo"].clone();
    assert_eq!(undo["because"], "nothing takes this back", "{undo}");
    assert_eq!(scene.vendor.asked(KARI), 6);
    // What is hidden for good is not said to be anywhere.
    scene.act("softDeleteEmail", KARI).await;
    let (state, reason) = scene.settle(KARI).await;
    assert_eq!(
        (state.as_str(), reason.as_str()),
        ("failed", "the mail is not in the mailbox: there was nothing to do")
    );
    // Nothing that is connected puts a mail where only administrators see it.
    let quarantine = scene.draft("moveEmailToQuarantine", &[]).await;
    let shown = scene.task(&quarantine).await;
    assert_eq!(
        (&shown["oneClick"], &shown["may"]["run"]["allowed"]),
        (&json!(false), &json!(false))
    );
    let found = riposte::audit::verify(&scene.case.face.world.app, None).await.expect("verified");
    assert!(found.ok);
}

#[tokio::test]
async fn a_soft_delete_is_taken_back_from_what_can_be_recovered() {
    let scene = scene_of("operator", &[KARI, OLA]).await;
    let task = scene.draft("softDeleteEmail", &[]).await;
    scene.start(&task).await;
    scene.settled(KARI, "succeeded").await;
    scene.settled(OLA, "succeeded").await;
    assert_eq!(scene.task(&task).await["actions"].as_array().map(Vec::len), Some(2));
    let path = format!("/api/v1/tasks/{task}/undo");
    let why = json!({ "comment": "It is a real parcel." });
    let undo = scene.case.expert.post(&path, &why).await.expect(201).json();
    scene.settled(KARI, "succeeded").await;
    scene.settled(OLA, "succeeded").await;
    assert_eq!([scene.vendor.folders(KARI), scene.vendor.folders(OLA)], [["inbox"], ["inbox"]]);
    let undo = scene.task(undo["id"].as_str().expect("an id")).await;
    assert_eq!((&undo["state"], &undo["undoOf"]), (&json!("completed"), &json!(task)));
    assert_eq!(undo["options"]["mailboxes"], json!([KARI, OLA]), "it can be run again");
    // From the action center, one by itself.
    scene.act("moveEmailToJunk", OLA).await;
    scene.settled(OLA, "succeeded").await;
    let newest = "select max(id) from action";
    let action = scene.case.face.world.rows(newest).await[0];
    let path = format!("/api/v1/actions/ac{action}/undo");
    scene.case.expert.post(&path, &json!({ "comment": "Not junk." })).await.expect(201);
    scene.settled(OLA, "succeeded").await;
    assert_eq!(scene.vendor.folders(OLA), ["inbox"]);
    assert_eq!(scene.vendor.asked(KARI), 2, "one mailbox is not the other");
}

#[tokio::test]
async fn all_copies_are_one_request_and_more_than_a_batch_holds_are_for_a_person() {
    let scene = scene("operator").await;
    scene.vendor.holds(KARI, &["inbox", "sentitems", DUMPSTER, "F1"]);
    scene.act("softDeleteEmail", KARI).await;
    scene.settled(KARI, "succeeded").await;
    assert_eq!(scene.vendor.folders(KARI), [DUMPSTER; 4]);
    assert_eq!((scene.vendor.asked(KARI), scene.vendor.effects(KARI).len()), (1, 3));
    scene.act("hardDeleteEmail", KARI).await;
    scene.settled(KARI, "succeeded").await;
    assert!(scene.vendor.folders(KARI).is_empty());
    assert_eq!(scene.vendor.asked(KARI), 2);
    for (count, state) in [(20, "succeeded"), (21, "failed"), (30, "failed")] {
        scene.vendor.holds(KARI, &vec!["inbox"; count]);
        scene.act("moveEmailToJunk", KARI).await;
        let (found, reason) = scene.settle(KARI).await;
        assert_eq!(found, state, "{count}: {reason}");
    }
    assert_eq!(scene.vendor.folders(KARI), ["inbox"; 30]);
    assert_eq!(scene.vendor.asked(KARI), 3);
}

#[tokio::test]
async fn parts_of_a_batch_that_were_not_done_are_read_before_they_are_sent_again() {
    let scene = scene("operator").await;
    // What the parts are answered, what becomes of a move and of a deletion for good, and how many
    // requests each took.
    for (parts, sets, happens) in [
        (&[429][..], ("succeeded", 2), ("succeeded", 2)),
        (&[404], ("succeeded", 2), ("succeeded", 2)),
        (&[200, 429], ("succeeded", 2), ("needsHuman", 1)),
        (&[200, 200, 404], ("succeeded", 2), ("needsHuman", 1)),
        (&[500], ("succeeded", 2), ("needsHuman", 1)),
        (&[503], ("succeeded", 2), ("needsHuman", 1)),
        (&[403], ("failed", 1), ("failed", 1)),
        (&[408], ("succeeded", 2), ("needsHuman", 1)),
    ] {
        for (kind, (state, asked)) in [("softDeleteEmail", sets), ("hardDeleteEmail", happens)] {
            let mailbox =
                format!("b{}{kind}@alder.example", parts.len() * 1_000 + usize::from(parts[0]));
            let mailbox = format!("{}{}", parts.last().expect("a part"), mailbox.to_lowercase());
            scene.vendor.holds(&mailbox, &["inbox", "inbox", "F1"]);
            scene.vendor.with(|it| it.parts.extend(parts));
            scene.act(kind, &mailbox).await;
            let (found, reason) = scene.settle(&mailbox).await;
            let found = (found.as_str(), scene.vendor.asked(&mailbox));
            assert_eq!(found, (state, asked), "{parts:?} {kind}: {reason}");
            scene.vendor.with(|it| it.parts.clear());
        }
    }
}

#[tokio::test]
async fn in_every_fault_a_mail_is_deleted_for_good_once_at_most() {
    let scene = scene("operator").await;
    // What is expected of a move, and of a deletion for good: state and requests.
    let table = [
        (Fault::Status(400, None), ("failed", 1), ("failed", 1)),
        (Fault::Status(403, None), ("failed", 1), ("failed", 1)),
        (Fault::Status(404, None), ("succeeded", 2), ("succeeded", 2)),
        (Fault::Status(429, Some(17)), ("succeeded", 2), ("succeeded", 2)),
        (Fault::Status(503, Some(17)), ("succeeded", 2), ("needsHuman", 1)),
        (Fault::Status(500, None), ("succeeded", 2), ("needsHuman", 1)),
        (Fault::Status(302, None), ("failed", 1), ("failed", 1)),
        (Fault::Done(500, None), ("succeeded", 1), ("succeeded", 1)),
        (Fault::Done(503, Some(5)), ("succeeded", 1), ("succeeded", 1)),
        (Fault::Lie, ("succeeded", 2), ("needsHuman", 1)),
        (Fault::HangBefore, ("succeeded", 2), ("needsHuman", 1)),
        (Fault::HangAfter, ("succeeded", 1), ("succeeded", 1)),
        (Fault::BreakBefore, ("succeeded", 2), ("needsHuman", 1)),
        (Fault::BreakAfter, ("succeeded", 1), ("succeeded", 1)),
        (Fault::Huge, ("succeeded", 1), ("succeeded", 1)),
        (Fault::Slow, ("succeeded", 1), ("succeeded", 1)),
        (Fault::Page, ("succeeded", 1), ("succeeded", 1)),
    ];
    for (copies, row) in [1, 2].into_iter().flat_map(|it| table.iter().map(move |row| (it, *row))) {
        let (fault, sets, happens) = row;
        for (kind, (state, asked)) in [("moveEmailToJunk", sets), ("hardDeleteEmail", happens)] {
            let name = format!("{fault:?}").to_lowercase().replace(['(', ')', ',', ' '], "");
            let mailbox = format!("{name}{copies}{}@alder.example", &kind[..4].to_lowercase());
            scene.vendor.holds(&mailbox, &vec!["inbox"; copies]);
            scene.vendor.writes(&[fault]);
            scene.act(kind, &mailbox).await;
            let (ended, reason) = scene.settle(&mailbox).await;
            let what = format!("{fault:?} {kind} {copies}: {reason}");
            // A batch that is not found is refused: only a copy may have gone.
            let (state, asked) = match fault {
                Fault::Status(404, _) if copies == 2 => ("failed", 1),
                _ => (state, asked),
            };
            assert_eq!((ended.as_str(), scene.vendor.asked(&mailbox)), (state, asked), "{what}");
            let junk = vec!["junkemail".to_owned(); copies];
            let left = scene.vendor.folders(&mailbox);
            match (ended.as_str(), kind) {
                ("succeeded", "moveEmailToJunk") => assert_eq!(left, junk, "{what}"),
                ("succeeded", _) => assert!(left.is_empty(), "{what}"),
                _ => assert_eq!(left, vec!["inbox".to_owned(); copies], "{what}"),
            }
            assert!(scene.vendor.with(|it| it.writes.is_empty()), "{what}");
        }
    }
}

#[tokio::test]
async fn what_its_owner_does_meanwhile_is_not_undone_and_not_claimed() {
    let scene = scene("operator").await;
    let to = |folder: &str| vec![("AA0-_=".to_owned(), folder.to_owned())];
    // Moved to a folder of its owner's between reading and sending: it is the same mail.
    scene.vendor.with(|it| it.meanwhile = Some((KARI.to_owned(), to("F7"))));
    scene.act("softDeleteEmail", KARI).await;
    scene.settled(KARI, "succeeded").await;
    assert_eq!(
        (scene.vendor.folders(KARI), scene.vendor.asked(KARI)),
        (vec![DUMPSTER.to_owned()], 1)
    );
    // Under another id: it is not found, read anew, and moved.
    scene.vendor.holds(KARI, &["inbox"]);
    let renamed = vec![("BB".to_owned(), "F7".to_owned())];
    scene.vendor.with(|it| it.meanwhile = Some((KARI.to_owned(), renamed)));
    scene.act("softDeleteEmail", KARI).await;
    scene.settled(KARI, "succeeded").await;
    assert_eq!(
        (scene.vendor.folders(KARI), scene.vendor.asked(KARI)),
        (vec![DUMPSTER.to_owned()], 3)
    );
    // Deleted for good by its owner: nobody says that we did it.
    for kind in ["softDeleteEmail", "hardDeleteEmail", "moveEmailToJunk"] {
        scene.vendor.holds(KARI, &["inbox"]);
        scene.vendor.with(|it| it.meanwhile = Some((KARI.to_owned(), Vec::new())));
        let task = scene.act(kind, KARI).await;
        let found = scene.settle(KARI).await;
        let gone = "the mail is not in the mailbox: there was nothing to do".to_owned();
        assert_eq!(found, ("failed".to_owned(), gone), "{kind}");
        assert_eq!(scene.task(&task).await["state"], "failed");
    }
    // Moved by its owner, it is where it was wanted: that is so, and nothing was sent.
    scene.vendor.holds(KARI, &["junkemail", DUMPSTER]);
    let (asked, task) = (scene.vendor.asked(KARI), scene.act("moveEmailToJunk", KARI).await);
    let found = scene.settle(KARI).await;
    let so = "it was so before; nothing was sent".to_owned();
    assert_eq!(found, ("succeeded".to_owned(), so.clone()));
    assert_eq!(scene.vendor.asked(KARI), asked);
    assert_eq!(scene.vendor.folders(KARI), ["junkemail", DUMPSTER], "what was removed stays so");
    assert_eq!(scene.task(&task).await["actions"][0]["reason"], so);
}

#[tokio::test]
async fn a_mailbox_may_lag_behind_itself_for_two_minutes() {
    let scene = scene("operator").await;
    for (lag_s, kind, state, sent) in [
        (100, "softDeleteEmail", "succeeded", 1),
        (100, "hardDeleteEmail", "succeeded", 1),
        (1_000, "hardDeleteEmail", "needsHuman", 1),
    ] {
        let mailbox = format!("l{lag_s}{}@alder.example", &kind[..4]);
        scene.vendor.holds(&mailbox, &["inbox"]);
        scene.vendor.with(|it| it.lag_s = lag_s);
        scene.act(kind, &mailbox).await;
        scene.tick().await;
        assert_eq!(scene.state(&mailbox).await.0, "started", "its own word proves nothing");
        let (found, reason) = scene.settle(&mailbox).await;
        assert_eq!(
            (found.as_str(), scene.vendor.asked(&mailbox)),
            (state, sent),
            "{lag_s} {kind}: {reason}"
        );
    }
    // A mail that is not to be found yet is looked for as long.
    scene.vendor.with(|it| it.lag_s = 0);
    scene.vendor.holds(KARI, &[]);
    scene.act("softDeleteEmail", KARI).await;
    scene.tick().await;
    scene.later(60);
    scene.tick().await;
    assert_eq!(scene.state(KARI).await.0, "approved");
    scene.vendor.holds(KARI, &["inbox"]);
    scene.settled(KARI, "succeeded").await;
    assert_eq!(scene.vendor.folders(KARI), [DUMPSTER]);
}

#[tokio::test]
async fn experts_never_act_in_the_mailbox_of_who_is_excluded() {
    let scene = scene_of("operator", &[KARI, OLA, "Per@alder.example"]).await;
    scene.vendor.holds("per@alder.example", &["inbox"]);
    let excluded = json!({ "kind": "user", "name": "Kari", "because": "She runs the cranes." });
    let id = scene.case.ida.post("/api/v1/exclusions", &excluded).await.expect(201).json();
    let task = scene.draft("softDeleteEmail", &[]).await;
    let all = scene.task(&task).await;
    assert_eq!(all["options"]["mailboxes"], json!([KARI, OLA, "per@alder.example"]), "{all}");
    let run = scene.case.expert.post(&format!("/api/v1/tasks/{task}/run"), &json!({})).await;
    run.expect(403);
    scene.case.publish().await;
    let response = scene.case.response().await;
    let left = response["pending"].as_array().expect("tasks").iter().find(|it| it["id"] != *task);
    let left = left.expect("the customer's").clone();
    assert_eq!(left["guidedBecause"], "the user Kari is excluded", "{left}");
    assert_eq!(left["options"]["mailboxes"], json!([KARI]));
    assert!(left["displayName"].as_str().is_some_and(|it| it.ends_with("(in kari@alder.example)")));
    for mailbox in [OLA, "per@alder.example"] {
        scene.settled(mailbox, "succeeded").await;
    }
    assert_eq!(scene.vendor.asked(KARI), 0);
    let managed = scene.task(&task).await;
    assert_eq!(managed["options"]["mailboxes"], json!([OLA, "per@alder.example"]), "{managed}");
    assert_eq!(managed["state"], "completed");
    // The customer may, for its own.
    let left = left["id"].as_str().expect("an id").to_owned();
    scene.case.step(&left, "run", &json!({})).await.expect(200);
    scene.settled(KARI, "succeeded").await;
    assert_eq!(scene.vendor.folders(KARI), [DUMPSTER]);
    // Excluded once it waits: asked again in the change that sends.
    let path = format!("/api/v1/exclusions/{}", id["id"].as_str().expect("an id"));
    scene.case.ida.delete(&path).await.expect(204);
    let log = scene.vendor.log().len();
    let path = format!("/api/v1/tasks/{task}/undo");
    scene.case.expert.post(&path, &json!({ "comment": "" })).await.expect(201);
    let excluded = json!({ "kind": "user", "name": OLA, "because": "She left." });
    scene.case.ida.post("/api/v1/exclusions", &excluded).await.expect(201);
    scene.settled(OLA, "failed").await;
    assert_eq!(scene.state(OLA).await.1, format!("the user {OLA} is excluded"));
    assert_eq!(scene.vendor.folders(OLA), [DUMPSTER]);
    let touched = |entry: &&Entry| matches!(entry, Entry::Read { mailbox, .. } if mailbox == OLA);
    assert!(!scene.vendor.log()[log..].iter().any(|it| touched(&it)), "not a word");
}

#[tokio::test]
async fn a_mailbox_that_is_not_there_fails_by_itself_and_is_tried_again_by_itself() {
    let scene = scene_of("operator", &[KARI, OLA]).await;
    scene.vendor.with(|it| it.boxes.remove(OLA));
    let task = scene.draft("softDeleteEmail", &[]).await;
    scene.start(&task).await;
    scene.settled(KARI, "succeeded").await;
    let (state, reason) = scene.settle(OLA).await;
    assert_eq!(state, "failed");
    assert_eq!(reason, "Microsoft Graph does not tell: there is no such mailbox (404)");
    let shown = scene.task(&task).await;
    assert_eq!(
        (&shown["state"], &shown["actionStatus"]),
        (&json!("failed"), &json!("partiallyCompleted"))
    );
    // Retried, where it is done already nothing is sent.
    scene.vendor.holds(OLA, &["inbox"]);
    let asked = scene.vendor.asked(KARI);
    scene.start(&task).await;
    scene.settled(OLA, "succeeded").await;
    scene.settled(KARI, "succeeded").await;
    assert_eq!(scene.vendor.asked(KARI), asked);
    assert_eq!(scene.task(&task).await["state"], "completed");
    // A client that may not into mailboxes says so.
    scene.vendor.with(|it| it.allowed = false);
    scene.act("moveEmailToJunk", KARI).await;
    let (state, reason) = scene.settle(KARI).await;
    assert_eq!(state, "failed");
    assert_eq!(reason, "Microsoft Graph does not tell: our client may not do that there (403)");
}

#[tokio::test]
async fn fifty_clicks_two_tasks_and_two_replicas_are_one_request_a_mailbox() {
    let scene = scene_of("operator", &[KARI, OLA]).await;
    let app = &scene.case.face.world.app;
    let replica = scene.case.face.world.replica();
    let lines = Lines::within(Duration::from_secs(1));
    let task = scene.draft("hardDeleteEmail", &[]).await;
    let (path, nothing) = (format!("/api/v1/tasks/{task}/run"), json!({}));
    let clicks = (0..50).map(|_| scene.case.expert.post(&path, &nothing));
    let replies = futures_util::future::join_all(clicks).await;
    assert_eq!(replies.iter().filter(|it| it.status == 200).count(), 1);
    // Another task that names one of the mailboxes shares its action.
    let other = scene.act("hardDeleteEmail", KARI).await;
    assert_eq!(scene.case.face.world.rows("select count(*) from action").await, [2]);
    for _ in 0..5 {
        let (one, two, three) = tokio::join!(
            remote::tick(app, &scene.lines),
            remote::tick(&replica, &lines),
            remote::tick(&replica, &lines),
        );
        one.and(two).and(three).expect("turns");
        scene.later(6);
    }
    for mailbox in [KARI, OLA] {
        assert_eq!(scene.state(mailbox).await.0, "succeeded");
        assert_eq!(scene.vendor.asked(mailbox), 1);
    }
    assert_eq!(scene.task(&task).await["state"], "completed");
    assert_eq!(scene.task(&other).await["state"], "completed");
    for entry in scene.vendor.log() {
        let Entry::Asked { order, .. } = entry else { continue };
        let sql = format!("select count(*) from attempt where order_id = '{order}'");
        assert_eq!(scene.case.face.world.rows(&sql).await, [1]);
    }
}

#[tokio::test]
async fn after_a_crash_the_mailbox_is_read_and_nothing_is_sent_blindly() {
    let scene = scene("operator").await;
    let replica = scene.case.face.world.replica();
    let lines = Lines::within(Duration::from_secs(1));
    for (fault, kind, state, asked) in [
        (Fault::HangAfter, "hardDeleteEmail", "succeeded", 1),
        (Fault::HangBefore, "hardDeleteEmail", "needsHuman", 1),
        (Fault::HangAfter, "softDeleteEmail", "succeeded", 1),
        (Fault::HangBefore, "softDeleteEmail", "succeeded", 2),
    ] {
        let mailbox = format!("c{fault:?}{}@alder.example", &kind[..3]).to_lowercase();
        scene.vendor.holds(&mailbox, &["inbox", "F1"]);
        scene.vendor.writes(&[fault]);
        scene.act(kind, &mailbox).await;
        scene.crash().await;
        assert_eq!(scene.state(&mailbox).await.0, "started");
        let before = scene.vendor.log().len();
        remote::tick(&replica, &lines).await.expect("a turn");
        assert_eq!(scene.vendor.log().len(), before, "{fault:?} {kind}");
        scene.later(6);
        remote::tick(&replica, &lines).await.expect("a turn");
        let next = scene.vendor.log()[before].clone();
        assert!(matches!(next, Entry::Read { .. }), "{fault:?} {kind}: {next:?}");
        scene.settled(&mailbox, state).await;
        assert_eq!(scene.vendor.asked(&mailbox), asked, "{fault:?} {kind}");
    }
}

#[tokio::test]
async fn wishes_for_one_mail_are_carried_out_in_their_order() {
    let scene = scene("operator").await;
    scene.vendor.writes(&[Fault::HangBefore]);
    scene.act("softDeleteEmail", KARI).await;
    scene.tick().await;
    scene.act("moveEmailToInbox", KARI).await;
    scene.tick().await;
    assert_eq!(scene.state(KARI).await.0, "approved", "it waits for what is not known");
    scene.settled(KARI, "succeeded").await;
    assert_eq!(scene.vendor.effects(KARI), [DUMPSTER, "inbox"]);
    // What was not sent is overtaken, by what takes it back too.
    scene.act("hardDeleteEmail", KARI).await;
    scene.act("moveEmailToJunk", KARI).await;
    scene.settled(KARI, "succeeded").await;
    assert_eq!(scene.vendor.folders(KARI), ["junkemail"]);
    assert_eq!(scene.vendor.effects(KARI), [DUMPSTER, "inbox", "junkemail"]);
}

#[tokio::test]
async fn names_that_mean_harm_stay_in_their_filter_and_their_segment() {
    let scene = scene("operator").await;
    for bad in [
        "../me@alder.example",
        "kari@alder.example/x",
        "kari@alder.example?$top=9",
        "kari@alder.example ",
        "kari",
        "*@alder.example",
    ] {
        let body = Scene::body("softDeleteEmail", &[bad]);
        let reply = scene.case.expert.post(&scene.case.path("/tasks"), &body).await;
        // Blanks around a name are no part of it.
        assert_eq!(reply.status.as_u16(), if bad.ends_with(' ') { 201 } else { 400 }, "{bad}");
    }
    let many: Vec<String> = (0..101).map(|no| format!("u{no}@alder.example")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let body = Scene::body("softDeleteEmail", &many);
    scene.case.expert.post(&scene.case.path("/tasks"), &body).await.expect(400);
    // What is no message id is for somebody to look for by hand.
    for bad in ["n1", "<a@b> or 1 eq 1", "x' or '1' eq '1", "<\"a b\"@c>", "a@b\u{202e}c"] {
        let task = scene.draft_of("softDeleteEmail", bad, &[KARI]).await;
        let shown = scene.task(&task).await;
        let because = shown["may"]["run"]["because"].as_str().expect("a reason");
        assert!(because.starts_with("a mail goes by its Internet message id"), "{bad}: {because}");
        assert!(scene.try_start(&task).await.is_err(), "{bad}");
    }
    // Odd, and sound: a quote is doubled, and stays in its filter.
    let odd_box = "o'kari#ext#@alder.example";
    scene.vendor.holds(odd_box, &["inbox"]);
    for odd in ["<'@b>", "<a'or'1'eq'1@b>", "<a&$top=1#?/..%27@b>", MAIL] {
        let task = scene.draft_of("softDeleteEmail", odd, &[odd_box]).await;
        scene.start(&task).await;
        let state = if odd == MAIL { "succeeded" } else { "failed" };
        scene.settled(&odd_box.replace('\'', "''"), state).await;
    }
    assert_eq!(scene.vendor.folders(odd_box), [DUMPSTER]);
    // Nobody says in whose mailboxes.
    let task = scene.draft_of("softDeleteEmail", "<another@mail.example>", &[]).await;
    let shown = scene.task(&task).await;
    assert_eq!(shown["may"]["run"]["because"], "nobody said in whose mailboxes the mail is");
    let path = format!("/api/v1/tasks/{task}");
    let named = json!({ "options": { "mailboxes": ["Ola@alder.example", OLA] } });
    scene.case.face.expert().await.patch(&path, &named).await.expect(200);
    let shown = scene.task(&task).await;
    assert_eq!(shown["options"]["mailboxes"], json!([OLA]));
    assert_eq!(shown["may"]["run"]["allowed"], true, "{shown}");
}

#[tokio::test]
async fn an_answer_about_another_mail_or_with_ids_that_are_none_is_no_reading() {
    let scene = scene("operator").await;
    scene.vendor.with(|it| {
        it.boxes.get_mut(KARI).expect("a mailbox").is[0].0 = "../../other".to_owned();
    });
    scene.act("softDeleteEmail", KARI).await;
    for _ in 0..5 {
        scene.tick().await;
        scene.later(30);
    }
    let found = scene.state(KARI).await;
    let unread = "Microsoft Graph answers what cannot be read".to_owned();
    assert_eq!(found, ("approved".to_owned(), unread));
    assert_eq!(scene.vendor.asked(KARI), 0);
    scene.later(3_600);
    engine::watch(&scene.case.face.world.app).await.expect("a look");
    assert_eq!(scene.state(KARI).await.0, "expired");
}

#[tokio::test]
async fn a_client_of_the_contract_executes_actions_on_mails_and_users() {
    let scene = scene("reader").await;
    let mail = scene.draft("softDeleteEmail", &[]).await;
    let hard = scene.draft("hardDeleteEmail", &[OLA]).await;
    let target = json!({ "kind": "user", "id": "nobody@alder.example" });
    let user = scene.case.draft(json!({ "actionType": "requireSignIn", "target": target })).await;
    scene.vendor.holds(OLA, &["inbox"]);
    scene.case.publish().await;
    for task in [&mail, &hard, &user] {
        let path = format!("/beta/security/incidentTasks/{task}");
        let shown = scene.case.siem.get(&path).await.expect(200).json();
        assert_eq!(shown["status"], "open", "{shown}");
        let run = format!("{path}/executeResponseAction");
        scene.case.siem.send("POST", &run, None, &[]).await.expect(204);
    }
    scene.settled(KARI, "succeeded").await;
    scene.settled(OLA, "succeeded").await;
    for (task, kind, status) in [
        (&mail, "softDeleteIncidentTaskResponseAction", "completed"),
        (&hard, "hardDeleteEmailIncidentTaskResponseAction", "completed"),
        (&user, "requireSignInIncidentTaskResponseAction", "failed"),
    ] {
        let path = format!("/beta/security/incidentTasks/{task}");
        let shown = scene.case.siem.get(&path).await.expect(200).json();
        assert_eq!((&shown["status"], &shown["actionStatus"]), (&json!(status), &json!(status)));
        let action = &shown["responseAction"];
        assert_eq!(action["@odata.type"], format!("#microsoft.graph.security.{kind}"));
        if kind.contains("elete") {
            assert_eq!(action["identifierValue"], MAIL, "{shown}");
        }
    }
}

/// Where a verb's copies are when it is done.
fn is_so(verb: &str, copies: &Copies) -> bool {
    let within = |folders: &[&str]| copies.iter().all(|(_, it)| folders.contains(&it.as_str()));
    match verb {
        "permanentDelete" => copies.is_empty(),
        DUMPSTER => within(&[DUMPSTER]),
        "inbox" => !copies
            .iter()
            .any(|(_, it)| ["junkemail", "deleteditems", DUMPSTER].contains(&it.as_str())),
        folder => within(&[folder, DUMPSTER]),
    }
}

const FAULTS: [Fault; 11] = [
    Fault::Status(404, None),
    Fault::Status(429, Some(40)),
    Fault::Status(503, Some(40)),
    Fault::Status(500, None),
    Fault::Done(500, None),
    Fault::Lie,
    Fault::HangBefore,
    Fault::HangAfter,
    Fault::BreakAfter,
    Fault::Huge,
    Fault::Page,
];
const KINDS: [&str; 5] = [
    "softDeleteEmail",
    "hardDeleteEmail",
    "moveEmailToJunk",
    "moveEmailToInbox",
    "moveEmailToDeletedItems",
];

/// What holds of everything the stand-in was asked for a mailbox (quality 2).
async fn check(scene: &Scene, seed: u64, mailbox: &str) {
    let log = scene.vendor.log();
    let mut by_action: BTreeMap<i64, Vec<(usize, String, String)>> = BTreeMap::new();
    for (place, entry) in log.iter().enumerate() {
        let Entry::Asked { order, verb, mailbox: of } = entry else { continue };
        if of != mailbox {
            continue;
        }
        let sql = format!("select action_id from attempt where order_id = '{order}'");
        let found = scene.case.face.world.rows(&sql).await;
        let [action] = found.as_slice() else {
            panic!("seed {seed}: {order} was sent and is not on disk")
        };
        by_action.entry(*action).or_default().push((place, verb.clone(), order.clone()));
    }
    for (action, asked) in &by_action {
        for pair in asked.windows(2) {
            let [(from, verb, order), (to, ..)] = pair else { continue };
            let between = &log[*from..*to];
            let refused = between.contains(&Entry::Refused { order: order.clone() });
            let not_so = between.iter().any(|entry| {
                matches!(entry, Entry::Read { mailbox: of, shown }
                    if of == mailbox && !is_so(verb, shown))
            });
            let sets = verb != "permanentDelete";
            assert!(
                refused || (sets && not_so),
                "seed {seed}: {action} was repeated: {between:#?}"
            );
        }
    }
    let twice = "select count(*) from (select 1 from action where state in ('started', 'unknown') \
                 group by tenant_no, target_key, family having count(*) > 1) more";
    assert_eq!(scene.case.face.world.rows(twice).await, [0], "INV-8, seed {seed}");
}

#[tokio::test]
async fn invariants_hold_in_any_order_of_faults() {
    let seeds = if std::env::var("RIPOSTE_TEST_POSTGRES").is_ok() { 8 } else { 40 };
    let mut scene = connected(case("operator").await, &[]).await;
    scene.lines = Lines::within(Duration::from_millis(250));
    let app = scene.case.face.world.app.clone();
    let replica = scene.case.face.world.replica();
    let lines = Lines::within(Duration::from_millis(250));
    for seed in 0..seeds {
        let mailbox = format!("s{seed}@alder.example");
        scene
            .vendor
            .holds(&mailbox, &["inbox", "F1"][..=usize::try_from(seed % 2).expect("a bit")]);
        scene.vendor.with(|it| it.log.clear());
        let mut dice = Dice(seed);
        for _ in 0..30 {
            match dice.roll(9) {
                0 | 1 => {
                    let task = scene.draft(dice.pick(&KINDS), &[&mailbox]).await;
                    // What nobody knows of yet is refused, and that is right.
                    if let Err(riposte::error::Error::Internal(text)) = scene.try_start(&task).await
                    {
                        panic!("seed {seed}: {text}");
                    }
                }
                2 | 3 => scene.vendor.writes(&[dice.pick(&FAULTS)]),
                4 => {
                    let code = dice.pick(&[200, 404, 429, 500]);
                    scene.vendor.with(|it| it.parts.push_back(code));
                }
                5 => {
                    let faults = [Fault::Status(500, None), Fault::Page, Fault::BreakBefore];
                    let fault = dice.pick(&faults);
                    scene.vendor.with(|it| it.reads.push_back(fault));
                }
                6 => {
                    scene.later(dice.pick(&[1, 5, 30, 130]));
                    engine::watch(&app).await.expect("a look");
                }
                7 => {
                    // Dies in the middle, sometimes.
                    tokio::select! {
                        done = remote::tick(&app, &scene.lines) => done.expect("a turn"),
                        () = scene.vendor.hangs.notified() => {}
                    }
                }
                _ => {
                    let (one, two) = tokio::join!(
                        remote::tick(&app, &scene.lines),
                        remote::tick(&replica, &lines)
                    );
                    one.and(two).expect("turns");
                }
            }
            check(&scene, seed, &mailbox).await;
        }
        // Everything answers again, and time passes: nothing is left open unasked, and what is said
        // to be done last is so.
        scene.vendor.with(|it| {
            it.writes.clear();
            it.reads.clear();
            it.parts.clear();
        });
        for _ in 0..80 {
            scene.later(10);
            scene.tick().await;
        }
        check(&scene, seed, &mailbox).await;
        let open = format!(
            "select count(*) from action where target_key like 'mailbox:{mailbox} %' and state in \
             ('proposed', 'approved', 'started', 'unknown')"
        );
        assert_eq!(scene.case.face.world.rows(&open).await, [0], "forgotten, seed {seed}");
        assert_eq!(scene.vendor.with(|it| it.odd.clone()), Vec::<String>::new(), "seed {seed}");
        let sql = format!(
            "select kind from action where target_key like 'mailbox:{mailbox} %' \
             and state = 'succeeded' order by ended_at desc, id desc limit 1"
        );
        let scope = app.db.whole("a test");
        let Some(row) = scope.query_one(&sql, vec![]).await.expect("a query") else { continue };
        let last: String = column(&row, 0).expect("a kind");
        let verb = match last.as_str() {
            "softDeleteEmail" => DUMPSTER,
            "hardDeleteEmail" => "permanentDelete",
            "moveEmailToJunk" => "junkemail",
            "moveEmailToInbox" => "inbox",
            _ => "deleteditems",
        };
        let later = format!(
            "select count(*) from action where target_key like 'mailbox:{mailbox} %' and \
             state in ('failed', 'needsHuman') and attempts > 0"
        );
        if scene.case.face.world.rows(&later).await == [0] {
            let is = scene.vendor.with(|it| it.boxes[&mailbox].is.clone());
            assert!(is_so(verb, &is), "seed {seed}: {last} is not so: {is:?}");
        }
    }
    // A run in which little is sent, lost or read again would show little.
    let count = i64::try_from(seeds).expect("a number");
    for (sql, least) in [
        ("select count(*) from attempt", count),
        ("select count(*) from event where kind = 'action.lost'", count / 4),
        ("select count(*) from attempt where outcome in ('notSo', 'refused')", count / 20),
        ("select count(*) from action where state = 'succeeded'", count / 2),
    ] {
        let found = scene.case.face.world.rows(sql).await[0];
        assert!(found >= least, "{found} of {sql}");
    }
    let found = riposte::audit::verify(&app, None).await.expect("verified");
    assert!(found.ok, "{:?}", found.first_bad);
}
