//! What the readers of third-party formats share: reading members by path, and an alert under
//! construction.
//!
//! [`Fields`] remembers which members of a record found a place, so that exactly the others end
//! up in `additionalData`. A path such as `rule.mitre.id` finds the member whether the product
//! nests objects, writes the dotted path as one flat key, or mixes both. Nothing here knows a
//! product, and nothing here reads the clock.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::{NewAlert, Reading, when};

/// Words products write where they have no value.
const NOTHING: [&str; 9] = ["-", "n/a", "none", "null", "unknown", "<na>", "(no user)", "na", "?"];
/// Objects nested deeper than this are kept whole in `additionalData`.
const MAX_DEPTH: usize = 32;
/// No alert is about more techniques; the bound keeps looking for repeats linear.
const MAX_TECHNIQUES: usize = 500;

/// Most pieces of evidence an alert carries; a piece is many times larger than the member it is
/// made of.
const MAX_EVIDENCE: usize = 2000;

/// The members of one record, and which of them have been used.
pub(super) struct Fields<'a> {
    root: &'a Value,
    /// Addresses of the used values within `root`, which is borrowed and so cannot move.
    used: HashSet<usize>,
}

impl<'a> Fields<'a> {
    /// No member of `root` is used yet.
    pub(super) fn new(root: &'a Value) -> Self {
        Self { root, used: HashSet::new() }
    }

    /// The member at a dotted path, nested or flat; `None` when absent or null.
    pub(super) fn find(&self, path: &str) -> Option<&'a Value> {
        find(self.root, path)
    }

    /// The member as trimmed text, not yet used.
    pub(super) fn peek(&self, path: &str) -> Option<String> {
        self.find(path).and_then(text)
    }

    /// The member as trimmed text; numbers and booleans count as text, blank text does not.
    pub(super) fn text(&mut self, path: &str) -> Option<String> {
        let found = self.find(path)?;
        let text = text(found)?;
        self.mark(found);
        Some(text)
    }

    /// The first of several members that holds text.
    pub(super) fn first(&mut self, paths: &[&str]) -> Option<String> {
        paths.iter().find_map(|path| self.text(path))
    }

    /// The scalars of a list member, or the one scalar.
    pub(super) fn texts(&mut self, path: &str) -> Vec<String> {
        let Some(found) = self.find(path) else { return Vec::new() };
        let texts = texts(found);
        if !texts.is_empty() {
            self.mark(found);
        }
        texts
    }

    /// The member as a moment in the wire spelling.
    pub(super) fn time(&mut self, path: &str) -> Option<String> {
        let found = self.find(path)?;
        let time = when::wire(found)?;
        self.mark(found);
        Some(time)
    }

    /// The first of several members that holds a moment.
    pub(super) fn first_time(&mut self, paths: &[&str]) -> Option<String> {
        paths.iter().find_map(|path| self.time(path))
    }

    /// The member as a whole number, also when spelt as text.
    pub(super) fn int(&mut self, path: &str) -> Option<i64> {
        let found = self.find(path)?;
        let int = int(found)?;
        self.mark(found);
        Some(int)
    }

    /// The objects of a list member, or the one object.
    pub(super) fn items(&self, path: &str) -> Vec<&'a Value> {
        match self.find(path) {
            Some(Value::Array(items)) => items.iter().filter(|item| item.is_object()).collect(),
            Some(one) if one.is_object() => vec![one],
            _ => Vec::new(),
        }
    }

    /// Marks a member as used: it has found its place otherwise.
    pub(super) fn take(&mut self, path: &str) {
        if let Some(found) = self.find(path) {
            self.mark(found);
        }
    }

    fn mark(&mut self, value: &Value) {
        self.used.insert(std::ptr::from_ref(value).addr());
    }

    /// The members not used, in their own nesting; nulls and emptied objects are left out.
    pub(super) fn leftover(&self) -> Map<String, Value> {
        match self.prune(self.root, 0) {
            Some(Value::Object(left)) => left,
            _ => Map::new(),
        }
    }

    fn prune(&self, value: &Value, depth: usize) -> Option<Value> {
        if value.is_null() || self.used.contains(&std::ptr::from_ref(value).addr()) {
            return None;
        }
        let Value::Object(members) = value else { return Some(value.clone()) };
        if depth > MAX_DEPTH {
            return Some(value.clone());
        }
        let left: Map<String, Value> = members
            .iter()
            .filter_map(|(name, member)| Some((name.clone(), self.prune(member, depth + 1)?)))
            .collect();
        if left.is_empty() { None } else { Some(Value::Object(left)) }
    }
}

