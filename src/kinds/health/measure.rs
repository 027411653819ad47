//! What probes measure, typed, and how it is shown.
//!
//! Owns the kinds of quantity and their words. Refuses to know what is expected of them.

use std::borrow::Cow;
use std::time::Duration;

use serde_json::Value as Json;

/// The kind of a value, which decides how an expectation of it may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quantity {
    /// A part of a whole, in bytes: `< 85%` or `>= 5GiB`.
    Bytes,
    /// A part of a whole that is counted: `< 85%` or `>= 1000`.
    Counted,
    /// A size without a whole: `>= 64MiB`.
    Size,
    /// A share alone: `< 90%`.
    Share,
    /// A time: `< 500ms`.
    Time,
    /// A plain number: `< 4`.
    Number,
    /// An HTTP status: `200`, `[200, 204]`, `2xx`.
    Status,
    /// A text: itself, `{ contains: … }`, `{ matches: … }`.
    Text,
    /// `true` or `false`.
    Flag,
    /// Any value of a JSON document.
    Json,
    /// What a plugin reports, in the unit that it names.
    Plugin,
}

/// A value that a probe measured.
#[derive(Clone, Debug, PartialEq)]
pub enum Measured {
    /// A part of a whole.
    Part {
        /// The part.
        part: f64,
        /// The whole.
        whole: f64,
        /// What both count.
        unit: Unit,
    },
    /// A number with its unit.
    Number(f64, Unit),
    /// A text.
    Text(String),
    /// A truth value.
    Flag(bool),
    /// A JSON document, or a value in one.
    Json(Json),
    /// Nothing, where something should be; why, in words.
    Missing(String),
}

/// The unit of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A fraction of one.
    Share,
    /// Bytes.
    Bytes,
    /// Seconds.
    Time,
    /// None.
    Plain,
}

impl Unit {
    /// What it is, for messages.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Share => "a share",
            Self::Bytes => "a size",
            Self::Time => "a time",
            Self::Plain => "a plain number",
        }
    }
}

/// What one probe measured, by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Reading(Vec<(Cow<'static, str>, Measured)>);

impl Reading {
    /// Adds a value.
    #[must_use]
    pub(super) fn with(mut self, name: impl Into<Cow<'static, str>>, value: Measured) -> Self {
        self.0.push((name.into(), value));
        self
    }

    /// The value of a name.
    #[must_use]
    pub(super) fn get(&self, name: &str) -> Option<&Measured> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// All values that fit into a line: `used 17%, free 83%`.
    #[must_use]
    pub(super) fn shown(&self) -> String {
        let short = |value: &Measured| {
            !matches!(value, Measured::Text(_) | Measured::Json(_) | Measured::Missing(_))
        };
        let values = self.0.iter().filter(|(_, value)| short(value));
        let texts: Vec<String> =
            values.map(|(name, value)| format!("{name} {}", value.shown(None))).collect();
        texts.join(", ")
    }
}

impl Measured {
    /// A time.
    #[must_use]
    pub fn time(time: Duration) -> Self {
        Self::Number(time.as_secs_f64(), Unit::Time)
    }

    /// A size.
    #[must_use]
    pub fn size(bytes: u64) -> Self {
        Self::Number(float(bytes), Unit::Bytes)
    }

    /// A part of a whole.
    #[must_use]
    pub fn part(part: u64, whole: u64, unit: Unit) -> Self {
        Self::Part { part: float(part), whole: float(whole), unit }
    }

    /// The number in a unit, if it has one there.
    #[must_use]
    pub fn number(&self, asked: Unit) -> Option<f64> {
        match self {
            // Of nothing, nothing is used: a host without swap is not out of swap.
            Self::Part { whole, .. } if asked == Unit::Share && *whole <= 0.0 => Some(0.0),
            Self::Part { part, whole, .. } if asked == Unit::Share => Some(part / whole),
            Self::Part { part, unit, .. } if *unit == asked => Some(*part),
            Self::Number(number, unit) if *unit == asked => Some(*number),
            Self::Json(value) if asked == Unit::Plain => value.as_f64(),
            _ => None,
        }
    }

