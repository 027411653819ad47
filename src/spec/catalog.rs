//! What is in force: the jobs, and for each file whether it is what stands in it now.
//!
//! Owns the result of a look at the jobs folder as data. Refuses to look itself: that is `load`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::kinds::{Setting, Work};
use crate::model::{Binding, CredentialName, JobName, Policy, Revision};
use crate::plan::schedule::Schedule;
use crate::yaml::Diagnostic;

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
    pub labels: Arc<BTreeMap<String, String>>,
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
    /// The credentials that its programs get.
    pub bindings: Arc<[Binding]>,
    /// Where it is defined.
    pub file: Arc<Path>,
    /// The line there, from 1.
    pub line: u32,
}

impl Job {
    /// The credentials that it needs, each once or more often.
    pub fn credentials(&self) -> impl Iterator<Item = &CredentialName> {
        let bound = self.bindings.iter().map(|binding| &binding.credential);
        bound.chain(self.work.credentials())
    }
}

/// All valid jobs now, and the state of the files that they come from.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// The jobs in force, by name.
    pub jobs: BTreeMap<JobName, Arc<Job>>,
    /// Every job file seen at the last look, by its path.
    pub files: BTreeMap<Arc<Path>, Arc<JobFile>>,
    /// What is wrong with the jobs folder as a whole; everything stays in force meanwhile.
    pub trouble: Option<Arc<Diagnostic>>,
    /// What is worth saying although nothing is refused, and belongs to no single file.
    pub remarks: Vec<Diagnostic>,
    /// Hash of the settings that the files were read under: under other ones they are read again. 0 where
    /// none was read yet.
    pub(super) basis: u64,
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
    /// What there is to say about what stands in it now.
    pub diagnostics: Vec<Diagnostic>,
    /// Hash of the bytes.
    pub(super) content: u64,
}

/// Whether what stands in a file now is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileState {
    /// It is.
    Good,
    /// It has errors; [`JobFile::jobs`] are those of the last good version.
    Bad,
}

impl Catalog {
    /// Everything that there is to say, errors and warnings, in the order of the files.
    pub fn diagnostics(&self) -> impl Iterator<Item = &Diagnostic> {
        let of_files = self.files.values().flat_map(|file| &file.diagnostics);
        self.trouble.iter().map(AsRef::as_ref).chain(of_files).chain(&self.remarks)
    }

    /// Whether another look found the same.
    #[must_use]
    pub fn is_as(&self, other: &Self) -> bool {
        let files = |catalog: &Self| -> Vec<_> {
            let files = catalog.files.values();
            files.map(|file| (file.path.clone(), file.state, file.content)).collect()
        };
        self.trouble.is_some() == other.trouble.is_some() && files(self) == files(other)
    }

    /// Whether no look at the jobs folder has succeeded yet.
    #[must_use]
    pub fn is_unread(&self) -> bool {
        self.basis == 0
    }

    /// The files whose content is not in force.
    pub fn bad_files(&self) -> impl Iterator<Item = &Arc<JobFile>> {
        self.files.values().filter(|file| file.state == FileState::Bad)
    }
}

impl JobFile {
    /// The first error in the file, where it is bad.
    #[must_use]
    pub fn first_error(&self) -> Option<&Diagnostic> {
        self.diagnostics.iter().find(|diagnostic| diagnostic.is_error())
    }
}
