//! How an expectation is written.
//!
//! Owns the way from YAML to a [`Condition`]: first the plain form ([`Raw`]), which any value can have,
//! then the meaning, which depends on what is measured. Every mistake is told at its place, and so is a
//! condition that always or never holds. Refuses to know which probe measures what.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::Value as Json;

use super::condition::{Comparison, Condition};
use super::measure::{Quantity, Unit};
use crate::kinds::command::PatternText;
use crate::yaml::decode::quantity::{parse_duration, parse_share, parse_size};
use crate::yaml::{Code, Decode, Decoder, Located, Node, Span, Value};

/// An expectation as it is written, before its meaning is known.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Raw {
    /// A text, a number or a truth value.
    Scalar(String, Json),
    /// A list, of which one is enough.
    List(Vec<Located<Self>>),
    /// A mapping.
    Map(Vec<(Located<String>, Located<Self>)>),
}

impl Decode for Raw {
    const EXPECTS: &'static str = "an expectation, such as \"< 85%\"";

    fn decode(node: &Node<'_>, cx: &mut Decoder) -> Option<Self> {
        match &node.value {
            Value::List(items) => {
                let items = items.iter().map(|item| Located::decode(item, cx));
                items.collect::<Vec<_>>().into_iter().collect::<Option<_>>().map(Self::List)
            }
            Value::Map(entries) => {
                let entries = entries.iter().map(|entry| {
                    let key = Located { value: entry.key.to_string(), span: entry.key_span };
                    Some((key, Located::decode(&entry.value, cx)?))
                });
                entries.collect::<Vec<_>>().into_iter().collect::<Option<_>>().map(Self::Map)
            }
            _ => {
                let Some(written) = cx.written(node) else {
                    cx.wrong_type(node, Self::EXPECTS);
                    return None;
                };
                Some(Self::Scalar(written, Json::decode(node, cx)?))
            }
        }
    }
}

impl JsonSchema for Raw {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Expectation".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "number", "boolean", "array", "object"] })
    }
}

/// Reads the condition on a value of this kind; what is wrong with it is reported.
pub(super) fn condition(
    raw: &Located<Raw>,
    quantity: Quantity,
    cx: &mut Decoder,
) -> Option<Condition> {
    match &raw.value {
        Raw::Scalar(written, value) => {
            let scalar = Scalar { written, value, span: raw.span };
            scalar.condition(quantity, cx)
        }
        Raw::List(items) if items.is_empty() => {
            cx.report(Code::BadCondition, raw.span, "nothing can be one of no values")
                .help("list at least one value");
            None
        }
        Raw::List(items) => {
            let read = items.iter().map(|item| condition(item, quantity, cx));
            let read: Vec<_> = read.collect();
            read.into_iter().collect::<Option<_>>().map(Condition::Any)
        }
        Raw::Map(entries) => text_conditions(entries, raw.span, quantity, cx),
    }
}

/// The conditions of `{ contains: …, matches: … }`.
fn text_conditions(
    entries: &[(Located<String>, Located<Raw>)],
    span: Span,
    quantity: Quantity,
    cx: &mut Decoder,
) -> Option<Condition> {
    if !matches!(quantity, Quantity::Text | Quantity::Json) {
        let reported = cx.report(Code::BadCondition, span, "this is no text to look into");
        reported.help(format!("write {}", quantity.example()));
        return None;
    }
    let mut all = Vec::new();
    for (key, value) in entries {
        let Raw::Scalar(text, _) = &value.value else {
            cx.report(Code::WrongType, value.span, "expected a text");
            return None;
        };
        match key.as_str() {
            "contains" => all.push(Condition::Contains(text.clone())),
            "matches" => match crate::kinds::process::Pattern::parse(text) {
                Ok(_) => all.push(Condition::Matches(PatternText(text.clone()))),
                Err(error) => {
                    let message = format!("this regular expression can't be read: {error}");
                    cx.report(Code::BadCondition, value.span, message);
                    return None;
                }
            },
            other => {
                let message = format!("unknown key `{other}`");
                let reported = cx.report(Code::UnknownKey, key.span, message);
                reported.help("a text is looked into with `contains` and `matches`");
                return None;
            }
        }
    }
    Some(Condition::All(all))
}

