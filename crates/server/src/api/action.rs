//! `/api/v1/actions`: the action centre (MR-20): what waits, what is under way, what became of it.

use std::collections::HashMap;
use std::fmt::Write as _;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::access::queue_tenant;
use crate::api::audit::moment;
use crate::api::response::Remark;
use crate::api::sign_in::Nothing;
use crate::api::{May, Params, idempotency, nothing, read};
use crate::authority::policy::Need;
use crate::clock::Timestamp;
use crate::db::{Condition, Scope, Transaction, column, contains};
use crate::error::{Error, Result};
use crate::http::{Answer, Failure, Site, csv, json_response};
use crate::id::{ActionId, TenantNo};
use crate::incident::account;
use crate::permission::Permission;
use crate::response::approval::{self, Approval};
use crate::response::catalog::{Kind, TargetKind};
use crate::response::model::ActionState;
use crate::response::{self, Action, instances, store};
use crate::tenant::caller::Caller;

/// The largest page.
const LARGEST: u64 = 200;
/// Rows of an export at most (UI-4).
const EXPORTED: u64 = 10_000;
/// Actions that are changed with one request.
const BULK: usize = 100;
/// Actions of the last day that a task is compared with.
const LATELY: i64 = 500;

fn action_id(text: &str) -> std::result::Result<ActionId, Failure> {
    text.parse().map_err(|()| Failure::new(StatusCode::NOT_FOUND, "the action does not exist"))
}

/// The actions of a tenant that are open or were asked for since then, the newest first.
pub(super) async fn lately(
    tx: &Transaction,
    tenant: TenantNo,
    since: Timestamp,
) -> Result<Vec<Action>> {
    let sql = format!(
        "select {} from action where tenant_no = $1 and requested_at > $2 \
         order by requested_at desc, id desc limit $3",
        store::ACTION
    );
    let values = vec![tenant.0.into(), since.micros().into(), LATELY.into()];
    tx.query(&sql, values).await?.iter().map(Action::from_row).collect()
}

/// An action as it is shown; its attempts are told with the one.
pub(super) async fn shown(site: &Site, caller: &Caller, it: &Action) -> Result<Value> {
    let entry = it.kind.entry();
    let (mut approval, mut waits) = (Value::Null, None);
    if it.state == ActionState::Proposed {
        let tx = site.app.db.of(it.tenant).snapshot().await?;
        approval = approval::shown(&tx, it).await?;
        let needs = approval::proposal(&tx, it.id).await?.map(|it| it.needs);
        let given = approval::approvals(&tx, it.id).await?;
        let uncleared = response::why_no_second((&tx, site.app.clock.now()), caller, it).await?;
        waits = Some((needs.unwrap_or_default(), given, uncleared));
    }
    Ok(json!({
        "id": it.id,
        "kind": entry.word,
        "title": entry.title,
        "tenantId": site.app.tenant_id(it.tenant).await?,
        "tenantName": crate::tenant::name(&site.app, it.tenant).await?,
        "incidentId": it.incident,
        "target": {
            "kind": it.target.kind.word(), "id": it.target.key, "name": it.target.name,
            "deviceId": it.target.device, "mailbox": it.target.mailbox,
        },
        "connectorId": it.connector,
        "options": it.options,
        "state": it.state.word(),
        "reason": it.reason,
        "actionStatus": it.state.status(),
        "machineActionType": entry.machine_action,
        "source": it.source,
        "comment": it.comment,
        "requestedBy": it.requester.name,
        "requestedDateTime": it.requested,
        "approvedBy": it.approved.as_ref().map(|(by, _)| by.clone()),
        "approvedDateTime": it.approved.as_ref().map(|(_, at)| *at),
        "startedDateTime": it.started,
        "endedDateTime": it.ended,
        "deadlineDateTime": it.deadline,
        "fingerprint": it.fingerprint(),
        "attemptCount": it.attempts,
        "progress": it.progress,
        "found": it.found,
        "readBack": it.read_back,
        "undoOf": it.undo_of,
        "approval": approval,
        "may": may(caller, it, waits.as_ref()),
    }))
}

/// Who may still answer an action that waits, who has, and why the caller is not cleared to.
type Waits = (Vec<Need>, Vec<Approval>, Option<String>);

