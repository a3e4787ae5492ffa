//! A customer's way from its welcome mail to an active service (ONB-1..5, NOT-3, EXC-4): its stages and
//! what each allows, readiness on the hour and after each change, who may do what.

use riposte::alert::format::Format;
use riposte::app::App;
use riposte::backup;
use riposte::config::{Config, Mail};
use riposte::notification::engine::{self, Ways};
use riposte::onboarding::readiness;
use riposte::permission::{Permission, Role};
use riposte::tenant::{self, Side, Tenant};
use serde_json::{Value, json};

use crate::agent::Machine;
use crate::browser::Browser;
use crate::face::{Client, Face};
use crate::notification::MailServer;
use crate::world::alert;

const DAY_S: i64 = 86_400;
const BEATE: &str = "beate@birch.example";

/// A provider that invites customers, and the mail server that its mail goes to.
struct Scene {
    face: Face,
    server: MailServer,
    ways: Ways,
    odd: Browser,
}

async fn scene() -> Scene {
    let server = MailServer::start().await;
    let mail = Mail {
        smtp: Some(server.url.clone()),
        from: Some("soc@fjordwatch.example".to_owned()),
        ..Mail::default()
    };
    let face = Face::with(Config { mail, ..Config::default() }).await;
    let ways = Ways::open(&face.world.app).expect("ways");
    let odd = face.provider_person("odd@fjordwatch.example", Role::ProviderAdministrator).await;
    Scene { face, server, ways, odd }
}

/// The link of a mail that opens a setup.
fn link(mail: &str) -> Option<String> {
    let (_, rest) = mail.split_once("/setup#")?;
    let token: String = rest.chars().take_while(char::is_ascii_hexdigit).collect();
    Some(format!("/setup#{token}"))
}

impl Scene {
    fn app(&self) -> &App {
        &self.face.world.app
    }

    async fn tick(&self) {
        engine::tick(self.app(), &self.ways).await.expect("a round");
    }

    /// Mails to an address, the oldest first.
    async fn mails(&self, to: &str) -> Vec<String> {
        self.tick().await;
        let all = self.server.mails().into_iter();
        all.filter(|(address, ..)| address == to).map(|(.., text)| text).collect()
    }

    async fn watch(&self) {
        readiness::watch(self.app()).await.expect("an evaluation");
    }

    /// Another of the provider's administrators, who has signed in at this hour.
    async fn fresh(&self) -> Browser {
        let email = format!("o{}@fjordwatch.example", uuid::Uuid::new_v4());
        self.face.provider_person(&email, Role::ProviderAdministrator).await
    }

    async fn add(&self, more: Value) -> Tenant {
        let mut wanted = json!({ "name": "Birch Rail", "email": BEATE });
        for (name, value) in more.as_object().into_iter().flatten() {
            wanted[name] = value.clone();
        }
        let added = self.odd.post("/api/v1/tenants", &wanted).await.expect(201).json();
        tenant::find(self.app(), added["id"].as_str().expect("an id")).await.expect("a tenant")
    }

    /// What the provider sees of a customer.
    async fn seen(&self, tenant: &Tenant) -> Value {
        let all = self.fresh().await.get("/api/v1/tenants").await.expect(200).json();
        let all = all["value"].as_array().expect("customers").clone();
        all.into_iter().find(|it| it["id"] == json!(tenant.id)).expect("the customer")
    }

    /// The first administrator, by the link of the newest mail.
    async fn beate(&self) -> Browser {
        let mails = self.mails(BEATE).await;
        let browser = Browser::new(&self.face.router);
        let link = link(mails.last().expect("a mail")).expect("a link");
        browser.set_up(&self.face.world, &link, "Beate Lund").await;
        browser
    }

    /// An application of the customer that sends alerts.
    async fn sender(&self, tenant: &Tenant) -> Client {
        let app = self.face.app(Side::Tenant(&tenant.id), &[Permission::AlertIngest]).await;
        self.face.sign_in(&app).await
    }

