//! An incident as the Graph contract shows it.

use serde_json::{Map, Value, json};

use crate::alert::view::{Comment, Spelling};
use crate::incident::Incident;

/// Members that hold text as long as people made it, in the order in which a short view clips them.
const LONG: [&str; 4] = ["recommendedActions", "resolvingComment", "summary", "description"];
/// Where a short view clips long text, in characters.
const CLIPPED: usize = 1_000;

/// The incident as the contract shows it, every member present but `alerts`. `recommended` is for
/// the beta version (see `advice`).
#[must_use]
pub fn json(
    incident: &Incident,
    comments: &[Comment],
    recommended: Option<&str>,
    spelling: Spelling<'_>,
) -> Map<String, Value> {
    let it = &incident.model;
    let (web, tenant, id) = (spelling.web, spelling.tenant_id, incident.id);
    let mut out = Map::new();
    for (name, value) in [
        ("@odata.type", json!("#microsoft.graph.security.incident")),
        ("id", json!(id)),
        ("tenantId", json!(tenant)),
        ("status", json!(it.status().spelled(spelling.named))),
        ("incidentWebUrl", json!(format!("{web}/incidents/{id}?tid={tenant}"))),
        ("redirectIncidentId", json!(it.redirect_id().map(|to| to.to_string()))),
        ("displayName", json!(it.display_name)),
        ("createdDateTime", json!(it.created)),
        ("lastUpdateDateTime", json!(spelling.updated(it.updated))),
        ("assignedTo", json!(it.owner)),
        ("classification", json!(it.verdict.classification().spelled(spelling.named))),
        ("determination", json!(it.verdict.determination().spelled(spelling.named))),
        ("severity", json!(it.severity.spelled(spelling.named))),
        ("customTags", json!(it.custom_tags)),
        ("systemTags", json!(it.system_tags)),
        ("description", json!(it.description)),
        ("summary", json!(it.summary)),
        ("lastModifiedBy", json!(it.modified_by)),
        ("resolvingComment", json!(it.resolving_comment)),
        ("priorityScore", json!(it.priority_score)),
        ("comments", comments.iter().map(Comment::json).collect()),
    ] {
        out.insert(name.to_owned(), value);
    }
    if spelling.beta {
        out.insert("recommendedActions".to_owned(), json!(recommended));
        out.insert("recommendedHuntingQueries".to_owned(), json!([]));
    }
    out
}

/// Shortens a row of a list until it takes at most `budget` bytes (graph-api rule 13): the oldest
/// comments go first, then the ends of long texts, then tags. The incident by itself has it all.
pub fn shorten(row: &mut Map<String, Value>, budget: usize) {
    let mut size = size_of(row);
    if size <= budget {
        return;
    }
    if let Some(Value::Array(comments)) = row.get_mut("comments") {
        let mut drop = 0;
        for comment in comments.iter() {
            if size <= budget {
                break;
            }
            size = size.saturating_sub(comment.to_string().len() + 1);
            drop += 1;
        }
        comments.drain(..drop);
    }
    for name in LONG {
        if size <= budget {
            return;
        }
        if let Some(value) = row.get_mut(name)
            && let Some(text) = value.as_str()
            && let Some((end, _)) = text.char_indices().nth(CLIPPED)
        {
            let short = format!("{}…", text.get(..end).unwrap_or_default());
            *value = Value::from(short);
            size = size_of(row);
        }
    }
    for name in ["customTags", "systemTags"] {
        while size > budget {
            let Some(Value::Array(tags)) = row.get_mut(name) else { break };
            if tags.pop().is_none() {
                break;
            }
            size = size_of(row);
        }
    }
}

fn size_of(row: &Map<String, Value>) -> usize {
    serde_json::to_string(row).map_or(0, |text| text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_shortened_to_its_budget() {
        let long = "\u{1}".repeat(30_000);
        let comment = json!({"comment": long});
        let mut row = Map::new();
        row.insert("id".to_owned(), json!("7"));
        row.insert("summary".to_owned(), json!(long));
        row.insert("description".to_owned(), json!("short"));
        row.insert("comments".to_owned(), json!([comment, {"comment": "newest"}]));
        row.insert("customTags".to_owned(), json!(vec!["\u{1}".repeat(256); 50]));
        shorten(&mut row, 20_000);
        assert!(size_of(&row) <= 20_000, "{}", size_of(&row));
        assert_eq!(row["id"], "7");
        assert_eq!(row["description"], "short");
        let mut small = row.clone();
        shorten(&mut small, 20_000);
        assert_eq!(small, row);
    }
}
