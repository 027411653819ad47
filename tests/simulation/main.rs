//! The real loop over the real store, in simulated time, with faults.
//!
//! A seed decides everything: jobs end, fail, hang and panic, time passes and is stepped, people trigger,
//! cancel and pause, files are edited, the store fails, the daemon is killed between any two commits. After
//! each step the laws of [`world::World::check`] must hold. A failure prints its seed; `JADA_SEED=N cargo
//! test --test simulation` replays it, `JADA_SEEDS=N` runs that many.

mod alerts;
mod faulty;
mod world;

use std::time::Duration;

use jada::model::{CredentialName, CredentialState, FailureClass, JobName, Outcome, SlotState};
use world::{Chance, World};

const MINUTE: Duration = Duration::from_mins(1);
const SECOND: Duration = Duration::from_secs(1);

fn seeds() -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok().and_then(|text: String| text.parse::<u64>().ok());
    if let Some(seed) = number("JADA_SEED") {
        return seed..seed + 1;
    }
    0..number("JADA_SEEDS").unwrap_or(16)
}

#[tokio::test]
async fn the_laws_hold_whatever_happens() {
    for seed in seeds() {
        let report = Seeded(seed);
        let mut chance = Chance::new(seed);
        let mut world = World::new().await;
        for _ in 0..12 {
            for _ in 0..10 {
                happen(&mut world, &mut chance).await;
                world.settle().await;
                world.check().await;
            }
            world.check_runs().await;
        }
        world.all_quiet(&mut chance).await;
        world.check().await;
        world.check_runs().await;
        world.check_slots().await;
        report.passed();
    }
}

/// Something happens.
async fn happen(world: &mut World, chance: &mut Chance) {
    match chance.below(100) {
        0..30 => world.pass(Duration::from_millis(chance.below(90_000))),
        30..38 => world.pass_to_wake(),
        38..64 => world.end_one(chance),
        64..70 => world.trigger(chance).await,
        70..74 => world.cancel(chance).await,
        74..78 => world.pause_or_resume(chance).await,
        78..82 => world.edit(chance).await,
        82..85 => world.fail_next_commit(chance.coin()),
        85 => world.fail_next_look(),
        86..93 => {
            // Killed before, in or after the next commit.
            match chance.below(3) {
                0 => {}
                kind => {
                    world.fail_next_commit(kind == 1);
                    world.pass_to_wake();
                    world.step_once().await;
                }
            }
            world.kill().await;
        }
        93..95 => world.pass(Duration::from_secs(chance.below(4 * 3600))),
        95..97 => world.set_standing(match chance.below(4) {
            0 => CredentialState::ReauthRequired,
            1 => CredentialState::Misconfigured,
            2 => CredentialState::Paused,
            _ => CredentialState::Healthy,
        }),
        _ => world.step_clock(chance),
    }
}

/// Says which seed it was when a law is broken.
struct Seeded(u64);

impl Seeded {
    fn passed(self) {
        std::mem::forget(self);
    }
}

impl Drop for Seeded {
    fn drop(&mut self) {
        #[expect(clippy::print_stdout, reason = "the one line that a failure is replayed by")]
        {
            println!("replay with: JADA_SEED={} cargo test --test simulation", self.0);
        }
    }
}

#[tokio::test]
async fn a_kill_in_mid_run_is_lost_and_tried_again_only_by_policy() {
    let mut world = World::with(&[
        ("once.yaml", "schedule: { every: 1m }\ncommand: { run: ['true'] }\n"),
        (
            "again.yaml",
            "schedule: { every: 1m }\nretry: { attempts: 2, backoff: { initial: 1s, jitter: 0% } }\n\
             command: { run: ['true'] }\n",
        ),
    ])
    .await;
    world.pass(MINUTE);
    world.settle().await;
    assert_eq!(world.under_way(), ["again#1", "once#1"]);
    world.kill().await;
    world.settle().await;
    world.pass(Duration::from_secs(2));
    world.settle().await;
    assert_eq!(world.under_way(), ["again#2"], "attempt 2 of the one that may be repeated");
    let slots = world.slots("once").await;
    assert_eq!(slots[0].state, SlotState::Failed);
    assert!(slots[0].reason.contains("the daemon that performed it died"), "{}", slots[0].reason);
}

