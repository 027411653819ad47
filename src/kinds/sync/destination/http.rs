//! The `http` destination: an API that takes one record a request.
//!
//! Owns the requests, each with a key by which the other side can tell a repetition. Refuses to promise more than at least once.

use super::super::diff::Work;
use super::super::ledger::Ledger;
use super::super::tools::Tools;
use super::super::trouble::Trouble;
use super::{Each, Found, Shape};
use crate::yaml::decode::values::{Entries, ScalarText};
use crate::yaml::{Located, section, words};

section! {
    /// An HTTP API that takes one record a request.
    pub struct HttpRecords {
        /// The address. A template, with the record's columns under `record`.
        pub url: Located<String>,
        /// The method.
        pub method: WriteMethod = WriteMethod::Post,
        /// The address for rows to delete, with `DELETE`; rows are deleted only where it is given. A template.
        pub delete_url: Option<Located<String>>,
        /// Headers to send. Values are templates.
        pub headers: Entries<Located<ScalarText>> = Entries::default(),
        /// The header of the key.
        pub idempotency_header: Option<String>,
        /// The credential to show, by the job's own name for it.
        pub credential: Option<Located<String>>,
    }
}

words! {
    /// How a record is sent.
    pub enum WriteMethod {
        /// As a new one.
        Post = "POST",
        /// In its place.
        Put = "PUT",
        /// As changes to one.
        Patch = "PATCH",
    }
}

/// Under way.
pub(in super::super) struct Session;

impl HttpRecords {
    pub(super) fn begin(
        &self,
        _tools: &Tools,
        _shape: Shape<'_>,
    ) -> Result<(Session, Found), Trouble> {
        Err(Trouble::unbuilt("http"))
    }
}

impl Session {
    pub(super) fn current(&mut self, _each: Each<'_>) -> Result<(), Trouble> {
        Err(Trouble::unbuilt("http"))
    }

    pub(super) fn commit(self, _work: &mut Work<'_>, _ledger: &Ledger) -> Result<(), Trouble> {
        Err(Trouble::unbuilt("http"))
    }
}
