//! Tells which product a record is from, and reads it with that product's reader.
//!
//! Detection looks at members only one format has, in a fixed order, and never at values that
//! an attacker could choose freely. A record no format claims is rejected, not guessed at.

use serde_json::{Map, Value};

use super::{
    Reading, cef, defender, elastic, graph, leef, ocsf, other, sentinel, splunk, suricata, wazuh,
};

/// A format the server has a reader for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Microsoft Graph security: `alerts_v2`, incidents and legacy alerts.
    Graph,
    /// The older Defender API.
    Defender,
    /// Microsoft Sentinel and the `SecurityAlert` table.
    Sentinel,
    /// Open Cybersecurity Schema Framework.
    Ocsf,
    /// Wazuh manager alerts.
    Wazuh,
    /// Suricata EVE.
    Suricata,
    /// Elastic Security.
    Elastic,
    /// Splunk notables.
    Splunk,
    /// Falco rule matches.
    Falco,
    /// IBM `QRadar` offenses.
    Qradar,
    /// Zeek logs.
    Zeek,
    /// Common Event Format.
    Cef,
    /// Log Event Extended Format.
    Leef,
}

/// The format of a JSON record; `None` when no format claims it.
#[must_use]
pub fn detect(record: &Value) -> Option<Kind> {
    let members = record.as_object()?;
    let has = |name: &str| members.get(name).is_some_and(|member| !member.is_null());
    let all = |names: &[&str]| names.iter().all(|name| has(name));
    let any = |names: &[&str]| names.iter().any(|name| has(name));
    let text = |name: &str| members.get(name).and_then(Value::as_str).unwrap_or_default();

    if all(&["class_uid", "metadata"]) || all(&["class_uid", "category_uid"]) {
        return Some(Kind::Ocsf);
    }
    if any(&["SystemAlertId", "systemAlertId", "AlertDisplayName"])
        || matches!(text("Type"), "SecurityAlert" | "SecurityIncident")
        || text("type").to_ascii_lowercase().starts_with("microsoft.securityinsights/")
        || (has("IncidentNumber") && any(&["Title", "IncidentName"]))
        || members.get("properties").is_some_and(|inner| inner.get("systemAlertId").is_some())
    {
        return Some(Kind::Sentinel);
    }
    if text("@odata.type").to_ascii_lowercase().contains("microsoft.graph.security")
        || any(&["alertWebUrl", "incidentWebUrl"])
        || all(&["serviceSource", "detectionSource", "title"])
        || all(&["vendorInformation", "eventDateTime"])
    {
        return Some(Kind::Graph);
    }
    if all(&["incidentId", "incidentName"])
        || (all(&["alertCreationTime", "severity"]) && any(&["machineId", "incidentId"]))
        || (has("alertId") && any(&["machineId", "investigationState", "threatFamilyName"]))
        || (has("AlertId") && any(&["ServiceSource", "DetectionSource", "EntityType"]))
        || (text("category").starts_with("AdvancedHunting-") && has("properties"))
    {
        return Some(Kind::Defender);
    }
    if has("event_type") && any(&["flow_id", "alert", "pcap_cnt", "src_ip", "stats"]) {
        return Some(Kind::Suricata);
    }
    if is_wazuh(members) {
        return Some(Kind::Wazuh);
    }
    if is_elastic(record, members) {
        return Some(Kind::Elastic);
    }
    if all(&["rule", "output_fields"]) || all(&["rule", "priority", "output"]) {
        return Some(Kind::Falco);
    }
    if has("offense_source")
        || all(&["offense_type", "magnitude"])
        || (has("offense_ids") && any(&["local_destination_ip", "source_ip"]))
    {
        return Some(Kind::Qradar);
    }
    if has("@stream")
        || (has("_path") && any(&["ts", "_write_ts", "uid"]))
        || (all(&["note", "ts"]) && any(&["actions", "suppress_for"]))
    {
        return Some(Kind::Zeek);
    }
    if is_splunk(members) {
        return Some(Kind::Splunk);
    }
    None
}

fn is_wazuh(members: &Map<String, Value>) -> bool {
    let members = members.get("_source").and_then(Value::as_object).unwrap_or(members);
    let rule = members.get("rule").and_then(Value::as_object);
    let level = rule.is_some_and(|rule| rule.contains_key("level"));
    level
        && ["agent", "manager", "decoder", "location"]
            .iter()
            .any(|name| members.contains_key(*name))
}

