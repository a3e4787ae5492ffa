//! Rules and their Cedar: what a text decides is what its form says, read plainly.

use crate::authority::cedar;
use crate::authority::policy::{Approvals, Fault, Policy, Question, Ruling};
use crate::authority::rule::{
    By, Confidence, Effect, Fallback, Hours, Rule, Things, Who, severity, types_of,
};
use crate::catalog::{CATALOG, Kind};
use crate::clock::Timestamp;
use crate::word::Severity;

/// Numbers that follow from a seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }

    fn one<T: Clone>(&mut self, all: &[T]) -> T {
        all[usize::try_from(self.roll(all.len() as u64)).unwrap()].clone()
    }

    fn some<T: Clone>(&mut self, all: &[T]) -> Vec<T> {
        all.iter().filter(|_| self.roll(2) == 0).cloned().collect()
    }

    fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.roll(2) == 0).then(|| make(self))
    }
}

const ZONES: [&str; 3] = ["Europe/Oslo", "America/St_Johns", "Asia/Kathmandu"];

fn some_rule(dice: &mut Dice, place: u64) -> Rule {
    let texts = |all: &[&str]| all.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
    let actions = texts(&["isolateDevice", "runAntiVirusScan", "dangerous", "device", "user"]);
    let mut who = dice.some(&[Who::Expert, Who::Automatic]);
    let effect = match dice.roll(4) {
        0 => Effect::AtOnce,
        1 => Effect::Never,
        _ => Effect::Approval {
            by: dice.one(By::ALL),
            quorum: 1 + dice.roll(3) as i64,
            within: 1 + dice.roll(90) as i64,
            fallback: dice.one(Fallback::ALL),
        },
    };
    let never = matches!(effect, Effect::Never | Effect::Approval { by: By::Experts, .. });
    if never && who.is_empty() {
        who.push(Who::Expert);
    } else if !never && dice.roll(3) == 0 {
        who.push(Who::Customer);
    }
    let names = |dice: &mut Dice, all: &[&str]| {
        let all = texts(all);
        if dice.roll(2) == 0 { dice.some(&all) } else { Vec::new() }
    };
    let words: Vec<String> = Severity::ALL.iter().map(|it| it.word().to_owned()).collect();
    let mut rule = Rule {
        id: format!("rule-{place}"),
        title: dice.one(&texts(&["Plain", "With \"quotes\" and \\", "Åre; // { } @id(\"x\")"])),
        actions: if dice.roll(3) == 0 { Vec::new() } else { dice.some(&actions) },
        things: Things {
            devices: names(dice, &["h1", "h2"]),
            device_groups: names(dice, &["servers", "a \"b\" \\ c"]),
            users: names(dice, &["kari", "ola@alder.example"]),
            high_value: dice.roll(4) == 0,
        },
        severity_from: dice.maybe(|dice| dice.one(&words)),
        severity_to: None,
        confidence_from: dice.maybe(|dice| dice.one(Confidence::ALL)),
        confidence_to: None,
        hours: (dice.roll(3) == 0).then(|| Hours {
            zone: dice.one(&texts(&ZONES)),
            days: (1..=7).filter(|_| dice.roll(2) == 0).chain([3]).collect(),
            from: dice.roll(1440) as i64,
            to: dice.roll(1441) as i64,
            outside: dice.roll(3) == 0,
        }),
        who,
        effect,
    };
    if dice.roll(4) == 0 {
        (rule.severity_from, rule.severity_to) = (None, Some(dice.one(&words)));
    }
    rule.check().unwrap();
    rule
}

fn some_rules(dice: &mut Dice) -> Vec<Rule> {
    (0..dice.roll(6)).map(|place| some_rule(dice, place)).collect()
}

fn some_question(dice: &mut Dice) -> Question {
    let texts = |all: Vec<&str>| all.into_iter().map(str::to_owned).collect::<Vec<_>>();
    let kinds =
        [Kind::IsolateDevice, Kind::RunAntiVirusScan, Kind::DisableUser, Kind::SubmitIocRule];
    Question {
        who: dice.one(Who::ALL),
        entry: dice.one(&kinds).entry(),
        devices: texts(dice.some(&["h1", "h2", "h3"])),
        groups: texts(dice.some(&["servers", "a \"b\" \\ c", "kiosks"])),
        users: texts(dice.some(&["kari", "ola@alder.example"])),
        high_value: dice.roll(3) == 0,
        severity: dice.roll(5) as i64,
        confidence: dice.roll(3) as i64,
        approvals: Approvals { customer: dice.roll(4) as i64, experts: dice.roll(3) as i64 },
        waited: dice.roll(120) as i64,
        now: Timestamp::from_micros(1_795_000_000_000_000)
            .plus_seconds(dice.roll(400 * 86_400) as i64),
    }
}

