//! The `parquet` destination: a Parquet file, or a folder of one file a run.
//!
//! Owns the section. Refuses to know the format, which a build may lack, and how a file becomes the one that
//! counts.

#[cfg(feature = "parquet")]
mod format;

use super::super::diff::Work;
use super::super::ledger::Ledger;
use super::super::tools::Tools;
use super::super::trouble::Trouble;
#[cfg(feature = "parquet")]
use super::files;
use super::{Each, Found, Layout, Shape};
use crate::yaml::{Located, section};
#[cfg(feature = "parquet")]
use format::Parquet;

section! {
    /// A Parquet file, or a folder of one file a run.
    pub struct ParquetFile {
        /// The file, or the folder. A template.
        pub path: Located<String>,
        /// How many files there are.
        pub layout: Layout = Layout::SingleFile,
    }
}

/// Under way.
#[cfg(feature = "parquet")]
pub(in super::super) struct Session(files::Session<Parquet>);

#[cfg(feature = "parquet")]
impl ParquetFile {
    pub(super) fn begin(
        &self,
        tools: &Tools,
        shape: Shape<'_>,
    ) -> Result<(Session, Found), Trouble> {
        let path = tools.path("destination.parquet.path", &self.path.value)?;
        let (session, found) = files::Session::begin(path, self.layout, tools, shape)?;
        Ok((Session(session), found))
    }
}

#[cfg(feature = "parquet")]
impl Session {
    pub(super) fn current(&mut self, each: Each<'_>) -> Result<(), Trouble> {
        self.0.current(each)
    }

    pub(super) fn commit(self, work: &mut Work<'_>, ledger: &Ledger) -> Result<(), Trouble> {
        self.0.commit(work, ledger)
    }
}

/// Of a build that can't write Parquet, there is none.
#[cfg(not(feature = "parquet"))]
pub(in super::super) enum Session {}

#[cfg(not(feature = "parquet"))]
impl ParquetFile {
    pub(super) fn begin(&self, _: &Tools, _: Shape<'_>) -> Result<(Session, Found), Trouble> {
        let message = "this build does not write Parquet; build it with the feature `parquet`";
        Err(Trouble::config(message))
    }
}

#[cfg(not(feature = "parquet"))]
impl Session {
    pub(super) fn current(&mut self, _: Each<'_>) -> Result<(), Trouble> {
        match *self {}
    }

    pub(super) fn commit(self, _: &mut Work<'_>, _: &Ledger) -> Result<(), Trouble> {
        match self {}
    }
}
