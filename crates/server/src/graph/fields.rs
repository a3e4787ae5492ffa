//! Which members of incidents and alerts a `$filter` and `$orderby` may name, and their columns.

use crate::graph::odata::fields::{Collection, Element, Field, Fixed, Fold, Kind, Table, Words};

const SENTINEL: &[&str] = &["unknownFutureValue"];

const TEXT: Kind = Kind::Text(Fold::Lower);

static STATUS: Words = Words {
    name: "incidentStatus",
    words: &[
        ("active", 1),
        ("new", 1),
        ("resolved", 2),
        ("inProgress", 3),
        ("redirected", 4),
        ("awaitingAction", 5),
    ],
    sentinels: SENTINEL,
};

static SEVERITY: Words = Words {
    name: "alertSeverity",
    words: &[
        ("unknown", 0),
        ("unSpecified", 0),
        ("informational", 1),
        ("low", 2),
        ("medium", 3),
        ("high", 4),
    ],
    sentinels: SENTINEL,
};

static CLASSIFICATION: Words = Words {
    name: "alertClassification",
    words: &[
        ("unknown", 0),
        ("truePositive", 1),
        ("falsePositive", 2),
        ("informationalExpectedActivity", 3),
    ],
    sentinels: SENTINEL,
};

static DETERMINATION: Words = Words {
    name: "alertDetermination",
    words: &[
        ("unknown", 0),
        ("notAvailable", 0),
        ("apt", 1),
        ("malware", 2),
        ("securityPersonnel", 3),
        ("securityTesting", 4),
        ("unwantedSoftware", 5),
        ("other", 6),
        ("multiStagedAttack", 7),
        ("compromisedAccount", 8),
        ("compromisedUser", 8),
        ("phishing", 9),
        ("maliciousUserActivity", 10),
        ("notMalicious", 11),
        ("clean", 11),
        ("notEnoughDataToValidate", 12),
        ("noEnoughDataToValidate", 12),
        ("insufficientData", 12),
        ("confirmedActivity", 13),
        ("confirmedUserActivity", 13),
        ("lineOfBusinessApplication", 14),
    ],
    sentinels: SENTINEL,
};

static ALERT_STATUS: Words = Words {
    name: "alertStatus",
    words: &[("unknown", 0), ("new", 1), ("newAlert", 1), ("inProgress", 2), ("resolved", 3)],
    sentinels: SENTINEL,
};

static COMMENT: [Field; 3] = [
    Field::required("comment", "text", TEXT),
    Field::required("createdByDisplayName", "created_by", TEXT).or(&["createdBy"]),
    Field::required("createdDateTime", "created_at", Kind::Instant).or(&["createdTime"]),
];

const TAG: Element = Element::Value(Field::required("tag", "tag", TEXT));

static CUSTOM_TAGS: Collection = Collection {
    table: "incident_tag",
    join: &[("id", "incident_id")],
    only: &[("kind", Fixed::Text("custom"))],
    element: TAG,
};

static SYSTEM_TAGS: Collection = Collection {
    table: "incident_tag",
    join: &[("id", "incident_id")],
    only: &[("kind", Fixed::Text("system"))],
    element: TAG,
};

static ANY_TAGS: Collection =
    Collection { table: "incident_tag", join: &[("id", "incident_id")], only: &[], element: TAG };

const FACET: Element = Element::Value(Field::required("value", "value", TEXT));

static OS_PLATFORMS: Collection = Collection {
    table: "incident_facet",
    join: &[("id", "incident_id")],
    only: &[("kind", Fixed::Text("platform"))],
    element: FACET,
};

static DEVICE_GROUPS: Collection = Collection {
    table: "incident_facet",
    join: &[("id", "incident_id")],
    only: &[("kind", Fixed::Text("deviceGroup"))],
    element: FACET,
};

static SENSITIVITY_LABELS: Collection = Collection {
    table: "incident_facet",
    join: &[("id", "incident_id")],
    only: &[("kind", Fixed::Text("sensitivityLabel"))],
    element: FACET,
};

static THREATS: Collection = Collection {
    table: "incident_facet",
    join: &[("id", "incident_id")],
    only: &[("kind", Fixed::Text("threat"))],
    element: FACET,
};

static INCIDENT_COMMENTS: Collection = Collection {
    table: "comment",
    join: &[("id", "incident_id")],
    only: &[],
    element: Element::Entity(&COMMENT),
};

static ALERT_COMMENTS: Collection = Collection {
    table: "comment",
    join: &[("id", "alert_id")],
    only: &[],
    element: Element::Entity(&COMMENT),
};

static INCIDENT_ALERTS: Collection = Collection {
    table: "alert",
    join: &[("id", "incident_id")],
    only: &[],
    element: Element::Entity(&ALERT),
};

