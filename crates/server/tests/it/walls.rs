//! The walls between tenants in the store (PER-5, quality 6): no statement without saying whose rows
//! it means, and on PostgreSQL row-level security behind it.

use std::collections::BTreeSet;

use riposte::alert::format::Format;
use riposte::db::{Engine, WALLED, column};
use riposte::id::{IncidentId, TenantNo};
use riposte::incident::model::Finding;
use riposte::permission::{Permission, Role};
use riposte::response::catalog::{Kind, TargetKind};
use riposte::response::{self, NewTask};
use riposte::tenant::caller::{Caller, Reach};
use riposte::word::{Classification, Determination};
use serde_json::json;

use crate::face::Face;
use crate::world::alert;

/// Tables with a tenant's number that everybody must be able to read, and why.
const OPEN: &[(&str, &str)] = &[
    ("agent_token", "who enrols an agent is known by the token alone"),
    ("app", "who shows a token is known before its tenant"),
    ("membership", "who signs in is known before the tenant"),
    ("session", "who shows a cookie is known before its tenant"),
    ("setup_link", "who opens a link is known before its tenant"),
];
/// Tables that hang on a walled one by its id.
const HANGING: &[(&str, &str)] = &[
    ("alert_body", "alert_id in (select id from alert where tenant_no = $1)"),
    ("alert_version", "alert_id in (select id from alert where tenant_no = $1)"),
    ("attempt", "action_id in (select id from action where tenant_no = $1)"),
    ("incident_facet", "incident_id in (select id from incident where tenant_no = $1)"),
    ("incident_tag", "incident_id in (select id from incident where tenant_no = $1)"),
    ("package_part", "package_id in (select id from package where tenant_no = $1)"),
    ("task_action", "task_id in (select id from task where tenant_no = $1)"),
];

fn of_tenant(table: &str) -> &'static str {
    HANGING.iter().find(|(name, _)| *name == table).map_or("tenant_no = $1", |(_, test)| test)
}

#[tokio::test]
async fn every_table_of_tenants_is_walled_or_says_why_not() {
    let world = crate::world::World::new().await;
    let sql = match world.app.db.engine() {
        Engine::Sqlite => {
            "select tables.name from sqlite_master tables \
             join pragma_table_info(tables.name) columns \
             where tables.type = 'table' and columns.name = 'tenant_no'"
        }
        Engine::Postgres => {
            "select table_name::text from information_schema.columns \
             where table_schema = current_schema() and column_name = 'tenant_no'"
        }
    };
    let rows = world.app.db.whole("a test").query(sql, vec![]).await.expect("columns");
    let mut found: BTreeSet<String> =
        rows.iter().map(|row| column(row, 0).expect("text")).collect();
    found.extend(HANGING.iter().map(|(name, _)| (*name).to_owned()));
    let mut known: BTreeSet<String> = WALLED.iter().map(|name| (*name).to_owned()).collect();
    known.extend(OPEN.iter().map(|(name, _)| (*name).to_owned()));
    assert_eq!(found, known);
    if world.app.db.engine() == Engine::Postgres {
        let sql = "select relname::text from pg_class where relnamespace = \
                   current_schema()::regnamespace and relrowsecurity and relforcerowsecurity";
        let rows = world.app.db.whole("a test").query(sql, vec![]).await.expect("tables");
        let forced: BTreeSet<String> =
            rows.iter().map(|row| column(row, 0).expect("text")).collect();
        assert_eq!(forced, WALLED.iter().map(|name| (*name).to_owned()).collect());
    }
}

/// A published task of the first incident, for a device.
async fn published(face: &Face, tenant: TenantNo, incident: Option<&str>, device: &str) -> String {
    let app = &face.world.app;
    let incident: IncidentId = incident.expect("an id").parse().expect("an id");
    let expert =
        Caller::local("Signe Holm", Reach::Granted([tenant].into()), &[Permission::Experts]);
    riposte::incident::start(app, &expert, incident).await.expect("an incident");
    let task = NewTask {
        kind: Kind::IsolateDevice,
        target: Some((TargetKind::Device, device.to_owned())),
        display_name: None,
        description: None,
        options: json!({}),
    };
    let task = response::draft(app, &expert, incident, task).await.expect("a task");
    let finding = Finding {
        classification: Classification::TruePositive,
        determination: Determination::Malware,
        summary: "It beacons.".to_owned(),
    };
    response::publish(app, &expert, incident, finding).await.expect("a response");
    task.to_string()
}