    async fn alert(&self, tenant: &Tenant, id: &str) {
        let world = &self.face.world;
        let body = json!([alert(id, "b1", "ben", 0)]).to_string();
        let taken = world.push_to(tenant.no, Format::Graph, body).await;
        assert_eq!(taken.accepted, 1, "{:?}", taken.errors);
        world.settle().await;
    }
}

async fn standing(who: &Browser) -> Value {
    who.get("/api/v1/onboarding").await.expect(200).json()
}

async fn stage(who: &Browser) -> String {
    standing(who).await["stage"].as_str().expect("a stage").to_owned()
}

fn status(standing: &Value, item: &str) -> String {
    let items = standing["readiness"]["items"].as_array().expect("items");
    let it = items.iter().find(|it| it["item"] == json!(item)).expect(item);
    it["status"].as_str().expect("a status").to_owned()
}

async fn step(who: &Browser, step: &str, state: &str) -> crate::face::Reply {
    who.put(&format!("/api/v1/onboarding/steps/{step}"), &json!({ "state": state })).await
}

async fn contact(who: &Browser) {
    let contact = json!({
        "name": "Duty", "kind": "group", "email": "duty@birch.example",
        "role": "incidentNotification",
    });
    who.post("/api/v1/contacts", &contact).await.expect(201);
}

async fn grant(who: &Browser, level: &str) {
    let grant = json!({ "level": level, "approval": "automatic", "endDateTime": null });
    who.put("/api/v1/grant", &grant).await.expect(200);
}

/// Every step of the setup, and its submission.
async fn set_up(who: &Browser, level: &str) {
    step(who, "getStarted", "done").await.expect(200);
    grant(who, level).await;
    step(who, "permissions", "done").await.expect(200);
    step(who, "exclusions", "skipped").await.expect(200);
    contact(who).await;
    step(who, "contacts", "done").await.expect(200);
    step(who, "channels", "skipped").await.expect(200);
    who.post("/api/v1/onboarding/submit", &json!({})).await.expect(200);
}

/// Facts of a tenant of this kind, oldest first, as their bodies.
async fn facts(scene: &Scene, tenant: &Tenant, kind: &str) -> Vec<Value> {
    let sql = "select body from event where tenant_no = $1 and kind = $2 order by position";
    let scope = scene.app().db.of(tenant.no);
    let rows = scope.query(sql, vec![tenant.no.0.into(), kind.into()]).await.expect("events");
    let body = |row| riposte::db::column::<String>(row, 0).expect("a body");
    rows.iter().map(|row| serde_json::from_str(&body(row)).expect("JSON")).collect()
}

/// The stages that a customer came to.
async fn stages(scene: &Scene, tenant: &Tenant) -> Vec<String> {
    let facts = facts(scene, tenant, "onboarding.stageChanged").await;
    facts.iter().map(|it| it["changes"][0]["after"].as_str().expect("a stage").to_owned()).collect()
}

