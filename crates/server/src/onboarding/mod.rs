//! Onboarding: how a customer comes from a welcome mail to a service that runs (ONB, NOT-3, EXC-4).
//!
//! A customer that the provider invites is written to (`welcome`), goes through the steps of the setup,
//! submits it, and is moved on by what is found of it (`readiness`, judged by `model`); how far it has
//! come and what that allows is `tenant::stage`. Invariants: steps are confirmed in their order and each
//! stays as it was left, so that the setup goes on where it stopped; nothing but an evaluation begins the
//! service, and nothing but its days or the provider's reason ends the monitoring; a customer that is
//! active stays so, whatever lapses later. Not here: the settings themselves, which each step shows.

pub mod model;
pub mod readiness;
pub mod welcome;

use std::collections::HashMap;

use sea_orm::QueryResult;
use serde_json::{Value, json};

use crate::app::App;
use crate::clock::Timestamp;
use crate::contact::{self, ContactRole, Language};
use crate::db::{Transaction, column};
use crate::error::{Error, Result};
use crate::event::{Change, Fact};
use crate::id::TenantNo;
use crate::onboarding::model::{
    Assessment, DAYS, MOST_ASSETS, MOST_DAYS, Step, StepState, Targets, next_step, why_not_step,
};
use crate::permission::Permission;
use crate::tenant;
use crate::tenant::caller::Caller;
use crate::tenant::stage::{self, Stage};
use crate::tx::Tx;

/// The shortest reason for ending the monitoring early, and the longest.
const REASON: std::ops::RangeInclusive<usize> = 5..=1_000;

/// What is known of a customer's way.
#[derive(Clone, Debug)]
pub struct Way {
    /// The first administrator.
    pub person: Option<String>,
    /// In which language it is written to.
    pub language: Language,
    /// Which of the welcome mails holds.
    pub welcome: Option<String>,
    /// Until when its link does.
    pub welcome_until: Option<Timestamp>,
    /// Who submitted the setup, and when.
    pub submitted: Option<(String, Timestamp)>,
    /// How long it is watched, in days.
    pub days: i64,
    /// What is to be protected, where somebody said so.
    pub targets: Targets,
    /// What the last evaluation found, as `Assessment::kept` has it.
    pub kept: Value,
    /// What people were told of items that lapsed, as `Lapses::kept` has it.
    pub told: Value,
}

const COLUMNS: &str = "onboarding.person_id, onboarding.language, onboarding.welcome, \
    onboarding.welcome_until, onboarding.submitted_by, onboarding.submitted_at, \
    onboarding.monitoring_days, onboarding.target_devices, onboarding.target_identities, \
    onboarding.assessment, onboarding.lapses";

impl Way {
    fn from_row(row: &QueryResult) -> Result<Self> {
        let at =
            |index| Ok::<_, Error>(column::<Option<i64>>(row, index)?.map(Timestamp::from_micros));
        let target = |index| {
            Ok::<_, Error>(
                column::<Option<i64>>(row, index)?.and_then(|count| u64::try_from(count).ok()),
            )
        };
        let language: String = column(row, 1)?;
        let json = |index| {
            let text: Option<String> = column(row, index)?;
            let read = text.and_then(|text| serde_json::from_str(&text).ok());
            Ok::<_, Error>(read.unwrap_or(Value::Null))
        };
        Ok(Self {
            person: column(row, 0)?,
            language: Language::read(&language).unwrap_or_default(),
            welcome: column(row, 2)?,
            welcome_until: at(3)?,
            submitted: column::<Option<String>>(row, 4)?.zip(at(5)?),
            days: column(row, 6)?,
            targets: Targets { devices: target(7)?, identities: target(8)? },
            kept: json(9)?,
            told: json(10)?,
        })
    }
}

impl Default for Way {
    fn default() -> Self {
        Self {
            person: None,
            language: Language::default(),
            welcome: None,
            welcome_until: None,
            submitted: None,
            days: DAYS,
            targets: Targets::default(),
            kept: Value::Null,
            told: Value::Null,
        }
    }
}

