//! Setting an incident's fields by hand: what a client's PATCH means.

use super::{Incident, LONGEST_NAME, LONGEST_TEXT, LONGEST_WORD, OWNER_CUSTOMER, OWNER_EXPERTS};
use super::{MOST_TAGS, Refusal, State, Step, TAG_EXPERTS, add_tag};
use crate::actor::{Actor, ActorKind};
use crate::clock::Timestamp;
use crate::word::{Classification, Determination, IncidentStatus, Severity, Stage};

/// Fields to set by hand; `None` leaves a field alone, and a blank text clears it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patch {
    /// The new owner; blank for nobody.
    pub assigned_to: Option<String>,
    /// Threat or not; `Unknown` clears the determination too.
    pub classification: Option<Classification>,
    /// Of which kind.
    pub determination: Option<Determination>,
    /// The new status.
    pub status: Option<IncidentStatus>,
    /// All custom tags from now on.
    pub custom_tags: Option<Vec<String>>,
    /// The new name, which correlation will leave alone.
    pub display_name: Option<String>,
    /// The new description.
    pub description: Option<String>,
    /// The new summary.
    pub summary: Option<String>,
    /// The new severity, which alerts will leave alone.
    pub severity: Option<Severity>,
    /// Why it was closed.
    pub resolving_comment: Option<String>,
}

impl Incident {
    /// Sets fields by hand, all of them or none. This is the only way out of `Resolved`, and never
    /// a way into `AwaitingCustomer` or `Redirected` (INC-4).
    pub fn update(self, patch: &Patch, actor: &Actor, at: Timestamp) -> Result<Step, Refusal> {
        self.not_redirected("changed")?;
        let mut next = self.clone();
        next.verdict = self
            .verdict
            .changed(patch.classification, patch.determination)
            .map_err(|bad| self.invalid("determination", bad.to_string()))?;
        if let Some(name) = &patch.display_name {
            next.display_name = self.required("displayName", name, LONGEST_NAME)?;
            next.name_set_by_hand |= next.display_name != self.display_name;
        }
        if let Some(severity) = patch.severity {
            next.severity = severity;
            next.severity_set_by_hand |= severity != self.severity;
        }
        if let Some(tags) = &patch.custom_tags {
            next.custom_tags = self.checked_tags(tags)?;
        }
        for (field, given, place) in [
            ("description", &patch.description, &mut next.description),
            ("summary", &patch.summary, &mut next.summary),
            ("resolvingComment", &patch.resolving_comment, &mut next.resolving_comment),
        ] {
            if let Some(text) = given {
                *place = self.text(field, text, LONGEST_TEXT)?;
            }
        }
        if let Some(status) = patch.status {
            next.take_status(status, actor, at)?;
        }
        if let Some(owner) = &patch.assigned_to {
            next.owner = self.text("assignedTo", owner, LONGEST_WORD)?;
        }
        next.agree_with_owner(&self, actor, at)?;
        Ok(self.step(next, actor, at))
    }

    /// Moves to the state that a status set by hand stands for.
    fn take_status(
        &mut self,
        status: IncidentStatus,
        actor: &Actor,
        at: Timestamp,
    ) -> Result<(), Refusal> {
        let expert = actor.kind == ActorKind::Expert;
        if status == IncidentStatus::AwaitingAction && !expert {
            let reason = "awaitingAction is set by experts alone";
            return Err(self.not_allowed("set to awaitingAction", actor, reason));
        }
        if status == self.status() {
            return Ok(());
        }
        let stage = self.state.stage();
        if stage == Stage::Resolved && actor.kind == ActorKind::System {
            let reason = "what is resolved stays so until somebody reopens it by hand";
            return Err(self.not_allowed("reopened", actor, reason));
        }
        match status {
            IncidentStatus::AwaitingAction => {
                let reason = "awaitingAction is reached by publishing a response with a task";
                return Err(self.invalid("status", reason));
            }
            IncidentStatus::Redirected => {
                return Err(self.invalid("status", "redirected is reached by merging"));
            }
            IncidentStatus::Active => self.enter(State::New),
            IncidentStatus::InProgress => {
                self.enter(State::InProgress { by: actor.clone(), at });
                if expert {
                    self.claim(at);
                }
            }
            IncidentStatus::Resolved => {
                self.enter(State::Resolved { by: actor.clone(), at });
                if expert {
                    self.owner = None;
                    self.must_be_classified()?;
                }
            }
        }
        // What the customer had to do goes back to the experts with the incident.
        if expert && stage == Stage::AwaitingCustomer && self.is_open() {
            self.owner = Some(OWNER_EXPERTS.to_owned());
        }
        Ok(())
    }

    /// Keeps state and owner in agreement after either was set by hand.
    fn agree_with_owner(
        &mut self,
        before: &Self,
        actor: &Actor,
        at: Timestamp,
    ) -> Result<(), Refusal> {
        let experts_own = self.owner.as_deref() == Some(OWNER_EXPERTS);
        match self.state.stage() {
            // Somebody else took it out of the queue.
            Stage::Queued if !experts_own => self.enter(State::New),
            Stage::New | Stage::LeftOut if experts_own => {
                let given = before.owner != self.owner
                    && matches!(actor.kind, ActorKind::Expert | ActorKind::System);
                let set_back = before.status() != IncidentStatus::Active;
                if given || set_back {
                    self.enter(State::Queued { at });
                    add_tag(&mut self.system_tags, TAG_EXPERTS);
                }
            }
            Stage::AwaitingCustomer if self.owner.as_deref() != Some(OWNER_CUSTOMER) => {
                let reason = "stays Customer while the customer has tasks to do; \
                              change the status with it";
                return Err(self.invalid("assignedTo", reason));
            }
            _ => {}
        }
        Ok(())
    }

    fn checked_tags(&self, tags: &[String]) -> Result<Vec<String>, Refusal> {
        let mut kept = Vec::new();
        for tag in tags {
            if let Some(tag) = self.text("customTags", tag, LONGEST_WORD)? {
                add_tag(&mut kept, &tag);
            }
            if kept.len() > MOST_TAGS {
                return Err(self.invalid("customTags", format!("are more than {MOST_TAGS}")));
            }
        }
        Ok(kept)
    }
}
