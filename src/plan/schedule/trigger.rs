//! One trigger: what was asked for ([`TriggerSpec`]), and the compiled form that is searched.
//!
//! Owns `cron`, `every` and `at` with their bounds and exceptions. Refuses to know other triggers of the
//! same schedule, and YAML.

use std::ops::Range;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;

use super::cron::{Cron, LIMIT};
use super::{CompileError, zone};
use crate::model::{Dst, DstGap, DstOverlap};

/// A trigger as it was asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct TriggerSpec {
    /// The times.
    pub when: When,
    /// The zone in which local times and dates are read.
    pub timezone: TimeZone,
    /// What clock changes do to fixed times.
    pub dst: Dst,
    /// No slot before it. A date is its first instant.
    pub start: Option<Moment>,
    /// No slot after it; a slot at it is still due. A date is its last second.
    pub end: Option<Moment>,
    /// Days, in `timezone`, without slots.
    pub except: Vec<DateRange>,
    /// Bound of the delay that is added to each slot.
    pub jitter: Duration,
}

impl TriggerSpec {
    /// A trigger in UTC without bounds, exceptions and jitter.
    #[must_use]
    pub fn new(when: When) -> Self {
        Self {
            when,
            timezone: TimeZone::UTC,
            dst: Dst::default(),
            start: None,
            end: None,
            except: Vec::new(),
            jitter: Duration::ZERO,
        }
    }
}

/// The times of a trigger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    /// A cron expression.
    Cron(String),
    /// A fixed period of real time, counted from `start`, or from 1970-01-01T00:00Z without one.
    Every(Duration),
    /// These moments.
    At(Vec<Moment>),
}

/// A point in time as people write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// With an offset from UTC: `2026-12-01T09:00Z`.
    Instant(Timestamp),
    /// On the wall: `2026-12-01T09:00`.
    Local(DateTime),
    /// A whole day: `2026-12-01`.
    Day(Date),
}

/// Days from the first to the last, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DateRange {
    /// The first day.
    pub first: Date,
    /// The last day.
    pub last: Date,
}

impl Moment {
    /// Parses `2026-12-01`, `2026-12-01T09:00`, `2026-12-01 09:00:30` or, with an offset,
    /// `2026-12-01T09:00+01:00`.
    ///
    /// # Errors
    /// One line that says which forms there are.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.len() <= "2026-12-01".len() {
            if let Ok(date) = text.parse::<Date>() {
                return Ok(Self::Day(date));
            }
        } else if let Ok(instant) = text.parse::<Timestamp>() {
            return Ok(Self::Instant(instant));
        } else if !text.contains('[')
            && let Ok(local) = text.parse::<DateTime>()
        {
            return Ok(Self::Local(local));
        }
        Err(format!(
            "'{text}' is no date or time: write 2026-12-01, 2026-12-01T09:00 or, with an offset, 2026-12-01T09:00+01:00"
        ))
    }
}

impl DateRange {
    /// Parses `2026-12-25` or `2026-12-24..2027-01-02`; both ends belong to it.
    ///
    /// # Errors
    /// One line that says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let date = |text: &str| match Moment::parse(text) {
            Ok(Moment::Day(date)) => Ok(date),
            _ => Err(format!(
                "'{}' is no date: write 2026-12-25 or 2026-12-24..2027-01-02",
                text.trim()
            )),
        };
        let (first, last) = text.split_once("..").unwrap_or((text, text));
        let range = Self { first: date(first)?, last: date(last)? };
        if range.first > range.last {
            return Err(format!("the days {} run backwards", text.trim()));
        }
        Ok(range)
    }
}

/// A compiled trigger. All instants in seconds.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Trigger {
    pub(super) times: Times,
    pub(super) zone: TimeZone,
    pub(super) dst: Dst,
    /// First and last instant at which a slot may be.
    start: i64,
    last: i64,
    /// Instants without slots, in order, apart from each other.
    except: Box<[Range<i64>]>,
    /// Bound of the delay, in milliseconds.
    pub(super) jitter: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Times {
    Cron(Cron),
    /// `anchor + k * period`.
    Every {
        period: i64,
        anchor: i64,
    },
    /// In order, each once.
    At(Box<[i64]>),
}

