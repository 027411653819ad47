//! What is counted while rows come in.
//!
//! Owns the figures that guards and ledger need, taken once. Refuses to judge them.

use std::cmp::Ordering;

use super::super::guards::GuardsSection;
use super::super::layout::Layout;
use super::super::map::Room;
use super::super::spec::SyncSpec;
use super::super::stage::Stage;
use super::super::stage::sort::{Entry, Sorter, short_key};
use super::super::trouble::Trouble;
use super::super::value::{Cell, Value, Values, encode};

/// What was counted.
pub(in super::super) struct Tally {
    /// Rows that the source gave.
    pub(in super::super) taken: u64,
    /// Rows that were left out because they are bad.
    pub(in super::super) bad: u64,
    /// Rows without a value, for each column.
    pub(in super::super) nulls: Vec<u64>,
    /// Values that can't be read and count as none, for each column.
    pub(in super::super) lenient: Vec<u64>,
    /// The newest value of the cursor's column, encoded.
    pub(in super::super) newest: Option<Vec<u8>>,
    /// Whether the row that must be there was; `None` where none must.
    pub(in super::super) canary: Option<bool>,
    cursor: Option<usize>,
    wanted: Vec<(usize, Vec<u8>)>,
    unique: Vec<(usize, Sorter)>,
}

impl Tally {
    /// One that counts what a job's guards and its cursor need.
    pub(super) fn new(spec: &SyncSpec, layout: &Layout, stage: &Stage) -> Result<Self, Trouble> {
        let mut tally = Self {
            taken: 0,
            bad: 0,
            nulls: vec![0; layout.columns.len()],
            lenient: vec![0; layout.columns.len()],
            newest: None,
            canary: None,
            cursor: cursor(spec, layout),
            wanted: Vec::new(),
            unique: Vec::new(),
        };
        if let Some(guards) = &spec.guards {
            tally.watch(guards, layout, stage)?;
        }
        Ok(tally)
    }

    fn watch(
        &mut self,
        guards: &GuardsSection,
        layout: &Layout,
        stage: &Stage,
    ) -> Result<(), Trouble> {
        let column = |name: &str, guard: &str| {
            let message = || Trouble::config(format!("`{guard}` names no column: `{name}`"));
            layout.at(name).ok_or_else(message)
        };
        for (name, value) in &guards.canary.0 {
            let at = column(&name.value, "canary")?;
            let made =
                layout.made.get(at).ok_or_else(|| Trouble::config("`canary` needs a column"))?;
            let (mut room, mut bytes) = (Room::default(), Vec::new());
            let value = made.maker.make(Cell::Text(&value.0), None, &mut room);
            let value = value.map_err(|wrong| {
                Trouble::config(format!("`canary` of `{}`: {}", name.value, wrong.0))
            })?;
            encode(value, &mut bytes);
            self.wanted.push((at, bytes));
        }
        self.canary = (!self.wanted.is_empty()).then_some(false);
        for name in &guards.unique.0 {
            let at = column(&name.value, "unique")?;
            let beside = stage.path().with_extension(format!("unique{at}"));
            self.unique.push((at, Sorter::beside(&beside)));
        }
        Ok(())
    }

    /// Counts a good row; `ends` says where each of its values ends.
    pub(super) fn count(&mut self, number: u64, row: &[u8], ends: &[usize]) -> Result<(), Trouble> {
        let value = |at: usize| {
            let start = if at == 0 { 0 } else { ends[at - 1] };
            &row[start..ends[at]]
        };
        for (at, nulls) in self.nulls.iter_mut().enumerate() {
            *nulls += u64::from(is_null(value(at)));
        }
        if let Some(at) = self.cursor {
            keep_newest(&mut self.newest, value(at));
        }
        if self.canary == Some(false) {
            self.canary = Some(self.wanted.iter().all(|(at, wanted)| value(*at) == wanted));
        }
        for (at, sorter) in &mut self.unique {
            let value = value(*at);
            if !is_null(value) {
                sorter.push(Entry { key: short_key(value, None), row: number, digest: [0; 2] })?;
            }
        }
        Ok(())
    }

    /// Values that stand more than once, for each column that must have none: its index, and how many rows
    /// have a value that an earlier one has. Rows that a stage leaves out do not count.
    pub(in super::super) fn twice(
        &mut self,
        stage: &mut Stage,
    ) -> Result<Vec<(usize, u64)>, Trouble> {
        let mut twice = Vec::new();
        for (at, sorter) in &mut self.unique {
            let (mut sorted, mut last, mut count) = (sorter.sorted()?, None, 0);
            while let Some(entry) = sorted.next()? {
                if stage.is_left_out(entry.row) {
                    continue;
                }
                count += u64::from(last == Some(entry.key));
                last = Some(entry.key);
            }
            twice.push((*at, count));
        }
        Ok(twice)
    }

    /// The cursor's column.
    pub(in super::super) fn cursor(&self) -> Option<usize> {
        self.cursor
    }
}

/// The column that is made of the cursor's field.
fn cursor(spec: &SyncSpec, layout: &Layout) -> Option<usize> {
    let field = &spec.source.cursor()?.field.value;
    layout.made.iter().position(|made| made.from == *field).or_else(|| layout.at(field))
}

fn is_null(value: &[u8]) -> bool {
    matches!(Values::of(value).next(), Some(Value::Null) | None)
}

fn keep_newest(newest: &mut Option<Vec<u8>>, value: &[u8]) {
    if is_null(value) {
        return;
    }
    match newest {
        None => *newest = Some(value.to_vec()),
        Some(newest) => {
            if order(newest, value) == Ordering::Less {
                newest.clear();
                newest.extend_from_slice(value);
            }
        }
    }
}

/// The order of two encoded values of the same type.
pub(in super::super) fn order(a: &[u8], b: &[u8]) -> Ordering {
    match (Values::of(a).next(), Values::of(b).next()) {
        (Some(Value::Int(a)), Some(Value::Int(b)))
        | (Some(Value::Timestamp(a)), Some(Value::Timestamp(b))) => a.cmp(&b),
        (Some(Value::Date(a)), Some(Value::Date(b))) => a.cmp(&b),
        (Some(Value::Decimal(a)), Some(Value::Decimal(b))) => a.cmp(&b),
        (Some(Value::Float(a)), Some(Value::Float(b))) => a.total_cmp(&b),
        (Some(Value::Bool(a)), Some(Value::Bool(b))) => a.cmp(&b),
        (Some(Value::Text(a)), Some(Value::Text(b))) => a.cmp(b),
        _ => a.cmp(b),
    }
}
