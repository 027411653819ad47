//! The `csv` source: a CSV file, here or over HTTP.
//!
//! Owns the dialect. Refuses to guess it, and to know columns beyond their headers.

use super::super::intake::Intake;
use super::super::spec::Unchanged;
use super::super::tools::Tools;
use super::super::trouble::Trouble;
use super::{Read, Start};
use crate::yaml::{Located, section};

section! {
    /// A CSV file, here or over HTTP.
    pub struct Csv {
        /// The file. A template.
        pub path: Option<Located<String>>,
        /// Its address. A template.
        pub url: Option<Located<String>>,
        /// The credential to show, by the job's own name for it.
        pub credential: Option<Located<String>>,
        /// What stands between two fields; one character.
        pub delimiter: Option<Located<String>>,
        /// When a read may be left out: by `mtime` of a file, by `etag` over HTTP.
        pub unchanged: Option<Located<Unchanged>>,
    }
}

impl Csv {
    pub(super) fn identity(&self) -> String {
        let of = self.path.as_ref().or(self.url.as_ref());
        format!("csv {}", of.map(|text| text.value.as_str()).unwrap_or_default())
    }

    pub(super) fn read(
        &self,
        _tools: &Tools,
        _start: &Start,
        _intake: &mut Intake<'_>,
    ) -> Result<Read, Trouble> {
        Err(Trouble::unbuilt("csv"))
    }
}
