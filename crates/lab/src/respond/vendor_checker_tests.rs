//! A product's account that agrees with the engine's, then each violation planted in turn.

use super::*;
use crate::respond::checker::TaskSeen;

const ALLOWED: i64 = 8_000_000;

fn event(at: i64, order: &str, user: &str, what: What) -> Event {
    Event { at, order: order.to_owned(), user: user.to_owned(), what }
}

fn asked(verb: Verb) -> What {
    What::Asked { verb }
}

fn done(verb: Verb) -> What {
    What::Done { verb, again: false }
}

fn user(enabled: bool, valid_from: i64) -> User {
    User { enabled, valid_from, must_change: false }
}

fn read(enabled: bool, valid_from: i64) -> What {
    What::Read { shown: user(enabled, valid_from) }
}

fn action(id: &str, kind: &str, state: &str, target: &str, orders: &[(&str, &str)]) -> ActionSeen {
    let attempts = orders.iter().enumerate().map(|(place, (order, outcome))| AttemptSeen {
        number: place as i64 + 1,
        order: (*order).to_owned(),
        outcome: Some((*outcome).to_owned()),
        ..AttemptSeen::default()
    });
    ActionSeen {
        id: id.to_owned(),
        kind: kind.to_owned(),
        state: state.to_owned(),
        target: target.to_owned(),
        user: true,
        attempts: attempts.collect(),
        ..ActionSeen::default()
    }
}

/// A user disabled at the second try, since the first was lost, and enabled after a 429; one whose
/// sessions were ended by a request whose answer was lost; one of whom nobody knows; one nobody may
/// change; one wish that was overtaken.
fn agreement() -> (Vec<Call>, Seen) {
    let (a, b, c) = ("a@x.example", "b@x.example", "c@x.example");
    let actions = vec![
        action("ac1", "disableUser", "succeeded", a, &[("o1", "notSo"), ("o2", "succeeded")]),
        action("ac2", "enableUser", "succeeded", a, &[("o3", "refused"), ("o4", "succeeded")]),
        action("ac3", "requireSignIn", "succeeded", b, &[("o5", "refused"), ("o6", "succeeded")]),
        action("ac4", "requireSignIn", "needsHuman", c, &[("o7", "unknown")]),
        action("ac5", "disableUser", "failed", c, &[("o8", "failed")]),
        action("ac6", "enableUser", "cancelled", b, &[("o9", "refused")]),
    ];
    let s = 1_000_000;
    let events = vec![
        event(s, "o1", a, read(true, 1)),
        event(2 * s, "o1", a, asked(Verb::Disable)),
        event(5 * s, "o1", a, read(true, 1)),
        event(10 * s + 1, "o1", a, read(true, 1)),
        event(11 * s, "o2", a, read(true, 1)),
        event(12 * s, "o2", a, asked(Verb::Disable)),
        event(12 * s + 1, "o2", a, done(Verb::Disable)),
        event(12 * s + 2, "o2", a, What::Done { verb: Verb::Disable, again: true }),
        event(13 * s, "o2", a, read(false, 1)),
        event(14 * s, "o3", a, read(false, 1)),
        event(15 * s, "o3", a, asked(Verb::Enable)),
        event(15 * s + 1, "o3", a, What::Said { status: 429 }),
        event(16 * s, "o4", a, read(false, 1)),
        event(17 * s, "o4", a, asked(Verb::Enable)),
        event(17 * s + 1, "o4", a, done(Verb::Enable)),
        event(18 * s, "o4", a, read(true, 1)),
        event(20 * s, "o5", b, read(true, 1)),
        event(21 * s, "o5", b, asked(Verb::EndSessions)),
        event(21 * s + 1, "o5", b, What::Said { status: 401 }),
        event(22 * s, "o6", b, read(true, 1)),
        event(23 * s, "o6", b, asked(Verb::EndSessions)),
        event(23 * s + 1, "o6", b, done(Verb::EndSessions)),
        event(24 * s, "o6", b, read(true, 1)),
        event(25 * s, "o6", b, read(true, 23 * s + 1)),
        event(30 * s, "o7", c, read(true, 1)),
        event(31 * s, "o7", c, asked(Verb::EndSessions)),
        event(42 * s, "o7", c, read(true, 1)),
        event(50 * s, "o8", c, read(true, 1)),
        event(51 * s, "o8", c, asked(Verb::Disable)),
        event(51 * s + 1, "o8", c, What::Said { status: 403 }),
        event(60 * s, "o9", b, read(true, 23 * s + 1)),
        event(61 * s, "o9", b, asked(Verb::Enable)),
        event(61 * s + 1, "o9", b, What::Said { status: 429 }),
    ];
    let users = [(a, user(true, 1)), (b, user(true, 23 * s + 1)), (c, user(true, 1))];
    let product = Product {
        events,
        users: users.into_iter().map(|(name, is)| (name.to_owned(), is)).collect(),
        allowed: ALLOWED,
    };
    let task = TaskSeen {
        id: "1".to_owned(),
        state: "completed".to_owned(),
        actions: vec!["succeeded".to_owned()],
    };
    let calls = vec![Call {
        invoked: 1,
        ended: Some(2),
        tenant: 0,
        op: Op::Run { task: "1".to_owned() },
        outcome: Outcome::Ok { id: Some("1".to_owned()) },
    }];
    (calls, Seen { actions, tasks: vec![task], product, ..Seen::default() })
}

