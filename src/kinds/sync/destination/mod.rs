//! Where data goes.
//!
//! Owns the closed list of destinations and what each must do: begin (lock, and say what is there), show
//! what it holds, and commit rows and ledger as one. Refuses to know where the rows are from, and to judge
//! a change.

mod check;
mod csv;
mod files;
#[cfg(test)]
mod fixture;
mod google_sheets;
mod http;
mod jsonl;
#[cfg(test)]
mod killed;
mod parquet;
mod postgres;
mod sqlite;

use super::columns::Column;
use super::diff::{Move, Work};
use super::folder;
use super::ledger::Ledger;
use super::sheets::SHEETS;
use super::source::postgres_name;
use super::tools::Tools;
use super::trouble::Trouble;
use crate::kinds::Touch;
use crate::yaml::{one_of, words};

one_of! {
    /// Where the data goes.
    pub enum Destination as "destination" {
        /// A table of a SQLite database.
        sqlite => Sqlite(sqlite::SqliteTable),
        /// A table of a Postgres database.
        postgres => Postgres(postgres::PostgresTable),
        /// A CSV file, or a folder of one file a run.
        csv => Csv(csv::CsvFile),
        /// A file with one JSON object a line, or a folder of one file a run.
        jsonl => Jsonl(jsonl::JsonlFile),
        /// A Parquet file, or a folder of one file a run.
        parquet => Parquet(parquet::ParquetFile),
        /// A tab of a Google spreadsheet.
        google_sheets => GoogleSheets(google_sheets::SheetTable),
        /// An HTTP API that takes one record a request.
        http => Http(http::HttpRecords),
    }
}

words! {
    /// How many files there are.
    pub enum Layout {
        /// One, which each run replaces whole.
        SingleFile = "single_file",
        /// One for each run, in a folder with a manifest of those that count.
        FilePerRun = "file_per_run",
    }
}

/// What `begin` needs to know of the rows to come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape<'a> {
    /// Under which name the ledger is kept: the job's.
    pub(super) stream: &'a str,
    /// The columns, in the order in which rows are encoded; those that are made here (`snapshot_at`,
    /// `unknown`) included.
    pub(super) columns: &'a [Column],
}

/// What a destination says of itself when work on it begins.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Found {
    /// The record of the last commit: its text as it was read, since it may be corrupt.
    pub(super) ledger: Option<String>,
    /// Rows that are there: exactly where that is cheap, else 1 for "some".
    pub(super) rows: u64,
    /// Whether it can show its rows, so that a diff by key is possible.
    pub(super) shows_rows: bool,
}

/// A destination that is locked: nobody else changes it until this is over. Dropped without a commit,
/// it leaves everything as it was.
pub(super) enum Session {
    /// A SQLite transaction.
    Sqlite(Box<sqlite::Session>),
    /// A Postgres transaction.
    Postgres(Box<postgres::Session>),
    /// A CSV file.
    Csv(Box<csv::Session>),
    /// A JSONL file.
    Jsonl(Box<jsonl::Session>),
    /// A Parquet file.
    Parquet(Box<parquet::Session>),
    /// A tab of a spreadsheet.
    GoogleSheets(Box<google_sheets::Session>),
    /// An HTTP API.
    Http(Box<http::Session>),
}

impl Destination {
    /// What it writes and talks to.
    pub(super) fn touches(&self) -> Vec<Touch> {
        match self {
            Self::Sqlite(to) => Touch::writes_file(&to.path).into_iter().collect(),
            Self::Postgres(to) => {
                let data = Touch::Writes(postgres_name(&to.url));
                Touch::url(&to.url).into_iter().chain([data]).collect()
            }
            Self::Csv(to) => Touch::writes_file(&to.path).into_iter().collect(),
            Self::Jsonl(to) => Touch::writes_file(&to.path).into_iter().collect(),
            Self::Parquet(to) => Touch::writes_file(&to.path).into_iter().collect(),
            Self::GoogleSheets(to) => {
                let url = to.api_url.as_ref().map_or(SHEETS, |url| url.as_str());
                let sheet = Touch::Writes(format!("sheet {}", to.spreadsheet.value));
                Touch::url(url).into_iter().chain([sheet]).collect()
            }
            Self::Http(to) => Touch::url(&to.url).into_iter().collect(),
        }
    }

