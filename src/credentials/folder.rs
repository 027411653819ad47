//! Where credentials lie.
//!
//! Owns the folder `credentials/` of the data folder: one record a credential, written whole or not at
//! all, under a lock that holds across processes, with a journal for exchanges under way. Refuses to
//! know what a record means. The daemon and `jadactl auth` both come through here.
//!
//! Of `google/ops` there are `google+ops.json` (the record), `.json.new` (its successor while that is
//! written), `.lock` (permanent: a rename would change what a lock is on) and `.journal` (an exchange
//! whose end is not written down yet). Nothing here is ever deleted because it is bad.

pub(super) mod door;
mod written;

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedMutexGuard, oneshot};
use zeroize::Zeroizing;

pub(super) use self::door::store;
use self::door::{Door, How, failed};
use super::evidence::Evidence;
use super::record::Record;
use super::seal::{self, Identity};
use crate::clock::{Clock, within};
use crate::model::CredentialName;

/// Room that is proven before an exchange: more than any record takes.
const ROOM: usize = 32 * 1024;

/// Most bytes of a file here.
const FILE_MAX: u64 = 1024 * 1024;

/// Time between two tries for a lock that somebody else holds.
const LOCK_GAP: Duration = Duration::from_millis(20);

/// Gets the identity that a sealed record is opened with, anew each time.
pub type Opener = Arc<dyn Fn() -> Result<Identity, Evidence> + Send + Sync>;

/// Where those of this process wait for each credential's lock.
type Lines = Arc<Mutex<BTreeMap<CredentialName, Arc<tokio::sync::Mutex<()>>>>>;

/// The folder. Cheap to clone.
#[derive(Clone)]
pub struct Folder {
    path: Arc<Path>,
    lines: Lines,
    openers: Arc<BTreeMap<CredentialName, Opener>>,
}

/// An exchange that has begun and whose end is not written down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journal {
    /// The generation of the grant that it spends.
    pub generation: u64,
    /// The fingerprint of its refresh token.
    pub fingerprint: String,
    /// When it began.
    pub started: Timestamp,
}

impl Folder {
    /// The folder of a data folder. It is made, and looked at, when something is done with it.
    #[must_use]
    pub fn at(data_dir: &Path) -> Self {
        let path = std::path::absolute(data_dir).unwrap_or_else(|_| data_dir.to_owned());
        let path = path.join("credentials").into();
        Self { path, lines: Arc::default(), openers: Arc::default() }
    }

