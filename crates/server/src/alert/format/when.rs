//! Times as products spell them.
//!
//! Reads ISO 8601 and its looser relatives, American dates, dates with month names and epoch
//! numbers in seconds, milliseconds, microseconds or nanoseconds (told apart by size) and Windows
//! file times. A time without a zone is UTC. A time without a year (BSD syslog) is not a moment:
//! guessing the year would need the clock, which readers do not have.

use serde_json::Value;

use crate::clock::Timestamp;

/// Longest text looked at; every supported spelling is shorter.
const MAX_TEXT: usize = 64;
/// 100-nanosecond ticks a second, the precision of the Graph wire spelling.
const TICKS: i128 = 10_000_000;
/// 1970-01-01 as a Windows file time, in ticks since 1601-01-01.
const FILETIME_EPOCH: i128 = 116_444_736_000_000_000;
/// Above this a number between the epoch scales is no longer a plausible file time (year 2234).
const FILETIME_END: i128 = 200_000_000_000_000_000;

/// A moment and the digit of its spelling that a [`Timestamp`] has no room for.
#[derive(Clone, Copy)]
struct Moment {
    at: Timestamp,
    /// Tenths of a microsecond, 0 to 9.
    tick: u8,
}

/// The moment a text names; `None` when it names none.
#[must_use]
pub fn parse(text: &str) -> Option<Timestamp> {
    moment(text).map(|moment| moment.at)
}

/// The moment a string or number member names; `None` for everything else.
#[must_use]
pub fn from_value(value: &Value) -> Option<Timestamp> {
    moment_of(value).map(|moment| moment.at)
}

/// The Graph spelling (UTC, seven fraction digits) of a time member, to the seventh digit of the
/// source where it has one; `None` when the member holds no moment.
#[must_use]
pub fn wire(value: &Value) -> Option<String> {
    let moment = moment_of(value)?;
    let text = moment.at.to_string();
    // The spelling always ends in `0Z`: the zero is the digit a timestamp cannot hold.
    let head = text.strip_suffix("0Z")?;
    Some(format!("{head}{}Z", moment.tick))
}

fn moment_of(value: &Value) -> Option<Moment> {
    match value {
        Value::String(text) => moment(text),
        Value::Number(number) => {
            epoch(&number.to_string()).or_else(|| number.as_f64().and_then(epoch_float))
        }
        _ => None,
    }
}

fn moment(text: &str) -> Option<Moment> {
    let text = text.trim();
    if text.is_empty() || text.len() > MAX_TEXT || !text.is_ascii() {
        return None;
    }
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    if digits == text.len() {
        // Fewer digits are a year or a count, not an epoch.
        return compact(text).or_else(|| if digits >= 9 { epoch(text) } else { None });
    }
    if digits >= 9 && text.as_bytes().get(digits) == Some(&b'.') {
        return epoch(text);
    }
    let mut scan = Scan(text);
    match digits {
        4 => iso(&mut scan),
        8 => basic(&mut scan),
        1 | 2 if text.as_bytes().get(digits) == Some(&b'/') => {
            american(&mut scan).or_else(|| named(text))
        }
        _ => named(text),
    }
}

/// An epoch number in decimal digits; the unit follows from its size.
fn epoch(text: &str) -> Option<Moment> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if whole.is_empty() || whole.len() > 20 {
        return None;
    }
    if !whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let whole: i128 = whole.parse().ok()?;
    let ticks = match whole {
        FILETIME_EPOCH..FILETIME_END => whole - FILETIME_EPOCH,
        100_000_000_000_000_000.. => whole / 100,
        _ => {
            let unit = unit_ticks(whole);
            whole * unit + i128::from(fraction_ticks(fraction)) * unit / TICKS
        }
    };
    from_ticks(if negative { -ticks } else { ticks })
}

/// Ticks of the unit an epoch number of this size counts in: up to the year 5138 in each unit.
fn unit_ticks(whole: i128) -> i128 {
    if whole < 100_000_000_000 {
        TICKS
    } else if whole < 100_000_000_000_000 {
        TICKS / 1000
    } else {
        TICKS / 1_000_000
    }
}

