//! The `sync` section, and what it may not say.
//!
//! Owns the keys that every sync has; those of a source or a destination stand beside what reads and writes
//! it. Refuses to look at either.

use std::borrow::Cow;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::columns::ColumnSection;
use super::destination::Destination;
use super::guards::GuardsSection;
use super::source::Source;
use crate::kinds::command::Run;
use crate::kinds::{Shown, Touch};
use crate::yaml::decode::quantity::DurationText;
use crate::yaml::decode::values::Entries;
use crate::yaml::{Code, Decode, Decoder, Located, Node, section, words};

section! {
    /// Moves data from a source to a destination, whole or not at all.
    pub struct SyncSpec {
        /// Where the data comes from.
        pub source: Located<Source>,
        /// What each column of the destination is made of, by its name. May be left out for a Singer tap,
        /// which declares its own.
        pub columns: Entries<Located<ColumnSection>> = Entries::default(),
        /// What follows where the source has columns that none of `columns` takes.
        pub unknown_columns: UnknownColumns = UnknownColumns::Warn,
        /// What follows where a value can't be made into its column's type.
        pub bad_rows: Option<BadRows>,
        /// What follows where one read has two rows with the same key.
        pub dedupe: Dedupe = Dedupe::Fail,
        /// Where the data goes.
        pub destination: Located<Destination>,
        /// What becomes of what the destination holds.
        pub mode: Option<Located<Mode>>,
        /// What must hold before anything is changed.
        pub guards: Option<GuardsSection>,
        /// What follows where the destination holds rows and no record of an earlier sync.
        pub on_missing_state: OnMissingState = OnMissingState::Fail,
    }
}

impl SyncSpec {
    /// Whether what is read must be found again row by row, also without a key: to tell what a replacement
    /// changes.
    pub(super) fn needs_index(&self) -> bool {
        let replaces = self.mode.as_ref().is_some_and(|mode| mode.value == Mode::Replace);
        replaces && self.guards.as_ref().is_some_and(GuardsSection::look_at_changes)
    }

    /// The program that it runs, where it runs one.
    #[must_use]
    pub fn program(&self) -> Option<&Run> {
        self.source.program()
    }

    /// What it reads, writes and talks to.
    pub(in crate::kinds) fn touches(&self) -> Vec<Touch> {
        let mut touches = self.source.touches();
        touches.extend(self.destination.touches());
        touches
    }

    /// The credentials that it shows: the binding's name, and where it is written, the address.
    pub(in crate::kinds) fn shown(&self) -> Vec<Shown<'_>> {
        self.source.shown().into_iter().chain(self.destination.shown()).collect()
    }
}

words! {
    /// What becomes of what the destination holds.
    pub enum Mode {
        /// Nothing: every row that is read is added.
        Append = "append",
        /// It is replaced by what was read.
        Replace = "replace",
        /// Rows with the key of one that was read are updated, new ones added, others stay.
        Upsert = "upsert",
        /// As `upsert`, and rows that were not read are deleted.
        Mirror = "mirror",
        /// Nothing: everything that was read is added under the time of the run, in `snapshot_at`.
        Snapshot = "snapshot",
        /// Only what is newer than the cursor is read; it is upserted by its key, or added where there is
        /// none.
        Incremental = "incremental",
    }
}

words! {
    /// What follows where the source has columns that are not mapped.
    pub enum UnknownColumns {
        /// Nothing.
        Ignore = "ignore",
        /// A line in the run's output.
        Warn = "warn",
        /// The run fails.
        Fail = "fail",
        /// They are kept as JSON in the column `unknown`.
        KeepJson = "keep_json",
    }
}

words! {
    /// What follows where two rows have the same key.
    pub enum Dedupe {
        /// The run fails.
        Fail = "fail",
        /// The first one counts.
        First = "first",
        /// The last one counts.
        Last = "last",
    }
}

words! {
    /// What follows where there are rows and no state.
    pub enum OnMissingState {
        /// The run fails.
        Fail = "fail",
        /// Everything is read, and what is there counts as the state before.
        Full = "full",
    }
}

