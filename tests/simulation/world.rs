//! A daemon in a box: real loop, real store, real job files; scripted work and simulated time.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jada::clock::{Clock, SimClock};
use jada::engine::credentials::{Credentials, Standings};
use jada::engine::dispatch::{Channels, Dispatcher, Drain, Parts};
use jada::engine::{Request, View};
use jada::kinds::output::Outputs;
use jada::kinds::{AttemptContext, Perform, StopReason};
use jada::model::{
    AttemptNo, Cause, CredentialClass, CredentialName, CredentialState, Failure, FailureClass,
    Fault, Incident, JobName, Observation, Outcome, RunId, RunState, Standing, Subject, Verdict,
};
use jada::plan::state::Seats;
use jada::spec::{Catalog, Settings};
use jada::store::sqlite::Sqlite;
use jada::store::{NewNode, RunQuery, RunRow, SlotQuery, SlotRow, Store};
use jiff::Timestamp;
use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot, watch};

use super::faulty::Faulty;

/// Numbers from a seed (splitmix64).
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5eed)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    pub(crate) fn coin(&mut self) -> bool {
        self.below(2) == 0
    }

    fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[usize::try_from(self.below(items.len() as u64)).expect("small")]
    }
}

/// What a scripted attempt is told to do.
enum Order {
    End(Outcome),
    /// A health job's only check sees that.
    Look(Verdict),
    Panic,
}

/// A scripted attempt under way, and how to give it its order.
type Entry = (JobName, AttemptNo, oneshot::Sender<Order>);

/// Performs by order.
#[derive(Default)]
struct Script {
    under_way: Mutex<BTreeMap<RunId, Entry>>,
    /// Every attempt that ever began, in this incarnation and before.
    started: Arc<Mutex<Vec<(RunId, AttemptNo)>>>,
    deaf: Arc<Mutex<BTreeSet<String>>>,
}

#[async_trait]
impl Perform for Script {
    async fn perform(&self, attempt: AttemptContext) -> Outcome {
        let (give, order) = oneshot::channel();
        self.started.lock().expect("lock").push((attempt.run, attempt.no));
        let entry = (attempt.job.clone(), attempt.no, give);
        self.under_way.lock().expect("lock").insert(attempt.run, entry);
        let deaf = self.deaf.lock().expect("lock").contains(attempt.job.as_str());
        let mut stop = attempt.stop;
        let order = tokio::select! {
            order = order => order,
            reason = stop.pulled(), if !deaf => {
                self.under_way.lock().expect("lock").remove(&attempt.run);
                return stopped(reason);
            }
        };
        match order {
            Ok(Order::End(outcome)) => outcome,
            Ok(Order::Look(verdict)) => {
                attempt.seen.push(look(&attempt.job, verdict, attempt.clock.now()));
                match verdict {
                    Verdict::Ok | Verdict::Warn => Outcome::Succeeded { note: String::new() },
                    Verdict::Fail | Verdict::Unknown => {
                        let message = "1 of 1 check failed";
                        Outcome::Failed(Failure::new(FailureClass::Transient, message))
                    }
                }
            }
            Ok(Order::Panic) => panic!("scripted"),
            // The world was dropped.
            Err(_) => std::future::pending().await,
        }
    }
}

/// What the only check of a scripted health job sees.
fn look(job: &JobName, verdict: Verdict, at: Timestamp) -> Observation {
    Observation {
        check: Subject::check(job, "site"),
        subject: Subject::site("example.com"),
        at,
        took: Duration::from_millis(5),
        verdict,
        fault: (verdict != Verdict::Ok).then_some(Fault::ServerError),
        text: "status 500".into(),
        run: None,
    }
}

fn stopped(_reason: StopReason) -> Outcome {
    Outcome::Failed(Failure::new(FailureClass::Cancelled, "ended by signal 15"))
}

