//! `auth simulate`: a fire drill.
//!
//! Owns the proof that a trouble reaches people: the daemon opens its incident, or the command says that it
//! did not. Refuses to touch the grant and the token.

use std::time::Duration;

use clap::ValueEnum;
use serde::Serialize;

use super::desk::{Desk, failed};
use super::item::Item;
use crate::cli::Session;
use crate::cli::exit::{Error, Exit, Result};
use crate::cli::table::cut;
use crate::credentials::declare::Provider;
use crate::credentials::operator::{self, Fault};
use crate::credentials::refresh::Why;
use crate::model::CredentialState;
use crate::web::api::{IncidentItem, IncidentsQuery};
use crate::web::client::Client;

/// How often the daemon is asked for the incident, once a second.
const LOOKS: u32 = 15;

/// Stages a trouble, to prove that somebody is told of it; jadactl auth refresh NAME ends the drill.
///
/// The credential goes through the same states as in earnest, and its jobs are blocked; its grant and its
/// token are not touched. Exit codes: 0 the incident is open, or there is no daemon to open it; 1 the daemon
/// runs and opens none within 15 s.
#[derive(Debug, clap::Args)]
pub(super) struct SimulateArgs {
    /// Which
    name: String,
    /// What goes wrong
    #[arg(long, value_name = "FAULT")]
    fault: FaultWord,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FaultWord {
    /// The grant is dead
    #[value(name = "invalid_grant")]
    InvalidGrant,
    /// The token endpoint has been down for a while
    #[value(name = "503")]
    Unavailable,
    /// This host's clock is off
    #[value(name = "skew")]
    Skew,
}

/// What the drill showed, as JSON has it.
#[derive(Serialize)]
struct Shown<'a> {
    credential: &'a Item,
    incident: Option<&'a IncidentItem>,
}

pub(super) async fn simulate(
    session: &mut Session,
    desk: &Desk,
    args: &SimulateArgs,
) -> Result<Exit> {
    let declaration = desk.find(&args.name)?;
    let name = &declaration.name;
    let provider = &declaration.provider;
    let fault = match args.fault {
        FaultWord::Unavailable => Fault::Unavailable,
        FaultWord::Skew => Fault::Skew,
        FaultWord::InvalidGrant => Fault::InvalidGrant,
    };
    let has_grant = provider.spends_a_grant() || matches!(provider, Provider::ServiceAccount(_));
    if fault == Fault::InvalidGrant && !has_grant {
        let message = format!("{name} is a `{}`, which has no grant to lose", provider.key());
        return Err(Error::usage(message).hint("--fault 503 fits each kind"));
    }
    let now = Item::kept(desk, declaration);
    let fine = [CredentialState::Unknown, CredentialState::Healthy, CredentialState::Expiring];
    if !fine.contains(&now.state) {
        let how = if now.is_drill() { "by way of a drill" } else { "in earnest" };
        let message = format!("{name} is {} {how}: no drill now", now.state.word());
        return Err(Error::new(Exit::BadNews, message).hint(now.fix.unwrap_or_default()));
    }
    let nature = desk.nature(declaration);
    let staged = operator::drill(&desk.ask(&nature, Why::Forced), fault).await;
    staged.map_err(|evidence| failed(&evidence))?;
    let config = session.config()?;
    let seen = incident(&session.client(&config), &format!("credential/{name}"), desk).await;
    tell(session, &Item::kept(desk, declaration), &seen)
}

/// What the daemon makes of it.
enum Seen {
    Incident(Box<IncidentItem>),
    Nothing,
    NoDaemon,
}

async fn incident(client: &Client, key: &str, desk: &Desk) -> Seen {
    for _ in 0..LOOKS {
        let Ok(open) = client.incidents(IncidentsQuery { all: false, limit: None }).await else {
            return Seen::NoDaemon;
        };
        if let Some(found) = open.into_iter().find(|incident| incident.key == key) {
            return Seen::Incident(Box::new(found));
        }
        desk.world.clock.sleep(Duration::from_secs(1)).await;
    }
    Seen::Nothing
}

fn tell(session: &mut Session, item: &Item, seen: &Seen) -> Result<Exit> {
    let exit = if matches!(seen, Seen::Nothing) { Exit::BadNews } else { Exit::Done };
    if session.print.json {
        let incident = match seen {
            Seen::Incident(incident) => Some(&**incident),
            _ => None,
        };
        session.print.json(&Shown { credential: item, incident })?;
        return Ok(exit);
    }
    let width = session.print.width;
    let name = &item.name;
    session.print.line(&format!("{name} is {}, by way of a drill", item.state.word()))?;
    match seen {
        Seen::Incident(incident) => {
            let line = format!("incident {}: {}", incident.key, incident.title);
            session.print.line(&cut(&line, width))?;
        }
        Seen::Nothing => session.print.note(&format!(
            "the daemon runs, and has opened no incident for {name} after {LOOKS} s"
        ))?,
        Seen::NoDaemon => session.print.note("no daemon answers, so nobody is told of it")?,
    }
    session.print.line(&format!("jadactl auth refresh {name} ends the drill"))?;
    Ok(exit)
}
