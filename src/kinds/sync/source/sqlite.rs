//! The `sqlite` source: a query of a SQLite database.
//!
//! Owns the reading, in one transaction that sees one state of it. Refuses to change anything there.

use super::super::intake::Intake;
use super::super::tools::Tools;
use super::super::trouble::Trouble;
use super::{Cursor, Read, Start};
use crate::yaml::{Located, section};

section! {
    /// A query of a SQLite database.
    pub struct SqliteQuery {
        /// The database file. A template.
        pub path: Located<String>,
        /// The query. Where it has `:cursor`, that is where the read begins, as a parameter.
        pub query: Located<String>,
        /// How far was read.
        pub cursor: Option<Cursor>,
    }
}

impl SqliteQuery {
    pub(super) fn identity(&self) -> String {
        format!("sqlite {} {}", self.path.value, self.query.value)
    }

    pub(super) fn read(
        &self,
        _tools: &Tools,
        _start: &Start,
        _intake: &mut Intake<'_>,
    ) -> Result<Read, Trouble> {
        Err(Trouble::unbuilt("sqlite"))
    }
}
