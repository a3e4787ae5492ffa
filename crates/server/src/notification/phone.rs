//! Text messages and calls through Twilio's API, or one like it (NOT-8).
//!
//! A message has the heading and the link that signs in. A call says the letter twice and takes one key
//! as the word that it was heard; nothing is carried out by it, and nobody has reacted by it. How a call
//! ended is told to us at an address of the delivery's own, signed with the account's token; that is on
//! record as the call log, and a call that reached nobody brings the next rung forward (`escalation`).
//! The API has no key for a request that may be sent twice: a call whose answer is lost is made again.
//! Not here: who is called and when.

use axum::http::{HeaderMap, Request};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openidconnect::url::form_urlencoded;
use ring::hmac;
use serde_json::Value;

use crate::actor::Actor;
use crate::app::App;
use crate::config;
use crate::contact::Language;
use crate::db::column;
use crate::error::{Error, Result};
use crate::escalation;
use crate::event::Fact;
use crate::id::{IncidentId, TenantNo};
use crate::notification::letter::Letter;
use crate::notification::make::NOTIFIER;
use crate::notification::model::Answer;
use crate::outbound;
use crate::tx::Tx;

/// How long it rings, in seconds.
const RINGS_S: &str = "30";
/// The longest text message, in characters.
const LONGEST: usize = 480;
/// What the carrier says of a receiver that will never take anything: no number, not a mobile one, or
/// one that asked to be left alone.
const NEVER: [i64; 5] = [21_211, 21_214, 21_610, 21_614, 21_217];

/// The account that messages and calls go out by.
pub struct Phone {
    account: String,
    token: String,
    from: String,
    url: String,
}

impl Phone {
    /// What the operator has set up; none where nothing is.
    ///
    /// # Errors
    /// `Invalid` with the setting that cannot be used.
    pub fn open(config: &config::Phone) -> Result<Option<Self>> {
        let Some(account) = &config.account else { return Ok(None) };
        let lacks = |name: &str| Error::Invalid(format!("phone.{name} is missing"));
        let file = config.token_file.as_ref().ok_or_else(|| lacks("token_file"))?;
        let token = std::fs::read_to_string(file)
            .map_err(|e| Error::Invalid(format!("phone.token_file, {}: {e}", file.display())))?;
        let from = config.from.as_ref().ok_or_else(|| lacks("from"))?;
        let plain =
            |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric());
        if !plain(account) || !from.strip_prefix('+').is_some_and(plain) {
            let why =
                "phone.account is the account's SID and phone.from a number such as +15005550006";
            return Err(Error::Invalid(why.to_owned()));
        }
        Ok(Some(Self {
            account: account.to_owned(),
            token: token.trim().to_owned(),
            from: from.to_owned(),
            url: config.url.trim_end_matches('/').to_owned(),
        }))
    }

    /// Sends the heading and the link as a text message.
    pub(super) async fn text(&self, app: &App, to: &str, id: &str, letter: &Letter) -> Answer {
        let body = super::letter::cut(&letter.heading, LONGEST);
        let said = format!("{body} {}", letter.link.1);
        let back = back(app, id);
        let form = [("To", to), ("From", &self.from), ("Body", &said), ("StatusCallback", &back)];
        self.send(app, "Messages", &form).await
    }

    /// Calls and says the letter.
    pub(super) async fn call(
        &self,
        app: &App,
        to: &str,
        id: &str,
        (letter, language): (&Letter, Language),
    ) -> Answer {
        let back = back(app, id);
        let script = script(letter, language, &format!("{back}/heard"));
        let form = [
            ("To", to),
            ("From", &self.from),
            ("Twiml", &script),
            ("Timeout", RINGS_S),
            ("StatusCallback", &back),
        ];
        self.send(app, "Calls", &form).await
    }

    async fn send(&self, app: &App, what: &str, form: &[(&str, &str)]) -> Answer {
        let url = format!("{}/2010-04-01/Accounts/{}/{what}.json", self.url, self.account);
        let key = STANDARD.encode(format!("{}:{}", self.account, self.token));
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = Request::post(url)
            .header("authorization", format!("Basic {key}"))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form.into_bytes());
        let request = match request {
            Ok(request) => request,
            Err(why) => return Answer::Refused(format!("no request: {why}")),
        };
        let answer = match outbound::send(&app.config, request).await {
            Ok(answer) => answer,
            Err(why) => return Answer::Later(why.to_string()),
        };
        let status = answer.status().as_u16();
        let after = answer.headers().get("retry-after").and_then(|it| it.to_str().ok());
        let after = after.and_then(|it| it.trim().parse::<i64>().ok()).map(|it| it.clamp(1, 3_600));
        let said: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
        judge(status, after, &said)
    }

    /// Whether the account's carrier signed this request to `url`.
    fn signed(&self, url: &str, headers: &HeaderMap, form: &[(String, String)]) -> bool {
        let shown = headers.get("x-twilio-signature").and_then(|it| it.to_str().ok());
        let Some(shown) = shown.and_then(|it| STANDARD.decode(it).ok()) else { return false };
        let mut pairs: Vec<&(String, String)> = form.iter().collect();
        pairs.sort();
        let mut text = url.to_owned();
        for (name, value) in pairs {
            text.push_str(name);
            text.push_str(value);
        }
        // SHA-1 is what the protocol has; as a keyed hash it holds.
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, self.token.as_bytes());
        hmac::verify(&key, text.as_bytes(), &shown).is_ok()
    }
}

