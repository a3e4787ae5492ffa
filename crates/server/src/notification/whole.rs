//! The whole of a published response, for a mail (NOT-4): the summary of the investigation and each task
//! with its target, what is to be done, and where it stands. A mail has a size; what is cut is said.

use serde_json::{Value, json};

use crate::error::Result;
use crate::id::IncidentId;
use crate::response::model::TaskState;
use crate::response::store::{self, Source};
use crate::tx::Tx;

/// The longest summary, in characters.
const SUMMARY: usize = 8_000;
/// What is to be done for one task, in characters.
const TASK: usize = 2_000;
/// Tasks of one mail.
const TASKS: usize = 50;

/// A text of so many characters at most, and whether it was cut.
fn cut(text: &str, most: usize) -> (String, bool) {
    let kept: String = text.chars().take(most).collect();
    let is_cut = kept.len() < text.len();
    (if is_cut { format!("{kept} …") } else { kept }, is_cut)
}

/// What a mail says of the newest response to an incident, in the transaction that tells of it.
pub(super) async fn of(tx: &Tx, incident: IncidentId) -> Result<Value> {
    let responses = store::responses_in(tx, incident).await?;
    let newest = responses.iter().rev().find(|it| it.published.is_some());
    let summary = newest.and_then(|it| it.summary.as_deref()).unwrap_or_default();
    let (summary, mut is_cut) = cut(summary, SUMMARY);
    let all = store::tasks_in(tx, incident).await?;
    // Drafts are the experts', and what was withdrawn is no part of it any more.
    let shown = |state| !matches!(state, TaskState::Draft | TaskState::Withdrawn);
    let all: Vec<_> = all.iter().filter(|it| it.source.is_some() && shown(it.state)).collect();
    is_cut |= all.len() > TASKS;
    let mut tasks = Vec::new();
    for task in all.into_iter().take(TASKS) {
        let (text, is_long) = cut(&task.description, TASK);
        is_cut |= is_long;
        tasks.push(json!({
            "title": task.display_name,
            "target": task.object(),
            "owner": task.source.map(Source::word),
            "state": task.state.word(),
            "text": text,
        }));
    }
    Ok(json!({ "summary": summary, "tasks": tasks, "isCut": is_cut }))
}
