//! What happens on the provider's own side: on record, verified, and nobody else's to see.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http_body_util::BodyExt;
use riposte::audit;
use riposte::id::TenantNo;
use riposte::permission::Permission;
use riposte::tenant::{self, Side};
use serde_json::Value;
use tower::ServiceExt;

use crate::face::{Client, Face};
use crate::world::{World, alert};

async fn provider_id(world: &World) -> String {
    tenant::provider(&world.app).await.expect("reads").expect("there is one").0
}

/// A provider's application that may read the audit log and nothing else.
async fn auditor(face: &Face) -> Client {
    face.sign_in(&face.app(Side::Provider, &[Permission::AuditRead]).await).await
}

/// Operations and organizations of all records a search finds, page by page.
async fn found(client: &Client, query: &str) -> Vec<(String, String)> {
    let mut all = Vec::new();
    let mut path = format!("/api/v1/audit?top=2{query}");
    loop {
        let page = client.get(&path).await.expect(200).json();
        for row in page["value"].as_array().expect("rows") {
            let text = |name: &str| row[name].as_str().expect("text").to_owned();
            all.push((text("operation"), text("organizationId")));
        }
        let Some(cursor) = page["nextCursor"].as_str() else { return all };
        path = format!("/api/v1/audit?top=2{query}&cursor={cursor}");
    }
}

#[tokio::test]
async fn what_the_provider_does_on_its_own_side_is_on_record_for_it_alone() {
    let face = Face::new().await;
    let world = &face.world;
    let provider = provider_id(world).await;
    let (auditor, expert) = (auditor(&face).await, face.expert().await);
    tenant::add_person(&world.app, Side::Provider, "signe@fjordwatch.example", "expert")
        .await
        .expect("an expert");
    let own = found(&auditor, &format!("&tenantId={}", provider.to_uppercase())).await;
    let operations: Vec<&str> = own.iter().map(|(operation, _)| operation.as_str()).collect();
    assert_eq!(
        operations,
        [
            "provider.named",
            "person.added",
            "app.added",
            "app.signedIn",
            "app.added",
            "app.signedIn",
            "person.added"
        ]
    );
    assert!(own.iter().all(|(_, organization)| *organization == provider));
    let all = found(&auditor, "").await;
    assert_eq!(all[..own.len()], own);
    let granted = (String::from("tenant.added"), world.tenant.id.clone());
    assert_eq!(all[own.len()..], [granted], "and the tenant whose grant lets experts in");
    let admin = found(&auditor, "&recordType=DefenderExpertsforXDRAdmin").await;
    let sign_in = |row: &&(String, String)| row.0 == "app.signedIn";
    assert!(admin.iter().eq(all.iter().filter(|row| !sign_in(row))), "{admin:?}");
    expert.get("/api/v1/audit").await.expect(403);

    let customer = face.customer().await;
    let seen = found(&customer, "").await;
    assert!(seen.iter().all(|(_, organization)| *organization == world.tenant.id), "{seen:?}");
    for path in ["/api/v1/audit", "/api/v1/audit/checkpoint"] {
        customer.get(&format!("{path}?tenantId={provider}")).await.expect(404);
    }
    // A place in a log that is not the customer's, as a cursor would carry it.
    let cursor = URL_SAFE_NO_PAD.encode("0.-1");
    let page = customer.get(&format!("/api/v1/audit?cursor={cursor}")).await.expect(200).json();
    for row in page["value"].as_array().expect("rows") {
        assert_eq!(row["organizationId"], world.tenant.id.as_str());
    }
}

#[tokio::test]
async fn an_expert_s_sign_in_is_one_record_and_a_refused_one_is_none() {
    let face = Face::new().await;
    let auditor = auditor(&face).await;
    let app = face.app(Side::Provider, &[Permission::Experts]).await;
    face.sign_in(&app).await;
    let wrong = riposte::tenant::Credentials {
        client_id: app.client_id.to_uppercase(),
        client_secret: "guessed".to_owned(),
        tenant_id: app.tenant_id.clone(),
    };
    let form = |app: &riposte::tenant::Credentials| {
        let (id, secret) = (&app.client_id, &app.client_secret);
        let form =
            format!("grant_type=client_credentials&client_id={id}&client_secret={secret}&scope=x");
        Request::post(format!("/{}/oauth2/v2.0/token", app.tenant_id))
            .body(Body::from(form))
            .expect("a request")
    };
    crate::face::send(&face.router, form(&wrong)).await.expect(401);
    // A customer's application is no expert.
    face.customer().await;
    let query = "/api/v1/audit?recordType=AzureActiveDirectoryStsLogon\
                 &workload=AzureActiveDirectory&actor=client";
    let page = auditor.get(query).await.expect(200).json();
    let rows = page["value"].as_array().expect("rows");
    let who: Vec<&Value> = rows.iter().map(|row| &row["auditData"]["clientId"]).collect();
    assert_eq!(who.len(), 2, "the auditor and the expert: {page}");
    assert_eq!(who.iter().filter(|id| ***id == app.client_id.as_str()).count(), 1);
    assert!(rows.iter().all(|row| row["userType"] == "expert" && row["userId"] == "client"));
}