/// A number only spelt with an exponent, such as `1.7e18`.
fn epoch_float(number: f64) -> Option<Moment> {
    if !number.is_finite() || number.abs() >= 1e19 || number.abs() < 1.0 {
        return None;
    }
    epoch(&(number.trunc() as i128).to_string())
}

fn from_ticks(ticks: i128) -> Option<Moment> {
    let at = Timestamp::from_micros(i64::try_from(ticks.div_euclid(10)).ok()?);
    Some(Moment { at, tick: u8::try_from(ticks.rem_euclid(10)).ok()? })
}

/// The first seven digits of a fraction as ticks of a second.
fn fraction_ticks(digits: &str) -> u32 {
    let digits = digits.bytes().chain(std::iter::repeat(b'0'));
    digits.take(7).fold(0, |ticks, digit| ticks * 10 + u32::from(digit.saturating_sub(b'0')))
}

/// A time of day: hour, minute, second, ticks of the second.
#[derive(Clone, Copy, Default)]
struct Day {
    hour: u32,
    minute: u32,
    second: u32,
    ticks: u32,
}

impl Day {
    /// On the twelve-hour clock: noon and midnight are both spelt 12.
    fn half(mut self, afternoon: bool) -> Option<Self> {
        if !(1..=12).contains(&self.hour) {
            return None;
        }
        self.hour = self.hour % 12 + if afternoon { 12 } else { 0 };
        Some(self)
    }
}

fn civil(date: (u32, u32, u32), day: Day, zone_seconds: i64) -> Option<Moment> {
    let (year, month, monthday) = date;
    // ISO 8601 spells the end of a day 24:00 as well.
    let (hour, next_day) = match (day.hour, day.minute, day.second, day.ticks) {
        (24, 0, 0, 0) => (0, 86_400),
        (hour, ..) => (hour, 0),
    };
    let at = Timestamp::from_civil(
        (i64::from(year), month, monthday),
        (hour, day.minute, day.second),
        day.ticks / 10,
    )?;
    let tick = u8::try_from(day.ticks % 10).ok()?;
    Some(Moment { at: at.plus_seconds(next_day - zone_seconds), tick })
}

/// What is left of a text while it is read from the front.
struct Scan<'a>(&'a str);

