//! How a credential's standing moves.
//!
//! Owns the state machine: typed evidence in, the next standing out, with the time of the next try. Pure:
//! the same standing, event and facts give the same answer. Refuses to know files, servers and secrets.
//!
//! Two rules keep it honest. One bad verdict never ends refreshing for good, except the one that a person
//! alone can mend; and only a refresh that really happened clears one.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::evidence::{Evidence, SKEW_MAX};
use super::horizon::{self, Horizon, after};
use crate::model::{CredentialClass as Class, CredentialName, CredentialState as State, Standing};

/// A refusal is confirmed by a second attempt after 30 to 60 s.
const CONFIRM: Duration = Duration::from_secs(30);

/// Refusals without a reason are tried so often, over about ten minutes, before people are told.
pub const UNCLASSIFIED_TRIES: u32 = 3;
const UNCLASSIFIED_GAP: Duration = Duration::from_secs(5 * 60);

/// Successes that are none, before people are told.
pub const UNINTELLIGIBLE_TRIES: u32 = 3;

/// Longest time that a server may ask us to wait.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60 * 60);

/// Times of death that are kept.
const DEATHS_MAX: usize = 20;

/// What a standing depends on besides itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own, none is a state")]
pub struct Facts {
    /// Whose it is: gives each credential its own jitter.
    pub name: CredentialName,
    /// Whether an exchange spends the refresh token.
    pub rotates: bool,
    /// Whether the journal shows an exchange whose answer was lost.
    pub lost_answer: bool,
    /// Whether the refused token had been made because the one before it was refused too.
    pub fresh: bool,
    /// Whether a person has to consent.
    pub consents: bool,
    /// Whether an exchange could show that a passed end has not come.
    pub refreshes: bool,
    /// The earliest known end by now.
    pub horizon: Option<Horizon>,
}

/// A success that really happened: an exchange, a mint, or a source that was read anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Success {
    /// The generation that it brought.
    pub generation: u64,
    /// Until when its token is good; `Timestamp::MAX` for one without an end.
    pub usable_until: Timestamp,
    /// What is needed and was not granted; `None` where the answer did not say.
    pub missing_scopes: Option<Vec<String>>,
    /// The server's clock minus ours.
    pub skew: Option<SignedDuration>,
}

/// What moves a standing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A refresh or mint succeeded.
    Succeeded(Success),
    /// A person consented (again), and the new token was tried.
    Consented(Success),
    /// A grant was put in place that nobody has tried: imported, or changed by hand.
    Replaced {
        /// The generation that it has.
        generation: u64,
    },
    /// Something does not work; evidence about an older generation is stale.
    Failed {
        /// What was seen.
        evidence: Evidence,
        /// The generation that it is about.
        generation: u64,
    },
    /// A file or setting that the credential is made of changed.
    SourceChanged,
    /// Time passed: an end or a warning may have come.
    TimePassed,
    /// The operator revoked it.
    Revoked,
    /// The operator holds it.
    Paused,
    /// The operator lets it go on.
    Resumed,
}

/// Whether a token may be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// Now.
    Now,
    /// Not before this.
    At(Timestamp),
    /// Not until a person did something.
    Never,
}

