//! Brings an alert a reader made into the shape of the contract.
//!
//! After [`conform`] every known member holds what the contract says it holds: text is text,
//! dates have the wire spelling, enumerations the contract's, lists are never null. A value that
//! cannot be read as its member's kind becomes null (the raw record keeps it). Unknown members,
//! unknown enumeration values and unknown evidence subtypes stay as they are, because the
//! contract grows.

use serde_json::{Map, Value};

use super::contract::{ALERT, ALERT_DETERMINATION, COMMON, Kind, Member, SUBTYPES};
use super::evidence::{self, NAMESPACE};
use super::when;
use crate::clock::Timestamp;

/// Evidence nested deeper than this is cut off; the contract's own nesting is five.
const MAX_DEPTH: usize = 12;

/// Spellings older clients use, in the form [`same`] compares.
const LEGACY: [(&str, &str); 16] = [
    ("compromiseduser", "compromisedAccount"),
    ("clean", "notMalicious"),
    ("insufficientdata", "notEnoughDataToValidate"),
    ("noenoughdatatovalidate", "notEnoughDataToValidate"),
    ("confirmeduseractivity", "confirmedActivity"),
    ("newalert", "new"),
    ("active", "new"),
    ("notavailable", "unknown"),
    ("unspecifiedalertstatus", "unknown"),
    ("unspecified", "unknown"),
    ("benign", "noThreatsFound"),
    ("info", "informational"),
    ("critical", "high"),
    ("benignpositive", "informationalExpectedActivity"),
    ("informational,expectedactivity", "informationalExpectedActivity"),
    ("closed", "resolved"),
];

/// Brings a whole alert into shape and fills what the contract does not let be absent.
pub fn conform(body: &mut Map<String, Value>) {
    members(body, ALERT, 0);
    for (name, value) in [("severity", "unknown"), ("status", "new"), ("serviceSource", "unknown")]
    {
        body.entry(name).or_insert_with(|| Value::from(value));
    }
    for name in ["evidence", "mitreTechniques", "comments"] {
        body.entry(name).or_insert_with(|| Value::Array(Vec::new()));
    }
}

