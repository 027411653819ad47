//! The rows of a CSV file, as far as they are sound.
//!
//! Owns the end of it (a quotation that is never closed swallows the rest, which a lenient parser takes for a
//! field), the bound on one row, and where a row stands. Refuses to know headers.

use std::fmt;
use std::io::{self, Read};

use csv::{ErrorKind, Reader, ReaderBuilder, StringRecord};

use super::super::super::trouble::{Ending, Trouble};
use super::super::file::Input;

/// Most bytes of one row. A quotation mark too many must not take the memory of the machine.
const ROW_MAX: u64 = 16 * 1024 * 1024;

/// Bytes that are read at once.
const BUFFER: usize = 128 * 1024;

/// What is read behind the last byte: a row of its own, unless a quotation is open.
const END: &[u8] = b"\n\x04\n";

/// Rows of a file.
pub(super) struct Rows<R> {
    reader: Reader<Ended<R>>,
    record: StringRecord,
}

/// Whether there was another row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// There was.
    Row,
    /// The file ended, well.
    End,
}

/// Where a row stands.
pub(super) struct Place<'a, R> {
    rows: &'a Rows<R>,
}

/// Bytes with [`END`] behind them, of which one row may take so many.
struct Ended<R> {
    inner: R,
    given: u64,
    /// How many bytes the file has, once that is known.
    length: Option<u64>,
    /// How much of the end was given.
    end: usize,
    /// Where the row under way begins.
    row: u64,
    /// Whether lines end with CR LF: the parser counts such a line only with the next one.
    crlf: Option<bool>,
}

impl<R: Read> Rows<R> {
    pub(super) fn new(inner: R, delimiter: u8) -> Self {
        let ended = Ended { inner, given: 0, length: None, end: 0, row: 0, crlf: None };
        let mut builder = ReaderBuilder::new();
        builder.delimiter(delimiter).has_headers(false).flexible(true).buffer_capacity(BUFFER);
        Self { reader: builder.from_reader(ended), record: StringRecord::new() }
    }

    /// The file.
    pub(super) fn input(&self) -> &R {
        &self.reader.get_ref().inner
    }

    /// The file, when all is read.
    pub(super) fn into_input(self) -> R {
        self.reader.into_inner().inner
    }

    /// The row that was read last.
    pub(super) fn record(&self) -> &StringRecord {
        &self.record
    }

    /// Bytes that were read.
    pub(super) fn bytes(&self) -> u64 {
        let ended = self.reader.get_ref();
        self.reader.position().byte().min(ended.length.unwrap_or(u64::MAX))
    }

    /// Where the row stands that was read last.
    pub(super) fn place(&self) -> Place<'_, R> {
        Place { rows: self }
    }

    fn line(&self) -> u64 {
        let inner = self.record.as_slice().bytes().filter(|byte| *byte == b'\n').count() as u64;
        let behind = u64::from(self.reader.get_ref().crlf != Some(true));
        self.reader.position().line().saturating_sub(inner + behind).max(1)
    }
}

impl Rows<Input<'_>> {
    /// Reads a row.
    pub(super) fn next(&mut self) -> Result<Next, Trouble> {
        let read = self.reader.read_record(&mut self.record);
        let at = self.reader.position().byte();
        self.reader.get_mut().row = at;
        match read {
            Err(error) => Err(self.trouble(&error)),
            Ok(_) => match self.reader.get_ref().length {
                Some(length) if at > length + 1 => self.end(),
                _ => Ok(Next::Row),
            },
        }
    }

    /// Looks at what was read over the end.
    fn end(&self) -> Result<Next, Trouble> {
        if self.record.len() == 1 && self.record.get(0) == Some("\u{4}") {
            return Ok(Next::End);
        }
        let line = self.reader.position().line();
        let inner = self.record.as_slice().bytes().filter(|byte| *byte == b'\n').count() as u64;
        let message = format!(
            "{} ends within a quotation; it is in the row that begins in line {}",
            self.input().name(),
            line.saturating_sub(inner).max(1),
        );
        Err(Trouble::new(Ending::Truncated, message))
    }

    fn trouble(&mut self, error: &csv::Error) -> Trouble {
        let name = self.input().name().to_owned();
        match error.kind() {
            ErrorKind::Utf8 { err, .. } => {
                let line = self.line();
                Trouble::source(format!(
                    "{name}, line {line}: field {} is not UTF-8; convert the file, for example with \
                     `iconv -f WINDOWS-1252 -t UTF-8`",
                    err.field() + 1
                ))
            }
            ErrorKind::Io(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                let line = self.reader.position().line();
                let most = ROW_MAX / 1024 / 1024;
                Trouble::source(format!(
                    "{name}, line {line}: the row is larger than {most} MiB; perhaps a quotation is \
                     not closed"
                ))
            }
            ErrorKind::Io(error) => self.reader.get_mut().inner.trouble(error),
            _ => Trouble::source(format!("{name}: {error}")),
        }
    }
}

impl<R: Read> fmt::Display for Place<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.rows.line())
    }
}

impl<R: Read> Read for Ended<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.given.saturating_sub(self.row) > ROW_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        if self.length.is_none() {
            let read = self.inner.read(buffer)?;
            self.given += read as u64;
            if self.crlf.is_none() {
                let end = buffer[..read].iter().position(|byte| *byte == b'\n');
                self.crlf = end.map(|end| end > 0 && buffer[end - 1] == b'\r');
            }
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            self.length = Some(self.given);
        }
        let count = END[self.end..].len().min(buffer.len());
        buffer[..count].copy_from_slice(&END[self.end..self.end + count]);
        self.end += count;
        Ok(count)
    }
}
