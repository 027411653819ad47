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

/// Most findings that are told of one file; more of them help nobody, and a file of a megabyte can make
/// half a million.
pub const MAX_FINDINGS: usize = 1000;

/// Collects what is found in a file: one more than are told, so that [`arrange`] knows of the rest.
#[derive(Debug, Default)]
pub(super) struct Findings {
    list: Vec<Diagnostic>,
    /// Where a finding goes that is one too many.
    spare: Option<Diagnostic>,
}

impl Findings {
    pub(super) fn push(&mut self, diagnostic: Diagnostic) -> &mut Diagnostic {
        if self.is_full() {
            return self.spare.insert(diagnostic);
        }
        self.list.push_mut(diagnostic)
    }

    /// Whether further findings are dropped.
    pub(super) fn is_full(&self) -> bool {
        self.list.len() > MAX_FINDINGS
    }

    pub(super) fn pop_if(&mut self, replaced: impl FnOnce(&mut Diagnostic) -> bool) {
        self.list.pop_if(replaced);
    }

    pub(super) fn as_slice(&self) -> &[Diagnostic] {
        &self.list
    }

    pub(super) fn into_vec(self) -> Vec<Diagnostic> {
        self.list
    }
}

/// Sorts findings by file, place and code, drops those told twice, and says of a file with too many of them
/// that there are more.
pub fn arrange(diagnostics: &mut Vec<Diagnostic>) {
    diagnostics.sort_by(|a, b| order(a).cmp(&order(b)));
    diagnostics.dedup_by(|a, b| order(a) == order(b));
    if diagnostics.len() <= MAX_FINDINGS {
        return;
    }
    let (mut kept, mut of_file): (Vec<Diagnostic>, usize) = (Vec::new(), 0);
    for diagnostic in diagnostics.drain(..) {
        let same = kept.last().is_some_and(|last| last.file() == diagnostic.file());
        of_file = if same { of_file + 1 } else { 1 };
        match of_file {
            ..=MAX_FINDINGS => kept.push(diagnostic),
            _ if of_file == MAX_FINDINGS + 1 => kept.push(too_many(&diagnostic)),
            _ => {}
        }
    }
    *diagnostics = kept;
}

/// Stands for a finding and for all behind it in its file.
fn too_many(first: &Diagnostic) -> Diagnostic {
    let span = first.span.unwrap_or_default();
    let message = format!("more than {MAX_FINDINGS} findings in this file; the rest is left out");
    let mut reported = Diagnostic::new(Code::TooMany, &first.source, span, message);
    reported.help("mend those before this place first, or look whether this is a job file at all");
    reported
}

fn order(diagnostic: &Diagnostic) -> (&str, Option<Span>, Code, &str) {
    (diagnostic.file(), diagnostic.span, diagnostic.code, &diagnostic.message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_of_one_file_are_cut() {
        let (a, b) = (Source::new("a", "x".repeat(5000)), Source::new("b", "x"));
        let at =
            |source, start| Diagnostic::new(Code::BadKey, source, Span { start, end: start }, "m");
        let mut all: Vec<_> = (0..1500).map(|start| at(&a, start)).chain([at(&b, 0)]).collect();
        arrange(&mut all);
        assert_eq!(all.len(), MAX_FINDINGS + 2);
        assert_eq!((all[MAX_FINDINGS].code, all[MAX_FINDINGS].file()), (Code::TooMany, "a"));
        assert_eq!((all[MAX_FINDINGS + 1].code, all[MAX_FINDINGS + 1].file()), (Code::BadKey, "b"));
        let before = all.len();
        arrange(&mut all);
        assert_eq!(all.len(), before, "arranged once more");
    }

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