impl Scan<'_> {
    /// A number of `least` to `most` digits.
    fn number(&mut self, least: usize, most: usize) -> Option<u32> {
        let count = self.0.bytes().take(most).take_while(u8::is_ascii_digit).count();
        let (digits, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        if count < least { None } else { digits.parse().ok() }
    }

    fn skip(&mut self, any_of: &[char]) -> bool {
        match self.0.strip_prefix(any_of) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    fn blanks(&mut self) {
        self.0 = self.0.trim_start();
    }

    /// `HH:MM[:SS[.fraction]]`, or the same without colons.
    fn time_of_day(&mut self) -> Option<Day> {
        let hour = self.number(1, 2)?;
        let colon = self.skip(&[':']);
        let minute = self.number(2, 2)?;
        let mut day = Day { hour, minute, ..Day::default() };
        if if colon { self.skip(&[':']) } else { self.0.starts_with(|c: char| c.is_ascii_digit()) }
        {
            day.second = self.number(2, 2)?;
            if self.skip(&['.', ',']) {
                let count = self.0.bytes().take_while(u8::is_ascii_digit).count();
                let (digits, rest) = self.0.split_at_checked(count)?;
                if digits.is_empty() {
                    return None;
                }
                day.ticks = fraction_ticks(digits);
                self.0 = rest;
            }
        }
        let mark = self.0.trim_start();
        let lower = mark.to_ascii_lowercase();
        for (word, afternoon) in [("am", false), ("pm", true)] {
            if lower.starts_with(word) {
                self.0 = mark.get(2..)?;
                return day.half(afternoon);
            }
        }
        Some(day)
    }

    /// The rest as a zone, in seconds east of UTC; nothing is UTC.
    fn zone(&mut self) -> Option<i64> {
        self.blanks();
        let zone = self.0;
        if ["", "z", "utc", "gmt", "ut"].iter().any(|name| zone.eq_ignore_ascii_case(name)) {
            return Some(0);
        }
        let sign = if self.skip(&['+']) {
            1
        } else if self.skip(&['-']) {
            -1
        } else {
            return None;
        };
        let hours = self.number(1, 2)?;
        let minutes = if self.skip(&[':']) || !self.0.is_empty() { self.number(2, 2)? } else { 0 };
        if !self.0.is_empty() || hours > 23 || minutes > 59 {
            return None;
        }
        Some(sign * i64::from(hours * 3600 + minutes * 60))
    }
}

/// `2024-01-02T03:04:05.1234567+05:30` with its looser separators; the time may be missing.
fn iso(scan: &mut Scan) -> Option<Moment> {
    let year = scan.number(4, 4)?;
    if !scan.skip(&['-', '/', '.']) {
        return named(scan.0);
    }
    let month = scan.number(1, 2)?;
    if !scan.skip(&['-', '/', '.']) {
        return None;
    }
    let day = scan.number(1, 2)?;
    clock_part(scan, (year, month, day))
}

/// `20240102T030405Z`.
fn basic(scan: &mut Scan) -> Option<Moment> {
    let date = (scan.number(4, 4)?, scan.number(2, 2)?, scan.number(2, 2)?);
    clock_part(scan, date)
}

/// `01/02/2024 03:04:05`, month first.
fn american(scan: &mut Scan) -> Option<Moment> {
    let month = scan.number(1, 2)?;
    scan.skip(&['/']);
    let day = scan.number(1, 2)?;
    if !scan.skip(&['/']) {
        return None;
    }
    let year = scan.number(4, 4)?;
    clock_part(scan, (year, month, day))
}

fn clock_part(scan: &mut Scan, date: (u32, u32, u32)) -> Option<Moment> {
    if scan.0.is_empty() {
        return civil(date, Day::default(), 0);
    }
    if !scan.skip(&['T', 't', ' ', ',', '_', ':', '-']) {
        return if scan.0.eq_ignore_ascii_case("z") {
            civil(date, Day::default(), 0)
        } else {
            None
        };
    }
    scan.blanks();
    let day = scan.time_of_day()?;
    let zone = scan.zone()?;
    civil(date, day, zone)
}

/// All digits: `20240102`, `20240102030405`, or that with milliseconds. As epochs these would be
/// in 1970 or after the year 2500.
fn compact(text: &str) -> Option<Moment> {
    if !matches!(text.len(), 8 | 14 | 17) || !(text.starts_with("19") || text.starts_with("20")) {
        return None;
    }
    let mut scan = Scan(text);
    let date = (scan.number(4, 4)?, scan.number(2, 2)?, scan.number(2, 2)?);
    if scan.0.is_empty() {
        return civil(date, Day::default(), 0);
    }
    let (hour, minute, second) = (scan.number(2, 2)?, scan.number(2, 2)?, scan.number(2, 2)?);
    civil(date, Day { hour, minute, second, ticks: fraction_ticks(scan.0) }, 0)
}

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

const WEEKDAYS: [&str; 7] =
    ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];

/// The place of a full or abbreviated name among `names`, from 1.
fn name_in(names: &[&str], word: &str) -> Option<u32> {
    let word = word.trim_end_matches('.').to_ascii_lowercase();
    if word.len() < 3 {
        return None;
    }
    let place = names.iter().position(|name| name.starts_with(word.as_str()))?;
    u32::try_from(place + 1).ok()
}