    /// Whether it is written whole, so that a commit needs the rows that stay too.
    pub(super) fn is_written_whole(&self) -> bool {
        match self {
            Self::Csv(_) | Self::Jsonl(_) | Self::Parquet(_) | Self::GoogleSheets(_) => true,
            Self::Sqlite(_) | Self::Postgres(_) | Self::Http(_) => false,
        }
    }

    /// Whether the record of its last commit lies in our own folder, since it can't hold one.
    pub(super) fn has_its_ledger_here(&self) -> bool {
        matches!(self, Self::GoogleSheets(_) | Self::Http(_))
    }

    /// Locks it, and finds out what is there. Makes a table that is missing, within the transaction.
    pub(super) fn begin(
        &self,
        tools: &Tools,
        shape: Shape<'_>,
    ) -> Result<(Session, Found), Trouble> {
        Ok(match self {
            Self::Sqlite(to) => {
                let (session, found) = to.begin(tools, shape)?;
                (Session::Sqlite(Box::new(session)), found)
            }
            Self::Postgres(to) => {
                let (session, found) = to.begin(tools, shape)?;
                (Session::Postgres(Box::new(session)), found)
            }
            Self::Csv(to) => {
                let (session, found) = to.begin(tools, shape)?;
                (Session::Csv(Box::new(session)), found)
            }
            Self::Jsonl(to) => {
                let (session, found) = to.begin(tools, shape)?;
                (Session::Jsonl(Box::new(session)), found)
            }
            Self::Parquet(to) => {
                let (session, found) = to.begin(tools, shape)?;
                (Session::Parquet(Box::new(session)), found)
            }
            Self::GoogleSheets(to) => {
                let (session, found) = to.begin(tools, shape)?;
                (Session::GoogleSheets(Box::new(session)), found)
            }
            Self::Http(to) => {
                let (session, found) = to.begin(tools, shape)?;
                (Session::Http(Box::new(session)), found)
            }
        })
    }
}

/// Takes one encoded row.
pub(super) type Each<'a> = &'a mut dyn FnMut(&[u8]) -> Result<(), Trouble>;

/// A place where a test can end the process.
#[cfg(not(test))]
fn step(_number: u32) {}

#[cfg(test)]
use killed::step;

/// Takes one move.
type EachMove<'a> = &'a mut dyn FnMut(Move<'_>) -> Result<(), Trouble>;

/// Gives every move of a work.
type Moves<'a> = &'a mut dyn FnMut(EachMove<'_>) -> Result<(), Trouble>;

impl Session {
    /// Gives every row that is there, encoded by the columns of the shape, in any order.
    pub(super) fn current(&mut self, each: Each<'_>) -> Result<(), Trouble> {
        match self {
            Self::Sqlite(session) => session.current(each),
            Self::Postgres(session) => session.current(each),
            Self::Csv(session) => session.current(each),
            Self::Jsonl(session) => session.current(each),
            Self::Parquet(session) => session.current(each),
            Self::GoogleSheets(session) => session.current(each),
            Self::Http(_) => Err(Trouble::config("an HTTP API can't show its rows")),
        }
    }

    /// Makes the work and the ledger durable, both or none.
    pub(super) fn commit(self, work: &mut Work<'_>, ledger: &Ledger) -> Result<(), Trouble> {
        match self {
            Self::Sqlite(session) => session.commit(work, ledger),
            Self::Postgres(session) => session.commit(work, ledger),
            Self::Csv(session) => session.commit(work, ledger),
            Self::Jsonl(session) => session.commit(work, ledger),
            Self::Parquet(session) => session.commit(work, ledger),
            Self::GoogleSheets(session) => session.commit(work, ledger),
            Self::Http(session) => session.commit(work, ledger),
        }
    }
}

/// Keeps the ledger of a destination that has no place for one, after its rows.
fn keep_ledger(tools: &Tools, ledger: &Ledger) -> Result<(), Trouble> {
    folder::write(&tools.folder(), folder::LEDGER, ledger).map_err(|trouble| {
        let words = format!("everything was written, but not the ledger: {}", trouble.message);
        Trouble::destination(words)
    })
}
