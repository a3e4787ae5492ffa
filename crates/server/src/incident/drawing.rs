//! What an incident's alerts mention, drawn: one node for each thing, one edge for each two that an
//! alert names together. Pure.
//!
//! A thing has several keys, and not every alert has all of them: one product tells a device by its
//! id, another by its full name, a third by its short one. Two mentions are one node when they share
//! a key; or when they have the same name, and no kind of key that both have says otherwise.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::clock::Timestamp;
use crate::id::AlertId;
use crate::incident::entity::{Entity, EntityKind};

/// One thing.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its first key's id, which stands for it.
    pub id: i64,
    /// What it is, as [`Entity::code`] says it; hostile once any alert calls it so.
    pub code: i16,
    /// The name people read.
    pub name: String,
    /// Alerts that mention it.
    pub alerts: u64,
    /// The first activity of the earliest of them.
    pub first: Timestamp,
    /// Its keys by their kind.
    keys: HashMap<String, String>,
}

/// Two things that alerts name together: places of nodes.
pub type Edge = (usize, usize);

/// See the module.
#[derive(Debug)]
pub struct Drawing {
    /// The most nodes.
    most: usize,
    nodes: Vec<Node>,
    edges: BTreeMap<Edge, (Timestamp, Vec<AlertId>)>,
    by_key: HashMap<i64, usize>,
    by_name: HashMap<(EntityKind, String), Vec<usize>>,
    full: bool,
}

impl Drawing {
    /// An empty one, for so many nodes at most.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            most,
            nodes: Vec::new(),
            edges: BTreeMap::new(),
            by_key: HashMap::new(),
            by_name: HashMap::new(),
            full: false,
        }
    }

    /// Draws what an alert mentions. Alerts come in the order of their first activity.
    pub fn add(&mut self, alert: AlertId, at: Timestamp, entities: &[Entity]) {
        let mut things: BTreeMap<u16, Vec<&Entity>> = BTreeMap::new();
        for entity in entities.iter().filter(|it| is_drawn(it.kind)) {
            things.entry(entity.thing).or_default().push(entity);
        }
        let mut here = Vec::new();
        let mut seen = HashSet::new();
        for keys in things.values() {
            let Some(place) = self.place(keys, at) else { continue };
            if seen.insert(place)
                && let Some(node) = self.nodes.get_mut(place)
            {
                node.alerts += 1;
                here.push(place);
            }
        }
        // The first thing is what the alert is about.
        let Some((centre, others)) = here.split_first() else { return };
        for other in others {
            let (_, alerts) = self.edges.entry((*centre, *other)).or_insert((at, Vec::new()));
            alerts.push(alert);
        }
    }

    /// The node of a thing, made when there is none yet.
    fn place(&mut self, keys: &[&Entity], at: Timestamp) -> Option<usize> {
        let first = keys.first()?;
        let name = (family(first.kind), first.name.to_lowercase());
        let mut known = keys.iter().filter(|key| !is_name(key.kind));
        let place = known
            .find_map(|key| self.by_key.get(&key.id))
            .copied()
            .or_else(|| self.by_name.get(&name)?.iter().copied().find(|it| self.fits(*it, keys)));
        let place = match place {
            Some(place) => place,
            None if self.nodes.len() >= self.most => {
                self.full = true;
                return None;
            }
            None => {
                self.nodes.push(Node {
                    id: first.id,
                    code: first.code(),
                    name: first.name.clone(),
                    alerts: 0,
                    first: at,
                    keys: HashMap::new(),
                });
                self.by_name.entry(name).or_default().push(self.nodes.len() - 1);
                self.nodes.len() - 1
            }
        };
        let node = self.nodes.get_mut(place)?;
        node.first = node.first.min(at);
        for key in keys {
            if key.judged {
                node.code = key.code();
            }
            if !is_name(key.kind) {
                self.by_key.entry(key.id).or_insert(place);
                if let Some((kind, value)) = key.key.split_once(':') {
                    node.keys.entry(kind.to_owned()).or_insert_with(|| value.to_owned());
                }
            }
        }
        Some(place)
    }

    /// Whether nothing that is known of both says that they are two.
    fn fits(&self, place: usize, keys: &[&Entity]) -> bool {
        let Some(node) = self.nodes.get(place) else { return false };
        keys.iter().filter(|key| !is_name(key.kind)).all(|key| match key.key.split_once(':') {
            Some((kind, value)) => node.keys.get(kind).is_none_or(|known| known == value),
            None => false,
        })
    }

    /// The nodes in the order they came up.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Each edge with the time of its first alert, and its alerts.
    pub fn edges(&self) -> impl Iterator<Item = (&Node, &Node, Timestamp, &[AlertId])> {
        self.edges.iter().filter_map(|((source, target), (at, alerts))| {
            Some((self.nodes.get(*source)?, self.nodes.get(*target)?, *at, alerts.as_slice()))
        })
    }

    /// Whether something was left out because there were too many.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.full
    }
}

