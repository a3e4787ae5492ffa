//! Splunk notable events and alert-action messages.
//!
//! A notable row holds what the search found twice: as members, and as `key="value"` text in
//! `_raw`. Exports often carry only the latter, so `_raw` is read and its members go before those
//! of the row, which are the index's view (`host` is the search head). `_cd`, `_bkt` and `_serial`
//! are storage addresses that rows may share, never ids.

use serde_json::{Map, Value};

use super::cef::add;
use super::draft::{Draft, Fields, severity_word, text_at, texts};
use super::{Reading, parts};

/// Reads one row, bare or as the `result` of an alert-action message.
pub fn read(record: &Value) -> Result<Reading, String> {
    let Some(outer) = record.as_object() else {
        return Err("a Splunk record is an object".to_owned());
    };
    let row = outer.get("result").and_then(Value::as_object).unwrap_or(outer);
    let raw = row.get("_raw").and_then(Value::as_str).unwrap_or_default();
    let mut members = raw_members(raw);
    if members.is_empty() && row.len() < 2 {
        return Err("neither members nor key=\"value\" text in a Splunk record".to_owned());
    }
    let parsed = !members.is_empty();
    for (name, value) in row {
        if parsed && name == "_raw" {
            continue;
        }
        // What the search found is of more use than the index's member of the same name.
        let name = if members.contains_key(name) { format!("index.{name}") } else { name.clone() };
        members.insert(name, value.clone());
    }
    for name in ["search_name", "sid", "results_link", "owner", "app"] {
        if let (Some(value), false) = (outer.get(name), members.contains_key(name)) {
            members.insert(name.to_owned(), value.clone());
        }
    }
    let members = Value::Object(members);
    let mut fields = Fields::new(&members);

    // A search export of another index is what a sensor logged, not what Splunk found.
    let marks =
        ["rule_title", "rule_name", "search_name", "savedsearch_name", "event_id", "urgency"];
    if let Some(index) = fields.peek("index").filter(|index| !index.contains("notable"))
        && !marks.iter().any(|mark| fields.find(mark).is_some())
    {
        let index: String = index.chars().take(60).collect();
        return Ok(Reading::Ignored(format!("Splunk event of index {index}, not a notable")));
    }
    let titles = ["rule_title", "rule_name", "search_name", "savedsearch_name", "source"];
    let title = fields.first(&titles);
    let mut draft = Draft::new("splunk", title);
    draft.set("productName", Some("Splunk"));
    draft.id(fields.first(&[
        "event_id",
        "event_hash",
        "orig_event_id",
        "orig_event_hash",
        "notable_id",
    ]));
    let search = fields.peek("search_name").or_else(|| fields.peek("savedsearch_name"));
    draft.set("detectorId", search.or_else(|| text_at(&members, "rule_id")));
    let severity = ["urgency", "severity", "event.SeverityName", "rule_severity"];
    let severity = severity.into_iter().find_map(|path| {
        let word = severity_word(&fields.peek(path)?)?;
        fields.take(path);
        Some(word)
    });
    draft.set("severity", severity);
    let status = fields.peek("status_label").or_else(|| fields.peek("status"));
    draft.set("status", status.as_deref().and_then(status_word));
    draft.set("category", fields.first(&["security_domain", "category"]));
    draft.set("description", fields.first(&["rule_description", "description", "message"]));
    draft.set("recommendedActions", fields.text("next_steps"));
    for (key, value) in members.as_object().into_iter().flatten() {
        if key.starts_with("annotations") || key.contains("mitre") {
            for text in texts(value) {
                draft.mitre(&text);
            }
            for id in texts(super::draft::find(value, "mitre_attack").unwrap_or(&Value::Null)) {
                draft.mitre(&id);
            }
        }
    }

    let at = fields.first_time(&["_time", "_indextime"]);
    let origin = fields.first_time(&["orig_time", "event_time"]);
    let at = at.or_else(|| origin.clone()).or_else(|| raw_time(raw));
    let first = fields.first_time(&["firstTime", "first_seen"]).or_else(|| origin.clone());
    let last = fields.first_time(&["lastTime", "last_seen"]).or(origin);
    let changed = fields.first_time(&["review_time", "last_modified_timestamp"]);
    draft.set("firstActivityDateTime", first.or_else(|| at.clone()));
    draft.set("lastActivityDateTime", last.or_else(|| at.clone()));
    draft.set("lastUpdateDateTime", changed.or_else(|| at.clone()));
    draft.set("createdDateTime", at);
    evidence(&mut draft, &mut fields);
    Ok(draft.finish(fields.leftover()))
}

