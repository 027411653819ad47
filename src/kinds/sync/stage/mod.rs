//! The stage: where rows wait between the read and the commit.
//!
//! Owns one file of encoded rows for each attempt, an index of it by key where one is needed, and what
//! becomes of each row. Takes as much memory for a million rows as for one, but for two bits a row. Refuses
//! to know what the rows mean.

pub(super) mod sort;
pub(super) mod spill;

use std::path::{Path, PathBuf};

use ring::digest::{Context, SHA256, digest};

use super::columns::Column;
use super::trouble::{Ending, Trouble};
use super::value::Keys;
use sort::{Entry, Sorter};
use spill::Spill;

/// Takes a row's number and its bytes.
pub(super) type EachRow<'a> = &'a mut dyn FnMut(u64, &[u8]) -> Result<(), Trouble>;

/// Takes what becomes of a row, and its bytes.
pub(super) type EachFate<'a> = &'a mut dyn FnMut(Fate, &[u8]) -> Result<(), Trouble>;

/// Rows that were read, in the order in which they were.
pub(super) struct Stage {
    path: PathBuf,
    rows: Spill,
    fates: Fates,
    dropped: u64,
    index: Option<Index>,
    kept: bool,
}

/// What is known of each row beside its bytes.
struct Index {
    keys: Keys,
    sorter: Sorter,
    key: Vec<u8>,
}

/// What becomes of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is new.
    Insert = 0,
    /// It takes the place of another one.
    Update = 1,
    /// It is there already.
    Same = 2,
    /// It does not count: another one has its key.
    Dropped = 3,
}

/// Two bits for each row.
#[derive(Debug, Default)]
pub(super) struct Fates(Vec<u8>);

impl Fates {
    pub(super) fn get(&self, row: u64) -> Fate {
        let (byte, shift) = Self::place(row);
        match self.0.get(byte).copied().unwrap_or_default() >> shift & 3 {
            0 => Fate::Insert,
            1 => Fate::Update,
            2 => Fate::Same,
            _ => Fate::Dropped,
        }
    }

    pub(super) fn set(&mut self, row: u64, fate: Fate) {
        let (byte, shift) = Self::place(row);
        if self.0.len() <= byte {
            self.0.resize(byte + 1, 0);
        }
        self.0[byte] = self.0[byte] & !(3 << shift) | (fate as u8) << shift;
    }

    fn place(row: u64) -> (usize, u32) {
        let byte = usize::try_from(row / 4).expect("a file of rows is smaller than memory's range");
        (byte, u32::try_from(row % 4 * 2).expect("it is below eight"))
    }
}

impl Stage {
    /// An empty one in a folder, which is made where it is missing.
    pub(super) fn create(folder: &Path, name: &str) -> Result<Self, Trouble> {
        spill::private_folder(folder).map_err(|error| scratch(folder, &error))?;
        let path = folder.join(name);
        let rows = Spill::create(&path).map_err(|error| scratch(&path, &error))?;
        Ok(Self::of(path, rows))
    }

    /// One that was kept. Its rows are read once, to be counted.
    pub(super) fn open(path: &Path) -> Result<Self, Trouble> {
        let rows = Spill::open(path).map_err(|error| scratch(path, &error))?;
        let mut stage = Self::of(path.to_owned(), rows);
        stage.kept = true;
        let read = stage.rows.each(&mut |_, _| Ok(()));
        read.map_err(|trouble| Trouble::new(Ending::State, trouble.message))?;
        Ok(stage)
    }

    fn of(path: PathBuf, rows: Spill) -> Self {
        Self { path, rows, fates: Fates::default(), dropped: 0, index: None, kept: false }
    }

    /// Makes rows findable by the key of these columns, from now on; where there is none, by all of them.
    pub(super) fn index(&mut self, columns: &[Column]) -> Result<(), Trouble> {
        let sorter = Sorter::beside(&self.path);
        let mut index = Index { keys: Keys::of(columns), sorter, key: Vec::new() };
        self.rows.each(&mut |at, row| index.take(at, row))?;
        self.index = Some(index);
        Ok(())
    }

