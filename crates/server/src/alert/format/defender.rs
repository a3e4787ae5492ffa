//! The older Defender interfaces: incidents of Defender XDR with their alerts, devices and
//! entities, and the alerts of Defender for Endpoint.

use serde_json::{Map, Value};

use super::draft::{Draft, Fields};
use super::evidence::{Account, Evidence, file_details, integer, text};
use super::{Reading, graph, repeated, shape, split};

/// Reads one incident or one alert.
///
/// # Errors
///
/// Says so when the object is neither, or when an incident holds what is no alert.
pub fn read(record: &Value) -> Result<Reading, String> {
    let object = split::object(record)?;
    let has = |name: &str| object.contains_key(name);
    if has("alerts") || has("incidentName") {
        return incident(object);
    }
    if has("alertId") || (has("title") && (has("severity") || has("category") || has("id"))) {
        return Ok(alert(record, None));
    }
    if let Some(reading) = hunting_row(record, object) {
        return Ok(reading);
    }
    Err("neither an alert nor an incident of Defender: no alertId, title or alerts".to_owned())
}

/// A row of the `AlertInfo` table, alone or streamed; rows of the other tables are no alerts.
fn hunting_row(record: &Value, object: &Map<String, Value>) -> Option<Reading> {
    let table = object.get("category").and_then(Value::as_str).unwrap_or_default();
    let table = table.strip_prefix("AdvancedHunting-").unwrap_or_default();
    let row = match object.get("properties") {
        Some(row @ Value::Object(_)) => row,
        _ => record,
    };
    let has = |name: &str| row.get(name).is_some();
    let info = has("AlertId") && has("Title") && has("Severity") && !has("EntityType");
    if !info {
        let table = if has("EntityType") && has("AlertId") { "AlertEvidence" } else { table };
        let known = !table.is_empty();
        return known.then(|| Reading::Ignored(format!("row of the table {table}, not an alert")));
    }
    let mut fields = Fields::new(row);
    let mut draft = Draft::new("defender", fields.text("Title"));
    let id = fields.text("AlertId");
    draft.id(id);
    draft.set("severity", fields.text("Severity"));
    draft.set("category", fields.text("Category"));
    draft.set("createdDateTime", fields.time("Timestamp"));
    let source = fields.text("ServiceSource");
    draft.set("serviceSource", source.as_deref().and_then(service_source));
    draft.set("productName", source);
    draft.set(
        "detectionSource",
        fields.text("DetectionSource").as_deref().and_then(detection_source),
    );
    // The techniques are a list, or a list in a text.
    for word in fields.texts("AttackTechniques") {
        draft.mitre(&word);
    }
    Some(draft.finish(fields.leftover()))
}

fn incident(object: &Map<String, Value>) -> Result<Reading, String> {
    let id = ["incidentId", "id"].iter().find_map(|name| object.get(*name).and_then(repeated));
    let id = id.unwrap_or_else(|| "without an id".to_owned());
    let alerts = match object.get("alerts") {
        Some(Value::Array(alerts)) => alerts.iter().collect(),
        Some(one @ Value::Object(_)) => vec![one],
        _ => Vec::new(),
    };
    let mut found = Vec::new();
    for (place, one) in alerts.into_iter().enumerate() {
        split::object(one).map_err(|reason| format!("alert {place} of incident {id}: {reason}"))?;
        if let Reading::Alerts(alerts) = alert(one, Some((object, &id))) {
            found.extend(alerts);
        }
    }
    if found.is_empty() {
        return Ok(Reading::Ignored(format!("incident {id} carries no alerts")));
    }
    Ok(Reading::Alerts(found))
}

