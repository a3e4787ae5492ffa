//! The audit log as a feed in the shape of the Office 365 Management Activity API (AUD-1), so that
//! what reads that one reads ours: `/api/v1.0/{tenant}/activity/feed/…`.
//!
//! A reader subscribes to a content type, lists the pieces that became available in a span of time,
//! and fetches each. A piece is what lies between two checkpoints of the tenant's tree, at most
//! [`PIECE`] records: it never changes, comes within a minute, and a reader that keeps the checkpoints
//! can prove what it was given. `contentCreated` is when the checkpoint was signed. Refusals carry the
//! codes of that API. Not here: pushing to a webhook; readers ask.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::api::Params;
use crate::api::audit::{moment, record_type};
use crate::api::timeline::{COLUMNS, shown};
use crate::app::App;
use crate::clock::Timestamp;
use crate::db::column;
use crate::error::Result;
use crate::event::{Change, Fact};
use crate::http::{Answer, Base, Failure, Site, body, json_response};
use crate::id::TenantNo;
use crate::permission::Permission;
use crate::tenant::caller::{Caller, log_within_reach};
use crate::tx::Tx;

/// The most records of a piece.
const PIECE: i64 = 1_000;
/// The most pieces of a page.
const PAGE: usize = 200;
/// How far back a reader may list, in seconds.
const KEPT_S: i64 = 7 * 24 * 3_600;
/// The longest span of a list, in seconds.
const SPAN_S: i64 = 24 * 3_600;

/// What a reader may subscribe to: everything has one of these.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Content {
    /// Sign-ins.
    Directory,
    /// Everything else.
    General,
}

impl Content {
    const ALL: [Self; 2] = [Self::Directory, Self::General];

    fn word(self) -> &'static str {
        match self {
            Self::Directory => "Audit.AzureActiveDirectory",
            Self::General => "Audit.General",
        }
    }

    fn read(text: Option<&str>) -> std::result::Result<Self, Failure> {
        let text = text.ok_or_else(|| refused("AF20001", "Missing parameter: contentType."))?;
        Self::ALL
            .into_iter()
            .find(|it| it.word().eq_ignore_ascii_case(text))
            .ok_or_else(|| refused("AF20020", "The specified content type is not valid."))
    }

    fn of_kind(kind: &str) -> Self {
        match record_type(kind) {
            ("AzureActiveDirectory", _) => Self::Directory,
            _ => Self::General,
        }
    }
}

fn refused(code: &'static str, message: impl Into<String>) -> Failure {
    Failure { code, ..Failure::new(StatusCode::BAD_REQUEST, message) }
}

/// What a request to the feed says.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Ask {
    /// `Audit.General` or `Audit.AzureActiveDirectory`.
    #[serde(rename = "contentType")]
    content_type: Option<String>,
    /// Pieces that became available from then on, UTC; with `endTime`, or neither.
    #[serde(rename = "startTime")]
    start_time: Option<String>,
    /// Pieces that became available before then, UTC; at most 24 hours after `startTime`.
    #[serde(rename = "endTime")]
    end_time: Option<String>,
    /// From the `NextPageUri` of the page before.
    #[serde(rename = "nextPage")]
    next_page: Option<String>,
    /// Whose reader it is; not looked at.
    #[serde(rename = "PublisherIdentifier")]
    _publisher: Option<String>,
}

/// A subscription.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Subscription {
    content_type: &'static str,
    /// `enabled`.
    status: &'static str,
    /// Always null: nothing is pushed.
    #[schema(value_type = Option<Object>)]
    webhook: Value,
}

impl Subscription {
    fn to(content: Content) -> Self {
        Self { content_type: content.word(), status: "enabled", webhook: Value::Null }
    }
}

/// A piece of the log that is there to be fetched.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the spellings of that API")]
pub(super) struct Piece {
    content_type: &'static str,
    content_id: String,
    content_uri: String,
    content_created: String,
    content_expiration: String,
}

async fn log(site: &Site, caller: &Caller, tenant: &str) -> Result<TenantNo> {
    caller.require(&[Permission::AuditRead])?;
    log_within_reach(&site.app, caller, tenant).await
}

