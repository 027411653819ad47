//! Notifiers that fail: who is told instead, and that they do.
//!
//! Owns the fallback chain, the last resort, and the incident of a notifier. Refuses to know why one fails
//! beyond its last error.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Decision, LOST_AFTER, View, is_news, waits};
use crate::alerts::settings::LAST_RESORT;
use crate::model::{
    Blame, Event, Incident, IncidentChange, Notification, Opening, OutboxChange, Subject, Told,
};
use crate::store::Change;

/// Takes care of what can't be told.
pub(super) fn take(view: &View<'_>, busy: &BTreeSet<Arc<str>>, decision: &mut Decision) {
    for row in view.outbox.rows.iter().filter(|row| waits(row)) {
        if view.fails(row) {
            decision.alter(fall_back(view, row));
        }
        if let (Some(Blame::Line), Some(since)) = (row.blame, row.tried_since) {
            decision.wake(Some(since + LOST_AFTER).filter(|at| *at > view.now));
        }
    }
    decision.alter(unheard(view));
    decision.alter(unaddressed(view));
    open(view, decision);
    close(view, busy, decision);
}

/// Hands a row that fails to the next notifier that helps.
fn fall_back(view: &View<'_>, row: &Notification) -> Option<OutboxChange> {
    if !is_news(row.event) || &*row.notifier == LAST_RESORT {
        return None;
    }
    let origin = row.origin.unwrap_or(row.id);
    let first = view.rows.get(&origin).copied().unwrap_or(row);
    // In place of one that is gone or has another name by now, those hear who hear of what names nobody.
    let settings = view.alerts.notifiers.get(&first.notifier);
    let chain = settings.map_or(&view.alerts.notify, |one| &one.fallback);
    let helpers = view.outbox.rows.iter().filter(|other| other.origin == Some(origin));
    let helpers: Vec<&Notification> = helpers.collect();
    if helpers.iter().any(|other| !view.fails(other)) {
        return None;
    }
    let next = chain.iter().find(|name| {
        **name != first.notifier
            && view.knows(name)
            && helpers.iter().all(|other| other.notifier != **name)
    })?;
    // Where it has its own row of the same news, nobody has to hand it over.
    let has_it = view.outbox.rows.iter().any(|other| {
        other.incident == row.incident
            && other.notifier == *next
            && other.event == row.event
            && other.id > origin
    });
    (!has_it).then(|| OutboxChange::Write {
        incident: row.incident,
        notifier: Arc::clone(next),
        event: row.event,
        origin: Some(origin),
    })
}

/// Incidents of which nobody could be told although all was tried: the last resort is told.
fn unheard(view: &View<'_>) -> Vec<OutboxChange> {
    let mut found = Vec::new();
    for incident in &view.outbox.incidents {
        let rows = view.outbox.rows.iter().filter(|row| row.incident == Some(incident.id));
        let rows: Vec<&Notification> = rows.filter(|row| is_news(row.event)).collect();
        let end = rows.iter().rposition(|row| row.event == Event::Resolved && !waits(row));
        let begun = rows[end.map_or(0, |at| at + 1)..].iter();
        let begun: Vec<_> = begun
            .filter(|row| row.state != Told::Dropped && row.event != Event::Resolved)
            .collect();
        let helped = begun.iter().any(|row| &*row.notifier == LAST_RESORT);
        // Somebody in the chain may still help.
        let helps = || begun.iter().any(|row| fall_back(view, row).is_some());
        let lost = begun.iter().all(|row| view.is_lost(row));
        if let (Some(first), true, false) = (begun.first(), lost, helped)
            && !helps()
        {
            found.push(OutboxChange::Write {
                incident: first.incident,
                notifier: LAST_RESORT.into(),
                event: Event::Opened,
                origin: Some(first.origin.unwrap_or(first.id)),
            });
        }
    }
    found
}