/// See the module's words.
pub(crate) struct World {
    dir: TempDir,
    clock: SimClock,
    store: Arc<Faulty>,
    script: Arc<Script>,
    started: Arc<Mutex<Vec<(RunId, AttemptNo)>>>,
    deaf: Arc<Mutex<BTreeSet<String>>>,
    settings: Settings,
    catalog: Arc<Catalog>,
    running: Option<Running>,
    seats: usize,
    wake: Option<Timestamp>,
    standings: watch::Sender<Arc<Standings>>,
    /// Jobs whose schedule was never edited, with their period in seconds and since when they exist.
    steady: BTreeMap<String, (i64, Timestamp)>,
    latest: Timestamp,
}

struct Running {
    dispatcher: Dispatcher,
    requests: mpsc::Sender<Request>,
    _view: watch::Receiver<Arc<View>>,
    _reload: mpsc::Receiver<oneshot::Sender<()>>,
}

const JOBS: &[(&str, &str)] = &[
    ("skip.yaml", "schedule: { every: 60s }\ncommand: { run: ['true'] }\n"),
    (
        "queue.yaml",
        "schedule: { every: 45s }\noverlap: queue\ncatch_up: none\npool: small\n\
         command: { run: ['true'] }\n",
    ),
    (
        "all.yaml",
        "schedule: { every: 5m }\noverlap: queue_all\ncatch_up: { mode: all, window: 2h }\npool: small\n\
         retry: { attempts: 3, backoff: { initial: 5s } }\ncredentials: { api: test/one }\n\
         command: { run: ['true'] }\n",
    ),
    (
        "cancel.yaml",
        "schedule: { every: 90s }\noverlap: cancel\ntimeout: 5m\ndeadline: 60s\n\
         command: { run: ['true'] }\n",
    ),
    (
        "allow.yaml",
        "schedule: { every: 70s, jitter: 20s }\noverlap: allow\ncommand: { run: ['true'] }\n",
    ),
    (
        "after.yaml",
        "after: [skip, queue]\ncredentials: { api: test/one }\ncommand: { run: ['true'] }\n",
    ),
];

const EDITED: &str = "edited";

impl World {
    /// With a job for each policy, and few seats.
    pub(crate) async fn new() -> Self {
        let mut world = Self::with_seats(JOBS, 4).await;
        let since = world.now();
        let steady = [("skip", 60), ("queue", 45), ("all", 300), ("cancel", 90)];
        world.steady =
            steady.into_iter().map(|(name, period)| (name.to_owned(), (period, since))).collect();
        world
    }

    /// With these job files, and seats for all.
    pub(crate) async fn with(files: &[(&str, &str)]) -> Self {
        Self::with_seats(files, 64).await
    }

    async fn with_seats(files: &[(&str, &str)], seats: usize) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let start = Timestamp::from_second(1_800_000_000).expect("in range");
        let clock = SimClock::at(start);
        let settings = settings(dir.path());
        std::fs::create_dir(&settings.jobs_dir).expect("a jobs folder");
        for (name, text) in files {
            std::fs::write(settings.jobs_dir.join(name), text).expect("a job file");
        }
        let catalog = Arc::new(jada::spec::load(&settings, start, None));
        let errors: Vec<_> = catalog.diagnostics().filter(|one| one.is_error()).collect();
        assert!(errors.is_empty(), "the world's own files are good: {errors:?}");
        let sqlite = Sqlite::open(dir.path().join("jada.db")).expect("a store");
        let mut world = Self {
            store: Arc::new(Faulty::over(Arc::new(sqlite))),
            dir,
            clock,
            script: Arc::default(),
            started: Arc::default(),
            deaf: Arc::default(),
            settings,
            catalog,
            running: None,
            seats,
            wake: None,
            standings: watch::Sender::new(Arc::default()),
            steady: BTreeMap::new(),
            latest: start,
        };
        world.start().await;
        world.settle().await;
        world
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Starts the daemon.
    pub(crate) async fn start(&mut self) {
        let node = NewNode {
            name: "box".into(),
            boot: "boot".into(),
            pid: 1,
            started_at: self.clock.now(),
        };
        let node = self.store.register(node).await.expect("registered");
        self.script = Arc::new(Script {
            under_way: Mutex::default(),
            started: Arc::clone(&self.started),
            deaf: Arc::clone(&self.deaf),
        });
        let (requests, inbox) = mpsc::channel(64);
        let (view, shown) = watch::channel(Arc::new(View::default()));
        let (reload, asked) = mpsc::channel(1);
        let parts = Parts {
            store: Arc::clone(&self.store) as Arc<dyn Store>,
            clock: Arc::new(self.clock.clone()),
            perform: Arc::clone(&self.script) as Arc<dyn Perform>,
            node,
            outputs: Outputs::at(self.dir.path()),
            seats: Seats { running: self.seats, pools: [(Arc::from("small"), 1)].into() },
            credentials: Credentials::of(&self.settings.credentials, self.standings.subscribe()),
        };
        let channels = Channels { requests: inbox, view, reload };
        let dispatcher = Dispatcher::new(parts, channels, Arc::clone(&self.catalog));
        self.running = Some(Running { dispatcher, requests, _view: shown, _reload: asked });
        self.wake = Some(self.clock.now());
    }

