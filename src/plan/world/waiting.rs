//! Runs that wait: for a seat, a retry, another run, a person, a credential.
//!
//! Owns those cases. Refuses to know what a slot does that is due (`super`).

use super::*;

#[test]
fn a_retry_keeps_its_place_before_newer_slots() {
    let retry = Retry { attempts: 2, ..Retry::default() };
    let policy = Policy { retry, ..overlap(Overlap::Queue) };
    let mut world = World::minutely(policy);
    world.pass(MINUTE).pass(MINUTE);
    assert!(matches!(world.end(&broken(FailureClass::Transient)), RunState::Queued { .. }));
    // The younger run is ready and the older one is not: it must still wait.
    world.pass(Duration::from_secs(1));
    assert!(world.under_way.is_empty());
    world.pass(Duration::from_secs(10));
    assert_eq!(world.under_way.keys().copied().collect::<Vec<_>>(), [RunId(1)]);
    assert!(matches!(world.end(&fine()), RunState::Finished { .. }));
}

#[test]
fn a_run_in_backoff_is_not_the_one_that_waits() {
    let retry = Retry { attempts: 9, ..Retry::default() };
    for (policy, want) in [
        (Overlap::Queue, ["started", "waits", "Skipped"]),
        (Overlap::QueueAll { max: 1 }, ["started", "waits", "Skipped"]),
        (Overlap::QueueAll { max: 2 }, ["started", "waits", "waits"]),
    ] {
        let backoff = Backoff { initial: Duration::from_hours(1), ..Backoff::default() };
        let backoff = Backoff { max: Duration::from_hours(1), ..backoff };
        let retry = Retry { backoff, ..retry.clone() };
        let mut world = World::minutely(Policy { retry, ..overlap(policy) });
        world.pass(MINUTE);
        world.end(&broken(FailureClass::Transient));
        world.pass(MINUTE).pass(MINUTE);
        assert_eq!(world.words(0), want, "{policy:?}");
    }
}

#[test]
fn a_retry_that_gets_no_seat_in_time_ends_as_it_failed() {
    let retry =
        Retry { attempts: 9, max_elapsed: Some(Duration::from_mins(2)), ..Retry::default() };
    let policy = Policy { retry, ..Policy::default() };
    let mut world = World::new(1, vec![(None, policy), (None, Policy::default())]);
    world.trigger(0);
    world.end(&broken(FailureClass::Transient));
    world.trigger(1);
    world.pass(MINUTE);
    assert_eq!(world.state.counts(), (1, 1));
    world.pass(MINUTE);
    let end = &world.rows[&(-1, "closed 1".into())];
    assert!(end.contains("Transient") && end.contains("x; its next attempt"), "{end}");
}

#[test]
fn a_replaced_retry_ends_as_it_failed() {
    let backoff = Backoff { initial: Duration::from_mins(5), ..Backoff::default() };
    let retry = Retry { attempts: 9, backoff, ..Retry::default() };
    let mut world = World::minutely(Policy { retry, ..overlap(Overlap::Cancel) });
    world.pass(MINUTE);
    world.end(&broken(FailureClass::Transient));
    world.pass(MINUTE);
    let end = &world.rows[&(-1, "closed 1".into())];
    assert!(end.contains("Transient") && end.contains("x; a newer slot replaced it"), "{end}");
}

#[test]
fn a_run_in_backoff_counts_as_live() {
    let retry = Retry { attempts: 9, ..Retry::default() };
    let mut world = World::minutely(Policy { retry, ..overlap(Overlap::Skip) });
    world.pass(MINUTE);
    world.end(&broken(FailureClass::Transient));
    world.pass(Duration::from_secs(1));
    assert!(world.under_way.is_empty(), "it waits");
    world.pass(Duration::from_secs(59));
    assert_eq!(world.words(0), ["started", "Skipped"]);
}

#[test]
fn a_run_that_gets_no_seat_in_time_expires() {
    let policy = Policy { deadline: Some(Duration::from_secs(90)), ..Policy::default() };
    let mut world = World::new(1, vec![(None, Policy::default()), (Some(MINUTE), policy)]);
    world.trigger(0);
    world.pass(MINUTE);
    assert_eq!(world.words(1), ["waits"]);
    // The trigger took a millisecond.
    world.pass(Duration::from_millis(89_999));
    assert!(!world.rows.contains_key(&(-1, "closed 2".into())), "exactly in time is in time");
    world.pass(Duration::from_millis(1));
    let why = "Expired: no seat of the daemon was free (limits.running) before its deadline";
    assert_eq!(world.rows[&(-1, "closed 2".into())], why);
}

#[test]
fn what_expires_says_what_held_it_up() {
    let deadline = Some(Duration::from_secs(90));
    let policy = Policy { deadline, pool: Some("small".into()), ..Policy::default() };
    let other = Policy { pool: Some("small".into()), ..Policy::default() };
    let queued = Policy { deadline, overlap: Overlap::Queue, ..Policy::default() };
    let cases = [
        (vec![(None, other), (Some(MINUTE), policy)], 0, "no seat of pool small was free"),
        (vec![(Some(MINUTE), queued)], 0, "run 1 had not ended"),
    ];
    for (jobs, asked, why) in cases {
        let mut world = World::new(9, jobs);
        world.trigger(asked);
        world.pass(MINUTE);
        world.pass(Duration::from_secs(90));
        let want = format!("Expired: {why} before its deadline");
        assert_eq!(world.rows[&(-1, "closed 2".into())], want);
    }
}

#[test]
fn held_slots_are_blocked_and_let_go_under_catch_up() {
    let mut world = World::minutely(Policy::default());
    world.hold(0, true);
    world.pass(MINUTE).pass(MINUTE);
    world.trigger(0);
    world.hold(0, false);
    // Only the newest slot is within the default window of one period; the request is not made up for.
    let released: Vec<_> = world.under_way.keys().copied().collect();
    assert_eq!(released, [RunId(2)]);
    assert_eq!(world.words(0), ["Blocked", "Blocked", "Blocked"]);
    world.end(&fine());
    world.pass(MINUTE);
    assert_eq!(world.words(0), ["Blocked", "Blocked", "Blocked", "started"]);
}

#[test]
fn an_attempt_that_finds_its_credential_dead_ends_as_blocked() {
    let retry = Retry { attempts: 5, on: FailureClass::ALL.to_vec(), ..Retry::default() };
    let mut world = World::minutely(Policy { retry, ..Policy::default() });
    world.pass(MINUTE);
    let mut failure = Failure::new(FailureClass::Unauthorized, "google/ops is dead");
    failure.blocked_by = Some(CredentialName::parse("google/ops").expect("a legal name"));
    let next = world.end(&Outcome::Failed(failure));
    assert!(matches!(next, RunState::NotRun { verdict: NotRun::Blocked, .. }), "{next:?}");
    assert_eq!(world.state.counts(), (0, 0));
}

#[test]
fn a_run_that_waits_for_a_retry_is_blocked_when_its_credential_dies() {
    let retry = Retry { attempts: 5, ..Retry::default() };
    let mut world = World::minutely(Policy { retry, ..Policy::default() });
    world.pass(MINUTE);
    assert!(matches!(world.end(&broken(FailureClass::Transient)), RunState::Queued { .. }));
    world.hold(0, true);
    world.pass(Duration::from_secs(30));
    assert_eq!(world.rows[&(-1, "closed 1".to_owned())], "Blocked: google/ops is dead");
    assert_eq!(world.state.counts(), (0, 0));
}
