//! The stable hash behind revisions.
//!
//! Owns the algorithm: FNV-1a over 64 bits, published and fixed, so that a revision kept in the store
//! means the same after any upgrade (the standard library's hasher promises no such thing). Refuses to
//! know what is hashed. It is no protection against a forger, and nothing here needs one: a user who
//! forges a collision with a file of their own only keeps their own edit from being seen.

use crate::model::Revision;

const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// A running hash.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hash(u64);

impl Hash {
    /// The hash of nothing.
    pub(super) fn new() -> Self {
        Self(OFFSET)
    }

    /// The hash of some bytes alone.
    pub(super) fn of(bytes: &[u8]) -> u64 {
        let mut hash = Self::new();
        hash.bytes(bytes);
        hash.0
    }

    /// Adds bytes as they are; for several in a row use [`Hash::text`], which also adds the length.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(PRIME);
        }
    }

    /// Adds a text and its length, so that `ab`, `c` and `a`, `bc` differ.
    pub(super) fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.bytes(text.as_bytes());
    }

    /// Adds a number.
    pub(super) fn number(&mut self, number: u64) {
        self.bytes(&number.to_le_bytes());
    }

    /// What it comes to.
    pub(super) fn finish(self) -> u64 {
        self.0
    }

    /// What it comes to, as the revision of a definition.
    pub(super) fn revision(self) -> Revision {
        Revision(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_published_algorithm() {
        // From the algorithm's own page of test vectors.
        assert_eq!(Hash::of(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(Hash::of(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(Hash::of(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn tells_texts_apart_by_where_they_end() {
        let hash = |parts: &[&str]| {
            let mut hash = Hash::new();
            for part in parts {
                hash.text(part);
            }
            hash.finish()
        };
        assert_ne!(hash(&["ab", "c"]), hash(&["a", "bc"]));
    }
}
