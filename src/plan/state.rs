//! The planner's picture of the store: schedules' cursors, live runs, taken seats.
//!
//! Owns an image of stored rows and the indexes that make each look at it cheap. It is changed as if every
//! proposal were accepted; where one is not, the image is thrown away and built again. Refuses to
//! propose anything: that is [`super::tick`].

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::catch_up;
use super::schedule::{Due, Schedule};
use super::staleness;
use crate::model::{
    Attempt, AttemptNo, Cause, Failure, JobId, JobName, Outcome, Overlap, Policy, Run, RunId,
    RunState, Severity,
};

/// How many attempts may be under way at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seats {
    /// In all.
    pub running: usize,
    /// In each pool.
    pub pools: BTreeMap<Arc<str>, usize>,
}

/// A job as the planner sees it.
#[derive(Clone, Debug)]
pub struct JobLine {
    /// Its name, for words.
    pub name: JobName,
    /// When it is due; `None` while the job is disabled.
    pub schedule: Option<Arc<Schedule>>,
    /// What it promises.
    pub policy: Arc<Policy>,
    /// Every slot up to here, inclusive, is accounted for.
    pub cursor: Timestamp,
    /// Why it is paused, if it is.
    pub paused: Option<String>,
    /// What a credential that it needs lacks, where one holds it.
    pub held: Option<Arc<str>>,
    /// When its newest success ended.
    pub last_success: Option<Timestamp>,
    /// When its newest run with [`Cause::After`] was recorded.
    pub last_after: Option<Timestamp>,
    /// Without any success, freshness counts from here.
    pub known_since: Timestamp,
}

/// A job with what the planner keeps beside it.
#[derive(Debug)]
pub(super) struct JobImage {
    pub(super) line: JobLine,
    pub(super) next: Option<Due>,
    /// Runs with an attempt under way.
    pub(super) under_way: BTreeSet<RunId>,
    /// Attempts that begin with the commit that is being made, and get their run's id from it.
    pub(super) starting: usize,
    /// Runs that wait, by id.
    pub(super) waiting: BTreeSet<RunId>,
    /// Runs that wait and get their id with the commit that is being made.
    pub(super) unborn: usize,
    /// The times by which there must have been a success.
    pub(super) deadline: Option<Schedule>,
    /// How bad its staleness is, as far as that was reported.
    pub(super) stale: Option<Severity>,
    /// Before this time its staleness is not reported.
    pub(super) hushed: Option<Timestamp>,
}

impl JobImage {
    /// Runs of the job that are not over.
    pub(super) fn live(&self) -> usize {
        self.running() + self.waiting.len() + self.unborn
    }

    /// Attempts under way or about to be.
    pub(super) fn running(&self) -> usize {
        self.under_way.len() + self.starting
    }

    /// What its staleness is judged by.
    pub(super) fn facts(&self) -> staleness::Facts<'_> {
        staleness::Facts {
            since: self.line.last_success.unwrap_or(self.line.known_since),
            schedule: self.line.schedule.as_deref(),
            deadline: self.deadline.as_ref(),
        }
    }

    /// The oldest live run.
    pub(super) fn oldest_live(&self) -> Option<RunId> {
        self.under_way.first().or(self.waiting.first()).copied()
    }
}

/// A live run as the planner sees it.
#[derive(Clone, Debug)]
pub(super) struct RunImage {
    pub(super) job: JobId,
    pub(super) cause: Cause,
    pub(super) attempts: AttemptNo,
    pub(super) first_start: Option<Timestamp>,
    /// The pool in which it takes a seat; kept here since the job may be edited or go.
    pub(super) pool: Option<Arc<str>>,
    /// `None` while an attempt is under way.
    pub(super) ready_at: Option<Timestamp>,
    /// How its last attempt failed, while it waits for the next one.
    pub(super) last: Option<Failure>,
}

