//! `/api/v1/tenants`: the customers, as the provider sees them; a customer sees itself.

use std::collections::HashMap;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::access::{self, Filter, Standing};
use crate::api::access::shown;
use crate::api::onboarding::WantedTargets;
use crate::api::people::sent;
use crate::api::{May, done, read};
use crate::contact::Language;
use crate::db::column;
use crate::error::Result;
use crate::http::{Answer, Site, json_response};
use crate::id::TenantNo;
use crate::notification::{self, Welcome};
use crate::onboarding::{self, Edit, Overview, model, welcome};
use crate::permission::Permission;
use crate::tenant::caller::{Caller, Reach};
use crate::tenant::grant::{self, Grant};
use crate::tenant::invitation;
use crate::tenant::stage::Stage;
use crate::word::IncidentStatus;

/// The customers whose queue the caller sees; all of them for the provider's administrators, who
/// see no case in any.
#[utoipa::path(
    get, path = "/api/v1/tenants", tag = "tenant",
    responses((status = 200, description = "value, may", body = Object)),
)]
pub(super) async fn list(State(site): State<Site>, caller: Caller) -> Answer {
    caller.require(&[Permission::TenantRead, Permission::GrantRead])?;
    let app = &site.app;
    let sql = format!(
        "select {}, no, id, name, \
         (select count(*) from membership where membership.tenant_no = tenant.no) \
         from tenant order by name, no",
        grant::COLUMNS
    );
    let rows = app.db.shared().query(&sql, vec![]).await?;
    let administers = caller.may(&[Permission::TenantReadWrite]);
    let counts = counts(&site, caller.queue.tenants()).await?;
    let seen = |no: &TenantNo| administers || caller.queue.includes(*no);
    let all = rows.iter().map(|row| Ok(TenantNo(column(row, 6)?))).collect::<Result<Vec<_>>>()?;
    let all: Vec<TenantNo> = all.into_iter().filter(seen).collect();
    let ways = onboarding::overview(app, &all).await?;
    let waiting: Vec<TenantNo> = all
        .iter()
        .copied()
        .filter(|no| ways.get(no).is_some_and(|way| way.invited.is_some()))
        .collect();
    let mails = notification::welcomes(app, &waiting).await?;
    let mine = match caller.reach {
        Reach::Granted(_) if caller.may(&[Permission::AccessRequest]) => {
            let filter = Filter { state: Some(Standing::Open), ..Filter::default() };
            access::list(app, &caller, &filter, 1_000).await?
        }
        _ => Vec::new(),
    };
    let mut value = Vec::new();
    for row in &rows {
        let no = TenantNo(column(row, 6)?);
        let Some(way) = ways.get(&no) else { continue };
        let own = mine.iter().find(|it| it.tenant == no && it.person == caller.client_id);
        let own = match own {
            Some(own) => shown(&site, &caller, own).await?,
            None => Value::Null,
        };
        let grant = Grant::from_row(row, 0)?;
        let people: i64 = column(row, 9)?;
        value.push(json!({
            "id": column::<String>(row, 7)?,
            "name": column::<String>(row, 8)?,
            "grant": {
                "level": grant.level.word(),
                "approval": grant.approval.word(),
                "endDateTime": grant.until,
                "effectiveLevel": grant.effective(app.clock.now()).word(),
            },
            "counts": counts.get(&no),
            "onboarding": way_shown(way, mails.get(&no)),
            "may": {
                "request": may_request(&caller, no, &own),
                "invite": may_invite(&caller, people),
                "welcome": may_welcome(&caller, way),
                "endMonitoring": may_end(&caller, way),
            },
            "access": own,
        }));
    }
    let add = May::unless(
        (!administers).then(|| "only a Provider administrator adds customers".to_owned()),
    );
    Ok(json_response(StatusCode::OK, &json!({ "value": value, "may": { "add": add } })))
}

