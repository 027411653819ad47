//! What no file can know alone: names given twice, jobs that do not exist, circles.
//!
//! Owns the checks between files and the rule of who yields: what was in force before stays, and the
//! file that was edited into a conflict is the bad one. Refuses to know how a file is read.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use super::catalog::{Job, JobFile};
use super::file::{Draft, Read, Reader};
use super::graph;
use crate::model::JobName;
use crate::yaml::decode::nearest;
use crate::yaml::{Code, Diagnostic, Source, Span};

/// A file on its way into the catalog.
pub(super) struct Candidate {
    /// Its path.
    pub path: Arc<Path>,
    /// What was known of it before.
    pub before: Option<Arc<JobFile>>,
    /// What stands in it; of a file that is kept, read only once somebody asks for a place.
    pub read: Option<Read>,
    /// Whether it is as it was before, and good.
    pub kept: bool,
    /// What the checks between files found.
    pub found: Vec<Diagnostic>,
}

impl Candidate {
    /// Whether its new content is to be put into force, as far as is known by now.
    pub(super) fn is_fresh(&self) -> bool {
        !self.kept && self.read.as_ref().is_some_and(Read::is_good) && self.found.is_empty()
    }

    /// The jobs that it brings into force, as far as is known by now.
    pub(super) fn jobs(&self) -> Vec<&Arc<Job>> {
        match (&self.read, &self.before) {
            (Some(read), _) if self.is_fresh() => read.drafts.iter().map(|d| &d.job).collect(),
            (_, Some(before)) => before.jobs.iter().collect(),
            (_, None) => Vec::new(),
        }
    }

    /// The new definition of a job and where it stands, where there is one.
    fn draft(&self, name: &str) -> Option<(&Source, &Draft)> {
        let read = self.read.as_ref()?;
        let draft = read.drafts.iter().find(|draft| draft.job.name.as_str() == name)?;
        Some((&read.source, draft))
    }

    /// Makes the places of a kept file known.
    fn locate(&mut self, reader: &mut Reader<'_>) {
        if self.read.is_none() {
            self.read = reader.read(&self.path);
        }
    }
}

/// Checks all files against each other; what is wrong is added to the candidates.
pub(super) fn check(candidates: &mut [Candidate], reader: &mut Reader<'_>) {
    let mut found = unknown_jobs(candidates, reader);
    loop {
        found.extend(duplicates(candidates, reader));
        found.extend(circles(candidates, reader));
        if found.is_empty() {
            return;
        }
        // A file that is refused brings its last good jobs back, and those may conflict in turn. Each
        // round refuses at least one more file, so that there is an end.
        for (at, diagnostic) in found.drain(..) {
            candidates[at].found.push(diagnostic);
        }
    }
}

/// What is wrong, and with which candidate.
type Found = Vec<(usize, Diagnostic)>;

/// Refuses each file that waits for a job that no file defines. A job whose file is bad counts as
/// defined: its absence is told there.
fn unknown_jobs(candidates: &mut [Candidate], reader: &mut Reader<'_>) -> Found {
    let mut known: HashSet<JobName> = HashSet::new();
    for candidate in candidates.iter() {
        known.extend(candidate.jobs().into_iter().map(|job| job.name.clone()));
        let read = candidate.read.iter().flat_map(|read| &read.names);
        known.extend(read.cloned());
    }
    let mut found = Vec::new();
    for (at, candidate) in candidates.iter_mut().enumerate() {
        let misses = |job: &&Arc<Job>| job.policy.after.iter().any(|name| !known.contains(name));
        if candidate.jobs().iter().any(misses) {
            candidate.locate(reader);
            let read = candidate.read.iter();
            found.extend(read.flat_map(|read| unknown_in(read, &known)).map(|told| (at, told)));
        }
    }
    found
}

fn unknown_in(read: &Read, known: &HashSet<JobName>) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for draft in &read.drafts {
        for (name, at) in draft.job.policy.after.iter().zip(&draft.places.after) {
            if known.contains(name) {
                continue;
            }
            let message = format!("there is no job `{name}`");
            let mut unknown = Diagnostic::new(Code::UnknownJob, &read.source, *at, message);
            match nearest(name.as_str(), known.iter().map(JobName::as_str)) {
                Some(near) => unknown.help(format!("did you mean `{near}`?")),
                None => unknown.help("`after` takes names of jobs in the jobs folder"),
            };
            found.push(unknown);
        }
    }
    found
}

/// Refuses each file that defines a job which belongs to another one.
fn duplicates(candidates: &mut [Candidate], reader: &mut Reader<'_>) -> Found {
    let mut owners: HashMap<JobName, usize> = HashMap::new();
    let mut conflicts = Vec::new();
    for (rank, at, name) in by_seniority(candidates) {
        match owners.get(&name) {
            Some(&owner) if owner != at && rank > 0 => conflicts.push((at, owner, name)),
            Some(_) => {}
            None => drop(owners.insert(name, at)),
        }
    }
    let mut found = Vec::new();
    for (at, owner, name) in conflicts {
        candidates[owner].locate(reader);
        let told = duplicate(&candidates[at], &candidates[owner], &name);
        found.extend(told.map(|told| (at, told)));
    }
    found
}