#[tokio::test]
async fn a_welcome_mail_leads_through_the_setup_to_an_active_service() {
    let scene = scene().await;
    let birch = scene.add(json!({ "language": "pt-BR" })).await;
    let seen = scene.seen(&birch).await["onboarding"].clone();
    assert_eq!((&seen["stage"], &seen["invited"]), (&json!("invited"), &json!(BEATE)), "{seen}");
    let mails = scene.mails(BEATE).await;
    assert_eq!(mails.len(), 1);
    let mail = &mails[0];
    assert!(mail.contains("text/html") && mail.contains("text/plain"), "{mail}");
    assert!(mail.contains("Configure") && mail.contains("7 dias"), "in its language: {mail}");
    let seen = scene.seen(&birch).await["onboarding"].clone();
    assert_eq!(seen["welcome"]["state"], "delivered", "{seen}");

    // Read two days later, the link still opens the setup.
    scene.app().clock.advance_seconds(2 * DAY_S);
    let beate = scene.beate().await;
    let session = beate.get("/api/v1/session").await.expect(200).json();
    assert_eq!(session["organisation"]["stage"], "invited");
    assert_eq!(session["role"], "Security Administrator");
    assert_eq!(standing(&beate).await["nextStep"], "getStarted");
    set_up(&beate, "operator").await;
    let now = standing(&beate).await;
    assert_eq!((&now["stage"], &now["nextStep"]), (&json!("readinessPending"), &Value::Null));
    assert_eq!(now["submittedBy"], BEATE);
    assert_eq!(now["readiness"]["missing"], json!(["Connect a source of alerts"]), "{now}");
    let seen = scene.seen(&birch).await["onboarding"].clone();
    assert_eq!(seen["missing"], json!(["Connect a source of alerts"]), "{seen}");

    // An app is no alert yet. The alert itself is no fact of readiness: it is found within a minute.
    scene.sender(&birch).await;
    scene.watch().await;
    assert_eq!(status(&standing(&beate).await, "alertSource"), "inProgress");
    scene.alert(&birch, "first").await;
    scene.watch().await;
    assert_eq!(stage(&beate).await, "readinessPending", "not due yet");
    scene.app().clock.advance_seconds(60);
    // Another process takes over where the first one was stopped.
    let replica = scene.face.world.replica();
    readiness::watch(&replica).await.expect("an evaluation");
    let now = standing(&beate).await;
    assert_eq!(now["stage"], "monitoring", "{now}");
    assert_eq!(now["monitoringDays"], 7);
    scene.app().clock.advance_seconds(7 * DAY_S - 1);
    scene.watch().await;
    let there = "select count(*) from tenant where stage = 'monitoring'";
    assert_eq!(scene.face.world.rows(there).await, [1], "one second too early");
    scene.app().clock.advance_seconds(1);
    scene.watch().await;
    assert_eq!(stages(&scene, &birch).await, ["setUp", "readinessPending", "monitoring", "active"]);
    let told = facts(&scene, &birch, "onboarding.stageChanged").await;
    assert_eq!(told[3]["because"], "7 days of monitoring are over");
}

#[tokio::test]
async fn the_secret_of_a_welcome_is_in_its_mail_and_nowhere_else() {
    let scene = scene().await;
    let birch = scene.add(json!({})).await;
    let mails = scene.mails(BEATE).await;
    let link = link(&mails[0]).expect("a link");
    let token = link.split_once('#').expect("a fragment").1.to_owned();
    assert_eq!(token.len(), 64, "256 bits");
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("store.backup");
    backup::backup(scene.app(), &file).await.expect("a copy of the store");
    let packed = std::fs::File::open(&file).expect("a file");
    let text = zstd::decode_all(packed).expect("unpacked");
    let text = String::from_utf8_lossy(&text);
    assert!(text.contains(BEATE), "the copy has what is kept");
    assert!(!text.contains(&token), "and not the secret");
    // Whoever of the customer reads its deliveries does not find it either.
    let beate = scene.beate().await;
    let deliveries = beate.get("/api/v1/deliveries").await.expect(200);
    assert!(deliveries.text.contains("Set up Fjordwatch") && !deliveries.text.contains(&token));
    let id = deliveries.json()["value"][0]["id"].as_str().expect("an id").to_owned();
    let one = beate.get(&format!("/api/v1/deliveries/{id}")).await.expect(200).text;
    assert!(one.contains("/setup") && !one.contains(&token), "{one}");
    // Sent once more after it was used it brings nothing.
    beate.post(&format!("/api/v1/deliveries/{id}/again"), &json!({})).await.expect(202);
    assert_eq!(scene.mails(BEATE).await.len(), 1);
    let one = beate.get(&format!("/api/v1/deliveries/{id}")).await.expect(200).json();
    assert_eq!(one["state"], "cancelled", "{one}");
    let look = json!({ "token": token });
    Browser::new(&scene.face.router).post("/api/v1/setup/look", &look).await.expect(404);
    assert_eq!(birch.name, "Birch Rail");
}

