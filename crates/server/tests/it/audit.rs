//! The audit log: what a changed, removed or exchanged leaf looks like, and the log as a feed (AUD-1,
//! AUD-2).

use std::process::Command;

use riposte::audit;
use riposte::permission::{Permission, Role};
use riposte::tenant::{self, Side};
use serde_json::{Value, json};

use crate::face::{Client, Face};
use crate::world::{World, alert};

/// A customer's log of some leaves.
async fn filled() -> World {
    let world = World::new().await;
    let alerts: Vec<Value> = (0..6)
        .map(|n| alert(&format!("a{n}"), &format!("host{n}"), &format!("user{n}"), n))
        .collect();
    world.alerts(&alerts).await;
    world.settle().await;
    world
}

async fn change(world: &World, sql: &str) {
    let tx = world.app.db.whole("a test").begin().await.expect("a transaction");
    for sql in sql.split(';') {
        tx.execute(sql, vec![]).await.expect("an intruder writes");
    }
    tx.commit().await.expect("a commit");
}

async fn first_bad(world: &World) -> Option<String> {
    audit::verify(&world.app, None).await.expect("verifies").first_bad
}

#[tokio::test]
async fn a_changed_byte_a_removed_leaf_and_a_swapped_pair_are_named() {
    let world = filled().await;
    let (no, id) = (world.tenant.no.0, &world.tenant.id);
    assert_eq!(first_bad(&world).await, None, "an untouched store");
    let leaves = world.rows(&format!("select size from ledger where tenant_no = {no}")).await[0];
    assert!(leaves > 6, "{leaves} leaves");
    audit::checkpoint(&world.app).await.expect("signed");
    assert_eq!(first_bad(&world).await, None, "a checkpoint agrees");

    // One byte of each column, at each place, there and back again.
    for position in 0..leaves {
        let here = format!("where tenant_no = {no} and position = {position}");
        for (there, back) in [
            ("at = at + 1", "at = at - 1"),
            ("kind = kind || 'x'", "kind = substr(kind, 1, length(kind) - 1)"),
            ("actor_kind = actor_kind || ' '", "actor_kind = trim(actor_kind)"),
            ("actor = actor || ' '", "actor = trim(actor)"),
            (
                "incident_id = coalesce(incident_id, 0) + 1",
                "incident_id = nullif(incident_id - 1, 0)",
            ),
            ("alert_id = coalesce(alert_id, 0) + 1", "alert_id = nullif(alert_id - 1, 0)"),
            ("body = body || ' '", "body = trim(body)"),
        ] {
            change(&world, &format!("update event set {there} {here}")).await;
            let found = first_bad(&world).await;
            assert_eq!(found, Some(format!("{id}:{position} the event was altered")), "{there}");
            change(&world, &format!("update event set {back} {here}")).await;
        }
        let moved = format!("update event set tenant_no = -1 {here}");
        change(&world, &moved).await;
        let found = first_bad(&world).await;
        assert_eq!(found, Some(format!("{id}:{position} the event was removed")));
        change(
            &world,
            &moved
                .replace("= -1", &format!("= {no}"))
                .replace(&format!("where tenant_no = {no}"), "where tenant_no = -1"),
        )
        .await;
    }
    for first in 0..leaves - 1 {
        let swap = format!(
            "update event set position = -1 where tenant_no = {no} and position = {first};\
             update event set position = {first} where tenant_no = {no} and position = {second};\
             update event set position = {second} where tenant_no = {no} and position = -1",
            second = first + 1
        );
        change(&world, &swap).await;
        let found = first_bad(&world).await;
        assert_eq!(found, Some(format!("{id}:{first} the event was altered")), "swapped");
        change(&world, &swap).await;
    }
    assert_eq!(first_bad(&world).await, None, "all is as it was");
}

