//! What readers get, in which order, and what is left out.

use jada::model::{Cause, JobId, NotRun, Outcome, RunId, SlotState};
use jada::store::{Change, EndQuery, RunQuery, SlotQuery, SlotRow, Summary};
use jiff::Timestamp;

use crate::world::{
    Opener, World, at, failure, finished, job_name, not_run, opened, queued, resolved, slot,
    success,
};

/// A history with every state: the slots of `alpha` at 1–8, one of `beta` at 4, and requests.
struct History {
    world: World,
    alpha: [RunId; 8],
    beta: RunId,
    manual: RunId,
}

async fn history(open: Opener) -> History {
    let world = World::new(open).await;
    let ran = world.over(1, success()).await;
    let failed = world.over(2, failure("exit code 1")).await;
    let mut not = Vec::new();
    for (second, verdict) in
        [(3, NotRun::Skipped), (4, NotRun::Missed), (5, NotRun::Expired), (6, NotRun::Blocked)]
    {
        let count = u64::try_from(second).unwrap();
        let state = not_run(second, verdict, count);
        not.push(world.record(second, world.alpha, slot(second), state).await);
    }
    let waits = world.queued(7).await;
    let runs = world.running(8).await;
    let alpha = [ran, failed, not[0], not[1], not[2], not[3], waits, runs];
    let beta = world.record(9, world.beta, slot(4), finished(9, &failure("no route"))).await;
    let manual = world.record(10, world.alpha, Cause::Manual(at(10)), queued(10)).await;
    History { world, alpha, beta, manual }
}

pub(crate) async fn live_runs_are_oldest_first(open: Opener) {
    let History { world, alpha, manual, .. } = history(open).await;
    let live = world.store.live_runs().await.unwrap();
    let ids: Vec<_> = live.iter().map(|run| run.id).collect();
    assert_eq!(ids, [alpha[6], alpha[7], manual]);
    assert_eq!(live[0].state, queued(7));
    assert_eq!(live[1].state, world.running_since(8));
}

pub(crate) async fn slots_are_filtered(open: Opener) {
    use SlotState::{Blocked, Expired, Failed, Missed, Pending, Ran, Running, Skipped};
    let History { world, .. } = history(open).await;
    let of_alpha = [
        (8, Running),
        (7, Pending),
        (6, Blocked),
        (5, Expired),
        (4, Missed),
        (3, Skipped),
        (2, Failed),
        (1, Ran),
    ];
    let all = SlotQuery { limit: 99, ..SlotQuery::default() };
    let alpha = SlotQuery { job: Some(job_name("alpha")), ..all.clone() };
    assert_eq!(world.slots(alpha.clone()).await, of_alpha);
    let mut everything = of_alpha.to_vec();
    everything.insert(4, (4, Failed)); // of `beta`, recorded later than the same slot of `alpha`
    assert_eq!(world.slots(all.clone()).await, everything);
    for (count, state) in of_alpha {
        let one = SlotQuery { states: vec![state], ..alpha.clone() };
        assert_eq!(world.slots(one).await, [(count, state)]);
    }
    let both = SlotQuery { states: vec![Failed, Running], ..all.clone() };
    assert_eq!(world.slots(both).await, [(8, Running), (4, Failed), (2, Failed)]);
    for limit in [0, 1, 3] {
        let few = SlotQuery { limit, ..all.clone() };
        assert_eq!(world.slots(few).await, everything[..limit as usize]);
    }
    let between =
        |query: &SlotQuery| SlotQuery { since: Some(at(2)), until: Some(at(4)), ..query.clone() };
    assert_eq!(world.slots(between(&all)).await, [(3, Skipped), (2, Failed)], "half open");
    assert_eq!(world.slots(between(&alpha)).await, [(3, Skipped), (2, Failed)]);
}

