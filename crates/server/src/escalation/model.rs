//! A ladder, and which rung comes next. Pure.
//!
//! ```text
//! nobody has reacted ─▶ rung 0 ─wait─▶ rung 1 ─wait─▶ … ─wait─▶ the next round ─▶ … ─▶ nobody
//!                          └── whoever cannot be reached at this hour is passed over at once
//! ```

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::word::{Severity, choices};

/// Rungs of a ladder.
const MOST_RUNGS: usize = 12;
/// How often it is climbed at most.
const MOST_ROUNDS: i64 = 5;
/// The longest wait for one contact, in minutes.
const LONGEST_WAIT: i64 = 1_440;

choices! {
    /// How a contact is reached.
    By {
        /// By mail.
        Mail = "mail",
        /// By a text message.
        Sms = "sms",
        /// By a call.
        Call = "call",
    }
}

choices! {
    /// What follows when nobody has answered.
    Nobody {
        /// The provider's lead is told.
        Lead = "lead",
        /// What waits for approval becomes what the policy says of an approval that nobody gave.
        Fallback = "fallback",
        /// Nothing but the fact itself.
        Nothing = "nothing",
    }
}

/// A rung.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Rung {
    /// The contact's id.
    pub contact_id: String,
    /// How it is reached.
    pub by: By,
    /// How long it has to react before the next one is tried, in minutes.
    pub wait_minutes: i64,
    /// Whether it is tried outside of its working hours as well.
    #[serde(default)]
    pub always: bool,
}

/// Whom a customer wants to be reached, one after the other.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Ladder {
    /// Whether it is climbed at all.
    pub is_on: bool,
    /// For incidents of these severities.
    pub severities: Vec<String>,
    /// The first is tried first.
    pub rungs: Vec<Rung>,
    /// How often it is climbed from the bottom before nobody is said to have answered.
    pub rounds: i64,
    /// What follows then.
    pub nobody: Nobody,
}

impl Default for Ladder {
    fn default() -> Self {
        Self {
            is_on: false,
            severities: vec!["high".to_owned()],
            rungs: Vec::new(),
            rounds: 2,
            nobody: Nobody::Lead,
        }
    }
}

/// What a ladder has to know of a contact.
#[derive(Clone, Copy, Debug)]
pub struct Reach {
    /// Whether it has a phone number.
    pub phone: bool,
    /// Whether it is within its working hours.
    pub at_work: bool,
}

impl Ladder {
    /// The ladder, or what of it makes no sense. `phone` says of a contact's id whether it has a number;
    /// none where there is no such contact.
    ///
    /// # Errors
    /// `Invalid` with the member and the reason.
    pub fn checked(mut self, phone: impl Fn(&str) -> Option<bool>) -> Result<Self> {
        let refused = |why: String| Err(Error::Invalid(why));
        for severity in &mut self.severities {
            let read = Severity::read(severity).filter(|it| *it != Severity::Unknown);
            let Some(read) = read else {
                return refused(format!("severities: {severity} is none"));
            };
            read.word().clone_into(severity);
        }
        self.severities.sort();
        self.severities.dedup();
        if self.rungs.len() > MOST_RUNGS {
            return refused(format!("rungs: a ladder has {MOST_RUNGS} at most"));
        }
        if !(1..=MOST_ROUNDS).contains(&self.rounds) {
            return refused(format!("rounds is a whole number from 1 to {MOST_ROUNDS}"));
        }
        for (number, rung) in self.rungs.iter().enumerate() {
            let name = format!("rungs, {}", number + 1);
            match (phone(&rung.contact_id), rung.by) {
                (None, _) => return refused(format!("{name}: there is no such contact")),
                (Some(false), By::Sms | By::Call) => {
                    return refused(format!("{name}: the contact has no phone number"));
                }
                _ => {}
            }
            if !(1..=LONGEST_WAIT).contains(&rung.wait_minutes) {
                return refused(format!(
                    "{name}: waitMinutes is a whole number from 1 to {LONGEST_WAIT}"
                ));
            }
        }
        if self.is_on && (self.rungs.is_empty() || self.severities.is_empty()) {
            return refused("a ladder that is on needs a rung and a severity".to_owned());
        }
        Ok(self)
    }

    /// Whether it is climbed for an incident of this severity.
    #[must_use]
    pub fn is_for(&self, severity: Severity) -> bool {
        self.is_on && self.severities.iter().any(|it| it == severity.word())
    }
}

/// A place on a ladder: how often it was climbed before, and the rung.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Place {
    /// The first is 0.
    pub round: i64,
    /// The first is 0.
    pub rung: usize,
}

/// What comes next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Next<'a> {
    /// Who is passed over, with why.
    pub passed: Vec<(&'a Rung, &'static str)>,
    /// Who is told, and where it goes on after the wait; none when nobody is left.
    pub told: Option<(&'a Rung, Place)>,
}

