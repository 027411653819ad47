//! The `csv` destination: a CSV file, or a folder of one file a run.
//!
//! Owns its format: a header, then values as text; of no value, nothing. Refuses to know how a file becomes
//! the one that counts.

use std::fs::File;
use std::io;
use std::path::Path;

use csv::{ErrorKind, ReaderBuilder, StringRecord, Writer, WriterBuilder};

use super::super::columns::Column;
use super::super::diff::Work;
use super::super::ledger::Ledger;
use super::super::tools::Tools;
use super::super::trouble::Trouble;
use super::super::value::{Value, Values, encode};
use super::super::written;
use super::files::{self, Format, Sink};
use super::{Each, Found, Layout, Shape};
use crate::yaml::{Located, section};

section! {
    /// A CSV file, or a folder of one file a run.
    pub struct CsvFile {
        /// The file, or the folder. A template.
        pub path: Located<String>,
        /// How many files there are.
        pub layout: Layout = Layout::SingleFile,
    }
}

/// Under way.
pub(in super::super) struct Session(files::Session<Csv>);

impl CsvFile {
    pub(super) fn begin(
        &self,
        tools: &Tools,
        shape: Shape<'_>,
    ) -> Result<(Session, Found), Trouble> {
        let path = tools.path("destination.csv.path", &self.path.value)?;
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
struct Csv;

/// A file under way.
struct Lines {
    to: Writer<Sink>,
    text: String,
}

impl Format for Csv {
    const EXTENSION: &'static str = "csv";

    type Writer = Lines;

    fn begin(sink: Sink, columns: &[Column]) -> io::Result<Lines> {
        let mut to = WriterBuilder::new().from_writer(sink);
        to.write_record(columns.iter().map(|column| &column.name))?;
        Ok(Lines { to, text: String::new() })
    }

    fn row(lines: &mut Lines, columns: &[Column], row: &[u8]) -> io::Result<()> {
        let Lines { to, text } = lines;
        for (column, value) in columns.iter().zip(Values::of(row)) {
            if let Value::Text(value) = value {
                to.write_field(value)?;
                continue;
            }
            text.clear();
            written::append(value, column.kind, text);
            to.write_field(&text)?;
        }
        to.write_record(None::<&[u8]>)?;
        Ok(())
    }

    fn end(lines: Lines, _columns: &[Column]) -> io::Result<Sink> {
        lines.to.into_inner().map_err(|error| io::Error::other(error.error().to_string()))
    }

    fn read(file: &Path, columns: &[Column], keeps: bool, each: Each<'_>) -> Result<(), Trouble> {
        let failed = |error: &csv::Error| unreadable(file, error);
        let from = File::open(file).map_err(|error| failed(&error.into()))?;
        let mut builder = ReaderBuilder::new();
        builder.has_headers(false).flexible(true).buffer_capacity(128 * 1024);
        let mut reader = builder.from_reader(from);
        let mut record = StringRecord::new();
        if !reader.read_record(&mut record).map_err(|error| failed(&error))? {
            return Ok(());
        }
        let stranger = record.iter().find(|name| columns.iter().all(|column| column.name != *name));
        if let Some(stranger) = stranger.filter(|_| keeps) {
            return Err(files::stranger(file, stranger));
        }
        let places: Vec<Option<usize>> = columns
            .iter()
            .map(|column| record.iter().position(|name| name == column.name))
            .collect();
        let mut row = Vec::new();
        while reader.read_record(&mut record).map_err(|error| failed(&error))? {
            row.clear();
            for (column, place) in columns.iter().zip(&places) {
                let text = place.and_then(|place| record.get(place)).unwrap_or_default();
                // What its column can't have stays as it is, and counts as different.
                let value = || written::read(text, column.kind).unwrap_or(Value::Text(text));
                encode(if text.is_empty() { Value::Null } else { value() }, &mut row);
            }
            each(&row)?;
        }
        Ok(())
    }
}

fn unreadable(file: &Path, error: &csv::Error) -> Trouble {
    let file = file.display();
    match error.kind() {
        ErrorKind::Io(error) => Trouble::destination(format!("can't read {file}: {error}")),
        _ => Trouble::destination(format!("{file}, which is there, is no CSV file: {error}"))
            .for_good(),
    }
}
