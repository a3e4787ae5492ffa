//! Wazuh manager alerts, one object a line of `alerts.json`.
//!
//! Every object with a rule is an alert. The `id` of a line is not unique (managers and sample
//! generators repeat it), so it is kept as `providerAlertId` and never used to recognise repeats.

use serde_json::Value;

use super::draft::{Draft, Fields, int, tactic};
use super::evidence::{Evidence, integer};
use super::{Reading, parts};

/// Reads one alert, bare or as a search hit with `_source`; an error when it has no rule.
pub fn read(record: &Value) -> Result<Reading, String> {
    let source = record.get("_source").filter(|source| source.is_object());
    let mut fields = Fields::new(source.unwrap_or(record));
    if !fields.find("rule").is_some_and(Value::is_object) {
        return Err("no rule member of a Wazuh alert".to_owned());
    }
    let title = fields.first(&["rule.description", "data.title", "full_log"]);
    let mut draft = Draft::new("wazuh", title);
    draft.set("productName", Some("Wazuh"));
    let level = fields.int("rule.level");
    draft.set("severity", level.map(severity));
    draft.set("detectorId", fields.text("rule.id"));
    draft.set("providerAlertId", fields.text("id"));
    draft.set(
        "description",
        fields.first(&[
            "full_log",
            "data.vulnerability.title",
            "data.aws.description",
            "data.title",
        ]),
    );
    for id in fields.texts("rule.mitre.id") {
        draft.mitre(&id);
    }
    let group = fields.find("rule.groups").and_then(Value::as_array);
    let group = group.and_then(|groups| groups.iter().rev().find_map(Value::as_str));
    let tactics = fields.find("rule.mitre.tactic").map(super::draft::texts).unwrap_or_default();
    let category = tactics.iter().find_map(|name| tactic(name)).or(group);
    draft.set("category", category);

    let at = fields.first_time(&["timestamp", "@timestamp"]);
    let first = fields.first_time(&["data.aws.service.eventFirstSeen", "data.aws.createdAt"]);
    let last = fields.first_time(&["data.aws.service.eventLastSeen", "data.aws.updatedAt"]);
    draft.set("firstActivityDateTime", first.or_else(|| at.clone()));
    draft.set("lastActivityDateTime", last.or_else(|| at.clone()));
    draft.set("lastUpdateDateTime", at.clone());
    draft.set("createdDateTime", at);

    agent(&mut draft, &mut fields);
    network(&mut draft, &mut fields);
    files(&mut draft, &mut fields);
    windows(&mut draft, &mut fields);
    cloud(&mut draft, &mut fields);
    Ok(draft.finish(fields.leftover()))
}

/// Wazuh levels run from 0 to 15.
fn severity(level: i64) -> &'static str {
    match level {
        0..=3 => "informational",
        4..=6 => "low",
        7..=11 => "medium",
        12..=16 => "high",
        _ => "unknown",
    }
}

fn agent(draft: &mut Draft, fields: &mut Fields) {
    let name = fields.peek("agent.name");
    let address = fields.peek("agent.ip").and_then(|text| parts::address(&text));
    let Some(name) = name.filter(|name| parts::address(name).is_none()) else {
        draft.evidence(address.and_then(|address| parts::ip(&address, &[])));
        return;
    };
    if address.is_some() {
        fields.take("agent.ip");
    }
    fields.take("agent.name");
    let platform = fields.first(&["agent.os.platform", "agent.os.name"]);
    let device = Evidence::device(&name).with("lastIpAddress", address);
    draft.evidence(Some(device.with("osPlatform", platform).build()));
}

fn network(draft: &mut Draft, fields: &mut Fields) {
    let from =
        ["data.srcip", "data.src_ip", "data.win.eventdata.sourceIp", "data.office365.ClientIP"];
    let to = ["data.dstip", "data.dest_ip", "data.win.eventdata.destinationIp"];
    let from = from.iter().find_map(|path| fields.peek(path));
    let to = to.iter().find_map(|path| fields.peek(path));
    draft.evidence(from.as_deref().and_then(|text| parts::ip(text, &["source"])));
    draft.evidence(to.as_deref().and_then(|text| parts::ip(text, &["destination"])));
    if let (Some(from), Some(to)) = (&from, &to) {
        let port = |paths: &[&str]| {
            paths.iter().find_map(|path| fields.peek(path)).and_then(|text| parts::port(&text))
        };
        let from_port = port(&["data.srcport", "data.src_port", "data.win.eventdata.sourcePort"]);
        let to_port =
            port(&["data.dstport", "data.dest_port", "data.win.eventdata.destinationPort"]);
        let protocol = fields.peek("data.protocol").or_else(|| fields.peek("data.proto"));
        draft.evidence(parts::connection((from, from_port), (to, to_port), protocol.as_deref()));
    }
    for (path, role) in [
        ("data.srcuser", "source"),
        ("data.dstuser", "destination"),
        ("data.office365.UserId", "source"),
        ("data.audit.auid_name", "source"),
    ] {
        let user = fields.peek(path).and_then(|name| parts::user(&name, None, None, &[role]));
        if user.is_some() {
            fields.take(path);
        }
        draft.evidence(user);
    }
    let url = fields.peek("data.url").and_then(|text| parts::url(&text, &[]));
    if url.is_some() {
        fields.take("data.url");
    }
    draft.evidence(url);
    let name =
        fields.peek("data.win.eventdata.queryName").or_else(|| fields.peek("data.dns.query"));
    draft.evidence(name.and_then(|name| parts::dns(&name, &[])));
}

