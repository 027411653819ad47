//! Files written by commits, by commits that are killed, and by others; read back.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::super::{Destination, Found, Session, Shape};
use crate::kinds::sync::columns::{Column, ColumnType};
use crate::kinds::sync::diff::{Effect, Work};
use crate::kinds::sync::ledger::{Ledger, State};
use crate::kinds::sync::stage::Stage;
use crate::kinds::sync::testing::{Attempt, Bench, names, spec};
use crate::kinds::sync::trouble::Trouble;
use crate::kinds::sync::value::{Value, Values, encode, shown};
use crate::model::RunId;

/// A destination of one job, and what its runs do.
struct Stand<'b> {
    attempt: Attempt,
    to: Destination,
    columns: Vec<Column>,
    bench: &'b Bench,
}

fn column(name: &str, kind: &str, key: bool) -> Column {
    let kind = ColumnType::parse(kind).unwrap();
    Column { name: name.to_owned(), kind, key, required: key }
}

impl<'b> Stand<'b> {
    fn new(bench: &'b Bench, to: &str, columns: Vec<Column>) -> Self {
        let text = format!(
            "source: {{ csv: {{ path: in.csv }} }}\ncolumns: {{ id: {{ type: int, key: true }} }}\n\
             destination: {{ {to} }}\nmode: append\n"
        );
        let to = spec(&text).destination.value.clone();
        Self { attempt: bench.attempt(&text), to, columns, bench }
    }

    /// Of the usual two columns.
    fn plain(bench: &'b Bench, to: &str) -> Self {
        Self::new(bench, to, vec![column("id", "int", true), column("at", "int", false)])
    }

    fn begin(&self) -> Result<(Session, Found), Trouble> {
        let shape = Shape { stream: "port-sheet", columns: &self.columns };
        self.to.begin(&self.attempt.tools, shape)
    }