#[tokio::test]
async fn who_rewrites_the_whole_log_is_found_by_the_checkpoint_that_was_kept() {
    let world = filled().await;
    let (no, id) = (world.tenant.no, &world.tenant.id);
    audit::checkpoint(&world.app).await.expect("signed");
    let kept = audit::newest(&world.app, no).await.expect("reads").expect("a checkpoint");
    let over_all = audit::newest_over_all(&world.app).await.expect("reads").expect("a checkpoint");
    assert_eq!(
        (over_all.tenant_id.as_str(), over_all.size),
        ("*", 3),
        "two customers, the provider"
    );
    let both = serde_json::to_string(&[&kept, &over_all]).expect("JSON");
    assert!(audit::verify(&world.app, Some(&both)).await.expect("verifies").ok);

    // The last event is taken away with all that counts it, as who owns the store could.
    let n = no.0;
    change(
        &world,
        &format!(
            "delete from event where tenant_no = {n};delete from checkpoint where tenant_no = {n};\
             update ledger set size = 0, peaks = (select peaks from ledger where tenant_no = 2) \
             where tenant_no = {n}"
        ),
    )
    .await;
    let kept = serde_json::to_string(&kept).expect("JSON");
    let found = audit::verify(&world.app, Some(&kept)).await.expect("verifies").first_bad;
    assert!(found.expect("a fault").starts_with(&format!("{id}:0 ")));
    let over_all = serde_json::to_string(&over_all).expect("JSON");
    let found = audit::verify(&world.app, Some(&over_all)).await.expect("verifies");
    assert!(!found.ok);

    // A checkpoint of somebody else's making.
    let mut forged: Value = serde_json::from_str(&kept).expect("JSON");
    forged["size"] = json!(1);
    let found = audit::verify(&world.app, Some(&forged.to_string())).await.expect("verifies");
    assert!(!found.ok);
}

#[tokio::test]
async fn servers_whose_clocks_differ_sign_over_what_there_was() {
    let world = filled().await;
    audit::checkpoint(&world.app).await.expect("signed");
    let first = audit::newest_over_all(&world.app).await.expect("reads").expect("a checkpoint");
    // Another server, whose clock is behind, signs for a customer that came later.
    world.app.clock.advance_seconds(-30);
    tenant::add(&world.app, "Brisk", tenant::ExpertAccess::None).await.expect("a customer");
    assert_eq!(audit::checkpoint(&world.app).await.expect("signed"), 1);
    let second = audit::newest_over_all(&world.app).await.expect("reads").expect("a checkpoint");
    assert_eq!((first.size, second.size), (3, 4));
    assert!(second.at < first.at, "the clocks differ");
    let both = serde_json::to_string(&[&first, &second]).expect("JSON");
    let found = audit::verify(&world.app, Some(&both)).await.expect("verifies");
    assert_eq!(found.first_bad, None, "nobody touched anything");
    change(&world, "delete from checkpoint_over_all").await;
    let found = audit::verify(&world.app, Some(&both)).await.expect("verifies");
    assert!(found.first_bad.expect("a fault").contains("not in the store any more"));
}

#[tokio::test]
async fn the_command_verifies_a_store_at_rest_and_names_the_leaf() {
    if std::env::var_os("RIPOSTE_TEST_POSTGRES").is_some() {
        return; // The other tests verify there; the command is the same.
    }
    let dir = tempfile::tempdir().expect("a folder");
    let data = dir.path().join("data");
    let run = |words: &[&str]| {
        let done = Command::new(env!("CARGO_BIN_EXE_riposte"))
            .args(words)
            .arg("--data-dir")
            .arg(&data)
            .output()
            .expect("runs");
        let text = String::from_utf8_lossy(&done.stdout) + String::from_utf8_lossy(&done.stderr);
        (done.status.success(), text.into_owned())
    };
    let (good, text) =
        run(&["init", "--provider", "Fjordwatch", "--admin", "odd@fjordwatch.example"]);
    assert!(good, "{text}");
    for name in ["Alder", "Norrland", "Brisk"] {
        let (good, text) = run(&["tenant", "add", name]);
        assert!(good, "{text}");
    }
    let (good, text) = run(&["audit", "verify"]);
    assert!(good && text.contains("leaves agree"), "{text}");

    let db = riposte::db::Db::open_sqlite(&data).await.expect("the store");
    let tx = db.whole("a test").begin().await.expect("a transaction");
    tx.execute("update event set body = body || ' ' where tenant_no = 2", vec![])
        .await
        .expect("written");
    tx.commit().await.expect("a commit");
    db.close().await.expect("closed");
    let (good, text) = run(&["audit", "verify"]);
    assert!(!good && text.contains(":0 the event was altered"), "{text}");
}

