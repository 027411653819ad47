//! An incident as programs see it: in answers of the API, in `jadactl incidents --json`, in messages.
//!
//! Owns the fields, which are only ever added to. Refuses to know how an incident came about.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::{Incident, IncidentId, IncidentState, JobName, Notification, Severity};

/// `GET /api/incidents`: a list of these, newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IncidentItem {
    /// Its number.
    pub id: IncidentId,
    /// What has the problem: `job/NAME#FAULT`, `credential/NAME`, `file/PATH`.
    pub key: String,
    /// Whether it goes on.
    pub state: IncidentState,
    /// How bad it is.
    pub severity: Severity,
    /// The class of the trouble, in one word.
    pub class: String,
    /// The node at the root of it.
    pub root: String,
    /// What is wrong there, in one word, where it has one.
    #[serde(default)]
    pub fault: Option<String>,
    /// The root cause, in one line.
    pub title: String,
    /// When it opened.
    pub since: Timestamp,
    /// How often it was seen.
    pub count: u64,
    /// How often it began: more than 1 where it came back soon after its end.
    #[serde(default = "once")]
    pub generation: u32,
    /// The jobs that it hits.
    pub affected: Vec<JobName>,
    /// The command that mends it.
    pub fix: String,
    /// Proof and context.
    pub detail: String,
    /// When it was last seen to go on.
    pub last_seen: Timestamp,
    /// When it was over, if it is.
    pub resolved_at: Option<Timestamp>,
    /// What mended it; empty while it goes on.
    pub note: String,
    /// Since when somebody knows of it, if somebody does.
    #[serde(default)]
    pub acked_at: Option<Timestamp>,
    /// Who; empty where nobody does.
    #[serde(default)]
    pub acked_by: String,
    /// Whether it comes and goes.
    #[serde(default)]
    pub flapping: bool,
    /// Messages about it that wait, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<HeldNotice>,
}

/// A message that waits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeldNotice {
    /// Who is told later.
    pub notifier: String,
    /// What: `opened`, `reminder`, `resolved`, `flapping`.
    pub event: String,
    /// Why it waits.
    pub why: String,
    /// Until when; `None` where no time ends it.
    pub until: Option<Timestamp>,
}

impl HeldNotice {
    /// What a row of the outbox says of itself; `None` where it is not held.
    #[must_use]
    pub fn of(row: &Notification) -> Option<Self> {
        let held = row.held.as_ref()?;
        Some(Self {
            notifier: row.notifier.to_string(),
            event: row.event.word().to_owned(),
            why: held.why.clone(),
            until: held.until,
        })
    }
}

fn once() -> u32 {
    1
}

impl From<&Incident> for IncidentItem {
    fn from(incident: &Incident) -> Self {
        let known = incident.acknowledged.as_ref();
        Self {
            id: incident.id,
            key: incident.key.clone(),
            state: incident.state,
            severity: incident.severity,
            class: incident.class.clone(),
            root: incident.root.clone(),
            fault: incident.fault.map(|fault| fault.word().to_owned()),
            title: incident.title.clone(),
            since: incident.opened_at,
            count: incident.count,
            generation: incident.generation,
            affected: incident.affected.clone(),
            fix: incident.mend.clone(),
            detail: incident.detail.clone(),
            last_seen: incident.last_seen,
            resolved_at: incident.resolved_at,
            note: incident.note.clone(),
            acked_at: known.map(|known| known.at),
            acked_by: known.map(|known| known.by.clone()).unwrap_or_default(),
            flapping: incident.flapping,
            held: Vec::new(),
        }
    }
}
