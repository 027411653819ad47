//! A look at the jobs folder: from what was in force to what is in force now.
//!
//! Owns the rules of a reload. A file whose bytes did not change is not parsed again. A file takes effect
//! as a whole or not at all; one that turned bad keeps its last good jobs, and one that is gone takes its
//! jobs with it. A folder that can't be read changes nothing. Refuses to know who asks, and when.

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;

use super::catalog::{Catalog, FileState, JobFile};
use super::cross::{self, Candidate};
use super::file::{Read, Reader};
use super::hash::Hash;
use super::scan::{self, Listing, Unreadable};
use super::settings::Settings;
use crate::yaml::{Code, Diagnostic, arrange};

/// Reads the jobs folder. `now` is what a schedule must still be due after, to be worth having.
#[must_use]
pub fn load(settings: &Settings, now: Timestamp, previous: Option<&Catalog>) -> Catalog {
    let nothing = Catalog::default();
    let previous = previous.unwrap_or(&nothing);
    let listing = match scan::list(&settings.jobs_dir) {
        Ok(listing) => listing,
        Err(error) => {
            let trouble = unreadable(&settings.jobs_dir, &error, previous.jobs.len());
            return Catalog { trouble: Some(Arc::new(trouble)), ..previous.clone() };
        }
    };
    let basis = settings.basis();
    let mut reader = Reader::new(settings, now);
    let mut candidates: Vec<Candidate> = listing
        .files
        .iter()
        .filter_map(|path| look(path, previous, basis == previous.basis, &mut reader))
        .collect();
    cross::check(&mut candidates, &mut reader);
    let mut catalog = assemble(candidates);
    catalog.basis = basis;
    catalog.remarks = overlooked(&listing).collect();
    catalog
}

/// A file as it is now; `None` where it is gone.
fn look(
    path: &Path,
    previous: &Catalog,
    same_basis: bool,
    reader: &mut Reader<'_>,
) -> Option<Candidate> {
    let before = previous.files.get(path).cloned();
    let shared: Arc<Path> = before.as_ref().map_or_else(|| path.into(), |b| b.path.clone());
    let bytes = match scan::read(path) {
        Ok(bytes) => bytes,
        Err(Unreadable::Gone) => return None,
        Err(refused) => {
            let read = Read::refused(path, refused.diagnostic(path));
            return Some(Candidate::new(shared, before, Some(read)));
        }
    };
    let content = Hash::of(&bytes);
    let unchanged = |file: &Arc<JobFile>| file.state == FileState::Good && file.content == content;
    if same_basis && before.as_ref().is_some_and(unchanged) {
        return Some(Candidate::new(shared, before, None));
    }
    let read = reader.bytes(&shared, bytes);
    Some(Candidate::new(shared, before, Some(read)))
}

/// Puts each candidate's jobs into force: its new ones, or those that it had.
fn assemble(candidates: Vec<Candidate>) -> Catalog {
    let mut catalog = Catalog::default();
    for candidate in candidates {
        let file = candidate.settle();
        for job in &file.jobs {
            catalog.jobs.insert(job.name.clone(), job.clone());
        }
        catalog.files.insert(file.path.clone(), file);
    }
    catalog
}

impl Candidate {
    /// A file that may bring something new, or, without `read`, one that is as it was.
    pub(super) fn new(
        path: Arc<Path>,
        before: Option<Arc<JobFile>>,
        mut read: Option<Read>,
    ) -> Self {
        if let Some(read) = read.as_mut().filter(|read| read.is_good()) {
            // Thousands of texts at one time would cost more than reading one of them again.
            read.text = None;
        }
        Self { kept: read.is_none(), path, before, read, found: Vec::new() }
    }

    /// A file that was in force before, with its places at hand.
    pub(super) fn senior(path: Arc<Path>, read: Read) -> Self {
        let before = JobFile {
            path: path.clone(),
            state: FileState::Good,
            jobs: read.jobs().cloned().collect(),
            diagnostics: Vec::new(),
            content: read.content,
        };
        let before = Some(Arc::new(before));
        Self { kept: true, path, before, read: Some(read), found: Vec::new() }
    }

    /// The file as the catalog has it.
    pub(super) fn settle(self) -> Arc<JobFile> {
        if self.kept && self.found.is_empty() {
            return self.before.expect("a file is kept only as it was before");
        }
        let fresh = self.is_fresh();
        let jobs = self.jobs().cloned().collect();
        let (content, mut diagnostics) =
            self.read.map_or((0, Vec::new()), |read| (read.content, read.diagnostics));
        diagnostics.extend(self.found);
        arrange(&mut diagnostics);
        let state = if fresh { FileState::Good } else { FileState::Bad };
        Arc::new(JobFile { path: self.path, state, jobs, diagnostics, content })
    }
}

fn unreadable(folder: &Path, error: &std::io::Error, jobs: usize) -> Diagnostic {
    let words = scan::words(error);
    let message = format!("the jobs folder cannot be read: {words}");
    let mut reported = Diagnostic::of_file(Code::JobsDirMissing, folder.to_string_lossy(), message);
    reported.help(match jobs {
        0 => {
            "create it, or name another one with `--jobs-dir` or `jobs_dir` in jada.yaml".to_owned()
        }
        _ => format!("restore it; until then its {jobs} jobs stay in force as they were"),
    });
    reported
}

/// Says of each folder in the jobs folder that holds job files that they are not read.
fn overlooked(listing: &Listing) -> impl Iterator<Item = Diagnostic> {
    listing.overlooked.iter().map(|folder| {
        let message = "the job files in this folder are not read";
        let mut told = Diagnostic::of_file(Code::Overlooked, folder.to_string_lossy(), message);
        told.help("move them up: job files stand directly in the jobs folder");
        told
    })
}
