//! Every row of the lifecycle table, and the rules under it.

use super::*;
use crate::model::KnownEnd;

mod tries;

const HOUR: Duration = Duration::from_secs(3600);

fn start() -> Timestamp {
    "2026-06-01T00:00:00Z".parse().unwrap()
}

fn facts() -> Facts {
    Facts {
        name: CredentialName::parse("google/ops").unwrap(),
        rotates: false,
        lost_answer: false,
        fresh: false,
        consents: true,
        refreshes: true,
        horizon: None,
    }
}

/// One credential and its time.
struct Story {
    standing: Standing,
    now: Timestamp,
    facts: Facts,
}

impl Story {
    fn new() -> Self {
        Self { standing: Standing::unknown(start()), now: start(), facts: facts() }
    }

    fn healthy() -> Self {
        let mut story = Self::new();
        story.is(&success(1));
        assert_eq!(story.standing.state, State::Healthy);
        story
    }

    fn is(&mut self, event: &Event) -> State {
        self.standing = advance(&self.standing, event, self.now, &self.facts);
        self.standing.state
    }

    fn fails(&mut self, class: Class) -> State {
        let generation = self.standing.generation;
        self.is(&failure(class, generation))
    }

    /// Waits for the next try, and fails again.
    fn fails_when_due(&mut self, class: Class) -> State {
        self.now = self.standing.next_try.expect("a next try");
        self.fails(class)
    }

    fn waits(&self) -> Duration {
        self.standing.next_try.expect("a next try").duration_since(self.now).unsigned_abs()
    }

    fn dead() -> Self {
        let mut story = Self::healthy();
        story.fails(Class::ReauthRequired);
        assert_eq!(story.fails_when_due(Class::ReauthRequired), State::ReauthRequired);
        story
    }

    /// As it looks to whoever asks for a token on schedule.
    fn leave(&self) -> Leave {
        leave(&self.standing, false, self.now)
    }
}

fn success(generation: u64) -> Event {
    Event::Succeeded(won(generation))
}

fn won(generation: u64) -> Success {
    Success { generation, usable_until: after(start(), HOUR), missing_scopes: None, skew: None }
}

fn failure(class: Class, generation: u64) -> Event {
    Event::Failed { evidence: Evidence::new(class, "as told"), generation }
}

fn end_in(days: u32, warned_in: u32) -> Horizon {
    let at = |days| after(start(), horizon::DAY * days);
    let end = KnownEnd { at: at(days), clock: "declared".into() };
    Horizon { end, warn_at: at(warned_in) }
}

#[test]
fn each_class_leads_from_healthy_to_its_state_and_next_try() {
    let day = horizon::DAY;
    let seconds = Duration::from_secs;
    let cases = [
        (Class::Transient, State::RefreshFailing, Some((seconds(0), seconds(1)))),
        (Class::AmbiguousCommit, State::RefreshFailing, Some((seconds(0), seconds(1)))),
        (Class::RateLimited, State::RefreshFailing, Some((seconds(20), seconds(30)))),
        (Class::Unintelligible, State::RefreshFailing, Some((seconds(7), seconds(10)))),
        (Class::ReauthRequired, State::RefreshFailing, Some((seconds(30), seconds(60)))),
        (Class::ReauthPolicy, State::RefreshFailing, Some((seconds(30), seconds(60)))),
        (Class::PrincipalGone, State::RefreshFailing, Some((seconds(30), seconds(60)))),
        (Class::ClockSkew, State::Skewed, Some((seconds(45), seconds(60)))),
        (Class::ClientMisconfigured, State::Misconfigured, Some((day * 3 / 4, day))),
        (Class::ScopePolicy, State::Misconfigured, Some((day * 3 / 4, day))),
        (Class::Software, State::Misconfigured, Some((day * 3 / 4, day))),
        (Class::UnclassifiedRefusal, State::RefreshFailing, Some((seconds(225), seconds(300)))),
        (Class::ScopeMissing, State::ReauthRequired, None),
        (Class::TokenStale, State::Healthy, None),
        (Class::Permission, State::Healthy, None),
        (Class::Quota, State::Healthy, None),
        (Class::LocalStore, State::Misconfigured, Some((seconds(45), seconds(60)))),
        (Class::SourceFailing, State::RefreshFailing, Some((seconds(11), seconds(15)))),
        (Class::Revoked, State::Revoked, None),
        (Class::Expired, State::Misconfigured, Some((day * 3 / 4, day))),
    ];
    for (class, state, next) in cases {
        let mut story = Story::healthy();
        assert_eq!(story.fails(class), state, "{class:?}");
        match next {
            None => assert_eq!(story.standing.next_try, None, "{class:?}"),
            Some((least, most)) => {
                let waits = story.waits();
                assert!((least..=most).contains(&waits), "{class:?}: {waits:?}");
            }
        }
        let well = matches!(class, Class::Permission | Class::Quota | Class::TokenStale);
        assert_eq!(story.standing.class, (!well).then_some(class), "{class:?}");
    }
}

