//! A store that fails when it is told to: before a commit, after it with the answer lost, or on a look at
//! history.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use async_trait::async_trait;
use jada::model::{
    Attempt, Incident, JobId, JobName, NodeId, Notification, NotificationId, Observation, Outbox,
    Outcome, Run, RunId, Silence,
};
use jada::store::{
    Applied, Batch, EndQuery, Error, JobEntry, JobState, Keep, NewNode, ObservationQuery, Pruned,
    Result, RunQuery, RunRow, SlotQuery, SlotRow, Store, Summary,
};
use jiff::Timestamp;

const FINE: u8 = 0;
const LOSE_BATCH: u8 = 1;
const LOSE_ANSWER: u8 = 2;
const LOSE_READ: u8 = 3;

/// See the module's words.
pub(crate) struct Faulty {
    inner: Arc<dyn Store>,
    mode: AtomicU8,
}

impl Faulty {
    pub(crate) fn over(inner: Arc<dyn Store>) -> Self {
        Self { inner, mode: AtomicU8::new(FINE) }
    }

    /// The next commit fails; `keep` says whether it is kept all the same.
    pub(crate) fn fail_next(&self, keep: bool) {
        self.mode.store(if keep { LOSE_ANSWER } else { LOSE_BATCH }, Ordering::SeqCst);
    }

    /// The next look at a job's history fails.
    pub(crate) fn fail_next_look(&self) {
        self.mode.store(LOSE_READ, Ordering::SeqCst);
    }

    pub(crate) fn heal(&self) {
        self.mode.store(FINE, Ordering::SeqCst);
    }
}

#[async_trait]
impl Store for Faulty {
    async fn commit(&self, batch: Batch) -> Result<Vec<Applied>> {
        let lost = || Error::Write("scripted failure".into());
        match self.mode.load(Ordering::SeqCst) {
            LOSE_BATCH => {
                self.mode.store(FINE, Ordering::SeqCst);
                Err(lost())
            }
            LOSE_ANSWER => {
                self.mode.store(FINE, Ordering::SeqCst);
                self.inner.commit(batch).await?;
                Err(lost())
            }
            _ => self.inner.commit(batch).await,
        }
    }

    async fn register(&self, node: NewNode) -> Result<NodeId> {
        self.inner.register(node).await
    }

    async fn sync_jobs(&self, jobs: Vec<JobEntry>, now: Timestamp) -> Result<Vec<JobState>> {
        self.inner.sync_jobs(jobs, now).await
    }

    async fn live_runs(&self) -> Result<Vec<Run>> {
        self.inner.live_runs().await
    }

    async fn renew(&self, node: NodeId, until: Timestamp) -> Result<()> {
        self.inner.renew(node, until).await
    }

    async fn slots(&self, query: SlotQuery) -> Result<Vec<SlotRow>> {
        self.inner.slots(query).await
    }

    async fn runs(&self, query: RunQuery) -> Result<Vec<RunRow>> {
        self.inner.runs(query).await
    }

    async fn attempts(&self, run: RunId) -> Result<Vec<Attempt>> {
        self.inner.attempts(run).await
    }

    async fn incidents(&self, all: bool, limit: u32) -> Result<Vec<Incident>> {
        self.inner.incidents(all, limit).await
    }

    async fn outbox(&self, since: Timestamp) -> Result<Outbox> {
        self.inner.outbox(since).await
    }

    async fn notifications(&self, all: bool, limit: u32) -> Result<Vec<Notification>> {
        self.inner.notifications(all, limit).await
    }

    async fn notification(&self, id: NotificationId) -> Result<Option<Notification>> {
        self.inner.notification(id).await
    }

    async fn silences(&self, after: Timestamp) -> Result<Vec<Silence>> {
        self.inner.silences(after).await
    }

    async fn summaries(&self, since: Timestamp) -> Result<BTreeMap<JobName, Summary>> {
        self.inner.summaries(since).await
    }

    async fn recent_ends(&self, query: EndQuery) -> Result<Vec<(Timestamp, Outcome)>> {
        if self.mode.load(Ordering::SeqCst) == LOSE_READ {
            self.mode.store(FINE, Ordering::SeqCst);
            return Err(Error::Read("scripted failure".into()));
        }
        self.inner.recent_ends(query).await
    }

    async fn observations(&self, query: ObservationQuery) -> Result<Vec<Observation>> {
        if self.mode.load(Ordering::SeqCst) == LOSE_READ {
            self.mode.store(FINE, Ordering::SeqCst);
            return Err(Error::Read("scripted failure".into()));
        }
        self.inner.observations(query).await
    }

    async fn last_looks(&self, until: Timestamp) -> Result<Vec<Observation>> {
        self.inner.last_looks(until).await
    }

    async fn blocked_tail(&self, job: JobId, limit: u32) -> Result<Vec<Run>> {
        self.inner.blocked_tail(job, limit).await
    }

    async fn prune(&self, keep: Keep, now: Timestamp) -> Result<Pruned> {
        self.inner.prune(keep, now).await
    }

    async fn jobs(&self) -> Result<Vec<JobState>> {
        self.inner.jobs().await
    }

    async fn size(&self) -> Result<u64> {
        self.inner.size().await
    }

    async fn close(&self) -> Result<()> {
        self.inner.close().await
    }
}
