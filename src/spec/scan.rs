//! The jobs folder as bytes: which files count, and their bytes.
//!
//! Owns the rule of what is read: names ending in `.yaml` or `.yml`, not hidden, directly in the folder.
//! Owns the refusals that keep a stray entry from hanging or filling the daemon: a FIFO, a device, a
//! folder, a file beyond the limit. Refuses to know what a job is.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::yaml::{Code, Diagnostic, MAX_FILE_BYTES, too_big};

/// What stands in a jobs folder.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Job files, sorted by name.
    pub files: Vec<PathBuf>,
    /// Folders that are not read although they hold job files.
    pub overlooked: Vec<PathBuf>,
}

/// Why a file's text can't be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// It went between listing and reading.
    Gone,
    /// A link whose target does not exist.
    Dangling,
    /// A folder with a job file's name.
    Folder,
    /// A FIFO, socket or device.
    Special,
    /// More than [`MAX_FILE_BYTES`].
    TooBig(u64),
    /// The system said no, in its words.
    Refused(String),
}

/// Lists a folder.
pub(super) fn list(folder: &Path) -> io::Result<Listing> {
    let mut listing = Listing::default();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (name, path) = (entry.file_name(), entry.path());
        if is_hidden(&name) {
            continue;
        }
        if is_job_file(&path) {
            listing.files.push(path);
        } else if entry.file_type()?.is_dir() && holds_job_files(&path) {
            listing.overlooked.push(path);
        }
    }
    listing.files.sort();
    listing.overlooked.sort();
    Ok(listing)
}

/// Whether a path is named like a job file.
pub(super) fn is_job_file(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml")
}

fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

fn holds_job_files(folder: &Path) -> bool {
    let Ok(entries) = fs::read_dir(folder) else { return false };
    entries.flatten().any(|entry| !is_hidden(&entry.file_name()) && is_job_file(&entry.path()))
}

/// Reads a file's bytes; of a file beyond the limit, just enough to tell.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Unreadable> {
    let (mut file, size) = open(path)?;
    if size > MAX_FILE_BYTES {
        return Err(Unreadable::TooBig(size));
    }
    // The size is a hint only: the file may grow while it is read.
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 1);
    let mut limited = (&mut file).take(MAX_FILE_BYTES + 1);
    limited.read_to_end(&mut bytes).map_err(|error| refused(&error))?;
    Ok(bytes)
}

/// Opens a regular file and tells its size, without waiting on a FIFO that nobody writes to.
fn open(path: &Path) -> Result<(File, u64), Unreadable> {
    check_type(&fs::metadata(path).map_err(|error| missing(path, &error))?)?;
    let nonblock = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(nonblock)
        .open(path)
        .map_err(|error| missing(path, &error))?;
    // The entry may have been replaced between the two calls.
    let meta = file.metadata().map_err(|error| refused(&error))?;
    check_type(&meta)?;
    Ok((file, meta.len()))
}

fn check_type(meta: &fs::Metadata) -> Result<(), Unreadable> {
    if meta.is_dir() {
        Err(Unreadable::Folder)
    } else if meta.is_file() {
        Ok(())
    } else {
        Err(Unreadable::Special)
    }
}

fn missing(path: &Path, error: &io::Error) -> Unreadable {
    if error.kind() != io::ErrorKind::NotFound {
        return refused(error);
    }
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_symlink() => Unreadable::Dangling,
        Ok(_) | Err(_) => Unreadable::Gone,
    }
}

fn refused(error: &io::Error) -> Unreadable {
    Unreadable::Refused(words(error))
}

/// What the system said, without the number that helps nobody who reads it.
pub(super) fn words(error: &io::Error) -> String {
    let words = error.to_string();
    words.split(" (os error").next().unwrap_or_default().to_lowercase()
}

impl Unreadable {
    /// What to tell about it.
    pub(super) fn diagnostic(&self, path: &Path) -> Diagnostic {
        let shown = path.to_string_lossy();
        let (code, message, help) = match self {
            Self::TooBig(size) => return too_big(&shown, *size),
            Self::Gone => (Code::Unreadable, "there is no such file".to_owned(), "check the path"),
            Self::Dangling => (
                Code::DanglingLink,
                "this link leads nowhere".to_owned(),
                "restore what it points at, or delete the link",
            ),
            Self::Folder => (
                Code::Unreadable,
                "this is a folder with the name of a job file".to_owned(),
                "rename it: job files stand directly in the jobs folder",
            ),
            Self::Special => (
                Code::Unreadable,
                "this is no regular file but a pipe, a socket or a device".to_owned(),
                "take it out of the jobs folder",
            ),
            Self::Refused(words) => (
                Code::Unreadable,
                format!("this file cannot be read: {words}"),
                "give the user that runs the daemon the right to read it",
            ),
        };
        let mut reported = Diagnostic::of_file(code, shown, message);
        reported.help(help);
        reported
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn lists_job_files_only_and_sorted() {
        let dir = folder();
        for name in ["b.yml", "a.yaml", ".hidden.yaml", "notes.txt", "a.yaml~", "c.yaml.bak"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        fs::create_dir(dir.path().join("empty")).unwrap();
        fs::create_dir(dir.path().join("team")).unwrap();
        fs::write(dir.path().join("team/x.yaml"), "").unwrap();
        let listing = list(dir.path()).unwrap();
        assert_eq!(listing.files, [dir.path().join("a.yaml"), dir.path().join("b.yml")]);
        assert_eq!(listing.overlooked, [dir.path().join("team")]);
    }

    #[test]
    fn refuses_what_is_no_text_file() {
        let dir = folder();
        let path = |name: &str| dir.path().join(name);
        fs::create_dir(path("folder.yaml")).unwrap();
        symlink("nowhere", path("dangling.yaml")).unwrap();
        fs::write(path("large.yaml"), vec![b'#'; 1024 * 1024 + 1]).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            path("fifo.yaml"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .unwrap();
        let cases = [
            ("folder.yaml", Unreadable::Folder),
            ("dangling.yaml", Unreadable::Dangling),
            ("absent.yaml", Unreadable::Gone),
            ("large.yaml", Unreadable::TooBig(1024 * 1024 + 1)),
            ("fifo.yaml", Unreadable::Special),
        ];
        for (name, want) in cases {
            assert_eq!(read(&path(name)), Err(want), "{name}");
        }
        fs::write(path("full.yaml"), vec![b'#'; 1024 * 1024]).unwrap();
        assert!(read(&path("full.yaml")).is_ok());
    }

    #[test]
    fn follows_a_link() {
        let dir = folder();
        fs::write(dir.path().join("real"), "a: 1").unwrap();
        symlink("real", dir.path().join("link.yaml")).unwrap();
        assert_eq!(read(&dir.path().join("link.yaml")), Ok(b"a: 1".to_vec()));
    }
}