#[tokio::test]
async fn a_mail_that_is_tried_again_is_the_same_and_a_new_welcome_ends_the_one_before() {
    let scene = scene().await;
    let birch = scene.add(json!({})).await;
    let first = link(&scene.mails(BEATE).await[0]).expect("a link");
    // A crash between the mail and its note: it is sent once more, to the byte the same link.
    let sql = "update delivery set state = 'waiting'";
    let tx = scene.app().db.of(birch.no).begin().await.expect("a change");
    tx.execute(sql, vec![]).await.expect("a delivery");
    tx.execute("update lane set next_at = 1", vec![]).await.expect("a lane");
    tx.commit().await.expect("a commit");
    let mails = scene.mails(BEATE).await;
    assert_eq!((mails.len(), link(&mails[1]).as_ref()), (2, Some(&first)));

    let path = format!("/api/v1/tenants/{}/welcome", birch.id);
    scene.odd.post(&path, &json!({ "language": "es" })).await.expect(200);
    let mails = scene.mails(BEATE).await;
    let second = link(&mails[2]).expect("a link");
    assert!(first != second && mails[2].contains("Comenzar"), "{}", mails[2]);
    let look = |link: &str| json!({ "token": link.split_once('#').expect("a fragment").1 });
    let stranger = Browser::new(&scene.face.router);
    stranger.post("/api/v1/setup/look", &look(&first)).await.expect(404);
    stranger.post("/api/v1/setup/look", &look(&second)).await.expect(200);

    // The address was wrong: the one who was invited does not belong here any more.
    let other = json!({ "email": "bo@birch.example" });
    scene.odd.post(&path, &other).await.expect(200);
    stranger.post("/api/v1/setup/look", &look(&second)).await.expect(404);
    let third = link(&scene.mails("bo@birch.example").await[0]).expect("a link");
    stranger.post("/api/v1/setup/look", &look(&third)).await.expect(200);
    assert_eq!(scene.seen(&birch).await["onboarding"]["invited"], "bo@birch.example");

    // After seven days the link is dead, and another mail brings another.
    scene.app().clock.advance_seconds(7 * DAY_S);
    stranger.post("/api/v1/setup/look", &look(&third)).await.expect(404);
    scene.fresh().await.post(&path, &json!({})).await.expect(200);
    let mails = scene.mails("bo@birch.example").await;
    let bo = Browser::new(&scene.face.router);
    bo.set_up(&scene.face.world, &link(&mails[1]).expect("a link"), "Bo Ek").await;
    step(&bo, "getStarted", "done").await.expect(200);
    let refused = scene.fresh().await.post(&path, &json!({})).await.expect(409);
    assert!(refused.text.contains("has begun the setup already"), "{}", refused.text);
}

#[tokio::test]
async fn a_step_comes_after_the_one_before_and_the_setup_goes_on_where_it_stopped() {
    let scene = scene().await;
    let birch = scene.add(json!({})).await;
    let beate = scene.beate().await;
    let early = step(&beate, "permissions", "done").await.expect(409);
    assert!(early.text.contains("getStarted comes before permissions"), "{}", early.text);
    assert_eq!(stage(&beate).await, "invited");
    step(&beate, "getStarted", "done").await.expect(200);
    assert_eq!(stage(&beate).await, "setUp");
    step(&beate, "permissions", "skipped").await.expect(409);
    step(&beate, "permissions", "done").await.expect(200);
    step(&beate, "exclusions", "skipped").await.expect(200);
    // On another machine, by another administrator, it goes on with the contacts.
    let bo = scene.face.person(&birch.id, "bo@birch.example", Role::SecurityAdministrator).await;
    assert_eq!(standing(&bo).await["nextStep"], "contacts");
    let none = step(&bo, "contacts", "done").await.expect(409);
    assert!(none.text.contains("at least one incident contact"), "{}", none.text);
    bo.post("/api/v1/onboarding/submit", &json!({})).await.expect(409);
    contact(&bo).await;
    step(&bo, "contacts", "done").await.expect(200);
    // What was left before can be taken up again.
    step(&bo, "exclusions", "done").await.expect(200);
    let steps = standing(&bo).await["steps"].clone();
    assert_eq!(
        (&steps[2]["state"], &steps[2]["setBy"]),
        (&json!("done"), &json!("bo@birch.example"))
    );
    bo.post("/api/v1/onboarding/submit", &json!({})).await.expect(409);
    step(&bo, "channels", "done").await.expect(200);
    bo.post("/api/v1/onboarding/submit", &json!({})).await.expect(200);
    step(&beate, "channels", "skipped").await.expect(409);
    beate.post("/api/v1/onboarding/submit", &json!({})).await.expect(409);
    step(&beate, "review", "done").await.expect(404);
    assert_eq!(facts(&scene, &birch, "onboarding.submitted").await.len(), 1);
}

