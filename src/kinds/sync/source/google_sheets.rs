//! The `google_sheets` source: a range of a spreadsheet.
//!
//! Owns the requests for it, at most three where it has changed and one where it has not. Refuses to know
//! how a request gets its token.

use super::super::intake::Intake;
use super::super::spec::Unchanged;
use super::super::tools::Tools;
use super::super::trouble::Trouble;
use super::{Read, Start};
use crate::yaml::{Located, section, words};

section! {
    /// A range of a Google spreadsheet.
    pub struct GoogleSheets {
        /// Its id: the long word in its address. A template.
        pub spreadsheet: Located<String>,
        /// The range, with the tab where `sheet_id` does not name it: `Port Sheet!A:K`. A template. The whole tab
        /// where it is not given.
        pub range: Option<Located<String>>,
        /// The tab by its number, which stays when it is renamed (`gid` in the address).
        pub sheet_id: Option<u64>,
        /// The credential to show, by the job's own name for it.
        pub credential: Located<String>,
        /// Where the headers are and how they are compared.
        pub header: Header = Header::default(),
        /// When a read may be left out.
        pub unchanged: Option<Located<Unchanged>>,
        /// Where the API answers, instead of Google: for a proxy or a test.
        pub api_url: Option<Located<String>>,
    }
}

section! {
    /// Where headers are, and how they are compared.
    pub struct Header {
        /// The row of the range that has them, from 1.
        pub row: u32 = 1,
        /// How they are compared with `from`.
        pub r#match: Match = Match::TrimCasefold,
        /// What follows where one stands twice.
        pub duplicates: Duplicates = Duplicates::Fail,
        /// What becomes of rows without any value.
        pub blank_rows: BlankRows = BlankRows::Skip,
    }
}

words! {
    /// How headers are compared.
    pub enum Match {
        /// Spaces around them and the case of letters do not count.
        TrimCasefold = "trim+casefold",
        /// Letter by letter.
        Exact = "exact",
    }
}

words! {
    /// What follows where a header stands twice.
    pub enum Duplicates {
        /// The run fails.
        Fail = "fail",
        /// The first one counts; only a mapped one fails.
        First = "first",
    }
}

words! {
    /// What becomes of rows without any value.
    pub enum BlankRows {
        /// They are passed over.
        Skip = "skip",
        /// The range ends at the first one.
        Stop = "stop",
    }
}

impl Default for Header {
    fn default() -> Self {
        Self {
            row: 1,
            r#match: Match::TrimCasefold,
            duplicates: Duplicates::Fail,
            blank_rows: BlankRows::Skip,
        }
    }
}

impl GoogleSheets {
    pub(super) fn identity(&self) -> String {
        let range = self.range.as_ref().map(|range| range.value.as_str()).unwrap_or_default();
        let sheet = self.sheet_id.map(|id| format!("#{id}")).unwrap_or_default();
        format!("google_sheets {}{sheet} {range}", self.spreadsheet.value)
    }

    pub(super) fn read(
        &self,
        _tools: &Tools,
        _start: &Start,
        _intake: &mut Intake<'_>,
    ) -> Result<Read, Trouble> {
        Err(Trouble::unbuilt("google_sheets"))
    }
}
