//! Where data comes from.
//!
//! Owns the closed list of sources. Each reads its own section and gives rows to an `Intake`, from the
//! beginning or from where the last commit ended. Refuses to know columns beyond their names, and what
//! becomes of the rows.

mod check;
mod command;
mod csv;
pub(super) mod document;
mod file;
mod google_sheets;
mod http_json;
mod jsonl;
mod lines;
mod postgres;
mod program;
mod query;
mod singer;
mod sqlite;

use jiff::Timestamp;
use serde_json::Value as Json;

use super::intake::Intake;
use super::sheets::SHEETS;
use super::spec::Unchanged;
use super::tools::Tools;
use super::trouble::Trouble;
use crate::kinds::Touch;
use crate::kinds::command::Run;
use crate::yaml::decode::quantity::DurationText;
use crate::yaml::decode::values::ScalarText;
use crate::yaml::{Located, one_of, section};

one_of! {
    /// Where the data comes from.
    pub enum Source as "source" {
        /// A range of a Google spreadsheet.
        google_sheets => GoogleSheets(google_sheets::GoogleSheets),
        /// Records in JSON answers of an HTTP API, page by page.
        http_json => HttpJson(Box<http_json::HttpJson>),
        /// A CSV file, here or over HTTP.
        csv => Csv(csv::Csv),
        /// A file with one JSON object a line, here or over HTTP.
        jsonl => Jsonl(jsonl::Jsonl),
        /// A query of a SQLite database.
        sqlite => Sqlite(sqlite::SqliteQuery),
        /// A query of a Postgres database.
        postgres => Postgres(postgres::PostgresQuery),
        /// A program that prints one JSON object a line.
        command => Command(command::CommandSource),
        /// A tap after the Singer specification.
        singer => Singer(singer::Singer),
    }
}

section! {
    /// How far a source was read, by a value that only grows.
    pub struct Cursor {
        /// The source's field, which one of the columns must be made of.
        pub field: Located<String>,
        /// How far behind the newest value the next read begins: for what is written late.
        pub lookback: Option<DurationText>,
        /// Where the very first read begins.
        pub initial: Option<Located<ScalarText>>,
    }
}

/// Where a read begins.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Start {
    /// The cursor of the last commit, lookback taken off, or the initial one; as text, times in RFC 3339.
    /// `None` reads everything.
    pub(super) cursor: Option<String>,
    /// What the source left for itself at the last commit: a version, a tap's state.
    pub(super) left: Option<Json>,
    /// Whether a probe may say that nothing has changed since.
    pub(super) may_be_unchanged: bool,
    /// Whether the mode goes on from the last commit. Where it does not (a mirror must see everything), a tap
    /// is not told how far it came.
    pub(super) goes_on: bool,
    /// When the attempt began.
    pub(super) now: Timestamp,
}

/// What data in a Postgres database is called by those who read and write it.
pub(super) fn postgres_name(url: &str) -> String {
    let place = url.split(['?', '#']).next().unwrap_or(url);
    format!("postgres {}", place.rsplit('@').next().unwrap_or(place))
}

/// What came of a read that was complete.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Read {
    /// A probe confirmed that nothing has changed; no rows were given.
    Unchanged,
    /// Every row was given.
    All {
        /// What the source leaves for its next read.
        left: Option<Json>,
    },
}

impl Source {
    /// Reads it to its end.
    pub(super) fn read(
        &self,
        tools: &Tools,
        start: &Start,
        intake: &mut Intake<'_>,
    ) -> Result<Read, Trouble> {
        match self {
            Self::GoogleSheets(source) => source.read(tools, start, intake),
            Self::HttpJson(source) => source.read(tools, start, intake),
            Self::Csv(source) => source.read(tools, start, intake),
            Self::Jsonl(source) => source.read(tools, start, intake),
            Self::Sqlite(source) => source.read(tools, start, intake),
            Self::Postgres(source) => source.read(tools, start, intake),
            Self::Command(source) => source.read(tools, start, intake),
            Self::Singer(source) => source.read(tools, start, intake),
        }
    }

    /// What makes it this source and no other, for the fingerprint of a state; as written, secrets never.
    pub(super) fn identity(&self) -> String {
        match self {
            Self::GoogleSheets(source) => source.identity(),
            Self::HttpJson(source) => source.identity(),
            Self::Csv(source) => source.identity(),
            Self::Jsonl(source) => source.identity(),
            Self::Sqlite(source) => source.identity(),
            Self::Postgres(source) => source.identity(),
            Self::Command(source) => source.identity(),
            Self::Singer(source) => source.identity(),
        }
    }

    /// What it reads and talks to.
    pub(super) fn touches(&self) -> Vec<Touch> {
        let file_or_url = |path: Option<&Located<String>>, url: Option<&Located<String>>| {
            let file = path.and_then(|path| Touch::reads_file(path));
            file.into_iter().chain(url.and_then(|url| Touch::url(url))).collect()
        };
        match self {
            Self::GoogleSheets(source) => {
                let url = source.api_url.as_ref().map_or(SHEETS, |url| url.as_str());
                let sheet = Touch::Reads(format!("sheet {}", source.spreadsheet.value));
                Touch::url(url).into_iter().chain([sheet]).collect()
            }
            Self::HttpJson(source) => Touch::url(&source.url).into_iter().collect(),
            Self::Csv(source) => file_or_url(source.path.as_ref(), source.url.as_ref()),
            Self::Jsonl(source) => file_or_url(source.path.as_ref(), source.url.as_ref()),
            Self::Sqlite(source) => Touch::reads_file(&source.path).into_iter().collect(),
            Self::Postgres(source) => {
                let data = Touch::Reads(postgres_name(&source.url));
                Touch::url(&source.url).into_iter().chain([data]).collect()
            }
            Self::Command(source) => Touch::of_run(&source.run),
            Self::Singer(source) => source.run.as_ref().map(Touch::of_run).unwrap_or_default(),
        }
    }

    /// The program that it runs, where it runs one.
    pub(super) fn program(&self) -> Option<&Run> {
        match self {
            Self::Command(source) => Some(&source.run),
            Self::Singer(source) => source.run.as_ref().filter(|_| source.package.is_none()),
            _ => None,
        }
    }

    /// Whether its rows are what a program printed.
    pub(super) fn is_a_program(&self) -> bool {
        matches!(self, Self::Command(_) | Self::Singer(_))
    }

    /// Whether it reads on from where it ended by a state of its own.
    pub(super) fn keeps_state(&self) -> bool {
        matches!(self, Self::Singer(_))
    }

    /// When a read of it may be left out.
    pub(super) fn unchanged(&self) -> Option<&Unchanged> {
        let unchanged = match self {
            Self::GoogleSheets(source) => source.unchanged.as_ref(),
            Self::Csv(source) => source.unchanged.as_ref(),
            Self::Jsonl(source) => source.unchanged.as_ref(),
            Self::HttpJson(_)
            | Self::Sqlite(_)
            | Self::Postgres(_)
            | Self::Command(_)
            | Self::Singer(_) => None,
        };
        unchanged.map(|unchanged| &unchanged.value)
    }

    /// Its cursor, where it reads by one.
    pub(super) fn cursor(&self) -> Option<&Cursor> {
        match self {
            Self::HttpJson(source) => source.cursor.as_ref(),
            Self::Sqlite(source) => source.cursor.as_ref(),
            Self::Postgres(source) => source.cursor.as_ref(),
            Self::GoogleSheets(_)
            | Self::Csv(_)
            | Self::Jsonl(_)
            | Self::Command(_)
            | Self::Singer(_) => None,
        }
    }
}
