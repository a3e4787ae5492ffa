//! Whose turn it is in a conversation, and when the virtual assistant speaks up.
//!
//! Pure: what was said and when comes in, the next turn comes out. A conversation waits for the
//! experts from the customer's first unanswered word until an expert answers, however often the
//! customer writes in between; what only experts see changes no turn. The assistant acknowledges once
//! a wait, and once more when the wait grows long. Not here: what is stored, and who may speak.

use crate::clock::Timestamp;
use crate::hours::Hours;

/// Whose word it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// The provider's experts.
    Expert,
    /// The customer.
    Customer,
    /// The virtual assistant (COM-2).
    Assistant,
}

impl Side {
    /// The word stored and shown.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Expert => "expert",
            Self::Customer => "customer",
            Self::Assistant => "assistant",
        }
    }

    /// The side of a stored word.
    #[must_use]
    pub fn read(word: &str) -> Option<Self> {
        [Self::Expert, Self::Customer, Self::Assistant].into_iter().find(|it| it.word() == word)
    }
}

/// Whose turn it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Turn {
    /// Nobody has said anything yet.
    Nobody,
    /// The customer wrote last and has waited since then; the assistant said so again at `told`.
    Experts {
        /// Since its first unanswered word.
        since: Timestamp,
        /// When it was told that it has not been forgotten.
        told: Option<Timestamp>,
    },
    /// An expert wrote last.
    Customer,
}

impl Turn {
    /// The word stored.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Nobody => "nobody",
            Self::Experts { .. } => "experts",
            Self::Customer => "customer",
        }
    }

    /// The turn after somebody's word that both sides see; and whether the assistant acknowledges it.
    #[must_use]
    pub fn after(self, side: Side, now: Timestamp) -> (Self, bool) {
        match (side, self) {
            (Side::Customer, Self::Experts { .. }) | (Side::Assistant, _) => (self, false),
            (Side::Customer, _) => (Self::Experts { since: now, told: None }, true),
            (Side::Expert, _) => (Self::Customer, false),
        }
    }

    /// Whether it is time to tell the customer that it has not been forgotten: time counts in the hours
    /// in which the experts answer, at any hour where there are none.
    #[must_use]
    pub fn is_long(self, patience_s: i64, hours: Option<&Hours>, now: Timestamp) -> bool {
        let Self::Experts { since, told: None } = self else { return false };
        let waited = match hours {
            Some(hours) => hours.between(since, now),
            None => now.micros() - since.micros(),
        };
        waited >= patience_s.saturating_mul(1_000_000)
    }
}

/// The name that the assistant's words carry (COM-2).
pub const ASSISTANT: &str = "Defender Experts virtual assistant";
/// How long a customer may wait for a word before the assistant speaks up again, in seconds.
pub const PATIENCE_S: i64 = 3_600;
/// What it says to the first word of a wait.
const ACKNOWLEDGED: &str = "Thank you, your message has reached the experts. Somebody who works on \
                            this will answer here.";
/// What it says when files came with a word from elsewhere (COM-6).
pub const FILES_LEFT_OUT: &str = "Files came with that message and were left out: they are not sent \
                                  here. Let the device's agent collect the file (its device page, \
                                  Collect file), where it stays encrypted and on record.";
/// What it says when a wait grows long.
pub const NOT_FORGOTTEN: &str = "Your message is still waiting for an answer. It is marked as overdue \
                                 on the experts' list. If something cannot wait, call your \
                                 provider.";

/// What it says to the first word of a wait (COM-2): outside of the experts' hours also from when on they
/// answer.
#[must_use]
pub fn acknowledgement(hours: Option<&Hours>, now: Timestamp) -> String {
    match hours.filter(|hours| !hours.is_open(now)) {
        None => ACKNOWLEDGED.to_owned(),
        Some(hours) => format!(
            "Thank you, your message has reached the experts. It is outside of the hours in which they \
             answer here: they are back on {}. If something cannot wait, call your provider.",
            hours.spelt(hours.opens(now))
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hours::{Day, Week};

    fn t(seconds: i64) -> Timestamp {
        Timestamp::from_micros(0).plus_seconds(seconds)
    }

    #[test]
    fn a_wait_begins_with_the_first_unanswered_word_and_is_acknowledged_once() {
        let (turn, acknowledged) = Turn::Nobody.after(Side::Customer, t(0));
        assert_eq!((turn, acknowledged), (Turn::Experts { since: t(0), told: None }, true));
        let (again, acknowledged) = turn.after(Side::Customer, t(9));
        assert_eq!((again, acknowledged), (turn, false));
        assert_eq!(turn.after(Side::Assistant, t(0)), (turn, false));
        assert_eq!(turn.after(Side::Expert, t(0)), (Turn::Customer, false));
        let (anew, acknowledged) = Turn::Customer.after(Side::Customer, t(99));
        assert_eq!(anew, Turn::Experts { since: t(99), told: None });
        assert!(acknowledged);
    }

    fn office() -> Hours {
        let day = Some(Day { from: "08:00".to_owned(), until: "16:00".to_owned() });
        let mut days = vec![day; 5];
        days.extend([None, None]);
        Week { time_zone: "Europe/Oslo".to_owned(), days }.read().expect("a week")
    }

    /// A moment of March 2027 in UTC; the 26th is a Friday, and on the 28th Oslo's clocks are moved.
    fn march(day: u32, hour: u32) -> Timestamp {
        Timestamp::from_civil((2027, 3, day), (hour, 0, 0), 0).expect("a moment")
    }

    #[test]
    fn outside_of_their_hours_it_says_when_the_experts_are_back() {
        let office = office();
        assert_eq!(acknowledgement(None, march(27, 3)), ACKNOWLEDGED);
        assert_eq!(acknowledgement(Some(&office), march(26, 9)), ACKNOWLEDGED);
        let said = acknowledgement(Some(&office), march(26, 20));
        assert!(said.contains("back on Monday 29 March at 08:00 (Europe/Oslo)"), "{said}");
    }

    #[test]
    fn only_hours_in_which_they_answer_make_a_wait_long() {
        let office = office();
        let waiting = Turn::Experts { since: march(26, 14), told: None };
        // One hour of Friday is left; the second one begins on Monday at six, in summer time.
        assert!(!waiting.is_long(7_200, Some(&office), march(29, 6)));
        assert!(waiting.is_long(7_200, Some(&office), march(29, 7)));
        assert!(waiting.is_long(7_200, None, march(26, 16)));
    }

    #[test]
    fn a_long_wait_is_told_once_and_only_while_it_lasts() {
        let waiting = Turn::Experts { since: t(0), told: None };
        assert!(!waiting.is_long(60, None, t(59)));
        assert!(waiting.is_long(60, None, t(60)));
        let told = Turn::Experts { since: t(0), told: Some(t(60)) };
        assert!(!told.is_long(60, None, t(600)));
        assert!(!Turn::Customer.is_long(0, None, t(600)));
        assert!(!Turn::Nobody.is_long(0, None, t(600)));
    }
}