#[tokio::test]
async fn experts_look_then_guide_then_act() {
    let scene = scene().await;
    let birch = scene.add(json!({})).await;
    let beate = scene.beate().await;
    let machine = Machine::enrol(&scene.face, &birch.id, "b1", "machine-of-b1").await;
    scene.alert(&birch, "first").await;
    step(&beate, "getStarted", "done").await.expect(200);
    grant(&beate, "operator").await;
    scene.app().clock.advance_seconds(1);
    let expert = scene.face.expert().await;
    let queue = expert.get("/api/v1/incidents").await.expect(200).json();
    let found = queue["value"].as_array().expect("incidents").clone();
    let of = |it: &&Value| it["tenantId"] == json!(birch.id);
    let incident = found.iter().find(of).expect("it is taken in and grouped")["id"].clone();
    let path = format!("/api/v1/incidents/{}", incident.as_str().expect("an id"));
    expert.post(&format!("{path}/start"), &json!({})).await.expect(200);
    let task = json!({ "actionType": "text", "displayName": "Call ben" });
    expert.post(&format!("{path}/tasks"), &task).await.expect(201);
    let isolate = json!({
        "actionType": "isolateDevice", "target": { "kind": "device", "id": "b1" },
    });
    let isolate = expert.post(&format!("{path}/tasks"), &isolate).await.expect(201).json();
    let finding = json!({
        "classification": "truePositive", "determination": "malware", "summary": "A loader.",
    });
    let publish = async || expert.post(&format!("{path}/publish"), &finding).await;
    let device = scene.app().db.of(birch.no);
    let device = device.query("select id from device", vec![]).await.expect("a device");
    let device: String = riposte::db::column(&device[0], 0).expect("an id");
    let act = async || {
        let wish = json!({ "actionType": "isolateDevice", "comment": "to be safe" });
        expert.post(&format!("/api/v1/devices/{device}/actions"), &wish).await
    };
    let refused = |reply: crate::face::Reply, why: &str| {
        assert_eq!(reply.status, 403, "{}", reply.text);
        assert!(reply.text.contains(why), "{}", reply.text);
    };

    let unfinished = "the customer has not finished its setup";
    refused(publish().await, unfinished);
    refused(act().await, unfinished);
    let may = expert.get(&format!("{path}/response")).await.expect(200).json()["may"].clone();
    assert!(may["publish"]["because"].as_str().expect("why").contains(unfinished), "{may}");
    // The customer's own people are never held back.
    let own = json!({ "actionType": "isolateDevice", "comment": "our own" });
    let own = beate.post(&format!("/api/v1/devices/{device}/actions"), &own).await.expect(201);
    let own = own.json()["id"].as_str().expect("an id").to_owned();
    beate.post(&format!("/api/v1/actions/{own}/cancel"), &json!({})).await.expect(200);

    step(&beate, "permissions", "done").await.expect(200);
    step(&beate, "exclusions", "skipped").await.expect(200);
    contact(&beate).await;
    step(&beate, "contacts", "done").await.expect(200);
    step(&beate, "channels", "skipped").await.expect(200);
    beate.post("/api/v1/onboarding/submit", &json!({})).await.expect(200);
    let now = standing(&beate).await;
    assert_eq!(now["readiness"]["missing"], json!(["Protect 1 devices (0 are)"]), "{now}");
    refused(publish().await, "the customer is not ready yet");
    refused(act().await, "the customer is not ready yet");

    machine.orders("run", &[]).await;
    beate.post("/api/v1/onboarding/check", &json!({})).await.expect(200);
    assert_eq!(stage(&beate).await, "monitoring");
    let allowed = standing(&beate).await["experts"].clone();
    assert_eq!(
        (&allowed["guide"]["allowed"], &allowed["act"]["allowed"]),
        (&json!(true), &json!(false))
    );
    refused(act().await, "still being monitored");
    publish().await.expect(200);
    let id = isolate["id"].as_str().expect("an id");
    let task = beate.get(&format!("/api/v1/tasks/{id}")).await.expect(200).json();
    assert_eq!(task["source"], "defenderExpertsGuidedResponse", "{task}");
    assert!(
        task["guidedBecause"].as_str().expect("why").contains("still being monitored"),
        "{task}"
    );

    let path = format!("/api/v1/tenants/{}/end-monitoring", birch.id);
    scene.odd.post(&path, &json!({ "because": "x" })).await.expect(400);
    let because = json!({ "because": "They know the service from their sister company." });
    scene.odd.post(&path, &because).await.expect(204);
    scene.odd.post(&path, &because).await.expect(409);
    assert_eq!(stage(&beate).await, "active");
    let told = facts(&scene, &birch, "onboarding.stageChanged").await;
    assert_eq!(told.last().expect("a fact")["because"], because["because"]);
    act().await.expect(201);
}

