//! What people read of a credential's trouble.
//!
//! Owns when a standing is worth an incident, and its words: the class in plain words, since when, how often
//! before, what to do first. Pure. Refuses to know which jobs wait (the engine adds them).

use std::time::Duration;

use jiff::Timestamp;

use super::horizon;
use super::nature::Nature;
use crate::model::{CredentialClass as Class, CredentialState as State, Severity, Standing};

/// How long a refresh may fail in silence while the token at hand is still good.
const PATIENCE: Duration = Duration::from_mins(15);

/// What is to be told of a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// What has it: `credential/NAME`, or `client/ID` where a client takes all its credentials with it.
    pub key: String,
    /// Whether anything fails by it yet.
    pub severity: Severity,
    /// The class.
    pub class: Class,
    /// The cause in one line.
    pub title: String,
    /// Since when, how often before, what else there is to know.
    pub detail: String,
    /// The one command that mends it.
    pub mend: String,
}

/// What there is to tell of a credential now; `None` where nothing is wrong, or somebody wanted it so.
#[must_use]
pub fn trouble(nature: &Nature, standing: &Standing, now: Timestamp) -> Option<Trouble> {
    let class = standing.class;
    let (severity, class) = match standing.state {
        State::Unknown | State::Healthy | State::Paused | State::Revoked => return None,
        State::Expiring => (Severity::Warning, Class::Expired),
        State::RefreshFailing | State::Skewed => {
            let good = standing.usable_until.is_some_and(|until| until > now);
            let young = now.duration_since(standing.since).unsigned_abs() < PATIENCE;
            let severity = if good { Severity::Warning } else { Severity::Error };
            if good && young && standing.state == State::RefreshFailing {
                return None;
            }
            (severity, class.unwrap_or(Class::Transient))
        }
        State::ReauthRequired => (Severity::Error, class.unwrap_or(Class::ReauthRequired)),
        State::Misconfigured => (Severity::Error, class.unwrap_or(Class::ClientMisconfigured)),
    };
    Some(Trouble {
        key: key(nature, class),
        severity,
        class,
        title: title(nature, standing, class),
        detail: detail(nature, standing, class),
        mend: nature.mend(standing).unwrap_or_default(),
    })
}

fn key(nature: &Nature, class: Class) -> String {
    match (class, &nature.client) {
        (Class::ClientMisconfigured, Some(client)) => format!("client/{client}"),
        _ => format!("credential/{}", nature.name),
    }
}

fn title(nature: &Nature, standing: &Standing, class: Class) -> String {
    let name = &nature.name;
    if standing.state == State::Expiring {
        let end = standing.horizon.as_ref();
        let end = end.map_or_else(String::new, |end| format!(" on {} ({})", end.at, end.clock));
        return format!("credential {name} ends{end}");
    }
    let code = standing.error.as_ref().map_or_else(String::new, |code| format!(" ({code})"));
    format!("credential {name}: {}{code}", cause(standing, class))
}

fn cause(standing: &Standing, class: Class) -> &'static str {
    standing.cause().unwrap_or(class.sentence())
}

fn detail(nature: &Nature, standing: &Standing, class: Class) -> String {
    let mut lines = vec![format!("since {}", standing.since)];
    if !standing.words.is_empty() && !standing.words.starts_with(cause(standing, class)) {
        lines.push(standing.words.clone());
    }
    if !standing.missing_scopes.is_empty() {
        lines.push(format!("missing: {}", standing.missing_scopes.join(" ")));
    }
    lines.extend(horizon::recurrence(&standing.deaths));
    if let Some(first) = first_step(nature, class) {
        lines.push(first);
    }
    lines.join("\n")
}

/// What has to be done by hand before the command can help.
fn first_step(nature: &Nature, class: Class) -> Option<String> {
    let name = &nature.name;
    match class {
        Class::ClientMisconfigured | Class::Software | Class::ScopePolicy => {
            Some(format!("mend the client of {name} or its settings in jada.yaml first"))
        }
        Class::ClockSkew => Some("set this host's clock first (timedatectl)".to_owned()),
        Class::ReauthPolicy => {
            Some("a service account has no session policy: think of one for this job".to_owned())
        }
        _ if nature.has_grant => None,
        Class::PrincipalGone | Class::Expired | Class::TokenStale | Class::ReauthRequired => {
            let place = nature.places.first();
            place.map(|place| format!("put a new secret into {} first", place.words()))
        }
        _ => None,
    }
}

/// Why a job that needs it does not start, in one line.
#[must_use]
pub fn blocked_words(nature: &Nature, standing: &Standing) -> String {
    let name = &nature.name;
    let why = match (standing.state, standing.cause()) {
        (State::Paused, _) => "it is paused".to_owned(),
        (_, Some(cause)) => cause.to_owned(),
        (state, None) => format!("it is {}", state.word()),
    };
    let code = standing.error.as_ref().map_or_else(String::new, |code| format!(" ({code})"));
    let fix = nature.mend(standing).map_or_else(String::new, |fix| format!("; fix: {fix}"));
    format!("credential {name}: {why}{code}{fix}")
}

