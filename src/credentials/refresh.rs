//! The one critical section: read, exchange, keep.
//!
//! Owns the order in which a grant is spent, so that neither a crash nor a second process turns into a
//! human's re-consent. The steps are numbered as they must come:
//!
//! 1. one flight a process (`keeper`); 2. the lock, across processes; 3. read again, and adopt what
//!    another process brought; 4. prove that the next record can be written; 5. journal the intent;
//! 6. the exchange, once; 7. write the record and make it last; 8. clear the journal; 9. an answer
//!    without a refresh token keeps the old one; 10. what could not be written stays in memory, under
//!    the lock, until it is.
//!
//! Refuses to know servers (`providers/`), and what a verdict does (`lifecycle`).

use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};

use super::audit::{Act, Audit};
use super::evidence::{Evidence, missing_scopes};
use super::folder::{Folder, Held, Journal, store};
use super::horizon;
use super::lifecycle::{self, Event, Facts, Leave, Success};
use super::mint::Minted;
use super::nature::Nature;
use super::record::{Grant, Record};
use crate::clock::Clock;
use crate::model::{CredentialClass as Class, CredentialState as State, Standing};

/// Why a token is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// One is needed that is good for so long, as of then.
    Stale {
        /// How long it must be good.
        min_ttl: Duration,
        /// When it was asked for: what was brought since is fresh enough, however short it lives.
        asked_at: Timestamp,
    },
    /// This generation will not do: it was refused, is to be renewed, or kept alive.
    Newer {
        /// The generation.
        than: u64,
    },
    /// An operator insists.
    Forced,
}

/// Asks the provider once, with the grant that it is given.
pub type Mint<'a> =
    &'a (dyn Fn(Option<Grant>) -> BoxFuture<'static, Result<Minted, Evidence>> + Send + Sync);

/// Where and how.
pub struct Ask<'a> {
    /// The credential.
    pub nature: &'a Nature,
    /// Where it lies.
    pub folder: &'a Folder,
    /// Where it is written down.
    pub audit: &'a Audit,
    /// The time.
    pub clock: &'a dyn Clock,
    /// Why.
    pub why: Why,
}

/// What a refresh came to.
pub struct Fresh {
    /// The record, with a token at hand.
    pub record: Record,
    /// The record could not be written: whoever gets this must try on, and hold it until then.
    pub unsaved: Option<Unsaved>,
}

/// A spent grant whose successor is in memory alone. It holds the lock, so that nobody spends the old one
/// again.
pub struct Unsaved {
    held: Held,
    record: Record,
    /// Why it could not be written.
    pub evidence: Evidence,
}

impl Unsaved {
    /// Tries to write it again.
    ///
    /// # Errors
    /// Itself, for the next try.
    pub async fn save(self) -> Result<(), Box<Self>> {
        let Self { mut held, record, .. } = self;
        off(move || match held.write(&record).and_then(|()| held.clear_journal()) {
            Ok(()) => Ok(()),
            Err(evidence) => Err(Box::new(Self { held, record, evidence })),
        })
        .await
    }
}

/// Why there is no token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// Where the credential stands now.
    pub standing: Box<Standing>,
    /// What was seen, if something was; otherwise nobody was asked.
    pub evidence: Option<Box<Evidence>>,
}

impl Failed {
    /// Where it stands, and what was seen.
    #[must_use]
    pub fn new(standing: Standing, evidence: Option<Evidence>) -> Self {
        Self { standing: Box::new(standing), evidence: evidence.map(Box::new) }
    }
}

/// Gets a token by the ten steps.
///
/// # Errors
/// [`Failed`] with the standing that follows, which is kept where it can be.
pub async fn refresh(ask: &Ask<'_>, mint: Mint<'_>) -> Result<Fresh, Failed> {
    let name = &ask.nature.name;
    step(2);
    let locked = ask.folder.lock(name, ask.nature.patience(), ask.clock).await;
    let read = locked.and_then(|held| held.read().map(|record| (held, record)));
    let (held, record) = match read {
        Ok(read) => read,
        Err(evidence) => return Err(out_of_reach(ask, None, evidence)),
    };
    step(3);
    let record = record.filter(|record| ask.nature.concerns(record));
    let record = record.unwrap_or_else(|| blank(ask));
    let held = match adopt(ask, &record) {
        Some(Ok(())) => return Ok(Fresh { record, unsaved: None }),
        Some(Err(failed)) => return Err(failed),
        None => held,
    };
    if ask.nature.has_grant && record.grant.is_none() {
        return Err(no_grant(ask, held, record).await);
    }
    let (held, lost) = match prepare(ask, held, &record).await {
        Ok(ready) => ready,
        Err(evidence) => return Err(out_of_reach(ask, Some(&record), evidence)),
    };
    let began = ask.clock.passed();
    step(6);
    let exchange = spend(&record, lost, mint).await;
    let latency = ask.clock.passed().saturating_sub(began);
    step(7);
    let turn = Turn { ask, latency };
    match exchange.answer {
        Ok(minted) => Ok(turn.keep(held, record, minted).await),
        Err(evidence) => Err(turn.fail(held, record, evidence, exchange.lost).await),
    }
}

