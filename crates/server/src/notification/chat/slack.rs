//! Slack: the Web API that posts, and events that it signs.
//!
//! An app of the customer's own workspace, in one channel. What we post is made of `rich_text`, in
//! which Slack reads no markup: nothing that an alert names mentions anybody or becomes a link. An
//! event counts when its `v0` signature is made with the app's signing secret and is not older than
//! five minutes; a message in it has one `ts` in its channel, by which it counts once. Not here: what
//! follows from a message (`hear`).

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue};
use openidconnect::url::form_urlencoded;
use ring::hmac;
use serde_json::{Value, json};

use super::hear::{Look, Received, Words};
use super::post::Parcel;
use super::{Fault, Field, Line, Said, Told, Trouble, ask, cut, is_word, request};
use crate::app::App;
use crate::clock::Timestamp;
use crate::notification::letter::Letter;

/// The method that posts.
const POST: &str = "chat.postMessage";
/// How old a signed request may be, in seconds.
const OLDEST_S: i64 = 300;
/// Pages of a channel, of members or of a thread that are looked through.
const PAGES: usize = 10;
/// What Slack takes at most, in characters.
const LONGEST_HEADER: usize = 150;
const LONGEST_TEXT: usize = 3_000;
const LONGEST_BUTTON: usize = 75;

pub(super) const FIELDS: &[Field] = &[
    Field {
        name: "channelId",
        secret: false,
        sound: is_id,
        is: "the channel's id, such as C012AB3CD, at the foot of its details",
    },
    Field {
        name: "botToken",
        secret: true,
        sound: |text| text.starts_with("xoxb-") && is_word(text, 10, 300),
        is: "the app's bot token, which begins with xoxb-",
    },
    Field {
        name: "signingSecret",
        secret: true,
        sound: |text| is_word(text, 16, 200),
        is: "the app's signing secret, of its Basic Information",
    },
];

fn is_id(text: &str) -> bool {
    (5..=32).contains(&text.len())
        && text.starts_with(['C', 'G'])
        && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
}

/// Asks one method of the Web API.
async fn call(app: &App, line: &Line, method: &str, body: &Value) -> Told<Value> {
    let url = format!("{}/{method}", app.config.chat.slack_url.trim_end_matches('/'));
    let mut request = request("POST", &url, Some(line.secret("botToken")), body)?;
    if method != POST {
        // Methods that read take forms only.
        let mut form = form_urlencoded::Serializer::new(String::new());
        for (name, value) in body.as_object().into_iter().flatten() {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            form.append_pair(name, &text);
        }
        *request.body_mut() = form.finish().into_bytes();
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers_mut().insert(CONTENT_TYPE, form);
    }
    judge(method, ask(app, request).await?)
}

fn judge(method: &str, said: Said) -> Told<Value> {
    if said.status == 429 {
        let after = said.retry_after.unwrap_or(30);
        return Err(Fault::Later("Slack asks us to wait (429)".to_owned(), Some(after)));
    }
    if said.body["ok"] == true {
        return Ok(said.body);
    }
    let Some(error) = said.body["error"].as_str() else {
        return Err(Fault::Later(format!("Slack answered {} to {method}", said.status), None));
    };
    let error: String =
        error.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(60).collect();
    let why = format!("Slack refused {method}: {error}");
    Err(match error.as_str() {
        "is_archived" => Fault::Trouble(Trouble::Archived, why),
        "channel_not_found" => Fault::Trouble(Trouble::Deleted, why),
        "not_in_channel" => Fault::Trouble(Trouble::NotMember, why),
        "app_uninstalled" => Fault::Trouble(Trouble::Uninstalled, why),
        "invalid_auth" | "not_authed" | "token_revoked" | "token_expired" | "account_inactive" => {
            Fault::Trouble(Trouble::Unauthorized, why)
        }
        "restricted_action"
        | "restricted_action_thread_only_channel"
        | "missing_scope"
        | "no_permission"
        | "not_allowed_token_type"
        | "access_denied"
        | "team_access_not_granted"
        | "org_login_required"
        | "ekm_access_denied" => Fault::Trouble(Trouble::Blocked, why),
        "thread_not_found" | "message_not_found" | "cannot_reply_to_message" => Fault::NoThread,
        "ratelimited" | "rate_limited" => Fault::Later(why, Some(said.retry_after.unwrap_or(30))),
        "internal_error"
        | "fatal_error"
        | "service_unavailable"
        | "request_timeout"
        | "team_added_to_org" => Fault::Later(why, None),
        _ => Fault::Refused(why),
    })
}

