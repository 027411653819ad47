//! How values of the model lie in columns.
//!
//! Owns the numbers that stand for closed sets of words; a number once released keeps its meaning.
//! Refuses to know conditions and queries.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::types::Type;
use rusqlite::{Result, Row};

use crate::model::{
    Attempt, Cause, Failure, FailureClass, Holder, JobId, JobName, NameError, NodeId, NotRun,
    Outcome, Revision, Run, RunId, RunState, SlotState,
};

pub(super) const QUEUED: i64 = 0;
pub(super) const RUNNING: i64 = 1;
pub(super) const RAN: i64 = 2;
pub(super) const FAILED: i64 = 3;
pub(super) const BLOCKED: i64 = 7;
/// Every state in which a row is over.
pub(super) const OVER: std::ops::RangeInclusive<i64> = RAN..=BLOCKED;

/// The hour that a time lies in, counted from 1970.
pub(super) fn hour(millis: i64) -> i64 {
    millis.div_euclid(60 * 60 * 1000)
}

/// The number of a slot's state; a row's `state` holds the same.
pub(super) fn state_code(state: SlotState) -> i64 {
    match state {
        SlotState::Pending => QUEUED,
        SlotState::Running => RUNNING,
        SlotState::Ran => RAN,
        SlotState::Failed => FAILED,
        SlotState::Skipped => 4,
        SlotState::Missed => 5,
        SlotState::Expired => 6,
        SlotState::Blocked => BLOCKED,
    }
}

/// The slot state of a number.
pub(super) fn state_of(code: i64) -> Result<SlotState> {
    Ok(match code {
        QUEUED => SlotState::Pending,
        RUNNING => SlotState::Running,
        RAN => SlotState::Ran,
        FAILED => SlotState::Failed,
        4 => SlotState::Skipped,
        5 => SlotState::Missed,
        6 => SlotState::Expired,
        BLOCKED => SlotState::Blocked,
        _ => return Err(unknown("state", code)),
    })
}

fn class_code(class: FailureClass) -> i64 {
    match class {
        FailureClass::Transient => 0,
        FailureClass::Throttled => 1,
        FailureClass::Unauthorized => 2,
        FailureClass::Exhausted => 3,
        FailureClass::Permanent => 4,
        FailureClass::TimedOut => 5,
        FailureClass::Cancelled => 6,
        FailureClass::Lost => 7,
    }
}

fn class_of(code: i64) -> Result<FailureClass> {
    FailureClass::ALL
        .into_iter()
        .find(|class| class_code(*class) == code)
        .ok_or_else(|| unknown("failure class", code))
}

/// `kind` and `ref` of a cause.
pub(super) fn cause_codes(cause: Cause) -> (i64, i64) {
    match cause {
        Cause::Slot(at) => (0, at.as_millisecond()),
        Cause::Manual(at) => (1, at.as_millisecond()),
        Cause::After(run) => (2, run.0),
    }
}

fn cause_of(kind: i64, reference: i64) -> Result<Cause> {
    Ok(match kind {
        0 => Cause::Slot(time(reference)?),
        1 => Cause::Manual(time(reference)?),
        2 => Cause::After(RunId(reference)),
        _ => return Err(unknown("cause", kind)),
    })
}

/// A revision as SQLite's signed integer, bit by bit.
pub(super) fn revision_code(revision: Revision) -> i64 {
    revision.0.cast_signed()
}

/// The columns of an outcome.
#[derive(Debug, Default)]
pub(super) struct End<'a> {
    pub(super) class: Option<i64>,
    pub(super) exit_code: Option<i32>,
    pub(super) retry_after: Option<i64>,
    pub(super) text: Option<&'a str>,
}

impl<'a> End<'a> {
    pub(super) fn of(outcome: &'a Outcome) -> Self {
        let text = words(outcome.message());
        match outcome {
            Outcome::Succeeded { .. } => Self { text, ..Self::default() },
            Outcome::Failed(failure) => Self {
                class: Some(class_code(failure.class)),
                exit_code: failure.exit_code,
                retry_after: failure.retry_after.map(millis),
                text,
            },
        }
    }
}

/// The columns that follow from a run's state; those of another state are empty.
#[derive(Debug, Default)]
pub(super) struct State<'a> {
    pub(super) code: i64,
    pub(super) ready_at: Option<i64>,
    pub(super) since: Option<i64>,
    pub(super) holder: Option<i64>,
    pub(super) until: Option<i64>,
    pub(super) ended_at: Option<i64>,
    pub(super) count: i64,
    pub(super) end: End<'a>,
}

