//! Open Cybersecurity Schema Framework events: findings (category 2) are alerts, the other
//! categories are activities and ignored.
//!
//! Covers the spellings from 1.0 (`finding`, `resource`) to 1.5 (`finding_info`, `resources`,
//! `evidences`). A finding's uid is unique within its product only, so the product is a part of
//! the id that recognises repeats.

use serde_json::Value;

use super::draft::{Draft, Fields, find, severity_word, tactic, text, text_at, texts};
use super::evidence::{Evidence, integer};
use super::{Reading, parts, when};

/// Most `evidences`, resources and observables looked at; all of them stay in `additionalData`.
const MAX_ITEMS: usize = 1000;

/// Reads one event; an error when it has no class.
pub fn read(record: &Value) -> Result<Reading, String> {
    let mut fields = Fields::new(record);
    let Some(class) = fields.find("class_uid").and_then(integer) else {
        return Err("no class_uid of an OCSF event".to_owned());
    };
    // An extension puts its own number in front of the class.
    if class.rem_euclid(100_000) / 1000 != 2 {
        let name: String = fields.peek("class_name").unwrap_or_default().chars().take(60).collect();
        let name = if name.is_empty() { "event".to_owned() } else { name.to_lowercase() };
        return Ok(Reading::Ignored(format!(
            "OCSF {name} (class {class}) is an activity, not a finding"
        )));
    }
    let listed = fields.items("finding_info_list").first().copied();
    let title = ["finding_info.title", "finding.title"];
    let title = fields.first(&title).or_else(|| listed.and_then(|item| text_at(item, "title")));
    let title = title.or_else(|| fields.first(&["message", "type_name", "class_name"]));
    let mut draft = Draft::new("ocsf", title);
    identity(&mut draft, &mut fields);
    draft.set("severity", severity(&mut fields));
    draft.set("status", status(&fields));
    draft.set(
        "description",
        fields.first(&["finding_info.desc", "finding.desc", "desc", "message", "status_detail"]),
    );
    let remedies = ["remediation.desc", "finding.remediation.desc"];
    draft.set("recommendedActions", fields.first(&remedies));
    times(&mut draft, &mut fields);
    attacks(&mut draft, &fields);

    entities(&mut draft, record);
    for item in fields.items("evidences").into_iter().take(MAX_ITEMS) {
        entities(&mut draft, item);
    }
    resources(&mut draft, &fields);
    for item in fields.items("malware").into_iter().take(MAX_ITEMS) {
        let kinds = find(item, "classifications").map(texts).unwrap_or_default();
        let name = text_at(item, "name").unwrap_or_default();
        draft.evidence(parts::malware(&name, kinds.first().map_or("", String::as_str)));
        draft.set("threatDisplayName", Some(name).filter(|name| !name.is_empty()));
    }
    for item in fields.items("observables").into_iter().take(MAX_ITEMS) {
        observable(&mut draft, item);
    }
    Ok(draft.finish(fields.leftover()))
}

fn identity(draft: &mut Draft, fields: &mut Fields) {
    let vendor = fields.text("metadata.product.vendor_name").unwrap_or_default();
    let product = fields.text("metadata.product.name").unwrap_or_default();
    let full = if product.to_lowercase().starts_with(&vendor.to_lowercase()) {
        product.clone()
    } else {
        format!("{vendor} {product}").trim().to_owned()
    };
    draft.set("productName", Some(full).filter(|name| !name.is_empty()));
    let uid = fields.first(&["finding_info.uid", "finding.uid", "metadata.uid"]);
    draft.unique(
        uid.clone()
            .map(|uid| format!("{}|{}|{uid}", vendor.to_lowercase(), product.to_lowercase())),
    );
    draft.set("providerAlertId", uid);
    draft.set(
        "detectorId",
        fields.first(&[
            "finding_info.analytic.uid",
            "analytic.uid",
            "rule.uid",
            "metadata.event_code",
            "finding_info.analytic.name",
            "analytic.name",
            "rule.name",
            "finding.product_uid",
            "metadata.product.feature.uid",
        ]),
    );
}