/// The member of an object at a dotted path, nested or flat; `None` when absent or null.
pub(super) fn find<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    let members = value.as_object()?;
    if let Some(found) = members.get(path) {
        return Some(found).filter(|found| !found.is_null());
    }
    path.match_indices('.').find_map(|(dot, _)| {
        let (head, tail) = path.split_at_checked(dot)?;
        find(members.get(head)?, tail.strip_prefix('.')?)
    })
}

/// Text at a dotted path of an object.
pub(super) fn text_at(value: &Value, path: &str) -> Option<String> {
    find(value, path).and_then(text)
}

/// A scalar as trimmed text; `None` for blank text, null, lists and objects.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim()).filter(|text| !text.is_empty()).map(str::to_owned),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

/// The scalars of a list as text, or the one scalar.
pub(super) fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().filter_map(text).collect(),
        one => text(one).into_iter().collect(),
    }
}

/// A whole number, also one spelt as text.
pub(super) fn int(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// `None` for the words products write where they have no value.
pub(super) fn something(text: &str) -> Option<&str> {
    let text = text.trim();
    let nothing = text.is_empty() || NOTHING.iter().any(|word| text.eq_ignore_ascii_case(word));
    if nothing { None } else { Some(text) }
}

/// The contract's severity of a word; `None` when it is not a severity word.
pub(super) fn severity_word(word: &str) -> Option<&'static str> {
    match word.trim().to_ascii_lowercase().as_str() {
        "critical" | "very-high" | "very high" | "veryhigh" | "high" | "major" | "severe"
        | "fatal" | "emergency" | "alert" | "error" => Some("high"),
        "medium" | "moderate" | "warning" | "warn" | "minor" => Some("medium"),
        "low" | "notice" => Some("low"),
        "informational" | "information" | "info" | "debug" => Some("informational"),
        _ => None,
    }
}

/// The contract's spelling of an ATT&CK tactic, such as `CredentialAccess` for `credential_access`
/// or `Credential Access`; `None` when the text names no tactic.
pub(super) fn tactic(text: &str) -> Option<&'static str> {
    const TACTICS: [&str; 16] = [
        "Reconnaissance",
        "ResourceDevelopment",
        "InitialAccess",
        "Execution",
        "Persistence",
        "PrivilegeEscalation",
        "DefenseEvasion",
        "CredentialAccess",
        "Discovery",
        "LateralMovement",
        "Collection",
        "CommandAndControl",
        "Exfiltration",
        "Impact",
        "Stealth",
        "DefenseImpairment",
    ];
    let letters = || text.chars().filter(char::is_ascii_alphanumeric);
    TACTICS.into_iter().find(|tactic| {
        letters().count() == tactic.len()
            && letters().zip(tactic.chars()).all(|(a, b)| a.eq_ignore_ascii_case(&b))
    })
}

/// The ATT&CK technique ids in a text, such as `T1059.001`, in their order and each once.
///
/// Finds them alone (`T1110`), behind a tactic (`TA0006:T1110`), in lists with any separator, in
/// brackets behind a name, as a tag (`attack.t1059.001`) and in links (`/T1059/001/`).
pub(super) fn techniques(text: &str) -> Vec<String> {
    let bytes = text.as_bytes();
    let mut found: Vec<String> = Vec::new();
    let mut before = b' ';
    for (at, &byte) in bytes.iter().enumerate() {
        let starts = matches!(byte, b'T' | b't') && !before.is_ascii_alphanumeric();
        before = byte;
        if !starts {
            continue;
        }
        let digits = |from: usize, count: usize| {
            let run = bytes.get(from..from.checked_add(count)?)?;
            let ends = bytes.get(from + count).is_none_or(|next| !next.is_ascii_alphanumeric());
            if ends && run.iter().all(u8::is_ascii_digit) {
                text.get(from..from + count)
            } else {
                None
            }
        };
        let Some(technique) = digits(at + 1, 4) else { continue };
        let sub = match bytes.get(at + 5) {
            Some(b'.' | b'/') => digits(at + 6, 3),
            _ => None,
        };
        let id = match sub {
            Some(sub) => format!("T{technique}.{sub}"),
            None => format!("T{technique}"),
        };
        if !found.contains(&id) {
            found.push(id);
        }
        if found.len() >= MAX_TECHNIQUES {
            break;
        }
    }
    found
}

