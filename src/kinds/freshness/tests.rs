//! What is read of the age of data, and what follows.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::clock::{Clock, SimClock};
use crate::kinds::output::Outputs;
use crate::kinds::{Kinds, Perform, Setting, Stop, Work};
use crate::model::{Cause, JobName, NodeId, RunId};
use crate::yaml::decode::choice::OneOf;
use crate::yaml::{Decode, Source, parse};

const NOW: &str = "2026-11-25T12:00:00Z";

fn section(text: &str) -> FreshnessSection {
    let source = Source::new("job.yaml", text);
    let (documents, _) = parse(&source);
    let mut cx = Decoder::new(&source);
    let section = FreshnessSection::decode(&documents[0].root, &mut cx);
    section.unwrap_or_else(|| panic!("{:?}", cx.finish()))
}

fn work(text: &str) -> Work {
    let source = Source::new("job.yaml", text);
    let (documents, _) = parse(&source);
    let mut cx = Decoder::new(&source);
    Work::decode_at("command", &documents[0].root, &mut cx).expect("it is right")
}

/// What comes of a command that ends as `run` does, with this probe, at noon.
async fn told(dir: &std::path::Path, run: &str, freshness: &str) -> String {
    let outputs = Outputs::at(&dir.join("data"));
    let (_pull, stop) = Stop::pair();
    let setting = Setting {
        working_dir: dir.to_owned(),
        grace: Duration::from_secs(5),
        freshness: Some(Arc::new(section(freshness))),
        ..Setting::default()
    };
    let clock = SimClock::at(NOW.parse().expect("an instant"));
    let attempt = AttemptContext {
        run: RunId(1),
        job: JobName::parse("port-sheet").expect("a name"),
        no: 1,
        node: NodeId(1),
        cause: Cause::Slot(clock.now()),
        started_at: clock.now(),
        work: Arc::new(work(&format!("run: [{run}]"))),
        setting: Arc::new(setting),
        output: outputs.open(RunId(1), 1, None),
        facts: crate::kinds::facts::Facts::default(),
        seen: crate::kinds::Seen::default(),
        stop,
        clock: Arc::new(clock),
    };
    let outcome = Kinds::new(dir, None).perform(attempt).await;
    let class = outcome.class().map_or("ok", FailureClass::word);
    let message = outcome.message().replace(&dir.to_string_lossy().into_owned(), "DIR");
    format!("{class} {message}").trim_end().to_owned()
}

#[tokio::test]
async fn a_program_that_ends_well_over_stale_data_has_failed() {
    let dir = tempfile::tempdir().expect("a folder");
    let database = rusqlite::Connection::open(dir.path().join("b.db")).expect("a database");
    database
        .execute_batch(
            "create table t (at, n);
             insert into t values ('2026-11-25T11:30:00Z', 1), ('2026-11-25 08:59:00', 2),
                                  (1764072000, 3), (null, 4), ('soon', 5)",
        )
        .expect("SQL");
    let at: Timestamp = "2026-11-25T09:00:00Z".parse().expect("an instant");
    let file = std::fs::File::create(dir.path().join("out.csv")).expect("a file");
    let passed = Duration::from_secs(at.as_second().unsigned_abs());
    file.set_modified(std::time::UNIX_EPOCH + passed).expect("it is ours");
    let sql = |n| format!("sql: {{ sqlite: b.db, query: 'select at from t where n = {n}' }}");
    let cases = [
        sql(1),
        sql(2),
        sql(3),
        sql(4),
        sql(5),
        sql(6),
        "sql: { sqlite: b.db, query: 'select x from t' }".to_owned(),
        "sql: { sqlite: gone.db, query: 'select 1' }".to_owned(),
        "file: { path: out.csv }".to_owned(),
        "file: { path: \"{{job.name}}.csv\" }".to_owned(),
    ];
    let mut lines = Vec::new();
    for probe in &cases {
        let freshness = format!("{{ breach: 65m, probe: {{ {probe} }} }}");
        lines.push(told(dir.path(), "\"true\"", &freshness).await);
    }
    // What failed by itself keeps its own words; a longer bound takes the file.
    let file = "probe: { file: { path: out.csv } } }";
    lines.push(told(dir.path(), "\"false\"", &format!("{{ breach: 65m, {file}")).await);
    lines.push(told(dir.path(), "\"true\"", &format!("{{ breach: 4h, {file}")).await);
    insta::assert_snapshot!(lines.join("\n"), @r"
    ok
    transient the data is 3h 1m old (newest: 2026-11-25 08:59:00Z), although the job ended well
    transient the data is 365d old (newest: 2025-11-25 12:00:00Z), although the job ended well
    transient the age of the data can't be told, although the job ended well: DIR/b.db: the query gave no time: null
    transient the age of the data can't be told, although the job ended well: DIR/b.db: the query gave `soon`, which is no time
    transient the age of the data can't be told, although the job ended well: DIR/b.db: the query gave no row
    transient the age of the data can't be told, although the job ended well: DIR/b.db: no such column: x in select x from t at offset 7
    transient the age of the data can't be told, although the job ended well: DIR/gone.db: unable to open database file: DIR/gone.db
    transient the data is 3h old (newest: 2026-11-25 09:00:00Z), although the job ended well
    transient the age of the data can't be told, although the job ended well: DIR/port-sheet.csv: No such file or directory (os error 2)
    transient exit code 1
    ok
    ");
}

#[test]
fn a_field_of_an_answer_is_found_by_its_path() {
    let body =
        br#"{ "data": { "at": "2026-11-25T11:00:00Z", "n": 1764072000, "x": [] }, "a.b": 0 }"#;
    let told = |path| match probes::field(body, path) {
        Ok(at) => at.to_string(),
        Err(words) => words,
    };
    assert_eq!(told("data.at"), "2026-11-25T11:00:00Z");
    assert_eq!(told("data.n"), "2025-11-25T12:00:00Z");
    assert_eq!(told("/a.b"), "1970-01-01T00:00:00Z");
    assert_eq!(told("data.x"), "`data.x` is no time: []");
    assert_eq!(told("data.gone"), "there is no `data.gone` in the body");
    assert!(probes::field(b"<html>", "a").is_err_and(|words| words.contains("no JSON")));
}

#[test]
fn what_comes_from_the_future_is_new() {
    let now: Timestamp = NOW.parse().expect("an instant");
    let hour = jiff::SignedDuration::from_hours(1);
    assert_eq!(too_old(now + hour, Duration::from_mins(1), now), None);
    assert_eq!(too_old(now - hour, Duration::from_mins(60), now), None);
    assert!(too_old(now - hour, Duration::from_mins(59), now).is_some());
}
