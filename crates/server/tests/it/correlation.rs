//! Correlation in the store: INC-16, INC-17, INC-18.

use riposte::alert::format::Format;
use riposte::id::{AlertId, IncidentId};
use riposte::incident::correlate::{self, Size};
use riposte::incident::{self, model::Patch};
use riposte::lease::Lease;
use riposte::word::{IncidentStatus, Severity};

use crate::world::{World, alert};

async fn open_incidents(world: &World) -> Vec<i64> {
    world.rows("select id from incident where status <> 4 order by id").await
}

#[tokio::test]
async fn alerts_that_share_a_device_or_a_person_become_one_incident() {
    let world = World::new().await;
    world
        .alerts(&[
            alert("a", "laptop-1", "ida", 0),
            alert("b", "laptop-1", "tore", 30),
            alert("c", "laptop-2", "tore", 60),
            alert("d", "laptop-9", "rosa", 60),
        ])
        .await;
    assert_eq!(world.groups().await, [vec!["a", "b", "c"], vec!["d"]]);
}

#[tokio::test]
async fn a_late_alert_merges_what_it_links_and_the_source_points_on() {
    let world = World::new().await;
    world.alerts(&[alert("a", "laptop-1", "ida", 0)]).await;
    world.alerts(&[alert("c", "laptop-2", "tore", 60)]).await;
    assert_eq!(open_incidents(&world).await.len(), 2);
    world.alerts(&[alert("b", "laptop-1", "tore", 30)]).await;
    assert_eq!(world.groups().await, [vec!["a", "b", "c"]]);
    let open = open_incidents(&world).await;
    assert_eq!(open.len(), 1);
    assert_eq!(
        world.rows("select redirect_id from incident where status = 4").await,
        open,
        "the merged one answers with where it went"
    );
    assert_eq!(world.rows("select alert_count from incident where status <> 4").await, [3]);
}

#[tokio::test]
async fn the_window_ends_what_belongs_together() {
    let world = World::new().await;
    let days = 24 * 60;
    world
        .alerts(&[alert("a", "laptop-1", "ida", 0), alert("b", "laptop-1", "ida", 5 * days)])
        .await;
    assert_eq!(world.groups().await.len(), 2);
    world.alerts(&[alert("m", "laptop-1", "ida", 5 * days / 2)]).await;
    assert_eq!(world.groups().await.len(), 1, "an alert between them, arriving last, joins them");
}

#[tokio::test]
async fn a_resolved_incident_takes_no_alert_and_stays_resolved() {
    let world = World::new().await;
    world.alerts(&[alert("a", "laptop-1", "ida", 0)]).await;
    let first = IncidentId(open_incidents(&world).await[0]);
    let patch = Patch { status: Some(IncidentStatus::Resolved), ..Patch::default() };
    incident::change(&world.app, &world.customer(), first, patch).await.expect("resolves");
    world.alerts(&[alert("b", "laptop-1", "ida", 10)]).await;
    assert_eq!(world.groups().await, [vec!["a"], vec!["b"]]);
    assert_eq!(
        world.rows(&format!("select status from incident where id = {first}")).await,
        [i64::from(IncidentStatus::Resolved.code())]
    );
    assert_eq!(
        world.rows("select status from alert where provider_alert_id = 'a'").await,
        [3],
        "INC-10: its alerts are resolved with it"
    );
}

#[tokio::test]
async fn incidents_of_two_owners_do_not_merge() {
    let world = World::new().await;
    world.alerts(&[alert("a", "laptop-1", "ida", 0)]).await;
    world.alerts(&[alert("c", "laptop-2", "tore", 60)]).await;
    for (id, owner) in open_incidents(&world).await.into_iter().zip(["one", "two"]) {
        let patch = Patch { assigned_to: Some(owner.to_owned()), ..Patch::default() };
        incident::change(&world.app, &world.customer(), IncidentId(id), patch)
            .await
            .expect("assigns");
    }
    world.alerts(&[alert("b", "laptop-1", "tore", 30)]).await;
    assert_eq!(open_incidents(&world).await.len(), 2, "INC-16: owners differ");
}

