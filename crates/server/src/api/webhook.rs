//! `/api/v1/webhooks`: programs of the customer's that are told, signed (NOT-11).

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::api::contact::why_not;
use crate::api::sign_in::Nothing;
use crate::api::{May, done, nothing, read};
use crate::clock::Timestamp;
use crate::http::{Answer, Site, json_response};
use crate::notification;
use crate::notification::make::Channel;
use crate::notification::webhook::{self, Webhook};
use crate::permission::Permission;
use crate::tenant::caller::Caller;

/// A webhook; its secret is shown when it is drawn, and never again.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct WebhookView {
    id: String,
    name: String,
    url: String,
    /// Since when nothing is sent there.
    #[schema(value_type = Option<String>)]
    paused_date_time: Option<Timestamp>,
    /// Until when the former secret signs as well.
    #[schema(value_type = Option<String>)]
    former_secret_until_date_time: Option<Timestamp>,
    created_by: String,
    #[schema(value_type = String)]
    created_date_time: Timestamp,
    /// Only in the answer that drew it.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

impl WebhookView {
    fn new(it: Webhook, secret: Option<String>) -> Self {
        Self {
            id: it.id,
            name: it.name,
            url: it.url,
            paused_date_time: it.paused,
            former_secret_until_date_time: it.former_until,
            created_by: it.created_by,
            created_date_time: it.created,
            secret,
        }
    }
}

/// The webhooks of the organisation.
#[utoipa::path(
    get, path = "/api/v1/webhooks", tag = "webhook",
    responses((status = 200, description = "value, may", body = Object)),
)]
pub(super) async fn list(State(site): State<Site>, caller: Caller) -> Answer {
    let found = webhook::list(&site.app, &caller).await?;
    let value: Vec<_> = found.into_iter().map(|it| WebhookView::new(it, None)).collect();
    let may = json!({ "change": May::unless(why_not(&caller)) });
    Ok(json_response(StatusCode::OK, &json!({ "value": value, "may": may })))
}

/// A webhook to add.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewWebhook {
    name: String,
    /// An https address that is public.
    url: String,
}

/// Adds a webhook and shows its secret, this once; needs a fresh factor.
#[utoipa::path(
    post, path = "/api/v1/webhooks", tag = "webhook", request_body = NewWebhook,
    responses((status = 201, body = WebhookView)),
)]
pub(super) async fn add(
    State(site): State<Site>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::ContactReadWrite])?;
    let (asked, _) = read::<NewWebhook>(&site, &headers, body).await?;
    let (it, secret) = webhook::add(&site.app, &caller, &asked.name, &asked.url).await?;
    Ok(json_response(StatusCode::CREATED, &WebhookView::new(it, Some(secret))))
}

/// What of a webhook is to be another; what is absent stays.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EditedWebhook {
    name: Option<String>,
    /// Whether nothing is sent there for now.
    paused: Option<bool>,
}

/// Calls a webhook otherwise, pauses it or goes on with it.
#[utoipa::path(
    patch, path = "/api/v1/webhooks/{id}", tag = "webhook", request_body = EditedWebhook,
    params(("id" = String, Path, description = "the webhook's id")),
    responses((status = 200, body = WebhookView)),
)]
pub(super) async fn change(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::ContactReadWrite])?;
    let (asked, _) = read::<EditedWebhook>(&site, &headers, body).await?;
    let it = webhook::change(&site.app, &caller, &id, asked.name.as_deref(), asked.paused).await?;
    Ok(json_response(StatusCode::OK, &WebhookView::new(it, None)))
}

/// Takes a webhook away and forgets its secret; what waits for it is not sent any more.
#[utoipa::path(
    delete, path = "/api/v1/webhooks/{id}", tag = "webhook",
    params(("id" = String, Path, description = "the webhook's id")),
    responses((status = 204)),
)]
pub(super) async fn remove(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
) -> Answer {
    webhook::remove(&site.app, &caller, &id).await?;
    Ok(done())
}

/// Draws another secret and shows it, this once; the former one signs as well for a day. Needs a
/// fresh factor.
#[utoipa::path(
    post, path = "/api/v1/webhooks/{id}/rotate", tag = "webhook", request_body = Nothing,
    params(("id" = String, Path, description = "the webhook's id")),
    responses((status = 200, body = WebhookView)),
)]
pub(super) async fn rotate(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::ContactReadWrite])?;
    nothing(&site, &headers, body).await?;
    let (it, secret) = webhook::rotate(&site.app, &caller, &id).await?;
    Ok(json_response(StatusCode::OK, &WebhookView::new(it, Some(secret))))
}

/// Sends a test; what became of it is with the delivery.
#[utoipa::path(
    post, path = "/api/v1/webhooks/{id}/test", tag = "webhook", request_body = Nothing,
    params(("id" = String, Path, description = "the webhook's id")),
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
    let delivery = notification::test(&site.app, &caller, Channel::Webhook, &id).await?;
    Ok(json_response(StatusCode::ACCEPTED, &json!({ "deliveryId": delivery })))
}
