//! Random histories: the store and a plain model of it must never differ.

use std::sync::Arc;
use std::time::Duration;

use jada::model::{
    Cause, Failure, FailureClass, Fault, Holder, IncidentChange, JobId, NodeId, NotRun,
    Observation, Opening, Outcome, Revision, RunId, RunState, Severity, SlotState, Subject,
    Verdict,
};
use jada::store::{
    Batch, Change, EndQuery, JobEntry, Keep, ObservationQuery, Pause, RunQuery, SlotQuery, Store,
};
use jiff::Timestamp;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};

use crate::model::Model;
use crate::world::{Opener, job_name, start_of_daemon};

const NAMES: [&str; 4] = ["alpha", "beta", "gamma", "delta"];
const KEYS: [&str; 3] = ["job/alpha", "job/beta", "file/x.yaml"];
const CHECKS: [&str; 3] = ["check/alpha/site", "check/alpha/disk", "check/beta/site"];
const SUBJECTS: [&str; 3] = ["site/example.com", "host/disk", "check/beta/site"];

/// Seconds of one step of the test's time: a walk of some dozen steps goes over several hours.
const STEP: i64 = 240;

fn at(step: i64) -> Timestamp {
    crate::world::at(step * STEP)
}

/// One call, with what it names still open: a run or job is picked among those that exist by then.
#[derive(Clone, Debug)]
enum Call {
    Commit(Vec<Draft>),
    Sync(Vec<(bool, u64, u64)>),
    Renew(i64),
    Prune { age: u64, per_job: u64, batch: u32 },
    Again,
}

#[derive(Clone, Debug)]
enum Draft {
    Record { job: Index, cause: u8, reference: i64, state: End },
    Cursor { job: Index, stale: bool, to: i64 },
    Start { run: Index, skip: u32, node: bool },
    End { run: Index, stale: u32, node: bool, outcome: u8, next: End },
    Close { run: Index, state: End },
    Release { run: Index, ready_at: i64 },
    Pause { job: Index, pause: bool },
    Open { key: Index, title: u8 },
    Resolve { key: Index },
    Acknowledge { key: Index },
    Observe(Vec<Look>),
}

/// A look to be: its check, its subject, when, its verdict, its run.
type Look = (Index, Index, i64, u8, i64);

/// A state to be: its kind and its words.
type End = (u8, i64, u8);

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        12 => vec(draft(), 0..10).prop_map(Call::Commit),
        2 => vec((any::<bool>(), 0..2u64, 0..2u64), NAMES.len()).prop_map(Call::Sync),
        1 => (0..100i64).prop_map(Call::Renew),
        2 => (0..60u64, 0..6u64, 1..6u32)
            .prop_map(|(age, per_job, batch)| Call::Prune { age, per_job, batch }),
        1 => Just(Call::Again),
    ]
}

fn draft() -> impl Strategy<Value = Draft> {
    let index = any::<Index>;
    let state = || (0..8u8, 0..50i64, 0..8u8);
    // Mostly right, sometimes one off: both the accepting and the refusing side are worth much.
    let off = || prop_oneof![5 => Just(0u32), 1 => 1..3u32];
    let stranger = || prop::bool::weighted(0.15);
    prop_oneof![
        8 => (index(), 0..3u8, 0..25i64, state()).prop_map(|(job, cause, reference, state)| {
            Draft::Record { job, cause, reference, state }
        }),
        3 => (index(), stranger(), 0..40i64)
            .prop_map(|(job, stale, to)| Draft::Cursor { job, stale, to }),
        4 => (index(), off(), stranger())
            .prop_map(|(run, skip, node)| Draft::Start { run, skip, node }),
        6 => (index(), off(), stranger(), 0..10u8, state()).prop_map(
            |(run, stale, node, outcome, next)| Draft::End { run, stale, node, outcome, next }
        ),
        2 => (index(), state()).prop_map(|(run, state)| Draft::Close { run, state }),
        2 => (index(), 0..50i64).prop_map(|(run, ready_at)| Draft::Release { run, ready_at }),
        1 => (index(), any::<bool>()).prop_map(|(job, pause)| Draft::Pause { job, pause }),
        2 => (index(), 0..9u8).prop_map(|(key, title)| Draft::Open { key, title }),
        2 => index().prop_map(|key| Draft::Resolve { key }),
        1 => index().prop_map(|key| Draft::Acknowledge { key }),
        3 => vec((index(), index(), -5..3i64, 0..4u8, 0..3i64), 0..4).prop_map(Draft::Observe),
    ]
}