fn may(caller: &Caller, it: &Action, waits: Option<&Waits>) -> Value {
    let acts = caller.may(&[Permission::TaskTakeAction, Permission::Experts]);
    let reader = (!acts).then(|| "your role reads actions and takes none".to_owned());
    let cancel = match it.state {
        ActionState::Proposed | ActionState::Approved => None,
        state if state.is_open() => Some("it has been sent".to_owned()),
        _ => Some("it has come to its end".to_owned()),
    };
    let undo = if it.kind.entry().reverse.is_none() {
        Some("nothing takes this back".to_owned())
    } else {
        (it.state != ActionState::Succeeded).then(|| "only what was done can be undone".to_owned())
    };
    let decide = (it.state != ActionState::NeedsHuman)
        .then(|| "what became of it is known or being found out".to_owned());
    let (second, already) = if let Some((needs, given, uncleared)) = waits {
        let application = caller.person.is_none().then(|| "only a person may do this".to_owned());
        let who = (caller.client_id.as_str(), caller.actor().kind);
        let answer = approval::may_answer(it, needs, who).err();
        let already = approval::has_approved(it, given, &caller.client_id);
        let already = already.then(|| "you have approved it; it waits for others".to_owned());
        (application.or(answer).or_else(|| uncleared.clone()), already)
    } else {
        (Some("it does not wait for approval".to_owned()), None)
    };
    let second = reader.clone().or(second);
    json!({
        "approve": May::unless(second.clone().or(already)),
        "reject": May::unless(second),
        "cancel": May::unless(reader.clone().or(cancel)),
        "undo": May::unless(reader.clone().or(undo)),
        "decide": May::unless(reader.or(decide)),
    })
}

/// Which actions.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// `pending`: what has not come to its end; `history`: what has.
    state: Option<String>,
    /// Only this tenant's.
    tenant_id: Option<String>,
    /// Part of the target's name, of who asked for it, or of the action's id.
    search: Option<String>,
    /// Only this type, such as `isolateDevice`.
    kind: Option<String>,
    /// Only from this part of the product.
    source: Option<String>,
    /// Asked for at or after.
    from: Option<String>,
    /// Asked for before.
    to: Option<String>,
    /// Only on this device.
    device_id: Option<String>,
    /// Only on this user's accounts, on whatever device.
    user: Option<String>,
    /// Only for this incident.
    incident_id: Option<String>,
    /// `requested` (default), `title`, `state` or `target`.
    order: Option<String>,
    /// `asc` or `desc`; when absent `desc` for `requested`, the newest first, else `asc`.
    direction: Option<String>,
    /// Rows of a page, 50 when absent, at most 200.
    top: Option<u64>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
}

/// The same without paging.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct Exported {
    /// `pending`: what has not come to its end; `history`: what has.
    state: Option<String>,
    /// Only this tenant's.
    tenant_id: Option<String>,
    /// Part of the target's name, of who asked for it, or of the action's id.
    search: Option<String>,
    /// Only this type.
    kind: Option<String>,
    /// Only from this part of the product.
    source: Option<String>,
    /// Asked for at or after.
    from: Option<String>,
    /// Asked for before.
    to: Option<String>,
    /// Only on this device.
    device_id: Option<String>,
    /// Only on this user's accounts, on whatever device.
    user: Option<String>,
    /// Only for this incident.
    incident_id: Option<String>,
    /// See the list.
    order: Option<String>,
    /// See the list.
    direction: Option<String>,
}

