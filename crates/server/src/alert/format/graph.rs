//! Microsoft Graph security: `alerts_v2`, and incidents with their alerts.
//!
//! Known members keep their names; what is not in the contract stays where it is. The ids and
//! addresses that Riposte gives itself move to `additionalData` under `source…` names. Other
//! objects of Graph (sign-ins, risk detections, hunting answers …) are ignored by name.

use serde_json::{Map, Value};

use super::evidence::text;
use super::{NewAlert, Reading, defender, legacy, repeated, split, when};

/// Reads one object.
///
/// # Errors
///
/// Says so when the object is nothing known, or when an incident holds what is no alert.
pub fn read(record: &Value) -> Result<Reading, String> {
    let object = split::object(record)?;
    let has = |name: &str| object.contains_key(name);
    let kind = odata_kind(object);
    match kind.as_str() {
        "alert" if has("vendorInformation") => return Ok(legacy::read(record)),
        "alert" => return Ok(Reading::Alerts(vec![alert(object, None)])),
        "incident" => return incident(object),
        "" => {}
        other => {
            return Ok(Reading::Ignored(format!("Graph object of type {other}, not an alert")));
        }
    }
    if has("vendorInformation") || has("hostStates") || has("userStates") {
        return Ok(legacy::read(record));
    }
    if has("alertId") || has("incidentName") || (has("incidentId") && has("alerts")) {
        return defender::read(record);
    }
    if has("alerts") || (!has("title") && (has("incidentWebUrl") || has("redirectIncidentId"))) {
        return incident(object);
    }
    let alert_like = ["evidence", "serviceSource", "detectionSource", "providerAlertId"];
    if (has("title") && (has("severity") || has("id") || has("status")))
        || alert_like.into_iter().any(has)
    {
        return Ok(Reading::Alerts(vec![alert(object, None)]));
    }
    let what = if has("schema") && has("results") {
        "answer of a hunting query"
    } else if has("riskEventType") {
        "risk detection"
    } else if has("appDisplayName") && (has("isInteractive") || has("conditionalAccessStatus")) {
        "sign-in"
    } else if has("activityDisplayName") {
        "directory audit entry"
    } else if object.get("error").is_some_and(Value::is_object) {
        "error answer of the interface"
    } else if has("displayName") && has("customTags") {
        return incident(object);
    } else {
        return Err("neither an alert nor an incident: no title, evidence or alerts".to_owned());
    };
    Ok(Reading::Ignored(format!("{what}, not an alert")))
}

/// The last part of the OData type in lower camel case, empty without one.
fn odata_kind(object: &Map<String, Value>) -> String {
    let kind = object.get("@odata.type").and_then(Value::as_str).unwrap_or_default();
    let kind = kind.rsplit(['.', '#']).next().unwrap_or_default().trim();
    // The rest of a name goes into a reason people read.
    kind.chars().filter(char::is_ascii_alphanumeric).take(64).collect()
}

fn incident(object: &Map<String, Value>) -> Result<Reading, String> {
    let id = object.get("id").and_then(repeated).unwrap_or_else(|| "without an id".to_owned());
    let alerts = match object.get("alerts") {
        Some(Value::Array(alerts)) => alerts.iter().collect(),
        Some(one @ Value::Object(_)) => vec![one],
        _ => Vec::new(),
    };
    let mut found = Vec::new();
    for (place, one) in alerts.into_iter().enumerate() {
        let members = split::object(one)
            .map_err(|reason| format!("alert {place} of incident {id}: {reason}"))?;
        found.push(alert(members, Some(object)));
    }
    if found.is_empty() {
        return Ok(Reading::Ignored(format!("incident {id} carries no alerts")));
    }
    Ok(Reading::Alerts(found))
}

