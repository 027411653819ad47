//! Up to where a log was looked at.
//!
//! Owns the mark. It holds the place before the last look beside the one after it: only when that look is known to
//! be stored does the next one begin behind it. Refuses to know what a place means.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::RunId;

/// A place in a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Place {
    /// In a file.
    File(FilePlace),
    /// There was no such file.
    NoFile {
        /// Which.
        path: PathBuf,
    },
    /// In the journal: behind this entry, or after this time where there was none.
    Journal {
        /// Whose.
        unit: String,
        /// Behind which entry.
        cursor: Option<String>,
        /// When it was first looked at.
        since: Timestamp,
    },
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FilePlace {
    /// Which file.
    pub(super) path: PathBuf,
    /// Which one of all that have ever been called so.
    pub(super) inode: (u64, u64),
    /// Behind the last line that was looked at.
    pub(super) offset: u64,
    /// The digest of the file's beginning, and how long that was: a file that was written anew begins otherwise.
    pub(super) head: (u64, String),
    /// The rest of the line at `offset` is not to be looked at any more.
    pub(super) inside: bool,
    /// How large the file was.
    pub(super) size: u64,
}

/// What is remembered of a look.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Mark {
    run: i64,
    before: Option<Place>,
    after: Place,
}

impl Mark {
    /// Where a run's look began and where it ended.
    pub(super) fn new(run: RunId, before: Option<Place>, after: Place) -> Self {
        Self { run: run.0, before, after }
    }

    /// Where the look of a run begins, given the newest run whose looks are stored, where that is known.
    pub(super) fn next(self, (run, stored): (RunId, Option<RunId>)) -> Option<Place> {
        let again = self.run == run.0 || stored.is_some_and(|stored| stored.0 < self.run);
        if again { self.before } else { Some(self.after) }
    }
}
