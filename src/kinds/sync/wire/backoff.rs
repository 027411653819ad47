//! How long to wait before a request is made again.
//!
//! Owns the two rhythms: one for what may be over in a moment, and one for a quota, which is counted by the
//! minute. Jitter comes from the run, so that a repetition can be foretold and two jobs don't meet. Refuses
//! to wait.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

use super::super::tools::Tools;

/// The waits of one request.
pub(super) struct Backoff {
    soon: ExponentialBackoff,
    by_the_minute: ExponentialBackoff,
    seed: u64,
}

fn rhythm(first: Duration, longest: Duration) -> ExponentialBackoff {
    let builder = ExponentialBuilder::default().with_min_delay(first).with_max_delay(longest);
    builder.with_factor(2.0).without_max_times().build()
}

impl Backoff {
    /// Those of a request of an attempt.
    pub(super) fn of(tools: &Tools) -> Self {
        let mut hasher = DefaultHasher::new();
        (tools.run.0, tools.no, tools.job.as_str()).hash(&mut hasher);
        Self::seeded(hasher.finish())
    }

    fn seeded(seed: u64) -> Self {
        let second = Duration::from_secs(1);
        Self {
            soon: rhythm(second, second * 30),
            by_the_minute: rhythm(second * 4, second * 32),
            seed,
        }
    }

    /// The next wait: never shorter than what the server asked for, and never none, whatever it says.
    pub(super) fn next(&mut self, quota: bool, asked: Option<Duration>) -> Duration {
        let rhythm = if quota { &mut self.by_the_minute } else { &mut self.soon };
        let base = rhythm.next().unwrap_or(Duration::from_secs(30));
        let base = asked.unwrap_or_default().max(base);
        base + base.min(Duration::from_secs(8)).mul_f64(self.share() / 4.0)
    }

    /// From 0 to 1, another one each time.
    fn share(&mut self) -> f64 {
        let mut hasher = DefaultHasher::new();
        self.seed.hash(&mut hasher);
        self.seed = hasher.finish();
        let high = u32::try_from(self.seed >> 32).expect("half of the bits fit");
        f64::from(high) / f64::from(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_waited_for_across_the_minute_and_a_wish_is_kept() {
        for seed in 0..50 {
            let mut backoff = Backoff::seeded(seed);
            let waits: Vec<_> = (0..4).map(|_| backoff.next(true, None)).collect();
            let all: Duration = waits.iter().sum();
            assert!(
                all >= Duration::from_secs(60) && waits[0] < Duration::from_secs(6),
                "{waits:?}"
            );
            let mut backoff = Backoff::seeded(seed);
            let wait = backoff.next(true, Some(Duration::from_secs(20)));
            assert!((20.0..=22.0).contains(&wait.as_secs_f64()), "{wait:?}");
            assert!(backoff.next(true, Some(Duration::ZERO)) >= Duration::from_secs(8));
            let soon = backoff.next(false, None);
            assert!((1.0..=1.25).contains(&soon.as_secs_f64()), "{soon:?}");
        }
    }
}
