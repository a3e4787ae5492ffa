//! Repeated requests when the first one dies, lasts, or comes back from a pause.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use riposte::api::idempotency::{once, once_made};
use riposte::app::App;
use riposte::http::{Answer, json_response};
use riposte::permission::Permission;
use riposte::response::act_on_device;
use riposte::response::catalog::Kind;
use riposte::tenant::caller::{Caller, Reach};
use serde_json::json;
use tokio::sync::Notify;

use crate::response::{Robot, case};
use crate::world::World;

/// The status of an answer, its body, and whether it was kept from before.
async fn read(answer: Answer) -> (u16, String, bool) {
    let response = answer.into_response();
    let replayed = response.headers().contains_key("idempotent-replayed");
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.expect("a whole body").to_bytes();
    (status, String::from_utf8(body.to_vec()).expect("text"), replayed)
}

fn answer(text: &'static str) -> Response {
    json_response(StatusCode::OK, &json!(text))
}

/// Sends the one request of these tests, with its key, to a process of the store.
async fn send<F>(app: &App, caller: &Caller, work: F) -> (u16, String, bool)
where
    F: Future<Output = Answer> + Send + 'static,
{
    let mut headers = HeaderMap::new();
    headers.insert("idempotency-key", "k".parse().expect("a value"));
    read(once(app, caller, &headers, &[b"POST"], work).await).await
}

#[tokio::test]
async fn a_request_that_died_is_taken_over_after_seconds() {
    let world = World::new().await;
    let (caller, other) = (world.customer(), world.replica());
    let died = send(&world.app, &caller, async { panic!("the process ends here") }).await;
    assert_eq!(died.0, 500);
    for seconds in [0, 4] {
        world.app.clock.advance_seconds(seconds);
        let (status, text, _) = send(&other, &caller, async { Ok(answer("too early")) }).await;
        assert_eq!(status, 409, "{text}");
        assert!(text.contains("under way"), "{text}");
    }
    world.app.clock.advance_seconds(2);
    let taken = send(&other, &caller, async { Ok(answer("second")) }).await;
    assert_eq!(taken, (200, "\"second\"".to_owned(), false));
    let again = send(&world.app, &caller, async { Ok(answer("third")) }).await;
    assert_eq!(again, (200, "\"second\"".to_owned(), true));
}

/// Begins a request that ends when told, and waits until it is under way.
async fn begin(world: &World) -> (Arc<Notify>, tokio::task::JoinHandle<(u16, String, bool)>) {
    let (go, begun) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (app, caller) = (world.app.clone(), world.customer());
    let (wait, tell) = (go.clone(), begun.clone());
    let task = tokio::spawn(async move {
        send(&app, &caller, async move {
            tell.notify_one();
            wait.notified().await;
            Ok(answer("first"))
        })
        .await
    });
    begun.notified().await;
    (go, task)
}

#[tokio::test]
async fn a_request_that_lasts_is_not_taken_over() {
    let world = World::new().await;
    let (caller, other) = (world.customer(), world.replica());
    let (go, first) = begin(&world).await;
    world.app.clock.advance_seconds(3_600);
    let now = world.app.clock.now().micros();
    let renewed = async {
        while world.rows("select at from idempotency").await != [now] {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), renewed).await.expect("a sign of life");
    let (status, text, _) = send(&other, &caller, async { Ok(answer("second")) }).await;
    assert_eq!(status, 409, "{text}");
    go.notify_one();
    assert_eq!(first.await.expect("ends"), (200, "\"first\"".to_owned(), false));
    let again = send(&other, &caller, async { Ok(answer("third")) }).await;
    assert_eq!(again, (200, "\"first\"".to_owned(), true));
}

