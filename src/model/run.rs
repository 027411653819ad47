//! Slots, runs, attempts and how they end.
//!
//! Owns the states and what is known in each. Refuses to know which moves are legal: that is
//! `plan::lifecycle`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{AttemptNo, CredentialName, JobId, NodeId, RunId};

/// One execution of a slot or of a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Its key in the store.
    pub id: RunId,
    /// The job it executes.
    pub job: JobId,
    /// Why it exists.
    pub cause: Cause,
    /// Where it stands.
    pub state: RunState,
    /// Attempts begun so far.
    pub attempts: AttemptNo,
    /// When it was recorded.
    pub created_at: Timestamp,
    /// When the first attempt began.
    pub started_at: Option<Timestamp>,
}

/// Why a run exists. Unique together with the job, so that nothing runs twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The schedule named this nominal time.
    Slot(Timestamp),
    /// Somebody asked, at this time.
    Manual(Timestamp),
    /// This run of a job named in `after` succeeded.
    After(RunId),
}

impl Cause {
    /// The nominal time, where a slot is the cause.
    #[must_use]
    pub fn slot(self) -> Option<Timestamp> {
        match self {
            Self::Slot(at) => Some(at),
            Self::Manual(_) | Self::After(_) => None,
        }
    }

    /// The word that the API uses: `slot`, `manual` or `after`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Slot(_) => "slot",
            Self::Manual(_) => "manual",
            Self::After(_) => "after",
        }
    }
}

/// Where a run stands.
#[derive(Clone, Debug, PartialEq)]
pub enum RunState {
    /// Waits; backoff is just a later `ready_at`.
    Queued {
        /// Not before this time.
        ready_at: Timestamp,
        /// Why it waits, in words.
        why: String,
    },
    /// An attempt is under way (its number is `Run::attempts`).
    Running {
        /// Who performs it, and until when that claim is good.
        holder: Holder,
        /// When this attempt began.
        since: Timestamp,
    },
    /// It is over.
    Finished {
        /// When.
        at: Timestamp,
        /// How.
        outcome: Outcome,
    },
    /// Its slot never ran, and this is the record of it.
    NotRun {
        /// When that was decided.
        at: Timestamp,
        /// What became of the slot.
        verdict: NotRun,
        /// Why, in words.
        reason: String,
        /// Slots that this row stands for: 1, or more where a long absence was summed up.
        count: u64,
    },
}

/// A claim on a run: good until `until`, and only for that incarnation of the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The incarnation that holds it.
    pub node: NodeId,
    /// When the claim lapses if it isn't renewed.
    pub until: Timestamp,
}

/// What became of a slot that did not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NotRun {
    /// Policy or a person said no: overlap, pause.
    Skipped,
    /// Nobody was there at the time, and catch-up did not take it.
    Missed,
    /// It could not start before its deadline.
    Expired,
    /// Something it needs is broken: a credential.
    Blocked,
}

/// The state of a slot as users see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SlotState {
    /// Not due yet, or waits to start.
    Pending,
    /// An attempt is under way.
    Running,
    /// Ran and succeeded.
    Ran,
    /// Ran and did not succeed.
    Failed,
    /// See [`NotRun::Skipped`].
    Skipped,
    /// See [`NotRun::Missed`].
    Missed,
    /// See [`NotRun::Expired`].
    Expired,
    /// See [`NotRun::Blocked`].
    Blocked,
}

impl SlotState {
    /// Every state, in the order of a slot's life.
    pub const ALL: [Self; 8] = [
        Self::Pending,
        Self::Running,
        Self::Ran,
        Self::Failed,
        Self::Skipped,
        Self::Missed,
        Self::Expired,
        Self::Blocked,
    ];

    /// The word in API and command line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Ran => "ran",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Missed => "missed",
            Self::Expired => "expired",
            Self::Blocked => "blocked",
        }
    }

    /// The state of a word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }
}

