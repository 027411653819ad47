//! The `credential` probe: how a credential stands, by what is known without asking anybody.
//!
//! Owns the verdict on each state. Refuses to try the credential: the keeper does that, for everybody.

use std::borrow::Cow;
use std::time::Duration;

use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::measure::{Measured, Quantity, Reading};
use super::probe::{Cause, Found, Verdict};
use crate::model::{CredentialName, CredentialState, Fault, Standing};
use crate::plan::signature;
use crate::yaml::{Code, Decode, Decoder, Located, Node};

/// What it measures: the state, and the time that is left until a known end.
pub(super) const MEASURES: &[(&str, Quantity)] =
    &[("state", Quantity::Text), ("left", Quantity::Time)];

/// The name of a credential, as `jada.yaml` declares it.
#[derive(Clone, Debug, PartialEq)]
pub struct CredentialProbe(pub Located<CredentialName>);

impl Decode for CredentialProbe {
    const EXPECTS: &'static str = "a credential's name";

    fn decode(node: &Node<'_>, cx: &mut Decoder) -> Option<Self> {
        let text = Located::<String>::decode(node, cx)?;
        match CredentialName::parse(&text.value) {
            Ok(name) => Some(Self(text.map(|_| name))),
            Err(error) => {
                let message = format!("`{}` is no credential's name: {error}", text.value);
                let help = "write it like `google` or `google/ops`";
                cx.report(Code::BadName, text.span, message).help(help);
                None
            }
        }
    }
}

impl JsonSchema for CredentialProbe {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "CredentialProbe".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}

/// Judges a credential by its standing.
pub(super) fn read(standing: Option<&Standing>, now: Timestamp) -> Found {
    let Some(standing) = standing else {
        return Found::unknown("the daemon knows nothing of it yet");
    };
    let left = |until: Timestamp| Duration::try_from(until.duration_since(now)).unwrap_or_default();
    let mut reading =
        Reading::default().with("state", Measured::Text(standing.state.word().to_owned()));
    reading = reading.with(
        "left",
        match &standing.horizon {
            Some(end) => Measured::time(left(end.at)),
            None => Measured::Missing("it has no declared end".to_owned()),
        },
    );
    let usable = standing.usable_until.is_some_and(|until| until > now);
    let verdict = match standing.state {
        CredentialState::Unknown | CredentialState::Healthy => Verdict::Ok,
        CredentialState::Expiring => Verdict::Warn,
        CredentialState::RefreshFailing | CredentialState::Skewed if usable => Verdict::Warn,
        CredentialState::RefreshFailing
        | CredentialState::Skewed
        | CredentialState::ReauthRequired
        | CredentialState::Revoked
        | CredentialState::Misconfigured
        | CredentialState::Paused => Verdict::Fail,
    };
    Found::Judged(verdict, words(standing), reading, Cause::of(fault(standing)))
}

/// What is wrong with a credential that is not well.
fn fault(standing: &Standing) -> Option<Fault> {
    if standing.state == CredentialState::ReauthRequired && standing.generation == 0 {
        return Some(Fault::NoCredential);
    }
    standing.class.map(signature::of_credential)
}

/// The standing in a few words.
fn words(standing: &Standing) -> String {
    let state = standing.state.word();
    let end = match (&standing.horizon, standing.state) {
        (Some(end), CredentialState::Expiring) => format!(", ends {} ({})", end.at, end.clock),
        _ => String::new(),
    };
    match standing.cause() {
        Some(cause) => format!("{state}: {cause}{end}"),
        None => format!("{state}{end}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CredentialClass, KnownEnd};

    #[test]
    fn each_state_has_its_verdict() {
        let now: Timestamp = "2026-11-25T12:00:00Z".parse().expect("an instant");
        let later = now + jiff::SignedDuration::from_hours(24);
        let told = |change: &dyn Fn(&mut Standing)| {
            let mut standing = Standing::unknown(now);
            change(&mut standing);
            match read(Some(&standing), now) {
                Found::Judged(verdict, words, ..) => format!("{} {words}", verdict.word()),
                other => format!("{other:?}"),
            }
        };
        assert_eq!(told(&|_| ()), "ok unknown");
        assert_eq!(told(&|of| of.state = CredentialState::Healthy), "ok healthy");
        let expiring = told(&|of| {
            of.state = CredentialState::Expiring;
            of.horizon = Some(KnownEnd { at: later, clock: "7 days of testing mode".into() });
        });
        assert_eq!(expiring, "warn expiring, ends 2026-11-26T12:00:00Z (7 days of testing mode)");
        let dead = told(&|of| {
            of.state = CredentialState::ReauthRequired;
            of.class = Some(CredentialClass::ReauthRequired);
            of.generation = 1;
        });
        assert_eq!(
            dead,
            "fail reauth-required: its grant is no longer valid: expired, revoked, or replaced"
        );
        let new = told(&|of| {
            of.state = CredentialState::ReauthRequired;
            of.class = Some(CredentialClass::ReauthRequired);
        });
        assert_eq!(new, "fail reauth-required: nobody has logged in yet");
        let failing = |until| {
            told(&|of| {
                of.state = CredentialState::RefreshFailing;
                of.usable_until = Some(until);
            })
        };
        assert_eq!(failing(later), "warn refresh-failing");
        assert_eq!(failing(now), "fail refresh-failing");
        assert!(matches!(read(None, now), Found::Unknown(..)));
    }
}
