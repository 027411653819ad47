//! Decoding of the types that stand in sections.
//!
//! Owns the impls for Rust's own types, and the wrappers that say how a value may be written:
//! [`OneOrMany`], [`ScalarText`], [`Entries`]. Refuses to convert between types silently.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Display;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value as Json;

use super::{Decode, Decoder, Located};
use crate::yaml::code::Code;
use crate::yaml::node::{Node, Value};

impl Decode for String {
    const EXPECTS: &'static str = "a text";

    fn decode(node: &Node<'_>, cx: &mut Decoder) -> Option<Self> {
        if let Some(text) = node.text() {
            return Some(text.to_owned());
        }
        let quoted = cx.written(node);
        let reported = cx.wrong_type(node, Self::EXPECTS);
        if let Some(quoted) = quoted {
            reported.help(format!("quote it: '{quoted}'"));
        }
        None
    }
}

impl Decode for bool {
    const EXPECTS: &'static str = "true or false";

    fn decode(node: &Node<'_>, cx: &mut Decoder) -> Option<Self> {
        if let Value::Bool(value) = node.value {
            return Some(value);
        }
        let meant = match node.text().map(str::to_lowercase).as_deref() {
            Some("yes" | "on" | "y" | "true") => Some("true"),
            Some("no" | "off" | "n" | "false") => Some("false"),
            _ => None,
        };
        let reported = cx.wrong_type(node, Self::EXPECTS);
        if let Some(meant) = meant {
            reported.help(format!("in YAML 1.2 this is a text: write `{meant}` without quotes"));
        }
        None
    }
}

macro_rules! integers {
    ($($int:ty),*) => {$(
        impl Decode for $int {
            const EXPECTS: &'static str = "a whole number";

            fn decode(node: &Node<'_>, cx: &mut Decoder) -> Option<Self> {
                let value = integer(node, cx)?.and_then(|whole| Self::try_from(whole).ok());
                if value.is_none() {
                    out_of_range(node, <$int>::MIN, <$int>::MAX, cx);
                }
                value
            }
        }
    )*};
}

integers!(u8, u16, u32, u64, usize, i32, i64);

/// Reports a whole number outside of its bounds.
pub(crate) fn out_of_range(
    node: &Node<'_>,
    min: impl Display,
    max: impl Display,
    cx: &mut Decoder,
) {
    let message = format!("expected a whole number from {min} to {max}");
    let at = node.head(cx.source());
    cx.report(Code::OutOfRange, at, message);
}

/// A whole number; `Some(None)` is one that has too many digits, `None` was reported.
#[expect(clippy::option_option, reason = "out of range is told apart from not a number")]
pub(crate) fn integer(node: &Node<'_>, cx: &mut Decoder) -> Option<Option<i128>> {
    match &node.value {
        Value::Int(value) => Some(Some(i128::from(*value))),
        Value::Float(value) if value.is_finite() && value.fract() == 0.0 => {
            Some(cx.source().slice(node.span).parse().ok())
        }
        Value::Text(text) if text.trim().parse::<i128>().is_ok() => {
            let plain = text.trim().trim_start_matches('0');
            let plain = if plain.is_empty() { "0" } else { plain }.to_owned();
            let help = format!("write {plain}, without quotes or leading zeros");
            cx.wrong_type(node, "a whole number").help(help);
            None
        }
        _ => {
            cx.wrong_type(node, "a whole number");
            None
        }
    }
}

impl Decode for f64 {
    const EXPECTS: &'static str = "a number";

    fn decode(node: &Node<'_>, cx: &mut Decoder) -> Option<Self> {
        match node.value {
            #[expect(clippy::cast_precision_loss, reason = "whole numbers in jobs are small")]
            Value::Int(value) => Some(value as Self),
            Value::Float(value) if value.is_finite() => Some(value),
            Value::Float(_) => {
                let at = node.head(cx.source());
                cx.report(Code::OutOfRange, at, "expected a finite number");
                None
            }
            _ => {
                cx.wrong_type(node, Self::EXPECTS);
                None
            }
        }
    }
}

impl<T: Decode> Decode for Option<T> {
    const EXPECTS: &'static str = T::EXPECTS;

    fn decode(node: &Node<'_>, cx: &mut Decoder) -> Option<Self> {
        T::decode(node, cx).map(Some)
    }

    fn absent() -> Option<Self> {
        Some(None)
    }

    fn keys() -> Vec<&'static str> {
        T::keys()
    }
}

impl<T: Decode> Decode for Box<T> {
    const EXPECTS: &'static str = T::EXPECTS;

    fn decode(node: &Node<'_>, cx: &mut Decoder) -> Option<Self> {
        T::decode(node, cx).map(Box::new)
    }

    fn keys() -> Vec<&'static str> {
        T::keys()
    }
}

impl<T: Decode> Decode for Vec<T> {
    const EXPECTS: &'static str = "a list";

