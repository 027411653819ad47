//! Getting one token, and making what it brought known.
//!
//! Owns one flight a credential in this process, the patience that a server asks of a client, and records
//! that wait to be written. Refuses to know when it is time (`due`).

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::Timestamp;

use super::one::One;
use super::watch::Look;
use super::{Inner, Standings, secrets};
use crate::credentials::audit::Act;
use crate::credentials::declare::SecretPlace;
use crate::credentials::evidence::Evidence;
use crate::credentials::lifecycle::{self, Event};
use crate::credentials::providers::{self, read_place};
use crate::credentials::record::{Grant, Record};
use crate::credentials::refresh::{self, Ask, Failed, Unsaved, Why};
use crate::model::{CredentialClass as Class, CredentialName, CredentialState as State, Standing};

/// Longest wait before the next try to write what is in memory alone.
const SAVE_GAP_MAX: Duration = Duration::from_secs(60);

impl Inner {
    /// Gets a token, unless a flight before this one did.
    pub(super) async fn fly(
        self: Arc<Self>,
        name: CredentialName,
        why: Why,
    ) -> Result<Record, Failed> {
        let one = &self.ones[&name];
        let _flight = one.flight.lock().await;
        let now = self.world.clock.now();
        if let Some(record) = one.at_hand(why, now) {
            return Ok(record);
        }
        if one.live().unsaved {
            return Err(Failed::new(one.standing(), None));
        }
        if let Some(until) = self.patience(one, now) {
            return Err(self.wait_with_others(one, until, now).await);
        }
        self.keyholes.look(&name, &self.world).await;
        let mint = |grant: Option<Grant>| -> BoxFuture<'static, _> {
            let (declaration, world) = (Arc::clone(&one.declaration), Arc::clone(&self.world));
            Box::pin(async move { providers::mint(&declaration, grant.as_ref(), &world).await })
        };
        let changes = one.live().changes;
        match refresh::refresh(&self.ask(one, why), &mint).await {
            Ok(fresh) => {
                one.live().made_at = changes;
                self.took(one, fresh.record.clone(), true);
                if let Some(unsaved) = fresh.unsaved {
                    self.hold_on(one, unsaved);
                }
                Ok(fresh.record)
            }
            Err(failed) => {
                self.failed(one, &failed);
                Err(failed)
            }
        }
    }

    /// Moves a standing by an event that is no exchange.
    pub(super) async fn report(
        self: &Arc<Self>,
        one: &One,
        event: &Event,
        fresh: bool,
    ) -> Result<Record, Failed> {
        let why = Why::Newer { than: 0 };
        let reported = refresh::report(&self.ask(one, why), event, fresh).await;
        match &reported {
            Ok(record) => self.took(one, record.clone(), true),
            Err(failed) => self.failed(one, failed),
        }
        reported
    }

    fn ask<'a>(&'a self, one: &'a One, why: Why) -> Ask<'a> {
        Ask {
            nature: &one.nature,
            folder: &self.folder,
            audit: &self.audit,
            clock: &*self.world.clock,
            why,
        }
    }

    /// Takes a record over and tells those whom it concerns. `ours` says that this process made it.
    pub(super) fn took(self: &Arc<Self>, one: &One, record: Record, ours: bool) {
        let before = one.standing();
        if !ours && record.standing.generation > before.generation {
            let entry = self.audit.entry(&record, Act::Adopt, self.world.clock.now());
            self.audit.note(&entry);
        }
        let works = matches!(record.standing.state, State::Healthy | State::Expiring);
        if one.take(record) {
            self.tell(one);
        }
        if works && is_of_client(&before) {
            self.try_the_others(one);
        }
    }

    /// A client that works again does so for all its credentials: each is tried now and not in a day.
    fn try_the_others(self: &Arc<Self>, one: &One) {
        let Some(client) = &one.nature.client else { return };
        for (name, other) in &self.ones {
            let shares = other.nature.client.as_ref() == Some(client);
            if shares && *name != one.nature.name && is_of_client(&other.standing()) {
                self.flights.spawn(Arc::clone(self).source_changed(name.clone()));
            }
        }
    }

    fn failed(&self, one: &One, failed: &Failed) {
        let standing = &*failed.standing;
        one.live().standing = standing.clone();
        let limited = standing.class == Some(Class::RateLimited);
        if let (true, Some(client), Some(until)) =
            (limited, one.nature.client.clone(), standing.next_try)
        {
            let mut breakers = self.breakers.lock().unwrap_or_else(PoisonError::into_inner);
            breakers.insert(client, until);
        }
        self.tell(one);
    }

    /// Makes known what is in memory of one.
    pub(super) fn tell(&self, one: &One) {
        let mut held = Vec::new();
        {
            let live = one.live();
            held.extend(live.made_of.clone());
            if let Some(record) = &live.record {
                let grants = record.grant.iter().chain(&record.previous);
                held.extend(grants.map(|grant| grant.refresh_token.clone()));
                held.extend(record.token.as_ref().map(secrets).unwrap_or_default());
            }
        }
        self.redactor.hold(&one.declaration.name, held);
        self.publish();
        self.wake.notify_one();
    }

    /// Shows where all of them stand.
    pub(super) fn publish(&self) {
        let all = self.ones.iter().map(|(name, one)| (name.clone(), one.standing())).collect();
        let all = Standings::new(all);
        self.standings.send_if_modified(|shown| {
            let news = *shown != all;
            if news {
                *shown = all;
            }
            news
        });
    }

    /// Until when the server asked another credential of the same client to wait.
    fn patience(&self, one: &One, now: Timestamp) -> Option<Timestamp> {
        let client = one.nature.client.as_ref()?;
        let mut breakers = self.breakers.lock().unwrap_or_else(PoisonError::into_inner);
        breakers.retain(|_, until| *until > now);
        breakers.get(client).copied()
    }

    async fn wait_with_others(
        self: &Arc<Self>,
        one: &One,
        until: Timestamp,
        now: Timestamp,
    ) -> Failed {
        let words = "another credential of its client was asked for patience";
        let mut evidence = Evidence::new(Class::RateLimited, words);
        evidence.retry_after = Some(until.duration_since(now).unsigned_abs());
        let generation = one.standing().generation;
        let event = Event::Failed { evidence: evidence.clone(), generation };
        match self.report(one, &event, false).await {
            Ok(record) => Failed::new(record.standing, Some(evidence)),
            Err(failed) => failed,
        }
    }

    /// Tries to write what is in memory alone until it is written.
    fn hold_on(self: &Arc<Self>, one: &One, unsaved: Unsaved) {
        let name = one.declaration.name.clone();
        let words = &unsaved.evidence.words;
        tracing::error!(credential = %name, "its new grant is in memory alone: {words}");
        {
            let mut live = one.live();
            live.unsaved = true;
            let evidence = unsaved.evidence.clone();
            let event = Event::Failed { evidence, generation: live.standing.generation };
            let facts = refresh::memory_facts(&one.nature);
            let now = self.world.clock.now();
            live.standing = lifecycle::advance(&live.standing, &event, now, &facts);
        }
        self.tell(one);
        let inner = Arc::clone(self);
        self.flights.spawn(async move {
            let (mut unsaved, mut gap) = (Box::new(unsaved), Duration::from_secs(1));
            while let Err(again) = unsaved.save().await {
                unsaved = again;
                inner.world.clock.sleep(gap).await;
                gap = (gap * 2).min(SAVE_GAP_MAX);
            }
            let one = &inner.ones[&name];
            one.live().unsaved = false;
            tracing::info!(credential = %name, "its new grant is written");
            let record = one.live().record.clone();
            if let Some(record) = record {
                inner.took(one, record, true);
            }
        });
    }

    /// Reads the record again where its file looks different.
    pub(super) fn look_at_record(self: &Arc<Self>, one: &One) {
        // A flight reads and writes it, and whoever flies looks again after it.
        let Ok(_flight) = one.flight.try_lock() else { return };
        let name = &one.declaration.name;
        let look = Look::at(&self.folder.record_path(name));
        if one.live().seen.replace(look) == Some(look) || one.live().unsaved {
            return;
        }
        let read = self.folder.read(name);
        match read.map(|record| record.filter(|record| one.nature.concerns(record))) {
            Ok(Some(record)) => self.took(one, record, false),
            Ok(None) => {
                let mut live = one.live();
                if live.record.take().is_some() {
                    live.standing = Standing::unknown(self.world.clock.now());
                }
            }
            Err(evidence) => {
                let standing = {
                    let live = one.live();
                    let generation = live.standing.generation;
                    let event = Event::Failed { evidence: evidence.clone(), generation };
                    let facts = refresh::memory_facts(&one.nature);
                    let now = self.world.clock.now();
                    lifecycle::advance(&live.standing, &event, now, &facts)
                };
                self.failed(one, &Failed::new(standing, Some(evidence)));
            }
        }
    }

    /// Looks at the files that a credential is made of; says whether one changed since the last look.
    pub(super) async fn look_at_sources(&self, one: &One) -> bool {
        let looks: Vec<_> = one.nature.sources.iter().map(|path| Look::at(path)).collect();
        let first = {
            let mut live = one.live();
            if live.sources.as_ref() == Some(&looks) {
                return false;
            }
            let first = live.sources.replace(looks).is_none();
            live.changes += u64::from(!first);
            first
        };
        let mut made_of = Vec::new();
        for place in &one.nature.places {
            // A program is run when its secret is needed, and not to know what to hide.
            if !matches!(place, SecretPlace::Exec(_)) {
                made_of.extend(read_place(place, &self.world).await.ok());
            }
        }
        one.live().made_of = made_of;
        self.tell(one);
        !first
    }
}

/// Whether its client is what is wrong.
fn is_of_client(standing: &Standing) -> bool {
    standing.state == State::Misconfigured && standing.class == Some(Class::ClientMisconfigured)
}
