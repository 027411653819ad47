//! `sync state`: what is known of the last commit, and where the next read begins.
//!
//! Owns how it reads. What was known before a change is always kept in a file, and that is told.

use clap::{ArgGroup, Subcommand};
use serde_json::Value as Json;

use super::desk;
use crate::cli::Session;
use crate::cli::exit::{Error, Exit, Result};
use crate::cli::print::time;
use crate::kinds::sync::desk::{Answer, Ask, Set, Shown};
use crate::model::RunId;
use crate::web::words::count;

/// Shows or changes what is known of the last commit.
#[derive(Debug, clap::Args)]
#[command(subcommand_value_name = "VERB", subcommand_help_heading = "Verbs")]
pub(super) struct StateArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Shows the last commit, and where the next read begins
    Show(ShowArgs),
    /// Sets where the next read begins; what was known before is kept in a file
    Set(SetArgs),
    /// Takes what the destination holds for the last commit; what was known is kept in a file
    Reset(ResetArgs),
}

#[derive(Debug, clap::Args)]
struct ShowArgs {
    /// The job
    job: String,
}

#[derive(Debug, clap::Args)]
#[command(group(ArgGroup::new("what").args(["cursor", "left"]).required(true).multiple(true)))]
struct SetArgs {
    /// The job
    job: String,
    /// The cursor: a time, a number or a text, as the column has it
    #[arg(long, value_name = "VALUE")]
    cursor: Option<String>,
    /// What the source left for itself, as JSON: a tap's state
    #[arg(long, value_name = "JSON")]
    left: Option<String>,
}

#[derive(Debug, clap::Args)]
struct ResetArgs {
    /// The job
    job: String,
}

pub(super) async fn state(session: &mut Session, args: StateArgs) -> Result<Exit> {
    let (name, ask) = match args.verb {
        Verb::Show(args) => (args.job, Ask::Show),
        Verb::Reset(args) => (args.job, Ask::Reset),
        Verb::Set(args) => {
            let left = args.left.as_deref().map(serde_json::from_str::<Json>).transpose();
            let left = left.map_err(|error| Error::usage(format!("--left is no JSON: {error}")))?;
            (args.job, Ask::Set(Set { cursor: args.cursor, left }))
        }
    };
    let job = desk::job(session, &name)?;
    let answer = desk::ask(session, &job, ask).await?;
    let Answer::State(shown) = &answer else { return Err(desk::odd(&answer)) };
    if session.print.json {
        session.print.json(shown)?;
    } else {
        for line in lines(&name, shown) {
            session.print.line(&line)?;
        }
    }
    Ok(Exit::Done)
}

fn lines(job: &str, shown: &Shown) -> Vec<String> {
    let mut lines = Vec::new();
    match &shown.last {
        Some(last) => {
            let at = time(last.committed_at);
            let rows = count(last.rows, "row");
            let by = by(last.run);
            lines.push(format!("{job}: {by}, {at}, {rows}"));
            if let Some(cursor) = &last.cursor {
                lines.push(format!("cursor  {cursor}"));
            }
            if let Some(left) = &last.left {
                lines.push(format!("left    {left}"));
            }
        }
        None => lines.push(match shown.rows {
            0 => format!("{job}: nothing was committed yet"),
            _ => format!("{job}: the destination has rows, and no record of a commit"),
        }),
    }
    if shown.last.is_some() && !shown.same_source {
        lines.push("note    the source or the mapping has changed since".to_owned());
    }
    for (at, rows) in &shown.history {
        lines.push(format!("before  {}, {}", time(*at), count(*rows, "row")));
    }
    if let Some(run) = shown.held {
        lines.push(format!("held    by run {run}: jadactl sync diff {job}"));
    }
    if let Some(backup) = &shown.backup {
        lines.push(format!("what was known before is in {}", backup.display()));
    }
    lines
}

/// Who made the last record: a run, or somebody at `sync state reset`.
fn by(run: RunId) -> String {
    if run.0 == 0 { "set by hand".to_owned() } else { format!("committed by run {run}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::sync::desk::Last;

    #[test]
    fn a_state_reads_well() {
        let at = "2026-11-25T09:00:00Z".parse().expect("an instant");
        let last = Last {
            run: RunId(11),
            committed_at: at,
            rows: 99,
            cursor: Some("2026-11-25T08:59:00Z".into()),
            left: Some(serde_json::json!({ "bookmarks": { "issues": 5 } })),
        };
        let full = Shown {
            last: Some(last),
            same_source: false,
            history: vec![(at, 98)],
            rows: 99,
            held: Some(RunId(12)),
            backup: Some("var/sync/crew/before-12.json".into()),
        };
        let none =
            Shown { last: None, history: Vec::new(), held: None, backup: None, ..full.clone() };
        let empty = Shown { rows: 0, ..none.clone() };
        let last =
            full.last.clone().map(|last| Last { run: RunId(0), cursor: None, left: None, ..last });
        let reset = Shown { last, same_source: true, ..none.clone() };
        let all = [full, none, empty, reset].map(|shown| lines("crew", &shown).join("\n"));
        insta::assert_snapshot!(all.join("\n\n"), @r#"
        crew: committed by run 11, 2026-11-25 09:00:00Z, 99 rows
        cursor  2026-11-25T08:59:00Z
        left    {"bookmarks":{"issues":5}}
        note    the source or the mapping has changed since
        before  2026-11-25 09:00:00Z, 98 rows
        held    by run 12: jadactl sync diff crew
        what was known before is in var/sync/crew/before-12.json

        crew: the destination has rows, and no record of a commit

        crew: nothing was committed yet

        crew: set by hand, 2026-11-25 09:00:00Z, 99 rows
        "#);
    }
}