#[tokio::test]
async fn people_merge_move_and_split() {
    let world = World::new().await;
    world
        .alerts(&[
            alert("a", "laptop-1", "ida", 0),
            alert("b", "laptop-2", "tore", 0),
            alert("c", "laptop-3", "rosa", 0),
        ])
        .await;
    let ids: Vec<IncidentId> = open_incidents(&world).await.into_iter().map(IncidentId).collect();
    let target = incident::merge(
        &world.app,
        &world.expert(),
        vec![ids[1], ids[0]],
        Some("one intruder".to_owned()),
    )
    .await
    .expect("merges");
    assert_eq!(world.groups().await, [vec!["a", "b"], vec!["c"]]);
    let b = world.rows("select id from alert where provider_alert_id = 'b'").await[0];
    let split = incident::move_alerts(&world.app, &world.expert(), vec![AlertId(b)], None, None)
        .await
        .expect("splits");
    assert_ne!(split, target);
    assert_eq!(world.groups().await, [vec!["a"], vec!["b"], vec!["c"]]);
    incident::move_alerts(&world.app, &world.expert(), vec![AlertId(b)], Some(ids[2]), None)
        .await
        .expect("moves");
    assert_eq!(world.groups().await, [vec!["a"], vec!["b", "c"]]);
    let counts = world.rows("select alert_count from incident where status <> 4 order by id").await;
    assert_eq!(counts.iter().sum::<i64>(), 3, "counters equal a recount");
}

#[tokio::test]
async fn two_replicas_place_every_alert_once() {
    let world = World::new().await;
    let alerts: Vec<_> = (0..400)
        .map(|n| alert(&format!("a{n:03}"), &format!("pc-{}", n % 40), &format!("u{}", n % 40), n))
        .collect();
    let body = serde_json::Value::from(alerts).to_string();
    world.push(riposte::alert::format::Format::Graph, body).await;
    let other = world.replica();
    let (one, two) =
        tokio::join!(riposte::worker::settle(&world.app), riposte::worker::settle(&other));
    one.expect("works");
    two.expect("works");
    world.settle().await;
    assert_eq!(world.rows("select count(*) from alert where incident_id is null").await, [0]);
    let placed =
        world.rows("select cast(sum(alert_count) as bigint) from incident where status <> 4").await;
    assert_eq!(placed, [400]);
}

#[tokio::test]
async fn the_audit_tree_notices_a_changed_and_a_removed_event() {
    let world = World::new().await;
    world.alerts(&[alert("a", "laptop-1", "ida", 0), alert("b", "laptop-1", "ida", 1)]).await;
    let good = riposte::audit::verify(&world.app, None).await.expect("verifies");
    assert!(good.ok, "{good:?}");
    assert!(riposte::audit::checkpoint(&world.app).await.expect("a checkpoint") >= 1);
    let kept = riposte::audit::newest(&world.app, world.tenant.no).await.expect("reads");
    let kept = serde_json::to_string(&kept.expect("there is one")).expect("JSON");

    let tx = world.app.db.whole("a test").begin().await.expect("a transaction");
    tx.execute(
        "update event set actor = 'nobody' where position = 1 and tenant_no = $1",
        vec![world.tenant.no.0.into()],
    )
    .await
    .expect("an intruder writes");
    tx.commit().await.expect("commits");
    let bad = riposte::audit::verify(&world.app, Some(&kept)).await.expect("verifies");
    assert!(!bad.ok);
    assert_eq!(
        bad.first_bad.as_deref().map(|text| text.split(' ').next().unwrap_or_default().to_owned()),
        Some(format!("{}:1", world.tenant.id))
    );

    let tx = world.app.db.whole("a test").begin().await.expect("a transaction");
    tx.execute(
        "delete from event where position = 2 and tenant_no = $1",
        vec![world.tenant.no.0.into()],
    )
    .await
    .expect("an intruder writes");
    tx.commit().await.expect("commits");
    let gone = riposte::audit::verify(&world.app, None).await.expect("verifies");
    assert!(!gone.ok, "a removed event is noticed without any checkpoint of one's own");
}

