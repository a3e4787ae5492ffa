//! Which incident an alert belongs to. Pure: rows in, differences out.
//!
//! Two alerts are *linked* when both mention an entity that is not common, within that entity's
//! gap of each other (see [`gap`](super::entity::gap)). An incident is a connected group of linked
//! alerts. The rule looks at no arrival order, so the same alerts give the same groups in any
//! order and in batches of any size, as long as no human touched the incidents between.
//!
//! An entity becomes *common* in a window of three days when more different parties than its
//! [`cap`](super::entity::cap) share it there (a party, or *anchor*, is the device the alert
//! happened on, else the account); it is then common in that window and the next. Up to there its
//! weight falls in a straight line. A common entity links nothing, and incidents that hang
//! together only through it are taken apart again by [`regroup::regroup`] while nobody works on
//! them.
//!
//! What a caller loads for a batch ([`Needs`] says of which entities and times) and writes after:
//!
//! | rows                         | load                              | write                       |
//! |------------------------------|-----------------------------------|-----------------------------|
//! | run, key (entity, opened by) | `entity in needs.entities and     | `update … set incident =    |
//! |                              | last >= needs.from and            | target where incident =     |
//! |                              | first <= needs.to`                | source` a [`Merge`]; then   |
//! |                              |                                   | [`Outcome::grown_runs`] and |
//! |                              |                                   | [`Outcome::opened_runs`]    |
//! | stat, key (entity, window)   | `entity in needs.entities and     | upsert [`Outcome::stats`]   |
//! |                              | window between needs.window_from  |                             |
//! |                              | and needs.window_to`              |                             |
//! | incident                     | those of the runs loaded          | insert `opened`, redirect   |
//! |                              |                                   | `merged`, count `grown`     |
//! | alert                        | the batch                         | its incident; [`Mention`]s  |
//! |                              |                                   | come again from its body    |
//!
//! Then for each of [`Outcome::regroup`], in the same transaction: load all its alerts with their
//! mentions and the stats of those entities, with what their runs count ([`count_runs`]), store
//! those stats, call `regroup`, replace all its runs, move alerts.
//!
//! After a human moved alerts, the runs of both incidents are replaced by [`regroup::runs_of`], and
//! both are pinned.
//!
//! Invariants: an alert gets exactly one incident; a closed incident gets none and never reopens;
//! a merge keeps to [`mergeable`]. Not here: SQL, names (see `name`), what follows a merge.

mod batch;
pub mod regroup;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use super::entity::{Entity, EntityKind, Side, WINDOW};
use crate::clock::Timestamp;

pub use batch::correlate;

/// Entities two incidents may have together and still merge by themselves (INC-16).
pub const MERGE_ENTITIES: u32 = 20_000;
/// Alerts up to which an incident is regrouped when one of its entities becomes common; beyond
/// it the cost would outweigh what a finer grouping tells anybody.
pub const REGROUP_ALERTS: u32 = 20_000;

/// An entity as correlation sees it in one alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mention {
    /// See [`entity_id`](super::entity::entity_id).
    pub entity_id: i64,
    /// The entity's stored number, see [`Entity::code`].
    pub code: i16,
    /// Which other mentions it may link with.
    pub side: Side,
    /// Weight before commonness, in thousandths; above 0.
    pub weight: u16,
    /// The party that shares the entity here; `None` when the alert names no other party.
    pub anchor: Option<i64>,
}

/// The mentions of an alert's entities: those with weight, each with its anchor.
#[must_use]
pub fn mentions(entities: &[Entity]) -> Vec<Mention> {
    let mut parties: Vec<(u16, i64)> = Vec::new();
    // Parties are listed most telling first; two are enough, because an anchor is the first that
    // is not the thing itself.
    for wanted in [&[EntityKind::Device, EntityKind::DeviceName][..], &[EntityKind::Account]] {
        for entity in entities {
            if parties.len() < 2
                && entity.weight > 0
                && !entity.judged
                && wanted.contains(&entity.kind)
                && parties.iter().all(|(thing, _)| *thing != entity.thing)
            {
                parties.push((entity.thing, entity.id));
            }
        }
    }
    let resolved = entities.iter().find(|entity| {
        let resolved = entity.key.starts_with("oid:") || entity.key.starts_with("sid:");
        entity.kind == EntityKind::Account && entity.weight > 0 && !entity.judged && resolved
    });
    let other = |entity: &Entity| {
        parties.iter().find(|(thing, _)| *thing != entity.thing).map(|(_, id)| *id)
    };
    let anchor = |entity: &Entity| match entity.kind {
        // Names somebody typed are no parties: a guessing attack tries thousands. Accounts a
        // directory knows are: one detection about many people is many matters.
        EntityKind::Repeat => resolved.map(|account| account.id),
        // What may be shared is the name as well: the devices that bear it are its parties.
        EntityKind::DeviceName => entities
            .iter()
            .find(|device| device.thing == entity.thing && device.kind == EntityKind::Device)
            .map_or_else(|| other(entity), |device| Some(device.id)),
        _ => other(entity),
    };
    let telling = entities.iter().filter(|entity| entity.weight > 0);
    telling
        .map(|entity| Mention {
            entity_id: entity.id,
            code: entity.code(),
            side: entity.side,
            weight: entity.weight,
            anchor: anchor(entity),
        })
        .collect()
}