/// Two customers with something in every walled table.
async fn neighbours() -> Face {
    let face = Face::new().await;
    let world = &face.world;
    for tenant in [&world.tenant, &world.other] {
        for title in ["first", "second"] {
            let mut one = alert(&tenant.id, &tenant.id, "u", 0);
            one["title"] = json!(title);
            one["customTags"] = json!(["kept"]);
            world.push_to(tenant.no, Format::Graph, json!([one]).to_string()).await;
        }
        world.settle().await;
        let mail = format!("admin@n{}.example", tenant.no.0);
        let admin = face.person(&tenant.id, &mail, Role::SecurityAdministrator).await;
        let queue = admin.get("/api/v1/incidents").await.expect(200).json();
        let path = format!("/api/v1/incidents/{}", queue["value"][0]["id"].as_str().expect("id"));
        admin.patch(&path, &json!({ "customTags": ["vip"] })).await.expect(200);
        admin.post(&format!("{path}/comments"), &json!({ "comment": "ours" })).await.expect(200);
        let filter = json!({ "name": "mine", "query": "q=x" });
        admin.post("/api/v1/filters", &filter).await.expect(201);
        let issuer = crate::oidc::issuer().await;
        let provider = json!({
            "name": "ours", "issuer": issuer, "clientId": "c", "clientSecret": "s",
            "domains": [format!("n{}.example", tenant.no.0)], "factor": "ours",
        });
        admin.post("/api/v1/identity-providers", &provider).await.expect(201);
        let connector = json!({
            "kind": "microsoftGraph", "baseUrl": issuer, "tokenUrl": issuer,
            "clientId": "c", "clientSecret": "s",
        });
        admin.post("/api/v1/connectors", &connector).await.expect(201);
        let grant = json!({ "level": "reader", "approval": "automatic", "endDateTime": null });
        let feed = format!("/api/v1.0/{}/activity/feed/subscriptions/start", tenant.id);
        let feed = format!("{feed}?contentType=Audit.General");
        admin.post(&feed, &json!({})).await.expect(200);
        admin.put("/api/v1/grant", &grant).await.expect(200);
        let (device, _) =
            crate::agent::lived_in(&face, tenant, &admin, &format!("dev{}", tenant.no.0)).await;
        let device = device["id"].as_str().expect("an id");
        let task = published(&face, tenant.no, queue["value"][0]["id"].as_str(), device).await;
        admin.post(&format!("/api/v1/tasks/{task}/run"), &json!({})).await.expect(200);
        let question = json!({ "subject": "kept", "text": "kept" });
        admin.post("/api/v1/conversations", &question).await.expect(201);
        let excluded = json!({ "kind": "device", "name": "kept" });
        admin.post("/api/v1/exclusions", &excluded).await.expect(201);
        let webhook = json!({ "name": "kept", "url": format!("{issuer}/hook") });
        admin.post("/api/v1/webhooks", &webhook).await.expect(201);
        let chat = json!({
            "vendor": "mattermost",
            "settings": { "baseUrl": issuer, "channelId": "abcdefghijklmnopqrstuvwxyz" },
            "secrets": { "botToken": "0123456789", "webhookToken": "0123456789" },
        });
        admin.post("/api/v1/chat-channels", &chat).await.expect(201);
        let hours = json!({ "reminderHours": 2 });
        admin.put("/api/v1/notifications/settings", &hours).await.expect(200);
        let contact = json!({
            "name": "kept", "kind": "group", "role": "serviceReview",
            "email": format!("kept@n{}.example", tenant.no.0),
        });
        admin.post("/api/v1/contacts", &contact).await.expect(201);
        let rule = json!({
            "name": "kept", "when": { "about": "incidents" },
            "recipients": [{ "email": format!("kept@n{}.example", tenant.no.0) }],
        });
        admin.post("/api/v1/mail-rules", &rule).await.expect(201);
        let ways = riposte::notification::engine::Ways::default();
        riposte::notification::engine::tick(&world.app, &ways).await.expect("a round");
        let policy = json!({ "version": 0, "rules": [{
            "id": "two", "title": "Two of us", "effect": {
                "kind": "approval", "by": "customer", "quorum": 2, "within": 60,
                "fallback": "refuse",
            },
        }] });
        admin.put("/api/v1/authority/policy", &policy).await.expect(200);
        let wish = json!({ "actionType": "unIsolateDevice", "comment": "Look." });
        let asked = admin.post(&format!("/api/v1/devices/{device}/actions"), &wish).await;
        let asked = asked.expect(201).json();
        let mail = format!("second@n{}.example", tenant.no.0);
        let second = face.person(&tenant.id, &mail, Role::SecurityOperator).await;
        let path = format!("/api/v1/actions/{}/approve", asked["id"].as_str().expect("an id"));
        let exact = json!({ "fingerprint": asked["fingerprint"] });
        second.post(&path, &exact).await.expect(200);
    }
    let expert = face.provider_person("expert@fjordwatch.example", Role::Expert).await;
    for tenant in [&world.tenant, &world.other] {
        let wanted = json!({ "tenantId": tenant.id, "level": "reader", "reason": "to look around",
                             "hours": 1 });
        expert.post("/api/v1/access", &wanted).await.expect(201);
        // What comes and goes with the work, or only with many more alerts.
        let tx = world.app.db.of(tenant.no).begin().await.expect("a transaction");
        let kept = "insert into follow_up (tenant_no, kind, subject) values ($1, 'kept', 1)";
        tx.execute(kept, vec![tenant.no.0.into()]).await.expect("a row");
        let untold = "insert into untold (tenant_no, position) values ($1, 0)";
        tx.execute(untold, vec![tenant.no.0.into()]).await.expect("a row");
        for kept in [
            "insert into untimed (tenant_no, position) values ($1, 0)",
            "insert into unruled (tenant_no, incident_id) values ($1, -$1)",
            "insert into mail_rule_told (rule_id, incident_id, tenant_no, told_at, alerts, \
             severity, status) values ('kept', -$1, $1, 0, 0, 0, 1)",
            "insert into service_clock (incident_id, tenant_no, marks, said) \
             values (-$1, $1, '[]', '[]')",
            "insert into clock_run (incident_id, clock, number, tenant_no, severity, began_at, \
             stopped_at, took) values (-$1, 'triage', 1, $1, 4, 0, 0, 0)",
            "insert into service_agreement (tenant_no, body) values ($1, '{}')",
            "insert into credit_rule (tenant_no, since_at) values ($1, 0)",
            "insert into ladder (tenant_no, body) values ($1, '{}')",
            "insert into climb (incident_id, run, tenant_no, state, rung, round, next_at, began_at) \
             values (-$1, 1, $1, 'ended', 0, 0, 0, 0)",
            "insert into climb_step (incident_id, run, number, tenant_no, at, contact_id, name, way, \
             outcome) values (-$1, 1, 1, $1, 0, 'x', 'kept', 'mail', 'told')",
            "insert into credit (thread_id, tenant_no, at, spent_by) \
             values (cast($1 as text), $1, 0, 'kept')",
            "insert into message_translation (message_id, language, tenant_no, text, made_at) \
             values (cast($1 as text), 'es', $1, 'kept', 0)",
        ] {
            tx.execute(kept, vec![tenant.no.0.into()]).await.expect("a row");
        }
        let reply = "insert into reply (tenant_no, id, delivery_id, at, outcome) \
                     values ($1, 'x', 'x', 1, 'said')";
        tx.execute(reply, vec![tenant.no.0.into()]).await.expect("a row");
        let mine = format!("kept{}", tenant.no.0);
        let event = "insert into chat_event (channel_id, id, tenant_no, number, at, body, attempts) \
                     values ($2, 'x', $1, 1, 1, '', 0)";
        let post = "insert into chat_post (delivery_id, tenant_no, channel_id, root, begun_at) \
                    values ($2, $1, 'kept', 0, 1)";
        for kept in [event, post] {
            let values = vec![tenant.no.0.into(), mine.clone().into()];
            tx.execute(kept, values).await.expect("a row");
        }
        let span = "insert into entity_span (tenant_no, entity_id, span, anchors) \
                    values ($1, 1, 1, $2)";
        tx.execute(span, vec![tenant.no.0.into(), vec![1_u8].into()]).await.expect("a row");
        for kept in [
            "insert into directory_set (tenant_no, id, name, members, due_at) \
             values ($1, 'kept', 'kept', 0, 0)",
            "insert into directory_member (tenant_no, set_id, name, bare) \
             values ($1, 'kept', 'kept', 'kept')",
            "insert into onboarding (tenant_no, language, monitoring_days, due_at) \
             values ($1, 'en', 7, 0)",
            "insert into onboarding_step (tenant_no, step, state, set_by, set_at) \
             values ($1, 'kept', 'done', 'kept', 0)",
            "insert into high_value_user (tenant_no, name, bare, because, marked_by, marked_at) \
             values ($1, 'kept', 'kept', 'kept', 'kept', 0)",
        ] {
            tx.execute(kept, vec![tenant.no.0.into()]).await.expect("a row");
        }
        tx.commit().await.expect("a commit");
    }
    world.app.clock.advance_seconds(120);
    riposte::audit::checkpoint(&world.app).await.expect("checkpoints");
    face
}

