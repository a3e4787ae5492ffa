//! Managed responses from draft to verified outcome (MR-4..17, T4..T7), with a device whose agent
//! does what real ones do and fails as real ones fail.

use std::collections::BTreeMap;

use riposte::asset;
use riposte::id::TenantNo;
use riposte::permission::{Permission, Role};
use riposte::response::engine::{self, Asked};
use riposte::tenant::Side;
use riposte_wire::{Action, Isolation, Order, OrderResult, Outcome};
use serde_json::{Value, json};

use crate::agent::Machine;
use crate::browser::Browser;
use crate::face::{Client, Face, Reply};
use crate::world::{World, alert};

/// What an agent can do on these devices.
const CAN: &[&str] = &[
    "isolate",
    "release",
    "quarantine",
    "restore",
    "restrict",
    "liftRestriction",
    "scan",
    "block",
    "unblock",
    "collectPackage",
    "disableUser",
    "enableUser",
];

/// A device whose agent carries out what it is given, at most once, and remembers what it did.
pub struct Robot {
    pub name: String,
    tenant: TenantNo,
    run: String,
    /// Orders in the journal and what became of them; none while they are under way.
    pub journal: BTreeMap<String, Option<OrderResult>>,
    acknowledged: Vec<String>,
    generations: BTreeMap<String, i64>,
    /// Everything it did, in order.
    pub did: Vec<String>,
    pub isolated: Option<Isolation>,
}

impl Robot {
    pub async fn enrol(face: &Face, name: &str) -> Self {
        let tenant = &face.world.tenant;
        Machine::enrol(face, &tenant.id, name, &format!("machine-of-{name}")).await;
        let can = serde_json::to_string(CAN).expect("json");
        let sql = format!("update device set can = '{can}' where name = '{name}'");
        let tx = face.world.app.db.of(tenant.no).begin().await.expect("a change");
        tx.execute(&sql, vec![]).await.expect("an update");
        tx.commit().await.expect("a commit");
        Self {
            name: name.to_owned(),
            tenant: tenant.no,
            run: format!("run of {name}"),
            journal: BTreeMap::new(),
            acknowledged: Vec::new(),
            generations: BTreeMap::new(),
            did: Vec::new(),
            isolated: None,
        }
    }

    pub async fn device(&self, world: &World) -> asset::Device {
        let found = asset::find_named(&world.app, self.tenant, &self.name).await.expect("a look");
        found.expect("the device")
    }

    /// What it would say it knows.
    pub fn known(&self) -> Vec<String> {
        let open = self.journal.keys().filter(|id| !self.acknowledged.contains(id));
        open.cloned().collect()
    }

    /// Asks what to do, and does nothing of it yet.
    pub async fn ask(&self, world: &World) -> Vec<Order> {
        let device = self.device(world).await;
        let known = self.known();
        let asked = Asked { run: &self.run, known: &known, asked: world.app.clock.now() };
        engine::orders(&world.app, &device, asked).await.expect("orders")
    }

    /// Carries an order out as an agent does: into the journal first, and never twice.
    pub fn carry_out(&mut self, order: &Order) {
        if self.journal.contains_key(&order.id) {
            return;
        }
        if let Some(family) = order.action.family() {
            let last = self.generations.get(&family).copied().unwrap_or(0);
            if order.generation < last {
                let reason = "overtaken".to_owned();
                self.note(order, Outcome::Refused { reason }, None);
                return;
            }
            self.generations.insert(family, order.generation);
        }
        self.did.push(order.action.word().to_owned());
        let read = match &order.action {
            Action::Isolate { mode, .. } => {
                self.isolated = Some(*mode);
                self.read()
            }
            Action::Release => {
                self.isolated = None;
                self.read()
            }
            Action::Quarantine { .. } => {
                json!({ "gone": true, "alive": 0, "kept": true, "sha256": "00", "size": 1 })
            }
            Action::CollectPackage => json!({ "sent": true, "sha256": "00", "size": 9 }),
            Action::Block { .. } | Action::Unblock { .. } => json!({ "inForce": [], "missing": 0 }),
            other => panic!("{other:?} is not played"),
        };
        self.note(order, Outcome::Succeeded, Some(read));
    }

    fn read(&self) -> Value {
        json!({ "isolated": self.isolated.is_some(), "mode": self.isolated, "rules": 9 })
    }

    fn note(&mut self, order: &Order, outcome: Outcome, read_back: Option<Value>) {
        let result = OrderResult {
            order: order.id.clone(),
            began: order.issued,
            at: order.issued,
            outcome,
            read_back,
            found: None,
        };
        self.journal.insert(order.id.clone(), Some(result));
    }

    /// Notes that an order was carried out, with what was read.
    pub fn answer(&mut self, order: &Order, read_back: Value) {
        self.note(order, Outcome::Succeeded, Some(read_back));
    }

