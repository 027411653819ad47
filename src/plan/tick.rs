//! What should happen now: the planner's proposals.
//!
//! Owns the look: which slots are due, which waiting runs start or are too late, what the end of an
//! attempt leads to. Each [`Action`] is a wish that the store re-checks. Refuses to perform any.

use std::cmp::Reverse;
use std::sync::Arc;

use jiff::Timestamp;

use super::admission::Asks;
use super::catch_up::{self, Decided, Verdict};
use super::lifecycle::{self, Ended};
use super::staleness::{self, Stale};
use super::state::{RunImage, State};
use crate::model::{
    AttemptNo, Cause, Failure, FailureClass, JobId, NotRun, Outcome, RunId, RunState,
};

/// A proposal.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Records a slot or a request and what becomes of it.
    Record {
        /// The job.
        job: JobId,
        /// Why.
        cause: Cause,
        /// What becomes of it.
        fate: Fate,
    },
    /// Moves a job's cursor.
    Advance {
        /// The job.
        job: JobId,
        /// From here.
        from: Timestamp,
        /// To here.
        to: Timestamp,
    },
    /// Begins the next attempt of a waiting run.
    Start {
        /// The run.
        run: RunId,
        /// The attempt's number.
        attempt: AttemptNo,
    },
    /// Ends a waiting run without another attempt.
    Close {
        /// The run.
        run: RunId,
        /// Its job.
        job: JobId,
        /// Where it ends.
        state: RunState,
    },
    /// Stops the attempt under way, since a newer slot replaces it. Nothing to commit.
    Stop {
        /// The run.
        run: RunId,
    },
    /// Reports that the job's last success is too old.
    Stale {
        /// The job.
        job: JobId,
        /// Since when there was no success.
        since: Timestamp,
        /// By which promise it is too old, and how bad that is.
        stale: Stale,
    },
}

/// What becomes of a slot or a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Attempt 1 begins with the commit.
    Start,
    /// It waits.
    Wait {
        /// Why.
        why: String,
    },
    /// It does not run.
    NotRun {
        /// What it ends as.
        verdict: NotRun,
        /// Why.
        reason: String,
        /// Slots that this stands for.
        count: u64,
    },
}

/// Where the end of an attempt leads.
#[derive(Clone, Debug, PartialEq)]
pub struct EndPlan {
    /// Where the run goes.
    pub next: RunState,
    /// Runs of jobs that waited for this one's success.
    pub dependants: Vec<Action>,
}

impl State {
    /// Proposes what should happen at `now`: at most about `max` actions, since a batch is one commit;
    /// more is due when [`State::wake_at`] is not after `now`.
    pub fn tick(&mut self, now: Timestamp, max: usize) -> Vec<Action> {
        let mut actions = Vec::new();
        self.expire(now, max, &mut actions);
        self.start_ready(now, max, &mut actions);
        self.fire_due(now, max, &mut actions);
        self.report_stale(now, &mut actions);
        actions
    }

    /// Proposes the run that somebody asked for. It never uses up a slot, and waits rather than being
    /// skipped.
    pub fn trigger(&mut self, job: JobId, now: Timestamp) -> Option<Action> {
        let fate = self.admit(job, now, Asks::Person, &mut Vec::new())?;
        Some(Action::Record { job, cause: Cause::Manual(now), fate })
    }

    /// Proposes where a run goes whose attempt has ended. `None` where the run is not under way.
    pub fn ended(&mut self, run: RunId, outcome: &Outcome, now: Timestamp) -> Option<EndPlan> {
        let image = self.runs.get(&run).filter(|image| image.ready_at.is_none())?.clone();
        let next = match self.jobs.get(&image.job) {
            Some(job) => lifecycle::after_attempt(
                &job.line.policy.retry,
                Ended {
                    run,
                    attempt: image.attempts,
                    first_start: image.first_start.unwrap_or(now),
                    outcome,
                },
                now,
            ),
            // The job is gone from jobs.d: nobody wants another attempt.
            None => RunState::Finished { at: now, outcome: outcome.clone() },
        };
        self.leave_seat(image.pool.as_ref());
        if let Some(job) = self.jobs.get_mut(&image.job) {
            job.under_way.remove(&run);
        }
        let mut dependants = Vec::new();
        match &next {
            RunState::Queued { ready_at, .. } => {
                let last = match outcome {
                    Outcome::Failed(failure) => Some(failure.clone()),
                    Outcome::Succeeded { .. } => None,
                };
                let image = RunImage { ready_at: Some(*ready_at), last, ..image };
                self.insert_waiting(run, image);
            }
            RunState::Running { .. } | RunState::Finished { .. } | RunState::NotRun { .. } => {
                self.runs.remove(&run);
                if outcome.is_success() {
                    dependants = self.succeeded(run, image.job, now);
                }
                self.offer(image.job);
            }
        }
        Some(EndPlan { next, dependants })
    }

