//! A file under way: written once, from its beginning, beside its place.
//!
//! Owns its sum and that it is on the disk when it is finished. Refuses to know what it will be called.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use ring::digest::{Context, SHA256};

/// Bytes that are written at once.
const BUFFER: usize = 128 * 1024;

/// Takes the bytes of a file.
pub(in super::super) struct Sink(BufWriter<Summed>);

/// Counts what passes.
struct Summed {
    file: File,
    sum: Context,
    size: u64,
}

/// What was written.
pub(super) struct Written {
    pub(super) size: u64,
    pub(super) sha256: String,
}

impl Sink {
    /// Begins a file, readable for whom the old one is.
    pub(super) fn create(path: &Path, old: &Path) -> io::Result<Self> {
        let file = File::create(path)?;
        if let Ok(data) = fs::metadata(old)
            && data.is_file()
        {
            file.set_permissions(data.permissions())?;
        }
        let summed = Summed { file, sum: Context::new(&SHA256), size: 0 };
        Ok(Self(BufWriter::with_capacity(BUFFER, summed)))
    }

    /// Sees to it that all of it is on the disk.
    pub(super) fn finish(self) -> io::Result<Written> {
        let Summed { file, sum, size } = self.0.into_inner().map_err(io::Error::from)?;
        file.sync_all()?;
        Ok(Written { size, sha256: hex(sum.finish().as_ref()) })
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Write for Summed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.sum.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The sum of a file that is there.
pub(super) fn sum_of(path: &Path) -> io::Result<Written> {
    let mut file = File::open(path)?;
    let mut summing = Hashing { sum: Context::new(&SHA256), size: 0 };
    io::copy(&mut file, &mut summing)?;
    Ok(Written { size: summing.size, sha256: hex(summing.sum.finish().as_ref()) })
}

struct Hashing {
    sum: Context,
    size: u64,
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sum.update(bytes);
        self.size += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _never_fails = write!(text, "{byte:02x}");
        text
    })
}
