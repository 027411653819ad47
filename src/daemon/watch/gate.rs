//! Whether the daemon does its work, by what its loops show of themselves.
//!
//! Owns the decision, a pure function. Refuses to know who is told.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

use crate::model::{Advance, Progress};

/// Longest time for one thing that a loop works on. Each has a deadline of its own far below it.
const WORK_MAX: Duration = Duration::from_secs(120);

/// How late a loop may come round.
const LATE_MAX: Duration = Duration::from_secs(60);

/// A moment, on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    /// The wall clock.
    pub(super) wall: Timestamp,
    /// What has passed, whatever happens to the wall clock.
    pub(super) passed: Duration,
}

/// What the loops show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Marks {
    /// The scheduler's.
    pub(super) advance: Advance,
    /// The outbox's.
    pub(super) outbox: Progress,
}

/// A loop that does not advance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// What is due is not started.
    Dispatch,
    /// What has ended is not judged.
    Evaluation,
    /// Nobody is told.
    Outbox,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dispatch => "the scheduler's loop",
            Self::Evaluation => "the judging of results",
            Self::Outbox => "the outbox",
        })
    }
}

/// Judges one look after the other. It remembers only since when a loop has been overdue: the wall clock
/// leaps in suspend and when it is set, and a loop that was woken by the leap has not come round yet.
#[derive(Clone, Debug, Default)]
pub(super) struct Gate {
    overdue: [Option<(Progress, Duration)>; 3],
}

impl Gate {
    /// The first loop that does not advance. An idle one does; so does one whose work goes wrong in order.
    pub(super) fn stuck(&mut self, marks: &Marks, now: Moment) -> Option<Part> {
        let parts = [
            (Part::Dispatch, marks.advance.dispatch),
            (Part::Evaluation, marks.advance.evaluation),
            (Part::Outbox, marks.outbox),
        ];
        let mut found = None;
        for ((part, progress), seen) in parts.into_iter().zip(&mut self.overdue) {
            *seen = overdue(*seen, progress, now.wall, now.passed);
            let stands = match progress {
                Progress::Waiting { .. } => {
                    seen.is_some_and(|(_, since)| now.passed.saturating_sub(since) > LATE_MAX)
                }
                Progress::Working { since } => now.passed.saturating_sub(since) > WORK_MAX,
                Progress::Over => true,
            };
            found = found.or(stands.then_some(part));
        }
        found
    }
}

/// Since when this same wait has been seen to be over.
fn overdue(
    seen: Option<(Progress, Duration)>,
    progress: Progress,
    wall: Timestamp,
    passed: Duration,
) -> Option<(Progress, Duration)> {
    let Progress::Waiting { until: Some(until) } = progress else { return None };
    if until >= wall {
        return None;
    }
    seen.filter(|(earlier, _)| *earlier == progress).or(Some((progress, passed)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn now(seconds: u64) -> Moment {
        let wall = at(i64::try_from(seconds).unwrap());
        Moment { wall, passed: Duration::from_secs(seconds) }
    }

    fn marks([dispatch, evaluation, outbox]: [Progress; 3]) -> Marks {
        Marks { advance: Advance { dispatch, evaluation }, outbox }
    }

    #[test]
    fn what_advances_and_what_does_not() {
        let idle = Progress::Waiting { until: None };
        let until = |seconds| Progress::Waiting { until: Some(at(seconds)) };
        let since = |seconds| Progress::Working { since: Duration::from_secs(seconds) };
        // Seen at 400 s and at 500 s, unchanged.
        let cases = [
            ("all idle", [idle, idle, idle], None),
            ("work under way", [since(499), since(499), since(499)], None),
            ("work at the limit", [idle, since(380), idle], None),
            ("dispatch hangs in a step", [since(379), idle, idle], Some(Part::Dispatch)),
            ("dispatch missed its time", [until(399), idle, idle], Some(Part::Dispatch)),
            ("dispatch is a little late", [until(450), idle, idle], None),
            ("results lie about", [idle, since(379), idle], Some(Part::Evaluation)),
            ("a row that is not due", [idle, idle, until(5000)], None),
            ("a row that nobody sends", [idle, idle, until(300)], Some(Part::Outbox)),
            ("a send without end", [idle, idle, since(100)], Some(Part::Outbox)),
            ("the deliverer died", [idle, idle, Progress::Over], Some(Part::Outbox)),
            ("several: the first", [until(0), since(0), Progress::Over], Some(Part::Dispatch)),
        ];
        for (name, shown, want) in cases {
            let mut gate = Gate::default();
            gate.stuck(&marks(shown), now(400));
            assert_eq!(gate.stuck(&marks(shown), now(500)), want, "{name}");
        }
    }

    #[test]
    fn a_leap_of_the_wall_clock_blames_no_wait_and_excuses_no_work() {
        let waits = Progress::Waiting { until: Some(at(450)) };
        let mut gate = Gate::default();
        let mut look = |progress, wall, passed| {
            let now = Moment { wall: at(wall), passed: Duration::from_secs(passed) };
            gate.stuck(
                &marks([
                    Progress::Waiting { until: None },
                    Progress::Waiting { until: None },
                    progress,
                ]),
                now,
            )
        };
        assert_eq!(look(waits, 400, 400), None);
        // Eight hours of suspend, in which nothing has passed: it gets the time to wake up.
        assert_eq!(look(waits, 29_200, 400), None);
        assert_eq!(look(waits, 29_250, 450), None);
        assert_eq!(look(waits, 29_261, 461), Some(Part::Outbox));
        // Another wait is another one.
        assert_eq!(look(Progress::Waiting { until: Some(at(29_250)) }, 29_262, 462), None);
        let works = Progress::Working { since: Duration::from_secs(470) };
        assert_eq!(look(works, -500_000, 471), None);
        assert_eq!(look(works, 500_000, 591), Some(Part::Outbox));
    }
}
