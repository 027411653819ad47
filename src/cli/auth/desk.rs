//! What the verbs of `jadactl auth` work with.
//!
//! Owns the way from a name on the command line to its declaration, record and jobs, and to a refresh
//! under the lock. Refuses to print anything but a note.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use zeroize::Zeroizing;

use super::item::exit_of;
use crate::cli::exit::{Error, Exit, Result};
use crate::cli::{Session, print};
use crate::clock::Clock;
use crate::credentials::audit::Audit;
use crate::credentials::declare::Declaration;
use crate::credentials::evidence::Evidence;
use crate::credentials::folder::Folder;
use crate::credentials::login;
use crate::credentials::mint::Minted;
use crate::credentials::nature::Nature;
use crate::credentials::providers::{self, World};
use crate::credentials::record::{Grant, Record};
use crate::credentials::refresh::{self, Ask, Failed, Unsaved, Why};
use crate::credentials::seal::Keyholes;
use crate::credentials::secret::Secret;
use crate::model::{CredentialName, JobName};
use crate::spec::{self, Catalog, Job};
use crate::yaml::decode::nearest;

/// How often a spent grant's successor is tried to be written, once a second, before the command gives up.
const SAVES: u32 = 600;

/// Credentials, and all that can be done with them.
pub(super) struct Desk {
    pub(super) declarations: Arc<BTreeMap<CredentialName, Arc<Declaration>>>,
    pub(super) folder: Folder,
    pub(super) audit: Audit,
    pub(super) world: Arc<World>,
    pub(super) catalog: Catalog,
    /// Whether each declaration in `jada.yaml` is right.
    good: bool,
}

impl Desk {
    /// Reads the settings and the job files.
    pub(super) async fn open(session: &Session) -> Result<Self> {
        let config = session.config()?;
        let world = Arc::new(World::real());
        let catalog = spec::load(&config.settings, world.clock.now(), None);
        let keyholes = Keyholes::of(config.settings.credentials.values());
        let folder = Folder::at(&config.settings.data_dir);
        let folder = keyholes.on(folder, &world).await;
        Ok(Self {
            declarations: Arc::clone(&config.settings.credentials),
            good: config.is_good(),
            audit: Audit::of(folder.clone(), "cli"),
            folder,
            world,
            catalog,
        })
    }

    pub(super) fn now(&self) -> Timestamp {
        self.world.clock.now()
    }

    /// The declaration of that name.
    pub(super) fn find(&self, text: &str) -> Result<&Arc<Declaration>> {
        let name = CredentialName::parse(text).ok();
        if let Some(found) = name.and_then(|name| self.declarations.get(&name)) {
            return Ok(found);
        }
        let error = Error::usage(format!("jada.yaml declares no credential '{text}'"));
        let known = self.declarations.keys().map(CredentialName::as_str);
        Err(error.hint(match nearest(text, known) {
            _ if !self.good => "jada.yaml has errors: jadactl validate tells them".to_owned(),
            Some(near) => format!("did you mean '{near}'?"),
            None if self.declarations.is_empty() => {
                format!("jadactl auth add {text} --provider … declares one")
            }
            None => "jadactl auth list names them".to_owned(),
        }))
    }

    /// The declarations of these names; of all where there are none.
    pub(super) fn these(&self, names: &[String]) -> Result<Vec<&Arc<Declaration>>> {
        if names.is_empty() {
            return Ok(self.declarations.values().collect());
        }
        names.iter().map(|name| self.find(name)).collect()
    }

    /// Says what could be missing from an answer about all credentials.
    pub(super) fn warn(&self) {
        if !self.good {
            print::note("the settings have errors, so some may be missing: see jadactl validate");
        }
        if self.catalog.bad_files().next().is_some() {
            print::note("job files have errors, so jobs may be missing: see jadactl validate");
        }
        let kept = if self.folder.path().exists() { self.folder.names() } else { Ok(Vec::new()) };
        let stray = kept.unwrap_or_default();
        let stray = stray.iter().filter(|name| !self.declarations.contains_key(name));
        let stray: Vec<&str> = stray.map(CredentialName::as_str).collect();
        if self.good && !stray.is_empty() {
            print::note(&format!("kept, but not declared any more: {}", stray.join(", ")));
        }
    }