/// Splunk's review status; `new` needs no word.
fn status_word(text: &str) -> Option<&'static str> {
    match text.to_ascii_lowercase().as_str() {
        "in progress" | "pending" | "2" | "3" => Some("inProgress"),
        "resolved" | "closed" | "4" | "5" => Some("resolved"),
        _ => None,
    }
}

/// The moment a `_raw` text begins with.
fn raw_time(raw: &str) -> Option<String> {
    let head = raw.trim_start().split(',').next()?.trim();
    super::when::wire(&Value::String(head.to_owned()))
}

/// The `key="value"` members of a `_raw` text; a repeated key has its values as a list. Text of
/// any other shape has none.
fn raw_members(raw: &str) -> Map<String, Value> {
    let mut members = Map::new();
    let mut rest = raw;
    while let Some(quote) = rest.find("=\"") {
        let Some((head, tail)) = rest.split_at_checked(quote) else { break };
        let key = head.rsplit([',', ' ', '\t', '\n', '\r']).next().unwrap_or_default();
        let Some(tail) = tail.strip_prefix("=\"") else { break };
        let mut value = String::new();
        let mut escaped = false;
        let mut end = None;
        for (at, c) in tail.char_indices() {
            match c {
                _ if escaped => {
                    if !matches!(c, '"' | '\\') {
                        value.push('\\');
                    }
                    value.push(c);
                    escaped = false;
                }
                '\\' => escaped = true,
                '"' => {
                    end = Some(at + 1);
                    break;
                }
                _ => value.push(c),
            }
        }
        if !key.is_empty() {
            add(&mut members, key, value);
        }
        let Some(next) = end.and_then(|end| tail.get(end..)) else { break };
        rest = next;
    }
    members.sort_keys();
    members
}

/// Adds what one member's texts name; the member counts as used when all of them named something.
fn each(draft: &mut Draft, fields: &mut Fields, path: &str, build: impl Fn(&str) -> Option<Value>) {
    let values = fields.find(path).map(texts).unwrap_or_default();
    let pieces: Vec<Value> = values.iter().filter_map(|text| build(text)).collect();
    if !pieces.is_empty() && pieces.len() == values.len() {
        fields.take(path);
    }
    for piece in pieces {
        draft.evidence(Some(piece));
    }
}

