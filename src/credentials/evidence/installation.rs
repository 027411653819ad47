//! What GitHub answers to an app that asks for a token of its installation.
//!
//! Owns the meaning of its statuses: it names no `error`. Refuses to read its messages.

use jiff::Timestamp;
use serde_json::Value as Json;

use super::Evidence;
use super::token::{LIFE_UNSAID, SKEW_MAX, by_status, speaks_of_rate};
use crate::credentials::exchange::{Answer, Reply};
use crate::credentials::mint::{Minted, Token, TokenValue};
use crate::credentials::secret::Secret;
use crate::model::CredentialClass;

/// What the reply to a request for an installation's token means.
pub fn of_installation(reply: &Reply) -> Result<Minted, Evidence> {
    let answer = match reply {
        Reply::Answer(answer) => answer,
        Reply::NoAnswer { words, .. } => {
            return Err(Evidence::new(CredentialClass::Transient, words));
        }
    };
    let refused = |class| Evidence::in_answer(class, answer, None);
    let skewed = answer.skew().is_some_and(|skew| skew.abs() > SKEW_MAX);
    Err(match answer.status {
        200..=299 => return minted(answer),
        status if let Some(class) = by_status(status) => refused(class),
        401 if skewed => refused(CredentialClass::ClockSkew),
        401 => refused(CredentialClass::PrincipalGone)
            .saying("the key is not, or no longer, one of the app's"),
        403 if answer.retry_after.is_some() || speaks_of_rate(&answer.body) => {
            refused(CredentialClass::RateLimited)
        }
        403 => {
            refused(CredentialClass::ClientMisconfigured).saying("is the installation suspended?")
        }
        404 => refused(CredentialClass::PrincipalGone)
            .saying("the app has no such installation, or it was removed"),
        422 => refused(CredentialClass::ScopePolicy)
            .saying("the installation lacks the repositories or permissions that are asked for"),
        300..=399 => refused(CredentialClass::Unintelligible),
        _ => refused(CredentialClass::UnclassifiedRefusal),
    })
}

fn minted(answer: &Answer) -> Result<Minted, Evidence> {
    let document: Option<Json> = serde_json::from_slice(&answer.body).ok();
    let text = |name: &str| document.as_ref()?.get(name)?.as_str().filter(|text| !text.is_empty());
    let Some(token) = text("token") else {
        let evidence = Evidence::in_answer(CredentialClass::Unintelligible, answer, None);
        return Err(evidence.saying("a success without a token in it"));
    };
    let unsaid = || answer.received_at.checked_add(LIFE_UNSAID).unwrap_or(Timestamp::MAX);
    let said = text("expires_at").and_then(|at| at.parse().ok());
    let expires_at = Some(said.unwrap_or_else(unsaid));
    let value = TokenValue::Bearer(Secret::new(token));
    Ok(Minted {
        token: Token { value, expires_at, scopes: None },
        refresh_token: None,
        ends: Vec::new(),
        account: None,
        skew: answer.skew(),
    })
}
