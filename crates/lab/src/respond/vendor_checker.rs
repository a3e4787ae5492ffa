//! Judges what the engine had a product do against what that product wrote down.
//!
//! Pure, like the checker it belongs to.
//!
//! - V1: what came in was on disk first: its order is an attempt of an action on this user for this
//!   purpose, and came in once.
//! - V2: what happens once (class B) was asked for again only after a plain refusal, and was done once
//!   at most for an action, but for what the product itself did twice.
//! - V3: what sets something (class A) was asked for again only after a refusal, or after the user was
//!   read, was not so, and could not become so any more.
//! - V4: nothing of an older wish came in or was done after a newer one about the same user's account.
//! - V5: the outcome agrees with the product: what succeeded was read and was so, after it was asked
//!   for, and happened; what failed, or was never sent, did not happen; nobody is asked about what
//!   was there to be read.
//! - V6: at the end each account is as the last wish that succeeded says.
//! - V7: a task that runs has an action, and each attempt has its place.

use std::collections::{BTreeMap, HashMap};

use super::checker::{ActionSeen, AttemptSeen, Seen};
use super::journal::{Call, Op, Outcome};
use super::vendor::{Event, User, Verb, What};
use crate::crash::checker::Violation;

/// How much of the time that a product may lag can be over when a reading begins, in microseconds:
/// a reading takes a while.
const READING_US: i64 = 3_000_000;

/// What the product has to say.
#[derive(Clone, Debug, Default)]
pub(crate) struct Product {
    /// What happened there, in order.
    pub(crate) events: Vec<Event>,
    /// What each user is in the end.
    pub(crate) users: BTreeMap<String, User>,
    /// How long it was allowed to lag, in microseconds.
    pub(crate) allowed: i64,
}

/// What became of one order there.
#[derive(Default)]
struct Story<'a> {
    asked: Vec<(i64, &'a str, Verb)>,
    said: Option<u16>,
    /// When it was done, but for doing it again.
    done: Vec<i64>,
    reads: Vec<(i64, &'a User)>,
}

impl Story<'_> {
    /// When it came in.
    fn came(&self) -> Option<i64> {
        self.asked.first().map(|(at, ..)| *at)
    }

    fn said_one_of(&self, statuses: &[u16]) -> bool {
        self.said.is_some_and(|status| statuses.contains(&status))
    }
}

/// What an action on a user asks a product for.
fn verb(kind: &str) -> Option<Verb> {
    match kind {
        "disableUser" => Some(Verb::Disable),
        "enableUser" => Some(Verb::Enable),
        "requireSignIn" => Some(Verb::EndSessions),
        "forceUserPasswordReset" => Some(Verb::ResetPassword),
        _ => None,
    }
}

/// Whether it happens once and must not be repeated.
fn happens(verb: Verb) -> bool {
    matches!(verb, Verb::EndSessions | Verb::ResetPassword)
}

/// Whether a reading shows that it is done; `done` says when the product did it last.
fn shows(verb: Verb, user: &User, done: Option<i64>) -> bool {
    match verb {
        Verb::Disable => !user.enabled,
        Verb::Enable => user.enabled,
        Verb::EndSessions => done.is_some_and(|done| user.valid_from >= done),
        Verb::ResetPassword => user.must_change,
    }
}

/// Actions are numbered in the order of the wishes.
fn number(action: &ActionSeen) -> u64 {
    action.id.trim_start_matches(|c: char| !c.is_ascii_digit()).parse().unwrap_or(0)
}

struct Found(Vec<Violation>);

impl Found {
    fn add(&mut self, invariant: &'static str, message: String) {
        self.0.push(Violation { invariant, message });
    }
}

/// Everything that is wrong.
pub(super) fn check(calls: &[Call], seen: &Seen) -> Vec<Violation> {
    let mut found = Found(Vec::new());
    let mut stories: HashMap<&str, Story<'_>> = HashMap::new();
    for event in &seen.product.events {
        let story = stories.entry(&event.order).or_default();
        match &event.what {
            What::Asked { verb } => story.asked.push((event.at, &event.user, *verb)),
            What::Said { status } => story.said = Some(*status),
            What::Done { again: false, .. } => story.done.push(event.at),
            What::Done { again: true, .. } => {}
            What::Read { shown } => story.reads.push((event.at, shown)),
        }
    }
    let actions = || seen.actions.iter().filter(|action| action.user);
    let orders: HashMap<&str, &ActionSeen> = actions()
        .flat_map(|action| action.attempts.iter().map(move |it| (it.order.as_str(), action)))
        .collect();
    on_disk_first(&stories, &orders, &mut found);
    for action in actions() {
        let Some(verb) = verb(&action.kind) else {
            found.add("V1", format!("{} ({}) is nothing a product does", action.id, action.kind));
            continue;
        };
        repeats(action, verb, &stories, &seen.product, &mut found);
        outcome(action, verb, &stories, &mut found);
    }
    wishes(seen, &orders, &stories, &mut found);
    for call in calls {
        let (Op::Run { task }, Outcome::Ok { .. }) = (&call.op, &call.outcome) else { continue };
        let known = seen.tasks.iter().find(|it| it.id == *task);
        if known.is_some_and(|it| it.actions.is_empty()) {
            found.add("V7", format!("task {task} was run and has no action"));
        }
    }
    found.0
}

fn on_disk_first(
    stories: &HashMap<&str, Story<'_>>,
    orders: &HashMap<&str, &ActionSeen>,
    found: &mut Found,
) {
    for (order, story) in stories {
        let Some((_, user, asked)) = story.asked.first() else { continue };
        if story.asked.len() > 1 {
            found.add("V1", format!("order {order} came in {} times", story.asked.len()));
        }
        let Some(action) = orders.get(order) else {
            found.add("V1", format!("order {order} for {user} came in and is not there"));
            continue;
        };
        if action.target != *user || verb(&action.kind) != Some(*asked) {
            let (id, kind, target) = (&action.id, &action.kind, &action.target);
            found.add("V1", format!("{id} ({kind} {target}) asked for {asked:?} of {user}"));
        }
    }
}

