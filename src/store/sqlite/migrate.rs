//! Brings a database file to this program's schema.
//!
//! Owns the list of migrations and the checks that come before the first write: whose file it is and
//! how new. Refuses to change a file that it doesn't know.

use std::path::Path;

use rusqlite::Connection;

use super::fault;
use crate::store::{Error, Result};

/// The steps in order, each with the `user_version` that it leads to. A released step is never edited:
/// what comes later is a new file.
const STEPS: [(i64, &str); 1] = [(1, include_str!("../migrations/sqlite/0001_history.sql"))];

/// `JADA`, so that a database of some other program is told from ours.
const APPLICATION: i64 = 0x4A41_4441;

/// The schema version that this program writes.
pub(super) const KNOWN: i64 = STEPS[STEPS.len() - 1].0;

/// Looks at a file without changing a byte of it, and returns its schema version.
pub(super) fn inspect(path: &Path, reader: &Connection) -> Result<i64> {
    let fail = |error| fault::open(path, &error);
    let pragma = |name: &str| reader.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let found = pragma("user_version").map_err(fail)?;
    let application = pragma("application_id").map_err(fail)?;
    let tables: i64 = reader
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(fail)?;
    if tables > 0 && application != APPLICATION {
        return Err(Error::Open {
            path: path.into(),
            reason: "it is a database of another program: name another --data-dir".into(),
        });
    }
    if found > KNOWN {
        return Err(Error::Newer { path: path.into(), found, known: KNOWN });
    }
    Ok(found)
}

/// Runs the steps that are missing, all of them in one transaction.
pub(super) fn run(writer: &mut Connection) -> rusqlite::Result<()> {
    let found: i64 = writer.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found >= KNOWN {
        return Ok(());
    }
    let step = writer.transaction()?;
    for (_, sql) in STEPS.iter().filter(|(version, _)| *version > found) {
        step.execute_batch(sql)?;
    }
    step.pragma_update(None, "application_id", APPLICATION)?;
    step.pragma_update(None, "user_version", KNOWN)?;
    step.commit()
}