#[tokio::test]
async fn no_retry_starts_beside_processes_that_cannot_be_ended() {
    let text = "schedule: { every: 1h }\nretry: { attempts: 3 }\ncommand: { run: ['true'] }\n";
    let mut world = World::with(&[("a.yaml", text)]).await;
    world.pass(60 * MINUTE);
    world.settle().await;
    let begun = world.started();
    world.stop();
    world.start().await;
    world.give_up_all().await;
    world.pass(30 * MINUTE);
    world.settle().await;
    assert_eq!(world.started(), begun);
    assert_eq!(states(&world, "a").await, "f");
}

#[tokio::test]
async fn ten_minutes_down_are_accounted_for_slot_by_slot() {
    let mut world = World::with(&[
        ("latest.yaml", "schedule: { every: 1m }\ncommand: { run: ['true'] }\n"),
        ("none.yaml", "schedule: { every: 1m }\ncatch_up: none\ncommand: { run: ['true'] }\n"),
        (
            "all.yaml",
            "schedule: { every: 1m }\ncatch_up: { mode: all, window: 1h }\noverlap: allow\n\
             command: { run: ['true'] }\n",
        ),
    ])
    .await;
    world.stop();
    world.pass(Duration::from_secs(10 * 60 + 30));
    world.start().await;
    world.settle().await;
    let words = |rows: &[jada::store::SlotRow]| {
        let count = |state| rows.iter().filter(|row| row.state == state).count();
        (count(SlotState::Running), count(SlotState::Missed), rows.len())
    };
    assert_eq!(words(&world.slots("latest").await), (1, 9, 10));
    assert_eq!(words(&world.slots("none").await), (0, 10, 10));
    assert_eq!(words(&world.slots("all").await), (10, 0, 10));
}

#[tokio::test]
async fn a_hung_performer_is_told_of_and_has_not_ended_until_it_ends() {
    let mut world = World::with(&[
        (
            "hangs.yaml",
            "schedule: { every: 1m }\ntimeout: 5s\nretry: { attempts: 3 }\ncommand: { run: ['true'] }\n",
        ),
        ("fine.yaml", "schedule: { every: 1m }\ncommand: { run: ['true'] }\n"),
    ])
    .await;
    world.ignore_stops("hangs");
    world.pass(MINUTE);
    world.settle().await;
    world.end("fine", succeeded());
    for _ in 0..10 {
        world.pass(Duration::from_secs(10));
        world.settle().await;
    }
    assert_eq!(world.slots("fine").await.last().map(|row| row.state), Some(SlotState::Ran));
    assert_eq!(world.under_way(), ["fine#1", "hangs#1"], "no retry beside it");
    let keys = |incidents: Vec<jada::model::Incident>| -> Vec<String> {
        incidents.into_iter().map(|one| one.key).collect()
    };
    assert_eq!(keys(world.open_incidents().await), ["job/hangs#exec.stuck"]);
    world.end("hangs", failed(FailureClass::Permanent, "ended by signal 9"));
    world.settle().await;
    assert_eq!(keys(world.open_incidents().await), [""; 0]);
    let first = world.slots("hangs").await.pop().expect("a row");
    assert_eq!(first.state, SlotState::Pending);
    assert!(first.reason.contains("timed out after 5s"), "{}", first.reason);
}

fn succeeded() -> Outcome {
    Outcome::Succeeded { note: String::new() }
}

fn failed(class: FailureClass, message: &str) -> Outcome {
    Outcome::Failed(jada::model::Failure::new(class, message))
}

#[tokio::test]
async fn who_cancels_a_run_that_has_just_failed_gets_no_retry() {
    for store_down in [false, true] {
        let mut world = World::with(&[(
            "a.yaml",
            "schedule: { every: 1h }\nretry: { attempts: 3 }\ncommand: { run: ['true'] }\n",
        )])
        .await;
        world.pass(Duration::from_hours(1));
        world.settle().await;
        world.end("a", failed(FailureClass::Transient, "no answer"));
        if store_down {
            // Its end stays in memory until the store works again.
            world.fail_next_commit(false);
            for _ in 0..8 {
                tokio::task::yield_now().await;
            }
            world.step_once().await;
        }
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
        world.cancel_all().await;
        world.settle().await;
        world.pass(Duration::from_mins(10));
        world.settle().await;
        assert!(world.under_way().is_empty(), "{:?}", world.under_way());
        assert_eq!(world.slots("a").await[0].state, SlotState::Failed);
    }
}

