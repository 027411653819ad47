//! Sorts what is known of rows, by key, in little memory.
//!
//! Owns runs that are sorted in memory and merged from a file. Refuses to know rows beyond a number and a
//! digest.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use ring::digest::{SHA256, digest};

use crate::kinds::sync::trouble::Trouble;

/// Entries that are sorted in memory at once: 2.6 MB.
const RUN: usize = 65_536;

/// Entries that are read at once of each run.
const AHEAD: usize = 256;

const SIZE: usize = 40;

/// What is known of a row: ordered by its key, and rows of the same key by their number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) struct Entry {
    /// The key itself where it is short, else a digest of it: see [`short_key`].
    pub(in super::super) key: [u64; 2],
    /// The number of the row.
    pub(in super::super) row: u64,
    /// A digest of the whole row.
    pub(in super::super) digest: [u64; 2],
}

/// Sixteen bytes that stand for a key: itself where it has at most fifteen, which two keys never share, else
/// 120 bits of its SHA-256.
pub(in super::super) fn short_key(key: &[u8], sum: Option<&[u8]>) -> [u64; 2] {
    let mut short = [0; 16];
    match u8::try_from(key.len()) {
        Ok(length) if length < 16 => {
            short[..key.len()].copy_from_slice(key);
            short[15] = length;
        }
        _ => {
            match sum {
                Some(sum) => short[..15].copy_from_slice(&sum[..15]),
                None => short[..15].copy_from_slice(&digest(&SHA256, key).as_ref()[..15]),
            }
            short[15] = u8::MAX;
        }
    }
    halves(&short)
}

/// The first sixteen bytes as two numbers.
pub(in super::super) fn halves(bytes: &[u8]) -> [u64; 2] {
    let half = |at: usize| {
        let bytes = bytes[at..at + 8].try_into().expect("there are sixteen bytes");
        u64::from_be_bytes(bytes)
    };
    [half(0), half(8)]
}

impl Entry {
    fn write(&self, to: &mut Vec<u8>) {
        for number in [self.key[0], self.key[1], self.row, self.digest[0], self.digest[1]] {
            to.extend_from_slice(&number.to_le_bytes());
        }
    }

    fn read(from: &[u8]) -> Self {
        let number = |at: usize| {
            let bytes = from[at * 8..at * 8 + 8].try_into().expect("an entry is five numbers");
            u64::from_le_bytes(bytes)
        };
        Self { key: [number(0), number(1)], row: number(2), digest: [number(3), number(4)] }
    }
}

/// Takes entries in any order and gives them sorted.
pub(in super::super) struct Sorter {
    path: PathBuf,
    fresh: Vec<Entry>,
    file: Option<File>,
    /// Where each run ends in the file, in entries.
    ends: Vec<u64>,
}

impl Sorter {
    /// One whose file, where it needs one, lies beside another.
    pub(in super::super) fn beside(path: &Path) -> Self {
        let path = path.with_extension("index");
        Self { path, fresh: Vec::new(), file: None, ends: Vec::new() }
    }

    /// Takes an entry.
    pub(in super::super) fn push(&mut self, entry: Entry) -> Result<(), Trouble> {
        if self.fresh.len() == RUN {
            self.flush().map_err(|error| super::scratch(&self.path, &error))?;
        }
        self.fresh.push(entry);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.fresh.sort_unstable();
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(nameless(&self.path)?),
        };
        let mut at = self.ends.last().copied().unwrap_or_default();
        let mut bytes = Vec::with_capacity(AHEAD * SIZE);
        for entries in self.fresh.chunks(AHEAD) {
            bytes.clear();
            for entry in entries {
                entry.write(&mut bytes);
            }
            file.write_all_at(&bytes, offset(at))?;
            at += entries.len() as u64;
        }
        self.ends.push(at);
        self.fresh.clear();
        Ok(())
    }

    /// Gives all entries in order; as often as is wanted.
    pub(in super::super) fn sorted(&mut self) -> Result<Sorted<'_>, Trouble> {
        let fault = |error: io::Error, path: &Path| super::scratch(path, &error);
        if self.file.is_some() && !self.fresh.is_empty() {
            self.flush().map_err(|error| fault(error, &self.path))?;
        }
        self.fresh.sort_unstable();
        let mut sorted = Sorted { sorter: self, at: 0, runs: Vec::new(), heap: BinaryHeap::new() };
        let mut start = 0;
        for end in &sorted.sorter.ends {
            sorted.runs.push(Run { next: start, end: *end, read: Vec::new(), at: 0 });
            start = *end;
        }
        for run in 0..sorted.runs.len() {
            sorted.refill(run)?;
        }
        Ok(sorted)
    }
}

/// Entries in order.
pub(in super::super) struct Sorted<'a> {
    sorter: &'a Sorter,
    at: usize,
    runs: Vec<Run>,
    heap: BinaryHeap<Reverse<(Entry, usize)>>,
}

struct Run {
    next: u64,
    end: u64,
    read: Vec<Entry>,
    at: usize,
}

impl Sorted<'_> {
    /// The next one.
    pub(in super::super) fn next(&mut self) -> Result<Option<Entry>, Trouble> {
        if self.runs.is_empty() {
            self.at += 1;
            return Ok(self.sorter.fresh.get(self.at - 1).copied());
        }
        let Some(Reverse((entry, run))) = self.heap.pop() else { return Ok(None) };
        self.refill(run)?;
        Ok(Some(entry))
    }

    /// Puts a run's next entry into the heap.
    fn refill(&mut self, run: usize) -> Result<(), Trouble> {
        let from = &mut self.runs[run];
        if from.at == from.read.len() {
            let count = AHEAD.min(usize::try_from(from.end - from.next).unwrap_or(AHEAD));
            let mut bytes = vec![0; count * SIZE];
            let file = self.sorter.file.as_ref().expect("a run lies in the file");
            let read = file.read_exact_at(&mut bytes, offset(from.next));
            read.map_err(|error| super::scratch(&self.sorter.path, &error))?;
            from.read.clear();
            from.read.extend(bytes.chunks_exact(SIZE).map(Entry::read));
            from.at = 0;
            from.next += count as u64;
        }
        if let Some(entry) = from.read.get(from.at) {
            from.at += 1;
            self.heap.push(Reverse((*entry, run)));
        }
        Ok(())
    }
}

fn offset(entries: u64) -> u64 {
    entries * SIZE as u64
}

/// A file that has no name any more: nobody has to remove it.
fn nameless(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create(true).truncate(true).mode(0o600).open(path)?;
    std::fs::remove_file(path)?;
    Ok(file)
}
