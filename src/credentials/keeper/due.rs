//! What is to be done for a credential that nobody asks for, and when.
//!
//! Owns the order of retries, renewals, keep-alives and looks at the horizon, each from stored facts: a
//! daemon that slept or was down finds them overdue. Pure.

use std::time::Duration;

use jiff::Timestamp;

use crate::credentials::horizon::{self, after};
use crate::credentials::lifecycle::{self, Leave};
use crate::credentials::nature::Nature;
use crate::credentials::record::Record;
use crate::credentials::refresh::Why;
use crate::model::{CredentialClass as Class, CredentialState as State, Standing};

/// A token that runs work with is renewed so long before its end, or a fifth of its life before.
const AHEAD: Duration = Duration::from_secs(5 * 60);

/// Least time between a refresh and the renewal of what it brought.
const LEAST: Duration = Duration::from_secs(30);

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Duty {
    /// A token is to be got.
    Refresh(Why),
    /// The time is to be held against the horizon.
    Look,
}

/// The next duty. `leased` says that runs under way want to be told of new tokens.
pub(super) fn due(
    record: Option<&Record>,
    standing: &Standing,
    nature: &Nature,
    leased: bool,
    now: Timestamp,
) -> Option<(Timestamp, Duty)> {
    let newer = Duty::Refresh(Why::Newer { than: standing.generation });
    match lifecycle::leave(standing, false, now) {
        Leave::Never => return None,
        Leave::At(at) => return Some((at, again(standing, now))),
        Leave::Now => {}
    }
    let works = match standing.state {
        State::Healthy | State::Expiring => true,
        State::ReauthRequired => standing.class == Some(Class::ScopeMissing),
        _ => false,
    };
    let Some(record) = record.filter(|_| works) else { return Some((now, again(standing, now))) };
    let lost = standing.usable_until.is_none() && leased;
    let renewal = if lost { Some(now) } else { renewal(standing).filter(|_| leased) };
    let refreshes = [renewal, horizon::keep_alive_at(record)];
    let refreshes = refreshes.into_iter().flatten().map(|at| (at.max(now), newer));
    let looks = looks(record, standing, nature, now).into_iter().map(|at| (at, Duty::Look));
    refreshes.chain(looks).min_by_key(|(at, _)| *at)
}

/// A try after a failure, or the first one.
fn again(standing: &Standing, now: Timestamp) -> Duty {
    // What is known in memory alone, that the folder was out of reach, says nothing of the token in it.
    let folder = standing.class == Some(Class::LocalStore);
    Duty::Refresh(if folder || standing.state == State::Unknown && standing.generation == 0 {
        Why::Stale { min_ttl: Duration::ZERO, asked_at: now }
    } else {
        Why::Newer { than: standing.generation }
    })
}

/// When the token at hand is renewed for those who work with it.
fn renewal(standing: &Standing) -> Option<Timestamp> {
    let (until, since) = (standing.usable_until?, standing.last_refresh?);
    if until == Timestamp::MAX {
        return None;
    }
    let life = until.duration_since(since).unsigned_abs();
    let ahead = AHEAD.min(life / 5);
    let at = until.saturating_sub(ahead).unwrap_or(Timestamp::MIN);
    Some(at.max(after(since, LEAST)))
}

/// When the horizon says something new.
fn looks(
    record: &Record,
    standing: &Standing,
    nature: &Nature,
    now: Timestamp,
) -> Option<Timestamp> {
    let horizon = horizon::of(record, &nature.terms)?;
    match standing.state {
        State::Healthy => Some(horizon.warn_at.max(now)),
        // Only where nobody can be asked whether the end came.
        State::Expiring if !nature.refreshes => Some(horizon.end.at.max(now)),
        _ => None,
    }
}
