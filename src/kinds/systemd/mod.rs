//! systemd on this host: its units over D-Bus, and its journal.
//!
//! ```text
//!  Buses ──one connection a bus──▶ unit::read ─▶ Unit (ActiveState, Result, NRestarts, memory)
//!  journal::Ask ──journalctl -o json──▶ Page (entries, and the cursor behind the last one)
//! ```
//!
//! Owns how systemd is asked. Refuses to judge what it says (`health::systemd`), to change anything, and to
//! keep a cursor for somebody.

mod bus;
pub mod journal;
mod memory;
mod unit;

pub use bus::{Bus, Buses, Scope, Trouble};
pub use unit::{Unit, full_name, name_problem, read};

#[cfg(test)]
#[path = "../../../tests/real/systemd.rs"]
pub(in crate::kinds) mod real;

#[cfg(test)]
mod tests;
