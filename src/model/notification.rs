//! Rows of the outbox, silences, and what becomes of either.
//!
//! Owns their states as data. Refuses to know when a row is due, held or given up (`alerts::decide`) and how
//! anybody is told (`alerts/`).

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Incident, IncidentId, NotificationId, SilenceId};

/// A row of the outbox: told at least once, in order within its incident and notifier.
#[derive(Clone, Debug, PartialEq)]
pub struct Notification {
    /// Its key in the store.
    pub id: NotificationId,
    /// The incident it is about; `None` of a test and of a digest.
    pub incident: Option<IncidentId>,
    /// Who is told.
    pub notifier: Arc<str>,
    /// What is told.
    pub event: Event,
    /// When it was written.
    pub created_at: Timestamp,
    /// What has become of it.
    pub state: Told,
    /// When it was over, if it is.
    pub ended_at: Option<Timestamp>,
    /// Tries so far.
    pub tries: u32,
    /// When it was first tried.
    pub tried_since: Option<Timestamp>,
    /// It is not tried before this time.
    pub next_at: Timestamp,
    /// Why it waits, as it was last decided.
    pub held: Option<Held>,
    /// What the last try failed of.
    pub blame: Option<Blame>,
    /// What the last try said, or why it was never told; empty where neither.
    pub error: String,
    /// The row whose message it takes over, where that notifier fails.
    pub origin: Option<NotificationId>,
    /// The row that tells this one too.
    pub carrier: Option<NotificationId>,
}

/// What a row tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Event {
    /// An incident began, or began again, or became worse.
    Opened,
    /// It still goes on.
    Reminder,
    /// It is over.
    Resolved,
    /// It comes and goes.
    Flapping,
    /// Several rows at once.
    Digest,
    /// That the way works.
    Test,
}

impl Event {
    /// Every event.
    pub const ALL: [Self; 6] =
        [Self::Opened, Self::Reminder, Self::Resolved, Self::Flapping, Self::Digest, Self::Test];

    /// The word in the store, in messages and in the API.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Reminder => "reminder",
            Self::Resolved => "resolved",
            Self::Flapping => "flapping",
            Self::Digest => "digest",
            Self::Test => "test",
        }
    }

    /// The event of a word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.word() == word)
    }
}

/// What has become of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Told {
    /// It is still to be told.
    Waiting,
    /// It was told, by itself or by the row that carries it.
    Delivered,
    /// Another row tells it.
    Carried,
    /// Nobody had to be told.
    Dropped,
    /// It could not be told in time.
    GivenUp,
}

impl Told {
    /// Every state.
    pub const ALL: [Self; 5] =
        [Self::Waiting, Self::Delivered, Self::Carried, Self::Dropped, Self::GivenUp];

    /// The word in the API and the command line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::Carried => "carried",
            Self::Dropped => "dropped",
            Self::GivenUp => "given-up",
        }
    }
}

/// Why a row waits, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Why, in one word.
    pub by: Hold,
    /// Why, in words.
    pub why: String,
    /// Until when; `None` where no time ends it.
    pub until: Option<Timestamp>,
}

/// Why a row waits, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hold {
    /// For its cause, and for others of the same moment.
    Group,
    /// A person asked for silence.
    Silence,
    /// A maintenance window is open.
    Maintenance,
    /// Its incident comes and goes.
    Flapping,
    /// So many messages were sent lately that the next one waits.
    Rate,
    /// Its last try failed.
    Retry,
    /// The notifier does not answer at all.
    Down,
    /// `jada.yaml` no longer has the notifier.
    Unknown,
}

impl Hold {
    /// Every reason.
    pub const ALL: [Self; 8] = [
        Self::Group,
        Self::Silence,
        Self::Maintenance,
        Self::Flapping,
        Self::Rate,
        Self::Retry,
        Self::Down,
        Self::Unknown,
    ];

