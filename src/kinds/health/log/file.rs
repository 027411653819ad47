//! A log that is a file, and the files that it was before.
//!
//! Owns rotation: a file that was renamed, copied and cut, or written anew is read to its end before the new one is
//! begun. Refuses to take half a line for one, and to hold more than one line.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use ring::digest::{SHA256, digest};

use super::mark::{FilePlace, Place};
use super::{Catch, Seen, Sieve};
use crate::kinds::health::probe::Found;
use crate::kinds::wire::fault;
use crate::model::Fault;

/// Longest part of a line that is looked at.
const LINE: usize = 64 * 1024;

/// Most bytes of one look; the next one goes on from there.
const LOOK: u64 = 64 * 1024 * 1024;

/// Bytes by which a file is known again.
const HEAD: u64 = 256;

/// An open file.
struct Log {
    file: File,
    data: Metadata,
}

/// Reads on from a place; without one, the end is where the next look begins.
pub(super) fn read(path: &Path, from: Option<&Place>, sieve: &Sieve) -> Result<Seen, Found> {
    let told = |error: io::Error| {
        let why = format!("can't read {}: {error}", path.display());
        Found::blind(why, fault::of_io(&error))
    };
    // Another path than that of the last look is a first look.
    let from = from.filter(|place| match place {
        Place::File(place) => place.path == path,
        Place::NoFile { path: absent } => absent == path,
        Place::Journal { .. } => false,
    });
    let log = match Log::open(path) {
        Ok(log) => log,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(absent(path, from)),
        Err(error) => return Err(told(error)),
    };
    let mut reader = Reader { sieve, catch: Catch::default(), left: LOOK };
    let mut gap = None;
    let place = match from {
        None => log.end(path).map_err(told)?,
        Some(Place::File(place)) if log.is(place).map_err(told)? => {
            reader.read(&log, place.clone()).map_err(told)?
        }
        Some(Place::File(place)) => {
            match rotated(place) {
                // Who can't finish the old file in one look goes on with it in the next.
                Some(old) => {
                    let last = reader.read(&old, place.clone()).map_err(told)?;
                    if reader.left == 0 {
                        return Ok(reader.seen(last, None));
                    }
                    reader.finish(&old, &last).map_err(told)?;
                }
                None => gap = Some(lost(place)),
            }
            reader.read(&log, log.start(path)).map_err(told)?
        }
        Some(_) => reader.read(&log, log.start(path)).map_err(told)?,
    };
    Ok(reader.seen(place, gap))
}

/// A file that is not there. What was in it when it went is looked for where it went.
fn absent(path: &Path, from: Option<&Place>) -> Seen {
    let next = match from {
        // Between the renaming and the first line of the new file.
        Some(Place::File(place)) => Place::File(place.clone()),
        _ => Place::NoFile { path: path.to_owned() },
    };
    let why = format!("{} does not exist", path.display());
    Seen { catch: Catch::default(), next, gap: Some((why, Fault::NotFound)) }
}

/// What is said where lines were rotated away before they were looked at.
fn lost(place: &FilePlace) -> (String, Fault) {
    let path = place.path.display();
    let why = format!(
        "{path} was written anew, and what it was before is gone: lines after byte {} may be missing",
        place.offset
    );
    (why, Fault::Truncated)
}

/// What a file was called after it was rotated: the one that is the same, or a copy of it.
fn rotated(place: &FilePlace) -> Option<Log> {
    let folder = place.path.parent()?;
    let name = place.path.file_name()?.to_str()?;
    let stem = place.path.file_stem()?.to_str()?;
    let entries = fs::read_dir(folder).ok()?;
    let entries = entries.flatten().map(|entry| entry.path()).filter(|path| *path != place.path);
    let near = |path: &PathBuf| {
        let other = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        other.starts_with(name) || other.starts_with(stem)
    };
    let logs = entries.filter(near).filter_map(|path| Log::open(&path).ok());
    let mut same: Vec<Log> = logs
        .filter(|log| log.data.len() >= place.offset && log.begins_as(place).unwrap_or(false))
        .collect();
    // The very file is better than a copy, and among copies the newest has the most.
    same.sort_by_key(|log| (log.inode() == place.inode, log.data.mtime()));
    // An empty beginning tells nothing apart: only the very file counts then.
    same.pop().filter(|log| place.head.0 > 0 || log.inode() == place.inode)
}

impl Log {
    fn open(path: &Path) -> io::Result<Self> {
        // A pipe would keep the thread waiting for its writer.
        let nonblock = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
        let file = OpenOptions::new().read(true).custom_flags(nonblock).open(path)?;
        let data = file.metadata()?;
        if data.is_file() {
            Ok(Self { file, data })
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no plain file"))
        }
    }

    fn inode(&self) -> (u64, u64) {
        (self.data.dev(), self.data.ino())
    }

