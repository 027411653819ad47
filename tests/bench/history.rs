//! How the store's price grows with its history, and what a full minute costs.
//!
//! Owns the measurement: the same questions asked of 1,000 and of 1,000,000 slots, bytes per row, and
//! 100,000 jobs due in one second. Refuses to judge: it prints figures and ratios.
//! Run with `cargo bench --bench history`; a number of slots may follow `--`.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]
#![expect(clippy::cast_precision_loss, reason = "the figures are rounded")]

use std::time::{Duration, Instant};

use jada::model::{
    Cause, Failure, FailureClass, Holder, JobId, JobName, NodeId, NotRun, Outcome, Revision, RunId,
    RunState, SlotState,
};
use jada::store::sqlite::Sqlite;
use jada::store::{
    Applied, Batch, Change, EndQuery, JobEntry, JobState, Keep, NewNode, RunQuery, SlotQuery, Store,
};
use jiff::{SignedDuration, Timestamp};
use rustix::time::{ClockId, clock_gettime};

/// Changes in one commit, as the engine sends them at a full minute.
const CHUNK: usize = 8192;

/// Times that each question is asked; the median counts.
const REPEATS: usize = 101;

/// Jobs that the history belongs to.
const JOBS: usize = 4;

fn main() {
    let most = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(1_000_000);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime without drivers needs nothing of the system");
    runtime.block_on(async {
        burst(100_000).await;
        history(1_000, most).await;
    });
}

#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
async fn timed<T>(work: impl Future<Output = T>) -> (Duration, T) {
    let start = Instant::now();
    let done = work.await;
    (start.elapsed(), done)
}

/// Processor time that this process has used: it hardly minds what else the machine does.
fn processor() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).expect("a processor's time is never negative")
}

struct World {
    store: Sqlite,
    node: NodeId,
    jobs: Vec<JobState>,
    _folder: tempfile::TempDir,
}

async fn world(jobs: usize) -> World {
    let folder = tempfile::tempdir().expect("the temporary folder is writable");
    let store = Sqlite::open(folder.path().join("jada.db")).expect("a new store opens");
    let node = NewNode { name: "bench".into(), boot: "b".into(), pid: 1, started_at: minute(0) };
    let node = store.register(node).await.expect("the node is registered");
    let entry = |index| JobEntry {
        name: JobName::parse(&format!("job-{index}")).expect("a legal name"),
        revision: Revision(u64::MAX / 3),
        schedule: Revision(2),
    };
    let jobs = (0..jobs).map(entry).collect();
    let jobs = store.sync_jobs(jobs, minute(0)).await.expect("the jobs are stored");
    World { store, node, jobs, _folder: folder }
}

fn minute(index: usize) -> Timestamp {
    let minutes = i64::try_from(index).expect("few minutes");
    Timestamp::UNIX_EPOCH + SignedDuration::from_mins(29_000_000 + minutes)
}

impl World {
    fn running(&self, since: Timestamp) -> RunState {
        let holder = Holder { node: self.node, until: since + SignedDuration::from_mins(1) };
        RunState::Running { holder, since }
    }

    fn end(&self, run: RunId, at: Timestamp, outcome: Outcome) -> Change {
        let next = RunState::Finished { at, outcome: outcome.clone() };
        Change::End { run, node: self.node, fence: 1, outcome, next }
    }

    async fn commit(&self, now: Timestamp, changes: Vec<Change>) -> Vec<Applied> {
        self.store.commit(Batch { now, changes }).await.expect("the batch is committed")
    }
}

fn record(job: JobId, slot: Timestamp, state: RunState) -> Change {
    Change::Record { job, revision: Revision(u64::MAX / 3), cause: Cause::Slot(slot), state }
}

/// Many jobs due in one second: each slot recorded with its cursor, then each attempt ended.
async fn burst(jobs: usize) {
    let world = world(jobs).await;
    println!("# {jobs} jobs due in one second, {CHUNK} a commit, synchronous FULL");
    let (from, now) = (minute(0), minute(1));
    let mut runs = Vec::with_capacity(jobs);
    phase("recorded, each with its cursor", jobs, async {
        for chunk in world.jobs.chunks(CHUNK) {
            let changes = chunk.iter().flat_map(|job| {
                let cursor = Change::Cursor { job: job.id, from, to: now };
                [record(job.id, now, world.running(now)), cursor]
            });
            let applied = world.commit(now, changes.collect()).await;
            runs.extend(applied.iter().filter_map(|applied| match applied {
                Applied::Recorded(run) => Some(*run),
                Applied::Wrote(_) | Applied::Done | Applied::Refused => None,
            }));
        }
    })
    .await;
    assert_eq!(runs.len(), jobs, "every slot is recorded");
    phase("attempts ended", jobs, async {
        for chunk in runs.chunks(CHUNK) {
            let outcome = Outcome::Succeeded { note: String::new() };
            let changes = chunk.iter().map(|run| world.end(*run, now, outcome.clone()));
            world.commit(now, changes.collect()).await;
        }
    })
    .await;
    println!("peak resident memory {} kB", peak_memory());
    world.store.close().await.expect("the store closes");
}

