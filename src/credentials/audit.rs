//! What was done with credentials, by whom, for which run.
//!
//! Owns `audit.jsonl`, to which lines are only ever added, and the host's key for fingerprints. Refuses
//! to hold secrets: a token is known by its fingerprint, which is keyed because passwords can be guessed.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use ring::hmac;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::evidence::Evidence;
use super::folder::Folder;
use super::folder::door::{Door, How, failed, store};
use super::record::Record;
use crate::model::{CredentialName, CredentialState, JobName, KnownEnd, RunId};

const FILE: &str = "audit.jsonl";
/// What was written before the file grew long.
const OLD: &str = "audit.old.jsonl";
const KEY: &str = "host.key";
const KEY_BYTES: usize = 32;

/// Bytes from which the file is put aside: some fifty thousand lines.
const LONG: u64 = 16 * 1024 * 1024;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Act {
    /// A first token was made.
    Mint,
    /// A refresh brought a token.
    RefreshOk,
    /// A refresh did not.
    RefreshFail,
    /// A newer generation of another process was taken over.
    Adopt,
    /// A client's secret or a key was exchanged.
    Rotate,
    /// A job was bound to it.
    Bind,
    /// A token was given to an attempt.
    Inject,
    /// A person was shown a token.
    Export,
    /// A person began to consent.
    ReauthStart,
    /// A person consented.
    ReauthFinish,
    /// A grant was taken in from a file.
    Import,
    /// It was revoked.
    Revoke,
    /// Its standing moved.
    StateChange,
}

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// The user's number.
    pub uid: u32,
    /// The process.
    pub pid: i32,
    /// `daemon` or `cli`.
    pub program: String,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When.
    pub time: Timestamp,
    /// The credential.
    pub credential: CredentialName,
    /// Its generation.
    pub generation: u64,
    /// What happened.
    pub event: Act,
    /// Who did it.
    pub actor: Actor,
    /// The job that it was for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub job: Option<JobName>,
    /// The run that it was for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub run: Option<RunId>,
    /// The provider's word.
    pub provider: String,
    /// The last characters of the client's public name.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub client: Option<String>,
    /// Whom it acts for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub account: Option<String>,
    /// What was granted.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub scopes: Vec<String>,
    /// The token, by its fingerprint.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub fingerprint: Option<String>,
    /// The HTTP status.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub status: Option<u16>,
    /// The server's code for what went wrong.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<String>,
    /// What happened, in words that are safe to show.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub words: Option<String>,
    /// The server's clock minus ours.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub skew_ms: Option<i64>,
    /// How long the exchange took.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub latency_ms: Option<u64>,
    /// Until when the token is good.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expires_at: Option<Timestamp>,
    /// The earliest known end, and which clock says so.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub horizon: Option<KnownEnd>,
    /// Where it stands after this.
    pub state: CredentialState,
    /// Exchanges so far under the grant.
    pub minted: u64,
}

/// The audit of one folder, by one program. Cheap to clone.
#[derive(Clone)]
pub struct Audit {
    folder: Folder,
    program: &'static str,
    key: Arc<Mutex<Option<hmac::Key>>>,
}

impl Audit {
    /// The audit of a folder, as written by `daemon` or `cli`.
    #[must_use]
    pub fn of(folder: Folder, program: &'static str) -> Self {
        Self { folder, program, key: Arc::default() }
    }

    /// An entry about a record as it is now, with what else is known left open.
    #[must_use]
    pub fn entry(&self, record: &Record, event: Act, now: Timestamp) -> Entry {
        Entry {
            time: now,
            credential: record.name.clone(),
            generation: record.standing.generation,
            event,
            actor: Actor {
                uid: rustix::process::getuid().as_raw(),
                pid: rustix::process::getpid().as_raw_nonzero().get(),
                program: self.program.to_owned(),
            },
            job: None,
            run: None,
            provider: record.provider.clone(),
            client: None,
            account: record.account.clone(),
            scopes: record
                .token
                .as_ref()
                .and_then(|token| token.scopes.clone())
                .unwrap_or_default(),
            fingerprint: None,
            status: None,
            error: None,
            words: None,
            skew_ms: None,
            latency_ms: None,
            expires_at: record.token.as_ref().and_then(|token| token.expires_at),
            horizon: record.standing.horizon.clone(),
            state: record.standing.state,
            minted: record.minted,
        }
    }

