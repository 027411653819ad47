//! The words that server and client share: addresses, questions and answers.
//!
//! Owns the wire format, as plain data that serde carries. Refuses to know how an answer comes about
//! (`server`, `answers`) and how it is shown (`cli`). Times are RFC 3339 in UTC. A field may be added
//! at any time and a reader skips what it does not know; none is renamed or removed.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use super::checks::{CheckItem, ChecksQuery, Look};
pub use super::metrics::Sample;
pub use crate::alerts::item::{HeldNotice, IncidentItem};
use crate::model::{AttemptNo, FailureClass, JobName, RunId, SlotState, Verdict};

/// The socket's file name in the data directory.
pub const SOCKET: &str = "jada.sock";

/// The header in which every answer tells the daemon's time, by which ages are counted.
pub const NOW: &str = "jada-now";

/// Rows that a list gives when nobody says otherwise.
pub const LIMIT_DEFAULT: u32 = 100;

/// Most rows that one answer carries.
pub const LIMIT_MAX: u32 = 10_000;

/// `GET /healthz`: for probes and load balancers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Health {
    /// Whether the loop is on time and the store answers.
    pub ok: bool,
    /// The daemon's version.
    pub version: String,
    /// Seconds by which the loop is behind what it wanted to look at.
    pub lag: f64,
    /// What is wrong; empty when `ok`.
    pub problem: String,
}

/// `GET /api/status`: the daemon in numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// See [`Health`].
    pub health: Health,
    /// When the daemon started.
    pub started_at: Timestamp,
    /// Its clock.
    pub now: Timestamp,
    /// Jobs in force.
    pub jobs: u64,
    /// Of these, the disabled ones.
    pub disabled: u64,
    /// Of these, the paused ones.
    pub paused: u64,
    /// Attempts under way.
    pub running: u64,
    /// Runs that wait.
    pub queued: u64,
    /// Open incidents.
    pub incidents: u64,
    /// Slots and requested runs of the last 24 hours by state.
    pub last_day: BTreeMap<SlotState, u64>,
    /// The slot that is due next.
    pub next: Option<NextSlot>,
    /// The attempt that has been under way for the longest time.
    #[serde(default)]
    pub longest: Option<LongestAttempt>,
    /// Jobs whose slots are skipped one after the other because a run goes on, the oldest run first.
    #[serde(default)]
    pub held_up: Vec<HeldUp>,
    /// Checks of the health jobs in force, by what their newest looks came to.
    #[serde(default)]
    pub checks: BTreeMap<Verdict, u64>,
    /// Messages that should be out and are not.
    #[serde(default)]
    pub undelivered: u64,
    /// Messages that wait on purpose.
    #[serde(default)]
    pub held: u64,
}

/// An attempt under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LongestAttempt {
    /// The job.
    pub job: JobName,
    /// The run.
    pub run: RunId,
    /// The attempt's number.
    pub attempt: AttemptNo,
    /// When it began.
    pub since: Timestamp,
}

/// A job whose run does not end, and the slots that it cost so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeldUp {
    /// The job.
    pub job: JobName,
    /// The run that goes on.
    pub run: RunId,
    /// When its first attempt began.
    pub since: Timestamp,
    /// Slots skipped since then.
    pub skipped: u64,
    /// The first of them.
    pub first: Timestamp,
    /// Whether there may be more than were counted.
    pub more: bool,
}

/// A slot that is to come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NextSlot {
    /// The job.
    pub job: JobName,
    /// The nominal time.
    pub slot: Timestamp,
}

/// `GET /api/jobs`: a list of these.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobItem {
    /// Its name.
    pub job: JobName,
    /// What it is for.
    pub description: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// `command`, `health`, …
    pub kind: String,
    /// What the schedule says, in words.
    pub schedule: String,
    /// Whether its schedule is in force.
    pub state: JobState,
    /// Why it is paused, in the words of who did it, or what its credential lacks; empty where neither is.
    pub reason: String,
    /// The slot that is due next.
    pub next: Option<Timestamp>,
    /// How it last ended.
    pub last: Option<LastEnd>,
    /// Attempts under way.
    pub running: u64,
    /// Runs that wait.
    pub queued: u64,
    /// Where it is defined: `FILE:LINE`.
    pub file: String,
}

/// Whether a job's schedule is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// It is.
    Active,
    /// A credential holds it: its slots are recorded as blocked.
    Blocked,
    /// A person paused it.
    Paused,
    /// Its file says `enabled: false`.
    Disabled,
}

/// How a job's newest finished run ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LastEnd {
    /// When.
    pub at: Timestamp,
    /// How.
    pub outcome: OutcomeWord,
    /// The failure's message; empty after a success.
    pub reason: String,
}

/// How it ended, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutcomeWord {
    /// It did what it should.
    Succeeded,
    /// It did not; the class says in which way.
    Failed,
}

