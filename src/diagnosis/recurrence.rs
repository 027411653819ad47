//! Whether the same was wrong before, and at which distance.
//!
//! Owns the arithmetic of repetition. Refuses to know what it is that repeats, beyond its fault.

use std::time::Duration;

use jiff::Timestamp;

use super::answer::Recurrence;
use crate::model::{Fault, Incident, IncidentState, Subject, SubjectKind};

/// What a grant lives while the consent screen is in testing.
const TESTING: Duration = Duration::from_hours(7 * 24);

/// How far from seven days a spacing may be: the refresh that finds out comes a while after the death.
const SLACK_DAYS: f64 = 0.4;

/// Openings this close are one trouble.
const SAME: Duration = Duration::from_hours(1);

/// How often, and at which distance, a root was wrong before. `deaths` is what its own record knows.
#[must_use]
pub fn of(
    root: &Subject,
    since: Timestamp,
    past: &[Incident],
    deaths: &[Timestamp],
) -> Option<Recurrence> {
    let own = past.iter().filter(|one| one.root == root.as_str());
    let mut times: Vec<Timestamp> = if deaths.is_empty() {
        own.clone().map(|one| one.opened_at).collect()
    } else {
        deaths.to_vec()
    };
    times.push(since);
    times.retain(|at| *at <= since.saturating_add(SAME).unwrap_or(Timestamp::MAX));
    times.sort_unstable();
    times.dedup_by(|later, earlier| later.duration_since(*earlier).unsigned_abs() < SAME);
    if times.len() < 2 {
        return None;
    }
    let spacing_days: Vec<f64> = times.windows(2).map(|pair| days(pair[0], pair[1])).collect();
    let over = own.filter(|one| one.state == IncidentState::Resolved);
    let last_fix = over.max_by_key(|one| one.resolved_at).map(|one| one.note.clone());
    Some(Recurrence {
        times: times.len(),
        last_fix: last_fix.filter(|note| !note.is_empty()),
        next: None,
        spacing_days,
    })
}

/// When a grant will die again, where it dies every seven days.
#[must_use]
pub fn testing(
    root: &Subject,
    fault: Fault,
    found: &Recurrence,
    since: Timestamp,
) -> Option<Timestamp> {
    let weekly = found.spacing_days.last().is_some_and(|days| (days - 7.0).abs() <= SLACK_DAYS);
    let grant = root.kind() == SubjectKind::Credential && fault == Fault::InvalidGrant;
    (weekly && grant).then(|| since.saturating_add(TESTING).unwrap_or(Timestamp::MAX))
}

fn days(from: Timestamp, to: Timestamp) -> f64 {
    let days = to.duration_since(from).as_secs_f64() / 86_400.0;
    (days * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weekly_death_announces_the_next_one() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let root = Subject::parse("credential/google/ops").unwrap();
        let since = at("2026-05-13T14:02:00Z");
        let deaths =
            [at("2026-04-29T14:00:00Z"), at("2026-05-06T14:01:00Z"), at("2026-05-13T14:02:00Z")];
        let found = of(&root, since, &[], &deaths).unwrap();
        assert_eq!((found.times, found.spacing_days.as_slice()), (3, [7.0, 7.0].as_slice()));
        let next = testing(&root, Fault::InvalidGrant, &found, since);
        assert_eq!(next, Some(at("2026-05-20T14:02:00Z")));
        assert_eq!(testing(&root, Fault::InvalidClient, &found, since), None);
        assert_eq!(of(&root, since, &[], &deaths[2..]), None, "this time is no repetition");
        let apart = [at("2026-05-03T14:00:00Z")];
        let found = of(&root, since, &[], &apart).unwrap();
        assert_eq!(
            testing(&root, Fault::InvalidGrant, &found, since),
            None,
            "ten days are no week"
        );
    }
}
