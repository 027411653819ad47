//! Decides what follows from the record of the last commit.
//!
//! Owns where a read begins, whether it may be left out, and what the next record says. Pure. Refuses to
//! read or write any of it.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value as Json;

use super::columns::ColumnType;
use super::desk::Changes;
use super::destination::Found;
use super::guards::GuardsSection;
use super::intake::tally::order;
use super::ledger::{Change, KEPT, Ledger, State};
use super::map::Maker;
use super::source::Start;
use super::spec::{Mode, OnMissingState, SyncSpec};
use super::trouble::{Ending, Trouble};
use super::value::{Cell, Value, Values, day, encode, shown};

/// Commits that the record remembers even where no guard counts them.
const HISTORY_LEAST: usize = 20;

/// What was there before.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Before {
    /// Nothing.
    Nothing,
    /// Rows that nobody here wrote, which count as the state before.
    Adopted,
    /// The last commit.
    Known(Box<Ledger>),
}

impl Before {
    /// What a destination's own words come to. `job` is for the way out.
    pub(super) fn of(found: &Found, spec: &SyncSpec, job: &str) -> Result<Self, Trouble> {
        let mend = format!("jadactl sync state reset {job}");
        let state = |what: String| Trouble::new(Ending::State, what).mended_by(mend.clone());
        let Some(text) = &found.ledger else {
            return match (found.rows, spec.on_missing_state) {
                (0, _) => Ok(Self::Nothing),
                (_, OnMissingState::Full) => Ok(Self::Adopted),
                (_, OnMissingState::Fail) => Err(state(format!(
                    "the destination holds rows, and no record of an earlier sync: `{mend}` takes them \
                     for the state before, as does `on_missing_state: full`"
                ))),
            };
        };
        let ledger: Ledger = serde_json::from_str(text).map_err(|error| {
            state(format!(
                "the record of the last sync can't be read ({error}): `{mend}` makes a new one"
            ))
        })?;
        if ledger.version != 1 {
            let version = ledger.version;
            let what =
                format!("the record of the last sync has the form {version}, which is not known");
            return Err(state(format!("{what}: use the JADA that wrote it, or `{mend}`")));
        }
        let emptied = found.rows == 0 && found.shows_rows && ledger.rows > 0;
        if emptied && reads_on(spec) {
            let rows = ledger.rows;
            return Err(state(format!(
                "the destination is empty, and had {rows} rows at the last commit: reading on from there \
                 would leave them out; `{mend}` begins again"
            )));
        }
        Ok(Self::Known(Box::new(ledger)))
    }

    /// The record, where there is one.
    pub(super) fn ledger(&self) -> Option<&Ledger> {
        match self {
            Self::Known(ledger) => Some(ledger),
            Self::Nothing | Self::Adopted => None,
        }
    }

    /// Rows that were there, where anything was.
    pub(super) fn rows(&self, found: &Found) -> Option<u64> {
        match self {
            Self::Nothing => None,
            Self::Adopted => Some(found.rows),
            Self::Known(ledger) => Some(ledger.rows),
        }
    }
}

/// Whether a read begins where the last one ended.
pub(super) fn reads_on(spec: &SyncSpec) -> bool {
    let mode = spec.mode.as_ref().map(|mode| mode.value);
    match mode {
        Some(Mode::Incremental) => true,
        // A tap keeps its own place, unless everything is to be there.
        Some(Mode::Upsert | Mode::Append) | None => spec.source.keeps_state(),
        Some(Mode::Replace | Mode::Mirror | Mode::Snapshot) => false,
    }
}

/// Where the next read begins, and what is to be said about it.
pub(super) fn start(
    spec: &SyncSpec,
    before: &Before,
    fingerprint: &str,
    job: &str,
    now: Timestamp,
) -> Result<(Start, Option<String>), Trouble> {
    let initial = spec.source.cursor().and_then(|cursor| cursor.initial.as_ref());
    let initial = initial.map(|initial| initial.value.0.clone());
    let mut start = Start {
        cursor: initial,
        left: None,
        may_be_unchanged: false,
        goes_on: reads_on(spec),
        now,
    };
    let Some(ledger) = before.ledger() else { return Ok((start, None)) };
    let begun = ledger.state.cursor.is_some() || ledger.state.left.is_some();
    if ledger.fingerprint != fingerprint {
        if reads_on(spec) && begun {
            let mend = format!("jadactl sync state reset {job}");
            let message = format!(
                "the source or its columns are not those of the last commit, so where that ended means \
                 nothing here: `{mend}` begins again, and keeps what was known"
            );
            return Err(Trouble::new(Ending::State, message).mended_by(mend));
        }
        let note = "the source or its columns changed since the last commit: everything is read";
        return Ok((start, Some(note.to_owned())));
    }
    if reads_on(spec)
        && let Some(cursor) = &ledger.state.cursor
    {
        start.cursor = Some(look_back(spec, cursor)?);
    }
    let whole = spec.source.keeps_state() && !reads_on(spec);
    start.left = ledger.state.left.clone().filter(|_| !whole);
    let age = now.duration_since(ledger.read_at);
    start.may_be_unchanged = spec.source.unchanged().is_some_and(|unchanged| {
        let most = SignedDuration::try_from(unchanged.full_read_every.0);
        // A clock that was set back says nothing about how old the read is.
        !age.is_negative() && age < most.unwrap_or(SignedDuration::MAX)
    });
    Ok((start, None))
}

