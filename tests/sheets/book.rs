//! A spreadsheet in memory, and what each method does to it.
//!
//! Owns values by place, trimming, and the grid's limits. Refuses to compute formulas and to format values.

use serde_json::{Value as Json, json};

use super::discovery::Call;

/// A spreadsheet.
#[derive(Clone, Debug)]
pub(crate) struct Book {
    pub(crate) id: String,
    pub(crate) time_zone: String,
    pub(crate) tabs: Vec<Tab>,
    /// What Drive counts.
    pub(crate) version: u64,
}

/// A tab.
#[derive(Clone, Debug)]
pub(crate) struct Tab {
    pub(crate) id: u64,
    pub(crate) title: String,
    pub(crate) rows: Vec<Vec<Json>>,
    pub(crate) row_count: usize,
    pub(crate) column_count: usize,
}

/// A failure, as an HTTP status and a message.
type Done = Result<Json, (u16, String)>;

/// A part of a tab, both ends included.
#[derive(Clone, Copy, Debug)]
struct Area {
    tab: usize,
    rows: (usize, usize),
    columns: (usize, usize),
}

impl Book {
    /// A book with one tab, `Port Sheet`, whose number is 7.
    pub(crate) fn of(rows: Json) -> Self {
        let rows = serde_json::from_value(rows).expect("rows of cells");
        let tab =
            Tab { id: 7, title: "Port Sheet".to_owned(), rows, row_count: 1000, column_count: 26 };
        let first = Tab { id: 0, title: "Notes".to_owned(), rows: Vec::new(), ..tab.clone() };
        let zone = "Europe/Oslo".to_owned();
        Self { id: "book-1".to_owned(), time_zone: zone, tabs: vec![first, tab], version: 41 }
    }

    /// The rows of the tab `Port Sheet`.
    pub(crate) fn rows(&mut self) -> &mut Vec<Vec<Json>> {
        self.version += 1;
        &mut self.tabs[1].rows
    }

    /// Does what a request asks for.
    pub(super) fn perform(&mut self, call: &Call) -> Done {
        let id = call.path.get("spreadsheetId").or(call.path.get("fileId"));
        if id != Some(&self.id) {
            return Err((404, "Requested entity was not found.".to_owned()));
        }
        let range = call.path.get("range").map(String::as_str).unwrap_or_default();
        match call.id.as_str() {
            "drive.files.get" => {
                let kind = "application/vnd.google-apps.spreadsheet";
                Ok(json!({ "id": self.id, "mimeType": kind, "version": self.version.to_string() }))
            }
            "sheets.spreadsheets.get" => Ok(self.about()),
            "sheets.spreadsheets.batchUpdate" => self.change(&call.body),
            "sheets.spreadsheets.values.get" => self.values(range, call),
            "sheets.spreadsheets.values.batchGet" => {
                let ranges = call.query.iter().filter(|(name, _)| name == "ranges");
                let values = ranges.map(|(_, range)| self.values(range, call));
                let values = values.collect::<Result<Vec<_>, _>>()?;
                Ok(json!({ "spreadsheetId": self.id, "valueRanges": values }))
            }
            "sheets.spreadsheets.values.update" => {
                let updated = self.put(range, &call.body)?;
                self.version += 1;
                Ok(updated)
            }
            "sheets.spreadsheets.values.batchUpdate" => {
                let data = call.body["data"].as_array().cloned().unwrap_or_default();
                // It is all or nothing: a range that is none fails the whole request.
                let mut after = self.clone();
                let mut responses = Vec::new();
                for range in &data {
                    let name = range["range"].as_str().unwrap_or_default().to_owned();
                    responses.push(after.put(&name, range)?);
                }
                *self = after;
                self.version += 1;
                Ok(json!({ "spreadsheetId": self.id, "responses": responses }))
            }
            "sheets.spreadsheets.values.append" => {
                let tab = self.area(range)?.tab;
                let behind = self.tabs[tab].rows.len() + 1;
                let place = format!("'{}'!A{behind}", self.tabs[tab].title);
                let updates = self.put(&place, &call.body)?;
                self.version += 1;
                Ok(json!({ "spreadsheetId": self.id, "updates": updates }))
            }
            other => Err((501, format!("the stand-in has no {other}"))),
        }
    }

    fn about(&self) -> Json {
        let sheets: Vec<_> = self
            .tabs
            .iter()
            .map(|tab| {
                let grid = json!({ "rowCount": tab.row_count, "columnCount": tab.column_count });
                json!({ "properties": {
                    "sheetId": tab.id, "title": tab.title, "sheetType": "GRID", "gridProperties": grid,
                } })
            })
            .collect();
        let properties = json!({ "title": "Ports", "locale": "nb_NO", "timeZone": self.time_zone });
        json!({ "spreadsheetId": self.id, "properties": properties, "sheets": sheets })
    }

    fn change(&mut self, body: &Json) -> Done {
        for request in body["requests"].as_array().into_iter().flatten() {
            let properties = &request["updateSheetProperties"]["properties"];
            let id = properties["sheetId"].as_u64().unwrap_or_default();
            let tab = self.tabs.iter_mut().find(|tab| tab.id == id);
            let tab = tab.ok_or((400, format!("No grid with id: {id}")))?;
            let count = |name: &str| properties["gridProperties"][name].as_u64();
            let count = |name: &str, old| {
                count(name).map_or(old, |count| usize::try_from(count).expect("it is small"))
            };
            tab.row_count = count("rowCount", tab.row_count);
            tab.column_count = count("columnCount", tab.column_count);
        }
        self.version += 1;
        Ok(json!({ "spreadsheetId": self.id, "replies": [{}] }))
    }

