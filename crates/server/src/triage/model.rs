//! Triage: whether the experts take an incident and why not, and how urgent it is. Pure.
//!
//! Invariants: an incident is left out for what *all* of it is, never because one alert among
//! others is of a kind that is not covered; the same facts always give the same answer; a higher
//! severity never gives a lower priority, and the factors shown add up to the score.
//! Not here: gathering the facts, and what follows from the answer (see `incident`).

mod priority;
#[cfg(test)]
mod tests;

pub use priority::{Factor, Hint, Priority, priority};

use std::collections::BTreeSet;
use std::fmt;

use crate::word::Severity;

/// What is known about an incident when triage looks at it. Words are compared in any case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The severity of the incident.
    pub severity: Severity,
    /// The different kinds of alert in it.
    pub signals: BTreeSet<Signal>,
    /// The platform words of its devices.
    pub platforms: BTreeSet<String>,
    /// Every identifier by which its devices go: ids and names.
    pub devices: BTreeSet<String>,
    /// Every identifier by which its accounts and mailboxes go: ids, names and addresses.
    pub accounts: BTreeSet<String>,
    /// How many devices, accounts and other assets it touches.
    pub assets: u32,
    /// The tags and criticality words of those assets.
    pub asset_tags: BTreeSet<String>,
    /// The MITRE technique ids its alerts name.
    pub techniques: BTreeSet<String>,
    /// How many alerts it has.
    pub alerts: u32,
    /// How many different titles its alerts have.
    pub titles: u32,
    /// How much of its evidence is malicious.
    pub malicious: u32,
    /// How often alerts of its titles came up in this tenant before; `None` when not counted.
    pub seen_before: Option<u32>,
    /// What its titles, tags and descriptions hint at.
    pub hints: BTreeSet<Hint>,
}

/// One kind of alert, in the words of the contract; empty where nothing is said.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Signal {
    /// The service it came from.
    pub service_source: String,
    /// The product by name, which is all that tells third-party products apart.
    pub product: String,
    /// What detected it.
    pub detection_source: String,
    /// Its category.
    pub category: String,
}

/// A class of incidents the experts take only where a customer opts in (OPP-6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Severity below medium, or not said.
    LowSeverity,
    /// Detections the customer wrote.
    CustomDetection,
    /// Data loss prevention.
    DataLossPrevention,
    /// Compliance and insider risk.
    Compliance,
    /// Devices of the Internet of Things and of plants.
    Iot,
    /// Phones and tablets.
    Mobile,
}

/// Which products the experts cover.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Products {
    /// Every product that sends alerts.
    #[default]
    All,
    /// Those of these service sources or product names alone.
    Only(BTreeSet<String>),
}

/// What a customer has agreed with the experts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Classes taken beyond the usual ones.
    pub opt_ins: BTreeSet<Class>,
    /// Products covered.
    pub products: Products,
    /// Identifiers of the direct members of the device group that limits coverage, if it exists.
    pub devices: Option<BTreeSet<String>>,
    /// Identifiers of the direct members of the user group that limits coverage, if it exists.
    pub users: Option<BTreeSet<String>>,
}

/// What triage decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The experts take it (T2).
    Queued,
    /// It is left to the customer (TRI-2).
    LeftOut(Reason),
}

/// Why an incident is left to the customer; displays as the sentence shown to people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Too little harm.
    Severity(Severity),
    /// All its alerts come from detections the customer wrote.
    CustomDetection,
    /// All its alerts are data loss prevention.
    DataLossPrevention,
    /// All its alerts are about compliance.
    Compliance,
    /// It touches nothing but devices of the Internet of Things.
    Iot,
    /// It touches nothing but phones and tablets.
    Mobile,
    /// All its alerts come from products that are not covered; one of them by name.
    Product(String),
    /// None of its assets is in the groups that limit coverage.
    OutsideGroups,
}

impl Reason {
    /// The word under which reasons are counted.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Severity(_) => "severity",
            Self::CustomDetection => "customDetection",
            Self::DataLossPrevention => "dataLossPrevention",
            Self::Compliance => "compliance",
            Self::Iot => "iot",
            Self::Mobile => "mobile",
            Self::Product(_) => "product",
            Self::OutsideGroups => "outsideGroups",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sentence = match self {
            Self::Severity(severity) => {
                return write!(
                    f,
                    "Severity is {severity}; experts take incidents of high or medium severity."
                );
            }
            Self::Product(name) => return write!(f, "The product {name} is not covered."),
            Self::CustomDetection => "All its alerts come from custom detections.",
            Self::DataLossPrevention => "All its alerts are data loss prevention.",
            Self::Compliance => "All its alerts are about compliance.",
            Self::Iot => "It touches no devices but those of the Internet of Things.",
            Self::Mobile => "It touches no devices but phones and tablets.",
            Self::OutsideGroups => {
                "None of its devices and users is a member of the groups that limit coverage."
            }
        };
        f.write_str(sentence)
    }
}

/// Whether the experts take an incident (TRI-1, TRI-2, TRI-5).
#[must_use]
pub fn decide(facts: &Facts, scope: &Scope) -> Decision {
    let reason = too_harmless(facts, scope)
        .or_else(|| no_covered_signal(facts, scope))
        .or_else(|| no_covered_device(facts, scope))
        .or_else(|| outside_groups(facts, scope));
    reason.map_or(Decision::Queued, Decision::LeftOut)
}

