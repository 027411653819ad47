//! The difference between what was read and what the destination holds.
//!
//! Owns how it is found and told: counts, sample keys, and a digest by which a person can approve exactly it.
//! Both sides are sorted by key outside of memory and walked together. Refuses to judge it: that is `guards`.

use ring::digest::{Context, SHA256};

use super::columns::Column;
use super::desk::{Changes, Samples};
use super::stage::sort::{Entry, Sorted, Sorter};
use super::stage::spill::{Spill, hex};
use super::stage::{self, Fate, Fates, Stage};
use super::trouble::Trouble;
use super::value::Keys;

/// What a commit does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Adds every staged row.
    Add,
    /// Replaces everything by the staged rows.
    Replace,
    /// Inserts and updates by key, and deletes where the diff says so.
    Merge,
    /// Leaves the rows as they are: only the ledger is written.
    Keep,
}

/// What becomes of one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Move<'a> {
    /// It is new: the encoded row.
    Insert(&'a [u8]),
    /// It takes the place of the one with its key: the encoded row.
    Update(&'a [u8]),
    /// The one with this key goes: the encoded values of the key's columns, in their order.
    Delete(&'a [u8]),
}

/// Rows to commit, with what becomes of each.
pub(super) struct Work<'a> {
    /// What the commit does.
    pub(super) effect: Effect,
    /// The columns of the encoded rows.
    pub(super) columns: &'a [Column],
    /// The rows that were read.
    pub(super) stage: &'a mut Stage,
    /// What the destination holds, where that was looked at.
    pub(super) base: Option<&'a mut Base>,
}

impl Work<'_> {
    /// Gives every move: of `Add` and `Replace` an insert for each staged row, of `Merge` deletes, then
    /// updates and inserts, of `Keep` none. Rows that stay the same are not among them.
    pub(super) fn moves(
        &mut self,
        each: &mut dyn FnMut(Move<'_>) -> Result<(), Trouble>,
    ) -> Result<(), Trouble> {
        match self.effect {
            Effect::Keep => Ok(()),
            Effect::Add | Effect::Replace => self.stage.each(&mut |_, row| each(Move::Insert(row))),
            Effect::Merge => {
                if let Some(base) = &mut self.base {
                    base.going(&mut |key| each(Move::Delete(key)))?;
                }
                self.stage.with_fates(&mut |fate, row| match fate {
                    Fate::Insert => each(Move::Insert(row)),
                    Fate::Update => each(Move::Update(row)),
                    Fate::Same | Fate::Dropped => Ok(()),
                })
            }
        }
    }

    /// Gives every row that the destination holds after the commit: for files that are written whole. Needs
    /// a destination that shows its rows and is known as one of those.
    pub(super) fn whole(
        &mut self,
        each: &mut dyn FnMut(&[u8]) -> Result<(), Trouble>,
    ) -> Result<(), Trouble> {
        if self.effect != Effect::Replace
            && let Some(base) = &mut self.base
        {
            base.staying(each)?;
        }
        match self.effect {
            Effect::Keep => Ok(()),
            _ => self.stage.each(&mut |_, row| each(row)),
        }
    }
}

/// The destination's row stays: nothing that was read has its key.
const STAYS: Fate = Fate::Insert;

/// A staged row stands for it.
const REPLACED: Fate = Fate::Update;

/// It is deleted.
const GOES: Fate = Fate::Dropped;

/// What a destination holds: its rows, or just their keys.
pub(super) struct Base {
    rows: Spill,
    fates: Fates,
    keys: Keys,
    whole: bool,
}

impl Base {
    /// Copies what a destination holds: whole rows, or only their keys.
    pub(super) fn of(
        beside: &Stage,
        columns: &[Column],
        whole: bool,
        show: Show<'_>,
    ) -> Result<(Self, Sorter), Trouble> {
        let path = beside.path().with_extension("base");
        let rows = Spill::nameless(&path).map_err(|error| stage::scratch(&path, &error))?;
        let mut base = Self { rows, fates: Fates::default(), keys: Keys::of(columns), whole };
        let mut sorter = Sorter::beside(&path);
        let mut key = Vec::new();
        show(&mut |row| {
            sorter.push(stage::entry(&base.keys, base.rows.count(), row, &mut key))?;
            let kept = if whole || base.keys.is_whole() { row } else { &key };
            base.rows.push(kept).map_err(|error| stage::scratch(&path, &error))
        })?;
        Ok((base, sorter))
    }

    /// Rows that there are.
    pub(super) fn count(&self) -> u64 {
        self.rows.count()
    }

    /// Gives the keys of rows that are deleted.
    fn going(&mut self, each: &mut dyn FnMut(&[u8]) -> Result<(), Trouble>) -> Result<(), Trouble> {
        let Self { rows, fates, keys, whole } = self;
        let mut key = Vec::new();
        rows.each(&mut |at, row| {
            if fates.get(at) != GOES {
                return Ok(());
            }
            if !*whole {
                return each(row);
            }
            key.clear();
            keys.append(row, &mut key);
            each(&key)
        })
    }

    fn staying(
        &mut self,
        each: &mut dyn FnMut(&[u8]) -> Result<(), Trouble>,
    ) -> Result<(), Trouble> {
        let Self { rows, fates, .. } = self;
        rows.each(&mut |at, row| if fates.get(at) == STAYS { each(row) } else { Ok(()) })
    }
}

/// Shows every row of a destination.
pub(super) type Show<'a> =
    &'a mut dyn FnMut(&mut dyn FnMut(&[u8]) -> Result<(), Trouble>) -> Result<(), Trouble>;

/// A difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Diff {
    /// How many rows change.
    pub(super) changes: Changes,
    /// What is the same exactly when the changes are.
    pub(super) digest: String,
}

