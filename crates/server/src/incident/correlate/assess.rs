//! What follows for an incident whose alerts changed: its name and severity, its priority, and
//! whether the experts take it (T2, TRI-1, TRI-2, TRI-7).

use std::collections::BTreeMap;

use crate::actor::Actor;
use crate::clock::Timestamp;
use crate::db::{Transaction, column};
use crate::error::Result;
use crate::event::Fact;
use crate::id::{IncidentId, TenantNo};
use crate::incident::correlate::Work;
use crate::incident::name;
use crate::triage;
use crate::word::Stage;

/// Names an incident, and decides anew whether the experts take it and how urgent it is.
pub(in crate::incident) fn assess(
    correlation: &Actor,
    now: Timestamp,
    work: &mut Work,
    id: IncidentId,
    scope: &triage::model::Scope,
) -> Result<()> {
    let incident = work.get(id)?;
    if incident.model.redirect_id().is_some() {
        return Ok(());
    }
    let alerts = incident.alert_count;
    let facts = incident.facts.clone();
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let title = name::name(&name::Facts {
        titles: facts.titles.to_vec().into_iter().collect(),
        categories: facts.categories.to_vec().into_iter().collect(),
        sources: facts.products.to_vec().into_iter().collect(),
        devices: count(facts.devices.distinct('.')),
        users: count(facts.accounts.distinct('@')),
    });
    work.step(id, |it| it.follow_severity(facts.highest(), correlation, now))?;
    work.step(id, |it| it.rename(&title, correlation, now))?;

    let triage = Actor::system("Triage");
    let severity = work.get(id)?.model.severity;
    let facts = facts.for_triage(severity, alerts);
    let priority = triage::model::priority(&facts);
    work.step(id, |it| it.prioritise(priority.score, &triage, now))?;
    let incident = work.get(id)?;
    incident.priority_factors = priority.factors_json().to_string();
    let stage = incident.model.state.stage();
    // Who took it, or set it back by hand, has decided; triage speaks while nobody has.
    let owned = incident.model.owner.is_some();
    if !matches!(stage, Stage::New | Stage::LeftOut)
        || owned
        || incident.pinned.is_some() && alerts == 0
    {
        return Ok(());
    }
    match triage::model::decide(&facts, scope) {
        triage::model::Decision::Queued => {
            if work.step(id, |it| it.queue(&triage, now))?.is_some() {
                let fact = Fact::IncidentQueued { incident: id, score: i64::from(priority.score) };
                work.note(triage, fact);
            }
        }
        triage::model::Decision::LeftOut(reason) => {
            let sentence = reason.to_string();
            if work.step(id, |it| it.leave_out(&sentence, &triage, now))?.is_some() {
                let reason = reason.word().to_owned();
                work.note(triage, Fact::IncidentLeftOut { incident: id, reason, sentence });
            }
        }
    }
    Ok(())
}

/// The scope this tenant agreed on.
pub(in crate::incident) async fn scope(
    reader: &Transaction,
    tenant: TenantNo,
) -> Result<triage::model::Scope> {
    let scope = scopes(reader, [tenant]).await?.remove(&tenant);
    Ok(scope.unwrap_or_else(|| triage::scope("")))
}

/// The scopes these tenants agreed on.
pub(super) async fn scopes(
    reader: &Transaction,
    tenants: impl IntoIterator<Item = TenantNo>,
) -> Result<BTreeMap<TenantNo, triage::model::Scope>> {
    let tenants = tenants.into_iter().map(|tenant| tenant.0.into()).collect();
    let (list, keys) = reader.engine().among(1, tenants);
    let sql = format!("select no, settings from tenant where no {list}");
    let mut scopes = BTreeMap::new();
    for row in reader.query(&sql, keys).await? {
        let settings: String = column(&row, 1)?;
        scopes.insert(TenantNo(column(&row, 0)?), triage::scope(&settings));
    }
    Ok(scopes)
}
