//! Products with little to map: Falco rule matches, `QRadar` offenses and Zeek notices.

use serde_json::Value;

use super::draft::{Draft, Fields, severity_word, tactic, texts};
use super::evidence::{Evidence, integer};
use super::{Reading, parts};

/// Reads one Falco alert; an error when it has no rule or output.
pub fn falco(record: &Value) -> Result<Reading, String> {
    let mut fields = Fields::new(record);
    let Some(rule) = fields.text("rule") else {
        return Err("no rule of a Falco alert".to_owned());
    };
    let mut draft = Draft::new("falco", Some(rule.clone()));
    draft.set("productName", Some("Falco"));
    draft.set("detectorId", Some(rule));
    draft.set("description", fields.text("output"));
    draft.set("severity", fields.text("priority").as_deref().and_then(severity_word));
    let tags = fields.find("tags").map(texts).unwrap_or_default();
    for tag in &tags {
        draft.mitre(tag);
    }
    let named = tags.iter().filter_map(|tag| tag.strip_prefix("mitre_"));
    draft.set("category", named.into_iter().find_map(tactic));
    let at = fields.first_time(&["time", "output_fields.evt.time.iso8601"]);
    let at = at.or_else(|| fields.time("output_fields.evt.time"));
    for name in
        ["createdDateTime", "firstActivityDateTime", "lastActivityDateTime", "lastUpdateDateTime"]
    {
        draft.set(name, at.clone());
    }

    let host = fields.text("hostname");
    draft.evidence(host.and_then(|name| parts::device(&name, Some("Linux".to_owned()), &[])));
    let of = |name: &str| format!("output_fields.{name}");
    let number = |fields: &Fields, name: &str| fields.find(&of(name)).and_then(integer);
    let user = fields.text(&of("user.name"));
    let process = parts::Process {
        id: number(&fields, "proc.pid"),
        command_line: fields.text(&of("proc.cmdline")),
        image: parts::File::at_or_named(
            fields.text(&of("proc.exepath")),
            fields.peek(&of("proc.name")),
        ),
        parent_id: number(&fields, "proc.ppid"),
        parent: parts::File::at_or_named(
            fields.text(&of("proc.pexepath")),
            fields.peek(&of("proc.pname")),
        ),
        account: user.as_deref().and_then(|name| parts::account(name, None, None)),
        ..parts::Process::default()
    };
    draft.evidence(process.evidence(&[]));
    draft.evidence(user.and_then(|name| parts::user(&name, None, None, &[])));
    // A descriptor is a path, or `address:port->address:port`.
    if let Some(name) = fields.peek(&of("fd.name")) {
        let ends = name.split_once("->");
        let piece = match ends.and_then(|(from, to)| from.rsplit_once(':').zip(to.rsplit_once(':')))
        {
            Some(((from, from_port), (to, to_port))) => {
                draft.evidence(parts::ip(from, &["source"]));
                draft.evidence(parts::ip(to, &["destination"]));
                let protocol = fields.peek(&of("fd.l4proto"));
                parts::connection(
                    (from, parts::port(from_port)),
                    (to, parts::port(to_port)),
                    protocol.as_deref(),
                )
            }
            None if name.starts_with('/') => parts::File::at(Some(name)).evidence(&[]),
            None => None,
        };
        if piece.is_some() {
            fields.take(&of("fd.name"));
        }
        draft.evidence(piece);
    }
    let pod = fields.text(&of("k8s.pod.name"));
    if let Some(pod) = &pod {
        let space = fields.text(&of("k8s.ns.name")).unwrap_or_default();
        let address = fields.peek(&of("k8s.pod.ip")).and_then(|text| parts::address(&text));
        let address = address.map(|address| Evidence::ip(&address).build());
        let piece = Evidence::kubernetes_pod(pod, &space).with("podIp", address);
        draft.evidence(Some(piece.build()));
    }
    // Falco calls the machine itself the container `host`.
    let id = fields.peek(&of("container.id")).filter(|id| id != "host");
    if let Some(id) = id {
        fields.take(&of("container.id"));
        let name = fields.text(&of("container.name")).unwrap_or_default();
        let image = fields.peek(&of("container.image.repository"));
        let tag = fields.peek(&of("container.image.tag"));
        let image = match (image, tag) {
            (Some(image), Some(tag)) => format!("{image}:{tag}"),
            (image, _) => image.unwrap_or_default(),
        };
        draft.evidence(Some(Evidence::container(&id, &name, &image).build()));
    }
    Ok(draft.finish(fields.leftover()))
}

