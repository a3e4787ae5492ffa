//! Mattermost: a bot account that posts, and an outgoing webhook that says that something was said.
//!
//! An outgoing webhook carries a token and says little, and what it says anybody with the token could
//! have written. So it is a bell: the post that it names is read with the bot's own token, and what
//! counts is what the server says of it. A message of ours is Markdown, and every character that means
//! something there is escaped; who is written to by everybody's name is not. Not here: what follows
//! from a message (`hear`).

use axum::http::HeaderMap;
use ring::hmac;
use serde_json::{Value, json};

use super::hear::{Look, Received, Words};
use super::post::Parcel;
use super::{Fault, Field, Line, Said, Told, Trouble, ask, cut, is_word, request};
use crate::app::App;
use crate::clock::Timestamp;
use crate::notification::letter::Letter;

/// Pages of a channel that are looked through.
const PAGES: usize = 10;
/// The longest quoted text, in characters; the server takes 16,383 bytes of a message.
const LONGEST_QUOTE: usize = 2_500;

pub(super) const FIELDS: &[Field] = &[
    Field {
        name: "baseUrl",
        secret: false,
        sound: |text| is_word(text, 8, 300) && !text.contains(['?', '#']),
        is: "the server's https address, such as https://chat.alder.example",
    },
    Field {
        name: "channelId",
        secret: false,
        sound: is_id,
        is: "the channel's id of 26 letters and digits, in its information",
    },
    Field {
        name: "botToken",
        secret: true,
        sound: |text| is_word(text, 10, 200),
        is: "the bot account's access token",
    },
    Field {
        name: "webhookToken",
        secret: true,
        sound: |text| is_word(text, 10, 200),
        is: "the outgoing webhook's token",
    },
];

