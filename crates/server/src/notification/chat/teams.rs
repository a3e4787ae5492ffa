//! Microsoft Teams: a bot of the customer's, over the Bot Framework protocol.
//!
//! We show the connector a token of the bot's own app registration; the connector shows us one that
//! Microsoft signs. It counts when it is signed by a published key that is endorsed for Teams, was
//! made by the connector for this bot, has not ended, and names the very address that the activity asks us
//! to call. An activity counts when it is of the connected organisation and channel. What we post is
//! an adaptive card of `RichTextBlock`s, which have no markup and mention nobody. Not here: what follows
//! from a message (`hear`).

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openidconnect::url::{Url, form_urlencoded};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use serde_json::{Value, json};

use super::hear::{Look, Received, Words};
use super::post::Parcel;
use super::{Fault, Field, Line, Said, Told, Trouble, ask, cut, is_word, request};
use crate::app::App;
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::notification::letter::Letter;
use crate::outbound;

/// Who signs what the connector shows us.
const ISSUER: &str = "https://api.botframework.com";
/// What a key must be endorsed for.
const ENDORSED: &str = "msteams";
/// For what our token is.
const SCOPE: &str = "https://api.botframework.com/.default";
/// For how long published keys are kept, in seconds, and how soon they are asked for again when a key
/// is not among them.
const KEPT_S: i64 = 86_400;
const AGAIN_S: i64 = 300;
/// How far clocks may differ, in seconds (as the protocol has it).
const SKEW_S: i64 = 300;
/// How much sooner than it ends our token is renewed, in seconds.
const SPARE_S: i64 = 300;
/// The longest quoted text, in characters: a message has some 28 KB.
const LONGEST_QUOTE: usize = 3_500;

pub(super) const FIELDS: &[Field] = &[
    Field {
        name: "tenantId",
        secret: false,
        sound: is_uuid,
        is: "the organisation's id in Entra ID, a UUID",
    },
    Field {
        name: "appId",
        secret: false,
        sound: is_uuid,
        is: "the bot's app id (its client id in Entra ID), a UUID",
    },
    Field {
        name: "channelId",
        secret: false,
        sound: |text| {
            is_word(text, 5, 200) && text.starts_with("19:") && !text.contains(['/', ';'])
        },
        is: "the channel's id, such as 19:…@thread.tacv2, in the link to the channel",
    },
    Field {
        name: "clientSecret",
        secret: true,
        sound: |text| is_word(text, 8, 300),
        is: "a client secret of the bot's app registration",
    },
];

pub(super) fn is_uuid(text: &str) -> bool {
    text.len() == 36 && uuid::Uuid::try_parse(text).is_ok()
}

/// Tokens that we show the connector, by whom they are for.
#[derive(Default)]
pub struct Tokens(Mutex<HashMap<(String, String), (String, Timestamp)>>);

impl Tokens {
    async fn get(&self, app: &App, line: &Line) -> Told<String> {
        let now = app.clock.now();
        let (client, secret) = (line.it.setting("appId"), line.secret("clientSecret"));
        let key = (client.to_owned(), crate::tenant::hash(secret));
        let kept = self.0.lock().ok().and_then(|all| all.get(&key).cloned());
        if let Some((token, until)) = kept
            && now < until
        {
            return Ok(token);
        }
        let who = (line.it.setting("tenantId"), client, secret);
        let (token, lasts) = granted(app, who, SCOPE).await?;
        if let Ok(mut all) = self.0.lock() {
            all.retain(|_, (_, until)| now < *until);
            all.insert(key, (token.clone(), now.plus_seconds(lasts - SPARE_S)));
        }
        Ok(token)
    }

    fn forget(&self, line: &Line) {
        if let Ok(mut all) = self.0.lock() {
            all.retain(|(client, _), _| client != line.it.setting("appId"));
        }
    }
}

