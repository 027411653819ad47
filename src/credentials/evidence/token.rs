//! Rows 1 to 16: what the answer of a token endpoint means.
//!
//! Owns the order of evidence. Refuses to read descriptions, and to take a status for a reason: all
//! permanent errors of OAuth come as 400, and so do a proxy's pages.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::Evidence;
use super::document::Document;
use crate::credentials::exchange::{Answer, Reply};
use crate::credentials::mint::{Minted, Token, TokenValue};
use crate::model::{CredentialClass, KnownEnd};

/// Clocks that differ by more than this explain a refusal.
pub const SKEW_MAX: SignedDuration = SignedDuration::from_secs(60);

/// How long a token is taken to be good whose server does not say so.
pub(super) const LIFE_UNSAID: Duration = Duration::from_secs(60 * 60);

/// What was sent to the token endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// What stands for the right to a token.
    pub proof: Proof,
    /// Whether the exchange may have spent it: the provider hands out a new one each time.
    pub spends: bool,
}

/// What stands for the right to a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// A person's consent: a refresh token, a code, a device code.
    Consent,
    /// A statement that a key signs.
    Assertion,
    /// The client's own secret.
    Client,
}

/// What the reply of a token endpoint means: a token, or the evidence why there is none.
pub fn classify(reply: &Reply, asked: Asked) -> Result<Minted, Evidence> {
    let answer = match reply {
        Reply::Answer(answer) => answer,
        Reply::NoAnswer { sent, words } => {
            let lost = *sent && asked.spends;
            let class =
                if lost { CredentialClass::AmbiguousCommit } else { CredentialClass::Transient };
            return Err(Evidence::new(class, words));
        }
    };
    let document = Document::read(&answer.body);
    let error = document.as_ref().and_then(Document::error);
    let evidence = |class| Evidence::in_answer(class, answer, error.clone());
    if let Some(class) = by_status(answer.status) {
        return Err(evidence(class));
    }
    match &document {
        Some(document) if answer.status / 100 == 2 && document.access_token().is_some() => {
            Ok(minted(document, answer))
        }
        Some(document) if document.is_error() => {
            let code = error.as_deref().unwrap_or_default();
            let mut evidence = evidence(by_code(code, document, answer, asked));
            evidence.subtype = document.subtype();
            Err(match document.hint() {
                Some(hint) => evidence.saying(hint),
                None => evidence,
            })
        }
        _ => Err(without_reason(answer)),
    }
}

/// Scopes that were asked for and not granted. A server that says nothing granted them all.
#[must_use]
pub fn missing_scopes(asked: &[String], granted: Option<&[String]>) -> Vec<String> {
    let Some(granted) = granted else { return Vec::new() };
    let same = |asked: &str, granted: &str| {
        // Google answers the short names with the long ones.
        let long = |name| granted == format!("https://www.googleapis.com/auth/userinfo.{name}");
        asked == granted || (matches!(asked, "email" | "profile") && long(asked))
    };
    let missing = |scope: &&String| {
        // It asks for a refresh token, and few servers list it.
        scope.as_str() != "offline_access" && !granted.iter().any(|given| same(scope, given))
    };
    asked.iter().filter(missing).cloned().collect()
}

/// The statuses that say all, whatever the body says.
pub(super) fn by_status(status: u16) -> Option<CredentialClass> {
    match status {
        429 => Some(CredentialClass::RateLimited),
        // "Network authentication required" is a captive portal.
        511 => Some(CredentialClass::Unintelligible),
        408 | 425 | 500..=599 => Some(CredentialClass::Transient),
        _ => None,
    }
}

fn by_code(code: &str, document: &Document, answer: &Answer, asked: Asked) -> CredentialClass {
    match code {
        "server_error"
        | "temporarily_unavailable"
        | "internal_failure"
        | "INTERNAL"
        | "UNAVAILABLE" => CredentialClass::Transient,
        "rate_limit_exceeded" | "slow_down" | "RESOURCE_EXHAUSTED" => CredentialClass::RateLimited,
        "invalid_rapt" | "rapt_required" => CredentialClass::ReauthPolicy,
        "invalid_grant" => dead_grant(document, answer, asked),
        "interaction_required" | "consent_required" | "login_required" | "bad_refresh_token" => {
            CredentialClass::ReauthRequired
        }
        "invalid_client"
        | "deleted_client"
        | "disabled_client"
        | "unauthorized_client"
        | "incorrect_client_credentials"
        | "redirect_uri_mismatch" => CredentialClass::ClientMisconfigured,
        "invalid_scope" | "admin_policy_enforced" | "org_internal" | "access_denied" => {
            CredentialClass::ScopePolicy
        }
        "invalid_request" | "unsupported_grant_type" | "unsupported_response_type" => {
            CredentialClass::Software
        }
        _ => CredentialClass::UnclassifiedRefusal,
    }
}

/// Which death `invalid_grant` tells of: by the subtype, by the clocks, and by what was presented. Nobody
/// can consent again where a key signs or a client acts for itself.
fn dead_grant(document: &Document, answer: &Answer, asked: Asked) -> CredentialClass {
    if matches!(document.subtype().as_deref(), Some("invalid_rapt" | "rapt_required")) {
        return CredentialClass::ReauthPolicy;
    }
    if answer.skew().is_some_and(|skew| skew.abs() > SKEW_MAX) {
        return CredentialClass::ClockSkew;
    }
    match asked.proof {
        Proof::Consent => CredentialClass::ReauthRequired,
        Proof::Assertion => CredentialClass::PrincipalGone,
        Proof::Client => CredentialClass::ClientMisconfigured,
    }
}

/// An answer that is no token and names no error.
fn without_reason(answer: &Answer) -> Evidence {
    let said = |class, words: &str| Evidence::in_answer(class, answer, None).saying(words);
    match answer.status {
        200..=299 => said(CredentialClass::Unintelligible, "a success without a token in it"),
        300..=399 => {
            said(CredentialClass::Unintelligible, "it sends elsewhere, as a login page does")
        }
        403 if speaks_of_rate(&answer.body) => {
            Evidence::in_answer(CredentialClass::RateLimited, answer, None)
        }
        _ => said(CredentialClass::UnclassifiedRefusal, "it gives no reason"),
    }
}

/// Google's front answers a flood with a page that says so, and with status 403.
pub(super) fn speaks_of_rate(body: &[u8]) -> bool {
    String::from_utf8_lossy(body).to_lowercase().contains("rate limit exceeded")
}

fn minted(document: &Document, answer: &Answer) -> Minted {
    let now = answer.received_at;
    let after = |time: Duration| now.checked_add(time).unwrap_or(Timestamp::MAX);
    let value = document.access_token().expect("the caller has looked").clone();
    let end = |time| KnownEnd { at: after(time), clock: "declared by the server".to_owned() };
    Minted {
        token: Token {
            value: TokenValue::Bearer(value),
            expires_at: Some(after(document.expires_in().unwrap_or(LIFE_UNSAID))),
            scopes: document.scopes(),
        },
        refresh_token: document.refresh_token().cloned(),
        ends: document.consent_ends().map(end).collect(),
        account: document.account(),
        skew: answer.skew(),
    }
}
