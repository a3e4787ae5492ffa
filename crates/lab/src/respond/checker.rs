//! Judges what the engine did against what was promised, what the agents wrote down and what the
//! kernel saw.
//!
//! Pure: a journal and an observation in, violations out, each planted in its tests.
//!
//! - A1: what was acknowledged is there; a request sent again is one action; a refused one is none; a
//!   cancelled action is cancelled.
//! - A2: when all is quiet every action has ended or asks a person, and no task runs.
//! - A3: every order is begun once at most, and is known to the store.
//! - A4: what happens once (class B) was begun once at most; what sets something (class A) was
//!   repeated only after nobody knew or it was never begun; what was begun is never called otherwise.
//! - A5: what the agent wrote down of the outcome is what the server has.
//! - A6: a succeeded action was read back, and its effect is there: in the kernel's rules, in the
//!   folder, among the processes, in the store of packages, and not twice.
//! - A7: of one thing one order at a time, never an older one after a newer.
//! - A8: one leaf for each request, each start and each end, and none besides.
//! - A9: the audit trees hold.
//! - V1 to V7: what a product carried out for users (see `vendor_checker`); of these actions A1, A2 and
//!   A8 speak as well.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use super::diary::{Diary, Entry};
use super::files::Effects;
use super::journal::{Call, Op, Outcome};
use super::vendor_checker::{self, Product};
use crate::crash::checker::Violation;
use crate::server::Verified;

/// Types of actions that happen once.
const HAPPENS: [&str; 4] =
    ["listProcesses", "collectFile", "stopProcess", "collectInvestigationPackage"];
/// States in which nothing more becomes of an action.
const ENDED: [&str; 5] = ["succeeded", "failed", "cancelled", "rejected", "expired"];

/// Everything seen once it was quiet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// Whether it came to rest in the time it had; what was left otherwise.
    pub(crate) restless: Option<String>,
    /// All actions.
    pub(crate) actions: Vec<ActionSeen>,
    /// The tasks that were heard of.
    pub(crate) tasks: Vec<TaskSeen>,
    /// The audit records about actions.
    pub(crate) leaves: Vec<Leaf>,
    /// The agents' journals.
    pub(crate) diaries: Vec<Diary>,
    /// For each device in a namespace, whether the kernel cuts it off.
    pub(crate) cut_off: BTreeMap<String, bool>,
    /// What the kernel saw of each file, by path.
    pub(crate) files: BTreeMap<String, Effects>,
    /// The files that are there.
    pub(crate) there: BTreeSet<String>,
    /// The path of each hash.
    pub(crate) places: BTreeMap<String, String>,
    /// The processes that have ended.
    pub(crate) dead: BTreeSet<String>,
    /// The verification of the audit trees.
    pub(crate) audit: Verified,
    /// What the product did for users.
    pub(crate) product: Product,
}

/// An action with its attempts.
#[derive(Clone, Debug, Default)]
pub(crate) struct ActionSeen {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) state: String,
    /// What who asked for it said: the mark of the request.
    pub(crate) comment: String,
    /// What it is done to.
    pub(crate) target: String,
    /// Whether it is about a user, and a product carries it out.
    pub(crate) user: bool,
    /// The name of the device.
    pub(crate) device: String,
    pub(crate) read_back: Value,
    pub(crate) attempts: Vec<AttemptSeen>,
    /// Whether there is a package, for what collects one.
    pub(crate) package: bool,
}

/// An attempt.
#[derive(Clone, Debug, Default)]
pub(crate) struct AttemptSeen {
    pub(crate) number: i64,
    pub(crate) order: String,
    /// Both as the API spells moments, which sort as texts.
    pub(crate) started: String,
    pub(crate) answered: Option<String>,
    pub(crate) outcome: Option<String>,
}

/// A task.
#[derive(Clone, Debug, Default)]
pub(crate) struct TaskSeen {
    pub(crate) id: String,
    pub(crate) state: String,
    /// The states of the newest run's actions.
    pub(crate) actions: Vec<String>,
}