/// What the caller reads of a tenant's log.
#[utoipa::path(
    get, path = "/api/v1.0/{tenant}/activity/feed/subscriptions/list", tag = "audit",
    params(("tenant" = String, Path, description = "the tenant's id")),
    responses((status = 200, body = Vec<Subscription>)),
)]
pub(super) async fn list(
    State(site): State<Site>,
    caller: Caller,
    Path(tenant): Path<String>,
) -> Answer {
    let tenant = log(&site, &caller, &tenant).await?;
    let mut found = Vec::new();
    for content in Content::ALL {
        if subscribed(&site.app, &caller, tenant, content).await? {
            found.push(Subscription::to(content));
        }
    }
    Ok(json_response(StatusCode::OK, &found))
}

async fn subscribed(
    app: &App,
    caller: &Caller,
    tenant: TenantNo,
    content: Content,
) -> Result<bool> {
    let sql = "select 1 from feed where tenant_no = $1 and client = $2 and content_type = $3";
    let values =
        vec![tenant.0.into(), caller.client_id.clone().into(), content.word().to_owned().into()];
    Ok(app.db.of(tenant).query_one(sql, values).await?.is_some())
}

/// Subscribes to a content type. A webhook in the body is refused: readers ask.
#[utoipa::path(
    post, path = "/api/v1.0/{tenant}/activity/feed/subscriptions/start", tag = "audit",
    params(("tenant" = String, Path, description = "the tenant's id"), Ask),
    responses((status = 200, body = Subscription), (status = 400, description = "AF20020, AF20021")),
)]
pub(super) async fn start(
    State(site): State<Site>,
    caller: Caller,
    Path(tenant): Path<String>,
    Params(ask): Params<Ask>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let tenant = log(&site, &caller, &tenant).await?;
    let content = Content::read(ask.content_type.as_deref())?;
    let held = body::read(&headers, body, body::SMALL, &site.bodies).await?;
    let body: Value = serde_json::from_slice(&held.bytes).unwrap_or_default();
    if body.get("webhook").is_some_and(|hook| !hook.is_null()) {
        return Err(refused("AF20021", "Nothing is pushed: leave the webhook out, and list."));
    }
    change(&site.app, &caller, tenant, content, true).await?;
    Ok(json_response(StatusCode::OK, &Subscription::to(content)))
}

/// Ends a subscription.
#[utoipa::path(
    post, path = "/api/v1.0/{tenant}/activity/feed/subscriptions/stop", tag = "audit",
    params(("tenant" = String, Path, description = "the tenant's id"), Ask),
    responses((status = 200), (status = 400, description = "AF20022: there is none")),
)]
pub(super) async fn stop(
    State(site): State<Site>,
    caller: Caller,
    Path(tenant): Path<String>,
    Params(ask): Params<Ask>,
) -> Answer {
    let tenant = log(&site, &caller, &tenant).await?;
    let content = Content::read(ask.content_type.as_deref())?;
    require(&site.app, &caller, tenant, content).await?;
    change(&site.app, &caller, tenant, content, false).await?;
    Ok(json_response(StatusCode::OK, &json!({})))
}

async fn require(
    app: &App,
    caller: &Caller,
    tenant: TenantNo,
    content: Content,
) -> std::result::Result<(), Failure> {
    if subscribed(app, caller, tenant, content).await? {
        return Ok(());
    }
    Err(refused("AF20022", "No subscription found for the specified content type."))
}

async fn change(
    app: &App,
    caller: &Caller,
    tenant: TenantNo,
    content: Content,
    wanted: bool,
) -> Result<()> {
    let mut tx = Tx::begin(app, tenant, caller.actor()).await?;
    let key =
        vec![tenant.0.into(), caller.client_id.clone().into(), content.word().to_owned().into()];
    let changed = if wanted {
        let mut values = key;
        values.push(tx.now().micros().into());
        let sql = "insert into feed (tenant_no, client, content_type, created_at) \
                   values ($1, $2, $3, $4) on conflict do nothing";
        tx.execute(sql, values).await?
    } else {
        let sql = "delete from feed where tenant_no = $1 and client = $2 and content_type = $3";
        tx.execute(sql, key).await?
    };
    if changed > 0 {
        let field = content.word();
        let (before, after) = (json!(!wanted), json!(wanted));
        tx.record(Fact::FeedChanged { changes: vec![Change { field, before, after }] });
    }
    tx.commit().await
}

