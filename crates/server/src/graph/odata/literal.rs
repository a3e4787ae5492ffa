//! Literal values of a filter: numbers, moments and durations, kept exactly as they were meant.
//!
//! Stored values are whole numbers (counts, microseconds), literals need not be. [`Bound`] is the
//! meeting point: the greatest whole number not above the literal, and whether that is all of it.

use std::fmt;

use crate::clock::Timestamp;

const DAY_SECONDS: u64 = 86_400;
/// A century; sums of a few such durations with a moment stay far inside 64 bits.
const MAX_DURATION_SECONDS: u64 = 36_600 * DAY_SECONDS;
const MAX_NUMBER: usize = 64;
const MAX_EXPONENT: i32 = 400;

/// A value written in a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Literal {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integer or decimal.
    Number(Number),
    /// A quoted string, its doubled quotes already single.
    Text(String),
    /// A calendar date, as its first moment in UTC.
    Date(Timestamp),
    /// A date and time.
    Instant(Instant),
    /// A GUID in lower case.
    Guid(String),
    /// A duration in microseconds.
    Duration(i64),
    /// A qualified literal such as `microsoft.graph.security.incidentStatus'active'`.
    Typed {
        /// The name before the quote.
        type_name: String,
        /// What stands between the quotes.
        text: String,
    },
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Number(number) => f.write_str(&number.0),
            Self::Text(text) => write!(f, "'{}'", text.replace('\'', "''")),
            Self::Date(at) => f.write_str(at.to_string().get(..10).unwrap_or_default()),
            Self::Instant(instant) => write!(f, "{instant}"),
            Self::Guid(guid) => f.write_str(guid),
            Self::Duration(micros) => {
                let (sign, size) = (if *micros < 0 { "-" } else { "" }, micros.unsigned_abs());
                write!(f, "duration'{sign}PT{}.{:06}S'", size / 1_000_000, size % 1_000_000)
            }
            Self::Typed { type_name, text } => {
                write!(f, "{type_name}'{}'", text.replace('\'', "''"))
            }
        }
    }
}

/// The greatest whole number not above a literal, and whether the literal is that number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Rounded down; saturated far beyond 64 bits.
    pub floor: i128,
    /// Nothing was rounded away.
    pub exact: bool,
}

impl Bound {
    /// A whole number.
    #[must_use]
    pub fn whole(value: i64) -> Self {
        Self { floor: i128::from(value), exact: true }
    }

    /// The number itself when it is whole and fits 64 bits.
    #[must_use]
    pub fn integer(self) -> Option<i64> {
        if self.exact { i64::try_from(self.floor).ok() } else { None }
    }
}

/// A decimal number as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Number(String);

impl Number {
    /// Reads `-12`, `3.5`, `1e3`; `None` for anything else, or beyond 64 characters.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let number = Self(text.to_owned());
        if text.len() > MAX_NUMBER { None } else { number.parts().map(|_| number.clone()) }
    }

    /// The number as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same number with the other sign.
    #[must_use]
    pub fn negated(&self) -> Self {
        match self.0.strip_prefix('-') {
            Some(positive) => Self(positive.to_owned()),
            None => Self(format!("-{}", self.0)),
        }
    }

    /// Where the number lies among the whole numbers.
    #[must_use]
    pub fn bound(&self) -> Bound {
        let Some((negative, digits, scale)) = self.parts() else {
            return Bound::whole(0);
        };
        let mut whole: String = digits;
        let mut rest = String::new();
        match usize::try_from(scale) {
            Ok(places) if places < whole.len() => rest = whole.split_off(whole.len() - places),
            Ok(_) if scale > 0 => rest = std::mem::take(&mut whole),
            _ => whole.push_str(&"0".repeat(scale.unsigned_abs() as usize)),
        }
        let limit = i128::from(i64::MAX) * 4;
        let whole = whole.trim_start_matches('0');
        let size = if whole.is_empty() { 0 } else { whole.parse().unwrap_or(limit).min(limit) };
        let exact = rest.bytes().all(|digit| digit == b'0');
        let floor = match (negative, exact) {
            (false, _) => size,
            (true, true) => -size,
            (true, false) => -size - 1,
        };
        Bound { floor, exact }
    }

    /// Sign, all digits, and how many of them stand right of the point (below zero: zeros to add).
    fn parts(&self) -> Option<(bool, String, i32)> {
        let (negative, text) = match self.0.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, self.0.as_str()),
        };
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
        let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|c| c.is_ascii_digit());
        if !all_digits(whole) || !all_digits(fraction) || exponent.abs() > MAX_EXPONENT {
            return None;
        }
        let scale = i32::try_from(fraction.len()).ok()? - exponent;
        Some((negative, format!("{whole}{fraction}"), scale))
    }
}

