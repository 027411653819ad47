//! The ledger of a destination that has no place for one.
//!
//! Owns a file of ours beside the job's other state, replaced whole. Refuses to be a cache: for these
//! destinations it is the truth, and without it nobody knows what was committed.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::super::ledger::Ledger;
use super::super::tools::Tools;
use super::super::trouble::{Ending, Trouble};

fn path(tools: &Tools) -> PathBuf {
    tools.folder().join("ledger.json")
}

/// The text of the ledger, where there is one.
pub(super) fn read(tools: &Tools) -> Result<Option<String>, Trouble> {
    let path = path(tools);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => {
            let words = format!("can't read the ledger {}: {error}", path.display());
            Err(Trouble::new(Ending::State, words))
        }
    }
}

/// Replaces the ledger. Whoever dies in between leaves the old one.
pub(super) fn write(tools: &Tools, ledger: &Ledger) -> Result<(), Trouble> {
    let path = path(tools);
    let text = serde_json::to_string(ledger).expect("a ledger is plain data");
    replace(&path, &text).map_err(|error| {
        let path = path.display();
        let words = format!("everything was written, but not the ledger {path}: {error}");
        Trouble::destination(words)
    })
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let new = path.with_extension("json.new");
    let mut file = File::create(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    File::open(folder)?.sync_all()
}
