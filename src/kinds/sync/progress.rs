//! How far a sync is, while it is under way.
//!
//! Owns the figures that others may look at, and when they are said. Refuses to know the rows.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use serde::Serialize;

use crate::clock::Clock;
use crate::model::RunId;

/// Time between two lines.
const EVERY: Duration = Duration::from_secs(5);

/// Those of all syncs that are under way in this process.
static LIVE: Mutex<BTreeMap<RunId, Weak<Progress>>> = Mutex::new(BTreeMap::new());

/// How far a sync is.
#[derive(Debug)]
pub(super) struct Progress {
    run: RunId,
    rows: AtomicU64,
    bytes: AtomicU64,
    step: AtomicU8,
}

/// What a sync does at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// It reads the source.
    Read,
    /// It compares what was read with what is there.
    Compare,
    /// It writes.
    Commit,
}

/// How far a sync is at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// What it does.
    pub step: Step,
    /// Rows that were read, or written in the last step.
    pub rows: u64,
    /// Bytes that were read.
    pub bytes: u64,
}

/// How far the sync of a run is; nothing where none is under way in this process.
#[must_use]
pub fn of(run: RunId) -> Option<Seen> {
    let live = LIVE.lock().unwrap_or_else(PoisonError::into_inner);
    let progress = live.get(&run)?.upgrade()?;
    drop(live);
    Some(progress.seen())
}

impl Progress {
    /// That of a run, visible to all until it is dropped.
    pub(super) fn begin(run: RunId) -> Arc<Self> {
        let (rows, bytes, step) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU8::new(0));
        let progress = Arc::new(Self { run, rows, bytes, step });
        let mut live = LIVE.lock().unwrap_or_else(PoisonError::into_inner);
        live.insert(run, Arc::downgrade(&progress));
        progress
    }

    pub(super) fn step(&self, step: Step) {
        self.step.store(step as u8, Ordering::Relaxed);
    }

    pub(super) fn rows(&self, rows: u64) {
        self.rows.store(rows, Ordering::Relaxed);
    }

    pub(super) fn add_bytes(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn seen(&self) -> Seen {
        let step = match self.step.load(Ordering::Relaxed) {
            0 => Step::Read,
            1 => Step::Compare,
            _ => Step::Commit,
        };
        let load = |of: &AtomicU64| of.load(Ordering::Relaxed);
        Seen { step, rows: load(&self.rows), bytes: load(&self.bytes) }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        let mut live = LIVE.lock().unwrap_or_else(PoisonError::into_inner);
        if live.get(&self.run).is_some_and(|other| other.strong_count() == 0) {
            live.remove(&self.run);
        }
    }
}

/// Says when the next line is due, and what is in it.
#[derive(Debug)]
pub(super) struct Lines {
    began: Duration,
    next: Duration,
}

impl Lines {
    pub(super) fn begin(clock: &dyn Clock) -> Self {
        let began = clock.passed();
        Self { began, next: began + EVERY }
    }

    /// The line that is due by now: `12,000 rows, 1.2 MB, 3,400 rows/s`.
    pub(super) fn due(&mut self, seen: Seen, clock: &dyn Clock) -> Option<String> {
        let now = clock.passed();
        if now < self.next {
            return None;
        }
        self.next = now + EVERY;
        Some(seen.figures(now.saturating_sub(self.began)))
    }
}

impl Seen {
    /// Rows a second, over the time that it took so far.
    #[must_use]
    pub fn rate(self, took: Duration) -> u64 {
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1);
        self.rows.saturating_mul(1000) / millis
    }

    /// The figures: `12,000 rows, 1.2 MB, 3,400 rows/s`.
    #[must_use]
    pub fn figures(self, took: Duration) -> String {
        format!("{}{}, {} rows/s", rows(self.rows), size(self.bytes), grouped(self.rate(took)))
    }

    /// What it does, with the figures.
    #[must_use]
    pub fn words(self, took: Duration) -> String {
        let does = match self.step {
            Step::Read => "reads",
            Step::Compare => "compares",
            Step::Commit => "commits",
        };
        format!("{does}: {}", self.figures(took))
    }
}

/// `1 row`, `12,000 rows`.
pub(super) fn rows(count: u64) -> String {
    let word = if count == 1 { "row" } else { "rows" };
    format!("{} {word}", grouped(count))
}

/// A number with commas: `12,000`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `, 1.2 MB`; nothing where no source counts bytes.
fn size(bytes: u64) -> String {
    let (unit, name) = match bytes {
        0 => return String::new(),
        1..1_000_000 => (1_000, "kB"),
        1_000_000..1_000_000_000 => (1_000_000, "MB"),
        _ => (1_000_000_000, "GB"),
    };
    let tenths = bytes / (unit / 10);
    format!(", {}.{} {name}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SimClock;

    #[test]
    fn a_line_comes_every_few_seconds() {
        let clock = SimClock::at("2026-01-01T00:00:00Z".parse().unwrap());
        let mut lines = Lines::begin(&clock);
        let seen = Seen { step: Step::Read, rows: 12_000, bytes: 1_234_567 };
        assert_eq!(lines.due(seen, &clock), None);
        clock.advance(Duration::from_secs(6));
        let line = "12,000 rows, 1.2 MB, 2,000 rows/s";
        assert_eq!(lines.due(seen, &clock).as_deref(), Some(line));
        assert_eq!(lines.due(seen, &clock), None);
        clock.advance(Duration::from_secs(5));
        let none = Seen { rows: 1, bytes: 0, ..seen };
        assert_eq!(lines.due(none, &clock).as_deref(), Some("1 row, 0 rows/s"));
    }

    #[test]
    fn progress_is_seen_until_it_is_over() {
        let run = RunId(987_654_321);
        assert_eq!(of(run), None);
        let progress = Progress::begin(run);
        progress.rows(7);
        progress.add_bytes(3);
        progress.step(Step::Compare);
        let seen = Seen { step: Step::Compare, rows: 7, bytes: 3 };
        assert_eq!(of(run), Some(seen));
        let words = seen.words(Duration::from_millis(500));
        assert_eq!(words, "compares: 7 rows, 0.0 kB, 14 rows/s");
        drop(progress);
        assert_eq!(of(run), None);
    }
}
