//! When a job is due: compiled triggers, time zones, jitter.
//!
//! Owns slots: which there are, in which order, and when each fires. Refuses to know what becomes of them,
//! what time it is, and YAML. Pure: the same definition gives the same slots on every node.

mod cron;
mod describe;
mod field;
mod lint;
mod parse;
mod preview;
mod spread;
mod trigger;
mod zone;

use std::ops::Range;
use std::time::Duration;

use jiff::Timestamp;

pub use cron::Cron;
pub use lint::{Lint, LintKind, lint};
pub use parse::CronError;
pub use preview::Occurrence;
pub use trigger::{DateRange, Moment, TriggerSpec, When};

use cron::LIMIT;
use trigger::{Trigger, floor};

/// A slot and the instant at which it fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Due {
    /// The nominal time: the slot's identity. A whole second.
    pub slot: Timestamp,
    /// The nominal time plus jitter. Always before the next slot.
    pub fire_at: Timestamp,
}

/// Why a trigger can't be compiled, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CompileError {
    /// Which trigger of the list, from 0.
    pub trigger: usize,
    /// The key whose value is wrong: `cron`, `every`, `at` or `end`.
    pub key: &'static str,
    /// The bytes of that value, where only part of it is wrong.
    pub range: Option<Range<usize>>,
    /// What is wrong, in one line.
    pub message: String,
    /// The way out; may be empty.
    pub help: String,
}

impl CompileError {
    fn of(key: &'static str, message: &str, help: &str) -> Self {
        Self { trigger: 0, key, range: None, message: message.into(), help: help.into() }
    }
}

impl From<CronError> for CompileError {
    fn from(error: CronError) -> Self {
        let CronError { range, field, message, help } = error;
        // The message may not name its field; the position is always worth a word.
        let message = match field {
            Some((name, position)) if !message.contains(name) => {
                format!("{message} (field {position}, {name})")
            }
            Some((_, position)) => format!("{message} (field {position})"),
            None => message,
        };
        Self { trigger: 0, key: "cron", range: Some(range), message, help }
    }
}

/// The compiled schedule of a job; the default one is never due.
#[derive(Clone, Debug, Default)]
pub struct Schedule {
    triggers: Box<[Trigger]>,
    /// Hash of the seed, for jitter.
    seed: u64,
}

impl Schedule {
    /// Compiles triggers; `seed` (the job's name) decides `H` and jitter. Triggers that name the same
    /// instant name one slot.
    ///
    /// # Errors
    /// Everything that is wrong, in the order of the triggers; never an empty list.
    pub fn compile(triggers: &[TriggerSpec], seed: &str) -> Result<Self, Vec<CompileError>> {
        let mut compiled = Vec::with_capacity(triggers.len());
        let mut errors = Vec::new();
        for (index, spec) in triggers.iter().enumerate() {
            match Trigger::compile(spec, seed) {
                Ok(trigger) => compiled.push(trigger),
                Err(found) => errors.extend(
                    found.into_iter().map(|error| CompileError { trigger: index, ..error }),
                ),
            }
        }
        if errors.is_empty() {
            Ok(Self { triggers: compiled.into(), seed: spread::hash(seed.as_bytes(), u64::MAX) })
        } else {
            Err(errors)
        }
    }

