//! How findings are shown.
//!
//! Owns the four forms: for people, JSON, SARIF and GitHub's workflow commands. Each takes findings that
//! [`arrange`](super::arrange) has put in order and gives a text; printing it is the caller's.

pub mod github;
pub mod human;
pub mod json;
pub mod sarif;

use std::borrow::Cow;
use std::fmt::Write as _;

use super::source::Source;

pub use github::github;
pub use human::human;
pub use json::{Finding, findings};
pub use sarif::sarif;

/// A message without what could steer a terminal; texts from files stand in messages.
pub(super) fn clean(text: &str) -> Cow<'_, str> {
    let harmless = |c: char| c == '\n' || !(c.is_control() || is_direction(c));
    if text.chars().all(harmless) {
        return Cow::Borrowed(text);
    }
    let escaped =
        |c: char| if harmless(c) { c.to_string() } else { c.escape_unicode().to_string() };
    Cow::Owned(text.chars().map(escaped).collect())
}

/// Marks that change the direction of text, with which a file could show other than it says.
fn is_direction(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The path as a URI reference: separators kept, everything unusual in percents.
pub(super) fn uri(source: &Source) -> String {
    let path = source.path();
    let mut uri = String::from(if path.starts_with('/') { "file://" } else { "" });
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' | b'~' => {
                uri.push(char::from(byte));
            }
            _ => write!(uri, "%{byte:02X}").expect("writing to a String"),
        }
    }
    uri
}

#[cfg(test)]
mod tests;
