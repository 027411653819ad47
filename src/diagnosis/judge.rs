//! From evidence to a diagnosis: the smallest set of roots, how sure each is, what it hits and what it is not.
//!
//! Owns the verdict. Pure: refuses to look at the world and at the store.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::answer::{
    Confidence, Diagnosis, Line, Note, Overall, Recurrence, Root, RuledOut, SCHEMA,
};
use super::cited::{Cited, sentence};
use super::correlate;
use super::evidence::{Board, Source, State, is_vague};
use super::graph::Graph;
use super::impact::{self, JobFacts};
use super::walk::{self, Cause, Found};
use super::{recurrence, words};
use crate::model::{Family, Fault, Incident, JobName, Subject, SubjectKind, Verdict};

/// How much later than its symptoms a cause may be seen: looks are apart.
const SLACK: Duration = Duration::from_mins(15);

/// How long before the onset a change is worth telling.
const BEFORE: Duration = Duration::from_hours(2);

/// Something that was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// When.
    pub at: Timestamp,
    /// What, in words.
    pub what: String,
    /// The node, where it is about one; a reboot is about all.
    pub about: Option<Subject>,
}

/// Everything that a diagnosis is made of.
#[derive(Clone, Debug, Default)]
pub struct Case {
    /// What depends on what.
    pub graph: Graph,
    /// What is known.
    pub board: Board,
    /// Incidents, past and open.
    pub past: Vec<Incident>,
    /// What was changed lately.
    pub changes: Vec<Change>,
    /// Commands that mend a node, where somebody knows better than the table.
    pub mends: BTreeMap<Subject, String>,
    /// When credentials had to be mended by a person.
    pub deaths: BTreeMap<Subject, Vec<Timestamp>>,
    /// What is known of each job.
    pub jobs: BTreeMap<JobName, JobFacts>,
    /// What could not be looked at.
    pub blind: Vec<String>,
    /// Only what began at or after this.
    pub since: Option<Timestamp>,
}

/// A root with the failing nodes that it explains.
struct Group {
    cause: Cause,
    symptoms: BTreeSet<Subject>,
}

/// The diagnosis of a case.
#[must_use]
pub fn diagnose(mut case: Case) -> Diagnosis {
    correlate::derive(&case.graph, &mut case.board);
    let failing = case.board.failing();
    let limited = |fault: Fault| fault.family() == Family::Limit;
    let found: BTreeMap<Subject, Found> = failing
        .iter()
        .filter(|(_, fault)| !limited(*fault))
        .map(|(node, fault)| (node.clone(), walk::up(&case.graph, &case.board, node, *fault)))
        .collect();
    let mut cited = Cited::default();
    let mut roots: Vec<Root> = smallest(&case.board, &found)
        .into_iter()
        .filter(|group| case.since.is_none_or(|since| onset(&case.board, &group.cause) >= since))
        .map(|group| root(&case, &group, &found, &mut cited))
        .collect();
    roots.sort_by_key(|root| {
        (std::cmp::Reverse((root.confidence, root.affected.len())), root.since)
    });
    let other = failing.iter().filter(|(_, fault)| limited(*fault));
    let other =
        other.map(|(node, fault)| note(&case.board, node, words::fault(*fault), &mut cited));
    let other: Vec<Note> = other.collect();
    let warnings = warnings(&case.board, &mut cited);
    let verdict = match (roots.is_empty(), warnings.is_empty(), case.blind.is_empty()) {
        (false, ..) => Overall::Failing,
        (true, _, false) => Overall::Unknown,
        (true, false, true) => Overall::Warning,
        (true, true, true) => Overall::Clear,
    };
    let checks: BTreeSet<_> = case.board.all.iter().map(|one| &one.source).collect();
    Diagnosis {
        schema: SCHEMA,
        verdict,
        at: case.board.now(),
        checks: checks.len(),
        oldest_evidence: case.board.oldest(),
        evidence: cited.items(&case.board),
        roots,
        warnings,
        other,
        blind: case.blind,
    }
}

