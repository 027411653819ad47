//! What no file can know alone: names given twice, jobs that do not exist, circles.
//!
//! Owns the checks between files and the rule of who yields: what was in force before stays, and the
//! file that was edited into a conflict is the bad one. Refuses to know how a file is read.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use super::catalog::{Job, JobFile};
use super::file::{Mention, Read, Reader};
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
    /// What to say of a last good version that can't serve, should the file be bad.
    pub spoiled: Option<Diagnostic>,
}

impl Candidate {
    /// Whether its new content is to be put into force, as far as is known by now.
    pub(super) fn is_fresh(&self) -> bool {
        !self.kept && self.read.as_ref().is_some_and(Read::is_good) && self.found.is_empty()
    }

    /// The jobs that it brings into force, as far as is known by now.
    pub(super) fn jobs(&self) -> impl Iterator<Item = &Arc<Job>> {
        let new = self.read.iter().filter(|_| self.is_fresh()).flat_map(Read::jobs);
        let old = self.before.iter().filter(|_| !self.is_fresh()).flat_map(|file| &file.jobs);
        new.chain(old)
    }

    /// The jobs as they are written in it, good or not, if it is not what it was before.
    fn written(&self) -> impl Iterator<Item = &Mention> {
        self.read.iter().filter(|_| !self.kept).flat_map(|read| &read.mentions)
    }

    /// Makes its text and its places known.
    fn locate(&mut self, reader: &mut Reader<'_>) {
        if self.read.as_ref().is_some_and(|read| read.text.is_some()) {
            return;
        }
        let Some(again) = reader.read(&self.path) else { return };
        match &mut self.read {
            Some(read) => (read.text, read.mentions) = (again.text, again.mentions),
            None => self.read = Some(again),
        }
    }

    /// Where a job stands in its text, once that is known.
    fn mention(&self, name: &str) -> Option<(&Source, &Mention)> {
        let read = self.read.as_ref()?;
        let named = |mention: &&Mention| mention.name.as_ref().is_some_and(|n| n.as_str() == name);
        Some((read.text.as_ref()?, read.mentions.iter().find(named)?))
    }
}

/// Checks all files against each other; what is wrong is added to the candidates.
pub(super) fn check(candidates: &mut [Candidate], reader: &mut Reader<'_>) {
    // What is written is looked at once, bad files included, so that every mistake is told.
    let mut found = unknown_jobs(candidates, reader);
    found.extend(duplicates(candidates, View::Written, reader));
    found.extend(circles(candidates, View::Written, reader));
    loop {
        for (at, diagnostic) in found.drain(..) {
            candidates[at].found.push(diagnostic);
        }
        // A file that is refused brings its last good jobs back, and those may conflict in turn. Each
        // round refuses at least one more file, so that there is an end.
        found.extend(duplicates(candidates, View::InForce, reader));
        found.extend(circles(candidates, View::InForce, reader));
        if found.is_empty() {
            return;
        }
    }
}

/// What is wrong, and with which candidate.
type Found = Vec<(usize, Diagnostic)>;

/// Which jobs are looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum View {
    /// Those that are written in the files, good or not.
    Written,
    /// Those that will be in force, as far as is known.
    InForce,
}

/// Refuses each file that waits for a job that no file defines. A job whose file is bad counts as
/// defined: its absence is told there.
fn unknown_jobs(candidates: &mut [Candidate], reader: &mut Reader<'_>) -> Found {
    let mut known: HashSet<JobName> = HashSet::new();
    for candidate in candidates.iter() {
        known.extend(candidate.jobs().map(|job| job.name.clone()));
        known.extend(candidate.written().filter_map(|mention| mention.name.clone()));
        known.extend(candidate.read.iter().filter_map(|read| read.guessed.clone()));
    }
    let mut found = Vec::new();
    for (at, candidate) in candidates.iter_mut().enumerate() {
        let in_force = candidate.jobs().filter(|_| candidate.kept);
        let mut waits_for = in_force
            .flat_map(|job| &job.policy.after)
            .chain(candidate.written().flat_map(|mention| &mention.after).map(|name| &name.value));
        if waits_for.any(|name| !known.contains(name)) {
            drop(waits_for);
            candidate.locate(reader);
            found.extend(unknown_in(candidate, &known).into_iter().map(|told| (at, told)));
        }
    }
    found
}

fn unknown_in(candidate: &Candidate, known: &HashSet<JobName>) -> Vec<Diagnostic> {
    let Some(read) = &candidate.read else { return Vec::new() };
    let Some(source) = &read.text else { return Vec::new() };
    let mut found = Vec::new();
    for name in read.mentions.iter().flat_map(|mention| &mention.after) {
        if known.contains(&name.value) {
            continue;
        }
        let message = format!("there is no job `{}`", name.value);
        let mut unknown = Diagnostic::new(Code::UnknownJob, source, name.span, message);
        match nearest(name.value.as_str(), known.iter().map(JobName::as_str)) {
            Some(near) => unknown.help(format!("did you mean `{near}`?")),
            None => unknown.help("`after` takes names of jobs in the jobs folder"),
        };
        found.push(unknown);
    }
    found
}

