//! Durable truth: what was due, what ran, what came of it.
//!
//! Owns the [`Store`] trait and its vocabulary. It is coarse and conditional: a caller proposes a
//! [`Change`], the store re-checks its condition in the same transaction, and says per change whether
//! it took effect. Two callers with stale views are thereby harmless, so that a database shared by
//! several nodes fits behind the same trait. Refuses to decide anything (`plan/`) and to read a clock:
//! each call brings its `now`.

pub mod sqlite;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::model::{
    Attempt, AttemptNo, Cause, Holder, Incident, IncidentChange, JobId, JobName, NodeId, NotRun,
    Notification, NotificationId, Observation, Outbox, OutboxChange, Outcome, Revision, Run, RunId,
    RunState, Silence, SlotState, Subject,
};

/// Why the store can't answer. None of these is a refused condition: that is [`Applied::Refused`].
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file can't be opened or created.
    #[error("can't open the store {path}: {reason}")]
    Open {
        /// The database file.
        path: PathBuf,
        /// What the system said, and what to do.
        reason: String,
    },
    /// A newer version of JADA has written it.
    #[error(
        "the store {path} has schema version {found}, this program knows {known}: \
         start the newer jada-agent that wrote it, or name another --data-dir"
    )]
    Newer {
        /// The database file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// The disk is full or the file can't be written any more; nothing of the batch was kept.
    #[error("can't write the store: {0}")]
    Write(String),
    /// A read failed.
    #[error("can't read the store: {0}")]
    Read(String),
    /// The store was closed, or its writer ended.
    #[error("the store is closed")]
    Closed,
}

/// A result of the store.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The durable truth. Every method is one transaction; a returned `Ok` is on disk.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Records a new incarnation of this node and returns its key.
    async fn register(&self, node: NewNode) -> Result<NodeId>;

    /// Makes the stored schedules agree with the catalog: unknown jobs are added with their cursor at
    /// `now`, a changed schedule revision moves the cursor to `now` (an edit is never retroactive),
    /// an unchanged one keeps its cursor, jobs not named are retired but keep their history and, should
    /// they return, start at `now` again. Returns the state of the named jobs, in the same order.
    async fn sync_jobs(&self, jobs: Vec<JobEntry>, now: Timestamp) -> Result<Vec<JobState>>;

    /// The state of every job that is not retired, by name. Reads only.
    async fn jobs(&self) -> Result<Vec<JobState>>;

    /// Every run that is queued or running, oldest first.
    async fn live_runs(&self) -> Result<Vec<Run>>;

    /// Carries out a batch in order, in one transaction, each change under its own condition. The
    /// answer has one entry for each change.
    async fn commit(&self, batch: Batch) -> Result<Vec<Applied>>;

    /// Extends the claims of an incarnation on all its running attempts: each is good until `until`, or
    /// longer where it already was.
    async fn renew(&self, node: NodeId, until: Timestamp) -> Result<()>;

    /// Slots, newest nominal time first.
    async fn slots(&self, query: SlotQuery) -> Result<Vec<SlotRow>>;

    /// Runs, newest first. The record of a slot that never ran ([`RunState::NotRun`]) is no run: only
    /// [`RunQuery::id`] finds it.
    async fn runs(&self, query: RunQuery) -> Result<Vec<RunRow>>;

    /// The ended attempts of a run, in order.
    async fn attempts(&self, run: RunId) -> Result<Vec<Attempt>>;

    /// Incidents, newest first; only open ones unless `all`.
    async fn incidents(&self, all: bool, limit: u32) -> Result<Vec<Incident>>;

    /// Everything that is looked at when it is decided who is told what, with the times at which each
    /// notifier was told something after `since`.
    async fn outbox(&self, since: Timestamp) -> Result<Outbox>;

    /// Rows of the outbox, newest first; only those that wait unless `all`.
    async fn notifications(&self, all: bool, limit: u32) -> Result<Vec<Notification>>;

    /// One row of the outbox.
    async fn notification(&self, id: NotificationId) -> Result<Option<Notification>>;

    /// Silences that end after a time, the oldest first.
    async fn silences(&self, after: Timestamp) -> Result<Vec<Silence>>;

    /// For each stored job: what is live now, counts by slot state of what was over since the beginning
    /// of the hour (UTC) that `since` lies in, last success, last failure. What retention has deleted in
    /// between counts as well.
    async fn summaries(&self, since: Timestamp) -> Result<BTreeMap<JobName, Summary>>;

    /// Ends of a job's runs, newest first: what incident rules look at.
    async fn recent_ends(&self, query: EndQuery) -> Result<Vec<(Timestamp, Outcome)>>;

    /// Observations, newest first.
    async fn observations(&self, query: ObservationQuery) -> Result<Vec<Observation>>;

    /// The newest observation of each check up to `until`, inclusive, by the check's name: a later one
    /// comes from a clock that was ahead.
    async fn last_looks(&self, until: Timestamp) -> Result<Vec<Observation>>;

    /// What a credential blocked of a job since the last slot, and since the last run with
    /// [`Cause::After`], that was not: newest first, at most `limit` of either kind.
    async fn blocked_tail(&self, job: JobId, limit: u32) -> Result<Vec<Run>>;

    /// Deletes one small batch of what `keep` no longer covers, oldest first, never a live run and never
    /// an open incident. Returns the runs that went, so that their output can follow, and whether it is
    /// done for now.
    async fn prune(&self, keep: Keep, now: Timestamp) -> Result<Pruned>;

    /// Bytes that the stored rows take on disk; room left by deleted ones isn't counted.
    async fn size(&self) -> Result<u64>;

    /// Finishes what was asked and lets go of the files. Later calls answer [`Error::Closed`].
    async fn close(&self) -> Result<()>;
}

