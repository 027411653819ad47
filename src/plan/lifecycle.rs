//! Where a run goes when an attempt has ended: another attempt later, or the end.
//!
//! Owns retry and backoff. Refuses to look at anything but the failure's class and whether a credential is
//! to blame: the words are for people.

use std::time::Duration;

use jiff::Timestamp;

use super::{stable_hash, unit};
use crate::model::{AttemptNo, Backoff, Failure, NotRun, Outcome, Retry, RunId, RunState};

/// Longest wish of a server that is waited for. A run that waits holds up the job's slots, and is no
/// failure yet that anybody would hear of: who is sent away for longer has failed.
const PATIENCE: Duration = Duration::from_hours(24);

/// An attempt that has ended.
#[derive(Clone, Copy, Debug)]
pub struct Ended<'a> {
    /// The run.
    pub run: RunId,
    /// The attempt's number, from 1.
    pub attempt: AttemptNo,
    /// When the run's first attempt began.
    pub first_start: Timestamp,
    /// How the attempt ended.
    pub outcome: &'a Outcome,
}

/// Where the run goes: `Queued` for another attempt, `NotRun` where a credential blocks it, else `Finished`.
#[must_use]
pub fn after_attempt(retry: &Retry, ended: Ended<'_>, now: Timestamp) -> RunState {
    let finished = || RunState::Finished { at: now, outcome: ended.outcome.clone() };
    let Outcome::Failed(failure) = ended.outcome else {
        return finished();
    };
    if failure.blocked_by.is_some() {
        // Its retries would only ask a dead credential again; the end of the trouble releases it.
        let reason = failure.message.clone();
        return RunState::NotRun { at: now, verdict: NotRun::Blocked, reason, count: 1 };
    }
    if ended.attempt >= retry.attempts || !retry.on.contains(&failure.class) {
        return finished();
    }
    if failure.retry_after.is_some_and(|wish| wish > PATIENCE) {
        return finished();
    }
    let wait = wait_before_next(retry.backoff, ended, failure);
    let ready_at = now.saturating_add(wait).unwrap_or(Timestamp::MAX);
    let budget_ends = retry.max_elapsed.map(|most| ended.first_start.saturating_add(most));
    if let Some(Ok(end)) = budget_ends
        && ready_at > end
    {
        return finished();
    }
    let why = format!(
        "attempt {} of {} after {}: {}",
        ended.attempt + 1,
        retry.attempts,
        failure.class.word(),
        failure.message
    );
    RunState::Queued { ready_at, why }
}

/// The wait after an attempt: exponential, less a share that run and attempt decide, and never shorter
/// than what the server asked for.
fn wait_before_next(backoff: Backoff, ended: Ended<'_>, failure: &Failure) -> Duration {
    let exponent = i32::try_from(ended.attempt.saturating_sub(1)).unwrap_or(i32::MAX);
    let grown = backoff.initial.as_secs_f64() * backoff.factor.max(1.0).powi(exponent);
    let capped = grown.min(backoff.max.as_secs_f64());
    let seed = [ended.run.0.cast_unsigned(), u64::from(ended.attempt)];
    let spread = capped * (1.0 - backoff.jitter.clamp(0.0, 1.0) * unit(stable_hash(&seed)));
    let wait = Duration::try_from_secs_f64(spread).unwrap_or(backoff.max);
    wait.max(failure.retry_after.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::FailureClass;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn failed(class: FailureClass) -> Outcome {
        Outcome::Failed(Failure::new(class, "no answer"))
    }

    fn retry(attempts: u32) -> Retry {
        let backoff = Backoff { jitter: 0.0, ..Backoff::default() };
        Retry { attempts, backoff, ..Retry::default() }
    }

    fn next(retry: &Retry, attempt: AttemptNo, outcome: &Outcome) -> Option<Duration> {
        let ended = Ended { run: RunId(7), attempt, first_start: NOW, outcome };
        match after_attempt(retry, ended, NOW) {
            RunState::Queued { ready_at, .. } => Some(ready_at.duration_since(NOW).unsigned_abs()),
            _ => None,
        }
    }

    #[test]
    fn only_listed_classes_are_tried_again() {
        let cases = [
            (FailureClass::Transient, true),
            (FailureClass::Throttled, true),
            (FailureClass::TimedOut, true),
            (FailureClass::Lost, true),
            (FailureClass::Permanent, false),
            (FailureClass::Unauthorized, false),
            (FailureClass::Exhausted, false),
            (FailureClass::Cancelled, false),
        ];
        for (class, again) in cases {
            assert_eq!(next(&retry(3), 1, &failed(class)).is_some(), again, "{class:?}");
        }
    }

    #[test]
    fn waits_grow_to_the_cap_and_attempts_end() {
        let outcome = failed(FailureClass::Transient);
        let seconds: Vec<_> = (1..=8)
            .map(|attempt| next(&retry(8), attempt, &outcome).map(|wait| wait.as_secs()))
            .collect();
        assert_eq!(
            seconds,
            [10, 20, 40, 80, 160, 300, 300].map(Some).into_iter().chain([None]).collect::<Vec<_>>()
        );
    }

    #[test]
    fn the_server_may_ask_for_more_time_but_not_for_less() {
        let mut failure = Failure::new(FailureClass::Throttled, "429");
        failure.retry_after = Some(Duration::from_secs(90));
        assert_eq!(
            next(&retry(2), 1, &Outcome::Failed(failure.clone())),
            Some(Duration::from_secs(90))
        );
        failure.retry_after = Some(Duration::from_secs(1));
        let outcome = Outcome::Failed(failure.clone());
        assert_eq!(next(&retry(2), 1, &outcome), Some(Duration::from_secs(10)));
        failure.retry_after = Some(Duration::MAX);
        assert_eq!(next(&retry(2), 1, &Outcome::Failed(failure)), None, "nobody waits for ever");
    }

    #[test]
    fn no_attempt_starts_beyond_the_total_time() {
        let mut policy = retry(9);
        policy.max_elapsed = Some(Duration::from_secs(10));
        let outcome = failed(FailureClass::Transient);
        assert_eq!(next(&policy, 1, &outcome), Some(Duration::from_secs(10)));
        assert_eq!(next(&policy, 2, &outcome), None);
    }

    proptest! {
        #[test]
        fn jitter_only_shortens_and_is_the_same_each_time(
            run in any::<i64>(),
            attempt in 1_u32..500,
            jitter in 0.0..=1.0_f64,
            factor in 0.0..1e9_f64,
        ) {
            let mut policy = retry(1000);
            policy.backoff.jitter = jitter;
            policy.backoff.factor = factor;
            let outcome = failed(FailureClass::Transient);
            let ended = Ended { run: RunId(run), attempt, first_start: NOW, outcome: &outcome };
            let first = after_attempt(&policy, ended, NOW);
            prop_assert_eq!(&first, &after_attempt(&policy, ended, NOW));
            let RunState::Queued { ready_at, .. } = first else { panic!("not queued") };
            prop_assert!(ready_at >= NOW && ready_at <= NOW + policy.backoff.max);
        }
    }
}
