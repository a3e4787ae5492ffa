//! `/api/v1/deliveries`, `/api/v1/notifications/…`: what was sent to whom, and how.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use mail_parser::MessageParser;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::api::contact::why_not;
use crate::api::incident::id_of;
use crate::api::sign_in::Nothing;
use crate::api::{May, Params, nothing, read};
use crate::app::App;
use crate::clock::Timestamp;
use crate::contact::Language;
use crate::error::Result;
use crate::http::{Answer, Failure, Site, json_response};
use crate::id::IncidentId;
use crate::incident;
use crate::notification::letter::Kind;
use crate::notification::make::Channel;
use crate::notification::{self, Delivery, Filter, Health, setting};
use crate::permission::Permission;
use crate::smtp::Envelope;
use crate::tenant::caller::Caller;

/// The longest page of deliveries.
const LARGEST: i64 = 200;

/// One notification for one receiver.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct DeliveryView {
    /// What the receiver sees: the start of the Message-ID, or `webhook-id`.
    id: String,
    notification_id: String,
    kind: Kind,
    incident_id: Option<String>,
    channel: Channel,
    /// The address.
    receiver: String,
    /// Whom it is for, as people call it.
    name: String,
    language: Language,
    /// `waiting`, `delivered`, `dead` or `cancelled`.
    state: String,
    subject: String,
    attempts: i64,
    /// When it is sent next, while it waits.
    #[schema(value_type = Option<String>)]
    next_date_time: Option<Timestamp>,
    #[schema(value_type = String)]
    created_date_time: Timestamp,
    #[schema(value_type = Option<String>)]
    ended_date_time: Option<Timestamp>,
    /// Why it is not delivered.
    because: Option<String>,
}

impl DeliveryView {
    fn new(app: &App, it: &Delivery) -> Result<Self> {
        Ok(Self {
            id: it.id.clone(),
            notification_id: it.notification.clone(),
            kind: it.kind,
            incident_id: it.incident.map(|id| id.to_string()),
            channel: it.channel,
            receiver: it.to.clone(),
            name: it.name.clone(),
            language: it.language,
            state: it.state.clone(),
            subject: it.letter(app)?.subject,
            attempts: it.attempts,
            next_date_time: it.next,
            created_date_time: it.made,
            ended_date_time: it.ended,
            because: it.error.clone(),
        })
    }
}

/// Which deliveries are wanted.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// `waiting`, `delivered`, `dead` or `cancelled`.
    state: Option<String>,
    /// `mail`, `webhook`, `slack`, `teams`, `mattermost`, `matrix` or `pagerduty`.
    channel: Option<String>,
    /// Those about this incident.
    incident: Option<String>,
    /// Where the page before ended.
    cursor: Option<i64>,
    /// How many at most, 50 when absent, 200 at most.
    top: Option<i64>,
}

const STATES: [&str; 4] = ["waiting", "delivered", "dead", "cancelled"];

/// The deliveries of the organisation, the newest first.
#[utoipa::path(
    get, path = "/api/v1/deliveries", tag = "notification", params(Which),
    responses((status = 200, description = "value, nextCursor, may", body = Object)),
)]
pub(super) async fn list(
    State(site): State<Site>,
    caller: Caller,
    Params(which): Params<Which>,
) -> Answer {
    caller.require(&[Permission::ContactRead])?;
    let state = which.state.filter(|it| !it.is_empty());
    if state.as_deref().is_some_and(|state| !STATES.contains(&state)) {
        return Err(Failure::bad(format!("state is one of {}", STATES.join(", "))));
    }
    let channel = match which.channel.as_deref() {
        None => None,
        Some(word) => Some(Channel::read(word).ok_or_else(|| {
            let words: Vec<&str> = Channel::ALL.iter().map(|it| it.word()).collect();
            Failure::bad(format!("channel is one of {}", words.join(", ")))
        })?),
    };
    let incident = which.incident.as_deref().map(id_of).transpose()?;
    let filter = Filter { state, channel, incident, before: which.cursor };
    let top = which.top.unwrap_or(50).clamp(1, LARGEST);
    let found = notification::deliveries(&site.app, &caller, &filter, top).await?;
    let next = (found.len() as i64 == top).then(|| found.last().map(|it| it.number)).flatten();
    let value =
        found.iter().map(|it| DeliveryView::new(&site.app, it)).collect::<Result<Vec<_>>>()?;
    let may = json!({ "again": May::unless(why_not(&caller)) });
    let body = json!({ "value": value, "nextCursor": next, "may": may });
    Ok(json_response(StatusCode::OK, &body))
}

