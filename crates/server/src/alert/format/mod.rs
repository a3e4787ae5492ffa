//! Readers of alert formats: one record of a product in, alerts in the Graph `alerts_v2` shape out.
//!
//! A reader is pure: it gets one record, never the clock, the store or the tenant. It never drops
//! anything silently: a record is one or more alerts, or *ignored* (well-formed, but no alert) or
//! *rejected* (cannot be read), both with the reason. What has no place in the Graph shape goes to
//! the alert's `additionalData`; the raw record itself is kept by intake.

pub mod auto;
pub mod cef;
pub(super) mod contract;
pub mod defender;
mod draft;
pub mod elastic;
mod entity;
pub mod evidence;
pub mod graph;
pub mod leef;
mod legacy;
mod log_event;
pub mod ocsf;
pub mod other;
mod parts;
pub mod sentinel;
pub mod shape;
pub mod split;
pub mod splunk;
pub mod suricata;
pub mod wazuh;
pub mod when;

use std::str::FromStr;

use serde_json::{Map, Value};

use self::split::{Parsed, Record};
use crate::clock::Timestamp;

/// How many bytes of raw record the alerts of one record may keep together.
const MAX_KEPT: usize = split::MAX_RECORD;
/// How much of an incident's id and name its alerts repeat, in characters.
const MAX_REPEATED: usize = 256;

/// What a reader made of one record.
#[derive(Debug, Clone, PartialEq)]
pub enum Reading {
    /// The alerts of the record, in its own order; never empty.
    Alerts(Vec<NewAlert>),
    /// Well-formed but no alert, and why.
    Ignored(String),
}

/// An alert as a product told it, before Riposte gave it an id, a tenant or an incident.
#[derive(Debug, Clone, PartialEq)]
pub struct NewAlert {
    /// The product that speaks, part of the dedupe key: `graph`, `wazuh`, `suricata` …
    pub source: String,
    /// The product's own id of the alert, where it is known to be unique; else a content hash
    /// takes its place.
    pub source_id: Option<String>,
    /// When the source last changed the alert, to tell newer content from older.
    pub updated: Option<Timestamp>,
    /// Members of Graph `microsoft.graph.security.alert` with their contract spellings: `title`,
    /// `description`, `severity`, `status`, `category`, `mitreTechniques`, `evidence` with
    /// `@odata.type`, dates in the wire spelling, `additionalData` for what has no place. Without
    /// `id`, `tenantId`, `incidentId`, `incidentWebUrl` and `alertWebUrl`, which are ours to give.
    pub body: Map<String, Value>,
    /// What the source said of this alert, when that is not the whole record.
    pub raw: Option<Vec<u8>>,
}

/// The formats intake is told, spelt as in `?format=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Graph `alerts_v2`, incidents with their alerts, and the first alert version.
    Graph,
    /// The older Defender interfaces.
    Defender,
    /// Sentinel `SecurityAlert` rows.
    Sentinel,
    /// Open Cybersecurity Schema Framework findings.
    Ocsf,
    /// Wazuh alerts.
    Wazuh,
    /// Suricata EVE.
    Suricata,
    /// Elastic detection alerts.
    Elastic,
    /// Splunk notables.
    Splunk,
    /// Common Event Format.
    Cef,
    /// Log Event Extended Format.
    Leef,
    /// Whatever each record looks like.
    Auto,
}

impl Format {
    /// Every format, in the order people are told them.
    pub const ALL: [Self; 11] = [
        Self::Graph,
        Self::Defender,
        Self::Sentinel,
        Self::Ocsf,
        Self::Wazuh,
        Self::Suricata,
        Self::Elastic,
        Self::Splunk,
        Self::Cef,
        Self::Leef,
        Self::Auto,
    ];

    /// The spelling outside.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Graph => "graph",
            Self::Defender => "defender",
            Self::Sentinel => "sentinel",
            Self::Ocsf => "ocsf",
            Self::Wazuh => "wazuh",
            Self::Suricata => "suricata",
            Self::Elastic => "elastic",
            Self::Splunk => "splunk",
            Self::Cef => "cef",
            Self::Leef => "leef",
            Self::Auto => "auto",
        }
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|format| format.name() == text).ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.iter().map(|format| format.name()).collect();
            format!("unknown format, expected one of {}", names.join(", "))
        })
    }
}

/// The contract's severity of a word in any case or of a number on a scale that ends at `top`
/// (10 for CEF, 100 for a risk score); `unknown` for everything else.
#[must_use]
pub fn severity(value: &Value, top: f64) -> &'static str {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    if let Some(number) = number {
        if !number.is_finite() || number < 0.0 || top <= 0.0 {
            return "unknown";
        }
        return match number / top {
            part if part >= 0.7 => "high",
            part if part >= 0.4 => "medium",
            part if part >= 0.1 => "low",
            _ => "informational",
        };
    }
    value.as_str().and_then(draft::severity_word).unwrap_or("unknown")
}

