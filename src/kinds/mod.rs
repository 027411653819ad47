//! What a job does.
//!
//! Owns the kinds: each decodes its own section and performs it. [`Work`] is the only enum of kinds,
//! [`Perform`] the seam to the engine. Refuses to know the store, the schedule, retries and alerts: it is
//! given one attempt and answers with one [`Outcome`].

pub mod alert;
pub mod command;
pub mod facts;
pub mod freshness;
mod given;
pub mod grant;
pub mod health;
mod lightsail;
pub mod output;
pub mod post;
pub mod process;
pub mod sync;
pub mod systemd;
pub mod template;
mod touch;
mod wire;
mod work;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::watch;

pub use touch::{Reach, Touch};
pub use work::{Kinds, Shown, Work, check};

use crate::clock::Clock;
use crate::model::{AttemptNo, Binding, Cause, JobName, NodeId, Observation, Outcome, RunId};

/// Performs attempts. The real one is [`Kinds`]; simulations script theirs.
#[async_trait]
pub trait Perform: Send + Sync + 'static {
    /// Performs one attempt to its end. Returns only when nothing of it is left running.
    async fn perform(&self, attempt: AttemptContext) -> Outcome;
}

/// Everything that an attempt may know.
pub struct AttemptContext {
    /// The run.
    pub run: RunId,
    /// The job's name.
    pub job: JobName,
    /// The attempt's number, from 1.
    pub no: AttemptNo,
    /// The incarnation of the daemon that performs it.
    pub node: NodeId,
    /// Why the run exists.
    pub cause: Cause,
    /// When the attempt began.
    pub started_at: Timestamp,
    /// What to do.
    pub work: Arc<Work>,
    /// What the job's common keys say about how it is done.
    pub setting: Arc<Setting>,
    /// Where output goes.
    pub output: output::Output,
    /// What it may know of what is stored.
    pub facts: facts::Facts,
    /// Where it leaves what it saw on its way to the outcome.
    pub seen: Seen,
    /// Tells when to stop.
    pub stop: Stop,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

/// What an attempt saw on its way to its outcome; cheap to clone. The engine stores it with the attempt's end.
#[derive(Clone, Debug, Default)]
pub struct Seen(Arc<Mutex<Vec<Observation>>>);

impl Seen {
    /// Leaves one look.
    pub fn push(&self, observation: Observation) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(observation);
    }

    /// Takes all of them.
    #[must_use]
    pub fn take(&self) -> Vec<Observation> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// How a job is done, from its common keys.
#[derive(Clone, Debug, Default)]
pub struct Setting {
    /// Variables to set, in the order in which they are written; values are still templates.
    pub env: Vec<(String, String)>,
    /// Where programs start; the jobs folder's parent by default.
    pub working_dir: PathBuf,
    /// Values for templates under `params`.
    pub params: BTreeMap<String, serde_json::Value>,
    /// Time between TERM and KILL.
    pub grace: Duration,
    /// Limits on what a process of the job may use.
    pub limits: ProcessLimits,
    /// The credentials that programs of the job get.
    pub bindings: Arc<[Binding]>,
    /// How old the data may be after an attempt that ended well, and how that is told.
    pub freshness: Option<Arc<freshness::FreshnessSection>>,
}

/// Limits on each process of a job; `None` is the system's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessLimits {
    /// Address space, bytes.
    pub memory: Option<u64>,
    /// CPU time.
    pub cpu_time: Option<Duration>,
    /// Open files.
    pub open_files: Option<u64>,
    /// Largest file that may be written, bytes.
    pub file_size: Option<u64>,
    /// Kept output of one attempt, bytes; the middle is dropped beyond it.
    pub output: Option<u64>,
}

/// Why an attempt must stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// Its timeout passed.
    TimedOut,
    /// Somebody or a policy cancelled it.
    Cancelled,
    /// The daemon is going down and the drain time is over.
    Shutdown,
}

/// Tells an attempt to stop; cheap to clone.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<Option<StopReason>>);

impl Stop {
    /// A stop and the means to pull it.
    #[must_use]
    pub fn pair() -> (watch::Sender<Option<StopReason>>, Self) {
        let (pull, stop) = watch::channel(None);
        (pull, Self(stop))
    }

    /// Why the attempt must stop, if it must by now.
    #[must_use]
    pub fn reason(&self) -> Option<StopReason> {
        *self.0.borrow()
    }

    /// Waits until the attempt must stop. Never returns when nobody can pull it any more.
    pub async fn pulled(&mut self) -> StopReason {
        match self.0.wait_for(Option::is_some).await.map(|reason| *reason) {
            Ok(Some(reason)) => reason,
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }
}

/// Whether the daemon was told to go down. Attempts may still end in good order, but whoever told the daemon
/// may have told the programs of its jobs too: systemd does.
#[derive(Clone, Debug, Default)]
pub struct Leaving(Arc<AtomicBool>);

impl Leaving {
    /// The daemon is going down from now on.
    pub fn begin(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether it is.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}
