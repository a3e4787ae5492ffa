//! Intake: what a 2xx means, twice is once, newer content replaces older.

use riposte::alert::format::Format;
use serde_json::json;

use crate::world::{World, alert};

#[tokio::test]
async fn an_acknowledged_alert_is_on_disk_with_its_leaf_and_its_follow_up() {
    let world = World::new().await;
    let outcome = world.push(Format::Graph, alert("a1", "laptop-1", "ida", 0).to_string()).await;
    assert_eq!((outcome.received, outcome.accepted), (1, 1), "{outcome:?}");
    assert_eq!(world.rows("select count(*) from alert").await, [1]);
    assert_eq!(world.rows("select count(*) from alert_body").await, [1]);
    assert_eq!(world.rows("select count(*) from event where kind = 'alert.received'").await, [1]);
    assert_eq!(world.rows("select count(*) from alert where incident_id is null").await, [1]);
    world.settle().await;
    assert_eq!(world.rows("select count(*) from alert where incident_id is null").await, [0]);
    assert_eq!(world.rows("select count(*) from incident").await, [1]);
}

#[tokio::test]
async fn the_same_alert_twice_is_one_alert() {
    let world = World::new().await;
    let one = alert("a1", "laptop-1", "ida", 0);
    let both = json!([one, one]).to_string();
    let first = world.push(Format::Graph, both.clone()).await;
    assert_eq!((first.accepted, first.duplicates), (1, 1));
    let second = world.push(Format::Graph, both).await;
    assert_eq!((second.accepted, second.duplicates), (0, 2));
    assert_eq!(world.rows("select count(*) from alert").await, [1]);
}

#[tokio::test]
async fn the_same_id_in_another_tenant_is_another_alert() {
    let world = World::new().await;
    let text = alert("a1", "laptop-1", "ida", 0).to_string();
    assert_eq!(world.push_to(world.tenant.no, Format::Graph, text.clone()).await.accepted, 1);
    assert_eq!(world.push_to(world.other.no, Format::Graph, text).await.accepted, 1);
}

#[tokio::test]
async fn newer_content_replaces_older_and_the_older_is_kept() {
    let world = World::new().await;
    let mut text = alert("a1", "laptop-1", "ida", 0);
    world.alerts(&[text.clone()]).await;
    text["severity"] = json!("high");
    text["lastUpdateDateTime"] = json!("2030-01-01T00:00:00Z");
    let newer = world.push(Format::Graph, text.to_string()).await;
    assert_eq!((newer.accepted, newer.duplicates), (1, 0));
    text["severity"] = json!("low");
    text["lastUpdateDateTime"] = json!("2020-01-01T00:00:00Z");
    let older = world.push(Format::Graph, text.to_string()).await;
    assert_eq!(older.accepted, 1, "late older content is kept too: {older:?}");
    let again = world.push(Format::Graph, text.to_string()).await;
    assert_eq!((again.accepted, again.duplicates), (0, 1));
    assert_eq!(world.rows("select severity from alert").await, [4]);
    assert_eq!(world.rows("select count(*) from alert_version").await, [2]);
    world.settle().await;
    assert_eq!(world.rows("select severity from incident").await, [4], "INC-5 follows the alert");
}

#[tokio::test]
async fn a_bad_record_is_named_and_the_rest_is_kept() {
    let world = World::new().await;
    let good = alert("a1", "laptop-1", "ida", 0).to_string();
    let body = format!("{good}\n{{\"broken\n[1,2]\n{}\n", alert("a2", "laptop-2", "tore", 0));
    let outcome = world.push(Format::Graph, body).await;
    assert_eq!(outcome.accepted, 2, "{outcome:?}");
    assert!(outcome.rejected >= 1);
    assert_eq!(outcome.received, outcome.accepted + outcome.rejected + outcome.ignored);
    assert!(outcome.errors.iter().all(|error| !error.message.is_empty()));
}

#[tokio::test]
async fn update_times_are_unique_and_increase_in_each_tenant() {
    let world = World::new().await;
    let alerts: Vec<_> =
        (0..50).map(|n| alert(&format!("a{n}"), &format!("pc-{n}"), &format!("u{n}"), n)).collect();
    world.alerts(&alerts).await;
    let times = world.rows("select updated_at from incident order by id").await;
    assert_eq!(times.len(), 50);
    let mut unique = times.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), 50, "lastUpdateDateTime is unique even when the clock stands still");
}

#[tokio::test]
async fn a_full_queue_refuses_and_loses_nothing() {
    let mut config = riposte::config::Config::default();
    config.intake.waiting_requests = 1;
    let world = World::with(config).await;
    let requests = (0..64).map(|n| {
        let body = alert(&format!("a{n}"), &format!("pc-{n}"), &format!("u{n}"), n).to_string();
        world.intake.accept(
            &world.app,
            world.tenant.no,
            riposte::actor::Actor::integration("sensor"),
            Format::Graph,
            body.into(),
        )
    });
    let answers = futures_util::future::join_all(requests).await;
    let kept = answers.iter().filter(|answer| answer.is_ok()).count();
    let refused = answers.iter().filter(|answer| {
        matches!(answer, Err(riposte::error::Error::Busy { retry_after_s: 1.., .. }))
    });
    assert!(kept > 0 && kept < 64, "{kept} of 64 were accepted");
    assert_eq!(kept + refused.count(), 64, "whoever is not accepted is told when to come back");
    let stored = world.rows("select count(*) from alert").await[0];
    assert_eq!(usize::try_from(stored), Ok(kept), "accepted is stored, refused is not");
}

#[tokio::test]
async fn a_killed_replicas_work_is_taken_over_within_thirty_seconds() {
    let world = World::new().await;
    world.push(Format::Graph, alert("a1", "laptop-1", "ida", 0).to_string()).await;
    let dead = world.replica();
    let name = format!("correlate {}", world.tenant.no.0);
    let lease = riposte::lease::Lease::take(&dead, &name).await.expect("takes").expect("is free");
    world.settle().await;
    assert_eq!(
        world.rows("select count(*) from alert where incident_id is null").await,
        [1],
        "while its lease lasts the work is the other replica's"
    );
    world.app.clock.advance_seconds(30);
    world.settle().await;
    assert_eq!(world.rows("select count(*) from alert where incident_id is null").await, [0]);
    let tx = dead.db.whole("a test").begin().await.expect("a transaction");
    assert!(lease.fence(&dead, &tx).await.is_err(), "who comes back late writes nothing");
}
