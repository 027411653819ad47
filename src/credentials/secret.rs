//! Bytes that must not get out.
//!
//! Owns the one type that holds a secret: it shows nothing of itself, can't be serialized by accident, and
//! is wiped when it goes. Refuses to know where secrets come from and who gets them.

use std::fmt;

use zeroize::Zeroizing;

/// A secret text. Its `Debug` is a placeholder, it has no `Display` and no `Serialize`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a text in.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text itself. Each place that calls this hands the secret on: to the wire, to a file of ours,
    /// to a program that may have it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_nothing_of_itself() {
        assert_eq!(format!("{:?}", Secret::new("hunter2-hunter2")), "(secret)");
    }
}
