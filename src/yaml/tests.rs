//! Reading files: what is understood, and what is said of the rest.

use super::*;

/// What is reported about a text, as people see it.
fn report(text: &str) -> String {
    let source = Source::new("x.yaml", text);
    let (_, mut found) = parse(&source);
    arrange(&mut found);
    render::human(&found, false).trim_end().to_owned()
}

/// Findings in one line each: place, code, the underlined text, message and help.
pub(super) fn lines(found: &[Diagnostic]) -> String {
    let line = |d: &Diagnostic| {
        let at = d.region().expect("these have places").start;
        let place = d.source.slice(d.span.expect("these have places"));
        let help = d.help.as_deref().map(|help| format!("\n    {help}")).unwrap_or_default();
        format!("{}:{} {} {place:?} {}{help}", at.line, at.column, d.code, d.message)
    };
    found.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// What is reported about each text.
fn reports(cases: &[&str]) -> String {
    let report = |case: &&str| lines(&parse(&Source::new("x.yaml", *case)).1);
    cases.iter().map(report).collect::<Vec<_>>().join("\n")
}

/// The documents of a text as JSON; a broken one is marked.
fn read(text: &str) -> Vec<String> {
    let source = Source::new("x.yaml", text);
    let (documents, _) = parse(&source);
    let json = |document: &Document<'_>| {
        let mut ignored = Vec::new();
        let json = decode::<serde_json::Value>(&source, &document.root, &mut ignored);
        format!("{}{}", if document.broken { "broken " } else { "" }, json.expect("any value"))
    };
    documents.iter().map(json).collect()
}