/// The image. See the module's words.
#[derive(Debug)]
pub struct State {
    pub(super) seats: Seats,
    pub(super) jobs: HashMap<JobId, JobImage>,
    pub(super) by_name: HashMap<JobName, JobId>,
    /// Upstream job to the jobs that name it in `after`.
    pub(super) dependants: HashMap<JobName, Vec<JobId>>,
    pub(super) runs: BTreeMap<RunId, RunImage>,
    /// Cache of the next slots; an entry that is not its job's `next` any more is stale.
    pub(super) due: BinaryHeap<Reverse<(Timestamp, JobId, Timestamp)>>,
    /// Runs that only time or a seat keeps from starting, by pool.
    pub(super) ready: BTreeMap<Option<Arc<str>>, BTreeSet<(Timestamp, RunId)>>,
    /// When runs that have not begun are too late to.
    pub(super) deadlines: BTreeSet<(Timestamp, RunId)>,
    /// When a job's last success becomes too old.
    pub(super) freshness: BTreeSet<(Timestamp, JobId)>,
    pub(super) taken: usize,
    pub(super) taken_in: BTreeMap<Arc<str>, usize>,
}

impl State {
    /// Builds the image from the catalog's jobs and the store's live runs, each with its last ended
    /// attempt, if there is one.
    #[must_use]
    pub fn build(
        seats: Seats,
        jobs: Vec<(JobId, JobLine)>,
        live: &[(Run, Option<Attempt>)],
        now: Timestamp,
    ) -> Self {
        let mut state = Self {
            seats,
            jobs: HashMap::with_capacity(jobs.len()),
            by_name: HashMap::with_capacity(jobs.len()),
            dependants: HashMap::new(),
            runs: BTreeMap::new(),
            due: BinaryHeap::with_capacity(jobs.len()),
            ready: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            freshness: BTreeSet::new(),
            taken: 0,
            taken_in: BTreeMap::new(),
        };
        for (id, line) in jobs {
            state.add_job(id, line, now);
        }
        for (run, last) in live {
            state.add_run(run, last.as_ref(), now);
        }
        state
    }

    /// Waiting runs whose job is not in the catalog any more: nobody can start them.
    #[must_use]
    pub fn abandoned(&self) -> Vec<RunId> {
        let waits = |image: &RunImage| image.ready_at.is_some();
        let gone = |image: &RunImage| !self.jobs.contains_key(&image.job);
        let abandoned = self.runs.iter().filter(|(_, image)| waits(image) && gone(image));
        abandoned.map(|(run, _)| *run).collect()
    }

    /// When the planner must look again if nothing happens before.
    #[must_use]
    pub fn wake_at(&self) -> Option<Timestamp> {
        let due = self.due.peek().map(|Reverse((at, ..))| *at);
        let first = |set: &BTreeSet<(Timestamp, RunId)>| set.first().map(|(at, _)| *at);
        // A run that is ready and has no seat waits for an end, not for a time.
        let ready = self
            .ready
            .iter()
            .filter(|(pool, _)| self.seat_free(pool.as_ref()))
            .filter_map(|(_, set)| first(set));
        let fresh = self.freshness.first().map(|(at, _)| *at);
        ready.chain(due).chain(first(&self.deadlines)).chain(fresh).min()
    }

    /// The key of a job in the catalog.
    #[must_use]
    pub fn job_id(&self, name: &JobName) -> Option<JobId> {
        self.by_name.get(name).copied()
    }

    /// A job's line.
    #[must_use]
    pub fn job(&self, id: JobId) -> Option<&JobLine> {
        self.jobs.get(&id).map(|job| &job.line)
    }

    /// Pauses or resumes a job.
    pub fn set_paused(&mut self, id: JobId, paused: Option<String>) {
        if let Some(job) = self.jobs.get_mut(&id) {
            job.line.paused = paused;
        }
        // Its last success may have become too old meanwhile, and was not reported then.
        self.watch_freshness(id);
    }

    /// From now on nothing new begins: every seat counts as taken.
    pub fn take_all_seats(&mut self) {
        self.seats.running = 0;
    }

    /// The job of a live run and whether an attempt of it is under way.
    #[must_use]
    pub fn live(&self, run: RunId) -> Option<(JobId, bool)> {
        self.runs.get(&run).map(|image| (image.job, image.ready_at.is_none()))
    }

    /// The job of a live run and why it exists.
    #[must_use]
    pub fn cause(&self, run: RunId) -> Option<(JobId, Cause)> {
        self.runs.get(&run).map(|image| (image.job, image.cause))
    }

