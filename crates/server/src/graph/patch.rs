//! What the body of a PATCH or of a comment asks for.

use serde_json::{Map, Value};

use crate::alert::change::AlertPatch;
use crate::app::App;
use crate::http::Failure;
use crate::incident::Because;
use crate::incident::model::Patch;
use crate::word::{AlertStatus, Classification, Determination, IncidentStatus, Severity};

/// The words of `correlationReason`.
const CORRELATION_REASON: &[&str] = &[
    "repeatedAlertOccurrence",
    "sameGeography",
    "similarArtifacts",
    "sameTargetedAsset",
    "sameNetworkSegment",
    "eventSequence",
    "timeFrame",
    "sameThreatSource",
    "similarTTPsOrBehavior",
    "sameActor",
    "sameCampaign",
    "sharedIndicators",
    "sameAsset",
    "networkProximity",
    "eventCasualSequence",
    "temporalProximity",
    "lateralMovementPath",
];

/// Comments that a PATCH of an alert may carry; those it has go along with the new ones.
const MOST_COMMENTS: usize = 1_000;

/// The members of a body, which must be an object.
pub(super) fn object(body: Value) -> Result<Map<String, Value>, Failure> {
    match body {
        Value::Object(members) => Ok(members),
        _ => Err(Failure::bad("request body must be a JSON object")),
    }
}

/// What a PATCH of an incident changes. Members that cannot be changed are ignored, or refused when
/// the configuration says so.
pub(crate) fn incident(app: &App, members: &Map<String, Value>) -> Result<Patch, Failure> {
    let mut patch = Patch::default();
    for (name, value) in members {
        match name.as_str() {
            "assignedTo" => patch.assigned_to = Some(text(name, value)?),
            "displayName" => patch.display_name = Some(text(name, value)?),
            "description" => patch.description = Some(text(name, value)?),
            "summary" => patch.summary = Some(text(name, value)?),
            "resolvingComment" => patch.resolving_comment = Some(text(name, value)?),
            "status" => patch.status = Some(word(name, value, IncidentStatus::read)?),
            "severity" => patch.severity = Some(word(name, value, Severity::read)?),
            "classification" => {
                patch.classification = Some(cleared(name, value, Classification::read)?);
            }
            "determination" => {
                patch.determination = Some(cleared(name, value, Determination::read)?);
            }
            "customTags" => patch.custom_tags = Some(texts(name, value)?),
            _ => unknown(app, name)?,
        }
    }
    Ok(patch)
}

/// The members [`incident`] understands.
pub(crate) const INCIDENT_MEMBERS: &[&str] = &[
    "assignedTo",
    "displayName",
    "description",
    "summary",
    "resolvingComment",
    "status",
    "severity",
    "classification",
    "determination",
    "customTags",
];
/// The members [`alert`] understands.
pub(crate) const ALERT_MEMBERS: &[&str] =
    &["assignedTo", "status", "classification", "determination"];

/// What a PATCH of an alert changes.
pub(crate) fn alert(app: &App, members: &Map<String, Value>) -> Result<AlertPatch, Failure> {
    let mut patch = AlertPatch::default();
    for (name, value) in members {
        match name.as_str() {
            "assignedTo" => {
                let owner = text(name, value)?;
                patch.assigned_to = Some(Some(owner).filter(|owner| !owner.trim().is_empty()));
            }
            "status" => patch.status = Some(word(name, value, AlertStatus::read)?),
            "classification" => {
                patch.classification = Some(cleared(name, value, Classification::read)?);
            }
            "determination" => {
                patch.determination = Some(cleared(name, value, Determination::read)?);
            }
            _ => unknown(app, name)?,
        }
    }
    Ok(patch)
}

/// What a PATCH of an alert in its first version changes, and the texts of its comments.
pub(super) fn first_alert(
    app: &App,
    members: &Map<String, Value>,
) -> Result<(AlertPatch, Vec<String>), Failure> {
    let mut patch = AlertPatch::default();
    let mut said = Vec::new();
    for (name, value) in members {
        match name.as_str() {
            "assignedTo" => {
                let owner = text(name, value)?;
                patch.assigned_to = Some(Some(owner).filter(|owner| !owner.trim().is_empty()));
            }
            "status" => patch.status = Some(word(name, value, first_status)?),
            "feedback" => patch.classification = Some(cleared(name, value, feedback)?),
            "comments" => said = texts(name, value)?,
            // They say which alert is meant, and what follows from its status.
            "id" | "vendorInformation" | "closedDateTime" => {}
            _ => unknown(app, name)?,
        }
    }
    if said.len() > MOST_COMMENTS {
        return Err(Failure::bad(format!("an alert's comments are at most {MOST_COMMENTS} texts")));
    }
    said.retain(|text| !text.trim().is_empty());
    Ok((patch, said))
}

