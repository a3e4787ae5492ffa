//! Elastic Security detection alerts, and ECS documents that say they are alerts.
//!
//! Members may be flat dotted keys, nested objects or both in one document; the look-up tries
//! both. `kibana.alert.severity` is the alert's own and wins over the rule's.

use serde_json::Value;

use super::draft::{Draft, Fields, find, severity_word, tactic, text_at, texts};
use super::evidence::{Evidence, integer};
use super::{Reading, parts};

/// Reads one document, bare or as a search hit with `_source`.
pub fn read(record: &Value) -> Result<Reading, String> {
    let source = record.get("_source").filter(|source| source.is_object());
    let mut fields = Fields::new(source.unwrap_or(record));
    if !record.is_object() {
        return Err("an Elastic document is an object".to_owned());
    }
    let id = fields.first(&["kibana.alert.uuid", "signal.id"]);
    let id = id.or_else(|| text_at(record, "_id"));
    let names = ["kibana.alert.rule.name", "signal.rule.name", "rule.name"];
    let title = fields.first(&names);
    let kind = fields.peek("event.kind").unwrap_or_default();
    let detected = ["kibana.alert", "signal.rule"].iter().any(|path| fields.find(path).is_some())
        || (title.is_some() && fields.find("kibana.alert.rule.name").is_some())
        || fields.find("kibana.alert.uuid").is_some();
    if !detected && !matches!(kind.as_str(), "signal" | "alert") {
        if kind.is_empty() {
            return Err("neither kibana.alert nor event.kind in an Elastic document".to_owned());
        }
        let kind: String = kind.chars().take(40).collect();
        return Ok(Reading::Ignored(format!("Elastic document of kind {kind}, not an alert")));
    }
    let title = title.or_else(|| fields.first(&["message", "event.action"]));
    let mut draft = Draft::new("elastic", title);
    draft.id(id);
    draft.set("productName", Some("Elastic Security"));
    let words = ["kibana.alert.severity", "signal.severity", "kibana.alert.rule.severity"];
    let words = words.into_iter().chain(["signal.rule.severity"]);
    let severity = words.into_iter().find_map(|path| {
        let word = severity_word(&fields.peek(path)?)?;
        fields.take(path);
        Some(word)
    });
    let score = ["kibana.alert.risk_score", "event.risk_score", "event.severity"];
    let score = || score.iter().find_map(|path| fields.find(path).and_then(integer));
    draft.set("severity", severity.or_else(|| score().map(of_score)));
    let status = fields.first(&["kibana.alert.workflow_status", "signal.status"]);
    draft.set(
        "status",
        status.and_then(|status| match status.as_str() {
            "acknowledged" | "in-progress" => Some("inProgress"),
            "closed" => Some("resolved"),
            _ => None,
        }),
    );
    draft.set(
        "description",
        fields.first(&[
            "kibana.alert.rule.description",
            "signal.rule.description",
            "rule.description",
            "kibana.alert.reason",
        ]),
    );
    draft.set(
        "detectorId",
        fields.first(&[
            "kibana.alert.rule.rule_id",
            "signal.rule.rule_id",
            "kibana.alert.rule.uuid",
            "rule.id",
        ]),
    );
    times(&mut draft, &mut fields);
    threats(&mut draft, &fields);
    endpoint(&mut draft, &mut fields);
    network(&mut draft, &mut fields);
    Ok(draft.finish(fields.leftover()))
}

/// Elastic's own bands of a risk score from 0 to 100.
fn of_score(score: i64) -> &'static str {
    match score {
        0..=21 => "low",
        22..=47 => "medium",
        48..=100 => "high",
        _ => "unknown",
    }
}

fn times(draft: &mut Draft, fields: &mut Fields) {
    let at = fields.time("@timestamp");
    let first = fields.first_time(&["kibana.alert.original_time", "signal.original_time"]);
    let last = fields.time("kibana.alert.last_detected");
    let changed =
        fields.first_time(&["kibana.alert.workflow_status_updated_at", "kibana.alert.updated_at"]);
    let created = fields.time("kibana.alert.start").or_else(|| at.clone());
    draft.set("createdDateTime", created);
    draft.set("firstActivityDateTime", first.clone().or_else(|| at.clone()));
    draft.set("lastActivityDateTime", first.or_else(|| at.clone()));
    draft.set("lastUpdateDateTime", changed.or(last).or(at));
}