    /// Tells what became of what it knows.
    pub async fn tell(&mut self, world: &World) {
        let device = self.device(world).await;
        let known = self.known();
        let results: Vec<OrderResult> =
            known.iter().filter_map(|id| self.journal.get(id).cloned().flatten()).collect();
        let stored = engine::settle(&world.app, &device, &results).await.expect("settled");
        self.acknowledged.extend(stored);
    }

    /// One turn of its life; gives how many orders it was given.
    pub async fn turn(&mut self, world: &World) -> usize {
        let orders = self.ask(world).await;
        for order in &orders {
            self.carry_out(order);
        }
        self.tell(world).await;
        orders.len()
    }
}

/// A customer with an incident in progress on devices that agents speak for.
pub struct Case {
    pub face: Face,
    pub expert: Client,
    pub ida: Browser,
    pub siem: Client,
    pub incident: String,
}

pub async fn case(level: &str) -> Case {
    case_in(Face::new().await, level).await
}

pub async fn case_in(face: Face, level: &str) -> Case {
    let tenant = face.world.tenant.id.clone();
    let mut both = alert("a", "h1", "kari", 0);
    let second = json!({
        "@odata.type": "#microsoft.graph.security.deviceEvidence",
        "deviceDnsName": "h2.alder.example", "hostName": "h2", "osPlatform": "Linux",
    });
    both["evidence"].as_array_mut().expect("evidence").push(second);
    face.world.alerts(&[both]).await;
    let ida = face.person(&tenant, "ida@alder.example", Role::SecurityAdministrator).await;
    let grant = json!({ "level": level, "approval": "automatic", "endDateTime": null });
    ida.put("/api/v1/grant", &grant).await.expect(200);
    let expert = face.expert().await;
    let permissions =
        [Permission::IncidentReadWrite, Permission::TaskReadWrite, Permission::TaskTakeAction];
    let siem = face.app(Side::Tenant(&tenant), &permissions).await;
    let siem = face.sign_in(&siem).await;
    let queue = expert.get("/api/v1/incidents").await.expect(200).json();
    let incident = queue["value"][0]["id"].as_str().expect("an incident").to_owned();
    expert.post(&format!("/api/v1/incidents/{incident}/start"), &json!({})).await.expect(200);
    Case { face, expert, ida, siem, incident }
}

impl Case {
    pub fn path(&self, more: &str) -> String {
        format!("/api/v1/incidents/{}{more}", self.incident)
    }

    pub async fn draft(&self, body: Value) -> String {
        let task = self.expert.post(&self.path("/tasks"), &body).await.expect(201).json();
        assert_eq!((&task["state"], &task["status"]), (&json!("draft"), &Value::Null), "{task}");
        task["id"].as_str().expect("an id").to_owned()
    }

    pub async fn isolate(&self, host: &str) -> String {
        let target = json!({ "kind": "device", "id": host });
        self.draft(json!({ "actionType": "isolateDevice", "target": target })).await
    }

    pub async fn publish(&self) -> Value {
        let found = json!({
            "classification": "truePositive", "determination": "malware",
            "summary": "A loader of the **Grebe** family; both devices talk to its server.",
        });
        self.expert.post(&self.path("/publish"), &found).await.expect(200).json()
    }

    pub async fn response(&self) -> Value {
        self.ida.get(&self.path("/response")).await.expect(200).json()
    }

    pub async fn standing(&self) -> (String, Value) {
        let it = self.ida.get(&self.path("")).await.expect(200).json();
        (it["status"].as_str().expect("a status").to_owned(), it["assignedTo"].clone())
    }

    pub async fn task(&self, id: &str) -> Value {
        self.ida.get(&format!("/api/v1/tasks/{id}")).await.expect(200).json()
    }

    pub async fn step(&self, id: &str, step: &str, body: &Value) -> Reply {
        self.ida.post(&format!("/api/v1/tasks/{id}/{step}"), body).await
    }

    pub async fn watch(&self) {
        engine::watch(&self.face.world.app).await.expect("a look");
    }
}

fn nothing() -> Value {
    json!({})
}