/// Pieces of a content type that became available in a span of time, the oldest first; where there
/// are more, the header `NextPageUri` says where they go on.
#[utoipa::path(
    get, path = "/api/v1.0/{tenant}/activity/feed/subscriptions/content", tag = "audit",
    params(("tenant" = String, Path, description = "the tenant's id"), Ask),
    responses(
        (status = 200, body = Vec<Piece>),
        (status = 400, description = "AF20022: no subscription; AF20030: no such span; AF20031"),
    ),
)]
pub(super) async fn content(
    State(site): State<Site>,
    caller: Caller,
    Path(tenant_id): Path<String>,
    Params(ask): Params<Ask>,
    base: Base,
) -> Answer {
    let tenant = log(&site, &caller, &tenant_id).await?;
    let content = Content::read(ask.content_type.as_deref())?;
    require(&site.app, &caller, tenant, content).await?;
    let (from, to) = span(&ask, site.app.clock.now())?;
    let behind: i64 = match &ask.next_page {
        None => 0,
        Some(token) => token
            .parse()
            .map_err(|_| refused("AF20031", format!("Invalid nextPage Input: {token}.")))?,
    };
    let tenant_id = site.app.tenant_id(tenant).await?;
    let root = format!("{}/api/v1.0/{tenant_id}/activity/feed", base.0);
    let mut next = None;
    let mut found = Vec::new();
    for (first, end, at) in between_checkpoints(&site.app, tenant, from, to).await? {
        let mut start = first;
        while start < end {
            let until = end.min(start + PIECE);
            if start >= behind {
                if found.len() == PAGE {
                    next.get_or_insert(start);
                    break;
                }
                let content_id = BASE64.encode(format!("{start}.{until}.{}", content.word()));
                found.push(Piece {
                    content_type: content.word(),
                    content_uri: format!("{root}/audit/{content_id}"),
                    content_id,
                    content_created: spelt(at),
                    content_expiration: spelt(at.plus_seconds(KEPT_S)),
                });
            }
            start = until;
        }
    }
    let mut response = json_response(StatusCode::OK, &found);
    if let Some(next) = next {
        let query = format!(
            "{root}/subscriptions/content?contentType={}&startTime={}&endTime={}&nextPage={next}",
            content.word(),
            spelt(from),
            spelt(to),
        );
        if let Ok(value) = HeaderValue::from_str(&query) {
            response.headers_mut().insert("nextpageuri", value);
        }
    }
    Ok(response)
}

/// The span asked for: the last day, when none is.
fn span(ask: &Ask, now: Timestamp) -> std::result::Result<(Timestamp, Timestamp), Failure> {
    let read = |text: &Option<String>| {
        text.as_deref().map(|text| moment("startTime or endTime", text)).transpose()
    };
    let no = || {
        refused(
            "AF20030",
            "Start time and end time must both be specified (or both omitted) and must be less \
             than or equal to 24 hours apart, with the start time no more than 7 days in the past.",
        )
    };
    match (read(&ask.start_time), read(&ask.end_time)) {
        // What becomes available now is in it.
        (Ok(None), Ok(None)) => Ok((now.plus_seconds(1 - SPAN_S), now.plus_seconds(1))),
        (Ok(Some(from)), Ok(Some(to)))
            if from <= to
                && to <= from.plus_seconds(SPAN_S)
                // An hour more, for readers whose clock is behind.
                && from >= now.plus_seconds(-KEPT_S - 3_600) =>
        {
            Ok((from, to))
        }
        _ => Err(no()),
    }
}

