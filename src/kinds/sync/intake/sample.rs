//! Rows as a source gives them, for who is to write the columns.
//!
//! Owns what is kept of them, and when it is enough. Refuses to guess types.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::super::desk::{Field, Sample};
use super::super::trouble::Trouble;
use super::super::value::Cell;
use super::record;

/// Takes some rows.
pub(super) struct Sampler {
    pub(super) sample: Sample,
    most: usize,
}

impl Sampler {
    pub(super) fn of(most: usize) -> Self {
        Self { sample: Sample::default(), most }
    }

    /// Whether it has enough.
    pub(super) fn is_full(&self) -> bool {
        self.sample.rows.len() >= self.most
    }

    pub(super) fn header(&mut self, names: &[&str]) {
        self.sample.names = names.iter().map(|name| (*name).to_owned()).collect();
    }

    pub(super) fn fields<'c>(&mut self, field: &dyn Fn(usize) -> Cell<'c>) -> Result<(), Trouble> {
        let row = (0..self.sample.names.len()).map(|index| taken(field(index))).collect();
        self.push(row)
    }

    pub(super) fn json(&mut self, text: &str) -> Result<(), serde_json::Error> {
        let members: BTreeMap<String, &RawValue> = serde_json::from_str(text)?;
        for name in members.keys() {
            if !self.sample.names.contains(name) {
                self.sample.names.push(name.clone());
            }
        }
        let mut row = Vec::new();
        for name in &self.sample.names {
            let mut room = String::new();
            row.push(match members.get(name) {
                None => Field::Null,
                Some(raw) => taken(record::cell(raw.get(), &mut room)?),
            });
        }
        self.sample.rows.push(row);
        Ok(())
    }

    fn push(&mut self, row: Vec<Field>) -> Result<(), Trouble> {
        self.sample.rows.push(row);
        self.stop()
    }

    /// Stops the source where it has enough.
    pub(super) fn stop(&self) -> Result<(), Trouble> {
        if self.is_full() { Err(Trouble::source("that is enough")) } else { Ok(()) }
    }

    /// The sample, every row with a field for each name.
    pub(super) fn close(mut self) -> Sample {
        let width = self.sample.names.len();
        self.sample.rows.iter_mut().for_each(|row| row.resize(width, Field::Null));
        self.sample
    }
}

fn taken(cell: Cell<'_>) -> Field {
    match cell {
        Cell::Missing | Cell::Null => Field::Null,
        Cell::Bool(value) => Field::Bool(value),
        Cell::Int(value) => Field::Number(value.to_string()),
        Cell::Float(value) => Field::Number(value.to_string()),
        Cell::Number(text) => Field::Number(text.to_owned()),
        Cell::Text(text) => Field::Text(text.to_owned()),
        Cell::Json(text) => Field::Json(text.to_owned()),
        Cell::Broken(text) => Field::Broken(text.to_owned()),
    }
}