/// A step that somebody has confirmed or skipped.
#[derive(Clone, Debug)]
pub struct Stepped {
    /// Which.
    pub step: Step,
    /// How it was left.
    pub state: StepState,
    /// By whom.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// All that there is to say of a customer's way.
#[derive(Clone, Debug)]
pub struct Standing {
    /// How far it has come.
    pub stage: Stage,
    /// Since when.
    pub since: Timestamp,
    /// What is known of it; none of who was here before there was a setup.
    pub way: Option<Way>,
    /// Its steps.
    pub steps: Vec<Stepped>,
    /// Its readiness at this moment.
    pub readiness: Assessment,
}

async fn way_in(tx: &Transaction, tenant: TenantNo) -> Result<Option<Way>> {
    let sql = format!("select {COLUMNS} from onboarding where tenant_no = $1");
    let row = tx.query_one(&sql, vec![tenant.0.into()]).await?;
    row.as_ref().map(Way::from_row).transpose()
}

/// Begins to keep what is known of a customer's way, where that was not done.
async fn open(tx: &Tx) -> Result<Way> {
    tx.execute(
        "insert into onboarding (tenant_no, language, monitoring_days, due_at) \
         values ($1, $2, $3, 0) on conflict do nothing",
        vec![tx.tenant().0.into(), Language::default().word().into(), DAYS.into()],
    )
    .await?;
    Ok(way_in(tx, tx.tenant()).await?.unwrap_or_default())
}

async fn steps_in(tx: &Transaction, tenant: TenantNo) -> Result<Vec<Stepped>> {
    let sql = "select step, state, set_by, set_at from onboarding_step where tenant_no = $1";
    let mut steps = Vec::new();
    for row in tx.query(sql, vec![tenant.0.into()]).await? {
        let (step, state): (String, String) = (column(&row, 0)?, column(&row, 1)?);
        let damaged = || Error::Internal("table onboarding_step is damaged".to_owned());
        steps.push(Stepped {
            step: Step::read(&step).ok_or_else(damaged)?,
            state: StepState::read(&state).ok_or_else(damaged)?,
            by: column(&row, 2)?,
            at: Timestamp::from_micros(column(&row, 3)?),
        });
    }
    steps.sort_by_key(|it| it.step);
    Ok(steps)
}

/// How far the caller's own organisation is.
pub async fn find(app: &App, caller: &Caller) -> Result<Standing> {
    caller.require(&[Permission::GrantRead])?;
    let tenant = caller.own_tenant()?;
    let tx = app.db.of(tenant).snapshot().await?;
    let way = way_in(&tx, tenant).await?;
    let targets = way.as_ref().map(|way| way.targets).unwrap_or_default();
    Ok(Standing {
        stage: stage::find_in(&tx, tenant).await?,
        since: stage::since(&tx, tenant).await?,
        steps: steps_in(&tx, tenant).await?,
        readiness: readiness::look(&tx, tenant, targets, app.clock.now()).await?,
        way,
    })
}

/// Why the setup cannot be changed at a stage; `None` when it can.
#[must_use]
pub fn why_no_setup(stage: Stage) -> Option<&'static str> {
    match stage {
        Stage::Invited | Stage::SetUp => None,
        _ => Some("the setup was submitted; what it chose is changed under Settings"),
    }
}

async fn require_setup(tx: &Tx) -> Result<Stage> {
    let stage = stage::find_in(tx, tx.tenant()).await?;
    match why_no_setup(stage) {
        None => Ok(stage),
        Some(why) => Err(Error::Conflict(why.to_owned())),
    }
}

async fn require_contact(tx: &Tx) -> Result<()> {
    let role = ContactRole::IncidentNotification;
    if contact::of_role(tx, tx.tenant(), role).await?.is_empty() {
        return Err(Error::Conflict("name at least one incident contact first".to_owned()));
    }
    Ok(())
}

