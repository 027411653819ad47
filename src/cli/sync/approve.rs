//! `sync approve`: lets a held snapshot be committed.
//!
//! Owns the two steps: the approval, which is a file, and the run that uses it up.

use serde::Serialize;

use super::desk;
use crate::cli::Session;
use crate::cli::exit::{Error, Exit, Result};
use crate::kinds::sync::desk::{Answer, Ask};
use crate::model::RunId;

/// Lets what a guard holds be committed, once, and runs the job.
///
/// The run commits the held snapshot if it still changes exactly what `sync diff` shows; where the
/// destination has moved since, it is refused. It is no standing permission: the next trip holds again.
#[derive(Debug, clap::Args)]
pub(super) struct ApproveArgs {
    /// The job
    job: String,
    /// The run whose snapshot is held, as `sync diff` names it
    run: i64,
}

/// What was approved, as JSON has it.
#[derive(Serialize)]
struct Approved<'a> {
    job: &'a str,
    held: RunId,
    digest: &'a str,
    run: RunId,
}

pub(super) async fn approve(session: &mut Session, args: &ApproveArgs) -> Result<Exit> {
    let job = desk::job(session, &args.job)?;
    let answer = desk::ask(session, &job, Ask::Approve(RunId(args.run))).await?;
    let Answer::Approved { run: held, digest } = &answer else { return Err(desk::odd(&answer)) };
    let config = session.config()?;
    let triggered = session.client(&config).trigger(&args.job).await.map_err(|error| {
        let error = Error::from(error);
        let hint =
            format!("run {held} is approved; once the daemon runs: jadactl run {}", args.job);
        Error { hint, ..error }
    })?;
    if session.print.json {
        let run = triggered.run;
        session.print.json(&Approved { job: &args.job, held: *held, digest, run })?;
    } else {
        let text = format!("run {held} is approved, and run {} commits it", triggered.run);
        session.print.line(&text)?;
        session.print.note(&format!("see how it ends: jadactl logs {} --follow", triggered.run))?;
    }
    Ok(Exit::Done)
}
