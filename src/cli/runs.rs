//! `run`, `logs`: start a run, watch it, read what it printed.
//!
//! Owns following a run through its attempts to its end. Refuses to know how output is kept.

use std::io::{self, Write};

use serde::Serialize;

use super::Session;
use super::exit::{Error, Exit, Result};
use super::history::run_word;
use super::parse::{Subject, subject};
use super::print::note;
use crate::model::{AttemptNo, FailureClass, RunId};
use crate::web::api::{OutcomeWord, OutputQuery, RunDetail, RunItem, RunsQuery, WaitQuery};
use crate::web::client::Client;

/// Runs a job now. Its schedule goes on as if nothing had happened.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "With --wait, the exit code says how the run ended: 0 it succeeded, 1 it failed or \
                  was not run (skipped, or blocked by a credential: the command that mends it is \
                  told), 5 it timed out, 6 it was cancelled. A blocked run on request is not made up \
                  for later."
)]
pub(super) struct RunArgs {
    /// The job
    job: String,
    /// Print its output and exit as the run ends; an interrupt leaves it running
    #[arg(long)]
    wait: bool,
}

/// Prints what a run printed: its newest attempt.
#[derive(Debug, clap::Args)]
pub(super) struct LogsArgs {
    /// A run's number, or a job's name for its newest run
    #[arg(value_name = "RUN|JOB", value_parser = subject)]
    subject: Subject,
    /// Keep on until the run is over
    #[arg(short, long)]
    follow: bool,
    /// Another attempt than the newest
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    attempt: Option<AttemptNo>,
}

/// An attempt's output, as JSON has it; bytes that are no UTF-8 are replaced.
#[derive(Debug, Serialize)]
struct Logs {
    run: RunId,
    attempt: AttemptNo,
    output: String,
}

pub(super) async fn run(session: &mut Session, client: &Client, args: RunArgs) -> Result<Exit> {
    let triggered = client.trigger(&args.job).await?;
    if !args.wait {
        if session.print.json {
            session.print.json(&triggered)?;
        } else {
            session.print.line(&format!("run {} of {}", triggered.run, args.job))?;
        }
        return Ok(Exit::Done);
    }
    note(&format!("run {} of {}", triggered.run, args.job));
    // With --json the data is how it ended, so that the output goes where the notes go.
    let ended = if session.print.json {
        follow(client, triggered.run, 1, &mut io::stderr()).await?
    } else {
        match follow(client, triggered.run, 1, session.print.data()).await {
            // Nobody reads any more, but how the run ends is still to be told.
            Err(error) if error.is_closed_pipe() => {
                follow(client, triggered.run, 1, &mut io::sink()).await?
            }
            followed => followed?,
        }
    };
    if session.print.json {
        session.print.json(&ended)?;
    } else {
        note(&ending(&ended.run));
    }
    Ok(exit_of(&ended.run))
}

pub(super) async fn logs(session: &mut Session, client: &Client, args: LogsArgs) -> Result<Exit> {
    let run = match args.subject {
        Subject::Run(run) => run,
        Subject::Job(job) => newest_run(client, &job).await?,
    };
    if session.print.json {
        let attempt = match args.attempt {
            Some(attempt) => attempt,
            None => client.run(run).await?.run.attempts,
        };
        let query = OutputQuery { attempt: Some(attempt), follow: args.follow };
        let mut output = Vec::new();
        copy(client, run, query, &mut output).await?;
        let output = String::from_utf8_lossy(&output).into_owned();
        session.print.json(&Logs { run, attempt, output })?;
        return Ok(Exit::Done);
    }
    let out = session.print.data();
    match args.attempt {
        None if args.follow => {
            let newest = client.run(run).await?.run.attempts.max(1);
            let ended = follow(client, run, newest, out).await?;
            session.print.note(&ending(&ended.run))?;
        }
        attempt => {
            let query = OutputQuery { attempt, follow: args.follow };
            if copy(client, run, query, out).await? == 0 {
                session.print.note(&format!("run {run} printed nothing"))?;
            }
        }
    }
    Ok(Exit::Done)
}

async fn newest_run(client: &Client, job: &str) -> Result<RunId> {
    let no_run = || {
        Error::new(Exit::Refused, format!("{job} has no run yet"))
            .hint(format!("jadactl run {job} --wait starts one"))
    };
    let name = crate::model::JobName::parse(job)
        .map_err(|error| Error::usage(format!("'{job}' is no job's name: {error}")))?;
    let query = RunsQuery { job: Some(name), limit: Some(1), ..RunsQuery::default() };
    client.runs(&query).await?.first().map(|run| run.id).ok_or_else(no_run)
}

/// Copies the output of a run from attempt `no` on until the run is over.
async fn follow(
    client: &Client,
    run: RunId,
    mut no: AttemptNo,
    out: &mut dyn Write,
) -> Result<RunDetail> {
    let mut told = String::new();
    loop {
        // The first attempt mostly begins at once, and why it waits is worth a word only where it does
        // not; before a further one there is a wait that should be explained at once.
        let detail = match no {
            1 => client.wait(run, WaitQuery { attempt: no }).await?,
            _ => client.run(run).await?,
        };
        if detail.run.attempts >= no {
            if no > 1 {
                note(&format!("attempt {no}"));
            }
            copy(client, run, OutputQuery { attempt: Some(no), follow: true }, out).await?;
            no += 1;
            continue;
        }
        if detail.run.state.is_over() {
            return Ok(detail);
        }
        if detail.run.reason != told {
            told.clone_from(&detail.run.reason);
            note(&format!("run {run} waits: {told}"));
        }
        client.wait(run, WaitQuery { attempt: no }).await?;
    }
}

/// Copies the output of one attempt and says how many bytes that were.
async fn copy(
    client: &Client,
    run: RunId,
    query: OutputQuery,
    out: &mut dyn Write,
) -> Result<usize> {
    let mut output = client.output(run, query).await?;
    let mut bytes = 0;
    while let Some(piece) = output.piece().await? {
        out.write_all(&piece)?;
        out.flush()?;
        bytes += piece.len();
    }
    Ok(bytes)
}

fn ending(run: &RunItem) -> String {
    let class = run.class.map(|class| format!(" ({})", class.word())).unwrap_or_default();
    let reason = match run.reason.as_str() {
        "" => String::new(),
        // The command stands alone, to be copied.
        reason => format!(": {}", reason.replace("; fix: ", "\nfix: ")),
    };
    format!("run {} {}{class}{reason}", run.id, run_word(run))
}

fn exit_of(run: &RunItem) -> Exit {
    match (run.outcome, run.class) {
        (Some(OutcomeWord::Succeeded), _) => Exit::Done,
        (_, Some(FailureClass::TimedOut)) => Exit::TimedOut,
        (_, Some(FailureClass::Cancelled)) => Exit::Cancelled,
        _ => Exit::BadNews,
    }
}
