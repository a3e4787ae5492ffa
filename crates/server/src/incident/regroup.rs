//! What people do to the grouping: merge, move, split, and open an incident by hand (INC-16,
//! INC-17). From then on the incidents concerned are pinned: correlation adds alerts to them, but
//! never merges or splits them by itself.

use std::collections::BTreeMap;

use sea_orm::Value as Sql;

use crate::app::App;
use crate::db::{column, in_list};
use crate::error::{Error, Result};
use crate::event::Fact;
use crate::id::{AlertId, IncidentId, TenantNo};
use crate::incident::correlate::{self, Work};
use crate::incident::facts::Facts;
use crate::incident::{Incident, model, refused, store};
use crate::tenant::caller::Caller;
use crate::tx::Tx;
use crate::word::Severity;

/// Incidents that may be merged at once (INC-16).
const MOST_MERGED: usize = 5;
/// Alerts that may be moved at once.
const MOST_MOVED: usize = 1_000;

/// Why somebody regroups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Because {
    /// In their own words; becomes a comment on the incident that results.
    pub comment: Option<String>,
    /// In the contract's words, for the activity log.
    pub reasons: Vec<&'static str>,
}

impl From<Option<String>> for Because {
    fn from(comment: Option<String>) -> Self {
        Self { comment, reasons: Vec::new() }
    }
}

impl Because {
    /// What the activity log says.
    fn told(&self, usual: &str) -> String {
        let text = self.comment.as_deref().unwrap_or(usual);
        if self.reasons.is_empty() {
            return text.to_owned();
        }
        format!("{text} ({})", self.reasons.join(", "))
    }
}

/// Merges incidents of one tenant and gives the one that stays: the one somebody works on, else
/// the oldest; who asks cannot choose.
pub async fn merge(
    app: &App,
    caller: &Caller,
    mut ids: Vec<IncidentId>,
    why: impl Into<Because>,
) -> Result<IncidentId> {
    let why = why.into();
    ids.sort_unstable();
    ids.dedup();
    if !(2..=MOST_MERGED).contains(&ids.len()) {
        return Err(Error::Invalid(format!(
            "a merge takes 2 to {MOST_MERGED} different incidents, not {}",
            ids.len()
        )));
    }
    let tenant = tenant_of(app, caller, "incident", &ids.iter().map(|id| id.0).collect::<Vec<_>>())
        .await?
        .ok_or_else(|| Error::NotFound("one of the incidents does not exist".to_owned()))?;
    let mut tx = Tx::begin(app, tenant, caller.actor()).await?;
    let loaded = store::load(&tx, tenant, &ids).await?;
    let mut incidents: Vec<&Incident> = loaded.values().collect();
    for incident in &incidents {
        if !incident.model.is_open() {
            return Err(Error::Conflict(format!(
                "incident {} is {} and cannot be merged",
                incident.id,
                incident.model.status()
            )));
        }
    }
    incidents.sort_by_key(|incident| {
        (std::cmp::Reverse(incident.model.started.is_some()), incident.model.created, incident.id)
    });
    let Some(target) = incidents.first().map(|incident| incident.id) else {
        return Err(Error::NotFound("one of the incidents does not exist".to_owned()));
    };
    let sources: Vec<IncidentId> = incidents.iter().skip(1).map(|incident| incident.id).collect();
    let mut work = Work::default();
    for incident in loaded.into_values() {
        work.hold(incident);
    }
    let because = why.told("merged by hand");
    for source in sources {
        correlate::join(&mut tx, &mut work, source, target, &because).await?;
    }
    let now = tx.now();
    work.get(target)?.pinned = Some(now);
    let scope = correlate::scope(&tx, tenant).await?;
    correlate::assess(tx.actor(), tx.now(), &mut work, target, &scope)?;
    if let Some(text) = why.comment {
        say(&mut tx, &mut work, target, &text).await?;
    }
    work.save(&mut tx).await?;
    tx.made(target).await?;
    tx.commit().await?;
    Ok(target)
}

