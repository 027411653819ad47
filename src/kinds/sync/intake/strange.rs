//! Fields that no column takes.
//!
//! Owns what follows from them: nothing, a line, a failure, or a place in the column `unknown`. Refuses to
//! look for the others.

use std::collections::BTreeMap;
use std::fmt::Display;

use super::super::map::{Wrong, canonical, quote};
use super::super::spec::UnknownColumns;
use super::super::trouble::{Ending, Trouble};
use super::super::value::{Cell, Value, encode, shortened};
use super::{Header, Intake, Scratch, shown};

/// Names of unknown columns that are remembered.
const NAMES_MAX: usize = 100;

impl Intake<'_> {
    /// What follows from a field that no column takes.
    pub(super) fn strange(&mut self, name: &str, place: &str) -> Result<(), Trouble> {
        let policy = self.spec.unknown_columns;
        if policy == UnknownColumns::Fail {
            let name = shortened(name, 60);
            let message = format!(
                "no column takes `{name}` in {place}: add a column, or say `unknown_columns: ignore`"
            );
            return Err(Trouble::new(Ending::Schema, message));
        }
        if self.unknown.contains(name) || self.unknown.len() == NAMES_MAX {
            return Ok(());
        }
        self.unknown.insert(name.to_owned());
        if policy == UnknownColumns::Warn {
            let name = shortened(name, 60);
            self.tools.say(&format!("no column takes `{name}` in {place}"));
        }
        Ok(())
    }

    pub(super) fn strange_fields(
        &mut self,
        place: &dyn Display,
        record: &str,
    ) -> Result<(), Trouble> {
        let names = std::mem::take(&mut self.record.unknown);
        let now = &names[..self.record.unknown_count];
        let mut told = Ok(());
        for (name, _) in now {
            if told.is_ok() && !self.unknown.contains(name) {
                told = self.strange(name, &place.to_string());
            }
        }
        if told.is_ok() && self.layout.unknown().is_some() {
            let members = now.iter().map(|(name, range)| (name.as_str(), &record[range.clone()]));
            told = self.keep_members(members.collect()).map_err(|Wrong(why)| {
                Trouble::source(format!("{place}: a field that no column takes: {why}"))
            });
        }
        self.record.unknown = names;
        told
    }

    fn keep_members(&mut self, members: BTreeMap<&str, &str>) -> Result<(), Wrong> {
        let mut json = std::mem::take(&mut self.room.json);
        json.clear();
        json.push('{');
        for (at, (name, raw)) in members.into_iter().enumerate() {
            if at > 0 {
                json.push(',');
            }
            quote(name, &mut json);
            json.push(':');
            canonical(raw, &mut json)?;
        }
        json.push('}');
        self.put_unknown(Some(&json));
        self.room.json = json;
        Ok(())
    }

    pub(super) fn keep_fields<'c>(
        &mut self,
        header: &Header,
        field: &dyn Fn(usize) -> Cell<'c>,
    ) -> Result<(), Trouble> {
        let over = (header.width..).take_while(|index| field(*index) != Cell::Missing);
        let over: Vec<(String, usize)> =
            over.map(|index| (format!("field {}", index + 1), index)).collect();
        let known = header.unknown.iter().map(|index| (header.names[*index].as_str(), *index));
        let all = known.chain(over.iter().map(|(name, index)| (name.as_str(), *index)));
        let texts: Vec<(&str, String)> = all
            .filter(|(_, index)| !matches!(field(*index), Cell::Missing | Cell::Null))
            .map(|(name, index)| (name, as_json(field(index))))
            .collect();
        if texts.is_empty() {
            self.put_unknown(None);
            return Ok(());
        }
        let members = texts.iter().map(|(name, text)| (*name, text.as_str())).collect();
        self.keep_members(members).map_err(|Wrong(why)| Trouble::source(why))
    }

    pub(super) fn put_unknown(&mut self, json: Option<&str>) {
        let Scratch { row, ends, .. } = &mut self.room;
        encode(json.map_or(Value::Null, Value::Json), row);
        ends.push(row.len());
    }
}

fn as_json(cell: Cell<'_>) -> String {
    match cell {
        Cell::Text(text) | Cell::Broken(text) => {
            let mut quoted = String::new();
            quote(text, &mut quoted);
            quoted
        }
        Cell::Missing | Cell::Null => "null".to_owned(),
        Cell::Float(value) if !value.is_finite() => "null".to_owned(),
        cell => shown(cell),
    }
}