/// A token of Microsoft's for an app (organisation, app, secret), and how many seconds it lasts.
pub(super) async fn granted(
    app: &App,
    (organisation, client, secret): (&str, &str, &str),
    scope: &str,
) -> Told<(String, i64)> {
    let login = app.config.chat.teams_login.trim_end_matches('/');
    let url = format!("{login}/{organisation}/oauth2/v2.0/token");
    let form = form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "client_credentials")
        .append_pair("client_id", client)
        .append_pair("client_secret", secret)
        .append_pair("scope", scope)
        .finish();
    let asked = axum::http::Request::post(url)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form.into_bytes())
        .map_err(|why| Fault::Refused(format!("no request: {why}")))?;
    let said = ask(app, asked).await?;
    let why = format!("Microsoft gives the bot no token ({})", said.status);
    match said.status {
        200 => {}
        400 | 401 | 403 => return Err(Fault::Trouble(Trouble::Unauthorized, why)),
        _ => return Err(Fault::Later(why, said.retry_after)),
    }
    let token = said.body["access_token"].as_str().unwrap_or_default();
    if !is_word(token, 1, 20_000) {
        return Err(Fault::Later("Microsoft gives the bot no token".to_owned(), None));
    }
    Ok((token.to_owned(), said.body["expires_in"].as_i64().unwrap_or(0).clamp(0, 86_400)))
}

/// A key that the connector signs with.
struct Key {
    n: Vec<u8>,
    e: Vec<u8>,
    endorsed: bool,
}

type Published = (Timestamp, Arc<HashMap<String, Key>>);

/// Keys that the connector signs with, as they were published lately.
#[derive(Default)]
pub struct Keys(Mutex<Option<Published>>);

impl Keys {
    async fn get(&self, app: &App, oldest_s: i64) -> Result<Arc<HashMap<String, Key>>> {
        let now = app.clock.now();
        let kept = self.0.lock().ok().and_then(|kept| kept.clone());
        if let Some((at, keys)) = kept
            && now < at.plus_seconds(oldest_s)
        {
            return Ok(keys);
        }
        let about = document(app, &app.config.chat.teams_metadata).await?;
        let unreadable = || Error::Invalid("Microsoft's keys cannot be read".to_owned());
        let at = about["jwks_uri"].as_str().ok_or_else(unreadable)?;
        let listed = document(app, at).await?;
        let mut keys = HashMap::new();
        let decoded = |it: &Value| URL_SAFE_NO_PAD.decode(it.as_str().unwrap_or_default()).ok();
        for key in listed["keys"].as_array().ok_or_else(unreadable)? {
            let (Some(n), Some(e)) = (decoded(&key["n"]), decoded(&key["e"])) else { continue };
            let Some(id) = key["kid"].as_str().filter(|_| key["kty"] == "RSA") else { continue };
            let all = key["endorsements"].as_array().map(Vec::as_slice).unwrap_or_default();
            let endorsed = all.iter().any(|it| it == ENDORSED);
            keys.insert(id.to_owned(), Key { n, e, endorsed });
        }
        let keys = Arc::new(keys);
        if let Ok(mut kept) = self.0.lock() {
            *kept = Some((now, keys.clone()));
        }
        Ok(keys)
    }
}

async fn document(app: &App, url: &str) -> Result<Value> {
    let asked = axum::http::Request::get(url).header("accept", "application/json");
    let asked = asked.body(Vec::new()).map_err(Error::internal)?;
    let answer = outbound::send(&app.config, asked).await?;
    if !answer.status().is_success() {
        return Err(Error::Invalid("Microsoft's keys cannot be read".to_owned()));
    }
    serde_json::from_slice(answer.body())
        .map_err(|_| Error::Invalid("Microsoft's keys cannot be read".to_owned()))
}

