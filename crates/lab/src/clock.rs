//! The hour on the wall, for the times inside generated alerts; durations use the monotonic clock.

/// Seconds since 1970-01-01T00:00:00Z.
pub(crate) fn now_seconds() -> i64 {
    now_micros().div_euclid(1_000_000)
}

/// Microseconds since 1970-01-01T00:00:00Z.
pub(crate) fn now_micros() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "the lab has no server clock to ask")]
    let now = std::time::SystemTime::now();
    let since = now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// `micros` since 1970 in the Graph spelling, to the microsecond.
pub(crate) fn precise_time(micros: i64) -> String {
    let whole = graph_time(micros.div_euclid(1_000_000));
    whole.replace(".0000000Z", &format!(".{:06}0Z", micros.rem_euclid(1_000_000)))
}

/// `seconds` since 1970 in the Graph spelling: UTC, seven fraction digits, `Z`.
pub(crate) fn graph_time(seconds: i64) -> String {
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Days counted from 0000-03-01, so that the leap day ends its year.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.0000000Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments() {
        assert_eq!(graph_time(0), "1970-01-01T00:00:00.0000000Z");
        assert_eq!(graph_time(951_782_399), "2000-02-28T23:59:59.0000000Z");
        assert_eq!(graph_time(951_782_400), "2000-02-29T00:00:00.0000000Z");
        assert_eq!(graph_time(1_798_761_599), "2026-12-31T23:59:59.0000000Z");
        assert_eq!(precise_time(951_782_399_000_042), "2000-02-28T23:59:59.0000420Z");
        assert!(now_seconds() > 1_700_000_000);
    }
}