/// Moves a standing by an event that is no exchange, under the lock; `fresh` says that the token which it
/// is about had been made because the one before was refused.
///
/// # Errors
/// [`Failed`] where the record can't be read or written.
pub async fn report(ask: &Ask<'_>, event: &Event, fresh: bool) -> Result<Record, Failed> {
    let held = ask.folder.lock(&ask.nature.name, ask.nature.patience(), ask.clock).await;
    let read = held.and_then(|held| held.read().map(|record| (held, record)));
    let (held, record) = read.map_err(|evidence| out_of_reach(ask, None, evidence))?;
    let record = record.filter(|record| ask.nature.concerns(record));
    let mut record = record.unwrap_or_else(|| blank(ask));
    let facts = Facts { fresh, ..facts(ask, &record, false) };
    let was = record.standing.clone();
    record.standing = lifecycle::advance(&was, event, ask.clock.now(), &facts);
    if record.standing == was {
        return Ok(record);
    }
    Turn { ask, latency: Duration::ZERO }.note_change(&was, &record);
    match write(held, record.clone(), false).await {
        Ok(_held) => Ok(record),
        Err(unsaved) => Err(out_of_reach(ask, Some(&record), unsaved.evidence)),
    }
}

/// A credential of which nothing is kept yet.
pub(super) fn blank(ask: &Ask<'_>) -> Record {
    Record {
        name: ask.nature.name.clone(),
        provider: ask.nature.provider.to_owned(),
        account: None,
        grant: None,
        previous: None,
        token: None,
        standing: Standing::unknown(ask.clock.now()),
        minted: 0,
    }
}

/// Whether the token at hand is good for so long.
#[must_use]
pub fn is_usable(standing: &Standing, min_ttl: Duration, now: Timestamp) -> bool {
    let needed = horizon::after(now, min_ttl.max(Standing::LEAST_TTL));
    standing.usable_until.is_some_and(|until| until >= needed)
}

/// Whether an exchange is out of place: a good token is at hand, or none may be asked for.
fn adopt(ask: &Ask<'_>, record: &Record) -> Option<Result<(), Failed>> {
    let (standing, now) = (&record.standing, ask.clock.now());
    if record.provider != ask.nature.provider {
        let path = ask.folder.record_path(&record.name);
        return Some(Err(out_of_reach(
            ask,
            Some(record),
            store(format!(
                "{} is of a `{}`, and jada.yaml declares a `{}`: move it away, or declare it as it was",
                path.display(),
                record.provider,
                ask.nature.provider
            )),
        )));
    }
    let refused = || Some(Err(Failed::new(standing.clone(), None)));
    let leave = lifecycle::leave(standing, ask.why == Why::Forced, now);
    if leave == Leave::Never {
        return refused();
    }
    let works = standing.state != State::Misconfigured && record.token.is_some();
    let serves = match ask.why {
        Why::Stale { min_ttl, asked_at } => {
            let since = standing.last_refresh.is_some_and(|last| last >= asked_at);
            is_usable(standing, if since { Duration::ZERO } else { min_ttl }, now)
        }
        Why::Newer { than } => {
            standing.generation > than && is_usable(standing, Duration::ZERO, now)
        }
        Why::Forced => false,
    };
    match leave {
        _ if works && serves => Some(Ok(())),
        Leave::Now => None,
        Leave::At(_) | Leave::Never => refused(),
    }
}