fn severity(fields: &mut Fields) -> Option<&'static str> {
    let level = fields.find("severity_id").and_then(integer).and_then(|level| match level {
        1 => Some("informational"),
        2 => Some("low"),
        3 => Some("medium"),
        4..=6 => Some("high"),
        _ => None,
    });
    if level.is_some() {
        fields.take("severity_id");
        fields.take("severity");
        return level;
    }
    ["severity", "risk_level"].iter().find_map(|path| severity_word(&fields.peek(path)?))
}

/// The state of the finding; `status_id` of 1.0 is the outcome of the event instead.
fn status(fields: &Fields) -> Option<&'static str> {
    let word = fields.peek("state").or_else(|| fields.peek("status"))?;
    match word.to_ascii_lowercase().replace([' ', '_'], "").as_str() {
        "inprogress" => Some("inProgress"),
        "resolved" | "closed" | "suppressed" | "archived" => Some("resolved"),
        _ => None,
    }
}

fn times(draft: &mut Draft, fields: &mut Fields) {
    // The `_dt` spelling carries a zone and more digits; some producers fill only one of them.
    let mut either = |names: &[&str]| {
        names.iter().find_map(|name| {
            let exact = fields.time(&format!("{name}_dt"));
            let epoch = fields.time(name);
            exact.or(epoch)
        })
    };
    let at = either(&["time"]);
    let created = either(&["finding_info.created_time", "finding.created_time"]);
    let first = either(&["finding_info.first_seen_time", "finding.first_seen_time", "start_time"]);
    let last = either(&["finding_info.last_seen_time", "finding.last_seen_time", "end_time"]);
    let changed =
        either(&["finding_info.modified_time", "finding.modified_time", "metadata.modified_time"]);
    let created = created.or_else(|| at.clone());
    draft.set("firstActivityDateTime", first.or_else(|| created.clone()));
    draft.set("lastActivityDateTime", last.or_else(|| at.clone()).or_else(|| created.clone()));
    draft.set("lastUpdateDateTime", changed.or(at).or_else(|| created.clone()));
    draft.set("createdDateTime", created);
}

fn attacks(draft: &mut Draft, fields: &Fields) {
    let mut category = None;
    for list in ["attacks", "finding_info.attacks", "finding.attacks"] {
        for attack in fields.items(list).into_iter().take(MAX_ITEMS) {
            for path in ["technique.uid", "sub_technique.uid"] {
                draft.mitre(&text_at(attack, path).unwrap_or_default());
            }
            let tactics = find(attack, "tactics").and_then(Value::as_array);
            let names = tactics.into_iter().flatten().filter_map(|item| text_at(item, "name"));
            let names = text_at(attack, "tactic.name").into_iter().chain(names);
            category = category.or_else(|| names.into_iter().find_map(|name| tactic(&name)));
        }
    }
    for id in fields.find("unmapped.compliance.MITRE-ATTACK").map(texts).unwrap_or_default() {
        draft.mitre(&id);
    }
    let types = ["finding_info.types", "finding.types", "category", "class_name"];
    let kind = || types.iter().find_map(|path| texts(fields.find(path)?).into_iter().next());
    // Security Hub puts the tactic into the type: `TTPs/Defense Evasion/…`.
    let category = category.or_else(|| kind()?.split('/').find_map(tactic));
    draft.set("category", category.map(str::to_owned).or_else(kind));
}

