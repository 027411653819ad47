//! Jobs without a fresh success: who tells of it.
//!
//! Owns that it is one trouble with what keeps the job from succeeding, and that it is told after all once that
//! is over. Refuses to know when a success is too old (`plan::staleness`), and the words (`incidents`).

use std::time::Duration;

use jiff::Timestamp;

use super::dispatch::Dispatcher;
use super::draft::Draft;
use super::incidents;
use crate::model::{IncidentChange, JobId, JobName, Subject};
use crate::plan::staleness::Stale;

/// What a job gets beyond a period of its own to succeed again.
const GRACE: Duration = Duration::from_mins(1);

impl Dispatcher {
    /// Tells of a job without a fresh success, unless its failures are told already: it is one trouble.
    pub(super) fn plan_stale(
        &mut self,
        draft: &mut Draft,
        id: JobId,
        (since, stale): (Timestamp, Stale),
        now: Timestamp,
    ) {
        let Some(job) = self.jobs.get(&id).cloned() else { return };
        if self.tells_of(&job.name) {
            self.state.hush_stale(id, Timestamp::MAX);
            self.causes.unsaid.insert(id);
            return;
        }
        let said = incidents::stale(&job.name, (since, &stale), now, &job.policy.alert);
        self.plan_incident(draft, IncidentChange::Open(said));
    }

    /// Whether an open incident tells already why a job has no fresh success.
    fn tells_of(&self, job: &JobName) -> bool {
        match self.open.of_root(Subject::job(job).as_str()) {
            Some(told) => told.class != incidents::STALE,
            None => self.open.hits(job),
        }
    }

    /// Lets staleness be told that another incident told of, once that is over and the job had the time to
    /// succeed again: else it would be told by nobody.
    pub(super) fn say_unsaid(&mut self, now: Timestamp) {
        let unsaid = std::mem::take(&mut self.causes.unsaid);
        for id in unsaid {
            let Some(job) = self.jobs.get(&id).cloned() else { continue };
            if self.tells_of(&job.name) {
                self.causes.unsaid.insert(id);
            } else if self.state.is_stale(id) {
                let wait = job.schedule.period_hint().saturating_add(GRACE);
                self.state.hush_stale(id, now.saturating_add(wait).unwrap_or(Timestamp::MAX));
            }
        }
    }
}