    /// Commits rows of values under a run whose state is its number.
    fn commit(&self, effect: Effect, run: i64, rows: &[Vec<Value<'_>>]) -> Result<(), Trouble> {
        let mut stage = Stage::create(&self.attempt.tools.folder(), "commit.stage")?;
        for values in rows {
            let mut row = Vec::new();
            encoded(values, &mut row);
            stage.push(&row)?;
        }
        let (session, _) = self.begin()?;
        let mut work = Work { effect, columns: &self.columns, stage: &mut stage, base: None };
        session.commit(&mut work, &ledger(run))
    }

    /// What is there: the state's number, and the rows as text.
    fn there(&self) -> (Option<i64>, Vec<String>) {
        let (mut session, found) = self.begin().unwrap();
        let state = found.ledger.map(|text| {
            let ledger: Ledger = serde_json::from_str(&text).unwrap();
            ledger.state.cursor.unwrap().parse().unwrap()
        });
        let mut rows = Vec::new();
        session
            .current(&mut |row| {
                let values = Values::of(row).zip(&self.columns);
                let values = values.map(|(value, column)| shown(value, column.kind));
                rows.push(values.collect::<Vec<_>>().join(" "));
                Ok(())
            })
            .unwrap();
        assert_eq!(found.rows, rows.len() as u64);
        (state, rows)
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.bench.path(name)
    }
}

fn encoded(values: &[Value<'_>], row: &mut Vec<u8>) {
    for value in values {
        encode(*value, row);
    }
}

fn ledger(run: i64) -> Ledger {
    let at = "2026-03-01T12:00:00Z".parse().unwrap();
    Ledger {
        version: 1,
        run: RunId(run),
        committed_at: at,
        read_at: at,
        rows: 0,
        fingerprint: String::new(),
        section: String::new(),
        state: State { cursor: Some(run.to_string()), left: None },
        history: Vec::new(),
        earlier: Vec::new(),
    }
}

fn two(run: i64, count: i64) -> Vec<Vec<Value<'static>>> {
    (0..count).map(|id| vec![Value::Int(id), Value::Int(run)]).collect()
}

const SINGLE: [&str; 3] = [
    "csv: { path: out/data }",
    "jsonl: { path: out/data }",
    #[cfg(feature = "parquet")]
    "parquet: { path: out/data }",
];

#[test]
fn one_file_is_replaced_added_to_and_kept() {
    for to in SINGLE {
        let bench = Bench::new();
        let stand = Stand::plain(&bench, to);
        assert_eq!(stand.there(), (None, vec![]), "{to}");
        stand.commit(Effect::Replace, 1, &two(1, 2)).unwrap();
        assert_eq!(stand.there(), (Some(1), vec!["0 1".to_owned(), "1 1".to_owned()]), "{to}");
        stand.commit(Effect::Add, 2, &[vec![Value::Int(9), Value::Null]]).unwrap();
        let all = vec!["0 1".to_owned(), "1 1".to_owned(), "9 null".to_owned()];
        assert_eq!(stand.there(), (Some(2), all.clone()), "{to}");
        stand.commit(Effect::Keep, 3, &[]).unwrap();
        assert_eq!(stand.there(), (Some(3), all), "{to}");
        stand.commit(Effect::Replace, 4, &[]).unwrap();
        assert_eq!(stand.there(), (Some(4), vec![]), "{to}");
        assert_eq!(names(&stand.path("out")), [".data.jada-lock", "data", "data.jada.json"]);
    }
}

#[test]
fn every_value_comes_back_as_it_was() {
    let kinds = [
        "int",
        "text",
        "float",
        "bool",
        "timestamp",
        "date",
        "json",
        "decimal(12,2)",
        "decimal(38,9)",
    ];
    let columns: Vec<Column> =
        kinds.iter().map(|kind| column(&format!("a {kind}"), kind, *kind == "int")).collect();
    let great = i128::pow(10, 38) - 1;
    let rows = vec![
        vec![
            Value::Int(i64::MIN),
            Value::Text("a \"quoted\"\nline, æ\u{1f600}\\ \t"),
            Value::Float(1.5e-300),
            Value::Bool(true),
            Value::Timestamp(-1),
            Value::Date(-719_162),
            Value::Json(r#"{"a":[1,"x"]}"#),
            Value::Decimal(-105),
            Value::Decimal(great),
        ],
        vec![
            Value::Int(i64::MAX),
            Value::Text("null"),
            Value::Float(f64::MAX),
            Value::Bool(false),
            Value::Timestamp(1_772_366_400_000_000),
            Value::Date(20_513),
            Value::Json("\"text\""),
            Value::Decimal(0),
            Value::Decimal(-great),
        ],
        [vec![Value::Int(0)], vec![Value::Null; 8]].concat(),
    ];
    for to in SINGLE {
        let bench = Bench::new();
        let stand = Stand::new(&bench, to, columns.clone());
        stand.commit(Effect::Replace, 1, &rows).unwrap();
        let mut back = Vec::new();
        let (mut session, _) = stand.begin().unwrap();
        session
            .current(&mut |row| {
                back.push(row.to_vec());
                Ok(())
            })
            .unwrap();
        let given: Vec<Vec<u8>> = rows
            .iter()
            .map(|values| {
                let mut row = Vec::new();
                encoded(values, &mut row);
                row
            })
            .collect();
        assert_eq!(back, given, "{to}");
    }
}

#[test]
fn a_commit_of_one_file_that_was_cut_short_is_finished_or_taken_back() {
    let bench = Bench::new();
    let stand = Stand::plain(&bench, "csv: { path: out.csv }");
    stand.commit(Effect::Replace, 1, &two(1, 3)).unwrap();
    let old = fs::read(stand.path("out.csv")).unwrap();
    let manifest = fs::read(stand.path("out.csv.jada.json")).unwrap();
    stand.commit(Effect::Replace, 2, &two(2, 3)).unwrap();
    let new = fs::read(stand.path("out.csv")).unwrap();
    let next = fs::read(stand.path("out.csv.jada.json")).unwrap();
    let half = &next[..next.len() / 2];
    // What lies there after each step: the file, what is beside it, the prepared manifest.
    for (file, beside, prepared, state) in [
        (&old, Some(&new[..5]), None, 1),
        (&old, Some(&new[..]), None, 1),
        (&old, Some(&new[..]), Some(half), 1),
        (&old, Some(&new[..]), Some(&next[..]), 1),
        (&new, None, Some(&next[..]), 2),
    ] {
        fs::write(stand.path("out.csv"), file).unwrap();
        fs::write(stand.path("out.csv.jada.json"), &manifest).unwrap();
        for (name, content) in
            [(".out.csv.jada-new", beside), (".out.csv.jada.json.next", prepared)]
        {
            if let Some(content) = content {
                fs::write(stand.path(name), content).unwrap();
            }
        }
        let rows = (0..3).map(|id| format!("{id} {state}")).collect();
        assert_eq!(stand.there(), (Some(state), rows));
        let left = names(bench.dir.path());
        assert!(
            !left.iter().any(|name| name.ends_with("new") || name.ends_with("next")),
            "{left:?}"
        );
    }
}

#[test]
fn a_folder_has_a_file_for_each_run_and_counts_only_what_its_manifest_names() {
    let bench = Bench::new();
    let stand = Stand::plain(&bench, "jsonl: { path: out, layout: file_per_run }");
    stand.commit(Effect::Add, 1, &two(1, 2)).unwrap();
    stand.commit(Effect::Add, 2, &[]).unwrap();
    stand.commit(Effect::Add, 2, &two(2, 1)).unwrap();
    // Two that a crash left behind, and one that is somebody else's.
    for name in ["20260301T120000Z-3.jsonl", ".20260301T120000Z-4.jsonl.jada-new", "mine.jsonl"] {
        fs::write(stand.path("out").join(name), "{\"id\":7,\"at\":3}\n").unwrap();
    }
    let (_, found) = stand.begin().unwrap();
    assert_eq!(found.rows, 3);
    assert!(!found.shows_rows);
    let expected = [
        "._jada.jada-lock",
        "20260301T120000Z-1.jsonl",
        "20260301T120000Z-2.jsonl",
        "_jada.json",
        "mine.jsonl",
    ];
    assert_eq!(names(&stand.path("out")), expected);
    stand.commit(Effect::Replace, 5, &two(5, 1)).unwrap();
    let left = names(&stand.path("out"));
    assert!(left.contains(&"20260301T120000Z-5.jsonl".to_owned()) && left.len() == 4, "{left:?}");

    fs::remove_file(stand.path("out/20260301T120000Z-5.jsonl")).unwrap();
    let trouble = stand.begin().map(drop).unwrap_err();
    assert_eq!(trouble.ending.word(), "failed:state");
    assert!(trouble.message.contains("is gone, which"), "{}", trouble.message);
}

#[test]
fn without_a_manifest_that_can_be_read_nothing_is_swept_and_all_of_it_counts() {
    for damage in [None, Some("{\"version\":1,")] {
        let bench = Bench::new();
        let stand = Stand::plain(&bench, "csv: { path: out, layout: file_per_run }");
        stand.commit(Effect::Add, 1, &two(1, 2)).unwrap();
        match damage {
            None => fs::remove_file(stand.path("out/_jada.json")).unwrap(),
            Some(text) => fs::write(stand.path("out/_jada.json"), text).unwrap(),
        }
        let (_, found) = stand.begin().unwrap();
        assert_eq!((found.ledger.as_deref(), found.rows), (damage, 2));
        // Adopted by a person: `jadactl sync state reset`.
        stand.commit(Effect::Keep, 9, &[]).unwrap();
        assert_eq!(stand.begin().unwrap().1.rows, 2);
    }
}

#[test]
fn a_file_that_is_gone_is_made_anew_and_one_that_was_changed_is_told() {
    let bench = Bench::new();
    let stand = Stand::plain(&bench, "csv: { path: out.csv }");
    stand.commit(Effect::Replace, 1, &two(1, 2)).unwrap();
    fs::write(stand.path("out.csv"), "id,at\n0,one\n").unwrap();
    let (mut session, _) = stand.begin().unwrap();
    let mut seen = Vec::new();
    session
        .current(&mut |row| {
            seen.push(Values::of(row).nth(1) == Some(Value::Text("one")));
            Ok(())
        })
        .unwrap();
    assert_eq!(seen, [true], "what can't be read is as it is");
    drop(session);
    fs::remove_file(stand.path("out.csv")).unwrap();
    assert_eq!(stand.there(), (None, vec![]));
    let said = bench.said(&stand.attempt);
    assert!(said.contains("was changed by somebody else"), "{said}");
    assert!(said.contains("is gone with its 2 rows"), "{said}");
}

#[test]
fn a_column_that_the_job_does_not_have_is_not_lost_by_adding() {
    for (to, content) in [
        ("csv: { path: out }", "id,at,note\n1,2,keep\n"),
        ("jsonl: { path: out }", "{\"id\":1,\"at\":2,\"note\":\"keep\"}\n"),
    ] {
        let bench = Bench::new();
        let stand = Stand::plain(&bench, to);
        fs::write(stand.path("out"), content).unwrap();
        let trouble = stand.commit(Effect::Add, 1, &two(1, 1)).unwrap_err();
        assert!(trouble.message.contains("has the column `note`"), "{}", trouble.message);
        assert_eq!(fs::read_to_string(stand.path("out")).unwrap(), content);
    }
}

#[test]
fn a_stop_and_a_full_disk_leave_everything_as_it_was() {
    let bench = Bench::new();
    let stand = Stand::plain(&bench, "csv: { path: out.csv }");
    stand.commit(Effect::Replace, 1, &two(1, 2)).unwrap();
    stand.attempt.pull.send_replace(Some(crate::kinds::StopReason::Cancelled));
    let trouble = stand.commit(Effect::Replace, 2, &two(2, 5000)).unwrap_err();
    assert_eq!(trouble.ending.word(), "cancelled");
    assert_eq!(stand.there().0, Some(1));

    let full = Path::new("/dev/full");
    if full.exists() {
        // Whatever is written under the temporary's name goes to a device that is full.
        let stand = Stand::plain(&bench, "csv: { path: out.csv }");
        std::os::unix::fs::symlink(full, stand.path(".out.csv.jada-new.link")).unwrap();
        let sink = super::Sink::create(&stand.path(".out.csv.jada-new.link"), Path::new("/"));
        let error = sink.and_then(|mut sink| {
            std::io::Write::write_all(&mut sink, b"rows")?;
            sink.finish().map(drop)
        });
        assert_eq!(error.unwrap_err().kind(), std::io::ErrorKind::StorageFull);
    }
}

/// Where the child of the next test works, which is that test in a process of its own.
const CHILD: &str = "JADA_TEST_FILES_CHILD";
const KILLED: &str = "kinds::sync::destination::files::tests::a_kill_at_any_moment_leaves_rows_and_state_of_the_same_commit";

/// Commits until it is killed, each run all rows with its number; says so after each.
fn commit_for_ever(given: &str) {
    let (dir, to) = given.split_once('|').unwrap();
    let bench = Bench::new();
    let stand = Stand::plain(&bench, &to.replace("DIR", dir));
    let first = stand
        .begin()
        .unwrap()
        .1
        .ledger
        .map_or(0, |text| serde_json::from_str::<Ledger>(&text).unwrap().run.0);
    let effect = if to.contains("file_per_run") { Effect::Add } else { Effect::Replace };
    for run in first + 1.. {
        stand.commit(effect, run, &two(run, 50)).unwrap();
        println!("committed");
    }
}

fn start_child(dir: &Path, to: &str) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "--nocapture", KILLED]);
    command.env(CHILD, format!("{}|{to}", dir.display()));
    command.stdout(Stdio::piped()).spawn().unwrap()
}

