//! Who is told what now, what waits and why, and what nobody has to be told.
//!
//! Owns the decision, as a pure function of stored rows, settings and the time: a restart at any point changes
//! none of it. Refuses to read a clock, to write a row and to send anything (`deliver`).
//!
//! ```text
//!  rows ─▶ thread (one incident, one notifier): the newest news tells, what it overtook is carried
//!             │ at most one candidate each
//!             ▼
//!          hush (silence, maintenance) ─▶ queue (one notifier): grouped, retried, limited, digested
//!             │
//!             ▼                            beside it: remind (what goes on), care (who fails)
//!          send, hold, carry, drop
//! ```

mod care;
mod hush;
mod queue;
mod remind;
#[cfg(test)]
mod tests;
mod thread;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::settings::{Alerts, LAST_RESORT};
use crate::model::{
    Blame, Event, Hold, Incident, IncidentId, Notification, NotificationId, Outbox, OutboxChange,
    Told,
};
use crate::store::Change;

/// A row is tried for so long.
pub const TRIED_FOR: Duration = Duration::from_hours(24);

/// Tries after which others help a notifier that does not answer.
const FAILS_AFTER: u32 = 3;

/// A notifier that does not answer for so long is an incident of its own, and what nobody else could be told
/// either goes to the last resort.
const LOST_AFTER: Duration = Duration::from_mins(5);

/// What is to be done.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decision {
    /// What is to be written.
    pub changes: Vec<Change>,
    /// Whether the changes alter what there is to decide: write them, and decide again.
    pub unsettled: bool,
    /// What is to be sent now, one row of each notifier.
    pub send: Vec<NotificationId>,
    /// When to decide again if nothing happens.
    pub wake_at: Option<Timestamp>,
    /// When the oldest row was written that waits for nothing but its delivery.
    pub overdue: Option<Timestamp>,
}

/// Decides. `busy` names the notifiers that are being told something right now.
#[must_use]
pub fn decide(
    outbox: &Outbox,
    alerts: &Alerts,
    busy: &BTreeSet<Arc<str>>,
    now: Timestamp,
) -> Decision {
    let view = View::new(outbox, alerts, now);
    let mut decision = Decision { overdue: view.overdue(), ..Decision::default() };
    for (notifier, rows) in &view.by_notifier {
        if busy.contains(*notifier) {
            continue;
        }
        let mut candidates = Vec::new();
        for thread in view.threads(rows) {
            let (changes, candidate) = thread::reduce(&view, &thread);
            decision.alter(changes);
            candidates.extend(candidate);
        }
        queue::settle(&view, notifier, candidates, &mut decision);
    }
    remind::write(&view, busy, &mut decision);
    care::take(&view, busy, &mut decision);
    if decision.unsettled {
        decision.send.clear();
    }
    decision
}

impl Decision {
    /// Changes after which it is decided anew.
    fn alter(&mut self, changes: impl IntoIterator<Item = OutboxChange>) {
        let before = self.changes.len();
        self.changes.extend(changes.into_iter().map(Change::Outbox));
        self.unsettled |= self.changes.len() > before;
    }

    fn wake(&mut self, at: Option<Timestamp>) {
        self.wake_at = [self.wake_at, at].into_iter().flatten().min();
    }
}

/// All that is looked at, sorted.
struct View<'a> {
    now: Timestamp,
    alerts: &'a Alerts,
    outbox: &'a Outbox,
    incidents: BTreeMap<IncidentId, &'a Incident>,
    rows: BTreeMap<NotificationId, &'a Notification>,
    by_notifier: BTreeMap<&'a Arc<str>, Vec<&'a Notification>>,
}

/// The rows of one incident and one notifier, in order; of a test or a digest, its row alone.
struct Thread<'a> {
    incident: Option<&'a Incident>,
    rows: Vec<&'a Notification>,
}

impl<'a> View<'a> {
    fn new(outbox: &'a Outbox, alerts: &'a Alerts, now: Timestamp) -> Self {
        let mut by_notifier: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for row in &outbox.rows {
            by_notifier.entry(&row.notifier).or_default().push(row);
        }
        let incidents = outbox.incidents.iter().map(|one| (one.id, one)).collect();
        let rows = outbox.rows.iter().map(|row| (row.id, row)).collect();
        Self { now, alerts, outbox, incidents, rows, by_notifier }
    }

