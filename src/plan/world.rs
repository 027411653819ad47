//! Tests of the planner over a store that is only a counter and a list.
//!
//! Owns a small world in which every proposal is accepted at once, and the laws that must hold in it after
//! each look. Refuses to know how rows are kept: `tests/simulation.rs` does the same over the real store.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;

use super::schedule::{Schedule, TriggerSpec, When};
use super::state::{JobLine, Seats, State};
use super::tick::{Action, Fate};
use crate::model::{
    Backoff, CatchUp, CatchUpMode, Cause, CredentialName, Failure, FailureClass, Freshness, JobId,
    JobName, NotRun, Outcome, Overlap, Policy, Retry, Run, RunId, RunState,
};

mod laws;
mod waiting;

const MINUTE: Duration = Duration::from_mins(1);

fn start() -> Timestamp {
    Timestamp::from_second(1_800_000_000).expect("in range")
}

/// A world with jobs `j0`, `j1`… and everything that was decided in it.
struct World {
    state: State,
    now: Timestamp,
    next_run: i64,
    /// Attempts under way, with their job.
    under_way: BTreeMap<RunId, JobId>,
    /// What became of each cause.
    rows: BTreeMap<(i64, String), String>,
    stopped: BTreeSet<RunId>,
    stale: Vec<JobId>,
    /// Every recorded run in the state that it was recorded in.
    history: Vec<Run>,
}

impl World {
    fn new(running: usize, jobs: Vec<(Option<Duration>, Policy)>) -> Self {
        let pools = [(Arc::from("small"), 1)].into_iter().collect();
        let lines = jobs.into_iter().enumerate().map(|(index, (period, policy))| {
            let triggers: Vec<_> =
                period.into_iter().map(|period| TriggerSpec::new(When::Every(period))).collect();
            let name = JobName::parse(&format!("j{index}")).expect("a legal name");
            let line = JobLine {
                schedule: Some(Arc::new(
                    Schedule::compile(&triggers, name.as_str()).expect("legal periods"),
                )),
                name,
                policy: Arc::new(policy),
                cursor: start(),
                paused: None,
                held: None,
                last_success: None,
                last_after: None,
                known_since: start(),
            };
            (JobId(i64::try_from(index).expect("few")), line)
        });
        let state = State::build(Seats { running, pools }, lines.collect(), &[], start());
        Self {
            state,
            now: start(),
            next_run: 1,
            under_way: BTreeMap::new(),
            rows: BTreeMap::new(),
            stopped: BTreeSet::new(),
            stale: Vec::new(),
            history: Vec::new(),
        }
    }

    /// One job every minute.
    fn minutely(policy: Policy) -> Self {
        Self::new(10, vec![(Some(MINUTE), policy)])
    }

    /// Lets time pass and looks until nothing more is due.
    fn pass(&mut self, time: Duration) -> &mut Self {
        self.now += time;
        for _ in 0..100 {
            for action in self.state.tick(self.now, 64) {
                self.accept(&action);
            }
            self.check();
            if self.state.wake_at().is_none_or(|at| at > self.now) {
                return self;
            }
        }
        panic!("the planner never comes to rest: it wakes at {:?}", self.state.wake_at());
    }

    fn accept(&mut self, action: &Action) {
        let mut recorded = None;
        match action {
            Action::Record { job, cause, fate } => {
                let (word, run) = self.birth(*job, fate);
                recorded = run;
                self.remember(*job, *cause, fate, run);
                let earlier = self.rows.insert((job.0, format!("{cause:?}")), word);
                assert_eq!(earlier, None, "{job} {cause:?} was decided twice");
            }
            Action::Start { run, .. } => {
                let (job, _) = self.state.live(*run).expect("a live run starts");
                self.under_way.insert(*run, job);
            }
            Action::Close { run, state, .. } => {
                let word = match state {
                    RunState::NotRun { verdict, reason, .. } => format!("{verdict:?}: {reason}"),
                    other => format!("{other:?}"),
                };
                self.rows.insert((-1, format!("closed {run}")), word);
            }
            Action::Stop { run } => {
                self.stopped.insert(*run);
            }
            Action::Stale { job, .. } => self.stale.push(*job),
            Action::Advance { .. } => {}
        }
        self.state.settle(action, recorded, self.now);
    }

