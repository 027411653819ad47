//! What follows from the record of the last commit.

use super::super::super::desk::{Set, Shown};
use super::*;

fn shown(answer: Result<Answer, Trouble>) -> Shown {
    match answer.unwrap() {
        Answer::State(shown) => shown,
        other => panic!("{other:?}"),
    }
}

#[test]
fn rows_without_a_record_are_not_taken_for_ours() {
    let bench = Bench::new();
    bench.many(3);
    bench.sql("CREATE TABLE ports (id INTEGER PRIMARY KEY NOT NULL, port TEXT)");
    bench.sql("INSERT INTO ports VALUES (9, 'X')");
    let told = bench.run(&job(MIRROR));
    assert!(told.starts_with("failed:state: the destination holds rows, and no record"), "{told}");
    assert!(told.contains("`jadactl sync state reset port-sheet`"), "{told}");
    assert_eq!(bench.held(), [(9, "X".into())]);
    let told = bench.run(&job(&format!("{MIRROR}\non_missing_state: full")));
    assert_eq!(told, "committed: 3 inserted, 0 updated, 1 deleted, 0 same");
}

#[test]
fn a_reset_takes_what_is_there_for_the_state_before() {
    let bench = Bench::new();
    bench.many(3);
    bench.run(&job(MIRROR));
    bench.sql("UPDATE jada_sync SET ledger = '{'");
    let told = bench.run(&job(MIRROR));
    assert!(told.starts_with("failed:state: the record of the last sync can't be read"), "{told}");
    let shown = shown(bench.ask(&job(MIRROR), Ask::Reset));
    assert_eq!(shown.last.unwrap().rows, 3);
    assert_eq!(std::fs::read_to_string(shown.backup.unwrap()).unwrap(), "{");
    assert_eq!(bench.count(), 3, "no row is touched");
    assert_eq!(bench.run(&job(MIRROR)), "committed: 0 inserted, 0 updated, 0 deleted, 3 same");
}

#[test]
fn the_destination_is_right_where_the_copy_is_another() {
    let bench = Bench::new();
    bench.many(3);
    bench.run(&job(MIRROR));
    let copy = bench.path("sync/port-sheet/ledger.json");
    let other = std::fs::read_to_string(&copy).unwrap().replace("\"rows\":3", "\"rows\":7");
    std::fs::write(&copy, other).unwrap();
    let attempt = bench.attempt(&job(MIRROR));
    assert!(Bench::run_as(&job(MIRROR), &attempt).starts_with("committed"));
    assert!(bench.said(&attempt).contains("destination's counts"), "{}", bench.said(&attempt));
    assert_eq!(Some(std::fs::read_to_string(&copy).unwrap()), bench.ledger());
    // A copy that is gone is no loss.
    std::fs::remove_file(&copy).unwrap();
    assert!(bench.run(&job(MIRROR)).starts_with("committed"));
}

#[test]
fn the_state_can_be_shown_and_set() {
    let bench = Bench::new();
    bench.many(3);
    let job = job(MIRROR);
    let first = shown(bench.ask(&job, Ask::Show));
    assert_eq!((first.last, first.rows), (None, 0));
    let set = Set { cursor: None, left: Some(serde_json::json!({ "a": 1 })) };
    assert!(bench.ask(&job, Ask::Set(set.clone())).is_err(), "there is nothing to set yet");
    bench.run(&job);
    let after = shown(bench.ask(&job, Ask::Set(set.clone())));
    assert_eq!(after.last.unwrap().left, set.left);
    assert!(after.backup.is_some());
    let again = shown(bench.ask(&job, Ask::Show));
    assert_eq!(again.last.as_ref().unwrap().left, set.left);
    assert!(again.same_source);
    assert_eq!(bench.count(), 3);
    let cursor = Set { cursor: Some("7".into()), left: None };
    let trouble = bench.ask(&job, Ask::Set(cursor)).unwrap_err();
    assert_eq!(trouble.message, "the source has no `cursor` that could be set");
}

#[test]
fn rows_of_a_source_can_be_looked_at_before_there_are_columns() {
    let bench = Bench::new();
    bench.many(30);
    let columns = "columns:\n  id: { type: int, key: true }\n  port: { type: text }\n";
    let text = job("").replace(columns, "");
    let sample = |rows: usize| match bench.ask(&text, Ask::Infer { rows }).unwrap() {
        Answer::Sample(sample) => sample,
        other => panic!("{other:?}"),
    };
    assert_eq!((sample(2).names, sample(2).rows.len()), (vec!["id".into(), "port".into()], 2));
    bench.many(1);
    assert_eq!(sample(20).rows.len(), 1);
}

#[test]
fn nothing_is_left_out_as_unchanged_after_the_job_was_changed() {
    let bench = Bench::new();
    let text = |more: &str, port: &str| {
        let probed = "{ path: ports.csv, unchanged: { probe: mtime, full_read_every: 30d } }";
        job(more).replace("{ path: ports.csv }", probed).replace("port: { type: text", port)
    };
    bench.many(2);
    let file = std::fs::File::options().write(true).open(bench.path("ports.csv")).unwrap();
    let long_ago = std::time::Duration::from_secs(1_700_000_000);
    file.set_modified(std::time::UNIX_EPOCH + long_ago).unwrap();
    let plain = "port: { type: text";
    let first = text("mode: upsert", plain);
    bench.run(&first);
    assert!(bench.run(&first).starts_with("unchanged"));
    for changed in [
        text(MIRROR, plain),
        text("mode: upsert\nbad_rows: { action: skip }", plain),
        text("mode: upsert\ndedupe: last", plain),
        text("mode: upsert", "port: { type: text, on_bad: null"),
        text("mode: upsert", "port: { type: text, required: true"),
    ] {
        let told = bench.run(&changed);
        assert!(told.starts_with("committed"), "{told}");
        assert!(bench.run(&changed).starts_with("unchanged"));
    }
}

#[test]
fn a_tap_over_a_table_of_somebody_else_can_be_reset_as_it_is_told() {
    let bench = Bench::new();
    let tap = "echo '{\"type\":\"SCHEMA\",\"stream\":\"a\",\"key_properties\":[\"id\"],\"schema\":\
               {\"properties\":{\"id\":{\"type\":\"integer\"},\"port\":{\"type\":\"string\"}}}}'\n\
               echo '{\"type\":\"RECORD\",\"stream\":\"a\",\"record\":{\"id\":1,\"port\":\"OSL\"}}'\n";
    std::fs::write(bench.path("tap.sh"), tap).unwrap();
    let text = "source: { singer: { run: [/bin/sh, tap.sh], stream: a } }\n\
                destination: { sqlite: { path: ports.db, table: ports } }\nmode: upsert\n";
    bench.sql("CREATE TABLE ports (id INTEGER PRIMARY KEY NOT NULL, port TEXT)");
    bench.sql("INSERT INTO ports VALUES (9, 'X')");
    let run = || bench.ticking(|| bench.run(text));
    let told = run();
    assert!(told.starts_with("failed:state: the destination holds rows"), "{told}");
    assert_eq!(shown(bench.ask(text, Ask::Reset)).rows, 1);
    assert_eq!(run(), "committed: 1 inserted, 0 updated, 0 deleted, 0 same");
    assert_eq!(bench.count(), 2);
}
