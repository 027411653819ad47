//! The folder of what JADA keeps for a job's syncs.
//!
//! Owns who may work in it, how small files are written there, and what is swept out. Refuses to know what
//! they say.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::locked::Locked;
use super::stage::{scratch, spill};
use super::tools::Tools;
use super::trouble::{Ending, Trouble};

/// The record of the last commit: a copy of the destination's, or the truth where that has no place for it.
pub(super) const LEDGER: &str = "ledger.json";

/// Files of rows that were put aside and of states from before a change, that are kept of each.
const OLD_KEPT: usize = 5;

/// How long a run waits for who looks at the job's sync, and how often it tries.
const PATIENCE: Duration = Duration::from_secs(60);
const AGAIN: Duration = Duration::from_millis(200);

/// The right to work on a job's syncs: one at a time, whoever it is. Over when it is dropped, or its
/// process dies.
pub(super) struct Lock {
    _locked: Locked,
}

impl Lock {
    /// Takes it for a run: somebody who only looks may have it for a while.
    pub(super) fn wait(tools: &Tools) -> Result<Self, Trouble> {
        let clock = &tools.clock;
        let began = clock.passed();
        loop {
            if let Some(lock) = Self::if_free(tools)? {
                return Ok(lock);
            }
            if clock.passed().saturating_sub(began) >= PATIENCE {
                return Err(taken(tools));
            }
            tools.wait(clock.sleep(AGAIN))?;
        }
    }

    /// Takes it, or says who else may have it.
    pub(super) fn take(tools: &Tools) -> Result<Self, Trouble> {
        Self::if_free(tools)?.ok_or_else(|| taken(tools))
    }

    fn if_free(tools: &Tools) -> Result<Option<Self>, Trouble> {
        let folder = tools.folder();
        let path = folder.join("lock");
        let fault = |error: io::Error| scratch(&path, &error);
        spill::private_folder(&folder).map_err(fault)?;
        let locked = Locked::take(&path).map_err(fault)?;
        Ok(locked.map(|locked| Self { _locked: locked }))
    }
}

fn taken(tools: &Tools) -> Trouble {
    let message = format!(
        "another run of `{}`, or a `jadactl sync` on it, is under way: wait for its end",
        tools.job
    );
    Trouble { may_help: Some(true), ..Trouble::new(Ending::State, message) }
}

/// Removes what attempts that died left behind, and the oldest of what is kept. `stage` is held.
pub(super) fn sweep(folder: &Path, stage: Option<&str>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let mut old = [Vec::new(), Vec::new()];
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let ends = |ends: &str| Path::new(&name).extension().is_some_and(|found| found == ends);
        let lost = ["stage", "index", "base", "new"].iter().any(|scrap| ends(scrap))
            || name.contains(".unique");
        if name.starts_with("quarantine-") || name.starts_with("ledger-before-") {
            let time = entry.metadata().and_then(|data| data.modified()).ok();
            old[usize::from(name.starts_with('q'))].push((time, entry.path()));
        } else if lost && Some(name.as_str()) != stage {
            let _not_ours = std::fs::remove_file(entry.path());
        }
    }
    for mut old in old {
        old.sort();
        let more = old.len().saturating_sub(OLD_KEPT);
        for (_, path) in &old[..more] {
            let _not_ours = std::fs::remove_file(path);
        }
    }
}

/// Writes a small file so that it is there whole or not at all.
pub(super) fn write(folder: &Path, name: &str, what: &impl Serialize) -> Result<(), Trouble> {
    let text = serde_json::to_string(what).expect("it is made of plain data");
    write_text(folder, name, &text)
}

/// The same with its text.
pub(super) fn write_text(folder: &Path, name: &str, text: &str) -> Result<(), Trouble> {
    let (path, new) = (folder.join(name), folder.join(format!("{name}.new")));
    let written = || -> io::Result<()> {
        spill::private_folder(folder)?;
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&new, &path)?;
        File::open(folder)?.sync_all()
    };
    written().map_err(|error| scratch(&path, &error))
}

/// Reads a small file; nothing where there is none.
pub(super) fn read_text(folder: &Path, name: &str) -> Result<Option<String>, Trouble> {
    let path = folder.join(name);
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => {
            let words = format!("can't read {}: {error}", path.display());
            Err(Trouble::new(Ending::State, words))
        }
    }
}

/// Reads what [`write`] wrote.
pub(super) fn read<T: DeserializeOwned>(folder: &Path, name: &str) -> Result<Option<T>, Trouble> {
    let Some(text) = read_text(folder, name)? else { return Ok(None) };
    serde_json::from_str(&text).map(Some).map_err(|error| {
        let message = format!("{} can't be read: {error}", folder.join(name).display());
        Trouble::new(Ending::State, message)
    })
}

/// Removes a file that may be there, for good.
pub(super) fn remove(folder: &Path, name: &str) -> Result<(), Trouble> {
    let path = folder.join(name);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(scratch(&path, &error)),
        _ => File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(|error| scratch(&path, &error)),
    }
}
