//! Every state against every transition, and what holds after any sequence of them.

use proptest::prelude::*;

use serde_json::Value;

use super::*;
use crate::word::{AlertStatus, allows};

const ID: i64 = 42;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(0).plus_seconds(1_700_000_000 + seconds)
}

fn correlation() -> Actor {
    Actor::system("correlation")
}

fn vera() -> Actor {
    Actor::expert("Vera Lindqvist")
}

fn carl() -> Actor {
    Actor::customer("carl@alderfreight.example")
}

fn desk() -> Actor {
    Actor::integration("Ticket desk")
}

fn new() -> Incident {
    Incident::open(ID, "alder-freight", "Odd sign-in", Severity::Medium, &correlation(), at(0))
}

fn finding(classification: Classification, determination: Determination) -> Finding {
    Finding { classification, determination, summary: "A drill by the owner".to_owned() }
}

fn harmless() -> Finding {
    finding(Classification::InformationalExpectedActivity, Determination::SecurityTesting)
}

fn threat() -> Finding {
    finding(Classification::TruePositive, Determination::Malware)
}

fn status(status: IncidentStatus) -> Patch {
    Patch { status: Some(status), ..Patch::default() }
}

fn queued() -> Incident {
    new().queue(&correlation(), at(1)).unwrap().incident
}

fn started() -> Incident {
    queued().start(&vera(), at(2)).unwrap().incident
}

fn awaiting() -> Incident {
    started().hand_over(&threat(), 1, &vera(), at(3)).unwrap().incident
}

fn resolved() -> Incident {
    started().conclude(&harmless(), 0, &vera(), at(3)).unwrap().incident
}

fn redirected() -> Incident {
    new().redirect(7, &correlation(), at(1)).unwrap().incident
}

/// One incident in every state; work begun by an expert and by the customer are two of them.
fn every_state() -> Vec<(&'static str, Incident)> {
    let by_customer = new().update(&status(IncidentStatus::InProgress), &carl(), at(1));
    vec![
        ("new", new()),
        ("leftOut", new().leave_out("severity is low", &correlation(), at(1)).unwrap().incident),
        ("queued", queued()),
        ("inProgress", started()),
        ("byCustomer", by_customer.unwrap().incident),
        ("awaiting", awaiting()),
        ("resolved", resolved()),
        ("redirected", redirected()),
    ]
}

type Transition = fn(Incident) -> Result<Step, Refusal>;

