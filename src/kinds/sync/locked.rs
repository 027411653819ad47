//! A file that stands for the right to work on something.
//!
//! Owns taking it and letting go. Refuses to wait, and to know what the right is for.

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

/// The right, until this is dropped or its process dies.
///
/// Closing the file would not end it: a program that is being started elsewhere in this process has a copy of
/// every open file for a moment, and the lock belongs to all the copies. So it is undone by name.
pub(super) struct Locked(File);

impl Locked {
    /// Takes it; nothing where somebody else has it. The file stays for ever: who removes one may remove
    /// another's.
    pub(super) fn take(path: &Path) -> io::Result<Option<Self>> {
        let file = File::options().create(true).truncate(false).write(true).open(path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self(file))),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        // Where it fails, the end of the file does it.
        let _closed_next = flock(&self.0, FlockOperation::Unlock);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_in_a_program_that_starts_holds_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let first = Locked::take(&path).unwrap().unwrap();
        assert!(Locked::take(&path).unwrap().is_none());
        let _copy = first.0.try_clone().unwrap();
        drop(first);
        assert!(Locked::take(&path).unwrap().is_some());
    }
}
