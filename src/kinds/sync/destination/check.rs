//! What the section of a destination may not say, and the credentials that it shows.
//!
//! Owns the checks of meaning of all destinations: what each can do of the modes, its templates and its
//! names. Refuses to look at any destination.

use super::super::check::{address, spreadsheet, templates};
use super::super::columns::ColumnSection;
use super::super::spec::Mode;
use super::{Destination, Layout};
use crate::kinds::Shown;
use crate::kinds::template::{More, Names, Under};
use crate::yaml::decode::values::Entries;
use crate::yaml::{Code, Decoder, Located, Span};

/// The columns of a job.
type Columns = Entries<Located<ColumnSection>>;

/// Longest name of a column in Postgres, which cuts longer ones without a word.
const NAME_MAX: usize = 63;

impl Destination {
    /// The credentials that it shows.
    pub(in super::super) fn shown(&self) -> Option<Shown<'_>> {
        let (binding, address) = match self {
            Self::Postgres(to) => (to.credential.as_ref(), None),
            Self::GoogleSheets(to) => (Some(&to.credential), to.api_url.as_ref()),
            Self::Http(to) => (to.credential.as_ref(), Some(&to.url)),
            Self::Sqlite(_) | Self::Csv(_) | Self::Jsonl(_) | Self::Parquet(_) => (None, None),
        };
        binding.map(|binding| Shown { binding, address, is_read: false })
    }

    /// Reports what is wrong in meaning.
    pub(in super::super) fn check(
        &self,
        mode: Option<&Located<Mode>>,
        columns: &Columns,
        names: &Names<'_>,
        cx: &mut Decoder,
    ) {
        if let Some(mode) = mode {
            self.check_mode(mode, columns, cx);
        }
        match self {
            Self::Sqlite(to) => table(&to.table, cx),
            Self::Postgres(to) => {
                address(&to.url, &["postgres", "postgresql"], cx);
                table(&to.table, cx);
                long_names(columns, cx);
            }
            Self::Parquet(to) if !cfg!(feature = "parquet") => {
                let message = "this build does not write Parquet";
                cx.report(Code::KindNotRun, to.path.span, message)
                    .help("build it with the feature `parquet`, or write `jsonl` or `csv`");
            }
            Self::GoogleSheets(to) => {
                spreadsheet(&to.spreadsheet, cx);
                if let Some(url) = &to.api_url {
                    address(url, &["http", "https"], cx);
                }
            }
            Self::Http(to) => {
                for url in std::iter::once(&to.url).chain(&to.delete_url) {
                    address(url, &["http", "https"], cx);
                }
            }
            Self::Csv(_) | Self::Jsonl(_) | Self::Parquet(_) => {}
        }
        self.check_templates(columns, names, cx);
    }

    /// The file that it writes, where a source could read that.
    pub(in super::super) fn path(&self) -> Option<&Located<String>> {
        match self {
            Self::Csv(to) => Some(&to.path),
            Self::Jsonl(to) => Some(&to.path),
            _ => None,
        }
    }

    fn check_templates(&self, columns: &Columns, names: &Names<'_>, cx: &mut Decoder) {
        let texts = match self {
            Self::Sqlite(to) => vec![&to.path],
            Self::Postgres(to) => vec![&to.url],
            Self::Csv(to) => vec![&to.path],
            Self::Jsonl(to) => vec![&to.path],
            Self::Parquet(to) => vec![&to.path],
            Self::GoogleSheets(to) => vec![&to.spreadsheet],
            Self::Http(to) => {
                let known = columns.0.iter().map(|(name, _)| name.value.as_str()).collect();
                // The columns of a tap are known when it has run.
                let under =
                    if columns.0.is_empty() { Under::Anything } else { Under::Names(known) };
                let more = vec![More { name: "record", under }];
                let names = Names { more, ..names.clone() };
                let urls = std::iter::once(&to.url).chain(&to.delete_url);
                let urls = urls.map(|text| (text.value.as_str(), text.span));
                let headers = to.headers.0.iter();
                let headers = headers.map(|(_, text)| (text.value.0.as_str(), text.span));
                return templates(urls.chain(headers), &names, cx);
            }
        };
        let texts = texts.into_iter().map(|text| (text.value.as_str(), text.span));
        templates(texts, names, cx);
    }

    fn check_mode(&self, mode: &Located<Mode>, columns: &Columns, cx: &mut Decoder) {
        let word = mode.value.word();
        let layout = match self {
            Self::Csv(to) => to.layout,
            Self::Jsonl(to) => to.layout,
            Self::Parquet(to) => to.layout,
            _ => Layout::SingleFile,
        };
        let (message, help) = match (self, mode.value) {
            (_, Mode::Replace | Mode::Upsert | Mode::Mirror) if layout == Layout::FilePerRun => (
                format!("`{word}` changes rows of earlier runs, whose files stay as they are"),
                "write `layout: single_file`, or the mode `append`, `snapshot` or `incremental`",
            ),
            (Self::GoogleSheets(_), Mode::Append | Mode::Snapshot) => (
                format!(
                    "a sheet can't be written with the mode `{word}`: an answer that is lost \
                         would leave its rows there twice"
                ),
                "write `upsert`, `mirror` or `replace`: rows are known by their key",
            ),
            (Self::GoogleSheets(to), _) if !has_key(columns) => {
                let message = "a sheet is written by key, and no column has `key: true`";
                return tell(
                    (to.tab.span, message),
                    "add `key: true` to those that a row is known by",
                    cx,
                );
            }
            (Self::Http(_), Mode::Replace | Mode::Snapshot) => (
                format!("an API can't be written with the mode `{word}`"),
                "write `append`, `upsert`, `mirror` or `incremental`",
            ),
            (Self::Http(to), Mode::Mirror) if to.delete_url.is_none() => (
                "`mirror` deletes rows, and nothing says by which address".to_owned(),
                "add `delete_url:` to the destination, or write `mode: upsert`",
            ),
            _ => return,
        };
        tell((mode.span, &message), help, cx);
    }
}

fn tell((at, message): (Span, &str), help: &str, cx: &mut Decoder) {
    cx.report(Code::Contradiction, at, message).help(help);
}

/// Whether any column is part of a key; of a tap, its own schema may say so.
fn has_key(columns: &Columns) -> bool {
    columns.0.is_empty() || columns.0.iter().any(|(_, column)| column.key)
}

fn table(name: &Located<String>, cx: &mut Decoder) {
    if name.value.trim().is_empty() {
        let message = "the table has no name";
        cx.report(Code::BadName, name.span, message).help("write it like `bookings`");
    }
}

fn long_names(columns: &Columns, cx: &mut Decoder) {
    for (name, _) in columns.0.iter().filter(|(name, _)| name.len() > NAME_MAX) {
        let message = format!("Postgres cuts names of columns after {NAME_MAX} bytes");
        cx.report(Code::BadName, name.span, message)
            .help("shorten it, and name the source's field under `from`");
    }
}