/// The entities an event or one of its `evidences` names.
fn entities(draft: &mut Draft, at: &Value) {
    let device = find(at, "device");
    if let Some(device) = device {
        self::device(draft, device, &[]);
    }
    for (path, role) in [("src_endpoint", "source"), ("dst_endpoint", "destination")] {
        if let Some(end) = find(at, path) {
            let address = text_at(end, "ip").unwrap_or_default();
            draft.evidence(parts::ip(&address, &[role]));
            let names = ["hostname", "name", "domain"];
            let name = names.iter().find_map(|name| text_at(end, name));
            draft.evidence(name.and_then(|name| parts::device(&name, None, &[role])));
        }
    }
    let end = |path: &str| text_at(at, path).unwrap_or_default();
    let port = |path: &str| find(at, path).and_then(text).and_then(|text| parts::port(&text));
    let protocol = text_at(at, "connection_info.protocol_name");
    draft.evidence(parts::connection(
        (&end("src_endpoint.ip"), port("src_endpoint.port")),
        (&end("dst_endpoint.ip"), port("dst_endpoint.port")),
        protocol.as_deref(),
    ));
    for (path, role) in [("actor.user", "source"), ("user", ""), ("actor.session.user", "source")] {
        let Some(user) = find(at, path) else { continue };
        let role: &[&str] = if role.is_empty() { &[] } else { &[role] };
        draft.evidence(self::user(user, role));
    }
    for path in ["process", "actor.process"] {
        if let Some(process) = find(at, path) {
            draft.evidence(self::process(process).evidence(&[]));
        }
    }
    if let Some(file) = find(at, "file") {
        draft.evidence(self::file(file).evidence(&[]));
    }
    let url = ["url.url_string", "url.text", "http_request.url.url_string"];
    let url = url.iter().find_map(|path| text_at(at, path));
    draft.evidence(url.and_then(|url| parts::url(&url, &[])));
    let name = text_at(at, "query.hostname").or_else(|| text_at(at, "url.hostname"));
    draft.evidence(name.and_then(|name| parts::dns(&name, &[])));
    let key = text_at(at, "reg_key.path").or_else(|| text_at(at, "win/reg_key.path"));
    draft.evidence(key.and_then(|key| parts::registry(&key, None)));
    let container = find(at, "container");
    if let Some(id) = container.and_then(|container| text_at(container, "uid")) {
        let name = container.and_then(|container| text_at(container, "name"));
        let image = container.and_then(|container| text_at(container, "image.name"));
        let piece =
            Evidence::container(&id, name.as_deref().unwrap_or(""), image.as_deref().unwrap_or(""));
        draft.evidence(Some(piece.build()));
    }
}

fn device(draft: &mut Draft, device: &Value, roles: &[&str]) {
    let names = ["hostname", "name"];
    let name = names.iter().find_map(|name| text_at(device, name));
    let system = text_at(device, "os.name").or_else(|| text_at(device, "os.type"));
    draft.evidence(name.and_then(|name| parts::device(&name, system, roles)));
    draft.evidence(text_at(device, "ip").and_then(|text| parts::ip(&text, roles)));
}

fn user(user: &Value, roles: &[&str]) -> Option<Value> {
    let names = ["email_addr", "name", "uid"];
    let name = names.iter().find_map(|name| text_at(user, name))?;
    let (domain, id) = (text_at(user, "domain"), text_at(user, "uid"));
    parts::user(&name, domain.as_deref(), id.as_deref(), roles)
}

fn file(file: &Value) -> parts::File {
    let hashes = find(file, "hashes").or_else(|| find(file, "fingerprints"));
    let hashes = hashes.and_then(Value::as_array).into_iter().flatten();
    parts::File {
        hashes: hashes.filter_map(|hash| text_at(hash, "value")).collect(),
        size: find(file, "size").and_then(integer),
        ..parts::File::at_or_named(text_at(file, "path"), text_at(file, "name"))
    }
}

