//! What an attempt may know of what is stored.
//!
//! Owns the few facts that a kind can't see by itself: it never reads the store. The engine fills them in when an
//! attempt begins. Refuses to grow into a way to ask for anything.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::model::{JobName, RunId};

/// What is known when an attempt begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The newest run of the same job whose looks are stored; `None` where nobody knows.
    pub looked: Option<RunId>,
    /// Of each job that the work asks about ([`super::Work::asks_about`]); one that does not exist is missing.
    pub successes: BTreeMap<JobName, Success>,
}

/// The last success of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Success {
    /// When its newest success ended.
    pub last: Option<Timestamp>,
    /// Without any, its age counts from here.
    pub known_since: Timestamp,
}