/// The node whose incident a failure is, and its fault there: the failing thing itself, or what explains it.
#[must_use]
pub fn root_of(graph: &Graph, board: &Board, subject: &Subject, fault: Fault) -> Cause {
    let mut board = board.clone();
    correlate::derive(graph, &mut board);
    let found = walk::up(graph, &board, subject, fault);
    let best =
        found.causes.into_iter().min_by_key(|cause| (cause.node.kind(), onset(&board, cause)));
    best.unwrap_or_else(|| Cause { node: subject.clone(), fault })
}

fn onset(board: &Board, cause: &Cause) -> Timestamp {
    board.since(&cause.node).unwrap_or_else(|| board.now())
}

/// The smallest set of causes that explains all that fails: the one that explains most first, the deeper one
/// where two explain as much.
fn smallest(board: &Board, found: &BTreeMap<Subject, Found>) -> Vec<Group> {
    let mut explained: BTreeMap<Subject, (Fault, BTreeSet<Subject>)> = BTreeMap::new();
    for (symptom, found) in found {
        for cause in &found.causes {
            let entry = explained.entry(cause.node.clone());
            entry.or_insert_with(|| (cause.fault, BTreeSet::new())).1.insert(symptom.clone());
        }
    }
    let mut open: BTreeSet<Subject> = found.keys().cloned().collect();
    let mut groups = Vec::new();
    while !open.is_empty() {
        let best = explained.iter().max_by_key(|(node, (fault, symptoms))| {
            let covers = symptoms.intersection(&open).count();
            let cause = Cause { node: (*node).clone(), fault: *fault };
            let early = std::cmp::Reverse(onset(board, &cause));
            (covers, std::cmp::Reverse(node.kind()), early, std::cmp::Reverse((*node).clone()))
        });
        let Some((node, (fault, symptoms))) = best else { break };
        let symptoms: BTreeSet<Subject> = symptoms.intersection(&open).cloned().collect();
        if symptoms.is_empty() {
            break;
        }
        open.retain(|symptom| !symptoms.contains(symptom));
        groups.push(Group { cause: Cause { node: node.clone(), fault: *fault }, symptoms });
    }
    groups
}

fn root(case: &Case, group: &Group, found: &BTreeMap<Subject, Found>, cited: &mut Cited) -> Root {
    let (board, cause) = (&case.board, &group.cause);
    let since = onset(board, cause);
    let (confidence, doubt) = sure(case, group, found);
    let none = Found::default();
    let own = found.get(&cause.node).unwrap_or(&none);
    let perhaps: Vec<String> = match confidence {
        Confidence::Confirmed => Vec::new(),
        _ => own.unknown.iter().map(ToString::to_string).collect(),
    };
    let proof = proof(board, group, cited);
    let evidence = unique(proof.iter().flat_map(|line| line.evidence.iter().cloned()));
    let affected = impact::affected(&case.graph, cause, &group.symptoms);
    let deaths = case.deaths.get(&cause.node).map(Vec::as_slice).unwrap_or_default();
    let mut before = recurrence::of(&cause.node, since, &case.past, deaths);
    let avoid = avoid(cause, &mut before, since);
    Root {
        node: cause.node.to_string(),
        class: cause.fault.word().to_owned(),
        confidence,
        title: format!("{}: {}", words::node(&cause.node), words::fault(cause.fault)),
        since,
        recurrence: before,
        evidence,
        proof,
        impact: impact::words(case, &affected),
        ruled_out: ruled_out(case, group, found, cited),
        affected: affected.iter().map(ToString::to_string).collect(),
        changed: changed(case, group, since),
        doubt,
        fix: fix(case, group, &own.unknown, confidence),
        perhaps,
        avoid,
    }
}