/// A moment with up to twelve fraction digits, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instant {
    at: Timestamp,
    /// Trillionths of a second below the microsecond, 0 to 999,999.
    picos: u32,
}

impl Instant {
    /// Where the moment lies among the microseconds since the epoch.
    #[must_use]
    pub fn bound(self) -> Bound {
        Bound { floor: i128::from(self.at.micros()), exact: self.picos == 0 }
    }
}

/// `2026-11-21T03:04:05.123456000000Z`.
impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.at.to_string();
        write!(f, "{}{:06}Z", text.get(..26).unwrap_or_default(), self.picos)
    }
}

/// Reads a date or date-time that begins at the first byte of `text`.
///
/// Gives the literal and its length in bytes; `None` when the text does not look like a date.
/// Without an offset the time is UTC. A blank where an offset's sign belongs is a `+` that a
/// query string's decoding took away.
///
/// # Errors
/// The reason when the shape is a date's but the value is not.
pub fn scan_moment(text: &str) -> Result<Option<(Literal, usize)>, &'static str> {
    let bytes = text.as_bytes();
    let is = |at: usize, wanted: u8| bytes.get(at).is_some_and(|c| c.eq_ignore_ascii_case(&wanted));
    let date = (digits(bytes, 0, 4), digits(bytes, 5, 2), digits(bytes, 8, 2));
    let (Some(year), Some(month), Some(day)) = date else { return Ok(None) };
    if !is(4, b'-') || !is(7, b'-') {
        return Ok(None);
    }
    let date = (i64::from(year), month, day);
    if !is(10, b'T') {
        let at = Timestamp::from_civil(date, (0, 0, 0), 0).ok_or("no such date")?;
        return Ok(Some((Literal::Date(at), 10)));
    }
    let (Some(hour), Some(minute)) = (digits(bytes, 11, 2), digits(bytes, 14, 2)) else {
        return Err("malformed time of day");
    };
    if !is(13, b':') {
        return Err("malformed time of day");
    }
    let mut end = 16;
    let mut second = 0;
    let mut picos = 0_u64;
    if is(end, b':') {
        second = digits(bytes, end + 1, 2).ok_or("malformed seconds")?;
        end += 3;
        if is(end, b'.') {
            end += 1;
            let mut places = 0;
            while let Some(digit) = bytes.get(end).filter(|c| c.is_ascii_digit()) {
                places += 1;
                if places > 12 {
                    return Err("more than 12 fraction digits");
                }
                picos = picos * 10 + u64::from(digit - b'0');
                end += 1;
            }
            if places == 0 {
                return Err("malformed seconds");
            }
            picos *= 10_u64.pow(12 - places);
        }
    }
    let (offset_minutes, end) = scan_offset(bytes, end)?;
    let micros = u32::try_from(picos / 1_000_000).map_err(|_| "malformed seconds")?;
    let at = Timestamp::from_civil(date, (hour, minute, second), micros)
        .ok_or("no such date or time of day")?
        .plus_seconds(-60 * offset_minutes);
    let picos = u32::try_from(picos % 1_000_000).map_err(|_| "malformed seconds")?;
    Ok(Some((Literal::Instant(Instant { at, picos }), end)))
}

/// Minutes east of UTC and where the offset ends.
fn scan_offset(bytes: &[u8], at: usize) -> Result<(i64, usize), &'static str> {
    let sign = match bytes.get(at) {
        Some(b'Z' | b'z') => return Ok((0, at + 1)),
        Some(b'-') => -1,
        Some(b'+') => 1,
        // Only a full `hh:mm` makes the blank an offset's sign; otherwise it ends the literal.
        Some(b' ')
            if digits(bytes, at + 1, 2).is_some()
                && bytes.get(at + 3) == Some(&b':')
                && digits(bytes, at + 4, 2).is_some() =>
        {
            1
        }
        _ => return Ok((0, at)),
    };
    let hours = digits(bytes, at + 1, 2).ok_or("malformed offset")?;
    let minutes_at = if bytes.get(at + 3) == Some(&b':') { at + 4 } else { at + 3 };
    let minutes = digits(bytes, minutes_at, 2).ok_or("malformed offset")?;
    if hours > 14 || minutes > 59 {
        return Err("offset out of range");
    }
    Ok((sign * i64::from(hours * 60 + minutes), minutes_at + 2))
}

/// A moment that takes up the whole text.
#[must_use]
pub fn whole_moment(text: &str) -> Option<Literal> {
    match scan_moment(text) {
        Ok(Some((literal, end))) if end == text.len() => Some(literal),
        _ => None,
    }
}

fn digits(bytes: &[u8], at: usize, count: usize) -> Option<u32> {
    let digits = bytes.get(at..at.checked_add(count)?)?;
    digits.iter().try_fold(0_u32, |value, digit| {
        digit.is_ascii_digit().then(|| value * 10 + u32::from(digit - b'0'))
    })
}