fn too_harmless(facts: &Facts, scope: &Scope) -> Option<Reason> {
    let harmless = facts.severity < Severity::Medium && !scope.takes(Class::LowSeverity);
    harmless.then_some(Reason::Severity(facts.severity))
}

/// The first signal's reason when no signal is covered; an incident that names none is covered.
fn no_covered_signal(facts: &Facts, scope: &Scope) -> Option<Reason> {
    let mut first = None;
    for signal in &facts.signals {
        let reason = signal.class().filter(|class| !scope.takes(*class)).map_or_else(
            || (!scope.covers(signal)).then(|| Reason::Product(signal.shown_product().to_owned())),
            |class| Some(class.reason(facts.severity)),
        );
        let reason = reason?;
        first.get_or_insert(reason);
    }
    first
}

/// Phones and things are left out where they are all there is; what an identity, mail or cloud
/// service saw is covered whatever device the person held (TRI-1).
fn no_covered_device(facts: &Facts, scope: &Scope) -> Option<Reason> {
    if facts.signals.iter().any(Signal::is_beyond_devices) {
        return None;
    }
    let mut first = None;
    for platform in &facts.platforms {
        let class = platform_class(platform).filter(|class| !scope.takes(*class))?;
        first.get_or_insert(class.reason(facts.severity));
    }
    first
}

fn outside_groups(facts: &Facts, scope: &Scope) -> Option<Reason> {
    if scope.devices.is_none() && scope.users.is_none() {
        return None;
    }
    let member = |group: &Option<BTreeSet<String>>, assets: &BTreeSet<String>| {
        let members: BTreeSet<String> =
            group.iter().flatten().map(|id| id.to_lowercase()).collect();
        assets.iter().any(|id| members.contains(&id.to_lowercase()))
    };
    let inside = member(&scope.devices, &facts.devices) || member(&scope.users, &facts.accounts);
    (!inside).then_some(Reason::OutsideGroups)
}

impl Scope {
    fn takes(&self, class: Class) -> bool {
        self.opt_ins.contains(&class)
    }

    fn covers(&self, signal: &Signal) -> bool {
        match &self.products {
            Products::All => true,
            Products::Only(products) => products.iter().any(|product| {
                let same = |name: &str| !name.is_empty() && name.eq_ignore_ascii_case(product);
                same(&signal.service_source) || same(&signal.product)
            }),
        }
    }
}

impl Class {
    fn reason(self, severity: Severity) -> Reason {
        match self {
            Self::LowSeverity => Reason::Severity(severity),
            Self::CustomDetection => Reason::CustomDetection,
            Self::DataLossPrevention => Reason::DataLossPrevention,
            Self::Compliance => Reason::Compliance,
            Self::Iot => Reason::Iot,
            Self::Mobile => Reason::Mobile,
        }
    }
}

impl Signal {
    /// The opt-in class this kind of alert belongs to, if any.
    #[must_use]
    pub fn class(&self) -> Option<Class> {
        let source = |words: &[&str]| {
            words.iter().any(|word| {
                self.service_source.eq_ignore_ascii_case(word)
                    || self.detection_source.eq_ignore_ascii_case(word)
            })
        };
        // Products write categories with or without blanks.
        let category: String =
            self.category.chars().filter(|c| c.is_alphanumeric()).take(64).collect();
        let category_is =
            |words: &[&str]| words.iter().any(|word| category.eq_ignore_ascii_case(word));
        if source(&["dataLossPrevention", "microsoftDataLossPrevention"])
            || category_is(&["dlp", "dataLossPrevention"])
        {
            Some(Class::DataLossPrevention)
        } else if source(&["microsoftInsiderRiskManagement"])
            || category_is(&["compliance", "insiderRisk"])
        {
            Some(Class::Compliance)
        } else if source(&["customDetection", "customTi"]) || category_is(&["customDetection"]) {
            Some(Class::CustomDetection)
        } else if source(&["microsoftDefenderForIoT"]) {
            Some(Class::Iot)
        } else {
            None
        }
    }

    /// Whether an identity, mail or cloud service speaks, and not a device.
    fn is_beyond_devices(&self) -> bool {
        [
            "microsoftDefenderForIdentity",
            "microsoftDefenderForCloudApps",
            "microsoftDefenderForOffice365",
            "azureAdIdentityProtection",
            "microsoftAppGovernance",
            "microsoftDefenderForCloud",
        ]
        .iter()
        .any(|word| self.service_source.eq_ignore_ascii_case(word))
    }

    fn shown_product(&self) -> &str {
        match (self.product.is_empty(), self.service_source.is_empty()) {
            (false, _) => &self.product,
            (true, false) => &self.service_source,
            (true, true) => "of an unknown source",
        }
    }
}

/// The opt-in class of a device by its platform word; `None` for computers and what is not known.
fn platform_class(platform: &str) -> Option<Class> {
    let platform: String = platform.trim().chars().take(64).collect::<String>().to_lowercase();
    let starts = |words: &[&str]| words.iter().any(|word| platform.starts_with(word));
    if starts(&["ios", "ipados", "iphone", "ipad", "android"]) {
        Some(Class::Mobile)
    } else if starts(&["iot", "ot", "windowsiot", "enterpriseiot"])
        && !platform.starts_with("other")
    {
        Some(Class::Iot)
    } else {
        None
    }
}
