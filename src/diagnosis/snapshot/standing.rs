//! How credentials do, by their records: nobody is asked.
//!
//! Owns the evidence in a standing. Refuses to try a credential: what is known to be dead is not asked again.

use std::time::Duration;

use jiff::Timestamp;

use crate::credentials::nature::Nature;
use crate::diagnosis::evidence::{Evidence, Source};
use crate::model::{
    CredentialClass as Class, CredentialState as State, Fault, Standing, Subject, Verdict,
};
use crate::plan::signature;

/// How long a success counts: tokens live an hour, and are refreshed before.
const GOOD: Duration = Duration::from_hours(24);

/// A credential that a person must log in to, and nobody has.
pub(super) fn vacant(now: Timestamp) -> Standing {
    Standing {
        state: State::ReauthRequired,
        class: Some(Class::ReauthRequired),
        ..Standing::unknown(now)
    }
}

/// What a standing says; `None` where nobody has tried the credential.
#[must_use]
pub fn evidence(nature: &Nature, standing: &Standing, now: Timestamp) -> Option<Evidence> {
    let node = Subject::credential(&nature.name);
    let make = |verdict, at| Evidence::new(node.clone(), verdict, Source::Standing, at);
    let words = words(standing);
    let usable = standing.usable_until.is_some_and(|until| until > now);
    let warn =
        |text: String| Some(Evidence { text, since: standing.since, ..make(Verdict::Warn, now) });
    match standing.state {
        State::Unknown => None,
        State::Healthy => {
            let at = standing.last_refresh.unwrap_or(standing.since).min(now);
            Some(Evidence { ttl: GOOD, text: "works".to_owned(), ..make(Verdict::Ok, at) })
        }
        State::Expiring => {
            let end = standing.horizon.as_ref();
            warn(end.map_or(words, |end| format!("ends {} ({})", end.at, end.clock)))
        }
        State::Paused => warn("paused by an operator: its jobs are held".to_owned()),
        State::RefreshFailing | State::Skewed if usable => {
            warn(format!("can't be refreshed; its token is still good: {words}"))
        }
        State::RefreshFailing
        | State::Skewed
        | State::ReauthRequired
        | State::Misconfigured
        | State::Revoked => {
            let fault = fault(standing);
            let of_client = fault == Fault::InvalidClient;
            let client = nature.client.as_ref().filter(|_| of_client);
            let client = client.and_then(|id| Subject::parse(&format!("client/{id}")));
            let since = standing.since.min(now);
            let failing = make(Verdict::Fail, now);
            Some(Evidence {
                subject: client.unwrap_or(failing.subject.clone()),
                fault: Some(fault),
                since,
                text: words,
                ..failing
            })
        }
    }
}

/// The fault of a credential that does not work.
pub(super) fn fault(standing: &Standing) -> Fault {
    match standing.class {
        Some(Class::ReauthRequired) if standing.generation == 0 && standing.error.is_none() => {
            Fault::NoCredential
        }
        // Its own words are finer than the class: a connection refused is no failing server.
        Some(Class::Transient | Class::AmbiguousCommit) => {
            match signature::fault(None, &standing.words) {
                Fault::Unknown => Fault::ServerError,
                fault => fault,
            }
        }
        Some(class) => signature::of_credential(class),
        None if standing.state == State::Revoked => Fault::InvalidGrant,
        None => Fault::Refused,
    }
}

fn words(standing: &Standing) -> String {
    match (standing.words.as_str(), standing.cause()) {
        ("", Some(cause)) => cause.to_owned(),
        ("", None) => standing.state.word().to_owned(),
        (words, _) => words.to_owned(),
    }
}
