//! An incident and every way it may change: pure, each transition takes the incident and returns
//! the next one with what changed, or says why not.
//!
//! ```text
//! New -queue-> Queued -start-> InProgress -conclude-> Resolved            (T2, T3, T4)
//!  |-leave out-> LeftOut         |-hand over-> AwaitingCustomer           (T5)
//!                                |     AwaitingCustomer -take back-> InProgress  (T7)
//!                                |-finish response-> Resolved             (T6)
//! any open state -resolve-> Resolved -update by hand-> New | Queued | InProgress
//! any open state but AwaitingCustomer -redirect-> Redirected              (T8)
//! ```
//!
//! Invariants: `AwaitingCustomer` is entered by experts alone, is owned by `Customer` and carries
//! the tag for it (INV-2); a false positive or expected activity is concluded resolved and unowned
//! (INV-3); `Queued` is owned by the experts; nothing leaves `Redirected`; only a request by hand
//! leaves Resolved (INC-15). The status of the contract is derived and never stored by itself.
//! Not here: the rows of alerts, comments and tasks, and who is permitted to ask at all.

mod patch;
mod refusal;
mod state;
mod step;
#[cfg(test)]
mod tests;

use crate::actor::{Actor, ActorKind};
use crate::clock::Timestamp;
use crate::word::{Classification, Determination, IncidentStatus, Severity, Stage, Verdict};

pub use patch::Patch;
pub use refusal::Refusal;
pub use state::{State, StateParts};
pub use step::{AlertCascade, Comment, OwnerCascade, Step, cascade};

/// The owner while experts have the incident, word for word as clients filter on it (INC-10).
pub const OWNER_EXPERTS: &str = "Defender Experts";
/// The owner while the customer has tasks to do.
pub const OWNER_CUSTOMER: &str = "Customer";
/// The system tag of incidents that experts handle (INC-14).
pub const TAG_EXPERTS: &str = "Defender Experts";
/// The system tag while the customer has tasks to do.
pub const TAG_AWAITING: &str = "Awaiting Customer Action";
/// The system tag of an incident merged into another.
pub const TAG_REDIRECTED: &str = "Redirected";

/// The longest comment, description, summary or resolving comment, in characters (INC-19).
pub const LONGEST_TEXT: usize = 30_000;
/// The longest name of an incident, in characters.
pub const LONGEST_NAME: usize = 1_000;
/// The longest owner or tag, in characters.
pub const LONGEST_WORD: usize = 256;
/// How many custom tags may be set by hand.
pub const MOST_TAGS: usize = 50;

/// Alerts that belong together, and what has become of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident {
    /// Unique over the whole installation.
    pub id: i64,
    /// The customer it belongs to.
    pub tenant: String,
    /// Where it stands.
    pub state: State,
    /// Who has it: free text, `None` for nobody.
    pub owner: Option<String>,
    /// Threat or not, and of which kind.
    pub verdict: Verdict,
    /// The highest severity of its alerts, unless set by hand.
    pub severity: Severity,
    /// Whether a person or rule fixed the severity.
    pub severity_set_by_hand: bool,
    /// Its name.
    pub display_name: String,
    /// Whether a person or rule fixed the name.
    pub name_set_by_hand: bool,
    /// The investigation summary as the contract's clients read it (MR-2).
    pub description: Option<String>,
    /// The overview of the attack.
    pub summary: Option<String>,
    /// Tags people gave it.
    pub custom_tags: Vec<String>,
    /// Tags the platform and its sources gave it.
    pub system_tags: Vec<String>,
    /// Why it was closed, in the words of who closed it (INC-15).
    pub resolving_comment: Option<String>,
    /// 0 to 100, `None` until computed (TRI-7).
    pub priority_score: Option<u8>,
    /// When an expert first started work on it (T3).
    pub started: Option<Timestamp>,
    /// When its first alert arrived.
    pub created: Timestamp,
    /// When it last changed.
    pub updated: Timestamp,
    /// Who last changed it.
    pub modified_by: String,
}

/// What an expert found, as a conclusion needs it (INC-12).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Threat or not.
    pub classification: Classification,
    /// Of which kind.
    pub determination: Determination,
    /// The investigation summary.
    pub summary: String,
}

