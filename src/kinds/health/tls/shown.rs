//! A certificate, as it was shown.
//!
//! Owns what is read of it: until when it is good, for whom, by whom. Refuses to believe it, and to fall over
//! one that nobody should have made.

use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// Most names of one certificate that are kept, and most bytes of one.
const NAMES: usize = 100;
const NAME: usize = 256;

/// What is read of a server's own certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Leaf {
    /// Whom it is for.
    pub(super) subject: String,
    /// Who made it.
    pub(super) issuer: String,
    /// The hosts that it is for.
    pub(super) names: Vec<String>,
    until: Duration,
}

impl Leaf {
    /// Reads one.
    pub(super) fn read(der: &[u8]) -> Result<Self, String> {
        let read = Certificate::from_der(der);
        let read = read.map_err(|error| format!("the certificate can't be read: {error}"))?;
        let content = &read.tbs_certificate;
        let names = content.filter::<SubjectAltName>().filter_map(Result::ok);
        let names = names.flat_map(|(_, names)| names.0).filter_map(|name| host(&name));
        Ok(Self {
            subject: short(&content.subject.to_string()),
            issuer: short(&content.issuer.to_string()),
            names: names.take(NAMES).collect(),
            until: content.validity.not_after.to_unix_duration(),
        })
    }

    /// How long it is still good.
    pub(super) fn left(&self, now: Timestamp) -> Duration {
        let passed = now.duration_since(Timestamp::UNIX_EPOCH);
        let passed = Duration::try_from(passed).unwrap_or_default();
        self.until.saturating_sub(passed)
    }
}

fn host(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::DnsName(name) => Some(short(name.as_str())),
        GeneralName::IpAddress(bytes) => {
            let bytes = bytes.as_bytes();
            let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
            let ip = v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from));
            ip.ok().map(|ip| ip.to_string())
        }
        _ => None,
    }
}

fn short(text: &str) -> String {
    text.chars().take(NAME).collect()
}
