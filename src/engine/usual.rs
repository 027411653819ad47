//! Successes that took next to no time.
//!
//! Owns the memory of how long the newest successes of a job took, read from the store when it is first asked
//! for, and what is told. Refuses to know what is too fast (`plan::usual`).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::dispatch::Dispatcher;
use super::draft::Draft;
use super::incidents;
use crate::kinds::Work;
use crate::model::{
    Fault, IncidentChange, JobId, JobName, Opening, Outcome, Revision, RunId, RunState, Severity,
    Subject,
};
use crate::plan::catch_up::words;
use crate::plan::usual::{KEPT, is_too_fast};
use crate::spec::Job;
use crate::store::{Result, RunQuery, RunRow};

/// Rows that are read for [`KEPT`] successes: failures stand between them.
const READ: u32 = 32;

/// The times of each job's newest successes, oldest first, under the definition in force.
#[derive(Debug, Default)]
pub(super) struct Usual(HashMap<JobId, (Revision, Vec<Duration>)>);

impl Usual {
    /// Forgets what was not kept, or whose job is gone.
    pub(super) fn keep_only(&mut self, known: impl Fn(&JobId) -> bool) {
        self.0.retain(|job, _| known(job));
    }
}

impl Dispatcher {
    /// Tells of a success that came too fast to be believed, and says whether it is one: it is no proof that
    /// the job works.
    pub(super) async fn plan_too_fast(
        &mut self,
        draft: &mut Draft,
        (id, job): (JobId, &Arc<Job>),
        (run, outcome, took): (RunId, &Outcome, Duration),
    ) -> Result<bool> {
        if !does_all_its_work(job, outcome) {
            return Ok(false);
        }
        if self.usual.0.get(&id).is_none_or(|(revision, _)| *revision != job.revision) {
            let times = self.times_of(&job.name, job.revision, run).await?;
            self.usual.0.insert(id, (job.revision, times));
        }
        let Some((_, times)) = self.usual.0.get_mut(&id) else { return Ok(false) };
        let found = is_too_fast(took, times);
        times.push(took);
        let surplus = times.len().saturating_sub(KEPT);
        times.drain(..surplus);
        let Some(usual) = found else { return Ok(false) };
        let root = Subject::job(&job.name);
        let open = self.open.of_root(root.as_str());
        // What fails is told already, and this is no end of it.
        if open.is_none_or(|said| said.fault == Some(Fault::Suspicious)) {
            let rule = &job.policy.alert;
            let said = too_fast(&job.name, run, (took, usual));
            let (remind, notify) = (rule.remind.clone(), rule.notify.clone());
            let said = Opening { remind, notify, ..said };
            self.plan_incident(draft, IncidentChange::Open(said));
        }
        Ok(true)
    }

    /// The times of the newest successes before this run, oldest first.
    async fn times_of(
        &self,
        job: &JobName,
        revision: Revision,
        run: RunId,
    ) -> Result<Vec<Duration>> {
        let query = RunQuery { job: Some(job.clone()), limit: READ, ..RunQuery::default() };
        let rows = self.parts.store.runs(query).await?;
        let earlier = rows.iter().filter(|row| row.run.id != run && row.revision == revision);
        let mut times: Vec<Duration> = earlier.filter_map(time_of).take(KEPT).collect();
        times.reverse();
        Ok(times)
    }
}

/// Whether a success of it is known to have done all that the job does: a check is over as soon as it knows,
/// and a sync that finds nothing new has nothing to do.
fn does_all_its_work(job: &Job, outcome: &Outcome) -> bool {
    outcome.is_success()
        && match &*job.work {
            Work::Command(_) => true,
            Work::Sync(_) => outcome.message().starts_with("committed"),
            Work::Health(_) => false,
        }
}

/// How long a success took.
fn time_of(row: &RunRow) -> Option<Duration> {
    let RunState::Finished { at, outcome: Outcome::Succeeded { .. } } = &row.run.state else {
        return None;
    };
    Duration::try_from(at.duration_since(row.run.started_at?)).ok()
}

fn too_fast(job: &JobName, run: RunId, (took, usual): (Duration, Duration)) -> Opening {
    let (root, fault) = (Subject::job(job), Fault::Suspicious);
    let took = if took < Duration::from_secs(1) { "less than 1s".into() } else { words(took) };
    Opening {
        fault: Some(fault),
        affected: vec![job.clone()],
        severity: Severity::Warning,
        title: format!("job {job}: it ended well after {took}; usually it takes {}", words(usual)),
        detail: format!("a success that fast has often done nothing; last: run {run}"),
        mend: format!("jadactl logs {run}"),
        ..Opening::new(incidents::key_of(&root, fault), root.as_str(), "suspicious")
    }
}
