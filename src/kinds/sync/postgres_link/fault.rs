//! What an error of a server means for a run, and for the person who reads it.
//!
//! Owns the way from an SQLSTATE to an ending. Refuses to decide what follows.

use std::error::Error as _;

use tokio_postgres::Error;
use tokio_postgres::error::DbError;

use super::super::trouble::{Ending, Trouble};

/// The trouble that an error is; `shown` is the server.
pub(super) fn trouble(shown: &str, side: Ending, error: &Error) -> Trouble {
    let Some(told) = error.as_db_error() else {
        let mut inner: &dyn std::error::Error = error;
        while let Some(source) = inner.source() {
            inner = source;
        }
        if inner.to_string() == "password missing" {
            let help = "the server asks for a password: name a `credential` that holds it";
            return Trouble::config(format!("{shown}: {help}"));
        }
        let words = if error.is_closed() {
            format!("{shown}: the connection was lost")
        } else if error.source().is_some() {
            format!("{shown}: {inner}")
        } else {
            format!("{shown}: {error}")
        };
        return Trouble::new(side, words);
    };
    let (ending, may_help) = meaning(told.code().code(), side);
    let mut trouble = Trouble::new(ending, format!("{shown}: {}", words(told)));
    trouble.may_help = may_help;
    trouble
}

/// What a state means, and whether another try may help where the ending does not say.
fn meaning(state: &str, side: Ending) -> (Ending, Option<bool>) {
    let class = state.get(..2).unwrap_or_default();
    match (state, class) {
        ("42501", _) => (Ending::Permission, None),
        ("3D000" | "42P01" | "3F000", _) => (Ending::NotFound, None),
        // Too many connections of this user, and the like.
        (_, "28") => (Ending::Auth, None),
        // A query that can't run will not run later.
        (_, "42" | "0A") if side == Ending::Source => (Ending::Config, None),
        // The first two: two jobs make the same table at the same time.
        ("42P07" | "42710", _) | (_, "08" | "40" | "53" | "55" | "57" | "58") => (side, Some(true)),
        _ => (side, Some(false)),
    }
}

fn words(told: &DbError) -> String {
    let mut words = told.message().to_owned();
    if let Some(detail) = told.detail() {
        words = format!("{words}: {}", detail.trim_end_matches('.'));
    }
    if let Some(line) = told.where_().and_then(|place| place.lines().next()) {
        words = format!("{words} ({line})");
    }
    let help = match told.code().code() {
        "55P03" => {
            "another transaction holds the table: let it end, or run this job at another time"
        }
        "53100" => "free space on the server's disk",
        "53300" => "raise max_connections, or run fewer jobs at one time",
        "42501" => "grant it to this user",
        "57014" => "raise statement_timeout of this user, where it is too short",
        "25006" => "name a server that can be written",
        _ => return words,
    };
    format!("{words}; {help}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_says_how_it_ends() {
        let to = Ending::Destination;
        let cases = [
            ("28P01", (Ending::Auth, None)),
            ("28000", (Ending::Auth, None)),
            ("42501", (Ending::Permission, None)),
            ("3D000", (Ending::NotFound, None)),
            ("42P01", (Ending::NotFound, None)),
            ("23505", (to, Some(false))),
            ("22003", (to, Some(false))),
            ("53100", (to, Some(true))),
            ("57P01", (to, Some(true))),
            ("55P03", (to, Some(true))),
            ("40P01", (to, Some(true))),
        ];
        for (state, expected) in cases {
            assert_eq!(meaning(state, to), expected, "{state}");
        }
        assert_eq!(meaning("42601", Ending::Source), (Ending::Config, None));
        assert_eq!(meaning("08006", Ending::Source), (Ending::Source, Some(true)));
    }
}