    /// What is kept of a credential. Looking makes no folder.
    pub(super) fn record(&self, name: &CredentialName) -> Result<Option<Record>, Evidence> {
        match self.folder.path().symlink_metadata() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            _ => self.folder.read(name),
        }
    }

    /// The jobs that are bound to a credential.
    pub(super) fn jobs(&self, name: &CredentialName) -> Vec<JobName> {
        let needs = |job: &&Arc<Job>| job.credentials().any(|needed| needed == name);
        let jobs = self.catalog.jobs.values().filter(needs);
        jobs.map(|job| job.name.clone()).collect()
    }

    pub(super) fn nature(&self, declaration: &Declaration) -> Nature {
        let systemd = (self.world.environment)("CREDENTIALS_DIRECTORY");
        Nature::of(declaration, systemd.as_deref().map(Path::new))
    }

    /// How to ask about a credential.
    pub(super) fn ask<'a>(&'a self, nature: &'a Nature, why: Why) -> Ask<'a> {
        let clock: &dyn Clock = &*self.world.clock;
        Ask { nature, folder: &self.folder, audit: &self.audit, clock, why }
    }

    /// Gets a token through the lock, and stays until its grant is kept.
    pub(super) async fn refresh(
        &self,
        declaration: &Arc<Declaration>,
        why: Why,
    ) -> Result<Record, Failed> {
        let nature = self.nature(declaration);
        let mint = self.minting(declaration);
        let fresh = refresh::refresh(&self.ask(&nature, why), &mint).await?;
        match fresh.unsaved {
            Some(unsaved) => self.save(unsaved, fresh.record).await,
            None => Ok(fresh.record),
        }
    }

    /// Asks the provider once.
    pub(super) fn minting(
        &self,
        declaration: &Arc<Declaration>,
    ) -> impl Fn(Option<Grant>) -> BoxFuture<'static, Result<Minted, Evidence>> + Send + Sync + use<>
    {
        let (declaration, world) = (Arc::clone(declaration), Arc::clone(&self.world));
        move |grant| {
            let (declaration, world) = (Arc::clone(&declaration), Arc::clone(&world));
            Box::pin(async move { providers::mint(&declaration, grant.as_ref(), &world).await })
        }
    }

    /// A grant was spent, and its successor could not be written: gives the operator time to make room.
    async fn save(&self, unsaved: Unsaved, record: Record) -> Result<Record, Failed> {
        let mut unsaved = Box::new(unsaved);
        print::note(&format!("{}; trying again, please make room", unsaved.evidence.words));
        for _ in 0..SAVES {
            self.world.clock.sleep(Duration::from_secs(1)).await;
            match unsaved.save().await {
                Ok(()) => return Ok(record),
                Err(still) => unsaved = still,
            }
        }
        let evidence = unsaved.evidence.clone();
        Err(Failed::new(record.standing, Some(evidence)))
    }
}

/// An error of a verb that could not do its work, by what was seen.
pub(super) fn failed(evidence: &Evidence) -> Error {
    let code = evidence.code().filter(|code| !evidence.words.contains(code.as_str()));
    let code = code.map(|code| format!(" ({code})")).unwrap_or_default();
    Error::new(exit_of(evidence.class), format!("{}{code}", evidence.words))
}

/// An error of a login, an import or a revocation.
pub(super) fn refused(error: &login::Error) -> Error {
    let exit = match error {
        login::Error::Refused(evidence) => return failed(evidence),
        login::Error::Malformed(_) => Exit::BadNews,
        login::Error::NotOffered(_) => Exit::Misconfigured,
        login::Error::Denied(_)
        | login::Error::Expired
        | login::Error::OtherLogin
        | login::Error::NoRefreshToken(_)
        | login::Error::OtherAccount { .. }
        | login::Error::MissingScopes(_) => Exit::Reauth,
    };
    Error::new(exit, error.to_string())
}

/// Asks the person at the terminal; a word given beforehand or no terminal answers for them.
pub(super) fn confirmed(question: &str, given: bool) -> Result<bool> {
    if given {
        return Ok(true);
    }
    if !std::io::stdin().is_terminal() {
        let error = Error::usage("nobody is at the terminal to be asked");
        return Err(error.hint("--yes answers beforehand"));
    }
    print::note(&format!("{question} [y/N]"));
    Ok(matches!(line()?.trim(), "y" | "Y" | "yes"))
}

/// A line from stdin; empty at its end.
pub(super) fn line() -> Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    let read = std::io::stdin().lock().read_line(&mut text);
    read.map_err(|error| Error::new(Exit::BadNews, format!("can't read stdin: {error}")))?;
    Ok(text)
}

/// What a file holds, or stdin where it is `-`.
pub(super) fn text_of(path: &Path) -> Result<Secret> {
    let mut text = Zeroizing::new(String::new());
    let read = if path == Path::new("-") {
        std::io::stdin().lock().read_to_string(&mut text)
    } else {
        File::open(path).and_then(|mut file| file.read_to_string(&mut text))
    };
    let path = path.display();
    read.map_err(|error| Error::new(Exit::BadNews, format!("can't read {path}: {error}")))?;
    if text.trim().is_empty() {
        return Err(Error::new(Exit::BadNews, format!("{path} is empty")));
    }
    Ok(Secret::new(text.as_str()))
}

/// Writes a secret into a new file that only its owner can read; one that is there stays.
pub(super) fn write_new(path: &Path, text: &Secret) -> Result<()> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(path);
    let written = file.and_then(|mut file| {
        file.write_all(text.expose().as_bytes())?;
        file.sync_all()
    });
    written.map_err(|error| {
        Error::new(Exit::Misconfigured, format!("can't write {}: {error}", path.display()))
    })
}