/// Nobody has logged in yet: written down, so that it is known since when.
async fn no_grant(ask: &Ask<'_>, held: Held, mut record: Record) -> Failed {
    let words = format!("nobody has logged in yet: jadactl auth login {}", record.name);
    let evidence = Evidence::new(Class::ReauthRequired, words);
    if record.standing.state != State::ReauthRequired {
        record.standing.state = State::ReauthRequired;
        record.standing.since = ask.clock.now();
    }
    record.standing.class = Some(Class::ReauthRequired);
    record.standing.words.clone_from(&evidence.words);
    record.standing.next_try = None;
    let standing = record.standing.clone();
    // Known in memory at least.
    let _kept = write(held, record, false).await.is_ok();
    Failed::new(standing, Some(evidence))
}

/// Steps 4 and 5. Says whether the answer to an earlier exchange of this grant is lost.
async fn prepare(ask: &Ask<'_>, mut held: Held, record: &Record) -> Result<(Held, bool), Evidence> {
    if !ask.nature.keeps_token {
        return Ok((held, false));
    }
    let fingerprint = match &record.grant {
        Some(grant) => ask.audit.fingerprint(grant.refresh_token.expose())?,
        None => String::new(),
    };
    let started = ask.clock.now();
    let journal = Journal { generation: record.standing.generation, fingerprint, started };
    let has_grant = record.grant.is_some();
    off(move || {
        step(4);
        held.prove_writable()?;
        if !has_grant {
            return Ok((held, false));
        }
        // One of an older generation is done: its record was written before it could be cleared.
        let lost = held.leftover()?.is_some_and(|left| left.fingerprint == journal.fingerprint);
        step(5);
        held.journal(&journal)?;
        Ok((held, lost))
    })
    .await
}

/// How the exchanges of one turn ended.
struct Exchange {
    answer: Result<Minted, Evidence>,
    /// Whether an answer may be lost.
    lost: bool,
}

/// Step 6: once, and once more where an answer was lost, with the same grant. Where that is refused too,
/// the grant before it may be the one that the server still takes.
async fn spend(record: &Record, mut lost: bool, mint: Mint<'_>) -> Exchange {
    let mut answer = mint(record.grant.clone()).await;
    if class(&answer) == Some(Class::AmbiguousCommit) {
        lost = true;
        answer = mint(record.grant.clone()).await;
    }
    if lost
        && class(&answer) == Some(Class::ReauthRequired)
        && let Some(previous) = &record.previous
    {
        let second = mint(Some(previous.clone())).await;
        // What the older one is refused with says nothing new.
        if second.is_ok() {
            answer = second;
        }
    }
    Exchange { answer, lost }
}

fn class(answer: &Result<Minted, Evidence>) -> Option<Class> {
    answer.as_ref().err().map(|evidence| evidence.class)
}

/// The end of one exchange.
struct Turn<'a> {
    ask: &'a Ask<'a>,
    latency: Duration,
}

impl Turn<'_> {
    /// Steps 7 to 10.
    async fn keep(&self, held: Held, mut record: Record, minted: Minted) -> Fresh {
        let now = self.ask.clock.now();
        let first = record.token.is_none() && record.minted == 0;
        let was = record.standing.clone();
        let success = take_in(&mut record, &minted, &self.ask.nature.scopes, now);
        let facts = facts(self.ask, &record, false);
        let event = Event::Succeeded(success);
        record.standing = lifecycle::advance(&was, &event, now, &facts);
        let act = if first { Act::Mint } else { Act::RefreshOk };
        self.note(&record, act, None, minted.skew);
        self.note_change(&was, &record);
        let mut kept = record.clone();
        if !self.ask.nature.keeps_token {
            kept.token = None;
        }
        let unsaved = match write(held, kept, true).await {
            Ok(_held) => None,
            // Nothing was spent, and the source has the token at any time.
            Err(unsaved) if !self.ask.nature.has_grant => {
                tracing::warn!(credential = %record.name, "not kept: {}", unsaved.evidence.words);
                None
            }
            Err(unsaved) => Some(*unsaved),
        };
        Fresh { record, unsaved }
    }

    async fn fail(&self, held: Held, mut record: Record, evidence: Evidence, lost: bool) -> Failed {
        let now = self.ask.clock.now();
        let was = record.standing.clone();
        let facts = facts(self.ask, &record, lost);
        let event = Event::Failed { evidence: evidence.clone(), generation: was.generation };
        record.standing = lifecycle::advance(&was, &event, now, &facts);
        self.note(&record, Act::RefreshFail, Some(&evidence), evidence.skew);
        self.note_change(&was, &record);
        let standing = record.standing.clone();
        // The journal stays while an answer may still be out: the next try must know.
        let answered = evidence.class != Class::AmbiguousCommit
            && !(lost && evidence.class != Class::ReauthRequired);
        if let Err(unsaved) = write(held, record, answered).await {
            let words = &unsaved.evidence.words;
            tracing::warn!(credential = %self.ask.nature.name, "its standing is not kept: {words}");
        }
        Failed::new(standing, Some(evidence))
    }

    fn note(
        &self,
        record: &Record,
        act: Act,
        evidence: Option<&Evidence>,
        skew: Option<SignedDuration>,
    ) {
        let mut entry = self.ask.audit.entry(record, act, self.ask.clock.now());
        entry.client = self.ask.nature.client_tail();
        entry.latency_ms = u64::try_from(self.latency.as_millis()).ok();
        entry.skew_ms = skew.and_then(|skew| i64::try_from(skew.as_millis()).ok());
        if let Some(evidence) = evidence {
            entry.status = evidence.status;
            entry.error = evidence.code();
            entry.words = Some(evidence.words.clone());
        }
        self.ask.audit.note(&entry);
    }

    fn note_change(&self, was: &Standing, record: &Record) {
        if was.state != record.standing.state {
            self.note(record, Act::StateChange, None, None);
        }
    }
}