#[tokio::test]
async fn an_active_customer_stays_active_and_what_lapses_is_told() {
    let scene = scene().await;
    let birch = scene.add(json!({})).await;
    let path = format!("/api/v1/tenants/{}/onboarding", birch.id);
    for days in [-1, 31] {
        scene.odd.patch(&path, &json!({ "monitoringDays": days })).await.expect(400);
    }
    scene.odd.patch(&path, &json!({ "monitoringDays": 0 })).await.expect(204);
    let beate = scene.beate().await;
    scene.alert(&birch, "first").await;
    set_up(&beate, "reader").await;
    assert_eq!(stage(&beate).await, "active", "ready at once, and no days of monitoring");
    // A grant that ends, a contact that is removed: both are found, and the customer stays.
    grant(&beate, "none").await;
    let contacts = beate.get("/api/v1/contacts").await.expect(200).json();
    let id = contacts["value"][0]["id"].as_str().expect("an id");
    beate.delete(&format!("/api/v1/contacts/{id}")).await.expect(204);
    scene.watch().await;
    let now = standing(&beate).await;
    assert_eq!(now["stage"], "active");
    assert_eq!(status(&now, "expertAccess"), "toDo");
    let seen = scene.seen(&birch).await["onboarding"].clone();
    assert_eq!(
        seen["missing"],
        json!(["Name an incident contact", "Let experts investigate"]),
        "{seen}"
    );
    let changed = facts(&scene, &birch, "readiness.changed").await;
    let fields: Vec<&str> = changed
        .last()
        .and_then(|it| it["changes"].as_array())
        .into_iter()
        .flatten()
        .filter_map(|it| it["field"].as_str())
        .collect();
    assert!(fields.contains(&"incidentContact") && fields.contains(&"expertAccess"), "{fields:?}");
    // What nobody changes is looked at once a day, and says nothing new.
    let facts_before = facts(&scene, &birch, "readiness.changed").await.len();
    let due = "select due_at from onboarding";
    let next = scene.face.world.rows(due).await[0];
    scene.watch().await;
    assert_eq!(scene.face.world.rows(due).await[0], next, "not before it is due");
    scene.app().clock.advance_seconds(DAY_S);
    scene.watch().await;
    assert_eq!(scene.face.world.rows(due).await[0], next + DAY_S * 1_000_000);
    assert_eq!(facts(&scene, &birch, "readiness.changed").await.len(), facts_before);
}