    /// Adds a row.
    pub(super) fn push(&mut self, row: &[u8]) -> Result<(), Trouble> {
        if let Some(index) = &mut self.index {
            index.take(self.rows.count(), row)?;
        }
        self.rows.push(row).map_err(|error| scratch(&self.path, &error))
    }

    /// How many rows count.
    pub(super) fn rows(&self) -> u64 {
        self.rows.count() - self.dropped
    }

    /// How many were added.
    pub(super) fn staged(&self) -> u64 {
        self.rows.count()
    }

    /// Whether a row does not count.
    pub(super) fn is_left_out(&self, row: u64) -> bool {
        self.dropped > 0 && self.fates.get(row) == Fate::Dropped
    }

    /// Gives every row that counts, in order.
    pub(super) fn each(&mut self, each: EachRow<'_>) -> Result<(), Trouble> {
        let (rows, fates, dropped) = (&mut self.rows, &self.fates, self.dropped);
        if dropped == 0 {
            return rows.each(each);
        }
        rows.each(&mut |at, row| match fates.get(at) {
            Fate::Dropped => Ok(()),
            Fate::Insert | Fate::Update | Fate::Same => each(at, row),
        })
    }

    /// Gives every row that counts with what becomes of it.
    pub(super) fn with_fates(&mut self, each: EachFate<'_>) -> Result<(), Trouble> {
        let (rows, fates) = (&mut self.rows, &self.fates);
        rows.each(&mut |at, row| match fates.get(at) {
            Fate::Dropped => Ok(()),
            fate => each(fate, row),
        })
    }

    /// The rows by number, those that do not count included.
    pub(super) fn all(&mut self, each: EachRow<'_>) -> Result<(), Trouble> {
        self.rows.each(each)
    }

    /// Takes note that so many more rows do not count.
    pub(super) fn dropped_more(&mut self, rows: u64) {
        self.dropped += rows;
    }

    /// The entries and what becomes of the rows, both at once.
    pub(super) fn sorted_with_fates(
        &mut self,
    ) -> Result<Option<(sort::Sorted<'_>, &mut Fates)>, Trouble> {
        match &mut self.index {
            None => Ok(None),
            Some(index) => Ok(Some((index.sorter.sorted()?, &mut self.fates))),
        }
    }

    /// A digest of all rows in their order. Most runs need none, so that it is made by reading them again.
    pub(super) fn sum(&mut self) -> Result<String, Trouble> {
        let mut sum = Context::new(&SHA256);
        self.rows.each(&mut |_, row| {
            sum.update(&length(row));
            sum.update(row);
            Ok(())
        })?;
        Ok(spill::hex(sum.finish().as_ref()))
    }

    /// Makes it outlast this attempt. Gives its file.
    pub(super) fn keep(&mut self) -> Result<PathBuf, Trouble> {
        self.rows.sync().map_err(|error| scratch(&self.path, &error))?;
        self.kept = true;
        Ok(self.path.clone())
    }

    /// Where it is, so that what belongs to it can stand beside it.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if !self.kept {
            let _gone_already = std::fs::remove_file(&self.path);
        }
    }
}

impl Index {
    fn take(&mut self, at: u64, row: &[u8]) -> Result<(), Trouble> {
        let entry = entry(&self.keys, at, row, &mut self.key);
        self.sorter.push(entry)
    }
}

/// What the index knows of a row; `key` is room.
pub(super) fn entry(keys: &Keys, at: u64, row: &[u8], key: &mut Vec<u8>) -> Entry {
    let sum = digest(&SHA256, row);
    let key = if keys.is_whole() {
        sort::short_key(row, Some(sum.as_ref()))
    } else {
        key.clear();
        keys.append(row, key);
        sort::short_key(key, None)
    };
    Entry { key, row: at, digest: sort::halves(sum.as_ref()) }
}

fn length(row: &[u8]) -> [u8; 4] {
    u32::try_from(row.len()).expect("the intake refuses rows that are longer").to_le_bytes()
}

/// The trouble with our own files.
pub(super) fn scratch(path: &Path, error: &std::io::Error) -> Trouble {
    let message = format!("can't keep what was read in {}: {error}", path.display());
    Trouble { may_help: Some(true), ..Trouble::new(Ending::State, message) }
}

#[cfg(test)]
mod tests;
