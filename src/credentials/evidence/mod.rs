//! What an answer of a token endpoint or an API means.
//!
//! Owns the error table: transport, then status, then the JSON `error`, then `error_subtype`; a
//! description is a hint for people and decides nothing. Refuses to know what follows from it
//! (`lifecycle`). A raw body never leaves this folder.

mod api;
mod document;
mod installation;
mod interactive;
#[cfg(test)]
mod table;
mod token;

use std::time::Duration;

use jiff::SignedDuration;

pub use api::{of_api, of_quirk};
pub use installation::of_installation;
pub use interactive::{DeviceStep, of_device_poll, of_revocation};
pub use token::{Asked, Proof, SKEW_MAX, classify, missing_scopes};

use super::exchange::Answer;
use crate::model::CredentialClass;

/// Typed evidence that something about a credential does not work. Holds no secret and no raw body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// What kind of trouble it is.
    pub class: CredentialClass,
    /// The server's `error`, as far as it looks like a code.
    pub error: Option<String>,
    /// The server's `error_subtype`, as far as it looks like a code.
    pub subtype: Option<String>,
    /// The HTTP status, where there was an answer.
    pub status: Option<u16>,
    /// How long the server asks to wait.
    pub retry_after: Option<Duration>,
    /// The server's clock minus ours, where the answer had a date.
    pub skew: Option<SignedDuration>,
    /// What happened in plain words, safe to show: `HTTP 400 invalid_grant from oauth2.example.com`.
    pub words: String,
}

impl Evidence {
    /// Evidence of a class, with words for it and nothing else known.
    #[must_use]
    pub fn new(class: CredentialClass, words: impl Into<String>) -> Self {
        Self {
            class,
            error: None,
            subtype: None,
            status: None,
            retry_after: None,
            skew: None,
            words: words.into(),
        }
    }

    /// Evidence of a class in an answer: all that may be kept of it.
    #[must_use]
    pub(super) fn in_answer(
        class: CredentialClass,
        answer: &Answer,
        error: Option<String>,
    ) -> Self {
        let code = error.as_ref().map(|code| format!(" {code}")).unwrap_or_default();
        let words = format!("HTTP {}{code} from {}", answer.status, answer.host);
        Self {
            error,
            status: Some(answer.status),
            retry_after: answer.retry_after,
            skew: answer.skew(),
            ..Self::new(class, words)
        }
    }

    /// Adds to the words what a person should know too.
    #[must_use]
    pub(super) fn saying(mut self, more: &str) -> Self {
        self.words = format!("{}: {more}", self.words);
        self
    }

    /// The server's code for it: `invalid_grant` or `invalid_grant/invalid_rapt`.
    #[must_use]
    pub fn code(&self) -> Option<String> {
        match (&self.error, &self.subtype) {
            (Some(error), Some(subtype)) => Some(format!("{error}/{subtype}")),
            (Some(error), None) => Some(error.clone()),
            (None, _) => None,
        }
    }
}