/// Every transition, and for each state in the order of [`every_state`] what comes of it: the
/// first letters of the next state, or `!s` wrong state, `!a` not allowed, `!i` invalid.
const TABLE: &[(&str, Transition, &str)] = &[
    ("queue", |it| it.queue(&correlation(), at(9)), "Que Que !s !s !s !s !s !s"),
    ("queue, customer", |it| it.queue(&carl(), at(9)), "!a !a !a !a !a !a !a !a"),
    (
        "leave out",
        |it| it.leave_out("data loss prevention", &correlation(), at(9)),
        "Lef Lef !s !s !s !s !s !s",
    ),
    (
        "leave out, integration",
        |it| it.leave_out("not ours", &desk(), at(9)),
        "!a !a !a !a !a !a !a !a",
    ),
    ("start", |it| it.start(&vera(), at(9)), "InP InP InP !s InP !s !s !s"),
    ("start, customer", |it| it.start(&carl(), at(9)), "!a !a !a !a !a !a !a !a"),
    ("conclude", |it| it.conclude(&harmless(), 0, &vera(), at(9)), "!s !s !s Res Res Res !s !s"),
    (
        "conclude, task open",
        |it| it.conclude(&harmless(), 1, &vera(), at(9)),
        "!s !s !s !i !i !i !s !s",
    ),
    (
        "conclude a threat",
        |it| it.conclude(&threat(), 0, &vera(), at(9)),
        "!s !s !s !i !i !i !s !s",
    ),
    (
        "conclude, customer",
        |it| it.conclude(&harmless(), 0, &carl(), at(9)),
        "!a !a !a !a !a !a !a !a",
    ),
    ("hand over", |it| it.hand_over(&threat(), 2, &vera(), at(9)), "!s !s !s Awa Awa Awa !s !s"),
    ("respond", |it| it.respond(&threat(), &vera(), at(9)), "!s !s !s InP InP !s !s !s"),
    ("respond, no threat", |it| it.respond(&harmless(), &vera(), at(9)), "!s !s !s !i !i !s !s !s"),
    ("respond, customer", |it| it.respond(&threat(), &carl(), at(9)), "!a !a !a !a !a !a !a !a"),
    ("take back", |it| it.take_back(&correlation(), at(9)), "!s !s !s !s !s InP !s !s"),
    (
        "hand over, no task",
        |it| it.hand_over(&threat(), 0, &vera(), at(9)),
        "!s !s !s !i !i !i !s !s",
    ),
    (
        "hand over, no threat",
        |it| it.hand_over(&harmless(), 2, &vera(), at(9)),
        "!s !s !s !i !i !i !s !s",
    ),
    (
        "hand over, system",
        |it| it.hand_over(&threat(), 2, &correlation(), at(9)),
        "!a !a !a !a !a !a !a !a",
    ),
    (
        "finish response",
        |it| it.finish_response(&threat(), OwnerAfter::Nobody, &vera(), at(9)),
        "!s !s !s Res Res !s !s !s",
    ),
    (
        "finish response, customer",
        |it| it.finish_response(&threat(), OwnerAfter::Nobody, &carl(), at(9)),
        "!a !a !a !a !a !a !a !a",
    ),
    (
        "resolve, customer",
        |it| it.resolve("done", OwnerAfter::Nobody, &carl(), at(9)),
        "Res Res Res Res Res Res !s !s",
    ),
    // Only what was handed over has a classification by then.
    (
        "resolve, expert",
        |it| it.resolve("done", OwnerAfter::Nobody, &vera(), at(9)),
        "!i !i !i !i !i Res !s !s",
    ),
    (
        "set active, customer",
        |it| it.update(&status(IncidentStatus::Active), &carl(), at(9)),
        "New Lef Que Que New New New !s",
    ),
    (
        "set active, system",
        |it| it.update(&status(IncidentStatus::Active), &correlation(), at(9)),
        "New Lef Que Que New New !a !s",
    ),
    (
        "set active, expert",
        |it| it.update(&status(IncidentStatus::Active), &vera(), at(9)),
        "New Lef Que Que New Que New !s",
    ),
    (
        "set in progress, integration",
        |it| it.update(&status(IncidentStatus::InProgress), &desk(), at(9)),
        "InP InP InP InP InP InP InP !s",
    ),
    (
        "set in progress, system",
        |it| it.update(&status(IncidentStatus::InProgress), &correlation(), at(9)),
        "InP InP InP InP InP InP !a !s",
    ),
    (
        "set resolved, customer",
        |it| it.update(&status(IncidentStatus::Resolved), &carl(), at(9)),
        "Res Res Res Res Res Res Res !s",
    ),
    (
        "set resolved, expert",
        |it| it.update(&status(IncidentStatus::Resolved), &vera(), at(9)),
        "!i !i !i !i !i Res Res !s",
    ),
    (
        "set awaiting, integration",
        |it| it.update(&status(IncidentStatus::AwaitingAction), &desk(), at(9)),
        "!a !a !a !a !a !a !a !s",
    ),
    (
        "set awaiting, customer",
        |it| it.update(&status(IncidentStatus::AwaitingAction), &carl(), at(9)),
        "!a !a !a !a !a !a !a !s",
    ),
    (
        "set awaiting, expert",
        |it| it.update(&status(IncidentStatus::AwaitingAction), &vera(), at(9)),
        "!i !i !i !i !i Awa !i !s",
    ),
    (
        "set redirected, expert",
        |it| it.update(&status(IncidentStatus::Redirected), &vera(), at(9)),
        "!i !i !i !i !i !i !i !s",
    ),
    ("assign to somebody", |it| assign(it, "anna"), "New Lef New InP InP !i Res !s"),
    ("assign to nobody", |it| assign(it, ""), "New Lef New InP InP !i Res !s"),
    ("assign to the customer", |it| assign(it, OWNER_CUSTOMER), "New Lef New InP InP Awa Res !s"),
    (
        "expert takes it",
        |it| {
            let patch = Patch { assigned_to: Some(OWNER_EXPERTS.to_owned()), ..Patch::default() };
            it.update(&patch, &vera(), at(9))
        },
        "Que Que Que InP InP !i Res !s",
    ),
    ("redirect", |it| it.redirect(7, &correlation(), at(9)), "Red Red Red Red Red !s !s !s"),
    ("redirect to itself", |it| it.redirect(ID, &carl(), at(9)), "!i !i !i !i !i !s !s !s"),
    (
        "absorb",
        |it| {
            let source = Incident { id: 7, ..new() };
            it.absorb(&source, Severity::High, &correlation(), at(9))
        },
        "New Lef Que InP InP Awa !s !s",
    ),
    (
        "follow severity",
        |it| it.follow_severity(Severity::High, &correlation(), at(9)),
        "New Lef Que InP InP Awa Res !s",
    ),
    ("rename", |it| it.rename("Spray", &correlation(), at(9)), "New Lef Que InP InP Awa Res !s"),
    ("prioritise", |it| it.prioritise(90, &correlation(), at(9)), "New Lef Que InP InP Awa Res !s"),
    (
        "tag",
        |it| it.tag(&["Ransomware".to_owned()], &correlation(), at(9)),
        "New Lef Que InP InP Awa Res !s",
    ),
    ("comment", |it| it.comment("seen", &desk(), at(9)), "New Lef Que InP InP Awa Res !s"),
];

