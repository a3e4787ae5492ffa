//! What each service clock measures, and what it shows for an incident. Pure.
//!
//! A clock is never counted up: it is worked out from the **marks** of an incident, the moments at which
//! something happened, so that a restart, a stopped process or a repeated look change nothing. [`TABLE`]
//! says which marks start, pause and stop which clock. Marks come in the order of the ledger; one that
//! the machine's clock puts before its predecessor counts as at the same moment, so no clock runs
//! backwards.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::hours::Hours;
use crate::word::choices;

choices! {
    /// What is measured.
    Clock {
        /// How long nobody knew.
        Detect = "detect",
        /// How long it waited in the queue.
        Triage = "triage",
        /// How long the experts needed to say what it is.
        Decide = "decide",
        /// How long nobody of the customer reacted.
        Acknowledge = "acknowledge",
        /// How long until something was verified to be contained.
        Contain = "contain",
        /// How long it was the customer's turn.
        Customer = "customer",
        /// How long it took altogether, without the customer's turns.
        Resolve = "resolve",
    }
}

choices! {
    /// Whose time it is.
    Whose {
        /// The products that watch.
        Source = "source",
        /// The provider's experts.
        Experts = "experts",
        /// The customer's people.
        Customer = "customer",
    }
}

choices! {
    /// Something that happened to an incident.
    Mark {
        /// The first thing that any of its alerts tells of.
        Activity = "activity",
        /// Its first alert arrived.
        Received = "received",
        /// It waits for an expert (T2).
        Queued = "queued",
        /// Triage left it to the customer.
        LeftOut = "leftOut",
        /// It is open and with nobody.
        Released = "released",
        /// An expert took it up (T3).
        TakenUp = "takenUp",
        /// The experts published what it is and what to do, or that it is nothing.
        Decided = "decided",
        /// The customer has something to do (T5).
        HandedOver = "handedOver",
        /// Somebody of the customer acted or wrote.
        Acknowledged = "acknowledged",
        /// The customer has done its part (T7).
        TakenBack = "takenBack",
        /// An action that contains was verified.
        Contained = "contained",
        /// It is closed.
        Resolved = "resolved",
        /// It became part of another one.
        Merged = "merged",
    }
}

/// What a clock goes by.
#[derive(Debug)]
pub struct Row {
    /// The clock.
    pub clock: Clock,
    /// Whose time it measures.
    pub whose: Whose,
    /// It begins, or goes on.
    pub starts: &'static [Mark],
    /// It stands still until it goes on: the others' turn.
    pub pauses: &'static [Mark],
    /// It goes on after a pause.
    pub resumes: &'static [Mark],
    /// It has its time.
    pub stops: &'static [Mark],
    /// There is nothing to measure any more.
    pub voids: &'static [Mark],
    /// Whether a start after a stop is a run of its own. Else it goes on where it stood.
    pub anew: bool,
    /// From when until when, in words.
    pub about: &'static str,
}