fn alert(object: &Map<String, Value>, incident: Option<&Map<String, Value>>) -> NewAlert {
    let mut body: Map<String, Value> =
        object.iter().filter(|(name, _)| !name.contains("@odata.")).map(clone).collect();
    let mut more = match body.remove("additionalData") {
        Some(Value::Object(more)) => more,
        Some(Value::Null) | None => Map::new(),
        // Not the contract's kind, but not ours to throw away.
        Some(other) => Map::from_iter([("additionalData".to_owned(), other)]),
    };
    let id = body.remove("id").as_ref().and_then(text);
    for (ours, theirs) in [
        ("tenantId", "sourceTenantId"),
        ("incidentId", "sourceIncidentId"),
        ("incidentWebUrl", "sourceIncidentWebUrl"),
        ("alertWebUrl", "sourceAlertWebUrl"),
    ] {
        if let Some(found) = body.remove(ours).as_ref().and_then(text) {
            more.insert(theirs.to_owned(), Value::from(found));
        }
    }
    if let Some(incident) = incident {
        for (ours, theirs) in [("id", "sourceIncidentId"), ("displayName", "sourceIncidentName")] {
            if let Some(found) = incident.get(ours).and_then(repeated) {
                more.entry(theirs).or_insert_with(|| Value::from(found));
            }
        }
    }
    if !more.is_empty() {
        body.insert("additionalData".to_owned(), Value::Object(more));
    }
    let provider_id = body.get("providerAlertId").and_then(text);
    if provider_id.is_none()
        && let Some(id) = &id
    {
        body.insert("providerAlertId".to_owned(), Value::from(id.as_str()));
    }
    if body.get("title").and_then(text).is_none() {
        body.insert("title".to_owned(), Value::from("Alert without a title"));
    }
    if let Some(comments) = body.get_mut("comments") {
        *comments = comment_list(comments);
    }
    let newest = ["lastUpdateDateTime", "createdDateTime"];
    NewAlert {
        source: "graph".to_owned(),
        source_id: id.or(provider_id),
        updated: newest.iter().find_map(|name| when::from_value(body.get(*name)?)),
        body,
        raw: None,
    }
}

fn clone((name, value): (&String, &Value)) -> (String, Value) {
    (name.clone(), value.clone())
}

/// Comments with the contract's member names; bare texts and the older names are understood.
pub(super) fn comment_list(comments: &Value) -> Value {
    let items = match comments {
        Value::Array(items) => items.as_slice(),
        Value::Null => &[],
        one => std::slice::from_ref(one),
    };
    let read = |item: &Value| {
        let mut members = match item {
            Value::Object(members) => members.clone(),
            other => Map::from_iter([("comment".to_owned(), Value::from(text(other)?))]),
        };
        for (old, new) in
            [("createdBy", "createdByDisplayName"), ("createdTime", "createdDateTime")]
        {
            if let Some(value) = members.remove(old) {
                members.entry(new).or_insert(value);
            }
        }
        Some(Value::Object(members))
    };
    Value::Array(items.iter().filter_map(read).collect())
}

#[cfg(test)]
mod tests {
    use super::super::{Format, Parsed, Record, read as read_record};
    use super::split::Room;
    use super::*;
    use serde_json::json;

    fn alerts(record: Value) -> Vec<NewAlert> {
        let parsed = Ok(Parsed::Json(record));
        let record = Record { index: 0, raw: Vec::new(), parsed, room: Room::default() };
        match read_record(Format::Graph, &record) {
            Ok(Reading::Alerts(alerts)) => alerts,
            other => panic!("{other:?}"),
        }
    }

