//! What several failures say together of something that nobody looked at.
//!
//! Owns the derived evidence: of a service that two or more can't use, of names and the network that two or
//! more services hang on, of a credential that a job's own words call dead. Refuses to decide: what was looked
//! at directly always weighs more.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use super::evidence::{Board, Evidence, Source, State};
use super::graph::{Edge, Graph};
use super::walk::{edges, speaks_of};
use crate::model::{Family, Fault, Subject, SubjectKind, Verdict};

/// Failures that begin further apart have no common cause.
const TOGETHER: Duration = Duration::from_mins(10);

/// One who fails, and how.
#[derive(Clone, Debug)]
struct Symptom {
    node: Subject,
    fault: Fault,
    since: Timestamp,
    at: Timestamp,
}

/// Adds what the failures on the board say of nodes that nobody looked at.
pub fn derive(graph: &Graph, board: &mut Board) {
    sites(graph, board);
    common(graph, board);
    quoted(graph, board);
}

fn symptoms(board: &Board) -> Vec<Symptom> {
    let failing = board.failing().into_iter();
    failing
        .filter_map(|(node, fault)| {
            let since = board.since(&node)?;
            let at = board.fresh(&node).map(|(_, one)| one.at).max()?;
            Some(Symptom { node, fault, since, at })
        })
        .collect()
}

/// Two or more that can't use one service, within ten minutes, and nobody who can.
fn sites(graph: &Graph, board: &mut Board) {
    let mut users: BTreeMap<Subject, Vec<Symptom>> = BTreeMap::new();
    for symptom in symptoms(board) {
        if !matches!(symptom.node.kind(), SubjectKind::Job | SubjectKind::Check) {
            continue;
        }
        for (edge, parent) in graph.parents(&symptom.node) {
            let is_site = edge == Edge::Reaches && parent.kind() == SubjectKind::Site;
            if is_site && edges(symptom.fault).contains(&Edge::Reaches) && of_service(symptom.fault)
            {
                users.entry(parent.clone()).or_default().push(symptom.clone());
            }
        }
    }
    for (site, users) in users {
        if board.state(&site) == State::Unknown && !somebody_can(graph, board, &site, &users) {
            together(board, site, users);
        }
    }
}

/// Faults that are about the service as a whole.
fn of_service(fault: Fault) -> bool {
    let whole = matches!(
        fault.family(),
        Family::Service | Family::Network | Family::Name | Family::Tls | Family::Throttle
    );
    whole && !matches!(fault, Fault::BadRequest | Fault::BadAnswer)
}

/// Whether another user of the service was well after these began to fail.
fn somebody_can(graph: &Graph, board: &Board, site: &Subject, users: &[Symptom]) -> bool {
    let since = users.iter().map(|user| user.since).min();
    let well = |node: &&Subject| {
        board.state(node) == State::Ok
            && board.fresh(node).any(|(_, one)| Some(one.at) > since && one.verdict == Verdict::Ok)
    };
    graph.children(site).iter().any(well)
}

/// Services that share names and the network.
fn common(graph: &Graph, board: &mut Board) {
    let sites: Vec<Symptom> =
        symptoms(board).into_iter().filter(|one| one.node.kind() == SubjectKind::Site).collect();
    for (node, edge) in [(Subject::dns(), Edge::Resolves), (Subject::network(), Edge::Reaches)] {
        let hangs = |one: &&Symptom| {
            graph.parents(&one.node).any(|(of, parent)| of == edge && *parent == node)
        };
        let fits = |one: &&Symptom| match edge {
            Edge::Resolves => one.fault.family() == Family::Name,
            _ => matches!(one.fault, Fault::NetUnreachable | Fault::NetTimeout),
        };
        let found: Vec<_> = sites.iter().filter(hangs).filter(fits).cloned().collect();
        let users = found.clone();
        if board.state(&node) == State::Unknown && !somebody_can(graph, board, &node, &users) {
            together(board, node, found);
        }
    }
}

/// What two or more say together.
fn together(board: &mut Board, node: Subject, mut users: Vec<Symptom>) {
    users.sort_by_key(|user| user.since);
    let Some(last) = users.last().map(|user| user.since) else { return };
    users.retain(|user| last.duration_since(user.since).unsigned_abs() <= TOGETHER);
    let names: BTreeSet<&Subject> = users.iter().map(|user| &user.node).collect();
    let Some(first) = users.first().filter(|_| names.len() >= 2) else { return };
    let shown: Vec<String> = names.iter().take(3).map(ToString::to_string).collect();
    let more = names.len().saturating_sub(3);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    let fault = sharpest(&users);
    let at = users.iter().map(|user| user.at).max().unwrap_or(first.at);
    let one = Evidence {
        fault: Some(fault),
        since: first.since,
        ttl: Duration::from_hours(6),
        direct: false,
        text: format!("{} fail alike on it: {}{more}", names.len(), shown.join(", ")),
        count: names.len() as u64,
        ..Evidence::new(node, Verdict::Fail, Source::Correlation, at)
    };
    board.add(one);
}

/// The fault that most of them have; the first one's where they differ evenly.
fn sharpest(users: &[Symptom]) -> Fault {
    let mut counts: BTreeMap<Fault, usize> = BTreeMap::new();
    for user in users {
        *counts.entry(user.fault).or_default() += 1;
    }
    let most = counts.values().copied().max().unwrap_or_default();
    let common = users.iter().find(|user| counts.get(&user.fault) == Some(&most));
    common.map_or(Fault::Unknown, |user| user.fault)
}

/// A fault that names the kind of its cause, where only one node of that kind can be it.
fn quoted(graph: &Graph, board: &mut Board) {
    let mut told: Vec<(Subject, Symptom)> = Vec::new();
    for symptom in symptoms(board) {
        let named: BTreeSet<&Subject> = above(graph, &symptom.node, symptom.fault)
            .into_iter()
            .filter(|node| speaks_of(symptom.fault, node))
            .collect();
        let mut named = named.into_iter();
        if let (Some(node), None) = (named.next(), named.next())
            && board.state(node) == State::Unknown
            && !somebody_can(graph, board, node, std::slice::from_ref(&symptom))
        {
            told.push((node.clone(), symptom));
        }
    }
    for (node, symptom) in told {
        // A single job's trouble with a service may be its own; with what it is made of, it is not.
        if node.kind() == SubjectKind::Site {
            continue;
        }
        board.add(Evidence {
            fault: Some(symptom.fault),
            since: symptom.since,
            ttl: Duration::from_hours(6),
            direct: false,
            text: format!("{} quotes {}", symptom.node, symptom.fault.word()),
            ..Evidence::new(node, Verdict::Fail, Source::Correlation, symptom.at)
        });
    }
}

/// What a node depends on along the edges that a fault may travel.
fn above<'g>(graph: &'g Graph, node: &Subject, fault: Fault) -> BTreeSet<&'g Subject> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&Subject> = graph.nodes().filter(|one| *one == node).collect();
    while let Some(node) = open.pop() {
        for (edge, parent) in graph.parents(node) {
            if edges(fault).contains(&edge) && found.insert(parent) {
                open.push(parent);
            }
        }
    }
    found
}