    fn remember(&mut self, job: JobId, cause: Cause, fate: &Fate, run: Option<RunId>) {
        let state = match fate {
            Fate::NotRun { verdict, reason, count } => RunState::NotRun {
                at: self.now,
                verdict: *verdict,
                reason: reason.clone(),
                count: *count,
            },
            Fate::Start | Fate::Wait { .. } => {
                RunState::Queued { ready_at: self.now, why: String::new() }
            }
        };
        self.history.extend(run.map(|id| Run {
            id,
            job,
            cause,
            state,
            attempts: 0,
            created_at: self.now,
            started_at: None,
        }));
    }

    fn birth(&mut self, job: JobId, fate: &Fate) -> (String, Option<RunId>) {
        let run = RunId(self.next_run);
        self.next_run += 1;
        match fate {
            Fate::Start => {
                self.under_way.insert(run, job);
                ("started".into(), Some(run))
            }
            Fate::Wait { .. } => ("waits".into(), Some(run)),
            Fate::NotRun { verdict, .. } => (format!("{verdict:?}"), Some(run)),
        }
    }

    /// Ends the oldest attempt under way, and says where its run went.
    fn end(&mut self, outcome: &Outcome) -> RunState {
        let run = *self.under_way.keys().next().expect("something is under way");
        self.end_run(run, outcome)
    }

    fn end_run(&mut self, run: RunId, outcome: &Outcome) -> RunState {
        self.under_way.remove(&run);
        let plan = self.state.ended(run, outcome, self.now).expect("it was under way");
        for action in &plan.dependants {
            self.accept(action);
        }
        self.check();
        plan.next
    }

    fn trigger(&mut self, job: i64) {
        self.now += Duration::from_millis(1);
        let action = self.state.trigger(JobId(job), self.now).expect("the job exists");
        self.accept(&action);
        self.check();
    }

    /// A credential holds the job from now on, or lets it go again: then what the store calls its
    /// blocked tail is offered, and what is taken of it starts.
    fn hold(&mut self, job: i64, held: bool) {
        let before = self.state.set_held(JobId(job), held.then(|| "google/ops is dead".into()));
        if held || !before {
            return;
        }
        let mut tail = Vec::new();
        for run in self.history.iter().rev().filter(|run| run.job == JobId(job)) {
            match (&run.state, run.cause) {
                (RunState::NotRun { .. }, Cause::Slot(_)) => tail.push(run.clone()),
                (RunState::NotRun { .. }, _) => {}
                _ => break,
            }
        }
        let blocked =
            |run: &Run| matches!(run.state, RunState::NotRun { verdict: NotRun::Blocked, .. });
        tail.retain(blocked);
        for (run, _) in self.state.release(JobId(job), &tail, self.now) {
            self.history.retain(|old| old.id != run);
        }
        self.pass(Duration::ZERO);
    }

    /// What became of the rows, oldest first, one word each.
    fn words(&self, job: i64) -> Vec<&str> {
        let of_job = self.rows.iter().filter(|((id, _), _)| *id == job);
        of_job.map(|(_, word)| word.as_str()).collect()
    }

    /// The laws.
    fn check(&self) {
        let (under_way, waiting) = self.state.counts();
        assert_eq!(under_way, self.under_way.len());
        assert!(under_way <= self.state.seats.running, "more under way than there are seats");
        let mut per_job: BTreeMap<JobId, usize> = BTreeMap::new();
        for job in self.under_way.values() {
            *per_job.entry(*job).or_default() += 1;
        }
        let mut small = 0;
        for (id, running) in per_job {
            let policy = &self.state.job(id).expect("known").policy;
            assert!(policy.overlap == Overlap::Allow || running <= 1, "{id} overlaps");
            small += if policy.pool.is_some() { running } else { 0 };
        }
        assert!(small <= 1, "pool 'small' has one seat");
        let listed: usize = self.state.jobs.values().map(|job| job.waiting.len()).sum();
        assert_eq!(listed, waiting, "a waiting run is not listed under its job");
    }
}