fn is_elastic(record: &Value, members: &Map<String, Value>) -> bool {
    let source = members.get("_source").filter(|source| source.is_object()).unwrap_or(record);
    let Some(members) = source.as_object() else { return false };
    let flat = ["kibana.alert.uuid", "kibana.alert.rule.name", "kibana.alert.rule.uuid"];
    let kibana = flat.iter().any(|name| members.contains_key(*name))
        || source.pointer("/kibana/alert").is_some()
        || source.pointer("/signal/rule").is_some();
    let kind = members.contains_key("event.kind") || source.pointer("/event/kind").is_some();
    kibana || (kind && members.contains_key("@timestamp"))
}

fn is_splunk(members: &Map<String, Value>) -> bool {
    let has = |name: &str| members.contains_key(name);
    let result = members.get("result").is_some_and(Value::is_object);
    (has("_raw")
        && ["_cd", "_bkt", "_time", "_indextime", "search_name"].iter().any(|name| has(name)))
        || (result && (has("search_name") || has("sid") || has("results_link")))
        || (has("search_name") && (has("event_id") || has("urgency") || has("orig_time")))
        || (has("rule_name") && has("event_hash"))
}

/// The format of a text line; `None` when it has no header of a known one.
#[must_use]
pub fn detect_text(line: &str) -> Option<Kind> {
    let place = |marker: &str| cef::header_start(line, marker).map(|(before, _)| before.len());
    // A line that quotes the other format is of the format that comes first.
    match (place("CEF:"), place("LEEF:")) {
        (Some(cef), Some(leef)) if leef < cef => Some(Kind::Leef),
        (Some(_), _) => Some(Kind::Cef),
        (None, Some(_)) => Some(Kind::Leef),
        (None, None) => None,
    }
}

/// Reads a JSON record with the reader of its format; an error when no format claims it.
pub fn read_json(record: &Value) -> Result<Reading, String> {
    match detect(record) {
        Some(Kind::Graph) => graph::read(record),
        Some(Kind::Defender) => defender::read(record),
        Some(Kind::Sentinel) => sentinel::read(record),
        Some(Kind::Ocsf) => ocsf::read(record),
        Some(Kind::Wazuh) => wazuh::read(record),
        Some(Kind::Suricata) => suricata::read(record),
        Some(Kind::Elastic) => elastic::read(record),
        Some(Kind::Splunk) => splunk::read(record),
        Some(Kind::Falco) => other::falco(record),
        Some(Kind::Qradar) => other::qradar(record),
        Some(Kind::Zeek) => other::zeek(record),
        // A line shipped as a JSON string.
        Some(Kind::Cef | Kind::Leef) | None => match record {
            Value::String(line) => read_text(line),
            // Well-formed, and something else than an alert as far as anybody here can tell.
            Value::Object(_) => {
                Ok(Reading::Ignored("no known alert format claims this record".to_owned()))
            }
            _ => Err("the record is neither a JSON object nor a line of text".to_owned()),
        },
    }
}

