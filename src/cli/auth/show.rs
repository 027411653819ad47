//! `auth list`, `auth status`: how credentials stand.
//!
//! Owns the table and the choice between what is known and what a real refresh says. Refuses to mend.

use super::desk::Desk;
use super::item::{Item, worst};
use crate::cli::Session;
use crate::cli::exit::{Exit, Result};
use crate::cli::table::{Table, cut};
use crate::credentials::refresh::Why;
use crate::model::JobName;
use crate::web::words::count;

/// Lists the declared credentials: state, last refresh, known end, jobs.
#[derive(Debug, clap::Args)]
pub(super) struct ListArgs {}

/// Shows all that is known of each credential, or tries it.
///
/// Without --check nobody is asked, and the exit code is 0. JSON: a list, also for one NAME, of objects with
/// name, provider, account, state, class, error, scopes, last_refresh, horizon (at, clock), jobs, since,
/// words, fix, deaths. No known end is null, which is no promise that there is none.
#[derive(Debug, clap::Args)]
pub(super) struct StatusArgs {
    /// Only these
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Refresh each one now, through the lock; the exit code says how the worst one stands
    #[arg(long)]
    check: bool,
}

pub(super) fn list(session: &mut Session, desk: &Desk) -> Result<Exit> {
    desk.warn();
    let items: Vec<Item> =
        desk.declarations.values().map(|declaration| Item::kept(desk, declaration)).collect();
    if session.print.json {
        session.print.json_list(items.iter())?;
        return Ok(Exit::Done);
    }
    let now = desk.now();
    let mut table = Table::new(["CREDENTIAL", "STATE", "PROVIDER", "REFRESHED", "ENDS", "JOBS"]);
    for item in &items {
        let jobs: Vec<&str> = item.jobs.iter().map(JobName::as_str).collect();
        table.row([
            item.name.to_string(),
            item.state.word().into(),
            item.provider.into(),
            item.last(now),
            item.end(now),
            if jobs.is_empty() { "-".into() } else { jobs.join(", ") },
        ]);
    }
    session.print.table(&table, "jada.yaml declares no credential: jadactl auth add writes one")?;
    Ok(Exit::Done)
}

pub(super) async fn status(session: &mut Session, desk: &Desk, args: &StatusArgs) -> Result<Exit> {
    let declarations = desk.these(&args.names)?;
    desk.warn();
    let mut items = Vec::new();
    for declaration in declarations {
        items.push(if args.check {
            let end = Box::pin(desk.refresh(declaration, Why::Forced)).await;
            Item::tried(desk, declaration, &end)
        } else {
            Item::kept(desk, declaration)
        });
    }
    if session.print.json {
        session.print.json_list(items.iter())?;
    } else {
        tell(session, desk, &items)?;
    }
    Ok(if args.check { worst(items.iter().map(Item::exit)) } else { Exit::Done })
}

fn tell(session: &mut Session, desk: &Desk, items: &[Item]) -> Result<()> {
    if items.is_empty() {
        return session.print.note("jada.yaml declares no credential: jadactl auth add writes one");
    }
    let (now, width) = (desk.now(), session.print.width);
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            session.print.line("")?;
        }
        for line in item.lines(now, width) {
            let line = if line.contains("jadactl") { line } else { cut(&line, width) };
            session.print.line(&line)?;
        }
    }
    let bad = items.iter().filter(|item| item.exit() != Exit::Done).count();
    if items.len() > 1 && bad > 0 {
        let all = count(items.len() as u64, "credential");
        session.print.note(&format!("{bad} of {all} need a look"))?;
    }
    Ok(())
}