#[tokio::test]
async fn a_success_starts_nothing_while_the_daemon_stops() {
    let mut world = World::with(&[
        ("a.yaml", "schedule: { every: 1m }\ncommand: { run: ['true'] }\n"),
        ("b.yaml", "after: [a]\ncommand: { run: ['true'] }\n"),
    ])
    .await;
    world.pass(MINUTE);
    world.settle().await;
    world.drain();
    world.end("a", succeeded());
    world.settle().await;
    assert!(world.under_way().is_empty(), "{:?}", world.under_way());
    world.kill().await;
    world.settle().await;
    assert_eq!(world.under_way(), ["b#1"], "it is not lost either");
}

#[tokio::test]
async fn failures_that_are_replaced_before_their_retry_are_an_incident() {
    let mut world = World::with(&[(
        "a.yaml",
        "schedule: { every: 1m }\noverlap: cancel\nretry: { attempts: 5, backoff: { initial: 5m } }\n\
         command: { run: ['true'] }\n",
    )])
    .await;
    for _ in 0..2 {
        world.pass(MINUTE);
        world.settle().await;
        world.end("a", failed(FailureClass::Transient, "HTTP 502"));
        world.settle().await;
    }
    let incidents = world.open_incidents().await;
    assert_eq!(incidents.len(), 1);
    assert!(incidents[0].title.contains("HTTP 502"), "{:?}", incidents[0]);
}

#[tokio::test]
async fn runs_that_fail_in_one_commit_count_each() {
    let mut world = World::with(&[(
        "a.yaml",
        "schedule: { every: 1m }\noverlap: allow\nalert: { failures: 2 }\ncommand: { run: ['true'] }\n",
    )])
    .await;
    world.pass(MINUTE);
    world.settle().await;
    world.pass(MINUTE);
    world.settle().await;
    world.kill().await;
    world.settle().await;
    assert_eq!(world.open_incidents().await.len(), 1, "two runs are lost");
}

#[tokio::test]
async fn a_window_holds_however_many_successes_lie_in_it() {
    let mut world = World::with(&[(
        "a.yaml",
        "schedule: { every: 10s }\nalert: { failures: 2, within: 1h }\ncommand: { run: ['true'] }\n",
    )])
    .await;
    for index in 0..60 {
        world.pass(Duration::from_secs(10));
        world.settle().await;
        let bad = index == 0 || index == 59;
        world.end("a", if bad { failed(FailureClass::Permanent, "no") } else { succeeded() });
        world.settle().await;
    }
    assert_eq!(world.open_incidents().await.len(), 1);
}

#[tokio::test]
async fn a_retry_planned_by_a_wrong_clock_does_not_wait_for_its_day() {
    let mut world = World::with(&[(
        "a.yaml",
        "schedule: { every: 1m }\nretry: { attempts: 2 }\ncommand: { run: ['true'] }\n",
    )])
    .await;
    world.pass(MINUTE);
    world.settle().await;
    let right = world.now();
    world.set_clock(right + Duration::from_hours(24 * 365));
    world.settle().await;
    world.end("a", failed(FailureClass::Transient, "no answer"));
    world.settle().await;
    world.set_clock(right);
    world.settle().await;
    world.pass(MINUTE);
    world.settle().await;
    assert_eq!(world.under_way(), ["a#2"]);
}

#[tokio::test]
async fn a_clock_that_was_ahead_holds_up_no_chain_and_no_alarm() {
    let mut world = World::with(&[
        ("a.yaml", "command: { run: ['true'] }\nfreshness: 1h\n"),
        ("b.yaml", "after: [a]\ncommand: { run: ['true'] }\n"),
    ])
    .await;
    let right = world.now();
    world.set_clock(right + Duration::from_hours(24 * 365));
    for _ in 0..2 {
        world.run("a").await;
        world.settle().await;
        world.end("a", succeeded());
        world.settle().await;
        assert_eq!(world.under_way(), ["b#1"]);
        world.end("b", succeeded());
        world.settle().await;
        world.set_clock(right + MINUTE);
        world.settle().await;
        world.pass(MINUTE);
    }
    world.kill().await;
    world.pass(Duration::from_hours(2));
    world.settle().await;
    assert_eq!(world.open_incidents().await.len(), 1, "an hour without a success is told");
}

#[tokio::test]
async fn a_panic_fails_its_run_and_nothing_else() {
    let mut world = World::with(&[
        ("bug.yaml", "schedule: { every: 1m }\ncommand: { run: ['true'] }\n"),
        ("fine.yaml", "schedule: { every: 1m }\ncommand: { run: ['true'] }\n"),
    ])
    .await;
    world.pass(MINUTE);
    world.settle().await;
    world.panic("bug");
    world.settle().await;
    let rows = world.slots("bug").await;
    assert_eq!(rows[0].state, SlotState::Failed);
    assert!(rows[0].reason.contains("panicked"), "{}", rows[0].reason);
    assert_eq!(world.under_way(), ["fine#1"]);
}

