//! `auth log`: what was done with a credential, by whom, for which run.
//!
//! Owns the table. Refuses to know secrets: the audit holds none.

use super::desk::{Desk, failed};
use crate::cli::Session;
use crate::cli::exit::{Exit, Result};
use crate::cli::print;
use crate::cli::table::Table;
use crate::credentials::audit::{Act, Entry};

/// Shows what was done with a credential, by whom and for which run, newest first.
#[derive(Debug, clap::Args)]
pub(super) struct LogArgs {
    /// Which
    name: String,
    /// Most lines
    #[arg(long, value_name = "N", default_value_t = 100,
          value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

pub(super) fn log(session: &mut Session, desk: &Desk, args: &LogArgs) -> Result<Exit> {
    let name = &desk.find(&args.name)?.name;
    let read = if desk.folder.path().exists() { desk.audit.read(name) } else { Ok(Vec::new()) };
    let entries = read.map_err(|evidence| failed(&evidence))?;
    let newest = entries.iter().rev().take(args.limit as usize);
    if session.print.json {
        session.print.json_list(newest)?;
        return Ok(Exit::Done);
    }
    let mut table = Table::new(["TIME", "EVENT", "STATE", "BY", "SEEN"]);
    for entry in newest {
        table.row([
            print::time(entry.time),
            word(entry.event),
            entry.state.word().into(),
            by_whom(entry),
            seen(entry),
        ]);
    }
    session.print.table(&table, &format!("nothing is written down about {name}"))?;
    Ok(Exit::Done)
}

/// The event as JSON has it.
fn word(act: Act) -> String {
    let word = serde_json::to_value(act).ok();
    word.and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}

/// The program, and the run or job that it did it for.
fn by_whom(entry: &Entry) -> String {
    let program = &entry.actor.program;
    match (&entry.job, entry.run) {
        (_, Some(run)) => format!("{program}, run {run}"),
        (Some(job), None) => format!("{program}, {job}"),
        (None, None) => program.clone(),
    }
}

fn seen(entry: &Entry) -> String {
    let exchanged = matches!(entry.event, Act::Mint | Act::RefreshOk | Act::RefreshFail);
    let latency = entry.latency_ms.filter(|_| exchanged).map(|ms| format!("{ms} ms"));
    let print = entry.fingerprint.as_ref().map(|print| format!("token {print}"));
    let parts = [
        entry.words.clone(),
        entry.error.clone().filter(|_| entry.words.is_none()),
        print,
        latency,
    ];
    let parts: Vec<String> = parts.into_iter().flatten().filter(|part| !part.is_empty()).collect();
    if parts.is_empty() { "-".to_owned() } else { parts.join(", ") }
}