impl Which {
    async fn condition(
        &self,
        site: &Site,
        caller: &Caller,
        scope: &Scope<'_>,
    ) -> std::result::Result<Condition, Failure> {
        let tenants = match &self.tenant_id {
            None => caller.reach.tenants().to_vec(),
            Some(id) => {
                let tenant = queue_tenant(site, caller, id).await?;
                let unknown = Error::NotFound("the tenant does not exist".to_owned());
                caller.require_inside(&site.app, tenant, unknown).await?;
                vec![tenant]
            }
        };
        let tenants = tenants.iter().map(|tenant| tenant.0.into()).collect();
        let (among, values) = scope.engine().among(1, tenants);
        let mut it = Condition { test: format!("action.tenant_no {among}"), values };
        match self.state.as_deref() {
            None => {}
            Some("pending") => it.and_only(store::OPEN),
            Some("history") => it.and_only(&["not ", store::OPEN].concat()),
            Some(_) => return Err(Failure::bad("state is pending or history, or absent")),
        }
        if let Some(kind) = &self.kind {
            let kind = Kind::read(kind).ok_or_else(|| Failure::bad("no action has this kind"))?;
            it.and("action.kind = ?", kind.word());
        }
        if let Some(source) = &self.source {
            it.and("action.source = ?", source.clone());
        }
        if let Some(from) = &self.from {
            it.and("action.requested_at >= ?", moment("from", from)?.micros());
        }
        if let Some(to) = &self.to {
            it.and("action.requested_at < ?", moment("to", to)?.micros());
        }
        if let Some(device) = &self.device_id {
            let of_device = "action.device_no in (select no from device where id = ?)";
            it.and(of_device, device.clone());
        }
        if let Some(user) = &self.user {
            let name = account::name(user);
            let short = name.split_once('@').map_or(name.as_str(), |(short, _)| short).to_owned();
            it.test.push_str(" and action.target_kind = 'user'");
            // Two markers for one value or two: the name, and what is before the @.
            it.values.extend([name.into(), short.into()]);
            let (one, two) = (it.values.len() - 1, it.values.len());
            let _ = write!(it.test, " and {} in (${one}, ${two})", store::USER);
        }
        if let Some(incident) = &self.incident_id {
            it.and("action.incident_id = ?", super::incident::id_of(incident)?.0);
        }
        if let Some(search) = self.search.as_deref().filter(|text| !text.trim().is_empty()) {
            if let Ok(id) = search.trim().parse::<ActionId>() {
                it.and("action.id = ?", id.0);
            } else {
                let like = "(lower(action.target_name) like ? escape '\\' \
                            or lower(action.requested_by) like ? escape '\\')";
                it.and(like, contains(search));
            }
        }
        Ok(it)
    }

    fn order(&self) -> std::result::Result<String, Failure> {
        let (column, newest_first) = match self.order.as_deref() {
            None | Some("requested") => ("action.requested_at", true),
            Some("title") => ("action.kind", false),
            Some("state") => ("action.state", false),
            Some("target") => ("action.target_name", false),
            Some(_) => return Err(Failure::bad("order is requested, title, state or target")),
        };
        let down = match self.direction.as_deref() {
            None => newest_first,
            Some("asc") => false,
            Some("desc") => true,
            Some(_) => return Err(Failure::bad("direction is asc or desc")),
        };
        let way = if down { "desc" } else { "asc" };
        // Among equals the newest first, whatever the direction.
        Ok(if newest_first {
            format!("{column} {way}, action.id {way}")
        } else {
            format!("{column} {way}, action.requested_at desc, action.id desc")
        })
    }
}

/// Actions of the tenants that the caller is inside of.
#[utoipa::path(
    get, path = "/api/v1/actions", tag = "action", params(Which),
    responses((status = 200, description = "value, nextCursor, count", body = Object)),
)]
pub(super) async fn list(
    State(site): State<Site>,
    caller: Caller,
    Params(which): Params<Which>,
) -> Answer {
    caller.require(&[Permission::IncidentRead])?;
    let top = which.top.unwrap_or(50).clamp(1, LARGEST);
    // Rows may come and go between two pages; who wants all of them takes the export.
    let skip: u64 = match &which.cursor {
        None => 0,
        Some(text) => text.parse().map_err(|_| Failure::bad("the cursor is not one of ours"))?,
    };
    let scope = caller.view(&site.app);
    let condition = which.condition(&site, &caller, &scope).await?;
    let (actions, count) = found(&scope, &condition, &which.order()?, (top + 1, skip)).await?;
    let more = actions.len() as u64 > top;
    let mut value = Vec::new();
    let tasks = tasks_of(&scope, &actions).await?;
    for action in actions.iter().take(usize::try_from(top).unwrap_or(usize::MAX)) {
        let mut one = shown(&site, &caller, action).await?;
        one["taskIds"] = json!(tasks.get(&action.id).cloned().unwrap_or_default());
        value.push(one);
    }
    let next = more.then(|| (skip + top).to_string());
    let body = json!({ "value": value, "nextCursor": next, "count": count });
    Ok(json_response(StatusCode::OK, &body))
}

async fn found(
    scope: &Scope<'_>,
    condition: &Condition,
    order: &str,
    (top, skip): (u64, u64),
) -> Result<(Vec<Action>, i64)> {
    let Condition { test, values } = condition;
    let sql = format!(
        "select {} from action where {test} order by {order} limit {top} offset {skip}",
        store::ACTION
    );
    let rows = scope.query(&sql, values.clone()).await?;
    let actions: Result<Vec<Action>> = rows.iter().map(Action::from_row).collect();
    let sql = format!("select count(*) from action where {test}");
    let row = scope.query_one(&sql, values.clone()).await?;
    Ok((actions?, row.map_or(Ok(0), |row| column(&row, 0))?))
}

