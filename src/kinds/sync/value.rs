//! Values: as a source gives them, as a column has them, and encoded.
//!
//! Owns the one encoding of a row, under which two rows are equal if and only if their bytes are. Refuses to
//! convert between types: that is `map`.

use jiff::civil::Date;
use jiff::{Span, Timestamp};

use super::columns::{Column, ColumnType};

/// A field as a source gives it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Cell<'a> {
    /// The field is not there: a short row, an absent key.
    Missing,
    /// It is there, and says that there is no value.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number of which only the binary form is known.
    Float(f64),
    /// A number as it was written, so that nothing of it is lost.
    Number(&'a str),
    /// A text.
    Text(&'a str),
    /// JSON as it was written: an object or a list.
    Json(&'a str),
    /// What stands for a value that could not be computed: `#N/A`.
    Broken(&'a str),
}

/// A value of a column's type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<'a> {
    /// None.
    Null,
    /// Of `text`.
    Text(&'a str),
    /// Of `int`.
    Int(i64),
    /// Of `float`; finite, and never the negative zero.
    Float(f64),
    /// Of `decimal`: the digits without the point, which the column's scale puts.
    Decimal(i128),
    /// Of `bool`.
    Bool(bool),
    /// Of `timestamp`: microseconds since 1970 in UTC.
    Timestamp(i64),
    /// Of `date`: days since 1970-01-01.
    Date(i32),
    /// Of `json`: keys in order, no spaces.
    Json(&'a str),
}

const NULL: u8 = 0;
const TEXT: u8 = 1;
const INT: u8 = 2;
const FLOAT: u8 = 3;
const DECIMAL: u8 = 4;
const FALSE: u8 = 5;
const TRUE: u8 = 6;
const TIMESTAMP: u8 = 7;
const DATE: u8 = 8;
const JSON: u8 = 9;

/// Appends a value to an encoded row.
pub(super) fn encode(value: Value<'_>, row: &mut Vec<u8>) {
    match value {
        Value::Null => row.push(NULL),
        Value::Text(text) => encode_text(TEXT, text, row),
        Value::Json(text) => encode_text(JSON, text, row),
        Value::Bool(value) => row.push(if value { TRUE } else { FALSE }),
        Value::Int(value) => fixed(INT, &value.to_le_bytes(), row),
        Value::Float(value) => fixed(FLOAT, &value.to_bits().to_le_bytes(), row),
        Value::Decimal(value) => fixed(DECIMAL, &value.to_le_bytes(), row),
        Value::Timestamp(value) => fixed(TIMESTAMP, &value.to_le_bytes(), row),
        Value::Date(value) => fixed(DATE, &value.to_le_bytes(), row),
    }
}

fn fixed(tag: u8, bytes: &[u8], row: &mut Vec<u8>) {
    row.push(tag);
    row.extend_from_slice(bytes);
}

fn encode_text(tag: u8, text: &str, row: &mut Vec<u8>) {
    row.push(tag);
    let mut length = text.len();
    loop {
        let low = u8::try_from(length & 0x7f).expect("seven bits fit");
        length >>= 7;
        row.push(if length == 0 { low } else { low | 0x80 });
        if length == 0 {
            break;
        }
    }
    row.extend_from_slice(text.as_bytes());
}

/// The values of an encoded row, in the order of its columns.
#[derive(Clone, Debug)]
pub(super) struct Values<'a>(&'a [u8]);

impl<'a> Values<'a> {
    /// Those of a row that `encode` made.
    pub(super) fn of(row: &'a [u8]) -> Self {
        Self(row)
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*bytes)
    }

    fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.text_bytes()?).ok()
    }

    fn text_bytes(&mut self) -> Option<&'a [u8]> {
        let (mut length, mut shift) = (0_usize, 0);
        loop {
            let [byte] = self.take::<1>()?;
            length |= usize::from(byte & 0x7f).checked_shl(shift)?;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(text)
    }
}

impl<'a> Iterator for Values<'a> {
    type Item = Value<'a>;

