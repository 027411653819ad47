//! The embedded store's file: opening, closing, and files that are not as they should be.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use jada::model::{Fault, IncidentChange, JobName, Opening, RunId, Severity};
use jada::store::sqlite::Sqlite;
use jada::store::{Batch, Change, Error, Keep, RunQuery, SlotQuery, Store};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::world::{
    at, entry, failure, finished, opened, queued, record, recorded, resolved, slot, start_of_daemon,
};

/// A folder whose name means something in a URI.
fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::Builder::new().prefix("a b%20?mode=rw#ü").tempdir().unwrap();
    let path = folder.path().join("jada.db");
    (folder, path)
}

/// The error of opening, with the folder's name cut out.
fn refusal(path: &Path) -> String {
    let error = Sqlite::open(path).map(drop).unwrap_err().to_string();
    assert!(error.contains(path.to_str().unwrap()), "it names the file: {error}");
    error.replace(path.parent().unwrap().to_str().unwrap(), "DIR")
}

/// A store with one run of `alpha`.
async fn with_a_run(path: &Path) -> (Sqlite, RunId) {
    let store = Sqlite::open(path).unwrap();
    let jobs = store.sync_jobs(vec![entry("alpha")], at(0)).await.unwrap();
    let changes = vec![record(jobs[0].id, slot(1), queued(1))];
    let applied = store.commit(Batch { now: at(1), changes }).await.unwrap();
    (store, recorded(applied[0]))
}

fn snapshot(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let mut files: Vec<_> = files
        .map(|file| (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap()))
        .collect();
    files.sort();
    files
}

/// Whoever opens the file beside the daemon, `sqlite3` for one, takes it for abandoned where it is not locked,
/// writes the log back and deletes it: what is committed from then on is lost with the process.
#[tokio::test]
async fn an_open_store_is_locked() {
    use std::os::unix::fs::MetadataExt as _;
    let (_folder, path) = folder();
    let (_store, _run) = with_a_run(&path).await;
    let inode = format!(":{} ", path.metadata().unwrap().ino());
    let Ok(locks) = fs::read_to_string("/proc/locks") else {
        return eprintln!("skipped: this system has no /proc/locks");
    };
    let of_file = |line: &&str| line.contains("POSIX") && line.contains(&inode);
    assert!(locks.lines().any(|line| of_file(&line)), "no lock on{inode}in\n{locks}");
}

#[tokio::test]
async fn closing_leaves_one_file_with_everything() {
    let (folder, path) = folder();
    let (store, run) = with_a_run(&path).await;
    store.close().await.unwrap();
    let names: Vec<_> = snapshot(folder.path()).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["jada.db"], "the log is written back");
    let store = Sqlite::open(&path).unwrap();
    let rows = store.runs(RunQuery { limit: 9, ..RunQuery::default() }).await.unwrap();
    assert_eq!((rows.len(), rows[0].run.id, &rows[0].run.state), (1, run, &queued(1)));
}

#[tokio::test]
async fn history_is_for_its_owner() {
    let (folder, path) = folder();
    let (_store, _) = with_a_run(&path).await;
    for file in fs::read_dir(folder.path()).unwrap().map(Result::unwrap) {
        let mode = file.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", file.file_name());
    }
}

#[tokio::test]
async fn dropping_keeps_what_was_asked() {
    let (_folder, path) = folder();
    let (store, _) = with_a_run(&path).await;
    let store = Arc::new(store);
    let job = store.jobs().await.unwrap()[0].id;
    // Nobody waits for the answers: the requests are in the queue when the store is dropped.
    let mut callers = tokio::task::JoinSet::new();
    for second in 2..50 {
        let store = store.clone();
        let changes = vec![record(job, slot(second), queued(second))];
        callers.spawn(async move { store.commit(Batch { now: at(second), changes }).await });
    }
    tokio::task::yield_now().await;
    callers.abort_all();
    while callers.join_next().await.is_some() {}
    drop(store);
    let store = Sqlite::open(&path).unwrap();
    assert_eq!(store.live_runs().await.unwrap().len(), 49);
}

#[tokio::test]
async fn a_closed_store_says_so() {
    let (_folder, path) = folder();
    let (store, run) = with_a_run(&path).await;
    store.close().await.unwrap();
    let closed = |result: Result<(), Error>| assert!(matches!(result, Err(Error::Closed)));
    closed(store.close().await);
    closed(store.commit(Batch { now: at(2), changes: Vec::new() }).await.map(drop));
    closed(store.register(start_of_daemon("here", 1)).await.map(drop));
    closed(store.sync_jobs(Vec::new(), at(2)).await.map(drop));
    closed(store.attempts(run).await.map(drop));
    closed(store.slots(SlotQuery::default()).await.map(drop));
}

