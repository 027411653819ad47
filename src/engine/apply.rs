//! The commit and what follows from it: attempts begin, answers are given.
//!
//! Owns the order "durable first, then it happens". Refuses to plan anything.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::attempt::{self, Bounds};
use super::dispatch::{Anew, Dispatcher, LEASE, Live, STORE_RETRY, pull};
use super::draft::{self, Draft, Then};
use super::requests::reply;
use super::{Refusal, View};
use crate::kinds::facts::{Facts, Success};
use crate::kinds::{AttemptContext, Seen, Stop, StopReason, Work};
use crate::model::{AttemptNo, Cause, JobId, RunId};
use crate::plan::tick::{Action, Fate};
use crate::store::{Applied, Batch};

impl Dispatcher {
    /// Makes the draft durable, then lets its consequences happen.
    pub(super) async fn commit(&mut self, draft: Draft, now: Timestamp) {
        if draft.is_empty() {
            return;
        }
        let (changes, then, stops) = draft.split();
        if self.is_lost() {
            return refuse_all(then, &crate::store::Error::Closed);
        }
        let applied = if changes.is_empty() {
            Vec::new()
        } else {
            match self.parts.store.commit(Batch { now, changes }).await {
                Ok(applied) => applied,
                Err(error) => {
                    refuse_all(then, &error);
                    return self.store_failed(&error, now);
                }
            }
        };
        self.changes += 1;
        let kept: HashSet<RunId> = then.iter().filter_map(Then::kept).collect();
        if !kept.is_empty() {
            self.ended.retain(|ended| !kept.contains(&ended.run));
        }
        for (then, applied) in then.into_iter().zip(applied) {
            self.follow(then, applied, now);
        }
        for run in stops {
            if let Some(live) = self.live.get(&run) {
                pull(&live.pull, StopReason::Cancelled);
            }
        }
    }

    fn follow(&mut self, then: Then, applied: Applied, now: Timestamp) {
        let refused = applied == Applied::Refused;
        match then {
            Then::Ignore => {}
            Then::Settle(action) => self.settle(&action, applied, now),
            Then::Kept(run) => {
                self.stale |= refused;
                self.release(run);
            }
            Then::Triggered(action, answer) => {
                self.settle(&action, applied, now);
                let refusal = || Refusal::Store("another request came first; ask again".to_owned());
                reply(answer, draft::recorded(applied).ok_or_else(refusal));
            }
            Then::Agree => self.stale |= refused,
            Then::Answer(answer) => {
                self.stale |= refused;
                let refusal = || Refusal::Store("the store had changed; ask again".to_owned());
                reply(answer, if refused { Err(refusal()) } else { Ok(()) });
            }
        }
    }

    /// Forgets an attempt whose result is kept, and tells those who waited for its end.
    pub(super) fn release(&mut self, run: RunId) {
        if let Some(live) = self.live.remove(&run) {
            for answer in live.cancelled_by {
                reply(answer, Ok(()));
            }
        }
    }

    /// Tells the planner what the store said, and begins what is to begin.
    fn settle(&mut self, action: &Action, applied: Applied, now: Timestamp) {
        self.state.settle(action, draft::recorded(applied), now);
        match action {
            // Refused means that the slot has its row already, from before a step of the clock.
            Action::Record { job, cause, fate } => {
                if let (Fate::Start, Some(run)) = (fate, draft::recorded(applied)) {
                    self.begin(run, *job, 1, (*cause, now));
                }
            }
            Action::Start { run, attempt } => {
                if applied == Applied::Refused {
                    self.stale = true;
                } else if let Some((job, cause)) = self.state.cause(*run) {
                    self.begin(*run, job, *attempt, (cause, now));
                }
            }
            Action::Advance { .. } | Action::Close { .. } => {
                self.stale |= applied == Applied::Refused;
            }
            Action::Stop { .. } | Action::Stale { .. } => {}
        }
    }

