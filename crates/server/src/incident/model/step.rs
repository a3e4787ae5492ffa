//! What a transition of an incident gives back: what changed, what is said about it, and what its
//! alerts take over.

use serde_json::Value;

use super::{Incident, State};
use crate::actor::Actor;
use crate::clock::Timestamp;
use crate::event::Change;
use crate::word::{AlertStatus, Classification, IncidentStatus, Verdict};

/// A comment in an incident's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    /// What it says.
    pub text: String,
    /// Who says it.
    pub by: Actor,
    /// When.
    pub at: Timestamp,
}

/// What a transition gives back; without changes and comments there is nothing to store.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The incident as it is now.
    pub incident: Incident,
    /// Which fields changed.
    pub changes: Vec<Change>,
    /// Comments to add to its history.
    pub comments: Vec<Comment>,
    /// What its alerts take over.
    pub cascade: Option<AlertCascade>,
}

/// What happens to the owner of an incident's alerts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnerCascade {
    /// Each alert keeps its owner.
    Keep,
    /// Every alert gets this owner, `None` for nobody.
    Set(Option<String>),
}

/// What an incident's alerts take over from it (INC-10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertCascade {
    /// For all linked alerts.
    pub owner: OwnerCascade,
    /// For linked alerts that are not resolved yet.
    pub status: Option<AlertStatus>,
    /// For those same alerts, where the incident has a verdict.
    pub verdict: Option<Verdict>,
}

impl Incident {
    /// The step from this incident to `next`, which bears the mark of `actor` if it differs.
    pub(super) fn step(self, mut next: Self, actor: &Actor, at: Timestamp) -> Step {
        let changes = changes(&self, &next);
        if !changes.is_empty() {
            next.touch(actor, at);
        }
        let cascade = cascade(&self, &next);
        Step { incident: next, changes, comments: Vec::new(), cascade }
    }
}

impl Step {
    pub(super) fn with(mut self, comment: Comment) -> Self {
        self.comments.push(comment);
        self
    }

    /// Whether there is anything to store.
    #[must_use]
    pub fn changed(&self) -> bool {
        !self.changes.is_empty() || !self.comments.is_empty()
    }
}

/// What the alerts of an incident take over when it goes from `before` to `after`: a changed
/// owner, and when it is resolved that and its verdict. A merged incident gives nothing, because
/// its alerts have left it.
#[must_use]
pub fn cascade(before: &Incident, after: &Incident) -> Option<AlertCascade> {
    if after.redirect_id().is_some() {
        return None;
    }
    let resolved =
        before.status() != IncidentStatus::Resolved && after.status() == IncidentStatus::Resolved;
    let owner = if before.owner == after.owner {
        OwnerCascade::Keep
    } else {
        OwnerCascade::Set(after.owner.clone())
    };
    if !resolved && owner == OwnerCascade::Keep {
        return None;
    }
    let classified = after.verdict.classification() != Classification::Unknown;
    Some(AlertCascade {
        owner,
        status: resolved.then_some(AlertStatus::Resolved),
        verdict: (resolved && classified).then_some(after.verdict),
    })
}

/// A field's name and how to read it.
type Field = (&'static str, fn(&Incident) -> Value);

/// What the activity log follows, under the names people and clients know the fields by.
const FIELDS: [Field; 17] = [
    ("state", |it| it.state.stage().word().into()),
    ("status", |it| it.status().word().into()),
    ("inProgressBy", |it| match &it.state {
        // The side is part of it: the same name may mean somebody else over there.
        State::InProgress { by, .. } => format!("{} ({})", by.name, by.kind.word()).into(),
        _ => Value::Null,
    }),
    ("startedDateTime", |it| it.started.map(|at| at.to_string()).into()),
    ("leftOutReason", |it| match &it.state {
        State::LeftOut { reason, .. } => reason.as_str().into(),
        _ => Value::Null,
    }),
    ("redirectIncidentId", |it| it.redirect_id().into()),
    ("assignedTo", |it| it.owner.as_deref().into()),
    ("classification", |it| it.verdict.classification().word().into()),
    ("determination", |it| it.verdict.determination().word().into()),
    ("severity", |it| it.severity.word().into()),
    ("priorityScore", |it| it.priority_score.into()),
    ("displayName", |it| it.display_name.as_str().into()),
    ("description", |it| it.description.as_deref().into()),
    ("summary", |it| it.summary.as_deref().into()),
    ("customTags", |it| it.custom_tags.as_slice().into()),
    ("systemTags", |it| it.system_tags.as_slice().into()),
    ("resolvingComment", |it| it.resolving_comment.as_deref().into()),
];

fn changes(before: &Incident, after: &Incident) -> Vec<Change> {
    FIELDS
        .iter()
        .map(|(field, value)| Change { field, before: value(before), after: value(after) })
        .filter(|change| change.before != change.after)
        .collect()
}
