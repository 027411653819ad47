//! Messages of the Singer specification.
//!
//! Owns their form: a type in any case, and what belongs to it. Takes a message apart without copying what is
//! in it. Refuses to know what follows from one.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

/// A message.
#[derive(Debug)]
pub(super) enum Message<'a> {
    /// A row of a stream.
    Record { stream: Cow<'a, str>, record: &'a RawValue },
    /// What a stream's rows look like.
    Schema { stream: Cow<'a, str>, schema: &'a RawValue, keys: Vec<String> },
    /// How far the tap has come.
    State(&'a RawValue),
    /// Rows of an earlier version are to go.
    ActivateVersion { stream: Cow<'a, str> },
    /// Rows that are in a file instead.
    Batch { stream: Cow<'a, str> },
    /// Anything else.
    Other(Cow<'a, str>),
}

/// A text that is borrowed where it has no escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    r#type: Text<'a>,
    #[serde(borrow, default)]
    stream: Option<Text<'a>>,
    #[serde(borrow, default)]
    record: Option<&'a RawValue>,
    #[serde(borrow, default)]
    schema: Option<&'a RawValue>,
    #[serde(default)]
    key_properties: Option<Vec<String>>,
    #[serde(borrow, default)]
    value: Option<&'a RawValue>,
}

impl<'a> Message<'a> {
    /// Reads a line; what is wrong with it, in words.
    pub(super) fn read(line: &'a str) -> Result<Self, String> {
        let found: Envelope<'a> =
            serde_json::from_str(line).map_err(|error| wrong(line, &error))?;
        let kind = found.r#type.0;
        let lacks = |what: &str| format!("a {} without `{what}`", kind.to_ascii_uppercase());
        let stream = || found.stream.map(|text| text.0).ok_or_else(|| lacks("stream"));
        let is = |name: &str| kind.eq_ignore_ascii_case(name);
        Ok(if is("RECORD") {
            let record = found.record.ok_or_else(|| lacks("record"))?;
            Self::Record { stream: stream()?, record }
        } else if is("SCHEMA") {
            let schema = found.schema.ok_or_else(|| lacks("schema"))?;
            let keys = found.key_properties.unwrap_or_default();
            Self::Schema { stream: stream()?, schema, keys }
        } else if is("STATE") {
            Self::State(found.value.ok_or_else(|| lacks("value"))?)
        } else if is("ACTIVATE_VERSION") {
            Self::ActivateVersion { stream: stream()? }
        } else if is("BATCH") {
            Self::Batch { stream: stream()? }
        } else {
            Self::Other(kind)
        })
    }
}

/// What is wrong with a line that is no message.
fn wrong(line: &str, error: &serde_json::Error) -> String {
    if error.is_data() {
        return format!("it is no Singer message: {error}");
    }
    let rest = line.get(error.column().saturating_sub(1)..).unwrap_or_default();
    let bare = rest.trim_start_matches('-');
    let number = ["NaN", "Infinity"].into_iter().find(|name| bare.starts_with(name));
    match number {
        Some(name) => {
            format!("`{name}` at column {} is no JSON; the tap must give null", error.column())
        }
        None => format!("it is no JSON: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(line: &str) -> String {
        match Message::read(line) {
            Err(words) => words,
            Ok(Message::Record { stream, record }) => format!("record {stream} {record}"),
            Ok(Message::Schema { stream, schema, keys }) => {
                format!("schema {stream} {schema} {keys:?}")
            }
            Ok(Message::State(value)) => format!("state {value}"),
            Ok(Message::ActivateVersion { stream }) => format!("version {stream}"),
            Ok(Message::Batch { stream }) => format!("batch {stream}"),
            Ok(Message::Other(kind)) => format!("other {kind}"),
        }
    }

    #[test]
    fn messages_are_read_whatever_the_case_of_their_type() {
        let cases = [
            (r#"{"type":"RECORD","stream":"a","record":{"x":1}}"#, r#"record a {"x":1}"#),
            (r#"{"stream":"a","record":{},"type":"record","time_extracted":""}"#, "record a {}"),
            (
                r#"{"type":"Schema","stream":"\u0061","schema":{},"key_properties":["id"]}"#,
                r#"schema a {} ["id"]"#,
            ),
            (
                r#"{"type":"SCHEMA","stream":"a","schema":{},"key_properties":null}"#,
                "schema a {} []",
            ),
            (r#"{"type":"STATE","value":{"bookmarks":{}}}"#, r#"state {"bookmarks":{}}"#),
            (r#"{"type":"ACTIVATE_VERSION","stream":"a","version":1}"#, "version a"),
            (r#"{"type":"BATCH","stream":"a","manifest":[]}"#, "batch a"),
            (r#"{"type":"METRIC","point":{}}"#, "other METRIC"),
            (r#"{"type":"RECORD","stream":"a"}"#, "a RECORD without `record`"),
            (r#"{"type":"RECORD","record":{}}"#, "a RECORD without `stream`"),
            (r#"{"type":"STATE"}"#, "a STATE without `value`"),
            (
                r#"{"type":"RECORD","stream":"a","record":{"x":NaN}}"#,
                "`NaN` at column 45 is no JSON; the tap must give null",
            ),
            (
                r#"{"type":"RECORD","stream":"a","record":{"x":-Infinity}}"#,
                "`Infinity` at column 46 is no JSON; the tap must give null",
            ),
            (
                r#"{"stream":"a"}"#,
                "it is no Singer message: missing field `type` at line 1 column 14",
            ),
            ("INFO starting", "it is no JSON: expected value at line 1 column 1"),
        ];
        for (line, expected) in cases {
            assert_eq!(told(line), expected, "{line}");
        }
    }
}
