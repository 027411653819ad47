//! From the words of a failure to its fault.
//!
//! Owns the reading: what a class alone says, our own endings, statuses of HTTP, and the order of the table.
//! Refuses to over-read: a number alone, a signal without its reason and a noisy line are no signature, and
//! what a program says of its own bug is never blamed on somebody else.

mod table;

use crate::model::{CredentialClass, FailureClass, Fault};

/// The fault that a failure shows: by its class where that says it all, else by the first signature in its
/// words, else by what little the class says.
#[must_use]
pub fn fault(class: Option<FailureClass>, text: &str) -> Fault {
    let text = text.to_lowercase();
    match class {
        Some(FailureClass::Exhausted) if says(&text, "turn") || says(&text, "turns") => {
            return Fault::LimitTurns;
        }
        Some(FailureClass::Exhausted) => return Fault::LimitBudget,
        Some(FailureClass::TimedOut) => return Fault::TimedOut,
        Some(FailureClass::Lost) => return Fault::Lost,
        Some(FailureClass::Cancelled) => return Fault::Unknown,
        _ => {}
    }
    let ending = ending(&text);
    if let Some((fault, Reading::Final)) = ending {
        return fault;
    }
    let found = if own_bug(&text) { Some(Fault::ExecExit) } else { signed(&text) };
    found
        .or(ending.map(|(fault, _)| fault))
        .or_else(|| by_class(class))
        .or_else(|| ended(&text))
        .unwrap_or(Fault::Unknown)
}

/// The fault that a credential's class is.
#[must_use]
pub fn of_credential(class: CredentialClass) -> Fault {
    use CredentialClass as Class;
    match class {
        Class::ReauthRequired | Class::Expired | Class::Revoked => Fault::InvalidGrant,
        Class::ReauthPolicy => Fault::Reauthenticate,
        Class::PrincipalGone => Fault::AccountDisabled,
        Class::ClockSkew => Fault::ClockSkew,
        Class::ClientMisconfigured => Fault::InvalidClient,
        Class::ScopePolicy | Class::ScopeMissing => Fault::Scope,
        Class::Transient | Class::AmbiguousCommit => Fault::ServerError,
        Class::RateLimited => Fault::Throttled,
        Class::Quota => Fault::Quota,
        Class::Unintelligible => Fault::BadAnswer,
        Class::Software => Fault::Configuration,
        Class::UnclassifiedRefusal | Class::TokenStale => Fault::Refused,
        Class::Permission => Fault::PermissionDenied,
        Class::LocalStore | Class::SourceFailing => Fault::NoCredential,
    }
}

/// How far the beginning of our own words decides.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// It is the fault; what follows quotes data of others.
    Final,
    /// It is the fault unless what follows is finer.
    Coarse,
}

/// How a sync or a check of ours says what it came to.
fn ending(text: &str) -> Option<(Fault, Reading)> {
    const ENDINGS: &[(&str, Fault, Reading)] = &[
        ("held:", Fault::Held, Reading::Final),
        ("failed:schema", Fault::Schema, Reading::Final),
        ("failed:mapping", Fault::Schema, Reading::Final),
        ("failed:truncated", Fault::Truncated, Reading::Final),
        ("failed:config", Fault::Configuration, Reading::Final),
        ("failed:auth", Fault::Refused, Reading::Coarse),
        ("failed:permission", Fault::PermissionDenied, Reading::Coarse),
        ("failed:not_found", Fault::NotFound, Reading::Coarse),
        ("failed:quota", Fault::Throttled, Reading::Coarse),
    ];
    let found = ENDINGS.iter().find(|(word, ..)| text.starts_with(word));
    found.map(|(_, fault, reading)| (*fault, *reading))
}

/// Whether a program speaks of a bug of its own: what stands first after the exit code is the name of an
/// exception that no other side can throw.
fn own_bug(text: &str) -> bool {
    let said = text
        .strip_prefix("exit code ")
        .map_or(text, |rest| rest.split_once(": ").map_or(rest, |(_, said)| said));
    table::BUGS.iter().any(|bug| said.starts_with(bug))
}

fn signed(text: &str) -> Option<Fault> {
    let shows = |sign: &str| match sign.split_once(" & ") {
        Some((one, other)) => says(text, one) && says(text, other),
        None => says(text, sign),
    };
    let row = table::SIGNATURES.iter().find(|(_, signs)| signs.iter().any(|sign| shows(sign)));
    row.map(|(fault, _)| *fault).or_else(|| status(text).and_then(of_status))
}

/// Whether a phrase stands in the text as words of its own.
fn says(text: &str, phrase: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let (first, last) = (phrase.chars().next(), phrase.chars().next_back());
    text.match_indices(phrase).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + phrase.len()..].chars().next();
        let joined = |inner: Option<char>, outer: Option<char>| {
            inner.is_some_and(is_word) && outer.is_some_and(is_word)
        };
        !joined(first, before) && !joined(last, after)
    })
}

/// The status of HTTP that the text names as one. A bare number says nothing.
fn status(text: &str) -> Option<u16> {
    table::STATUS_WORDS.iter().find_map(|word| {
        text.match_indices(word).find_map(|(at, _)| {
            let before = text[..at].chars().next_back();
            if before.is_some_and(|c| c.is_ascii_alphanumeric()) {
                return None;
            }
            let rest = text[at + word.len()..].trim_start_matches([' ', ':', '=', '"', '(']);
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            let next = rest[digits.len()..].chars().next();
            let whole = next.is_none_or(|c| !c.is_alphanumeric() && c != '.');
            digits.parse().ok().filter(|code| whole && (400..600).contains(code))
        })
    })
}

fn of_status(status: u16) -> Option<Fault> {
    Some(match status {
        401 | 407 => Fault::Refused,
        403 => Fault::PermissionDenied,
        404 | 410 => Fault::NotFound,
        408 => Fault::NetTimeout,
        429 => Fault::Throttled,
        500..=599 => Fault::ServerError,
        400..=499 => Fault::BadRequest,
        _ => return None,
    })
}

fn by_class(class: Option<FailureClass>) -> Option<Fault> {
    match class? {
        FailureClass::Throttled => Some(Fault::Throttled),
        FailureClass::Unauthorized => Some(Fault::Refused),
        _ => None,
    }
}

/// A program's end that nothing finer is said of.
fn ended(text: &str) -> Option<Fault> {
    let code = text.strip_prefix("exit code ").map(|rest| rest.split([':', ';']).next());
    match code.flatten().map(str::trim) {
        Some("127") => Some(Fault::ExecMissing),
        Some("126") => Some(Fault::PermissionDenied),
        Some("124") => Some(Fault::TimedOut),
        // A shell says 128 and the number of the signal; who sent it is not said.
        Some("129" | "130" | "134" | "137" | "139" | "141" | "143") => Some(Fault::ExecSignal),
        Some(_) => Some(Fault::ExecExit),
        None if text.starts_with("ended by ") => Some(Fault::ExecSignal),
        None if says(text, "exit status 127") => Some(Fault::ExecMissing),
        None if says(text, "exit status") || says(text, "exited with code") => {
            Some(Fault::ExecExit)
        }
        None if says(text, ", expected") => Some(Fault::Threshold),
        None => None,
    }
}

#[cfg(test)]
mod tests;