async fn auditor(face: &Face) -> (Client, tenant::Credentials) {
    let app = face.app(Side::Tenant(&face.world.tenant.id), &[Permission::AuditRead]).await;
    (face.sign_in(&app).await, app)
}

#[tokio::test]
async fn the_log_is_read_as_the_management_activity_api_is() {
    let face = Face::new().await;
    let world = &face.world;
    let (client, _) = auditor(&face).await;
    let ida = face.person(&world.tenant.id, "ida@alder.example", Role::SecurityAdministrator).await;
    world.alerts(&[alert("one", "h1", "u1", 0), alert("two", "h2", "u2", 0)]).await;
    world.settle().await;
    let queue = ida.get("/api/v1/incidents").await.expect(200).json();
    let path = format!("/api/v1/incidents/{}", queue["value"][0]["id"].as_str().expect("an id"));
    ida.patch(&path, &json!({ "customTags": ["vip"] })).await.expect(200);
    world.app.clock.advance_seconds(61);
    audit::checkpoint(&world.app).await.expect("signed");

    let root = format!("/api/v1.0/{}/activity/feed", world.tenant.id);
    let content = |kind: &str| format!("{root}/subscriptions/content?contentType={kind}");
    let error = client.get(&content("Audit.General")).await.expect(400).json();
    assert_eq!(error["error"]["code"], "AF20022");
    let start = format!("{root}/subscriptions/start?contentType=");
    for (kind, code) in [("Audit.Exchange", "AF20020"), ("", "AF20020")] {
        let error = client.post(&format!("{start}{kind}"), &json!({})).await.expect(400).json();
        assert_eq!(error["error"]["code"], code);
    }
    let hook = json!({ "webhook": { "address": "https://hook.example", "authId": "x" } });
    let error = client.post(&format!("{start}Audit.General"), &hook).await.expect(400).json();
    assert_eq!(error["error"]["code"], "AF20021", "what is not done is not said to be done");
    for kind in ["Audit.General", "Audit.AzureActiveDirectory"] {
        let started = client.post(&format!("{start}{kind}"), &json!({})).await.expect(200).json();
        assert_eq!(started, json!({ "contentType": kind, "status": "enabled", "webhook": null }));
    }
    let list = client.get(&format!("{root}/subscriptions/list")).await.expect(200).json();
    assert_eq!(list.as_array().expect("a list").len(), 2);

    let listed = client.get(&content("Audit.General")).await.expect(200).json();
    let pieces = listed.as_array().expect("a list");
    assert_eq!(pieces.len(), 1, "{listed}");
    let uri = pieces[0]["contentUri"].as_str().expect("an address");
    let at = uri.find("/api/v1.0/").expect("a path");
    let records = client.get(&uri[at..]).await.expect(200).json();
    let records = records.as_array().expect("records").clone();
    let changed = records.iter().find(|one| one["Operation"] == "incident.changed").expect("it");
    assert_eq!(changed["UserId"], "ida@alder.example");
    assert_eq!(changed["RecordType"], 232);
    assert_eq!(changed["Workload"], "Microsoft365Defender");
    assert_eq!(changed["OrganizationId"], json!(world.tenant.id));
    assert_eq!(changed["AuditData"]["changes"][0]["field"], "customTags");
    assert_eq!(changed["CreationTime"].as_str().map(str::len), Some(19), "without a zone");
    assert!(changed["ClientIP"].is_string(), "{changed}");
    assert!(records.iter().all(|one| one["RecordType"] != 15), "sign-ins are of the other type");

    let listed = client.get(&content("Audit.AzureActiveDirectory")).await.expect(200).json();
    let uri = listed[0]["contentUri"].as_str().expect("an address");
    let signs = client.get(&uri[at..]).await.expect(200).json();
    let signs = signs.as_array().expect("records");
    assert!(signs.iter().any(|one| one["UserId"] == "ida@alder.example"), "{signs:?}");
    // Together they are the whole log up to the checkpoint, each record once.
    let newest = audit::newest(&world.app, world.tenant.no).await.expect("reads").expect("one");
    assert_eq!((records.len() + signs.len()) as u64, newest.size);
    // The span it is asked in is that of when it became available.
    let query = "&startTime=2026-01-01T00:00&endTime=2026-01-03T00:00";
    let error =
        client.get(&format!("{}{query}", content("Audit.General"))).await.expect(400).json();
    assert_eq!(error["error"]["code"], "AF20030");

    let stop = format!("{root}/subscriptions/stop?contentType=Audit.General");
    client.post(&stop, &json!({})).await.expect(200);
    client.get(&content("Audit.General")).await.expect(400);
    client.get(&uri[at..]).await.expect(200);
    let log = client.get("/api/v1/audit?order=desc&top=1").await.expect(200).json();
    assert_eq!(log["value"][0]["operation"], "feed.changed", "who reads the log is in the log");
}

