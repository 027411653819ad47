//! Reads output back: whole, or as it grows.
//!
//! Owns logical offsets: a place in the output keeps its number while the middle is being left out.
//! Refuses to interpret the bytes. Works on the files alone, so that it reads what an earlier daemon
//! wrote.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use tokio::sync::watch;

use super::write::{HEADER, TAILS, tail_path};

/// Most bytes of one piece.
const PIECE: u64 = 64 * 1024;

/// Reads one attempt's output, in pieces.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    at: u64,
    /// Present while the attempt may still write.
    grown: Option<watch::Receiver<u64>>,
}

/// A file with the part of the output that it holds.
struct Segment {
    start: u64,
    len: u64,
    file: File,
    header: u64,
}

impl Reader {
    pub(super) fn new(path: PathBuf, grown: Option<watch::Receiver<u64>>) -> Self {
        Self { path, at: 0, grown }
    }

    /// Goes to a logical offset, as [`Reader::offset`] told it.
    pub fn seek(&mut self, offset: u64) {
        self.at = offset;
    }

    /// The logical offset of the next piece.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.at
    }

    /// The next piece, or `None` at the end of what is written by now. Where the middle was left out,
    /// a line says how much.
    ///
    /// # Errors
    /// A file that exists but can't be read.
    pub async fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        let (path, at) = (self.path.clone(), self.at);
        let read = tokio::task::spawn_blocking(move || piece(&path, at));
        let (bytes, next) = read.await.map_err(io::Error::other)??;
        self.at = next;
        Ok((!bytes.is_empty()).then_some(bytes))
    }

    /// The next piece, waiting for it where the attempt still writes; `None` when it has ended and
    /// everything was read.
    ///
    /// # Errors
    /// A file that exists but can't be read.
    pub async fn follow(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            // Seen before the read: what is written after the read wakes the wait below.
            let ended = match &mut self.grown {
                Some(grown) => {
                    grown.borrow_and_update();
                    grown.has_changed().is_err()
                }
                None => true,
            };
            if let Some(bytes) = self.next().await? {
                return Ok(Some(bytes));
            }
            match &mut self.grown {
                Some(grown) if !ended => {
                    let _ended = grown.changed().await;
                }
                _ => return Ok(None),
            }
        }
    }
}

/// Reads at a logical offset; returns the bytes and the offset behind them.
fn piece(path: &Path, at: u64) -> io::Result<(Vec<u8>, u64)> {
    let mut behind = 0;
    for segment in segments(path)? {
        let end = segment.start + segment.len;
        if at < end {
            if at < segment.start {
                let omitted = segment.start - at.max(behind);
                let line = format!("\n… {omitted} bytes omitted …\n");
                return Ok((line.into_bytes(), segment.start));
            }
            let bytes = segment.read(at, PIECE.min(end - at))?;
            let next = at + bytes.len() as u64;
            return Ok((bytes, next));
        }
        behind = end;
    }
    Ok((Vec::new(), at))
}

fn segments(path: &Path) -> io::Result<Vec<Segment>> {
    let mut found = Vec::new();
    if let Some(file) = open(path)? {
        let len = file.metadata()?.len();
        found.push(Segment { start: 0, len, file, header: 0 });
    }
    for slot in 0..TAILS.len() {
        let Some(mut file) = open(&tail_path(path, slot))? else { continue };
        // A header that isn't whole belongs to a file that is just being made.
        if let Some(start) = header(&mut file) {
            let len = file.metadata()?.len().saturating_sub(HEADER as u64);
            found.push(Segment { start, len, file, header: HEADER as u64 });
        }
    }
    found.sort_by_key(|segment| segment.start);
    Ok(found)
}

impl Segment {
    fn read(&self, at: u64, len: u64) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(usize::MAX)];
        let n = self.file.read_at(&mut bytes, self.header + (at - self.start))?;
        bytes.truncate(n);
        Ok(bytes)
    }
}

fn header(file: &mut File) -> Option<u64> {
    let mut text = [0; HEADER];
    file.read_exact(&mut text).ok()?;
    std::str::from_utf8(&text).ok()?.trim_end().parse().ok()
}

fn open(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
