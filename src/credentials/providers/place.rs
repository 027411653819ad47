//! Secrets from the places where they are kept.
//!
//! Owns how each place is read, and that a file which others may write is not trusted. Refuses to know
//! what a secret is for. Messages name the place, never what is in it.

use std::fs::OpenOptions;
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use zeroize::Zeroizing;

use super::{World, program};
use crate::credentials::declare::SecretPlace;
use crate::credentials::evidence::Evidence;
use crate::credentials::secret::Secret;
use crate::model::CredentialClass;

/// Most bytes of a secret.
const BYTES_MAX: u64 = 1024 * 1024;

/// How long a program may take that prints a secret.
const PROGRAM_PATIENCE: Duration = Duration::from_secs(30);

/// Reads a secret from its place, one line end at its end left out.
pub async fn read(place: &SecretPlace, world: &World) -> Result<Secret, Evidence> {
    let text = match place {
        SecretPlace::File(path) => file(path.clone()).await?,
        SecretPlace::Systemd(name) => file(systemd(name, world)?).await?,
        SecretPlace::Env(name) => match (world.environment)(name) {
            Some(text) => Zeroizing::new(text),
            None => return Err(local(format!("variable {name} is not set"))),
        },
        SecretPlace::Exec(run) => {
            let printed = program::run(run, PROGRAM_PATIENCE, world).await?;
            let text = std::str::from_utf8(&printed).map(str::to_owned);
            Zeroizing::new(text.map_err(|_| local(format!("{} prints no text", place.words())))?)
        }
    };
    let secret = text.strip_suffix('\n').map_or(text.as_str(), |line| line.trim_end_matches('\r'));
    if secret.trim().is_empty() {
        return Err(local(format!("{} is empty", place.words())));
    }
    Ok(Secret::new(secret))
}

/// The file of a systemd credential.
fn systemd(name: &str, world: &World) -> Result<PathBuf, Evidence> {
    let folder = (world.environment)("CREDENTIALS_DIRECTORY").ok_or_else(|| {
        local(format!(
            "systemd credential {name}: $CREDENTIALS_DIRECTORY is not set, add LoadCredential= to the unit"
        ))
    })?;
    Ok(Path::new(&folder).join(name))
}

async fn file(path: PathBuf) -> Result<Zeroizing<String>, Evidence> {
    let shown = path.display().to_string();
    let reading = tokio::task::spawn_blocking(move || trusted(&path));
    let result = reading.await.unwrap_or_else(|_| Err("the reader broke off".to_owned()));
    result.map_err(|problem| local(format!("file {shown}: {problem}")))
}

/// The text of a file that nobody but its owner, root and its group can have written.
fn trusted(path: &Path) -> Result<Zeroizing<String>, String> {
    let words = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            "it is not there: put it there (chmod 600), or mend its place in jada.yaml".to_owned()
        }
        _ => error.to_string(),
    };
    // Without NONBLOCK, a pipe in its place would hang here for ever.
    let flags = (rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY).bits();
    let flags = i32::try_from(flags).expect("flags of open fit");
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(words)?;
    let found = file.metadata().map_err(words)?;
    let own = rustix::process::geteuid().as_raw();
    if !found.is_file() {
        return Err("it is no regular file".to_owned());
    }
    if found.uid() != own && found.uid() != 0 {
        return Err(format!(
            "it belongs to user {}, not to user {own} or root: chown it",
            found.uid()
        ));
    }
    if found.mode() & 0o002 != 0 {
        return Err(format!("everybody may write it: chmod o-w {}", path.display()));
    }
    let mut text = Zeroizing::new(String::new());
    file.take(BYTES_MAX + 1).read_to_string(&mut text).map_err(words)?;
    if text.len() as u64 > BYTES_MAX {
        return Err("it is longer than 1 MiB".to_owned());
    }
    Ok(text)
}

fn local(words: String) -> Evidence {
    Evidence::new(CredentialClass::LocalStore, words)
}
