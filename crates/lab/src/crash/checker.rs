//! Judges what is in the server against what the journal says was promised.
//!
//! Pure: a journal and an observation in, violations out. It knows nothing of processes or HTTP,
//! so every violation it should find is planted in its tests.
//!
//! - I1: an acknowledged alert is there exactly once, an unknown one at most once, a refused or
//!   never sent one not at all; the counts of every intake reply add up.
//! - I3: nothing is forgotten: after settling every alert has its incident.
//! - I5: the audit tree verifies; each alert has exactly one leaf that received it, each
//!   acknowledged change and comment exactly one of its own, a refused one none, each incident some.
//! - I6: counts equal rows, and both sides of the alert–incident link agree.
//! - I7: a tenant sees nothing of another.
//! - I8: an acknowledged change is there, an unknown one wholly or not at all, a refused one not.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::journal::{Call, Counts, Op, Outcome};
use super::leaves::{self, Leaf};
use crate::server::Verified;

/// Everything seen of the server once it has settled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// By the number the journal gives each tenant.
    pub(crate) tenants: Vec<TenantSeen>,
    /// The verification of the audit trees, when the binary has it.
    pub(crate) audit: Option<Verified>,
}

/// What one tenant's application sees.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TenantSeen {
    /// The tenant's id.
    pub(crate) tenant_id: String,
    /// The word that is in everything sent for this tenant and nowhere else.
    pub(crate) canary: String,
    /// The canaries of all tenants found in any reply to this one.
    pub(crate) canaries: BTreeSet<String>,
    /// All alerts.
    pub(crate) alerts: Vec<AlertSeen>,
    /// All incidents.
    pub(crate) incidents: Vec<IncidentSeen>,
    /// What `$count` says of alerts.
    pub(crate) alert_count: Option<u64>,
    /// What `$count` says of incidents.
    pub(crate) incident_count: Option<u64>,
    /// The audit log, in its order; none when it was not read.
    pub(crate) leaves: Option<Vec<Leaf>>,
}

/// An alert as the Graph face shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AlertSeen {
    /// Its id.
    pub(crate) id: String,
    /// The id its source gave it.
    pub(crate) source_id: String,
    /// Its incident.
    pub(crate) incident: Option<String>,
    /// Its tenant.
    pub(crate) tenant_id: String,
}

/// An incident as the Graph face shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct IncidentSeen {
    /// Its id.
    pub(crate) id: String,
    /// Its tenant.
    pub(crate) tenant_id: String,
    /// The incident it was merged into.
    pub(crate) redirect: Option<String>,
    /// Its custom tags.
    pub(crate) tags: BTreeSet<String>,
    /// Its description.
    pub(crate) description: Option<String>,
    /// The ids of its alerts by `$expand`.
    pub(crate) alerts: Vec<String>,
    /// The texts of its comments.
    pub(crate) comments: Vec<String>,
    /// Each entry of its activity log as text; none when it was not asked for.
    pub(crate) timeline: Option<Vec<String>>,
}

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    /// Which invariant it breaks, such as `I1`.
    pub(crate) invariant: &'static str,
    /// What is wrong, with ids.
    pub(crate) message: String,
}

/// The two tags a PATCH with this mark sets.
pub(crate) fn tags(mark: &str) -> [String; 2] {
    [format!("{mark}-a"), format!("{mark}-b")]
}

/// Everything that is wrong.
pub(crate) fn check(calls: &[Call], seen: &Seen) -> Vec<Violation> {
    let mut found = Found(Vec::new());
    for (number, tenant) in seen.tenants.iter().enumerate() {
        let calls: Vec<&Call> = calls.iter().filter(|call| call.tenant == number).collect();
        alerts_once(&calls, tenant, &mut found);
        replies_add_up(&calls, &mut found);
        links_agree(tenant, &mut found);
        walls_hold(tenant, &mut found);
        changes_whole(&calls, tenant, &mut found);
        for fault in leaves::faults(&calls, tenant) {
            found.add("I5", fault);
        }
    }
    audit_holds(seen, &mut found);
    found.0
}

struct Found(Vec<Violation>);