/// Who has an incident after experts resolve it: a choice of the customer (X-1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OwnerAfter {
    /// Nobody.
    #[default]
    Nobody,
    /// The customer.
    Customer,
}

impl OwnerAfter {
    fn owner(self) -> Option<String> {
        match self {
            Self::Nobody => None,
            Self::Customer => Some(OWNER_CUSTOMER.to_owned()),
        }
    }
}

impl Incident {
    /// A new incident (T1): active, unowned, not classified.
    #[must_use]
    pub fn open(
        id: i64,
        tenant: &str,
        name: &str,
        severity: Severity,
        by: &Actor,
        at: Timestamp,
    ) -> Self {
        Self {
            id,
            tenant: tenant.to_owned(),
            state: State::New,
            owner: None,
            verdict: Verdict::default(),
            severity,
            severity_set_by_hand: false,
            display_name: name.to_owned(),
            name_set_by_hand: false,
            description: None,
            summary: None,
            custom_tags: Vec::new(),
            system_tags: Vec::new(),
            resolving_comment: None,
            priority_score: None,
            started: None,
            created: at,
            updated: at,
            modified_by: by.name.clone(),
        }
    }

    /// The status of the contract.
    #[must_use]
    pub fn status(&self) -> IncidentStatus {
        self.state.stage().status()
    }

    /// Where a merged incident points to.
    #[must_use]
    pub fn redirect_id(&self) -> Option<i64> {
        match self.state {
            State::Redirected { to, .. } => Some(to),
            _ => None,
        }
    }

