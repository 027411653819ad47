//! What people ask of the outbox: a test, silence, that it is known.
//!
//! Owns these orders, each durable when it is answered. Refuses to deliver anything: it rings the bell.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;

use super::settings::Alerts;
use crate::clock::Clock;
use crate::model::{
    Event, Incident, IncidentChange, IncidentId, IncidentState, NotificationId, OutboxChange,
    Silence, SilenceId,
};
use crate::store::{self, Applied, Batch, Change, Store};

/// The longest silence: longer is a maintenance window, or a notifier to remove.
pub const SILENCE_MAX: Duration = Duration::from_hours(24 * 90);

/// Incidents that are looked through for one of a number.
const INCIDENTS_MAX: u32 = 10_000;

/// Why an order was not taken.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// `jada.yaml` has no such notifier.
    #[error("there is no notifier '{0}' in jada.yaml")]
    NoNotifier(String),
    /// No such incident is open.
    #[error("there is no open incident {0}")]
    NoIncident(IncidentId),
    /// No such silence is in force.
    #[error("there is no silence {0} in force")]
    NoSilence(SilenceId),
    /// It has no end, or none that is allowed.
    #[error("a silence lasts from 1s to 90d")]
    BadEnd,
    /// It says nothing of what is to be silent.
    #[error("a silence needs the name of a node, such as job/backup or site/*")]
    NoPattern,
    /// The store could not keep it.
    #[error("{0}")]
    Store(#[from] store::Error),
}

/// Takes orders. Cheap to clone.
#[derive(Clone)]
pub struct Desk {
    /// Where the outbox is.
    pub store: Arc<dyn Store>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Who can be told.
    pub alerts: Arc<Alerts>,
    /// Wakes the deliverer.
    pub bell: Arc<Notify>,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").finish_non_exhaustive()
    }
}

impl Desk {
    /// Writes a test for a notifier; how it went, its row tells.
    ///
    /// # Errors
    /// [`Refusal`] says why not.
    pub async fn test(&self, notifier: &str) -> Result<NotificationId, Refusal> {
        let Some((name, _)) = self.alerts.notifiers.get_key_value(notifier) else {
            return Err(Refusal::NoNotifier(notifier.to_owned()));
        };
        let written = self.write(OutboxChange::Write {
            incident: None,
            notifier: Arc::clone(name),
            event: Event::Test,
            origin: None,
        });
        match written.await? {
            Applied::Wrote(row) => Ok(NotificationId(row)),
            Applied::Recorded(_) | Applied::Done | Applied::Refused => {
                Err(Refusal::Store(store::Error::Closed))
            }
        }
    }

    /// Begins a silence.
    ///
    /// # Errors
    /// [`Refusal`] says why not.
    pub async fn silence(
        &self,
        pattern: &str,
        time: Duration,
        (reason, by): (String, String),
    ) -> Result<Silence, Refusal> {
        let pattern = pattern.trim().to_owned();
        if pattern.is_empty() {
            return Err(Refusal::NoPattern);
        }
        if time < Duration::from_secs(1) || time > SILENCE_MAX {
            return Err(Refusal::BadEnd);
        }
        let (since, reason) = (self.clock.now(), super::message::line(&reason));
        let by = super::message::line(&by);
        let until = since + time;
        let written = self.write(OutboxChange::Silence {
            pattern: pattern.clone(),
            reason: reason.clone(),
            by: by.clone(),
            until,
        });
        match written.await? {
            Applied::Wrote(id) => {
                Ok(Silence { id: SilenceId(id), pattern, reason, by, since, until })
            }
            Applied::Recorded(_) | Applied::Done | Applied::Refused => {
                Err(Refusal::Store(store::Error::Closed))
            }
        }
    }

    /// Silences that are in force.
    ///
    /// # Errors
    /// The store can't be read.
    pub async fn silences(&self) -> Result<Vec<Silence>, Refusal> {
        Ok(self.store.silences(self.clock.now()).await?)
    }

    /// Ends a silence now.
    ///
    /// # Errors
    /// [`Refusal`] says why not.
    pub async fn end_silence(&self, silence: SilenceId) -> Result<(), Refusal> {
        match self.write(OutboxChange::EndSilence { silence }).await? {
            Applied::Done => Ok(()),
            Applied::Refused | Applied::Recorded(_) | Applied::Wrote(_) => {
                Err(Refusal::NoSilence(silence))
            }
        }
    }

    /// Notes that somebody knows of an incident: no reminder follows, its end is still told.
    ///
    /// # Errors
    /// [`Refusal`] says why not.
    pub async fn acknowledge(&self, id: IncidentId, by: &str) -> Result<Incident, Refusal> {
        let open = self.store.incidents(false, INCIDENTS_MAX).await?;
        let found = open.into_iter().find(|one| one.id == id && one.state == IncidentState::Open);
        let found = found.ok_or(Refusal::NoIncident(id))?;
        let by = super::message::line(by);
        let change = IncidentChange::Acknowledge { key: found.key.clone(), by };
        match self.commit(Change::Incident(change)).await? {
            Applied::Refused => Err(Refusal::NoIncident(id)),
            Applied::Done | Applied::Recorded(_) | Applied::Wrote(_) => Ok(found),
        }
    }

    async fn write(&self, change: OutboxChange) -> Result<Applied, Refusal> {
        self.commit(Change::Outbox(change)).await
    }

    async fn commit(&self, change: Change) -> Result<Applied, Refusal> {
        let batch = Batch { now: self.clock.now(), changes: vec![change] };
        let applied = self.store.commit(batch).await?;
        self.bell.notify_one();
        Ok(applied.into_iter().next().unwrap_or(Applied::Refused))
    }

    /// The time, by which ages are counted.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}