/// Refuses each file that defines a job which belongs to another one.
fn duplicates(candidates: &mut [Candidate], view: View, reader: &mut Reader<'_>) -> Found {
    let mut owners: HashMap<JobName, usize> = HashMap::new();
    let mut conflicts = Vec::new();
    for (rank, at, name) in by_seniority(candidates, view) {
        match owners.get(&name) {
            Some(&owner) if owner != at && rank != Rank::InForce => {
                conflicts.push((at, owner, name));
            }
            Some(_) => {}
            None => drop(owners.insert(name, at)),
        }
    }
    let mut found = Vec::new();
    for (at, owner, name) in conflicts {
        candidates[at].locate(reader);
        candidates[owner].locate(reader);
        let told = duplicate(&candidates[at], &candidates[owner], &name);
        found.extend(told.map(|told| (at, told)));
    }
    found
}

/// The right to a name: who comes first keeps it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// It was in force before, and stays so.
    InForce,
    /// The file had it before.
    Kept,
    /// It is new in the file.
    New,
    /// The file is bad.
    Bad,
}

/// The names in the files, with the file's place, by right and then in the order of the paths.
fn by_seniority(candidates: &[Candidate], view: View) -> Vec<(Rank, usize, JobName)> {
    let mut names = Vec::new();
    for (at, candidate) in candidates.iter().enumerate() {
        let had = |name: &JobName| {
            candidate.before.iter().any(|file| file.jobs.iter().any(|job| job.name == *name))
        };
        let fresh = candidate.is_fresh();
        for job in candidate.jobs() {
            let rank = match fresh {
                false => Rank::InForce,
                true if had(&job.name) => Rank::Kept,
                true => Rank::New,
            };
            names.push((rank, at, job.name.clone()));
        }
        if view == View::Written && !fresh {
            let written = candidate.written().filter_map(|mention| mention.name.clone());
            names.extend(written.filter(|name| !had(name)).map(|name| (Rank::Bad, at, name)));
        }
    }
    names.sort_unstable();
    names
}

fn duplicate(candidate: &Candidate, owner: &Candidate, name: &JobName) -> Option<Diagnostic> {
    let (source, mention) = candidate.mention(name.as_str())?;
    let message = format!("the name `{name}` is taken by a job in {}", owner.path.display());
    let mut found = Diagnostic::new(Code::DuplicateName, source, mention.at, message);
    if let Some((source, mention)) = owner.mention(name.as_str()) {
        found.label_in(source, mention.at, format!("`{name}` is defined here"));
    }
    found.help("rename one of the two: a name stands for one job in the whole jobs folder");
    Some(found)
}

/// Refuses one file of each circle.
fn circles(candidates: &mut [Candidate], view: View, reader: &mut Reader<'_>) -> Found {
    let waits = waits(candidates, view);
    let edges: BTreeMap<&str, Vec<&str>> = waits
        .iter()
        .map(|(job, (_, names))| (job.as_str(), names.iter().map(JobName::as_str).collect()))
        .collect();
    let home = |name: &str| waits[&JobName::parse(name).expect("it was a name before")].0;
    let mut found = Vec::new();
    for circle in graph::circles(&edges) {
        for name in &circle {
            candidates[home(name)].locate(reader);
        }
        // What was in force before had no circle, so that there is somebody to blame.
        let to_blame = |name: &&str| match view {
            View::Written => !candidates[home(name)].kept,
            View::InForce => candidates[home(name)].is_fresh(),
        };
        let Some(first) = circle.iter().position(to_blame) else { continue };
        let steps: Vec<Step<'_>> = (first..first + circle.len())
            .map(|at| (circle[at % circle.len()], circle[(at + 1) % circle.len()]))
            .map(|(name, next)| Step::new(&candidates[home(name)], name, next))
            .collect();
        found.extend(circle_found(&steps).map(|told| (home(steps[0].name), told)));
    }
    found
}

/// For each job that waits: its file, and the jobs that it waits for.
fn waits(candidates: &[Candidate], view: View) -> BTreeMap<JobName, (usize, Vec<JobName>)> {
    let mut waits = BTreeMap::new();
    for (at, candidate) in candidates.iter().enumerate() {
        if view == View::Written && !candidate.kept {
            for mention in candidate.written().filter(|mention| !mention.after.is_empty()) {
                let names = mention.after.iter().map(|name| name.value.clone()).collect();
                waits.extend(mention.name.clone().map(|name| (name, (at, names))));
            }
            continue;
        }
        for job in candidate.jobs().filter(|job| !job.policy.after.is_empty()) {
            waits.insert(job.name.clone(), (at, job.policy.after.clone()));
        }
    }
    waits
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
    let (source, mention) = candidate.mention(name)?;
    let place = mention.after.iter().find(|after| after.value.as_str() == next)?;
    Some((source.clone(), place.span))
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
