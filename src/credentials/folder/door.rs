//! The only way into the credentials folder.
//!
//! Owns the checks that ssh makes too, at every open: the folder and each file belong to whoever runs
//! this, nobody else can read them, and neither is a link. Refuses to know what the files hold. Nothing
//! that fails a check is changed or deleted: the words say what it is and how to mend it.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use crate::credentials::evidence::Evidence;
use crate::model::CredentialClass;

/// The mode of each file.
const PRIVATE: Mode = Mode::RUSR.union(Mode::WUSR);

/// How a file is opened.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::credentials) enum How {
    /// To read it; it may be missing.
    Read,
    /// To lock it; made where it is missing.
    Lock,
    /// To add to its end; made where it is missing.
    Append,
    /// To fill it; it must not exist yet.
    New,
}

/// The open folder.
pub(in crate::credentials) struct Door {
    path: PathBuf,
    dir: OwnedFd,
}

impl Door {
    /// Opens the folder, and makes it where there is none.
    pub(in crate::credentials) fn open(path: &Path) -> Result<Self, Evidence> {
        use std::os::unix::fs::DirBuilderExt;
        let mut made = std::fs::DirBuilder::new();
        made.recursive(true).mode(0o700);
        made.create(path).map_err(|error| failed("make the folder", path, &error))?;
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
        let dir =
            rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| refused(path, errno))?;
        let stat = rustix::fs::fstat(&dir).map_err(|errno| refused(path, errno))?;
        owned(path, &stat, "chmod 700")?;
        Ok(Self { path: path.to_owned(), dir })
    }

    /// Opens a file of the folder; `None` where it is to be read and is missing.
    pub(in crate::credentials) fn file(
        &self,
        name: &str,
        how: How,
    ) -> Result<Option<File>, Evidence> {
        let path = self.path.join(name);
        let flags = match how {
            How::Read => OFlags::RDONLY,
            How::Lock => OFlags::RDWR | OFlags::CREATE,
            How::Append => OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE,
            How::New => OFlags::RDWR | OFlags::CREATE | OFlags::EXCL,
        };
        // A pipe in the place of a file must not hang whoever opens it.
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let fd = match rustix::fs::openat(&self.dir, name, flags, PRIVATE) {
            Ok(fd) => fd,
            Err(Errno::NOENT) if how == How::Read => return Ok(None),
            Err(errno) => return Err(refused(&path, errno)),
        };
        let stat = rustix::fs::fstat(&fd).map_err(|errno| refused(&path, errno))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(store(format!("{} is not a plain file: move it away", path.display())));
        }
        owned(&path, &stat, "chmod 600")?;
        if stat.st_nlink > 1 {
            let words = format!(
                "{} has {} names: another name is a way past its folder; find it with \
                 `find / -samefile {}` and remove it",
                path.display(),
                stat.st_nlink,
                path.display()
            );
            return Err(store(words));
        }
        Ok(Some(File::from(fd)))
    }

    /// Opens a file that is made where it is missing.
    pub(in crate::credentials) fn made(&self, name: &str, how: How) -> Result<File, Evidence> {
        let gone = || store(format!("{} went away", self.path.join(name).display()));
        self.file(name, how)?.ok_or_else(gone)
    }

    /// Puts a file in the place of another, and makes that last.
    pub(in crate::credentials) fn replace(&self, from: &str, to: &str) -> Result<(), Evidence> {
        rustix::fs::renameat(&self.dir, from, &self.dir, to)
            .map_err(|errno| self.failed("replace", to, errno))?;
        self.sync()
    }

    /// Gives a file a name that nothing has yet; `false` where something has.
    pub(in crate::credentials) fn settle(&self, from: &str, to: &str) -> Result<bool, Evidence> {
        let moved =
            rustix::fs::renameat_with(&self.dir, from, &self.dir, to, RenameFlags::NOREPLACE);
        match moved {
            Ok(()) => self.sync().map(|()| true),
            Err(Errno::EXIST) => self.remove(from).map(|()| false),
            Err(errno) => Err(self.failed("make", to, errno)),
        }
    }

    /// Removes a file that may be missing.
    pub(in crate::credentials) fn remove(&self, name: &str) -> Result<(), Evidence> {
        match rustix::fs::unlinkat(&self.dir, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(self.failed("remove", name, errno)),
        }
    }

    /// Makes renames and removals last.
    pub(in crate::credentials) fn sync(&self) -> Result<(), Evidence> {
        rustix::fs::fsync(&self.dir).map_err(|errno| failed("sync", &self.path, &errno.into()))
    }

    fn failed(&self, what: &str, name: &str, errno: Errno) -> Evidence {
        failed(what, &self.path.join(name), &errno.into())
    }
}

/// Evidence of row 27.
pub(in crate::credentials) fn store(words: String) -> Evidence {
    Evidence::new(CredentialClass::LocalStore, words)
}

/// Evidence that something with a file did not work, with the way out where it is known.
pub(in crate::credentials) fn failed(what: &str, path: &Path, error: &io::Error) -> Evidence {
    let path = path.display();
    let words = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            format!("can't {what} {path}: its disk is full; free space on it")
        }
        io::ErrorKind::FileTooLarge => {
            format!("can't {what} {path}: a limit on the size of files forbids it (`ulimit -f`)")
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            format!("can't {what} {path}: its file system is read-only; mount it for writing")
        }
        io::ErrorKind::PermissionDenied => {
            let user = rustix::process::geteuid().as_raw();
            format!("can't {what} {path}: user {user} may not; run this as the folder's owner")
        }
        _ => format!("can't {what} {path}: {error}"),
    };
    store(words)
}

fn refused(path: &Path, errno: Errno) -> Evidence {
    match errno {
        Errno::LOOP | Errno::MLINK => {
            store(format!("{} is a link: put the file itself there", path.display()))
        }
        Errno::NOTDIR => {
            let path = path.display();
            store(format!("{path} is a link or no folder: put the folder itself there"))
        }
        errno => failed("open", path, &errno.into()),
    }
}

fn owned(path: &Path, stat: &rustix::fs::Stat, mend: &str) -> Result<(), Evidence> {
    let user = rustix::process::geteuid().as_raw();
    let path = path.display();
    if stat.st_uid != user {
        return Err(store(format!(
            "{path} belongs to user {}, and this runs as user {user}: run it as that user, or \
             `chown {user} {path}`",
            stat.st_uid
        )));
    }
    let mode = stat.st_mode & 0o7777;
    if mode & 0o077 != 0 {
        return Err(store(format!(
            "{path} has mode {mode:04o}, so others can get at it: `{mend} {path}`; if somebody did, \
             log in anew"
        )));
    }
    Ok(())
}
