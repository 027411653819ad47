//! The `google_sheets` destination: a tab of a spreadsheet.
//!
//! Owns the writing of fixed ranges by key, and reading them back; it never appends blindly. Every row keeps
//! its place, so that what people write beside it stays beside it; a deleted one leaves a gap that the next
//! new one fills. Refuses to be atomic over several requests, which the API does not offer: a run that dies
//! in between leaves what is written, and the next one compares everything and writes the rest. Only with
//! `append` and `snapshot` can that double rows.

use std::collections::HashMap;

use serde_json::{Value as Json, json};

use super::super::columns::Column;
use super::super::diff::{Effect, Move, Work};
use super::super::folder;
use super::super::ledger::Ledger;
use super::super::map::{Maker, Room};
use super::super::sheets::{
    Access, Api, Found as Cells, Tab, each_row, letters, no_header, quoted,
};
use super::super::tools::Tools;
use super::super::trouble::{Ending, Trouble};
use super::super::value::{Keys, Value, Values, encode};
use super::super::wire::Side;
use super::super::written::append;
use super::{Each, Found, Moves, Shape, keep_ledger};
use crate::yaml::{Located, section};

section! {
    /// A tab of a Google spreadsheet.
    pub struct SheetTable {
        /// Its id: the long word in its address. A template.
        pub spreadsheet: Located<String>,
        /// The tab.
        pub tab: Located<String>,
        /// The credential to show, by the job's own name for it.
        pub credential: Located<String>,
        /// Where the API answers, instead of Google: for a proxy or a test.
        pub api_url: Option<Located<String>>,
    }
}

/// Most cells of one request. Google advises two megabytes.
const CELLS_MAX: usize = 100_000;

/// The largest whole number that a sheet keeps exactly: its numbers are binary floating-point.
const EXACT: u64 = 1 << 53;

/// Under way.
pub(in super::super) struct Session {
    tools: Tools,
    section: SheetTable,
    tab: Tab,
    columns: Vec<Column>,
    /// Where each column stands in the tab.
    at: Vec<usize>,
    /// Whether the headers are still to be written.
    is_new: bool,
    /// The rows behind the header, encoded; nothing where a row has no value of ours.
    rows: Vec<Option<Vec<u8>>>,
}

impl SheetTable {
    pub(super) fn begin(
        &self,
        tools: &Tools,
        shape: Shape<'_>,
    ) -> Result<(Session, Found), Trouble> {
        let api = self.api(tools)?;
        let book = api.book()?;
        let title = tools.render("tab", &self.tab.value)?;
        let Some(tab) = book.tabs().find(|tab| tab.title == title).cloned() else {
            let words = format!("there is no tab `{title}`; there are {}", book.titles());
            return Err(Trouble::new(Ending::NotFound, words));
        };
        let columns = shape.columns.to_vec();
        let content = Content::read(&api, &tab, &columns)?;
        let Content { at, is_new, rows } = content;
        let ledger = folder::read_text(&tools.folder(), folder::LEDGER)?;
        let found = Found { ledger, rows: count(&rows), shows_rows: true };
        let (tools, section) = (tools.clone(), self.clone());
        Ok((Session { tools, section, tab, columns, at, is_new, rows }, found))
    }

    fn api<'t>(&self, tools: &'t Tools) -> Result<Api<'t>, Trouble> {
        let access = Access {
            spreadsheet: &self.spreadsheet,
            credential: &self.credential,
            api_url: self.api_url.as_ref(),
        };
        Api::open(tools, Side::Destination, access)
    }
}

impl Session {
    pub(super) fn current(&mut self, each: Each<'_>) -> Result<(), Trouble> {
        self.rows.iter().flatten().try_for_each(|row| each(row))
    }

    pub(super) fn commit(self, work: &mut Work<'_>, ledger: &Ledger) -> Result<(), Trouble> {
        self.carry_out(work.effect, &mut |each| work.moves(each), ledger)
    }

    /// Makes moves and the ledger durable.
    fn carry_out(self, effect: Effect, moves: Moves<'_>, ledger: &Ledger) -> Result<(), Trouble> {
        if effect != Effect::Keep {
            let wanted = self.wanted(effect, moves)?;
            let api = self.section.api(&self.tools)?;
            let changed = self.write(&api, &wanted)?;
            if changed {
                self.verify(&api, &wanted)?;
            }
        }
        keep_ledger(&self.tools, ledger)
    }