/// As whom we are there, and whether the channel can be used.
pub(super) async fn look_around(app: &App, line: &Line) -> Told<Value> {
    let me = call(app, line, "auth.test", &json!({})).await?;
    let info = json!({ "channel": line.it.setting("channelId") });
    let info = call(app, line, "conversations.info", &info).await?;
    if info["channel"]["is_archived"] == true {
        let why = "Slack says that the channel is archived".to_owned();
        return Err(Fault::Trouble(Trouble::Archived, why));
    }
    if info["channel"]["is_member"] == false {
        let why = "Slack says that the app is not in the channel".to_owned();
        return Err(Fault::Trouble(Trouble::NotMember, why));
    }
    let text = |it: &Value| it.as_str().map(|it| cut(it, 200));
    Ok(json!({
        "teamId": text(&me["team_id"]),
        "team": text(&me["team"]),
        "userId": text(&me["user_id"]),
        "botId": text(&me["bot_id"]),
        "channel": text(&info["channel"]["name"]),
    }))
}

/// Posts a message; gives its `ts`.
pub(super) async fn post(
    app: &App,
    line: &Line,
    thread: Option<&str>,
    it: &Parcel<'_>,
) -> Told<String> {
    let mut body = card(it.letter, thread.is_some());
    body["channel"] = json!(line.it.setting("channelId"));
    body["metadata"] = json!({
        "event_type": "riposte_delivery",
        "event_payload": { "delivery": it.id },
    });
    if let Some(thread) = thread {
        body["thread_ts"] = json!(thread);
    }
    let said = call(app, line, POST, &body).await?;
    said["ts"]
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| Fault::Later("Slack does not say what it posted".to_owned(), None))
}

/// Looks for a message that may have been posted; gives its `ts`.
pub(super) async fn find(
    app: &App,
    line: &Line,
    thread: Option<&str>,
    delivery: &str,
    since: Timestamp,
) -> Told<Option<String>> {
    let method = if thread.is_some() { "conversations.replies" } else { "conversations.history" };
    let mut asked = json!({
        "channel": line.it.setting("channelId"),
        "oldest": format!("{}.000000", since.micros().div_euclid(1_000_000) - 60),
        "include_all_metadata": true,
        "limit": 100,
    });
    if let Some(thread) = thread {
        asked["ts"] = json!(thread);
    }
    for _ in 0..PAGES {
        let page = call(app, line, method, &asked).await?;
        let messages = page["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
        let ours = messages
            .iter()
            .find(|it| it["metadata"]["event_payload"]["delivery"].as_str() == Some(delivery));
        if let Some(ts) = ours.and_then(|it| it["ts"].as_str()) {
            return Ok(Some(ts.to_owned()));
        }
        match page["response_metadata"]["next_cursor"].as_str().filter(|it| !it.is_empty()) {
            Some(cursor) => asked["cursor"] = json!(cursor),
            None => break,
        }
    }
    Ok(None)
}

/// Outside of blocks Slack reads markup, and escapes it this way.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn run(text: &str) -> Value {
    json!({ "type": "text", "text": text })
}

