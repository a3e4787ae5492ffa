//! Triage: which incidents the experts take, and which first (TRI-1, TRI-2, TRI-5, TRI-7).
//!
//! Pure decisions over facts; `incident` gathers the facts and carries the decision out in the
//! transaction that made or changed the incident. Not here: noise rules.

pub mod model;

use std::collections::BTreeSet;

use serde_json::Value;

use crate::triage::model::{Class, Products, Scope};

/// The scope a tenant agreed on, from its settings: `optIns` (words of [`Class`]), `products`,
/// `coveredDevices` and `coveredUsers` (members of the groups that limit coverage, absent when
/// there is no such group). What is missing or unreadable means the usual scope.
#[must_use]
pub fn scope(settings: &str) -> Scope {
    let settings: Value = serde_json::from_str(settings).unwrap_or_default();
    let words = |name: &str| -> Option<BTreeSet<String>> {
        let list = settings.get(name)?.as_array()?;
        Some(list.iter().filter_map(Value::as_str).map(str::to_lowercase).collect())
    };
    let opt_ins = words("optIns").unwrap_or_default();
    let class = |word: &str| match word {
        "lowseverity" => Some(Class::LowSeverity),
        "customdetection" => Some(Class::CustomDetection),
        "datalossprevention" => Some(Class::DataLossPrevention),
        "compliance" => Some(Class::Compliance),
        "iot" => Some(Class::Iot),
        "mobile" => Some(Class::Mobile),
        _ => None,
    };
    Scope {
        opt_ins: opt_ins.iter().filter_map(|word| class(word)).collect(),
        products: words("products").map_or(Products::All, Products::Only),
        devices: words("coveredDevices"),
        users: words("coveredUsers"),
    }
}
