//! The `sqlite` destination: a table of a SQLite database.
//!
//! Owns one IMMEDIATE transaction that holds the rows and the ledger. Refuses to judge a change.
//!
//! Readers see the table as it was until the commit, and as it is from then on. Foreign keys of other
//! tables are looked at when all is done, so that a replaced row may be missing meanwhile.

mod stored;
mod table;

use std::fmt::Write as _;

use rusqlite::{Connection, OptionalExtension as _, Statement};

use super::super::columns::Column;
use super::super::diff::{Effect, Move, Work};
use super::super::ledger::Ledger;
use super::super::sql_text::{all, key, list, names, quoted, rest};
use super::super::sqlite_link::Link;
use super::super::tools::Tools;
use super::super::trouble::Trouble;
use super::super::value::Values;
use super::super::written;
use super::{Each, Found, Moves, Shape, step};
use crate::yaml::{Located, section};

section! {
    /// A table of a SQLite database.
    pub struct SqliteTable {
        /// The database file; it is made where it is missing. A template.
        pub path: Located<String>,
        /// The table; it is made where it is missing.
        pub table: Located<String>,
    }
}

/// Where the last commit of each job is kept.
const LEDGER: &str = "CREATE TABLE IF NOT EXISTS jada_sync (stream TEXT PRIMARY KEY NOT NULL, \
                      committed_at TEXT NOT NULL, rows BIGINT NOT NULL, ledger TEXT NOT NULL)";

/// Rows between two looks at whether to go on.
const STRIDE: u64 = 1024;

/// Under way: a transaction that nobody else can write beside. Dropped, it is rolled back.
pub(in super::super) struct Session {
    link: Link,
    table: String,
    stream: String,
    columns: Vec<Column>,
    empty: bool,
}

impl SqliteTable {
    pub(super) fn begin(
        &self,
        tools: &Tools,
        shape: Shape<'_>,
    ) -> Result<(Session, Found), Trouble> {
        let path = tools.path("destination.sqlite.path", &self.path.value)?;
        let link = Link::to(path, tools)?;
        link.patiently(|connection| connection.execute_batch("BEGIN IMMEDIATE"))?;
        // A row that another table points to may be away until the commit.
        link.told(link.connection.pragma_update(None, "defer_foreign_keys", true))?;
        let table = self.table.value.clone();
        table::ready(&link, &table, shape.columns)?;
        let ledger = link.told(ledger(&link.connection, shape.stream))?;
        let count = format!("SELECT count(*) FROM {}", quoted(&table));
        let rows: i64 = link.told(link.connection.query_row(&count, [], |row| row.get(0)))?;
        let rows = u64::try_from(rows).unwrap_or_default();
        let stream = shape.stream.to_owned();
        let session =
            Session { link, table, stream, columns: shape.columns.to_vec(), empty: rows == 0 };
        step(1);
        Ok((session, Found { ledger, rows, shows_rows: true }))
    }
}

/// The record of the last commit, as its text.
fn ledger(connection: &Connection, stream: &str) -> rusqlite::Result<Option<String>> {
    connection.execute_batch(LEDGER)?;
    // What is no text is as corrupt as a wrong one, and shows itself as that.
    let read = "SELECT CAST(ledger AS TEXT) FROM jada_sync WHERE stream = ?1";
    connection.query_row(read, [stream], |row| row.get(0)).optional()
}

impl Session {
    pub(super) fn current(&mut self, each: Each<'_>) -> Result<(), Trouble> {
        if self.empty {
            return Ok(());
        }
        let link = &self.link;
        let sql = format!("SELECT {} FROM {}", names(self.columns.iter()), quoted(&self.table));
        let mut statement = link.told(link.connection.prepare(&sql))?;
        let mut rows = link.told(statement.query([]))?;
        let (mut row, mut scratch) = (Vec::new(), String::new());
        let mut count = 0_u64;
        while let Some(found) = link.told(rows.next())? {
            row.clear();
            for (index, column) in self.columns.iter().enumerate() {
                let value = link.told(found.get_ref(index))?;
                stored::encode(value, column.kind, &mut scratch, &mut row);
            }
            count += 1;
            if count.is_multiple_of(STRIDE) {
                link.go_on()?;
            }
            each(&row)?;
        }
        Ok(())
    }

    pub(super) fn commit(self, work: &mut Work<'_>, ledger: &Ledger) -> Result<(), Trouble> {
        self.apply(work.effect, &mut |each| work.moves(each), ledger)
    }

    pub(super) fn apply(
        self,
        effect: Effect,
        moves: Moves<'_>,
        ledger: &Ledger,
    ) -> Result<(), Trouble> {
        let Self { link, table, stream, columns, empty } = self;
        if effect == Effect::Replace && !empty {
            let delete = format!("DELETE FROM {}", quoted(&table));
            link.told(link.connection.execute(&delete, []))?;
        }
        let mut writer = Writer::new(&link, &table, &columns)?;
        moves(&mut |step| writer.apply(step))?;
        drop(writer);
        step(4);
        link.told(record(&link.connection, &stream, ledger))?;
        link.go_on()?;
        link.past_stopping();
        step(5);
        link.patiently(|connection| connection.execute_batch("COMMIT"))
    }
}

/// Writes the record of this commit.
fn record(connection: &Connection, stream: &str, ledger: &Ledger) -> rusqlite::Result<()> {
    let text = serde_json::to_string(ledger).expect("a ledger is made of plain data");
    let rows = i64::try_from(ledger.rows).unwrap_or(i64::MAX);
    let write = "INSERT INTO jada_sync (stream, committed_at, rows, ledger) VALUES (?1, ?2, ?3, ?4) \
                 ON CONFLICT (stream) DO UPDATE SET committed_at = excluded.committed_at, \
                 rows = excluded.rows, ledger = excluded.ledger";
    connection.execute(write, (stream, ledger.committed_at.to_string(), rows, text))?;
    Ok(())
}

