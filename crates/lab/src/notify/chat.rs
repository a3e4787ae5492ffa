//! A stand-in for Slack that keeps what was posted in one channel, answers for it, and fails now and
//! then, before or after it took a post.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use super::sink::{Luck, Taken, mark};
use crate::clock;
use crate::trivial::{Responder, Seen, json as reply};

/// The channel, and what opens it.
pub(crate) const PLACE: &str = "C0HARBOUR1";
pub(crate) const TOKEN: &str = "xoxb-harbour-watch";
pub(crate) const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// Messages of one page.
const PAGE: usize = 100;

/// What stands in the channel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Post {
    /// What Slack calls it.
    pub(crate) ts: String,
    /// What it stands below.
    pub(crate) below: Option<String>,
    /// The delivery it is.
    pub(crate) delivery: String,
    /// The incident that its button leads to; empty where that is none.
    pub(crate) incident: String,
    /// The mark in its text; empty where there is none.
    pub(crate) mark: String,
}

/// The channel.
#[derive(Debug)]
pub(crate) struct Slack {
    taken: Arc<Taken>,
    posts: Mutex<Vec<Post>>,
}

impl Slack {
    /// Everything that stands there, the oldest first.
    pub(crate) fn posts(&self) -> Vec<Post> {
        self.posts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn answer(&self, seen: &Seen) -> Vec<u8> {
        let wrong = |error: &str| reply(200, &json!({ "ok": false, "error": error }).to_string());
        let shown = crate::http::header(&seen.head, "authorization").unwrap_or_default();
        if shown != format!("Bearer {TOKEN}") {
            return wrong("invalid_auth");
        }
        let method = seen.path.trim_start_matches('/').to_owned();
        let luck = self.taken.luck();
        match luck {
            Luck::Taken | Luck::TakenAndBroken => {}
            Luck::Later => return wrong("internal_error"),
            Luck::Broken => return Vec::new(),
        }
        let said = match method.as_str() {
            "chat.postMessage" => self.post(&seen.body),
            "auth.test" => Ok(json!({ "team_id": "T0", "user_id": "U0BOT", "bot_id": "B0" })),
            "conversations.info" => Ok(json!({ "channel": { "id": PLACE, "is_member": true } })),
            "conversations.history" | "conversations.replies" => {
                self.page(&method, &String::from_utf8_lossy(&seen.body))
            }
            _ => Err("unknown_method"),
        };
        match said {
            Err(error) => wrong(error),
            Ok(_) if luck == Luck::TakenAndBroken => Vec::new(),
            Ok(mut said) => {
                said["ok"] = json!(true);
                reply(200, &said.to_string())
            }
        }
    }

    fn post(&self, body: &[u8]) -> Result<Value, &'static str> {
        let given: Value = serde_json::from_slice(body).map_err(|_| "invalid_json")?;
        let text = |pointer: &str| {
            given.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        if text("/channel") != PLACE {
            return Err("channel_not_found");
        }
        let mut posts = self.posts.lock().unwrap_or_else(PoisonError::into_inner);
        let below = given["thread_ts"].as_str().map(str::to_owned);
        if below.as_ref().is_some_and(|ts| !posts.iter().any(|it| it.ts == *ts)) {
            return Err("thread_not_found");
        }
        // One for each post, and later than those before.
        let ts = format!("{}.{:06}", clock::now_seconds(), posts.len());
        let whole = given["blocks"].to_string();
        let incident = whole.split_once("/incidents/").map_or("", |(_, rest)| rest);
        posts.push(Post {
            ts: ts.clone(),
            below,
            delivery: text("/metadata/event_payload/delivery"),
            incident: incident.chars().take_while(char::is_ascii_digit).collect(),
            mark: mark(&whole),
        });
        Ok(json!({ "ts": ts, "channel": PLACE }))
    }

    /// A page of the channel, the newest first, or of a thread, the oldest first.
    fn page(&self, method: &str, form: &str) -> Result<Value, &'static str> {
        let field = |name: &str| {
            let found = form.split('&').find_map(|it| it.strip_prefix(name)?.strip_prefix('='));
            found.unwrap_or_default().to_owned()
        };
        if field("channel") != PLACE {
            return Err("channel_not_found");
        }
        let (thread, oldest) = (field("ts"), field("oldest"));
        let mut found: Vec<Post> = self.posts();
        if method == "conversations.replies" {
            if !found.iter().any(|it| it.ts == thread && it.below.is_none()) {
                return Err("thread_not_found");
            }
            found.retain(|it| it.ts == thread || it.below.as_ref() == Some(&thread));
        } else {
            found.retain(|it| it.below.is_none());
            found.reverse();
        }
        // Of as many digits each: the order of numbers.
        found.retain(|it| it.ts >= oldest);
        let from: usize = field("cursor").parse().unwrap_or(0);
        let limit = field("limit").parse().unwrap_or(PAGE).min(PAGE);
        let next =
            if found.len() > from + limit { (from + limit).to_string() } else { String::new() };
        let messages: Vec<Value> = found
            .iter()
            .skip(from)
            .take(limit)
            .map(|it| {
                let payload = json!({ "delivery": it.delivery });
                json!({ "ts": it.ts, "metadata": {
                    "event_type": "riposte_delivery", "event_payload": payload,
                } })
            })
            .collect();
        Ok(json!({ "messages": messages, "response_metadata": { "next_cursor": next } }))
    }
}