#[test]
fn a_kill_at_any_moment_leaves_rows_and_state_of_the_same_commit() {
    if let Ok(given) = std::env::var(CHILD) {
        return commit_for_ever(&given);
    }
    let mut commits = 0;
    for to in [
        "csv: { path: DIR/out }",
        "jsonl: { path: DIR/out }",
        #[cfg(feature = "parquet")]
        "parquet: { path: DIR/out }",
        "jsonl: { path: DIR/runs, layout: file_per_run }",
    ] {
        let bench = Bench::new();
        let dir = bench.path("kept");
        fs::create_dir(&dir).unwrap();
        for round in 0..12_u32 {
            let mut child = start_child(&dir, to);
            let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
            let committed =
                |line: &std::io::Result<String>| line.as_ref().unwrap().contains("committed");
            let seen = lines.by_ref().filter(committed).take(1 + round as usize % 3).count();
            // A different moment of the commit that follows, each time.
            (0..round * 97).for_each(|_| std::thread::yield_now());
            child.kill().unwrap();
            child.wait().unwrap();
            commits += seen;
            let stand = Stand::plain(&bench, &to.replace("DIR", &dir.display().to_string()));
            let (_, found) = stand.begin().unwrap();
            let run = serde_json::from_str::<Ledger>(&found.ledger.unwrap()).unwrap().run.0;
            if to.contains("file_per_run") {
                assert_eq!(found.rows, 50 * u64::try_from(run).unwrap());
                continue;
            }
            let (state, rows) = stand.there();
            assert_eq!(state, Some(run));
            let expected: Vec<String> = (0..50).map(|id| format!("{id} {run}")).collect();
            assert_eq!(rows, expected, "round {round}");
        }
    }
    assert!(commits >= 36, "{commits}: each child commits at least once");
}
