//! Writes output: the first half of the cap in one file, then a tail that rotates through two.
//!
//! Owns the layout on disk and what is lost when the disk is full. Refuses to know who writes and who
//! reads; every call blocks on the disk.
//!
//! A tail file opens with a header that names its logical offset, so that a reader (another process,
//! or this daemon after a restart) needs nothing but the files.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Least cap that is honoured; a smaller one would cut single lines.
const CAP_MIN: u64 = 4096;

/// Length of a tail file's header: the offset in 20 digits and a line feed.
pub(super) const HEADER: usize = 21;

/// The two files of the rotating tail.
pub(super) const TAILS: [&str; 2] = ["a", "b"];

/// Counts what was written where. Holds no file open: two thousand jobs at once would need as many
/// descriptors for files that mostly see one chunk.
#[derive(Debug)]
pub(super) struct Writer {
    head: u64,
    segment: u64,
    /// Logical length: what is kept and what was left out.
    length: u64,
    tail: Option<Tail>,
    lost: u64,
    error: Option<io::Error>,
}

/// The tail file that is being written.
#[derive(Clone, Copy, Debug)]
struct Tail {
    slot: usize,
    len: u64,
}

impl Writer {
    pub(super) fn new(cap: u64) -> Self {
        let cap = cap.max(CAP_MIN);
        Self { head: cap / 2, segment: cap / 4, length: 0, tail: None, lost: 0, error: None }
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// What went wrong so far, in one line.
    pub(super) fn trouble(&self) -> Option<String> {
        let error = self.error.as_ref()?;
        Some(format!("{} bytes of output could not be kept: {error}", self.lost))
    }

    /// Writes a chunk to the output whose first file is `path`. What can't be written is counted.
    pub(super) fn append(&mut self, path: &Path, mut chunk: &[u8]) {
        while !chunk.is_empty() {
            let (file, room) = match self.place(path) {
                Ok(place) => place,
                Err(error) => return self.lose(chunk, error),
            };
            let fits = usize::try_from(room).unwrap_or(usize::MAX).min(chunk.len());
            let (now, later) = chunk.split_at(fits);
            let (kept, result) = write_some(file, now);
            self.advance(kept);
            if let Err(error) = result {
                return self.lose(&chunk[kept..], error);
            }
            chunk = later;
        }
    }

    /// The file that takes the next byte, and how many more it may take.
    fn place(&mut self, path: &Path) -> io::Result<(File, u64)> {
        if self.length == 0 {
            return Ok((begin(path)?, self.head));
        }
        if self.length < self.head {
            return Ok((open(path)?, self.head - self.length));
        }
        match self.tail {
            Some(tail) if tail.len < self.segment => {
                Ok((open(&tail_path(path, tail.slot))?, self.segment - tail.len))
            }
            previous => {
                let slot = previous.map_or(0, |tail| 1 - tail.slot);
                let file = self.begin_tail(&tail_path(path, slot))?;
                self.tail = Some(Tail { slot, len: 0 });
                Ok((file, self.segment))
            }
        }
    }

    /// Replaces rather than truncates, so that a reader in the middle of the old one is not torn.
    fn begin_tail(&self, path: &Path) -> io::Result<File> {
        remove(path)?;
        let mut file = open(path)?;
        file.write_all(format!("{:020}\n", self.length).as_bytes())?;
        Ok(file)
    }

    fn advance(&mut self, kept: usize) {
        self.length += kept as u64;
        if let Some(tail) = &mut self.tail {
            tail.len += kept as u64;
        }
    }

    /// The first error is the telling one; later chunks are still tried, since space may come back.
    fn lose(&mut self, rest: &[u8], error: io::Error) {
        self.lost += rest.len() as u64;
        self.error.get_or_insert(error);
    }
}

/// The path of a tail file.
pub(super) fn tail_path(path: &Path, slot: usize) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(TAILS[slot]);
    name.into()
}

/// Opens the first file, empty. There is something to clear away where the store was lost and its run
/// numbers began anew beside the old output.
fn begin(path: &Path) -> io::Result<File> {
    for slot in 0..TAILS.len() {
        remove(&tail_path(path, slot))?;
    }
    let file = open(path)?;
    if file.metadata()?.len() > 0 {
        file.set_len(0)?;
    }
    Ok(file)
}

/// Removes a file; one that is gone already is no failure.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Writes as much as the disk takes. `write_all` would not say how much that was.
fn write_some(mut file: File, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut kept = 0;
    while kept < bytes.len() {
        match file.write(&bytes[kept..]) {
            Ok(0) => return (kept, Err(io::ErrorKind::WriteZero.into())),
            Ok(n) => kept += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (kept, Err(error)),
        }
    }
    (kept, Ok(()))
}

/// Opens for appending, and makes the folder when it isn't there. Output may hold what only the
/// daemon's user should see.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o600);
    match options.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let folder = path.parent().ok_or(error)?;
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
            options.open(path)
        }
        other => other,
    }
}
