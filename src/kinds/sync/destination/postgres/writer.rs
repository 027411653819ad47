//! Applies moves: each kind of them is copied at one go.
//!
//! Owns what is under way between the first move and the last. Refuses to end the transaction.

use std::io::Cursor;
use std::pin::Pin;

use futures_util::SinkExt as _;
use tokio_postgres::CopyInSink;

use super::super::super::columns::Column;
use super::super::super::diff::Move;
use super::super::super::postgres_link::Link;
use super::super::super::sql_text::{all, key, list, names, quoted, rest};
use super::super::super::trouble::Trouble;
use super::super::super::value::Values;
use super::super::super::written;
use super::copied;
use super::table::Place;

/// Bytes that are sent at one time.
const PIECE: usize = 64 << 10;

/// Where changed and deleted rows wait.
const CHANGED: &str = "pg_temp.jada_changed";
const GONE: &str = "pg_temp.jada_gone";

/// What is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    Inserts,
    Updates,
    Deletes,
}

/// See the module's words.
pub(super) struct Writer<'a> {
    link: &'a Link,
    place: &'a Place,
    columns: &'a [Column],
    under_way: Option<Copy>,
    piece: Vec<u8>,
    scratch: String,
}

struct Copy {
    sort: Sort,
    sink: Pin<Box<CopyInSink<Cursor<Vec<u8>>>>>,
    rows: u64,
}

impl<'a> Writer<'a> {
    pub(super) fn new(link: &'a Link, place: &'a Place, columns: &'a [Column]) -> Self {
        let piece = Vec::with_capacity(PIECE + (PIECE >> 2));
        Self { link, place, columns, under_way: None, piece, scratch: String::new() }
    }

    pub(super) fn apply(&mut self, step: Move<'_>) -> Result<(), Trouble> {
        let (sort, row) = match step {
            Move::Insert(row) => (Sort::Inserts, row),
            Move::Update(row) => (Sort::Updates, row),
            Move::Delete(key) => (Sort::Deletes, key),
        };
        if self.under_way.as_ref().is_none_or(|copy| copy.sort != sort) {
            self.finish()?;
            self.begin(sort)?;
        }
        self.line(sort, row)?;
        if let Some(copy) = &mut self.under_way {
            copy.rows += 1;
        }
        if self.piece.len() >= PIECE { self.send() } else { Ok(()) }
    }

    fn line(&mut self, sort: Sort, row: &[u8]) -> Result<(), Trouble> {
        let keys_only = sort == Sort::Deletes;
        let columns = self.columns.iter().filter(|column| column.key || !keys_only);
        let start = self.piece.len();
        for (column, value) in columns.zip(Values::of(row)) {
            if self.piece.len() > start {
                self.piece.push(b'\t');
            }
            if !copied::field(value, column.kind, &mut self.piece, &mut self.scratch) {
                let key = if keys_only { written::key_alone } else { written::key_of };
                return Err(Trouble::destination(format!(
                    "{}: column `{}` of the row {} has a character of number 0, which Postgres \
                     can't hold: take it out at the source",
                    self.link.shown(),
                    column.name,
                    key(self.columns, row)
                ))
                .for_good());
            }
        }
        self.piece.push(b'\n');
        Ok(())
    }

    fn begin(&mut self, sort: Sort) -> Result<(), Trouble> {
        let (into, columns) = match sort {
            Sort::Inserts => (self.place.table.as_str(), names(self.columns.iter())),
            Sort::Updates => (CHANGED, names(self.columns.iter())),
            Sort::Deletes => (GONE, names(key(self.columns))),
        };
        if sort != Sort::Inserts {
            // Its columns are the table's, so that a value becomes what it would be there.
            let bare = into.trim_start_matches("pg_temp.");
            let make = format!(
                "CREATE TEMPORARY TABLE {bare} ON COMMIT DROP AS SELECT {columns} FROM {} WITH NO DATA",
                self.place.table
            );
            self.link.wait(self.link.client.batch_execute(&make))?;
        }
        let sql = format!("COPY {into} ({columns}) FROM STDIN");
        let sink = self.link.wait(self.link.client.copy_in(&sql))?;
        self.under_way = Some(Copy { sort, sink: Box::pin(sink), rows: 0 });
        Ok(())
    }

    fn send(&mut self) -> Result<(), Trouble> {
        let Some(copy) = &mut self.under_way else { return Ok(()) };
        let room = Vec::with_capacity(self.piece.capacity());
        let piece = std::mem::replace(&mut self.piece, room);
        self.link.wait(copy.sink.feed(Cursor::new(piece)))
    }

    /// Ends what is under way, and merges it.
    pub(super) fn finish(&mut self) -> Result<(), Trouble> {
        if !self.piece.is_empty() {
            self.send()?;
        }
        let Some(mut copy) = self.under_way.take() else { return Ok(()) };
        let taken = self.link.wait(copy.sink.as_mut().finish())?;
        self.counted(copy.rows, taken, "were taken")?;
        let merge = match copy.sort {
            Sort::Inserts => return Ok(()),
            Sort::Updates => self.update(),
            Sort::Deletes => self.delete(),
        };
        let from = if copy.sort == Sort::Updates { CHANGED } else { GONE };
        self.link.wait(self.link.client.batch_execute(&format!("ANALYZE {from}")))?;
        let changed = self.link.wait(self.link.client.execute(&merge, &[]))?;
        self.counted(copy.rows, changed, "with their keys are there")
    }

    fn update(&self) -> String {
        let mut set =
            list(rest(self.columns), |column| format!("{0} = changed.{0}", quoted(&column.name)));
        if set.is_empty() {
            // Rows that are all key never change; a statement is there all the same.
            set = list(key(self.columns), |column| {
                format!("{0} = changed.{0}", quoted(&column.name))
            });
        }
        let found = all(key(self.columns), |column| {
            format!("there.{0} = changed.{0}", quoted(&column.name))
        });
        format!(
            "UPDATE {} AS there SET {set} FROM {CHANGED} AS changed WHERE {found}",
            self.place.table
        )
    }

    fn delete(&self) -> String {
        let found =
            all(key(self.columns), |column| format!("there.{0} = gone.{0}", quoted(&column.name)));
        format!("DELETE FROM {} AS there USING {GONE} AS gone WHERE {found}", self.place.table)
    }

    /// Another number than the expected one would make the record of this commit a lie.
    fn counted(&self, expected: u64, found: u64, what: &str) -> Result<(), Trouble> {
        if expected == found {
            return Ok(());
        }
        let table = &self.place.table;
        let words = format!(
            "{}: {expected} rows were given to table {table}, of which {found} {what}: look at its \
             triggers and rules, and whether its key is unique",
            self.link.shown()
        );
        Err(Trouble::destination(words).for_good())
    }
}