    fn values(&self, range: &str, call: &Call) -> Done {
        let area = self.area(range)?;
        let tab = &self.tabs[area.tab];
        let plain = call.param("valueRenderOption") == Some("UNFORMATTED_VALUE");
        let last = area.rows.1.min(tab.rows.len().saturating_sub(1));
        let mut rows = Vec::new();
        for row in area.rows.0..=last {
            let row = tab.rows.get(row).map_or(&[][..], Vec::as_slice);
            let mut cells: Vec<Json> = (area.columns.0..=area.columns.1)
                .map(|at| row.get(at).cloned().unwrap_or_else(|| "".into()))
                .map(|cell| if plain { cell } else { formatted(cell) })
                .collect();
            while cells.last().is_some_and(|cell| cell == "") {
                cells.pop();
            }
            rows.push(cells);
        }
        while rows.last().is_some_and(Vec::is_empty) {
            rows.pop();
        }
        let mut answer = json!({ "range": self.name(area), "majorDimension": "ROWS" });
        if !rows.is_empty() {
            answer["values"] = json!(rows);
        }
        Ok(answer)
    }

    fn put(&mut self, range: &str, body: &Json) -> Done {
        let area = self.area(range)?;
        let rows = body["values"].as_array().cloned().unwrap_or_default();
        let tab = &mut self.tabs[area.tab];
        for (down, row) in rows.iter().enumerate() {
            let at = area.rows.0 + down;
            for (right, cell) in row.as_array().into_iter().flatten().enumerate() {
                let column = area.columns.0 + right;
                if at >= tab.row_count || column >= tab.column_count {
                    let most =
                        format!("Max rows: {}, max columns: {}", tab.row_count, tab.column_count);
                    return Err((400, format!("Range ({range}) exceeds grid limits. {most}")));
                }
                if cell.is_null() {
                    continue;
                }
                while tab.rows.len() <= at {
                    tab.rows.push(Vec::new());
                }
                let row = &mut tab.rows[at];
                while row.len() <= column {
                    row.push("".into());
                }
                row[column] = cell.clone();
            }
        }
        Ok(json!({ "spreadsheetId": self.id, "updatedRange": range, "updatedRows": rows.len() }))
    }

    /// Reads a range: `Tab`, `'My Tab'!A1:C9`, `A:K` (of the first tab).
    fn area(&self, range: &str) -> Result<Area, (u16, String)> {
        let wrong = || (400, format!("Unable to parse range: {range}"));
        let find = |name: &str| {
            let name = match name.strip_prefix('\'').and_then(|name| name.strip_suffix('\'')) {
                Some(inner) => inner.replace("''", "'"),
                None => name.to_owned(),
            };
            self.tabs.iter().position(|tab| tab.title == name)
        };
        let (tab, cells) = match range.rsplit_once('!') {
            Some((name, cells)) => (find(name).ok_or_else(wrong)?, cells),
            None => match find(range) {
                Some(tab) => (tab, ""),
                None => (0, range),
            },
        };
        let grid = &self.tabs[tab];
        let (from, to) = cells.split_once(':').unwrap_or((cells, cells));
        let ((left, top), (right, bottom)) =
            (corner(from).ok_or_else(wrong)?, corner(to).ok_or_else(wrong)?);
        let end = |to: Option<usize>, count: usize| to.unwrap_or(count - 1);
        let rows = (top.unwrap_or(0), end(bottom, grid.row_count));
        let columns = (left.unwrap_or(0), end(right, grid.column_count));
        if rows.0 >= grid.row_count || columns.0 >= grid.column_count {
            return Err((400, format!("Range ({range}) exceeds grid limits.")));
        }
        Ok(Area { tab, rows, columns })
    }

    fn name(&self, area: Area) -> String {
        let tab = &self.tabs[area.tab];
        let letter = |column: usize| {
            let low = char::from(b'A' + u8::try_from(column % 26).expect("a letter"));
            let high = (column >= 26).then(|| {
                char::from(b'A' + u8::try_from(column / 26 - 1).expect("fewer than 702 columns"))
            });
            high.into_iter().chain([low]).collect::<String>()
        };
        let (last_row, last_column) =
            (area.rows.1.min(tab.row_count - 1), area.columns.1.min(tab.column_count - 1));
        format!(
            "'{}'!{}{}:{}{}",
            tab.title.replace('\'', "''"),
            letter(area.columns.0),
            area.rows.0 + 1,
            letter(last_column),
            last_row + 1
        )
    }
}

/// The column and the row of `B7`, `B` or `7`.
fn corner(text: &str) -> Option<(Option<usize>, Option<usize>)> {
    let end = text.find(|c: char| !c.is_ascii_uppercase()).unwrap_or(text.len());
    let (letters, digits) = text.split_at(end);
    let column = letters.bytes().fold(0, |sum, letter| sum * 26 + usize::from(letter - b'A') + 1);
    let row = match digits {
        "" => None,
        digits => Some(digits.parse::<usize>().ok()?.checked_sub(1)?),
    };
    Some((column.checked_sub(1), row))
}

/// The text of a value, as no locale would write it. See the front page.
fn formatted(cell: Json) -> Json {
    match cell {
        Json::Bool(true) => "TRUE".into(),
        Json::Bool(false) => "FALSE".into(),
        Json::Number(number) => number.to_string().into(),
        other => other,
    }
}
