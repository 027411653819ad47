//! Times and spans as a command line says them.
//!
//! Owns `90s`, `2h ago`, `2026-11-25T09:00`. Refuses to know what they are for.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil;
use jiff::tz::TimeZone;

/// A span: one number with a unit of `ms s m h d w`, or several in a row: `1h30m`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "write a span of time like 30s, 5m, 2h or 1d".to_owned();
    let mut rest = text.trim();
    let mut total = Duration::ZERO;
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let number: u32 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = &rest[digits..];
        let end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        total += unit(&rest[..end]).ok_or_else(wrong)?.checked_mul(number).ok_or_else(wrong)?;
        rest = rest[end..].trim_start();
    }
    Ok(total)
}

fn unit(word: &str) -> Option<Duration> {
    Some(match word {
        "ms" => Duration::from_millis(1),
        "s" => Duration::from_secs(1),
        "m" | "min" => Duration::from_secs(60),
        "h" => Duration::from_secs(3_600),
        "d" => Duration::from_secs(86_400),
        "w" => Duration::from_secs(604_800),
        _ => return None,
    })
}

/// A point in time, which `now` may be needed to make sense of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// An instant.
    At(Timestamp),
    /// A local time; the command says of which zone.
    Local(civil::DateTime),
    /// So long before now.
    Ago(Duration),
    /// So long after now.
    In(Duration),
}

/// Reads a point in time: RFC 3339, a date, a local time, `2h ago`, `2h` (ago), `in 2h`, `now`.
pub(super) fn when(text: &str) -> Result<When, String> {
    let text = text.trim();
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(When::At(at));
    }
    if let Ok(local) = text.parse::<civil::DateTime>() {
        return Ok(When::Local(local));
    }
    let relative = match (text.strip_prefix("in "), text.strip_suffix(" ago")) {
        _ if text == "now" => Ok(When::In(Duration::ZERO)),
        (Some(span), _) => duration(span).map(When::In),
        (None, Some(span)) => duration(span).map(When::Ago),
        (None, None) => duration(text).map(When::Ago),
    };
    relative
        .map_err(|_| "write a time like 2026-11-25, 2026-11-25T09:00Z, '2h ago' or now".to_owned())
}

impl When {
    /// The instant, with local times read in `zone`.
    pub(super) fn instant(&self, now: Timestamp, zone: &TimeZone) -> Result<Timestamp, String> {
        let out_of_range = |_| "that time is out of range".to_owned();
        match self {
            Self::At(at) => Ok(*at),
            Self::Local(local) => {
                let zoned = zone.to_ambiguous_timestamp(*local).compatible();
                zoned.map_err(out_of_range)
            }
            Self::Ago(span) => now.checked_sub(*span).map_err(out_of_range),
            Self::In(span) => now.checked_add(*span).map_err(out_of_range),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        let cases = [
            ("500ms", Some(500)),
            ("30s", Some(30_000)),
            ("1h30m", Some(5_400_000)),
            ("1h 30m", Some(5_400_000)),
            ("2d", Some(172_800_000)),
            ("0s", Some(0)),
            ("30", None),
            ("", None),
            ("h", None),
            ("-5m", None),
            ("5 parsecs", None),
            ("99999999999s", None),
        ];
        for (text, want) in cases {
            assert_eq!(duration(text).ok(), want.map(Duration::from_millis), "{text:?}");
        }
    }

    #[test]
    fn times() {
        let now: Timestamp = "2026-11-25T12:00:00Z".parse().unwrap();
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let cases = [
            ("now", Some("2026-11-25T12:00:00Z")),
            ("2h", Some("2026-11-25T10:00:00Z")),
            ("2h ago", Some("2026-11-25T10:00:00Z")),
            ("in 1d", Some("2026-11-26T12:00:00Z")),
            ("2026-11-25T09:00Z", Some("2026-11-25T09:00:00Z")),
            ("2026-11-25T09:00:00-05:00", Some("2026-11-25T14:00:00Z")),
            ("2026-11-25T09:00", Some("2026-11-25T08:00:00Z")),
            ("2026-11-25", Some("2026-11-24T23:00:00Z")),
            ("tomorrow", None),
            ("", None),
        ];
        for (text, want) in cases {
            let got = when(text).ok().map(|when| when.instant(now, &zone).unwrap());
            assert_eq!(got, want.map(|at| at.parse().unwrap()), "{text:?}");
        }
    }
}