impl Found {
    fn add(&mut self, invariant: &'static str, message: String) {
        self.0.push(Violation { invariant, message });
    }
}

#[derive(Clone, Copy, Default)]
struct Promise {
    acknowledged: bool,
    unknown: bool,
}

fn alerts_once(calls: &[&Call], tenant: &TenantSeen, found: &mut Found) {
    let mut promises: BTreeMap<&str, Promise> = BTreeMap::new();
    for call in calls {
        let Op::Alerts { ids } = &call.op else { continue };
        for (place, id) in ids.iter().enumerate() {
            let promise = promises.entry(id).or_default();
            match &call.outcome {
                Outcome::Ok { counts, .. } => {
                    let refused = counts
                        .as_ref()
                        .is_some_and(|counts| counts.errors.contains(&(place as u64)));
                    promise.acknowledged |= !refused;
                }
                Outcome::Info { .. } => promise.unknown = true,
                Outcome::Fail { .. } => {}
            }
        }
    }
    let mut there: HashMap<&str, Vec<&str>> = HashMap::new();
    for alert in &tenant.alerts {
        there.entry(&alert.source_id).or_default().push(&alert.id);
        if alert.incident.is_none() {
            let AlertSeen { id, source_id, .. } = alert;
            found.add("I3", format!("alert {id} ({source_id}) has no incident"));
        }
    }
    for (id, promise) in &promises {
        let copies = there.get(id).map(Vec::as_slice).unwrap_or_default();
        match copies {
            [] if promise.acknowledged => {
                found.add("I1", format!("alert {id} was acknowledged and is lost"));
            }
            [one] if !promise.acknowledged && !promise.unknown => {
                found.add("I1", format!("alert {id} was refused and is there as {one}"));
            }
            [] | [_] => {}
            many => found.add("I1", format!("alert {id} is there {} times: {many:?}", many.len())),
        }
    }
    for id in there.keys().filter(|id| !promises.contains_key(*id)) {
        found.add("I1", format!("alert {id} was never sent to this tenant"));
    }
    let ids: HashSet<&str> = tenant.alerts.iter().map(|alert| alert.id.as_str()).collect();
    if ids.len() != tenant.alerts.len() {
        found.add("I6", "paging over alerts gives rows twice".to_owned());
    }
}

fn replies_add_up(calls: &[&Call], found: &mut Found) {
    // When each id was first known to be on disk, by journal line.
    let mut known: HashMap<&str, u64> = HashMap::new();
    for call in calls {
        let (Op::Alerts { ids }, Outcome::Ok { counts: Some(counts), .. }, Some(ended)) =
            (&call.op, &call.outcome, call.ended)
        else {
            continue;
        };
        let line = call.invoked;
        let Counts { received, accepted, duplicates, ignored, rejected, .. } = counts;
        let sum =
            accepted.saturating_add(*duplicates).saturating_add(*ignored).saturating_add(*rejected);
        if *received != ids.len() as u64 || sum != *received {
            found
                .add("I1", format!("the reply to journal line {line} does not add up: {counts:?}"));
        }
        // Calls come in the order of their beginning, so an id counts as known only when its
        // first acknowledgement was in the journal before this request left.
        let repeats = |id: &String| known.get(id.as_str()).is_some_and(|at| *at < line);
        if *accepted > 0 && ids.iter().all(repeats) {
            found
                .add("I1", format!("journal line {line}: alerts known before were accepted again"));
        }
        if counts.errors.is_empty() {
            for id in ids {
                let at = known.entry(id).or_insert(ended);
                *at = (*at).min(ended);
            }
        }
    }
}