#[tokio::test]
async fn a_reader_grant_hands_over_and_the_customer_runs_and_skips() {
    let case = case("reader").await;
    let world = &case.face.world;
    let mut h1 = Robot::enrol(&case.face, "h1").await;
    let isolate = case.isolate("h1").await;
    let call = case.draft(json!({ "actionType": "text", "displayName": "Call kari" })).await;
    case.ida.get(&format!("/api/v1/tasks/{isolate}")).await.expect(404);
    let hidden = case.response().await;
    assert_eq!(hidden["drafts"], json!([]), "drafts are the experts'");

    let told = case.publish().await;
    assert_eq!(told["pending"].as_array().map(Vec::len), Some(2), "{told}");
    assert_eq!(case.standing().await, ("awaitingAction".to_owned(), json!("Customer")));
    let task = case.task(&isolate).await;
    assert_eq!(task["source"], "defenderExpertsGuidedResponse");
    assert_eq!(
        task["guidedBecause"],
        "the customer grants the experts access to investigate, not to act"
    );
    assert_eq!(task["may"]["run"]["allowed"], true, "{task}");
    case.expert.post(&format!("/api/v1/tasks/{isolate}/run"), &nothing()).await.expect(403);
    assert_eq!(h1.turn(world).await, 0, "nothing is sent before somebody clicks");

    let running = case.step(&isolate, "run", &nothing()).await.expect(200).json();
    assert_eq!(
        (&running["state"], &running["actionStatus"]),
        (&json!("running"), &json!("inProgress"))
    );
    case.step(&isolate, "run", &nothing()).await.expect(409);
    case.step(&isolate, "complete", &nothing()).await.expect(409);
    assert_eq!(h1.turn(world).await, 1);
    assert_eq!(h1.isolated, Some(Isolation::Full));
    let done = case.task(&isolate).await;
    assert_eq!(
        (&done["state"], &done["closed"]["verified"]),
        (&json!("completed"), &json!(true)),
        "{done}"
    );
    assert_eq!(done["actions"][0]["readBack"]["isolated"], true);
    assert_eq!(case.standing().await.0, "awaitingAction", "one is left");

    case.step(&call, "skip", &json!({ "because": "She is on leave." })).await.expect(200);
    assert_eq!(case.standing().await, ("inProgress".to_owned(), json!("Defender Experts")), "T7");
    let response = case.response().await;
    assert_eq!((&response["readyToClose"], &response["pending"]), (&json!(true), &json!([])));
    let tags = case.ida.get(&case.path("")).await.expect(200).json()["systemTags"].clone();
    assert!(!tags.to_string().contains("Awaiting"), "{tags}");

    // Skipped after all wanted: reopened, done by hand, and not called verified.
    case.step(&call, "reopen", &nothing()).await.expect(200);
    let by_hand = case.step(&call, "complete", &nothing()).await.expect(200).json();
    assert_eq!(
        (&by_hand["status"], &by_hand["closed"]["verified"]),
        (&json!("completed"), &json!(false))
    );
    let resolve = json!({ "status": "resolved", "resolvingComment": "Contained." });
    case.expert.patch(&case.path(""), &resolve).await.expect(200);
    assert_eq!(case.standing().await, ("resolved".to_owned(), Value::Null));
    case.step(&call, "reopen", &nothing()).await.expect(409);
}

#[tokio::test]
async fn an_operator_grant_acts_and_resolves_and_an_excluded_device_is_left_as_guidance() {
    let case = case("operator").await;
    let world = &case.face.world;
    let mut h1 = Robot::enrol(&case.face, "h1").await;
    let mut h2 = Robot::enrol(&case.face, "h2").await;
    let excluded = json!({ "kind": "device", "name": "H2", "because": "It runs the cranes." });
    case.ida.post("/api/v1/exclusions", &excluded).await.expect(201);
    let (first, second) = (case.isolate("h1").await, case.isolate("h2").await);
    case.publish().await;
    let left = case.task(&second).await;
    assert_eq!(
        (&left["state"], &left["guidedBecause"]),
        (&json!("open"), &json!("the device H2 is excluded"))
    );
    assert_eq!(case.task(&first).await["source"], "defenderExpertsManagedResponse");
    assert_eq!(case.standing().await.0, "awaitingAction");
    case.expert.post(&format!("/api/v1/tasks/{second}/run"), &nothing()).await.expect(403);
    assert_eq!((h1.turn(world).await, h2.turn(world).await), (1, 0));
    assert_eq!(case.task(&first).await["state"], "completed");
    assert_eq!(h2.isolated, None, "experts never touch it (INV-1)");
    case.step(&second, "run", &nothing()).await.expect(200);
    assert_eq!(h2.turn(world).await, 1, "the customer may");
    assert_eq!(case.standing().await, ("inProgress".to_owned(), json!("Defender Experts")));

    // Undone from the card: a new, linked task.
    let comment = json!({ "comment": "Cleaned." });
    let undo = case.step(&first, "undo", &comment).await.expect(201).json();
    assert_eq!((&undo["undoOf"], &undo["actionType"]), (&json!(first), &json!("unIsolateDevice")));
    case.step(&first, "undo", &comment).await.expect(409);
    h1.turn(world).await;
    assert_eq!(h1.isolated, None);
    assert_eq!(case.task(&first).await["undoneBy"], undo["id"]);
    assert_eq!(h1.did, ["isolate", "release"]);
}