    /// Takes a waiting run out and says where it ends: as `verdict` where it has not begun or is blocked; else
    /// as its last attempt did, which no other will make good. Without a verdict somebody has cancelled it.
    pub fn close(
        &mut self,
        run: RunId,
        verdict: Option<NotRun>,
        reason: &str,
        now: Timestamp,
    ) -> Option<RunState> {
        self.unlist(run);
        let image = self.runs.remove(&run)?;
        self.offer(image.job);
        let failure = match (verdict, image.last) {
            (Some(verdict), _) if image.attempts == 0 || verdict == NotRun::Blocked => {
                let reason = reason.to_owned();
                return Some(RunState::NotRun { at: now, verdict, reason, count: 1 });
            }
            (Some(_), Some(last)) => {
                Failure { message: format!("{}; {reason}", last.message), ..last }
            }
            (None, _) | (Some(_), None) => Failure::new(FailureClass::Cancelled, reason),
        };
        Some(RunState::Finished { at: now, outcome: Outcome::Failed(failure) })
    }

    /// Completes a proposal with what the store said: the id of the run that it recorded, or none when
    /// the row was there already.
    pub fn settle(&mut self, action: &Action, recorded: Option<RunId>, now: Timestamp) {
        let Action::Record { job, cause, fate } = action else { return };
        let Some(image) = self.jobs.get_mut(job) else { return };
        let pool = image.line.policy.pool.clone();
        let starts = match fate {
            Fate::NotRun { .. } => return,
            Fate::Start => {
                image.starting = image.starting.saturating_sub(1);
                true
            }
            Fate::Wait { .. } => {
                image.unborn = image.unborn.saturating_sub(1);
                false
            }
        };
        let run = RunImage {
            job: *job,
            cause: *cause,
            attempts: u32::from(starts),
            first_start: starts.then_some(now),
            pool,
            ready_at: (!starts).then_some(now),
            last: None,
        };
        match (recorded, starts) {
            (Some(id), true) => {
                image.under_way.insert(id);
                self.runs.insert(id, run);
            }
            (Some(id), false) => self.insert_waiting(id, run),
            (None, true) => {
                self.leave_seat(run.pool.as_ref());
                self.offer(*job);
            }
            (None, false) => self.offer(*job),
        }
    }

    fn expire(&mut self, now: Timestamp, max: usize, actions: &mut Vec<Action>) {
        while actions.len() < max {
            let Some((at, run)) = self.deadlines.first().copied().filter(|(at, _)| *at <= now)
            else {
                return;
            };
            self.deadlines.remove(&(at, run));
            let Some((job, _)) = self.live(run) else { continue };
            let begun = self.runs.get(&run).is_some_and(|image| image.attempts > 0);
            let reason = if begun {
                "its next attempt could not start within retry.max_elapsed".to_owned()
            } else {
                format!("{} before its deadline", self.held_up(job))
            };
            let closed = self.close(run, Some(NotRun::Expired), &reason, now);
            actions.extend(closed.map(|state| Action::Close { run, job, state }));
        }
    }

