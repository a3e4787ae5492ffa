//! Endpoint agents: enrolment, polls, reports and packages, as an agent asks for them (MR-4, MR-18).

use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rcgen::{CertificateParams, KeyPair};
use ring::signature::{ED25519, UnparsedPublicKey};
use riposte::actor::Actor;
use riposte::agent::authority::{self, Authority};
use riposte::agent::{poll, token};
use riposte::app::App;
use riposte::clock::Clock;
use riposte::http::{Certificate, Peer, Tls};
use riposte::id::{DeviceNo, Random, TenantNo};
use riposte::permission::Role;
use riposte::tenant::Tenant;
use riposte::tls;
use riposte::tx::Tx;
use riposte_wire::{Enrolled, Order, Orders, Reported, Signed, release};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::face::{Face, Reply, send};
use crate::world::{World, alert};

/// A token of a tenant, as the command makes it.
pub async fn new_token(world: &World, tenant: &str) -> String {
    token::add_by_command(&world.app, tenant, None).await.expect("a token").token
}

/// A signing request, and the key it is signed with.
fn request() -> (String, KeyPair) {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::default();
    // Names in a request count for nothing.
    params.distinguished_name.push(rcgen::DnType::CommonName, "root");
    let request = params.serialize_request(&key).expect("a request");
    (request.pem().expect("PEM"), key)
}

fn host(name: &str, machine: &str) -> Value {
    json!({
        "name": name, "machine": machine, "os": "Debian GNU/Linux 12 (bookworm)",
        "kernel": "6.1.0-18-amd64", "architecture": "x86_64", "agent": "0.1.0",
        "addresses": ["192.0.2.7"], "can": ["isolate", "release", "collectPackage"],
        "lacks": [["restrict", "no fanotify here"]],
    })
}

fn enrolment(token: &str, request: &str, host: &Value) -> Value {
    json!({ "version": 1, "token": token, "request": request, "host": host })
}

/// A request at the listener for agents, by a client that shows this certificate.
pub async fn ask(
    router: &Router,
    method: &str,
    path: &str,
    certificate: Option<&Certificate>,
    body: impl Into<Body>,
) -> Reply {
    let request = Request::builder().method(method).uri(path).header("host", "agents.example");
    let mut request = request.body(body.into()).expect("a request");
    request.extensions_mut().insert(Peer([192, 0, 2, 77].into()));
    request.extensions_mut().insert(Tls);
    if let Some(certificate) = certificate {
        request.extensions_mut().insert(certificate.clone());
    }
    send(router, request).await
}

async fn try_enrol(router: &Router, body: &Value) -> Reply {
    ask(router, "POST", "/agent/v1/enrol", None, body.to_string()).await
}

/// An agent that has enrolled.
#[derive(Clone)]
pub struct Machine {
    router: Router,
    pub enrolled: Enrolled,
    pub certificate: Certificate,
}

impl Machine {
    /// A machine of this name, with a token of this tenant.
    pub async fn enrol(face: &Face, tenant: &str, name: &str, machine: &str) -> Self {
        let token = new_token(&face.world, tenant).await;
        let (request, _) = request();
        let body = enrolment(&token, &request, &host(name, machine));
        let reply = try_enrol(&face.router, &body).await.expect(200);
        let enrolled: Enrolled = serde_json::from_str(&reply.text).expect("enrolled");
        let certificate = CertificateDer::from_pem_slice(enrolled.certificate.as_bytes());
        let certificate = Certificate(certificate.expect("a certificate"));
        Self { router: face.router.clone(), enrolled, certificate }
    }

    async fn ask(&self, method: &str, path: &str, body: impl Into<Body>) -> Reply {
        ask(&self.router, method, path, Some(&self.certificate), body).await
    }

    async fn poll(&self, run: &str, known: &[&str]) -> Reply {
        self.ask("POST", "/agent/v1/poll", hello(run, known, &json!({})).to_string()).await
    }

    pub async fn orders(&self, run: &str, known: &[&str]) -> Orders {
        let reply = self.poll(run, known).await.expect(200);
        serde_json::from_str(&reply.text).expect("orders")
    }

    pub async fn report(&self, report: &Value) -> Reported {
        let reply = self.ask("POST", "/agent/v1/report", report.to_string()).await.expect(200);
        serde_json::from_str(&reply.text).expect("reported")
    }

    /// Sends an inventory, so that none is asked for.
    async fn settle(&self) {
        self.report(&json!({ "inventory": { "host": host("ignored", "ignored") } })).await;
    }

    /// The order inside, when the signature is the server's.
    fn open(&self, signed: &Signed) -> Order {
        let key = BASE64.decode(&self.enrolled.order_key).expect("a key");
        let signature = BASE64.decode(&signed.signature).expect("a signature");
        UnparsedPublicKey::new(&ED25519, key)
            .verify(signed.body.as_bytes(), &signature)
            .expect("signed by the server");
        serde_json::from_str(&signed.body).expect("an order")
    }
}

fn hello(run: &str, known: &[&str], more: &Value) -> Value {
    let mut states = json!({ "isolated": null, "restricted": false });
    for (name, value) in more.as_object().into_iter().flatten() {
        states[name] = value.clone();
    }
    json!({
        "version": 1, "run": run, "known": known, "states": states,
        "own": { "memory": 12_000_000, "cpu": 1, "up": 1, "spooled": 0 },
    })
}

async fn admin(face: &Face) -> Browser {
    face.person(&face.world.tenant.id, "ida@alder.example", Role::SecurityAdministrator).await
}

/// The only device of who asks.
async fn only(who: &Browser) -> Value {
    let list = who.get("/api/v1/devices").await.expect(200).json();
    assert_eq!(list["count"], 1, "{list}");
    list["value"][0].clone()
}

