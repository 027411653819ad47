//! `jobs.d` to [`Catalog`].
//!
//! Owns what a job file and `jada.yaml` may say, the references between them, and which version of a
//! file is in force. Refuses to know what becomes of a job (`engine/`) and how a kind reads its section
//! (`kinds/`). Reads files, and nothing else of the world: no clock, no async.

pub mod settings;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::kinds::{Setting, Work};
use crate::model::{JobName, Policy, Revision};
use crate::plan::schedule::Schedule;

pub use settings::Settings;

/// A valid job.
#[derive(Clone, Debug)]
pub struct Job {
    /// Its name.
    pub name: JobName,
    /// What it is for.
    pub description: String,
    /// Whether its schedule is in force.
    pub enabled: bool,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Hash of the definition.
    pub revision: Revision,
    /// Hash of what decides its slots: schedule, time zone, seed.
    pub schedule_revision: Revision,
    /// When it is due.
    pub schedule: Arc<Schedule>,
    /// What it promises.
    pub policy: Arc<Policy>,
    /// What it does.
    pub work: Arc<Work>,
    /// How it is done.
    pub setting: Arc<Setting>,
    /// Binding to credential.
    pub credentials: BTreeMap<String, String>,
    /// Where it is defined.
    pub file: Arc<Path>,
    /// The line there, from 1.
    pub line: u32,
}

/// All valid jobs now.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// By name.
    pub jobs: BTreeMap<JobName, Arc<Job>>,
    /// Every job file that exists or existed at the last look, by its path.
    pub files: BTreeMap<PathBuf, Arc<JobFile>>,
}

/// What is known of a job file.
#[derive(Clone, Debug)]
pub struct JobFile {
    /// Its path, as shown to people.
    pub path: Arc<Path>,
    /// Whether what stands in it now is in force.
    pub state: FileState,
    /// Its jobs in force: those of the last good version, which is none where there was no good one.
    pub jobs: Vec<Arc<Job>>,
}

/// Whether what stands in a file now is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileState {
    /// It is.
    Good,
    /// It has errors; [`JobFile::jobs`] are those of the last good version.
    Bad,
}
