//! `explain`: why a finding, a job or a run is as it is.
//!
//! Owns telling the three apart. Refuses to know the reasons: those of a code stand beside the code,
//! those of a job or run are the daemon's.

use serde::Serialize;

use super::exit::{Exit, Result};
use super::parse::{Explained, Subject, explained};
use super::{Session, print};
use crate::web::api::Explanation;
use crate::web::client::Client;
use crate::yaml::Code;

/// Says in sentences why a job or run waits, runs or did not run, or what a finding's code means.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A code like J020, a job's name, or a run's number
    #[arg(value_name = "CODE|JOB|RUN", value_parser = explained)]
    subject: Explained,
}

/// The page of a code, as JSON has it.
#[derive(Debug, Serialize)]
struct CodePage {
    code: &'static str,
    severity: &'static str,
    title: &'static str,
    text: &'static str,
}

pub(super) fn run(session: &mut Session, args: &Args) -> Result<Exit> {
    match &args.subject {
        Explained::Code(code) => page(session, *code),
        Explained::Subject(subject) => {
            session.online(async |session, client| online(session, client, subject).await)
        }
    }
}

fn page(session: &mut Session, code: Code) -> Result<Exit> {
    let text = code.explain();
    if session.print.json {
        let severity = code.severity().word();
        session.print.json(&CodePage {
            code: code.number(),
            severity,
            title: code.title(),
            text,
        })?;
    } else {
        session.print.data().write_all(text.as_bytes())?;
    }
    Ok(Exit::Done)
}

async fn online(session: &mut Session, client: &Client, subject: &Subject) -> Result<Exit> {
    let explanation = match subject {
        Subject::Run(run) => client.explain_run(*run).await?,
        Subject::Job(job) => client.explain_job(job).await?,
    };
    if session.print.json {
        session.print.json(&explanation)?;
        return Ok(Exit::Done);
    }
    let Explanation { subject, sentences, commands } = explanation;
    for line in print::wrapped(&subject, session.print.width) {
        session.print.line(&line)?;
    }
    for sentence in sentences {
        for line in print::wrapped(&sentence, session.print.width - 2) {
            session.print.line(&format!("  {line}"))?;
        }
    }
    for command in commands {
        session.print.line(&format!("  next: {command}"))?;
    }
    Ok(Exit::Done)
}
