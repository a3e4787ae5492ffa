//! Matrix: a bot account in a room of a homeserver, by the client-server API.
//!
//! Nobody calls us: the homeserver is asked what was said (`/sync`), and the answer waits there until
//! something is. What it calls the moment up to which we know everything is written together with what
//! came in, and only over the one that was asked from: a restart loses nothing, and of two processes
//! that asked the same one writes. A message carries its delivery's id as its transaction, by which a
//! homeserver makes it once, and in its content, by which it is found when the homeserver has forgotten
//! the transaction. It mentions nobody (`m.mentions`), and every value in its HTML is escaped. It is
//! `m.text`, since phones are silent about `m.notice`; of others a notice is what a program writes, and
//! not heard. Invariants: an encrypted room is not used, since nothing in it could be read; who is heard
//! is in the room. Not here: what follows from a message (`hear`).

use std::collections::HashSet;
use std::time::{Duration, Instant};

use openidconnect::url::form_urlencoded::byte_serialize;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::hear::{self, Look, Words};
use super::post::Parcel;
use super::{
    Fault, Field, Line, Said, Told, Trouble, Vendor, ask_within, cut, is_word, open, request,
    stands,
};
use crate::app::App;
use crate::clock::Timestamp;
use crate::db::column;
use crate::error::Result;
use crate::id::TenantNo;
use crate::lease::Lease;
use crate::notification::letter::Letter;

/// Where a message of ours says which delivery it is.
const DELIVERY: &str = "riposte.delivery";
/// Pages of a room or thread that are looked through for a message of ours, and messages of each.
const PAGES: usize = 10;
const PAGE: usize = 50;
/// Messages in one answer of what was said. An event has 64 KiB at most, and its newest edit may come
/// with it: as many stay below what is read of an answer, whoever writes them.
const TIMELINE: usize = 6;
/// Answers that are read to fill a gap between two.
const GAP: usize = 50;
/// The longest quoted text, in characters: an event has 64 KiB at most.
const LONGEST_QUOTE: usize = 2_500;
/// How long a homeserver may let us wait for something to happen, and for everything else.
const WAIT: Duration = Duration::from_secs(20);
const LASTS: Duration = Duration::from_secs(10);
/// How often to look for channels to listen to; the lease lasts longer.
const BEAT: Duration = Duration::from_secs(2);
/// Channels that are listened to.
const MOST: i64 = 2_000;
/// How long a homeserver is left alone that tells nothing and does not wait.
const BREATH: Duration = Duration::from_millis(250);
/// Where a homeserver has forgotten the moment that we know everything up to, how old what it tells may
/// be, in seconds: what is older was heard, or will not be.
const FORGOTTEN_S: i64 = 86_400;
/// Who listens.
const LEASE: &str = "chat sync";

pub(super) const FIELDS: &[Field] = &[
    Field {
        name: "baseUrl",
        secret: false,
        sound: |text| is_word(text, 8, 300) && !text.contains(['?', '#']),
        is: "the homeserver's https address, such as https://matrix.alder.example",
    },
    Field {
        name: "roomId",
        secret: false,
        sound: |text| is_word(text, 3, 255) && text.starts_with(['!', '#']),
        is: "the room's id, such as !AbCd:alder.example, or its address, such as #soc:alder.example",
    },
    Field {
        name: "accessToken",
        secret: true,
        sound: |text| is_word(text, 8, 500),
        is: "the bot account's access token",
    },
];

/// A part of a path, which no character of it leaves.
fn segment(text: &str) -> String {
    byte_serialize(text.as_bytes()).collect()
}

fn room(line: &Line) -> String {
    segment(line.it.setting("roomId"))
}

async fn call(app: &App, line: &Line, method: &str, path: &str, body: &Value) -> Told<Value> {
    call_within(app, line, (method, path, body), LASTS).await
}

