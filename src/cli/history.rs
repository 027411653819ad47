//! `jobs`, `slots`, `runs`: lists of what is and what was.
//!
//! Owns their tables. Refuses to know where the rows come from.

use clap::builder::PossibleValuesParser;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::exit::{Error, Exit, Result};
use super::print;
use super::table::Table;
use super::when::{When, when};
use super::{Session, parse};
use crate::clock::{Clock, SystemClock};
use crate::model::{JobName, RunId, SlotState};
use crate::web::api::{
    JobItem, JobState, LIMIT_MAX, OutcomeWord, RunItem, RunWord, RunsQuery, SlotItem, SlotsQuery,
};
use crate::web::client::Client;
use crate::web::words;

/// Lists the jobs in force: state, next slot, last end, schedule.
#[derive(Debug, clap::Args)]
pub(super) struct JobsArgs {}

/// Lists slots, newest first: what was due, what became of it, and why.
///
/// A job's next slot is listed too, as pending. JSON: objects with job, slot, state, reason, run, count.
#[derive(Debug, clap::Args)]
pub(super) struct SlotsArgs {
    /// Only this job's
    #[arg(long, value_name = "JOB", value_parser = JobName::parse)]
    job: Option<JobName>,
    /// Only these states
    #[arg(long, value_name = "STATE", value_delimiter = ',',
          value_parser = PossibleValuesParser::new(SlotState::ALL.map(SlotState::word)))]
    state: Vec<String>,
    /// Only nominal times from then on: 2h, 2026-11-25, 2026-11-25T09:00Z
    #[arg(long, value_name = "TIME", value_parser = when)]
    since: Option<When>,
    /// Most rows [default: 100 past ones]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=LIMIT_MAX.into()))]
    limit: Option<u32>,
}

/// Lists runs, newest first.
///
/// JSON: objects with id, job, slot, cause, state, outcome, class, reason, attempts, started_at,
/// finished_at.
#[derive(Debug, clap::Args)]
pub(super) struct RunsArgs {
    /// Only this job's
    #[arg(long, value_name = "JOB", value_parser = JobName::parse)]
    job: Option<JobName>,
    /// Only runs that wait or run
    #[arg(long)]
    live: bool,
    /// Only runs that failed
    #[arg(long, conflicts_with = "live")]
    failed: bool,
    /// Only runs recorded from then on: 2h, 2026-11-25, 2026-11-25T09:00Z
    #[arg(long, value_name = "TIME", value_parser = when)]
    since: Option<When>,
    /// Only runs before this one: the next page
    #[arg(long, value_name = "RUN", value_parser = parse::run)]
    before: Option<RunId>,
    /// Most rows [default: 100]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=LIMIT_MAX.into()))]
    limit: Option<u32>,
}

pub(super) async fn jobs(session: &mut Session, client: &Client) -> Result<Exit> {
    let jobs = client.jobs().await?;
    if session.print.json {
        session.print.json(&jobs)?;
        return Ok(Exit::Done);
    }
    let now = super::now(client);
    let mut table = Table::new(["JOB", "KIND", "STATE", "NEXT", "LAST", "SCHEDULE"]);
    for job in jobs {
        let last = job.last.as_ref().map(|last| {
            let how = match last.outcome {
                OutcomeWord::Succeeded => "ok",
                OutcomeWord::Failed => "failed",
            };
            format!("{how} {}", words::ago(last.at, now))
        });
        table.row([
            job.job.to_string(),
            job.kind.clone(),
            job_word(&job).into(),
            job.next.map_or_else(|| "-".into(), |at| words::until(at, now)),
            last.unwrap_or_else(|| "-".into()),
            job.schedule,
        ]);
    }
    session.print.table(&table, "no job is in force: jadactl validate checks the job files")?;
    Ok(Exit::Done)
}

fn job_word(job: &JobItem) -> &'static str {
    match job.state {
        _ if job.running > 0 => "running",
        _ if job.queued > 0 => "queued",
        JobState::Blocked => "blocked",
        JobState::Active => "active",
        JobState::Paused => "paused",
        JobState::Disabled => "disabled",
    }
}

pub(super) async fn slots(session: &mut Session, client: &Client, args: SlotsArgs) -> Result<Exit> {
    let state = (!args.state.is_empty()).then(|| args.state.join(","));
    let since = instant(args.since.as_ref())?;
    let query = SlotsQuery { job: args.job, state, since, limit: args.limit };
    let slots = client.slots(&query).await?;
    if session.print.json {
        session.print.json(&slots)?;
        return Ok(Exit::Done);
    }
    let mut table = Table::new(["SLOT", "STATE", "JOB", "RUN", "REASON"]);
    for slot in slots {
        table.row([
            print::time(slot.slot),
            slot.state.word().into(),
            slot.job.to_string(),
            slot.run.map_or_else(|| "-".into(), |run| run.to_string()),
            slot_reason(&slot),
        ]);
    }
    session.print.table(&table, "no such slot is recorded")?;
    Ok(Exit::Done)
}

fn slot_reason(slot: &SlotItem) -> String {
    match slot.count {
        1 => slot.reason.clone(),
        count => format!("{}: {}", words::count(count, "slot"), slot.reason),
    }
}

pub(super) async fn runs(session: &mut Session, client: &Client, args: RunsArgs) -> Result<Exit> {
    let RunsArgs { job, live, failed, since, before, limit } = args;
    let since = instant(since.as_ref())?;
    let runs = client.runs(&RunsQuery { job, live, failed, since, before, limit }).await?;
    if session.print.json {
        session.print.json(&runs)?;
        return Ok(Exit::Done);
    }
    let now = super::now(client);
    let mut table = Table::new(["RUN", "JOB", "CAUSE", "STATE", "STARTED", "TOOK", "REASON"]);
    for run in runs {
        table.row([
            run.id.to_string(),
            run.job.to_string(),
            run.cause.clone(),
            run_word(&run).into(),
            run.started_at.map_or_else(|| "-".into(), |at| words::ago(at, now)),
            took(&run, now),
            run.reason,
        ]);
    }
    session.print.table(&table, "no such run is recorded")?;
    Ok(Exit::Done)
}

/// How a run stands or ended, in one word.
pub(super) fn run_word(run: &RunItem) -> &'static str {
    match (run.state, run.outcome) {
        (RunWord::Queued, _) => "queued",
        (RunWord::Running, _) => "running",
        (RunWord::Finished, Some(OutcomeWord::Succeeded)) => "succeeded",
        (RunWord::Finished, _) => "failed",
        (RunWord::Skipped, _) => "skipped",
        (RunWord::Missed, _) => "missed",
        (RunWord::Expired, _) => "expired",
        (RunWord::Blocked, _) => "blocked",
    }
}

fn took(run: &RunItem, now: Timestamp) -> String {
    let Some(start) = run.started_at else { return "-".into() };
    let time = run.finished_at.unwrap_or(now).duration_since(start);
    std::time::Duration::try_from(time).map_or_else(|_| "-".into(), words::rough)
}

fn instant(when: Option<&When>) -> Result<Option<Timestamp>> {
    let at = when.map(|when| when.instant(SystemClock.now(), &TimeZone::UTC)).transpose();
    at.map_err(Error::usage)
}
