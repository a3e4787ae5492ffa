//! Places a batch of alerts: counts who shares what, then links each alert in turn.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::{
    Growth, IncidentHead, Link, Mention, Merge, Outcome, PendingAlert, Placement, REGROUP_ALERTS,
    Run, State, Stats, count_runs, is_common, mergeable, precedence,
};
use crate::clock::Timestamp;
use crate::incident::entity::{self, WINDOW};

/// Places a batch of alerts. `next` gives a fresh incident id at each call; an id given out may
/// stay unused when two opened incidents turn out to be one within the batch.
pub fn correlate(
    state: State,
    mut alerts: Vec<PendingAlert>,
    now: Timestamp,
    next: &mut dyn FnMut() -> i64,
) -> Outcome {
    alerts.sort_unstable_by_key(|alert| alert.alert_id);
    alerts.dedup_by_key(|alert| alert.alert_id);
    let mut batch = Batch::new(state, now);
    // All of the batch is counted before any of it is linked: what becomes common here links
    // nothing of it.
    for alert in &alerts {
        batch.count(alert);
    }
    for alert in &alerts {
        batch.place(alert, next);
    }
    batch.finish()
}

struct Batch {
    now: Timestamp,
    stats: Stats,
    counted: BTreeSet<(i64, i32)>,
    became_common: Vec<(i64, i32)>,
    runs: Vec<Run>,
    /// How many of `runs` are stored.
    stored: usize,
    changed: Vec<bool>,
    by_entity: HashMap<i64, Vec<usize>>,
    heads: HashMap<i64, IncidentHead>,
    /// Incident to the one it was merged into.
    into: HashMap<i64, i64>,
    opened: HashSet<i64>,
    merges: Vec<Merge>,
    placements: Vec<Placement>,
    grown: HashMap<i64, Growth>,
}

/// What the runs of one incident say about an alert.
#[derive(Default)]
struct Candidate {
    total: u32,
    links: Vec<Link>,
}

impl Batch {
    fn new(state: State, now: Timestamp) -> Self {
        let mut by_entity: HashMap<i64, Vec<usize>> = HashMap::with_capacity(state.runs.len());
        for (index, run) in state.runs.iter().enumerate() {
            by_entity.entry(run.entity_id).or_default().push(index);
        }
        let mut counted_here = state.stats;
        count_runs(&mut counted_here, &state.runs);
        Self {
            now,
            stats: counted_here,
            counted: BTreeSet::new(),
            became_common: Vec::new(),
            stored: state.runs.len(),
            changed: vec![false; state.runs.len()],
            runs: state.runs,
            by_entity,
            heads: state.heads.into_iter().map(|head| (head.id, head)).collect(),
            into: HashMap::new(),
            opened: HashSet::new(),
            merges: Vec::new(),
            placements: Vec::new(),
            grown: HashMap::new(),
        }
    }

    fn count(&mut self, alert: &PendingAlert) {
        let window = alert.window();
        for mention in &alert.mentions {
            let Some(anchor) = mention.anchor else { continue };
            let key = (mention.entity_id, window);
            let stat = self.stats.entry(key).or_default();
            if stat.common_since.is_some() {
                continue;
            }
            if let Err(place) = stat.anchors.binary_search(&anchor) {
                stat.anchors.insert(place, anchor);
                self.counted.insert(key);
                if stat.anchors.len() > entity::cap(mention.code) {
                    stat.anchors = Vec::new();
                    stat.common_since = Some(self.now);
                    self.became_common.push(key);
                }
            }
        }
    }

    fn root(&self, mut incident: i64) -> i64 {
        // Merges never form a ring; the bound only says so to the reader.
        for _ in 0..=self.into.len() {
            match self.into.get(&incident) {
                Some(target) => incident = *target,
                None => break,
            }
        }
        incident
    }

