//! Credentials, as what every other folder needs to know of them: names, bindings, standings.
//!
//! Owns the words. Refuses to know any secret, and when a credential moves from one state to another:
//! that is `credentials::lifecycle`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::id::{NameError, check_name};

/// A credential's name: a name, or two with a slash between, such as `google/ops`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CredentialName(Arc<str>);

impl CredentialName {
    /// Parses a name.
    ///
    /// # Errors
    /// [`NameError`] says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        match text.split_once('/') {
            Some((group, name)) => check_name(group).and_then(|()| check_name(name))?,
            None => check_name(text)?,
        }
        Ok(Self(text.into()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CredentialName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A credential under the name that a job uses for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The job's own name for it.
    pub name: Arc<str>,
    /// The credential.
    pub credential: CredentialName,
    /// What the job needs of it; empty asks for nothing beyond what it is good for.
    pub scopes: Vec<String>,
    /// An attempt starts only with a token that is good for at least so long.
    pub min_ttl: Duration,
    /// How a program of the job gets it.
    pub channel: Channel,
}

/// How a program gets a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Channel {
    /// In a file of its own, whose path is in this variable; replaced whenever the token is.
    File(String),
    /// In this variable. It only ever holds an access token.
    Variable(String),
}

impl Channel {
    /// The variable, whatever it holds.
    #[must_use]
    pub fn variable(&self) -> &String {
        match self {
            Self::File(variable) | Self::Variable(variable) => variable,
        }
    }
}

/// Where a credential stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CredentialState {
    /// New, imported, or changed by hand: nobody has tried it.
    Unknown,
    /// It works.
    Healthy,
    /// It works, and its known end is near.
    Expiring,
    /// It can't be refreshed for now; a token that is still good goes on.
    RefreshFailing,
    /// A person has to consent again.
    ReauthRequired,
    /// It was revoked on purpose.
    Revoked,
    /// The operator has to mend the client, a key, a policy or the folder.
    Misconfigured,
    /// This host's clock is off, and the other side refuses what it signs or says.
    Skewed,
    /// The operator holds it.
    Paused,
}

impl CredentialState {
    /// The word in API and command line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Healthy => "healthy",
            Self::Expiring => "expiring",
            Self::RefreshFailing => "refresh-failing",
            Self::ReauthRequired => "reauth-required",
            Self::Revoked => "revoked",
            Self::Misconfigured => "misconfigured",
            Self::Skewed => "skewed",
            Self::Paused => "paused",
        }
    }
}

/// What kind of trouble it is: the classes of the error table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CredentialClass {
    /// No answer, or a server's own failure: rows 1, 3, 4.
    Transient,
    /// The answer to a refresh was lost, and the token may be spent: row 2.
    AmbiguousCommit,
    /// The token endpoint asks for patience: row 5.
    RateLimited,
    /// A success that is none: HTML, no token in it: row 6.
    Unintelligible,
    /// The grant is dead: row 7.
    ReauthRequired,
    /// A session policy ended the grant, and will again: row 8.
    ReauthPolicy,
    /// The account or key behind it is gone: row 9.
    PrincipalGone,
    /// The clocks differ: row 10.
    ClockSkew,
    /// The client is unknown, deleted, disabled or not allowed this: rows 11, 12, 19.
    ClientMisconfigured,
    /// A scope or a policy of the other side forbids it: row 13.
    ScopePolicy,
    /// A request that no server would accept: ours or the settings' fault: row 14.
    Software,
    /// A refusal without a reason in it: row 15.
    UnclassifiedRefusal,
    /// What was granted is less than what is needed: rows 16, 18.
    ScopeMissing,
    /// The access token was refused before its time: row 17.
    TokenStale,
    /// One resource refuses it; the credential is well: row 20.
    Permission,
    /// A quota of the API; the credential is well: row 21.
    Quota,
    /// The folder or a file of ours can't be read, written or trusted: row 27.
    LocalStore,
    /// The program or vault that gives it fails: row 28.
    SourceFailing,
    /// It was revoked on purpose: row 7 after our own revocation.
    Revoked,
    /// A known end has passed.
    Expired,
}

impl CredentialClass {
    /// The word in API and command line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::AmbiguousCommit => "ambiguous-commit",
            Self::RateLimited => "rate-limited",
            Self::Unintelligible => "unintelligible",
            Self::ReauthRequired => "reauth-required",
            Self::ReauthPolicy => "reauth-policy",
            Self::PrincipalGone => "principal-gone",
            Self::ClockSkew => "clock-skew",
            Self::ClientMisconfigured => "client-misconfigured",
            Self::ScopePolicy => "scope-policy",
            Self::Software => "software",
            Self::UnclassifiedRefusal => "unclassified-refusal",
            Self::ScopeMissing => "scope-missing",
            Self::TokenStale => "token-stale",
            Self::Permission => "permission",
            Self::Quota => "quota",
            Self::LocalStore => "local-store",
            Self::SourceFailing => "source-failing",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
        }
    }

    /// The class in plain words, as the end of a sentence that begins with the credential's name.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Transient => "its server does not answer",
            Self::AmbiguousCommit => "the answer to its last refresh was lost",
            Self::RateLimited => "its server asks for patience",
            Self::Unintelligible => "its server's answer is none (a proxy or a login page?)",
            Self::ReauthRequired => "its grant is no longer valid: expired, revoked, or replaced",
            Self::ReauthPolicy => "a session policy ended its grant, and will again",
            Self::PrincipalGone => "the account or key behind it is gone",
            Self::ClockSkew => "this host's clock and the server's differ",
            Self::ClientMisconfigured => "its client is unknown, disabled or not allowed this",
            Self::ScopePolicy => "a scope or a policy of the other side forbids it",
            Self::Software => "the server calls the request malformed",
            Self::UnclassifiedRefusal => "its server refuses and gives no reason",
            Self::ScopeMissing => "it was granted less than its jobs need",
            Self::TokenStale => "its fresh token is refused",
            Self::Permission => "one resource refuses it",
            Self::Quota => "a quota is used up",
            Self::LocalStore => "what is kept of it can't be read, written or trusted",
            Self::SourceFailing => "the program or file that gives it fails",
            Self::Revoked => "it was revoked on purpose",
            Self::Expired => "its known end has passed",
        }
    }
}

