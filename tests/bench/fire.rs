//! Many jobs due in the same second: how late they start, and whether any is lost.
//!
//! `cargo bench --bench fire` prints, measured side by side in one run:
//! - 10,000 and 100,000 jobs with a performer that does nothing, each a durable row before it is
//!   dispatched, beside tokio-cron-scheduler, which keeps nothing;
//! - 200 and 2,000 jobs that run `true`, with their whole history, beside a bare loop that spawns the same
//!   number of processes.

#![expect(clippy::disallowed_methods, reason = "a bench reads the real clock")]
#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use jada::clock::{Clock, SystemClock};
use jada::engine::View;
use jada::engine::credentials::Credentials;
use jada::engine::dispatch::{Channels, Dispatcher, Drain, Parts};
use jada::kinds::output::Outputs;
use jada::kinds::{AttemptContext, Kinds, Perform, Setting};
use jada::model::{JobName, Outcome, Overlap, Policy, Revision, SlotState};
use jada::plan::schedule::{Moment, Schedule, TriggerSpec, When};
use jada::plan::state::Seats;
use jada::spec::{Catalog, Job};
use jada::store::sqlite::Sqlite;
use jada::store::{NewNode, SlotQuery, Store};
use jiff::Timestamp;
use tokio::sync::{Notify, mpsc, watch};

/// Lateness of each start, in milliseconds after the slot.
struct Late {
    due: Timestamp,
    starts: std::sync::Mutex<Vec<i64>>,
    ends: std::sync::Mutex<Vec<i64>>,
    left: AtomicUsize,
    done: Notify,
}

impl Late {
    fn new(due: Timestamp, jobs: usize) -> Arc<Self> {
        Arc::new(Self {
            due,
            starts: std::sync::Mutex::new(Vec::with_capacity(jobs)),
            ends: std::sync::Mutex::new(Vec::with_capacity(jobs)),
            left: AtomicUsize::new(jobs),
            done: Notify::new(),
        })
    }

    fn since_due(&self) -> i64 {
        Timestamp::now().as_millisecond() - self.due.as_millisecond()
    }

    fn start(&self) {
        let late = self.since_due();
        self.starts.lock().expect("lock").push(late);
    }

    fn end(&self) {
        let late = self.since_due();
        self.ends.lock().expect("lock").push(late);
        if self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.done.notify_one();
        }
    }

    async fn wait(&self, most: Duration) {
        let _late = tokio::time::timeout(most, self.done.notified()).await;
    }
}

/// p50, p99 and the largest.
fn spread(list: &std::sync::Mutex<Vec<i64>>) -> (i64, i64, i64) {
    let mut sorted = list.lock().expect("lock").clone();
    sorted.sort_unstable();
    let at = |share: usize| sorted.get(sorted.len().saturating_sub(1) * share / 100).copied();
    (at(50).unwrap_or(-1), at(99).unwrap_or(-1), sorted.last().copied().unwrap_or(-1))
}

/// Notes when attempts begin and end around a performer, or around nothing.
struct Timed {
    inner: Option<Kinds>,
    late: Arc<Late>,
}

#[async_trait]
impl Perform for Timed {
    async fn perform(&self, attempt: AttemptContext) -> Outcome {
        self.late.start();
        let outcome = match &self.inner {
            Some(kinds) => kinds.perform(attempt).await,
            None => Outcome::Succeeded { note: String::new() },
        };
        self.late.end();
        outcome
    }
}

/// A catalog of one-shot jobs that are all due at `due`.
fn catalog(jobs: usize, due: Timestamp, work: &Arc<jada::kinds::Work>) -> Catalog {
    let trigger = TriggerSpec::new(When::At(vec![Moment::Instant(due)]));
    let schedule = Arc::new(Schedule::compile(&[trigger], "bench").expect("a legal schedule"));
    let policy = Arc::new(Policy { overlap: Overlap::Skip, ..Policy::default() });
    let setting = Arc::new(Setting {
        working_dir: std::env::temp_dir(),
        grace: Duration::from_secs(5),
        ..Setting::default()
    });
    let mut catalog = Catalog::default();
    for index in 0..jobs {
        let name = JobName::parse(&format!("job-{index}")).expect("a legal name");
        let job = Job {
            name: name.clone(),
            description: String::new(),
            enabled: true,
            labels: Arc::default(),
            revision: Revision(1),
            schedule_revision: Revision(1),
            schedule: Arc::clone(&schedule),
            policy: Arc::clone(&policy),
            work: Arc::clone(work),
            setting: Arc::clone(&setting),
            bindings: Arc::default(),
            file: std::path::Path::new("bench").into(),
            line: 1,
        };
        catalog.jobs.insert(name, Arc::new(job));
    }
    catalog
}

fn work() -> Arc<jada::kinds::Work> {
    let dir = tempfile::tempdir().expect("a folder");
    let settings = jada::spec::Settings::defaults(dir.path());
    std::fs::create_dir(&settings.jobs_dir).expect("a folder");
    std::fs::write(settings.jobs_dir.join("a.yaml"), "command: { run: ['true'] }\n")
        .expect("written");
    let loaded = jada::spec::load(&settings, Timestamp::now(), None);
    let job = loaded.jobs.values().next().expect("one job");
    Arc::clone(&job.work)
}