/// Finds what becomes of every row on both sides; where `deletes`, what was not read goes. The stage must
/// have its index, by the key of the same columns.
pub(super) fn compare(
    stage: &mut Stage,
    base: &mut Base,
    mut held: Sorter,
    deletes: bool,
) -> Result<Diff, Trouble> {
    let (sorted, fates) = stage.sorted_with_fates()?.expect("the stage has an index");
    let mut walk = Walk {
        ours: Side::of(sorted, Some(fates))?,
        theirs: Side::of(held.sorted()?, None)?,
        base: &mut base.fates,
        unique: !base.keys.is_whole(),
        deletes,
        changes: Changes::default(),
        sum: Context::new(&SHA256),
    };
    while walk.step()? {}
    let Walk { changes, sum, .. } = walk;
    Ok(Diff { changes, digest: hex(sum.finish().as_ref()) })
}

/// The difference where nothing can be compared: every staged row is new. `before` is what else the digest
/// is of.
pub(super) fn additions(stage: &mut Stage, before: &str) -> Result<Diff, Trouble> {
    let mut sum = Context::new(&SHA256);
    sum.update(stage.sum()?.as_bytes());
    sum.update(before.as_bytes());
    let changes = Changes { inserted: stage.rows(), ..Changes::default() };
    Ok(Diff { changes, digest: hex(sum.finish().as_ref()) })
}

/// One of two sorted sides.
struct Side<'a> {
    sorted: Sorted<'a>,
    fates: Option<&'a mut Fates>,
    ahead: Option<Entry>,
}

impl<'a> Side<'a> {
    fn of(sorted: Sorted<'a>, fates: Option<&'a mut Fates>) -> Result<Self, Trouble> {
        let mut side = Self { sorted, fates, ahead: None };
        side.advance()?;
        Ok(side)
    }

    /// Goes to the next one that counts.
    fn advance(&mut self) -> Result<(), Trouble> {
        loop {
            self.ahead = self.sorted.next()?;
            let Some(entry) = self.ahead else { return Ok(()) };
            let dropped = |fates: &mut Fates| fates.get(entry.row) == Fate::Dropped;
            if !self.fates.as_deref_mut().is_some_and(dropped) {
                return Ok(());
            }
        }
    }

    /// Takes the next one, if it has this key.
    fn take(&mut self, key: [u64; 2]) -> Result<Option<Entry>, Trouble> {
        let found = self.ahead.filter(|entry| entry.key == key);
        if found.is_some() {
            self.advance()?;
        }
        Ok(found)
    }
}

