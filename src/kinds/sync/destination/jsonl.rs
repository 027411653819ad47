//! The `jsonl` destination: a file with one JSON object a line, or a folder of one file a run.
//!
//! Owns its format: every column in its order, decimals as numbers with all their digits, times and dates as
//! texts. Refuses to know how a file becomes the one that counts.

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::super::columns::{Column, ColumnType};
use super::super::diff::Work;
use super::super::ledger::Ledger;
use super::super::map;
use super::super::tools::Tools;
use super::super::trouble::Trouble;
use super::super::value::{Value, Values, encode};
use super::super::written;
use super::files::{self, Format, Sink};
use super::{Each, Found, Layout, Shape};
use crate::yaml::{Located, section};

section! {
    /// A file with one JSON object a line, or a folder of one file a run.
    pub struct JsonlFile {
        /// The file, or the folder. A template.
        pub path: Located<String>,
        /// How many files there are.
        pub layout: Layout = Layout::SingleFile,
    }
}

/// Longest line that is read back.
const LINE_MAX: u64 = 128 * 1024 * 1024;

/// Under way.
pub(in super::super) struct Session(files::Session<Jsonl>);

impl JsonlFile {
    pub(super) fn begin(
        &self,
        tools: &Tools,
        shape: Shape<'_>,
    ) -> Result<(Session, Found), Trouble> {
        let path = tools.path("destination.jsonl.path", &self.path.value)?;
        let (session, found) = files::Session::begin(path, self.layout, tools, shape)?;
        Ok((Session(session), found))
    }
}

impl Session {
    pub(super) fn current(&mut self, each: Each<'_>) -> Result<(), Trouble> {
        self.0.current(each)
    }

    pub(super) fn commit(self, work: &mut Work<'_>, ledger: &Ledger) -> Result<(), Trouble> {
        self.0.commit(work, ledger)
    }
}

/// The format.
struct Jsonl;

/// A file under way.
struct Lines {
    to: Sink,
    /// What stands before each value: `{"id":`, `,"name":`.
    heads: Vec<String>,
    text: String,
}

impl Format for Jsonl {
    const EXTENSION: &'static str = "jsonl";

    type Writer = Lines;

    fn begin(sink: Sink, columns: &[Column]) -> io::Result<Lines> {
        let heads = columns.iter().enumerate().map(|(index, column)| {
            let mut head = if index == 0 { "{" } else { "," }.to_owned();
            map::quote(&column.name, &mut head);
            head.push(':');
            head
        });
        Ok(Lines { to: sink, heads: heads.collect(), text: String::new() })
    }

    fn row(lines: &mut Lines, columns: &[Column], row: &[u8]) -> io::Result<()> {
        let Lines { to, heads, text } = lines;
        text.clear();
        for ((column, value), head) in columns.iter().zip(Values::of(row)).zip(&*heads) {
            text.push_str(head);
            match value {
                Value::Null => text.push_str("null"),
                Value::Text(value) => map::quote(value, text),
                Value::Timestamp(_) | Value::Date(_) => {
                    text.push('"');
                    written::append(value, column.kind, text);
                    text.push('"');
                }
                _ => written::append(value, column.kind, text),
            }
        }
        text.push_str("}\n");
        to.write_all(text.as_bytes())
    }

    fn end(lines: Lines, _columns: &[Column]) -> io::Result<Sink> {
        Ok(lines.to)
    }

    fn read(file: &Path, columns: &[Column], keeps: bool, each: Each<'_>) -> Result<(), Trouble> {
        let failed = |error: io::Error| files::failed("read", file, &error);
        let mut from = BufReader::with_capacity(128 * 1024, File::open(file).map_err(failed)?);
        let (mut line, mut row, mut number) = (Vec::new(), Vec::new(), 0_u64);
        loop {
            line.clear();
            number += 1;
            if (&mut from).take(LINE_MAX).read_until(b'\n', &mut line).map_err(failed)? == 0 {
                return Ok(());
            }
            if line.trim_ascii().is_empty() {
                continue;
            }
            let wrong = |what: &dyn fmt::Display| {
                let file = file.display();
                Trouble::destination(format!("{file}, line {number}: {what}")).for_good()
            };
            let text = std::str::from_utf8(&line).map_err(|_| wrong(&"it is not UTF-8"))?;
            let mut json = serde_json::Deserializer::from_str(text);
            let found = Fields { columns }.deserialize(&mut json).map_err(|error| wrong(&error))?;
            if let Some(stranger) = found.stranger.filter(|_| keeps) {
                return Err(files::stranger(file, &stranger));
            }
            row.clear();
            for (column, raw) in columns.iter().zip(found.values) {
                put(raw, column.kind, &mut row).map_err(|error| wrong(&error))?;
            }
            each(&row)?;
        }
    }
}

/// Encodes a field as it is written. What its column can't have stays as it is, and counts as different.
fn put(raw: Option<&str>, kind: ColumnType, row: &mut Vec<u8>) -> serde_json::Result<()> {
    let Some(raw) = raw.filter(|raw| *raw != "null") else {
        encode(Value::Null, row);
        return Ok(());
    };
    let text: Cow<'_, str> = match raw.as_bytes() {
        [b'"', ..] if raw.contains('\\') => Cow::Owned(serde_json::from_str(raw)?),
        [b'"', inner @ .., b'"'] => Cow::Borrowed(std::str::from_utf8(inner).unwrap_or_default()),
        _ => Cow::Borrowed(raw),
    };
    let quoted = raw.starts_with('"');
    let wants = matches!(kind, ColumnType::Text | ColumnType::Timestamp | ColumnType::Date);
    let value = match kind {
        ColumnType::Json => Some(Value::Json(raw)),
        _ if wants == quoted => written::read(&text, kind),
        _ => None,
    };
    encode(value.unwrap_or(if quoted { Value::Text(&text) } else { Value::Json(raw) }), row);
    Ok(())
}

/// The fields of a line.
struct Fields<'c> {
    columns: &'c [Column],
}

/// What stands in a line, by column.
struct Line<'de> {
    values: Vec<Option<&'de str>>,
    stranger: Option<String>,
}

impl<'de> DeserializeSeed<'de> for Fields<'_> {
    type Value = Line<'de>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Line<'de>, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = Line<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Line<'de>, A::Error> {
        let mut line = Line { values: vec![None; self.columns.len()], stranger: None };
        let mut likely = 0;
        while let Some(name) = map.next_key::<Name<'de>>()? {
            let is = |column: &Column| column.name == name.0;
            // Lines that we wrote have their fields in the order of the columns.
            let expected = self.columns.get(likely).is_some_and(is);
            let at = if expected { Some(likely) } else { self.columns.iter().position(is) };
            let Some(at) = at else {
                let _another = map.next_value::<IgnoredAny>()?;
                line.stranger.get_or_insert_with(|| name.0.into_owned());
                continue;
            };
            line.values[at] = Some(map.next_value::<&RawValue>()?.get());
            likely = at + 1;
        }
        Ok(line)
    }
}

/// A name, borrowed where it has no escapes.
#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);