/// Microseconds of an ISO 8601 duration in days, hours, minutes and seconds (`-P1DT2H3.5S`);
/// `None` when it is malformed or longer than a century.
#[must_use]
pub fn parse_duration(text: &str) -> Option<i64> {
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (days, times) = match text.strip_prefix('P')?.split_once('T') {
        Some((_, "")) => return None,
        Some((days, times)) => (days, times),
        None => (text.strip_prefix('P')?, ""),
    };
    if days.is_empty() && times.is_empty() {
        return None;
    }
    let mut seconds = 0_u64;
    if !days.is_empty() {
        seconds = short_integer(days.strip_suffix('D')?)?.checked_mul(DAY_SECONDS)?;
    }
    let mut rest = times;
    for (unit, size) in [('H', 3600), ('M', 60)] {
        if let Some((count, after)) = rest.split_once(unit) {
            seconds = seconds.checked_add(short_integer(count)?.checked_mul(size)?)?;
            rest = after;
        }
    }
    let mut micros = 0;
    if !rest.is_empty() {
        let (whole, fraction) = match rest.strip_suffix('S')?.split_once('.') {
            Some((whole, fraction)) => (whole, fraction),
            None => (rest.strip_suffix('S')?, "0"),
        };
        seconds = seconds.checked_add(short_integer(whole)?)?;
        short_integer(fraction)?;
        micros = format!("{fraction:0<6}").get(..6)?.parse::<i64>().ok()?;
    }
    if seconds > MAX_DURATION_SECONDS {
        return None;
    }
    Some(sign * (i64::try_from(seconds).ok()? * 1_000_000 + micros))
}

fn short_integer(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.len() <= 12 && text.bytes().all(|c| c.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_placed_among_the_whole_numbers() {
        let check = |text: &str, floor: i128, exact: bool| {
            assert_eq!(
                Number::parse(text).map(|n| n.bound()),
                Some(Bound { floor, exact }),
                "{text}"
            );
        };
        check("0", 0, true);
        check("-0", 0, true);
        check("-0.5", -1, false);
        check("2.50", 2, false);
        check("2.000", 2, true);
        check("25e-1", 2, false);
        check("-25e-1", -3, false);
        check("1.5e1", 15, true);
        check("1e-400", 0, false);
        check("9223372036854775808", 9_223_372_036_854_775_808, true);
        check("1e400", i128::from(i64::MAX) * 4, true);
        for bad in ["", "-", "1.", ".5", "1e", "1e401", "0x1", "1_0", "--1", &"9".repeat(65)] {
            assert_eq!(Number::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_moment_is_read_to_the_last_digit() {
        let check = |text: &str, want: &str| {
            let got = match scan_moment(text) {
                Ok(Some((literal, end))) => format!("{literal} {end}"),
                Ok(None) => "none".to_owned(),
                Err(reason) => reason.to_owned(),
            };
            assert_eq!(got, want, "{text}");
        };
        check("2024-01-01", "2024-01-01 10");
        check("2024-02-30", "no such date");
        check("2024-01-01T00:00Z", "2024-01-01T00:00:00.000000000000Z 17");
        check("2024-01-01T01:00:00 00:00", "2024-01-01T01:00:00.000000000000Z 25");
        check("2024-01-01T01:00:00 and", "2024-01-01T01:00:00.000000000000Z 19");
        check("2024-01-01T01:00:00+01:00", "2024-01-01T00:00:00.000000000000Z 25");
        check("2024-01-01T01:00:00-0130", "2024-01-01T02:30:00.000000000000Z 24");
        check("2024-01-01t01:00:00.1234565z", "2024-01-01T01:00:00.123456500000Z 28");
        check("2024-12-31T23:59:60Z", "2025-01-01T00:00:00.000000000000Z 20");
        check("2024-01-01T24:00:00Z", "no such date or time of day");
        check("2024-01-01T00:00:00.Z", "malformed seconds");
        check("2024-01-01T00:00:00.1234567890123Z", "more than 12 fraction digits");
        check("2024-01-01T00:00:00+15:00", "offset out of range");
        check("2024-01-01T", "malformed time of day");
        check("2024-1-1", "none");
        check("0000-01-01T00:00:00+14:00", "0000-01-01T00:00:00.000000000000Z 25");
    }

    #[test]
    fn a_duration_is_microseconds() {
        let check =
            |text: &str, want: Option<i64>| assert_eq!(parse_duration(text), want, "{text}");
        check("P1D", Some(86_400_000_000));
        check("-PT1H30M", Some(-5_400_000_000));
        check("PT0.5S", Some(500_000));
        check("P1DT1.0000019S", Some(86_401_000_001));
        for bad in ["", "P", "PT", "P1", "1D", "PT1D", "PT1M1H", "PT-1S", "P99999999D", "PT.5S"] {
            check(bad, None);
        }
    }
}
