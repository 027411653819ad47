//! The bytes of a file: one that is here, or one that a server hands out.
//!
//! Owns opening it, the probe that says whether it changed, and the proof that it was read whole. Refuses to
//! know what stands in it.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::super::spec::{Probe, Unchanged};
use super::super::tools::Tools;
use super::super::trouble::{Ending, Trouble};
use super::Start;
use crate::yaml::Located;

/// A file that changed less than this before it was read may change again without a new time: the clock of
/// a file system is coarse. Nothing is left for a probe then.
const SETTLED_MS: i64 = 2_000;

/// What a section says of its file.
#[derive(Clone, Copy)]
pub(super) struct Address<'a> {
    pub(super) path: Option<&'a Located<String>>,
    pub(super) url: Option<&'a Located<String>>,
    pub(super) unchanged: Option<&'a Located<Unchanged>>,
}

/// What became of opening it.
pub(super) enum Opened {
    /// The probe says that it is the one of the last commit.
    Unchanged,
    /// Its bytes.
    Bytes(Box<Input>),
}

/// The bytes, as they come.
pub(super) struct Input {
    name: String,
    file: File,
    path: PathBuf,
    before: Stamp,
    keeps_stamp: bool,
}

/// What tells one content of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    seconds: i64,
    nanos: i64,
}

impl Address<'_> {
    /// Opens it.
    pub(super) fn open(self, tools: &Tools, start: &Start) -> Result<Opened, Trouble> {
        match (self.path, self.url) {
            (Some(path), None) => {
                let path = tools.path("source.path", &path.value)?;
                self.open_file(path, start)
            }
            (None, Some(_)) => Err(Trouble::unbuilt("url")),
            _ => Err(Trouble::config("the source needs either `path` or `url`")),
        }
    }

    pub(super) fn open_file(self, path: PathBuf, start: &Start) -> Result<Opened, Trouble> {
        let name = path.display().to_string();
        let probes = self.unchanged.is_some_and(|text| text.value.probe.value == Probe::Mtime);
        let refused = |error: io::Error| unreadable(&name, &error);
        // Looked at before it is opened: to open a pipe would wait for who writes into it.
        let data = path.metadata().map_err(refused)?;
        if !data.is_file() {
            let what = if data.is_dir() { "a folder" } else { "no regular file" };
            return Err(Trouble::config(format!("{name} is {what}, and a file is wanted")));
        }
        let file = File::open(&path).map_err(refused)?;
        let before = Stamp::of(&file.metadata().map_err(refused)?);
        if probes && start.may_be_unchanged && start.left.as_ref() == Some(&before.json()) {
            return Ok(Opened::Unchanged);
        }
        let keeps_stamp = probes && before.is_settled(start.now);
        Ok(Opened::Bytes(Box::new(Input { name, file, path, before, keeps_stamp })))
    }
}

impl Input {
    /// Its name in messages.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// To be called when the last byte was read: whether that was all of one content, and what is left for
    /// the next probe.
    pub(super) fn finish(&self) -> Result<Option<Json>, Trouble> {
        let refused = |error: io::Error| unreadable(&self.name, &error);
        let opened = Stamp::of(&self.file.metadata().map_err(refused)?);
        let named = self.path.metadata().map(|data| Stamp::of(&data));
        if opened != self.before || !named.is_ok_and(|named| named == self.before) {
            let message = format!(
                "{} changed while it was read; write it beside its place and rename it",
                self.name
            );
            return Err(Trouble::new(Ending::Truncated, message));
        }
        Ok(self.keeps_stamp.then(|| self.before.json()))
    }

    /// Why reading it failed.
    pub(super) fn trouble(&mut self, error: &io::Error) -> Trouble {
        unreadable(&self.name, error)
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read(buffer)
    }
}

impl Stamp {
    fn of(data: &Metadata) -> Self {
        Self {
            device: data.dev(),
            inode: data.ino(),
            size: data.size(),
            seconds: data.mtime(),
            nanos: data.mtime_nsec(),
        }
    }

    fn json(self) -> Json {
        let Self { device, inode, size, seconds, nanos } = self;
        json!({ "device": device, "inode": inode, "size": size, "mtime": [seconds, nanos] })
    }

    fn is_settled(self, now: Timestamp) -> bool {
        let written = self.seconds.saturating_mul(1000).saturating_add(self.nanos / 1_000_000);
        now.as_millisecond().saturating_sub(written) >= SETTLED_MS
    }
}

/// Why a file can't be read, by what the system says.
fn unreadable(name: &str, error: &io::Error) -> Trouble {
    match error.kind() {
        io::ErrorKind::NotFound => Trouble::new(Ending::NotFound, format!("there is no {name}")),
        io::ErrorKind::PermissionDenied => {
            let message = format!("the daemon may not read {name}; check its owner and mode");
            Trouble::new(Ending::Permission, message)
        }
        _ => Trouble::source(format!("can't read {name}: {error}")),
    }
}