/// One delivery: what it says, and each attempt.
#[utoipa::path(
    get, path = "/api/v1/deliveries/{id}", tag = "notification",
    params(("id" = String, Path, description = "the delivery's id")),
    responses((status = 200, description = "the delivery, letter, attempts", body = Object)),
)]
pub(super) async fn get(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
) -> Answer {
    let (it, attempts) = notification::find(&site.app, &caller, &id).await?;
    let mut body = json!(DeliveryView::new(&site.app, &it)?);
    body["letter"] = json!(it.letter(&site.app)?);
    body["attemptsMade"] = json!(attempts);
    Ok(json_response(StatusCode::OK, &body))
}

/// Sends a delivery again, under the same id.
#[utoipa::path(
    post, path = "/api/v1/deliveries/{id}/again", tag = "notification", request_body = Nothing,
    params(("id" = String, Path, description = "the delivery's id")),
    responses((status = 202), (status = 409, description = "it waits to be sent already")),
)]
pub(super) async fn again(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::ContactReadWrite])?;
    nothing(&site, &headers, body).await?;
    notification::again(&site.app, &caller, &id).await?;
    Ok(json_response(StatusCode::ACCEPTED, &json!({})))
}

/// Who was told what about an incident, the newest first.
#[utoipa::path(
    get, path = "/api/v1/incidents/{id}/notifications", tag = "notification",
    params(("id" = String, Path, description = "the incident's id")),
    responses((status = 200, description = "value, undelivered", body = Object)),
)]
pub(super) async fn of_incident(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
) -> Answer {
    caller.require(&[Permission::IncidentRead])?;
    let id: IncidentId = incident::find(&site.app, &caller, id_of(&id)?).await?.id;
    let found = notification::of_incident(&caller.view(&site.app), id).await?;
    // By the newest of each receiver: who heard of it later has heard.
    let mut last = BTreeMap::new();
    for it in &found {
        last.entry((it.channel, it.to.clone())).or_insert_with(|| it.state.clone());
    }
    let undelivered = last.values().filter(|state| *state == "dead").count();
    let value =
        found.iter().map(|it| DeliveryView::new(&site.app, it)).collect::<Result<Vec<_>>>()?;
    Ok(json_response(StatusCode::OK, &json!({ "value": value, "undelivered": undelivered })))
}

fn health_of(it: &Health) -> Value {
    json!({
        "channel": it.channel,
        "receiver": it.receiver,
        "waiting": it.waiting,
        "failures": it.failures,
        "pausedUntilDateTime": it.paused_until,
        "lastOkDateTime": it.last_ok,
        "lastError": it.last_error.as_ref().map(|(why, _)| why),
        "lastErrorDateTime": it.last_error.as_ref().map(|(_, at)| at),
    })
}

async fn show(site: &Site, caller: &Caller) -> Answer {
    let health = notification::health(&site.app, caller).await?;
    let mail = &site.app.config.mail;
    let setting = setting::find(&site.app, caller).await?;
    let body = json!({
        "reminderHours": setting.reminder_hours,
        "wholeResponse": setting.whole_response,
        "mail": {
            "isSetUp": mail.smtp.is_some(), "from": mail.from, "isAnswered": mail.replies.is_some(),
        },
        "receivers": health.iter().map(health_of).collect::<Vec<_>>(),
        "kinds": Kind::ALL,
        "languages": Language::ALL,
        "may": { "change": May::unless(why_not(caller)) },
    });
    Ok(json_response(StatusCode::OK, &body))
}

/// How the organisation is told, and how the way to each receiver goes (COM-7).
#[utoipa::path(
    get, path = "/api/v1/notifications/settings", tag = "notification",
    responses((status = 200, description = "reminderHours, wholeResponse, mail, receivers …", body = Object)),
)]
pub(super) async fn settings(State(site): State<Site>, caller: Caller) -> Answer {
    caller.require(&[Permission::ContactRead])?;
    show(&site, &caller).await
}