async fn phase(name: &str, count: usize, work: impl Future<Output = ()>) {
    let before = processor();
    let (took, ()) = timed(work).await;
    let (wall, cpu) = (took.as_secs_f64(), processor().saturating_sub(before).as_secs_f64());
    println!("{name:<32} {wall:>7.3} s, {cpu:>6.3} s of processor, {:>7.0}/s", rate(count, took));
}

async fn history(few: usize, many: usize) {
    let small = filled(few).await;
    let large = filled(many).await;
    println!("\n# {few} against {many} slots of history, {JOBS} jobs, median of {REPEATS}");
    println!("{:<34} {:>10} {:>10} {:>7}", "question", "few µs", "many µs", "ratio");
    for (name, question) in questions() {
        let few = median(&small, few, question).await;
        let many = median(&large, many, question).await;
        let ratio = many.as_secs_f64() / few.as_secs_f64();
        println!("{name:<34} {:>10.1} {:>10.1} {ratio:>7.2}", micros(few), micros(many));
    }
    let keep = Keep {
        age: Duration::ZERO,
        per_job: 1_000_000,
        observations: Duration::ZERO,
        looks: 1,
        bytes: None,
        batch: 200,
    };
    let mut times = Vec::new();
    let before = processor();
    for _ in 0..REPEATS {
        let (took, gone) = timed(large.store.prune(keep, minute(many))).await;
        assert_eq!(gone.expect("the oldest rows go").runs.len(), keep.batch as usize);
        times.push(took);
    }
    times.sort_unstable();
    println!(
        "forgetting {} rows: median {:.1} ms, {:.1} ms of processor",
        keep.batch,
        micros(times[REPEATS / 2]) / 1e3,
        micros(processor().saturating_sub(before)) / 1e3 / REPEATS as f64,
    );
    println!("peak resident memory {} kB", peak_memory());
    for world in [small, large] {
        world.store.close().await.expect("the store closes");
    }
}

/// A world with a slot for each of [`JOBS`] jobs each minute; most ran, some failed or did not run.
async fn filled(slots: usize) -> World {
    let world = world(JOBS).await;
    let (took, ()) = timed(async {
        let indexes: Vec<usize> = (0..slots).collect();
        for chunk in indexes.chunks(CHUNK / 2) {
            fill(&world, chunk).await;
        }
    })
    .await;
    let size = world.store.size().await.expect("the size is read");
    let per_row = size as f64 / slots as f64;
    println!(
        "\n{slots} slots: written in {:.1} s ({:.0}/s), {per_row:.0} bytes a slot with its attempt",
        took.as_secs_f64(),
        rate(slots, took)
    );
    world
}

async fn fill(world: &World, indexes: &[usize]) {
    let time = |index: usize| minute(1 + index / JOBS);
    let now = time(indexes[indexes.len() - 1]);
    let records = indexes.iter().map(|index| {
        let (job, slot) = (world.jobs[index % JOBS].id, time(*index));
        let state = if index % 20 == 7 {
            let reason = "the run of the slot before is still under way (overlap: skip)".into();
            RunState::NotRun { at: slot, verdict: NotRun::Skipped, reason, count: 1 }
        } else {
            world.running(slot)
        };
        record(job, slot, state)
    });
    let applied = world.commit(now, records.collect()).await;
    let ends = indexes.iter().zip(applied).filter_map(|(index, applied)| match applied {
        Applied::Recorded(run) if index % 20 != 7 => {
            let outcome = if index % 30 == 3 {
                let message = "exit code 1: cannot open /srv/backup: no such file or directory";
                Outcome::Failed(Failure::new(FailureClass::Permanent, message))
            } else {
                Outcome::Succeeded { note: String::new() }
            };
            Some(world.end(run, time(*index) + SignedDuration::from_secs(2), outcome))
        }
        Applied::Recorded(_) | Applied::Wrote(_) | Applied::Done | Applied::Refused => None,
    });
    let mut changes: Vec<Change> = ends.collect();
    let newest = now + SignedDuration::from_secs(3);
    let cursors = world.jobs.iter().map(|job| (job.id, job.cursor));
    if indexes[0] == 0 {
        changes.extend(cursors.map(|(job, from)| Change::Cursor {
            job,
            from,
            to: minute(9_999_999),
        }));
    }
    world.commit(newest, changes).await;
}