/// Reads a text line with the reader of its format; an error when it has no known header.
pub fn read_text(line: &str) -> Result<Reading, String> {
    match detect_text(line) {
        Some(Kind::Leef) => leef::read(line),
        Some(_) => cef::read(line),
        None => Err("neither a CEF nor a LEEF header in this line".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::PathBuf;

    use serde_json::json;

    use super::*;

    /// One small record of every JSON format read here, all of them alerts.
    fn samples() -> Vec<(Kind, Value)> {
        vec![
            (
                Kind::Ocsf,
                json!({"class_uid": 2004, "category_uid": 2, "severity_id": 5, "time": 1_704_164_645_000_i64,
                    "metadata": {"product": {"name": "Harbour Watch", "vendor_name": "Alder"}, "uid": "m-1"},
                    "finding_info": {"uid": "f-1", "title": "Odd sign-in", "types": ["Access"], "first_seen_time": 1_704_164_000},
                    "attacks": [{"technique": {"uid": "T1078"}, "tactic": {"name": "Initial Access"}}],
                    "actor": {"user": {"name": "ida", "uid": "S-1-5-21-7"}, "process": {"pid": 4, "cmd_line": "a b"}},
                    "device": {"hostname": "till-3", "ip": "192.0.2.9", "os": {"name": "Linux"}},
                    "evidences": [{"src_endpoint": {"ip": "192.0.2.1", "port": 99}, "dst_endpoint": {"ip": "192.0.2.2"}}],
                    "resources": [{"uid": "arn:aws:s3:::bills", "type": "Bucket"}], "cloud": {"provider": "AWS"},
                    "malware": [{"name": "Mud", "classifications": ["Worm"]}],
                    "observables": [{"type_id": 2, "name": "x.src_ip", "value": "192.0.2.3"}]}),
            ),
            (
                Kind::Wazuh,
                json!({"timestamp": "2024-01-02T03:04:05.784+0000", "id": "1.2", "full_log": "line",
                    "rule": {"level": 12, "id": "554", "description": "Odd file", "groups": ["ossec", "syscheck"],
                        "mitre": {"id": ["T1114"], "tactic": ["Collection"], "technique": ["Mail"]}},
                    "agent": {"id": "004", "name": "till-3", "ip": "192.0.2.9"}, "decoder": {}, "location": "",
                    "syscheck": {"path": "/srv/a.txt", "md5_after": "0123456789abcdef0123456789abcdef", "uname_after": "ida", "size_after": 3},
                    "data": {"srcip": "192.0.2.1", "dstip": "192.0.2.2", "srcport": "1", "url": "http://a.example/x",
                        "win": {"eventdata": {"image": "C:\\Windows\\a.exe", "commandLine": "a /b", "hashes": "MD5=0,IMPHASH=1"}},
                        "docker": {"Type": "container", "Actor": {"ID": "5f", "Attributes": {"name": "web"}}}}}),
            ),
            (
                Kind::Suricata,
                json!({"timestamp": "2024-01-02T03:04:05.1-0600", "event_type": "alert", "flow_id": 1, "src_ip": "192.0.2.1",
                    "src_port": 7, "dest_ip": "192.0.2.2", "dest_port": 80, "proto": "TCP",
                    "alert": {"signature": "Odd request", "signature_id": 9, "severity": 1, "category": "Misc", "metadata": {"mitre_technique_id": ["T1071"]}},
                    "http": {"hostname": "a.example", "url": "/x"}, "dns": {"queries": [{"rrname": "b.example"}]},
                    "files": [{"filename": "/x", "size": 1}]}),
            ),
            (
                Kind::Elastic,
                json!({"@timestamp": "2024-01-02T03:04:05Z", "kibana.alert.uuid": "u-1", "kibana.alert.rule.name": "Odd shell",
                    "kibana.alert.severity": "high", "kibana.alert.rule.severity": "medium", "event.kind": "signal",
                    "host": {"name": "till-3", "ip": ["192.0.2.9"], "os": {"name": "Linux"}}, "user": {"name": "ida", "id": 1005},
                    "process": {"pid": 4, "executable": "/bin/sh", "command_line": "sh -c x", "parent": {"pid": 1, "name": "init"},
                        "hash": {"md5": "abc"}},
                    "threat": [{"technique": [{"id": "T1059", "subtechnique": [{"id": "T1059.004"}]}], "tactic": {"name": "Execution"}}],
                    "source": {"ip": "192.0.2.1"}, "registry": {"path": "HKLM\\Software\\X"}}),
            ),
            (
                Kind::Splunk,
                json!({"_cd": "70:1", "_bkt": "n~1", "_time": "2024-01-02T03:04:05.000+05:30", "host": "192.0.2.7",
                    "_raw": "1704164645.000, search_name=\"Odd logons - Rule\", src=\"192.0.2.1\", user=\"ida\", file_path=\"C:\\\\Temp\\\\a.exe\", orig_tag=\"a\", orig_tag=\"b\"",
                    "source": "Odd logons - Rule"}),
            ),
            (
                Kind::Falco,
                json!({"hostname": "till-3", "rule": "Odd shell", "priority": "Warning", "output": "text", "tags": ["T1059", "mitre_execution"],
                    "time": "2024-01-02T03:04:05.123456789Z",
                    "output_fields": {"container.id": "5f", "fd.name": "192.0.2.1:1->192.0.2.2:2", "proc.cmdline": "sh", "k8s.pod.name": "web", "k8s.pod.ip": "192.0.2.0/24"}}),
            ),
            (
                Kind::Qradar,
                json!({"id": 591, "description": "Odd flood\n", "severity": 8, "status": "OPEN", "magnitude": 3, "offense_type": 0,
                    "offense_source": "192.0.2.1", "start_time": 1_704_164_645_000_i64, "categories": ["DoS"], "rules": [{"id": 1}]}),
            ),
            (
                Kind::Zeek,
                json!({"@stream": "notice", "@system": "sensor-1", "ts": 1_704_164_645.5, "note": "SSL::Odd_Cert", "msg": "text",
                    "id_orig_h": "192.0.2.1", "id_orig_p": 1, "id_resp_h": "192.0.2.2", "id_resp_p": 443, "proto": "tcp"}),
            ),
        ]
    }

    #[test]
    fn every_format_is_told_apart() {
        for (kind, record) in samples() {
            assert_eq!(detect(&record), Some(kind), "{record}");
            let Reading::Alerts(alerts) = read_json(&record).unwrap() else { panic!("{kind:?}") };
            let body = &alerts[0].body;
            assert!(
                body["title"]
                    .as_str()
                    .is_some_and(|title| title.starts_with("Odd") || title.contains("Odd"))
            );
            assert_eq!(body["status"], "new");
            assert!(!body["evidence"].as_array().unwrap().is_empty());
            assert!(body.contains_key("createdDateTime"), "{kind:?}");
            for piece in body["evidence"].as_array().unwrap() {
                assert!(
                    piece["@odata.type"]
                        .as_str()
                        .unwrap()
                        .starts_with("#microsoft.graph.security.")
                );
            }
        }
        for (kind, record) in [
            (Kind::Graph, json!({"@odata.type": "#microsoft.graph.security.alert", "title": "x"})),
            (Kind::Graph, json!({"serviceSource": "x", "detectionSource": "y", "title": "x"})),
            (Kind::Graph, json!({"vendorInformation": {}, "eventDateTime": "x", "title": "x"})),
            (Kind::Defender, json!({"incidentId": 1, "incidentName": "x", "alerts": []})),
            (Kind::Wazuh, json!({"_source": {"rule": {"level": 3}, "agent": {}}})),
            (Kind::Defender, json!({"category": "AdvancedHunting-AlertInfo", "properties": {}})),
            (Kind::Sentinel, json!({"Type": "SecurityIncident", "Title": "x"})),
            (Kind::Sentinel, json!({"name": "x", "properties": {"systemAlertId": "y"}})),
            (Kind::Sentinel, json!({"SystemAlertId": "x", "AlertName": "y"})),
        ] {
            assert_eq!(detect(&record), Some(kind), "{record}");
        }
        assert_eq!(detect(&json!({"title": "x"})), None);
        assert_eq!(detect(&json!([])), None);
        assert!(matches!(read_json(&json!({})), Ok(Reading::Ignored(_))));
        assert!(read_json(&json!([1])).is_err());
        assert!(read_json(&json!("CEF:0|a|b|1|2|Odd|3|")).is_ok());
        assert_eq!(detect_text("LEEF:1.0|a|b|1|2|msg=CEF:0|x"), Some(Kind::Leef));
        assert_eq!(detect_text("<13>host CEF:0|a"), Some(Kind::Cef));
        assert!(read_text("hello").is_err());
    }

    /// Every record that differs from `value` in one member, at any depth.
    fn mutants(value: &Value) -> Vec<Value> {
        fn paths(value: &Value, at: &str, found: &mut Vec<String>) {
            match value {
                Value::Object(members) => {
                    for (name, member) in members {
                        let at = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
                        paths(member, &at, found);
                        found.push(at);
                    }
                }
                Value::Array(items) => {
                    for (index, item) in items.iter().enumerate() {
                        paths(item, &format!("{at}/{index}"), found);
                        found.push(format!("{at}/{index}"));
                    }
                }
                _ => {}
            }
        }
        let mut found = Vec::new();
        paths(value, "", &mut found);
        let others = [
            json!(null),
            json!(-1),
            json!(1.5e300),
            json!(u64::MAX),
            json!(true),
            json!([]),
            json!([null, {"id": [1]}, "T1059", [[]]]),
            json!({}),
            json!({"name": {"name": []}, "uid": null}),
            json!(""),
            json!("\u{fffd}\u{202e}\\=|\"%é"),
        ];
        found
            .iter()
            .flat_map(|path| {
                others.iter().map(move |other| {
                    let mut mutant = value.clone();
                    *mutant.pointer_mut(path).unwrap() = other.clone();
                    mutant
                })
            })
            .collect()
    }

    #[test]
    fn no_member_of_any_kind_can_break_a_reader() {
        type Reader = fn(&Value) -> Result<Reading, String>;
        let readers: [Reader; 9] = [
            ocsf::read,
            wazuh::read,
            suricata::read,
            elastic::read,
            splunk::read,
            other::falco,
            other::qradar,
            other::zeek,
            read_json,
        ];
        let mut records = vec![json!(null), json!([]), json!(7), json!("x"), json!({})];
        for (_, sample) in samples() {
            records.extend(mutants(&sample));
            records.push(sample);
        }
        for record in &records {
            for reader in readers {
                if let Ok(Reading::Alerts(alerts)) = reader(record) {
                    assert!(!alerts.is_empty());
                    for alert in alerts {
                        assert!(!alert.body["title"].as_str().unwrap().trim().is_empty());
                    }
                }
            }
        }
    }

    fn data(folder: &str) -> Option<PathBuf> {
        // Of the checkout that runs, which need not be the one that was compiled.
        let root = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR")?);
        Some(root.join("../../../shared/data").join(folder)).filter(|path| path.is_dir())
    }

    /// The documents of a file: one, an array, one a line or one after the other.
    fn documents(text: &str) -> Result<Vec<Value>, String> {
        let mut found = Vec::new();
        for document in serde_json::Deserializer::from_str(text).into_iter::<Value>() {
            match document.map_err(|error| error.to_string())? {
                Value::Array(items) => found.extend(items),
                one => found.push(one),
            }
        }
        Ok(found)
    }

    /// What became of the records of each file of a folder: alerts, ignored, rejected.
    fn outcomes(folder: &str, unwrap_raw: bool) -> BTreeMap<String, [usize; 3]> {
        let mut outcomes: BTreeMap<String, [usize; 3]> = BTreeMap::new();
        let Some(folder) = data(folder) else { return outcomes };
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if name == "README.md" {
                continue;
            }
            let counts = outcomes.entry(name.clone()).or_default();
            let text = std::fs::read_to_string(&path).unwrap();
            let Ok(records) = documents(&text) else {
                counts[2] += 1;
                continue;
            };
            for record in records {
                let raw = record.get("raw").and_then(Value::as_str).filter(|_| unwrap_raw);
                let reading = match raw {
                    Some(raw) => match serde_json::from_str::<Value>(raw) {
                        Ok(inner) => read_json(&inner),
                        Err(_) => read_text(raw),
                    },
                    None => read_json(&record),
                };
                match reading {
                    Ok(Reading::Alerts(_)) => counts[0] += 1,
                    Ok(Reading::Ignored(reason)) => {
                        assert!(!reason.is_empty());
                        counts[1] += 1;
                    }
                    Err(_) => counts[2] += 1,
                }
            }
        }
        outcomes
    }

    #[test]
    fn alerts_of_other_products_are_all_accepted() {
        for (name, [alerts, ignored, rejected]) in outcomes("other-alerts", false) {
            assert_eq!(rejected, 0, "{name}");
            if name == "qradar_local_destinations.json" {
                assert_eq!((alerts, ignored), (0, 2), "{name}");
            } else {
                assert!(alerts > 0 && ignored == 0, "{name}");
            }
        }
    }

    #[test]
    fn ocsf_findings_are_accepted_and_activities_ignored() {
        let mut total = [0; 3];
        for (name, counts) in outcomes("ocsf", true) {
            if name.ends_with(".ocsf.txt") {
                // Published with errors; what follows an extra bracket is cut off activities.
                assert_eq!(counts[0], 0, "{name}");
                continue;
            }
            if name.rsplit('.').next() == Some("raw") {
                // Raw logs of other products: never an alert but for the offense.
                assert_eq!(counts[0], usize::from(name.contains("offense")), "{name}");
                continue;
            }
            assert_eq!(counts[2], 0, "{name}");
            for (sum, count) in total.iter_mut().zip(counts) {
                *sum += count;
            }
        }
        if total != [0; 3] {
            // Five findings in files of their own and eight in the collection.
            assert_eq!(total[0], 13);
        }
    }

    #[test]
    fn sensor_alerts_are_accepted_and_other_events_ignored() {
        for (name, [alerts, ignored, rejected]) in outcomes("suricata-zeek", false) {
            assert_eq!(rejected, 0, "{name}");
            if name.contains("alert") || name.contains("notice") {
                assert!(alerts > 0 && ignored == 0, "{name}");
            } else {
                assert!(alerts == 0 && ignored > 0, "{name}");
            }
        }
    }

    #[test]
    fn cef_and_leef_lines_are_all_accepted() {
        let mut total = 0;
        for (name, [alerts, ignored, rejected]) in outcomes("cef-leef", true) {
            assert_eq!((ignored, rejected), (0, 0), "{name}");
            total += alerts;
        }
        assert!(total == 0 || total > 150);
    }
}
