//! The loop: look at stored state, plan, commit, start.
//!
//! Owns the one order of events of this node. Each [`Dispatcher::step`] makes at most one commit and only
//! then lets its consequences happen. Where the store disagrees with the image, or a commit fails, the image
//! is built again from the store, which is also how a start begins: there is no other recovery path.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use super::apply::refuse_all;
use super::attempt::{Pull, Turn};
use super::credentials::{Credentials, Standings};
use super::draft::{self, Draft, End, Then};
use super::ends::{Ended, PutOff};
use super::incidents::Open;
use super::judge::Overdue;
use super::usual::Usual;
use super::{Refusal, Request, View};
use crate::clock::Clock;
use crate::kinds::output::Outputs;
use crate::kinds::{Perform, Seen, StopReason};
use crate::model::{
    Advance, AttemptNo, Holder, JobId, JobName, NodeId, Progress, Revision, RunId, RunState,
};
use crate::plan::state::{Seats, State};
use crate::plan::tick::Action;
use crate::spec::{Catalog, Job};
use crate::store::{Change, Store};

/// Most proposals in one commit: small enough that the first starts do not wait for the last slot.
pub(super) const BATCH: usize = 8192;

/// How long a claim on a run is good without being renewed.
pub(super) const LEASE: Duration = Duration::from_secs(60);

/// The wait after the store failed.
pub(super) const STORE_RETRY: Duration = Duration::from_secs(1);

/// Requests that are taken into one commit.
const REQUESTS: usize = 256;

/// What a dispatcher works with.
#[derive(Clone)]
pub struct Parts {
    /// Durable truth.
    pub store: Arc<dyn Store>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Who performs attempts.
    pub perform: Arc<dyn Perform>,
    /// This incarnation.
    pub node: NodeId,
    /// Where output goes.
    pub outputs: Outputs,
    /// How many attempts may be under way.
    pub seats: Seats,
    /// What is known of credentials.
    pub credentials: Credentials,
}

/// The channels that a dispatcher serves.
pub struct Channels {
    /// Requests from [`super::Handle`].
    pub requests: mpsc::Receiver<Request>,
    /// Where it shows itself.
    pub view: watch::Sender<Arc<View>>,
    /// Whom it asks to read `jobs.d` again.
    pub reload: mpsc::Sender<oneshot::Sender<()>>,
}

/// Whether what the daemon works on is still its own.
pub type Held = Arc<dyn Fn() -> bool + Send + Sync>;

/// See the module's words.
pub struct Dispatcher {
    pub(super) parts: Parts,
    pub(super) channels: Channels,
    pub(super) catalog: Arc<Catalog>,
    pub(super) jobs: HashMap<JobId, Arc<Job>>,
    pub(super) state: State,
    pub(super) open: Open,
    pub(super) attempts: JoinSet<Turn>,
    pub(super) tasks: HashMap<tokio::task::Id, RunId>,
    pub(super) live: HashMap<RunId, Live>,
    /// Attempts that do not end.
    pub(super) stuck: Vec<Overdue>,
    /// Results that are not durable yet; those that are put off come first.
    pub(super) ended: Vec<Ended>,
    pub(super) put_off: PutOff,
    pub(super) inbox: Vec<Request>,
    /// The image must be built again before anything is planned.
    pub(super) stale: bool,
    /// Proposals of the last look: as many as fit into one commit means that more is due.
    pub(super) last_tick: usize,
    /// The image is new, and its runs and incidents were not yet squared with the catalog.
    pub(super) fresh: bool,
    pub(super) store_down_until: Option<Timestamp>,
    /// What the store said, until a whole step went well again.
    pub(super) store_trouble: Option<Arc<str>>,
    pub(super) lease_until: Timestamp,
    pub(super) last_now: Timestamp,
    pub(super) drain: Drain,
    pub(super) changes: u64,
    pub(super) started_at: Timestamp,
    /// The time that the last request was recorded under.
    pub(super) last_request: Timestamp,
    /// Runs of earlier incarnations whose processes can't be ended.
    pub(super) going_on: HashSet<RunId>,
    /// Why the image is built anew.
    pub(super) anew: Anew,
    /// The jobs that they hold, and why.
    pub(super) held_jobs: Arc<BTreeMap<JobName, Arc<str>>>,
    /// The standings that were last looked at.
    pub(super) standings: Arc<Standings>,
    /// How long runs usually take.
    pub(super) usual: Usual,
    /// When the credentials' standings say something else by the time alone.
    pub(super) credentials_at: Option<Timestamp>,
    /// Jobs of which an attempt has ended a run as blocked, and when they are looked at.
    pub(super) blocked: BTreeMap<JobId, Timestamp>,
    /// Who waits for the catalog to be in force.
    pub(super) installed_for: Vec<oneshot::Sender<()>>,
    /// What tells whose incident a failure is.
    pub(super) causes: super::whose::Causes,
    /// Since when results wait to be judged, as the clock counts what has passed.
    unjudged_since: Option<Duration>,
    held: Option<Held>,
    /// It was seen once that it is not: nothing brings it back.
    lost: bool,
}

