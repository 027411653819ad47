//! Which checks nobody looks at any more.
//!
//! Owns the arithmetic, by the schedule in force and the stored looks. Refuses to read either.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::checks::Late;
use crate::model::{JobName, Subject};
use crate::plan::schedule::Schedule;

/// Slots that may go by without a look.
const SLOTS: usize = 3;

/// A look that is late must still be so after this time: in suspend and while the clock is set, slots go by
/// before anybody can look.
pub(super) const CONFIRM: Duration = Duration::from_secs(60);

/// A health job that is in force.
#[derive(Clone, Debug)]
pub(super) struct Watched {
    pub(super) job: JobName,
    pub(super) schedule: Arc<Schedule>,
    pub(super) checks: Vec<String>,
    /// Since when looks are expected: from a start, a resume, an edit.
    pub(super) since: Timestamp,
    /// The longest that one run may take.
    pub(super) slack: Duration,
}

/// Looks that are late, and when the next one would be.
#[derive(Clone, Debug, Default)]
pub(super) struct Overdue {
    pub(super) late: Vec<Late>,
    pub(super) next: Option<Timestamp>,
}

/// Compares the newest look of each check with the slots since then.
pub(super) fn overdue(
    jobs: &[Watched],
    looks: &BTreeMap<Subject, Timestamp>,
    now: Timestamp,
) -> Overdue {
    let mut found = Overdue::default();
    for job in jobs {
        for check in &job.checks {
            let look = looks.get(&Subject::check(&job.job, check)).copied();
            let since = look.map_or(job.since, |look| look.max(job.since));
            let Some(slot) = job.schedule.slots_after(since).nth(SLOTS - 1) else { continue };
            let limit = slot.fire_at + job.slack;
            let next = if limit < now {
                found.late.push(Late { job: job.job.clone(), check: check.clone(), since });
                // It may be over with any slot from here on.
                job.schedule.next_after(now).map_or(now + CONFIRM, |slot| slot.fire_at + job.slack)
            } else {
                limit + Duration::from_millis(1)
            };
            found.next = Some(found.next.map_or(next, |earlier| earlier.min(next)));
        }
    }
    found
}

/// Lets a late look be told only when it is still late after a while.
#[derive(Clone, Debug, Default)]
pub(super) struct Suspects(BTreeMap<Subject, Duration>);

impl Suspects {
    /// Those that are late for long enough; and whether more may become so.
    pub(super) fn confirmed(&mut self, late: Vec<Late>, passed: Duration) -> (Vec<Late>, bool) {
        let subject = |late: &Late| Subject::check(&late.job, &late.check);
        let names: BTreeSet<Subject> = late.iter().map(subject).collect();
        self.0.retain(|name, _| names.contains(name));
        for name in names {
            self.0.entry(name).or_insert(passed);
        }
        let all = late.len();
        let old = |since: Duration| passed.saturating_sub(since) >= CONFIRM;
        let sure: Vec<Late> = late
            .into_iter()
            .filter(|late| self.0.get(&subject(late)).is_some_and(|at| old(*at)))
            .collect();
        let more = sure.len() < all;
        (sure, more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::schedule::{TriggerSpec, When};

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn job(cron: &str, since: &str) -> Watched {
        let when = When::Cron(cron.to_owned());
        let zone = jiff::tz::TimeZone::get("Europe/Berlin").unwrap();
        let trigger = TriggerSpec { timezone: zone, ..TriggerSpec::new(when) };
        let schedule = Schedule::compile(&[trigger], "box").unwrap();
        Watched {
            job: JobName::parse("box").unwrap(),
            schedule: Arc::new(schedule),
            checks: vec!["disk".into()],
            since: at(since),
            slack: Duration::from_secs(60),
        }
    }

    /// Whether the one check is late, with its last look.
    fn is_late(job: &Watched, look: Option<&str>, now: &str) -> bool {
        let name = Subject::check(&job.job, "disk");
        let looks = look.map(|look| (name, at(look))).into_iter().collect();
        !overdue(std::slice::from_ref(job), &looks, at(now)).late.is_empty()
    }

    #[test]
    fn three_slots_of_the_schedule_in_force_decide() {
        let minutely = job("* * * * *", "2026-11-25T08:00:00Z");
        // Slots at 9:01, 9:02 and 9:03, and a minute to run.
        let look = Some("2026-11-25T09:00:05Z");
        assert!(!is_late(&minutely, look, "2026-11-25T09:04:00Z"));
        assert!(is_late(&minutely, look, "2026-11-25T09:04:01Z"));
        // Nobody has looked yet: counted from the start.
        assert!(!is_late(&minutely, None, "2026-11-25T08:04:00Z"));
        assert!(is_late(&minutely, None, "2026-11-25T08:04:01Z"));
        // A look from before the start does not count against it.
        let started = job("* * * * *", "2026-11-25T12:00:00Z");
        assert!(!is_late(&started, look, "2026-11-25T12:03:59Z"));
        // A weekend is no absence of a check of working days, and neither is a night with a clock change.
        let office = job("0 8-17 * * mon-fri", "2026-11-01T00:00:00Z");
        let friday = Some("2026-11-27T16:00:10Z");
        assert!(!is_late(&office, friday, "2026-11-30T08:00:00Z"));
        assert!(is_late(&office, friday, "2026-11-30T09:02:00Z"));
        let hourly = job("30 * * * *", "2026-03-01T00:00:00Z");
        assert!(!is_late(&hourly, Some("2026-03-29T00:30:10Z"), "2026-03-29T03:31:00Z"));
        assert!(is_late(&hourly, Some("2026-03-29T00:30:10Z"), "2026-03-29T03:31:01Z"));
    }

    #[test]
    fn the_next_look_is_a_deadline() {
        let minutely = job("* * * * *", "2026-11-25T08:00:00Z");
        let looks = [(Subject::check(&minutely.job, "disk"), at("2026-11-25T09:00:05Z"))].into();
        let next =
            |now: &str| overdue(std::slice::from_ref(&minutely), &looks, at(now)).next.unwrap();
        assert_eq!(next("2026-11-25T09:00:06Z"), at("2026-11-25T09:04:00.001Z"));
        assert_eq!(next("2026-11-25T09:10:30Z"), at("2026-11-25T09:12:00Z"));
    }

    #[test]
    fn a_leap_in_time_is_no_absence() {
        let minutely = job("* * * * *", "2026-11-25T08:00:00Z");
        let late = || {
            let looks = BTreeMap::new();
            overdue(std::slice::from_ref(&minutely), &looks, at("2026-11-25T20:00:00Z")).late
        };
        let mut suspects = Suspects::default();
        let (sure, more) = suspects.confirmed(late(), Duration::from_secs(10));
        assert!(sure.is_empty() && more);
        // It was looked at meanwhile, then not for long enough.
        assert!(!suspects.confirmed(Vec::new(), Duration::from_secs(40)).1);
        assert!(suspects.confirmed(late(), Duration::from_secs(71)).0.is_empty());
        assert_eq!(suspects.confirmed(late(), Duration::from_secs(131)).0.len(), 1);
    }
}
