//! A history and an observation that agree, then each violation planted in turn.

use serde_json::json;

use super::*;

fn call(op: Op, outcome: Outcome) -> Call {
    Call { invoked: 1, ended: Some(2), tenant: 0, op, outcome }
}

fn act(mark: &str) -> Op {
    Op::Act { device: "d0".to_owned(), kind: "x".to_owned(), mark: mark.to_owned() }
}

fn ok(id: &str) -> Outcome {
    Outcome::Ok { id: Some(id.to_owned()) }
}

fn lost() -> Outcome {
    Outcome::Info { why: "reset".to_owned() }
}

fn action(id: &str, kind: &str, state: &str, mark: &str, orders: &[(&str, &str)]) -> ActionSeen {
    let attempts = orders.iter().enumerate().map(|(place, (order, outcome))| AttemptSeen {
        number: place as i64 + 1,
        order: (*order).to_owned(),
        started: format!("{id}-{place}-a"),
        answered: Some(format!("{id}-{place}-b")),
        outcome: Some((*outcome).to_owned()),
    });
    ActionSeen {
        id: id.to_owned(),
        kind: kind.to_owned(),
        state: state.to_owned(),
        comment: mark.to_owned(),
        target: "d0".to_owned(),
        device: "d0".to_owned(),
        attempts: attempts.collect(),
        ..ActionSeen::default()
    }
}

fn entry(order: &str, word: &str, generation: i64, ended: &str) -> Entry {
    Entry {
        order: order.to_owned(),
        word: Some(word.to_owned()),
        begun: 1,
        began: 1,
        generation,
        ended: Some(ended.to_owned()),
    }
}

/// An isolation that was tried twice, its release, a file collected, a file quarantined, a look that
/// nobody knows of, one that was cancelled, and one task.
fn agreement() -> (Vec<Call>, Seen) {
    let mut isolate = action(
        "ac1",
        "isolateDevice",
        "succeeded",
        "m1",
        &[("o1", "unknown"), ("o2", "succeeded")],
    );
    isolate.read_back = json!({ "isolated": true, "mode": "full" });
    let mut release = action("ac2", "unIsolateDevice", "succeeded", "m2", &[("o3", "succeeded")]);
    release.read_back = json!({ "isolated": false });
    let mut collect = action(
        "ac3",
        "collectFile",
        "succeeded",
        "m3",
        &[("o4", "neverBegun"), ("o5", "succeeded")],
    );
    collect.target = "/f/one".to_owned();
    collect.read_back = json!({ "sent": true });
    collect.package = true;
    let mut take =
        action("ac4", "stopAndQuarantineFile", "succeeded", "m4", &[("o6", "succeeded")]);
    take.target = "aa".to_owned();
    take.read_back = json!({ "gone": true, "kept": true, "alive": 0 });
    let look = action("ac5", "listProcesses", "needsHuman", "m5", &[("o7", "unknown")]);
    let none = action("ac6", "listProcesses", "cancelled", "m6", &[]);
    let mut stop = action("ac7", "stopProcess", "succeeded", "m7", &[("o8", "succeeded")]);
    stop.target = "4242".to_owned();
    stop.read_back = json!({ "alive": false });
    let actions = vec![isolate, release, collect, take, look, none, stop];
    let mut leaves = Vec::new();
    for action in &actions {
        let leaf = |operation: &str| Leaf {
            operation: operation.to_owned(),
            action: action.id.clone(),
            ..Leaf::default()
        };
        leaves.push(leaf("action.requested"));
        for attempt in &action.attempts {
            leaves.push(Leaf { order: Some(attempt.order.clone()), ..leaf("action.started") });
        }
        if action.state != "needsHuman" {
            leaves.push(Leaf { state: Some(action.state.clone()), ..leaf("action.ended") });
        }
    }
    let diary = Diary {
        device: "d0".to_owned(),
        entries: vec![
            entry("o1", "isolate", 1, "unknown"),
            entry("o2", "isolate", 1, "succeeded"),
            entry("o3", "release", 2, "succeeded"),
            entry("o5", "collectFile", 0, "succeeded"),
            entry("o6", "quarantine", 1, "succeeded"),
            entry("o7", "listProcesses", 0, "unknown"),
            entry("o8", "stopProcess", 0, "succeeded"),
        ],
    };
    let seen = Seen {
        restless: None,
        actions,
        tasks: vec![TaskSeen {
            id: "1".to_owned(),
            state: "completed".to_owned(),
            actions: vec!["succeeded".to_owned()],
        }],
        leaves,
        diaries: vec![diary],
        cut_off: [("d0".to_owned(), false)].into(),
        files: [
            ("/f/one".to_owned(), Effects { read: 1, left: 0, came: 0 }),
            ("/f/two".to_owned(), Effects { read: 1, left: 1, came: 0 }),
        ]
        .into(),
        there: ["/f/one".to_owned()].into(),
        places: [("aa".to_owned(), "/f/two".to_owned())].into(),
        dead: ["4242".to_owned()].into(),
        audit: Verified { ok: true, leaves: 9, first_bad: String::new() },
        product: Product::default(),
    };
    let refused = Outcome::Fail { why: "409".to_owned() };
    let draft = Op::Draft { incident: "7".to_owned(), mark: "m9".to_owned() };
    let calls = vec![
        call(act("m1"), lost()),
        call(act("m1"), Outcome::Busy),
        call(act("m1"), ok("ac1")),
        call(Op::Undo { action: "ac1".to_owned(), mark: "m2".to_owned() }, ok("ac2")),
        call(act("m3"), lost()),
        call(act("m8"), refused),
        call(act("m6"), ok("ac6")),
        call(Op::Cancel { action: "ac6".to_owned() }, ok("ac6")),
        call(draft, ok("1")),
    ];
    (calls, seen)
}

