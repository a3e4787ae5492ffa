//! An alert as the Graph contract shows it: what its source told us, under what we know better.

use std::collections::HashMap;

use sea_orm::QueryResult;
use serde_json::{Map, Value, json};

use crate::alert::format::contract::{
    DETECTION_SOURCE, EVIDENCE_REMEDIATION_STATUS, SERVICE_SOURCE,
};
use crate::alert::{self, Alert};
use crate::clock::Timestamp;
use crate::db::{Scope, column, in_list};
use crate::error::Result;
use crate::word::SENTINEL;

/// The columns [`Full::from_row`] expects: the alert's and its stored body.
pub const COLUMNS: &str = "alert.id, alert.tenant_no, alert.incident_id, alert.title, \
    alert.severity, alert.status, alert.classification, alert.determination, alert.assigned_to, \
    alert.category, alert.service_source, alert.detection_source, alert.product_name, \
    alert.provider_alert_id, alert.detector_id, alert.created_at, alert.first_activity_at, \
    alert.last_activity_at, alert.resolved_at, alert.updated_at, alert.links, alert_body.body";

/// How many columns [`COLUMNS`] names.
pub const WIDTH: usize = alert::WIDTH + 1;

/// Members of the contract that may be null.
const NULLABLE: &[&str] = &[
    "actorDisplayName",
    "additionalData",
    "alertPolicyId",
    "customDetails",
    "description",
    "investigationState",
    "recommendedActions",
    "threatDisplayName",
    "threatFamilyName",
];
/// Members of the contract that are lists, never null.
const LISTS: &[&str] = &["categories", "comments", "evidence", "mitreTechniques", "systemTags"];

/// An alert with its body.
pub struct Full {
    /// What lists filter and sort by.
    pub alert: Alert,
    /// What the source told, in the shape of the contract.
    pub body: Map<String, Value>,
}

/// A comment on an incident or alert.
#[derive(Clone, Debug)]
pub struct Comment {
    /// The text.
    pub text: String,
    /// Who wrote it.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// How an answer spells what it shows.
#[derive(Clone, Copy, Debug)]
pub struct Spelling<'a> {
    /// Whether members after the sentinel are named.
    pub named: bool,
    /// The address of web pages, without a final `/`.
    pub web: &'a str,
    /// The tenant's public id.
    pub tenant_id: &'a str,
    /// Whether members of the beta version are shown.
    pub beta: bool,
    /// The latest `lastUpdateDateTime` to claim, when there is a bound.
    pub not_after: Option<Timestamp>,
}

impl Spelling<'_> {
    /// A moment of change within the bound.
    #[must_use]
    pub fn updated(&self, at: Timestamp) -> Timestamp {
        self.not_after.map_or(at, |bound| at.min(bound))
    }
}

impl Full {
    /// How long the body in a row of [`COLUMNS`] is once unpacked, in bytes.
    pub fn length(row: &QueryResult) -> Result<usize> {
        alert::unpacked_length(&column::<Vec<u8>>(row, alert::WIDTH)?)
    }

    /// An alert from a row of [`COLUMNS`].
    pub fn from_row(row: &QueryResult) -> Result<Self> {
        let body: Vec<u8> = column(row, alert::WIDTH)?;
        Ok(Self { alert: Alert::from_row(row)?, body: alert::body(&body)? })
    }
}

impl Comment {
    /// The comment as the contract shows it.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({
            "@odata.type": "#microsoft.graph.security.alertComment",
            "comment": self.text,
            "createdByDisplayName": self.by,
            "createdDateTime": self.at,
        })
    }
}

/// The newest `most` comments of each of these incidents (`incident_id`) or alerts (`alert_id`),
/// oldest first.
pub async fn comments(
    scope: &Scope<'_>,
    of: &'static str,
    ids: &[i64],
    most: i64,
) -> Result<HashMap<i64, Vec<Comment>>> {
    let mut found: HashMap<i64, Vec<Comment>> = HashMap::new();
    for chunk in ids.chunks(256) {
        let (list, mut values) = in_list(2, chunk.iter().map(|id| (*id).into()).collect());
        values.insert(0, most.into());
        let sql = format!(
            "select owner_id, text, created_by, created_at from (select {of} as owner_id, id, \
             text, created_by, created_at, row_number() over (partition by {of} order by id desc) \
             as place from comment where {of} in {list}) as newest where place <= $1 \
             order by owner_id, id"
        );
        for row in scope.query(&sql, values).await? {
            found.entry(column(&row, 0)?).or_default().push(Comment {
                text: column(&row, 1)?,
                by: column(&row, 2)?,
                at: Timestamp::from_micros(column(&row, 3)?),
            });
        }
    }
    Ok(found)
}