    /// Begins an attempt whose claim is durable.
    pub(super) fn begin(
        &mut self,
        run: RunId,
        job: JobId,
        no: AttemptNo,
        (cause, started_at): (Cause, Timestamp),
    ) {
        let Some(job) = self.jobs.get(&job) else {
            self.stale = true;
            return;
        };
        let (pull, stop) = Stop::pair();
        let pull = Arc::new(pull);
        let seen = Seen::default();
        let context = AttemptContext {
            run,
            job: job.name.clone(),
            no,
            node: self.parts.node,
            cause,
            started_at,
            work: Arc::clone(&job.work),
            setting: Arc::clone(&job.setting),
            output: self.parts.outputs.open(run, no, job.setting.limits.output),
            facts: self.facts(&job.work),
            seen: seen.clone(),
            stop,
            clock: Arc::clone(&self.parts.clock),
        };
        let bounds = Bounds { timeout: job.policy.timeout, grace: job.policy.grace };
        let performer = Arc::clone(&self.parts.perform);
        let attempt = attempt::run(performer, context, Arc::clone(&pull), bounds);
        let task = self.attempts.spawn(attempt);
        self.tasks.insert(task.id(), run);
        self.live.insert(
            run,
            Live { fence: no, pull, seen, since: started_at, cancelled_by: Vec::new() },
        );
    }

    /// What an attempt at this work may know.
    fn facts(&self, work: &Work) -> Facts {
        let about = work.asks_about().into_iter().filter_map(|name| {
            let line = self.state.job(self.state.job_id(name)?)?;
            let (last, known_since) = (line.last_success, line.known_since);
            Some((name.value.clone(), Success { last, known_since }))
        });
        Facts { looked: None, successes: about.collect() }
    }

    /// Extends the claims of this incarnation while something is under way.
    pub(super) async fn renew(&mut self, now: Timestamp) {
        if self.live.is_empty() || now < self.lease_until - LEASE * 2 / 3 {
            return;
        }
        let until = now + LEASE;
        match self.parts.store.renew(self.parts.node, until).await {
            Ok(()) => self.lease_until = until,
            Err(error) => self.store_failed(&error, now),
        }
    }

    /// Nothing of a failed batch holds: what was asked is refused, what ended is kept for the next try,
    /// and the image, which had taken it for granted, is built again.
    pub(super) fn store_failed(&mut self, error: &crate::store::Error, now: Timestamp) {
        if self.store_trouble.is_none() {
            tracing::error!(%error, "the store failed; nothing starts until it works again");
        }
        self.store_trouble = Some(error.to_string().into());
        self.anew = Anew::Start;
        self.stale = true;
        self.store_down_until = Some(now + STORE_RETRY);
    }

    /// Shows readers what changed, and answers those who waited for the catalog to be in force.
    pub(super) fn publish(&mut self) {
        if !self.stale {
            for answer in self.installed_for.drain(..) {
                reply(answer, ());
            }
        }
        let (running, queued) = self.state.counts();
        let view = View {
            catalog: Arc::clone(&self.catalog),
            wake_at: self.state.wake_at(),
            running,
            queued,
            started_at: self.started_at,
            changes: self.changes,
            store_trouble: self.store_trouble.clone(),
            held: Arc::clone(&self.held_jobs),
            standings: Arc::clone(&self.standings),
        };
        self.channels.view.send_if_modified(|shown| {
            let same = alike(shown, &view);
            if !same {
                *shown = Arc::new(view);
            }
            !same
        });
    }
}

/// Whether two views show the same.
fn alike(one: &View, other: &View) -> bool {
    let figures =
        |view: &View| (view.wake_at, view.running, view.queued, view.changes, view.started_at);
    Arc::ptr_eq(&one.catalog, &other.catalog)
        && figures(one) == figures(other)
        && Arc::ptr_eq(&one.held, &other.held)
        && Arc::ptr_eq(&one.standings, &other.standings)
        && one.store_trouble == other.store_trouble
}

/// Answers those who asked for what a failed batch did not keep.
pub(super) fn refuse_all(then: Vec<Then>, error: &crate::store::Error) {
    let refusal = Refusal::Store(error.to_string());
    for then in then {
        match then {
            Then::Triggered(_, answer) => reply(answer, Err(refusal.clone())),
            Then::Answer(answer) => reply(answer, Err(refusal.clone())),
            Then::Ignore | Then::Agree | Then::Settle(_) | Then::Kept(_) => {}
        }
    }
}