/// An alert with what it mentions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingAlert {
    /// The alert's row id.
    pub alert_id: i64,
    /// Its first activity.
    pub first: Timestamp,
    /// Its last activity; counted at most one window after the first.
    pub last: Timestamp,
    /// What it mentions, see [`mentions`].
    pub mentions: Vec<Mention>,
}

impl PendingAlert {
    /// Activity as microseconds. An end before its beginning is the beginning; an alert that
    /// claims years would otherwise link everything on its device.
    pub(crate) fn span(&self) -> (i64, i64) {
        let first = self.first.micros();
        (first, self.last.micros().clamp(first, first.saturating_add(WINDOW)))
    }

    /// The window its mentions are counted in.
    pub(crate) fn window(&self) -> i32 {
        window_of(self.first)
    }
}

/// The number of the three-day window a moment lies in.
#[must_use]
pub fn window_of(at: Timestamp) -> i32 {
    i32::try_from(at.micros().div_euclid(WINDOW)).unwrap_or(i32::MAX)
}

/// Alerts of one incident that mention one entity, none further than its gap from the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// The entity; with `opened_by` the row's key.
    pub entity_id: i64,
    /// The alert that opened the run.
    pub opened_by: i64,
    /// The incident the alerts are in.
    pub incident_id: i64,
    /// Side of all its mentions.
    pub side: Side,
    /// Earliest activity.
    pub first: Timestamp,
    /// Latest activity.
    pub last: Timestamp,
    /// How many alerts.
    pub alerts: u32,
    /// The window of the alert that opened it.
    pub window: i32,
    /// The party of the alert that opened it, counted in that window. Most entities are never met
    /// with a second one, and need no row to count theirs.
    pub anchor: Option<i64>,
}

/// How many parties shared an entity in one window.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stat {
    /// Distinct anchors, ascending; emptied once the entity is common.
    pub anchors: Vec<i64>,
    /// When more parties than the cap were seen; never taken back.
    pub common_since: Option<Timestamp>,
}

/// Stats by entity and window.
pub type Stats = HashMap<(i64, i32), Stat>;

/// Counts the parties that runs hold.
pub fn count_runs<'a>(stats: &mut Stats, runs: impl IntoIterator<Item = &'a Run>) {
    for run in runs {
        let Some(anchor) = run.anchor else { continue };
        let stat = stats.entry((run.entity_id, run.window)).or_default();
        if stat.common_since.is_none()
            && let Err(place) = stat.anchors.binary_search(&anchor)
        {
            stat.anchors.insert(place, anchor);
        }
    }
}

/// What correlation must know of an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncidentHead {
    /// The incident's row id.
    pub id: i64,
    /// Whether it still takes alerts: neither resolved nor redirected.
    pub open: bool,
    /// Whether a human works on it: assigned, in progress or awaiting the customer.
    pub claimed: bool,
    /// Whether a human moved alerts in or out; it then never merges or splits by itself.
    pub pinned: bool,
    /// The owner.
    pub owner: Option<String>,
    /// Stored number of the classification; 0 is unknown.
    pub classification: i16,
    /// Stored number of the determination; 0 is unknown.
    pub determination: i16,
    /// When it was opened.
    pub created: Timestamp,
    /// How many alerts it has.
    pub alerts: u32,
    /// How many runs it has, a bound on its entities.
    pub entities: u32,
}

/// The rows a batch needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// Entity ids, ascending, without doubles.
    pub entities: Vec<i64>,
    /// Runs that end at or after this matter.
    pub from: Timestamp,
    /// Runs that begin at or before this matter.
    pub to: Timestamp,
    /// First window whose stats matter.
    pub window_from: i32,
    /// Last window whose stats matter.
    pub window_to: i32,
}

