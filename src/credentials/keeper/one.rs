//! What this process knows of one credential.
//!
//! Owns the record in memory, whose truth is the folder's, and what was last seen of its files. Refuses to
//! read, ask or tell anybody.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch as channel;

use super::due::{Duty, due};
use super::watch::Look;
use crate::credentials::declare::Declaration;
use crate::credentials::lifecycle::{self, Leave};
use crate::credentials::nature::Nature;
use crate::credentials::record::Record;
use crate::credentials::refresh::{Why, is_usable};
use crate::credentials::secret::Secret;
use crate::model::{CredentialState as State, Standing};

/// For so long a token is fresh: where it is refused, another one would be refused too.
const FRESH: Duration = Duration::from_secs(60);

/// One credential.
pub(super) struct One {
    pub(super) declaration: Arc<Declaration>,
    pub(super) nature: Nature,
    /// One flight at a time.
    pub(super) flight: tokio::sync::Mutex<()>,
    live: Mutex<Live>,
    generation: channel::Sender<u64>,
}

/// What changes.
pub(super) struct Live {
    pub(super) record: Option<Record>,
    /// As the record says, or worse where the folder is out of reach.
    pub(super) standing: Standing,
    /// The generation that was made because the one before was refused.
    cured: u64,
    /// A duty is being done.
    pub(super) busy: bool,
    /// The record is in memory alone.
    pub(super) unsaved: bool,
    /// What the record's file looked like when it was read.
    pub(super) seen: Option<Look>,
    /// What its sources looked like, once they were looked at.
    pub(super) sources: Option<Vec<Look>>,
    /// How often they were seen to have changed.
    pub(super) changes: u64,
    /// That count when the token at hand was asked for.
    pub(super) made_at: u64,
    /// The secrets that it is made of.
    pub(super) made_of: Vec<Secret>,
}

impl One {
    pub(super) fn of(
        declaration: Arc<Declaration>,
        credentials_directory: Option<&Path>,
        now: Timestamp,
    ) -> Self {
        let live = Live {
            record: None,
            standing: Standing::unknown(now),
            cured: 0,
            busy: false,
            unsaved: false,
            seen: None,
            sources: None,
            changes: 0,
            made_at: 0,
            made_of: Vec::new(),
        };
        Self {
            nature: Nature::of(&declaration, credentials_directory),
            declaration,
            flight: tokio::sync::Mutex::new(()),
            live: Mutex::new(live),
            generation: channel::Sender::new(0),
        }
    }

    pub(super) fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn standing(&self) -> Standing {
        self.live().standing.clone()
    }

    /// The record in memory, where its token will do.
    pub(super) fn at_hand(&self, why: Why, now: Timestamp) -> Option<Record> {
        let live = self.live();
        if !self.nature.keeps_token && live.made_at != live.changes {
            return None;
        }
        let record = live.record.as_ref().filter(|record| record.token.is_some())?;
        // What could not be written is good all the same.
        let standing = if live.unsaved { &record.standing } else { &live.standing };
        let blocked = lifecycle::leave(standing, false, now) == Leave::Never
            || standing.state == State::Misconfigured;
        let serves = match why {
            Why::Stale { min_ttl, asked_at } => {
                let since = standing.last_refresh.is_some_and(|last| last >= asked_at);
                is_usable(standing, if since { Duration::ZERO } else { min_ttl }, now)
            }
            Why::Newer { than } => {
                standing.generation > than && is_usable(standing, Duration::ZERO, now)
            }
            Why::Forced => false,
        };
        (!blocked && serves).then(|| record.clone())
    }

    /// Takes a record over; says whether anything about it is new.
    pub(super) fn take(&self, mut record: Record) -> bool {
        let generation = record.standing.generation;
        {
            let mut live = self.live();
            if let Some(before) = &live.record
                && record.token.is_none()
                && before.standing.generation == generation
                && !self.nature.keeps_token
            {
                // Its token is not on disk, and still the one.
                record.token.clone_from(&before.token);
            }
            if live.record.as_ref() == Some(&record) && live.standing == record.standing {
                return false;
            }
            live.standing = record.standing.clone();
            live.record = Some(record);
        }
        self.generation.send_if_modified(|told| std::mem::replace(told, generation) != generation);
        true
    }

    /// Whether this generation was made a moment ago because the one before was refused. Later on, its
    /// refusal is news: the server is asked again.
    pub(super) fn was_cured_lately(&self, generation: u64, now: Timestamp) -> bool {
        let live = self.live();
        let young = |last: Timestamp| now.duration_since(last).unsigned_abs() < FRESH;
        generation > 0 && live.cured == generation && live.standing.last_refresh.is_some_and(young)
    }

    pub(super) fn cured(&self, generation: u64) {
        self.live().cured = generation;
    }

    pub(super) fn renewed(&self) -> channel::Receiver<u64> {
        self.generation.subscribe()
    }

    /// The next duty, where none is being done.
    pub(super) fn due(&self, now: Timestamp) -> Option<(Timestamp, Duty)> {
        let live = self.live();
        if live.busy || live.unsaved {
            return None;
        }
        let leased = self.generation.receiver_count() > 0;
        due(live.record.as_ref(), &live.standing, &self.nature, leased, now)
    }
}