fn first_status(word: &str) -> Option<AlertStatus> {
    if word.eq_ignore_ascii_case("dismissed") {
        return Some(AlertStatus::Resolved);
    }
    AlertStatus::read(word).filter(|status| *status != AlertStatus::Unknown)
}

fn feedback(word: &str) -> Option<Classification> {
    if word.eq_ignore_ascii_case("benignPositive") {
        return Some(Classification::InformationalExpectedActivity);
    }
    Classification::read(word)
}

/// The words of `incidentTaskStatus` that a task can have.
const TASK_STATUS: &[&str] = &["open", "inProgress", "completed", "failed", "notRelevant"];

/// The status that a PATCH of a task asks for: the one member a client changes (MR-5).
pub(super) fn task(
    app: &App,
    members: &Map<String, Value>,
) -> Result<Option<&'static str>, Failure> {
    let known = |text: &str| TASK_STATUS.iter().copied().find(|it| it.eq_ignore_ascii_case(text));
    let mut wanted = None;
    for (name, value) in members {
        match name.as_str() {
            "status" => wanted = Some(word(name, value, known)?),
            _ => unknown(app, name)?,
        }
    }
    Ok(wanted)
}

/// The texts of one comment or of an array of them.
pub(super) fn comments(body: Value) -> Result<Vec<String>, Failure> {
    let all = match body {
        Value::Array(all) => all,
        one @ Value::Object(_) => vec![one],
        _ => return Err(Failure::bad("request body must be a comment or an array of comments")),
    };
    if all.is_empty() || all.len() > 100 {
        return Err(Failure::bad("a request adds 1 to 100 comments"));
    }
    all.iter()
        .map(|comment| match comment.get("comment").and_then(Value::as_str) {
            Some(text) => Ok(text.to_owned()),
            None => Err(Failure::bad("a comment needs the member comment, a text")),
        })
        .collect()
}

/// Why somebody regroups: the members of these names, both of which may be absent.
pub(super) fn because(
    members: &Map<String, Value>,
    comment: &str,
    reasons: &str,
) -> Result<Because, Failure> {
    let said = members.get(comment).map(|value| text(comment, value)).transpose()?;
    let listed = match members.get(reasons) {
        None | Some(Value::Null) => Vec::new(),
        // An enumeration of flags: several words in one text.
        Some(Value::String(words)) => words.split(',').map(str::to_owned).collect(),
        Some(value) => texts(reasons, value)?,
    };
    let mut found = Vec::new();
    for listed in listed.iter().filter(|word| !word.trim().is_empty()) {
        let known = CORRELATION_REASON.iter().find(|word| word.eq_ignore_ascii_case(listed.trim()));
        let known = known.ok_or_else(|| {
            let shown: String = listed.chars().take(64).flat_map(char::escape_debug).collect();
            Failure::bad(format!("{reasons} has no member '{shown}'"))
        })?;
        if !found.contains(known) {
            found.push(*known);
        }
    }
    Ok(Because { comment: said.filter(|text| !text.trim().is_empty()), reasons: found })
}

/// A member that is text; null is the empty text.
pub(super) fn text(name: &str, value: &Value) -> Result<String, Failure> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Null => Ok(String::new()),
        _ => Err(Failure::bad(format!("{name} must be a text or null"))),
    }
}

/// A member that is a list of texts.
pub(super) fn texts(name: &str, value: &Value) -> Result<Vec<String>, Failure> {
    let bad = || Failure::bad(format!("{name} must be an array of texts"));
    let all = match value {
        Value::Array(all) => all,
        Value::Null => return Ok(Vec::new()),
        _ => return Err(bad()),
    };
    all.iter().map(|item| item.as_str().map(str::to_owned).ok_or_else(bad)).collect()
}

/// A member that is a word of an enumeration.
pub(super) fn word<T>(
    name: &str,
    value: &Value,
    read: fn(&str) -> Option<T>,
) -> Result<T, Failure> {
    let text = value
        .as_str()
        .ok_or_else(|| Failure::bad(format!("{name} must be a word of its enumeration")))?;
    read(text.trim()).ok_or_else(|| {
        let shown: String = text.chars().take(64).flat_map(char::escape_debug).collect();
        Failure::bad(format!("{name} cannot be set to '{shown}'"))
    })
}

fn cleared<T: Default>(
    name: &str,
    value: &Value,
    read: fn(&str) -> Option<T>,
) -> Result<T, Failure> {
    if value.is_null() { Ok(T::default()) } else { word(name, value, read) }
}

fn unknown(app: &App, name: &str) -> Result<(), Failure> {
    if !app.config.graph.refuse_unknown_members || name.starts_with('@') {
        return Ok(());
    }
    let shown: String = name.chars().take(64).flat_map(char::escape_debug).collect();
    Err(Failure::bad(format!("'{shown}' cannot be changed")))
}
