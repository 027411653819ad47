//! The folders of output: what they weigh, and what is thrown away.
//!
//! Owns deletion. Refuses to know which runs are old enough to go; every call blocks on the disk.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fs::DirEntry;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::Outputs;
use crate::model::RunId;

impl Outputs {
    /// Deletes all output of these runs. Blocks on the disk.
    ///
    /// # Errors
    /// The first failure, after the rest was tried; what is gone already is no failure.
    pub fn remove(&self, runs: &[RunId]) -> io::Result<()> {
        let mut folders: HashMap<PathBuf, Vec<RunId>> = HashMap::new();
        for run in runs {
            folders.entry(self.folder(*run)).or_default().push(*run);
        }
        let mut result = Ok(());
        for (folder, runs) in folders {
            result = result.and(remove_in(&folder, |run| runs.contains(&run)));
        }
        result
    }

    /// Deletes the oldest output until it takes at most `bytes` on disk in all. Runs that still write keep
    /// theirs, and so do those in `live`, which may wait for their next attempt. Returns how many bytes
    /// went. Blocks on the disk.
    ///
    /// # Errors
    /// The first failure, after the rest was tried.
    pub fn trim(&self, bytes: u64, live: &HashSet<RunId>) -> io::Result<u64> {
        let mut weights = self.weights()?;
        let mut left: u64 = weights.iter().map(|(_, weight)| weight).sum();
        let all = left;
        weights.sort_unstable();
        let mut gone = Vec::new();
        for (run, weight) in weights {
            if left <= bytes {
                break;
            }
            if !live.contains(&run) && !self.is_live(run) {
                gone.push(run);
                left -= weight;
            }
        }
        self.remove(&gone)?;
        Ok(all - left)
    }

    fn is_live(&self, run: RunId) -> bool {
        self.0.live().keys().any(|(live, _)| *live == run)
    }

    /// What each run's output takes on disk.
    fn weights(&self) -> io::Result<Vec<(RunId, u64)>> {
        let mut weights: HashMap<RunId, u64> = HashMap::new();
        for folder in entries(&self.0.dir)? {
            for file in entries(&folder?.path())? {
                let file = file?;
                let run = run_of(&file.file_name());
                if let (Some(run), Ok(data)) = (run, file.metadata()) {
                    // A file of one line takes a whole block.
                    *weights.entry(run).or_default() += data.len().max(data.blocks() * 512);
                }
            }
        }
        Ok(weights.into_iter().collect())
    }
}

fn remove_in(folder: &Path, goes: impl Fn(RunId) -> bool) -> io::Result<()> {
    let mut result = Ok(());
    for entry in entries(folder)? {
        let entry = entry?;
        if run_of(&entry.file_name()).is_some_and(&goes) {
            result = result.and(super::write::remove(&entry.path()));
        }
    }
    // Succeeds only when it is empty by now, which is the point.
    let _kept = std::fs::remove_dir(folder);
    result
}

/// The entries of a folder; none where it isn't there.
fn entries(folder: &Path) -> io::Result<impl Iterator<Item = io::Result<DirEntry>>> {
    match folder.read_dir() {
        Ok(entries) => Ok(Some(entries).into_iter().flatten()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None.into_iter().flatten()),
        Err(error) => Err(error),
    }
}

fn run_of(file: &OsStr) -> Option<RunId> {
    let (run, _) = file.to_str()?.split_once('-')?;
    run.parse().ok().map(RunId)
}
