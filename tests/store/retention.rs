//! What is forgotten, what never is, and in which order.

use std::time::Duration;

use jada::model::{Cause, NotRun, OutboxChange, RunId, SlotState};
use jada::store::{Applied, Change, Keep, RunQuery, SlotQuery};

use crate::world::{
    Opener, World, at, entry, failure, finished, job_name, not_run, opened, queued, record,
    resolved, slot, success,
};

/// Keeps everything.
const ALL: Keep = Keep {
    age: Duration::MAX,
    per_job: u64::MAX,
    observations: Duration::MAX,
    looks: 1,
    bytes: None,
    batch: 100,
};

async fn prune(world: &World, keep: Keep, second: i64) -> Vec<RunId> {
    world.store.prune(keep, at(second)).await.unwrap().runs
}

fn older_than(seconds: u64) -> Keep {
    Keep { age: Duration::from_secs(seconds), ..ALL }
}

pub(crate) async fn age_takes_what_is_old(open: Opener) {
    let world = World::new(open).await;
    world.move_cursor(world.alpha, 0, 100).await;
    let ran = world.over(1, success()).await;
    let failed = world.over(2, failure("no")).await;
    let missed = world.record(3, world.alpha, slot(3), not_run(3, NotRun::Missed, 1)).await;
    let asked = Cause::Manual(at(4));
    let manual = world.record(4, world.alpha, asked, not_run(4, NotRun::Blocked, 1)).await;
    let long = world.running(5).await;
    let kept = world.over(6, success()).await;
    world.apply(99, world.end(long, 1, &success(), finished(99, &success()))).await;
    assert_eq!(prune(&world, ALL, 1_000_000).await, []);
    assert_eq!(prune(&world, older_than(99), 100).await, [], "exactly that old may stay");
    assert_eq!(prune(&world, older_than(98), 100).await, [ran]);
    let gone = prune(&world, older_than(94), 100).await;
    assert_eq!(gone, [failed, missed, manual], "a run that took long isn't old yet");
    assert_eq!(prune(&world, older_than(94), 100).await, []);
    let left = world.runs(RunQuery { limit: 9, ..RunQuery::default() }).await;
    assert_eq!(left, [kept, long]);
    assert_eq!(world.job("alpha").await.unwrap().last_success, Some(at(99)));
}

pub(crate) async fn live_rows_stay(open: Opener) {
    let world = World::new(open).await;
    world.move_cursor(world.alpha, 0, 100).await;
    let waits = world.queued(1).await;
    let runs = world.running(2).await;
    let manual = world.record(3, world.alpha, Cause::Manual(at(3)), queued(3)).await;
    let over = world.over(4, success()).await;
    world.over(5, success()).await;
    let nothing = Keep { age: Duration::ZERO, per_job: 0, bytes: Some(0), ..ALL };
    assert_eq!(prune(&world, nothing, 1_000_000).await, [over]);
    let live = world.store.live_runs().await.unwrap();
    assert_eq!(live.iter().map(|run| run.id).collect::<Vec<_>>(), [waits, runs, manual]);
}

/// The row is what stops the slot from happening again, until the cursor has passed it.
pub(crate) async fn slots_ahead_of_the_cursor_stay(open: Opener) {
    let world = World::new(open).await;
    let first = world.over(10, success()).await;
    let second = world.over(20, success()).await;
    world.record(30, world.beta, Cause::Manual(at(30)), finished(30, &success())).await;
    let nothing = Keep { age: Duration::ZERO, per_job: 0, bytes: Some(0), ..ALL };
    assert_eq!(prune(&world, nothing, 1_000_000).await, [], "the cursor stands at 0");
    world.move_cursor(world.alpha, 0, 10).await;
    assert_eq!(prune(&world, nothing, 1_000_000).await, [first]);
    let again = record(world.alpha, slot(20), queued(40));
    assert_eq!(world.apply(40, again).await, Applied::Refused);
    world.move_cursor(world.alpha, 10, 40).await;
    assert_eq!(prune(&world, nothing, 1_000_000).await, [second]);
}

pub(crate) async fn count_keeps_the_newest(open: Opener) {
    let world = World::new(open).await;
    world.move_cursor(world.alpha, 0, 100).await;
    world.move_cursor(world.beta, 0, 100).await;
    let mut alpha = Vec::new();
    for second in 1..=8 {
        alpha.push(match second % 3 {
            0 => world.over(second, failure("no")).await,
            1 => world.over(second, success()).await,
            _ => {
                let skipped = not_run(second, NotRun::Skipped, 1);
                world.record(second, world.alpha, slot(second), skipped).await
            }
        });
    }
    world.queued(9).await;
    let beta = world.record(10, world.beta, slot(1), finished(10, &success())).await;
    let three = Keep { per_job: 3, ..ALL };
    assert_eq!(prune(&world, three, 11).await, alpha[..5], "live ones don't count");
    assert_eq!(prune(&world, three, 11).await, []);
    let one = Keep { per_job: 1, ..ALL };
    assert_eq!(prune(&world, one, 11).await, alpha[5..7]);
    assert_eq!(world.run(beta).await.id, beta, "it is the only one of its job");
    let alpha = SlotQuery { job: Some(job_name("alpha")), limit: 9, ..SlotQuery::default() };
    assert_eq!(world.slots(alpha).await, [(9, SlotState::Pending), (8, SlotState::Skipped)]);
}