/// Slack on a free port of this machine.
pub(crate) async fn slack(taken: Arc<Taken>) -> Result<(Arc<Slack>, Responder), String> {
    let slack = Arc::new(Slack { taken, posts: Mutex::default() });
    let shared = Arc::clone(&slack);
    let responder = Responder::start(move |seen| shared.answer(seen)).await;
    Ok((slack, responder.map_err(|error| format!("Slack: {error}"))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calm() -> Slack {
        let taken = Taken::new(1);
        taken.calm();
        Slack { taken, posts: Mutex::default() }
    }

    #[test]
    fn what_was_posted_is_found_again_by_its_delivery() {
        let slack = calm();
        let post = |delivery: &str, below: Option<&str>| {
            let blocks =
                json!([{ "text": "mark-i1-2. x", "url": "https://m.example/incidents/17?x" }]);
            let metadata = json!({ "event_payload": { "delivery": delivery } });
            let mut body = json!({ "channel": PLACE, "blocks": blocks, "metadata": metadata });
            body["thread_ts"] = json!(below);
            slack.post(body.to_string().as_bytes())
        };
        let root = post("a", None).expect("taken")["ts"].as_str().expect("a ts").to_owned();
        for n in 0..150 {
            post(&format!("b{n}"), Some(&root)).expect("taken");
        }
        assert_eq!(post("c", Some("1.000001")), Err("thread_not_found"));
        let first = &slack.posts()[1];
        assert_eq!((first.incident.as_str(), first.mark.as_str()), ("17", "i1-2"));
        let page = |more: &str| {
            let form = format!("channel={PLACE}&ts={root}&oldest=1.000000&limit=100{more}");
            slack.page("conversations.replies", &form).expect("a page")
        };
        let (one, two) = (page(""), page("&cursor=100"));
        assert_eq!(one["messages"].as_array().map(Vec::len), Some(100));
        assert_eq!(one["response_metadata"]["next_cursor"], "100");
        assert_eq!(two["messages"].as_array().map(Vec::len), Some(51));
        assert_eq!(two["messages"][50]["metadata"]["event_payload"]["delivery"], "b149");
        let top = slack.page("conversations.history", &format!("channel={PLACE}&oldest=1.0"));
        assert_eq!(top.expect("a page")["messages"].as_array().map(Vec::len), Some(1));
        let late = format!("channel={PLACE}&oldest=9999999999.0");
        let late = slack.page("conversations.history", &late).expect("a page");
        assert_eq!(late["messages"], json!([]));
    }
}
