//! What is known around one node: enough to tell whose incident its failure is.
//!
//! Owns which rows are read for it, so that a failing job costs a few queries and not a look at everything.
//! Refuses to decide.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{Known, of_standing, stored};
use crate::diagnosis::evidence::{Board, Evidence, Source};
use crate::diagnosis::graph::Graph;
use crate::model::{Failure, JobName, Observation, Outcome, Subject, SubjectKind, Verdict};
use crate::plan::signature;
use crate::store::{Result, RunQuery, Store};

/// Most jobs that are looked at.
const JOBS: usize = 64;

/// Runs of each.
const RUNS: u32 = 20;

/// What the commit in the making adds: the store does not have it yet.
#[derive(Clone, Debug, Default)]
pub struct Here {
    /// Runs that end as failed.
    pub ends: Vec<(JobName, Failure)>,
    /// Looks of checks.
    pub looks: Vec<Observation>,
}

/// What is known of a node, of all that it hangs on, and of who else hangs on the same services.
///
/// # Errors
/// The store can't be read.
pub async fn read(
    store: &dyn Store,
    known: &Known,
    (graph, subject): (&Graph, &Subject),
    here: &Here,
    now: Timestamp,
) -> Result<Board> {
    let nodes = around(graph, subject);
    let mut all = Vec::new();
    for (name, standing) in known.standings.iter() {
        let nature = known.natures.get(name);
        all.extend(nature.and_then(|nature| of_standing(nature, standing, now)));
    }
    let names =
        nodes.iter().filter(|node| matches!(node.kind(), SubjectKind::Job | SubjectKind::Data));
    let names: BTreeSet<JobName> = names.filter_map(Subject::job_name).collect();
    for name in names.iter().take(JOBS) {
        let Some(job) = known.catalog.jobs.get(name) else { continue };
        all.extend(stored::held(known, job, now));
        let query = RunQuery { job: Some(name.clone()), limit: RUNS, ..RunQuery::default() };
        let (before, _) = stored::ends(job, &store.runs(query).await?);
        let failed = here.ends.iter().rev().find(|(of, _)| of == name).map(|(_, failure)| failure);
        match failed {
            Some(failure) => all.push(again(name, failure, before, now)),
            None => all.extend(before),
        }
    }
    let mut looks = store.last_looks(now).await?;
    looks.retain(|look| !here.looks.iter().any(|newer| newer.check == look.check));
    looks.extend(here.looks.iter().cloned());
    for look in looks.into_iter().filter(|look| nodes.contains(&look.subject)) {
        let owner = look.check.job_name().and_then(|job| known.catalog.jobs.get(&job));
        if let Some(job) = owner {
            all.push(stored::of_look(store, job, look).await?);
        }
    }
    Ok(Board::new(all, now))
}

/// A run that has just failed, after those before it.
fn again(name: &JobName, failure: &Failure, before: Option<Evidence>, now: Timestamp) -> Evidence {
    let fault = signature::fault(Some(failure.class), &failure.message);
    let node = Subject::job(name);
    let alike = before.filter(|one| {
        one.verdict == Verdict::Fail && one.fault.is_some_and(|f| f.family() == fault.family())
    });
    Evidence {
        fault: Some(fault),
        since: alike.as_ref().map_or(now, |one| one.since),
        count: alike.map_or(1, |one| one.count + 1),
        text: failure.message.clone(),
        ..Evidence::new(node.clone(), Verdict::Fail, Source::Runs(node), now)
    }
}

/// The node, what it hangs on, and who hangs on the same services, names and network.
fn around(graph: &Graph, subject: &Subject) -> BTreeSet<Subject> {
    let mut found = BTreeSet::from([subject.clone()]);
    let mut open = vec![subject.clone()];
    while let Some(node) = open.pop() {
        for (_, parent) in graph.parents(&node) {
            if found.insert(parent.clone()) {
                open.push(parent.clone());
            }
        }
    }
    let shared = |node: &&Subject| {
        matches!(node.kind(), SubjectKind::Site | SubjectKind::Credential | SubjectKind::Dns)
            || node.kind() == SubjectKind::Network
    };
    let shared: Vec<Subject> = found.iter().filter(shared).cloned().collect();
    for node in shared {
        for user in graph.children(&node) {
            found.insert(user.clone());
            if user.kind() == SubjectKind::Site {
                found.extend(graph.children(user).into_iter().cloned());
            }
        }
    }
    found
}

/// The failure of an outcome.
#[must_use]
pub fn failure(outcome: &Outcome) -> Option<&Failure> {
    match outcome {
        Outcome::Failed(failure) => Some(failure),
        Outcome::Succeeded { .. } => None,
    }
}
