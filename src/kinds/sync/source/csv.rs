//! The `csv` source: a CSV file, here or over HTTP.
//!
//! Owns the dialect. Refuses to guess it, and to know columns beyond their headers.

mod rows;

use super::super::intake::{HeaderRules, Intake};
use super::super::spec::Unchanged;
use super::super::tools::Tools;
use super::super::trouble::{Ending, Trouble};
use super::super::value::Cell;
use super::file::{Address, Input, Opened};
use super::{Read, Start};
use crate::yaml::{Located, section};
use rows::{Next, Rows};

section! {
    /// A CSV file, here or over HTTP.
    pub struct Csv {
        /// The file. A template.
        pub path: Option<Located<String>>,
        /// Its address. A template.
        pub url: Option<Located<String>>,
        /// The credential to show, by the job's own name for it.
        pub credential: Option<Located<String>>,
        /// What stands between two fields; one character.
        pub delimiter: Option<Located<String>>,
        /// When a read may be left out: by `mtime` of a file, by `etag` over HTTP.
        pub unchanged: Option<Located<Unchanged>>,
    }
}

/// Rows between two looks at the stop.
const STRIDE: u64 = 1024;

/// Headers are names that a program wrote: compared letter by letter, and only those that a column takes
/// must stand once.
const RULES: HeaderRules = HeaderRules { folded: false, no_duplicates: false };

impl Csv {
    pub(super) fn identity(&self) -> String {
        let of = self.path.as_ref().or(self.url.as_ref());
        format!("csv {}", of.map(|text| text.value.as_str()).unwrap_or_default())
    }

    pub(super) fn read(
        &self,
        tools: &Tools,
        start: &Start,
        intake: &mut Intake<'_>,
    ) -> Result<Read, Trouble> {
        let delimiter = self.delimiter()?;
        let address = Address {
            path: self.path.as_ref(),
            url: self.url.as_ref(),
            credential: self.credential.as_ref(),
            unchanged: self.unchanged.as_ref(),
        };
        let input = match address.open(tools, start)? {
            Opened::Unchanged => return Ok(Read::Unchanged),
            Opened::Bytes(input) => input,
        };
        let input = take(*input, delimiter, tools, intake)?;
        Ok(Read::All { left: input.finish()? })
    }

    fn delimiter(&self) -> Result<u8, Trouble> {
        let Some(text) = &self.delimiter else { return Ok(b',') };
        match *text.value.as_bytes() {
            [byte] if byte.is_ascii() && !b"\"\r\n\x04".contains(&byte) => Ok(byte),
            _ => Err(Trouble::config(format!(
                "`source.delimiter` is {:?}: write one ASCII character, such as \";\" or \"\\t\"",
                text.value
            ))),
        }
    }
}

/// Gives every row, and the input back when its end was seen.
fn take<'t>(
    input: Input<'t>,
    delimiter: u8,
    tools: &'t Tools,
    intake: &mut Intake<'_>,
) -> Result<Input<'t>, Trouble> {
    let mut rows = Rows::new(input, delimiter);
    if matches!(rows.next()?, Next::End) {
        let name = rows.input().name();
        let message =
            format!("{name} is empty, and has not even a header; a file without rows has one");
        return Err(Trouble::new(Ending::Schema, message));
    }
    let names: Vec<String> = rows.record().iter().map(ToOwned::to_owned).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let header = intake.header(&names, RULES, &|index| format!("field {}", index + 1))?;
    let mut told = 0;
    for count in 1_u64.. {
        if matches!(rows.next()?, Next::End) {
            break;
        }
        let record = rows.record();
        let field = |index: usize| record.get(index).map_or(Cell::Missing, Cell::Text);
        intake.fields(&rows.place(), &header, &field)?;
        if count.is_multiple_of(STRIDE) {
            tools.go_on()?;
            let read = rows.bytes();
            intake.bytes(read - told);
            told = read;
        }
    }
    intake.bytes(rows.bytes() - told);
    Ok(rows.into_input())
}

#[cfg(test)]
mod tests;
