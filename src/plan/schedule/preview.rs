//! Coming slots, with what is remarkable about each.
//!
//! Owns the notes of `jadactl plan`. Refuses to find slots by itself: they come from the same search that
//! fires them.

use jiff::Timestamp;

use super::cron::{Cron, DAY, date_of};
use super::describe::{duration, join};
use super::trigger::{Times, Trigger, floor};
use super::zone::Segment;
use super::{Due, Schedule};
use crate::model::DstGap;

/// A coming slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occurrence {
    /// The slot and its instant of firing.
    pub due: Due,
    /// The slot as RFC 3339 with the offset of its trigger's zone.
    pub local: String,
    /// What is remarkable about it: a clock change, a delay. Empty for most.
    pub note: String,
}

impl Schedule {
    /// The slots from `from` on, one at `from` itself included, in order.
    pub fn preview(&self, from: Timestamp) -> impl Iterator<Item = Occurrence> + '_ {
        let mut next = self.next_from(floor(from) + i64::from(from.subsec_nanosecond() != 0));
        std::iter::from_fn(move || {
            let (slot, index) = next?;
            next = self.next_from(slot + 1);
            Some(self.occurrence(slot, index))
        })
    }

    fn occurrence(&self, slot: i64, index: usize) -> Occurrence {
        let due = self.due(slot, index);
        let trigger = &self.triggers[index];
        let mut notes = Vec::new();
        notes.extend(clock_change(trigger, slot));
        let delay = due.fire_at.duration_since(due.slot);
        if !delay.is_zero() {
            notes.push(format!("jitter +{}.{:03} s", delay.as_secs(), delay.subsec_millis()));
        }
        let local = due.slot.display_with_offset(trigger.zone.to_offset(due.slot)).to_string();
        Occurrence { due, local, note: notes.join("; ") }
    }
}

/// What a clock change does to a slot.
fn clock_change(trigger: &Trigger, slot: i64) -> Option<String> {
    let segment = Segment::at(&trigger.zone, slot);
    let (skipped, repeated) = (segment.offset - segment.before, segment.offset - segment.after);
    if let Times::Cron(cron) = &trigger.times
        && !cron.is_interval()
        && (0..skipped).contains(&(slot - segment.start))
    {
        return moved(cron, trigger.dst.gap, &segment, slot);
    }
    if (0..-skipped).contains(&(slot - segment.start)) {
        return Some(format!("second pass of the repeated {}", span(-skipped)));
    }
    (segment.end - slot <= repeated)
        .then(|| format!("first pass of the repeated {}", span(repeated)))
}

fn span(seconds: i64) -> String {
    match seconds {
        3600 => "hour".to_owned(),
        DAY => "day".to_owned(),
        _ => duration(seconds),
    }
}

/// The note of a slot whose local time did not exist.
fn moved(cron: &Cron, gap: DstGap, segment: &Segment, slot: i64) -> Option<String> {
    let (low, high) = segment.gap()?;
    match gap {
        DstGap::Skip => None,
        DstGap::RunAfter if slot != segment.start => None,
        DstGap::RunAfter => {
            let times = local_times(cron, low, high)?;
            Some(format!("DST gap: {times} on that day, runs right after it"))
        }
        DstGap::Shift => {
            let local = slot + segment.before;
            let times = local_times(cron, local, local + 1)?;
            let by = duration(segment.offset - segment.before);
            Some(format!("DST gap: {times} on that day, shifted by {by}"))
        }
    }
}

/// "02:30 does not exist", for the matching times of a range; none where nothing matches.
pub(super) fn local_times(cron: &Cron, low: i64, high: i64) -> Option<String> {
    let matches = cron.count_local(low, high);
    let mut times = Vec::new();
    let mut from = low;
    while let Some(local) = cron.next_local(from, high).filter(|_| times.len() < 3) {
        times.push(clock(local, high - low >= DAY));
        from = local + 1;
    }
    let more = matches.saturating_sub(3);
    if more > 0 {
        times.push(format!("{more} more"));
    }
    let verb = if matches == 1 { "does" } else { "do" };
    (matches > 0).then(|| format!("{} {verb} not exist", join(&times, "and")))
}

/// A local time on the clock, with its date where a whole day is at stake.
pub(super) fn clock(local: i64, with_date: bool) -> String {
    let time = local.rem_euclid(DAY);
    let mut text = format!("{:02}:{:02}", time / 3600, time / 60 % 60);
    if time % 60 != 0 {
        text = format!("{text}:{:02}", time % 60);
    }
    match date_of(local.div_euclid(DAY)) {
        Some(date) if with_date => format!("{date} {text}"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Dst, DstOverlap};
    use crate::plan::schedule::tests::{at, cron_in, parts};

    /// A line each: expression | zone | from | slot | note of it.
    const NOTES: &str = "
30 2 * * *      | America/New_York    | 2026-03-08T00:00Z | 2026-03-08T03:00:00-04:00 | DST gap: 02:30 does not exist on that day, runs right after it
0,30 2,3 * * *  | America/New_York    | 2026-03-08T00:00Z | 2026-03-08T03:00:00-04:00 | DST gap: 02:00 and 02:30 do not exist on that day, runs right after it
0 * * * *       | America/New_York    | 2026-03-08T07:00Z | 2026-03-08T03:00:00-04:00 |
30 1 * * *      | America/New_York    | 2026-11-01T05:00Z | 2026-11-01T01:30:00-04:00 | first pass of the repeated hour
0 * * * *       | America/New_York    | 2026-11-01T05:00Z | 2026-11-01T01:00:00-04:00 | first pass of the repeated hour
0 * * * *       | America/New_York    | 2026-11-01T06:00Z | 2026-11-01T01:00:00-05:00 | second pass of the repeated hour
0 * * * *       | America/New_York    | 2026-11-01T07:00Z | 2026-11-01T02:00:00-05:00 |
45 1 * * *      | Australia/Lord_Howe | 2026-04-04T12:00Z | 2026-04-05T01:45:00+11:00 | first pass of the repeated 30 minutes
0 12 * * *      | Pacific/Apia        | 2011-12-30T09:00Z | 2011-12-31T00:00:00+14:00 | DST gap: 2011-12-30 12:00 does not exist on that day, runs right after it
15 2 * * *      | UTC                 | 2026-03-08T02:15Z | 2026-03-08T02:15:00+00:00      |
";

    #[test]
    fn notes_tell_clock_changes() {
        for line in NOTES.trim().lines() {
            let [expression, zone, from, slot, note] = parts(line);
            let schedule = cron_in(expression, zone, Dst::default());
            let first = schedule.preview(at(from)).next().unwrap();
            assert_eq!((first.local.as_str(), first.note.as_str()), (slot, note), "{line}");
            assert_eq!(schedule.render(first.due.slot), slot);
        }
        let shift = Dst { gap: DstGap::Shift, overlap: DstOverlap::Both };
        let schedule = cron_in("30 2 * * *", "America/New_York", shift);
        let first = schedule.preview(at("2026-03-08T00:00Z")).next().unwrap();
        assert_eq!(first.note, "DST gap: 02:30 does not exist on that day, shifted by 1 hour");
    }
}