/// The tasks that actions belong to.
async fn tasks_of(scope: &Scope<'_>, actions: &[Action]) -> Result<HashMap<ActionId, Vec<String>>> {
    let mut found: HashMap<ActionId, Vec<String>> = HashMap::new();
    if actions.is_empty() {
        return Ok(found);
    }
    let ids = actions.iter().map(|action| action.id.0.into()).collect();
    let (among, values) = scope.engine().among(1, ids);
    let sql = format!("select action_id, task_id from task_action where action_id {among}");
    for row in scope.query(&sql, values).await? {
        let (action, task): (i64, i64) = (column(&row, 0)?, column(&row, 1)?);
        found.entry(ActionId(action)).or_default().push(task.to_string());
    }
    Ok(found)
}

/// The same as comma-separated values, at most 10,000 rows.
#[utoipa::path(
    get, path = "/api/v1/actions/export", tag = "action", params(Exported),
    responses((status = 200, description = "CSV", body = String, content_type = "text/csv")),
)]
pub(super) async fn export(
    State(site): State<Site>,
    caller: Caller,
    Params(it): Params<Exported>,
) -> Answer {
    caller.require(&[Permission::IncidentRead])?;
    let Exported {
        state,
        tenant_id,
        search,
        kind,
        source,
        from,
        to,
        device_id,
        user,
        incident_id,
        order,
        direction,
    } = it;
    let which = Which {
        state,
        tenant_id,
        search,
        kind,
        source,
        from,
        to,
        device_id,
        user,
        incident_id,
        order,
        direction,
        top: None,
        cursor: None,
    };
    let scope = caller.view(&site.app);
    let condition = which.condition(&site, &caller, &scope).await?;
    let (actions, _) = found(&scope, &condition, &which.order()?, (EXPORTED, 0)).await?;
    let mut text = csv::row(&[
        "Id",
        "Action",
        "Target",
        "Customer",
        "Source",
        "State",
        "Reason",
        "Requested by",
        "Requested",
        "Started",
        "Ended",
        "Incident",
        "Attempts",
    ]);
    for it in &actions {
        let at = |at: Option<Timestamp>| at.map(|at| at.to_string()).unwrap_or_default();
        text.push_str(&csv::row(&[
            &it.id.to_string(),
            it.kind.entry().title,
            &it.target.name,
            &crate::tenant::name(&site.app, it.tenant).await?,
            &it.source,
            it.state.word(),
            it.reason.as_deref().unwrap_or_default(),
            &it.requester.name,
            &it.requested.to_string(),
            &at(it.started),
            &at(it.ended),
            &it.incident.map(|id| id.to_string()).unwrap_or_default(),
            &it.attempts.to_string(),
        ]));
    }
    Ok(csv::file("attachment; filename=\"actions.csv\"", text))
}

/// One action with each attempt: what was sent, what came back, what was read.
#[utoipa::path(
    get, path = "/api/v1/actions/{id}", tag = "action",
    params(("id" = String, Path, description = "the action's id")),
    responses((status = 200, description = "the action", body = Object)),
)]
pub(super) async fn get(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
) -> Answer {
    caller.require(&[Permission::IncidentRead])?;
    one(&site, &caller, action_id(&id)?, StatusCode::OK).await
}

async fn one(site: &Site, caller: &Caller, id: ActionId, status: StatusCode) -> Answer {
    let action = response::find_action(&site.app, caller, id).await?;
    let scope = site.app.db.of(action.tenant);
    let attempts: Vec<Value> = store::attempts_of(&scope, id)
        .await?
        .into_iter()
        .map(|it| {
            let sent: Value = serde_json::from_str(&it.sent).unwrap_or_default();
            json!({
                "number": it.number,
                "order": it.order,
                "startedDateTime": it.started,
                "answeredDateTime": it.answered,
                "sent": sent,
                "answer": it.answer,
                "readBack": it.read_back,
                "outcome": it.outcome,
            })
        })
        .collect();
    let tasks = tasks_of(&scope, std::slice::from_ref(&action)).await?;
    let mut out = shown(site, caller, &action).await?;
    if out["approval"].is_null() {
        out["approval"] = approval::shown(&scope.snapshot().await?, &action).await?;
    }
    out["attempts"] = json!(attempts);
    out["taskIds"] = json!(tasks.get(&id).cloned().unwrap_or_default());
    let (from, applied) = instances::links(&site.app, &action).await?;
    out["instanceOf"] = json!(from);
    out["instanceCount"] = json!(applied);
    out["may"]["apply"] = json!(May::unless(why_not_applied(caller, &action)));
    Ok(json_response(status, &out))
}

