//! Tasks and actions and every way they may change: pure, each transition takes the thing and gives
//! the next one, or says why not.
//!
//! ```text
//! task    Draft -publish-> Open | Running          Open -run-> Running -settle-> Completed | Failed
//!         Open -begin-> Doing                      Open, Doing, Failed -complete-> Completed
//!         Open, Doing, Failed -skip-> Skipped      Completed by hand, Skipped -reopen-> Open
//!         Open, Doing, Failed -withdraw-> Withdrawn          Failed -run-> Running
//!         Running -hand over-> Open
//!
//! action  Proposed -approve-> Approved -start-> Started -settle-> Succeeded | Failed
//!                  -reject-> Rejected             -lose-> Unknown -settle-> Succeeded | Failed
//!         Approved -withhold-> Proposed
//!         Proposed, Approved -cancel-> Cancelled                  -not so-> Approved (class A)
//!         Proposed, Approved -expire-> Expired                    -ask-> NeedsHuman -decide->
//! ```
//!
//! Invariants: an action is `Succeeded` only with what was read from the thing itself, or on a
//! person's word after `NeedsHuman`; it is `Started` before anything is sent; what happens once
//! (class B) never goes from `Unknown` back to `Approved`. A task that an action is under way for is
//! completed by that action alone. Not here: rows, clocks, who may ask.

use crate::response::catalog::{Effect, Kind};

/// Where a task stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum TaskState {
    /// Only the experts see it.
    Draft,
    /// Waits for the customer.
    Open,
    /// Somebody of the customer is at it by hand.
    Doing,
    /// Its actions are under way.
    Running,
    /// Done.
    Completed,
    /// Its action failed.
    Failed,
    /// The customer will not do it.
    Skipped,
    /// It is no longer wanted.
    Withdrawn,
}

/// Every state of a task with its word and the contract's `incidentTaskStatus`.
const TASK_STATES: [(TaskState, &str, &str); 8] = [
    (TaskState::Draft, "draft", "open"),
    (TaskState::Open, "open", "open"),
    (TaskState::Doing, "doing", "inProgress"),
    (TaskState::Running, "running", "inProgress"),
    (TaskState::Completed, "completed", "completed"),
    (TaskState::Failed, "failed", "failed"),
    (TaskState::Skipped, "skipped", "notRelevant"),
    (TaskState::Withdrawn, "withdrawn", "notRelevant"),
];

/// What somebody does with a task.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum TaskStep {
    /// Runs its action, for the first time or again.
    Run,
    /// Takes it up by hand.
    Begin,
    /// Says that it is done.
    Complete,
    /// Says that it will not be done.
    Skip,
    /// Wants it after all.
    Reopen,
    /// It is no longer wanted.
    Withdraw,
    /// All its actions have ended well.
    Succeed,
    /// An action of it has not.
    Fail,
    /// Nobody approved its action in time: it is for the customer to do.
    HandOver,
}

impl TaskStep {
    /// Every step.
    pub const ALL: [Self; 9] = [
        Self::Run,
        Self::Begin,
        Self::Complete,
        Self::Skip,
        Self::Reopen,
        Self::Withdraw,
        Self::Succeed,
        Self::Fail,
        Self::HandOver,
    ];
}

impl TaskState {
    /// Every state.
    pub fn all() -> impl Iterator<Item = Self> {
        TASK_STATES.iter().map(|(state, ..)| *state)
    }

    fn row(self) -> (&'static str, &'static str) {
        let row = TASK_STATES.iter().find(|(state, ..)| *state == self);
        row.map_or(("", ""), |(_, word, status)| (*word, *status))
    }

