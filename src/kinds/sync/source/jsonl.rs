//! The `jsonl` source: a file with one JSON object a line, here or over HTTP.
//!
//! Owns the lines. Refuses to know columns beyond their names.

use super::super::intake::Intake;
use super::super::spec::Unchanged;
use super::super::tools::Tools;
use super::super::trouble::Trouble;
use super::file::{Address, Opened};
use super::{Read, Start, lines};
use crate::yaml::{Located, section};

section! {
    /// A file with one JSON object a line, here or over HTTP.
    pub struct Jsonl {
        /// The file. A template.
        pub path: Option<Located<String>>,
        /// Its address. A template.
        pub url: Option<Located<String>>,
        /// The credential to show, by the job's own name for it.
        pub credential: Option<Located<String>>,
        /// When a read may be left out: by `mtime` of a file, by `etag` over HTTP.
        pub unchanged: Option<Located<Unchanged>>,
    }
}

impl Jsonl {
    pub(super) fn identity(&self) -> String {
        let of = self.path.as_ref().or(self.url.as_ref());
        format!("jsonl {}", of.map(|text| text.value.as_str()).unwrap_or_default())
    }

    pub(super) fn read(
        &self,
        tools: &Tools,
        start: &Start,
        intake: &mut Intake<'_>,
    ) -> Result<Read, Trouble> {
        let address = Address {
            path: self.path.as_ref(),
            url: self.url.as_ref(),
            credential: self.credential.as_ref(),
            unchanged: self.unchanged.as_ref(),
        };
        let input = match address.open(tools, start)? {
            Opened::Unchanged => return Ok(Read::Unchanged),
            Opened::Bytes(input) => input,
        };
        let mut lines = lines::of_file(*input);
        while lines.next()? {
            let (at, line) = lines.line()?;
            intake.json(&at, line)?;
            intake.bytes(lines.bytes());
        }
        Ok(Read::All { left: lines.into_feed().into_inner().finish()? })
    }
}