    /// Live runs: (under way, waiting).
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        (self.taken, self.runs.len().saturating_sub(self.taken))
    }

    /// How many more attempts may begin, pools aside.
    #[must_use]
    pub fn seats_left(&self) -> usize {
        self.seats.running.saturating_sub(self.taken)
    }

    /// Whether a slot of the job is due.
    #[must_use]
    pub fn is_due(&self, id: JobId, now: Timestamp) -> bool {
        self.next_slot(id).is_some_and(|due| due.fire_at <= now)
    }

    /// Whether the job's last success is too old, and that was reported.
    #[must_use]
    pub fn is_stale(&self, id: JobId) -> bool {
        self.jobs.get(&id).is_some_and(|job| job.stale.is_some() || job.hushed.is_some())
    }

    /// Takes back that a job's staleness was reported: it is reported at this time, if it is stale then. At
    /// the end of all time it never is.
    pub fn hush_stale(&mut self, id: JobId, until: Timestamp) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        (job.stale, job.hushed) = (None, Some(until));
        self.watch_freshness(id);
    }

    /// A job's next slot.
    #[must_use]
    pub fn next_slot(&self, id: JobId) -> Option<Due> {
        self.jobs.get(&id).and_then(|job| job.next)
    }

    fn add_job(&mut self, id: JobId, mut line: JobLine, now: Timestamp) {
        // What a clock that was ahead has left behind would else hold up freshness and `after` until then.
        line.last_success = line.last_success.map(|at| at.min(now));
        line.last_after = line.last_after.map(|at| at.min(now));
        line.known_since = line.known_since.min(now);
        let next = line.schedule.as_ref().and_then(|schedule| schedule.next_after(line.cursor));
        self.by_name.insert(line.name.clone(), id);
        for upstream in &line.policy.after {
            self.dependants.entry(upstream.clone()).or_default().push(id);
        }
        if let Some(due) = next {
            self.due.push(Reverse((due.fire_at, id, due.slot)));
        }
        let by = line.policy.freshness.as_ref().and_then(|freshness| freshness.by.as_ref());
        let deadline = by.and_then(staleness::compile);
        let job = JobImage {
            line,
            next,
            under_way: BTreeSet::new(),
            starting: 0,
            waiting: BTreeSet::new(),
            unborn: 0,
            deadline,
            stale: None,
            hushed: None,
        };
        self.jobs.insert(id, job);
        self.watch_freshness(id);
        self.forgive_clock(id, now);
    }

    /// Puts a cursor back that a wrong clock left in the far future (see [`catch_up::accept_clock`]).
    fn forgive_clock(&mut self, id: JobId, now: Timestamp) {
        let Some(job) = self.jobs.get(&id) else { return };
        if catch_up::accept_clock(job.line.cursor, now).is_some() {
            // The next look at the job accounts from there, and commits it.
            self.due.push(Reverse((now, id, job.next.map_or(now, |due| due.slot))));
        }
    }

    fn add_run(&mut self, run: &Run, last: Option<&Attempt>, now: Timestamp) {
        let queued_at = last.map_or(run.created_at, |last| last.ended_at);
        let (ready_at, running) = match &run.state {
            // Queued in the future: the clock was ahead then. The wait counts from now.
            RunState::Queued { ready_at, .. } if queued_at > now => {
                let wait = ready_at.duration_since(queued_at);
                (Some(now.saturating_add(wait).unwrap_or(now).min(*ready_at)), false)
            }
            RunState::Queued { ready_at, .. } => (Some(*ready_at), false),
            RunState::Running { .. } => (None, true),
            RunState::Finished { .. } | RunState::NotRun { .. } => return,
        };
        let pool = self.jobs.get(&run.job).and_then(|job| job.line.policy.pool.clone());
        let image = RunImage {
            job: run.job,
            cause: run.cause,
            attempts: run.attempts,
            first_start: run.started_at,
            pool,
            ready_at,
            last: last.and_then(|last| match &last.outcome {
                Outcome::Failed(failure) => Some(failure.clone()),
                Outcome::Succeeded { .. } => None,
            }),
        };
        if running {
            self.take_seat(image.pool.clone());
            if let Some(job) = self.jobs.get_mut(&run.job) {
                job.under_way.insert(run.id);
            }
            self.runs.insert(run.id, image);
        } else {
            self.insert_waiting(run.id, image);
        }
    }

    pub(super) fn insert_waiting(&mut self, id: RunId, image: RunImage) {
        let job = image.job;
        if let Some(at) = self.start_deadline(&image) {
            self.deadlines.insert((at, id));
        }
        self.runs.insert(id, image);
        if let Some(job) = self.jobs.get_mut(&job) {
            job.waiting.insert(id);
        }
        self.offer(job);
    }

    /// Takes a waiting run out of every index but `runs`.
    pub(super) fn unlist(&mut self, id: RunId) {
        let Some(image) = self.runs.get(&id) else { return };
        let deadline = self.start_deadline(image);
        if let Some(at) = deadline {
            self.deadlines.remove(&(at, id));
        }
        if let Some(at) = image.ready_at
            && let Some(set) = self.ready.get_mut(&image.pool)
        {
            set.remove(&(at, id));
        }
        let job = image.job;
        if let Some(job) = self.jobs.get_mut(&job) {
            job.waiting.remove(&id);
        }
    }

    /// The first instant that is too late for a run's next attempt: the first one must start in time for its
    /// slot, and a later one in time for `max_elapsed`.
    fn start_deadline(&self, image: &RunImage) -> Option<Timestamp> {
        let policy = &self.jobs.get(&image.job)?.line.policy;
        let (from, most) = if image.attempts > 0 {
            (image.first_start?, policy.retry.max_elapsed?)
        } else {
            (image.cause.slot()?, policy.deadline?)
        };
        from.checked_add(most.saturating_add(Duration::from_millis(1))).ok()
    }

    /// Lists those waiting runs of a job as ready that nothing but time and seats holds back: all where
    /// runs may overlap, else one when none is under way: the one that has begun, or the oldest.
    pub(super) fn offer(&mut self, id: JobId) {
        let Some(job) = self.jobs.get(&id) else { return };
        let allow = job.line.policy.overlap == Overlap::Allow;
        let begun = |run: &&RunId| self.runs.get(run).is_some_and(|image| image.attempts > 0);
        let offered: Vec<RunId> = if allow {
            job.waiting.iter().copied().collect()
        } else if job.running() > 0 {
            Vec::new()
        } else {
            job.waiting.iter().find(begun).or(job.waiting.first()).copied().into_iter().collect()
        };
        for run in offered {
            let Some(image) = self.runs.get(&run) else { continue };
            if let Some(at) = image.ready_at {
                self.ready.entry(image.pool.clone()).or_default().insert((at, run));
            }
        }
    }

    pub(super) fn seat_free(&self, pool: Option<&Arc<str>>) -> bool {
        if self.taken >= self.seats.running {
            return false;
        }
        let Some(pool) = pool else { return true };
        let taken = self.taken_in.get(pool).copied().unwrap_or(0);
        // A pool that is gone from the settings holds nobody back: validation reports it.
        self.seats.pools.get(pool).is_none_or(|most| taken < *most)
    }

    /// What kept a waiting run of the job from starting.
    pub(super) fn held_up(&self, id: JobId) -> String {
        let Some(job) = self.jobs.get(&id) else { return "it could not start".to_owned() };
        let policy = &job.line.policy;
        match &policy.pool {
            _ if job.running() > 0 && policy.overlap != Overlap::Allow => {
                format!("{} had not ended", self.live_words(id))
            }
            _ if self.taken >= self.seats.running => {
                "no seat of the daemon was free (limits.running)".to_owned()
            }
            Some(pool) if !self.seat_free(Some(pool)) => format!("no seat of pool {pool} was free"),
            _ => "it could not start".to_owned(),
        }
    }

    /// The live run of a job, in words.
    pub(super) fn live_words(&self, id: JobId) -> String {
        let run = self.jobs.get(&id).and_then(JobImage::oldest_live);
        run.map_or_else(|| "an earlier run".to_owned(), |run| format!("run {run}"))
    }

    pub(super) fn take_seat(&mut self, pool: Option<Arc<str>>) {
        self.taken += 1;
        if let Some(pool) = pool {
            *self.taken_in.entry(pool).or_default() += 1;
        }
    }

    pub(super) fn leave_seat(&mut self, pool: Option<&Arc<str>>) {
        self.taken = self.taken.saturating_sub(1);
        if let Some(taken) = pool.and_then(|pool| self.taken_in.get_mut(pool)) {
            *taken = taken.saturating_sub(1);
        }
    }

    /// Notes when the job's last success becomes too old.
    pub(super) fn watch_freshness(&mut self, id: JobId) {
        let Some(job) = self.jobs.get(&id) else { return };
        let Some(freshness) = &job.line.policy.freshness else { return };
        if let Some(at) = staleness::next(freshness, job.facts(), job.stale) {
            let at = job.hushed.map_or(at, |until| until.max(at));
            if at < Timestamp::MAX {
                self.freshness.insert((at, id));
            }
        }
    }
}
