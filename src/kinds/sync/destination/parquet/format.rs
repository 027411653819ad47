//! Rows in a Parquet file.
//!
//! Owns which Parquet type stands for which of ours, and that a bounded number of rows is in memory at a
//! time: they are written group by group, compressed with Snappy. Refuses to know what the rows are for.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use parquet::basic::{Compression, ConvertedType, Repetition, Type as Physical};
use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DataType, Decimal, DoubleType, FixedLenByteArray,
    FixedLenByteArrayType, Int32Type, Int64Type,
};
use parquet::errors::{ParquetError, Result as Parquets};
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::record::Field;
use parquet::schema::types::{Type, TypePtr};

use super::super::super::columns::{Column, ColumnType};
use super::super::super::trouble::Trouble;
use super::super::super::value::{Value, Values, encode};
use super::super::Each;
use super::super::files::{self, Format, Sink};

/// Most rows of a group, and most bytes of values that wait for it.
const GROUP_ROWS: usize = 64 * 1024;
const GROUP_BYTES: usize = 8 * 1024 * 1024;

/// Digits that 64 bits hold.
const SHORT: u8 = 18;

/// Bytes of a longer decimal.
const LONG: usize = 16;

/// The format.
pub(super) struct Parquet;

/// A file under way.
pub(super) struct Groups {
    to: SerializedFileWriter<Sink>,
    waiting: Vec<Waiting>,
    rows: usize,
    bytes: usize,
}

/// The values of one column that wait for their group: where there is one, and which.
struct Waiting {
    levels: Vec<i16>,
    values: Many,
}

/// Values of one Parquet type.
enum Many {
    Bool(Vec<bool>),
    Short(Vec<i32>),
    Long(Vec<i64>),
    Double(Vec<f64>),
    Bytes(Vec<ByteArray>),
    Fixed(Vec<FixedLenByteArray>),
}

impl Format for Parquet {
    const EXTENSION: &'static str = "parquet";

    type Writer = Groups;

