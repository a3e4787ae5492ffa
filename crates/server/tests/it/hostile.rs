//! Input that means harm: what is refused says why, the rest is kept, and what is stored is no
//! weapon against those who read it. What each costs is for `riposte-lab hostile`.

use axum::body::Body;
use axum::http::Request;
use riposte::alert::format::Format;
use riposte::alert::format::split::{MAX_RECORDS, MAX_VALUES};
use riposte::alert::{MAX_BODY, MAX_EVIDENCE};
use riposte::http::body::SMALL;
use serde_json::{Value, json};

use crate::face::{Face, send};
use crate::world::{World, alert};

/// The reason of the record at this place.
#[track_caller]
fn reason(outcome: &riposte::alert::intake::Outcome, index: u64) -> &str {
    let found = outcome.errors.iter().find(|error| error.index == index);
    &found.expect("a reason").message
}

#[tokio::test]
async fn a_record_that_would_unfold_is_named_and_the_rest_is_kept() {
    let world = World::new().await;
    let good = |id: &str| alert(id, "laptop-1", "ida", 0).to_string();
    let mut heavy = alert("b", "laptop-2", "ida", 0);
    heavy["more"] = json!(vec![0; MAX_VALUES]);
    let mut long = alert("c", "laptop-2", "ida", 0);
    long["description"] = json!("x".repeat(MAX_BODY));
    let mut wide = alert("d", "laptop-2", "ida", 0);
    wide["evidence"] = json!(vec![json!({}); MAX_EVIDENCE + 1]);
    let body = format!("{}\n{heavy}\n{long}\n{wide}\n{}\n", good("a"), good("e"));
    let outcome = world.push(Format::Graph, body).await;
    assert_eq!((outcome.accepted, outcome.rejected), (2, 3), "{outcome:?}");
    assert_eq!(reason(&outcome, 1), format!("more than {MAX_VALUES} values in one record"));
    assert!(reason(&outcome, 2).ends_with(&format!("the limit is {MAX_BODY}")));
    assert!(reason(&outcome, 3).contains("pieces of evidence"));
}

#[tokio::test]
async fn an_incident_of_very_many_alerts_is_refused_and_the_rest_is_kept() {
    let world = World::new().await;
    let few = json!({"id": "7", "displayName": "Night work", "incidentWebUrl": "x",
        "alerts": [alert("a", "laptop-1", "ida", 0), alert("b", "laptop-1", "ida", 1)]});
    let many = json!({"id": "8", "incidentWebUrl": "x", "alerts": vec![json!({}); MAX_RECORDS]});
    let outcome = world.push(Format::Graph, format!("{few}\n{many}\n{few}\n")).await;
    assert_eq!((outcome.accepted, outcome.duplicates, outcome.rejected), (2, 2, 1), "{outcome:?}");
    assert_eq!(reason(&outcome, 1), format!("more than {MAX_RECORDS} alerts in one request"));
}

#[tokio::test]
async fn alerts_of_a_long_incident_keep_their_own_part_of_it() {
    let world = World::new().await;
    let mut alerts: Vec<Value> =
        (0..600).map(|n| alert(&format!("a{n}"), &format!("pc-{n}"), "ida", n)).collect();
    for (number, alert) in alerts.iter_mut().enumerate() {
        let noise: String =
            (0..400).map(|at| char::from(b'a' + ((at * number) % 26) as u8)).collect();
        alert["description"] = json!(noise);
    }
    let whole = json!({"id": "7", "incidentWebUrl": "x", "alerts": alerts}).to_string();
    let length = whole.len();
    let outcome = world.push(Format::Graph, whole).await;
    assert_eq!((outcome.accepted, outcome.rejected), (600, 0), "{:?}", outcome.errors.first());
    let kept = world.rows("select cast(sum(length(raw)) as bigint) from alert_body").await[0];
    assert!(usize::try_from(kept).is_ok_and(|kept| kept < 2 * length), "{kept} of {length}");
}

#[tokio::test]
async fn a_small_body_of_very_many_values_is_refused() {
    let face = Face::new().await;
    face.world.push(Format::Graph, alert("a", "laptop-1", "ida", 0).to_string()).await;
    let client = face.customer().await;
    let deep = format!("{{\"customTags\":[{}0]}}", "{\"a\":0},".repeat(SMALL / 8 - 8));
    let request = Request::patch("/v1.0/security/incidents/1")
        .header("authorization", format!("Bearer {}", client.token))
        .header("content-type", "application/json")
        .body(Body::from(deep))
        .expect("a request");
    let reply = send(&face.router, request).await.expect(400).json();
    let message = reply["error"]["message"].as_str().expect("a message");
    assert!(message.contains("values"), "{message}");
}

#[tokio::test]
async fn a_page_of_large_alerts_is_whole() {
    let face = Face::new().await;
    let large = |n: usize| {
        let mut alert = alert(&format!("a{n}"), &format!("pc-{n}"), "ida", n as i64);
        alert["description"] = json!(format!("{n}").repeat(450_000));
        alert.to_string()
    };
    for n in 10..21 {
        assert_eq!(face.world.push(Format::Graph, large(n)).await.accepted, 1);
    }
    let client = face.customer().await;
    let page = client.get("/v1.0/security/alerts_v2?$top=10&$count=true").await.expect(200).json();
    assert_eq!(page["@odata.count"], 11);
    assert_eq!(page["value"].as_array().map(Vec::len), Some(10));
    let next = page["@odata.nextLink"].as_str().expect("a next page").to_owned();
    let rest = client.get(next.split_once(".example").expect("an address").1).await.expect(200);
    let rest = rest.json();
    assert_eq!(rest["value"].as_array().map(Vec::len), Some(1));
    let text = |alert: &Value| alert["description"].as_str().map(str::len);
    assert!(page["value"].as_array().into_iter().flatten().all(|row| text(row) == Some(900_000)));
}
