//! Whether a new run starts, waits or is skipped.
//!
//! Owns overlap, seats and `after`: what finds a live run of its job, what finds no seat, and what a
//! success starts. Refuses to know slots that passed: that is [`super::catch_up`].

use std::sync::Arc;

use jiff::Timestamp;

use super::state::{JobImage, State};
use super::tick::{Action, Fate};
use crate::model::{Cause, JobId, NotRun, Overlap, RunId};

/// What the reason of a slot that was skipped for a live run says of that run.
pub const NOT_ENDED: &str = "had not ended";

/// Who asks for a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asks {
    /// The schedule.
    Slot,
    /// A person, whose run is never skipped.
    Person,
    /// A job named in `after` has succeeded.
    Success,
}

impl State {
    /// Decides by overlap and seats whether a new run starts, waits or is skipped, and reserves what it
    /// takes.
    pub(super) fn admit(
        &mut self,
        id: JobId,
        now: Timestamp,
        asks: Asks,
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
        } else {
            match asks {
                Asks::Person => {
                    Fate::Wait { why: format!("waits for {} to end", self.live_words(id)) }
                }
                Asks::Success => self.follows(id, overlap),
                Asks::Slot => self.overlapped(id, overlap, now, actions),
            }
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
            _ if most == 0 => "waits for the next start of the daemon: it is stopping".to_owned(),
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
        let queued = self.queued(job);
        let skipped = |reason: String| Fate::NotRun { verdict: NotRun::Skipped, reason, count: 1 };
        match overlap {
            Overlap::Allow => self.seat_or_wait(job.line.policy.pool.as_ref()),
            Overlap::Skip => skipped(format!("{live} {NOT_ENDED} (overlap: skip)")),
            Overlap::Queue if queued >= 1 => {
                skipped(format!("{live} {NOT_ENDED} and a run waits already (overlap: queue)"))
            }
            Overlap::QueueAll { max } if queued >= max as usize => skipped(format!(
                "{live} {NOT_ENDED} and {queued} runs wait already (overlap: queue_all)"
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

    /// The fate of a run after a success that finds a live run of its job. It waits, whatever the job's slots
    /// do, since a success comes once; but as many successes may come before the job is free, and one
    /// run that has not begun does the work of them all, no more wait than the policy allows.
    fn follows(&self, id: JobId, overlap: Overlap) -> Fate {
        let live = self.live_words(id);
        let most = match overlap {
            Overlap::Allow => usize::MAX,
            Overlap::QueueAll { max } => max as usize,
            Overlap::Skip | Overlap::Queue | Overlap::Cancel => 1,
        };
        if self.jobs.get(&id).is_none_or(|job| self.queued(job) < most) {
            return Fate::Wait { why: format!("waits for {live} to end") };
        }
        let reason = format!("{live} had not ended and a run that waits already stands for it");
        Fate::NotRun { verdict: NotRun::Skipped, reason, count: 1 }
    }

    /// Runs of a job that wait for their first attempt. One between two attempts is not in the queue: it is
    /// the live run that the queue waits for.
    fn queued(&self, job: &JobImage) -> usize {
        let fresh = |run: &&RunId| self.runs.get(run).is_some_and(|image| image.attempts == 0);
        job.waiting.iter().filter(fresh).count() + job.unborn
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
    pub(super) fn succeeded(&mut self, run: RunId, id: JobId, now: Timestamp) -> Vec<Action> {
        let Some(job) = self.jobs.get_mut(&id) else { return Vec::new() };
        job.line.last_success = Some(now);
        (job.stale, job.hushed) = (None, None);
        let name = job.line.name.clone();
        self.watch_freshness(id);
        let dependants = self.dependants.get(&name).cloned().unwrap_or_default();
        let mut actions = Vec::new();
        for dependant in dependants {
            if !self.upstream_complete(dependant) {
                continue;
            }
            if let Some(fate) = self.admit(dependant, now, Asks::Success, &mut actions) {
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
}
