//! What an answer of a token endpoint or an API means.
//!
//! Owns the error table: transport, then status, then the JSON `error`, then `error_subtype`; a
//! description is a hint for people and decides nothing. Refuses to know what follows from it
//! (`lifecycle`). A raw body never leaves this module.

use std::time::Duration;

use jiff::SignedDuration;

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
