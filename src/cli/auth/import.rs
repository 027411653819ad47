//! `auth import`: takes over what another tool kept.
//!
//! Owns the order: put in place as untried, then tried; where that shows that it is dead and the one before
//! was alive, that one comes back. Refuses to know the forms (`credentials::login::import`).

use std::path::{Path, PathBuf};

use super::desk::{Desk, failed, refused, text_of, write_new};
use super::item::Item;
use super::keep::trouble;
use crate::cli::Session;
use crate::cli::exit::{Error, Exit, Result};
use crate::credentials::declare::{Declaration, Provider, SecretPlace};
use crate::credentials::login::import::{Found, FoundGrant, adopt, read};
use crate::credentials::operator::{self, Changed};
use crate::credentials::record::Record;
use crate::credentials::refresh::{Failed, Why};
use crate::credentials::secret::Secret;
use crate::model::CredentialState;

/// Takes over a grant that another tool kept, and tries it.
///
/// Reads authorized-user JSON (client_id, client_secret, refresh_token), as gcloud and Google's libraries
/// write it, rclone's configuration or token, and a service account's key. It must belong to the client that
/// jada.yaml declares. A dead one does not take the place of one that works.
#[derive(Debug, clap::Args)]
pub(super) struct ImportArgs {
    /// Which, as jada.yaml declares it
    name: String,
    /// The file; - is stdin
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// The section of an rclone configuration
    #[arg(long, value_name = "NAME")]
    section: Option<String>,
    /// Do not try it: it stays unknown until something does
    #[arg(long)]
    no_check: bool,
}

pub(super) async fn import(session: &mut Session, desk: &Desk, args: &ImportArgs) -> Result<Exit> {
    let declaration = desk.find(&args.name)?;
    let text = text_of(&args.from)?;
    let found = read(text.expose(), args.section.as_deref()).map_err(|error| refused(&error))?;
    let before = match found {
        Found::Grant(found) => grant(desk, declaration, *found).await?,
        Found::ServiceAccount { email } => {
            key(declaration, &text, &email)?;
            None
        }
    };
    if args.no_check {
        let item = Item::kept(desk, declaration);
        return told(session, &item, &format!("{} is taken over, untried", item.name), args);
    }
    let end = Box::pin(desk.refresh(declaration, Why::Forced)).await;
    let item = Item::tried(desk, declaration, &end);
    match &end {
        Ok(_) => {
            let state = item.state.word();
            told(session, &item, &format!("{} is taken over and works: {state}", item.name), args)
        }
        Err(failure) => Err(back(desk, declaration, before, failure, &item).await?),
    }
}

/// Puts a grant in its place. What was there before is kept at hand, where it works.
async fn grant(
    desk: &Desk,
    declaration: &Declaration,
    found: FoundGrant,
) -> Result<Option<(Record, u64)>> {
    let (grant, account) =
        adopt(found, declaration, &desk.world).await.map_err(|error| refused(&error))?;
    let nature = desk.nature(declaration);
    let changed = operator::import(&desk.ask(&nature, Why::Forced), grant, account).await;
    let Changed { before, now } = changed.map_err(|evidence| failed(&evidence))?;
    let works = |record: &Record| {
        let state = record.standing.state;
        record.grant.is_some()
            && record.provider == now.provider
            && matches!(state, CredentialState::Healthy | CredentialState::Expiring)
    };
    Ok(before.filter(works).map(|before| (before, now.standing.generation)))
}

/// What is told of an import that does not work.
async fn back(
    desk: &Desk,
    declaration: &Declaration,
    before: Option<(Record, u64)>,
    failure: &Failed,
    item: &Item,
) -> Result<Error> {
    let exit = if item.exit() == Exit::Done { Exit::BadNews } else { item.exit() };
    let mut error = trouble(item, exit);
    let is_dead = failure.standing.state == CredentialState::ReauthRequired;
    if let Some((before, of)) = before.filter(|_| is_dead) {
        let nature = desk.nature(declaration);
        let put = operator::put_back(&desk.ask(&nature, Why::Forced), before, of).await;
        if put.map_err(|evidence| failed(&evidence))? {
            error = error.hint("the grant that it had is back in its place");
        }
    }
    Ok(error)
}

/// Puts a service account's key where it is declared to be.
fn key(declaration: &Declaration, text: &Secret, email: &str) -> Result<()> {
    let name = &declaration.name;
    let Provider::ServiceAccount(account) = &declaration.provider else {
        let message = format!(
            "this is the key of the service account {email}, and {name} is a `{}`",
            declaration.provider.key()
        );
        return Err(Error::new(Exit::Misconfigured, message).hint(format!(
            "declare it so: jadactl auth add {name} --provider google_service_account --key FILE"
        )));
    };
    let SecretPlace::File(path) = &account.key else {
        let message = format!("the key of {name} is declared to be in {}", account.key.words());
        return Err(Error::new(Exit::Misconfigured, message).hint("put it there"));
    };
    match std::fs::read_to_string(path) {
        Ok(there) if there.trim() == text.expose().trim() => Ok(()),
        Ok(_) => {
            let message = format!("{} holds another key", path.display());
            Err(Error::new(Exit::Misconfigured, message)
                .hint(format!("jadactl auth rotate {name} --from FILE exchanges it")))
        }
        Err(_) => write_new(path, text),
    }
}

fn told(session: &mut Session, item: &Item, text: &str, args: &ImportArgs) -> Result<Exit> {
    if session.print.json {
        session.print.json(item)?;
    } else {
        session.print.line(text)?;
    }
    if args.from != Path::new("-") && !session.print.json {
        let from = args.from.display();
        session
            .print
            .note(&format!("{from} still holds the secret: remove it, and let nobody use it"))?;
    }
    Ok(Exit::Done)
}
