//! What an incident's alerts say, added up: the material of its name, scope and priority.
//!
//! Kept with the incident so that one more alert costs one addition and not a look at all alerts
//! before it. Sets are capped: beyond the cap only the count says that there is more.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::alert::Head;
use crate::triage::model as triage;
use crate::word::Severity;

/// Members of a set kept by name; a name of an incident or a rule of triage needs no more.
const KEPT: usize = 200;
/// Stands between the words of a signal; no product's word contains it.
const APART: char = '\u{1f}';

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Facts {
    /// Devices by host name.
    pub devices: Named,
    /// Accounts and mailboxes by principal name, else by name.
    pub accounts: Named,
    /// Products, by the name people know.
    pub products: Named,
    /// Kinds of alert: service source, product, detection source and category, each pair apart by
    /// [`APART`].
    pub signals: Named,
    /// Every other identifier by which its devices go: ids and short names.
    pub device_ids: Named,
    /// Every other identifier by which its accounts go: ids and names.
    pub account_ids: Named,
    /// Attack categories.
    pub categories: Named,
    /// Titles of alerts.
    pub titles: Named,
    /// ATT&CK technique ids.
    pub techniques: Named,
    /// Platforms of devices, as the sources spell them.
    pub platforms: Named,
    /// Groups of devices, as the sources name them.
    pub groups: Named,
    /// Sensitivity labels of what is named.
    pub labels: Named,
    /// Threats by name and family.
    pub threats: Named,
    /// Tags of alerts and evidence.
    pub tags: Named,
    /// Pieces of evidence judged malicious.
    pub malicious: u64,
    /// The highest severity of the alerts, as its stored number.
    pub severity: i16,
}

/// A set of names of which the first [`KEPT`] are kept; never shrinks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Named(BTreeSet<String>);

impl Named {
    fn add(&mut self, name: &str) {
        let name = name.trim();
        if !name.is_empty() && self.0.len() < KEPT {
            self.0.insert(name.chars().filter(|c| !c.is_control()).take(200).collect());
        }
    }

    /// Adds a word of ours as it is.
    fn insert(&mut self, word: String) {
        if self.0.len() < KEPT {
            self.0.insert(word);
        }
    }

    fn join(&mut self, other: &Self) {
        for name in &other.0 {
            self.add(name);
        }
    }

    /// How many there are; at the cap this is "at least".
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many different things the names stand for, when one product says `kiosk-7` and another
    /// `kiosk-7.alder.example`: a name counts only if no longer one continues it with `mark`.
    #[must_use]
    pub fn distinct(&self, mark: char) -> usize {
        let continued = |name: &str| {
            let longer = format!("{name}{mark}");
            self.0.range(longer.clone()..).next().is_some_and(|next| next.starts_with(&longer))
        };
        self.0.iter().filter(|name| !continued(name)).count()
    }

    /// The names in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// The names in ascending order, owned.
    #[must_use]
    pub fn to_vec(&self) -> Vec<String> {
        self.0.iter().cloned().collect()
    }
}

impl Facts {
    /// What one alert says.
    #[must_use]
    pub fn of(head: &Head, body: &Map<String, Value>) -> Self {
        let mut facts = Self { severity: head.severity.code(), ..Self::default() };
        facts.titles.add(&head.title);
        let signal: Vec<&str> = [
            Some(&head.service_source),
            head.product_name.as_ref(),
            head.detection_source.as_ref(),
            head.category.as_ref(),
        ]
        .into_iter()
        .map(|word| word.map_or("", String::as_str))
        .collect();
        facts.signals.insert(signal.join(&APART.to_string()));
        for (set, word) in
            [(&mut facts.categories, &head.category), (&mut facts.products, &head.product_name)]
        {
            if let Some(word) = word {
                set.add(word);
            }
        }
        for technique in strings(body.get("mitreTechniques")) {
            facts.techniques.add(technique);
        }
        for tag in strings(body.get("systemTags")) {
            facts.tags.add(tag);
        }
        for name in ["threatDisplayName", "threatFamilyName"] {
            facts.threats.add(body.get(name).and_then(Value::as_str).unwrap_or_default());
        }
        for name in ["sensitivityLabel", "SensitivityLabel"] {
            let label = body.get("additionalData").and_then(|more| more.get(name));
            facts.labels.add(label.and_then(Value::as_str).unwrap_or_default());
        }
        for evidence in body.get("evidence").and_then(Value::as_array).into_iter().flatten() {
            facts.add_evidence(evidence);
        }
        facts
    }