fn fresh(minutes: u64) -> Freshness {
    Freshness { breach: Some(Duration::from_mins(minutes)), ..Freshness::default() }
}

fn fine() -> Outcome {
    Outcome::Succeeded { note: String::new() }
}

fn broken(class: FailureClass) -> Outcome {
    Outcome::Failed(Failure::new(class, "x"))
}

fn overlap(overlap: Overlap) -> Policy {
    Policy { overlap, ..Policy::default() }
}

#[test]
fn overlap_decides_what_a_due_slot_does() {
    let cases: &[(Overlap, &[&str])] = &[
        (Overlap::Skip, &["started", "Skipped", "Skipped"]),
        (Overlap::Queue, &["started", "waits", "Skipped"]),
        (Overlap::QueueAll { max: 1 }, &["started", "waits", "Skipped"]),
        (Overlap::QueueAll { max: 9 }, &["started", "waits", "waits"]),
        (Overlap::Allow, &["started", "started", "started"]),
        (Overlap::Cancel, &["started", "waits", "waits"]),
    ];
    for (policy, want) in cases {
        let mut world = World::minutely(overlap(*policy));
        world.pass(MINUTE).pass(MINUTE).pass(MINUTE);
        assert_eq!(world.words(0), *want, "{policy:?}");
    }
}

#[test]
fn cancel_stops_the_old_run_and_drops_those_that_wait() {
    let mut world = World::minutely(overlap(Overlap::Cancel));
    world.pass(MINUTE).pass(MINUTE).pass(MINUTE);
    assert_eq!(world.stopped, [RunId(1)].into());
    let why = "Skipped: a newer slot replaced it (overlap: cancel)";
    assert_eq!(world.rows[&(-1, "closed 2".into())], why);
    world.end(&broken(FailureClass::Cancelled));
    world.pass(Duration::ZERO);
    assert_eq!(world.under_way.keys().copied().collect::<Vec<_>>(), [RunId(3)]);
}

#[test]
fn queued_runs_start_in_order_when_the_job_is_free() {
    let mut world = World::minutely(overlap(Overlap::QueueAll { max: 9 }));
    world.pass(MINUTE).pass(MINUTE).pass(MINUTE);
    for next in [2, 3] {
        world.end(&fine());
        world.pass(Duration::ZERO);
        assert_eq!(world.under_way.keys().copied().collect::<Vec<_>>(), [RunId(next)]);
    }
}

#[test]
fn successes_do_not_pile_up_before_a_slow_dependant() {
    let after = vec![JobName::parse("j0").expect("legal")];
    for (policy, live) in [
        (Overlap::Skip, (1, 1)),
        (Overlap::Queue, (1, 1)),
        (Overlap::QueueAll { max: 3 }, (1, 3)),
        (Overlap::Allow, (8, 0)),
    ] {
        let policy = Policy { after: after.clone(), ..overlap(policy) };
        let mut world = World::new(20, vec![(None, Policy::default()), (None, policy)]);
        for _ in 0..8 {
            world.trigger(0);
            let run = *world.under_way.iter().find(|(_, job)| job.0 == 0).expect("runs").0;
            world.end_run(run, &fine());
        }
        assert_eq!(world.state.counts(), live);
        assert_eq!(world.words(1).len(), 8, "each success is told of");
    }
}

#[test]
fn staleness_is_told_when_a_pause_ends() {
    let policy = Policy { freshness: Some(fresh(5)), ..Policy::default() };
    let mut world = World::new(9, vec![(None, policy)]);
    world.state.set_paused(JobId(0), Some("holiday".into()));
    world.pass(Duration::from_mins(9));
    assert_eq!(world.stale, []);
    world.state.set_paused(JobId(0), None);
    world.pass(MINUTE).pass(MINUTE);
    assert_eq!(world.stale, [JobId(0)]);
}