/// The cursor with the time taken off by which late rows may come.
fn look_back(spec: &SyncSpec, cursor: &str) -> Result<String, Trouble> {
    let lookback = spec.source.cursor().and_then(|cursor| cursor.lookback);
    let Some(lookback) = lookback.filter(|lookback| !lookback.0.is_zero()) else {
        return Ok(cursor.to_owned());
    };
    let at: Timestamp = cursor.parse().map_err(|_| {
        Trouble::config(format!("`lookback` needs a cursor that is a time, and `{cursor}` is none"))
    })?;
    let lookback = SignedDuration::try_from(lookback.0).unwrap_or(SignedDuration::MAX);
    let back = at.checked_sub(lookback).unwrap_or(Timestamp::MIN);
    Ok(back.to_string())
}

/// The cursor after a read: it never goes back. Both are as text; `maker` is the column's.
pub(super) fn newer(maker: &Maker, old: Option<&str>, new: Option<&[u8]>) -> Option<String> {
    let new_text = new.and_then(|new| Values::of(new).next()).map(|new| shown(new, maker.kind()));
    let (Some(old), Some(new)) = (old, new) else {
        return new_text.or_else(|| old.map(str::to_owned));
    };
    let mut encoded = Vec::new();
    let mut room = super::map::Room::default();
    match maker.plain().make(Cell::Text(old), None, &mut room) {
        Ok(value) if value != Value::Null => encode(value, &mut encoded),
        _ => return new_text,
    }
    match order(&encoded, new) {
        std::cmp::Ordering::Greater => Some(old.to_owned()),
        _ => new_text,
    }
}

/// The time that an encoded value is.
pub(super) fn time_of(value: &[u8]) -> Option<Timestamp> {
    match Values::of(value).next()? {
        Value::Timestamp(at) => Timestamp::from_microsecond(at).ok(),
        Value::Date(days) => jiff::tz::TimeZone::UTC.to_timestamp(day(days)?.at(0, 0, 0, 0)).ok(),
        _ => None,
    }
}

/// The time that a cursor is.
pub(super) fn cursor_time(maker: &Maker, cursor: &str) -> Option<Timestamp> {
    matches!(maker.kind(), ColumnType::Timestamp).then(|| cursor.parse().ok()).flatten()
}

/// What a commit adds to the record.
#[derive(Clone, Debug)]
pub(super) struct Commit {
    /// The run, the time, when the source was read, rows after it and the fingerprint; history and earlier
    /// states are those of the record before.
    pub(super) ledger: Ledger,
    /// What it changes.
    pub(super) changes: Changes,
}

/// The next record: the commit, and what is remembered of those before as far back as a guard looks.
pub(super) fn next(commit: Commit, before: Option<&Ledger>, spec: &SyncSpec) -> Ledger {
    let Commit { mut ledger, changes } = commit;
    let Changes { inserted, updated, deleted, .. } = changes;
    let (at, rows) = (ledger.committed_at, ledger.rows);
    ledger.history.insert(0, Change { at, rows, inserted, updated, deleted });
    let Some(before) = before else { return ledger };
    let window = spec.guards.as_ref().and_then(GuardsSection::longest_window);
    let since = window.and_then(|window| SignedDuration::try_from(window).ok());
    let since = since.and_then(|window| at.checked_sub(window).ok()).unwrap_or(at);
    let mut older = 0;
    let kept = before.history.iter().enumerate().take_while(|(position, change)| {
        older += usize::from(change.at < since);
        // One from before the window tells how many rows there were when it began.
        older <= 1 || position + 1 < HISTORY_LEAST
    });
    let kept = kept.map(|(_, change)| *change);
    match window {
        Some(window) => thinned(kept, window, &mut ledger.history),
        None => ledger.history.extend(kept),
    }
    if before.state != ledger.state {
        ledger.earlier.push(before.state.clone());
    }
    ledger.earlier.extend(before.earlier.iter().cloned());
    ledger.earlier.truncate(KEPT);
    ledger
}

/// Parts of a window, within each of which its commits count as one.
const PARTS: u128 = 500;

/// Adds changes, newest first. A job that commits every few seconds, with a guard that looks back for weeks,
/// would write millions of them each time: those of the same part of the window become one, as new as the
/// newest and with the most rows, so that a guard trips rather too early than too late.
fn thinned(changes: impl Iterator<Item = Change>, window: Duration, history: &mut Vec<Change>) {
    let part = i64::try_from(window.as_millis() / PARTS).unwrap_or(i64::MAX).max(1);
    let part_of = |change: &Change| change.at.as_millisecond().div_euclid(part);
    for change in changes {
        let full = history.len() > HISTORY_LEAST;
        let last = history.last_mut().filter(|last| full && part_of(last) == part_of(&change));
        match last {
            Some(last) => {
                last.rows = last.rows.max(change.rows);
                last.inserted = last.inserted.saturating_add(change.inserted);
                last.updated = last.updated.saturating_add(change.updated);
                last.deleted = last.deleted.saturating_add(change.deleted);
            }
            None => history.push(change),
        }
    }
}

/// A state that somebody sets by hand.
pub(super) fn set(before: &Ledger, cursor: Option<String>, left: Option<Json>) -> State {
    State {
        cursor: cursor.or_else(|| before.state.cursor.clone()),
        left: left.or_else(|| before.state.left.clone()),
    }
}

#[cfg(test)]
mod tests;
