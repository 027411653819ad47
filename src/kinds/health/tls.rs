//! The `tls` probe: what certificate a server shows, whom it convinces, and for how long.
//!
//! Owns the handshake, and what of the certificate is measured. The certificate is read whether it convinces or
//! not: that it has expired is no reason not to say when. Refuses to send anything.

mod shown;
mod verify;

use std::sync::Arc;

use jiff::Timestamp;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;

use super::condition::{Comparison, Condition};
use super::measure::{Measured, Quantity, Reading, Unit};
use super::probe::{Cause, Found, Verdict};
use super::spec::Expectation;
use super::tcp;
use crate::clock::Clock;
use crate::kinds::wire::fault;
use crate::model::Fault;
use crate::yaml::{Located, section};
use shown::Leaf;
use verify::Witness;

/// What it measures.
pub(super) const MEASURES: &[(&str, Quantity)] = &[
    ("valid", Quantity::Flag),
    ("left", Quantity::Time),
    ("days", Quantity::Number),
    ("issuer", Quantity::Text),
    ("subject", Quantity::Text),
    ("names", Quantity::Text),
    ("latency", Quantity::Time),
];

const DAY: f64 = 86_400.0;

section! {
    /// A server's certificate.
    pub struct TlsProbe {
        /// The host and the port, as in `example.com:443`. A template.
        pub address: Located<String>,
        /// The name that the certificate must be for, where it is not the host's. A template.
        pub server_name: Option<Located<String>>,
        /// A PEM file with whom to trust instead of the system's authorities; a relative path counts from the
        /// job's working directory. A template.
        pub ca: Option<Located<String>>,
    }
}

/// What must hold where nothing is said: that there is time to mend it.
pub(super) fn defaults() -> Vec<Expectation> {
    vec![left(3.0)]
}

/// What should hold where nothing is said.
pub(super) fn warnings() -> Vec<Expectation> {
    vec![left(14.0)]
}

fn left(days: f64) -> Expectation {
    let condition = Condition::Compare(Comparison::AtLeast, days * DAY, Unit::Time);
    Expectation { value: "left".to_owned(), condition }
}

/// Whom to ask, everything filled in.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    /// The address.
    pub(super) address: String,
    /// The name on the certificate, where it is not the host's.
    pub(super) name: Option<String>,
    /// The file of authorities, where it is not the system's.
    pub(super) authorities: Option<std::path::PathBuf>,
}

/// Shakes hands, and hangs up. `has_opinion` says that the check itself says whether the certificate must
/// convince.
pub(super) async fn read(peer: &Peer, has_opinion: bool, clock: &dyn Clock) -> Found {
    if let Some((message, help)) = tcp::problem(&peer.address) {
        return Found::blind(format!("{message}; {help}"), Fault::Configuration);
    }
    let host = tcp::parts(&peer.address).map_or("", |(host, _)| host);
    let name = peer.name.as_deref().unwrap_or(host).to_owned();
    let Ok(server) = ServerName::try_from(name.clone()) else {
        return Found::blind(format!("`{name}` is no name of a server"), Fault::Configuration);
    };
    let witness = match Witness::of(peer.authorities.as_deref()).await {
        Ok(witness) => Arc::new(witness),
        Err(words) => return Found::blind(words, Fault::Configuration),
    };
    let config = match verify::config(Arc::clone(&witness)) {
        Ok(config) => config,
        Err(error) => return Found::unknown(format!("can't set up TLS: {error}")),
    };
    let start = clock.passed();
    if let Err(error) = shake(&peer.address, server, config).await {
        let fault = fault::of_io(&error).unwrap_or(Fault::CertUntrusted);
        return Found::down(format!("no handshake with {}: {error}", peer.address), fault);
    }
    let latency = clock.passed().saturating_sub(start);
    let Some(seen) = witness.seen() else {
        return Found::down(format!("{} shows no certificate", peer.address), Fault::CertUntrusted);
    };
    let reading = measured(&seen.leaf, seen.trouble.is_none(), clock.now());
    let reading = reading.with("latency", Measured::time(latency));
    match seen.trouble {
        None => Found::values(reading),
        Some(error) if has_opinion => Found::Values(reading, Cause::of(fault::of_tls(&error))),
        Some(error) => {
            let alone = Leaf::read(&seen.leaf).is_ok_and(|leaf| leaf.subject == leaf.issuer);
            let words = verify::words(&error, &name, alone);
            Found::Judged(Verdict::Fail, words, reading, Cause::of(fault::of_tls(&error)))
        }
    }
}

async fn shake(
    address: &str,
    server: ServerName<'static>,
    config: ClientConfig,
) -> std::io::Result<()> {
    let stream = tcp::connect(address).await?;
    TlsConnector::from(Arc::new(config)).connect(server, stream).await.map(drop)
}

fn measured(der: &[u8], valid: bool, now: Timestamp) -> Reading {
    let reading = Reading::default().with("valid", Measured::Flag(valid));
    match Leaf::read(der) {
        Ok(leaf) => {
            let left = leaf.left(now);
            reading
                .with("left", Measured::time(left))
                .with("days", Measured::Number((left.as_secs_f64() / DAY).floor(), Unit::Plain))
                .with("issuer", Measured::Text(leaf.issuer))
                .with("subject", Measured::Text(leaf.subject))
                .with("names", Measured::Text(leaf.names.join(", ")))
        }
        Err(why) => ["left", "days", "issuer", "subject", "names"]
            .into_iter()
            .fold(reading, |reading, name| reading.with(name, Measured::Missing(why.clone()))),
    }
}

#[cfg(test)]
mod tests;
