//! What the loop makes incidents of besides looks: files that are bad, attempts that do not end.
//!
//! Owns the moments at which they are planned, in the commit of what caused them. Refuses to know their words
//! (`incidents`) and what the ends of runs mean (`looks`).

use std::time::Duration;

use jiff::Timestamp;

use super::dispatch::Dispatcher;
use super::draft::{Draft, Then};
use crate::model::{IncidentChange, NotRun, RunId};
use crate::store::Change;

impl Dispatcher {
    /// Squares runs and incidents with the catalog, once for each new image.
    pub(super) fn plan_catalog(&mut self, draft: &mut Draft, now: Timestamp) {
        if !std::mem::take(&mut self.fresh) {
            return;
        }
        draft.fresh = true;
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
}

/// An attempt that was told to stop and has not ended.
#[derive(Clone, Debug)]
pub(super) struct Overdue {
    pub(super) run: RunId,
    /// How long it was waited for before this was said.
    pub(super) waited: Duration,
}