/// Reads one record as `format` has it and brings its alerts into the shape of the contract.
///
/// # Errors
///
/// The reason why the record cannot be read.
pub fn read(format: Format, record: &Record) -> Result<Reading, String> {
    let mut reading = match &record.parsed {
        Err(reason) => return Err(reason.clone()),
        Ok(Parsed::EmptyPage) => return Ok(Reading::Ignored("an empty page of a list".to_owned())),
        Ok(Parsed::Json(value)) => read_json(format, value)?,
        Ok(Parsed::Text(text)) => read_text(format, text)?,
    };
    if let Reading::Alerts(alerts) = &mut reading {
        record.room.take(alerts.len())?;
        for alert in alerts.iter_mut() {
            shape::conform(&mut alert.body);
        }
        shares(alerts, record)?;
    }
    Ok(reading)
}

/// Gives each of many alerts the part of a long record that is its own: the whole record with each
/// would be kept as often as it has alerts.
fn shares(alerts: &mut [NewAlert], record: &Record) -> Result<(), String> {
    if alerts.len() <= 1 || record.raw.len().saturating_mul(alerts.len()) <= MAX_KEPT {
        return Ok(());
    }
    let Ok(Parsed::Json(value)) = &record.parsed else { return Ok(()) };
    let parts = value.get("alerts").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if parts.len() != alerts.len() {
        return Err(format!("{} alerts in a record of {} bytes", alerts.len(), record.raw.len()));
    }
    for (alert, part) in alerts.iter_mut().zip(parts) {
        alert.raw = Some(part.to_string().into_bytes());
    }
    Ok(())
}

/// A member of an incident as its alerts repeat it.
fn repeated(value: &Value) -> Option<String> {
    evidence::text(value).map(|text| text.chars().take(MAX_REPEATED).collect())
}

fn read_json(format: Format, record: &Value) -> Result<Reading, String> {
    match format {
        Format::Graph => graph::read(record),
        Format::Defender => defender::read(record),
        Format::Sentinel => sentinel::read(record),
        Format::Ocsf => ocsf::read(record),
        Format::Wazuh => wazuh::read(record),
        Format::Suricata => suricata::read(record),
        Format::Elastic => elastic::read(record),
        Format::Splunk => splunk::read(record),
        Format::Auto => auto::read_json(record),
        Format::Cef | Format::Leef => match record.as_str() {
            Some(line) => read_text(format, line),
            None => Err(format!("JSON where a {} message was expected", format.name())),
        },
    }
}

fn read_text(format: Format, line: &str) -> Result<Reading, String> {
    match format {
        Format::Cef => cef::read(line),
        Format::Leef => leef::read(line),
        Format::Auto => auto::read_text(line),
        _ => Err(format!("text where a JSON record of {} was expected", format.name())),
    }
}

#[cfg(test)]
mod tests {
    use super::split::split;
    use super::*;
    use serde_json::json;

    /// The sample data beside the checkout, where there is any.
    fn sample(path: &str) -> Option<Vec<u8>> {
        // Of the checkout that runs, which need not be the one that was compiled.
        let root = std::env::var("CARGO_MANIFEST_DIR").ok()?;
        std::fs::read(format!("{root}/../../../shared/data/{path}")).ok()
    }

    #[derive(Default, Debug, PartialEq)]
    struct Counts {
        accepted: usize,
        ignored: Vec<String>,
    }

    fn count(format: Format, body: &[u8]) -> Counts {
        let mut counts = Counts::default();
        for record in split(format, body).unwrap() {
            match read(format, &record) {
                Ok(Reading::Alerts(alerts)) => {
                    assert!(!alerts.is_empty());
                    for alert in alerts {
                        sound(&alert);
                        counts.accepted += 1;
                    }
                }
                Ok(Reading::Ignored(reason)) => counts.ignored.push(reason),
                Err(reason) => panic!("record {} rejected: {reason}", record.index),
            }
        }
        counts
    }

    /// What every alert must be after reading: shaping it again changes nothing, and what is ours
    /// to give is not in it.
    fn sound(alert: &NewAlert) {
        let mut again = alert.body.clone();
        shape::conform(&mut again);
        assert_eq!(again, alert.body);
        for ours in ["id", "tenantId", "incidentId", "incidentWebUrl", "alertWebUrl"] {
            assert!(!alert.body.contains_key(ours), "{ours}");
        }
        assert!(alert.body["title"].as_str().is_some_and(|title| !title.is_empty()));
        for piece in alert.body["evidence"].as_array().unwrap() {
            assert!(piece["@odata.type"].as_str().unwrap().ends_with("Evidence"));
        }
    }

