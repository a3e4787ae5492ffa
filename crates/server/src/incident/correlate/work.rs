//! Incidents on their way through a change: as loaded, and as they will be saved.

use std::collections::{BTreeMap, BTreeSet};

use crate::actor::Actor;
use crate::clock::Timestamp;
use crate::db::Transaction;
use crate::error::{Error, Result};
use crate::event::Fact;
use crate::id::IncidentId;
use crate::incident::model::{self, Refusal, Step};
use crate::incident::{Incident, refused, store};
use crate::tx::Tx;

/// What an incident is found by besides columns and tags.
type Facets = BTreeSet<(&'static str, String)>;

fn facets(incident: &Incident) -> Facets {
    incident.facts.facets().map(|(kind, value)| (kind, value.to_owned())).collect()
}

/// See the module.
#[derive(Default)]
pub(in crate::incident) struct Work {
    before: BTreeMap<IncidentId, model::Incident>,
    facets: BTreeMap<IncidentId, Facets>,
    now: BTreeMap<IncidentId, Incident>,
    touched: BTreeSet<IncidentId>,
    facts: Vec<(Actor, Fact)>,
}

impl Work {
    /// Takes up a loaded incident.
    pub(in crate::incident) fn hold(&mut self, incident: Incident) {
        self.before.insert(incident.id, incident.model.clone());
        self.facets.insert(incident.id, facets(&incident));
        self.now.insert(incident.id, incident);
    }

    /// The incident of an id taken up before.
    pub(in crate::incident) fn get(&mut self, id: IncidentId) -> Result<&mut Incident> {
        self.touched.insert(id);
        self.now
            .get_mut(&id)
            .ok_or_else(|| Error::Internal(format!("incident {id} was not loaded")))
    }

    /// Puts a new incident in.
    pub(in crate::incident) fn open(&mut self, incident: Incident) {
        self.touched.insert(incident.id);
        self.now.insert(incident.id, incident);
    }

    /// Notes what happened, by this transaction's actor or another.
    pub(in crate::incident) fn note(&mut self, actor: Actor, fact: Fact) {
        self.facts.push((actor, fact));
    }

    /// Lets the model decide on one incident and keeps the outcome.
    pub(in crate::incident) fn step(
        &mut self,
        id: IncidentId,
        decide: impl FnOnce(model::Incident) -> std::result::Result<Step, Refusal>,
    ) -> Result<Option<Step>> {
        let incident = self.get(id)?;
        let step = decide(incident.model.clone()).map_err(refused)?;
        incident.model = step.incident.clone();
        Ok(step.changed().then_some(step))
    }

    /// When each incident was changed last, as loaded.
    pub(super) fn loaded(&self) -> impl Iterator<Item = (IncidentId, Timestamp)> {
        self.before.iter().map(|(id, incident)| (*id, incident.updated))
    }

    /// The incidents in hand.
    pub(super) fn incidents(&self) -> impl Iterator<Item = &Incident> {
        self.now.values()
    }

    /// What happened so far; it is told once.
    pub(super) fn take_facts(&mut self) -> Vec<(Actor, Fact)> {
        std::mem::take(&mut self.facts)
    }

    /// Gives every incident that was touched its next `lastUpdateDateTime`.
    pub(super) fn stamp(&mut self, mut next_update: impl FnMut() -> Timestamp) {
        for id in &self.touched {
            if let Some(incident) = self.now.get_mut(id) {
                incident.model.updated = next_update();
            }
        }
    }

    /// Writes every incident that was touched and records what happened.
    pub(in crate::incident) async fn save(mut self, tx: &mut Tx) -> Result<()> {
        self.stamp(|| tx.next_update());
        Self::save_all(tx, &[&self]).await?;
        for (actor, fact) in self.take_facts() {
            tx.record_as(actor, fact);
        }
        Ok(())
    }

    /// Writes every stamped incident of several works.
    pub(super) async fn save_all(tx: &Transaction, works: &[&Self]) -> Result<()> {
        let touched: Vec<(&Self, &Incident)> = works
            .iter()
            .flat_map(|work| work.touched.iter().map(move |id| (*work, id)))
            .filter_map(|(work, id)| Some((work, work.now.get(id)?)))
            .collect();
        let as_before = |(work, incident): &(&Self, &Incident)| {
            let before = work.before.get(&incident.id);
            before.is_some_and(|before| store::is_found_as_before(before, &incident.model))
        };
        let (grown, others): (Vec<_>, Vec<_>) =
            touched.iter().copied().partition(|one| as_before(one));
        let others: Vec<&Incident> = others.into_iter().map(|(_, incident)| incident).collect();
        let grown: Vec<&Incident> = grown.into_iter().map(|(_, incident)| incident).collect();
        store::save(tx, &others).await?;
        store::save_grown(tx, &grown).await?;
        let (mut fresh, mut gone) = (Vec::new(), Vec::new());
        for (work, incident) in &touched {
            let none = Facets::new();
            let before = work.facets.get(&incident.id).unwrap_or(&none);
            let after = facets(incident);
            fresh.extend(after.difference(before).map(|one| (incident.id, one.clone())));
            gone.extend(before.difference(&after).map(|one| (incident.id, one.clone())));
        }
        store::save_facets(tx, fresh, gone).await?;
        let mut opened: Vec<&Incident> = Vec::new();
        for (work, incident) in touched {
            let Some(before) = work.before.get(&incident.id) else {
                opened.push(incident);
                continue;
            };
            let same = before.custom_tags == incident.model.custom_tags
                && before.system_tags == incident.model.system_tags;
            if !same {
                store::save_tags(tx, incident.id, Some(before), &incident.model).await?;
            }
        }
        store::save_first_tags(tx, &opened).await
    }
}
