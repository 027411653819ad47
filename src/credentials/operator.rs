//! What an operator does to a credential by hand.
//!
//! Owns how a grant is put in its place and taken away, and how a drill is staged: under the lock, written
//! whole, and in the audit. Refuses to ask servers (`providers`, `login`) and people (`cli`).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use oauth2::HttpRequest;
use oauth2::http::Request;
use oauth2::url::Url;
use zeroize::Zeroizing;

use super::audit::{Act, Entry};
use super::declare::Declaration;
use super::evidence::{Evidence, missing_scopes};
use super::lifecycle::{self, Event, Facts, Success};
use super::login::Consent;
use super::mint::TokenValue;
use super::record::{Grant, Record};
use super::refresh::{self, Ask};
use crate::model::{CredentialClass as Class, Standing};

/// Failures of this long are an incident by themselves.
const LONG: Duration = Duration::from_secs(11 * 60);

/// A refusal has been confirmed after so long.
const CONFIRMED: Duration = Duration::from_secs(61);

/// A record before and after a change.
pub struct Changed {
    /// What was kept before, where something was.
    pub before: Option<Record>,
    /// What is kept now.
    pub now: Record,
}

/// A trouble that is staged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The grant is dead.
    InvalidGrant,
    /// The token endpoint has been down for long.
    Unavailable,
    /// This host's clock is off.
    Skew,
}

impl Fault {
    /// What would have been seen.
    fn evidence(self) -> Evidence {
        let (class, error, status, what) = match self {
            Self::InvalidGrant => {
                let what = "HTTP 400 invalid_grant";
                (Class::ReauthRequired, Some("invalid_grant"), Some(400), what)
            }
            Self::Unavailable => (Class::Transient, None, Some(503), "HTTP 503"),
            Self::Skew => (Class::ClockSkew, None, None, "the clocks differ"),
        };
        let words = format!("{}: {what}", Standing::DRILL);
        Evidence { error: error.map(str::to_owned), status, ..Evidence::new(class, words) }
    }

    /// How long ago it began, so that nobody has to wait for what takes its time.
    fn age(self) -> Duration {
        match self {
            Self::InvalidGrant => CONFIRMED,
            Self::Unavailable => LONG,
            Self::Skew => Duration::ZERO,
        }
    }
}

/// Makes sure that a consent can be kept, before a person is sent for one. What is kept now, if anything.
///
/// # Errors
/// Evidence of class `local-store`.
pub async fn begin(ask: &Ask<'_>) -> Result<Option<Record>, Evidence> {
    let mut held = ask.folder.lock(&ask.nature.name, ask.nature.patience(), ask.clock).await?;
    let record = held.read()?;
    refresh::off(move || held.prove_writable()).await?;
    let known = record.clone().unwrap_or_else(|| refresh::blank(ask));
    note(ask, &known, Act::ReauthStart, |_| {});
    Ok(record)
}

/// Puts a grant in place that nobody has consent.
///
/// # Errors
/// Evidence of class `local-store`; nothing has changed.
pub async fn import(
    ask: &Ask<'_>,
    grant: Grant,
    account: Option<String>,
) -> Result<Changed, Evidence> {
    let changed = change(ask, |record| {
        let generation = replace(record, grant);
        record.token = None;
        record.account = account.or(record.account.take());
        record.standing.last_refresh = None;
        advanced(ask, record, &Event::Replaced { generation });
    })
    .await?;
    note(ask, &changed.now, Act::Import, |_| {});
    Ok(changed)
}

/// Puts a consent in place that has been consent.
///
/// # Errors
/// Evidence of class `local-store`; nothing has changed.
pub async fn consent(ask: &Ask<'_>, consent: Consent) -> Result<Changed, Evidence> {
    let now = ask.clock.now();
    let changed = change(ask, |record| {
        let granted = consent.token.scopes.clone();
        let usable_until = consent.token.expires_at.unwrap_or(Timestamp::MAX);
        let generation = replace(record, consent.grant);
        record.token = Some(consent.token);
        record.minted = 1;
        record.account = consent.account.or(record.account.take());
        record.standing.last_refresh = Some(now);
        let success = Success {
            generation,
            usable_until,
            missing_scopes: granted
                .map(|granted| missing_scopes(&ask.nature.scopes, Some(&granted))),
            skew: None,
        };
        advanced(ask, record, &Event::Consented(success));
    })
    .await?;
    note(ask, &changed.now, Act::ReauthFinish, |_| {});
    Ok(changed)
}

