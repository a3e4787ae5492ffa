//! `/api/v1/mail-rules`: a customer's own rules by which mails go out about incidents and actions
//! (NOT-9, NOT-10).

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::alert;
use crate::api::contact::why_not;
use crate::api::sign_in::Nothing;
use crate::api::{May, done, idempotency, nothing, read};
use crate::catalog::{CATALOG, Kind};
use crate::clock::Timestamp;
use crate::contact::Language;
use crate::http::{Answer, Site, json_response};
use crate::notification::rule::model::{RuleRecipient, RuleWhen};
use crate::notification::rule::{self, Edit, MailRule, Said};
use crate::permission::Permission;
use crate::tenant::caller::Caller;
use crate::word::Severity;

/// A mail rule.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct MailRuleView {
    id: String,
    name: String,
    when: RuleWhen,
    /// Whether the organisation's name begins the subject.
    organisation_name: bool,
    /// Whether the link says whose it is, as `?tid=`.
    tenant_link: bool,
    recipients: Vec<RuleRecipient>,
    on: bool,
    created_by: String,
    #[schema(value_type = String)]
    created_date_time: Timestamp,
}

impl From<MailRule> for MailRuleView {
    fn from(it: MailRule) -> Self {
        Self {
            id: it.id,
            name: it.name,
            when: it.said.when,
            organisation_name: it.said.organisation_name,
            tenant_link: it.said.tenant_link,
            recipients: it.said.recipients,
            on: it.off.is_none(),
            created_by: it.created_by,
            created_date_time: it.created,
        }
    }
}

/// The mail rules of the organisation, and what can be chosen in one.
#[utoipa::path(
    get, path = "/api/v1/mail-rules", tag = "notification",
    responses((status = 200, description = "value, choices, may", body = Object)),
)]
pub(super) async fn list(State(site): State<Site>, caller: Caller) -> Answer {
    let found = rule::list(&site.app, &caller).await?;
    let groups = rule::groups(&site.app, &caller).await?;
    let value: Vec<MailRuleView> = found.into_iter().map(MailRuleView::from).collect();
    let actions = CATALOG.iter().filter(|entry| entry.kind != Kind::Text);
    let actions: Vec<Value> =
        actions.map(|entry| json!({ "word": entry.word, "title": entry.title })).collect();
    let body = json!({
        "value": value,
        "choices": {
            "severities": Severity::ALL.iter().rev().map(|it| it.word()).collect::<Vec<_>>(),
            "serviceSources": alert::service_sources().collect::<Vec<_>>(),
            "detectionSources": alert::detection_sources().collect::<Vec<_>>(),
            "deviceGroups": groups,
            "actions": actions,
            "languages": Language::ALL,
        },
        "may": { "change": May::unless(why_not(&caller)) },
    });
    Ok(json_response(StatusCode::OK, &body))
}

/// A mail rule to add.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct NewMailRule {
    name: String,
    when: RuleWhen,
    /// Not when absent.
    #[serde(default)]
    organisation_name: bool,
    /// Not when absent.
    #[serde(default)]
    tenant_link: bool,
    /// 1 to 50, each once.
    recipients: Vec<RuleRecipient>,
    /// On when absent.
    on: Option<bool>,
}

/// Adds a mail rule.
#[utoipa::path(
    post, path = "/api/v1/mail-rules", tag = "notification", request_body = NewMailRule,
    responses(
        (status = 201, body = MailRuleView),
        (status = 409, description = "there are as many as there may be"),
    ),
)]
pub(super) async fn add(
    State(site): State<Site>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::ContactReadWrite])?;
    let (asked, bytes) = read::<NewMailRule>(&site, &headers, body).await?;
    let (app, who) = (site.app.clone(), caller.clone());
    let work = async move {
        let said = Said {
            when: asked.when,
            organisation_name: asked.organisation_name,
            tenant_link: asked.tenant_link,
            recipients: asked.recipients,
        };
        let on = asked.on.unwrap_or(true);
        let added = rule::add(&site.app, &who, &asked.name, on, said).await?;
        Ok(json_response(StatusCode::CREATED, &MailRuleView::from(added)))
    };
    idempotency::once(&app, &caller, &headers, &[b"POST mail rule", &bytes], work).await
}

/// What of a mail rule is to be another; what is absent stays.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct EditedMailRule {
    name: Option<String>,
    /// Of the kind that it is: a rule stays about incidents or about actions.
    when: Option<RuleWhen>,
    organisation_name: Option<bool>,
    tenant_link: Option<bool>,
    recipients: Option<Vec<RuleRecipient>>,
    on: Option<bool>,
}

/// Changes a mail rule.
#[utoipa::path(
    patch, path = "/api/v1/mail-rules/{id}", tag = "notification", request_body = EditedMailRule,
    params(("id" = String, Path, description = "the rule's id")),
    responses((status = 200, body = MailRuleView), (status = 409)),
)]
pub(super) async fn change(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::ContactReadWrite])?;
    let (asked, _) = read::<EditedMailRule>(&site, &headers, body).await?;
    let edit = Edit {
        name: asked.name,
        when: asked.when,
        organisation_name: asked.organisation_name,
        tenant_link: asked.tenant_link,
        recipients: asked.recipients,
        on: asked.on,
    };
    let changed = rule::change(&site.app, &caller, &id, edit).await?;
    Ok(json_response(StatusCode::OK, &MailRuleView::from(changed)))
}

/// Takes a mail rule away.
#[utoipa::path(
    delete, path = "/api/v1/mail-rules/{id}", tag = "notification",
    params(("id" = String, Path, description = "the rule's id")),
    responses((status = 204)),
)]
pub(super) async fn remove(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
) -> Answer {
    rule::remove(&site.app, &caller, &id).await?;
    Ok(done())
}

/// Takes the removal of a mail rule back; it still knows what it has told.
#[utoipa::path(
    post, path = "/api/v1/mail-rules/{id}/restore", tag = "notification", request_body = Nothing,
    params(("id" = String, Path, description = "the rule's id")),
    responses((status = 200, body = MailRuleView), (status = 409)),
)]
pub(super) async fn restore(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::ContactReadWrite])?;
    nothing(&site, &headers, body).await?;
    let restored = rule::restore(&site.app, &caller, &id).await?;
    Ok(json_response(StatusCode::OK, &MailRuleView::from(restored)))
}

/// Sends a test mail to everybody whom a rule tells; what became of each is with its delivery.
#[utoipa::path(
    post, path = "/api/v1/mail-rules/{id}/test", tag = "notification", request_body = Nothing,
    params(("id" = String, Path, description = "the rule's id")),
    responses((status = 202, description = "deliveryIds", body = Object)),
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
    let deliveries = rule::test(&site.app, &caller, &id).await?;
    Ok(json_response(StatusCode::ACCEPTED, &json!({ "deliveryIds": deliveries })))
}