/// The questions of `GET /api/slots`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SlotsQuery {
    /// Only this job's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<JobName>,
    /// Only these states, separated by commas.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Only nominal times at or after this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Most rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// `GET /api/slots`: a list of these, newest nominal time first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SlotItem {
    /// The job.
    pub job: JobName,
    /// The nominal time.
    pub slot: Timestamp,
    /// What became of it.
    pub state: SlotState,
    /// Why, in words.
    pub reason: String,
    /// The run, where there is one.
    pub run: Option<RunId>,
    /// Slots that the row stands for: more than 1 where a long absence was summed up.
    pub count: u64,
}

/// The questions of `GET /api/runs`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunsQuery {
    /// Only this job's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<JobName>,
    /// Only runs that are queued or running.
    #[serde(default)]
    pub live: bool,
    /// Only runs that failed.
    #[serde(default)]
    pub failed: bool,
    /// Only runs recorded at or after this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Only runs with a smaller number: the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<RunId>,
    /// Most rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// `GET /api/runs`: a list of these, newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunItem {
    /// Its number.
    pub id: RunId,
    /// The job.
    pub job: JobName,
    /// The nominal time, where a slot is the cause.
    pub slot: Option<Timestamp>,
    /// `slot`, `manual` or `after`.
    pub cause: String,
    /// Where it stands.
    pub state: RunWord,
    /// How it ended, once it has.
    pub outcome: Option<OutcomeWord>,
    /// The failure's class, where it failed.
    pub class: Option<FailureClass>,
    /// Why it waits or failed, or what it says of itself; may be empty.
    pub reason: String,
    /// Attempts begun.
    pub attempts: AttemptNo,
    /// When the first attempt began.
    pub started_at: Option<Timestamp>,
    /// When it was over.
    pub finished_at: Option<Timestamp>,
    /// How far it is, where its kind tells that and it is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
}

/// How far a run is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Rows so far.
    pub rows: u64,
    /// Bytes so far; 0 where nobody counts them.
    pub bytes: u64,
    /// Rows a second.
    pub rate: u64,
    /// What it does, with these figures.
    pub words: String,
}

/// Where a run stands, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunWord {
    /// It waits.
    Queued,
    /// An attempt is under way.
    Running,
    /// It is over.
    Finished,
    /// Skipped before it ran.
    Skipped,
    /// Missed while nobody was there.
    Missed,
    /// Could not start before its deadline.
    Expired,
    /// Something it needs is broken.
    Blocked,
}

impl RunWord {
    /// Whether nothing more will happen to the run.
    #[must_use]
    pub fn is_over(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

/// `GET /api/runs/{id}`: a run with its ended attempts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunDetail {
    /// The run.
    pub run: RunItem,
    /// Its ended attempts, in order.
    pub attempts: Vec<AttemptItem>,
}

/// An ended attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttemptItem {
    /// Its number, from 1.
    pub attempt: AttemptNo,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Timestamp,
    /// How it ended.
    pub outcome: OutcomeWord,
    /// The failure's class, where it failed.
    pub class: Option<FailureClass>,
    /// What happened, in one line.
    pub reason: String,
    /// Exit code of the process, where there was one.
    pub exit_code: Option<i32>,
}

/// The questions of `GET /api/runs/{id}/wait`: answers when attempt `attempt` has begun or the run is
/// over, and in any case within half a minute; the reader looks at the answer and may ask again.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct WaitQuery {
    /// The attempt that the reader waits for.
    pub attempt: AttemptNo,
}

/// The questions of `GET /api/runs/{id}/output`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OutputQuery {
    /// Which attempt; the newest by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<AttemptNo>,
    /// Keep on until the attempt has ended.
    #[serde(default)]
    pub follow: bool,
}

/// `POST /api/jobs/{job}/run`: the run that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Triggered {
    /// Its number.
    pub run: RunId,
}

/// The body of `POST /api/jobs/{job}/pause`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PauseOrder {
    /// Why, in the person's words; may be empty.
    #[serde(default)]
    pub reason: String,
}

/// The answer to an order that has nothing to tell but that it is done, durably.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Done {
    /// Always true: a refusal is a [`Problem`].
    pub done: bool,
}

/// The questions of `GET /api/incidents`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct IncidentsQuery {
    /// Also those that are over.
    #[serde(default)]
    pub all: bool,
    /// Most rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// `GET /api/explain/job/{job}` and `GET /api/explain/run/{id}`: what is going on, in sentences.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// `job NAME` or `run N of NAME`.
    pub subject: String,
    /// One thought each, whole sentences, the most important first.
    pub sentences: Vec<String>,
    /// Commands to type next; may be empty.
    pub commands: Vec<String>,
}

/// The body of every answer that is no success.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Problem {
    /// What kind of problem it is.
    pub problem: ProblemKind,
    /// What is wrong, as a lowercase fragment.
    pub message: String,
    /// What to do; may be empty.
    pub hint: String,
}

/// What kind of problem an answer tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemKind {
    /// No such job, run, output or address.
    NotFound,
    /// It can't be done in the present state: the run has ended already.
    Conflict,
    /// The question itself is wrong.
    BadRequest,
    /// Not by this way: orders need the socket.
    Forbidden,
    /// The daemon is going down.
    Stopping,
    /// The store can't answer, or a bug.
    Internal,
}
