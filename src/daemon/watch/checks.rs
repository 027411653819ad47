//! What the daemon finds when it looks at itself, and how that is said.
//!
//! Owns the limits and the words, as pure functions. Refuses to look, and to keep or tell anything.

use std::time::Duration;

use jiff::Timestamp;

use crate::model::{Fault, JobName, Severity, Subject, Verdict};
use crate::plan::catch_up::words;

/// How late the scheduler's loop may come round before that is an incident.
pub(super) const LAG_MAX: Duration = Duration::from_secs(30);

/// A leap of the wall clock that is worth a word.
const LEAP_MIN: Duration = Duration::from_secs(60);

/// How long a leap is told as something that goes on.
pub(super) const LEAP_TOLD: Duration = Duration::from_mins(10);

/// Heartbeats that fail in a row before that is told here.
const BEATS_MAX: u32 = 3;

const MIB: u64 = 1024 * 1024;

/// Below so much the store is about to fail.
const FREE_FAIL: u64 = 64 * MIB;

/// Below so much, and this share, somebody should look.
const FREE_WARN: u64 = 1024 * MIB;

/// What the daemon looks at. The words are part of stored names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Check {
    /// Whether the loop comes round in time.
    Lag,
    /// Whether the store can be written.
    Store,
    /// Room for the data folder.
    Disk,
    /// The wall clock.
    Clock,
    /// Whether each check of a health job is looked at.
    Looks,
    /// Whether the heartbeat gets out.
    Heartbeat,
}

impl Check {
    fn word(self) -> &'static str {
        match self {
            Self::Lag => "lag",
            Self::Store => "store",
            Self::Disk => "disk",
            Self::Clock => "clock",
            Self::Looks => "looks",
            Self::Heartbeat => "heartbeat",
        }
    }

    /// The check's name in the store.
    pub(super) fn subject(self) -> Subject {
        Subject::parse(&format!("daemon/{}", self.word())).expect("the daemon's parts are subjects")
    }

    /// What it looks at.
    pub(super) fn root(self) -> Subject {
        match self {
            Self::Disk => Subject::part("disk"),
            Self::Clock => Subject::part("clock"),
            Self::Lag | Self::Store | Self::Looks | Self::Heartbeat => Subject::daemon(),
        }
    }

    /// Of the check's incidents, what all keys begin with.
    pub(super) fn prefix(self) -> String {
        format!("{}#", self.subject())
    }
}

/// What a look came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) check: Check,
    /// What is wrong; `None` of what is well.
    pub(super) wrong: Option<Wrong>,
}

/// What is wrong, and how that is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) severity: Severity,
    pub(super) fault: Fault,
    pub(super) title: String,
    pub(super) detail: String,
    pub(super) mend: String,
    pub(super) affected: Vec<JobName>,
}

impl Finding {
    fn well(check: Check) -> Self {
        Self { check, wrong: None }
    }

    fn wrong(
        check: Check,
        severity: Severity,
        fault: Fault,
        [title, detail, mend]: [String; 3],
    ) -> Self {
        let wrong = Wrong { severity, fault, title, detail, mend, affected: Vec::new() };
        Self { check, wrong: Some(wrong) }
    }

    /// The verdict as it is stored.
    pub(super) fn verdict(&self) -> Verdict {
        match self.wrong.as_ref().map(|wrong| wrong.severity) {
            None => Verdict::Ok,
            Some(Severity::Warning) => Verdict::Warn,
            Some(Severity::Error) => Verdict::Fail,
        }
    }

    /// The incident's key.
    pub(super) fn key(&self) -> Option<String> {
        self.wrong.as_ref().map(|wrong| format!("{}{}", self.check.prefix(), wrong.fault.word()))
    }
}

/// How long the scheduler's loop has been overdue, whatever the wall clock did.
pub(super) fn lag(overdue: Option<Duration>) -> Finding {
    let Some(late) = overdue.filter(|late| *late >= LAG_MAX) else {
        return Finding::well(Check::Lag);
    };
    let title = format!("the scheduler is {} late: nothing starts", words(late));
    let detail =
        "its loop has something to do and does not come round: the disk hangs, or a bug".into();
    let mend = "jadactl status, and look at the disk; systemctl restart jada-agent".into();
    Finding::wrong(Check::Lag, Severity::Error, Fault::Lag, [title, detail, mend])
}

/// Room on the data folder's file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    pub(super) free: u64,
    pub(super) total: u64,
    /// Files that may still be made; `None` where the file system does not count them.
    pub(super) inodes: Option<u64>,
    pub(super) read_only: bool,
}

