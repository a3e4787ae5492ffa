//! `/api/v1/conversations`: the chats of incidents and the customer's questions (COM, ASK).
//!
//! A conversation is shown with its newest messages; older ones by the page. Files are refused, with
//! the place where they belong (COM-6).

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::access::queue_tenant;
use crate::api::audit::moment;
use crate::api::{May, Params, done, idempotency, nothing, read};
use crate::clock::Timestamp;
use crate::contact::Language;
use crate::conversation::list::{self, Filter, Place, Row, Status};
use crate::conversation::model::{ASSISTANT, Side, Turn};
use crate::conversation::{self, About, Message, Reading, Thread, Word, translation};
use crate::error::Result;
use crate::http::{Answer, Failure, Site, csv, json_response};
use crate::permission::Permission;
use crate::tenant::caller::Caller;

/// Messages of a page at most, and how many a conversation is shown with.
const LARGEST: u64 = 200;
const SHOWN: u64 = 50;
/// Rows of an export at most, and how many are read at a time (UI-4).
const EXPORTED: usize = 10_000;
const PIECE: u64 = 500;
/// Where files belong.
const NO_FILES: &str = "files are not sent here: let the device's agent collect the file (its device \
                        page, Collect file), where it stays encrypted and on record";

/// A message as it is shown.
fn told(caller: &Caller, it: &Message) -> Value {
    json!({
        "id": it.id,
        "side": it.side.word(),
        "author": it.author,
        "own": it.author_id.as_deref() == Some(caller.client_id.as_str()),
        "visibility": if it.shared { "both" } else { "experts" },
        "text": it.text,
        "sentDateTime": it.at,
        "via": it.via,
    })
}

async fn shown(site: &Site, caller: &Caller, row: &Row) -> Result<Value> {
    let Row { thread, incident_name, inside, last, unread } = row;
    let (waiting, overdue) = match thread.turn {
        Turn::Experts { since, told } => (Some(since), told.is_some()),
        Turn::Nobody | Turn::Customer => (None, false),
    };
    let questions = thread.subject.clone().filter(|_| *inside);
    Ok(json!({
        "id": thread.id,
        "kind": thread.kind(),
        "tenantId": site.app.tenant_id(thread.tenant).await?,
        "tenantName": crate::tenant::name(&site.app, thread.tenant).await?,
        "incidentId": thread.incident,
        "subject": questions.or_else(|| incident_name.clone()),
        "about": thread.about.as_ref().filter(|_| *inside),
        "status": thread.status(),
        "waitingSinceDateTime": waiting,
        "overdue": overdue,
        "openedBy": thread.opened.0,
        "openedDateTime": thread.opened.1,
        "lastMessageDateTime": thread.last_at,
        "lastMessage": last.as_ref().map(|it| told(caller, it)),
        "unread": unread,
        "inside": inside,
    }))
}

/// Which conversations.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// Only this tenant's.
    tenant_id: Option<String>,
    /// `waitingForExperts`, `answered` or `closed`.
    status: Option<String>,
    /// `managedResponse` or `question`.
    kind: Option<String>,
    /// Only those with something new.
    unread: Option<bool>,
    /// The newest message at or after.
    from: Option<String>,
    /// The newest message before.
    to: Option<String>,
    /// Part of the subject, of the incident's name, of the reference or of who began it.
    search: Option<String>,
    /// Rows of a page, 50 when absent, at most 200. Not for the export.
    top: Option<u64>,
    /// `nextCursor` of the page before. Not for the export.
    cursor: Option<String>,
}

