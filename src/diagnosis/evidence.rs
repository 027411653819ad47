//! What is known of each node: who said what of it, when, and for how long that counts.
//!
//! Owns the board of evidence and the state of a node by it. Refuses to know where evidence comes from
//! (`snapshot`, `probes`) and what follows from it (`walk`).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use crate::model::{Fault, RunId, Subject, Verdict};

/// Who said it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// A check, by its name.
    Check(Subject),
    /// The runs of a job.
    Runs(Subject),
    /// The record of a credential.
    Standing,
    /// A look at this host, by what was looked at.
    Host(String),
    /// A probe of the doctor, by its name.
    Probe(String),
    /// Messages that were to be told.
    Outbox,
    /// An incident that is open.
    Incident,
    /// Several others together.
    Correlation,
}

impl Source {
    /// Who said it, in words.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Check(check) => check.to_string(),
            Self::Runs(job) => format!("runs of {job}"),
            Self::Standing => "credential record".to_owned(),
            Self::Host(what) => format!("host {what}"),
            Self::Probe(what) => format!("probe {what}"),
            Self::Outbox => "outbox".to_owned(),
            Self::Incident => "open incident".to_owned(),
            Self::Correlation => "correlation".to_owned(),
        }
    }
}

/// One thing that was said of a node.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    /// The node.
    pub subject: Subject,
    /// What it came to.
    pub verdict: Verdict,
    /// What is wrong, where something is.
    pub fault: Option<Fault>,
    /// When it was seen last.
    pub at: Timestamp,
    /// Since when it has been so.
    pub since: Timestamp,
    /// How long it counts from then on.
    pub ttl: Duration,
    /// Whether the node itself was looked at; otherwise somebody else's failure speaks of it.
    pub direct: bool,
    /// Who said it.
    pub source: Source,
    /// What was seen, in one line.
    pub text: String,
    /// How often it was seen so.
    pub count: u64,
    /// The newest run behind it.
    pub run: Option<RunId>,
    /// The node that is to blame by its own words: the credential that blocks a job.
    pub blames: Option<Subject>,
}

impl Evidence {
    /// Direct evidence with nothing else known.
    #[must_use]
    pub fn new(subject: Subject, verdict: Verdict, source: Source, at: Timestamp) -> Self {
        Self {
            subject,
            verdict,
            fault: None,
            at,
            since: at,
            ttl: Duration::from_hours(1),
            direct: true,
            source,
            text: String::new(),
            count: 1,
            run: None,
            blames: None,
        }
    }

    /// Whether it still counts.
    #[must_use]
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        // What a clock ahead of ours has written counts too.
        self.at.saturating_add(self.ttl).unwrap_or(Timestamp::MAX) > now
    }
}

/// How a node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Well.
    Ok,
    /// Not well.
    Failing(Fault),
    /// Nobody knows, or not any more.
    Unknown,
}

/// All evidence at one time.
#[derive(Clone, Debug, Default)]
pub struct Board {
    /// Everything that was said; the index is the number that an answer cites, from 1.
    pub all: Vec<Evidence>,
    by_node: BTreeMap<Subject, Vec<usize>>,
    now: Timestamp,
}

impl Board {
    /// A board of what still counts, and of what does not any more.
    #[must_use]
    pub fn new(all: Vec<Evidence>, now: Timestamp) -> Self {
        let mut board = Self { all: Vec::new(), by_node: BTreeMap::new(), now };
        for one in all {
            board.add(one);
        }
        board
    }

    /// The time at which it is looked at.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Adds one.
    pub fn add(&mut self, one: Evidence) {
        self.by_node.entry(one.subject.clone()).or_default().push(self.all.len());
        self.all.push(one);
    }

    /// What is fresh of a node, with its number.
    pub fn fresh(&self, node: &Subject) -> impl Iterator<Item = (usize, &Evidence)> {
        let of_node = self.by_node.get(node).into_iter().flatten();
        of_node.map(|at| (*at, &self.all[*at])).filter(|(_, one)| one.is_fresh(self.now))
    }

    /// The newest of each source, of a node.
    fn newest(&self, node: &Subject) -> Vec<(usize, &Evidence)> {
        let mut by_source: BTreeMap<&Source, (usize, &Evidence)> = BTreeMap::new();
        for (at, one) in self.fresh(node) {
            let slot = by_source.entry(&one.source).or_insert((at, one));
            if one.at >= slot.1.at {
                *slot = (at, one);
            }
        }
        by_source.into_values().collect()
    }

