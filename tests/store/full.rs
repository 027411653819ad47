//! A disk without room: nothing half done, a clear word, and on it goes when there is room again.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use jada::model::JobId;
use jada::store::sqlite::{Options, Sqlite};
use jada::store::{Applied, Batch, Change, Error, Keep, SlotQuery, Store};

use crate::world::{at, entry, failure, finished, queued, record, slot};

/// Slots with long texts, until the store has no room; returns the last second that was kept.
async fn fill(store: &Sqlite, job: JobId) -> (i64, Error) {
    let long = failure(&"x".repeat(20_000));
    for second in 1..10_000 {
        let from = at(second - 1);
        let changes = vec![
            record(job, slot(second), finished(second, &long)),
            Change::Cursor { job, from, to: at(second) },
        ];
        match store.commit(Batch { now: at(second), changes }).await {
            Ok(applied) => assert!(applied.iter().all(|it| *it != Applied::Refused)),
            Err(error) => return (second - 1, error),
        }
    }
    panic!("it never filled up");
}

async fn one_job(store: &Sqlite) -> JobId {
    store.sync_jobs(vec![entry("alpha")], at(0)).await.unwrap()[0].id
}

/// The failed batch left nothing: neither its slot nor its cursor.
async fn assert_stands_at(store: &Sqlite, second: i64) {
    let newest = SlotQuery { limit: 1, ..SlotQuery::default() };
    assert_eq!(store.slots(newest).await.unwrap()[0].slot, at(second));
    assert_eq!(store.jobs().await.unwrap()[0].cursor, at(second));
}

/// The portable stand-in for a full disk: a limit on the file's pages.
#[tokio::test]
async fn a_limit_on_the_file_acts_like_a_full_disk() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { max_bytes: Some(1 << 20), ..Options::default() };
    let store = Sqlite::open_with(folder.path().join("jada.db"), options).unwrap();
    let job = one_job(&store).await;
    let (kept, error) = fill(&store, job).await;
    let told = error.to_string().replace(folder.path().to_str().unwrap(), "DIR");
    insta::assert_snapshot!(told, @"can't write the store: DIR/jada.db: the disk is full: free space on the disk that holds DIR");
    assert!(kept > 10, "some were kept: {kept}");
    assert_stands_at(&store, kept).await;
    // Retention still works, and makes the room that the next commit needs.
    let age = Duration::MAX;
    let keep = Keep { age, per_job: 5, observations: age, looks: 1, bytes: None, batch: 1000 };
    let gone = store.prune(keep, at(kept)).await.unwrap().runs;
    assert_eq!(gone.len(), usize::try_from(kept).unwrap() - 5);
    let changes = vec![record(job, slot(kept + 1), queued(1))];
    let applied = store.commit(Batch { now: at(1), changes }).await.unwrap();
    assert!(matches!(applied[0], Applied::Recorded(_)));
}

/// A request that needs more room than there is fails alone, whoever is committed with it.
#[tokio::test]
async fn a_request_too_large_fails_alone() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { max_bytes: Some(1 << 20), ..Options::default() };
    let store =
        std::sync::Arc::new(Sqlite::open_with(folder.path().join("jada.db"), options).unwrap());
    let job = one_job(&store).await;
    let mut callers = tokio::task::JoinSet::new();
    for second in 1..=60 {
        let store = store.clone();
        let large = second % 10 == 0;
        let text = "x".repeat(if large { 3 << 20 } else { 10 });
        let changes = vec![record(job, slot(second), finished(second, &failure(&text)))];
        callers.spawn(async move {
            (second, large, store.commit(Batch { now: at(second), changes }).await)
        });
    }
    for (second, large, answer) in callers.join_all().await {
        assert_eq!(answer.is_err(), large, "slot {second}: {answer:?}");
    }
    let all = SlotQuery { limit: 99, ..SlotQuery::default() };
    assert_eq!(store.slots(all).await.unwrap().len(), 54);
}

/// A mount that goes when the test does.
struct Mounted<'a>(&'a Path);

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        let gone = Command::new("umount").arg("--lazy").arg(self.0).status();
        assert!(gone.is_ok_and(|status| status.success()), "the test's own mount goes");
    }
}

/// The same with a real file system of 2 MB, where this process may mount one.
#[tokio::test]
async fn a_full_disk_keeps_nothing_half() {
    let folder = tempfile::tempdir().unwrap();
    let mount = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"])
        .arg(folder.path())
        .output();
    if !mount.is_ok_and(|output| output.status.success()) {
        println!("skipped: this user can't mount a small file system");
        return;
    }
    let mounted = Mounted(folder.path());
    let path = folder.path().join("jada.db");
    let ballast = folder.path().join("ballast");
    std::fs::write(&ballast, vec![0; 600 << 10]).unwrap();
    let store = Sqlite::open(&path).unwrap();
    let job = one_job(&store).await;
    let (kept, error) = fill(&store, job).await;
    assert!(error.to_string().contains("the disk is full"), "{error}");
    assert_stands_at(&store, kept).await;
    // Space is back: the very same store goes on, and so does the next one on the same file.
    std::fs::remove_file(&ballast).unwrap();
    let commit = async |store: &Sqlite, second: i64| {
        let changes = vec![record(job, slot(second), queued(second))];
        store.commit(Batch { now: at(second), changes }).await.unwrap()[0]
    };
    assert!(matches!(commit(&store, kept + 1).await, Applied::Recorded(_)));
    assert_eq!(commit(&store, kept).await, Applied::Refused, "it is still there");
    store.close().await.unwrap();
    let store = Sqlite::open(&path).unwrap();
    assert!(matches!(commit(&store, kept + 2).await, Applied::Recorded(_)));
    store.close().await.unwrap();
    drop(mounted);
}
