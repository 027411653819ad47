//! The ledger: what a destination knows of the last commit, which is the truth about it.
//!
//! Owns its form. Refuses to keep it: each destination does, in the same commit as the rows.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::model::RunId;

/// Earlier states that are kept.
pub(super) const KEPT: usize = 5;

/// The record of the last commit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Ledger {
    /// The form of this record; 1.
    pub(super) version: u32,
    /// The run that committed.
    pub(super) run: RunId,
    /// When.
    pub(super) committed_at: Timestamp,
    /// When the source was last read whole or by its cursor: `unchanged` counts from here.
    pub(super) read_at: Timestamp,
    /// Rows that the destination holds since then.
    pub(super) rows: u64,
    /// What the source and the mapping were.
    pub(super) fingerprint: String,
    /// What all of the section was.
    #[serde(default)]
    pub(super) section: String,
    /// How far was read.
    pub(super) state: State,
    /// Changes of earlier commits, newest first, as far back as the longest window of a guard.
    pub(super) history: Vec<Change>,
    /// States of earlier commits, newest first.
    pub(super) earlier: Vec<State>,
}

/// How far a source was read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    /// The newest value of the cursor's column, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) cursor: Option<String>,
    /// What the source left for itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) left: Option<Json>,
}

/// What a commit changed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Change {
    /// When.
    pub(super) at: Timestamp,
    /// Rows after it.
    pub(super) rows: u64,
    /// Rows inserted.
    pub(super) inserted: u64,
    /// Rows updated.
    pub(super) updated: u64,
    /// Rows deleted.
    pub(super) deleted: u64,
}
