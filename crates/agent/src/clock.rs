//! Moments, and the only place of the agent that asks the device what time it is.
//!
//! A moment is whole microseconds since 1970-01-01T00:00:00Z, as on the wire. Everything that
//! decides by time takes the moment as an argument; what must not follow a changed clock (the
//! watchdog, back-off) uses `Instant` instead.

#![expect(clippy::disallowed_methods, reason = "this is the place that asks")]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A second in microseconds.
pub(crate) const SECOND: i64 = 1_000_000;
/// An hour in microseconds.
pub(crate) const HOUR: i64 = 3_600 * SECOND;
/// A day in microseconds.
pub(crate) const DAY: i64 = 24 * HOUR;

/// Now, by the device's clock.
pub(crate) fn now() -> i64 {
    micros(SystemTime::now())
}

/// A moment of the system's kind as one of ours.
pub(crate) fn micros(at: SystemTime) -> i64 {
    match at.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |m| -m),
    }
}

/// Blocks this thread, never the runtime's: for retries inside an action.
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}
