//! `/api/v1/authority`: how far experts may act by themselves: two people for what is dangerous, and
//! the customer's authority policy with its versions.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::{May, read};
use crate::authority::policy::{Fault, told as told_faults};
use crate::authority::rule::{GROUPS, Rule};
use crate::authority::{self, Draft, Version, cedar};
use crate::coverage;
use crate::error::{Error, Result};
use crate::http::{Answer, Failure, Site, json_response};
use crate::permission::Permission;
use crate::response::catalog::{CATALOG, Kind};
use crate::response::what_if;
use crate::tenant::caller::Caller;

/// The switch for two people.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Authority {
    /// Whether a second person approves each dangerous action.
    four_eyes: bool,
}

/// How far experts may act by themselves in the caller's own organisation.
#[utoipa::path(
    get, path = "/api/v1/authority", tag = "authority",
    responses((
        status = 200,
        description = "fourEyes, the actions concerned, the policy, what a rule may name, may",
        body = Object
    )),
)]
pub(super) async fn get(State(site): State<Site>, caller: Caller) -> Answer {
    caller.require(&[Permission::GrantRead])?;
    show(&site, &caller).await
}

async fn show(site: &Site, caller: &Caller) -> Answer {
    let tenant = caller.own_tenant()?;
    let four_eyes = coverage::four_eyes(&site.app, tenant).await?;
    let change = (!caller.may(&[Permission::GrantReadWrite]))
        .then(|| "only a Security Administrator decides who may act".to_owned());
    let save = change.clone().or_else(|| {
        let application = caller.person.is_none();
        application.then(|| "only a person saves a policy".to_owned())
    });
    let dangerous: Vec<Value> = CATALOG
        .iter()
        .filter(|entry| entry.dangerous)
        .map(|entry| json!({ "actionType": entry.word, "title": entry.title }))
        .collect();
    let actions: Vec<Value> = CATALOG
        .iter()
        .filter(|entry| entry.kind != Kind::Text)
        .map(|entry| json!({ "word": entry.word, "title": entry.title }))
        .collect();
    let groups: Vec<Value> =
        GROUPS.iter().map(|(word, title)| json!({ "word": word, "title": title })).collect();
    let saved = authority::current(&site.app, tenant).await?;
    let policy = match &saved {
        Some(version) => told(version).await?,
        None => json!({
            "version": 0, "text": cedar::GRANT_TEXT, "rules": [], "faults": [],
            "savedBy": null, "savedDateTime": null, "note": null,
        }),
    };
    let body = json!({
        "fourEyes": four_eyes,
        "dangerous": dangerous,
        "policy": policy,
        "actions": actions,
        "actionGroups": groups,
        "may": { "change": May::unless(change), "savePolicy": May::unless(save) },
    });
    Ok(json_response(StatusCode::OK, &body))
}

/// A version as it is shown: with the rules of the form where it is a form's.
async fn told(version: &Version) -> Result<Value> {
    let mut body = looked_at(&version.text).await?;
    body["version"] = json!(version.number);
    body["savedBy"] = json!(version.by);
    body["savedDateTime"] = json!(version.at);
    body["note"] = json!(version.note);
    Ok(body)
}

/// A text with what it means, or what is wrong with it.
async fn looked_at(text: &str) -> Result<Value> {
    let read = authority::read_aside(text).await?;
    Ok(match &*read {
        Ok(policy) => json!({
            "text": text, "rules": policy.form(), "faults": [], "warnings": policy.warnings(),
        }),
        Err(faults) => wrong(Some(text), faults),
    })
}

fn wrong(text: Option<&str>, faults: &[Fault]) -> Value {
    json!({ "text": text, "rules": null, "faults": faults, "warnings": [] })
}

/// Decides whether a dangerous action takes a second person. To need fewer needs a fresh factor.
#[utoipa::path(
    put, path = "/api/v1/authority", tag = "authority", request_body = Authority,
    responses((status = 200, description = "as it is now", body = Object)),
)]
pub(super) async fn change(
    State(site): State<Site>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::GrantReadWrite])?;
    let (wanted, _) = read::<Authority>(&site, &headers, body).await?;
    coverage::want_four_eyes(&site.app, &caller, wanted.four_eyes).await?;
    show(&site, &caller).await
}

/// A draft of a policy: the rules of a form, or a text in Cedar.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Drafted {
    /// The rules in their order; the first that holds decides.
    #[schema(value_type = Option<Vec<Object>>)]
    rules: Option<Vec<Rule>>,
    /// The policy in Cedar instead.
    text: Option<String>,
}