#[test]
fn each_state_is_left_by_what_its_row_says() {
    // (how it got there, what happens, where it goes)
    let unknown = Story::new;
    let failing = || {
        let mut story = Story::healthy();
        story.fails(Class::Transient);
        story
    };
    let misconfigured = || {
        let mut story = Story::healthy();
        story.fails(Class::ClientMisconfigured);
        story
    };
    let expiring = || {
        let mut story = Story::new();
        story.facts.horizon = Some(end_in(7, 0));
        assert_eq!(story.is(&success(1)), State::Expiring);
        story
    };
    let revoked = || {
        let mut story = Story::healthy();
        story.is(&Event::Revoked);
        story
    };
    let paused = || {
        let mut story = Story::healthy();
        story.is(&Event::Paused);
        story
    };
    let imported = || Event::Replaced { generation: 9 };
    let consented = || Event::Consented(won(9));
    let cases = [
        ("first refresh", unknown(), success(1), State::Healthy),
        ("a pause adds nothing", revoked(), Event::Paused, State::Revoked),
        ("nothing happened", unknown(), Event::TimePassed, State::Unknown),
        ("a file changed", misconfigured(), Event::SourceChanged, State::Misconfigured),
        ("the re-probe", misconfigured(), success(2), State::Healthy),
        ("a new consent", misconfigured(), consented(), State::Healthy),
        ("recovers", failing(), success(2), State::Healthy),
        ("imported while failing", failing(), imported(), State::Unknown),
        ("still expiring", expiring(), success(2), State::Expiring),
        ("dead: time", Story::dead(), Event::TimePassed, State::ReauthRequired),
        ("dead: a file changed", Story::dead(), Event::SourceChanged, State::ReauthRequired),
        (
            "dead: a network failure",
            Story::dead(),
            failure(Class::Transient, 1),
            State::ReauthRequired,
        ),
        ("dead: the disk", Story::dead(), failure(Class::LocalStore, 1), State::ReauthRequired),
        ("dead: login", Story::dead(), consented(), State::Healthy),
        ("dead: import", Story::dead(), imported(), State::Unknown),
        ("dead: revoked", Story::dead(), Event::Revoked, State::Revoked),
        ("revoked: refused", revoked(), failure(Class::ReauthRequired, 1), State::Revoked),
        ("revoked: time", revoked(), Event::TimePassed, State::Revoked),
        ("revoked: login", revoked(), consented(), State::Healthy),
        ("paused: refused", paused(), failure(Class::ReauthRequired, 1), State::Paused),
        ("paused: login", paused(), consented(), State::Paused),
        ("paused: import", paused(), imported(), State::Paused),
        ("paused: resumed", paused(), Event::Resumed, State::Unknown),
        ("resumed without a pause", Story::dead(), Event::Resumed, State::ReauthRequired),
    ];
    for (case, mut story, event, expected) in cases {
        assert_eq!(story.is(&event), expected, "{case}");
    }
}

#[test]
fn a_clock_that_is_off_is_at_fault_before_the_grant_is() {
    let skewed = |seconds| {
        let mut evidence = Evidence::new(Class::ReauthRequired, "as told");
        evidence.skew = Some(SignedDuration::from_secs(seconds));
        Event::Failed { evidence, generation: 1 }
    };
    let cases = [(61, State::Skewed), (-3600, State::Skewed), (60, State::RefreshFailing)];
    for (seconds, state) in cases {
        assert_eq!(Story::healthy().is(&skewed(seconds)), state, "{seconds} s");
    }
    // Twice sane is sane; the token serves after the first.
    let mut story = Story::healthy();
    story.is(&skewed(-90));
    assert_eq!(story.standing.deaths, []);
    assert_eq!(story.is(&success(2)), State::Skewed);
    assert!(story.standing.usable_until.is_some());
    story.now = story.standing.next_try.unwrap();
    assert_eq!(story.is(&success(3)), State::Healthy);
    // A success under a clock that is still off does not count.
    let mut story = Story::healthy();
    story.is(&skewed(-90));
    let off = Success { skew: Some(SignedDuration::from_secs(-90)), ..won(2) };
    for _ in 0..3 {
        assert_eq!(story.is(&Event::Succeeded(off.clone())), State::Skewed);
    }
    assert_eq!(story.is(&success(3)), State::Skewed);
    assert_eq!(story.is(&success(4)), State::Healthy);
}

#[test]
fn a_verdict_is_not_overturned_by_a_passing_trouble() {
    let mut story = Story::healthy();
    story.fails(Class::ClientMisconfigured);
    let since = story.standing.since;
    assert_eq!(story.fails_when_due(Class::Transient), State::Misconfigured);
    assert_eq!(story.standing.class, Some(Class::ClientMisconfigured));
    assert_eq!(story.standing.since, since);
    assert!(story.waits().as_secs() <= 60, "the probe itself is tried again soon");
    // The folder is shown to be well by any try that gets as far as the network.
    let mut story = Story::healthy();
    story.fails(Class::LocalStore);
    assert_eq!(story.fails_when_due(Class::Transient), State::RefreshFailing);
}

