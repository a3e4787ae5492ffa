//! What an incident is called and how severe it is, worked out from its alerts (INC-18, INC-5).
//!
//! A name says, in this order: what happened, to how many, told by how many. It depends on the
//! alerts only, not on their order. Automation must not key on it, and a human may change it.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::entity::{Entity, EntityKind};

/// Longest title taken into a name, in characters.
const MAX_TITLE: usize = 200;

/// Stages of an attack in the order they usually come, as the contract spells categories, and as
/// a name spells them.
const STAGES: [(&str, &str); 20] = [
    ("reconnaissance", "Reconnaissance"),
    ("resourcedevelopment", "Resource development"),
    ("initialaccess", "Initial access"),
    ("execution", "Execution"),
    ("persistence", "Persistence"),
    ("privilegeescalation", "Privilege escalation"),
    ("defenseevasion", "Defense evasion"),
    ("credentialaccess", "Credential access"),
    ("discovery", "Discovery"),
    ("lateralmovement", "Lateral movement"),
    ("collection", "Collection"),
    ("commandandcontrol", "Command and control"),
    ("exfiltration", "Exfiltration"),
    ("impact", "Impact"),
    ("ransomware", "Ransomware"),
    ("malware", "Malware"),
    ("unwantedsoftware", "Unwanted software"),
    ("exploit", "Exploit"),
    ("suspiciousactivity", "Suspicious activity"),
    ("threatmanagement", "Threat management"),
];

/// What one alert adds to the facts about its incident.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlertFacts {
    /// The alert's title.
    pub title: String,
    /// Categories in the source's spelling.
    pub categories: Vec<String>,
    /// The product that reported it.
    pub source: String,
    /// The severity in the contract's spelling.
    pub severity: &'static str,
    /// One entity id for each device.
    pub devices: Vec<i64>,
    /// One entity id for each account.
    pub users: Vec<i64>,
}

impl AlertFacts {
    /// The facts of an alert body in the Graph `alerts_v2` shape with its entities.
    #[must_use]
    pub fn of(body: &Map<String, Value>, entities: &[Entity]) -> Self {
        let member = |name| body.get(name).and_then(Value::as_str).unwrap_or_default().trim();
        let mut categories = BTreeSet::new();
        for text in body.get("categories").and_then(Value::as_array).into_iter().flatten() {
            categories.extend(text.as_str().map(str::to_owned));
        }
        categories.extend(Some(member("category").to_owned()).filter(|text| !text.is_empty()));
        let source = Some(member("serviceSource")).filter(|text| !text.is_empty());
        Self {
            title: member("title").chars().take(MAX_TITLE).collect(),
            categories: categories.into_iter().take(32).collect(),
            source: source.unwrap_or_else(|| member("detectionSource")).to_owned(),
            severity: highest([member("severity")]),
            devices: of_kind(entities, &[EntityKind::Device, EntityKind::DeviceName]),
            users: of_kind(entities, &[EntityKind::Account, EntityKind::AccountName]),
        }
    }
}

fn of_kind(entities: &[Entity], kinds: &[EntityKind]) -> Vec<i64> {
    let mut things = BTreeSet::new();
    let named = entities
        .iter()
        .filter(|entity| entity.idle.is_none() && !entity.judged && kinds.contains(&entity.kind));
    named.filter(|entity| things.insert(entity.thing)).map(|entity| entity.id).collect()
}

/// What a name is made of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Different titles of the alerts; one is enough when there is only one, two when more.
    pub titles: BTreeSet<String>,
    /// Different categories, in any spelling.
    pub categories: BTreeSet<String>,
    /// Different sources.
    pub sources: BTreeSet<String>,
    /// How many devices are involved.
    pub devices: u32,
    /// How many accounts are involved.
    pub users: u32,
}

/// The generated name of an incident.
#[must_use]
pub fn name(facts: &Facts) -> String {
    let mut stages: Vec<(usize, String)> =
        facts.categories.iter().filter_map(|category| stage(category)).collect();
    stages.sort();
    stages.dedup();
    let title = facts.titles.iter().find(|title| !title.trim().is_empty());
    let mut name = match (title, stages.first(), stages.last()) {
        (Some(title), ..) if facts.titles.len() == 1 => {
            title.trim().trim_end_matches('.').chars().take(MAX_TITLE).collect()
        }
        (_, Some((_, first)), Some((_, last))) if first != last => {
            // The first and the last stage say how far it came.
            format!("Multi-stage incident involving {first} & {last}")
        }
        (_, Some((_, only)), _) => format!("{only} incident"),
        _ => "Incident".to_owned(),
    };
    let users = if facts.users == 1 { "one user" } else { "multiple users" };
    match (facts.devices, facts.users) {
        (0, 0) => {}
        (0, _) => {
            name.push_str(if name.contains(" involving ") { " and " } else { " involving " });
            name.push_str(users);
        }
        (1, _) => name.push_str(" on one endpoint"),
        _ => name.push_str(" on multiple endpoints"),
    }
    if facts.sources.len() > 1 {
        name.push_str(" reported by multiple sources");
    }
    name
}