async fn call_within(
    app: &App,
    line: &Line,
    (method, path, body): (&str, &str, &Value),
    lasts: Duration,
) -> Told<Value> {
    let url = format!("{}/_matrix/client{path}", line.it.setting("baseUrl"));
    let asked = request(method, &url, Some(line.secret("accessToken")), body)?;
    judge(ask_within(app, asked, lasts).await?)
}

fn judge(said: Said) -> Told<Value> {
    let code = said.body["errcode"].as_str().unwrap_or_default();
    let code: String =
        code.chars().filter(|c| c.is_ascii_alphanumeric() || "._".contains(*c)).take(60).collect();
    let why = format!("The homeserver answered {} {code}", said.status);
    let why = why.trim().to_owned();
    match (said.status, code.as_str()) {
        (200..=299, _) => Ok(said.body),
        (_, "M_USER_LOCKED" | "M_USER_SUSPENDED") => Err(Fault::Trouble(Trouble::Blocked, why)),
        (_, "M_UNKNOWN_TOKEN" | "M_MISSING_TOKEN" | "M_USER_DEACTIVATED") => {
            Err(Fault::Trouble(Trouble::Unauthorized, why))
        }
        (429, _) | (_, "M_LIMIT_EXCEEDED") => {
            let asked = said.body["retry_after_ms"].as_i64();
            let asked = asked.map(|ms| (ms.max(0) / 1_000 + 1).clamp(1, 3_600));
            Err(Fault::Later(why, Some(asked.or(said.retry_after).unwrap_or(10))))
        }
        // What stands in front of a homeserver says so too, and means another thing.
        (401 | 403 | 404, "") => Err(Fault::Later(why, None)),
        (401, _) => Err(Fault::Trouble(Trouble::Unauthorized, why)),
        (403, _) => Err(Fault::Trouble(Trouble::NotMember, why)),
        (404, "M_NOT_FOUND") => Err(Fault::NoThread),
        (400..=499, _) => Err(Fault::Refused(why)),
        _ => Err(Fault::Later(why, None)),
    }
}