fn assign(it: Incident, owner: &str) -> Result<Step, Refusal> {
    let patch = Patch { assigned_to: Some(owner.to_owned()), ..Patch::default() };
    it.update(&patch, &carl(), at(9))
}

#[test]
fn every_state_meets_every_transition_as_listed() {
    for (transition, run, expected) in TABLE {
        let outcomes: Vec<String> = every_state()
            .into_iter()
            .map(|(_, incident)| match run(incident.clone()) {
                Ok(step) => {
                    check(&step.incident);
                    format!("{:?}", step.incident.state)[..3].to_owned()
                }
                Err(Refusal::WrongState { .. }) => "!s".to_owned(),
                Err(Refusal::NotAllowed { .. }) => "!a".to_owned(),
                Err(Refusal::Invalid { .. }) => "!i".to_owned(),
            })
            .collect();
        assert_eq!(outcomes.join(" "), *expected, "{transition}");
    }
}

/// What must hold of every incident at every moment.
fn check(it: &Incident) {
    let owner = it.owner.as_deref();
    let tagged = |tag: &str| it.system_tags.iter().any(|known| known == tag);
    if let State::AwaitingCustomer { by, .. } = &it.state {
        assert_eq!(owner, Some(OWNER_CUSTOMER));
        assert_eq!(by.kind, ActorKind::Expert);
        assert!(it.summary.as_ref().is_some_and(|text| !text.is_empty()) || it.started.is_some());
    }
    assert_eq!(tagged(TAG_AWAITING), it.status() == IncidentStatus::AwaitingAction);
    assert_eq!(tagged(TAG_REDIRECTED), it.redirect_id().is_some());
    if matches!(it.state, State::Queued { .. }) {
        assert_eq!(owner, Some(OWNER_EXPERTS));
        assert!(tagged(TAG_EXPERTS));
    }
    assert!(allows(it.verdict.classification(), it.verdict.determination()));
    assert_ne!(it.redirect_id(), Some(it.id));
    assert!(it.updated >= it.created);
    assert_eq!(it.state.parts().state(), Some(it.state.clone()));
}

#[test]
fn queueing_hands_the_incident_to_the_experts_and_says_what_changed() {
    let step = new().queue(&correlation(), at(1)).unwrap();
    assert_eq!(step.incident.owner.as_deref(), Some("Defender Experts"));
    assert_eq!(step.incident.status(), IncidentStatus::Active);
    let fields: Vec<_> = step.changes.iter().map(|change| change.field).collect();
    assert_eq!(fields, ["state", "assignedTo", "systemTags"]);
    assert_eq!(step.changes[1].before, Value::Null);
    assert_eq!(step.changes[1].after, "Defender Experts");
    assert_eq!(step.incident.updated, at(1));
    assert_eq!(step.incident.modified_by, "correlation");
    let cascade = step.cascade.unwrap();
    assert_eq!(cascade.owner, OwnerCascade::Set(Some("Defender Experts".to_owned())));
    assert_eq!(cascade.status, None);
}

#[test]
fn leaving_out_keeps_the_owner_and_the_first_moment() {
    let owned = assign(new(), "anna").unwrap().incident;
    let out = owned.leave_out("severity is low", &correlation(), at(1)).unwrap().incident;
    assert_eq!(out.owner.as_deref(), Some("anna"));
    let again = out.clone().leave_out("severity is low", &correlation(), at(5)).unwrap();
    assert!(!again.changed());
    assert_eq!(again.incident, out);
    let other = out.leave_out("custom detection", &correlation(), at(6)).unwrap();
    assert_eq!(other.changes[0].field, "leftOutReason");
}