    fn begin(sink: Sink, columns: &[Column]) -> io::Result<Groups> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_created_by(concat!("jada ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        let schema = schema(columns).map_err(io::Error::other)?;
        let to = SerializedFileWriter::new(sink, schema, Arc::new(properties));
        let waiting = columns.iter().map(|column| Waiting::of(column.kind)).collect();
        Ok(Groups { to: to.map_err(io::Error::other)?, waiting, rows: 0, bytes: 0 })
    }

    fn row(groups: &mut Groups, columns: &[Column], row: &[u8]) -> io::Result<()> {
        for ((column, waiting), value) in
            columns.iter().zip(&mut groups.waiting).zip(Values::of(row))
        {
            waiting.push(value, column)?;
        }
        groups.rows += 1;
        groups.bytes += row.len();
        if groups.rows >= GROUP_ROWS || groups.bytes >= GROUP_BYTES {
            groups.flush()?;
        }
        Ok(())
    }

    fn end(mut groups: Groups, _columns: &[Column]) -> io::Result<Sink> {
        groups.flush()?;
        groups.to.into_inner().map_err(io::Error::other)
    }

    fn read(file: &Path, columns: &[Column], keeps: bool, each: Each<'_>) -> Result<(), Trouble> {
        let wrong = |error: ParquetError| match error {
            ParquetError::External(error) => {
                Trouble::destination(format!("can't read {}: {error}", file.display()))
            }
            error => {
                let file = file.display();
                let message = format!("{file}, which is there, is no Parquet file: {error}");
                Trouble::destination(message).for_good()
            }
        };
        let from = File::open(file).map_err(|error| files::failed("read", file, &error))?;
        let reader = SerializedFileReader::new(from).map_err(wrong)?;
        let fields = reader.metadata().file_metadata().schema().get_fields();
        let names: Vec<&str> = fields.iter().map(|field| field.name()).collect();
        let stranger = names.iter().find(|name| columns.iter().all(|column| column.name != **name));
        if let Some(stranger) = stranger.filter(|_| keeps) {
            return Err(files::stranger(file, stranger));
        }
        let places: Vec<Option<usize>> = columns
            .iter()
            .map(|column| names.iter().position(|name| *name == column.name))
            .collect();
        let mut row = Vec::new();
        for record in reader.get_row_iter(None).map_err(wrong)? {
            let record = record.map_err(wrong)?;
            let fields: Vec<&Field> = record.get_column_iter().map(|(_, field)| field).collect();
            row.clear();
            for (column, place) in columns.iter().zip(&places) {
                let field = place.and_then(|place| fields.get(place));
                put(field.copied().unwrap_or(&Field::Null), column.kind, &mut row);
            }
            each(&row)?;
        }
        Ok(())
    }
}

fn schema(columns: &[Column]) -> Parquets<TypePtr> {
    let fields = columns.iter().map(|column| field(column).map(Arc::new));
    let fields = fields.collect::<Parquets<Vec<_>>>()?;
    Ok(Arc::new(Type::group_type_builder("rows").with_fields(fields).build()?))
}

fn field(column: &Column) -> Parquets<Type> {
    let (physical, converted) = match column.kind {
        ColumnType::Text => (Physical::BYTE_ARRAY, ConvertedType::UTF8),
        ColumnType::Json => (Physical::BYTE_ARRAY, ConvertedType::JSON),
        ColumnType::Int => (Physical::INT64, ConvertedType::NONE),
        ColumnType::Float => (Physical::DOUBLE, ConvertedType::NONE),
        ColumnType::Bool => (Physical::BOOLEAN, ConvertedType::NONE),
        ColumnType::Timestamp => (Physical::INT64, ConvertedType::TIMESTAMP_MICROS),
        ColumnType::Date => (Physical::INT32, ConvertedType::DATE),
        ColumnType::Decimal { precision, .. } if precision <= SHORT => {
            (Physical::INT64, ConvertedType::DECIMAL)
        }
        ColumnType::Decimal { .. } => (Physical::FIXED_LEN_BYTE_ARRAY, ConvertedType::DECIMAL),
    };
    let mut field = Type::primitive_type_builder(&column.name, physical)
        .with_repetition(Repetition::OPTIONAL)
        .with_converted_type(converted);
    if let ColumnType::Decimal { precision, scale } = column.kind {
        field = field.with_precision(precision.into()).with_scale(scale.into());
        if physical == Physical::FIXED_LEN_BYTE_ARRAY {
            field = field.with_length(LONG.try_into().expect("it is 16"));
        }
    }
    field.build()
}

impl Waiting {
    fn of(kind: ColumnType) -> Self {
        let values = match kind {
            ColumnType::Text | ColumnType::Json => Many::Bytes(Vec::new()),
            ColumnType::Int | ColumnType::Timestamp => Many::Long(Vec::new()),
            ColumnType::Float => Many::Double(Vec::new()),
            ColumnType::Bool => Many::Bool(Vec::new()),
            ColumnType::Date => Many::Short(Vec::new()),
            ColumnType::Decimal { precision, .. } if precision <= SHORT => Many::Long(Vec::new()),
            ColumnType::Decimal { .. } => Many::Fixed(Vec::new()),
        };
        Self { levels: Vec::new(), values }
    }

    fn push(&mut self, value: Value<'_>, column: &Column) -> io::Result<()> {
        match (&mut self.values, value) {
            (_, Value::Null) => {
                self.levels.push(0);
                return Ok(());
            }
            (Many::Bytes(to), Value::Text(text) | Value::Json(text)) => {
                to.push(text.as_bytes().to_vec().into());
            }
            (Many::Long(to), Value::Int(number) | Value::Timestamp(number)) => to.push(number),
            (Many::Long(to), Value::Decimal(digits)) => match i64::try_from(digits) {
                Ok(digits) => to.push(digits),
                Err(_) => return Err(foreign(column)),
            },
            (Many::Fixed(to), Value::Decimal(digits)) => {
                to.push(ByteArray::from(digits.to_be_bytes().to_vec()).into());
            }
            (Many::Double(to), Value::Float(number)) => to.push(number),
            (Many::Bool(to), Value::Bool(value)) => to.push(value),
            (Many::Short(to), Value::Date(day)) => to.push(day),
            _ => return Err(foreign(column)),
        }
        self.levels.push(1);
        Ok(())
    }