/// Every clock: its start and its stop.
pub const TABLE: &[Row] = &[
    Row {
        clock: Clock::Detect,
        whose: Whose::Source,
        starts: &[Mark::Activity],
        pauses: &[],
        resumes: &[],
        stops: &[Mark::Received],
        voids: &[],
        anew: false,
        about: "From the first activity that an alert tells of until its first alert arrived.",
    },
    Row {
        clock: Clock::Triage,
        whose: Whose::Experts,
        starts: &[Mark::Queued],
        pauses: &[],
        resumes: &[],
        stops: &[Mark::TakenUp, Mark::Decided, Mark::Resolved],
        voids: &[Mark::LeftOut, Mark::Released, Mark::Merged],
        anew: true,
        about: "From the moment it waits for the experts until one takes it up.",
    },
    Row {
        clock: Clock::Decide,
        whose: Whose::Experts,
        starts: &[Mark::TakenUp, Mark::TakenBack],
        pauses: &[],
        resumes: &[],
        stops: &[Mark::Decided, Mark::HandedOver, Mark::Resolved],
        voids: &[Mark::Queued, Mark::Released, Mark::LeftOut, Mark::Merged],
        anew: true,
        about: "From the moment an expert takes it up, or gets it back, until the experts publish a \
                response or conclude.",
    },
    Row {
        clock: Clock::Acknowledge,
        whose: Whose::Customer,
        starts: &[Mark::HandedOver],
        pauses: &[],
        resumes: &[],
        stops: &[Mark::Acknowledged, Mark::TakenBack, Mark::Resolved],
        voids: &[Mark::Merged],
        anew: true,
        about: "From the moment it awaits the customer until somebody of the customer acts on a task \
                or writes.",
    },
    Row {
        clock: Clock::Contain,
        whose: Whose::Experts,
        starts: &[Mark::Queued, Mark::TakenUp],
        pauses: &[Mark::HandedOver],
        resumes: &[Mark::TakenBack],
        stops: &[Mark::Contained],
        voids: &[Mark::LeftOut, Mark::Released, Mark::Resolved, Mark::Merged],
        anew: false,
        about: "From the moment it waits for the experts until the first action that contains is \
                verified; the customer's turns do not count. Void where nothing was contained.",
    },
    Row {
        clock: Clock::Customer,
        whose: Whose::Customer,
        starts: &[Mark::HandedOver],
        pauses: &[],
        resumes: &[],
        stops: &[Mark::TakenBack, Mark::Resolved],
        voids: &[Mark::Merged],
        anew: false,
        about: "All the time in which it awaited the customer.",
    },
    Row {
        clock: Clock::Resolve,
        whose: Whose::Experts,
        starts: &[Mark::Queued, Mark::TakenUp],
        pauses: &[Mark::HandedOver],
        resumes: &[Mark::TakenBack],
        stops: &[Mark::Resolved],
        voids: &[Mark::LeftOut, Mark::Released, Mark::Merged],
        anew: false,
        about: "From the moment it waits for the experts until it is resolved; the customer's turns do \
                not count.",
    },
];

impl Clock {
    /// What it goes by.
    #[must_use]
    pub fn row(self) -> &'static Row {
        // Every clock has its row, which a test holds; the first is never asked for in vain.
        TABLE.iter().find(|row| row.clock == self).unwrap_or(&TABLE[0])
    }
}

/// What a run is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// It counts.
    Running,
    /// It stands still for the others' turn.
    Paused,
    /// It has its time.
    Stopped,
    /// There was nothing to measure.
    Void,
}

impl State {
    /// The word shown and stored.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
            Self::Void => "void",
        }
    }
}

/// One run of a clock.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Run {
    /// The clock.
    pub clock: Clock,
    /// The first of an incident is 1.
    pub number: i64,
    /// When it began.
    pub began: Timestamp,
    /// What it is doing.
    pub state: State,
    /// Since when.
    pub since: Timestamp,
    /// The stretches that count and are over.
    spans: Vec<(Timestamp, Timestamp)>,
}

impl Run {
    /// What has counted by `now`, in microseconds; in working hours only where those are given.
    #[must_use]
    pub fn counted(&self, hours: Option<&Hours>, now: Timestamp) -> i64 {
        let length = |from: Timestamp, until: Timestamp| match hours {
            Some(hours) => hours.between(from, until),
            None => (until.micros() - from.micros()).max(0),
        };
        let over: i64 = self.spans.iter().map(|(from, until)| length(*from, *until)).sum();
        let running = self.state == State::Running;
        over + if running { length(self.since, now) } else { 0 }
    }

    /// When so many microseconds have counted, if nothing pauses it; `None` while it does not run.
    #[must_use]
    pub fn reaches(&self, micros: i64, hours: Option<&Hours>) -> Option<Timestamp> {
        if self.state != State::Running {
            return None;
        }
        let left = micros - self.counted(hours, self.since);
        if left <= 0 {
            return Some(self.since);
        }
        Some(match hours {
            Some(hours) => hours.after(self.since, left),
            None => self.since.plus_micros(left),
        })
    }

