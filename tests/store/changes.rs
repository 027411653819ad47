//! Each change: when it is accepted, what it does, and when it is refused.

use std::time::Duration;

use jada::model::{
    Attempt, Cause, Failure, FailureClass, Fault, IncidentChange, IncidentState, JobId, NodeId,
    NotRun, Observation, Outcome, RunId, RunState, SlotState, Subject, Verdict,
};
use jada::store::{Applied, Change, ObservationQuery, Pause, RunQuery, SlotQuery, Summary};

use crate::world::{
    Opener, World, at, failure, finished, job_name, not_run, opened, queued, record, recorded,
    resolved, slot, start_of_daemon, success,
};

pub(crate) async fn record_round_trips(open: Opener) {
    let world = World::new(open).await;
    let mut states = vec![
        queued(9),
        RunState::Queued { ready_at: at(3), why: String::new() },
        world.running_since(1),
        finished(2, &success()),
        finished(2, &Outcome::Succeeded { note: "copied 12 rows".into() }),
        not_run(3, NotRun::Skipped, 1),
        not_run(3, NotRun::Missed, 4_000_000_000_000),
        not_run(3, NotRun::Expired, 1),
        not_run(3, NotRun::Blocked, 2),
    ];
    states.extend(FailureClass::ALL.map(|class| {
        let failure = Failure {
            class,
            message: "it's \"quoted\"; ünïcode \u{1f980}\nand a second line".into(),
            retry_after: Some(Duration::from_millis(90_001)),
            exit_code: Some(-7),
            blocked_by: None,
            mend: None,
            held: None,
        };
        finished(2, &Outcome::Failed(failure))
    }));
    for (second, state) in (1..).zip(states) {
        let id = world.record(second, world.alpha, slot(second), state.clone()).await;
        let run = world.run(id).await;
        assert_eq!(run.state, state);
        assert_eq!((run.job, run.cause), (world.alpha, slot(second)));
        assert_eq!(run.created_at, at(second));
        let begun = matches!(state, RunState::Running { .. });
        assert_eq!(run.attempts, u32::from(begun), "{state:?}");
        assert_eq!(run.started_at, begun.then_some(at(1)), "{state:?}");
    }
}

pub(crate) async fn record_refuses_a_second(open: Opener) {
    let world = World::new(open).await;
    let before = |state| record(world.alpha, slot(5), state);
    let run = recorded(world.apply(5, before(queued(5))).await);
    for state in [queued(6), world.running_since(6), finished(6, &success())] {
        assert_eq!(world.apply(6, before(state)).await, Applied::Refused);
    }
    assert_eq!(world.run(run).await.state, queued(5), "the first one is untouched");
    let missed = not_run(6, NotRun::Missed, 1);
    assert_eq!(world.apply(6, before(missed.clone())).await, Applied::Refused);
    // The other way round: a slot that was recorded as missed can't run any more.
    world.record(7, world.alpha, slot(7), missed).await;
    assert_eq!(world.apply(8, record(world.alpha, slot(7), queued(8))).await, Applied::Refused);
}

pub(crate) async fn record_refuses_an_unknown_job(open: Opener) {
    let world = World::new(open).await;
    let batch =
        vec![record(JobId(999), slot(1), queued(1)), record(world.alpha, slot(1), queued(1))];
    let applied = world.batch(1, batch).await;
    assert_eq!(applied[0], Applied::Refused);
    recorded(applied[1]);
}

pub(crate) async fn record_keeps_causes_apart(open: Opener) {
    let world = World::new(open).await;
    let first = world.record(1, world.alpha, slot(1), queued(1)).await;
    let after = Cause::After(first);
    for (job, cause) in [
        (world.beta, slot(1)),
        (world.alpha, slot(2)),
        (world.alpha, Cause::Manual(at(1))),
        (world.alpha, after),
        (world.beta, after),
    ] {
        let run = world.record(2, job, cause, queued(2)).await;
        assert!(run > first, "numbers grow");
        assert_eq!(world.apply(2, record(job, cause, queued(2))).await, Applied::Refused);
        assert_eq!(world.run(run).await.cause, cause);
    }
}