#[tokio::test]
async fn what_lapses_is_mailed_once_a_day_and_once_more_when_it_is_whole_again() {
    let scene = scene().await;
    let birch = scene.add(json!({})).await;
    let path = format!("/api/v1/tenants/{}/onboarding", birch.id);
    scene.odd.patch(&path, &json!({ "monitoringDays": 0 })).await.expect(204);
    let beate = scene.beate().await;
    let review = json!({
        "name": "Board", "kind": "group", "email": "board@birch.example", "role": "serviceReview",
        "language": "es",
    });
    beate.post("/api/v1/contacts", &review).await.expect(201);
    // Before the service begins nothing lapses: what is missing holds it back.
    set_up(&beate, "reader").await;
    grant(&beate, "none").await;
    scene.watch().await;
    grant(&beate, "reader").await;
    scene.alert(&birch, "first").await;
    scene.watch().await;
    scene.app().clock.advance_seconds(60);
    scene.watch().await;
    assert_eq!(stages(&scene, &birch).await.last().map(String::as_str), Some("active"));
    let board = async |what: &str| {
        let mails = scene.mails("board@birch.example").await;
        mails.iter().filter(|mail| mail.contains(what)).count()
    };
    let odd = async |what: &str| {
        let mails = scene.mails("odd@fjordwatch.example").await;
        mails.iter().filter(|mail| mail.contains(what)).count()
    };
    let (lapsed, whole) = ("ya no est", "vuelve a estar completa");
    assert_eq!((board(lapsed).await, odd("has lapsed").await), (0, 0));

    grant(&beate, "none").await;
    scene.watch().await;
    assert_eq!((board(lapsed).await, odd("has lapsed").await), (1, 1), "both sides are told");
    let mails = scene.mails("odd@fjordwatch.example").await;
    let mail = mails.last().expect("one");
    assert!(
        mail.contains("Leave for experts to investigate") && mail.contains("Birch Rail"),
        "{mail}"
    );
    assert!(mail.contains("/customers"), "where the provider looks after it: {mail}");
    scene.app().clock.advance_seconds(3_600);
    scene.watch().await;
    assert_eq!(board(lapsed).await, 1, "it lacks still, which is no news");

    // It flaps: one word that it is whole, and silence for the rest of the day.
    let beate = scene.face.person(&birch.id, "b2@birch.example", Role::SecurityAdministrator).await;
    for _ in 0..5 {
        grant(&beate, "reader").await;
        scene.watch().await;
        grant(&beate, "none").await;
        scene.watch().await;
    }
    assert_eq!((board(lapsed).await, board(whole).await), (1, 1));
    assert_eq!((odd("has lapsed").await, odd("whole again").await), (1, 1));
    // When the day is over and it still lacks, that is told.
    scene.app().clock.advance_seconds(DAY_S);
    scene.watch().await;
    assert_eq!((board(lapsed).await, board(whole).await), (2, 1));
    // Another item has a day of its own.
    let beate = scene.face.person(&birch.id, "b3@birch.example", Role::SecurityAdministrator).await;
    let contacts = beate.get("/api/v1/contacts").await.expect(200).json();
    let all = contacts["value"].as_array().expect("contacts");
    let duty = all.iter().find(|it| it["name"] == "Duty").expect("the incident contact");
    let path = format!("/api/v1/contacts/{}", duty["id"].as_str().expect("an id"));
    beate.delete(&path).await.expect(204);
    scene.watch().await;
    assert_eq!(board(lapsed).await, 3);
    let lapses = facts(&scene, &birch, "readiness.lapsed").await;
    let items: Vec<&Value> = lapses.iter().map(|it| &it["items"]).collect();
    assert_eq!(
        items,
        [&json!(["expertAccess"]), &json!(["expertAccess"]), &json!(["incidentContact"])]
    );
}

#[tokio::test]
async fn targets_gate_the_start_and_a_device_counts_while_it_is_heard_of() {
    let scene = scene().await;
    let birch = scene.add(json!({})).await;
    let beate = scene.beate().await;
    scene.alert(&birch, "first").await;
    let wanted = json!({ "devices": 2, "identities": null });
    beate.put("/api/v1/onboarding/targets", &wanted).await.expect(200);
    beate.put("/api/v1/onboarding/targets", &json!({ "devices": 1e12 })).await.expect(400);
    set_up(&beate, "reader").await;
    for (name, missing) in [("b1", 1), ("b2", 0)] {
        Machine::enrol(&scene.face, &birch.id, name, name).await.orders("run", &[]).await;
        scene.watch().await;
        let now = standing(&beate).await;
        let devices = &now["readiness"]["devices"];
        assert_eq!(devices["protected"], 2 - missing, "{devices}");
        assert_eq!(devices["isReached"], missing == 0, "{devices}");
    }
    // Being heard of is no fact; it is found within the minute.
    scene.app().clock.advance_seconds(60);
    scene.watch().await;
    assert_eq!(stage(&beate).await, "monitoring");
    scene.app().clock.advance_seconds(DAY_S);
    scene.watch().await;
    let seen = scene.seen(&birch).await;
    assert_eq!(seen["onboarding"]["missing"], json!(["Protect as many devices as are to be"]));
    assert_eq!(seen["onboarding"]["stage"], "monitoring", "it does not go back");
    let path = format!("/api/v1/tenants/{}/onboarding", birch.id);
    let one = json!({ "targets": { "devices": 0, "identities": 0 } });
    scene.fresh().await.patch(&path, &one).await.expect(204);
    assert_eq!(scene.seen(&birch).await["onboarding"]["missing"], json!([]));
}

