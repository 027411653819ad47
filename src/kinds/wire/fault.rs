//! What is wrong with the way to another host, by the errors themselves.
//!
//! Owns the signatures of typed errors: of sockets, names, certificates and statuses. Refuses to read words:
//! that is `plan::signature`.

use std::error::Error;
use std::io::{self, ErrorKind};

use rustls::CertificateError;

use super::names::NoAddress;
use crate::model::Fault;

/// The fault of an error, by itself or by what is behind it.
pub(in crate::kinds) fn of_error(error: &(dyn Error + 'static)) -> Option<Fault> {
    let mut next = Some(error);
    let mut slow = false;
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<io::Error>()
            && let Some(fault) = of_io(error)
        {
            return Some(fault);
        }
        if let Some(fault) = of_one(error) {
            return Some(fault);
        }
        slow |= error.downcast_ref::<reqwest::Error>().is_some_and(reqwest::Error::is_timeout);
        next = error.source();
    }
    slow.then_some(Fault::NetTimeout)
}

/// The fault of an error of the system, or of what it carries.
pub(in crate::kinds) fn of_io(error: &io::Error) -> Option<Fault> {
    if let Some(inner) = error.get_ref() {
        let found = match inner.downcast_ref::<io::Error>() {
            Some(inner) => of_io(inner),
            None => of_one(inner),
        };
        if found.is_some() {
            return found;
        }
    }
    Some(match error.kind() {
        ErrorKind::ConnectionRefused => Fault::NetRefused,
        ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::UnexpectedEof => Fault::NetReset,
        ErrorKind::TimedOut => Fault::NetTimeout,
        ErrorKind::HostUnreachable
        | ErrorKind::NetworkUnreachable
        | ErrorKind::NetworkDown
        | ErrorKind::AddrNotAvailable => Fault::NetUnreachable,
        ErrorKind::NotFound | ErrorKind::NotADirectory => Fault::NotFound,
        ErrorKind::PermissionDenied => Fault::PermissionDenied,
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Fault::DiskFull,
        ErrorKind::ReadOnlyFilesystem => Fault::DiskBroken,
        ErrorKind::OutOfMemory => Fault::MemoryLow,
        _ => return of_number(error.raw_os_error()?),
    })
}

/// Numbers of the kernel that have no kind.
fn of_number(number: i32) -> Option<Fault> {
    use rustix::io::Errno;
    Some(match Errno::from_raw_os_error(number) {
        Errno::IO => Fault::DiskBroken,
        Errno::MFILE | Errno::NFILE => Fault::Handles,
        _ => return None,
    })
}

/// The fault of one error, whatever is behind it.
fn of_one(error: &(dyn Error + 'static)) -> Option<Fault> {
    if let Some(error) = error.downcast_ref::<NoAddress>() {
        return Some(error.fault());
    }
    error.downcast_ref::<rustls::Error>().map(of_tls)
}

/// The fault of a handshake.
pub(in crate::kinds) fn of_tls(error: &rustls::Error) -> Fault {
    match error {
        rustls::Error::InvalidCertificate(error) => match error {
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => Fault::CertExpired,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Fault::CertName
            }
            _ => Fault::CertUntrusted,
        },
        _ => Fault::CertUntrusted,
    }
}

/// The fault that a status tells; `None` of what is none.
pub(in crate::kinds) fn of_status(status: u16) -> Option<Fault> {
    Some(match status {
        401 | 407 => Fault::Refused,
        403 => Fault::PermissionDenied,
        404 | 410 => Fault::NotFound,
        429 => Fault::Throttled,
        400..=499 => Fault::BadRequest,
        500..=599 => Fault::ServerError,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_tell_their_fault_however_deep_they_are() {
        let refused = || io::Error::from(ErrorKind::ConnectionRefused);
        let tls = |error| io::Error::new(ErrorKind::InvalidData, rustls::Error::from(error));
        let no_name = NoAddress::of(&io::Error::other(
            "failed to lookup address information: Name or service not known",
        ));
        for (error, expected) in [
            (refused(), Some(Fault::NetRefused)),
            (io::Error::other(refused()), Some(Fault::NetRefused)),
            (tls(CertificateError::Expired), Some(Fault::CertExpired)),
            (tls(CertificateError::NotValidForName), Some(Fault::CertName)),
            (io::Error::other(tls(CertificateError::UnknownIssuer)), Some(Fault::CertUntrusted)),
            (io::Error::other(no_name), Some(Fault::NoSuchName)),
            (io::Error::from_raw_os_error(5), Some(Fault::DiskBroken)),
            (io::Error::from_raw_os_error(24), Some(Fault::Handles)),
            (io::Error::from_raw_os_error(28), Some(Fault::DiskFull)),
            (io::Error::from_raw_os_error(113), Some(Fault::NetUnreachable)),
            (io::Error::other("something"), None),
        ] {
            assert_eq!(of_io(&error), expected, "{error:?}");
            assert_eq!(of_error(&error), expected, "{error:?}");
        }
    }

    #[test]
    fn statuses_tell_theirs() {
        for (status, expected) in [
            (200, None),
            (302, None),
            (400, Some(Fault::BadRequest)),
            (401, Some(Fault::Refused)),
            (404, Some(Fault::NotFound)),
            (429, Some(Fault::Throttled)),
            (503, Some(Fault::ServerError)),
        ] {
            assert_eq!(of_status(status), expected, "{status}");
        }
    }
}
