//! What a person asks about a sync, outside of its runs.
//!
//! Owns the questions and the answers. Changes nothing but the state, and that only where it is asked to.
//! Refuses to print.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value as Json;

use crate::model::RunId;

/// A question.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    /// What would a commit change? Of the snapshot that is held, or else of a fresh read.
    Diff {
        /// Whether the snapshot that is held is meant; a fresh read where it is not, or where none is held.
        held: bool,
    },
    /// What does the source give? So many rows, by the source's own names; the job needs no columns for it.
    Infer {
        /// Most rows.
        rows: usize,
    },
    /// What is known of the last commit?
    Show,
    /// The next read is to begin here. What was known before is kept in a file.
    Set(Set),
    /// What is at the destination counts as the state before. What was known before is kept in a file.
    Reset,
    /// The held snapshot of this run may be committed, once, if its changes are still the same.
    Approve(RunId),
}

/// What the state is set to; what is not given stays.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Set {
    /// The cursor.
    pub cursor: Option<String>,
    /// What the source left for itself.
    pub left: Option<Json>,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// To `Diff`.
    Diff(Report),
    /// To `Infer`.
    Sample(Sample),
    /// To `Show`, `Set` and `Reset`.
    State(Shown),
    /// To `Approve`.
    Approved {
        /// The run.
        run: RunId,
        /// The digest of its changes.
        digest: String,
    },
}

/// What a commit would change.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The run whose held snapshot it is; nothing for a fresh read.
    pub held: Option<RunId>,
    /// Whether the destination moved since it was held, so that it can't be approved any more.
    pub moved: bool,
    /// When it was read.
    pub read_at: Timestamp,
    /// Rows that were read.
    pub rows: u64,
    /// Rows with values that can't be read, left out.
    pub bad: u64,
    /// What becomes of rows.
    pub changes: Changes,
    /// Keys of some of them.
    pub samples: Samples,
    /// Guards that trip.
    pub tripped: Vec<Tripped>,
    /// What else is to be said.
    pub notes: Vec<String>,
    /// The digest of the changes, which an approval names.
    pub digest: String,
    /// What is known of the last commit.
    pub last: Option<Last>,
}

/// How many rows a commit changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Changes {
    /// New ones.
    pub inserted: u64,
    /// Changed ones.
    pub updated: u64,
    /// Those that go.
    pub deleted: u64,
    /// Those that stay as they are.
    pub same: u64,
}

/// Keys of changed rows, at most ten of each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Samples {
    /// Of new ones.
    pub inserted: Vec<String>,
    /// Of changed ones.
    pub updated: Vec<String>,
    /// Of those that go.
    pub deleted: Vec<String>,
}

/// A guard that trips.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Tripped {
    /// The key in `guards`.
    pub guard: String,
    /// Why, with its numbers.
    pub why: String,
}

/// The last commit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Last {
    /// The run.
    pub run: RunId,
    /// When.
    pub committed_at: Timestamp,
    /// Rows that the destination held then.
    pub rows: u64,
    /// The cursor.
    pub cursor: Option<String>,
    /// What the source left for itself.
    pub left: Option<Json>,
}

/// What is known of a sync.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Shown {
    /// The last commit; nothing where there was none.
    pub last: Option<Last>,
    /// Whether source and mapping are still those of the last commit.
    pub same_source: bool,
    /// Commits before, newest first: when, and rows after it.
    pub history: Vec<(Timestamp, u64)>,
    /// Rows that the destination holds: exactly where that is cheap, else 1 for some.
    pub rows: u64,
    /// The run whose snapshot is held.
    pub held: Option<RunId>,
    /// The file in which the state before is kept, after a change.
    pub backup: Option<std::path::PathBuf>,
}

/// Some rows of a source, as it gives them.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Sample {
    /// The source's names of its fields, in its order.
    pub names: Vec<String>,
    /// The rows: a field for each name.
    pub rows: Vec<Vec<Field>>,
}

/// A field of a sample.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    /// It is not there, or says that there is no value.
    Null,
    /// True or false.
    Bool(bool),
    /// A number as it is written.
    Number(String),
    /// A text.
    Text(String),
    /// An object or a list, as it is written.
    Json(String),
    /// What could not be computed.
    Broken(String),
}
