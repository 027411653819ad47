//! The task that delivers the outbox.
//!
//! Owns the order "read, decide, write, send, write": what was sent is noted after it was sent, so that a
//! crash in between sends it once more under the same key, and never not at all. Refuses to decide anything
//! (`decide`).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::decide::{Decision, decide};
use super::message;
use super::send::{Failure, Ways};
use super::{backoff, settings::LAST_RESORT};
use crate::clock::{Clock, within};
use crate::model::{Event, Notification, NotificationId, Outbox, OutboxChange, Progress, Told};
use crate::store::{self, Batch, Change, Store};

/// The longest that nothing is looked at.
const LOOK: Duration = Duration::from_mins(1);

/// When a store that failed is asked again.
const STORE_RETRY: Duration = Duration::from_secs(5);

/// Rounds of decisions before something is sent; each one writes, and a bug must not write for ever.
const ROUNDS: usize = 1000;

/// Time that what is under way has when the daemon stops. What is cut off is sent again.
const LEAVE: Duration = Duration::from_secs(5);

/// How many messages of the last time are counted for limits.
const COUNTED: Duration = Duration::from_hours(1);

/// What the deliverer stands on.
pub struct Parts {
    /// Where the outbox is.
    pub store: Arc<dyn Store>,
    /// How people are told.
    pub ways: Ways,
    /// Rung when a row may have been written.
    pub bell: Arc<Notify>,
    /// Where it shows how far it is.
    pub progress: watch::Sender<Progress>,
}

/// A try that is over.
#[derive(Debug)]
struct Ended {
    row: Notification,
    told: Result<String, Failure>,
}

/// See the module's words.
pub struct Deliverer {
    store: Arc<dyn Store>,
    ways: Arc<Ways>,
    bell: Arc<Notify>,
    progress: watch::Sender<Progress>,
    /// Notifiers that are being told something, or whose answer is not written yet.
    busy: BTreeSet<Arc<str>>,
    under_way: JoinSet<Ended>,
    /// What could not be written yet.
    unwritten: Vec<Ended>,
    /// Whether the store's failure was told.
    complained: bool,
}

