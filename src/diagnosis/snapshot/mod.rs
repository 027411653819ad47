//! What is known without asking anybody else: the definitions, the store, the credentials' records, this host.
//!
//! Owns the making of a [`Case`]. Works with the daemon dead: the store is opened to read only. Refuses to
//! write anything and to ask the network.

mod daemon;
mod host;
pub mod near;
mod outbox;
mod standing;
pub mod stored;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;

use super::evidence::{Evidence, Source};
use super::judge::{Case, Change};
use crate::clock::Clock;
use crate::credentials::folder::Folder;
use crate::credentials::nature::Nature;
use crate::credentials::providers::World;
use crate::credentials::seal::Keyholes;
use crate::model::{CredentialName, Fault, Standing, Subject, Verdict};
use crate::spec::{self, Catalog, Config, Kept, Settings};
use crate::store::Store;
use crate::store::sqlite::Sqlite;

pub use standing::evidence as of_standing;
pub use stored::read;

/// What is in force, and how the credentials do.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The jobs.
    pub catalog: Arc<Catalog>,
    /// What follows from each declared credential.
    pub natures: Arc<BTreeMap<CredentialName, Nature>>,
    /// How they do.
    pub standings: Arc<BTreeMap<CredentialName, Standing>>,
}

/// Everything that this host knows now.
pub async fn take(settings: &Settings, clock: &dyn Clock) -> Case {
    let now = clock.now();
    let mut blind = Vec::new();
    let mut changes = Vec::new();
    let known = known(settings, now, (&mut blind, &mut changes)).await;
    let path = settings.data_dir.join("jada.db");
    let mut case = match open(&path, &known, now).await {
        Ok(case) => case,
        Err(words) => {
            blind.push(words);
            stored::without(&known, now)
        }
    };
    for one in host::look(&settings.data_dir, now) {
        case.board.add(one);
    }
    if let Some(at) = host::started() {
        changes.push(Change { at, what: "this host started".to_owned(), about: None });
    }
    for one in daemon::look(&settings.data_dir, clock).await {
        case.board.add(one);
    }
    if case.board.fresh(&Subject::unit(daemon::UNIT)).next().is_none() {
        // Without a unit, somebody starts it by hand.
        case.mends.insert(Subject::daemon(), "jada-agent".to_owned());
    }
    case.changes.extend(changes);
    case.blind.extend(blind);
    case
}

async fn open(path: &Path, known: &Known, now: Timestamp) -> Result<Case, String> {
    let store = Sqlite::open_read_only(path).map_err(|error| error.to_string())?;
    let store: &dyn Store = &store;
    let case = read(store, known, now).await;
    // It is only read: nothing is lost where it can't be closed.
    let _closed = store.close().await;
    case.map_err(|error| error.to_string())
}

/// The definitions, and the records of the credentials.
async fn known(
    settings: &Settings,
    now: Timestamp,
    (blind, changes): (&mut Vec<String>, &mut Vec<Change>),
) -> Known {
    let catalog = spec::start(settings, now, &Kept::at(&settings.data_dir));
    let world = World::real();
    let keyholes = Keyholes::of(settings.credentials.values());
    let folder = Folder::at(&settings.data_dir);
    let exists = folder.path().exists();
    let folder = keyholes.on(folder, &world).await;
    let systemd = (world.environment)("CREDENTIALS_DIRECTORY");
    let (mut natures, mut standings) = (BTreeMap::new(), BTreeMap::new());
    for (name, declaration) in settings.credentials.iter() {
        let nature = Nature::of(declaration, systemd.as_deref().map(Path::new));
        let record = if exists { folder.read(name) } else { Ok(None) };
        match record.map(|record| record.filter(|record| nature.concerns(record))) {
            Ok(Some(record)) => {
                if let Some(grant) = &record.grant {
                    let what = format!("credential {name} was written");
                    let about = Some(Subject::credential(name));
                    changes.push(Change { at: grant.obtained_at, what, about });
                }
                standings.insert(name.clone(), record.standing);
            }
            Ok(None) if nature.has_grant => {
                standings.insert(name.clone(), standing::vacant(now));
            }
            Ok(None) => {}
            Err(evidence) => blind.push(format!("credential {name}: {}", evidence.words)),
        }
        natures.insert(name.clone(), nature);
    }
    Known { catalog: Arc::new(catalog), natures: Arc::new(natures), standings: Arc::new(standings) }
}

/// Evidence of a job file that is not in force as it stands.
fn of_files(catalog: &Catalog, now: Timestamp) -> Vec<Evidence> {
    let bad = catalog.bad_files().filter_map(|file| {
        let first = file.first_error()?;
        let subject = Subject::parse(&format!("file/{}", file.path.display()))?;
        Some((subject, first.message.clone()))
    });
    let folder = catalog.trouble.iter().filter_map(|trouble| {
        let subject = Subject::parse(&format!("file/{}", trouble.file()))?;
        Some((subject, trouble.message.clone()))
    });
    bad.chain(folder).map(|(subject, text)| bad_file(subject, text, now)).collect()
}

/// Evidence of a file with errors, from its last change on.
fn bad_file(subject: Subject, text: String, now: Timestamp) -> Evidence {
    let changed = Path::new(subject.rest()).metadata().and_then(|metadata| metadata.modified());
    let changed = changed.ok().and_then(|at| Timestamp::try_from(at).ok());
    Evidence {
        fault: Some(Fault::Configuration),
        since: changed.map_or(now, |at| at.min(now)),
        text,
        ..Evidence::new(subject, Verdict::Fail, Source::Host("files".to_owned()), now)
    }
}

/// That the settings have errors: the daemon can't start with them, so they are why it does not run. `check`
/// is the command that shows the errors.
pub fn bad_settings(case: &mut Case, config: &Config, check: String) {
    let Some(error) = config.diagnostics.iter().find(|one| one.is_error()) else { return };
    let file = config.file.as_deref().unwrap_or(Path::new(spec::FILE));
    let Some(subject) = Subject::parse(&format!("file/{}", file.display())) else { return };
    for one in &mut case.board.all {
        if one.subject == Subject::daemon() && one.fault == Some(Fault::UnitInactive) {
            one.blames = Some(subject.clone());
        }
    }
    case.mends.insert(subject.clone(), check);
    case.board.add(bad_file(subject, error.message.clone(), case.board.now()));
}
