//! A store with a node and two jobs, and short ways to say what happens to it.

use std::sync::Arc;

use jada::model::{
    AttemptNo, Cause, Failure, FailureClass, Holder, IncidentChange, JobId, JobName, NodeId,
    NotRun, Opening, Outcome, Revision, Run, RunId, RunState, SlotState,
};
use jada::store::sqlite::Sqlite;
use jada::store::{
    Applied, Batch, Change, JobEntry, JobState, NewNode, RunQuery, SlotQuery, Store,
};
use jiff::Timestamp;
use tempfile::TempDir;

/// A fresh store, and what it lives in.
pub(crate) type Opened = (Arc<dyn Store>, TempDir);

/// How a suite makes its stores.
pub(crate) type Opener = fn() -> Opened;

/// A fresh embedded store.
pub(crate) fn sqlite() -> Opened {
    let folder = tempfile::tempdir().unwrap();
    let store = Sqlite::open(folder.path().join("jada.db")).unwrap();
    (Arc::new(store), folder)
}

/// Seconds after the start of the test's time.
pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

pub(crate) struct World {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) node: NodeId,
    /// `alpha`, whose cursor stands at 0.
    pub(crate) alpha: JobId,
    /// `beta`, likewise.
    pub(crate) beta: JobId,
    _folder: TempDir,
}

impl World {
    pub(crate) async fn new(open: Opener) -> Self {
        let (store, folder) = open();
        let node = store.register(start_of_daemon("here", 1)).await.unwrap();
        let jobs = store.sync_jobs(vec![entry("alpha"), entry("beta")], at(0)).await.unwrap();
        Self { store, node, alpha: jobs[0].id, beta: jobs[1].id, _folder: folder }
    }

    /// Commits one change.
    pub(crate) async fn apply(&self, second: i64, change: Change) -> Applied {
        self.batch(second, vec![change]).await[0]
    }

    pub(crate) async fn batch(&self, second: i64, changes: Vec<Change>) -> Vec<Applied> {
        let count = changes.len();
        let applied = self.store.commit(Batch { now: at(second), changes }).await.unwrap();
        assert_eq!(applied.len(), count, "one answer for each change");
        applied
    }

    /// Records a run or slot that must be new.
    pub(crate) async fn record(
        &self,
        second: i64,
        job: JobId,
        cause: Cause,
        state: RunState,
    ) -> RunId {
        recorded(self.apply(second, record(job, cause, state)).await)
    }

    /// A run that waits since `second`, for the slot of that second.
    pub(crate) async fn queued(&self, second: i64) -> RunId {
        self.record(second, self.alpha, slot(second), queued(second)).await
    }

    /// A run whose first attempt began at `second`, for the slot of that second.
    pub(crate) async fn running(&self, second: i64) -> RunId {
        self.record(second, self.alpha, slot(second), self.running_since(second)).await
    }

    /// A run that began and ended within `second`.
    pub(crate) async fn over(&self, second: i64, outcome: Outcome) -> RunId {
        let run = self.running(second).await;
        let end = self.end(run, 1, &outcome, finished(second, &outcome));
        assert_eq!(self.apply(second, end).await, Applied::Done);
        run
    }

    pub(crate) fn running_since(&self, second: i64) -> RunState {
        RunState::Running { holder: self.holder(second + 60), since: at(second) }
    }

    pub(crate) fn holder(&self, until: i64) -> Holder {
        Holder { node: self.node, until: at(until) }
    }

    pub(crate) fn start(&self, run: RunId, attempt: AttemptNo) -> Change {
        Change::Start { run, attempt, holder: self.holder(500) }
    }

    pub(crate) fn end(
        &self,
        run: RunId,
        fence: AttemptNo,
        outcome: &Outcome,
        next: RunState,
    ) -> Change {
        Change::End { run, node: self.node, fence, outcome: outcome.clone(), next }
    }

    /// The run as the store has it.
    pub(crate) async fn run(&self, id: RunId) -> Run {
        let query = RunQuery { id: Some(id), ..RunQuery::default() };
        self.store.runs(query).await.unwrap().remove(0).run
    }

    pub(crate) async fn slots(&self, query: SlotQuery) -> Vec<(i64, SlotState)> {
        let rows = self.store.slots(query).await.unwrap();
        rows.into_iter().map(|row| (row.slot.as_second() - at(0).as_second(), row.state)).collect()
    }

    pub(crate) async fn runs(&self, query: RunQuery) -> Vec<RunId> {
        self.store.runs(query).await.unwrap().into_iter().map(|row| row.run.id).collect()
    }

    /// The state of a job in force.
    pub(crate) async fn job(&self, name: &str) -> Option<JobState> {
        let jobs = self.store.jobs().await.unwrap();
        jobs.into_iter().find(|job| job.name.as_str() == name)
    }

    pub(crate) async fn move_cursor(&self, job: JobId, from: i64, to: i64) -> Applied {
        self.apply(to, Change::Cursor { job, from: at(from), to: at(to) }).await
    }
}

pub(crate) fn start_of_daemon(name: &str, pid: u32) -> NewNode {
    NewNode { name: name.into(), boot: "boot".into(), pid, started_at: at(0) }
}

pub(crate) fn entry(name: &str) -> JobEntry {
    // Above `i64::MAX`: a hash uses all 64 bits.
    JobEntry { name: job_name(name), revision: Revision(u64::MAX - 1), schedule: Revision(7) }
}

pub(crate) fn job_name(name: &str) -> JobName {
    JobName::parse(name).unwrap()
}

pub(crate) fn recorded(applied: Applied) -> RunId {
    match applied {
        Applied::Recorded(run) => run,
        Applied::Wrote(_) | Applied::Done | Applied::Refused => panic!("not recorded: {applied:?}"),
    }
}

pub(crate) fn record(job: JobId, cause: Cause, state: RunState) -> Change {
    Change::Record { job, revision: Revision(u64::MAX - 1), cause, state }
}

pub(crate) fn slot(second: i64) -> Cause {
    Cause::Slot(at(second))
}

pub(crate) fn queued(ready_at: i64) -> RunState {
    RunState::Queued { ready_at: at(ready_at), why: "waits for its turn".into() }
}

pub(crate) fn finished(second: i64, outcome: &Outcome) -> RunState {
    RunState::Finished { at: at(second), outcome: outcome.clone() }
}

pub(crate) fn not_run(second: i64, verdict: NotRun, count: u64) -> RunState {
    RunState::NotRun { at: at(second), verdict, reason: "the machine was off".into(), count }
}

pub(crate) fn success() -> Outcome {
    Outcome::Succeeded { note: String::new() }
}

pub(crate) fn failure(message: &str) -> Outcome {
    Outcome::Failed(Failure::new(FailureClass::Transient, message))
}

pub(crate) fn opened(key: &str, title: &str) -> Change {
    Change::Incident(IncidentChange::Open(Opening {
        affected: vec![job_name("alpha"), job_name("beta")],
        title: title.into(),
        detail: "exit code 1\nlast line".into(),
        mend: "jadactl logs alpha".into(),
        notify: vec!["ops".into(), "chat".into()],
        ..Opening::new(key, key, "transient")
    }))
}

pub(crate) fn resolved(key: &str) -> Change {
    Change::Incident(IncidentChange::Resolve {
        key: key.into(),
        note: "ran again".into(),
        notify: vec!["ops".into()],
    })
}
