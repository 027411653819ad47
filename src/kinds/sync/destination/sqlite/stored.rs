//! Values as SQLite stores them.
//!
//! Owns both ways: from the encoding to a parameter, and back to the same bytes. Times, days and decimals
//! are texts, since SQLite has nothing exact for them. Refuses to know tables.

use rusqlite::Statement;
use rusqlite::types::{Null, ValueRef};

use super::super::super::columns::ColumnType;
use super::super::super::value::{Value, encode as put};
use super::super::super::written;

/// Integers that a float holds exactly.
const EXACT: u64 = 1 << 53;

/// Binds a value of a column's type to a parameter; `scratch` is only there to be used again.
pub(super) fn bind(
    statement: &mut Statement<'_>,
    place: usize,
    (value, kind): (Value<'_>, ColumnType),
    scratch: &mut String,
) -> rusqlite::Result<()> {
    match value {
        Value::Null => statement.raw_bind_parameter(place, Null),
        Value::Text(text) | Value::Json(text) => statement.raw_bind_parameter(place, text),
        Value::Int(number) => statement.raw_bind_parameter(place, number),
        Value::Float(number) => statement.raw_bind_parameter(place, number),
        Value::Bool(is) => statement.raw_bind_parameter(place, i64::from(is)),
        Value::Decimal(_) | Value::Timestamp(_) | Value::Date(_) => {
            scratch.clear();
            written::append(value, kind, scratch);
            statement.raw_bind_parameter(place, scratch.as_str())
        }
    }
}

/// Appends what is stored to a row. What is no value of the type, as this module would have written it,
/// stays what it is: it equals no value of the type, and the row counts as different.
pub(super) fn encode(
    stored: ValueRef<'_>,
    kind: ColumnType,
    scratch: &mut String,
    row: &mut Vec<u8>,
) {
    let value = match stored {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => of_integer(number, kind, scratch),
        ValueRef::Real(number) => of_real(number, kind, scratch),
        ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => of_text(text, kind),
            Err(_) => foreign(bytes, kind, scratch),
        },
        ValueRef::Blob(bytes) => foreign(bytes, kind, scratch),
    };
    put(value, row);
}

fn of_integer(number: i64, kind: ColumnType, scratch: &mut String) -> Value<'_> {
    match kind {
        ColumnType::Json => {
            scratch.clear();
            written::append(Value::Int(number), ColumnType::Int, scratch);
            Value::Json(scratch)
        }
        ColumnType::Bool if matches!(number, 0 | 1) => Value::Bool(number == 1),
        // A column for any number stores 3.0 as 3.
        ColumnType::Float if number.unsigned_abs() <= EXACT => {
            #[expect(clippy::cast_precision_loss, reason = "it was looked at")]
            let number = number as f64;
            Value::Float(number)
        }
        ColumnType::Decimal { scale, .. } => {
            let digits =
                10_i128.checked_pow(scale.into()).and_then(|one| one.checked_mul(number.into()));
            digits.map_or(Value::Int(number), Value::Decimal)
        }
        _ => Value::Int(number),
    }
}

fn of_real(number: f64, kind: ColumnType, scratch: &mut String) -> Value<'_> {
    match kind {
        ColumnType::Float => Value::Float(if number == 0.0 { 0.0 } else { number }),
        // So does one that is declared JSON, with JSON that is a number.
        ColumnType::Json => {
            scratch.clear();
            written::append(Value::Float(number), ColumnType::Float, scratch);
            Value::Json(scratch)
        }
        // A column for any number stores 12.50 as 12.5.
        ColumnType::Decimal { scale, .. } => {
            scratch.clear();
            written::append(Value::Float(number), ColumnType::Float, scratch);
            let behind = scratch.split_once('.').map_or(0, |(_, behind)| behind.len());
            if behind == 0 && scale > 0 {
                scratch.push('.');
            }
            for _ in behind..usize::from(scale) {
                scratch.push('0');
            }
            match written::read(scratch, kind) {
                Some(Value::Decimal(digits)) => Value::Decimal(digits),
                _ => Value::Float(number),
            }
        }
        _ => Value::Float(number),
    }
}

fn of_text(text: &str, kind: ColumnType) -> Value<'_> {
    match (kind, text) {
        (ColumnType::Bool, "0") => Value::Bool(false),
        (ColumnType::Bool, "1") => Value::Bool(true),
        // Those two are texts in SQLite only where somebody else wrote them.
        (ColumnType::Bool | ColumnType::Float, _) => Value::Text(text),
        _ => written::read(text, kind).unwrap_or(Value::Text(text)),
    }
}

/// Bytes that are no text, under the mark of another type.
fn foreign<'a>(bytes: &[u8], kind: ColumnType, scratch: &'a mut String) -> Value<'a> {
    use std::fmt::Write as _;
    scratch.clear();
    for byte in bytes {
        let _infallible = write!(scratch, "{byte:02x}");
    }
    if kind == ColumnType::Json { Value::Text(scratch) } else { Value::Json(scratch) }
}