/// A start of the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewNode {
    /// The node's name from `jada.yaml`, or the host's.
    pub name: String,
    /// The kernel's boot id: a claim from another boot is void.
    pub boot: String,
    /// The daemon's process id.
    pub pid: u32,
    /// When it started.
    pub started_at: Timestamp,
}

/// A job as the catalog has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobEntry {
    /// Its name.
    pub name: JobName,
    /// Hash of its whole definition.
    pub revision: Revision,
    /// Hash of what decides its slots; the cursor survives while this stays the same.
    pub schedule: Revision,
}

/// A job as the store has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobState {
    /// Its key.
    pub id: JobId,
    /// Its name.
    pub name: JobName,
    /// Every slot up to here, inclusive, is accounted for.
    pub cursor: Timestamp,
    /// Since when and why it is paused, if it is.
    pub paused: Option<Pause>,
    /// When its newest success ended: freshness counts from here.
    pub last_success: Option<Timestamp>,
    /// When its newest run with [`Cause::After`] was recorded: with several upstream jobs, the next one
    /// waits until each has succeeded after this.
    pub last_after: Option<Timestamp>,
    /// When the job was first added, or came back after it had been retired: without any success,
    /// freshness counts from here.
    pub known_since: Timestamp,
}

/// A pause that a person asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// Since when.
    pub since: Timestamp,
    /// Why, in the person's words; may be empty.
    pub reason: String,
}

/// Changes that become durable together or not at all.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// The time that the changes carry.
    pub now: Timestamp,
    /// The changes, in order.
    pub changes: Vec<Change>,
}

/// One conditional change. Each names its condition; where it does not hold, the change is
/// [`Applied::Refused`] and touches nothing.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Records a new run (or the record that a slot did not run) in any state.
    /// Condition: none exists for the job and cause yet.
    Record {
        /// The job.
        job: JobId,
        /// Hash of the definition in force.
        revision: Revision,
        /// Why it exists.
        cause: Cause,
        /// Where it stands from the start: `Running` means that attempt 1 begins with this commit.
        state: RunState,
    },
    /// Moves the job's cursor. Condition: it still stands at `from`.
    Cursor {
        /// The job.
        job: JobId,
        /// Where the caller saw it.
        from: Timestamp,
        /// Where it goes.
        to: Timestamp,
    },
    /// Begins the next attempt of a queued run.
    /// Condition: the run is queued, and `attempt` is one more than it has had.
    Start {
        /// The run.
        run: RunId,
        /// The attempt's number: the fence of its later writes.
        attempt: AttemptNo,
        /// Who performs it.
        holder: Holder,
    },
    /// Ends an attempt and moves its run: back to `Queued` for a retry, to `Finished`, or to `NotRun`
    /// where a credential blocks it.
    /// Condition: the run is running, with this fence and this incarnation.
    End {
        /// The run.
        run: RunId,
        /// The incarnation that performed it.
        node: NodeId,
        /// The attempt's number.
        fence: AttemptNo,
        /// How the attempt ended.
        outcome: Outcome,
        /// Where the run goes.
        next: RunState,
    },
    /// Ends a run that waits: expired, cancelled, skipped. Condition: the run is queued.
    Close {
        /// The run.
        run: RunId,
        /// `Finished` or `NotRun`.
        state: RunState,
    },
    /// Lets a run go after all that a credential had blocked: it is queued again.
    /// Condition: the run ended as [`NotRun::Blocked`] and stands for one slot.
    Release {
        /// The run.
        run: RunId,
        /// Not before this time.
        ready_at: Timestamp,
        /// Why it waits.
        why: String,
    },
    /// Pauses or resumes a job. Condition: the job exists.
    Pause {
        /// The job.
        job: JobId,
        /// `None` resumes it.
        pause: Option<Pause>,
    },
    /// Keeps what was seen. One that is kept already, by its check, its time and its run, stays one.
    Observe(Vec<Observation>),
    /// Opens, resolves or acknowledges an incident, with its outbox rows.
    Incident(IncidentChange),
    /// Writes, moves or ends rows of the outbox, and silences.
    Outbox(OutboxChange),
}