/// The same, where what is asked for may be missing.
async fn find_one(app: &App, line: &Line, path: &str) -> Told<Option<Value>> {
    match call(app, line, "GET", path, &Value::Null).await {
        Ok(found) => Ok(Some(found)),
        Err(Fault::NoThread) => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// A state of the room.
async fn state(app: &App, line: &Line, kind: &str, key: &str) -> Told<Option<Value>> {
    find_one(app, line, &format!("/v3/rooms/{}/state/{kind}/{}", room(line), segment(key))).await
}

/// Whether anybody could talk with us in the room as it is now.
async fn require_open(app: &App, line: &Line) -> Told<()> {
    if state(app, line, "m.room.encryption", "").await?.is_some() {
        return Err(Fault::Trouble(Trouble::Encrypted, "the room is encrypted".to_owned()));
    }
    if state(app, line, "m.room.tombstone", "").await?.is_some_and(|it| is_tombstone(&it)) {
        let why = "the room was replaced by another one".to_owned();
        return Err(Fault::Trouble(Trouble::Archived, why));
    }
    Ok(())
}

fn is_tombstone(content: &Value) -> bool {
    content["replacement_room"].is_string()
}

/// Enters the room, where we are invited to it.
async fn join(app: &App, line: &Line) -> Told<()> {
    let path = format!("/v3/rooms/{}/join", room(line));
    call(app, line, "POST", &path, &json!({})).await.map(drop)
}

/// As whom we are there, and whether the room can be used.
pub(super) async fn look_around(app: &App, line: &Line) -> Told<Value> {
    let me = call(app, line, "GET", "/v3/account/whoami", &Value::Null).await?;
    join(app, line).await.map_err(|fault| match fault {
        Fault::NoThread => Fault::Trouble(Trouble::Deleted, "there is no such room".to_owned()),
        fault => fault,
    })?;
    require_open(app, line).await?;
    let name = state(app, line, "m.room.name", "").await?;
    let text = |it: &Value| it.as_str().map(|it| cut(it, 200));
    let me = me["user_id"].as_str().unwrap_or_default();
    Ok(json!({
        "userId": cut(me, 255),
        "team": me.split_once(':').map(|(_, server)| cut(server, 200)),
        "channel": name.and_then(|it| text(&it["name"])),
    }))
}

/// Looks at a channel before it is connected: finds the room by its address, enters it, and gives from
/// where on it is heard.
pub(super) async fn set_up(app: &App, line: &mut Line) -> Told<String> {
    let given = line.it.setting("roomId").to_owned();
    if given.starts_with('#') {
        let found = find_one(app, line, &format!("/v3/directory/room/{}", segment(&given))).await?;
        let id = found.as_ref().and_then(|it| it["room_id"].as_str());
        let Some(id) = id.filter(|id| is_word(id, 3, 255) && id.starts_with('!')) else {
            return Err(Fault::Trouble(Trouble::Deleted, "nobody knows the address".to_owned()));
        };
        line.it.place.insert("roomId".to_owned(), json!(id));
    }
    line.it.known = look_around(app, line).await?;
    if line.it.known["channel"].is_null() && given.starts_with('#') {
        line.it.known["channel"] = json!(given);
    }
    // What was said before is nobody's business.
    Ok(sync(app, line, None, Duration::ZERO).await?.next)
}

/// Posts a message; gives its id.
pub(super) async fn post(
    app: &App,
    line: &Line,
    thread: Option<&str>,
    it: &Parcel<'_>,
) -> Told<String> {
    match send(app, line, thread, it).await {
        Err(Fault::Trouble(Trouble::NotMember, why)) => Err(kept_out(app, line, why).await),
        sent => sent,
    }
}

async fn send(app: &App, line: &Line, thread: Option<&str>, it: &Parcel<'_>) -> Told<String> {
    require_open(app, line).await?;
    let mut body = content(it.letter, thread.is_some());
    body[DELIVERY] = json!(it.id);
    if let Some(root) = thread {
        // A homeserver takes an answer to anything.
        let path = format!("/v3/rooms/{}/event/{}", room(line), segment(root));
        if find_one(app, line, &path).await?.is_none_or(|it| is_redacted(&it)) {
            return Err(Fault::NoThread);
        }
        body["m.relates_to"] = json!({
            "rel_type": "m.thread",
            "event_id": root,
            "is_falling_back": true,
            "m.in_reply_to": { "event_id": root },
        });
    }
    let path = format!("/v3/rooms/{}/send/m.room.message/{}", room(line), segment(it.id));
    let said = call(app, line, "PUT", &path, &body).await?;
    said["event_id"]
        .as_str()
        .filter(|id| is_word(id, 1, 255))
        .map(str::to_owned)
        .ok_or_else(|| Fault::Later("the homeserver does not say what it posted".to_owned(), None))
}

fn is_redacted(event: &Value) -> bool {
    event["unsigned"].get("redacted_because").is_some()
}

/// Why we may not write: one word of refusal stands for several reasons.
async fn kept_out(app: &App, line: &Line, why: String) -> Fault {
    let me = state(app, line, "m.room.member", line.it.told("userId")).await;
    if me.ok().flatten().is_some_and(|it| it["membership"] == "join") {
        // In the room, and without the power to write.
        return Fault::Trouble(Trouble::Blocked, why);
    }
    match join(app, line).await {
        Ok(()) => Fault::Later("we were invited again and have joined".to_owned(), None),
        Err(Fault::Later(why, after)) => Fault::Later(why, after),
        Err(_) => Fault::Trouble(Trouble::NotMember, why),
    }
}

/// Looks for a message that may have been posted; gives its id.
pub(super) async fn find(
    app: &App,
    line: &Line,
    thread: Option<&str>,
    delivery: &str,
    since: Timestamp,
) -> Told<Option<String>> {
    let since = since.micros().div_euclid(1_000) - 60_000;
    let me = line.it.told("userId");
    let filter = json!({ "types": ["m.room.message"], "senders": [me] }).to_string();
    let path = match thread {
        Some(root) => {
            format!("/v1/rooms/{}/relations/{}/m.thread?dir=b", room(line), segment(root))
        }
        None => format!("/v3/rooms/{}/messages?dir=b&filter={}", room(line), segment(&filter)),
    };
    let mut from = String::new();
    for _ in 0..PAGES {
        let page = format!("{path}&limit={PAGE}{from}");
        let page = call(app, line, "GET", &page, &Value::Null).await?;
        let events = page["chunk"].as_array().map(Vec::as_slice).unwrap_or_default();
        let ours = |it: &&Value| {
            it["sender"].as_str() == Some(me)
                && it["content"][DELIVERY].as_str() == Some(delivery)
                && !is_redacted(it)
        };
        if let Some(id) = events.iter().find(ours).and_then(|it| it["event_id"].as_str()) {
            return Ok(Some(id.to_owned()));
        }
        let oldest = events.iter().filter_map(|it| it["origin_server_ts"].as_i64()).min();
        let next = page["end"].as_str().or(page["next_batch"].as_str());
        match next.filter(|_| oldest.is_none_or(|oldest| oldest >= since)) {
            Some(next) => from = format!("&from={}", segment(next)),
            None => break,
        }
    }
    Ok(None)
}

/// Text in which no name calls anybody and nothing is an address that a program would make a link of:
/// `@name` at the start of a word, and `scheme:` before something.
fn quiet(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let (mut letters, mut word) = (0, false);
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        out.push(c);
        let scheme = c == ':' && letters > 1 && rest.peek().is_some_and(|it| !it.is_whitespace());
        if scheme || (c == '@' && !word) {
            out.push('\u{200b}');
        }
        letters = if c.is_ascii_alphabetic() { letters + 1 } else { 0 };
        word = c.is_ascii_alphanumeric();
    }
    out
}

/// The same as HTML.
fn escaped(text: &str) -> String {
    let text = quiet(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;").replace('\'', "&#39;")
}

/// A letter as Matrix shows it: plain text, and the same as HTML.
pub(super) fn content(letter: &Letter, below: bool) -> Value {
    let mut plain = vec![quiet(&letter.heading)];
    let heading = escaped(&letter.heading);
    let mut html = vec![if below {
        format!("<p><strong>{heading}</strong></p>")
    } else {
        format!("<h4>{heading}</h4>")
    }];
    for text in &letter.paragraphs {
        plain.push(quiet(text));
        html.push(format!("<p>{}</p>", escaped(text)));
    }
    if !letter.items.is_empty() {
        let items: Vec<String> = letter.items.iter().map(|it| format!("• {}", quiet(it))).collect();
        plain.push(items.join("\n"));
        let items = letter.items.iter().map(|it| format!("<li>{}</li>", escaped(it)));
        html.push(format!("<ul>{}</ul>", items.collect::<String>()));
    }
    if let Some(quote) = letter.quote.as_deref().filter(|text| !text.is_empty()) {
        let quote = cut(quote, LONGEST_QUOTE);
        let lines: Vec<String> = quote.lines().map(|it| format!("> {}", quiet(it))).collect();
        plain.push(lines.join("\n"));
        let lines: Vec<String> = quote.lines().map(escaped).collect();
        html.push(format!("<blockquote>{}</blockquote>", lines.join("<br>")));
    }
    for text in &letter.after {
        plain.push(quiet(text));
        html.push(format!("<p>{}</p>", escaped(text)));
    }
    let (label, url) = &letter.link;
    plain.push(format!("{}: {url}", quiet(label)));
    let href = url.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;");
    html.push(format!("<p><a href=\"{href}\">{}</a></p>", escaped(label)));
    if let Some(answer) = &letter.answer {
        plain.push(quiet(answer));
        html.push(format!("<p><em>{}</em></p>", escaped(answer)));
    }
    json!({
        "msgtype": "m.text",
        "body": plain.join("\n\n"),
        "format": "org.matrix.custom.html",
        "formatted_body": html.concat(),
        "m.mentions": {},
    })
}

/// What happened in a room since a moment.
pub(super) struct Synced {
    /// The moment up to which this is everything.
    next: String,
    /// In the order in which it happened.
    events: Vec<Value>,
    /// Whether we are not in the room any more, and cannot come back by ourselves.
    left: Option<Trouble>,
}

/// What is asked for of a room: what people write, and what ends that.
fn filter(line: &Line) -> Value {
    let ends = json!(["m.room.encryption", "m.room.tombstone"]);
    let nothing = json!({ "not_types": ["*"] });
    json!({
        "presence": nothing,
        "account_data": nothing,
        "room": {
            "rooms": [line.it.setting("roomId")],
            "account_data": nothing,
            "ephemeral": nothing,
            "state": { "types": ends },
            "timeline": {
                "limit": TIMELINE,
                // That we were thrown out is told as what happened to our membership, or not at all.
                "types": [
                    "m.room.message",
                    "m.room.encryption",
                    "m.room.tombstone",
                    "m.room.member",
                ],
            },
        },
    })
}

async fn sync(app: &App, line: &Line, since: Option<&str>, wait: Duration) -> Told<Synced> {
    let mut path = format!(
        "/v3/sync?set_presence=offline&timeout={}&filter={}",
        wait.as_millis(),
        segment(&filter(line).to_string()),
    );
    if let Some(since) = since {
        path = format!("{path}&since={}", segment(since));
    }
    let said = call_within(app, line, ("GET", &path, &Value::Null), wait + LASTS).await?;
    let next = said["next_batch"].as_str().filter(|it| is_word(it, 1, 2_000));
    let Some(next) = next else {
        let why = "the homeserver does not say up to when it told us everything".to_owned();
        return Err(Fault::Later(why, None));
    };
    let id = line.it.setting("roomId");
    let here = &said["rooms"]["join"][id];
    let all = |it: &Value| it["events"].as_array().cloned().unwrap_or_default();
    let mut events = all(&here["state"]);
    let timeline = &here["timeline"];
    if let (Some(since), true) = (since, timeline["limited"] == true) {
        events.extend(between(app, line, since, timeline["prev_batch"].as_str()).await?);
    }
    events.extend(all(timeline));
    let left = said["rooms"]["leave"].get(id).map(|it| {
        let own = |it: &&Value| {
            it["type"] == "m.room.member"
                && it["state_key"].as_str() == Some(line.it.told("userId"))
        };
        let banned = all(&it["timeline"]).iter().rfind(own).is_some_and(is_ban)
            || all(&it["state"]).iter().rfind(own).is_some_and(is_ban);
        if banned { Trouble::Blocked } else { Trouble::NotMember }
    });
    Ok(Synced { next: next.to_owned(), events, left })
}

fn is_ban(event: &Value) -> bool {
    event["content"]["membership"] == "ban"
}

/// What was said between two answers, of which the second left it out.
async fn between(app: &App, line: &Line, since: &str, to: Option<&str>) -> Told<Vec<Value>> {
    let filter = json!({ "types": ["m.room.message"] }).to_string();
    let mut from = to.unwrap_or_default().to_owned();
    let mut events = Vec::new();
    for page in 0..GAP {
        let path = format!(
            "/v3/rooms/{}/messages?dir=b&limit={TIMELINE}&filter={}&from={}&to={}",
            room(line),
            segment(&filter),
            segment(&from),
            segment(since),
        );
        let said = call(app, line, "GET", &path, &Value::Null).await?;
        events.extend(said["chunk"].as_array().cloned().unwrap_or_default());
        match said["end"].as_str().filter(|it| *it != since && *it != from) {
            Some(end) => end.clone_into(&mut from),
            None => break,
        }
        if page + 1 == GAP {
            let id = &line.it.id;
            tracing::warn!("more was said in the room of {id} than is read in one go");
        }
    }
    events.reverse();
    Ok(events)
}

/// What of an event is kept until it is looked at; `None` where it says nothing to us.
fn kept(line: &Line, event: &Value) -> Option<(String, Value)> {
    let id = event["event_id"].as_str().filter(|id| is_word(id, 1, 255))?;
    let content = &event["content"];
    let kept = match event["type"].as_str()? {
        "m.room.encryption" | "m.room.tombstone" => json!({
            "type": event["type"], "content": { "replacement_room": content["replacement_room"] },
        }),
        "m.room.message" => {
            let below = &content["m.relates_to"];
            if below["rel_type"] != "m.thread" || event["sender"] == line.it.told("userId") {
                return None;
            }
            json!({
                "type": event["type"],
                "sender": event["sender"],
                "content": {
                    "msgtype": content["msgtype"],
                    "body": content["body"],
                    "filename": content["filename"],
                    "m.relates_to": below,
                },
            })
        }
        _ => return None,
    };
    Some((id.to_owned(), kept))
}

/// What an event stands below.
pub(super) fn thread_of(event: &Value) -> Option<String> {
    event["content"]["m.relates_to"]["event_id"].as_str().map(str::to_owned)
}

/// What an event is, and who said it: the room is asked for that.
pub(super) async fn look(app: &App, line: &Line, event: &Value) -> Told<Look> {
    let content = &event["content"];
    match event["type"].as_str() {
        Some("m.room.encryption") => return Ok(Look::Health(Some(Trouble::Encrypted))),
        Some("m.room.tombstone") if is_tombstone(content) => {
            return Ok(Look::Health(Some(Trouble::Archived)));
        }
        Some("m.room.message") => {}
        _ => return Ok(Look::Elsewhere),
    }
    let Some(thread) = thread_of(event) else { return Ok(Look::Elsewhere) };
    let text = |name: &str| content[name].as_str().unwrap_or_default();
    // What a program writes.
    if text("msgtype") == "m.notice" {
        return Ok(Look::Own);
    }
    let refused = |why| Ok(Look::Refused { thread: thread.clone(), why });
    let user = event["sender"].as_str().unwrap_or_default();
    if !is_word(user, 2, 255) || !user.starts_with('@') {
        return refused("it does not say who wrote it");
    }
    let member = match state(app, line, "m.room.member", user).await {
        Ok(member) => member,
        // We are out ourselves, and cannot ask.
        Err(Fault::Trouble(trouble, why)) => return Err(Fault::Trouble(trouble, why)),
        Err(fault) => return Err(fault),
    };
    let Some(member) = member.filter(|it| it["membership"] == "join") else {
        return refused("who wrote it is not in the room");
    };
    let file = !matches!(text("msgtype"), "m.text" | "m.emote" | "m.location" | "");
    // Of a file the text is its name, unless it has both.
    let named = text("filename").is_empty() || text("filename") == text("body");
    let said = if file && named { "" } else { text("body") };
    let name = member["displayname"].as_str().map(str::trim).filter(|it| !it.is_empty());
    Ok(Look::Reply {
        thread: thread.clone(),
        words: Words {
            author: cut(name.unwrap_or(user), 200),
            author_id: user.to_owned(),
            text: without_fallback(said, content).to_owned(),
            files: usize::from(file),
        },
    })
}

/// What was said, without the quoted lines that older programs put in front of an answer.
fn without_fallback<'a>(said: &'a str, content: &Value) -> &'a str {
    let quoted = content["m.relates_to"].get("m.in_reply_to").is_some() && said.starts_with("> <");
    let mut rest = said;
    while let Some(line) = Some(rest).filter(|rest| quoted && rest.starts_with("> ")) {
        rest = line.split_once('\n').map_or("", |(_, rest)| rest);
    }
    rest.trim_start_matches('\n')
}

