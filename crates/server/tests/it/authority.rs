//! The customer's authority policy from the form to the device: who waits for whom, for how long, and
//! that nothing gets wider by it.

use riposte::access;
use riposte::authority::{self, Draft};
use riposte::coverage::{self, Authority, Deed, Thing};
use riposte::permission::Role;
use riposte::response::catalog::Kind;
use riposte::tenant::caller::{Caller, Factor, Reach, Seat, Within};
use riposte::tenant::{ExpertAccess, grant};
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::response::{Case, Robot, case};
use crate::world::World;

/// A rule for what experts want, before `change`.
fn rule(id: &str, effect: &Value) -> Value {
    json!({ "id": id, "title": format!("The rule {id}"), "who": ["expert"], "effect": effect })
}

fn approval(by: &str, quorum: i64, within: i64, fallback: &str) -> Value {
    json!({
        "kind": "approval", "by": by, "quorum": quorum, "within": within, "fallback": fallback,
    })
}

impl Case {
    /// The customer's administrator saves rules as the newest version.
    async fn policy(&self, rules: &[Value]) -> Value {
        let now = self.ida.get("/api/v1/authority").await.expect(200).json();
        let body = json!({ "version": now["policy"]["version"], "rules": rules });
        self.fresh(&self.ida, "ida@alder.example").await;
        self.ida.put("/api/v1/authority/policy", &body).await.expect(200).json()
    }

    /// A person shows a factor again.
    async fn fresh(&self, browser: &Browser, email: &str) {
        // A code counts once.
        self.face.world.app.clock.advance_seconds(31);
        browser.sign_in(&self.face.world, email).await.expect(200);
    }

    /// The administrator comes back after a while.
    async fn back(&self) {
        self.ida.sign_in(&self.face.world, "ida@alder.example").await.expect(200);
    }

    /// The open tasks of the customer.
    async fn guided(&self) -> Vec<Value> {
        let response = self.response().await;
        let all = response["pending"].as_array().expect("tasks").iter();
        all.filter(|task| task["source"] == "defenderExpertsGuidedResponse").cloned().collect()
    }

    async fn operator(&self, email: &str) -> Browser {
        let tenant = self.face.world.tenant.id.clone();
        self.face.person(&tenant, email, Role::SecurityOperator).await
    }

    async fn action(&self, task: &str) -> Value {
        let task = self.task(task).await;
        let id = task["actions"][0]["id"].as_str().expect("an action");
        self.ida.get(&format!("/api/v1/actions/{id}")).await.expect(200).json()
    }
}

fn path(action: &Value, step: &str) -> String {
    format!("/api/v1/actions/{}/{step}", action["id"].as_str().expect("an id"))
}

fn exact(action: &Value) -> Value {
    json!({ "fingerprint": action["fingerprint"] })
}

#[tokio::test]
async fn a_policy_is_the_customer_s_to_save_and_each_version_is_kept() {
    let case = case("operator").await;
    let world = &case.face.world;
    let first = case.ida.get("/api/v1/authority").await.expect(200).json();
    assert_eq!((&first["policy"]["version"], &first["policy"]["rules"]), (&json!(0), &json!([])));
    let rules = json!([rule("two", &approval("customer", 2, 60, "refuse"))]);
    let body = json!({ "version": 0, "rules": rules });
    let tom = case.operator("tom@alder.example").await;
    tom.put("/api/v1/authority/policy", &body).await.expect(403);
    let send = |body: &Value| {
        case.expert.send("PUT", "/api/v1/authority/policy", Some(body.to_string()), &[])
    };
    send(&body).await.expect(403);
    // What adds a prohibition only narrows, and asks for no fresh factor.
    world.app.clock.advance_seconds(400);
    let saved = case.ida.put("/api/v1/authority/policy", &body).await.expect(200).json();
    assert_eq!(saved["policy"]["version"], 1);
    assert_eq!(saved["policy"]["rules"][0]["effect"], rules[0]["effect"], "{saved}");
    let text = saved["policy"]["text"].as_str().expect("a text").to_owned();
    assert!(text.contains("unless { context.approvals.customer >= 2 }"), "{text}");
    case.ida.put("/api/v1/authority/policy", &body).await.expect(409);
    // The same again is no new version.
    let same = json!({ "version": 1, "text": text });
    let same = case.ida.put("/api/v1/authority/policy", &same).await.expect(200).json();
    assert_eq!(same["policy"]["version"], 1);
    // To take it away widens.
    let none = json!({ "version": 1, "rules": [], "note": "The pilot is over." });
    let stale = case.ida.put("/api/v1/authority/policy", &none).await.expect(403).json();
    assert_eq!(stale["error"]["code"], "StepUpRequired");
    case.fresh(&case.ida, "ida@alder.example").await;
    let saved = case.ida.put("/api/v1/authority/policy", &none).await.expect(200).json();
    assert_eq!((&saved["policy"]["version"], &saved["policy"]["rules"]), (&json!(2), &json!([])));
    let all = case.ida.get("/api/v1/authority/versions").await.expect(200).json();
    assert_eq!(all["value"][0]["note"], "The pilot is over.", "{all}");
    assert_eq!(all["value"][1]["savedBy"], "ida@alder.example");
    let old = case.ida.get("/api/v1/authority/versions/1").await.expect(200).json();
    assert_eq!(old["text"], json!(text));
    case.ida.get("/api/v1/authority/versions/3").await.expect(404);
    case.ida.get("/api/v1/authority/versions/x").await.expect(404);
    let told = "select count(*) from event where kind = 'authority.changed'";
    assert_eq!(world.rows(told).await, [2]);
}

