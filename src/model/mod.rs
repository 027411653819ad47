//! The nouns: identifiers, policies, runs, incidents and credentials as plain data.
//!
//! Owns the words that every other folder speaks. Refuses to know how anything is parsed, stored or
//! performed: no I/O, no async, no clock.

pub mod credential;
pub mod fault;
pub mod id;
pub mod incident;
pub mod notification;
pub mod observation;
pub mod policy;
pub mod progress;
pub mod run;
pub mod subject;

pub use credential::{
    Binding, Channel, CredentialClass, CredentialName, CredentialState, KnownEnd, Standing,
};
pub use fault::{Family, Fault};
pub use id::{
    AttemptNo, IncidentId, JobId, JobName, NameError, NodeId, NotificationId, Revision, RunId,
    SilenceId,
};
pub use incident::{Acknowledged, Incident, IncidentChange, IncidentState, Opening, Severity};
pub use notification::{
    Blame, Event, Held, Hold, Notification, Outbox, OutboxChange, Silence, Told,
};
pub use observation::{Observation, Verdict};
pub use policy::{
    AlertRule, AlertWhen, Backoff, CatchUp, CatchUpMode, Deadline, Dst, DstGap, DstOverlap,
    Freshness, OnUnknown, Overlap, Policy, Retry,
};
pub use progress::{Advance, Progress};
pub use run::{
    Attempt, Cause, Failure, FailureClass, Holder, NotRun, Outcome, Run, RunState, SlotState,
};
pub use subject::{Subject, SubjectKind};