/// Dates with a month name, in whatever order: `Jan 02 2024 03:04:05`,
/// `Tue, 02 Jan 2024 03:04:05 +0000`, `02/Jan/2024:03:04:05 +0000`, `Tue Jan  2 03:04:05 2024`.
fn named(text: &str) -> Option<Moment> {
    let (mut year, mut month, mut monthday, mut time) = (None, None, None, None);
    let mut zone = None;
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| !matches!(c, ' ' | ',' | '\t')) {
        rest = rest.get(start..)?;
        let end = rest.find([' ', ',', '\t']).unwrap_or(rest.len());
        let (token, after) = rest.split_at_checked(end)?;
        let digits = token.bytes().take_while(u8::is_ascii_digit).count();
        if month.is_none() && token.contains(['/', '-']) && digits > 0 {
            // `02/Jan/2024:03:04:05` and `02-Jan-2024`.
            let mut parts = token.splitn(3, ['/', '-']);
            let day = parts.next()?.parse().ok()?;
            month = Some(name_in(&MONTHS, parts.next()?)?);
            monthday = Some(day);
            let mut tail = Scan(parts.next()?);
            year = Some(tail.number(4, 4)?);
            if !tail.0.is_empty() {
                if !tail.skip(&[':', 'T']) {
                    return None;
                }
                time = Some(tail.time_of_day()?);
                if !tail.0.is_empty() {
                    return None;
                }
            }
            rest = after;
        } else if digits == 0 && month.is_none() && name_in(&MONTHS, token).is_some() {
            month = name_in(&MONTHS, token);
            rest = after;
        } else if digits == 0 && name_in(&WEEKDAYS, token).is_some() {
            rest = after;
        } else if time.is_none() && matches!(digits, 1 | 2) && token.contains(':') {
            // Read from here, not from the token alone: AM and PM stand behind a blank.
            let mut scan = Scan(rest);
            time = Some(scan.time_of_day()?);
            rest = scan.0;
        } else if year.is_none() && digits == 4 && token.len() == 4 {
            year = token.parse().ok();
            rest = after;
        } else if monthday.is_none() && matches!(digits, 1 | 2) && token.len() == digits {
            monthday = token.parse().ok();
            rest = after;
        } else if zone.is_none() && time.is_some() {
            zone = Some(Scan(token).zone()?);
            rest = after;
        } else {
            return None;
        }
    }
    civil((year?, month?, monthday?), time.unwrap_or_default(), zone.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn reads(text: &str, expected: &str) {
        assert_eq!(wire(&json!(text)).as_deref(), Some(expected), "{text}");
    }

    #[test]
    fn iso_and_its_relatives() {
        reads("2024-01-02T03:04:05Z", "2024-01-02T03:04:05.0000000Z");
        reads("2024-01-02T03:04:05.1Z", "2024-01-02T03:04:05.1000000Z");
        reads("2024-01-02T03:04:05.1234567Z", "2024-01-02T03:04:05.1234567Z");
        reads("2024-01-02T03:04:05.123456789Z", "2024-01-02T03:04:05.1234567Z");
        reads("2024-01-02T03:04:05.123456789012Z", "2024-01-02T03:04:05.1234567Z");
        reads("2024-01-02T03:04:05+0000", "2024-01-02T03:04:05.0000000Z");
        reads("2024-01-02T03:04:05.5+05:30", "2024-01-01T21:34:05.5000000Z");
        reads("2024-01-02T03:04:05-08", "2024-01-02T11:04:05.0000000Z");
        reads("2024-01-02 03:04:05", "2024-01-02T03:04:05.0000000Z");
        reads("2024-01-02 03:04:05 UTC", "2024-01-02T03:04:05.0000000Z");
        reads("2024-01-02 03:04:05.000 +0200", "2024-01-02T01:04:05.0000000Z");
        reads("2024-01-02t03:04z", "2024-01-02T03:04:00.0000000Z");
        reads("2024/01/02 03:04:05,25", "2024-01-02T03:04:05.2500000Z");
        reads("2024-01-02", "2024-01-02T00:00:00.0000000Z");
        reads("2024-01-02T24:00:00Z", "2024-01-03T00:00:00.0000000Z");
        reads("20240102T030405Z", "2024-01-02T03:04:05.0000000Z");
        reads("20240102030405", "2024-01-02T03:04:05.0000000Z");
        reads("2024-01-02 3:04:05 PM", "2024-01-02T15:04:05.0000000Z");
    }

    #[test]
    fn the_edges_of_the_calendar() {
        reads("0000-01-01T00:00:00Z", "0000-01-01T00:00:00.0000000Z");
        reads("0001-01-01T00:00:00", "0001-01-01T00:00:00.0000000Z");
        reads("9999-12-31T23:59:59.9999999Z", "9999-12-31T23:59:59.9999999Z");
        reads("2016-12-31T23:59:60Z", "2017-01-01T00:00:00.0000000Z");
        reads("2024-02-29T00:00:00Z", "2024-02-29T00:00:00.0000000Z");
        assert_eq!(parse("2023-02-29T00:00:00Z"), None);
    }

    #[test]
    fn american_dates_put_the_month_first() {
        reads("12/31/2023 23:59:59", "2023-12-31T23:59:59.0000000Z");
        reads("1/2/2024 3:04:05 PM", "2024-01-02T15:04:05.0000000Z");
        reads("1/2/2024 12:00:00 AM", "2024-01-02T00:00:00.0000000Z");
        assert_eq!(parse("31/12/2023 23:59:59"), None);
    }

    #[test]
    fn month_names_in_any_order() {
        for text in [
            "Jan 02 2024 03:04:05",
            "jan 2 2024 03:04:05.000 UTC",
            "Tue, 02 Jan 2024 03:04:05 +0000",
            "Tue, 02 Jan 2024 03:04:05 GMT",
            "02/Jan/2024:03:04:05 +0000",
            "02-Jan-2024 03:04:05",
            "Tue Jan  2 03:04:05 2024",
            "January 2, 2024 3:04:05 AM",
            "2 January 2024, 03:04:05",
        ] {
            reads(text, "2024-01-02T03:04:05.0000000Z");
        }
        reads("Jan 02 2024", "2024-01-02T00:00:00.0000000Z");
        reads("Jan 02 2024 03:04:05 -05:00", "2024-01-02T08:04:05.0000000Z");
    }

    #[test]
    fn epochs_tell_their_unit_by_size() {
        for text in ["1704164645", "1704164645000", "1704164645000000", "1704164645000000000"] {
            reads(text, "2024-01-02T03:04:05.0000000Z");
            let number: i64 = text.parse().unwrap_or_default();
            assert_eq!(wire(&json!(number)).as_deref(), Some("2024-01-02T03:04:05.0000000Z"));
        }
        reads("1704164645.25", "2024-01-02T03:04:05.2500000Z");
        reads("1704164645123.5", "2024-01-02T03:04:05.1235000Z");
        assert_eq!(wire(&json!(1_704_164_645.25)).as_deref(), Some("2024-01-02T03:04:05.2500000Z"));
        assert!(wire(&json!(1.704_164_645e18)).is_some());
        // A double would end in another microsecond.
        assert_eq!(
            wire(&json!(1_704_164_645_123_456_789_i64)).as_deref(),
            Some("2024-01-02T03:04:05.1234567Z")
        );
        // Windows file time.
        reads("133486382451234567", "2024-01-02T03:04:05.1234567Z");
        assert_eq!(wire(&json!(-1)).as_deref(), Some("1969-12-31T23:59:59.0000000Z"));
    }

    #[test]
    fn nonsense_is_no_moment() {
        for text in [
            "",
            " ",
            "-",
            "yesterday",
            "2024",
            "0",
            "Jan 02 03:04:05",
            "2024-13-01T00:00:00Z",
            "2024-01-02T25:00:00Z",
            "2024-01-02T03:04:05+99:00",
            "2024-01-02T03:04:05.Z",
            "2024-01-02T03:04:05 and more",
            "99999999999999999999999999",
            "12.5.2024x",
            "192.0.2.1",
            "Jan Feb 2024",
            "２０２４-01-02",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
        for value in [json!(null), json!(true), json!([]), json!({}), json!(1e300)] {
            assert_eq!(from_value(&value), None);
        }
        let long = "1".repeat(10_000);
        assert_eq!(parse(&long), None);
    }
}