fn is_id(text: &str) -> bool {
    text.len() == 26 && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

async fn call(app: &App, line: &Line, method: &str, path: &str, body: &Value) -> Told<Value> {
    let url = format!("{}/api/v4{path}", line.it.setting("baseUrl"));
    judge(path, ask(app, request(method, &url, Some(line.secret("botToken")), body)?).await?)
}

fn judge(path: &str, said: Said) -> Told<Value> {
    let id = said.body["id"].as_str().unwrap_or_default();
    let id: String =
        id.chars().filter(|c| c.is_ascii_alphanumeric() || ".-_".contains(*c)).collect();
    let why = format!("Mattermost answered {} {}", said.status, cut(&id, 100));
    let why = why.trim().to_owned();
    match said.status {
        200..=299 => Ok(said.body),
        401 => Err(Fault::Trouble(Trouble::Unauthorized, why)),
        403 => Err(Fault::Trouble(Trouble::NotMember, why)),
        // What is answered to is named in a member of its own, and is not there.
        400 if id.contains("root_id") => Err(Fault::NoThread),
        400 if id.contains("deleted") || id.contains("archived") => {
            Err(Fault::Trouble(Trouble::Archived, why))
        }
        404 if path.starts_with("/posts/") || path.contains("/members/") => Err(Fault::NoThread),
        404 => Err(Fault::Trouble(Trouble::Deleted, why)),
        429 => Err(Fault::Later(why, Some(said.retry_after.unwrap_or(10)))),
        400..=499 => Err(Fault::Refused(why)),
        _ => Err(Fault::Later(why, None)),
    }
}

/// As whom we are there, and whether the channel can be used.
pub(super) async fn look_around(app: &App, line: &Line) -> Told<Value> {
    let me = call(app, line, "GET", "/users/me", &Value::Null).await?;
    let id = line.it.setting("channelId");
    let channel = call(app, line, "GET", &format!("/channels/{id}"), &Value::Null).await?;
    if channel["delete_at"].as_i64().unwrap_or(0) > 0 {
        let why = "Mattermost says that the channel is archived".to_owned();
        return Err(Fault::Trouble(Trouble::Archived, why));
    }
    let text = |it: &Value| it.as_str().map(|it| cut(it, 200));
    Ok(json!({
        "userId": text(&me["id"]),
        "teamId": text(&channel["team_id"]),
        "channel": text(&channel["display_name"]),
    }))
}

/// Posts a message; gives its id.
pub(super) async fn post(
    app: &App,
    line: &Line,
    thread: Option<&str>,
    it: &Parcel<'_>,
) -> Told<String> {
    let body = json!({
        "channel_id": line.it.setting("channelId"),
        "root_id": thread.unwrap_or_default(),
        "message": text(it.letter, thread.is_some()),
        "props": {
            "riposte_delivery": it.id,
            "mentionHighlightDisabled": true,
            "disable_group_highlight": true,
        },
    });
    let said = call(app, line, "POST", "/posts", &body).await?;
    said["id"]
        .as_str()
        .filter(|id| is_id(id))
        .map(str::to_owned)
        .ok_or_else(|| Fault::Later("Mattermost does not say what it posted".to_owned(), None))
}

/// Looks for a message that may have been posted; gives its id.
pub(super) async fn find(
    app: &App,
    line: &Line,
    thread: Option<&str>,
    delivery: &str,
    since: Timestamp,
) -> Told<Option<String>> {
    let channel = line.it.setting("channelId");
    let since = since.micros().div_euclid(1_000) - 60_000;
    for page in 0..PAGES {
        let path = match thread {
            Some(thread) => format!("/posts/{thread}/thread?perPage=200"),
            None => format!("/channels/{channel}/posts?page={page}&per_page=100"),
        };
        let found = call(app, line, "GET", &path, &Value::Null).await?;
        let posts: Vec<&Value> =
            found["posts"].as_object().into_iter().flat_map(|it| it.values()).collect();
        let ours = posts.iter().find(|it| {
            it["props"]["riposte_delivery"].as_str() == Some(delivery)
                && it["delete_at"].as_i64().unwrap_or(0) == 0
        });
        if let Some(id) = ours.and_then(|it| it["id"].as_str()) {
            return Ok(Some(id.to_owned()));
        }
        let oldest = posts.iter().filter_map(|it| it["create_at"].as_i64()).min();
        if thread.is_some() || oldest.is_none_or(|oldest| oldest < since) {
            break;
        }
    }
    Ok(None)
}

/// Text in which no character means anything to Markdown, and no name calls anybody.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let mut before = ' ';
    for c in text.chars() {
        match c {
            // A name behind it is called only when it follows at once.
            '@' => {
                out.push('@');
                if !before.is_ascii_alphanumeric() {
                    out.push('\u{200b}');
                }
            }
            ':' if before.is_ascii_alphanumeric() => {
                // No picture by its name, no address.
                out.push_str(":\u{200b}");
            }
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '(' | ')' | '#' | '+' | '-' | '.'
            | '!' | '|' | '<' | '>' | '~' | '&' | '$' | '=' | ':' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
        before = c;
    }
    out
}

/// A letter as Mattermost shows it.
pub(super) fn text(letter: &Letter, below: bool) -> String {
    let mut lines = vec![if below {
        format!("**{}**", escaped(&letter.heading))
    } else {
        format!("#### {}", escaped(&letter.heading))
    }];
    lines.extend(letter.paragraphs.iter().map(|text| escaped(text)));
    if !letter.items.is_empty() {
        let items: Vec<String> =
            letter.items.iter().map(|it| format!("* {}", escaped(it))).collect();
        lines.push(items.join("\n"));
    }
    if let Some(quote) = letter.quote.as_deref().filter(|text| !text.is_empty()) {
        let quoted: Vec<String> =
            cut(quote, LONGEST_QUOTE).lines().map(|line| format!("> {}", escaped(line))).collect();
        lines.push(quoted.join("\n"));
    }
    lines.extend(letter.after.iter().map(|text| escaped(text)));
    let (label, url) = &letter.link;
    lines.push(format!("[{}](<{url}>)", escaped(label)));
    if let Some(answer) = &letter.answer {
        lines.push(format!("*{}*", escaped(answer)));
    }
    lines.join("\n\n")
}

/// A request that says it is from the customer's server.
pub(super) fn receive(line: &Line, headers: &HeaderMap, body: &[u8]) -> Received {
    let kind = headers.get("content-type").and_then(|it| it.to_str().ok()).unwrap_or_default();
    let given: Value = if kind.starts_with("application/json") {
        serde_json::from_slice(body).unwrap_or_default()
    } else {
        let pairs = openidconnect::url::form_urlencoded::parse(body);
        Value::Object(pairs.map(|(name, value)| (name.into_owned(), json!(value))).collect())
    };
    let text = |name: &str| given[name].as_str().unwrap_or_default();
    // As long for each that is wrong: marks of both are compared.
    let key = hmac::Key::new(hmac::HMAC_SHA256, line.secret("webhookToken").as_bytes());
    let shown = hmac::Key::new(hmac::HMAC_SHA256, text("token").as_bytes());
    if hmac::verify(&key, b"token", hmac::sign(&shown, b"token").as_ref()).is_err() {
        return Received::Refused("its token is not the outgoing webhook's");
    }
    if text("channel_id") != line.it.setting("channelId") {
        return Received::Nothing;
    }
    let id = text("post_id").to_owned();
    if !is_id(&id) {
        return Received::Nothing;
    }
    Received::Event { body: json!({ "post": id }).to_string(), id, known: None }
}

/// What a post is, and who wrote it: the server is asked for both.
pub(super) async fn look(app: &App, line: &Line, event: &Value) -> Told<Look> {
    let id = event["post"].as_str().unwrap_or_default();
    let read = |path: String| async move {
        match call(app, line, "GET", &path, &Value::Null).await {
            Ok(found) => Ok(Some(found)),
            Err(Fault::NoThread) => Ok(None),
            Err(fault) => Err(fault),
        }
    };
    let Some(post) = read(format!("/posts/{id}")).await? else { return Ok(Look::Elsewhere) };
    let text = |name: &str| post[name].as_str().unwrap_or_default();
    let channel = line.it.setting("channelId");
    if text("channel_id") != channel || text("root_id").is_empty() {
        return Ok(Look::Elsewhere);
    }
    let user = text("user_id");
    let program = ["from_bot", "from_webhook", "from_plugin", "from_oauth_app"]
        .iter()
        .any(|name| post["props"].get(*name).is_some_and(|it| *it != "" && *it != false));
    if program || !text("type").is_empty() || user == line.it.told("userId") {
        return Ok(Look::Own);
    }
    let thread = text("root_id").to_owned();
    let refused = |why| Ok(Look::Refused { thread: thread.clone(), why });
    if !is_id(user) {
        return refused("it does not say who wrote it");
    }
    let who = match call(app, line, "GET", &format!("/users/{user}"), &Value::Null).await {
        Ok(who) => who,
        Err(Fault::Trouble(Trouble::Deleted, _) | Fault::NoThread) => {
            return refused("who wrote it is not on the server");
        }
        Err(fault) => return Err(fault),
    };
    if who["is_bot"] == true {
        return Ok(Look::Own);
    }
    if who["delete_at"].as_i64().unwrap_or(0) > 0 {
        return refused("who wrote it is not on the server any more");
    }
    if read(format!("/channels/{channel}/members/{user}")).await?.is_none() {
        return refused("who wrote it is not in the channel");
    }
    let name = |member: &str| who[member].as_str().unwrap_or_default().trim().to_owned();
    let full = format!("{} {}", name("first_name"), name("last_name"));
    let author = if full.trim().is_empty() { name("username") } else { full.trim().to_owned() };
    Ok(Look::Reply {
        thread: thread.clone(),
        words: Words {
            author: cut(&author, 200),
            author_id: user.to_owned(),
            text: text("message").to_owned(),
            files: post["file_ids"].as_array().map_or(0, Vec::len),
        },
    })
}
