//! The `disk` probe: how full a file system is.

use super::measure::{Measured, Quantity, Reading, Unit};
use super::probe::{Found, blocking};
use super::spec::Expectation;
use crate::kinds::wire::fault;
use crate::yaml::{Located, section};

/// What it measures.
pub(super) const MEASURES: &[(&str, Quantity)] =
    &[("used", Quantity::Bytes), ("free", Quantity::Bytes), ("inodes", Quantity::Counted)];

section! {
    /// A file system.
    pub struct DiskProbe {
        /// A path on it. A template.
        pub path: Located<String>,
    }
}

/// What is expected where nothing is said.
pub(super) fn defaults() -> Vec<Expectation> {
    ["used", "inodes"].map(|value| Expectation::below(value, 0.9, Unit::Share)).into()
}

/// Asks the kernel, off the async threads: a dead network file system does not answer.
pub(super) async fn read(path: String) -> Found {
    blocking(move || match rustix::fs::statvfs(path.as_str()) {
        Ok(answer) => Found::values(reading(&answer)),
        Err(error) => {
            let fault = fault::of_io(&error.into());
            Found::blind(format!("can't look at {path}: {error}"), fault)
        }
    })
    .await
}

/// Counts as `df` does: what only root may still fill is neither used nor free.
fn reading(answer: &rustix::fs::StatVfs) -> Reading {
    let bytes = |blocks: u64| blocks.saturating_mul(answer.f_frsize);
    let used = bytes(answer.f_blocks.saturating_sub(answer.f_bfree));
    let free = bytes(answer.f_bavail);
    let inodes = answer.f_files.saturating_sub(answer.f_ffree);
    Reading::default()
        .with("used", Measured::part(used, used + free, Unit::Bytes))
        .with("free", Measured::part(free, used + free, Unit::Bytes))
        .with("inodes", Measured::part(inodes, answer.f_files, Unit::Plain))
}