    /// The word stored and shown.
    #[must_use]
    pub fn word(self) -> &'static str {
        self.row().0
    }

    /// The state of a word.
    #[must_use]
    pub fn read(word: &str) -> Option<Self> {
        TASK_STATES.iter().find(|(_, known, _)| *known == word).map(|(state, ..)| *state)
    }

    /// The contract's `incidentTaskStatus` (MR-5).
    #[must_use]
    pub fn status(self) -> &'static str {
        self.row().1
    }

    /// Whether something is still to be done: what INV-2 counts.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self, Self::Open | Self::Doing | Self::Running | Self::Failed)
    }

    /// The state after a step; the reason where the step is not to be taken. `verified`: whether an
    /// action read that it is done.
    pub fn after(self, step: TaskStep, verified: bool) -> Result<Self, &'static str> {
        use TaskState as S;
        use TaskStep as T;
        Ok(match (self, step) {
            (S::Draft | S::Open | S::Doing | S::Failed, T::Run) => S::Running,
            (S::Open | S::Failed, T::Begin) => S::Doing,
            (S::Open | S::Doing | S::Failed, T::Complete) | (S::Running, T::Succeed) => {
                S::Completed
            }
            (S::Open | S::Doing | S::Failed, T::Skip) => S::Skipped,
            (S::Doing | S::Skipped, T::Reopen) | (S::Running, T::HandOver) => S::Open,
            (S::Completed, T::Reopen) if !verified => S::Open,
            (S::Open | S::Doing | S::Failed, T::Withdraw) => S::Withdrawn,
            (S::Running, T::Fail) => S::Failed,
            (S::Completed, T::Reopen) => return Err("it was done and verified; undo it instead"),
            (S::Running, _) => return Err("its action is under way"),
            (S::Completed, _) => return Err("it is completed"),
            (S::Skipped, _) => return Err("it was skipped"),
            (S::Withdrawn, _) => return Err("it was withdrawn"),
            (S::Draft, _) => return Err("it is not published yet"),
            (S::Doing, T::Begin) => return Err("somebody is at it already"),
            (S::Open, T::Reopen) => return Err("it is open"),
            (S::Failed, T::Reopen) => return Err("it failed; run it again"),
            (S::Open | S::Doing | S::Failed, T::Succeed | T::Fail | T::HandOver) => {
                return Err("no action of it is under way");
            }
        })
    }
}

/// Where an action stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ActionState {
    /// Waits for a second person.
    Proposed,
    /// On disk; waits for its turn or for its device.
    Approved,
    /// About to be sent, or sent.
    Started,
    /// Sent, and nobody knows; the thing itself is looked at.
    Unknown,
    /// Nobody knows and a person has to look.
    NeedsHuman,
    /// Done, and read back.
    Succeeded,
    /// Not done.
    Failed,
    /// Taken back before it was sent.
    Cancelled,
    /// The second person said no.
    Rejected,
    /// Never sent in the time it was worth trying.
    Expired,
}

/// Every state of an action with its word and the contract's `incidentTaskActionStatus` (MR-19).
const ACTION_STATES: [(ActionState, &str, &str); 10] = [
    (ActionState::Proposed, "proposed", "notStarted"),
    (ActionState::Approved, "approved", "inProgress"),
    (ActionState::Started, "started", "inProgress"),
    (ActionState::Unknown, "unknown", "inProgress"),
    (ActionState::NeedsHuman, "needsHuman", "inProgress"),
    (ActionState::Succeeded, "succeeded", "completed"),
    (ActionState::Failed, "failed", "failed"),
    (ActionState::Cancelled, "cancelled", "failed"),
    (ActionState::Rejected, "rejected", "failed"),
    (ActionState::Expired, "expired", "failed"),
];

/// What happens to an action.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ActionStep {
    /// A second person agrees.
    Approve,
    /// A second person does not.
    Reject,
    /// Somebody takes it back, or a later wish overtakes it.
    Cancel,
    /// It was worth trying for so long.
    Expire,
    /// It may not be sent after all: no clearance any more, nothing to carry it out.
    Refuse,
    /// It waits for people again: the policy asks for them by now.
    Withhold,
    /// It is about to be sent.
    Start,
    /// The thing was read and is as wanted.
    Succeed,
    /// It was not done, as who carried it out says.
    Fail,
    /// It was never begun, and never will be under this order.
    NeverBegun,
    /// No word of it.
    Lose,
    /// The thing was read and is not as wanted.
    NotSo,
    /// Nobody knows and nothing can be read.
    Ask,
    /// A person looked: it is done.
    DecideDone,
    /// A person looked: it is not done.
    DecideNotDone,
}

impl ActionStep {
    /// Every step.
    pub const ALL: [Self; 15] = [
        Self::Approve,
        Self::Reject,
        Self::Cancel,
        Self::Expire,
        Self::Refuse,
        Self::Withhold,
        Self::Start,
        Self::Succeed,
        Self::Fail,
        Self::NeverBegun,
        Self::Lose,
        Self::NotSo,
        Self::Ask,
        Self::DecideDone,
        Self::DecideNotDone,
    ];
}

impl ActionState {
    /// Every state.
    pub fn all() -> impl Iterator<Item = Self> {
        ACTION_STATES.iter().map(|(state, ..)| *state)
    }

    fn row(self) -> (&'static str, &'static str) {
        let row = ACTION_STATES.iter().find(|(state, ..)| *state == self);
        row.map_or(("", ""), |(_, word, status)| (*word, *status))
    }

