//! Findings for people, in the manner of rustc.
//!
//! Owns the choice of what is shown around a finding. Long lines and long spans are cut before they are
//! rendered, so that a file of one huge line costs no more than a screen. Refuses to know the terminal:
//! colour is the caller's choice, and the text reads well without it.

use std::ops::Range;

use annotate_snippets::{
    Annotation, AnnotationKind, Element, Group, Level, Origin, Renderer, Snippet,
};

use super::clean;
use crate::yaml::source::floor_char_boundary;
use crate::yaml::{Diagnostic, Severity, Source, Span};

/// Widest text shown, without the line numbers.
const WIDTH: usize = 100;

/// Widest line of a help, so that with what stands before it fits a terminal of 80.
const HELP_WIDTH: usize = 66;

/// Longest piece of a line that is handed to the renderer, in bytes before and after the finding.
const AROUND: usize = 1000;

/// Most lines of a span that are underlined.
const LINES: u32 = 4;

/// Renders all findings, with a blank line between them.
#[must_use]
pub fn human(diagnostics: &[Diagnostic], colour: bool) -> String {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() }.term_width(WIDTH);
    let mut text = String::new();
    for diagnostic in diagnostics {
        text.push_str(renderer.render(&[group(diagnostic)]).trim_end());
        text.push_str("\n\n");
    }
    text
}

fn group(diagnostic: &Diagnostic) -> Group<'_> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(clean(&diagnostic.message)).id(diagnostic.code.number());
    let mut group = title.elements(places(diagnostic));
    if let Some(help) = &diagnostic.help {
        group = group.element(Level::HELP.message(wrapped(&clean(help))));
    }
    group
}

/// A text in lines of at most [`HELP_WIDTH`] characters. What stands in backticks is not broken, so that
/// it can be copied.
fn wrapped(text: &str) -> String {
    let mut lines = String::new();
    let (mut used, mut quoted) = (0, false);
    for word in text.split_inclusive(' ') {
        let length = word.trim_end().chars().count();
        if used > 0 && !quoted && used + length > HELP_WIDTH {
            lines.truncate(lines.trim_end().len());
            lines.push('\n');
            used = 0;
        }
        lines.push_str(word);
        used += word.chars().count();
        quoted ^= word.matches('`').count() % 2 == 1;
    }
    lines
}

/// A piece of a file to show: consecutive lines, or a part of one.
struct Piece<'a> {
    source: &'a Source,
    bytes: Range<usize>,
    marks: Vec<Mark<'a>>,
}

struct Mark<'a> {
    kind: AnnotationKind,
    span: Span,
    text: &'a str,
}

/// The finding's own place first, then those of its labels, each file under its name.
fn places(diagnostic: &Diagnostic) -> Vec<Element<'_>> {
    let Some(span) = diagnostic.span else {
        return vec![Origin::path(diagnostic.file()).into()];
    };
    let primary = Mark { kind: AnnotationKind::Primary, span, text: "" };
    let mut pieces = vec![Piece::new(&diagnostic.source, primary)];
    for label in &diagnostic.labels {
        let mark = Mark { kind: AnnotationKind::Context, span: label.span, text: &label.text };
        match pieces.iter().position(|piece| piece.takes(&label.source, label.span)) {
            Some(at) => pieces[at].add(mark),
            None => pieces.push(Piece::new(&label.source, mark)),
        }
    }
    pieces.iter().flat_map(Piece::elements).collect()
}

impl<'a> Piece<'a> {
    fn new(source: &'a Source, mut mark: Mark<'a>) -> Self {
        let first = source.position(mark.span.start).line;
        let last = source.position(mark.span.end).line.clamp(first, first + LINES - 1);
        let (head, tail) = (source.line_span(first).range(), source.line_span(last).range());
        let (from, to) = (mark.span.start as usize, mark.span.end as usize);
        let text = source.text();
        let mark_len = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        let start = head.start.max(from.saturating_sub(AROUND)).max(mark_len.min(from));
        let start = floor_char_boundary(text, start);
        let cut_to = to.min(from + AROUND * LINES as usize);
        let end = floor_char_boundary(text, tail.end.min(cut_to + AROUND)).max(start);
        mark.span = Span::new(from.min(end)..floor_char_boundary(text, cut_to.min(end)));
        Self { source, bytes: start..end, marks: vec![mark] }
    }

    /// Whether a place can be shown in this piece, which would then grow to take it in.
    fn takes(&self, source: &Source, span: Span) -> bool {
        let whole = |at: usize| at == 0 || source.text().as_bytes()[at - 1] == b'\n';
        let same = source.path() == self.source.path();
        // Whole lines are joined, and the renderer folds those in between; a part of a line stays alone.
        same && {
            let bytes = self.with(span);
            bytes.len() < AROUND * 10
                && whole(bytes.start)
                && source.text()[bytes].lines().all(|line| line.len() <= AROUND / 2)
        }
    }

    fn add(&mut self, mark: Mark<'a>) {
        self.bytes = self.with(mark.span);
        self.marks.push(mark);
    }

    fn with(&self, span: Span) -> Range<usize> {
        let mark = Mark { kind: AnnotationKind::Context, span, text: "" };
        let other = Self::new(self.source, mark).bytes;
        self.bytes.start.min(other.start)..self.bytes.end.max(other.end)
    }

    fn elements(&self) -> Vec<Element<'a>> {
        let start = self.source.position(Span::new(self.bytes.clone()).start);
        let text = &self.source.text()[self.bytes.clone()];
        let annotations = self.marks.iter().map(|mark| {
            let range = mark.span.range();
            let relative = range.start.saturating_sub(self.bytes.start)
                ..range.end.saturating_sub(self.bytes.start).min(text.len());
            let annotation = mark.kind.span(relative);
            if mark.text.is_empty() { annotation } else { annotation.label(clean(mark.text)) }
        });
        let annotations: Vec<Annotation<'a>> = annotations.collect();
        let snippet =
            Snippet::source(text).line_start(start.line as usize).annotations(annotations);
        if start.column == 1 {
            return vec![snippet.path(self.source.path()).into()];
        }
        // The renderer counts columns from the start of what it is given, which here is a part of a line.
        let at = self.source.position(self.marks[0].span.start);
        let origin =
            Origin::path(self.source.path()).line(at.line as usize).char_column(at.column as usize);
        vec![origin.into(), snippet.into()]
    }
}
