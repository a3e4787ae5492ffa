//! `/api/v1/chat-channels`: channels of the customer's team chat (COM-5, COM-7, NOT-4), and where their
//! vendors tell us what was said there.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse as _;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::api::contact::why_not;
use crate::api::sign_in::Nothing;
use crate::api::{May, done, nothing, read};
use crate::clock::Timestamp;
use crate::contact::Language;
use crate::http::limit::Class;
use crate::http::{Answer, Base, Failure, Site, body, count_address, json_response};
use crate::notification;
use crate::notification::chat::hear::{self, Answered};
use crate::notification::chat::team::{self, WantedTeam};
use crate::notification::chat::{self, ChatChannel, Trouble, Vendor, Wanted};
use crate::permission::Permission;
use crate::person::session::Origin;
use crate::tenant::caller::Caller;

/// The longest request of a vendor's, in bytes.
const LONGEST: usize = 256 * 1024;

/// A channel of a team chat; its secrets are never shown.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ChatChannelView {
    id: String,
    vendor: Vendor,
    name: String,
    language: Language,
    /// Where it is and as whom we are there.
    #[schema(value_type = Object)]
    settings: Map<String, Value>,
    /// What its vendor says of it: the workspace's and the channel's names.
    #[schema(value_type = Object)]
    known: Value,
    /// The address that the vendor is told; absent where the vendor is asked instead, or says nothing.
    events_url: Option<String>,
    /// What keeps us from it.
    trouble: Option<TroubleView>,
    /// What was wrong with the last request that was not its vendor's.
    refused: Option<String>,
    #[schema(value_type = Option<String>)]
    refused_date_time: Option<Timestamp>,
    created_by: String,
    #[schema(value_type = String)]
    created_date_time: Timestamp,
}

/// What keeps us from a channel.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct TroubleView {
    kind: Trouble,
    /// What is wrong.
    because: &'static str,
    /// What helps.
    remedy: &'static str,
    #[schema(value_type = String)]
    since_date_time: Timestamp,
}

impl ChatChannelView {
    fn new(it: ChatChannel, base: &str) -> Self {
        let events_url = it.vendor.calls().then(|| format!("{base}{}", it.events_path()));
        let trouble = it.trouble.map(|(kind, since_date_time)| {
            let (because, remedy) = kind.explained();
            TroubleView { kind, because, remedy, since_date_time }
        });
        let (refused, refused_date_time) = it.refused.unzip();
        let known = json!({ "team": it.known["team"], "channel": it.known["channel"] });
        Self {
            id: it.id,
            vendor: it.vendor,
            name: it.name,
            language: it.language,
            settings: it.place,
            known,
            events_url,
            trouble,
            refused,
            refused_date_time,
            created_by: it.created_by,
            created_date_time: it.created,
        }
    }
}

/// The channels of the organisation's team chats.
#[utoipa::path(
    get, path = "/api/v1/chat-channels", tag = "chat channel",
    responses((status = 200, description = "value, may", body = Object)),
)]
pub(super) async fn list(State(site): State<Site>, caller: Caller, base: Base) -> Answer {
    let found = chat::list(&site.app, &caller).await?;
    let web = base.web(&site.app);
    let value: Vec<_> = found.into_iter().map(|it| ChatChannelView::new(it, web)).collect();
    let may = json!({ "change": May::unless(why_not(&caller)) });
    Ok(json_response(StatusCode::OK, &json!({ "value": value, "may": may })))
}

/// A channel to add.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct NewChatChannel {
    vendor: Vendor,
    /// *Managed response* when absent.
    name: Option<String>,
    /// English when absent.
    language: Option<Language>,
    /// Slack: channelId. Teams: tenantId, appId, channelId. Mattermost: baseUrl, channelId. Matrix:
    /// baseUrl, roomId (an address is replaced by the id it stands for). PagerDuty: region.
    #[schema(value_type = Object)]
    settings: Map<String, Value>,
    /// Slack: botToken, signingSecret. Teams: clientSecret. Mattermost: botToken, webhookToken. Matrix:
    /// accessToken. PagerDuty: routingKey. Never shown again.
    #[schema(value_type = Object)]
    secrets: Map<String, Value>,
}

/// Connects a channel; needs a fresh factor.
#[utoipa::path(
    post, path = "/api/v1/chat-channels", tag = "chat channel", request_body = NewChatChannel,
    responses((status = 201, body = ChatChannelView)),
)]
pub(super) async fn add(
    State(site): State<Site>,
    caller: Caller,
    base: Base,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::ContactReadWrite])?;
    let (asked, _) = read::<NewChatChannel>(&site, &headers, body).await?;
    let wanted = Wanted {
        name: asked.name,
        language: asked.language,
        settings: asked.settings,
        secrets: asked.secrets,
    };
    let it = chat::add(&site.app, &caller, asked.vendor, &wanted).await?;
    let view = ChatChannelView::new(it, base.web(&site.app));
    Ok(json_response(StatusCode::CREATED, &view))
}

/// What of a channel is to be another; what is absent stays.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct EditedChatChannel {
    name: Option<String>,
    language: Option<Language>,
    #[serde(default)]
    #[schema(value_type = Object)]
    settings: Map<String, Value>,
    #[serde(default)]
    #[schema(value_type = Object)]
    secrets: Map<String, Value>,
}

