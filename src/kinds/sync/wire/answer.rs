//! An answer that is one: its headers, and its body as a stream.
//!
//! Owns reading without holding more than a piece of it. Refuses to read again what broke off: whoever has
//! given the first rows away can't take them back.

use std::error::Error;
use std::fmt;
use std::io::{self, Read};

use reqwest::header::{CONTENT_TYPE, ETAG, LAST_MODIFIED};

use super::super::tools::Tools;
use super::super::trouble::Trouble;
use super::Side;
use crate::credentials::exchange::root;
use crate::kinds::wire;

/// An answer: a 2xx, or a 304 where the request had a condition.
pub(in super::super) struct Answer<'t> {
    tools: &'t Tools,
    side: Side,
    host: String,
    inner: wire::Answer,
}

impl<'t> Answer<'t> {
    pub(super) fn new(tools: &'t Tools, side: Side, host: String, inner: wire::Answer) -> Self {
        Self { tools, side, host, inner }
    }

    /// Whether it says that nothing has changed since the condition of the request.
    pub(in super::super) fn is_unchanged(&self) -> bool {
        self.inner.response.status().as_u16() == 304
    }

    /// A header, where it is text.
    pub(in super::super) fn header(&self, name: &str) -> Option<&str> {
        self.inner.header(name)
    }

    /// What the body is said to be, without parameters, in small letters.
    pub(in super::super) fn content_type(&self) -> String {
        let whole = self.header(CONTENT_TYPE.as_str()).unwrap_or_default();
        whole.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }

    /// Its `ETag`: for `If-None-Match` of the next request.
    pub(in super::super) fn etag(&self) -> Option<String> {
        self.header(ETAG.as_str()).map(str::to_owned)
    }

    /// Its `Last-Modified`: for `If-Modified-Since` of the next request.
    pub(in super::super) fn last_modified(&self) -> Option<String> {
        self.header(LAST_MODIFIED.as_str()).map(str::to_owned)
    }

    /// Who answered.
    pub(in super::super) fn host(&self) -> &str {
        &self.host
    }

    /// The body as a stream. An error of it holds a trouble: `broke` takes it out.
    pub(in super::super) fn reader(self) -> impl Read + use<'t> {
        Reader { answer: self, piece: Vec::new(), at: 0 }
    }

    /// The whole body, which must not be longer than `most`.
    pub(super) fn take(&mut self, most: usize) -> Result<Vec<u8>, Trouble> {
        let mut body = Vec::new();
        while let Some(piece) = self.piece()? {
            if body.len() + piece.len() > most {
                let (host, most) = (&self.host, most >> 20);
                let words = format!("the answer of {host} is longer than {most} MiB");
                return Err(Trouble::new(self.side.ending(), words).for_good());
            }
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }

    /// The next piece of the body.
    fn piece(&mut self) -> Result<Option<Vec<u8>>, Trouble> {
        let (tools, response) = (self.tools, &mut self.inner.response);
        match tools.wait(response.chunk())? {
            Ok(piece) => Ok(piece.map(Into::into)),
            Err(error) => {
                let words = format!("the answer of {} broke off: {}", self.host, root(&error));
                Err(Trouble::new(self.side.ending(), words))
            }
        }
    }
}

struct Reader<'t> {
    answer: Answer<'t>,
    piece: Vec<u8>,
    at: usize,
}

impl Read for Reader<'_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        while self.at == self.piece.len() {
            match self.answer.piece() {
                Ok(Some(piece)) => (self.piece, self.at) = (piece, 0),
                Ok(None) => return Ok(0),
                Err(trouble) => return Err(io::Error::other(Broke(trouble))),
            }
        }
        let rest = &self.piece[self.at..];
        let much = rest.len().min(room.len());
        room[..much].copy_from_slice(&rest[..much]);
        self.at += much;
        Ok(much)
    }
}

/// A trouble on its way through a reader's errors.
#[derive(Debug)]
struct Broke(Trouble);

impl fmt::Display for Broke {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl Error for Broke {}

/// The trouble in an error of a reader.
pub(super) fn carried(error: &io::Error) -> Option<Trouble> {
    let carried = error.get_ref().and_then(|inner| inner.downcast_ref::<Broke>());
    carried.map(|Broke(trouble)| trouble.clone())
}
