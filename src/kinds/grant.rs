//! The credentials that an attempt holds: got when it starts, gone when it is over.
//!
//! ```text
//!  binding ──token──▶ keeper ──▶ lease ──▶ file in the attempt's own folder, its path in a variable
//!                       │                  (or the token in a variable, or a header that the daemon adds)
//!                       └─ renewed ──▶ the file is replaced, as often as it takes
//! ```
//!
//! Owns what a program can see of a credential, and for how long. Refuses to know how a token is got, and
//! never hands out more than one: no refresh token, no client's secret, no key that makes tokens.

mod folder;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::join_all;
use jiff::Timestamp;
use tokio::sync::watch;
use zeroize::Zeroizing;

use super::AttemptContext;
use super::given::Environment;
use crate::credentials::evidence::Evidence;
use crate::credentials::keeper::{Keeper, Lease, Need, Refused, Use};
use crate::credentials::mint::{Token, TokenValue};
use crate::model::{
    Binding, Channel, CredentialClass, CredentialName, Failure, FailureClass, Outcome,
};
pub(super) use folder::Folder;
pub use folder::{base, sweep};

/// Who has the credentials, and where files with tokens go.
#[derive(Clone)]
pub(super) struct Access {
    keeper: Option<Arc<Keeper>>,
    base: PathBuf,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Access")
    }
}

/// What an attempt holds.
pub(super) struct Grants<'a> {
    keeper: Option<&'a Keeper>,
    whom: Use,
    held: Vec<Held<'a>>,
    folder: Option<Arc<Folder>>,
}

/// One credential that is held.
struct Held<'a> {
    binding: &'a Binding,
    lease: Mutex<Lease>,
    /// Tells of new generations; as long as it is there, the token is renewed ahead of its end.
    renewed: watch::Receiver<u64>,
}

/// What comes before the command that mends a credential, at the end of a message.
const FIX: &str = "; fix: ";

/// What follows where a program or a server refused a credential.
pub(super) enum Second {
    /// There is a newer token: the work is worth another try.
    Try,
    /// Nothing: the failure is the job's. The words say what was tried, where something was.
    No(Option<String>),
    /// The credential is what failed.
    Blocked(Failure),
}

impl Access {
    /// Access through this keeper, for attempts of this data dir.
    pub(super) fn new(keeper: Option<Arc<Keeper>>, data_dir: &Path) -> Self {
        Self { keeper, base: base(data_dir) }
    }

    /// The keeper, if there is one.
    pub(super) fn keeper(&self) -> Option<&Keeper> {
        self.keeper.as_deref()
    }

    /// The same, to keep.
    pub(super) fn shared_keeper(&self) -> Option<Arc<Keeper>> {
        self.keeper.clone()
    }
}

impl<'a> Grants<'a> {
    /// Gets a token for each binding, and writes those that a program reads from a file. An attempt that
    /// is stopped meanwhile waits for none; who asks a server on its behalf goes on, and others gain.
    pub(super) async fn take(
        access: &'a Access,
        bindings: &'a [Binding],
        attempt: &AttemptContext,
    ) -> Result<Self, Failure> {
        let mut stop = attempt.stop.clone();
        tokio::select! {
            biased;
            taken = Self::get(access, bindings, attempt) => taken,
            _ = stop.pulled() => {
                let message = "it was stopped before it had its credentials";
                Err(Failure::new(FailureClass::Cancelled, message))
            }
        }
    }

    async fn get(
        access: &'a Access,
        bindings: &'a [Binding],
        attempt: &AttemptContext,
    ) -> Result<Self, Failure> {
        let whom = Use { job: attempt.job.clone(), run: attempt.run };
        let mut grants = Self { keeper: access.keeper(), whom, held: Vec::new(), folder: None };
        for binding in bindings {
            let renewed = match grants.keeper {
                Some(keeper) => keeper.renewed(&binding.credential),
                None => return Err(nobody(binding)),
            };
            let lease = grants.lease(binding).await;
            let lease = lease.map_err(|refused| blocked(binding, refused, attempt.clock.now()))?;
            grants.held.push(Held { binding, lease: Mutex::new(lease), renewed });
        }
        if bindings.iter().any(is_file) {
            let name = format!("{}-{}", attempt.run, attempt.no);
            grants.folder = Some(Folder::make(access.base.join(name)).await?);
            for held in &grants.held {
                grants.write(held).await?;
            }
        }
        Ok(grants)
    }