async fn held(world: &World) -> Vec<(correlate::Waiting, Lease)> {
    let mut held = Vec::new();
    for waiting in correlate::waiting(&world.app).await.expect("a look") {
        let name = format!("correlate {}", waiting.tenant.0);
        let lease = Lease::take(&world.app, &name).await.expect("a lease").expect("free");
        held.push((waiting, lease));
    }
    held
}

#[tokio::test]
async fn a_plan_that_a_person_overtook_is_made_anew() {
    let world = World::new().await;
    world.alerts(&[alert("a", "laptop-1", "ida", 0)]).await;
    let first = IncidentId(open_incidents(&world).await[0]);
    world.push(Format::Graph, alert("b", "laptop-1", "ida", 10).to_string()).await;
    let mut size = Size::default();
    let held = held(&world).await;
    let planned = correlate::plan(&world.app, &held, &size).await;
    // Planned into an incident that is resolved a moment later.
    let patch = Patch { status: Some(IncidentStatus::Resolved), ..Patch::default() };
    incident::change(&world.app, &world.customer(), first, patch).await.expect("resolves");
    let round = correlate::carry_out(&world.app, planned, &mut size).await;
    assert_eq!((round.done, round.overtaken, round.failed.len()), (1, 1, 0));
    assert_eq!(world.groups().await, [["a"], ["b"]], "a resolved incident takes no alert");
    let still = incident::find(&world.app, &world.customer(), first).await.expect("there");
    assert_eq!(still.alert_count, 1);
}

#[tokio::test]
async fn a_plan_whose_alert_has_newer_content_is_made_anew() {
    let world = World::new().await;
    world.push(Format::Graph, alert("a", "laptop-1", "ida", 0).to_string()).await;
    let mut size = Size::default();
    let held = held(&world).await;
    let planned = correlate::plan(&world.app, &held, &size).await;
    let mut newer = alert("a", "laptop-1", "ida", 0);
    newer["severity"] = "high".into();
    world.push(Format::Graph, newer.to_string()).await;
    let round = correlate::carry_out(&world.app, planned, &mut size).await;
    assert_eq!((round.overtaken, round.failed.len()), (1, 0));
    world.settle().await;
    let id = IncidentId(open_incidents(&world).await[0]);
    let incident = incident::find(&world.app, &world.customer(), id).await.expect("there");
    assert_eq!(incident.model.severity, Severity::High);
}

#[tokio::test]
async fn a_plan_whose_lease_has_passed_on_writes_nothing_and_the_others_go_on() {
    let world = World::new().await;
    world.push(Format::Graph, alert("a", "laptop-1", "ida", 0).to_string()).await;
    let other = alert("z", "laptop-7", "una", 0).to_string();
    world.push_to(world.other.no, Format::Graph, other).await;
    let mut size = Size::default();
    let held = held(&world).await;
    assert_eq!(held.len(), 2);
    let planned = correlate::plan(&world.app, &held, &size).await;
    world.app.clock.advance_seconds(riposte::lease::LEASE_S + 1);
    let replica = world.replica();
    let name = format!("correlate {}", world.tenant.no.0);
    Lease::take(&replica, &name).await.expect("a lease").expect("it has ended");
    let round = correlate::carry_out(&world.app, planned, &mut size).await;
    assert_eq!(round.lost, [world.tenant.no]);
    assert_eq!((round.done, round.failed.len()), (1, 0));
    let waiting = correlate::waiting(&world.app).await.expect("a look");
    assert_eq!(waiting.iter().map(|it| it.tenant).collect::<Vec<_>>(), [world.tenant.no]);
}
