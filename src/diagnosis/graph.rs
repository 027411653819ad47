//! What depends on what: the evidence graph.
//!
//! Owns the edges, from what depends up to what it depends on, and how they follow from the definitions.
//! Refuses to know how anything does: that is `evidence`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::credentials::nature::Nature;
use crate::kinds::{Reach, Touch};
use crate::model::{CredentialName, JobName, Subject};
use crate::spec::{Catalog, Job};

/// How one thing depends on another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Edge {
    /// It needs room, memory or a process of the other.
    RunsOn,
    /// Its name is looked up there.
    Resolves,
    /// Its requests go there, or through it.
    Reaches,
    /// It acts as the other.
    Authenticates,
    /// The other makes it.
    Produces,
    /// It reads what the other is.
    Reads,
    /// It compares times with the other's.
    Clock,
}

/// Nodes and edges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Graph {
    up: BTreeMap<Subject, BTreeSet<(Edge, Subject)>>,
    /// The ways to the services, each with who goes it.
    reaches: BTreeMap<Subject, BTreeMap<Reach, BTreeSet<Subject>>>,
}

impl Graph {
    /// Adds a node.
    pub fn node(&mut self, node: Subject) {
        self.up.entry(node).or_default();
    }

    /// Adds an edge, and both its ends.
    pub fn edge(&mut self, child: &Subject, edge: Edge, parent: &Subject) {
        self.node(parent.clone());
        self.up.entry(child.clone()).or_default().insert((edge, parent.clone()));
    }

    /// Every node, by name.
    pub fn nodes(&self) -> impl Iterator<Item = &Subject> {
        self.up.keys()
    }

    /// What a node depends on.
    pub fn parents(&self, node: &Subject) -> impl Iterator<Item = (Edge, &Subject)> {
        self.up.get(node).into_iter().flatten().map(|(edge, parent)| (*edge, parent))
    }

    /// What depends on a node.
    pub fn children(&self, node: &Subject) -> Vec<&Subject> {
        let needs = |up: &BTreeSet<(Edge, Subject)>| up.iter().any(|(_, parent)| parent == node);
        self.up.iter().filter(|(_, up)| needs(up)).map(|(child, _)| child).collect()
    }

    /// Whether a node depends on another one, over any number of edges.
    #[must_use]
    pub fn hangs_on(&self, node: &Subject, other: &Subject) -> bool {
        let mut seen = BTreeSet::new();
        let mut open = vec![node];
        while let Some(node) = open.pop() {
            for (_, parent) in self.parents(node) {
                if parent == other {
                    return true;
                }
                if seen.insert(parent) {
                    open.push(parent);
                }
            }
        }
        false
    }

    /// The ways to a service.
    pub fn ways(&self, site: &Subject) -> impl Iterator<Item = &Reach> {
        self.reaches.get(site).into_iter().flat_map(BTreeMap::keys)
    }

    /// The way to a service that one of these goes; where none of them does, the first there is.
    pub fn way<'a>(
        &self,
        site: &Subject,
        mut users: impl Iterator<Item = &'a Subject>,
    ) -> Option<&Reach> {
        let ways = self.reaches.get(site)?;
        let of = |user: &Subject| ways.iter().find(|(_, by)| by.contains(user));
        users.find_map(of).or_else(|| ways.iter().next()).map(|(way, _)| way)
    }

    /// That something has a name looked up, by this host's name servers or by one of its own.
    fn ask(&mut self, from: &Subject, name: &str, server: Option<&str>) {
        let Some(server) = server else {
            self.edge(from, Edge::Resolves, &Subject::dns());
            if name.parse::<std::net::IpAddr>().is_err() {
                self.edge(&Subject::site(name), Edge::Resolves, &Subject::dns());
            }
            return;
        };
        let site = Subject::site(server);
        self.edge(from, Edge::Reaches, &site);
        if !server.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback()) {
            self.edge(&site, Edge::Reaches, &Subject::network());
        }
    }

    /// That something talks to a service: over names and the network, where it is not on this host.
    pub fn reach(&mut self, from: &Subject, reach: &Reach) {
        let site = Subject::site(&reach.host);
        self.edge(from, Edge::Reaches, &site);
        if reach.tls {
            self.edge(&site, Edge::Clock, &Subject::part("clock"));
        }
        if !reach.is_here() {
            self.edge(&site, Edge::Reaches, &Subject::network());
            if reach.host.parse::<std::net::IpAddr>().is_err() {
                self.edge(&site, Edge::Resolves, &Subject::dns());
            }
        }
        let ways = self.reaches.entry(site).or_default();
        ways.entry(reach.clone()).or_default().insert(from.clone());
    }
}