/// Runs the daemon's own loop until all have ended, and counts the rows.
async fn ours(jobs: usize, lead: Duration, seats: usize, real: bool) -> (Arc<Late>, usize) {
    let dir = tempfile::tempdir().expect("a folder");
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let due = Timestamp::from_second((clock.now() + lead).as_second()).expect("in range");
    let late = Late::new(due, jobs);
    let store: Arc<dyn Store> =
        Arc::new(Sqlite::open(dir.path().join("jada.db")).expect("a store"));
    let node =
        NewNode { name: "bench".into(), boot: String::new(), pid: 1, started_at: clock.now() };
    let node = store.register(node).await.expect("registered");
    let (requests, inbox) = mpsc::channel(1);
    let (view, _shown) = watch::channel(Arc::new(View::default()));
    let (reload, _asked) = mpsc::channel(1);
    let parts = Parts {
        store: Arc::clone(&store),
        clock,
        perform: Arc::new(Timed {
            inner: real.then(|| Kinds::new(dir.path(), None)),
            late: Arc::clone(&late),
        }),
        node,
        outputs: Outputs::at(dir.path()),
        seats: Seats { running: seats, pools: std::collections::BTreeMap::new() },
        credentials: Credentials::none(),
    };
    let catalog = Arc::new(catalog(jobs, due, &work()));
    let dispatcher = Dispatcher::new(parts, Channels { requests: inbox, view, reload }, catalog);
    let (drain, stopping) = watch::channel(Drain::No);
    let loop_ended = tokio::spawn(dispatcher.run(stopping, None, |_| {}));
    late.wait(lead + Duration::from_secs(60)).await;
    drain.send_replace(Drain::Gently);
    loop_ended.await.expect("the loop ends");
    drop(requests);
    let query = SlotQuery { states: vec![SlotState::Ran], limit: u32::MAX, ..SlotQuery::default() };
    let rows = store.slots(query).await.expect("read").len();
    store.close().await.expect("closed");
    (late, rows)
}

async fn theirs(jobs: usize, lead: Duration) -> Arc<Late> {
    use tokio_cron_scheduler::{Job, JobScheduler};
    let due = Timestamp::from_second((Timestamp::now() + lead).as_second()).expect("in range");
    let late = Late::new(due, jobs);
    let zoned = jiff::tz::TimeZone::UTC.to_datetime(due);
    let cron = format!("{} {} {} * * *", zoned.second(), zoned.minute(), zoned.hour());
    let mut scheduler = JobScheduler::new().await.expect("a scheduler");
    for _ in 0..jobs {
        let late = Arc::clone(&late);
        let job = Job::new_async(cron.as_str(), move |_, _| {
            let late = Arc::clone(&late);
            Box::pin(async move {
                late.start();
                late.end();
            })
        });
        scheduler.add(job.expect("a job")).await.expect("added");
    }
    scheduler.start().await.expect("started");
    let rest = due.duration_since(Timestamp::now()).unsigned_abs() + Duration::from_secs(5);
    late.wait(rest).await;
    scheduler.shutdown().await.expect("shut down");
    late
}

/// Spawns the processes as fast as it can, as many at a time as the daemon has seats; returns when the
/// last one has ended.
async fn bare(processes: usize, seats: usize) -> Duration {
    let begun = Instant::now();
    let limit = Arc::new(tokio::sync::Semaphore::new(seats));
    let mut waits = tokio::task::JoinSet::new();
    for _ in 0..processes {
        let seat = Arc::clone(&limit).acquire_owned().await.expect("open");
        let mut child = tokio::process::Command::new("true").spawn().expect("spawned");
        waits.spawn(async move {
            let _status = child.wait().await;
            drop(seat);
        });
    }
    while waits.join_next().await.is_some() {}
    begun.elapsed()
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    println!("lateness in ms after the slot: p50 / p99 / max\n");
    println!("a performer that does nothing");
    for (jobs, lead) in [(10_000, 5), (100_000, 30)] {
        let lead = Duration::from_secs(lead);
        let (late, rows) = ours(jobs, lead, usize::MAX, false).await;
        let (p50, p99, max) = spread(&late.starts);
        let started = late.starts.lock().expect("lock").len();
        println!(
            "  {jobs:>7} jada   {p50:>5} / {p99:>5} / {max:>5}   lost {:>6}   rows {rows}",
            jobs - started
        );
        let peer = theirs(jobs, lead).await;
        let (their50, their99, their_max) = spread(&peer.starts);
        let started = peer.starts.lock().expect("lock").len();
        #[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
        let ratio = their99 as f64 / p99.max(1) as f64;
        println!(
            "  {jobs:>7} tcs    {their50:>5} / {their99:>5} / {their_max:>5}   lost {:>6}   p99 ratio tcs/jada {ratio:.1}",
            jobs - started.min(jobs)
        );
    }
    println!("\n`true` with its whole history, 64 seats, beside a bare loop");
    for processes in [200, 2_000] {
        let mut ratios = Vec::new();
        for _ in 0..3 {
            let alone = bare(processes, 64).await;
            let (late, rows) = ours(processes, Duration::from_secs(3), 64, true).await;
            let (p50, p99, max) = spread(&late.starts);
            let (_, _, last) = spread(&late.ends);
            let alone = i64::try_from(alone.as_millis()).expect("short");
            #[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
            let ratio = p99 as f64 / alone.max(1) as f64;
            ratios.push(ratio);
            println!(
                "  {processes:>5} jada {p50:>5} / {p99:>5} / {max:>5}   all ended {last:>5}   \
                 bare loop {alone:>5}   rows {rows}   p99/bare {ratio:.2}"
            );
        }
        ratios.sort_by(f64::total_cmp);
        println!("  {processes:>5} median of p99 over the bare loop's finish: {:.2}", ratios[1]);
    }
}