/// The standing after an event.
#[must_use]
pub fn advance(standing: &Standing, event: &Event, now: Timestamp, facts: &Facts) -> Standing {
    let mut next = standing.clone();
    next.horizon = facts.horizon.as_ref().map(|horizon| horizon.end.clone());
    match event {
        Event::Succeeded(success) => succeeded(&mut next, success, now, facts),
        Event::Consented(success) => {
            if next.state != State::Paused {
                rest(&mut next, now, facts);
            }
            // The new consent says what was granted; what was missing before is of the old one.
            next.missing_scopes.clear();
            succeeded(&mut next, success, now, facts);
        }
        Event::Replaced { generation } => {
            next.generation = *generation;
            next.usable_until = None;
            next.missing_scopes.clear();
            if next.state != State::Paused {
                untried(&mut next, now);
            }
        }
        Event::Failed { evidence, generation } => {
            if *generation >= standing.generation {
                failed(&mut next, evidence, now, facts);
            }
        }
        Event::SourceChanged => {
            // A refresh will tell; until then the verdict stands.
            if matches!(next.state, State::Misconfigured | State::RefreshFailing | State::Skewed) {
                next.next_try = Some(now);
            }
        }
        Event::TimePassed => time_passed(&mut next, now, facts),
        Event::Revoked => {
            enter(&mut next, State::Revoked, now);
            next.class = Some(Class::Revoked);
            next.error = None;
            next.words.clear();
            next.usable_until = None;
            next.next_try = None;
        }
        // What was revoked is out of use already, and a resume must not make it look like a dead grant.
        Event::Paused if next.state == State::Revoked => {}
        Event::Paused => {
            enter(&mut next, State::Paused, now);
            next.class = None;
            next.error = None;
            next.words.clear();
            next.next_try = None;
        }
        Event::Resumed => {
            if next.state == State::Paused {
                untried(&mut next, now);
            }
        }
    }
    next
}

/// Whether a token may be asked for, by what is known. `forced` is an operator who insists: that ends a
/// wait and tries a dead grant once more, but neither a pause nor a revocation.
#[must_use]
pub fn leave(standing: &Standing, forced: bool, now: Timestamp) -> Leave {
    match standing.state {
        State::Paused | State::Revoked => Leave::Never,
        State::ReauthRequired if standing.class != Some(Class::ScopeMissing) && !forced => {
            Leave::Never
        }
        _ if forced => Leave::Now,
        _ => match standing.next_try {
            Some(at) if at > now => Leave::At(at),
            _ => Leave::Now,
        },
    }
}

fn enter(next: &mut Standing, state: State, now: Timestamp) {
    if next.state != state {
        next.state = state;
        next.since = now;
    }
}

/// Nobody has tried it: the next try is due now.
fn untried(next: &mut Standing, now: Timestamp) {
    enter(next, State::Unknown, now);
    next.class = None;
    next.error = None;
    next.words.clear();
    next.failures = 0;
    next.next_try = Some(now);
}

/// It works: healthy, or expiring where the warning has begun.
fn rest(next: &mut Standing, now: Timestamp, facts: &Facts) {
    let warned = facts.horizon.as_ref().is_some_and(|horizon| horizon.warn_at <= now);
    next.class = None;
    next.error = None;
    next.words.clear();
    next.failures = 0;
    next.next_try = None;
    if has_ended(now, facts) {
        expire(next, now);
    } else {
        enter(next, if warned { State::Expiring } else { State::Healthy }, now);
    }
}

/// Whether its end has come for certain: where a refresh can tell, a passed end is a guess until it does.
fn has_ended(now: Timestamp, facts: &Facts) -> bool {
    !facts.refreshes && facts.horizon.as_ref().is_some_and(|horizon| horizon.end.at <= now)
}

fn expire(next: &mut Standing, now: Timestamp) {
    enter(next, State::Misconfigured, now);
    next.class = Some(Class::Expired);
    next.next_try = Some(after(now, horizon::DAY));
}

fn succeeded(next: &mut Standing, success: &Success, now: Timestamp, facts: &Facts) {
    next.generation = next.generation.max(success.generation);
    next.last_refresh = Some(now);
    next.usable_until = Some(success.usable_until);
    let scopes_short =
        next.state == State::ReauthRequired && next.class == Some(Class::ScopeMissing);
    // A refusal by an API told no scope: only a new consent can show that it is mended. Where nobody can
    // consent, the next use shows it.
    let told_by_api = scopes_short && next.missing_scopes.is_empty() && facts.consents;
    if let Some(missing) = &success.missing_scopes
        && !told_by_api
    {
        next.missing_scopes.clone_from(missing);
    }
    match next.state {
        State::Paused | State::Revoked => {}
        _ if told_by_api || !next.missing_scopes.is_empty() => {
            enter(next, State::ReauthRequired, now);
            next.class = Some(Class::ScopeMissing);
            next.error = None;
            next.words.clear();
            next.failures = 0;
            next.next_try = None;
        }
        // The first of two looks at a sane clock; the token at hand serves meanwhile.
        State::Skewed if is_skewed(success.skew) || next.failures > 0 => {
            next.failures = u32::from(is_skewed(success.skew));
            next.next_try = Some(after(now, CONFIRM));
        }
        _ => rest(next, now, facts),
    }
}