/// What a token says, once it is shown to be the connector's; else why it is not.
async fn proven(
    app: &App,
    keys: &Keys,
    audience: &str,
    token: &str,
) -> Result<std::result::Result<Value, &'static str>> {
    let part = |text: &str| -> Option<Value> {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
    };
    let mut parts = token.split('.');
    let (Some(head), Some(body), Some(signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Ok(Err("it shows no token"));
    };
    let (Some(header), Some(claims), Ok(signature)) =
        (part(head), part(body), URL_SAFE_NO_PAD.decode(signature))
    else {
        return Ok(Err("its token cannot be read"));
    };
    if header["alg"] != "RS256" {
        return Ok(Err("its token is not signed as Microsoft signs"));
    }
    let id = header["kid"].as_str().unwrap_or_default();
    let mut published = keys.get(app, KEPT_S).await?;
    if !published.contains_key(id) {
        published = keys.get(app, AGAIN_S).await?;
    }
    let Some(key) = published.get(id) else {
        return Ok(Err("its token is signed with no key of Microsoft's"));
    };
    let signed = format!("{head}.{body}");
    let public = RsaPublicKeyComponents { n: &key.n, e: &key.e };
    if public.verify(&RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), &signature).is_err() {
        return Ok(Err("its token is not signed by Microsoft"));
    }
    if !key.endorsed {
        return Ok(Err("its token is signed with a key that is not for Teams"));
    }
    let now = app.clock.now().micros().div_euclid(1_000_000);
    if claims["iss"] != ISSUER {
        return Ok(Err("its token was made by somebody else"));
    }
    if claims["aud"].as_str() != Some(audience) {
        return Ok(Err("its token is for another bot"));
    }
    if claims["exp"].as_i64().is_none_or(|exp| exp < now - SKEW_S) {
        return Ok(Err("its token has ended"));
    }
    if claims["nbf"].as_i64().is_some_and(|nbf| nbf > now + SKEW_S) {
        return Ok(Err("its token is of the future"));
    }
    Ok(Ok(claims))
}

/// The same address, however it is spelt.
fn same(one: &str, other: &str) -> bool {
    one.trim_end_matches('/').eq_ignore_ascii_case(other.trim_end_matches('/'))
}

