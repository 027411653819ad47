//! The naive oracle: walks real instants minute by minute around each clock change of each zone, reads the
//! clock on the wall, and applies the policy to what it saw. Knows nothing of segments or masks.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use jada::model::{Dst, DstGap, DstOverlap};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::{ZONES, cron, second, zone};

/// A daily expression, as text and as the values that it stands for.
struct Probe {
    text: String,
    minutes: Vec<i8>,
    hours: Vec<i8>,
    interval: bool,
}

impl Probe {
    fn matches(&self, local: DateTime) -> bool {
        self.hours.contains(&local.hour()) && self.minutes.contains(&local.minute())
    }
}

/// The clock on the wall, minute by minute.
struct Walk {
    from: i64,
    /// The instants whose slots the walk can tell; at its edges it has not seen what lies beyond.
    inner: Range<i64>,
    locals: Vec<DateTime>,
    /// The first and the last index at which a local time shows.
    shows: HashMap<DateTime, (usize, usize)>,
    /// Local times that no clock showed, with the index of the first minute after them.
    missing: Vec<(usize, DateTime)>,
}

impl Walk {
    fn around(zone: &TimeZone, change: Timestamp) -> Self {
        let at = change.as_second().div_euclid(60) * 60;
        let offset = |at| i64::from(zone.to_offset(second(at)).seconds());
        let jump = (offset(at) - offset(at - 1)).abs();
        let inner = at - jump - 4 * 3600..at + jump + 4 * 3600;
        let (from, until) = (inner.start - jump - 3600, inner.end + jump + 3600);
        let locals: Vec<DateTime> = (0..(until - from) / 60)
            .map(|minute| zone.to_datetime(second(from + minute * 60)))
            .collect();
        let mut shows = HashMap::new();
        let mut missing = Vec::new();
        for (index, local) in locals.iter().enumerate() {
            shows.entry(*local).or_insert((index, index)).1 = index;
            let Some(previous) = index.checked_sub(1).map(|previous| locals[previous]) else {
                continue;
            };
            let mut expected = previous + jiff::Span::new().minutes(1);
            while expected < *local {
                missing.push((index, expected));
                expected += jiff::Span::new().minutes(1);
            }
        }
        Self { from, inner, locals, shows, missing }
    }

    fn instant(&self, index: usize) -> i64 {
        self.from + i64::try_from(index).unwrap() * 60
    }

    /// The slots that the probe must have.
    fn slots(&self, seen: &Seen, dst: Dst, interval: bool) -> Vec<i64> {
        let mut slots = BTreeSet::new();
        for (index, local) in &seen.shown {
            let (first, last) = self.shows[local];
            let due = match dst.overlap {
                _ if interval => true,
                DstOverlap::First => *index == first,
                DstOverlap::Last => *index == last,
                DstOverlap::Both => true,
            };
            if due {
                slots.insert(self.instant(*index));
            }
        }
        for (index, local) in seen.missing.iter().filter(|_| !interval) {
            match dst.gap {
                DstGap::Skip => {}
                DstGap::RunAfter => {
                    slots.insert(self.instant(*index));
                }
                DstGap::Shift => {
                    let previous = self.locals[index - 1];
                    let past = local.duration_since(previous).as_secs();
                    slots.insert(self.instant(index - 1) + past);
                }
            }
        }
        slots.into_iter().filter(|slot| self.inner.contains(slot)).collect()
    }

    /// The local times that match a probe.
    fn seen(&self, probe: &Probe) -> Seen {
        let matches = |(_, local): &(usize, DateTime)| probe.matches(*local);
        Seen {
            shown: self.locals.iter().copied().enumerate().filter(matches).collect(),
            missing: self.missing.iter().copied().filter(matches).collect(),
        }
    }
}

/// Matching local times with their index: those that a clock showed, and those that none did.
struct Seen {
    shown: Vec<(usize, DateTime)>,
    missing: Vec<(usize, DateTime)>,
}

/// Probes that aim at the hours on both sides of a change.
fn probes(before: DateTime, after: DateTime) -> Vec<Probe> {
    let all = |high: i8, step: usize| (0..high).step_by(step).collect::<Vec<i8>>();
    let mut probes = Vec::new();
    let mut add = |minute: &str, hour: &str, minutes: &[i8], hours: &[i8]| {
        probes.push(Probe {
            text: format!("{minute} {hour} * * *"),
            minutes: minutes.to_vec(),
            hours: hours.to_vec(),
            interval: minute.contains('*') || hour.contains('*'),
        });
    };
    add("0", "*", &[0], &all(24, 1));
    add("0", "*/2", &[0], &all(24, 2));
    add("*/30", "*", &all(60, 30), &all(24, 1));
    add("*", "*", &all(60, 1), &all(24, 1));
    for hour in BTreeSet::from([before.hour(), after.hour(), (before.hour() + 1) % 24]) {
        let text = hour.to_string();
        add("30", &text, &[30], &[hour]);
        add("0", &text, &[0], &[hour]);
        add("0,20,59", &text, &[0, 20, 59], &[hour]);
        add("*/20", &text, &all(60, 20), &[hour]);
    }
    add("15", "0-23", &[15], &all(24, 1));
    probes
}

const POLICIES: [Dst; 9] = {
    let mut all = [Dst { gap: DstGap::RunAfter, overlap: DstOverlap::First }; 9];
    let gaps = [DstGap::RunAfter, DstGap::Skip, DstGap::Shift];
    let overlaps = [DstOverlap::First, DstOverlap::Last, DstOverlap::Both];
    let mut index = 0;
    while index < 9 {
        all[index] = Dst { gap: gaps[index / 3], overlap: overlaps[index % 3] };
        index += 1;
    }
    all
};

fn check(zone_name: &str, change: Timestamp) {
    let zone = zone(zone_name);
    let walk = Walk::around(&zone, change);
    let before = zone.to_datetime(second(change.as_second() - 60));
    let after = zone.to_datetime(change);
    for probe in probes(before, after) {
        let seen = walk.seen(&probe);
        for dst in POLICIES {
            if probe.interval && dst != Dst::default() {
                continue;
            }
            let want = walk.slots(&seen, dst, probe.interval);
            let Range { start: from, end: until } = walk.inner;
            let schedule = cron(&probe.text, &zone, dst);
            let found: Vec<i64> = schedule
                .slots_after(second(from - 1))
                .map(|due| due.slot.as_second())
                .take_while(|slot| *slot < until)
                .collect();
            let context = format!("{} in {zone_name} around {change}, {dst:?}", probe.text);
            assert_eq!(found, want, "{context}");
            let count = schedule.count_between(second(from - 1), second(until - 1));
            assert_eq!(count, u64::try_from(want.len()).unwrap(), "count of {context}");
        }
    }
}

/// The DST probes in every zone, at each change from 2008 to 2027.
#[test]
fn every_clock_change_of_every_zone() {
    let (from, until) = (second(1_199_145_600), second(1_830_297_600));
    let mut changes = 0;
    for name in ZONES {
        let zone = zone(name);
        for change in zone.following(from).take_while(|change| change.timestamp() < until) {
            check(name, change.timestamp());
            changes += 1;
        }
    }
    // A missing time zone database would leave nothing to check.
    assert!(changes > 1000, "{changes} clock changes");
}

/// Far changes come from a rule in the zone's data and not from its table.
#[test]
fn far_clock_changes() {
    for name in ["America/New_York", "Australia/Lord_Howe", "Europe/Dublin", "Pacific/Chatham"] {
        let zone = zone(name);
        for change in zone.following(second(6_000_000_000)).take(4) {
            check(name, change.timestamp());
        }
    }
}