fn is_skewed(skew: Option<SignedDuration>) -> bool {
    skew.is_some_and(|skew| skew.abs() > SKEW_MAX)
}

fn time_passed(next: &mut Standing, now: Timestamp, facts: &Facts) {
    let warned = facts.horizon.as_ref().is_some_and(|horizon| horizon.warn_at <= now);
    match next.state {
        State::Healthy | State::Expiring if has_ended(now, facts) => expire(next, now),
        State::Healthy if warned => enter(next, State::Expiring, now),
        State::Expiring if !warned => enter(next, State::Healthy, now),
        _ => {}
    }
}

fn failed(next: &mut Standing, evidence: &Evidence, now: Timestamp, facts: &Facts) {
    let class = match evidence.class {
        Class::ReauthRequired if is_skewed(evidence.skew) => Class::ClockSkew,
        class => class,
    };
    let ended = match next.state {
        State::Paused | State::Revoked => true,
        // A dead grant stays what it is called until a person mends it.
        State::ReauthRequired => next.class != Some(Class::ScopeMissing),
        _ => false,
    };
    match class {
        _ if ended => return,
        // The credential is well; one job's resource or quota is not.
        Class::Permission | Class::Quota => return,
        Class::TokenStale if !facts.fresh => {
            next.usable_until = None;
            return;
        }
        _ => {}
    }
    if is_passing(class) && keeps_its_verdict(next, class) {
        next.failures = next.failures.saturating_add(1);
        next.next_try = Some(after(now, wait(class, next.failures, evidence, &jitter(now, facts))));
        return;
    }
    let again = next.class == Some(class);
    // Somebody insisted before the next try was due: that is not one more of the tries that count.
    let early = again && next.next_try.is_some_and(|at| at > now);
    next.failures = match (early, again) {
        (true, _) => next.failures,
        (false, true) => next.failures.saturating_add(1),
        (false, false) => 1,
    };
    next.class = Some(class);
    next.error = evidence.code();
    next.words.clone_from(&evidence.words);
    if early {
        return;
    }
    let wait = wait(class, next.failures, evidence, &jitter(now, facts));
    next.next_try = Some(after(now, wait));
    enter_by(next, class, now, facts);
}

/// The state that a class of trouble leads to.
fn enter_by(next: &mut Standing, class: Class, now: Timestamp, facts: &Facts) {
    match class {
        Class::ReauthRequired | Class::ReauthPolicy | Class::PrincipalGone => {
            refused(next, class, now, facts);
        }
        Class::Revoked => {
            enter(next, State::Revoked, now);
            next.next_try = None;
        }
        Class::ScopeMissing => {
            enter(next, State::ReauthRequired, now);
            next.failures = 0;
            next.next_try = None;
        }
        Class::ClientMisconfigured
        | Class::ScopePolicy
        | Class::Software
        | Class::Expired
        | Class::LocalStore
        | Class::TokenStale => enter(next, State::Misconfigured, now),
        Class::ClockSkew => enter(next, State::Skewed, now),
        Class::UnclassifiedRefusal if next.failures >= UNCLASSIFIED_TRIES => {
            // Nobody knows that it was revoked, so it is not called that: the operator has to look.
            // A token that is still good goes on.
            let usable = next.usable_until.is_some_and(|until| until > now);
            let state = if usable { State::RefreshFailing } else { State::Misconfigured };
            enter(next, state, now);
        }
        Class::Transient
        | Class::AmbiguousCommit
        | Class::RateLimited
        | Class::Unintelligible
        | Class::UnclassifiedRefusal
        | Class::SourceFailing
        | Class::Permission
        | Class::Quota => enter(next, State::RefreshFailing, now),
    }
}

/// Troubles that pass by themselves.
fn is_passing(class: Class) -> bool {
    matches!(
        class,
        Class::Transient
            | Class::AmbiguousCommit
            | Class::RateLimited
            | Class::Unintelligible
            | Class::UnclassifiedRefusal
            | Class::SourceFailing
    )
}