pub(crate) async fn slots_say_why(open: Opener) {
    let History { world, alpha, .. } = history(open).await;
    let query = SlotQuery { job: Some(job_name("alpha")), limit: 99, ..SlotQuery::default() };
    let rows = world.store.slots(query).await.unwrap();
    let told: Vec<_> = rows.iter().map(|row| (row.reason.as_str(), row.run, row.count)).collect();
    let off = "the machine was off";
    assert_eq!(
        told,
        [
            ("", Some(alpha[7]), 1),
            ("waits for its turn", Some(alpha[6]), 1),
            (off, None, 6),
            (off, None, 5),
            (off, None, 4),
            (off, None, 3),
            ("exit code 1", Some(alpha[1]), 1),
            ("", Some(alpha[0]), 1),
        ]
    );
    let SlotRow { job, slot, .. } = &rows[0];
    assert_eq!((job.as_str(), *slot), ("alpha", at(8)));
}

pub(crate) async fn runs_are_filtered(open: Opener) {
    let History { world, alpha, beta, manual } = history(open).await;
    let [ran, failed, .., waits, runs] = alpha;
    let all = RunQuery { limit: 99, ..RunQuery::default() };
    let of_alpha = RunQuery { job: Some(job_name("alpha")), ..all.clone() };
    let failures = RunQuery { failed: true, ..all.clone() };
    let live = RunQuery { live: true, ..all.clone() };
    let since = RunQuery { since: Some(at(8)), ..all.clone() };
    let cases = [
        (all.clone(), vec![manual, beta, runs, waits, failed, ran]),
        (of_alpha.clone(), vec![manual, runs, waits, failed, ran]),
        (failures.clone(), vec![beta, failed]),
        (RunQuery { failed: true, ..of_alpha.clone() }, vec![failed]),
        (live.clone(), vec![manual, runs, waits]),
        (RunQuery { live: true, job: Some(job_name("beta")), ..all.clone() }, vec![]),
        (RunQuery { live: true, ..failures }, vec![]),
        (since.clone(), vec![manual, beta, runs]),
        (RunQuery { job: Some(job_name("alpha")), ..since }, vec![manual, runs]),
        (RunQuery { limit: 2, ..all }, vec![manual, beta]),
        (RunQuery { limit: 1, ..of_alpha }, vec![manual]),
    ];
    for (query, wanted) in cases {
        assert_eq!(world.runs(query.clone()).await, wanted, "{query:?}");
    }
}

pub(crate) async fn runs_are_paged(open: Opener) {
    let world = World::new(open).await;
    let mut all = Vec::new();
    for second in 1..=10 {
        // Some are recorded in the same millisecond, and the clock steps back in between.
        let now = [5, 5, 6, 7, 3, 3, 4, 8, 8, 8][usize::try_from(second - 1).unwrap()];
        let job = if second % 2 == 0 { world.alpha } else { world.beta };
        all.push((now, world.record(now, job, slot(second), finished(now, &success())).await));
    }
    all.sort_unstable();
    all.reverse();
    let newest_first: Vec<_> = all.into_iter().map(|(_, run)| run).collect();
    for limit in [1, 3, 4, 10] {
        let mut pages = Vec::new();
        let mut query = RunQuery { limit, ..RunQuery::default() };
        loop {
            let page = world.runs(query.clone()).await;
            let Some(last) = page.last() else { break };
            query.before = Some(*last);
            pages.extend(page);
        }
        assert_eq!(pages, newest_first, "in pages of {limit}");
    }
    let none = RunQuery { before: Some(RunId(0)), limit: 9, ..RunQuery::default() };
    assert_eq!(world.runs(none).await, []);
}

pub(crate) async fn one_run_is_found(open: Opener) {
    let History { world, alpha, beta, .. } = history(open).await;
    for (id, name) in [(alpha[0], "alpha"), (alpha[3], "alpha"), (beta, "beta")] {
        let query = RunQuery { id: Some(id), ..RunQuery::default() };
        let rows = world.store.runs(query).await.unwrap();
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].run.id, rows[0].job.as_str()), (id, name));
        assert_eq!(rows[0].revision.0, u64::MAX - 1);
    }
    let query = RunQuery { id: Some(RunId(999)), ..RunQuery::default() };
    assert_eq!(world.store.runs(query).await.unwrap(), []);
    assert_eq!(world.store.attempts(RunId(999)).await.unwrap(), []);
}