/// Why the image is built anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anew {
    /// A start, or a fault: nothing that is in memory is to be relied on.
    Start,
    /// Another catalog, and nothing else.
    Reload,
}

/// An attempt under way here.
pub(super) struct Live {
    pub(super) fence: AttemptNo,
    pub(super) pull: Pull,
    /// Where it leaves what it sees.
    pub(super) seen: Seen,
    /// When it began.
    pub(super) since: Timestamp,
    /// Who waits for its end.
    pub(super) cancelled_by: Vec<oneshot::Sender<Result<(), Refusal>>>,
}

impl Dispatcher {
    /// A dispatcher that has looked at nothing yet: its first step reads the store, and ends as lost what
    /// an earlier incarnation left under way. The caller has seen to it that those processes are gone.
    #[must_use]
    pub fn new(parts: Parts, channels: Channels, catalog: Arc<Catalog>) -> Self {
        let now = parts.clock.now();
        let state = State::build(parts.seats.clone(), Vec::new(), &[], now);
        Self {
            parts,
            channels,
            catalog,
            jobs: HashMap::new(),
            state,
            open: Open::default(),
            attempts: JoinSet::new(),
            tasks: HashMap::new(),
            live: HashMap::new(),
            stuck: Vec::new(),
            ended: Vec::new(),
            put_off: PutOff { ends: 0, until: Timestamp::MAX },
            inbox: Vec::new(),
            stale: true,
            last_tick: 0,
            fresh: true,
            store_down_until: None,
            store_trouble: None,
            lease_until: now,
            last_now: now,
            drain: Drain::No,
            changes: 0,
            started_at: now,
            last_request: now,
            going_on: HashSet::new(),
            anew: Anew::Start,
            held_jobs: Arc::default(),
            standings: Arc::default(),
            usual: Usual::default(),
            credentials_at: None,
            blocked: BTreeMap::new(),
            installed_for: Vec::new(),
            causes: super::whose::Causes::default(),
            unjudged_since: None,
            held: None,
            lost: false,
        }
    }

    /// Asks before each look and each commit whether the data folder is still held. Once it is not, nothing
    /// starts any more, and what is under way is told to stop: somebody else may work there.
    #[must_use]
    pub fn while_held(mut self, held: Held) -> Self {
        self.held = Some(held);
        self
    }

    pub(super) fn is_lost(&mut self) -> bool {
        if !self.lost && self.held.as_ref().is_some_and(|held| !held()) {
            self.lost = true;
            let told = "the data folder was removed or replaced under the daemon";
            let under_way = self.live.len();
            tracing::error!(
                under_way,
                "{told}: nothing starts any more, and what is under way is ended"
            );
            self.store_trouble = Some(told.into());
            self.drain(Drain::Now);
        }
        self.lost
    }