fn threats(draft: &mut Draft, fields: &Fields) {
    let mut category = None;
    for list in ["threat", "kibana.alert.rule.threat", "signal.rule.threat"] {
        for threat in fields.items(list) {
            let names = find(threat, "tactic.name").map(texts).unwrap_or_default();
            category = category.or_else(|| names.iter().find_map(|name| tactic(name)));
            for path in ["technique.id", "technique.subtechnique.id"] {
                for id in find(threat, path).map(texts).unwrap_or_default() {
                    draft.mitre(&id);
                }
            }
            for technique in list_of(threat, "technique") {
                draft.mitre(&text_at(technique, "id").unwrap_or_default());
                for sub in list_of(technique, "subtechnique") {
                    draft.mitre(&text_at(sub, "id").unwrap_or_default());
                }
            }
        }
    }
    let kinds = fields.find("event.category").map(texts).unwrap_or_default();
    let category = category.map(str::to_owned).or_else(|| kinds.into_iter().next());
    draft.set("category", category);
}

fn list_of<'a>(value: &'a Value, path: &str) -> &'a [Value] {
    find(value, path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn endpoint(draft: &mut Draft, fields: &mut Fields) {
    let host = fields.first(&["host.hostname", "host.name", "agent.hostname"]);
    if let Some(host) = host.filter(|host| parts::address(host).is_none()) {
        let system = fields.first(&["host.os.name", "host.os.platform"]);
        let addresses: Vec<String> = fields.texts("host.ip");
        let mut device = Evidence::device(&host).with("osPlatform", system);
        device = device.with("version", fields.text("host.os.version"));
        if !addresses.is_empty() {
            device = device.with("ipInterfaces", addresses);
        }
        draft.evidence(Some(device.build()));
    }
    for (at, role) in [("user", "source"), ("user.target", "destination"), ("user.effective", "")] {
        let Some(name) = fields.peek(&format!("{at}.name")) else { continue };
        let domain = fields.peek(&format!("{at}.domain"));
        let id = fields.peek(&format!("{at}.id"));
        let role: &[&str] = if role.is_empty() { &[] } else { &[role] };
        let user = parts::user(&name, domain.as_deref(), id.as_deref(), role);
        if user.is_some() {
            fields.take(&format!("{at}.name"));
        }
        draft.evidence(user);
    }
    let number = |fields: &Fields, path: &str| fields.find(path).and_then(integer);
    let account = fields.peek("process.user.name").or_else(|| fields.peek("user.name"));
    let process = parts::Process {
        id: number(fields, "process.pid"),
        command_line: fields.text("process.command_line"),
        image: file(fields, "process", "executable"),
        created: fields.time("process.start"),
        parent_id: number(fields, "process.parent.pid"),
        parent: file(fields, "process.parent", "executable"),
        parent_created: fields.time("process.parent.start"),
        account: account.and_then(|name| parts::account(&name, None, None)),
    };
    draft.evidence(process.evidence(&[]));
    for at in ["file", "dll"] {
        let file = file(fields, at, "path");
        draft.evidence(file.evidence(&[]));
    }
    if let Some(path) = fields.peek("registry.path") {
        let name = fields.peek("registry.value");
        let data = fields.find("registry.data.strings").map(texts).unwrap_or_default().join(" ");
        let key = match &name {
            Some(name) => path
                .strip_suffix(name.as_str())
                .map_or(path.as_str(), |key| key.trim_end_matches('\\')),
            None => path.as_str(),
        };
        draft.evidence(parts::registry(key, name.as_deref().map(|name| (name, data.as_str()))));
    }
    if let Some(id) = fields.peek("container.id") {
        let name = fields.peek("container.name").unwrap_or_default();
        let image = fields.peek("container.image.name").unwrap_or_default();
        draft.evidence(Some(Evidence::container(&id, &name, &image).build()));
    }
    let pod = fields.peek("kubernetes.pod.name").or_else(|| {
        let kind = fields.peek("orchestrator.resource.type")?;
        if kind == "pod" { fields.peek("orchestrator.resource.name") } else { None }
    });
    if let Some(pod) = pod {
        let space =
            fields.peek("kubernetes.namespace").or_else(|| fields.peek("orchestrator.namespace"));
        let piece = Evidence::kubernetes_pod(&pod, space.as_deref().unwrap_or(""));
        draft.evidence(Some(piece.build()));
    }
}

/// The file an ECS object describes, with hashes of the right length marked as used.
fn file(fields: &mut Fields, at: &str, path: &str) -> parts::File {
    let mut hashes = Vec::new();
    for algorithm in ["md5", "sha1", "sha256"] {
        let path = format!("{at}.hash.{algorithm}");
        let hash = fields.peek(&path);
        if let Some(hash) = hash.filter(|hash| parts::hash_algorithm(hash) == Some(algorithm)) {
            fields.take(&path);
            hashes.push(hash);
        }
    }
    let path = fields.text(&format!("{at}.{path}"));
    let size = fields.find(&format!("{at}.size")).and_then(integer);
    let file = parts::File::at_or_named(path, fields.peek(&format!("{at}.name")));
    parts::File { hashes, size, ..file }
}

fn network(draft: &mut Draft, fields: &mut Fields) {
    let from = fields.peek("source.ip").or_else(|| fields.peek("client.ip"));
    let to = fields.peek("destination.ip").or_else(|| fields.peek("server.ip"));
    draft.evidence(from.as_deref().and_then(|text| parts::ip(text, &["source"])));
    draft.evidence(to.as_deref().and_then(|text| parts::ip(text, &["destination"])));
    if let (Some(from), Some(to)) = (&from, &to) {
        let port = |path: &str| parts::port(&fields.peek(path)?);
        let protocol = fields.peek("network.transport");
        draft.evidence(parts::connection(
            (from, port("source.port")),
            (to, port("destination.port")),
            protocol.as_deref(),
        ));
    }
    for path in ["url.full", "url.original"] {
        let url = fields.peek(path).and_then(|text| parts::url(&text, &[]));
        if url.is_some() {
            fields.take(path);
            draft.evidence(url);
            break;
        }
    }
    for path in ["dns.question.name", "destination.domain", "url.domain"] {
        draft.evidence(fields.peek(path).and_then(|name| parts::dns(&name, &[])));
    }
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
    fn flat_and_nested_members_are_read_alike() {
        let record = json!({
            "@timestamp": "2024-01-02T03:04:05.205Z", "kibana.alert.uuid": "u-1",
            "kibana.alert.rule.name": "Odd shell", "kibana.alert.severity": "high",
            "kibana.alert.rule.severity": "medium", "kibana.alert.workflow_status": "open",
            "event.kind": "signal", "kibana.alert.url": "https://k.example/x?index=a\u{d7}tamp=1",
            "host": {"hostname": "till-3", "ip": ["127.0.0.1", "192.0.2.9"], "os": {"name": "Linux"}},
            "user": {"name": "ida", "id": 1005}, "source.ip": "192.0.2.1",
            "process": {"pid": 4, "executable": "/tmp/a", "name": "a", "command_line": "a b",
                "start": "2024-01-02T03:04:04.94Z", "parent": {"pid": 3, "executable": "/bin/sh"},
                "hash": {"md5": "abcd2d21a340f2b3ee534fba5b29e417", "sha1": "too-short"}},
            "threat": [{"technique": [{"id": "T1059", "subtechnique": [{"id": "T1059.004"}]}],
                "tactic": {"name": "Execution"}}]
        });
        let flat = alert(&record);
        assert_eq!(flat.source_id.as_deref(), Some("u-1"));
        assert_eq!(flat.body["severity"], "high");
        assert_eq!(flat.body["status"], "new");
        assert_eq!(flat.body["category"], "Execution");
        assert_eq!(flat.body["mitreTechniques"], json!(["T1059", "T1059.004"]));
        let process = piece(&flat, "process");
        assert_eq!(process["imageFile"]["md5"], "abcd2d21a340f2b3ee534fba5b29e417");
        assert_eq!(process["imageFile"]["filePath"], "/tmp");
        assert_eq!(process["processCreationDateTime"], "2024-01-02T03:04:04.9400000Z");
        let more = &flat.body["additionalData"];
        // A hash of the wrong length and a broken link stay exactly as they came.
        assert_eq!(more["process"]["hash"], json!({"sha1": "too-short"}));
        assert_eq!(more["kibana.alert.url"], record["kibana.alert.url"]);
        assert_eq!(more["user"], json!({"id": 1005}));

        let nested = alert(&json!({"_id": "hit-1", "_source": {
            "@timestamp": "2024-01-02T03:04:05.205Z",
            "kibana": {"alert": {"rule": {"name": "Odd shell", "severity": "low"}, "workflow_status": "closed"}},
            "event": {"kind": "signal"}, "process.executable": "/tmp/a"
        }}));
        assert_eq!(nested.source_id.as_deref(), Some("hit-1"));
        assert_eq!(nested.body["severity"], "low");
        assert_eq!(nested.body["status"], "resolved");
        assert_eq!(piece(&nested, "process")["imageFile"]["fileName"], "a");
    }

    #[test]
    fn documents_that_are_no_alerts_are_ignored() {
        let event = read(&json!({"@timestamp": "x", "event": {"kind": "event"}})).unwrap();
        assert!(matches!(event, Reading::Ignored(reason) if reason.contains("kind event")));
        let ecs =
            alert(&json!({"event.kind": "alert", "event.risk_score": 99, "rule.name": "Odd"}));
        assert_eq!(ecs.body["severity"], "high");
        assert!(read(&json!({"message": "x"})).is_err());
        assert!(read(&json!([])).is_err());
    }
}
