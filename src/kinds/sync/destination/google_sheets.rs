//! The `google_sheets` destination: a tab of a spreadsheet.
//!
//! Owns the writing of fixed ranges by key, and reading them back; it never appends blindly. Refuses to be atomic over several requests, which the API does not offer.

use super::super::diff::Work;
use super::super::ledger::Ledger;
use super::super::tools::Tools;
use super::super::trouble::Trouble;
use super::{Each, Found, Shape};
use crate::yaml::{Located, section};

section! {
    /// A tab of a Google spreadsheet.
    pub struct SheetTable {
        /// Its id: the long word in its address. A template.
        pub spreadsheet: Located<String>,
        /// The tab.
        pub tab: Located<String>,
        /// The credential to show, by the job's own name for it.
        pub credential: Located<String>,
        /// Where the API answers, instead of Google: for a proxy or a test.
        pub api_url: Option<Located<String>>,
    }
}

/// Under way.
pub(in super::super) struct Session;

impl SheetTable {
    pub(super) fn begin(
        &self,
        _tools: &Tools,
        _shape: Shape<'_>,
    ) -> Result<(Session, Found), Trouble> {
        Err(Trouble::unbuilt("google_sheets"))
    }
}

impl Session {
    pub(super) fn current(&mut self, _each: Each<'_>) -> Result<(), Trouble> {
        Err(Trouble::unbuilt("google_sheets"))
    }

    pub(super) fn commit(self, _work: &mut Work<'_>, _ledger: &Ledger) -> Result<(), Trouble> {
        Err(Trouble::unbuilt("google_sheets"))
    }
}
