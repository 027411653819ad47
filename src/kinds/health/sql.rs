//! The `sql` probe: one value of a query.
//!
//! Owns the section, and what of the value is measured. Refuses to change anything: SQLite files are opened to be
//! read, and Postgres is asked within a transaction that may only read.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, InterruptHandle, OpenFlags};
use serde_json::Value as Json;

use super::measure::{Measured, Quantity, Reading, Unit};
use super::probe::Found;
use crate::kinds::freshness::newest;
use crate::kinds::sync::one_value::{ROWS, Value};
use crate::kinds::wire::{self, FILES};
use crate::model::{Failure, FailureClass};
use crate::yaml::{Located, one_of, section};

/// What it measures: the first value of the first row, the same as the age of a time, how many rows there are (up
/// to 1000), and how long it took.
pub(super) const MEASURES: &[(&str, Quantity)] = &[
    ("value", Quantity::Json),
    ("age", Quantity::Time),
    ("rows", Quantity::Number),
    ("latency", Quantity::Time),
];

/// How long somebody else's lock of a file is waited for.
const LOCKED: Duration = Duration::from_secs(5);

/// The least number that is taken for a time: a day in 2001.
const EARLIEST: f64 = 1e9;

section! {
    /// A query of a database.
    pub struct SqlProbe {
        /// The query: `select count(*) from orders where state = 'stuck'`.
        pub query: Located<String>,
        /// The credential with user and password for Postgres, by the job's own name for it.
        pub credential: Option<Located<String>>,

        one of
        /// Which database.
        pub database: Database,
    }
}

one_of! {
    /// A database.
    pub enum Database as "database" {
        /// A SQLite file; a relative path counts from the job's working directory. A template.
        sqlite => Sqlite(Located<String>),
        /// The address of a Postgres database, without a password: `postgres://user@host/database`. A template.
        postgres => Postgres(Located<String>),
    }
}

/// What a query gave, measured.
pub(super) fn found(
    given: Result<Value, Failure>,
    latency: Duration,
    now: Timestamp,
) -> Result<Found, Failure> {
    let Value { first, rows } = given?;
    let none = || Measured::Missing("the query gave no row".to_owned());
    let time = match &first {
        Some(Json::String(text)) => newest::read(text),
        // A count is no time: seconds of our days are many.
        Some(Json::Number(number)) if number.as_f64() >= Some(EARLIEST) => {
            newest::read(&number.to_string())
        }
        _ => None,
    };
    let age = match (time, &first) {
        (Some(at), _) => {
            let age = Duration::try_from(now.duration_since(at)).unwrap_or_default();
            Measured::time(age)
        }
        (None, Some(value)) => Measured::Missing(format!("{value} is no time")),
        (None, None) => none(),
    };
    let reading = Reading::default()
        .with("value", first.map_or_else(none, Measured::Json))
        .with("age", age)
        .with("rows", Measured::Number(rows.into(), Unit::Plain))
        .with("latency", Measured::time(latency));
    Ok(Found::values(reading))
}

/// How a query is told to stop, once there is a connection.
type Interrupt = Arc<Mutex<Option<InterruptHandle>>>;

/// Tells SQLite to stop when nobody waits any more.
struct Waiting(Interrupt);

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(handle) = &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            handle.interrupt();
        }
    }
}

/// Asks a SQLite file.
pub(super) async fn sqlite(path: PathBuf, query: String) -> Result<Value, Failure> {
    let waiting = Waiting(Arc::default());
    let interrupt = Arc::clone(&waiting.0);
    let trouble = |words| Failure::new(FailureClass::Transient, words);
    let asked = wire::look(&FILES, move || {
        let read = one(&path, &query, &interrupt);
        read.map_err(|error| format!("{}: {error}", path.display()))
    });
    asked.await.map_err(trouble)?.map_err(trouble)
}

fn one(path: &Path, query: &str, interrupt: &Interrupt) -> rusqlite::Result<Value> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(LOCKED)?;
    connection.pragma_update(None, "query_only", true)?;
    let handle = connection.get_interrupt_handle();
    *interrupt.lock().unwrap_or_else(PoisonError::into_inner) = Some(handle);
    let mut statement = connection.prepare(query)?;
    let mut rows = statement.query([])?;
    let mut value = Value::default();
    while value.rows < ROWS
        && let Some(row) = rows.next()?
    {
        if value.rows == 0 {
            value.first = Some(typed(row.get_ref(0)?));
        }
        value.rows += 1;
    }
    Ok(value)
}

fn typed(value: ValueRef<'_>) -> Json {
    match value {
        ValueRef::Null => Json::Null,
        ValueRef::Integer(number) => number.into(),
        ValueRef::Real(number) => number.into(),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into(),
        ValueRef::Blob(bytes) => format!("{} bytes", bytes.len()).into(),
    }
}

#[cfg(test)]
mod tests;
