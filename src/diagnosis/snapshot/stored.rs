//! What the store knows: runs, looks, incidents, and what they say of the nodes.
//!
//! Owns the evidence in stored rows. Refuses to write and to decide.

use std::time::Duration;

use jiff::Timestamp;

use super::{Known, of_files, outbox, standing};
use crate::diagnosis::evidence::{Board, Evidence, Source};
use crate::diagnosis::graph;
use crate::diagnosis::impact::JobFacts;
use crate::diagnosis::judge::{Case, Change};
use crate::kinds::Work;
use crate::model::{
    FailureClass, Fault, Incident, IncidentState, Observation, Outcome, RunState, Severity,
    SlotState, Subject, SubjectKind, Verdict,
};
use crate::plan::signature;
use crate::spec::Job;
use crate::store::{JobState, ObservationQuery, Result, RunQuery, RunRow, SlotQuery, Store};

/// Runs of a job that are looked at: two days of one every half hour, and more.
const RUNS: u32 = 200;

/// Looks of a failing check that are looked at.
const LOOKS: u32 = 100;

/// Incidents that are looked at.
const INCIDENTS: u32 = 500;

/// Rows of the outbox that are looked at.
const ROWS: u32 = 500;

/// How long a failed run counts: until the job succeeds, but not for ever.
const FAILED: Duration = Duration::from_hours(7 * 24);

/// Shortest time that anything counts.
const LEAST: Duration = Duration::from_mins(10);

/// The case without a store.
#[must_use]
pub fn without(known: &Known, now: Timestamp) -> Case {
    let mut all: Vec<Evidence> = Vec::new();
    let mut case = Case { graph: graph::derive(&known.catalog, &known.natures), ..Case::default() };
    for (name, standing) in known.standings.iter() {
        let Some(nature) = known.natures.get(name) else { continue };
        let node = Subject::credential(name);
        case.deaths.insert(node.clone(), standing.deaths.clone());
        if let Some(mend) = nature.mend(standing) {
            case.mends.insert(node, mend);
        }
        if let Some(one) = standing::evidence(nature, standing, now) {
            all.push(one);
        }
    }
    for job in known.catalog.jobs.values() {
        all.extend(held(known, job, now));
        let period = job.schedule.period_hint();
        let facts = JobFacts { allowed: allowed(job), period, ..JobFacts::default() };
        case.jobs.insert(job.name.clone(), facts);
    }
    all.extend(of_files(&known.catalog, now));
    case.board = Board::new(all, now);
    case
}

/// The case by the store.
///
/// # Errors
/// The store can't be read.
pub async fn read(store: &dyn Store, known: &Known, now: Timestamp) -> Result<Case> {
    let mut case = without(known, now);
    let states = store.jobs().await?;
    for state in &states {
        let Some(job) = known.catalog.jobs.get(&state.name) else { continue };
        of_job(store, job, state, &mut case).await?;
    }
    for look in store.last_looks(now).await? {
        let owner = look.check.job_name().and_then(|job| known.catalog.jobs.get(&job).cloned());
        let Some(job) = owner else { continue };
        let one = of_look(store, &job, look).await?;
        case.board.add(one);
    }
    for one in outbox::unheard(&store.notifications(true, ROWS).await?, now) {
        case.board.add(one);
    }
    case.past = store.incidents(true, INCIDENTS).await?;
    let open = case.past.iter().filter(|one| one.state == IncidentState::Open).cloned();
    for incident in open.collect::<Vec<_>>() {
        of_incident(&incident, &mut case, now);
    }
    Ok(case)
}