fn alert(record: &Value, incident: Option<(&Map<String, Value>, &str)>) -> Reading {
    let mut fields = Fields::new(record);
    let mut draft = Draft::new("defender", fields.text("title"));
    let id = fields.first(&["alertId", "id"]);
    let provider_id = fields.text("providerAlertId");
    draft.set("providerAlertId", provider_id.or_else(|| id.clone()));
    // Exports replace ids by a word; the word is not unique.
    draft.unique(id.filter(|id| id.bytes().any(|byte| byte.is_ascii_digit())));
    for (member, names) in [
        ("description", &["description"] as &[&str]),
        ("category", &["category"]),
        ("severity", &["severity"]),
        ("status", &["status"]),
        ("classification", &["classification"]),
        ("investigationState", &["investigationState"]),
        ("detectorId", &["detectorId"]),
        ("assignedTo", &["assignedTo"]),
        ("actorDisplayName", &["actorName"]),
        ("threatDisplayName", &["threatName"]),
        ("threatFamilyName", &["threatFamilyName"]),
        ("recommendedActions", &["recommendedActions", "recommendedAction"]),
    ] {
        draft.set(member, fields.first(names));
    }
    draft
        .set("determination", fields.text("determination").map(|word| shape::determination(&word)));
    for (member, names) in [
        ("createdDateTime", &["creationTime", "alertCreationTime", "createdTime"] as &[&str]),
        ("lastUpdateDateTime", &["lastUpdatedTime", "lastUpdateTime"]),
        ("resolvedDateTime", &["resolvedTime"]),
        ("firstActivityDateTime", &["firstActivity", "firstEventTime"]),
        ("lastActivityDateTime", &["lastActivity", "lastEventTime"]),
    ] {
        draft.set(member, fields.first_time(names));
    }
    let source = fields.text("serviceSource");
    let detection = fields.text("detectionSource");
    let endpoint = fields.find("machineId").map(|_| "microsoftDefenderForEndpoint");
    let known = source.as_deref().and_then(service_source).or(endpoint);
    draft.set("serviceSource", known.map(str::to_owned).or(source));
    let known = detection.as_deref().and_then(detection_source);
    draft.set("detectionSource", known.map(str::to_owned).or(detection));
    for word in fields.texts("mitreTechniques") {
        draft.mitre(&word);
    }
    if let Some(comments) = fields.find("comments") {
        draft.set("comments", Some(graph::comment_list(comments)));
        fields.take("comments");
    }
    evidence(&mut fields, &mut draft);
    let mut left = fields.leftover();
    if let Some(incident_id) = left.remove("incidentId") {
        left.insert("sourceIncidentId".to_owned(), text(&incident_id).into());
    }
    if let Some((incident, id)) = incident {
        left.entry("sourceIncidentId").or_insert_with(|| Value::from(id));
        if let Some(name) = incident.get("incidentName").and_then(repeated) {
            left.insert("sourceIncidentName".to_owned(), Value::from(name));
        }
    }
    draft.finish(left)
}

fn evidence(fields: &mut Fields, draft: &mut Draft) {
    for name in ["devices", "entities", "evidence"] {
        let items = fields.items(name);
        for item in &items {
            let piece = if name == "devices" { device(item) } else { entity(item) };
            draft.evidence(Some(piece).filter(Evidence::says_something).map(Evidence::build));
        }
        // A list with something unreadable in it stays for people to see.
        let all = fields.find(name).and_then(Value::as_array).map_or(1, Vec::len);
        if items.len() == all {
            fields.take(name);
        }
    }
    let host = fields.text("computerDnsName");
    let machine = fields.text("machineId");
    if host.is_some() || machine.is_some() {
        let group = fields.text("rbacGroupName");
        let piece = Evidence::device(&host.unwrap_or_default()).with("mdeDeviceId", machine);
        draft.evidence(Some(piece.with("rbacGroupName", group).build()));
    }
    let mut users = fields.items("loggedOnUsers");
    users.extend(fields.items("relatedUser"));
    for user in users {
        let get = |names: &[&str]| first(user, names);
        let account = Account {
            name: get(&["accountName", "userName"]),
            domain: get(&["domainName"]),
            ..Account::default()
        };
        if !account.is_empty() {
            draft.evidence(Some(Evidence::user(&account).build()));
        }
    }
    fields.take("loggedOnUsers");
    fields.take("relatedUser");
}