    /// Serves until `stopping` says to drain and everything under way has ended. `beat` is told before and
    /// after each step how far this is; with `beat_every`, at least that often.
    pub async fn run(
        mut self,
        mut stopping: watch::Receiver<Drain>,
        beat_every: Option<Duration>,
        mut beat: impl FnMut(Advance) + Send,
    ) {
        loop {
            let since = self.parts.clock.passed();
            beat(self.advance(Progress::Working { since }));
            let mut wake = self.step().await;
            if let Some(every) = beat_every {
                let next = self.last_now + every;
                wake = Some(wake.map_or(next, |wake| wake.min(next)));
            }
            // A store that fails is told in its own way; to be killed for it would cost the attempts too.
            beat(self.advance(Progress::Waiting { until: wake }));
            if self.is_drained() {
                return;
            }
            let clock = Arc::clone(&self.parts.clock);
            tokio::select! {
                request = self.channels.requests.recv() => self.inbox.extend(request),
                Some(joined) = self.attempts.join_next_with_id() => self.note_end(joined),
                Ok(()) = stopping.changed() => {
                    let drain = *stopping.borrow();
                    self.drain(drain);
                }
                () = self.parts.credentials.changed() => {}
                () = sleep_until(clock.as_ref(), wake) => {}
            }
        }
    }

    /// Looks once: takes what has ended and what was asked, plans, commits, and lets the consequences
    /// happen. Returns when to look again if nothing happens; a time that has passed means at once.
    pub async fn step(&mut self) -> Option<Timestamp> {
        let now = self.parts.clock.now();
        self.collect();
        if self.is_lost() {
            self.publish();
            return None;
        }
        if self.store_down_until.is_some_and(|until| now < until && now >= self.last_now) {
            return self.store_down_until;
        }
        if now < self.last_now {
            // A clock that went back leaves cursors and waits in the future.
            self.stale = true;
            self.last_request = now;
        }
        self.last_now = now;
        if self.stale && !self.rebuild(now).await {
            self.publish();
            return self.store_down_until;
        }
        let mut draft = Draft::default();
        self.plan_ends(&mut draft, now);
        self.plan_stuck(&mut draft);
        self.plan_credentials(&mut draft, now).await;
        self.plan_catalog(&mut draft, now);
        if self.drain == Drain::No {
            let actions = self.state.tick(now, BATCH);
            self.last_tick = actions.len();
            for action in actions {
                self.plan_action(&mut draft, action, now);
            }
        }
        // After the look, so that a resume does not reach back to slots of the pause.
        self.plan_requests(&mut draft, now).await;
        if let Err(error) = self.judge_ends(&mut draft, now).await {
            // An end without its incident would be a failure in silence: both wait for the store.
            refuse_all(draft.then, &error);
            self.store_failed(&error, now);
            self.publish();
            return self.store_down_until;
        }
        self.say_unsaid(now);
        self.commit(draft, now).await;
        self.renew(now).await;
        if self.store_down_until.is_none() && self.store_trouble.take().is_some() {
            tracing::info!("the store works again");
        }
        self.publish();
        self.next_look(now)
    }

    /// How far the loop is. A result that the store can't take is its trouble, and told as such.
    fn advance(&mut self, dispatch: Progress) -> Advance {
        if self.ended.is_empty() || self.store_trouble.is_some() {
            self.unjudged_since = None;
        } else if self.unjudged_since.is_none() {
            self.unjudged_since = Some(self.parts.clock.passed());
        }
        let idle = Progress::Waiting { until: None };
        let evaluation = self.unjudged_since.map_or(idle, |since| Progress::Working { since });
        Advance { dispatch, evaluation }
    }

    /// Whether the stop is through: nothing is under way, and every result is kept or given up.
    fn is_drained(&self) -> bool {
        if self.lost {
            return self.attempts.is_empty();
        }
        if self.drain == Drain::No {
            return false;
        }
        // The last phase does not wait for the store to work again.
        let given_up =
            self.drain == Drain::Now && self.store_trouble.is_some() && self.attempts.is_empty();
        if given_up && !self.ended.is_empty() {
            let results = self.ended.len();
            tracing::error!(
                results,
                "not kept, the store failed: the next start tells them as lost"
            );
        }
        // Nor for what does not end: its run stays recorded as running, and the next start sees to it.
        let left = |run| self.drain == Drain::Now && self.stuck.iter().any(|one| one.run == run);
        given_up || (self.ended.is_empty() && self.live.keys().all(|run| left(*run)))
    }