#[test]
fn only_evidence_about_this_generation_counts() {
    let mut story = Story::healthy();
    story.is(&success(5));
    let before = story.standing.clone();
    for class in [Class::ReauthRequired, Class::TokenStale, Class::ClientMisconfigured] {
        story.is(&failure(class, 4));
        assert_eq!(story.standing, before, "{class:?}");
    }
}

#[test]
fn scopes_that_are_missing_block_those_who_need_them_and_nobody_else() {
    let missing = |scopes: &[&str]| {
        let missing = scopes.iter().map(ToString::to_string).collect();
        Success { missing_scopes: Some(missing), ..won(2) }
    };
    let mut story = Story::healthy();
    let state = story.is(&Event::Succeeded(missing(&["drive"])));
    assert_eq!((state, story.standing.class), (State::ReauthRequired, Some(Class::ScopeMissing)));
    assert_eq!(story.leave(), Leave::Now, "those who need no more go on");
    // A refresh that tells no scopes changes nothing, and neither does a network failure.
    assert_eq!(story.is(&success(3)), State::ReauthRequired);
    assert_eq!(story.fails(Class::Transient), State::ReauthRequired);
    assert!(matches!(story.leave(), Leave::At(_)));
    assert_eq!(story.is(&success(4)), State::ReauthRequired);
    assert_eq!(story.is(&Event::Consented(missing(&[]))), State::Healthy);
    // A refusal by an API names no scope: a mere refresh can't mend it.
    story.fails(Class::ScopeMissing);
    assert_eq!(story.is(&Event::Succeeded(missing(&[]))), State::ReauthRequired);
    assert_eq!(story.is(&Event::Consented(won(9))), State::Healthy);
    // Of a key nobody can consent to anything: the next use shows whether it is mended.
    story.facts.consents = false;
    story.fails(Class::ScopeMissing);
    assert_eq!(story.is(&Event::Succeeded(won(10))), State::Healthy);
}

#[test]
fn a_stale_token_is_renewed_once_and_a_fresh_one_that_is_refused_is_the_operators() {
    let mut story = Story::healthy();
    assert_eq!(story.fails(Class::TokenStale), State::Healthy);
    assert_eq!(story.standing.usable_until, None);
    story.is(&success(2));
    story.facts.fresh = true;
    assert_eq!(story.fails(Class::TokenStale), State::Misconfigured);
}

#[test]
fn ends_are_warned_of_and_known_ones_come() {
    let mut story = Story::healthy();
    story.facts.horizon = Some(end_in(7, 4));
    story.now = after(start(), HOUR * 95);
    assert_eq!(story.is(&Event::TimePassed), State::Healthy);
    story.now = after(start(), horizon::DAY * 4);
    assert_eq!(story.is(&Event::TimePassed), State::Expiring);
    // A refresh can tell whether the end came, so nobody guesses.
    story.now = after(start(), horizon::DAY * 8);
    assert_eq!(story.is(&Event::TimePassed), State::Expiring);
    story.facts.horizon = Some(end_in(30, 20));
    assert_eq!(story.is(&Event::Consented(won(2))), State::Healthy);
    // A key with a declared end has nobody to ask.
    story.facts.refreshes = false;
    story.now = after(start(), horizon::DAY * 30);
    assert_eq!(story.is(&Event::TimePassed), State::Misconfigured);
    assert_eq!(story.standing.class, Some(Class::Expired));
    assert_eq!(story.is(&success(3)), State::Misconfigured, "the old key, read again");
    story.facts.horizon = Some(end_in(100, 90));
    assert_eq!(story.is(&success(4)), State::Healthy);
}

#[test]
fn each_death_is_kept_for_the_words_about_recurrence() {
    let mut story = Story::healthy();
    for round in 1..=25 {
        story.fails(Class::ReauthRequired);
        story.fails_when_due(Class::ReauthRequired);
        assert_eq!(story.standing.deaths.len(), round.min(DEATHS_MAX));
        story.is(&Event::Consented(won(story.standing.generation + 1)));
        story.now = after(start(), horizon::DAY * 7 * u32::try_from(round).unwrap());
    }
}

#[test]
fn who_is_told() {
    let mut story = Story::healthy();
    assert!(!must_be_told(&story.standing, story.now));
    story.fails(Class::Transient);
    // An hour of outage with a good token is nobody's business; without one, it is after ten minutes.
    story.now = after(start(), HOUR * 59 / 60);
    assert!(!must_be_told(&story.standing, story.now));
    story.now = after(start(), HOUR + Duration::from_secs(1));
    assert!(must_be_told(&story.standing, story.now));
    for (event, told) in [
        (Event::Paused, false),
        (Event::Resumed, false),
        (success(2), false),
        (failure(Class::Software, 2), true),
        (Event::Revoked, false),
    ] {
        story.is(&event);
        assert_eq!(must_be_told(&story.standing, story.now), told, "{event:?}");
    }
}
