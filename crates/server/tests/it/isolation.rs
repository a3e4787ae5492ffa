//! What one customer sees is what it would see if the other had never been (quality 6): the same
//! steps by chance with and without a neighbour, and two views that must be equal.

use riposte::alert::format::Format;
use riposte::permission::Role;
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::face::Face;
use crate::world::alert;

/// Numbers by chance, the same ones for the same seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

struct Run {
    face: Face,
    ours: Browser,
    theirs: Browser,
}

impl Run {
    async fn start() -> Self {
        let face = Face::new().await;
        let admin = Role::SecurityAdministrator;
        let ours = face.person(&face.world.tenant.id, "ida@alder.example", admin).await;
        let theirs = face.person(&face.world.other.id, "aino@norrland.example", admin).await;
        Self { face, ours, theirs }
    }

    /// One step of one of them, drawn from the same numbers whether it is taken or not.
    async fn step(&self, chance: &mut Chance, number: u64, with_neighbour: bool) {
        let own = chance.below(2) == 0;
        let draws: Vec<u64> = (0..6).map(|_| chance.below(1_000)).collect();
        let world = &self.face.world;
        world.app.clock.advance_seconds(7);
        if !own && !with_neighbour {
            return;
        }
        let (tenant, admin) =
            if own { (world.tenant.no, &self.ours) } else { (world.other.no, &self.theirs) };
        if draws[0] < 600 {
            // The two share names of devices, people and even the ids of alerts.
            let one = alert(
                &format!("a{}", draws[1] % 25),
                &format!("host{}", draws[2] % 6),
                &format!("user{}", draws[3] % 6),
                i64::try_from(number).expect("small"),
            );
            world.push_to(tenant, Format::Graph, json!([one]).to_string()).await;
            world.settle().await;
            return;
        }
        let queue = admin.get("/api/v1/incidents?top=200").await.expect(200).json();
        let ids = incident_ids(&queue);
        if ids.is_empty() {
            return;
        }
        let pick = |draw: u64| ids[usize::try_from(draw).expect("small") % ids.len()];
        let path = format!("/api/v1/incidents/{}", pick(draws[1]));
        // What is refused is refused in both runs.
        match draws[0] % 5 {
            0 => {
                let said = json!({ "comment": format!("step {number}") });
                admin.post(&format!("{path}/comments"), &said).await;
            }
            1 => {
                let tags = json!({ "customTags": [format!("t{}", draws[2] % 4)] });
                admin.patch(&path, &tags).await;
            }
            2 => {
                admin.patch(&path, &json!({ "assignedTo": format!("p{}", draws[2] % 3) })).await;
            }
            3 => {
                let closed = json!({ "status": "resolved", "classification": "truePositive",
                                     "determination": "malware" });
                admin.patch(&path, &closed).await;
            }
            _ => {
                let both = [pick(draws[1]).to_string(), pick(draws[2]).to_string()];
                admin.post("/api/v1/incidents/merge", &json!({ "incidentIds": both })).await;
            }
        }
        world.settle().await;
    }

    /// All that our customer sees, without what tells how many others there are: the numbers of
    /// incidents, alerts and comments are the installation's, so each becomes its place among ours.
    async fn view(&self) -> Vec<String> {
        let list = "/api/v1/incidents?top=200&orderby=createdDateTime%20asc";
        let mut seen = vec![self.ours.get(list).await.expect(200).json()];
        let ids = incident_ids(&seen[0]);
        for id in &ids {
            for more in ["", "/alerts?top=200", "/timeline?top=500", "/graph", "/similar"] {
                let path = format!("/api/v1/incidents/{id}{more}");
                seen.push(self.ours.get(&path).await.expect(200).json());
            }
        }
        for path in ["/api/v1/home", "/api/v1/incidents/count", "/api/v1/audit?top=1000"] {
            seen.push(self.ours.get(path).await.expect(200).json());
        }
        let mut alerts = Vec::new();
        for value in &seen {
            alert_ids(value, &mut alerts);
        }
        alerts.sort_unstable();
        alerts.dedup();
        for value in &mut seen {
            plain(value, &ids, &alerts, &self.face);
        }
        seen.iter().map(Value::to_string).collect()
    }
}

/// The numbers of the incidents of a list, ascending.
fn incident_ids(list: &Value) -> Vec<u64> {
    let rows = list["value"].as_array().expect("rows").iter();
    let number = |row: &Value| row["id"].as_str().expect("an id").parse().expect("a number");
    let mut ids: Vec<u64> = rows.map(number).collect();
    ids.sort_unstable();
    ids
}

fn alert_number(text: &str) -> Option<u64> {
    text.strip_prefix("al").and_then(|number| number.parse().ok())
}

fn alert_ids(value: &Value, found: &mut Vec<u64>) {
    match value {
        Value::String(text) => found.extend(alert_number(text)),
        Value::Array(all) => all.iter().for_each(|one| alert_ids(one, found)),
        Value::Object(members) => members.values().for_each(|one| alert_ids(one, found)),
        _ => {}
    }
}

fn plain(value: &mut Value, incidents: &[u64], alerts: &[u64], face: &Face) {
    match value {
        Value::String(text) => {
            *text = text.replace(&face.world.tenant.id, "TENANT");
            let place = |all: &[u64], number: u64| all.binary_search(&number).ok();
            if let Ok(number) = text.parse::<u64>() {
                *text = place(incidents, number)
                    .map_or_else(|| "another".to_owned(), |place| format!("INCIDENT {place}"));
            }
            let known = |word: &str| place(alerts, alert_number(word)?);
            let words = text.split(' ').map(|word| {
                known(word).map_or_else(|| word.to_owned(), |place| format!("ALERT {place}"))
            });
            *text = words.collect::<Vec<String>>().join(" ");
        }
        Value::Array(all) => all.iter_mut().for_each(|one| plain(one, incidents, alerts, face)),
        Value::Object(members) => {
            // Drawn by chance, or made of the numbers.
            for name in [
                "commentId",
                "leaf",
                "incidentWebUrl",
                "alertWebUrl",
                "nextCursor",
                "personId",
                "sessionId",
            ] {
                members.remove(name);
            }
            members.values_mut().for_each(|one| plain(one, incidents, alerts, face));
        }
        _ => {}
    }
}

#[tokio::test]
async fn a_customer_sees_what_it_would_without_the_other() {
    for seed in 1..=4 {
        let (together, alone) = (Run::start().await, Run::start().await);
        let (mut one, mut same) = (Chance(seed), Chance(seed));
        for number in 0..60 {
            together.step(&mut one, number, true).await;
            alone.step(&mut same, number, false).await;
        }
        let theirs = together.theirs.get("/api/v1/incidents/count").await.expect(200).json();
        assert!(theirs["count"].as_i64() > Some(0), "the neighbour did something: {theirs}");
        let (seen, expected) = (together.view().await, alone.view().await);
        assert!(seen.len() > 10 && seen[0].contains("INCIDENT 1"), "seed {seed}: {}", seen[0]);
        for (seen, expected) in seen.iter().zip(&expected) {
            let differs = seen.bytes().zip(expected.bytes()).position(|(one, other)| one != other);
            let from = differs.unwrap_or(0).saturating_sub(300);
            let here = |text: &str| text.chars().skip(from).take(400).collect::<String>();
            assert_eq!(here(seen), here(expected), "seed {seed}");
            assert_eq!(seen.len(), expected.len(), "seed {seed}");
        }
        assert_eq!(seen.len(), expected.len(), "seed {seed}");
    }
}