/// How the organisation wants to be told; what is absent stays.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Settings {
    /// Hours between two reminders of what awaits the customer; 0 for none.
    reminder_hours: Option<i64>,
    /// Whether the mail about a published response contains the summary and every task.
    whole_response: Option<bool>,
}

/// Chooses how the organisation is told.
#[utoipa::path(
    put, path = "/api/v1/notifications/settings", tag = "notification", request_body = Settings,
    responses((status = 200, description = "the settings", body = Object)),
)]
pub(super) async fn choose(
    State(site): State<Site>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::ContactReadWrite])?;
    let (asked, _) = read::<Settings>(&site, &headers, body).await?;
    setting::choose(&site.app, &caller, asked.reminder_hours, asked.whole_response).await?;
    show(&site, &caller).await
}

/// In which language a preview is wanted.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct In {
    /// English when absent.
    language: Option<Language>,
}

/// What a kind of notification looks like as a mail, with invented values.
#[utoipa::path(
    get, path = "/api/v1/notifications/previews/{kind}", tag = "notification",
    params(("kind" = String, Path, description = "such as responsePublished"), In),
    responses((status = 200, description = "subject, text, html, letter", body = Object)),
)]
pub(super) async fn preview(
    State(site): State<Site>,
    caller: Caller,
    Path(kind): Path<String>,
    Params(wanted): Params<In>,
) -> Answer {
    caller.require(&[Permission::ContactRead])?;
    let unknown = || Failure::new(StatusCode::NOT_FOUND, "there is no such kind of notification");
    let kind = Kind::read(&kind).ok_or_else(unknown)?;
    let language = wanted.language.unwrap_or_default();
    let (letter, text, html) = notification::preview(&site.app, kind, language)?;
    let body = json!({ "subject": letter.subject, "text": text, "html": html, "letter": letter });
    Ok(json_response(StatusCode::OK, &body))
}

/// The mails of the demo, the newest first; in the demo only.
#[utoipa::path(
    get, path = "/api/v1/demo/mails", tag = "notification",
    responses((status = 200, description = "value", body = Object), (status = 404)),
)]
pub(super) async fn mails(_: Caller, State(site): State<Site>) -> Answer {
    if !site.app.config.demo {
        return Err(Failure::new(StatusCode::NOT_FOUND, "there is nothing at this address"));
    }
    let mails = site.app.mailbox.mails();
    let value: Vec<Value> = mails.iter().map(|(at, mail)| mail_of(*at, mail)).collect();
    Ok(json_response(StatusCode::OK, &json!({ "value": value })))
}

/// An answer to a mail of the demo, as whoever got it would write it.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MailAnswer {
    /// The mail's `id`.
    id: String,
    /// What the answer says.
    text: String,
}

/// Answers a mail of the demo: a mail comes back, as from the mail server of who got it; in the demo
/// only.
#[utoipa::path(
    post, path = "/api/v1/demo/mails/answer", tag = "notification", request_body = MailAnswer,
    responses(
        (status = 202), (status = 404),
        (status = 409, description = "the mail takes no answer"),
    ),
)]
pub(super) async fn answer(
    _: Caller,
    State(site): State<Site>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    if !site.app.config.demo {
        return Err(Failure::new(StatusCode::NOT_FOUND, "there is nothing at this address"));
    }
    let (asked, _) = read::<MailAnswer>(&site, &headers, body).await?;
    crate::demo::mailbox::answer(&site.app, &asked.id, &asked.text).await?;
    Ok(json_response(StatusCode::ACCEPTED, &json!({})))
}

fn mail_of(at: Timestamp, mail: &Envelope) -> Value {
    let read = MessageParser::default().parse(&mail.data);
    let text = |part: Option<std::borrow::Cow<'_, str>>| part.map(std::borrow::Cow::into_owned);
    json!({
        "id": read.as_ref().and_then(|it| it.message_id()),
        "receivedDateTime": at,
        "from": read.as_ref().and_then(|it| it.from()?.first()?.address()),
        "to": mail.to,
        "isAnswered": read.as_ref().is_some_and(|it| it.reply_to().is_some()),
        "subject": read.as_ref().and_then(|it| it.subject()),
        "text": read.as_ref().and_then(|it| text(it.body_text(0))),
        "html": read.as_ref().and_then(|it| text(it.body_html(0))),
    })
}
