//! `/api/v1/contacts`: who hears of what concerns the customer (NOT-1, NOT-2).

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::json;

use crate::api::{May, done, idempotency, read};
use crate::clock::Timestamp;
use crate::contact::{self, Contact, ContactKind, ContactRole, Edit, Language, Priority, Wanted};
use crate::escalation::model::By;
use crate::hours::Week;
use crate::http::{Answer, Site, json_response};
use crate::notification;
use crate::notification::make::Channel;
use crate::permission::Permission;
use crate::tenant::caller::Caller;

/// A contact.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ContactView {
    id: String,
    name: String,
    kind: ContactKind,
    email: String,
    /// As E.164 writes it.
    phone: Option<String>,
    role: ContactRole,
    priority: Priority,
    language: Language,
    /// When it can be reached; always when null.
    hours: Option<Week>,
    created_by: String,
    #[schema(value_type = String)]
    created_date_time: Timestamp,
}

impl From<Contact> for ContactView {
    fn from(it: Contact) -> Self {
        Self {
            id: it.id,
            name: it.name,
            kind: it.kind,
            email: it.email,
            phone: it.phone,
            role: it.role,
            priority: it.priority,
            language: it.language,
            hours: it.hours,
            created_by: it.created_by,
            created_date_time: it.created,
        }
    }
}

/// Why the caller may not decide who is told, and how.
pub(super) fn why_not(caller: &Caller) -> Option<String> {
    (!caller.may(&[Permission::ContactReadWrite]))
        .then(|| "only a Security Administrator decides who is told".to_owned())
}

/// The contacts of the organisation.
#[utoipa::path(
    get, path = "/api/v1/contacts", tag = "contact",
    responses((status = 200, description = "value, may", body = Object)),
)]
pub(super) async fn list(State(site): State<Site>, caller: Caller) -> Answer {
    let found = contact::list(&site.app, &caller).await?;
    let value: Vec<ContactView> = found.into_iter().map(ContactView::from).collect();
    let may = json!({ "change": May::unless(why_not(&caller)) });
    Ok(json_response(StatusCode::OK, &json!({ "value": value, "may": may })))
}

/// A contact to add.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct NewContact {
    name: String,
    kind: ContactKind,
    email: String,
    /// With the country's code, such as +46 8 765 43 21.
    phone: Option<String>,
    role: ContactRole,
    /// Primary when absent.
    priority: Option<Priority>,
    /// English when absent.
    language: Option<Language>,
    /// When it can be reached; always when absent.
    hours: Option<Week>,
}

/// Adds a contact, which is told so.
#[utoipa::path(
    post, path = "/api/v1/contacts", tag = "contact", request_body = NewContact,
    responses(
        (status = 201, body = ContactView),
        (status = 409, description = "the address is a contact of this kind already"),
    ),
)]
pub(super) async fn add(
    State(site): State<Site>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::ContactReadWrite])?;
    let (asked, bytes) = read::<NewContact>(&site, &headers, body).await?;
    let (app, who) = (site.app.clone(), caller.clone());
    let work = async move {
        let wanted = Wanted {
            name: asked.name,
            kind: asked.kind,
            email: asked.email,
            phone: asked.phone.filter(|phone| !phone.trim().is_empty()),
            role: asked.role,
            priority: asked.priority.unwrap_or(Priority::Primary),
            language: asked.language.unwrap_or_default(),
            hours: asked.hours,
        };
        let added = contact::add(&site.app, &who, &wanted).await?;
        Ok(json_response(StatusCode::CREATED, &ContactView::from(added)))
    };
    idempotency::once(&app, &caller, &headers, &[b"POST contact", &bytes], work).await
}

/// A member that may be absent, null, or there.
#[expect(clippy::option_option, reason = "absent and null say different things")]
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    it: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(it).map(Some)
}

/// What of a contact is to be another; what is absent stays.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct EditedContact {
    name: Option<String>,
    kind: Option<ContactKind>,
    email: Option<String>,
    /// Null takes it away.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    #[expect(clippy::option_option, reason = "absent and null say different things")]
    phone: Option<Option<String>>,
    role: Option<ContactRole>,
    priority: Option<Priority>,
    language: Option<Language>,
    /// When it can be reached; null for always.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Week>)]
    #[expect(clippy::option_option, reason = "absent and null say different things")]
    hours: Option<Option<Week>>,
}

/// Changes a contact; a new address is told of it.
#[utoipa::path(
    patch, path = "/api/v1/contacts/{id}", tag = "contact", request_body = EditedContact,
    params(("id" = String, Path, description = "the contact's id")),
    responses((status = 200, body = ContactView), (status = 409)),
)]
pub(super) async fn change(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::ContactReadWrite])?;
    let (asked, _) = read::<EditedContact>(&site, &headers, body).await?;
    let edit = Edit {
        name: asked.name,
        kind: asked.kind,
        email: asked.email,
        phone: asked.phone.map(|phone| phone.filter(|phone| !phone.trim().is_empty())),
        role: asked.role,
        priority: asked.priority,
        language: asked.language,
        hours: asked.hours,
    };
    let changed = contact::change(&site.app, &caller, &id, &edit).await?;
    Ok(json_response(StatusCode::OK, &ContactView::from(changed)))
}

/// Takes a contact away.
#[utoipa::path(
    delete, path = "/api/v1/contacts/{id}", tag = "contact",
    params(("id" = String, Path, description = "the contact's id")),
    responses((status = 204)),
)]
pub(super) async fn remove(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
) -> Answer {
    contact::remove(&site.app, &caller, &id).await?;
    Ok(done())
}

/// How a contact is tried.
#[derive(Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Tried {
    /// By mail when absent.
    by: Option<By>,
}

/// Sends a test mail or text message, or makes a test call; what became of it is with the delivery.
#[utoipa::path(
    post, path = "/api/v1/contacts/{id}/test", tag = "contact", request_body = Tried,
    params(("id" = String, Path, description = "the contact's id")),
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
    let (tried, _) = read::<Tried>(&site, &headers, body).await?;
    let channel = match tried.by.unwrap_or(By::Mail) {
        By::Mail => Channel::Mail,
        By::Sms => Channel::Sms,
        By::Call => Channel::Call,
    };
    let delivery = notification::test(&site.app, &caller, channel, &id).await?;
    Ok(json_response(StatusCode::ACCEPTED, &json!({ "deliveryId": delivery })))
}
