//! Points in time, UTC, to the millisecond.

use std::{fmt, num::NonZeroI64, str::FromStr};

use jiff::{
    civil::{DateTime, date},
    fmt::temporal::Pieces,
    tz::TimeZone,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Milliseconds since 1970-01-01T00:00:00Z; written as RFC 3339 with `Z`.
// Held moved by `SHIFT`, so that it is never 0 and an optional one is no larger: a long chat has many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(NonZeroI64);

/// The text or number names no point in time that can be written as RFC 3339.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a time (RFC 3339, or seconds or milliseconds since 1970)")]
pub struct TimestampError(String);

/// Numbers above this are milliseconds, below it seconds: the year 5138 in seconds, 1973 in milliseconds.
const SECONDS_MAX: f64 = 1e11;

/// More milliseconds than the calendar has on either side of 1970.
const SHIFT: i64 = 1 << 60;

impl Timestamp {
    /// The time so many milliseconds after 1970, where the calendar has it.
    ///
    /// # Errors
    /// The year is outside of -9999 to 9999.
    pub fn from_millis(millis: i64) -> Result<Self, TimestampError> {
        match jiff::Timestamp::from_millisecond(millis) {
            Ok(_) => Ok(Self::new(millis)),
            Err(_) => Err(TimestampError(millis.to_string())),
        }
    }

    /// The time so long after 1970, as clocks give it; the last millisecond that there is where the calendar ends before.
    pub fn after_epoch(since: std::time::Duration) -> Self {
        let millis = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
        Self::new(millis.min(Self::last().millis()))
    }

    /// A time of the calendar.
    fn new(millis: i64) -> Self {
        Self(NonZeroI64::new(millis + SHIFT).unwrap_or(NonZeroI64::MIN))
    }

    fn last() -> Self {
        // The milliseconds behind the last whole second are refused when they are read again.
        Self::new(jiff::Timestamp::MAX.as_second() * 1000)
    }

    /// Reads a number as foreign transcripts write it: seconds (with fraction), milliseconds, microseconds or nanoseconds since 1970.
    ///
    /// # Errors
    /// The number is not finite or outside of the calendar.
    pub fn from_number(number: f64) -> Result<Self, TimestampError> {
        let millis = match number.abs() {
            seconds if seconds < SECONDS_MAX => number * 1e3,
            millis if millis < SECONDS_MAX * 1e3 => number,
            micros if micros < SECONDS_MAX * 1e6 => number / 1e3,
            _ => number / 1e6,
        };
        if !millis.is_finite() || millis.abs() > 1e15 {
            return Err(TimestampError(number.to_string()));
        }
        Self::from_millis(millis.round() as i64)
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub fn millis(self) -> i64 {
        self.0.get() - SHIFT
    }

    /// `YYYY-MM-DD`, UTC.
    pub fn date(self) -> String {
        self.to_string()[..10].to_owned()
    }

    /// `HH:MM`, UTC.
    pub fn clock(self) -> String {
        self.to_string()[11..16].to_owned()
    }

    fn jiff(self) -> jiff::Timestamp {
        jiff::Timestamp::from_millisecond(self.millis()).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.jiff())
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    /// Reads RFC 3339; a time without offset is taken as UTC, one behind the last that there is as the last.
    fn from_str(text: &str) -> Result<Self, TimestampError> {
        if let Ok(time) = text.parse::<jiff::Timestamp>() {
            return Ok(Self::new(time.as_millisecond()).min(Self::last()));
        }
        if let Ok(naive) = text.parse::<DateTime>()
            && let Ok(time) = naive.to_zoned(TimeZone::UTC)
        {
            return Ok(Self::new(time.timestamp().as_millisecond()).min(Self::last()));
        }
        match Pieces::parse(text) {
            // People write the last day of the calendar for what never ends; times end before it, so that no offset leads out of it.
            Ok(pieces) if pieces.date() >= date(9999, 12, 30) => Ok(Self::last()),
            _ => Err(TimestampError(text.chars().take(80).collect())),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_transcripts_write() {
        for (text, expected) in [
            ("2026-02-23T12:47:42.123Z", "2026-02-23T12:47:42.123Z"),
            ("2026-02-23T14:47:42+02:00", "2026-02-23T12:47:42.000Z"),
            ("2026-02-23 12:47:42.123456789Z", "2026-02-23T12:47:42.123Z"),
            ("2026-02-23T12:47:42", "2026-02-23T12:47:42.000Z"),
            ("9999-12-31T23:59:59Z", "9999-12-30T22:00:00.000Z"),
            ("9999-12-30T22:00:00.5Z", "9999-12-30T22:00:00.000Z"),
            ("9999-12-31", "9999-12-30T22:00:00.000Z"),
        ] {
            assert_eq!(
                text.parse::<Timestamp>().unwrap().to_string(),
                expected,
                "{text}"
            );
        }
        for text in ["", "yesterday", "2026-13-01T00:00:00Z", "9999-12-31 or so"] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
    }

    #[test]
    fn tells_seconds_from_milliseconds() {
        let time = Timestamp::from_number(1_700_000_000.5).unwrap();
        assert_eq!(time, Timestamp::from_number(1_700_000_000_500.0).unwrap());
        assert_eq!(
            (time.date().as_str(), time.clock().as_str()),
            ("2023-11-14", "22:13")
        );
        for number in [1_700_000_000_500_000.0, 1_700_000_000_500_000_000.0] {
            assert_eq!(time, Timestamp::from_number(number).unwrap());
        }
        assert!(Timestamp::from_number(f64::NAN).is_err());
        assert!(Timestamp::from_number(1e30).is_err());
    }
}
