//! Changes to the grouping itself: incidents that become one, that are taken apart, or whose facts
//! are worked out anew because an alert changed.

use std::collections::HashMap;

use sea_orm::Value as Sql;

use crate::db::column;
use crate::error::Result;
use crate::event::Fact;
use crate::id::{AlertId, IncidentId};
use crate::incident::correlate::read::{Read, entity_names, members};
use crate::incident::correlate::rows::Rows;
use crate::incident::correlate::{IdPool, Work, assess, scope};
use crate::incident::correlation::regroup::{regroup, runs_of};
use crate::incident::correlation::{Outcome, PendingAlert, Run, Stats};
use crate::incident::facts::Facts;
use crate::incident::{model, store};
use crate::tx::Tx;

pub(super) async fn carry_out_merges(
    tx: &mut Tx,
    work: &mut Work,
    outcome: &Outcome,
) -> Result<()> {
    for merge in &outcome.merged {
        let (source, target) = (IncidentId(merge.source), IncidentId(merge.target));
        let because = match entity_names(tx, &[merge.because]).await?.remove(&merge.because) {
            Some((kind, name)) => {
                format!("alert {} shares {} {name}", AlertId(merge.alert_id), kind.word())
            }
            None => format!("alert {} links both", AlertId(merge.alert_id)),
        };
        join(tx, work, source, target, &because).await?;
    }
    Ok(())
}

/// `source` becomes part of `target` (INC-16): alerts, runs, comments and tags go over, the source
/// keeps answering with where it went.
pub(in crate::incident) async fn join(
    tx: &mut Tx,
    work: &mut Work,
    source: IncidentId,
    target: IncidentId,
    because: &str,
) -> Result<()> {
    let (actor, now) = (tx.actor().clone(), tx.now());
    let gone = work.get(source)?.clone();
    work.step(source, |it| it.redirect(target.0, &actor, now))?;
    {
        let source = work.get(source)?;
        source.alert_count = 0;
        source.run_count = 0;
    }
    let mut facts = work.get(target)?.facts.clone();
    facts.join(&gone.facts);
    work.step(target, |it| it.absorb(&gone.model, facts.highest(), &actor, now))?;
    let kept = work.get(target)?;
    kept.facts = facts;
    if kept.alert_count == 0 {
        kept.first_activity = gone.first_activity;
        kept.last_activity = gone.last_activity;
    }
    kept.alert_count += gone.alert_count;
    kept.run_count += gone.run_count;
    kept.first_activity = kept.first_activity.min(gone.first_activity);
    kept.last_activity = kept.last_activity.max(gone.last_activity);
    let alerts = tx
        .query("select id from alert where incident_id = $1 order by id", vec![source.0.into()])
        .await?;
    let mut rows: Vec<Sql> = Vec::with_capacity(alerts.len() * 3);
    for row in alerts {
        let id: i64 = column(&row, 0)?;
        rows.extend([id.into(), target.0.into(), tx.next_update().micros().into()]);
    }
    tx.update_rows("alert", &["id"], &["incident_id", "updated_at"], rows).await?;
    for sql in [
        "update run set incident_id = $2 where incident_id = $1",
        "update comment set incident_id = $2, origin_id = coalesce(origin_id, $1) \
         where incident_id = $1",
        "update task set incident_id = $2 where incident_id = $1",
        "update action set incident_id = $2 where incident_id = $1",
        // Whoever was pointed at the source is pointed on, so that no client walks a chain.
        "update incident set redirect_id = $2 where redirect_id = $1",
    ] {
        tx.execute(sql, vec![source.0.into(), target.0.into()]).await?;
    }
    work.note(actor, Fact::IncidentMerged { source, target, because: because.to_owned() });
    Ok(())
}