    fn enter(&mut self, state: State, at: Timestamp) {
        if self.state == State::Running {
            self.spans.push((self.since, at));
        }
        (self.state, self.since) = (state, at);
    }
}

/// A mark, and when it was.
pub type Marked = (Timestamp, Mark);

/// Adds a mark; one that says nothing new is left out, so that what is kept of an incident stays small.
pub fn note(marks: &mut Vec<Marked>, at: Timestamp, mark: Mark) {
    // Once somebody reacted, what else they do changes no clock until it is their turn again.
    let said = match mark {
        Mark::Acknowledged => marks
            .iter()
            .rev()
            .find(|(_, it)| matches!(it, Mark::Acknowledged | Mark::HandedOver))
            .is_none_or(|(_, it)| *it == Mark::Acknowledged),
        Mark::Contained => marks.iter().any(|(_, it)| *it == Mark::Contained),
        _ => marks.last().is_some_and(|(_, it)| *it == mark),
    };
    if !said {
        let at = marks.last().map_or(at, |(last, _)| at.max(*last));
        marks.push((at, mark));
    }
}

/// Every run of every clock that these marks make, by clock, the first run first.
#[must_use]
pub fn runs(marks: &[Marked]) -> Vec<Run> {
    TABLE.iter().flat_map(|row| runs_of(row, marks)).collect()
}

fn runs_of(row: &Row, marks: &[Marked]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut latest = Timestamp::from_micros(i64::MIN);
    for (at, mark) in marks {
        let at = latest.max(*at);
        latest = at;
        let state = runs.last().map(|run| run.state);
        let counts = matches!(state, Some(State::Running | State::Paused));
        let next = if counts && row.voids.contains(mark) {
            Some(State::Void)
        } else if counts && row.stops.contains(mark) {
            Some(State::Stopped)
        } else if state == Some(State::Running) && row.pauses.contains(mark) {
            Some(State::Paused)
        } else if state == Some(State::Paused)
            && (row.resumes.contains(mark) || row.starts.contains(mark))
        {
            Some(State::Running)
        } else {
            None
        };
        if let (Some(next), Some(run)) = (next, runs.last_mut()) {
            run.enter(next, at);
        } else if !counts && row.starts.contains(mark) {
            // What was contained once is contained, whoever opens the incident again.
            let once = row.clock == Clock::Contain && state == Some(State::Stopped);
            match runs.last_mut() {
                Some(_) if once => {}
                Some(run) if !row.anew => run.enter(State::Running, at),
                last => {
                    let number = last.map_or(1, |run| run.number + 1);
                    runs.push(Run {
                        clock: row.clock,
                        number,
                        began: at,
                        state: State::Running,
                        since: at,
                        spans: Vec::new(),
                    });
                }
            }
        }
    }
    runs
}

/// What was promised of a run, in microseconds, and in whose hours.
#[derive(Clone, Debug)]
pub struct Target {
    /// It is to have its time within so much.
    pub within: i64,
    /// Only these hours count; all of them where absent.
    pub hours: Option<Hours>,
    /// After which share of that notice is given, in per cent.
    pub notice_percent: i64,
}

/// What notice is given of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Notice {
    /// The target is near.
    Nearing,
    /// It is missed.
    Missed,
}

/// When a run is due, and when notice is given before; `None` while it does not run.
#[must_use]
pub fn due(run: &Run, target: &Target) -> Option<(Timestamp, Timestamp)> {
    let hours = target.hours.as_ref();
    let early = target.within.saturating_mul(target.notice_percent) / 100;
    Some((run.reaches(early, hours)?, run.reaches(target.within, hours)?))
}

/// Whether a run has missed its target by `now`, whatever it is doing.
#[must_use]
pub fn is_missed(run: &Run, target: &Target, now: Timestamp) -> bool {
    run.state != State::Void && run.counted(target.hours.as_ref(), now) > target.within
}