/// An alert under construction, filled member by member.
pub(super) struct Draft {
    source: String,
    source_id: Option<String>,
    body: Map<String, Value>,
    techniques: Vec<String>,
    evidence: Vec<Value>,
    /// Pieces beyond the bound.
    left_out: u64,
    /// Evidence without its roles, to the place of the same evidence.
    places: HashMap<String, usize>,
}

impl Draft {
    /// An alert of `source` that knows nothing but its title; a blank title is replaced.
    pub(super) fn new(source: &str, title: Option<String>) -> Self {
        let title = title.filter(|title| !title.trim().is_empty());
        let mut body = Map::new();
        let title = title.unwrap_or_else(|| "Alert without a title".to_owned());
        body.insert("title".to_owned(), Value::String(title.trim().to_owned()));
        for (name, value) in [
            ("severity", "unknown"),
            ("status", "new"),
            ("serviceSource", "unknown"),
            ("detectionSource", "unknown"),
        ] {
            body.insert(name.to_owned(), Value::String(value.to_owned()));
        }
        Self {
            source: source.to_owned(),
            source_id: None,
            body,
            techniques: Vec::new(),
            evidence: Vec::new(),
            left_out: 0,
            places: HashMap::new(),
        }
    }

    /// Sets a member of the body when there is a value for it.
    pub(super) fn set<T: Into<Value>>(&mut self, name: &str, value: Option<T>) {
        if let Some(value) = value {
            self.body.insert(name.to_owned(), value.into());
        }
    }

    /// The product's own unique id of the alert, also its `providerAlertId`.
    pub(super) fn id(&mut self, id: Option<String>) {
        self.set("providerAlertId", id.clone());
        self.source_id = id;
    }

    /// What recognises a repeat, where it is not the product's own id alone.
    pub(super) fn unique(&mut self, id: Option<String>) {
        self.source_id = id;
    }

    /// Adds the ATT&CK ids found in a text.
    pub(super) fn mitre(&mut self, text: &str) {
        for id in techniques(text) {
            // The bound keeps a list of many texts linear.
            if self.techniques.len() < MAX_TECHNIQUES && !self.techniques.contains(&id) {
                self.techniques.push(id);
            }
        }
    }

    /// Adds a piece of evidence; the same evidence again only adds its roles.
    pub(super) fn evidence(&mut self, piece: Option<Value>) {
        let Some(Value::Object(mut piece)) = piece else { return };
        let roles = piece.remove("roles");
        let key = Value::Object(piece.clone()).to_string();
        if let Some(&place) = self.places.get(&key) {
            let known = self.evidence.get_mut(place).and_then(Value::as_object_mut);
            if let (Some(known), Some(Value::Array(roles))) = (known, roles) {
                let merged = known.entry("roles").or_insert_with(|| Value::Array(Vec::new()));
                if let Value::Array(merged) = merged {
                    for role in roles {
                        if !merged.contains(&role) {
                            merged.push(role);
                        }
                    }
                }
            }
            return;
        }
        if self.evidence.len() >= MAX_EVIDENCE {
            self.left_out += 1;
            return;
        }
        if let Some(roles) = roles {
            piece.insert("roles".to_owned(), roles);
        }
        self.places.insert(key, self.evidence.len());
        self.evidence.push(Value::Object(piece));
    }

