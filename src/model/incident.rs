//! Incidents and the notifications they cause.
//!
//! Owns their states. Refuses to know when one opens (`plan::incident`) and how anybody is told
//! (`alerts/`).

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Fault, IncidentId, JobName};

/// An open or past problem with one cause.
#[derive(Clone, Debug, PartialEq)]
pub struct Incident {
    /// Its key in the store.
    pub id: IncidentId,
    /// What has the problem, stable over restarts and edits: `ROOT#FAULT` with the fault at its opening, or
    /// the name of a credential, a client or a file, whose class changes in place.
    pub key: String,
    /// The class of the trouble, in one word: a failure class, a credential's class, `configuration`.
    pub class: String,
    /// The node at the root of it: `job/NAME`, `credential/NAME`, `file/PATH`.
    pub root: String,
    /// What is wrong, where that has a word.
    pub fault: Option<Fault>,
    /// The jobs that it hits, by name.
    pub affected: Vec<JobName>,
    /// How bad it is.
    pub severity: Severity,
    /// How often it began: 1, and 1 more each time it came back within [`Incident::REOPEN`] of its end.
    pub generation: u32,
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
    /// Who has said that they know, in this generation and at this severity.
    pub acknowledged: Option<Acknowledged>,
    /// Whether it comes and goes: told once, then quiet until it is calm.
    pub flapping: bool,
    /// After which times people are reminded, counted from the last telling, the last one again and again;
    /// empty is never, `None` leaves it to the settings.
    pub remind: Option<Vec<Duration>>,
}

impl Incident {
    /// One that comes back within so long after its end is the same one.
    pub const REOPEN: Duration = Duration::from_mins(30);
}

/// That a person knows of an incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    /// Since when.
    pub at: Timestamp,
    /// Who, in their own words.
    pub by: String,
}

/// How bad an incident is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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
    /// Opens it; where it is open already, counts it again and refreshes the words; where it was over for
    /// less than [`Incident::REOPEN`], it goes on as the next generation of the same row.
    ///
    /// The notifiers get a row `opened` when it begins, in whichever way, and once more when a warning
    /// becomes an error; a row `flapping` when it begins to flap.
    Open(Opening),
    /// Closes it; nothing happens where none is open under that key.
    Resolve {
        /// See [`Incident::key`].
        key: String,
        /// What mended it, in one line.
        note: String,
        /// Notifiers that get an outbox row when it really closes.
        notify: Vec<Arc<str>>,
    },
    /// Notes that a person knows; nothing happens where none is open under that key.
    Acknowledge {
        /// See [`Incident::key`].
        key: String,
        /// Who.
        by: String,
    },
}

/// What the opening of an incident says.
#[derive(Clone, Debug, PartialEq)]
pub struct Opening {
    /// See [`Incident::key`].
    pub key: String,
    /// See [`Incident::class`].
    pub class: String,
    /// See [`Incident::root`].
    pub root: String,
    /// See [`Incident::fault`].
    pub fault: Option<Fault>,
    /// See [`Incident::affected`].
    pub affected: Vec<JobName>,
    /// See [`Incident::severity`].
    pub severity: Severity,
    /// See [`Incident::title`].
    pub title: String,
    /// See [`Incident::detail`].
    pub detail: String,
    /// See [`Incident::mend`].
    pub mend: String,
    /// See [`Incident::flapping`].
    pub flapping: bool,
    /// See [`Incident::remind`].
    pub remind: Option<Vec<Duration>>,
    /// Notifiers that get an outbox row when it really opens.
    pub notify: Vec<Arc<str>>,
}

impl Opening {
    /// An error at the root of that name, whose words the caller fills in.
    #[must_use]
    pub fn new(key: impl Into<String>, root: impl Into<String>, class: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            class: class.into(),
            root: root.into(),
            fault: None,
            affected: Vec::new(),
            severity: Severity::Error,
            title: String::new(),
            detail: String::new(),
            mend: String::new(),
            flapping: false,
            remind: None,
            notify: Vec::new(),
        }
    }
}

impl IncidentChange {
    /// The key of the incident that it changes.
    #[must_use]
    pub fn key(&self) -> &str {
        match self {
            Self::Open(opening) => &opening.key,
            Self::Resolve { key, .. } | Self::Acknowledge { key, .. } => key,
        }
    }
}
