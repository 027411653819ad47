//! What is wrong with a file, where, and how to mend it.
//!
//! Owns [`Diagnostic`] as data and the order in which they are told. Refuses to print: that is `render/`.

use super::code::Code;
use super::source::{Position, Source, Span};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The file is refused.
    Error,
    /// The file is taken, and probably does not do what its author meant.
    Warning,
}

impl Severity {
    /// The word shown: `error` or `warning`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One finding.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    /// Which kind of finding.
    pub code: Code,
    /// How bad.
    pub severity: Severity,
    /// What is wrong: lowercase, no trailing period.
    pub message: String,
    /// The file.
    pub source: Source,
    /// Where in it; `None` is the file as a whole.
    pub span: Option<Span>,
    /// Further places that explain it.
    pub labels: Vec<Label>,
    /// The way out.
    pub help: Option<String>,
}

/// A further place of a finding.
#[derive(Clone, Debug)]
pub struct Label {
    /// The file, which may be another one.
    pub source: Source,
    /// Where in it.
    pub span: Span,
    /// What is to be seen there.
    pub text: String,
}

/// The place of a finding as people count it; the end is the position after the last character.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Region {
    /// Where it begins.
    pub start: Position,
    /// Where it has ended.
    pub end: Position,
}

impl Diagnostic {
    /// A finding at a place, as severe as its code says.
    #[must_use]
    pub fn new(code: Code, source: &Source, span: Span, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: code.severity(),
            message: message.into(),
            source: source.clone(),
            span: Some(span),
            labels: Vec::new(),
            help: None,
        }
    }

    /// A finding about a file as a whole, such as one that cannot be read.
    #[must_use]
    pub fn of_file(code: Code, path: impl Into<String>, message: impl Into<String>) -> Self {
        let source = Source::new(path, "");
        Self { span: None, ..Self::new(code, &source, Span::default(), message) }
    }

    /// Says the way out.
    pub fn help(&mut self, help: impl Into<String>) -> &mut Self {
        self.help = Some(help.into());
        self
    }

    /// Points at a further place in the same file.
    pub fn label(&mut self, span: Span, text: impl Into<String>) -> &mut Self {
        let source = self.source.clone();
        self.label_in(&source, span, text)
    }

    /// Points at a further place in any file.
    pub fn label_in(&mut self, source: &Source, span: Span, text: impl Into<String>) -> &mut Self {
        self.labels.push(Label { source: source.clone(), span, text: text.into() });
        self
    }

    /// The path of the file, as shown.
    #[must_use]
    pub fn file(&self) -> &str {
        self.source.path()
    }

    /// Where it is; `None` is the file as a whole.
    #[must_use]
    pub fn region(&self) -> Option<Region> {
        let span = self.span?;
        let start = self.source.position(span.start);
        Some(Region { start, end: self.source.position(span.end).max(start) })
    }

    /// Whether the file is refused because of it.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// Sorts findings by file, place and code, and drops those told twice.
pub fn arrange(diagnostics: &mut Vec<Diagnostic>) {
    diagnostics.sort_by(|a, b| order(a).cmp(&order(b)));
    diagnostics.dedup_by(|a, b| order(a) == order(b));
}

fn order(diagnostic: &Diagnostic) -> (&str, Option<Span>, Code, &str) {
    (diagnostic.file(), diagnostic.span, diagnostic.code, &diagnostic.message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arranged_by_file_and_place_without_repeats() {
        let (a, b) = (Source::new("a", "x: y"), Source::new("b", "x: y"));
        let at = |source, start| {
            Diagnostic::new(Code::UnknownKey, source, Span { start, end: start + 1 }, "m")
        };
        let whole = Diagnostic::of_file(Code::Unreadable, "a", "m");
        let mut all = vec![at(&b, 0), at(&a, 3), at(&a, 0), at(&b, 0), whole];
        arrange(&mut all);
        let places: Vec<_> = all.iter().map(|d| (d.file(), d.span.map(|s| s.start))).collect();
        assert_eq!(places, [("a", None), ("a", Some(0)), ("a", Some(3)), ("b", Some(0))]);
    }
}
