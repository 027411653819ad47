//! What SQLite's error codes mean for the person who reads them.
//!
//! Owns the words: each names the file, what is wrong with it, and the way out. Refuses to decide
//! whether to try again: that is the caller's.

use std::path::Path;

use rusqlite::ffi::ErrorCode;

use crate::store::Error;

/// An error of opening the file.
pub(super) fn open(path: &Path, error: &rusqlite::Error) -> Error {
    Error::Open { path: path.into(), reason: reason(path, error) }
}

/// An error of writing it.
pub(super) fn write(path: &Path, error: &rusqlite::Error) -> Error {
    Error::Write(format!("{}: {}", path.display(), reason(path, error)))
}

/// An error of reading it.
pub(super) fn read(path: &Path, error: &rusqlite::Error) -> Error {
    Error::Read(format!("{}: {}", path.display(), reason(path, error)))
}

fn reason(path: &Path, error: &rusqlite::Error) -> String {
    let Some(code) = error.sqlite_error_code() else {
        return format!(
            "a row holds what this program doesn't understand ({error}): restore the file from a \
             backup, or move it away to start with an empty history"
        );
    };
    let folder = path.parent().unwrap_or(path).display();
    match code {
        ErrorCode::DiskFull => {
            format!("the disk is full: free space on the disk that holds {folder}")
        }
        ErrorCode::ReadOnly => format!(
            "it is read-only: make the file and the folder {folder} writable for this user, \
             or name another --data-dir"
        ),
        ErrorCode::CannotOpen => format!(
            "the file can't be opened or created: check that the folder {folder} exists and \
             is writable for this user"
        ),
        ErrorCode::PermissionDenied | ErrorCode::AuthorizationForStatementDenied => {
            format!("permission denied: give this user access to the folder {folder}")
        }
        ErrorCode::NotADatabase => {
            "it is not a database: move it away, a new one is made at the next start".into()
        }
        ErrorCode::DatabaseCorrupt => format!(
            "it is damaged ({error}): restore it from a backup, or move it and its -wal file \
             away to start with an empty history"
        ),
        ErrorCode::SystemIoFailure => format!(
            "the system could not read or write it ({error}): look at the disk that \
             holds {folder}; it may be full"
        ),
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
            "another program holds it locked: close what has it open".into()
        }
        _ => error.to_string(),
    }
}
