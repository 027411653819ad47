//! Text to located values, and what to say when they are wrong.
//!
//! ```text
//! Source ──parse──▶ [Document] ──Decode──▶ typed sections        (section!, one_of!, words!)
//!    └──────────────────┴────────────────────▶ [Diagnostic] ──render──▶ human, JSON, SARIF, GitHub
//! ```
//!
//! Owns the only use of the YAML parser, the located tree, decoding that reports every mistake in one pass,
//! and the rendering of what it reports. Refuses to know jobs, files on disk and the terminal.

pub mod code;
pub mod decode;
pub mod diagnostic;
pub mod node;
mod parse;
pub mod render;
mod repair;
mod scalar;
pub mod source;
mod traps;

pub use crate::{one_of, section, words};
pub use code::Code;
pub use decode::{Decode, Decoder, Located, decode};
pub use diagnostic::{Diagnostic, Label, Region, Severity, arrange};
pub use node::{Document, Entry, Node, Value};
pub use parse::{MAX_ALIASED_VALUES, MAX_DEPTH, parse};
pub use source::{MAX_FILE_BYTES, Position, Source, Span};
pub use traps::{read_text, too_big};

#[cfg(test)]
mod tests;

#[cfg(test)]
mod properties;
