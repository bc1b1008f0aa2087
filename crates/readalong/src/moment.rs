//! Moments as people write them: `7d`, `12h`, `2026-12-31`, `2026-12-31T18:00:00Z`.

use std::time::{SystemTime, UNIX_EPOCH};

use readalong_model::Timestamp;

/// Milliseconds of the units that a length of time may have.
const UNITS: [(&str, i64); 5] = [
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
    ("w", 604_800_000),
    ("y", 31_536_000_000),
];

/// Reads a moment; a length of time counts from now.
///
/// # Errors
/// The text is no moment, or is past.
pub(crate) fn parse(text: &str) -> Result<Timestamp, String> {
    parse_at(text, now())
}

/// The present moment.
pub(crate) fn now() -> Timestamp {
    Timestamp::after_epoch(
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default(),
    )
}

fn parse_at(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    let text = text.trim();
    let wrong =
        || format!("`{text}` is no moment: write 12h, 7d, 4w, 2026-12-31 or 2026-12-31T18:00:00Z");
    let length = UNITS.iter().find_map(|(unit, millis)| {
        let number: i64 = text.strip_suffix(unit)?.parse().ok()?;
        number.checked_mul(*millis)
    });
    let moment = match length {
        Some(length) => now
            .millis()
            .checked_add(length)
            .and_then(|millis| Timestamp::from_millis(millis).ok()),
        None if text.len() == 10 => format!("{text}T00:00:00Z").parse().ok(),
        None => text.parse().ok(),
    };
    let moment = moment.ok_or_else(wrong)?;
    match moment > now {
        true => Ok(moment),
        false => Err(format!("`{text}` is past")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_people_write_them() {
        let now: Timestamp = "2026-11-20T10:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("90m", "2026-11-20T11:30:00.000Z"),
            ("12h", "2026-11-20T22:00:00.000Z"),
            ("7d", "2026-11-27T10:00:00.000Z"),
            ("2026-12-31", "2026-12-31T00:00:00.000Z"),
            ("9999-12-31", "9999-12-30T22:00:00.000Z"),
            ("2026-12-31T18:00:00+01:00", "2026-12-31T17:00:00.000Z"),
        ] {
            assert_eq!(parse_at(text, now).unwrap().to_string(), expected);
        }
        for wrong in ["", "soon", "0d", "-1d", "2020-01-01", "99999999999999999y"] {
            assert!(parse_at(wrong, now).is_err(), "{wrong}");
        }
    }
}
