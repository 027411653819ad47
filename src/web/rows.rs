//! From stored rows to wire types.
//!
//! Owns how a row is worded: states, reasons, how long something took. Refuses to know where rows come
//! from and who reads them.

use std::time::Duration;

use jiff::Timestamp;

use super::api::{
    AttemptItem, JobItem, JobState, LastEnd, OutcomeWord, Problem, ProblemKind, Progress, RunItem,
    RunWord, SlotItem,
};
use super::words;
use crate::kinds::sync::progress;
use crate::model::{Attempt, NotRun, Outcome, Run, RunState, SlotState};
use crate::spec::Job;
use crate::store::{self, RunRow, SlotRow, Summary};

/// A slot that began so much after its time is told to be late.
const LATE: Duration = Duration::from_secs(60);

/// The slot that the job waits for: the first one that no row accounts for.
pub(super) fn next_slot(job: &Job, state: &store::JobState) -> Option<Timestamp> {
    let in_force = job.enabled && state.paused.is_none();
    in_force.then(|| job.schedule.next_after(state.cursor)).flatten().map(|due| due.slot)
}

/// What the schedule says, in words.
pub(super) fn schedule_words(job: &Job) -> String {
    let after: Vec<_> = job.policy.after.iter().map(ToString::to_string).collect();
    match (job.schedule.is_empty(), after.is_empty()) {
        (true, true) => "on request".into(),
        (true, false) => format!("after {}", after.join(" and ")),
        (false, true) => job.schedule.describe(),
        (false, false) => format!("{}; and after {}", job.schedule.describe(), after.join(" and ")),
    }
}

pub(super) fn job_item(
    job: &Job,
    state: Option<&store::JobState>,
    summary: Option<&Summary>,
    (running, queued): (u64, u64),
    held: Option<&str>,
) -> JobItem {
    let pause = state.and_then(|state| state.paused.as_ref());
    let (in_force, reason) = match (job.enabled, pause, held) {
        (false, ..) => (JobState::Disabled, ""),
        (true, Some(pause), _) => (JobState::Paused, pause.reason.as_str()),
        (true, None, Some(why)) => (JobState::Blocked, why),
        (true, None, None) => (JobState::Active, ""),
    };
    JobItem {
        job: job.name.clone(),
        description: job.description.clone(),
        labels: job.labels.as_ref().clone(),
        kind: job.work.kind().into(),
        schedule: schedule_words(job),
        state: in_force,
        reason: reason.to_owned(),
        next: state.and_then(|state| next_slot(job, state)),
        last: summary.and_then(last_end),
        running,
        queued,
        file: format!("{}:{}", job.file.display(), job.line),
    }
}

fn last_end(summary: &Summary) -> Option<LastEnd> {
    let success = summary.last_success.map(|at| LastEnd {
        at,
        outcome: OutcomeWord::Succeeded,
        reason: String::new(),
    });
    let failure = summary.last_failure.clone().map(|(at, reason)| LastEnd {
        at,
        outcome: OutcomeWord::Failed,
        reason,
    });
    [success, failure].into_iter().flatten().max_by_key(|end| end.at)
}

pub(super) fn slot_states(text: Option<&str>) -> Result<Vec<SlotState>, Problem> {
    let words = text.unwrap_or_default().split(',').map(str::trim).filter(|word| !word.is_empty());
    let state = |word| {
        SlotState::from_word(word).ok_or_else(|| Problem {
            problem: ProblemKind::BadRequest,
            message: format!("'{word}' is no state of a slot"),
            hint: format!("one of {}", SlotState::ALL.map(SlotState::word).join(", ")),
        })
    };
    words.map(state).collect()
}

pub(super) fn slot_item(row: SlotRow) -> SlotItem {
    let reason = slot_reason(&row);
    let SlotRow { job, slot, state, run, count, .. } = row;
    SlotItem { job, slot, state, reason, run, count }
}

/// What a row has to say; for one that ran, how it went and whether it began late.
fn slot_reason(row: &SlotRow) -> String {
    let took = || row.ended_at?.duration_since(row.started_at?).try_into().ok().map(words::span);
    let mut told = match (row.state, row.reason.as_str()) {
        (SlotState::Running, "") => format!("attempt {} is under way", row.attempts),
        (SlotState::Ran, "") => {
            took().map_or_else(|| "succeeded".into(), |took| format!("succeeded in {took}"))
        }
        (_, reason) => reason.to_owned(),
    };
    let late = row.started_at.and_then(|at| Duration::try_from(at.duration_since(row.slot)).ok());
    if let Some(late) = late.filter(|late| *late >= LATE) {
        told = format!("{told}; began {} after it was due", words::span(late));
    }
    told
}

pub(super) fn run_item(row: RunRow) -> RunItem {
    let Run { id, job: _, cause, state, attempts, created_at: _, started_at } = row.run;
    let slot = cause.slot();
    let (outcome, class) = match &state {
        RunState::Finished { outcome, .. } => (Some(outcome_word(outcome)), outcome.class()),
        RunState::Queued { .. } | RunState::Running { .. } | RunState::NotRun { .. } => {
            (None, None)
        }
    };
    let (word, reason, finished_at) = match state {
        RunState::Queued { why, .. } => (RunWord::Queued, why, None),
        RunState::Running { .. } => (RunWord::Running, String::new(), None),
        RunState::Finished { at, outcome } => {
            (RunWord::Finished, outcome.message().to_owned(), Some(at))
        }
        RunState::NotRun { at, verdict, reason, .. } => (not_run_word(verdict), reason, Some(at)),
    };
    let cause = cause.word().to_owned();
    let state = word;
    let job = row.job;
    RunItem {
        id,
        job,
        slot,
        cause,
        state,
        outcome,
        class,
        reason,
        attempts,
        started_at,
        finished_at,
        progress: None,
    }
}

/// A run with how far it is, where it is under way in this process and its kind tells that.
pub(super) fn run_item_now(row: RunRow, now: Timestamp) -> RunItem {
    let since = match row.run.state {
        RunState::Running { since, .. } => Some(since),
        _ => None,
    };
    let mut item = run_item(row);
    let seen = since.and_then(|since| Some((since, progress::of(item.id)?)));
    item.progress = seen.map(|(since, seen)| {
        let took = Duration::try_from(now.duration_since(since)).unwrap_or_default();
        let words = seen.words(took);
        Progress { rows: seen.rows, bytes: seen.bytes, rate: seen.rate(took), words }
    });
    if let Some(progress) = &item.progress {
        item.reason.clone_from(&progress.words);
    }
    item
}

fn not_run_word(verdict: NotRun) -> RunWord {
    match verdict {
        NotRun::Skipped => RunWord::Skipped,
        NotRun::Missed => RunWord::Missed,
        NotRun::Expired => RunWord::Expired,
        NotRun::Blocked => RunWord::Blocked,
    }
}

fn outcome_word(outcome: &Outcome) -> OutcomeWord {
    match outcome {
        Outcome::Succeeded { .. } => OutcomeWord::Succeeded,
        Outcome::Failed(_) => OutcomeWord::Failed,
    }
}

pub(super) fn attempt_item(attempt: &Attempt) -> AttemptItem {
    let exit_code = match &attempt.outcome {
        Outcome::Succeeded { .. } => None,
        Outcome::Failed(failure) => failure.exit_code,
    };
    AttemptItem {
        attempt: attempt.no,
        started_at: attempt.started_at,
        finished_at: attempt.ended_at,
        outcome: outcome_word(&attempt.outcome),
        class: attempt.outcome.class(),
        reason: attempt.outcome.message().to_owned(),
        exit_code,
    }
}