/// A job that a credential holds: it does not even start.
pub(super) fn held(known: &Known, job: &Job, now: Timestamp) -> Option<Evidence> {
    let holding = job.bindings.iter().find_map(|binding| {
        let standing = known.standings.get(&binding.credential)?;
        standing.holds(binding, now).then_some((&binding.credential, standing))
    });
    let (name, standing) = holding?;
    let credential = Subject::credential(name);
    let nature = known.natures.get(name)?;
    let blamed = standing::evidence(nature, standing, now)?.subject;
    Some(Evidence {
        fault: Some(standing::fault(standing)),
        since: standing.since.min(now),
        text: format!("held by {credential}"),
        blames: Some(blamed),
        ..Evidence::new(Subject::job(&job.name), Verdict::Fail, Source::Standing, now)
    })
}

async fn of_job(store: &dyn Store, job: &Job, state: &JobState, case: &mut Case) -> Result<()> {
    let now = case.board.now();
    let query = RunQuery { job: Some(job.name.clone()), limit: RUNS, ..RunQuery::default() };
    let runs = store.runs(query).await?;
    let (ends, lost) = ends(job, &runs);
    if let Some(one) = ends {
        case.board.add(one);
    }
    if let Some(one) = stale(job, state, now).filter(|_| job.enabled) {
        case.board.add(one);
    }
    let query = SlotQuery {
        job: Some(job.name.clone()),
        states: vec![SlotState::Blocked],
        since: Some(state.last_success.unwrap_or(state.known_since)),
        limit: RUNS,
        ..SlotQuery::default()
    };
    let held = store.slots(query).await?;
    let facts = case.jobs.entry(job.name.clone()).or_default();
    facts.last_success = Some(state.last_success.unwrap_or(state.known_since));
    facts.held = held.iter().map(|slot| slot.count).sum();
    facts.lost = lost;
    case.changes.extend(edits(job, &runs));
    Ok(())
}

/// What the ends of a job's runs say of it, and how many failed in a row.
pub(super) fn ends(job: &Job, runs: &[RunRow]) -> (Option<Evidence>, u64) {
    let ends = runs.iter().filter_map(|row| match &row.run.state {
        RunState::Finished { at, outcome } => Some((row, *at, outcome)),
        _ => None,
    });
    // Who was stopped says nothing of the job.
    let mut ends = ends.filter(|(_, _, outcome)| outcome.class() != Some(FailureClass::Cancelled));
    let Some((row, at, outcome)) = ends.next() else { return (None, 0) };
    let node = Subject::job(&job.name);
    let source = Source::Runs(node.clone());
    let Outcome::Failed(failure) = outcome else {
        let ttl = (job.schedule.period_hint() * 3).max(LEAST);
        let text = "its newest run succeeded".to_owned();
        let one = Evidence {
            ttl,
            text,
            run: Some(row.run.id),
            ..Evidence::new(node, Verdict::Ok, source, at)
        };
        return (Some(one), 0);
    };
    let own = matches!(failure.class, FailureClass::Lost | FailureClass::TimedOut);
    if matches!(&*job.work, Work::Health(_)) && !own {
        // Its checks say it themselves.
        return (None, 0);
    }
    let fault = signature::fault(Some(failure.class), &failure.message);
    let (mut since, mut count) = (at, 1);
    for (_, at, outcome) in ends {
        let Outcome::Failed(failure) = outcome else { break };
        if signature::fault(Some(failure.class), &failure.message).family() != fault.family() {
            break;
        }
        (since, count) = (at, count + 1);
    }
    let one = Evidence {
        fault: Some(fault),
        since,
        ttl: FAILED,
        text: failure.message.clone(),
        count,
        run: Some(row.run.id),
        ..Evidence::new(node, Verdict::Fail, source, at)
    };
    (Some(one), count)
}

/// The oldest allowed last success.
fn allowed(job: &Job) -> Option<Duration> {
    job.policy.freshness.as_ref()?.breach
}