    /// The next value; nothing at the end, and nothing more where the bytes are no row.
    fn next(&mut self) -> Option<Value<'a>> {
        let [tag] = self.take::<1>()?;
        Some(match tag {
            NULL => Value::Null,
            TEXT => Value::Text(self.text()?),
            JSON => Value::Json(self.text()?),
            FALSE => Value::Bool(false),
            TRUE => Value::Bool(true),
            INT => Value::Int(i64::from_le_bytes(self.take()?)),
            FLOAT => Value::Float(f64::from_bits(u64::from_le_bytes(self.take()?))),
            DECIMAL => Value::Decimal(i128::from_le_bytes(self.take()?)),
            TIMESTAMP => Value::Timestamp(i64::from_le_bytes(self.take()?)),
            DATE => Value::Date(i32::from_le_bytes(self.take()?)),
            _ => return None,
        })
    }
}

/// The number of bytes that the first value of some takes; nothing where they are no row.
fn span(row: &[u8]) -> Option<usize> {
    let (tag, rest) = row.split_first()?;
    Some(match *tag {
        NULL | FALSE | TRUE => 1,
        INT | FLOAT | TIMESTAMP => 9,
        DECIMAL => 17,
        DATE => 5,
        TEXT | JSON => {
            let mut values = Values(rest);
            values.text_bytes()?;
            row.len() - values.0.len()
        }
        _ => return None,
    })
}

/// Which columns a row is known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Keys(Vec<usize>);

impl Keys {
    /// Those of some columns; where none of them is a key, a row is known by all that it is.
    pub(super) fn of(columns: &[Column]) -> Self {
        let keys = columns.iter().enumerate().filter(|(_, column)| column.key);
        Self(keys.map(|(at, _)| at).collect())
    }

    /// Just these.
    pub(super) fn at(indexes: Vec<usize>) -> Self {
        Self(indexes)
    }

    /// Whether a row is known by all that it is.
    pub(super) fn is_whole(&self) -> bool {
        self.0.is_empty()
    }

    /// Appends the encoded values of the key's columns, in their order.
    pub(super) fn append(&self, row: &[u8], key: &mut Vec<u8>) {
        if self.is_whole() {
            key.extend_from_slice(row);
            return;
        }
        let (mut rest, mut at) = (row, 0);
        for wanted in &self.0 {
            while let Some(span) = span(rest) {
                let (value, after) = rest.split_at(span.min(rest.len()));
                (rest, at) = (after, at + 1);
                if at > *wanted {
                    key.extend_from_slice(value);
                    break;
                }
            }
        }
    }

    /// The key of a row for people: `B1`, or `port=OSL, day=2026-01-01` where it has several columns.
    pub(super) fn shown(&self, row: &[u8], columns: &[Column]) -> String {
        let values: Vec<Value<'_>> = Values::of(row).collect();
        let all: Vec<usize> = (0..values.len()).collect();
        let of = if self.is_whole() { &all } else { &self.0 };
        let named = of.iter().filter_map(|at| {
            let column = columns.get(*at)?;
            Some((column, shown(*values.get(*at)?, column.kind)))
        });
        let text = match of.len() {
            1 => named.map(|(_, value)| value).collect(),
            _ => {
                let pairs = named.map(|(column, value)| format!("{}={value}", column.name));
                pairs.collect::<Vec<_>>().join(", ")
            }
        };
        shortened(&text, SHOWN)
    }
}

/// Longest text that stands for a key or a value in a message.
const SHOWN: usize = 80;

/// A text cut to so many characters, on one line.
pub(super) fn shortened(text: &str, most: usize) -> String {
    let clean = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    let mut cut: String = text.chars().take(most).map(clean).collect();
    if text.chars().nth(most).is_some() {
        cut.push('…');
    }
    cut
}

/// A value for people and for what a source is asked: times in RFC 3339.
pub(super) fn shown(value: Value<'_>, kind: ColumnType) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Text(text) | Value::Json(text) => text.to_owned(),
        Value::Int(value) => value.to_string(),
        Value::Float(value) => value.to_string(),
        Value::Bool(value) => value.to_string(),
        Value::Decimal(digits) => {
            let scale = if let ColumnType::Decimal { scale, .. } = kind { scale } else { 0 };
            decimal(digits, scale)
        }
        Value::Timestamp(at) => match Timestamp::from_microsecond(at) {
            Ok(at) => at.to_string(),
            Err(_) => format!("{at} µs"),
        },
        Value::Date(days) => match day(days) {
            Some(date) => date.to_string(),
            None => format!("day {days}"),
        },
    }
}

/// A day by its number since 1970-01-01, as far as calendars go.
pub(super) fn day(days: i32) -> Option<Date> {
    let span = Span::new().try_days(days).ok()?;
    Date::constant(1970, 1, 1).checked_add(span).ok()
}