#[tokio::test]
async fn an_incident_does_not_close_by_itself_under_an_expert_who_writes_more() {
    let case = case("operator").await;
    let mut h1 = Robot::enrol(&case.face, "h1").await;
    case.isolate("h1").await;
    case.publish().await;
    let draft = case.draft(json!({ "actionType": "text", "displayName": "Call kari" })).await;
    h1.turn(&case.face.world).await;
    assert_eq!(case.standing().await, ("inProgress".to_owned(), json!("Defender Experts")));
    case.expert.get(&format!("/api/v1/tasks/{draft}")).await.expect(200);
    case.publish().await;
    assert_eq!(case.standing().await.0, "awaitingAction", "and goes on to the customer");
}

#[tokio::test]
async fn a_summary_saved_late_does_not_hold_what_was_published_open() {
    let case = case("operator").await;
    let mut h1 = Robot::enrol(&case.face, "h1").await;
    case.isolate("h1").await;
    case.publish().await;
    let said = case.expert.get(&case.path("/response")).await.expect(200).json()["summary"].clone();
    let path = case.path("/response/summary");
    // The page's own save, on its way while the same words were published.
    let late = json!({ "summary": format!(" {}\n", said.as_str().expect("a summary")) });
    let kept = case.expert.put(&path, &late).await.expect(200).json();
    assert_eq!(kept["draftSummary"], Value::Null, "nobody writes more");
    h1.turn(&case.face.world).await;
    assert_eq!(case.standing().await.0, "resolved");
    case.expert.put(&path, &late).await.expect(200);
    case.expert.put(&path, &json!({ "summary": "More." })).await.expect(409);
}

#[tokio::test]
async fn what_the_experts_did_themselves_closes_when_it_was_read_back() {
    let case = case("operator").await;
    let world = &case.face.world;
    let mut h1 = Robot::enrol(&case.face, "h1").await;
    let task = case.isolate("h1").await;
    case.publish().await;
    assert_eq!(
        case.standing().await,
        ("inProgress".to_owned(), json!("Defender Experts")),
        "not yet"
    );
    assert_eq!(case.task(&task).await["actionStatus"], "inProgress");
    h1.turn(world).await;
    assert_eq!(case.standing().await, ("resolved".to_owned(), Value::Null), "T6");
    let it = case.ida.get(&case.path("")).await.expect(200).json();
    assert_eq!(it["classification"], "truePositive");
    assert!(it["description"].as_str().expect("a summary").contains("Grebe"), "{it}");
    let log = case.ida.get(&case.path("/timeline?top=500")).await.expect(200).json();
    let kinds: Vec<&str> = log["value"]
        .as_array()
        .expect("a log")
        .iter()
        .filter_map(|it| it["kind"].as_str())
        .collect();
    for kind in [
        "action.requested",
        "task.started",
        "response.published",
        "action.started",
        "action.ended",
        "task.closed",
        "incident.concluded",
    ] {
        assert!(kinds.contains(&kind), "{kind}: {kinds:?}");
    }
}

#[tokio::test]
async fn fifty_clicks_at_once_are_one_action() {
    let case = case("reader").await;
    let mut h1 = Robot::enrol(&case.face, "h1").await;
    let task = case.isolate("h1").await;
    case.publish().await;
    let path = format!("/api/v1/tasks/{task}/run");
    let body = nothing();
    let clicks = (0..50).map(|_| case.siem.post(&path, &body));
    let replies = futures_util::future::join_all(clicks).await;
    let done = replies.iter().filter(|reply| reply.status == 200).count();
    assert_eq!(done, 1, "one click counts, the rest are told that it is under way");
    assert!(replies.iter().all(|reply| [200, 409].contains(&reply.status.as_u16())));
    assert_eq!(case.face.world.rows("select count(*) from action").await, [1]);
    let world = &case.face.world;
    let (one, two) = tokio::join!(h1.ask(world), h1.ask(world));
    let ids: std::collections::BTreeSet<&str> =
        one.iter().chain(&two).map(|order| order.id.as_str()).collect();
    assert_eq!(ids.len(), 1, "two polls at once are given the same order");
    for order in one.iter().chain(&two) {
        h1.carry_out(order);
    }
    assert_eq!(h1.did, ["isolate"]);
}

#[tokio::test]
async fn nothing_is_sent_once_the_leave_to_do_it_is_gone() {
    for change in ["grant", "exclusion", "closed"] {
        let case = case("operator").await;
        let world = &case.face.world;
        let mut h1 = Robot::enrol(&case.face, "h1").await;
        let task = case.isolate("h1").await;
        case.publish().await;
        match change {
            "grant" => {
                let less = json!({ "level": "reader", "approval": "lead", "endDateTime": null });
                case.ida.put("/api/v1/grant", &less).await.expect(200);
            }
            "exclusion" => {
                let it = json!({ "kind": "device", "name": "h1" });
                case.ida.post("/api/v1/exclusions", &it).await.expect(201);
            }
            _ => {
                let resolve = json!({ "status": "resolved", "resolvingComment": "A drill." });
                case.ida.patch(&case.path(""), &resolve).await.expect(200);
            }
        }
        assert_eq!(h1.turn(world).await, 0, "{change}");
        assert!(h1.did.is_empty(), "{change}");
        let task = case.task(&task).await;
        assert_eq!(task["state"], "failed", "{change}: {task}");
        assert!(task["closed"]["because"].as_str().is_some_and(|why| !why.is_empty()), "{task}");
    }
}

