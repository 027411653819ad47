//! The nouns: identifiers, policies, runs, incidents and credentials as plain data.
//!
//! Owns the words that every other folder speaks. Refuses to know how anything is parsed, stored or
//! performed: no I/O, no async, no clock.

pub mod credential;
pub mod id;
pub mod incident;
pub mod policy;
pub mod run;

pub use credential::{
    Binding, Channel, CredentialClass, CredentialName, CredentialState, KnownEnd, Standing,
};
pub use id::{AttemptNo, IncidentId, JobId, JobName, NameError, NodeId, Revision, RunId};
pub use incident::{Incident, IncidentChange, IncidentState, Notification, Severity};
pub use policy::{
    AlertRule, Backoff, CatchUp, CatchUpMode, Dst, DstGap, DstOverlap, Overlap, Policy, Retry,
};
pub use run::{
    Attempt, Cause, Failure, FailureClass, Holder, NotRun, Outcome, Run, RunState, SlotState,
};
