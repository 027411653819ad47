//! `auth rotate`: exchanges a key or a client's secret, with the old one in place until the new one works.
//!
//! Owns the order: the new one beside the old one, tried, then in its place. Refuses to change secrets that
//! are not in files of their own.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::desk::{Desk, failed, text_of, write_new};
use super::item::Item;
use super::keep::trouble;
use crate::cli::Session;
use crate::cli::exit::{Error, Exit, Result};
use crate::credentials::declare::{Declaration, GoogleClient, Provider, SecretPlace, StaticSecret};
use crate::credentials::operator;
use crate::credentials::refresh::Why;
use crate::credentials::secret::Secret;

/// Exchanges a key or a client's secret: the new one is tried before the old one goes.
///
/// Make the new one where the old one was issued, and leave the old one valid until this has worked.
#[derive(Debug, clap::Args)]
pub(super) struct RotateArgs {
    /// Which
    name: String,
    /// The file that holds the new secret; - is stdin
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
}

pub(super) async fn rotate(session: &mut Session, desk: &Desk, args: &RotateArgs) -> Result<Exit> {
    let declaration = desk.find(&args.name)?;
    let name = &declaration.name;
    let mut next = Declaration::clone(declaration);
    let place = place(&mut next.provider).ok_or_else(|| no_place(declaration))?;
    let SecretPlace::File(path) = place.clone() else {
        let message = format!("the secret of {name} is in {}", place.words());
        let hint = format!("change it there, then: jadactl auth refresh {name}");
        return Err(Error::usage(message).hint(hint));
    };
    let path = fs::canonicalize(&path).unwrap_or(path);
    let mut beside = path.clone().into_os_string();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    *place = SecretPlace::File(beside.clone());
    write(&beside, &text_of(&args.from)?)?;
    let end = Box::pin(desk.refresh(&Arc::new(next), Why::Forced)).await;
    if end.is_err() {
        let _gone = fs::remove_file(&beside);
        return Err(kept_old(desk, declaration, &end).await);
    }
    fs::rename(&beside, &path).map_err(|error| {
        let (from, to) = (beside.display(), path.display());
        Error::new(Exit::BadNews, format!("the new one works, and can't be put in place: {error}"))
            .hint(format!("mv {from} {to}"))
    })?;
    let nature = desk.nature(declaration);
    let noted = operator::rotated(&desk.ask(&nature, Why::Forced)).await;
    noted.map_err(|evidence| failed(&evidence))?;
    let item = Item::kept(desk, declaration);
    if session.print.json {
        session.print.json(&item)?;
        return Ok(Exit::Done);
    }
    session.print.line(&format!("{name} works with the new one, in {}", path.display()))?;
    session.print.note("now retire the old one where it was issued")?;
    Ok(Exit::Done)
}

/// The new one does not work. The verdict is about it alone, so that the old one is tried again.
async fn kept_old(
    desk: &Desk,
    declaration: &Arc<Declaration>,
    end: &std::result::Result<
        crate::credentials::record::Record,
        crate::credentials::refresh::Failed,
    >,
) -> Error {
    let item = Item::tried(desk, declaration, end);
    let exit = if item.exit() == Exit::Done { Exit::BadNews } else { item.exit() };
    let error = trouble(&item, exit);
    let old = Box::pin(desk.refresh(declaration, Why::Forced)).await;
    error.hint(match old {
        Ok(_) => "the old one is in place, and works".to_owned(),
        Err(_) => format!("the old one is in place: jadactl auth status {}", declaration.name),
    })
}

/// Where the secret is that can be exchanged.
fn place(provider: &mut Provider) -> Option<&mut SecretPlace> {
    match provider {
        Provider::Google(google) => match &mut google.client {
            GoogleClient::Json(place) | GoogleClient::Pair { secret: place, .. } => Some(place),
        },
        Provider::ServiceAccount(account) => Some(&mut account.key),
        Provider::OAuth2(oauth) => oauth.client_secret.as_mut(),
        Provider::Static(issued) => match &mut issued.secret {
            StaticSecret::Bearer(place)
            | StaticSecret::Basic { password: place, .. }
            | StaticSecret::Header { key: place, .. } => Some(place),
        },
        Provider::GithubApp(app) => Some(&mut app.key),
        Provider::Env(_) | Provider::File(_) | Provider::Exec(_) | Provider::Aws(_) => None,
    }
}

fn no_place(declaration: &Declaration) -> Error {
    let name = &declaration.name;
    let key = declaration.provider.key();
    let error = Error::usage(format!("{name} is a `{key}` without one secret file to exchange"));
    error.hint(format!("renew it where it comes from, then: jadactl auth refresh {name}"))
}

fn write(path: &Path, text: &Secret) -> Result<()> {
    write_new(path, text).map_err(|error| {
        if path.exists() {
            return error
                .hint("another rotation is under way, or was cut off: look, and remove it");
        }
        error
    })
}
