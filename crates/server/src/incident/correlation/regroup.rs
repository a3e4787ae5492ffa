//! Groups the alerts of one incident anew: after an entity became common, or to see what the
//! runs are after a human moved alerts.
//!
//! Both functions look at all alerts of the incidents concerned at once, so their result does not
//! depend on how the incident came to be.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::{PendingAlert, Run, Stats, is_common, window_of};
use crate::clock::Timestamp;
use crate::incident::entity::{self, Side};

/// Alerts that belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Their incident.
    pub incident_id: i64,
    /// Their ids, ascending.
    pub alerts: Vec<i64>,
}

/// An incident taken apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Regrouped {
    /// The pieces; the first keeps the incident, the others are new incidents. One piece means
    /// that nothing changed.
    pub pieces: Vec<Piece>,
    /// All runs of all pieces: they replace every stored run of the incident.
    pub runs: Vec<Run>,
}

/// Takes an incident apart where only common entities held it together. `members` are all its
/// alerts, `stats` those of all their entities in the windows of the alerts and the windows
/// before. The largest piece keeps the incident, of equals the one with the smallest alert id;
/// `next` gives a fresh incident id for each other piece.
pub fn regroup(
    incident_id: i64,
    members: &[PendingAlert],
    stats: &Stats,
    next: &mut dyn FnMut() -> i64,
) -> Regrouped {
    let mut sets = Sets::new(members.len());
    // Sightings with sides come last: by then most of them are one group already, which keeps
    // the lists of groups short.
    let (plain, sided) = by_entity(members, stats);
    for sightings in plain.into_values().chain(sided.into_values()) {
        link(sightings, &mut sets);
    }
    let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for member in 0..members.len() {
        groups.entry(sets.root(member)).or_default().push(member);
    }
    let id = |member: &usize| members.get(*member).map_or(i64::MAX, |alert| alert.alert_id);
    let mut groups: Vec<Vec<usize>> = groups.into_values().collect();
    groups.sort_by_key(|group| (Reverse(group.len()), group.iter().map(id).min()));
    let mut out = Regrouped::default();
    for (place, group) in groups.into_iter().enumerate() {
        let incident_id = if place == 0 { incident_id } else { next() };
        let alerts: Vec<&PendingAlert> =
            group.iter().filter_map(|member| members.get(*member)).collect();
        out.runs.extend(runs_of(incident_id, &alerts, stats));
        let mut alerts: Vec<i64> = alerts.iter().map(|alert| alert.alert_id).collect();
        alerts.sort_unstable();
        out.pieces.push(Piece { incident_id, alerts });
    }
    out
}

/// The runs of an incident that has these alerts: what replaces its stored runs after alerts were
/// moved in or out by hand.
#[must_use]
pub fn runs_of(incident_id: i64, members: &[&PendingAlert], stats: &Stats) -> Vec<Run> {
    let mut sightings: Vec<(i64, i16, i64, i64, i64, i16)> = Vec::new();
    for alert in members {
        let (first, last) = alert.span();
        let window = alert.window();
        for mention in &alert.mentions {
            if !is_common(stats, mention.entity_id, window) {
                let side = mention.side.code();
                sightings.push((
                    mention.entity_id,
                    side,
                    first,
                    last,
                    alert.alert_id,
                    mention.code,
                ));
            }
        }
    }
    sightings.sort_unstable();
    let mut runs: Vec<Run> = Vec::new();
    for (entity_id, side, first, last, opened_by, code) in sightings {
        let (side, gap) = (Side::from_code(side), entity::gap(code));
        let (first, last) = (Timestamp::from_micros(first), Timestamp::from_micros(last));
        match runs.last_mut() {
            Some(run)
                if run.entity_id == entity_id
                    && run.side == side
                    && first <= run.last.plus_micros(gap) =>
            {
                run.last = run.last.max(last);
                run.alerts = run.alerts.saturating_add(1);
            }
            _ => {
                runs.push(Run {
                    entity_id,
                    opened_by,
                    incident_id,
                    side,
                    first,
                    last,
                    alerts: 1,
                    window: window_of(first),
                    // Counted in a stored stat when the run it replaces went.
                    anchor: None,
                });
            }
        }
    }
    runs
}

/// First and last activity, place in `members`, side and gap of one mention.
type Sighting = (i64, i64, usize, i16, i64);

type Sightings = BTreeMap<i64, Vec<Sighting>>;

/// The sightings of each entity, apart those of entities with sides.
fn by_entity(members: &[PendingAlert], stats: &Stats) -> (Sightings, Sightings) {
    let mut all = Sightings::new();
    for (member, alert) in members.iter().enumerate() {
        let (first, last) = alert.span();
        let window = alert.window();
        for mention in &alert.mentions {
            if !is_common(stats, mention.entity_id, window) {
                let gap = entity::gap(mention.code);
                let sighting = (first, last, member, mention.side.code(), gap);
                all.entry(mention.entity_id).or_default().push(sighting);
            }
        }
    }
    all.into_iter().partition(|(_, sightings)| {
        sightings.iter().all(|(_, _, _, side, _)| *side == Side::Any.code())
    })
}

/// Joins the members of one entity's sightings, which are in order of time. Sightings met by a
/// later one become one group, of which only the latest end still matters, so each is looked at
/// about once.
fn link(mut sightings: Vec<Sighting>, sets: &mut Sets) {
    sightings.sort_unstable();
    let mut open: [Vec<(i64, usize)>; 3] = Default::default();
    for (first, last, member, side, gap) in sightings {
        let own = Side::from_code(side);
        for other in [Side::Any, Side::One, Side::Two] {
            let Some(open) = usize::try_from(other.code()).ok().and_then(|at| open.get_mut(at))
            else {
                continue;
            };
            open.retain(|(end, _)| end.saturating_add(gap) >= first);
            if own.links(other) && !open.is_empty() {
                for (_, earlier) in open.iter() {
                    sets.join(*earlier, member);
                }
                let end = open.iter().map(|(end, _)| *end).max().unwrap_or(last);
                *open = vec![(end, member)];
            }
        }
        let mine = usize::try_from(own.code()).ok().and_then(|at| open.get_mut(at));
        if let Some(mine) = mine {
            // Of one group only the latest end matters; all of `Any` are one group by now.
            let root = sets.root(member);
            let same = mine.iter_mut().find(|(_, earlier)| sets.root(*earlier) == root);
            match same {
                Some(group) => group.0 = group.0.max(last),
                None => mine.push((last, member)),
            }
        }
    }
}

/// Disjoint sets by path halving and size.
struct Sets {
    parent: Vec<usize>,
    size: Vec<usize>,
}

impl Sets {
    fn new(count: usize) -> Self {
        Self { parent: (0..count).collect(), size: vec![1; count] }
    }

    fn root(&mut self, mut member: usize) -> usize {
        while let Some(&up) = self.parent.get(member)
            && up != member
        {
            let above = self.parent.get(up).copied().unwrap_or(up);
            if let Some(slot) = self.parent.get_mut(member) {
                *slot = above;
            }
            member = above;
        }
        member
    }

    fn join(&mut self, one: usize, two: usize) {
        let (one, two) = (self.root(one), self.root(two));
        if one == two {
            return;
        }
        let size = |at: usize| self.size.get(at).copied().unwrap_or_default();
        let (large, small) = if size(one) < size(two) { (two, one) } else { (one, two) };
        let sum = size(one) + size(two);
        if let (Some(up), Some(count)) = (self.parent.get_mut(small), self.size.get_mut(large)) {
            *up = large;
            *count = sum;
        }
    }
}