impl Trigger {
    pub(super) fn compile(spec: &TriggerSpec, seed: &str) -> Result<Self, Vec<CompileError>> {
        let zone = &spec.timezone;
        let mut errors = Vec::new();
        // Bounds are no slots: they take in the whole of a repeated hour.
        let earliest = Dst::default();
        let latest = Dst { gap: DstGap::RunAfter, overlap: DstOverlap::Last };
        let start = spec.start.map(|moment| first_second(moment, zone, earliest));
        let last = spec.end.map_or(LIMIT - 1, |moment| last_second(moment, zone, latest));
        if start.is_some_and(|start| start > last) {
            errors.push(CompileError::of("end", "the schedule ends before it starts", ""));
        }
        let times =
            Times::compile(spec, seed, start.unwrap_or(0)).map_err(|found| errors.extend(found));
        let jitter = u64::try_from(spec.jitter.as_millis()).unwrap_or(u64::MAX);
        match times {
            Ok(times) if errors.is_empty() => Ok(Self {
                times,
                zone: zone.clone(),
                dst: spec.dst,
                start: start.unwrap_or(0).max(0),
                last: last.min(LIMIT - 1),
                except: exceptions(&spec.except, zone),
                jitter,
            }),
            _ => Err(errors),
        }
    }

    /// The first slot from `from` on.
    pub(super) fn next(&self, from: i64) -> Option<i64> {
        let mut from = from.max(self.start);
        loop {
            let slot = self.times.next(from, self).filter(|slot| *slot <= self.last)?;
            let passed = self.except.partition_point(|range| range.end <= slot);
            match self.except.get(passed) {
                Some(range) if range.contains(&slot) => from = range.end,
                _ => return Some(slot),
            }
        }
    }

    /// The first and the last instant at which a slot may be.
    pub(super) fn bounds(&self) -> (i64, i64) {
        (self.start, self.last)
    }

    pub(super) fn has_exceptions(&self) -> bool {
        !self.except.is_empty()
    }

    /// Whether bounds and exceptions leave room for a slot at an instant.
    pub(super) fn allows(&self, instant: i64) -> bool {
        (self.start..=self.last).contains(&instant)
            && !self.except.iter().any(|range| range.contains(&instant))
    }

    /// How many slots lie in `from..until`.
    pub(super) fn count(&self, from: i64, until: i64) -> u64 {
        let (from, until) = (from.max(self.start), until.min(self.last + 1));
        if from >= until {
            return 0;
        }
        let count = |from: i64, until: i64| self.times.count((from, until), self);
        let left_out = |range: &Range<i64>| {
            let (from, until) = (from.max(range.start), until.min(range.end));
            if from < until { count(from, until) } else { 0 }
        };
        count(from, until) - self.except.iter().map(left_out).sum::<u64>()
    }
}

impl Times {
    fn compile(spec: &TriggerSpec, seed: &str, anchor: i64) -> Result<Self, Vec<CompileError>> {
        match &spec.when {
            When::Cron(text) => Cron::parse(text, seed)
                .map(Self::Cron)
                .map_err(|errors| errors.into_iter().map(CompileError::from).collect()),
            When::Every(period) => {
                let seconds = i64::try_from(period.as_secs()).unwrap_or(i64::MAX);
                if seconds == 0 {
                    let help = "write 1s or more";
                    return Err(vec![CompileError::of(
                        "every",
                        "the period is under a second",
                        help,
                    )]);
                }
                if period.subsec_nanos() != 0 {
                    let message = "the period is no whole number of seconds";
                    return Err(vec![CompileError::of(
                        "every",
                        message,
                        "slots are whole seconds",
                    )]);
                }
                Ok(Self::Every { period: seconds, anchor })
            }
            When::At(moments) => Self::at(moments, spec),
        }
    }