pub(crate) async fn cursor_compares(open: Opener) {
    let world = World::new(open).await;
    assert_eq!(world.move_cursor(world.alpha, 1, 2).await, Applied::Refused, "it stands at 0");
    assert_eq!(world.move_cursor(world.alpha, 0, 60).await, Applied::Done);
    assert_eq!(world.move_cursor(world.alpha, 0, 70).await, Applied::Refused, "a stale view");
    // A clock that was wrong by years must not stop a job for years.
    assert_eq!(world.move_cursor(world.alpha, 60, 30).await, Applied::Done, "it may go back");
    assert_eq!(world.move_cursor(JobId(999), 0, 60).await, Applied::Refused);
    assert_eq!(world.job("alpha").await.unwrap().cursor, at(30));
    assert_eq!(world.job("beta").await.unwrap().cursor, at(0), "another job's stays");
}

pub(crate) async fn start_takes_the_next_attempt(open: Opener) {
    let world = World::new(open).await;
    let run = world.queued(1).await;
    assert_eq!(world.apply(2, world.start(run, 1)).await, Applied::Done);
    let first = world.run(run).await;
    assert_eq!(first.state, RunState::Running { holder: world.holder(500), since: at(2) });
    assert_eq!((first.attempts, first.started_at), (1, Some(at(2))));
    world.apply(3, world.end(run, 1, &failure("busy"), queued(9))).await;
    assert_eq!(world.apply(9, world.start(run, 2)).await, Applied::Done);
    let second = world.run(run).await;
    assert_eq!(second.state, RunState::Running { holder: world.holder(500), since: at(9) });
    assert_eq!((second.attempts, second.started_at), (2, Some(at(2))), "began with attempt 1");
}

pub(crate) async fn start_refuses(open: Opener) {
    let world = World::new(open).await;
    let run = world.queued(1).await;
    for attempt in [0, 2, 7] {
        assert_eq!(world.apply(2, world.start(run, attempt)).await, Applied::Refused, "{attempt}");
    }
    assert_eq!(world.run(run).await.state, queued(1));
    assert_eq!(world.apply(2, world.start(RunId(999), 1)).await, Applied::Refused, "no such run");
    let running = world.running(2).await;
    for attempt in [1, 2] {
        assert_eq!(world.apply(3, world.start(running, attempt)).await, Applied::Refused);
    }
    let over = world.over(3, success()).await;
    assert_eq!(world.apply(4, world.start(over, 2)).await, Applied::Refused, "it is over");
}

pub(crate) async fn end_finishes(open: Opener) {
    let world = World::new(open).await;
    let run = world.running(1).await;
    let outcome = Outcome::Failed(Failure {
        class: FailureClass::Throttled,
        message: "HTTP 429".into(),
        retry_after: Some(Duration::from_secs(120)),
        exit_code: Some(3),
        blocked_by: None,
        mend: None,
        held: None,
    });
    let end = world.end(run, 1, &outcome, finished(4, &outcome));
    assert_eq!(world.apply(4, end).await, Applied::Done);
    assert_eq!(world.run(run).await.state, finished(4, &outcome));
    let attempt = Attempt { no: 1, node: world.node, started_at: at(1), ended_at: at(4), outcome };
    assert_eq!(world.store.attempts(run).await.unwrap(), [attempt]);
    assert_eq!(world.store.live_runs().await.unwrap(), []);
}

/// A run need not end as its last attempt did, nor at the same time; both are kept.
pub(crate) async fn end_keeps_attempt_and_run(open: Opener) {
    let world = World::new(open).await;
    for (second, outcome, next) in [
        (1, failure("busy"), finished(3, &failure("gave up: busy"))),
        (2, success(), finished(99, &success())),
        (3, failure("busy"), not_run(3, NotRun::Blocked, 1)),
        (4, success(), finished(3, &failure("late"))),
    ] {
        let run = world.running(second).await;
        world.apply(3, world.end(run, 1, &outcome, next.clone())).await;
        assert_eq!(world.run(run).await.state, next);
        let (node, started_at) = (world.node, at(second));
        let attempt = Attempt { no: 1, node, started_at, ended_at: at(3), outcome };
        assert_eq!(world.store.attempts(run).await.unwrap(), [attempt]);
    }
}