/// Incidents that go on and that nobody was named for: whoever hears of such things is told.
fn unaddressed(view: &View<'_>) -> Vec<OutboxChange> {
    let nobody = |incident: &&Incident| {
        let rows = view.outbox.rows.iter().rev().filter(|row| row.incident == Some(incident.id));
        let mut since = rows.take_while(|row| row.event != Event::Resolved);
        incident.resolved_at.is_none()
            && incident.acknowledged.is_none()
            && !since.any(|row| is_news(row.event))
    };
    let written = view.outbox.incidents.iter().filter(nobody).flat_map(|incident| {
        view.alerts.notify.iter().map(|notifier| OutboxChange::Write {
            incident: Some(incident.id),
            notifier: Arc::clone(notifier),
            event: Event::Opened,
            origin: None,
        })
    });
    written.collect()
}

/// Opens the incident of a notifier that fails.
fn open(view: &View<'_>, decision: &mut Decision) {
    for (notifier, rows) in &view.by_notifier {
        let name: &str = notifier;
        let failing =
            rows.iter().filter(|row| waits(row) && row.blame.is_some() && view.is_lost(row));
        let Some(row) = failing.max_by_key(|row| row.tries) else { continue };
        let key = Subject::notifier(name).to_string();
        if name == LAST_RESORT || is_open(view, &key) {
            continue;
        }
        let mut opening = Opening::new(key.clone(), key, class(row.blame));
        opening.title = format!("notifier {name}: {}", row.error);
        opening.detail = format!("try {} failed; what it was to tell waits", row.tries);
        opening.mend = format!("jadactl notify test {name}");
        opening.notify = helpers(view, name);
        decision.changes.push(Change::Incident(IncidentChange::Open(opening)));
        decision.unsettled = true;
    }
}

fn class(blame: Option<Blame>) -> &'static str {
    match blame {
        Some(Blame::Settings) => "configuration",
        Some(Blame::Line) | None => "unreachable",
    }
}

/// Who is told that a notifier fails: its fallback, or all others.
fn helpers(view: &View<'_>, name: &str) -> Vec<Arc<str>> {
    let fallback = view.alerts.notifiers.get(name).map_or(&[][..], |one| &one.fallback);
    let named = fallback.iter().filter(|other| ***other != *name && view.knows(other));
    let named: Vec<Arc<str>> = named.cloned().collect();
    if !named.is_empty() {
        return named;
    }
    let others = view.alerts.notifiers.keys().filter(|other| ***other != *name);
    let others: Vec<Arc<str>> = others.cloned().collect();
    if others.is_empty() { vec![LAST_RESORT.into()] } else { others }
}

/// Closes the incident of a notifier that was told something since, or that is gone.
fn close(view: &View<'_>, busy: &BTreeSet<Arc<str>>, decision: &mut Decision) {
    for incident in &view.outbox.incidents {
        let Some(name) = incident.key.strip_prefix("notifier/") else { continue };
        if incident.resolved_at.is_some() || busy.contains(name) {
            continue;
        }
        let sent = view.outbox.sent.iter().filter(|(to, _)| **to == *name).map(|(_, at)| *at);
        let rows = view.outbox.rows.iter().filter(|row| *row.notifier == *name);
        let told = rows.clone().filter(|row| row.state == Told::Delivered);
        let told = told.filter_map(|row| row.ended_at).chain(sent).max();
        let works = told.is_some_and(|at| at > incident.last_seen)
            && !rows.clone().any(|row| waits(row) && view.fails(row));
        let note = if !view.knows(name) {
            "jada.yaml no longer has it"
        } else if works {
            "it takes messages again"
        } else {
            continue;
        };
        decision.changes.push(Change::Incident(IncidentChange::Resolve {
            key: incident.key.clone(),
            note: note.to_owned(),
            notify: Vec::new(),
        }));
        decision.unsettled = true;
    }
}

fn is_open(view: &View<'_>, key: &str) -> bool {
    view.outbox.incidents.iter().any(|one| one.key == key && one.resolved_at.is_none())
}