impl Deliverer {
    /// A deliverer that has not begun.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self {
            store: parts.store,
            ways: Arc::new(parts.ways),
            bell: parts.bell,
            progress: parts.progress,
            busy: BTreeSet::new(),
            under_way: JoinSet::new(),
            unwritten: Vec::new(),
            complained: false,
        }
    }

    fn clock(&self) -> &dyn Clock {
        &*self.ways.world.clock
    }

    /// Delivers until the daemon stops.
    pub async fn run(mut self, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            let wake = self.step().await;
            tokio::select! {
                () = shutdown.cancelled() => {}
                ended = self.under_way.join_next(), if !self.under_way.is_empty() => self.take(ended),
                () = self.bell.notified() => {}
                () = self.ways.world.clock.sleep_until(wake) => {}
            }
        }
        self.leave().await;
    }

    /// Looks once: writes what has ended, decides, and sends. Returns when to look again.
    pub async fn step(&mut self) -> Timestamp {
        let now = self.clock().now();
        let wake = match self.pass(now).await {
            Ok(wake) => {
                self.complained = false;
                wake
            }
            Err(error) => {
                if !std::mem::replace(&mut self.complained, true) {
                    tracing::error!(%error, "the outbox can't be read or written: nobody is told meanwhile");
                }
                now + STORE_RETRY
            }
        };
        self.progress.send_replace(Progress::Waiting { until: Some(wake) });
        wake
    }

    /// Waits for what is under way, and notes it.
    ///
    /// # Errors
    /// The store failed.
    pub async fn settle(&mut self) -> store::Result<()> {
        while let Some(ended) = self.under_way.join_next().await {
            self.take(Some(ended));
        }
        self.write_down().await
    }

    async fn pass(&mut self, now: Timestamp) -> store::Result<Timestamp> {
        while let Some(ended) = self.under_way.try_join_next() {
            self.take(Some(ended));
        }
        self.works();
        self.write_down().await?;
        for _ in 0..ROUNDS {
            self.works();
            let outbox = self.store.outbox(now - COUNTED).await?;
            let decision = decide(&outbox, &self.ways.alerts, &self.busy, now);
            let Decision { changes, unsettled, send, wake_at, .. } = decision;
            if !changes.is_empty() {
                self.store.commit(Batch { now, changes }).await?;
            }
            if unsettled {
                continue;
            }
            for row in send {
                self.send(row, &outbox, now);
            }
            return Ok(wake_at.unwrap_or(Timestamp::MAX).min(now + LOOK));
        }
        tracing::error!("the outbox does not settle: {ROUNDS} rounds and still something to write");
        Ok(now + LOOK)
    }

    fn works(&self) {
        self.progress.send_replace(Progress::Working { since: self.clock().passed() });
    }

    fn send(&mut self, row: NotificationId, outbox: &Outbox, now: Timestamp) {
        let Some(row) = outbox.rows.iter().find(|one| one.id == row) else { return };
        let (row, message) = (row.clone(), message::of(row, outbox, now));
        let ways = Arc::clone(&self.ways);
        self.busy.insert(Arc::clone(&row.notifier));
        self.under_way.spawn(async move {
            let told = ways.tell(&row.notifier, message).await;
            Ended { row, told }
        });
    }

    fn take(&mut self, ended: Option<Result<Ended, tokio::task::JoinError>>) {
        match ended {
            Some(Ok(ended)) => self.unwritten.push(ended),
            Some(Err(error)) => {
                // Nobody knows whose it was: whoever is not under way any more is free again, and the row,
                // which still waits, is tried again.
                tracing::error!(%error, "a try to tell somebody broke off");
                if self.under_way.is_empty() {
                    self.busy.clear();
                    self.busy
                        .extend(self.unwritten.iter().map(|ended| Arc::clone(&ended.row.notifier)));
                }
            }
            None => {}
        }
    }

    /// Notes what has ended. Where that fails it is kept, and its notifier is not told anything else before.
    async fn write_down(&mut self) -> store::Result<()> {
        while let Some(ended) = self.unwritten.last() {
            let now = self.ways.world.clock.now();
            let changes = vec![Change::Outbox(outcome(&ended.row, &ended.told, now))];
            self.store.commit(Batch { now, changes }).await?;
            if let Some(ended) = self.unwritten.pop() {
                self.busy.remove(&ended.row.notifier);
                told(&ended);
            }
        }
        Ok(())
    }

    /// Lets what is under way come to its end, as far as there is time.
    async fn leave(&mut self) {
        let clock = Arc::clone(&self.ways.world.clock);
        let settled = within(&*clock, LEAVE, self.settle()).await;
        if !matches!(settled, Some(Ok(()))) {
            tracing::warn!("what was being told when the daemon stopped is told again");
        }
        self.under_way.abort_all();
    }
}

/// What is written of a try that is over.
pub(super) fn outcome(
    row: &Notification,
    told: &Result<String, Failure>,
    now: Timestamp,
) -> OutboxChange {
    let Err(failure) = told else { return OutboxChange::Delivered { row: row.id } };
    // Somebody looks at a test right now, and tries again by hand.
    let next = backoff::next(row, failure, now).filter(|_| row.event != Event::Test);
    match next {
        Some(next_at) => OutboxChange::Failed {
            row: row.id,
            tries: row.tries + 1,
            next_at,
            blame: failure.blame,
            error: failure.words.clone(),
        },
        None => OutboxChange::GiveUp { row: row.id, why: failure.words.clone() },
    }
}

fn told(ended: &Ended) {
    let Ended { row, told } = ended;
    debug_assert_eq!(row.state, Told::Waiting);
    match told {
        Ok(answer) => tracing::info!(
            notifier = &*row.notifier, event = row.event.word(), row = %row.id, "told: {answer}"
        ),
        Err(failure) if &*row.notifier == LAST_RESORT => {
            tracing::error!(row = %row.id, "the last resort failed: {}", failure.words);
        }
        Err(failure) => tracing::warn!(
            notifier = &*row.notifier, event = row.event.word(), row = %row.id,
            "not told: {}", failure.words
        ),
    }
}
