//! The `sqlite` destination: a table of a SQLite database.
//!
//! Owns one IMMEDIATE transaction that holds the rows and the ledger. Refuses to judge a change.

use super::super::diff::Work;
use super::super::ledger::Ledger;
use super::super::tools::Tools;
use super::super::trouble::Trouble;
use super::{Each, Found, Shape};
use crate::yaml::{Located, section};

section! {
    /// A table of a SQLite database.
    pub struct SqliteTable {
        /// The database file; it is made where it is missing. A template.
        pub path: Located<String>,
        /// The table; it is made where it is missing.
        pub table: Located<String>,
    }
}

/// Under way.
pub(in super::super) struct Session;

impl SqliteTable {
    pub(super) fn begin(
        &self,
        _tools: &Tools,
        _shape: Shape<'_>,
    ) -> Result<(Session, Found), Trouble> {
        Err(Trouble::unbuilt("sqlite"))
    }
}

impl Session {
    pub(super) fn current(&mut self, _each: Each<'_>) -> Result<(), Trouble> {
        Err(Trouble::unbuilt("sqlite"))
    }

    pub(super) fn commit(self, _work: &mut Work<'_>, _ledger: &Ledger) -> Result<(), Trouble> {
        Err(Trouble::unbuilt("sqlite"))
    }
}