/// Judges the room. Where it was short before, it must be a good deal more before it is well again.
pub(super) fn disk(room: Room, place: &str, before: Verdict) -> Finding {
    let Room { free, total, inodes, read_only } = room;
    let more = |limit: u64| if before == Verdict::Ok { limit } else { limit / 2 * 3 };
    let told = |severity, fault, title: String| {
        let detail = format!(
            "{} of {} free; the store and what jobs print lie there",
            size(free),
            size(total)
        );
        let mend = format!("df -h {place}; then make room, or lower `retention` in jada.yaml");
        Finding::wrong(Check::Disk, severity, fault, [title, detail, mend])
    };
    if read_only {
        let title = format!("the file system of {place} is read-only: nothing is kept");
        return told(Severity::Error, Fault::DiskBroken, title);
    }
    if free < more(FREE_FAIL).min(total / 4) {
        let title = format!("the disk of {place} is full: {} free", size(free));
        return told(Severity::Error, Fault::DiskFull, title);
    }
    if inodes.is_some_and(|left| left < more(1000)) {
        let title = format!("the file system of {place} has next to no inodes left");
        return told(Severity::Error, Fault::Inodes, title);
    }
    if free < more(FREE_WARN).min(more(total / 20)) {
        let title = format!("the disk of {place} is nearly full: {} free", size(free));
        return told(Severity::Warning, Fault::DiskFull, title);
    }
    Finding::well(Check::Disk)
}

/// When to look at the disk again: not before a fast writer could have filled a good part of it.
pub(super) fn next_disk(room: Room) -> Duration {
    const PER_SECOND: u64 = 20 * MIB;
    Duration::from_secs(room.free / PER_SECOND / 2)
        .clamp(Duration::from_secs(30), Duration::from_mins(15))
}

/// A leap of the wall clock: where it came from and where it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Leap {
    /// How far, in milliseconds; below 0 it went back.
    pub(super) by: i64,
    /// Where it went.
    pub(super) to: Timestamp,
}

/// The leap between two readings of the wall clock and of what has passed, suspend included.
pub(super) fn leap(before: (Timestamp, Duration), now: (Timestamp, Duration)) -> Option<Leap> {
    let passed = i64::try_from(now.1.saturating_sub(before.1).as_millis()).unwrap_or(i64::MAX);
    let by =
        now.0.as_millisecond().saturating_sub(before.0.as_millisecond()).saturating_sub(passed);
    (by.unsigned_abs() >= u64::try_from(LEAP_MIN.as_millis()).unwrap_or(u64::MAX))
        .then_some(Leap { by, to: now.0 })
}

/// The wall clock, after a leap that is not long ago.
pub(super) fn clock(leap: Option<Leap>) -> Finding {
    let Some(Leap { by, to }) = leap else { return Finding::well(Check::Clock) };
    let (span, which) =
        (words(Duration::from_millis(by.unsigned_abs())), if by < 0 { "back" } else { "forward" });
    let title = format!("the clock was set {which} by {span}");
    let detail = format!(
        "to {to}; slots in between are accounted for as `catch_up` says, and none runs twice"
    );
    Finding::wrong(
        Check::Clock,
        Severity::Warning,
        Fault::ClockSkew,
        [title, detail, "timedatectl status".into()],
    )
}

/// A check that nobody has looked at for three of its slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Late {
    pub(super) job: JobName,
    pub(super) check: String,
    /// The newest look, or since when one is waited for.
    pub(super) since: Timestamp,
}

/// The checks that are not looked at.
pub(super) fn looks(late: &[Late]) -> Finding {
    let Some(first) = late.first() else { return Finding::well(Check::Looks) };
    let name = |late: &Late| format!("{}/{}", late.job, late.check);
    let title = match late.len() {
        1 => format!("the check {} is not looked at", name(first)),
        n => format!("{n} checks are not looked at, {} among them", name(first)),
    };
    let list = late.iter().take(10).map(|late| format!("{} since {}", name(late), late.since));
    let more = if late.len() > 10 { format!("; {} more", late.len() - 10) } else { String::new() };
    let detail = format!("three slots went by: {}{more}", list.collect::<Vec<_>>().join("; "));
    let mend = format!("jadactl explain {}", first.job);
    let mut finding =
        Finding::wrong(Check::Looks, Severity::Error, Fault::Absent, [title, detail, mend]);
    if let Some(wrong) = &mut finding.wrong {
        wrong.affected = late.iter().map(|late| late.job.clone()).collect();
        wrong.affected.dedup();
    }
    finding
}

/// Heartbeats that did not get out in a row, and why the last one did not.
pub(super) fn heartbeat(failed: u32, fault: Fault, why: &str) -> Finding {
    if failed < BEATS_MAX {
        return Finding::well(Check::Heartbeat);
    }
    let title = format!("the heartbeat does not get out: {why}");
    let detail = format!("{failed} in a row; whoever listens will take this daemon for dead");
    let mend = "look at `heartbeat` in jada.yaml and at the network".into();
    Finding::wrong(Check::Heartbeat, Severity::Warning, fault, [title, detail, mend])
}