    fn threads(&self, rows: &[&'a Notification]) -> Vec<Thread<'a>> {
        let mut threads = Vec::new();
        let mut of_incident: BTreeMap<IncidentId, Vec<&Notification>> = BTreeMap::new();
        for row in rows {
            match row.incident {
                Some(incident) => of_incident.entry(incident).or_default().push(row),
                None if waits(row) => threads.push(Thread { incident: None, rows: vec![row] }),
                None => {}
            }
        }
        threads.extend(of_incident.into_iter().map(|(incident, rows)| Thread {
            incident: self.incidents.get(&incident).copied(),
            rows,
        }));
        threads
    }

    fn knows(&self, notifier: &str) -> bool {
        notifier == LAST_RESORT || self.alerts.notifiers.contains_key(notifier)
    }

    /// The row that tells a row in the end: itself, or what carries it.
    fn teller<'r>(&'r self, row: &'r Notification) -> &'r Notification {
        let mut teller = row;
        // A carrier is always newer, so that this ends.
        while let Some(next) = teller.carrier.filter(|next| *next > teller.id) {
            match self.rows.get(&next) {
                Some(carrier) if teller.state == Told::Carried => teller = carrier,
                _ => break,
            }
        }
        teller
    }

    /// The row whose tries show whether a row can be told: what tells it, or, while that waits for a notifier
    /// that finds nobody, the one that knocks there.
    fn tried<'r>(&'r self, row: &'r Notification) -> &'r Notification {
        let teller = self.teller(row);
        let queues = waits(teller) && teller.held.as_ref().is_some_and(|it| it.by == Hold::Down);
        let others = self.by_notifier.get(&teller.notifier).filter(|_| queues);
        let knocks = others.into_iter().flatten().copied();
        let knocks = knocks.filter(|row| waits(row) && row.blame == Some(Blame::Line));
        knocks.max_by_key(|row| row.tries).unwrap_or(teller)
    }

    /// Whether a row has been tried in vain so far that others have to help. Where the other side asks for a
    /// long wait, time counts and not the tries.
    fn fails(&self, row: &Notification) -> bool {
        let tried = self.tried(row);
        let in_vain = match tried.blame {
            None => false,
            Some(Blame::Settings) => true,
            Some(Blame::Line) => tried.tries >= FAILS_AFTER || self.is_long(tried),
        };
        waits(tried) && (in_vain || !self.knows(&tried.notifier))
    }

    /// Whether a row fails for so long that nobody can be expected to hear of it.
    fn is_lost(&self, row: &Notification) -> bool {
        let tried = self.tried(row);
        let long = tried.blame != Some(Blame::Line) || self.is_long(tried);
        row.state == Told::GivenUp || (self.fails(row) && long)
    }

    fn is_long(&self, tried: &Notification) -> bool {
        tried.tried_since.is_some_and(|since| since + LOST_AFTER <= self.now)
    }

    /// When the oldest row was written that waits for nothing but its delivery.
    fn overdue(&self) -> Option<Timestamp> {
        let on_purpose = |row: &Notification| match row.held.as_ref().map(|held| held.by) {
            Some(Hold::Silence | Hold::Maintenance | Hold::Flapping | Hold::Unknown) => true,
            // It is not late before its group is complete.
            Some(Hold::Group) => row.held.as_ref().is_some_and(|held| held.until > Some(self.now)),
            Some(Hold::Rate | Hold::Retry | Hold::Down) | None => false,
        };
        let due = self.outbox.rows.iter().filter(|row| waits(row) && !on_purpose(row));
        due.map(|row| row.created_at).min()
    }
}

fn waits(row: &Notification) -> bool {
    row.state == Told::Waiting
}

/// Whether a row says how an incident stands.
fn is_news(event: Event) -> bool {
    matches!(event, Event::Opened | Event::Flapping | Event::Resolved)
}
