//! What is under way, and what it holds up: a job that hangs without a timeout shows here.
//!
//! Owns the look for the longest attempt and for runs that cost their job one slot after the other. All of
//! it is read from stored rows. Refuses to call a run hung: that is for whoever looks.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;

use super::answers::App;
use super::api::{HeldUp, LongestAttempt, Problem};
use crate::model::{JobId, JobName, Run, RunState, SlotState};
use crate::plan::admission::NOT_ENDED;
use crate::store::{self, SlotQuery};

/// Runs that are looked at: those that began first.
const RUNS: usize = 20;

/// Skipped slots that are counted of one run.
const SLOTS: u32 = 1000;

/// Slots that make a row of them; a single one may just have come too early.
const ROW: u64 = 2;

impl App {
    /// The attempt under way that began first.
    pub(super) async fn longest(&self, live: &[Run]) -> Result<Option<LongestAttempt>, Problem> {
        let running = live.iter().filter_map(|run| match run.state {
            RunState::Running { since, .. } => Some((since, run)),
            _ => None,
        });
        let Some((since, run)) = running.min_by_key(|(since, run)| (*since, run.id)) else {
            return Ok(None);
        };
        // The job may be gone from the jobs folder; its row has the name all the same.
        let job = self.run_row(run.id).await?.job;
        Ok(Some(LongestAttempt { job, run: run.id, attempt: run.attempts, since }))
    }

    /// Runs that have begun and not ended, each with the slots of its job that were skipped for it.
    pub(super) async fn held_up(
        &self,
        live: Vec<Run>,
        states: &BTreeMap<JobName, store::JobState>,
    ) -> Result<Vec<HeldUp>, Problem> {
        let names: HashMap<JobId, &JobName> =
            states.iter().map(|(name, state)| (state.id, name)).collect();
        let mut begun: Vec<(Timestamp, &JobName, Run)> = live
            .into_iter()
            .filter_map(|run| Some((run.started_at?, *names.get(&run.job)?, run)))
            .collect();
        begun.sort_by_key(|(since, _, run)| (*since, run.id));
        let mut held_up = Vec::new();
        for (since, job, run) in begun.into_iter().take(RUNS) {
            let query = SlotQuery {
                job: Some(job.clone()),
                states: vec![SlotState::Skipped],
                since: Some(since),
                until: None,
                limit: SLOTS,
            };
            let rows = self.store.slots(query).await?;
            let more = rows.len() >= SLOTS as usize;
            let held = format!("run {} {NOT_ENDED} ", run.id);
            let rows: Vec<_> = rows.iter().filter(|row| row.reason.starts_with(&held)).collect();
            let skipped = rows.iter().map(|row| row.count).sum();
            if let Some(oldest) = rows.last().filter(|_| skipped >= ROW) {
                let (job, first) = (job.clone(), oldest.slot);
                held_up.push(HeldUp { job, run: run.id, since, skipped, first, more });
            }
        }
        Ok(held_up)
    }
}