    fn decode(node: &Node<'_>, cx: &mut Decoder) -> Option<Self> {
        let Value::List(items) = &node.value else {
            cx.wrong_type(node, Self::EXPECTS);
            return None;
        };
        // An item's mistakes are told at the item, not at the key of the list.
        let decode = |item| cx.under(None, |cx| T::decode(item, cx));
        right(items.iter().map(decode))
    }
}

/// The values that are right; none if all are wrong. What is wrong was reported, and does not keep the
/// others from being checked for their meaning.
fn right<T, C: Default + Extend<T>>(values: impl Iterator<Item = Option<T>>) -> Option<C> {
    let (mut right, mut some, mut wrong) = (C::default(), false, false);
    for value in values {
        match value {
            Some(value) => {
                some = true;
                right.extend([value]);
            }
            None => wrong = true,
        }
    }
    (some || !wrong).then_some(right)
}

impl<T: Decode> Decode for BTreeMap<String, T> {
    const EXPECTS: &'static str = "a mapping";

    fn decode(node: &Node<'_>, cx: &mut Decoder) -> Option<Self> {
        let entries = Entries::<T>::decode(node, cx)?;
        Some(entries.0.into_iter().map(|(key, value)| (key.value, value)).collect())
    }
}

/// A mapping with free keys, in the order of the file and with the places of the keys.
#[derive(Clone, Debug, PartialEq)]
pub struct Entries<T>(pub Vec<(Located<String>, T)>);

impl<T> Default for Entries<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Decode> Decode for Entries<T> {
    const EXPECTS: &'static str = "a mapping";

    fn decode(node: &Node<'_>, cx: &mut Decoder) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            cx.wrong_type(node, Self::EXPECTS);
            return None;
        };
        let decode = |entry: &crate::yaml::Entry<'_>| {
            let value = cx.under(Some(entry.key_span), |cx| T::decode(&entry.value, cx))?;
            Some((Located { value: entry.key.to_string(), span: entry.key_span }, value))
        };
        right(entries.iter().map(decode)).map(Self)
    }
}

impl<T: JsonSchema> JsonSchema for Entries<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Entries_of_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        BTreeMap::<String, T>::json_schema(generator)
    }
}

/// A list, or one value that stands for a list of one.
#[derive(Clone, Debug, PartialEq)]
pub struct OneOrMany<T>(pub Vec<T>);

impl<T> Default for OneOrMany<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Decode> Decode for OneOrMany<T> {
    const EXPECTS: &'static str = T::EXPECTS;

    fn decode(node: &Node<'_>, cx: &mut Decoder) -> Option<Self> {
        match &node.value {
            Value::List(_) => Vec::decode(node, cx).map(Self),
            _ => T::decode(node, cx).map(|one| Self(vec![one])),
        }
    }

    fn keys() -> Vec<&'static str> {
        T::keys()
    }
}

impl<T: JsonSchema> JsonSchema for OneOrMany<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("OneOrMany_of_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (one, many) = (generator.subschema_for::<T>(), generator.subschema_for::<Vec<T>>());
        json_schema!({ "anyOf": [one, many] })
    }
}

/// A scalar taken as it is written: a text, a number or a truth value. For places where a program reads it
/// as text anyway, such as arguments and variables: `[sleep, 5]`, `{ PORT: 8080 }`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScalarText(pub String);

impl Decode for ScalarText {
    const EXPECTS: &'static str = "a text or number";

    fn decode(node: &Node<'_>, cx: &mut Decoder) -> Option<Self> {
        let written = cx.written(node);
        if written.is_none() {
            cx.wrong_type(node, Self::EXPECTS);
        }
        // A wrong one stands as an empty text, so that the name that it was given to is known.
        Some(Self(written.unwrap_or_default()))
    }
}

impl JsonSchema for ScalarText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ScalarText".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "number", "boolean"] })
    }
}

impl Decode for Json {
    const EXPECTS: &'static str = "a value";

    fn decode(node: &Node<'_>, cx: &mut Decoder) -> Option<Self> {
        Some(match &node.value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Int(value) => Self::from(*value),
            Value::Float(value) => match serde_json::Number::from_f64(*value) {
                Some(number) => Self::Number(number),
                None => {
                    let at = node.head(cx.source());
                    cx.report(Code::OutOfRange, at, "expected a finite number");
                    return None;
                }
            },
            Value::Text(text) => Self::String(text.to_string()),
            Value::List(items) => {
                Self::Array(right(items.iter().map(|item| Self::decode(item, cx)))?)
            }
            Value::Map(entries) => {
                let pair = |entry: &crate::yaml::Entry<'_>| {
                    Some((entry.key.to_string(), Self::decode(&entry.value, cx)?))
                };
                Self::Object(right(entries.iter().map(pair))?)
            }
        })
    }
}
