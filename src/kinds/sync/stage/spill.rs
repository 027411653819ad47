//! A file of rows, written once and read as often as need be.
//!
//! Owns how rows lie in it. Refuses to know what they mean.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::EachRow;
use crate::kinds::sync::trouble::Trouble;

/// Bytes that are written at once, and read at once.
const CHUNK: usize = 128 * 1024;

/// Room for a row that is kept between rows.
const ROOM: usize = 1024 * 1024;

/// Rows one after the other, each behind its length in four bytes.
pub(in super::super) struct Spill {
    path: PathBuf,
    file: File,
    unwritten: Vec<u8>,
    count: u64,
}

impl Spill {
    /// An empty one that stays until somebody removes it. What an attempt that died left there goes.
    pub(in super::super) fn create(path: &Path) -> io::Result<Self> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create_new(true).mode(0o600).open(path)?;
        Ok(Self { path: path.to_owned(), file, unwritten: Vec::new(), count: 0 })
    }

    /// An empty one without a name, which is gone with this process at the latest.
    pub(in super::super) fn nameless(path: &Path) -> io::Result<Self> {
        let spill = Self::create(path)?;
        std::fs::remove_file(path)?;
        Ok(spill)
    }

    /// One that is there. Its rows are counted when they are read.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        Ok(Self { path: path.to_owned(), file, unwritten: Vec::new(), count: 0 })
    }

    pub(in super::super) fn count(&self) -> u64 {
        self.count
    }

    /// Adds a row.
    pub(in super::super) fn push(&mut self, row: &[u8]) -> io::Result<()> {
        if self.unwritten.len() + row.len() + 4 > CHUNK {
            self.flush()?;
        }
        self.unwritten.extend_from_slice(&super::length(row));
        self.unwritten.extend_from_slice(row);
        self.count += 1;
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write_all(&self.unwritten)?;
        self.unwritten.clear();
        self.unwritten.shrink_to(ROOM);
        Ok(())
    }

    /// Writes it down so that it outlasts a loss of power.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.flush()?;
        self.file.sync_all()
    }

    /// Gives every row with its number. Nothing may be added after.
    pub(in super::super) fn each(&mut self, each: EachRow<'_>) -> Result<(), Trouble> {
        let fault = |error: io::Error, path: &Path| super::scratch(path, &error);
        self.flush().map_err(|error| fault(error, &self.path))?;
        self.file.seek(SeekFrom::Start(0)).map_err(|error| fault(error, &self.path))?;
        let mut from = BufReader::with_capacity(CHUNK, &self.file);
        let (mut row, mut at) = (Vec::new(), 0);
        while next(&mut from, &mut row).map_err(|error| fault(error, &self.path))? {
            each(at, &row)?;
            at += 1;
            row.shrink_to(ROOM);
        }
        self.count = at;
        Ok(())
    }
}

/// Reads the next row; says whether there was one.
fn next(from: &mut impl io::BufRead, row: &mut Vec<u8>) -> io::Result<bool> {
    if from.fill_buf()?.is_empty() {
        return Ok(false);
    }
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length);
    row.clear();
    let read = from.take(length.into()).read_to_end(row)?;
    if read == usize::try_from(length).unwrap_or(usize::MAX) {
        Ok(true)
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

/// Makes a folder that only this user can look into.
pub(in super::super) fn private_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Bytes as text.
pub(in super::super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        for half in [byte >> 4, byte & 15] {
            text.push(char::from_digit(half.into(), 16).expect("four bits are a digit"));
        }
        text
    })
}
