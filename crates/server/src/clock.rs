//! Moments in time, and the only place that asks the machine what time it is.
//!
//! A [`Timestamp`] is microseconds since 1970-01-01T00:00:00Z, because both stores give that
//! integer back unchanged (PostgreSQL's own type stops at microseconds as well). On the wire it is
//! the Graph spelling: UTC, seven fraction digits, `Z`, fixed width, so that clients which compare
//! text compare time (graph-api rule 2).

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;
/// 0000-01-01T00:00:00Z and the last microsecond of year 9999: what the wire format can spell.
const MIN: i64 = -62_167_219_200 * SECOND;
const MAX: i64 = 253_402_300_800 * SECOND - 1;

/// A moment: microseconds since the Unix epoch, between the years 0 and 9999.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// A moment from microseconds since the epoch; beyond the years 0 to 9999 it is clamped.
    #[must_use]
    pub fn from_micros(micros: i64) -> Self {
        Self(micros.clamp(MIN, MAX))
    }

    /// Microseconds since the epoch.
    #[must_use]
    pub fn micros(self) -> i64 {
        self.0
    }

    /// This moment moved by `micros`, clamped to what the wire format can spell.
    #[must_use]
    pub fn plus_micros(self, micros: i64) -> Self {
        Self::from_micros(self.0.saturating_add(micros))
    }

    /// This moment moved by whole seconds.
    #[must_use]
    pub fn plus_seconds(self, seconds: i64) -> Self {
        self.plus_micros(seconds.saturating_mul(SECOND))
    }

    /// A moment from a UTC calendar date and time of day; `None` when there is no such date.
    #[must_use]
    pub fn from_civil(date: (i64, u32, u32), time: (u32, u32, u32), micros: u32) -> Option<Self> {
        let (year, month, day) = date;
        let (hour, minute, second) = time;
        // Second 60 is a leap second; it is read as the first moment of the next minute.
        if !(0..=9999).contains(&year)
            || !(1..=12).contains(&month)
            || day < 1
            || day > days_in_month(year, month)
            || hour > 23
            || minute > 59
            || second > 60
            || micros > 999_999
        {
            return None;
        }
        let seconds = i64::from(hour * 3600 + minute * 60 + second);
        let micros = days_from_civil(year, month, day) * DAY + seconds * SECOND + i64::from(micros);
        Some(Self::from_micros(micros))
    }
}

/// `2026-11-21T03:04:05.1234560Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days = self.0.div_euclid(DAY);
        let micros = self.0.rem_euclid(DAY);
        let (year, month, day) = civil_from_days(days);
        let seconds = micros / SECOND;
        let digits = |value: i64, place: i64| b'0' + ((value / place) % 10) as u8;
        let fraction = micros % SECOND;
        let text = [
            digits(year, 1000),
            digits(year, 100),
            digits(year, 10),
            digits(year, 1),
            b'-',
            digits(month, 10),
            digits(month, 1),
            b'-',
            digits(day, 10),
            digits(day, 1),
            b'T',
            digits(seconds / 3600, 10),
            digits(seconds / 3600, 1),
            b':',
            digits(seconds / 60 % 60, 10),
            digits(seconds / 60 % 60, 1),
            b':',
            digits(seconds % 60, 10),
            digits(seconds % 60, 1),
            b'.',
            digits(fraction, 100_000),
            digits(fraction, 10_000),
            digits(fraction, 1000),
            digits(fraction, 100),
            digits(fraction, 10),
            digits(fraction, 1),
            b'0',
            b'Z',
        ];
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

fn days_in_month(year: i64, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days since the epoch of a proleptic Gregorian date, counted in years that begin in March so
/// that the leap day is the last of its year.
fn days_from_civil(year: i64, month: u32, day: u32) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = i64::from((month + 9) % 12);
    let day_of_year = (153 * month_from_march + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// Where the time comes from: the machine, or a test's hand.
#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    System,
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands still until [`Clock::advance_seconds`] moves it.
    #[must_use]
    pub fn manual(start: Timestamp) -> Self {
        Self(Source::Manual(Arc::new(AtomicI64::new(start.micros()))))
    }

    /// The present moment.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the machine")]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System => {
                let since = std::time::SystemTime::now()
                    .duration_since(std::time::UNIX_EPOCH)
                    .unwrap_or_default();
                Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(MAX))
            }
            Source::Manual(micros) => Timestamp::from_micros(micros.load(Ordering::SeqCst)),
        }
    }

    /// Moves a manual clock; a system clock stays with the machine.
    pub fn advance_seconds(&self, seconds: i64) {
        if let Source::Manual(micros) = &self.0 {
            micros.fetch_add(seconds * SECOND, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spells_a_moment_with_seven_digits() {
        let check = |micros: i64, text: &str| {
            assert_eq!(Timestamp::from_micros(micros).to_string(), text);
        };
        check(0, "1970-01-01T00:00:00.0000000Z");
        check(1_700_000_000_123_456, "2023-11-14T22:13:20.1234560Z");
        check(-1, "1969-12-31T23:59:59.9999990Z");
        check(i64::MAX, "9999-12-31T23:59:59.9999990Z");
        check(i64::MIN, "0000-01-01T00:00:00.0000000Z");
    }

    #[test]
    fn a_calendar_date_survives_the_round_trip() {
        for (date, text) in [
            ((2024, 2, 29), "2024-02-29"),
            ((2000, 12, 31), "2000-12-31"),
            ((1900, 3, 1), "1900-03-01"),
            ((0, 1, 1), "0000-01-01"),
            ((9999, 12, 31), "9999-12-31"),
        ] {
            let moment = Timestamp::from_civil(date, (12, 0, 0), 0).map(|at| at.to_string());
            assert_eq!(moment.as_deref().map(|at| &at[..10]), Some(text));
        }
        assert_eq!(Timestamp::from_civil((2023, 2, 29), (0, 0, 0), 0), None);
    }
}
