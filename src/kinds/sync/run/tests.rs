//! Whole syncs, from a CSV or JSONL text to a SQLite table: what is committed, held and refused, and that what is not
//! committed leaves everything as it was.

use std::fmt::Write as _;

use rusqlite::Connection;

use super::super::testing::{Attempt, Bench, names, spec};
use super::*;
use crate::clock::Clock as _;
use crate::kinds::StopReason;

mod again;
mod damage;
mod files;
mod holds;
mod states;

/// A sync of `ports.csv` into `ports.db`, with more lines in its section.
pub(super) fn job(more: &str) -> String {
    format!(
        "source: {{ csv: {{ path: ports.csv }} }}\n\
         columns:\n  id: {{ type: int, key: true }}\n  port: {{ type: text }}\n\
         destination: {{ sqlite: {{ path: ports.db, table: ports }} }}\n{more}\n"
    )
}

pub(super) const MIRROR: &str = "mode: mirror\nguards: { on_empty: hold }";

impl Bench {
    /// Writes the source: a header, and a row for each of these.
    pub(super) fn ports(&self, rows: &[(i64, &str)]) {
        let mut text = String::from("id,port\n");
        for (id, port) in rows {
            writeln!(text, "{id},{port}").unwrap();
        }
        std::fs::write(self.path("ports.csv"), text).unwrap();
    }

    /// So many rows.
    pub(super) fn many(&self, count: i64) {
        let rows: Vec<(i64, &str)> = (1..=count).map(|id| (id, "OSL")).collect();
        self.ports(&rows);
    }

    /// Runs a job; gives its result as people see it.
    pub(super) fn run(&self, text: &str) -> String {
        Self::run_as(text, &self.attempt(text))
    }

    pub(super) fn run_as(text: &str, attempt: &Attempt) -> String {
        match pipeline(&spec(text), &attempt.tools) {
            Ok(note) => note,
            Err(trouble) => format!("{}: {}", trouble.ending.word(), trouble.message),
        }
    }

    pub(super) fn ask(&self, text: &str, ask: Ask) -> Result<Answer, Trouble> {
        answer::answer(&spec(text), &self.attempt(text).tools, ask)
    }

    /// What the destination holds.
    pub(super) fn held(&self) -> Vec<(i64, String)> {
        let db = Connection::open(self.path("ports.db")).unwrap();
        let Ok(mut rows) = db.prepare("SELECT id, port FROM ports ORDER BY id") else {
            return Vec::new();
        };
        let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.map(Result::unwrap).collect()
    }

    pub(super) fn count(&self) -> usize {
        self.held().len()
    }

    /// The record of the last commit.
    pub(super) fn ledger(&self) -> Option<String> {
        let db = Connection::open(self.path("ports.db")).unwrap();
        db.query_row("SELECT ledger FROM jada_sync", [], |row| row.get(0)).ok()
    }

    pub(super) fn sql(&self, text: &str) {
        Connection::open(self.path("ports.db")).unwrap().execute_batch(text).unwrap();
    }

    /// What is kept beside lock, copy and mark.
    pub(super) fn kept(&self) -> Vec<String> {
        let mut names = names(&self.path("sync/port-sheet"));
        names.retain(|name| !["lock", "ledger.json", "committing.json"].contains(&name.as_str()));
        names
    }
}

#[test]
fn a_mirror_inserts_updates_deletes_and_leaves_the_rest() {
    let bench = Bench::new();
    let job = job(MIRROR);
    bench.ports(&[(1, "OSL"), (2, "BGO"), (3, "TRD")]);
    assert_eq!(bench.run(&job), "committed: 3 inserted, 0 updated, 0 deleted, 0 same");
    bench.ports(&[(4, "SVG"), (1, "OSL"), (2, "BOO")]);
    assert_eq!(bench.run(&job), "committed: 1 inserted, 1 updated, 1 deleted, 1 same");
    let held = bench.held();
    assert_eq!(held, [(1, "OSL".into()), (2, "BOO".into()), (4, "SVG".into())]);
    assert_eq!(bench.run(&job), "committed: 0 inserted, 0 updated, 0 deleted, 3 same");
    assert_eq!(bench.kept(), Vec::<String>::new());
}

