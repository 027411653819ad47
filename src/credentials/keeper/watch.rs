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
    /// The folder that it is on, which may be gone while another one has its path.
    folder: Option<u64>,
}

impl Watch {
    /// Watches a folder's records, and these files by their folders: a file is as a rule replaced, and a
    /// watch on it would stay with the old one.
    pub(super) fn on(dir: &Path, files: &BTreeSet<PathBuf>, heard: Arc<Notify>) -> Self {
        let folder = inode(dir);
        // A bare name has no folder to watch, and notices tell the path that was asked for.
        let dir = &absolute(dir);
        let files: BTreeSet<PathBuf> = files.iter().map(|file| absolute(file)).collect();
        let (records, named) = (dir.clone(), files.clone());
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
            Ok(watcher) => Self { watcher: Some(watcher), folder },
            Err(error) => {
                tracing::warn!(%error, "can't watch the credentials: they are looked at every 10 s");
                Self { watcher: None, folder }
            }
        }
    }

    /// Whether the folder is another one by now.
    pub(super) fn is_lost(&self, dir: &Path) -> bool {
        self.folder != inode(dir)
    }

    /// Whether changes are not told.
    pub(super) fn is_deaf(&self) -> bool {
        self.watcher.is_none()
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn inode(path: &Path) -> Option<u64> {
    std::fs::metadata(path).ok().map(|meta| meta.ino())
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

#[cfg(test)]
mod tests {
    use notify::event::{CreateKind, ModifyKind};

    use super::*;

    #[test]
    fn records_and_declared_files_count_and_nothing_else() {
        let dir = Path::new("/data/credentials");
        let files = BTreeSet::from([PathBuf::from("/etc/jada/secret")]);
        let modified = EventKind::Modify(ModifyKind::Any);
        let cases = [
            (modified, "/data/credentials/google+ops.json", true),
            (EventKind::Create(CreateKind::File), "/data/credentials/google+ops.json", true),
            (modified, "/data/credentials/google+ops.json.new", false),
            (modified, "/data/credentials/google+ops.journal", false),
            (modified, "/data/credentials/google+ops.lock", false),
            (modified, "/data/credentials/audit.jsonl", false),
            (modified, "/data/credentials", true),
            (modified, "/etc/jada/secret", true),
            (modified, "/etc/jada/..data", true),
            (modified, "/etc/other", false),
            (EventKind::Access(AccessKind::Read), "/etc/jada/secret", false),
            (EventKind::Access(AccessKind::Close(AccessMode::Write)), "/etc/jada/secret", true),
        ];
        for (kind, path, want) in cases {
            let event = notify::Event::new(kind).add_path(PathBuf::from(path));
            assert_eq!(concerns(&event, dir, &files), want, "{kind:?} {path}");
        }
    }
}