    /// The variables of a program.
    pub(super) fn environment(&self) -> Result<Environment, Failure> {
        self.held.iter().map(|held| self.variable(held)).collect()
    }

    /// Those that hold a path and no secret.
    pub(super) fn files(&self) -> Environment {
        let files = self.held.iter().filter(|held| is_file(held.binding));
        files.filter_map(|held| self.variable(held).ok()).collect()
    }

    /// Replaces the files whenever their tokens are. Never returns.
    pub(super) async fn follow(&self) -> Outcome {
        join_all(
            self.held.iter().filter(|held| is_file(held.binding)).map(|held| self.renew(held)),
        )
        .await;
        std::future::pending().await
    }

    /// What follows where the work says that it was refused. A token is refreshed once. Where that is not
    /// enough, an exchange that just went well clears the credential: what a program says of itself must
    /// not hold up every other job of it. Of a key that is only read again nobody else can tell, so the
    /// keeper hears of it, where no other credential can be to blame.
    pub(super) async fn refused(&self, words: &str, again: bool, now: Timestamp) -> Second {
        if self.held.is_empty() {
            return Second::No(None);
        }
        if again && (self.held.len() > 1 || self.held.iter().any(|held| self.was_exchanged(held))) {
            return Second::No(Some(self.cleared("and a run with the fresh token ended alike")));
        }
        // One exchange a minute is enough to find out that a program says so whatever it is given.
        if !again && self.held.iter().all(|held| self.was_exchanged(held) && self.is_fresh(held)) {
            return Second::No(Some(self.cleared("for the same reason, a moment ago")));
        }
        for held in &self.held {
            match self.replace(held, words, again).await {
                Ok(Some(_)) => {}
                Ok(None) => return Second::No(None),
                Err(refused) => return Second::Blocked(blocked(held.binding, refused, now)),
            }
        }
        for held in &self.held {
            if let Err(failure) = self.write(held).await {
                return Second::Blocked(failure);
            }
        }
        if again { Second::No(None) } else { Second::Try }
    }

    /// Whether a new token of it comes from a server, which knows whether the credential works.
    fn was_exchanged(&self, held: &Held<'a>) -> bool {
        self.keeper.is_some_and(|keeper| keeper.exchanges(&held.binding.credential))
    }

    /// Whether it was refreshed for a refusal just now.
    fn is_fresh(&self, held: &Held<'a>) -> bool {
        let generation = held.lease().generation;
        self.keeper.is_some_and(|one| one.was_cured_lately(&held.binding.credential, generation))
    }

    /// Why the failure is the job's.
    fn cleared(&self, and: &str) -> String {
        let names = self.held.iter().map(|held| held.binding.credential.as_str());
        format!("{} was refreshed, {and}", names.collect::<Vec<_>>().join(", "))
    }

    /// Another token instead of the one that was refused.
    async fn replace(
        &self,
        held: &Held<'a>,
        words: &str,
        again: bool,
    ) -> Result<Option<u64>, Refused> {
        let Some(keeper) = self.keeper else { return Ok(None) };
        let generation = held.lease().generation;
        let evidence = Evidence::new(CredentialClass::TokenStale, words);
        let lease = keeper.refused(&held.binding.credential, generation, evidence, again).await?;
        let newer = lease.generation;
        *held.lease() = lease;
        Ok(Some(newer))
    }

    async fn lease(&self, binding: &Binding) -> Result<Lease, Refused> {
        let keeper = self.keeper.expect("who holds a credential got it from a keeper");
        let need = Need { min_ttl: binding.min_ttl, scopes: binding.scopes.clone() };
        keeper.token(&binding.credential, need, &self.whom).await
    }

    async fn renew(&self, held: &Held<'a>) {
        let mut renewed = held.renewed.clone();
        while renewed.changed().await.is_ok() {
            // Where there is no newer token, the old one is all that there is.
            let Ok(lease) = self.lease(held.binding).await else { continue };
            *held.lease() = lease;
            let _old_one_stays = self.write(held).await;
        }
    }

    /// Writes the file of a credential, where it has one.
    async fn write(&self, held: &Held<'a>) -> Result<(), Failure> {
        let (Some(folder), true) = (&self.folder, is_file(held.binding)) else { return Ok(()) };
        let content = content(&held.lease().token);
        folder.put(&held.binding.name, content).await
    }