#[tokio::test]
async fn what_cannot_be_a_policy_is_refused_with_the_rule_and_the_reason() {
    let case = case("operator").await;
    let grant = "@id(\"grant\") permit (principal, action, resource);";
    let night = "@id(\"night\") forbid (principal, action, resource)";
    let deep = "(".repeat(20_000);
    for (draft, wanted) in [
        (json!({ "text": format!("{grant}{night} when {{ context.mood }};") }), "rule night: "),
        (json!({ "text": format!("{grant}{night} when {{ {deep} }};") }), "deep"),
        (json!({ "text": "x".repeat(70_000) }), "bytes"),
        (json!({ "text": "@id(\"fourEyes\") permit (principal, action, resource);" }), "switch"),
        (json!({ "rules": [rule("a b", &json!({ "kind": "never" }))] }), "rule a b: "),
        (json!({ "rules": vec![rule("r", &json!({ "kind": "never" })); 41] }), "at most 40"),
        (json!({ "rules": vec![rule("r", &json!({ "kind": "never" })); 2] }), "same @id"),
        (json!({ "rules": [{ "id": "r" }] }), "title"),
        (json!({ "rules": [], "text": "" }), "either"),
        (json!({}), "either"),
        (json!({ "rules": [], "more": 1 }), "more"),
    ] {
        let mut body = draft.clone();
        body["version"] = json!(0);
        let refused = case.ida.put("/api/v1/authority/policy", &body).await;
        assert_eq!(refused.status, 400, "{wanted}: {}", refused.text);
        assert!(refused.text.contains(wanted), "{wanted}: {}", refused.text);
    }
    // The same is said, and nothing kept, while it is written.
    let body = json!({ "text": format!("{grant}{night} when {{ context.mood }};") });
    let told = case.ida.post("/api/v1/authority/check", &body).await.expect(200).json();
    assert_eq!(told["faults"][0]["rule"], "night", "{told}");
    let body = json!({ "rules": [rule("r", &json!({ "kind": "never" }))] });
    let told = case.ida.post("/api/v1/authority/check", &body).await.expect(200).json();
    assert_eq!(told["rules"][0]["id"], "r", "{told}");
    let now = case.ida.get("/api/v1/authority").await.expect(200).json();
    assert_eq!(now["policy"]["version"], 0);
}