/// An audit record about an action.
#[derive(Clone, Debug, Default)]
pub(crate) struct Leaf {
    pub(crate) operation: String,
    pub(crate) action: String,
    pub(crate) order: Option<String>,
    pub(crate) state: Option<String>,
}

/// Everything that is wrong.
pub(crate) fn check(calls: &[Call], seen: &Seen) -> Vec<Violation> {
    let mut found = Found(Vec::new());
    let orders: HashMap<&str, (&ActionSeen, &AttemptSeen)> = seen
        .actions
        .iter()
        .flat_map(|action| action.attempts.iter().map(move |it| (it.order.as_str(), (action, it))))
        .collect();
    let entries: HashMap<&str, (&Diary, &Entry)> = seen
        .diaries
        .iter()
        .flat_map(|diary| diary.entries.iter().map(move |it| (it.order.as_str(), (diary, it))))
        .collect();
    promises(calls, seen, &mut found);
    ends(seen, &mut found);
    orders_once(seen, &orders, &mut found);
    for action in seen.actions.iter().filter(|action| !action.user) {
        attempts(action, &entries, &mut found);
        if action.state == "succeeded" {
            done(action, seen, &entries, &mut found);
        }
    }
    effects(seen, &orders, &mut found);
    turns(seen, &orders, &mut found);
    leaves(seen, &mut found);
    found.0.extend(vendor_checker::check(calls, seen));
    let Verified { ok, first_bad, .. } = &seen.audit;
    if !ok {
        found.add("A9", format!("the audit trees do not hold: {first_bad}"));
    }
    found.0
}

struct Found(Vec<Violation>);

impl Found {
    fn add(&mut self, invariant: &'static str, message: String) {
        self.0.push(Violation { invariant, message });
    }
}

#[derive(Default)]
struct Promise<'a> {
    ids: BTreeSet<&'a str>,
    unknown: bool,
    action: bool,
}

fn promises(calls: &[Call], seen: &Seen, found: &mut Found) {
    let actions: BTreeMap<&str, &ActionSeen> =
        seen.actions.iter().map(|action| (action.id.as_str(), action)).collect();
    let tasks: BTreeSet<&str> = seen.tasks.iter().map(|task| task.id.as_str()).collect();
    let mut marks: BTreeMap<&str, Promise<'_>> = BTreeMap::new();
    for call in calls {
        if let (Op::Cancel { action }, Outcome::Ok { .. }) = (&call.op, &call.outcome) {
            let state = actions.get(action.as_str()).map(|action| action.state.as_str());
            if state != Some("cancelled") {
                found.add("A1", format!("{action} was cancelled and is {state:?}"));
            }
        }
        let Some(mark) = call.op.mark() else { continue };
        let promise = marks.entry(mark).or_default();
        promise.action = matches!(call.op, Op::Act { .. } | Op::Undo { .. });
        match &call.outcome {
            Outcome::Ok { id } => {
                promise.ids.extend(id.as_deref());
                let known = |id: &&str| match &call.op {
                    Op::Act { .. } | Op::Undo { .. } => actions.contains_key(id),
                    Op::Draft { .. } | Op::UndoTask { .. } => tasks.contains(id),
                    _ => true,
                };
                if let Some(lost) = id.as_deref().filter(|id| !known(id)) {
                    found.add("A1", format!("{lost} was acknowledged ({mark}) and is lost"));
                }
            }
            Outcome::Info { .. } | Outcome::Busy => promise.unknown = true,
            Outcome::Fail { .. } => {}
        }
    }
    for (mark, promise) in marks {
        if promise.ids.len() > 1 {
            let ids = &promise.ids;
            found.add("A1", format!("the request {mark} was answered with several: {ids:?}"));
        }
        if !promise.action {
            continue;
        }
        let made: Vec<&str> = seen
            .actions
            .iter()
            .filter(|action| action.comment == mark)
            .map(|action| action.id.as_str())
            .collect();
        if made.len() > 1 {
            found.add("A1", format!("the request {mark} made several actions: {made:?}"));
        }
        if promise.ids.is_empty() && !promise.unknown && !made.is_empty() {
            found.add("A1", format!("the request {mark} was refused and made {made:?}"));
        }
    }
}