/// Puts back what an import took the place of, unless somebody has changed it since. Says whether it did.
///
/// # Errors
/// Evidence of class `local-store`.
pub async fn put_back(ask: &Ask<'_>, before: Record, of: u64) -> Result<bool, Evidence> {
    let mut done = false;
    let changed = change(ask, |record| {
        if record.standing.generation == of {
            done = true;
            *record = before;
            // A later generation than the one that is taken back, or nobody would adopt it.
            record.standing.generation = of + 1;
        }
    })
    .await?;
    if done {
        note(ask, &changed.now, Act::Import, |entry| {
            entry.words = Some("the import was refused: the grant before it is back".to_owned());
        });
    }
    Ok(done)
}

/// Says that something of it was exchanged by hand: what is known of the one before holds no longer.
///
/// # Errors
/// Evidence of class `local-store`; nothing has changed.
pub async fn rotated(ask: &Ask<'_>) -> Result<Changed, Evidence> {
    let changed = change(ask, |_| {}).await?;
    note(ask, &changed.now, Act::Rotate, |_| {});
    Ok(changed)
}

/// Forgets its grant and token, and calls it revoked.
///
/// # Errors
/// Evidence of class `local-store`; nothing has changed.
pub async fn forget(ask: &Ask<'_>) -> Result<Changed, Evidence> {
    let changed = change(ask, |record| {
        record.grant = None;
        record.previous = None;
        record.token = None;
        record.standing.generation += 1;
        advanced(ask, record, &Event::Revoked);
    })
    .await?;
    note(ask, &changed.now, Act::Revoke, |_| {});
    Ok(changed)
}

/// Stages a trouble: its evidence moves the standing as a real one would, at the pace of real ones, which
/// have gone on for as long as it takes to be told. The grant and the token stay as they are.
///
/// # Errors
/// Evidence of class `local-store`; nothing has changed.
pub async fn drill(ask: &Ask<'_>, fault: Fault) -> Result<Changed, Evidence> {
    let evidence = fault.evidence();
    let changed = change(ask, |record| {
        let facts = refresh::facts(ask, record, false);
        let now = ask.clock.now();
        record.standing = staged(&record.standing, fault, now, &facts);
    })
    .await?;
    note(ask, &changed.now, Act::StateChange, |entry| {
        entry.status = evidence.status;
        entry.error = evidence.code();
        entry.words = Some(evidence.words.clone());
    });
    Ok(changed)
}

/// A read of an address with a token, where the declaration lets it go there.
///
/// # Errors
/// What speaks against it, in words.
pub fn read_with(
    declaration: &Declaration,
    token: &TokenValue,
    address: &str,
) -> Result<HttpRequest, String> {
    let url = Url::parse(address).map_err(|_| "it is no address".to_owned())?;
    let host = url.host_str().unwrap_or_default();
    if !declaration.may_go_to(host, url.port()) {
        let hosts = declaration.allowed_hosts().join(", ");
        let hosts = if hosts.is_empty() { "none: name `hosts` in jada.yaml" } else { &hosts };
        return Err(format!("{} may not go there; its hosts: {hosts}", declaration.name));
    }
    let is_here = host == "localhost" || host.starts_with("127.") || host == "[::1]";
    if url.scheme() != "https" && !is_here {
        return Err("a token goes over https only".to_owned());
    }
    let (name, value) = match token {
        TokenValue::Bearer(token) => ("authorization", format!("Bearer {}", token.expose())),
        TokenValue::Basic { user, password } => {
            let pair = Zeroizing::new(format!("{user}:{}", password.expose()));
            ("authorization", format!("Basic {}", STANDARD.encode(pair.as_bytes())))
        }
        TokenValue::Header { name, key } => (name.as_str(), key.expose().to_owned()),
        TokenValue::Aws { .. } => return Err("requests are signed by the job itself".to_owned()),
    };
    let request = Request::builder().uri(url.as_str()).header(name, value).body(Vec::new());
    request.map_err(|_| "the request can't be put together".to_owned())
}