fn files(draft: &mut Draft, fields: &mut Fields) {
    let path = fields.peek("syscheck.path");
    let hives = path.as_deref().is_some_and(|path| path.starts_with("HKEY_"));
    if let Some(path) = path {
        let piece = if hives {
            let name = fields.peek("syscheck.value_name");
            parts::registry(&path, name.as_deref().map(|name| (name, "")))
        } else {
            let paths = ["syscheck.md5_after", "syscheck.sha1_after", "syscheck.sha256_after"];
            let hashes = paths.iter().filter_map(|path| fields.text(path)).collect();
            let size = fields.find("syscheck.size_after").and_then(integer);
            let file = parts::File { path: Some(path), name: None, hashes, size };
            file.evidence(&[])
        };
        if piece.is_some() {
            fields.take("syscheck.path");
        }
        draft.evidence(piece);
        let owner = fields.peek("syscheck.uname_after");
        let id = fields.peek("syscheck.uid_after");
        let owner = owner.and_then(|name| parts::user(&name, None, id.as_deref(), &["contextual"]));
        draft.evidence(owner);
    }
    for path in ["data.file", "data.audit.file.name", "data.virustotal.source.file"] {
        let hash = fields.peek("data.virustotal.source.sha1").filter(|_| path.contains("virus"));
        let file = parts::File {
            path: fields.text(path),
            hashes: hash.into_iter().collect(),
            ..parts::File::default()
        };
        draft.evidence(file.evidence(&[]));
    }
    let process = parts::Process {
        id: fields.find("data.audit.pid").and_then(int),
        parent_id: fields.find("data.audit.ppid").and_then(int),
        command_line: fields.text("data.audit.command"),
        image: parts::File::at(fields.text("data.audit.exe")),
        ..parts::Process::default()
    };
    draft.evidence(process.evidence(&[]));
}

/// Windows events, as the agent's event channel reader spells them.
fn windows(draft: &mut Draft, fields: &mut Fields) {
    let at = |name: &str| format!("data.win.eventdata.{name}");
    let image = fields.first(&[&at("image"), &at("newProcessName"), &at("processName")]);
    let number = |fields: &Fields, name: &str| fields.find(&at(name)).and_then(integer);
    let hashes = fields.peek(&at("hashes")).unwrap_or_default();
    // `SHA1=…,MD5=…,SHA256=…,IMPHASH=…`
    let hashes = hashes.split(',').take(8).filter_map(|pair| pair.split_once('='));
    let hashes = hashes.filter(|(name, _)| *name != "IMPHASH").map(|(_, hash)| hash.to_owned());
    let process = parts::Process {
        id: number(fields, "newProcessId").or_else(|| number(fields, "processId")),
        command_line: fields.text(&at("commandLine")),
        image: parts::File { path: image, hashes: hashes.collect(), ..parts::File::default() },
        parent_id: number(fields, "parentProcessId"),
        parent: parts::File::at(fields.first(&[&at("parentImage"), &at("parentProcessName")])),
        ..parts::Process::default()
    };
    draft.evidence(process.evidence(&[]));
    for (name, domain, id, role) in [
        ("subjectUserName", "subjectDomainName", "subjectUserSid", "source"),
        ("targetUserName", "targetDomainName", "targetUserSid", "destination"),
        ("user", "", "", "source"),
    ] {
        let Some(user) = fields.peek(&at(name)) else { continue };
        let (domain, id) = (fields.peek(&at(domain)), fields.peek(&at(id)));
        draft.evidence(parts::user(&user, domain.as_deref(), id.as_deref(), &[role]));
    }
    let address = fields.peek(&at("ipAddress")).and_then(|text| parts::ip(&text, &["source"]));
    draft.evidence(address);
    let target = fields.peek(&at("targetFilename"));
    draft.evidence(parts::File::at(target).evidence(&[]));
    let key = fields.peek(&at("targetObject"));
    draft.evidence(key.and_then(|key| parts::registry(&key, None)));
}