fn process(process: &Value) -> parts::Process {
    let image = |at: &Value| match find(at, "file") {
        Some(of) => self::file(of),
        None => parts::File::at(text_at(at, "name")),
    };
    let started = |at: &Value| {
        let exact = find(at, "created_time_dt").and_then(when::wire);
        exact.or_else(|| find(at, "created_time").and_then(when::wire))
    };
    let parent = find(process, "parent_process");
    parts::Process {
        id: find(process, "pid").and_then(integer),
        command_line: text_at(process, "cmd_line"),
        image: image(process),
        created: started(process),
        parent_id: parent.and_then(|parent| find(parent, "pid")).and_then(integer),
        parent: parent.map(image).unwrap_or_default(),
        parent_created: parent.and_then(started),
        account: text_at(process, "user.name").and_then(|name| parts::account(&name, None, None)),
    }
}

fn resources(draft: &mut Draft, fields: &Fields) {
    let provider = fields.peek("cloud.provider").unwrap_or_default();
    let account = fields.peek("cloud.account.uid");
    let both = fields.items("resources").into_iter().chain(fields.items("resource"));
    for item in both.take(MAX_ITEMS) {
        let id = text_at(item, "uid").unwrap_or_default();
        if let Some(address) = parts::ip(&id, &[]) {
            draft.evidence(Some(address));
            continue;
        }
        let name = text_at(item, "name").unwrap_or_default();
        let kind = text_at(item, "type").unwrap_or_default();
        if provider.is_empty() || (id.is_empty() && name.is_empty()) {
            continue;
        }
        let mut piece = Evidence::cloud_resource(&provider, &id, &name, &kind);
        if matches!(provider.to_ascii_lowercase().as_str(), "aws" | "amazon") {
            piece = piece.with("amazonAccountId", account.clone());
        }
        draft.evidence(Some(piece.build()));
        if let Some(owner) = find(item, "owner").filter(|owner| owner.is_object()) {
            draft.evidence(user(owner, &["contextual"]));
        }
    }
}

