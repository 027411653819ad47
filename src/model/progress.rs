//! How far a loop is: what it shows of itself, so that somebody else can tell whether it advances.
//!
//! Owns the record. Refuses to know who looks at it and when nothing has moved for too long.

use std::time::Duration;

use jiff::Timestamp;

/// What a loop shows of itself. One that has nothing to do is as good as one that works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It waits: for an event, and at the latest until this time.
    Waiting {
        /// When it comes round by itself; `None` where only an event wakes it.
        until: Option<Timestamp>,
    },
    /// It works on one thing that has a deadline of its own.
    Working {
        /// Since when, as [`crate::clock::Clock::passed`] counts.
        since: Duration,
    },
    /// It has ended, and nobody does its work any more.
    Over,
}

/// How far the scheduler's loop is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advance {
    /// Its looks: what is due is started.
    pub dispatch: Progress,
    /// What has ended is judged.
    pub evaluation: Progress,
}

impl Advance {
    /// A loop that has not looked yet.
    pub const NONE: Self = Self {
        dispatch: Progress::Waiting { until: None },
        evaluation: Progress::Waiting { until: None },
    };
}
