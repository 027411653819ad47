//! Taking the socket and the address.
//!
//! Owns the rules of the socket's file: who may open it, when an old one is replaced. Refuses to know
//! what is served there.

use std::io;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;

use tokio::net::{TcpListener, UnixListener, UnixStream};

use super::Error;

/// Bytes of the longest socket path: `sun_path` has 108, and its last one is the end mark.
const PATH_MAX: usize = 107;

/// Listens on a unix socket that only this user may open. The directory is expected to be 0700, so
/// that nobody else gets in before the socket's own mode is set.
pub(super) async fn socket(path: &Path) -> Result<UnixListener, Error> {
    let length = path.as_os_str().as_bytes().len();
    if length > PATH_MAX {
        return Err(Error::PathTooLong { path: path.into(), length, max: PATH_MAX });
    }
    clear(path).await?;
    let failed = |source| Error::Socket { path: path.into(), source };
    let listener = UnixListener::bind(path).map_err(failed)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
    Ok(listener)
}

/// Which file stands there.
pub(super) fn file(path: &Path) -> Option<(u64, u64)> {
    std::fs::symlink_metadata(path).ok().map(|meta| (meta.dev(), meta.ino()))
}

/// Removes the socket that a dead daemon left, and nothing else.
async fn clear(path: &Path) -> Result<(), Error> {
    let failed = |source| Error::Socket { path: path.into(), source };
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(meta) if !meta.file_type().is_socket() => return Err(Error::NotASocket(path.into())),
        Ok(_) => {}
    }
    match UnixStream::connect(path).await {
        Ok(_) => Err(Error::InUse(path.into())),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(failed)
        }
        Err(error) => Err(failed(error)),
    }
}

/// Listens on an address.
pub(super) async fn address(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|source| Error::Address { address, source })
}