#[tokio::test]
async fn a_later_wish_overtakes_what_was_not_sent_and_waits_for_what_was() {
    let case = case("operator").await;
    let world = &case.face.world;
    let mut h1 = Robot::enrol(&case.face, "h1").await;
    let device = h1.device(world).await.id;
    let path = format!("/api/v1/devices/{device}/actions");
    let wish = |kind: &str| json!({ "actionType": kind, "comment": "As agreed." });
    let no_reason = json!({ "actionType": "isolateDevice", "comment": " " });
    case.ida.post(&path, &no_reason).await.expect(400);
    let isolate = case.ida.post(&path, &wish("isolateDevice")).await.expect(201).json();
    let again = case.ida.post(&path, &wish("isolateDevice")).await.expect(201).json();
    assert_eq!(isolate["id"], again["id"], "the same wish is the same action");
    case.ida.post(&path, &wish("unIsolateDevice")).await.expect(201);
    let old = isolate["id"].as_str().expect("an id");
    let old = case.ida.get(&format!("/api/v1/actions/{old}")).await.expect(200).json();
    assert_eq!(old["state"], "cancelled", "{old}");
    assert_eq!(h1.turn(world).await, 1);
    assert_eq!(h1.did, ["release"], "a stale isolation never follows a release");

    // Under way: the opposite waits its turn.
    case.ida.post(&path, &wish("isolateDevice")).await.expect(201);
    let given = h1.ask(world).await;
    case.ida.post(&path, &wish("unIsolateDevice")).await.expect(201);
    let now = h1.ask(world).await;
    assert_eq!(now.iter().map(|order| &order.id).collect::<Vec<_>>(), [&given[0].id]);
    h1.carry_out(&given[0]);
    h1.tell(world).await;
    assert_eq!(h1.turn(world).await, 1);
    assert_eq!(h1.did, ["release", "isolate", "release"]);
    assert_eq!(h1.isolated, None);
}

#[tokio::test]
async fn an_order_whose_answer_was_lost_is_never_a_second_order() {
    let case = case("operator").await;
    let world = &case.face.world;
    let mut h1 = Robot::enrol(&case.face, "h1").await;
    let device = h1.device(world).await.id;
    let path = format!("/api/v1/devices/{device}/actions");
    let wish = json!({ "actionType": "collectInvestigationPackage", "comment": "Look." });
    case.ida.post(&path, &wish).await.expect(201);
    // The answer to the poll is lost, three times.
    let first = h1.ask(world).await;
    assert_eq!(first.len(), 1);
    for _ in 0..3 {
        assert_eq!(h1.ask(world).await, first, "the very same order again");
    }
    h1.carry_out(&first[0]);
    assert!(h1.ask(world).await.is_empty(), "it knows it now");
    // Its report is lost as well, and comes twice in the end.
    h1.tell(world).await;
    h1.acknowledged.clear();
    h1.tell(world).await;
    assert_eq!(h1.did, ["collectPackage"]);
    let list = case.ida.get("/api/v1/actions?state=history").await.expect(200).json();
    assert_eq!(
        (&list["count"], &list["value"][0]["attemptCount"]),
        (&json!(1), &json!(1)),
        "{list}"
    );
}