impl Which {
    async fn filter(&self, site: &Site, caller: &Caller) -> std::result::Result<Filter, Failure> {
        let status = self.status.as_deref().map(|word| {
            Status::ALL.into_iter().find(|it| it.word() == word).ok_or_else(|| {
                Failure::bad("status is waitingForExperts, answered or closed, or absent")
            })
        });
        let questions = match self.kind.as_deref() {
            None => None,
            Some("question") => Some(true),
            Some("managedResponse") => Some(false),
            Some(_) => return Err(Failure::bad("kind is managedResponse or question, or absent")),
        };
        let tenant = match &self.tenant_id {
            None => None,
            Some(id) => Some(queue_tenant(site, caller, id).await?),
        };
        let at = |name, given: &Option<String>| {
            given.as_deref().map(|text| moment(name, text)).transpose()
        };
        Ok(Filter {
            tenant,
            status: status.transpose()?,
            questions,
            unread: self.unread.unwrap_or(false),
            from: at("from", &self.from)?,
            to: at("to", &self.to)?,
            search: self.search.clone(),
        })
    }
}

fn place_of(text: &str) -> Option<Place> {
    let (at, id) = text.split_once('.')?;
    Some(Place { at: Timestamp::from_micros(at.parse().ok()?), id: id.to_owned() })
}

fn behind(rows: &[Row], top: u64) -> Option<Place> {
    let last = rows.last().filter(|_| rows.len() as u64 >= top)?;
    Some(Place { at: last.thread.last_at, id: last.thread.id.clone() })
}

/// Conversations of the tenants whose queue the caller sees, the newest word first (COM-9).
#[utoipa::path(
    get, path = "/api/v1/conversations", tag = "conversation", params(Which),
    responses((status = 200, description = "value, nextCursor", body = Object)),
)]
pub(super) async fn list(
    State(site): State<Site>,
    caller: Caller,
    Params(which): Params<Which>,
) -> Answer {
    caller.require(&[Permission::IncidentRead])?;
    let filter = which.filter(&site, &caller).await?;
    let top = which.top.unwrap_or(SHOWN).clamp(1, LARGEST);
    let place = match &which.cursor {
        None => None,
        Some(text) => {
            Some(place_of(text).ok_or_else(|| Failure::bad("the cursor is not one of ours"))?)
        }
    };
    let rows = list::rows(&site.app, &caller, &filter, place.as_ref(), top).await?;
    let next = behind(&rows, top).map(|place| format!("{}.{}", place.at.micros(), place.id));
    let mut value = Vec::with_capacity(rows.len());
    for row in &rows {
        value.push(shown(&site, &caller, row).await?);
    }
    Ok(json_response(StatusCode::OK, &json!({ "value": value, "nextCursor": next })))
}

/// The same as comma-separated values, at most 10,000 rows (COM-9).
#[utoipa::path(
    get, path = "/api/v1/conversations/export", tag = "conversation", params(Which),
    responses((status = 200, description = "CSV", body = String, content_type = "text/csv")),
)]
pub(super) async fn export(
    State(site): State<Site>,
    caller: Caller,
    Params(which): Params<Which>,
) -> Answer {
    caller.require(&[Permission::IncidentRead])?;
    if which.top.is_some() || which.cursor.is_some() {
        return Err(Failure::bad("an export has no pages"));
    }
    let filter = which.filter(&site, &caller).await?;
    let mut text = csv::row(&[
        "Reference",
        "Subject",
        "Customer",
        "Status",
        "Waiting since",
        "Submitted by",
        "Opened",
        "Last message",
        "Last message by",
        "Unread",
        "Incident",
    ]);
    let (mut place, mut written) = (None, 0);
    loop {
        let rows = list::rows(&site.app, &caller, &filter, place.as_ref(), PIECE).await?;
        for row in rows.iter().take(EXPORTED - written) {
            let one = shown(&site, &caller, row).await?;
            let cell = |name: &str| one[name].as_str().unwrap_or_default().to_owned();
            let by = row.last.as_ref().map(|it| it.author.as_str()).unwrap_or_default();
            text.push_str(&csv::row(&[
                &row.thread.id,
                &cell("subject"),
                &cell("tenantName"),
                row.thread.status(),
                &cell("waitingSinceDateTime"),
                &row.thread.opened.0,
                &cell("openedDateTime"),
                &cell("lastMessageDateTime"),
                by,
                &row.unread.to_string(),
                &row.thread.incident.map(|id| id.to_string()).unwrap_or_default(),
            ]));
        }
        written += rows.len();
        place = behind(&rows, PIECE);
        if place.is_none() || written >= EXPORTED {
            break;
        }
    }
    Ok(csv::file("attachment; filename=\"conversations.csv\"", text))
}

