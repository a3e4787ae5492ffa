//! Service clocks: what they show of a response from the queue to its end, that restarts, replicas and
//! moved clocks change nothing, and who is told before a target is missed.

use riposte::config::Mail;
use riposte::escalation;
use riposte::notification::reminder;
use riposte::permission::Role;
use riposte::service_clock::follow;
use serde_json::{Value, json};

use crate::notification::{Post, post_with};
use crate::response::{Case, case};
use crate::world::alert;

const MINUTE: i64 = 60;

async fn clocks(case: &Case) -> Value {
    let face = &case.face;
    let email = format!("c{}@alder.example", uuid::Uuid::new_v4());
    let reader = face.person(&face.world.tenant.id, &email, Role::SecurityReader).await;
    let all = reader.get(&case.path("/clocks")).await.expect(200).json();
    all["value"]
        .as_array()
        .expect("clocks")
        .iter()
        .map(|it| (it["clock"].as_str().expect("a clock").to_owned(), it.clone()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn shows(clocks: &Value, clock: &str) -> (String, i64) {
    let it = &clocks[clock];
    let state = it["state"].as_str().expect("a state").to_owned();
    (state, it["countedSeconds"].as_i64().expect("seconds"))
}

fn pass(case: &Case, seconds: i64) {
    case.face.world.app.clock.advance_seconds(seconds);
}

async fn tick(case: &Case) {
    follow::tick(&case.face.world.app).await.expect("clocks");
}

#[tokio::test]
async fn each_clock_counts_its_part_of_a_response_and_no_more() {
    let case = case("reader").await;
    // Nobody has followed anything yet: what is shown needs no process to have run.
    let first = clocks(&case).await;
    assert_eq!(shows(&first, "triage"), ("stopped".to_owned(), 0), "{first}");
    assert_eq!(shows(&first, "decide").0, "running");
    assert_eq!(shows(&first, "acknowledge"), ("notStarted".to_owned(), 0));
    pass(&case, 10 * MINUTE);
    tick(&case).await;
    let task = case.draft(json!({ "actionType": "text", "displayName": "Call kari" })).await;
    case.publish().await;
    pass(&case, 7 * MINUTE);
    for followed in [false, true] {
        if followed {
            tick(&case).await;
        }
        let all = clocks(&case).await;
        assert_eq!(shows(&all, "decide"), ("stopped".to_owned(), 600), "{followed} {all}");
        assert_eq!(shows(&all, "resolve"), ("paused".to_owned(), 600), "{all}");
        assert_eq!(shows(&all, "acknowledge"), ("running".to_owned(), 420), "{all}");
        assert_eq!(shows(&all, "customer"), ("running".to_owned(), 420), "{all}");
    }
    let face = &case.face;
    let ida = face.person(&face.world.tenant.id, "i2@alder.example", Role::SecurityOperator).await;
    let word = json!({ "text": "I am calling her." });
    let chat = format!("/api/v1/conversations/incident-{}/messages", case.incident);
    ida.post(&chat, &word).await.expect(201);
    pass(&case, 5 * MINUTE);
    ida.post(&format!("/api/v1/tasks/{task}/complete"), &json!({})).await.expect(200);
    pass(&case, MINUTE);
    tick(&case).await;
    let all = clocks(&case).await;
    assert_eq!(shows(&all, "acknowledge"), ("stopped".to_owned(), 420), "{all}");
    assert_eq!(shows(&all, "customer"), ("stopped".to_owned(), 720), "{all}");
    assert_eq!(shows(&all, "resolve"), ("running".to_owned(), 660), "{all}");
    assert_eq!(all["decide"]["run"], 2, "they have it again: {all}");
    // Nobody may look through another customer's wall.
    let other = face.person(&face.world.other.id, "o@n.example", Role::SecurityAdministrator).await;
    other.get(&case.path("/clocks")).await.expect(404);
}

#[tokio::test]
async fn a_verified_containment_stops_its_clock_and_a_merge_ends_them_all() {
    let case = case("operator").await;
    let mut robot = crate::response::Robot::enrol(&case.face, "h1").await;
    tick(&case).await;
    pass(&case, 4 * MINUTE);
    let target = json!({ "kind": "device", "id": "h1.alder.example" });
    case.draft(json!({ "actionType": "isolateDevice", "target": target })).await;
    case.publish().await;
    let all = clocks(&case).await;
    assert_eq!(shows(&all, "contain"), ("running".to_owned(), 240), "asked for is not done: {all}");
    for _ in 0..4 {
        robot.turn(&case.face.world).await;
    }
    tick(&case).await;
    pass(&case, 60 * MINUTE);
    let all = clocks(&case).await;
    assert_eq!(shows(&all, "contain"), ("stopped".to_owned(), 240), "{all}");
    // What triage leaves out is measured by nobody.
    let mut low = alert("low", "h9", "lars", 0);
    low["severity"] = json!("low");
    case.face.world.alerts(&[low]).await;
    tick(&case).await;
    let rows = "select count(*) from service_clock where next_at is not null";
    let before = case.face.world.rows(rows).await;
    assert_eq!(before, [0], "the one is resolved, the other is left out");
}

#[tokio::test]
async fn a_program_of_the_customers_that_acts_has_reacted_for_it() {
    let case = case("reader").await;
    let task = case.draft(json!({ "actionType": "text", "displayName": "Call kari" })).await;
    case.publish().await;
    pass(&case, 3 * MINUTE);
    let done = json!({ "status": "completed" });
    let path = format!("/beta/security/incidentTasks/{task}");
    case.siem.patch(&path, &done).await.expect(200);
    pass(&case, MINUTE);
    let all = clocks(&case).await;
    assert_eq!(shows(&all, "acknowledge"), ("stopped".to_owned(), 180), "{all}");
}

/// What was sent about clocks, as receiver and subject.
fn told(it: &Post) -> Vec<(String, String)> {
    let mails = it.server.mails();
    let subject = |mail: &str| crate::notification::header(mail, "Subject").expect("a subject");
    let all = mails.iter().map(|(to, _, mail)| (to.clone(), subject(mail)));
    let said = ["due at", "missed", "Answer needed", "answers"];
    all.filter(|(_, subject)| said.iter().any(|it| subject.contains(it))).collect()
}

fn agreement() -> Value {
    json!({
        "targets": [
            { "clock": "triage", "severity": "high", "minutes": 15 },
            { "clock": "decide", "severity": "high", "minutes": 60 },
            { "clock": "decide", "severity": "medium", "minutes": 60 },
            { "clock": "acknowledge", "severity": "medium", "minutes": 480, "workingHours": true },
            { "clock": "acknowledge", "severity": "high", "minutes": 480, "workingHours": true },
        ],
        "hours": { "timeZone": "Europe/Oslo", "days": [
            { "from": "08:00", "until": "16:00" }, { "from": "08:00", "until": "16:00" },
            { "from": "08:00", "until": "16:00" }, { "from": "08:00", "until": "16:00" },
            { "from": "08:00", "until": "16:00" }, null, null,
        ] },
        "noticePercent": 75,
        "lead": { "name": "Lead", "email": "lead@fjordwatch.example", "language": "en" },
    })
}

/// Has the provider promise something; gives what it says afterwards.
async fn promise(case: &Case, wanted: &Value, tenant: Option<&str>) -> Value {
    let email = format!("p{}@fjordwatch.example", uuid::Uuid::new_v4());
    let odd = case.face.provider_person(&email, Role::ProviderAdministrator).await;
    let query = tenant.map(|id| format!("?tenantId={id}")).unwrap_or_default();
    odd.put(&format!("/api/v1/service-agreement{query}"), wanted).await.expect(200).json()
}

#[tokio::test]
async fn the_lead_hears_once_before_and_once_after_whoever_looks() {
    let it = post_with(Mail::default()).await;
    promise(&it.case, &agreement(), None).await;
    let replica = it.case.face.world.replica();
    let app = it.case.face.world.app.clone();
    let look = async |minutes: i64| {
        pass(&it.case, minutes * MINUTE);
        for _ in 0..2 {
            let (one, two) = tokio::join!(follow::tick(&app), follow::tick(&replica));
            one.and(two).expect("clocks");
        }
        it.tick().await;
        told(&it).len()
    };
    assert_eq!(look(44).await, 0);
    assert_eq!(look(1).await, 1, "three quarters of an hour");
    assert_eq!(look(14).await, 1);
    assert_eq!(look(1).await, 1, "at the very minute it is kept");
    assert_eq!(look(1).await, 2);
    assert_eq!(look(600).await, 2, "and never again");
    let told = told(&it);
    assert!(told.iter().all(|(to, _)| to == "lead@fjordwatch.example"), "{told:?}");
    assert!(told[0].1.starts_with("Decide is due at"), "{told:?}");
    assert!(told[1].1.starts_with("Decide missed its target"), "{told:?}");
    let log = it.case.path("/timeline?top=500");
    let log = it.ida().await.get(&log).await.expect(200).json();
    let kinds: Vec<&str> = log["value"]
        .as_array()
        .expect("a log")
        .iter()
        .filter_map(|it| it["kind"].as_str())
        .filter(|kind| kind.starts_with("clock."))
        .collect();
    assert_eq!(kinds, ["clock.nearing", "clock.missed"], "{log}");
}

#[tokio::test]
async fn what_was_missed_while_nothing_ran_is_told_as_missed_with_the_hour_it_was_due() {
    let it = post_with(Mail::default()).await;
    promise(&it.case, &agreement(), None).await;
    pass(&it.case, 600 * MINUTE);
    follow::tick(&it.case.face.world.app).await.expect("clocks");
    it.tick().await;
    let told = told(&it);
    assert_eq!(told.len(), 1, "{told:?}");
    let all = clocks(&it.case).await;
    assert_eq!(all["decide"]["isMissed"], true, "{all}");
    let mail = &it.server.mails().pop().expect("a mail").2;
    // It was taken up at 11:06 and had an hour.
    assert!(mail.contains("12:06 UTC"), "{mail}");
}

#[tokio::test]
async fn an_agreement_is_the_providers_word_and_holds_from_the_moment_it_is_given() {
    let case = case("reader").await;
    let tenant = case.face.world.tenant.id.clone();
    let path = format!("/api/v1/service-agreement?tenantId={tenant}");
    tick(&case).await;
    let due = |all: &Value| all["decide"]["dueDateTime"].as_str().map(str::to_owned);
    let before = due(&clocks(&case).await);
    let own = json!({ "targets": [{ "clock": "decide", "severity": "medium", "minutes": 30 },
                                  { "clock": "decide", "severity": "high", "minutes": 30 }],
                      "hours": null, "noticePercent": 50, "lead": null });
    let said = promise(&case, &own, Some(&tenant)).await;
    assert_eq!((&said["isOwn"], &said["may"]["change"]["allowed"]), (&json!(true), &json!(true)));
    let after = due(&clocks(&case).await);
    assert!(after.is_some() && after != before, "{before:?} {after:?}");
    tick(&case).await;
    let queue = case.expert.get("/api/v1/incidents").await.expect(200).json();
    assert_eq!(queue["value"][0]["nextDue"]["clock"], "decide", "{queue}");
    assert_eq!(queue["value"][0]["nextDue"]["dueDateTime"].as_str().map(str::to_owned), after);
    // Everybody whom it concerns reads it; only the provider's administrator gives it.
    let face = &case.face;
    let ida = face.person(&tenant, "i3@alder.example", Role::SecurityAdministrator).await;
    let read = ida.get("/api/v1/service-agreement").await.expect(200).json();
    assert_eq!(read["agreement"]["targets"][0]["minutes"], 30, "{read}");
    ida.put("/api/v1/service-agreement", &own).await.expect(403);
    let expert = face.provider_person("e@fjordwatch.example", Role::Expert).await;
    expert.get(&path).await.expect(200);
    expert.put(&path, &own).await.expect(403);
    let other = face.person(&face.world.other.id, "o@n.example", Role::SecurityAdministrator).await;
    other.get(&path).await.expect(404);
    let read = other.get("/api/v1/service-agreement").await.expect(200).json();
    assert_eq!(read["isOwn"], false, "another customer's is not its own: {read}");
    let odd = face.provider_person("odd@fjordwatch.example", Role::ProviderAdministrator).await;
    let mut bad = own.clone();
    bad["targets"][0]["minutes"] = json!(0);
    let refused = odd.put(&path, &bad).await.expect(400).json();
    assert!(refused.to_string().contains("targets, decide medium: minutes"), "{refused}");
    odd.delete(&path).await.expect(200);
    assert_eq!(due(&clocks(&case).await), before, "what is promised to all holds again");
}

/// A ladder of four rungs: Duty three times at any hour, and Ida when she is at her desk in Oslo.
async fn ladder(it: &Post, ida: &str, duty: &str) {
    let day = json!({ "from": "08:00", "until": "16:00" });
    let hours = json!({ "timeZone": "Europe/Oslo", "days": [day, day, day, day, day, null, null] });
    let person = it.ida().await;
    person.patch(&format!("/api/v1/contacts/{ida}"), &json!({ "hours": hours })).await.expect(200);
    let rung =
        |id: &str, minutes: i64| json!({ "contactId": id, "by": "mail", "waitMinutes": minutes });
    // Three waits of 67 hours and 10 minutes together, over the hour that is not there.
    let wanted = json!({
        "isOn": true, "severities": ["high", "medium"], "rounds": 1, "nobody": "lead",
        "rungs": [rung(duty, 1_440), rung(duty, 1_440), rung(duty, 1_150), rung(ida, 60)],
    });
    person.put("/api/v1/ladder", &wanted).await.expect(200);
}

/// Seven days in March, through the night in which Oslo's clocks are moved, with restarts and with a mail
/// server that is away for two days.
#[tokio::test]
async fn a_week_on_a_virtual_clock() {
    let it = post_with(Mail::default()).await;
    promise(&it.case, &agreement(), None).await;
    let ida = it.contact("Ida Berg", json!({})).await;
    let duty = it.contact("Duty", json!({ "priority": "backup" })).await;
    it.tick().await;
    // Friday 26 March 2027, 12:00 in Oslo: 11:00 UTC.
    let app = it.case.face.world.app.clone();
    let friday =
        riposte::clock::Timestamp::from_civil((2027, 3, 26), (11, 0, 0), 0).expect("a moment");
    pass(&it.case, (friday.micros() - app.clock.now().micros()) / 1_000_000);
    let case = &it.case;
    // Everybody signs in again after months.
    let grant = json!({ "level": "reader", "approval": "automatic", "endDateTime": null });
    it.ida().await.put("/api/v1/grant", &grant).await.expect(200);
    ladder(&it, &ida, &duty).await;
    let expert = case.face.expert().await;
    let task = json!({ "actionType": "text", "displayName": "Call kari" });
    expert.post(&case.path("/tasks"), &task).await.expect(201);
    let found = json!({ "classification": "truePositive", "determination": "malware",
                        "summary": "A loader." });
    expert.post(&case.path("/publish"), &found).await.expect(200);
    let mut replica = case.face.world.replica();
    for minute in 1..=7 * 1_440_i64 {
        pass(case, MINUTE);
        // Every sixth hour the process is another one.
        if minute % 360 == 0 {
            replica = case.face.world.replica();
        }
        // From Saturday noon to Monday noon no mail is taken.
        it.server.go((1_440..3 * 1_440).contains(&minute));
        if minute % 5 == 0 {
            follow::tick(&replica).await.expect("clocks");
            reminder::watch(&replica).await.expect("reminders");
            escalation::tick(&replica).await.expect("ladders");
            it.tick().await;
        }
    }
    // Acknowledge has eight working hours: Friday 12:00 to 16:00 are four, Monday 08:00 to 12:00 the rest.
    // Monday is summer time: 12:00 in Oslo is 10:00 UTC.
    let all = clocks(case).await;
    assert_eq!(all["acknowledge"]["dueDateTime"], "2027-03-29T10:00:00.0000000Z", "{all}");
    assert_eq!(all["acknowledge"]["isMissed"], true);
    let week = 7 * 86_400;
    assert_eq!(shows(&all, "customer"), ("running".to_owned(), week), "{all}");
    let told = told(&it);
    let of = |to: &str, what: &str| {
        told.iter().filter(|(it, subject)| it == to && subject.starts_with(what)).count()
    };
    assert_eq!(
        of("ida.berg@alder.example", "Acknowledge is due at 2027-03-29 10:00"),
        1,
        "{told:?}"
    );
    for everybody in ["ida.berg@alder.example", "duty@alder.example", "lead@fjordwatch.example"] {
        assert_eq!(of(everybody, "Acknowledge missed"), 1, "{everybody}: {told:?}");
    }
    assert_eq!(of("duty@alder.example", "Acknowledge is due"), 0, "a backup is not asked yet");
    // A reminder every four hours for a week; those of the two days without a mail server came after it.
    let mails = it.server.mails();
    let reminders = mails
        .iter()
        .filter(|(to, _, mail)| to.starts_with("ida") && mail.contains("has waited for"))
        .count();
    assert!((41..=42).contains(&reminders), "{reminders}");
    // Who is on the ladder was tried at its hour, also while no mail was taken: Ida on Monday at a
    // quarter past eight, which in winter time would be an hour earlier and before her day.
    let all = it.ida().await.get(&case.path("/escalation")).await.expect(200).json();
    let climb = &all["value"][0];
    let steps: Vec<(&str, &str, &Value)> = climb["steps"]
        .as_array()
        .expect("steps")
        .iter()
        .map(|it| {
            let at = it["dateTime"].as_str().expect("a moment");
            (&at[..16], it["name"].as_str().expect("a name"), &it["because"])
        })
        .collect();
    let wanted = [
        ("2027-03-26T11:05", "Duty", &Value::Null),
        ("2027-03-27T11:05", "Duty", &Value::Null),
        ("2027-03-28T11:05", "Duty", &Value::Null),
        ("2027-03-29T06:15", "Ida Berg", &Value::Null),
    ];
    assert_eq!(steps, wanted, "{all}");
    assert_eq!(climb["standing"], "nobody", "{all}");
    assert_eq!(of("duty@alder.example", "Answer needed"), 3, "{told:?}");
    assert_eq!(of("ida.berg@alder.example", "Answer needed"), 1, "{told:?}");
    assert_eq!(of("lead@fjordwatch.example", "Nobody of Alder Freight answers"), 1, "{told:?}");
    let ids: std::collections::BTreeSet<&String> = mails.iter().map(|(_, id, _)| id).collect();
    assert_eq!(ids.len(), mails.len(), "nothing came twice");
}
