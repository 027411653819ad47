//! One job file: its bytes to jobs.
//!
//! Owns the reading of a file as a whole: refusals of the file itself, secrets in it, its documents, and
//! what other files may refer to. Refuses to know other files.

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
use crate::yaml::{self, Code, Decoder, Diagnostic, Located, Node, Source, Span};

/// What a file says.
#[derive(Debug)]
pub(super) struct Read {
    /// Its text, secrets masked; given up where nobody is expected to ask for it.
    pub text: Option<Source>,
    /// Its jobs, good or not.
    pub mentions: Vec<Mention>,
    /// The name of a job that it may have, where it can't be read far enough to know.
    pub guessed: Option<JobName>,
    /// What there is to say about it.
    pub diagnostics: Vec<Diagnostic>,
    /// Hash of its bytes.
    pub content: u64,
}

/// A job as it is written: what checks between files need of it.
#[derive(Debug)]
pub(super) struct Mention {
    /// Its name, if it has a legal one.
    pub name: Option<JobName>,
    /// Where the name stands, or the first key where the file's name is the job's.
    pub at: Span,
    /// The jobs that it waits for.
    pub after: Vec<Located<JobName>>,
    /// The job, if it is good by itself.
    pub job: Option<Arc<Job>>,
}

impl Read {
    fn empty(source: Source) -> Self {
        let (mentions, diagnostics) = (Vec::new(), Vec::new());
        Self { text: Some(source), mentions, guessed: None, diagnostics, content: 0 }
    }

    /// A file whose text can't be had.
    pub(super) fn refused(path: &Path, why: Diagnostic) -> Self {
        let stem = path.file_stem().map(|stem| stem.to_string_lossy());
        let name = stem.and_then(|stem| JobName::parse(&stem).ok());
        let source = Source::new(path.to_string_lossy(), "");
        Self { guessed: name, diagnostics: vec![why], ..Self::empty(source) }
    }

    /// Whether nothing in it is wrong.
    pub(super) fn is_good(&self) -> bool {
        !self.diagnostics.iter().any(Diagnostic::is_error)
    }

    /// The good jobs.
    pub(super) fn jobs(&self) -> impl Iterator<Item = &Arc<Job>> {
        self.mentions.iter().filter_map(|mention| mention.job.as_ref())
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
        for document in documents.iter().filter(|document| !document.broken) {
            self.document(&mut read, &document.root, stem.as_deref(), &mut masks);
        }
        if read.mentions.is_empty() && !read.is_good() {
            let root = documents.first().map(|document| &document.root);
            read.guessed = guess(root, stem.as_deref(), &source);
        }
        twice(&source, &mut read);
        read.text = Some(secret::hide(&source, &masks, &mut read.diagnostics));
        read
    }

    fn document(
        &mut self,
        read: &mut Read,
        root: &Node<'_>,
        stem: Option<&str>,
        masks: &mut Vec<Range<usize>>,
    ) {
        let mut cx = Decoder::new(read.text.as_ref().expect("it is given up later only"));
        checks::secrets(root, &mut cx, masks);
        read.mentions.extend(job::decode(self, root, stem, &mut cx));
        // What could not even be read is told once, not again for what stands in for it.
        let before: Vec<_> = read.diagnostics.iter().filter_map(|told| told.span).collect();
        let found = cx.finish().into_iter();
        let new = found.filter(|told| told.span.is_none_or(|span| !before.contains(&span)));
        read.diagnostics.extend(new);
    }
}

/// The name that a job probably has whose document can't be read.
fn guess(root: Option<&Node<'_>>, stem: Option<&str>, source: &Source) -> Option<JobName> {
    let given = root.and_then(|root| root.get("name"));
    let given = given.map(|entry| Decoder::new(source).written(&entry.value));
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
fn twice(source: &Source, read: &mut Read) {
    let mut first: HashMap<&str, Span> = HashMap::new();
    let mut found = Vec::new();
    for mention in &read.mentions {
        let Some(name) = mention.name.as_ref().map(JobName::as_str) else { continue };
        match first.get(name) {
            None => drop(first.insert(name, mention.at)),
            Some(before) => {
                let message = format!("two jobs in this file are called `{name}`");
                let mut twice = Diagnostic::new(Code::DuplicateName, source, mention.at, message);
                twice.label(*before, "the first one").help("rename one of the two");
                found.push(twice);
            }
        }
    }
    read.diagnostics.extend(found);
}
