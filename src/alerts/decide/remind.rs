//! Reminders: that something still goes on.
//!
//! Owns when the next one is due: after growing times, each counted from the last telling, never for what
//! somebody knows of or asked to be quiet about. Refuses to send one.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::{Decision, View, hush, is_news, waits};
use crate::alerts::settings::LAST_RESORT;
use crate::model::{Event, Incident, Notification, OutboxChange, Told};

/// Most windows that one reminder is put off by: with windows without a gap, nobody is reminded.
const PUT_OFF: usize = 100;

/// Writes the reminders that are due.
pub(super) fn write(view: &View<'_>, busy: &BTreeSet<Arc<str>>, decision: &mut Decision) {
    for (notifier, rows) in &view.by_notifier {
        let told = ***notifier != *LAST_RESORT && view.knows(notifier) && !busy.contains(*notifier);
        if !told {
            continue;
        }
        for thread in view.threads(rows) {
            let Some(incident) = thread.incident else { continue };
            let Some(due) = due(view, incident, &thread.rows) else { continue };
            if due > view.now {
                decision.wake(Some(due));
            } else {
                decision.alter([OutboxChange::Write {
                    incident: Some(incident.id),
                    notifier: Arc::clone(notifier),
                    event: Event::Reminder,
                    origin: None,
                }]);
            }
        }
    }
}

/// When the notifier is reminded of an incident next, if ever.
fn due(view: &View<'_>, incident: &Incident, rows: &[&Notification]) -> Option<Timestamp> {
    let quiet = incident.resolved_at.is_some()
        || incident.acknowledged.is_some()
        || incident.flapping
        || rows.iter().any(|row| waits(row) || row.state == Told::Carried);
    if quiet {
        return None;
    }
    let told: Vec<_> = rows.iter().filter(|row| row.state == Told::Delivered).collect();
    let last = told.last().filter(|row| row.event != Event::Resolved)?;
    let since = told.iter().rev().take_while(|row| !is_news(row.event)).count();
    let after = incident.remind.as_ref().unwrap_or(&view.alerts.remind);
    let wait = *after.get(since).or(after.last())?;
    let mut due = last.ended_at? + wait;
    // A window that ends is no reason to tell what was known before it began.
    for _ in 0..PUT_OFF {
        match hush::at(view, incident, due).and_then(|held| held.until) {
            Some(until) => due = until + wait,
            None => return Some(due),
        }
    }
    None
}
