//! What the loop makes incidents of: runs that ended, slots that expired, attempts that do not end.
//!
//! Owns the moments at which incidents are planned, in the commit of what caused them. Refuses to know their
//! words (`incidents`) and when failures are one (`plan::incident`).

use std::time::Duration;

use jiff::Timestamp;

use super::dispatch::Dispatcher;
use super::draft::{self, Draft, Then};
use super::incidents;
use crate::model::{AlertRule, IncidentChange, JobId, NotRun, Outcome, RunId};
use crate::plan::incident::{Judgement, judge};
use crate::store::{Change, EndQuery, Result};

impl Dispatcher {
    /// Squares runs and incidents with the catalog, once for each new image.
    pub(super) fn plan_catalog(&mut self, draft: &mut Draft, now: Timestamp) {
        if !std::mem::take(&mut self.fresh) {
            return;
        }
        for run in self.state.abandoned() {
            let reason = "the job is gone from jobs.d";
            let Some(state) = self.state.close(run, Some(NotRun::Skipped), reason, now) else {
                continue;
            };
            draft.push(Change::Close { run, state }, Then::Agree);
        }
        for change in self.open.settle_catalog(&self.catalog) {
            self.plan_incident(draft, change);
        }
    }

    /// Opens or closes jobs' incidents by how their runs ended in this commit.
    ///
    /// # Errors
    /// The history that decides can't be read.
    pub(super) async fn judge_ends(&mut self, draft: &mut Draft, now: Timestamp) -> Result<()> {
        for (job, ends) in std::mem::take(&mut draft.ends) {
            let Some(definition) = self.jobs.get(&job).cloned() else { continue };
            let (name, rule) = (&definition.name, &definition.policy.alert);
            let earlier = self.earlier_ends(job, rule, &ends, now).await?;
            for newest in 0..ends.len() {
                let (run, outcome) = &ends[newest];
                let here = ends[..=newest].iter().rev().map(|(_, outcome)| (now, outcome.clone()));
                let ends: Vec<_> = here.take(most(rule)).chain(earlier.iter().cloned()).collect();
                let changes = match judge(rule, &ends, now) {
                    Judgement::Quiet => Vec::new(),
                    Judgement::Open { failures } => {
                        vec![incidents::failure(name, *run, outcome, failures, &rule.notify)]
                    }
                    Judgement::Resolve => self.open.closed_by_success(name, *run, &rule.notify),
                };
                for change in changes {
                    self.plan_incident(draft, change);
                }
            }
        }
        Ok(())
    }

    /// Ends before this commit, newest first, as far as the rule asks for them.
    async fn earlier_ends(
        &self,
        job: JobId,
        rule: &AlertRule,
        ends: &[(RunId, Outcome)],
        now: Timestamp,
    ) -> Result<Vec<(Timestamp, Outcome)>> {
        if rule.failures <= 1 || ends.iter().all(|(_, outcome)| outcome.is_success()) {
            return Ok(Vec::new());
        }
        let query = EndQuery {
            job,
            until: now,
            // Within a window only failures count, and any number of successes may stand between them.
            failed: rule.within.is_some(),
            limit: u32::try_from(most(rule)).unwrap_or(u32::MAX),
        };
        self.parts.store.recent_ends(query).await
    }

    /// Tells of attempts that were told to stop and do not end, and that it is over once they have.
    pub(super) fn plan_stuck(&mut self, draft: &mut Draft) {
        if self.stuck.is_empty() && !self.fresh {
            return;
        }
        let live = &self.live;
        self.stuck.retain(|stuck| live.contains_key(&stuck.run));
        let under_way = |run| self.state.live(run).filter(|(_, under_way)| *under_way);
        let stuck = self.stuck.iter().filter_map(|stuck| {
            let (job, _) = under_way(stuck.run)?;
            Some((self.jobs.get(&job)?.as_ref(), stuck))
        });
        for change in self.open.settle_stuck(stuck) {
            self.plan_incident(draft, change);
        }
    }

    pub(super) fn plan_incident(&mut self, draft: &mut Draft, change: IncidentChange) {
        self.open.note(&change);
        draft.push(Change::Incident(change), Then::Ignore);
    }

    pub(super) fn plan_expiry(&mut self, draft: &mut Draft, job: JobId, reason: &str) {
        let Some(job) = self.jobs.get(&job).cloned() else { return };
        let change = draft::expiry(&job.name, reason, job.policy.alert.notify.clone());
        self.plan_incident(draft, change);
    }
}

/// Ends that are looked at: those that count neither way may stand between the ones that do.
fn most(rule: &AlertRule) -> usize {
    if rule.failures <= 1 { 1 } else { (rule.failures as usize).saturating_mul(4).clamp(16, 1000) }
}

/// An attempt that was told to stop and has not ended.
#[derive(Clone, Debug)]
pub(super) struct Overdue {
    pub(super) run: RunId,
    /// How long it was waited for before this was said.
    pub(super) waited: Duration,
}