fn first(object: &Value, names: &[&str]) -> String {
    names.iter().find_map(|name| object.get(*name).and_then(text)).unwrap_or_default()
}

fn raw<'a>(object: &'a Value, names: &[&str]) -> &'a Value {
    names.iter().find_map(|name| object.get(*name)).unwrap_or(&Value::Null)
}

fn device(item: &Value) -> Evidence {
    let get = |names: &[&str]| first(item, names);
    let mut piece = Evidence::device(&get(&["deviceDnsName", "computerDnsName", "deviceName"]))
        .with("mdeDeviceId", get(&["mdatpDeviceId", "mdeDeviceId", "deviceId"]))
        .with("azureAdDeviceId", get(&["aadDeviceId"]))
        .with("osPlatform", get(&["osPlatform"]))
        .with("version", get(&["version"]))
        .with("osBuild", integer(raw(item, &["osBuild"])))
        .with("healthStatus", get(&["healthStatus"]))
        .with("riskScore", get(&["riskScore"]))
        .with("rbacGroupName", get(&["rbacGroupName"]))
        .with("rbacGroupId", integer(raw(item, &["rbacGroupId"])))
        .with("onboardingStatus", get(&["onboardingStatus"]))
        .with("defenderAvStatus", get(&["defenderAvStatus"]))
        .with("ntDomain", get(&["ntDomain"]))
        .with("lastIpAddress", get(&["lastIpAddress"]))
        .with("lastExternalIpAddress", get(&["lastExternalIpAddress"]))
        .with_time("firstSeenDateTime", raw(item, &["firstSeen"]));
    for list in ["loggedOnUsers", "vmMetadata"] {
        piece = piece.with(list, item.get(list).cloned());
    }
    for tag in raw(item, &["tags"]).as_array().into_iter().flatten().filter_map(text) {
        piece = piece.tag(&tag);
    }
    piece
}

fn account(item: &Value) -> Account {
    let get = |names: &[&str]| first(item, names);
    Account {
        name: get(&["accountName"]),
        domain: get(&["domainName"]),
        upn: get(&["userPrincipalName"]),
        sid: get(&["userSid"]),
        directory_id: get(&["aadUserId", "azureAdUserId"]),
        display_name: get(&["displayName"]),
    }
}