/// A rule read plainly, without Cedar.
fn holds(rule: &Rule, it: &Question) -> bool {
    let who = rule.who.is_empty() || rule.who.contains(&it.who);
    let action = types_of(&rule.actions).contains(&it.entry.word);
    let any = |named: &[String], names: &[String]| named.iter().any(|name| names.contains(name));
    let things = &rule.things;
    let thing = things.is_everything()
        || any(&things.devices, &it.devices)
        || any(&things.device_groups, &it.groups)
        || any(&things.users, &it.users)
        || (things.high_value && it.high_value);
    let number = |word: &Option<String>| word.as_deref().and_then(severity);
    let severe = number(&rule.severity_from).is_none_or(|from| it.severity >= from)
        && number(&rule.severity_to).is_none_or(|to| it.severity <= to);
    let sure = rule.confidence_from.is_none_or(|from| it.confidence >= from.number())
        && rule.confidence_to.is_none_or(|to| it.confidence <= to.number());
    let hour = rule.hours.as_ref().is_none_or(|hours| {
        let zone = jiff::tz::TimeZone::get(&hours.zone).unwrap();
        let there = zone.to_datetime(jiff::Timestamp::from_microsecond(it.now.micros()).unwrap());
        let minute = i64::from(there.hour()) * 60 + i64::from(there.minute());
        let today = i64::from(there.date().weekday().to_monday_one_offset());
        let yesterday = (today + 5) % 7 + 1;
        let inside = if hours.from < hours.to {
            hours.days.contains(&today) && (hours.from..hours.to).contains(&minute)
        } else {
            (hours.days.contains(&today) && minute >= hours.from)
                || (hours.days.contains(&yesterday) && minute < hours.to)
        };
        inside != hours.outside
    });
    who && action && thing && severe && sure && hour
}

/// What the first rule that holds decides: its place, and whether people are missing.
fn plainly(rules: &[Rule], it: &Question) -> (Option<usize>, u8) {
    let Some(place) = rules.iter().position(|rule| holds(rule, it)) else { return (None, 0) };
    let verdict = match &rules[place].effect {
        Effect::AtOnce => 0,
        Effect::Never => 2,
        Effect::Approval { by, quorum, within, fallback } => {
            let waited = *fallback == Fallback::Proceed && it.waited >= *within;
            u8::from(it.approvals.of(*by) < *quorum && !waited)
        }
    };
    (Some(place), verdict)
}

#[test]
fn the_first_rule_that_holds_decides_in_cedar_as_it_does_read_plainly() {
    let mut seen = [0; 3];
    for seed in 0..400 {
        let mut dice = Dice(seed);
        let rules = some_rules(&mut dice);
        let text = cedar::write(&rules);
        let policy = Policy::read(&text).unwrap_or_else(|faults| panic!("{faults:?}\n{text}"));
        for _ in 0..8 {
            let question = some_question(&mut dice);
            let (place, verdict) = plainly(&rules, &question);
            let ruling = policy.decide(&question);
            let (rule, told) = match &ruling {
                Ruling::AtOnce(why) => (why.as_ref().map(|why| why.rule.clone()), 0),
                Ruling::Waits(needs) => (Some(needs[0].rule.clone()), 1),
                Ruling::Never(why) => (Some(why.rule.clone()), 2),
            };
            assert_eq!(told, verdict, "seed {seed}: {ruling:?}\n{question:?}\n{text}");
            if verdict > 0 {
                let place = place.unwrap();
                assert_eq!(rule, Some(rules[place].id.clone()), "seed {seed}");
            }
            seen[usize::from(verdict)] += 1;
        }
    }
    assert!(seen.iter().all(|count| *count > 100), "{seen:?}");
}

#[test]
fn a_form_comes_back_from_its_cedar_as_it_was() {
    for seed in 0..400 {
        let rules = some_rules(&mut Dice(seed));
        let text = cedar::write(&rules);
        let policy = Policy::read(&text).unwrap();
        assert_eq!(policy.form(), Some(rules.as_slice()), "seed {seed}\n{text}");
    }
}

