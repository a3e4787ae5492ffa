//! Suricata EVE events: those of type `alert` are alerts, the others are ignored.
//!
//! A flow may raise many alerts and an event carries no id of its own, so repeats are recognised
//! by content alone.

use serde_json::Value;

use super::draft::{Draft, Fields, int, text_at};
use super::{Reading, parts};

/// Reads one event; an error when it has no type, or is an alert without its signature.
pub fn read(record: &Value) -> Result<Reading, String> {
    let mut fields = Fields::new(record);
    let Some(kind) = fields.peek("event_type") else {
        return Err("no event_type of a Suricata event".to_owned());
    };
    if kind != "alert" {
        let kind: String = kind.chars().take(40).collect();
        return Ok(Reading::Ignored(format!("Suricata {kind} event, not an alert")));
    }
    if !fields.find("alert").is_some_and(Value::is_object) {
        return Err("a Suricata alert without its alert member".to_owned());
    }
    fields.take("event_type");
    let id = fields.text("alert.signature_id");
    let title = fields
        .text("alert.signature")
        .or_else(|| id.as_ref().map(|id| format!("Suricata signature {id}")));
    let mut draft = Draft::new("suricata", title);
    draft.set("productName", Some("Suricata"));
    draft.set("detectorId", id);
    let severity = fields.int("alert.severity").map(|level| match level {
        1 => "high",
        2 => "medium",
        3 => "low",
        4.. => "informational",
        _ => "unknown",
    });
    draft.set("severity", severity);
    let category = fields.text("alert.category");
    draft.set("description", category.clone());
    draft.set("category", category);
    for path in ["mitre_technique_id", "mitre_technique", "mitre_attack"] {
        for text in fields.texts(&format!("alert.metadata.{path}")) {
            draft.mitre(&text);
        }
    }

    let at = fields.time("timestamp");
    let start = fields.time("flow.start");
    draft.set("firstActivityDateTime", start.or_else(|| at.clone()));
    draft.set("lastActivityDateTime", at.clone());
    draft.set("lastUpdateDateTime", at.clone());
    draft.set("createdDateTime", at);

    evidence(&mut draft, &mut fields);
    Ok(draft.finish(fields.leftover()))
}

fn evidence(draft: &mut Draft, fields: &mut Fields) {
    let from = fields.peek("src_ip");
    let to = fields.peek("dest_ip");
    for (path, text, role) in [("src_ip", &from, "source"), ("dest_ip", &to, "destination")] {
        let piece = text.as_deref().and_then(|text| parts::ip(text, &[role]));
        if piece.is_some() {
            fields.take(path);
        }
        draft.evidence(piece);
    }
    // Rules with a `target` keyword say which end attacks.
    for (path, role) in [("alert.source.ip", "attacker"), ("alert.target.ip", "attacked")] {
        draft.evidence(fields.peek(path).and_then(|text| parts::ip(&text, &[role])));
    }
    if let (Some(from), Some(to)) = (from, to) {
        let mut port =
            |path: &str| fields.int(path).and_then(|port| parts::port(&port.to_string()));
        let (from_port, to_port) = (port("src_port"), port("dest_port"));
        let protocol = fields.peek("proto");
        let piece = parts::connection((&from, from_port), (&to, to_port), protocol.as_deref());
        draft.evidence(piece);
    }

    let host = fields.peek("http.hostname");
    let path = fields.peek("http.url");
    let url = match (&host, &path) {
        (_, Some(path)) if path.contains("://") => Some(path.clone()),
        (Some(host), Some(path)) if path.starts_with('/') => Some(format!("http://{host}{path}")),
        _ => None,
    };
    draft.evidence(url.and_then(|url| parts::url(&url, &[])));
    for name in host.into_iter().chain(fields.peek("tls.sni")).chain(fields.peek("dns.rrname")) {
        draft.evidence(parts::dns(&name, &[]));
    }
    for list in ["dns.queries", "dns.query", "dns.answers"] {
        for query in fields.items(list) {
            draft.evidence(text_at(query, "rrname").and_then(|name| parts::dns(&name, &[])));
        }
    }
    for item in fields.items("files").into_iter().chain(fields.items("fileinfo")) {
        let hashes = ["md5", "sha1", "sha256"];
        let file = parts::File {
            name: text_at(item, "filename"),
            hashes: hashes.iter().filter_map(|name| text_at(item, name)).collect(),
            size: item.get("size").and_then(int),
            ..parts::File::default()
        };
        draft.evidence(file.evidence(&[]));
    }
    let sensor = fields.text("host");
    draft.evidence(sensor.and_then(|name| parts::device(&name, None, &["contextual"])));
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
    fn an_alert_with_its_flow_and_request() {
        let alert = alert(&json!({
            "timestamp": "2024-01-02T03:04:05.037299-0600", "event_type": "alert", "flow_id": 928_532_049_924_531_i64,
            "src_ip": "192.0.2.1", "src_port": 7, "dest_ip": "2001:db8::2", "dest_port": 80, "proto": "TCP",
            "alert": {"signature": "Odd request", "signature_id": 9, "severity": 2, "category": "Misc",
                "metadata": {"mitre_technique_id": ["T1071"]}},
            "http": {"hostname": "a.example", "url": "/x?y=1"}, "tls": {"sni": "b.example"},
            "files": [{"filename": "/x/y.bin", "size": 4}], "flow": {"start": "2024-01-02T03:04:04-0600"}
        }));
        assert_eq!(alert.source_id, None);
        let body = &alert.body;
        assert_eq!(body["title"], "Odd request");
        assert_eq!(body["severity"], "medium");
        assert_eq!(body["createdDateTime"], "2024-01-02T09:04:05.0372990Z");
        assert_eq!(body["firstActivityDateTime"], "2024-01-02T09:04:04.0000000Z");
        assert_eq!(body["mitreTechniques"], json!(["T1071"]));
        assert_eq!(piece(&alert, "url")["url"], "http://a.example/x?y=1");
        assert_eq!(piece(&alert, "networkConnection")["sourcePort"], 7);
        assert_eq!(piece(&alert, "file")["fileDetails"]["fileName"], "y.bin");
        assert_eq!(body["additionalData"]["flow_id"], 928_532_049_924_531_i64);
    }

    #[test]
    fn an_alert_may_have_no_addresses_and_other_events_are_no_alerts() {
        let bare = alert(&json!({"event_type": "alert", "alert": {"signature_id": 5}}));
        assert_eq!(bare.body["title"], "Suricata signature 5");
        assert_eq!(bare.body["evidence"], json!([]));
        let flow = read(&json!({"event_type": "flow", "flow_id": 1})).unwrap();
        assert_eq!(flow, Reading::Ignored("Suricata flow event, not an alert".to_owned()));
        assert!(read(&json!({"event_type": "alert"})).is_err());
        assert!(read(&json!({"alert": {}})).is_err());
    }
}
