//! The `google_sheets` source: a range of a spreadsheet.
//!
//! Owns the requests for it, at most three where it has changed and one where it has not. Refuses to know
//! how a request gets its token.

use serde_json::json;

use super::super::intake::{HeaderRules, Intake};
use super::super::sheets::{Access, Api, Area, Book, Found, each_row, no_header, quoted};
use super::super::spec::Unchanged;
use super::super::tools::Tools;
use super::super::trouble::{Ending, Trouble};
use super::super::value::Cell;
use super::super::wire::Side;
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
        tools: &Tools,
        start: &Start,
        intake: &mut Intake<'_>,
    ) -> Result<Read, Trouble> {
        let access = Access {
            spreadsheet: &self.spreadsheet,
            credential: &self.credential,
            api_url: self.api_url.as_ref(),
        };
        let api = Api::open(tools, Side::Source, access)?;
        // The version comes first: what is edited between it and the values is read again next time.
        let left = match &self.unchanged {
            Some(_) => Some(json!({ "version": api.version()? })),
            None => None,
        };
        if start.may_be_unchanged && left.is_some() && left == start.left {
            return Ok(Read::Unchanged);
        }
        let book = api.book()?;
        let range = self.range_in(tools, &book)?;
        let body = api.values(&range)?;
        intake.bytes(u64::try_from(body.len()).unwrap_or(u64::MAX));
        let text = std::str::from_utf8(&body)
            .map_err(|_| Trouble::source("the API's answer is not in UTF-8"))?;
        intake.zone(book.zone()?);
        self.rows(tools, text, &range, intake)?;
        Ok(Read::All { left })
    }

    /// The range to ask for, with its tab.
    fn range_in(&self, tools: &Tools, book: &Book) -> Result<String, Trouble> {
        let range = self.range.as_ref();
        let range = range.map(|range| tools.render("range", &range.value)).transpose()?;
        let named = range.as_ref().is_some_and(|range| range.contains('!'));
        let tab = match self.sheet_id {
            Some(_) if named => {
                let words = "`range` and `sheet_id` both name a tab: leave one of them out";
                return Err(Trouble::config(words));
            }
            Some(id) => {
                let found = book.tabs().find(|tab| tab.sheet_id == id);
                found.ok_or_else(|| {
                    let there: Vec<_> = book
                        .tabs()
                        .map(|tab| format!("{} (`{}`)", tab.sheet_id, tab.title))
                        .collect();
                    let words =
                        format!("no tab has the `sheet_id` {id}; there are {}", there.join(", "));
                    Trouble::new(Ending::NotFound, words)
                })?
            }
            None => match (range, named) {
                (Some(range), true) => return Ok(range),
                (range, _) => {
                    let first = book.tabs().next();
                    let tab =
                        first.ok_or_else(|| Trouble::source("the spreadsheet has no tabs"))?;
                    return Ok(within(&tab.title, range.as_deref()));
                }
            },
        };
        Ok(within(&tab.title, range.as_deref()))
    }

    /// Gives the rows of an answer.
    fn rows(
        &self,
        tools: &Tools,
        answer: &str,
        range: &str,
        intake: &mut Intake<'_>,
    ) -> Result<(), Trouble> {
        let area = Area::of(range);
        let head = u64::from(self.header.row.max(1)) - 1;
        let rules = HeaderRules {
            folded: self.header.r#match == Match::TrimCasefold,
            no_duplicates: self.header.duplicates == Duplicates::Fail,
        };
        let (mut header, mut at, mut over) = (None, 0_u64, false);
        each_row(answer, &mut |cells| {
            let row = at;
            at += 1;
            let blank = cells.iter().all(|cell| *cell == Found::Empty);
            if row < head || over {
                return Ok(());
            }
            if row == head {
                if !blank {
                    let names: Vec<_> = cells.iter().map(Found::text).collect();
                    let place = |column| format!("cell {}", area.cell(row, column));
                    header = Some(intake.header(&names, rules, &place)?);
                }
                return Ok(());
            }
            if blank {
                over = self.header.blank_rows == BlankRows::Stop;
                return Ok(());
            }
            if row.is_multiple_of(1024) {
                tools.go_on()?;
            }
            let header = header.as_ref().ok_or_else(|| no_header(range, area.row + head + 1))?;
            let place = format_args!("row {}", area.row + row + 1);
            intake.fields(&place, header, &|column| {
                cells.get(column).map_or(Cell::Missing, Found::cell)
            })
        })?;
        // An empty sheet is no sheet without rows: somebody has emptied it, or the range is another.
        header.map(drop).ok_or_else(|| no_header(range, area.row + head + 1))
    }
}

fn within(tab: &str, range: Option<&str>) -> String {
    match range {
        Some(range) => format!("{}!{range}", quoted(tab)),
        None => quoted(tab),
    }
}