/// Both sides on their way.
struct Walk<'a> {
    ours: Side<'a>,
    theirs: Side<'a>,
    base: &'a mut Fates,
    unique: bool,
    deletes: bool,
    changes: Changes,
    sum: Context,
}

impl Walk<'_> {
    /// Judges all rows of the next key; says whether there was one.
    fn step(&mut self) -> Result<bool, Trouble> {
        let keys = [self.ours.ahead, self.theirs.ahead];
        let Some(key) = keys.into_iter().flatten().map(|entry| entry.key).min() else {
            return Ok(false);
        };
        loop {
            match (self.ours.take(key)?, self.theirs.take(key)?) {
                (None, None) => return Ok(true),
                (Some(ours), None) => self.inserted(ours),
                (None, Some(theirs)) => self.alone(theirs),
                (Some(ours), Some(theirs)) => self.both(ours, theirs)?,
            }
        }
    }

    fn fate(&mut self, ours: Entry, fate: Fate) {
        let fates = self.ours.fates.as_mut().expect("the stage has fates");
        fates.set(ours.row, fate);
    }

    fn inserted(&mut self, ours: Entry) {
        self.fate(ours, Fate::Insert);
        self.changes.inserted += 1;
        self.digest(b'i', ours.key, &[ours.digest]);
    }

    /// A row that only the destination has.
    fn alone(&mut self, theirs: Entry) {
        if self.deletes {
            self.base.set(theirs.row, GOES);
            self.changes.deleted += 1;
            self.digest(b'd', theirs.key, &[theirs.digest]);
        }
    }

    fn both(&mut self, ours: Entry, theirs: Entry) -> Result<(), Trouble> {
        self.base.set(theirs.row, REPLACED);
        let (mut same, mut more) = (ours.digest == theirs.digest, Vec::new());
        // A table without a constraint may have a key twice. All of them make room for the one.
        while self.unique
            && let Some(another) = self.theirs.take(ours.key)?
        {
            self.base.set(another.row, REPLACED);
            (same, more) = (false, [more, vec![another]].concat());
        }
        if same {
            self.fate(ours, Fate::Same);
            self.changes.same += 1;
            return Ok(());
        }
        self.changes.updated += 1;
        self.digest(b'u', ours.key, &[ours.digest, theirs.digest]);
        if more.is_empty() || !self.deletes {
            self.fate(ours, Fate::Update);
            return Ok(());
        }
        self.base.set(theirs.row, GOES);
        self.fate(ours, Fate::Insert);
        self.changes.deleted += more.len() as u64;
        let digests: Vec<[u64; 2]> = more.iter().map(|entry| entry.digest).collect();
        self.digest(b'd', ours.key, &digests);
        Ok(())
    }

    fn digest(&mut self, what: u8, key: [u64; 2], digests: &[[u64; 2]]) {
        self.sum.update(&[what]);
        for half in key.iter().chain(digests.iter().flatten()) {
            self.sum.update(&half.to_be_bytes());
        }
    }
}

/// Sample keys of each.
const SAMPLES: usize = 10;

/// The keys of some rows that change.
pub(super) fn samples(
    stage: &mut Stage,
    base: Option<&mut Base>,
    columns: &[Column],
) -> Result<Samples, Trouble> {
    let keys = Keys::of(columns);
    let mut samples = Samples::default();
    stage.with_fates(&mut |fate, row| {
        let of = match fate {
            Fate::Insert => &mut samples.inserted,
            Fate::Update => &mut samples.updated,
            Fate::Same | Fate::Dropped => return Ok(()),
        };
        if of.len() < SAMPLES {
            of.push(keys.shown(row, columns));
        }
        Ok(())
    })?;
    if let Some(base) = base {
        let key_columns: Vec<Column> = if keys.is_whole() {
            columns.to_vec()
        } else {
            columns.iter().filter(|column| column.key).cloned().collect()
        };
        let keys = Keys::at((0..key_columns.len()).collect());
        base.going(&mut |key| {
            if samples.deleted.len() < SAMPLES {
                samples.deleted.push(keys.shown(key, &key_columns));
            }
            Ok(())
        })?;
    }
    Ok(samples)
}

#[cfg(test)]
mod tests;
