//! The watch on files that other processes and people change.
//!
//! Owns the system's notices. One says only "look again": what changed is found by comparing what files
//! look like. Refuses to know what is in them.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

/// What a file looks like from outside: where it is, how long, and when it and its mode last changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Look(Option<(u64, u64, [i64; 4])>);

impl Look {
    /// At what the path leads to.
    pub(super) fn at(path: &Path) -> Self {
        let of = |meta: std::fs::Metadata| {
            let times = [meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec()];
            (meta.ino(), meta.len(), times)
        };
        Self(std::fs::metadata(path).ok().map(of))
    }
}

/// Notices of changes. They stop when this goes.
pub(super) struct Watch {
    watcher: Option<RecommendedWatcher>,
}

impl Watch {
    /// Watches a folder's records, and these files by their folders: a file is as a rule replaced, and a
    /// watch on it would stay with the old one.
    pub(super) fn on(dir: &Path, files: &BTreeSet<PathBuf>, heard: Arc<Notify>) -> Self {
        let (records, named) = (dir.to_owned(), files.clone());
        let hear = move |event: notify::Result<notify::Event>| {
            if event.as_ref().map_or(true, |event| concerns(event, &records, &named)) {
                heard.notify_one();
            }
        };
        let mut folders: BTreeSet<&Path> = files.iter().filter_map(|file| file.parent()).collect();
        folders.insert(dir);
        let watcher = notify::recommended_watcher(hear).and_then(|mut watcher| {
            for folder in folders.into_iter().filter(|folder| folder.is_dir()) {
                watcher.watch(folder, RecursiveMode::NonRecursive)?;
            }
            Ok(watcher)
        });
        match watcher {
            Ok(watcher) => Self { watcher: Some(watcher) },
            Err(error) => {
                tracing::warn!(%error, "can't watch the credentials: they are looked at every 10 s");
                Self { watcher: None }
            }
        }
    }

    /// Whether changes are not told.
    pub(super) fn is_deaf(&self) -> bool {
        self.watcher.is_none()
    }
}

/// Whether an event is about a record or one of the files. The folder's locks, journals and audit are our
/// own, and so are the reads.
fn concerns(event: &notify::Event, dir: &Path, files: &BTreeSet<PathBuf>) -> bool {
    let changes = match event.kind {
        EventKind::Access(kind) => kind == AccessKind::Close(AccessMode::Write),
        EventKind::Any
        | EventKind::Create(_)
        | EventKind::Modify(_)
        | EventKind::Remove(_)
        | EventKind::Other => true,
    };
    let about = |path: &PathBuf| {
        let record = path.extension().is_some_and(|ending| ending == "json");
        // Kubernetes and systemd swap a link beside the files instead of the files.
        let beside = || files.iter().any(|file| file.parent() == path.parent());
        path == dir || (path.starts_with(dir) && record) || (!path.starts_with(dir) && beside())
    };
    changes && (event.paths.is_empty() || event.paths.iter().any(about))
}
