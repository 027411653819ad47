//! Keeps every declared credential usable, and gives its token to attempts that start.
//!
//! ```text
//!  attempt ──token──▶ at hand? ──no──▶ flight (one a credential) ──▶ refresh (lock · journal)
//!     ▲                 │ yes                                           │
//!     └──── lease ◀─────┴──────────── record in memory ◀────────────────┤
//!                                        │      ▲                       ▼
//!  engine ◀── standings ─────────────────┘      └── look again ◀──── the folder
//! ```
//!
//! Owns what this process knows of credentials: records in memory, one flight at a time for each, who is
//! told of what. Refuses to know jobs beyond their names, and what a standing does to runs. A token is
//! got when an attempt starts, never when it is queued.

mod due;
mod flight;
mod one;
mod tend;
mod watch;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Notify, watch as channel};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::one::One;
use super::audit::{Act, Audit};
use super::declare::Declaration;
use super::evidence::Evidence;
use super::folder::Folder;
use super::lifecycle::Event;
use super::mint::{Token, TokenValue};
use super::providers::World;
use super::record::Record;
use super::redact::Redactor;
use super::refresh::{Failed, Why};
use super::seal::Keyholes;
use super::secret::Secret;
use crate::model::{CredentialClass as Class, CredentialName, CredentialState as State};
use crate::model::{JobName, RunId, Standing};

/// Where every declared credential stands.
pub type Standings = Arc<BTreeMap<CredentialName, Standing>>;

/// The declared credentials, by name.
pub type Declarations = Arc<BTreeMap<CredentialName, Arc<Declaration>>>;

/// What an attempt needs of a credential.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Need {
    /// The token must be good for at least so long.
    pub min_ttl: Duration,
    /// What it must be good for; empty asks for nothing beyond what it is good for.
    pub scopes: Vec<String>,
}

/// Whom a token is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// The job.
    pub job: JobName,
    /// The run.
    pub run: RunId,
}

/// A token, given to one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The token.
    pub token: Token,
    /// Its generation: what a refusal of it is about.
    pub generation: u64,
}

/// Why there is no token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{words}")]
pub struct Refused {
    /// Where the credential stands.
    pub standing: Box<Standing>,
    /// The reason in plain words, safe to show.
    pub words: String,
    /// The one command that mends it, where one does.
    pub mend: Option<String>,
}

/// See the module's words. Cheap to clone behind its `Arc`.
pub struct Keeper {
    inner: Arc<Inner>,
}

/// What flights share.
struct Inner {
    ones: BTreeMap<CredentialName, One>,
    folder: Folder,
    keyholes: Keyholes,
    audit: Audit,
    world: Arc<World>,
    redactor: Arc<Redactor>,
    standings: channel::Sender<Standings>,
    /// Something changed that the next deadline depends on.
    wake: Notify,
    /// Until when nobody asks on behalf of a client: its server asked for patience.
    breakers: Mutex<BTreeMap<String, Timestamp>>,
    /// Every flight.
    flights: TaskTracker,
}

impl Keeper {
    /// Reads what is kept of every declared credential. Nobody is asked for a token yet.
    pub async fn open(
        declarations: &Declarations,
        folder: Folder,
        world: Arc<World>,
        redactor: Arc<Redactor>,
    ) -> Arc<Self> {
        let keyholes = Keyholes::of(declarations.values());
        let folder = keyholes.on(folder, &world).await;
        let now = world.clock.now();
        let directory = (world.environment)("CREDENTIALS_DIRECTORY").map(PathBuf::from);
        let one = |declaration: &Arc<Declaration>| {
            let one = One::of(Arc::clone(declaration), directory.as_deref(), now);
            (declaration.name.clone(), one)
        };
        let inner = Arc::new(Inner {
            ones: declarations.values().map(one).collect(),
            audit: Audit::of(folder.clone(), "daemon"),
            folder,
            keyholes,
            world,
            redactor,
            standings: channel::Sender::new(Standings::default()),
            wake: Notify::new(),
            breakers: Mutex::default(),
            flights: TaskTracker::new(),
        });
        for one in inner.ones.values() {
            inner.look_at_sources(one).await;
            inner.look_at_record(one);
            inner.tell(one);
        }
        Arc::new(Self { inner })
    }