fn draft(rules: Option<Vec<Rule>>, text: Option<String>) -> std::result::Result<Draft, Failure> {
    match (rules, text) {
        (Some(rules), None) => Ok(Draft::Rules(rules)),
        (None, Some(text)) => Ok(Draft::Text(text)),
        _ => Err(Failure::bad("give either rules or text")),
    }
}

/// Shows what a draft is in Cedar, whether it is a form's, and what is wrong with it. Nothing is kept.
#[utoipa::path(
    post, path = "/api/v1/authority/check", tag = "authority", request_body = Drafted,
    responses((status = 200, description = "text, rules, faults, warnings", body = Object)),
)]
pub(super) async fn check(
    State(site): State<Site>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::GrantRead])?;
    caller.own_tenant()?;
    let (given, _) = read::<Drafted>(&site, &headers, body).await?;
    let draft = draft(given.rules, given.text)?;
    let body = match draft.text() {
        Ok(text) => looked_at(&text).await?,
        Err(faults) => wrong(None, &faults),
    };
    Ok(json_response(StatusCode::OK, &body))
}

/// Shows what a draft would have decided otherwise about the actions and tasks of the last 90 days, at
/// most 1,000 of them. Nothing is kept or changed.
#[utoipa::path(
    post, path = "/api/v1/authority/what-if", tag = "authority", request_body = Drafted,
    responses((
        status = 200,
        description = "lookedAt, since, more, same, changed: before, after, count, examples",
        body = Object
    )),
)]
pub(super) async fn what_if(
    State(site): State<Site>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::GrantReadWrite])?;
    caller.own_tenant()?;
    let (given, _) = read::<Drafted>(&site, &headers, body).await?;
    let draft = draft(given.rules, given.text)?;
    let refused = |faults: &[Fault]| Error::Invalid(told_faults(faults));
    let text = draft.text().map_err(|faults| refused(&faults))?;
    if let Err(faults) = &*authority::read_aside(&text).await? {
        return Err(refused(faults).into());
    }
    let found = what_if::what_if(&site.app, &caller, &text).await?;
    Ok(json_response(StatusCode::OK, &json!(found)))
}

/// A policy to be saved.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Saved {
    /// The version it was made from; 0 for the first.
    version: i64,
    /// The rules in their order; the first that holds decides.
    #[schema(value_type = Option<Vec<Object>>)]
    rules: Option<Vec<Rule>>,
    /// The policy in Cedar instead.
    text: Option<String>,
    /// Why, at most 1,000 characters.
    note: Option<String>,
}

/// Saves a policy as the newest version; it holds at once for everything that was not sent. What is
/// not plainly narrower than the one before needs a fresh factor.
#[utoipa::path(
    put, path = "/api/v1/authority/policy", tag = "authority", request_body = Saved,
    responses((status = 200, description = "as it is now", body = Object), (status = 409)),
)]
pub(super) async fn save(
    State(site): State<Site>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::GrantReadWrite])?;
    let (given, _) = read::<Saved>(&site, &headers, body).await?;
    let draft = draft(given.rules, given.text)?;
    authority::save(&site.app, &caller, given.version, draft, given.note).await?;
    show(&site, &caller).await
}

/// The versions of the policy, the newest first.
#[utoipa::path(
    get, path = "/api/v1/authority/versions", tag = "authority",
    responses((status = 200, description = "value: version, by, when, note", body = Object)),
)]
pub(super) async fn versions(State(site): State<Site>, caller: Caller) -> Answer {
    caller.require(&[Permission::GrantRead])?;
    let all = authority::versions(&site.app, caller.own_tenant()?).await?;
    let value: Vec<Value> = all
        .iter()
        .map(|it| {
            json!({
                "version": it.number, "savedBy": it.by, "savedDateTime": it.at, "note": it.note,
            })
        })
        .collect();
    Ok(json_response(StatusCode::OK, &json!({ "value": value })))
}

/// One version of the policy.
#[utoipa::path(
    get, path = "/api/v1/authority/versions/{version}", tag = "authority",
    params(("version" = i64, Path, description = "the version's number")),
    responses((status = 200, description = "text, rules, by, when", body = Object), (status = 404)),
)]
pub(super) async fn version(
    State(site): State<Site>,
    caller: Caller,
    Path(number): Path<String>,
) -> Answer {
    caller.require(&[Permission::GrantRead])?;
    let unknown = || Error::NotFound("the policy has no such version".to_owned());
    let number: i64 = number.parse().map_err(|_| unknown())?;
    let version = authority::version(&site.app, caller.own_tenant()?, number).await?;
    Ok(json_response(StatusCode::OK, &told(&version).await?))
}
