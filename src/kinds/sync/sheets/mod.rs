//! The Google Sheets API, as the source and the destination speak it.
//!
//! Owns addresses, the budget that Google counts per user and minute, and what is known of a spreadsheet.
//! Refuses to know rows.

mod a1;
mod cells;

use jiff::tz::{Offset, TimeZone};
use reqwest::{Method, Url};
use serde::Deserialize;
use serde_json::Value as Json;

pub(super) use self::a1::{Area, letters, quoted};
pub(super) use self::cells::{Found, each_row};
use super::tools::Tools;
use super::trouble::{Ending, Trouble};
use super::wire::{Limit, Repeat, Request, Side, Terms, Wire, address};
use crate::yaml::Located;

/// Where the API answers.
pub(super) const SHEETS: &str = "https://sheets.googleapis.com";

/// Where Drive's does.
const DRIVE: &str = "https://www.googleapis.com";

/// What Google grants a user of a project, for reads and for writes alike.
const BUDGET: Limit = Limit { requests: 60, per: std::time::Duration::from_mins(1) };

/// Longest answer. Google advises two megabytes, and has no hard bound.
const ANSWER_MAX: usize = 256 << 20;

/// What a section says of a spreadsheet.
#[derive(Clone, Copy)]
pub(super) struct Access<'a> {
    /// Its id, a template.
    pub(super) spreadsheet: &'a Located<String>,
    /// The credential.
    pub(super) credential: &'a Located<String>,
    /// Where the API answers instead, a template.
    pub(super) api_url: Option<&'a Located<String>>,
}

/// One spreadsheet, over the API.
pub(super) struct Api<'t> {
    reads: Wire<'t>,
    writes: Wire<'t>,
    drive: Wire<'t>,
    sheets_at: Url,
    drive_at: Url,
    id: String,
}

/// What is known of a spreadsheet.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Book {
    properties: BookProperties,
    #[serde(default)]
    sheets: Vec<Sheet>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct BookProperties {
    #[serde(default)]
    time_zone: String,
}

#[derive(Clone, Debug, Deserialize)]
struct Sheet {
    properties: Tab,
}

/// A tab.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Tab {
    /// Its number, which stays when it is renamed. Protocol buffers leave a zero out.
    #[serde(default)]
    pub(super) sheet_id: u64,
    /// Its name.
    #[serde(default)]
    pub(super) title: String,
    /// How large its grid is; nothing for what is no grid.
    pub(super) grid_properties: Option<Grid>,
}

/// The size of a grid.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Grid {
    /// Rows.
    #[serde(default)]
    pub(super) row_count: u64,
    /// Columns.
    #[serde(default)]
    pub(super) column_count: u64,
}

impl Book {
    /// Its tabs, in their order.
    pub(super) fn tabs(&self) -> impl Iterator<Item = &Tab> {
        self.sheets.iter().map(|sheet| &sheet.properties)
    }

    /// The names of its tabs, for people.
    pub(super) fn titles(&self) -> String {
        let titles: Vec<_> = self.tabs().map(|tab| format!("`{}`", tab.title)).collect();
        titles.join(", ")
    }

    /// The zone of its times.
    pub(super) fn zone(&self) -> Result<TimeZone, Trouble> {
        let name = self.properties.time_zone.as_str();
        zone(name).ok_or_else(|| {
            Trouble::source(format!("the spreadsheet's time zone `{name}` is not known here"))
        })
    }
}

/// A zone by its name, or as Google writes one that has none: `GMT-07:00`.
fn zone(name: &str) -> Option<TimeZone> {
    if let Ok(zone) = TimeZone::get(name) {
        return Some(zone);
    }
    let rest = name.strip_prefix("GMT")?;
    let (sign, rest) = match rest.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':').unwrap_or((rest, "0"));
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    let offset = Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok()?;
    (minutes < 60).then(|| TimeZone::fixed(offset))
}