/// What became of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It took effect; the run that it recorded, where it recorded one.
    Recorded(RunId),
    /// It took effect; the row of the outbox, or the silence, that it wrote.
    Wrote(i64),
    /// It took effect.
    Done,
    /// Its condition did not hold; nothing of it took effect.
    Refused,
}

/// Which slots to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SlotQuery {
    /// Only this job's.
    pub job: Option<JobName>,
    /// Only these states; empty is all.
    pub states: Vec<SlotState>,
    /// Only nominal times at or after this.
    pub since: Option<Timestamp>,
    /// Only nominal times before this.
    pub until: Option<Timestamp>,
    /// Most rows.
    pub limit: u32,
}

/// A slot with what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct SlotRow {
    /// The job.
    pub job: JobName,
    /// The nominal time.
    pub slot: Timestamp,
    /// What became of it.
    pub state: SlotState,
    /// Why, in words; empty where it simply ran.
    pub reason: String,
    /// The run, where there is one.
    pub run: Option<RunId>,
    /// Slots that the row stands for (see [`RunState::NotRun`]).
    pub count: u64,
    /// Attempts begun so far.
    pub attempts: AttemptNo,
    /// When the first attempt began.
    pub started_at: Option<Timestamp>,
    /// When it was over.
    pub ended_at: Option<Timestamp>,
}

/// Which runs to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunQuery {
    /// Only this one.
    pub id: Option<RunId>,
    /// Only this job's.
    pub job: Option<JobName>,
    /// Only runs that are queued or running.
    pub live: bool,
    /// Only runs that failed.
    pub failed: bool,
    /// Only runs recorded at or after this.
    pub since: Option<Timestamp>,
    /// Only runs with a smaller key: the next page.
    pub before: Option<RunId>,
    /// Most rows.
    pub limit: u32,
}

/// Which ends of runs to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndQuery {
    /// The job.
    pub job: JobId,
    /// Only those up to this time, inclusive: a later one comes from a clock that was ahead.
    pub until: Timestamp,
    /// Only failures.
    pub failed: bool,
    /// Most rows.
    pub limit: u32,
}

/// Which observations to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObservationQuery {
    /// Only those of this check.
    pub check: Option<Subject>,
    /// Only those after this time, exclusive: a window is half open, `(since, until]`.
    pub since: Option<Timestamp>,
    /// Only those up to this time, inclusive.
    pub until: Option<Timestamp>,
    /// Only those that are not ok.
    pub bad: bool,
    /// Most rows.
    pub limit: u32,
}

/// A run with its job's name.
#[derive(Clone, Debug, PartialEq)]
pub struct RunRow {
    /// The job.
    pub job: JobName,
    /// Hash of the definition that it was recorded under.
    pub revision: Revision,
    /// The run.
    pub run: Run,
}

/// A job's history in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Slots and runs by state.
    pub counts: Vec<(SlotState, u64)>,
    /// Newest success.
    pub last_success: Option<Timestamp>,
    /// Newest failure, with its message.
    pub last_failure: Option<(Timestamp, String)>,
}

/// What retention keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Finished runs and slots at most this old.
    pub age: Duration,
    /// At most this many finished rows of one job.
    pub per_job: u64,
    /// Observations at most this old; the newest few of each check stay as long as runs do.
    pub observations: Duration,
    /// So many of the newest: what rules without a window count.
    pub looks: u32,
    /// At most this many bytes of rows in all (see [`Store::size`]); `None` is no limit.
    pub bytes: Option<u64>,
    /// At most this many runs, and as many observations, deleted by one call.
    pub batch: u32,
}

/// What one call of [`Store::prune`] has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// The runs that went.
    pub runs: Vec<RunId>,
    /// Whether another call would find more.
    pub more: bool,
}

/// The slot state that a run's state shows as.
#[must_use]
pub fn slot_state(state: &RunState) -> SlotState {
    match state {
        RunState::Queued { .. } => SlotState::Pending,
        RunState::Running { .. } => SlotState::Running,
        RunState::Finished { outcome: Outcome::Succeeded { .. }, .. } => SlotState::Ran,
        RunState::Finished { outcome: Outcome::Failed(_), .. } => SlotState::Failed,
        RunState::NotRun { verdict: NotRun::Skipped, .. } => SlotState::Skipped,
        RunState::NotRun { verdict: NotRun::Missed, .. } => SlotState::Missed,
        RunState::NotRun { verdict: NotRun::Expired, .. } => SlotState::Expired,
        RunState::NotRun { verdict: NotRun::Blocked, .. } => SlotState::Blocked,
    }
}
