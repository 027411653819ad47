//! The `csv` destination: a CSV file, or a folder of one file a run.
//!
//! Owns its format. Files are written whole beside their place and renamed, the manifest last. Refuses to judge a change.

use super::super::diff::Work;
use super::super::ledger::Ledger;
use super::super::tools::Tools;
use super::super::trouble::Trouble;
use super::{Each, Found, Layout, Shape};
use crate::yaml::{Located, section};

section! {
    /// A CSV file, or a folder of one file a run.
    pub struct CsvFile {
        /// The file, or the folder. A template.
        pub path: Located<String>,
        /// How many files there are.
        pub layout: Layout = Layout::SingleFile,
    }
}

/// Under way.
pub(in super::super) struct Session;

impl CsvFile {
    pub(super) fn begin(
        &self,
        _tools: &Tools,
        _shape: Shape<'_>,
    ) -> Result<(Session, Found), Trouble> {
        Err(Trouble::unbuilt("csv"))
    }
}

impl Session {
    pub(super) fn current(&mut self, _each: Each<'_>) -> Result<(), Trouble> {
        Err(Trouble::unbuilt("csv"))
    }

    pub(super) fn commit(self, _work: &mut Work<'_>, _ledger: &Ledger) -> Result<(), Trouble> {
        Err(Trouble::unbuilt("csv"))
    }
}