#[tokio::test]
async fn an_agent_that_died_at_it_is_asked_again_for_a_state_and_a_person_for_the_rest() {
    let case = case("operator").await;
    let world = &case.face.world;
    let mut h1 = Robot::enrol(&case.face, "h1").await;
    let device = h1.device(world).await.id;
    let path = format!("/api/v1/devices/{device}/actions");
    for (kind, read, state) in [
        ("isolateDevice", json!({ "isolated": true, "mode": "full" }), "succeeded"),
        ("unIsolateDevice", json!({ "isolated": true, "mode": "full" }), "approved"),
        ("collectInvestigationPackage", json!({ "sent": false }), "needsHuman"),
    ] {
        let wish = json!({ "actionType": kind, "comment": "Go." });
        let action = case.ida.post(&path, &wish).await.expect(201).json();
        let orders = h1.ask(world).await;
        let order = &orders[0];
        let reason = "killed".to_owned();
        h1.note(order, Outcome::Unknown { reason }, Some(read));
        h1.tell(world).await;
        let id = action["id"].as_str().expect("an id");
        let path = format!("/api/v1/actions/{id}");
        let now = case.ida.get(&path).await.expect(200).json();
        assert_eq!(now["state"], state, "{kind}: {now}");
        if state == "approved" {
            // It was not so: once more, under a new order.
            let again = h1.ask(world).await;
            assert_ne!(again[0].id, order.id);
            h1.carry_out(&again[0]);
            h1.tell(world).await;
            let now = case.ida.get(&path).await.expect(200).json();
            assert_eq!((&now["state"], &now["attemptCount"]), (&json!("succeeded"), &json!(2)));
            assert_eq!(now["attempts"][0]["outcome"], "unknown");
        }
        if state == "needsHuman" {
            assert!(h1.ask(world).await.is_empty(), "never sent a second time");
            case.ida
                .post("/api/v1/actions/change", &json!({ "ids": [id], "change": "undo" }))
                .await;
            let seen = json!({ "succeeded": true, "because": "" });
            case.ida.post(&format!("{path}/decide"), &seen).await.expect(400);
            let seen = json!({ "succeeded": true, "because": "The archive is on the share." });
            let decided = case.ida.post(&format!("{path}/decide"), &seen).await.expect(200).json();
            assert_eq!(decided["state"], "succeeded");
            assert!(
                decided["reason"].as_str().is_some_and(|why| why.contains("ida@")),
                "{decided}"
            );
        }
    }
}

#[tokio::test]
async fn done_is_what_was_read_and_not_what_was_said() {
    let case = case("reader").await;
    let world = &case.face.world;
    let mut h1 = Robot::enrol(&case.face, "h1").await;
    let task = case.isolate("h1").await;
    case.publish().await;
    for read in [Some(json!({ "isolated": false, "mode": null })), None, Some(json!("yes"))] {
        case.step(&task, "run", &nothing()).await.expect(200);
        let orders = h1.ask(world).await;
        h1.note(&orders[0], Outcome::Succeeded, read);
        h1.tell(world).await;
        let it = case.task(&task).await;
        assert_eq!(
            (&it["state"], &it["actionStatus"]),
            (&json!("failed"), &json!("failed")),
            "{it}"
        );
        assert_eq!(case.standing().await.0, "awaitingAction", "it waits for somebody still");
    }
    // Run again, and really so this time.
    case.step(&task, "run", &nothing()).await.expect(200);
    h1.turn(world).await;
    assert_eq!(case.task(&task).await["closed"]["verified"], true);
}

#[tokio::test]
async fn nothing_stays_open_past_its_deadline_unasked() {
    let case = case("reader").await;
    let world = &case.face.world;
    let h1 = Robot::enrol(&case.face, "h1").await;
    let device = h1.device(world).await.id;
    let path = format!("/api/v1/devices/{device}/actions");
    let wish = |kind: &str| json!({ "actionType": kind, "comment": "Go." });
    let offline = case.siem.post(&path, &wish("restrictAppExecution")).await.expect(201).json();
    let sent = case.siem.post(&path, &wish("isolateDevice")).await.expect(201).json();
    let state = async |action: &Value| {
        let id = action["id"].as_str().expect("an id");
        let it = case.siem.get(&format!("/api/v1/actions/{id}")).await.expect(200).json();
        it["state"].as_str().expect("a state").to_owned()
    };
    // Only the isolation is given out; the other waits behind nobody, so hold it back by asking once.
    let given = h1.ask(world).await;
    assert_eq!(given.len(), 2);
    assert_eq!((state(&offline).await, state(&sent).await), ("started".into(), "started".into()));
    let third = case.siem.post(&path, &wish("runAntiVirusScan")).await.expect(201).json();
    case.watch().await;
    assert_eq!(state(&sent).await, "started", "its answer may take a minute");
    world.app.clock.advance_seconds(61);
    case.watch().await;
    assert_eq!(state(&sent).await, "unknown", "visible");
    world.app.clock.advance_seconds(3 * 86_400);
    let siem =
        case.face.app(Side::Tenant(&world.tenant.id), &[Permission::IncidentReadWrite]).await;
    let siem = case.face.sign_in(&siem).await;
    case.watch().await;
    for (action, wanted) in [(&offline, "needsHuman"), (&sent, "needsHuman"), (&third, "expired")] {
        let id = action["id"].as_str().expect("an id");
        let it = siem.get(&format!("/api/v1/actions/{id}")).await.expect(200).json();
        assert_eq!(it["state"], wanted, "{it}");
    }
    let open = "select count(*) from action where state in ('approved', 'started', 'unknown')";
    assert_eq!(world.rows(open).await, [0]);
}