#[tokio::test]
async fn a_clock_that_was_years_ahead_does_not_stop_the_job() {
    let mut world =
        World::with(&[("a.yaml", "schedule: { every: 1m }\ncommand: { run: ['true'] }\n")]).await;
    let right = world.now();
    world.set_clock(right + Duration::from_hours(24 * 365 * 5));
    world.settle().await;
    world.set_clock(right + MINUTE);
    world.settle().await;
    world.end("a", Outcome::Succeeded { note: String::new() });
    world.settle().await;
    let before = world.started();
    world.pass(MINUTE);
    world.settle().await;
    assert_eq!(world.started(), before + 1, "the job goes on at the right time");
}

#[tokio::test]
async fn incidents_open_by_the_rule_and_close_with_a_success() {
    let mut world = World::with(&[(
        "a.yaml",
        "schedule: { every: 1m }\nalert: { failures: 2, within: 1h }\ncommand: { run: ['true'] }\n",
    )])
    .await;
    let failed = || {
        let failure = jada::model::Failure::new(FailureClass::Permanent, "HTTP 400: Bad Request");
        Outcome::Failed(failure)
    };
    for (outcome, open) in [
        (failed(), 0),
        (Outcome::Succeeded { note: String::new() }, 0),
        (failed(), 1),
        (failed(), 1),
        (Outcome::Succeeded { note: String::new() }, 0),
    ] {
        world.pass(MINUTE);
        world.settle().await;
        world.end("a", outcome.clone());
        // An end whose history can't be read for now must not lose its incident.
        world.fail_next_look();
        world.settle().await;
        assert_eq!(world.open_incidents().await.len(), open, "after {outcome:?}");
    }
}

#[tokio::test]
async fn a_dead_credential_is_one_incident_and_its_slots_are_let_go_when_it_is_mended() {
    let job = "schedule: { every: 30m }\ncredentials: { api: test/one }\n\
               retry: { attempts: 3 }\ncommand: { run: ['true'] }\n";
    let mut world = World::with(&[("a.yaml", job), ("b.yaml", job)]).await;
    // A first attempt finds out: its run is blocked, whatever its retries.
    world.pass(30 * MINUTE);
    world.settle().await;
    world.end("a", dead());
    world.end("b", Outcome::Succeeded { note: String::new() });
    world.set_standing(CredentialState::ReauthRequired);
    world.settle().await;
    let begun = world.started();
    for _ in 0..3 {
        world.pass(30 * MINUTE);
        world.settle().await;
        world.kill().await;
    }
    assert_eq!(world.started(), begun, "nothing starts with a dead credential");
    assert_eq!(states(&world, "a").await, "bbbb");
    assert_eq!(states(&world, "b").await, "rbbb");
    let incidents = world.open_incidents().await;
    assert_eq!(incidents.len(), 1, "one cause, one incident: {incidents:?}");
    assert_eq!(incidents[0].key, "credential/test/one");
    let affected: Vec<&str> = incidents[0].affected.iter().map(JobName::as_str).collect();
    assert_eq!(affected, ["a", "b"]);
    assert_eq!(incidents[0].mend, "jadactl auth login test/one");
    // Mended while the daemon is down: the newest slot of each runs, once.
    world.stop();
    world.set_standing(CredentialState::Healthy);
    world.start().await;
    world.settle().await;
    assert_eq!(world.started(), begun + 2);
    world.kill().await;
    world.settle().await;
    assert_eq!(states(&world, "b").await, "rbbp", "lost with the kill, it waits for its retry");
    assert_eq!(world.started(), begun + 2, "what was let go once is not let go again");
    assert!(world.open_incidents().await.iter().all(|one| one.key != "credential/test/one"));
}

#[tokio::test]
async fn a_run_that_was_blocked_as_its_credential_was_mended_is_let_go() {
    let job = "schedule: { every: 30m }\ncredentials: { api: test/one }\n\
               command: { run: ['true'] }\n";
    let mut world = World::with(&[("a.yaml", job)]).await;
    world.set_standing(CredentialState::Healthy);
    world.pass(30 * MINUTE);
    world.settle().await;
    // By the time that the attempt's end is heard, the trouble is over: no standing changes any more.
    world.end("a", dead());
    world.settle().await;
    assert_eq!(states(&world, "a").await, "b");
    let begun = world.started();
    world.pass(29 * SECOND);
    world.settle().await;
    assert_eq!(world.started(), begun, "a credential that only looks well is not asked in a loop");
    world.pass(SECOND);
    world.settle().await;
    assert_eq!(world.started(), begun + 1, "it waits for no other trouble to be over");
}

