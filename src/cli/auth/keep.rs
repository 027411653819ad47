//! `auth refresh`, `auth keepalive`: real exchanges, through the lock.
//!
//! Owns which credentials are asked for, and how each end is told. Refuses to decide what an answer means.

use std::sync::Arc;

use super::desk::Desk;
use super::item::{Item, worst};
use crate::cli::Session;
use crate::cli::exit::{Error, Exit, Result};
use crate::cli::table::Table;
use crate::credentials::declare::Declaration;
use crate::credentials::horizon::keep_alive_at;
use crate::credentials::refresh::Why;
use crate::model::CredentialState;
use crate::web::words;

/// Gets a new token now, also where the last try failed.
///
/// It goes through the lock, so that it can't collide with a daemon or with another jadactl.
#[derive(Debug, clap::Args)]
pub(super) struct RefreshArgs {
    /// Which
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
}

/// Refreshes consents that nothing has used for a day, as a daemon does by itself.
#[derive(Debug, clap::Args)]
pub(super) struct KeepaliveArgs {
    /// Only these
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Also those that are not due yet
    #[arg(long)]
    all: bool,
}

pub(super) async fn refresh(
    session: &mut Session,
    desk: &Desk,
    args: &RefreshArgs,
) -> Result<Exit> {
    let these = desk.these(&args.names)?;
    each(session, desk, &these, Why::Forced).await
}

pub(super) async fn keepalive(
    session: &mut Session,
    desk: &Desk,
    args: &KeepaliveArgs,
) -> Result<Exit> {
    let now = desk.now();
    let mut due = Vec::new();
    for declaration in desk.these(&args.names)? {
        if !declaration.provider.spends_a_grant() {
            continue;
        }
        let record =
            desk.record(&declaration.name).map_err(|evidence| super::desk::failed(&evidence))?;
        let at = record.as_ref().and_then(keep_alive_at);
        if at.is_some_and(|at| args.all || at <= now) {
            due.push(declaration);
        }
    }
    if due.is_empty() && !session.print.json {
        session.print.note("nothing has to be kept alive now: --all refreshes all the same")?;
        return Ok(Exit::Done);
    }
    let unused = Why::Newer { than: u64::MAX };
    each(session, desk, &due, unused).await
}

/// Refreshes one after the other: several at one server at once would only meet its limits.
async fn each(
    session: &mut Session,
    desk: &Desk,
    these: &[&Arc<Declaration>],
    why: Why,
) -> Result<Exit> {
    let mut items = Vec::new();
    let mut exits = Vec::new();
    for declaration in these {
        let end = Box::pin(desk.refresh(declaration, why)).await;
        let item = Item::tried(desk, declaration, &end);
        exits.push(match &end {
            Ok(_) if item.exit() == Exit::Expiring => Exit::Done,
            Ok(_) => item.exit(),
            Err(_) => refused(&item),
        });
        items.push(item);
    }
    let exit = worst(exits.iter().copied());
    if session.print.json {
        session.print.json_list(items.iter())?;
        return Ok(exit);
    }
    if let [item] = &items[..] {
        return one(session, desk, item, exit);
    }
    let now = desk.now();
    let mut table = Table::new(["CREDENTIAL", "STATE", "ENDS", "SEEN"]);
    for item in &items {
        table.row([
            item.name.to_string(),
            item.state.word().into(),
            item.end(now),
            item.words.clone(),
        ]);
    }
    session.print.table(&table, "")?;
    Ok(exit)
}

/// How a refresh that brought nothing counts: one that may not even be tried is a refusal.
fn refused(item: &Item) -> Exit {
    match (item.state, item.exit()) {
        (CredentialState::Paused, _) => Exit::BadNews,
        (_, Exit::Done | Exit::Expiring) => Exit::Failing,
        (_, exit) => exit,
    }
}

fn one(session: &mut Session, desk: &Desk, item: &Item, exit: Exit) -> Result<Exit> {
    if exit == Exit::Done {
        let end = item.horizon.as_ref().map_or_else(
            || "no declared end".to_owned(),
            |end| format!("ends {}: {}", words::until(end.at, desk.now()), end.clock),
        );
        session.print.line(&format!("{} works: {}, {end}", item.name, item.state.word()))?;
        return Ok(exit);
    }
    Err(trouble(item, exit))
}

/// A credential that does not work, as the end of a command.
pub(super) fn trouble(item: &Item, exit: Exit) -> Error {
    let error = item.error.as_ref().map(|error| format!(" ({error})")).unwrap_or_default();
    let why = match item.cause {
        Some(cause) => format!("{cause}{error}"),
        None => "it is held".to_owned(),
    };
    let mut message = format!("{} is {}: {why}", item.name, item.state.word());
    if let Some(seen) = item.seen() {
        message = format!("{message}\nseen: {seen}");
    }
    Error::new(exit, message).hint(item.step())
}
