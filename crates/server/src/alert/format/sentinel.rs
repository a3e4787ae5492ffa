//! Sentinel `SecurityAlert` rows, from a log query, from CSV or from the management interface.

use serde_json::{Map, Value};

use super::defender::{detection_source, service_source};
use super::draft::{Draft, Fields};
use super::evidence::{Account, Evidence, text};
use super::{Reading, entity, shape, split, when};

/// How often a text may hold JSON that is text again.
const MAX_QUOTING: usize = 3;

/// Reads one row.
///
/// # Errors
///
/// Says so when the record is no row of a known table.
pub fn read(record: &Value) -> Result<Reading, String> {
    let object = split::object(record)?;
    let row = match object.get("properties") {
        Some(inner @ Value::Object(_)) if !object.contains_key("SystemAlertId") => inner,
        _ => record,
    };
    let mut row = Row(Fields::new(row));
    let table = object.get("Type").and_then(Value::as_str).unwrap_or_default();
    let number = row.peek(&["IncidentNumber"]);
    if table == "SecurityIncident" || number.is_some() {
        let number = number.unwrap_or_else(|| "without a number".to_owned());
        return Ok(Reading::Ignored(format!("Sentinel incident {number}, not an alert")));
    }
    let id = row.text(&["SystemAlertId"]);
    let title = row.text(&["DisplayName", "AlertDisplayName", "AlertName"]);
    let described = id.is_some() || row.peek(&["AlertType", "AlertSeverity"]).is_some();
    if !described || (title.is_none() && id.is_none()) {
        if !table.is_empty() && table != "SecurityAlert" {
            return Ok(Reading::Ignored(format!("row of the table {table}, not an alert")));
        }
        return Err("no Sentinel alert: neither SystemAlertId nor a name with AlertType".to_owned());
    }
    let mut draft = Draft::new("sentinel", title);
    // The name of the rule often equals the title; it says nothing twice.
    row.text(&["AlertName"]);
    row.text(&["AlertDisplayName"]);
    let properties = row.json(&["ExtendedProperties", "AdditionalData"]);
    let properties = properties.as_ref().and_then(Value::as_object).cloned().unwrap_or_default();
    let mut inside = Inside(properties);

    let vendor_id = row.text(&["VendorOriginalId", "ProviderAlertId"]);
    // The product's id has a place in the shape; Sentinel's own is kept beside it.
    let own_id = vendor_id.is_some().then(|| id.clone()).flatten();
    draft.set("providerAlertId", vendor_id.or_else(|| id.clone()));
    draft.unique(id);
    draft.set("description", row.text(&["Description"]));
    let severity = row.text(&["AlertSeverity", "Severity"]);
    draft.set("severity", severity);
    draft.set("status", row.text(&["Status"]).map(|status| state(&status)));
    products(&mut row, &mut inside, &mut draft);
    times(&mut row, &mut inside, &mut draft);
    tactics(&mut row, &mut inside, &mut draft);
    let steps = row.json(&["RemediationSteps"]).as_ref().and_then(lines);
    row.text(&["RemediationSteps"]);
    draft.set("recommendedActions", steps.or_else(|| inside.take("Action")));
    draft.set("assignedTo", inside.take("AssignedTo"));
    draft.set("classification", inside.take("Classification"));
    draft
        .set("determination", inside.take("Determination").map(|word| shape::determination(&word)));
    draft.set("threatDisplayName", inside.take("ThreatName"));
    draft.set("threatFamilyName", inside.take("ThreatFamilyName"));
    draft.set("investigationState", inside.take("MicrosoftDefenderAtp.InvestigationState"));
    let rule = row.text(&["AlertType"]);
    draft.set("detectorId", inside.take("DetectorId").or(rule));

    let entities = row.json(&["Entities"]).unwrap_or_default();
    let (mut pieces, left_out) = entity::evidence(&entities);
    if pieces.is_empty() {
        pieces.extend(row.peek(&["CompromisedEntity"]).as_deref().map(compromised));
    }
    for piece in pieces {
        draft.evidence(Some(piece));
    }
    let mut left = row.0.leftover();
    if !inside.0.is_empty() {
        left.insert("ExtendedProperties".to_owned(), Value::Object(inside.0));
    }
    if left_out > 0 {
        left.insert("entitiesLeftOut".to_owned(), Value::from(left_out));
    }
    if let Some(id) = own_id {
        left.insert("SystemAlertId".to_owned(), Value::from(id));
    }
    Ok(draft.finish(left))
}

