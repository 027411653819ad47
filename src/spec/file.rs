//! One job file: its bytes to drafts of jobs.
//!
//! Owns the reading of a file as a whole: refusals of the file itself, secrets in it, its documents, and
//! the names that it may define. Refuses to know other files.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;

use super::catalog::Job;
use super::hash::Hash;
use super::intern::Intern;
use super::paths::Lookups;
use super::scan::{self, Unreadable};
use super::secret;
use super::settings::Settings;
use super::{checks, job};
use crate::model::JobName;
use crate::yaml::{self, Code, Decoder, Diagnostic, Node, Source, Span};

/// What a file says.
#[derive(Debug)]
pub(super) struct Read {
    /// Its text, secrets masked.
    pub source: Source,
    /// Its good jobs.
    pub drafts: Vec<Draft>,
    /// The names of its jobs, the bad ones included, as far as they can be told.
    pub names: Vec<JobName>,
    /// What there is to say about it.
    pub diagnostics: Vec<Diagnostic>,
    /// Hash of its bytes.
    pub content: u64,
}

/// A good job, and the places that checks between files point at.
#[derive(Debug)]
pub(super) struct Draft {
    /// The job.
    pub job: Arc<Job>,
    /// The places.
    pub places: Places,
}

/// Where the parts of a job stand that other files have a say in.
#[derive(Debug)]
pub(super) struct Places {
    /// The name, or the first key where the file's name is the job's.
    pub name: Span,
    /// The names in `after`, in their order.
    pub after: Vec<Span>,
}

impl Read {
    fn empty(source: Source) -> Self {
        let (drafts, names, diagnostics) = (Vec::new(), Vec::new(), Vec::new());
        Self { source, drafts, names, diagnostics, content: 0 }
    }

    /// A file whose text can't be had.
    pub(super) fn refused(path: &Path, why: Diagnostic) -> Self {
        let stem = path.file_stem().map(|stem| stem.to_string_lossy());
        let name = stem.and_then(|stem| JobName::parse(&stem).ok());
        let source = Source::new(path.to_string_lossy(), "");
        Self { names: name.into_iter().collect(), diagnostics: vec![why], ..Self::empty(source) }
    }

    /// Whether nothing in it is wrong.
    pub(super) fn is_good(&self) -> bool {
        !self.diagnostics.iter().any(Diagnostic::is_error)
    }
}

/// Reads job files under the same settings.
pub(super) struct Reader<'a> {
    /// The settings.
    pub settings: &'a Settings,
    /// The time that "never" is counted from.
    pub now: Timestamp,
    /// Parts that jobs share.
    pub intern: Intern,
    /// What was found on disk.
    pub lookups: Lookups,
    /// The file that is read.
    pub file: Arc<Path>,
}

impl<'a> Reader<'a> {
    /// A reader that has read nothing yet.
    pub(super) fn new(settings: &'a Settings, now: Timestamp) -> Self {
        let file = Path::new("").into();
        Self { settings, now, intern: Intern::default(), lookups: Lookups::default(), file }
    }

    /// Reads a file; `None` where it is no longer there.
    pub(super) fn read(&mut self, path: &Arc<Path>) -> Option<Read> {
        match scan::read(path) {
            Ok(bytes) => Some(self.bytes(path, bytes)),
            Err(Unreadable::Gone) => None,
            Err(refused) => Some(Read::refused(path, refused.diagnostic(path))),
        }
    }

    /// Reads a file's bytes.
    pub(super) fn bytes(&mut self, path: &Arc<Path>, bytes: Vec<u8>) -> Read {
        self.file = path.clone();
        let content = Hash::of(&bytes);
        let read = match yaml::read_text(&path.to_string_lossy(), bytes) {
            Ok(source) => self.source(path, &source),
            Err(refused) => Read::refused(path, refused),
        };
        Read { content, ..read }
    }

    fn source(&mut self, path: &Path, source: &Source) -> Read {
        let (source, mut diagnostics) = secret::masked(source);
        let (documents, found) = yaml::parse(&source);
        diagnostics.extend(found);
        if documents.is_empty() && diagnostics.is_empty() {
            diagnostics.push(no_job(&source));
        }
        let mut read = Read { diagnostics, ..Read::empty(source.clone()) };
        let stem = path.file_stem().map(|stem| stem.to_string_lossy());
        let stem = stem.filter(|_| documents.len() <= 1);
        let mut masks = Vec::new();
        for document in &documents {
            read.names.extend(name_of(&document.root, stem.as_deref(), &source));
            if !document.broken {
                self.document(&mut read, &document.root, stem.as_deref(), &mut masks);
            }
        }
        if documents.is_empty() && !read.is_good() {
            read.names.extend(stem.as_deref().and_then(|stem| JobName::parse(stem).ok()));
        }
        twice(&mut read);
        read.source = secret::hide(&read.source, &masks, &mut read.diagnostics);
        read
    }

    fn document(
        &mut self,
        read: &mut Read,
        root: &Node<'_>,
        stem: Option<&str>,
        masks: &mut Vec<Range<usize>>,
    ) {
        let mut cx = Decoder::new(&read.source);
        checks::secrets(root, &mut cx, masks);
        let draft = job::decode(self, root, stem, &mut cx);
        read.drafts.extend(draft);
        // What could not even be read is told once, not again for what stands in for it.
        let before: Vec<_> = read.diagnostics.iter().filter_map(|told| told.span).collect();
        let found = cx.finish().into_iter();
        let new = found.filter(|told| told.span.is_none_or(|span| !before.contains(&span)));
        read.diagnostics.extend(new);
    }
}

/// The name of a document's job, good or not, as far as it can be told.
fn name_of(root: &Node<'_>, stem: Option<&str>, source: &Source) -> Option<JobName> {
    let given = root.get("name").map(|entry| Decoder::new(source).written(&entry.value));
    let name = given.unwrap_or_else(|| stem.map(str::to_owned))?;
    JobName::parse(&name).ok()
}

/// The finding about a file without any document.
fn no_job(source: &Source) -> Diagnostic {
    if source.text().trim().is_empty() {
        // An editor that truncates before it writes shows an empty file for a moment.
        let mut reported =
            Diagnostic::of_file(Code::EmptyFile, source.path(), "this file is empty");
        reported.help("write a job into it, or delete the file");
        return reported;
    }
    let message = "this file has comments only, and no job";
    let mut reported = Diagnostic::of_file(Code::NoJob, source.path(), message);
    reported.help("to keep a job from its schedule without losing it, set `enabled: false`");
    reported
}

/// Reports each name that the file gives to two jobs.
fn twice(read: &mut Read) {
    let mut first: HashMap<&str, Span> = HashMap::new();
    let mut found = Vec::new();
    for draft in &read.drafts {
        let (name, at) = (draft.job.name.as_str(), draft.places.name);
        match first.get(name) {
            None => drop(first.insert(name, at)),
            Some(before) => {
                let message = format!("two jobs in this file are called `{name}`");
                let mut twice = Diagnostic::new(Code::DuplicateName, &read.source, at, message);
                twice.label(*before, "the first one").help("rename one of the two");
                found.push(twice);
            }
        }
    }
    read.diagnostics.extend(found);
}