/// Applies moves with statements that are prepared once.
struct Writer<'a> {
    link: &'a Link,
    table: &'a str,
    columns: &'a [Column],
    insert: Statement<'a>,
    /// Those of a merge, from the first one that needs them.
    by_key: Option<ByKey<'a>>,
    scratch: String,
    count: u64,
}

struct ByKey<'a> {
    update: Statement<'a>,
    delete: Statement<'a>,
    /// For each column, its parameter in `update`.
    places: Vec<usize>,
}

impl<'a> Writer<'a> {
    fn new(link: &'a Link, table: &'a str, columns: &'a [Column]) -> Result<Self, Trouble> {
        let insert = format!(
            "INSERT INTO {} ({}) VALUES ({})",
            quoted(table),
            names(columns.iter()),
            list(columns.iter(), |_| "?".to_owned())
        );
        let insert = link.told(link.connection.prepare(&insert))?;
        Ok(Self { link, table, columns, insert, by_key: None, scratch: String::new(), count: 0 })
    }

    fn apply(&mut self, step: Move<'_>) -> Result<(), Trouble> {
        self.count += 1;
        if self.count.is_multiple_of(STRIDE) {
            self.link.go_on()?;
        }
        match step {
            Move::Insert(row) => self.insert(row),
            Move::Update(row) => self.update(row),
            Move::Delete(key) => self.delete(key),
        }
    }

    fn insert(&mut self, row: &[u8]) -> Result<(), Trouble> {
        let bound = self.columns.iter().zip(Values::of(row)).enumerate();
        for (index, (column, value)) in bound {
            let done =
                stored::bind(&mut self.insert, index + 1, (value, column.kind), &mut self.scratch);
            self.link.told(done)?;
        }
        match self.insert.raw_execute() {
            Ok(_) => Ok(()),
            Err(error) => Err(self.refused(&error, &written::key_of(self.columns, row))),
        }
    }

    fn update(&mut self, row: &[u8]) -> Result<(), Trouble> {
        let by_key = match &mut self.by_key {
            Some(by_key) => by_key,
            none => none.insert(ByKey::new(self.link, self.table, self.columns)?),
        };
        for ((column, value), place) in self.columns.iter().zip(Values::of(row)).zip(&by_key.places)
        {
            let bound = (value, column.kind);
            self.link.told(stored::bind(&mut by_key.update, *place, bound, &mut self.scratch))?;
        }
        let done = by_key.update.raw_execute();
        self.one(done, || written::key_of(self.columns, row))
    }

    fn delete(&mut self, row: &[u8]) -> Result<(), Trouble> {
        let by_key = match &mut self.by_key {
            Some(by_key) => by_key,
            none => none.insert(ByKey::new(self.link, self.table, self.columns)?),
        };
        for (index, (column, value)) in key(self.columns).zip(Values::of(row)).enumerate() {
            let bound = (value, column.kind);
            self.link.told(stored::bind(
                &mut by_key.delete,
                index + 1,
                bound,
                &mut self.scratch,
            ))?;
        }
        let done = by_key.delete.raw_execute();
        self.one(done, || written::key_alone(self.columns, row))
    }

    /// A change by key must find one row: another number would make the record of this commit a lie.
    fn one(
        &self,
        changed: rusqlite::Result<usize>,
        row: impl Fn() -> String,
    ) -> Result<(), Trouble> {
        match changed {
            Ok(1) => Ok(()),
            Ok(found) => Err(Trouble::destination(format!(
                "{}: table {} has {found} rows with the key {}, where one was expected",
                self.link.path(),
                self.table,
                row()
            ))
            .for_good()),
            Err(error) => Err(self.refused(&error, &row())),
        }
    }

    /// A row that the table does not take.
    fn refused(&self, error: &rusqlite::Error, row: &str) -> Trouble {
        let mut trouble = self.link.trouble(error);
        if error.sqlite_error_code() == Some(rusqlite::ffi::ErrorCode::ConstraintViolation) {
            let _infallible = write!(trouble.message, " (table {}, the row {row})", self.table);
        }
        trouble
    }
}

impl<'a> ByKey<'a> {
    fn new(link: &'a Link, table: &str, columns: &[Column]) -> Result<Self, Trouble> {
        let keys = key(columns);
        table::indexed(link, table, columns)?;
        let found = all(keys.clone(), |column| format!("{} IS ?", quoted(&column.name)));
        let delete = format!("DELETE FROM {} WHERE {found}", quoted(table));
        let mut set = list(rest(columns), |column| format!("{} = ?", quoted(&column.name)));
        if set.is_empty() {
            // Rows that are all key never change; a statement is there all the same.
            set = list(keys.clone(), |column| format!("{0} = {0}", quoted(&column.name)));
        }
        let update = format!("UPDATE {} SET {set} WHERE {found}", quoted(table));
        let (mut plain, mut keyed) = (1, rest(columns).count() + 1);
        let place = |column: &Column| {
            let next = if column.key { &mut keyed } else { &mut plain };
            *next += 1;
            *next - 1
        };
        let places = columns.iter().map(place).collect();
        let update = link.told(link.connection.prepare(&update))?;
        let delete = link.told(link.connection.prepare(&delete))?;
        Ok(Self { update, delete, places })
    }
}

#[cfg(test)]
mod tests;