/// Changes a channel; settings and secrets need a fresh factor.
#[utoipa::path(
    patch, path = "/api/v1/chat-channels/{id}", tag = "chat channel",
    request_body = EditedChatChannel,
    params(("id" = String, Path, description = "the channel's id")),
    responses(
        (status = 200, body = ChatChannelView),
        (status = 409, description = "the app was removed there, which is final"),
    ),
)]
pub(super) async fn change(
    State(site): State<Site>,
    caller: Caller,
    base: Base,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::ContactReadWrite])?;
    let (asked, _) = read::<EditedChatChannel>(&site, &headers, body).await?;
    let wanted = Wanted {
        name: asked.name,
        language: asked.language,
        settings: asked.settings,
        secrets: asked.secrets,
    };
    let it = chat::change(&site.app, &caller, &id, &wanted).await?;
    Ok(json_response(StatusCode::OK, &ChatChannelView::new(it, base.web(&site.app))))
}

/// Takes a channel away and forgets its secrets; what waits for it is not sent any more.
#[utoipa::path(
    delete, path = "/api/v1/chat-channels/{id}", tag = "chat channel",
    params(("id" = String, Path, description = "the channel's id")),
    responses((status = 204)),
)]
pub(super) async fn remove(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
) -> Answer {
    chat::remove(&site.app, &caller, &id).await?;
    Ok(done())
}

/// A team of Microsoft Teams that is to be made.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct NewTeam {
    /// The organisation's id in Entra ID.
    tenant_id: String,
    /// The bot's app id.
    app_id: String,
    /// A client secret of its registration; not kept.
    client_secret: String,
    /// Who owns the team: a user's sign-in name.
    owner: String,
    /// What it is called: `Defender Experts team` when absent.
    team: Option<String>,
    /// What its channel is called: `Managed response` when absent.
    channel: Option<String>,
    /// The team's id, from the answer before.
    team_id: Option<String>,
}

/// Makes a private team and its channel in the organisation's Microsoft Teams, and adds the bot (ONB-6).
/// Microsoft takes up to a minute: whoever asks comes again with `teamId` until `channelId` is there.
#[utoipa::path(
    post, path = "/api/v1/chat-teams", tag = "chat channel", request_body = NewTeam,
    responses(
        (status = 200, description = "teamId, channelId, bot", body = Object),
        (status = 409, description = "Microsoft does not do it, and why"),
        (status = 503, description = "it asks to come again"),
    ),
)]
pub(super) async fn make_team(
    State(site): State<Site>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::ContactReadWrite])?;
    let (it, _) = read::<NewTeam>(&site, &headers, body).await?;
    let wanted = WantedTeam {
        tenant_id: it.tenant_id,
        app_id: it.app_id,
        client_secret: it.client_secret,
        owner: it.owner,
        team: it.team.unwrap_or_else(|| "Defender Experts team".to_owned()),
        channel: it.channel.unwrap_or_else(|| "Managed response".to_owned()),
        team_id: it.team_id,
    };
    let made = team::make(&site.app, &caller, &wanted).await?;
    let body = json!({ "teamId": made.team_id, "channelId": made.channel_id, "bot": made.bot });
    Ok(json_response(StatusCode::OK, &body))
}

/// Posts a test; PagerDuty is sent an alert that is resolved at once; what became of it is with the delivery.
#[utoipa::path(
    post, path = "/api/v1/chat-channels/{id}/test", tag = "chat channel", request_body = Nothing,
    params(("id" = String, Path, description = "the channel's id")),
    responses((status = 202, description = "deliveryId", body = Object)),
)]
pub(super) async fn test(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::ContactReadWrite])?;
    nothing(&site, &headers, body).await?;
    let delivery =
        notification::test(&site.app, &caller, notification::make::Channel::Slack, &id).await?;
    Ok(json_response(StatusCode::ACCEPTED, &json!({ "deliveryId": delivery })))
}

/// Where a channel's vendor says what happened there: events of Slack, activities of the Bot Framework,
/// outgoing webhooks of Mattermost, each with its own proof.
#[utoipa::path(
    post, path = "/api/v1/chat-channels/{id}/events", tag = "chat channel",
    params(("id" = String, Path, description = "the channel's id")),
    request_body(content = Object, description = "as the vendor writes it"),
    responses(
        (status = 200, description = "it is on disk"),
        (status = 401, description = "it is not its vendor's, or there is no such channel"),
    ),
)]
pub(super) async fn receive(
    State(site): State<Site>,
    origin: Origin,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    count_address(&site, origin.address, Class::Chat)?;
    let held = body::read(&headers, body, LONGEST, &site.bodies).await?;
    match hear::take(&site.app, &site.teams_keys, &id, &headers, &held.bytes).await? {
        Answered::Challenge(text) => Ok(text.into_response()),
        Answered::Taken => Ok(json_response(StatusCode::OK, &json!({}))),
        Answered::Refused => {
            Err(Failure::unauthorized("This is not what the channel's vendor would send."))
        }
    }
}
