//! Maintenance windows: when nobody is told of what begins.
//!
//! Owns the civil arithmetic: a window's beginning and end are times on the wall of its zone, found anew for
//! each day, so that it is where people expect it on the days on which the clocks change. Refuses to know
//! what a window holds back (`decide`).

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::TimeZone;

use super::pattern;
use crate::plan::schedule::Schedule;

/// A window that comes again, or once.
#[derive(Clone, Debug)]
pub struct Window {
    /// Its name, for people.
    pub name: String,
    /// Which nodes; empty is all of them.
    pub nodes: Vec<String>,
    /// When it begins.
    pub begins: Begins,
    /// How it ends.
    pub ends: Ends,
    /// Where its times are read.
    pub zone: TimeZone,
}

/// When a window begins.
#[derive(Clone, Debug)]
pub enum Begins {
    /// On these days of the week, at this time; no day is each day.
    Weekly {
        /// The days.
        days: Vec<Weekday>,
        /// The time.
        at: Time,
    },
    /// Once.
    Once(DateTime),
    /// As a cron expression says.
    Cron(Schedule),
}

/// How a window ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// After so long, in real time.
    After(Duration),
    /// At the next such time on the wall.
    At(Time),
    /// At this time on the wall.
    On(DateTime),
}

impl PartialEq for Window {
    fn eq(&self, other: &Self) -> bool {
        let begins = match (&self.begins, &other.begins) {
            (Begins::Weekly { days, at }, Begins::Weekly { days: others, at: another }) => {
                days == others && at == another
            }
            (Begins::Once(at), Begins::Once(another)) => at == another,
            // What matters of two expressions is when they are due.
            (Begins::Cron(one), Begins::Cron(another)) => {
                let first = |cron: &Schedule| cron.next_after(Timestamp::UNIX_EPOCH);
                first(one) == first(another)
            }
            _ => false,
        };
        begins
            && (&self.name, &self.nodes, self.ends, &self.zone)
                == (&other.name, &other.nodes, other.ends, &other.zone)
    }
}

impl Window {
    /// Whether it speaks of a node of this name.
    #[must_use]
    pub fn names(&self, node: &str) -> bool {
        self.nodes.is_empty() || self.nodes.iter().any(|one| pattern::matches(one, node))
    }

    /// Until when it is open, where it is at `at`. Half open: at its end it is over.
    #[must_use]
    pub fn open_until(&self, at: Timestamp) -> Option<Timestamp> {
        let starts = match &self.begins {
            Begins::Once(start) => vec![self.instant(*start)],
            Begins::Cron(cron) => self.cron_starts(cron, at),
            Begins::Weekly { days, at: time } => self.weekly_starts(days, *time, at),
        };
        let open = starts.into_iter().filter(|start| *start <= at);
        open.filter_map(|start| self.end(start)).filter(|end| at < *end).max()
    }

    /// Every beginning that may still last at `at`.
    fn weekly_starts(&self, days: &[Weekday], time: Time, at: Timestamp) -> Vec<Timestamp> {
        let today = at.to_zoned_datetime(self.zone.clone()).date();
        let back = match self.ends {
            Ends::After(length) => i64::try_from(length.as_secs() / 86_400).unwrap_or(366) + 2,
            Ends::At(_) | Ends::On(_) => 2,
        };
        let day = |back: i64| today.checked_sub(jiff::Span::new().days(back)).ok();
        let named = |date: &Date| days.is_empty() || days.contains(&date.weekday());
        let dates = (0..=back.min(366)).filter_map(day).filter(named);
        dates.map(|date| self.instant(date.to_datetime(time))).collect()
    }

    fn cron_starts(&self, cron: &Schedule, at: Timestamp) -> Vec<Timestamp> {
        let length = match self.ends {
            Ends::After(length) => length,
            Ends::At(_) | Ends::On(_) => Duration::from_hours(48),
        };
        let from = at - length.min(Duration::from_hours(24 * 366)) - Duration::from_secs(1);
        // The newest beginning ends last.
        cron.last_between(from, at).map(|due| due.slot).into_iter().collect()
    }

    fn end(&self, start: Timestamp) -> Option<Timestamp> {
        match self.ends {
            Ends::After(length) => Some(start + length),
            Ends::On(end) => Some(self.instant(end)),
            Ends::At(time) => {
                let date = start.to_zoned_datetime(self.zone.clone()).date();
                let tomorrow = date.tomorrow().ok()?;
                let ends = [date, tomorrow].map(|date| self.instant(date.to_datetime(time)));
                ends.into_iter().find(|end| *end > start)
            }
        }
    }