pub(crate) async fn random_changes_agree_with_the_model(open: Opener) {
    let runtime = tokio::runtime::Handle::current();
    let config = Config { cases: 40, failure_persistence: None, ..Config::default() };
    let test = move || {
        let steps = vec((-3..15i64, call()), 1..30);
        let ran = TestRunner::new(config).run(&steps, |steps| {
            runtime.block_on(Pair::new(open).walk(&steps));
            Ok(())
        });
        if let Err(error) = ran {
            panic!("{error}");
        }
    };
    tokio::task::spawn_blocking(test).await.unwrap();
}

/// The store and the model of it.
struct Pair {
    store: Arc<dyn Store>,
    model: Model,
    nodes: [NodeId; 2],
    now: i64,
    entries: Vec<JobEntry>,
    _folder: tempfile::TempDir,
}

impl Pair {
    fn new(open: Opener) -> Self {
        let (store, folder) = open();
        Self {
            store,
            model: Model::default(),
            nodes: [NodeId(0); 2],
            now: 0,
            entries: Vec::new(),
            _folder: folder,
        }
    }

    async fn walk(mut self, steps: &[(i64, Call)]) {
        for (pid, node) in self.nodes.iter_mut().enumerate() {
            let start = start_of_daemon("here", u32::try_from(pid).unwrap());
            *node = self.store.register(start).await.unwrap();
        }
        self.sync(&[(true, 0, 0), (true, 0, 0), (false, 0, 0), (false, 0, 0)]).await;
        for (passed, call) in steps {
            self.now += passed;
            match call {
                Call::Commit(drafts) => self.commit(drafts).await,
                Call::Sync(named) => self.sync(named).await,
                Call::Again => {
                    let entries = std::mem::take(&mut self.entries);
                    self.sync_entries(entries).await;
                }
                Call::Renew(until) => {
                    // The newest incarnation: retention may take an older one that holds nothing.
                    self.store.renew(self.nodes[1], at(*until)).await.unwrap();
                    self.model.renew(self.nodes[1], at(*until));
                }
                Call::Prune { age, per_job, batch } => {
                    let age = Duration::from_secs(age * STEP.unsigned_abs());
                    let keep = Keep {
                        age,
                        per_job: *per_job,
                        observations: age / 2,
                        looks: 2,
                        bytes: None,
                        batch: *batch,
                    };
                    let pruned = self.store.prune(keep, at(self.now)).await.unwrap();
                    let all = ObservationQuery { limit: 10_000, ..ObservationQuery::default() };
                    let left = self.store.observations(all).await.unwrap();
                    self.model.prune(&keep, at(self.now), &pruned, &left);
                }
            }
            self.compare(passed.unsigned_abs()).await;
        }
        self.store.close().await.unwrap();
    }

    async fn commit(&mut self, drafts: &[Draft]) {
        let now = at(self.now);
        let changes: Vec<_> = drafts.iter().map(|draft| self.change(draft)).collect();
        let batch = Batch { now, changes: changes.clone() };
        let applied = self.store.commit(batch).await.unwrap();
        assert_eq!(applied.len(), changes.len());
        for (change, applied) in changes.iter().zip(applied) {
            let wanted = self.model.apply(now, change, applied);
            assert_eq!(applied, wanted, "{change:?}");
        }
    }