pub(crate) async fn end_retries(open: Opener) {
    let world = World::new(open).await;
    let run = world.running(1).await;
    for attempt in 1..=3 {
        let second = i64::from(attempt) * 10;
        let end = world.end(run, attempt, &failure("busy"), queued(second + 5));
        assert_eq!(world.apply(second, end).await, Applied::Done);
        assert_eq!(world.run(run).await.state, queued(second + 5));
        assert_eq!(world.run(run).await.attempts, attempt);
        assert_eq!(world.apply(second + 5, world.start(run, attempt + 1)).await, Applied::Done);
    }
    world.apply(50, world.end(run, 4, &success(), finished(50, &success()))).await;
    let attempts = world.store.attempts(run).await.unwrap();
    let told = attempts.iter().map(|attempt| (attempt.no, attempt.outcome.is_success()));
    assert_eq!(told.collect::<Vec<_>>(), [(1, false), (2, false), (3, false), (4, true)]);
    let times = attempts.iter().map(|attempt| (attempt.started_at, attempt.ended_at));
    let wanted = [(1, 10), (15, 20), (25, 30), (35, 50)].map(|(from, to)| (at(from), at(to)));
    assert_eq!(times.collect::<Vec<_>>(), wanted);
}

pub(crate) async fn end_refuses(open: Opener) {
    let world = World::new(open).await;
    let run = world.running(1).await;
    let done = finished(2, &success());
    let other = Change::End {
        run,
        node: NodeId(world.node.0 + 1),
        fence: 1,
        outcome: success(),
        next: done.clone(),
    };
    assert_eq!(world.apply(2, other).await, Applied::Refused, "another incarnation");
    for fence in [0, 2] {
        let end = world.end(run, fence, &success(), done.clone());
        assert_eq!(world.apply(2, end).await, Applied::Refused, "fence {fence}");
    }
    let endless = world.end(run, 1, &success(), world.running_since(2));
    assert_eq!(world.apply(2, endless).await, Applied::Refused, "only a start begins an attempt");
    assert_eq!(world.run(run).await.state, world.running_since(1));
    let waits = world.queued(2).await;
    for (run, why) in [(waits, "it waits"), (RunId(999), "no such run")] {
        let end = world.end(run, 1, &success(), done.clone());
        assert_eq!(world.apply(2, end).await, Applied::Refused, "{why}");
    }
    let end = world.end(run, 1, &success(), done);
    assert_eq!(world.apply(2, end.clone()).await, Applied::Done);
    assert_eq!(world.apply(3, end).await, Applied::Refused, "a second time");
    assert_eq!(world.store.attempts(run).await.unwrap().len(), 1);
    assert_eq!(world.store.attempts(waits).await.unwrap(), []);
}

/// Attempt 1 hangs, is given up, and its own node starts attempt 2: node and state look the same again
/// when the late end of attempt 1 arrives. Only its number tells it from the attempt under way.
pub(crate) async fn late_end_is_fenced(open: Opener) {
    let world = World::new(open).await;
    let run = world.running(1).await;
    let lost = Outcome::Failed(Failure::new(FailureClass::Lost, "the claim lapsed"));
    assert_eq!(world.apply(9, world.end(run, 1, &lost, queued(9))).await, Applied::Done);
    assert_eq!(world.apply(10, world.start(run, 2)).await, Applied::Done);
    let late = world.end(run, 1, &success(), finished(11, &success()));
    assert_eq!(world.apply(11, late).await, Applied::Refused);
    assert_eq!(
        world.run(run).await.state,
        RunState::Running { holder: world.holder(500), since: at(10) }
    );
    assert_eq!(world.store.attempts(run).await.unwrap().len(), 1);
    let end = world.end(run, 2, &success(), finished(12, &success()));
    assert_eq!(world.apply(12, end).await, Applied::Done);
}