/// Why a quarantine is not applied to further instances of its file.
fn why_not_applied(caller: &Caller, action: &Action) -> Option<String> {
    let acts = caller.may(&[Permission::TaskTakeAction, Permission::Experts]);
    let reader = (!acts).then(|| "your role reads actions and takes none".to_owned());
    let other = instances::hash_of(action)
        .is_none()
        .then(|| "it quarantined no file that is known by its SHA-256".to_owned());
    let undone = (action.state != ActionState::Succeeded)
        .then(|| "only what was done is applied to more".to_owned());
    reader.or(other).or(undone)
}

/// Where else the file of a quarantine was seen in 30 days: by alerts, and by scans of agents
/// (MR-20). Without the devices that have it in quarantine already.
#[utoipa::path(
    get, path = "/api/v1/actions/{id}/instances", tag = "action",
    params(("id" = String, Path, description = "the action's id")),
    responses(
        (status = 200, description = "sha256, value, cut, quarantinedCount, warnings", body = Object),
        (status = 409, description = "it quarantined no file that is known by its SHA-256"),
    ),
)]
pub(super) async fn seen_instances(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
) -> Answer {
    caller.require(&[Permission::IncidentRead])?;
    let (action, sha256, seen, done) =
        instances::instances(&site.app, &caller, action_id(&id)?).await?;
    let now = site.app.clock.now();
    let word = response::order::word(action.kind).unwrap_or_default();
    let value: Vec<Value> = seen
        .found
        .iter()
        .map(|one| {
            let because = match &one.device {
                None => Some(format!("no agent speaks for {}", one.name)),
                Some(device) => device.can(word).err(),
            };
            json!({
                "name": one.name,
                "deviceId": one.device.as_ref().map(|device| device.id.clone()),
                "online": one.device.as_ref().is_some_and(|device| device.is_online(now)),
                "path": one.path,
                "seenDateTime": one.seen,
                "seenBy": one.by,
                "may": May::unless(because),
            })
        })
        .collect();
    let body = json!({
        "sha256": sha256, "value": value, "cut": seen.cut, "quarantinedCount": done,
        "warnings": seen.warnings(),
    });
    Ok(json_response(StatusCode::OK, &body))
}

/// To which instances a quarantine is applied.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Applied {
    /// Devices on which the file was seen, 1 to 1,000.
    device_ids: Vec<String>,
    /// Why: mandatory (MR-18).
    comment: String,
}

/// Takes the file of a quarantine away on further devices: an action on each, linked to this one.
#[utoipa::path(
    post, path = "/api/v1/actions/{id}/instances", tag = "action", request_body = Applied,
    params(("id" = String, Path, description = "the action's id")),
    responses(
        (status = 201, description = "value: deviceId, actionId, because", body = Object),
        (status = 409, description = "it can be done on none of them"),
    ),
)]
pub(super) async fn apply_to_instances(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::TaskTakeAction, Permission::Experts])?;
    let id = action_id(&id)?;
    let (wanted, bytes) = read::<Applied>(&site, &headers, body).await?;
    let request = [b"POST instances".as_slice(), &id.0.to_be_bytes(), &bytes];
    let (app, who) = (site.app.clone(), caller.clone());
    let Applied { device_ids, comment } = wanted;
    let work = move |made: Option<String>| async move {
        let told: Vec<response::Asked> = if let Some(known) = made {
            serde_json::from_str(&known).map_err(Error::internal)?
        } else {
            instances::apply(&site.app, &who, id, &device_ids, &comment).await?
        };
        Ok(json_response(StatusCode::CREATED, &json!({ "value": told })))
    };
    Box::pin(idempotency::once_made(&app, &caller, &headers, &request, work)).await
}

/// What a second person agrees to.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Agreed {
    /// `fingerprint` of the action as it was shown.
    fingerprint: String,
}

