//! When a job's last success is too old.
//!
//! Owns the arithmetic: an age, slots that came and went, a time of the day by which there must have been one.
//! It counts from the stored last success (or, before the first one, from when the job was first known) and
//! from the schedule in force, never from a timer: a start, a suspended host and a step of the clock change
//! nothing. Refuses to know whether anybody is told.

use std::time::Duration;

use jiff::Timestamp;

use super::catch_up::words;
use super::schedule::{Schedule, TriggerSpec, When};
use crate::model::{Deadline, Freshness, Severity};

/// What staleness is judged by, besides the promise.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The newest success, or when the job was first known.
    pub since: Timestamp,
    /// The slots in force.
    pub schedule: Option<&'a Schedule>,
    /// The times by which there must have been a success (see [`compile`]).
    pub deadline: Option<&'a Schedule>,
}

/// That a last success is too old.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stale {
    /// How bad that is.
    pub severity: Severity,
    /// Since when it is too old.
    pub at: Timestamp,
    /// By which promise.
    pub why: Why,
}

/// The promise that was not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// No success for longer than this.
    Age(Duration),
    /// So many slots came and went without one.
    Missed(u32),
    /// None since the deadline before this one.
    Deadline(Timestamp),
}

/// The times of a deadline, as a schedule.
#[must_use]
pub fn compile(deadline: &Deadline) -> Option<Schedule> {
    let days: Vec<String> = (0..7_u8)
        .filter(|day| deadline.weekdays & (1 << day) != 0)
        .map(|day| day.to_string())
        .collect();
    let cron = format!("{} {} * * {}", deadline.minute, deadline.hour, days.join(","));
    let spec =
        TriggerSpec { timezone: deadline.timezone.clone(), ..TriggerSpec::new(When::Cron(cron)) };
    Schedule::compile(&[spec], "").ok()
}

/// The first time at which a success of `facts.since` is too old to a degree that was not told yet.
#[must_use]
pub fn next(freshness: &Freshness, facts: Facts<'_>, told: Option<Severity>) -> Option<Timestamp> {
    let limits = limits(freshness, facts).into_iter();
    limits.filter(|stale| told.is_none_or(|told| stale.severity > told)).map(|stale| stale.at).min()
}

/// How stale it is at a time: the worst of what was promised, and of several the first.
#[must_use]
pub fn look(freshness: &Freshness, facts: Facts<'_>, now: Timestamp) -> Option<Stale> {
    let over = limits(freshness, facts).into_iter().filter(|stale| stale.at <= now);
    over.min_by_key(|stale| (std::cmp::Reverse(stale.severity), stale.at))
}

/// The line that an incident shows.
#[must_use]
pub fn told(stale: &Stale, since: Timestamp, now: Timestamp) -> String {
    let age = words(now.duration_since(since).unsigned_abs());
    match stale.why {
        Why::Age(allowed) => format!("no success for {age} (allowed: {})", words(allowed)),
        Why::Missed(1) => format!("no success for {age}: a slot came and went without one"),
        Why::Missed(slots) => {
            format!("no success for {age}: {slots} slots came and went without one")
        }
        Why::Deadline(by) => {
            format!("no success by {}; the last one is {age} old", by.strftime("%Y-%m-%d %H:%MZ"))
        }
    }
}

/// The promise that was not kept, as it is written.
#[must_use]
pub fn promise(stale: &Stale) -> String {
    match stale.why {
        Why::Age(allowed) => words(allowed),
        Why::Missed(slots) => format!("missed: {slots}"),
        Why::Deadline(by) => format!("by {}", by.strftime("%Y-%m-%d %H:%MZ")),
    }
}