/// A request that says it is from the connector.
pub(super) async fn receive(
    app: &App,
    keys: &Keys,
    line: &Line,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Received> {
    let shown = headers.get("authorization").and_then(|it| it.to_str().ok()).unwrap_or_default();
    let Some(token) = shown.strip_prefix("Bearer ").filter(|it| it.len() < 20_000) else {
        return Ok(Received::Refused("it shows no token"));
    };
    // While its keys cannot be had, it is asked to come again.
    let proven = proven(app, keys, line.it.setting("appId"), token.trim()).await;
    let proven = proven.map_err(|error| {
        tracing::warn!("an activity of Teams was not taken: {error}");
        let what = "Microsoft's keys cannot be had".to_owned();
        Error::Busy { what, retry_after_s: 5, own_limit: false }
    });
    let claims = match proven? {
        Ok(claims) => claims,
        Err(why) => return Ok(Received::Refused(why)),
    };
    let Ok(it) = serde_json::from_slice::<Value>(body) else {
        return Ok(Received::Refused("it is no JSON"));
    };
    let service = it["serviceUrl"].as_str().unwrap_or_default();
    let claimed = claims["serviceurl"].as_str().or_else(|| claims["serviceUrl"].as_str());
    if service.is_empty() || !claimed.is_some_and(|claimed| same(claimed, service)) {
        return Ok(Received::Refused(
            "it asks for an answer at another address than its token names",
        ));
    }
    if it["channelId"] != "msteams" {
        return Ok(Received::Refused("it is not of Teams"));
    }
    if organisation(&it) != Some(line.it.setting("tenantId")) {
        return Ok(Received::Refused("it is of another organisation"));
    }
    if !matches!(it["type"].as_str(), Some("message" | "conversationUpdate" | "installationUpdate"))
    {
        return Ok(Received::Nothing);
    }
    let sound = Url::parse(service)
        .ok()
        .filter(|url| outbound::require_sound(&app.config, url).is_ok() && url.query().is_none());
    if sound.is_none() {
        return Ok(Received::Refused("it asks for an answer at an address that is not called"));
    }
    let mut known = line.it.known.clone();
    known["serviceUrl"] = json!(service.trim_end_matches('/'));
    if channel_of(&it) == Some(line.it.setting("channelId")) {
        if let Some(team) = it["channelData"]["team"]["id"].as_str() {
            known["teamId"] = json!(cut(team, 200));
        }
    } else if it["type"] == "message" {
        return Ok(Received::Nothing);
    }
    let id = it["id"].as_str().filter(|id| is_word(id, 1, 200));
    // The same message is the same in its thread.
    let id = id.map(|id| format!("{} {id}", it["conversation"]["id"].as_str().unwrap_or_default()));
    let id = id.filter(|id| id.len() <= 500);
    Ok(match id {
        Some(id) => Received::Event { id, body: it.to_string(), known: Some(known) },
        None => Received::Nothing,
    })
}

fn organisation(it: &Value) -> Option<&str> {
    it["channelData"]["tenant"]["id"].as_str().or_else(|| it["conversation"]["tenantId"].as_str())
}

fn channel_of(it: &Value) -> Option<&str> {
    let named = it["channelData"]["channel"]["id"].as_str();
    named
        .or_else(|| it["channelData"]["teamsChannelId"].as_str())
        .or_else(|| it["conversation"]["id"].as_str().and_then(|id| id.split(';').next()))
}

/// The message that an activity stands below.
pub(super) fn thread_of(it: &Value) -> Option<String> {
    let (_, thread) = it["conversation"]["id"].as_str()?.split_once(";messageid=")?;
    Some(thread.to_owned())
}

/// What is known before the connector has called us: where it is for everybody.
pub(super) fn look_around(app: &App) -> Value {
    json!({ "serviceUrl": app.config.chat.teams_service.trim_end_matches('/') })
}

async fn call(
    app: &App,
    tokens: &Tokens,
    line: &Line,
    (method, path): (&str, &str),
    body: &Value,
) -> Told<Value> {
    let token = tokens.get(app, line).await?;
    let url = format!("{}{path}", line.it.told("serviceUrl"));
    let said = ask(app, request(method, &url, Some(&token), body)?).await?;
    if said.status == 401 {
        tokens.forget(line);
    }
    judge(said)
}

fn judge(said: Said) -> Told<Value> {
    let code = said.body["error"]["code"].as_str().unwrap_or_default();
    let code: String = code.chars().filter(char::is_ascii_alphanumeric).take(60).collect();
    let why = format!("Teams answered {} {code}", said.status);
    let why = why.trim().to_owned();
    match (said.status, code.as_str()) {
        (200..=299, _) => Ok(said.body),
        (429, _) => Err(Fault::Later(why, Some(said.retry_after.unwrap_or(30)))),
        (401, _) => Err(Fault::Trouble(Trouble::Unauthorized, why)),
        (403, "BotNotInConversationRoster") => Err(Fault::Trouble(Trouble::NotMember, why)),
        (403, _) => Err(Fault::Trouble(Trouble::Blocked, why)),
        (404, "ActivityNotFoundInConversation" | "MessageNotFound") => Err(Fault::NoThread),
        (404, _) => Err(Fault::Trouble(Trouble::Deleted, why)),
        (412 | 502 | 504 | 408, _) => Err(Fault::Later(why, said.retry_after)),
        (400..=499, _) => Err(Fault::Refused(why)),
        _ => Err(Fault::Later(why, said.retry_after)),
    }
}

fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

/// Posts a message; gives the id of the message, which a thread goes by.
pub(super) async fn post(
    app: &App,
    tokens: &Tokens,
    line: &Line,
    thread: Option<&str>,
    it: &Parcel<'_>,
) -> Told<String> {
    let mut activity = card(it.letter, thread.is_some());
    activity["channelData"] = json!({ "riposte": { "delivery": it.id } });
    let channel = line.it.setting("channelId");
    let unsaid = || Fault::Later("Teams does not say what it posted".to_owned(), None);
    if let Some(thread) = thread {
        let conversation = format!("{channel};messageid={thread}");
        let path = format!("/v3/conversations/{}/activities", encoded(&conversation));
        let said = call(app, tokens, line, ("POST", &path), &activity).await?;
        return said["id"].as_str().map(str::to_owned).ok_or_else(unsaid);
    }
    let body = json!({
        "isGroup": true,
        "bot": { "id": format!("28:{}", line.it.setting("appId")) },
        "tenantId": line.it.setting("tenantId"),
        "channelData": {
            "channel": { "id": channel },
            "tenant": { "id": line.it.setting("tenantId") },
        },
        "activity": activity,
    });
    let said = call(app, tokens, line, ("POST", "/v3/conversations"), &body).await?;
    let named = said["id"].as_str().and_then(|id| id.split_once(";messageid="));
    let id = named.map(|(_, id)| id).or_else(|| said["activityId"].as_str());
    id.filter(|id| is_word(id, 1, 200)).map(str::to_owned).ok_or_else(unsaid)
}

/// A letter as Teams shows it. Every value stands in a text run, which has no markup.
pub(super) fn card(letter: &Letter, below: bool) -> Value {
    let block = |text: &str, more: Value| {
        let mut run = json!({ "type": "TextRun", "text": text });
        for (name, value) in more.as_object().into_iter().flatten() {
            run[name] = value.clone();
        }
        json!({ "type": "RichTextBlock", "inlines": [run] })
    };
    let look = if below {
        json!({ "weight": "Bolder" })
    } else {
        json!({ "weight": "Bolder", "size": "Large" })
    };
    let said = |text: &&String| !text.is_empty();
    let mut body = vec![block(&letter.heading, look)];
    body.extend(letter.paragraphs.iter().filter(said).map(|text| block(text, json!({}))));
    body.extend(letter.items.iter().map(|text| block(&format!("• {text}"), json!({}))));
    if let Some(quote) = letter.quote.as_deref().filter(|text| !text.is_empty()) {
        let lines = cut(quote, LONGEST_QUOTE);
        let lines: Vec<Value> = lines
            .lines()
            .filter(|line| !line.is_empty())
            .map(|line| block(line, json!({ "italic": true })))
            .collect();
        body.push(json!({ "type": "Container", "style": "emphasis", "items": lines }));
    }
    let after = letter.after.iter().filter(said);
    body.extend(after.map(|text| block(text, json!({ "isSubtle": true }))));
    if let Some(answer) = &letter.answer {
        body.push(block(answer, json!({ "isSubtle": true })));
    }
    let (label, url) = &letter.link;
    json!({
        "type": "message",
        // For notifications and readers of screens; without markup.
        "summary": letter.subject,
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "fallbackText": letter.subject,
                "body": body,
                "actions": [{ "type": "Action.OpenUrl", "title": label, "url": url }],
                "msteams": { "width": "Full" },
            },
        }],
    })
}

