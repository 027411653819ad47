//! Takes what a source reads: finds its columns, maps them, and stages the rows.
//!
//! Owns headers, bad rows, unknown columns and what is counted while rows come in. Takes nothing from the
//! allocator for a row that is good. Refuses to know the source.

mod header;
mod quarantine;
mod record;
mod sample;
mod strange;
pub(super) mod tally;

use std::collections::BTreeSet;
use std::fmt::Display;
use std::sync::Arc;

use jiff::tz::TimeZone;

use super::columns::{Column, ColumnType};
use super::desk::Sample;
use super::layout::Layout;
use super::map::{Room, Wrong};
use super::progress::{self, Lines, Progress};
use super::spec::{BadRowAction, Bound, SyncSpec};
use super::stage::Stage;
use super::tools::Tools;
use super::trouble::{Ending, Trouble};
use super::value::{Cell, Value, encode, shortened};
use crate::yaml::decode::nearest;
pub(super) use header::{Header, HeaderRules};
use quarantine::{Line, Quarantine};
use record::Record;
use sample::Sampler;
use tally::Tally;

/// Longest row, encoded: one that is longer is no row.
const ROW_MAX: usize = 64 * 1024 * 1024;

/// Rows between two looks at the clock and at who may stop us.
const LOOK_EVERY: u64 = 1024;

/// Takes the rows of one read.
pub(super) struct Intake<'a> {
    tools: &'a Tools,
    spec: &'a SyncSpec,
    stage: &'a mut Stage,
    layout: Layout,
    tally: Tally,
    record: Record,
    zone: Option<TimeZone>,
    quarantine: Quarantine,
    unknown: BTreeSet<String>,
    progress: Arc<Progress>,
    lines: Lines,
    room: Scratch,
    sampler: Option<Sampler>,
}

/// Room that is used again for each row.
#[derive(Default)]
struct Scratch {
    row: Vec<u8>,
    ends: Vec<usize>,
    room: Room,
    text: String,
    json: String,
}

/// What came of a read.
pub(super) struct Taken {
    /// What its rows look like.
    pub(super) layout: Layout,
    /// What was counted.
    pub(super) tally: Tally,
}

impl<'a> Intake<'a> {
    /// One for the source of a job.
    pub(super) fn new(
        tools: &'a Tools,
        spec: &'a SyncSpec,
        stage: &'a mut Stage,
    ) -> Result<Self, Trouble> {
        let layout = Layout::of(spec)?;
        let file = format!("quarantine-{}-{}.jsonl", tools.run, tools.no);
        let tally = Tally::new(spec, &Layout::empty(), stage)?;
        let mut intake = Self {
            tools,
            spec,
            stage,
            layout: Layout::empty(),
            tally,
            record: Record::default(),
            zone: None,
            quarantine: Quarantine::at(tools.folder().join(file)),
            unknown: BTreeSet::new(),
            progress: tools.progress(),
            lines: Lines::begin(tools.clock.as_ref()),
            room: Scratch::default(),
            sampler: None,
        };
        if !layout.is_open() {
            intake.settle(layout)?;
        }
        Ok(intake)
    }

    /// One that only takes so many rows as they come, whatever the job's columns.
    pub(super) fn sampling(
        tools: &'a Tools,
        spec: &'a SyncSpec,
        stage: &'a mut Stage,
        rows: usize,
    ) -> Result<Self, Trouble> {
        let mut intake = Self::new(tools, spec, stage)?;
        intake.sampler = Some(Sampler::of(rows));
        Ok(intake)
    }

    /// What it took, and whether that is all that it wanted.
    pub(super) fn sample(self) -> Option<(Sample, bool)> {
        let sampler = self.sampler?;
        let full = sampler.is_full();
        Some((sampler.close(), full))
    }

    /// Takes the columns that the source declares, before its first row. Where the job has columns, those
    /// stay, and what else is declared is unknown.
    pub(super) fn declare(&mut self, columns: Vec<Column>) -> Result<(), Trouble> {
        if !self.spec.columns.0.is_empty() {
            return self.all_are_declared(&columns);
        }
        let mut layout = Layout::of(self.spec)?;
        layout.declare(columns);
        self.settle(layout)
    }