    fn start_ready(&mut self, now: Timestamp, max: usize, actions: &mut Vec<Action>) {
        let pools: Vec<Option<Arc<str>>> = self.ready.keys().cloned().collect();
        for pool in pools {
            while actions.len() < max && self.seat_free(pool.as_ref()) {
                let first = self.ready.get(&pool).and_then(|set| set.first()).copied();
                let Some((_, run)) = first.filter(|(at, _)| *at <= now) else {
                    break;
                };
                actions.extend(self.start(run, now));
            }
            if self.ready.get(&pool).is_some_and(std::collections::BTreeSet::is_empty) {
                self.ready.remove(&pool);
            }
        }
    }

    fn start(&mut self, run: RunId, now: Timestamp) -> Option<Action> {
        let job = self.runs.get(&run)?.job;
        if let Some(Fate::NotRun { verdict, reason, .. }) = self.blocked(job) {
            let closed = self.close(run, Some(verdict), &reason, now);
            return closed.map(|state| Action::Close { run, job, state });
        }
        self.unlist(run);
        let image = self.runs.get_mut(&run)?;
        image.attempts += 1;
        image.ready_at = None;
        image.first_start.get_or_insert(now);
        let (pool, attempt) = (image.pool.clone(), image.attempts);
        self.take_seat(pool);
        if let Some(job) = self.jobs.get_mut(&job) {
            job.under_way.insert(run);
        }
        Some(Action::Start { run, attempt })
    }

    fn fire_due(&mut self, now: Timestamp, max: usize, actions: &mut Vec<Action>) {
        while actions.len() < max {
            let Some(Reverse((at, id, slot))) = self.due.peek().copied() else { return };
            if at > now {
                return;
            }
            self.due.pop();
            self.fire_job(id, slot, now, actions);
        }
    }

    /// Accounts for every slot of a job up to now.
    fn fire_job(&mut self, id: JobId, slot: Timestamp, now: Timestamp, actions: &mut Vec<Action>) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        if let Some(back) = catch_up::accept_clock(job.line.cursor, now) {
            actions.push(Action::Advance { job: id, from: job.line.cursor, to: back });
            job.line.cursor = back;
        } else if job.next.is_none_or(|next| next.slot != slot) {
            return;
        }
        let Some(schedule) = job.line.schedule.clone() else { return };
        let policy = Arc::clone(&job.line.policy);
        let from = job.line.cursor;
        let account = catch_up::account(&schedule, &policy, job.line.paused.as_deref(), from, now);
        job.next = account.next;
        job.line.cursor = account.cursor;
        if let Some(due) = account.next {
            self.due.push(Reverse((due.fire_at, id, due.slot)));
        }
        for decided in account.decided {
            let cause = Cause::Slot(decided.due.slot);
            if let Some(fate) = self.fate(id, decided, now, actions) {
                actions.push(Action::Record { job: id, cause, fate });
            }
        }
        if account.cursor != from {
            actions.push(Action::Advance { job: id, from, to: account.cursor });
        }
    }

    fn fate(
        &mut self,
        job: JobId,
        decided: Decided,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) -> Option<Fate> {
        match decided.verdict {
            Verdict::NotRun(verdict, reason) => {
                Some(Fate::NotRun { verdict, reason, count: decided.count })
            }
            Verdict::Fire(late) => {
                let fate = self.admit(job, now, Asks::Slot, actions)?;
                Some(match fate {
                    Fate::Wait { why } if !late.is_empty() => {
                        Fate::Wait { why: format!("{why}; {late}") }
                    }
                    other => other,
                })
            }
        }
    }

    fn report_stale(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        while let Some((at, id)) = self.freshness.first().copied().filter(|(at, _)| *at <= now) {
            self.freshness.remove(&(at, id));
            let Some(job) = self.jobs.get_mut(&id) else { continue };
            let Some(freshness) = &job.line.policy.freshness else { continue };
            if job.hushed.is_some_and(|until| now < until) {
                continue;
            }
            job.hushed = None;
            let found = staleness::look(freshness, job.facts(), now);
            let expected = job.line.paused.is_none() && job.line.schedule.is_some();
            let Some(stale) = found.filter(|found| expected && Some(found.severity) > job.stale)
            else {
                continue;
            };
            let since = job.facts().since;
            job.stale = Some(stale.severity);
            actions.push(Action::Stale { job: id, since, stale });
            // It may become worse.
            self.watch_freshness(id);
        }
    }
}