/// Listens to rooms until `stop`: one process at a time.
pub(crate) async fn run(app: App, stop: CancellationToken) {
    let mut at_work: JoinSet<String> = JoinSet::new();
    let mut busy: HashSet<String> = HashSet::new();
    let mut beat = tokio::time::interval(BEAT);
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = beat.tick() => {}
            Some(ended) = at_work.join_next() => match ended {
                Ok(id) => drop(busy.remove(&id)),
                Err(error) => {
                    tracing::error!("listening to a room ended early, comes again: {error}");
                    if at_work.is_empty() {
                        busy.clear();
                    }
                }
            },
        }
        let rooms = match rooms(&app).await {
            Ok(rooms) => rooms,
            Err(error) => {
                tracing::error!("rooms were not listened to, will be: {error}");
                // Another process takes over when the lease ends.
                Vec::new()
            }
        };
        if rooms.is_empty() {
            at_work.abort_all();
            while at_work.join_next().await.is_some() {}
            busy.clear();
        }
        for (id, tenant) in rooms {
            if busy.insert(id.clone()) {
                let app = app.clone();
                at_work.spawn(async move {
                    let pause = turn(&app, tenant, &id).await;
                    tokio::time::sleep(pause).await;
                    id
                });
            }
        }
    }
    // Nothing that was told is lost: it is told again from the same moment.
    at_work.abort_all();
    while at_work.join_next().await.is_some() {}
}