/// Kinds that stand for a thing, not for the source's own word of what belongs together.
fn is_drawn(kind: EntityKind) -> bool {
    !matches!(kind, EntityKind::Repeat | EntityKind::Halves)
}

/// Kinds that two things may share.
fn is_name(kind: EntityKind) -> bool {
    matches!(kind, EntityKind::DeviceName | EntityKind::AccountName)
}

fn family(kind: EntityKind) -> EntityKind {
    match kind {
        EntityKind::DeviceName => EntityKind::Device,
        EntityKind::AccountName => EntityKind::Account,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::incident::entity::entities;

    fn device(members: serde_json::Value) -> serde_json::Value {
        let mut piece = members;
        piece["@odata.type"] = json!("#microsoft.graph.security.deviceEvidence");
        piece
    }

    fn drawn(alerts: &[serde_json::Value]) -> Drawing {
        let mut drawing = Drawing::new(100);
        for (number, evidence) in (1..).zip(alerts) {
            let body = json!({ "title": "t", "evidence": evidence });
            let body = body.as_object().expect("an object").clone();
            drawing.add(AlertId(number), Timestamp::from_micros(number), &entities(&body).list);
        }
        drawing
    }

    fn devices(drawing: &Drawing) -> Vec<(&str, u64)> {
        drawing.nodes().iter().map(|node| (node.name.as_str(), node.alerts)).collect()
    }

    #[test]
    fn one_device_told_in_three_ways_is_one_node() {
        let drawing = drawn(&[
            json!([device(json!({ "mdeDeviceId": "a1", "hostName": "server-19" }))]),
            json!([device(json!({ "deviceDnsName": "server-19.alder.example" }))]),
            json!([device(json!({ "hostName": "SERVER-19" }))]),
            json!([device(
                json!({ "mdeDeviceId": "a1", "deviceDnsName": "server-19.alder.example" })
            )]),
        ]);
        assert_eq!(devices(&drawing), [("server-19", 4)]);
    }

    #[test]
    fn two_devices_of_one_short_name_are_two_nodes() {
        let drawing = drawn(&[
            json!([device(json!({ "deviceDnsName": "dc1.alder.example" }))]),
            json!([device(json!({ "deviceDnsName": "dc1.norrland.example" }))]),
        ]);
        assert_eq!(devices(&drawing), [("dc1", 1), ("dc1", 1)]);
    }

    #[test]
    fn edges_lead_from_what_an_alert_is_about() {
        let user = json!({ "@odata.type": "#microsoft.graph.security.userEvidence",
                           "userAccount": { "userPrincipalName": "ida@alder.example" } });
        let drawing = drawn(&[
            json!([device(json!({ "hostName": "desk-1" })), user]),
            json!([device(json!({ "hostName": "desk-1", "mdeDeviceId": "x" })), user]),
        ]);
        let edges: Vec<_> = drawing.edges().collect();
        assert_eq!(edges.len(), 1);
        let (source, target, at, alerts) = edges[0];
        assert_eq!((source.name.as_str(), at.micros(), alerts.len()), ("desk-1", 1, 2));
        assert!(target.name.contains("ida"), "{}", target.name);
    }

    #[test]
    fn a_drawing_has_an_end_and_says_so() {
        let many: Vec<_> =
            (0..9).map(|n| json!([device(json!({ "hostName": format!("h{n}") }))])).collect();
        let mut drawing = Drawing::new(4);
        for evidence in many {
            let body = json!({ "title": "t", "evidence": evidence });
            let body = body.as_object().expect("an object").clone();
            drawing.add(AlertId(1), Timestamp::from_micros(1), &entities(&body).list);
        }
        assert!(drawing.is_full() && drawing.nodes().len() == 4);
    }
}
