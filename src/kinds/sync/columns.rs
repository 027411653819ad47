//! The `columns` of a sync: what each is made of, and its type.
//!
//! Owns the section and the types that a column can have. Refuses to convert anything: that is `map`.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::yaml::decode::values::{OneOrMany, ScalarText};
use crate::yaml::{Code, Decode, Decoder, Located, Node, Value, section, words};

section! {
    /// A column of the destination.
    pub struct ColumnSection {
        /// The source's name for it: a header, a field, or the path of a nested one (`meta.id`); the
        /// column's own name where it is not given.
        pub from: Option<Located<String>>,
        /// Its type.
        pub r#type: Located<ColumnType>,
        /// Whether it is part of what a row is known by.
        pub key: bool = false,
        /// Whether a row without it is bad.
        pub required: bool = false,
        /// What stands for a value that can't be read, instead of a bad row.
        pub on_bad: Option<OnBad>,
        /// What is taken for a value that is not there.
        pub default: Option<Located<ScalarText>>,
        /// Texts that mean that there is no value, beside the empty one.
        pub null_if: OneOrMany<ScalarText> = OneOrMany::default(),
        /// The zone of times that name none: `UTC`, a name such as `Europe/Oslo`, or `sheet` for that of the
        /// spreadsheet.
        pub zone: Option<Located<String>>,
        /// How times are written where it is not ISO 8601: `epoch_s`, `epoch_ms`, `serial` (days, as in
        /// sheets), or a format such as `%d/%m/%Y %H:%M`.
        pub format: Option<Located<String>>,
        /// What is done with a text before it is read, in this order.
        pub apply: OneOrMany<Located<Function>> = OneOrMany::default(),
    }
}

words! {
    /// What is done with a text before it is read.
    pub enum Function {
        /// Spaces around it go.
        Trim = "trim",
        /// Rows of spaces within it become one.
        Squeeze = "squeeze",
        /// Small letters.
        Lower = "lower",
        /// Capital letters.
        Upper = "upper",
        /// Everything but digits goes.
        Digits = "digits",
        /// A comma is the decimal sign, a point or a space groups.
        DecimalComma = "decimal_comma",
        /// A comma groups, and goes.
        Ungroup = "ungroup",
    }
}

/// What stands for a value that can't be read: so far only that there is none, which YAML may write as a
/// word or as its own null.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OnBad;

impl Decode for OnBad {
    const EXPECTS: &'static str = "null";

    fn decode(node: &Node<'_>, cx: &mut Decoder) -> Option<Self> {
        match &node.value {
            Value::Null => Some(Self),
            Value::Text(text) if text == "null" => Some(Self),
            _ => {
                cx.wrong_type(node, Self::EXPECTS);
                None
            }
        }
    }
}

impl JsonSchema for OnBad {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "OnBad".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "enum": [null, "null"] })
    }
}

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// Text.
    Text,
    /// A whole number of 64 bits.
    Int,
    /// A binary floating-point number of 64 bits.
    Float,
    /// A decimal number, exactly.
    Decimal {
        /// Digits in all, at most 38.
        precision: u8,
        /// Digits behind the point.
        scale: u8,
    },
    /// True or false.
    Bool,
    /// A point in time, kept in UTC with microseconds.
    Timestamp,
    /// A day of the calendar.
    Date,
    /// Any JSON.
    Json,
}

impl ColumnType {
    /// Reads the word of a type.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "text" => Self::Text,
            "int" => Self::Int,
            "float" => Self::Float,
            "bool" => Self::Bool,
            "timestamp" => Self::Timestamp,
            "date" => Self::Date,
            "json" => Self::Json,
            _ => {
                let inner = text.strip_prefix("decimal(")?.strip_suffix(')')?;
                let (precision, scale) = inner.split_once(',').unwrap_or((inner, "0"));
                let precision = precision.trim().parse().ok()?;
                let scale = scale.trim().parse().ok()?;
                let legal = (1..=38).contains(&precision) && scale <= precision;
                return legal.then_some(Self::Decimal { precision, scale });
            }
        })
    }

    /// The type as it is written.
    #[must_use]
    pub fn words(self) -> String {
        match self {
            Self::Text => "text".to_owned(),
            Self::Int => "int".to_owned(),
            Self::Float => "float".to_owned(),
            Self::Decimal { precision, scale } => format!("decimal({precision},{scale})"),
            Self::Bool => "bool".to_owned(),
            Self::Timestamp => "timestamp".to_owned(),
            Self::Date => "date".to_owned(),
            Self::Json => "json".to_owned(),
        }
    }
}

impl Decode for ColumnType {
    const EXPECTS: &'static str =
        "`text`, `int`, `float`, `decimal(12,2)`, `bool`, `timestamp`, `date` or `json`";

    fn decode(node: &Node<'_>, cx: &mut Decoder) -> Option<Self> {
        let text = String::decode(node, cx)?;
        let found = Self::parse(&text);
        if found.is_none() {
            let at = cx.within(node, 0..text.len());
            let message = format!("`{text}` is no type of a column");
            let help = match text.split('(').next().unwrap_or_default().trim() {
                "decimal" | "numeric" => "write `decimal(12,2)`: digits in all, at most 38, and \
                                          how many of them are behind the point"
                    .to_owned(),
                "integer" | "bigint" => "did you mean `int`?".to_owned(),
                "string" | "varchar" => "did you mean `text`?".to_owned(),
                "boolean" => "did you mean `bool`?".to_owned(),
                "datetime" => "did you mean `timestamp`?".to_owned(),
                "double" | "number" => "did you mean `float`?".to_owned(),
                _ => format!("write {}", Self::EXPECTS),
            };
            cx.report(Code::UnknownWord, at, message).help(help);
        }
        found
    }
}

impl JsonSchema for ColumnType {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ColumnType".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": r"^(text|int|float|bool|timestamp|date|json|decimal\([0-9]+(, ?[0-9]+)?\))$"
        })
    }
}

/// A column as destinations know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Column {
    /// Its name.
    pub(super) name: String,
    /// Its type.
    pub(super) kind: ColumnType,
    /// Whether it is part of what a row is known by.
    pub(super) key: bool,
    /// Whether every row has a value in it.
    pub(super) required: bool,
}