    /// A token for an attempt that starts, from memory where it will do.
    ///
    /// # Errors
    /// [`Refused`] with the reason.
    pub async fn token(
        &self,
        name: &CredentialName,
        need: Need,
        for_whom: &Use,
    ) -> Result<Lease, Refused> {
        let one = self.one(name)?;
        // What somebody has just put in place counts for the very next attempt, noticed or not.
        self.inner.look_at_record(one);
        if self.inner.look_at_sources(one).await {
            let changed = Arc::clone(&self.inner).source_changed(name.clone());
            let _stopping = self.inner.flights.spawn(changed).await.is_err();
        }
        let now = self.inner.world.clock.now();
        let why = Why::Stale { min_ttl: need.min_ttl, asked_at: now };
        let record = match one.at_hand(why, now) {
            Some(record) => record,
            None => self.flight(one, why).await?,
        };
        if let Some(words) = lacks(&record.standing, &need.scopes) {
            let standing = Box::new(record.standing);
            let mend = one.nature.mend(&standing);
            return Err(Refused { standing, words: format!("{name}: {words}"), mend });
        }
        self.lease(one, &record, Some(for_whom))
    }

    /// What follows where a server refused a token: another one, once, or the reason why there is none.
    /// `again` says that this one was given for one that was refused just before.
    ///
    /// # Errors
    /// [`Refused`] with the reason.
    pub async fn refused(
        &self,
        name: &CredentialName,
        generation: u64,
        evidence: Evidence,
        again: bool,
    ) -> Result<Lease, Refused> {
        let one = self.one(name)?;
        let now = self.inner.world.clock.now();
        let why = Why::Newer { than: generation };
        // Somebody else's refusal of the same token has brought a newer one.
        if let Some(record) = one.at_hand(why, now) {
            return self.lease(one, &record, None);
        }
        let class = evidence.class;
        let fresh = again || one.was_cured_lately(generation, now);
        let event = Event::Failed { evidence: evidence.clone(), generation };
        let reported = self.inner.report(one, &event, fresh).await;
        if class != Class::TokenStale || fresh {
            return Err(refusal(one, Failed::new(one.standing(), Some(evidence))));
        }
        if let Err(failed) = reported {
            return Err(refusal(one, failed));
        }
        let record = self.flight(one, why).await?;
        one.cured(record.standing.generation);
        self.lease(one, &record, None)
    }

    /// Where every credential stands, now and whenever that changes.
    #[must_use]
    pub fn standings(&self) -> channel::Receiver<Standings> {
        self.inner.standings.subscribe()
    }

    /// Tells of new generations for as long as it is held: its token is renewed ahead of its end then.
    #[must_use]
    pub fn renewed(&self, name: &CredentialName) -> channel::Receiver<u64> {
        let receiver = match self.inner.ones.get(name) {
            Some(one) => one.renewed(),
            None => channel::channel(0).1,
        };
        self.inner.wake.notify_one();
        receiver
    }

    /// What takes the secrets out of what programs say.
    #[must_use]
    pub fn redactor(&self) -> Arc<Redactor> {
        Arc::clone(&self.inner.redactor)
    }

    /// What is declared of a credential.
    #[must_use]
    pub fn declaration(&self, name: &CredentialName) -> Option<Arc<Declaration>> {
        self.inner.ones.get(name).map(|one| Arc::clone(&one.declaration))
    }

    /// Whether a new token of it is asked for somewhere, rather than read again where it lies.
    #[must_use]
    pub fn exchanges(&self, name: &CredentialName) -> bool {
        self.inner.ones.get(name).is_some_and(|one| one.nature.keeps_token)
    }

    /// Whether this generation was asked for a moment ago because the one before was refused.
    #[must_use]
    pub fn was_cured_lately(&self, name: &CredentialName, generation: u64) -> bool {
        let now = self.inner.world.clock.now();
        self.inner.ones.get(name).is_some_and(|one| one.was_cured_lately(generation, now))
    }

