//! What ends by itself: an isolation or restriction at its time, and an isolation that has cut the
//! device off its own server for too long.
//!
//! Pure: moments and durations come in. Not here: the ending itself (`act`).

use std::time::{Duration, Instant};

use crate::clock;

/// When the server was last reached, by a clock that nobody changes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Contact {
    /// The last good answer, or the start of the agent.
    pub(crate) last: Instant,
    /// Whether something failed since.
    pub(crate) failing: bool,
}

impl Contact {
    /// For how long the server has not been reached. A poll that is held open is no loss of
    /// contact, so the first failure must have been seen.
    pub(crate) fn lost_for(&self, now: Instant) -> Option<Duration> {
        self.failing.then(|| now.saturating_duration_since(self.last))
    }
}

/// Why an isolation must end now.
pub(crate) fn isolation_over(
    until: Option<i64>,
    release_when_cut_off_s: Option<u64>,
    contact: &Contact,
    now: (i64, Instant),
) -> Option<String> {
    if over(until, now.0) {
        return Some("its time is over".to_owned());
    }
    let limit = Duration::from_secs(release_when_cut_off_s?);
    let lost = contact.lost_for(now.1)?;
    (lost >= limit).then(|| format!("the server could not be reached for {} s", lost.as_secs()))
}

/// Whether a time has come.
pub(crate) fn over(until: Option<i64>, now: i64) -> bool {
    until.is_some_and(|until| now >= until)
}

/// How long to wait after so many failures in a row: 0.5 s, doubled each time, at most 30 s, and a
/// random half of it less, so that a fleet does not come back in one moment.
pub(crate) fn back_off(failures: u32, random: u64) -> Duration {
    let whole = 500_u64.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(30_000);
    Duration::from_millis(whole / 2 + random % (whole / 2 + 1))
}

/// How often a clock that runs on is looked at.
pub(crate) const TICK: Duration = Duration::from_secs(1);

/// The first moment of tomorrow's day is a day away.
pub(crate) const COMPACT_EVERY: i64 = clock::DAY;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_isolation_ends_when_the_server_stays_away_and_not_before() {
        let start = Instant::now();
        let at = |s: u64| (0, start + Duration::from_secs(s));
        let failing = Contact { last: start, failing: true };
        assert_eq!(isolation_over(None, Some(60), &failing, at(59)), None);
        assert!(isolation_over(None, Some(60), &failing, at(60)).is_some());
        assert_eq!(isolation_over(None, None, &failing, at(9_999)), None);
        let quiet = Contact { last: start, failing: false };
        assert_eq!(isolation_over(None, Some(60), &quiet, at(9_999)), None);
    }

    #[test]
    fn an_isolation_ends_at_its_time_also_without_a_server() {
        let contact = Contact { last: Instant::now(), failing: true };
        assert_eq!(isolation_over(Some(10), None, &contact, (9, contact.last)), None);
        assert!(isolation_over(Some(10), None, &contact, (10, contact.last)).is_some());
    }

    #[test]
    fn waiting_grows_to_half_a_minute() {
        for (failures, least, most) in
            [(1, 250, 500), (2, 500, 1_000), (7, 15_000, 30_000), (99, 15_000, 30_000)]
        {
            for random in [0, 77_777, u64::MAX] {
                let wait = back_off(failures, random).as_millis();
                assert!((least..=most).contains(&wait), "{failures}: {wait}");
            }
        }
    }
}