/// How far a customer is, and what is missing.
fn way_shown(it: &Overview, mail: Option<&Welcome>) -> Value {
    let way = it.way.as_ref();
    let days = way.map(|way| way.days);
    let until = days.and_then(|days| model::monitored_until((it.stage, it.since), days));
    json!({
        "stage": it.stage,
        "sinceDateTime": (it.since.micros() > 0).then_some(it.since),
        "missing": it.missing,
        "monitoringDays": days,
        "monitoringEndsDateTime": until,
        "targets": way.map(|way| json!({
            "devices": way.targets.devices, "identities": way.targets.identities,
        })),
        "invited": it.invited,
        "language": way.map(|way| way.language),
        "linkEndsDateTime": it.invited.as_ref().and(way.and_then(|way| way.welcome_until)),
        "welcome": mail.map(|mail| json!({
            "state": mail.state, "because": mail.error, "madeDateTime": mail.made,
        })),
    })
}

fn why_not_provider(caller: &Caller) -> Option<String> {
    (!caller.may(&[Permission::TenantReadWrite]))
        .then(|| "only a Provider administrator looks after customers".to_owned())
}

fn may_welcome(caller: &Caller, it: &Overview) -> May {
    let nobody = it.way.as_ref().is_none_or(|way| way.person.is_none());
    May::unless(why_not_provider(caller).or_else(|| {
        if nobody {
            Some("nobody was invited yet".to_owned())
        } else if it.invited.is_none() && it.stage != Stage::Invited {
            Some("its administrator has begun the setup already".to_owned())
        } else {
            None
        }
    }))
}

fn may_end(caller: &Caller, it: &Overview) -> May {
    May::unless(why_not_provider(caller).or_else(|| {
        (it.stage != Stage::Monitoring).then(|| "the customer is not being monitored".to_owned())
    }))
}

fn may_request(caller: &Caller, tenant: TenantNo, own: &Value) -> May {
    May::unless(if !caller.may(&[Permission::AccessRequest]) {
        Some("only the provider's experts ask for access".to_owned())
    } else if !caller.queue.includes(tenant) {
        Some("the customer grants no access".to_owned())
    } else if own.is_null() {
        None
    } else {
        Some("a request of yours is open there already".to_owned())
    })
}

fn may_invite(caller: &Caller, people: i64) -> May {
    May::unless(if !caller.may(&[Permission::TenantReadWrite]) {
        Some("only a Provider administrator invites a customer's first person".to_owned())
    } else if people > 0 {
        Some("the customer has people already; its administrators invite others".to_owned())
    } else {
        None
    })
}

/// Incidents that are not closed, by tenant.
async fn counts(site: &Site, tenants: &[TenantNo]) -> Result<HashMap<TenantNo, Value>> {
    let mut counts = HashMap::new();
    if tenants.is_empty() {
        return Ok(counts);
    }
    let (among, mut values) =
        site.app.db.engine().among(4, tenants.iter().map(|no| no.0.into()).collect());
    let statuses =
        [IncidentStatus::Active, IncidentStatus::InProgress, IncidentStatus::AwaitingAction];
    let mut all: Vec<sea_orm::Value> =
        statuses.iter().map(|status| i64::from(status.code()).into()).collect();
    all.append(&mut values);
    let sql = format!(
        "select tenant_no, status, count(*) from incident where status in ($1, $2, $3) \
         and tenant_no {among} group by tenant_no, status"
    );
    for tenant in tenants {
        counts.insert(*tenant, json!({ "active": 0, "inProgress": 0, "awaitingAction": 0 }));
    }
    for row in site.app.db.reach(tenants).query(&sql, all).await? {
        let (tenant, status) = (TenantNo(column(&row, 0)?), column::<i64>(&row, 1)?);
        let word = statuses.iter().find(|it| i64::from(it.code()) == status);
        if let (Some(word), Some(of)) = (word, counts.get_mut(&tenant)) {
            of[word.word()] = json!(column::<i64>(&row, 2)?);
        }
    }
    Ok(counts)
}

/// A customer to be.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WantedTenant {
    name: String,
    /// Its first administrator, who is written to at once; it can be invited later as well.
    email: Option<String>,
    /// In which language that one is written to; English when absent.
    language: Option<Language>,
}