#[test]
fn nothing_begins_without_seats() {
    let after = Policy { after: vec![JobName::parse("j0").expect("legal")], ..Policy::default() };
    let mut world = World::new(9, vec![(None, Policy::default()), (None, after)]);
    world.trigger(0);
    world.state.take_all_seats();
    let run = *world.under_way.keys().next().expect("runs");
    world.under_way.remove(&run);
    let plan = world.state.ended(run, &fine(), world.now).expect("it was under way");
    let Action::Record { fate: Fate::Wait { why }, .. } = &plan.dependants[0] else {
        panic!("{plan:?}")
    };
    assert_eq!(why, "waits for the next start of the daemon: it is stopping");
}

#[test]
fn pools_share_their_seats_among_jobs() {
    let policy = Policy { pool: Some("small".into()), ..Policy::default() };
    let mut world = World::new(10, vec![(None, policy.clone()), (None, policy)]);
    world.trigger(0);
    world.trigger(1);
    assert_eq!(world.under_way.len(), 1);
    world.end(&fine());
    world.pass(Duration::ZERO);
    assert_eq!(world.under_way.values().copied().collect::<Vec<_>>(), [JobId(1)]);
}

#[test]
fn a_manual_run_uses_up_no_slot() {
    let mut world = World::minutely(Policy::default());
    world.trigger(0);
    world.end(&fine());
    world.pass(MINUTE);
    assert_eq!(world.rows.len(), 2, "the slot has its own row: {:?}", world.rows);
    assert_eq!(world.under_way.len(), 1);
}

#[test]
fn a_manual_run_waits_rather_than_being_skipped() {
    let mut world = World::minutely(overlap(Overlap::Skip));
    world.trigger(0);
    world.trigger(0);
    assert_eq!(world.state.counts(), (1, 1));
}

#[test]
fn a_dependant_runs_when_each_upstream_has_succeeded() {
    let name = |text: &str| JobName::parse(text).expect("legal");
    let after = Policy { after: vec![name("j0"), name("j1")], ..Policy::default() };
    let mut world =
        World::new(9, vec![(None, Policy::default()), (None, Policy::default()), (None, after)]);
    for (job, outcome, runs) in [
        (0, fine(), 0),
        (1, broken(FailureClass::Permanent), 0),
        (0, fine(), 0),
        (1, fine(), 1),
        (1, fine(), 1),
        (0, fine(), 2),
    ] {
        world.trigger(job);
        let run = *world.under_way.iter().find(|(_, id)| id.0 == job).expect("runs").0;
        world.end_run(run, &outcome);
        assert_eq!(world.words(2).len(), runs, "after {job} {outcome:?}");
        if let Some(run) = world.under_way.iter().find(|(_, id)| id.0 == 2).map(|(run, _)| *run) {
            world.end_run(run, &fine());
        }
    }
}

#[test]
fn a_job_without_a_fresh_success_is_reported_once() {
    let policy = Policy { freshness: Some(fresh(5)), ..Policy::default() };
    let mut world = World::new(9, vec![(None, policy)]);
    world.pass(MINUTE);
    world.trigger(0);
    world.end(&fine());
    world.pass(Duration::from_mins(4));
    assert!(world.stale.is_empty());
    world.pass(Duration::from_mins(2)).pass(Duration::from_mins(60));
    assert_eq!(world.stale.len(), 1);
    world.trigger(0);
    world.end(&fine());
    world.pass(Duration::from_mins(6));
    assert_eq!(world.stale.len(), 2);
}

#[test]
fn paused_slots_are_skipped_one_by_one() {
    let mut world = World::minutely(Policy::default());
    world.state.set_paused(JobId(0), Some("holiday".into()));
    world.pass(MINUTE).pass(MINUTE);
    world.state.set_paused(JobId(0), None);
    world.pass(MINUTE);
    assert_eq!(world.words(0), ["Skipped", "Skipped", "started"]);
}
