//! Takes what a source reads: finds its columns, maps them, and stages the rows.
//!
//! Owns headers, bad rows, unknown columns and what is counted while rows come in. Refuses to know the
//! source.

use std::fmt::Display;

use jiff::tz::TimeZone;

use super::stage::Stage;
use super::tools::Tools;
use super::trouble::Trouble;
use super::value::Cell;

/// Takes the rows of one read.
pub(super) struct Intake<'a> {
    #[expect(dead_code, reason = "skeleton")]
    tools: &'a Tools,
    #[expect(dead_code, reason = "skeleton")]
    stage: &'a mut Stage,
}

/// Where a source's columns stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Header {
    /// For each column of the job, the index of its field; `None` where the column has a default.
    pub(super) fields: Vec<Option<usize>>,
    /// Indexes of fields that no column takes.
    pub(super) unknown: Vec<usize>,
}

/// How headers are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HeaderRules {
    /// Spaces around them and the case of letters do not count.
    pub(super) folded: bool,
    /// One that stands twice is an error, also where no column takes it.
    pub(super) no_duplicates: bool,
}

impl Intake<'_> {
    /// Finds the columns in a row of headers; `place` names one by its index (`C1`, `field 3`). A mapped
    /// header that is absent or stands twice is `failed:schema`, with the nearest one.
    pub(super) fn header(
        &mut self,
        _names: &[&str],
        _rules: HeaderRules,
        _place: &dyn Fn(usize) -> String,
    ) -> Result<Header, Trouble> {
        Err(Trouble::unbuilt("intake"))
    }

    /// Takes a row of fields, by a header. `field` gives the cell at an index.
    pub(super) fn fields<'c>(
        &mut self,
        _place: &dyn Display,
        _header: &Header,
        _field: &dyn Fn(usize) -> Cell<'c>,
    ) -> Result<(), Trouble> {
        Err(Trouble::unbuilt("intake"))
    }

    /// Takes a record: a JSON object as it was written.
    pub(super) fn json(&mut self, _place: &dyn Display, _record: &str) -> Result<(), Trouble> {
        Err(Trouble::unbuilt("intake"))
    }

    /// Says which zone times are in that name none and whose column says `zone: sheet`.
    pub(super) fn zone(&mut self, _zone: TimeZone) {}

    /// Counts bytes that were read, for the progress.
    pub(super) fn bytes(&mut self, _bytes: u64) {}

    /// Rows taken so far, those left out included.
    pub(super) fn rows(&self) -> u64 {
        0
    }
}
