//! Logging in: how a person's consent becomes a grant.
//!
//! ```text
//!   Asking ──▶ url ──▶ browser ──▶ code ─┐      loopback · remote (sealed) · a pasted address
//!                                        ├──▶ redeem ──▶ Consent ──▶ check ──▶ prove ──▶ the caller's record
//!   device code ──▶ poll ────────────────┘
//! ```
//!
//! Owns the flows and what a new consent must fulfil before it may replace an old one: the same account, all
//! scopes, and a refresh that works. Refuses to print, to open browsers, and to know where grants are kept.

mod asking;
pub mod device;
pub mod import;
pub mod loopback;
pub mod remote;
pub mod revoke;

use std::fmt;

use jiff::Timestamp;

pub use asking::{Asking, redirect_to};

use super::declare::{Declaration, Provider};
use super::evidence::{Evidence, missing_scopes};
use super::mint::{Minted, Token};
use super::providers::{World, mint};
use super::record::Grant;
use crate::model::CredentialClass;

/// Why a login does not come to an end that is of use.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server, or something of ours, says no.
    #[error("{}", .0.words)]
    Refused(Evidence),
    /// The person said no, or the server for them.
    #[error("the consent was refused: {0}")]
    Denied(String),
    /// The time for it is over.
    #[error("the time for the consent is over: start again")]
    Expired,
    /// The answer belongs to another login.
    #[error("this answer belongs to another login: its `state` differs")]
    OtherLogin,
    /// What was given is not what is expected here.
    #[error("{0}")]
    Malformed(String),
    /// No refresh token came with it.
    #[error("the server gave no refresh token: {0}")]
    NoRefreshToken(&'static str),
    /// Somebody else consented.
    #[error(
        "{found} consented, and {expected} is expected: log in as {expected}, or declare the other account"
    )]
    OtherAccount {
        /// Who should have.
        expected: String,
        /// Who did.
        found: String,
    },
    /// Less was granted than is declared.
    #[error("these scopes were not granted: {}; consent again, and leave every box ticked", .0.join(", "))]
    MissingScopes(Vec<String>),
    /// The kind or the server knows no such flow.
    #[error("{0}")]
    NotOffered(String),
}

impl From<Evidence> for Error {
    fn from(evidence: Evidence) -> Self {
        Self::Refused(evidence)
    }
}

/// A consent with what came of it. Nothing of it is kept yet.
#[derive(Clone, Debug)]
pub struct Consent {
    /// The grant. Its generation is for whoever keeps it to set.
    pub grant: Grant,
    /// The token that came along.
    pub token: Token,
    /// Who consented, where the server said so.
    pub account: Option<String>,
}

impl Consent {
    /// What a server handed out for a code.
    fn of(minted: Minted, declaration: &Declaration, now: Timestamp) -> Result<Self, Error> {
        let Some(refresh_token) = minted.refresh_token else {
            return Err(Error::NoRefreshToken(match declaration.provider {
                Provider::Google(_) => {
                    "remove the app at myaccount.google.com/connections, and log in again"
                }
                _ => "does it want a scope such as offline_access?",
            }));
        };
        let asked = declaration.provider.scopes().unwrap_or_default();
        let grant = Grant {
            refresh_token,
            generation: 0,
            scopes: minted.token.scopes.clone().unwrap_or_else(|| asked.to_vec()),
            consented_at: now,
            obtained_at: now,
            ends: minted.ends,
        };
        Ok(Self { grant, token: minted.token, account: minted.account })
    }

    /// Checks that it may take the place of what was there: the same account, and all declared scopes.
    /// `known` is the account of the consent before.
    pub fn check(&self, declaration: &Declaration, known: Option<&str>) -> Result<(), Error> {
        let expected = declared_account(&declaration.provider).or(known);
        if let (Some(expected), Some(found)) = (expected, self.account.as_deref())
            && !expected.eq_ignore_ascii_case(found)
        {
            return Err(Error::OtherAccount {
                expected: expected.to_owned(),
                found: found.to_owned(),
            });
        }
        let asked = declaration.provider.scopes().unwrap_or_default();
        let missing = missing_scopes(asked, Some(&self.grant.scopes));
        if missing.is_empty() { Ok(()) } else { Err(Error::MissingScopes(missing)) }
    }

    /// Refreshes once with it, before it takes the place of anything: a consent that can't be refreshed
    /// is none. Takes over what the refresh brought.
    pub async fn prove(mut self, declaration: &Declaration, world: &World) -> Result<Self, Error> {
        let minted = mint(declaration, Some(&self.grant), world).await?;
        if let Some(refresh_token) = minted.refresh_token {
            self.grant.refresh_token = refresh_token;
            self.grant.obtained_at = world.clock.now();
        }
        // A refresh may declare other ends, or leave those of the consent standing.
        if !minted.ends.is_empty() {
            self.grant.ends = minted.ends;
        }
        if self.token.scopes.is_none() && minted.token.scopes.is_none() {
            self.token = minted.token;
        } else {
            let scopes = minted.token.scopes.or(self.token.scopes.take());
            self.token = Token { scopes, ..minted.token };
        }
        self.account = self.account.or(minted.account);
        Ok(self)
    }
}

/// The account that a declaration names.
fn declared_account(provider: &Provider) -> Option<&str> {
    match provider {
        Provider::Google(google) => google.account.as_deref(),
        Provider::OAuth2(oauth) => oauth.account.as_deref(),
        _ => None,
    }
}

/// An endpoint that the server may not have.
fn offered<'a>(
    endpoint: Option<&'a String>,
    what: impl fmt::Display,
    key: &str,
) -> Result<&'a str, Error> {
    endpoint.map(String::as_str).ok_or_else(|| {
        Error::NotOffered(format!("no address for {what} is declared: add `{key}` in jada.yaml"))
    })
}

fn software(words: &str) -> Error {
    Error::Refused(Evidence::new(CredentialClass::Software, words))
}

#[cfg(test)]
mod tests;
