//! What a root hits: jobs that are held or fail, data that grows old.
//!
//! Owns who is affected, and the words for it. Refuses to judge.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;

use super::graph::Graph;
use super::judge::Case;
use super::walk::Cause;
use super::words;
use crate::model::{Family, Subject, SubjectKind};

/// What is known of a job besides its evidence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobFacts {
    /// When its newest success ended.
    pub last_success: Option<Timestamp>,
    /// Oldest allowed.
    pub allowed: Option<Duration>,
    /// Slots that a credential holds back.
    pub held: u64,
    /// Runs that failed since it began.
    pub lost: u64,
    /// How often it is due: nobody can see a failure of it any finer.
    pub period: Duration,
}

/// The nodes that a root hits: what it explains, and who can't act without it.
pub(super) fn affected(graph: &Graph, cause: &Cause, symptoms: &BTreeSet<Subject>) -> Vec<Subject> {
    let mut hit: BTreeSet<Subject> = symptoms.clone();
    let gates = matches!(cause.node.kind(), SubjectKind::Credential | SubjectKind::Client);
    if gates && matches!(cause.fault.family(), Family::Auth | Family::Clock) {
        let children = graph.children(&cause.node).into_iter();
        for child in children.filter(|child| child.kind() != SubjectKind::Check) {
            hit.insert(child.clone());
            if child.kind() == SubjectKind::Credential {
                hit.extend(graph.children(child).into_iter().cloned());
            }
        }
        hit.retain(|node| node.kind() != SubjectKind::Check || symptoms.contains(node));
    }
    hit.remove(&cause.node);
    let mut hit: Vec<Subject> = hit.into_iter().collect();
    hit.sort_by_key(Subject::kind);
    hit
}

/// The affected in words.
pub(super) fn words(case: &Case, affected: &[Subject]) -> Vec<String> {
    affected.iter().map(|node| one(case, node)).collect()
}

fn one(case: &Case, node: &Subject) -> String {
    let name = words::node(node);
    let Some(facts) = node.job_name().and_then(|job| case.jobs.get(&job)) else { return name };
    match node.kind() {
        SubjectKind::Job if facts.held > 0 => format!("{name} (held)"),
        SubjectKind::Job if facts.lost > 1 => format!("{name} ({} runs lost)", facts.lost),
        SubjectKind::Data => match (facts.last_success, facts.allowed) {
            (Some(at), Some(allowed)) => {
                let age = case.board.now().duration_since(at).unsigned_abs();
                format!("{name} ({} old, limit {})", span(age), span(allowed))
            }
            _ => name,
        },
        _ => name,
    }
}

/// A span as the screen shows it: `4 s`, `51 h`, `2 d 3 h`.
#[must_use]
pub(super) fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{minutes} min"),
        7200..=259_199 => format!("{hours} h"),
        _ if hours % 24 == 0 => format!("{days} d"),
        _ => format!("{days} d {} h", hours % 24),
    }
}
