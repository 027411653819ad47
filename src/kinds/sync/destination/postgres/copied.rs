//! Rows as COPY writes them: a line of fields with tabs between.
//!
//! Owns both ways: from the encoding to a line, and back to the same bytes. The server makes texts into
//! what its columns hold, so that this works for every type that it has. Refuses to know tables.

use super::super::super::columns::{Column, ColumnType};
use super::super::super::map::canonical;
use super::super::super::trouble::Trouble;
use super::super::super::value::{Value, encode};
use super::super::super::written;
use super::super::Each;

/// Appends one field. Says no to a text that Postgres can't hold.
pub(super) fn field(
    value: Value<'_>,
    kind: ColumnType,
    out: &mut Vec<u8>,
    scratch: &mut String,
) -> bool {
    match value {
        Value::Null => out.extend_from_slice(b"\\N"),
        Value::Text(text) | Value::Json(text) => return escaped(text, out),
        _ => {
            scratch.clear();
            written::append(value, kind, scratch);
            out.extend_from_slice(scratch.as_bytes());
        }
    }
    true
}

fn escaped(text: &str, out: &mut Vec<u8>) -> bool {
    let special = |byte: &u8| matches!(byte, b'\\' | b'\t' | b'\n' | b'\r' | 0);
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(special) {
        out.extend_from_slice(&rest[..at]);
        let name = match rest[at] {
            b'\t' => b't',
            b'\n' => b'n',
            b'\r' => b'r',
            0 => return false,
            byte => byte,
        };
        out.extend_from_slice(&[b'\\', name]);
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    true
}

/// Takes what a COPY sends, in pieces that may end anywhere.
pub(super) struct Lines<'a> {
    columns: &'a [Column],
    /// The beginning of a line whose end is in a later piece.
    begun: Vec<u8>,
    row: Vec<u8>,
    field: Vec<u8>,
}

impl<'a> Lines<'a> {
    pub(super) fn new(columns: &'a [Column]) -> Self {
        Self { columns, begun: Vec::new(), row: Vec::new(), field: Vec::new() }
    }

    /// Gives every row that a piece ends.
    pub(super) fn take(&mut self, piece: &[u8], each: Each<'_>) -> Result<(), Trouble> {
        let mut rest = piece;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, after) = (&rest[..end], &rest[end + 1..]);
            if self.begun.is_empty() {
                self.line(line)?;
            } else {
                self.begun.extend_from_slice(line);
                let whole = std::mem::take(&mut self.begun);
                self.line(&whole)?;
            }
            each(&self.row)?;
            rest = after;
        }
        self.begun.extend_from_slice(rest);
        Ok(())
    }

    fn line(&mut self, line: &[u8]) -> Result<(), Trouble> {
        self.row.clear();
        let mut fields = line.split(|byte| *byte == b'\t');
        for column in self.columns {
            let odd = || Trouble::destination("the server sent a row that is none");
            let field = fields.next().ok_or_else(odd)?;
            if field == b"\\N" {
                encode(Value::Null, &mut self.row);
                continue;
            }
            let text = if field.contains(&b'\\') {
                self.field.clear();
                unescape(field, &mut self.field);
                self.field.as_slice()
            } else {
                field
            };
            let text = std::str::from_utf8(text).map_err(|_| odd())?;
            decode(text, column.kind, &mut self.row);
        }
        Ok(())
    }
}

fn unescape(field: &[u8], out: &mut Vec<u8>) {
    let mut bytes = field.iter();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'\\' => match bytes.next() {
                Some(b'b') => 8,
                Some(b't') => b'\t',
                Some(b'n') => b'\n',
                Some(b'v') => 11,
                Some(b'f') => 12,
                Some(b'r') => b'\r',
                Some(other) => *other,
                None => b'\\',
            },
            other => *other,
        });
    }
}

/// Appends what the server holds to a row. What is no value of the type stays a text: it equals no value of
/// the type, and the row counts as different.
fn decode(text: &str, kind: ColumnType, row: &mut Vec<u8>) {
    let value = match kind {
        ColumnType::Timestamp => timestamp(text),
        ColumnType::Decimal { scale, .. } => decimal(text, scale, kind),
        ColumnType::Bool => match text {
            "t" => Some(Value::Bool(true)),
            "f" => Some(Value::Bool(false)),
            _ => written::read(text, kind),
        },
        // `jsonb` has an order and spaces of its own.
        ColumnType::Json => return json(text, row),
        _ => written::read(text, kind),
    };
    encode(value.unwrap_or(Value::Text(text)), row);
}

