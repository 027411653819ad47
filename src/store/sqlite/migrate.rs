//! Brings a database file to this program's schema.
//!
//! Owns the list of migrations and the checks that come before the first write: whose file it is and
//! how new. Refuses to change a file that it doesn't know.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::{BUSY, fault};
use crate::store::{Error, Result};

/// The steps in order, each with the `user_version` that it leads to. A released step is never edited:
/// what comes later is a new file.
const STEPS: [(i64, &str); 4] = [
    (1, include_str!("../migrations/sqlite/0001_history.sql")),
    (2, include_str!("../migrations/sqlite/0002_causes.sql")),
    (3, include_str!("../migrations/sqlite/0003_looks.sql")),
    (4, include_str!("../migrations/sqlite/0004_outbox.sql")),
];

/// `JADA`, so that a database of some other program is told from ours.
const APPLICATION: i64 = 0x4A41_4441;

/// The schema version that this program writes.
pub(super) const KNOWN: i64 = STEPS[STEPS.len() - 1].0;

/// Looks at a file without changing anything, and returns its schema version; `None` where there is no
/// store yet.
pub(super) fn inspect(path: &Path) -> Result<Option<i64>> {
    let refuse = |reason: &str| Error::Open { path: path.into(), reason: reason.into() };
    match path.metadata() {
        Ok(file) if file.is_dir() => {
            return Err(refuse("it is a folder: move it away, or name another --data-dir"));
        }
        // An empty file is what a crash in the very first moment leaves: as good as none.
        Ok(file) if file.len() == 0 => return Ok(None),
        Ok(_) => {}
        // What else is wrong with the path, opening it to write will tell.
        Err(_) => return Ok(None),
    }
    let (found, application, tables) = read(path).map_err(|error| fault::open(path, &error))?;
    if tables > 0 && application != APPLICATION {
        return Err(refuse("it is a database of another program: name another --data-dir"));
    }
    if found > KNOWN {
        return Err(Error::Newer { path: path.into(), found, known: KNOWN });
    }
    Ok(Some(found))
}

/// The schema version, the mark of the program, and how many tables and indexes there are.
fn read(path: &Path) -> rusqlite::Result<(i64, i64, i64)> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    // A reader makes the files of the log where they are missing. Without a log nobody has the file
    // open, and it can be read as if it never changed.
    let mode = if Path::new(&log).exists() { "mode=ro" } else { "immutable=1" };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let file = Connection::open_with_flags(format!("{}?{mode}", uri(path)), flags)?;
    file.busy_timeout(BUSY)?;
    let pragma = |name: &str| file.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let tables = file.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok((pragma("user_version")?, pragma("application_id")?, tables))
}

/// The path as SQLite's URI: every byte that could mean something in one is written as its number.
fn uri(path: &Path) -> String {
    let mut uri = String::from(if path.is_absolute() { "file://" } else { "file:" });
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {
                uri.push(char::from(*byte));
            }
            _ => {
                let digit = |half| char::from_digit(u32::from(half), 16).unwrap_or('0');
                uri.extend(['%', digit(byte >> 4), digit(byte & 15)]);
            }
        }
    }
    uri
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