#[tokio::test]
async fn as_many_different_people_as_the_policy_wants_approve() {
    let case = case("operator").await;
    let world = &case.face.world;
    let mut h1 = Robot::enrol(&case.face, "h1").await;
    case.policy(&[rule("two", &approval("customer", 2, 60, "refuse"))]).await;
    let tom = case.operator("tom@alder.example").await;
    let signe = case.face.provider_person("signe@fjordwatch.example", Role::Expert).await;
    let enter = json!({
        "tenantId": world.tenant.id, "level": "operator", "reason": "to act", "hours": 1,
    });
    signe.post("/api/v1/access", &enter).await.expect(201);
    let task = case.isolate("h1").await;
    let told = case.publish().await;
    let whose = &told["pending"][0]["source"];
    assert_eq!(whose, "defenderExpertsManagedResponse", "the experts' all the same: {told}");
    let action = case.action(&task).await;
    assert_eq!(action["state"], "proposed");
    let need = &action["approval"]["needs"][0];
    assert_eq!((&need["quorum"], &need["given"]), (&json!(2), &json!(0)), "{action}");
    assert_eq!((&need["fallback"], &need["rule"]), (&json!("refuse"), &json!("two")));
    // Experts are not asked, and neither are applications.
    let refused = signe.post(&path(&action, "approve"), &exact(&action)).await.expect(403);
    assert!(refused.text.contains("people of the customer"), "{}", refused.text);
    case.siem.post(&path(&action, "approve"), &exact(&action)).await.expect(403);
    let once = tom.post(&path(&action, "approve"), &exact(&action)).await.expect(200).json();
    assert_eq!(
        (&once["state"], &once["approval"]["needs"][0]["given"]),
        (&json!("proposed"), &json!(1))
    );
    assert_eq!(once["may"]["approve"]["allowed"], false, "{once}");
    // Neither again nor in another session.
    tom.post(&path(&action, "approve"), &exact(&action)).await.expect(409);
    case.fresh(&tom, "tom@alder.example").await;
    tom.post(&path(&action, "approve"), &exact(&action)).await.expect(409);
    assert_eq!(h1.turn(world).await, 0);
    case.fresh(&case.ida, "ida@alder.example").await;
    let done = case.ida.post(&path(&action, "approve"), &exact(&action)).await.expect(200).json();
    assert_eq!(done["state"], "approved");
    assert_eq!(done["approvedBy"], "tom@alder.example, ida@alder.example");
    assert_eq!(h1.turn(world).await, 1);
    assert_eq!(case.task(&task).await["state"], "completed");
    let told = "select count(*) from event where kind = 'action.approved'";
    assert_eq!(world.rows(told).await, [2]);
}

#[tokio::test]
async fn nobody_approves_their_own_wish_whatever_the_session() {
    let case = case("operator").await;
    let world = &case.face.world;
    let mut h1 = Robot::enrol(&case.face, "h1").await;
    let anyone = json!({
        "id": "all", "title": "Two of us", "actions": ["device"],
        "effect": approval("customer", 1, 60, "refuse"),
    });
    case.policy(&[anyone]).await;
    let tom = case.operator("tom@alder.example").await;
    let device = h1.device(world).await.id;
    let wish = json!({ "actionType": "runAntiVirusScan", "comment": "Look." });
    let action = tom.post(&format!("/api/v1/devices/{device}/actions"), &wish).await;
    let action = action.expect(201).json();
    assert_eq!(action["state"], "proposed");
    for _ in 0..2 {
        let own = tom.post(&path(&action, "approve"), &exact(&action)).await.expect(403);
        assert!(own.text.contains("nobody approves"), "{}", own.text);
        case.fresh(&tom, "tom@alder.example").await;
    }
    case.siem.post(&path(&action, "approve"), &exact(&action)).await.expect(403);
    let signe = case.face.provider_person("signe@fjordwatch.example", Role::Expert).await;
    signe.post(&path(&action, "approve"), &exact(&action)).await.expect(403);
    case.fresh(&case.ida, "ida@alder.example").await;
    let other = json!({ "fingerprint": "another" });
    case.ida.post(&path(&action, "approve"), &other).await.expect(409);
    case.ida.post(&path(&action, "approve"), &exact(&action)).await.expect(200);
    assert_eq!(h1.ask(world).await.len(), 1);
    h1.tell(world).await;
}