/// What a standing depends on where the record is out of reach.
#[must_use]
pub fn memory_facts(nature: &Nature) -> Facts {
    Facts {
        name: nature.name.clone(),
        rotates: nature.rotates.unwrap_or(true),
        lost_answer: false,
        fresh: false,
        consents: nature.has_grant,
        refreshes: nature.refreshes,
        horizon: None,
    }
}

/// What a standing depends on besides itself.
pub(super) fn facts(ask: &Ask<'_>, record: &Record, lost_answer: bool) -> Facts {
    let nature = ask.nature;
    Facts {
        // One that ever replaced its refresh token does so always; as long as nobody knows, it does.
        rotates: nature.rotates.unwrap_or(record.previous.is_some() || record.minted == 0),
        lost_answer,
        horizon: horizon::of(record, &nature.terms),
        ..memory_facts(nature)
    }
}

/// Puts what an exchange brought into the record.
fn take_in(record: &mut Record, minted: &Minted, wanted: &[String], now: Timestamp) -> Success {
    let generation = record.standing.generation + 1;
    if let Some(grant) = &mut record.grant {
        if !minted.ends.is_empty() {
            grant.ends.clone_from(&minted.ends);
        }
        if let Some(refresh_token) = &minted.refresh_token
            && *refresh_token != grant.refresh_token
        {
            let next = Grant {
                refresh_token: refresh_token.clone(),
                generation,
                obtained_at: now,
                ..grant.clone()
            };
            record.previous = Some(std::mem::replace(grant, next));
        }
    }
    record.token = Some(minted.token.clone());
    if record.account.is_none() {
        record.account.clone_from(&minted.account);
    }
    record.minted += 1;
    // The horizon by disuse counts from now.
    record.standing.last_refresh = Some(now);
    let missing = |granted: &Vec<String>| missing_scopes(wanted, Some(granted));
    Success {
        generation,
        usable_until: minted.token.expires_at.unwrap_or(Timestamp::MAX),
        missing_scopes: minted.token.scopes.as_ref().map(missing),
        skew: minted.skew,
    }
}

/// Steps 7 and 8.
async fn write(mut held: Held, record: Record, clear: bool) -> Result<Held, Box<Unsaved>> {
    off(move || {
        let written = held.write(&record);
        step(8);
        let done = written.and_then(|()| if clear { held.clear_journal() } else { Ok(()) });
        step(9);
        match done {
            Ok(()) => Ok(held),
            Err(evidence) => Err(Box::new(Unsaved { held, record, evidence })),
        }
    })
    .await
}

/// The folder can't be used: nobody is asked, and the standing says so in memory alone.
fn out_of_reach(ask: &Ask<'_>, record: Option<&Record>, evidence: Evidence) -> Failed {
    let blank = blank(ask);
    let record = record.unwrap_or(&blank);
    let (was, facts) = (&record.standing, facts(ask, record, false));
    let event = Event::Failed { evidence: evidence.clone(), generation: was.generation };
    let standing = lifecycle::advance(was, &event, ask.clock.now(), &facts);
    Failed::new(standing, Some(evidence))
}

/// Does what waits for a disk where nothing else waits.
pub(super) async fn off<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("work with files does not panic")
}

/// A place where a test can end the process.
#[cfg(not(test))]
fn step(_number: u32) {}

#[cfg(test)]
use tests::step;

#[cfg(test)]
mod tests;