    /// Whether everything that has happened so far is durable and planned for.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        !self.stale && self.ended.is_empty() && self.inbox.is_empty()
    }

    /// Tells what is under way to end, by the phase of the stop.
    pub fn drain(&mut self, drain: Drain) {
        self.drain = drain;
        if drain == Drain::No {
            return;
        }
        self.parts.seats.running = 0;
        self.state.take_all_seats();
        if drain == Drain::Now {
            for live in self.live.values() {
                pull(&live.pull, StopReason::Shutdown);
            }
        }
    }

    fn next_look(&self, now: Timestamp) -> Option<Timestamp> {
        if self.stale || self.store_down_until.is_some() {
            return self.store_down_until.or(Some(now));
        }
        if !self.ended.is_empty() || !self.inbox.is_empty() {
            return Some(now);
        }
        let planned = if self.drain == Drain::No { self.state.wake_at() } else { None };
        let planned = planned.into_iter().chain(self.credentials_at);
        let renewal = (!self.live.is_empty()).then(|| self.lease_until - LEASE * 2 / 3);
        planned.chain(renewal).min()
    }

    /// Takes what has ended and what was asked, without waiting.
    fn collect(&mut self) {
        while let Some(joined) = self.attempts.try_join_next_with_id() {
            self.note_end(joined);
        }
        while self.inbox.len() < REQUESTS
            && let Ok(request) = self.channels.requests.try_recv()
        {
            self.inbox.push(request);
        }
    }

    pub(super) fn plan_action(&mut self, draft: &mut Draft, action: Action, now: Timestamp) {
        if let Some((job, reason)) = draft::expires(&action) {
            self.plan_expiry(draft, job, reason);
        }
        let change = match &action {
            Action::Record { job, .. } => {
                let revision = self.jobs.get(job).map_or(Revision(0), |job| job.revision);
                draft::record(&action, revision, self.claim(now), now)
            }
            Action::Advance { job, from, to } => {
                Some(Change::Cursor { job: *job, from: *from, to: *to })
            }
            Action::Start { run, attempt } => {
                Some(Change::Start { run: *run, attempt: *attempt, holder: self.claim(now) })
            }
            Action::Close { run, job, state } => {
                if let RunState::Finished { outcome, .. } = state {
                    let outcome = Some(outcome.clone());
                    let took = Duration::ZERO;
                    draft.end(*job, End { run: *run, outcome, took, looks: Vec::new() });
                }
                Some(Change::Close { run: *run, state: state.clone() })
            }
            Action::Stop { run } => {
                draft.stops.push(*run);
                None
            }
            Action::Stale { job, since, stale } => {
                self.plan_stale(draft, *job, (*since, *stale), now);
                None
            }
        };
        if let Some(change) = change {
            draft.push(change, Then::Settle(action));
        }
    }

    pub(super) fn claim(&mut self, now: Timestamp) -> Holder {
        let until = now + LEASE;
        // Renewal counts from the oldest claim that is still running.
        if self.live.is_empty() {
            self.lease_until = until;
        }
        Holder { node: self.parts.node, until }
    }
}

/// How the daemon stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drain {
    /// It does not.
    No,
    /// Nothing starts any more; what is under way may end.
    Gently,
    /// What is under way is told to stop.
    Now,
}

/// Tells an attempt to stop; the first reason stays.
pub(super) fn pull(pull: &Pull, reason: StopReason) {
    pull.send_if_modified(|pulled| pulled.is_none() && pulled.replace(reason).is_none());
}

async fn sleep_until(clock: &dyn Clock, wake: Option<Timestamp>) {
    match wake {
        Some(at) => clock.sleep_until(at).await,
        None => std::future::pending().await,
    }
}