    #[test]
    fn format_names_go_both_ways() {
        for format in Format::ALL {
            assert_eq!(format.name().parse(), Ok(format));
        }
        assert!("Graph".parse::<Format>().unwrap_err().starts_with("unknown format, expected"));
    }

    #[test]
    fn severities_of_words_and_scales() {
        assert_eq!(severity(&json!("MAJOR"), 10.0), "high");
        assert_eq!(severity(&json!(5), 10.0), "medium");
        assert_eq!(severity(&json!("80"), 100.0), "high");
        assert_eq!(severity(&json!(-1), 10.0), "unknown");
        assert_eq!(severity(&json!(null), 10.0), "unknown");
        assert_eq!(severity(&json!("purple"), 10.0), "unknown");
    }

    #[test]
    fn graph_samples_are_read_or_ignored() {
        for (file, accepted, ignored) in [
            ("alert_v2_powershell.ndjson", 1, 1),
            ("defender_api_incidents_page.json", 2, 0),
            ("docs_list_incidents_example1.json", 0, 1),
            ("graph_defender-alerts.ndjson", 1, 0),
            ("graph_defender-incidents.ndjson", 0, 2),
            ("graph_detected-apps.ndjson", 0, 1),
            ("graph_risk-detections.ndjson", 0, 2),
            ("graph_sign-ins.ndjson", 0, 1),
            ("hunting_query_results.json", 0, 1),
            ("incident_expanded_alerts.ndjson", 1, 0),
            ("incidents_list_page.json", 0, 2),
            ("legacy_alert_v1.json", 1, 0),
        ] {
            let Some(body) = sample(&format!("graph-security/{file}")) else { return };
            let counts = count(Format::Graph, &body);
            assert_eq!((counts.accepted, counts.ignored.len()), (accepted, ignored), "{file}");
        }
        let body = sample("graph-security/defender_api_incidents_page.json").unwrap_or_default();
        assert_eq!(count(Format::Defender, &body).accepted, 2);
    }

    #[test]
    fn sentinel_samples_are_read_or_ignored() {
        let Some(body) = sample("correlation/sentinel_alerts.ndjson") else { return };
        assert_eq!(count(Format::Sentinel, &body).accepted, 121);
        let body = sample("correlation/sentinel_incidents.ndjson").unwrap_or_default();
        assert_eq!(count(Format::Sentinel, &body).ignored.len(), 5);
        let table = sample("correlation/sentinel_alertlist.csv").unwrap_or_default();
        let rows = comma_separated(&String::from_utf8(table).unwrap());
        let body: Vec<String> = rows.iter().map(Value::to_string).collect();
        assert_eq!(count(Format::Sentinel, body.join("\n").as_bytes()).accepted, 122);
    }

    /// The rows of a CSV text as objects of text.
    fn comma_separated(table: &str) -> Vec<Value> {
        let (mut rows, mut row, mut cell, mut quoted) = (vec![], vec![], String::new(), false);
        let mut letters = table.chars().peekable();
        while let Some(c) = letters.next() {
            match (c, quoted) {
                ('"', true) if letters.peek() == Some(&'"') => {
                    letters.next();
                    cell.push('"');
                }
                ('"', _) => quoted = !quoted,
                (',', false) => row.push(std::mem::take(&mut cell)),
                ('\n', false) => {
                    row.push(std::mem::take(&mut cell));
                    rows.push(std::mem::take(&mut row));
                }
                ('\r', false) => {}
                _ => cell.push(c),
            }
        }
        let mut rows = rows.into_iter();
        let names = rows.next().unwrap_or_default();
        let object = |row: Vec<String>| {
            names.iter().cloned().zip(row.into_iter().map(Value::from)).collect::<Map<_, _>>()
        };
        rows.map(|row| Value::Object(object(row))).collect()
    }