/// A scalar that is to become a condition.
struct Scalar<'a> {
    written: &'a str,
    value: &'a Json,
    span: Span,
}

impl Scalar<'_> {
    fn condition(&self, quantity: Quantity, cx: &mut Decoder) -> Option<Condition> {
        let text = self.written.trim();
        let sign = Comparison::SIGNS.into_iter().find(|(sign, _)| text.starts_with(sign));
        if quantity == Quantity::Text {
            return Some(Condition::Is(self.written.into()));
        }
        let Some((sign, comparison)) = sign else { return self.equality(quantity, cx) };
        let bound = text[sign.len()..].trim();
        let (bound, unit) = self.bound(bound, quantity, cx)?;
        self.refuse_foregone(comparison, bound, unit, cx)?;
        Some(Condition::Compare(comparison, bound, unit))
    }

    /// A value without a comparison.
    fn equality(&self, quantity: Quantity, cx: &mut Decoder) -> Option<Condition> {
        let number = self.value.as_f64();
        match quantity {
            Quantity::Status => self.status(cx),
            Quantity::Flag if self.value.is_boolean() => Some(Condition::Is(self.value.clone())),
            Quantity::Json => Some(Condition::Is(self.value.clone())),
            Quantity::Number | Quantity::Counted | Quantity::Plugin if number.is_some() => {
                Some(Condition::Compare(Comparison::Equal, number?, Unit::Plain))
            }
            _ => {
                let message = if self.written.starts_with('=') {
                    "equality is written `==`".to_owned()
                } else {
                    format!("`{}` does not say how to compare", self.written)
                };
                let help = format!("write {}", quantity.example());
                cx.report(Code::BadCondition, self.span, message).help(help);
                None
            }
        }
    }

    /// `200` or `2xx`.
    fn status(&self, cx: &mut Decoder) -> Option<Condition> {
        if let Some(class) = self.written.to_ascii_lowercase().strip_suffix("xx")
            && let Ok(class @ 1..=5) = class.parse()
        {
            return Some(Condition::Class(class));
        }
        match self.value.as_f64() {
            Some(status) if (100.0..=599.0).contains(&status) => {
                Some(Condition::Is(self.value.clone()))
            }
            _ => {
                let message = format!("`{}` is no HTTP status", self.written);
                let help = "write a number from 100 to 599, a class such as 2xx, or a list of both";
                cx.report(Code::BadCondition, self.span, message).help(help);
                None
            }
        }
    }

    /// The bound of a comparison, with its unit.
    fn bound(&self, text: &str, quantity: Quantity, cx: &mut Decoder) -> Option<(f64, Unit)> {
        let share = || parse_share(text).map(|share| (share, Unit::Share));
        let size = || parse_size(text).map(|bytes| (float(bytes), Unit::Bytes));
        let time = || parse_duration(text).map(|time| (time.as_secs_f64(), Unit::Time));
        let number = || number(text).map(|number| (number, Unit::Plain));
        let found = match quantity {
            Quantity::Bytes => share().or_else(size),
            Quantity::Counted => share().or_else(number),
            Quantity::Size => size(),
            Quantity::Share => share(),
            Quantity::Time => time(),
            Quantity::Number | Quantity::Status | Quantity::Json => number(),
            Quantity::Plugin => share().or_else(size).or_else(time).or_else(number),
            Quantity::Text | Quantity::Flag => None,
        };
        if found.is_none() {
            let (code, message) = match quantity {
                Quantity::Flag => {
                    (Code::BadCondition, "only true or false is expected here".to_owned())
                }
                _ if text.is_empty() => {
                    (Code::BadCondition, "there is nothing to compare with".to_owned())
                }
                _ => (quantity.code(text), format!("`{text}` is not {}", quantity.bound_word())),
            };
            let help = format!("write {}", quantity.example());
            cx.report(code, self.part(text, cx), message).help(help);
        }
        found
    }

    /// A condition that the value can't but meet, or can't ever meet, says nothing of it.
    fn refuse_foregone(
        &self,
        comparison: Comparison,
        bound: f64,
        unit: Unit,
        cx: &mut Decoder,
    ) -> Option<()> {
        let top = if unit == Unit::Share { 1.0 } else { f64::INFINITY };
        // Plain numbers may be negative; shares, sizes and times are not.
        let bottom = if unit == Unit::Plain { f64::NEG_INFINITY } else { 0.0 };
        let always = match comparison {
            Comparison::AtMost => bound >= top,
            Comparison::AtLeast => bound <= bottom,
            _ => false,
        };
        let never = match comparison {
            Comparison::Less => bound <= bottom,
            Comparison::More => bound >= top,
            _ => false,
        };
        if !always && !never {
            return Some(());
        }
        let how = if always { "always" } else { "never" };
        let message = format!("`{}` {how} holds", self.written.trim());
        cx.report(Code::BadCondition, self.span, message)
            .help("give it a bound that can be crossed");
        None
    }

    /// The place of a part of the text.
    fn part(&self, text: &str, cx: &Decoder) -> Span {
        let start = self.span.start as usize;
        match self.written.rfind(text).filter(|_| !text.is_empty()) {
            Some(at) if cx.source().slice(self.span) == self.written => {
                Span::new(start + at..start + at + text.len())
            }
            _ => self.span,
        }
    }
}

