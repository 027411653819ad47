//! What is expected of a measured value: one syntax for all of them.
//!
//! Owns [`Condition`]: how it is held against a value. How it is read is `syntax`. Refuses to know where
//! the value comes from.

use serde_json::Value as Json;

use super::measure::{Measured, Unit, shown};
use crate::kinds::command::PatternText;
use crate::kinds::process::Pattern;

/// A condition on one value.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// A number compared with a bound.
    Compare(Comparison, f64, Unit),
    /// The value itself.
    Is(Json),
    /// A status whose first digit is this.
    Class(u16),
    /// A text that occurs in it.
    Contains(String),
    /// A pattern that occurs in it.
    Matches(PatternText),
    /// At least one of these.
    Any(Vec<Self>),
    /// Each of these.
    All(Vec<Self>),
}

/// How a number is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    More,
    /// `>=`
    AtLeast,
    /// `==`
    Equal,
    /// `!=`
    Other,
}

impl Comparison {
    /// Every one with its sign, the longer signs first.
    pub const SIGNS: [(&'static str, Self); 6] = [
        ("<=", Self::AtMost),
        (">=", Self::AtLeast),
        ("==", Self::Equal),
        ("!=", Self::Other),
        ("<", Self::Less),
        (">", Self::More),
    ];

    /// The sign.
    #[must_use]
    pub fn sign(self) -> &'static str {
        Self::SIGNS.iter().find(|(_, known)| *known == self).map_or("", |(sign, _)| sign)
    }

    fn holds(self, left: f64, right: f64) -> bool {
        // Adding zero makes a zero of the negative one, which is no other number to people.
        let order = (left + 0.0).total_cmp(&(right + 0.0));
        match self {
            Self::Less => order.is_lt(),
            Self::AtMost => order.is_le(),
            Self::More => order.is_gt(),
            Self::AtLeast => order.is_ge(),
            Self::Equal => order.is_eq(),
            Self::Other => order.is_ne(),
        }
    }
}

impl Condition {
    /// Whether a value meets it.
    ///
    /// # Errors
    /// Why the two can't be held against each other, in words.
    pub fn holds(&self, value: &Measured) -> Result<bool, String> {
        match self {
            Self::Compare(comparison, bound, unit) => match value.number(*unit) {
                Some(number) => Ok(comparison.holds(number, *bound)),
                None => Err(format!("{} is not {}", value.shown(None), unit.word())),
            },
            Self::Is(expected) => Ok(is(expected, value)),
            Self::Class(class) => {
                let status = value.number(Unit::Plain).unwrap_or_default();
                let (from, below) = (f64::from(*class) * 100.0, f64::from(*class + 1) * 100.0);
                Ok(from <= status && status < below)
            }
            Self::Contains(part) => Ok(text(value).contains(part)),
            Self::Matches(pattern) => Ok(Pattern::parse(&pattern.0)?.is_in(text(value).as_bytes())),
            Self::Any(conditions) => {
                conditions.iter().try_fold(false, |any, one| Ok(any || one.holds(value)?))
            }
            Self::All(conditions) => {
                conditions.iter().try_fold(true, |all, one| Ok(all && one.holds(value)?))
            }
        }
    }

    /// The unit that its numbers are in, for showing the value beside it.
    #[must_use]
    pub fn unit(&self) -> Option<Unit> {
        match self {
            Self::Compare(_, _, unit) => Some(*unit),
            Self::Any(conditions) | Self::All(conditions) => conditions.iter().find_map(Self::unit),
            Self::Is(_) | Self::Class(_) | Self::Contains(_) | Self::Matches(_) => None,
        }
    }

    /// As people read it: `< 85%`.
    #[must_use]
    pub fn shown(&self) -> String {
        let list = |conditions: &[Self], between: &str| {
            let shown: Vec<String> = conditions.iter().map(Self::shown).collect();
            shown.join(between)
        };
        match self {
            Self::Compare(comparison, bound, unit) => {
                format!("{} {}", comparison.sign(), shown(*bound, *unit))
            }
            Self::Is(Json::String(text)) => format!("{text:?}"),
            Self::Is(value) => value.to_string(),
            Self::Class(class) => format!("{class}xx"),
            Self::Contains(part) => format!("with {part:?} in it"),
            Self::Matches(pattern) => format!("matching /{}/", pattern.0),
            Self::Any(conditions) => list(conditions, " or "),
            Self::All(conditions) => list(conditions, " and "),
        }
    }
}

fn is(expected: &Json, value: &Measured) -> bool {
    match (expected, value) {
        (Json::Bool(expected), Measured::Flag(flag)) => expected == flag,
        (Json::String(expected), Measured::Text(text)) => expected == text.trim(),
        // 1 and 1.0 are the same number to whoever writes them.
        (Json::Number(expected), value) => match (expected.as_f64(), value.number(Unit::Plain)) {
            (Some(expected), Some(number)) => expected.total_cmp(&number).is_eq(),
            _ => false,
        },
        (expected, Measured::Json(value)) => expected == value,
        _ => false,
    }
}

fn text(value: &Measured) -> std::borrow::Cow<'_, str> {
    match value {
        Measured::Text(text) | Measured::Json(Json::String(text)) => text.into(),
        Measured::Json(value) => value.to_string().into(),
        other => other.shown(None).into(),
    }
}
