//! Lines of text, from a file or from a program.
//!
//! Owns the bound on one line, and whether the last one is whole. Refuses to know what stands in them.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read};

use serde::de::IgnoredAny;

use super::super::trouble::{Ending, Trouble};
use super::file::Input;

/// Most bytes of one line.
const LINE_MAX: usize = 16 * 1024 * 1024;

/// Bytes that are read from a file at once.
const BUFFER: usize = 128 * 1024;

/// Bytes that come line by line.
pub(super) trait Feed: BufRead {
    /// Its name in messages.
    fn name(&self) -> &str;

    /// What a failed read means.
    fn trouble(&mut self, error: &io::Error) -> Trouble;
}

/// The lines, one at a time.
pub(super) struct Lines<F> {
    feed: F,
    line: Vec<u8>,
    number: u64,
    bytes: u64,
}

/// Where a line stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct At(pub(super) u64);

impl<F: Feed> Lines<F> {
    pub(super) fn of(feed: F) -> Self {
        Self { feed, line: Vec::new(), number: 0, bytes: 0 }
    }

    /// Reads the next line that is not blank; whether there was one.
    pub(super) fn next(&mut self) -> Result<bool, Trouble> {
        loop {
            self.line.clear();
            let most = LINE_MAX as u64 + 1;
            let read = (&mut self.feed).take(most).read_until(b'\n', &mut self.line);
            let read = read.map_err(|error| self.feed.trouble(&error))?;
            if read == 0 {
                return Ok(false);
            }
            self.number += 1;
            self.bytes += read as u64;
            if self.line.last() == Some(&b'\n') {
                self.line.pop();
            } else if self.line.len() > LINE_MAX {
                let most = LINE_MAX / 1024 / 1024;
                let message = format!("{}: the line is longer than {most} MiB", self.here());
                return Err(Trouble::source(message).for_good());
            } else if !self.line.trim_ascii().is_empty() && !is_whole(&self.line) {
                let message =
                    format!("{}: the last line ends in the middle of its JSON", self.here());
                return Err(Trouble::new(Ending::Truncated, message));
            }
            if self.number == 1 && self.line.starts_with(b"\xef\xbb\xbf") {
                self.line.drain(..3);
            }
            if !self.line.trim_ascii().is_empty() {
                return Ok(true);
            }
        }
    }

    /// The line that was read last, and where it stands.
    pub(super) fn line(&self) -> Result<(At, &str), Trouble> {
        match std::str::from_utf8(&self.line) {
            Ok(line) => Ok((At(self.number), line)),
            Err(error) => {
                let at = error.valid_up_to() + 1;
                let message =
                    format!("{}: it is not UTF-8, from byte {at} of the line", self.here());
                Err(Trouble::source(message))
            }
        }
    }

    /// Bytes that were read since this was asked last.
    pub(super) fn bytes(&mut self) -> u64 {
        std::mem::take(&mut self.bytes)
    }

    /// Where they come from.
    pub(super) fn into_feed(self) -> F {
        self.feed
    }

    /// The feed and the line, for messages.
    pub(super) fn here(&self) -> String {
        format!("{}, line {}", self.feed.name(), self.number)
    }
}

/// Whether a line without its end is all that was to come. An object says so itself.
fn is_whole(line: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(line).is_ok()
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.0)
    }
}

/// The lines of a file.
pub(super) fn of_file(input: Input<'_>) -> Lines<BufReader<Input<'_>>> {
    Lines::of(BufReader::with_capacity(BUFFER, input))
}

impl Feed for BufReader<Input<'_>> {
    fn name(&self) -> &str {
        self.get_ref().name()
    }

    fn trouble(&mut self, error: &io::Error) -> Trouble {
        self.get_ref().trouble(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Memory<'a>(&'a [u8]);

    impl Read for Memory<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0.read(buffer)
        }
    }

    impl BufRead for Memory<'_> {
        fn fill_buf(&mut self) -> io::Result<&[u8]> {
            self.0.fill_buf()
        }

        fn consume(&mut self, amount: usize) {
            self.0.consume(amount);
        }
    }

    impl Feed for Memory<'_> {
        fn name(&self) -> &'static str {
            "FILE"
        }

        fn trouble(&mut self, error: &io::Error) -> Trouble {
            Trouble::source(error)
        }
    }

    fn all(bytes: &[u8]) -> (Vec<String>, String) {
        let mut lines = Lines::of(Memory(bytes));
        let mut seen = Vec::new();
        loop {
            let line = lines.next().and_then(|more| {
                more.then(|| lines.line().map(|(at, line)| format!("{at}: {line}"))).transpose()
            });
            match line {
                Ok(Some(line)) => seen.push(line),
                Ok(None) => return (seen, "end".to_owned()),
                Err(trouble) => {
                    return (seen, format!("{}: {}", trouble.ending.word(), trouble.message));
                }
            }
        }
    }

    #[test]
    fn lines_are_told_from_what_is_none() {
        let long = [vec![b'"'; 1], vec![b'x'; LINE_MAX + 10]].concat();
        let cases: [(&[u8], &[&str], &str); 9] = [
            (b"", &[], "end"),
            (b"\n  \n", &[], "end"),
            (b"{}\n\n[1]\r\n", &["line 1: {}", "line 3: [1]\r"], "end"),
            (b"\xef\xbb\xbf{}\n", &["line 1: {}"], "end"),
            (b"{}\n{\"a\":1}", &["line 1: {}", "line 2: {\"a\":1}"], "end"),
            (b"{}\n   ", &["line 1: {}"], "end"),
            (
                b"{}\n{\"a\":1",
                &["line 1: {}"],
                "failed:truncated: FILE, line 2: the last line ends in the middle of its JSON",
            ),
            (
                b"{}\n{\"a\":\"\xff\"}\n",
                &["line 1: {}"],
                "failed:source: FILE, line 2: it is not UTF-8, from byte 7 of the line",
            ),
            (&long, &[], "failed:source: FILE, line 1: the line is longer than 16 MiB"),
        ];
        for (bytes, lines, end) in cases {
            let (seen, how) = all(bytes);
            assert_eq!(seen, lines);
            assert_eq!(how, end);
        }
    }
}
