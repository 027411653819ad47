//! The `tcp` probe: whether a port takes connections, and how fast.

use std::io;

use tokio::net::TcpStream;

use super::measure::{Measured, Quantity, Reading};
use super::probe::Found;
use crate::clock::Clock;
use crate::kinds::wire::{fault, look_up};
use crate::yaml::{Located, section};

/// What it measures.
pub(super) const MEASURES: &[(&str, Quantity)] = &[("latency", Quantity::Time)];

section! {
    /// A TCP connection.
    pub struct TcpProbe {
        /// The host and the port, as in `db.example.com:5432`. A template.
        pub address: Located<String>,
    }
}

/// What is wrong with an address, with the way out.
pub(super) fn problem(address: &str) -> Option<(String, &'static str)> {
    let help = "write it like `db.example.com:5432` or `[::1]:5432`";
    let Some((host, port)) = address.rsplit_once(':') else {
        return Some((format!("`{address}` has no port"), help));
    };
    if port.parse::<u16>().is_ok_and(|port| port > 0) {
        let bracketed = host.starts_with('[') && host.ends_with(']');
        let good = !host.is_empty() && (bracketed || !host.contains([':', '/', ' ']));
        return (!good).then(|| (format!("`{host}` is no host"), help));
    }
    Some((format!("`{port}` is no port"), help))
}

/// The host and the port of an address; the host without brackets.
pub(super) fn parts(address: &str) -> Option<(&str, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    Some((host.trim_matches(['[', ']']), port.parse().ok()?))
}

/// Connects, and hangs up at once.
pub(super) async fn read(address: &str, clock: &dyn Clock) -> Found {
    if let Some((message, help)) = problem(address) {
        return Found::unknown(format!("{message}; {help}"));
    }
    let start = clock.passed();
    match connect(address).await {
        Ok(_) => {
            let latency = clock.passed().saturating_sub(start);
            Found::values(Reading::default().with("latency", Measured::time(latency)))
        }
        Err(error) => {
            Found::down(format!("can't connect to {address}: {error}"), fault::of_io(&error))
        }
    }
}

pub(super) async fn connect(address: &str) -> io::Result<TcpStream> {
    let (host, port) = parts(address).ok_or(io::ErrorKind::InvalidInput)?;
    let found = look_up(host, port).await?;
    TcpStream::connect(found.as_slice()).await
}

#[cfg(test)]
mod tests {
    use super::problem;

    #[test]
    fn addresses_are_a_host_and_a_port() {
        for good in ["localhost:80", "10.0.0.1:65535", "[::1]:5432", "db-1.example.com:1"] {
            assert_eq!(problem(good), None, "{good}");
        }
        for bad in [
            "",
            "localhost",
            ":80",
            "localhost:",
            "localhost:0",
            "localhost:65536",
            "::1:80",
            "http://x:80",
            "a b:80",
        ] {
            assert!(problem(bad).is_some(), "{bad}");
        }
    }
}
