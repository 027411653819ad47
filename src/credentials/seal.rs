//! Sealing records, so that a copy of the disk gives nothing away.
//!
//! Owns age (X25519) and the identity that opens what it sealed. The identity does not lie beside the
//! records: it comes from where the declaration says, as a rule `$CREDENTIALS_DIRECTORY`. Refuses to fall
//! back: what is to be sealed is sealed, or it is an error.

use age::x25519;
use zeroize::Zeroizing;

use super::evidence::Evidence;
use super::folder::store;
use super::secret::Secret;

/// How each sealed file begins.
const MAGIC: &[u8] = b"age-encryption.org/v1\n";

/// Opens and makes seals.
pub struct Identity(x25519::Identity);

impl Identity {
    /// Reads an identity, as `age-keygen` writes it: comments and one `AGE-SECRET-KEY-1…`.
    ///
    /// # Errors
    /// `place` holds no identity.
    pub fn parse(text: &Secret, place: &str) -> Result<Self, Evidence> {
        let lines = text.expose().lines().map(str::trim);
        let mut keys = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        let (key, more) = (keys.next(), keys.next());
        let wrong = |what: &str| {
            store(format!("{place} {what}: make an age identity with `age-keygen -o FILE`"))
        };
        match (key, more) {
            (None, _) => Err(wrong("is empty")),
            (Some(_), Some(_)) => Err(wrong("holds more than one line that is no comment")),
            (Some(key), None) => key.parse().map(Self).map_err(|_| wrong("holds no age identity")),
        }
    }

    /// A new identity, as text.
    #[must_use]
    pub fn generate() -> Secret {
        use age::secrecy::ExposeSecret;
        Secret::new(x25519::Identity::generate().to_string().expose_secret())
    }

    /// Seals bytes for this identity.
    pub(super) fn seal(&self, plain: &[u8]) -> Result<Vec<u8>, String> {
        age::encrypt(&self.0.to_public(), plain).map_err(|error| error.to_string())
    }

    /// Opens what was sealed for this identity.
    pub(super) fn open(&self, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, &'static str> {
        age::decrypt(&self.0, sealed).map(Zeroizing::new).map_err(|error| match error {
            age::DecryptError::NoMatchingKeys => "is sealed for another identity",
            _ => "is sealed, and damaged",
        })
    }
}

/// Whether the bytes are sealed.
pub(super) fn is_sealed(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}