section! {
    /// What follows where a value can't be made into its column's type.
    pub struct BadRows {
        /// What becomes of the row.
        pub action: BadRowAction = BadRowAction::Fail,
        /// Most of such rows, such as `1%` or `10 rows`; more fail the run.
        pub max: Option<Located<Bound>>,
    }
}

words! {
    /// What becomes of a row with a value that can't be read.
    pub enum BadRowAction {
        /// The run fails.
        Fail = "fail",
        /// It is left out and kept beside the run's output, with its place and raw values.
        Quarantine = "quarantine",
        /// It is left out and counted.
        Skip = "skip",
    }
}

section! {
    /// When a read may be left out because nothing has changed.
    pub struct Unchanged {
        /// How that is found out: `drive_version` for a Google sheet, `etag` over HTTP, `mtime` for a file.
        pub probe: Located<Probe>,
        /// Longest time without a whole read, since a probe proves nothing: `6h` where it is not given.
        pub full_read_every: DurationText = DurationText(Duration::from_hours(6)),
    }
}

words! {
    /// How it is found out that a source has not changed.
    pub enum Probe {
        /// The version that Drive counts.
        DriveVersion = "drive_version",
        /// The server's `ETag` or `Last-Modified`.
        Etag = "etag",
        /// The file's time and size.
        Mtime = "mtime",
    }
}

/// A bound with its unit: a share of what there was, or a number of rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// From 0 to 1.
    Share(f64),
    /// Rows.
    Rows(u64),
}

impl Bound {
    /// Reads `20%` or `200 rows`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Some(share) = text.strip_suffix('%') {
            let share: f64 = share.trim_end().parse().ok()?;
            return (0.0..=100.0).contains(&share).then_some(Self::Share(share / 100.0));
        }
        let rows = text.strip_suffix("rows").or_else(|| text.strip_suffix("row"))?;
        rows.trim_end().parse().ok().map(Self::Rows)
    }

    /// The bound as it is written.
    #[must_use]
    pub fn words(self) -> String {
        match self {
            Self::Share(share) => format!("{} %", (share * 100_000.0).round() / 1000.0),
            Self::Rows(1) => "1 row".to_owned(),
            Self::Rows(rows) => format!("{rows} rows"),
        }
    }

    /// Whether so many are more than it allows, of so many.
    #[must_use]
    pub fn is_passed(self, count: u64, of: u64) -> bool {
        match self {
            Self::Rows(rows) => count > rows,
            #[expect(clippy::cast_precision_loss, reason = "a share of rows needs no 53 bits")]
            Self::Share(share) => count as f64 > share * of as f64 + 1e-9,
        }
    }
}

impl Decode for Bound {
    const EXPECTS: &'static str = "a bound with its unit: `20%` or `200 rows`";

    fn decode(node: &Node<'_>, cx: &mut Decoder) -> Option<Self> {
        let written = cx.written(node);
        let found = written.as_deref().and_then(Self::parse);
        if found.is_none() {
            let at = node.head(cx.source());
            let message = format!("expected {}", Self::EXPECTS);
            let reported = cx.report(Code::OutOfRange, at, message);
            let written = written.unwrap_or_default();
            let number = written.trim().trim_end_matches('%').trim_end();
            reported.help(match number.parse::<f64>() {
                Ok(number) if written.contains('%') && number > 100.0 => {
                    "a share is at most `100%`; without the guard, there is no bound".to_owned()
                }
                Ok(_) if !written.contains('%') && number == "1" => "write `1%` or `1 row`".into(),
                Ok(_) if !written.contains('%') => format!("write `{number}%` or `{number} rows`"),
                _ => "write it like `20%` or `200 rows`".to_owned(),
            });
        }
        found
    }
}

impl JsonSchema for Bound {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Bound".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": r"^[0-9]+(\.[0-9]+)? ?(%|rows?)$" })
    }
}
