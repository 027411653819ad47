//! Incidents and the notifications they cause.
//!
//! Owns their states. Refuses to know when one opens (`plan::incident`) and how anybody is told
//! (`alerts/`).

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{IncidentId, JobName};

/// An open or past problem with one cause.
#[derive(Clone, Debug, PartialEq)]
pub struct Incident {
    /// Its key in the store.
    pub id: IncidentId,
    /// What has the problem, stable over restarts: `job/NAME`, `credential/NAME`, `file/PATH`.
    pub key: String,
    /// The class of the trouble, in one word: a failure class, a credential's class, `configuration`.
    pub class: String,
    /// The node at the root of it: `job/NAME`, `credential/NAME`, `file/PATH`.
    pub root: String,
    /// The jobs that it hits, by name.
    pub affected: Vec<JobName>,
    /// How bad it is.
    pub severity: Severity,
    /// Whether it goes on.
    pub state: IncidentState,
    /// When it opened.
    pub opened_at: Timestamp,
    /// When it was last seen to go on.
    pub last_seen: Timestamp,
    /// How often it was seen.
    pub count: u64,
    /// The root cause, in one line.
    pub title: String,
    /// Proof and context, a few lines at most.
    pub detail: String,
    /// The command or step that mends it.
    pub mend: String,
    /// When it was over, if it is.
    pub resolved_at: Option<Timestamp>,
    /// What mended it, in one line; empty while it goes on.
    pub note: String,
}

/// How bad an incident is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth a look; nothing is failing yet.
    Warning,
    /// Something does not work.
    Error,
}

/// Whether an incident goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IncidentState {
    /// It goes on.
    Open,
    /// It is over.
    Resolved,
}

/// What one commit does to incidents. At most one incident per key is open at a time.
#[derive(Clone, Debug, PartialEq)]
pub enum IncidentChange {
    /// Opens it, or, where it is open already, counts it again and refreshes the words.
    Open {
        /// See [`Incident::key`].
        key: String,
        /// See [`Incident::class`].
        class: String,
        /// See [`Incident::root`].
        root: String,
        /// See [`Incident::affected`].
        affected: Vec<JobName>,
        /// See [`Incident::severity`].
        severity: Severity,
        /// See [`Incident::title`].
        title: String,
        /// See [`Incident::detail`].
        detail: String,
        /// See [`Incident::mend`].
        mend: String,
        /// Notifiers that get an outbox row when it really opens.
        notify: Vec<Arc<str>>,
    },
    /// Closes it; nothing happens where none is open under that key.
    Resolve {
        /// See [`Incident::key`].
        key: String,
        /// What mended it, in one line.
        note: String,
        /// Notifiers that get an outbox row when it really closes.
        notify: Vec<Arc<str>>,
    },
}

/// A row of the outbox: told at least once, in order within its incident.
#[derive(Clone, Debug, PartialEq)]
pub struct Notification {
    /// The incident it is about.
    pub incident: IncidentId,
    /// Who is told.
    pub notifier: Arc<str>,
    /// `opened` or `resolved`.
    pub event: String,
    /// When it was written.
    pub created_at: Timestamp,
}