/// The graph of what is in force.
#[must_use]
pub fn derive(catalog: &Catalog, natures: &BTreeMap<CredentialName, Nature>) -> Graph {
    let mut graph = Graph::default();
    host(&mut graph);
    for (name, nature) in natures {
        credential(&mut graph, name, nature);
    }
    let writers = writers(catalog);
    for job in catalog.jobs.values() {
        of_job(&mut graph, job, &writers);
    }
    graph
}

/// This host, its parts, the way out and the daemon.
fn host(graph: &mut Graph) {
    let host = Subject::host();
    for part in ["disk", "memory", "load", "clock"] {
        graph.edge(&Subject::part(part), Edge::RunsOn, &host);
    }
    let unit = Subject::unit("jada-agent.service");
    graph.edge(&Subject::dns(), Edge::Reaches, &Subject::network());
    graph.edge(&Subject::daemon(), Edge::RunsOn, &unit);
    for part in ["disk", "memory"] {
        graph.edge(&Subject::daemon(), Edge::RunsOn, &Subject::part(part));
        graph.edge(&unit, Edge::RunsOn, &Subject::part(part));
    }
}

fn credential(graph: &mut Graph, name: &CredentialName, nature: &Nature) {
    let node = Subject::credential(name);
    graph.edge(&node, Edge::Clock, &Subject::part("clock"));
    if let Some(client) = nature.client.as_ref().and_then(|id| Subject::parse(&client_key(id))) {
        graph.edge(&node, Edge::Authenticates, &client);
    }
}

fn client_key(id: &str) -> String {
    format!("client/{id}")
}

/// Which jobs leave which data behind.
fn writers(catalog: &Catalog) -> BTreeMap<String, Vec<JobName>> {
    let mut writers: BTreeMap<String, Vec<JobName>> = BTreeMap::new();
    for job in catalog.jobs.values() {
        for touch in job.work.touches() {
            if let Touch::Writes(data) = touch {
                writers.entry(data).or_default().push(job.name.clone());
            }
        }
    }
    writers
}

fn of_job(graph: &mut Graph, job: &Arc<Job>, writers: &BTreeMap<String, Vec<JobName>>) {
    let node = Subject::job(&job.name);
    let data = Subject::data(&job.name);
    graph.edge(&data, Edge::Produces, &node);
    graph.edge(&data, Edge::Produces, &Subject::daemon());
    for part in ["disk", "memory", "load"] {
        graph.edge(&node, Edge::RunsOn, &Subject::part(part));
    }
    graph.edge(&node, Edge::RunsOn, &Subject::daemon());
    for name in job.credentials() {
        graph.edge(&node, Edge::Authenticates, &Subject::credential(name));
    }
    for upstream in &job.policy.after {
        graph.edge(&node, Edge::Reads, &Subject::data(upstream));
    }
    for touch in job.work.touches() {
        match touch {
            Touch::Reaches(reach) => graph.reach(&node, &reach),
            Touch::Asks { name, server } => graph.ask(&node, &name, server.as_deref()),
            Touch::Reads(data) => {
                let by = writers.get(&data).into_iter().flatten();
                for writer in by.filter(|writer| **writer != job.name) {
                    graph.edge(&node, Edge::Reads, &Subject::data(writer));
                }
            }
            Touch::Writes(_) => {}
        }
    }
    let fresh = job.setting.freshness.iter().flat_map(|section| section.shown());
    for reach in fresh.filter_map(|shown| Reach::of_url(shown.address?)) {
        graph.reach(&data, &reach);
    }
    checks(graph, job);
}

/// The checks of a health job stand for themselves: what one of them reaches, another need not.
fn checks(graph: &mut Graph, job: &Arc<Job>) {
    let crate::kinds::Work::Health(health) = &*job.work else { return };
    for (name, touch) in health.touches() {
        let node = Subject::check(&job.name, name);
        match touch {
            Touch::Reaches(reach) => graph.reach(&node, &reach),
            Touch::Asks { name, server } => graph.ask(&node, &name, server.as_deref()),
            Touch::Reads(_) | Touch::Writes(_) => {}
        }
    }
    for check in health.checks.iter() {
        let node = Subject::check(&job.name, &check.name);
        graph.edge(&node, Edge::RunsOn, &Subject::part("disk"));
        for name in job.bindings.iter().map(|binding| &binding.credential) {
            graph.edge(&node, Edge::Authenticates, &Subject::credential(name));
        }
    }
}
