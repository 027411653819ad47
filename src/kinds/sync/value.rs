//! Values: as a source gives them, as a column has them, and encoded.
//!
//! Owns the one encoding of a row, under which two rows are equal if and only if their bytes are. Refuses to
//! convert between types: that is `map`.

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
        std::str::from_utf8(text).ok()
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