    /// Says that what the daemon before left running can't be ended.
    pub(crate) async fn give_up_all(&mut self) {
        let runs = self.runs().await.into_iter().map(|row| row.run.id).collect();
        let running = self.running.as_mut().expect("it runs");
        running.dispatcher.give_up(runs);
    }

    /// Ends the daemon on the spot, attempts included.
    pub(crate) fn stop(&mut self) {
        self.running = None;
        self.script = Arc::default();
        self.store.heal();
    }

    /// As `kill -9`, then a start.
    pub(crate) async fn kill(&mut self) {
        self.stop();
        self.start().await;
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.clock.advance(time);
        self.latest = self.latest.max(self.now());
    }

    pub(crate) fn pass_to_wake(&mut self) {
        let now = self.now();
        if let Some(wake) = self.wake.filter(|wake| *wake > now) {
            let time = wake.duration_since(now).unsigned_abs();
            self.pass(time.min(Duration::from_hours(1)));
        }
    }

    pub(crate) fn set_clock(&mut self, to: Timestamp) {
        self.clock.step_to(to);
    }

    /// A step back by at most so much, within what a wrong clock is put up with.
    pub(crate) fn step_back(&mut self, by: Duration) {
        let earliest = self.latest - Duration::from_hours(1);
        self.set_clock((self.now() - by).max(earliest));
    }

    /// A step of at most two hours forwards, or back to at most two hours before the latest time there
    /// was: within what a wrong clock is put up with.
    pub(crate) fn step_clock(&mut self, chance: &mut Chance) {
        let step = Duration::from_secs(chance.below(2 * 3600));
        let now = self.now();
        let earliest = self.latest - Duration::from_hours(2);
        let to = if chance.coin() { now + step } else { (now - step).max(earliest) };
        self.set_clock(to);
        self.latest = self.latest.max(to);
    }

    /// One look of the loop.
    pub(crate) async fn step_once(&mut self) {
        if let Some(running) = &mut self.running {
            self.wake = running.dispatcher.step().await;
        }
    }

    /// Looks until nothing more is due and every task has run as far as it can.
    pub(crate) async fn settle(&mut self) {
        let mut quiet = 0;
        for _ in 0..300 {
            // Ends, stops and starts each take a few turns of the tasks.
            for _ in 0..8 {
                tokio::task::yield_now().await;
            }
            self.step_once().await;
            for _ in 0..8 {
                tokio::task::yield_now().await;
            }
            let settled = self.running.as_ref().is_none_or(|one| one.dispatcher.is_settled());
            let waits = self.wake.is_none_or(|wake| wake > self.now());
            if waits && !settled {
                // The loop rests after the store failed.
                self.pass_to_wake();
            }
            let resting = settled && waits;
            quiet = if resting { quiet + 1 } else { 0 };
            if quiet == 2 {
                return;
            }
        }
        panic!("the loop never comes to rest: it wakes at {:?}, now {}", self.wake, self.now());
    }