    /// A field that the source does not declare was renamed, or never was there.
    fn all_are_declared(&self, declared: &[Column]) -> Result<(), Trouble> {
        let names = || declared.iter().map(|column| column.name.as_str());
        for (column, made) in self.layout.columns.iter().zip(&self.layout.made) {
            let outer = made.from.split('.').next().unwrap_or_default();
            if made.maker.has_default() || names().any(|name| name == made.from || name == outer) {
                continue;
            }
            let near = nearest(&made.from, names());
            let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            let message = format!(
                "the source declares no field `{}`, of which the column `{}` is made{near}",
                made.from, column.name
            );
            return Err(Trouble::new(Ending::Schema, message));
        }
        Ok(())
    }

    fn settle(&mut self, layout: Layout) -> Result<(), Trouble> {
        if layout.has_key() || self.spec.needs_index() {
            self.stage.index(&layout.columns)?;
        }
        self.tally = Tally::new(self.spec, &layout, self.stage)?;
        self.record = Record::of(&layout);
        self.layout = layout;
        Ok(())
    }

    /// Finds the columns in a row of headers; `place` names one by its index (`C1`, `field 3`). A mapped
    /// header that is absent or stands twice is `failed:schema`, with the nearest one.
    pub(super) fn header(
        &mut self,
        names: &[&str],
        rules: HeaderRules,
        place: &dyn Fn(usize) -> String,
    ) -> Result<Header, Trouble> {
        if let Some(sampler) = &mut self.sampler {
            sampler.header(names);
            return Ok(Header::default());
        }
        let header = header::find(&self.layout, names, rules, place)?;
        for index in &header.unknown {
            self.strange(names[*index], &place(*index))?;
        }
        Ok(header)
    }