/// Whether the verdict stands although a try to overturn it ran into a passing trouble. That the folder is
/// no longer at fault is shown by any try that got as far as the other side.
fn keeps_its_verdict(standing: &Standing, class: Class) -> bool {
    let verdict = match standing.state {
        State::Misconfigured => standing.class != Some(Class::LocalStore),
        State::Skewed | State::ReauthRequired => true,
        _ => false,
    };
    verdict && standing.class != Some(class)
}

/// The other side says that the grant or the account behind it is dead. Said twice, it is.
fn refused(next: &mut Standing, class: Class, now: Timestamp, facts: &Facts) {
    let confirmed = next.failures > 1;
    if !confirmed && (!facts.rotates || facts.lost_answer) {
        enter(next, State::RefreshFailing, now);
        return;
    }
    if class == Class::PrincipalGone {
        enter(next, State::Misconfigured, now);
        next.next_try = Some(after(now, horizon::DAY));
    } else {
        enter(next, State::ReauthRequired, now);
        next.next_try = None;
    }
    // Its token is of the same grant: servers end both, and a job must not find out by itself.
    next.usable_until = None;
    next.deaths.push(now);
    let surplus = next.deaths.len().saturating_sub(DEATHS_MAX);
    next.deaths.drain(..surplus);
}

/// Whose jitter, and at which moment.
struct Jitter<'a>(&'a CredentialName, Timestamp);

fn jitter(now: Timestamp, facts: &Facts) -> Jitter<'_> {
    Jitter(&facts.name, now)
}

/// How long until the next try.
fn wait(class: Class, failures: u32, evidence: &Evidence, jitter: &Jitter<'_>) -> Duration {
    let seconds = Duration::from_secs;
    let (first, most) = match class {
        // 30 to 60 s, by the jitter below.
        Class::ReauthRequired | Class::ReauthPolicy | Class::PrincipalGone => {
            return CONFIRM + horizon::spread(jitter.0, jitter.1, CONFIRM);
        }
        Class::UnclassifiedRefusal if failures < UNCLASSIFIED_TRIES => {
            (UNCLASSIFIED_GAP, UNCLASSIFIED_GAP)
        }
        Class::UnclassifiedRefusal => (seconds(3600), seconds(3600)),
        Class::Unintelligible => (seconds(10), seconds(300)),
        Class::RateLimited => (seconds(30), seconds(900)),
        Class::SourceFailing => (seconds(15), seconds(900)),
        // Looking at a file or a clock costs nobody anything.
        Class::LocalStore | Class::ClockSkew => (seconds(60), seconds(300)),
        Class::Transient | Class::AmbiguousCommit => (seconds(1), seconds(60)),
        _ => (horizon::DAY, horizon::DAY),
    };
    let doubled = first.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(most);
    // Jitter only shortens, by at most a quarter: the bounds above stay bounds.
    let backoff = doubled.saturating_sub(horizon::spread(jitter.0, jitter.1, doubled / 4));
    evidence.retry_after.map_or(backoff, |asked| backoff.max(asked.min(RETRY_AFTER_MAX)))
}

/// Whether people must be told of it, and not only of what it blocks.
#[must_use]
pub fn must_be_told(standing: &Standing, now: Timestamp) -> bool {
    match standing.state {
        State::ReauthRequired | State::Misconfigured | State::Skewed | State::Expiring => true,
        // Whoever did it knows.
        State::Revoked | State::Paused | State::Unknown | State::Healthy => false,
        State::RefreshFailing => {
            let repeats = match standing.class {
                Some(Class::Unintelligible) => standing.failures >= UNINTELLIGIBLE_TRIES,
                Some(Class::UnclassifiedRefusal) => standing.failures >= UNCLASSIFIED_TRIES,
                _ => false,
            };
            let usable = standing.usable_until.is_some_and(|until| until > now);
            let long = now.duration_since(standing.since) > SignedDuration::from_mins(10);
            repeats || (long && !usable)
        }
    }
}

#[cfg(test)]
mod tests;
