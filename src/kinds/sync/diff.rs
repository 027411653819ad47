//! The difference between what was read and what the destination holds.
//!
//! Owns how it is found and told: counts, sample keys, and a digest by which a person can approve exactly it.
//! Refuses to judge it: that is `guards`.

use super::columns::Column;
use super::stage::Stage;
use super::trouble::Trouble;

/// What a commit does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Adds every staged row.
    Add,
    /// Replaces everything by the staged rows.
    Replace,
    /// Inserts and updates by key, and deletes where the diff says so.
    Merge,
    /// Leaves the rows as they are: only the ledger is written.
    Keep,
}

/// What becomes of one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Move<'a> {
    /// It is new: the encoded row.
    Insert(&'a [u8]),
    /// It takes the place of the one with its key: the encoded row.
    Update(&'a [u8]),
    /// The one with this key goes: the encoded values of the key's columns, in their order.
    Delete(&'a [u8]),
}

/// Rows to commit, with what becomes of each.
pub(super) struct Work<'a> {
    /// What the commit does.
    pub(super) effect: Effect,
    /// The columns of the encoded rows.
    pub(super) columns: &'a [Column],
    /// The rows that were read.
    pub(super) stage: &'a mut Stage,
}

impl Work<'_> {
    /// Gives every move: of `Add` and `Replace` an insert for each staged row, of `Merge` deletes, then
    /// updates and inserts. Rows that stay the same are not among them.
    pub(super) fn moves(
        &mut self,
        each: &mut dyn FnMut(Move<'_>) -> Result<(), Trouble>,
    ) -> Result<(), Trouble> {
        self.stage.each(&mut |_, row| each(Move::Insert(row)))
    }

    /// Gives every row that the destination holds after the commit: for files that are written whole.
    pub(super) fn whole(
        &mut self,
        each: &mut dyn FnMut(&[u8]) -> Result<(), Trouble>,
    ) -> Result<(), Trouble> {
        self.stage.each(&mut |_, row| each(row))
    }
}