/// Which rows to load before [`correlate`].
#[must_use]
pub fn needs(alerts: &[PendingAlert]) -> Needs {
    let mut entities: Vec<i64> =
        alerts.iter().flat_map(|alert| &alert.mentions).map(|mention| mention.entity_id).collect();
    entities.sort_unstable();
    entities.dedup();
    let earliest = alerts.iter().map(|alert| alert.first).min().unwrap_or_default();
    let latest = alerts.iter().map(|alert| alert.span().1).max().unwrap_or_default();
    // A window that becomes common reaches to the end of the next one.
    Needs {
        entities,
        from: earliest.plus_micros(-2 * WINDOW),
        to: Timestamp::from_micros(latest).plus_micros(2 * WINDOW),
        window_from: window_of(earliest).saturating_sub(1),
        window_to: alerts.iter().map(PendingAlert::window).max().unwrap_or_default(),
    }
}

/// The rows loaded for a batch.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// Runs of the batch's entities.
    pub runs: Vec<Run>,
    /// Stats of the batch's entities, as stored; those of `runs` are counted by [`correlate`].
    pub stats: Stats,
    /// The incidents of the runs.
    pub heads: Vec<IncidentHead>,
}

/// Why an alert joined an incident: one shared entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// The shared entity.
    pub entity_id: i64,
    /// What sharing it said at that moment, in thousandths.
    pub weight: u16,
    /// The alert that opened the run it joined: an earlier alert with the entity.
    pub with_alert: i64,
}

/// Where an alert went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// The alert.
    pub alert_id: i64,
    /// Its incident.
    pub incident_id: i64,
    /// Why, strongest first; empty when it opened the incident.
    pub links: Vec<Link>,
}

/// Two incidents that became one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Merge {
    /// The incident that is redirected.
    pub source: i64,
    /// The incident that stays.
    pub target: i64,
    /// The entity through which they were found to be one.
    pub because: i64,
    /// The alert that linked both.
    pub alert_id: i64,
}

/// What an incident gained in a batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Growth {
    /// Alerts placed, without those of merged incidents.
    pub alerts: u32,
    /// Runs added, without those of merged incidents.
    pub entities: u32,
}

/// What changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Where each alert went, in the order of alert ids.
    pub placements: Vec<Placement>,
    /// Incidents opened, ascending; each has at least one placement.
    pub opened: Vec<i64>,
    /// Stored incidents that were merged; a target is never the source of another.
    pub merged: Vec<Merge>,
    /// Gains by incident, opened ones included.
    pub grown: BTreeMap<i64, Growth>,
    /// New runs.
    pub opened_runs: Vec<Run>,
    /// Stored runs that another alert joined: times and number of alerts changed.
    pub grown_runs: Vec<Run>,
    /// Stats that are new or changed, but for those that the runs alone tell.
    pub stats: Vec<((i64, i32), Stat)>,
    /// Entities and windows that became common.
    pub became_common: Vec<(i64, i32)>,
    /// Incidents to regroup because an entity of theirs became common.
    pub regroup: Vec<i64>,
}

/// Whether two incidents may become one without anybody being asked (INC-16).
#[must_use]
pub fn mergeable(one: &IncidentHead, two: &IncidentHead) -> bool {
    let differ = |one: i16, two: i16| one != 0 && two != 0 && one != two;
    one.open
        && two.open
        && !one.pinned
        && !two.pinned
        && (one.owner.is_none() || two.owner.is_none() || one.owner == two.owner)
        && !differ(one.classification, two.classification)
        && !differ(one.determination, two.determination)
        && one.entities.saturating_add(two.entities) <= MERGE_ENTITIES
}

/// Which of two incidents stays after a merge, smallest first: the one somebody works on, else the
/// older, else the smaller id.
#[must_use]
pub fn precedence(head: &IncidentHead) -> (Reverse<bool>, Timestamp, i64) {
    (Reverse(head.claimed), head.created, head.id)
}

/// Whether an entity links nothing in a window.
#[must_use]
pub fn is_common(stats: &Stats, entity_id: i64, window: i32) -> bool {
    let full = |window: i32| {
        stats.get(&(entity_id, window)).is_some_and(|stat| stat.common_since.is_some())
    };
    full(window) || full(window.saturating_sub(1))
}