pub(crate) async fn close_ends_what_waits(open: Opener) {
    let world = World::new(open).await;
    let cancelled = Outcome::Failed(Failure::new(FailureClass::Cancelled, "by hand"));
    for (second, state) in [
        (1, finished(5, &cancelled)),
        (2, not_run(5, NotRun::Expired, 1)),
        (3, not_run(5, NotRun::Blocked, 1)),
    ] {
        let run = world.queued(second).await;
        let close = Change::Close { run, state: state.clone() };
        assert_eq!(world.apply(5, close.clone()).await, Applied::Done);
        assert_eq!(world.run(run).await.state, state);
        assert_eq!(world.apply(6, close).await, Applied::Refused, "it is over");
    }
    assert_eq!(world.store.live_runs().await.unwrap(), []);
}

pub(crate) async fn close_refuses(open: Opener) {
    let world = World::new(open).await;
    let state = not_run(3, NotRun::Skipped, 1);
    let running = world.running(1).await;
    let over = world.over(2, success()).await;
    for run in [running, over, RunId(999)] {
        let close = Change::Close { run, state: state.clone() };
        assert_eq!(world.apply(3, close).await, Applied::Refused);
    }
    let waits = world.queued(3).await;
    for state in [queued(9), world.running_since(9)] {
        assert_eq!(world.apply(4, Change::Close { run: waits, state }).await, Applied::Refused);
    }
    assert_eq!(world.run(waits).await.state, queued(3));
    assert_eq!(world.run(running).await.state, world.running_since(1));
}

pub(crate) async fn release_queues_what_was_blocked(open: Opener) {
    let world = World::new(open).await;
    // One was blocked before it began, one by an attempt that found its credential dead.
    let slot_run = world.record(1, world.alpha, slot(1), not_run(1, NotRun::Blocked, 1)).await;
    let begun = world.running(2).await;
    let failure = Outcome::Failed(Failure::new(FailureClass::Unauthorized, "google/ops is dead"));
    let end = world.end(begun, 1, &failure, not_run(3, NotRun::Blocked, 1));
    assert_eq!(world.apply(3, end).await, Applied::Done);
    for (run, attempts) in [(slot_run, 0), (begun, 1)] {
        let release =
            Change::Release { run, ready_at: at(9), why: "google/ops works again".into() };
        assert_eq!(world.apply(9, release.clone()).await, Applied::Done);
        let row = world.run(run).await;
        let why = "google/ops works again".into();
        assert_eq!(row.state, RunState::Queued { ready_at: at(9), why });
        assert_eq!(row.attempts, attempts);
        assert_eq!(world.apply(9, release).await, Applied::Refused, "it waits already");
        assert_eq!(world.apply(10, world.start(run, attempts + 1)).await, Applied::Done);
    }
    let blocked = |summary: &Summary| summary.counts.iter().any(|(s, _)| *s == SlotState::Blocked);
    let summaries = world.store.summaries(at(0)).await.unwrap();
    assert!(!summaries.values().any(blocked), "{summaries:?}");
}

pub(crate) async fn release_refuses(open: Opener) {
    let world = World::new(open).await;
    let running = world.running(1).await;
    let over = world.over(2, success()).await;
    let missed = world.record(3, world.alpha, slot(3), not_run(3, NotRun::Missed, 1)).await;
    let many = world.record(4, world.alpha, slot(4), not_run(4, NotRun::Blocked, 2)).await;
    let queued = world.queued(5).await;
    for run in [running, over, missed, many, queued, RunId(999)] {
        let release = Change::Release { run, ready_at: at(9), why: "no".into() };
        assert_eq!(world.apply(6, release).await, Applied::Refused);
    }
    assert_eq!(world.run(running).await.state, world.running_since(1));
    assert_eq!(world.run(over).await.state, finished(2, &success()));
}

pub(crate) async fn the_blocked_tail_ends_at_what_was_not_blocked(open: Opener) {
    let world = World::new(open).await;
    let blocked = |second| not_run(second, NotRun::Blocked, 1);
    world.record(1, world.alpha, slot(1), blocked(1)).await;
    world.record(2, world.alpha, slot(2), finished(2, &success())).await;
    let third = world.record(3, world.alpha, slot(3), blocked(3)).await;
    world.record(4, world.alpha, slot(4), not_run(4, NotRun::Missed, 1)).await;
    let fifth = world.record(5, world.alpha, slot(5), blocked(5)).await;
    world.record(6, world.alpha, Cause::Manual(at(6)), blocked(6)).await;
    world.record(7, world.beta, slot(7), blocked(7)).await;
    let after = world.record(8, world.alpha, Cause::After(third), blocked(8)).await;
    let tail = async |limit| {
        let tail = world.store.blocked_tail(world.alpha, limit).await.unwrap();
        tail.into_iter().map(|run| run.id).collect::<Vec<_>>()
    };
    assert_eq!(tail(9).await, [fifth, third, after]);
    assert_eq!(tail(1).await, [fifth, after]);
    let release = Change::Release { run: fifth, ready_at: at(9), why: String::new() };
    assert_eq!(world.apply(9, release).await, Applied::Done);
    assert_eq!(tail(9).await, [after], "what was passed over is not looked at again");
}

