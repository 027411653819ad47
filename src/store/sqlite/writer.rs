//! The one thread that writes.
//!
//! Owns the writing connection, and turns requests that wait into one transaction: the price of a
//! commit is the sync to disk, which a group pays once. Refuses to know what a request does (`request`).
//!
//! A group is optimistic. Should any request of it fail (a full disk, a damaged page: a refused
//! condition is no failure), the group is undone and each request is tried once more in a transaction of
//! its own, so that one bad request fails alone. Savepoints would do the same, but copy each page that
//! an earlier request of the group has touched.

use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::fault;
use super::request::{Reply, Request};
use crate::store::{Error, Result};

/// Requests that may wait before callers wait as well.
const QUEUE: usize = 1024;

/// Requests that one transaction takes in at most.
const GROUP: usize = 256;

/// Changes that one transaction takes in before it stops taking in further requests: it bounds how
/// long the first one waits for the last.
const GROUP_WEIGHT: usize = 8192;

/// Weight after which the log is written back once nobody waits.
const WRITE_BACK: usize = 1000;

/// Hands requests to the thread.
#[derive(Debug)]
pub(super) struct Writer {
    path: PathBuf,
    /// `None` only while it is dropped.
    queue: Option<mpsc::Sender<Message>>,
    thread: Option<JoinHandle<()>>,
}

enum Message {
    Write(Request),
    Close(oneshot::Sender<rusqlite::Result<()>>),
}

impl Writer {
    /// Starts the thread on a connection that is ready to write.
    pub(super) fn start(path: &Path, connection: Connection) -> Result<Self> {
        let (queue, messages) = mpsc::channel(QUEUE);
        let owned = path.to_owned();
        let thread = std::thread::Builder::new()
            .name("jada-store".into())
            .spawn(move || Thread { path: owned, connection, messages, logged: 0 }.run())
            .map_err(|error| Error::Open {
                path: path.into(),
                reason: format!("no thread could be started: {error}"),
            })?;
        Ok(Self { path: path.into(), queue: Some(queue), thread: Some(thread) })
    }

    /// Carries out a request in a transaction and answers once it is on disk.
    pub(super) async fn write<T>(&self, request: impl FnOnce(Reply<T>) -> Request) -> Result<T> {
        let (caller, answer) = oneshot::channel();
        self.send(Message::Write(request(Reply::new(caller)))).await?;
        answer.await.map_err(|_| Error::Closed)?
    }

    /// Finishes what waits, writes the log back into the file and ends the thread.
    pub(super) async fn close(&self) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        self.send(Message::Close(reply)).await?;
        let end = answer.await.map_err(|_| Error::Closed)?;
        end.map_err(|error| fault::write(&self.path, &error))
    }

    async fn send(&self, message: Message) -> Result<()> {
        let queue = self.queue.as_ref().ok_or(Error::Closed)?;
        queue.send(message).await.map_err(|_| Error::Closed)
    }
}

impl Drop for Writer {
    /// Ends the thread after what waits; it is never left behind with the file open.
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was told by its panic message, and by `Closed` to its callers.
            let _panicked = thread.join();
        }
    }
}

struct Thread {
    path: PathBuf,
    connection: Connection,
    messages: mpsc::Receiver<Message>,
    /// Weight that was committed since the log was last written back.
    logged: usize,
}

impl Thread {
    fn run(mut self) {
        let mut waiting = Vec::with_capacity(GROUP);
        let mut closers = Vec::new();
        while self.messages.blocking_recv_many(&mut waiting, GROUP) > 0 {
            let mut group = Vec::new();
            let mut weight = 0_usize;
            for message in waiting.drain(..) {
                match message {
                    Message::Write(request) => {
                        weight = weight.saturating_add(request.weight());
                        group.push(request);
                        if weight >= GROUP_WEIGHT {
                            self.commit(std::mem::take(&mut group), std::mem::take(&mut weight));
                        }
                    }
                    Message::Close(reply) => {
                        self.messages.close();
                        closers.push(reply);
                    }
                }
            }
            self.commit(group, weight);
            self.write_back_if_idle();
        }
        let mut end = Some(checkpoint(&self.connection, "TRUNCATE"));
        drop(self.connection);
        for reply in closers {
            let _gone = reply.send(end.take().unwrap_or(Ok(())));
        }
    }

    fn commit(&mut self, group: Vec<Request>, weight: usize) {
        if !group.is_empty() {
            commit_group(&self.path, &self.connection, group);
            self.logged = self.logged.saturating_add(weight);
        }
    }

    /// Callers have their answers when the log is synced. To write it back into the file costs more
    /// syncs, so that is left for a moment in which nobody waits; SQLite does it by itself only when the
    /// log has grown large.
    fn write_back_if_idle(&mut self) {
        if self.logged >= WRITE_BACK && self.messages.is_empty() {
            self.logged = 0;
            // Should it fail, nothing is lost: the log keeps what was committed.
            let _later = checkpoint(&self.connection, "PASSIVE");
        }
    }
}

/// Writes the log back into the file.
fn checkpoint(connection: &Connection, mode: &str) -> rusqlite::Result<()> {
    connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |_| Ok(()))
}

/// Commits a group in one transaction, or, where that fails, one by one.
fn commit_group(path: &Path, connection: &Connection, mut group: Vec<Request>) {
    let end = transact(connection, &mut group);
    if end.is_ok() || group.len() == 1 {
        let end = end.as_ref().copied();
        for request in group {
            request.answer(path, end);
        }
        return;
    }
    for mut request in group {
        let end = transact(connection, std::slice::from_mut(&mut request));
        request.answer(path, end.as_ref().copied());
    }
}

/// Carries out a group in one transaction: all of it is on disk, or nothing.
fn transact(connection: &Connection, group: &mut [Request]) -> rusqlite::Result<()> {
    let begun = connection.prepare_cached("BEGIN IMMEDIATE")?.execute([]);
    let end = begun
        .and_then(|_| group.iter_mut().try_for_each(|request| request.perform(connection)))
        .and_then(|()| connection.prepare_cached("COMMIT")?.execute([]).map(drop));
    // On a full disk SQLite may have rolled back by itself already.
    if end.is_err() && !connection.is_autocommit() {
        connection.execute_batch("ROLLBACK")?;
    }
    end
}
