//! Makes values of what a source gives, by the columns of the job.
//!
//! Owns what can be made into what, and says why where it can't. Strict: nothing is rounded, cut or guessed.
//! Refuses to know rows, and what follows from a value that can't be read.
//!
//! - An empty text is no value, in every type; `default` takes its place.
//! - Spaces around a number, a time or a truth value do not count; of a text they do, unless `trim` goes first.
//! - `int` takes every number that is whole, however it is written (`12.0`); `decimal` none with more digits
//!   behind the point than it has. Neither goes through binary floating point.
//! - `NaN` and `Infinity` are no values anywhere.
//! - `bool` takes true, yes, y, t, 1 and false, no, n, f, 0.
//! - `timestamp` is cut to microseconds. Without an offset it needs the column's `zone`.

mod json;
mod number;
mod text;
mod time;

use std::fmt::Write;

use jiff::tz::TimeZone;

use super::columns::{Column, ColumnSection, ColumnType, Function};
use super::trouble::Trouble;
use super::value::{Cell, Value};
use time::Format;

pub(super) use json::{canonical, quote};

/// Why a value can't be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wrong(pub(super) &'static str);

/// Makes the values of one column.
#[derive(Clone, Debug)]
pub(super) struct Maker {
    kind: ColumnType,
    default: Option<String>,
    null_if: Vec<String>,
    zone: Zone,
    format: Format,
    apply: Vec<Function>,
}

#[derive(Clone, Debug)]
enum Zone {
    None,
    Sheet,
    Named(TimeZone),
}

/// Room for texts on their way, used again for each value.
#[derive(Debug, Default)]
pub(super) struct Room {
    first: String,
    second: String,
    third: String,
}

impl Maker {
    /// That of a column of the job.
    pub(super) fn new(name: &str, section: &ColumnSection) -> Result<Self, Trouble> {
        let wrong = |what: String| Trouble::config(format!("column `{name}`: {what}"));
        let zone = match section.zone.as_ref().map(|zone| zone.value.as_str()) {
            None => Zone::None,
            Some("sheet") => Zone::Sheet,
            Some("UTC") => Zone::Named(TimeZone::UTC),
            Some(zone) => {
                let found = TimeZone::get(zone);
                Zone::Named(found.map_err(|_| wrong(format!("there is no zone `{zone}`")))?)
            }
        };
        let format = match section.format.as_ref().map(|format| format.value.as_str()) {
            None => Format::Iso,
            Some("epoch_s") => Format::EpochS,
            Some("epoch_ms") => Format::EpochMs,
            Some("serial") => Format::Serial,
            Some(format) => Format::Strftime(format.to_owned()),
        };
        let maker = Self {
            kind: section.r#type.value,
            default: section.default.as_ref().map(|text| text.value.0.clone()),
            null_if: section.null_if.0.iter().map(|text| text.0.clone()).collect(),
            zone,
            format,
            apply: section.apply.0.iter().map(|function| function.value).collect(),
        };
        if let Some(default) = &maker.default {
            let made = maker.read(Cell::Text(default), None, &mut String::new()).map(drop);
            made.map_err(|Wrong(why)| wrong(format!("`default` is `{default}`: {why}")))?;
        }
        Ok(maker)
    }

    /// That of a column that is only declared.
    pub(super) fn of(column: &Column) -> Self {
        Self {
            kind: column.kind,
            default: None,
            null_if: Vec::new(),
            // What declares its columns writes times with an offset, or means UTC.
            zone: Zone::Named(TimeZone::UTC),
            format: Format::Iso,
            apply: Vec::new(),
        }
    }

    /// Whether the column may be absent from the source.
    pub(super) fn has_default(&self) -> bool {
        self.default.is_some()
    }

    /// The column's type.
    pub(super) fn kind(&self) -> ColumnType {
        self.kind
    }

    /// One of the same type for what we wrote ourselves.
    pub(super) fn plain(&self) -> Self {
        Self {
            kind: self.kind,
            default: None,
            null_if: Vec::new(),
            zone: Zone::Named(TimeZone::UTC),
            format: Format::Iso,
            apply: Vec::new(),
        }
    }

    /// Whether a field of JSON is taken as it is, texts too.
    pub(super) fn takes_json(&self) -> bool {
        self.kind == ColumnType::Json && self.apply.is_empty() && self.null_if.is_empty()
    }