/// An observable by its kind; `name` is the path of the member it was taken from.
fn observable(draft: &mut Draft, item: &Value) {
    let Some(value) = text_at(item, "value") else { return };
    let path = text_at(item, "name").unwrap_or_default().to_ascii_lowercase();
    let role: &[&str] = if path.contains("src") || path.contains("source") {
        &["source"]
    } else if path.contains("dst") || path.contains("dest") {
        &["destination"]
    } else {
        &[]
    };
    draft.evidence(match item.get("type_id").and_then(integer) {
        Some(1) if ["query", "url", "malware", "dns"].iter().any(|word| path.contains(word)) => {
            parts::dns(&value, &[])
        }
        Some(1) => parts::device(&value, None, role),
        Some(2) => parts::ip(&value, role),
        Some(4 | 21) => parts::user(&value, None, None, role),
        Some(6 | 23) => parts::url(&value, &[]),
        Some(7) => parts::File { name: Some(value), ..parts::File::default() }.evidence(&[]),
        Some(8) => parts::File { hashes: vec![value], ..parts::File::default() }.evidence(&[]),
        Some(28) => parts::registry(&value, None),
        _ => None,
    });
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

    fn finding() -> Value {
        json!({
            "class_uid": 2004, "category_uid": 2, "severity_id": 5, "severity": "Critical",
            "time": 1_704_164_645_000_i64, "status": "New",
            "metadata": {"version": "1.3.0", "product": {"name": "Harbour Watch", "vendor_name": "Alder"}},
            "finding_info": {"uid": "F-1", "title": "Odd sign-in", "desc": "Text",
                "types": ["TTPs/Defense Evasion/Odd"], "created_time": 1_704_164_000,
                "modified_time_dt": "2024-01-02T04:04:05.1-04:00", "analytic": {"uid": "r-7"}},
            "attacks": [{"technique": {"uid": "T1078"}, "sub_technique": {"uid": "T1078.004"}}],
            "actor": {"user": {"name": "ida", "uid": "S-1-5-21-7", "domain": "ALDER"}},
            "device": {"hostname": "till-3", "os": {"name": "Linux"}},
            "evidences": [{"src_endpoint": {"ip": "192.0.2.1", "port": 99}, "dst_endpoint": {"ip": "192.0.2.2", "port": 443},
                "connection_info": {"protocol_name": "tcp"}, "actor": null, "process": {
                    "pid": 8, "cmd_line": "a b", "file": {"path": "/tmp/a", "name": "a",
                        "hashes": [{"algorithm_id": 1, "value": "0123456789abcdef0123456789abcdef"}]},
                    "parent_process": {"pid": 1, "name": "init"}}}],
            "cloud": {"provider": "AWS", "account": {"uid": "11"}},
            "resources": [{"uid": "arn:aws:s3:::bills", "type": "Bucket"}],
            "observables": [{"type_id": 2, "name": "x", "value": "192.0.2.1"},
                {"type_id": 1, "name": "query.hostname", "value": "b.example"}],
            "remediation": {"desc": "Reset it"}, "unmapped": {"x": "1"}
        })
    }

    #[test]
    fn a_finding_with_its_entities() {
        let alert = alert(&finding());
        assert_eq!(alert.source, "ocsf");
        assert_eq!(alert.source_id.as_deref(), Some("alder|harbour watch|F-1"));
        let body = &alert.body;
        assert_eq!(body["title"], "Odd sign-in");
        assert_eq!(body["severity"], "high");
        assert_eq!(body["status"], "new");
        assert_eq!(body["category"], "DefenseEvasion");
        assert_eq!(body["detectorId"], "r-7");
        assert_eq!(body["providerAlertId"], "F-1");
        assert_eq!(body["productName"], "Alder Harbour Watch");
        assert_eq!(body["createdDateTime"], "2024-01-02T02:53:20.0000000Z");
        assert_eq!(body["lastUpdateDateTime"], "2024-01-02T08:04:05.1000000Z");
        assert_eq!(body["recommendedActions"], "Reset it");
        assert_eq!(body["mitreTechniques"], json!(["T1078", "T1078.004"]));
        assert_eq!(piece(&alert, "user")["userAccount"]["domainName"], "ALDER");
        assert_eq!(piece(&alert, "process")["imageFile"]["filePath"], "/tmp");
        assert_eq!(piece(&alert, "networkConnection")["destinationPort"], 443);
        assert_eq!(piece(&alert, "amazonResource")["amazonAccountId"], "11");
        assert_eq!(piece(&alert, "dns")["domainName"], "b.example");
        assert_eq!(body["additionalData"]["unmapped"], json!({"x": "1"}));
    }

    #[test]
    fn the_first_version_spells_the_finding_otherwise() {
        let alert = alert(&json!({"class_uid": 2001, "category_uid": 2, "risk_level": "High",
            "state": "In Progress", "status": "Success", "severity_id": 0, "message": "m\n",
            "finding": {"uid": "591", "title": "Odd\n", "first_seen_time": 1_704_164_645_000_i64},
            "malware": [{"name": "Mud", "classifications": ["Worm"]}],
            "resources": [{"uid": "192.0.2.5"}]}));
        assert_eq!(alert.body["title"], "Odd");
        assert_eq!(alert.body["severity"], "high");
        assert_eq!(alert.body["status"], "inProgress");
        assert_eq!(piece(&alert, "malware")["name"], "Mud");
        assert_eq!(piece(&alert, "ip")["ipAddress"], "192.0.2.5");
    }

    #[test]
    fn activities_are_ignored_and_say_so() {
        let activity =
            |class: Value| read(&json!({"class_uid": class, "class_name": "Authentication"}));
        let reason = "OCSF authentication (class 3002) is an activity, not a finding";
        assert_eq!(activity(json!(3002)).unwrap(), Reading::Ignored(reason.to_owned()));
        assert!(matches!(activity(json!("201004")).unwrap(), Reading::Ignored(_)));
        assert!(matches!(activity(json!(2003)).unwrap(), Reading::Alerts(_)));
        assert!(matches!(activity(json!(-1)).unwrap(), Reading::Ignored(_)));
        assert!(activity(json!("x")).is_err());
        assert!(read(&json!({})).is_err());
    }
}