    /// What the tab is to hold: each row keeps its place, a new one takes the first that is free.
    fn wanted(&self, effect: Effect, moves: Moves<'_>) -> Result<Vec<Option<Vec<u8>>>, Trouble> {
        let keys = Keys::of(&self.columns);
        let merges = effect == Effect::Merge;
        let mut wanted = match effect {
            Effect::Replace => vec![None; self.rows.len()],
            Effect::Add | Effect::Merge | Effect::Keep => self.rows.clone(),
        };
        let mut places = HashMap::new();
        if merges {
            for (place, row) in wanted.iter().enumerate() {
                let Some(row) = row else { continue };
                let mut key = Vec::new();
                keys.append(row, &mut key);
                places.entry(key).or_insert(place);
            }
        }
        // What is added goes behind the last row; gaps are only filled where rows have an identity.
        let behind = wanted.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
        let mut free = if effect == Effect::Add { behind } else { 0 };
        moves(&mut |step| {
            match step {
                Move::Insert(row) => {
                    while wanted.get(free).is_some_and(Option::is_some) {
                        free += 1;
                    }
                    if free == wanted.len() {
                        wanted.push(None);
                    }
                    wanted[free] = Some(row.to_vec());
                    free += 1;
                }
                Move::Update(row) => {
                    let mut key = Vec::new();
                    keys.append(row, &mut key);
                    let place = places.get(&key).ok_or_else(|| self.moved())?;
                    wanted[*place] = Some(row.to_vec());
                }
                Move::Delete(key) => {
                    let place = places.remove(key).ok_or_else(|| self.moved())?;
                    wanted[place] = None;
                    free = free.min(place);
                }
            }
            Ok(())
        })?;
        Ok(wanted)
    }

    fn moved(&self) -> Trouble {
        Trouble::destination(format!("the tab `{}` has changed since it was read", self.tab.title))
    }

    /// Writes what differs, each row at its own place: whoever does it twice has done it once.
    fn write(&self, api: &Api<'_>, wanted: &[Option<Vec<u8>>]) -> Result<bool, Trouble> {
        let mut blocks = Vec::new();
        if self.is_new {
            let names = self.columns.iter().map(|column| Json::from(column.name.as_str()));
            blocks.push(Block { row: 0, rows: vec![self.spread(names.collect())] });
        }
        for (place, row) in wanted.iter().enumerate() {
            if self.rows.get(place).and_then(Option::as_ref) == row.as_ref() {
                continue;
            }
            let cells = match row {
                Some(row) => Values::of(row).zip(&self.columns).map(cell).collect(),
                None => vec![Json::from(""); self.columns.len()],
            };
            let cells = self.spread(cells);
            match blocks.last_mut() {
                Some(block) if block.row + block.rows.len() == place + 1 => block.rows.push(cells),
                _ => blocks.push(Block { row: place + 1, rows: vec![cells] }),
            }
        }
        if blocks.is_empty() {
            return Ok(false);
        }
        self.make_room(api, wanted.len() + 1)?;
        for blocks in portions(blocks, CELLS_MAX) {
            let data: Vec<_> = blocks.iter().map(|block| self.range_of(block)).collect();
            api.put(&json!({ "valueInputOption": "RAW", "data": data }))?;
        }
        Ok(true)
    }

    /// Cells at the places of their columns; those of others are skipped.
    fn spread(&self, cells: Vec<Json>) -> Vec<Json> {
        let (first, last) = self.span();
        let mut row = vec![Json::Null; last - first + 1];
        for (at, cell) in self.at.iter().zip(cells) {
            row[at - first] = cell;
        }
        row
    }

    /// The first and the last of our columns.
    fn span(&self) -> (usize, usize) {
        let first = self.at.iter().min().copied().unwrap_or_default();
        (first, self.at.iter().max().copied().unwrap_or_default())
    }

    fn range_of(&self, block: &Block) -> Json {
        let (first, last) = self.span();
        let (top, bottom) = (block.row + 1, block.row + block.rows.len());
        let range = format!(
            "{}!{}{top}:{}{bottom}",
            quoted(&self.tab.title),
            letters(first),
            letters(last)
        );
        json!({ "range": range, "majorDimension": "ROWS", "values": block.rows })
    }

    /// Enlarges the grid where it is too small.
    fn make_room(&self, api: &Api<'_>, rows: usize) -> Result<(), Trouble> {
        let grid = self.tab.grid_properties.unwrap_or_default();
        let rows = u64::try_from(rows).unwrap_or(u64::MAX);
        let columns = u64::try_from(self.span().1 + 1).unwrap_or(u64::MAX);
        if rows <= grid.row_count && columns <= grid.column_count {
            return Ok(());
        }
        let grid = json!({
            "rowCount": rows.max(grid.row_count),
            "columnCount": columns.max(grid.column_count),
        });
        let properties = json!({ "sheetId": self.tab.sheet_id, "gridProperties": grid });
        let fields = "gridProperties.rowCount,gridProperties.columnCount";
        let change =
            json!({ "updateSheetProperties": { "properties": properties, "fields": fields } });
        api.change(&json!({ "requests": [change] }))
    }