    /// Attempts under way, as `job#attempt`, sorted.
    pub(crate) fn under_way(&self) -> Vec<String> {
        let map = self.script.under_way.lock().expect("lock");
        let mut words: Vec<_> =
            map.values().map(|(job, attempt, _)| format!("{job}#{attempt}")).collect();
        words.sort();
        words
    }

    pub(crate) fn started(&self) -> usize {
        self.started.lock().expect("lock").len()
    }

    pub(crate) fn ignore_stops(&self, job: &str) {
        self.deaf.lock().expect("lock").insert(job.to_owned());
    }

    pub(crate) fn end(&self, job: &str, outcome: Outcome) {
        self.order(job, Order::End(outcome));
    }

    /// Ends a health job by what its check sees.
    pub(crate) fn look(&self, job: &str, verdict: Verdict) {
        self.order(job, Order::Look(verdict));
    }

    /// When the run that was recorded last ended.
    pub(crate) async fn last_end(&self) -> Timestamp {
        let newest = self.runs().await.into_iter().max_by_key(|row| row.run.id);
        match newest.map(|row| row.run.state) {
            Some(RunState::Finished { at, .. }) => at,
            other => panic!("it has not ended: {other:?}"),
        }
    }

    pub(crate) fn panic(&self, job: &str) {
        self.order(job, Order::Panic);
    }

    fn order(&self, job: &str, order: Order) {
        let mut map = self.script.under_way.lock().expect("lock");
        let run = map.iter().find(|(_, (name, ..))| name.as_str() == job).map(|(run, _)| *run);
        let run = run.unwrap_or_else(|| panic!("{job} is not under way"));
        let (_, _, give) = map.remove(&run).expect("found");
        let _stopped_meanwhile = give.send(order);
    }

    /// Ends some attempt in some way.
    pub(crate) fn end_one(&self, chance: &mut Chance) {
        let mut map = self.script.under_way.lock().expect("lock");
        let runs: Vec<RunId> = map.keys().copied().collect();
        if runs.is_empty() {
            return;
        }
        let (_, _, give) = map.remove(chance.pick(&runs)).expect("listed");
        let class = *chance.pick(&FailureClass::ALL);
        let order = match chance.below(20) {
            0 => Order::Panic,
            1 => {
                let mut failure = Failure::new(FailureClass::Unauthorized, "scripted");
                failure.blocked_by = CredentialName::parse("test/one").ok();
                Order::End(Outcome::Failed(failure))
            }
            2..10 => Order::End(Outcome::Failed(Failure::new(class, "scripted"))),
            _ => Order::End(Outcome::Succeeded { note: "fine".into() }),
        };
        let _stopped_meanwhile = give.send(order);
    }

    async fn ask<T>(&mut self, request: impl FnOnce(oneshot::Sender<T>) -> Request) {
        let (answer, _reply) = oneshot::channel();
        if let Some(running) = &self.running {
            running.requests.send(request(answer)).await.expect("the loop takes requests");
        }
        self.step_once().await;
    }

    fn some_job(&self, chance: &mut Chance) -> JobName {
        let names: Vec<_> = self.catalog.jobs.keys().cloned().collect();
        chance.pick(&names).clone()
    }

    pub(crate) async fn trigger(&mut self, chance: &mut Chance) {
        let job = self.some_job(chance);
        self.ask(|answer| Request::Trigger(job, answer)).await;
    }

    pub(crate) async fn cancel(&mut self, chance: &mut Chance) {
        let live = self.store.live_runs().await.expect("read");
        if live.is_empty() {
            return;
        }
        let run = chance.pick(&live).id;
        self.ask(|answer| Request::Cancel(run, answer)).await;
    }

    pub(crate) async fn run(&mut self, job: &str) {
        let job = JobName::parse(job).expect("legal");
        self.ask(|answer| Request::Trigger(job, answer)).await;
    }