/// The next rung from `place` on at which somebody can be reached. One round in which nobody can be is
/// the last: another would pass them over again at once.
#[must_use]
pub fn next(ladder: &Ladder, place: Place, reach: impl Fn(&str) -> Option<Reach>) -> Next<'_> {
    let mut passed = Vec::new();
    let mut at = place;
    for _ in 0..=ladder.rungs.len() {
        if at.rung >= ladder.rungs.len() {
            at = Place { round: at.round + 1, rung: 0 };
        }
        let (true, Some(rung)) = (at.round < ladder.rounds, ladder.rungs.get(at.rung)) else {
            break;
        };
        let why = match reach(&rung.contact_id) {
            None => Some("it is no contact any more"),
            Some(it) if !it.at_work && !rung.always => Some("it is outside of its working hours"),
            Some(it) if !it.phone && rung.by != By::Mail => Some("it has no phone number"),
            Some(_) => None,
        };
        let on = Place { rung: at.rung + 1, ..at };
        match why {
            None => return Next { passed, told: Some((rung, on)) },
            Some(why) => passed.push((rung, why)),
        }
        at = on;
    }
    Next { passed, told: None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rung(contact: &str, by: By) -> Rung {
        Rung { contact_id: contact.to_owned(), by, wait_minutes: 10, always: false }
    }

    fn ladder(rungs: Vec<Rung>, rounds: i64) -> Ladder {
        Ladder { is_on: true, rungs, rounds, ..Ladder::default() }
    }

    const HERE: Reach = Reach { phone: true, at_work: true };

    /// Whom a whole climb tells, in order.
    fn climbed(ladder: &Ladder, reach: impl Fn(&str) -> Option<Reach> + Copy) -> Vec<String> {
        let (mut told, mut place) = (Vec::new(), Place::default());
        while let Some((rung, on)) = next(ladder, place, reach).told {
            told.push(rung.contact_id.clone());
            place = on;
        }
        told
    }

    #[test]
    fn primary_then_backup_and_again_from_the_bottom() {
        let it = ladder(vec![rung("ida", By::Call), rung("knut", By::Call)], 2);
        assert_eq!(climbed(&it, |_| Some(HERE)), ["ida", "knut", "ida", "knut"]);
    }

    #[test]
    fn who_cannot_be_reached_is_passed_over_with_the_reason() {
        let mut it = ladder(
            vec![
                rung("gone", By::Mail),
                rung("asleep", By::Call),
                rung("mute", By::Sms),
                rung("ida", By::Call),
            ],
            1,
        );
        let reach = |id: &str| match id {
            "gone" => None,
            "asleep" => Some(Reach { at_work: false, ..HERE }),
            "mute" => Some(Reach { phone: false, ..HERE }),
            _ => Some(HERE),
        };
        let found = next(&it, Place::default(), reach);
        let why: Vec<_> = found.passed.iter().map(|(_, why)| *why).collect();
        assert_eq!(
            why,
            [
                "it is no contact any more",
                "it is outside of its working hours",
                "it has no phone number"
            ]
        );
        assert_eq!(found.told.map(|(rung, _)| rung.contact_id.as_str()), Some("ida"));
        // Who is to be woken is woken.
        it.rungs[1].always = true;
        assert_eq!(climbed(&it, reach), ["asleep", "ida"]);
    }

    #[test]
    fn a_ladder_that_makes_no_sense_is_refused_with_what() {
        let known = |id: &str| match id {
            "ida" => Some(true),
            "knut" => Some(false),
            _ => None,
        };
        let refused = |it: Ladder| it.checked(known).expect_err("refused").to_string();
        assert!(refused(ladder(vec![], 1)).contains("needs a rung"));
        assert!(refused(ladder(vec![rung("x", By::Mail)], 1)).contains("rungs, 1: there is no"));
        assert!(refused(ladder(vec![rung("knut", By::Call)], 1)).contains("no phone number"));
        assert!(refused(ladder(vec![rung("ida", By::Call)], 6)).contains("rounds"));
        let mut slow = ladder(vec![rung("ida", By::Call)], 1);
        slow.rungs[0].wait_minutes = 0;
        assert!(refused(slow).contains("waitMinutes"));
        let mut odd = ladder(vec![rung("ida", By::Call)], 1);
        odd.severities = vec!["dire".to_owned()];
        assert!(refused(odd).contains("dire"));
        assert!(ladder(vec![rung("ida", By::Call)], 1).checked(known).is_ok());
    }

    proptest! {
        #[test]
        fn every_climb_ends_and_tells_everybody_who_can_be_reached(
            here in proptest::collection::vec(any::<bool>(), 0..12),
            rounds in 1_i64..=5,
        ) {
            let rungs = (0..here.len()).map(|n| rung(&n.to_string(), By::Mail)).collect();
            let it = ladder(rungs, rounds);
            let reach = |id: &str| {
                let at_work = id.parse::<usize>().is_ok_and(|n| here[n]);
                Some(Reach { phone: false, at_work })
            };
            let told = climbed(&it, reach);
            let once: Vec<String> =
                (0..here.len()).filter(|n| here[*n]).map(|n| n.to_string()).collect();
            let all: Vec<String> =
                (0..rounds).flat_map(|_| once.iter().cloned()).collect();
            prop_assert_eq!(told, all);
        }
    }
}
