//! What a plain scalar is: the core schema of YAML 1.2, with its traps closed.
//!
//! Owns the resolution of unquoted texts. Refuses the truth values of YAML 1.1 (`no` is a text), its octal
//! and sexagesimal numbers (`017` and `12:30` are texts), and underscores in numbers.

use std::borrow::Cow;

use super::node::Value;

/// The value of an unquoted scalar.
pub(super) fn resolve(text: Cow<'_, str>) -> Value<'_> {
    match text.as_ref() {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        other => match number(other) {
            Some(value) => value,
            None => Value::Text(text),
        },
    }
}

fn number(text: &str) -> Option<Value<'static>> {
    let first = *text.as_bytes().first()?;
    if !matches!(first, b'0'..=b'9' | b'+' | b'-' | b'.') {
        return None;
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if let Some(value) = special(text, unsigned).or_else(|| based(text)) {
        return Some(value);
    }
    if !is_decimal(unsigned) {
        return None;
    }
    if unsigned.bytes().all(|b| b.is_ascii_digit())
        && let Ok(whole) = text.parse()
    {
        return Some(Value::Int(whole));
    }
    text.parse().ok().map(Value::Float)
}

fn special(text: &str, unsigned: &str) -> Option<Value<'static>> {
    let value = match unsigned {
        ".inf" | ".Inf" | ".INF" if text.starts_with('-') => f64::NEG_INFINITY,
        ".inf" | ".Inf" | ".INF" => f64::INFINITY,
        ".nan" | ".NaN" | ".NAN" if text == unsigned => f64::NAN,
        _ => return None,
    };
    Some(Value::Float(value))
}

/// Hexadecimal and octal, which the core schema writes without a sign.
fn based(text: &str) -> Option<Value<'static>> {
    let (digits, radix) = match text.as_bytes() {
        [b'0', b'x', ..] => (&text[2..], 16),
        [b'0', b'o', ..] => (&text[2..], 8),
        _ => return None,
    };
    // from_str_radix takes a sign, which must not stand here.
    let clean = digits.starts_with(|c: char| c.is_ascii_hexdigit());
    clean.then(|| i64::from_str_radix(digits, radix).ok()).flatten().map(Value::Int)
}

/// `digits[.digits][e[sign]digits]` or `.digits…`, without a leading zero before another digit.
fn is_decimal(unsigned: &str) -> bool {
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let leading_zero = whole.len() > 1 && whole.starts_with('0');
    let exponent_ok = exponent.is_none_or(|exponent| {
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        !exponent.is_empty() && digits(exponent)
    });
    digits(whole)
        && digits(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && !leading_zero
        && exponent_ok
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_1_2_truth() {
        let resolved = |text: &'static str| resolve(Cow::Borrowed(text));
        for text in [
            "no",
            "yes",
            "on",
            "off",
            "y",
            "n",
            "No",
            "YES",
            "tRue",
            "nULL",
            "017",
            "-017",
            "00",
            "0o8",
            "0xg",
            "0x",
            "0o",
            "0x+1",
            "-0x1f",
            "1_000",
            "12:30",
            "1.2.3",
            "1e",
            "e1",
            ".",
            "+",
            "-",
            "--1",
            "1e+",
            "Infinity",
            "inf",
            "nan",
            "+.nan",
            "2026-01-01",
            "0b1",
            "01.5",
            "٣",
            "1 2",
        ] {
            assert_eq!(resolved(text), Value::Text(text.into()), "{text}");
        }
        for (text, value) in [("0", 0), ("-1", -1), ("+7", 7), ("0x1F", 31), ("0o17", 15)] {
            assert_eq!(resolved(text), Value::Int(value), "{text}");
        }
        for (text, value) in [
            ("0.5", 0.5),
            (".5", 0.5),
            ("5.", 5.0),
            ("-1e3", -1000.0),
            ("1.5E-1", 0.15),
            (".inf", f64::INFINITY),
            ("-.INF", f64::NEG_INFINITY),
            ("9223372036854775808", 9_223_372_036_854_775_808.0),
        ] {
            assert_eq!(resolved(text), Value::Float(value), "{text}");
        }
        for text in ["", "~", "null", "NULL"] {
            assert_eq!(resolved(text), Value::Null, "{text}");
        }
        assert_eq!((resolved("True"), resolved("false")), (Value::Bool(true), Value::Bool(false)));
        assert!(matches!(resolved(".nan"), Value::Float(nan) if nan.is_nan()));
    }
}
