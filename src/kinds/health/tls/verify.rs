//! Who says whether a certificate convinces, without ending the handshake over it.
//!
//! Owns the witness: it asks the system's verifier, or one with authorities of its own, keeps the answer and lets
//! the handshake go on. Refuses to be used for anything but a look: nothing is ever sent over such a connection.

use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use rustls_platform_verifier::Verifier;

use crate::kinds::wire::{FILES, look};

/// The system's authorities, read once: they are most of what a handshake needs of memory.
static SYSTEM: OnceLock<Result<Arc<Verifier>, String>> = OnceLock::new();

/// What was shown, and what the verifier has against it.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// The server's own certificate.
    pub(super) leaf: Vec<u8>,
    /// Why it does not convince, where it does not.
    pub(super) trouble: Option<Error>,
}

/// A verifier that keeps its verdict to itself.
#[derive(Debug)]
pub(super) struct Witness {
    verifier: Arc<dyn ServerCertVerifier>,
    seen: Mutex<Option<Seen>>,
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

impl Witness {
    /// One that asks the system's verifier, or one with the authorities of this file.
    pub(super) async fn of(authorities: Option<&Path>) -> Result<Self, String> {
        let path = authorities.map(Path::to_owned);
        let verifier = look(&FILES, move || match path {
            Some(path) => own(&path),
            None => SYSTEM
                .get_or_init(|| {
                    let made = Verifier::new(provider()).map(Arc::new);
                    made.map_err(|error| format!("can't read the system's authorities: {error}"))
                })
                .clone()
                .map(|verifier| verifier as Arc<dyn ServerCertVerifier>),
        });
        Ok(Self { verifier: verifier.await??, seen: Mutex::new(None) })
    }

    /// What was seen, if it came to that.
    pub(super) fn seen(&self) -> Option<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A verifier with the authorities of a PEM file.
fn own(path: &Path) -> Result<Arc<dyn ServerCertVerifier>, String> {
    let told = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let bytes = std::fs::read(path).map_err(|error| told(&error))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&bytes) {
        let certificate = certificate.map_err(|error| told(&error))?;
        roots.add(certificate).map_err(|error| told(&error))?;
    }
    if roots.is_empty() {
        return Err(told(&"there is no certificate in it"));
    }
    let built = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build();
    built.map(|verifier| verifier as Arc<dyn ServerCertVerifier>).map_err(|error| told(&error))
}

/// How a look shakes hands.
pub(super) fn config(witness: Arc<Witness>) -> Result<ClientConfig, Error> {
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(witness)
        .with_no_client_auth();
    Ok(config)
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verdict = self.verifier.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        let seen = Seen { leaf: end_entity.to_vec(), trouble: verdict.err() };
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

/// Why a certificate does not convince, in words.
pub(super) fn words(error: &Error, name: &str, is_its_own_authority: bool) -> String {
    let Error::InvalidCertificate(error) = error else {
        return format!("the certificate does not convince: {error}");
    };
    match error {
        CertificateError::UnknownIssuer | CertificateError::Other(_) if is_its_own_authority => {
            "the certificate is signed by itself, and nobody whom we trust vouches for it"
                .to_owned()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the certificate has expired".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the certificate is not valid yet".to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("the certificate is not for {name}")
        }
        CertificateError::UnknownIssuer => {
            "nobody whom we trust vouches for the certificate".to_owned()
        }
        CertificateError::Revoked => "the certificate was revoked".to_owned(),
        other => format!("the certificate does not convince: {other}"),
    }
}