static INCIDENT: [Field; 27] = [
    Field::required("id", "id", Kind::Id).or(&["incidentId"]),
    Field::required("tenantId", "tenant_id", TEXT),
    Field::required("displayName", "display_name", TEXT).or(&["incidentName", "name"]),
    Field::new("description", "description", TEXT),
    Field::new("summary", "summary", TEXT),
    Field::required("status", "status", Kind::Enum(&STATUS)),
    Field::required("severity", "severity", Kind::Enum(&SEVERITY)),
    Field::required("classification", "classification", Kind::Enum(&CLASSIFICATION)),
    Field::required("determination", "determination", Kind::Enum(&DETERMINATION)),
    Field::new("assignedTo", "owner", TEXT).or(&["assigned_to"]),
    Field::required("createdDateTime", "created_at", Kind::Instant).or(&["createdTime"]),
    Field::required("lastUpdateDateTime", "updated_at", Kind::Instant).or(&[
        "lastUpdateTime",
        "lastUpdatedTime",
        "lastUpdatedDateTime",
        "lastModifiedDateTime",
    ]),
    Field::required("firstActivityDateTime", "first_activity_at", Kind::Instant),
    Field::required("lastActivityDateTime", "last_activity_at", Kind::Instant),
    Field::required("lastModifiedBy", "last_modified_by", TEXT),
    Field::new("resolvingComment", "resolving_comment", TEXT),
    Field::new("redirectIncidentId", "redirect_id", Kind::Id),
    Field::new("priorityScore", "priority_score", Kind::Int),
    Field::collection("customTags", &CUSTOM_TAGS),
    Field::collection("systemTags", &SYSTEM_TAGS),
    Field::collection("tags", &ANY_TAGS),
    Field::collection("osPlatforms", &OS_PLATFORMS),
    Field::collection("deviceGroups", &DEVICE_GROUPS),
    Field::collection("sensitivityLabels", &SENSITIVITY_LABELS),
    Field::collection("threats", &THREATS),
    Field::collection("comments", &INCIDENT_COMMENTS),
    Field::collection("alerts", &INCIDENT_ALERTS),
];

static ALERT: [Field; 20] = [
    Field::required("id", "id", Kind::Id).or(&["alertId"]),
    Field::new("incidentId", "incident_id", Kind::Id),
    Field::required("title", "title", TEXT),
    Field::required("status", "status", Kind::Enum(&ALERT_STATUS)),
    Field::required("severity", "severity", Kind::Enum(&SEVERITY)),
    Field::required("classification", "classification", Kind::Enum(&CLASSIFICATION)),
    Field::required("determination", "determination", Kind::Enum(&DETERMINATION)),
    Field::new("assignedTo", "assigned_to", TEXT).or(&["assigned_to"]),
    Field::new("category", "category", TEXT),
    Field::required("serviceSource", "service_source", TEXT),
    Field::new("detectionSource", "detection_source", TEXT),
    Field::new("productName", "product_name", TEXT)
        .or(&["vendorInformation/provider", "vendorInformation/subProvider"]),
    Field::new("providerAlertId", "provider_alert_id", TEXT),
    Field::new("detectorId", "detector_id", TEXT),
    Field::required("createdDateTime", "created_at", Kind::Instant)
        .or(&["createdTime", "creationTime"]),
    Field::required("firstActivityDateTime", "first_activity_at", Kind::Instant)
        .or(&["firstActivity", "eventDateTime"]),
    Field::required("lastActivityDateTime", "last_activity_at", Kind::Instant)
        .or(&["lastActivity"]),
    Field::required("lastUpdateDateTime", "updated_at", Kind::Instant).or(&[
        "lastUpdateTime",
        "lastUpdatedTime",
        "lastUpdatedDateTime",
        "lastModifiedDateTime",
    ]),
    Field::new("resolvedDateTime", "resolved_at", Kind::Instant)
        .or(&["resolvedTime", "closedDateTime"]),
    Field::collection("comments", &ALERT_COMMENTS),
];

/// The members of an alert besides, where a list of alerts is the list itself: the subquery that
/// joins the tenant's public id exists there alone.
static ALERT_ROW: [Field; 21] = {
    let mut all = [Field::required("tenantId", "tenant_id", TEXT); 21];
    let mut index = 0;
    while index < ALERT.len() {
        all[index] = ALERT[index];
        index += 1;
    }
    all[20] = Field::required("tenantId", "tenant_id", TEXT).or(&["azureTenantId"]);
    all
};

/// Comments by themselves, as a table of values.
static COMMENT_ROW: [Field; 3] = [
    Field::required("comment", "column1", TEXT),
    Field::required("createdByDisplayName", "column2", TEXT).or(&["createdBy"]),
    Field::required("createdDateTime", "column3", Kind::Instant).or(&["createdTime"]),
];

/// Comments of one thing: text, author and moment in the columns that a table of values has.
pub static COMMENTS: Table = Table { alias: "comment", fields: &COMMENT_ROW };

/// Incidents.
pub static INCIDENTS: Table = Table { alias: "incident", fields: &INCIDENT };

/// Alerts.
pub static ALERTS: Table = Table { alias: "alert", fields: &ALERT_ROW };
