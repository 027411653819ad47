//! Builds the image again from the store: at a start, after a failed commit, after a step of the clock, with
//! a new catalog.
//!
//! Owns the squaring of stored claims with what is really under way. Refuses to be a special case: whatever
//! happened, this is the one path back.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::dispatch::{Anew, Dispatcher, Drain};
use super::ends::Ended;
use super::incidents::Open;
use crate::model::{AttemptNo, Failure, FailureClass, NodeId, Outcome, Run, RunId, RunState};
use crate::plan::state::{JobLine, State};
use crate::spec::Job;
use crate::store::JobEntry;

impl Dispatcher {
    /// Builds the image from the store and the catalog. Returns whether it could.
    pub(super) async fn rebuild(&mut self, now: Timestamp) -> bool {
        match self.read_store(now).await {
            Ok(runs) => {
                self.stale = false;
                self.fresh = true;
                self.store_down_until = None;
                self.adopt(&runs);
                true
            }
            Err(error) => {
                self.store_failed(&error, now);
                false
            }
        }
    }

    async fn read_store(&mut self, now: Timestamp) -> crate::store::Result<Vec<Run>> {
        let entry = |job: &Arc<Job>| JobEntry {
            name: job.name.clone(),
            revision: job.revision,
            schedule: job.schedule_revision,
        };
        let entries = self.catalog.jobs.values().map(entry).collect();
        let states = self.parts.store.sync_jobs(entries, now).await?;
        let runs = self.parts.store.live_runs().await?;
        let mut live = Vec::with_capacity(runs.len());
        for run in &runs {
            let tried = run.attempts > 0 && matches!(run.state, RunState::Queued { .. });
            let last = if tried { self.parts.store.attempts(run.id).await?.pop() } else { None };
            live.push((run.clone(), last));
        }
        self.open = Open::from_stored(&self.parts.store.incidents(false, u32::MAX).await?);
        self.jobs.clear();
        let mut lines = Vec::with_capacity(states.len());
        for stored in states {
            let Some(job) = self.catalog.jobs.get(&stored.name) else { continue };
            let line = JobLine {
                name: stored.name,
                schedule: job.enabled.then(|| Arc::clone(&job.schedule)),
                policy: Arc::clone(&job.policy),
                cursor: stored.cursor,
                paused: stored.paused.map(|pause| pause.reason),
                held: None,
                last_success: stored.last_success,
                last_after: stored.last_after,
                known_since: stored.known_since,
            };
            self.jobs.insert(stored.id, Arc::clone(job));
            lines.push((stored.id, line));
        }
        self.state = State::build(self.parts.seats.clone(), lines, &live, now);
        // What was noted of a commit that failed is not so.
        let (jobs, all) = (&self.jobs, self.anew == Anew::Start);
        self.usual.keep_only(|job| !all && jobs.contains_key(job));
        Ok(runs)
    }

    /// Squares stored claims with what is really under way: a claim of an earlier incarnation is lost; one
    /// of this incarnation that never began (the answer to its commit was lost) begins now.
    fn adopt(&mut self, runs: &[Run]) {
        self.drop_kept(runs);
        for run in runs {
            let RunState::Running { holder, since } = run.state else { continue };
            let known = self.live.contains_key(&run.id);
            if known || self.ended.iter().any(|ended| ended.run == run.id) {
                continue;
            }
            let ours = holder.node == self.parts.node && self.drain == Drain::No;
            if ours && self.jobs.contains_key(&run.job) {
                self.begin(run.id, run.job, run.attempts, (run.cause, since));
                continue;
            }
            let (class, message) = if self.going_on.contains(&run.id) {
                // No retry starts beside what is left of the attempt before.
                let message = "the daemon that performed it died, and its processes can't be ended";
                (FailureClass::Permanent, message)
            } else {
                let message = "the daemon that performed it died; how far it came is unknown";
                (FailureClass::Lost, message)
            };
            self.ended.push(Ended {
                run: run.id,
                node: holder.node,
                fence: run.attempts,
                outcome: Outcome::Failed(Failure::new(class, message)),
                took: Duration::ZERO,
                seen: Vec::new(),
            });
        }
    }

    /// Says of which runs an earlier incarnation left processes that can't be ended: they are over, and not
    /// tried again.
    pub fn give_up(&mut self, runs: HashSet<RunId>) {
        self.going_on = runs;
    }

    /// Lets go of results that were kept although the answer to their commit was lost.
    fn drop_kept(&mut self, runs: &[Run]) {
        let claims = runs.iter().filter_map(|run| match run.state {
            RunState::Running { holder, .. } => Some((run.id, (holder.node, run.attempts))),
            RunState::Queued { .. } | RunState::Finished { .. } | RunState::NotRun { .. } => None,
        });
        let claims: HashMap<RunId, (NodeId, AttemptNo)> = claims.collect();
        let open = |ended: &Ended| claims.get(&ended.run) == Some(&(ended.node, ended.fence));
        let (open, kept): (Vec<_>, Vec<_>) = self.ended.drain(..).partition(open);
        self.ended = open;
        self.put_off.ends = 0;
        for ended in kept {
            self.release(ended.run);
        }
    }
}
