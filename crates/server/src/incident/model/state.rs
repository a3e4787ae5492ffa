//! Where an incident stands, each state with the facts that belong to it and no others.

use crate::actor::Actor;
use crate::clock::Timestamp;
use crate::word::Stage;

/// Where an incident stands, with the facts of that state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Active and not with the experts: before triage, or set back by hand.
    New,
    /// Active, and triage left it to the customer.
    LeftOut {
        /// Why, in a sentence for people (TRI-2).
        reason: String,
        /// When triage said so.
        at: Timestamp,
    },
    /// Active and waiting for an expert.
    Queued {
        /// When triage queued it.
        at: Timestamp,
    },
    /// Somebody works on it.
    InProgress {
        /// Who took it up.
        by: Actor,
        /// When.
        at: Timestamp,
    },
    /// A response is published and the customer has tasks to do.
    AwaitingCustomer {
        /// The expert who handed it over.
        by: Actor,
        /// Since when the customer has it.
        since: Timestamp,
    },
    /// Closed.
    Resolved {
        /// Who closed it.
        by: Actor,
        /// When.
        at: Timestamp,
    },
    /// Merged into another incident; final.
    Redirected {
        /// The incident that holds its alerts now.
        to: i64,
        /// When.
        at: Timestamp,
    },
}

/// A [`State`] taken apart into columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateParts {
    /// The state by name.
    pub stage: Stage,
    /// When it was entered; `New` has no such moment.
    pub at: Option<Timestamp>,
    /// Who brought it about, where the state remembers.
    pub by: Option<Actor>,
    /// The target of a redirect.
    pub to: Option<i64>,
    /// Why triage left it out.
    pub reason: Option<String>,
}

impl State {
    /// The state by name.
    #[must_use]
    pub fn stage(&self) -> Stage {
        match self {
            Self::New => Stage::New,
            Self::LeftOut { .. } => Stage::LeftOut,
            Self::Queued { .. } => Stage::Queued,
            Self::InProgress { .. } => Stage::InProgress,
            Self::AwaitingCustomer { .. } => Stage::AwaitingCustomer,
            Self::Resolved { .. } => Stage::Resolved,
            Self::Redirected { .. } => Stage::Redirected,
        }
    }

    /// The state taken apart, for the store.
    #[must_use]
    pub fn parts(&self) -> StateParts {
        let (at, by, to, reason) = match self {
            Self::New => (None, None, None, None),
            Self::LeftOut { reason, at } => (Some(*at), None, None, Some(reason.clone())),
            Self::Queued { at } => (Some(*at), None, None, None),
            Self::InProgress { by, at } | Self::Resolved { by, at } => {
                (Some(*at), Some(by.clone()), None, None)
            }
            Self::AwaitingCustomer { by, since } => (Some(*since), Some(by.clone()), None, None),
            Self::Redirected { to, at } => (Some(*at), None, Some(*to), None),
        };
        StateParts { stage: self.stage(), at, by, to, reason }
    }
}

impl StateParts {
    /// The state put together again; `None` when a part it needs is missing.
    #[must_use]
    pub fn state(self) -> Option<State> {
        let Self { stage, at, by, to, reason } = self;
        Some(match stage {
            Stage::New => State::New,
            Stage::LeftOut => State::LeftOut { reason: reason?, at: at? },
            Stage::Queued => State::Queued { at: at? },
            Stage::InProgress => State::InProgress { by: by?, at: at? },
            Stage::AwaitingCustomer => State::AwaitingCustomer { by: by?, since: at? },
            Stage::Resolved => State::Resolved { by: by?, at: at? },
            Stage::Redirected => State::Redirected { to: to?, at: at? },
        })
    }
}
