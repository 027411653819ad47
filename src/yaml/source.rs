//! The text of one file, and places in it.
//!
//! Owns [`Source`], [`Span`] and the line index that turns bytes into lines and columns. The index is built
//! when the first diagnostic asks for it, so a clean file never pays for it. Refuses to know YAML.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// Largest file that is read, in bytes. Whoever reads a file checks this before reading it.
pub const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// A range of bytes in a [`Source`], on character boundaries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The first byte.
    pub start: u32,
    /// The byte after the last one.
    pub end: u32,
}

impl Span {
    /// The span of a byte range. Ranges beyond 4 GiB are cut; files are far smaller.
    #[must_use]
    pub fn new(range: Range<usize>) -> Self {
        let cut = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Self { start: cut(range.start), end: cut(range.end.max(range.start)) }
    }

    /// The byte range.
    #[must_use]
    pub fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// The smallest span that covers both.
    #[must_use]
    pub fn to(self, other: Self) -> Self {
        Self { start: self.start.min(other.start), end: self.end.max(other.end) }
    }
}

/// A place as people count: lines and columns from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
}

/// A file's text under the path that people are shown. Cheap to clone.
#[derive(Clone)]
pub struct Source(Arc<Inner>);

struct Inner {
    path: String,
    text: String,
    line_starts: OnceLock<Vec<u32>>,
}

impl Source {
    /// A source; `path` is shown as given.
    #[must_use]
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        let line_starts = OnceLock::new();
        Self(Arc::new(Inner { path: path.into(), text: text.into(), line_starts }))
    }

    /// The path as shown.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.0.path
    }

    /// The whole text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// The text of a span; empty where the span is not one of this source.
    #[must_use]
    pub fn slice(&self, span: Span) -> &str {
        self.text().get(span.range()).unwrap_or_default()
    }

    /// Where a byte stands. A byte inside a character counts as that character's first one.
    #[must_use]
    pub fn position(&self, byte: u32) -> Position {
        let text = self.text();
        let byte = floor_char_boundary(text, byte as usize);
        let line = self.line_of(Span::new(byte..byte).start);
        let start = self.line_starts()[line as usize - 1] as usize;
        let column = text[start..byte].chars().filter(|&c| c != '\u{feff}').count() + 1;
        Position { line, column: u32::try_from(column).unwrap_or(u32::MAX) }
    }

    /// The line of a byte, from 1. Cheaper than its position, which counts the characters before it.
    #[must_use]
    pub fn line_of(&self, byte: u32) -> u32 {
        let line = self.line_starts().partition_point(|&start| start <= byte).max(1);
        u32::try_from(line).unwrap_or(u32::MAX)
    }

    /// The bytes of a line (from 1), its line break left out.
    #[must_use]
    pub fn line_span(&self, line: u32) -> Span {
        let starts = self.line_starts();
        let index = (line.max(1) as usize - 1).min(starts.len() - 1);
        let start = starts[index] as usize;
        let end = starts.get(index + 1).map_or(self.text().len(), |&next| next as usize);
        let content = self.text()[start..end].trim_end_matches(['\n', '\r']);
        Span::new(start..start + content.len())
    }

    fn line_starts(&self) -> &[u32] {
        self.0.line_starts.get_or_init(|| {
            let after = |(at, _)| u32::try_from(at + 1).unwrap_or(u32::MAX);
            std::iter::once(0).chain(self.text().match_indices('\n').map(after)).collect()
        })
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Source").field(&self.path()).finish()
    }
}

/// The character boundary at or before `byte`.
pub(crate) fn floor_char_boundary(text: &str, byte: usize) -> usize {
    let mut at = byte.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters() {
        let source = Source::new("x", "a: é\nüb: c\r\n\nz");
        let at = |byte| (source.position(byte).line, source.position(byte).column);
        assert_eq!(at(0), (1, 1));
        assert_eq!(at(3), (1, 4));
        assert_eq!(at(4), (1, 4), "inside é");
        assert_eq!(at(5), (1, 5));
        assert_eq!(at(6), (2, 1));
        assert_eq!(at(8), (2, 2));
        assert_eq!(at(14), (3, 1));
        assert_eq!(at(15), (4, 1));
        assert_eq!(at(999), (4, 2));
    }

    #[test]
    fn lines_leave_their_break_out() {
        let source = Source::new("x", "a\r\nbc\n");
        let line = |n| source.slice(source.line_span(n));
        assert_eq!([line(1), line(2), line(3), line(9)], ["a", "bc", "", ""]);
    }

    #[test]
    fn a_byte_order_mark_takes_no_column() {
        let source = Source::new("x", "\u{feff}a: b");
        assert_eq!(source.position(3), Position { line: 1, column: 1 });
    }
}