    fn variable(&self, held: &Held<'a>) -> Result<(OsString, OsString), Failure> {
        let value = match &held.binding.channel {
            Channel::File(_) => {
                let folder = self.folder.as_ref().expect("it was made for this one");
                folder.path(&held.binding.name).into_os_string()
            }
            Channel::Variable(_) => match &held.lease().token.value {
                TokenValue::Bearer(token) | TokenValue::Header { key: token, .. } => {
                    token.expose().into()
                }
                TokenValue::Basic { .. } | TokenValue::Aws { .. } => {
                    let message = format!(
                        "{} is no access token, which is all that a variable may hold; bind it with \
                         `file:` instead of `env:`",
                        held.binding.credential
                    );
                    return Err(Failure::new(FailureClass::Permanent, message));
                }
            },
        };
        Ok((held.binding.channel.variable().into(), value))
    }
}

impl Held<'_> {
    fn lease(&self) -> std::sync::MutexGuard<'_, Lease> {
        self.lease.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_file(binding: &Binding) -> bool {
    matches!(binding.channel, Channel::File(_))
}

/// What stands in the file: of AWS the form that its tools read, else the token alone.
fn content(token: &Token) -> Zeroizing<String> {
    let text = match &token.value {
        TokenValue::Bearer(token) | TokenValue::Header { key: token, .. } => {
            token.expose().to_owned()
        }
        TokenValue::Basic { user, password } => format!("{user}:{}", password.expose()),
        TokenValue::Aws { access_key_id, secret_access_key, session_token } => {
            let session = session_token
                .as_ref()
                .map(|token| Zeroizing::new(format!("aws_session_token = {}\n", token.expose())));
            format!(
                "[default]\naws_access_key_id = {access_key_id}\naws_secret_access_key = {}\n{}",
                secret_access_key.expose(),
                session.as_deref().map_or("", String::as_str),
            )
        }
    };
    Zeroizing::new(text)
}

/// A folder of an attempt for what it gets on its way, beside that of its credentials. It goes with this, or at
/// the next start.
pub(super) async fn private(
    access: &Access,
    attempt: &AttemptContext,
    name: &str,
) -> Result<Arc<Folder>, Failure> {
    Folder::make(access.base.join(format!("{}-{}.{name}", attempt.run, attempt.no))).await
}

/// The failure of an attempt whose credential is refused. It blocks the run only as long as the credential
/// is known to be out of use: a run that is blocked by nothing would be tried again at once.
pub(super) fn blocked(binding: &Binding, refused: Refused, now: Timestamp) -> Failure {
    let credential = &binding.credential;
    let blocks = refused.standing.holds(binding, now);
    let fix = refused.mend.filter(|_| blocks);
    let message = refused.words + &fix.map_or_else(String::new, |fix| format!("{FIX}{fix}"));
    let failure = Failure::new(FailureClass::Unauthorized, message);
    Failure { blocked_by: blocks.then(|| credential.clone()), ..failure }
}

fn nobody(binding: &Binding) -> Failure {
    let message = format!("{}: nobody here holds credentials", binding.credential);
    Failure::new(FailureClass::Permanent, message)
}

/// Whether an outcome says that a credential was refused.
pub(super) fn is_refusal(outcome: &Outcome) -> Option<&Failure> {
    match outcome {
        Outcome::Failed(failure) if failure.class == FailureClass::Unauthorized => Some(failure),
        Outcome::Failed(_) | Outcome::Succeeded { .. } => None,
    }
}

/// The failure of a credential that came to light by how the work ended. What mends it comes last.
pub(super) fn because(work: &Failure, credential: Failure) -> Failure {
    let (words, fix) = match credential.message.split_once(FIX) {
        Some((words, fix)) => (words, format!("{FIX}{fix}")),
        None => (credential.message.as_str(), String::new()),
    };
    let message = format!("{words}; the work ended with: {}{fix}", work.message);
    Failure { message, exit_code: work.exit_code, ..credential }
}

/// The failure of a round of checks that a credential blocks.
pub(super) fn held_up(work: Failure, credential: Failure) -> Failure {
    let mut message = work.message;
    if let Some((_, fix)) = credential.message.split_once(FIX) {
        message.extend([FIX, fix]);
    }
    Failure { message, blocked_by: credential.blocked_by, ..work }
}

/// The standing of a credential, as far as anybody here knows it.
pub(super) fn standing(access: &Access, name: &CredentialName) -> Option<crate::model::Standing> {
    access.keeper()?.standings().borrow().get(name).cloned()
}

#[cfg(test)]
pub(super) mod tests;