    /// Retries, renews and keeps alive, and looks again at what others change, until told to stop.
    pub async fn run(self: Arc<Self>, shutdown: CancellationToken) {
        Arc::clone(&self.inner).tend(shutdown).await;
    }

    fn one(&self, name: &CredentialName) -> Result<&One, Refused> {
        self.inner.ones.get(name).ok_or_else(|| Refused {
            standing: Box::new(Standing::unknown(self.inner.world.clock.now())),
            words: format!("{name}: it is not declared in jada.yaml"),
            mend: None,
        })
    }

    /// A flight that goes on where whoever asked goes away: a grant may be spent by then.
    async fn flight(&self, one: &One, why: Why) -> Result<Record, Refused> {
        let name = one.declaration.name.clone();
        let flight = Arc::clone(&self.inner).fly(name.clone(), why);
        let landed = self.inner.flights.spawn(flight).await;
        let lost = |_| Err(Failed::new(one.standing(), None));
        landed.unwrap_or_else(lost).map_err(|failed| refusal(one, failed))
    }

    fn lease(&self, one: &One, record: &Record, who: Option<&Use>) -> Result<Lease, Refused> {
        let Some(token) = record.token.clone() else {
            return Err(refusal(one, Failed::new(record.standing.clone(), None)));
        };
        let inner = &self.inner;
        let mut entry = inner.audit.entry(record, Act::Inject, inner.world.clock.now());
        entry.job = who.map(|who| who.job.clone());
        entry.run = who.map(|who| who.run);
        entry.client = one.nature.client_tail();
        entry.fingerprint = secrets(&token)
            .first()
            .and_then(|secret| inner.audit.fingerprint(secret.expose()).ok());
        inner.audit.note(&entry);
        Ok(Lease { token, generation: record.standing.generation })
    }
}

/// What of the needs was not granted, in words.
fn lacks(standing: &Standing, scopes: &[String]) -> Option<String> {
    let short =
        standing.state == State::ReauthRequired && standing.class == Some(Class::ScopeMissing);
    let missing = scopes.iter().filter(|scope| standing.missing_scopes.contains(scope));
    let missing: Vec<_> = missing.map(String::as_str).collect();
    match (short, missing.as_slice()) {
        (true, []) if scopes.is_empty() => Some(Class::ScopeMissing.sentence().to_owned()),
        (_, []) => None,
        (_, missing) => Some(format!("it was not granted {}", missing.join(", "))),
    }
}

/// The reason why there is no token, as plain words.
fn refusal(one: &One, failed: Failed) -> Refused {
    let name = &one.nature.name;
    let Failed { standing, evidence } = failed;
    let code = standing.error.as_ref().map(|code| format!(" ({code})")).unwrap_or_default();
    let seen = evidence.map_or_else(|| standing.words.clone(), |evidence| evidence.words);
    let words = match (standing.state, standing.class) {
        (State::Paused, _) => format!("it is paused: jadactl auth resume {name}"),
        (State::Revoked, _) => format!("it was revoked on purpose: jadactl auth login {name}"),
        (_, Some(class)) if seen.is_empty() => format!("{}{code}", class.sentence()),
        (_, None) if seen.is_empty() => "it has no token now".to_owned(),
        // Those name the file and the way out; and a grant that nobody gave did not end.
        (_, Some(Class::LocalStore) | None) => seen,
        (_, Some(_)) if standing.generation == 0 => seen,
        (_, Some(class)) => format!("{}{code}; {seen}", class.sentence()),
    };
    let mend = one.nature.mend(&standing);
    Refused { standing, words: format!("{name}: {words}"), mend }
}

/// The secrets of a token, the telling one first.
fn secrets(token: &Token) -> Vec<Secret> {
    match &token.value {
        TokenValue::Bearer(secret)
        | TokenValue::Basic { password: secret, .. }
        | TokenValue::Header { key: secret, .. } => vec![secret.clone()],
        TokenValue::Aws { secret_access_key, session_token, .. } => {
            let mut secrets = vec![secret_access_key.clone()];
            secrets.extend(session_token.clone());
            secrets
        }
    }
}

#[cfg(test)]
mod tests;