/// The names that files bring into force, with the file's place, by right: what was in force before
/// stays; then comes who had the name before, then the order of the paths.
fn by_seniority(candidates: &[Candidate]) -> Vec<(u8, usize, JobName)> {
    let mut names = Vec::new();
    for (at, candidate) in candidates.iter().enumerate() {
        let before = candidate.before.as_ref().map_or(&[][..], |before| &before.jobs);
        let fresh = candidate.is_fresh();
        for job in candidate.jobs() {
            let had = || before.iter().any(|old| old.name == job.name);
            let rank = u8::from(fresh) + u8::from(fresh && !had());
            names.push((rank, at, job.name.clone()));
        }
    }
    names.sort_unstable();
    names
}

fn duplicate(candidate: &Candidate, owner: &Candidate, name: &JobName) -> Option<Diagnostic> {
    let (source, draft) = candidate.draft(name.as_str())?;
    let message = format!("the name `{name}` is taken by a job in {}", owner.path.display());
    let mut found = Diagnostic::new(Code::DuplicateName, source, draft.places.name, message);
    if let Some((source, draft)) = owner.draft(name.as_str()) {
        found.label_in(source, draft.places.name, format!("`{name}` is defined here"));
    }
    found.help("rename one of the two: a name stands for one job in the whole jobs folder");
    Some(found)
}

/// Refuses one file of each circle.
fn circles(candidates: &mut [Candidate], reader: &mut Reader<'_>) -> Found {
    let mut homes: HashMap<JobName, usize> = HashMap::new();
    let mut waits: BTreeMap<JobName, Vec<JobName>> = BTreeMap::new();
    for (at, candidate) in candidates.iter().enumerate() {
        for job in candidate.jobs().into_iter().filter(|job| !job.policy.after.is_empty()) {
            homes.insert(job.name.clone(), at);
            waits.insert(job.name.clone(), job.policy.after.clone());
        }
    }
    let edges: BTreeMap<&str, Vec<&str>> = waits
        .iter()
        .map(|(job, names)| (job.as_str(), names.iter().map(JobName::as_str).collect()))
        .collect();
    let home = |name: &str| homes[&JobName::parse(name).expect("it was a name before")];
    let mut found = Vec::new();
    for circle in graph::circles(&edges) {
        for name in &circle {
            candidates[home(name)].locate(reader);
        }
        // There is a fresh one, since what was in force before had no circle.
        let fresh = circle.iter().position(|name| candidates[home(name)].is_fresh());
        let Some(first) = fresh else { continue };
        let steps: Vec<Step<'_>> = (first..first + circle.len())
            .map(|at| (circle[at % circle.len()], circle[(at + 1) % circle.len()]))
            .map(|(name, next)| Step::new(&candidates[home(name)], name, next))
            .collect();
        found.extend(circle_found(&steps).map(|told| (home(steps[0].name), told)));
    }
    found
}

/// A job on a circle, the one that it waits for, and where it says so.
struct Step<'a> {
    name: &'a str,
    next: &'a str,
    place: Option<(Source, Span)>,
}

impl<'a> Step<'a> {
    fn new(candidate: &Candidate, name: &'a str, next: &'a str) -> Self {
        Self { name, next, place: waiting_place(candidate, name, next) }
    }
}

/// Where `name` says that it waits for `next`.
fn waiting_place(candidate: &Candidate, name: &str, next: &str) -> Option<(Source, Span)> {
    let (source, draft) = candidate.draft(name)?;
    let at = draft.job.policy.after.iter().position(|after| after.as_str() == next)?;
    Some((source.clone(), *draft.places.after.get(at)?))
}

fn circle_found(steps: &[Step<'_>]) -> Option<Diagnostic> {
    let (first, others) = steps.split_first()?;
    let (source, at) = first.place.as_ref()?;
    let message = if others.is_empty() {
        format!("`{}` waits for itself", first.name)
    } else {
        let names: Vec<&str> = steps.iter().map(|step| step.name).collect();
        let path = names.join(" after ");
        format!("jobs wait for each other in a circle: {path} after {}", first.name)
    };
    let mut found = Diagnostic::new(Code::AfterCycle, source, *at, message);
    for step in others {
        if let Some((source, at)) = &step.place {
            let text = format!("`{}` waits for `{}`", step.name, step.next);
            found.label_in(source, *at, text);
        }
    }
    found.help("take one of them out of `after`: none of these jobs could ever start");
    Some(found)
}