/// What is asked of a world with so many slots.
#[derive(Clone, Copy)]
enum Question {
    Slots { job: bool, failed: bool, since: bool },
    Runs { job: bool, failed: bool, page: bool },
    OneRun,
    Explain,
    RecentEnds,
    LiveRuns,
    Jobs,
    SummariesOfDay,
    SummariesOfAll,
}

fn questions() -> Vec<(&'static str, Question)> {
    use Question::{
        Explain, Jobs, LiveRuns, OneRun, RecentEnds, Runs, Slots, SummariesOfAll, SummariesOfDay,
    };
    vec![
        ("slots, newest 50", Slots { job: false, failed: false, since: false }),
        ("slots that failed", Slots { job: false, failed: true, since: false }),
        ("slots of a job", Slots { job: true, failed: false, since: false }),
        ("last 5 slots of a job that failed", Slots { job: true, failed: true, since: false }),
        ("slots of a job since 5 min", Slots { job: true, failed: false, since: true }),
        ("runs, newest 50", Runs { job: false, failed: false, page: false }),
        ("runs that failed", Runs { job: false, failed: true, page: false }),
        ("runs of a job", Runs { job: true, failed: false, page: false }),
        ("runs of a job, a middle page", Runs { job: true, failed: false, page: true }),
        ("last 5 runs of a job that failed", Runs { job: true, failed: true, page: false }),
        ("one run", OneRun),
        ("explain: run, attempts, slots", Explain),
        ("last 20 ends of a job", RecentEnds),
        ("live runs", LiveRuns),
        ("jobs", Jobs),
        ("summaries of a day", SummariesOfDay),
        ("summaries of everything", SummariesOfAll),
    ]
}

async fn median(world: &World, slots: usize, question: Question) -> Duration {
    let mut times = Vec::with_capacity(REPEATS);
    for _ in 0..REPEATS {
        times.push(timed(ask(world, slots, question)).await.0);
    }
    times.sort_unstable();
    times[REPEATS / 2]
}

async fn ask(world: &World, slots: usize, question: Question) {
    let name = world.jobs[JOBS / 3].name.clone();
    let one = |job: bool| job.then(|| name.clone());
    let middle = RunId(i64::try_from(slots / 2).expect("few slots"));
    let newest = minute(1 + slots / JOBS);
    let store = &world.store;
    let answered = match question {
        Question::Slots { job, failed, since } => {
            let limit = if job && failed { 5 } else { 50 };
            let states = if failed { vec![SlotState::Failed] } else { Vec::new() };
            let since = since.then(|| newest - SignedDuration::from_mins(5));
            let query = SlotQuery { job: one(job), states, since, until: None, limit };
            store.slots(query).await.map(|rows| rows.len())
        }
        Question::Runs { job, failed, page } => {
            let before = page.then_some(middle);
            let limit = if job && failed { 5 } else { 50 };
            let query = RunQuery { job: one(job), failed, before, limit, ..RunQuery::default() };
            store.runs(query).await.map(|rows| rows.len())
        }
        Question::OneRun => {
            let query = RunQuery { id: Some(middle), limit: 1, ..RunQuery::default() };
            store.runs(query).await.map(|rows| rows.len())
        }
        Question::Explain => {
            let query = RunQuery { id: Some(middle), limit: 1, ..RunQuery::default() };
            let runs = store.runs(query).await;
            let slots = SlotQuery { job: one(true), limit: 20, ..SlotQuery::default() };
            let slots = store.slots(slots).await;
            let attempts = store.attempts(middle).await;
            runs.and(slots).and(attempts).map(|rows| rows.len())
        }
        Question::RecentEnds => {
            let job = world.jobs[JOBS / 3].id;
            let query = EndQuery { job, until: newest, failed: false, limit: 20 };
            store.recent_ends(query).await.map(|rows| rows.len())
        }
        Question::LiveRuns => store.live_runs().await.map(|rows| rows.len() + 1),
        Question::Jobs => store.jobs().await.map(|rows| rows.len()),
        Question::SummariesOfDay => {
            let since = newest - SignedDuration::from_hours(24);
            store.summaries(since).await.map(|rows| rows.len())
        }
        Question::SummariesOfAll => store.summaries(minute(0)).await.map(|rows| rows.len()),
    };
    let answered = answered.expect("the question is answered");
    assert!(answered > 0, "there is something to answer");
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn rate(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

/// The most memory that this process ever had, as the kernel counts it.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
