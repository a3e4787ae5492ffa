//! The first version of Graph security alerts: `vendorInformation` and `…States` lists.

use serde_json::Value;

use super::defender::{detection_source, service_source};
use super::draft::{Draft, Fields};
use super::evidence::{Account, Evidence, file_details, integer, text};
use super::{Reading, graph};

/// Reads one alert; the caller has seen that it is of this version.
pub(super) fn read(record: &Value) -> Reading {
    let mut fields = Fields::new(record);
    let mut draft = Draft::new("graph", fields.text("title"));
    let id = fields.text("id");
    draft.id(id);
    for (member, names) in [
        ("description", &["description"] as &[&str]),
        ("category", &["category"]),
        ("severity", &["severity"]),
        ("assignedTo", &["assignedTo"]),
        ("actorDisplayName", &["activityGroupName"]),
        ("productName", &["vendorInformation.provider"]),
    ] {
        draft.set(member, fields.first(names));
    }
    for (member, name) in [
        ("createdDateTime", "createdDateTime"),
        ("lastUpdateDateTime", "lastModifiedDateTime"),
        ("firstActivityDateTime", "eventDateTime"),
        ("lastActivityDateTime", "lastEventDateTime"),
        ("resolvedDateTime", "closedDateTime"),
    ] {
        draft.set(member, fields.time(name));
    }
    let status = fields.text("status").map(|status| match status.to_ascii_lowercase().as_str() {
        "dismissed" => "resolved".to_owned(),
        _ => status,
    });
    draft.set("status", status);
    draft.set("classification", fields.text("feedback"));
    let steps = fields.texts("recommendedActions");
    draft.set("recommendedActions", Some(steps.join("\n")).filter(|steps| !steps.is_empty()));
    let detectors = fields.texts("detectionIds");
    draft.set("detectorId", detectors.first().cloned());
    let provider = fields.peek("vendorInformation.provider").unwrap_or_default();
    draft.set("serviceSource", service_source(&provider));
    draft.set("detectionSource", detection_source(&provider));
    let tags = fields.texts("tags");
    draft.set("systemTags", Some(tags).filter(|tags| !tags.is_empty()));
    if let Some(comments) = fields.find("comments") {
        draft.set("comments", Some(graph::comment_list(comments)));
        fields.take("comments");
    }
    if let Some(malware) = fields.items("malwareStates").first() {
        draft.set("threatDisplayName", malware.get("name").and_then(text));
        draft.set("threatFamilyName", malware.get("family").and_then(text));
    }
    for (list, build) in LISTS {
        for item in fields.items(list) {
            for piece in build(&Part(item)) {
                draft.evidence(Some(piece).filter(Evidence::says_something).map(Evidence::build));
            }
        }
        fields.take(list);
    }
    let mut left = fields.leftover();
    left.retain(|_, value| value.as_array().is_none_or(|items| !items.is_empty()));
    if let Some(tenant) = left.remove("azureTenantId") {
        left.insert("sourceTenantId".to_owned(), tenant);
    }
    left.retain(|name, _| !name.contains("@odata."));
    draft.finish(left)
}

type Build = fn(&Part) -> Vec<Evidence>;

const LISTS: [(&str, Build); 8] = [
    ("hostStates", host),
    ("userStates", user),
    ("fileStates", |part| vec![Evidence::new("file").with("fileDetails", part.file())]),
    ("processes", process),
    ("networkConnections", connection),
    ("registryKeyStates", registry),
    ("malwareStates", |part| vec![Evidence::malware(&part.text("name"), &part.text("category"))]),
    ("cloudAppStates", cloud_app),
];

/// One item of a list.
struct Part<'a>(&'a Value);

impl Part<'_> {
    fn text(&self, name: &str) -> String {
        self.0.get(name).and_then(text).unwrap_or_default()
    }

    fn integer(&self, name: &str) -> Option<i64> {
        self.0.get(name).and_then(integer)
    }

    fn file(&self) -> Value {
        let hash = self.0.get("fileHash").unwrap_or(&Value::Null);
        let of = |name: &str| hash.get(name).and_then(text).unwrap_or_default();
        let (algorithm, value) = (of("hashType"), of("hashValue"));
        file_details(&self.text("name"), &self.text("path"), &[(&algorithm, &value)])
    }
}

fn host(part: &Part) -> Vec<Evidence> {
    let name = part.text("fqdn");
    let short = part.text("netBiosName");
    let device = Evidence::device(if name.is_empty() { &short } else { &name })
        .with("osPlatform", part.text("os"))
        .with("lastIpAddress", part.text("privateIpAddress"))
        .with("lastExternalIpAddress", part.text("publicIpAddress"))
        .with("riskScore", part.text("riskScore"));
    vec![device]
}

fn user(part: &Part) -> Vec<Evidence> {
    let account = Account {
        name: part.text("accountName"),
        domain: part.text("domainName"),
        upn: part.text("userPrincipalName"),
        sid: part.text("onPremisesSecurityIdentifier"),
        directory_id: part.text("aadUserId"),
        display_name: String::new(),
    };
    vec![Evidence::user(&account), Evidence::ip(&part.text("logonIp"))]
}

fn process(part: &Part) -> Vec<Evidence> {
    let none = Value::Null;
    let time = |name: &str| part.0.get(name).unwrap_or(&none);
    let account = Account::named(&part.text("accountName"));
    let id = part.integer("processId");
    let piece = Evidence::process(id, &part.text("commandLine"), part.file())
        .with_time("processCreationDateTime", time("createdDateTime"))
        .with("parentProcessId", part.integer("parentProcessId"))
        .with_time("parentProcessCreationDateTime", time("parentProcessCreatedDateTime"))
        .with("parentProcessImageFile", file_details(&part.text("parentProcessName"), "", &[]))
        .with("userAccount", account.to_value());
    vec![piece]
}

fn connection(part: &Part) -> Vec<Evidence> {
    let (from, to) = (part.text("sourceAddress"), part.text("destinationAddress"));
    let ends = Evidence::network_connection(
        (&from, part.integer("sourcePort")),
        (&to, part.integer("destinationPort")),
        &part.text("protocol"),
    );
    vec![
        ends,
        Evidence::url(&part.text("destinationUrl")),
        Evidence::dns(&part.text("destinationDomain")),
    ]
}

fn registry(part: &Part) -> Vec<Evidence> {
    let name = part.text("valueName");
    let data = part.text("valueData");
    let piece = if name.is_empty() && data.is_empty() {
        Evidence::registry_key(&part.text("key"))
    } else {
        Evidence::registry_value(&part.text("key"), &name, &data, &part.text("valueType"))
    };
    let hive = part.text("hive");
    // The older enumeration says `localMachineSystem` and the like.
    let hive = match hive.get(..12).unwrap_or(&hive) {
        "localMachine" => "HKEY_LOCAL_MACHINE",
        "currentUser" => "HKEY_CURRENT_USER",
        _ => "",
    };
    vec![piece.with("registryHive", hive)]
}

fn cloud_app(part: &Part) -> Vec<Evidence> {
    vec![
        Evidence::cloud_app(None, &part.text("destinationServiceName")),
        Evidence::ip(&part.text("destinationServiceIp")),
    ]
}