/// Confirms or skips a step of the setup of the caller's own organisation.
///
/// # Errors
/// `Conflict` when another step comes first, the setup was submitted, or what it wants is not there.
pub async fn set_step(app: &App, caller: &Caller, step: Step, left: StepState) -> Result<()> {
    caller.require(&[Permission::GrantReadWrite])?;
    let tenant = caller.own_tenant()?;
    let mut tx = Tx::begin(app, tenant, caller.actor()).await?;
    let stage = require_setup(&tx).await?;
    let before = steps_in(&tx, tenant).await?;
    let set: Vec<Step> = before.iter().map(|it| it.step).collect();
    if let Some(why) = why_not_step(step, left, &set) {
        return Err(Error::Conflict(why));
    }
    if step == Step::Contacts {
        require_contact(&tx).await?;
    }
    open(&tx).await?;
    if stage == Stage::Invited {
        stage::advance(&mut tx, Stage::SetUp, "an administrator began the setup").await?;
    }
    if before.iter().any(|it| it.step == step && it.state == left) {
        return tx.commit().await;
    }
    tx.execute(
        "insert into onboarding_step (tenant_no, step, state, set_by, set_at) \
         values ($1, $2, $3, $4, $5) on conflict (tenant_no, step) do update set \
         state = excluded.state, set_by = excluded.set_by, set_at = excluded.set_at",
        vec![
            tenant.0.into(),
            step.word().into(),
            left.word().into(),
            tx.actor().name.clone().into(),
            tx.now().micros().into(),
        ],
    )
    .await?;
    tx.record(Fact::SetupStepped { step: step.word(), state: left.word() });
    tx.commit().await
}

/// Submits the setup of the caller's own organisation; from then on its readiness decides.
///
/// # Errors
/// `Conflict` when a step is missing, or it was submitted.
pub async fn submit(app: &App, caller: &Caller) -> Result<()> {
    caller.require(&[Permission::GrantReadWrite])?;
    let tenant = caller.own_tenant()?;
    let mut tx = Tx::begin(app, tenant, caller.actor()).await?;
    require_setup(&tx).await?;
    let set: Vec<Step> = steps_in(&tx, tenant).await?.iter().map(|it| it.step).collect();
    if let Some(next) = next_step(&set) {
        return Err(Error::Conflict(format!("the step {} is not done yet", next.word())));
    }
    require_contact(&tx).await?;
    tx.execute(
        "update onboarding set submitted_at = $2, submitted_by = $3 where tenant_no = $1",
        vec![tenant.0.into(), tx.now().micros().into(), tx.actor().name.clone().into()],
    )
    .await?;
    tx.record(Fact::SetupSubmitted);
    stage::advance(&mut tx, Stage::ReadinessPending, "the setup was submitted").await?;
    readiness::evaluate(&mut tx).await?;
    tx.commit().await
}

/// Evaluates the readiness of the caller's own organisation now.
pub async fn check(app: &App, caller: &Caller) -> Result<()> {
    caller.require(&[Permission::GrantReadWrite])?;
    let tenant = caller.own_tenant()?;
    let mut tx = Tx::begin(app, tenant, caller.actor()).await?;
    // Who was never invited is active; there is nothing to be moved on.
    if way_in(&tx, tenant).await?.is_none() {
        return Ok(());
    }
    readiness::evaluate(&mut tx).await?;
    tx.commit().await
}

/// Whose onboarding is changed: the caller's own organisation's, or a customer's by the provider.
async fn whose(app: &App, caller: &Caller, tenant: Option<&str>) -> Result<TenantNo> {
    match tenant {
        None => {
            caller.require(&[Permission::GrantReadWrite])?;
            caller.own_tenant()
        }
        Some(id) => {
            caller.require(&[Permission::TenantReadWrite])?;
            Ok(tenant::find(app, &id.to_ascii_lowercase()).await?.no)
        }
    }
}

/// What is to be another; what is absent stays.
#[derive(Clone, Debug, Default)]
pub struct Edit {
    /// What is to be protected; in it `None` for what is known.
    pub targets: Option<Targets>,
    /// Days of monitoring; the provider's to say.
    pub days: Option<i64>,
}

fn sound(target: Option<u64>) -> Result<Option<i64>> {
    let Some(count) = target else { return Ok(None) };
    match i64::try_from(count) {
        Ok(count) if count <= MOST_ASSETS => Ok(Some(count)),
        _ => Err(Error::Invalid(format!("a target is a whole number from 0 to {MOST_ASSETS}"))),
    }
}

