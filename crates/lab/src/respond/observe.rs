//! Reads back what became of everything: from the server, from the agents' journals, from the
//! machine.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;

use serde_json::Value;

use super::checker::{ActionSeen, AttemptSeen, Leaf, Seen, TaskSeen};
use super::diary;
use super::load::Fleet;
use crate::crash::Observer;
use crate::device::Device;
use crate::{http, net};

/// Who looks: an application of each customer, and one of the experts.
#[derive(Debug)]
pub(crate) struct Lookers<'a> {
    pub(crate) address: SocketAddr,
    pub(crate) customers: &'a [String],
    pub(crate) experts: &'a str,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Actions that have not ended and that nobody was asked about.
pub(crate) async fn restless(who: &Lookers<'_>) -> Result<Vec<String>, String> {
    let mut left = Vec::new();
    for token in who.customers {
        let mut observer = Observer::new(who.address, token, &[]);
        let rows = observer.rows("/api/v1/actions?state=pending&top=200").await?;
        let open = rows.iter().filter(|row| row["state"] != "needsHuman");
        left.extend(open.map(|row| {
            format!("{} {} of {}", text(&row["id"]), row["state"], row["target"]["name"])
        }));
    }
    Ok(left)
}

/// Everything there is to judge.
pub(crate) async fn everything(
    who: &Lookers<'_>,
    fleet: &Fleet,
    devices: &[Device],
    tasks: &[String],
) -> Result<Seen, String> {
    let mut seen = Seen::default();
    let names: HashMap<&str, &str> =
        fleet.aims.iter().map(|aim| (aim.id.as_str(), aim.name.as_str())).collect();
    let mut experts = Observer::new(who.address, who.experts, &[]);
    for token in who.customers {
        let mut observer = Observer::new(who.address, token, &[]);
        for row in observer.rows("/api/v1/actions?top=200").await? {
            let id = text(&row["id"]);
            let reply = observer.get(&format!("/api/v1/actions/{id}")).await?;
            let mut action = action(&reply.json(), &names);
            if action.kind == "collectFile" && action.state == "succeeded" {
                let reply = experts.get(&format!("/api/v1/actions/{id}/package")).await?;
                action.package = reply.ok() && reply.body.starts_with(b"PK");
            }
            seen.actions.push(action);
        }
        let leaves = observer.rows("/api/v1/audit?top=1000").await?;
        seen.leaves.extend(leaves.iter().filter_map(leaf));
    }
    for id in tasks {
        let reply = experts.get(&format!("/api/v1/tasks/{}", http::escape(id))).await?;
        if reply.ok() {
            seen.tasks.push(task(&reply.json()));
        }
    }
    for device in devices {
        seen.diaries.push(diary::read(&device.name, &device.data_dir.join("journal"))?);
        if let Some(cut_off) = device.namespace.as_deref().and_then(net::is_cut_off) {
            seen.cut_off.insert(device.name.clone(), cut_off);
        }
    }
    for aim in &fleet.aims {
        for made in &aim.pool {
            seen.places.insert(made.sha256.clone(), made.path.clone());
            if Path::new(&made.path).exists() {
                seen.there.insert(made.path.clone());
            }
        }
        seen.files.extend(aim.folder.seen().await?);
    }
    let mut processes = fleet.processes.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    for (pid, child) in processes.iter_mut() {
        if child.try_wait().is_ok_and(|ended| ended.is_some()) {
            seen.dead.insert(pid.clone());
        }
    }
    Ok(seen)
}

fn action(row: &Value, names: &HashMap<&str, &str>) -> ActionSeen {
    let device = text(&row["target"]["deviceId"]);
    let attempts = row["attempts"].as_array().map(Vec::as_slice).unwrap_or_default();
    ActionSeen {
        id: text(&row["id"]),
        kind: text(&row["kind"]),
        state: text(&row["state"]),
        comment: text(&row["comment"]),
        target: text(&row["target"]["id"]),
        user: row["target"]["kind"] == "user",
        device: names.get(device.as_str()).map_or(device.clone(), |name| (*name).to_owned()),
        read_back: row["readBack"].clone(),
        attempts: attempts
            .iter()
            .map(|attempt| AttemptSeen {
                number: attempt["number"].as_i64().unwrap_or(0),
                order: text(&attempt["order"]),
                started: text(&attempt["startedDateTime"]),
                answered: attempt["answeredDateTime"].as_str().map(str::to_owned),
                outcome: attempt["outcome"].as_str().map(str::to_owned),
            })
            .collect(),
        package: false,
    }
}

fn task(row: &Value) -> TaskSeen {
    let actions = row["actions"].as_array().map(Vec::as_slice).unwrap_or_default();
    TaskSeen {
        id: text(&row["id"]),
        state: text(&row["state"]),
        actions: actions.iter().map(|action| text(&action["state"])).collect(),
    }
}

fn leaf(row: &Value) -> Option<Leaf> {
    let operation = row["operation"].as_str()?;
    if !["action.requested", "action.started", "action.ended"].contains(&operation) {
        return None;
    }
    let data = &row["auditData"];
    Some(Leaf {
        operation: operation.to_owned(),
        action: text(&data["actionId"]),
        order: data["order"].as_str().map(str::to_owned),
        state: data["state"].as_str().map(str::to_owned),
    })
}