    async fn sync(&mut self, named: &[(bool, u64, u64)]) {
        let entry = |(name, (_, revision, schedule)): (&str, &(bool, u64, u64))| JobEntry {
            name: job_name(name),
            revision: Revision(*revision),
            schedule: Revision(*schedule),
        };
        let named = NAMES.into_iter().zip(named).filter(|(_, (named, ..))| *named);
        self.sync_entries(named.map(entry).collect()).await;
    }

    async fn sync_entries(&mut self, entries: Vec<JobEntry>) {
        let states = self.store.sync_jobs(entries.clone(), at(self.now)).await.unwrap();
        let ids: Vec<_> = states.iter().map(|state| state.id).collect();
        self.model.sync(&entries, &ids, at(self.now));
        let known = self.model.jobs();
        let state = |entry: &JobEntry| known.iter().find(|it| it.name == entry.name).cloned();
        assert_eq!(states, entries.iter().map(|entry| state(entry).unwrap()).collect::<Vec<_>>());
        self.entries = entries;
    }

    fn change(&self, draft: &Draft) -> Change {
        match draft {
            Draft::Record { job, cause, reference, state } => Change::Record {
                job: self.job(*job),
                revision: Revision(u64::MAX),
                cause: match cause {
                    0 => Cause::Slot(at(*reference)),
                    1 => Cause::Manual(at(*reference)),
                    _ => Cause::After(RunId(*reference)),
                },
                state: self.state(*state),
            },
            Draft::Cursor { job, stale, to } => {
                let job = self.job(*job);
                let stands = self.model.jobs.iter().find(|it| it.state.id == job);
                let from = stands.map_or(at(0), |it| it.state.cursor);
                let from = if *stale { from + Duration::from_secs(1) } else { from };
                Change::Cursor { job, from, to: at(*to) }
            }
            Draft::Start { run, skip, node } => {
                let (run, attempts) = self.run(*run);
                let holder = Holder { node: self.node(*node), until: at(self.now + 20) };
                Change::Start { run, attempt: attempts + 1 + skip, holder }
            }
            Draft::End { run, stale, node, outcome, next } => {
                let (run, attempts) = self.run(*run);
                let outcome = outcome_of(*outcome);
                // Mostly the run ends as its attempt did; what is any other way, has to be kept apart.
                let agree = next.0 > 3;
                let finished = RunState::Finished { at: at(self.now), outcome: outcome.clone() };
                Change::End {
                    run,
                    node: self.node(*node),
                    fence: attempts.saturating_sub(*stale),
                    outcome,
                    next: if agree { finished } else { self.state((next.0 * 2, next.1, next.2)) },
                }
            }
            Draft::Close { run, state } => {
                Change::Close { run: self.run(*run).0, state: self.state(*state) }
            }
            Draft::Release { run, ready_at } => Change::Release {
                run: self.run(*run).0,
                ready_at: at(*ready_at),
                why: "later".into(),
            },
            Draft::Pause { job, pause } => {
                let pause = pause.then(|| Pause { since: at(self.now), reason: "by hand".into() });
                Change::Pause { job: self.job(*job), pause }
            }
            Draft::Open { .. } | Draft::Resolve { .. } | Draft::Acknowledge { .. } => {
                Change::Incident(incident(draft))
            }
            Draft::Observe(looks) => {
                Change::Observe(looks.iter().map(|look| self.look(*look)).collect())
            }
        }
    }

    fn look(&self, (check, subject, ahead, verdict, run): Look) -> Observation {
        let verdict = Verdict::ALL[usize::from(verdict)];
        Observation {
            check: Subject::parse(CHECKS[check.index(CHECKS.len())]).unwrap(),
            subject: Subject::parse(SUBJECTS[subject.index(SUBJECTS.len())]).unwrap(),
            at: at(self.now + ahead),
            took: Duration::from_millis(ahead.unsigned_abs()),
            verdict,
            fault: (verdict == Verdict::Fail).then_some(Fault::DiskFull),
            text: if verdict == Verdict::Ok { String::new() } else { format!("run {run}") },
            run: (run > 0).then_some(RunId(run)),
        }
    }