/// The columns of a row, found as `SystemAlertId` and as `systemAlertId`.
struct Row<'a>(Fields<'a>);

impl Row<'_> {
    fn names(names: &[&str]) -> Vec<String> {
        let mut all = Vec::new();
        for name in names {
            let mut letters = name.chars();
            let first = letters.next().map(|c| c.to_ascii_lowercase());
            all.push((*name).to_owned());
            all.push(first.into_iter().chain(letters).collect());
        }
        all
    }

    fn text(&mut self, names: &[&str]) -> Option<String> {
        Self::names(names).iter().find_map(|name| self.0.text(name))
    }

    fn peek(&self, names: &[&str]) -> Option<String> {
        Self::names(names).iter().find_map(|name| self.0.peek(name))
    }

    fn time(&mut self, names: &[&str]) -> Option<String> {
        Self::names(names).iter().find_map(|name| self.0.time(name))
    }

    /// A column that holds JSON, as itself or as text; text that is no JSON stays a text and the
    /// column with it stays unused.
    fn json(&mut self, names: &[&str]) -> Option<Value> {
        for name in Self::names(names) {
            let Some(found) = self.0.find(&name) else { continue };
            let value = unquote(found);
            if value.is_array() || value.is_object() {
                self.0.take(&name);
            }
            return Some(value);
        }
        None
    }
}

/// JSON that may be quoted in a text, and that again.
fn unquote(value: &Value) -> Value {
    let mut value = value.clone();
    for _ in 0..MAX_QUOTING {
        let Value::String(text) = &value else { break };
        let Ok(inner) = serde_json::from_str(text) else { break };
        value = inner;
    }
    value.sort_all_objects();
    value
}

/// The extended properties not used yet.
struct Inside(Map<String, Value>);

impl Inside {
    fn take(&mut self, name: &str) -> Option<String> {
        let found = text(self.0.get(name)?)?;
        self.0.remove(name);
        Some(found)
    }

    fn peek(&self, name: &str) -> Option<String> {
        self.0.get(name).and_then(text)
    }
}

fn state(status: &str) -> String {
    if status.eq_ignore_ascii_case("dismissed") { "resolved".to_owned() } else { status.to_owned() }
}

fn products(row: &mut Row, inside: &mut Inside, draft: &mut Draft) {
    let product = row.text(&["ProductName"]);
    let provider = row.text(&["ProviderName"]);
    let vendor = row.peek(&["VendorName"]);
    let names = [&product, &provider, &vendor].map(Option::as_deref);
    let source = names.into_iter().flatten().find_map(service_source);
    draft.set("serviceSource", source);
    let component = row.text(&["ProductComponentName"]);
    let detection = inside.peek("DetectionSource");
    let names = [detection.as_deref(), component.as_deref(), provider.as_deref()];
    let found = names.into_iter().flatten().find_map(detection_source);
    if found.is_some() {
        inside.take("DetectionSource");
    }
    draft.set("detectionSource", found.or_else(|| source.and_then(detection_source)));
    draft.set("productName", product.or(provider));
}

fn times(row: &mut Row, inside: &mut Inside, draft: &mut Draft) {
    draft.set("firstActivityDateTime", row.time(&["StartTime", "StartTimeUtc"]));
    draft.set("lastActivityDateTime", row.time(&["EndTime", "EndTimeUtc"]));
    let written = row.time(&["TimeGenerated", "ProcessingEndTime"]);
    let changed = inside.0.get("LastUpdated").and_then(when::wire);
    if changed.is_some() {
        inside.0.remove("LastUpdated");
    }
    // Every change is a new row, so its own time counts unless the product knows a later one.
    draft.set("lastUpdateDateTime", written.clone().max(changed));
    draft.set("createdDateTime", written);
}

