//! The connections that read.
//!
//! Owns them and the threads that they are used on. Refuses to write: they are opened read-only.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, OpenFlags};
use tokio::sync::Semaphore;

use super::{BUSY, fault};
use crate::store::{Error, Result};

/// Readers at one time. A query takes microseconds; two let a page load while another one is slow.
const READERS: usize = 2;

/// A small pool; connections are opened when first needed, since each takes memory.
#[derive(Debug)]
pub(super) struct Reader {
    path: Arc<Path>,
    seats: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl Reader {
    pub(super) fn new(path: &Path) -> Self {
        let seats = Arc::new(Semaphore::new(READERS));
        Self { path: path.into(), seats, idle: Arc::default() }
    }

    /// Answers a query outside the caller's thread, from one consistent state of the store.
    pub(super) async fn read<T, F>(&self, query: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let seat = Arc::clone(&self.seats).acquire_owned().await.map_err(|_| Error::Closed)?;
        let (path, seats, idle) = (self.path.clone(), self.seats.clone(), self.idle.clone());
        let work = move || {
            let taken = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let connection = match taken {
                Some(connection) => connection,
                None => connect(&path)?,
            };
            let answer = snapshot(&connection, query);
            if !seats.is_closed() {
                idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            }
            drop(seat);
            answer.map_err(|error| fault::read(&path, &error))
        };
        // Only a query that panics ends without an answer.
        tokio::task::spawn_blocking(work).await.map_err(|_| Error::Closed)?
    }

    /// Refuses further queries and lets go of the file.
    pub(super) fn close(&self) {
        self.seats.close();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// Several statements of one query must see the same state.
fn snapshot<T>(
    connection: &Connection,
    query: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let transaction = connection.unchecked_transaction()?;
    let answer = query(&transaction)?;
    transaction.finish()?;
    Ok(answer)
}

/// Opens the file read-only.
pub(super) fn connect(path: &Path) -> Result<Connection> {
    let fail = |error| fault::open(path, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(fail)?;
    connection.busy_timeout(BUSY).map_err(fail)?;
    connection.set_prepared_statement_cache_capacity(32);
    connection.pragma_update(None, "cache_size", -1024).map_err(fail)?;
    Ok(connection)
}
