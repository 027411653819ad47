//! `jobs.d` to [`Catalog`].

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::kinds::{Setting, Work};
use crate::model::{JobName, Policy, Revision};
use crate::plan::schedule::Schedule;

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
    pub file: PathBuf,
    /// The line there, from 1.
    pub line: u32,
}

/// All valid jobs now.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// By name.
    pub jobs: BTreeMap<JobName, Arc<Job>>,
}
