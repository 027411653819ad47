//! Instances of Amazon Lightsail: what the service tells of them, and how one gets into them.
//!
//! ```text
//!  Client ──POST, signed──▶ the service ─▶ state · newest value of a metric
//!                                       └▶ access: a temporary key in the run's private folder
//! ```
//!
//! Owns the three calls, what their errors mean, and the files of a temporary key. Refuses to judge an
//! instance (`health::lightsail`), to change anything of it, and to keep a key for longer than its run.

mod access;
mod client;
mod metric;

#[cfg(test)]
#[path = "../../../tests/lightsail/mod.rs"]
pub(in crate::kinds) mod fake;

#[cfg(test)]
#[path = "../../../tests/real/sshd.rs"]
pub(in crate::kinds) mod sshd;

pub(in crate::kinds) use access::Access;
pub(in crate::kinds) use client::{Client, Trouble, endpoint, region_problem};
pub(in crate::kinds) use metric::{METRICS, Metric};
