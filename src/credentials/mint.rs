//! What a provider hands out.
//!
//! Owns the shape of a token at hand and of what a successful exchange brings. Refuses to know how it is
//! got (`providers/`), kept (`folder`) and given away (`grant`).

use jiff::{SignedDuration, Timestamp};

use super::secret::Secret;
use crate::model::KnownEnd;

/// A token at hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub value: TokenValue,
    /// Until when it is good; `None` where the kind has no such time (an API key). An OAuth token whose
    /// server said nothing has an hour here.
    pub expires_at: Option<Timestamp>,
    /// What was granted, where the server said so.
    pub scopes: Option<Vec<String>>,
}

/// What a token is, by how it is shown to a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenValue {
    /// `Authorization: Bearer …`.
    Bearer(Secret),
    /// `Authorization: Basic …`.
    Basic {
        /// The user's name.
        user: String,
        /// The password.
        password: Secret,
    },
    /// A header of its own, such as `X-Api-Key`.
    Header {
        /// Its name.
        name: String,
        /// The key.
        key: Secret,
    },
    /// Signs requests by AWS Signature Version 4.
    Aws {
        /// The public half.
        access_key_id: String,
        /// The secret half.
        secret_access_key: Secret,
        /// The session's token, for temporary keys.
        session_token: Option<Secret>,
    },
}

/// What a successful exchange brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Minted {
    /// The token.
    pub token: Token,
    /// The refresh token that replaces the one that was spent; `None` keeps that one.
    pub refresh_token: Option<Secret>,
    /// Ends that the answer or the key itself declares.
    pub ends: Vec<KnownEnd>,
    /// Whom it acts for, where that can be known without another call.
    pub account: Option<String>,
    /// The server's clock minus ours, where the answer had a date.
    pub skew: Option<SignedDuration>,
}