    /// Reads the tab back and holds it against what it was to be.
    fn verify(&self, api: &Api<'_>, wanted: &[Option<Vec<u8>>]) -> Result<(), Trouble> {
        let now = Content::read(api, &self.tab, &self.columns)?;
        let longest = now.rows.len().max(wanted.len());
        for place in 0..longest {
            let (is, was_to_be) = (now.rows.get(place), wanted.get(place));
            let (is, was_to_be) = (is.and_then(Option::as_ref), was_to_be.and_then(Option::as_ref));
            if is != was_to_be {
                let (tab, row) = (&self.tab.title, place + 2);
                return Err(Trouble::destination(format!(
                    "row {row} of the tab `{tab}` is not what was written to it: does somebody else \
                     change it? The next run compares everything again"
                )));
            }
        }
        Ok(())
    }
}

/// Rows that stand together.
struct Block {
    /// The first, from 0.
    row: usize,
    rows: Vec<Vec<Json>>,
}

/// Blocks in portions of so many cells; a long one is cut.
fn portions(blocks: Vec<Block>, most: usize) -> Vec<Vec<Block>> {
    let mut portions: Vec<Vec<Block>> = vec![Vec::new()];
    let mut cells = 0;
    for Block { row, rows } in blocks {
        let width = rows.first().map_or(1, Vec::len).max(1);
        let mut at = row;
        for rows in rows.chunks((most / width).max(1)) {
            if cells > 0 && cells + rows.len() * width > most {
                portions.push(Vec::new());
                cells = 0;
            }
            cells += rows.len() * width;
            let last = portions.last_mut().expect("there is one from the beginning");
            last.push(Block { row: at, rows: rows.to_vec() });
            at += rows.len();
        }
    }
    portions
}

/// A value as a cell. What a sheet would not keep exactly is written as text; texts are stored as they
/// are, formulas among them.
fn cell((value, column): (Value<'_>, &Column)) -> Json {
    match value {
        Value::Null => "".into(),
        Value::Bool(value) => value.into(),
        Value::Int(number) if number.unsigned_abs() <= EXACT => number.into(),
        Value::Float(number) => number.into(),
        value => {
            let mut text = String::new();
            append(value, column.kind, &mut text);
            text.into()
        }
    }
}

/// What a tab holds.
struct Content {
    at: Vec<usize>,
    is_new: bool,
    rows: Vec<Option<Vec<u8>>>,
}

impl Content {
    /// Reads all of it: the header, which must have every column, and the rows.
    fn read(api: &Api<'_>, tab: &Tab, columns: &[Column]) -> Result<Self, Trouble> {
        let body = api.values(&quoted(&tab.title))?;
        let text = std::str::from_utf8(&body)
            .map_err(|_| Trouble::destination("the API's answer is not in UTF-8"))?;
        let makers: Vec<Maker> = columns.iter().map(Maker::of).collect();
        let (mut at, mut rows, mut first) = (Vec::new(), Vec::new(), true);
        each_row(text, &mut |cells| {
            if first {
                first = false;
                if cells.iter().any(|cell| *cell != Cells::Empty) {
                    at = heads(columns, tab, cells)?;
                }
                return Ok(());
            }
            rows.push(encoded(&at, &makers, cells));
            Ok(())
        })?;
        let is_new = at.is_empty();
        if is_new && rows.iter().any(Option::is_some) {
            return Err(no_header(&quoted(&tab.title), 1));
        }
        if is_new {
            at = (0..columns.len()).collect();
        }
        while rows.last().is_some_and(Option::is_none) {
            rows.pop();
        }
        Ok(Self { at, is_new, rows })
    }
}

/// Where the columns stand. Those of other people stay where they are.
fn heads(columns: &[Column], tab: &Tab, cells: &[Cells<'_>]) -> Result<Vec<usize>, Trouble> {
    let place = |column: &Column| {
        let found = cells.iter().position(|cell| cell.text() == column.name);
        found.ok_or_else(|| {
            let (tab, name, free) = (&tab.title, &column.name, letters(cells.len()));
            let words = format!(
                "the tab `{tab}` has no header `{name}`: write it into {free}1, or empty the tab"
            );
            Trouble::new(Ending::Schema, words)
        })
    };
    columns.iter().map(place).collect()
}

/// A row of the tab, encoded; a cell that can't be read counts as another value.
fn encoded(at: &[usize], makers: &[Maker], cells: &[Cells<'_>]) -> Option<Vec<u8>> {
    let cell = |at: &usize| cells.get(*at).unwrap_or(&Cells::Empty);
    // Before there is a header, every cell is somebody else's.
    let ours = at.iter().map(cell).any(|cell| *cell != Cells::Empty);
    let others = at.is_empty() && cells.iter().any(|cell| *cell != Cells::Empty);
    if !ours {
        return others.then(Vec::new);
    }
    let (mut row, mut room) = (Vec::new(), Room::default());
    for (at, maker) in at.iter().zip(makers) {
        let cell = cell(at);
        match maker.make(cell.cell(), None, &mut room) {
            Ok(value) => encode(value, &mut row),
            Err(_) => encode(Value::Text(cell.text()), &mut row),
        }
    }
    Some(row)
}

fn count(rows: &[Option<Vec<u8>>]) -> u64 {
    u64::try_from(rows.iter().flatten().count()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