fn repeats(
    action: &ActionSeen,
    verb: Verb,
    stories: &HashMap<&str, Story<'_>>,
    product: &Product,
    found: &mut Found,
) {
    let ActionSeen { id, kind, attempts, target, .. } = action;
    for (place, attempt) in attempts.iter().enumerate() {
        if attempt.number != place as i64 + 1 {
            let number = attempt.number;
            found.add("V7", format!("{id} has attempt {number} at place {}", place + 1));
        }
    }
    let came: Vec<(&AttemptSeen, &Story<'_>, i64)> = attempts
        .iter()
        .filter_map(|it| stories.get(it.order.as_str()).map(|story| (it, story)))
        .filter_map(|(it, story)| story.came().map(|at| (it, story, at)))
        .collect();
    let done = came.iter().filter(|(_, story, _)| !story.done.is_empty()).count();
    if happens(verb) && done > 1 {
        found.add("V2", format!("{id} ({kind} {target}) was done {done} times"));
    }
    for ((one, before, first), (_, _, next)) in came.iter().zip(came.iter().skip(1)) {
        let what =
            format!("{id} ({kind} {target}) was asked for again after attempt {}", one.number);
        if happens(verb) {
            if !before.said_one_of(&[429, 401]) {
                found.add("V2", format!("{what}, of which nobody knew"));
            }
            continue;
        }
        if before.said_one_of(&[429, 401, 503]) {
            continue;
        }
        if *next < first + product.allowed {
            let ms = (next - first) / 1_000;
            found.add("V3", format!("{what} only {ms} ms later, which may yet be done"));
        }
        let from = first + product.allowed - READING_US;
        let read = product.events.iter().any(|event| {
            event.user == *target
                && (from..=*next).contains(&event.at)
                && matches!(&event.what, What::Read { shown } if !shows(verb, shown, None))
        });
        if !read {
            found.add("V3", format!("{what} without having been read and not being so"));
        }
    }
}

fn outcome(action: &ActionSeen, verb: Verb, stories: &HashMap<&str, Story<'_>>, found: &mut Found) {
    let ActionSeen { id, kind, state, target, attempts, .. } = action;
    let own = || attempts.iter().filter_map(|it| stories.get(it.order.as_str()));
    let what = format!("{id} ({kind} {target}) is {state}");
    // Of a 503 nobody knows, and what sets something may be taken back after it.
    let done = own().filter(|story| happens(verb) || story.said != Some(503));
    let done = done.flat_map(|story| &story.done).count();
    match state.as_str() {
        "succeeded" => {
            let last = attempts.last().and_then(|it| stories.get(it.order.as_str()));
            let Some(last) = last else {
                found.add("V5", format!("{what}, and the product never heard of it"));
                return;
            };
            let when = own().flat_map(|story| &story.done).max().copied();
            if verb == Verb::EndSessions && when.is_none() {
                found.add("V5", format!("{what}, and it never happened"));
            }
            // The first reading of an order is that of the user as it was before.
            let came = last.came().unwrap_or(0);
            let read = last.reads.iter().skip(1).next_back();
            if !read.is_some_and(|(at, user)| *at > came && shows(verb, user, when)) {
                found.add("V5", format!("{what}, and was not read to be so"));
            }
        }
        "failed" | "cancelled" | "rejected" | "expired" if done > 0 => {
            found.add("V5", format!("{what}, and was done"));
        }
        "needsHuman" if verb == Verb::EndSessions && done > 0 => {
            found.add("V5", format!("{what}, and was done and there to be read"));
        }
        _ => {}
    }
}

/// Disabling and enabling of one user: one after the other, the newer wish last.
fn wishes(
    seen: &Seen,
    orders: &HashMap<&str, &ActionSeen>,
    stories: &HashMap<&str, Story<'_>>,
    found: &mut Found,
) {
    let mut newest: BTreeMap<&str, &ActionSeen> = BTreeMap::new();
    for event in &seen.product.events {
        let (What::Asked { verb } | What::Done { verb, .. }) = &event.what else { continue };
        let Some(action) = orders.get(event.order.as_str()) else { continue };
        if happens(*verb) {
            continue;
        }
        let last = newest.entry(&event.user).or_insert(action);
        if number(action) < number(last) {
            let (user, old, new) = (&event.user, &action.id, &last.id);
            found.add("V4", format!("{user}: {:?} of {old} after {new}", event.what));
        } else {
            *last = action;
        }
    }
    for (user, is) in &seen.product.users {
        let of_user = |it: &&ActionSeen| {
            it.user && it.target == *user && verb(&it.kind).is_some_and(|verb| !happens(verb))
        };
        let came = |it: &ActionSeen| {
            let mut all = it.attempts.iter().filter_map(|it| stories.get(it.order.as_str()));
            all.any(|story| story.came().is_some())
        };
        let counts = |it: &&ActionSeen| it.state == "succeeded" || came(it);
        let last = seen.actions.iter().filter(of_user).filter(counts).max_by_key(|it| number(it));
        let Some(last) = last.filter(|it| it.state == "succeeded") else { continue };
        if verb(&last.kind).is_some_and(|verb| !shows(verb, is, None)) {
            let (id, kind) = (&last.id, &last.kind);
            found.add("V6", format!("{user} is {is:?}, and {id} ({kind}) succeeded last"));
        }
    }
}

#[cfg(test)]
#[path = "vendor_checker_tests.rs"]
mod tests;
