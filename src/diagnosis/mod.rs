//! From symptoms to the root cause: the evidence graph behind `jadactl doctor`.
//!
//! Owns the answer to "what is it, since when, by what proof, what does it hit, what is it not, what mends
//! it". Refuses to change anything: it reads the store and the host, and asks the world only what is safe.
//!
//! ```text
//!  definitions ──▶ graph ─┐
//!  store, host ──▶ snapshot ──▶ evidence ──▶ correlate ──▶ walk ──▶ judge ──▶ Diagnosis ──▶ text, JSON
//!  unknown nodes ◀── probes ──┘                                      (pure from evidence on)
//! ```
//!
//! A fault travels only along edges that fit it, so a loud noise elsewhere is no cause of a quiet bug here. The
//! engine asks [`root_of`] with the same graph, so the page says what the doctor says.

pub mod answer;
mod cited;
pub mod correlate;
pub mod evidence;
pub mod graph;
pub mod impact;
pub mod judge;
pub mod probes;
pub mod recurrence;
pub mod snapshot;
pub mod text;
pub mod walk;
pub mod words;

pub use answer::Diagnosis;
pub use judge::{Case, diagnose, root_of};

#[cfg(test)]
mod tests;