/// A second person agrees to exactly what was shown. Needs a fresh factor.
#[utoipa::path(
    post, path = "/api/v1/actions/{id}/approve", tag = "action", request_body = Agreed,
    params(("id" = String, Path, description = "the action's id")),
    responses((status = 200, description = "the action", body = Object), (status = 409)),
)]
pub(super) async fn approve(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::TaskTakeAction, Permission::Experts])?;
    let id = action_id(&id)?;
    let (said, _) = read::<Agreed>(&site, &headers, body).await?;
    response::approve(&site.app, &caller, id, &said.fingerprint).await?;
    one(&site, &caller, id, StatusCode::OK).await
}

/// Why not.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WhyNot {
    /// At most 4,000 characters.
    because: String,
}

/// A second person says no.
#[utoipa::path(
    post, path = "/api/v1/actions/{id}/reject", tag = "action", request_body = WhyNot,
    params(("id" = String, Path, description = "the action's id")),
    responses((status = 200, description = "the action", body = Object), (status = 409)),
)]
pub(super) async fn reject(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::TaskTakeAction, Permission::Experts])?;
    let id = action_id(&id)?;
    let (said, _) = read::<WhyNot>(&site, &headers, body).await?;
    response::reject_action(&site.app, &caller, id, &said.because).await?;
    one(&site, &caller, id, StatusCode::OK).await
}

/// Takes an action back that has not been sent.
#[utoipa::path(
    post, path = "/api/v1/actions/{id}/cancel", tag = "action", request_body = Nothing,
    params(("id" = String, Path, description = "the action's id")),
    responses((status = 200, description = "the action", body = Object), (status = 409)),
)]
pub(super) async fn cancel(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::TaskTakeAction, Permission::Experts])?;
    let id = action_id(&id)?;
    nothing(&site, &headers, body).await?;
    response::cancel(&site.app, &caller, id).await?;
    one(&site, &caller, id, StatusCode::OK).await
}

/// Takes a finished action back with a new one.
#[utoipa::path(
    post, path = "/api/v1/actions/{id}/undo", tag = "action", request_body = Remark,
    params(("id" = String, Path, description = "the action's id")),
    responses((status = 201, description = "the new action", body = Object), (status = 409)),
)]
pub(super) async fn undo(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::TaskTakeAction, Permission::Experts])?;
    let id = action_id(&id)?;
    let (said, bytes) = read::<Remark>(&site, &headers, body).await?;
    let request = [b"POST undo action".as_slice(), &id.0.to_be_bytes(), &bytes];
    let (app, who) = (site.app.clone(), caller.clone());
    let work = move |made: Option<String>| async move {
        let new = match made.and_then(|id| id.parse().ok()) {
            Some(known) => known,
            None => response::undo_action(&site.app, &who, id, &said.comment).await?,
        };
        one(&site, &who, new, StatusCode::CREATED).await
    };
    Box::pin(idempotency::once_made(&app, &caller, &headers, &request, work)).await
}

/// What a person saw.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Seen {
    /// Whether it is done.
    succeeded: bool,
    /// What was seen, at most 4,000 characters.
    because: String,
}

/// A person says what became of an action that nobody knew of.
#[utoipa::path(
    post, path = "/api/v1/actions/{id}/decide", tag = "action", request_body = Seen,
    params(("id" = String, Path, description = "the action's id")),
    responses((status = 200, description = "the action", body = Object), (status = 409)),
)]
pub(super) async fn decide(
    State(site): State<Site>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::TaskTakeAction, Permission::Experts])?;
    let id = action_id(&id)?;
    let (said, _) = read::<Seen>(&site, &headers, body).await?;
    response::decide_outcome(&site.app, &caller, id, said.succeeded, &said.because).await?;
    one(&site, &caller, id, StatusCode::OK).await
}

/// What happens to several.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Many {
    /// The actions, at most 100.
    ids: Vec<String>,
    /// `approve`, `reject`, `undo` or `cancel`.
    change: String,
    /// For `reject` why, for `undo` a remark.
    #[serde(default)]
    because: String,
    /// For `approve`: of each action its fingerprint as it was shown, in the same order.
    #[serde(default)]
    fingerprints: Vec<String>,
}