pub(crate) async fn what_went_is_still_counted(open: Opener) {
    let world = World::new(open).await;
    world.move_cursor(world.alpha, 0, 9_999).await;
    for second in [1, 2, 3, 4000, 4001] {
        world.over(second, success()).await;
    }
    let counts = async || {
        let summaries = world.store.summaries(at(0)).await.unwrap();
        summaries[&job_name("alpha")].counts.clone()
    };
    assert_eq!(prune(&world, Keep { per_job: 1, ..ALL }, 4002).await.len(), 4);
    assert_eq!(counts().await, [(SlotState::Ran, 5)], "they are not too old");
    world.over(4003, success()).await;
    assert_eq!(prune(&world, older_than(300), 4302).await.len(), 1);
    assert_eq!(counts().await, [(SlotState::Ran, 3)], "the first hour is too old by now");
}

pub(crate) async fn batches_are_small(open: Opener) {
    let world = World::new(open).await;
    world.move_cursor(world.alpha, 0, 100).await;
    let mut runs = Vec::new();
    for second in 1..=10 {
        runs.push(world.over(second, success()).await);
    }
    let keep = Keep { age: Duration::from_secs(10), per_job: 4, batch: 3, ..ALL };
    let mut batches = Vec::new();
    loop {
        let gone = prune(&world, keep, 14).await;
        batches.push(gone.len());
        runs.retain(|run| !gone.contains(run));
        if gone.len() < 3 {
            break;
        }
    }
    assert_eq!(batches, [3, 3, 0], "by age and by count together");
    let mut left = world.runs(RunQuery { limit: 99, ..RunQuery::default() }).await;
    left.reverse();
    assert_eq!(left, runs, "the newest four");
}

pub(crate) async fn bytes_are_a_limit(open: Opener) {
    let world = World::new(open).await;
    world.move_cursor(world.alpha, 0, 10_000).await;
    let before = world.store.size().await.unwrap();
    let long = "x".repeat(2000);
    for second in 1..=300 {
        world.record(second, world.alpha, slot(second), finished(second, &failure(&long))).await;
    }
    let full = world.store.size().await.unwrap();
    assert!(full > before + 300 * 2000, "{before} -> {full}");
    let half = before + (full - before) / 2;
    let keep = Keep { bytes: Some(half), batch: 20, ..ALL };
    let mut gone = Vec::new();
    loop {
        let batch = prune(&world, keep, 400).await;
        gone.extend_from_slice(&batch);
        if batch.len() < 20 {
            break;
        }
    }
    let size = world.store.size().await.unwrap();
    assert!(size <= half, "{size} > {half}");
    assert!((140..200).contains(&gone.len()), "about half of the rows went: {}", gone.len());
    assert!(gone.is_sorted(), "oldest first");
}

pub(crate) async fn attempts_go_with_their_run(open: Opener) {
    let world = World::new(open).await;
    world.move_cursor(world.alpha, 0, 100).await;
    let run = world.over(1, success()).await;
    let kept = world.over(50, success()).await;
    assert_eq!(prune(&world, older_than(20), 60).await, [run]);
    assert_eq!(world.store.attempts(run).await.unwrap(), []);
    assert_eq!(world.store.attempts(kept).await.unwrap().len(), 1);
}

pub(crate) async fn incidents_go_when_over(open: Opener) {
    let world = World::new(open).await;
    for key in ["job/a", "job/b", "job/c"] {
        world.apply(1, opened(key, key)).await;
    }
    world.apply(2, resolved("job/a")).await;
    world.apply(50, resolved("job/b")).await;
    prune(&world, older_than(20), 60).await;
    let left = world.store.incidents(true, 9).await.unwrap();
    assert_eq!(left.len(), 3, "what is still to be told of one keeps it");
    for row in world.store.notifications(false, 99).await.unwrap() {
        world.apply(50, Change::Outbox(OutboxChange::Delivered { row: row.id })).await;
    }
    prune(&world, older_than(20), 60).await;
    let left = world.store.incidents(true, 9).await.unwrap();
    let keys: Vec<_> = left.iter().map(|incident| incident.key.as_str()).collect();
    assert_eq!(keys, ["job/c", "job/b"], "an open one stays, however old");
}

pub(crate) async fn retired_jobs_go_at_last(open: Opener) {
    let world = World::new(open).await;
    world.move_cursor(world.alpha, 0, 20).await;
    world.over(20, success()).await;
    let asked = Cause::Manual(at(30));
    world.record(30, world.beta, asked, finished(30, &success())).await;
    world.store.sync_jobs(vec![entry("beta")], at(40)).await.unwrap();
    prune(&world, older_than(50), 60).await;
    let named = async || world.store.summaries(at(0)).await.unwrap().into_keys();
    assert_eq!(named().await.count(), 2, "its history is kept, so it is");
    prune(&world, older_than(50), 200).await;
    assert!(named().await.eq([job_name("beta")]));
    // Should it return, it is a new job.
    let states = world.store.sync_jobs(vec![entry("alpha")], at(300)).await.unwrap();
    assert_ne!(states[0].id, world.alpha);
    assert_eq!(states[0].last_success, None);
}

pub(crate) async fn numbers_never_come_back(open: Opener) {
    let world = World::new(open).await;
    world.move_cursor(world.alpha, 0, 100).await;
    let mut last = RunId(0);
    for second in 1..5 {
        let run = world.queued(second).await;
        assert!(run > last, "{run} comes after {last}");
        let close = Change::Close { run, state: not_run(second, NotRun::Skipped, 1) };
        world.apply(second, close).await;
        prune(&world, Keep { per_job: 0, ..ALL }, 1_000).await;
        last = run;
    }
}
