//! A connection to a SQLite file of the user's.
//!
//! Owns how it is opened, how long a lock of somebody else is waited for, how a statement is stopped, and
//! the words for what SQLite complains about. Refuses to know tables.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::ffi::ErrorCode;
use rusqlite::{Connection, OpenFlags, Result};
use tokio::task::AbortHandle;

use super::tools::Tools;
use super::trouble::{Ending, Trouble};

/// How long somebody else's lock is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often it is tried again.
const AGAIN: Duration = Duration::from_millis(50);

/// An open file.
pub(super) struct Link {
    pub(super) connection: Connection,
    path: PathBuf,
    tools: Tools,
    /// On which side of the sync the file stands.
    side: Ending,
    /// Interrupts a statement when the attempt is stopped.
    watch: AbortHandle,
}

impl Link {
    /// Opens the file that data goes to; makes it where there is none.
    pub(super) fn to(path: PathBuf, tools: &Tools) -> Result<Self, Trouble> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        let link = Self::open(path, flags, tools, Ending::Destination)?;
        // SQLite falls back to reading without a word, and only the first write would tell.
        if link.told(link.connection.is_readonly("main"))? {
            let read_only = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_READONLY);
            return Err(link.trouble(&rusqlite::Error::SqliteFailure(read_only, None)));
        }
        link.patiently(|connection| {
            // Readers go on while it is written. A file system that can't do that keeps its old way,
            // which is as safe.
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            connection.pragma_update(None, "cache_size", -8192)?;
            connection.pragma_update(None, "journal_size_limit", 8 << 20)
        })?;
        Ok(link)
    }

    /// Opens the file that data comes from, to read only.
    pub(super) fn from(path: PathBuf, tools: &Tools) -> Result<Self, Trouble> {
        if !path.exists() {
            let message = format!("{}: there is no such file", path.display());
            return Err(Trouble::new(Ending::NotFound, message));
        }
        let link = Self::open(path, OpenFlags::SQLITE_OPEN_READ_ONLY, tools, Ending::Source)?;
        link.told(link.connection.pragma_update(None, "query_only", true))?;
        Ok(link)
    }

    fn open(path: PathBuf, flags: OpenFlags, tools: &Tools, side: Ending) -> Result<Self, Trouble> {
        let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let opened = Connection::open_with_flags(&path, flags);
        let connection = opened.map_err(|error| trouble(&path, side, &error))?;
        // What waits for a lock must also hear that it shall stop, so it is not SQLite that waits.
        connection.busy_timeout(Duration::ZERO).map_err(|error| trouble(&path, side, &error))?;
        let (handle, mut stop) = (connection.get_interrupt_handle(), tools.stop.clone());
        let watch = tools.handle.spawn(async move {
            stop.pulled().await;
            handle.interrupt();
        });
        let watch = watch.abort_handle();
        Ok(Self { connection, path, tools: tools.clone(), side, watch })
    }

    /// Tries until nobody else's lock is in the way.
    pub(super) fn patiently<T>(
        &self,
        work: impl Fn(&Connection) -> Result<T>,
    ) -> Result<T, Trouble> {
        let clock = &self.tools.clock;
        let began = clock.passed();
        loop {
            let done = work(&self.connection);
            let busy = done
                .as_ref()
                .is_err_and(|error| error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy));
            if !busy || clock.passed().saturating_sub(began) >= PATIENCE {
                return self.told(done);
            }
            self.tools.wait(clock.sleep(AGAIN))?;
        }
    }

    /// From here on what is under way can't be stopped: it is done or it is not.
    pub(super) fn past_stopping(&self) {
        self.watch.abort();
    }

    /// Says whether to go on; to be asked every thousand rows or so.
    pub(super) fn go_on(&self) -> Result<(), Trouble> {
        self.tools.go_on()
    }

    /// The words for an error.
    pub(super) fn told<T>(&self, result: Result<T>) -> Result<T, Trouble> {
        result.map_err(|error| self.trouble(&error))
    }

    /// The same.
    pub(super) fn trouble(&self, error: &rusqlite::Error) -> Trouble {
        let interrupted = error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted);
        if interrupted && self.tools.stop.reason().is_some() {
            return Trouble::cancelled();
        }
        trouble(&self.path, self.side, error)
    }

    /// The file, for messages.
    pub(super) fn path(&self) -> std::path::Display<'_> {
        self.path.display()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

fn trouble(path: &Path, side: Ending, error: &rusqlite::Error) -> Trouble {
    let folder = path.parent().unwrap_or(path);
    let file = path.display();
    let code = error.sqlite_error_code();
    let reason = match code {
        Some(ErrorCode::DiskFull) => {
            format!("the disk is full: free space on the disk that holds {}", folder.display())
        }
        Some(ErrorCode::ReadOnly) => format!(
            "it is read-only: make the file and the folder {} writable for the daemon's user",
            folder.display()
        ),
        Some(ErrorCode::CannotOpen) if !folder.as_os_str().is_empty() && !folder.exists() => {
            format!("its folder does not exist: mkdir -p {}", folder.display())
        }
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => format!(
            "it can't be opened: give the daemon's user access to the folder {}",
            folder.display()
        ),
        Some(ErrorCode::NotADatabase) => {
            "it is no SQLite database: name another file, or move this one away".to_owned()
        }
        Some(ErrorCode::DatabaseCorrupt) => {
            format!("it is damaged ({error}): restore it from a backup")
        }
        Some(ErrorCode::SystemIoFailure) => format!(
            "the system could not read or write it ({error}): look at the disk that holds {}; it may \
             be full",
            folder.display()
        ),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => format!(
            "another program has held it locked for {PATIENCE:?}: close what writes to it, or run \
             this job at another time"
        ),
        _ => error.to_string(),
    };
    let trouble = Trouble::new(side, format!("{file}: {reason}"));
    let may_pass = matches!(
        code,
        Some(
            ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::OperationInterrupted
        )
    );
    if may_pass { trouble } else { trouble.for_good() }
}
