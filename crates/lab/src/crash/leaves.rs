//! Judges the audit leaves against the journal: each promise has its own leaf.
//!
//! Pure, as the checker is. A leaf is what the audit search shows of it; that the tree itself holds
//! together is for `audit verify` to say.

use std::collections::{BTreeMap, HashSet};

use super::checker::{TenantSeen, names};
use super::journal::{Call, Op, Outcome};

/// An audit record as the search shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Leaf {
    /// Its place in the tenant's log.
    pub(crate) position: u64,
    /// What happened, such as `alert.received`.
    pub(crate) operation: String,
    /// The incident it is about.
    pub(crate) incident: Option<String>,
    /// The alert it is about.
    pub(crate) alert: Option<String>,
    /// What it says came to be: the id the source gave an alert, the new values of a change, the
    /// text of a comment. Not what was there before.
    pub(crate) says: String,
}

/// Everything wrong with the leaves of one tenant.
pub(super) fn faults(calls: &[&Call], tenant: &TenantSeen) -> Vec<String> {
    let mut faults = Vec::new();
    let Some(leaves) = &tenant.leaves else { return faults };
    for (place, leaf) in leaves.iter().enumerate() {
        if leaf.position != place as u64 {
            faults.push(format!("the log has position {} at place {place}", leaf.position));
            break;
        }
    }
    received(tenant, leaves, &mut faults);
    opened(tenant, leaves, &mut faults);
    for call in calls {
        let (operation, incident, mark) = match &call.op {
            Op::Patch { incident, mark } => ("incident.changed", incident, mark),
            Op::Comment { incident, mark } => ("incident.commented", incident, mark),
            Op::Alerts { .. } | Op::Read { .. } => continue,
        };
        let count = leaves
            .iter()
            .filter(|leaf| leaf.operation == operation)
            .filter(|leaf| leaf.incident.as_ref() == Some(incident) && names(&leaf.says, mark))
            .count();
        let fits = match &call.outcome {
            Outcome::Ok { .. } => count == 1,
            Outcome::Info { .. } => count <= 1,
            Outcome::Fail { .. } => count == 0,
        };
        if !fits {
            let end = match &call.outcome {
                Outcome::Ok { .. } => "acknowledged",
                Outcome::Info { .. } => "left open",
                Outcome::Fail { .. } => "refused",
            };
            let what = format!("{mark} of incident {incident} was {end}");
            faults.push(format!("{what} and has {count} leaves {operation}"));
        }
    }
    faults
}

/// Each alert has one leaf that received it, under the id its source gave, and no other has any.
fn received(tenant: &TenantSeen, leaves: &[Leaf], faults: &mut Vec<String>) {
    let mut by_alert: BTreeMap<&str, Vec<&Leaf>> = BTreeMap::new();
    for leaf in leaves.iter().filter(|leaf| leaf.operation == "alert.received") {
        by_alert.entry(leaf.alert.as_deref().unwrap_or_default()).or_default().push(leaf);
    }
    for alert in &tenant.alerts {
        let own = by_alert.remove(alert.id.as_str()).unwrap_or_default();
        let id = &alert.id;
        match own.as_slice() {
            [leaf] if leaf.says == alert.source_id => {}
            [leaf] => {
                let (says, is) = (&leaf.says, &alert.source_id);
                faults
                    .push(format!("the leaf of alert {id} received {says:?}, the alert is {is:?}"));
            }
            many => faults.push(format!("alert {id} has {} leaves alert.received", many.len())),
        }
    }
    for id in by_alert.keys() {
        faults.push(format!("a leaf received alert {id}, which is not there"));
    }
}

/// Each incident is named by a leaf.
fn opened(tenant: &TenantSeen, leaves: &[Leaf], faults: &mut Vec<String>) {
    let named: HashSet<&str> = leaves.iter().filter_map(|leaf| leaf.incident.as_deref()).collect();
    for id in tenant.incidents.iter().map(|incident| incident.id.as_str()) {
        if !named.contains(id) {
            faults.push(format!("incident {id} has no leaf"));
        }
    }
}