pub(crate) async fn pause_and_resume(open: Opener) {
    let world = World::new(open).await;
    for (second, reason) in [(1, "moving the disk"), (2, "")] {
        let pause = Pause { since: at(second), reason: reason.into() };
        let change = Change::Pause { job: world.alpha, pause: Some(pause.clone()) };
        assert_eq!(world.apply(second, change).await, Applied::Done);
        assert_eq!(world.job("alpha").await.unwrap().paused, Some(pause));
    }
    assert_eq!(world.job("beta").await.unwrap().paused, None);
    let resume = |job| Change::Pause { job, pause: None };
    assert_eq!(world.apply(3, resume(world.alpha)).await, Applied::Done);
    assert_eq!(world.job("alpha").await.unwrap().paused, None);
    assert_eq!(world.apply(3, resume(JobId(999))).await, Applied::Refused);
}

pub(crate) async fn incidents_open_once(open: Opener) {
    let world = World::new(open).await;
    for (second, title) in [(1, "failed"), (5, "failed twice"), (9, "failed three times")] {
        assert_eq!(world.apply(second, opened("job/alpha", title)).await, Applied::Done);
    }
    world.apply(9, opened("job/beta", "other")).await;
    let mut open = world.store.incidents(false, 9).await.unwrap();
    open.sort_by_key(|incident| incident.id);
    assert_eq!(open.len(), 2, "one for each key");
    let incident = &open[0];
    assert_eq!((incident.opened_at, incident.last_seen, incident.count), (at(1), at(9), 3));
    assert_eq!(incident.title, "failed three times", "the newest words");
    assert_eq!(incident.state, IncidentState::Open);
    assert_eq!(incident.affected, [job_name("alpha"), job_name("beta")]);
    assert_eq!((incident.class.as_str(), incident.root.as_str()), ("transient", "job/alpha"));
    assert_eq!((incident.resolved_at, incident.note.as_str()), (None, ""));
}

pub(crate) async fn incidents_resolve(open: Opener) {
    let world = World::new(open).await;
    assert_eq!(world.apply(1, resolved("job/alpha")).await, Applied::Refused, "none is open");
    world.apply(2, opened("job/alpha", "failed")).await;
    world.apply(2, opened("job/beta", "other")).await;
    assert_eq!(world.apply(3, resolved("job/alpha")).await, Applied::Done);
    assert_eq!(world.apply(4, resolved("job/alpha")).await, Applied::Refused, "it is closed");
    world.apply(1803, opened("job/alpha", "failed anew")).await;
    let all = world.store.incidents(true, 9).await.unwrap();
    let told: Vec<_> = all.iter().map(|it| (it.title.as_str(), it.state, it.count)).collect();
    let (open, over) = (IncidentState::Open, IncidentState::Resolved);
    assert_eq!(told, [("failed anew", open, 1), ("other", open, 1), ("failed", over, 1)]);
    assert_eq!((all[2].resolved_at, all[2].note.as_str()), (Some(at(3)), "ran again"));
}