/// Adds a customer and writes to its first administrator. It grants nothing until that one does. Needs a
/// fresh factor.
#[utoipa::path(
    post, path = "/api/v1/tenants", tag = "tenant", request_body = WantedTenant,
    responses((status = 201, description = "id, name; setupUrl, expiresDateTime", body = Object)),
)]
pub(super) async fn add(
    State(site): State<Site>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::TenantReadWrite])?;
    caller.require_step_up(site.app.clock.now())?;
    let (wanted, _) = read::<WantedTenant>(&site, &headers, body).await?;
    // What cannot be written to is said before there is a customer.
    let email = wanted.email.as_deref().map(invitation::address).transpose()?;
    let added = welcome::add_customer(&site.app, &caller, &wanted.name).await?;
    let mut body = json!({ "id": added.id, "name": added.name });
    if let Some(email) = email {
        let to = (email.as_str(), wanted.language.unwrap_or_default());
        let link = sent(&welcome::invite(&site.app, &caller, added.no, to).await?);
        body["setupUrl"] = link["setupUrl"].clone();
        body["expiresDateTime"] = link["expiresDateTime"].clone();
    }
    Ok(json_response(StatusCode::CREATED, &body))
}

/// To whom a welcome goes again.
#[derive(Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WelcomeAgain {
    /// Another address, where the first one was wrong.
    email: Option<String>,
    /// Another language.
    language: Option<Language>,
}

/// Writes to a customer's first administrator again, under a new link. Needs a fresh factor.
#[utoipa::path(
    post, path = "/api/v1/tenants/{id}/welcome", tag = "tenant", request_body = WelcomeAgain,
    params(("id" = String, Path, description = "the customer's id")),
    responses(
        (status = 200, description = "setupUrl, expiresDateTime", body = Object),
        (status = 409, description = "nobody was invited, or the setup has begun"),
    ),
)]
pub(super) async fn welcome(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::TenantReadWrite])?;
    let (asked, _) = read::<WelcomeAgain>(&site, &headers, body).await?;
    let to = (asked.email.as_deref(), asked.language);
    let link = welcome::again(&site.app, &caller, &id, to).await?;
    Ok(json_response(StatusCode::OK, &sent(&link)))
}

/// How a customer is brought into the service.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct WantedOnboarding {
    /// What is to be protected; absent: as it is.
    targets: Option<WantedTargets>,
    /// For how many days it is monitored, 0 to 30; absent: as it is.
    monitoring_days: Option<i64>,
}

/// Changes how a customer is brought into the service.
#[utoipa::path(
    patch, path = "/api/v1/tenants/{id}/onboarding", tag = "tenant",
    request_body = WantedOnboarding,
    params(("id" = String, Path, description = "the customer's id")),
    responses((status = 204)),
)]
pub(super) async fn onboarding(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::TenantReadWrite])?;
    let (asked, _) = read::<WantedOnboarding>(&site, &headers, body).await?;
    let targets = asked.targets.map(WantedTargets::read);
    let edit = Edit { targets, days: asked.monitoring_days };
    onboarding::change(&site.app, &caller, Some(&id), &edit).await?;
    Ok(done())
}

/// Why the monitoring ends early.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Ending {
    /// 5 to 1,000 characters, on record.
    because: String,
}

/// Ends a customer's monitoring before its days are over: it is active then. Needs a fresh factor.
#[utoipa::path(
    post, path = "/api/v1/tenants/{id}/end-monitoring", tag = "tenant", request_body = Ending,
    params(("id" = String, Path, description = "the customer's id")),
    responses((status = 204), (status = 409, description = "it is not being monitored")),
)]
pub(super) async fn end_monitoring(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::TenantReadWrite])?;
    let (asked, _) = read::<Ending>(&site, &headers, body).await?;
    onboarding::end_monitoring(&site.app, &caller, &id, &asked.because).await?;
    Ok(done())
}