    /// One of the stored jobs, retired ones too, or one that isn't.
    fn job(&self, index: Index) -> JobId {
        let index = index.index(self.model.jobs.len() + 1);
        self.model.jobs.get(index).map_or(JobId(999), |job| job.state.id)
    }

    /// One of the runs with its attempts, mostly a recent one, or one that isn't.
    fn run(&self, index: Index) -> (RunId, u32) {
        let recent = self.model.runs.iter().rev().take(8).collect::<Vec<_>>();
        let row = recent.get(index.index(recent.len() + 1));
        row.map_or((RunId(999), 0), |row| (row.run.id, row.run.attempts))
    }

    fn node(&self, stranger: bool) -> NodeId {
        self.nodes[usize::from(!stranger)]
    }

    fn state(&self, (kind, second, words): End) -> RunState {
        let not_run = |verdict| RunState::NotRun {
            at: at(second),
            verdict,
            reason: format!("reason {words}"),
            count: u64::from(words) + 1,
        };
        match kind {
            0 => RunState::Queued { ready_at: at(second), why: format!("why {words}") },
            1 => {
                let holder = Holder { node: self.nodes[1], until: at(second + 10) };
                RunState::Running { holder, since: at(second) }
            }
            2 => not_run(NotRun::Skipped),
            3 => not_run(NotRun::Missed),
            4 => not_run(NotRun::Expired),
            5 => not_run(NotRun::Blocked),
            _ => RunState::Finished { at: at(second), outcome: outcome_of(words) },
        }
    }

    async fn compare_looks(&self) {
        for query in look_queries(self.now) {
            let looks = self.store.observations(query.clone()).await.unwrap();
            let mut wanted = self.model.observations(&query);
            if query.check.is_none() {
                // Of several checks, the order within one instant is the store's own.
                let times =
                    |looks: &[Observation]| looks.iter().map(|it| it.at).collect::<Vec<_>>();
                assert_eq!(times(&looks), times(&wanted));
                wanted.clone_from(&looks);
            }
            assert_eq!(looks, wanted, "{query:?}");
        }
        let last = self.store.last_looks(at(self.now)).await.unwrap();
        assert_eq!(last, self.model.last_looks(at(self.now)));
    }

    /// Asks both everything; the lists of all jobs and, to save time, of one.
    async fn compare(&self, turn: u64) {
        let (store, model) = (&self.store, &self.model);
        assert_eq!(store.jobs().await.unwrap(), model.jobs());
        assert_eq!(store.live_runs().await.unwrap(), model.live_runs());
        let name = NAMES[usize::try_from(turn).unwrap() % NAMES.len()];
        for job in [Some(job_name(name)), None] {
            for query in slot_queries(job.clone()) {
                assert_eq!(store.slots(query.clone()).await.unwrap(), model.slots(&query));
            }
            for query in run_queries(job.clone(), model) {
                let rows = store.runs(query.clone()).await.unwrap();
                assert_eq!(rows, model.runs(&query), "{query:?}");
            }
        }
        for row in model.runs.iter().rev().take(5) {
            let id = row.run.id;
            assert_eq!(store.attempts(id).await.unwrap(), model.attempts(id));
            let found = store.runs(RunQuery { id: Some(id), ..RunQuery::default() }).await.unwrap();
            assert_eq!(found[0].run, model.run(row));
        }
        for job in &model.jobs {
            let id = job.state.id;
            for (failed, until) in [(false, 9999), (true, 9999), (false, 20)] {
                let query = EndQuery { job: id, until: at(until), failed, limit: 4 };
                assert_eq!(store.recent_ends(query).await.unwrap(), model.recent_ends(query));
            }
            let tail = store.blocked_tail(id, 3).await.unwrap();
            let tail: Vec<_> = tail.into_iter().map(|run| run.id).collect();
            assert_eq!(tail, model.blocked_tail(id, 3));
        }
        for since in [0, 20, 40] {
            assert_eq!(store.summaries(at(since)).await.unwrap(), model.summaries(at(since)));
        }
        self.compare_looks().await;
        for all in [false, true] {
            let mut incidents = store.incidents(all, 100).await.unwrap();
            for incident in &mut incidents {
                incident.id.0 = 0;
            }
            assert_eq!(incidents, model.incidents(all));
        }
    }
}

