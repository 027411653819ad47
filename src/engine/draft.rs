//! A commit in the making: changes, and what follows each of them once it is durable.
//!
//! Owns the translation of the planner's wishes into the store's changes. Refuses to carry out either.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::oneshot;

use super::Refusal;
use crate::model::{
    Fault, Holder, IncidentChange, JobId, NotRun, Observation, Opening, Outcome, Revision, RunId,
    RunState, Subject,
};
use crate::plan::tick::{Action, Fate};
use crate::store::{Applied, Change};

/// What follows a change once it is durable.
#[derive(Debug)]
pub(super) enum Then {
    /// Nothing; where it was refused, the image is out of date.
    Agree,
    /// Nothing, even if it was refused.
    Ignore,
    /// The planner is told, and an attempt begins where the proposal was a start.
    Settle(Action),
    /// The attempt's result has been kept.
    Kept(RunId),
    /// A trigger is answered with its run.
    Triggered(Action, oneshot::Sender<Result<RunId, Refusal>>),
    /// Somebody is told that it is done.
    Answer(oneshot::Sender<Result<(), Refusal>>),
}

impl Then {
    /// The run whose result the change keeps.
    pub(super) fn kept(&self) -> Option<RunId> {
        match self {
            Self::Kept(run) => Some(*run),
            Self::Agree
            | Self::Ignore
            | Self::Settle(_)
            | Self::Triggered(..)
            | Self::Answer(_) => None,
        }
    }
}

/// The end of a run, as incidents are judged by it.
#[derive(Debug)]
pub(super) struct End {
    pub(super) run: RunId,
    /// How it ended; `None` where that says nothing of the job: its looks are what counts.
    pub(super) outcome: Option<Outcome>,
    /// How long its last attempt took.
    pub(super) took: Duration,
    /// What it saw.
    pub(super) looks: Vec<Observation>,
}

/// Changes in order, each with what follows.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) changes: Vec<Change>,
    pub(super) then: Vec<Then>,
    /// Attempts that are told to stop once the batch is durable.
    pub(super) stops: Vec<RunId>,
    /// Runs that end with it, by job, oldest first: what incidents are judged by.
    pub(super) ends: BTreeMap<JobId, Vec<End>>,
    /// Whether the catalog is new: a check may be gone.
    pub(super) fresh: bool,
}

impl Draft {
    pub(super) fn push(&mut self, change: Change, then: Then) {
        self.changes.push(change);
        self.then.push(then);
    }

    pub(super) fn end(&mut self, job: JobId, end: End) {
        self.ends.entry(job).or_default().push(end);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.stops.is_empty()
    }

    /// The changes to commit, and for later what follows them.
    pub(super) fn split(self) -> (Vec<Change>, Vec<Then>, Vec<RunId>) {
        (self.changes, self.then, self.stops)
    }
}

/// The change that a planner's record stands for.
pub(super) fn record(
    action: &Action,
    revision: Revision,
    holder: Holder,
    now: Timestamp,
) -> Option<Change> {
    let Action::Record { job, cause, fate } = action else { return None };
    let state = match fate {
        Fate::Start => RunState::Running { holder, since: now },
        Fate::Wait { why } => RunState::Queued { ready_at: now, why: why.clone() },
        Fate::NotRun { verdict, reason, count } => {
            RunState::NotRun { at: now, verdict: *verdict, reason: reason.clone(), count: *count }
        }
    };
    Some(Change::Record { job: *job, revision, cause: *cause, state })
}

/// The incident of a slot that could not start in time.
pub(super) fn expiry(
    name: &crate::model::JobName,
    reason: &str,
    notify: Vec<std::sync::Arc<str>>,
) -> IncidentChange {
    IncidentChange::Open(Opening {
        fault: Some(Fault::Expired),
        affected: vec![name.clone()],
        title: format!("job {name}: a slot expired: {reason}"),
        detail: "nothing ran for it".to_owned(),
        mend: format!("jadactl slots --job {name} --state expired"),
        notify,
        ..Opening::new(expiry_key(name), format!("job/{name}"), "expired")
    })
}

/// The key of the incident of slots that expired.
pub(super) fn expiry_key(name: &crate::model::JobName) -> String {
    super::incidents::key_of(&Subject::job(name), Fault::Expired)
}

/// The job of an action that ends a slot as expired, and why it expired.
pub(super) fn expires(action: &Action) -> Option<(JobId, &str)> {
    match action {
        Action::Record { job, fate: Fate::NotRun { verdict, reason, .. }, .. }
        | Action::Close { job, state: RunState::NotRun { verdict, reason, .. }, .. } => {
            (*verdict == NotRun::Expired).then_some((*job, reason))
        }
        Action::Record { .. }
        | Action::Advance { .. }
        | Action::Start { .. }
        | Action::Close { .. }
        | Action::Stop { .. }
        | Action::Stale { .. } => None,
    }
}

/// The run that the store recorded.
pub(super) fn recorded(applied: Applied) -> Option<RunId> {
    match applied {
        Applied::Recorded(run) => Some(run),
        Applied::Wrote(_) | Applied::Done | Applied::Refused => None,
    }
}