#[test]
fn what_a_form_cannot_say_is_kept_as_text_and_decides_all_the_same() {
    let text = r#"@id("grant") permit (principal, action, resource);
@id("night") @title("Mailboxes of kari at night")
forbid (principal == Requester::"expert", action in Action::"user", resource)
when { resource in User::"kari" && !(Zone::"Europe/Oslo".minute >= 360) && context.severity != 4 };"#;
    let policy = Policy::read(text).unwrap();
    assert_eq!(policy.form(), None);
    let mut question = some_question(&mut Dice(1));
    question.who = Who::Expert;
    question.entry = Kind::DisableUser.entry();
    question.users = vec!["kari".to_owned()];
    question.severity = 3;
    // 2026-11-18T11:06:40Z is noon in Oslo; ten hours before it is night.
    question.now = Timestamp::from_micros(1_795_000_000_000_000);
    assert_eq!(policy.decide(&question), Ruling::AtOnce(None));
    question.now = question.now.plus_seconds(-10 * 3_600);
    assert!(matches!(policy.decide(&question), Ruling::Never(why) if why.rule == "night"));
    question.severity = 4;
    assert_eq!(policy.decide(&question), Ruling::AtOnce(None));
}

fn reasons(text: &str) -> String {
    match Policy::read(text) {
        Ok(_) => String::new(),
        Err(faults) => crate::authority::policy::told(&faults),
    }
}

#[test]
fn what_is_wrong_with_a_text_is_said_with_its_rule() {
    let rule = |head: &str, body: &str| {
        format!("{}{head}\nforbid (principal, action, resource) {body};", cedar::GRANT_TEXT)
    };
    let asks = "@by(\"customer\") @quorum(\"2\") @within(\"60\") @fallback(\"refuse\")";
    let enough = "unless { context.approvals.customer >= 2 }";
    for (text, wanted) in [
        (rule("@id(\"r\")", "when { context.mood >= 3 }"), "rule r: "),
        (rule("@id(\"r\")", "when { context.severity >= \"3\" }"), "rule r: "),
        (rule("@id(\"r\")", "when { resource in Server::\"h1\" }"), "rule r: "),
        (rule("@id(\"r\")", "when { resource in Device::\"H1\" }"), "lower case"),
        (rule("@id(\"r\")", "when { Zone::\"Mars/Olympus\".minute > 3 }"), "no time zone"),
        (rule("@id(\"r\")", "when { principal == Requester::\"anyone\" }"), "rule r: "),
        (rule("@id(\"r\")", "when { action == Action::\"explode\" }"), "rule r: "),
        (rule("@id(\"r\")", enough), "say whose"),
        (rule("@id(\"r\") @by(\"customer\")", enough), "go together"),
        (rule(&format!("@id(\"r\") {}", asks.replace('2', "9")), enough), "@quorum"),
        (rule(&format!("@id(\"r\") {}", asks.replace("refuse", "shrug")), enough), "@fallback"),
        (rule("@id(\"r\") @mood(\"good\")", ""), "no annotation @mood"),
        (rule("", ""), "has no @id"),
        (rule("@id(\"grant\")", ""), "same @id"),
        (rule("@id(\"r r\")", ""), "letters"),
        (rule("@id(\"r\")", "whne { true }"), "cannot be read"),
        ("permit (principal == ?principal, action, resource);".to_owned(), "template"),
        ("@id(\"x\") permit".to_owned(), "cannot be read"),
    ] {
        let told = reasons(&text);
        assert!(told.contains(wanted), "{text}\n{told}");
    }
    assert_eq!(reasons(&rule(&format!("@id(\"r\") {asks}"), enough)), "");
    // Once, and not once for each action that there is.
    let told = reasons(&rule("@id(\"r\")", "when { context.mood >= 3 }"));
    assert_eq!(told.matches("mood").count(), 1, "{told}");
}

