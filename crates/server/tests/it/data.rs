//! The sample data beside the checkout, through the real intake; skipped where it is absent.

use riposte::alert::format::Format;
use serde_json::Value;

use crate::contract::shared;
use crate::world::World;

/// Pairwise precision and recall of a grouping against the known one.
fn score(groups: &[Vec<String>], known: &std::collections::HashMap<String, i64>) -> (f64, f64) {
    let mut ours = std::collections::HashMap::new();
    for (group, members) in groups.iter().enumerate() {
        for member in members {
            ours.insert(member.clone(), group);
        }
    }
    let ids: Vec<&String> = known.keys().collect();
    let (mut both, mut together, mut wanted) = (0_u32, 0_u32, 0_u32);
    for (place, one) in ids.iter().enumerate() {
        for two in &ids[place + 1..] {
            let ours = ours[*one] == ours[*two];
            let theirs = known[*one] == known[*two];
            together += u32::from(ours);
            wanted += u32::from(theirs);
            both += u32::from(ours && theirs);
        }
    }
    (f64::from(both) / f64::from(together), f64::from(both) / f64::from(wanted))
}

#[tokio::test]
async fn the_labelled_set_is_grouped_as_its_analysts_did() {
    let Some(folder) = shared("data/correlation") else { return };
    let world = World::new().await;
    let alerts = std::fs::read(folder.join("sentinel_alerts.ndjson")).expect("readable");
    let outcome = world.push(Format::Sentinel, alerts).await;
    assert_eq!((outcome.received, outcome.accepted), (121, 121), "{:?}", outcome.errors);
    world.settle().await;
    let truth = std::fs::read_to_string(folder.join("alert_to_incident.ndjson")).expect("text");
    let known = truth.lines().map(|line| {
        let row: Value = serde_json::from_str(line).expect("JSON");
        let id = row["SystemAlertId"].as_str().expect("an id").to_owned();
        (id, row["IncidentNumber"].as_i64().expect("a number"))
    });
    let known: std::collections::HashMap<String, i64> = known.collect();
    let rows = world
        .app
        .db
        .whole("a test")
        .query(
            "select alert.incident_id, alert_body.body from alert \
             join alert_body on alert_body.alert_id = alert.id",
            vec![],
        )
        .await
        .expect("rows");
    let mut groups = std::collections::BTreeMap::<i64, Vec<String>>::new();
    for row in rows {
        let incident: i64 = riposte::db::column(&row, 0).expect("an incident");
        let raw: Vec<u8> = riposte::db::column(&row, 1).expect("a body");
        let body: Value =
            serde_json::from_slice(&zstd::stream::decode_all(raw.as_slice()).expect("zstd"))
                .expect("JSON");
        let id = find_id(&body, &known).expect("the source's id is kept");
        groups.entry(incident).or_default().push(id);
    }
    let groups: Vec<_> = groups.into_values().collect();
    let (precision, recall) = score(&groups, &known);
    println!("pairwise precision {precision:.4}, recall {recall:.4}");
    assert!(precision >= 0.98 && recall >= 0.95, "{precision:.4} / {recall:.4}");
}

fn find_id(value: &Value, known: &std::collections::HashMap<String, i64>) -> Option<String> {
    match value {
        Value::String(text) => known.contains_key(text).then(|| text.clone()),
        Value::Array(items) => items.iter().find_map(|item| find_id(item, known)),
        Value::Object(members) => members.values().find_map(|member| find_id(member, known)),
        _ => None,
    }
}

#[tokio::test]
async fn every_alert_record_of_the_sample_data_is_accepted() {
    let world = World::new().await;
    for folder in
        ["graph-security", "correlation", "other-alerts", "ocsf", "suricata-zeek", "cef-leef"]
    {
        let Some(path) = shared(&format!("data/{folder}")) else { return };
        let mut files: Vec<_> = std::fs::read_dir(path)
            .expect("a folder")
            .map(|entry| entry.expect("an entry").path())
            .collect();
        files.sort();
        for file in files {
            let name = file.file_name().expect("a name").to_string_lossy().into_owned();
            let ending = file.extension().map(|ending| ending.to_string_lossy().into_owned());
            let ending = ending.unwrap_or_default();
            if ending == "md" || ending == "csv" || name.starts_with("alert_to") {
                continue;
            }
            let bytes = std::fs::read(&file).expect("readable");
            let bytes = if folder == "cef-leef" { raw_members(&bytes) } else { bytes };
            let outcome = world.push(Format::Auto, bytes).await;
            println!(
                "{folder}/{name}: {} received, {} accepted, {} duplicates, {} ignored, {} rejected{}",
                outcome.received,
                outcome.accepted,
                outcome.duplicates,
                outcome.ignored,
                outcome.rejected,
                outcome
                    .errors
                    .first()
                    .map_or(String::new(), |error| format!(" ({})", error.message)),
            );
            let accounted =
                outcome.accepted + outcome.duplicates + outcome.ignored + outcome.rejected;
            assert_eq!(outcome.received, accounted, "{name}");
            assert!(outcome.errors.iter().all(|error| !error.message.is_empty()), "{name}");
            // Raw vendor logs and their hand-made conversions are no alert records.
            let raw = ending == "raw" || ending == "txt";
            if !raw {
                assert_eq!(outcome.rejected, 0, "{folder}/{name}: {:?}", outcome.errors);
            }
            if folder == "cef-leef" {
                assert_eq!(outcome.ignored, 0, "{folder}/{name}: {:?}", outcome.errors);
            }
        }
    }
    world.settle().await;
    assert_eq!(world.rows("select count(*) from alert where incident_id is null").await, [0]);
}

/// The `raw` member of each line, as a sender would have sent it.
fn raw_members(lines: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(lines);
    let mut raw = String::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let row: Value = serde_json::from_str(line).expect("JSON");
        raw.push_str(row["raw"].as_str().expect("a raw member"));
        raw.push('\n');
    }
    raw.into_bytes()
}
