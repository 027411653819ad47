//! Rows 24 and 25: answers that a person or a revocation waits for.
//!
//! Owns what a device's poll and a revocation answer mean. Refuses to wait and to ask again.

use super::Evidence;
use super::document::Document;
use super::token::{Asked, Proof, classify};
use crate::credentials::exchange::Reply;
use crate::credentials::mint::Minted;
use crate::model::CredentialClass;

/// What one poll of a device flow brought.
#[derive(Debug)]
pub enum DeviceStep {
    /// The person has not decided yet: ask again after the interval.
    Pending,
    /// As before, and the interval grows by 5 s for good.
    SlowDown,
    /// No answer: ask again, after twice the interval.
    BackOff(Evidence),
    /// The person consented.
    Granted(Box<Minted>),
    /// The person refused.
    Denied(Evidence),
    /// The code's time is over: start again.
    Expired(Evidence),
    /// It can't work.
    Failed(Evidence),
}

/// What the reply to one poll means. The `error` alone decides: servers disagree on the status.
#[must_use]
pub fn of_device_poll(reply: &Reply) -> DeviceStep {
    let code = match reply {
        Reply::Answer(answer) => Document::read(&answer.body).and_then(|read| read.error()),
        Reply::NoAnswer { .. } => None,
    };
    let evidence = match classify(reply, Asked { proof: Proof::Consent, spends: false }) {
        Ok(minted) => return DeviceStep::Granted(Box::new(minted)),
        Err(evidence) => evidence,
    };
    match code.as_deref() {
        Some("authorization_pending") => DeviceStep::Pending,
        Some("slow_down") => DeviceStep::SlowDown,
        Some("access_denied" | "authorization_declined") => DeviceStep::Denied(evidence),
        Some("expired_token" | "code_expired") => DeviceStep::Expired(evidence),
        _ if matches!(
            evidence.class,
            CredentialClass::Transient | CredentialClass::RateLimited
        ) =>
        {
            DeviceStep::BackOff(evidence)
        }
        _ => DeviceStep::Failed(evidence),
    }
}

/// What the reply to a revocation means. Success proves nothing: servers answer 200 to tokens that they
/// never saw; a token that is already dead is as good as revoked.
pub fn of_revocation(reply: &Reply) -> Result<(), Evidence> {
    let answer = match reply {
        Reply::Answer(answer) if answer.status / 100 == 2 => return Ok(()),
        Reply::Answer(answer) => answer,
        Reply::NoAnswer { words, .. } => {
            return Err(Evidence::new(CredentialClass::Transient, words));
        }
    };
    let code = Document::read(&answer.body).and_then(|read| read.error());
    match code.as_deref() {
        Some("invalid_token") => Ok(()),
        Some("unsupported_token_type") => {
            Err(Evidence::in_answer(CredentialClass::Software, answer, code))
        }
        _ => match classify(reply, Asked { proof: Proof::Client, spends: false }) {
            Ok(_) => Ok(()),
            Err(evidence) => Err(evidence),
        },
    }
}
