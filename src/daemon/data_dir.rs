//! The data folder, and the lock that makes it one daemon's.
//!
//! Owns the lock's file, and the answer to whether the folder is still there. Refuses to know what lies in
//! the folder.

use std::fs::{File, Metadata, TryLockError};
use std::io::{ErrorKind, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};

use crate::engine::dispatch::Held;

/// The lock's file in the folder.
const LOCK: &str = "lock";

/// The data folder, locked for this process.
pub(super) struct DataDir {
    /// Where it is, absolute.
    pub path: PathBuf,
    /// Held open for its lock.
    lock: Arc<File>,
}

impl DataDir {
    /// Makes the folder where there is none, and takes its lock.
    pub(super) fn open(dir: &Path) -> Result<Self> {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .with_context(|| format!("can't make the data folder {}", dir.display()))?;
        let path = std::path::absolute(dir).unwrap_or_else(|_| dir.to_path_buf());
        let file = path.join(LOCK);
        let mut lock = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o600)
            .open(&file)
            .with_context(|| {
                format!(
                    "can't write to the data folder {}: mend its permissions, free space on its disk, \
                     or name another --data-dir",
                    dir.display()
                )
            })?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                let _unknown = lock.read_to_string(&mut pid).is_err();
                bail!(
                    "another daemon (pid {}) works on {}: stop it first, or name another --data-dir",
                    pid.trim(),
                    dir.display()
                );
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("can't lock {}", file.display()));
            }
        }
        lock.set_len(0)?;
        lock.rewind()?;
        writeln!(lock, "{}", std::process::id())
            .with_context(|| format!("can't write to the data folder {}", dir.display()))?;
        Ok(Self { path, lock: Arc::new(lock) })
    }

    /// Asks whether the folder is still the one whose lock this process holds. Where it was removed, or
    /// another one put in its place, a second daemon may work there already.
    pub(super) fn held(&self) -> Held {
        let (lock, path) = (Arc::clone(&self.lock), self.path.join(LOCK));
        Arc::new(move || is_same(&lock, &path))
    }

    /// Says at the end what became of the folder, where it is not held any more.
    pub(super) fn check_held(&self) -> Result<()> {
        if !self.held()() {
            bail!(
                "stopped, since the data folder {} is gone or another one: what ran was ended, and nothing \
                 of it is kept; bring the folder back or not, and start again",
                self.path.display()
            );
        }
        Ok(())
    }
}

fn is_same(lock: &File, path: &Path) -> bool {
    let there = match std::fs::metadata(path) {
        Ok(there) => there,
        // Any other trouble says nothing of whose folder it is; the store will tell.
        Err(error) => {
            return !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory);
        }
    };
    let place = |meta: &Metadata| (meta.dev(), meta.ino());
    lock.metadata().is_ok_and(|held| place(&held) == place(&there))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_folder_is_held_until_it_or_its_lock_goes() {
        type Change = fn(&Path);
        let cases: [(&str, Change, bool); 5] = [
            ("nothing", |_| {}, true),
            ("a file in it", |dir| fs::write(dir.join("x"), "").unwrap(), true),
            ("removed", |dir| fs::remove_dir_all(dir).unwrap(), false),
            ("moved", |dir| fs::rename(dir, dir.with_extension("old")).unwrap(), false),
            (
                "its lock replaced",
                |dir| {
                    // Side by side first, so that the two can't be the same inode.
                    fs::write(dir.join("new"), "").unwrap();
                    fs::rename(dir.join("new"), dir.join(LOCK)).unwrap();
                },
                false,
            ),
        ];
        for (name, change, want) in cases {
            let around = tempfile::tempdir().unwrap();
            let dir = around.path().join("var");
            let data = DataDir::open(&dir).unwrap();
            let held = data.held();
            assert!(held(), "{name}");
            change(&dir);
            assert_eq!(held(), want, "{name}");
        }
    }
}