/// When each promise is broken if no success comes.
fn limits(freshness: &Freshness, facts: Facts<'_>) -> Vec<Stale> {
    let aged = |severity, allowed: Option<Duration>| {
        let allowed = allowed?;
        let at = facts.since.checked_add(allowed).ok()?;
        Some(Stale { severity, at, why: Why::Age(allowed) })
    };
    let missed = freshness.missed.and_then(|slots| {
        // A slot has come and gone without a success when the next one is due.
        let at = facts.schedule?.slots_after(facts.since).nth(slots as usize)?.slot;
        Some(Stale { severity: Severity::Error, at, why: Why::Missed(slots) })
    });
    let late = facts.deadline.and_then(|deadline| {
        // A success is good for the deadline at or after it; the one after that needs another.
        let just_before = facts.since.checked_sub(Duration::from_millis(1)).ok()?;
        let kept = deadline.next_after(just_before)?.slot;
        let at = deadline.next_after(kept)?.slot;
        Some(Stale { severity: Severity::Error, at, why: Why::Deadline(at) })
    });
    let warn = aged(Severity::Warning, freshness.warn);
    [aged(Severity::Error, freshness.breach), warn, missed, late].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use jiff::tz::TimeZone;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    fn berlin_weekdays_at_nine() -> Deadline {
        let timezone = TimeZone::get("Europe/Berlin").expect("a zone");
        Deadline { hour: 9, minute: 0, weekdays: 0b011_1110, timezone }
    }

    fn stale(freshness: &Freshness, since: &str, now: &str) -> Option<(Severity, Why)> {
        let hourly = TriggerSpec::new(When::Cron("0 * * * *".into()));
        let schedule = Schedule::compile(&[hourly], "j").expect("legal");
        let deadline = freshness.by.as_ref().and_then(compile);
        let facts =
            Facts { since: at(since), schedule: Some(&schedule), deadline: deadline.as_ref() };
        let found = look(freshness, facts, at(now)).map(|stale| (stale.severity, stale.why));
        let next = next(freshness, facts, None);
        assert_eq!(found.is_some(), next.is_some_and(|next| next <= at(now)), "the wake agrees");
        found
    }

    #[test]
    fn each_promise_is_broken_at_its_time() {
        let (one, two) = (Duration::from_hours(1), Duration::from_hours(2));
        let age = Freshness { breach: Some(two), warn: Some(one), ..Freshness::default() };
        let missed = Freshness { missed: Some(2), ..Freshness::default() };
        let (error, warning) = (Severity::Error, Severity::Warning);
        let cases = [
            (&age, "2026-05-13T10:59:59Z", None),
            (&age, "2026-05-13T11:00:00Z", Some((warning, Why::Age(one)))),
            (&age, "2026-05-13T12:00:00Z", Some((error, Why::Age(two)))),
            // Success at 10:00, in time for that slot: 11:00 and 12:00 are over when 13:00 is due.
            (&missed, "2026-05-13T12:59:59Z", None),
            (&missed, "2026-05-13T13:00:00Z", Some((error, Why::Missed(2)))),
        ];
        for (freshness, now, want) in cases {
            assert_eq!(stale(freshness, "2026-05-13T10:00:00Z", now), want, "{now}");
        }
    }

    #[test]
    fn a_deadline_wants_a_success_since_the_one_before() {
        let by = Some(berlin_weekdays_at_nine());
        let freshness = Freshness { by, ..Freshness::default() };
        let broken = |since, now| stale(&freshness, since, now).is_some();
        // Friday 08:50 is good for Friday 09:00 (07:00 UTC); by Monday 09:00 there must be another.
        assert!(!broken("2026-05-15T06:50:00Z", "2026-05-18T06:59:59Z"));
        assert!(broken("2026-05-15T06:50:00Z", "2026-05-18T07:00:00Z"));
        // One on Saturday, or exactly at the deadline, is good for it.
        assert!(!broken("2026-05-16T12:00:00Z", "2026-05-18T07:00:00Z"));
        assert!(!broken("2026-05-18T07:00:00Z", "2026-05-19T06:59:59Z"));
        assert!(broken("2026-05-18T07:00:00Z", "2026-05-19T07:00:00Z"));
    }

    /// Uptime Kuma #6233: windows were an hour off in summer. On both change days, nine is nine on the wall.
    #[test]
    fn a_deadline_keeps_to_the_wall_on_both_change_days() {
        let daily = Deadline { weekdays: 0b111_1111, ..berlin_weekdays_at_nine() };
        let zone = daily.timezone.clone();
        let freshness = Freshness { by: Some(daily), ..Freshness::default() };
        for day in [date(2026, 3, 29), date(2026, 10, 25)] {
            let wall = |days: i64, hour| {
                let day = day.checked_add(jiff::Span::new().days(days)).expect("in range");
                zone.to_timestamp(day.at(hour, 0, 0, 0)).expect("in range")
            };
            let yesterday = wall(-1, 8).to_string();
            let nine = wall(0, 9);
            let before = nine - Duration::from_secs(1);
            assert_eq!(stale(&freshness, &yesterday, &before.to_string()), None, "{day}");
            let want = Some((Severity::Error, Why::Deadline(nine)));
            assert_eq!(stale(&freshness, &yesterday, &nine.to_string()), want, "{day}");
        }
    }

    #[test]
    fn it_is_told_in_words() {
        let of = |why| Stale { severity: Severity::Error, at: at("2026-05-13T12:00:00Z"), why };
        let told = |why| told(&of(why), at("2026-05-13T10:00:00Z"), at("2026-05-13T13:00:00Z"));
        insta::assert_snapshot!(
            [
                told(Why::Age(Duration::from_hours(2))),
                told(Why::Missed(2)),
                told(Why::Deadline(at("2026-05-13T12:00:00Z"))),
            ]
            .join("\n"),
            @r"
        no success for 3h (allowed: 2h)
        no success for 3h: 2 slots came and went without one
        no success by 2026-05-13 12:00Z; the last one is 3h old
        "
        );
    }
}