impl<'t> Api<'t> {
    /// One spreadsheet. Nobody is asked yet.
    pub(super) fn open(tools: &'t Tools, side: Side, access: Access<'_>) -> Result<Self, Trouble> {
        let id = tools.render("spreadsheet", &access.spreadsheet.value)?;
        let at = |default: &str| match access.api_url {
            Some(url) => address("api_url", &tools.render("api_url", &url.value)?),
            None => address("api_url", default),
        };
        let open = || Wire::open(tools, Terms::new(side).with(Some(access.credential)));
        let (reads, writes) = (open()?, open()?);
        let who = reads.account("");
        Ok(Self {
            reads: reads.counted(format!("sheets reads of {who}"), BUDGET),
            writes: writes.counted(format!("sheets writes of {who}"), BUDGET),
            drive: open()?,
            sheets_at: at(SHEETS)?,
            drive_at: at(DRIVE)?,
            id,
        })
    }

    /// The version that Drive counts. It grows with every change, and with some that nobody sees.
    pub(super) fn version(&self) -> Result<String, Trouble> {
        let mut url = under(&self.drive_at, &["drive", "v3", "files", &self.id]);
        url.query_pairs_mut()
            .append_pair("fields", "version")
            .append_pair("supportsAllDrives", "true");
        let (_, body) = self.drive.whole(&Request::get(url), Repeat::Freely, ANSWER_MAX)?;
        let answer: Json = parsed(&body)?;
        let version = answer["version"].as_str().map(str::to_owned);
        version.ok_or_else(|| Trouble::source("Drive's answer has no `version`"))
    }

    /// The zone and the tabs.
    pub(super) fn book(&self) -> Result<Book, Trouble> {
        let mut url = under(&self.sheets_at, &["v4", "spreadsheets", &self.id]);
        url.query_pairs_mut().append_pair(
            "fields",
            "properties.timeZone,sheets.properties(sheetId,title,gridProperties(rowCount,columnCount))",
        );
        let (_, body) = self.reads.whole(&Request::get(url), Repeat::Freely, ANSWER_MAX)?;
        parsed(&body)
    }

    /// The values of a range, as the API writes them: numbers plain, and times as serial days, whatever the
    /// locale.
    pub(super) fn values(&self, range: &str) -> Result<Vec<u8>, Trouble> {
        let mut url = under(&self.sheets_at, &["v4", "spreadsheets", &self.id, "values", range]);
        url.query_pairs_mut()
            .append_pair("majorDimension", "ROWS")
            .append_pair("valueRenderOption", "UNFORMATTED_VALUE")
            .append_pair("dateTimeRenderOption", "SERIAL_NUMBER");
        let (_, body) = self.reads.whole(&Request::get(url), Repeat::Freely, ANSWER_MAX)?;
        Ok(body)
    }

    /// Writes values, each at its own place: twice is the same as once.
    pub(super) fn put(&self, body: &Json) -> Result<(), Trouble> {
        self.post("values:batchUpdate", body)
    }

    /// Changes what is not a value: the size of the grid. Twice is the same as once for what is asked here.
    pub(super) fn change(&self, body: &Json) -> Result<(), Trouble> {
        self.post(":batchUpdate", body)
    }

    fn post(&self, verb: &str, body: &Json) -> Result<(), Trouble> {
        let last =
            if verb.starts_with(':') { format!("{}{verb}", self.id) } else { self.id.clone() };
        let mut url = under(&self.sheets_at, &["v4", "spreadsheets", &last]);
        if !verb.starts_with(':') {
            url = under(&url, &[verb]);
        }
        let request = Request {
            url,
            verb: Method::POST,
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            body: Some(body.to_string().into_bytes()),
        };
        self.writes.whole(&request, Repeat::Freely, ANSWER_MAX).map(drop)
    }
}

/// An address below another one.
fn under(base: &Url, parts: &[&str]) -> Url {
    let mut url = base.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(parts);
    }
    url
}

fn parsed<T: for<'de> Deserialize<'de>>(body: &[u8]) -> Result<T, Trouble> {
    serde_json::from_slice(body)
        .map_err(|error| Trouble::source(format!("the API's answer is not understood: {error}")))
}

/// A range has no headers.
pub(super) fn no_header(range: &str, row: u64) -> Trouble {
    let words = format!("{range} has no headers in row {row}: is it empty?");
    Trouble::new(Ending::Schema, words)
}

#[cfg(test)]
mod clients;
#[cfg(test)]
#[path = "../../../../tests/sheets/mod.rs"]
pub(super) mod fake;
#[cfg(test)]
pub(super) mod tests;