/// A letter as Slack shows it. Every value stands in `rich_text` or `plain_text`, which have no markup.
pub(super) fn card(letter: &Letter, below: bool) -> Value {
    let section = |text: &str| json!({ "type": "rich_text_section", "elements": [run(text)] });
    let mut elements: Vec<Value> = Vec::new();
    if below {
        let bold = json!({ "type": "text", "text": letter.heading, "style": { "bold": true } });
        elements.push(json!({ "type": "rich_text_section", "elements": [bold] }));
    }
    // Slack refuses an empty text.
    let said = |text: &&String| !text.is_empty();
    let paragraphs = letter.paragraphs.iter().filter(said);
    elements.extend(paragraphs.map(|text| section(&cut(text, LONGEST_TEXT))));
    let items: Vec<Value> = letter.items.iter().filter(said).map(|it| section(it)).collect();
    if !items.is_empty() {
        elements.push(json!({ "type": "rich_text_list", "style": "bullet", "elements": items }));
    }
    if let Some(quote) = letter.quote.as_deref().filter(|text| !text.is_empty()) {
        let text = run(&cut(quote, LONGEST_TEXT));
        elements.push(json!({ "type": "rich_text_quote", "elements": [text] }));
    }
    elements.extend(letter.after.iter().filter(said).map(|text| section(text)));
    let mut blocks = Vec::new();
    if !below {
        let text = json!({
            "type": "plain_text", "text": cut(&letter.heading, LONGEST_HEADER), "emoji": false,
        });
        blocks.push(json!({ "type": "header", "text": text }));
    }
    if !elements.is_empty() {
        blocks.push(json!({ "type": "rich_text", "elements": elements }));
    }
    let (label, url) = &letter.link;
    let text = json!({ "type": "plain_text", "text": cut(label, LONGEST_BUTTON), "emoji": false });
    let mut button = json!({ "type": "button", "action_id": "open", "text": text, "url": url });
    if !below {
        button["style"] = json!("primary");
    }
    blocks.push(json!({ "type": "actions", "elements": [button] }));
    if let Some(answer) = &letter.answer {
        let text = json!({ "type": "plain_text", "text": answer, "emoji": false });
        blocks.push(json!({ "type": "context", "elements": [text] }));
    }
    json!({
        // For notifications and readers of screens.
        "text": escaped(&letter.subject),
        "blocks": blocks,
        "parse": "none",
        "link_names": false,
        "unfurl_links": false,
        "unfurl_media": false,
    })
}

/// A request that says it is from Slack.
pub(super) fn receive(app: &App, line: &Line, headers: &HeaderMap, body: &[u8]) -> Received {
    let header = |name: &str| headers.get(name).and_then(|it| it.to_str().ok()).unwrap_or_default();
    let at = header("x-slack-request-timestamp");
    let Ok(seconds) = at.parse::<i64>() else {
        return Received::Refused("it says no time");
    };
    let now = app.clock.now().micros().div_euclid(1_000_000);
    if (now - seconds).abs() > OLDEST_S {
        return Received::Refused("it is older than five minutes, or from the future");
    }
    let key = hmac::Key::new(hmac::HMAC_SHA256, line.secret("signingSecret").as_bytes());
    let signed = [b"v0:", at.as_bytes(), b":", body].concat();
    let signature = header("x-slack-signature").strip_prefix("v0=").unwrap_or_default();
    let signature = hex::decode(signature).unwrap_or_default();
    if hmac::verify(&key, &signed, &signature).is_err() {
        return Received::Refused("its signature is not made with the signing secret");
    }
    let Ok(body) = serde_json::from_slice::<Value>(body) else {
        return Received::Refused("it is no JSON");
    };
    match body["type"].as_str() {
        Some("url_verification") => {
            let challenge = body["challenge"].as_str().unwrap_or_default();
            Received::Challenge(cut(challenge, 200))
        }
        Some("event_callback") => event(line, &body),
        _ => Received::Nothing,
    }
}

fn event(line: &Line, body: &Value) -> Received {
    let team = line.it.told("teamId");
    // Before our first word there we do not know it, and there is nothing to answer to.
    if team.is_empty() {
        return Received::Nothing;
    }
    if body["team_id"].as_str() != Some(team) {
        return Received::Refused("it is of another workspace");
    }
    let it = &body["event"];
    let id = match it["type"].as_str() {
        // The same message comes as app_mention too.
        Some("message" | "app_mention") => {
            let place = it["channel"].as_str().unwrap_or_default();
            if place != line.it.setting("channelId") {
                return Received::Nothing;
            }
            it["ts"].as_str().map(str::to_owned)
        }
        _ => body["event_id"].as_str().map(str::to_owned),
    };
    match id.filter(|id| is_word(id, 1, 100)) {
        Some(id) => Received::Event { id, body: it.to_string(), known: None },
        None => Received::Nothing,
    }
}

/// What an event says, in plain words.
pub(super) fn plain(text: &str, me: &str) -> String {
    let mut said = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        let (before, from) = rest.split_at(at);
        said.push_str(before);
        let Some(end) = from.find('>') else {
            rest = from;
            break;
        };
        let inner = from.get(1..end).unwrap_or_default();
        rest = from.get(end + 1..).unwrap_or_default();
        let (target, label) =
            inner.split_once('|').map_or((inner, None), |(target, label)| (target, Some(label)));
        if let Some(user) = target.strip_prefix('@') {
            if user != me {
                said.push('@');
                said.push_str(label.unwrap_or(user));
            }
        } else if let Some(channel) = target.strip_prefix('#') {
            said.push('#');
            said.push_str(label.unwrap_or(channel));
        } else if let Some(special) = target.strip_prefix('!') {
            said.push_str(label.unwrap_or(special));
        } else {
            said.push_str(target.strip_prefix("mailto:").unwrap_or(target));
        }
    }
    said.push_str(rest);
    let said = said.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    said.trim().to_owned()
}

