//! What a row looks like: its columns in order, and how each of them is made.
//!
//! Owns the columns that the job does not name: `unknown`, and `snapshot_at`. Refuses to make values.

use ring::digest::{SHA256, digest};
use serde_json::json;

use super::columns::{Column, ColumnType};
use super::map::Maker;
use super::spec::{Mode, SyncSpec, UnknownColumns};
use super::stage::spill::hex;
use super::trouble::Trouble;
use crate::yaml::Located;

/// The column of what no other column takes.
pub(super) const UNKNOWN: &str = "unknown";

/// The column of a snapshot's time.
pub(super) const SNAPSHOT_AT: &str = "snapshot_at";

/// The columns of a job, in the order in which rows are encoded.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    /// Those that are made of what the source gives come first.
    pub(super) columns: Vec<Column>,
    /// How those are made.
    pub(super) made: Vec<Made>,
    mode: Option<Mode>,
    keeps_unknown: bool,
}

/// How a column is made.
#[derive(Clone, Debug)]
pub(super) struct Made {
    /// The source's name for it.
    pub(super) from: String,
    /// What makes its values.
    pub(super) maker: Maker,
    /// Whether a row without it is bad.
    pub(super) needed: bool,
    /// Whether no value stands for one that can't be read.
    pub(super) lenient: bool,
}

impl Layout {
    /// That of a job; without columns where its source is to declare them.
    pub(super) fn of(spec: &SyncSpec) -> Result<Self, Trouble> {
        let mut layout = Self {
            columns: Vec::new(),
            made: Vec::new(),
            mode: spec.mode.as_ref().map(|mode| mode.value),
            keeps_unknown: spec.unknown_columns == UnknownColumns::KeepJson,
        };
        for (name, section) in &spec.columns.0 {
            let section = &section.value;
            let from = section.from.as_ref().map_or(&name.value, |from| &from.value).clone();
            let needed = section.key || section.required;
            let maker = Maker::new(&name.value, section)?;
            let lenient = section.on_bad.is_some();
            layout.made.push(Made { from, maker, needed, lenient });
            layout.columns.push(Column {
                name: name.value.clone(),
                kind: section.r#type.value,
                key: section.key,
                required: needed,
            });
        }
        layout.close();
        Ok(layout)
    }

    /// One without columns.
    pub(super) fn empty() -> Self {
        Self { columns: Vec::new(), made: Vec::new(), mode: None, keeps_unknown: false }
    }

    /// Takes the columns that a source declares, where the job has none.
    pub(super) fn declare(&mut self, columns: Vec<Column>) {
        self.made = columns
            .iter()
            .map(|column| Made {
                from: column.name.clone(),
                maker: Maker::of(column),
                needed: column.key || column.required,
                lenient: false,
            })
            .collect();
        self.columns = columns;
        self.close();
    }

    /// Adds the columns that are made here.
    fn close(&mut self) {
        if self.columns.is_empty() {
            return;
        }
        let mut add = |name: &str, kind, required| {
            let name = name.to_owned();
            self.columns.push(Column { name, kind, key: false, required });
        };
        if self.keeps_unknown {
            add(UNKNOWN, ColumnType::Json, false);
        }
        if self.mode == Some(Mode::Snapshot) {
            add(SNAPSHOT_AT, ColumnType::Timestamp, true);
        }
    }

    /// Whether the source is still to declare them.
    pub(super) fn is_open(&self) -> bool {
        self.columns.is_empty()
    }

    /// Where the column of what is unknown stands.
    pub(super) fn unknown(&self) -> Option<usize> {
        self.keeps_unknown.then_some(self.made.len())
    }

    /// Whether rows have the time of the run.
    pub(super) fn has_time(&self) -> bool {
        self.mode == Some(Mode::Snapshot)
    }

    /// Whether rows are known by a key.
    pub(super) fn has_key(&self) -> bool {
        self.columns.iter().any(|column| column.key)
    }

    /// The index of a column.
    pub(super) fn at(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// The columns as the destination is to have them: what is appended may have a key twice, and a
    /// snapshot's rows are known by its time too.
    pub(super) fn for_destination(&self) -> Vec<Column> {
        let has_key = self.has_key();
        let mut columns = self.columns.clone();
        for column in &mut columns {
            match self.mode {
                Some(Mode::Append) => column.key = false,
                Some(Mode::Snapshot) if column.name == SNAPSHOT_AT => column.key = has_key,
                _ => {}
            }
        }
        columns
    }
}

/// What source and mapping are, so that a state of another one is not taken for theirs. It is made of what
/// the job says, and of no word of this program: another version of it must find the same.
pub(super) fn fingerprint(spec: &SyncSpec) -> String {
    let cursor = spec.source.cursor().map(|cursor| cursor.field.value.as_str());
    let columns = spec.columns.0.iter().map(|(name, column)| {
        let column = &column.value;
        let text = |text: &Option<Located<String>>| text.as_ref().map(|text| text.value.clone());
        json!([
            name.value,
            text(&column.from),
            column.r#type.value.words(),
            column.key,
            column.required,
            column.on_bad.is_some(),
            column.default.as_ref().map(|text| text.value.0.as_str()),
            column.null_if.0.iter().map(|text| text.0.as_str()).collect::<Vec<_>>(),
            text(&column.zone),
            text(&column.format),
            column.apply.0.iter().map(|function| function.value.word()).collect::<Vec<_>>(),
        ])
    });
    let columns: Vec<_> = columns.collect();
    let keeps_unknown = spec.unknown_columns == UnknownColumns::KeepJson;
    sum(&json!([spec.source.identity(), cursor, columns, keeps_unknown]).to_string())
}

/// All that the section says: where that is another one, nothing is left out as unchanged.
pub(super) fn section(spec: &SyncSpec) -> String {
    sum(&format!("{spec:?}"))
}

fn sum(text: &str) -> String {
    hex(&digest(&SHA256, text.as_bytes()).as_ref()[..16])
}