/// Everything that was said by now, one room after the other; gives how much that is.
pub(crate) async fn work(app: &App) -> Result<usize> {
    let mut told = 0;
    for (id, tenant) in rooms(app).await? {
        if let Ok(came) = listen(app, tenant, &id, Duration::ZERO).await? {
            told += came;
        }
    }
    Ok(told)
}

/// The rooms that this process listens to.
async fn rooms(app: &App) -> Result<Vec<(String, TenantNo)>> {
    let rows = app
        .db
        .whole("rooms that are listened to, in every tenant")
        .query(
            "select id, tenant_no from chat_channel where vendor = $1 and removed_at is null \
             order by created_at, id limit $2",
            vec![Vendor::Matrix.word().into(), MOST.into()],
        )
        .await?;
    if rows.is_empty() || Lease::take(app, LEASE).await?.is_none() {
        return Ok(Vec::new());
    }
    rows.iter().map(|row| Ok((column(row, 0)?, TenantNo(column(row, 1)?)))).collect()
}

/// One question to a homeserver; gives how long to leave it alone.
async fn turn(app: &App, tenant: TenantNo, id: &str) -> Duration {
    let begun = Instant::now();
    let fault = match listen(app, tenant, id, WAIT).await {
        // A homeserver that does not wait is not asked in a circle.
        Ok(Ok(0)) if begun.elapsed() < BREATH => return BREATH,
        Ok(Ok(_)) => return Duration::ZERO,
        Ok(Err(fault)) => fault,
        Err(error) => {
            tracing::error!("what was said in the room of {id} waits: {error}");
            Fault::Later(String::new(), None)
        }
    };
    Duration::from_secs(match fault {
        Fault::Later(_, Some(asked)) => asked.unsigned_abs().clamp(1, 300),
        Fault::Later(_, None) => 5,
        // Until somebody does something about it.
        Fault::Trouble(..) | Fault::Refused(_) | Fault::NoThread => 60,
    })
}