    fn add_evidence(&mut self, evidence: &Value) {
        let text = |pointer: &str| {
            evidence.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty())
        };
        if text("/verdict") == Some("malicious") {
            self.malicious += 1;
        }
        for tag in strings(evidence.get("tags")) {
            self.tags.add(tag);
        }
        self.labels.add(text("/sensitivityLabel").unwrap_or_default());
        let kind = text("/@odata.type").unwrap_or_default();
        match kind.rsplit('.').next().unwrap_or_default() {
            "deviceEvidence" => {
                if let Some(name) = text("/deviceDnsName").or_else(|| text("/hostName")) {
                    self.devices.add(&name.to_lowercase());
                }
                for id in ["/hostName", "/mdeDeviceId", "/azureAdDeviceId"] {
                    self.device_ids.add(&text(id).unwrap_or_default().to_lowercase());
                }
                if let Some(platform) = text("/osPlatform") {
                    self.platforms.add(platform);
                }
                self.groups.add(text("/rbacGroupName").unwrap_or_default());
            }
            "userEvidence" => {
                let name = text("/userAccount/userPrincipalName")
                    .or_else(|| text("/userAccount/accountName"));
                if let Some(name) = name {
                    self.accounts.add(&name.to_lowercase());
                }
                for id in ["accountName", "azureAdUserId", "userSid"] {
                    let id = text(&format!("/userAccount/{id}")).unwrap_or_default();
                    self.account_ids.add(&id.to_lowercase());
                }
            }
            "mailboxEvidence" => {
                if let Some(name) = text("/upn").or_else(|| text("/primaryAddress")) {
                    self.accounts.add(&name.to_lowercase());
                }
            }
            "ioTDeviceEvidence" => self.platforms.add("IoT"),
            _ => {}
        }
    }

    /// Adds what another alert, or another incident's alerts, say.
    pub fn join(&mut self, other: &Self) {
        for (set, more) in [
            (&mut self.devices, &other.devices),
            (&mut self.accounts, &other.accounts),
            (&mut self.products, &other.products),
            (&mut self.device_ids, &other.device_ids),
            (&mut self.account_ids, &other.account_ids),
            (&mut self.categories, &other.categories),
            (&mut self.titles, &other.titles),
            (&mut self.techniques, &other.techniques),
            (&mut self.platforms, &other.platforms),
            (&mut self.groups, &other.groups),
            (&mut self.labels, &other.labels),
            (&mut self.threats, &other.threats),
            (&mut self.tags, &other.tags),
        ] {
            set.join(more);
        }
        for signal in &other.signals.0 {
            self.signals.insert(signal.clone());
        }
        self.malicious = self.malicious.saturating_add(other.malicious);
        self.severity = self.severity.max(other.severity);
    }

    /// What queues are filtered by besides columns and tags: kind and value.
    pub fn facets(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("platform", &self.platforms),
            ("deviceGroup", &self.groups),
            ("sensitivityLabel", &self.labels),
            ("threat", &self.threats),
        ]
        .into_iter()
        .flat_map(|(kind, names)| names.iter().map(move |name| (kind, name)))
    }

    /// The facts as triage wants them.
    #[must_use]
    pub fn for_triage(&self, severity: Severity, alerts: i64) -> triage::Facts {
        let set = |names: &[&Named]| -> BTreeSet<String> {
            names.iter().flat_map(|names| names.0.iter().cloned()).collect()
        };
        let signals = self.signals.iter().map(|signal| {
            let mut words = signal.split(APART).map(str::to_owned);
            let mut next = || words.next().unwrap_or_default();
            triage::Signal {
                service_source: next(),
                product: next(),
                detection_source: next(),
                category: next(),
            }
        });
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        triage::Facts {
            severity,
            signals: signals.collect(),
            platforms: set(&[&self.platforms]),
            devices: set(&[&self.devices, &self.device_ids]),
            accounts: set(&[&self.accounts, &self.account_ids]),
            assets: count(self.devices.distinct('.') + self.accounts.distinct('@')),
            asset_tags: set(&[&self.tags]),
            techniques: set(&[&self.techniques]),
            alerts: u32::try_from(alerts).unwrap_or(u32::MAX),
            titles: count(self.titles.len()),
            malicious: u32::try_from(self.malicious).unwrap_or(u32::MAX),
            seen_before: None,
            hints: self
                .titles
                .iter()
                .chain(self.tags.iter())
                .flat_map(triage::Hint::heard)
                .collect(),
        }
    }

    /// The highest severity of the alerts.
    #[must_use]
    pub fn highest(&self) -> Severity {
        Severity::from_code(self.severity).unwrap_or_default()
    }
}

fn strings(value: Option<&Value>) -> impl Iterator<Item = &str> {
    value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    fn facts(body: &serde_json::Value) -> Facts {
        let body = body.as_object().cloned().unwrap_or_default();
        Facts::of(&Head::read(&body, Timestamp::default()), &body)
    }

    #[test]
    fn adds_up_what_alerts_say() {
        let mut one = facts(&serde_json::json!({
            "title": "A", "severity": "low", "category": "Execution",
            "evidence": [
                {"@odata.type": "#microsoft.graph.security.deviceEvidence",
                 "deviceDnsName": "LAPTOP-7.alder.example", "osPlatform": "Windows11",
                 "verdict": "malicious"},
                {"@odata.type": "#microsoft.graph.security.userEvidence",
                 "userAccount": {"userPrincipalName": "Ida@alder.example"}}
            ]
        }));
        let two = facts(&serde_json::json!({"title": "B", "severity": "high"}));
        one.join(&two);
        assert_eq!(one.titles.to_vec(), ["A", "B"]);
        assert_eq!(one.devices.to_vec(), ["laptop-7.alder.example"]);
        assert_eq!(one.accounts.to_vec(), ["ida@alder.example"]);
        assert_eq!(one.highest(), Severity::High);
        assert_eq!(one.malicious, 1);
    }

    #[test]
    fn a_short_and_a_full_name_are_one_device() {
        let mut names = Named::default();
        for name in ["kiosk-7", "kiosk-7.alder.example", "kiosk-70", "kiosk-71.alder.example"] {
            names.add(name);
        }
        assert_eq!(names.distinct('.'), 3);
    }

    #[test]
    fn a_set_stays_small() {
        let mut all = Facts::default();
        for number in 0..1_000 {
            all.join(&facts(&serde_json::json!({"title": format!("t{number}")})));
        }
        assert_eq!(all.titles.len(), KEPT);
    }
}
