//! One notifier: which of its rows goes out next, and what the others wait for.
//!
//! Owns the group wait, retries, the limit on messages and digests. Refuses to know whether a row is worth
//! telling (`thread`).

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::thread::Candidate;
use super::{Decision, TRIED_FOR, View, hush, waits};
use crate::alerts::settings::{LAST_RESORT, Rate};
use crate::model::{
    Blame, Event, Held, Hold, Incident, Notification, OutboxChange, Severity, Subject, SubjectKind,
};
use crate::store::Change;

/// More rows than these at one time are told in one message.
const SINGLY: usize = 3;

/// Decides for one notifier.
pub(super) fn settle<'a>(
    view: &View<'a>,
    notifier: &Arc<str>,
    candidates: Vec<Candidate<'a>>,
    decision: &mut Decision,
) {
    if !view.knows(notifier) {
        return unknown(view, &candidates, decision);
    }
    let holds: Vec<_> = candidates.iter().map(|one| hold(view, notifier, one)).collect();
    let is_group = |held: &Option<Held>| held.as_ref().is_some_and(|held| held.by == Hold::Group);
    // The first one whose wait is over takes the others of its group along.
    let complete = candidates.iter().zip(&holds).any(|(one, held)| {
        held.is_none()
            && one.row.event == Event::Opened
            && one.row.tries == 0
            && !is_urgent(view, one)
    });
    let mut ready = Vec::new();
    for (one, held) in candidates.into_iter().zip(holds) {
        match held {
            Some(held) if !(complete && is_group(&Some(held.clone()))) => {
                keep(view, one.row, held, decision);
            }
            _ => ready.push(one),
        }
    }
    ready.sort_by_key(|one| one.row.id);
    send(view, notifier, &ready, decision);
}

/// Chooses among the rows that may go out.
fn send(view: &View<'_>, notifier: &Arc<str>, ready: &[Candidate<'_>], decision: &mut Decision) {
    let Some(first) = ready.first() else { return };
    let settings = view.alerts.notifiers.get(notifier);
    let free = match settings {
        Some(settings) => free(view, notifier, settings.rate),
        None => Ok(usize::MAX),
    };
    let free = match free {
        Ok(free) => free,
        Err(until) => {
            let why = "as many messages as its limit allows were sent lately";
            let held = Held { by: Hold::Rate, why: why.to_owned(), until: Some(until) };
            for one in ready {
                keep(view, one.row, held.clone(), decision);
            }
            return;
        }
    };
    // What was tried already shows whether the way is free, and may have arrived: it goes alone.
    if let Some(tried) = ready.iter().find(|one| one.row.tries > 0) {
        decision.send.push(tried.row.id);
        return;
    }
    let joined: Vec<_> = ready.iter().filter(|one| one.incident.is_some()).collect();
    let takes_digests = settings.is_some_and(|settings| settings.way.takes_digests());
    if takes_digests && joined.len() > SINGLY.min(free) {
        let rows = joined.iter().map(|one| one.row.id).collect();
        decision.alter([OutboxChange::Digest { notifier: Arc::clone(notifier), rows }]);
    } else {
        decision.send.push(first.row.id);
    }
}

/// How many messages may go out now, or when the next one may.
fn free(view: &View<'_>, notifier: &Arc<str>, rate: Rate) -> Result<usize, Timestamp> {
    let mut least = usize::MAX;
    for (most, window) in
        [(rate.minute, Duration::from_mins(1)), (rate.hour, Duration::from_hours(1))]
    {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        // What was sent later than now was so by a clock that was ahead.
        let lately = |at: Timestamp| at <= view.now && at + window > view.now;
        let sent = view.outbox.sent.iter().filter(|(to, at)| to == notifier && lately(*at));
        let sent: Vec<Timestamp> = sent.map(|(_, at)| *at).collect();
        if sent.len() >= most {
            // The one whose leaving makes room; a limit of none makes none before all have left.
            let leaves = sent[(sent.len() - most).min(sent.len() - 1)];
            return Err(leaves + window);
        }
        least = least.min(most - sent.len());
    }
    Ok(least)
}

/// Why a row does not go out now, whatever else waits.
fn hold(view: &View<'_>, notifier: &Arc<str>, one: &Candidate<'_>) -> Option<Held> {
    let quiet = one.incident.filter(|_| one.begins).and_then(|incident| {
        let flaps = incident.flapping && one.row.event != Event::Flapping;
        let flapping = flaps.then(|| Held {
            by: Hold::Flapping,
            why: "it comes and goes: told when it is calm".to_owned(),
            until: None,
        });
        flapping.or_else(|| hush::at(view, incident, view.now))
    });
    quiet
        .or_else(|| retry(view, one.row))
        .or_else(|| group(view, one))
        .or_else(|| down(view, notifier, one))
}

