//! Tokens as programs print them and files hold them.
//!
//! Owns the forms: the token alone, JSON with an end, what AWS calls a credential process, and what
//! Kubernetes calls an exec credential. Refuses to repeat any of it in a message.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value as Json};

use super::{LIFE_UNSAID, after};
use crate::credentials::evidence::Evidence;
use crate::credentials::mint::{Minted, Token, TokenValue};
use crate::credentials::secret::Secret;
use crate::model::CredentialClass;

/// Numbers below this are seconds from now where a moment is expected; those above it count from 1970,
/// and those above a thousand times it count milliseconds.
const MOMENT_MIN: i64 = 1_000_000_000;

/// Reads a token. `what` is the program or file, for messages.
pub(super) fn read(text: &str, what: &str, now: Timestamp) -> Result<Minted, Evidence> {
    let failing =
        |words: &str| Evidence::new(CredentialClass::SourceFailing, format!("{what} {words}"));
    let text = text.trim();
    let (value, said) = if text.starts_with('{') {
        let document: Map<String, Json> =
            serde_json::from_str(text).map_err(|_| failing("gives JSON that is broken"))?;
        let inner = document.get("status").and_then(Json::as_object);
        let source = inner.unwrap_or(&document);
        let value = value(source).ok_or_else(|| failing("gives JSON without a token in it"))?;
        (value, end(source, now))
    } else {
        // A page or a message has spaces or lines; a token has neither.
        let is_token = !text.is_empty() && text.chars().all(|letter| letter.is_ascii_graphic());
        if !is_token {
            return Err(failing("gives no token: one word or JSON is expected"));
        }
        (TokenValue::Bearer(Secret::new(text)), None)
    };
    let expires_at = said.unwrap_or_else(|| after(now, LIFE_UNSAID));
    if expires_at <= now {
        return Err(failing(&format!("gives a token that ended at {expires_at}")));
    }
    let token = Token { value, expires_at: Some(expires_at), scopes: None };
    Ok(Minted { token, refresh_token: None, ends: Vec::new(), account: None, skew: None })
}

fn value(source: &Map<String, Json>) -> Option<TokenValue> {
    let text = |names: &[&str]| {
        let found = names.iter().find_map(|name| source.get(*name)?.as_str());
        found.filter(|text| !text.trim().is_empty())
    };
    if let Some(id) = text(&["AccessKeyId"]) {
        return Some(TokenValue::Aws {
            access_key_id: id.to_owned(),
            secret_access_key: Secret::new(text(&["SecretAccessKey"])?),
            session_token: text(&["SessionToken"]).map(Secret::new),
        });
    }
    text(&["access_token", "accessToken", "token"])
        .map(|text| TokenValue::Bearer(Secret::new(text)))
}

/// The end that it declares; an odd one is as good as none.
fn end(source: &Map<String, Json>, now: Timestamp) -> Option<Timestamp> {
    const MOMENTS: &[&str] =
        &["expires_at", "expiresAt", "Expiration", "expirationTimestamp", "expiry", "expires_on"];
    if let Some(value) = MOMENTS.iter().find_map(|name| source.get(*name)) {
        return moment(value, now);
    }
    let seconds = number(source.get("expires_in")?).filter(|seconds| *seconds > 0)?;
    now.checked_add(SignedDuration::from_secs(seconds)).ok()
}

fn moment(value: &Json, now: Timestamp) -> Option<Timestamp> {
    if let Some(text) = value.as_str()
        && let Ok(at) = text.trim().parse()
    {
        return Some(at);
    }
    let number = number(value)?;
    if number >= MOMENT_MIN.saturating_mul(1000) {
        Timestamp::from_millisecond(number).ok()
    } else if number >= MOMENT_MIN {
        Timestamp::from_second(number).ok()
    } else {
        let ahead = (number > 0).then(|| SignedDuration::from_secs(number))?;
        now.checked_add(ahead).ok()
    }
}

fn number(value: &Json) -> Option<i64> {
    match value {
        Json::String(text) => text.trim().parse().ok(),
        #[expect(clippy::cast_possible_truncation, reason = "a cast of floats saturates")]
        other => other.as_i64().or_else(|| other.as_f64().map(|float| float as i64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> String {
        let now = "2026-11-25T10:00:00Z".parse().unwrap();
        match read(text, "prog", now) {
            Ok(minted) => {
                let kind = match minted.token.value {
                    TokenValue::Bearer(secret) => secret.expose().to_owned(),
                    TokenValue::Aws { access_key_id, session_token, .. } => {
                        format!("{access_key_id} {}", session_token.is_some())
                    }
                    other => format!("{other:?}"),
                };
                format!("{kind} {}", minted.token.expires_at.unwrap().duration_since(now).as_secs())
            }
            Err(evidence) => evidence.words,
        }
    }

    #[test]
    fn each_form_is_read_and_an_end_that_is_not_said_is_an_hour_ahead() {
        for (text, expected) in [
            ("tok\n", "tok 3600"),
            (r#"{"access_token": "tok", "expires_at": "2026-11-25T10:05:00Z"}"#, "tok 300"),
            (r#"{"access_token": "tok", "expires_at": "2026-11-25T11:05:00+01:00"}"#, "tok 300"),
            (r#"{"access_token": "tok", "expires_at": 1795601100}"#, "tok 300"),
            (r#"{"access_token": "tok", "expires_at": "1795601100"}"#, "tok 300"),
            (r#"{"accessToken": "tok", "expiresAt": 1795601100000}"#, "tok 300"),
            (r#"{"access_token": "tok", "expires_in": "60"}"#, "tok 60"),
            (r#"{"access_token": "tok", "expires_at": null}"#, "tok 3600"),
            (r#"{"access_token": "tok", "expires_at": "soon"}"#, "tok 3600"),
            (r#"{"token": "tok", "expires_in": -5}"#, "tok 3600"),
            (
                r#"{"kind": "ExecCredential", "status": {"token": "tok", "expirationTimestamp": "2026-11-25T10:01:00Z"}}"#,
                "tok 60",
            ),
            (
                r#"{"Version": 1, "AccessKeyId": "AKIA", "SecretAccessKey": "s", "SessionToken": "t", "Expiration": "2026-11-25T10:05:00Z"}"#,
                "AKIA true 300",
            ),
            (r#"{"Version": 1, "AccessKeyId": "AKIA", "SecretAccessKey": "s"}"#, "AKIA false 3600"),
        ] {
            assert_eq!(told(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_token_is_refused_and_never_repeated() {
        for (text, expected) in [
            ("", "prog gives no token: one word or JSON is expected"),
            ("canary canary", "prog gives no token: one word or JSON is expected"),
            ("<html>\ncanary", "prog gives no token: one word or JSON is expected"),
            (r#"{"canary""#, "prog gives JSON that is broken"),
            (r#"{"canary": "canary"}"#, "prog gives JSON without a token in it"),
            (r#"{"access_token": ""}"#, "prog gives JSON without a token in it"),
            (r#"{"AccessKeyId": "canary"}"#, "prog gives JSON without a token in it"),
            (
                r#"{"access_token": "canary", "expires_at": "2026-11-25T09:00:00Z"}"#,
                "prog gives a token that ended at 2026-11-25T09:00:00Z",
            ),
        ] {
            assert_eq!(told(text), expected, "{text}");
        }
    }
}
