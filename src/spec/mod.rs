//! `jobs.d` to [`Catalog`].
//!
//! ```text
//! jada.yaml ──config──▶ Settings ─┐
//! jobs.d ──scan──▶ bytes ──file──▶ job ──▶ drafts ──cross──▶ load ──▶ Catalog
//! ```
//!
//! Owns what a job file and `jada.yaml` may say, the references between them, and which version of a
//! file is in force. Refuses to know what becomes of a job (`engine/`) and how a kind reads its section
//! (`kinds/`). Reads files, and nothing else of the world: no clock, no async. Writes nothing but the copies
//! of accepted files (`kept`).

mod alerting;
mod bindings;
mod catalog;
mod check;
mod checks;
pub mod config;
mod cross;
mod crowd;
mod file;
mod forms;
mod graph;
mod hash;
pub mod heartbeat;
mod intern;
pub mod job;
mod kept;
mod load;
mod names;
mod normal;
mod notifiers;
mod paths;
pub mod policy;
mod reach;
mod scan;
pub mod schedule;
pub mod schema;
mod secret;
pub mod settings;

pub use catalog::{Catalog, FileState, Job, JobFile};
pub use check::{Checked, check};
pub use config::{Config, FILE};
pub use kept::Kept;
pub use load::{load, start};
pub use settings::Settings;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