/// How sure a root is, and what keeps it from being surer.
fn sure(
    case: &Case,
    group: &Group,
    found: &BTreeMap<Subject, Found>,
) -> (Confidence, Option<String>) {
    let (board, cause) = (&case.board, &group.cause);
    let own = found.get(&cause.node);
    let open = own.map(|own| own.unknown.len()).unwrap_or_default();
    let doubted = |level, why: &str| (level, Some(why.to_owned()));
    let proof = board.proof(&cause.node);
    let direct: Vec<_> = proof.iter().map(|at| &board.all[*at]).filter(|one| one.direct).collect();
    if proof.is_empty() || cause.fault.family() == Family::Unknown && cause.fault == Fault::Unknown
    {
        return doubted(Confidence::Inconclusive, "nothing says why it fails");
    }
    if is_vague(Some(cause.fault)) {
        return match open {
            0 => doubted(Confidence::Likely, "its words tell little of the cause"),
            _ => doubted(Confidence::Inconclusive, "what it depends on was not looked at"),
        };
    }
    if direct.is_empty() {
        return doubted(Confidence::Likely, "others say so; it was not looked at itself");
    }
    if !at_home(cause) {
        return match open {
            0 => doubted(Confidence::Likely, "what it depends on is well, or not known here"),
            _ => doubted(Confidence::Inconclusive, "what it depends on was not looked at"),
        };
    }
    if open > 0 && !speaks_for_itself(cause) {
        return doubted(Confidence::Likely, "what it depends on was not looked at");
    }
    let newest = direct.iter().map(|one| one.at).max();
    let contradicted = board
        .fresh(&cause.node)
        .any(|(_, one)| one.verdict == Verdict::Ok && Some(one.since.max(one.at)) >= newest);
    if contradicted {
        return doubted(Confidence::Likely, "another look found it well");
    }
    let since = onset(board, cause);
    let too_late = |symptom: &Subject| {
        let began = board.since(symptom).unwrap_or(since);
        let facts = symptom.job_name().and_then(|job| case.jobs.get(&job));
        let slack = SLACK + facts.map_or(Duration::ZERO, |facts| facts.period);
        since.duration_since(began) > SignedDuration::try_from(slack).unwrap_or_default()
    };
    if group.symptoms.iter().filter(|symptom| **symptom != cause.node).any(too_late) {
        return doubted(Confidence::Likely, "something that it explains began before it was seen");
    }
    (Confidence::Confirmed, None)
}

/// Whether a fault is of the kind that its node can have by itself: a job can't have a dead grant.
fn at_home(cause: &Cause) -> bool {
    use Family as F;
    let family = cause.fault.family();
    match cause.node.kind() {
        SubjectKind::Job | SubjectKind::Check | SubjectKind::Data | SubjectKind::Notifier => {
            matches!(family, F::Program | F::Access | F::Data | F::Configuration | F::Limit)
        }
        _ => true,
    }
}

/// Whether the fault itself shows that nothing beyond the node is to blame.
fn speaks_for_itself(cause: &Cause) -> bool {
    let family = cause.fault.family();
    match cause.node.kind() {
        SubjectKind::Site => match cause.fault {
            Fault::NetRefused | Fault::CertName | Fault::CertUntrusted => true,
            _ => matches!(family, Family::Service | Family::Throttle | Family::Access),
        },
        SubjectKind::Credential | SubjectKind::Client => {
            matches!(family, Family::Auth | Family::Clock)
        }
        SubjectKind::Dns => matches!(cause.fault, Fault::NameServer),
        SubjectKind::Job | SubjectKind::Check | SubjectKind::Data => cause.fault != Fault::Stale,
        _ => true,
    }
}

/// The lines of proof: what was seen of the root itself, then how its symptoms agree.
fn proof(board: &Board, group: &Group, cited: &mut Cited) -> Vec<Line> {
    let mut lines = Vec::new();
    for at in board.proof(&group.cause.node).into_iter().take(2) {
        let text = sentence(board, at);
        lines.push(Line { text, evidence: vec![cited.cite(at)] });
    }
    let others = group.symptoms.iter().filter(|symptom| **symptom != group.cause.node);
    let mut others: Vec<&Subject> = others.collect();
    others.sort_by_key(|symptom| symptom.kind());
    for symptom in others.into_iter().take(2) {
        if let Some(at) = board.proof(symptom).first().copied() {
            let text = format!("{}: {}", words::node(symptom), sentence(board, at));
            lines.push(Line { text, evidence: vec![cited.cite(at)] });
        }
    }
    lines
}

