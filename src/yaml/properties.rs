//! What holds for every text, however broken: reading, decoding and rendering never panic, every place lies
//! in the file and between characters, and JSON, which is YAML too, reads back as it was.

use proptest::prelude::*;
use regex::Regex;
use serde_json::Value as Json;

use super::decode::quantity::{DurationText, ShareText, SizeText};
use super::decode::values::{Entries, OneOrMany, ScalarText};
use super::*;

section! {
    /// One of everything.
    struct Everything {
        /// A text.
        pub name: Located<String>,
        /// A number.
        pub count: u8 = 1,
        /// Quantities.
        pub every: Option<OneOrMany<DurationText>>,
        /// Quantities.
        pub size: Option<SizeText>,
        /// Quantities.
        pub share: Option<ShareText>,
        /// Scalars.
        pub env: Entries<ScalarText> = Entries::default(),
        /// Itself.
        pub inner: Option<Box<Everything>>,

        one of
        /// Either.
        pub kind: Option<Kind>,
    }
}

one_of! {
    /// Either.
    enum Kind as "kind" {
        /// Any value.
        any => Any(Json),
        /// Words.
        words => Words(Vec<Word>),
    }
}

words! {
    /// Words.
    enum Word {
        /// One.
        One = "one",
        /// Two.
        Two = "two",
    }
}

