//! From a symptom up to its cause.
//!
//! Owns which way a fault travels, and which fault of one thing can be the cause of another's. Refuses to
//! look at anything: it reads the graph and the board.

use std::collections::BTreeSet;

use super::evidence::{Board, State};
use super::graph::{Edge, Graph};
use crate::model::{Family, Fault, Subject, SubjectKind};

/// The edges that a fault may travel up.
#[must_use]
pub fn edges(fault: Fault) -> &'static [Edge] {
    match fault.family() {
        Family::Auth => &[Edge::Authenticates, Edge::Clock],
        Family::Throttle => &[Edge::Reaches, Edge::Authenticates],
        // A request that was refused without a reason may be anybody's fault.
        Family::Service if fault == Fault::BadRequest => {
            &[Edge::Reaches, Edge::Authenticates, Edge::Clock]
        }
        Family::Service => &[Edge::Reaches],
        Family::Name | Family::Network => &[Edge::Reaches, Edge::Resolves],
        Family::Tls => &[Edge::Reaches, Edge::Clock],
        Family::Resource | Family::Unit => &[Edge::RunsOn],
        Family::Clock => &[Edge::Clock],
        Family::Program => match fault {
            Fault::Lost | Fault::ExecSignal => &[Edge::RunsOn],
            Fault::TimedOut => &[Edge::Reaches, Edge::Resolves],
            _ => &[],
        },
        Family::Data => match fault {
            Fault::Stale => &[Edge::Produces, Edge::Reads],
            Fault::Truncated => &[Edge::Reaches],
            _ => &[],
        },
        Family::Access | Family::Limit | Family::Configuration | Family::Unknown => &[],
    }
}

/// Whether a fault of what one depends on can be the cause of this one.
#[must_use]
pub fn explains(cause: Fault, symptom: Fault) -> bool {
    use Family as F;
    let of = cause.family();
    match symptom.family() {
        F::Auth => matches!(of, F::Auth | F::Clock),
        F::Throttle => of == F::Throttle,
        F::Service if symptom == Fault::BadRequest => {
            matches!(of, F::Auth | F::Throttle | F::Service | F::Clock)
        }
        F::Service => matches!(of, F::Service | F::Throttle | F::Network),
        F::Name => matches!(of, F::Name | F::Network),
        F::Network => matches!(of, F::Network | F::Name | F::Service),
        F::Tls => matches!(of, F::Tls | F::Clock),
        F::Resource => same_resource(cause, symptom),
        F::Clock => of == F::Clock,
        F::Unit => matches!(of, F::Unit | F::Resource),
        F::Program => match symptom {
            Fault::Lost => matches!(of, F::Unit | F::Resource) || cause == Fault::Lost,
            Fault::ExecSignal => matches!(cause, Fault::OomKill | Fault::MemoryLow),
            Fault::TimedOut => matches!(of, F::Network | F::Name | F::Service),
            _ => false,
        },
        F::Data => match symptom {
            // Whatever keeps the maker from working keeps the data from being fresh.
            Fault::Stale => true,
            Fault::Truncated => matches!(of, F::Network | F::Service),
            _ => false,
        },
        F::Access | F::Limit | F::Configuration | F::Unknown => false,
    }
}

fn same_resource(cause: Fault, symptom: Fault) -> bool {
    let part = |fault: Fault| match fault {
        Fault::DiskFull | Fault::Inodes | Fault::DiskBroken => 0,
        Fault::OomKill | Fault::MemoryLow => 1,
        Fault::LoadHigh => 2,
        _ => 3,
    };
    part(cause) == part(symptom)
}

/// What kinds of nodes a fault speaks of, where a failure only quotes it.
#[must_use]
pub fn speaks_of(fault: Fault, node: &Subject) -> bool {
    let kind = node.kind();
    match fault.family() {
        Family::Auth => {
            kind == SubjectKind::Credential && fault != Fault::InvalidClient
                || kind == SubjectKind::Client && fault == Fault::InvalidClient
        }
        Family::Throttle | Family::Tls => kind == SubjectKind::Site,
        Family::Service => kind == SubjectKind::Site && fault != Fault::BadRequest,
        Family::Network => match fault {
            Fault::NetUnreachable => kind == SubjectKind::Network,
            _ => kind == SubjectKind::Site,
        },
        Family::Name => match fault {
            Fault::NoSuchName => kind == SubjectKind::Site,
            _ => kind == SubjectKind::Dns,
        },
        Family::Resource => match fault {
            Fault::DiskFull | Fault::Inodes | Fault::DiskBroken => node.as_str() == "host/disk",
            Fault::OomKill | Fault::MemoryLow => node.as_str() == "host/memory",
            Fault::LoadHigh => node.as_str() == "host/load",
            _ => false,
        },
        Family::Clock => node.as_str() == "host/clock",
        _ => false,
    }
}