    /// Whether new alerts may still join it and work on it can go on.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !matches!(self.state, State::Resolved { .. } | State::Redirected { .. })
    }

    /// Hands it to the experts' queue (T2), also when triage had left it out before.
    pub fn queue(self, actor: &Actor, at: Timestamp) -> Result<Step, Refusal> {
        self.triaged_by(actor, "queued")?;
        self.in_stage(&[Stage::New, Stage::LeftOut], "queued")?;
        let mut next = self.clone();
        next.enter(State::Queued { at });
        next.owner = Some(OWNER_EXPERTS.to_owned());
        add_tag(&mut next.system_tags, TAG_EXPERTS);
        Ok(self.step(next, actor, at))
    }

    /// Leaves it to the customer, with the reason; its owner stays whoever it is (TRI-2).
    pub fn leave_out(self, reason: &str, actor: &Actor, at: Timestamp) -> Result<Step, Refusal> {
        self.triaged_by(actor, "left out")?;
        self.in_stage(&[Stage::New, Stage::LeftOut], "left out")?;
        let reason = self.required("reason", reason, LONGEST_NAME)?;
        let mut next = self.clone();
        // Triage runs again as alerts join; the first moment with the same reason is kept.
        if !matches!(&self.state, State::LeftOut { reason: old, .. } if *old == reason) {
            next.enter(State::LeftOut { reason, at });
        }
        Ok(self.step(next, actor, at))
    }

    /// An expert claims it (T3), queued before or not.
    pub fn start(self, actor: &Actor, at: Timestamp) -> Result<Step, Refusal> {
        self.by_expert(actor, "started")?;
        let claimed = matches!(&self.state, State::InProgress { by, .. }
            if by.kind == ActorKind::Expert);
        let stages = [Stage::New, Stage::LeftOut, Stage::Queued, Stage::InProgress];
        if claimed {
            return Err(self.wrong("started"));
        }
        self.in_stage(&stages, "started")?;
        let mut next = self.clone();
        next.enter(State::InProgress { by: actor.clone(), at });
        next.claim(at);
        Ok(self.step(next, actor, at))
    }

    /// An expert concludes that it is no threat (T4): resolved, unowned, the summary published and
    /// mirrored as a comment (INC-13). `open_tasks` must be none (INV-3).
    pub fn conclude(
        self,
        finding: &Finding,
        open_tasks: u32,
        actor: &Actor,
        at: Timestamp,
    ) -> Result<Step, Refusal> {
        self.by_expert(actor, "concluded")?;
        self.in_stage(&[Stage::InProgress, Stage::AwaitingCustomer], "concluded")?;
        if finding.classification == Classification::TruePositive {
            let reason = "truePositive is concluded by publishing a managed response";
            return Err(self.invalid("classification", reason));
        }
        let (mut next, comment) = self.found(finding, actor, at)?;
        if open_tasks > 0 {
            let reason = format!(
                "{} leaves no task open, but {open_tasks} are",
                next.verdict.classification()
            );
            return Err(self.invalid("classification", reason));
        }
        next.enter(State::Resolved { by: actor.clone(), at });
        next.owner = None;
        Ok(self.step(next, actor, at).with(comment))
    }

    /// An expert publishes a response that leaves tasks to the customer (T5).
    pub fn hand_over(
        self,
        finding: &Finding,
        pending_tasks: u32,
        actor: &Actor,
        at: Timestamp,
    ) -> Result<Step, Refusal> {
        self.by_expert(actor, "handed over")?;
        self.in_stage(&[Stage::InProgress, Stage::AwaitingCustomer], "handed over")?;
        self.must_be_threat(finding)?;
        let (mut next, comment) = self.found(finding, actor, at)?;
        if pending_tasks == 0 {
            return Err(self.invalid("status", "awaitingAction needs a task for the customer"));
        }
        // More tasks while the customer has some do not begin its time anew.
        if !matches!(self.state, State::AwaitingCustomer { .. }) {
            next.enter(State::AwaitingCustomer { by: actor.clone(), since: at });
        }
        next.owner = Some(OWNER_CUSTOMER.to_owned());
        Ok(self.step(next, actor, at).with(comment))
    }

    /// An expert publishes a response whose actions are still under way: it stays with the experts
    /// until they have ended.
    pub fn respond(self, finding: &Finding, actor: &Actor, at: Timestamp) -> Result<Step, Refusal> {
        self.by_expert(actor, "published")?;
        self.in_stage(&[Stage::InProgress], "published")?;
        self.must_be_threat(finding)?;
        let (next, comment) = self.found(finding, actor, at)?;
        Ok(self.step(next, actor, at).with(comment))
    }

    /// Back to the experts: the customer has nothing left to do (T7), or sent the plan back. It is
    /// in progress again with the expert who had handed it over.
    pub fn take_back(self, actor: &Actor, at: Timestamp) -> Result<Step, Refusal> {
        let State::AwaitingCustomer { by, .. } = &self.state else {
            return Err(self.wrong("taken back"));
        };
        let by = by.clone();
        let mut next = self.clone();
        next.enter(State::InProgress { by, at });
        next.owner = Some(OWNER_EXPERTS.to_owned());
        Ok(self.step(next, actor, at))
    }

    /// An expert publishes a response of which nothing is left to do (T6).
    pub fn finish_response(
        self,
        finding: &Finding,
        owner: OwnerAfter,
        actor: &Actor,
        at: Timestamp,
    ) -> Result<Step, Refusal> {
        self.by_expert(actor, "published")?;
        self.in_stage(&[Stage::InProgress], "published")?;
        self.must_be_threat(finding)?;
        let (mut next, comment) = self.found(finding, actor, at)?;
        next.enter(State::Resolved { by: actor.clone(), at });
        next.owner = owner.owner();
        Ok(self.step(next, actor, at).with(comment))
    }

    /// Closes it with a comment, which may be blank. When an expert does, it must be classified
    /// first and passes to `owner`; otherwise the owner stays.
    pub fn resolve(
        self,
        comment: &str,
        owner: OwnerAfter,
        actor: &Actor,
        at: Timestamp,
    ) -> Result<Step, Refusal> {
        if !self.is_open() {
            return Err(self.wrong("resolved"));
        }
        let mut next = self.clone();
        if let Some(comment) = self.text("resolvingComment", comment, LONGEST_TEXT)? {
            next.resolving_comment = Some(comment);
        }
        next.enter(State::Resolved { by: actor.clone(), at });
        if actor.kind == ActorKind::Expert {
            next.owner = owner.owner();
            next.must_be_classified()?;
        }
        Ok(self.step(next, actor, at))
    }

    /// Merges it into another incident (T8): its tags move there, and it only points on.
    pub fn redirect(self, to: i64, actor: &Actor, at: Timestamp) -> Result<Step, Refusal> {
        let stages = [Stage::New, Stage::LeftOut, Stage::Queued, Stage::InProgress];
        self.in_stage(&stages, "merged")?;
        if to == self.id {
            return Err(self.invalid("redirectIncidentId", "is the incident itself"));
        }
        let mut next = self.clone();
        next.enter(State::Redirected { to, at });
        next.custom_tags.clear();
        next.system_tags = vec![TAG_REDIRECTED.to_owned()];
        Ok(self.step(next, actor, at))
    }

    /// Takes over what another incident gives up when it is merged into this one; `highest` is the
    /// highest severity among all alerts it has now (INC-16).
    pub fn absorb(
        self,
        source: &Self,
        highest: Severity,
        actor: &Actor,
        at: Timestamp,
    ) -> Result<Step, Refusal> {
        if !self.is_open() {
            return Err(self.wrong("merged into"));
        }
        if source.id == self.id || source.tenant != self.tenant {
            let reason = format!("cannot be made of incident {}", source.id);
            return Err(self.invalid("merge", reason));
        }
        let mut next = self.clone();
        for tag in &source.custom_tags {
            add_tag(&mut next.custom_tags, tag);
        }
        for tag in source.system_tags.iter().filter(|tag| !follows_state(tag)) {
            add_tag(&mut next.system_tags, tag);
        }
        // A merged incident is named anew by correlation, whatever people called it.
        next.name_set_by_hand = false;
        if !next.severity_set_by_hand {
            next.severity = highest;
        }
        Ok(self.step(next, actor, at))
    }

    /// Follows the highest severity of its alerts, unless somebody set one by hand (INC-5).
    pub fn follow_severity(
        self,
        highest: Severity,
        actor: &Actor,
        at: Timestamp,
    ) -> Result<Step, Refusal> {
        self.not_redirected("changed")?;
        let mut next = self.clone();
        if !next.severity_set_by_hand {
            next.severity = highest;
        }
        Ok(self.step(next, actor, at))
    }

    /// Takes the name that correlation made for it, unless somebody named it by hand (INC-18).
    pub fn rename(self, name: &str, actor: &Actor, at: Timestamp) -> Result<Step, Refusal> {
        self.not_redirected("renamed")?;
        let mut next = self.clone();
        if !next.name_set_by_hand {
            next.display_name = self.required("displayName", name, LONGEST_NAME)?;
        }
        Ok(self.step(next, actor, at))
    }

    /// Sets the computed priority; above 100 counts as 100 (TRI-7).
    pub fn prioritise(self, score: u8, actor: &Actor, at: Timestamp) -> Result<Step, Refusal> {
        self.not_redirected("prioritised")?;
        let mut next = self.clone();
        next.priority_score = Some(score.min(100));
        Ok(self.step(next, actor, at))
    }

    /// Adds system tags that its sources carry; those that follow from its state are left out.
    pub fn tag(self, tags: &[String], actor: &Actor, at: Timestamp) -> Result<Step, Refusal> {
        self.not_redirected("tagged")?;
        let mut next = self.clone();
        for tag in tags {
            let tag = self.required("systemTags", tag, LONGEST_WORD)?;
            if !follows_state(&tag) {
                add_tag(&mut next.system_tags, &tag);
            }
        }
        Ok(self.step(next, actor, at))
    }

    /// Adds a comment to its history.
    pub fn comment(self, text: &str, actor: &Actor, at: Timestamp) -> Result<Step, Refusal> {
        self.not_redirected("commented on")?;
        let text = self.required("comment", text, LONGEST_TEXT)?;
        let comment = Comment { text, by: actor.clone(), at };
        let next = self.clone();
        let mut step = self.step(next, actor, at).with(comment);
        step.incident.touch(actor, at);
        Ok(step)
    }

    /// The one place where the state changes, so that its tag follows.
    fn enter(&mut self, state: State) {
        if matches!(state, State::AwaitingCustomer { .. }) {
            add_tag(&mut self.system_tags, TAG_AWAITING);
        } else {
            self.system_tags.retain(|tag| tag != TAG_AWAITING);
        }
        self.state = state;
    }

    fn claim(&mut self, at: Timestamp) {
        self.owner.get_or_insert_with(|| OWNER_EXPERTS.to_owned());
        self.started.get_or_insert(at);
        add_tag(&mut self.system_tags, TAG_EXPERTS);
    }

    /// This incident with an expert's finding on it, and the comment that mirrors it.
    fn found(
        &self,
        finding: &Finding,
        actor: &Actor,
        at: Timestamp,
    ) -> Result<(Self, Comment), Refusal> {
        let verdict = Verdict::new(finding.classification, finding.determination)
            .map_err(|bad| self.invalid("determination", bad.to_string()))?;
        if verdict.classification() == Classification::Unknown {
            return Err(self.invalid("classification", "is needed for a conclusion"));
        }
        if !verdict.complete() {
            return Err(self.invalid("determination", "is needed for a conclusion"));
        }
        let summary = self.required("summary", &finding.summary, LONGEST_TEXT)?;
        let mut next = self.clone();
        next.verdict = verdict;
        next.description = Some(summary.clone());
        next.summary = Some(summary.clone());
        add_tag(&mut next.system_tags, TAG_EXPERTS);
        Ok((next, Comment { text: summary, by: actor.clone(), at }))
    }

    fn must_be_threat(&self, finding: &Finding) -> Result<(), Refusal> {
        if finding.classification == Classification::TruePositive {
            return Ok(());
        }
        Err(self.invalid("classification", "must be truePositive to publish a managed response"))
    }

    fn must_be_classified(&self) -> Result<(), Refusal> {
        if self.verdict.classification() == Classification::Unknown {
            return Err(self.invalid("classification", "is needed before an expert resolves it"));
        }
        Ok(())
    }

    fn triaged_by(&self, actor: &Actor, verb: &'static str) -> Result<(), Refusal> {
        match actor.kind {
            ActorKind::System | ActorKind::Expert => Ok(()),
            _ => Err(self.not_allowed(verb, actor, "triage decides what experts take")),
        }
    }

    fn by_expert(&self, actor: &Actor, verb: &'static str) -> Result<(), Refusal> {
        match actor.kind {
            ActorKind::Expert => Ok(()),
            _ => Err(self.not_allowed(verb, actor, "an expert must")),
        }
    }

    fn in_stage(&self, stages: &[Stage], verb: &'static str) -> Result<(), Refusal> {
        if stages.contains(&self.state.stage()) { Ok(()) } else { Err(self.wrong(verb)) }
    }

    fn not_redirected(&self, verb: &'static str) -> Result<(), Refusal> {
        if self.redirect_id().is_some() { Err(self.wrong(verb)) } else { Ok(()) }
    }

    fn wrong(&self, verb: &'static str) -> Refusal {
        Refusal::WrongState { id: self.id, stage: self.state.stage(), verb }
    }

    fn not_allowed(&self, verb: &'static str, actor: &Actor, reason: &'static str) -> Refusal {
        Refusal::NotAllowed { id: self.id, verb, by: actor.kind, reason }
    }

    fn invalid(&self, field: &'static str, reason: impl Into<String>) -> Refusal {
        Refusal::Invalid { id: self.id, field, reason: reason.into() }
    }

    /// A text without outer blanks, `None` when nothing is left of it.
    fn text(
        &self,
        field: &'static str,
        text: &str,
        most: usize,
    ) -> Result<Option<String>, Refusal> {
        let text = text.trim();
        // PostgreSQL cannot hold the character, and no reader means it.
        if text.contains('\0') {
            return Err(self.invalid(field, "contains a null character"));
        }
        if text.chars().count() > most {
            return Err(self.invalid(field, format!("is longer than {most} characters")));
        }
        Ok((!text.is_empty()).then(|| text.to_owned()))
    }

    fn required(&self, field: &'static str, text: &str, most: usize) -> Result<String, Refusal> {
        self.text(field, text, most)?.ok_or_else(|| self.invalid(field, "must not be empty"))
    }

    fn touch(&mut self, actor: &Actor, at: Timestamp) {
        self.updated = self.updated.max(at);
        actor.name.clone_into(&mut self.modified_by);
    }
}

fn add_tag(tags: &mut Vec<String>, tag: &str) {
    if !tags.iter().any(|known| known == tag) {
        tags.push(tag.to_owned());
    }
}

/// Tags that say what the state says and so come and go with it alone.
fn follows_state(tag: &str) -> bool {
    tag == TAG_AWAITING || tag == TAG_REDIRECTED
}
