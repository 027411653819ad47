//! What the writer is asked for.
//!
//! Owns the list of requests: what each does to the database, and whom it answers. Refuses to know
//! transactions: the writer holds one around each call.

use std::path::Path;

use jiff::Timestamp;
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{commit, fault, jobs, retention};
use crate::model::NodeId;
use crate::store::{
    Applied, Batch, Change, Error, JobEntry, JobState, Keep, NewNode, Pruned, Result,
};

/// A request; it can be carried out again after a group was undone.
#[derive(Debug)]
pub(super) enum Request {
    /// See [`crate::store::Store::register`].
    Register(NewNode, Reply<NodeId>),
    /// See [`crate::store::Store::sync_jobs`].
    Sync(Vec<JobEntry>, Timestamp, Reply<Vec<JobState>>),
    /// See [`crate::store::Store::commit`].
    Commit(Batch, Reply<Vec<Applied>>),
    /// See [`crate::store::Store::renew`].
    Renew(NodeId, Timestamp, Reply<()>),
    /// See [`crate::store::Store::prune`].
    Prune(Keep, Timestamp, Reply<Pruned>),
}

/// Who waits for an answer, and the answer until it is on disk.
#[derive(Debug)]
pub(super) struct Reply<T> {
    done: Option<T>,
    caller: oneshot::Sender<Result<T>>,
}

impl Request {
    /// How many rows it writes, roughly.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Register(..) | Self::Renew(..) => 1,
            Self::Sync(entries, ..) => entries.len(),
            Self::Commit(batch, _) => batch.changes.iter().map(rows).sum(),
            Self::Prune(keep, ..) => usize::try_from(keep.batch).unwrap_or(usize::MAX),
        }
    }

    /// Does it within the transaction that the caller holds.
    pub(super) fn perform(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        match self {
            Self::Register(node, reply) => reply.keep(jobs::register(connection, node)?),
            Self::Sync(entries, now, reply) => reply.keep(jobs::sync(connection, entries, *now)?),
            Self::Commit(batch, reply) => reply.keep(commit::batch(connection, batch)?),
            Self::Renew(node, until, reply) => reply.keep(jobs::renew(connection, *node, *until)?),
            Self::Prune(keep, now, reply) => reply.keep(retention::prune(connection, keep, *now)?),
        }
        Ok(())
    }

    /// Answers the caller, now that it is on disk or has failed.
    pub(super) fn answer(self, path: &Path, end: Result<(), &rusqlite::Error>) {
        match self {
            Self::Register(_, reply) => reply.answer(path, end),
            Self::Sync(_, _, reply) => reply.answer(path, end),
            Self::Commit(_, reply) => reply.answer(path, end),
            Self::Renew(_, _, reply) => reply.answer(path, end),
            Self::Prune(_, _, reply) => reply.answer(path, end),
        }
    }
}

/// How many rows a change writes, roughly.
fn rows(change: &Change) -> usize {
    match change {
        Change::Observe(looks) => looks.len(),
        Change::Record { .. }
        | Change::Cursor { .. }
        | Change::Start { .. }
        | Change::End { .. }
        | Change::Close { .. }
        | Change::Release { .. }
        | Change::Pause { .. }
        | Change::Incident(_)
        | Change::Outbox(_) => 1,
    }
}

impl<T> Reply<T> {
    pub(super) fn new(caller: oneshot::Sender<Result<T>>) -> Self {
        Self { done: None, caller }
    }

    fn keep(&mut self, done: T) {
        self.done = Some(done);
    }

    fn answer(self, path: &Path, end: Result<(), &rusqlite::Error>) {
        let answer = match end {
            Ok(()) => self.done.ok_or(Error::Closed),
            Err(error) => Err(fault::write(path, error)),
        };
        // A caller that has gone doesn't undo what it asked for.
        let _gone = self.caller.send(answer);
    }
}