/// Less than half an hour after its end it is the same incident, and everybody hears of it again.
pub(crate) async fn incidents_come_back(open: Opener) {
    let world = World::new(open).await;
    let acknowledged = || {
        let (key, by) = ("job/alpha".into(), "ann".into());
        Change::Incident(IncidentChange::Acknowledge { key, by })
    };
    assert_eq!(world.apply(1, acknowledged()).await, Applied::Refused, "none is open");
    world.apply(1, opened("job/alpha", "failed")).await;
    assert_eq!(world.apply(2, acknowledged()).await, Applied::Done);
    world.apply(3, resolved("job/alpha")).await;
    world.apply(3 + 1799, opened("job/alpha", "failed anew")).await;
    let all = world.store.incidents(true, 9).await.unwrap();
    let [again] = all.as_slice() else { panic!("one row: {all:?}") };
    assert_eq!((again.generation, again.count, again.opened_at), (2, 2, at(1)));
    assert_eq!((again.resolved_at, again.note.as_str()), (None, ""));
    assert_eq!(again.acknowledged, None, "what a person knew of was over");
}

/// What was seen is kept once, however often it is handed in.
pub(crate) async fn looks_are_kept_once(open: Opener) {
    let world = World::new(open).await;
    let look = |second, run| Observation {
        check: Subject::check(&job_name("alpha"), "site"),
        subject: Subject::site("example.com"),
        at: at(second),
        took: Duration::from_millis(12),
        verdict: Verdict::Fail,
        fault: Some(Fault::NetTimeout),
        text: "no answer in 10s".into(),
        run: Some(RunId(run)),
    };
    let looks = vec![look(1, 1), look(2, 2)];
    for second in [2, 3] {
        assert_eq!(world.apply(second, Change::Observe(looks.clone())).await, Applied::Done);
    }
    let query = ObservationQuery { since: Some(at(1)), limit: 9, ..ObservationQuery::default() };
    assert_eq!(
        world.store.observations(query).await.unwrap(),
        [look(2, 2)],
        "1 s is not after 1 s"
    );
    assert_eq!(world.store.last_looks(at(1)).await.unwrap(), [look(1, 1)]);
}

pub(crate) async fn batch_keeps_order(open: Opener) {
    let world = World::new(open).await;
    let run = world.queued(1).await;
    let close = Change::Close { run, state: not_run(2, NotRun::Expired, 1) };
    let cursor = |from, to| Change::Cursor { job: world.alpha, from: at(from), to: at(to) };
    let batch = vec![
        cursor(0, 1),
        cursor(0, 2), // stands at 1 by now
        cursor(1, 3),
        close.clone(),
        world.start(run, 1), // closed by now
        record(world.alpha, slot(2), queued(2)),
        record(world.alpha, slot(2), queued(2)),
    ];
    let applied = world.batch(2, batch).await;
    let done: Vec<_> = applied.iter().map(|applied| *applied != Applied::Refused).collect();
    assert_eq!(done, [true, false, true, true, false, true, false]);
    assert_eq!(world.job("alpha").await.unwrap().cursor, at(3));
    assert_eq!(world.batch(3, Vec::new()).await, []);
}

/// Many nodes with the same stale view record the same slot, and all start the same run.
pub(crate) async fn one_slot_has_one_winner(open: Opener) {
    let world = World::new(open).await;
    let waits = world.queued(1).await;
    let mut callers = tokio::task::JoinSet::new();
    for pid in 0..40 {
        let store = world.store.clone();
        let alpha = world.alpha;
        let mut start = world.start(waits, 1);
        callers.spawn(async move {
            let node = store.register(start_of_daemon("there", pid)).await.unwrap();
            if let Change::Start { holder, .. } = &mut start {
                holder.node = node;
            }
            let changes = vec![record(alpha, slot(2), queued(2)), start];
            let batch = jada::store::Batch { now: at(2), changes };
            let applied = store.commit(batch).await.unwrap();
            (node, applied)
        });
    }
    let all = callers.join_all().await;
    let won = |index: usize| all.iter().filter(move |(_, it)| it[index] != Applied::Refused);
    assert_eq!((won(0).count(), won(1).count()), (1, 1));
    let winner = won(1).next().unwrap().0;
    match world.run(waits).await.state {
        RunState::Running { holder, .. } => assert_eq!(holder.node, winner),
        state => panic!("{state:?}"),
    }
    let slots = world.slots(SlotQuery { limit: 9, ..SlotQuery::default() }).await;
    assert_eq!(slots, [(2, SlotState::Pending), (1, SlotState::Running)]);
    assert_eq!(world.runs(RunQuery { limit: 9, ..RunQuery::default() }).await.len(), 2);
}
