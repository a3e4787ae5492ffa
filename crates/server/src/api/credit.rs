//! `/api/v1/credits`: what questions to the experts cost a customer (ASK-2).

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::api::{May, Params, Whom, read};
use crate::conversation::credit::{self, Entry, GRANTED, USABLE};
use crate::http::{Answer, Site, json_response};
use crate::permission::Permission;
use crate::tenant::caller::Caller;

/// How questions are counted.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) enum Counting {
    /// Not at all.
    Unlimited,
    /// Ten at the start of each quarter, twenty to be used in one at most, none beyond the year.
    Quarterly,
}

/// How a customer's questions are to be counted.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct CountedQuestions {
    rule: Counting,
    /// When the subscription ends and every credit with it; absent while it goes on.
    until_date_time: Option<String>,
}

fn line(it: &Entry) -> Value {
    json!({
        "dateTime": it.at,
        "what": it.what.word(),
        "credits": it.credits,
        "balance": it.balance,
        "conversationId": it.spent.as_ref().map(|it| &it.thread),
        "by": it.spent.as_ref().map(|it| &it.by),
    })
}

async fn show(site: &Site, caller: &Caller, tenant: Option<&str>) -> Answer {
    let change = (!caller.may(&[Permission::TenantReadWrite]))
        .then(|| "only a Provider administrator says how questions are counted".to_owned());
    let mut body = json!({
        "rule": Counting::Unlimited,
        "grantedEachQuarter": GRANTED,
        "usableEachQuarter": USABLE,
        "may": { "change": May::unless(change) },
    });
    if let Some((rule, ledger)) = credit::credits(&site.app, caller, tenant).await? {
        let told = json!({
            "rule": Counting::Quarterly,
            "sinceDateTime": rule.since,
            "untilDateTime": rule.until,
            "balance": ledger.balance,
            "usable": ledger.usable,
            "nextDateTime": ledger.next,
            "expiresDateTime": ledger.expires,
            "ledger": ledger.entries.iter().rev().map(line).collect::<Vec<_>>(),
        });
        for (name, value) in told.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
    }
    Ok(json_response(StatusCode::OK, &body))
}

/// What questions cost, what is left, and the ledger, the newest first.
#[utoipa::path(
    get, path = "/api/v1/credits", tag = "conversation", params(Whom),
    responses((status = 200, description = "rule, balance, usable, ledger …", body = Object)),
)]
pub(super) async fn get(
    State(site): State<Site>,
    caller: Caller,
    Params(whom): Params<Whom>,
) -> Answer {
    show(&site, &caller, whom.tenant_id.as_deref()).await
}

/// Lets a customer's questions cost credits, or not.
#[utoipa::path(
    put, path = "/api/v1/credits", tag = "conversation", params(Whom), request_body = CountedQuestions,
    responses((status = 200, description = "as when it is asked for", body = Object)),
)]
pub(super) async fn choose(
    State(site): State<Site>,
    caller: Caller,
    Params(whom): Params<Whom>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::TenantReadWrite])?;
    let (chosen, _) = read::<CountedQuestions>(&site, &headers, body).await?;
    let until = chosen.until_date_time.as_deref();
    let until = until.map(|text| super::audit::moment("untilDateTime", text)).transpose()?;
    let tenant = whom.tenant_id.as_deref();
    let counted = (chosen.rule == Counting::Quarterly).then_some(until);
    credit::choose(&site.app, &caller, tenant, counted).await?;
    show(&site, &caller, tenant).await
}