fn look_queries(now: i64) -> Vec<ObservationQuery> {
    let all = ObservationQuery { limit: 100, ..ObservationQuery::default() };
    let mut queries = vec![all.clone(), ObservationQuery { limit: 2, ..all.clone() }];
    queries.extend(CHECKS.map(|check| ObservationQuery {
        check: Subject::parse(check),
        since: Some(at(now - 20)),
        until: Some(at(now)),
        bad: check == CHECKS[0],
        limit: 5,
    }));
    queries
}

fn slot_queries(job: Option<jada::model::JobName>) -> Vec<SlotQuery> {
    let all = SlotQuery { job, limit: 100, ..SlotQuery::default() };
    let over = vec![SlotState::Failed, SlotState::Missed, SlotState::Pending];
    vec![
        SlotQuery { limit: 3, ..all.clone() },
        SlotQuery { states: over, limit: 4, ..all.clone() },
        SlotQuery { since: Some(at(5)), until: Some(at(15)), ..all.clone() },
        all,
    ]
}

fn run_queries(job: Option<jada::model::JobName>, model: &Model) -> Vec<RunQuery> {
    let all = RunQuery { job, limit: 100, ..RunQuery::default() };
    let middle = model.runs.get(model.runs.len() / 2).map(|row| row.run.id);
    vec![
        RunQuery { limit: 3, ..all.clone() },
        RunQuery { live: true, ..all.clone() },
        RunQuery { failed: true, ..all.clone() },
        RunQuery { since: Some(at(20)), ..all.clone() },
        RunQuery { before: middle, limit: 3, ..all.clone() },
        all,
    ]
}

/// What a draft does to an incident.
fn incident(draft: &Draft) -> IncidentChange {
    match draft {
        Draft::Open { key, title } => IncidentChange::Open(Opening {
            fault: Fault::ALL.get(usize::from(*title)).copied().filter(|_| *title > 1),
            flapping: title % 4 == 1,
            remind: title.checked_sub(6).map(|n| vec![Duration::from_hours(1); n.into()]),
            affected: (title % 2 == 0).then(|| job_name("alpha")).into_iter().collect(),
            severity: if *title < 4 { Severity::Warning } else { Severity::Error },
            title: format!("title {title}"),
            mend: "jadactl doctor".into(),
            notify: vec!["ops".into(); usize::from(title % 3)],
            ..Opening::new(*key.get(&KEYS), *key.get(&KEYS), format!("class {title}"))
        }),
        Draft::Resolve { key } => IncidentChange::Resolve {
            key: (*key.get(&KEYS)).into(),
            note: "mended".into(),
            notify: vec!["ops".into()],
        },
        Draft::Acknowledge { key } => {
            IncidentChange::Acknowledge { key: (*key.get(&KEYS)).into(), by: "ann".into() }
        }
        other => panic!("{other:?} is no incident's"),
    }
}

fn outcome_of(number: u8) -> Outcome {
    let failed = |class| {
        let mut failure = Failure::new(class, format!("message {number}"));
        failure.exit_code = (number > 4).then_some(i32::from(number));
        failure.retry_after = (number > 5).then(|| Duration::from_millis(number.into()));
        Outcome::Failed(failure)
    };
    match number {
        0 | 1 => Outcome::Succeeded { note: String::new() },
        2 => Outcome::Succeeded { note: "a note".into() },
        3 => failed(FailureClass::Lost),
        4 => failed(FailureClass::Transient),
        _ => failed(FailureClass::Permanent),
    }
}