#[tokio::test]
async fn a_statement_that_forgets_the_tenant_sees_its_own_rows_only() {
    let face = neighbours().await;
    let (world, db) = (&face.world, &face.world.app.db);
    let (ours, theirs) = (world.tenant.no, world.other.no);
    if db.engine() == Engine::Sqlite {
        return; // There is no second wall.
    }
    let count = async |scope: riposte::db::Scope<'_>, table: &str, whose: Option<TenantNo>| {
        let test = whose.map_or("true", |_| of_tenant(table));
        let values = whose.map(|tenant| tenant.0.into()).into_iter().collect();
        let sql = format!("select count(*) from {table} where {test}");
        let rows = scope.query(&sql, values).await.expect(table);
        column::<i64>(&rows[0], 0).expect("a number")
    };
    for table in WALLED {
        let all = count(db.whole("a test"), table, Some(theirs)).await;
        let own = count(db.whole("a test"), table, Some(ours)).await;
        assert!(all > 0 && own > 0, "{table} has rows of both: {own}, {all}");
        assert_eq!(count(db.of(ours), table, None).await, own, "{table}, with no test at all");
        assert_eq!(count(db.of(ours), table, Some(theirs)).await, 0, "{table}, of the other");
        assert_eq!(count(db.reach(&[]), table, None).await, 0, "{table}, with no reach");
        assert_eq!(count(db.reach(&[ours, theirs]), table, None).await, own + all, "{table}, both");
        assert_eq!(count(db.of(TenantNo(999)), table, None).await, 0, "{table}, nobody's");
        // On a connection that others used before, as on a fresh one.
        let tx = db.of(ours).begin().await.expect("a transaction");
        let deleted = tx.execute(&format!("delete from {table}"), vec![]).await.expect(table);
        assert_eq!(deleted as i64, own, "{table}: what a change without a test reaches");
        drop(tx);
    }
    let tx = db.of(ours).begin().await.expect("a transaction");
    let comment = "insert into comment (id, tenant_no, text, created_by, created_at) \
                   values ($1, $2, 'x', 'x', 1)";
    assert!(tx.execute(comment, vec![900.into(), ours.0.into()]).await.is_ok());
    let refused = tx.execute(comment, vec![901.into(), theirs.0.into()]).await.unwrap_err();
    assert!(format!("{refused:?}").contains("row-level security"), "{refused:?}");
    drop(tx);
    let tx = db.of(ours).begin().await.expect("a transaction");
    let moved = tx.execute("update incident set tenant_no = $1", vec![theirs.0.into()]).await;
    assert!(format!("{:?}", moved.unwrap_err()).contains("row-level security"));
}

#[tokio::test]
async fn the_role_that_works_passes_over_no_wall() {
    let world = crate::world::World::new().await;
    if world.app.db.engine() == Engine::Sqlite {
        return;
    }
    let free = "select count(*) from pg_roles where rolname = current_user \
                and (rolsuper or rolbypassrls)";
    assert_eq!(world.rows(free).await, [0]);
    for sql in [
        "alter table incident no force row level security",
        "alter table incident disable row level security",
        "drop policy wall on incident",
        "truncate event",
    ] {
        let tx = world.app.db.whole("a test").begin().await.expect("a transaction");
        assert!(tx.execute(sql, vec![]).await.is_err(), "{sql}");
    }
}

#[tokio::test]
#[should_panic(expected = "a statement reads or writes incident without a tenant")]
async fn a_statement_on_tenants_through_the_shared_scope_fails_every_test() {
    let world = crate::world::World::new().await;
    let _ = world.app.db.shared().query("select 1 from incident", vec![]).await;
}