/// The alert as the contract shows it, every member present.
#[must_use]
pub fn json(full: Full, comments: &[Comment], spelling: Spelling<'_>) -> Map<String, Value> {
    let Full { alert, body } = full;
    let head = &alert.head;
    let mut out = body;
    for name in NULLABLE {
        out.entry(*name).or_insert(Value::Null);
    }
    for name in LISTS {
        let value = out.entry(*name).or_insert(Value::Null);
        if !value.is_array() {
            *value = json!([]);
        }
    }
    let id = alert.id.to_string();
    let web = spelling.web;
    let tenant = spelling.tenant_id;
    let alert_url = format!("{web}/alerts/{id}?tid={tenant}");
    let incident_url =
        alert.incident.map(|incident| format!("{web}/incidents/{incident}?tid={tenant}"));
    let source = evolving(&head.service_source, SERVICE_SOURCE, spelling.named);
    let detection = head
        .detection_source
        .as_deref()
        .map(|word| evolving(word, DETECTION_SOURCE, spelling.named));
    for (name, value) in [
        ("@odata.type", json!("#microsoft.graph.security.alert")),
        ("id", json!(id)),
        ("tenantId", json!(tenant)),
        ("incidentId", json!(alert.incident)),
        ("alertWebUrl", json!(alert_url)),
        ("incidentWebUrl", json!(incident_url)),
        ("title", json!(head.title)),
        ("status", json!(head.status.spelled(spelling.named))),
        ("severity", json!(head.severity.spelled(spelling.named))),
        ("classification", json!(head.classification.spelled(spelling.named))),
        ("determination", json!(head.determination.spelled(spelling.named))),
        ("assignedTo", json!(head.assigned_to)),
        ("category", json!(head.category)),
        ("serviceSource", json!(source)),
        ("detectionSource", json!(detection)),
        ("productName", json!(head.product_name)),
        ("providerAlertId", json!(head.provider_alert_id)),
        ("detectorId", json!(head.detector_id)),
        ("createdDateTime", json!(head.created)),
        ("firstActivityDateTime", json!(head.first_activity)),
        ("lastActivityDateTime", json!(head.last_activity)),
        ("lastUpdateDateTime", json!(spelling.updated(alert.updated))),
        ("resolvedDateTime", json!(head.resolved)),
    ] {
        out.insert(name.to_owned(), value);
    }
    if let Some(Value::Array(all)) = out.get_mut("comments") {
        all.extend(comments.iter().map(Comment::json));
    }
    if let Some(Value::Array(all)) = out.get_mut("evidence") {
        for piece in all {
            complete(piece, head.created, spelling.named);
        }
    }
    if spelling.beta {
        out.insert("correlationLinks".to_owned(), links(&alert));
    }
    out
}

/// Why the alert is in its incident.
#[must_use]
pub fn links(alert: &Alert) -> Value {
    let links = alert.links.as_deref().and_then(|text| serde_json::from_str(text).ok());
    links.unwrap_or_else(|| json!([]))
}

/// A member of an enumeration that grows: by name when it stands before the sentinel or the client
/// asks (INC-3).
fn evolving<'a>(word: &'a str, members: &[&str], named: bool) -> &'a str {
    let early =
        || members.iter().take_while(|member| **member != SENTINEL).any(|early| *early == word);
    if named || early() { word } else { SENTINEL }
}

/// Gives a piece of evidence the members that every piece has.
fn complete(piece: &mut Value, created: Timestamp, named: bool) {
    let Value::Object(piece) = piece else { return };
    for name in ["detailedRoles", "roles", "tags"] {
        let value = piece.entry(name).or_insert(Value::Null);
        if !value.is_array() {
            *value = json!([]);
        }
    }
    piece.entry("remediationStatusDetails").or_insert(Value::Null);
    for (name, usual) in [
        ("createdDateTime", json!(created)),
        ("remediationStatus", json!("none")),
        ("verdict", json!("unknown")),
    ] {
        let value = piece.entry(name).or_insert(Value::Null);
        if !value.is_string() {
            *value = usual;
        }
    }
    if let Some(status) = piece.get_mut("remediationStatus")
        && let Some(word) = status.as_str()
        && evolving(word, EVIDENCE_REMEDIATION_STATUS, named) == SENTINEL
    {
        *status = json!(SENTINEL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_members_hide_behind_the_sentinel_in_evidence_too() {
        for (word, named, want) in [
            ("blocked", false, "blocked"),
            ("pendingApproval", false, SENTINEL),
            ("pendingApproval", true, "pendingApproval"),
        ] {
            let mut piece = json!({"remediationStatus": word});
            complete(&mut piece, Timestamp::from_micros(0), named);
            assert_eq!(piece["remediationStatus"], want);
            assert_eq!(piece["roles"], json!([]));
            assert_eq!(piece["createdDateTime"], "1970-01-01T00:00:00.0000000Z");
        }
    }
}
