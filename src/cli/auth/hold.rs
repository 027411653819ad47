//! `auth pause`, `auth resume`: a credential that must not be used for a while.
//!
//! Owns their words. Refuses to pause jobs: those that need it are blocked, in silence.

use super::desk::{Desk, failed};
use super::item::Item;
use crate::cli::Session;
use crate::cli::exit::{Exit, Result};
use crate::credentials::lifecycle::Event;
use crate::credentials::refresh::{self, Why};
use crate::model::CredentialState;

/// Holds a credential: nobody asks for a token, and its jobs are blocked without an alert.
#[derive(Debug, clap::Args)]
pub(super) struct PauseArgs {
    /// Which
    name: String,
}

/// Lets a credential go on; what was blocked is released as each job's catch_up says.
#[derive(Debug, clap::Args)]
pub(super) struct ResumeArgs {
    /// Which
    name: String,
}

pub(super) async fn pause(session: &mut Session, desk: &Desk, args: &PauseArgs) -> Result<Exit> {
    let item = moved(desk, &args.name, &Event::Paused).await?;
    let text = match item.state {
        CredentialState::Revoked => {
            format!("{0} was revoked, and holds its jobs until jadactl auth login {0}", item.name)
        }
        _ => format!("{0} is paused; jadactl auth resume {0} ends the pause", item.name),
    };
    report(session, &item, &text)
}

pub(super) async fn resume(session: &mut Session, desk: &Desk, args: &ResumeArgs) -> Result<Exit> {
    let name = &desk.find(&args.name)?.name;
    let record = desk.record(name).map_err(|evidence| failed(&evidence))?;
    if record.is_none_or(|record| record.standing.state != CredentialState::Paused) {
        let item = Item::kept(desk, desk.find(&args.name)?);
        return report(session, &item, &format!("{name} is not paused: nothing to do"));
    }
    let item = moved(desk, &args.name, &Event::Resumed).await?;
    let text = format!("{} goes on; jadactl auth refresh {0} tries it now", item.name);
    report(session, &item, &text)
}

async fn moved(desk: &Desk, name: &str, event: &Event) -> Result<Item> {
    let declaration = desk.find(name)?;
    let nature = desk.nature(declaration);
    let reported = refresh::report(&desk.ask(&nature, Why::Forced), event, false).await;
    match reported {
        Err(refresh::Failed { evidence: Some(evidence), .. }) => Err(failed(&evidence)),
        _ => Ok(Item::kept(desk, declaration)),
    }
}

fn report(session: &mut Session, item: &Item, text: &str) -> Result<Exit> {
    if session.print.json {
        session.print.json(item)?;
    } else {
        session.print.line(text)?;
    }
    Ok(Exit::Done)
}
