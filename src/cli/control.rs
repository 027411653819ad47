//! `cancel`, `pause`, `resume`: orders that are durable once the command returns.
//!
//! Owns their words. Refuses to know how the daemon carries them out.

use super::exit::{Exit, Result};
use super::{Session, parse};
use crate::model::RunId;
use crate::web::api::{Done, PauseOrder};
use crate::web::client::Client;

/// Stops a run: one that waits ends at once, one that runs when its processes are gone.
#[derive(Debug, clap::Args)]
pub(super) struct CancelArgs {
    /// The run's number, as jadactl runs lists it
    #[arg(value_name = "RUN", value_parser = parse::run)]
    run: RunId,
}

/// Pauses a job's schedule. A run that is under way goes on.
#[derive(Debug, clap::Args)]
pub(super) struct PauseArgs {
    /// The job
    job: String,
    /// Why, for whoever looks later
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// Ends a job's pause. What was due meanwhile stays skipped.
#[derive(Debug, clap::Args)]
pub(super) struct ResumeArgs {
    /// The job
    job: String,
}

pub(super) async fn cancel(
    session: &mut Session,
    client: &Client,
    args: CancelArgs,
) -> Result<Exit> {
    let done = client.cancel(args.run).await?;
    report(session, done, &format!("run {} is cancelled", args.run))
}

pub(super) async fn pause(session: &mut Session, client: &Client, args: PauseArgs) -> Result<Exit> {
    let done =
        client.pause(&args.job, PauseOrder { reason: args.reason.unwrap_or_default() }).await?;
    let text = format!("{0} is paused; jadactl resume {0} ends the pause", args.job);
    report(session, done, &text)
}

pub(super) async fn resume(
    session: &mut Session,
    client: &Client,
    args: ResumeArgs,
) -> Result<Exit> {
    let done = client.resume(&args.job).await?;
    report(session, done, &format!("{} is back on its schedule", args.job))
}

fn report(session: &mut Session, done: Done, text: &str) -> Result<Exit> {
    if session.print.json {
        session.print.json(&done)?;
    } else {
        session.print.line(text)?;
    }
    Ok(Exit::Done)
}
