//! Copies of the job files that were accepted, so that the last good version of a file outlives the daemon.
//!
//! Owns the folder `last-good` in the data folder: one copy of each accepted file, named
//! `FILE.PATH.CONTENT` with the hashes of where the file stands and of its bytes, so that one listing says
//! what is there to be written, and so that a copy that was damaged shows. A file that is gone takes its
//! copy with it. Refuses to know when copies are made (`engine/`) and what they are good for (`load`).

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::catalog::{Catalog, FileState, JobFile};
use super::hash::Hash;
use super::scan;

/// The folder's name in the data folder.
const FOLDER: &str = "last-good";

/// A copy while it is written; hidden, so that it is none.
const UNFINISHED: &str = ".unfinished";

/// Most bytes of a job file's own name in that of its copy, which carries two hashes more.
const SHOWN_MAX: usize = 200;

/// See the module's words.
#[derive(Clone, Debug)]
pub struct Kept {
    folder: PathBuf,
}

/// The copies that are there, by the hash of their file's path.
#[derive(Debug, Default)]
pub(super) struct Index(HashMap<u64, Vec<Accepted>>);

/// A copy.
#[derive(Clone, Debug)]
pub(super) struct Accepted {
    /// Hash of the bytes that were accepted.
    pub content: u64,
    /// Its name in the folder.
    name: OsString,
}

impl Kept {
    /// The copies in a data folder.
    #[must_use]
    pub fn at(data_dir: &Path) -> Self {
        Self { folder: data_dir.join(FOLDER) }
    }

    /// What is there. A folder that can't be read holds nothing.
    pub(super) fn index(&self) -> Index {
        let mut index = Index::default();
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            if let Some((path, content)) = hashes(&name) {
                index.0.entry(path).or_default().push(Accepted { content, name });
            }
        }
        index
    }

    /// The newest copy of a file.
    pub(super) fn of<'a>(&self, index: &'a Index, file: &Path) -> Option<&'a Accepted> {
        match index.0.get(&path_hash(file))?.as_slice() {
            [only] => Some(only),
            // A daemon that died between writing the new copy and removing the old one leaves two.
            several => several.iter().max_by_key(|copy| {
                fs::metadata(self.folder.join(&copy.name)).and_then(|meta| meta.modified()).ok()
            }),
        }
    }

    /// The accepted bytes, or why they can't be had.
    pub(super) fn read(&self, copy: &Accepted) -> Result<Vec<u8>, String> {
        let path = self.path(copy);
        let bytes = scan::read(&path).map_err(|why| why.diagnostic(&path).message)?;
        if Hash::of(&bytes) == copy.content { Ok(bytes) } else { Err("it is damaged".to_owned()) }
    }

    pub(super) fn path(&self, copy: &Accepted) -> PathBuf {
        self.folder.join(&copy.name)
    }

    /// Brings the copies in step with the files in force: writes those that are missing and removes those of
    /// files that are gone. What changed on disk since it was accepted is not copied; another look at the
    /// jobs folder is due then. A folder that can't be read leaves everything as it is.
    ///
    /// Nothing is synced to disk: after a power failure a copy shows as damaged at worst, and is told as such.
    ///
    /// # Errors
    /// The first file that could not be written or removed; the others are done all the same.
    pub fn keep(&self, catalog: &Catalog) -> io::Result<()> {
        if catalog.trouble.is_some() {
            return Ok(());
        }
        let mut index = self.index();
        let mut ended = Ok(());
        for file in catalog.files.values() {
            let copies = index.0.remove(&path_hash(&file.path)).unwrap_or_default();
            ended = ended.and(self.keep_file(file, &copies));
        }
        for copy in index.0.values().flatten() {
            ended = ended.and(self.remove(copy));
        }
        ended
    }

    fn keep_file(&self, file: &JobFile, copies: &[Accepted]) -> io::Result<()> {
        if file.state == FileState::Bad {
            return Ok(());
        }
        let is_there = copies.iter().any(|copy| copy.content == file.content);
        let written = if is_there { Ok(()) } else { self.write(file) };
        // Also where the new one could not be written: an older version is not the last good one.
        let mut removed = Ok(());
        for copy in copies.iter().filter(|copy| copy.content != file.content) {
            removed = removed.and(self.remove(copy));
        }
        written.and(removed)
    }

    fn write(&self, file: &JobFile) -> io::Result<()> {
        let Ok(bytes) = scan::read(&file.path) else { return Ok(()) };
        if Hash::of(&bytes) != file.content {
            return Ok(());
        }
        let (unfinished, path) =
            (self.folder.join(UNFINISHED), self.folder.join(name(&file.path, file.content)));
        let mut open = OpenOptions::new();
        open.write(true).create(true).truncate(true).mode(0o600);
        let mut copy = match open.open(&unfinished) {
            // Only the folder itself: a data folder that is gone is not to come back by this.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                DirBuilder::new().mode(0o700).create(&self.folder)?;
                open.open(&unfinished)?
            }
            opened => opened?,
        };
        copy.write_all(&bytes)?;
        fs::rename(unfinished, path)
    }

    fn remove(&self, copy: &Accepted) -> io::Result<()> {
        match fs::remove_file(self.path(copy)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }
}

fn name(file: &Path, content: u64) -> OsString {
    let shown = file.file_name().unwrap_or_default().as_bytes();
    let mut name = OsStr::from_bytes(&shown[..shown.len().min(SHOWN_MAX)]).to_owned();
    name.push(format!(".{:016x}.{content:016x}", path_hash(file)));
    name
}

/// The hashes of path and content in the name of a copy.
fn hashes(name: &OsStr) -> Option<(u64, u64)> {
    let name = name.to_string_lossy();
    let mut parts = name.rsplit('.');
    let mut hash = || {
        let digits = parts.next().filter(|digits| digits.len() == 16)?;
        u64::from_str_radix(digits, 16).ok()
    };
    let content = hash()?;
    Some((hash()?, content))
}

/// Absolute, so that another jobs folder with files of the same names finds nothing.
fn path_hash(file: &Path) -> u64 {
    let absolute = std::path::absolute(file).unwrap_or_else(|_| file.to_path_buf());
    Hash::of(absolute.as_os_str().as_bytes())
}
