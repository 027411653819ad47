//! What a stream of output says: its last line, and lines that match a pattern.
//!
//! Owns the cutting of chunks into lines, in bounded memory. Refuses to keep the output itself.

use regex::bytes::Regex;

/// Longest line that is looked at; the rest of a longer one is passed over.
const LINE_MAX: usize = 4096;

/// A regular expression over single lines of output. They need not be text.
#[derive(Clone, Debug)]
pub struct Pattern(Regex);

/// Looks at one stream as it passes.
#[derive(Debug, Default)]
pub struct Scan<'a> {
    watched: Vec<(&'a Pattern, Option<String>)>,
    line: Vec<u8>,
    last: Vec<u8>,
    kept: Vec<u8>,
    keep: usize,
}

impl Pattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let too_large = 1 << 20;
        let built = regex::bytes::RegexBuilder::new(text).size_limit(too_large).build();
        built.map(Self).map_err(|error| match error {
            regex::Error::Syntax(text) => {
                let last = text.lines().last().unwrap_or_default();
                last.trim_start_matches("error: ").to_owned()
            }
            _ => "it compiles to more than 1 MiB".to_owned(),
        })
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether it occurs in these bytes.
    #[must_use]
    pub fn is_in(&self, bytes: &[u8]) -> bool {
        self.0.is_match(bytes)
    }
}

impl<'a> Scan<'a> {
    /// Watches for lines that match a pattern.
    #[must_use]
    pub fn watching(patterns: impl IntoIterator<Item = &'a Pattern>) -> Self {
        let watched = patterns.into_iter().map(|pattern| (pattern, None)).collect();
        Self { watched, ..Self::default() }
    }

    /// Keeps the first `bytes` of the stream in memory.
    #[must_use]
    pub fn keeping(bytes: usize) -> Self {
        Self { keep: bytes, ..Self::default() }
    }

    /// The first bytes, as many as were asked for.
    #[must_use]
    pub fn kept(&self) -> &[u8] {
        &self.kept
    }

    /// The last line that is not blank.
    #[must_use]
    pub fn last_line(&self) -> Option<String> {
        let line = if self.line.trim_ascii().is_empty() { &self.last } else { &self.line };
        (!line.is_empty()).then(|| readable(line))
    }

    /// The first line that matched the pattern, where it is one of those watched for.
    #[must_use]
    pub fn found(&self, pattern: &Pattern) -> Option<String> {
        let mine = |(watched, _): &&(&Pattern, _)| std::ptr::eq(*watched, pattern);
        let (_, line) = self.watched.iter().find(mine)?;
        // The last line may lack its line feed.
        line.clone().or_else(|| pattern.is_in(&self.line).then(|| readable(&self.line)))
    }

    pub(super) fn feed(&mut self, chunk: &[u8]) {
        let room = self.keep.saturating_sub(self.kept.len()).min(chunk.len());
        self.kept.extend_from_slice(&chunk[..room]);
        let mut rest = chunk;
        while let Some(end) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            self.extend(&rest[..end]);
            self.end_line();
            rest = &rest[end + 1..];
        }
        self.extend(rest);
    }

    fn extend(&mut self, part: &[u8]) {
        let room = LINE_MAX.saturating_sub(self.line.len()).min(part.len());
        self.line.extend_from_slice(&part[..room]);
    }

    fn end_line(&mut self) {
        for (pattern, found) in &mut self.watched {
            if found.is_none() && pattern.is_in(&self.line) {
                *found = Some(readable(&self.line));
            }
        }
        if !self.line.trim_ascii().is_empty() {
            std::mem::swap(&mut self.last, &mut self.line);
        }
        self.line.clear();
    }
}

/// A line as a message shows it: text of bounded length, without control characters.
fn readable(line: &[u8]) -> String {
    const SHOWN: usize = 300;
    let text = String::from_utf8_lossy(line);
    let clean = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut shown: String = clean.take(SHOWN).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::{Pattern, Scan};

    #[test]
    fn the_last_line_is_the_last_that_is_not_blank() {
        let cases: [(&[&str], Option<&str>); 8] = [
            (&[], None),
            (&["\n \n"], None),
            (&["one\ntwo\n"], Some("two")),
            (&["one\ntwo"], Some("two")),
            (&["one\n\n   \n"], Some("one")),
            (&["o", "ne", "\nt", "wo\n\n"], Some("two")),
            (&[" 10%\r 99%\r100%\r\n"], Some("100%")),
            (&["\u{1b}[31mred\u{1b}[0m\n"], Some("[31mred [0m")),
        ];
        for (chunks, expected) in cases {
            let mut scan = Scan::default();
            for chunk in chunks {
                scan.feed(chunk.as_bytes());
            }
            assert_eq!(scan.last_line().as_deref(), expected, "{chunks:?}");
        }
    }

    #[test]
    fn a_line_without_end_takes_bounded_memory_and_is_cut_in_messages() {
        let mut scan = Scan::keeping(10);
        for _ in 0..1000 {
            scan.feed(&[b'x'; 1000]);
        }
        assert_eq!(scan.line.len(), super::LINE_MAX);
        assert_eq!(scan.kept(), b"xxxxxxxxxx");
        assert_eq!(scan.last_line().unwrap().chars().count(), 301);
    }

    #[test]
    fn a_pattern_is_found_across_chunks_and_in_bytes_that_are_no_text() {
        let (seen, other) =
            (Pattern::parse("HTTP Error 40[013]").unwrap(), Pattern::parse("x").unwrap());
        let mut scan = Scan::watching([&seen, &other]);
        scan.feed(b"start\n\xff token error: HTTP Er");
        assert_eq!(scan.found(&seen), None);
        scan.feed(b"ror 400: Bad Request\nHTTP Error 403\n");
        let found = scan.found(&seen).unwrap();
        assert_eq!(found, "\u{fffd} token error: HTTP Error 400: Bad Request");
        assert_eq!(scan.found(&other), None);
    }

    #[test]
    fn a_bad_pattern_says_what_is_wrong() {
        let cases = [("a(b", "unclosed group"), (r"a{99999999}", "exceeds the size limit")];
        for (text, expected) in cases {
            let error = Pattern::parse(text).unwrap_err();
            assert!(error.contains(expected) || error.contains("1 MiB"), "{error}");
        }
    }
}