pub(crate) async fn recent_ends_are_in_order_of_their_end(open: Opener) {
    let world = World::new(open).await;
    let slow = world.running(1).await;
    world.over(2, failure("first")).await;
    world.over(3, success()).await;
    world.record(4, world.alpha, slot(4), not_run(4, NotRun::Skipped, 1)).await;
    world.queued(5).await;
    let late = failure("slow");
    world.apply(6, world.end(slow, 1, &late, finished(6, &late))).await;
    let waits = world.queued(7).await;
    let cancelled = failure("cancelled before it began");
    world.apply(8, Change::Close { run: waits, state: finished(8, &cancelled) }).await;
    let ends: Vec<(Timestamp, Outcome)> =
        vec![(at(8), cancelled), (at(6), late), (at(3), success()), (at(2), failure("first"))];
    let all = EndQuery { job: world.alpha, until: at(8), failed: false, limit: 9 };
    for limit in [0, 1, 3, 9] {
        let got = world.store.recent_ends(EndQuery { limit, ..all }).await.unwrap();
        assert_eq!(got, ends[..(limit as usize).min(4)]);
    }
    // What a clock that was ahead has recorded is not the newest.
    let got = world.store.recent_ends(EndQuery { until: at(7), ..all }).await.unwrap();
    assert_eq!(got, ends[1..]);
    let failures: Vec<_> = ends.iter().filter(|(_, end)| !end.is_success()).cloned().collect();
    let failed = EndQuery { failed: true, ..all };
    assert_eq!(world.store.recent_ends(failed).await.unwrap(), failures);
    for job in [world.beta, JobId(999)] {
        assert_eq!(world.store.recent_ends(EndQuery { job, ..all }).await.unwrap(), []);
    }
}

pub(crate) async fn summaries_count(open: Opener) {
    use SlotState::{Blocked, Expired, Failed, Missed, Pending, Ran, Running, Skipped};
    let History { world, .. } = history(open).await;
    let alpha = |counts: &[(SlotState, u64)]| Summary {
        counts: counts.to_vec(),
        last_success: Some(at(1)),
        last_failure: Some((at(2), "exit code 1".into())),
    };
    let everything = [
        (Pending, 2),
        (Running, 1),
        (Ran, 1),
        (Failed, 1),
        (Skipped, 3),
        (Missed, 4),
        (Expired, 5),
        (Blocked, 6),
    ];
    let live = [(Pending, 2), (Running, 1)];
    for (second, counts) in [(-9000, &everything[..]), (3599, &everything), (3600, &live)] {
        let summaries = world.store.summaries(at(second)).await.unwrap();
        assert_eq!(summaries[&job_name("alpha")], alpha(counts), "since {second}");
        let failed = if counts.len() > 2 { vec![(Failed, 1)] } else { Vec::new() };
        assert_eq!(summaries[&job_name("beta")].counts, failed, "since {second}");
        assert_eq!(summaries.len(), 2);
    }
    let later = world.store.summaries(at(9_999)).await.unwrap();
    let failure = Some((at(9), "no route".into()));
    assert_eq!(later[&job_name("beta")].last_failure, failure, "whatever the window");
}

pub(crate) async fn incidents_are_newest_first(open: Opener) {
    let world = World::new(open).await;
    for (second, key) in [(1, "job/a"), (2, "job/b"), (3, "file/c.yaml")] {
        world.apply(second, opened(key, key)).await;
    }
    world.apply(4, opened("job/a", "job/a")).await;
    world.apply(5, resolved("job/b")).await;
    let keys = async |all, limit| {
        let incidents = world.store.incidents(all, limit).await.unwrap();
        incidents.into_iter().map(|incident| incident.key).collect::<Vec<_>>()
    };
    assert_eq!(keys(false, 9).await, ["file/c.yaml", "job/a"]);
    assert_eq!(keys(true, 9).await, ["file/c.yaml", "job/b", "job/a"]);
    assert_eq!(keys(true, 2).await, ["file/c.yaml", "job/b"]);
    assert!(keys(false, 0).await.is_empty());
}

pub(crate) async fn unknown_jobs_have_nothing(open: Opener) {
    let History { world, .. } = history(open).await;
    let job = Some(job_name("nobody"));
    let slots = SlotQuery { job: job.clone(), limit: 9, ..SlotQuery::default() };
    assert_eq!(world.slots(slots).await, []);
    let runs = RunQuery { job, limit: 9, ..RunQuery::default() };
    assert_eq!(world.runs(runs).await, []);
}