fn json(text: &str, row: &mut Vec<u8>) {
    let mut ours = String::with_capacity(text.len());
    match canonical(text, &mut ours) {
        Ok(()) => encode(Value::Json(&ours), row),
        Err(_) => encode(Value::Text(text), row),
    }
}

/// Reads `2026-01-02 03:04:05.5+00`, and what a column of texts holds.
fn timestamp(text: &str) -> Option<Value<'static>> {
    let kind = ColumnType::Timestamp;
    let Some((date, time)) = text.split_once(' ') else {
        return match written::read(text, kind)? {
            Value::Timestamp(micros) => Some(Value::Timestamp(micros)),
            _ => None,
        };
    };
    let time = time.strip_suffix("+00").unwrap_or(time);
    let mut ours = String::with_capacity(32);
    // A year of five digits has a sign with us.
    let year = date.split_once('-').map_or(0, |(year, _)| year.len());
    if year > 4 {
        ours.push('+');
        (year..6).for_each(|_| ours.push('0'));
    }
    ours.push_str(date);
    ours.push('T');
    ours.push_str(time);
    if let Some((_, fraction)) = time.split_once('.') {
        (fraction.len()..6).for_each(|_| ours.push('0'));
    }
    ours.push('Z');
    match written::read(&ours, kind)? {
        Value::Timestamp(micros) => Some(Value::Timestamp(micros)),
        _ => None,
    }
}

/// Reads a number that may be written with another number of zeros.
fn decimal(text: &str, scale: u8, kind: ColumnType) -> Option<Value<'_>> {
    if let Some(exact) = written::read(text, kind) {
        return Some(exact);
    }
    let (before, behind) = text.split_once('.').unwrap_or((text, ""));
    let behind = behind.trim_end_matches('0');
    let wanted = usize::from(scale);
    if behind.len() > wanted {
        return None;
    }
    let point = if wanted > 0 { "." } else { "" };
    let ours = format!("{before}{point}{behind:0<wanted$}");
    match written::read(&ours, kind)? {
        Value::Decimal(digits) => Some(Value::Decimal(digits)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::super::super::value::Values;
    use super::super::super::super::written::tests::{any_value, kinds};
    use super::*;

    fn column(kind: ColumnType) -> Column {
        Column { name: "c".to_owned(), kind, key: false, required: false }
    }

    #[test]
    fn what_a_server_writes_is_read() {
        let cents = ColumnType::Decimal { precision: 12, scale: 2 };
        let at = |text: &str| {
            Value::Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_microsecond())
        };
        let cases = [
            ("2026-01-02 03:04:05+00", ColumnType::Timestamp, at("2026-01-02T03:04:05Z")),
            ("2026-01-02 03:04:05.5", ColumnType::Timestamp, at("2026-01-02T03:04:05.5Z")),
            ("infinity", ColumnType::Timestamp, Value::Text("infinity")),
            (
                "0044-03-15 00:00:00+00 BC",
                ColumnType::Timestamp,
                Value::Text("0044-03-15 00:00:00+00 BC"),
            ),
            ("12.5000", cents, Value::Decimal(1250)),
            ("12", cents, Value::Decimal(1200)),
            ("12.505", cents, Value::Text("12.505")),
            ("NaN", cents, Value::Text("NaN")),
            ("NaN", ColumnType::Float, Value::Text("NaN")),
            ("t", ColumnType::Bool, Value::Bool(true)),
            ("a\\tb\\\\N", ColumnType::Text, Value::Text("a\tb\\N")),
            ("\\N", ColumnType::Text, Value::Null),
        ];
        for (text, kind, expected) in cases {
            let columns = [column(kind)];
            let mut lines = Lines::new(&columns);
            let mut seen = Vec::new();
            for piece in format!("{text}\n").as_bytes().chunks(3) {
                lines
                    .take(piece, &mut |row| {
                        seen.push(row.to_vec());
                        Ok(())
                    })
                    .unwrap();
            }
            assert_eq!(seen.len(), 1);
            assert_eq!(Values::of(&seen[0]).collect::<Vec<_>>(), [expected], "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_copied_in_is_what_is_copied_out(
            (kind, value) in prop::sample::select(kinds())
                .prop_flat_map(|kind| (Just(kind), any_value(kind)))
        ) {
            let (mut line, mut scratch) = (Vec::new(), String::new());
            prop_assert!(field(value.value(), kind, &mut line, &mut scratch));
            line.push(b'\n');
            let mut expected = Vec::new();
            encode(value.value(), &mut expected);
            let mut seen = Vec::new();
            let columns = [column(kind)];
            let keep = &mut |row: &[u8]| { seen.push(row.to_vec()); Ok(()) };
            Lines::new(&columns).take(&line, keep).unwrap();
            prop_assert_eq!(seen, [expected]);
        }
    }
}