/// Digits with the point where the scale puts it.
pub(super) fn decimal(digits: i128, scale: u8) -> String {
    let scale = usize::from(scale);
    let sign = if digits < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", digits.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    match fraction {
        "" => format!("{sign}{whole}"),
        _ => format!("{sign}{whole}.{fraction}"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Owned {
        Null,
        Text(String),
        Int(i64),
        Float(f64),
        Decimal(i128),
        Bool(bool),
        Timestamp(i64),
        Date(i32),
        Json(String),
    }

    impl Owned {
        fn value(&self) -> Value<'_> {
            match self {
                Self::Null => Value::Null,
                Self::Text(text) => Value::Text(text),
                Self::Int(value) => Value::Int(*value),
                Self::Float(value) => Value::Float(*value),
                Self::Decimal(value) => Value::Decimal(*value),
                Self::Bool(value) => Value::Bool(*value),
                Self::Timestamp(value) => Value::Timestamp(*value),
                Self::Date(value) => Value::Date(*value),
                Self::Json(text) => Value::Json(text),
            }
        }
    }

    fn any_value() -> impl Strategy<Value = Owned> {
        prop_oneof![
            Just(Owned::Null),
            prop_oneof!["", ".{0,9}", "[a-z]{120,140}"].prop_map(Owned::Text),
            any::<i64>().prop_map(Owned::Int),
            (-1e300..1e300).prop_map(Owned::Float),
            any::<i128>().prop_map(Owned::Decimal),
            any::<bool>().prop_map(Owned::Bool),
            any::<i64>().prop_map(Owned::Timestamp),
            any::<i32>().prop_map(Owned::Date),
            "[a-z]{0,5}".prop_map(Owned::Json),
        ]
    }

    fn encoded(values: &[Owned]) -> Vec<u8> {
        let mut row = Vec::new();
        for value in values {
            encode(value.value(), &mut row);
        }
        row
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(values in prop::collection::vec(any_value(), 0..9)) {
            let row = encoded(&values);
            let read: Vec<Value<'_>> = Values::of(&row).collect();
            prop_assert_eq!(read, values.iter().map(Owned::value).collect::<Vec<_>>());
        }

        #[test]
        fn rows_are_equal_exactly_when_their_bytes_are(
            a in prop::collection::vec(any_value(), 0..4),
            b in prop::collection::vec(any_value(), 0..4),
        ) {
            let same = a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| a.value() == b.value());
            prop_assert_eq!(same, encoded(&a) == encoded(&b));
        }

        #[test]
        fn a_key_is_the_encoding_of_its_columns(
            values in prop::collection::vec(any_value(), 1..8),
            picked in prop::collection::btree_set(0_usize..8, 0..4),
        ) {
            let picked: Vec<usize> = picked.into_iter().filter(|at| *at < values.len()).collect();
            let mut key = Vec::new();
            Keys(picked.clone()).append(&encoded(&values), &mut key);
            let whole = picked.is_empty();
            let of: Vec<Owned> = if whole {
                values
            } else {
                picked.iter().map(|at| values[*at].clone()).collect()
            };
            prop_assert_eq!(key, encoded(&of));
        }

        #[test]
        fn no_bytes_are_too_odd_to_be_looked_at(row in prop::collection::vec(any::<u8>(), 0..60)) {
            let _some = Values::of(&row).count();
            Keys(vec![0, 2]).append(&row, &mut Vec::new());
        }
    }

    #[test]
    fn values_are_shown_as_people_write_them() {
        let decimal = ColumnType::Decimal { precision: 12, scale: 2 };
        for (value, kind, text) in [
            (Value::Decimal(-5), decimal, "-0.05"),
            (Value::Decimal(123_456), decimal, "1234.56"),
            (Value::Decimal(7), ColumnType::Decimal { precision: 3, scale: 0 }, "7"),
            (Value::Date(20_454), ColumnType::Date, "2026-01-01"),
            (Value::Date(i32::MAX), ColumnType::Date, "day 2147483647"),
            (Value::Timestamp(0), ColumnType::Timestamp, "1970-01-01T00:00:00Z"),
            (Value::Timestamp(1_500_000), ColumnType::Timestamp, "1970-01-01T00:00:01.5Z"),
            (Value::Null, ColumnType::Text, "null"),
        ] {
            assert_eq!(shown(value, kind), text);
        }
    }
}