    fn place(&mut self, alert: &PendingAlert, next: &mut dyn FnMut() -> i64) {
        let (first, last) = alert.span();
        let window = alert.window();
        let mut candidates: BTreeMap<i64, Candidate> = BTreeMap::new();
        let telling: Vec<&Mention> = alert
            .mentions
            .iter()
            .filter(|mention| !is_common(&self.stats, mention.entity_id, window))
            .collect();
        for mention in &telling {
            let gap = entity::gap(mention.code);
            let mut met: Vec<i64> = Vec::new();
            for index in self.by_entity.get(&mention.entity_id).into_iter().flatten() {
                let Some(run) = self.runs.get(*index) else { continue };
                if !near(run, first, last, gap) || !mention.side.links(run.side) {
                    continue;
                }
                let incident = self.root(run.incident_id);
                let open = self.heads.get(&incident).is_some_and(|head| head.open);
                if !open || met.contains(&incident) {
                    continue;
                }
                met.push(incident);
                let weight = weight(&self.stats, mention, window);
                let candidate = candidates.entry(incident).or_default();
                candidate.total += u32::from(weight);
                let entity_id = mention.entity_id;
                candidate.links.push(Link { entity_id, weight, with_alert: run.opened_by });
            }
        }
        let incident_id = self.choose(&mut candidates, alert.alert_id, next);
        let mut links: Vec<Link> = std::mem::take(&mut candidates)
            .into_iter()
            .filter(|(incident, _)| self.root(*incident) == incident_id)
            .flat_map(|(_, candidate)| candidate.links)
            .collect();
        links.sort_unstable_by_key(|link| (Reverse(link.weight), link.entity_id, link.with_alert));
        links.dedup_by_key(|link| link.entity_id);
        for mention in telling {
            self.extend(mention, alert, incident_id);
        }
        self.grown.entry(incident_id).or_default().alerts += 1;
        self.placements.push(Placement { alert_id: alert.alert_id, incident_id, links });
    }

    /// The incident for an alert: a new one, the only one linked, or what is left after merging
    /// those linked as far as the rules let them.
    fn choose(
        &mut self,
        candidates: &mut BTreeMap<i64, Candidate>,
        alert_id: i64,
        next: &mut dyn FnMut() -> i64,
    ) -> i64 {
        if candidates.is_empty() {
            let id = next();
            let head = IncidentHead {
                id,
                open: true,
                claimed: false,
                pinned: false,
                owner: None,
                classification: 0,
                determination: 0,
                created: self.now,
                alerts: 0,
                entities: 0,
            };
            self.heads.insert(id, head);
            self.opened.insert(id);
            return id;
        }
        let mut order: Vec<i64> = candidates.keys().copied().collect();
        order.sort_by_key(|id| self.heads.get(id).map(precedence));
        let mut kept: Vec<i64> = Vec::new();
        for source in order {
            let target = kept.iter().copied().find(|target| {
                match (self.heads.get(target), self.heads.get(&source)) {
                    (Some(target), Some(source)) => mergeable(target, source),
                    _ => false,
                }
            });
            match target {
                Some(target) => {
                    let because = candidates.remove(&source).map(|joined| {
                        let best = joined.links.iter().max_by_key(|link| link.weight);
                        let because = best.map_or(0, |link| link.entity_id);
                        let candidate = candidates.entry(target).or_default();
                        candidate.total = candidate.total.saturating_add(joined.total);
                        candidate.links.extend(joined.links);
                        because
                    });
                    self.merge(source, target, because.unwrap_or_default(), alert_id);
                }
                None => kept.push(source),
            }
        }
        let best = kept.into_iter().min_by_key(|id| {
            let total = candidates.get(id).map_or(0, |candidate| candidate.total);
            (Reverse(total), self.heads.get(id).map(|head| (head.created, head.id)))
        });
        best.unwrap_or_default()
    }

    fn merge(&mut self, source: i64, target: i64, because: i64, alert_id: i64) {
        self.into.insert(source, target);
        self.merges.push(Merge { source, target, because, alert_id });
        let Some(gone) = self.heads.get_mut(&source) else { return };
        gone.open = false;
        let (alerts, entities) = (gone.alerts, gone.entities);
        // What the target lacks it takes over, so that a third incident is compared with both.
        let (owner, classification, determination) =
            (gone.owner.clone(), gone.classification, gone.determination);
        if let Some(head) = self.heads.get_mut(&target) {
            head.alerts = head.alerts.saturating_add(alerts);
            head.entities = head.entities.saturating_add(entities);
            head.owner = head.owner.take().or(owner);
            if head.classification == 0 {
                head.classification = classification;
            }
            if head.determination == 0 {
                head.determination = determination;
            }
        }
    }

