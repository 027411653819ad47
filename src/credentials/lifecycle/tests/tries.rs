//! When a credential is tried again, and how long one waits for that.
//!
//! Owns back-off, confirmation and re-probes. Refuses to know which state a class leads to (`super`).

use super::*;

#[test]
fn a_refusal_is_confirmed_before_a_grant_is_called_dead() {
    let mut story = Story::healthy();
    assert_eq!(story.fails(Class::ReauthRequired), State::RefreshFailing);
    assert!((30..=60).contains(&story.waits().as_secs()));
    // Somebody who insists at once confirms nothing.
    let due = story.standing.next_try;
    story.now = after(story.now, Duration::from_secs(1));
    assert_eq!(story.fails(Class::ReauthRequired), State::RefreshFailing);
    assert_eq!(story.standing.next_try, due);
    assert_eq!(story.fails_when_due(Class::ReauthRequired), State::ReauthRequired);
    assert_eq!(story.standing.deaths, [story.now]);
    // And from then on nobody asks the server any more.
    assert_eq!(story.leave(), Leave::Never);
    story.now = after(story.now, horizon::DAY * 400);
    assert_eq!(story.leave(), Leave::Never);
}

#[test]
fn a_rotating_grant_is_dead_at_once_unless_an_answer_was_lost() {
    for class in [Class::ReauthRequired, Class::ReauthPolicy] {
        let mut story = Story::healthy();
        story.facts.rotates = true;
        assert_eq!(story.fails(class), State::ReauthRequired, "{class:?}");
        let mut story = Story::healthy();
        story.facts = Facts { rotates: true, lost_answer: true, ..story.facts };
        assert_eq!(story.fails(class), State::RefreshFailing, "{class:?}");
        assert_eq!(story.fails_when_due(class), State::ReauthRequired, "{class:?}");
    }
    let mut story = Story::healthy();
    story.facts.rotates = true;
    assert_eq!(story.fails(Class::PrincipalGone), State::Misconfigured);
    assert!(story.waits() >= horizon::DAY);
}

#[test]
fn a_confirming_try_that_fails_otherwise_confirms_nothing() {
    let mut story = Story::healthy();
    story.fails(Class::ReauthRequired);
    assert_eq!(story.fails_when_due(Class::Transient), State::RefreshFailing);
    assert_eq!(story.fails_when_due(Class::ReauthRequired), State::RefreshFailing);
    assert_eq!(story.fails_when_due(Class::ReauthRequired), State::ReauthRequired);
    assert_eq!(story.standing.deaths.len(), 1);
}

#[test]
fn a_refusal_without_a_reason_is_tried_three_times_over_ten_minutes_and_never_called_revoked() {
    let mut story = Story::healthy();
    let began = story.now;
    story.standing.usable_until = Some(after(began, HOUR / 2));
    story.fails(Class::UnclassifiedRefusal);
    story.fails_when_due(Class::UnclassifiedRefusal);
    assert!(!must_be_told(&story.standing, story.now));
    story.fails_when_due(Class::UnclassifiedRefusal);
    let took = story.now.duration_since(began).as_secs();
    assert!((450..=600).contains(&took), "{took} s");
    // Its token is still good, and is kept; people are told.
    assert_eq!(story.standing.state, State::RefreshFailing);
    assert!(must_be_told(&story.standing, story.now));
    for _ in 0..50 {
        assert_eq!(story.fails_when_due(Class::UnclassifiedRefusal), State::Misconfigured);
        assert!(story.waits() <= HOUR);
    }
    assert_eq!(story.standing.deaths, []);
    assert_eq!(story.is(&success(2)), State::Healthy);
}

#[test]
fn an_unintelligible_answer_is_told_the_third_time_and_tried_on() {
    let mut story = Story::healthy();
    story.fails(Class::Unintelligible);
    for failures in 2..40 {
        let state = story.fails_when_due(Class::Unintelligible);
        assert_eq!((state, story.standing.failures), (State::RefreshFailing, failures));
        assert!(story.waits().as_secs() <= 300);
        story.standing.usable_until = Some(after(story.now, HOUR));
        assert_eq!(must_be_told(&story.standing, story.now), failures >= 3);
    }
}

#[test]
fn backoff_grows_to_its_bound_and_heeds_the_server() {
    let mut story = Story::healthy();
    story.fails(Class::Transient);
    let mut waits = Vec::new();
    for _ in 0..12 {
        waits.push(story.waits());
        story.fails_when_due(Class::Transient);
    }
    assert!(waits[0].as_millis() >= 750 && waits[0].as_secs() <= 1, "{waits:?}");
    assert!(waits[11].as_secs() >= 45 && waits[11].as_secs() <= 60, "{waits:?}");
    for (asked, expected) in [(120, 120), (86_400, 3600)] {
        let mut evidence = Evidence::new(Class::RateLimited, "as told");
        evidence.retry_after = Some(Duration::from_secs(asked));
        let mut story = Story::healthy();
        story.is(&Event::Failed { evidence, generation: 1 });
        assert_eq!(story.waits().as_secs(), expected);
    }
}

#[test]
fn no_verdict_but_a_dead_grant_ends_refreshing_for_good() {
    use Class as C;
    let all = [
        C::Transient,
        C::AmbiguousCommit,
        C::RateLimited,
        C::Unintelligible,
        C::PrincipalGone,
        C::ClockSkew,
        C::ClientMisconfigured,
        C::ScopePolicy,
        C::Software,
        C::UnclassifiedRefusal,
        C::LocalStore,
        C::SourceFailing,
        C::Expired,
    ];
    for class in all {
        let mut story = Story::healthy();
        story.fails(class);
        for _ in 0..100 {
            story.fails_when_due(class);
            assert!(story.waits() <= horizon::DAY, "{class:?}");
        }
        story.now = story.standing.next_try.unwrap();
        assert_eq!(story.leave(), Leave::Now, "{class:?}");
        story.is(&success(2));
        story.is(&success(3));
        assert_eq!(story.standing.state, State::Healthy, "{class:?}");
        assert_eq!((story.standing.failures, story.standing.class), (0, None), "{class:?}");
    }
}

#[test]
fn a_changed_source_is_tried_at_once() {
    let mut story = Story::healthy();
    story.fails(Class::ClientMisconfigured);
    assert!(matches!(story.leave(), Leave::At(_)));
    story.is(&Event::SourceChanged);
    assert_eq!(story.leave(), Leave::Now);
    story.is(&success(2));
    assert_eq!(story.standing.state, State::Healthy);
}

#[test]
fn an_operator_may_insist_where_a_schedule_may_not() {
    let forced = |story: &Story| leave(&story.standing, true, story.now);
    let mut story = Story::dead();
    assert_eq!(forced(&story), Leave::Now);
    assert_eq!(story.is(&success(2)), State::Healthy);
    story.fails(Class::ClientMisconfigured);
    assert_eq!(forced(&story), Leave::Now);
    story.is(&Event::Paused);
    assert_eq!(forced(&story), Leave::Never);
    assert_eq!(story.leave(), Leave::Never);
    story.is(&Event::Revoked);
    assert_eq!(forced(&story), Leave::Never);
}
