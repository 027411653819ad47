//! `jadactl validate`: everything that is wrong, without putting anything into force.
//!
//! Owns what a path stands for: a job file, a folder of them, a folder with a `jada.yaml`, or settings,
//! under that name or another. Refuses to print.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use super::catalog::{Catalog, FileState, JobFile};
use super::config::{self, Config, FILE};
use super::cross::{self, Candidate};
use super::crowd;
use super::file::Reader;
use super::kept::Kept;
use super::load::load;
use super::scan;
use super::settings::Settings;
use crate::yaml::{Code, Diagnostic, arrange};

/// What a check came to.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    /// Files that were checked.
    pub files: usize,
    /// Good jobs in them.
    pub jobs: usize,
    /// What there is to say, in the order of files and places.
    pub diagnostics: Vec<Diagnostic>,
    /// Files with errors whose last good version a daemon has kept, and runs on.
    pub kept: Vec<Arc<Path>>,
}

impl Checked {
    /// Whether anything is wrong, warnings aside.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(Diagnostic::is_error)
    }
}

/// Checks files and folders under the settings of `config`; without any path, that file and the jobs
/// folder that it names.
#[must_use]
pub fn check(paths: &[PathBuf], config: &Config, now: Timestamp) -> Checked {
    let mut checked = Checked::default();
    if paths.is_empty() {
        checked.whole(config, now);
    }
    let mut files = Vec::new();
    for path in paths {
        if path.file_name().is_some_and(|name| name == FILE) {
            checked.config(&config::read(path));
        } else if path.join(FILE).is_file() {
            checked.whole(&config::read(&path.join(FILE)), now);
        } else if path.is_dir() {
            let settings = Settings { jobs_dir: path.clone(), ..config.settings.clone() };
            let _catalog = checked.folder(&settings, now);
        } else if config::is_settings(path) {
            checked.config(&config::read(path));
        } else {
            files.push(path.clone());
        }
    }
    checked.files(&files, &config.settings, now);
    arrange(&mut checked.diagnostics);
    checked
}

impl Checked {
    fn config(&mut self, config: &Config) {
        self.files += usize::from(config.file.is_some());
        self.diagnostics.extend(config.diagnostics.iter().cloned());
    }

    /// Settings with the jobs folder that they name.
    fn whole(&mut self, config: &Config, now: Timestamp) {
        self.config(config);
        let catalog = self.folder(&config.settings, now);
        // A job that can't be read may be the one that uses it.
        if catalog.trouble.is_some() || catalog.bad_files().next().is_some() {
            return;
        }
        let used: HashSet<_> = catalog.jobs.values().flat_map(|job| job.credentials()).collect();
        let unused = config.unused.iter().filter(|(name, _)| !used.contains(name));
        self.diagnostics.extend(unused.map(|(_, told)| told.clone()));
    }

    fn folder(&mut self, settings: &Settings, now: Timestamp) -> Catalog {
        let catalog = load(settings, now, None);
        self.files += catalog.files.len();
        self.jobs += catalog.jobs.len();
        self.note_kept(catalog.bad_files(), settings);
        self.diagnostics.extend(catalog.diagnostics().cloned());
        self.diagnostics.extend(crowd::lint(&catalog, settings, now));
        catalog
    }

    /// Checks single files beside those of the jobs folder, which they may refer to. A file of the same
    /// name there is the one that they would replace.
    fn files(&mut self, files: &[PathBuf], settings: &Settings, now: Timestamp) {
        if files.is_empty() {
            return;
        }
        let names: HashSet<_> = files.iter().filter_map(|path| path.file_name()).collect();
        let around = scan::list(&settings.jobs_dir).unwrap_or_default().files;
        let around =
            around.iter().filter(|path| path.file_name().is_none_or(|n| !names.contains(n)));
        let mut reader = Reader::new(settings, now);
        let mut candidates = Vec::new();
        for path in around {
            let path: Arc<Path> = path.as_path().into();
            // Who was there first is not to blame for a conflict.
            let read = reader.read(&path);
            candidates.extend(read.map(|read| Candidate::senior(path, read)));
        }
        let context = candidates.len();
        for path in files {
            let path: Arc<Path> = path.as_path().into();
            match reader.read(&path) {
                Some(read) => candidates.push(Candidate::new(path, None, Some(read))),
                None => {
                    let shown = path.to_string_lossy();
                    let mut missing =
                        Diagnostic::of_file(Code::Unreadable, shown, "there is no such file");
                    missing.help("check the path");
                    self.diagnostics.push(missing);
                }
            }
        }
        cross::check(&mut candidates, &mut reader);
        for candidate in candidates.drain(context..) {
            let file = candidate.settle();
            self.files += 1;
            self.jobs += file.jobs.len();
            self.diagnostics.extend(file.diagnostics.iter().cloned());
            self.note_kept(Some(&file).filter(|file| file.state == FileState::Bad), settings);
        }
    }

    fn note_kept<'a>(
        &mut self,
        bad: impl IntoIterator<Item = &'a Arc<JobFile>>,
        settings: &Settings,
    ) {
        let mut bad = bad.into_iter().peekable();
        if bad.peek().is_some() {
            let kept = Kept::at(&settings.data_dir);
            let index = kept.index();
            let paths = bad.map(|file| file.path.clone());
            self.kept.extend(paths.filter(|path| kept.of(&index, path).is_some()));
        }
    }
}
