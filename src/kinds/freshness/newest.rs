//! Times as databases and APIs tell them.
//!
//! Owns the forms: ISO 8601 with an offset, without one (UTC), a day, and numbers since 1970. Refuses to
//! guess any other.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

/// Reads a time; `None` where it is none.
pub(in crate::kinds) fn read(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(number) = text.parse::<f64>() {
        return number_of(number);
    }
    let in_utc = |at: DateTime| TimeZone::UTC.to_timestamp(at).ok();
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(at);
    }
    if text.len() <= "2026-11-25".len() {
        return in_utc(text.parse::<Date>().ok()?.at(0, 0, 0, 0));
    }
    in_utc(text.parse::<DateTime>().ok()?)
}

/// Seconds, milliseconds or microseconds since 1970: whichever is nearer to our days.
fn number_of(number: f64) -> Option<Timestamp> {
    let per_second = match number.abs() {
        n if n < 1e11 => 1.0,
        n if n < 1e14 => 1e3,
        _ => 1e6,
    };
    let seconds = number / per_second;
    let known = seconds.is_finite() && seconds.abs() < 1e11;
    #[expect(clippy::cast_possible_truncation, reason = "it is bounded above")]
    known.then(|| Timestamp::from_millisecond((seconds * 1000.0) as i64).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_is_read() {
        for (text, expected) in [
            ("2026-11-25T12:00:00Z", Some("2026-11-25T12:00:00Z")),
            ("2026-11-25T12:00:00+02:00", Some("2026-11-25T10:00:00Z")),
            ("2026-11-25 12:00:00", Some("2026-11-25T12:00:00Z")),
            ("2026-11-25 12:00:00.5", Some("2026-11-25T12:00:00.5Z")),
            ("2026-11-25", Some("2026-11-25T00:00:00Z")),
            (" 1764072000 ", Some("2025-11-25T12:00:00Z")),
            ("1764072000500", Some("2025-11-25T12:00:00.5Z")),
            ("1764072000000000", Some("2025-11-25T12:00:00Z")),
            ("", None),
            ("yesterday", None),
            ("25/11/2026", None),
            ("1e300", None),
            ("NaN", None),
        ] {
            let expected = expected.map(|at| at.parse().expect("an instant"));
            assert_eq!(read(text), expected, "{text}");
        }
    }
}