/// What is to be said of a run at `now`, and when to look at it again. `said` is what was said of it
/// before. What was missed while nobody looked is said as missed, and not as near as well.
#[must_use]
pub fn judge(
    run: &Run,
    target: &Target,
    said: &[Notice],
    now: Timestamp,
) -> (Option<Notice>, Option<Timestamp>) {
    let Some((early, due)) = due(run, target) else { return (None, None) };
    let missed = said.contains(&Notice::Missed);
    if now > due && !missed {
        return (Some(Notice::Missed), None);
    }
    // A microsecond later it is missed; at the very moment it is kept.
    let late = (!missed).then(|| due.plus_micros(1));
    if missed || said.contains(&Notice::Nearing) {
        return (None, late);
    }
    if now >= early { (Some(Notice::Nearing), late) } else { (None, Some(early)) }
}

/// What may be expected of a run, from those that were before it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Forecast {
    /// When half of those like it had their time.
    pub ends: Timestamp,
    /// How many of a hundred like it missed the target; none without a target.
    pub percent_missed: Option<i64>,
    /// From how many that was learned.
    pub learned_from: usize,
}

/// Runs fewer than these say nothing.
const FEWEST: usize = 5;

/// The forecast of a running clock from what others took, in microseconds as the target counts: only
/// those that took longer than it has already are like it.
#[must_use]
pub fn forecast(
    run: &Run,
    target: Option<&Target>,
    taken: &[i64],
    now: Timestamp,
) -> Option<Forecast> {
    if run.state != State::Running || taken.len() < FEWEST {
        return None;
    }
    let hours = target.and_then(|target| target.hours.as_ref());
    let spent = run.counted(hours, now);
    let mut like: Vec<i64> = taken.iter().copied().filter(|took| *took > spent).collect();
    like.sort_unstable();
    let percent = |like: &[i64]| {
        target.map(|target| {
            let late = like.iter().filter(|took| **took > target.within).count();
            // With nothing like it, it is beyond all that was: what is known is whether it is late.
            if like.is_empty() {
                if spent > target.within { 100 } else { 50 }
            } else {
                (late * 100 / like.len()) as i64
            }
        })
    };
    let percent_missed = percent(&like);
    let ends = match like.get(like.len() / 2) {
        Some(took) => run.reaches(*took, hours)?,
        None => now,
    };
    Some(Forecast { ends, percent_missed, learned_from: taken.len() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    fn last(marks: &[Marked], clock: Clock) -> Option<Run> {
        runs(marks).into_iter().rfind(|run| run.clock == clock)
    }

    fn seconds(marks: &[Marked], clock: Clock, now: i64) -> Option<(State, i64)> {
        last(marks, clock).map(|run| (run.state, run.counted(None, at(now)) / 1_000_000))
    }

    fn promised(seconds: i64) -> Target {
        Target { within: seconds * 1_000_000, hours: None, notice_percent: 75 }
    }

    #[test]
    fn every_clock_has_one_row() {
        for clock in Clock::ALL {
            assert_eq!(TABLE.iter().filter(|row| row.clock == *clock).count(), 1);
            let row = clock.row();
            assert_eq!(row.clock, *clock);
            assert!(!row.starts.is_empty() && !row.stops.is_empty());
            assert_eq!(row.pauses.is_empty(), row.resumes.is_empty());
            for (one, other) in [(row.starts, row.stops), (row.stops, row.voids)] {
                assert!(one.iter().all(|mark| !other.contains(mark)), "{clock:?}");
            }
        }
    }

    #[test]
    fn a_response_from_the_first_activity_to_the_end() {
        let marks = [
            (at(0), Mark::Activity),
            (at(60), Mark::Received),
            (at(61), Mark::Queued),
            (at(361), Mark::TakenUp),
            (at(961), Mark::Decided),
            (at(961), Mark::HandedOver),
            (at(1_561), Mark::Acknowledged),
            (at(4_561), Mark::TakenBack),
            (at(4_861), Mark::Contained),
            (at(5_161), Mark::Resolved),
        ];
        for (clock, took) in [
            (Clock::Detect, 60),
            (Clock::Triage, 300),
            (Clock::Acknowledge, 600),
            (Clock::Customer, 3_600),
            // Its own time without the hour that it was the customer's.
            (Clock::Contain, 1_200),
            (Clock::Resolve, 1_500),
        ] {
            assert_eq!(seconds(&marks, clock, 99_999), Some((State::Stopped, took)), "{clock:?}");
        }
        let decide: Vec<Run> =
            runs(&marks).into_iter().filter(|run| run.clock == Clock::Decide).collect();
        let took = |run: &Run| run.counted(None, at(99_999)) / 1_000_000;
        assert_eq!(decide.iter().map(took).collect::<Vec<_>>(), [600, 600]);
        assert_eq!(decide.iter().map(|run| run.number).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn the_customers_turn_stops_the_experts_clock() {
        let mut marks = vec![(at(0), Mark::Queued), (at(10), Mark::TakenUp)];
        marks.push((at(100), Mark::HandedOver));
        assert_eq!(seconds(&marks, Clock::Resolve, 1_000), Some((State::Paused, 100)));
        assert_eq!(seconds(&marks, Clock::Customer, 1_000), Some((State::Running, 900)));
        marks.push((at(2_000), Mark::TakenBack));
        assert_eq!(seconds(&marks, Clock::Resolve, 2_050), Some((State::Running, 150)));
        assert_eq!(seconds(&marks, Clock::Customer, 2_050), Some((State::Stopped, 1_900)));
        // The second turn adds to the first.
        marks.push((at(2_100), Mark::HandedOver));
        assert_eq!(seconds(&marks, Clock::Customer, 2_200), Some((State::Running, 2_000)));
    }

    #[test]
    fn what_is_left_out_or_merged_measures_nothing() {
        for end in [Mark::LeftOut, Mark::Merged, Mark::Released] {
            let marks = [(at(0), Mark::Queued), (at(50), end)];
            for clock in [Clock::Triage, Clock::Contain, Clock::Resolve] {
                let state = seconds(&marks, clock, 99).map(|(state, _)| state);
                assert_eq!(state, Some(State::Void), "{end:?} {clock:?}");
            }
        }
        let calm = [(at(0), Mark::Queued), (at(5), Mark::TakenUp), (at(9), Mark::Resolved)];
        assert_eq!(seconds(&calm, Clock::Contain, 99), Some((State::Void, 9)));
        assert_eq!(seconds(&calm, Clock::Acknowledge, 99), None);
    }

    #[test]
    fn what_is_opened_again_goes_on_and_waits_anew() {
        let mut marks = vec![
            (at(0), Mark::Queued),
            (at(10), Mark::TakenUp),
            (at(20), Mark::Contained),
            (at(100), Mark::Resolved),
            (at(1_000), Mark::Queued),
        ];
        assert_eq!(seconds(&marks, Clock::Resolve, 1_010), Some((State::Running, 110)));
        assert_eq!(seconds(&marks, Clock::Triage, 1_010), Some((State::Running, 10)));
        assert_eq!(seconds(&marks, Clock::Contain, 1_010), Some((State::Stopped, 20)));
        note(&mut marks, at(1_020), Mark::Contained);
        assert_eq!(marks.len(), 5, "contained is contained");
    }

    #[test]
    fn the_first_reaction_counts_and_the_next_turn_begins_anew() {
        let mut marks = Vec::new();
        for (second, mark) in [
            (0, Mark::HandedOver),
            (5, Mark::Acknowledged),
            (6, Mark::Acknowledged),
            (7, Mark::TakenBack),
            (8, Mark::Acknowledged),
            (9, Mark::HandedOver),
            (19, Mark::Acknowledged),
        ] {
            note(&mut marks, at(second), mark);
        }
        assert_eq!(marks.len(), 5);
        let took: Vec<i64> = runs(&marks)
            .iter()
            .filter(|run| run.clock == Clock::Acknowledge)
            .map(|run| run.counted(None, at(99)) / 1_000_000)
            .collect();
        assert_eq!(took, [5, 10]);
        // Nothing was asked of them: that they write is no reaction.
        let mut marks = vec![(at(0), Mark::Queued)];
        note(&mut marks, at(1), Mark::Acknowledged);
        note(&mut marks, at(2), Mark::HandedOver);
        note(&mut marks, at(3), Mark::Acknowledged);
        assert_eq!(seconds(&marks, Clock::Acknowledge, 9), Some((State::Stopped, 1)));
    }

    #[test]
    fn notice_comes_once_before_and_once_after() {
        let run = last(&[(at(0), Mark::Queued)], Clock::Triage).expect("a run");
        let target = promised(100);
        let (nearing, missed) = (Some(Notice::Nearing), Some(Notice::Missed));
        let late = Some(at(100).plus_micros(1));
        assert_eq!(judge(&run, &target, &[], at(74)), (None, Some(at(75))));
        assert_eq!(judge(&run, &target, &[], at(75)), (nearing, late));
        assert_eq!(judge(&run, &target, &[Notice::Nearing], at(100)), (None, late));
        assert_eq!(judge(&run, &target, &[Notice::Nearing], at(101)), (missed, None));
        assert_eq!(judge(&run, &target, &[], at(101)), (missed, None), "not near as well");
        assert_eq!(judge(&run, &target, &[Notice::Missed], at(999)), (None, None));
        let over = last(&[(at(0), Mark::Queued), (at(50), Mark::TakenUp)], Clock::Triage);
        assert_eq!(judge(&over.expect("a run"), &target, &[], at(999)), (None, None));
    }

    #[test]
    fn a_forecast_comes_from_what_took_longer_than_this_already() {
        let run = last(&[(at(0), Mark::Queued)], Clock::Triage).expect("a run");
        let taken: Vec<i64> = [10, 20, 30, 40, 200, 300].map(|s| s * 1_000_000).to_vec();
        let target = promised(100);
        let early = forecast(&run, Some(&target), &taken, at(1)).expect("a forecast");
        assert_eq!((early.ends, early.percent_missed), (at(40), Some(33)));
        let late = forecast(&run, Some(&target), &taken, at(50)).expect("a forecast");
        assert_eq!((late.ends, late.percent_missed), (at(300), Some(100)));
        let beyond = forecast(&run, Some(&target), &taken, at(900)).expect("a forecast");
        assert_eq!((beyond.ends, beyond.percent_missed), (at(900), Some(100)));
        assert_eq!(forecast(&run, Some(&target), &taken[..4], at(1)), None);
    }

    fn any_mark() -> impl Strategy<Value = Mark> {
        (0..Mark::ALL.len()).prop_map(|place| Mark::ALL[place])
    }

    proptest! {
        #[test]
        fn no_clock_runs_backwards_and_none_forgets(
            steps in proptest::collection::vec((any_mark(), -500_i64..5_000), 0..40),
            pause in 0_i64..5_000,
        ) {
            let (mut marks, mut now) = (Vec::new(), 0_i64);
            let mut before: Vec<Run> = Vec::new();
            for (mark, passed) in steps {
                now += passed;
                note(&mut marks, at(now), mark);
                let latest = marks.last().map_or(at(now), |(at, _)| *at);
                let after = runs(&marks);
                for run in &before {
                    let same = after
                        .iter()
                        .find(|it| it.clock == run.clock && it.number == run.number);
                    let same = same.expect("no run is forgotten");
                    // What it showed at the latest mark it shows at least from then on.
                    prop_assert!(same.counted(None, latest) >= run.counted(None, run.since));
                    if run.state == State::Stopped && same.state == State::Stopped
                        && same.since == run.since {
                        prop_assert_eq!(
                            same.counted(None, at(now + pause)), run.counted(None, at(now))
                        );
                    }
                }
                for run in &after {
                    let counted = run.counted(None, latest.plus_seconds(pause));
                    let whole = latest.plus_seconds(pause).micros() - run.began.micros();
                    prop_assert!((0..=whole).contains(&counted));
                    if let Some(due) = run.reaches(counted + 7, None) {
                        prop_assert_eq!(due, latest.plus_seconds(pause).plus_micros(7));
                    }
                }
                before = after;
            }
        }
    }
}
