//! Rows 17 to 23: what an API's answer says of the credential that it was sent.
//!
//! Owns which refusals are the credential's, and which are a resource's or a quota's. Refuses to call a
//! server's own failure anything.

use serde_json::Value as Json;

use super::Evidence;
use super::document::code;
use crate::model::CredentialClass;

/// What an API's answer says of the credential; `None` when it says nothing of it.
#[must_use]
pub fn of_api(status: u16, www_authenticate: Option<&str>, body: &[u8]) -> Option<Evidence> {
    let reasons = Reasons::read(www_authenticate, body);
    let class = match status {
        429 => CredentialClass::Quota,
        400..=499 if reasons.has(&["insufficient_scope", "ACCESS_TOKEN_SCOPE_INSUFFICIENT"]) => {
            CredentialClass::ScopeMissing
        }
        401 => CredentialClass::TokenStale,
        403 if reasons.has(&["SERVICE_DISABLED", "accessNotConfigured"]) => {
            CredentialClass::ClientMisconfigured
        }
        403 if reasons.has(QUOTA) => CredentialClass::Quota,
        403 => CredentialClass::Permission,
        _ => return None,
    };
    let error = reasons.code();
    let named = error.as_ref().map(|code| format!(" {code}")).unwrap_or_default();
    let evidence = Evidence::new(class, format!("HTTP {status}{named} from the API"));
    Some(Evidence { error, status: Some(status), ..evidence })
}

/// What a status means at a provider that does not answer 401 to a stale token: only those that are
/// listed for it, and only when the token's own time is over. Row 23, an error code in the body of a 200,
/// is the job's to see, in what it expects.
#[must_use]
pub fn of_quirk(status: u16, listed: &[u16], token_is_over: bool) -> Option<Evidence> {
    let stale = token_is_over && listed.contains(&status);
    let words = format!("HTTP {status} from the API, and the token's time is over");
    stale.then(|| Evidence {
        status: Some(status),
        ..Evidence::new(CredentialClass::TokenStale, words)
    })
}

/// How vendors say that a quota is used up, besides 429.
const QUOTA: &[&str] = &[
    "RESOURCE_EXHAUSTED",
    "rateLimitExceeded",
    "userRateLimitExceeded",
    "dailyLimitExceeded",
    "quotaExceeded",
    "RATE_LIMIT_EXCEEDED",
];

/// The machine-readable reasons of an answer.
struct Reasons(Vec<String>);

impl Reasons {
    fn read(www_authenticate: Option<&str>, body: &[u8]) -> Self {
        let mut found = Vec::new();
        if let Some((_, rest)) = www_authenticate.unwrap_or_default().split_once("error=") {
            let value = rest.trim_start_matches('"').split(['"', ',', ' ']).next();
            found.extend(value.map(str::to_owned));
        }
        if let Ok(document) = serde_json::from_slice::<Json>(body) {
            Self::gather(&document["error"], &mut found);
        }
        Self(found)
    }

    /// `{"error": "code"}`, and Google's two shapes: `error.status` with `error.details[].reason`, and
    /// `error.errors[].reason`.
    fn gather(error: &Json, found: &mut Vec<String>) {
        let mut take = |value: &Json| found.extend(value.as_str().map(str::to_owned));
        take(error);
        for list in [&error["details"], &error["errors"]] {
            for item in list.as_array().into_iter().flatten() {
                take(&item["reason"]);
            }
        }
        take(&error["status"]);
    }

    fn has(&self, codes: &[&str]) -> bool {
        self.0.iter().any(|found| codes.contains(&found.as_str()))
    }

    /// The first that is a code.
    fn code(&self) -> Option<String> {
        let known = |text: &String| QUOTA.contains(&text.as_str()) || text == "accessNotConfigured";
        self.0.iter().find_map(|text| known(text).then(|| text.clone()).or_else(|| code(text)))
    }
}