    pub(crate) async fn cancel_all(&mut self) {
        for run in self.store.live_runs().await.expect("read") {
            self.ask(|answer| Request::Cancel(run.id, answer)).await;
        }
    }

    /// Nothing starts any more.
    pub(crate) fn drain(&mut self) {
        if let Some(running) = &mut self.running {
            running.dispatcher.drain(Drain::Gently);
        }
    }

    pub(crate) async fn pause_or_resume(&mut self, chance: &mut Chance) {
        let job = self.some_job(chance);
        if chance.coin() {
            self.ask(|answer| Request::Pause(job, "sim".into(), answer)).await;
        } else {
            self.ask(|answer| Request::Resume(job, answer)).await;
        }
    }

    /// Edits, breaks or removes a file whose job no law counts the slots of.
    pub(crate) async fn edit(&mut self, chance: &mut Chance) {
        let name = format!("{EDITED}{}.yaml", chance.below(3));
        match chance.below(4) {
            0 => self.remove(&name).await,
            1 => self.write(&name, "schedule: { evry: 3 }\n").await,
            _ => {
                let period = 20 + chance.below(100);
                let text =
                    format!("schedule: {{ every: {period}s }}\ncommand: {{ run: ['true'] }}\n");
                self.write(&name, &text).await;
            }
        }
    }

    pub(crate) async fn write(&mut self, name: &str, text: &str) {
        std::fs::write(self.settings.jobs_dir.join(name), text).expect("written");
        self.reload().await;
    }

    async fn remove(&mut self, name: &str) {
        let _not_there = std::fs::remove_file(self.settings.jobs_dir.join(name));
        self.reload().await;
    }

    async fn reload(&mut self) {
        let catalog = jada::spec::load(&self.settings, self.now(), Some(&self.catalog));
        self.catalog = Arc::new(catalog);
        if let Some(running) = &self.running {
            let install = Request::Install(Arc::clone(&self.catalog), Vec::new());
            running.requests.send(install).await.expect("the loop takes requests");
        }
    }

    pub(crate) fn fail_next_commit(&self, keep: bool) {
        self.store.fail_next(keep);
    }

    /// Says where the credential stands from now on.
    pub(crate) fn set_standing(&mut self, state: CredentialState) {
        let name = CredentialName::parse("test/one").expect("legal");
        let class = match state {
            CredentialState::ReauthRequired => Some(CredentialClass::ReauthRequired),
            CredentialState::Misconfigured => Some(CredentialClass::ClientMisconfigured),
            _ => None,
        };
        let standing = Standing { state, class, ..Standing::unknown(self.clock.now()) };
        self.standings.send_replace(Arc::new([(name, standing)].into()));
        self.wake = Some(self.clock.now());
    }

    pub(crate) fn fail_next_look(&self) {
        self.store.fail_next_look();
    }

    pub(crate) async fn slots(&self, job: &str) -> Vec<SlotRow> {
        let job = Some(JobName::parse(job).expect("legal"));
        let query = SlotQuery { job, limit: u32::MAX, ..SlotQuery::default() };
        self.store.slots(query).await.expect("read")
    }

    pub(crate) async fn open_incidents(&self) -> Vec<Incident> {
        self.store.incidents(false, 1000).await.expect("read")
    }

    async fn runs(&self) -> Vec<RunRow> {
        let query = RunQuery { limit: u32::MAX, ..RunQuery::default() };
        self.store.runs(query).await.expect("read")
    }

    /// Everything that is under way ends, and the store works.
    pub(crate) async fn all_quiet(&mut self, chance: &mut Chance) {
        self.store.heal();
        for _ in 0..500 {
            self.settle().await;
            if self.script.under_way.lock().expect("lock").is_empty() {
                return;
            }
            self.end_one(chance);
        }
        panic!("attempts never come to an end: {:?}", self.under_way());
    }