    /// Whether it has no trigger at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.triggers.is_empty()
    }

    /// The first slot whose nominal time is after `after`.
    #[must_use]
    pub fn next_after(&self, after: Timestamp) -> Option<Due> {
        self.next_from(floor(after) + 1).map(|(slot, trigger)| self.due(slot, trigger))
    }

    /// The newest slot in `(after, until]`.
    #[must_use]
    pub fn last_between(&self, after: Timestamp, until: Timestamp) -> Option<Due> {
        let until = floor(until).min(LIMIT);
        let (mut newest, mut trigger) = self.next_from(floor(after) + 1)?;
        if newest > until {
            return None;
        }
        // Halves what may still hold a newer slot, so that a burst of slots costs no more than one.
        let mut end = until;
        while newest < end {
            let middle = newest + (end - newest) / 2;
            match self.next_from(middle + 1) {
                Some((slot, index)) if slot <= until => (newest, trigger) = (slot, index),
                _ => end = middle,
            }
        }
        Some(self.due(newest, trigger))
    }

    /// How many slots lie in `(after, until]`. Arithmetic for one trigger; of several, all but the most
    /// frequent one are walked.
    #[must_use]
    pub fn count_between(&self, after: Timestamp, until: Timestamp) -> u64 {
        let (from, until) = (floor(after) + 1, floor(until) + 1);
        let mut counted: Vec<(u64, &Trigger)> =
            self.triggers.iter().map(|trigger| (trigger.count(from, until), trigger)).collect();
        counted.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
        let mut slots = counted.first().map_or(0, |(count, _)| *count);
        for (index, (_, trigger)) in counted.iter().enumerate().skip(1) {
            let mut at = from;
            while let Some(slot) = trigger.next(at).filter(|slot| *slot < until) {
                let known =
                    counted[..index].iter().any(|(_, other)| other.next(slot) == Some(slot));
                slots += u64::from(!known);
                at = slot + 1;
            }
        }
        slots
    }

    /// The slots after `after`, in order.
    pub fn slots_after(&self, after: Timestamp) -> impl Iterator<Item = Due> + '_ {
        let mut after = after;
        std::iter::from_fn(move || {
            let due = self.next_after(after)?;
            after = due.slot;
            Some(due)
        })
    }

    /// The typical time between two slots: a day where that can't be told, as for a single `at`. It is
    /// found by looking at a score of slots: cheap, but not for every tick.
    #[must_use]
    pub fn period_hint(&self) -> Duration {
        const DAY: Duration = Duration::from_hours(24);
        // 2024 is as good as any year, and `start` may lie after it.
        let year_2024 = Timestamp::constant(1_704_067_200, 0);
        let slots = |from| self.slots_after(from).take(20).map(|due| due.slot).collect::<Vec<_>>();
        let mut seen = slots(year_2024);
        if seen.len() < 2 {
            seen = slots(Timestamp::UNIX_EPOCH);
        }
        let mut gaps: Vec<Duration> =
            seen.windows(2).map(|pair| pair[1].duration_since(pair[0]).unsigned_abs()).collect();
        gaps.sort_unstable();
        gaps.get(gaps.len().saturating_sub(1) / 2).copied().unwrap_or(DAY)
    }

    /// A slot as RFC 3339 with the offset of its trigger's zone: `2026-03-08T03:00:00-04:00`.
    #[must_use]
    pub fn render(&self, slot: Timestamp) -> String {
        let at = floor(slot);
        let names = |trigger: &&Trigger| trigger.next(at) == Some(at);
        let trigger = self.triggers.iter().find(names).or(self.triggers.first());
        let offset = trigger.map_or(jiff::tz::Offset::UTC, |trigger| trigger.zone.to_offset(slot));
        slot.display_with_offset(offset).to_string()
    }

    /// The first slot at or after a second, and the trigger that names it.
    fn next_from(&self, from: i64) -> Option<(i64, usize)> {
        let slots = self.triggers.iter().enumerate();
        slots.filter_map(|(index, trigger)| trigger.next(from).map(|slot| (slot, index))).min()
    }

    fn due(&self, slot: i64, trigger: usize) -> Due {
        let delay = self.jitter(slot, trigger);
        let at = zone::timestamp(slot);
        Due { slot: at, fire_at: at + Duration::from_millis(delay) }
    }

    /// Milliseconds from a slot to its firing: a share of the bound, which is cut to the gap before the
    /// next slot so that the order of slots is the order of firing.
    fn jitter(&self, slot: i64, trigger: usize) -> u64 {
        let bound = self.triggers[trigger].jitter;
        if bound == 0 {
            return 0;
        }
        let next = self.next_from(slot + 1).map_or(LIMIT, |(next, _)| next);
        let gap = u64::try_from(next - slot).unwrap_or(1).saturating_mul(1000);
        spread::mix(self.seed, slot.unsigned_abs()) % bound.min(gap)
    }
}

#[cfg(test)]
mod tests;