/// What a store that works again says of the time when it did not.
pub(super) fn store(since: Timestamp, until: Timestamp, why: &str, fault: Fault) -> Finding {
    let span = words(until.duration_since(since).unsigned_abs());
    let title = format!("the store could not be written for {span}: {why}");
    let detail = format!("from {since} to {until}; nothing started meanwhile");
    Finding::wrong(
        Check::Store,
        Severity::Error,
        fault,
        [title, detail, "jadactl slots --state missed".into()],
    )
}

fn size(bytes: u64) -> String {
    const GIB: u64 = 1024 * MIB;
    if bytes >= 10 * GIB { format!("{} GiB", bytes / GIB) } else { format!("{} MiB", bytes / MIB) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1024 * MIB;

    fn room(free: u64, total: u64) -> Room {
        Room { free, total, inodes: Some(1_000_000), read_only: false }
    }

    #[test]
    fn room_runs_short_by_steps_and_comes_back_with_a_margin() {
        let (ok, warn, fail) = (Verdict::Ok, Verdict::Warn, Verdict::Fail);
        let cases = [
            ("much", room(20 * GIB, 40 * GIB), ok, ok),
            ("little, but a large share", room(500 * MIB, 2 * GIB), ok, ok),
            ("a small share, but much", room(2 * GIB, 100 * GIB), ok, ok),
            ("little and a small share", room(900 * MIB, 100 * GIB), ok, warn),
            ("a bit more is not well again", room(1100 * MIB, 100 * GIB), warn, warn),
            ("half as much again is", room(1600 * MIB, 100 * GIB), warn, ok),
            ("next to nothing", room(63 * MIB, 100 * GIB), ok, fail),
            ("a small disk that is half full", room(10 * MIB, 20 * MIB), ok, ok),
            ("a small disk that is full", room(4 * MIB, 20 * MIB), ok, fail),
            ("no inodes", Room { inodes: Some(10), ..room(20 * GIB, 40 * GIB) }, ok, fail),
            ("nobody counts inodes", Room { inodes: None, ..room(20 * GIB, 40 * GIB) }, ok, ok),
            ("read-only", Room { read_only: true, ..room(20 * GIB, 40 * GIB) }, ok, fail),
        ];
        for (name, room, before, want) in cases {
            assert_eq!(disk(room, "/srv/var", before).verdict(), want, "{name}");
        }
    }

    #[test]
    fn a_full_disk_is_looked_at_more_often() {
        let next = |free| next_disk(room(free, 100 * GIB)).as_secs();
        assert_eq!([next(0), next(4 * GIB), next(90 * GIB)], [30, 102, 900]);
    }

    #[test]
    fn a_leap_is_what_the_wall_clock_moved_beyond_what_passed() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let before = (at("2026-03-29T00:59:00Z"), Duration::from_secs(100));
        let by = |wall: &str, passed| {
            leap(before, (at(wall), Duration::from_secs(passed))).map(|leap| leap.by)
        };
        assert_eq!(by("2026-03-29T01:59:00Z", 3700), None, "an hour passed, or was slept through");
        assert_eq!(by("2026-03-29T01:00:59Z", 160), None, "slewing is no leap");
        assert_eq!(by("2026-03-29T02:59:00Z", 3700), Some(3_600_000));
        assert_eq!(by("2026-03-28T23:59:00Z", 100), Some(-3_600_000));
        let told = clock(leap(before, (at("2026-03-28T23:59:00Z"), Duration::from_secs(100))));
        assert_eq!(told.wrong.unwrap().title, "the clock was set back by 1h");
    }

    #[test]
    fn what_is_said() {
        let job = |name| JobName::parse(name).unwrap();
        let since = "2026-11-25T09:00:00Z".parse().unwrap();
        let late = |job: JobName, check: &str| Late { job, check: check.into(), since };
        let found =
            looks(&[late(job("box"), "disk"), late(job("box"), "site"), late(job("edge"), "dns")]);
        assert_eq!(found.key().as_deref(), Some("daemon/looks#absent"));
        let wrong = found.wrong.unwrap();
        insta::assert_snapshot!(format!("{}\n{}\n{}", wrong.title, wrong.detail, wrong.mend), @r"
        3 checks are not looked at, box/disk among them
        three slots went by: box/disk since 2026-11-25T09:00:00Z; box/site since 2026-11-25T09:00:00Z; edge/dns since 2026-11-25T09:00:00Z
        jadactl explain box
        ");
        assert_eq!(wrong.affected, [job("box"), job("edge")]);
        assert_eq!(lag(Some(Duration::from_secs(29))).verdict(), Verdict::Ok);
        assert_eq!(lag(Some(Duration::from_secs(30))).verdict(), Verdict::Fail);
        assert_eq!(heartbeat(2, Fault::NetTimeout, "no answer").verdict(), Verdict::Ok);
        assert_eq!(heartbeat(3, Fault::NetTimeout, "no answer").verdict(), Verdict::Warn);
    }
}