    /// Takes a row of fields, by a header. `field` gives the cell at an index: `Missing` beyond the row's
    /// end.
    pub(super) fn fields<'c>(
        &mut self,
        place: &dyn Display,
        header: &Header,
        field: &dyn Fn(usize) -> Cell<'c>,
    ) -> Result<(), Trouble> {
        self.begin()?;
        if let Some(sampler) = &mut self.sampler {
            return sampler.fields(field);
        }
        for at in 0..self.layout.made.len() {
            let cell = header.fields[at].map_or(Cell::Missing, field);
            let Self { layout, tally, zone, room, .. } = self;
            let sheet = zone.as_ref();
            if let Err(wrong) = put(&layout.made[at], sheet, room, cell, &mut tally.lenient[at]) {
                let at = Place { row: place, header: header.places[at].as_str(), column: at };
                return self.bad(&at, cell, wrong);
            }
        }
        if field(header.width) != Cell::Missing {
            let name = format!("field {}", header.width + 1);
            self.strange(&name, &format!("{place}, which has more fields than there are headers"))?;
        }
        if self.layout.unknown().is_some() {
            self.keep_fields(header, field)?;
        }
        self.end()
    }

    /// Takes a record: a JSON object as it was written.
    pub(super) fn json(&mut self, place: &dyn Display, record: &str) -> Result<(), Trouble> {
        if let Some(sampler) = &mut self.sampler {
            sampler.json(record).map_err(|error| no_record(place, &error))?;
            return sampler.stop();
        }
        if self.layout.is_open() {
            let message = format!("{place}: a record came before its columns were declared");
            return Err(Trouble::source(message));
        }
        self.begin()?;
        self.record.look(record).map_err(|error| no_record(place, &error))?;
        for at in 0..self.layout.made.len() {
            let Self { layout, tally, zone, room, record: fields, .. } = self;
            let made = &layout.made[at];
            let mut text = std::mem::take(&mut room.text);
            let cell = match fields.raw(at, record) {
                None => Cell::Missing,
                // In JSON, a text of the type `json` is just that: a text.
                Some("null") => Cell::Null,
                Some(raw) if made.maker.takes_json() => Cell::Json(raw),
                Some(raw) => {
                    record::cell(raw, &mut text).map_err(|error| no_record(place, &error))?
                }
            };
            if let Err(wrong) = put(made, zone.as_ref(), room, cell, &mut tally.lenient[at]) {
                let at = Place { row: place, header: "", column: at };
                return self.bad(&at, cell, wrong);
            }
            room.text = text;
        }
        if !self.record.unknown().is_empty() {
            self.strange_fields(place, record)?;
        } else if self.layout.unknown().is_some() {
            self.put_unknown(None);
        }
        self.end()
    }

    /// Says which zone times are in that name none and whose column says `zone: sheet`.
    pub(super) fn zone(&mut self, zone: TimeZone) {
        self.zone = Some(zone);
    }

    /// Counts bytes that were read, for the progress.
    pub(super) fn bytes(&mut self, bytes: u64) {
        self.progress.add_bytes(bytes);
        self.progress.rows(self.tally.taken);
    }

    /// The type of the cursor's column, where one is made of it.
    pub(super) fn cursor_kind(&self) -> Option<ColumnType> {
        self.tally.cursor().map(|at| self.layout.columns[at].kind)
    }

    fn begin(&mut self) -> Result<(), Trouble> {
        self.tally.taken += 1;
        self.room.row.clear();
        self.room.ends.clear();
        if self.tally.taken.is_multiple_of(LOOK_EVERY) {
            self.tools.go_on()?;
            self.progress.rows(self.tally.taken);
            if let Some(line) = self.lines.due(self.progress.seen(), self.tools.clock.as_ref()) {
                self.tools.say(&line);
            }
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), Trouble> {
        let Scratch { row, ends, .. } = &mut self.room;
        if self.layout.has_time() {
            encode(Value::Timestamp(self.tools.started().as_microsecond()), row);
            ends.push(row.len());
        }
        if row.len() > ROW_MAX {
            let message = format!("row {} has more than 64 MiB", self.tally.taken);
            return Err(Trouble::source(message).for_good());
        }
        self.tally.count(self.stage.staged(), row, ends)?;
        self.stage.push(row)
    }

    /// What follows from a value that can't be read.
    fn bad(&mut self, place: &Place<'_>, cell: Cell<'_>, Wrong(why): Wrong) -> Result<(), Trouble> {
        let rules = self.spec.bad_rows.as_ref();
        let action = rules.map_or(BadRowAction::Fail, |rules| rules.action);
        let column = &self.layout.columns[place.column];
        let value = shown(cell);
        self.tally.bad += 1;
        match action {
            BadRowAction::Fail => {
                let (value, kind) = (shortened(&value, 60), column.kind.words());
                let message = format!(
                    "{place}: `{value}` is no {kind} for the column `{}`: {why}",
                    column.name
                );
                return Err(Trouble::new(Ending::Mapping, message));
            }
            BadRowAction::Quarantine => {
                let place = place.to_string();
                let line = Line { place: &place, column: &column.name, value: &value, why };
                self.quarantine.take(&line)?;
            }
            BadRowAction::Skip => {}
        }
        match rules.and_then(|rules| rules.max.as_ref()).map(|max| max.value) {
            Some(Bound::Rows(max)) if self.tally.bad > max => Err(self.too_many_bad()),
            _ => Ok(()),
        }
    }

    fn too_many_bad(&mut self) -> Trouble {
        let (bad, taken) = (progress::rows(self.tally.bad), self.tally.taken);
        let max = self.spec.bad_rows.as_ref().and_then(|rules| rules.max.as_ref());
        let max = max.map_or_else(|| "not all".to_owned(), |max| max.value.words());
        let taken = progress::grouped(taken);
        let mut message =
            format!("{bad} of {taken} have values that can't be read, and at most {max} may");
        if let Ok(Some(path)) = self.quarantine.close() {
            message = format!("{message}; see {}", path.display());
        }
        Trouble::new(Ending::Mapping, message)
    }

    /// Closes the read, once the source gave all that it has.
    pub(super) fn finish(mut self) -> Result<Taken, Trouble> {
        let Tally { taken, bad, .. } = self.tally;
        let max = self.spec.bad_rows.as_ref().and_then(|rules| rules.max.as_ref());
        if bad > 0 && (bad == taken || max.is_some_and(|max| max.value.is_passed(bad, taken))) {
            return Err(self.too_many_bad());
        }
        if bad > 0 {
            let (bad, path) = (progress::rows(bad), self.quarantine.close()?);
            let at = path.map(|path| format!(", and are kept in {}", path.display()));
            let at = at.unwrap_or_default();
            self.tools.say(&format!("{bad} with values that can't be read were left out{at}"));
        }
        self.all_fields_seen()?;
        for (column, count) in self.layout.columns.iter().zip(&self.tally.lenient) {
            if *count > 0 {
                let (rows, name) = (progress::rows(*count), &column.name);
                self.tools.say(&format!("{rows} have no readable `{name}`: null stands for it"));
            }
        }
        self.progress.rows(taken);
        Ok(Taken { layout: self.layout, tally: self.tally })
    }

    /// A field that no record has was renamed, or never was there. One record may leave out what it has no
    /// value for, so a part of the data proves nothing.
    fn all_fields_seen(&self) -> Result<(), Trouble> {
        let by_record = self.record.seen.iter().any(|seen| *seen);
        let declared = self.spec.columns.0.is_empty();
        if !by_record || declared {
            return Ok(());
        }
        let never = self.record.seen.iter().zip(&self.layout.made).zip(&self.layout.columns);
        let never = never.filter(|((seen, made), _)| !**seen && !made.maker.has_default());
        for ((_, made), column) in never {
            let near = self.unknown.iter().max_by(|a, b| {
                let like = |name: &str| strsim::jaro_winkler(name, &made.from);
                like(a).total_cmp(&like(b))
            });
            let near = near.map(|near| format!("; the nearest is `{}`", shortened(near, 60)));
            let message = format!(
                "no record has the field `{}` of the column `{}`{}: correct `from`, or give it a \
                 `default`",
                made.from,
                column.name,
                near.unwrap_or_default()
            );
            if self.spec.source.cursor().is_none() {
                return Err(Trouble::new(Ending::Schema, message));
            }
            self.tools.say(&message);
        }
        Ok(())
    }
}