#[tokio::test]
async fn the_incident_of_a_credential_ends_when_it_has_worked_and_names_the_jobs_of_now() {
    let job = |credentials: &str| {
        format!("schedule: {{ every: 30m }}\n{credentials}command: {{ run: ['true'] }}\n")
    };
    let bound = job("credentials: { api: test/one }\n");
    let mut world = World::with(&[("a.yaml", &bound), ("b.yaml", &job(""))]).await;
    world.set_standing(CredentialState::ReauthRequired);
    world.settle().await;
    world.write("b.yaml", &bound).await;
    world.settle().await;
    let open = world.open_incidents().await;
    let affected: Vec<&str> = open[0].affected.iter().map(JobName::as_str).collect();
    assert_eq!(affected, ["a", "b"], "it tells who waits now, not who did at first");
    world.write("a.yaml", &job("")).await;
    world.settle().await;
    assert_eq!(world.open_incidents().await[0].affected.len(), 1);
    // Something was put in place, and nobody has tried it.
    world.set_standing(CredentialState::Unknown);
    world.settle().await;
    assert_eq!(world.open_incidents().await.len(), 1, "nothing has shown that it works");
    world.set_standing(CredentialState::Healthy);
    world.settle().await;
    assert!(world.open_incidents().await.is_empty());
}

/// An attempt that ended since its credential was refused.
fn dead() -> Outcome {
    let mut failure =
        jada::model::Failure::new(FailureClass::Unauthorized, "credential test/one is dead");
    failure.blocked_by = Some(CredentialName::parse("test/one").expect("legal"));
    Outcome::Failed(failure)
}

/// What became of a job's slots, oldest first, by the first letter of each state.
async fn states(world: &World, job: &str) -> String {
    let mut slots = world.slots(job).await;
    slots.sort_by_key(|row| row.slot);
    slots.iter().map(|row| row.state.word().chars().next().unwrap_or('?')).collect()
}

#[tokio::test]
async fn a_bad_file_keeps_its_last_good_version_and_opens_an_incident() {
    let good = "schedule: { every: 1m }\ncommand: { run: ['true'] }\n";
    let mut world = World::with(&[("a.yaml", good)]).await;
    world.pass(Duration::from_secs(30));
    world.write("a.yaml", "schedule: { every: 1m }\ncomand: { run: ['true'] }\n").await;
    world.settle().await;
    let incidents = world.open_incidents().await;
    assert_eq!(incidents.len(), 1);
    assert!(incidents[0].key.starts_with("file/"), "{:?}", incidents[0]);
    assert!(incidents[0].title.contains("a.yaml"), "{:?}", incidents[0]);
    world.pass(Duration::from_secs(30));
    world.settle().await;
    assert_eq!(world.under_way(), ["a#1"], "the last good version runs at its time");
    world.write("a.yaml", good).await;
    world.settle().await;
    assert_eq!(world.open_incidents().await, []);
    assert_eq!(world.under_way(), ["a#1"], "an edit does not touch what is under way");
}

#[tokio::test]
async fn an_edit_is_never_retroactive_and_an_unchanged_schedule_keeps_its_slot() {
    let mut world = World::with(&[
        ("a.yaml", "schedule: { every: 10m }\ncommand: { run: ['true'] }\n"),
        ("b.yaml", "schedule: { every: 10m }\ncommand: { run: ['true'] }\n"),
    ])
    .await;
    world.pass(Duration::from_secs(9 * 60));
    world.settle().await;
    // `a` gets another command, `b` another schedule that would have been due eight times by now.
    world.write("a.yaml", "schedule: { every: 10m }\ncommand: { run: ['false'] }\n").await;
    world.write("b.yaml", "schedule: { every: 61s }\ncommand: { run: ['true'] }\n").await;
    world.settle().await;
    assert!(world.under_way().is_empty());
    world.pass(MINUTE);
    world.settle().await;
    assert!(world.under_way().contains(&"a#1".to_owned()), "{:?}", world.under_way());
    assert!(world.slots("b").await.len() <= 1);
}