#[tokio::test]
async fn who_comes_back_from_a_pause_keeps_no_answer() {
    let world = World::new().await;
    let (caller, other) = (world.customer(), world.replica());
    let (go, first) = begin(&world).await;
    // The first may still show that it is alive between these two, about once a second.
    let mut taken = (409, String::new(), false);
    for _ in 0..1_000 {
        world.app.clock.advance_seconds(6);
        taken = send(&other, &caller, async { Ok(answer("second")) }).await;
        if taken.0 != 409 {
            break;
        }
    }
    assert_eq!(taken, (200, "\"second\"".to_owned(), false));
    go.notify_one();
    assert_eq!(first.await.expect("ends").1, "\"first\"");
    let again = send(&world.app, &caller, async { Ok(answer("third")) }).await;
    assert_eq!(again, (200, "\"second\"".to_owned(), true));
}

/// Asks for a package under one key; the process dies before the answer is kept, when it is to.
async fn collect(app: &App, caller: &Caller, device: &str, dies: bool) -> (u16, String, bool) {
    let mut headers = HeaderMap::new();
    headers.insert("idempotency-key", "k".parse().expect("a value"));
    let (process, who, device) = (app.clone(), caller.clone(), device.to_owned());
    let work = move |made: Option<String>| async move {
        if let Some(made) = made {
            return Ok(json_response(StatusCode::CREATED, &json!(made)));
        }
        let kind = (Kind::CollectInvestigationPackage, None);
        let id = act_on_device(&process, &who, &device, kind, &json!({}), "For the case.").await?;
        assert!(!dies, "the process ends here");
        Ok(json_response(StatusCode::CREATED, &json!(id)))
    };
    read(once_made(app, caller, &headers, &[b"POST"], work).await).await
}

#[tokio::test]
async fn an_action_is_not_asked_for_again_when_its_answer_was_lost() {
    let case = case("reader").await;
    let world = &case.face.world;
    let mut h1 = Robot::enrol(&case.face, "h1").await;
    let device = h1.device(world).await.id;
    let reach = Reach::Tenant(world.tenant.no);
    let caller = Caller::local("Alder SIEM", reach, &[Permission::TaskTakeAction]);
    assert_eq!(collect(&world.app, &caller, &device, true).await.0, 500);
    assert_eq!(h1.turn(world).await, 1, "it was asked for, and is done");
    world.app.clock.advance_seconds(11);
    let other = world.replica();
    for replayed in [false, true] {
        let again = collect(&other, &caller, &device, false).await;
        assert_eq!(again, (201, "\"ac1\"".to_owned(), replayed));
    }
    assert_eq!(h1.turn(world).await, 0);
    assert_eq!(h1.did, ["collectPackage"]);
    assert_eq!(world.rows("select count(*) from action").await, [1]);
}

#[tokio::test]
async fn who_was_taken_over_makes_nothing() {
    let case = case("reader").await;
    let world = &case.face.world;
    let h1 = Robot::enrol(&case.face, "h1").await;
    let device = h1.device(world).await.id;
    let reach = Reach::Tenant(world.tenant.no);
    let caller = Caller::local("Alder SIEM", reach, &[Permission::TaskTakeAction]);
    let (process, other, who) = (world.app.clone(), world.replica(), caller.clone());
    let mut headers = HeaderMap::new();
    headers.insert("idempotency-key", "k".parse().expect("a value"));
    let id = device.clone();
    let paused = once_made(&world.app, &caller, &headers, &[b"POST"], |_| async move {
        // It stands still until another process has taken the request over and done it.
        let mut done = (409, String::new(), false);
        while done.0 == 409 {
            process.clock.advance_seconds(6);
            done = collect(&other, &who, &id, false).await;
        }
        assert_eq!(done.0, 201, "{}", done.1);
        let kind = (Kind::CollectInvestigationPackage, None);
        let late = act_on_device(&process, &who, &id, kind, &json!({}), "For the case.").await;
        assert!(late.is_err(), "{late:?}");
        Ok(answer("late"))
    })
    .await;
    assert_eq!(read(paused).await.0, 200);
    assert_eq!(world.rows("select count(*) from action").await, [1]);
}
