//! `/api/v1/tenants`: the customers, as the provider sees them; a customer sees itself.

use std::collections::HashMap;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::access::{self, Filter, Standing};
use crate::api::access::shown;
use crate::api::{May, read};
use crate::db::column;
use crate::error::Result;
use crate::http::{Answer, Site, json_response};
use crate::id::TenantNo;
use crate::permission::Permission;
use crate::tenant::caller::{Caller, Reach};
use crate::tenant::grant::{self, Grant};
use crate::tenant::{self, ExpertAccess};
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
        if !administers && !caller.queue.includes(no) {
            continue;
        }
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
            "may": { "request": may_request(&caller, no, &own), "invite": may_invite(&caller, people) },
            "access": own,
        }));
    }
    let add = May::unless(
        (!administers).then(|| "only a Provider administrator adds customers".to_owned()),
    );
    Ok(json_response(StatusCode::OK, &json!({ "value": value, "may": { "add": add } })))
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
}

/// Adds a customer. It grants nothing until its own administrator does. Needs a fresh factor.
#[utoipa::path(
    post, path = "/api/v1/tenants", tag = "tenant", request_body = WantedTenant,
    responses((status = 201, description = "id, name", body = Object)),
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
    let by = caller.actor();
    let added = tenant::add_by(&site.app, &by, &wanted.name, ExpertAccess::None).await?;
    Ok(json_response(StatusCode::CREATED, &json!({ "id": added.id, "name": added.name })))
}
