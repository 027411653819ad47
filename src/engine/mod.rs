//! Time passes here: the loop that plans, commits and starts attempts.
//!
//! Owns the running daemon's state and the one order of events. Refuses to decide (that is `plan/`) and
//! to keep truth (that is the store): its memory is an image of stored rows, rebuilt at start.

mod apply;
mod attempt;
pub mod credentials;
pub mod dispatch;
mod draft;
mod ends;
mod incidents;
mod judge;
mod looks;
mod recover;
pub mod reload;
mod requests;
pub mod retention;
mod stale;
mod usual;
mod whose;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};

use crate::model::{JobName, RunId};
use crate::spec::Catalog;

/// Why a request was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No job of that name in the catalog.
    #[error("there is no job '{0}'")]
    NoJob(JobName),
    /// No run of that number.
    #[error("there is no run {0}")]
    NoRun(RunId),
    /// The run is over already.
    #[error("run {0} has ended already")]
    Ended(RunId),
    /// The store could not keep it; the text says why.
    #[error("{0}")]
    Store(String),
    /// The daemon is going down.
    #[error("the daemon is stopping")]
    Stopping,
}

/// What a request asks of the loop; the answer comes when it is durable.
#[derive(Debug)]
pub enum Request {
    /// Runs a job now. Never uses up a slot.
    Trigger(JobName, oneshot::Sender<Result<RunId, Refusal>>),
    /// Stops a run: a queued one ends at once, a running one when its processes are gone.
    Cancel(RunId, oneshot::Sender<Result<(), Refusal>>),
    /// Pauses a job's schedule, with a reason.
    Pause(JobName, String, oneshot::Sender<Result<(), Refusal>>),
    /// Ends the pause; the slots in between stay skipped.
    Resume(JobName, oneshot::Sender<Result<(), Refusal>>),
    /// Reads `jobs.d` again and puts the catalog into force; answers when it is.
    Reload(oneshot::Sender<()>),
    /// Puts a catalog into force, and answers those who asked for it when it is.
    Install(Arc<Catalog>, Vec<oneshot::Sender<()>>),
}

/// A cheap, cloneable handle on the engine.
#[derive(Clone, Debug)]
pub struct Handle {
    /// Requests to the loop.
    requests: mpsc::Sender<Request>,
    /// What it works with now.
    view: tokio::sync::watch::Receiver<Arc<View>>,
}

/// What the engine shows of itself.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// The catalog in force.
    pub catalog: Arc<Catalog>,
    /// When the loop will look again if nothing happens.
    pub wake_at: Option<Timestamp>,
    /// Attempts under way.
    pub running: usize,
    /// Runs that wait.
    pub queued: usize,
    /// When the daemon started.
    pub started_at: Timestamp,
    /// What the store said when it failed, until it works again: nothing starts meanwhile.
    pub store_trouble: Option<Arc<str>>,
    /// The jobs that a credential holds, and why.
    pub held: Arc<BTreeMap<JobName, Arc<str>>>,
    /// Where the declared credentials stand.
    pub standings: Arc<credentials::Standings>,
    /// Counts up with each commit that changed a run: a reader that waits for a change watches it.
    pub changes: u64,
}

impl Handle {
    /// A handle on whoever reads `requests` and keeps `view` up to date.
    #[must_use]
    pub fn new(
        requests: mpsc::Sender<Request>,
        view: tokio::sync::watch::Receiver<Arc<View>>,
    ) -> Self {
        Self { requests, view }
    }

    /// What the engine works with now.
    #[must_use]
    pub fn view(&self) -> Arc<View> {
        self.view.borrow().clone()
    }

    /// Waits until something changed after `seen` (see [`View::changes`]).
    pub async fn changed(&self, seen: u64) {
        let mut view = self.view.clone();
        let _closed = view.wait_for(|view| view.changes != seen).await.is_err();
    }

    /// Waits until what is shown is so; for ever where nobody shows anything any more.
    pub async fn shows(&self, is_so: impl Fn(&View) -> bool) {
        let mut view = self.view.clone();
        if view.wait_for(|view| is_so(view)).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Runs a job now and answers with its run.
    ///
    /// # Errors
    /// [`Refusal`] says why not.
    pub async fn trigger(&self, job: JobName) -> Result<RunId, Refusal> {
        self.ask(|answer| Request::Trigger(job, answer)).await?
    }

    /// Stops a run.
    ///
    /// # Errors
    /// [`Refusal`] says why not.
    pub async fn cancel(&self, run: RunId) -> Result<(), Refusal> {
        self.ask(|answer| Request::Cancel(run, answer)).await?
    }

    /// Pauses a job's schedule.
    ///
    /// # Errors
    /// [`Refusal`] says why not.
    pub async fn pause(&self, job: JobName, reason: String) -> Result<(), Refusal> {
        self.ask(|answer| Request::Pause(job, reason, answer)).await?
    }

    /// Ends a job's pause.
    ///
    /// # Errors
    /// [`Refusal`] says why not.
    pub async fn resume(&self, job: JobName) -> Result<(), Refusal> {
        self.ask(|answer| Request::Resume(job, answer)).await?
    }

    /// Reads `jobs.d` again.
    ///
    /// # Errors
    /// [`Refusal::Stopping`] while the daemon goes down.
    pub async fn reload(&self) -> Result<(), Refusal> {
        self.ask(Request::Reload).await
    }

    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<T>) -> Request,
    ) -> Result<T, Refusal> {
        let (answer, reply) = oneshot::channel();
        self.requests.send(request(answer)).await.map_err(|_| Refusal::Stopping)?;
        reply.await.map_err(|_| Refusal::Stopping)
    }
}