/// What a question is about.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AboutGiven {
    /// `incident`, `alert`, `device`, `file` or `user`.
    kind: String,
    /// Its id there.
    id: String,
    /// What people call it.
    name: String,
}

/// A question.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Question {
    /// At most 200 characters.
    subject: String,
    /// At most 10,000 characters.
    text: String,
    about: Option<AboutGiven>,
    /// Mail addresses that are told when the experts answer, besides the contacts: five at most (ASK-3).
    #[serde(default)]
    notify: Vec<String>,
    /// Refused: files are not sent here.
    #[schema(value_type = Option<Object>)]
    attachments: Option<Value>,
}

/// Asks the experts something (ASK-1).
#[utoipa::path(
    post, path = "/api/v1/conversations", tag = "conversation", request_body = Question,
    responses(
        (status = 201, description = "the conversation", body = Object),
        (status = 409, description = "no credit can be used"),
    ),
)]
pub(super) async fn ask(
    State(site): State<Site>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::IncidentRead])?;
    let (asked, bytes) = read::<Question>(&site, &headers, body).await?;
    if asked.attachments.is_some() {
        return Err(Failure::bad(NO_FILES));
    }
    let Question { subject, text, about, notify, .. } = asked;
    let about = about.map(|AboutGiven { kind, id, name }| About { kind, id, name });
    let question = conversation::Question { subject, about, text, notify };
    let (app, who) = (site.app.clone(), caller.clone());
    let work = move |made: Option<String>| async move {
        let id = match made {
            Some(known) => known,
            None => conversation::ask(&site.app, &who, question).await?,
        };
        show(&site, &who, &id, StatusCode::CREATED).await
    };
    let request = [b"POST conversation".as_slice(), &bytes];
    Box::pin(idempotency::once_made(&app, &caller, &headers, &request, work)).await
}

/// A conversation with its newest messages.
#[utoipa::path(
    get, path = "/api/v1/conversations/{id}", tag = "conversation",
    params(("id" = String, Path, description = "`incident-7` or `question-3`")),
    responses(
        (status = 200, description = "the conversation, messages, older, may", body = Object),
        (status = 404, description = "no such conversation: an incident has one once a response was published"),
    ),
)]
pub(super) async fn get(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
) -> Answer {
    caller.require(&[Permission::IncidentRead])?;
    show(&site, &caller, &id, StatusCode::OK).await
}

async fn show(site: &Site, caller: &Caller, id: &str, status: StatusCode) -> Answer {
    let app = &site.app;
    let thread = conversation::find(app, caller, id).await?;
    let (messages, older) = conversation::messages(app, caller, &thread, None, SHOWN).await?;
    let reading = conversation::reading(app, caller, &thread).await?;
    let Reading { unread, helpful, remark, .. } = reading;
    let incident_name = match thread.incident {
        None => None,
        Some(id) => {
            let incident = crate::incident::find(app, caller, id).await?;
            Some(incident.model.display_name)
        }
    };
    let may = may(caller, &thread);
    let first_unread = messages
        .iter()
        .find(|it| {
            it.number > reading.read_to && it.author_id.as_deref() != Some(&*caller.client_id)
        })
        .map(|it| it.id.clone());
    let expert = conversation::side(caller) == Side::Expert;
    let ratings = if expert { Some(conversation::ratings(app, &thread).await?) } else { None };
    let last = messages.last().cloned();
    let row = Row { thread, incident_name, inside: true, last, unread };
    let mut body = shown(site, caller, &row).await?;
    let told: Vec<Value> = messages.iter().map(|it| told(caller, it)).collect();
    for (name, value) in [
        ("messages", json!(told)),
        ("older", json!(older)),
        ("firstUnreadId", json!(first_unread)),
        ("assistant", json!(ASSISTANT)),
        ("helpful", json!(helpful)),
        ("remark", json!(remark)),
        ("ratings", json!(ratings.map(|(up, down)| json!({ "helpful": up, "notHelpful": down })))),
        (
            "translation",
            json!({ "isSetUp": translation::is_set_up(app), "languages": Language::ALL }),
        ),
        ("may", may),
    ] {
        body[name] = value;
    }
    Ok(json_response(status, &body))
}