    fn reason(record: &Value) -> String {
        match read(record) {
            Ok(Reading::Ignored(reason)) => reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_alert_keeps_its_members_and_gives_up_its_ids() {
        let found = alerts(json!({
            "@odata.type": "#microsoft.graph.security.alert", "id": "da77_1", "tenantId": "t",
            "incidentId": "31", "title": "Odd login", "severity": "Medium", "status": "In progress",
            "classification": null, "determination": "", "lastUpdateDateTime": "2024-01-02T03:04:05.1234567Z",
            "futureMember": {"x": 1}, "comments": null, "additionalData": null,
            "evidence": [{"deviceDnsName": "till-3.norrland.example"}], "mitreTechniques": null
        }));
        let [alert] = found.as_slice() else { panic!() };
        assert_eq!(alert.source_id.as_deref(), Some("da77_1"));
        assert_eq!(
            alert.updated.map(|at| at.to_string()).as_deref(),
            Some("2024-01-02T03:04:05.1234560Z")
        );
        let body = &alert.body;
        assert_eq!(body["severity"], "medium");
        assert_eq!(body["status"], "inProgress");
        assert_eq!(body["determination"], Value::Null);
        assert_eq!(body["lastUpdateDateTime"], "2024-01-02T03:04:05.1234567Z");
        assert_eq!(body["futureMember"], json!({"x": 1}));
        assert_eq!(body["comments"], json!([]));
        assert_eq!(body["mitreTechniques"], json!([]));
        assert_eq!(
            body["additionalData"],
            json!({"sourceTenantId": "t", "sourceIncidentId": "31"})
        );
        assert_eq!(body["evidence"][0]["@odata.type"], "#microsoft.graph.security.deviceEvidence");
        assert!(!body.contains_key("id") && !body.contains_key("@odata.type"));
    }

    #[test]
    fn an_incident_gives_its_alerts_whether_list_or_single() {
        let one = json!({"id": "a1", "incidentId": "31", "title": "Odd login"});
        let found = alerts(json!({"id": "2", "displayName": "Night", "alerts": one}));
        assert_eq!(found[0].body["additionalData"]["sourceIncidentId"], "31");
        assert_eq!(found[0].body["additionalData"]["sourceIncidentName"], "Night");
        let found = alerts(json!({"id": "2", "alerts": [one, {"id": "a2", "title": "Next"}]}));
        assert_eq!(found[1].body["additionalData"]["sourceIncidentId"], "2");
        assert!(
            read(&json!({"id": "2", "alerts": [7]})).unwrap_err().contains("alert 0 of incident 2")
        );
    }

    #[test]
    fn what_is_no_alert_is_ignored_by_name() {
        for (record, expected) in [
            (
                json!({"@odata.type": "#microsoft.graph.security.incident", "id": 2}),
                "incident 2 carries no alerts",
            ),
            (
                json!({"id": "3", "displayName": "x", "customTags": []}),
                "incident 3 carries no alerts",
            ),
            (
                json!({"@odata.type": "#microsoft.graph.riskDetection"}),
                "Graph object of type riskDetection, not an alert",
            ),
            (json!({"schema": [], "results": []}), "answer of a hunting query, not an alert"),
            (json!({"appDisplayName": "Mail", "isInteractive": true}), "sign-in, not an alert"),
        ] {
            assert_eq!(reason(&record), expected);
        }
        assert!(read(&json!({})).is_err());
        assert!(read(&json!([])).unwrap_err().contains("an array"));
        assert!(read(&json!({"name": "x"})).is_err());
    }

    #[test]
    fn comments_of_every_age() {
        let read = comment_list(
            &json!(["seen", {"comment": "x", "createdBy": "ida", "createdTime": "t"}, null]),
        );
        assert_eq!(
            read,
            json!([{"comment": "seen"}, {"comment": "x", "createdByDisplayName": "ida", "createdDateTime": "t"}])
        );
    }

    #[test]
    fn the_first_alert_version_is_mapped() {
        let found = alerts(json!({
            "id": "v1", "azureTenantId": "t", "title": "Old", "status": "newAlert",
            "vendorInformation": {"provider": "IPC", "vendor": "Alder"}, "comments": ["seen"],
            "recommendedActions": ["a", "b"], "eventDateTime": "2024-01-02T03:04:05Z",
            "hostStates": [{"fqdn": "till-3.alder.example", "os": "Windows11", "publicIpAddress": "192.0.2.9"}],
            "userStates": [{"accountName": "ida", "domainName": "ALDER", "logonIp": "192.0.2.1"}],
            "fileStates": [{"name": "a.exe", "path": "C:\\T\\a.exe", "fileHash": {"hashType": "sha256", "hashValue": "ab"}}],
            "triggers": [], "riskScore": "5"
        }));
        let body = &found[0].body;
        assert_eq!(body["status"], "new");
        assert_eq!(body["serviceSource"], "azureAdIdentityProtection");
        assert_eq!(body["recommendedActions"], "a\nb");
        assert_eq!(body["comments"], json!([{"comment": "seen"}]));
        assert_eq!(body["evidence"].as_array().map(Vec::len), Some(4));
        assert_eq!(body["evidence"][3]["fileDetails"]["filePath"], "C:\\T");
        let more = json!({"sourceTenantId": "t", "vendorInformation": {"vendor": "Alder"}, "riskScore": "5"});
        assert_eq!(body["additionalData"], more);
        assert_eq!(found[0].source, "graph");
    }
}
