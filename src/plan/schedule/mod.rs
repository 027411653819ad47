//! When a job is due: compiled triggers, time zones, jitter.

use jiff::Timestamp;

/// A slot and the instant at which it fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Due {
    /// The nominal time: the slot's identity.
    pub slot: Timestamp,
    /// The nominal time plus jitter.
    pub fire_at: Timestamp,
}

/// The compiled schedule of a job.
#[derive(Clone, Debug, Default)]
pub struct Schedule {}

impl Schedule {
    /// The first slot whose nominal time is after `after`.
    #[must_use]
    pub fn next_after(&self, _after: Timestamp) -> Option<Due> {
        None
    }
}
