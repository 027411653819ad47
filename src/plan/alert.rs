//! When looks at one thing are an incident, and when it is over.
//!
//! Owns the arithmetic of alert rules: windows, streaks, shares, recovery, flapping. It is a function of what
//! is stored: the looks, the rule, and whether an incident is open. A restart between two looks can therefore
//! change nothing. Refuses to know who is told, and how.
//!
//! A look counts as ok, as a warning or as a failure; each look is judged on two levels, and a failure is a
//! warning as well:
//!
//! ```text
//!  closed ──the newest look is bad, and the rule is met──▶ open ──`recover` good looks──▶ closed
//!                                                           │ ▲
//!                                        > 6 changes in 20 ─┘ └─ calm: at most 3
//!                                          (flapping: stays open, whatever recovers)
//! ```

use std::time::Duration;

use jiff::Timestamp;

use crate::model::{
    AlertRule, AlertWhen, FailureClass, Observation, OnUnknown, Outcome, Severity, Verdict,
};

/// Looks that flapping is judged by.
const FLAP_LOOKS: usize = 20;
/// More changes than this among them are flapping.
const FLAP_OVER: usize = 6;
/// It is calm again at so many.
const FLAP_CALM: usize = 3;
/// Looks in a row that could not tell after which somebody is told.
const BLIND: usize = 3;
/// Fewest looks that are read, whatever the rule asks for; so many are kept, however old.
pub const READ_LEAST: u32 = 64;
/// Most looks that are read for one judgement.
const READ_MOST: u32 = 5000;

/// One look, as rules count it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// When.
    pub at: Timestamp,
    /// What it came to.
    pub verdict: Verdict,
    /// Whether a guard holds it until a person has looked: no further look can mend it.
    pub held: bool,
}

impl Look {
    /// What the end of a run counts as. A reached budget and a cancelled run say nothing of the job's
    /// health, and are no look. Retries within a run are not seen here: one run counts once.
    #[must_use]
    pub fn of_end(at: Timestamp, outcome: &Outcome) -> Option<Self> {
        let verdict = match outcome.class() {
            None => Verdict::Ok,
            Some(FailureClass::Exhausted | FailureClass::Cancelled) => return None,
            Some(
                FailureClass::Transient
                | FailureClass::Throttled
                | FailureClass::Unauthorized
                | FailureClass::Permanent
                | FailureClass::TimedOut
                | FailureClass::Lost,
            ) => Verdict::Fail,
        };
        Some(Self { at, verdict, held: outcome.held().is_some() })
    }

    /// What an observation counts as.
    #[must_use]
    pub fn of(observation: &Observation) -> Self {
        Self { at: observation.at, verdict: observation.verdict, held: false }
    }
}

/// The incident as it stands before a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Before {
    /// How bad it is.
    pub severity: Severity,
    /// Whether it flaps.
    pub flapping: bool,
}

/// What the newest look means for the incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// It is open from now on, or goes on, and this look is what is told of it.
    Open {
        /// How bad it is.
        severity: Severity,
        /// Bad looks that the rule has counted.
        failures: u32,
        /// Whether it comes and goes.
        flapping: bool,
    },
    /// It stays open with what was told of it, but begins or ends to flap.
    Flap(bool),
    /// It is over.
    Resolve,
    /// Nothing changes.
    Quiet,
}

/// What has to be read for a judgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    /// So many of the newest looks.
    pub newest: u32,
    /// Besides, so many of those that are not ok, within this time.
    pub bad: Option<(u32, Duration)>,
}

/// What a rule has to see.
#[must_use]
pub fn needs(rule: &AlertRule) -> Needs {
    let several = |count: u32| count.saturating_mul(4).clamp(READ_LEAST, READ_MOST);
    match rule.when {
        AlertWhen::InARow { failures } => Needs { newest: several(failures), bad: None },
        AlertWhen::Of { of, .. } => Needs { newest: several(of), bad: None },
        AlertWhen::Within { failures, within } => {
            Needs { newest: READ_LEAST, bad: Some((several(failures), within)) }
        }
        AlertWhen::Ratio { .. } | AlertWhen::For(_) => Needs { newest: READ_MOST, bad: None },
    }
}

/// The longest time that a rule looks back, where it looks back a time.
#[must_use]
pub fn window(rule: &AlertRule) -> Option<Duration> {
    match rule.when {
        AlertWhen::InARow { .. } | AlertWhen::Of { .. } => None,
        AlertWhen::Within { within, .. } | AlertWhen::Ratio { within, .. } => Some(within),
        AlertWhen::For(time) => Some(time),
    }
}