fn links_agree(tenant: &TenantSeen, found: &mut Found) {
    for (what, count, rows) in [
        ("alerts", tenant.alert_count, tenant.alerts.len()),
        ("incidents", tenant.incident_count, tenant.incidents.len()),
    ] {
        if count.is_some_and(|count| count != rows as u64) {
            found.add("I6", format!("$count of {what} is {count:?} and there are {rows}"));
        }
    }
    let mut linked: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for alert in &tenant.alerts {
        if let Some(incident) = &alert.incident {
            linked.entry(incident).or_default().insert(&alert.id);
        }
    }
    let mut listed: HashSet<&str> = HashSet::new();
    for incident in &tenant.incidents {
        let id = incident.id.as_str();
        if !listed.insert(id) {
            found.add("I6", format!("paging over incidents gives {id} twice"));
        }
        let own: BTreeSet<&str> = incident.alerts.iter().map(String::as_str).collect();
        let theirs = linked.remove(id).unwrap_or_default();
        if own != theirs || own.len() != incident.alerts.len() {
            let (own, theirs) = (incident.alerts.len(), theirs.len());
            found
                .add("I6", format!("incident {id} shows {own} alerts and {theirs} alerts name it"));
        }
    }
    for (id, alerts) in linked {
        found.add("I6", format!("{} alerts name incident {id}, which is not there", alerts.len()));
    }
}

fn walls_hold(tenant: &TenantSeen, found: &mut Found) {
    for canary in tenant.canaries.iter().filter(|canary| **canary != tenant.canary) {
        found.add("I7", format!("tenant {} sees {canary}", tenant.canary));
    }
    let alerts = tenant.alerts.iter().map(|alert| (&alert.id, &alert.tenant_id));
    let incidents = tenant.incidents.iter().map(|incident| (&incident.id, &incident.tenant_id));
    for (id, shown) in alerts.chain(incidents) {
        if *shown != tenant.tenant_id {
            found.add("I7", format!("tenant {} is shown {id} of {shown:?}", tenant.tenant_id));
        }
    }
}

fn changes_whole(calls: &[&Call], tenant: &TenantSeen, found: &mut Found) {
    let incidents: HashMap<&str, &IncidentSeen> =
        tenant.incidents.iter().map(|incident| (incident.id.as_str(), incident)).collect();
    let mut patches: BTreeMap<&str, Vec<(&str, &Outcome)>> = BTreeMap::new();
    for call in calls {
        match &call.op {
            Op::Patch { incident, mark } => {
                patches.entry(incident).or_default().push((mark, &call.outcome));
            }
            Op::Comment { incident, mark } => {
                comment_whole(&incidents, incident, mark, &call.outcome, found);
            }
            Op::Alerts { .. } | Op::Read { .. } => {}
        }
    }
    for (id, marks) in patches {
        match incidents.get(id) {
            None => found.add("I8", format!("incident {id} was changed and is not there")),
            // Tags of a merged incident live on in its target, mixed with others.
            Some(incident) if incident.redirect.is_some() => {}
            Some(incident) => patches_whole(incident, &marks, found),
        }
    }
}