    /// As people read it, in the unit that was asked about.
    #[must_use]
    pub fn shown(&self, asked: Option<Unit>) -> String {
        let natural = match self {
            Self::Part { .. } => Unit::Share,
            Self::Number(_, unit) => *unit,
            _ => Unit::Plain,
        };
        let unit = asked.unwrap_or(natural);
        match (self.number(unit), self) {
            (Some(number), _) => shown(number, unit),
            (None, Self::Flag(flag)) => flag.to_string(),
            (None, Self::Text(text)) => quoted(text),
            (None, Self::Missing(why)) => why.clone(),
            (None, Self::Json(value)) => shortened(&value.to_string()),
            (None, Self::Part { part: number, .. } | Self::Number(number, _)) => {
                shown(*number, natural)
            }
        }
    }
}

/// A number in its unit, with three digits that matter.
#[must_use]
pub(super) fn shown(number: f64, unit: Unit) -> String {
    match unit {
        Unit::Share => format!("{}%", digits(number * 100.0)),
        Unit::Plain => digits(number),
        Unit::Bytes => {
            let units = ["KiB", "MiB", "GiB", "TiB"];
            let mut scaled = (number, "B");
            for unit in units {
                if scaled.0 < 1024.0 {
                    break;
                }
                scaled = (scaled.0 / 1024.0, unit);
            }
            format!("{}{}", digits(scaled.0), scaled.1)
        }
        Unit::Time => {
            let units = [(86_400.0, "d"), (3_600.0, "h"), (60.0, "m"), (1.0, "s")];
            match units.iter().find(|(seconds, _)| number >= *seconds) {
                Some((seconds, unit)) => format!("{}{unit}", digits(number / seconds)),
                None => format!("{}ms", digits(number * 1000.0)),
            }
        }
    }
}

fn digits(number: f64) -> String {
    let places = if number.abs() < 10.0 { 2 } else { usize::from(number.abs() < 100.0) };
    let text = format!("{number:.places$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

fn quoted(text: &str) -> String {
    format!("{:?}", shortened(text))
}

fn shortened(text: &str) -> String {
    crate::yaml::node::shortened(text).into_owned()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "nobody compares sizes to the last byte of a petabyte"
)]
fn float(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_in_three_digits() {
        for (number, unit, expected) in [
            (0.17, Unit::Share, "17%"),
            (0.913_27, Unit::Share, "91.3%"),
            (0.0, Unit::Share, "0%"),
            (1.0, Unit::Share, "100%"),
            (0.000_01, Unit::Share, "0%"),
            (512.0, Unit::Bytes, "512B"),
            (64.0 * 1024.0 * 1024.0, Unit::Bytes, "64MiB"),
            (79_554_000_000.0, Unit::Bytes, "74.1GiB"),
            (1e18, Unit::Bytes, "909495TiB"),
            (0.0034, Unit::Time, "3.4ms"),
            (0.5, Unit::Time, "500ms"),
            (1.5, Unit::Time, "1.5s"),
            (5400.0, Unit::Time, "1.5h"),
            (200.0, Unit::Plain, "200"),
            (0.126, Unit::Plain, "0.13"),
        ] {
            assert_eq!(shown(number, unit), expected);
        }
    }

    #[test]
    fn a_part_is_a_share_and_an_amount() {
        let disk = Measured::part(3 << 30, 4 << 30, Unit::Bytes);
        assert_eq!(disk.number(Unit::Share), Some(0.75));
        assert_eq!(disk.shown(Some(Unit::Bytes)), "3GiB");
        assert_eq!(disk.shown(None), "75%");
        assert_eq!(disk.number(Unit::Time), None);
        assert_eq!(Measured::part(0, 0, Unit::Bytes).number(Unit::Share), Some(0.0));
    }
}
