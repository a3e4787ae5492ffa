//! What becomes of a delivery, by what its receiver answered. Pure.
//!
//! ```text
//! waiting ──delivered──▶ delivered
//!    │ ▲
//!    │ └─later: after a pause that grows, until 72 hours are over
//!    └──refused, or 72 hours are over──▶ dead ──sent again by a person──▶ waiting
//! ```

use crate::clock::Timestamp;

/// How long a delivery is tried (quality 2), in seconds.
pub const LASTS_S: i64 = 72 * 3_600;
/// Pauses before the second attempt, the third and so on, in seconds; the last one repeats.
const PAUSES_S: [i64; 9] = [5, 15, 60, 300, 900, 1_800, 3_600, 7_200, 14_400];
/// Failures in a row after which a whole lane pauses.
const PATIENCE: i64 = 3;
/// The longest pause of a lane, in seconds: so late the first is told that its receiver is back.
const LONGEST_LANE_PAUSE_S: i64 = 900;

/// What one attempt came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// The receiver's server has it.
    Delivered(String),
    /// It may have it or not; it is sent again under the same id.
    Later(String),
    /// The same, and not before so many seconds are over: it said so.
    NotBefore(String, i64),
    /// It will never take this.
    Refused(String),
}

impl Answer {
    /// The word stored and shown.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Delivered(_) => "delivered",
            Self::Later(_) | Self::NotBefore(..) => "later",
            Self::Refused(_) => "refused",
        }
    }

    /// What the receiver said, in our words.
    #[must_use]
    pub fn detail(&self) -> &str {
        match self {
            Self::Delivered(detail)
            | Self::Later(detail)
            | Self::NotBefore(detail, _)
            | Self::Refused(detail) => detail,
        }
    }
}

/// Where a delivery is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// It is due then.
    Waiting(Timestamp),
    /// The receiver's server has it.
    Delivered,
    /// Given up.
    Dead,
}

/// Where a delivery is after its attempt number `attempts`, of which the end was `now`. `jitter` is a
/// random number; it moves the next attempt by a fifth at most, so that what failed together does not
/// come back together.
#[must_use]
pub fn after(
    answer: &Answer,
    attempts: i64,
    now: Timestamp,
    until: Timestamp,
    jitter: u16,
) -> State {
    match answer {
        Answer::Delivered(_) => State::Delivered,
        Answer::Refused(_) => State::Dead,
        Answer::Later(_) | Answer::NotBefore(..) if now >= until => State::Dead,
        Answer::Later(_) | Answer::NotBefore(..) => {
            let place = usize::try_from(attempts.max(1) - 1).unwrap_or(usize::MAX);
            let pause = PAUSES_S[place.min(PAUSES_S.len() - 1)];
            let next = now.plus_micros(jittered(pause, jitter));
            State::Waiting(next.max(asked_for(answer, now)).min(until))
        }
    }
}

/// Until when the receiver asks us to wait; now where it does not.
#[must_use]
pub fn asked_for(answer: &Answer, now: Timestamp) -> Timestamp {
    match answer {
        Answer::NotBefore(_, seconds) => now.plus_seconds((*seconds).clamp(0, 3_600)),
        _ => now,
    }
}

/// Until when a lane pauses after so many failures in a row; `None` while it goes on.
#[must_use]
pub fn pause(failures: i64, now: Timestamp, jitter: u16) -> Option<Timestamp> {
    let beyond = usize::try_from(failures - PATIENCE).ok()?;
    let pause = PAUSES_S[beyond.min(PAUSES_S.len() - 1)].min(LONGEST_LANE_PAUSE_S);
    Some(now.plus_micros(jittered(pause, jitter)))
}

/// Seconds as microseconds, a fifth more or less.
fn jittered(seconds: i64, jitter: u16) -> i64 {
    let share = i64::from(jitter) * 400_000 / i64::from(u16::MAX) - 200_000;
    seconds * (1_000_000 + share)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    proptest! {
        #[test]
        fn a_receiver_that_never_answers_is_tried_for_72_hours_and_given_up(seed in any::<u64>()) {
            let (mut now, until) = (at(0), at(LASTS_S));
            let mut attempts = 0;
            let later = Answer::Later(String::new());
            loop {
                attempts += 1;
                let jitter = (seed.rotate_left(attempts as u32 * 7) & 0xffff) as u16;
                match after(&later, attempts, now, until, jitter) {
                    State::Waiting(next) => {
                        prop_assert!(next > now, "time goes on");
                        prop_assert!(next <= until);
                        now = next;
                    }
                    state => {
                        prop_assert_eq!(state, State::Dead);
                        break;
                    }
                }
            }
            prop_assert!(now >= until, "not a second before");
            prop_assert!((20..=40).contains(&attempts), "{} attempts", attempts);
        }

        #[test]
        fn a_lane_pauses_after_the_third_failure_and_never_for_long(
            failures in 0i64..1_000,
            jitter in any::<u16>(),
        ) {
            let pause = pause(failures, at(0), jitter);
            prop_assert_eq!(pause.is_some(), failures >= PATIENCE);
            if let Some(until) = pause {
                prop_assert!(until > at(0) && until <= at(LONGEST_LANE_PAUSE_S * 6 / 5));
            }
        }
    }

    #[test]
    fn who_asks_us_to_wait_is_left_alone_that_long() {
        let answer = Answer::NotBefore("429".to_owned(), 90);
        assert_eq!(after(&answer, 1, at(0), at(LASTS_S), 0), State::Waiting(at(90)));
        assert_eq!(after(&answer, 1, at(0), at(30), 0), State::Waiting(at(30)), "not for ever");
        let long = Answer::NotBefore("429".to_owned(), 1_000_000);
        assert_eq!(asked_for(&long, at(0)), at(3_600));
    }

    #[test]
    fn what_is_refused_is_not_tried_again() {
        let refused = Answer::Refused("550".to_owned());
        assert_eq!(after(&refused, 1, at(0), at(LASTS_S), 0), State::Dead);
        let delivered = Answer::Delivered("250".to_owned());
        assert_eq!(after(&delivered, 9, at(LASTS_S * 2), at(LASTS_S), 0), State::Delivered);
    }
}
