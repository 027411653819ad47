//! The `postgres` destination: a table of a Postgres database.
//!
//! Owns one transaction that holds the rows and the ledger. Refuses to judge a change.

use super::super::diff::Work;
use super::super::ledger::Ledger;
use super::super::tools::Tools;
use super::super::trouble::Trouble;
use super::{Each, Found, Shape};
use crate::yaml::{Located, section};

section! {
    /// A table of a Postgres database.
    pub struct PostgresTable {
        /// Its address, without a password: `postgres://user@host/database`. A template.
        pub url: Located<String>,
        /// The credential with user and password, by the job's own name for it.
        pub credential: Option<Located<String>>,
        /// The table, with its schema or without: `ops.bookings`. It is made where it is missing.
        pub table: Located<String>,
    }
}

/// Under way.
pub(in super::super) struct Session;

impl PostgresTable {
    pub(super) fn begin(
        &self,
        _tools: &Tools,
        _shape: Shape<'_>,
    ) -> Result<(Session, Found), Trouble> {
        Err(Trouble::unbuilt("postgres"))
    }
}

impl Session {
    pub(super) fn current(&mut self, _each: Each<'_>) -> Result<(), Trouble> {
        Err(Trouble::unbuilt("postgres"))
    }

    pub(super) fn commit(self, _work: &mut Work<'_>, _ledger: &Ledger) -> Result<(), Trouble> {
        Err(Trouble::unbuilt("postgres"))
    }
}
