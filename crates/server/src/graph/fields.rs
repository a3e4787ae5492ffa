//! Which members of incidents, alerts and tasks a `$filter` and `$orderby` may name, and their
//! columns.

use std::fmt::Write as _;
use std::sync::LazyLock;

use crate::graph::odata::fields::{
    Collection, Element, Field, Fixed, Fold, Kind, Rank, Table, Words,
};
use crate::response::catalog::CATALOG;
use crate::response::model::{ActionState, TaskState};
use crate::response::store::Source;

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

static TASK_STATUS: Words = Words {
    name: "incidentTaskStatus",
    words: &[("open", 1), ("inProgress", 2), ("completed", 3), ("failed", 4), ("notRelevant", 5)],
    sentinels: SENTINEL,
};

/// The words of `incidentTaskActionStatus`.
pub static TASK_ACTION_STATUS: Words = Words {
    name: "incidentTaskActionStatus",
    words: &[
        ("notStarted", 1),
        ("inProgress", 2),
        ("partiallyCompleted", 3),
        ("completed", 4),
        ("failed", 5),
    ],
    sentinels: SENTINEL,
};

static TASK_SOURCE: Words = Words {
    name: "incidentTaskSource",
    words: &[("defenderExpertsGuidedResponse", 1), ("defenderExpertsManagedResponse", 2)],
    // The original's own samples name the last one, which its enumeration lacks (MR-6).
    sentinels: &["unknownFutureValue", "defenderExpertsXDR"],
};

static ACTION_TYPE: [(&str, i32); CATALOG.len()] = {
    let mut all = [("", 0); CATALOG.len()];
    let mut index = 0;
    while index < all.len() {
        all[index] = (CATALOG[index].word, CATALOG[index].kind as i32);
        index += 1;
    }
    all
};

static TASK_ACTION_TYPE: Words =
    Words { name: "incidentTaskActionType", words: &ACTION_TYPE, sentinels: SENTINEL };

static TASK: [Field; 13] = [
    Field::required("id", "id", Kind::Id),
    Field::required("incidentId", "incident_id", Kind::Id).or(&["incident/id"]),
    Field::required("tenantId", "tenant_id", TEXT).or(&["incident/tenantId"]),
    Field::required("displayName", "display_name", TEXT),
    Field::required("description", "description", TEXT),
    Field::required("status", "status_rank", Kind::Enum(&TASK_STATUS)),
    Field::required("actionStatus", "action_rank", Kind::Enum(&TASK_ACTION_STATUS)),
    Field::required("actionType", "type_rank", Kind::Enum(&TASK_ACTION_TYPE)).or(&["type"]),
    Field::required("source", "source_rank", Kind::Enum(&TASK_SOURCE)),
    Field::required("createdByDisplayName", "created_by", TEXT),
    Field::required("createdDateTime", "created_at", Kind::Instant),
    Field::required("lastModifiedByDisplayName", "updated_by", TEXT),
    Field::required("lastModifiedDateTime", "updated_at", Kind::Instant)
        .or(&["lastUpdateDateTime"]),
];

/// The columns of [`TASKS`] that a task's row does not have, each with its expression: what the
/// contract calls things follows from several of ours.
pub static TASK_RANKS: LazyLock<[(&'static str, String); 4]> = LazyLock::new(|| {
    let rank = |words: &Words, word: &str| match words.rank(word) {
        Rank::Known(rank) => rank,
        Rank::Sentinel | Rank::Unknown => 0,
    };
    let states = TaskState::all().map(|it| (it.word(), rank(&TASK_STATUS, it.status())));
    let sources = [Source::Guided, Source::Managed];
    let sources = sources.map(|it| (it.word(), rank(&TASK_SOURCE, it.contract())));
    [
        ("status_rank", case("task.state", states)),
        ("action_rank", action_rank(|word| rank(&TASK_ACTION_STATUS, word))),
        ("type_rank", case("task.kind", ACTION_TYPE)),
        ("source_rank", case("task.source", sources)),
    ]
});

fn case(column: &str, ranks: impl IntoIterator<Item = (&'static str, i32)>) -> String {
    let mut sql = format!("cast(case {column}");
    for (word, rank) in ranks {
        let _ = write!(sql, " when '{word}' then {rank}");
    }
    sql + " else 0 end as bigint)"
}

/// `response::model::action_status` in SQL, which a filter can go by.
fn action_rank(rank: impl Fn(&str) -> i32) -> String {
    let list = |keep: fn(&ActionState) -> bool| {
        let words: Vec<String> =
            ActionState::all().filter(keep).map(|it| format!("'{}'", it.word())).collect();
        words.join(", ")
    };
    let open = list(|it| it.is_open());
    let (doing, completed, failed) =
        (TaskState::Doing.word(), TaskState::Completed.word(), TaskState::Failed.word());
    let (proposed, succeeded) = (ActionState::Proposed.word(), ActionState::Succeeded.word());
    let [none, under_way, part, done, not_done] =
        ["notStarted", "inProgress", "partiallyCompleted", "completed", "failed"].map(rank);
    let of_actions = format!(
        "select case when count(*) = 0 then null \
         when sum(case when action.state in ({open}) then 1 else 0 end) > 0 then \
         case when sum(case when action.state = '{proposed}' then 1 else 0 end) = count(*) \
         then {none} else {under_way} end \
         when sum(case when action.state = '{succeeded}' then 1 else 0 end) = count(*) \
         then {done} \
         when sum(case when action.state = '{succeeded}' then 1 else 0 end) > 0 then {part} \
         else {not_done} end \
         from task_action join action on action.id = task_action.action_id \
         where task_action.task_id = task.id and task_action.run = task.run"
    );
    format!(
        "cast(case when task.state = '{doing}' then {under_way} \
         when task.state = '{completed}' then {done} \
         else coalesce(({of_actions}), \
         case when task.state = '{failed}' then {not_done} else {none} end) end as bigint)"
    )
}

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

/// Tasks, with the columns of [`TASK_RANKS`] besides.
pub static TASKS: Table = Table { alias: "task", fields: &TASK };