fn ends(seen: &Seen, found: &mut Found) {
    if let Some(left) = &seen.restless {
        found.add("A2", format!("it did not come to rest: {left}"));
    }
    for ActionSeen { id, state, .. } in &seen.actions {
        if !ENDED.contains(&state.as_str()) && state != "needsHuman" {
            found.add("A2", format!("{id} is {state} and nobody is asked"));
        }
    }
    for TaskSeen { id, state, actions } in &seen.tasks {
        let asks = actions.iter().any(|action| action == "needsHuman");
        let all = actions.iter().all(|action| action == "succeeded");
        if state == "running" && !asks {
            found.add("A2", format!("task {id} runs, with actions {actions:?}"));
        }
        if state == "completed" && !all {
            found.add("A2", format!("task {id} is completed, with actions {actions:?}"));
        }
    }
}

fn orders_once(
    seen: &Seen,
    orders: &HashMap<&str, (&ActionSeen, &AttemptSeen)>,
    found: &mut Found,
) {
    let mut at: HashMap<&str, &str> = HashMap::new();
    for diary in &seen.diaries {
        for Entry { order, begun, ended, .. } in &diary.entries {
            if *begun == 0 {
                continue;
            }
            if *begun > 1 {
                found.add("A3", format!("{} began order {order} {begun} times", diary.device));
            }
            if let Some(other) = at.insert(order, &diary.device) {
                found.add("A3", format!("{other} and {} both began order {order}", diary.device));
            }
            let Some((action, attempt)) = orders.get(order.as_str()) else {
                found.add("A3", format!("{} began {order}, which is not there", diary.device));
                continue;
            };
            if action.device != diary.device {
                let (of, by) = (&action.device, &diary.device);
                found.add("A3", format!("order {order} of {of} was begun by {by}"));
            }
            // Interrupted and not started again: nobody can know.
            if ended.is_some() && *ended != attempt.outcome {
                let outcome = &attempt.outcome;
                let wrote = format!("{} wrote {ended:?} of order {order}", diary.device);
                found.add("A5", format!("{wrote} of {}, the server has {outcome:?}", action.id));
            }
        }
    }
}

fn attempts(action: &ActionSeen, entries: &HashMap<&str, (&Diary, &Entry)>, found: &mut Found) {
    let ActionSeen { id, kind, state, attempts, .. } = action;
    let begun = |it: &AttemptSeen| entries.get(it.order.as_str()).is_some_and(|it| it.1.begun > 0);
    let once = HAPPENS.contains(&kind.as_str());
    let count = attempts.iter().filter(|attempt| begun(attempt)).count();
    if once && count > 1 {
        found.add("A4", format!("{id} ({kind}) was begun under {count} orders"));
    }
    for (place, attempt) in attempts.iter().enumerate() {
        let (number, outcome) = (attempt.number, attempt.outcome.as_deref());
        if number != place as i64 + 1 {
            found.add("A4", format!("{id} has attempt {number} at place {}", place + 1));
        }
        if outcome == Some("neverBegun") && begun(attempt) {
            found.add("A4", format!("{id}: attempt {number} was begun and is called never begun"));
        }
        let repeated = place + 1 < attempts.len();
        let leave = outcome == Some("neverBegun") || (outcome == Some("unknown") && !once);
        if repeated && !leave {
            found.add("A4", format!("{id} ({kind}) was repeated after {outcome:?}"));
        }
        let never = ["cancelled", "expired", "rejected"].contains(&state.as_str());
        if never && begun(attempt) && outcome != Some("unknown") {
            found.add("A4", format!("{id} is {state}, and attempt {number} was begun"));
        }
    }
}

