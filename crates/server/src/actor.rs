//! Who did something: the one word for it in every event, log line and refusal.

use std::net::IpAddr;

/// A person, an application or Riposte itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Actor {
    /// In which part the actor acts.
    pub kind: ActorKind,
    /// The name shown: a mail address, an application's name, or a part of Riposte.
    pub name: String,
    /// Where the request came from, when there was one (AUD-1).
    pub address: Option<IpAddr>,
}

/// In which part somebody acts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ActorKind {
    /// Riposte itself: correlation, triage, timers.
    System,
    /// An expert of the provider.
    Expert,
    /// A person of the customer.
    Customer,
    /// An application of the customer, for example a SIEM.
    Integration,
}

impl Actor {
    /// A part of Riposte, by its name.
    #[must_use]
    pub fn system(name: &str) -> Self {
        Self { kind: ActorKind::System, name: name.to_owned(), address: None }
    }

    /// A person or program of the expert team.
    #[must_use]
    pub fn expert(name: &str) -> Self {
        Self { kind: ActorKind::Expert, name: name.to_owned(), address: None }
    }

    /// A person on the customer's side.
    #[must_use]
    pub fn customer(name: &str) -> Self {
        Self { kind: ActorKind::Customer, name: name.to_owned(), address: None }
    }

    /// A program on the customer's side.
    #[must_use]
    pub fn integration(app: &str) -> Self {
        Self { kind: ActorKind::Integration, name: app.to_owned(), address: None }
    }
}

impl ActorKind {
    /// The part of a stored word.
    #[must_use]
    pub fn read(word: &str) -> Option<Self> {
        [Self::System, Self::Expert, Self::Customer, Self::Integration]
            .into_iter()
            .find(|kind| kind.word() == word)
    }

    /// The word stored and shown.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Expert => "expert",
            Self::Customer => "customer",
            Self::Integration => "integration",
        }
    }
}