impl<'a> State<'a> {
    pub(super) fn of(state: &'a RunState) -> Self {
        let code = state_code(crate::store::slot_state(state));
        let blank = Self { code, count: 1, ..Self::default() };
        match state {
            RunState::Queued { ready_at, why } => Self {
                ready_at: Some(ready_at.as_millisecond()),
                end: End { text: words(why), ..End::default() },
                ..blank
            },
            RunState::Running { holder, since } => Self {
                since: Some(since.as_millisecond()),
                holder: Some(holder.node.0),
                until: Some(holder.until.as_millisecond()),
                ..blank
            },
            RunState::Finished { at, outcome } => {
                Self { ended_at: Some(at.as_millisecond()), end: End::of(outcome), ..blank }
            }
            RunState::NotRun { at, reason, count, .. } => Self {
                ended_at: Some(at.as_millisecond()),
                count: i64::try_from(*count).unwrap_or(i64::MAX),
                end: End { text: words(reason), ..End::default() },
                ..blank
            },
        }
    }
}

/// An empty text takes no room.
fn words(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// The columns that [`run`] reads, from `run r LEFT JOIN node n ON n.id = r.holder AND r.state = 1`.
pub(super) const RUN: &str = "r.id, r.job, r.kind, r.ref, r.state, r.attempts, r.created_at, \
     r.started_at, r.ready_at, r.since, r.holder, max(r.until, coalesce(n.until, r.until)), \
     r.ended_at, r.class, r.exit_code, r.retry_after, r.count, r.text";

/// How many columns [`RUN`] has.
pub(super) const RUN_WIDTH: usize = 18;

/// Reads [`RUN`] from the row's start.
pub(super) fn run(row: &Row<'_>) -> Result<Run> {
    Ok(Run {
        id: RunId(row.get(0)?),
        job: JobId(row.get(1)?),
        cause: cause_of(row.get(2)?, row.get(3)?)?,
        state: state(row)?,
        attempts: row.get(5)?,
        created_at: time(row.get(6)?)?,
        started_at: row.get::<_, Option<i64>>(7)?.map(time).transpose()?,
    })
}

fn state(row: &Row<'_>) -> Result<RunState> {
    let at = |column| time(row.get(column)?);
    let not_run = |verdict| {
        Ok(RunState::NotRun {
            at: at(12)?,
            verdict,
            reason: text(row, 17)?,
            count: row.get::<_, i64>(16)?.cast_unsigned(),
        })
    };
    match state_of(row.get(4)?)? {
        SlotState::Pending => Ok(RunState::Queued { ready_at: at(8)?, why: text(row, 17)? }),
        SlotState::Running => {
            let holder = Holder { node: NodeId(row.get(10)?), until: at(11)? };
            Ok(RunState::Running { holder, since: at(9)? })
        }
        SlotState::Ran | SlotState::Failed => {
            let outcome = outcome([row.get(13)?, row.get(14)?, row.get(15)?], text(row, 17)?)?;
            Ok(RunState::Finished { at: at(12)?, outcome })
        }
        SlotState::Skipped => not_run(NotRun::Skipped),
        SlotState::Missed => not_run(NotRun::Missed),
        SlotState::Expired => not_run(NotRun::Expired),
        SlotState::Blocked => not_run(NotRun::Blocked),
    }
}

/// An ended attempt, from `no, node, started_at, ended_at, class, exit_code, retry_after, text`.
pub(super) fn attempt(row: &Row<'_>) -> Result<Attempt> {
    Ok(Attempt {
        no: row.get(0)?,
        node: NodeId(row.get(1)?),
        started_at: time(row.get(2)?)?,
        ended_at: time(row.get(3)?)?,
        outcome: outcome([row.get(4)?, row.get(5)?, row.get(6)?], text(row, 7)?)?,
    })
}

/// An outcome from class, exit code and retry-after, and its words.
pub(super) fn outcome(
    [class, exit_code, retry_after]: [Option<i64>; 3],
    text: String,
) -> Result<Outcome> {
    let Some(class) = class else { return Ok(Outcome::Succeeded { note: text }) };
    Ok(Outcome::Failed(Failure {
        class: class_of(class)?,
        message: text,
        retry_after: retry_after.map(|time| Duration::from_millis(time.cast_unsigned())),
        exit_code: exit_code.and_then(|code| i32::try_from(code).ok()),
        blocked_by: None,
        mend: None,
        held: None,
    }))
}

/// A text that may be empty.
pub(super) fn text(row: &Row<'_>, column: usize) -> Result<String> {
    Ok(row.get::<_, Option<String>>(column)?.unwrap_or_default())
}

/// A job's name.
pub(super) fn name(row: &Row<'_>, column: usize) -> Result<JobName> {
    let text = row.get_ref(column)?.as_str()?;
    JobName::parse(text).map_err(|error| bad_name(column, error))
}

/// What a column holds is no name.
pub(super) fn bad_name(column: usize, error: NameError) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
}

/// A time.
pub(super) fn time(millis: i64) -> Result<Timestamp> {
    Timestamp::from_millisecond(millis).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(0, Type::Integer, Box::new(error))
    })
}

/// A number that stands for nothing.
pub(super) fn unknown(what: &str, code: i64) -> rusqlite::Error {
    let error = format!("{what} {code} is not one that this program knows");
    rusqlite::Error::FromSqlConversionFailure(0, Type::Integer, error.into())
}
