//! The process dies at any moment: what was answered is there, and no batch is there by half.
//!
//! The test starts its own program again as a child that commits as fast as it can and tells each
//! answer; it reads some answers and kills the child in the middle of the next commits.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use jada::model::{Cause, RunState};
use jada::store::sqlite::Sqlite;
use jada::store::{Applied, Batch, Change, RunQuery, SlotQuery, Store};

use crate::world::{at, entry, queued, record, slot, start_of_daemon};

/// Tells the child where its store is.
const PLACE: &str = "JADA_TEST_CRASH";

/// Slots in each batch, all of the same job, with one move of its cursor.
const BATCH: i64 = 50;

/// The child; in an ordinary run of the tests it has nothing to do.
#[tokio::test]
async fn child_commits_until_it_is_killed() {
    let Some(place) = std::env::var_os(PLACE) else { return };
    let store = Sqlite::open(PathBuf::from(place)).unwrap();
    store.register(start_of_daemon("child", 1)).await.unwrap();
    let job = &store.sync_jobs(vec![entry("alpha")], at(0)).await.unwrap()[0];
    let mut from = job.cursor.as_second() - at(0).as_second();
    loop {
        let to = from + BATCH;
        let mut changes: Vec<_> =
            (from + 1..=to).map(|second| record(job.id, slot(second), queued(second))).collect();
        changes.push(Change::Cursor { job: job.id, from: at(from), to: at(to) });
        let applied = store.commit(Batch { now: at(to), changes }).await.unwrap();
        assert!(!applied.contains(&Applied::Refused));
        // Past the test harness, which would keep it back.
        writeln!(std::io::stderr(), "answered {to}").unwrap();
        from = to;
    }
}

/// Starts the child, lets it answer `answers` times, kills it, and returns its last answer.
fn killed_after(place: &Path, answers: usize) -> i64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::child_commits_until_it_is_killed", "--nocapture"])
        .env(PLACE, place)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut answered = lines.map_while(Result::ok).filter_map(|line| {
        let second = line.strip_prefix("answered ")?;
        second.parse::<i64>().ok()
    });
    let mut last = answered.nth(answers - 1).unwrap();
    child.kill().unwrap();
    // What it had answered before the signal reached it counts as well.
    last = answered.last().unwrap_or(last);
    child.wait().unwrap();
    last
}

#[tokio::test]
async fn answers_survive_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("jada.db");
    let mut before = 0;
    for answers in [1, 2, 7, 20, 3] {
        let answered = killed_after(&place, answers);
        assert!(answered > before);
        let store = Sqlite::open(&place).unwrap();
        let cursor = store.jobs().await.unwrap()[0].cursor.as_second() - at(0).as_second();
        assert!(cursor >= answered, "answered up to {answered}, but it stands at {cursor}");
        assert_eq!(cursor % BATCH, 0);
        let slots = SlotQuery { limit: u32::MAX, ..SlotQuery::default() };
        let slots = store.slots(slots).await.unwrap();
        let seconds: Vec<_> =
            slots.iter().rev().map(|row| row.slot.as_second() - at(0).as_second()).collect();
        assert!(seconds.iter().copied().eq(1..=cursor), "each slot once, none by half");
        before = cursor;
        store.close().await.unwrap();
    }
}

/// The files as they are while the store is open are what the loss of power leaves.
#[tokio::test]
async fn a_copy_of_the_open_files_is_complete() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("jada.db");
    let store = Sqlite::open(&place).unwrap();
    let job = store.sync_jobs(vec![entry("alpha")], at(0)).await.unwrap()[0].id;
    for second in 1..=20 {
        let manual = record(job, Cause::Manual(at(second)), queued(second));
        let changes = vec![record(job, slot(second), queued(second)), manual];
        store.commit(Batch { now: at(second), changes }).await.unwrap();
        let copy = tempfile::tempdir().unwrap();
        for name in ["jada.db", "jada.db-wal"] {
            std::fs::copy(folder.path().join(name), copy.path().join(name)).unwrap();
        }
        let copied = Sqlite::open(copy.path().join("jada.db")).unwrap();
        let runs = copied.runs(RunQuery { limit: 99, ..RunQuery::default() }).await.unwrap();
        assert_eq!(runs.len(), usize::try_from(second).unwrap() * 2);
        assert!(matches!(runs[0].run.state, RunState::Queued { .. }));
    }
}