/// Asks what was said in a room, and writes it down together with the moment up to which it is all;
/// gives how much came in.
async fn listen(app: &App, tenant: TenantNo, id: &str, wait: Duration) -> Result<Told<usize>> {
    let scope = app.db.of(tenant);
    let Some(line) = open(app, &scope, id).await? else { return Ok(Ok(0)) };
    let sql = "select since from chat_channel where id = $1";
    let row = scope.query_one(sql, vec![id.into()]).await?;
    let since: Option<String> = row.map(|row| column(&row, 0)).transpose()?.flatten();
    let synced = match sync(app, &line, since.as_deref(), wait).await {
        // The homeserver has forgotten that moment.
        Err(Fault::Refused(_)) if since.is_some() => {
            let again = sync(app, &line, None, Duration::ZERO).await;
            again.map(|it| lately(app, it))
        }
        synced => synced,
    };
    let synced = match synced {
        Ok(synced) => synced,
        Err(fault) => {
            if let Fault::Trouble(trouble @ (Trouble::Unauthorized | Trouble::Blocked), _) = &fault
            {
                stands(app, &line.it, Some(*trouble)).await?;
            }
            return Ok(Err(fault));
        }
    };
    if let Some(trouble) = synced.left {
        stands(app, &line.it, Some(trouble)).await?;
    } else if matches!(line.it.trouble, Some((Trouble::Unauthorized, _))) {
        stands(app, &line.it, None).await?;
    }
    let came: Vec<(String, Value)> =
        synced.events.iter().filter_map(|it| kept(&line, it)).collect();
    if since.as_deref() == Some(synced.next.as_str()) && came.is_empty() {
        return Ok(Ok(0));
    }
    let tx = app.db.of(tenant).begin().await?;
    // Who asked from the same moment and was first has written the same.
    let written = tx
        .execute(
            "update chat_channel set since = $2 where id = $1 and coalesce(since, '') = $3 \
             and removed_at is null",
            vec![id.into(), synced.next.into(), since.unwrap_or_default().into()],
        )
        .await?;
    if written == 0 {
        return Ok(Ok(0));
    }
    if !came.is_empty() {
        let numbers = crate::app::next_ids(&tx, "chat event", came.len() as i64).await?;
        for (number, (event, body)) in numbers.zip(&came) {
            hear::keep_in(&tx, &line.it, (number, event), body.to_string(), app.clock.now())
                .await?;
        }
    }
    tx.commit().await?;
    Ok(Ok(came.len()))
}

