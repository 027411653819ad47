//! What is kept of one credential.
//!
//! Owns the record: the grant, its predecessor, the token at hand, the standing. Refuses to know where it
//! lies and how it is written (`folder`).

use jiff::Timestamp;

use super::mint::Token;
use super::secret::Secret;
use crate::model::{CredentialName, KnownEnd, Standing};

/// One credential with its secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Whose it is.
    pub name: CredentialName,
    /// The provider's word, as in `jada.yaml`: a record of another one is not used.
    pub provider: String,
    /// Whom it acts for, as far as is known.
    pub account: Option<String>,
    /// What a person consented to, where the kind needs that.
    pub grant: Option<Grant>,
    /// The grant before: tried once where the answer to an exchange was lost.
    pub previous: Option<Grant>,
    /// The token at hand.
    pub token: Option<Token>,
    /// How it does.
    pub standing: Standing,
    /// Exchanges so far under the grant: some servers cap how many are live.
    pub minted: u64,
}

/// A person's consent, as a refresh token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The refresh token.
    pub refresh_token: Secret,
    /// The generation that it came with.
    pub generation: u64,
    /// What was granted.
    pub scopes: Vec<String>,
    /// When the person consented.
    pub consented_at: Timestamp,
    /// When this refresh token was received.
    pub obtained_at: Timestamp,
    /// Ends that were declared with it.
    pub ends: Vec<KnownEnd>,
}
