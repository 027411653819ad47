//! When a row is tried again.
//!
//! Owns the waits: growing, spread by a hash of the row and the try so that no two notifiers knock together
//! for ever, and never beyond the row's last moment. Refuses to read a clock.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::decide::TRIED_FOR;
use super::send::Failure;
use crate::model::{Blame, Notification};

/// The first wait and the longest one for a way that fails.
const LINE: (Duration, Duration) = (Duration::from_secs(10), Duration::from_mins(15));

/// The same for what a person has to mend: nothing changes within seconds.
const SETTINGS: (Duration, Duration) = (Duration::from_mins(1), Duration::from_hours(1));

/// Share of a wait, in percent, that the hash takes away.
const JITTER: u64 = 20;

/// When a row is tried next that has just failed at `now`; `None` where this was its last try. The last try
/// comes no earlier than [`TRIED_FOR`] after the first.
#[must_use]
pub fn next(row: &Notification, failure: &Failure, now: Timestamp) -> Option<Timestamp> {
    let end = row.tried_since.unwrap_or(now) + TRIED_FOR;
    if now >= end {
        return None;
    }
    let wait = wait(row, failure);
    let wait = SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX);
    Some(now.saturating_add(wait).unwrap_or(end).min(end))
}

fn wait(row: &Notification, failure: &Failure) -> Duration {
    let (first, most) = match failure.blame {
        Blame::Line => LINE,
        Blame::Settings => SETTINGS,
    };
    let grown = first.saturating_mul(1 << row.tries.min(16)).min(most);
    let taken = mixed(row.id.0.cast_unsigned(), row.tries) % (JITTER + 1);
    let spread = grown.mul_f64(1.0 - f64::from(u32::try_from(taken).unwrap_or(0)) / 100.0);
    // What the other side asks for is a promise, and is not spread.
    spread.max(failure.retry_after.unwrap_or_default())
}

/// A hash of two numbers (splitmix64).
fn mixed(row: u64, tries: u32) -> u64 {
    let mut z = row.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(u64::from(tries) + 1);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