#[tokio::test]
async fn the_provider_s_leaves_are_verified_and_signed_like_a_tenant_s() {
    let face = Face::new().await;
    let world = &face.world;
    let auditor = auditor(&face).await;
    let provider = provider_id(world).await;
    let before = audit::verify(&world.app, None).await.expect("verifies");
    let tenants = world.rows("select cast(sum(size) as bigint) from ledger").await;
    assert!(before.ok, "{before:?}");
    assert_eq!(before.leaves as i64, tenants[0]);
    assert_eq!(world.rows("select size from ledger where tenant_no = 0").await, [4]);
    assert_eq!(audit::checkpoint(&world.app).await.expect("signs"), 3, "two tenants, the provider");
    let path = format!("/api/v1/audit/checkpoint?tenantId={provider}");
    let kept = auditor.get(&path).await.expect(200);
    assert_eq!((&kept.json()["size"], &kept.json()["tenantId"]), (&4.into(), &provider.into()));
    assert!(audit::verify(&world.app, Some(&kept.text)).await.expect("verifies").ok);

    let intruder = async |sql: &str| {
        let tx = world.app.db.whole("a test").begin().await.expect("a transaction");
        tx.execute(sql, vec![]).await.expect("an intruder writes");
        tx.commit().await.expect("commits");
    };
    let bad = async || {
        let found = audit::verify(&world.app, None).await.expect("verifies");
        found.first_bad.unwrap_or_default()
    };
    let provider = provider_id(world).await;
    intruder("update event set actor = 'nobody' where tenant_no = 0 and position = 1").await;
    assert_eq!(bad().await, format!("{provider}:1 the event was altered"));
    intruder("delete from event where tenant_no = 0 and position = 0").await;
    assert_eq!(bad().await, format!("{provider}:0 the event was removed"));
    intruder("delete from ledger where tenant_no = 0").await;
    assert_eq!(bad().await, format!("{provider}:0 the ledger is gone"));
    intruder("delete from event where tenant_no = 0").await;
    let gone = audit::verify(&world.app, Some(&kept.text)).await.expect("verifies");
    assert_eq!(gone.first_bad, Some(format!("{provider}:0 the tenant is gone")));
}

/// The `kind`s that a stream begun behind `last` tells first, and for whom.
async fn told(face: &Face, client: &Client, last: &str, count: usize) -> Vec<(String, String)> {
    let request = Request::get("/api/v1/events")
        .header("authorization", format!("Bearer {}", client.token))
        .header("last-event-id", last)
        .body(Body::empty())
        .expect("a request");
    let response = face.router.clone().oneshot(request).await.expect("an answer");
    assert_eq!(response.status(), 200);
    let mut body = response.into_body();
    let mut text = String::new();
    loop {
        let frame = tokio::time::timeout(Duration::from_secs(10), body.frame()).await;
        let data = frame.expect("in time").expect("a frame").expect("a frame").into_data();
        text.push_str(std::str::from_utf8(&data.expect("data")).expect("text"));
        let events: Vec<(String, String)> = text
            .lines()
            .filter_map(|line| line.strip_prefix("data: "))
            .map(|data| serde_json::from_str::<Value>(data).expect("JSON"))
            .map(|data| {
                let word = |name: &str| data[name].as_str().expect("text").to_owned();
                (word("kind"), word("tenantId"))
            })
            .collect();
        if events.len() >= count {
            return events;
        }
    }
}

#[tokio::test]
async fn the_stream_tells_the_provider_s_changes_to_the_provider_only() {
    let face = Face::new().await;
    let (auditor, customer) = (auditor(&face).await, face.customer().await);
    // From the beginning of every log that is there.
    let last = |tenant: TenantNo| URL_SAFE_NO_PAD.encode(format!("0.0,{:x}.0,", tenant.0));
    let provider = provider_id(&face.world).await;
    let tenant = &face.world.tenant;
    let told_provider = told(&face, &auditor, &last(tenant.no), 4).await;
    assert!(told_provider.contains(&("provider.named".to_owned(), provider)), "{told_provider:?}");
    face.world.alerts(&[alert("a", "h1", "u1", 0)]).await;
    let told_customer = told(&face, &customer, &last(tenant.no), 3).await;
    assert!(told_customer.iter().all(|(_, of)| *of == tenant.id), "{told_customer:?}");
}

#[tokio::test]
async fn a_backup_keeps_the_provider_s_ledger() {
    let world = World::new().await;
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("kept");
    riposte::backup::backup(&world.app, &file).await.expect("keeps");
    let before = audit::verify(&world.app, None).await.expect("verifies");
    let fresh = crate::world::bare().await;
    riposte::backup::restore(&fresh.app, &file).await.expect("restores");
    let after = audit::verify(&fresh.app, None).await.expect("verifies");
    assert_eq!(after, before);
    assert!(after.ok);
    let added = tenant::add_app(&fresh.app, Side::Provider, "later", &[Permission::Experts]).await;
    added.expect("the restored ledger goes on");
    let later = audit::verify(&fresh.app, None).await.expect("verifies");
    assert_eq!((later.ok, later.leaves), (true, before.leaves + 1));
}

#[tokio::test]
async fn a_store_that_is_refused_an_administrator_has_no_provider() {
    let fresh = crate::world::bare().await;
    assert!(tenant::init(&fresh.app, "Fjordwatch", "nobody").await.is_err());
    assert!(tenant::provider(&fresh.app).await.expect("reads").is_none());
    tenant::init(&fresh.app, "Fjordwatch", "lead@fjordwatch.example").await.expect("a provider");
    tenant::init(&fresh.app, "Again", "lead@fjordwatch.example").await.expect_err("there is one");
    let found = audit::verify(&fresh.app, None).await.expect("verifies");
    assert_eq!((found.ok, found.leaves), (true, 2));
}
