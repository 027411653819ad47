//! Silences and maintenance windows, as they hold for one incident.
//!
//! Owns what they cover. Refuses to know what is held because of it: only beginnings are (`queue`), and never
//! checking or history.

use jiff::Timestamp;

use super::View;
use crate::alerts::pattern;
use crate::model::{Held, Hold, Incident, JobName};

/// What asks for silence about an incident at a time: that which ends last.
pub(super) fn at(view: &View<'_>, incident: &Incident, at: Timestamp) -> Option<Held> {
    let silences = view.outbox.silences.iter();
    let silences = silences
        .filter(|one| one.since <= at && at < one.until)
        .filter(|one| concerns(incident, |node| pattern::matches(&one.pattern, node)))
        .map(|one| Held {
            by: Hold::Silence,
            why: match one.reason.as_str() {
                "" => format!("silence {} by {}", one.id, one.by),
                reason => format!("silence {} by {}: {reason}", one.id, one.by),
            },
            until: Some(one.until),
        });
    let windows = view.alerts.maintenance.iter();
    let windows = windows
        .filter(|window| concerns(incident, |node| window.names(node)))
        .filter_map(|window| {
            let until = window.open_until(at)?;
            let why = format!("maintenance {}", window.name);
            Some(Held { by: Hold::Maintenance, why, until: Some(until) })
        });
    silences.chain(windows).max_by_key(|held| held.until)
}

/// Whether names mean an incident: its root, its key, or all the jobs that it hits.
fn concerns(incident: &Incident, means: impl Fn(&str) -> bool) -> bool {
    let job = |job: &JobName| means(&format!("job/{job}"));
    means(&incident.root)
        || means(&incident.key)
        || (!incident.affected.is_empty() && incident.affected.iter().all(job))
}