#[tokio::test]
async fn what_was_set_for_a_time_is_taken_back_when_it_is_over() {
    let case = case("reader").await;
    let world = &case.face.world;
    let mut h1 = Robot::enrol(&case.face, "h1").await;
    let device = h1.device(world).await.id;
    let path = format!("/api/v1/devices/{device}/actions");
    let wish = json!({
        "actionType": "isolateDevice", "comment": "An hour.", "options": { "forMinutes": 60 },
    });
    case.siem.post(&path, &wish).await.expect(201);
    h1.turn(world).await;
    case.watch().await;
    assert_eq!(h1.turn(world).await, 0);
    world.app.clock.advance_seconds(3_601);
    case.watch().await;
    case.watch().await;
    assert_eq!(h1.turn(world).await, 1);
    assert_eq!(
        (h1.did.as_slice(), h1.isolated),
        (["isolate", "release"].map(str::to_owned).as_slice(), None)
    );
}

#[tokio::test]
async fn the_customer_sends_a_plan_back_and_the_experts_answer_with_another() {
    let case = case("reader").await;
    Robot::enrol(&case.face, "h1").await;
    let first = case.isolate("h1").await;
    case.publish().await;
    let path = case.path("/response/reject");
    case.ida.post(&path, &json!({ "because": "" })).await.expect(400);
    let why = json!({ "because": "h1 steers the crane; not before six." });
    let told = case.ida.post(&path, &why).await.expect(200).json();
    assert_eq!(told["rejected"]["because"], why["because"]);
    assert_eq!(case.standing().await, ("inProgress".to_owned(), json!("Defender Experts")));
    assert_eq!(case.task(&first).await["state"], "withdrawn");
    case.ida.post(&path, &why).await.expect(409);
    case.step(&first, "run", &nothing()).await.expect(409);
    let second = case.draft(json!({ "actionType": "text", "displayName": "Isolate at six" })).await;
    let told = case.publish().await;
    assert_eq!((&told["revision"], &told["rejected"]), (&json!(2), &Value::Null));
    assert_eq!(case.task(&second).await["state"], "open");
    assert_eq!(case.standing().await.0, "awaitingAction");
}

#[tokio::test]
async fn a_conclusion_leaves_no_task_open() {
    let case = case("reader").await;
    case.draft(json!({ "actionType": "text" })).await;
    let no_threat = json!({
        "classification": "falsePositive", "determination": "notMalicious", "summary": "A test.",
    });
    case.expert.post(&case.path("/publish"), &no_threat).await.expect(400);
    let blank = json!({
        "classification": "truePositive", "determination": "malware", "summary": " ",
    });
    case.expert.post(&case.path("/publish"), &blank).await.expect(400);
    let told = case.publish().await;
    let task = told["pending"][0]["id"].as_str().expect("a task").to_owned();
    let refused = case.expert.post(&case.path("/conclude"), &no_threat).await.expect(400);
    assert!(refused.text.contains("leaves no task open"), "{}", refused.text);
    case.step(&task, "skip", &json!({ "because": "No." })).await.expect(200);
    case.expert.post(&case.path("/conclude"), &no_threat).await.expect(200);
    assert_eq!(case.standing().await, ("resolved".to_owned(), Value::Null));
}

#[tokio::test]
async fn what_could_never_be_done_is_said_when_it_is_drafted() {
    let case = case("operator").await;
    Robot::enrol(&case.face, "h1").await;
    let device = json!({ "kind": "device", "id": "h1" });
    for bad in [
        json!({ "actionType": "explode", "target": device }),
        json!({ "actionType": "isolateDevice" }),
        json!({ "actionType": "isolateDevice", "target": { "kind": "user", "id": "kari" } }),
        json!({ "actionType": "isolateDevice", "target": device, "options": { "isolationType": "half" } }),
        json!({ "actionType": "isolateDevice", "target": device, "options": { "more": 1 } }),
        json!({
            "actionType": "isolateDevice", "target": device,
            "options": { "isolationType": "selective", "allow": ["$(reboot)"] },
        }),
        json!({ "actionType": "text", "displayName": "  " }),
        json!({ "actionType": "text", "more": 1 }),
        json!({ "actionType": "isolateDevice", "target": { "kind": "device", "id": "h\u{1}1" } }),
    ] {
        let reply = case.expert.post(&case.path("/tasks"), &bad).await;
        assert_eq!(reply.status, 400, "{bad}: {}", reply.text);
    }
    case.siem.post(&case.path("/tasks"), &json!({ "actionType": "text" })).await.expect(403);
}

#[tokio::test]
async fn drafts_are_told_to_experts_alone() {
    let case = case("reader").await;
    let task = case.draft(json!({ "actionType": "text", "displayName": "Quietly" })).await;
    let patch = json!({ "displayName": "Quietly, please" });
    case.expert.patch(&format!("/api/v1/tasks/{task}"), &patch).await.expect(200);
    let gone = case.draft(json!({ "actionType": "text" })).await;
    case.expert.send("DELETE", &format!("/api/v1/tasks/{gone}"), None, &[]).await.expect(204);
    let kinds = async |reply: Reply| -> Vec<String> {
        let log = reply.expect(200).json();
        let all = log["value"].as_array().expect("a log").iter();
        all.filter_map(|it| it["kind"].as_str()).map(str::to_owned).collect()
    };
    let path = case.path("/timeline?kind=task.");
    let experts = kinds(case.expert.get(&path).await).await;
    assert_eq!(experts, ["task.drafted", "task.changed", "task.drafted", "task.removed"]);
    assert!(kinds(case.ida.get(&path).await).await.is_empty());
}

