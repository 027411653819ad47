//! Where rows with a value that can't be read are put aside.
//!
//! Owns one file for each attempt that has any, and its bounds. Refuses to judge how many are too many.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::super::stage::{scratch, spill};
use super::super::trouble::Trouble;

/// Most rows that are put aside; the rest is only counted.
const ROWS_MAX: u64 = 10_000;

/// Most characters of a value.
const VALUE_MAX: usize = 4_000;

/// One line of the file.
#[derive(Serialize)]
pub(super) struct Line<'a> {
    pub(super) place: &'a str,
    pub(super) column: &'a str,
    pub(super) value: &'a str,
    pub(super) why: &'a str,
}

/// Rows that are put aside.
pub(super) struct Quarantine {
    path: PathBuf,
    file: Option<BufWriter<File>>,
    rows: u64,
}

impl Quarantine {
    pub(super) fn at(path: PathBuf) -> Self {
        Self { path, file: None, rows: 0 }
    }

    /// Puts one aside.
    pub(super) fn take(&mut self, line: &Line<'_>) -> Result<(), Trouble> {
        self.rows += 1;
        if self.rows > ROWS_MAX {
            return Ok(());
        }
        let value: String = line.value.chars().take(VALUE_MAX).collect();
        let line = Line { value: &value, ..*line };
        self.write(&line).map_err(|error| scratch(&self.path, &error))
    }

    fn write(&mut self, line: &Line<'_>) -> std::io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                self.path.parent().map(spill::private_folder).transpose()?;
                let mut options = OpenOptions::new();
                options.write(true).create(true).truncate(true).mode(0o600);
                self.file.insert(BufWriter::new(options.open(&self.path)?))
            }
        };
        serde_json::to_writer(&mut *file, line)?;
        file.write_all(b"\n")
    }

    /// Closes the file; gives it where there is one.
    pub(super) fn close(&mut self) -> Result<Option<&Path>, Trouble> {
        let Some(mut file) = self.file.take() else { return Ok(None) };
        file.flush().map_err(|error| scratch(&self.path, &error))?;
        Ok(Some(&self.path))
    }
}
