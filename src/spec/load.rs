//! A look at the jobs folder: from what was in force to what is in force now.
//!
//! Owns the rules of a reload. A file whose bytes did not change is not parsed again. A file takes effect
//! as a whole or not at all; one that turned bad keeps its last good jobs, and one that is gone takes its
//! jobs with it. A folder that can't be read changes nothing. A start is a reload too: what was in force
//! before it is known by the kept copies. Refuses to know who asks, and when.

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;

use super::catalog::{Catalog, FileState, JobFile};
use super::cross::{self, Candidate};
use super::file::{Read, Reader};
use super::hash::Hash;
use super::kept::{Accepted, Index, Kept};
use super::scan::{self, Listing, Unreadable};
use super::settings::Settings;
use crate::yaml::{Code, Diagnostic, arrange};

/// Reads the jobs folder. `now` is what a schedule must still be due after, to be worth having.
#[must_use]
pub fn load(settings: &Settings, now: Timestamp, previous: Option<&Catalog>) -> Catalog {
    let nothing = Catalog::default();
    let previous = previous.unwrap_or(&nothing);
    let same_basis = settings.basis() == previous.basis;
    let look = |path: &Path, reader: &mut Reader<'_>| look(path, previous, same_basis, reader);
    gather(settings, now, previous, look)
}

/// Reads the jobs folder for the first time since the daemon started: a file that is bad now serves the
/// version that was in force before, if a copy of it was kept.
#[must_use]
pub fn start(settings: &Settings, now: Timestamp, kept: &Kept) -> Catalog {
    let index = kept.index();
    let look = |path: &Path, reader: &mut Reader<'_>| look_first(path, (kept, &index), reader);
    gather(settings, now, &Catalog::default(), look)
}

fn gather(
    settings: &Settings,
    now: Timestamp,
    previous: &Catalog,
    look: impl Fn(&Path, &mut Reader<'_>) -> Option<Candidate>,
) -> Catalog {
    let listing = match scan::list(&settings.jobs_dir) {
        Ok(listing) => listing,
        Err(error) => {
            let trouble = unreadable(&settings.jobs_dir, &error, previous.jobs.len());
            return Catalog { trouble: Some(Arc::new(trouble)), ..previous.clone() };
        }
    };
    let basis = settings.basis();
    let mut reader = Reader::new(settings, now);
    let mut candidates: Vec<Candidate> =
        listing.files.iter().filter_map(|path| look(path, &mut reader)).collect();
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

/// A file at a start. One that is as it was accepted is in force; for another one, its copy says what was.
fn look_first(
    path: &Path,
    (kept, index): (&Kept, &Index),
    reader: &mut Reader<'_>,
) -> Option<Candidate> {
    let path: Arc<Path> = path.into();
    let read = reader.read(&path)?;
    let copy = match kept.of(index, &path) {
        Some(copy) if copy.content != read.content => copy,
        Some(_) if read.is_good() => return Some(Candidate::senior(path, read)),
        Some(_) | None => return Some(Candidate::new(path, None, Some(read))),
    };
    let (before, spoiled) = match recall(&path, (kept, copy), reader) {
        Ok(before) => (Some(before), None),
        Err(why) => (None, Some(spoiled(&path, &kept.path(copy), &why))),
    };
    Some(Candidate { spoiled, ..Candidate::new(path, before, Some(read)) })
}

/// A file as its copy has it, or why that can't be used.
fn recall(
    path: &Arc<Path>,
    (kept, copy): (&Kept, &Accepted),
    reader: &mut Reader<'_>,
) -> Result<Arc<JobFile>, String> {
    let read = reader.bytes(path, kept.read(copy)?);
    match read.diagnostics.iter().find(|told| told.is_error()) {
        None => Ok(Arc::new(JobFile::accepted(path.clone(), &read))),
        Some(error) => Err(format!("this version of jada-agent refuses it: {}", error.message)),
    }
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
        let told = |file: &Arc<JobFile>| {
            file.diagnostics.iter().find(|told| told.code == Code::CopyUnusable).cloned()
        };
        let spoiled = before.as_ref().and_then(told);
        Self { kept: read.is_none(), path, before, read, found: Vec::new(), spoiled }
    }

    /// A file that was in force before as it is now.
    pub(super) fn senior(path: Arc<Path>, read: Read) -> Self {
        let before = Some(Arc::new(JobFile::accepted(path.clone(), &read)));
        Self { kept: true, ..Self::new(path, before, Some(read)) }
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
        diagnostics.extend(self.spoiled.filter(|_| !fresh));
        arrange(&mut diagnostics);
        let state = if fresh { FileState::Good } else { FileState::Bad };
        Arc::new(JobFile { path: self.path, state, jobs, diagnostics, content })
    }
}

impl JobFile {
    /// A file whose content is in force.
    fn accepted(path: Arc<Path>, read: &Read) -> Self {
        let (state, jobs) = (FileState::Good, read.jobs().cloned().collect());
        Self { path, state, jobs, diagnostics: read.diagnostics.clone(), content: read.content }
    }
}

fn spoiled(file: &Path, copy: &Path, why: &str) -> Diagnostic {
    let message = format!("the copy of this file's last good version cannot be used: {why}");
    let mut told = Diagnostic::of_file(Code::CopyUnusable, file.to_string_lossy(), message);
    told.help(format!(
        "nothing of this file runs until its errors are mended; the copy is {}",
        copy.display()
    ));
    told
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