/// The place of a value.
struct Place<'a> {
    row: &'a dyn Display,
    header: &'a str,
    column: usize,
}

impl Display for Place<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.header {
            "" => write!(f, "{}", self.row),
            header => write!(f, "{}, below {header}", self.row),
        }
    }
}

/// Makes a value and appends it to the row.
fn put(
    made: &super::layout::Made,
    sheet: Option<&TimeZone>,
    room: &mut Scratch,
    cell: Cell<'_>,
    lenient: &mut u64,
) -> Result<(), Wrong> {
    let value = match made.maker.make(cell, sheet, &mut room.room) {
        Err(_) if made.lenient => {
            *lenient += 1;
            Value::Null
        }
        made => made?,
    };
    if made.needed && value == Value::Null {
        return Err(Wrong("it has no value, and needs one"));
    }
    encode(value, &mut room.row);
    room.ends.push(room.row.len());
    Ok(())
}

fn no_record(place: &dyn Display, error: &serde_json::Error) -> Trouble {
    let what = match error.classify() {
        serde_json::error::Category::Data => "is no JSON object",
        _ => "is no JSON",
    };
    Trouble::source(format!("{place} {what}: {error}"))
}

/// A cell as the source wrote it.
fn shown(cell: Cell<'_>) -> String {
    match cell {
        Cell::Missing | Cell::Null => String::new(),
        Cell::Bool(value) => value.to_string(),
        Cell::Int(value) => value.to_string(),
        Cell::Float(value) => value.to_string(),
        Cell::Number(text) | Cell::Text(text) | Cell::Json(text) | Cell::Broken(text) => {
            text.to_owned()
        }
    }
}

#[cfg(test)]
mod tests;
