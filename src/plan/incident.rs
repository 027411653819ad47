//! When a job's failures are an incident, and when it is over.
//!
//! Owns the alert rule's arithmetic. Refuses to know who is told, and how.

use jiff::Timestamp;

use crate::model::{AlertRule, FailureClass, Outcome};

/// What the newest end of a run means for the job's incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// The rule is met: the incident is open from now on, or goes on.
    Open {
        /// Failures that met it.
        failures: u32,
    },
    /// The job works again: an open incident is over.
    Resolve,
    /// Neither.
    Quiet,
}

/// Judges the ends of a job's runs, newest first; the newest is what just happened.
///
/// Retries within a run are not failures: one run counts once. A reached budget (`exhausted`) and a
/// cancelled run say nothing about the job's health and count neither way.
#[must_use]
pub fn judge(rule: &AlertRule, ends: &[(Timestamp, Outcome)], now: Timestamp) -> Judgement {
    let Some((_, newest)) = ends.first() else {
        return Judgement::Quiet;
    };
    match says(newest) {
        Says::Works => return Judgement::Resolve,
        Says::Nothing => return Judgement::Quiet,
        Says::Fails => {}
    }
    let failures = match rule.within {
        Some(window) => {
            let in_window = |at: Timestamp| now.duration_since(at).unsigned_abs() < window;
            let fails = |(at, outcome): &&(Timestamp, Outcome)| {
                says(outcome) == Says::Fails && in_window(*at)
            };
            ends.iter().filter(fails).count()
        }
        None => ends
            .iter()
            .map(|(_, outcome)| says(outcome))
            .filter(|says| *says != Says::Nothing)
            .take_while(|says| *says == Says::Fails)
            .count(),
    };
    let failures = u32::try_from(failures).unwrap_or(u32::MAX);
    // What is held waits for a person: no further run can mend it, so none is waited for.
    let at_once = newest.held().is_some();
    if at_once || failures >= rule.failures {
        Judgement::Open { failures }
    } else {
        Judgement::Quiet
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Says {
    Works,
    Fails,
    Nothing,
}

fn says(outcome: &Outcome) -> Says {
    match outcome.class() {
        None => Says::Works,
        Some(FailureClass::Exhausted | FailureClass::Cancelled) => Says::Nothing,
        Some(
            FailureClass::Transient
            | FailureClass::Throttled
            | FailureClass::Unauthorized
            | FailureClass::Permanent
            | FailureClass::TimedOut
            | FailureClass::Lost,
        ) => Says::Fails,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::Failure;

    /// Ends as letters, newest first, ten minutes apart: `+` success, `-` failure, `b` budget, `c`
    /// cancelled.
    fn ends(letters: &str) -> Vec<(Timestamp, Outcome)> {
        let mut at = now();
        let mut ends = Vec::new();
        for letter in letters.chars() {
            let failed = |class| Outcome::Failed(Failure::new(class, "x"));
            let outcome = match letter {
                '+' => Outcome::Succeeded { note: String::new() },
                'b' => failed(FailureClass::Exhausted),
                'c' => failed(FailureClass::Cancelled),
                'h' => Outcome::Failed(Failure {
                    held: Some("5 rows would go".into()),
                    ..Failure::new(FailureClass::Permanent, "held: max_delete")
                }),
                _ => failed(FailureClass::Transient),
            };
            ends.push((at, outcome));
            at -= Duration::from_mins(10);
        }
        ends
    }

    fn now() -> Timestamp {
        Timestamp::from_second(1_800_000_000).expect("in range")
    }

    #[test]
    fn rules() {
        let hour = Some(Duration::from_hours(1));
        let cases: &[(u32, Option<Duration>, &str, Judgement)] = &[
            (1, None, "", Judgement::Quiet),
            (1, None, "-", Judgement::Open { failures: 1 }),
            (1, None, "+-", Judgement::Resolve),
            (2, None, "-+-", Judgement::Quiet),
            (2, None, "--+", Judgement::Open { failures: 2 }),
            (2, None, "-b-c", Judgement::Open { failures: 2 }),
            (1, None, "b-", Judgement::Quiet),
            (1, None, "c-", Judgement::Quiet),
            // Interleaved successes do not hide what "two within an hour" asks for.
            (2, hour, "-+-", Judgement::Open { failures: 2 }),
            (2, hour, "-+++++-", Judgement::Quiet),
            (2, hour, "-++++-", Judgement::Open { failures: 2 }),
            (3, hour, "--", Judgement::Quiet),
            // Who holds waits for a person.
            (3, hour, "h+", Judgement::Open { failures: 1 }),
            (2, None, "h", Judgement::Open { failures: 1 }),
            (3, hour, "-h", Judgement::Quiet),
        ];
        for (failures, within, letters, want) in cases {
            let rule = AlertRule { failures: *failures, within: *within, notify: Vec::new() };
            assert_eq!(judge(&rule, &ends(letters), now()), *want, "{failures} {letters}");
        }
    }

    #[test]
    fn the_window_is_half_open() {
        let rule =
            AlertRule { failures: 2, within: Some(Duration::from_mins(10)), notify: Vec::new() };
        assert_eq!(judge(&rule, &ends("--"), now()), Judgement::Quiet, "exactly one window old");
    }
}