/// The contract's spelling of an enumeration value in any case or legacy spelling; a value that
/// is not in the enumeration comes back as it was.
#[must_use]
pub fn choose(values: &[&'static str], text: &str) -> String {
    let text = text.trim();
    find(values, text).map_or_else(|| text.to_owned(), str::to_owned)
}

/// As [`choose`], but `None` for a value that is not in the enumeration.
#[must_use]
pub fn find(values: &[&'static str], text: &str) -> Option<&'static str> {
    let wanted = same(text);
    if let Some(found) = values.iter().find(|value| same(value) == wanted) {
        return Some(found);
    }
    // One old word may stand for different values in different enumerations, so the new word
    // only counts where the enumeration has it.
    let (_, modern) = LEGACY.iter().find(|(legacy, _)| *legacy == wanted)?;
    values.iter().find(|value| *value == modern).copied()
}

/// The contract's spelling of a determination, as for [`choose`].
#[must_use]
pub fn determination(text: &str) -> String {
    choose(ALERT_DETERMINATION, text)
}

/// An enumeration value without case, blanks and joiners.
fn same(text: &str) -> String {
    let joiner = |c: &char| !matches!(c, ' ' | '_' | '-');
    text.chars().take(64).filter(joiner).map(|c| c.to_ascii_lowercase()).collect()
}

fn members(object: &mut Map<String, Value>, table: &[Member], depth: usize) {
    for member in table {
        let Some(value) = object.get_mut(member.name) else { continue };
        let shaped = shaped(value.take(), member.kind, depth);
        match (shaped, member.kind) {
            (Some(shaped), _) => *value = shaped,
            (None, Kind::List(_)) => *value = Value::Array(Vec::new()),
            // Null stays null, so that a client sees which members the source knows.
            (None, _) if member.nullable => {}
            (None, _) => {
                object.remove(member.name);
            }
        }
    }
}

fn shaped(value: Value, kind: Kind, depth: usize) -> Option<Value> {
    match kind {
        Kind::Text => words(&value),
        Kind::Uuid => evidence::text(&value).filter(|text| is_uuid(text)).map(Value::from),
        Kind::Time => {
            // The first moment of year 1 is how .NET spells "never".
            let never = Timestamp::from_civil((1, 1, 2), (0, 0, 0), 0)?;
            when::from_value(&value).filter(|at| *at > never)?;
            when::wire(&value).map(Value::from)
        }
        Kind::Whole => evidence::integer(&value).map(Value::from),
        Kind::Whole32 => {
            let number = evidence::integer(&value)?;
            i32::try_from(number).ok().map(Value::from)
        }
        Kind::Real => match value {
            Value::Number(_) => Some(value),
            Value::String(text) => {
                let number: f64 = text.trim().parse().ok()?;
                serde_json::Number::from_f64(number).map(Value::Number)
            }
            _ => None,
        },
        Kind::Flag => match &value {
            Value::Bool(_) => Some(value),
            Value::String(text) if text.eq_ignore_ascii_case("true") => Some(Value::Bool(true)),
            Value::String(text) if text.eq_ignore_ascii_case("false") => Some(Value::Bool(false)),
            _ => None,
        },
        Kind::Choice(values) => match value {
            Value::String(text) if !text.trim().is_empty() => {
                Some(Value::from(choose(values, &text)))
            }
            _ => None,
        },
        Kind::Object(table) => match value {
            Value::Object(mut object) if depth < MAX_DEPTH => {
                members(&mut object, table, depth + 1);
                Some(Value::Object(object))
            }
            _ => None,
        },
        Kind::Open => value.is_object().then_some(value),
        Kind::Piece => match value {
            Value::Object(object) if depth < MAX_DEPTH => {
                Some(Value::Object(piece(object, depth + 1)))
            }
            _ => None,
        },
        Kind::List(kind) => {
            let items = match value {
                Value::Array(items) => items,
                Value::Null => return None,
                one => vec![one],
            };
            let items = items.into_iter().filter_map(|item| shaped(item, *kind, depth));
            Some(Value::Array(items.collect()))
        }
    }
}

/// Text as it is; a list of texts becomes lines, numbers and booleans their spelling.
fn words(value: &Value) -> Option<Value> {
    match value {
        Value::String(text) if text.trim().is_empty() => None,
        Value::String(text) => Some(Value::from(text.as_str())),
        Value::Bool(flag) => Some(Value::from(flag.to_string())),
        Value::Array(items) => {
            let lines: Vec<String> = items.iter().filter_map(evidence::text).collect();
            if lines.is_empty() { None } else { Some(Value::from(lines.join("\n"))) }
        }
        other => evidence::text(other).map(Value::from),
    }
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

fn piece(mut object: Map<String, Value>, depth: usize) -> Map<String, Value> {
    let stem = match object.get("@odata.type").and_then(Value::as_str) {
        // A new subtype keeps its name; what is no name of a subtype is worth no more than none.
        Some(name) if name.ends_with("Evidence") || known(name).is_some() => known(name),
        _ => Some(infer(&object)),
    };
    if let Some(stem) = stem {
        let stem = if stem.is_empty() { "alert" } else { stem };
        let name = format!("{NAMESPACE}{stem}Evidence");
        object.insert("@odata.type".to_owned(), Value::from(name));
        if let Some((_, table)) = SUBTYPES.iter().find(|(known, _)| *known == stem) {
            members(&mut object, table, depth);
        }
    }
    members(&mut object, COMMON, depth);
    for (name, value) in [("verdict", "unknown"), ("remediationStatus", "none")] {
        object.entry(name).or_insert_with(|| Value::from(value));
    }
    for name in ["roles", "detailedRoles", "tags"] {
        object.entry(name).or_insert_with(|| Value::Array(Vec::new()));
    }
    object
}

/// The stem of a type name of the contract in any case, with or without namespace; the empty stem
/// is the general `alertEvidence`.
fn known(name: &str) -> Option<&'static str> {
    let name = name.trim().rsplit('.').next()?.trim_start_matches('#').to_ascii_lowercase();
    let stem = name.strip_suffix("evidence")?;
    if stem == "alert" {
        return Some("");
    }
    SUBTYPES.iter().map(|(stem, _)| *stem).find(|known| known.eq_ignore_ascii_case(stem))
}

/// The subtype most members speak for; the frequent one of equals.
fn infer(object: &Map<String, Value>) -> &'static str {
    let mut best = ("", 0);
    for (stem, table) in SUBTYPES {
        // A name says nothing about what it names.
        let telling = table.iter().filter(|member| !matches!(member.name, "name" | "displayName"));
        let votes = telling.filter(|member| object.contains_key(member.name)).count();
        if votes > best.1 {
            best = (stem, votes);
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn after(value: Value) -> Value {
        let Value::Object(mut body) = value else { return Value::Null };
        conform(&mut body);
        Value::Object(body)
    }

    #[test]
    fn enumerations_take_the_contracts_spelling_and_keep_what_is_new() {
        let body = after(json!({
            "severity": "MEDIUM", "status": "In Progress", "classification": "TruePositive",
            "determination": "compromisedUser", "serviceSource": "microsoftDefenderForToasters",
            "investigationState": ""
        }));
        assert_eq!(body["severity"], "medium");
        assert_eq!(body["status"], "inProgress");
        assert_eq!(body["classification"], "truePositive");
        assert_eq!(body["determination"], "compromisedAccount");
        assert_eq!(body["serviceSource"], "microsoftDefenderForToasters");
        assert_eq!(body["investigationState"], Value::Null);
    }

    #[test]
    fn legacy_determinations() {
        for (legacy, modern) in [
            ("Clean", "notMalicious"),
            ("InsufficientData", "notEnoughDataToValidate"),
            ("NoEnoughDataToValidate", "notEnoughDataToValidate"),
            ("confirmedUserActivity", "confirmedActivity"),
            ("NotAvailable", "unknown"),
        ] {
            assert_eq!(determination(legacy), modern);
        }
    }

    #[test]
    fn values_of_the_wrong_kind_become_null_or_go() {
        let body = after(json!({
            "title": 7, "description": {"a": 1}, "recommendedActions": ["one", "two"],
            "severity": null, "createdDateTime": "soon", "comments": null,
            "lastUpdateDateTime": "0001-01-01T00:00:00Z", "additionalData": "x",
            "mitreTechniques": "T1059"
        }));
        assert_eq!(body["title"], "7");
        assert_eq!(body["description"], Value::Null);
        assert_eq!(body["recommendedActions"], "one\ntwo");
        assert_eq!(body["severity"], "unknown");
        assert_eq!(body["createdDateTime"], Value::Null);
        assert_eq!(body["lastUpdateDateTime"], Value::Null);
        assert_eq!(body["comments"], json!([]));
        assert_eq!(body["additionalData"], Value::Null);
        assert_eq!(body["mitreTechniques"], json!(["T1059"]));
    }

    #[test]
    fn evidence_without_a_type_is_known_by_its_members() {
        let body = after(json!({"evidence": [
            {"deviceDnsName": "till-3"}, {"ipAddress": "192.0.2.1"}, {"url": "http://x.example"},
            {"fileDetails": {"fileName": "a"}, "detectionStatus": "Detected"},
            {"processId": "12", "imageFile": null}, {"name": "only"}, 7, null,
            {"@odata.type": "#microsoft.graph.security.quantumEvidence", "spin": 1},
            {"@odata.type": "microsoft.graph.security.DEVICEevidence"}
        ]}));
        let kinds: Vec<&str> = (0..8)
            .filter_map(|at| body["evidence"][at]["@odata.type"].as_str())
            .map(|kind| kind.trim_start_matches(NAMESPACE))
            .collect();
        assert_eq!(
            kinds,
            [
                "deviceEvidence",
                "ipEvidence",
                "urlEvidence",
                "fileEvidence",
                "processEvidence",
                "alertEvidence",
                "quantumEvidence",
                "deviceEvidence"
            ]
        );
        assert_eq!(body["evidence"][3]["detectionStatus"], "detected");
        assert_eq!(body["evidence"][4]["processId"], 12);
        assert_eq!(body["evidence"][4]["imageFile"], Value::Null);
        assert_eq!(body["evidence"][6]["spin"], 1);
        assert_eq!(body["evidence"][0]["roles"], json!([]));
    }

    #[test]
    fn evidence_within_evidence_ends_somewhere() {
        let mut nested = json!({"dnsServerIp": null, "domainName": "x.example"});
        for _ in 0..40 {
            nested = json!({"digestImage": nested, "imageId": "i"});
        }
        let text = after(json!({"evidence": [nested]})).to_string();
        assert!(text.matches("digestImage").count() <= MAX_DEPTH + 1);
    }
}
