//! Times, counts, looks and incidents in words.
//!
//! Owns how page and command line say the same to people: `45s`, `12m`, `3h 20m`, `2d 4h`. Refuses to know
//! where it comes from.

use std::time::Duration;

use jiff::Timestamp;

use super::api::IncidentItem;
use crate::model::Verdict;

/// A span, rounded down to its two largest units.
#[must_use]
pub fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    let (days, hours) = (seconds / 86_400, seconds / 3_600 % 24);
    let (minutes, rest) = (seconds / 60 % 60, seconds % 60);
    match (days, hours, minutes, rest) {
        (0, 0, 0, 0) if !time.is_zero() => format!("{}ms", time.as_millis()),
        (0, 0, 0, s) => format!("{s}s"),
        (0, 0, m, 0) => format!("{m}m"),
        (0, 0, m, s) => format!("{m}m {s}s"),
        (0, h, 0, _) => format!("{h}h"),
        (0, h, m, _) => format!("{h}h {m}m"),
        (d, 0, _, _) => format!("{d}d"),
        (d, h, _, _) => format!("{d}d {h}h"),
    }
}

/// A span for a quick look: the second unit is left out where the first one says enough.
#[must_use]
pub fn rough(time: Duration) -> String {
    let text = span(time);
    match text.split_once(' ') {
        Some((large, _)) if large.len() > 2 => large.to_owned(),
        _ => text,
    }
}

/// `in 5m`, or `now` for a time that is here or past.
#[must_use]
pub fn until(at: Timestamp, now: Timestamp) -> String {
    match positive(at, now) {
        Some(time) => format!("in {}", rough(time)),
        None => "now".into(),
    }
}

/// `5m ago`, or `just now` for less than a second.
#[must_use]
pub fn ago(at: Timestamp, now: Timestamp) -> String {
    match positive(now, at).filter(|time| time.as_secs() > 0) {
        Some(time) => format!("{} ago", rough(time)),
        None => "just now".into(),
    }
}

/// `1 job`, `2 jobs`.
#[must_use]
pub fn count(number: u64, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        _ => format!("{number} {noun}s"),
    }
}

fn positive(later: Timestamp, earlier: Timestamp) -> Option<Duration> {
    Duration::try_from(later.duration_since(earlier)).ok().filter(|time| !time.is_zero())
}

/// What there is to say of an incident beside its title, one thought each: what is wrong where, whether it
/// came back, who knows of it, which messages wait.
#[must_use]
pub fn incident(incident: &IncidentItem, now: Timestamp) -> Vec<String> {
    let mut told = Vec::new();
    match &incident.fault {
        Some(fault) => told.push(format!("root {}, fault {fault}", incident.root)),
        None if incident.root == incident.key => {}
        None => told.push(format!("root {}", incident.root)),
    }
    if incident.generation > 1 {
        told.push(format!("it came back {}", count(u64::from(incident.generation) - 1, "time")));
    }
    if incident.flapping {
        told.push("it comes and goes: nobody is told until it is calm".to_owned());
    }
    if let Some(at) = incident.acked_at {
        let who = if incident.acked_by.is_empty() { "somebody" } else { &incident.acked_by };
        told.push(format!("{who} knows of it since {}", ago(at, now)));
    }
    told.extend(incident.held.iter().map(|held| {
        let until = held.until.map(|at| format!(", {}", until(at, now))).unwrap_or_default();
        format!("'{}' to {} waits: {}{until}", held.event, held.notifier, held.why)
    }));
    told
}

/// A look in one letter: `.` ok, `w` warn, `?` unknown, `x` fail.
#[must_use]
pub fn mark(verdict: Verdict) -> char {
    match verdict {
        Verdict::Ok => '.',
        Verdict::Warn => 'w',
        Verdict::Unknown => '?',
        Verdict::Fail => 'x',
    }
}

/// What a look saw, with what is wrong before it where that has a word.
#[must_use]
pub fn seen(fault: Option<&str>, text: &str) -> String {
    match fault {
        Some(fault) => format!("{fault}: {text}"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        let cases = [
            (0, "0s"),
            (45, "45s"),
            (60, "1m"),
            (61, "1m 1s"),
            (3_600, "1h"),
            (12_000, "3h 20m"),
            (86_400, "1d"),
            (86_400 * 2 + 4 * 3_600 + 59, "2d 4h"),
        ];
        for (seconds, want) in cases {
            assert_eq!(span(Duration::from_secs(seconds)), want);
        }
        assert_eq!(span(Duration::from_millis(250)), "250ms");
        assert_eq!(rough(Duration::from_secs(599)), "9m 59s");
        assert_eq!(rough(Duration::from_secs(659)), "10m");
        assert_eq!(rough(Duration::from_secs(45)), "45s");
    }

    #[test]
    fn distances() {
        let now = Timestamp::from_second(1_000).unwrap();
        let later = Timestamp::from_second(1_090).unwrap();
        assert_eq!(until(later, now), "in 1m 30s");
        assert_eq!(until(now, later), "now");
        assert_eq!(ago(now, later), "1m 30s ago");
        assert_eq!(ago(later, now), "just now");
    }
}