    fn write(&mut self, group: &mut SerializedRowGroupWriter<'_, Sink>) -> Parquets<()> {
        let Self { levels, values } = self;
        match values {
            Many::Bool(values) => column::<BoolType>(group, values, levels)?,
            Many::Short(values) => column::<Int32Type>(group, values, levels)?,
            Many::Long(values) => column::<Int64Type>(group, values, levels)?,
            Many::Double(values) => column::<DoubleType>(group, values, levels)?,
            Many::Bytes(values) => column::<ByteArrayType>(group, values, levels)?,
            Many::Fixed(values) => column::<FixedLenByteArrayType>(group, values, levels)?,
        }
        levels.clear();
        Ok(())
    }
}

fn column<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, Sink>,
    values: &mut Vec<T::T>,
    levels: &[i16],
) -> Parquets<()> {
    let missing = || ParquetError::General("a column too many".to_owned());
    let mut to = group.next_column()?.ok_or_else(missing)?;
    to.typed::<T>().write_batch(values, Some(levels), None)?;
    values.clear();
    to.close()
}

impl Groups {
    fn flush(&mut self) -> io::Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        let written = (|| {
            let mut group = self.to.next_row_group()?;
            self.waiting.iter_mut().try_for_each(|waiting| waiting.write(&mut group))?;
            group.close()
        })();
        (self.rows, self.bytes) = (0, 0);
        written.map(drop).map_err(|error| match error {
            // What the system says of the disk, rather than what the format makes of it.
            ParquetError::External(inner) => match inner.downcast::<io::Error>() {
                Ok(error) => *error,
                Err(other) => io::Error::other(other),
            },
            error => io::Error::other(error),
        })
    }
}

/// A row that stays, of a file whose column has another type.
fn foreign(column: &Column) -> io::Error {
    let what = format!(
        "a row that is there has a `{}` that is no {}; write elsewhere, or use `mode: replace`",
        column.name,
        column.kind.words()
    );
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Encodes a field. What its column can't have becomes a text, and counts as different.
fn put(field: &Field, kind: ColumnType, row: &mut Vec<u8>) {
    let text;
    let value = match (kind, field) {
        (_, Field::Null) => Value::Null,
        (ColumnType::Text, Field::Str(text)) => Value::Text(text),
        (ColumnType::Json, Field::Str(text)) => Value::Json(text),
        (ColumnType::Int, Field::Long(number)) => Value::Int(*number),
        (ColumnType::Int, Field::Int(number)) => Value::Int((*number).into()),
        (ColumnType::Float, Field::Double(number)) if number.is_finite() => Value::Float(*number),
        (ColumnType::Bool, Field::Bool(value)) => Value::Bool(*value),
        (ColumnType::Timestamp, Field::TimestampMicros(micros)) => Value::Timestamp(*micros),
        (ColumnType::Date, Field::Date(day)) => Value::Date(*day),
        (ColumnType::Decimal { scale, .. }, Field::Decimal(decimal))
            if decimal.scale() == i32::from(scale) && decimal.data().len() <= LONG =>
        {
            Value::Decimal(digits(decimal))
        }
        _ => {
            text = field.to_string();
            Value::Text(&text)
        }
    };
    encode(value, row);
}

fn digits(decimal: &Decimal) -> i128 {
    let bytes = decimal.data();
    let fill = if bytes.first().is_some_and(|byte| byte & 0x80 != 0) { 0xff } else { 0 };
    let mut whole = [fill; LONG];
    whole[LONG - bytes.len()..].copy_from_slice(bytes);
    i128::from_be_bytes(whole)
}