/// What somebody wrote, without the name that woke the bot.
pub(super) fn plain(it: &Value) -> String {
    let mut text = it["text"].as_str().unwrap_or_default().to_owned();
    let me = it["recipient"]["id"].as_str().unwrap_or_default();
    for entity in it["entities"].as_array().map(Vec::as_slice).unwrap_or_default() {
        let Some(mention) = entity["text"].as_str().filter(|_| entity["type"] == "mention") else {
            continue;
        };
        let name = if entity["mentioned"]["id"].as_str() == Some(me) {
            String::new()
        } else {
            format!("@{}", entity["mentioned"]["name"].as_str().unwrap_or_default())
        };
        text = text.replacen(mention, &name, 1);
    }
    if it["textFormat"] == "xml" || text.contains("</") || text.contains("<br") {
        text = without_tags(&text);
    }
    text.trim().to_owned()
}

/// The text of simple HTML.
fn without_tags(html: &str) -> String {
    let mut out = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let Some(end) = from.find('>') else {
            rest = from;
            break;
        };
        let tag = from.get(1..end).unwrap_or_default().to_ascii_lowercase();
        if tag.starts_with("br") || tag == "/p" || tag == "/div" || tag == "/li" {
            out.push('\n');
        }
        rest = from.get(end + 1..).unwrap_or_default();
    }
    out.push_str(rest);
    out.replace("&nbsp;", " ")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&#39;", "'")
        .replace("&amp;", "&")
}

