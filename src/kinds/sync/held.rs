//! A snapshot that a guard holds, and the approval of it.
//!
//! Owns what is kept of it and how often it may be committed: once, by the run after an approval. Refuses to
//! judge.

use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::columns::{Column, ColumnType};
use super::desk::{Changes, Samples, Tripped};
use super::folder;
use super::trouble::{Ending, Trouble};
use crate::model::RunId;

const HELD: &str = "held.json";
const APPROVED: &str = "approved.json";

/// A snapshot that is held.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Held {
    /// The run that read it.
    pub(super) run: RunId,
    /// When it was held.
    pub(super) at: Timestamp,
    /// When it was read.
    pub(super) read_at: Timestamp,
    /// The name of its stage's file, and the digest of its rows.
    pub(super) stage: String,
    pub(super) sum: String,
    /// Rows that were read, and those that were left out.
    pub(super) rows: u64,
    pub(super) bad: u64,
    /// Source and mapping.
    pub(super) fingerprint: String,
    /// The columns.
    pub(super) columns: Vec<KeptColumn>,
    /// The cursor and what the source leaves, once it is committed.
    pub(super) cursor: Option<String>,
    pub(super) left: Option<Json>,
    /// What it would change, and the digest of that.
    pub(super) changes: Changes,
    pub(super) samples: Samples,
    pub(super) digest: String,
    /// The guards that tripped.
    pub(super) tripped: Vec<Tripped>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct KeptColumn {
    name: String,
    r#type: String,
    key: bool,
    required: bool,
}

impl KeptColumn {
    /// Columns as they are kept.
    pub(super) fn all(columns: &[Column]) -> Vec<Self> {
        let kept = columns.iter().map(|column| Self {
            name: column.name.clone(),
            r#type: column.kind.words(),
            key: column.key,
            required: column.required,
        });
        kept.collect()
    }

    /// The columns again.
    pub(super) fn back(kept: &[Self]) -> Result<Vec<Column>, Trouble> {
        let back = kept.iter().map(|kept| {
            let kind = ColumnType::parse(&kept.r#type);
            let kind = kind.ok_or_else(|| {
                Trouble::new(Ending::State, format!("`{}` is no type of a column", kept.r#type))
            })?;
            let (name, key, required) = (kept.name.clone(), kept.key, kept.required);
            Ok(Column { name, kind, key, required })
        });
        back.collect()
    }
}

impl Held {
    /// The columns of its rows.
    pub(super) fn columns(&self) -> Result<Vec<Column>, Trouble> {
        KeptColumn::back(&self.columns)
    }

    /// Keeps it in place of an earlier one.
    pub(super) fn keep(&self, folder: &Path) -> Result<(), Trouble> {
        // An approval is of the snapshot that was there.
        folder::remove(folder, APPROVED)?;
        let earlier = load(folder).ok().flatten();
        folder::write(folder, HELD, self)?;
        match earlier.filter(|earlier| earlier.stage != self.stage) {
            Some(earlier) => folder::remove(folder, &earlier.stage),
            None => Ok(()),
        }
    }
}

/// The snapshot that is held.
pub(super) fn load(folder: &Path) -> Result<Option<Held>, Trouble> {
    folder::read(folder, HELD)
}

/// Lets go of it.
pub(super) fn forget(folder: &Path) -> Result<(), Trouble> {
    let held = load(folder).ok().flatten();
    folder::remove(folder, APPROVED)?;
    folder::remove(folder, HELD)?;
    match held {
        Some(held) => folder::remove(folder, &held.stage),
        None => Ok(()),
    }
}

/// Leave to commit a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Approval {
    pub(super) run: RunId,
    pub(super) digest: String,
}

/// Gives leave, for the next run; says what for.
pub(super) fn approve(folder: &Path, run: RunId) -> Result<Approval, Trouble> {
    let none = |held: String| {
        let message = format!("run {run} holds no snapshot{held}");
        Trouble::new(Ending::State, message)
    };
    let held = load(folder)?.ok_or_else(|| none(String::new()))?;
    if held.run != run {
        return Err(none(format!(": run {} does", held.run)));
    }
    let approval = Approval { run, digest: held.digest };
    folder::write(folder, APPROVED, &approval)?;
    Ok(approval)
}

/// Takes leave, which is gone then whatever comes of it.
pub(super) fn take_approval(folder: &Path) -> Result<Option<Approval>, Trouble> {
    let approval = folder::read(folder, APPROVED);
    folder::remove(folder, APPROVED)?;
    approval
}
