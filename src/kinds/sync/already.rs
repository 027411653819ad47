//! What an earlier attempt of the same run committed already.
//!
//! Owns the mark that a commit of added rows leaves beside the state before it begins. Rows that are merged
//! by key may be written twice; rows that are added would be there twice. The answer to a commit may be lost,
//! the daemon may die behind it, and a look at the age of the data may fail the attempt that made it: each
//! time the same run tries again. Refuses to trust the mark alone: the destination must say the same.

use std::path::Path;

use super::desk::Changes;
use super::folder;
use super::ledger::Ledger;
use super::trouble::Trouble;
use crate::model::RunId;

/// The record that the commit under way, or the last one, leaves at the destination.
const COMMITTING: &str = "committing.json";

/// Leaves the mark.
pub(super) fn mark(folder: &Path, ledger: &Ledger) -> Result<(), Trouble> {
    folder::write(folder, COMMITTING, ledger)
}

/// What this run has changed, where the destination's record is the one that it left. The number of a run
/// alone proves nothing: a daemon with a new data folder counts from 1 again.
pub(super) fn by(run: RunId, folder: &Path, record: &Ledger) -> Option<Changes> {
    let marked = folder::read::<Ledger>(folder, COMMITTING).ok().flatten()?;
    let last = record.history.first().filter(|_| record.run == run && marked == *record)?;
    Some(Changes { inserted: last.inserted, updated: last.updated, deleted: last.deleted, same: 0 })
}
