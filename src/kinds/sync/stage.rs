//! The stage: where rows wait between the read and the commit.
//!
//! Owns one file of encoded rows for each attempt, and an index of it by key where one is needed. Takes as
//! much memory for a million rows as for one. Refuses to know what the rows mean.

use std::path::PathBuf;

use super::trouble::Trouble;

/// Takes a row's number and its bytes.
pub(super) type EachRow<'a> = &'a mut dyn FnMut(u64, &[u8]) -> Result<(), Trouble>;

/// Rows that were read, in the order in which they were.
pub(super) struct Stage {
    path: PathBuf,
}

impl Stage {
    /// Gives every row that counts, in order.
    pub(super) fn each(&mut self, _each: EachRow<'_>) -> Result<(), Trouble> {
        let _ = &self.path;
        Err(Trouble::unbuilt("stage"))
    }
}
