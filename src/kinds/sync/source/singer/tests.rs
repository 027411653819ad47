//! What taps say, and what becomes of it.

mod real;

use serde_json::{Value as Json, json};

use crate::kinds::sync::source::{Read, Start};
use crate::kinds::sync::testing::{Bench, spec};

const SCHEMA: &str = r#"{"type":"SCHEMA","stream":"a","key_properties":["id"],"schema":{"properties":{"id":{"type":"integer"},"name":{"type":["null","string"]}}}}"#;
const RECORD: &str = r#"{"type":"RECORD","stream":"a","record":{"id":1,"name":"x"}}"#;
const STATE: &str = r#"{"type":"STATE","value":{"at":1}}"#;

/// A tap that prints these lines; `more` is what it does then.
fn tap(lines: &[&str], more: &str) -> String {
    let printed = lines.join("\n");
    format!(
        "case \"$*\" in *--discover*) echo 'tap: error: unrecognized arguments: --discover' >&2; exit 2;; \
         esac\ncat <<'END'\n{printed}\nEND\n{more}\n"
    )
}

fn job(more: &str) -> String {
    format!(
        "source: {{ singer: {{ run: [/bin/sh, tap.sh], stream: a{more} }} }}\n\
         destination: {{ csv: {{ path: out.csv }} }}\nmode: append\n"
    )
}

struct Seen {
    rows: Vec<String>,
    left: Option<Json>,
    said: String,
}

fn read(bench: &Bench, script: &str, text: &str, start: &Start) -> Result<Seen, String> {
    std::fs::write(bench.path("tap.sh"), script).unwrap();
    let (attempt, spec) = (bench.attempt(text), spec(text));
    let mut left = None;
    let mut take = || {
        Bench::take(text, &attempt, |intake| {
            let read = spec.source.read(&attempt.tools, start, intake)?;
            let Read::All { left: found } = read else { panic!("a tap has no probe") };
            left = found;
            Ok(())
        })
    };
    let rows = bench.ticking(&mut take);
    let said = bench.said(&attempt);
    rows.map(|rows| Seen { rows, left, said })
        .map_err(|trouble| format!("{}: {}", trouble.ending.word(), trouble.message))
}

fn told(lines: &[&str], more: &str) -> Result<Seen, String> {
    read(&Bench::new(), &tap(lines, more), &job(""), &Start::default())
}

#[test]
fn a_stream_that_ends_well_gives_its_rows_and_its_last_state() {
    let old = r#"{"type":"STATE","value":{"at":0}}"#;
    let seen = told(&[old, SCHEMA, RECORD, STATE, SCHEMA, &RECORD.replace('1', "2")], "").unwrap();
    assert_eq!(seen.rows, ["id=1 name=x", "id=2 name=x"]);
    assert_eq!(seen.left, Some(json!({ "at": 1 })));
    let small = SCHEMA.replace("SCHEMA", "schema");
    assert_eq!(told(&[&small, &RECORD.replace("RECORD", "Record")], "").unwrap().rows.len(), 1);
    assert_eq!(told(&[SCHEMA], "").unwrap().rows.len(), 0);
    let bare = r#"{"type":"RECORD","stream":"a","record":{"id":1}}"#;
    assert_eq!(told(&[SCHEMA, bare], "").unwrap().rows, ["id=1 name=null"], "nobody sends nulls");
}