    /// The word in the store, the API and the command line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Group => "group",
            Self::Silence => "silence",
            Self::Maintenance => "maintenance",
            Self::Flapping => "flapping",
            Self::Rate => "rate",
            Self::Retry => "retry",
            Self::Down => "down",
            Self::Unknown => "unknown",
        }
    }

    /// The reason of a word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|hold| hold.word() == word)
    }
}

/// What a try failed of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Blame {
    /// The way there, or the other side for now: everything that goes this way waits.
    Line,
    /// The other side refuses this message or this sender: the settings have to be mended.
    Settings,
}

/// A person's wish not to be told, which always has an end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Silence {
    /// Its key in the store.
    pub id: SilenceId,
    /// Which nodes: a name, where `*` stands for any letters and `?` for one.
    pub pattern: String,
    /// Why.
    pub reason: String,
    /// Who.
    pub by: String,
    /// Since when.
    pub since: Timestamp,
    /// Until when; earlier than it was set where somebody ended it.
    pub until: Timestamp,
}

/// What one commit does to the outbox. What is no longer as the caller saw it is refused and stays.
#[derive(Clone, Debug, PartialEq)]
pub enum OutboxChange {
    /// Writes a row. Condition: a reminder only where nothing waits for the notifier and incident, a row
    /// with an origin only once for each notifier.
    Write {
        /// See [`Notification::incident`].
        incident: Option<IncidentId>,
        /// See [`Notification::notifier`].
        notifier: Arc<str>,
        /// See [`Notification::event`].
        event: Event,
        /// See [`Notification::origin`].
        origin: Option<NotificationId>,
    },
    /// Writes a digest that carries rows of one notifier. Condition: all of them wait.
    Digest {
        /// See [`Notification::notifier`].
        notifier: Arc<str>,
        /// The rows.
        rows: Vec<NotificationId>,
    },
    /// Notes a try that failed. Condition: it waits, and this is its next try.
    Failed {
        /// The row.
        row: NotificationId,
        /// The number of the try.
        tries: u32,
        /// See [`Notification::next_at`].
        next_at: Timestamp,
        /// See [`Notification::blame`].
        blame: Blame,
        /// See [`Notification::error`].
        error: String,
    },
    /// Notes that it was told, with all that it carries. Condition: it waits.
    Delivered {
        /// The row.
        row: NotificationId,
    },
    /// Notes why it waits. Condition: it waits.
    Hold {
        /// The row.
        row: NotificationId,
        /// See [`Notification::held`].
        held: Option<Held>,
    },
    /// Lets another row of the same notifier tell it. Condition: both wait.
    Carry {
        /// The row.
        row: NotificationId,
        /// The one that tells it.
        carrier: NotificationId,
    },
    /// Drops it: nobody has to be told. Condition: it waits.
    Drop {
        /// The row.
        row: NotificationId,
        /// Why.
        why: String,
    },
    /// Gives it up, with all that it carries. Condition: it waits.
    GiveUp {
        /// The row.
        row: NotificationId,
        /// Why.
        why: String,
    },
    /// Begins a silence.
    Silence {
        /// See [`Silence::pattern`].
        pattern: String,
        /// See [`Silence::reason`].
        reason: String,
        /// See [`Silence::by`].
        by: String,
        /// See [`Silence::until`].
        until: Timestamp,
    },
    /// Ends a silence now. Condition: it has not ended yet.
    EndSilence {
        /// Which.
        silence: SilenceId,
    },
}

/// Everything that is looked at when it is decided who is told what, as of one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outbox {
    /// Every row that waits, with all rows of the same incidents and of those that are open, and the rows
    /// that a waiting one carries; in the order in which they were written.
    pub rows: Vec<Notification>,
    /// The incidents of these rows, and those that are open.
    pub incidents: Vec<Incident>,
    /// Silences that were in force since the oldest of these rows, or will be.
    pub silences: Vec<Silence>,
    /// When each notifier was told something, since the time that was asked for.
    pub sent: Vec<(Arc<str>, Timestamp)>,
}