/// Approves, rejects, undoes or cancels several, each by itself: what cannot be done says why.
#[utoipa::path(
    post, path = "/api/v1/actions/change", tag = "action", request_body = Many,
    responses((status = 200, description = "value: id, done, because", body = Object)),
)]
pub(super) async fn change_many(
    State(site): State<Site>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::TaskTakeAction, Permission::Experts])?;
    let (wanted, _) = read::<Many>(&site, &headers, body).await?;
    if wanted.ids.is_empty() || wanted.ids.len() > BULK {
        return Err(Failure::bad(format!("a request changes 1 to {BULK} actions")));
    }
    if !["approve", "reject", "undo", "cancel"].contains(&wanted.change.as_str()) {
        return Err(Failure::bad("change is approve, reject, undo or cancel"));
    }
    if wanted.change == "approve" && wanted.fingerprints.len() != wanted.ids.len() {
        return Err(Failure::bad("to approve, name the fingerprint of each action"));
    }
    let mut ids = Vec::with_capacity(wanted.ids.len());
    for id in &wanted.ids {
        let id = action_id(id)?;
        // One that is not within reach refuses all.
        response::find_action(&site.app, &caller, id).await?;
        ids.push(id);
    }
    let mut value = Vec::with_capacity(ids.len());
    let app = &site.app;
    let because = &wanted.because;
    for (place, id) in ids.into_iter().enumerate() {
        let changed = match wanted.change.as_str() {
            "approve" => {
                let shown = wanted.fingerprints.get(place).map_or("", String::as_str);
                response::approve(app, &caller, id, shown).await
            }
            "reject" => response::reject_action(app, &caller, id, because).await,
            "undo" => response::undo_action(app, &caller, id, because).await.map(|_| ()),
            _ => response::cancel(app, &caller, id).await,
        };
        value.push(match changed {
            Ok(()) => json!({ "id": id, "done": true, "because": null }),
            Err(error @ (Error::Conflict(_) | Error::Denied(_) | Error::Invalid(_))) => {
                json!({ "id": id, "done": false, "because": error.to_string() })
            }
            Err(error) => return Err(error.into()),
        });
    }
    Ok(json_response(StatusCode::OK, &json!({ "value": value })))
}

/// Something to be done to a device.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct OnDevice {
    action_type: String,
    /// For what is done to something on the device: a file's SHA-256 or path, an account …
    target: Option<String>,
    #[serde(default)]
    #[schema(value_type = Object)]
    options: Value,
    /// Why: mandatory (MR-18).
    comment: String,
}

/// Does something to a device from its own page (MR-11).
#[utoipa::path(
    post, path = "/api/v1/devices/{id}/actions", tag = "action", request_body = OnDevice,
    params(("id" = String, Path, description = "the device's id")),
    responses((status = 201, description = "the action", body = Object), (status = 409)),
)]
pub(super) async fn on_device(
    State(site): State<Site>,
    caller: Caller,
    Path(device): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::TaskTakeAction, Permission::Experts])?;
    let (wanted, bytes) = read::<OnDevice>(&site, &headers, body).await?;
    let kind = Kind::read(&wanted.action_type)
        .ok_or_else(|| Failure::bad("actionType is none of the action types"))?;
    let request = [b"POST device action".as_slice(), device.as_bytes(), &bytes];
    let (app, who, on) = (site.app.clone(), caller.clone(), device.clone());
    let OnDevice { target, options, comment, .. } = wanted;
    let work = move |made: Option<String>| async move {
        let (kind, app) = ((kind, target), &site.app);
        let id = match made.and_then(|id| id.parse().ok()) {
            Some(known) => known,
            None => response::act_on_device(app, &who, &on, kind, &options, &comment).await?,
        };
        one(&site, &who, id, StatusCode::CREATED).await
    };
    Box::pin(idempotency::once_made(&app, &caller, &headers, &request, work)).await
}

/// What can be done to a device from its page, each with whether the caller may.
pub(super) fn on_device_types(caller: &Caller, device: &crate::asset::Device) -> Value {
    let acts = caller.may(&[Permission::TaskTakeAction, Permission::Experts]);
    let whole = crate::response::catalog::CATALOG.iter().filter(|entry| {
        entry.target == TargetKind::Device && response::order::word(entry.kind).is_some()
    });
    let types: Vec<Value> = whole
        .map(|entry| {
            let word = response::order::word(entry.kind).unwrap_or_default();
            let because = if acts {
                device.can(word).err()
            } else {
                Some("your role reads devices and does not act on them".to_owned())
            };
            json!({ "actionType": entry.word, "title": entry.title, "may": May::unless(because) })
        })
        .collect();
    json!(types)
}