/// Takes an incident apart where only entities that became common held it together; gives the
/// incidents that changed.
pub(super) async fn take_apart(
    tx: &mut Tx,
    work: &mut Work,
    id: IncidentId,
    ids: &mut IdPool,
) -> Result<Vec<IncidentId>> {
    let (read, stats) = members(tx, id).await?;
    let pending: Vec<PendingAlert> = read.iter().map(|read| read.pending.clone()).collect();
    let parts = regroup(id.0, &pending, &stats, &mut || ids.next());
    let by_alert: HashMap<i64, &Read> = read.iter().map(|read| (read.alert.id.0, read)).collect();
    replace_runs(tx, id, &parts.runs, &read, &stats).await?;
    if parts.pieces.len() < 2 {
        work.get(id)?.run_count = parts.runs.len() as i64;
        return Ok(vec![id]);
    }
    let (actor, now) = (tx.actor().clone(), tx.now());
    let tenant_id = tx.app().tenant_id(tx.tenant()).await?;
    let mut changed = Vec::new();
    let mut rows: Vec<Sql> = Vec::new();
    for (place, piece) in parts.pieces.iter().enumerate() {
        let target = IncidentId(piece.incident_id);
        if place > 0 {
            let severity = crate::word::Severity::Unknown;
            let opened =
                model::Incident::open(target.0, &tenant_id, "Incident", severity, &actor, now);
            work.open(store::fresh(tx.tenant(), opened, Facts::default()));
        } else {
            work.get(target)?.clear();
        }
        let incident = work.get(target)?;
        for alert in &piece.alerts {
            if let Some(read) = by_alert.get(alert) {
                incident.add(&read.alert, &read.facts);
            }
        }
        let runs = parts.runs.iter().filter(|run| run.incident_id == target.0).count();
        incident.run_count = runs as i64;
        if place > 0 {
            for alert in &piece.alerts {
                rows.extend([(*alert).into(), target.0.into(), tx.next_update().micros().into()]);
            }
            let alerts: Vec<AlertId> = piece.alerts.iter().map(|alert| AlertId(*alert)).collect();
            let because = "what held them together became too common to mean anything".to_owned();
            work.note(
                actor.clone(),
                Fact::IncidentOpened { incident: target, alerts: alerts.clone() },
            );
            work.note(actor.clone(), Fact::AlertsMoved { source: id, target, alerts, because });
        }
        changed.push(target);
    }
    tx.update_rows("alert", &["id"], &["incident_id", "updated_at"], rows).await?;
    Ok(changed)
}

/// What the old runs counted is stored before they go: counts are never taken back.
async fn replace_runs(
    tx: &Tx,
    id: IncidentId,
    runs: &[Run],
    read: &[Read],
    stats: &Stats,
) -> Result<()> {
    tx.execute("delete from run where incident_id = $1", vec![id.0.into()]).await?;
    let mut rows = Rows::default();
    rows.opened_runs(tx.tenant(), runs, read);
    rows.stats(tx.tenant(), stats);
    rows.write(tx).await
}

/// Works an incident's facts and runs out anew from its alerts: after alerts were moved by hand,
/// or the source changed one.
pub(in crate::incident) async fn rebuild(
    tx: &mut Tx,
    work: &mut Work,
    id: IncidentId,
) -> Result<()> {
    let (read, stats) = members(tx, id).await?;
    let pending: Vec<&PendingAlert> = read.iter().map(|read| &read.pending).collect();
    let runs = runs_of(id.0, &pending, &stats);
    replace_runs(tx, id, &runs, &read, &stats).await?;
    let incident = work.get(id)?;
    incident.clear();
    for read in &read {
        incident.add(&read.alert, &read.facts);
    }
    incident.run_count = runs.len() as i64;
    let scope = scope(tx, tx.tenant()).await?;
    let (actor, now) = (tx.actor().clone(), tx.now());
    assess(&actor, now, work, id, &scope)
}

/// Incidents of which the source changed an alert.
pub(super) async fn refresh(tx: &mut Tx) -> Result<u64> {
    let rows = tx
        .query(
            "select subject from follow_up where tenant_no = $1 and kind = 'refresh' \
             order by subject limit 16",
            vec![tx.tenant().0.into()],
        )
        .await?;
    let mut count = 0;
    for row in rows {
        let id = IncidentId(column(&row, 0)?);
        let mut work = Work::default();
        if let Some(incident) = store::load(tx, tx.tenant(), &[id]).await?.remove(&id)
            && incident.model.redirect_id().is_none()
        {
            work.hold(incident);
            rebuild(tx, &mut work, id).await?;
            work.save(tx).await?;
        }
        tx.execute(
            "delete from follow_up where tenant_no = $1 and kind = 'refresh' and subject = $2",
            vec![tx.tenant().0.into(), id.0.into()],
        )
        .await?;
        count += 1;
    }
    Ok(count)
}
