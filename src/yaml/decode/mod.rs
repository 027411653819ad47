//! From located values to Rust types, every mistake in one pass.
//!
//! Owns [`Decode`], the [`Decoder`] that collects findings, and [`Located`]. Sections are declared with
//! `section!`, enums with `words!` and `one_of!`; each yields the type, its decoding and its JSON Schema from
//! one text, so the three cannot disagree. Refuses to stop at the first mistake, and to know jobs.

pub mod choice;
pub mod numbers;
pub mod quantity;
pub mod section;
pub mod values;
pub mod zone;

use std::ops::{Deref, Range};

use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::code::Code;
use super::diagnostic::{Diagnostic, Findings};
use super::node::{Node, Value};
use super::source::{Source, Span};

/// A type that is read from YAML.
pub trait Decode: Sized {
    /// What it is, for messages: `a text`, `a list`.
    const EXPECTS: &'static str;

    /// Reads it. `None` means that something was wrong and has been reported.
    fn decode(node: &Node<'_>, cx: &mut Decoder) -> Option<Self>;

    /// Its value where the key is not given; `None` makes the key required.
    fn absent() -> Option<Self> {
        None
    }

    /// The keys that it takes, if it is a section. Unknown keys are looked for here, one level down.
    fn keys() -> Vec<&'static str> {
        Vec::new()
    }
}

/// Reads a whole document; what is wrong is added to `diagnostics`.
pub fn decode<T: Decode>(
    source: &Source,
    node: &Node<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<T> {
    let mut cx = Decoder::new(source);
    let decoded = T::decode(node, &mut cx);
    diagnostics.append(&mut cx.finish());
    decoded
}

/// Collects what is wrong while values are decoded.
#[derive(Debug)]
pub struct Decoder {
    source: Source,
    findings: Findings,
    /// The key whose value is being decoded.
    owner: Option<Span>,
    /// The keys under which errors were found, innermost first.
    refused: Vec<Span>,
    /// The keys of the sections around, outermost first.
    scopes: Vec<fn() -> Vec<&'static str>>,
}

impl Decoder {
    /// A decoder for values of this file.
    #[must_use]
    pub fn new(source: &Source) -> Self {
        Self {
            source: source.clone(),
            findings: Findings::default(),
            owner: None,
            refused: Vec::new(),
            scopes: Vec::new(),
        }
    }

    /// What was reported.
    #[must_use]
    pub fn finish(self) -> Vec<Diagnostic> {
        self.findings.into_vec()
    }

    /// The file.
    #[must_use]
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Whether a finding that refuses the file has been reported.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.errors() > 0
    }

    fn errors(&self) -> usize {
        self.findings.as_slice().iter().filter(|found| found.is_error()).count()
    }

    /// Whether a key of this name is there and its value was refused: then nobody is to be told that it is
    /// missing.
    #[must_use]
    pub fn is_refused(&self, key: &str) -> bool {
        self.refused.iter().any(|at| self.source.slice(*at) == key)
    }

    /// Reports a finding; `.help(…)` and `.label(…)` can be added to what is returned.
    pub fn report(&mut self, code: Code, at: Span, message: impl Into<String>) -> &mut Diagnostic {
        self.findings.push(Diagnostic::new(code, &self.source, at, message))
    }

    /// Reports that a value is of the wrong type.
    pub fn wrong_type(&mut self, node: &Node<'_>, expected: &str) -> &mut Diagnostic {
        let at = node.head(&self.source);
        if node.value == Value::Null {
            let at = self.owner.unwrap_or(at);
            let help = "give it a value, or remove the key";
            let what = self.owner_name().unwrap_or_else(|| "this".to_owned());
            let message = format!("{what} has no value; expected {expected}");
            return self.report(Code::EmptyValue, at, message).help(help);
        }
        let message = format!("expected {expected}, found {}", node.described(&self.source));
        self.report(Code::WrongType, at, message)
    }

    /// The bytes of a part of a text, given in bytes of the value. Where the text is not written as it reads
    /// (escapes, several lines), all of the node.
    #[must_use]
    pub fn within(&self, node: &Node<'_>, part: Range<usize>) -> Span {
        within(&self.source, node, part)
    }

    /// A scalar as it is written in the file, quotes removed: `0755` and `1.10` keep their digits.
    #[must_use]
    pub fn written(&self, node: &Node<'_>) -> Option<String> {
        match &node.value {
            Value::Text(text) => Some(text.to_string()),
            Value::Bool(_) | Value::Int(_) | Value::Float(_) => {
                Some(self.source.slice(node.span).to_owned())
            }
            Value::Null | Value::List(_) | Value::Map(_) => None,
        }
    }

    /// The words for something that is missing in what is being decoded.
    fn lacks(&self, what: &str) -> String {
        match self.owner_name() {
            Some(owner) => format!("{owner} lacks {what}"),
            None => format!("{what} is missing"),
        }
    }

    /// The key whose value is being decoded, in backticks.
    fn owner_name(&self) -> Option<String> {
        self.owner.map(|at| format!("`{}`", self.source.slice(at)))
    }

    /// Decodes a value under its key, so that what is missing in it is told at the key.
    fn under<T>(&mut self, key: Option<Span>, decode: impl FnOnce(&mut Self) -> T) -> T {
        let outer = std::mem::replace(&mut self.owner, key);
        let errors = self.errors();
        let decoded = decode(self);
        self.owner = outer;
        if let Some(key) = key.filter(|_| self.errors() > errors) {
            self.refused.push(key);
        }
        decoded
    }
}

/// The bytes of a part of a text; see [`Decoder::within`].
#[must_use]
pub fn within(source: &Source, node: &Node<'_>, part: Range<usize>) -> Span {
    let Some(content) = node.content(source) else { return node.head(source) };
    let (start, end) = (content.start as usize + part.start, content.start as usize + part.end);
    let fits = end <= content.end as usize && source.text().get(start..end).is_some();
    if fits { Span::new(start..end) } else { content }
}

/// A value and where it stands, for checks that come after decoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Where it stands; of a text in quotes, the text alone.
    pub span: Span,
}

impl<T> Located<T> {
    /// The same place with another value.
    pub fn map<U>(self, into: impl FnOnce(T) -> U) -> Located<U> {
        Located { value: into(self.value), span: self.span }
    }
}

impl<T> Deref for Located<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: Decode> Decode for Located<T> {
    const EXPECTS: &'static str = T::EXPECTS;

    fn decode(node: &Node<'_>, cx: &mut Decoder) -> Option<Self> {
        let span = node.content(cx.source()).unwrap_or_else(|| node.head(cx.source()));
        Some(Self { value: T::decode(node, cx)?, span })
    }

    fn keys() -> Vec<&'static str> {
        T::keys()
    }
}

impl<T: JsonSchema> JsonSchema for Located<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> std::borrow::Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// The known word nearest to one that is not known.
#[must_use]
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Nobody misspells a word by that much, and comparing costs the product of the lengths.
    const LONGEST: usize = 64;
    if word.len() > LONGEST {
        return None;
    }
    let plain = |text: &str| text.to_lowercase().replace(['-', '_', ' '], "");
    let word = plain(word);
    let scored = known.into_iter().map(|candidate| {
        let other = plain(candidate);
        let score = strsim::damerau_levenshtein(&word, &other);
        // A third of the letters may be wrong; of a short word, one.
        (score, score <= (other.len().max(word.len()) / 3).max(1), candidate)
    });
    scored.filter(|(_, near, _)| *near).min_by_key(|(score, ..)| *score).map(|(.., word)| word)
}

#[cfg(test)]
mod tests;