/// How an attempt, or a whole run, ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It did what it should.
    Succeeded {
        /// What it says of itself, in one line; may be empty.
        note: String,
    },
    /// It did not.
    Failed(Failure),
}

/// A failure: the class decides what happens next, the words are for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What retry, alert and diagnosis look at.
    pub class: FailureClass,
    /// What happened, in one line.
    pub message: String,
    /// The server's wish for the next try, counted from the end of the attempt.
    pub retry_after: Option<std::time::Duration>,
    /// Exit code of the process, where there was one.
    pub exit_code: Option<i32>,
    /// The credential that is to blame, where one is: the run is then blocked by it, not failed. Not
    /// kept with the attempt.
    pub blocked_by: Option<CredentialName>,
    /// The command that mends it, where the failure knows a better one than a look at the logs. Not kept
    /// with the attempt.
    pub mend: Option<String>,
    /// That a guard holds it until a person has looked: the counts and the keys, a few lines. Tells at once,
    /// whatever the job's alert rule waits for. Not kept with the attempt.
    pub held: Option<String>,
}

impl Failure {
    /// A failure of a class with a message and nothing else known.
    #[must_use]
    pub fn new(class: FailureClass, message: impl Into<String>) -> Self {
        Self {
            class,
            message: message.into(),
            retry_after: None,
            exit_code: None,
            blocked_by: None,
            mend: None,
            held: None,
        }
    }
}

impl Outcome {
    /// Whether it succeeded.
    #[must_use]
    pub fn is_success(&self) -> bool {
        matches!(self, Self::Succeeded { .. })
    }

    /// The class, where it failed.
    #[must_use]
    pub fn class(&self) -> Option<FailureClass> {
        match self {
            Self::Succeeded { .. } => None,
            Self::Failed(failure) => Some(failure.class),
        }
    }

    /// What a guard holds, where one does.
    #[must_use]
    pub fn held(&self) -> Option<&str> {
        match self {
            Self::Succeeded { .. } => None,
            Self::Failed(failure) => failure.held.as_deref(),
        }
    }

    /// The command that mends it, where it knows one.
    #[must_use]
    pub fn mend(&self) -> Option<&str> {
        match self {
            Self::Succeeded { .. } => None,
            Self::Failed(failure) => failure.mend.as_deref(),
        }
    }

    /// What happened, in one line.
    #[must_use]
    pub fn message(&self) -> &str {
        match self {
            Self::Succeeded { note } => note,
            Self::Failed(failure) => &failure.message,
        }
    }
}

/// The class of a failure (DESIGN, law 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// May well succeed if tried again: network, 5xx, a busy file.
    Transient,
    /// The other side asked for patience.
    Throttled,
    /// The credential was refused.
    Unauthorized,
    /// A budget ran out: graceful, structured, no service failure.
    Exhausted,
    /// Trying again can't help.
    Permanent,
    /// The attempt's timeout passed.
    TimedOut,
    /// Somebody or a policy stopped it.
    Cancelled,
    /// The process that performed it died, and what it did is unknown.
    Lost,
}

impl FailureClass {
    /// Every class, in the order of the law.
    pub const ALL: [Self; 8] = [
        Self::Transient,
        Self::Throttled,
        Self::Unauthorized,
        Self::Exhausted,
        Self::Permanent,
        Self::TimedOut,
        Self::Cancelled,
        Self::Lost,
    ];

    /// The word in YAML, API and store.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::Throttled => "throttled",
            Self::Unauthorized => "unauthorized",
            Self::Exhausted => "exhausted",
            Self::Permanent => "permanent",
            Self::TimedOut => "timed_out",
            Self::Cancelled => "cancelled",
            Self::Lost => "lost",
        }
    }

    /// The class of a word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.word() == word)
    }
}

/// One try of a run, as history keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    /// Its number within the run, from 1.
    pub no: AttemptNo,
    /// The incarnation that performed it.
    pub node: NodeId,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// How it ended.
    pub outcome: Outcome,
}