#[tokio::test]
async fn a_newer_version_is_not_touched() {
    let (folder, path) = folder();
    with_a_run(&path).await.0.close().await.unwrap();
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let before = snapshot(folder.path());
    let error = Sqlite::open(&path).unwrap_err();
    assert!(matches!(error, Error::Newer { found: 99, known: 4, .. }), "{error}");
    insta::assert_snapshot!(refusal(&path), @"the store DIR/jada.db has schema version 99, this program knows 4: start the newer jada-agent that wrote it, or name another --data-dir");
    assert!(Sqlite::open_read_only(&path).is_err());
    assert!(snapshot(folder.path()) == before, "no byte of any file has changed");
}

#[tokio::test]
async fn a_store_of_the_first_version_is_brought_up() {
    let (_folder, path) = folder();
    let old = Connection::open(&path).unwrap();
    old.execute_batch(include_str!("../../src/store/migrations/sqlite/0001_history.sql")).unwrap();
    old.pragma_update(None, "application_id", 0x4A41_4441).unwrap();
    old.pragma_update(None, "user_version", 1).unwrap();
    let incident = "INSERT INTO incident (key, job, severity, opened_at, last_seen, count, title, \
         detail, mend) VALUES ('job/a', 'a', 1, 5, 5, 1, 'title', 'detail', 'mend')";
    old.execute(incident, []).unwrap();
    old.execute(&incident.replace("'job/a'", "'job/a/stale'"), []).unwrap();
    old.execute(&incident.replace("'job/a'", "'file/a.yaml'"), []).unwrap();
    drop(old);
    let store = Sqlite::open(&path).unwrap();
    let incidents = store.incidents(true, 9).await.unwrap();
    let told: Vec<_> = incidents.iter().map(|it| (it.key.as_str(), it.fault)).collect();
    let stale = ("job/a#stale", Some(Fault::Stale));
    assert_eq!(told, [("file/a.yaml", None), stale, ("job/a#unknown", Some(Fault::Unknown))]);
    assert_eq!(incidents[2].root, "job/a");
    assert_eq!(incidents[2].affected, [JobName::parse("a").unwrap()]);
    assert_eq!(incidents[2].generation, 1);
}

/// As a newer program leaves it that was killed right after it had changed the schema.
#[tokio::test]
async fn a_newer_version_in_the_log_is_seen() {
    let (_folder, path) = folder();
    with_a_run(&path).await.0.close().await.unwrap();
    let newer = Connection::open(&path).unwrap();
    newer.pragma_update(None, "user_version", 99).unwrap();
    assert!(path.with_extension("db-wal").metadata().unwrap().len() > 0);
    assert!(matches!(Sqlite::open(&path).unwrap_err(), Error::Newer { .. }));
}

#[test]
fn files_of_others_are_refused() {
    let (folder, path) = folder();
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE photo (name TEXT)").unwrap();
    let before = snapshot(folder.path());
    insta::assert_snapshot!(refusal(&path), @"can't open the store DIR/jada.db: it is a database of another program: name another --data-dir");
    assert!(snapshot(folder.path()) == before);
    fs::write(&path, "this is a text file, long enough to be looked at\n".repeat(100)).unwrap();
    let before = snapshot(folder.path());
    insta::assert_snapshot!(refusal(&path), @"can't open the store DIR/jada.db: it is not a database: move it away, a new one is made at the next start");
    assert!(snapshot(folder.path()) == before);
}

#[tokio::test]
async fn an_empty_file_is_a_new_store() {
    let (_folder, path) = folder();
    fs::write(&path, "").unwrap();
    with_a_run(&path).await;
}

#[test]
fn unusable_places_are_named() {
    let (folder, path) = folder();
    insta::assert_snapshot!(
        refusal(&folder.path().join("nowhere").join("jada.db")),
        @"can't open the store DIR/jada.db: the file can't be opened or created: check that the folder DIR exists and is writable for this user"
    );
    fs::write(folder.path().join("file"), "").unwrap();
    insta::assert_snapshot!(
        refusal(&folder.path().join("file").join("jada.db")),
        @"can't open the store DIR/jada.db: the file can't be opened or created: check that the folder DIR exists and is writable for this user"
    );
    fs::create_dir(&path).unwrap();
    insta::assert_snapshot!(refusal(&path), @"can't open the store DIR/jada.db: it is a folder: move it away, or name another --data-dir");
}

#[tokio::test]
async fn a_read_only_folder_is_named() {
    let (folder, path) = folder();
    with_a_run(&path).await.0.close().await.unwrap();
    if rustix::process::geteuid().is_root() {
        // Permissions don't bind root; a read-only mount does, where this process may make one.
        let mount = |options: &str| {
            let from = folder.path().to_str().unwrap();
            let status = Command::new("mount").args(["-o", options, from, from]).output();
            status.is_ok_and(|output| output.status.success())
        };
        if !(mount("bind") && mount("remount,bind,ro")) {
            println!("skipped: this root can't mount, and no permission stops it");
            return;
        }
        let error = refusal(&path);
        assert!(Command::new("umount").arg(folder.path()).status().unwrap().success());
        assert!(error.contains("it is read-only: make the file and the folder DIR"), "{error}");
        return;
    }
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o555)).unwrap();
    let error = refusal(&path);
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    assert!(error.contains("writable for this user"), "{error}");
}

