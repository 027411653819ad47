//! The `cpu` probe: how much of this host's processors is in use.
//!
//! Owns the two looks that a share takes: the last one of the same check, or a first one just before. Refuses to
//! know who uses them.

use std::time::Duration;

use super::kept::Kept;
use super::measure::{Measured, Quantity, Reading, Unit};
use super::probe::Found;
use super::spec::Expectation;
use crate::clock::Clock;
use crate::kinds::wire::fault;
use crate::model::Subject;

/// What it measures, each as a share of all processors since the last look.
pub(super) const MEASURES: &[(&str, Quantity)] =
    &[("used", Quantity::Share), ("iowait", Quantity::Share), ("steal", Quantity::Share)];

/// Least time between two looks: in less, a single task can be all that the kernel counted.
const WINDOW: Duration = Duration::from_millis(500);

/// What is expected where nothing is said.
pub(super) fn defaults() -> Vec<Expectation> {
    vec![Expectation::below("used", 0.95, Unit::Share)]
}

/// What the kernel has counted since it started, in ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ticks {
    idle: u64,
    iowait: u64,
    steal: u64,
    total: u64,
}

/// A look, and when it was, by the clock that nobody sets.
pub(super) type Look = (Duration, Ticks);

/// Looks at /proc/stat, and holds it against the last look of this check.
pub(super) async fn read(check: &Subject, kept: &Kept, clock: &dyn Clock) -> Found {
    let last = kept.processors(check).filter(|(at, _)| clock.passed() >= *at + WINDOW);
    let (last, now) = match last {
        Some((_, last)) => (Ok(last), ticks()),
        None => {
            let first = ticks();
            clock.sleep(WINDOW).await;
            (first, ticks())
        }
    };
    let (last, now) = match (last, now) {
        (Ok(last), Ok(now)) => (last, now),
        (Err(found), _) | (_, Err(found)) => return found,
    };
    kept.keep_processors(check, (clock.passed(), now));
    Found::values(shares(last, now))
}

fn ticks() -> Result<Ticks, Found> {
    match std::fs::read_to_string("/proc/stat") {
        Ok(text) => parse(&text).ok_or_else(|| Found::unknown("/proc/stat has no line of `cpu`")),
        Err(error) => {
            Err(Found::blind(format!("can't read /proc/stat: {error}"), fault::of_io(&error)))
        }
    }
}

/// Reads `cpu user nice system idle iowait irq softirq steal guest guest_nice`; guests count as users already.
fn parse(text: &str) -> Option<Ticks> {
    let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let fields: Vec<u64> = line.split_whitespace().map_while(|field| field.parse().ok()).collect();
    let of = |index: usize| fields.get(index).copied().unwrap_or_default();
    let total = fields.iter().take(8).fold(0_u64, |sum, ticks| sum.saturating_add(*ticks));
    (fields.len() >= 4).then(|| Ticks { idle: of(3), iowait: of(4), steal: of(7), total })
}

/// What was used between two looks. Counters that went back (a container that was moved) count as nothing.
fn shares(last: Ticks, now: Ticks) -> Reading {
    let of = |last: u64, now: u64| now.saturating_sub(last);
    let total = of(last.total, now.total);
    let (idle, iowait) = (of(last.idle, now.idle), of(last.iowait, now.iowait));
    let used = total.saturating_sub(idle).saturating_sub(iowait);
    let share = |part: u64| {
        let part = Measured::part(part.min(total), total, Unit::Plain);
        Measured::Number(part.number(Unit::Share).unwrap_or_default(), Unit::Share)
    };
    Reading::default()
        .with("used", share(used))
        .with("iowait", share(iowait))
        .with("steal", share(of(last.steal, now.steal)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SimClock;

    #[test]
    fn shares_are_of_what_was_counted_since_the_last_look() {
        let at = |text| parse(text).unwrap();
        let (boot, old) =
            (at("cpu 0 0 0 0"), at("x\ncpu  100 0 100 700 100 0 0 0 9 9\ncpu0 1 1\n"));
        for (last, now, expected) in [
            (old, at("cpu 150 0 150 750 150 0 0 0"), "used 50%, iowait 25%, steal 0%"),
            (old, at("cpu 100 0 100 700 100 0 0 100"), "used 100%, iowait 0%, steal 100%"),
            (old, old, "used 0%, iowait 0%, steal 0%"),
            (old, boot, "used 0%, iowait 0%, steal 0%"),
            (boot, old, "used 20%, iowait 10%, steal 0%"),
        ] {
            assert_eq!(shares(last, now).shown(), expected);
        }
        for bad in ["", "cpu", "cpu  1 2 x 3", "cpu0 1 2 3 4"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[tokio::test]
    async fn the_first_look_takes_two_and_each_later_one_the_time_since() {
        let clock = SimClock::at("2026-11-25T12:00:00Z".parse().unwrap());
        let (kept, check) = (Kept::default(), Subject::part("load"));
        let look = async || read(&check, &kept, &clock).await;
        let first = async {
            // Nobody is done before the window has passed.
            assert!(kept.processors(&check).is_none());
            clock.advance(WINDOW);
        };
        let (found, ()) = tokio::join!(look(), first);
        assert!(matches!(found, Found::Values(..)), "{found:?}");
        clock.advance(WINDOW);
        // It waits for nothing: the clock stands still.
        assert!(matches!(look().await, Found::Values(..)));
    }
}