#[tokio::test]
async fn what_is_dangerous_takes_two_people_where_the_customer_says_so() {
    let case = case("operator").await;
    let world = &case.face.world;
    let mut h1 = Robot::enrol(&case.face, "h1").await;
    let four = case.ida.put("/api/v1/authority", &json!({ "fourEyes": true })).await;
    assert_eq!(four.expect(200).json()["fourEyes"], true);
    let tenant = world.tenant.id.clone();
    let tom = case.face.person(&tenant, "tom@alder.example", Role::SecurityOperator).await;
    let signe = case.face.provider_person("signe@fjordwatch.example", Role::Expert).await;

    // What an expert wants waits, for somebody who is not that expert.
    let task = case.isolate("h1").await;
    case.publish().await;
    assert_eq!(h1.turn(world).await, 0);
    let shown = case.task(&task).await;
    assert_eq!(
        (&shown["state"], &shown["actionStatus"]),
        (&json!("running"), &json!("notStarted"))
    );
    let action = &shown["actions"][0];
    let id = action["id"].as_str().expect("an id");
    let exact = json!({ "fingerprint": action["fingerprint"] });
    let path = |step: &str| format!("/api/v1/actions/{id}/{step}");
    case.siem.post(&path("approve"), &exact).await.expect(403);
    case.expert.post(&path("approve"), &exact).await.expect(403);
    signe.post(&path("approve"), &exact).await.expect(403);
    tom.post(&path("approve"), &json!({ "fingerprint": "another" })).await.expect(409);
    world.app.clock.advance_seconds(301);
    let stale = tom.post(&path("approve"), &exact).await.expect(403).json();
    assert_eq!(stale["error"]["code"], "StepUpRequired");
    // A code counts once.
    world.app.clock.advance_seconds(31);
    tom.sign_in(world, "tom@alder.example").await.expect(200);
    let approved = tom.post(&path("approve"), &exact).await.expect(200).json();
    assert_eq!(
        (&approved["state"], &approved["approvedBy"]),
        (&json!("approved"), &json!("tom@alder.example"))
    );
    tom.post(&path("approve"), &exact).await.expect(409);
    assert_eq!(h1.turn(world).await, 1);
    assert_eq!(case.task(&task).await["state"], "completed");

    // Nobody approves their own wish, whatever the session.
    let device = h1.device(world).await.id;
    let wish = json!({ "actionType": "unIsolateDevice", "comment": "Back." });
    let wish =
        tom.post(&format!("/api/v1/devices/{device}/actions"), &wish).await.expect(201).json();
    let id = wish["id"].as_str().expect("an id").to_owned();
    let exact = json!({ "fingerprint": wish["fingerprint"] });
    assert_eq!(wish["state"], "proposed");
    world.app.clock.advance_seconds(31);
    tom.sign_in(world, "tom@alder.example").await.expect(200);
    let own = tom.post(&format!("/api/v1/actions/{id}/approve"), &exact).await.expect(403);
    assert!(own.text.contains("nobody approves"), "{}", own.text);
    let why = json!({ "because": "Not cleaned yet." });
    tom.post(&format!("/api/v1/actions/{id}/reject"), &why).await.expect(403);
    world.app.clock.advance_seconds(31);
    case.ida.sign_in(world, "ida@alder.example").await.expect(200);
    let no = case.ida.post(&format!("/api/v1/actions/{id}/reject"), &why).await.expect(200).json();
    assert_eq!(no["state"], "rejected");
    assert_eq!(h1.turn(world).await, 0);

    // A proposal that nobody answers ends.
    let path = format!("/api/v1/devices/{device}/actions");
    let again = json!({ "actionType": "unIsolateDevice", "comment": "Now." });
    case.siem.post(&path, &again).await.expect(201);
    world.app.clock.advance_seconds(24 * 3_600);
    case.watch().await;
    assert_eq!(world.rows("select count(*) from action where state = 'expired'").await, [1]);
    // To need fewer asks for a fresh factor.
    case.ida.sign_in(world, "ida@alder.example").await.expect(200);
    world.app.clock.advance_seconds(400);
    let off = json!({ "fourEyes": false });
    let stale = case.ida.put("/api/v1/authority", &off).await.expect(403).json();
    assert_eq!(stale["error"]["code"], "StepUpRequired");
}
