//! The folder of one attempt, in which its tokens lie.
//!
//! Owns where it is, its modes, the replacement of a file in one step, and that it goes. Refuses to know
//! what the files hold. In memory where the system offers that: a token that never touches a disk can't be
//! found on one.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::kinds::process::environment;
use crate::model::{Failure, FailureClass};

/// A folder that nobody else can enter. Gone, with what is in it, when this is.
#[derive(Debug)]
pub(in crate::kinds) struct Folder(PathBuf);

/// Where the folders of this data dir's attempts are: in the folder that systemd gives the daemon or the
/// session, which is in memory, or else in the data dir.
#[must_use]
pub fn base(data_dir: &Path) -> PathBuf {
    let data_dir = environment::spelled(data_dir);
    let given = |name: &str| {
        let value = std::env::var(name).ok()?;
        let first = value.split(':').next().filter(|first| !first.is_empty())?;
        Some(PathBuf::from(first))
    };
    // Two daemons of one user differ in their data dirs.
    let own = data_dir.to_string_lossy().trim_matches('/').replace('/', "-");
    match (given("RUNTIME_DIRECTORY"), given("XDG_RUNTIME_DIR")) {
        (Some(folder), _) => folder.join("run"),
        (None, Some(folder)) if folder.is_dir() => folder.join("jada").join(own),
        (None, _) => data_dir.join("run"),
    }
}

/// Removes what a killed daemon left. Its processes must be gone by then.
///
/// # Errors
/// What could not be removed.
pub fn sweep(data_dir: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(base(data_dir)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let path = entry?.path();
        let named = path.file_name().and_then(|name| name.to_str()).is_some_and(is_attempt);
        if named {
            fs::remove_dir_all(&path)?;
        }
    }
    Ok(())
}

/// Whether a name is that of an attempt: the base may be a folder that others use too. What stands behind a dot
/// tells one folder of an attempt from another.
fn is_attempt(name: &str) -> bool {
    let name = name.split_once('.').map_or(name, |(attempt, _)| attempt);
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    name.split_once('-').is_some_and(|(run, no)| number(run) && number(no))
}

impl Folder {
    /// Makes the folder, empty.
    pub(in crate::kinds) async fn make(path: PathBuf) -> Result<Arc<Self>, Failure> {
        let shown = path.clone();
        blocking(&shown, move || {
            let around = path.parent().unwrap_or(Path::new("/"));
            DirBuilder::new().recursive(true).mode(0o700).create(around)?;
            let make = || DirBuilder::new().mode(0o700).create(&path);
            match make() {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    // Left by a daemon whose store was lost, so that run numbers began anew.
                    fs::remove_dir_all(&path)?;
                    make()?;
                }
                made => made?,
            }
            Ok(Arc::new(Self(path)))
        })
        .await
    }

    /// Where a file of it is.
    pub(in crate::kinds) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Puts a file in, or replaces it: whoever opens it sees the old one or the new one.
    pub(in crate::kinds) async fn put(
        self: &Arc<Self>,
        name: &str,
        content: Zeroizing<String>,
    ) -> Result<(), Failure> {
        let (folder, path) = (Arc::clone(self), self.path(name));
        let shown = path.clone();
        blocking(&shown, move || {
            // A binding's name never begins with a dot.
            let new = folder.0.join(format!(".{}", path.file_name().unwrap_or_default().display()));
            let _none_is_fine = fs::remove_file(&new);
            let mut file =
                OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
            file.write_all(content.as_bytes())?;
            fs::rename(&new, &path)
        })
        .await
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What can't be removed now goes at the next start.
        let _next_start = fs::remove_dir_all(&self.0);
    }
}

async fn blocking<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(work).await.map_err(io::Error::other);
    done.flatten().map_err(|error| {
        let message = format!("can't put a credential into {}: {error}", path.display());
        Failure::new(FailureClass::Transient, message)
    })
}
