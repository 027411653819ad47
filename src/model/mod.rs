//! The nouns: identifiers, policies, runs and incidents as plain data.
//!
//! Owns the words that every other folder speaks. Refuses to know how anything is parsed, stored or
//! performed: no I/O, no async, no clock.

pub mod id;
pub mod incident;
pub mod policy;
pub mod run;

pub use id::{AttemptNo, IncidentId, JobId, JobName, NameError, NodeId, Revision, RunId};
pub use incident::{Incident, IncidentChange, IncidentState, Notification, Severity};
pub use policy::{
    AlertRule, Backoff, CatchUp, CatchUpMode, Dst, DstGap, DstOverlap, Overlap, Policy, Retry,
};
pub use run::{
    Attempt, Cause, Failure, FailureClass, Holder, NotRun, Outcome, Run, RunState, SlotState,
};
