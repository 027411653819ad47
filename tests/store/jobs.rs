//! Nodes, and the agreement of stored jobs with a catalog.

use jada::model::{Cause, Revision, RunState};
use jada::store::{Applied, Change, JobEntry, Pause};

use crate::world::{
    Opener, World, at, entry, failure, finished, queued, slot, start_of_daemon, success,
};

pub(crate) async fn incarnations_differ(open: Opener) {
    let world = World::new(open).await;
    let again = world.store.register(start_of_daemon("here", 1)).await.unwrap();
    assert_ne!(again, world.node, "even with the same name, boot and process id");
}

pub(crate) async fn renew_extends(open: Opener) {
    let world = World::new(open).await;
    let other = world.store.register(start_of_daemon("there", 2)).await.unwrap();
    let mine = world.running(1).await;
    let theirs = world.queued(2).await;
    let mut start = world.start(theirs, 1);
    if let Change::Start { holder, .. } = &mut start {
        holder.node = other;
    }
    world.apply(2, start).await;
    let until = async |run| match world.run(run).await.state {
        RunState::Running { holder, .. } => holder.until,
        state => panic!("{state:?}"),
    };
    world.store.renew(world.node, at(900)).await.unwrap();
    assert_eq!((until(mine).await, until(theirs).await), (at(900), at(500)));
    let live = world.store.live_runs().await.unwrap();
    assert_eq!(live[0], world.run(mine).await, "every reader sees the same");
    // A renewal that arrives late must not take away what a later one gave.
    world.store.renew(world.node, at(800)).await.unwrap();
    assert_eq!(until(mine).await, at(900));
    // The claim ends with the attempt.
    world.apply(9, world.end(mine, 1, &failure("busy"), queued(9))).await;
    assert_eq!(world.run(mine).await.state, queued(9));
}

pub(crate) async fn new_jobs_start_now(open: Opener) {
    let world = World::new(open).await;
    let jobs = vec![entry("alpha"), entry("beta"), entry("gamma")];
    let states = world.store.sync_jobs(jobs, at(100)).await.unwrap();
    assert_eq!((states[0].id, states[1].id), (world.alpha, world.beta));
    assert_eq!((states[0].cursor, states[0].known_since), (at(0), at(0)));
    assert_eq!((states[2].cursor, states[2].known_since), (at(100), at(100)));
    assert_eq!((states[2].last_success, states[2].last_after), (None, None));
    assert_eq!(states[2].paused, None);
    let mut stored = world.store.jobs().await.unwrap();
    stored.sort_by_key(|job| job.id);
    assert_eq!(stored, states);
}

pub(crate) async fn an_edit_is_never_retroactive(open: Opener) {
    let world = World::new(open).await;
    world.move_cursor(world.alpha, 0, 60).await;
    let edited = JobEntry { schedule: Revision(8), ..entry("alpha") };
    let states = world.store.sync_jobs(vec![edited.clone(), entry("beta")], at(100)).await.unwrap();
    assert_eq!(states[0].cursor, at(100));
    assert_eq!(states[0].known_since, at(0), "it is the same job");
    assert_eq!(states[1].cursor, at(0), "another job's file doesn't matter");
    let states = world.store.sync_jobs(vec![edited, entry("beta")], at(200)).await.unwrap();
    assert_eq!(states[0].cursor, at(100), "the edit counts once");
}

pub(crate) async fn an_unchanged_schedule_keeps_its_cursor(open: Opener) {
    let world = World::new(open).await;
    world.move_cursor(world.alpha, 0, 60).await;
    let edited = JobEntry { revision: Revision(8), ..entry("alpha") };
    let states = world.store.sync_jobs(vec![edited, entry("beta")], at(100)).await.unwrap();
    assert_eq!(states[0].cursor, at(60));
}

pub(crate) async fn jobs_retire_and_return(open: Opener) {
    let world = World::new(open).await;
    let run = world.over(5, success()).await;
    world.move_cursor(world.alpha, 0, 60).await;
    world.store.sync_jobs(vec![entry("beta")], at(100)).await.unwrap();
    assert_eq!(world.job("alpha").await, None);
    assert_eq!(world.run(run).await.job, world.alpha, "its history stays");
    let states = world.store.sync_jobs(vec![entry("alpha")], at(200)).await.unwrap();
    assert_eq!(states[0].id, world.alpha);
    assert_eq!((states[0].cursor, states[0].known_since), (at(200), at(200)), "not retroactive");
    assert_eq!(states[0].last_success, Some(at(5)));
    assert_eq!(world.job("beta").await, None);
    // What was under way when the file went is still under way.
    let live = world.running(300).await;
    world.store.sync_jobs(Vec::new(), at(301)).await.unwrap();
    assert_eq!(world.store.live_runs().await.unwrap()[0].id, live);
    let end = world.end(live, 1, &success(), finished(302, &success()));
    assert_eq!(world.apply(302, end).await, Applied::Done);
}

pub(crate) async fn pauses_survive_a_reload(open: Opener) {
    let world = World::new(open).await;
    let pause = Some(Pause { since: at(1), reason: "holidays".into() });
    world.apply(1, Change::Pause { job: world.alpha, pause: pause.clone() }).await;
    let edited = JobEntry { revision: Revision(1), schedule: Revision(1), ..entry("alpha") };
    for jobs in [vec![edited], vec![], vec![entry("alpha")]] {
        world.store.sync_jobs(jobs, at(9)).await.unwrap();
    }
    assert_eq!(world.job("alpha").await.unwrap().paused, pause);
}

pub(crate) async fn newest_success_is_kept(open: Opener) {
    let world = World::new(open).await;
    world.over(5, success()).await;
    world.over(6, failure("busy")).await;
    assert_eq!(world.job("alpha").await.unwrap().last_success, Some(at(5)));
    // A run that is recorded as over counts like one that was watched; an older end changes nothing.
    world.record(7, world.alpha, slot(2), finished(3, &success())).await;
    assert_eq!(world.job("alpha").await.unwrap().last_success, Some(at(5)));
    world.record(8, world.alpha, slot(3), finished(8, &success())).await;
    assert_eq!(world.job("alpha").await.unwrap().last_success, Some(at(8)));
    assert_eq!(world.job("beta").await.unwrap().last_success, None);
}

pub(crate) async fn last_after_is_kept(open: Opener) {
    let world = World::new(open).await;
    let upstream = world.over(5, success()).await;
    assert_eq!(world.job("beta").await.unwrap().last_after, None);
    world.record(6, world.beta, Cause::After(upstream), queued(6)).await;
    world.record(7, world.beta, Cause::Manual(at(7)), queued(7)).await;
    assert_eq!(world.job("beta").await.unwrap().last_after, Some(at(6)));
    assert_eq!(world.job("alpha").await.unwrap().last_after, None);
}

pub(crate) async fn sync_answers_in_order(open: Opener) {
    let world = World::new(open).await;
    let names = ["zeta", "beta", "mu", "alpha"];
    let states = world.store.sync_jobs(names.map(entry).to_vec(), at(1)).await.unwrap();
    let answered: Vec<_> = states.iter().map(|state| state.name.as_str()).collect();
    assert_eq!(answered, names);
    let stored = world.store.jobs().await.unwrap();
    let listed: Vec<_> = stored.iter().map(|state| state.name.as_str()).collect();
    assert_eq!(listed, ["alpha", "beta", "mu", "zeta"], "by name");
}