/// When time alone changes what there is to tell: the token at hand ends, or the patience with a refresh
/// that fails.
#[must_use]
pub fn looks_again(standing: &Standing, now: Timestamp) -> Option<Timestamp> {
    if !matches!(standing.state, State::RefreshFailing | State::Skewed) {
        return None;
    }
    let patience = standing.since.checked_add(PATIENCE).ok();
    standing.usable_until.into_iter().chain(patience).filter(|at| *at > now).min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::horizon::Terms;
    use crate::model::CredentialName;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    fn nature() -> Nature {
        Nature {
            name: CredentialName::parse("google/ops").expect("a legal name"),
            provider: "google",
            client: Some("client-1".to_owned()),
            has_grant: true,
            rotates: Some(false),
            keeps_token: true,
            refreshes: true,
            terms: Terms::default(),
            scopes: Vec::new(),
            program: Duration::ZERO,
            sources: Vec::new(),
            places: Vec::new(),
        }
    }

    fn dead() -> Standing {
        let now = at("2026-11-25T08:00:00Z");
        Standing {
            state: State::ReauthRequired,
            class: Some(Class::ReauthRequired),
            error: Some("invalid_grant".to_owned()),
            words: "HTTP 400 invalid_grant from oauth2.googleapis.com".to_owned(),
            deaths: vec![at("2026-11-18T08:00:00Z"), now],
            generation: 4,
            ..Standing::unknown(now)
        }
    }

    #[test]
    fn a_dead_grant_is_told_with_its_cause_and_command() {
        let told = trouble(&nature(), &dead(), at("2026-11-25T09:00:00Z")).expect("trouble");
        insta::assert_snapshot!(
            format!("{}\n{}\n{}\n{}", told.key, told.title, told.detail, told.mend),
            @r"
        credential/google/ops
        credential google/ops: its grant is no longer valid: expired, revoked, or replaced (invalid_grant)
        since 2026-11-25T08:00:00Z
        HTTP 400 invalid_grant from oauth2.googleapis.com
        second time, 7.0 days apart
        jadactl auth login google/ops
        "
        );
        insta::assert_snapshot!(blocked_words(&nature(), &dead()), @"credential google/ops: its grant is no longer valid: expired, revoked, or replaced (invalid_grant); fix: jadactl auth login google/ops");
    }

    #[test]
    fn when_there_is_something_to_tell() {
        let now = at("2026-11-25T08:00:00Z");
        let failing = |minutes: u64, usable: Option<&str>| Standing {
            state: State::RefreshFailing,
            class: Some(Class::Transient),
            usable_until: usable.map(at),
            since: now.checked_sub(Duration::from_mins(minutes)).expect("in range"),
            ..Standing::unknown(now)
        };
        let state = |state| Standing { state, ..Standing::unknown(now) };
        let cases = [
            (state(State::Unknown), None),
            (state(State::Healthy), None),
            (state(State::Paused), None),
            (state(State::Revoked), None),
            (state(State::Expiring), Some(Severity::Warning)),
            (state(State::Misconfigured), Some(Severity::Error)),
            (failing(1, Some("2026-11-25T08:30:00Z")), None),
            (failing(20, Some("2026-11-25T08:30:00Z")), Some(Severity::Warning)),
            (failing(1, Some("2026-11-25T07:59:00Z")), Some(Severity::Error)),
            (failing(1, None), Some(Severity::Error)),
        ];
        for (standing, want) in cases {
            let told = trouble(&nature(), &standing, now).map(|told| told.severity);
            assert_eq!(told, want, "{standing:?}");
        }
    }

    #[test]
    fn who_never_logged_in_has_lost_nothing_and_who_can_t_is_not_told_to() {
        let now = at("2026-11-25T09:00:00Z");
        let vacant = Standing { generation: 0, error: None, ..dead() };
        let told = trouble(&nature(), &vacant, now).expect("trouble");
        assert_eq!(told.title, "credential google/ops: nobody has logged in yet");
        assert_eq!(told.mend, "jadactl auth login google/ops");
        let words = blocked_words(&nature(), &vacant);
        let want =
            "credential google/ops: nobody has logged in yet; fix: jadactl auth login google/ops";
        assert_eq!(words, want);
        let short = Standing { class: Some(Class::ScopeMissing), ..dead() };
        let account = Nature { has_grant: false, ..nature() };
        let told = trouble(&account, &short, now).expect("trouble");
        assert_eq!(told.mend, "jadactl auth refresh google/ops", "it knows no login");
    }

    #[test]
    fn one_client_is_one_cause() {
        let mut standing = dead();
        (standing.state, standing.class) = (State::Misconfigured, Some(Class::ClientMisconfigured));
        let told = trouble(&nature(), &standing, at("2026-11-25T09:00:00Z")).expect("trouble");
        assert_eq!(told.key, "client/client-1");
    }
}
