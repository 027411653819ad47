//! How often an API may be asked, counted over every job that counts together.
//!
//! Owns the times of the last requests under each name. What is asked under another limit counts too: the
//! other side knows one account, not our jobs. Refuses to wait: it says for how long.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Most times that are kept under a name. A limit beyond it is none.
const KEPT: usize = 10_000;

/// A limit: so many requests in so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::kinds) struct Limit {
    /// Requests.
    pub(in crate::kinds) requests: u32,
    /// In any time of this length.
    pub(in crate::kinds) per: Duration,
}

/// When requests were made, by who counts together, in time that only passes.
#[derive(Debug, Default)]
pub(in crate::kinds) struct Budgets(Mutex<BTreeMap<String, VecDeque<Duration>>>);

impl Budgets {
    /// Takes one request out of the budget, or says how long to wait before asking again.
    pub(in crate::kinds) fn take(
        &self,
        who: &str,
        limit: Limit,
        now: Duration,
    ) -> Result<(), Duration> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let made = all.entry(who.to_owned()).or_default();
        let most = usize::try_from(limit.requests).unwrap_or(KEPT).clamp(1, KEPT);
        // The one that must be so long ago that this one makes the limit full, and not more.
        let oldest = made.len().checked_sub(most).and_then(|at| made.get(at));
        let free = oldest.map_or(Duration::ZERO, |at| at.saturating_add(limit.per));
        let wait = free.saturating_sub(now);
        if !wait.is_zero() {
            return Err(wait);
        }
        if made.len() >= KEPT {
            made.pop_front();
        }
        made.push_back(now);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn no_stretch_of_the_time_has_more_requests_than_the_limit() {
        let budgets = Budgets::default();
        let limit = Limit { requests: 3, per: MINUTE };
        for at in [100, 130, 150] {
            assert_eq!(budgets.take("a", limit, seconds(at)), Ok(()));
        }
        assert_eq!(budgets.take("a", limit, seconds(159)), Err(seconds(1)));
        assert_eq!(budgets.take("a", limit, seconds(160)), Ok(()));
        // A bucket that fills by the second would let this one pass: 130, 150 and 160 are in the minute.
        assert_eq!(budgets.take("a", limit, seconds(161)), Err(seconds(29)));
        assert_eq!(budgets.take("b", limit, seconds(161)), Ok(()), "another account");
    }

    #[test]
    fn jobs_with_other_limits_count_together() {
        let budgets = Budgets::default();
        let (wide, tight) =
            (Limit { requests: 100, per: MINUTE }, Limit { requests: 2, per: MINUTE });
        for at in 0..10 {
            assert_eq!(budgets.take("a", wide, seconds(at)), Ok(()));
        }
        assert_eq!(budgets.take("a", tight, seconds(20)), Err(seconds(48)));
    }
}