/// Whether what was read shows that it is done.
fn proves(kind: &str, read: &Value) -> bool {
    let (yes, none) = (|name: &str| read[name] == true, |name: &str| read[name] == 0);
    match kind {
        "isolateDevice" => yes("isolated") && read["mode"] == "full",
        "unIsolateDevice" => read["isolated"] == false,
        "stopAndQuarantineFile" => yes("gone") && yes("kept") && none("alive"),
        "restoreFile" => yes("present"),
        "listProcesses" => read["count"].as_i64().is_some_and(|count| count > 0),
        "collectFile" | "collectInvestigationPackage" => yes("sent"),
        "stopProcess" => read["alive"] == false,
        _ => false,
    }
}

fn done(
    action: &ActionSeen,
    seen: &Seen,
    entries: &HashMap<&str, (&Diary, &Entry)>,
    found: &mut Found,
) {
    let ActionSeen { id, kind, target, read_back, .. } = action;
    if !proves(kind, read_back) {
        found.add("A6", format!("{id} ({kind}) succeeded, and what was read is {read_back}"));
    }
    let last = action.attempts.last();
    let entry = last.and_then(|it| entries.get(it.order.as_str())).map(|(_, entry)| *entry);
    let ended = entry.filter(|entry| entry.begun > 0).and_then(|entry| entry.ended.as_deref());
    if !matches!(ended, Some("succeeded" | "unknown")) {
        found.add("A6", format!("{id} ({kind}) succeeded, and its agent wrote {ended:?}"));
    }
    if kind == "collectFile" && !action.package {
        found.add("A6", format!("{id} succeeded, and there is no package"));
    }
    if kind == "collectFile" && seen.files.get(target).is_none_or(|file| file.read == 0) {
        found.add("A6", format!("{id} succeeded, and nobody read {target}"));
    }
    if kind == "stopProcess" && !seen.dead.contains(target) {
        found.add("A6", format!("{id} succeeded, and process {target} lives"));
    }
}

/// What the kernel saw, against what the agents began.
fn effects(seen: &Seen, orders: &HashMap<&str, (&ActionSeen, &AttemptSeen)>, found: &mut Found) {
    let mut quarantined: BTreeMap<&str, u64> = BTreeMap::new();
    let mut restored: BTreeMap<&str, u64> = BTreeMap::new();
    // Whether each file should be there, as the last order about it left it.
    let mut wanted: BTreeMap<&str, Option<bool>> = BTreeMap::new();
    for diary in &seen.diaries {
        let mut cut_off = None;
        for entry in diary.entries.iter().filter(|entry| entry.begun > 0) {
            let well = entry.ended.as_deref() == Some("succeeded");
            let path = orders
                .get(entry.order.as_str())
                .and_then(|(action, _)| seen.places.get(&action.target))
                .map(String::as_str);
            match (entry.word.as_deref(), path) {
                (Some("isolate"), _) => cut_off = well.then_some(true),
                (Some("release"), _) => cut_off = well.then_some(false),
                (Some("quarantine"), Some(path)) => {
                    *quarantined.entry(path).or_default() += 1;
                    wanted.insert(path, well.then_some(false));
                }
                (Some("restore"), Some(path)) => {
                    *restored.entry(path).or_default() += 1;
                    wanted.insert(path, well.then_some(true));
                }
                _ => {}
            }
        }
        let device = &diary.device;
        if let (Some(wanted), Some(is)) = (cut_off, seen.cut_off.get(device))
            && wanted != *is
        {
            found.add("A6", format!("{device} should be cut off: {wanted}; the kernel: {is}"));
        }
    }
    for (path, effects) in &seen.files {
        let began = |counts: &BTreeMap<&str, u64>| counts.get(path.as_str()).copied().unwrap_or(0);
        if effects.left > began(&quarantined) {
            let (left, began) = (effects.left, began(&quarantined));
            found.add("A6", format!("{path} was taken away {left} times, by {began} orders"));
        }
        if effects.came > began(&restored) {
            let (came, began) = (effects.came, began(&restored));
            found.add("A6", format!("{path} was brought back {came} times, by {began} orders"));
        }
    }
    for (path, wanted) in wanted {
        if wanted.is_some_and(|wanted| wanted != seen.there.contains(path)) {
            found.add("A6", format!("{path} should be there: {wanted:?}, and is not so"));
        }
    }
    // A file is collected by one request alone, so it is read once.
    let collected: BTreeSet<&str> = seen
        .actions
        .iter()
        .filter(|action| action.kind == "collectFile")
        .map(|action| action.target.as_str())
        .collect();
    for path in collected {
        let read = seen.files.get(path).map_or(0, |file| file.read);
        if read > 1 {
            found.add("A4", format!("{path} was asked for once and read {read} times"));
        }
    }
}