    /// The finished alert, with what found no place as its `additionalData`.
    pub(super) fn finish(mut self, mut leftover: Map<String, Value>) -> Reading {
        if self.left_out > 0 {
            leftover.insert("evidenceLeftOut".to_owned(), Value::from(self.left_out));
        }
        let techniques = self.techniques.into_iter().map(Value::String).collect();
        self.body.insert("mitreTechniques".to_owned(), Value::Array(techniques));
        self.body.insert("evidence".to_owned(), Value::Array(self.evidence));
        if !leftover.is_empty() {
            self.body.insert("additionalData".to_owned(), Value::Object(leftover));
        }
        let newest = ["lastUpdateDateTime", "lastActivityDateTime", "createdDateTime"];
        let updated = newest.iter().find_map(|name| when::from_value(self.body.get(*name)?));
        Reading::Alerts(vec![NewAlert {
            source: self.source,
            source_id: self.source_id,
            updated,
            body: self.body,
            raw: None,
        }])
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn techniques_are_found_however_they_are_spelt() {
        for (text, expected) in [
            ("TA0006:T1110", &["T1110"][..]),
            ("T1047;T1082;T1497.001", &["T1047", "T1082", "T1497.001"]),
            ("Valid Accounts (T1078)", &["T1078"]),
            ("attack.t1059.001", &["T1059.001"]),
            ("https://attack.mitre.org/techniques/T1059/006/", &["T1059.006"]),
            ("[\"T1053\",\"T1053\"]", &["T1053"]),
            ("T1059.0012 T10590 XT1059 TA0001 T105 s0190 t1", &["T1059"]),
            ("T1059.001é T1234é", &["T1059.001", "T1234"]),
            ("", &[]),
        ] {
            assert_eq!(techniques(text), expected, "{text}");
        }
    }

    #[test]
    fn members_are_found_flat_nested_and_mixed() {
        let record = json!({"a.b": {"c": 1}, "a": {"b.d": "x", "e": {"f": " "}}, "g": null});
        assert_eq!(find(&record, "a.b.c"), Some(&json!(1)));
        assert_eq!(find(&record, "a.b.d"), Some(&json!("x")));
        assert_eq!(find(&record, "g"), None);
        let mut fields = Fields::new(&record);
        assert_eq!(fields.text("a.e.f"), None);
        assert_eq!(fields.text("a.b.c").as_deref(), Some("1"));
        assert_eq!(fields.text("a.b.d").as_deref(), Some("x"));
        let left = Value::Object(fields.leftover());
        assert_eq!(left, json!({"a": {"e": {"f": " "}}}));
    }

    #[test]
    fn tactics_have_the_spelling_of_the_contract() {
        assert_eq!(tactic("credential_access"), Some("CredentialAccess"));
        assert_eq!(tactic("Command and Control"), Some("CommandAndControl"));
        assert_eq!(tactic("defense-impairment"), Some("DefenseImpairment"));
        assert_eq!(tactic("Misc activity"), None);
    }

    #[test]
    fn the_same_evidence_only_adds_its_roles() {
        let mut draft = Draft::new("x", Some("  ".to_owned()));
        for role in ["source", "source", "attacker"] {
            draft.evidence(super::super::parts::ip("192.0.2.1", &[role]));
        }
        draft.evidence(super::super::parts::ip("192.0.2.0/24", &[]));
        let Reading::Alerts(alerts) = draft.finish(Map::new()) else { panic!() };
        let body = &alerts[0].body;
        assert_eq!(body["title"], "Alert without a title");
        assert_eq!(body["evidence"].as_array().unwrap().len(), 1);
        assert_eq!(body["evidence"][0]["roles"], json!(["source", "attacker"]));
        assert!(!body.contains_key("additionalData"));

        let mut draft = Draft::new("x", None);
        for host in 0..MAX_EVIDENCE + 3 {
            draft.evidence(super::super::parts::device(&format!("till-{host}"), None, &[]));
        }
        let Reading::Alerts(alerts) = draft.finish(Map::new()) else { panic!() };
        let body = &alerts[0].body;
        assert_eq!(body["evidence"].as_array().unwrap().len(), MAX_EVIDENCE);
        assert_eq!(body["additionalData"], json!({"evidenceLeftOut": 3}));
    }
}