    fn head(&self, length: u64) -> io::Result<(u64, String)> {
        let mut bytes = Vec::new();
        let mut file = &self.file;
        file.seek(SeekFrom::Start(0))?;
        file.take(length).read_to_end(&mut bytes)?;
        let digest = digest(&SHA256, &bytes);
        let text = digest.as_ref().iter().map(|byte| format!("{byte:02x}"));
        Ok((bytes.len() as u64, text.collect()))
    }

    /// Whether it begins as the file of a place did.
    fn begins_as(&self, place: &FilePlace) -> io::Result<bool> {
        Ok(self.head(place.head.0)? == place.head)
    }

    /// Whether it is the file of a place, with all that was looked at still in it.
    fn is(&self, place: &FilePlace) -> io::Result<bool> {
        Ok(self.inode() == place.inode
            && self.data.len() >= place.offset
            && self.begins_as(place)?)
    }

    fn start(&self, path: &Path) -> FilePlace {
        FilePlace {
            path: path.to_owned(),
            inode: self.inode(),
            offset: 0,
            head: (0, String::new()),
            inside: false,
            size: 0,
        }
    }

    /// Behind all that there is. A line that is being written now is not looked at.
    fn end(&self, path: &Path) -> io::Result<FilePlace> {
        let size = self.data.len();
        let mut last = [b'\n'];
        if size > 0 {
            let mut file = &self.file;
            file.seek(SeekFrom::Start(size - 1))?;
            file.read_exact(&mut last)?;
        }
        let head = self.head(HEAD.min(size))?;
        Ok(FilePlace { offset: size, inside: last != *b"\n", size, head, ..self.start(path) })
    }
}

/// Reads lines as long as there is room for more.
struct Reader<'a> {
    sieve: &'a Sieve,
    catch: Catch,
    left: u64,
}

impl Reader<'_> {
    /// Reads on from a place, up to the last whole line. One that has not grown since the last look is whole:
    /// whoever wrote it has died in its middle.
    fn read(&mut self, log: &Log, mut place: FilePlace) -> io::Result<FilePlace> {
        (&log.file).seek(SeekFrom::Start(place.offset))?;
        let mut lines = BufReader::new(&log.file);
        while self.left > 0 {
            let line = Line::read(&mut lines, &mut self.left)?;
            if !line.is_whole {
                let stands = place.size == place.offset + line.length && line.length > 0;
                if line.is_cut || stands {
                    self.take(&line, &mut place);
                    place.inside = true;
                }
                break;
            }
            self.take(&line, &mut place);
            place.inside = false;
        }
        place.size = log.file.metadata()?.len();
        // The beginning is known as far as it can't change any more: it was looked at.
        place.head = log.head(HEAD.min(place.offset))?;
        place.inode = log.inode();
        Ok(place)
    }

    fn take(&mut self, line: &Line, place: &mut FilePlace) {
        if !place.inside && line.length > 0 {
            self.sieve.take(&line.bytes, &mut self.catch);
        }
        place.offset += line.length;
    }

    /// Looks at the half line at the end of a file that nobody writes to any more.
    fn finish(&mut self, log: &Log, place: &FilePlace) -> io::Result<()> {
        (&log.file).seek(SeekFrom::Start(place.offset))?;
        let line = Line::read(&mut BufReader::new(&log.file), &mut self.left)?;
        self.take(&line, &mut place.clone());
        Ok(())
    }

    fn seen(self, place: FilePlace, gap: Option<(String, Fault)>) -> Seen {
        Seen { catch: self.catch, next: Place::File(place), gap }
    }
}

/// A line, or its beginning.
struct Line {
    bytes: Vec<u8>,
    /// How long it is, with what was not kept of it.
    length: u64,
    /// It ends with a line feed.
    is_whole: bool,
    /// There was more of it than is kept, or than this look has room for.
    is_cut: bool,
}

impl Line {
    fn read(lines: &mut impl io::BufRead, left: &mut u64) -> io::Result<Self> {
        let mut line = Self { bytes: Vec::new(), length: 0, is_whole: false, is_cut: false };
        while !line.is_whole {
            let chunk = lines.fill_buf()?;
            if chunk.is_empty() {
                break;
            }
            let end = chunk.iter().position(|byte| *byte == b'\n');
            let taken = end.map_or(chunk.len(), |end| end + 1);
            let kept = taken.min(LINE - line.bytes.len());
            line.bytes.extend_from_slice(&chunk[..kept]);
            line.is_whole = end.is_some();
            line.length += taken as u64;
            line.is_cut |= kept < taken;
            *left = left.saturating_sub(taken as u64);
            lines.consume(taken);
            if *left == 0 {
                line.is_cut |= !line.is_whole;
                break;
            }
        }
        Ok(line)
    }
}