#[tokio::test]
async fn damage_is_told_with_a_way_out() {
    let (_folder, path) = folder();
    let (store, _) = with_a_run(&path).await;
    let job = store.jobs().await.unwrap()[0].id;
    let long = finished(3, &failure(&"x".repeat(900)));
    let changes = (2..400).map(|second| record(job, slot(second), long.clone())).collect();
    store.commit(Batch { now: at(3), changes }).await.unwrap();
    store.close().await.unwrap();
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..].fill(0xA5);
    fs::write(&path, bytes).unwrap();
    let store = Sqlite::open(&path).unwrap();
    let error = store.runs(RunQuery { limit: 999, ..RunQuery::default() }).await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, Error::Read(_)), "{text}");
    assert!(text.contains("jada.db: it is damaged") && text.contains("backup"), "{text}");
}

/// An error that SQLite doesn't know of leaves its transaction open: the writer has to end it.
#[tokio::test]
async fn a_row_without_sense_fails_only_who_reads_it() {
    let (_folder, path) = folder();
    let (store, _) = with_a_run(&path).await;
    let job = store.jobs().await.unwrap()[0].id;
    let other = Connection::open(&path).unwrap();
    other.execute("UPDATE job SET name = 'No Name'", []).unwrap();
    for second in 2..5 {
        let error = store.sync_jobs(vec![entry("beta")], at(second)).await.unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, Error::Write(_)), "{text}");
        assert!(text.contains("a row holds what this program doesn't understand"), "{text}");
        assert!(matches!(store.jobs().await.unwrap_err(), Error::Read(_)));
        let changes = vec![record(job, slot(second), queued(second))];
        recorded(store.commit(Batch { now: at(second), changes }).await.unwrap()[0]);
    }
    assert_eq!(store.live_runs().await.unwrap().len(), 4);
}

#[tokio::test]
async fn reading_only_changes_nothing() {
    let (folder, path) = folder();
    assert!(matches!(Sqlite::open_read_only(&path).unwrap_err(), Error::Open { .. }));
    assert!(!path.exists(), "it is not made");
    let (store, run) = with_a_run(&path).await;
    let reader = Sqlite::open_read_only(&path).unwrap();
    assert_eq!(reader.live_runs().await.unwrap()[0].id, run, "beside the daemon");
    let age = std::time::Duration::ZERO;
    let keep = Keep { age, per_job: 0, observations: age, looks: 1, bytes: None, batch: 9 };
    for error in [
        reader.commit(Batch { now: at(2), changes: Vec::new() }).await.unwrap_err(),
        reader.prune(keep, at(9)).await.unwrap_err(),
    ] {
        assert_eq!(error.to_string(), "can't write the store: it was opened to read only");
    }
    reader.close().await.unwrap();
    store.close().await.unwrap();
    let before = snapshot(folder.path());
    let reader = Sqlite::open_read_only(&path).unwrap();
    assert_eq!(reader.live_runs().await.unwrap().len(), 1);
    reader.close().await.unwrap();
    assert!(snapshot(folder.path()).contains(&before[0]), "after the daemon");
}

#[tokio::test]
async fn the_outbox_is_written_with_its_incident() {
    let (_folder, path) = folder();
    let store = Sqlite::open(&path).unwrap();
    let with = |alter: fn(&mut Opening)| {
        let mut opening = Opening::new("job/a", "job/a", "transient");
        opening.notify = vec!["ops".into(), "chat".into()];
        alter(&mut opening);
        Change::Incident(IncidentChange::Open(opening))
    };
    for (second, change) in [
        (1, opened("job/a", "failed")),
        (2, opened("job/a", "failed again")),
        (3, resolved("job/a")),
        (4, resolved("job/a")),
        (5, with(|it| it.severity = Severity::Warning)),
        (6, with(|_| {})),
        (7, with(|it| it.flapping = true)),
        (8, with(|it| it.flapping = true)),
    ] {
        store.commit(Batch { now: at(second), changes: vec![change] }).await.unwrap();
    }
    let file = Connection::open(&path).unwrap();
    let mut query = file
        .prepare("SELECT notifier, event, created_at, state = 0 FROM outbox ORDER BY id")
        .unwrap();
    let rows = query.query_map([], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, i64>(2)?, row.get(3)?))
    });
    let rows: Vec<(String, String, i64, bool)> = rows.unwrap().map(Result::unwrap).collect();
    let row = |to: &str, event: &str, second| {
        (to.to_owned(), event.to_owned(), at(second).as_millisecond(), true)
    };
    let told = [
        row("ops", "opened", 1),
        row("chat", "opened", 1),
        row("ops", "resolved", 3),
        row("chat", "resolved", 3),
        // It came back, as a warning; then it was an error again, and flapped.
        row("ops", "opened", 5),
        row("chat", "opened", 5),
        row("ops", "opened", 6),
        row("chat", "opened", 6),
        row("ops", "flapping", 7),
        row("chat", "flapping", 7),
    ];
    assert_eq!(rows, told, "once when it opens and once when it is over");
}