#[tokio::test]
async fn two_processes_evaluate_once_and_a_crash_before_the_evaluation_loses_no_change() {
    let scene = scene().await;
    let birch = scene.add(json!({})).await;
    let beate = scene.beate().await;
    set_up(&beate, "reader").await;
    scene.watch().await;
    // The change is on disk, and whoever lives then evaluates.
    let wanted = json!({ "name": "SIEM", "url": crate::oidc::issuer().await });
    beate.post("/api/v1/webhooks", &wanted).await.expect(201);
    assert_eq!(scene.face.world.rows("select due_at from onboarding").await, [0]);
    let before = facts(&scene, &birch, "readiness.changed").await.len();
    let (one, other) = (scene.face.world.replica(), scene.face.world.replica());
    let (one, other) = tokio::join!(readiness::watch(&one), readiness::watch(&other));
    one.and(other).expect("evaluations");
    scene.watch().await;
    let changed = facts(&scene, &birch, "readiness.changed").await;
    assert_eq!(changed.len(), before + 1, "{changed:?}");
    assert_eq!(changed[before]["changes"][0]["field"], "chatChannel");
}

#[tokio::test]
async fn the_setup_is_its_administrators_business_and_stays_in_its_tenant() {
    let scene = scene().await;
    let birch = scene.add(json!({})).await;
    let beate = scene.beate().await;
    step(&beate, "getStarted", "done").await.expect(200);
    let reader = scene.face.person(&birch.id, "r@birch.example", Role::SecurityReader).await;
    let operator = scene.face.person(&birch.id, "p@birch.example", Role::SecurityOperator).await;
    for who in [&reader, &operator] {
        let seen = standing(who).await;
        assert_eq!(
            (&seen["stage"], &seen["may"]["setUp"]["allowed"]),
            (&json!("setUp"), &json!(false))
        );
        step(who, "permissions", "done").await.expect(403);
        who.post("/api/v1/onboarding/submit", &json!({})).await.expect(403);
        who.put("/api/v1/onboarding/targets", &json!({ "devices": 0 })).await.expect(403);
    }
    // A customer that was there before is active, and nothing of another's is in what it sees.
    let world = &scene.face.world;
    let ida = scene.face.person(&world.tenant.id, "ida@alder.example", Role::SecurityAdministrator);
    let ida = ida.await;
    let seen = standing(&ida).await;
    assert_eq!((&seen["stage"], &seen["isInvited"]), (&json!("active"), &json!(false)), "{seen}");
    step(&ida, "getStarted", "done").await.expect(409);
    let all = ida.get("/api/v1/tenants").await.expect(200).text;
    assert!(!all.contains("Birch") && !all.contains(BEATE), "{all}");
    for path in ["welcome", "end-monitoring"] {
        let path = format!("/api/v1/tenants/{}/{path}", birch.id);
        ida.post(&path, &json!({ "because": "let us go on" })).await.expect(403);
        beate.post(&path, &json!({})).await.expect(403);
    }
    let lead = scene.face.provider_person("l@fjordwatch.example", Role::Lead).await;
    let path = format!("/api/v1/tenants/{}/onboarding", birch.id);
    lead.patch(&path, &json!({ "monitoringDays": 0 })).await.expect(403);
    lead.get("/api/v1/onboarding").await.expect(403);
    scene.odd.get("/api/v1/onboarding").await.expect(403);
    let unknown = format!("/api/v1/tenants/{}/onboarding", uuid::Uuid::new_v4());
    scene.odd.patch(&unknown, &json!({ "monitoringDays": 0 })).await.expect(404);
}
