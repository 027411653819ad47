//! What a manifest says: the files that count, and the ledger of the commit that they are of.
//!
//! Owns its form, which other programs read. Refuses to know where it lies.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::super::super::ledger::Ledger;
use super::super::super::trouble::Trouble;
use super::{place, sink};

/// The form; other ones are not read.
const VERSION: u32 = 1;

/// A manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Manifest {
    version: u32,
    /// The files that count, oldest first.
    pub(super) files: Vec<Entry>,
    /// The record of the commit.
    pub(super) ledger: Json,
}

/// A file that counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// Its name, in the folder of the manifest.
    pub(super) name: String,
    /// Rows in it.
    pub(super) rows: u64,
    /// Bytes of it.
    pub(super) size: u64,
    /// Its sum.
    pub(super) sha256: String,
}

impl Manifest {
    pub(super) fn new(ledger: &Ledger, files: Vec<Entry>) -> Self {
        let ledger = serde_json::to_value(ledger).expect("a ledger is made of plain data");
        Self { version: VERSION, files, ledger }
    }

    /// Reads one; the text itself where it is none.
    pub(super) fn read(text: String) -> Result<Self, String> {
        let found = serde_json::from_str::<Self>(&text).ok();
        let sound = |found: &Self| {
            let plain = |file: &Entry| !file.name.is_empty() && !file.name.contains('/');
            found.version == VERSION && found.files.iter().all(plain)
        };
        found.filter(sound).ok_or(text)
    }

    pub(super) fn text(&self) -> String {
        serde_json::to_string_pretty(self).expect("a manifest is made of plain data")
    }
}

impl Entry {
    /// One for a file that is there.
    pub(super) fn of(name: String, path: &Path, rows: u64) -> Result<Self, Trouble> {
        let found = sink::sum_of(path).map_err(|error| place::failed("read", path, &error))?;
        Ok(Self { name, rows, size: found.size, sha256: found.sha256 })
    }

    /// Whether a file is this one.
    pub(super) fn is(&self, path: &Path) -> bool {
        let same_size = path.metadata().is_ok_and(|data| data.len() == self.size);
        same_size && sink::sum_of(path).is_ok_and(|found| found.sha256 == self.sha256)
    }
}
