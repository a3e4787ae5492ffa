//! What a batch of a tenant will do, worked out from what was read before anything is written.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::actor::Actor;
use crate::alert::Alert;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::event::Fact;
use crate::id::{AlertId, IncidentId, TenantNo};
use crate::incident::correlate::read::{Found, Read};
use crate::incident::correlate::rows::{Rows, shown_links};
use crate::incident::correlate::{IdPool, Work, assess};
use crate::incident::correlation::{self, IncidentHead, Outcome, PendingAlert, State};
use crate::incident::facts::Facts;
use crate::incident::model::{self, OWNER_EXPERTS};
use crate::incident::{Incident, store};
use crate::triage;
use crate::word::{Severity, Stage};

/// See the module.
pub(super) struct Plan {
    pub(super) tenant: TenantNo,
    pub(super) read: Vec<Read>,
    pub(super) outcome: Outcome,
    pub(super) work: Work,
    pub(super) scope: triage::model::Scope,
    links: Vec<String>,
}

impl Plan {
    /// Decides where these alerts belong, from what was found of their entities.
    pub(super) fn draw(
        tenant: TenantNo,
        tenant_id: &str,
        read: Vec<Read>,
        found: Found,
        ids: &mut IdPool,
        (actor, now): (&Actor, Timestamp),
    ) -> Self {
        let mut work = Work::default();
        for incident in found.incidents {
            work.hold(incident);
        }
        let heads = work.incidents().map(head).collect();
        let rows = State { runs: found.runs, stats: found.stats, heads };
        let pending = pending(&read);
        let outcome = correlation::correlate(rows, pending, now, &mut || ids.next());
        for id in &outcome.opened {
            let severity = Severity::Unknown;
            let opened = model::Incident::open(*id, tenant_id, "Incident", severity, actor, now);
            work.open(store::fresh(tenant, opened, Facts::default()));
        }
        let links = shown_links(&outcome.placements, &read, now);
        Self { tenant, read, outcome, work, scope: found.scope, links }
    }

    /// Whether incidents only open and grow. Merging and taking apart read and write more.
    pub(super) fn is_plain(&self) -> bool {
        self.outcome.merged.is_empty() && self.outcome.regroup.is_empty()
    }

    /// Puts the alerts into their incidents.
    pub(super) fn grow(&mut self, actor: &Actor) -> Result<()> {
        let by_alert: HashMap<i64, &Read> =
            self.read.iter().map(|read| (read.alert.id.0, read)).collect();
        let mut alerts: BTreeMap<i64, Vec<AlertId>> = BTreeMap::new();
        for placement in &self.outcome.placements {
            let Some(read) = by_alert.get(&placement.alert_id) else { continue };
            alerts.entry(placement.incident_id).or_default().push(read.alert.id);
            let incident = self.work.get(IncidentId(placement.incident_id))?;
            incident.add(&read.alert, &read.facts);
        }
        for (id, growth) in &self.outcome.grown {
            self.work.get(IncidentId(*id))?.run_count += i64::from(growth.entities);
        }
        for (id, alerts) in alerts {
            let incident = IncidentId(id);
            let fact = if self.outcome.opened.binary_search(&id).is_ok() {
                Fact::IncidentOpened { incident, alerts }
            } else {
                Fact::IncidentGrew { incident, alerts }
            };
            self.work.note(actor.clone(), fact);
        }
        Ok(())
    }

    /// Names the incidents that grew, and decides what becomes of them.
    pub(super) fn assess(
        &mut self,
        others: BTreeSet<IncidentId>,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<()> {
        let mut changed = others;
        changed.extend(self.outcome.grown.keys().map(|id| IncidentId(*id)));
        for id in changed {
            assess(actor, now, &mut self.work, id, &self.scope)?;
        }
        Ok(())
    }

    /// Adds what is to be written of alerts, runs and counts.
    pub(super) fn rows(&self, rows: &mut Rows, next_update: impl FnMut() -> Timestamp) {
        rows.placements(&self.outcome.placements, &self.links, next_update);
        rows.opened_runs(self.tenant, &self.outcome.opened_runs, &self.read);
        rows.grown_runs(&self.outcome.grown_runs);
        rows.stats(self.tenant, self.outcome.stats.iter().map(|(key, stat)| (key, stat)));
    }
}

/// What correlation sees of alerts.
pub(super) fn pending(read: &[Read]) -> Vec<PendingAlert> {
    read.iter().map(|read| read.pending.clone()).collect()
}

/// What correlation must know of an incident. One that only waits for an expert is not claimed
/// yet, so that storms and hubs can still be sorted out.
fn head(incident: &Incident) -> IncidentHead {
    let it = &incident.model;
    let by_person = it.owner.as_deref().is_some_and(|owner| owner != OWNER_EXPERTS);
    let stage = it.state.stage();
    let waits_for_triage_only = it.owner.as_deref() == Some(OWNER_EXPERTS);
    IncidentHead {
        id: incident.id.0,
        open: it.is_open(),
        claimed: by_person || matches!(stage, Stage::InProgress | Stage::AwaitingCustomer),
        pinned: incident.pinned.is_some(),
        owner: if waits_for_triage_only && stage == Stage::Queued {
            None
        } else {
            it.owner.clone()
        },
        classification: it.verdict.classification().code(),
        determination: it.verdict.determination().code(),
        created: it.created,
        alerts: u32::try_from(incident.alert_count).unwrap_or(u32::MAX),
        entities: u32::try_from(incident.run_count).unwrap_or(u32::MAX),
    }
}

impl Incident {
    pub(super) fn add(&mut self, alert: &Alert, facts: &Facts) {
        if self.alert_count == 0 {
            self.first_activity = alert.head.first_activity;
            self.last_activity = alert.head.last_activity;
        }
        self.alert_count += 1;
        self.first_activity = self.first_activity.min(alert.head.first_activity);
        self.last_activity = self.last_activity.max(alert.head.last_activity);
        self.facts.join(facts);
    }

    pub(super) fn clear(&mut self) {
        self.alert_count = 0;
        self.run_count = 0;
        self.facts = Facts::default();
    }
}