const VALID: &str = "\
# a comment
name: 'it''s'
count: 7
every: [1h30m, 5m]
size: 64MiB
share: 30%
env: &env { A: 017, B: \"é\\n\", <<: { C: yes } }
inner:
  name: >-
    folded
    text
  env: *env
  any: [~, { deep: [1.5, {{ x }}] }]
---
name: zweites
words:
  - one
  - two
";

/// Reads, decodes and renders a text, and checks every place that is named on the way.
fn survive(bytes: &[u8]) {
    let Ok(source) = read_text("x.yaml", bytes.to_vec()) else { return };
    let (documents, mut found) = parse(&source);
    for document in &documents {
        check_spans(&source, &document.root);
        let decoded = decode::<Everything>(&source, &document.root, &mut found);
        if let Some(Everything { kind: Some(Kind::Words(words)), .. }) = decoded {
            assert!(words.iter().all(|word| Word::WORDS.contains(&word.word())));
        }
    }
    for diagnostic in &found {
        check_span(&source, diagnostic.span.expect("all of these have places"));
        for label in &diagnostic.labels {
            check_span(&source, label.span);
        }
        assert!(!diagnostic.message.is_empty());
    }
    arrange(&mut found);
    let _ = (render::human(&found, true), render::github(&found), render::findings(&found));
    let _ = render::sarif(&found);
}

fn check_span(source: &Source, span: Span) {
    assert!(source.text().get(span.range()).is_some(), "{span:?} in {:?}", source.text());
}

fn check_spans(source: &Source, node: &Node<'_>) {
    check_span(source, node.span);
    if let Some(content) = node.content(source) {
        check_span(source, content);
    }
    if let Value::List(items) = &node.value {
        for item in items {
            check_spans(source, item);
        }
    }
    for entry in node.entries() {
        check_span(source, entry.key_span);
        check_spans(source, &entry.value);
    }
}

/// An edit of a text: at a place, remove some bytes and put a piece in.
fn edit() -> impl Strategy<Value = (prop::sample::Index, usize, &'static str)> {
    const PIECES: [&str; 34] = [
        "",
        " ",
        "\n",
        "\t",
        ":",
        ": ",
        "- ",
        "---\n",
        "...\n",
        "{",
        "}",
        "[",
        "]",
        "{{",
        "}}",
        "'",
        "\"",
        "&a ",
        "*a",
        "*/5 * * * *",
        "@daily",
        "!x ",
        "<<: ",
        "|\n",
        ">",
        "%",
        "#",
        " #",
        ",",
        "é",
        "\u{feff}",
        "\r\n",
        "? ",
        "\u{85}",
    ];
    (any::<prop::sample::Index>(), 0..9_usize, prop::sample::select(&PIECES[..]))
}

fn edited(text: &str, edits: Vec<(prop::sample::Index, usize, &str)>) -> String {
    let mut text = text.to_owned();
    for (at, removed, piece) in edits {
        let start = source::floor_char_boundary(&text, at.index(text.len() + 1));
        let end = source::floor_char_boundary(&text, start + removed).max(start);
        text.replace_range(start..end, piece);
    }
    text
}

/// Values of every sort, of which both readers must make the same.
const VALUES: &str = "\
text: [no, 'it''s', \"a\\tb\", 017, 1_000, 12:30, 2026-01-01]
number: [0, -1, 0x1f, 0o17, 1.5, 1e3]
other: [true, False, ~, null, ]
base: &base { a: 1, b: { c: d } }
merged: { <<: *base, a: 2 }
list:
  - &x one
  - *x
folded: >-
  a
  b

  c
literal: |
  a
   b
tagged: !!str 5
";

/// Where nothing is found wrong, the value must be the one that serde-saphyr reads by its strict rules.
fn agree_with_the_oracle(text: &str) {
    // `01.5` is a text to us, as `017` is to both; serde-saphyr's option stops at whole numbers.
    let leading_zero = Regex::new(r"(^|[^\w.])[-+]?0[0-9]+(\.|[eE])").expect("a pattern");
    // `-0x1f` is a text by YAML 1.2, whose hexadecimal and octal numbers have no sign; a number to serde-saphyr.
    let signed = Regex::new(r"[-+]0[xo][0-9a-fA-F]").expect("a pattern");
    if leading_zero.is_match(text) || signed.is_match(text) {
        return;
    }
    let source = Source::new("x.yaml", text);
    let (documents, mut found) = parse(&source);
    let [document] = documents.as_slice() else { return };
    let ours: Option<Json> = decode(&source, &document.root, &mut found);
    let options = serde_saphyr::options! {
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        reject_unsupported_tags: true,
        merge_keys: serde_saphyr::options::MergeKeyPolicy::Merge,
        with_snippet: false,
    };
    let theirs: Result<Vec<Json>, _> = serde_saphyr::from_multiple_with_options(text, options);
    match (found.is_empty(), theirs) {
        (true, Ok(theirs)) => assert_eq!(ours.as_ref(), theirs.first(), "{text}"),
        // A key may look like nothing, a number or a truth value; it is a text to us.
        (true, Err(error)) if error.to_string().contains("into string") => {}
        (true, Err(error)) => panic!("only serde-saphyr refuses: {error}\n{text}"),
        // We refuse more: keys that are no texts, the rest of a merge, numbers that are not finite.
        (false, _) => {}
    }
}

fn json() -> impl Strategy<Value = Json> {
    let text = "[ -~éß\u{4e00}\u{1f600}\n\t]{0,12}";
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        (-1e9..1e9).prop_map(Json::from),
        text.prop_map(Json::from),
    ];
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Json::from),
            prop::collection::hash_map(text, inner, 0..6).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        survive(&bytes);
    }

    #[test]
    fn any_text(text in "[ \n:{}\\[\\],'\"&*!|>%@`#?a-c0-9é\t-]{0,80}") {
        survive(text.as_bytes());
    }

    #[test]
    fn edited_yaml(edits in prop::collection::vec(edit(), 1..6)) {
        survive(edited(VALID, edits).as_bytes());
    }

    #[test]
    fn as_serde_saphyr_reads_it(edits in prop::collection::vec(edit(), 0..4)) {
        agree_with_the_oracle(&edited(VALUES, edits));
    }

    #[test]
    fn json_reads_back(value in json(), pretty in any::<bool>()) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
        let source = Source::new("x.yaml", text.expect("JSON"));
        let (documents, found) = parse(&source);
        prop_assert!(found.is_empty(), "{found:?}\n{}", source.text());
        let back = documents.first().map(|document| {
            decode::<Json>(&source, &document.root, &mut Vec::new()).expect("any value")
        });
        prop_assert_eq!(back.unwrap_or(Json::Null), value);
    }
}

#[test]
fn the_unedited_yaml_is_good_but_for_its_template() {
    let source = Source::new("x.yaml", VALID);
    let (documents, mut found) = parse(&source);
    for document in &documents {
        decode::<Everything>(&source, &document.root, &mut found).expect("it is good");
    }
    let codes: Vec<_> = found.iter().map(|found| found.code).collect();
    assert_eq!((documents.len(), codes), (2, vec![Code::Unquoted]));
}