#[tokio::test]
async fn what_nobody_approves_in_time_is_refused_handed_over_or_done_as_the_policy_says() {
    for fallback in ["refuse", "task", "proceed"] {
        let case = case("operator").await;
        let world = &case.face.world;
        let mut h1 = Robot::enrol(&case.face, "h1").await;
        case.policy(&[rule("wait", &approval("customer", 1, 45, fallback))]).await;
        let task = case.isolate("h1").await;
        case.publish().await;
        let until = case.action(&task).await["approval"]["needs"][0]["untilDateTime"].clone();
        assert_eq!(until, json!(world.app.clock.now().plus_seconds(45 * 60)));
        world.app.clock.advance_seconds(45 * 60 - 1);
        case.back().await;
        case.watch().await;
        assert_eq!(case.action(&task).await["state"], "proposed", "{fallback}");
        world.app.clock.advance_seconds(1);
        case.watch().await;
        let action = case.action(&task).await;
        let shown = case.task(&task).await;
        match fallback {
            "refuse" => {
                assert_eq!(
                    (&action["state"], &shown["state"]),
                    (&json!("expired"), &json!("failed"))
                );
                assert_eq!(h1.turn(world).await, 0);
                assert_eq!(action["reason"], "nobody approved it in time");
            }
            "task" => {
                assert_eq!(
                    (&action["state"], &shown["state"]),
                    (&json!("expired"), &json!("open"))
                );
                assert_eq!(shown["guidedBecause"], "nobody approved it in time", "{shown}");
                let standing = case.standing().await;
                assert_eq!(standing, ("awaitingAction".to_owned(), json!("Customer")));
                assert_eq!(h1.turn(world).await, 0);
                case.step(&task, "run", &json!({})).await.expect(200);
                assert_eq!(h1.turn(world).await, 1);
                assert_eq!(case.task(&task).await["state"], "completed");
                assert_eq!(case.standing().await.0, "inProgress", "T7");
            }
            _ => {
                assert_eq!(action["state"], "approved", "{action}");
                assert_eq!(action["approvedBy"], "nobody in time");
                assert_eq!(h1.turn(world).await, 1);
                assert_eq!(case.task(&task).await["state"], "completed");
            }
        }
    }
}

#[tokio::test]
async fn of_several_devices_only_the_one_that_nobody_approved_is_handed_over() {
    let case = case("operator").await;
    let world = &case.face.world;
    let mut h1 = Robot::enrol(&case.face, "h1").await;
    let mut h2 = Robot::enrol(&case.face, "h2").await;
    let mut waits = rule("h2", &approval("customer", 1, 45, "task"));
    waits["things"] = json!({ "devices": ["h2"] });
    case.policy(&[waits]).await;
    let hash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let target = json!({ "kind": "file", "id": hash });
    let task = case.draft(json!({ "actionType": "stopAndQuarantineFile", "target": target })).await;
    case.publish().await;
    assert_eq!((h1.turn(world).await, h2.turn(world).await), (1, 0));
    world.app.clock.advance_seconds(45 * 60);
    case.back().await;
    case.watch().await;
    let pending = case.guided().await;
    assert_eq!(pending.len(), 1, "{pending:?}");
    assert_ne!(pending[0]["id"], json!(task));
    assert!(pending[0]["displayName"].as_str().is_some_and(|name| name.contains("h2")));
    assert_eq!(case.standing().await.0, "awaitingAction");
    let sibling = pending[0]["id"].as_str().expect("an id");
    case.step(sibling, "run", &json!({})).await.expect(200);
    assert_eq!((h1.turn(world).await, h2.turn(world).await), (0, 1));
}

#[tokio::test]
async fn a_changed_policy_holds_at_once_for_what_was_not_sent() {
    let case = case("operator").await;
    let world = &case.face.world;
    let mut h1 = Robot::enrol(&case.face, "h1").await;
    let mut h2 = Robot::enrol(&case.face, "h2").await;
    let first = case.isolate("h1").await;
    let second = case.isolate("h2").await;
    case.publish().await;
    let mut waits = rule("h1", &approval("customer", 1, 60, "refuse"));
    waits["things"] = json!({ "devices": ["h1"] });
    case.policy(&[waits.clone(), rule("rest", &json!({ "kind": "never" }))]).await;
    assert_eq!((h1.turn(world).await, h2.turn(world).await), (0, 0));
    let action = case.action(&first).await;
    assert_eq!(action["state"], "proposed", "{action}");
    assert!(action["reason"].as_str().is_some_and(|why| why.contains("The rule h1")), "{action}");
    let failed = case.task(&second).await;
    assert_eq!(failed["state"], "failed");
    let why = failed["closed"]["because"].as_str().expect("a reason");
    assert!(why.contains("authority policy") && why.contains("The rule rest"), "{why}");
    // Approved, and then two are wanted: the one who approved counts, and is not enough.
    let tom = case.operator("tom@alder.example").await;
    let approved = tom.post(&path(&action, "approve"), &exact(&action)).await.expect(200).json();
    assert_eq!(approved["state"], "approved");
    waits["effect"]["quorum"] = json!(2);
    case.policy(&[waits]).await;
    assert_eq!(h1.turn(world).await, 0);
    let action = case.action(&first).await;
    assert_eq!(
        (&action["state"], &action["approval"]["needs"][0]["given"]),
        (&json!("proposed"), &json!(1))
    );
    case.ida.post(&path(&action, "approve"), &exact(&action)).await.expect(200);
    assert_eq!(h1.turn(world).await, 1);
}