/// The address at which we are told of a delivery.
fn back(app: &App, id: &str) -> String {
    format!("{}/api/v1/calls/{id}", app.web())
}

/// What an answer of the API means. Pure.
fn judge(status: u16, after: Option<i64>, said: &Value) -> Answer {
    let code = said["code"].as_i64().unwrap_or_default();
    let why = format!("the carrier answered {status} {code}");
    match status {
        200..=299 => {
            let id = said["sid"].as_str().unwrap_or_default();
            let id: String = id.chars().filter(char::is_ascii_alphanumeric).take(40).collect();
            Answer::Delivered(format!("{status} {id}").trim_end().to_owned())
        }
        429 => Answer::NotBefore(why, after.unwrap_or(5)),
        400 if NEVER.contains(&code) => Answer::Refused(why),
        // What is wrong with the account is not the receiver's fault, and may be mended.
        _ => Answer::Later(why),
    }
}

/// The voice of a language.
fn voice(language: Language) -> &'static str {
    match language {
        Language::English => "en-US",
        Language::Spanish => "es-ES",
        Language::Japanese => "ja-JP",
        Language::PortugueseOfBrazil => "pt-BR",
        Language::PortugueseOfPortugal => "pt-PT",
    }
}

/// What is said in a call, in TwiML.
fn script(letter: &Letter, language: Language, heard: &str) -> String {
    let said: Vec<&str> = std::iter::once(letter.heading.as_str())
        .chain(letter.paragraphs.iter().map(String::as_str))
        .chain(letter.after.iter().map(String::as_str))
        .collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response><Pause length=\"1\"/>\
         <Gather numDigits=\"1\" timeout=\"10\" action=\"{}\">\
         <Say language=\"{}\" loop=\"2\">{}</Say></Gather></Response>",
        escaped(heard),
        voice(language),
        escaped(&said.join(" "))
    )
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// What the carrier's word means; none while the call goes on.
fn outcome(status: &str) -> Option<(&'static str, bool)> {
    Some(match status {
        "completed" => ("answered", true),
        "delivered" => ("delivered", true),
        "busy" => ("busy", false),
        "no-answer" => ("noAnswer", false),
        "failed" => ("failed", false),
        "undelivered" => ("undelivered", false),
        "canceled" => ("cancelled", false),
        _ => return None,
    })
}

