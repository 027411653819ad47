//! The normal form of a definition, as a hash.
//!
//! Owns what counts as the same definition: keys in any order, any quotes, any layout, with or without
//! comments and anchors. Refuses to know which keys there are.

use super::hash::Hash;
use crate::yaml::{Node, Value};

/// The hash of a value in normal form.
pub(super) fn hash(node: &Node<'_>) -> u64 {
    let mut hash = Hash::new();
    add(&mut hash, node);
    hash.finish()
}

fn add(hash: &mut Hash, node: &Node<'_>) {
    match &node.value {
        Value::Null => hash.text("null"),
        Value::Bool(value) => hash.text(if *value { "true" } else { "false" }),
        Value::Int(number) => {
            hash.text("int");
            hash.number(number.cast_unsigned());
        }
        Value::Float(number) => {
            hash.text("float");
            hash.number(number.to_bits());
        }
        Value::Text(text) => {
            hash.text("text");
            hash.text(text);
        }
        Value::List(items) => {
            hash.text("list");
            hash.number(items.len() as u64);
            for item in items {
                add(hash, item);
            }
        }
        Value::Map(entries) => {
            hash.text("map");
            hash.number(entries.len() as u64);
            let mut sorted: Vec<_> = entries.iter().collect();
            sorted.sort_by(|a, b| a.key.cmp(&b.key));
            for entry in sorted {
                hash.text(&entry.key);
                add(hash, &entry.value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::{Source, parse};

    fn of(text: &str) -> u64 {
        let source = Source::new("test.yaml", text);
        let (documents, diagnostics) = parse(&source);
        assert!(diagnostics.is_empty(), "{diagnostics:?}");
        hash(&documents[0].root)
    }

    #[test]
    fn layout_order_and_comments_do_not_count() {
        let base = of("a: x\nb: { c: 1, d: [2, y] }\n");
        let same = [
            "# why\nb:\n    d:\n    - 2\n    - \"y\"\n    c: 1   # one\na: 'x'\n",
            "a: &x x\nb: {d: [2, y], c: 1}",
        ];
        for text in same {
            assert_eq!(of(text), base, "{text}");
        }
    }

    #[test]
    fn values_types_and_list_order_do() {
        let base = of("a: [1, x]");
        for text in [
            "a: [x, 1]",
            "a: [\"1\", x]",
            "a: [1, x, null]",
            "b: [1, x]",
            "a: [1.0, x]",
            "a: {1: x}",
        ] {
            assert_ne!(of(text), base, "{text}");
        }
        assert_ne!(of("a: {b: 1}\nc: 2"), of("a: {b: 1, c: 2}"));
    }

    #[test]
    fn stays_the_same_for_ever() {
        // Kept in stores: a change here moves every schedule's cursor at the next start.
        assert_eq!(of("name: x\nschedule: \"15 2 * * *\"\n"), 15_869_344_752_677_686_967);
    }
}