#[test]
fn traps_that_people_step_into_first() {
    let cases = [
        "cron: @daily\n",
        "cron: */5 * * * *\n",
        "cron: * * * * *\n",
        "schedule: { cron: */5 * * * *, timezone: UTC }\n",
        "schedule: [ { cron: @hourly } ]\n",
        "every:\n  - */15 2 * * *  # often\n",
        "run: {{ run.id }}\n",
        "run: {{ run.id }}/out --x 'y' # comment\n",
        "run: [ echo, {{ run.id }}, x ]\n",
        "run: [ echo, {{ run.id }}-x ]\n",
        "job:\n\tname: x\n",
        "name: x\n\trun: y\n",
        "env:\n  A: 1\n\tB: 2\n",
        "description: Note: copy it\n",
        "run: \"a\" b\n",
        "run: %x\n",
        "run: `date`\n",
        "run: && true\n",
        "a: *\n",
        "a: *none\n",
    ];
    insta::assert_snapshot!(reports(&cases), @r#"
    1:7 J011 "@daily" this text must be quoted: `@` is reserved in YAML
        quote it: '@daily'
    1:7 J011 "*/5 * * * *" this text must be quoted: `*` begins an alias in YAML
        quote it: '*/5 * * * *'
    1:7 J011 "* * * * *" this text must be quoted: `*` begins an alias in YAML
        quote it: '* * * * *'
    1:19 J011 "*/5 * * * *" this text must be quoted: `*` begins an alias in YAML
        quote it: '*/5 * * * *'
    1:21 J011 "@hourly" this text must be quoted: `@` is reserved in YAML
        quote it: '@hourly'
    2:5 J011 "*/15 2 * * *" this text must be quoted: `*` begins an alias in YAML
        quote it: '*/15 2 * * *'
    1:6 J011 "{{ run.id }}" this text must be quoted: `{` begins a mapping in YAML
        quote it: '{{ run.id }}'
    1:6 J011 "{{ run.id }}/out --x 'y'" this text must be quoted: `{` begins a mapping in YAML
        quote it: '{{ run.id }}/out --x ''y'''
    1:14 J011 "{{ run.id }}" this text must be quoted: `{` begins a mapping in YAML
        quote it: '{{ run.id }}'
    1:14 J011 "{{ run.id }}-x" this text must be quoted: `{` begins a mapping in YAML
        quote it: '{{ run.id }}-x'
    2:1 J012 "\t" a tab is used as indentation
        indent with spaces; YAML allows no tabs there
    2:1 J012 "\t" a tab is used as indentation
        indent with spaces; YAML allows no tabs there
    3:1 J012 "\t" a tab is used as indentation
        indent with spaces; YAML allows no tabs there
    1:14 J011 "Note: copy it" this text must be quoted: `: ` inside of a text begins another value in YAML
        quote it: 'Note: copy it'
    1:6 J011 "\"a\" b" this text must be quoted: text follows the closing quote
        quote it: '"a" b'
    1:6 J011 "%x" this text must be quoted: `%` is reserved in YAML
        quote it: '%x'
    1:6 J011 "`date`" this text must be quoted: a backtick is reserved in YAML
        quote it: '`date`'
    1:6 J011 "&& true" this text must be quoted: `&` begins an anchor in YAML
        quote it: '&& true'
    1:4 J011 "*" this text must be quoted: `*` begins an alias in YAML
        quote it: '*'
    1:4 J015 "*none" `*none` names no anchor
        put `&none` before the value that it repeats, or quote it: '*none'
    "#);
}

#[test]
fn syntax() {
    let cases = [
        "name: x\nrun\n",
        "name: x\n  run: y\n",
        "a: - b\n",
        "a: 'x\nb: y\n",
        "a: [1, 2\nb: 3\n",
        "a: { b: [1, 2 }\n",
        "a: {b: 1}, c\n",
        "a:\n    b: 1\n  c: 2\n",
        "a: \"x\\qy\"\n",
        "- a\n-b\n",
        "a: }\n",
        "a: \"\\ud800\"\n",
        "%YAML 3.0\n---\na: b\n",
        "a: |x\n  y\n",
        "? [a]\n: b\n",
        "a: {:b}\n",
        ": b\n",
        "{ : b, c }\n",
        "a: x\u{7}y\n",
        "a: !env HOME\n",
        "a: !!int x\n",
        "a: !!set { x }\n",
        "a: &b [*b]\n",
        "a: 1\nb: { <<: 5 }\n",
    ];
    insta::assert_snapshot!(reports(&cases), @r#"
    2:1 J010 "run" a `:` is missing after this key
        write it as `key: value`
    2:6 J010 ":" a value must not stand here
        check the indentation: this line is deeper than the keys before it
    1:4 J010 "-" a list item must not stand here
        put each `- item` on its own line, or quote the text if it is none
    1:4 J010 "'x" this quote is never closed
        close it with the same quote
    2:2 J010 ":" expected `,` or a closing bracket before this
        check that each `{` and `[` above is closed
    1:9 J010 "[" this `[` is closed by `}`
        close it with its own bracket, or quote the text if it is none
    1:10 J010 "," expected the next key here
        check the indentation of this line and whether the value before it must be quoted
    3:3 J010 "c:" expected the next key here
        check the indentation of this line and whether the value before it must be quoted
    1:4 J010 "\"x\\qy\"" this text has an unknown escape
        write a backslash twice, or use single quotes
    2:1 J010 "-b" a blank is missing after this `-`
        write it as `- item`
    1:4 J010 "}" this bracket closes nothing
        remove it, or quote the text that it belongs to
    1:4 J010 "\"\\ud800\"" found high surrogate without following low surrogate
    1:1 J010 "%YAML" unsupported YAML major version
    1:4 J010 "|x" did not find expected comment or line break
    1:3 J014 "[a]" a key must be a plain text, not a list or mapping

    1:1 J014 ":" the key is missing here
        write it as `key: value`, or quote the text if it is none
    1:3 J014 ":" the key is missing here
        write it as `key: value`, or quote the text if it is none
    1:5 J004 "\u{7}" the control character 0x07 must not stand in YAML
        remove it, or write it as an escape in a double-quoted text
    1:4 J016 "!env" the tag `!env` is not supported here
        remove the tag; quote a value to make it a text
    1:4 J016 "!!int" the tag `!!int` is not supported here
        remove the tag; quote a value to make it a text
    1:4 J016 "!!set" the tag `!!set` is not supported here
        remove the tag; quote a value to make it a text
    1:8 J015 "*b" `*b` stands inside of what it names
    2:10 J017 "5" `<<` takes a mapping, or a list of mappings
    "#);
}

#[test]
fn every_duplicate_key_is_told() {
    insta::assert_snapshot!(report("a: 1\nb: { c: 1, c: 2 }\na: 2\n'a': 3\n"), @"
    error[J013]: the key `c` is given twice
     --> x.yaml:2:12
      |
    2 | b: { c: 1, c: 2 }
      |      -     ^
      |      |
      |      first given here
      |
      = help: remove one of them

    error[J013]: the key `a` is given twice
     --> x.yaml:3:1
      |
    1 | a: 1
      | - first given here
    2 | b: { c: 1, c: 2 }
    3 | a: 2
      | ^
      |
      = help: remove one of them

    error[J013]: the key `a` is given twice
     --> x.yaml:4:1
      |
    1 | a: 1
      | - first given here
    ...
    4 | 'a': 3
      | ^^^
      |
      = help: remove one of them
    ");
    assert_eq!(read("a: 1\nb: { c: 1, c: 2 }\na: 2\n"), [r#"{"a":1,"b":{"c":1}}"#]);
    let many: Vec<String> = (0..60).map(|i| format!("k{}: {i}\n", i % 50)).collect();
    assert_eq!(report(&many.concat()).matches("J013").count(), 10);
}

#[test]
fn documents_go_on_behind_a_broken_one() {
    let text = "a: 1\n---\nname: x\nb: [\n---\n# nothing\n---\nc: 3\n...\n---\n";
    assert_eq!(read(text), [r#"{"a":1}"#, r#"broken {"b":[],"name":"x"}"#, r#"{"c":3}"#]);
    let reported = report(text);
    assert_eq!(reported.matches("error").count(), 1, "{reported}");
    for empty in ["", "\n", "# only\n", "---\n", "---\n---\n", "~\n", "\u{feff}"] {
        assert_eq!((read(empty), report(empty)), (Vec::new(), String::new()), "{empty:?}");
    }
}

#[test]
fn values() {
    let text = "\u{feff}no: no\noct: 017\nport: '8080'\nlit: |\n  a\n  b\nfold: >-\n  a\n  b\n1: [~, true, 1.5]\n";
    assert_eq!(
        read(text),
        [
            r#"{"1":[null,true,1.5],"fold":"a b","lit":"a\nb\n","no":"no","oct":"017","port":"8080"}"#
        ]
    );
    assert_eq!(report(text), "");
}

#[test]
fn anchors_and_merges() {
    let text = "base: &b { x: 1, y: 2 }\nuse: { <<: *b, y: 3 }\nall: { <<: [*b, { z: 4, x: 9 }] }\n\
                list: &l [1]\nagain: [*l, *l]\n'<<': kept\n";
    assert_eq!(
        read(text),
        [
            r#"{"<<":"kept","again":[[1],[1]],"all":{"x":1,"y":2,"z":4},"base":{"x":1,"y":2},"list":[1],"use":{"x":1,"y":3}}"#
        ]
    );
    assert_eq!(report(text), "");
}

#[test]
fn spans_cover_what_is_written() {
    let text = "a: 'x y'  # c\nb:\n  - é: {z: 1}\n  - w\n\nc: >\n  t\n  u\n";
    let source = Source::new("x", text);
    let (documents, found) = parse(&source);
    assert!(found.is_empty());
    let root = &documents[0].root;
    let entry = |node: &Node<'_>, key: &str| {
        let entry = node.get(key).expect("it is there");
        (source.slice(entry.key_span).to_owned(), source.slice(entry.value.span).to_owned())
    };
    assert_eq!(entry(root, "a"), ("a".into(), "'x y'".into()));
    assert_eq!(entry(root, "b"), ("b".into(), "- é: {z: 1}\n  - w".into()));
    let quoted = &root.get("a").expect("it is there").value;
    assert_eq!(quoted.content(&source).map(|span| source.slice(span)), Some("x y"));
    assert_eq!(source.slice(decode::within(&source, quoted, 2..3)), "y");
    let folded = &root.get("c").expect("it is there").value;
    assert_eq!(folded.content(&source), None);
    let Value::List(items) = &root.get("b").expect("it is there").value.value else { panic!() };
    assert_eq!(entry(&items[0], "é"), ("é".into(), "{z: 1}".into()));
}

#[test]
fn bombs_are_refused_in_little_time() {
    let laugh =
        |i: usize| format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 10].join(", "));
    let laughs: Vec<String> = (1..30).map(laugh).collect();
    assert!(report(&format!("a0: &a0 x\n{}", laughs.concat())).contains("error[J007]"));
    let chain: Vec<String> = (1..200).map(|i| format!("b{i}: &b{i} [*b{}]\n", i - 1)).collect();
    assert!(report(&format!("b0: &b0 x\n{}", chain.concat())).contains("error[J006]"));
    for deep in ["[".repeat(10_000), "{a: ".repeat(10_000), "- ".repeat(10_000)] {
        let reported = report(&deep);
        assert!(reported.contains("error[J006]") && reported.len() < 9000, "{reported}");
    }
    let block: Vec<String> = (0..900).map(|i| format!("{}a:\n", " ".repeat(i))).collect();
    assert!(report(&block.concat()).contains("error[J006]"));
    let fits = format!("{}x{}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH));
    assert_eq!(report(&fits), "");
    let megabyte = format!("a: [{}]", "x, ".repeat(300_000));
    assert_eq!(report(&megabyte), "");
}

#[test]
fn hostile_files_are_told_in_few_words() {
    let many = |piece: &str| piece.repeat(100_000 / piece.len());
    for text in [
        many("a: 1\n"),
        format!("{{{}}}", many("a: 1, ")),
        format!("[{}]", many("&a x, ")),
        format!("[{}]", many("&& x, ")),
        format!("[{}]", many("*a, ")),
        format!("[{}]", many("{{x}}, ")),
        many("---\na: @x\nb: @x\n"),
        many("---\na: [\n"),
        many("a: @x\n"),
        many("? "),
        many("a: "),
        many("a: b\r"),
        format!("? '{}'\n: 1", many("x")),
    ] {
        let reported = report(&text);
        assert!(reported.len() < 700_000, "{} bytes about {}", reported.len(), &text[..20]);
    }
}

#[test]
fn bytes_that_are_no_text() {
    let refused = |bytes: &[u8]| {
        let refused = read_text("x.yaml", bytes.to_vec()).expect_err("it is no text");
        format!("{} {}", refused.code, refused.message)
    };
    assert_eq!(refused(b"a: b\nc: \xff"), "J004 this file is not UTF-8 text: byte 0xff in line 2");
    assert_eq!(refused(b"\xff\xfea\0"), "J004 this file is UTF-16, not UTF-8");
    assert_eq!(
        refused(&vec![b'a'; 1024 * 1024 + 1]),
        "J005 this file has 1048577 bytes; at most 1048576 are read"
    );
    assert!(report("a: b\0c").contains("error[J004]"));
    assert!(read_text("x.yaml", "a: é".into()).is_ok());
}