#[test]
fn hostile_texts_are_refused_or_harmless_and_never_slow() {
    let rule = |body: &str| {
        let grant = cedar::GRANT_TEXT;
        format!("{grant}@id(\"r\")\nforbid (principal, action, resource) when {{ {body} }};")
    };
    let many = |count: usize| {
        let one = |at| format!("@id(\"r{at}\") forbid (principal, action, resource);\n");
        (0..count).map(one).collect::<String>()
    };
    let deep = "(".repeat(20_000) + &")".repeat(20_000);
    let refused = [
        "x".repeat(70_000),
        rule(&deep),
        rule(&format!("{}true", "!".repeat(30_000))),
        rule(&vec!["true"; 12_000].join("||")),
        rule(&format!("context{}", ".a".repeat(20_000))),
        rule(&"if true then true else ".repeat(2_000)),
        rule(&format!("{}true{}", "[".repeat(30_000), "]".repeat(30_000))),
        many(500),
        "\u{0}".to_owned(),
        "\"".repeat(60_001),
        "@".repeat(60_000),
        "\u{202e}forbid\u{202c}".to_owned(),
    ];
    for text in &refused {
        let began = std::time::Instant::now();
        assert!(Policy::read(text).is_err(), "{}", text.chars().take(80).collect::<String>());
        assert!(began.elapsed().as_secs() < 5);
    }
    // At the limits it is read, evaluated and forgotten.
    for text in [
        rule(&vec!["context.severity == 3"; 180].join(" || ")),
        rule(&format!("{}true{}", "(".repeat(20), ")".repeat(20))),
        rule(&format!("{}true", "if context.severity == 3 then false else ".repeat(150))),
        rule(&format!("context.severity == 0{}", " + 1".repeat(900))),
        many(99),
    ] {
        let began = std::time::Instant::now();
        let policy = Policy::read(&text).unwrap_or_else(|faults| panic!("{faults:?}"));
        let _ = policy.decide(&some_question(&mut Dice(7)));
        assert!(began.elapsed().as_secs() < 10);
    }
}

#[test]
fn what_goes_wrong_while_it_is_evaluated_waits_for_a_person_of_the_customer() {
    let text = format!(
        "{}@id(\"r\") forbid (principal, action, resource)\n\
         when {{ context.severity + 9223372036854775807 > 0 && false }};",
        cedar::GRANT_TEXT
    );
    let policy = Policy::read(&text).unwrap();
    let mut question = some_question(&mut Dice(3));
    question.severity = 4;
    question.approvals = Approvals::default();
    let Ruling::Waits(needs) = policy.decide(&question) else { panic!("it was let through") };
    assert_eq!((needs[0].by, needs[0].quorum), (By::Customer, 1));
    assert!(needs[0].title.contains("could not be evaluated"), "{}", needs[0].title);
    question.approvals.customer = 1;
    assert_eq!(policy.decide(&question), Ruling::AtOnce(None));
}

#[test]
fn without_the_grant_s_own_rule_nothing_is_permitted() {
    let policy = Policy::read(
        "@id(\"scan\") permit (principal, action == \
        Action::\"runAntiVirusScan\", resource);",
    )
    .unwrap();
    let mut question = some_question(&mut Dice(3));
    question.entry = Kind::RunAntiVirusScan.entry();
    assert!(matches!(policy.decide(&question), Ruling::AtOnce(Some(_))));
    question.entry = Kind::IsolateDevice.entry();
    assert!(matches!(policy.decide(&question), Ruling::Never(_)));
    assert!(matches!(Policy::read("").unwrap().decide(&question), Ruling::Never(_)));
}

/// An hour on the wall is that of the time zone, over both changes of the clock.
#[test]
fn hours_are_those_on_the_wall_when_clocks_change() {
    let mut rule = some_rule(&mut Dice(1), 1);
    rule = Rule {
        actions: Vec::new(),
        things: Things::default(),
        severity_from: None,
        severity_to: None,
        confidence_from: None,
        confidence_to: None,
        who: vec![Who::Expert],
        effect: Effect::Never,
        hours: Some(Hours {
            zone: "Europe/Oslo".to_owned(),
            days: vec![7],
            from: 120,
            to: 180,
            outside: false,
        }),
        ..rule
    };
    let holds_at = |rule: &Rule, date: (i64, u32, u32), time: (u32, u32, u32)| {
        let policy = Policy::read(&cedar::write(std::slice::from_ref(rule))).unwrap();
        let mut question = some_question(&mut Dice(9));
        question.who = Who::Expert;
        question.now = Timestamp::from_civil(date, time, 0).unwrap();
        matches!(policy.decide(&question), Ruling::Never(_))
    };
    // 2026-10-25: two o'clock comes twice, at 00:00Z and at 01:00Z.
    let back = (2026, 10, 25);
    assert!(!holds_at(&rule, (2026, 10, 24), (23, 59, 59)));
    assert!(holds_at(&rule, back, (0, 0, 0)) && holds_at(&rule, back, (0, 59, 59)));
    assert!(holds_at(&rule, back, (1, 0, 0)) && holds_at(&rule, back, (1, 59, 59)));
    assert!(!holds_at(&rule, back, (2, 0, 0)));
    // 2027-03-28: two o'clock does not come at all; 01:00Z is three.
    let on = (2027, 3, 28);
    assert!(!holds_at(&rule, on, (0, 59, 59)) && !holds_at(&rule, on, (1, 0, 0)));
    // Over midnight: Sunday from ten to six, so Monday five is inside and Monday six is not.
    rule.hours = Some(Hours {
        zone: "Europe/Oslo".to_owned(),
        days: vec![7],
        from: 1320,
        to: 360,
        outside: false,
    });
    assert!(holds_at(&rule, (2026, 10, 25), (21, 0, 0)));
    assert!(holds_at(&rule, (2026, 10, 26), (4, 59, 59)));
    assert!(!holds_at(&rule, (2026, 10, 26), (5, 0, 0)));
    assert!(!holds_at(&rule, (2026, 10, 25), (20, 59, 59)));
}