fn may(caller: &Caller, thread: &Thread) -> Value {
    let write = conversation::may_not_write(caller, thread).map(str::to_owned);
    let expert = conversation::side(caller) == Side::Expert;
    let note =
        write.clone().or((!expert).then(|| "only experts speak among themselves".to_owned()));
    let rate = expert.then(|| "the customer says whether it was helped".to_owned());
    let close = write.clone().or(thread.closed.map(|_| "it is closed".to_owned()));
    json!({
        "write": May::unless(write),
        "note": May::unless(note),
        "rate": May::unless(rate),
        "close": May::unless(close),
    })
}

/// Which messages.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Older {
    /// The id of the message that they are older than.
    before: Option<String>,
    /// 50 when absent, at most 200.
    top: Option<u64>,
}

/// Messages of a conversation, the oldest of the page first.
#[utoipa::path(
    get, path = "/api/v1/conversations/{id}/messages", tag = "conversation",
    params(("id" = String, Path, description = "the conversation's id"), Older),
    responses((status = 200, description = "value, older", body = Object)),
)]
pub(super) async fn messages(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
    Params(which): Params<Older>,
) -> Answer {
    caller.require(&[Permission::IncidentRead])?;
    let thread = conversation::find(&site.app, &caller, &id).await?;
    let before = match &which.before {
        None => None,
        Some(id) => Some(conversation::number_of(&site.app, &caller, &thread, id).await?),
    };
    let top = which.top.unwrap_or(SHOWN).clamp(1, LARGEST);
    let (all, older) = conversation::messages(&site.app, &caller, &thread, before, top).await?;
    let value: Vec<Value> = all.iter().map(|it| told(&caller, it)).collect();
    Ok(json_response(StatusCode::OK, &json!({ "value": value, "older": older })))
}

/// A message.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Said {
    /// At most 10,000 characters.
    text: String,
    /// `both` when absent; `experts` for what only experts see.
    visibility: Option<String>,
    /// Refused: files are not sent here.
    #[schema(value_type = Option<Object>)]
    attachments: Option<Value>,
}

/// Says something in a conversation.
#[utoipa::path(
    post, path = "/api/v1/conversations/{id}/messages", tag = "conversation", request_body = Said,
    params(("id" = String, Path, description = "the conversation's id")),
    responses((status = 201, description = "the conversation", body = Object)),
)]
pub(super) async fn say(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::IncidentRead])?;
    let (said, bytes) = read::<Said>(&site, &headers, body).await?;
    if said.attachments.is_some() {
        return Err(Failure::bad(NO_FILES));
    }
    let shared = match said.visibility.as_deref() {
        None | Some("both") => true,
        Some("experts") => false,
        Some(_) => return Err(Failure::bad("visibility is both or experts")),
    };
    let request = [b"POST message".as_slice(), id.as_bytes(), &[0], &bytes].map(<[u8]>::to_vec);
    let request = request.each_ref().map(Vec::as_slice);
    let (app, who) = (site.app.clone(), caller.clone());
    let work = {
        let id = id.clone();
        move |made: Option<String>| async move {
            if made.is_none() {
                let word = Word { text: said.text, shared };
                conversation::say(&site.app, &who, &id, word).await?;
            }
            show(&site, &who, &id, StatusCode::CREATED).await
        }
    };
    Box::pin(idempotency::once_made(&app, &caller, &headers, &request, work)).await
}