/// Tactics and techniques in their many spellings: `A, B`, a list, a list in a text.
fn tactics(row: &mut Row, inside: &mut Inside, draft: &mut Draft) {
    let tactics = row.json(&["Tactics"]).or_else(|| inside.0.get("Tactics").map(unquote));
    let mut known: Vec<String> = Vec::new();
    for word in tactics.as_ref().map(words).unwrap_or_default() {
        let word = tactic(&word);
        if !word.is_empty() && !known.contains(&word) {
            known.push(word);
        }
    }
    row.text(&["Tactics"]);
    let own = inside.take("MicrosoftDefenderAtp.Category").or_else(|| inside.take("Category"));
    draft.set("category", own.or_else(|| known.first().cloned()));
    if !known.is_empty() {
        draft.set("categories", Some(known));
    }
    for column in ["Techniques", "SubTechniques"] {
        for word in row.json(&[column]).as_ref().map(words).unwrap_or_default() {
            draft.mitre(&word);
        }
        row.text(&[column]);
    }
    if let Some(techniques) = inside.0.remove("MitreTechniques") {
        for word in words(&unquote(&techniques)) {
            draft.mitre(&word);
        }
    }
}

/// `Credential Access`, `credential-access` and `TA0006:CredentialAccess` as `CredentialAccess`;
/// `Unknown` is none.
fn tactic(word: &str) -> String {
    let word = word.rsplit(':').next().unwrap_or_default().trim();
    if word.eq_ignore_ascii_case("unknown") || word.eq_ignore_ascii_case("none") {
        return String::new();
    }
    let parts = word.split([' ', '-', '_']).filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let mut letters = part.chars();
            let first = letters.next().map(|c| c.to_ascii_uppercase());
            first.into_iter().chain(letters).collect::<String>()
        })
        .collect()
}

/// The words of a list or of a text with commas or semicolons between them.
fn words(value: &Value) -> Vec<String> {
    let cut = |text: &str| -> Vec<String> {
        let words =
            text.split([',', ';']).map(|word| word.trim_matches(['[', ']', '"', '\'', ' ']));
        words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
    };
    match value {
        Value::Array(items) => items.iter().filter_map(text).flat_map(|item| cut(&item)).collect(),
        other => text(other).map(|text| cut(&text)).unwrap_or_default(),
    }
}

fn lines(value: &Value) -> Option<String> {
    match value {
        Value::Array(items) => {
            let lines: Vec<String> = items.iter().filter_map(text).collect();
            if lines.is_empty() { None } else { Some(lines.join("\n")) }
        }
        other => text(other),
    }
}