fn cloud(draft: &mut Draft, fields: &mut Fields) {
    let account = fields.peek("data.aws.accountId");
    let instance = fields.peek("data.aws.resource.instanceDetails.instanceId");
    let kind = fields.peek("data.aws.resource.resourceType");
    if let Some(id) = instance {
        let piece = Evidence::cloud_resource("aws", &id, "", kind.as_deref().unwrap_or(""));
        draft.evidence(Some(piece.with("amazonAccountId", account).build()));
    }
    let user = fields.peek("data.aws.resource.accessKeyDetails.userName");
    draft.evidence(user.and_then(|name| parts::user(&name, None, None, &[])));
    for action in [
        "awsApiCallAction.remoteIpDetails",
        "networkConnectionAction.remoteIpDetails",
        "portProbeAction.portProbeDetails.remoteIpDetails",
    ] {
        let path = format!("data.aws.service.action.{action}.ipAddressV4");
        draft.evidence(fields.peek(&path).and_then(|text| parts::ip(&text, &["attacker"])));
    }
    let container = fields.peek("data.docker.Type").is_some_and(|kind| kind == "container");
    if container && let Some(id) = fields.peek("data.docker.Actor.ID") {
        let name = fields.peek("data.docker.Actor.Attributes.name").unwrap_or_default();
        let image = fields.peek("data.docker.Actor.Attributes.image").unwrap_or_default();
        draft.evidence(Some(Evidence::container(&id, &name, &image).build()));
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
    fn an_alert_with_its_agent_file_and_rule() {
        let alert = alert(&json!({
            "timestamp": "2024-01-02T03:04:05.784+0000", "id": "1580.1", "decoder": {}, "predecoder": {},
            "rule": {"level": 9, "id": "554", "description": "File added", "groups": ["syscheck"],
                "mitre": {"id": ["T1114", "T1059.001"], "tactic": ["Command and Control"]}},
            "agent": {"id": "004", "name": "till-3.norrland.example", "ip": "192.0.2.9"},
            "syscheck": {"path": "/srv/bills/a.txt", "size_after": 38,
                "sha256_after": "0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef"}
        }));
        // The sample generators repeat the id on most lines.
        assert_eq!(alert.source_id, None);
        assert_eq!(alert.source, "wazuh");
        let body = &alert.body;
        assert_eq!(body["title"], "File added");
        assert_eq!(body["severity"], "medium");
        assert_eq!(body["detectorId"], "554");
        assert_eq!(body["providerAlertId"], "1580.1");
        assert_eq!(body["createdDateTime"], "2024-01-02T03:04:05.7840000Z");
        assert_eq!(body["category"], "CommandAndControl");
        assert_eq!(body["mitreTechniques"], json!(["T1114", "T1059.001"]));
        let device = piece(&alert, "device");
        assert_eq!(device["hostName"], "till-3");
        assert_eq!(device["lastIpAddress"], "192.0.2.9");
        let file = &piece(&alert, "file")["fileDetails"];
        assert_eq!(file["filePath"], "/srv/bills");
        let hash = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
        assert_eq!(file["sha256"], hash);
        assert_eq!(body["additionalData"]["agent"], json!({"id": "004"}));
    }

    #[test]
    fn levels_are_bands_and_may_be_text() {
        for (level, expected) in [
            (json!(0), "informational"),
            (json!("3"), "informational"),
            (json!(4), "low"),
            (json!(7), "medium"),
            (json!("15"), "high"),
            (json!(99), "unknown"),
            (json!([]), "unknown"),
        ] {
            let alert = alert(&json!({"rule": {"level": level, "description": "x"}}));
            assert_eq!(alert.body["severity"], expected, "{level}");
        }
    }

    #[test]
    fn a_hit_of_the_indexer_is_read_too() {
        let hit = json!({"_id": "h", "_source": {"rule": {"level": 4, "description": "x"}}});
        assert_eq!(alert(&hit).body["title"], "x");
    }

    #[test]
    fn windows_and_cloud_members_become_evidence() {
        let alert = alert(&json!({"rule": {"level": 12, "description": "x"}, "data": {
            "win": {"eventdata": {"newProcessId": "0x1f4", "newProcessName": "C:\\Windows\\a.exe",
                "commandLine": "a.exe /q", "parentImage": "C:\\b.exe", "targetUserName": "ida",
                "targetUserSid": "S-1-5-21-7", "ipAddress": "-"}},
            "aws": {"accountId": "1", "resource": {"instanceDetails": {"instanceId": "i-1"}},
                "service": {"action": {"portProbeAction": {"portProbeDetails": {
                    "remoteIpDetails": {"ipAddressV4": "192.0.2.66"}}}}}},
            "docker": {"Type": "container", "Actor": {"ID": "5f", "Attributes": {"image": "web"}}}
        }}));
        let process = piece(&alert, "process");
        assert_eq!(process["processId"], 500);
        assert_eq!(process["parentProcessImageFile"]["fileName"], "b.exe");
        assert_eq!(piece(&alert, "user")["userAccount"]["userSid"], "S-1-5-21-7");
        assert_eq!(piece(&alert, "ip")["roles"], json!(["attacker"]));
        assert_eq!(piece(&alert, "amazonResource")["amazonAccountId"], "1");
        assert_eq!(piece(&alert, "container")["containerId"], "5f");
        assert!(read(&json!({"agent": {}})).unwrap_err().contains("no rule"));
    }
}