    fn at(moments: &[Moment], spec: &TriggerSpec) -> Result<Self, Vec<CompileError>> {
        if moments.is_empty() {
            let help = "write at least one, as in 2026-12-01T09:00";
            return Err(vec![CompileError::of("at", "there is no time in it", help)]);
        }
        let mut slots: Vec<i64> = Vec::with_capacity(moments.len());
        for moment in moments {
            slots.extend(match moment {
                Moment::Instant(at) => vec![ceil(*at)],
                Moment::Local(local) => zone::resolve(&spec.timezone, *local, spec.dst),
                Moment::Day(day) => {
                    let local = day.to_datetime(Time::midnight());
                    zone::resolve(&spec.timezone, local, spec.dst)
                }
            });
        }
        slots.sort_unstable();
        slots.dedup();
        Ok(Self::At(slots.into()))
    }

    fn next(&self, from: i64, trigger: &Trigger) -> Option<i64> {
        match self {
            Self::Cron(cron) => zone::next_slot(cron, &trigger.zone, trigger.dst, from),
            Self::Every { period, anchor } => {
                let ahead = (anchor - from).rem_euclid(*period);
                from.checked_add(ahead)
            }
            Self::At(slots) => slots.get(slots.partition_point(|slot| *slot < from)).copied(),
        }
    }

    fn count(&self, (from, until): (i64, i64), trigger: &Trigger) -> u64 {
        let slots = match self {
            Self::Cron(cron) => {
                return zone::count_slots(cron, &trigger.zone, trigger.dst, (from, until));
            }
            Self::Every { period, anchor } => {
                (until - 1 - anchor).div_euclid(*period) - (from - 1 - anchor).div_euclid(*period)
            }
            Self::At(slots) => {
                let before = |end: i64| slots.partition_point(|slot| *slot < end);
                return u64::try_from(before(until) - before(from)).unwrap_or(0);
            }
        };
        u64::try_from(slots).unwrap_or(0)
    }
}

/// The first whole second at or after a timestamp.
fn ceil(at: Timestamp) -> i64 {
    // `as_second` cuts towards zero.
    at.as_second() + i64::from(at.subsec_nanosecond() > 0)
}

/// The last whole second at or before a timestamp.
pub(super) fn floor(at: Timestamp) -> i64 {
    at.as_second() - i64::from(at.subsec_nanosecond() < 0)
}

fn first_second(moment: Moment, zone: &TimeZone, dst: Dst) -> i64 {
    match moment {
        Moment::Instant(at) => ceil(at),
        Moment::Local(local) => zone::resolve(zone, local, dst).first().copied().unwrap_or(LIMIT),
        Moment::Day(day) => {
            first_second(Moment::Local(day.to_datetime(Time::midnight())), zone, dst)
        }
    }
}

fn last_second(moment: Moment, zone: &TimeZone, dst: Dst) -> i64 {
    match moment {
        Moment::Instant(at) => floor(at),
        Moment::Local(local) => zone::resolve(zone, local, dst).last().copied().unwrap_or(0),
        Moment::Day(day) => end_of_day(day, zone) - 1,
    }
}

/// The first instant after a day.
fn end_of_day(day: Date, zone: &TimeZone) -> i64 {
    day.tomorrow().map_or(LIMIT, |day| first_second(Moment::Day(day), zone, Dst::default()))
}

/// Days to instants, sorted and merged.
fn exceptions(days: &[DateRange], zone: &TimeZone) -> Box<[Range<i64>]> {
    let mut ranges: Vec<Range<i64>> = days
        .iter()
        .map(|days| {
            first_second(Moment::Day(days.first), zone, Dst::default())..end_of_day(days.last, zone)
        })
        .collect();
    ranges.sort_unstable_by_key(|range| range.start);
    ranges.dedup_by(|next, previous| {
        let touches = next.start <= previous.end;
        if touches {
            previous.end = previous.end.max(next.end);
        }
        touches
    });
    ranges.into()
}
