//! One try to tell somebody something.
//!
//! Owns the ways and what a failure is to be blamed on. Refuses to try twice, and to know what else waits
//! (`decide`).

mod command;
mod email;
mod forms;
mod last_resort;
mod webhook;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::message::{self, Message};
use super::settings::{Alerts, Given, LAST_RESORT, Way};
use crate::clock::{Clock, within};
use crate::credentials::declare::SecretPlace;
use crate::credentials::keeper::Keeper;
use crate::credentials::providers::{World, read_place};
use crate::credentials::redact::{MARK, Redactor};
use crate::credentials::secret::Secret;
use crate::model::{Blame, CredentialName};

/// Why somebody was not told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What to mend, or wait for.
    pub blame: Blame,
    /// In words, without secrets.
    pub words: String,
    /// How long the other side asks to wait.
    pub retry_after: Option<Duration>,
}

impl Failure {
    fn settings(words: impl Into<String>) -> Self {
        Self { blame: Blame::Settings, words: words.into(), retry_after: None }
    }

    fn line(words: impl Into<String>) -> Self {
        Self { blame: Blame::Line, words: words.into(), retry_after: None }
    }
}

/// What it takes to tell somebody.
pub struct Ways {
    /// The settings.
    pub alerts: Arc<Alerts>,
    /// The daemon's data folder: the last resort writes there.
    pub data: PathBuf,
    /// Who has the credentials, where there are some.
    pub keeper: Option<Arc<Keeper>>,
    /// The network, the environment and the places of secrets.
    pub world: World,
    /// What must not get out.
    pub redactor: Arc<Redactor>,
}

impl fmt::Debug for Ways {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ways").field("data", &self.data).finish_non_exhaustive()
    }
}

impl Ways {
    /// Tells somebody, once. A success says what was answered.
    ///
    /// # Errors
    /// Why nobody was told.
    pub async fn tell(&self, notifier: &str, message: Message) -> Result<String, Failure> {
        let message = self.without_secrets(message);
        let told = if notifier == LAST_RESORT {
            last_resort::tell(self, &message).await
        } else {
            match self.alerts.notifiers.get(notifier).map(|one| &one.way) {
                Some(Way::Webhook(webhook)) => webhook::tell(self, webhook, &message).await,
                Some(Way::Email(email)) => email::tell(self, email, &message).await,
                Some(Way::Command(program)) => command::tell(self, program, &message).await,
                None => Err(Failure::settings("jada.yaml has no such notifier")),
            }
        };
        told.map_err(|failure| Failure {
            words: message::line(&self.redactor.hide(&failure.words)),
            ..failure
        })
    }

    /// Whatever found its way into an incident, a live secret does not leave with it.
    fn without_secrets(&self, message: Message) -> Message {
        let hide = |text: &str| self.redactor.hide(text);
        let body = self.redactor.hide(&message.body.to_string());
        Message {
            subject: hide(&message.subject),
            text: hide(&message.text),
            // A mark has nothing in it that JSON would mind; should a form of a secret span quotes, the
            // words alone go out.
            body: serde_json::from_str(&body)
                .unwrap_or_else(|_| serde_json::json!({ "event": message.event, "subject": MARK })),
            ..message
        }
    }

    fn clock(&self) -> &dyn Clock {
        &*self.world.clock
    }

    /// Works for so long at most.
    async fn within<T>(
        &self,
        time: Duration,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let late = || Err(Failure::line(format!("no answer within {} s", time.as_secs())));
        within(self.clock(), time, work).await.unwrap_or_else(late)
    }

    /// A secret from its place.
    async fn secret(&self, place: &SecretPlace) -> Result<Secret, Failure> {
        let read = read_place(place, &self.world).await;
        read.map_err(|evidence| Failure::settings(evidence.words))
    }

    /// A text, from its place where it is a secret.
    async fn text(&self, given: &Given) -> Result<Secret, Failure> {
        match given {
            Given::Text(text) => Ok(Secret::new(text.clone())),
            Given::Secret(place) => self.secret(place).await,
        }
    }

    fn keeper(&self, name: &CredentialName) -> Result<&Keeper, Failure> {
        let missing = || Failure::settings(format!("{name} is not declared in jada.yaml"));
        self.keeper.as_deref().ok_or_else(missing)
    }
}

/// A text without some secrets that nobody else knows: a server may send back what it was sent.
fn concealed(text: &str, secrets: &[&str]) -> String {
    let long = secrets.iter().filter(|secret| secret.len() >= 4);
    long.fold(text.to_owned(), |text, secret| text.replace(*secret, MARK))
}
