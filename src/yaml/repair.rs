//! Reading on behind a text that lacks its quotes.
//!
//! Owns the second reading: `cron: @daily` ends YAML's understanding of a document, but not ours. Each such
//! text is masked by as many letters, so that every place stays what it was, and the file is read again; the
//! text itself is put back into the tree. So one pass tells this mistake and all the others. Refuses to guess
//! at any other break.

use std::borrow::Cow;
use std::collections::HashSet;

use super::diagnostic::{Diagnostic, MAX_FINDINGS};
use super::node::{Document, Entry, Node, Value};
use super::parse::{Read, read};
use super::source::{Source, Span};

/// Most readings of one file; each masks at least one text per broken document.
const MAX_READINGS: usize = 16;

/// Reads a file again until no unquoted text breaks it, and tells those texts beside what is left.
pub(super) fn reread<'s>(
    source: &'s Source,
    first: Read<'_>,
) -> (Vec<Document<'s>>, Vec<Diagnostic>) {
    let mut found = first.unquoted;
    for reading in 1.. {
        let masks: HashSet<Span> = found.iter().filter_map(|unquoted| unquoted.span).collect();
        let masked = Source::new(source.path(), mask(source.text(), &masks));
        let next = read(&masked);
        let enough = reading == MAX_READINGS || found.len() > MAX_FINDINGS;
        if next.unquoted.is_empty() || enough {
            let rest = next.unquoted.into_iter().chain(next.diagnostics);
            found.extend(rest.map(|diagnostic| moved(diagnostic, source)));
            let restore = Restore { source, masks };
            return (next.documents.into_iter().map(|d| restore.document(d)).collect(), found);
        }
        found.extend(next.unquoted.into_iter().map(|diagnostic| moved(diagnostic, source)));
    }
    unreachable!("the loop returns at the last reading")
}

/// The text with every masked byte replaced by a letter.
fn mask(text: &str, masks: &HashSet<Span>) -> String {
    let mut masked = text.as_bytes().to_vec();
    for mask in masks {
        masked[mask.range()].fill(b'x');
    }
    String::from_utf8(masked).expect("whole texts became letters")
}

/// A finding about the masked text as one about the text itself; the places are the same.
fn moved(mut diagnostic: Diagnostic, source: &Source) -> Diagnostic {
    diagnostic.source = source.clone();
    for label in &mut diagnostic.labels {
        label.source = source.clone();
    }
    diagnostic
}

/// Makes the tree of a masked text one of the text itself.
struct Restore<'s> {
    source: &'s Source,
    masks: HashSet<Span>,
}

impl<'s> Restore<'s> {
    fn document(&self, document: Document<'_>) -> Document<'s> {
        Document { root: self.node(document.root), broken: document.broken }
    }

    fn node(&self, node: Node<'_>) -> Node<'s> {
        let span = node.span;
        let value = match node.value {
            _ if self.masks.contains(&span) => Value::Text(Cow::Borrowed(self.source.slice(span))),
            Value::Null => Value::Null,
            Value::Bool(value) => Value::Bool(value),
            Value::Int(value) => Value::Int(value),
            Value::Float(value) => Value::Float(value),
            Value::Text(text) => Value::Text(Cow::Owned(text.into_owned())),
            Value::List(items) => {
                Value::List(items.into_iter().map(|item| self.node(item)).collect())
            }
            Value::Map(entries) => {
                Value::Map(entries.into_iter().map(|entry| self.entry(entry)).collect())
            }
        };
        Node { value, span }
    }

    fn entry(&self, entry: Entry<'_>) -> Entry<'s> {
        let key = Cow::Owned(entry.key.into_owned());
        Entry { key, key_span: entry.key_span, value: self.node(entry.value) }
    }
}

#[cfg(test)]
mod tests {
    use crate::yaml::{self, Source};

    #[test]
    fn all_of_them_are_told_and_the_tree_is_whole() {
        let text = "a: @daily # x\nb: { c: */5 * * * *, d: {{ x }}-ü }\ne: Note: ü\ne: 1\n---\nf: %x\ng: [\n";
        let source = Source::new("x.yaml", text);
        let (documents, mut found) = yaml::parse(&source);
        yaml::arrange(&mut found);
        let told: Vec<_> = found
            .iter()
            .map(|d| (d.code.number(), d.source.slice(d.span.expect("a place"))))
            .collect();
        assert_eq!(
            told,
            [
                ("J011", "@daily"),
                ("J011", "*/5 * * * *"),
                ("J011", "{{ x }}-ü"),
                ("J011", "Note: ü"),
                ("J013", "e"),
                ("J011", "%x"),
                ("J010", "["),
            ]
        );
        let root = &documents[0].root;
        let text = |key: &str| root.get(key).and_then(|entry| entry.value.text());
        assert_eq!((text("a"), text("e")), (Some("@daily"), Some("Note: ü")));
        let inner = &root.get("b").expect("it is there").value;
        assert_eq!(inner.get("c").and_then(|entry| entry.value.text()), Some("*/5 * * * *"));
        assert_eq!(documents.iter().map(|d| d.broken).collect::<Vec<_>>(), [false, true]);
    }
}
