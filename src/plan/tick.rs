//! What should happen now: the planner's proposals.
//!
//! Owns admission: which due slots fire, wait or are skipped, which waiting runs start, what the end of an
//! attempt leads to. Each [`Action`] is a wish that the store re-checks. Refuses to perform any.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::catch_up::{self, Decided, Verdict, words};
use super::lifecycle::{self, Ended};
use super::state::{RunImage, State};
use crate::model::{
    AttemptNo, Cause, Failure, FailureClass, JobId, NotRun, Outcome, Overlap, RunId, RunState,
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
        /// How old it may be.
        allowed: Duration,
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
        let fate = self.admit(job, now, true, &mut Vec::new())?;
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
                let image = RunImage { ready_at: Some(*ready_at), ..image };
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

    /// Takes a waiting run out and says where it ends: as `verdict` where it has not begun or is blocked,
    /// else as cancelled, for then something did run.
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
        let reason = reason.to_owned();
        let state = match verdict {
            Some(verdict) if image.attempts == 0 || verdict == NotRun::Blocked => {
                RunState::NotRun { at: now, verdict, reason, count: 1 }
            }
            _ => {
                let failure = Failure::new(FailureClass::Cancelled, reason);
                RunState::Finished { at: now, outcome: Outcome::Failed(failure) }
            }
        };
        Some(state)
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
            let reason = format!("{} before its deadline", self.held_up(job));
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
                let fate = self.admit(job, now, false, actions)?;
                Some(match fate {
                    Fate::Wait { why } if !late.is_empty() => {
                        Fate::Wait { why: format!("{why}; {late}") }
                    }
                    other => other,
                })
            }
        }
    }

    /// Decides by overlap and seats whether a new run starts, waits or is skipped, and reserves what it
    /// takes. `asked` for by a person, it is never skipped.
    fn admit(
        &mut self,
        id: JobId,
        now: Timestamp,
        asked: bool,
        actions: &mut Vec<Action>,
    ) -> Option<Fate> {
        if let Some(blocked) = self.blocked(id) {
            return Some(blocked);
        }
        let (overlap, pool, live) = {
            let job = self.jobs.get(&id)?;
            (job.line.policy.overlap, job.line.policy.pool.clone(), job.live())
        };
        let fate = if live == 0 || overlap == Overlap::Allow {
            self.seat_or_wait(pool.as_ref())
        } else if asked {
            Fate::Wait { why: format!("waits for {} to end", self.live_words(id)) }
        } else {
            self.overlapped(id, overlap, now, actions)
        };
        let job = self.jobs.get_mut(&id)?;
        match fate {
            Fate::Start => {
                job.starting += 1;
                self.take_seat(pool);
            }
            Fate::Wait { .. } => job.unborn += 1,
            Fate::NotRun { .. } => {}
        }
        Some(fate)
    }

    fn seat_or_wait(&self, pool: Option<&Arc<str>>) -> Fate {
        if self.seat_free(pool) {
            return Fate::Start;
        }
        let most = self.seats.running;
        let why = match pool {
            Some(pool) if self.taken < most => {
                let seats = self.seats.pools.get(pool).copied().unwrap_or(0);
                format!("waits for one of the {seats} seats of pool {pool}")
            }
            _ => format!("waits for one of the {most} seats of the daemon (limits.running)"),
        };
        Fate::Wait { why }
    }

    /// The fate of a slot that finds a live run of its job.
    fn overlapped(
        &mut self,
        id: JobId,
        overlap: Overlap,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) -> Fate {
        let live = self.live_words(id);
        let Some(job) = self.jobs.get(&id) else {
            return Fate::Wait { why: String::new() };
        };
        let queued = job.waiting.len() + job.unborn;
        let skipped = |reason: String| Fate::NotRun { verdict: NotRun::Skipped, reason, count: 1 };
        match overlap {
            Overlap::Allow => self.seat_or_wait(job.line.policy.pool.as_ref()),
            Overlap::Skip => skipped(format!("{live} had not ended (overlap: skip)")),
            Overlap::Queue if queued >= 1 => {
                skipped(format!("{live} had not ended and a run waits already (overlap: queue)"))
            }
            Overlap::QueueAll { max } if queued >= max as usize => skipped(format!(
                "{live} had not ended and {queued} runs wait already (overlap: queue_all)"
            )),
            Overlap::Queue | Overlap::QueueAll { .. } => {
                Fate::Wait { why: format!("waits for {live} to end") }
            }
            Overlap::Cancel => {
                self.replace_live(id, now, actions);
                Fate::Wait { why: format!("waits for {live} to end: it is being cancelled") }
            }
        }
    }

    /// Stops the attempts of a job and closes its waiting runs, for a newer slot replaces them.
    fn replace_live(&mut self, id: JobId, now: Timestamp, actions: &mut Vec<Action>) {
        let Some(job) = self.jobs.get(&id) else { return };
        let under_way = job.under_way.iter().map(|run| (*run, true));
        let live: Vec<_> = under_way.chain(job.waiting.iter().map(|run| (*run, false))).collect();
        for (run, under_way) in live {
            if under_way {
                actions.push(Action::Stop { run });
            } else {
                let reason = "a newer slot replaced it (overlap: cancel)";
                let closed = self.close(run, Some(NotRun::Skipped), reason, now);
                actions.extend(closed.map(|state| Action::Close { run, job: id, state }));
            }
        }
    }

    /// Notes a success, and proposes the runs that waited for it.
    fn succeeded(&mut self, run: RunId, id: JobId, now: Timestamp) -> Vec<Action> {
        let Some(job) = self.jobs.get_mut(&id) else { return Vec::new() };
        job.line.last_success = Some(now);
        job.stale = false;
        let name = job.line.name.clone();
        self.watch_freshness(id);
        let dependants = self.dependants.get(&name).cloned().unwrap_or_default();
        let mut actions = Vec::new();
        for dependant in dependants {
            if !self.upstream_complete(dependant) {
                continue;
            }
            if let Some(fate) = self.admit(dependant, now, true, &mut actions) {
                if let Some(job) = self.jobs.get_mut(&dependant) {
                    job.line.last_after = Some(now);
                }
                actions.push(Action::Record { job: dependant, cause: Cause::After(run), fate });
            }
        }
        actions
    }

    /// Whether each upstream job has succeeded since the job was last started by `after`.
    fn upstream_complete(&self, id: JobId) -> bool {
        let Some(job) = self.jobs.get(&id) else { return false };
        if job.line.schedule.is_none() || job.line.paused.is_some() {
            return false;
        }
        let last_success = |name| {
            let upstream = self.by_name.get(name).and_then(|id| self.jobs.get(id))?;
            upstream.line.last_success
        };
        job.line.policy.after.iter().all(|name| last_success(name) > job.line.last_after)
    }

    fn report_stale(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        while let Some((at, id)) = self.freshness.first().copied().filter(|(at, _)| *at <= now) {
            self.freshness.remove(&(at, id));
            let Some(job) = self.jobs.get_mut(&id) else { continue };
            let Some(allowed) = job.line.policy.freshness else { continue };
            let since = job.line.last_success.unwrap_or(job.line.known_since);
            let too_old = now.duration_since(since).unsigned_abs() >= allowed;
            if too_old && !job.stale && job.line.paused.is_none() {
                job.stale = true;
                actions.push(Action::Stale { job: id, since, allowed });
            }
        }
    }
}

/// The line that an incident shows for a job whose last success is too old.
#[must_use]
pub fn stale_words(since: Timestamp, allowed: Duration, now: Timestamp) -> String {
    let age = now.duration_since(since).unsigned_abs();
    format!("no success for {} (allowed: {})", words(age), words(allowed))
}