/// A row that was tried waits for its next try, as long as one can be away: a clock that was ahead wrote more.
fn retry(view: &View<'_>, row: &Notification) -> Option<Held> {
    let is_ahead = row.next_at > view.now + TRIED_FOR;
    (row.next_at > view.now && row.tries > 0 && !is_ahead).then(|| Held {
        by: Hold::Retry,
        why: format!("try {} failed: {}", row.tries, row.error),
        until: Some(row.next_at),
    })
}

/// Where one row finds nobody, the others need not knock as well.
fn down(view: &View<'_>, notifier: &Arc<str>, one: &Candidate<'_>) -> Option<Held> {
    let rows = view.by_notifier.get(notifier)?.iter();
    let knocks = rows.filter(|row| {
        waits(row)
            && row.blame == Some(Blame::Line)
            && row.id != one.row.id
            && row.next_at > view.now
    });
    let next = knocks.max_by_key(|row| row.next_at)?;
    Some(Held {
        by: Hold::Down,
        why: format!("it can't be told anything: {}", next.error),
        until: Some(next.next_at),
    })
}

/// A beginning waits for its cause, and for others of the same moment.
fn group(view: &View<'_>, one: &Candidate<'_>) -> Option<Held> {
    let waits = matches!(one.row.event, Event::Opened | Event::Resolved) && one.begins;
    if !waits || one.row.origin.is_some() || one.row.tries > 0 || is_urgent(view, one) {
        return None;
    }
    let until = one.first.created_at + view.alerts.group_wait;
    let is_ahead = one.first.created_at > view.now;
    (until > view.now && !is_ahead).then(|| Held {
        by: Hold::Group,
        why: "for its cause, and for others of the same moment".to_owned(),
        until: Some(until),
    })
}

/// Whether a beginning waits for nothing: it is an error whose root is the cause itself, and the first after a
/// quiet time.
fn is_urgent(view: &View<'_>, one: &Candidate<'_>) -> bool {
    let is_cause = |incident: &Incident| {
        let kind = Subject::parse(&incident.root).map(|root| root.kind());
        incident.severity == Severity::Error
            && matches!(
                kind,
                Some(
                    SubjectKind::Credential
                        | SubjectKind::Client
                        | SubjectKind::Site
                        | SubjectKind::Host
                        | SubjectKind::Network
                        | SubjectKind::Dns
                        | SubjectKind::Daemon
                        | SubjectKind::Notifier
                )
            )
    };
    let quiet = || {
        let from = one.first.created_at - view.alerts.group_wait;
        let rows = view.outbox.rows.iter().filter(|row| row.notifier == one.row.notifier);
        let mut before = rows.filter(|row| {
            row.event == Event::Opened && row.id < one.first.id && row.created_at > from
        });
        before.all(|row| row.incident == one.row.incident)
    };
    one.incident.is_some_and(is_cause) && quiet()
}

/// Notes why a row waits, where that is news.
fn keep(view: &View<'_>, row: &Notification, held: Held, decision: &mut Decision) {
    decision.wake(held.until.filter(|until| *until > view.now));
    if row.held.as_ref() == Some(&held) {
        return;
    }
    // Who begins to wait for a notifier that finds nobody may have to be told by another one.
    let begins = |row: &Notification| row.held.as_ref().is_none_or(|it| it.by != Hold::Down);
    decision.unsettled |= held.by == Hold::Down && begins(row);
    decision.changes.push(Change::Outbox(OutboxChange::Hold { row: row.id, held: Some(held) }));
}

/// Rows for a notifier that `jada.yaml` no longer has: it may come back within a day.
fn unknown(view: &View<'_>, candidates: &[Candidate<'_>], decision: &mut Decision) {
    for one in candidates {
        let why = format!("jada.yaml has no notifier `{}`", one.row.notifier);
        let until = one.row.created_at + TRIED_FOR;
        debug_assert_ne!(&*one.row.notifier, LAST_RESORT);
        if until <= view.now {
            decision.alter([OutboxChange::Drop { row: one.row.id, why }]);
        } else {
            keep(view, one.row, Held { by: Hold::Unknown, why, until: Some(until) }, decision);
        }
    }
}