/// What an event is, and who said it: Slack is asked for that.
pub(super) async fn look(app: &App, line: &Line, it: &Value) -> Told<Look> {
    let kind = it["type"].as_str().unwrap_or_default();
    let here = it["channel"].as_str() == Some(line.it.setting("channelId"));
    match kind {
        "message" | "app_mention" => {}
        "app_uninstalled" => return Ok(Look::Health(Some(Trouble::Uninstalled))),
        "tokens_revoked" => return Ok(Look::Health(Some(Trouble::Unauthorized))),
        "channel_archive" | "group_archive" if here => {
            return Ok(Look::Health(Some(Trouble::Archived)));
        }
        "channel_unarchive" | "group_unarchive" if here => return Ok(Look::Health(None)),
        "channel_deleted" | "group_deleted" if here => {
            return Ok(Look::Health(Some(Trouble::Deleted)));
        }
        "channel_left" | "group_left" if here => {
            return Ok(Look::Health(Some(Trouble::NotMember)));
        }
        "member_joined_channel" if here && it["user"].as_str() == Some(line.it.told("userId")) => {
            return Ok(Look::Health(None));
        }
        _ => return Ok(Look::Elsewhere),
    }
    let user = it["user"].as_str().unwrap_or_default();
    let subtype = it["subtype"].as_str();
    let said = matches!(subtype, None | Some("file_share" | "thread_broadcast"));
    let program = user.is_empty() || user == "USLACKBOT" || user == line.it.told("userId");
    if !said || program || it.get("bot_id").is_some() {
        return Ok(Look::Own);
    }
    let (thread, ts) = (it["thread_ts"].as_str().unwrap_or_default(), it["ts"].as_str());
    if thread.is_empty() || Some(thread) == ts {
        return Ok(Look::Elsewhere);
    }
    let thread = thread.to_owned();
    let refused = |why| Ok(Look::Refused { thread: thread.clone(), why });
    let asked = json!({ "user": user });
    let who = match call(app, line, "users.info", &asked).await {
        Ok(who) => who["user"].clone(),
        Err(Fault::Refused(_)) => return refused("who wrote it is not in the workspace"),
        Err(fault) => return Err(fault),
    };
    if who["is_bot"] == true {
        return Ok(Look::Own);
    }
    if who["deleted"] == true {
        return refused("who wrote it is not in the workspace any more");
    }
    if who["is_stranger"] == true || who["team_id"].as_str() != Some(line.it.told("teamId")) {
        return refused("who wrote it is of another workspace");
    }
    if !is_in_channel(app, line, user).await? {
        return refused("who wrote it is not in the channel");
    }
    let profile = &who["profile"];
    let names = [&profile["real_name"], &profile["display_name"], &who["real_name"], &who["name"]];
    let name = names.into_iter().filter_map(Value::as_str).find(|name| !name.trim().is_empty());
    Ok(Look::Reply {
        thread: thread.clone(),
        words: Words {
            author: cut(name.unwrap_or(user).trim(), 200),
            author_id: user.to_owned(),
            text: plain(it["text"].as_str().unwrap_or_default(), line.it.told("userId")),
            files: it["files"].as_array().map_or(0, Vec::len),
        },
    })
}

async fn is_in_channel(app: &App, line: &Line, user: &str) -> Told<bool> {
    let mut asked = json!({ "channel": line.it.setting("channelId"), "limit": 1_000 });
    for _ in 0..PAGES {
        let page = call(app, line, "conversations.members", &asked).await?;
        let members = page["members"].as_array().map(Vec::as_slice).unwrap_or_default();
        if members.iter().any(|it| it.as_str() == Some(user)) {
            return Ok(true);
        }
        match page["response_metadata"]["next_cursor"].as_str().filter(|it| !it.is_empty()) {
            Some(cursor) => asked["cursor"] = json!(cursor),
            None => return Ok(false),
        }
    }
    Ok(false)
}