#[test]
fn starting_claims_only_what_nobody_has() {
    let step = new().start(&vera(), at(4)).unwrap();
    assert_eq!(step.incident.owner.as_deref(), Some(OWNER_EXPERTS));
    assert_eq!(step.incident.started, Some(at(4)));
    assert_eq!(step.incident.system_tags, [TAG_EXPERTS]);
    let owned = assign(new(), "anna").unwrap().incident.start(&vera(), at(4)).unwrap();
    assert_eq!(owned.incident.owner.as_deref(), Some("anna"));
    let back = started().update(&status(IncidentStatus::Active), &vera(), at(5)).unwrap().incident;
    assert_eq!(back.start(&vera(), at(6)).unwrap().incident.started, Some(at(2)));
}

#[test]
fn a_harmless_conclusion_resolves_unassigns_and_speaks_twice() {
    let step = started().conclude(&harmless(), 0, &vera(), at(5)).unwrap();
    assert_eq!(step.incident.status(), IncidentStatus::Resolved);
    assert_eq!(step.incident.owner, None);
    assert_eq!(step.incident.description.as_deref(), Some("A drill by the owner"));
    assert_eq!(step.comments.len(), 1);
    assert_eq!(step.comments[0].text, "A drill by the owner");
    assert_eq!(
        step.cascade,
        Some(AlertCascade {
            owner: OwnerCascade::Set(None),
            status: Some(AlertStatus::Resolved),
            verdict: Some(step.incident.verdict),
        })
    );
}

#[test]
fn a_conclusion_lacks_nothing() {
    let told = |classification, determination, summary: &str| {
        let finding = Finding { classification, determination, summary: summary.to_owned() };
        started().conclude(&finding, 0, &vera(), at(5)).unwrap_err().to_string()
    };
    let (fp, unknown) = (Classification::FalsePositive, Determination::Unknown);
    assert_eq!(
        told(fp, Determination::Phishing, "x"),
        "incident 42: determination phishing does not go with classification falsePositive"
    );
    assert_eq!(
        told(Classification::Unknown, unknown, "x"),
        "incident 42: classification is needed for a conclusion"
    );
    assert_eq!(told(fp, unknown, "x"), "incident 42: determination is needed for a conclusion");
    assert_eq!(
        told(fp, Determination::NotMalicious, " \n"),
        "incident 42: summary must not be empty"
    );
    assert_eq!(
        queued().conclude(&harmless(), 0, &vera(), at(5)).unwrap_err().to_string(),
        "incident 42 is queued and cannot be concluded"
    );
    assert_eq!(
        started().conclude(&harmless(), 0, &carl(), at(5)).unwrap_err().to_string(),
        "incident 42 cannot be concluded by the customer: an expert must"
    );
}

#[test]
fn a_handover_gives_owner_and_tag_and_leaving_it_takes_the_tag_away() {
    let it = awaiting();
    assert_eq!(it.owner.as_deref(), Some("Customer"));
    assert_eq!(it.system_tags, [TAG_EXPERTS, TAG_AWAITING]);
    assert_eq!(it.status().spelled(false), "unknownFutureValue");
    let closed = it.clone().resolve("did it all", OwnerAfter::Nobody, &carl(), at(6)).unwrap();
    assert_eq!(closed.incident.system_tags, [TAG_EXPERTS]);
    assert_eq!(closed.incident.owner.as_deref(), Some("Customer"));
    let taken = it.update(&status(IncidentStatus::InProgress), &vera(), at(6)).unwrap().incident;
    assert_eq!(taken.owner.as_deref(), Some(OWNER_EXPERTS));
    assert_eq!(taken.system_tags, [TAG_EXPERTS]);
}

#[test]
fn who_has_it_after_experts_resolve_is_the_customers_choice() {
    let finish =
        |owner| started().finish_response(&threat(), owner, &vera(), at(5)).unwrap().incident.owner;
    assert_eq!(finish(OwnerAfter::Nobody), None);
    assert_eq!(finish(OwnerAfter::Customer).as_deref(), Some("Customer"));
}

