//! How long a job's runs usually take.
//!
//! Owns when a success came too fast to be believed: a token that is dead, a source that is empty, a script
//! that gave up at its first line often end well and at once. Refuses to know where the times are kept.

use std::time::Duration;

/// Newest successes that are looked at.
pub const KEPT: usize = 9;

/// Fewer say nothing of what is usual.
const ENOUGH: usize = 5;

/// What usually takes less than this may well take no time at all.
const LONG: Duration = Duration::from_secs(10);

/// The part of the usual time below which a success is not believed: one in so many.
const PART: u32 = 20;

/// The usual time, where a success that took `took` is suspiciously fast beside the ones before it.
#[must_use]
pub fn is_too_fast(took: Duration, before: &[Duration]) -> Option<Duration> {
    if before.len() < ENOUGH {
        return None;
    }
    let mut sorted = before.to_vec();
    sorted.sort_unstable();
    let usual = sorted[(sorted.len() - 1) / 2];
    (usual >= LONG && took.saturating_mul(PART) < usual).then_some(usual)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_fast() {
        let cases: &[(u64, &[u64], Option<u64>)] = &[
            (1, &[60, 60, 60, 60], None),
            (1, &[60, 60, 60, 60, 60], Some(60)),
            (3, &[60, 60, 60, 60, 60], None),
            (2, &[61, 60, 59, 90, 1, 1], Some(59)),
            // One long run makes nothing usual, and neither does one that was short.
            (10, &[12, 3600, 11, 12, 10], None),
            (0, &[9, 9, 9, 9, 9], None),
            (0, &[10, 10, 10, 10, 10], Some(10)),
        ];
        for (took, before, want) in cases {
            let before: Vec<Duration> = before.iter().map(|s| Duration::from_secs(*s)).collect();
            let usual = is_too_fast(Duration::from_secs(*took), &before);
            assert_eq!(usual.map(|usual| usual.as_secs()), *want, "{took} {before:?}");
        }
    }
}