/// Hears from the carrier what became of a delivery, or that a key was pressed (`heard`); whether the
/// request was the carrier's. What is said twice is on record once.
pub async fn hear(
    app: &App,
    phone: Option<&Phone>,
    (id, heard): (&str, bool),
    headers: &HeaderMap,
    body: &[u8],
) -> Result<bool> {
    let Some(phone) = phone else { return Ok(false) };
    let form: Vec<(String, String)> = form_urlencoded::parse(body).into_owned().collect();
    let url = if heard { format!("{}/heard", back(app, id)) } else { back(app, id) };
    if !phone.signed(&url, headers, &form) {
        return Ok(false);
    }
    let told = |name: &str| form.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str());
    let said = if heard {
        told("Digits").filter(|keys| !keys.is_empty()).map(|_| ("heard", true))
    } else {
        told("CallStatus").or_else(|| told("MessageStatus")).and_then(outcome)
    };
    let Some((outcome, reached)) = said else { return Ok(true) };
    let whose = app
        .db
        .whole("whose call the carrier tells of")
        .query_one("select tenant_no from delivery where id = $1", vec![id.into()])
        .await?;
    let Some(whose) = whose else { return Ok(true) };
    let tenant = TenantNo(column(&whose, 0)?);
    let mut tx = Tx::begin(app, tenant, Actor::system(NOTIFIER)).await?;
    let row = tx
        .query_one(
            "select incident_id, name, call_outcome from delivery where id = $1",
            vec![id.into()],
        )
        .await?;
    let Some(row) = row else { return Ok(true) };
    if column::<Option<String>>(&row, 2)?.as_deref() == Some(outcome) {
        return Ok(true);
    }
    tx.execute(
        "update delivery set call_outcome = $2 where id = $1",
        vec![id.into(), outcome.into()],
    )
    .await?;
    let incident = column::<Option<i64>>(&row, 0)?.map(IncidentId);
    tx.record(Fact::CallEnded {
        incident,
        delivery: id.to_owned(),
        name: column(&row, 1)?,
        outcome,
    });
    if !reached {
        escalation::missed(&tx, id).await?;
    }
    tx.commit().await?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_carrier_says_is_told_apart() {
        assert!(
            matches!(judge(201, None, &json!({ "sid": "CA12" })), Answer::Delivered(it) if it == "201 CA12")
        );
        assert!(matches!(judge(400, None, &json!({ "code": 21_211 })), Answer::Refused(_)));
        assert!(matches!(judge(400, None, &json!({ "code": 20_001 })), Answer::Later(_)));
        assert!(matches!(judge(401, None, &Value::Null), Answer::Later(_)));
        assert!(matches!(judge(429, Some(7), &Value::Null), Answer::NotBefore(_, 7)));
        assert!(matches!(judge(503, None, &Value::Null), Answer::Later(_)));
    }

    #[test]
    fn a_signature_is_as_the_carrier_documents_it() {
        // The example of Twilio's documentation of request validation.
        let phone = Phone {
            account: "AC1".into(),
            token: "12345".into(),
            from: "+1".into(),
            url: String::new(),
        };
        let form: Vec<(String, String)> = [
            ("CallSid", "CA1234567890ABCDE"),
            ("Caller", "+14158675309"),
            ("Digits", "1234"),
            ("From", "+14158675309"),
            ("To", "+18005551212"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec();
        let mut headers = HeaderMap::new();
        let signature = "RSOYDt4T1cUTdK1PDd93/VVr8B8=".parse().expect("a header");
        headers.insert("x-twilio-signature", signature);
        let url = "https://mycompany.com/myapp.php?foo=1&bar=2";
        assert!(phone.signed(url, &headers, &form));
        assert!(!phone.signed("https://mycompany.com/myapp.php", &headers, &form));
        assert!(!phone.signed(url, &HeaderMap::new(), &form));
    }

    #[test]
    fn no_value_leaves_its_place_in_a_call() {
        for evil in crate::notification::corpus::HOSTILE {
            let mut data = crate::notification::letter::Kind::Escalation.sample();
            data["incident"]["name"] = json!(evil);
            let kind = crate::notification::letter::Kind::Escalation;
            let link = "https://mdr.example/incidents/1";
            let letter = crate::notification::letter::write(kind, Language::English, &data, link)
                .expect("a letter");
            let script = script(&letter, Language::English, "https://mdr.example/heard?a=1&b=2");
            assert_eq!(script.matches('<').count(), 8, "{script}");
            assert!(!script.contains("&b="), "{script}");
        }
    }
}