/// Isolation and release of one device: one after the other, the newer wish last.
fn turns(seen: &Seen, orders: &HashMap<&str, (&ActionSeen, &AttemptSeen)>, found: &mut Found) {
    for diary in &seen.diaries {
        let mut last = 0;
        for entry in diary.entries.iter().filter(|entry| entry.begun > 0) {
            if !matches!(entry.word.as_deref(), Some("isolate" | "release")) {
                continue;
            }
            if entry.generation < last {
                let (order, was) = (&entry.order, entry.generation);
                let what = format!("{} began order {order} of generation {was}", diary.device);
                found.add("A7", format!("{what} after {last}"));
            }
            last = last.max(entry.generation);
        }
        let mut own: Vec<&AttemptSeen> = orders
            .values()
            .filter(|(action, _)| action.device == diary.device && action.state != "needsHuman")
            .filter(|(it, _)| ["isolateDevice", "unIsolateDevice"].contains(&it.kind.as_str()))
            .map(|(_, attempt)| *attempt)
            .collect();
        own.sort_by(|one, two| one.started.cmp(&two.started));
        for (one, two) in own.iter().zip(own.iter().skip(1)) {
            if one.answered.as_ref().is_none_or(|answered| *answered > two.started) {
                let (one, two) = (&one.order, &two.order);
                found.add("A7", format!("orders {one} and {two} were under way together"));
            }
        }
    }
}

fn leaves(seen: &Seen, found: &mut Found) {
    let mut by_action: BTreeMap<&str, Vec<&Leaf>> = BTreeMap::new();
    for leaf in &seen.leaves {
        by_action.entry(&leaf.action).or_default().push(leaf);
    }
    for action in &seen.actions {
        let ActionSeen { id, state, attempts, .. } = action;
        let own = by_action.remove(id.as_str()).unwrap_or_default();
        let count = |operation: &str| own.iter().filter(|it| it.operation == operation).count();
        let requested = count("action.requested");
        if requested != 1 {
            found.add("A8", format!("{id} has {requested} leaves action.requested"));
        }
        let ended: Vec<_> = own.iter().filter(|it| it.operation == "action.ended").collect();
        let fits = match (ENDED.contains(&state.as_str()), ended.as_slice()) {
            (true, [leaf]) => leaf.state.as_ref() == Some(state),
            (false, []) => true,
            _ => false,
        };
        if !fits {
            found.add("A8", format!("{id} is {state} and has {} leaves action.ended", ended.len()));
        }
        let mut started: Vec<Option<&str>> = own
            .iter()
            .filter(|leaf| leaf.operation == "action.started")
            .map(|leaf| leaf.order.as_deref())
            .collect();
        let mut sent: Vec<Option<&str>> =
            attempts.iter().map(|attempt| Some(attempt.order.as_str())).collect();
        started.sort_unstable();
        sent.sort_unstable();
        if started != sent {
            found.add("A8", format!("{id} has attempts {sent:?} and leaves for {started:?}"));
        }
    }
    for id in by_action.keys() {
        found.add("A8", format!("leaves name {id}, which is not there"));
    }
}

#[cfg(test)]
#[path = "checker_tests.rs"]
mod tests;
