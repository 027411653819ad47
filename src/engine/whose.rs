//! Whose incident a failure is: its own root's, or that of something it depends on.
//!
//! Owns the question, asked once before an incident opens or goes on, and the words of an incident whose root
//! nobody but the graph names. Refuses to know how runs and looks are judged (`looks`), and what travels along
//! which edge (`diagnosis/`): the page says what the doctor says.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::dispatch::Dispatcher;
use super::incidents::key_of;
use crate::diagnosis::evidence::Board;
use crate::diagnosis::graph::{self, Graph};
use crate::diagnosis::snapshot::{Known, near};
use crate::diagnosis::walk::{self, Cause};
use crate::diagnosis::{correlate, root_of, words};
use crate::model::{Fault, IncidentState, JobId, JobName, Opening, Subject, SubjectKind};
use crate::spec::Catalog;
use crate::store::Result;

/// Incidents that may be over just now.
const LATELY: u32 = 50;

/// Whose incident a failure is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Whose {
    /// That of its own root.
    Own,
    /// The open one of this key, which tells of it.
    Of(String),
    /// One of what it depends on, which is not open yet.
    Cause(Box<Opening>),
    /// Nobody's: its cause is over since, and it began before.
    Settles,
}

/// The graph of the catalog in force, and what the commit in the making adds to what is known.
#[derive(Debug, Default)]
pub(super) struct Causes {
    graph: Option<(Arc<Catalog>, Arc<Graph>)>,
    pub(super) here: near::Here,
    /// Jobs whose staleness was not told since something else told of it.
    pub(super) unsaid: BTreeSet<JobId>,
}

impl Dispatcher {
    /// Whose incident that is which is about to be opened, of something that began at `began`.
    ///
    /// # Errors
    /// What decides can't be read.
    pub(super) async fn whose(&mut self, failing: &Opening, began: Timestamp) -> Result<Whose> {
        // A credential, a client or a file that has an incident by its own name is told of there.
        if let Some(said) = self.open.said(&failing.root) {
            return Ok(Whose::Of(said.key.clone()));
        }
        let (Some(subject), Some(fault)) = (Subject::parse(&failing.root), failing.fault) else {
            return Ok(Whose::Own);
        };
        if walk::edges(fault).is_empty() {
            return Ok(Whose::Own);
        }
        let now = self.last_now;
        let graph = self.graph();
        let known = Known {
            catalog: Arc::clone(&self.catalog),
            natures: Arc::clone(&self.parts.credentials.natures),
            standings: Arc::clone(&self.standings),
        };
        let store = &*self.parts.store;
        let around = (&*graph, &subject);
        let mut board = near::read(store, &known, around, &self.causes.here, now).await?;
        let cause = root_of(&graph, &board, &subject, fault);
        if cause.node == subject {
            return self.settles(&subject, fault, began).await;
        }
        if let Some(open) = self.incident_of(&cause.node) {
            return Ok(Whose::Of(open.key.clone()));
        }
        // Those of credentials are opened by their standings, those of jobs and of data by their own rules.
        let by_others = matches!(
            cause.node.kind(),
            SubjectKind::Credential
                | SubjectKind::Client
                | SubjectKind::Job
                | SubjectKind::Data
                | SubjectKind::Check
        );
        if by_others {
            return Ok(Whose::Own);
        }
        correlate::derive(&graph, &mut board);
        Ok(Whose::Cause(Box::new(told(&cause, &board, &graph, failing))))
    }

    /// The open incident of a node.
    fn incident_of(&self, node: &Subject) -> Option<&Opening> {
        self.open.said(node.as_str()).or_else(|| self.open.of_root(node.as_str()))
    }

    pub(super) fn graph(&mut self) -> Arc<Graph> {
        match &self.causes.graph {
            Some((of, graph)) if Arc::ptr_eq(of, &self.catalog) => Arc::clone(graph),
            _ => {
                let graph = graph::derive(&self.catalog, &self.parts.credentials.natures);
                let graph = Arc::new(graph);
                self.causes.graph = Some((Arc::clone(&self.catalog), Arc::clone(&graph)));
                graph
            }
        }
    }

    /// Whether what the failure came from was mended since it began: what begins later fails by itself. To
    /// wait for more would keep a job silent that runs once a day.
    async fn settles(&self, subject: &Subject, fault: Fault, began: Timestamp) -> Result<Whose> {
        let Some(name) = subject.job_name() else { return Ok(Whose::Own) };
        let past = self.parts.store.incidents(true, LATELY).await?;
        let over = past.iter().any(|one| {
            one.state == IncidentState::Resolved
                && one.root != subject.as_str()
                && one.resolved_at.is_some_and(|at| at > began)
                && one.affected.contains(&name)
                && one.fault.is_some_and(|cause| walk::explains(cause, fault))
        });
        Ok(if over { Whose::Settles } else { Whose::Own })
    }
}

/// The incident of what several hang on.
fn told(cause: &Cause, board: &Board, graph: &Graph, failing: &Opening) -> Opening {
    let hit = |(node, fault): &(Subject, Fault)| {
        let found = walk::up(graph, board, node, *fault);
        found.causes.iter().any(|one| one.node == cause.node)
    };
    let failed = board.failing();
    let jobs = failed.iter().filter(|one| hit(one)).filter_map(|(node, _)| node.job_name());
    let mut affected: BTreeSet<JobName> = jobs.collect();
    affected.extend(failing.affected.iter().cloned());
    let users: Vec<Subject> = affected.iter().map(Subject::job).collect();
    let way = graph.way(&cause.node, Subject::parse(&failing.root).iter().chain(&users));
    let proof = board.proof(&cause.node);
    let proof = proof.first().map_or("", |at| board.all[*at].text.as_str());
    Opening {
        fault: Some(cause.fault),
        affected: affected.into_iter().collect(),
        title: format!("{}: {}", words::node(&cause.node), words::fault(cause.fault)),
        detail: format!("{proof}\nlast: {}", failing.title),
        mend: words::fix(&cause.node, cause.fault, None, way),
        ..Opening::new(key_of(&cause.node, cause.fault), cause.node.as_str(), cause.fault.word())
    }
}