/// What depends on nothing that fails: nodes that are well, and that the root or its symptoms hang on.
fn ruled_out(
    case: &Case,
    group: &Group,
    found: &BTreeMap<Subject, Found>,
    cited: &mut Cited,
) -> Vec<RuledOut> {
    let mut well: BTreeSet<&Subject> = BTreeSet::new();
    for node in group.symptoms.iter().chain([&group.cause.node]) {
        well.extend(found.get(node).iter().flat_map(|found| &found.cleared));
        well.extend(case.graph.parents(node).map(|(_, parent)| parent));
    }
    let ground =
        [Subject::network(), Subject::dns(), Subject::part("clock"), Subject::part("disk")];
    well.extend(case.graph.nodes().filter(|node| ground.contains(node)));
    // What is worth a warning is not cleared of anything.
    let warns =
        |node: &Subject| case.board.fresh(node).any(|(_, one)| one.verdict == Verdict::Warn);
    let well = well.into_iter().filter(|node| {
        let data = node.kind() == SubjectKind::Data;
        case.board.state(node) == State::Ok && !data && !warns(node)
    });
    well.map(|node| {
        let evidence = case.board.clearance(node).into_iter().map(|at| cited.cite(at)).collect();
        RuledOut { node: node.to_string(), evidence }
    })
    .collect()
}

/// What was changed just before it began, of the root and of what it hits.
fn changed(case: &Case, group: &Group, since: Timestamp) -> Vec<String> {
    let from = since.saturating_sub(BEFORE).unwrap_or(Timestamp::MIN);
    let until = since.saturating_add(SLACK).unwrap_or(Timestamp::MAX);
    let about = |change: &&Change| {
        let of = change.about.as_ref();
        of.is_none_or(|node| *node == group.cause.node || group.symptoms.contains(node))
    };
    let near = |change: &&Change| change.at >= from && change.at <= until;
    let changes = case.changes.iter().filter(near).filter(about);
    changes.map(|change| format!("{} at {}", change.what, change.at)).collect()
}

fn fix(case: &Case, group: &Group, unknown: &BTreeSet<Subject>, confidence: Confidence) -> String {
    let cause = &group.cause;
    let job = cause.node.job_name();
    if confidence == Confidence::Inconclusive {
        // The act that tells one cause from the other comes before any mending.
        let credential = unknown.iter().find(|node| node.kind() == SubjectKind::Credential);
        if let Some(node) = credential {
            return words::probe(node, job.as_ref().map(JobName::as_str));
        }
    }
    if let Some(mend) = case.mends.get(&cause.node).filter(|mend| !mend.is_empty()) {
        return mend.clone();
    }
    let proof = case.board.proof(&cause.node);
    let run = proof.iter().find_map(|at| case.board.all[*at].run).map(|run| run.0);
    let checks = proof.iter().filter_map(|at| match &case.board.all[*at].source {
        Source::Check(check) => Some(check),
        _ => None,
    });
    let way = case.graph.way(&cause.node, checks.chain(&group.symptoms));
    words::fix(&cause.node, cause.fault, run, way)
}

fn avoid(cause: &Cause, before: &mut Option<Recurrence>, since: Timestamp) -> Option<String> {
    if let Some(found) = before
        && let Some(next) = recurrence::testing(&cause.node, cause.fault, found, since)
    {
        found.next = Some(next);
        let day = next.strftime("%-d %b").to_string();
        return Some(format!(
            "consent screen is probably in Testing: publish it, or again on {day}"
        ));
    }
    words::avoid(&cause.node, cause.fault).map(str::to_owned)
}

fn warnings(board: &Board, cited: &mut Cited) -> Vec<Note> {
    let mut notes = Vec::new();
    for (at, one) in board.all.iter().enumerate() {
        let fresh = one.is_fresh(board.now()) && one.verdict == Verdict::Warn;
        if fresh && !matches!(board.state(&one.subject), State::Failing(_)) {
            let evidence = vec![cited.cite(at)];
            let node = one.subject.to_string();
            notes.push(Note { node, text: one.text.clone(), evidence });
        }
    }
    notes
}

fn note(board: &Board, node: &Subject, text: &str, cited: &mut Cited) -> Note {
    let evidence = board.proof(node).into_iter().map(|at| cited.cite(at)).collect();
    Note { node: node.to_string(), text: text.to_owned(), evidence }
}

fn unique(ids: impl Iterator<Item = String>) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for id in ids {
        if !found.contains(&id) {
            found.push(id);
        }
    }
    found
}