/// A known end of a credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownEnd {
    /// When.
    pub at: Timestamp,
    /// Which clock says so, in words: `declared by the server`, `7 days of testing mode`.
    pub clock: String,
}

/// How a credential does: everything that is known besides its secrets. Kept with it, under one lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Where it stands.
    pub state: CredentialState,
    /// The class of the trouble, where there is some.
    pub class: Option<CredentialClass>,
    /// The server's code for it, such as `invalid_grant` or `invalid_grant/invalid_rapt`.
    pub error: Option<String>,
    /// What was last seen of the trouble, in plain words without any secret; empty where there is none.
    #[serde(default)]
    pub words: String,
    /// Since when it is in this state.
    pub since: Timestamp,
    /// Counts up with every new grant or token: what a verdict is about.
    pub generation: u64,
    /// When it was last refreshed or minted with success.
    pub last_refresh: Option<Timestamp>,
    /// The earliest known end; `None` is "no declared end", never "for ever".
    pub horizon: Option<KnownEnd>,
    /// Until when the token at hand is good, where there is one.
    pub usable_until: Option<Timestamp>,
    /// Scopes that its jobs need and that were not granted.
    pub missing_scopes: Vec<String>,
    /// Tries that failed in a row.
    pub failures: u32,
    /// Not before this time is it tried again.
    pub next_try: Option<Timestamp>,
    /// Earlier times at which it had to be mended by a person, oldest first.
    pub deaths: Vec<Timestamp>,
}

impl Standing {
    /// A credential that nobody has tried.
    #[must_use]
    pub fn unknown(now: Timestamp) -> Self {
        Self {
            state: CredentialState::Unknown,
            class: None,
            error: None,
            words: String::new(),
            since: now,
            generation: 0,
            last_refresh: None,
            horizon: None,
            usable_until: None,
            missing_scopes: Vec::new(),
            failures: 0,
            next_try: None,
            deaths: Vec::new(),
        }
    }

    /// The kind of its trouble in plain words. A grant that nobody has given yet did not end.
    #[must_use]
    pub fn cause(&self) -> Option<&'static str> {
        match self.class? {
            CredentialClass::ReauthRequired if self.generation == 0 && self.error.is_none() => {
                Some("nobody has logged in yet")
            }
            class => Some(class.sentence()),
        }
    }

    /// How the words of a trouble begin that an operator has staged.
    pub const DRILL: &str = "simulated by an operator";

    /// Whether its trouble is a drill.
    #[must_use]
    pub fn is_drill(&self) -> bool {
        self.words.starts_with(Self::DRILL)
    }

    /// A token that is good for less is no token: a request takes its time.
    pub const LEAST_TTL: Duration = Duration::from_secs(30);

    /// The one command that mends it, or that looks again once its words are followed; `None` where there
    /// is nothing to mend. `consents` says whether a person can log in to it.
    #[must_use]
    pub fn mend(&self, name: &CredentialName, consents: bool) -> Option<String> {
        use CredentialClass as Class;
        // An end that the settings declare is that of a key; every other one is that of a consent.
        let of_key = self.horizon.as_ref().is_some_and(|end| end.clock.contains("expires_on"));
        let verb = match (self.state, self.class) {
            (CredentialState::Healthy, _) | (CredentialState::Unknown, None) => return None,
            _ if self.is_drill() => "refresh",
            (CredentialState::Paused, _) => "resume",
            (CredentialState::Expiring, _) if of_key => "rotate",
            (_, Some(Class::Expired | Class::PrincipalGone)) => "rotate",
            (
                CredentialState::Expiring
                | CredentialState::Revoked
                | CredentialState::ReauthRequired,
                _,
            )
            | (_, Some(Class::ReauthRequired | Class::ReauthPolicy))
                if consents =>
            {
                "login"
            }
            _ => "refresh",
        };
        // It can't be typed without the file that the new secret is in.
        let from = if verb == "rotate" { " --from FILE" } else { "" };
        Some(format!("jadactl auth {verb} {name}{from}"))
    }

    /// Whether an attempt with this binding can't start, by what is known without asking anybody.
    #[must_use]
    pub fn holds(&self, binding: &Binding, now: Timestamp) -> bool {
        match self.state {
            CredentialState::Unknown | CredentialState::Healthy | CredentialState::Expiring => {
                false
            }
            CredentialState::ReauthRequired
                if self.class == Some(CredentialClass::ScopeMissing) =>
            {
                // It works for whoever needs no more than was granted.
                let missing = |scope: &String| self.missing_scopes.contains(scope);
                binding.scopes.is_empty() || binding.scopes.iter().any(missing)
            }
            CredentialState::RefreshFailing | CredentialState::Skewed => {
                let ttl = binding.min_ttl.max(Self::LEAST_TTL);
                let needed = now.saturating_add(ttl).unwrap_or(Timestamp::MAX);
                self.usable_until.is_none_or(|until| until < needed)
            }
            CredentialState::ReauthRequired
            | CredentialState::Revoked
            | CredentialState::Misconfigured
            | CredentialState::Paused => true,
        }
    }
}