/// The standing after a fault that has gone on for a while.
fn staged(was: &Standing, fault: Fault, now: Timestamp, facts: &Facts) -> Standing {
    let evidence = fault.evidence();
    let event = Event::Failed { evidence: evidence.clone(), generation: was.generation };
    // The token is good, and must not hide what would be seen once it is over.
    let mut standing = Standing { usable_until: None, ..was.clone() };
    let mut at = now.checked_sub(fault.age()).unwrap_or(now);
    loop {
        standing = lifecycle::advance(&standing, &event, at, facts);
        match standing.next_try {
            Some(next) if next <= now => at = next,
            _ => break,
        }
    }
    standing.words = evidence.words;
    // Nobody had to mend it.
    standing.deaths.clone_from(&was.deaths);
    standing
}

/// Puts a grant in the place of another one, and gives it the next generation.
fn replace(record: &mut Record, grant: Grant) -> u64 {
    let generation = record.standing.generation + 1;
    record.grant = Some(Grant { generation, ..grant });
    // The one before is of another consent: it must not be tried again.
    record.previous = None;
    record.minted = 0;
    generation
}

fn advanced(ask: &Ask<'_>, record: &mut Record, event: &Event) {
    let facts = refresh::facts(ask, record, false);
    record.standing = lifecycle::advance(&record.standing, event, ask.clock.now(), &facts);
}

/// Changes a record under its lock. One of another provider gives way to a new one.
async fn change(ask: &Ask<'_>, edit: impl FnOnce(&mut Record)) -> Result<Changed, Evidence> {
    let name = &ask.nature.name;
    let mut held = ask.folder.lock(name, ask.nature.patience(), ask.clock).await?;
    let before = held.read()?;
    let mut now = refresh::blank(ask);
    match &before {
        Some(record) if record.provider == ask.nature.provider => now = record.clone(),
        Some(other) => now.standing.generation = other.standing.generation,
        None => {}
    }
    edit(&mut now);
    let record = now.clone();
    refresh::off(move || {
        held.prove_writable()?;
        held.write(&record)?;
        held.clear_journal()
    })
    .await?;
    Ok(Changed { before, now })
}

fn note(ask: &Ask<'_>, record: &Record, act: Act, tell: impl FnOnce(&mut Entry)) {
    let mut entry = ask.audit.entry(record, act, ask.clock.now());
    tell(&mut entry);
    ask.audit.note(&entry);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CredentialName, CredentialState as State};

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn facts(rotates: bool) -> Facts {
        Facts {
            name: CredentialName::parse("test/one").unwrap(),
            rotates,
            lost_answer: false,
            fresh: false,
            consents: true,
            refreshes: true,
            horizon: None,
        }
    }

    #[test]
    fn a_drill_ends_where_the_real_trouble_does() {
        let now = at("2026-11-25T09:00:00Z");
        let healthy = Standing {
            state: State::Healthy,
            generation: 7,
            usable_until: Some(at("2026-11-25T09:50:00Z")),
            ..Standing::unknown(at("2026-11-01T00:00:00Z"))
        };
        for (fault, rotates, state) in [
            (Fault::InvalidGrant, false, State::ReauthRequired),
            (Fault::InvalidGrant, true, State::ReauthRequired),
            (Fault::Unavailable, false, State::RefreshFailing),
            (Fault::Skew, true, State::Skewed),
        ] {
            let standing = staged(&healthy, fault, now, &facts(rotates));
            assert_eq!(standing.state, state, "{fault:?}");
            assert!(standing.is_drill(), "{fault:?}");
            assert!(lifecycle::must_be_told(&standing, now), "{fault:?}: people would not be told");
            assert!(standing.deaths.is_empty(), "{fault:?}: nobody had to mend it");
            assert_eq!(standing.generation, 7, "{fault:?}: the grant is the same");
            let leave = lifecycle::leave(&standing, true, now);
            assert_eq!(leave, lifecycle::Leave::Now, "{fault:?}: a refresh ends it");
        }
    }
}