#[tokio::test]
async fn a_policy_that_is_taken_away_approves_nothing_that_waits() {
    let case = case("operator").await;
    let world = &case.face.world;
    let mut h1 = Robot::enrol(&case.face, "h1").await;
    case.policy(&[rule("wait", &approval("customer", 1, 45, "refuse"))]).await;
    let task = case.isolate("h1").await;
    case.publish().await;
    case.policy(&[]).await;
    world.app.clock.advance_seconds(45 * 60);
    case.back().await;
    case.watch().await;
    assert_eq!(case.action(&task).await["state"], "expired");
    assert_eq!(h1.turn(world).await, 0);
}

#[tokio::test]
async fn whose_task_it_is_follows_the_policy_device_by_device() {
    let case = case("operator").await;
    let world = &case.face.world;
    let mut h1 = Robot::enrol(&case.face, "h1").await;
    let mut h2 = Robot::enrol(&case.face, "h2").await;
    let server = h2.device(world).await.id;
    let groups = json!({ "groups": ["Servers"] });
    case.ida.patch(&format!("/api/v1/devices/{server}"), &groups).await.expect(200);
    let mut never = rule("servers", &json!({ "kind": "never" }));
    never["things"] = json!({ "deviceGroups": ["servers"] });
    never["title"] = json!("Nobody touches servers");
    // What is confirmed as grave goes first: the first rule that holds decides.
    let mut grave = rule("grave", &json!({ "kind": "atOnce" }));
    grave["severityFrom"] = json!("high");
    case.policy(&[grave, never]).await;
    let hash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let target = json!({ "kind": "file", "id": hash });
    case.draft(json!({ "actionType": "stopAndQuarantineFile", "target": target })).await;
    case.publish().await;
    let pending = case.guided().await;
    assert_eq!(pending.len(), 1, "{pending:?}");
    let why = pending[0]["guidedBecause"].as_str().expect("a reason");
    assert!(why.contains("Nobody touches servers"), "{why}");
    assert_eq!((h1.turn(world).await, h2.turn(world).await), (1, 0));
    // The customer's own people are not held back by a rule about experts.
    let id = pending[0]["id"].as_str().expect("an id");
    case.step(id, "run", &json!({})).await.expect(200);
    assert_eq!(h2.turn(world).await, 1);
}

#[tokio::test]
async fn before_an_expert_has_confirmed_it_a_policy_may_ask_for_people() {
    let case = case("operator").await;
    let world = &case.face.world;
    let mut h1 = Robot::enrol(&case.face, "h1").await;
    let mut unsure = rule("unsure", &approval("either", 1, 60, "refuse"));
    unsure["confidenceTo"] = json!("indicated");
    case.policy(&[unsure]).await;
    let task = case.isolate("h1").await;
    let path = format!("/api/v1/tasks/{task}/preview");
    let shown = case.expert.post(&path, &json!({})).await.expect(200).json();
    assert_eq!(shown["blockedBecause"], Value::Null);
    assert_eq!(shown["waitsFor"], "it waits for a second person (The rule unsure)", "{shown}");
    let run = format!("/api/v1/tasks/{task}/run");
    let early = case.expert.post(&run, &json!({})).await.expect(200).json();
    assert_eq!(early["actions"][0]["state"], "proposed", "{early}");
    case.publish().await;
    assert_eq!(h1.turn(world).await, 0, "what waits goes on waiting");
    let other = case.draft(json!({
        "actionType": "collectInvestigationPackage", "target": { "kind": "device", "id": "h1" },
    }));
    other.await;
    case.publish().await;
    assert_eq!(h1.turn(world).await, 1, "what is published is confirmed");
    assert_eq!(h1.did, ["collectPackage"]);
}

fn person(world: &World, role: Role) -> Caller {
    let tenant = world.tenant.no;
    let reach = Reach::Tenant(tenant);
    let proven = Some(world.app.clock.now());
    let seat =
        Seat { session: String::new(), organisation: tenant, role, factor: Factor::Totp, proven };
    let within = Within { reach: reach.clone(), queue: reach, address: None };
    Caller::person("ida".to_owned(), "ida@example".to_owned(), seat, within)
}

