//! How urgent an incident is: a score of plain, additive factors, each with its reason (TRI-7).

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::Facts;
use crate::word::Severity;

/// How much of a text is read for hints, in characters.
const READ: usize = 2_000;

/// Something that makes an incident urgent whatever its alerts' severity says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hint {
    /// Automatic attack disruption stepped in.
    Disruption,
    /// Ransomware.
    Ransomware,
    /// A state stands behind it.
    NationState,
    /// It belongs to a threat that analysts report on.
    ThreatAnalytics,
}

impl Hint {
    /// What a title, category, tag or description hints at.
    #[must_use]
    pub fn heard(text: &str) -> BTreeSet<Self> {
        let text = text.chars().take(READ).collect::<String>().to_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
        let numbered_actor = || {
            text.split(|c: char| !c.is_alphanumeric()).any(|token| {
                token.strip_prefix("apt").is_some_and(|number| {
                    !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
                })
            })
        };
        let mut hints = BTreeSet::new();
        if says(&["attack disruption", "attackdisruption"]) {
            hints.insert(Self::Disruption);
        }
        if says(&["ransomware"]) {
            hints.insert(Self::Ransomware);
        }
        if says(&["nation-state", "nation state", "nationstate", "state-sponsored"])
            || numbered_actor()
        {
            hints.insert(Self::NationState);
        }
        if says(&["threat analytics", "threatanalytics", "emerging threat"]) {
            hints.insert(Self::ThreatAnalytics);
        }
        hints
    }
}

/// How urgent an incident is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Priority {
    /// 0 to 100: the sum of the factors, but never more than 100. Above 85 is top, below 15 low.
    pub score: u8,
    /// What adds to it, in a fixed order; nothing adds no points.
    pub factors: Vec<Factor>,
}

/// One thing that adds to a priority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Factor {
    /// Its name in the interface.
    pub name: &'static str,
    /// What it adds.
    pub points: u8,
    /// Why, for people.
    pub why: String,
}

impl Priority {
    /// The factors as JSON: an array of name, points and reason.
    #[must_use]
    pub fn factors_json(&self) -> Value {
        self.factors
            .iter()
            .map(|factor| json!({"name": factor.name, "points": factor.points, "why": factor.why}))
            .collect()
    }
}

/// Computes the priority; the same facts give the same score, and more severity never less.
#[must_use]
pub fn priority(facts: &Facts) -> Priority {
    let mut hints = facts.hints.clone();
    let mut categories = BTreeSet::new();
    for signal in &facts.signals {
        hints.extend(Hint::heard(&signal.category));
        let category = signal.category.trim().to_lowercase();
        if !category.is_empty() && category != "unknown" {
            categories.insert(category);
        }
    }
    let mut factors = Vec::new();
    let mut add = |name, points: u8, why: String| {
        if points > 0 {
            factors.push(Factor { name, points, why });
        }
    };

    let points = match facts.severity {
        Severity::Unknown => 0,
        Severity::Informational => 2,
        Severity::Low => 4,
        Severity::Medium => 28,
        Severity::High => 52,
    };
    add("severity", points, format!("severity is {}", facts.severity));
    for hint in hints {
        let (name, points, why) = match hint {
            Hint::Disruption => ("disruption", 14, "automatic attack disruption stepped in"),
            Hint::Ransomware => ("ransomware", 24, "it looks like ransomware"),
            Hint::NationState => ("nationState", 20, "a state may stand behind it"),
            Hint::ThreatAnalytics => ("threatAnalytics", 6, "a reported threat matches it"),
        };
        add(name, points, why.to_owned());
    }
    let stages = categories.len();
    let points = match stages {
        0 | 1 => 0,
        2 => 8,
        _ => 12,
    };
    add("stages", points, format!("it spans {stages} stages of an attack"));
    let known = facts.techniques.len();
    add("techniques", known.min(3) as u8, format!("it shows {}", count(known, "known technique")));
    let points = match facts.malicious {
        0 => 0,
        1 => 2,
        2..5 => 3,
        _ => 5,
    };
    let found = facts.malicious as usize;
    add("malicious", points, format!("{} confirmed malicious", count(found, "piece of evidence")));
    if let Some(tag) = facts.asset_tags.iter().find(|tag| is_critical(tag)) {
        let tag: String = tag.trim().chars().take(64).collect();
        add("criticality", 10, format!("an asset is marked {tag}"));
    }
    let points = match facts.assets {
        0..3 => 0,
        3..10 => 2,
        10..50 => 4,
        _ => 6,
    };
    add("spread", points, format!("it touches {} assets", facts.assets));
    let points = match facts.titles {
        0 | 1 => 0,
        2..5 => 2,
        _ => 4,
    };
    add("variety", points, format!("its alerts are of {} types", facts.titles));
    let points = match facts.alerts {
        0 | 1 => 0,
        2..10 => 1,
        _ => 2,
    };
    add("volume", points, format!("it holds {} alerts", facts.alerts));
    if facts.seen_before == Some(0) {
        add("rarity", 2, "no such alert was seen here before".to_owned());
    }

    let sum: u32 = factors.iter().map(|factor| u32::from(factor.points)).sum();
    Priority { score: sum.min(100) as u8, factors }
}

fn count(number: usize, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{number} × {thing}") }
}

/// Whether a tag or criticality word marks what the customer cannot afford to lose.
fn is_critical(tag: &str) -> bool {
    let tag: String =
        tag.chars().filter(|c| c.is_alphanumeric()).take(64).collect::<String>().to_lowercase();
    if tag.starts_with("non") || tag.starts_with("not") {
        return false;
    }
    ["critical", "highvalue", "domaincontroller", "crownjewel", "tier0", "veryhigh", "sensitive"]
        .iter()
        .any(|word| tag.contains(word))
}
