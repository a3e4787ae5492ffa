//! Working hours: a week of one place, in its own time, with the days on which its clocks are moved.
//! Pure.
//!
//! A [`Hours`] says of every moment whether somebody works then. Time between two moments is counted in
//! real microseconds, so the night in which an hour is missing is an hour shorter and the one in which
//! it comes twice an hour longer. Not here: whose hours they are, and what is measured in them.

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{ToSpan, Zoned};
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::error::{Error, Result};

/// Minutes of a day.
const DAY: u16 = 1_440;
/// How far ahead is looked for working hours, in days: a week without any is refused before.
const FARTHEST: i32 = 3_660;

/// One day's hours: from and until, as `08:00` and `17:30`; `24:00` is the end of the day.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Day {
    /// The first minute, `HH:MM`.
    pub from: String,
    /// The first minute that is not any more, `HH:MM`, at most `24:00`.
    pub until: String,
}

/// A week's hours as people write them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Week {
    /// A name of the IANA time zone database: `Europe/Oslo`.
    pub time_zone: String,
    /// Monday to Sunday; null where nobody works.
    pub days: Vec<Option<Day>>,
}

/// When somebody works.
#[derive(Clone, Debug)]
pub struct Hours {
    zone: TimeZone,
    /// Monday first: minutes from midnight.
    days: [Option<(u16, u16)>; 7],
}

impl Week {
    /// The hours it says.
    ///
    /// # Errors
    /// `Invalid`, with what of it makes no sense.
    pub fn read(&self) -> Result<Hours> {
        let name = self.time_zone.trim();
        let zone = TimeZone::get(name)
            .map_err(|_| Error::Invalid(format!("timeZone: there is no time zone {name}")))?;
        if self.days.len() != 7 {
            return Err(Error::Invalid("days: a week has seven, Monday first".to_owned()));
        }
        let mut days = [None; 7];
        for (number, (day, to)) in self.days.iter().zip(&mut days).enumerate() {
            let Some(day) = day else { continue };
            let at = |text: &str| {
                minute(text).ok_or_else(|| {
                    Error::Invalid(format!("days, {}: {text} is no time HH:MM", number + 1))
                })
            };
            let (from, until) = (at(&day.from)?, at(&day.until)?);
            if from >= until {
                return Err(Error::Invalid(format!(
                    "days, {}: {} is not before {}",
                    number + 1,
                    day.from,
                    day.until
                )));
            }
            *to = Some((from, until));
        }
        if days.iter().all(Option::is_none) {
            return Err(Error::Invalid("days: somebody has to work some day".to_owned()));
        }
        Ok(Hours { zone, days })
    }
}

fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let two = |part: &str| {
        let digits = part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| part.parse::<u16>().ok()).flatten()
    };
    let (hour, minute) = (two(hour)?, two(minute)?);
    let minutes = hour * 60 + minute;
    (minute < 60 && minutes <= DAY).then_some(minutes)
}

impl Hours {
    /// Whether somebody works at a moment.
    #[must_use]
    pub fn is_open(&self, at: Timestamp) -> bool {
        self.span(self.date(at)).is_some_and(|(from, until)| from <= at && at < until)
    }

    /// How many microseconds of working hours lie between two moments; none when they are the wrong way
    /// round.
    #[must_use]
    pub fn between(&self, from: Timestamp, until: Timestamp) -> i64 {
        let (mut day, last) = (self.date(from), self.date(until));
        let mut sum = 0_i64;
        while day <= last {
            if let Some((opens, closes)) = self.span(day) {
                let piece = closes.min(until).micros() - opens.max(from).micros();
                sum = sum.saturating_add(piece.max(0));
            }
            let Ok(next) = day.tomorrow() else { break };
            day = next;
        }
        sum
    }

    /// The moment at which so many microseconds of working hours have passed since another: the first
    /// such moment. Nothing is due outside of them but what was due when they ended.
    #[must_use]
    pub fn after(&self, from: Timestamp, micros: i64) -> Timestamp {
        let mut left = micros;
        if left <= 0 {
            return from;
        }
        let mut day = self.date(from);
        for _ in 0..FARTHEST {
            if let Some((opens, closes)) = self.span(day) {
                let begins = opens.max(from);
                let room = closes.micros() - begins.micros();
                if left <= room {
                    return begins.plus_micros(left);
                }
                left -= room.max(0);
            }
            let Ok(next) = day.tomorrow() else { break };
            day = next;
        }
        Timestamp::from_micros(i64::MAX)
    }

    /// The first moment from `at` on at which somebody works.
    #[must_use]
    pub fn opens(&self, at: Timestamp) -> Timestamp {
        if self.is_open(at) { at } else { self.after(at, 1).plus_micros(-1) }
    }

    /// A moment as people of the place say it: `Monday 29 March at 08:00 (Europe/Oslo)`.
    #[must_use]
    pub fn spelt(&self, at: Timestamp) -> String {
        self.zoned(at).strftime("%A %-d %B at %H:%M (%Q)").to_string()
    }

    fn zoned(&self, at: Timestamp) -> Zoned {
        let at = jiff::Timestamp::from_microsecond(at.micros()).unwrap_or(jiff::Timestamp::MAX);
        at.to_zoned(self.zone.clone())
    }

    fn date(&self, at: Timestamp) -> Date {
        self.zoned(at).date()
    }