fn entity(item: &Value) -> Evidence {
    let get = |names: &[&str]| first(item, names);
    let kind = get(&["entityType"]).to_ascii_lowercase();
    let (sha1, sha256) = (get(&["sha1"]), get(&["sha256"]));
    let details = file_details(
        &get(&["fileName"]),
        &get(&["filePath"]),
        &[("sha1", &sha1), ("sha256", &sha256), ("md5", &get(&["md5"]))],
    );
    let machine = get(&["deviceId", "mdeDeviceId"]);
    let address = get(&["ipAddress"]);
    let piece = match kind.as_str() {
        "user" => Evidence::user(&account(item)),
        "ip" => Evidence::ip(&address),
        "url" => Evidence::url(&get(&["url"])),
        "file" => Evidence::new("file").with("fileDetails", details).with("mdeDeviceId", machine),
        "process" => {
            let parent_file = file_details(
                &get(&["parentProcessFileName"]),
                &get(&["parentProcessFilePath"]),
                &[],
            );
            let line = get(&["processCommandLine"]);
            Evidence::process(integer(raw(item, &["processId"])), &line, details)
                .with_time("processCreationDateTime", raw(item, &["processCreationTime"]))
                .with("parentProcessId", integer(raw(item, &["parentProcessId"])))
                .with_time(
                    "parentProcessCreationDateTime",
                    raw(item, &["parentProcessCreationTime"]),
                )
                .with("parentProcessImageFile", parent_file)
                .with("userAccount", account(item).to_value())
                .with("mdeDeviceId", machine)
        }
        "registry" | "registrykey" | "registryvalue" => {
            let key = get(&["registryKey"]);
            let name = get(&["registryValueName"]);
            let data = get(&["registryValue"]);
            let piece = if name.is_empty() && data.is_empty() {
                Evidence::registry_key(&key)
            } else {
                Evidence::registry_value(&key, &name, &data, &get(&["registryValueType"]))
            };
            piece.with("registryHive", get(&["registryHive"]))
        }
        "mailbox" => {
            let upn = get(&["userPrincipalName"]);
            Evidence::mailbox(&get(&["mailboxAddress"]), &account(item))
                .with("displayName", get(&["mailboxDisplayName"]))
                .with("upn", upn)
        }
        "mailmessage" => {
            let recipient = get(&["recipient"]);
            Evidence::message(&get(&["subject"]), &get(&["sender"]), &recipient)
                .with("senderIp", get(&["senderIp", "senderIP"]))
                .with("networkMessageId", get(&["networkMessageId"]))
                .with("internetMessageId", get(&["internetMessageId"]))
                .with("deliveryAction", get(&["deliveryAction"]))
                .with_time("receivedDateTime", raw(item, &["receivedDate"]))
        }
        "mailcluster" => Evidence::new("mailCluster")
            .with("clusterBy", get(&["clusterBy"]))
            .with("query", get(&["query"]))
            .with("emailCount", integer(raw(item, &["mailCount"]))),
        "machine" | "device" => device(item),
        "cloudapplication" => {
            let app = integer(raw(item, &["applicationId"]));
            Evidence::cloud_app(app, &get(&["applicationName"]))
        }
        "oauthapplication" | "oauthapp" => {
            Evidence::oauth_app(&get(&["applicationId"]), &get(&["applicationName"]))
        }
        _ => Evidence::new("").with("entity", item.clone()),
    };
    let detection = get(&["detectionStatus"]);
    let piece = match kind.as_str() {
        "file" | "process" => piece.with("detectionStatus", detection),
        _ => piece,
    };
    let mut piece = piece
        .created(raw(item, &["evidenceCreationTime"]))
        .with("verdict", get(&["verdict"]))
        .with("remediationStatus", get(&["remediationStatus"]))
        .with("remediationStatusDetails", get(&["remediationStatusDetails"]));
    for role in raw(item, &["evidenceRoles", "roles"]).as_array().into_iter().flatten() {
        piece = piece.role(&text(role).unwrap_or_default());
    }
    piece
}

fn squeeze(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// The contract's `serviceSource` of a product or provider name in any of its spellings.
pub(super) fn service_source(name: &str) -> Option<&'static str> {
    Some(match squeeze(name).as_str() {
        "mdatp"
        | "mde"
        | "microsoftdefenderforendpoint"
        | "microsoftdefenderatp"
        | "microsoftdefenderadvancedthreatprotection"
        | "windowsdefenderatp" => "microsoftDefenderForEndpoint",
        "aatp"
        | "mdi"
        | "azureatp"
        | "azureadvancedthreatprotection"
        | "microsoftdefenderforidentity" => "microsoftDefenderForIdentity",
        "mcas"
        | "cloudappsecurity"
        | "microsoftcloudappsecurity"
        | "mda"
        | "microsoftdefenderforcloudapps" => "microsoftDefenderForCloudApps",
        "oatp"
        | "mdo"
        | "officeatp"
        | "office365advancedthreatprotection"
        | "microsoftdefenderforoffice365"
        | "office365securityandcompliance" => "microsoftDefenderForOffice365",
        "mtp"
        | "microsoftthreatprotection"
        | "microsoft365defender"
        | "microsoftxdr"
        | "microsoftdefenderxdr" => "microsoft365Defender",
        "ipc"
        | "aadidentityprotection"
        | "aadip"
        | "azureadidentityprotection"
        | "azureactivedirectoryidentityprotection"
        | "identityprotection"
        | "microsoftentraidprotection" => "azureAdIdentityProtection",
        "appgovernance" | "microsoftappgovernance" => "microsoftAppGovernance",
        "dlp" | "datalossprevention" | "microsoftdatalossprevention" => "dataLossPrevention",
        "asc" | "azuresecuritycenter" | "microsoftdefenderforcloud" | "azuredefender" => {
            "microsoftDefenderForCloud"
        }
        "asi" | "asischeduledalerts" | "asinrtalerts" | "azuresentinel" | "microsoftsentinel"
        | "customalertrule" | "alertrule" => "microsoftSentinel",
        "irm" | "microsoftinsiderriskmanagement" | "insiderriskmanagement" => {
            "microsoftInsiderRiskManagement"
        }
        "microsoftthreatintelligence" => "microsoftThreatIntelligence",
        _ => return None,
    })
}