    /// Puts a mention into a run of its incident, or opens one.
    fn extend(&mut self, mention: &Mention, alert: &PendingAlert, incident: i64) {
        let (first, last) = alert.span();
        let gap = entity::gap(mention.code);
        let indexes = self.by_entity.entry(mention.entity_id).or_default();
        let into = &self.into;
        let root = |mut id: i64| {
            for _ in 0..=into.len() {
                match into.get(&id) {
                    Some(target) => id = *target,
                    None => break,
                }
            }
            id
        };
        let found = indexes.iter().copied().find(|index| {
            self.runs.get(*index).is_some_and(|run| {
                run.side == mention.side
                    && near(run, first, last, gap)
                    && root(run.incident_id) == incident
            })
        });
        let (first, last) = (Timestamp::from_micros(first), Timestamp::from_micros(last));
        if let Some(index) = found {
            if let (Some(run), Some(changed)) =
                (self.runs.get_mut(index), self.changed.get_mut(index))
            {
                run.first = run.first.min(first);
                run.last = run.last.max(last);
                run.alerts = run.alerts.saturating_add(1);
                *changed = true;
            }
            return;
        }
        indexes.push(self.runs.len());
        self.runs.push(Run {
            entity_id: mention.entity_id,
            opened_by: alert.alert_id,
            incident_id: incident,
            side: mention.side,
            first,
            last,
            alerts: 1,
            window: alert.window(),
            anchor: mention.anchor,
        });
        self.changed.push(true);
        self.grown.entry(incident).or_default().entities += 1;
        if let Some(head) = self.heads.get_mut(&incident) {
            head.entities = head.entities.saturating_add(1);
        }
    }

    fn finish(mut self) -> Outcome {
        let mut grown: BTreeMap<i64, Growth> = BTreeMap::new();
        for (incident, growth) in std::mem::take(&mut self.grown) {
            let sum = grown.entry(self.root(incident)).or_default();
            sum.alerts += growth.alerts;
            sum.entities += growth.entities;
        }
        let mut regroup = BTreeSet::new();
        for (entity_id, window) in &self.became_common {
            let from = i64::from(*window).saturating_mul(WINDOW);
            let to = from.saturating_add(2 * WINDOW);
            for index in self.by_entity.get(entity_id).into_iter().flatten() {
                let Some(run) = self.runs.get(*index) else { continue };
                let id = self.root(run.incident_id);
                let grown = grown.get(&id).map_or(0, |growth| growth.alerts);
                if run.last.micros() >= from
                    && run.first.micros() < to
                    && self.heads.get(&id).is_some_and(|head| {
                        head.open
                            && !head.claimed
                            && !head.pinned
                            && head.alerts.saturating_add(grown) <= REGROUP_ALERTS
                    })
                {
                    regroup.insert(id);
                }
            }
        }
        let mut opened: Vec<i64> =
            self.opened.iter().filter(|id| !self.into.contains_key(id)).copied().collect();
        opened.sort_unstable();
        let mut merged = std::mem::take(&mut self.merges);
        merged.retain(|merge| !self.opened.contains(&merge.source));
        for merge in &mut merged {
            merge.target = self.root(merge.target);
        }
        let mut placements = std::mem::take(&mut self.placements);
        for placement in &mut placements {
            placement.incident_id = self.root(placement.incident_id);
        }
        let mut told = Stats::new();
        count_runs(&mut told, &self.runs);
        let stats = std::mem::take(&mut self.counted)
            .into_iter()
            .filter_map(|key| self.stats.remove(&key).map(|stat| (key, stat)))
            .filter(|(key, stat)| told.get(key) != Some(stat))
            .collect();
        let runs = self.runs.iter().zip(&self.changed).enumerate();
        let runs = runs.filter(|(_, (_, changed))| **changed);
        let runs = runs.map(|(index, (run, _))| {
            (index < self.stored, Run { incident_id: self.root(run.incident_id), ..*run })
        });
        let (grown_runs, opened_runs): (Vec<_>, Vec<_>) = runs.partition(|(stored, _)| *stored);
        let only = |runs: Vec<(bool, Run)>| runs.into_iter().map(|(_, run)| run).collect();
        Outcome {
            placements,
            opened,
            merged,
            grown,
            opened_runs: only(opened_runs),
            grown_runs: only(grown_runs),
            stats,
            became_common: self.became_common,
            regroup: regroup.into_iter().collect(),
        }
    }
}

fn near(run: &Run, first: i64, last: i64, gap: i64) -> bool {
    first <= run.last.micros().saturating_add(gap) && run.first.micros() <= last.saturating_add(gap)
}

/// The weight of a mention in a window: its own, less by each further party that shares it.
fn weight(stats: &Stats, mention: &Mention, window: i32) -> u16 {
    let cap = entity::cap(mention.code);
    let parties = stats.get(&(mention.entity_id, window)).map_or(0, |stat| stat.anchors.len());
    let others = parties.saturating_sub(1).min(cap);
    if others == 0 {
        return mention.weight;
    }
    let (cap, others) = (cap as u64, others as u64);
    ((u64::from(mention.weight) * (cap + 1 - others) / (cap + 1)) as u16).max(1)
}