/// What happened to the app or the channel.
fn health(line: &Line, it: &Value) -> Look {
    let event = it["channelData"]["eventType"].as_str().unwrap_or_default();
    let here = channel_of(it) == Some(line.it.setting("channelId"));
    // The bot may be in other teams as well, whose fate says nothing of this channel.
    let team = it["channelData"]["team"]["id"].as_str().unwrap_or_default();
    if !here && (team.is_empty() || team != line.it.told("teamId")) {
        return Look::Elsewhere;
    }
    let me = it["recipient"]["id"].as_str();
    let is_me = |list: &str| {
        let all = it[list].as_array().map(Vec::as_slice).unwrap_or_default();
        all.iter().any(|member| member["id"].as_str() == me)
    };
    match (it["type"].as_str().unwrap_or_default(), event) {
        ("installationUpdate", _)
            if it["action"].as_str().is_some_and(|it| it.starts_with("remove")) =>
        {
            Look::Health(Some(Trouble::Uninstalled))
        }
        ("conversationUpdate", "channelDeleted") if here => Look::Health(Some(Trouble::Deleted)),
        ("conversationUpdate", "channelRestored") if here => Look::Health(None),
        ("conversationUpdate", "teamArchived") => Look::Health(Some(Trouble::Archived)),
        ("conversationUpdate", "teamUnarchived" | "teamRestored") => Look::Health(None),
        ("conversationUpdate", "teamDeleted" | "teamHardDeleted") => {
            Look::Health(Some(Trouble::Deleted))
        }
        ("conversationUpdate", _) if is_me("membersRemoved") => {
            Look::Health(Some(Trouble::Uninstalled))
        }
        ("conversationUpdate", _) if is_me("membersAdded") => Look::Health(None),
        _ => Look::Elsewhere,
    }
}

/// What an activity is, and who wrote it: the connector is asked for that.
pub(super) async fn look(app: &App, tokens: &Tokens, line: &Line, it: &Value) -> Told<Look> {
    if it["type"] != "message" {
        return Ok(health(line, it));
    }
    let from = it["from"]["id"].as_str().unwrap_or_default();
    if from.is_empty() || from.starts_with("28:") || it["from"]["role"] == "bot" {
        return Ok(Look::Own);
    }
    let Some(thread) = thread_of(it) else { return Ok(Look::Elsewhere) };
    // The first message of a thread stands below nothing.
    if it["id"].as_str() == Some(thread.as_str()) {
        return Ok(Look::Elsewhere);
    }
    let refused = |why| Ok(Look::Refused { thread: thread.clone(), why });
    let channel = line.it.setting("channelId");
    let path = format!("/v3/conversations/{}/members/{}", encoded(channel), encoded(from));
    let who = match call(app, tokens, line, ("GET", &path), &Value::Null).await {
        Ok(who) => who,
        Err(Fault::Trouble(Trouble::Deleted, _) | Fault::NoThread | Fault::Refused(_)) => {
            return refused("who wrote it is not in the team");
        }
        Err(fault) => return Err(fault),
    };
    let of = who["tenantId"].as_str();
    if of.is_some_and(|of| of != line.it.setting("tenantId")) && who["userRole"] != "guest" {
        return refused("who wrote it is of another organisation");
    }
    let name = who["name"].as_str().or_else(|| it["from"]["name"].as_str()).unwrap_or(from);
    let files = it["attachments"].as_array().map(Vec::as_slice).unwrap_or_default();
    let files = files.iter().filter(|file| file["contentType"] != "text/html").count();
    Ok(Look::Reply {
        thread: thread.clone(),
        words: Words {
            author: cut(name.trim(), 200),
            author_id: from.to_owned(),
            text: plain(it),
            files,
        },
    })
}
