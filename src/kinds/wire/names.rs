//! From a host's name to its addresses.
//!
//! Owns the asking, which goes through the system's resolver and can take as long as that likes. Refuses to
//! know who connects.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::{fmt, io};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::threads::{NAMES, look};
use crate::model::Fault;

/// Why a name has no address, as the system's resolver tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NoAddress {
    words: String,
    fault: Fault,
}

impl NoAddress {
    /// The resolver tells its reason in words alone; they are the C library's, and the same in any locale,
    /// since this process sets none.
    pub(super) fn of(error: &io::Error) -> Self {
        let words = error.to_string();
        let missing = ["Name or service not known", "No address associated", "does not resolve"];
        let is_missing = missing.iter().any(|reason| words.contains(reason));
        let fault = if is_missing { Fault::NoSuchName } else { Fault::NameServer };
        Self { words, fault }
    }

    /// What is wrong.
    pub(super) fn fault(&self) -> Fault {
        self.fault
    }
}

impl fmt::Display for NoAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

impl std::error::Error for NoAddress {}

/// The addresses of a host.
pub(in crate::kinds) async fn look_up(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let host = host.to_owned();
    let found = look(&NAMES, move || (host.as_str(), port).to_socket_addrs());
    let found = found.await.map_err(io::Error::other)?;
    Ok(found.map_err(|error| io::Error::other(NoAddress::of(&error)))?.collect())
}

/// The same for HTTP clients.
#[derive(Debug)]
pub(in crate::kinds) struct Names;

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = look_up(name.as_str(), 0).await?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}