#[test]
fn damage_commits_nothing_and_says_what_it_is() {
    let other =
        r#"{"type":"SCHEMA","stream":"b","key_properties":[],"schema":{"properties":{"x":{}}}}"#;
    let changed = SCHEMA.replace("\"integer\"", "\"string\"");
    let cases: [(&[&str], &str, &str); 13] = [
        (&[SCHEMA, RECORD], "printf '{\"type\":\"REC'", "failed:truncated: the tap, line 3"),
        (
            &[SCHEMA, RECORD],
            "printf '{\"type\":\"REC'; exit 9",
            "failed:source: the tap ended with exit code 9",
        ),
        (&[RECORD, SCHEMA], "", "failed:source: the tap, line 1: a RECORD before its SCHEMA"),
        (
            &[SCHEMA, r#"{"type":"RECORD","stream":"a","record":{"name":"x"}}"#],
            "",
            "failed:mapping: line 2",
        ),
        (
            &[SCHEMA, r#"{"type":"RECORD","stream":"a","record":{"id":null}}"#],
            "",
            "failed:mapping: line 2",
        ),
        (
            &[SCHEMA, r#"{"type":"RECORD","stream":"a","record":{"id":NaN}}"#],
            "",
            "failed:source: the tap, line 2: `NaN` at column",
        ),
        (
            &[SCHEMA, r#"{"type":"RECORD","stream":"a","record":{"id":-Infinity}}"#],
            "",
            "failed:source: the tap, line 2: `Infinity` at column",
        ),
        (
            &[SCHEMA, RECORD, STATE],
            "echo quota >&2; exit 1",
            "failed:source: the tap ended with exit code 1: quota",
        ),
        (&[SCHEMA, RECORD], "kill -TERM $$", "failed:source: the tap ended with signal 15"),
        (&[], "", "failed:schema: the tap has no stream `a`; it has none at all"),
        (&[other], "", "failed:schema: the tap has no stream `a`; it has b"),
        (
            &[SCHEMA, RECORD, &changed],
            "",
            "failed:schema: the tap changed its schema under way, in `id`",
        ),
        (
            &[SCHEMA, r#"{"type":"BATCH","stream":"a","manifest":["f"]}"#],
            "",
            "failed:source: the tap, line 2: the tap puts rows into files (BATCH)",
        ),
    ];
    for (lines, more, expected) in cases {
        match told(lines, more) {
            Ok(seen) => panic!("{lines:?} {more}: {:?} rows", seen.rows),
            Err(trouble) => assert!(trouble.starts_with(expected), "{trouble}"),
        }
    }
}

#[test]
fn what_is_left_out_is_counted_and_said() {
    let lines = [
        SCHEMA,
        r#"{"type":"METRIC","x":1}"#,
        r#"{"type":"METRIC","x":2}"#,
        r#"{"type":"RECORD","stream":"b","record":{}}"#,
        r#"{"type":"ACTIVATE_VERSION","stream":"a","version":7}"#,
        RECORD,
    ];
    let seen = told(&lines, "").unwrap();
    assert_eq!(seen.rows.len(), 1);
    for words in [
        "2 messages of the type `METRIC` were left out",
        "1 records of the stream `b` were left out",
        "1 ACTIVATE_VERSION messages were left out",
        "the tap offers no catalog",
    ] {
        assert!(seen.said.contains(words), "{}", seen.said);
    }
}

#[test]
fn a_state_is_handed_on_and_kept_where_the_tap_gives_none() {
    let bench = Bench::new();
    let script = tap(&[SCHEMA], "case \"$*\" in *--state*) cat \"$4\";; esac >&2");
    let left = Some(json!({ "at": 7 }));
    let start = Start { left: left.clone(), goes_on: true, ..Start::default() };
    let seen = read(&bench, &script, &job(""), &start).unwrap();
    assert_eq!(seen.left, left);
    assert!(seen.said.contains(r#"{"at":7}"#), "{}", seen.said);
    // A mirror must see everything.
    let seen = read(&bench, &script, &job(""), &Start { goes_on: false, ..start }).unwrap();
    assert!(!seen.said.contains("{\"at\""), "{}", seen.said);
}

#[test]
fn a_catalog_is_asked_for_and_only_the_wanted_stream_selected() {
    let catalog = r#"{"streams":[{"tap_stream_id":"b","stream":"b","schema":{},"metadata":[]},{"tap_stream_id":"db-a","stream":"a","schema":{},"metadata":[]}]}"#;
    let script = |catalog: &str| {
        format!(
            "case \"$*\" in *--discover*) echo '{catalog}'; exit 0;; esac\n\
             test \"$3\" = --catalog && cat \"$4\" >&2\ncat <<'END'\n{SCHEMA}\n{RECORD}\nEND\n"
        )
    };
    let (bench, start) = (Bench::new(), Start::default());
    let seen = read(&bench, &script(catalog), &job(""), &start).unwrap();
    assert_eq!(seen.rows.len(), 1);
    assert!(seen.said.contains(r#""stream":"b","tap_stream_id":"b""#), "{}", seen.said);
    assert_eq!(seen.said.matches(r#""selected":true"#).count(), 3, "{}", seen.said);
    let without = catalog.replace("\"a\"", "\"c\"");
    let trouble = read(&bench, &script(&without), &job(""), &start).err().unwrap();
    assert_eq!(trouble, "failed:schema: the tap has no stream `a`; it has b, db-a");
    let broken = "case \"$*\" in *--discover*) echo denied >&2; exit 1;; esac\n";
    let trouble = read(&bench, broken, &job(""), &start).err().unwrap();
    assert_eq!(trouble, "failed:source: the tap's discovery ended with exit code 1: denied");
}

#[test]
fn a_configuration_is_private_and_what_is_written_back_is_kept_even_by_a_failure() {
    let bench = Bench::new();
    let text = job(", config: { token: r1, user: \"{{job.name}}\" }, config_writeback: [token]");
    let config = "echo \"$(stat -c %a \"$2\") $(cat \"$2\")\" >&2";
    let rotates = "echo '{\"token\":\"r2\",\"user\":\"x\"}' > \"$2\"; exit 1";
    let start = Start::default();
    let script = tap(&[SCHEMA], &format!("{config}; {rotates}"));
    let trouble = read(&bench, &script, &text, &start).err().unwrap();
    assert_eq!(
        trouble,
        "failed:source: the tap ended with exit code 1: 600 {\"token\":\"r1\",\"user\":\"port-sheet\"}"
    );
    let seen = read(&bench, &tap(&[SCHEMA], config), &text, &start).unwrap();
    assert!(seen.said.contains(r#"600 {"token":"r2","user":"port-sheet"}"#), "{}", seen.said);
    // The job says something new: that counts.
    let seen = read(&bench, &tap(&[SCHEMA], config), &text.replace("r1", "r9"), &start).unwrap();
    assert!(seen.said.contains(r#""token":"r9""#), "{}", seen.said);
    let left: Vec<_> = crate::kinds::grant::base(bench.dir.path())
        .read_dir()
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    assert_eq!(left, Vec::<std::path::PathBuf>::new(), "nothing stays behind an attempt");
}

#[test]
fn a_column_that_the_tap_does_not_declare_is_told_with_the_nearest() {
    let columns = "columns: { id: { type: int, key: true }, named: { from: nam, type: text } }\n";
    let text = format!("{}{columns}", job(""));
    let tap = tap(&[SCHEMA, RECORD], "");
    let trouble = read(&Bench::new(), &tap, &text, &Start::default()).err().unwrap();
    assert_eq!(
        trouble,
        "failed:schema: the source declares no field `nam`, of which the column `named` is made; \
         did you mean `name`?"
    );
}