async fn number(world: &World, device: &Value) -> DeviceNo {
    let id = device["id"].as_str().expect("an id");
    DeviceNo(world.rows(&format!("select no from device where id = '{id}'")).await[0])
}

/// Somebody wants a device isolated, and may.
async fn want(app: &App, tenant: TenantNo, device: &Value, kind: &str) -> String {
    use riposte::response::catalog::{Kind, TargetKind};
    use riposte::response::engine::{self, Wish};
    use riposte::response::store::{Requester, Target};
    let by = Actor::customer("ida@alder.example");
    let mut tx = Tx::begin(app, tenant, by).await.expect("a change");
    let name = device["id"].as_str().expect("an id");
    let device = riposte::asset::find_in(&tx, tenant, name).await.expect("a look");
    let device = device.expect("a device");
    let kind = Kind::read(kind).expect("a kind");
    let options = kind.entry().options(&json!({})).expect("options");
    let target = Target {
        kind: TargetKind::Device,
        key: device.id.clone(),
        name: device.name.clone(),
        device: Some(device.id.clone()),
        mailbox: None,
    };
    let requester = Requester {
        name: "ida@alder.example".to_owned(),
        kind: riposte::actor::ActorKind::Customer,
        person: None,
    };
    let wish = Wish {
        kind,
        target: &target,
        channel: &riposte::response::Channel::Agent(Box::new(device.clone())),
        options: &options,
        incident: None,
        source: "Manual device action",
        comment: Some("It beacons.".to_owned()),
        undo_of: None,
        requester,
        confirmed: false,
    };
    let action = engine::request(&mut tx, wish).await.expect("an action");
    tx.commit().await.expect("a commit");
    action.id.to_string()
}

/// A device with all that an agent can leave behind of it, and what was asked of it.
pub async fn lived_in(
    face: &Face,
    tenant: &Tenant,
    admin: &Browser,
    name: &str,
) -> (Value, String) {
    let machine = Machine::enrol(face, &tenant.id, name, name).await;
    let inventory = json!({ "host": host(name, name), "services": [name] });
    let session = json!({ "user": name, "line": "pts/0", "from": null, "since": 1 });
    let detail = json!({ "session": session });
    let seen = json!({ "at": 1, "kind": "signedIn", "text": name, "detail": detail });
    machine.report(&json!({ "inventory": inventory, "observed": [seen] })).await;
    let list = admin.get(&format!("/api/v1/devices?search={name}")).await.expect(200).json();
    let device = list["value"][0].clone();
    let app = &face.world.app;
    want(app, tenant.no, &device, "isolateDevice").await;
    let action = want(app, tenant.no, &device, "collectInvestigationPackage").await;
    for signed in machine.orders("r1", &[]).await.orders {
        let order = machine.open(&signed);
        if order.action.word() == "collectPackage" {
            let zip = [b"PK\x03\x04", name.as_bytes()].concat();
            machine.ask("PUT", &format!("/agent/v1/package/{}", order.id), zip).await.expect(200);
        }
    }
    (device, action)
}

#[tokio::test]
async fn an_agent_enrols_and_its_device_is_an_asset_of_the_tenant() {
    let face = Face::new().await;
    let ida = admin(&face).await;
    face.world.alerts(&[alert("a", "web-1", "u1", 0)]).await;
    let machine = Machine::enrol(&face, &face.world.tenant.id, "Web-1", "m1").await;
    let Enrolled { agent, tenant, server, release_secret, .. } = &machine.enrolled;
    assert_eq!((tenant, server), (&face.world.tenant.id, &None));
    assert_eq!(BASE64.decode(release_secret).expect("base64").len(), 32);
    let named = authority::named(&machine.certificate.0).expect("a name");
    assert_eq!((&named.agent, &named.tenant), (agent, tenant));

    let device = only(&ida).await;
    assert_eq!(device["name"], "Web-1");
    assert_eq!(device["tenantName"], "Alder Freight");
    assert_eq!(device["agent"]["id"], json!(agent));
    assert_eq!(device["agent"]["online"], false, "it said nothing yet");
    assert_eq!(device["agent"]["lacks"][0][1], "no fanotify here");
    assert_eq!(device["incidentCount"], 1);
    assert_eq!(device["may"]["code"]["allowed"], true);
    assert!(device["agent"]["enrolledDateTime"].is_string());
    let path = format!("/api/v1/devices/{}", device["id"].as_str().expect("an id"));
    let one = ida.get(&path).await.expect(200).json();
    assert_eq!(one["incidents"][0]["severity"], "medium");
    assert_eq!(one["inventory"], Value::Null);

    machine.settle().await;
    let one = ida.get(&path).await.expect(200).json();
    assert_eq!(one["inventory"]["host"]["architecture"], "x86_64");
    assert_eq!(one["name"], "Web-1", "a name is given once");
    // Heard of, and written with what else was heard.
    let poll = machine.poll("r1", &[]);
    let _ = tokio::time::timeout(Duration::from_millis(300), poll).await;
    poll::flush(&face.world.app).await.expect("a flush");
    assert_eq!(only(&ida).await["agent"]["online"], true);
    let log = ida.get("/api/v1/audit").await.expect(200).text;
    assert!(log.contains("device.enrolled") && log.contains("riposte-agent Web-1"), "{log}");
    let tokens = ida.get("/api/v1/agent-tokens").await.expect(200).json();
    assert_eq!(tokens["value"][0]["uses"], 1);
    assert!(!tokens.to_string().contains("rpa_"), "a token is shown once");
}