/// Reads one `QRadar` offense; the destinations an offense refers to are ignored.
pub fn qradar(record: &Value) -> Result<Reading, String> {
    let mut fields = Fields::new(record);
    for (member, name) in
        [("local_destination_ip", "local destination"), ("source_ip", "source address")]
    {
        if fields.find(member).is_some() && fields.find("offense_ids").is_some() {
            return Ok(Reading::Ignored(format!("QRadar {name}, not an offense")));
        }
    }
    let Some(id) = fields.text("id") else {
        return Err("no id of a QRadar offense".to_owned());
    };
    let title = fields.text("description").or_else(|| fields.peek("offense_source"));
    let mut draft = Draft::new("qradar", title);
    draft.id(Some(id));
    draft.set("productName", Some("IBM QRadar"));
    let severity = fields.int("severity").map(|level| match level {
        0..=3 => "low",
        4..=6 => "medium",
        7..=10 => "high",
        _ => "unknown",
    });
    draft.set("severity", severity);
    let closed = fields.peek("status").is_some_and(|status| status.eq_ignore_ascii_case("closed"));
    draft.set("status", if closed { Some("resolved") } else { None });
    let categories = fields.find("categories").map(texts).unwrap_or_default();
    draft.set("category", categories.into_iter().next());
    let rule = fields.items("rules").first().and_then(|rule| super::draft::text_at(rule, "id"));
    draft.set("detectorId", rule);
    let start = fields.first_time(&["start_time", "first_persisted_time"]);
    let last = fields.time("last_updated_time");
    let stored = fields.time("last_persisted_time");
    draft.set("createdDateTime", start.clone());
    draft.set("firstActivityDateTime", start.clone());
    draft.set("lastActivityDateTime", last.clone().or_else(|| start.clone()));
    draft.set("lastUpdateDateTime", stored.or(last).or(start));
    draft.set("resolvedDateTime", fields.time("close_time"));
    // What the offense is indexed by: 0 and 1 are addresses, 3 a user name, 7 a host name.
    let kind = fields.find("offense_type").and_then(integer);
    let piece = fields.peek("offense_source").and_then(|text| match kind {
        Some(1) => parts::ip(&text, &["destination"]),
        Some(3) => parts::user(&text, None, None, &[]),
        Some(7) => parts::device(&text, None, &[]),
        _ => parts::ip(&text, &["source"]),
    });
    if piece.is_some() {
        fields.take("offense_source");
    }
    draft.evidence(piece);
    Ok(draft.finish(fields.leftover()))
}