    /// Adds a line.
    ///
    /// # Errors
    /// Evidence of class `local-store`.
    pub fn append(&self, entry: &Entry) -> Result<(), Evidence> {
        let door = self.folder.door()?;
        let path = self.folder.path().join(FILE);
        let mut file = door.made(FILE, How::Append)?;
        if is_long(&file) && put_aside(&door)? {
            file = door.made(FILE, How::Append)?;
        }
        let mut line = serde_json::to_vec(entry).map_err(|error| store(error.to_string()))?;
        line.push(b'\n');
        // One write, so that lines of several processes stay apart.
        file.write_all(&line).map_err(|error| failed("write", &path, &error))
    }

    /// Adds a line, and goes on where that fails: an audit that can't be written must not keep a
    /// credential from being mended.
    pub fn note(&self, entry: &Entry) {
        if let Err(evidence) = self.append(entry) {
            tracing::warn!(credential = %entry.credential, "not in the audit: {}", evidence.words);
        }
    }

    /// The lines about a credential, oldest first. Lines that are cut off are left out.
    ///
    /// # Errors
    /// Evidence of class `local-store`.
    pub fn read(&self, name: &CredentialName) -> Result<Vec<Entry>, Evidence> {
        let door = self.folder.door()?;
        let mut found = Vec::new();
        for file in [OLD, FILE] {
            let Some(open) = door.file(file, How::Read)? else { continue };
            for line in BufReader::new(open).lines() {
                let line =
                    line.map_err(|error| failed("read", &self.folder.path().join(file), &error))?;
                let entry = serde_json::from_str::<Entry>(&line).ok();
                found.extend(entry.filter(|entry| entry.credential == *name));
            }
        }
        Ok(found)
    }

    /// Ten characters by which a secret is known again on this host, and nowhere else.
    ///
    /// # Errors
    /// Evidence of class `local-store`: the host's key can't be read or made.
    pub fn fingerprint(&self, secret: &str) -> Result<String, Evidence> {
        let mut kept = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        let key = match kept.take() {
            Some(key) => key,
            None => self.host_key()?,
        };
        let tag = hmac::sign(kept.insert(key), secret.as_bytes());
        let first = tag.as_ref().iter().take(5);
        let number = first.fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
        Ok(format!("{number:010x}"))
    }

    fn host_key(&self) -> Result<hmac::Key, Evidence> {
        let door = self.folder.door()?;
        let path = self.folder.path().join(KEY);
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        if door.file(KEY, How::Read)?.is_none() {
            ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), bytes.as_mut_slice())
                .map_err(|_| store("the system gives no random bytes".to_owned()))?;
            let pid = rustix::process::getpid().as_raw_nonzero();
            let new = format!("{KEY}.{pid}");
            door.remove(&new)?;
            let mut file = door.made(&new, How::New)?;
            file.write_all(bytes.as_slice())
                .and_then(|()| file.sync_all())
                .map_err(|error| failed("write", &path, &error))?;
            // Of two processes that make one, the first has it.
            door.settle(&new, KEY)?;
        }
        let mut file = door.made(KEY, How::Read)?;
        let is_whole = file.read_exact(bytes.as_mut_slice());
        is_whole.map_err(|_| {
            store(format!(
                "{} is cut off: move it away, and fingerprints begin anew",
                path.display()
            ))
        })?;
        Ok(hmac::Key::new(hmac::HMAC_SHA256, bytes.as_slice()))
    }
}

fn is_long(file: &File) -> bool {
    file.metadata().is_ok_and(|meta| meta.len() > LONG)
}

/// Begins a new file. Of several processes that find the old one long, one does it, once.
fn put_aside(door: &Door) -> Result<bool, Evidence> {
    let lock = door.made("audit.lock", How::Lock)?;
    if lock.try_lock().is_err() {
        return Ok(false);
    }
    if door.file(FILE, How::Read)?.is_some_and(|file| is_long(&file)) {
        door.replace(FILE, OLD)?;
    }
    Ok(true)
}

#[cfg(test)]
mod tests;
