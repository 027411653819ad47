//! `checks`: how each check stands.
//!
//! Owns how it is shown. Refuses to judge.

use super::Session;
use super::exit::{Exit, Result};
use super::table::Table;
use crate::model::{JobName, Verdict};
use crate::web::api::ChecksQuery;
use crate::web::client::Client;
use crate::web::words;

/// Lists the checks of the health jobs: how each stands, its last looks, what was seen.
///
/// LOOKS has the last looks, the newest on the right: . ok, w warn, ? unknown, x fail. JSON: objects with
/// job, check, verdict, fault, subject, text, at, since, run, looks.
#[derive(Debug, clap::Args)]
pub(super) struct ChecksArgs {
    /// Only this job's
    #[arg(value_name = "JOB", value_parser = JobName::parse)]
    job: Option<JobName>,
}

pub(super) async fn checks(
    session: &mut Session,
    client: &Client,
    args: ChecksArgs,
) -> Result<Exit> {
    let checks = client.checks(&ChecksQuery { job: args.job }).await?;
    if session.print.json {
        session.print.json(&checks)?;
        return Ok(Exit::Done);
    }
    let now = super::now(client);
    let mut table = Table::new(["CHECK", "STATE", "LOOKED", "SINCE", "LOOKS", "SEEN"]);
    for check in checks {
        let ago = |at| words::ago(at, now);
        table.row([
            format!("{}/{}", check.job, check.check),
            check.verdict.map_or("new", Verdict::word).into(),
            check.at.map_or_else(|| "-".into(), ago),
            check.since.map_or_else(|| "-".into(), ago),
            check.looks.iter().map(|look| words::mark(look.verdict)).collect(),
            words::seen(check.fault.as_deref(), &check.text),
        ]);
    }
    session.print.table(&table, "no health job is in force")?;
    Ok(Exit::Done)
}
