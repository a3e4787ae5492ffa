//! `/api/v1/onboarding`: a customer's own way into the service: steps, readiness, stage (ONB).

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::sign_in::Nothing;
use crate::api::{May, nothing, read};
use crate::error::Error;
use crate::http::{Answer, Site, json_response};
use crate::onboarding::model::{
    Assessment, Protected, Status, Step, StepState, Targets, next_step,
};
use crate::onboarding::{self, Edit, Standing, model};
use crate::permission::Permission;
use crate::tenant::caller::Caller;
use crate::tenant::stage::Work;

fn why_not(caller: &Caller) -> Option<String> {
    (!caller.may(&[Permission::GrantReadWrite]))
        .then(|| "only a Security Administrator sets the service up".to_owned())
}

fn protected(it: Protected) -> Value {
    json!({
        "protected": it.protected, "known": it.known, "target": it.target,
        "isTargetSet": it.is_set, "isReached": it.is_reached(),
    })
}

fn readiness(it: &Assessment) -> Value {
    let count = |status| it.items.iter().filter(|item| item.status == status).count();
    let items: Vec<Value> = it
        .items
        .iter()
        .map(|item| {
            json!({
                "item": item.kind,
                "status": item.status,
                "completeNow": item.kind.is_required(),
                "title": item.kind.title(),
                "why": item.kind.why(),
                "judged": item.judged,
                "link": item.kind.link(),
            })
        })
        .collect();
    json!({
        "isReady": it.is_ready(),
        "missing": it.missing(),
        "toDo": count(Status::ToDo),
        "inProgress": count(Status::InProgress),
        "completed": count(Status::Completed),
        "items": items,
        "devices": protected(it.devices),
        "identities": protected(it.identities),
    })
}

fn shown(it: &Standing, caller: &Caller) -> Value {
    let way = it.way.clone().unwrap_or_default();
    let set: Vec<Step> = it.steps.iter().map(|it| it.step).collect();
    let steps: Vec<Value> = Step::ALL
        .iter()
        .map(|&step| {
            let set = it.steps.iter().find(|it| it.step == step);
            json!({
                "step": step,
                "maySkip": step.may_skip(),
                "state": set.map(|it| it.state),
                "setBy": set.map(|it| &it.by),
                "setDateTime": set.map(|it| it.at),
            })
        })
        .collect();
    let setup = why_not(caller).or_else(|| onboarding::why_no_setup(it.stage).map(str::to_owned));
    let work = |work| May::unless(it.stage.holds_back(work).map(str::to_owned));
    let submit = setup.clone().or_else(|| {
        next_step(&set).map(|next| format!("the step {} is not done yet", next.word()))
    });
    json!({
        "stage": it.stage,
        "sinceDateTime": (it.since.micros() > 0).then_some(it.since),
        "isInvited": it.way.is_some(),
        "steps": steps,
        "nextStep": next_step(&set),
        "submittedBy": way.submitted.as_ref().map(|(by, _)| by),
        "submittedDateTime": way.submitted.as_ref().map(|(_, at)| at),
        "monitoringDays": way.days,
        "monitoringEndsDateTime": model::monitored_until((it.stage, it.since), way.days),
        "readiness": readiness(&it.readiness),
        "experts": { "guide": work(Work::Guide), "act": work(Work::Act) },
        "may": {
            "setUp": May::unless(setup),
            "submit": May::unless(submit),
            "change": May::unless(why_not(caller)),
        },
    })
}

async fn show(site: &Site, caller: &Caller) -> Answer {
    let it = onboarding::find(&site.app, caller).await?;
    Ok(json_response(StatusCode::OK, &shown(&it, caller)))
}

/// How far the organisation is, what it still has to do, and what that allows.
#[utoipa::path(
    get, path = "/api/v1/onboarding", tag = "onboarding",
    responses((status = 200, description = "stage, steps, readiness, experts, may", body = Object)),
)]
pub(super) async fn get(State(site): State<Site>, caller: Caller) -> Answer {
    show(&site, &caller).await
}

/// How a step is left.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Left {
    /// `done`, or `skipped` where the step may be.
    state: StepState,
}

/// Confirms or skips a step of the setup.
#[utoipa::path(
    put, path = "/api/v1/onboarding/steps/{step}", tag = "onboarding", request_body = Left,
    params(("step" = String, Path,
        description = "getStarted, permissions, exclusions, contacts or channels")),
    responses(
        (status = 200, description = "as GET /api/v1/onboarding", body = Object),
        (status = 409, description = "another step comes first, or the setup was submitted"),
    ),
)]
pub(super) async fn set_step(
    State(site): State<Site>,
    caller: Caller,
    Path(step): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::GrantReadWrite])?;
    let (left, _) = read::<Left>(&site, &headers, body).await?;
    let step = Step::read(&step);
    let step = step.ok_or_else(|| Error::NotFound("the step does not exist".to_owned()))?;
    onboarding::set_step(&site.app, &caller, step, left.state).await?;
    show(&site, &caller).await
}

/// Submits the setup: from then on readiness decides.
#[utoipa::path(
    post, path = "/api/v1/onboarding/submit", tag = "onboarding", request_body = Nothing,
    responses(
        (status = 200, description = "as GET /api/v1/onboarding", body = Object),
        (status = 409, description = "a step is missing, or the setup was submitted"),
    ),
)]
pub(super) async fn submit(
    State(site): State<Site>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::GrantReadWrite])?;
    nothing(&site, &headers, body).await?;
    onboarding::submit(&site.app, &caller).await?;
    show(&site, &caller).await
}

/// Evaluates readiness now.
#[utoipa::path(
    post, path = "/api/v1/onboarding/check", tag = "onboarding", request_body = Nothing,
    responses((status = 200, description = "as GET /api/v1/onboarding", body = Object)),
)]
pub(super) async fn check(
    State(site): State<Site>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::GrantReadWrite])?;
    nothing(&site, &headers, body).await?;
    onboarding::check(&site.app, &caller).await?;
    show(&site, &caller).await
}

/// What is to be protected; null: what is known.
#[derive(Clone, Copy, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WantedTargets {
    /// Devices with an agent that is heard of, such as those that are licensed.
    devices: Option<u64>,
    /// Users that are known.
    identities: Option<u64>,
}

impl WantedTargets {
    /// As the domain has them.
    pub(super) fn read(self) -> Targets {
        Targets { devices: self.devices, identities: self.identities }
    }
}

/// Chooses what is to be protected.
#[utoipa::path(
    put, path = "/api/v1/onboarding/targets", tag = "onboarding", request_body = WantedTargets,
    responses((status = 200, description = "as GET /api/v1/onboarding", body = Object)),
)]
pub(super) async fn targets(
    State(site): State<Site>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    caller.require(&[Permission::GrantReadWrite])?;
    let (wanted, _) = read::<WantedTargets>(&site, &headers, body).await?;
    let edit = Edit { targets: Some(wanted.read()), days: None };
    onboarding::change(&site.app, &caller, None, &edit).await?;
    show(&site, &caller).await
}