    /// The laws that hold at any time. Reading every attempt of every run is left to [`Self::check_runs`].
    pub(crate) async fn check(&self) {
        let mut seen = BTreeSet::new();
        for (run, attempt) in self.started.lock().expect("lock").iter() {
            assert!(seen.insert((*run, *attempt)), "attempt {attempt} of run {run} began twice");
        }
        let mut causes = BTreeSet::new();
        let mut running = BTreeSet::new();
        for row in self.runs().await {
            let cause = format!("{} {:?}", row.job, row.run.cause);
            assert!(causes.insert(cause.clone()), "two rows for {cause}");
            if matches!(row.run.state, RunState::Running { .. }) {
                running.insert(row.run.id);
                let same = format!("{}#", row.job);
                let under_way = self.under_way();
                let alone = under_way.iter().filter(|word| word.starts_with(&same)).count() <= 1;
                let alone = alone || row.job.as_str() == "allow";
                assert!(alone, "{} overlaps: {:?}", row.job, self.under_way());
            }
        }
        let here: BTreeSet<_> =
            self.script.under_way.lock().expect("lock").keys().copied().collect();
        assert_eq!(here, running, "what the store says runs is what runs");
        assert!(running.len() <= self.seats, "more attempts than seats");
        let mut keys = BTreeSet::new();
        for incident in self.open_incidents().await {
            assert!(keys.insert(incident.key.clone()), "two open incidents: {}", incident.key);
        }
    }

    /// The laws of each run's history.
    pub(crate) async fn check_runs(&self) {
        for row in self.runs().await {
            self.check_run(&row).await;
        }
    }

    async fn check_run(&self, row: &RunRow) {
        let run = &row.run;
        let ended = self.store.attempts(run.id).await.expect("read");
        let numbers: Vec<_> = ended.iter().map(|attempt| attempt.no).collect();
        let expected: Vec<_> = match run.state {
            RunState::Running { .. } => (1..run.attempts).collect(),
            RunState::Queued { .. } | RunState::Finished { .. } | RunState::NotRun { .. } => {
                (1..=run.attempts).collect()
            }
        };
        assert_eq!(numbers, expected, "attempts of run {} in state {:?}", run.id, run.state);
        if let (RunState::Finished { outcome, .. }, Some(last)) = (&run.state, ended.last()) {
            // A run can be cancelled between two attempts, or end there as its last one did, with a reason.
            let cancelled = outcome.class() == Some(FailureClass::Cancelled);
            let as_its_last = outcome.class() == last.outcome.class()
                && outcome.message().starts_with(last.outcome.message());
            assert!(cancelled || as_its_last, "run {} ended otherwise", run.id);
        }
        assert!(!matches!(run.cause, Cause::Slot(at) if at > self.latest), "fired early: {run:?}");
    }

    /// Each slot of the jobs that were never edited has exactly one row, however often the daemon died.
    pub(crate) async fn check_slots(&self) {
        for (job, (period, since)) in &self.steady {
            let mut rows: Vec<_> =
                self.slots(job).await.into_iter().map(|row| (row.slot, row.count)).collect();
            rows.sort_unstable();
            let mut expected = (since.as_second() / period + 1) * period;
            for (slot, count) in rows {
                assert_eq!(slot.as_second(), expected, "{job}: a slot without a row, or twice");
                expected += period * i64::try_from(count).expect("small");
            }
            // The newest slot may be one that no look has come to since the clock went back.
            assert!(
                expected > self.now().as_second(),
                "{job}: no row for the slot at {expected}, it is {}",
                self.now().as_second()
            );
        }
    }
}

fn settings(root: &Path) -> Settings {
    let file = root.join("jada.yaml");
    let text = "credentials: { test/one: { oauth2: { token_url: 'https://localhost/token', \
                client_id: jada, scopes: [a] } } }\n";
    std::fs::write(&file, text).expect("written");
    let mut settings = jada::spec::config::read(&file).settings;
    settings.limits.pools = [("small".to_owned(), 1)].into();
    settings
}