/// Patches of one incident, in order; one client makes them one after the other.
fn patches_whole(incident: &IncidentSeen, patches: &[(&str, &Outcome)], found: &mut Found) {
    let id = &incident.id;
    let shown: Vec<&str> = patches
        .iter()
        .map(|(mark, _)| *mark)
        .filter(|mark| tags(mark).iter().any(|tag| incident.tags.contains(tag)))
        .collect();
    if shown.len() > 1 {
        found.add("I8", format!("incident {id} has the tags of several changes: {shown:?}"));
        return;
    }
    let current = shown.first().copied();
    if let Some(mark) = current
        && !tags(mark).iter().all(|tag| incident.tags.contains(tag))
    {
        found.add("I8", format!("incident {id} has half of the tags of {mark}"));
    }
    let acknowledged =
        patches.iter().rposition(|(_, outcome)| matches!(outcome, Outcome::Ok { .. }));
    let place = current.and_then(|mark| patches.iter().position(|(other, _)| *other == mark));
    match (place, acknowledged) {
        (None, Some(last)) => {
            let mark = patches.get(last).map_or("", |(mark, _)| mark);
            found.add("I8", format!("incident {id} lost the acknowledged change {mark}"));
        }
        (Some(place), Some(last)) if place < last => {
            found.add("I8", format!("incident {id} went back to {current:?}, an older change"));
        }
        (Some(place), _) => {
            if let Some((mark, Outcome::Fail { why })) = patches.get(place) {
                found.add("I8", format!("incident {id} shows {mark}, which was refused: {why}"));
            }
        }
        (None, None) => {}
    }
    let echoes =
        patches.iter().any(|(_, outcome)| matches!(outcome, Outcome::Ok { echoed: true, .. }));
    if echoes && incident.description.as_deref() != current {
        let description = &incident.description;
        found.add("I8", format!("incident {id} has tags of {current:?}, text {description:?}"));
    }
    let Some(timeline) = &incident.timeline else { return };
    let logged = |mark: &str| timeline.iter().filter(|entry| names(entry, mark)).count();
    for (place, (mark, outcome)) in patches.iter().enumerate() {
        let count = logged(mark);
        // The entry of the next change names this mark too, as the value before.
        let overwritten = patches.len() > place + 1;
        match outcome {
            Outcome::Ok { .. } if count == 0 => {
                found.add("I8", format!("incident {id}: {mark} was acknowledged and not logged"));
            }
            Outcome::Fail { .. } if count > 0 => {
                found.add("I8", format!("incident {id}: {mark} was refused and is logged"));
            }
            Outcome::Info { .. } if count > 0 && !overwritten && current != Some(*mark) => {
                found.add("I8", format!("incident {id}: {mark} is logged and not there"));
            }
            Outcome::Info { .. } if count == 0 && current == Some(*mark) => {
                found.add("I8", format!("incident {id}: {mark} is there and not logged"));
            }
            _ => {}
        }
    }
}

fn comment_whole(
    incidents: &HashMap<&str, &IncidentSeen>,
    id: &str,
    mark: &str,
    outcome: &Outcome,
    found: &mut Found,
) {
    // A comment goes along when its incident is merged into another.
    let mut chain: Vec<&IncidentSeen> = Vec::new();
    let mut next = Some(id);
    while let Some(incident) = next.and_then(|id| incidents.get(id)) {
        if chain.len() > incidents.len() {
            found.add("I6", format!("incident {id} redirects in a circle"));
            return;
        }
        chain.push(incident);
        next = incident.redirect.as_deref();
    }
    let mut most = 0;
    for incident in &chain {
        let count = incident.comments.iter().filter(|text| names(text, mark)).count();
        if count > 1 {
            found.add("I8", format!("incident {}: comment {mark} is there twice", incident.id));
        }
        most = most.max(count);
    }
    let logged = chain.iter().find_map(|incident| {
        let timeline = incident.timeline.as_ref()?;
        (incident.redirect.is_none() && chain.len() == 1)
            .then(|| timeline.iter().any(|entry| names(entry, mark)))
    });
    match outcome {
        Outcome::Ok { .. } if most == 0 => {
            found.add("I8", format!("incident {id} lost the acknowledged comment {mark}"));
        }
        Outcome::Fail { .. } if most > 0 => {
            found.add("I8", format!("incident {id} has the refused comment {mark}"));
        }
        _ => {}
    }
    if logged.is_some_and(|logged| logged != (most > 0)) {
        found.add("I8", format!("incident {id}: comment {mark} and its log entry disagree"));
    }
}

/// Whether `text` has `mark` as a whole word, so that `m1` is not found in `m12`.
pub(super) fn names(text: &str, mark: &str) -> bool {
    text.match_indices(mark).any(|(at, _)| {
        let after = text.get(at + mark.len()..).and_then(|rest| rest.chars().next());
        after.is_none_or(|next| !next.is_ascii_alphanumeric())
    })
}

fn audit_holds(seen: &Seen, found: &mut Found) {
    let Some(audit) = &seen.audit else { return };
    if !audit.ok {
        found.add("I5", format!("audit verify: first bad leaf {}", audit.first_bad));
    }
    let shown: usize =
        seen.tenants.iter().filter_map(|tenant| tenant.leaves.as_ref()).map(Vec::len).sum();
    if audit.leaves < shown as u64 {
        let leaves = audit.leaves;
        found.add("I5", format!("{leaves} leaves were verified and {shown} are shown"));
    }
}

#[cfg(test)]
#[path = "checker_tests.rs"]
mod tests;