/// Moves alerts to another incident, or to a new one of their own, and gives its id.
pub async fn move_alerts(
    app: &App,
    caller: &Caller,
    mut alerts: Vec<AlertId>,
    to: Option<IncidentId>,
    why: impl Into<Because>,
) -> Result<IncidentId> {
    let why = why.into();
    alerts.sort_unstable();
    alerts.dedup();
    if !(1..=MOST_MOVED).contains(&alerts.len()) {
        return Err(Error::Invalid(format!(
            "a move takes 1 to {MOST_MOVED} different alerts, not {}",
            alerts.len()
        )));
    }
    let numbers: Vec<i64> = alerts.iter().map(|id| id.0).collect();
    let tenant = tenant_of(app, caller, "alert", &numbers)
        .await?
        .ok_or_else(|| Error::NotFound("one of the alerts does not exist".to_owned()))?;
    let mut tx = Tx::begin(app, tenant, caller.actor()).await?;
    let mut from: BTreeMap<IncidentId, Vec<AlertId>> = BTreeMap::new();
    let (list, keys) = in_list(1, numbers.iter().map(|id| (*id).into()).collect());
    let sql = format!("select id, incident_id from alert where id in {list} order by id");
    for row in tx.query(&sql, keys).await? {
        let id = AlertId(column(&row, 0)?);
        let incident: Option<i64> = column(&row, 1)?;
        let incident = incident.ok_or_else(|| {
            Error::Conflict(format!("alert {id} is still waiting for its incident"))
        })?;
        from.entry(IncidentId(incident)).or_default().push(id);
    }
    if let Some(target) = to {
        from.remove(&target);
    }
    let mut work = Work::default();
    let mut wanted: Vec<IncidentId> = from.keys().copied().collect();
    wanted.extend(to);
    for (_, incident) in store::load(&tx, tenant, &wanted).await? {
        work.hold(incident);
    }
    let target = if let Some(target) = to {
        let incident = work
            .get(target)
            .map_err(|_| Error::NotFound(format!("incident {target} does not exist")))?;
        if incident.model.redirect_id().is_some() {
            return Err(Error::Conflict(format!(
                "incident {target} is redirected and takes no alerts"
            )));
        }
        target
    } else {
        let id = IncidentId(tx.next_id("incident").await?);
        let opened = fresh(&tx, id, "Incident", Severity::Unknown).await?;
        work.open(opened);
        id
    };
    if from.is_empty() {
        return Ok(target);
    }
    let mut rows: Vec<Sql> = Vec::new();
    for alert in from.values().flatten() {
        rows.extend([alert.0.into(), target.0.into(), tx.next_update().micros().into()]);
    }
    tx.update_rows("alert", &["id"], &["incident_id", "updated_at"], rows).await?;
    let now = tx.now();
    for id in from.keys().copied().chain([target]).collect::<Vec<_>>() {
        work.get(id)?.pinned = Some(now);
        correlate::rebuild(&mut tx, &mut work, id).await?;
    }
    let actor = tx.actor().clone();
    for (source, alerts) in from {
        let because = why.told("moved by hand");
        work.note(actor.clone(), Fact::AlertsMoved { source, target, alerts, because });
    }
    if let Some(text) = why.comment {
        say(&mut tx, &mut work, target, &text).await?;
    }
    work.save(&mut tx).await?;
    tx.made(target).await?;
    tx.commit().await?;
    Ok(target)
}

/// Opens an incident without alerts, by hand, in `tenant`.
pub async fn create(
    app: &App,
    caller: &Caller,
    tenant: TenantNo,
    display_name: &str,
    patch: model::Patch,
) -> Result<IncidentId> {
    if !caller.reach.includes(tenant) {
        return Err(Error::NotFound("the tenant does not exist".to_owned()));
    }
    let mut tx = Tx::begin(app, tenant, caller.actor()).await?;
    let id = IncidentId(tx.next_id("incident").await?);
    let mut opened = fresh(&tx, id, display_name, Severity::Unknown).await?;
    opened.model.name_set_by_hand = true;
    opened.pinned = Some(tx.now());
    let mut work = Work::default();
    work.open(opened);
    let (actor, now) = (tx.actor().clone(), tx.now());
    let patch = model::Patch { display_name: Some(display_name.to_owned()), ..patch };
    work.step(id, |it| it.update(&patch, &actor, now))?;
    work.note(actor, Fact::IncidentOpened { incident: id, alerts: Vec::new() });
    work.save(&mut tx).await?;
    tx.commit().await?;
    Ok(id)
}

async fn fresh(tx: &Tx, id: IncidentId, name: &str, severity: Severity) -> Result<Incident> {
    let tenant_id = tx.app().tenant_id(tx.tenant()).await?;
    let opened = model::Incident::open(id.0, &tenant_id, name, severity, tx.actor(), tx.now());
    Ok(store::fresh(tx.tenant(), opened, Facts::default()))
}

async fn say(tx: &mut Tx, work: &mut Work, id: IncidentId, text: &str) -> Result<()> {
    let (actor, now) = (tx.actor().clone(), tx.now());
    let step = work.get(id)?.model.clone().comment(text, &actor, now).map_err(refused)?;
    for comment in step.comments {
        let number = tx.comment(Some(id), None, &comment.text).await?;
        let fact = Fact::IncidentCommented { incident: id, comment: number, text: comment.text };
        work.note(actor.clone(), fact);
    }
    Ok(())
}

/// The one tenant, within the caller's reach, that all the rows of a table belong to. A mixture of
/// tenants answers like an unknown id: nothing of it is done.
async fn tenant_of(
    app: &App,
    caller: &Caller,
    table: &str,
    ids: &[i64],
) -> Result<Option<TenantNo>> {
    let (list, keys) = in_list(1, ids.iter().map(|id| (*id).into()).collect());
    let sql = format!("select id, tenant_no from {table} where id in {list}");
    let rows = app.db.reach(caller.reach.tenants()).query(&sql, keys).await?;
    if rows.len() != ids.len() {
        return Ok(None);
    }
    let mut tenants = Vec::new();
    for row in rows {
        tenants.push(TenantNo(column(&row, 1)?));
    }
    tenants.dedup();
    match tenants.as_slice() {
        [tenant] if caller.reach.includes(*tenant) => Ok(Some(*tenant)),
        _ => Ok(None),
    }
}