#[tokio::test]
async fn the_feed_goes_on_where_a_page_ends() {
    let face = Face::new().await;
    let world = &face.world;
    let (client, app) = auditor(&face).await;
    let root = format!("/api/v1.0/{}/activity/feed", world.tenant.id);
    let start = format!("{root}/subscriptions/start?contentType=Audit.General");
    client.post(&start, &json!({})).await.expect(200);
    for n in 0..230 {
        world.alerts(&[alert(&format!("n{n}"), "h", "u", 0)]).await;
        world.app.clock.advance_seconds(61);
        audit::checkpoint(&world.app).await.expect("signed");
    }
    let client = face.sign_in(&app).await;
    let mut path = format!("{root}/subscriptions/content?contentType=Audit.General");
    let mut seen = Vec::new();
    loop {
        let page = client.get(&path).await.expect(200);
        let listed = page.json();
        seen.extend(
            listed.as_array().expect("a list").iter().map(|one| one["contentId"].to_string()),
        );
        let Some(next) = page.headers.get("nextpageuri") else { break };
        let next = next.to_str().expect("text");
        path = next[next.find("/api/v1.0/").expect("a path")..].to_owned();
    }
    assert_eq!(seen.len(), 230);
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 230, "each once");
}

#[tokio::test]
async fn the_newest_record_comes_first_when_asked() {
    let face = Face::new().await;
    let world = &face.world;
    let (_, app) = auditor(&face).await;
    for n in 0..300 {
        world.alerts(&[alert(&format!("n{n}"), "h", "u", 0)]).await;
        world.app.clock.advance_seconds(60);
    }
    let client = face.sign_in(&app).await;
    let all = async |query: &str| {
        let mut path = format!("/api/v1/audit?top=70{query}");
        let mut ids: Vec<String> = Vec::new();
        loop {
            let page = client.get(&path).await.expect(200).json();
            let rows = page["value"].as_array().expect("rows");
            ids.extend(rows.iter().map(|row| row["id"].as_str().expect("an id").to_owned()));
            let Some(cursor) = page["nextCursor"].as_str() else { return ids };
            path = format!("/api/v1/audit?top=70{query}&cursor={cursor}");
        }
    };
    let from = world.app.clock.now().plus_seconds(-200 * 60);
    let to = world.app.clock.now().plus_seconds(-100 * 60);
    for span in [String::new(), format!("&from={from}"), format!("&from={from}&to={to}")] {
        let forward = all(&span).await;
        let mut backward = all(&format!("{span}&order=desc")).await;
        assert!(forward.len() >= 99, "{span}: {}", forward.len());
        backward.reverse();
        assert_eq!(forward, backward, "{span}");
    }
}
