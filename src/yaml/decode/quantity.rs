//! Durations, sizes and shares as people write them.
//!
//! Owns `30s`, `1h30m`, `64MiB` and `30%`. Refuses bare numbers, which leave open what they count.

use std::borrow::Cow;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::{Decode, Decoder};
use crate::yaml::code::Code;
use crate::yaml::node::{Node, Value, shortened};

/// A duration: whole numbers with units `ms s m h d`, as in `30s` or `1h30m`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DurationText(pub Duration);

/// A size in bytes: a number with a unit `B KB MB GB TB` (thousands) or `KiB MiB GiB TiB` (1024).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SizeText(pub u64);

/// A share: `30%`, kept as a fraction of one.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct ShareText(pub f64);

/// Longest duration taken, so that adding it to any instant of our time stays a valid instant.
const MAX_DURATION: Duration = Duration::from_hours(24 * 365 * 100);

const DURATION_PATTERN: &str = r"^(\d+(ms|s|m|h|d))+$";
const SIZE_PATTERN: &str = r"^\d+(\.\d+)? ?([KMGT]i?)?B$";
const SHARE_PATTERN: &str = r"^\d+(\.\d+)? ?%$";

/// Reads `30s`, `5m`, `2h`, `1d`, `1h30m`, `500ms`; units must come in descending order, each once.
pub fn parse_duration(text: &str) -> Option<Duration> {
    const UNITS: [(&str, u64); 5] =
        [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
    let (mut rest, mut total, mut next_unit) = (text, 0_u64, 0);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = rest.split_at(digits);
        let letters = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, tail) = tail.split_at(letters);
        let at = next_unit + UNITS[next_unit..].iter().position(|(name, _)| *name == unit)?;
        total = number.parse::<u64>().ok()?.checked_mul(UNITS[at].1)?.checked_add(total)?;
        (rest, next_unit) = (tail, at + 1);
    }
    let total = Duration::from_millis(total);
    (!text.is_empty() && total <= MAX_DURATION).then_some(total)
}

/// Reads `512B`, `64MiB`, `1.5GB`.
pub fn parse_size(text: &str) -> Option<u64> {
    const UNITS: [(&str, u64); 9] = [
        ("B", 1),
        ("KB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("TB", 1_000_000_000_000),
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("TiB", 1 << 40),
    ];
    let (number, unit) = number_and_unit(text)?;
    let factor = UNITS.iter().find(|(name, _)| *name == unit)?.1;
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(factor);
    }
    #[expect(clippy::cast_precision_loss, reason = "a fraction of a unit is not exact anyway")]
    let bytes = number.parse::<f64>().ok()? * factor as f64;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "digits only, so not negative, and checked against the largest size"
    )]
    (bytes < 9e18).then_some(bytes.round() as u64)
}

/// Reads `30%`, `99.5%`, from 0 to 100, as a fraction of one.
pub fn parse_share(text: &str) -> Option<f64> {
    let (number, "%") = number_and_unit(text)? else { return None };
    let percent: f64 = number.parse().ok()?;
    (percent <= 100.0).then_some(percent / 100.0)
}

/// Splits digits with at most one point from what follows them, one blank between allowed.
fn number_and_unit(text: &str) -> Option<(&str, &str)> {
    let digits = text.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
    let (number, unit) = text.split_at(digits);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let fits = !whole.is_empty() && !fraction.is_empty() && !fraction.contains('.');
    fits.then(|| (number, unit.strip_prefix(' ').unwrap_or(unit)))
}

/// How a quantity is named and written, for findings and schemas.
struct Form {
    code: Code,
    expects: &'static str,
    examples: &'static str,
    /// The unit that a bare number is offered.
    unit: &'static str,
}

fn decode_quantity<T>(
    node: &Node<'_>,
    cx: &mut Decoder,
    form: &Form,
    parse: impl Fn(&str) -> Option<T>,
) -> Option<T> {
    let text = match &node.value {
        Value::Text(text) => text.as_ref(),
        Value::Int(number) if *number >= 0 => {
            let message = format!("expected {}, found a number without unit", form.expects);
            let at = node.head(cx.source());
            cx.report(form.code, at, message).help(format!("write {number}{}", form.unit));
            return None;
        }
        _ => {
            cx.wrong_type(node, form.expects);
            return None;
        }
    };
    let parsed = parse(text);
    if parsed.is_none() {
        let message = format!("`{}` is not {}", shortened(text), form.expects);
        let at = cx.within(node, 0..text.len());
        cx.report(form.code, at, message).help(format!("write it like {}", form.examples));
    }
    parsed
}

macro_rules! quantity {
    ($name:ident($inner:ty) = $parse:ident, $pattern:ident, $form:expr) => {
        impl $name {
            const FORM: Form = $form;
        }

        impl Decode for $name {
            const EXPECTS: &'static str = Self::FORM.expects;

            fn decode(node: &Node<'_>, cx: &mut Decoder) -> Option<Self> {
                decode_quantity(node, cx, &Self::FORM, $parse).map(Self)
            }
        }

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern })
            }
        }

        impl From<$name> for $inner {
            fn from(text: $name) -> Self {
                text.0
            }
        }
    };
}

quantity!(
    DurationText(Duration) = parse_duration,
    DURATION_PATTERN,
    Form {
        code: Code::BadDuration,
        expects: "a duration",
        examples: "`30s`, `5m`, `2h`, `1d` or `1h30m`",
        unit: "s",
    }
);
quantity!(
    SizeText(u64) = parse_size,
    SIZE_PATTERN,
    Form {
        code: Code::BadSize,
        expects: "a size",
        examples: "`512KiB`, `64MiB` or `2GB`",
        unit: "B",
    }
);
quantity!(
    ShareText(f64) = parse_share,
    SHARE_PATTERN,
    Form {
        code: Code::BadShare,
        expects: "a share",
        examples: "`30%`, from 0% to 100%",
        unit: "%"
    }
);
