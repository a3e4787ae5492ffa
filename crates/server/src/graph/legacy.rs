//! The shapes of two older interfaces: Defender's `/api/incidents` and the first version of
//! `/security/alerts`. What they cannot say is left out or said with their nearest word.

use serde_json::{Map, Value, json};

use crate::alert::view::{self, Comment, Full, Spelling};
use crate::incident::Incident;
use crate::word::{Determination, IncidentStatus, Severity};

/// `inProgress` as `InProgress`.
fn pascal(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn severity(severity: Severity) -> String {
    if severity == Severity::Unknown { "UnSpecified".to_owned() } else { pascal(severity.word()) }
}

fn determination(word: Determination) -> String {
    if word == Determination::Unknown { "NotAvailable".to_owned() } else { pascal(word.word()) }
}

fn comments(comments: &[Comment]) -> Value {
    comments
        .iter()
        .map(|it| json!({"comment": it.text, "createdBy": it.by, "createdTime": it.at}))
        .collect()
}

/// A row of `/api/incidents`, without its alerts.
#[must_use]
pub fn incident(
    incident: &Incident,
    said: &[Comment],
    spelling: Spelling<'_>,
) -> Map<String, Value> {
    let it = &incident.model;
    // The older interface has no word for it; work goes on, so that is its nearest.
    let status = match it.status() {
        IncidentStatus::AwaitingAction => IncidentStatus::InProgress,
        other => other,
    };
    let tags: Vec<&String> = it.custom_tags.iter().chain(&it.system_tags).collect();
    object(json!({
        "incidentId": incident.id.0,
        "incidentUri": format!("{}/incidents/{}?tid={}", spelling.web, incident.id, spelling.tenant_id),
        "redirectIncidentId": it.redirect_id(),
        "incidentName": it.display_name,
        "createdTime": it.created,
        "lastUpdateTime": spelling.updated(it.updated),
        "assignedTo": it.owner,
        "classification": pascal(it.verdict.classification().word()),
        "determination": determination(it.verdict.determination()),
        "status": pascal(status.word()),
        "severity": severity(it.severity),
        "tags": tags,
        "comments": comments(said),
    }))
}

/// An alert within `/api/incidents`.
#[must_use]
pub fn alert(full: Full, said: &[Comment], spelling: Spelling<'_>) -> Map<String, Value> {
    let incident = full.alert.incident;
    let head = full.alert.head.clone();
    let it = view::json(full, said, Spelling { named: true, beta: false, ..spelling });
    let text = |name: &str| it.get(name).cloned().unwrap_or_default();
    let word = |name: &str| it.get(name).and_then(Value::as_str).map(pascal);
    let devices: Vec<Value> = evidence(&it, "deviceEvidence").map(device).collect();
    let entities: Vec<Value> = it
        .get("evidence")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(entity)
        .collect();
    object(json!({
        "alertId": text("id"),
        "providerAlertId": text("providerAlertId"),
        "incidentId": incident.map(|id| id.0),
        "serviceSource": word("serviceSource"),
        "creationTime": head.created,
        "lastUpdatedTime": text("lastUpdateDateTime"),
        "resolvedTime": head.resolved,
        "firstActivity": head.first_activity,
        "lastActivity": head.last_activity,
        "title": head.title,
        "description": text("description"),
        "category": head.category,
        "status": pascal(head.status.word()),
        "severity": severity(head.severity),
        "investigationId": null,
        "investigationState": word("investigationState"),
        "classification": pascal(head.classification.word()),
        "determination": determination(head.determination),
        "detectionSource": word("detectionSource"),
        "detectorId": head.detector_id,
        "assignedTo": head.assigned_to,
        "actorName": text("actorDisplayName"),
        "threatFamilyName": text("threatFamilyName"),
        "mitreTechniques": text("mitreTechniques"),
        "devices": devices,
        "entities": entities,
    }))
}

fn device(piece: &Value) -> Value {
    json!({
        "mdatpDeviceId": piece["mdeDeviceId"],
        "aadDeviceId": piece["azureAdDeviceId"],
        "deviceDnsName": piece["deviceDnsName"],
        "osPlatform": piece["osPlatform"],
        "osVersion": piece["version"],
        "osBuild": piece["osBuild"],
        "firstSeen": piece["firstSeenDateTime"],
        "healthStatus": piece["healthStatus"].as_str().map(pascal),
        "riskScore": piece["riskScore"].as_str().map(pascal),
        "rbacGroupName": piece["rbacGroupName"],
        "rbacGroupId": piece["rbacGroupId"],
        "tags": piece["tags"],
    })
}

fn entity(piece: &Value) -> Option<Value> {
    let mut out = match kind(piece)? {
        "userEvidence" => {
            let account = &piece["userAccount"];
            json!({
                "entityType": "User",
                "accountName": account["accountName"],
                "domainName": account["domainName"],
                "userSid": account["userSid"],
                "aadUserId": account["azureAdUserId"],
                "userPrincipalName": account["userPrincipalName"],
            })
        }
        "fileEvidence" => {
            let file = &piece["fileDetails"];
            json!({
                "entityType": "File",
                "fileName": file["fileName"],
                "filePath": file["filePath"],
                "sha1": file["sha1"],
                "sha256": file["sha256"],
                "deviceId": piece["mdeDeviceId"],
            })
        }
        "processEvidence" => json!({
            "entityType": "Process",
            "processId": piece["processId"],
            "processCommandLine": piece["processCommandLine"],
            "processCreationTime": piece["processCreationDateTime"],
            "parentProcessId": piece["parentProcessId"],
            "fileName": piece["imageFile"]["fileName"],
            "filePath": piece["imageFile"]["filePath"],
            "sha1": piece["imageFile"]["sha1"],
            "sha256": piece["imageFile"]["sha256"],
            "deviceId": piece["mdeDeviceId"],
        }),
        "ipEvidence" => json!({"entityType": "Ip", "ipAddress": piece["ipAddress"]}),
        "urlEvidence" => json!({"entityType": "Url", "url": piece["url"]}),
        "mailboxEvidence" => json!({
            "entityType": "MailBox",
            "mailboxAddress": piece["primaryAddress"],
            "mailboxDisplayName": piece["displayName"],
        }),
        "analyzedMessageEvidence" => json!({
            "entityType": "MailMessage",
            "recipient": piece["recipientEmailAddress"],
            "sender": piece["p2Sender"]["emailAddress"],
            "subject": piece["subject"],
            "deliveryAction": piece["deliveryAction"],
        }),
        "registryKeyEvidence" | "registryValueEvidence" => json!({
            "entityType": "Registry",
            "registryHive": piece["registryHive"],
            "registryKey": piece["registryKey"],
            "registryValue": piece["registryValue"],
        }),
        _ => return None,
    };
    out["evidenceCreationTime"] = piece["createdDateTime"].clone();
    out["verdict"] = json!(piece["verdict"].as_str().map(pascal));
    out["remediationStatus"] = json!(piece["remediationStatus"].as_str().map(pascal));
    Some(out)
}

/// An alert in the shape of the first version of `/security/alerts`.
#[must_use]
pub fn first_alert(full: Full, said: &[Comment], spelling: Spelling<'_>) -> Map<String, Value> {
    let head = full.alert.head.clone();
    let it = view::json(full, said, Spelling { beta: false, ..spelling });
    let text = |name: &str| it.get(name).cloned().unwrap_or_default();
    let word = |name: &str| it.get(name).and_then(Value::as_str).unwrap_or_default();
    let status = if head.status.word() == "new" { "newAlert" } else { head.status.word() };
    let feedback = match head.classification.word() {
        "unknown" => None,
        "informationalExpectedActivity" => Some("benignPositive"),
        other => Some(other),
    };
    let actions: Vec<&str> =
        Some(word("recommendedActions")).filter(|text| !text.is_empty()).into_iter().collect();
    let hosts: Vec<Value> = evidence(&it, "deviceEvidence")
        .map(|piece| {
            json!({
                "fqdn": piece["deviceDnsName"],
                "isAzureAdJoined": null,
                "isAzureAdRegistered": null,
                "isHybridAzureDomainJoined": null,
                "netBiosName": piece["hostName"],
                "os": piece["osPlatform"],
                "privateIpAddress": piece["lastIpAddress"],
                "publicIpAddress": piece["lastExternalIpAddress"],
                "riskScore": piece["riskScore"],
            })
        })
        .collect();
    let users: Vec<Value> = evidence(&it, "userEvidence")
        .map(|piece| {
            let account = &piece["userAccount"];
            json!({
                "aadUserId": account["azureAdUserId"],
                "accountName": account["accountName"],
                "domainName": account["domainName"],
                "onPremisesSecurityIdentifier": account["userSid"],
                "userPrincipalName": account["userPrincipalName"],
            })
        })
        .collect();
    let files: Vec<Value> = evidence(&it, "fileEvidence")
        .map(|piece| {
            let file = &piece["fileDetails"];
            let hash = ["sha256", "sha1", "md5"].into_iter().find(|kind| file[*kind].is_string());
            json!({
                "name": file["fileName"],
                "path": file["filePath"],
                "riskScore": null,
                "fileHash": hash.map(|kind| json!({"hashType": kind, "hashValue": file[kind]})),
            })
        })
        .collect();
    let processes: Vec<Value> = evidence(&it, "processEvidence")
        .map(|piece| {
            json!({
                "name": piece["imageFile"]["fileName"],
                "path": piece["imageFile"]["filePath"],
                "commandLine": piece["processCommandLine"],
                "processId": piece["processId"],
                "parentProcessId": piece["parentProcessId"],
                "createdDateTime": piece["processCreationDateTime"],
                "accountName": piece["userAccount"]["accountName"],
            })
        })
        .collect();
    let connections: Vec<Value> = evidence(&it, "ipEvidence")
        .map(|piece| json!({"destinationAddress": piece["ipAddress"]}))
        .chain(evidence(&it, "urlEvidence").map(|piece| json!({"destinationUrl": piece["url"]})))
        .collect();
    object(json!({
        "id": text("id"),
        "azureTenantId": spelling.tenant_id,
        "azureSubscriptionId": null,
        "riskScore": null,
        "tags": text("systemTags"),
        "activityGroupName": text("actorDisplayName"),
        "assignedTo": head.assigned_to,
        "category": head.category,
        "closedDateTime": head.resolved,
        "comments": said.iter().map(|it| json!(it.text)).collect::<Value>(),
        "confidence": null,
        "createdDateTime": head.created,
        "description": text("description"),
        "detectionIds": [],
        "eventDateTime": head.first_activity,
        "feedback": feedback,
        "incidentIds": it.get("incidentId").filter(|id| id.is_string()).into_iter().collect::<Vec<_>>(),
        "lastModifiedDateTime": text("lastUpdateDateTime"),
        "recommendedActions": actions,
        "severity": head.severity.word(),
        "sourceMaterials": [text("alertWebUrl")],
        "status": status,
        "title": head.title,
        "vendorInformation": {
            "provider": head.product_name.as_deref().unwrap_or(&head.service_source),
            "providerVersion": null,
            "subProvider": head.detection_source,
            "vendor": "Riposte",
        },
        "cloudAppStates": [],
        "fileStates": files,
        "hostStates": hosts,
        "historyStates": [],
        "malwareStates": [],
        "networkConnections": connections,
        "processes": processes,
        "registryKeyStates": [],
        "triggers": [],
        "userStates": users,
        "vulnerabilityStates": [],
    }))
}

fn evidence<'a>(
    alert: &'a Map<String, Value>,
    wanted: &'static str,
) -> impl Iterator<Item = &'a Value> {
    let pieces = alert.get("evidence").and_then(Value::as_array).into_iter().flatten();
    pieces.filter(move |piece| kind(piece) == Some(wanted))
}

fn kind(piece: &Value) -> Option<&str> {
    piece.get("@odata.type")?.as_str()?.rsplit('.').next()
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