    /// The word stored and shown.
    #[must_use]
    pub fn word(self) -> &'static str {
        self.row().0
    }

    /// The state of a word.
    #[must_use]
    pub fn read(word: &str) -> Option<Self> {
        ACTION_STATES.iter().find(|(_, known, _)| *known == word).map(|(state, ..)| *state)
    }

    /// The contract's `incidentTaskActionStatus`.
    #[must_use]
    pub fn status(self) -> &'static str {
        self.row().1
    }

    /// Whether it has not come to its end.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(
            self,
            Self::Proposed | Self::Approved | Self::Started | Self::Unknown | Self::NeedsHuman
        )
    }

    /// Whether something of it may be on its way: nothing else is sent to the same target then.
    #[must_use]
    pub fn is_under_way(self) -> bool {
        matches!(self, Self::Started | Self::Unknown)
    }

    /// The state after a step of an action of this effect; the reason where it is not to be taken.
    pub fn after(self, step: ActionStep, effect: Effect) -> Result<Self, &'static str> {
        use ActionState as S;
        use ActionStep as T;
        Ok(match (self, step) {
            // What was never begun is not repeated when it is sent.
            (S::Proposed, T::Approve) | (S::Started | S::Unknown, T::NeverBegun) => S::Approved,
            (S::Proposed, T::Reject) => S::Rejected,
            (S::Approved, T::Withhold) => S::Proposed,
            (S::Proposed | S::Approved, T::Cancel) => S::Cancelled,
            (S::Proposed | S::Approved, T::Expire) => S::Expired,
            (S::Approved, T::Start) => S::Started,
            (S::Approved, T::Refuse)
            | (S::Started | S::Unknown, T::Fail)
            | (S::NeedsHuman, T::DecideNotDone) => S::Failed,
            (S::Started | S::Unknown, T::Succeed) | (S::NeedsHuman, T::DecideDone) => S::Succeeded,
            (S::Started, T::Lose) => S::Unknown,
            (S::Started | S::Unknown, T::NotSo) => match effect {
                Effect::Sets => S::Approved,
                Effect::Happens => S::NeedsHuman,
            },
            (S::Started | S::Unknown, T::Ask) => S::NeedsHuman,
            (S::Proposed, _) => return Err("it waits for approval"),
            (S::Approved, T::Approve | T::Reject) => return Err("it is approved already"),
            (S::Approved, _) => return Err("it has not been sent"),
            (S::Started | S::Unknown, T::Cancel) => return Err("it has been sent"),
            (S::Started | S::Unknown, _) => return Err("it is under way"),
            (S::NeedsHuman, _) => return Err("somebody has to look and say what became of it"),
            (S::Succeeded, _) => return Err("it is done"),
            (S::Failed, _) => return Err("it has failed"),
            (S::Cancelled, _) => return Err("it was cancelled"),
            (S::Rejected, _) => return Err("it was rejected"),
            (S::Expired, _) => return Err("it has expired"),
        })
    }
}

/// The contract's `incidentTaskActionStatus` of a task with these actions (MR-5).
#[must_use]
pub fn action_status(task: TaskState, actions: &[ActionState]) -> &'static str {
    match task {
        TaskState::Doing => return "inProgress",
        TaskState::Completed => return "completed",
        TaskState::Draft | TaskState::Open | TaskState::Skipped | TaskState::Withdrawn
            if actions.is_empty() =>
        {
            return "notStarted";
        }
        _ => {}
    }
    let done = actions.iter().filter(|state| **state == ActionState::Succeeded).count();
    let open = actions.iter().any(|state| state.is_open());
    if actions.is_empty() {
        return if task == TaskState::Failed { "failed" } else { "notStarted" };
    }
    if open {
        if actions.iter().all(|state| *state == ActionState::Proposed) {
            return "notStarted";
        }
        return "inProgress";
    }
    if done == actions.len() {
        "completed"
    } else if done > 0 {
        "partiallyCompleted"
    } else {
        "failed"
    }
}

/// What becomes of a running task whose actions stand so; `None` while one is open.
#[must_use]
pub fn settled(actions: &[ActionState]) -> Option<TaskStep> {
    if actions.is_empty() || actions.iter().any(|state| state.is_open()) {
        return None;
    }
    let done = actions.iter().all(|state| *state == ActionState::Succeeded);
    Some(if done { TaskStep::Succeed } else { TaskStep::Fail })
}