/// Whatever a policy says and however things stand: leave under a policy is leave without it.
#[tokio::test]
async fn no_policy_gives_what_the_grant_exclusions_and_scope_do_not() {
    let case = case("operator").await;
    let world = &case.face.world;
    let app = &world.app;
    let tenant = world.tenant.no;
    let h1 = Robot::enrol(&case.face, "h1").await;
    let admin = person(world, Role::SecurityAdministrator);
    let permits = [
        "@id(\"grant\") permit (principal, action, resource);",
        "@id(\"a\") permit (principal, action in Action::\"dangerous\", resource);",
        "@id(\"b\") permit (principal, action, resource) when { context.severity >= 0 };",
        "@id(\"c\") permit (principal == Requester::\"expert\", action, resource);",
        "@id(\"d\") forbid (principal, action in Action::\"device\", resource) when \
         { resource.highValue };",
        "@id(\"e\") forbid (principal, action, resource) unless { context.confidence > 0 };",
    ];
    let (mut seen, mut number) = ([0, 0], 0);
    for seed in 0_u64..240 {
        let bits = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
        let bit = |place: u32| bits >> place & 1 == 1;
        let text: String = permits
            .iter()
            .enumerate()
            .filter(|(at, _)| bit(*at as u32))
            .map(|(_, it)| *it)
            .collect();
        number = authority::save(app, &admin, number, Draft::Text(text.clone()), None)
            .await
            .expect("a policy");
        let level = if bit(8) { ExpertAccess::Operator } else { ExpertAccess::Reader };
        let wanted = grant::Wanted {
            level,
            approval: grant::Approval::Automatic,
            until: None,
            networks: Vec::new(),
        };
        access::change_grant(app, &admin, wanted).await.expect("a grant");
        coverage::exclude_high_value(app, &admin, bit(9), false).await.expect("a switch");
        let change = riposte::asset::Patch {
            groups: Some(if bit(10) { vec!["Servers".to_owned()] } else { Vec::new() }),
            high_value: Some(bit(11)),
        };
        let device = h1.device(world).await;
        riposte::asset::change(app, &admin, &device.id, change).await.expect("a device");
        let device = h1.device(world).await;
        let thing = Thing { device: Some(&device), ..Thing::default() };
        let tx = app.db.of(tenant).snapshot().await.expect("a look");
        let now = app.clock.now();
        for authority in [Authority::Expert { person: None }, Authority::Customer] {
            let deed = Deed::new(Kind::IsolateDevice, None);
            let covered = coverage::covers(&tx, tenant, &authority, thing, now).await;
            let covered = covered.expect("an answer").is_ok();
            let cleared = coverage::clear(&tx, tenant, &authority, (deed, thing), now).await;
            let cleared = cleared.expect("an answer").is_ok();
            assert!(covered || !cleared, "seed {seed}: {authority:?} was given leave by {text}");
            seen[usize::from(cleared)] += 1;
        }
    }
    assert!(seen.iter().all(|count| *count > 40), "{seen:?}");
}

/// What experts want of `h1` and `h2`, and what becomes of it: the state by the device and the action.
async fn wishes(case: &Case, robots: &mut [Robot]) -> Vec<(String, String)> {
    let world = &case.face.world;
    let mut told = Vec::new();
    for robot in robots {
        let device = robot.device(world).await.id;
        for kind in ["isolateDevice", "collectInvestigationPackage"] {
            let path = format!("/api/v1/devices/{device}/actions");
            let wish = json!({ "actionType": kind, "comment": "As agreed." });
            let reply = case.expert.post(&path, &wish).await;
            let state = match reply.status.as_u16() {
                201 => reply.json()["state"].as_str().expect("a state").to_owned(),
                403 => "refused".to_owned(),
                _ => panic!("{}", reply.text),
            };
            told.push((format!("{} {kind}", robot.name), state));
        }
        robot.turn(world).await;
    }
    told
}