impl Quantity {
    /// How an expectation of it may be written.
    fn example(self) -> &'static str {
        match self {
            Self::Bytes => "it like \"< 85%\" or \">= 5GiB\"",
            Self::Counted => "it like \"< 85%\" or \">= 1000\"",
            Self::Size => "it like \">= 64MiB\"",
            Self::Share => "it like \"< 90%\"",
            Self::Time => "it like \"< 500ms\"",
            Self::Number | Self::Json => "it like \"< 4\"",
            Self::Status => "it like 200, [200, 204], 2xx or \"< 400\"",
            Self::Text => "the text, { contains: TEXT } or { matches: PATTERN }",
            Self::Flag => "true or false",
            Self::Plugin => "it like \"< 4\", \"< 85%\" or \"< 500ms\", in the plugin's own unit",
        }
    }

    fn bound_word(self) -> &'static str {
        match self {
            Self::Bytes => "a share or a size",
            Self::Counted => "a share or a number",
            Self::Size => "a size",
            Self::Share => "a share",
            Self::Time => "a time",
            _ => "a number",
        }
    }

    /// The code of a bound that can't be read.
    fn code(self, text: &str) -> Code {
        let bare = number(text).is_some();
        match self {
            Self::Share => Code::BadShare,
            Self::Bytes | Self::Counted if bare || text.ends_with('%') => Code::BadShare,
            Self::Bytes | Self::Size => Code::BadSize,
            Self::Time => Code::BadDuration,
            _ => Code::BadCondition,
        }
    }
}

fn number(text: &str) -> Option<f64> {
    let plain = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+');
    text.bytes().all(plain).then(|| text.parse().ok()).flatten()
}