fn finds(invariant: &str, plant: impl FnOnce(&mut Vec<Call>, &mut Seen)) {
    let (mut calls, mut seen) = agreement();
    plant(&mut calls, &mut seen);
    let found = check(&calls, &seen);
    assert!(found.iter().any(|it| it.invariant == invariant), "{invariant}: {found:?}");
}

#[test]
fn what_agrees_is_let_be() {
    let (calls, seen) = agreement();
    assert_eq!(check(&calls, &seen), []);
}

#[test]
fn a_broken_promise_is_found() {
    finds("A1", |calls, _| calls.push(call(act("m10"), ok("ac99"))));
    finds("A1", |calls, _| calls.push(call(act("m1"), ok("ac2"))));
    finds("A1", |_, seen| seen.actions[4].comment = "m1".to_owned());
    finds("A1", |_, seen| seen.actions[4].comment = "m8".to_owned());
    finds("A1", |calls, _| calls.push(call(Op::Cancel { action: "ac5".to_owned() }, ok("ac5"))));
    finds("A1", |_, seen| seen.tasks.clear());
}

#[test]
fn what_stays_open_is_found() {
    finds("A2", |_, seen| seen.restless = Some("ac5".to_owned()));
    for state in ["approved", "started", "unknown", "proposed"] {
        finds("A2", |_, seen| seen.actions[4].state = state.to_owned());
    }
    finds("A2", |_, seen| seen.tasks[0].state = "running".to_owned());
    finds("A2", |_, seen| seen.tasks[0].actions[0] = "failed".to_owned());
}

#[test]
fn an_order_begun_twice_or_by_another_or_unknown_is_found() {
    finds("A3", |_, seen| seen.diaries[0].entries[0].begun = 2);
    finds("A3", |_, seen| {
        let entries = vec![seen.diaries[0].entries[0].clone()];
        seen.diaries.push(Diary { device: "d1".to_owned(), entries });
    });
    finds("A3", |_, seen| seen.diaries[0].entries.push(entry("o99", "release", 3, "failed")));
    finds("A3", |_, seen| seen.diaries[0].device = "d1".to_owned());
}

#[test]
fn what_was_repeated_without_leave_is_found() {
    // Class B under two orders, whatever the server calls the first.
    finds("A4", |_, seen| {
        let first = entry("o4", "collectFile", 0, "neverBegun");
        seen.diaries[0].entries.push(first);
    });
    finds("A4", |_, seen| {
        seen.actions[2].attempts[0].outcome = Some("unknown".to_owned());
    });
    finds("A4", |_, seen| seen.files.get_mut("/f/one").unwrap().read = 2);
    // Class A after an answer.
    for outcome in ["succeeded", "failed", "refused"] {
        finds("A4", |_, seen| {
            seen.actions[0].attempts[0].outcome = Some(outcome.to_owned());
        });
    }
    finds("A4", |_, seen| seen.actions[0].attempts[0].outcome = None);
    finds("A4", |_, seen| {
        seen.actions[0].attempts[0].outcome = Some("neverBegun".to_owned());
    });
    finds("A4", |_, seen| seen.actions[0].attempts[1].number = 3);
    finds("A4", |_, seen| seen.actions[1].state = "cancelled".to_owned());
}

#[test]
fn an_outcome_that_the_agent_did_not_write_is_found() {
    finds("A5", |_, seen| seen.diaries[0].entries[2].ended = Some("failed".to_owned()));
    finds("A5", |_, seen| seen.actions[1].attempts[0].outcome = None);
}

#[test]
fn a_success_without_its_effect_is_found() {
    finds("A6", |_, seen| seen.actions[0].read_back = Value::Null);
    finds("A6", |_, seen| seen.actions[0].read_back = json!({ "isolated": false }));
    finds("A6", |_, seen| seen.actions[3].read_back["kept"] = json!(false));
    finds("A6", |_, seen| {
        seen.diaries[0].entries.retain(|entry| entry.order != "o3");
    });
    finds("A6", |_, seen| seen.actions[1].attempts.clear());
    finds("A6", |_, seen| seen.actions[2].package = false);
    finds("A6", |_, seen| seen.files.get_mut("/f/one").unwrap().read = 0);
    finds("A6", |_, seen| seen.dead.clear());
    finds("A6", |_, seen| {
        seen.cut_off.insert("d0".to_owned(), true);
    });
    finds("A6", |_, seen| {
        seen.there.insert("/f/two".to_owned());
    });
    finds("A6", |_, seen| seen.files.get_mut("/f/two").unwrap().left = 2);
    finds("A6", |_, seen| seen.files.get_mut("/f/two").unwrap().came = 1);
}

#[test]
fn an_older_wish_after_a_newer_and_two_at_once_are_found() {
    finds("A7", |_, seen| seen.diaries[0].entries[2].generation = 0);
    finds("A7", |_, seen| {
        seen.actions[0].attempts[1].answered = Some("ac9".to_owned());
    });
    finds("A7", |_, seen| seen.actions[0].attempts[0].answered = None);
}

#[test]
fn a_missing_and_an_additional_leaf_are_found() {
    let (_, seen) = agreement();
    for place in 0..seen.leaves.len() {
        finds("A8", |_, seen| {
            seen.leaves.remove(place);
        });
        finds("A8", |_, seen| {
            let again = seen.leaves[place].clone();
            seen.leaves.push(again);
        });
    }
    finds("A8", |_, seen| seen.actions.truncate(6));
    finds("A8", |_, seen| {
        for leaf in &mut seen.leaves {
            leaf.state = leaf.state.as_ref().map(|_| "failed".to_owned());
        }
    });
    finds("A9", |_, seen| seen.audit.ok = false);
}