/// Without what is so old that it was heard, or that it was not known whether it was.
fn lately(app: &App, mut synced: Synced) -> Synced {
    let oldest = app.clock.now().plus_seconds(-FORGOTTEN_S).micros().div_euclid(1_000);
    synced.events.retain(|it| it["origin_server_ts"].as_i64().is_some_and(|at| at >= oldest));
    synced
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_older_programs_quote_in_front_of_an_answer_is_left_out() {
        let answer = json!({ "m.relates_to": { "m.in_reply_to": { "event_id": "$1" } } });
        let said = "> <@bot:a.example> one\n> two\n\nthree\n> four";
        assert_eq!(without_fallback(said, &answer), "three\n> four");
        assert_eq!(without_fallback(said, &json!({})), said);
        assert_eq!(without_fallback("> quoted\nby hand", &answer), "> quoted\nby hand");
        assert_eq!(without_fallback("> <@bot:a.example> all", &answer), "");
    }

    #[test]
    fn what_is_quiet_reads_the_same() {
        for (text, quieted) in [
            ("severity: medium, 12:30, C:\\Temp\\a.exe, kari@alder.example", None),
            ("@room look", Some("@\u{200b}room look")),
            ("(@kari:alder.example)", Some("(@\u{200b}kari:\u{200b}alder.example)")),
            ("https://a.example", Some("https:\u{200b}//a.example")),
        ] {
            assert_eq!(quiet(text), quieted.unwrap_or(text));
        }
    }

    #[test]
    fn a_part_of_a_path_stays_one() {
        assert_eq!(segment("!a/../b?c#d:e.example"), "%21a%2F..%2Fb%3Fc%23d%3Ae.example");
    }
}
