//! Local time laid onto real instants: clock changes and what they do to a schedule.
//!
//! Owns the DST rules. Real time is cut into segments of one offset each; within a segment local time is
//! real time plus a constant, so every odd zone (30 or 45 minutes, gaps over midnight, a day left out)
//! follows from the same few lines. Refuses to know how local times are matched (`cron`).

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

use super::cron::{Cron, LIMIT};
use crate::model::{Dst, DstGap, DstOverlap};

/// A stretch of real time with one offset from UTC. All in seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    /// Its first instant; far in the past where nothing precedes.
    pub(super) start: i64,
    /// The first instant after it.
    pub(super) end: i64,
    /// Local time minus real time.
    pub(super) offset: i64,
    /// The offset of the segment before.
    pub(super) before: i64,
    /// The offset of the segment after.
    pub(super) after: i64,
}

/// Earlier than any instant that a schedule looks at, and far enough from the edge to add an offset.
const LONG_AGO: i64 = -LIMIT;

impl Segment {
    /// The segment that holds an instant.
    pub(super) fn at(zone: &TimeZone, instant: i64) -> Self {
        let at = timestamp(instant);
        let offset = seconds(zone.to_offset(at));
        // The transition at the instant itself begins its segment.
        let start = zone.preceding(timestamp(instant + 1)).next();
        let start = start.map_or(LONG_AGO, |transition| transition.timestamp().as_second());
        let before = match start {
            LONG_AGO => offset,
            _ => seconds(zone.to_offset(timestamp(start - 1))),
        };
        Self { start, end: LIMIT, offset, before, after: offset }.with_end(zone, instant)
    }

    /// The segment after this one; none at the end of time.
    pub(super) fn next(&self, zone: &TimeZone) -> Option<Self> {
        (self.end < LIMIT).then(|| {
            let (start, offset) = (self.end, self.after);
            Self { start, end: LIMIT, offset, before: self.offset, after: offset }
                .with_end(zone, start)
        })
    }

    fn with_end(mut self, zone: &TimeZone, instant: i64) -> Self {
        if let Some(transition) = zone.following(timestamp(instant)).next() {
            let at = transition.timestamp().as_second();
            if at < LIMIT {
                self.end = at;
                self.after = seconds(transition.offset());
            }
        }
        self
    }

    /// The local times just before this segment that no clock showed, where its start is a gap.
    pub(super) fn gap(&self) -> Option<(i64, i64)> {
        (self.offset > self.before).then(|| (self.start + self.before, self.start + self.offset))
    }

    /// The local times that a job reads off this segment: without the pass of a repeated time that the
    /// policy leaves out.
    fn local(&self, overlap: DstOverlap) -> (i64, i64) {
        let (mut low, mut high) = (self.start + self.offset, self.end + self.offset);
        if overlap == DstOverlap::First {
            low = low.max(self.start + self.before);
        }
        if overlap == DstOverlap::Last {
            high = high.min(self.end + self.after);
        }
        (low, high)
    }

    /// The first slot in this segment from `from` on.
    fn next_slot(&self, cron: &Cron, dst: Dst, from: i64) -> Option<i64> {
        let (low, high) = self.local(dst.overlap);
        let regular = cron.next_local(low.max(from + self.offset), high);
        let regular = regular.map(|local| local - self.offset);
        let moved = self.gap().and_then(|(low, high)| match dst.gap {
            DstGap::Skip => None,
            DstGap::RunAfter => {
                let due = from <= self.start && cron.next_local(low, high).is_some();
                due.then_some(self.start)
            }
            DstGap::Shift => cron
                .next_local(low.max(from + self.before), high)
                .map(|local| local - self.before)
                .filter(|instant| *instant < self.end),
        });
        match (regular, moved) {
            (Some(regular), Some(moved)) => Some(regular.min(moved)),
            (regular, moved) => regular.or(moved),
        }
    }