fn evidence(draft: &mut Draft, fields: &mut Fields) {
    let from = ["src_ip", "src"].iter().find_map(|path| fields.peek(path));
    let to = ["dest_ip", "dest"].iter().find_map(|path| fields.peek(path));
    if let (Some(from), Some(to)) = (&from, &to) {
        let port = |path: &str| parts::port(&fields.peek(path)?);
        let protocol = fields.peek("transport");
        let ends = ((from.as_str(), port("src_port")), (to.as_str(), port("dest_port")));
        draft.evidence(parts::connection(ends.0, ends.1, protocol.as_deref()));
    }
    for (path, role) in [
        ("src", "source"),
        ("src_ip", "source"),
        ("src_host", "source"),
        ("dest", "destination"),
        ("dest_ip", "destination"),
        ("dest_host", "destination"),
        ("event.ComputerName", ""),
        ("ComputerName", ""),
        ("dvc", "contextual"),
    ] {
        let roles: &[&str] = if role.is_empty() { &[] } else { &[role] };
        each(draft, fields, path, |text| parts::device(text, None, roles));
    }
    each(draft, fields, "ip", |text| parts::ip(text, &[]));
    for (path, role) in [
        ("user", ""),
        ("src_user", "source"),
        ("dest_user", "destination"),
        ("event.UserName", ""),
        ("UserName", ""),
    ] {
        let roles: &[&str] = if role.is_empty() { &[] } else { &[role] };
        each(draft, fields, path, |text| parts::user(text, None, None, roles));
    }
    each(draft, fields, "url", |text| parts::url(text, &[]));
    each(draft, fields, "query", |text| parts::dns(text, &[]));
    each(draft, fields, "registry_path", |text| parts::registry(text, None));

    let hash = fields.find("file_hash").map(texts).unwrap_or_default();
    let file = parts::File {
        path: fields.text("file_path"),
        name: fields.text("file_name"),
        hashes: hash.clone(),
        ..parts::File::default()
    };
    if !hash.is_empty() && hash.iter().all(|hash| parts::hash_algorithm(hash).is_some()) {
        fields.take("file_hash");
    }
    draft.evidence(file.evidence(&[]));

    let image = fields.first(&["process_path", "process_name"]);
    let parent = fields.first(&["parent_process_path", "parent_process_name", "parent_process"]);
    let process = parts::Process {
        id: fields.int("process_id"),
        command_line: fields.text("process"),
        image: parts::File::at(image),
        parent_id: fields.int("parent_process_id"),
        parent: parts::File::at(parent),
        ..parts::Process::default()
    };
    draft.evidence(process.evidence(&[]));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn alert(record: &Value) -> super::super::NewAlert {
        match read(record).unwrap() {
            Reading::Alerts(mut alerts) => alerts.remove(0),
            Reading::Ignored(reason) => panic!("{reason}"),
        }
    }

    fn piece(alert: &super::super::NewAlert, kind: &str) -> Value {
        let kind = format!("#microsoft.graph.security.{kind}Evidence");
        let all = alert.body["evidence"].as_array().unwrap();
        all.iter().find(|piece| piece["@odata.type"] == kind).cloned().unwrap_or_default()
    }

    #[test]
    fn raw_text_is_read_with_repeats_dots_and_escapes() {
        let alert = alert(&json!({
            "_cd": "70:1", "_bkt": "n~1", "_serial": "4", "_time": "2024-01-02T08:34:05.000+05:30",
            "_raw": "1704164645.000, search_name=\"Threat - Odd - Rule\", event.SeverityName=\"Low\", \
                event.UserName=\"ida\", file_name=\"a.exe\", file_path=\"\\\\Device\\\\Disk\\\\a.exe\", \
                file_hash=\"0123456789abcdef0123456789abcdef\", orig_tag=\"x\", orig_tag=\"y\", \
                note=\"he said \\\"no\\\"\", host=\"till-3\", \
                annotations.mitre_attack=\"T1047;T1082;T1497.001\"",
            "host": "192.0.2.7", "source": "Threat - Odd - Rule"
        }));
        // Storage addresses repeat and are no ids.
        assert_eq!(alert.source_id, None);
        let body = &alert.body;
        assert_eq!(body["title"], "Threat - Odd - Rule");
        assert_eq!(body["severity"], "low");
        assert_eq!(body["createdDateTime"], "2024-01-02T03:04:05.0000000Z");
        assert_eq!(body["mitreTechniques"], json!(["T1047", "T1082", "T1497.001"]));
        let file = &piece(&alert, "file")["fileDetails"];
        assert_eq!(file["filePath"], "\\Device\\Disk");
        assert_eq!(file["md5"], "0123456789abcdef0123456789abcdef");
        assert_eq!(piece(&alert, "user")["userAccount"]["accountName"], "ida");
        let more = &body["additionalData"];
        assert_eq!(more["orig_tag"], json!(["x", "y"]));
        assert_eq!(more["note"], "he said \"no\"");
        assert_eq!(more["host"], "till-3");
        assert_eq!(more["index.host"], "192.0.2.7");
        assert_eq!(more["_cd"], "70:1");
    }

    #[test]
    fn the_time_before_the_members_is_used_when_there_is_no_other() {
        for (raw, expected) in [
            ("1704164645, search_name=\"x\"", "2024-01-02T03:04:05.0000000Z"),
            ("1704164645.500, search_name=\"x\"", "2024-01-02T03:04:05.5000000Z"),
        ] {
            let alert = alert(&json!({"_raw": raw, "_cd": "1"}));
            assert_eq!(alert.body["createdDateTime"], expected);
        }
    }

    #[test]
    fn messages_of_alert_actions_and_review_states() {
        let alert = alert(&json!({"sid": "s1", "search_name": "Odd logons", "result": {
            "event_id": "e-1", "urgency": "critical", "status_label": "In Progress",
            "src": "till-3", "user": "N/A", "_time": "1704164645", "rule_description": "text"}}));
        assert_eq!(alert.source_id.as_deref(), Some("e-1"));
        assert_eq!(alert.body["title"], "Odd logons");
        assert_eq!(alert.body["severity"], "high");
        assert_eq!(alert.body["status"], "inProgress");
        assert_eq!(piece(&alert, "device")["hostName"], "till-3");
        assert_eq!(alert.body["additionalData"]["user"], "N/A");
        assert!(read(&json!([])).is_err());
        assert!(read(&json!({})).is_err());
        let event = read(&json!({"_raw": "a line", "_time": "1704164645", "index": "main"}));
        assert!(matches!(event.unwrap(), Reading::Ignored(reason) if reason.contains("main")));
    }
}