/// First position, end and moment of what each checkpoint of a span added to the log.
async fn between_checkpoints(
    app: &App,
    tenant: TenantNo,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<(i64, i64, Timestamp)>> {
    let sql = "select coalesce((select max(before.size) from checkpoint before \
               where before.tenant_no = checkpoint.tenant_no and before.size < checkpoint.size), 0), \
               checkpoint.size, checkpoint.at from checkpoint where checkpoint.tenant_no = $1 \
               and checkpoint.at >= $2 and checkpoint.at < $3 order by checkpoint.size";
    let values = vec![tenant.0.into(), from.micros().into(), to.micros().into()];
    let rows = app.db.of(tenant).query(sql, values).await?;
    let read =
        |row| Ok((column(row, 0)?, column(row, 1)?, Timestamp::from_micros(column(row, 2)?)));
    rows.iter().map(read).collect()
}

/// A moment as that API spells it, to the millisecond.
fn spelt(at: Timestamp) -> String {
    let text = at.to_string();
    text.get(..23).map_or(text.clone(), |whole| format!("{whole}Z"))
}

/// The records of a piece.
#[utoipa::path(
    get, path = "/api/v1.0/{tenant}/activity/feed/audit/{id}", tag = "audit",
    params(
        ("tenant" = String, Path, description = "the tenant's id"),
        ("id" = String, Path, description = "the piece's id"),
    ),
    responses(
        (status = 200, description = "records of the common schema", body = Vec<Object>),
        (status = 400, description = "AF20022: no subscription; AF20052: no such id"),
    ),
)]
pub(super) async fn fetch(
    State(site): State<Site>,
    caller: Caller,
    Path((tenant, id)): Path<(String, String)>,
) -> Answer {
    let tenant = log(&site, &caller, &tenant).await?;
    let bad = || refused("AF20052", format!("Content ID {id} in the URL is invalid."));
    let (start, end, content) = piece(&id).ok_or_else(bad)?;
    require(&site.app, &caller, tenant, content).await?;
    let app = &site.app;
    let tenant_id = app.tenant_id(tenant).await?;
    let sql = format!(
        "select {COLUMNS}, event.leaf from event where event.tenant_no = $1 \
         and event.position >= $2 and event.position < $3 order by event.position"
    );
    let values = vec![tenant.0.into(), start.into(), end.into()];
    let mut records = Vec::new();
    for row in app.db.of(tenant).query(&sql, values).await? {
        let kind: String = column(&row, 3)?;
        if Content::of_kind(&kind) != content {
            continue;
        }
        let mut entry = shown(&row, &tenant_id)?;
        let address = entry.remove("clientAddress").unwrap_or_default();
        let actor: (String, String) = (column(&row, 4)?, column(&row, 5)?);
        let (workload, name) = record_type(&kind);
        let at = Timestamp::from_micros(column(&row, 2)?).to_string();
        let object = entry.get("incidentId").filter(|id| !id.is_null()).or(entry.get("alertId"));
        records.push(json!({
            "Id": format!("{tenant_id}:{}", column::<i64>(&row, 1)?),
            "RecordType": number_of(name),
            "RecordTypeName": name,
            // That API leaves the zone out.
            "CreationTime": at.get(..19),
            "Operation": kind,
            "OrganizationId": &*tenant_id,
            "UserType": user_type(&actor.0),
            "UserKey": actor.1,
            "UserId": actor.1,
            "Workload": workload,
            "ResultStatus": "Succeeded",
            "ObjectId": object.cloned().unwrap_or_default(),
            "ClientIP": address,
            "Scope": 0,
            "Leaf": hex::encode(column::<Vec<u8>>(&row, 9)?),
            "AuditData": entry,
        }));
    }
    Ok(json_response(StatusCode::OK, &records))
}

fn piece(id: &str) -> Option<(i64, i64, Content)> {
    let text = String::from_utf8(BASE64.decode(id).ok()?).ok()?;
    let mut parts = text.splitn(3, '.');
    let (start, end): (i64, i64) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let content = Content::read(parts.next()).ok()?;
    (0 <= start && start < end && end - start <= PIECE).then_some((start, end, content))
}

/// A record type's number in `AuditLogRecordType`.
fn number_of(name: &str) -> i64 {
    match name {
        "AzureActiveDirectoryStsLogon" => 15,
        "MSDEResponseActions" => 157,
        "MS365DIncident" => 232,
        // DefenderExpertsforXDRAdmin
        _ => 237,
    }
}

/// A kind of actor as `UserType`: 0 a regular user, 4 the system, 5 an application.
fn user_type(kind: &str) -> i64 {
    match kind {
        "system" => 4,
        "integration" => 5,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ids_of_ours_name_a_piece() {
        let id = |text: &str| BASE64.encode(text);
        assert_eq!(piece(&id("5.9.Audit.General")), Some((5, 9, Content::General)));
        for bad in ["5.5.Audit.General", "-1.5.Audit.General", "0.1001.Audit.General", "0.5.x", ""]
        {
            assert_eq!(piece(&id(bad)), None, "{bad}");
        }
        assert_eq!(piece("!"), None);
    }
}