    /// The same folder, where these credentials are sealed.
    #[must_use]
    pub fn sealing(self, openers: BTreeMap<CredentialName, Opener>) -> Self {
        Self { openers: Arc::new(openers), ..self }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where a credential's record is.
    #[must_use]
    pub fn record_path(&self, name: &CredentialName) -> PathBuf {
        self.path.join(file_of(name, "json"))
    }

    pub(super) fn door(&self) -> Result<Door, Evidence> {
        Door::open(&self.path)
    }

    /// What is kept of a credential. What is read is whole: it is replaced in one step.
    ///
    /// # Errors
    /// Evidence of class `local-store` names the file and the way out.
    pub fn read(&self, name: &CredentialName) -> Result<Option<Record>, Evidence> {
        self.read_through(&self.door()?, name)
    }

    fn read_through(&self, door: &Door, name: &CredentialName) -> Result<Option<Record>, Evidence> {
        let file_name = file_of(name, "json");
        let Some(file) = door.file(&file_name, How::Read)? else { return Ok(None) };
        let path = self.path.join(&file_name);
        let bytes = read_all(file, &path)?;
        let bytes = self.unseal(name, bytes, &path)?;
        let record = written::read(&bytes, name).map_err(|what| {
            store(format!(
                "{} {what}: put its backup there, or move it away and `jadactl auth login {name}`",
                path.display()
            ))
        })?;
        Ok(Some(record))
    }

    fn unseal(
        &self,
        name: &CredentialName,
        bytes: Zeroizing<Vec<u8>>,
        path: &Path,
    ) -> Result<Zeroizing<Vec<u8>>, Evidence> {
        // A plain record under `seal:` is of the time before; the next write seals it.
        if !seal::is_sealed(&bytes) {
            return Ok(bytes);
        }
        let Some(opener) = self.openers.get(name) else {
            return Err(store(format!(
                "{} is sealed, and '{name}' has no `seal:`: put it back into jada.yaml, or move the \
                 file away and `jadactl auth login {name}`",
                path.display()
            )));
        };
        opener()?.open(&bytes).map_err(|what| {
            store(format!("{} {what}: give the identity that it was sealed for", path.display()))
        })
    }

    /// Takes a credential's lock, which holds until the guard goes, or the process dies.
    ///
    /// # Errors
    /// Evidence of class `local-store`, also where somebody else holds it for longer than `patience`.
    pub async fn lock(
        &self,
        name: &CredentialName,
        patience: Duration,
        clock: &dyn Clock,
    ) -> Result<Held, Evidence> {
        let mut held = self.begin(name)?;
        let path = held.path("lock").display().to_string();
        match within(clock, patience, self.wait_for(&mut held)).await {
            Some(Ok(())) => Ok(held),
            Some(Err(error)) => Err(held.error("lock", "lock", &error)),
            None => Err(store(format!(
                "{path} has been locked for {} s by another process: `fuser {path}` names it",
                patience.as_secs(),
            ))),
        }
    }

    /// Waits in line with those of this process first, so that at most one thread waits for the others.
    async fn wait_for(&self, held: &mut Held) -> std::io::Result<()> {
        let line = {
            let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(lines.entry(held.name.clone()).or_default())
        };
        held.turn = Some(line.lock_owned().await);
        if held.lock.try_lock().is_ok() {
            return Ok(());
        }
        let waiting = held.lock.try_clone()?;
        // Goes with whoever waits here, and the thread that tries for it goes with this.
        let (_asks, gone) = mpsc::channel();
        let (tell, told) = oneshot::channel();
        // Not one of the runtime's: who holds the lock may need one of those to come to its end.
        let trying = move || {
            let _gone = tell.send(locked(&waiting, &gone)).is_err();
        };
        std::thread::Builder::new().name("lock".to_owned()).spawn(trying)?;
        told.await.unwrap_or_else(|_| Err(std::io::ErrorKind::Interrupted.into()))
    }

    fn begin(&self, name: &CredentialName) -> Result<Held, Evidence> {
        let door = self.door()?;
        let lock = door.made(&file_of(name, "lock"), How::Lock)?;
        Ok(Held { folder: self.clone(), door, name: name.clone(), proven: None, lock, turn: None })
    }

    /// The credentials of which something is kept.
    ///
    /// # Errors
    /// Evidence of class `local-store`.
    pub fn names(&self) -> Result<Vec<CredentialName>, Evidence> {
        let _checked = self.door()?;
        let entries = std::fs::read_dir(&self.path);
        let entries = entries.map_err(|error| failed("list", &self.path, &error))?;
        let names = entries.filter_map(|entry| name_of(entry.ok()?.file_name().to_str()?));
        Ok(names.collect())
    }
}

/// Tries for a lock until it is there, or nobody asks for it any more. A thread that the kernel wakes could
/// not be called off: of a lock that a stopped process holds, each try would leave one behind.
fn locked(file: &File, gone: &mpsc::Receiver<()>) -> std::io::Result<()> {
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(error),
            Ok(()) => return Ok(()),
        }
        if gone.recv_timeout(LOCK_GAP) != Err(mpsc::RecvTimeoutError::Timeout) {
            return Err(std::io::ErrorKind::Interrupted.into());
        }
    }
}

/// `google+ops.json` of `google/ops`.
fn file_of(name: &CredentialName, ending: &str) -> String {
    format!("{}.{ending}", name.as_str().replace('/', "+"))
}

/// The credential whose record has this file name.
pub(super) fn name_of(file_name: &str) -> Option<CredentialName> {
    let stem = file_name.strip_suffix(".json")?;
    CredentialName::parse(&stem.replace('+', "/")).ok()
}

fn read_all(mut file: File, path: &Path) -> Result<Zeroizing<Vec<u8>>, Evidence> {
    let size = file.metadata().map_err(|error| failed("read", path, &error))?.len();
    if size > FILE_MAX {
        return Err(store(format!("{} is too long for what it should be", path.display())));
    }
    // Room for everything, so that no half of it is left behind by a buffer that grew.
    let room = usize::try_from(size).unwrap_or(0) + 1;
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    file.read_to_end(&mut bytes).map_err(|error| failed("read", path, &error))?;
    Ok(bytes)
}

/// A credential under its lock.
pub struct Held {
    folder: Folder,
    door: Door,
    name: CredentialName,
    /// The successor's file, with its room taken on the disk.
    proven: Option<File>,
    /// Dropping it lets the lock go.
    lock: File,
    /// Goes last: the next of this process finds the lock free.
    turn: Option<OwnedMutexGuard<()>>,
}