#[tokio::test]
async fn a_draft_says_of_the_past_what_the_saved_policy_then_does() {
    let case = case("operator").await;
    let world = &case.face.world;
    let mut robots = [Robot::enrol(&case.face, "h1").await, Robot::enrol(&case.face, "h2").await];
    let first = wishes(&case, &mut robots).await;
    assert!(first.iter().all(|(_, state)| state == "approved"), "{first:?}");
    let mut waits = rule("h1", &approval("customer", 1, 60, "refuse"));
    waits["things"] = json!({ "devices": ["h1"] });
    waits["actions"] = json!(["dangerous"]);
    let mut never = rule("h2", &json!({ "kind": "never" }));
    never["things"] = json!({ "devices": ["h2"] });
    let rules = json!([waits, never]);
    let draft = json!({ "rules": rules });
    let before = world.rows("select count(*) from event").await;
    let found = case.ida.post("/api/v1/authority/what-if", &draft).await.expect(200).json();
    assert_eq!(world.rows("select count(*) from event").await, before, "nothing is changed");
    assert_eq!((&found["lookedAt"], &found["same"]), (&json!(4), &json!(1)), "{found}");
    let mut foretold = Vec::new();
    for shift in found["changed"].as_array().expect("changes") {
        assert_eq!(shift["before"], "atOnce");
        assert_eq!(shift["count"], json!(shift["examples"].as_array().expect("some").len()));
        for one in shift["examples"].as_array().expect("examples") {
            let host = one["target"].as_str().expect("a target");
            let state = if shift["after"] == "waits" { "proposed" } else { "refused" };
            let kind = match one["title"].as_str().expect("a title") {
                "Isolate device" => "isolateDevice",
                _ => "collectInvestigationPackage",
            };
            assert_eq!(one["after"]["title"], json!(format!("The rule {host}")));
            foretold.push((format!("{host} {kind}"), state.to_owned()));
        }
    }
    let saved = json!({ "version": 0, "rules": rules });
    case.ida.put("/api/v1/authority/policy", &saved).await.expect(200);
    world.app.clock.advance_seconds(60);
    let then = wishes(&case, &mut robots).await;
    let mut changed: Vec<_> = then.into_iter().filter(|(_, state)| state != "approved").collect();
    changed.sort();
    foretold.sort();
    assert_eq!(changed, foretold);
    // Against what holds now, the same draft changes nothing.
    let again = case.ida.post("/api/v1/authority/what-if", &draft).await.expect(200).json();
    assert_eq!(again["changed"], json!([]), "{again}");
    let bad = json!({ "text": "@id(\"x\") permit" });
    case.ida.post("/api/v1/authority/what-if", &bad).await.expect(400);
}

#[tokio::test]
async fn a_task_that_the_policy_made_the_customer_s_is_part_of_the_past() {
    let case = case("operator").await;
    Robot::enrol(&case.face, "h1").await;
    case.policy(&[rule("no", &json!({ "kind": "never" }))]).await;
    case.isolate("h1").await;
    case.publish().await;
    assert_eq!(case.guided().await.len(), 1);
    let draft = json!({ "rules": [] });
    let found = case.ida.post("/api/v1/authority/what-if", &draft).await.expect(200).json();
    let shift = &found["changed"][0];
    assert_eq!((&shift["before"], &shift["after"]), (&json!("never"), &json!("atOnce")));
    assert_eq!(shift["examples"][0]["before"]["title"], "The rule no", "{found}");
}

/// A text that was saved and is no policy any more: nothing of the experts' goes out on it.
#[tokio::test]
async fn a_policy_that_cannot_be_evaluated_waits_for_a_person_of_the_customer() {
    let case = case("operator").await;
    let world = &case.face.world;
    let mut h1 = Robot::enrol(&case.face, "h1").await;
    let tx = world.app.db.of(world.tenant.no).begin().await.expect("a change");
    let sql = "insert into authority_policy (tenant_no, version, text, saved_by, saved_at) \
               values ($1, 1, 'permit (everything);', 'nobody', 1)";
    tx.execute(sql, vec![world.tenant.no.0.into()]).await.expect("a row");
    tx.commit().await.expect("a commit");
    let shown = case.ida.get("/api/v1/authority").await.expect(200).json();
    assert_eq!(shown["policy"]["rules"], Value::Null);
    assert_ne!(shown["policy"]["faults"], json!([]), "{shown}");
    let task = case.isolate("h1").await;
    case.publish().await;
    assert_eq!(h1.turn(world).await, 0);
    let action = case.action(&task).await;
    let title = action["approval"]["needs"][0]["title"].as_str().expect("a title");
    assert!(title.contains("could not be evaluated"), "{title}");
    case.ida.post(&path(&action, "approve"), &exact(&action)).await.expect(200);
    assert_eq!(h1.turn(world).await, 1);
}
