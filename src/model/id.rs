//! Identifiers, one type each, parsed once at the edge.
//!
//! Owns what a legal name is. Refuses to know where a name was written.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Longest legal name, in bytes: it becomes a file name and a table key.
pub const NAME_MAX: usize = 63;

/// A job's name: 1–63 of `a-z 0-9 . _ -`, starting with a letter or a digit.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobName(Arc<str>);

/// Why a text is no legal name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing was written.
    #[error("a name can't be empty")]
    Empty,
    /// Longer than [`NAME_MAX`].
    #[error("a name has at most {NAME_MAX} bytes")]
    TooLong,
    /// A character outside the alphabet, or a first one that is no letter or digit.
    #[error("'{0}' is not allowed there: use a-z, 0-9, '.', '_' and '-', a letter or digit first")]
    Character(char),
}

impl JobName {
    /// Parses a name.
    ///
    /// # Errors
    /// [`NameError`] says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        check_name(text)?;
        Ok(Self(text.into()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Checks that `text` is a legal name of a job, credential, pool, notifier or node.
///
/// # Errors
/// [`NameError`] says what is wrong with it.
pub fn check_name(text: &str) -> Result<(), NameError> {
    let first = text.chars().next().ok_or(NameError::Empty)?;
    if text.len() > NAME_MAX {
        return Err(NameError::TooLong);
    }
    if !(first.is_ascii_lowercase() || first.is_ascii_digit()) {
        return Err(NameError::Character(first));
    }
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
    match text.chars().find(|c| !legal(*c)) {
        Some(c) => Err(NameError::Character(c)),
        None => Ok(()),
    }
}

impl fmt::Display for JobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

number_id!(
    /// The store's key of a job; stable over edits, since history hangs on it.
    JobId
);
number_id!(
    /// One execution of a slot or of a request.
    RunId
);
number_id!(
    /// One incarnation of a node: a new one for each start of the daemon.
    NodeId
);
number_id!(
    /// One incident.
    IncidentId
);
number_id!(
    /// One row of the outbox; part of the key by which a receiver tells a repeated message.
    NotificationId
);
number_id!(
    /// One silence.
    SilenceId
);

/// The number of an attempt within its run, from 1. It is the fence of each write by that attempt.
pub type AttemptNo = u32;

/// The hash of a definition. Equal hash, equal behaviour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Revision(pub u64);

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let cases: &[(&str, Result<(), NameError>)] = &[
            ("a", Ok(())),
            ("box-health.v2_x", Ok(())),
            ("9lives", Ok(())),
            ("", Err(NameError::Empty)),
            ("-a", Err(NameError::Character('-'))),
            ("Box", Err(NameError::Character('B'))),
            ("a b", Err(NameError::Character(' '))),
            ("a/b", Err(NameError::Character('/'))),
        ];
        for (text, want) in cases {
            assert_eq!(check_name(text), *want, "{text:?}");
        }
        assert_eq!(check_name(&"x".repeat(63)), Ok(()));
        assert_eq!(check_name(&"x".repeat(64)), Err(NameError::TooLong));
    }
}