/// The one affected entity as evidence: an address of mail is a user, the rest a device.
fn compromised(name: &str) -> Value {
    if name.contains('@') || name.contains('\\') {
        Evidence::user(&Account::named(name)).role("attacked").build()
    } else if name.parse::<std::net::IpAddr>().is_ok() {
        Evidence::ip(name).role("attacked").build()
    } else {
        Evidence::device(name).role("attacked").build()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Format, NewAlert, Parsed, Record, read as read_record};
    use super::split::Room;
    use super::*;
    use serde_json::json;

    fn alert(record: Value) -> NewAlert {
        let parsed = Ok(Parsed::Json(record));
        let record = Record { index: 0, raw: Vec::new(), parsed, room: Room::default() };
        match read_record(Format::Sentinel, &record) {
            Ok(Reading::Alerts(mut alerts)) if alerts.len() == 1 => alerts.remove(0),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_row_with_everything() {
        let found = alert(json!({
            "Type": "SecurityAlert", "SystemAlertId": "5f-1", "VendorOriginalId": "da5_1",
            "DisplayName": "Shadow copies deleted", "AlertSeverity": "High", "Status": "InProgress",
            "ProviderName": "MDATP", "ProductName": "Microsoft Defender Advanced Threat Protection",
            "AlertType": "WindowsDefenderAtp", "StartTime": "2024-01-02 03:04:05.25+00:00",
            "TimeGenerated": "2024-01-02 04:04:05+00:00", "Tactics": "Impact, DefenseEvasion",
            "Techniques": "['T1490', 'T1562']", "SubTechniques": "T1562.001",
            "RemediationSteps": "[\"one\",\"two\"]", "ConfidenceLevel": "",
            "ExtendedProperties": {"LastUpdated": "01/03/2024 22:33:51", "DetectionSource": "WindowsDefenderAv",
                "Determination": "ConfirmedUserActivity", "Classification": "InformationalExpectedActivity",
                "ThreatFamilyName": "Vssadmin", "MitreTechniques": "T1490", "Colour": "red"},
            "Entities": []
        }));
        let body = &found.body;
        assert_eq!(found.source_id.as_deref(), Some("5f-1"));
        assert_eq!(body["providerAlertId"], "da5_1");
        assert_eq!(body["status"], "inProgress");
        assert_eq!(body["severity"], "high");
        assert_eq!(body["serviceSource"], "microsoftDefenderForEndpoint");
        assert_eq!(body["detectionSource"], "antivirus");
        assert_eq!(body["category"], "Impact");
        assert_eq!(body["categories"], json!(["Impact", "DefenseEvasion"]));
        assert_eq!(body["mitreTechniques"], json!(["T1490", "T1562", "T1562.001"]));
        assert_eq!(body["recommendedActions"], "one\ntwo");
        assert_eq!(body["determination"], "confirmedActivity");
        assert_eq!(body["classification"], "informationalExpectedActivity");
        assert_eq!(body["firstActivityDateTime"], "2024-01-02T03:04:05.2500000Z");
        assert_eq!(body["createdDateTime"], "2024-01-02T04:04:05.0000000Z");
        assert_eq!(body["lastUpdateDateTime"], "2024-01-03T22:33:51.0000000Z");
        assert_eq!(body["additionalData"]["ExtendedProperties"], json!({"Colour": "red"}));
    }

    #[test]
    fn a_row_out_of_csv_is_all_text() {
        let found = alert(json!({
            "": "5", "SystemAlertId": "b5", "AlertDisplayName": "Bad address", "AlertName": "Bad address",
            "Severity": "Medium", "IsIncident": "False", "ProviderName": "CustomAlertRule",
            "StartTimeUtc": "2019-01-10 06:25:57", "TimeGenerated": "2019-01-11 06:36:03",
            "ExtendedProperties": "{\r\n  \"Query\": \"x\"\r\n}", "ConfidenceScore": "",
            "Entities": "\"[{\\\"Type\\\": \\\"ip\\\", \\\"Address\\\": \\\"192.0.2.4\\\"}]\""
        }));
        assert_eq!(found.body["title"], "Bad address");
        assert_eq!(found.body["serviceSource"], "microsoftSentinel");
        assert_eq!(found.body["evidence"][0]["ipAddress"], "192.0.2.4");
        assert_eq!(found.body["additionalData"]["ExtendedProperties"], json!({"Query": "x"}));
    }

    #[test]
    fn an_alert_of_the_management_interface() {
        let found = alert(json!({
            "id": "/subscriptions/x", "kind": "SecurityAlert", "properties": {
                "systemAlertId": "5f-2", "alertDisplayName": "Odd login", "severity": "Low",
                "status": "New", "tactics": ["Credential Access"], "timeGenerated": "2024-01-02T03:04:05Z",
                "compromisedEntity": "ida@alder.example"}
        }));
        assert_eq!(found.source_id.as_deref(), Some("5f-2"));
        assert_eq!(found.body["category"], "CredentialAccess");
        assert_eq!(
            found.body["evidence"][0]["userAccount"]["userPrincipalName"],
            "ida@alder.example"
        );
    }

    #[test]
    fn tactics_in_their_odd_forms() {
        for (tactics, expected) in [
            (json!("Unknown"), json!(null)),
            (json!(""), json!(null)),
            (json!("lateral-movement;Impact"), json!(["LateralMovement", "Impact"])),
            (
                json!(["TA0006:CredentialAccess", "Execution", "Execution"]),
                json!(["CredentialAccess", "Execution"]),
            ),
            (json!("[\"Execution\"]"), json!(["Execution"])),
            (json!(7), json!(["7"])),
        ] {
            let found = alert(json!({"SystemAlertId": "1", "Tactics": tactics}));
            let categories = found.body.get("categories").cloned().unwrap_or_default();
            assert_eq!(categories, expected, "{tactics}");
        }
    }

    #[test]
    fn incidents_and_other_tables_are_ignored() {
        let incident = json!({"IncidentNumber": "55", "Title": "x", "AlertIds": []});
        assert_eq!(
            read(&incident),
            Ok(Reading::Ignored("Sentinel incident 55, not an alert".to_owned()))
        );
        assert_eq!(
            read(&json!({"Type": "SigninLogs", "UserPrincipalName": "ida"})),
            Ok(Reading::Ignored("row of the table SigninLogs, not an alert".to_owned()))
        );
        assert!(read(&json!({"a": 1})).is_err());
    }
}