/// The contract's `detectionSource` of a detection, product or component name.
pub(super) fn detection_source(name: &str) -> Option<&'static str> {
    Some(match squeeze(name).as_str() {
        "windowsdefenderav" | "antivirus" => "antivirus",
        "windowsdefendersmartscreen" | "smartscreen" => "smartScreen",
        "customerti" | "customti" => "customTi",
        "customdetection" | "customerdetection" => "customDetection",
        "automatedinvestigation" => "automatedInvestigation",
        "threatexperts" | "microsoftthreatexperts" => "microsoftThreatExperts",
        "manual" => "manual",
        "scheduledalerts" | "asischeduledalerts" => "scheduledAlerts",
        "nrtalerts" | "asinrtalerts" => "nrtAlerts",
        "appgovernancepolicy" => "appGovernancePolicy",
        "appgovernancedetection" => "appGovernanceDetection",
        other => match service_source(other) {
            Some("microsoftDefenderForCloudApps") => "cloudAppSecurity",
            Some("dataLossPrevention") => "microsoftDataLossPrevention",
            Some(
                same @ ("microsoftDefenderForEndpoint"
                | "microsoftDefenderForIdentity"
                | "microsoftDefenderForOffice365"
                | "microsoft365Defender"
                | "azureAdIdentityProtection"
                | "microsoftDefenderForCloud"
                | "microsoftSentinel"
                | "microsoftInsiderRiskManagement"
                | "microsoftThreatIntelligence"),
            ) => same,
            _ => return shape::find(super::contract::DETECTION_SOURCE, name),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Format, NewAlert, Parsed, Record, read as read_record};
    use super::split::Room;
    use super::*;
    use serde_json::json;

    fn alerts(record: Value) -> Vec<NewAlert> {
        let parsed = Ok(Parsed::Json(record));
        let record = Record { index: 0, raw: Vec::new(), parsed, room: Room::default() };
        match read_record(Format::Defender, &record) {
            Ok(Reading::Alerts(alerts)) => alerts,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_incident_of_the_older_interface() {
        let found = alerts(json!({
            "incidentId": 264, "incidentName": "Night travel", "status": "Active", "alerts": [{
                "alertId": "ca88", "incidentId": 264, "title": "Odd travel", "severity": "Medium",
                "status": "Resolved", "classification": "FalsePositive", "determination": "NotAvailable",
                "investigationState": "UnsupportedAlertType", "serviceSource": "MicrosoftCloudAppSecurity",
                "detectionSource": "MCAS", "creationTime": "2024-01-02T03:04:05.1896509Z",
                "lastUpdatedTime": "2024-01-03T16:16:35.92Z", "mitreTechniques": ["T1078.004"],
                "devices": [{"deviceDnsName": "till-3.alder.example", "mdatpDeviceId": "d1",
                             "riskScore": "High", "rbacGroupId": 4, "tags": ["shop"]}],
                "entities": [
                    {"entityType": "User", "accountName": "ida", "userSid": "S-1-5-21-1", "verdict": "Suspicious"},
                    {"entityType": "Process", "processId": 7, "fileName": "a.exe", "filePath": "C:\\T",
                     "processCommandLine": "a.exe -x", "deviceId": "d1", "detectionStatus": "Detected"},
                    {"entityType": "Hologram", "x": 1}]
            }]
        }));
        let body = &found[0].body;
        assert_eq!(found[0].source, "defender");
        assert_eq!(found[0].source_id.as_deref(), Some("ca88"));
        assert_eq!(body["status"], "resolved");
        assert_eq!(body["classification"], "falsePositive");
        assert_eq!(body["determination"], "unknown");
        assert_eq!(body["investigationState"], "unsupportedAlertType");
        assert_eq!(body["serviceSource"], "microsoftDefenderForCloudApps");
        assert_eq!(body["detectionSource"], "cloudAppSecurity");
        assert_eq!(body["createdDateTime"], "2024-01-02T03:04:05.1896509Z");
        assert_eq!(body["additionalData"]["sourceIncidentId"], "264");
        assert_eq!(body["additionalData"]["sourceIncidentName"], "Night travel");
        assert_eq!(body["evidence"][0]["riskScore"], "high");
        assert_eq!(body["evidence"][1]["verdict"], "suspicious");
        assert_eq!(body["evidence"][2]["imageFile"]["fileName"], "a.exe");
        assert_eq!(body["evidence"][2]["detectionStatus"], "detected");
        assert_eq!(body["evidence"][3]["entity"]["entityType"], "Hologram");
    }

    #[test]
    fn an_id_that_is_only_a_word_is_not_unique() {
        let found = alerts(json!({"alertId": "alertId", "title": "Odd travel"}));
        assert_eq!(found[0].source_id, None);
    }

    #[test]
    fn an_alert_of_the_endpoint_interface() {
        let found = alerts(json!({
            "id": "da9_1", "incidentId": 3, "title": "Hidden file", "severity": "Low",
            "status": "InProgress", "machineId": "m1", "computerDnsName": "till-3.alder.example",
            "alertCreationTime": "2024-01-02T03:04:05Z", "lastUpdateTime": "2024-01-02T04:04:05Z",
            "relatedUser": {"userName": "ida", "domainName": "ALDER"}, "loggedOnUsers": [],
            "evidence": [{"entityType": "File", "sha1": "aa", "fileName": "b.exe"}]
        }));
        let body = &found[0].body;
        assert_eq!(body["serviceSource"], "microsoftDefenderForEndpoint");
        assert_eq!(body["evidence"][1]["mdeDeviceId"], "m1");
        assert_eq!(body["evidence"][2]["userAccount"]["accountName"], "ida");
        assert_eq!(body["additionalData"]["sourceIncidentId"], "3");
        assert!(found[0].updated.is_some());
    }

    #[test]
    fn rows_of_hunting_tables() {
        let found = alerts(json!({
            "category": "AdvancedHunting-AlertInfo", "properties": {"AlertId": "da1", "Title": "Odd",
            "Severity": "High", "ServiceSource": "Microsoft Defender for Endpoint",
            "AttackTechniques": "[\"Valid Accounts (T1078)\"]"}
        }));
        assert_eq!(found[0].body["mitreTechniques"], json!(["T1078"]));
        let other =
            json!({"AlertId": "da1", "EntityType": "User", "Title": "Odd", "Severity": "x"});
        assert_eq!(
            read(&other),
            Ok(Reading::Ignored("row of the table AlertEvidence, not an alert".to_owned()))
        );
        let empty = json!({"incidentId": 4, "incidentName": "x", "alerts": []});
        assert_eq!(read(&empty), Ok(Reading::Ignored("incident 4 carries no alerts".to_owned())));
        assert!(read(&json!({"a": 1})).is_err());
    }
}
