//! The JSON of a token endpoint, read leniently and only as far as it is needed.
//!
//! Owns which members are looked at, and how odd values are read. Refuses to keep text that was not
//! asked for, to take anything for a code that may be a secret, and to know classes.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer};
use serde_json::Value as Json;

use crate::credentials::secret::Secret;

/// Longest text that is taken for a code.
const CODE_MAX: usize = 48;

/// Longest life of a token that is believed; a longer one is odd. Ten years.
const LIFE_MAX: f64 = 10.0 * 366.0 * 86_400.0;

/// What an answer says. Without `Debug`: it holds tokens.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Document {
    access_token: Hidden,
    refresh_token: Hidden,
    id_token: Hidden,
    expires_in: Option<Json>,
    scope: Option<Json>,
    error: Option<Json>,
    error_subtype: Option<Json>,
    error_description: Option<Json>,
    refresh_token_expires_in: Option<Json>,
    refresh_expires_in: Option<Json>,
    refresh_token_timeout: Option<Json>,
    authorization_expires_in: Option<Json>,
}

/// A text that is wiped; anything that is no text, or an empty one, is not there.
#[derive(Default)]
struct Hidden(Option<Secret>);

impl<'de> Deserialize<'de> for Hidden {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Json::deserialize(deserializer)? {
            Json::String(text) if !text.trim().is_empty() => Self(Some(Secret::new(text))),
            _ => Self(None),
        })
    }
}

impl Document {
    /// Reads a body; `None` when it is no JSON object.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        // A list of values would do for a struct too.
        let is_object = body.trim_ascii_start().starts_with(b"{");
        is_object.then(|| serde_json::from_slice(body).ok()).flatten()
    }

    /// The access token.
    pub(super) fn access_token(&self) -> Option<&Secret> {
        self.access_token.0.as_ref()
    }

    /// The refresh token.
    pub(super) fn refresh_token(&self) -> Option<&Secret> {
        self.refresh_token.0.as_ref()
    }

    /// How long the access token is good; `None` where that is not said or odd.
    pub(super) fn expires_in(&self) -> Option<Duration> {
        let seconds = seconds(self.expires_in.as_ref()?)?;
        (seconds <= LIFE_MAX).then(|| Duration::from_secs_f64(seconds))
    }

    /// What was granted; `None` where nothing is said. Some servers put commas between, some a list.
    pub(super) fn scopes(&self) -> Option<Vec<String>> {
        let texts: Vec<&str> = match self.scope.as_ref()? {
            Json::String(text) => vec![text],
            Json::Array(items) => items.iter().filter_map(Json::as_str).collect(),
            _ => return None,
        };
        let split = |text: &'_ str| -> Vec<String> {
            let words = text.split([' ', ',']).filter(|word| !word.is_empty());
            words.map(str::to_owned).collect()
        };
        let scopes: Vec<String> = texts.into_iter().flat_map(split).collect();
        (!scopes.is_empty()).then_some(scopes)
    }

    /// Times after which a person has to consent again, as far as they are declared. Large ones are
    /// meant literally; zero means that there is none.
    pub(super) fn consent_ends(&self) -> impl Iterator<Item = Duration> {
        let declared = [
            &self.refresh_token_expires_in,
            &self.refresh_expires_in,
            &self.refresh_token_timeout,
            &self.authorization_expires_in,
        ];
        declared.into_iter().flatten().filter_map(|value| {
            let seconds = seconds(value)?;
            Duration::try_from_secs_f64(seconds).ok()
        })
    }

    /// Whether the answer names an error at all, in whatever form.
    pub(super) fn is_error(&self) -> bool {
        match &self.error {
            None | Some(Json::Null | Json::Bool(false)) => false,
            Some(Json::String(text)) => !text.is_empty(),
            Some(_) => true,
        }
    }

    /// The `error`, as far as it looks like a code.
    pub(super) fn error(&self) -> Option<String> {
        match self.error.as_ref()? {
            Json::String(text) => code(text),
            // Google's other shape: `{"error": {"status": "RESOURCE_EXHAUSTED", …}}`.
            Json::Object(inner) => code(inner.get("status")?.as_str()?),
            _ => None,
        }
    }

    /// The `error_subtype`.
    pub(super) fn subtype(&self) -> Option<String> {
        code(self.error_subtype.as_ref()?.as_str()?)
    }

    /// What the description hints at, in words of ours: it may quote what it was sent.
    pub(super) fn hint(&self) -> Option<&'static str> {
        const HINTS: &[(&[&str], &str)] = &[
            (&["reasonable timeframe"], "the server hints at a clock that is off"),
            (
                &["disabled", "deleted", "no valid verifier", "invalid email or user id"],
                "the server hints that the account or key is gone",
            ),
            (&["expired or revoked"], "the server hints at an expired or revoked consent"),
        ];
        let description = self.error_description.as_ref()?.as_str()?.to_lowercase();
        let fits = |needles: &&[&str]| needles.iter().any(|needle| description.contains(needle));
        HINTS.iter().find(|(needles, _)| fits(needles)).map(|(_, hint)| *hint)
    }

    /// Whom an ID token in the answer names. It came from the token endpoint itself, over its TLS, so
    /// its signature adds nothing (OpenID Connect Core 3.1.3.7).
    pub(super) fn account(&self) -> Option<String> {
        let middle = self.id_token.0.as_ref()?.expose().split('.').nth(1)?;
        let claims = URL_SAFE_NO_PAD.decode(middle.trim_end_matches('=')).ok()?;
        let claims: Json = serde_json::from_slice(&claims).ok()?;
        let claim = |name| claims.get(name).and_then(Json::as_str).map(str::to_owned);
        claim("email").or_else(|| claim("sub"))
    }
}