    /// Makes the value of a cell.
    pub(super) fn make<'v>(
        &'v self,
        cell: Cell<'v>,
        sheet: Option<&TimeZone>,
        room: &'v mut Room,
    ) -> Result<Value<'v>, Wrong> {
        let Room { first, second, third } = room;
        let cell = match cell {
            Cell::Text(text) if !self.apply.is_empty() => {
                Cell::Text(text::apply(&self.apply, text, first, second))
            }
            Cell::Number(text) if !self.apply.is_empty() => {
                Cell::Text(text::apply(&self.apply, text, first, second))
            }
            cell => cell,
        };
        if self.is_none(cell) {
            return match &self.default {
                Some(default) => self.read(Cell::Text(default), sheet, third),
                None => Ok(Value::Null),
            };
        }
        self.read(cell, sheet, third)
    }

    fn is_none(&self, cell: Cell<'_>) -> bool {
        match cell {
            Cell::Missing | Cell::Null => true,
            Cell::Text(text) => text.is_empty() || self.null_if.iter().any(|null| null == text),
            Cell::Number(text) | Cell::Broken(text) => self.null_if.iter().any(|null| null == text),
            Cell::Bool(_) | Cell::Int(_) | Cell::Float(_) | Cell::Json(_) => false,
        }
    }

    /// Makes a value of a cell that has one.
    fn read<'v>(
        &'v self,
        cell: Cell<'v>,
        sheet: Option<&TimeZone>,
        room: &'v mut String,
    ) -> Result<Value<'v>, Wrong> {
        if let Cell::Broken(_) = cell {
            return Err(Wrong("the source could not compute it"));
        }
        if let Cell::Text("") = cell {
            return Ok(Value::Null);
        }
        match self.kind {
            ColumnType::Text => text(cell, room),
            ColumnType::Json => json(cell, room),
            ColumnType::Bool => bool(cell).map(Value::Bool),
            ColumnType::Float => match cell {
                Cell::Float(value) => number::finite(value).map(Value::Float),
                cell => number::float(written(cell, room)?).map(Value::Float),
            },
            ColumnType::Int => match cell {
                Cell::Int(value) => Ok(Value::Int(value)),
                cell => number::int(written(cell, room)?).map(Value::Int),
            },
            ColumnType::Decimal { precision, scale } => {
                number::decimal(written(cell, room)?, precision, scale).map(Value::Decimal)
            }
            ColumnType::Timestamp => {
                let (format, zone) = self.reading(cell, sheet)?;
                time::timestamp(written(cell, room)?, format, zone).map(Value::Timestamp)
            }
            ColumnType::Date => {
                let (format, zone) = self.reading(cell, sheet)?;
                time::date(written(cell, room)?, format, zone).map(Value::Date)
            }
        }
    }

    /// How a time is read: a number in a sheet is one of its serial days.
    fn reading<'m>(
        &'m self,
        cell: Cell<'_>,
        sheet: Option<&'m TimeZone>,
    ) -> Result<(&'m Format, Option<&'m TimeZone>), Wrong> {
        const SERIAL: Format = Format::Serial;
        let zone = match &self.zone {
            Zone::Named(zone) => Some(zone),
            Zone::None => None,
            Zone::Sheet if sheet.is_some() => sheet,
            Zone::Sheet => return Err(Wrong("the source has no zone: `sheet` can't be it")),
        };
        let number = matches!(cell, Cell::Int(_) | Cell::Float(_) | Cell::Number(_));
        match (&self.format, number, sheet) {
            (Format::Iso, true, Some(_)) => Ok((&SERIAL, zone)),
            (Format::Iso, true, None) => {
                Err(Wrong("it is a number: give the column a `format`, such as `epoch_s`"))
            }
            (format, ..) => Ok((format, zone)),
        }
    }
}

/// A number or a time as it is written.
fn written<'v>(cell: Cell<'v>, room: &'v mut String) -> Result<&'v str, Wrong> {
    match cell {
        Cell::Text(text) | Cell::Number(text) => Ok(text.trim()),
        Cell::Int(value) => Ok(print(value, room)),
        Cell::Float(value) => Ok(print(number::finite(value)?, room)),
        Cell::Bool(_) => Err(Wrong("it is a truth value")),
        Cell::Json(_) => Err(Wrong("it is an object or a list")),
        Cell::Missing | Cell::Null | Cell::Broken(_) => Err(Wrong("it is no value")),
    }
}

fn print(value: impl std::fmt::Display, room: &mut String) -> &str {
    room.clear();
    write!(room, "{value}").expect("a text takes everything");
    room
}

fn text<'v>(cell: Cell<'v>, room: &'v mut String) -> Result<Value<'v>, Wrong> {
    Ok(Value::Text(match cell {
        Cell::Text(text) | Cell::Number(text) => text,
        Cell::Bool(value) => print(value, room),
        Cell::Json(raw) => {
            room.clear();
            canonical(raw, room)?;
            room
        }
        cell => written(cell, room)?,
    }))
}

fn json<'v>(cell: Cell<'v>, room: &'v mut String) -> Result<Value<'v>, Wrong> {
    Ok(match cell {
        Cell::Text(raw) | Cell::Json(raw) | Cell::Number(raw) => {
            room.clear();
            canonical(raw, room)?;
            match room.as_str() {
                "null" => Value::Null,
                text => Value::Json(text),
            }
        }
        Cell::Bool(value) => Value::Json(print(value, room)),
        cell => Value::Json(written(cell, room)?),
    })
}

fn bool(cell: Cell<'_>) -> Result<bool, Wrong> {
    const WRONG: Wrong = Wrong("it is neither true nor false");
    const TRUE: [&str; 5] = ["true", "yes", "y", "t", "1"];
    const FALSE: [&str; 5] = ["false", "no", "n", "f", "0"];
    match cell {
        Cell::Bool(value) => Ok(value),
        Cell::Int(0) => Ok(false),
        Cell::Int(1) => Ok(true),
        Cell::Text(text) | Cell::Number(text) => {
            let among =
                |words: [&str; 5]| words.iter().any(|word| word.eq_ignore_ascii_case(text.trim()));
            match (among(TRUE), among(FALSE)) {
                (true, _) => Ok(true),
                (_, true) => Ok(false),
                _ => Err(WRONG),
            }
        }
        _ => Err(WRONG),
    }
}

#[cfg(test)]
mod tests;