    /// One record of each shape with most members set; names are invented.
    fn fixtures() -> Vec<(Format, Value)> {
        let graph = json!({
            "id": "da1", "title": "Odd login", "severity": "high", "status": "new",
            "incidentId": "7", "createdDateTime": "2024-01-02T03:04:05Z", "comments": [
                {"comment": "x", "createdBy": "ida", "createdTime": "2024-01-02T03:04:05Z"}],
            "additionalData": {"a": [1]}, "mitreTechniques": ["T1078"], "evidence": [
                {"@odata.type": "#microsoft.graph.security.deviceEvidence", "hostName": "till-3",
                 "loggedOnUsers": [{"accountName": "ida"}], "vmMetadata": {"vmId": "v"}},
                {"processId": 1, "imageFile": {"fileName": "a"}, "userAccount": {}}]
        });
        let legacy = json!({
            "id": "l1", "title": "Old", "status": "newAlert", "vendorInformation": {"provider": "IPC"},
            "hostStates": [{"fqdn": "till-3.alder.example"}], "comments": ["seen"],
            "userStates": [{"accountName": "ida", "logonIp": "192.0.2.1"}],
            "fileStates": [{"name": "a", "path": "/tmp/a", "fileHash": {"hashType": "sha1", "hashValue": "aa"}}],
            "processes": [{"processId": 3, "commandLine": "a -b"}],
            "networkConnections": [{"sourceAddress": "192.0.2.1", "sourcePort": "1", "protocol": "tcp"}],
            "registryKeyStates": [{"hive": "localMachineSoftware", "key": "Run"}]
        });
        let defender = json!({
            "incidentId": 9, "incidentName": "Night work", "alerts": [{
                "alertId": "ca12", "title": "Odd travel", "severity": "Medium", "status": "Resolved",
                "determination": "NotAvailable", "serviceSource": "MicrosoftCloudAppSecurity",
                "detectionSource": "MCAS", "creationTime": "2024-01-02T03:04:05.1234567Z",
                "devices": [{"deviceDnsName": "till-3", "mdatpDeviceId": "d1", "tags": ["shop"]}],
                "entities": [
                    {"entityType": "User", "accountName": "ida", "verdict": "Suspicious"},
                    {"entityType": "Process", "processId": 7, "fileName": "a.exe"},
                    {"entityType": "Ip", "ipAddress": "192.0.2.1"}]}]
        });
        let sentinel = json!({
            "SystemAlertId": "s1", "DisplayName": "Shadow copies", "AlertSeverity": "High",
            "Status": "New", "ProviderName": "MDATP", "Tactics": "Impact, DefenseEvasion",
            "Techniques": ["T1490"], "TimeGenerated": "2024-01-02 03:04:05.5+00:00",
            "ExtendedProperties": {"LastUpdated": "01/03/2024 03:04:05", "Category": "Impact"},
            "Entities": [
                {"$id": "1", "Type": "host", "HostName": "till-3", "MdatpDeviceId": "d1"},
                {"$id": "2", "Type": "process", "ProcessId": "12", "Host": {"$ref": "1"},
                 "ImageFile": {"$id": "3", "Type": "file", "Name": "a.exe", "FileHashes": [
                     {"$id": "4", "Type": "filehash", "Algorithm": "SHA1", "Value": "aa"}]},
                 "ParentProcess": {"$ref": "2"}}, {"$ref": "3"}]
        });
        vec![
            (Format::Graph, graph),
            (Format::Graph, legacy),
            (Format::Defender, defender),
            (Format::Sentinel, sentinel),
        ]
    }

    /// The value with the member that is `place` steps into it replaced.
    fn replace(value: &mut Value, place: &mut usize, with: &Value) -> bool {
        if *place == 0 {
            *value = with.clone();
            return true;
        }
        *place -= 1;
        match value {
            Value::Object(members) => members.values_mut().any(|one| replace(one, place, with)),
            Value::Array(items) => items.iter_mut().any(|one| replace(one, place, with)),
            _ => false,
        }
    }

    #[test]
    fn no_member_of_any_kind_breaks_a_reader() {
        let deep = (0..60).fold(json!(1), |inner, _| json!([{"a": inner}]));
        let odd = [
            json!(null),
            json!(true),
            json!(-1),
            json!(u64::MAX),
            json!(1e300),
            json!(""),
            json!("\u{0}\u{fffd} ünïcödé \\\" [{\"$ref\":\"1\"}]"),
            json!("9".repeat(5000)),
            json!([]),
            json!([null, 1, "x", [], {}]),
            json!({}),
            json!({"$ref": "2", "Type": "process", "@odata.type": 7}),
            deep,
        ];
        let mut tried = 0;
        for (format, fixture) in fixtures() {
            for with in &odd {
                for place in 0.. {
                    let mut mutant = fixture.clone();
                    if !replace(&mut mutant, &mut place.clone(), with) {
                        break;
                    }
                    for format in [format, Format::Graph, Format::Defender, Format::Sentinel] {
                        let parsed = Ok(Parsed::Json(mutant.clone()));
                        let room = split::Room::default();
                        let record = Record { index: 0, raw: Vec::new(), parsed, room };
                        if let Ok(Reading::Alerts(alerts)) = read(format, &record) {
                            alerts.iter().for_each(sound);
                        }
                        tried += 1;
                    }
                }
            }
        }
        assert!(tried > 4000, "{tried}");
    }
}
