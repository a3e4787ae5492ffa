//! What of a customer makes which item, and when it is moved on.

use proptest::prelude::*;

use super::*;

/// A customer that has everything.
fn all() -> Found {
    Found {
        grant: ExpertAccess::Operator,
        contacts: 2,
        reached: 2,
        backups: 1,
        alerts: true,
        senders: 1,
        administrators: 2,
        strong: 2,
        invited: 0,
        devices: 3,
        live: 3,
        identities: 9,
        connectors: 1,
        silent: Vec::new(),
        doubts: Vec::new(),
        unknown: Vec::new(),
        channels: 1,
        targets: Targets::default(),
    }
}

fn status(found: &Found, kind: ItemKind) -> Status {
    let all = judge(found).items;
    all.into_iter().find(|it| it.kind == kind).expect("an item").status
}

fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

/// An item, how it stands without something, and what takes that away.
type Without = (ItemKind, Status, fn(&mut Found));

#[test]
fn who_has_everything_is_ready_and_each_item_says_what_is_gone() {
    let assessment = judge(&all());
    assert!(assessment.is_ready());
    assert!(assessment.items.iter().all(|it| it.status == Status::Completed), "{assessment:?}");
    let without: &[Without] = &[
        (ItemKind::IncidentContact, Status::ToDo, |it| it.contacts = 0),
        (ItemKind::ExpertAccess, Status::ToDo, |it| it.grant = ExpertAccess::None),
        (ItemKind::AlertSource, Status::InProgress, |it| it.alerts = false),
        (ItemKind::AlertSource, Status::ToDo, |it| (it.alerts, it.senders) = (false, 0)),
        (ItemKind::ExclusionsResolved, Status::InProgress, |it| it.doubts = vec!["x".into()]),
        (ItemKind::ContactReached, Status::InProgress, |it| it.reached = 1),
        (ItemKind::ContactReached, Status::ToDo, |it| it.reached = 0),
        (ItemKind::BackupContact, Status::InProgress, |it| it.backups = 0),
        (ItemKind::SecondAdministrator, Status::ToDo, |it| it.administrators = 1),
        (ItemKind::StrongSignIn, Status::InProgress, |it| it.strong = 1),
        (ItemKind::Agents, Status::InProgress, |it| it.live = 2),
        (ItemKind::Agents, Status::ToDo, |it| (it.devices, it.live) = (0, 0)),
        (ItemKind::Connectors, Status::InProgress, |it| it.silent = vec!["x".into()]),
        (ItemKind::ExclusionsKnown, Status::InProgress, |it| it.unknown = vec!["x".into()]),
        (ItemKind::RespondDirectly, Status::InProgress, |it| it.grant = ExpertAccess::Reader),
        (ItemKind::ChatChannel, Status::ToDo, |it| it.channels = 0),
    ];
    for &(kind, wanted, take) in without {
        let mut found = all();
        take(&mut found);
        assert_eq!(status(&found, kind), wanted, "{kind:?}");
        // What is marked Complete now gates, what is not does not; an agent gates by the target.
        let gates = kind.is_required() || (kind == ItemKind::Agents && found.devices > 0);
        assert_eq!(judge(&found).is_ready(), !gates, "{kind:?}");
    }
}

#[test]
fn every_item_says_what_it_is() {
    for &kind in ItemKind::ALL {
        assert!(!kind.title().is_empty() && kind.why().ends_with('.'), "{kind:?}");
        assert!(kind.link().starts_with("/settings/"), "{kind:?}");
    }
}

#[test]
fn a_target_that_was_set_counts_and_else_what_is_known() {
    let mut found = all();
    found.live = 2;
    assert!(!judge(&found).devices.is_reached());
    found.targets.devices = Some(2);
    assert!(judge(&found).devices.is_reached());
    found.targets.identities = Some(10);
    let judged = judge(&found);
    assert!(!judged.identities.is_reached());
    assert_eq!(judged.missing(), ["Protect 10 identities (9 are)"]);
    found.targets.identities = Some(0);
    assert!(judge(&found).is_ready());
}

#[test]
fn what_was_kept_tells_later_what_has_changed_and_what_is_missing() {
    let before = judge(&all()).kept();
    assert!(judge(&all()).changes(&before).is_empty());
    assert!(missing_of(&before).is_empty());
    let mut found = all();
    (found.contacts, found.live) = (0, 0);
    let after = judge(&found);
    let fields: Vec<&str> = after.changes(&before).iter().map(|it| it.field).collect();
    let wanted = ["incidentContact", "contactReached", "agents", "protectedDevices"];
    assert_eq!(fields, wanted);
    assert_eq!(
        missing_of(&after.kept()),
        ["Name an incident contact", "Protect as many devices as are to be"]
    );
    // Of who was never evaluated nothing is said.
    assert!(missing_of(&Value::Null).is_empty());
}

#[test]
fn steps_come_in_their_order_and_only_some_are_skipped() {
    let mut set = Vec::new();
    for &step in Step::ALL {
        assert_eq!(next_step(&set), Some(step));
        for &later in Step::ALL.iter().filter(|later| **later > step) {
            assert!(why_not_step(later, StepState::Done, &set).is_some(), "{later:?}");
        }
        assert_eq!(why_not_step(step, StepState::Done, &set), None);
        assert_eq!(why_not_step(step, StepState::Skipped, &set).is_none(), step.may_skip());
        set.push(step);
    }
    assert_eq!(next_step(&set), None);
    assert!(Step::ALL.iter().all(|step| why_not_step(*step, StepState::Done, &set).is_none()));
}

#[test]
fn monitoring_lasts_its_days_and_nobody_is_moved_on_before() {
    let day = DAY_S * 1_000_000;
    let monitored = (Stage::Monitoring, at(day));
    assert_eq!(advance(monitored, true, 7, at(8 * day - 1)), None);
    let moved = advance(monitored, false, 7, at(8 * day)).expect("it is over");
    assert_eq!(moved.0, Stage::Active, "whatever has lapsed meanwhile");
    assert_eq!(due(monitored, 7, at(7 * day + 1)), at(8 * day));
    let pending = (Stage::ReadinessPending, at(0));
    assert_eq!(advance(pending, false, 0, at(30 * day)), None);
    assert_eq!(advance(pending, true, 7, at(1)).map(|(to, _)| to), Some(Stage::Monitoring));
}

proptest! {
    #[test]
    fn no_evaluation_moves_a_customer_back_or_past_its_readiness(
        stage in prop::sample::select(Stage::ALL),
        is_ready: bool,
        days in 0..=MOST_DAYS,
        since in 0..1_000_000_000_000_i64,
        passed in 0..10_000_000_000_000_i64,
    ) {
        let mut now = (stage, at(since));
        let then = at(since + passed);
        let mut moves = 0;
        while let Some((to, _)) = advance(now, is_ready, days, then) {
            prop_assert!(to > now.0);
            prop_assert!(now.0 != Stage::ReadinessPending || is_ready);
            now = (to, then);
            moves += 1;
            prop_assert!(moves <= 2);
        }
        if stage < Stage::ReadinessPending {
            prop_assert_eq!(now.0, stage, "only the customer begins and submits");
        }
        prop_assert!(due(now, days, then) >= then || now.0 == Stage::Monitoring);
    }
}