#[test]
fn reopening_by_hand_is_recorded() {
    let step = resolved().update(&status(IncidentStatus::Active), &desk(), at(8)).unwrap();
    assert_eq!(step.incident.state, State::New);
    let change = step.changes.iter().find(|change| change.field == "status").unwrap();
    assert_eq!((&change.before, &change.after), (&"resolved".into(), &"active".into()));
    assert_eq!(step.incident.modified_by, "Ticket desk");
    assert_eq!(step.cascade, None);
}

#[test]
fn what_hands_set_alerts_and_correlation_leave_alone() {
    let patch = Patch {
        severity: Some(Severity::Low),
        display_name: Some(" Payroll drill ".to_owned()),
        ..Patch::default()
    };
    let it = new().update(&patch, &carl(), at(1)).unwrap().incident;
    let it = it.follow_severity(Severity::High, &correlation(), at(2)).unwrap().incident;
    let step = it.rename("Multi-stage incident", &correlation(), at(3)).unwrap();
    assert!(!step.changed());
    assert_eq!(step.incident.severity, Severity::Low);
    assert_eq!(step.incident.display_name, "Payroll drill");
    let raised = new().follow_severity(Severity::High, &correlation(), at(2)).unwrap().incident;
    assert_eq!(raised.severity, Severity::High);
    // A client that sends back what it read has not chosen anything.
    let echo = Patch {
        severity: Some(Severity::Medium),
        display_name: Some("Odd sign-in".to_owned()),
        ..Patch::default()
    };
    let step = new().update(&echo, &desk(), at(4)).unwrap();
    assert!(!step.changed() && !step.incident.severity_set_by_hand);
    assert!(!step.incident.name_set_by_hand);
}

#[test]
fn tags_are_trimmed_counted_and_kept_apart() {
    let with = |tags: Vec<String>| {
        new().update(&Patch { custom_tags: Some(tags), ..Patch::default() }, &carl(), at(1))
    };
    let owned = |tags: &[&str]| tags.iter().map(|&tag| tag.to_owned()).collect::<Vec<_>>();
    let it = with(owned(&[" quay ", "quay", "", "night"])).unwrap().incident;
    assert_eq!(it.custom_tags, ["quay", "night"]);
    assert!(it.system_tags.is_empty());
    assert!(with((0..50).map(|n| n.to_string()).collect()).is_ok());
    assert_eq!(
        with((0..51).map(|n| n.to_string()).collect()).unwrap_err().to_string(),
        "incident 42: customTags are more than 50"
    );
    assert!(with(vec!["x".repeat(257)]).is_err());
    let forged = owned(&[TAG_AWAITING, TAG_REDIRECTED, "Attack disruption"]);
    let it = new().tag(&forged, &correlation(), at(1)).unwrap().incident;
    assert_eq!(it.system_tags, ["Attack disruption"]);
}

#[test]
fn comments_have_a_length_and_a_text() {
    let long = "å".repeat(30_000);
    let step = new().comment(&long, &carl(), at(1)).unwrap();
    assert!(step.changed() && step.changes.is_empty());
    assert_eq!(step.incident.updated, at(1));
    assert!(new().comment(&format!("{long}å"), &carl(), at(1)).is_err());
    assert!(new().comment("  ", &carl(), at(1)).is_err());
    assert!(new().comment("a\0b", &carl(), at(1)).is_err());
}

#[test]
fn a_merge_moves_tags_and_points_on() {
    let mut source = queued();
    source.custom_tags = vec!["quay".to_owned()];
    source.system_tags.push("Ransomware".to_owned());
    let target = Incident { id: 7, ..queued() };
    let merged = target.absorb(&source, Severity::High, &correlation(), at(5)).unwrap().incident;
    assert_eq!(merged.custom_tags, ["quay"]);
    assert_eq!(merged.system_tags, [TAG_EXPERTS, "Ransomware"]);
    assert_eq!(merged.severity, Severity::High);
    let step = source.redirect(7, &correlation(), at(5)).unwrap();
    assert_eq!(step.incident.redirect_id(), Some(7));
    assert_eq!(step.incident.system_tags, [TAG_REDIRECTED]);
    assert!(step.incident.custom_tags.is_empty());
    assert_eq!(step.cascade, None);
    let foreign = Incident { id: 8, tenant: "norrland-dental".to_owned(), ..new() };
    assert!(merged.absorb(&foreign, Severity::High, &correlation(), at(6)).is_err());
}