/// How far somebody has read.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct ReadTo {
    /// The last message that was read; null marks the whole conversation unread.
    message_id: Option<String>,
}

/// Marks a conversation as read up to a message, or as unread (COM-9).
#[utoipa::path(
    put, path = "/api/v1/conversations/{id}/read", tag = "conversation", request_body = ReadTo,
    params(("id" = String, Path, description = "the conversation's id")),
    responses((status = 204)),
)]
pub(super) async fn mark(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::IncidentRead])?;
    let (given, _) = read::<ReadTo>(&site, &headers, body).await?;
    let thread = conversation::find(&site.app, &caller, &id).await?;
    let to = match &given.message_id {
        None => 0,
        Some(id) => conversation::number_of(&site.app, &caller, &thread, id).await?,
    };
    conversation::mark(&site.app, &caller, &thread, to).await?;
    Ok(done())
}

/// What somebody thinks of the help.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Rating {
    /// Null takes it back.
    helpful: Option<bool>,
    /// At most 1,000 characters.
    remark: Option<String>,
}

/// Says whether the help was helpful (COM-4).
#[utoipa::path(
    put, path = "/api/v1/conversations/{id}/rating", tag = "conversation", request_body = Rating,
    params(("id" = String, Path, description = "the conversation's id")),
    responses((status = 200, description = "the conversation", body = Object)),
)]
pub(super) async fn rate(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::IncidentRead])?;
    let (given, _) = read::<Rating>(&site, &headers, body).await?;
    conversation::rate(&site.app, &caller, &id, given.helpful, given.remark).await?;
    show(&site, &caller, &id, StatusCode::OK).await
}

/// Messages in another language.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct InLanguage {
    /// Into which.
    language: Language,
    /// Which messages, 20 at most.
    message_ids: Vec<String>,
}

/// Translates messages of a conversation by the service that the operator has set up (COM-3). Each
/// message is asked for once in a language.
#[utoipa::path(
    post, path = "/api/v1/conversations/{id}/translations", tag = "conversation",
    request_body = InLanguage,
    params(("id" = String, Path, description = "`incident-7` or `question-3`")),
    responses(
        (status = 200, description = "value: id, text or because", body = Object),
        (status = 409, description = "no translation service is set up"),
    ),
)]
pub(super) async fn translate(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::IncidentRead])?;
    let (wanted, _) = read::<InLanguage>(&site, &headers, body).await?;
    let thread = conversation::find(&site.app, &caller, &id).await?;
    let wanted = (wanted.language, wanted.message_ids.as_slice());
    let all = translation::translate(&site.app, &caller, &thread, wanted).await?;
    let value: Vec<Value> = all
        .into_iter()
        .map(|(id, said)| {
            let (text, because) = match said {
                Ok(text) => (Some(text), None),
                Err(because) => (None, Some(because)),
            };
            json!({ "id": id, "text": text, "because": because })
        })
        .collect();
    Ok(json_response(StatusCode::OK, &json!({ "value": value })))
}

/// Closes a conversation that is over; whoever writes in it opens it again.
#[utoipa::path(
    post, path = "/api/v1/conversations/{id}/close", tag = "conversation",
    params(("id" = String, Path, description = "the conversation's id")),
    responses((status = 200, description = "the conversation", body = Object)),
)]
pub(super) async fn close(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::IncidentRead])?;
    nothing(&site, &headers, body).await?;
    conversation::close(&site.app, &caller, &id).await?;
    show(&site, &caller, &id, StatusCode::OK).await
}
