//! The `postgres` source: a query of a Postgres database.
//!
//! Owns the reading, in one transaction that sees one state of it. Refuses to change anything there.

use super::super::intake::Intake;
use super::super::tools::Tools;
use super::super::trouble::Trouble;
use super::{Cursor, Read, Start};
use crate::yaml::{Located, section};

section! {
    /// A query of a Postgres database.
    pub struct PostgresQuery {
        /// Its address, without a password: `postgres://user@host/database`. A template.
        pub url: Located<String>,
        /// The credential with user and password, by the job's own name for it.
        pub credential: Option<Located<String>>,
        /// The query. Where it has `:cursor`, that is where the read begins, as a parameter.
        pub query: Located<String>,
        /// How far was read.
        pub cursor: Option<Cursor>,
    }
}

impl PostgresQuery {
    pub(super) fn identity(&self) -> String {
        format!("postgres {} {}", self.url.value, self.query.value)
    }

    pub(super) fn read(
        &self,
        _tools: &Tools,
        _start: &Start,
        _intake: &mut Intake<'_>,
    ) -> Result<Read, Trouble> {
        Err(Trouble::unbuilt("postgres"))
    }
}
