//! Sealing records, so that a copy of the disk gives nothing away.
//!
//! Owns age (X25519) and the identity that opens what it sealed. The identity does not lie beside the
//! records: it comes from where the declaration says, as a rule `$CREDENTIALS_DIRECTORY`. Refuses to fall
//! back: what is to be sealed is sealed, or it is an error.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use age::x25519;
use zeroize::Zeroizing;

use super::declare::{Declaration, Seal, SecretPlace};
use super::evidence::Evidence;
use super::folder::{Folder, Opener, store};
use super::providers::{World, read_place};
use super::secret::Secret;
use crate::model::CredentialName;

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

/// Where the identities of sealed records are, and what was found there last.
#[derive(Default)]
pub struct Keyholes(BTreeMap<CredentialName, Keyhole>);

struct Keyhole {
    place: SecretPlace,
    found: Arc<RwLock<Result<Secret, Evidence>>>,
}

impl Keyholes {
    /// Those of the credentials that are declared to be sealed.
    #[must_use]
    pub fn of<'d>(declarations: impl IntoIterator<Item = &'d Arc<Declaration>>) -> Self {
        let sealed = declarations.into_iter().filter_map(|declaration| {
            let Seal::Age(place) = declaration.seal.clone()?;
            let unread = store(format!("the identity in {} was not read", place.words()));
            let found = Arc::new(RwLock::new(Err(unread)));
            Some((declaration.name.clone(), Keyhole { place, found }))
        });
        Self(sealed.collect())
    }

    /// Looks again: an identity may have come, or changed.
    pub async fn look(&self, name: &CredentialName, world: &World) {
        let Some(keyhole) = self.0.get(name) else { return };
        let found = read_place(&keyhole.place, world).await.map_err(|evidence| {
            store(format!(
                "{} is sealed, and its identity is out of reach: {}",
                name, evidence.words
            ))
        });
        *keyhole.found.write().unwrap_or_else(PoisonError::into_inner) = found;
    }

    /// The folder, with these seals. Every identity is looked at.
    pub async fn on(&self, folder: Folder, world: &World) -> Folder {
        let mut openers: BTreeMap<CredentialName, Opener> = BTreeMap::new();
        for (name, keyhole) in &self.0 {
            self.look(name, world).await;
            let (found, words) = (Arc::clone(&keyhole.found), keyhole.place.words());
            let opener: Opener = Arc::new(move || {
                let found = found.read().unwrap_or_else(PoisonError::into_inner).clone()?;
                Identity::parse(&found, &words)
            });
            openers.insert(name.clone(), opener);
        }
        folder.sealing(openers)
    }
}
