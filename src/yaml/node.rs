//! The located tree that a YAML document becomes.
//!
//! Owns [`Node`] and [`Document`]: values with the bytes they were written in. Texts borrow from the source
//! wherever the text is written as it reads. Refuses to know what the values mean.

use std::borrow::Cow;

use super::source::{Source, Span};

/// One document of a file.
#[derive(Clone, Debug)]
pub struct Document<'s> {
    /// Its value; of a broken document, what stood before the break.
    pub root: Node<'s>,
    /// Whether its text could not be read to the end. The finding has been reported; decoding what there is
    /// would only report keys as missing that stand behind the break.
    pub broken: bool,
}

/// A value and where it stands. What an alias or a merge brings in stands where it was defined.
#[derive(Clone, Debug)]
pub struct Node<'s> {
    /// The value.
    pub value: Value<'s>,
    /// From its first to behind its last byte.
    pub span: Span,
}

/// A value, typed by the rules of YAML 1.2's core schema.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'s> {
    /// Nothing: an empty value, `null` or `~`.
    Null,
    /// `true` or `false`; `yes`, `no`, `on` and `off` are texts.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number, and whole ones beyond 64 bits.
    Float(f64),
    /// A text. Numbers with a leading zero are texts too, so that `017` is never taken for 15 or 17.
    Text(Cow<'s, str>),
    /// A list.
    List(Vec<Node<'s>>),
    /// A mapping, in the order of the file; no key is there twice.
    Map(Vec<Entry<'s>>),
}

/// A key of a mapping and its value.
#[derive(Clone, Debug)]
pub struct Entry<'s> {
    /// The key as written, quotes removed.
    pub key: Cow<'s, str>,
    /// Where the key stands, quotes included.
    pub key_span: Span,
    /// The value.
    pub value: Node<'s>,
}

impl PartialEq for Node<'_> {
    /// Values are compared, places are not.
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl PartialEq for Entry<'_> {
    /// Keys and values are compared, places are not.
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key && self.value == other.value
    }
}

impl<'s> Node<'s> {
    /// The entry of a key, where this is a mapping that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Entry<'s>> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// The entries, where this is a mapping; otherwise none.
    #[must_use]
    pub fn entries(&self) -> &[Entry<'s>] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The text, where this is one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// What it is, for messages: `the text "x"`, `the number 5`, `a list`.
    #[must_use]
    pub fn described(&self, source: &Source) -> String {
        match &self.value {
            Value::Null => "nothing".to_owned(),
            Value::Bool(value) => format!("the truth value {value}"),
            Value::Int(_) | Value::Float(_) => format!("the number {}", source.slice(self.span)),
            Value::Text(text) => format!("the text {:?}", shortened(text)),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a mapping".to_owned(),
        }
    }

    /// Where the text of a scalar stands, quotes left out, if it is written exactly as it reads. Only then
    /// a part of the text has a place of its own.
    #[must_use]
    pub fn content(&self, source: &Source) -> Option<Span> {
        let raw = source.slice(self.span);
        let text = match &self.value {
            Value::Text(text) => text.as_ref(),
            Value::List(_) | Value::Map(_) => return None,
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) => raw,
        };
        let skipped = if raw == text {
            0
        } else {
            let inner = raw.get(1..raw.len().checked_sub(1)?)?;
            if inner != text || !raw.starts_with(['"', '\'']) {
                return None;
            }
            1
        };
        let start = self.span.start as usize + skipped;
        Some(Span::new(start..start + text.len()))
    }

    /// The part of the node to underline where all of it would be too much: a mapping's first key, and the
    /// first line of anything else.
    #[must_use]
    pub fn head(&self, source: &Source) -> Span {
        let text = source.slice(self.span);
        match &self.value {
            Value::Map(entries) if !text.starts_with('{') => {
                entries.first().map_or(self.span, |entry| entry.key_span)
            }
            _ => {
                let line = text.lines().next().unwrap_or_default().trim_end().len();
                Span::new(self.span.start as usize..self.span.start as usize + line)
            }
        }
    }
}

/// A text for messages: at most 40 characters of it.
#[must_use]
pub fn shortened(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(40) {
        None => Cow::Borrowed(text),
        Some((cut, _)) => Cow::Owned(format!("{}…", &text[..cut])),
    }
}