/// Whether a node can have what would explain the fault: no disk is short of memory, no network has a certificate.
fn can_have(fault: Fault, node: &Subject) -> bool {
    let kind = node.kind();
    let part = |name: &str| kind != SubjectKind::Host || node.as_str().starts_with(name);
    match fault.family() {
        Family::Resource => match fault {
            Fault::DiskFull | Fault::Inodes | Fault::DiskBroken => part("host/disk"),
            Fault::OomKill | Fault::MemoryLow => part("host/memory"),
            Fault::LoadHigh => part("host/load"),
            _ => kind != SubjectKind::Host,
        },
        Family::Program if fault == Fault::ExecSignal => node.as_str() == "host/memory",
        Family::Tls => kind == SubjectKind::Site || node.as_str() == "host/clock",
        Family::Service => !matches!(kind, SubjectKind::Network | SubjectKind::Dns),
        Family::Throttle => {
            matches!(kind, SubjectKind::Site | SubjectKind::Credential | SubjectKind::Client)
        }
        _ => true,
    }
}

/// A cause that was come to, and by which way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// The node.
    pub node: Subject,
    /// Its fault.
    pub fault: Fault,
}

/// What a walk found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Failing ancestors beyond which nothing fails; the node itself where there is none.
    pub causes: Vec<Cause>,
    /// Ancestors that are well, and that the fault could have come from.
    pub cleared: BTreeSet<Subject>,
    /// Ancestors that nobody knows of, with the fault that they would have.
    pub unknown: BTreeSet<Subject>,
}

/// Walks up from a failing node, only along edges that its fault may travel.
#[must_use]
pub fn up(graph: &Graph, board: &Board, node: &Subject, fault: Fault) -> Found {
    let mut found = Found::default();
    let mut seen = BTreeSet::new();
    if !climb(graph, board, (node, fault), &mut (&mut found, &mut seen)) {
        found.causes.push(Cause { node: node.clone(), fault });
    }
    found.causes.sort_by(|a, b| a.node.cmp(&b.node));
    found.causes.dedup();
    found
}

/// Whether a failing ancestor was found that explains the fault.
fn climb(
    graph: &Graph,
    board: &Board,
    (node, fault): (&Subject, Fault),
    out: &mut (&mut Found, &mut BTreeSet<Subject>),
) -> bool {
    if !out.1.insert(node.clone()) {
        return false;
    }
    // A job that a credential blocks says so itself.
    if let Some(blamed) = board.blamed(node).filter(|blamed| *blamed != node).cloned()
        && let State::Failing(own) = board.state(&blamed)
    {
        settle(graph, board, (&blamed, own), out);
        return true;
    }
    let mut reached = false;
    let ways = edges(fault);
    let named = named_sites(graph, board, node);
    for (edge, parent) in graph.parents(node) {
        let other = parent.kind() == SubjectKind::Site && !named.is_empty();
        if !ways.contains(&edge) || other && !named.contains(parent) || !can_have(fault, parent) {
            continue;
        }
        match board.state(parent) {
            State::Failing(own) if explains(own, fault) => {
                settle(graph, board, (parent, own), out);
                reached = true;
            }
            State::Failing(_) => {}
            State::Ok => {
                out.0.cleared.insert(parent.clone());
            }
            State::Unknown => {
                let beyond = climb(graph, board, (parent, fault), out);
                if !beyond {
                    out.0.unknown.insert(parent.clone());
                }
                reached |= beyond;
            }
        }
    }
    reached
}

/// The services that a failing node names in its own words: where it names one, no other is meant.
fn named_sites<'g>(graph: &'g Graph, board: &Board, node: &Subject) -> BTreeSet<&'g Subject> {
    let proof = board.proof(node);
    let text: Vec<String> = proof.iter().map(|at| board.all[*at].text.to_lowercase()).collect();
    let sites = graph.parents(node).map(|(_, parent)| parent);
    let sites = sites.filter(|parent| parent.kind() == SubjectKind::Site);
    sites.filter(|site| text.iter().any(|text| text.contains(site.rest()))).collect()
}

/// Goes on from a failing ancestor, with its own fault.
fn settle(
    graph: &Graph,
    board: &Board,
    (node, fault): (&Subject, Fault),
    out: &mut (&mut Found, &mut BTreeSet<Subject>),
) {
    let before = out.1.contains(node);
    if !climb(graph, board, (node, fault), out) && !before {
        out.0.causes.push(Cause { node: node.clone(), fault });
    }
}