#[expect(clippy::cast_precision_loss, reason = "bounds are round numbers")]
fn float(bytes: u64) -> f64 {
    bytes as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::health::measure::Measured;
    use crate::yaml::{self, Source};

    fn read(text: &str, quantity: Quantity) -> Result<Condition, String> {
        let source = Source::new("x.yaml", text);
        let (documents, found) = yaml::parse(&source);
        assert!(found.is_empty(), "{text}: {found:?}");
        let mut cx = Decoder::new(&source);
        let raw = Located::<Raw>::decode(&documents[0].root, &mut cx);
        let read = raw.and_then(|raw| condition(&raw, quantity, &mut cx));
        let found = cx.finish();
        let told = found.iter().map(|d| {
            let at = source.slice(d.span.unwrap());
            format!("{} `{at}` {}; {}", d.code, d.message, d.help.as_deref().unwrap_or_default())
        });
        read.ok_or_else(|| told.collect())
    }

    #[test]
    fn conditions_hold_as_they_say() {
        let disk = |part| Measured::part(part, 100, Unit::Bytes);
        let time = |ms| Measured::time(std::time::Duration::from_millis(ms));
        let number = |n| Measured::Number(n, Unit::Plain);
        let text = |text: &str| Measured::Text(text.to_owned());
        let json = |text: &str| Measured::Json(serde_json::from_str(text).unwrap());
        for (condition, quantity, value, expected) in [
            ("'< 85%'", Quantity::Bytes, disk(84), true),
            ("'< 85%'", Quantity::Bytes, disk(85), false),
            ("'<= 85%'", Quantity::Bytes, disk(85), true),
            ("'>85%'", Quantity::Bytes, disk(85), false),
            ("' >=  85 % '", Quantity::Bytes, disk(85), true),
            ("'>= 50B'", Quantity::Bytes, disk(49), false),
            ("'>= 50'", Quantity::Counted, Measured::part(50, 100, Unit::Plain), true),
            ("'>= 64MiB'", Quantity::Size, Measured::size(64 << 20), true),
            ("'< 500ms'", Quantity::Time, time(499), true),
            ("'< 500ms'", Quantity::Time, time(500), false),
            ("'< 1m30s'", Quantity::Time, time(89_000), true),
            ("'< 4'", Quantity::Number, number(3.99), true),
            ("'!= 0'", Quantity::Number, number(0.0), false),
            ("3", Quantity::Number, number(3.0), true),
            ("'> -1.5'", Quantity::Number, number(-1.0), true),
            ("200", Quantity::Status, number(200.0), true),
            ("200", Quantity::Status, number(204.0), false),
            ("[200, 204]", Quantity::Status, number(204.0), true),
            ("[200, 3xx]", Quantity::Status, number(302.0), true),
            ("[200, 3xx]", Quantity::Status, number(400.0), false),
            ("2XX", Quantity::Status, number(299.0), true),
            ("'< 400'", Quantity::Status, number(404.0), false),
            ("true", Quantity::Flag, Measured::Flag(true), true),
            ("false", Quantity::Flag, Measured::Flag(true), false),
            ("ok", Quantity::Text, text("ok\n"), true),
            ("'< 5'", Quantity::Text, text("< 5"), true),
            ("{ contains: ok }", Quantity::Text, text("all ok here"), true),
            ("{ contains: ok, matches: '^a' }", Quantity::Text, text("ok"), false),
            ("{ matches: 'v\\d+' }", Quantity::Text, text("v12"), true),
            ("ready", Quantity::Json, json("\"ready\""), true),
            ("1", Quantity::Json, json("1.0"), true),
            ("'< 10'", Quantity::Json, json("9"), true),
            ("true", Quantity::Json, json("true"), true),
            ("[a, b]", Quantity::Json, json("\"b\""), true),
            ("{ contains: x }", Quantity::Json, json("[\"x\"]"), true),
            ("'< 85%'", Quantity::Plugin, Measured::Number(0.5, Unit::Share), true),
        ] {
            let read = read(condition, quantity).unwrap();
            assert_eq!(read.holds(&value), Ok(expected), "{condition} of {value:?}");
        }
    }

    #[test]
    fn a_unit_that_does_not_fit_is_no_verdict() {
        let seconds = read("'< 5s'", Quantity::Plugin).unwrap();
        let share = Measured::Number(0.5, Unit::Share);
        assert_eq!(seconds.holds(&share), Err("50% is not a time".to_owned()));
        let ten = read("'< 10'", Quantity::Json).unwrap();
        let text = Measured::Json("high".into());
        assert_eq!(ten.holds(&text), Err("\"high\" is not a plain number".to_owned()));
    }

    #[test]
    fn what_can_not_be_meant_is_told() {
        let told: Vec<String> = [
            ("'under 85%'", Quantity::Bytes),
            ("'< 0.85'", Quantity::Bytes),
            ("'< 500ms'", Quantity::Bytes),
            ("'< 850%'", Quantity::Bytes),
            ("85%", Quantity::Bytes),
            ("'< 5 apples'", Quantity::Size),
            ("'< 85%'", Quantity::Time),
            ("'< 500'", Quantity::Time),
            ("'<'", Quantity::Time),
            ("'= 5'", Quantity::Number),
            ("'< 5x'", Quantity::Number),
            ("'< 0%'", Quantity::Bytes),
            ("'<= 100%'", Quantity::Bytes),
            ("'>= 0s'", Quantity::Time),
            ("99", Quantity::Status),
            ("ok", Quantity::Status),
            ("9xx", Quantity::Status),
            ("[]", Quantity::Status),
            ("[200, bad]", Quantity::Status),
            ("'yes'", Quantity::Flag),
            ("'> 1'", Quantity::Flag),
            ("{ contains: x }", Quantity::Number),
            ("{ has: x }", Quantity::Text),
            ("{ matches: 'a(' }", Quantity::Text),
            ("{ contains: [x] }", Quantity::Text),
        ]
        .iter()
        .map(|(text, quantity)| format!("{text}: {}", read(text, *quantity).unwrap_err()))
        .collect();
        insta::assert_snapshot!(told.join("\n"), @r#"
        'under 85%': J057 `under 85%` `under 85%` does not say how to compare; write it like "< 85%" or ">= 5GiB"
        '< 0.85': J029 `0.85` `0.85` is not a share or a size; write it like "< 85%" or ">= 5GiB"
        '< 500ms': J028 `500ms` `500ms` is not a share or a size; write it like "< 85%" or ">= 5GiB"
        '< 850%': J029 `850%` `850%` is not a share or a size; write it like "< 85%" or ">= 5GiB"
        85%: J057 `85%` `85%` does not say how to compare; write it like "< 85%" or ">= 5GiB"
        '< 5 apples': J028 `5 apples` `5 apples` is not a size; write it like ">= 64MiB"
        '< 85%': J027 `85%` `85%` is not a time; write it like "< 500ms"
        '< 500': J027 `500` `500` is not a time; write it like "< 500ms"
        '<': J057 `<` there is nothing to compare with; write it like "< 500ms"
        '= 5': J057 `= 5` equality is written `==`; write it like "< 4"
        '< 5x': J057 `5x` `5x` is not a number; write it like "< 4"
        '< 0%': J057 `< 0%` `< 0%` never holds; give it a bound that can be crossed
        '<= 100%': J057 `<= 100%` `<= 100%` always holds; give it a bound that can be crossed
        '>= 0s': J057 `>= 0s` `>= 0s` always holds; give it a bound that can be crossed
        99: J057 `99` `99` is no HTTP status; write a number from 100 to 599, a class such as 2xx, or a list of both
        ok: J057 `ok` `ok` is no HTTP status; write a number from 100 to 599, a class such as 2xx, or a list of both
        9xx: J057 `9xx` `9xx` is no HTTP status; write a number from 100 to 599, a class such as 2xx, or a list of both
        []: J057 `[]` nothing can be one of no values; list at least one value
        [200, bad]: J057 `bad` `bad` is no HTTP status; write a number from 100 to 599, a class such as 2xx, or a list of both
        'yes': J057 `yes` `yes` does not say how to compare; write true or false
        '> 1': J057 `1` only true or false is expected here; write true or false
        { contains: x }: J057 `{ contains: x }` this is no text to look into; write it like "< 4"
        { has: x }: J020 `has` unknown key `has`; a text is looked into with `contains` and `matches`
        { matches: 'a(' }: J057 `a(` this regular expression can't be read: unclosed group; 
        { contains: [x] }: J021 `[x]` expected a text;
        "#);
    }
}