    /// A time on the wall. One that a change of the clocks leaves out is the first instant after it, as with
    /// schedules; of one that comes twice, the first.
    fn instant(&self, wall: DateTime) -> Timestamp {
        let ambiguous = self.zone.to_ambiguous_timestamp(wall);
        match ambiguous.offset() {
            jiff::tz::AmbiguousOffset::Gap { before, .. } => {
                // The last instant that the clock showed before the change is just before this one.
                let inside = before.to_timestamp(wall).unwrap_or(Timestamp::MAX);
                let change = self.zone.preceding(inside + Duration::from_secs(1)).next();
                change.map_or(inside, |change| change.timestamp())
            }
            _ => ambiguous.compatible().unwrap_or(Timestamp::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::schedule::{TriggerSpec, When};

    fn at(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    fn berlin() -> TimeZone {
        TimeZone::get("Europe/Berlin").expect("a zone")
    }

    fn nightly(from: &str, ends: Ends) -> Window {
        Window {
            name: "nightly".to_owned(),
            nodes: Vec::new(),
            begins: Begins::Weekly { days: Vec::new(), at: from.parse().expect("a time") },
            ends,
            zone: berlin(),
        }
    }

    fn until(time: &str) -> Ends {
        Ends::At(time.parse().expect("a time"))
    }

    /// Each case: when it is looked, and until when the window is open then.
    fn check(window: &Window, cases: &[(&str, Option<&str>)]) {
        for (now, want) in cases {
            assert_eq!(window.open_until(at(now)), want.map(at), "at {now}");
        }
    }

    #[test]
    fn kuma_6233_a_window_stays_on_the_wall_in_summer_and_in_winter() {
        let window = nightly("02:00", until("04:00"));
        check(
            &window,
            &[
                ("2026-01-15T00:59:59Z", None),
                ("2026-01-15T01:00:00Z", Some("2026-01-15T03:00:00Z")),
                ("2026-01-15T02:59:59Z", Some("2026-01-15T03:00:00Z")),
                ("2026-01-15T03:00:00Z", None),
                ("2026-07-15T00:00:00Z", Some("2026-07-15T02:00:00Z")),
                ("2026-07-15T02:00:00Z", None),
            ],
        );
    }

    #[test]
    fn the_days_on_which_the_clocks_change() {
        // 29 March 2026: 02:00 to 03:00 is left out. 25 October 2026: it comes twice.
        check(
            &nightly("01:30", until("03:30")),
            &[
                ("2026-03-29T00:29:59Z", None),
                ("2026-03-29T00:30:00Z", Some("2026-03-29T01:30:00Z")),
                ("2026-03-29T01:30:00Z", None),
                ("2026-10-24T23:30:00Z", Some("2026-10-25T02:30:00Z")),
                ("2026-10-25T02:29:59Z", Some("2026-10-25T02:30:00Z")),
                ("2026-10-25T02:30:00Z", None),
            ],
        );
        // It begins in the gap: at the first instant after it.
        check(
            &nightly("02:30", until("04:00")),
            &[
                ("2026-03-29T00:59:59Z", None),
                ("2026-03-29T01:00:00Z", Some("2026-03-29T02:00:00Z")),
            ],
        );
        // A length is real time, whatever the clocks do.
        check(
            &nightly("01:30", Ends::After(Duration::from_hours(2))),
            &[
                ("2026-03-29T00:30:00Z", Some("2026-03-29T02:30:00Z")),
                ("2026-10-24T23:30:00Z", Some("2026-10-25T01:30:00Z")),
            ],
        );
    }

    #[test]
    fn over_midnight_on_some_days_and_for_days() {
        let weekend = Window {
            begins: Begins::Weekly {
                days: vec![Weekday::Saturday],
                at: "23:00".parse().expect("a time"),
            },
            ..nightly("23:00", until("01:00"))
        };
        // 28 November 2026 is a Saturday.
        check(
            &weekend,
            &[
                ("2026-11-28T21:59:00Z", None),
                ("2026-11-28T22:00:00Z", Some("2026-11-29T00:00:00Z")),
                ("2026-11-28T23:59:59Z", Some("2026-11-29T00:00:00Z")),
                ("2026-11-29T22:30:00Z", None),
            ],
        );
        let long = Window { ends: Ends::After(Duration::from_hours(50)), ..weekend.clone() };
        check(&long, &[("2026-11-30T23:59:00Z", Some("2026-12-01T00:00:00Z"))]);
        let once = Window {
            begins: Begins::Once("2026-12-01T22:00".parse().expect("a time")),
            ends: Ends::On("2026-12-02T02:00".parse().expect("a time")),
            ..weekend
        };
        check(
            &once,
            &[
                ("2026-12-01T20:59:59Z", None),
                ("2026-12-01T21:00:00Z", Some("2026-12-02T01:00:00Z")),
                ("2026-12-02T01:00:00Z", None),
            ],
        );
    }

    #[test]
    fn by_a_cron_expression() {
        let spec = TriggerSpec {
            timezone: berlin(),
            ..TriggerSpec::new(When::Cron("0 3 * * mon".to_owned()))
        };
        let window = Window {
            begins: Begins::Cron(Schedule::compile(&[spec], "w").expect("a schedule")),
            ends: Ends::After(Duration::from_hours(2)),
            ..nightly("03:00", until("04:00"))
        };
        check(
            &window,
            &[
                ("2026-11-30T01:59:59Z", None),
                ("2026-11-30T02:00:00Z", Some("2026-11-30T04:00:00Z")),
                ("2026-11-30T04:00:00Z", None),
            ],
        );
    }

    #[test]
    fn it_speaks_of_the_nodes_that_it_names() {
        let mut window = nightly("02:00", until("04:00"));
        assert!(window.names("host/disk"), "no name is all of them");
        window.nodes = vec!["site/*.example.com".to_owned(), "job/backup".to_owned()];
        assert!(window.names("site/a.example.com") && window.names("job/backup"));
        assert!(!window.names("job/backup-2") && !window.names("host/disk"));
    }
}