/// A code as the standards and vendors write them: letters of one case and underscores. A token has
/// digits or mixes cases, so that a server that echoes one does not make us print it.
pub(super) fn code(text: &str) -> Option<String> {
    let fits = |letter: fn(u8) -> bool| text.bytes().all(|byte| letter(byte) || byte == b'_');
    let one_case = fits(|byte| byte.is_ascii_lowercase()) || fits(|byte| byte.is_ascii_uppercase());
    let short = !text.is_empty() && text.len() <= CODE_MAX;
    (short && one_case).then(|| text.to_owned())
}

/// A positive number of seconds, as a number or as text.
fn seconds(value: &Json) -> Option<f64> {
    let number = match value {
        Json::Number(number) => number.as_f64()?,
        Json::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    (number.is_finite() && number >= 1.0).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_looks_like_a_code_is_taken_for_one() {
        for (text, is) in [
            ("invalid_grant", true),
            ("RESOURCE_EXHAUSTED", true),
            ("", false),
            ("accessNotConfigured", false),
            ("1//0gCanaryRefreshToken", false),
            ("canary-refresh-token", false),
            ("ghs_16C7e42F292c6912E7710c838347Ae178B4a", false),
            ("Token has been revoked", false),
            ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
        ] {
            assert_eq!(code(text).is_some(), is, "{text}");
        }
    }

    #[test]
    fn a_body_that_is_no_object_is_none() {
        for body in ["", "null", "[]", "\"text\"", "<html></html>", "{\"access_token\":", "12"] {
            assert!(Document::read(body.as_bytes()).is_none(), "{body}");
        }
    }

    #[test]
    fn the_account_is_that_of_the_id_token() {
        let token = |claims: &str| {
            let middle = URL_SAFE_NO_PAD.encode(claims);
            let body = format!(r#"{{"access_token": "a", "id_token": "h.{middle}.s"}}"#);
            Document::read(body.as_bytes()).unwrap().account()
        };
        let email = token(r#"{"sub": "1", "email": "ops@example.com"}"#);
        assert_eq!(email.as_deref(), Some("ops@example.com"));
        assert_eq!(token(r#"{"sub": "1"}"#).as_deref(), Some("1"));
        assert_eq!(token("no json"), None);
    }
}
