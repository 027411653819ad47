//! The embedded store: one SQLite file, written by one thread.
//!
//! Owns the file: how it is opened, its connections and how it is let go. Refuses to decide anything and
//! to read a clock.
//!
//! ```text
//!  callers ──requests──▶ writer (one thread, group commit, synchronous FULL)
//!     │                    request: commit · incident · observation · jobs · retention
//!     └────queries──────▶ reader (at most two read-only connections)
//!                          query
//! ```
//!
//! The log (WAL) lets readers go on while the writer writes, and is synced with each commit: what was
//! answered with `Ok` survives the loss of power.

mod columns;
mod commit;
mod fault;
mod incident;
mod jobs;
mod migrate;
mod observation;
mod outbox;
mod query;
mod reader;
mod request;
mod retention;
mod writer;

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, ffi};

use self::reader::Reader;
use self::request::{Reply, Request};
use self::writer::Writer;
use super::{
    Applied, Batch, EndQuery, Error, JobEntry, JobState, Keep, NewNode, ObservationQuery, Pruned,
    Result, RunQuery, RunRow, SlotQuery, SlotRow, Store, Summary,
};
use crate::model::{
    Attempt, Incident, JobId, JobName, NodeId, Notification, NotificationId, Observation, Outbox,
    Outcome, Run, RunId, Silence,
};

/// How long a statement waits for a program outside (a backup, a shell) to let go of the file.
const BUSY: Duration = Duration::from_secs(5);

/// Bytes of a page; SQLite's own default, here because the size limits count in it.
const PAGE: u64 = 4096;

/// The embedded store.
#[derive(Debug)]
pub struct Sqlite {
    /// `None` where it was opened to read only.
    writer: Option<Writer>,
    reader: Reader,
}

/// How to open the store; the default is right for the daemon.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// What an answer promises.
    pub sync: Sync,
    /// The file never grows beyond this many bytes; a write that needs more fails as on a full disk.
    pub max_bytes: Option<u64>,
}

/// What an answered commit survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sync {
    /// The loss of power.
    #[default]
    Full,
    /// The death of the process only. For simulations, which restart ten thousand times.
    Off,
}

impl Sqlite {
    /// Opens the store, and makes it where there is none yet. The folder must exist.
    ///
    /// # Errors
    /// [`Error::Newer`] for the file of a newer program, [`Error::Open`] for every other reason; the
    /// file is not touched then.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path, Options::default())
    }

    /// Opens the store with options of its own.
    ///
    /// # Errors
    /// As [`Sqlite::open`].
    pub fn open_with(path: impl AsRef<Path>, options: Options) -> Result<Self> {
        let path = path.as_ref();
        migrate::inspect(path)?;
        let connection = writing(path, options).map_err(|error| fault::open(path, &error))?;
        let writer = Writer::start(path, connection)?;
        Ok(Self { writer: Some(writer), reader: Reader::new(path) })
    }

    /// Opens a store that exists, to read only: nothing about it is changed, and each method that
    /// would write answers with an error.
    ///
    /// # Errors
    /// As [`Sqlite::open`]; also where it is older than this program.
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let reason = match migrate::inspect(path)? {
            None => "there is none yet: start jada-agent once to make it",
            Some(found) if found < migrate::KNOWN => {
                "an older version wrote it: start jada-agent once to bring it up to date"
            }
            Some(_) => return Ok(Self { writer: None, reader: Reader::new(path) }),
        };
        Err(Error::Open { path: path.into(), reason: reason.into() })
    }

    async fn write<T>(&self, request: impl FnOnce(Reply<T>) -> Request) -> Result<T> {
        match &self.writer {
            Some(writer) => writer.write(request).await,
            None => Err(Error::Write("it was opened to read only".into())),
        }
    }
}