/// Whether what was read of the thing shows that an action is done; `None` when it does not tell.
#[must_use]
pub fn proves(kind: Kind, options: &serde_json::Value, read: &serde_json::Value) -> Option<bool> {
    let flag = |name: &str| read.get(name).and_then(serde_json::Value::as_bool);
    let count = |name: &str| read.get(name).and_then(serde_json::Value::as_i64);
    Some(match kind {
        Kind::IsolateDevice => {
            let wanted = options.get("isolationType").and_then(|it| it.as_str()).unwrap_or("full");
            let mode = read.get("mode").and_then(|it| it.as_str());
            flag("isolated")? && mode == Some(wanted)
        }
        Kind::UnIsolateDevice => !flag("isolated")?,
        Kind::StopAndQuarantineFile => flag("gone")? && count("alive")? == 0 && flag("kept")?,
        Kind::RestoreFile => flag("present")?,
        Kind::RestrictAppExecution => flag("restricted")? && flag("refusedProbe")?,
        Kind::UnRestrictAppExecution => !flag("restricted")?,
        Kind::RunAntiVirusScan => flag("finished")?,
        Kind::CollectInvestigationPackage | Kind::CollectFile => flag("sent")?,
        Kind::SubmitIocRule | Kind::RemoveIocRule => count("missing")? == 0,
        Kind::ListProcesses => count("count")? > 0,
        Kind::StopProcess => !flag("alive")?,
        Kind::DisableUser => flag("disabled")?,
        Kind::EnableUser => !flag("disabled")?,
        Kind::RequireSignIn => count("sessions")? == 0,
        Kind::ForceUserPasswordReset => flag("mustChangePassword")?,
        Kind::SoftDeleteEmail
        | Kind::HardDeleteEmail
        | Kind::MoveEmailToJunk
        | Kind::MoveEmailToInbox
        | Kind::MoveEmailToDeletedItems => {
            // What is not to be found at all shows that it was deleted for good, and nothing else:
            // nobody is told that a mail can be recovered, or is in a folder, where none was seen.
            let there = count("copies")? > 0 || kind == Kind::HardDeleteEmail;
            if flag("more")? || (count("notAsWanted")? == 0 && !there) {
                return None;
            }
            count("notAsWanted")? == 0
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_state_has_a_word_of_its_own() {
        for state in TaskState::all() {
            assert_eq!(TaskState::read(state.word()), Some(state));
        }
        for state in ActionState::all() {
            assert_eq!(ActionState::read(state.word()), Some(state));
        }
    }

    #[test]
    fn every_state_and_every_step_of_a_task() {
        use TaskState::{Completed, Doing, Draft, Failed, Open, Running, Skipped, Withdrawn};
        use TaskStep::{Begin, Complete, Fail, HandOver, Reopen, Run, Skip, Succeed, Withdraw};
        let allowed = [
            (Draft, Run, Running),
            (Open, Run, Running),
            (Open, Begin, Doing),
            (Open, Complete, Completed),
            (Open, Skip, Skipped),
            (Open, Withdraw, Withdrawn),
            (Doing, Run, Running),
            (Doing, Complete, Completed),
            (Doing, Skip, Skipped),
            (Doing, Reopen, Open),
            (Doing, Withdraw, Withdrawn),
            (Running, Succeed, Completed),
            (Running, Fail, Failed),
            (Running, HandOver, Open),
            (Failed, Run, Running),
            (Failed, Begin, Doing),
            (Failed, Complete, Completed),
            (Failed, Skip, Skipped),
            (Failed, Withdraw, Withdrawn),
            (Skipped, Reopen, Open),
            (Completed, Reopen, Open),
        ];
        for state in TaskState::all() {
            for step in TaskStep::ALL {
                let wanted = allowed.iter().find(|(from, by, _)| (*from, *by) == (state, step));
                let found = state.after(step, false).ok();
                assert_eq!(found, wanted.map(|(.., to)| *to), "{state:?} {step:?}");
            }
        }
        assert!(
            Completed.after(Reopen, true).is_err(),
            "what was verified is undone, not reopened"
        );
        assert_eq!(Withdrawn.status(), "notRelevant");
    }

    #[test]
    fn every_state_and_every_step_of_an_action() {
        use ActionState::{
            Approved, Cancelled, Expired, Failed, NeedsHuman, Proposed, Rejected, Started,
            Succeeded, Unknown,
        };
        use ActionStep as T;
        let both = [
            (Proposed, T::Approve, Approved),
            (Proposed, T::Reject, Rejected),
            (Proposed, T::Cancel, Cancelled),
            (Proposed, T::Expire, Expired),
            (Approved, T::Start, Started),
            (Approved, T::Withhold, Proposed),
            (Approved, T::Cancel, Cancelled),
            (Approved, T::Expire, Expired),
            (Approved, T::Refuse, Failed),
            (Started, T::Succeed, Succeeded),
            (Started, T::Fail, Failed),
            (Started, T::NeverBegun, Approved),
            (Started, T::Lose, Unknown),
            (Started, T::Ask, NeedsHuman),
            (Unknown, T::Succeed, Succeeded),
            (Unknown, T::Fail, Failed),
            (Unknown, T::NeverBegun, Approved),
            (Unknown, T::Ask, NeedsHuman),
            (NeedsHuman, T::DecideDone, Succeeded),
            (NeedsHuman, T::DecideNotDone, Failed),
        ];
        for (effect, not_so) in [(Effect::Sets, Approved), (Effect::Happens, NeedsHuman)] {
            for state in ActionState::all() {
                for step in T::ALL {
                    let mut wanted = both
                        .iter()
                        .find(|(from, by, _)| (*from, *by) == (state, step))
                        .map(|it| it.2);
                    if step == T::NotSo && state.is_under_way() {
                        wanted = Some(not_so);
                    }
                    assert_eq!(state.after(step, effect).ok(), wanted, "{state:?} {step:?}");
                }
            }
        }
    }

    #[test]
    fn a_task_is_what_its_actions_are() {
        use ActionState::{Approved, Failed, NeedsHuman, Proposed, Started, Succeeded};
        use TaskState::Running;
        for (actions, status, step) in [
            (vec![Proposed], "notStarted", None),
            (vec![Approved], "inProgress", None),
            (vec![Succeeded, Started], "inProgress", None),
            (vec![Succeeded, NeedsHuman], "inProgress", None),
            (vec![Succeeded, Succeeded], "completed", Some(TaskStep::Succeed)),
            (vec![Succeeded, Failed], "partiallyCompleted", Some(TaskStep::Fail)),
            (vec![Failed], "failed", Some(TaskStep::Fail)),
        ] {
            assert_eq!(action_status(Running, &actions), status, "{actions:?}");
            assert_eq!(settled(&actions), step, "{actions:?}");
        }
        assert_eq!(action_status(TaskState::Completed, &[]), "completed");
        assert_eq!(action_status(TaskState::Failed, &[]), "failed");
        assert_eq!(action_status(TaskState::Skipped, &[]), "notStarted");
    }

    #[test]
    fn only_what_was_read_of_the_thing_proves_anything() {
        let full = json!({});
        let selective = json!({ "isolationType": "selective" });
        let read = json!({ "isolated": true, "mode": "full", "rules": 9 });
        assert_eq!(proves(Kind::IsolateDevice, &full, &read), Some(true));
        assert_eq!(proves(Kind::IsolateDevice, &selective, &read), Some(false));
        assert_eq!(proves(Kind::UnIsolateDevice, &full, &read), Some(false));
        for odd in [json!(null), json!({}), json!({ "isolated": "yes" }), json!([true])] {
            assert_eq!(proves(Kind::IsolateDevice, &full, &odd), None, "{odd}");
        }
        let half = json!({ "gone": true, "alive": 1, "kept": true });
        assert_eq!(proves(Kind::StopAndQuarantineFile, &full, &half), Some(false));
        assert_eq!(proves(Kind::Text, &full, &read), None);
        let mail = |copies: i64, wrong: i64, more: bool| json!({ "copies": copies, "notAsWanted": wrong, "more": more });
        for (kind, read, so) in [
            (Kind::SoftDeleteEmail, mail(2, 0, false), Some(true)),
            (Kind::SoftDeleteEmail, mail(2, 1, false), Some(false)),
            (Kind::SoftDeleteEmail, mail(0, 0, false), None),
            (Kind::SoftDeleteEmail, mail(2, 0, true), None),
            (Kind::HardDeleteEmail, mail(0, 0, false), Some(true)),
            (Kind::HardDeleteEmail, mail(1, 1, false), Some(false)),
            (Kind::MoveEmailToJunk, mail(0, 0, false), None),
            (Kind::MoveEmailToInbox, mail(1, 0, false), Some(true)),
            (Kind::MoveEmailToQuarantine, mail(1, 0, false), None),
        ] {
            assert_eq!(proves(kind, &full, &read), so, "{kind:?} {read}");
        }
    }
}