/// Reads one Zeek log line: notices are alerts, the other logs are ignored.
pub fn zeek(record: &Value) -> Result<Reading, String> {
    let mut fields = Fields::new(record);
    let stream = fields.peek("@stream").or_else(|| fields.peek("_path"));
    let note = fields.peek("note");
    let notice = match &stream {
        Some(stream) => stream == "notice",
        None => note.is_some(),
    };
    if !notice {
        let stream: String = stream.unwrap_or_default().chars().take(40).collect();
        return Ok(Reading::Ignored(format!("Zeek {stream} log, not a notice")));
    }
    let Some(note) = note else { return Err("no note of a Zeek notice".to_owned()) };
    fields.take("note");
    let mut draft = Draft::new("zeek", Some(note.clone()));
    draft.set("productName", Some("Zeek"));
    draft.set("detectorId", Some(note));
    draft.set("description", fields.text("msg"));
    let at = fields.first_time(&["ts", "_write_ts"]);
    for name in
        ["createdDateTime", "firstActivityDateTime", "lastActivityDateTime", "lastUpdateDateTime"]
    {
        draft.set(name, at.clone());
    }
    let either =
        |fields: &Fields, paths: [&str; 3]| paths.iter().find_map(|path| fields.peek(path));
    let from = either(&fields, ["id_orig_h", "id.orig_h", "src"]);
    let to = either(&fields, ["id_resp_h", "id.resp_h", "dst"]);
    draft.evidence(from.as_deref().and_then(|text| parts::ip(text, &["source"])));
    draft.evidence(to.as_deref().and_then(|text| parts::ip(text, &["destination"])));
    if let (Some(from), Some(to)) = (&from, &to) {
        let from_port = either(&fields, ["id_orig_p", "id.orig_p", ""]);
        let to_port = either(&fields, ["id_resp_p", "id.resp_p", "p"]);
        let port = |text: Option<String>| text.and_then(|text| parts::port(&text));
        let protocol = fields.peek("proto");
        draft.evidence(parts::connection(
            (from, port(from_port)),
            (to, port(to_port)),
            protocol.as_deref(),
        ));
    }
    let sensor = fields.text("@system").or_else(|| fields.text("_system_name"));
    draft.evidence(sensor.and_then(|name| parts::device(&name, None, &["contextual"])));
    Ok(draft.finish(fields.leftover()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn body(reading: Result<Reading, String>) -> serde_json::Map<String, Value> {
        match reading.unwrap() {
            Reading::Alerts(mut alerts) => alerts.remove(0).body,
            Reading::Ignored(reason) => panic!("{reason}"),
        }
    }

    fn piece(body: &serde_json::Map<String, Value>, kind: &str) -> Value {
        let kind = format!("#microsoft.graph.security.{kind}Evidence");
        let all = body["evidence"].as_array().unwrap();
        all.iter().find(|piece| piece["@odata.type"] == kind).cloned().unwrap_or_default()
    }

    #[test]
    fn falco_keeps_its_nanoseconds_and_odd_keys() {
        let body = body(falco(&json!({
            "hostname": "till-3", "rule": "Odd shell", "priority": "Warning", "output": "text",
            "tags": ["T1555", "mitre_credential_access"], "time": "2024-05-13T13:23:31.089890892Z",
            "output_fields": {"container.id": "84c0", "container.name": "web", "evt.time.iso8601": 1_715_606_609_089_890_892_i64,
                "fd.name": "/etc/shadow", "k8s.ns.name": "shop", "k8s.pod.name": "web-1", "k8s.pod.ip": "192.0.2.0/24",
                "proc.aname[2]": "runc", "proc.cmdline": "a b", "proc.exepath": "/bin/a", "proc.name": "x",
                "proc.pname": "sh", "user.loginuid": -1, "user.name": "root"}
        })));
        assert_eq!(body["title"], "Odd shell");
        assert_eq!(body["severity"], "medium");
        assert_eq!(body["category"], "CredentialAccess");
        assert_eq!(body["mitreTechniques"], json!(["T1555"]));
        assert_eq!(body["createdDateTime"], "2024-05-13T13:23:31.0898908Z");
        let more = &body["additionalData"]["output_fields"];
        assert_eq!(more["evt.time.iso8601"], 1_715_606_609_089_890_892_i64);
        assert_eq!(more["proc.aname[2]"], "runc");
        assert_eq!(more["user.loginuid"], -1);
        // A network is no address of a pod.
        assert_eq!(more["k8s.pod.ip"], "192.0.2.0/24");
        assert_eq!(piece(&body, "kubernetesPod")["namespace"]["name"], "shop");
        assert_eq!(piece(&body, "container")["containerId"], "84c0");
        assert_eq!(piece(&body, "process")["imageFile"]["fileName"], "a");
        assert_eq!(piece(&body, "file")["fileDetails"]["filePath"], "/etc");
    }

    #[test]
    fn falco_connections_and_the_machine_itself() {
        let body = body(falco(
            &json!({"rule": "Odd call", "priority": "Critical", "output": "x", "output_fields": {
            "fd.name": "192.0.2.1:5000->192.0.2.2:443", "fd.l4proto": "tcp", "container.id": "host"}}),
        ));
        assert_eq!(body["severity"], "high");
        assert_eq!(piece(&body, "networkConnection")["destinationPort"], 443);
        assert_eq!(piece(&body, "container"), Value::Null);
        assert!(falco(&json!({})).is_err());
    }

    #[test]
    fn an_offense_is_an_alert_and_its_destinations_are_not() {
        let offense = json!({"id": 591, "description": "Odd flood\n", "severity": 8, "status": "CLOSED",
            "offense_source": "192.0.2.1", "offense_type": 0, "start_time": 1_704_164_645_000_i64,
            "last_persisted_time": 1_704_164_999_000_i64, "close_time": null, "rules": [{"id": 100_079}],
            "categories": ["DoS"], "source_address_ids": [546]});
        let Reading::Alerts(alerts) = qradar(&offense).unwrap() else { panic!() };
        assert_eq!(alerts[0].source_id.as_deref(), Some("591"));
        let body = &alerts[0].body;
        assert_eq!(body["title"], "Odd flood");
        assert_eq!(body["severity"], "high");
        assert_eq!(body["status"], "resolved");
        assert_eq!(body["detectorId"], "100079");
        assert_eq!(body["lastUpdateDateTime"], "2024-01-02T03:09:59.0000000Z");
        assert_eq!(piece(body, "ip")["roles"], json!(["source"]));
        let place =
            qradar(&json!({"id": 1, "offense_ids": [1], "local_destination_ip": "192.0.2.1"}));
        assert!(
            matches!(place.unwrap(), Reading::Ignored(reason) if reason.contains("local destination"))
        );
        assert!(qradar(&json!({"severity": 1})).is_err());
    }

    #[test]
    fn zeek_notices_are_alerts_and_other_logs_are_not() {
        for record in [
            json!({"@stream": "notice", "ts": 1_704_164_645.74, "note": "SSL::Odd", "msg": "text",
                "id_orig_h": "192.0.2.1", "id_orig_p": 1, "id_resp_h": "192.0.2.2", "id_resp_p": 443, "proto": "tcp"}),
            json!({"_path": "notice", "ts": "2024-01-02T03:04:05.74Z", "note": "SSL::Odd", "msg": "text",
                "id.orig_h": "192.0.2.1", "id.orig_p": 1, "id.resp_h": "192.0.2.2", "id.resp_p": 443, "proto": "tcp"}),
        ] {
            let body = body(zeek(&record));
            assert_eq!(body["title"], "SSL::Odd");
            assert_eq!(body["createdDateTime"], "2024-01-02T03:04:05.7400000Z");
            assert_eq!(piece(&body, "networkConnection")["destinationPort"], 443);
        }
        let conn = zeek(&json!({"@stream": "conn", "ts": 1})).unwrap();
        assert_eq!(conn, Reading::Ignored("Zeek conn log, not a notice".to_owned()));
        assert!(zeek(&json!({"@stream": "notice"})).is_err());
    }
}