fn finds(invariant: &str, plant: impl FnOnce(&mut Seen)) {
    let (calls, mut seen) = agreement();
    plant(&mut seen);
    let found = check(&calls, &seen);
    assert!(found.iter().any(|it| it.invariant == invariant), "{invariant}: {found:?}");
}

/// Takes the events of an order out that are so.
fn without(seen: &mut Seen, order: &str, is: impl Fn(&What) -> bool) {
    seen.product.events.retain(|event| event.order != order || !is(&event.what));
}

/// Puts an event in at its time.
fn with(seen: &mut Seen, event: Event) {
    seen.product.events.push(event);
    seen.product.events.sort_by_key(|event| event.at);
}

#[test]
fn what_agrees_is_let_be() {
    let (calls, seen) = agreement();
    assert_eq!(check(&calls, &seen), []);
}

#[test]
fn what_came_in_without_being_on_disk_is_found() {
    finds("V1", |seen| with(seen, event(9, "o99", "a@x.example", asked(Verb::Enable))));
    // The same order twice.
    finds("V1", |seen| with(seen, event(9, "o6", "b@x.example", asked(Verb::EndSessions))));
    finds("V1", |seen| seen.actions[0].target = "z@x.example".to_owned());
    finds("V1", |seen| seen.actions[0].kind = "enableUser".to_owned());
    finds("V1", |seen| seen.actions[0].kind = "isolateDevice".to_owned());
}

#[test]
fn what_happens_once_and_was_sent_again_is_found() {
    // Nobody knew of the first.
    finds("V2", |seen| without(seen, "o5", |what| matches!(what, What::Said { .. })));
    for status in [500, 502, 503] {
        finds("V2", |seen| {
            without(seen, "o5", |what| matches!(what, What::Said { .. }));
            with(seen, event(21_000_001, "o5", "b@x.example", What::Said { status }));
        });
    }
    // It was done under both.
    finds("V2", |seen| with(seen, event(21_000_002, "o5", "b@x.example", done(Verb::EndSessions))));
}

#[test]
fn what_was_sent_again_without_being_read_is_found() {
    finds("V3", |seen| {
        for order in ["o1", "o2"] {
            without(seen, order, |what| matches!(what, What::Read { shown } if shown.enabled));
        }
    });
    // It was read, and so.
    finds("V3", |seen| {
        for event in &mut seen.product.events {
            if let (What::Read { shown }, true) = (&mut event.what, event.at > 6_000_000) {
                shown.enabled = false;
            }
        }
    });
    // Only another user was.
    finds("V3", |seen| {
        for event in &mut seen.product.events {
            if matches!(event.what, What::Read { .. }) && event.at < 12_000_000 {
                event.user = "b@x.example".to_owned();
            }
        }
    });
    // It could have become so yet.
    finds("V3", |seen| seen.product.allowed = 11_000_000);
}

#[test]
fn an_older_wish_after_a_newer_is_found() {
    let a = "a@x.example";
    finds("V4", |seen| with(seen, event(19_000_000, "o1", a, done(Verb::Disable))));
    finds("V4", |seen| {
        let late = event(17_000_002, "o1", a, asked(Verb::Disable));
        without(seen, "o1", |what| matches!(what, What::Asked { .. }));
        with(seen, late);
    });
}

#[test]
fn an_outcome_that_the_product_does_not_bear_out_is_found() {
    // Its own word is not enough: the reading afterwards counts, and what it shows.
    finds("V5", |seen| {
        without(seen, "o2", |what| matches!(what, What::Read { shown } if !shown.enabled));
    });
    finds("V5", |seen| {
        without(seen, "o6", |what| matches!(what, What::Read { shown } if shown.valid_from > 1));
    });
    finds("V5", |seen| {
        for event in &mut seen.product.events {
            if let ("o4", What::Read { shown }) = (event.order.as_str(), &mut event.what) {
                shown.enabled = false;
            }
        }
    });
    finds("V5", |seen| without(seen, "o6", |what| matches!(what, What::Done { .. })));
    finds("V5", |seen| seen.actions[2].attempts.clear());
    for state in ["failed", "cancelled", "rejected", "expired"] {
        finds("V5", |seen| seen.actions[2].state = state.to_owned());
    }
    finds("V5", |seen| with(seen, event(32_000_000, "o7", "c@x.example", done(Verb::EndSessions))));
}

#[test]
fn an_account_that_is_not_as_the_last_wish_says_is_found() {
    finds("V6", |seen| {
        seen.product.users.insert("a@x.example".to_owned(), user(false, 1));
    });
}

#[test]
fn what_was_forgotten_is_found() {
    finds("V7", |seen| seen.tasks[0].actions.clear());
    finds("V7", |seen| seen.actions[0].attempts[1].number = 3);
}
