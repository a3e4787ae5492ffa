//! Why a transition of an incident did not happen.

use crate::actor::ActorKind;
use crate::word::Stage;

/// Why a transition did not happen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The incident is in a state that does not allow it.
    #[error("incident {id} is {} and cannot be {verb}", shown(*.stage))]
    WrongState {
        /// The incident.
        id: i64,
        /// The state it is in.
        stage: Stage,
        /// What was asked, as a participle.
        verb: &'static str,
    },
    /// Somebody on another side must do it.
    #[error("incident {id} cannot be {verb} by {}: {reason}", side(*.by))]
    NotAllowed {
        /// The incident.
        id: i64,
        /// What was asked, as a participle.
        verb: &'static str,
        /// The side that asked.
        by: ActorKind,
        /// Which rule forbids it.
        reason: &'static str,
    },
    /// A value that cannot stand.
    #[error("incident {id}: {field} {reason}")]
    Invalid {
        /// The incident.
        id: i64,
        /// The field by its name in the contract.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

fn shown(stage: Stage) -> &'static str {
    match stage {
        Stage::New => "new",
        Stage::LeftOut => "left out",
        Stage::Queued => "queued",
        Stage::InProgress => "in progress",
        Stage::AwaitingCustomer => "awaiting the customer",
        Stage::Resolved => "resolved",
        Stage::Redirected => "redirected",
    }
}

fn side(kind: ActorKind) -> &'static str {
    match kind {
        ActorKind::System => "the platform",
        ActorKind::Expert => "an expert",
        ActorKind::Customer => "the customer",
        ActorKind::Integration => "an integration",
    }
}
