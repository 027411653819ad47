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
use super::super::wire::{self, Request, Side, Terms, Wire};
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
    pub(super) credential: Option<&'a Located<String>>,
    pub(super) unchanged: Option<&'a Located<Unchanged>>,
}

/// What became of opening it.
pub(super) enum Opened<'t> {
    /// The probe says that it is the one of the last commit.
    Unchanged,
    /// Its bytes.
    Bytes(Box<Input<'t>>),
}

/// The bytes, as they come.
pub(super) struct Input<'t> {
    name: String,
    origin: Origin<'t>,
}

/// Where they come from.
enum Origin<'t> {
    /// A file that is here.
    Here { file: File, path: PathBuf, before: Stamp, keeps_stamp: bool },
    /// An answer, and what the next request asks with.
    Answer { body: Box<dyn Read + 't>, left: Option<Json> },
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
    pub(super) fn open<'t>(self, tools: &'t Tools, start: &Start) -> Result<Opened<'t>, Trouble> {
        match (self.path, self.url) {
            (Some(path), None) => {
                let path = tools.path("source.path", &path.value)?;
                self.open_file(path, start)
            }
            (None, Some(url)) => self.ask(&url.value, tools, start),
            _ => Err(Trouble::config("the source needs either `path` or `url`")),
        }
    }

    fn probes_by(self, probe: Probe) -> bool {
        self.unchanged.is_some_and(|text| text.value.probe.value == probe)
    }

    fn ask<'t>(self, url: &str, tools: &'t Tools, start: &Start) -> Result<Opened<'t>, Trouble> {
        let url = wire::address("source.url", &tools.render("source.url", url)?)?;
        let wire = Wire::open(tools, Terms::new(Side::Source).with(self.credential))?;
        let mut request = Request::get(url);
        let probes = self.probes_by(Probe::Etag);
        let before = start.left.as_ref().filter(|_| probes && start.may_be_unchanged);
        for (key, header) in [("etag", "if-none-match"), ("modified", "if-modified-since")] {
            let value = before.and_then(|left| left.get(key)).and_then(Json::as_str);
            request.headers.extend(value.map(|value| (header.to_owned(), value.to_owned())));
        }
        let asked = !request.headers.is_empty();
        let answer = wire.ask(&request)?;
        let name = format!("the answer of {}", answer.host());
        if answer.is_unchanged() {
            let strange = || Trouble::source(format!("{name} is 304, which nobody asked for"));
            return asked.then_some(Opened::Unchanged).ok_or_else(strange);
        }
        if answer.content_type() == "text/html" {
            let message = format!("{name} is a page (text/html), no file; it may want a login");
            return Err(Trouble::source(message));
        }
        let left = json!({ "etag": answer.etag(), "modified": answer.last_modified() });
        let left = Some(left).filter(|_| probes);
        let origin = Origin::Answer { body: Box::new(answer.reader()), left };
        Ok(Opened::Bytes(Box::new(Input { name, origin })))
    }

    pub(super) fn open_file<'t>(self, path: PathBuf, start: &Start) -> Result<Opened<'t>, Trouble> {
        let name = path.display().to_string();
        let probes = self.probes_by(Probe::Mtime);
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
        let origin = Origin::Here { file, path, before, keeps_stamp };
        Ok(Opened::Bytes(Box::new(Input { name, origin })))
    }
}

impl Input<'_> {
    /// Its name in messages.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// To be called when the last byte was read: whether that was all of one content, and what is left for
    /// the next probe.
    pub(super) fn finish(&self) -> Result<Option<Json>, Trouble> {
        let (file, path, before, keeps_stamp) = match &self.origin {
            Origin::Answer { left, .. } => return Ok(left.clone()),
            Origin::Here { file, path, before, keeps_stamp } => (file, path, before, *keeps_stamp),
        };
        let refused = |error: io::Error| unreadable(&self.name, &error);
        let opened = Stamp::of(&file.metadata().map_err(refused)?);
        let named = path.metadata().map(|data| Stamp::of(&data));
        if opened != *before || !named.is_ok_and(|named| named == *before) {
            let message = format!(
                "{} changed while it was read; write it beside its place and rename it",
                self.name
            );
            return Err(Trouble::new(Ending::Truncated, message));
        }
        Ok(keeps_stamp.then(|| before.json()))
    }

    /// Why reading it failed.
    pub(super) fn trouble(&self, error: &io::Error) -> Trouble {
        match self.origin {
            Origin::Here { .. } => unreadable(&self.name, error),
            Origin::Answer { .. } => wire::broke(error),
        }
    }
}

impl Read for Input<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.origin {
            Origin::Here { file, .. } => file.read(buffer),
            Origin::Answer { body, .. } => body.read(buffer),
        }
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