#[test]
fn a_state_without_its_facts_is_none() {
    for stage in Stage::ALL {
        let bare = StateParts { stage: *stage, at: None, by: None, to: None, reason: None };
        assert_eq!(bare.state().is_some(), *stage == Stage::New, "{stage}");
    }
}

fn any_patch() -> impl Strategy<Value = Patch> {
    let pick = |words: &[&str]| {
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        prop::option::weighted(0.3, prop::sample::select(words))
    };
    (
        prop::option::weighted(0.4, prop::sample::select(IncidentStatus::ALL.to_vec())),
        prop::option::weighted(0.4, prop::sample::select(Classification::ALL.to_vec())),
        prop::option::weighted(0.4, prop::sample::select(Determination::ALL.to_vec())),
        pick(&["", "anna", OWNER_EXPERTS, OWNER_CUSTOMER]),
        pick(&["", "closed at the desk"]),
        prop::option::weighted(0.2, prop::sample::select(Severity::ALL.to_vec())),
    )
        .prop_map(|(status, classification, determination, owner, comment, severity)| Patch {
            status,
            classification,
            determination,
            assigned_to: owner,
            resolving_comment: comment,
            severity,
            custom_tags: Some(vec![TAG_AWAITING.to_owned()]),
            ..Patch::default()
        })
}

fn any_actor() -> impl Strategy<Value = Actor> {
    prop::sample::select(vec![correlation(), vera(), vera(), carl(), desk()])
}

fn any_finding() -> impl Strategy<Value = Finding> {
    (
        prop::sample::select(Classification::ALL.to_vec()),
        prop::sample::select(Determination::ALL.to_vec()),
        prop::sample::select(vec!["", "What happened, and what it touched"]),
    )
        .prop_map(|(classification, determination, summary)| Finding {
            classification,
            determination,
            summary: summary.to_owned(),
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn no_sequence_of_transitions_breaks_an_invariant(
        moves in prop::collection::vec(
            (0u8..14, any_actor(), any_patch(), any_finding(), 0u32..3), 1..40),
    ) {
        let mut it = new();
        for (second, (kind, actor, patch, finding, tasks)) in moves.into_iter().enumerate() {
            let (before, now) = (it.clone(), at(second as i64));
            let result = match kind {
                0 => it.clone().queue(&actor, now),
                1 => it.clone().leave_out("severity is low", &actor, now),
                2 | 3 => it.clone().start(&actor, now),
                4 => it.clone().conclude(&finding, tasks, &actor, now),
                5 | 6 => it.clone().hand_over(&finding, tasks, &actor, now),
                7 => it.clone().finish_response(&finding, OwnerAfter::Customer, &actor, now),
                8 => it.clone().resolve("", OwnerAfter::Nobody, &actor, now),
                9 if tasks == 0 => it.clone().redirect(7, &actor, now),
                10 => it.clone().follow_severity(Severity::High, &actor, now),
                11 => it.clone().comment("noted", &actor, now),
                _ => it.clone().update(&patch, &actor, now),
            };
            let Ok(step) = result else { continue };
            let after = step.incident;
            check(&after);
            let (old, new) = (before.status(), after.status());
            prop_assert!(before.redirect_id().is_none(), "nothing follows a redirect");
            if new == IncidentStatus::AwaitingAction && old != new {
                prop_assert!(actor.kind == ActorKind::Expert && tasks > 0);
                prop_assert_eq!(after.verdict.classification(), Classification::TruePositive);
                prop_assert!(after.summary.as_ref().is_some_and(|text| !text.is_empty()));
            }
            if kind == 4 {
                prop_assert_eq!((new, &after.owner), (IncidentStatus::Resolved, &None));
                prop_assert!(tasks == 0 && after.verdict.complete());
            }
            if old == IncidentStatus::Resolved && new != old {
                prop_assert!(kind >= 12 || (kind == 9 && tasks > 0), "only by hand");
                prop_assert!(actor.kind != ActorKind::System);
            }
            if new == IncidentStatus::Resolved && old != new {
                let status = step.cascade.as_ref().and_then(|cascade| cascade.status);
                prop_assert_eq!(status, Some(AlertStatus::Resolved));
            }
            prop_assert_eq!(
                step.changes.iter().any(|change| change.field == "status"), old != new);
            if step.changes.is_empty() && step.comments.is_empty() {
                prop_assert_eq!(&before, &after);
            }
            it = after;
        }
    }
}