    /// How many slots of this segment lie in `from..until`.
    fn count_slots(&self, cron: &Cron, dst: Dst, (from, until): (i64, i64)) -> u64 {
        let (low, high) = self.local(dst.overlap);
        let until = until.min(self.end);
        let regular = |from: i64, until: i64| {
            cron.count_local(low.max(from + self.offset), high.min(until + self.offset))
        };
        let mut slots = regular(from, until);
        // Slots that the gap moved here, unless they meet a regular one.
        let from = from.max(self.start);
        let (Some(_), false) = (self.gap(), dst.gap == DstGap::Skip) else { return slots };
        let moved = Dst { gap: dst.gap, overlap: DstOverlap::Both };
        let reach = until.min(self.start + (self.offset - self.before));
        let mut at = from;
        while let Some(slot) = self.next_slot(cron, moved, at).filter(|slot| *slot < reach) {
            slots += u64::from(regular(slot, slot + 1) == 0);
            at = slot + 1;
        }
        slots
    }
}

/// The policy that a cron obeys: one with a `*` follows real time, whatever the policy says.
fn policy_of(cron: &Cron, dst: Dst) -> Dst {
    if cron.is_interval() { Dst { gap: DstGap::Skip, overlap: DstOverlap::Both } } else { dst }
}

/// The first slot of a cron from `from` on.
pub(super) fn next_slot(cron: &Cron, zone: &TimeZone, dst: Dst, from: i64) -> Option<i64> {
    if cron.reachable == 0 || from >= LIMIT {
        return None;
    }
    let dst = policy_of(cron, dst);
    let mut from = from;
    let mut segment = Segment::at(zone, from);
    loop {
        if let Some(slot) = segment.next_slot(cron, dst, from) {
            return Some(slot);
        }
        segment = segment.next(zone)?;
        from = segment.start;
    }
}

/// How many slots of a cron lie in `from..until`.
pub(super) fn count_slots(
    cron: &Cron,
    zone: &TimeZone,
    dst: Dst,
    (from, until): (i64, i64),
) -> u64 {
    if cron.reachable == 0 || from >= until {
        return 0;
    }
    let dst = policy_of(cron, dst);
    let mut segment = Segment::at(zone, from);
    let mut slots = 0;
    loop {
        slots += segment.count_slots(cron, dst, (from.max(segment.start), until));
        match segment.next(zone) {
            Some(next) if next.start < until => segment = next,
            _ => return slots,
        }
    }
}

/// The instants of one local time, by the policy: none, one or two.
pub(super) fn resolve(zone: &TimeZone, local: DateTime, dst: Dst) -> Vec<i64> {
    let ambiguous = zone.to_ambiguous_timestamp(local);
    let with = |offset: Offset| offset.to_timestamp(local).map(Timestamp::as_second).ok();
    let (first, second) = match (ambiguous.offset(), dst) {
        (AmbiguousOffset::Unambiguous { offset }, _) => (with(offset), None),
        (AmbiguousOffset::Gap { .. }, Dst { gap: DstGap::Skip, .. }) => (None, None),
        (AmbiguousOffset::Gap { before, .. }, Dst { gap: DstGap::Shift, .. }) => {
            (with(before), None)
        }
        (AmbiguousOffset::Gap { before, .. }, Dst { gap: DstGap::RunAfter, .. }) => {
            (with(before).map(|shifted| Segment::at(zone, shifted).start), None)
        }
        (AmbiguousOffset::Fold { before, after }, dst) => match dst.overlap {
            DstOverlap::First => (with(before), None),
            DstOverlap::Last => (None, with(after)),
            DstOverlap::Both => (with(before), with(after)),
        },
    };
    first.into_iter().chain(second).collect()
}

/// An instant as a timestamp; out of range becomes the nearest end.
pub(super) fn timestamp(instant: i64) -> Timestamp {
    Timestamp::from_second(instant).unwrap_or(if instant < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    })
}

pub(super) fn seconds(offset: Offset) -> i64 {
    offset.seconds().into()
}