#[tokio::test]
async fn wrong_expired_and_ended_tokens_are_answered_alike() {
    let face = Face::new().await;
    let ida = admin(&face).await;
    let made = ida.post("/api/v1/agent-tokens", &json!({ "hours": 1 })).await.expect(201).json();
    let text = |name: &str| made[name].as_str().expect("text").to_owned();
    let (ended, id) = (text("token"), text("id"));
    assert!(text("command").contains(&format!("--token {ended}")), "{made}");
    ida.delete(&format!("/api/v1/agent-tokens/{id}")).await.expect(204);
    ida.delete(&format!("/api/v1/agent-tokens/{id}")).await.expect(404);
    let over = new_token(&face.world, &face.world.tenant.id).await;
    face.world.app.clock.advance_seconds(24 * 3_600);
    let (request, _) = request();
    let mut answers = Vec::new();
    for token in [ended.as_str(), over.as_str(), "rpa_wrong", ""] {
        let body = enrolment(token, &request, &host("web-1", "m1"));
        let reply = try_enrol(&face.router, &body).await.expect(401);
        let mut json = reply.json();
        json["error"]["innerError"] = Value::Null;
        answers.push(json.to_string());
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    for hours in [0, 721, -1] {
        let refused = token::add_by_command(&face.world.app, &face.world.tenant.id, Some(hours));
        assert!(refused.await.is_err(), "{hours}");
    }
    // What could be dangerous wants a fresh factor; a day has passed.
    face.world.app.clock.advance_seconds(30);
    ida.sign_in(&face.world, "ida@alder.example").await.expect(200);
    face.world.app.clock.advance_seconds(400);
    let refused = ida.post("/api/v1/agent-tokens", &json!({ "hours": 1 })).await.expect(403);
    assert_eq!(refused.json()["error"]["code"], "StepUpRequired");
}

#[tokio::test]
async fn a_token_says_whose_the_device_is_and_nothing_else_does() {
    let face = Face::new().await;
    let (ours, theirs) = (&face.world.tenant.id, &face.world.other.id);
    let ida = admin(&face).await;
    let ola = face.person(theirs, "ola@norrland.example", Role::SecurityAdministrator).await;
    let machine = Machine::enrol(&face, ours, "web-1", "m1").await;
    // The very same machine, of another customer: another device, and the first one stays.
    let other = Machine::enrol(&face, theirs, "web-1", "m1").await;
    let (mine, yours) = (only(&ida).await, only(&ola).await);
    assert_ne!(mine["id"], yours["id"]);
    let path = format!("/api/v1/devices/{}", yours["id"].as_str().expect("an id"));
    for reply in [
        ida.get(&path).await,
        ida.get(&format!("{path}/timeline")).await,
        ida.patch(&path, &json!({ "highValue": true })).await,
        ida.post(&format!("{path}/release-code"), &json!({})).await,
        ida.delete(&path).await,
    ] {
        reply.expect(404);
    }
    machine.settle().await;
    other.settle().await;
    // A certificate of one is no certificate of the other, whatever it is called.
    let named = authority::named(&machine.certificate.0).expect("a name");
    let other_named = authority::named(&other.certificate.0).expect("a name");
    assert_ne!(named.tenant, other_named.tenant);
    let authority = Authority::load(&face.world.app).await.expect("an authority");
    let (request, _) = request();
    let mixed = authority::Named { tenant: other_named.tenant, ..named };
    let forged = authority.issue(&request, &mixed, face.world.app.clock.now()).expect("PEM");
    let forged = Certificate(CertificateDer::from_pem_slice(forged.as_bytes()).expect("DER"));
    let body = hello("r1", &[], &json!({})).to_string();
    ask(&face.router, "POST", "/agent/v1/poll", Some(&forged), body).await.expect(401);
}

#[tokio::test]
async fn the_same_name_and_machine_is_the_same_device_and_the_former_agent_is_shut_out() {
    let face = Face::new().await;
    let ida = admin(&face).await;
    let tenant = &face.world.tenant.id;
    let first = Machine::enrol(&face, tenant, "web-1", "m1").await;
    first.settle().await;
    let before = only(&ida).await;
    let groups = json!({ "groups": ["Servers", "servers"], "highValue": true });
    let path = format!("/api/v1/devices/{}", before["id"].as_str().expect("an id"));
    let changed = ida.patch(&path, &groups).await.expect(200).json();
    assert_eq!((&changed["groups"], &changed["highValue"]), (&json!(["Servers"]), &json!(true)));

    // A poll of the former agent that is held ends with it.
    let held = tokio::spawn({
        let first = first.clone();
        async move { first.poll("r1", &[]).await }
    });
    waits(&face.world.app, "r1").await;
    let second = Machine::enrol(&face, tenant, "WEB-1", "m1").await;
    held.await.expect("an answer").expect(401);
    let after = only(&ida).await;
    assert_eq!((&after["id"], &after["groups"]), (&before["id"], &json!(["Servers"])));
    assert_ne!(after["agent"]["id"], before["agent"]["id"]);
    first.poll("r1", &[]).await.expect(401);
    first.ask("POST", "/agent/v1/report", "{}").await.expect(401);
    second.settle().await;
    Machine::enrol(&face, tenant, "web-1", "m2").await;
    let list = ida.get("/api/v1/devices?search=WEB").await.expect(200).json();
    assert_eq!(list["count"], 2, "another machine of the same name");
    let page = ida.get("/api/v1/devices?top=1").await.expect(200).json();
    let cursor = page["nextCursor"].as_str().expect("more");
    let rest = ida.get(&format!("/api/v1/devices?cursor={cursor}")).await.expect(200).json();
    assert_eq!(rest["value"].as_array().map(Vec::len), Some(1));
    assert_ne!(rest["value"][0]["id"], page["value"][0]["id"]);
}

/// Waits until a poll of a run is held, or about to be: what is rung from now on reaches it.
async fn waits(app: &App, run: &str) {
    let sql = format!("select count(*) from device where run = '{run}'");
    loop {
        let rows = app.db.whole("a test").query(&sql, vec![]).await.expect("a query");
        let taken: i64 = riposte::db::column(&rows[0], 0).expect("a number");
        if taken > 0 && !app.agents.waiting().is_empty() {
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn who_shows_no_certificate_of_ours_is_refused() {
    let face = Face::new().await;
    let ida = admin(&face).await;
    let machine = Machine::enrol(&face, &face.world.tenant.id, "web-1", "m1").await;
    machine.settle().await;
    let named = authority::named(&machine.certificate.0).expect("a name");
    let made_up = |agent: &str, tenant: &str, serial: &str| {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, agent);
        params.distinguished_name.push(rcgen::DnType::OrganizationName, tenant);
        params.serial_number = Some(hex::decode(serial).expect("hex").into());
        let key = KeyPair::generate().expect("a key");
        Certificate(params.self_signed(&key).expect("a certificate").der().clone())
    };
    let nobody = face.world.app.random.uuid().expect("an id");
    let foreign = [
        None,
        Some(made_up(&named.agent, &named.tenant, "01")),
        Some(made_up(&nobody, &named.tenant, &named.serial)),
        Some(made_up(&named.agent, &face.world.other.id, &named.serial)),
        Some(made_up(&named.agent, &nobody, &named.serial)),
        Some(made_up("' or 1=1", "x", "01")),
        Some(Certificate(CertificateDer::from(b"not a certificate".to_vec()))),
    ];
    for certificate in &foreign {
        for (method, path, body) in [
            ("POST", "/agent/v1/poll", hello("r1", &[], &json!({})).to_string()),
            ("POST", "/agent/v1/report", "{}".to_owned()),
            ("PUT", "/agent/v1/package/o1", "PK".to_owned()),
        ] {
            let reply = ask(&face.router, method, path, certificate.as_ref(), body).await;
            reply.expect(401);
        }
    }
    // Headers of a proxy say nothing, and a person's session opens nothing either.
    let headers = [("x-riposte", "1"), ("x-client-cert", machine.enrolled.certificate.as_str())];
    let headers = headers.map(|(name, value)| (name, value.lines().next().unwrap_or_default()));
    let body = hello("r1", &[], &json!({}));
    ida.send("POST", "/agent/v1/poll", Some(&body), &headers).await.expect(401);

    // Shut out by hand: the poll that is held ends, and nothing is taken any more.
    let held = tokio::spawn({
        let machine = machine.clone();
        async move { machine.poll("r1", &[]).await }
    });
    waits(&face.world.app, "r1").await;
    let device = only(&ida).await;
    let path = format!("/api/v1/devices/{}", device["id"].as_str().expect("an id"));
    let begun = Instant::now();
    ida.delete(&path).await.expect(204);
    held.await.expect("an answer").expect(401);
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    machine.poll("r1", &[]).await.expect(401);
    machine.ask("POST", "/agent/v1/report", "{}").await.expect(401);
    ida.delete(&path).await.expect(409);
    assert_eq!(only(&ida).await["agent"], Value::Null, "the device stays");
    ida.post(&format!("{path}/release-code"), &json!({})).await.expect(409);
}

#[tokio::test]
async fn a_held_poll_is_answered_within_100_ms_of_what_was_approved() {
    let face = Face::new().await;
    let ida = admin(&face).await;
    let world = &face.world;
    let machine = Machine::enrol(&face, &world.tenant.id, "web-1", "m1").await;
    machine.settle().await;
    let device = only(&ida).await;
    let no = number(world, &device).await;
    let hold = |known: &[&str]| {
        let (machine, known) = (machine.clone(), known.join(" "));
        tokio::spawn(async move {
            let known: Vec<&str> = known.split_whitespace().collect();
            machine.orders("r1", &known).await
        })
    };
    let mut took = Vec::new();
    for kind in ["isolateDevice", "unIsolateDevice", "isolateDevice"] {
        let held = hold(&[]);
        waits(&world.app, "r1").await;
        assert!(!held.is_finished(), "there is nothing to do");
        let action = want(&world.app, world.tenant.no, &device, kind).await;
        let begun = Instant::now();
        world.app.agents.ring(no);
        let orders = held.await.expect("an answer");
        took.push(begun.elapsed());
        assert_eq!(orders.orders.len(), 1);
        let order = machine.open(&orders.orders[0]);
        assert_eq!(order.agent, machine.enrolled.agent);
        let word = if kind == "isolateDevice" { "isolate" } else { "release" };
        assert_eq!(order.action.word(), word);

        // The same order until the agent knows it, then none.
        let again = machine.orders("r1", &[]).await;
        assert_eq!(machine.open(&again.orders[0]).id, order.id);
        let held = hold(&[&order.id]);
        waits(&world.app, "r1").await;
        // Its outcome is acknowledged, in the report and in the poll.
        let isolated = kind == "isolateDevice";
        let outcome = json!({
            "order": order.id, "began": order.issued, "at": order.issued,
            "outcome": { "is": "succeeded" },
            "read_back": { "isolated": isolated, "mode": isolated.then_some("full") },
        });
        let reported = machine.report(&json!({ "results": [outcome] })).await;
        assert_eq!(reported.acknowledged, std::slice::from_ref(&order.id));
        world.app.agents.ring(no);
        let told = held.await.expect("an answer");
        assert_eq!((told.orders, told.acknowledged), (vec![], vec![order.id]));
        let sql = format!(
            "select count(*) from action where id = {} and state = 'succeeded'",
            &action[2..]
        );
        assert_eq!(world.rows(&sql).await, [1]);
    }
    took.sort();
    assert!(took[1] < Duration::from_millis(100), "{took:?}");
}

#[tokio::test]
async fn what_another_replica_approved_is_found_by_the_look() {
    let face = Face::new().await;
    let ida = admin(&face).await;
    let world = &face.world;
    let machine = Machine::enrol(&face, &world.tenant.id, "web-1", "m1").await;
    machine.settle().await;
    let device = only(&ida).await;
    let stop = tokio_util::sync::CancellationToken::new();
    let watch = tokio::spawn(poll::watch(world.app.clone(), stop.clone()));
    let held = tokio::spawn({
        let machine = machine.clone();
        async move { machine.orders("r1", &[]).await }
    });
    waits(&world.app, "r1").await;
    // Nobody rings here.
    want(&world.app, world.tenant.no, &device, "isolateDevice").await;
    let begun = Instant::now();
    assert_eq!(held.await.expect("an answer").orders.len(), 1);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    stop.cancel();
    watch.await.expect("the watch ends");
}

#[tokio::test]
async fn only_the_newest_run_of_an_agent_is_given_orders() {
    let face = Face::new().await;
    let ida = admin(&face).await;
    let world = &face.world;
    let machine = Machine::enrol(&face, &world.tenant.id, "web-1", "m1").await;
    machine.settle().await;
    let held = tokio::spawn({
        let machine = machine.clone();
        async move { machine.orders("r1", &[]).await }
    });
    waits(&world.app, "r1").await;
    let newer = tokio::spawn({
        let machine = machine.clone();
        async move { machine.orders("r2", &[]).await }
    });
    let ended = held.await.expect("an answer");
    assert!(ended.orders.is_empty(), "taken over");
    let device = only(&ida).await;
    want(&world.app, world.tenant.no, &device, "isolateDevice").await;
    let no = number(world, &device).await;
    world.app.agents.ring(no);
    assert_eq!(newer.await.expect("an answer").orders.len(), 1);
}

#[tokio::test]
async fn what_is_in_force_on_a_device_is_shown_and_its_change_is_on_record() {
    let face = Face::new().await;
    let ida = admin(&face).await;
    let machine = Machine::enrol(&face, &face.world.tenant.id, "web-1", "m1").await;
    let isolated = json!({ "isolated": { "mode": "full", "since": 1, "order": null } });
    for more in [json!({}), isolated.clone(), isolated, json!({})] {
        let body = hello("r1", &[], &more).to_string();
        // An inventory is wanted, or the poll is held: what it says is known either way.
        let polling = {
            let machine = machine.clone();
            tokio::spawn(async move { machine.ask("POST", "/agent/v1/poll", body).await })
        };
        let wanted = more.get("isolated").is_some();
        let shown = async { while only(&ida).await["state"]["isolated"].is_object() != wanted {} };
        tokio::time::timeout(Duration::from_secs(20), shown).await.expect("it is shown");
        polling.abort();
    }
    let changes = "select count(*) from event where kind = 'device.changed'";
    assert_eq!(face.world.rows(changes).await, [2], "into isolation and out of it");
}

#[tokio::test]
async fn a_poll_that_was_overtaken_says_nothing_of_what_is_in_force() {
    let face = Face::new().await;
    let ida = admin(&face).await;
    let machine = Machine::enrol(&face, &face.world.tenant.id, "web-1", "m1").await;
    let isolated = json!({ "isolated": { "mode": "full", "since": 1, "order": null } });
    let poll = |up: u64, states: &Value| {
        let mut body = hello("r1", &[], states);
        body["own"]["up"] = json!(up);
        let machine = machine.clone();
        tokio::spawn(async move { machine.ask("POST", "/agent/v1/poll", body.to_string()).await })
    };
    let shown = async |wanted: bool| {
        let look = async { while only(&ida).await["state"]["isolated"].is_object() != wanted {} };
        tokio::time::timeout(Duration::from_secs(20), look).await.expect("it is shown");
    };
    let newer = poll(9, &isolated);
    shown(true).await;
    newer.abort();
    let late = poll(8, &json!({}));
    // What is read is noted before the poll is held.
    waits(&face.world.app, "r1").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    shown(true).await;
    late.abort();
    let released = poll(10, &json!({}));
    shown(false).await;
    released.abort();
}

#[tokio::test]
async fn an_observation_is_kept_once_and_only_so_many() {
    let face = Face::new().await;
    let ida = admin(&face).await;
    let machine = Machine::enrol(&face, &face.world.tenant.id, "web-1", "m1").await;
    let seen = |at: i64, text: &str| json!({ "at": at, "kind": "processStarted", "text": text, "detail": { "pid": 7 } });
    let long = "x\u{0}y\u{1b}".repeat(2_000);
    let report = json!({ "observed": [seen(3, "c"), seen(1, "a"), seen(2, &long)] });
    machine.report(&report).await;
    // The answer was lost on its way: the same again.
    machine.report(&report).await;
    let device = only(&ida).await;
    let path = format!("/api/v1/devices/{}/timeline", device["id"].as_str().expect("an id"));
    let page = ida.get(&format!("{path}?top=2")).await.expect(200).json();
    let texts: Vec<usize> = page["value"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|it| it["text"].as_str().expect("text").len())
        .collect();
    assert_eq!(texts, [1, 1_000], "the newest first, each cut to its length");
    assert_eq!(page["value"][0]["detail"]["pid"], 7);
    let cursor = page["nextCursor"].as_str().expect("more");
    let rest = ida.get(&format!("{path}?cursor={cursor}")).await.expect(200).json();
    assert_eq!(rest["value"].as_array().map(Vec::len), Some(1));
    assert_eq!(rest["nextCursor"], Value::Null);
    for round in 0..11 {
        let many: Vec<Value> = (0..5_000).map(|n| seen(10 + round * 5_000 + n, "m")).collect();
        machine.report(&json!({ "observed": many })).await;
    }
    let kept = face.world.rows("select count(*) from device_event").await;
    assert_eq!(kept, [riposte::asset::timeline::MOST]);
    let many: Vec<Value> = (0..5_001).map(|n| seen(n, "m")).collect();
    let body = json!({ "observed": many }).to_string();
    machine.ask("POST", "/agent/v1/report", body).await.expect(400);
}

#[tokio::test]
async fn a_release_code_is_the_one_that_the_agent_makes_and_is_on_record() {
    let face = Face::new().await;
    let ida = admin(&face).await;
    let operator =
        face.person(&face.world.tenant.id, "o@alder.example", Role::SecurityOperator).await;
    let machine = Machine::enrol(&face, &face.world.tenant.id, "web-1", "m1").await;
    let device = only(&ida).await;
    let path = format!("/api/v1/devices/{}/release-code", device["id"].as_str().expect("an id"));
    operator.post(&path, &json!({})).await.expect(403);
    let shown = ida.post(&path, &json!({})).await.expect(200).json();
    let day = release::day(face.world.app.clock.now().micros());
    let secret = BASE64.decode(&machine.enrolled.release_secret).expect("base64");
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &secret);
    let text = release::text(&machine.enrolled.agent, day);
    let code = release::spell(ring::hmac::sign(&key, text.as_bytes()).as_ref());
    assert_eq!(shown["code"], json!(code));
    let until = shown["validUntilDateTime"].as_str().expect("a time");
    assert!(until.ends_with("T00:00:00.0000000Z"), "{until}");
    let recorded = "select count(*) from event where kind = 'device.releaseCodeShown'";
    assert_eq!(face.world.rows(recorded).await, [1]);
    face.world.app.clock.advance_seconds(400);
    let refused = ida.post(&path, &json!({})).await.expect(403).json();
    assert_eq!(refused["error"]["code"], "StepUpRequired");
    let kept = "select count(*) from agent where length(release_secret) > 32";
    assert_eq!(face.world.rows(kept).await, [1], "sealed");
}

#[tokio::test]
async fn a_package_is_taken_for_an_order_under_way_and_given_back_as_a_file() {
    let face = Face::new().await;
    let ida = admin(&face).await;
    let world = &face.world;
    let machine = Machine::enrol(&face, &world.tenant.id, "web-1", "m1").await;
    machine.settle().await;
    let stranger = Machine::enrol(&face, &world.tenant.id, "web-2", "m2").await;
    let list = ida.get("/api/v1/devices?search=web-1").await.expect(200).json();
    let action =
        want(&world.app, world.tenant.no, &list["value"][0], "collectInvestigationPackage").await;
    let order = machine.open(&machine.orders("r1", &[]).await.orders[0]);
    let path = format!("/agent/v1/package/{}", order.id);
    let mut zip = b"PK\x03\x04".to_vec();
    zip.resize(2_500_000, 7);
    machine.ask("PUT", "/agent/v1/package/other", zip.clone()).await.expect(404);
    stranger.ask("PUT", &path, zip.clone()).await.expect(404);
    machine.ask("PUT", &path, "#!/bin/sh").await.expect(400);
    let file = format!("/api/v1/actions/{action}/package");
    ida.get(&file).await.expect(404);
    for _ in 0..2 {
        // Sent again it replaces what was sent.
        let kept = machine.ask("PUT", &path, zip.clone()).await.expect(200).json();
        assert_eq!(kept["size"], 2_500_000);
    }
    assert_eq!(world.rows("select count(*) from package_part").await, [3]);
    let request = ida.request("GET", &file, None, &[("x-riposte", "1")]);
    let response = tower::ServiceExt::oneshot(face.router.clone(), request).await.expect("a file");
    let name = response.headers()["content-disposition"].to_str().expect("text").to_owned();
    assert_eq!(name, format!("attachment; filename=\"investigation-web-1-{action}.zip\""));
    assert_eq!(response.headers()["content-type"], "application/zip");
    let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.expect("bytes");
    assert_eq!(bytes, zip);
    let ola = face.person(&world.other.id, "ola@norrland.example", Role::SecurityAdministrator);
    ola.await.get(&file).await.expect(404);
    ida.get("/api/v1/actions/ac999/package").await.expect(404);
    ida.get("/api/v1/actions/x/package").await.expect(404);
    // Each time it was given to somebody is on record.
    let taken = "select count(*) from event where kind = 'action.packageTaken'";
    let given = world.rows(taken).await[0];
    assert!(given > 0);
    ida.get(&file).await.expect(200);
    assert_eq!(world.rows(taken).await, [given + 1]);
}

#[tokio::test]
async fn hostile_bodies_are_refused_with_a_reason() {
    let face = Face::new().await;
    let ida = admin(&face).await;
    let token = new_token(&face.world, &face.world.tenant.id).await;
    let (good, _) = request();
    let with = |host: Value| enrolment(&token, &good, &host);
    let mut bodies = vec![
        json!(null),
        json!([]),
        json!({ "version": 2, "token": token, "request": good, "host": host("web-1", "m1") }),
        enrolment(&token, "not PEM", &host("web-1", "m1")),
        enrolment(&token, &good[..good.len() / 2], &host("web-1", "m1")),
        enrolment(&token, &"A".repeat(50_000), &host("web-1", "m1")),
        with(host("", "m1")),
        with(host("web\u{0}1", "m1")),
        with(host("web\u{202e}1", "m1")),
        with(host("<img src=x>", "m1")),
        with(host(&"w".repeat(256), "m1")),
        with(host("web-1", "")),
        with(host("web-1", "m\n1")),
    ];
    let mut loud = host("web-1", "m1");
    loud["os"] = json!("Debian\u{1b}[2J");
    bodies.push(with(loud));
    // A request whose signature is another key's.
    let (other, _) = request();
    let spliced = format!("{}{}", &good[..good.len() - 120], &other[other.len() - 120..]);
    bodies.push(enrolment(&token, &spliced, &host("web-1", "m1")));
    for body in &bodies {
        let reply = try_enrol(&face.router, body).await;
        assert_eq!(reply.status, 400, "{body}: {}", reply.text);
    }
    assert_eq!(ida.get("/api/v1/devices").await.expect(200).json()["count"], 0);
    // At the door that agents cannot come in by, nobody enrols into nowhere.
    let plain = Request::post("/agent/v1/enrol").header("host", "a");
    let plain = plain.body(Body::from(with(host("web-1", "m1")).to_string())).expect("a request");
    send(&face.router, plain).await.expect(409);

    let machine = Machine::enrol(&face, &face.world.tenant.id, "web-1", "m1").await;
    machine.settle().await;
    for body in [
        hello("", &[], &json!({})),
        hello("r\u{0}", &[], &json!({})),
        hello("r", &["o\n"], &json!({})),
        hello("r", &vec!["o"; 1_001], &json!({})),
        json!({ "version": 9, "run": "r", "states": { "isolated": null, "restricted": false } }),
        json!("r"),
    ] {
        machine.ask("POST", "/agent/v1/poll", body.to_string()).await.expect(400);
    }
    let deep = "[".repeat(5_000);
    let nested =
        format!("{{\"observed\":[{{\"at\":1,\"kind\":\"k\",\"text\":\"t\",\"detail\":{deep}");
    machine.ask("POST", "/agent/v1/report", nested).await.expect(400);
    let values = format!("{{\"x\":[{}0]}}", "0,".repeat(600_000));
    machine.ask("POST", "/agent/v1/report", values).await.expect(400);
    machine.ask("POST", "/agent/v1/report", vec![b' '; 9 * 1024 * 1024]).await.expect(413);
    // An inventory that is too much is not kept, and does not keep what else there is from it.
    let large = json!({
        "inventory": { "host": host("x", "y"), "services": vec!["s".repeat(700); 9_000] },
        "observed": [{ "at": 1, "kind": "k", "text": "kept" }],
    });
    machine.report(&large).await;
    assert_eq!(face.world.rows("select count(*) from device_event").await, [1]);
    // Outcomes of orders that nobody gave.
    let odd = json!({ "order": "nothing", "began": i64::MIN, "at": i64::MAX, "outcome": { "is": "succeeded" } });
    machine.report(&json!({ "results": [odd] })).await;
}

/// The whole way over sockets: the server asks for a certificate, and takes only those of its own
/// authority that were not shut out.
#[tokio::test]
async fn agents_speak_mutual_tls_and_others_need_no_certificate() {
    use riposte::serve::{Door, Options, listen, serve_until};
    let face = Face::new().await;
    let world = &face.world;
    let ida = admin(&face).await;
    // Certificates are looked at by the machine's own clock.
    let config = world.app.config.clone();
    let app = App::new(world.app.db.clone(), Clock::system(), Random::system(), config);
    let app = app.expect("an app");
    let authority = Authority::load(&app).await.expect("an authority");
    let any = "127.0.0.1:0".parse().expect("an address");
    let dir = world.app.config.data_dir.join("tls");
    let names = tls::names(any, None);
    let config = tls::self_signed(&dir, &names, app.clock.now(), Some(authority.certificate()));
    let options = Options { listen: any, tls: Some(config.expect("a configuration")) };
    let listening = listen(options).await.expect("an address");
    let url = listening.url();
    let keys = riposte::tenant::token::Keys::load(&app).await.expect("keys");
    let callers = std::sync::Arc::new(riposte::tenant::caller::Callers::new(keys));
    let intake = riposte::alert::intake::Intake::start(&app);
    let site = riposte::http::Site::new(app.clone(), callers, intake);
    let stop = site.stop.clone();
    let doors = vec![Door { listening, router: riposte::router::router(site) }];
    let served = tokio::spawn(serve_until(app.clone(), doors, stop.clone()));

    let ca = reqwest::Certificate::from_pem(tls::authority(&dir).expect("PEM").as_bytes());
    let ca = ca.expect("a certificate");
    let client = |identity: Option<&str>| {
        let mut client = reqwest::Client::builder()
            .tls_built_in_root_certs(false)
            .add_root_certificate(ca.clone());
        if let Some(pem) = identity {
            let identity = reqwest::Identity::from_pem(pem.as_bytes()).expect("an identity");
            client = client.identity(identity);
        }
        client.build().expect("a client")
    };
    let nobody = client(None);
    let health = nobody.get(format!("{url}/healthz")).send().await.expect("an answer");
    assert_eq!(health.status(), 200, "a browser needs no certificate");
    let token = token::add_by_command(&app, &world.tenant.id, None).await.expect("a token").token;
    let (request, key) = request();
    let body = enrolment(&token, &request, &host("web-1", "m1"));
    let enrolled = nobody.post(format!("{url}/agent/v1/enrol")).json(&body).send().await;
    let enrolled = enrolled.expect("an answer").json::<Enrolled>().await.expect("enrolled");
    let poll = hello("r1", &[], &json!({}));
    let ask = async |client: &reqwest::Client| {
        client.post(format!("{url}/agent/v1/poll")).json(&poll).send().await
    };
    assert_eq!(ask(&nobody).await.expect("an answer").status(), 401);

    let pem = |certificate: &str, key: &str| format!("{key}\n{certificate}");
    let own = client(Some(&pem(&enrolled.certificate, &key.serialize_pem())));
    let answer = ask(&own).await.expect("an answer");
    assert_eq!(answer.status(), 200);
    let orders: Orders = answer.json().await.expect("orders");
    assert!(orders.inventory, "none is known yet");
    let report = json!({ "inventory": { "host": host("web-1", "m1") } });
    let reported = own.post(format!("{url}/agent/v1/report")).json(&report).send().await;
    assert_eq!(reported.expect("an answer").status(), 200);

    // Of the same names, by another authority: the handshake ends, or nothing is answered.
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::OrganizationName, enrolled.tenant.as_str());
    params.distinguished_name.push(rcgen::DnType::CommonName, enrolled.agent.as_str());
    let forged = params.self_signed(&key).expect("a certificate").pem();
    let forged = client(Some(&pem(&forged, &key.serialize_pem())));
    let refused = ask(&forged).await;
    assert!(refused.is_err() || refused.is_ok_and(|it| it.status() == 401));

    // A poll that is held is answered when something is approved, and ends when the server does.
    let held = tokio::spawn({
        let (own, url, poll) = (own.clone(), url.clone(), poll.clone());
        async move { own.post(format!("{url}/agent/v1/poll")).json(&poll).send().await }
    });
    waits(&app, "r1").await;
    let device = only(&ida).await;
    want(&app, world.tenant.no, &device, "isolateDevice").await;
    let begun = Instant::now();
    app.agents.ring(number(world, &device).await);
    let answer = held.await.expect("a task").expect("an answer");
    assert!(begun.elapsed() < Duration::from_millis(200), "{:?}", begun.elapsed());
    let orders: Orders = answer.json().await.expect("orders");
    let order: Order = serde_json::from_str(&orders.orders[0].body).expect("an order");
    let known = hello("r1", &[order.id.as_str()], &json!({}));
    let held = tokio::spawn({
        let (own, url) = (own.clone(), url.clone());
        async move { own.post(format!("{url}/agent/v1/poll")).json(&known).send().await }
    });
    waits(&app, "r1").await;
    let begun = Instant::now();
    stop.cancel();
    let orders: Orders =
        held.await.expect("a task").expect("an answer").json().await.expect("JSON");
    assert!(orders.orders.is_empty() && orders.acknowledged.is_empty());
    served.await.expect("a task").expect("a clean end");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn what_was_collected_is_kept_as_long_as_the_operator_wants() {
    let face = Face::new().await;
    let world = &face.world;
    let ida = admin(&face).await;
    let (_, action) = lived_in(&face, &world.tenant, &ida, "web-1").await;
    ida.get(&format!("/api/v1/actions/{action}/package")).await.expect(200);
    for (days, left) in [(89, 1), (2, 0)] {
        world.app.clock.advance_seconds(days * 86_400);
        riposte::agent::package::tidy(&world.app).await.expect("tidied");
        assert_eq!(world.rows("select count(*) from package").await, [left]);
        assert_eq!(world.rows("select count(*) from package_part").await, [left]);
    }
    let admin = face.person(&world.tenant.id, "nora@alder.example", Role::SecurityAdministrator);
    admin.await.get(&format!("/api/v1/actions/{action}/package")).await.expect(404);
}

#[tokio::test]
async fn a_certificate_is_renewed_and_the_old_one_holds_until_the_new_one_is_shown() {
    let face = Face::new().await;
    let world = &face.world;
    let old = Machine::enrol(&face, &world.tenant.id, "web-1", "m1").await;
    old.settle().await;
    world.app.clock.advance_seconds(riposte_wire::RENEW_AFTER_DAYS * 86_400);
    let renew = async |machine: &Machine| -> Machine {
        let body = json!({ "version": 1, "request": request().0 }).to_string();
        let reply = machine.ask("POST", "/agent/v1/renew", body).await.expect(200).json();
        let pem = reply["certificate"].as_str().expect("PEM").as_bytes();
        let certificate = CertificateDer::from_pem_slice(pem).expect("a certificate");
        Machine { certificate: Certificate(certificate), ..machine.clone() }
    };
    let lost = renew(&old).await;
    let new = renew(&old).await;
    let (one, two) = (authority::named(&old.certificate.0), authority::named(&new.certificate.0));
    assert_eq!(one.expect("named").agent, two.expect("named").agent);
    // Whatever was given, the old one holds as long as no other was shown.
    old.settle().await;
    lost.poll("r1", &[]).await.expect(401);
    new.settle().await;
    old.poll("r1", &[]).await.expect(401);
    new.settle().await;
    // Beyond the end of the first certificate.
    world.app.clock.advance_seconds(300 * 86_400);
    new.settle().await;
    for (body, status) in [
        (json!({ "version": 9, "request": "x" }), 400),
        (json!({ "version": 1, "request": "x" }), 400),
        (json!({ "version": 1, "request": "x".repeat(20_000) }), 400),
    ] {
        new.ask("POST", "/agent/v1/renew", body.to_string()).await.expect(status);
    }
    let sql = "update agent set revoked_at = 1";
    let tx = world.app.db.of(world.tenant.no).begin().await.expect("a change");
    tx.execute(sql, vec![]).await.expect("an update");
    tx.commit().await.expect("a commit");
    let body = json!({ "version": 1, "request": request().0 }).to_string();
    new.ask("POST", "/agent/v1/renew", body).await.expect(401);
}