/// The connection that writes, with the schema up to date.
fn writing(path: &Path, options: Options) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    // History is for its owner; the files of the log take their mode from this one. What is wrong with
    // the path, SQLite tells. Closed before SQLite opens it: a process that closes a file by any handle
    // loses all its locks on it, and then whoever else opens the store takes it for abandoned and its log away.
    drop(OpenOptions::new().append(true).create(true).mode(0o600).open(path));
    let mut connection = Connection::open_with_flags(path, flags)?;
    // SQLite falls back to reading without a word, and only the first write would tell.
    if connection.is_readonly("main")? {
        return Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_READONLY), None));
    }
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(64);
    // Before the first table: afterwards it would take a rewrite of the whole file.
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    let sync = match options.sync {
        Sync::Full => "FULL",
        Sync::Off => "OFF",
    };
    connection.pragma_update(None, "synchronous", sync)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "cache_size", -4096)?;
    // The writer writes the log back when it is idle; these bound the log when it never is.
    connection.pragma_update(None, "wal_autocheckpoint", 8000)?;
    connection.pragma_update(None, "journal_size_limit", 8 << 20)?;
    if let Some(bytes) = options.max_bytes {
        let pages = i64::try_from(bytes / PAGE).unwrap_or(i64::MAX);
        connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
    }
    migrate::run(&mut connection)?;
    Ok(connection)
}

#[async_trait]
impl Store for Sqlite {
    async fn register(&self, node: NewNode) -> Result<NodeId> {
        self.write(|reply| Request::Register(node, reply)).await
    }

    async fn sync_jobs(&self, entries: Vec<JobEntry>, now: Timestamp) -> Result<Vec<JobState>> {
        self.write(|reply| Request::Sync(entries, now, reply)).await
    }

    async fn jobs(&self) -> Result<Vec<JobState>> {
        self.reader.read(jobs::list).await
    }

    async fn live_runs(&self) -> Result<Vec<Run>> {
        self.reader.read(query::live_runs).await
    }

    async fn commit(&self, batch: Batch) -> Result<Vec<Applied>> {
        self.write(|reply| Request::Commit(batch, reply)).await
    }

    async fn renew(&self, node: NodeId, until: Timestamp) -> Result<()> {
        self.write(|reply| Request::Renew(node, until, reply)).await
    }

    async fn slots(&self, query: SlotQuery) -> Result<Vec<SlotRow>> {
        self.reader.read(move |connection| query::slots(connection, &query)).await
    }

    async fn runs(&self, query: RunQuery) -> Result<Vec<RunRow>> {
        self.reader.read(move |connection| query::runs(connection, &query)).await
    }

    async fn attempts(&self, run: RunId) -> Result<Vec<Attempt>> {
        self.reader.read(move |connection| query::attempts(connection, run)).await
    }

    async fn incidents(&self, all: bool, limit: u32) -> Result<Vec<Incident>> {
        self.reader.read(move |connection| incident::list(connection, all, limit)).await
    }

    async fn outbox(&self, since: Timestamp) -> Result<Outbox> {
        self.reader.read(move |connection| outbox::read(connection, since)).await
    }

    async fn notifications(&self, all: bool, limit: u32) -> Result<Vec<Notification>> {
        self.reader.read(move |connection| outbox::list(connection, all, limit)).await
    }

    async fn notification(&self, id: NotificationId) -> Result<Option<Notification>> {
        self.reader.read(move |connection| outbox::one(connection, id)).await
    }

    async fn silences(&self, after: Timestamp) -> Result<Vec<Silence>> {
        self.reader.read(move |connection| outbox::silences(connection, after)).await
    }

    async fn summaries(&self, since: Timestamp) -> Result<BTreeMap<JobName, Summary>> {
        self.reader.read(move |connection| query::summaries(connection, since)).await
    }

    async fn recent_ends(&self, query: EndQuery) -> Result<Vec<(Timestamp, Outcome)>> {
        self.reader.read(move |connection| query::recent_ends(connection, query)).await
    }

    async fn observations(&self, query: ObservationQuery) -> Result<Vec<Observation>> {
        self.reader.read(move |connection| observation::list(connection, &query)).await
    }

    async fn last_looks(&self, until: Timestamp) -> Result<Vec<Observation>> {
        self.reader.read(move |connection| observation::last(connection, until)).await
    }

    async fn blocked_tail(&self, job: JobId, limit: u32) -> Result<Vec<Run>> {
        self.reader.read(move |connection| query::blocked_tail(connection, job, limit)).await
    }

    async fn prune(&self, keep: Keep, now: Timestamp) -> Result<Pruned> {
        self.write(|reply| Request::Prune(keep, now, reply)).await
    }

    async fn size(&self) -> Result<u64> {
        self.reader.read(retention::size).await
    }

    async fn close(&self) -> Result<()> {
        self.reader.close();
        match &self.writer {
            Some(writer) => writer.close().await,
            None => Ok(()),
        }
    }
}
