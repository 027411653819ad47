//! The only printing code: stdout for data, stderr for the rest.
//!
//! Owns the two streams, the width of the terminal, and JSON. Refuses to know what is printed.

use std::io::{self, IsTerminal, Write};

use jiff::Timestamp;
use serde::Serialize;

use super::exit::{Error, Exit, Result};
use super::table::{self, Table};

/// Where a command prints.
pub(super) struct Printer {
    out: io::BufWriter<io::Stdout>,
    /// Whether data is JSON.
    pub(super) json: bool,
    /// Columns that a table may have.
    pub(super) width: usize,
    /// Whether the terminal shows colours.
    pub(super) colour: bool,
}

impl Printer {
    pub(super) fn new(json: bool) -> Self {
        let colour = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self { out: io::BufWriter::new(io::stdout()), json, width: width(), colour }
    }

    /// The stream for data.
    pub(super) fn data(&mut self) -> &mut dyn Write {
        &mut self.out
    }

    /// A JSON array, written as its elements come.
    pub(super) fn json_list(&mut self, values: impl Iterator<Item = impl Serialize>) -> Result<()> {
        let mut opening = "[";
        for value in values {
            write!(self.out, "{opening}\n  ")?;
            serde_json::to_writer(&mut self.out, &value).map_err(io::Error::from)?;
            opening = ",";
        }
        let empty = if opening == "[" { "[" } else { "\n" };
        Ok(writeln!(self.out, "{empty}]")?)
    }

    /// A value as JSON.
    pub(super) fn json(&mut self, value: &impl Serialize) -> Result<()> {
        serde_json::to_writer_pretty(&mut self.out, value).map_err(io::Error::from)?;
        Ok(writeln!(self.out)?)
    }

    /// A table; where it has no rows, `none` is told instead.
    pub(super) fn table<const N: usize>(&mut self, table: &Table<N>, none: &str) -> Result<()> {
        if table.is_empty() {
            return self.note(none);
        }
        Ok(table.print(&mut self.out, self.width)?)
    }

    /// A line of data.
    pub(super) fn line(&mut self, text: &str) -> Result<()> {
        Ok(writeln!(self.out, "{}", table::plain(text))?)
    }

    /// A line for the person at the terminal, after all data so far.
    pub(super) fn note(&mut self, text: &str) -> Result<()> {
        self.out.flush()?;
        note(text);
        Ok(())
    }

    /// Hands over everything printed so far.
    pub(super) fn flush(&mut self) -> Result<()> {
        Ok(self.out.flush()?)
    }
}

/// A line on stderr. Where even that is closed, nobody is left to be told.
pub(super) fn note(text: &str) {
    let text: Vec<_> = text.lines().map(table::plain).collect();
    let _closed = writeln!(io::stderr().lock(), "{}", text.join("\n"));
}

/// A time as tables show it: `2026-11-25 09:00:00Z`.
pub(super) fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// A text in lines of at most `width` characters, broken between words.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is a first line");
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

fn width() -> usize {
    let told = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let terminal = || {
        let stdout = io::stdout();
        let size = stdout.is_terminal().then(|| rustix::termios::tcgetwinsize(&stdout).ok());
        size.flatten().map(|size| usize::from(size.ws_col))
    };
    told.or_else(terminal).filter(|width| *width >= 40).unwrap_or(table::WIDTH)
}

/// Ends a command: tells the error, and turns it into an exit code.
pub(super) fn end(result: Result<Exit>) -> Exit {
    let error = match result {
        Ok(exit) => return exit,
        Err(error) => error,
    };
    if !error.message.is_empty() {
        note(&error.to_string());
    }
    let Error { exit, .. } = error;
    exit
}