#[test]
fn a_form_refuses_what_means_nothing() {
    let good = some_rule(&mut Dice(5), 1);
    let with = |change: &dyn Fn(&mut Rule)| {
        let mut rule = good.clone();
        change(&mut rule);
        rule.check()
    };
    let approval =
        |by, quorum, within| Effect::Approval { by, quorum, within, fallback: Fallback::Refuse };
    for refused in [
        with(&|it| it.id = "grant".to_owned()),
        with(&|it| it.id = "a b".to_owned()),
        with(&|it| it.title = "\n".to_owned()),
        with(&|it| it.actions = vec!["explode".to_owned()]),
        with(&|it| it.things.devices = vec![String::new()]),
        with(&|it| it.things.users = vec!["x".repeat(300)]),
        with(&|it| it.severity_from = Some("grave".to_owned())),
        with(&|it| {
            it.severity_from = Some("high".to_owned());
            it.severity_to = Some("low".to_owned());
        }),
        with(&|it| {
            it.effect = Effect::Never;
            it.who = Vec::new();
        }),
        with(&|it| it.effect = approval(By::Customer, 0, 60)),
        with(&|it| it.effect = approval(By::Customer, 6, 60)),
        with(&|it| it.effect = approval(By::Customer, 1, 0)),
        with(&|it| {
            it.effect = approval(By::Experts, 1, 60);
            it.who = vec![Who::Customer];
        }),
        with(&|it| {
            it.hours = Some(Hours {
                zone: "Oslo".to_owned(),
                days: vec![1],
                from: 0,
                to: 60,
                outside: false,
            });
        }),
        with(&|it| {
            it.hours = Some(Hours {
                zone: "UTC".to_owned(),
                days: vec![8],
                from: 0,
                to: 60,
                outside: false,
            });
        }),
    ] {
        assert!(refused.is_err());
    }
    assert_eq!(with(&|it| it.things.devices = vec![" H1 ".to_owned()]), Ok(()));
}

#[test]
fn only_what_adds_prohibitions_is_narrower() {
    let base = "@id(\"a\") forbid (principal, action == Action::\"isolateDevice\", resource);";
    let read = |text: &str| Policy::read(&format!("{}{text}", cedar::GRANT_TEXT)).unwrap();
    let before = read(base);
    let more = "@id(\"b\") forbid (principal, action, resource);";
    assert!(before.only_narrows(&read("")));
    assert!(read(&format!("{base}{more}")).only_narrows(&before));
    assert!(before.only_narrows(&before));
    assert!(!read("").only_narrows(&before));
    assert!(!read(more).only_narrows(&before));
    let wider = base.replace("resource);", "resource) when { context.severity < 3 };");
    assert!(!read(&wider).only_narrows(&before));
    let permit = "@id(\"c\") permit (principal, action, resource);";
    assert!(!read(&format!("{base}{permit}")).only_narrows(&before));
}

#[test]
fn every_action_of_the_catalogue_can_be_asked_about() {
    let policy = Policy::read(cedar::GRANT_TEXT).unwrap();
    for entry in CATALOG {
        let question = Question { entry, ..some_question(&mut Dice(2)) };
        assert_eq!(policy.decide(&question), Ruling::AtOnce(None), "{}", entry.word);
    }
}

#[test]
fn a_fault_names_its_rule() {
    let fault = Fault { rule: Some("night".to_owned()), because: "no".to_owned() };
    assert_eq!(fault.to_string(), "rule night: no");
}