/// Whether the last success is too old.
fn stale(job: &Job, state: &JobState, now: Timestamp) -> Option<Evidence> {
    let allowed = allowed(job)?;
    let from = state.last_success.unwrap_or(state.known_since);
    let node = Subject::data(&job.name);
    let source = Source::Runs(Subject::job(&job.name));
    let limit = from.saturating_add(allowed).unwrap_or(Timestamp::MAX);
    if limit >= now {
        let text = format!("last success {from}");
        return Some(Evidence { text, ..Evidence::new(node, Verdict::Ok, source, now) });
    }
    let age = crate::plan::catch_up::words(now.duration_since(from).unsigned_abs());
    Some(Evidence {
        fault: Some(Fault::Stale),
        since: limit,
        text: match state.last_success {
            Some(_) => format!("no success for {age}"),
            None => format!("no success in the {age} that it is known"),
        },
        ..Evidence::new(node, Verdict::Fail, source, now)
    })
}

/// Changes of a job's definition, as its runs tell them.
fn edits(job: &Job, runs: &[RunRow]) -> Vec<Change> {
    let about = Subject::job(&job.name);
    let pairs = runs.windows(2).filter(|pair| pair[0].revision != pair[1].revision);
    pairs
        .map(|pair| Change {
            at: pair[0].run.created_at,
            what: format!("the definition of {} was changed", job.name),
            about: Some(about.clone()),
        })
        .collect()
}

/// What a check's newest look says of what it looked at.
pub(super) async fn of_look(store: &dyn Store, job: &Job, look: Observation) -> Result<Evidence> {
    let mut one = Evidence {
        fault: look.fault,
        ttl: (job.schedule.period_hint() * 3).max(LEAST),
        text: look.text.clone(),
        run: look.run,
        ..Evidence::new(
            look.subject.clone(),
            look.verdict,
            Source::Check(look.check.clone()),
            look.at,
        )
    };
    if look.verdict != Verdict::Fail {
        return Ok(one);
    }
    one.fault = look.fault.or_else(|| Some(signature::fault(None, &look.text)));
    let query = ObservationQuery {
        check: Some(look.check),
        until: Some(look.at),
        limit: LOOKS,
        ..ObservationQuery::default()
    };
    let looks = store.observations(query).await?;
    let alike = looks.iter().take_while(|other| other.verdict == Verdict::Fail);
    for (count, other) in alike.enumerate() {
        (one.since, one.count) = (other.at, count as u64 + 1);
    }
    // One that comes and goes is not known to be as its newest look says.
    let changes = looks.windows(2).take(20).filter(|pair| pair[0].verdict != pair[1].verdict);
    if changes.count() > 6 {
        one.direct = false;
        one.text = format!("comes and goes; last: {}", one.text);
    }
    Ok(one)
}

/// What an open incident says of what nobody else speaks of; and the command that mends it.
fn of_incident(incident: &Incident, case: &mut Case, now: Timestamp) {
    let Some(node) = Subject::parse(&incident.root) else { return };
    let kind = node.kind();
    let by_others = matches!(
        kind,
        SubjectKind::Job | SubjectKind::Data | SubjectKind::Check | SubjectKind::File
    );
    // Of a service or the host, the table knows a better command than a look at the logs of who was hit.
    let shared = matches!(
        kind,
        SubjectKind::Site | SubjectKind::Dns | SubjectKind::Network | SubjectKind::Host
    );
    let own = shared || matches!(kind, SubjectKind::Data | SubjectKind::Unit);
    if !incident.mend.is_empty() && !own {
        case.mends.entry(node.clone()).or_insert_with(|| incident.mend.clone());
    }
    let warns = incident.severity == Severity::Warning;
    let known = case.board.fresh(&node).next().is_some();
    if known || by_others && !warns || kind == SubjectKind::Credential {
        return;
    }
    let verdict = if warns { Verdict::Warn } else { Verdict::Fail };
    case.board.add(Evidence {
        fault: incident.fault.or_else(|| Some(signature::fault(None, &incident.title))),
        since: incident.opened_at,
        text: incident.title.clone(),
        count: incident.count,
        // Such an incident may itself come from what others said.
        direct: !shared,
        ..Evidence::new(
            node,
            verdict,
            Source::Incident,
            incident.last_seen.max(incident.opened_at).min(now),
        )
    });
}