    /// How a node does. A failure that is seen directly weighs more than a success that is, since each source
    /// looks at its own side; what others say counts only where nobody looked.
    #[must_use]
    pub fn state(&self, node: &Subject) -> State {
        let newest = self.newest(node);
        let failing = |direct: bool| {
            let of = newest.iter().filter(|(_, one)| one.direct == direct);
            of.filter(|(_, one)| one.verdict == Verdict::Fail)
                .min_by_key(|(_, one)| (is_vague(one.fault), one.since))
        };
        if let Some((_, one)) = failing(true) {
            return State::Failing(one.fault.unwrap_or(Fault::Unknown));
        }
        let well = |one: &Evidence| matches!(one.verdict, Verdict::Ok | Verdict::Warn);
        if newest.iter().any(|(_, one)| one.direct && well(one)) {
            return State::Ok;
        }
        match failing(false) {
            Some((_, one)) => State::Failing(one.fault.unwrap_or(Fault::Unknown)),
            None => State::Unknown,
        }
    }

    /// The numbers of what shows the state of a node: its newest failures, the surest first.
    #[must_use]
    pub fn proof(&self, node: &Subject) -> Vec<usize> {
        let newest = self.newest(node);
        let fails = newest.iter().filter(|(_, one)| one.verdict == Verdict::Fail);
        let mut proof: Vec<_> = fails.collect();
        proof.sort_by_key(|(_, one)| (!one.direct, is_vague(one.fault), one.since));
        proof.into_iter().map(|(at, _)| *at).collect()
    }

    /// The numbers of what says that a node is well.
    #[must_use]
    pub fn clearance(&self, node: &Subject) -> Vec<usize> {
        let newest = self.newest(node).into_iter();
        let well = newest.filter(|(_, one)| matches!(one.verdict, Verdict::Ok | Verdict::Warn));
        well.map(|(at, _)| at).collect()
    }

    /// Nodes that do not do well, by name.
    #[must_use]
    pub fn failing(&self) -> Vec<(Subject, Fault)> {
        let nodes: BTreeSet<&Subject> = self.by_node.keys().collect();
        let failing = nodes.into_iter().filter_map(|node| match self.state(node) {
            State::Failing(fault) => Some((node.clone(), fault)),
            State::Ok | State::Unknown => None,
        });
        failing.collect()
    }

    /// Since when a node fails.
    #[must_use]
    pub fn since(&self, node: &Subject) -> Option<Timestamp> {
        let fails = self.newest(node).into_iter().filter(|(_, one)| one.verdict == Verdict::Fail);
        fails.map(|(_, one)| one.since).min()
    }

    /// The node that a failing one blames by name.
    #[must_use]
    pub fn blamed(&self, node: &Subject) -> Option<&Subject> {
        let newest = self.newest(node).into_iter();
        newest
            .filter(|(_, one)| one.verdict == Verdict::Fail)
            .find_map(|(_, one)| one.blames.as_ref())
    }

    /// Takes away what counts no more, since it was looked at anew: all failures of a node but those of probes.
    pub fn forget(&mut self, node: &Subject) {
        let stale = |one: &Evidence| {
            one.subject == *node && !matches!(one.source, Source::Probe(_) | Source::Host(_))
        };
        let kept = std::mem::take(&mut self.all).into_iter().filter(|one| !stale(one));
        *self = Self::new(kept.collect(), self.now);
    }

    /// The oldest of what is fresh.
    #[must_use]
    pub fn oldest(&self) -> Option<Timestamp> {
        self.all.iter().filter(|one| one.is_fresh(self.now)).map(|one| one.at).min()
    }
}

/// Whether a fault tells little of its cause.
#[must_use]
pub fn is_vague(fault: Option<Fault>) -> bool {
    matches!(
        fault,
        None | Some(
            Fault::Unknown
                | Fault::BadRequest
                | Fault::Threshold
                | Fault::Pattern
                | Fault::ExecExit
                | Fault::ExecSignal
                | Fault::TimedOut
                | Fault::Stuck
                | Fault::Lost
                | Fault::Suspicious
                | Fault::Expired
                | Fault::BadAnswer
        )
    )
}