impl Held {
    fn path(&self, ending: &str) -> PathBuf {
        self.folder.path.join(file_of(&self.name, ending))
    }

    fn error(&self, what: &str, ending: &str, error: &std::io::Error) -> Evidence {
        failed(what, &self.path(ending), error)
    }

    /// What is kept of it.
    ///
    /// # Errors
    /// Evidence of class `local-store`.
    pub fn read(&self) -> Result<Option<Record>, Evidence> {
        self.folder.read_through(&self.door, &self.name)
    }

    /// Takes the room for the next record on the disk, and finds the identity that seals it: a grant is
    /// spent only when its successor can be kept.
    ///
    /// # Errors
    /// Evidence of class `local-store`; nothing has been spent.
    pub fn prove_writable(&mut self) -> Result<(), Evidence> {
        if let Some(opener) = self.folder.openers.get(&self.name) {
            opener()?;
        }
        self.proven = None;
        let mut file = self.successor()?;
        let room = vec![0; ROOM];
        let proven = file.write_all(&room).and_then(|()| file.sync_all());
        if let Err(error) = proven {
            let evidence = self.error("write", "json.new", &error);
            // What a full disk took is given back; the record itself is untouched.
            self.door.remove(&file_of(&self.name, "json.new"))?;
            return Err(evidence);
        }
        self.proven = Some(file);
        Ok(())
    }

    /// A new file beside the record. One that a killed process left is no loss: it was never the record.
    fn successor(&self) -> Result<File, Evidence> {
        let name = file_of(&self.name, "json.new");
        self.door.remove(&name)?;
        self.door.made(&name, How::New)
    }

    /// Writes down that an exchange begins.
    ///
    /// # Errors
    /// Evidence of class `local-store`; nothing has been spent.
    pub fn journal(&self, journal: &Journal) -> Result<(), Evidence> {
        let name = file_of(&self.name, "journal");
        self.door.remove(&name)?;
        let mut file = self.door.made(&name, How::New)?;
        let text = serde_json::to_vec(journal).map_err(|error| store(error.to_string()))?;
        file.write_all(&text)
            .and_then(|()| file.sync_all())
            .map_err(|error| self.error("write", "journal", &error))?;
        self.door.sync()
    }

    /// The exchange whose end nobody wrote down, where there is one. Its answer may be lost.
    ///
    /// # Errors
    /// Evidence of class `local-store`.
    pub fn leftover(&self) -> Result<Option<Journal>, Evidence> {
        let name = file_of(&self.name, "journal");
        let Some(file) = self.door.file(&name, How::Read)? else { return Ok(None) };
        let text = read_all(file, &self.path("journal"))?;
        // One that is cut off was being written when its process died: before the exchange.
        Ok(serde_json::from_slice(&text).ok())
    }

    /// Puts a record in the place of the one before it, and makes that last.
    ///
    /// # Errors
    /// Evidence of class `local-store`; the record before is untouched.
    pub fn write(&mut self, record: &Record) -> Result<(), Evidence> {
        let plain = written::write(record);
        let sealed;
        let bytes: &[u8] = match self.folder.openers.get(&self.name) {
            None => &plain,
            Some(opener) => {
                sealed = opener()?.seal(&plain).map_err(|what| {
                    store(format!("can't seal {}: {what}", self.path("json").display()))
                })?;
                &sealed
            }
        };
        let mut file = match self.proven.take() {
            Some(file) => file,
            None => self.successor()?,
        };
        put(&mut file, bytes).map_err(|error| self.error("write", "json.new", &error))?;
        self.door.replace(&file_of(&self.name, "json.new"), &file_of(&self.name, "json"))
    }

    /// Forgets the journal: the end of its exchange is written down.
    ///
    /// # Errors
    /// Evidence of class `local-store`.
    pub fn clear_journal(&self) -> Result<(), Evidence> {
        self.door.remove(&file_of(&self.name, "journal"))?;
        self.door.sync()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.proven.take().is_some() {
            // Best effort: one that stays is removed by the next writer.
            let _left = self.door.remove(&file_of(&self.name, "json.new")).is_err();
        }
    }
}

/// Fills a file whose room may be longer than the bytes.
fn put(file: &mut File, bytes: &[u8]) -> std::io::Result<()> {
    file.seek(SeekFrom::Start(0))?;
    file.write_all(bytes)?;
    file.set_len(bytes.len() as u64)?;
    file.sync_all()
}

#[cfg(test)]
mod tests;
