//! From a host's name to its addresses.
//!
//! Owns the asking, which goes through the system's resolver and can take as long as that likes. Refuses to
//! know who connects.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::threads::{NAMES, look};

/// The addresses of a host.
pub(in crate::kinds) async fn look_up(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let host = host.to_owned();
    let found = look(&NAMES, move || (host.as_str(), port).to_socket_addrs());
    Ok(found.await.map_err(io::Error::other)??.collect())
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
