//! Where an attempt's output goes, and how it is read again.
//!
//! ```text
//!  process ─chunk─▶ screen ─▶ Output::keep ─▶ write::Writer ─▶ RUN-ATTEMPT.log      the first half
//!                                 │ grown                    RUN-ATTEMPT.log.a,.b  a rotating tail
//!                                 ▼                               │
//!                             read::Reader ◀──────── logical offsets ──────┘
//! ```
//!
//! Owns the files under `DATA_DIR/output`: a file comes into being with its first byte, and past the
//! cap the middle is left out and counted. Refuses to know what the bytes mean; they need not be
//! text. Nothing here waits on the disk from an async thread.

mod read;
mod shelf;
mod write;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use tokio::sync::{Semaphore, watch};

pub use read::Reader;
use write::Writer;

use crate::credentials::redact::{Redactor, Stream};
use crate::model::{AttemptNo, RunId};

/// Kept output of one attempt where the job names no limit, in bytes.
pub const DEFAULT_CAP: u64 = 1024 * 1024;

/// Chunks that are written at the same time. Bounds the threads that a burst of output takes.
const WRITERS: usize = 4;

/// Runs whose files share a folder: a folder with a million entries is slow on every file system.
const RUNS_PER_FOLDER: i64 = 1000;

/// The outputs of all attempts, below one data dir; cheap to clone.
#[derive(Clone, Debug)]
pub struct Outputs(Arc<Shelf>);

#[derive(Debug)]
struct Shelf {
    dir: PathBuf,
    redactor: Arc<Redactor>,
    writers: Arc<Semaphore>,
    /// Attempts that may still write: who follows an output waits for these.
    live: Mutex<HashMap<(RunId, AttemptNo), Weak<Inner>>>,
}

/// The output of one attempt; cheap to clone. It has ended when the last clone is gone.
#[derive(Clone, Debug)]
pub struct Output(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    shelf: Outputs,
    run: RunId,
    no: AttemptNo,
    writer: Mutex<Writer>,
    /// Told the length after each write; made by the first reader that follows.
    grown: OnceLock<watch::Sender<u64>>,
}

impl Outputs {
    /// The outputs below `data_dir`, with a redactor that knows nothing yet. Touches nothing on disk.
    #[must_use]
    pub fn at(data_dir: &Path) -> Self {
        Self::screened(data_dir, Arc::default())
    }

    /// The outputs below `data_dir`; what the redactor knows never gets into them.
    #[must_use]
    pub fn screened(data_dir: &Path, redactor: Arc<Redactor>) -> Self {
        Self(Arc::new(Shelf {
            dir: data_dir.join("output"),
            redactor,
            writers: Arc::new(Semaphore::new(WRITERS)),
            live: Mutex::default(),
        }))
    }

    /// What knows the secrets that must not get into them.
    #[must_use]
    pub fn redactor(&self) -> Arc<Redactor> {
        Arc::clone(&self.0.redactor)
    }

    /// Opens the output of an attempt that begins. `cap` is the most bytes that are kept.
    #[must_use]
    pub fn open(&self, run: RunId, no: AttemptNo, cap: Option<u64>) -> Output {
        let writer = Mutex::new(Writer::new(cap.unwrap_or(DEFAULT_CAP)));
        let inner =
            Arc::new(Inner { shelf: self.clone(), run, no, writer, grown: OnceLock::new() });
        self.0.live().insert((run, no), Arc::downgrade(&inner));
        Output(inner)
    }

    /// The file that holds the beginning of an attempt's output, if it wrote anything.
    #[must_use]
    pub fn path(&self, run: RunId, no: AttemptNo) -> PathBuf {
        self.folder(run).join(format!("{run}-{no}.log"))
    }

    /// Reads an attempt's output from its beginning. One that never wrote reads as empty.
    #[must_use]
    pub fn reader(&self, run: RunId, no: AttemptNo) -> Reader {
        let live = self.0.live().get(&(run, no)).and_then(Weak::upgrade);
        let grown = live.map(|inner| {
            let length = || watch::Sender::new(0);
            inner.grown.get_or_init(length).subscribe()
        });
        Reader::new(self.path(run, no), grown)
    }

    fn folder(&self, run: RunId) -> PathBuf {
        self.0.dir.join((run.0 / RUNS_PER_FOLDER).to_string())
    }
}

impl Shelf {
    fn live(&self) -> MutexGuard<'_, HashMap<(RunId, AttemptNo), Weak<Inner>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Output {
    /// Appends a text of our own.
    pub async fn append(&self, text: impl Into<Vec<u8>>) {
        let mut screen = self.screen();
        let mut screened = screen.push(text.into());
        screened.extend(screen.finish());
        self.keep(screened).await;
    }

    /// The one door that everything passes which a job says, before any of it is kept, matched or repeated
    /// in a message: what must not get out is taken out here. One for each stream, since a secret can lie
    /// across two chunks.
    pub(super) fn screen(&self) -> Stream {
        self.0.shelf.0.redactor.stream()
    }

    /// A message of an attempt without what must not get out.
    pub(super) fn hide(&self, message: &str) -> String {
        self.0.shelf.0.redactor.hide(message)
    }

    /// Appends a chunk that was screened. Returns when it is written, so that a process that writes
    /// faster than the disk waits at its pipe. A disk that is full stops nothing: see
    /// [`Output::trouble`].
    pub(super) async fn keep(&self, chunk: Vec<u8>) {
        if chunk.is_empty() {
            return;
        }
        let permit = self.0.shelf.0.writers.clone().acquire_owned().await;
        let inner = self.0.clone();
        let written = tokio::task::spawn_blocking(move || {
            inner.append(&chunk);
            drop(permit);
        });
        // Fails only while the runtime goes down, and then nobody is left to be told.
        let _down = written.await;
    }

    /// What went wrong with writing, in one line, if anything did.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.0.writer().trouble()
    }
}

impl Inner {
    fn append(&self, chunk: &[u8]) {
        let path = self.shelf.path(self.run, self.no);
        let length = {
            let mut writer = self.writer();
            writer.append(&path, chunk);
            writer.length()
        };
        if let Some(grown) = self.grown.get() {
            grown.send_replace(length);
        }
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shelf.0.live().remove(&(self.run, self.no));
    }
}

#[cfg(test)]
mod tests;