#[test]
fn an_upsert_deletes_nothing_and_an_append_repeats() {
    let bench = Bench::new();
    bench.ports(&[(1, "OSL"), (2, "BGO")]);
    let upsert = job("mode: upsert");
    bench.run(&upsert);
    bench.ports(&[(2, "BOO"), (3, "TRD")]);
    assert_eq!(bench.run(&upsert), "committed: 1 inserted, 1 updated, 0 deleted, 0 same");
    assert_eq!(bench.held(), [(1, "OSL".into()), (2, "BOO".into()), (3, "TRD".into())]);

    let bench = Bench::new();
    bench.ports(&[(1, "OSL")]);
    let append = job("mode: append");
    bench.run(&append);
    assert_eq!(bench.run(&append), "committed: 1 inserted, 0 updated, 0 deleted, 0 same");
    assert_eq!(bench.count(), 2);
}

#[test]
fn a_replacement_tells_what_it_changed() {
    let bench = Bench::new();
    let replace = job("mode: replace\nguards: { on_empty: hold }");
    bench.ports(&[(1, "OSL"), (2, "BGO")]);
    bench.run(&replace);
    bench.ports(&[(2, "BGO"), (3, "TRD")]);
    assert_eq!(bench.run(&replace), "committed: 1 inserted, 0 updated, 1 deleted, 1 same");
    assert_eq!(bench.held(), [(2, "BGO".into()), (3, "TRD".into())]);
}

#[test]
fn a_snapshot_adds_everything_under_the_time_of_the_run() {
    let bench = Bench::new();
    let snapshot = job("mode: snapshot");
    bench.ports(&[(1, "OSL")]);
    bench.run(&snapshot);
    bench.clock.advance(std::time::Duration::from_secs(60));
    assert_eq!(bench.run(&snapshot), "committed: 1 inserted, 0 updated, 0 deleted, 0 same");
    let db = Connection::open(bench.path("ports.db")).unwrap();
    let times: i64 = db
        .query_row("SELECT count(DISTINCT snapshot_at) FROM ports", [], |row| row.get(0))
        .unwrap();
    assert_eq!((bench.count(), times), (2, 2));
}

#[test]
fn one_key_twice_fails_unless_the_job_says_which_one_counts() {
    for (dedupe, result, port) in [
        ("", "failed:mapping: rows 1 and 3 have the same key, `1`", None),
        ("dedupe: first", "committed: 2 inserted", Some("OSL")),
        ("dedupe: last", "committed: 2 inserted", Some("TRD")),
    ] {
        let bench = Bench::new();
        bench.ports(&[(1, "OSL"), (2, "BGO"), (1, "TRD")]);
        let told = bench.run(&job(&format!("{MIRROR}\n{dedupe}")));
        assert!(told.starts_with(result), "{told}");
        assert_eq!(bench.held().first().map(|row| row.1.as_str()), port);
    }
}

#[test]
fn two_at_once_is_one_too_many() {
    let bench = Bench::new();
    bench.many(1);
    let attempt = bench.attempt(&job(MIRROR));
    let lock = folder::Lock::take(&attempt.tools).unwrap();
    let told = bench.ticking(|| bench.run(&job(MIRROR)));
    assert!(told.starts_with("failed:state: another run of `port-sheet`"), "{told}");
    // Who only looks is waited for.
    let clock = bench.clock.clone();
    let told = std::thread::scope(|scope| {
        scope.spawn(move || {
            while clock.passed() < std::time::Duration::from_secs(90) {
                std::thread::yield_now();
            }
            drop(lock);
        });
        bench.ticking(|| bench.run(&job(MIRROR)))
    });
    assert!(told.starts_with("committed"), "{told}");
}

#[test]
fn a_stop_leaves_everything_as_it_was() {
    let bench = Bench::new();
    bench.many(3);
    bench.run(&job(MIRROR));
    let (before, ledger) = (bench.held(), bench.ledger());
    bench.many(9);
    let attempt = bench.attempt(&job(MIRROR));
    attempt.pull.send_replace(Some(StopReason::Cancelled));
    let told = Bench::run_as(&job(MIRROR), &attempt);
    assert!(told.starts_with("cancelled"), "{told}");
    assert_eq!((bench.held(), bench.ledger()), (before, ledger));
    assert_eq!(bench.kept(), Vec::<String>::new());
}

#[test]
fn what_an_attempt_that_died_left_behind_is_swept_out() {
    let bench = Bench::new();
    bench.many(2);
    let folder = bench.path("sync/port-sheet");
    std::fs::create_dir_all(&folder).unwrap();
    for name in ["8-1.stage", "8-1.index", "held.json.new", "8-1.unique0"] {
        std::fs::write(folder.join(name), "x").unwrap();
    }
    bench.run(&job(MIRROR));
    assert_eq!(bench.kept(), Vec::<String>::new());
}