    /// The hours of a day as moments. A time that the day skips is the moment of the skip, one that it
    /// has twice the first of the two.
    fn span(&self, day: Date) -> Option<(Timestamp, Timestamp)> {
        let monday_first = day.weekday().to_monday_zero_offset();
        let hours = self.days.get(usize::try_from(monday_first).ok()?)?;
        let (from, until) = (*hours)?;
        let at = |minute: u16| {
            let (day, minute) =
                if minute == DAY { (day.checked_add(1.day()).ok()?, 0) } else { (day, minute) };
            let time = Time::new((minute / 60) as i8, (minute % 60) as i8, 0, 0).ok()?;
            let zoned = self.zone.to_ambiguous_zoned(day.to_datetime(time)).compatible().ok()?;
            Some(Timestamp::from_micros(zoned.timestamp().as_microsecond()))
        };
        Some((at(from)?, at(until)?))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: i64 = 3_600_000_000;

    fn day(from: &str, until: &str) -> Day {
        Day { from: from.to_owned(), until: until.to_owned() }
    }

    fn week(zone: &str, days: impl Into<Vec<Option<Day>>>) -> Week {
        Week { time_zone: zone.to_owned(), days: days.into() }
    }

    fn oslo() -> Hours {
        let office = || Some(day("08:00", "16:00"));
        let days = [office(), office(), office(), office(), office(), None, None];
        week("Europe/Oslo", days).read().expect("hours")
    }

    /// Every night, when clocks are moved.
    fn nights() -> Hours {
        let days = vec![Some(day("00:00", "06:00")); 7];
        week("America/New_York", days).read().expect("hours")
    }

    fn at(year: i64, month: u32, day: u32, hour: u32, minute: u32) -> Timestamp {
        Timestamp::from_civil((year, month, day), (hour, minute, 0), 0).expect("a moment")
    }

    #[test]
    fn a_weekend_does_not_count() {
        // Friday 15:00 in Oslo, in winter, until Monday 09:00.
        let (friday, monday) = (at(2026, 1, 16, 14, 0), at(2026, 1, 19, 8, 0));
        assert_eq!(oslo().between(friday, monday), 2 * HOUR);
        assert_eq!(oslo().after(friday, 2 * HOUR), monday);
        assert!(oslo().is_open(friday));
        assert!(!oslo().is_open(at(2026, 1, 17, 10, 0)));
        assert_eq!(oslo().opens(at(2026, 1, 17, 10, 0)), at(2026, 1, 19, 7, 0));
    }

    #[test]
    fn office_hours_stay_where_the_wall_clock_has_them() {
        // The last Sunday of March: eight in the morning is an hour earlier in UTC from then on.
        assert!(oslo().is_open(at(2026, 3, 27, 7, 0)) && !oslo().is_open(at(2026, 3, 27, 6, 59)));
        assert!(oslo().is_open(at(2026, 3, 30, 6, 0)) && !oslo().is_open(at(2026, 3, 30, 5, 59)));
        let week = oslo().between(at(2026, 3, 23, 0, 0), at(2026, 3, 30, 0, 0));
        assert_eq!(week, 40 * HOUR);
    }

    #[test]
    fn a_night_without_an_hour_is_shorter_and_one_with_two_longer() {
        // 8 March and 1 November 2026 in New York.
        let hours = |from, until| nights().between(from, until) / HOUR;
        assert_eq!(hours(at(2026, 3, 7, 5, 0), at(2026, 3, 8, 5, 0)), 6);
        assert_eq!(hours(at(2026, 3, 8, 5, 0), at(2026, 3, 9, 4, 0)), 5);
        assert_eq!(hours(at(2026, 11, 1, 4, 0), at(2026, 11, 2, 5, 0)), 7);
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_what_it_is() {
        let refused = |week: Week| week.read().expect_err("refused").to_string();
        let none = || [const { None }; 7];
        assert!(refused(week("Mars/Olympus", none())).contains("Mars/Olympus"));
        assert!(refused(week("UTC", none())).contains("somebody has to work"));
        let mut days = none();
        days[2] = Some(day("17:00", "09:00"));
        assert!(refused(week("UTC", days)).contains("days, 3: 17:00 is not before 09:00"));
        for bad in ["9:00", "24:01", "08:60", "", "08", "+8:00", "08:00:00"] {
            let mut days = none();
            days[0] = Some(day(bad, "24:00"));
            assert!(refused(week("UTC", days)).contains("no time HH:MM"), "{bad}");
        }
        let short = week("UTC", [Some(day("00:00", "24:00"))]);
        assert!(refused(short).contains("seven"));
    }

    proptest! {
        #[test]
        fn time_adds_up_and_comes_back(
            start in 1_700_000_000_i64..2_000_000_000,
            first in 0_i64..40 * 86_400,
            second in 0_i64..40 * 86_400,
        ) {
            let from = Timestamp::from_micros(start * 1_000_000);
            let (middle, until) = (from.plus_seconds(first), from.plus_seconds(first + second));
            for hours in [oslo(), nights()] {
                let whole = hours.between(from, until);
                prop_assert_eq!(whole, hours.between(from, middle) + hours.between(middle, until));
                prop_assert!(whole >= 0 && whole <= (first + second) * 1_000_000);
                let due = hours.after(from, whole);
                prop_assert!(due <= until, "the first moment");
                prop_assert_eq!(hours.between(from, due), whole);
                if whole > 0 {
                    prop_assert_eq!(hours.between(from, due.plus_micros(-1)), whole - 1);
                }
                let open = hours.opens(from);
                prop_assert!(hours.is_open(open) && hours.between(from, open) == 0);
            }
        }
    }
}