/// Chooses what is to be protected and how long it is watched: of the caller's own organisation, or of a
/// customer by the provider.
pub async fn change(app: &App, caller: &Caller, id: Option<&str>, edit: &Edit) -> Result<()> {
    let tenant = whose(app, caller, id).await?;
    if edit.days.is_some() {
        caller.require(&[Permission::TenantReadWrite])?;
    }
    let mut tx = Tx::begin(app, tenant, caller.actor()).await?;
    let before = open(&tx).await?;
    let targets = edit.targets.unwrap_or(before.targets);
    let days = edit.days.unwrap_or(before.days);
    if !(0..=MOST_DAYS).contains(&days) {
        return Err(Error::Invalid(format!(
            "monitoringDays is a whole number from 0 to {MOST_DAYS}"
        )));
    }
    let changes: Vec<Change> = [
        ("targetDevices", json!(before.targets.devices), json!(targets.devices)),
        ("targetIdentities", json!(before.targets.identities), json!(targets.identities)),
        ("monitoringDays", json!(before.days), json!(days)),
    ]
    .into_iter()
    .filter(|(_, before, after)| before != after)
    .map(|(field, before, after)| Change { field, before, after })
    .collect();
    if changes.is_empty() {
        return Ok(());
    }
    tx.execute(
        "update onboarding set target_devices = $2, target_identities = $3, monitoring_days = $4 \
         where tenant_no = $1",
        vec![
            tenant.0.into(),
            sound(targets.devices)?.into(),
            sound(targets.identities)?.into(),
            days.into(),
        ],
    )
    .await?;
    tx.record(Fact::OnboardingChanged { changes });
    readiness::evaluate(&mut tx).await?;
    tx.commit().await
}

/// Ends a customer's monitoring before its days are over, as the provider's administrator.
///
/// # Errors
/// `Conflict` when it is not being monitored.
pub async fn end_monitoring(app: &App, caller: &Caller, id: &str, because: &str) -> Result<()> {
    let tenant = whose(app, caller, Some(id)).await?;
    let because = because.trim();
    if !REASON.contains(&because.chars().count()) || because.chars().any(char::is_control) {
        return Err(Error::Invalid("a reason has 5 to 1,000 characters".to_owned()));
    }
    let mut tx = Tx::begin(app, tenant, caller.actor()).await?;
    caller.require_step_up(tx.now())?;
    if stage::find_in(&tx, tenant).await? != Stage::Monitoring {
        return Err(Error::Conflict("the customer is not being monitored".to_owned()));
    }
    stage::advance(&mut tx, Stage::Active, because).await?;
    readiness::evaluate(&mut tx).await?;
    tx.commit().await
}

/// What the provider sees of a customer's way.
#[derive(Clone, Debug)]
pub struct Overview {
    /// How far it has come.
    pub stage: Stage,
    /// Since when.
    pub since: Timestamp,
    /// What is known of it.
    pub way: Option<Way>,
    /// What stands in the way, or has lapsed since.
    pub missing: Vec<String>,
    /// The first administrator's address, as long as it has not signed in.
    pub invited: Option<String>,
}

/// How far customers are, as the provider sees them.
pub async fn overview(app: &App, tenants: &[TenantNo]) -> Result<HashMap<TenantNo, Overview>> {
    let mut found = HashMap::new();
    if tenants.is_empty() {
        return Ok(found);
    }
    let (among, values) =
        app.db.engine().among(1, tenants.iter().map(|tenant| tenant.0.into()).collect());
    let sql = format!(
        "select {COLUMNS}, tenant.no, tenant.stage, tenant.stage_at, person.email, \
         case when person.totp_at is null and person.signed_in_at is null and not exists \
         (select 1 from passkey where passkey.person_id = person.id) then 1 else 0 end, \
         case when onboarding.tenant_no is null then 0 else 1 end \
         from tenant left join onboarding on onboarding.tenant_no = tenant.no \
         left join person on person.id = onboarding.person_id where tenant.no {among}"
    );
    for row in app.db.reach(tenants).query(&sql, values).await? {
        let (no, word): (i64, String) = (column(&row, 11)?, column(&row, 12)?);
        let damaged = || Error::Internal(format!("the stage of tenant {no} is damaged"));
        let known = column::<i32>(&row, 16)? == 1;
        let way = if known { Some(Way::from_row(&row)?) } else { None };
        let fresh = column::<i32>(&row, 15)? == 1;
        found.insert(
            TenantNo(no),
            Overview {
                stage: Stage::read(&word).ok_or_else(damaged)?,
                since: Timestamp::from_micros(column(&row, 13)?),
                missing: way.as_ref().map(|way| model::missing_of(&way.kept)).unwrap_or_default(),
                invited: column::<Option<String>>(&row, 14)?.filter(|_| fresh),
                way,
            },
        );
    }
    Ok(found)
}