/// Judges looks, newest first; the newest is what just happened. `recover` is what holds where the rule does
/// not say. Looks that lie after the newest one come from a clock that was ahead, and are not counted.
#[must_use]
pub fn judge(rule: &AlertRule, recover: u32, looks: &[Look], before: Option<Before>) -> Judgement {
    let Some(newest) = looks.first() else { return Judgement::Quiet };
    let known = looks.iter().filter(|look| look.at <= newest.at);
    if newest.verdict == Verdict::Unknown && rule.on_unknown == OnUnknown::Keep {
        return blind(known, before);
    }
    let counted: Vec<(Timestamp, Level)> =
        known.filter_map(|look| Some((look.at, level(look.verdict, rule.on_unknown)?))).collect();
    let recover = rule.recover.unwrap_or(recover) as usize;
    let now = counted[0].1;
    let on = |wanted: Level, is_open: bool| {
        let met = now >= wanted && (newest.held || is_met(rule.when, &counted, wanted));
        met || (is_open && !has_recovered(&counted, wanted, recover))
    };
    let failing = on(Level::Fail, before.is_some_and(|it| it.severity == Severity::Error));
    let open = failing || on(Level::Warn, before.is_some());
    if before.is_none() && !open {
        return Judgement::Quiet;
    }
    let flapping = flaps(&counted, before.is_some_and(|it| it.flapping));
    if now > Level::Ok && open {
        let severity = if failing { rule.severity } else { Severity::Warning };
        let failures = count(rule.when, &counted, now.min(Level::of(failing)));
        return Judgement::Open { severity, failures, flapping };
    }
    match before {
        Some(before) if flapping != before.flapping && (open || flapping) => {
            Judgement::Flap(flapping)
        }
        Some(_) if !open && !flapping => Judgement::Resolve,
        Some(_) | None => Judgement::Quiet,
    }
}

/// What a counted look came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Ok,
    Warn,
    Fail,
}

impl Level {
    fn of(failing: bool) -> Self {
        if failing { Self::Fail } else { Self::Warn }
    }
}

/// What a look counts as; `None` where it counts neither way.
fn level(verdict: Verdict, on_unknown: OnUnknown) -> Option<Level> {
    match (verdict, on_unknown) {
        (Verdict::Ok, _) => Some(Level::Ok),
        (Verdict::Warn, _) | (Verdict::Unknown, OnUnknown::Warn) => Some(Level::Warn),
        (Verdict::Fail, _) | (Verdict::Unknown, OnUnknown::Fail) => Some(Level::Fail),
        (Verdict::Unknown, OnUnknown::Keep) => None,
    }
}

/// Nobody could tell: that is no failure and no success, but it is not to go on in silence.
fn blind<'a>(looks: impl Iterator<Item = &'a Look>, before: Option<Before>) -> Judgement {
    let row = looks.take_while(|look| look.verdict == Verdict::Unknown).count();
    if before.is_some() || row < BLIND {
        return Judgement::Quiet;
    }
    let failures = u32::try_from(row).unwrap_or(u32::MAX);
    Judgement::Open { severity: Severity::Warning, failures, flapping: false }
}

/// Whether the rule is met by looks of a level or worse, the newest of which is one.
fn is_met(when: AlertWhen, counted: &[(Timestamp, Level)], wanted: Level) -> bool {
    let found = count(when, counted, wanted);
    match when {
        AlertWhen::InARow { failures }
        | AlertWhen::Within { failures, .. }
        | AlertWhen::Of { failures, .. } => found >= failures,
        AlertWhen::Ratio { ratio, within, samples } => {
            let all = u32::try_from(in_window(counted, within).count()).unwrap_or(u32::MAX);
            all >= samples && f64::from(found) >= ratio * f64::from(all)
        }
        AlertWhen::For(time) => {
            let row = counted.iter().take_while(|(_, level)| *level >= wanted);
            let since = row.last().map_or(counted[0].0, |(at, _)| *at);
            counted[0].0.duration_since(since).unsigned_abs() >= time
        }
    }
}

/// The looks of a level or worse that a rule counts.
fn count(when: AlertWhen, counted: &[(Timestamp, Level)], wanted: Level) -> u32 {
    let bad = |(_, level): &&(Timestamp, Level)| *level >= wanted;
    let found = match when {
        AlertWhen::InARow { .. } | AlertWhen::For(_) => counted.iter().take_while(bad).count(),
        AlertWhen::Of { of, .. } => counted.iter().take(of as usize).filter(bad).count(),
        AlertWhen::Within { within, .. } | AlertWhen::Ratio { within, .. } => {
            in_window(counted, within).filter(bad).count()
        }
    };
    u32::try_from(found).unwrap_or(u32::MAX)
}

/// The looks of `(newest - within, newest]`.
fn in_window(
    counted: &[(Timestamp, Level)],
    within: Duration,
) -> impl Iterator<Item = &(Timestamp, Level)> {
    let newest = counted[0].0;
    counted.iter().filter(move |(at, _)| newest.duration_since(*at).unsigned_abs() < within)
}

/// Whether the newest looks are so good for so long.
fn has_recovered(counted: &[(Timestamp, Level)], wanted: Level, recover: usize) -> bool {
    counted.iter().take_while(|(_, level)| *level < wanted).take(recover).count() >= recover
}

/// Whether looks change too often. It takes more to begin than to go on.
fn flaps(counted: &[(Timestamp, Level)], before: bool) -> bool {
    let last = &counted[..counted.len().min(FLAP_LOOKS)];
    let changes = last.windows(2).filter(|pair| pair[0].1 != pair[1].1).count();
    changes > if before { FLAP_CALM } else { FLAP_OVER }
}

#[cfg(test)]
mod tests;