/// A category's place among the stages and its spelling in a name.
fn stage(category: &str) -> Option<(usize, String)> {
    let key: String = category
        .chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .take(64)
        .collect();
    if key.is_empty() || key == "unknown" || key == "none" {
        return None;
    }
    let known = STAGES.iter().enumerate().find(|(_, (stage, _))| *stage == key);
    Some(known.map_or_else(
        // A category outside the list is told as the source spells it, after the stages, but begins
        // like a name.
        || {
            let mut letters = category.trim().chars();
            let first = letters.next().into_iter().flat_map(char::to_uppercase);
            (STAGES.len(), first.chain(letters.take(63)).collect())
        },
        |(place, (_, word))| (place, (*word).to_owned()),
    ))
}

/// The highest of severities in the contract's spelling; `unknown` when none is known.
#[must_use]
pub fn highest<'a>(severities: impl IntoIterator<Item = &'a str>) -> &'static str {
    const ORDER: [&str; 5] = ["unknown", "informational", "low", "medium", "high"];
    let place = |word: &str| ORDER.iter().position(|known| known.eq_ignore_ascii_case(word));
    let highest = severities.into_iter().filter_map(place).max().unwrap_or_default();
    ORDER.get(highest).copied().unwrap_or("unknown")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn facts(
        titles: &[&str],
        categories: &[&str],
        sources: u32,
        devices: u32,
        users: u32,
    ) -> Facts {
        let set = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Facts {
            titles: set(titles),
            categories: set(categories),
            sources: (0..sources).map(|source| source.to_string()).collect(),
            devices,
            users,
        }
    }

    #[test]
    fn a_name_says_what_to_how_many_and_told_by_how_many() {
        let multi = ["LateralMovement", "InitialAccess", "Discovery"];
        for (facts, wanted) in [
            (facts(&["Odd logon."], &["Discovery"], 1, 1, 1), "Odd logon on one endpoint"),
            (facts(&["Odd logon"], &[], 1, 0, 1), "Odd logon involving one user"),
            (facts(&["Odd logon"], &[], 2, 0, 0), "Odd logon reported by multiple sources"),
            (
                facts(&["A", "B"], &multi, 2, 3, 9),
                "Multi-stage incident involving Initial access & Lateral movement on multiple \
                 endpoints reported by multiple sources",
            ),
            (
                facts(&["A", "B"], &multi, 1, 0, 2),
                "Multi-stage incident involving Initial access & Lateral movement and multiple \
                 users",
            ),
            (
                facts(&["A", "B"], &["lateral-movement"], 1, 1, 0),
                "Lateral movement incident on one endpoint",
            ),
            (facts(&["A", "B"], &["unknown"], 1, 0, 0), "Incident"),
            (facts(&[], &[], 0, 0, 0), "Incident"),
        ] {
            assert_eq!(name(&facts), wanted);
        }
    }

    #[test]
    fn the_severity_is_the_highest_known() {
        assert_eq!(highest(["low", "High", "medium"]), "high");
        assert_eq!(highest(["unknown", "informational"]), "informational");
        assert_eq!(highest(["urgent"]), "unknown");
        assert_eq!(highest([]), "unknown");
    }

    #[test]
    fn an_alert_tells_its_devices_and_users_once() {
        let body = json!({
            "title": "Odd logon", "severity": "medium", "category": "Discovery",
            "serviceSource": "microsoftDefenderForEndpoint",
            "evidence": [
                {"@odata.type": "#microsoft.graph.security.deviceEvidence",
                 "mdeDeviceId": "d1", "deviceDnsName": "lap7.alder.example"},
                {"@odata.type": "#microsoft.graph.security.userEvidence",
                 "userAccount": {"userPrincipalName": "m.lind@alder.example", "userSid": "S-1-5-21-1-2-3-4"}},
                {"@odata.type": "#microsoft.graph.security.userEvidence",
                 "userAccount": {"userSid": "S-1-5-18", "accountName": "SYSTEM"}}
            ]
        });
        let body = body.as_object().cloned().unwrap_or_default();
        let entities = crate::incident::entity::entities(&body).list;
        let facts = AlertFacts::of(&body, &entities);
        assert_eq!((facts.devices.len(), facts.users.len()), (1, 1));
        assert_eq!((facts.severity, facts.categories.len()), ("medium", 1));
    }
}
